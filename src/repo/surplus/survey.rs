//! Reads what has vanished and what survives, shard by shard, and tells which objects only the vanished needed.
//!
//! 1. A vanished snapshot whose description is gone was removed before, wholly: it is skipped.
//! 2. Of each shard, the files of its vanished snapshots are read. A list that is not there was removed before; one that is damaged
//!    leaves the shard as it is.
//! 3. The files that surviving snapshots need come from the shard's list of all snapshots, if the newest root names one and it has all
//!    of them, else from the list of each. If one cannot be read, nothing is surplus.
//! 4. An object that a vanished snapshot names and no survivor does is surplus. Names are compared, not contents: a name that was used
//!    again belongs to whoever uses it now.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::difference::{Difference, VanishedIndex, by_id};
use super::needs::{Needs, Survivors};
use super::{Surplus, SurplusKind};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::repo::{FileEntry, IndexEntry, Name, Reader, Shard};
use crate::store::{Key, ListOptions};

/// Requests under way at once. They are small, and an endpoint that bears fewer says so.
pub(super) const AT_ONCE: usize = 32;

/// A reading of what older roots named, with the newest root as the measure.
pub struct Survey<'a> {
    newest: &'a Reader,
    needs: Needs<'a>,
    reporter: &'a dyn Reporter,
}

/// A shard of which something has vanished.
struct Task<'a> {
    shard: Shard,
    vanished: Arc<VanishedIndex>,
    survivors: Survivors<'a>,
}

/// What is to be looked into, or was found.
enum Job<'a> {
    Found(Found),
    Shard(Task<'a>),
}

type Found = Vec<(SurplusKind, Key, u64)>;

impl<'a> Survey<'a> {
    /// A survey of the repository that `newest` reads.
    #[must_use]
    pub fn new(newest: &'a Reader, reporter: &'a dyn Reporter) -> Self {
        Self { newest, needs: Needs::new(newest), reporter }
    }

    /// The objects that only the difference needs. An error means that nothing may be deleted.
    pub async fn surplus(&self, mut difference: Difference) -> Result<Surplus> {
        let mut surplus = Surplus::default();
        let infos = self.of_snapshots(&mut difference).await?;
        surplus.snapshots = std::mem::take(&mut difference.snapshots);
        let indices = std::mem::take(&mut difference.indices);
        let elsewhere: BTreeSet<Name> =
            indices.iter().filter(|(_, index)| index.is_elsewhere && index.is_gone).map(|(id, _)| id.clone()).collect();
        let entries = by_id(&self.newest.root);
        let mut found = stream::iter(indices)
            .map(|(id, index)| {
                // With two entries for one id nothing of either is known for sure: the survivors of both count.
                let of_id = entries.get(&id).map_or(&[][..], Vec::as_slice);
                self.index(id, index, of_id.to_vec())
            })
            .buffered(AT_ONCE)
            .map_ok(|jobs| stream::iter(jobs).map(Ok))
            .try_flatten()
            .map_ok(async |job| match job {
                Job::Found(found) => Ok(found),
                Job::Shard(task) => self.shard(task).await,
            })
            .try_buffered(AT_ONCE)
            .boxed_local();
        while let Some(found) = found.try_next().await? {
            for (kind, key, bytes) in found {
                surplus.push(kind, key, bytes)?;
            }
        }
        drop(found);
        self.of_paths(&elsewhere, &mut surplus).await?;
        for (kind, key, bytes) in infos {
            surplus.push(kind, key, bytes)?;
        }
        Ok(surplus)
    }

