//! The indices, aliases and data streams that a cluster has, and opening and closing them.
//!
//! Everything is read from one cluster state, whose shape is the same from 5.0 to 9.x: `_cat/indices` cannot be told to show
//! hidden and closed indices in all of them, and two requests would see two moments.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::client::Client;
use super::request::{Request, batches};
use super::selection::quoted;
use crate::error::{Error, ErrorKind, Result};

/// One index of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    /// It answers searches; otherwise it is closed.
    pub is_open: bool,
    /// Its number of primary shards.
    pub shards: u32,
    /// How often the cluster tries to allocate one of its shards before it gives up.
    pub(super) most_tries: u64,
    /// Its identity; empty where it was not asked for.
    pub uuid: String,
    /// Its replicas; 0 where they were not asked for.
    pub replicas: u32,
    /// What may not be done to it, if it was asked for.
    pub role: Role,
}

/// What an index is besides an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// It follows an index of another cluster.
    Follower,
    /// It is a snapshot that is searched where it lies.
    Mount,
}

/// What has a name in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// Every index, hidden and closed ones too.
    pub indices: BTreeMap<String, Index>,
    /// Every alias, with the indices behind it.
    pub aliases: BTreeMap<String, BTreeSet<String>>,
    /// Every data stream, with its backing indices.
    pub data_streams: BTreeMap<String, Vec<String>>,
}

/// `index.allocation.max_retries` when it is not set.
const MOST_TRIES: u64 = 5;

/// What of the metadata is asked for.
pub(super) const STATE: &str = "metadata.indices.*.state,metadata.indices.*.aliases,\
    metadata.indices.*.settings.index.number_of_shards,metadata.indices.*.settings.index.allocation.max_retries,\
    metadata.data_stream.data_stream.*.indices.index_name";

/// What is asked for besides, where no list of names makes the request line long.
const MORE: &str = "metadata.indices.*.settings.index.uuid,metadata.indices.*.settings.index.number_of_replicas,\
    metadata.indices.*.settings.index.store.type,metadata.indices.*.settings.index.xpack.ccr.following_index,\
    metadata.indices.*.settings.index.plugins.replication.follower.leader_index";

/// Reads the names in use.
pub async fn existing(client: &Client) -> Result<Existing> {
    let request = Request::get("list the indices", &["_cluster", "state", "metadata"]);
    let request = request.query("filter_path", format!("{STATE},{MORE}"));
    Ok(read(&client.call(request).await?))
}

impl Role {
    fn of(settings: &Value) -> Self {
        let leader = &settings["plugins"]["replication"]["follower"]["leader_index"];
        if settings["xpack"]["ccr"]["following_index"] == "true" || leader.is_string() {
            return Self::Follower;
        }
        match settings["store"]["type"].as_str() {
            Some("snapshot" | "remote_snapshot") => Self::Mount,
            _ => Self::Plain,
        }
    }
}

impl Existing {
    /// The data stream that an index belongs to, and whether it is the one that is written to.
    #[must_use]
    pub fn stream_of(&self, index: &str) -> Option<(&str, bool)> {
        self.data_streams.iter().find_map(|(stream, indices)| {
            let at = indices.iter().position(|name| name == index)?;
            Some((stream.as_str(), at + 1 == indices.len()))
        })
    }
}

/// Takes the names out of a cluster state.
pub(super) fn read(state: &Value) -> Existing {
    let mut existing = Existing::default();
    for (name, index) in state["metadata"]["indices"].as_object().into_iter().flatten() {
        let settings = &index["settings"]["index"];
        existing.indices.insert(
            name.clone(),
            Index {
                is_open: index["state"] != "close",
                shards: number(&settings["number_of_shards"]).and_then(|shards| shards.try_into().ok()).unwrap_or(0),
                most_tries: number(&settings["allocation"]["max_retries"]).unwrap_or(MOST_TRIES),
                uuid: settings["uuid"].as_str().unwrap_or_default().to_owned(),
                replicas: number(&settings["number_of_replicas"])
                    .and_then(|count| count.try_into().ok())
                    .unwrap_or_default(),
                role: Role::of(settings),
            },
        );
        for alias in index["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            existing.aliases.entry(alias.to_owned()).or_default().insert(name.clone());
        }
    }
    for (name, stream) in state["metadata"]["data_stream"]["data_stream"].as_object().into_iter().flatten() {
        let backing = stream["indices"].as_array().into_iter().flatten();
        let backing = backing.filter_map(|index| index["index_name"].as_str()).map(str::to_owned).collect();
        existing.data_streams.insert(name.clone(), backing);
    }
    existing
}

