//! The indices of a walk: their metadata, and which shards are to be walked through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use super::{Look, READS, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::repo::IndexMeta;
use crate::repo::container::PathType;
use crate::repo::data::IndexEntry;
use crate::repo::name::Name;
use crate::repo::reader::{Read, Shard};
use crate::transfer::Want;

/// The level of metadata of indices.
const LEVEL: usize = 1;

/// What is to be done for an index.
#[derive(Debug, Default)]
pub(super) struct WalkedIndex {
    pub(super) metas: Vec<Want>,
    pub(super) shards: Vec<ShardWalk>,
}

/// A shard to be walked through.
#[derive(Debug, Clone)]
pub(super) struct ShardWalk {
    /// The shard at the source.
    pub(super) shard: Shard,
    /// Its container at the target.
    pub(super) container: String,
    /// The snapshots to be walked through, by id and name.
    pub(super) added: Vec<(Name, Name)>,
    /// The generation of its list of files at the target.
    pub(super) generation_there: Option<Name>,
}

impl Walk {
    /// Reads what an index needs besides its shards, and says which shards need what.
    pub(super) async fn index(self: Arc<Self>, name: String) -> Result<WalkedIndex> {
        let root = self.root().clone();
        let index = &root.indices[&name];
        let mut added = self.added(&name, index);
        let lists_changed = self.lists_changed(&name, index);
        if added.is_empty() && !lists_changed {
            self.keep_generations(index);
            return Ok(WalkedIndex::default());
        }
        let mut walked = WalkedIndex::default();
        let mut counts = self.metas(&name, index, &mut added, &mut walked.metas).await?;
        if lists_changed && index.shard_generations.is_none() {
            // Only an index's metadata tells how many lists there are.
            let held = |uuid: &&Name| self.desired.held.contains(*uuid);
            let mut all: Vec<Name> = self.desired.of(&name, index).filter(|uuid| !held(uuid)).cloned().collect();
            counts.extend(self.metas(&name, index, &mut all, &mut Vec::new()).await?);
        }
        self.paths(index, &mut walked.metas)?;
        let most = counts.values().copied().max().unwrap_or(0);
        let listed = index.shard_generations.as_ref().map_or(0, Vec::len);
        let most = most.max(if lists_changed { u32::try_from(listed).unwrap_or(u32::MAX) } else { 0 });
        let containers = self.source.containers(index)?;
        let there = self.index_there(index);
        for shard in self.source.shards(&name, index, most)? {
            let has = |uuid: &&Name| counts.get(*uuid).is_some_and(|count| shard.number < *count);
            let named = |uuid: &Name| (uuid.clone(), root.snapshot(uuid).expect("the root lists it").name.clone());
            walked.shards.push(ShardWalk {
                container: containers.of(&self.target.path, shard.number),
                added: added.iter().filter(has).map(named).collect(),
                generation_there: there.and_then(|there| there.generation(shard.number)).cloned(),
                shard,
            });
        }
        Ok(walked)
    }

    /// Whether the lists of files of an index's shards are others than those at the target.
    pub(super) fn lists_changed(&self, name: &str, index: &IndexEntry) -> bool {
        let Some(there) = self.index_there(index) else { return false };
        let whole = self.desired.of(name, index).count() == index.snapshots.len();
        let fewer =
            there.snapshots.iter().any(|uuid| !index.snapshots.contains(uuid) || !self.desired.has(name, index, uuid));
        self.look == Look::Deep || fewer || whole && index.shard_generations != there.shard_generations
    }

    /// An index that stays as it is at the target keeps its lists of files there.
    pub(super) fn keep_generations(&self, index: &IndexEntry) {
        let Some(there) = self.index_there(index) else { return };
        let lists = index.shard_generations.as_ref().map_or(0, Vec::len);
        for number in 0..u32::try_from(lists).unwrap_or(u32::MAX) {
            if let Some(generation) = there.generation(number)
                && index.generation(number) != Some(generation)
            {
                self.set_generation(&index.id, number, generation);
            }
        }
    }

    pub(super) fn set_generation(&self, id: &Name, number: u32, generation: &str) {
        self.found.inner().generations.entry(id.clone()).or_default().insert(number, generation.to_owned());
    }

    /// Reads the metadata of an index in the snapshots that are added, and takes out those whose metadata cannot be read. Gives the number
    /// of shards in each.
    async fn metas(
        &self,
        name: &str,
        index: &IndexEntry,
        added: &mut Vec<Name>,
        wants: &mut Vec<Want>,
    ) -> Result<BTreeMap<Name, u32>> {
        let root = self.root();
        let mut users: BTreeMap<&str, Vec<Name>> = BTreeMap::new();
        for uuid in added.iter() {
            let snapshot = root.snapshot(uuid).expect("the root lists it");
            users.entry(root.index_meta(snapshot, index)).or_default().push(uuid.clone());
        }
        let there = self.metas_there(index);
        let reads: Vec<_> = users
            .into_iter()
            .map(|(blob, users)| async move {
                let key = self.source.base.key(&format!("indices/{}/meta-{blob}.dat", index.id));
                (users, blob, self.source.index_meta(key, name).await)
            })
            .collect();
        let reads: Vec<_> = stream::iter(reads).buffered(READS).collect().await;
        let mut counts = BTreeMap::new();
        for (users, blob, read) in reads {
            let count = match read.and_then(|read| Ok((shards(index, &read)?, read))) {
                Ok((count, read)) => {
                    if self.look == Look::Deep || !there.contains(blob) {
                        wants.push(self.meta(&read.key, &read.bytes, LEVEL)?);
                    }
                    count
                }
                Err(error) => {
                    for uuid in &users {
                        let snapshot = root.snapshot(uuid).expect("the root lists it");
                        self.note(uuid, &snapshot.name, error.duplicate(), None)?;
                    }
                    added.retain(|uuid| !users.contains(uuid));
                    continue;
                }
            };
            for uuid in users {
                let mut inner = self.found.inner();
                if inner.descriptions.contains_key(&uuid) {
                    inner.shards.entry(uuid.clone()).or_default().insert(name.to_owned(), count);
                }
                drop(inner);
                counts.insert(uuid, count);
            }
        }
        Ok(counts)
    }

    /// The metadata blobs of an index that the target's root names.
    fn metas_there(&self, index: &IndexEntry) -> BTreeSet<String> {
        let (Some(there), Some(entry)) = (&self.there, self.index_there(index)) else { return BTreeSet::new() };
        let snapshots = entry.snapshots.iter().filter_map(|uuid| there.root.snapshot(uuid));
        snapshots.map(|snapshot| there.root.index_meta(snapshot, entry).to_owned()).collect()
    }

    /// The file that says where the shards of an index lie: with the paths of the target.
    fn paths(&self, index: &IndexEntry, wants: &mut Vec<Want>) -> Result<()> {
        if index.path_type()? == PathType::Fixed {
            return Ok(());
        }
        let Some((key, bytes)) = self.source.paths_for(index, &self.target)? else { return Ok(()) };
        wants.push(self.meta(&key, &bytes, LEVEL)?);
        Ok(())
    }
}

/// How many shards an index's metadata says it has; the root must have a list of files for every one.
fn shards(index: &IndexEntry, read: &Read<IndexMeta>) -> Result<u32> {
    let count = read.says.number_of_shards();
    match &index.shard_generations {
        Some(lists) if lists.len() < count as usize => {
            let cause = format!("it says {count} shards and the root {}", lists.len());
            Err(Error::new(ErrorKind::Corrupt, format!("read {:?}", read.key)).because(cause))
        }
        _ => Ok(count),
    }
}
