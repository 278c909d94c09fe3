//! A shard in the repository: which file lies in which blob, in which snapshot, and how its blobs are written and removed.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_smile::value::Value;
use snapferry::repo::Codec;

use super::blob::{base36, envelope, list, map, number, object, set, text};
use super::family::Family;
use super::lucene::{LuceneFile, Shard};
use super::random::Random;
use super::step::{Blobs, Step};

/// A Lucene file with the blob that holds it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    file: LuceneFile,
    part_size: i64,
    writer: Vec<u8>,
}

impl Entry {
    fn is_virtual(&self) -> bool {
        self.name.starts_with("v__")
    }

    fn holds(&self, file: &LuceneFile) -> bool {
        self.file.name == file.name
            && self.file.content.len() == file.content.len()
            && self.file.checksum == file.checksum
    }

    /// The objects that hold it.
    fn objects(&self) -> Vec<(String, Bytes)> {
        let content = &self.file.content;
        let size = usize::try_from(self.part_size).unwrap_or(usize::MAX);
        if self.is_virtual() {
            return Vec::new();
        }
        if content.len() <= size {
            return vec![(self.name.clone(), content.clone())];
        }
        let parts = content.chunks(size).enumerate();
        parts.map(|(at, part)| (format!("{}.part{at}", self.name), content.slice_ref(part))).collect()
    }

    fn to_value(&self, family: Family) -> Value {
        let mut value = object([
            ("name", text(&self.name)),
            ("physical_name", text(&self.file.name)),
            ("length", number(self.file.content.len())),
            ("checksum", text(base36(u64::from(self.file.checksum)))),
            ("part_size", Value::Long(self.part_size)),
            ("written_by", text(family.lucene())),
        ]);
        if self.file.is_telling() {
            set(&mut value, "meta_hash", Value::Binary(self.file.content.to_vec()));
        }
        if family == Family::F4 {
            set(&mut value, "writer_uuid", Value::Binary(self.writer.clone()));
        }
        value
    }
}

#[derive(Debug, Clone)]
struct ShardSnapshot {
    name: String,
    uuid: String,
    files: Vec<Entry>,
    state_id: String,
}

/// A shard in the repository.
#[derive(Debug, Clone, Default)]
pub(crate) struct RepositoryShard {
    /// The generation of its list of files: a number before 7.6, then an id.
    pub(crate) generation: Option<String>,
    snapshots: Vec<ShardSnapshot>,
}

/// What all shards of one operation share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) family: Family,
    pub(crate) chunk_size: Option<u64>,
    /// Name and id of the snapshot.
    pub(crate) snapshot: (&'a str, &'a str),
    pub(crate) time: i64,
}

impl RepositoryShard {
    pub(crate) fn has(&self, uuid: &str) -> bool {
        self.snapshots.iter().any(|snapshot| snapshot.uuid == uuid)
    }

    /// Takes a snapshot of a shard; `container` is where its blobs lie. Gives what has to be removed once the root is written.
    pub(crate) fn take(
        &mut self,
        shard: Option<&Shard>,
        container: &str,
        setting: Setting<'_>,
        blobs: &Blobs,
        random: &mut Random,
    ) -> (Vec<Step>, Vec<Step>) {
        let (files, new) = self.place(shard, container, setting, blobs, random);
        let (name, uuid) = setting.snapshot;
        // A snapshot that was abandoned may have left its name.
        self.snapshots.retain(|snapshot| snapshot.name != name);
        let listed = blobs.below(container);
        let data: Vec<Step> =
            new.iter().flat_map(Entry::objects).map(|(name, bytes)| put(container, &name, bytes)).collect();
        let snap = put(container, &format!("snap-{uuid}.dat"), snapshot_blob(setting, &files, &new));
        let state_id = format!("{}-na-{}", random.uuid(), files.len());
        self.snapshots.push(ShardSnapshot { name: name.to_owned(), uuid: uuid.to_owned(), files, state_id });
        let mut steps = data;
        if setting.family.is_old() {
            steps.push(snap);
            steps.extend(self.renew_old(container, &listed, setting.family));
            return (steps, Vec::new());
        }
        let old = self.generation.replace(random.uuid());
        let index = put(container, &self.index_name(), self.index_blob(setting.family));
        // Either is seen: the list of files before the files, and after them.
        let at = if random.once_in(2) { 0 } else { steps.len() };
        steps.insert(at, index);
        steps.push(snap);
        let old = old.map(|old| Step::Delete(format!("{container}index-{old}")));
        (steps, old.into_iter().collect())
    }

    /// A shard that failed on the way: what it had written by then stays.
    pub(crate) fn fail(
        &self,
        shard: &Shard,
        container: &str,
        setting: Setting<'_>,
        blobs: &Blobs,
        random: &mut Random,
    ) -> Vec<Step> {
        let (_, new) = self.place(Some(shard), container, setting, blobs, random);
        let written = random.below(new.len() + 1);
        let objects = new.iter().take(written).flat_map(Entry::objects);
        objects.map(|(name, bytes)| put(container, &name, bytes)).collect()
    }

    /// Forgets a snapshot before 7.6: its list goes, then the shard's list and the blobs of nobody, then comes the new list.
    pub(crate) fn forget_old(&mut self, uuid: &str, container: &str, family: Family, blobs: &Blobs) -> Vec<Step> {
        let snap = format!("{container}snap-{uuid}.dat");
        let mut steps = Vec::new();
        if blobs.has(&snap) {
            steps.push(Step::Delete(snap));
        }
        self.snapshots.retain(|snapshot| snapshot.uuid != uuid);
        steps.extend(self.renew_old(container, &blobs.below(container), family));
        steps
    }

