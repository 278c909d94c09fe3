//! A snapshot is taken.
//!
//! Before 7.5 the cluster state and the indices' metadata go first, then the shards, then the snapshot's description and the root.
//! Later the shards go first; metadata follows in any order, then the root, then what is no longer needed goes.

use std::collections::{BTreeMap, BTreeSet};

use super::repository::{RepositoryIndex, Snapshot, State};
use super::shard::{RepositoryShard, Setting};
use super::{Kind, Outcome, Step, World};

impl World {
    /// Takes a snapshot; nothing if there is one of that name.
    pub(super) fn create_snapshot(&mut self, name: &str, outcome: Outcome) -> Vec<Step> {
        if self.repository.snapshots.iter().any(|snapshot| snapshot.name == name) {
            return Vec::new();
        }
        let mut snapshot = self.new_snapshot(name, outcome);
        self.enter(&snapshot);
        let mut metadata = self.metadata(&mut snapshot);
        let info =
            Step::Put(self.repository.key(&format!("snap-{}.dat", snapshot.uuid)), self.repository.info(&snapshot));
        let (lines, mut garbage) = self.shard_lines(&snapshot, outcome);
        let shards = self.random.weave(lines);
        self.repository.snapshots.push(snapshot);
        if self.repository.family.is_old() {
            let mut steps = self.incompatible();
            steps.extend(metadata);
            steps.extend(shards);
            steps.push(info);
            steps.extend(self.publish_old());
            return steps;
        }
        metadata.push(info);
        self.random.shuffle(&mut metadata);
        let mut steps = shards;
        steps.extend(metadata);
        let (root, old) = self.publish();
        steps.extend(root);
        garbage.extend(old);
        self.random.shuffle(&mut garbage);
        steps.extend(garbage);
        steps
    }

    fn new_snapshot(&mut self, name: &str, outcome: Outcome) -> Snapshot {
        let whole = !self.random.once_in(3);
        let mut indices: BTreeMap<String, Kind> = BTreeMap::new();
        let mut shards = BTreeMap::new();
        for (index, live) in &self.cluster {
            if whole || self.random.once_in(2) {
                indices.insert(index.clone(), live.kind);
                shards.insert(index.clone(), live.shards.len());
            }
        }
        let all = shards.iter().flat_map(|(index, count)| (0..*count).map(move |shard| (index.clone(), shard)));
        let mut all: Vec<(String, usize)> = all.collect();
        self.random.shuffle(&mut all);
        let failed: BTreeSet<(String, usize)> = match outcome {
            Outcome::Success => BTreeSet::new(),
            Outcome::Partial => all.drain(..all.len().div_ceil(2)).collect(),
            Outcome::Failed => all.into_iter().collect(),
        };
        let state = match outcome {
            Outcome::Failed => State::Failed,
            _ if failed.is_empty() => State::Success,
            _ => State::Partial,
        };
        let uuid = self.random.uuid();
        let lookup = BTreeMap::new();
        Snapshot {
            name: name.to_owned(),
            uuid,
            state,
            indices,
            lookup,
            shards,
            failed,
            start: self.clock,
            global: whole,
        }
    }

    /// Gives every index a place in the repository, and its shards too.
    fn enter(&mut self, snapshot: &Snapshot) {
        for (name, count) in &snapshot.shards {
            let index = self.repository.indices.entry(name.clone()).or_insert_with(|| RepositoryIndex {
                id: self.random.uuid(),
                shards: Vec::new(),
                snapshots: Vec::new(),
            });
            index.snapshots.push(snapshot.uuid.clone());
            let count = index.shards.len().max(*count);
            index.shards.resize_with(count, RepositoryShard::default);
        }
    }

