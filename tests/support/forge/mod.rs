//! Forges snapshot repositories: a model of a cluster that writes and deletes blobs in the order in which Elasticsearch does.
//!
//! 1. A [`Forge`] is made for a [`Family`] and a seed, from which everything follows.
//! 2. [`Forge::begin`] takes an [`Action`]; one that only concerns the cluster is done with that.
//! 3. [`Forge::step`] gives the next write of the action, so that others can look, or write, between any two.
//! 4. [`Forge::abandon`] ends an action in the middle: the cluster's master died, and its successor goes on from what lies there.
//!
//! [`complete`] is the judge of what was forged or copied; it shares with the forge only what a blob is made of.

pub(crate) mod blob;
mod complete;
mod create;
mod family;
mod lucene;
mod random;
mod remove;
mod repository;
mod shard;
mod step;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use snapferry::store::{Key, MemoryStore};

pub(crate) use self::complete::complete_at;
pub(crate) use self::family::Family;
use self::lucene::Index;
pub(crate) use self::lucene::Kind;
use self::random::Random;
use self::repository::Repository;
use self::step::Blobs;
pub(crate) use self::step::Step;

/// Judges a repository at the root of a store: see [`complete_at`].
pub(crate) fn complete(contents: &BTreeMap<Key, Bytes>) -> Result<Vec<String>, String> {
    complete_at(contents, "")
}

/// Something that happens to the cluster or its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// An index is made with so many shards; nothing if there is one of that name.
    CreateIndex {
        index: String,
        shards: usize,
        kind: Kind,
    },
    /// Documents are written: one segment more in each shard; now and then the mapping grows.
    Write {
        index: String,
    },
    /// Documents are deleted.
    DeleteDocuments {
        index: String,
    },
    /// All segments become one.
    Merge {
        index: String,
    },
    DeleteIndex {
        index: String,
    },
    /// The index is deleted and made anew, with another number of shards; in the repository it keeps its id.
    RecreateIndex {
        index: String,
        shards: usize,
    },
    /// A snapshot of some of the indices or all; nothing if there is one of that name.
    CreateSnapshot {
        name: String,
        outcome: Outcome,
    },
    DeleteSnapshot {
        name: String,
    },
    /// Removes what earlier actions left behind; nothing before 7.6.
    Cleanup,
}

/// How a snapshot shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// About half of its shards fail, at least one.
    Partial,
    /// It is listed, and none of its shards are there.
    Failed,
}

/// A cluster and its repository.
#[derive(Debug, Clone)]
pub(crate) struct Forge {
    world: World,
    /// What [`Forge::abandon`] goes back to.
    before: Option<Box<World>>,
    pending: VecDeque<Step>,
    done: Vec<Step>,
}

/// All that a forge knows.
#[derive(Debug, Clone)]
struct World {
    random: Random,
    chunk_size: Option<u64>,
    cluster: BTreeMap<String, Index>,
    repository: Repository,
    blobs: Blobs,
    clock: i64,
}

impl Forge {
    pub(crate) fn new(family: Family, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let repository = Repository {
            family,
            base: String::new(),
            generation: None,
            ids: (random.uuid(), random.uuid()),
            snapshots: Vec::new(),
            indices: BTreeMap::new(),
            identifiers: BTreeMap::new(),
        };
        let world = World {
            random,
            chunk_size: None,
            cluster: BTreeMap::new(),
            repository,
            blobs: Blobs::default(),
            clock: 1_795_000_000_000,
        };
        Self { world, before: None, pending: VecDeque::new(), done: Vec::new() }
    }

    /// Cuts data blobs into parts of so many bytes, as the repository's setting `chunk_size`.
    pub(crate) fn chunked(mut self, size: u64) -> Self {
        self.world.chunk_size = Some(size);
        self
    }

    /// Puts the repository at a base path, which is empty or ends with a `/`.
    pub(crate) fn at(mut self, base: &str) -> Self {
        base.clone_into(&mut self.world.repository.base);
        self
    }

    /// The names of the snapshots that the newest root lists and that can be restored, sorted; what is under way counts as done.
    pub(crate) fn restorable(&self) -> Vec<String> {
        let snapshots = self.world.repository.snapshots.iter();
        let mut names: Vec<String> = snapshots
            .filter(|snapshot| snapshot.state != repository::State::Failed)
            .map(|snapshot| snapshot.name.clone())
            .collect();
        names.sort();
        names
    }

