//! Reads what an inspection needs, blob by blob: descriptions of snapshots, metadata of indices, files of shards.
//!
//! What is damaged or missing is kept as that and stops nothing. In memory stay a few words for each index in each snapshot, as in the
//! root itself; the files of a shard only while it is looked at.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use super::needed::{Needed, in_shard};
use super::report::{File, Found, Garbage, Sizes};
use super::tour::{Task, Visit};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::lease::LEASE;
use crate::repo::{
    BlobKind, Containers, Generation, IndexEntry, IndexMeta, Name, RECORD, Reader, Shard, ShardSnapshot, SnapshotInfo,
    Traits, kind,
};
use crate::store::ListOptions;

/// Reads under way at once: enough to hide a far store's delay, few enough for any server.
pub(super) const AT_ONCE: usize = 16;

/// A repository that is being looked at.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) reader: Reader,
    pub(super) generation: Generation,
    /// In the order of the root.
    pub(super) snapshots: Vec<Known>,
    pub(super) indices: Vec<Index>,
    by_id: HashMap<Name, u32>,
    permits: Semaphore,
}

/// A snapshot.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) uuid: Name,
    /// Whether it is to be shown. Others are read only because garbage cannot be told without.
    pub(super) shown: bool,
    /// Its description without its indices.
    pub(super) info: Result<SnapshotInfo>,
    /// Its indices, as its description has them.
    pub(super) indices: Vec<Name>,
}

/// An index.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) name: Name,
    pub(super) id: Name,
    pub(super) containers: Containers,
    /// Which snapshots have it, with the place of its metadata in `metas`.
    pub(super) members: Vec<(u32, u32)>,
    pub(super) metas: Vec<Meta>,
    /// The most shards it has in any snapshot.
    pub(super) shards: u32,
    /// Whether all of its metadata was read.
    pub(super) whole: bool,
    generations: Option<IndexEntry>,
}

/// The metadata of an index as one or more snapshots have it.
#[derive(Debug)]
pub(super) struct Meta {
    blob: Name,
    pub(super) about: Result<About>,
}

/// What is kept of it.
#[derive(Debug)]
pub(super) struct About {
    pub(super) shards: u32,
    pub(super) uuid: Option<String>,
    pub(super) state: Option<String>,
    pub(super) store_type: Option<String>,
    pub(super) aliases: Vec<String>,
    pub(super) traits: Traits,
}

/// A shard in one snapshot: its sizes, and its files if they were asked for.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) sizes: Sizes,
    pub(super) files: Vec<File>,
}

/// What was found in a shard.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) index: u32,
    pub(super) shard: u32,
    /// By snapshot.
    pub(super) snapshots: Vec<(u32, Result<Measured>)>,
    pub(super) garbage: Garbage,
}

/// Whether an error says something of one blob and nothing of the store.
fn is_of_blob(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Unsupported)
}

fn kept<T>(read: Result<T>) -> Result<Result<T>> {
    match read {
        Err(error) if !is_of_blob(&error) => Err(error),
        other => Ok(other),
    }
}

impl Survey {
    /// A survey that has read nothing yet.
    pub(super) fn new(reader: Reader, generation: Generation) -> Self {
        let permits = Semaphore::new(AT_ONCE);
        Self { reader, generation, snapshots: Vec::new(), indices: Vec::new(), by_id: HashMap::new(), permits }
    }

    async fn permitted<T>(&self, read: impl Future<Output = Result<T>>) -> Result<Result<T>> {
        let _permit = self.permits.acquire().await.expect("it is never closed");
        kept(read.await)
    }

