//! Reads the metadata of a repository, blob by blob: each as it lies there, and what it says.
//!
//! Whatever needs more than the root goes through here: the plan of a copy, `inspect`, `verify` and `prune`. A shard is the unit of all
//! walks; [`Reader::shards`] says which there are without a listing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use tokio::sync::OnceCell;

use super::base::{Base, LARGEST_BLOB};
use super::container::{Containers, PathType, ShardPaths};
use super::data::{IndexEntry, RootIndex, SnapshotEntry};
use super::index_meta::IndexMeta;
use super::name::Name;
use super::shard::{ShardIndex, ShardSnapshot};
use super::snapshot::SnapshotInfo;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Key, ListOptions};

/// A blob and what it says.
#[derive(Debug, Clone)]
pub struct Read<T> {
    /// Its key in the store.
    pub key: Key,
    /// As it lies there.
    pub bytes: Bytes,
    /// What it says.
    pub says: T,
}

/// A repository at one root, being read.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Where it lies.
    pub base: Base,
    /// The root.
    pub root: Arc<RootIndex>,
    /// The files in `snapshot_shard_paths/`, by the index's id; only where a shard lies elsewhere than below `indices/`.
    paths: Arc<OnceCell<BTreeMap<String, Read<ShardPaths>>>>,
}

/// A shard of an index in a repository.
#[derive(Debug, Clone)]
pub struct Shard {
    /// The index's name.
    pub index: Name,
    /// The index's id.
    pub id: Name,
    /// Its number.
    pub number: u32,
    /// Its container: what its keys begin with, with a `/` at its end.
    pub container: String,
    /// The generation of its list of files, if the root names one.
    pub generation: Option<Name>,
}

impl Shard {
    /// The key of one of its blobs.
    #[must_use]
    pub fn key(&self, name: &str) -> Key {
        Key::new(format!("{}{name}", self.container)).expect("a blob has a name")
    }

    /// The key of its list of files in the snapshot of that id.
    #[must_use]
    pub fn snapshot_key(&self, uuid: &str) -> Key {
        self.key(&format!("snap-{uuid}.dat"))
    }
}

impl Reader {
    /// A reader for the repository at `base` as `root` lists it. Where shards lie elsewhere, one listing and one read for each index
    /// tell where.
    pub async fn new(base: Base, root: Arc<RootIndex>) -> Result<Self> {
        let reader = Self::of_root(base, root)?;
        reader.find_shards().await?;
        Ok(reader)
    }

    /// A reader that has not read more than the root yet: for shards that lie elsewhere it needs [`find_shards`](Self::find_shards).
    pub fn of_root(base: Base, root: Arc<RootIndex>) -> Result<Self> {
        for index in root.indices.values() {
            index.path_type()?;
        }
        Ok(Self { base, root, paths: Arc::default() })
    }

    /// The same as [`new`](Self::new), and which of the files that say where shards lie cannot be understood: without such a file they lie
    /// where their index's id puts them.
    pub async fn tolerant(base: Base, root: Arc<RootIndex>) -> Result<(Self, Vec<(Key, Error)>)> {
        let reader = Self::of_root(base, root)?;
        if !reader.is_elsewhere() {
            return Ok((reader, Vec::new()));
        }
        let (paths, broken) = reader.read_paths().await?;
        // Nobody else has this reader yet.
        drop(reader.paths.set(paths));
        Ok((reader, broken))
    }

    /// Reads where shards lie that are not below `indices/`, if there are such; once.
    pub async fn find_shards(&self) -> Result<()> {
        let read = || async {
            let (paths, broken) = self.read_paths().await?;
            broken.into_iter().next().map_or(Ok(paths), |(_, error)| Err(error))
        };
        if self.is_elsewhere() {
            self.paths.get_or_try_init(read).await?;
        }
        Ok(())
    }

    fn is_elsewhere(&self) -> bool {
        self.root.indices.values().any(|index| index.path_type().is_ok_and(|kind| kind != PathType::Fixed))
    }

    /// Files by the index's id, and those that cannot be understood.
    async fn read_paths(&self) -> Result<(BTreeMap<String, Read<ShardPaths>>, Vec<(Key, Error)>)> {
        let prefix = self.base.key("snapshot_shard_paths/");
        let pages = self.base.store.list(ListOptions { prefix: prefix.as_str().to_owned(), after: None });
        let reads = pages
            .map_ok(|page| stream::iter(page.into_iter().map(Ok::<_, Error>)))
            .try_flatten()
            .map_ok(|meta| async move {
                let bytes = self.base.read_key(&meta.key, LARGEST_BLOB).await?;
                Ok::<_, Error>(match ShardPaths::parse(meta.key.as_str(), &bytes) {
                    Ok(says) => Ok(Read { key: meta.key, bytes, says }),
                    Err(error) => Err((meta.key, error)),
                })
            })
            .try_buffer_unordered(16);
        let (mut paths, mut broken) = (BTreeMap::new(), Vec::new());
        let reads: Vec<_> = reads.try_collect().await?;
        for read in reads {
            match read {
                Ok(read) => drop(paths.insert(read.says.index_id.clone(), read)),
                Err(failed) => broken.push(failed),
            }
        }
        Ok((paths, broken))
    }

    /// Whether any shard lies outside the base path.
    #[must_use]
    pub fn leaves_base(&self) -> bool {
        self.root.indices.values().any(|index| matches!(index.path_type(), Ok(PathType::HashedPrefix)))
    }

