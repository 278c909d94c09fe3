//! The numbers of an index, shard by shard: enough to say whether two indices hold the same, or whether one still changes.
//!
//! 1. Whether an index is there, open, blocked for writes and of how many shards is read from one cluster state.
//! 2. `_count` is believed only when every shard answered (finding 7).
//! 3. `_stats` by shard tells documents, deleted ones and, from 6.0 on, the highest sequence number. These are the same on a
//!    source at rest and on what was restored from it (finding 16); only primaries are looked at.
//!
//! What equal numbers prove is for `ops::compare` to say.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::client::Client;
use super::count;
use super::index::number;
use super::name;
use super::request::{Request, batches};
use crate::error::{Error, ErrorKind, Result};

/// The numbers of one primary shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShardNumbers {
    /// Its documents, nested ones by themselves.
    pub documents: u64,
    /// Documents that are deleted and not yet merged away.
    pub deleted: u64,
    /// The highest sequence number of an operation, -1 if there was none; not told before 6.0.
    #[serde(default)]
    pub max_seq_no: Option<i64>,
    /// Writes since the shard was started on its node. It tells that an index changes, never that two are equal.
    #[serde(default)]
    pub operations: Option<u64>,
}

impl ShardNumbers {
    /// Whether something was written between these numbers and `later` ones of the same shard.
    #[must_use]
    pub fn has_moved(&self, later: &Self) -> bool {
        if (self.documents, self.max_seq_no) != (later.documents, later.max_seq_no) {
            return true;
        }
        // Where sequence numbers are told, they tell all; a shard that moved to another node counts its writes anew.
        self.max_seq_no.is_none()
            && matches!((self.operations, later.operations), (Some(before), Some(after)) if after > before)
    }
}

/// The numbers of one index at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// What tells this index from every other of the same name.
    pub uuid: String,
    /// It answers searches; a closed one tells no numbers.
    pub is_open: bool,
    /// Its settings forbid writes.
    pub is_write_blocked: bool,
    /// Its primary shards.
    pub primaries: u32,
    /// Its documents as searches count them; nothing when closed.
    pub documents: Option<u64>,
    /// By shard, every primary of them; nothing when the cluster does not tell all.
    #[serde(default, deserialize_with = "numbered_if_any")]
    pub shards: Option<BTreeMap<u32, ShardNumbers>>,
}

/// Reads a map whose keys are shards. Within a flattened document serde takes them for texts and not for numbers.
pub fn numbered<'de, D, T>(deserializer: D) -> Result<BTreeMap<u32, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let named = BTreeMap::<String, T>::deserialize(deserializer)?;
    let parsed = named.into_iter().map(|(shard, value)| Ok((shard.parse().map_err(de::Error::custom)?, value)));
    parsed.collect()
}

fn numbered_if_any<'de, D>(deserializer: D) -> Result<Option<BTreeMap<u32, ShardNumbers>>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    struct Numbered(#[serde(deserialize_with = "numbered")] BTreeMap<u32, ShardNumbers>);
    Ok(Option::<Numbered>::deserialize(deserializer)?.map(|Numbered(shards)| shards))
}

impl Numbers {
    /// Whether something was written between these numbers and `later` ones of the same index.
    #[must_use]
    pub fn has_moved(&self, later: &Self) -> bool {
        let shards = match (&self.shards, &later.shards) {
            (Some(before), Some(after)) => {
                before.len() != after.len()
                    || before
                        .iter()
                        .any(|(shard, numbers)| after.get(shard).is_none_or(|later| numbers.has_moved(later)))
            }
            _ => false,
        };
        self.uuid != later.uuid || self.documents != later.documents || shards
    }
}

/// Whether what was written is made visible, or also durable, before numbers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Settle {
    /// Refresh: searches see everything.
    #[default]
    Refresh,
    /// Refresh and flush: the numbers are those that a snapshot taken now would hold.
    Flush,
}

