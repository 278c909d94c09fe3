//! The closure: every object that a copy of a pinned root needs, found shard by shard from the repository's own metadata.
//!
//! 1. Snapshots: their descriptions, and the shards that each says it has not.
//! 2. Indices: their metadata, which tells how many shards there are.
//! 3. Shards: their files in each snapshot. What the target has is known from its own root and metadata: a file is there if the target's
//!    list of the shard has it, by name, length and checksum.
//!
//! Nothing is listed, unless the target may hold what its root does not tell of: then each shard's container is. What cannot be read is
//! noted with the snapshots that need it ([`Found`]) and stops nothing else.

mod found;
mod indices;
mod shards;
mod snapshots;
mod there;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{self, FuturesOrdered};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

pub use self::found::{Exclusion, Found};
use self::indices::ShardWalk;
use super::base::Base;
use super::data::{IndexEntry, RootIndex};
use super::name::Name;
use super::reader::Reader;
use super::select::Desired;
use crate::error::Result;
use crate::store::Key;
use crate::transfer::{Want, Wanted};

/// Snapshots, indices or shards walked through at once.
const AT_ONCE: usize = 8;
/// Reads under way at once for each of them.
const READS: usize = 4;

/// What is wrong with data at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It is not what its metadata says.
    Content,
    /// It is not there.
    Missing,
}

/// How much of the target is taken from its own metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// All of it: nothing but our own runs wrote there, and all of them ended.
    #[default]
    Trust,
    /// What its root tells of; for the rest, containers are listed: a run that was stopped left something.
    Leftovers,
    /// Nothing: all is walked through and listed.
    Deep,
}

/// A walk through everything that a copy needs.
#[derive(Debug)]
pub struct Walk {
    /// The source at its pinned root.
    pub(super) source: Reader,
    /// The target at its newest root, if it has one.
    pub(super) there: Option<Reader>,
    /// Where the copy lies.
    pub(super) target: Base,
    /// What the copy shall name.
    pub(super) desired: Desired,
    pub(super) look: Look,
    /// Data that earlier rounds found damaged or missing at the source, by its key at the target.
    pub(super) damaged: BTreeMap<Key, Damage>,
    /// Whether damaged data is wanted nonetheless.
    pub(super) allow_damaged: bool,
    /// The target's indices by their ids: its root has them by name.
    there_by_id: HashMap<Name, String>,
    pub(super) found: Found,
}

impl Walk {
    /// A walk over `source`, which `desired` is taken of, to `target`, which now has the root of `there`.
    #[must_use]
    pub fn new(source: Reader, there: Option<Reader>, target: Base, desired: Desired, look: Look) -> Self {
        let by_id = |reader: &Reader| -> HashMap<Name, String> {
            reader.root.indices.iter().map(|(name, index)| (index.id.clone(), name.clone())).collect()
        };
        let there_by_id = there.as_ref().map(by_id).unwrap_or_default();
        Self {
            source,
            there,
            target,
            desired,
            look,
            damaged: BTreeMap::new(),
            allow_damaged: false,
            there_by_id,
            found: Found::default(),
        }
    }

    /// Passes over data that is known to be damaged, or takes it nonetheless.
    #[must_use]
    pub fn with_damaged(mut self, damaged: BTreeMap<Key, Damage>, allowed: bool) -> Self {
        self.damaged = damaged;
        self.allow_damaged = allowed;
        self
    }

    /// Whether the roots of both sides alone show that the target has everything. Its root is then known too.
    pub(super) fn is_settled(&self) -> bool {
        let settled = self.look != Look::Deep
            && self.snapshots_to_read().is_empty()
            && self.root().indices.iter().all(|(name, index)| !self.lists_changed(name, index));
        if settled {
            self.root().indices.values().for_each(|index| self.keep_generations(index));
        }
        settled
    }

    /// Reads what the walk needs to find shards.
    pub async fn begin(&self) -> Result<()> {
        self.source.find_shards().await?;
        match &self.there {
            Some(there) => there.find_shards().await,
            None => Ok(()),
        }
    }

    /// What it found out.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Where the copy lies.
    #[must_use]
    pub fn target(&self) -> &Base {
        &self.target
    }

    /// Whether the target's root is all that needs to be known of it.
    #[must_use]
    pub fn trusts(&self) -> bool {
        self.look == Look::Trust
    }

    /// Whether shards lie beside the base path.
    #[must_use]
    pub fn leaves_base(&self) -> bool {
        self.source.leaves_base()
    }

    /// Whether the target keeps this snapshot although the source's is damaged.
    #[must_use]
    pub fn holds(&self, uuid: &Name) -> bool {
        self.desired.held.contains(uuid)
    }

    /// Whether the source's root lists this snapshot.
    #[must_use]
    pub fn lists(&self, uuid: &Name) -> bool {
        self.root().snapshot(uuid).is_some()
    }

    /// How many snapshots the copy shall name.
    #[must_use]
    pub fn named(&self) -> u64 {
        self.desired.uuids(self.root()).len() as u64
    }