    /// Where the shards of an index lie.
    pub fn containers(&self, index: &IndexEntry) -> Result<Containers> {
        Containers::new(index.path_type()?, &index.id, self.paths(index).map(|read| &read.says))
    }

    /// The file that says where the shards of an index lie, if there is one:
    /// `snapshot_shard_paths/snapshot_path_<id>.<name>.<shards>.<type>.<hash>`.
    #[must_use]
    pub fn paths(&self, index: &IndexEntry) -> Option<&Read<ShardPaths>> {
        self.paths.get()?.get(index.id.as_str())
    }

    /// The same file for a copy at another base path.
    pub fn paths_for(&self, index: &IndexEntry, base: &Base) -> Result<Option<(Key, Bytes)>> {
        let Some(read) = self.paths(index) else { return Ok(None) };
        if base.path == self.base.path {
            return Ok(Some((read.key.clone(), read.bytes.clone())));
        }
        let containers = self.containers(index)?;
        // As it was written, but for the paths.
        let mut text = String::from_utf8_lossy(&read.bytes).into_owned();
        for (number, path) in (0..).zip(&read.says.paths) {
            let json = |path: &str| serde_json::Value::from(path).to_string();
            text = text.replace(&json(path), &json(&containers.of(&base.path, number)));
        }
        Ok(Some((read.key.clone(), text.into())))
    }

    /// The shards of an index, `count` of them; how many there are is in the root from 7.6 on, else in the index's metadata.
    pub fn shards(&self, name: &str, index: &IndexEntry, count: u32) -> Result<Vec<Shard>> {
        let containers = self.containers(index)?;
        let shards = (0..count).map(|number| Shard {
            index: Name::from(name),
            id: index.id.clone(),
            number,
            container: containers.of(&self.base.path, number),
            generation: index.generation(number).cloned(),
        });
        Ok(shards.collect())
    }

    /// The key of a snapshot's description.
    #[must_use]
    pub fn info_key(&self, uuid: &str) -> Key {
        self.base.key(&format!("snap-{uuid}.dat"))
    }

    /// The key of the cluster state that belongs to a snapshot.
    #[must_use]
    pub fn global_key(&self, uuid: &str) -> Key {
        self.base.key(&format!("meta-{uuid}.dat"))
    }

    /// The key of an index's metadata, as `snapshot` has it.
    #[must_use]
    pub fn index_meta_key(&self, snapshot: &SnapshotEntry, index: &IndexEntry) -> Key {
        let blob = self.root.index_meta(snapshot, index);
        self.base.key(&format!("indices/{}/meta-{blob}.dat", index.id))
    }

    /// A snapshot's description.
    pub async fn info(&self, uuid: &str) -> Result<Read<SnapshotInfo>> {
        let read = self.read(self.info_key(uuid), SnapshotInfo::parse).await?;
        let found = read.says.uuid.as_deref().unwrap_or(&read.says.name);
        if found == uuid {
            return Ok(read);
        }
        Err(Error::new(ErrorKind::Corrupt, format!("read {:?}", read.key))
            .because(format!("it describes the snapshot `{}`", found.escape_default())))
    }

    /// The cluster state that belongs to a snapshot; checked and not looked into.
    pub async fn global(&self, uuid: &str) -> Result<Read<()>> {
        self.read(self.global_key(uuid), |name, bytes| super::Codec::Metadata.check(name, bytes)).await
    }

    /// An index's metadata by its key; it must be that of the index of this name.
    pub async fn index_meta(&self, key: Key, index: &str) -> Result<Read<IndexMeta>> {
        let read = self.read(key, IndexMeta::parse).await?;
        if read.says.name == index {
            return Ok(read);
        }
        Err(Error::new(ErrorKind::Corrupt, format!("read {:?}", read.key)).because(format!(
            "it describes the index `{}` and should describe `{}`",
            read.says.name.escape_default(),
            index.escape_default()
        )))
    }

    /// The files of a shard in one snapshot.
    pub async fn shard_snapshot(&self, shard: &Shard, uuid: &str) -> Result<Read<ShardSnapshot>> {
        self.read(shard.snapshot_key(uuid), ShardSnapshot::parse).await
    }

    /// The files of a shard in all snapshots, at the generation that the root names.
    pub async fn shard_index(&self, shard: &Shard, generation: &str) -> Result<Read<ShardIndex>> {
        self.read(shard.key(&format!("index-{generation}")), ShardIndex::parse).await
    }

    /// Reads a blob and what it says. [`ErrorKind::NotFound`] if it is not there, [`ErrorKind::Corrupt`] if it is not what it should be.
    async fn read<T>(&self, key: Key, parse: impl Fn(&str, &[u8]) -> Result<T>) -> Result<Read<T>> {
        let bytes = self.base.read_key(&key, LARGEST_BLOB).await?;
        let damage = match parse(key.as_str(), &bytes) {
            Ok(says) => return Ok(Read { key, bytes, says }),
            Err(error) => error,
        };
        // The way may have done it: damage is what is there twice.
        let again = self.base.read_key(&key, LARGEST_BLOB).await?;
        if again == bytes {
            return Err(damage);
        }
        let says = parse(key.as_str(), &again)?;
        Ok(Read { key, bytes: again, says })
    }
}
