//! Holds a repository against its store: what its metadata says, against what is there.
//!
//! 1. The roots: which is the newest, and what is wrong beside it (`roots`).
//! 2. Each snapshot: its description, its cluster state, and that they agree with the root (`snapshots`).
//! 3. Each index: its metadata, whose shards must add up to what the descriptions say (`counts`); then each of its shards: its lists of files (`shards`), each against the others (`lists`). From level `presence`
//!    on, its objects with their lengths (`presence`).
//! 4. At level `content`, the files noted in 3 are read and proven (`content`).
//! 5. The root is looked at again: what vanished meanwhile is no damage.
//!
//! Damage is a [`Finding`], never an error; an error is what keeps the audit from going on. Nothing is written. Only one shard's files
//! for each of a bounded number of shards are in memory; files that wait for 4 are in a spool.

mod content;
mod counts;
mod file;
mod finding;
mod kind;
mod lists;
mod place;
mod portion;
mod presence;
mod repair;
mod roots;
mod shards;
mod snapshots;
mod users;
mod verdict;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use self::counts::ShardSums;
use self::file::DataFile;
use self::finding::Findings;
pub use self::finding::{Finding, LISTED};
pub use self::kind::{FindingKind, Severity};
use self::place::Placed;
pub use self::portion::Portion;
pub use self::repair::{Healed, Repair};
pub use self::roots::Roots;
pub use self::verdict::{Audited, SnapshotVerdict};
use super::reader::Reader;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::store::Key;
use crate::store::wrap::Policy;
use crate::transfer::Spool;

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Roots, metadata, and that they agree.
    Structure,
    /// Also that every object is there with its length.
    #[default]
    Presence,
    /// Also every byte.
    Content,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Presence => "presence",
            Self::Content => "content",
        }
    }
}

/// How to audit.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How deep.
    pub level: Level,
    /// Which files are read at level `content`.
    pub portion: Portion,
    /// For what breaks in the middle of a body; everything else is repeated by the store.
    pub retry: Policy,
    /// Only these files are read, whatever the portion says: after a repair.
    pub again: Option<Again>,
}

/// What is read again after a repair.
#[derive(Debug, Clone, Default)]
pub struct Again {
    /// Files by the id of their index, their shard and the name of their blob.
    pub(super) files: HashSet<(String, u32, String)>,
    /// Shards whose lists of files were put right: all of them.
    pub(super) shards: HashSet<(String, u32)>,
    /// Indices whose metadata was put right, by their id: all of their shards.
    pub(super) indices: HashSet<String>,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Snapshots whose descriptions were read.
    pub snapshots: u64,
    /// Indices, each once.
    pub indices: u64,
    /// Shards, each once.
    pub shards: u64,
    /// Lucene's files, each once, those in metadata included.
    pub files: u64,
    /// Objects that were looked for or read, each once.
    pub objects: u64,
    /// Bytes that were read and summed.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct Counts {
    snapshots: AtomicU64,
    indices: AtomicU64,
    shards: AtomicU64,
    files: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
}

/// Shards or indices under way at once; what is asked of the store at once is bounded by its own limit.
const SHARDS: usize = 16;
const INDICES: usize = 8;
/// Files read at once.
const FILES: usize = 32;
/// Failures in a row that speak of the place and not of an object.
const IN_A_ROW: u32 = 24;

/// An audit of one repository, and what it found so far.
pub struct Audit {
    reader: Reader,
    /// The repository that this one is compared with.
    peer: Option<Reader>,
    roots: Roots,
    options: Options,
    reporter: Arc<dyn Reporter>,
    placed: Placed,
    /// The shards that snapshots say they lack, by the number of the snapshot, the index's name and the shard.
    failed: Mutex<HashSet<(u32, String, u32)>>,
    /// Snapshots whose description could not be read: nobody knows which shards they lack.
    unknown: Mutex<HashSet<u32>>,
    /// Snapshots whose data is in a remote store.
    elsewhere: Mutex<HashSet<u32>>,
    sums: Mutex<ShardSums>,
    /// What descriptions call their snapshots, where the root calls them otherwise.
    renamed: Mutex<HashMap<u32, String>>,
    found: Mutex<Findings>,
    wanted: Mutex<Spool<DataFile>>,
    counts: Counts,
    troubles: AtomicU32,
}

/// Why a blob says nothing.
enum Trouble {
    Missing,
    Corrupt(String),
    Elsewhere(String),
    Unreadable(String),
}