    /// Step 1; gives the objects at the root that belong to the others.
    async fn of_snapshots(&self, difference: &mut Difference) -> Result<Found> {
        let heads: Vec<(Name, Option<Found>)> = stream::iter(difference.snapshots.keys().cloned().collect::<Vec<_>>())
            .map(async |uuid| {
                let (global, info) = (self.newest.global_key(&uuid), self.newest.info_key(&uuid));
                let Some(bytes) = self.length(&info).await? else { return Ok((uuid, None)) };
                let mut found = vec![(SurplusKind::SnapshotInfo, info, bytes)];
                if let Some(bytes) = self.length(&global).await? {
                    found.push((SurplusKind::GlobalMeta, global, bytes));
                }
                Ok::<_, Error>((uuid, Some(found)))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let removed = heads.iter().filter(|(_, found)| found.is_none()).map(|(uuid, _)| uuid.clone()).collect();
        difference.forget(&removed);
        Ok(heads.into_iter().filter_map(|(_, found)| found).flatten().collect())
    }

    /// The metadata of an index that nothing needs, and its shards.
    async fn index(&self, id: Name, index: VanishedIndex, entries: Vec<&'a IndexEntry>) -> Result<Vec<Job<'a>>> {
        let survivors = self.needs.survivors(&entries);
        let root = &self.newest.root;
        let metas = |entry| survivors.iter().map(move |snapshot| root.index_meta(snapshot, entry));
        let needed: HashSet<&str> = entries.iter().flat_map(|entry| metas(*entry)).collect();
        let surplus: BTreeSet<&Name> =
            index.snapshots.values().filter(|meta| !needed.contains(meta.as_str())).collect();
        let mut found = Vec::new();
        for meta in surplus {
            let key = self.newest.base.key(&format!("indices/{id}/meta-{meta}.dat"));
            if let Some(bytes) = self.length(&key).await? {
                found.push((SurplusKind::IndexMeta, key, bytes));
            }
        }
        let shards = if index.shards == 0 { self.count_shards(&id, &index).await? } else { index.shards };
        let vanished = Arc::new(index);
        let tasks = (0..shards).map(|number| {
            let generation = entries.iter().find_map(|entry| entry.generation(number)).cloned();
            let shard = vanished.shard(&id, &self.newest.base.path, number, generation);
            Job::Shard(Task { shard, vanished: vanished.clone(), survivors: survivors.clone() })
        });
        Ok(std::iter::once(Job::Found(found)).chain(tasks).collect())
    }

    /// How many shards an index has whose roots do not say it: as its metadata does. Where that is gone, so are the shards.
    async fn count_shards(&self, id: &Name, index: &VanishedIndex) -> Result<u32> {
        for meta in index.snapshots.values() {
            let key = self.newest.base.key(&format!("indices/{id}/meta-{meta}.dat"));
            match self.newest.index_meta(key, &index.name).await {
                Ok(read) => return Ok(read.says.number_of_shards()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => self.warn(&index.name, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }

    /// Steps 2 to 4 for one shard.
    async fn shard(&self, task: Task<'a>) -> Result<Found> {
        let Task { shard, vanished, survivors } = &task;
        let (mut found, mut parts) = (Vec::new(), BTreeMap::new());
        for uuid in vanished.snapshots.keys() {
            match self.newest.shard_snapshot(shard, uuid).await {
                Ok(read) => {
                    found.push((SurplusKind::ShardSnapshot, read.key, read.bytes.len() as u64));
                    parts
                        .extend(read.says.files.iter().flat_map(FileEntry::parts).map(|part| (part.name, part.length)));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.warn(&shard.index, &error);
                    return Ok(Vec::new());
                }
                Err(error) => return Err(error),
            }
        }
        if !parts.is_empty() && !survivors.is_empty() {
            let needed = self.needs.of(shard, survivors).await?;
            parts.retain(|name, _| !needed.contains(name));
        }
        found.extend(parts.into_iter().map(|(name, bytes)| (SurplusKind::Data, shard.key(&name), bytes)));
        self.generations(shard, vanished, &mut found).await?;
        Ok(found)
    }

    /// Lists of files that are superseded. Numbered ones are in no root: they go only with their whole index.
    async fn generations(&self, shard: &Shard, vanished: &VanishedIndex, found: &mut Found) -> Result<()> {
        let superseded = vanished.generations.get(&shard.number);
        for generation in superseded.into_iter().flatten() {
            let key = shard.key(&format!("index-{generation}"));
            if let Some(bytes) = self.length(&key).await? {
                found.push((SurplusKind::ShardIndex, key, bytes));
            }
        }
        if vanished.is_gone && superseded.is_none() && !vanished.snapshots.is_empty() {
            let prefix = format!("{}index-", shard.container);
            let mut pages = self.newest.base.store.list(ListOptions { prefix, after: None });
            while let Some(page) = pages.try_next().await? {
                let lists = page.into_iter().filter(|meta| !meta.key.as_str()[shard.container.len()..].contains('/'));
                found.extend(lists.map(|meta| (SurplusKind::ShardIndex, meta.key, meta.size)));
            }
        }
        Ok(())
    }

    /// The files that say where the shards of indices that are gone lie.
    async fn of_paths(&self, gone: &BTreeSet<Name>, surplus: &mut Surplus) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let prefix = self.newest.base.key("snapshot_shard_paths/").as_str().to_owned();
        let mut pages = self.newest.base.store.list(ListOptions { prefix: prefix.clone(), after: None });
        while let Some(page) = pages.try_next().await? {
            for meta in page {
                let name = &meta.key.as_str()[prefix.len()..];
                let name = name.strip_prefix("snapshot_path_").unwrap_or(name);
                // An id has neither; a name of an index may have dots.
                if name.split_once(['.', '#']).is_some_and(|(id, _)| gone.contains(id)) {
                    surplus.push(SurplusKind::ShardPaths, meta.key, meta.size)?;
                }
            }
        }
        Ok(())
    }

    /// How many objects the newest root needs, counted until there are `enough`. Errors as with [`surplus`](Self::surplus).
    pub async fn count(&self, enough: u64) -> Result<u64> {
        self.needs.count(enough).await
    }

    /// The length of an object; none if it is not there.
    async fn length(&self, key: &Key) -> Result<Option<u64>> {
        match self.newest.base.store.head(key).await {
            Ok(head) => Ok(Some(head.meta.size)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn warn(&self, index: &str, error: &Error) {
        let text = format!(
            "{error}; what vanished snapshots had there of the index `{}` is left alone",
            index.escape_default()
        );
        self.reporter.report(&Event::Warning(&text));
    }
}
