//! What older roots of a repository name and the newest does not: what may go once no reader starts from an older root any more.
//!
//! 1. The older roots are compared with the newest ([`Difference`]): snapshots, pairs of snapshot and index, generations of shards.
//! 2. What belongs to those is read, shard by shard, and compared with what the surviving snapshots need ([`Survey`]).
//!
//! Only what a root once named can be surplus, never what is merely unknown: an object that nobody ever published is somebody else's, or
//! that of a copy under way. If anything that survives cannot be read, nothing is surplus.

mod difference;
mod needs;
mod survey;

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};

pub use self::difference::Difference;
pub use self::survey::Survey;
use super::base::Base;
use super::generation::Generation;
use super::layout::{BlobKind, kind};
use super::name::Name;
use crate::error::Result;
use crate::store::{Key, ListOptions, ObjectMeta};
use crate::transfer::{Spool, Totals};

/// What a surplus object is. The order is that in which they go: whatever is needed to find the others goes after them, so that a
/// deletion that was broken off can be taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SurplusKind {
    /// A Lucene file, or a part of one.
    Data,
    /// The list of files of a shard in one snapshot.
    ShardSnapshot,
    /// The list of files of a shard in all snapshots.
    ShardIndex,
    /// The metadata of an index.
    IndexMeta,
    /// Where the shards of an index lie.
    ShardPaths,
    /// The cluster state that belongs to a snapshot.
    GlobalMeta,
    /// The description of a snapshot. While it is there, something of the snapshot may be.
    SnapshotInfo,
    /// A root.
    Root,
}

impl SurplusKind {
    /// All kinds, in their order.
    pub const ALL: [Self; 8] = [
        Self::Data,
        Self::ShardSnapshot,
        Self::ShardIndex,
        Self::IndexMeta,
        Self::ShardPaths,
        Self::GlobalMeta,
        Self::SnapshotInfo,
        Self::Root,
    ];

    /// The word for it in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::ShardSnapshot => "shard_snapshot",
            Self::ShardIndex => "shard_index",
            Self::IndexMeta => "index_meta",
            Self::ShardPaths => "shard_paths",
            Self::GlobalMeta => "global_meta",
            Self::SnapshotInfo => "snapshot_info",
            Self::Root => "root",
        }
    }
}

/// An object that may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurplusObject {
    /// Its key in the store.
    pub key: Key,
    /// Its length in bytes; of data, as the metadata says it.
    pub bytes: u64,
}

/// All objects that may go. It may have any number of them: they are kept as a [`Spool`] keeps its entries.
#[derive(Debug, Default)]
pub struct Surplus {
    /// The snapshots they belonged to, by their ids, with their names; those of which a part was there still.
    pub snapshots: BTreeMap<Name, Name>,
    objects: BTreeMap<SurplusKind, Spool<SurplusObject>>,
    totals: BTreeMap<SurplusKind, Totals>,
}

impl Surplus {
    /// Adds an object.
    pub fn push(&mut self, kind: SurplusKind, key: Key, bytes: u64) -> Result<()> {
        self.totals.entry(kind).or_default().add(bytes);
        self.objects.entry(kind).or_default().push(SurplusObject { key, bytes })
    }

    /// How many there are of each kind.
    #[must_use]
    pub fn totals(&self) -> &BTreeMap<SurplusKind, Totals> {
        &self.totals
    }

    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> Totals {
        self.totals.values().fold(Totals::default(), |sum, totals| Totals {
            objects: sum.objects + totals.objects,
            bytes: sum.bytes + totals.bytes,
        })
    }

    /// Takes the objects of a kind.
    pub fn take(&mut self, kind: SurplusKind) -> Spool<SurplusObject> {
        self.objects.remove(&kind).unwrap_or_default()
    }
}

/// The roots of a repository, oldest first.
pub async fn roots(base: &Base) -> Result<Vec<(Generation, ObjectMeta)>> {
    let prefix = base.key("index-").as_str().to_owned();
    let mut pages = base.store.list(ListOptions { prefix, after: None });
    let mut roots = Vec::new();
    while let Some(page) = pages.try_next().await? {
        for meta in page {
            if let Some(BlobKind::RootIndex(generation)) = base.name(&meta.key).map(kind) {
                roots.push((generation, meta));
            }
        }
    }
    roots.sort_by_key(|(generation, _)| *generation);
    Ok(roots)
}