/// Settings are texts in a cluster state, numbers elsewhere.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Closes indices and looks whether they really are closed.
///
/// Fails when one stays open, for example because it is being restored or snapshotted.
pub async fn close(client: &Client, names: &[String]) -> Result<()> {
    turn(client, names, "_close").await?;
    let now = existing(client).await?;
    let open: Vec<&String> =
        names.iter().filter(|name| now.indices.get(*name).is_some_and(|index| index.is_open)).collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Precondition, format!("close {} on `{}`", quoted(&open), client.place()))
        .because("the cluster answered that it did, but they are open")
        .hint("look for a snapshot or restore that runs, and at `cluster.indices.close.enable`"))
}

/// Opens indices again.
pub async fn open(client: &Client, names: &[String]) -> Result<()> {
    turn(client, names, "_open").await
}

/// Deletes indices, each by its name; a name that is an alias is refused.
pub async fn delete(client: &Client, names: &[String]) -> Result<()> {
    for batch in batches(names.iter().map(String::as_str)) {
        let request = Request::delete(format!("delete {}", quoted(&batch)), &[]).names(&batch);
        match client.call(request).await {
            // A request that was repeated finds its work done.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let now = existing(client).await?;
                if batch.iter().any(|name| now.indices.contains_key(*name)) {
                    return Err(error);
                }
            }
            other => drop(other?),
        }
    }
    Ok(())
}

async fn turn(client: &Client, names: &[String], word: &'static str) -> Result<()> {
    for batch in batches(names.iter().map(String::as_str)) {
        let doing = format!("{} {}", word.trim_start_matches('_'), quoted(&batch));
        client.call(Request::post(doing, &[]).names(&batch).word(word)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_state_tells_indices_aliases_and_streams() {
        let found = read(&json!({ "metadata": {
            "indices": {
                "movies": { "state": "open", "settings": { "index": { "number_of_shards": "2" } }, "aliases": ["films"] },
                "old": { "state": "close", "settings": { "index": { "number_of_shards": "5", "allocation": { "max_retries": "2" } } } },
            },
            "data_stream": { "data_stream": { "logs": { "indices": [{ "index_name": ".ds-logs-000001" }] } } },
        } }));
        assert!(found.indices["movies"].is_open && !found.indices["old"].is_open);
        assert_eq!((found.indices["movies"].shards, found.indices["movies"].most_tries), (2, 5));
        assert_eq!((found.indices["old"].shards, found.indices["old"].most_tries), (5, 2));
        assert!(found.aliases["films"].contains("movies"));
        assert_eq!(found.data_streams["logs"], [".ds-logs-000001"]);
    }

    #[test]
    fn followers_and_mounts_are_told_by_their_settings() {
        let role = |settings: Value| {
            read(&json!({ "metadata": { "indices": { "x": { "settings": { "index": settings } } } } })).indices["x"]
                .role
        };
        assert_eq!(role(json!({ "xpack": { "ccr": { "following_index": "true" } } })), Role::Follower);
        assert_eq!(
            role(json!({ "plugins": { "replication": { "follower": { "leader_index": "a" } } } })),
            Role::Follower
        );
        assert_eq!(role(json!({ "store": { "type": "snapshot" } })), Role::Mount);
        assert_eq!(role(json!({ "store": { "type": "niofs" } })), Role::Plain);
    }

    #[test]
    fn an_empty_cluster_has_no_names() {
        assert_eq!(read(&json!({})), Existing::default());
    }
}