/// Makes what was written to `indices` visible. A user who may only read gets the numbers of what is visible.
pub async fn settle(client: &Client, indices: &[String], settle: Settle) -> Result<()> {
    let words: &[&'static str] = if settle == Settle::Flush { &["_refresh", "_flush"] } else { &["_refresh"] };
    for batch in batches(indices.iter().map(String::as_str)) {
        for word in words {
            let request = Request::post(format!("call `{word}` for {} indices", batch.len()), &[]);
            let request = request.names(&batch).word(word).query("ignore_unavailable", "true");
            match client.call(request).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Denied => tracing::debug!(%error, "reading as it is"),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// The numbers of one index as far as they can be had.
#[derive(Debug)]
pub struct Reading {
    /// What was told.
    pub numbers: Numbers,
    /// Why the documents could not be counted, if they could not.
    pub failure: Option<Error>,
}

/// Counts asked for at once: each is one search of all shards of an index.
const COUNTS: usize = 4;

/// Reads the numbers of these indices. What is not there has no entry.
///
/// Fails with [`ErrorKind::Precondition`] when a shard of an open index does not answer.
pub async fn read(client: &Client, indices: &[String]) -> Result<BTreeMap<String, Numbers>> {
    let readings = look(client, indices).await?;
    readings.into_iter().map(|(name, reading)| reading.failure.map_or(Ok((name, reading.numbers)), Err)).collect()
}

/// As [`read`], but of an index whose shards do not all answer it tells what there is.
pub async fn look(client: &Client, indices: &[String]) -> Result<BTreeMap<String, Reading>> {
    let mut all = states(client, indices).await?;
    let open: Vec<String> = all.iter().filter(|(_, numbers)| numbers.is_open).map(|(name, _)| name.clone()).collect();
    for batch in batches(open.iter().map(String::as_str)) {
        let Some(answer) = stats(client, &batch).await? else { continue };
        for index in batch {
            if let Some(numbers) = all.get_mut(index) {
                numbers.shards = by_shard(&answer, index).filter(|shards| shards.len() == numbers.primaries as usize);
            }
        }
    }
    let counts = futures::stream::iter(&open).map(|index| async move { (index, count::complete(client, index).await) });
    let counts: BTreeMap<&String, Result<count::Count>> = counts.buffered(COUNTS).collect().await;
    let mut failures = BTreeMap::new();
    for (index, counted) in counts {
        match counted {
            Ok(counted) => {
                if let Some(numbers) = all.get_mut(index) {
                    numbers.documents = Some(counted.documents);
                }
            }
            // These speak of the index; others, of the way to the cluster.
            Err(error)
                if matches!(error.kind(), ErrorKind::Precondition | ErrorKind::NotFound | ErrorKind::Invalid) =>
            {
                failures.insert(index.clone(), error);
            }
            // 8.12 answers 503 when no shard does; the retries before have given it time.
            Err(error) if error.kind() == ErrorKind::Unavailable && !error.never_sent() => {
                failures.insert(index.clone(), error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all
        .into_iter()
        .map(|(name, numbers)| {
            let failure = failures.remove(&name);
            (name, Reading { numbers, failure })
        })
        .collect())
}

/// What of the metadata is asked for.
const STATE: &str = "metadata.indices.*.state,metadata.indices.*.settings.index.uuid,\
    metadata.indices.*.settings.index.number_of_shards,metadata.indices.*.settings.index.blocks";

/// The indices without their numbers.
async fn states(client: &Client, indices: &[String]) -> Result<BTreeMap<String, Numbers>> {
    for index in indices {
        name::check("index", index)?;
    }
    let request = Request::get("read the state of the indices", &["_cluster", "state", "metadata"]);
    let state = client.call(request.query("filter_path", STATE)).await?;
    let asked: BTreeSet<&String> = indices.iter().collect();
    let found = state["metadata"]["indices"].as_object().into_iter().flatten();
    Ok(found
        .filter(|(name, _)| asked.contains(name))
        .map(|(name, index)| {
            let settings = &index["settings"]["index"];
            let blocked = ["write", "read_only", "read_only_allow_delete"]
                .iter()
                .any(|block| settings["blocks"][block] == "true" || settings["blocks"][block] == true);
            let numbers = Numbers {
                uuid: settings["uuid"].as_str().unwrap_or_default().to_owned(),
                is_open: index["state"] != "close",
                is_write_blocked: blocked,
                primaries: number(&settings["number_of_shards"]).and_then(|count| count.try_into().ok()).unwrap_or(0),
                documents: None,
                shards: None,
            };
            (name.clone(), numbers)
        })
        .collect())
}

/// The statistics by shard, unless this user may not have them or the server has none.
async fn stats(client: &Client, indices: &[&str]) -> Result<Option<Value>> {
    const WANTED: &str = "indices.*.shards.*.routing.primary,indices.*.shards.*.docs,\
        indices.*.shards.*.seq_no.max_seq_no,indices.*.shards.*.indexing.index_total,\
        indices.*.shards.*.indexing.delete_total";
    let request = Request::get("read the numbers of each shard", &[])
        .names(indices)
        .word("_stats")
        .names(&["docs", "indexing"])
        .query("level", "shards")
        .query("filter_path", WANTED);
    match client.call(request).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unsupported) => {
            tracing::debug!(%error, "no numbers by shard");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The primaries of an index in an answer of `_stats`; nothing when one of them is not told.
fn by_shard(answer: &Value, index: &str) -> Option<BTreeMap<u32, ShardNumbers>> {
    let mut shards = BTreeMap::new();
    for (shard, copies) in answer["indices"][index]["shards"].as_object()? {
        let primary = copies.as_array()?.iter().find(|copy| copy["routing"]["primary"] == true)?;
        let written = |word: &str| primary["indexing"][word].as_u64();
        let numbers = ShardNumbers {
            documents: primary["docs"]["count"].as_u64()?,
            deleted: primary["docs"]["deleted"].as_u64().unwrap_or(0),
            max_seq_no: primary["seq_no"]["max_seq_no"].as_i64(),
            operations: written("index_total").zip(written("delete_total")).map(|(index, delete)| index + delete),
        };
        shards.insert(shard.parse().ok()?, numbers);
    }
    Some(shards)
}

/// How the primaries of an index are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `green`, `yellow` or `red`.
    pub status: String,
    /// The primaries that are started.
    pub active_primaries: u32,
}

/// The health of these indices, all of which are there and open.
pub async fn health(client: &Client, indices: &[String]) -> Result<BTreeMap<String, Health>> {
    let mut all = BTreeMap::new();
    for batch in batches(indices.iter().map(String::as_str)) {
        // An index that vanished in between would be waited for until the timeout.
        let request = Request::get("read the health of the indices", &["_cluster", "health"])
            .names(&batch)
            .query("level", "indices")
            .query("timeout", "5s");
        let answer = client.call(request).await?;
        let Some(found) = answer["indices"].as_object() else {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("read the health of the indices on `{}`", client.place()),
            )
            .because("the answer holds no indices"));
        };
        all.extend(found.iter().map(|(name, health)| {
            let active = number(&health["active_primary_shards"]).and_then(|count| count.try_into().ok());
            let status = health["status"].as_str().unwrap_or("unknown").to_owned();
            (name.clone(), Health { status, active_primaries: active.unwrap_or(0) })
        }));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_primaries_count_and_all_of_them_must_be_told() {
        let copy = |primary: bool, count: u64| {
            json!({ "routing": { "primary": primary }, "docs": { "count": count, "deleted": 1 },
                "seq_no": { "max_seq_no": count }, "indexing": { "index_total": 4, "delete_total": 2 } })
        };
        let stats =
            json!({ "indices": { "m": { "shards": { "0": [copy(false, 9), copy(true, 2)], "1": [copy(true, 1)] } } } });
        let told = by_shard(&stats, "m").unwrap();
        let expected = ShardNumbers { documents: 2, deleted: 1, max_seq_no: Some(2), operations: Some(6) };
        assert_eq!((told.len(), told[&0]), (2, expected));
        let stats = json!({ "indices": { "m": { "shards": { "0": [copy(false, 9)] } } } });
        assert_eq!(by_shard(&stats, "m"), None);
        assert_eq!(by_shard(&json!({}), "m"), None);
    }

    #[test]
    fn an_update_moves_a_shard_although_its_documents_stay_as_many() {
        let before = ShardNumbers { documents: 3, deleted: 0, max_seq_no: Some(2), operations: Some(3) };
        assert!(before.has_moved(&ShardNumbers { max_seq_no: Some(3), ..before }));
        assert!(!before.has_moved(&ShardNumbers { deleted: 9, operations: Some(0), ..before }), "merges write nothing");
        let old = ShardNumbers { max_seq_no: None, ..before };
        assert!(old.has_moved(&ShardNumbers { operations: Some(4), ..old }));
        assert!(!old.has_moved(&ShardNumbers { operations: Some(0), ..old }), "it counts anew on another node");
    }
}
