//! What surviving snapshots need: the objects of a shard by their names, and how many there are in all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::survey::AT_ONCE;
use crate::error::{Error, ErrorKind, Result};
use crate::repo::{FileEntry, IndexEntry, Name, Reader, Shard, ShardFailure, SnapshotEntry};

/// The snapshots of an index that survive.
pub(super) type Survivors<'a> = Arc<Vec<&'a SnapshotEntry>>;

/// Shards that a snapshot has not, by the name of the index and their number.
type Failures = Arc<BTreeSet<(String, u32)>>;

/// What the newest root needs.
pub(super) struct Needs<'a> {
    newest: &'a Reader,
    /// The shards that were read, by the id of the index and their number. Those of a survey, and of its [`count`](Self::count).
    seen: Mutex<HashSet<(Name, u32)>>,
    /// The shards that snapshots are known not to have.
    failures: Mutex<BTreeMap<Name, Failures>>,
    /// How many objects are known to be needed by now.
    known: Mutex<u64>,
}

impl<'a> Needs<'a> {
    pub(super) fn new(newest: &'a Reader) -> Self {
        let known = Mutex::new(named_by_root(newest));
        Self { newest, seen: Mutex::default(), failures: Mutex::default(), known }
    }

    /// The snapshots that have an index, given by all its entries.
    pub(super) fn survivors(&self, entries: &[&IndexEntry]) -> Survivors<'a> {
        let uuids: HashSet<&Name> = entries.iter().flat_map(|entry| &entry.snapshots).collect();
        Arc::new(self.newest.root.snapshots.iter().filter(|snapshot| uuids.contains(&snapshot.uuid)).collect())
    }

    /// The names of the objects that survivors need in a shard: what each one's own list of files has, which is what a restore reads, and
    /// what the list of all snapshots has besides.
    pub(super) async fn of(&self, shard: &Shard, survivors: &[&SnapshotEntry]) -> Result<HashSet<String>> {
        let mut needed = HashSet::new();
        if let Some(generation) = &shard.generation {
            match self.newest.shard_index(shard, generation).await {
                Ok(list) => {
                    let names: HashSet<&str> = survivors
                        .iter()
                        .filter_map(|survivor| list.says.snapshots.get(survivor.name.as_str()))
                        .flat_map(|listed| listed.files.iter().map(String::as_str))
                        .collect();
                    let files = list.says.files.iter().filter(|file| names.contains(file.name.as_str()));
                    needed.extend(files.flat_map(FileEntry::parts).map(|part| part.name));
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {
                    tracing::warn!(%error, "the list of each snapshot is read anyway");
                }
                Err(error) => return Err(error),
            }
        }
        for survivor in survivors {
            match self.newest.shard_snapshot(shard, &survivor.uuid).await {
                Ok(read) => needed.extend(read.says.files.iter().flat_map(FileEntry::parts).map(|part| part.name)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.must_have_failed(shard, &survivor.name, &survivor.uuid).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.see(shard, needed.len() as u64);
        Ok(needed)
    }

    /// A snapshot may lack a shard only if it says so.
    async fn must_have_failed(&self, shard: &Shard, name: &str, uuid: &Name) -> Result<()> {
        let known = self.failures.lock().unwrap_or_else(PoisonError::into_inner).get(uuid).cloned();
        let failures = if let Some(known) = known {
            known
        } else {
            let info = self.newest.info(uuid).await?.says;
            let shard = |failure: ShardFailure| Some((failure.index, u32::try_from(failure.shard_id).ok()?));
            let failures: Failures = Arc::new(info.failures.into_iter().filter_map(shard).collect());
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).insert(uuid.clone(), failures.clone());
            failures
        };
        if failures.contains(&(shard.index.as_str().to_owned(), shard.number)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Corrupt, format!("read {:?}", shard.snapshot_key(uuid)))
            .because(format!("it is not there, and the snapshot `{}` needs it", name.escape_default())))
    }

    /// How many objects the newest root needs, counted until there are `enough`: the lists of files of shards in which nothing has
    /// vanished are read only for that. Errors for a survivor that cannot be read.
    pub(super) async fn count(&self, enough: u64) -> Result<u64> {
        let mut shards = stream::iter(&self.newest.root.indices)
            .map(|(name, entry)| self.shards(name, entry))
            .buffered(AT_ONCE)
            .map_ok(|shards| stream::iter(shards).map(Ok::<_, Error>))
            .try_flatten()
            .map_ok(async |(shard, survivors)| {
                if !self.has_seen(&shard) {
                    self.of(&shard, &survivors).await?;
                }
                Ok(())
            })
            .try_buffered(AT_ONCE)
            .boxed_local();
        while self.at_least() < enough {
            if shards.try_next().await?.is_none() {
                break;
            }
        }
        Ok(self.at_least())
    }

    /// The shards of an index; where the root does not say how many, its metadata does.
    async fn shards(&self, name: &str, entry: &IndexEntry) -> Result<Vec<(Shard, Survivors<'a>)>> {
        let survivors = self.survivors(&[entry]);
        let listed = entry.shard_generations.as_ref().map_or(0, Vec::len);
        let count = match (u32::try_from(listed).unwrap_or(u32::MAX), survivors.first()) {
            (0, Some(first)) => {
                let key = self.newest.index_meta_key(first, entry);
                self.newest.index_meta(key, name).await?.says.number_of_shards()
            }
            (count, _) => count,
        };
        let shards = self.newest.shards(name, entry, count)?;
        Ok(shards.into_iter().map(|shard| (shard, survivors.clone())).collect())
    }

    /// How many objects the newest root is known to need by now.
    fn at_least(&self) -> u64 {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, shard: &Shard, needed: u64) {
        if self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert((shard.id.clone(), shard.number)) {
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) += needed;
        }
    }

    fn has_seen(&self, shard: &Shard) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains(&(shard.id.clone(), shard.number))
    }
}

/// How many objects a root names without a look at any of them.
fn named_by_root(reader: &Reader) -> u64 {
    let root = &reader.root;
    let mut named = 1 + 2 * root.snapshots.len() as u64;
    let snapshots: HashMap<&Name, _> = root.snapshots.iter().map(|snapshot| (&snapshot.uuid, snapshot)).collect();
    for entry in root.indices.values() {
        let metas: HashSet<&str> = entry
            .snapshots
            .iter()
            .filter_map(|uuid| Some(root.index_meta(snapshots.get(uuid).copied()?, entry)))
            .collect();
        let shards = entry.shard_generations.as_ref().map_or(0, Vec::len) as u64;
        named += metas.len() as u64 + shards + shards.max(1) * entry.snapshots.len() as u64;
    }
    named
}
