//! What a snapshot says of itself: `snap-<uuid>.dat` at the root.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::codec::Codec;
use crate::error::{Error, ErrorKind, Result};

/// A snapshot's description.
#[derive(Debug, Clone, Deserialize)]
pub struct SnapshotInfo {
    /// The name the user gave it.
    pub name: String,
    /// Its id; before 5.0 there was none.
    pub uuid: Option<String>,
    /// The version of the cluster that made it, as a number: 7100299 is 7.10.2; from 8.11 on a number of its own kind.
    #[serde(default)]
    pub version_id: i64,
    /// The indices in it.
    #[serde(default)]
    pub indices: Vec<String>,
    /// The data streams in it (from 7.9).
    #[serde(default)]
    pub data_streams: Vec<String>,
    /// `SUCCESS`, `PARTIAL`, `FAILED`, `IN_PROGRESS` or `INCOMPATIBLE`.
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether the cluster state is in it; not said before 6.x.
    pub include_global_state: Option<bool>,
    /// When it began, in milliseconds since 1970.
    #[serde(default)]
    pub start_time: i64,
    /// When it ended, in milliseconds since 1970.
    #[serde(default)]
    pub end_time: i64,
    /// How many shards it should have.
    #[serde(default)]
    pub total_shards: i64,
    /// How many it has.
    #[serde(default)]
    pub successful_shards: i64,
    /// The shards it has not.
    #[serde(default)]
    pub failures: Vec<ShardFailure>,
    /// Features of the cluster with the indices that hold their state (from 7.12).
    #[serde(default)]
    pub feature_states: Vec<FeatureState>,
    /// Sizes by index (from 7.13).
    #[serde(default)]
    pub index_details: BTreeMap<String, IndexDetails>,
    /// OpenSearch: whether its data stays in the remote store of the cluster.
    #[serde(default)]
    pub remote_store_index_shallow_copy: Option<bool>,
    /// OpenSearch: the time that a shallow snapshot of the second kind is pinned at, in milliseconds since 1970; 0 or less for none.
    #[serde(default)]
    pub pinned_timestamp: Option<i64>,
}

/// A shard that a snapshot does not have.
#[derive(Debug, Clone, Deserialize)]
pub struct ShardFailure {
    /// Its index.
    pub index: String,
    /// Its number.
    #[serde(default)]
    pub shard_id: i64,
    /// Why.
    pub reason: Option<String>,
}

/// A feature of the cluster.
#[derive(Debug, Clone, Deserialize)]
pub struct FeatureState {
    /// Its name.
    #[serde(default)]
    pub feature_name: String,
    /// The indices that hold its state.
    #[serde(default)]
    pub indices: Vec<String>,
}

/// What a snapshot tells of the size of an index.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct IndexDetails {
    /// How many shards it has.
    #[serde(default)]
    pub shard_count: i64,
    /// Its bytes.
    #[serde(default)]
    pub size_in_bytes: i64,
}

impl SnapshotInfo {
    /// Reads a `snap-<uuid>.dat` of the root; `name` is its key.
    ///
    /// [`ErrorKind::Unsupported`] for a snapshot whose data lies elsewhere, [`ErrorKind::Corrupt`] for anything that is none.
    pub fn parse(name: &str, blob: &[u8]) -> Result<Self> {
        // The description is the one member of the object.
        #[derive(Deserialize)]
        struct Outer {
            snapshot: SnapshotInfo,
        }
        let info = Codec::Snapshot.decode::<Outer>(name, blob)?.snapshot;
        if info.is_shallow() {
            return Err(shallow(&info.name));
        }
        Ok(info)
    }

    /// Whether its data lies in the cluster's remote store and not here.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.remote_store_index_shallow_copy == Some(true) || self.pinned_timestamp.is_some_and(|time| time > 0)
    }

    /// Whether that shard is known to be missing.
    #[must_use]
    pub fn has_failed(&self, index: &str, shard: u32) -> bool {
        self.failures.iter().any(|failure| failure.index == index && failure.shard_id == i64::from(shard))
    }
}

/// The refusal of a snapshot whose data lies elsewhere.
pub(super) fn shallow(snapshot: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("copy the snapshot `{snapshot}`"))
        .because("it is a shallow snapshot of OpenSearch: its data lies in the remote store of the cluster and not in this repository")
        .hint("take a snapshot into a repository registered with `remote_store_index_shallow_copy: false`, and copy that one; or leave this one out with `--snapshots`")
}
