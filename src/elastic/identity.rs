//! What identifies a cluster and its indices, and whether an index has changed since it was looked at last.
//!
//! A name proves nothing: an index may have been deleted and made anew under it. Its UUID does, and that of the cluster tells two
//! addresses of one cluster from two clusters. Nothing is changed from here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::client::Client;
use super::index::number;
use super::request::{Request, batches};
use crate::error::Result;

/// What a cluster has, by identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The cluster's own UUID; empty if it does not tell.
    pub cluster: String,
    /// Every index by its name.
    pub indices: BTreeMap<String, Held>,
}

/// One index, by identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its UUID. An index that is restored over keeps it; one that is made anew gets another.
    pub uuid: String,
    /// The number of the version that created it.
    pub created: Option<i64>,
    /// The blocks that are set: `write`, `read_only`, ….
    pub blocks: Vec<String>,
    /// The snapshot and the repository that a searchable snapshot takes its data from.
    pub mounted: Option<(String, String)>,
    /// Whether Elasticsearch 8 marked it read-only for the next major version.
    pub is_verified_read_only: bool,
}

impl Held {
    /// Whether writes are blocked by `index.blocks.write`.
    #[must_use]
    pub fn is_write_blocked(&self) -> bool {
        self.blocks.iter().any(|block| block == "write")
    }

    /// Whether the index is read-only, by `index.blocks.read_only` or what a full disk sets: other blocks are neither set nor lifted then.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.blocks.iter().any(|block| block == "read_only" || block == "read_only_allow_delete")
    }
}

const FIELDS: &str = "metadata.cluster_uuid,metadata.indices.*.settings.index.uuid,\
    metadata.indices.*.settings.index.version.created,metadata.indices.*.settings.index.blocks,\
    metadata.indices.*.settings.index.store,metadata.indices.*.settings.index.verified_read_only,\
    metadata.indices.*.settings.index.searchable_snapshot";

/// Reads what the cluster has, hidden and closed indices too.
pub async fn read(client: &Client) -> Result<Inventory> {
    let request = Request::get("read the identities of the indices", &["_cluster", "state", "metadata"]);
    Ok(parse(&client.call(request.query("filter_path", FIELDS)).await?))
}

fn parse(state: &Value) -> Inventory {
    let metadata = &state["metadata"];
    let indices = metadata["indices"].as_object().into_iter().flatten();
    Inventory {
        cluster: metadata["cluster_uuid"].as_str().unwrap_or_default().to_owned(),
        indices: indices.map(|(name, index)| (name.clone(), held(&index["settings"]["index"]))).collect(),
    }
}

fn held(settings: &Value) -> Held {
    let text = |value: &Value| value.as_str().unwrap_or("an unknown one").to_owned();
    let blocks = settings["blocks"].as_object().into_iter().flatten();
    let mounted = match settings["store"]["type"].as_str() {
        Some("snapshot") => {
            let store = &settings["store"]["snapshot"];
            Some((text(&store["snapshot_name"]), text(&store["repository_name"])))
        }
        Some("remote_snapshot") => {
            let store = &settings["searchable_snapshot"];
            Some((text(&store["snapshot_id"]["name"]), text(&store["repository"])))
        }
        _ => None,
    };
    Held {
        uuid: settings["uuid"].as_str().unwrap_or_default().to_owned(),
        created: number(&settings["version"]["created"]).and_then(|number| number.try_into().ok()),
        blocks: blocks.filter(|(_, on)| is_on(on)).map(|(name, _)| name.clone()).collect(),
        mounted,
        is_verified_read_only: is_on(&settings["verified_read_only"]),
    }
}

fn is_on(value: &Value) -> bool {
    value == "true" || value == true
}

/// A digest of everything that a snapshot of these indices would hold: it changes whenever a document, a mapping, a setting or an alias
/// does. None before 6.0, whose shards number no operations.
///
/// It may change although nothing did, for example when a shard moved its primary; it never stays although something changed.
pub async fn digest(client: &Client, names: &[String]) -> Result<Option<String>> {
    let mut digest = Sha256::new();
    for batch in batches(names.iter().map(String::as_str)) {
        let stats = Request::get("read the sequence numbers of the shards", &[])
            .names(&batch)
            .word("_stats")
            .query("level", "shards")
            .query(
                "filter_path",
                "indices.*.uuid,indices.*.shards.*.routing.primary,indices.*.shards.*.docs,indices.*.shards.*.seq_no.max_seq_no",
            );
        let stats = client.call(stats).await?;
        let Some(primaries) = primaries(&stats) else { return Ok(None) };
        digest.update(primaries);
        let metadata = Request::get("read the metadata of the indices", &["_cluster", "state", "metadata"])
            .names(&batch)
            .query("filter_path", "metadata.indices.*.mappings,metadata.indices.*.aliases,metadata.indices.*.settings");
        digest.update(client.call(metadata).await?["metadata"]["indices"].to_string());
    }
    let mut text = String::new();
    for byte in digest.finalize() {
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(Some(text))
}

/// The state of each primary in a fixed order; none if one of them does not tell its sequence number.
fn primaries(stats: &Value) -> Option<String> {
    let mut text = String::new();
    for (name, index) in stats["indices"].as_object().into_iter().flatten() {
        text.push_str(&format!("{name} {}\n", index["uuid"]));
        for (number, copies) in index["shards"].as_object()? {
            let primary = copies.as_array()?.iter().find(|copy| copy["routing"]["primary"] == true)?;
            let last = primary["seq_no"]["max_seq_no"].as_i64()?;
            // Neither deleted documents nor bytes: they change with a flush or a merge, in which nothing happened.
            text.push_str(&format!("{number} {last} {}\n", primary["docs"]["count"]));
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_index_is_told_by_its_uuid_and_its_blocks() {
        let found = parse(&json!({ "metadata": { "cluster_uuid": "c1", "indices": {
            "movies": { "settings": { "index": { "uuid": "u1", "version": { "created": "5061699" }, "blocks": { "write": "true", "read_only": "false" } } } },
        } } }));
        let movies = &found.indices["movies"];
        assert_eq!((found.cluster.as_str(), movies.uuid.as_str(), movies.created), ("c1", "u1", Some(5_061_699)));
        assert!(movies.is_write_blocked() && movies.blocks == ["write"]);
    }

    #[test]
    fn a_shard_without_a_sequence_number_gives_no_digest() {
        let shard = |seq_no: Value| json!({ "indices": { "m": { "uuid": "u", "shards": { "0": [{ "routing": { "primary": true }, "docs": { "count": 3 }, "seq_no": seq_no }] } } } });
        assert!(primaries(&shard(json!({ "max_seq_no": 2 }))).is_some());
        assert_eq!(primaries(&shard(Value::Null)), None);
    }
}
