//! Metadata rewritten for a selection: a root that names only what is kept, a snapshot's description for a subset of its indices, and a
//! shard's list of files for the snapshots that are kept.
//!
//! Pure functions from bytes to bytes: the same input gives the same output, and what is not to be changed stays as it was written,
//! unknown fields included. Which blobs are read and where the results go is up to the caller. `docs/repository.md`, "Selecting".

mod info;
mod root;
mod shard;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_smile::value::Value;

pub use self::info::snapshot_info;
pub use self::root::root;
pub use self::shard::{ShardFiles, generation_of};
use super::name::Name;

/// What a rewritten root names.
#[derive(Debug, Clone, Default)]
pub struct Keep {
    /// The snapshots that stay, by their ids, each with the indices that stay of it.
    pub snapshots: BTreeMap<Name, KeptIndices>,
    /// New generations of shards' lists of files: by the id of the index, then by the number of the shard. The others stay.
    pub generations: BTreeMap<Name, BTreeMap<u32, String>>,
    /// Another id for the repository; only where it has one (Elasticsearch from 7.12).
    pub uuid: Option<String>,
}

/// The indices of a snapshot that stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptIndices {
    /// All that the root lists.
    All,
    /// Those with these ids. Many snapshots share one set, hence the `Arc`.
    These(Arc<BTreeSet<Name>>),
}

impl Keep {
    /// Whether the index with the id `index` stays in the snapshot with the id `snapshot`.
    #[must_use]
    pub fn has(&self, snapshot: &str, index: &str) -> bool {
        match self.snapshots.get(snapshot) {
            None => false,
            Some(KeptIndices::All) => true,
            Some(KeptIndices::These(indices)) => indices.contains(index),
        }
    }
}

/// A member of an object; none of anything else.
fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    match object {
        Value::Object(members) => members.get(name),
        _ => None,
    }
}