impl Audit {
    /// An audit of the repository that `reader` reads, whose root is the newest one of `roots`.
    #[must_use]
    pub fn new(reader: Reader, roots: Roots, options: Options, reporter: Arc<dyn Reporter>) -> Self {
        let placed = Placed::new(&reader.root);
        Self {
            reader,
            peer: None,
            roots,
            options,
            reporter,
            placed,
            failed: Mutex::default(),
            unknown: Mutex::default(),
            elsewhere: Mutex::default(),
            sums: Mutex::default(),
            renamed: Mutex::default(),
            found: Mutex::default(),
            wanted: Mutex::default(),
            counts: Counts::default(),
            troubles: AtomicU32::new(0),
        }
    }

    /// Compares with another repository on the way: what that one has and this one should.
    #[must_use]
    pub fn beside(mut self, peer: Reader) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Takes note of a finding that somebody else made.
    pub fn note(&self, finding: Finding) {
        self.found().add(finding);
    }

    /// Looks at everything. An error ends the audit early; what was found until then stays.
    pub async fn run(&self) -> Result<()> {
        self.reporter.report(&Event::Step("verify the snapshots"));
        for finding in self.roots.findings(&self.reader.base).await? {
            self.note(finding);
        }
        self.check_root();
        self.compare_roots();
        let snapshots = stream::iter(0..self.placed.snapshots.len()).map(Ok::<_, Error>);
        snapshots.try_for_each_concurrent(FILES, |number| self.snapshot(number)).await?;
        self.reporter.report(&Event::Step("verify the shards"));
        let indices = stream::iter(0..self.placed.indices.len()).map(Ok::<_, Error>);
        indices.try_for_each_concurrent(INDICES, |number| self.index(number)).await?;
        self.check_sums();
        if self.options.level == Level::Content {
            self.contents().await?;
        }
        Ok(())
    }

    async fn contents(&self) -> Result<()> {
        let wanted = std::mem::take(&mut *lock(&self.wanted));
        self.reporter.report(&Event::PlanComplete);
        self.reporter.report(&Event::Step("verify the contents"));
        let files = stream::iter(wanted.into_entries());
        files.try_for_each_concurrent(FILES, |file| self.content(file)).await
    }

    fn found(&self) -> MutexGuard<'_, Findings> {
        lock(&self.found)
    }

    fn count(&self) -> Checked {
        let Counts { snapshots, indices, shards, files, objects, bytes } = &self.counts;
        let [snapshots, indices, shards, files, objects, bytes] =
            [snapshots, indices, shards, files, objects, bytes].map(|count| count.load(Ordering::Relaxed));
        Checked { snapshots, indices, shards, files, objects, bytes }
    }

    fn read_object(&self, bytes: u64) {
        self.counts.objects.fetch_add(1, Ordering::Relaxed);
        self.read_bytes(bytes);
    }

    fn read_bytes(&self, bytes: u64) {
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.troubles.store(0, Ordering::Relaxed);
    }

    /// What a failure says of one object. An error if it speaks of the place.
    fn trouble(&self, error: Error) -> Result<Trouble> {
        let cause = error.cause().unwrap_or_else(|| error.kind().word().to_owned());
        Ok(match error.kind() {
            ErrorKind::NotFound => Trouble::Missing,
            ErrorKind::Corrupt | ErrorKind::Invalid | ErrorKind::Precondition => Trouble::Corrupt(cause),
            ErrorKind::Unsupported => Trouble::Elsewhere(cause),
            ErrorKind::Cancelled | ErrorKind::Internal => return Err(error),
            _ if self.troubles.fetch_add(1, Ordering::Relaxed) >= IN_A_ROW => return Err(error),
            _ => Trouble::Unreadable(cause),
        })
    }

    /// The finding that a trouble with an object makes.
    fn finding(trouble: Trouble, key: &Key, missing: FindingKind, corrupt: FindingKind) -> Finding {
        let (kind, message) = match trouble {
            Trouble::Missing => (missing, "it is not there".to_owned()),
            Trouble::Corrupt(cause) => (corrupt, cause),
            Trouble::Elsewhere(cause) if corrupt == FindingKind::CorruptSnapshotInfo => {
                (FindingKind::ShallowSnapshot, cause)
            }
            Trouble::Elsewhere(cause) | Trouble::Unreadable(cause) => (FindingKind::UnreadableObject, cause),
        };
        Finding::new(kind, message).at(key)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
