//! What happened, told as it happens, and who listens.
//!
//! Every room reports [`Event`]s; only `cli::output` turns them into something a person or a program reads. A reporter is
//! called on the thread that does the work: it must return at once and must not block.

use std::time::Duration;

use crate::error::Error;

/// One thing that happened. Keys are as the user would write them behind the location.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run begins to move the objects of a phase: `data`, `metadata` or `root`.
    Phase(&'static str),
    /// The plan found one more object to copy.
    Planned {
        /// Its length in bytes.
        bytes: u64,
    },
    /// Both listings have ended: the totals planned so far are final for this round.
    PlanComplete,
    /// An object needs no copy.
    Skipped {
        /// Which object.
        key: &'a str,
        /// Why not.
        reason: &'static str,
    },
    /// An object's first byte is about to be asked for.
    Started {
        /// Which object.
        key: &'a str,
    },
    /// This many more bytes arrived from the source.
    Moved {
        /// How many.
        bytes: u64,
    },
    /// An object is at the target, checked.
    Copied {
        /// Which object.
        key: &'a str,
        /// Its length in bytes.
        bytes: u64,
    },
    /// A file was read and compared with what its repository says of it.
    Checked {
        /// Its first object.
        key: &'a str,
        /// Its length in bytes.
        bytes: u64,
    },
    /// An object that only the target had is gone.
    Deleted {
        /// Which object.
        key: &'a str,
    },
    /// A try failed and another follows after a wait.
    Retried {
        /// What failed.
        error: &'a Error,
        /// How long until the next try.
        wait: Duration,
    },
    /// An object could not be copied; the run goes on.
    Failed {
        /// Which object.
        key: &'a str,
        /// Why not.
        error: &'a Error,
    },
    /// The source changed and the run starts another round.
    Replanned {
        /// The generation that was being copied.
        from: u64,
        /// The generation that is newest now.
        to: u64,
    },
    /// The target's root now names this generation.
    Published {
        /// The generation.
        generation: u64,
    },
    /// A snapshot is being taken, restored or verified; `total` is 0 while unknown.
    Shards {
        /// `snapshot`, `restore` or `verify`.
        doing: &'static str,
        /// Shards finished.
        done: u64,
        /// Shards in all.
        total: u64,
        /// Bytes finished.
        bytes: u64,
        /// Bytes in all.
        bytes_total: u64,
    },
    /// A request was answered, or failed on the way.
    Request {
        /// Which store, as the user named it.
        store: &'a str,
        /// What was asked, in S3's words.
        request: &'static str,
        /// The answer's HTTP status; 0 if none came.
        status: u16,
        /// Bytes of both bodies, as announced.
        bytes: u64,
        /// From the first byte sent to the head of the answer.
        time: Duration,
    },
    /// A step of a longer command begins, for example `register`.
    Step(&'a str),
    /// Something the user should know although the work goes on.
    Warning(&'a str),
}

/// Who listens to events.
pub trait Reporter: Send + Sync {
    /// Takes note of one event. Called synchronously from many tasks at once.
    fn report(&self, event: &Event<'_>);
}

/// A reporter that listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _event: &Event<'_>) {}
}