    /// The cluster state, the metadata of indices that is not there yet, and where shards lie.
    fn metadata(&mut self, snapshot: &mut Snapshot) -> Vec<Step> {
        let mut lookup = BTreeMap::new();
        let mut steps = vec![Step::Put(
            self.repository.key(&format!("meta-{}.dat", snapshot.uuid)),
            self.repository.global(snapshot),
        )];
        for name in snapshot.indices.keys() {
            let live = &self.cluster[name];
            let index = &self.repository.indices[name];
            let id = index.id.clone();
            let paths = self.repository.shard_paths(name, &id, index.shards.len());
            steps.extend(paths.filter(|(key, _)| !self.blobs.has(key)).map(|(key, bytes)| Step::Put(key, bytes)));
            let blob = if self.repository.family.shares_metadata() {
                let identifier = format!("{}-_na_-1-{}-1", live.uuid, live.mapping_version);
                lookup.insert(id.clone(), identifier.clone());
                if self.repository.identifiers.contains_key(&identifier) {
                    continue;
                }
                let blob = self.random.blob_id();
                self.repository.identifiers.insert(identifier, blob.clone());
                blob
            } else {
                snapshot.uuid.clone()
            };
            let key = self.repository.key(&format!("indices/{id}/meta-{blob}.dat"));
            steps.push(Step::Put(key, self.repository.index_meta(name, live)));
        }
        snapshot.lookup = lookup;
        steps
    }

    /// What each shard writes, and what goes when the root is there.
    fn shard_lines(&mut self, snapshot: &Snapshot, outcome: Outcome) -> (Vec<Vec<Step>>, Vec<Step>) {
        let setting = Setting {
            family: self.repository.family,
            chunk_size: self.chunk_size,
            snapshot: (&snapshot.name, &snapshot.uuid),
            time: self.clock,
        };
        let (mut lines, mut garbage) = (Vec::new(), Vec::new());
        for (name, live) in self.cluster.iter().filter(|(name, _)| snapshot.indices.contains_key(*name)) {
            let id = self.repository.indices[name].id.clone();
            for (number, shard) in live.shards.iter().enumerate() {
                let container = self.repository.container(&id, number);
                let there = &mut self.repository.indices.get_mut(name).expect("it was entered").shards[number];
                if snapshot.failed.contains(&(name.clone(), number)) {
                    if outcome == Outcome::Partial && live.kind != Kind::Hollow {
                        lines.push(there.fail(shard, &container, setting, &self.blobs, &mut self.random));
                    }
                    continue;
                }
                let files = Some(shard).filter(|_| live.kind != Kind::Hollow);
                let (line, old) = there.take(files, &container, setting, &self.blobs, &mut self.random);
                lines.push(line);
                garbage.extend(old);
            }
        }
        (lines, garbage)
    }

    /// Elasticsearch 5.5 to 6.x write this one whenever they only look.
    fn incompatible(&self) -> Vec<Step> {
        let key = self.repository.key("incompatible-snapshots");
        if self.blobs.has(&key) {
            return Vec::new();
        }
        vec![Step::Put(key, bytes::Bytes::from_static(b"{\"incompatible-snapshots\":[]}"))]
    }

    /// The next root before 7.6: the one before the last goes, and `index.latest` is not there for a moment.
    pub(super) fn publish_old(&mut self) -> Vec<Step> {
        let number = self.next_generation();
        let repository = &self.repository;
        let mut steps = vec![Step::Put(repository.key(&format!("index-{number}")), repository.root())];
        let latest = repository.key("index.latest");
        let old = number.checked_sub(2).map(|old| repository.key(&format!("index-{old}")));
        let gone = old.into_iter().chain([latest.clone()]).filter(|key| self.blobs.has(key));
        steps.extend(gone.map(Step::Delete));
        steps.push(Step::Put(latest, number.to_be_bytes().to_vec().into()));
        steps
    }

    /// The next root from 7.6 on, and the old one, which goes.
    pub(super) fn publish(&mut self) -> (Vec<Step>, Vec<Step>) {
        let number = self.next_generation();
        let repository = &self.repository;
        let root = Step::Put(repository.key(&format!("index-{number}")), repository.root());
        let latest = Step::Put(repository.key("index.latest"), number.to_be_bytes().to_vec().into());
        let old = number.checked_sub(1).map(|old| repository.key(&format!("index-{old}")));
        let old = old.filter(|key| self.blobs.has(key)).map(Step::Delete);
        (vec![root, latest], old.into_iter().collect())
    }

    fn next_generation(&mut self) -> u64 {
        let number = self.repository.generation.map_or(0, |number| number + 1);
        self.repository.generation = Some(number);
        number
    }
}