    /// Reads the description of every snapshot; `shows` says which are to be shown, `all` whether the others are read too.
    pub(super) async fn read_snapshots(&mut self, shows: impl Fn(&Name) -> bool, all: bool) -> Result<()> {
        let names: HashMap<&str, Name> =
            self.reader.root.indices.keys().map(|name| (name.as_str(), Name::from(name.as_str()))).collect();
        let chosen = self.reader.root.snapshots.iter().map(|entry| (entry.uuid.clone(), shows(&entry.uuid)));
        let chosen: Vec<(Name, bool)> = chosen.collect();
        let known: Vec<Known> = stream::iter(chosen)
            .map(|(uuid, shown)| {
                let (survey, names) = (&*self, &names);
                async move {
                    if !shown && !all {
                        let nothing = Error::new(ErrorKind::Internal, "use a snapshot that was not read");
                        return Ok(Known { uuid, shown, info: Err(nothing), indices: Vec::new() });
                    }
                    let read = survey.permitted(survey.reader.info(&uuid)).await?;
                    let mut info = read.map(|read| read.says);
                    let mut indices = Vec::new();
                    if let Ok(info) = &mut info {
                        let shared =
                            |name: String| names.get(name.as_str()).cloned().unwrap_or_else(|| name.as_str().into());
                        indices = std::mem::take(&mut info.indices).into_iter().map(shared).collect();
                        info.index_details.clear();
                    }
                    Ok::<_, Error>(Known { uuid, shown, info, indices })
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        self.snapshots = known;
        Ok(())
    }

    /// Reads the metadata of every index, as each snapshot that is read has it.
    pub(super) async fn read_indices(&mut self, all: bool) -> Result<()> {
        let places: HashMap<Name, u32> = (0u32..)
            .zip(&self.snapshots)
            .filter(|(_, known)| known.shown || all)
            .map(|(place, known)| (known.uuid.clone(), place))
            .collect();
        let root = self.reader.root.clone();
        let indices: Vec<Index> = stream::iter(root.indices.iter())
            .map(|(name, entry)| self.read_index(name, entry, &places))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        self.by_id = (0u32..).zip(&indices).map(|(place, index)| (index.id.clone(), place)).collect();
        self.indices = indices;
        Ok(())
    }

    async fn read_index(&self, name: &str, entry: &IndexEntry, places: &HashMap<Name, u32>) -> Result<Index> {
        let root = &self.reader.root;
        let (mut members, mut blobs) = (Vec::new(), Vec::<(&str, u32)>::new());
        let mut metas = HashMap::new();
        for place in entry.snapshots.iter().filter_map(|uuid| places.get(uuid)) {
            let blob = root.index_meta(&root.snapshots[*place as usize], entry);
            let meta = *metas.entry(blob).or_insert_with(|| {
                blobs.push((blob, *place));
                u32::try_from(blobs.len() - 1).expect("there are fewer than snapshots")
            });
            members.push((*place, meta));
        }
        let metas: Vec<Meta> = stream::iter(blobs)
            .map(|(blob, place)| async move {
                let key = self.reader.index_meta_key(&root.snapshots[place as usize], entry);
                let read = self.permitted(self.reader.index_meta(key, name)).await?;
                Ok::<_, Error>(Meta { blob: blob.into(), about: read.map(|read| About::of(read.says)) })
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let listed = entry.shard_generations.as_ref().map_or(0, Vec::len);
        let listed = u32::try_from(listed).unwrap_or(u32::MAX);
        let read = metas.iter().filter_map(|meta| meta.about.as_ref().ok()).map(|about| about.shards).max();
        Ok(Index {
            name: name.into(),
            id: entry.id.clone(),
            containers: self.reader.containers(entry)?,
            members,
            whole: metas.iter().all(|meta| meta.about.is_ok()),
            metas,
            shards: read.unwrap_or(0).max(listed),
            generations: entry.shard_generations.is_some().then(|| entry.clone()),
        })
    }

    /// The shard that has this container, from the bucket on, with a `/` at its end.
    pub(super) fn locate(&self, container: &str) -> Option<(u32, u32)> {
        let mut segments = container.strip_suffix('/')?.rsplit('/');
        let (number, id) = (segments.next()?.parse().ok()?, segments.next()?);
        let place = *self.by_id.get(id)?;
        let index = &self.indices[place as usize];
        let fits = number < index.shards && index.containers.of(&self.reader.base.path, number) == container;
        fits.then_some((place, number))
    }

    /// What an object is that lies in no shard; `name` is that below the base path.
    pub(super) fn judge_loose(&self, name: &str) -> Found {
        let needed = |needed: bool, word| if needed { Found::Needed } else { Found::Garbage(word) };
        let root = &self.reader.root;
        let segments: Vec<&str> = name.split('/').collect();
        // An index whose shards are not all known.
        let broken =
            segments.iter().filter_map(|id| self.by_id.get(*id)).any(|place| !self.indices[*place as usize].whole);
        match kind(name) {
            BlobKind::RootIndex(generation) => needed(generation == self.generation, "roots"),
            BlobKind::Latest | BlobKind::Incompatible => Found::Needed,
            BlobKind::SnapshotInfo | BlobKind::GlobalMeta => {
                let uuid = name.split_once('-').and_then(|(_, rest)| rest.strip_suffix(".dat"));
                needed(uuid.is_some_and(|uuid| root.snapshot(uuid).is_some()), "snapshot_metadata")
            }
            BlobKind::IndexMeta => {
                let blob = segments.last().and_then(|name| name.strip_prefix("meta-")?.strip_suffix(".dat"));
                let index =
                    segments.get(1).and_then(|id| self.by_id.get(*id)).map(|place| &self.indices[*place as usize]);
                let has = |index: &Index| index.metas.iter().any(|meta| Some(meta.blob.as_str()) == blob);
                needed(index.is_some_and(has), "index_metadata")
            }
            BlobKind::ShardPaths => {
                let name = segments.last().copied().unwrap_or_default();
                let id = name.strip_prefix("snapshot_path_").unwrap_or(name).split(['.', '#']).next();
                needed(id.is_some_and(|id| self.by_id.contains_key(id)), "shard_paths")
            }
            BlobKind::Leftover => Found::Garbage("leftovers"),
            // Our own, beside the roots of a copy.
            BlobKind::Foreign if name == RECORD || name == LEASE => Found::Needed,
            BlobKind::Foreign => Found::Garbage("foreign"),
            BlobKind::Shallow => Found::Undecided,
            _ if broken => Found::Undecided,
            kind => Found::Garbage(in_shard(kind)),
        }
    }

    /// Does what the tour says.
    pub(super) async fn perform(&self, task: Task, files: &(dyn Fn(u32, u32) -> bool + Sync)) -> Result<Seen> {
        match task {
            Task::Loose(garbage) => Ok(Seen { index: 0, shard: 0, snapshots: Vec::new(), garbage }),
            Task::Shard(visit) => self.visit(visit, files).await,
        }
    }

    async fn visit(&self, visit: Visit, files: &(dyn Fn(u32, u32) -> bool + Sync)) -> Result<Seen> {
        let index = &self.indices[visit.index as usize];
        let generation = index.generations.as_ref().and_then(|entry| entry.generation(visit.shard)).cloned();
        let shard = Shard {
            index: index.name.clone(),
            id: index.id.clone(),
            number: visit.shard,
            container: index.containers.of(&self.reader.base.path, visit.shard),
            generation,
        };
        let has = index.members.iter().filter(|(snapshot, meta)| {
            let shards = index.metas[*meta as usize].about.as_ref().map_or(0, |about| about.shards);
            visit.shard < shards && !self.has_failed(*snapshot, &index.name, visit.shard)
        });
        let members: Vec<u32> = has.map(|(snapshot, _)| *snapshot).collect();
        let mut needed = Needed::new(&shard, index.whole);
        needed.add_snapshots(index.members.iter().map(|(snapshot, _)| &self.snapshots[*snapshot as usize].uuid));
        let mut snapshots = Vec::new();
        let mut reads = stream::iter(members)
            .map(|snapshot| {
                let (shard, uuid) = (&shard, &self.snapshots[snapshot as usize].uuid);
                async move { Ok::<_, Error>((snapshot, self.permitted(self.reader.shard_snapshot(shard, uuid)).await?)) }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((snapshot, read)) = reads.try_next().await? {
            if visit.names.is_some() {
                needed.add(read.as_ref().ok().map(|read| &read.says));
            }
            let listed = files(snapshot, visit.index);
            snapshots.push((snapshot, read.map(|read| measure(&shard, &read.says, listed))));
        }
        drop(reads);
        let mut garbage = Garbage::default();
        if let Some(mut names) = visit.names {
            if visit.list {
                names = self.list(&shard.container).await?;
            }
            needed.keep_newest_list(&names);
            for (name, bytes) in &names {
                garbage.count(needed.judge(name), *bytes);
            }
        }
        Ok(Seen { index: visit.index, shard: visit.shard, snapshots, garbage })
    }

    fn has_failed(&self, snapshot: u32, index: &str, shard: u32) -> bool {
        self.snapshots[snapshot as usize].info.as_ref().is_ok_and(|info| info.has_failed(index, shard))
    }

    async fn list(&self, container: &str) -> Result<Vec<(Box<str>, u64)>> {
        let mut names = Vec::new();
        let options = ListOptions { prefix: container.to_owned(), after: None };
        let mut pages = self.reader.base.store.list(options);
        while let Some(page) = pages.try_next().await? {
            let named =
                page.iter().filter_map(|meta| Some((meta.key.as_str().strip_prefix(container)?.into(), meta.size)));
            names.extend(named);
        }
        Ok(names)
    }
}

impl About {
    fn of(index: IndexMeta) -> Self {
        let setting = |name: &str| index.setting(name).map(ToOwned::to_owned);
        Self {
            shards: index.number_of_shards(),
            uuid: setting("index.uuid"),
            store_type: setting("index.store.type"),
            traits: Traits::of(&index),
            state: index.state,
            aliases: index.aliases,
        }
    }
}

fn measure(shard: &Shard, snapshot: &ShardSnapshot, listed: bool) -> Measured {
    let sizes = Sizes {
        bytes: snapshot.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.length)),
        files: snapshot.files.len() as u64,
        incremental_bytes: snapshot.total_size,
        incremental_files: snapshot.number_of_files,
    };
    let files = snapshot.files.iter().filter(|_| listed).map(|entry| File::of(shard, entry));
    Measured { sizes, files: files.collect() }
}
