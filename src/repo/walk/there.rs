//! What the target has of a shard: from its own metadata, or from its listing where that is not believed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use futures::stream::TryStreamExt as _;

use super::indices::ShardWalk;
use super::{Look, Walk};
use crate::error::{ErrorKind, Result};
use crate::repo::reader::{Reader, Shard};
use crate::repo::shard::{FileEntry, ShardIndex};
use crate::store::{ListOptions, ObjectMeta};

/// A file's blob by what makes it that and no other: Elasticsearch to 6.7.1 gives a name of a deleted blob to other content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    length: u64,
    checksum: Option<u32>,
    pub(super) cut: bool,
}

impl From<&FileEntry> for Identity {
    fn from(file: &FileEntry) -> Self {
        Self { length: file.length, checksum: file.checksum, cut: file.is_cut() }
    }
}

/// What the target has of a shard.
#[derive(Debug, Default)]
pub(super) struct There {
    /// Files that snapshots of its root have.
    pub(super) files: HashMap<String, Identity>,
    /// Its list of files, if it is needed and could be read.
    pub(super) list: Option<Bytes>,
    /// Its files in single snapshots, where there is no list: by the snapshot's name.
    pub(super) snapshots: BTreeMap<String, Bytes>,
    /// What its container lists, if that was asked.
    pub(super) listed: Option<BTreeMap<String, ObjectMeta>>,
}

impl Walk {
    /// What the target has of a shard.
    pub(super) async fn shard_there(&self, walk: &ShardWalk) -> Result<There> {
        let mut there = There::default();
        if self.look != Look::Trust {
            there.listed = Some(self.container(&walk.container).await?);
        }
        let Some(reader) = &self.there else { return Ok(there) };
        let shard = Shard { container: walk.container.clone(), ..walk.shard.clone() };
        // A numbered list may be that of a run that was stopped before its root, and tell of data that was replaced since.
        let of_root = !self.numbers_lists() || self.look == Look::Trust;
        if let Some(generation) = walk.generation_there.as_ref().filter(|_| of_root) {
            match reader.shard_index(&shard, generation).await {
                Ok(read) => {
                    there.files = self.files_of_root(reader, walk, &read.says);
                    there.list = Some(read.bytes);
                    return Ok(there);
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {}
                Err(error) => return Err(error),
            }
        }
        self.files_of_snapshots(reader, &shard, walk, &mut there).await?;
        Ok(there)
    }

    /// The files in a list that snapshots of the target's root have.
    fn files_of_root(&self, reader: &Reader, walk: &ShardWalk, list: &ShardIndex) -> HashMap<String, Identity> {
        let listed = self
            .indexed_there(&walk.shard.id)
            .into_iter()
            .flat_map(|index| &index.snapshots)
            .filter_map(|uuid| reader.root.snapshot(uuid));
        let entries = listed.filter_map(|snapshot| list.snapshots.get(snapshot.name.as_str()));
        let names: BTreeSet<&String> = entries.flat_map(|entry| &entry.files).collect();
        let files = list.files.iter().filter(|file| names.contains(&file.name));
        files.map(|file| (file.name.clone(), Identity::from(file))).collect()
    }

    /// The same out of the files of single snapshots, where the list cannot be read.
    async fn files_of_snapshots(
        &self,
        reader: &Reader,
        shard: &Shard,
        walk: &ShardWalk,
        there: &mut There,
    ) -> Result<()> {
        for uuid in self.indexed_there(&walk.shard.id).into_iter().flat_map(|index| &index.snapshots) {
            // What only a vanished snapshot has may be overwritten soon.
            let Some(snapshot) = self.root().snapshot(uuid) else { continue };
            match reader.shard_snapshot(shard, uuid).await {
                Ok(read) => {
                    there.files.extend(read.says.files.iter().map(|file| (file.name.clone(), Identity::from(file))));
                    there.snapshots.insert(snapshot.name.as_str().to_owned(), read.bytes);
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn container(&self, container: &str) -> Result<BTreeMap<String, ObjectMeta>> {
        let pages = self.target.store.list(ListOptions { prefix: container.to_owned(), after: None });
        let metas: Vec<Vec<ObjectMeta>> = pages.try_collect().await?;
        let named = metas.into_iter().flatten().filter_map(|meta| {
            let name = meta.key.as_str().strip_prefix(container)?.to_owned();
            Some((name, meta))
        });
        Ok(named.collect())
    }
}
