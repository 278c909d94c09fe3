//! What an inspection tells. Everything here is also the JSON: fields are added, never renamed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::repo::{FileEntry, Name, Shard};
use crate::transfer::Totals;

/// A repository as its newest root shows it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `F1` to `F4`: how old its format is.
    pub family: &'static str,
    /// The N of its newest root `index-<N>`.
    pub generation: u64,
    /// Its own id; none in OpenSearch and before Elasticsearch 7.12.
    pub repository_uuid: Option<String>,
    /// The id of the cluster that wrote it last; as the one above.
    pub cluster_id: Option<String>,
    /// The oldest Elasticsearch that reads it, if it says so.
    pub min_version: Option<String>,
    /// Whether shards lie beside its base path.
    pub shards_outside: bool,
    /// The snapshots that were asked for, the oldest first.
    pub snapshots: Vec<Snapshot>,
    /// What no snapshot needs, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub garbage: Option<Garbage>,
}

impl Report {
    /// Whether any metadata that was looked at is damaged or missing.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.snapshots.iter().any(|snapshot| snapshot.damaged.is_some())
    }
}

/// A snapshot.
#[derive(Debug, Default, Serialize)]
pub struct Snapshot {
    /// The name the user gave it.
    pub name: String,
    /// Its id.
    pub uuid: String,
    /// As the cluster tells it: `SUCCESS`, `PARTIAL`, `FAILED`, …
    pub state: String,
    /// As the cluster that made it tells its version.
    pub version: Option<String>,
    /// That version as a number.
    pub version_id: Option<i64>,
    /// The releases that write this number: `8.12.1-8.12.2`.
    pub releases: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub start_time_in_millis: Option<i64>,
    /// When it ended, in milliseconds since 1970.
    pub end_time_in_millis: Option<i64>,
    /// How long it took, in milliseconds.
    pub duration_in_millis: Option<i64>,
    /// Whether the cluster state is in it; not said before Elasticsearch 6.
    pub include_global_state: Option<bool>,
    /// Its indices, by name.
    pub indices: Vec<Name>,
    /// Its data streams.
    pub data_streams: Vec<String>,
    /// Features of the cluster with the indices that hold their state.
    pub feature_states: Vec<FeatureState>,
    /// Its shards.
    pub shards: Shards,
    /// The lengths of all its files together, those it shares with other snapshots and those that lie in its metadata included:
    /// `stats.total` of the cluster's `_status`. None if sizes were not asked for.
    pub bytes: Option<u64>,
    /// How many files these are.
    pub files: Option<u64>,
    /// The bytes that this snapshot had to write when it was made: `stats.incremental`. What a snapshot that was deleted since wrote
    /// is nowhere in these, so they need not add up to what lies there.
    pub incremental_bytes: Option<u64>,
    /// How many files these are.
    pub incremental_files: Option<u64>,
    /// Shards that it has not, with the reason.
    pub failures: Vec<Failure>,
    /// What of its metadata is damaged or missing; everything above is then as far as it could be read.
    pub damaged: Option<String>,
    /// Why snapferry cannot look into it, though nothing is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
    /// What would come of a restore, for each version that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restorable: Vec<Restorable>,
    /// Its indices in detail, if they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub index_details: Vec<IndexDetail>,
}

/// Shards of a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Shards {
    /// How many it should have.
    pub total: i64,
    /// How many of them it has not.
    pub failed: i64,
    /// How many it has.
    pub successful: i64,
}

/// A feature of the cluster.
#[derive(Debug, Serialize)]
pub struct FeatureState {
    /// Its name.
    pub feature_name: String,
    /// The indices that hold its state.
    pub indices: Vec<String>,
}

/// A shard that a snapshot has not.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Its index.
    pub index: String,
    /// Its number.
    pub shard: i64,
    /// Why.
    pub reason: Option<String>,
}

/// What would come of restoring a snapshot to one version.
#[derive(Debug, Serialize)]
pub struct Restorable {
    /// Which version: `elasticsearch-8.12`.
    #[serde(rename = "for")]
    pub target: String,
    /// `yes`, `read-only`, `archive`, `partial`, `unknown`, `no`; `mixed` if its indices differ.
    pub verdict: &'static str,
    /// Why, if it is the same for the whole snapshot.
    pub reason: Option<Arc<str>>,
    /// The same for each index.
    pub indices: Vec<IndexVerdict>,
}