    /// Whether data under a name that came back would replace what one of these snapshots at the target needs.
    pub(super) async fn overwrites(self: Arc<Self>, vanished: BTreeSet<Name>) -> Result<bool> {
        let overwrites = self.clone().any_overwrites(vanished).await;
        self.found.forget();
        overwrites
    }

    async fn any_overwrites(self: Arc<Self>, vanished: BTreeSet<Name>) -> Result<bool> {
        let concerned = |index: &IndexEntry| {
            self.index_there(index).is_some_and(|there| there.snapshots.iter().any(|uuid| vanished.contains(uuid)))
        };
        let names: Vec<String> =
            self.root().indices.iter().filter(|(_, index)| concerned(index)).map(|(name, _)| name.clone()).collect();
        for name in names {
            let walked = self.clone().index(name).await?;
            let looks = walked.shards.into_iter().map(|shard| self.clone().shard_overwrites(shard, &vanished));
            let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
            while let Some(overwrites) = looks.try_next().await? {
                if overwrites {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The source's root.
    pub(super) fn root(&self) -> &Arc<RootIndex> {
        &self.source.root
    }

    /// The same index at the target.
    fn index_there(&self, index: &IndexEntry) -> Option<&IndexEntry> {
        self.indexed_there(&index.id)
    }

    /// The index of that id at the target.
    fn indexed_there(&self, id: &Name) -> Option<&IndexEntry> {
        let name = self.there_by_id.get(id)?;
        self.there.as_ref()?.root.indices.get(name)
    }

    /// Whether the target's root has this snapshot.
    fn snapshot_there(&self, uuid: &str) -> bool {
        self.there.as_ref().is_some_and(|there| there.root.snapshot(uuid).is_some())
    }

    /// The snapshots of an index that the target shall name and that are to be walked through.
    fn added(&self, name: &str, index: &IndexEntry) -> Vec<Name> {
        let there: BTreeSet<&Name> = match (self.look, self.index_there(index)) {
            (Look::Deep, _) | (_, None) => BTreeSet::new(),
            (_, Some(there)) => there.snapshots.iter().collect(),
        };
        let new = |uuid: &&Name| !there.contains(uuid) && !self.desired.held.contains(*uuid);
        self.desired.of(name, index).filter(new).cloned().collect()
    }

    async fn task(self: Arc<Self>, task: Task) -> Result<Done> {
        let wants = match task {
            Task::Snapshot(uuid) => self.snapshot(uuid).await?,
            Task::Index(name) => {
                let walked = self.index(name).await?;
                return Ok(Done { wants: walked.metas, shards: walked.shards });
            }
            Task::Shard(shard) => self.shard(*shard).await?,
            Task::Last => self.rewritten_snapshots().await?,
        };
        Ok(Done { wants, shards: Vec::new() })
    }

    /// Everything that is wanted, as it is found.
    #[must_use]
    pub fn wants(self: Arc<Self>) -> Box<dyn Wanted> {
        let snapshots = self.snapshots_to_read().into_iter().map(Task::Snapshot).collect();
        let indices = self.root().indices.keys().cloned().map(Task::Index).collect();
        let stages = VecDeque::from([indices, VecDeque::from([Task::Last])]);
        Box::new(Stream {
            walk: self,
            ready: VecDeque::new(),
            waiting: snapshots,
            running: FuturesOrdered::new(),
            stages,
        })
    }
}

/// A step of a walk.
enum Task {
    Snapshot(Name),
    Index(String),
    Shard(Box<ShardWalk>),
    /// What can only be said at the end.
    Last,
}

/// What came of a step.
struct Done {
    wants: Vec<Want>,
    shards: Vec<ShardWalk>,
}

/// What a walk gives, flat. Every step that has begun is looked after until it ends: one that was left waiting could hold what the others
/// wait for, a lock or a permit.
struct Stream {
    walk: Arc<Walk>,
    ready: VecDeque<Want>,
    waiting: VecDeque<Task>,
    running: FuturesOrdered<BoxFuture<'static, Result<Done>>>,
    /// The steps that begin when those before have all ended.
    stages: VecDeque<VecDeque<Task>>,
}

#[async_trait]
impl Wanted for Stream {
    async fn next(&mut self) -> Result<Option<Want>> {
        loop {
            if let Some(want) = self.ready.pop_front() {
                return Ok(Some(want));
            }
            while self.running.len() < AT_ONCE
                && let Some(task) = self.waiting.pop_front()
            {
                self.running.push_back(self.walk.clone().task(task).boxed());
            }
            if let Some(done) = self.running.try_next().await? {
                self.ready.extend(done.wants);
                // Before the next index: what waits is never more than the shards of a few.
                for shard in done.shards.into_iter().rev() {
                    self.waiting.push_front(Task::Shard(Box::new(shard)));
                }
            } else if let Some(stage) = self.stages.pop_front() {
                self.waiting = stage;
            } else {
                return Ok(None);
            }
        }
    }
}