    /// Begins an action; the one before must be at its end.
    pub(crate) fn begin(&mut self, action: &Action) {
        assert!(self.pending.is_empty(), "the action before is not at its end");
        self.done.clear();
        let before = Box::new(self.world.clone());
        self.pending = self.world.perform(action).into();
        self.before = Some(before).filter(|_| !self.pending.is_empty());
    }

    /// The next write of the action; none at its end.
    pub(crate) fn step(&mut self) -> Option<Step> {
        let step = self.pending.pop_front()?;
        self.done.push(step.clone());
        Some(step)
    }

    /// How many writes the action still has.
    pub(crate) fn left(&self) -> usize {
        self.pending.len()
    }

    /// Leaves the action as it is. What counts is whether its root was written; before 7.6 also which shards got a new list.
    pub(crate) fn abandon(&mut self) {
        let Some(before) = self.before.take() else { return };
        self.pending.clear();
        let mut blobs = before.blobs.clone();
        for step in &self.done {
            blobs.note(step);
        }
        let old = self.world.repository.family.is_old();
        let root = self.world.repository.generation.map(|number| self.world.repository.key(&format!("index-{number}")));
        let published = self.done.iter().any(|step| matches!(step, Step::Put(key, _) if Some(key) == root.as_ref()));
        let mut world = if published { self.world.clone() } else { (*before).clone() };
        if old {
            world.mix_shards(&before, &self.world, &self.done);
        }
        world.random = self.world.random.clone();
        world.blobs = blobs;
        self.world = world;
    }

    /// Carries an action out in a store, from its beginning to its end.
    pub(crate) fn run(&mut self, action: &Action, store: &MemoryStore) {
        self.begin(action);
        self.finish(store);
    }

    /// Carries out what is left of an action.
    pub(crate) fn finish(&mut self, store: &MemoryStore) {
        while let Some(step) = self.step() {
            step.apply(store);
        }
    }
}

impl World {
    fn perform(&mut self, action: &Action) -> Vec<Step> {
        self.clock += 1_000;
        let steps = match action {
            Action::CreateSnapshot { name, outcome } => self.create_snapshot(name, *outcome),
            Action::DeleteSnapshot { name } => self.delete_snapshot(name),
            Action::Cleanup => self.cleanup(),
            other => {
                self.change_cluster(other);
                Vec::new()
            }
        };
        for step in &steps {
            self.blobs.note(step);
        }
        steps
    }

    fn change_cluster(&mut self, action: &Action) {
        let Self { cluster, random, clock, .. } = self;
        match action {
            Action::CreateIndex { index, shards, kind } => {
                cluster.entry(index.clone()).or_insert_with(|| Index::new(*kind, *shards, *clock, random));
            }
            Action::RecreateIndex { index, shards } => {
                if let Some(index) = cluster.get_mut(index) {
                    *index = Index::new(index.kind, *shards, *clock, random);
                }
            }
            Action::DeleteIndex { index } => {
                cluster.remove(index);
            }
            Action::Write { index } => {
                let Some(index) = cluster.get_mut(index) else { return };
                index.mapping_version += u64::from(random.once_in(4));
                index.shards.iter_mut().for_each(|shard| shard.write(random));
            }
            Action::DeleteDocuments { index } => {
                let Some(index) = cluster.get_mut(index) else { return };
                index.shards.iter_mut().for_each(|shard| shard.delete_documents(random));
            }
            Action::Merge { index } => {
                let Some(index) = cluster.get_mut(index) else { return };
                index.shards.iter_mut().filter(|shard| shard.segments() > 0).for_each(|shard| shard.merge(random));
            }
            Action::CreateSnapshot { .. } | Action::DeleteSnapshot { .. } | Action::Cleanup => {}
        }
    }

    /// Before 7.6 a shard's state is its list of files: whose old one is gone, or new one is there, is as the action left it.
    fn mix_shards(&mut self, before: &Self, after: &Self, done: &[Step]) {
        for (name, index) in &mut self.repository.indices {
            for (number, shard) in index.shards.iter_mut().enumerate() {
                let list = format!("{}index-", before.repository.container(&index.id, number));
                let world = if done.iter().any(|step| step.key().starts_with(&list)) { after } else { before };
                let found = world.repository.indices.get(name).and_then(|index| index.shards.get(number));
                if let Some(found) = found {
                    *shard = found.clone();
                }
            }
        }
    }
}