/// What would come of restoring an index.
#[derive(Debug, Serialize)]
pub struct IndexVerdict {
    /// Its name.
    pub name: Name,
    /// As for the snapshot, but never `mixed`.
    pub verdict: &'static str,
    /// Why, if it is not a plain yes.
    pub reason: Option<Arc<str>>,
}

/// An index in a snapshot.
#[derive(Debug, Serialize)]
pub struct IndexDetail {
    /// Its name.
    pub name: Name,
    /// Its id in the repository.
    pub id: Name,
    /// Its own id.
    pub uuid: Option<String>,
    /// How many shards it has.
    pub shards: Option<u32>,
    /// The version that created it.
    pub created: Option<String>,
    /// That version as a number.
    pub created_id: Option<i64>,
    /// `open` or `close`.
    pub state: Option<String>,
    /// `index.store.type`, if it has one.
    pub store_type: Option<String>,
    /// Its aliases.
    pub aliases: Vec<String>,
    /// As for the snapshot.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Its files by shard, if they were asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub shard_files: BTreeMap<u32, Vec<File>>,
}

/// Sizes, of a shard, an index or a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// The lengths of all files.
    pub bytes: u64,
    /// How many.
    pub files: u64,
    /// The lengths of those that the snapshot had to write.
    pub incremental_bytes: u64,
    /// How many.
    pub incremental_files: u64,
}

impl Sizes {
    pub(super) fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
        self.incremental_bytes = self.incremental_bytes.saturating_add(other.incremental_bytes);
        self.incremental_files = self.incremental_files.saturating_add(other.incremental_files);
    }
}

/// A Lucene file.
#[derive(Debug, Serialize)]
pub struct File {
    /// Its name in Lucene's directory.
    pub physical_name: String,
    /// The key of the object that holds it, or what the keys of its parts begin with; none if it lies in the metadata.
    pub key: Option<String>,
    /// Its length in bytes.
    pub length: u64,
    /// How many objects hold it: none if it lies in the metadata.
    pub parts: u64,
    /// The CRC-32 of its Lucene footer, in base 36 as the metadata has it.
    pub checksum: Option<String>,
    /// The Lucene version that wrote it.
    pub written_by: Option<String>,
    /// Whether it lies in the metadata.
    #[serde(rename = "virtual")]
    pub is_virtual: bool,
}

impl File {
    pub(super) fn of(shard: &Shard, entry: &FileEntry) -> Self {
        Self {
            physical_name: entry.physical_name.clone(),
            key: (!entry.is_virtual()).then(|| format!("{}{}", shard.container, entry.name)),
            length: entry.length,
            parts: entry.parts().count() as u64,
            checksum: entry.checksum.map(base_36),
            written_by: entry.written_by.clone(),
            is_virtual: entry.is_virtual(),
        }
    }
}

/// A number as Java prints it in base 36.
fn base_36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(number % 36, 36).expect("it is below 36"));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// What lies in the location and no snapshot of the newest root needs. A snapshot that is being taken while it is looked for counts too.
#[derive(Debug, Default, Serialize)]
pub struct Garbage {
    /// All of it.
    #[serde(flatten)]
    pub totals: Totals,
    /// The same by kind: `data` (files of shards), `shard_lists` (superseded lists of a shard's files), `shard_snapshots`,
    /// `index_metadata` and `snapshot_metadata` (of snapshots that are gone), `shard_paths`, `roots` (older ones), `leftovers` (of
    /// verification and of broken writes), `foreign` (not of the format).
    pub kinds: BTreeMap<&'static str, Totals>,
    /// What may be needed: it lies in shards whose metadata cannot be read.
    pub undecided: Totals,
}

impl Garbage {
    pub(super) fn count(&mut self, found: Found, bytes: u64) {
        match found {
            Found::Needed => {}
            Found::Undecided => self.undecided.add(bytes),
            Found::Garbage(kind) => {
                self.totals.add(bytes);
                self.kinds.entry(kind).or_default().add(bytes);
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        let add = |to: &mut Totals, more: Totals| {
            to.objects += more.objects;
            to.bytes += more.bytes;
        };
        add(&mut self.totals, other.totals);
        add(&mut self.undecided, other.undecided);
        for (kind, totals) in other.kinds {
            add(self.kinds.entry(kind).or_default(), totals);
        }
    }
}

/// What an object of the location is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A snapshot needs it.
    Needed,
    /// A snapshot may need it.
    Undecided,
    /// No snapshot needs it.
    Garbage(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_shown_as_java_prints_them() {
        assert_eq!([0, 35, 36, u32::MAX].map(base_36), ["0", "z", "10", "1z141z3"]);
    }
}