    /// Forgets a snapshot from 7.6 on: only a new list is written.
    pub(crate) fn forget(&mut self, uuid: &str, container: &str, family: Family, random: &mut Random) -> Step {
        self.snapshots.retain(|snapshot| snapshot.uuid != uuid);
        self.generation = Some(random.uuid());
        put(container, &self.index_name(), self.index_blob(family))
    }

    /// Of what lies in its container, what it does not need.
    pub(crate) fn garbage(&self, container: &str, blobs: &Blobs) -> Vec<Step> {
        let mut needed: BTreeSet<String> = [self.index_name()].into();
        for snapshot in &self.snapshots {
            needed.insert(format!("snap-{}.dat", snapshot.uuid));
            needed.extend(snapshot.files.iter().map(|entry| entry.name.clone()));
        }
        let listed = blobs.below(container).into_iter();
        let extra = listed.filter(|name| !needed.contains(canonical(name)));
        extra.map(|name| Step::Delete(format!("{container}{name}"))).collect()
    }

    /// Finds a blob for every file: one that is there already if there is one, else a new one.
    fn place(
        &self,
        shard: Option<&Shard>,
        container: &str,
        setting: Setting<'_>,
        blobs: &Blobs,
        random: &mut Random,
    ) -> (Vec<Entry>, Vec<Entry>) {
        let mut counter = blobs.below(container).iter().filter_map(|name| counter(name)).max();
        let (mut files, mut new) = (Vec::new(), Vec::new());
        for file in shard.into_iter().flat_map(Shard::files) {
            let known = self.snapshots.iter().flat_map(|snapshot| &snapshot.files).find(|entry| entry.holds(file));
            let entry = known.cloned().unwrap_or_else(|| {
                let name = if setting.family == Family::Counter {
                    let next = counter.map_or(0, |counter| counter + 1);
                    counter = Some(next);
                    format!("__{}", base36(next))
                } else if file.is_telling() && !setting.family.is_old() {
                    format!("v__{}", random.uuid())
                } else {
                    format!("__{}", random.uuid())
                };
                let part_size = setting.chunk_size.and_then(|size| i64::try_from(size).ok()).unwrap_or(i64::MAX);
                Entry { name, file: file.clone(), part_size, writer: random.bytes(16) }
            });
            if known.is_none() {
                new.push(entry.clone());
            }
            files.push(entry);
        }
        (files, new)
    }

    /// The end of an operation before 7.6: the old lists go, then the blobs of nobody among those `listed`, then comes the new list.
    fn renew_old(&mut self, container: &str, listed: &[String], family: Family) -> Vec<Step> {
        let next = self.generation.as_ref().and_then(|old| old.parse::<u64>().ok()).map_or(0, |old| old + 1);
        self.generation = Some(next.to_string());
        let needed: BTreeSet<&str> =
            self.snapshots.iter().flat_map(|snapshot| &snapshot.files).map(|entry| entry.name.as_str()).collect();
        let lists = listed.iter().filter(|name| name.starts_with("index-"));
        let unused = listed.iter().filter(|name| name.starts_with("__") && !needed.contains(canonical(name)));
        let mut steps: Vec<Step> = lists.chain(unused).map(|name| Step::Delete(format!("{container}{name}"))).collect();
        steps.push(put(container, &self.index_name(), self.index_blob(family)));
        steps
    }

    fn index_name(&self) -> String {
        format!("index-{}", self.generation.as_deref().unwrap_or("0"))
    }

    fn index_blob(&self, family: Family) -> Bytes {
        let mut seen = BTreeSet::new();
        let entries = self.snapshots.iter().flat_map(|snapshot| &snapshot.files);
        let files: Vec<Value> =
            entries.filter(|entry| seen.insert(&entry.name)).map(|entry| entry.to_value(family)).collect();
        let snapshots = self.snapshots.iter().map(|snapshot| {
            let names = snapshot.files.iter().map(|entry| text(&entry.name));
            let mut value = object([("files", list(names))]);
            if !family.is_old() {
                set(&mut value, "shard_state_id", text(&snapshot.state_id));
            }
            (snapshot.name.clone(), value)
        });
        let value = object([("files", list(files)), ("snapshots", map(snapshots))]);
        envelope(Codec::Snapshots, &value, family.shard_body())
    }
}

/// A shard's list of files in one snapshot.
fn snapshot_blob(setting: Setting<'_>, files: &[Entry], new: &[Entry]) -> Bytes {
    let value = object([
        ("name", text(setting.snapshot.0)),
        ("index_version", number(if setting.family == Family::F4 { 0 } else { 7 })),
        ("start_time", number(setting.time)),
        ("time", number(11)),
        ("number_of_files", number(new.len())),
        ("total_size", number(new.iter().map(|entry| entry.file.content.len()).sum::<usize>())),
        ("files", list(files.iter().map(|entry| entry.to_value(setting.family)))),
    ]);
    envelope(Codec::Snapshot, &value, setting.family.shard_body())
}

fn put(container: &str, name: &str, bytes: Bytes) -> Step {
    Step::Put(format!("{container}{name}"), bytes)
}

/// The name of the whole that a blob is or belongs to.
fn canonical(name: &str) -> &str {
    name.split_once(".part").map_or(name, |(whole, _)| whole)
}

fn counter(name: &str) -> Option<u64> {
    u64::from_str_radix(canonical(name.strip_prefix("__")?), 36).ok()
}
