//! Sync: pin, plan, copy, fence, commit; and again from the start, a bounded number of times, if the source moved.
//!
//! 1. The source is looked at: a repository has an `index-<N>` at its root.
//! 2. A plain place: both sides are listed and joined ([`plain`]).
//! 3. A repository: it is pinned at its newest root, and what the copy needs beyond what the target has is found by reading the metadata of
//!    both ([`repository`]).

mod plain;
mod prepare;
mod repository;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub(super) use self::prepare::{Prepared, RepositoryRound, times};
use super::end::End;
use super::keys::KeyList;
use super::prune;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Reporter;
use crate::repo::Selection;
use crate::store::ObjectStore;
use crate::store::wrap::{LimitSnapshot, Retry};
use crate::transfer::{self, Engine, Rules, Summary};

/// How a source is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As a repository if its root holds `index-<N>`, else plain.
    #[default]
    Auto,
    /// As a repository, or not at all.
    Repository,
    /// As objects without meaning or order.
    Plain,
}

/// What to copy and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How the source is looked at.
    pub mode: Mode,
    /// Which keys, and when an object that is there is copied again.
    pub rules: Rules,
    /// Whether the rules have a time floor, which only a plain copy may have.
    pub since: bool,
    /// Only these keys.
    pub keys: Option<KeyList>,
    /// How much at once.
    pub transfer: transfer::Options,
    /// How many more rounds may follow the first when the source moves.
    pub replans: u32,
    /// What is meant by a copy of a repository.
    pub repository: RepositoryOptions,
}

/// How a repository is copied.
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    /// Which snapshots and indices; everything, if nothing is selected.
    pub selection: Selection,
    /// Whether the target shall name nothing else, and loses what nothing names: up to so many of a hundred objects.
    pub prune: Option<u8>,
    /// How long readers of a root are given before what only that root names is replaced or deleted.
    pub grace: Duration,
    /// Whether everything is walked through and the target listed, in place of taking its root's word.
    pub deep: bool,
    /// Whether data that is damaged at the source is copied and published nonetheless.
    pub allow_damaged: bool,
    /// Whether a source that changes at all ends the run.
    pub require_readonly: bool,
    /// Whether a blob under a reused name may be replaced while the visible root needs the old one.
    pub overwrite_changed: bool,
}

impl Default for RepositoryOptions {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            prune: None,
            grace: Duration::from_mins(1),
            deep: false,
            allow_damaged: false,
            require_readonly: false,
            overwrite_changed: false,
        }
    }
}

/// What became of the target's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootState {
    /// It was written.
    Published,
    /// It was already as it should be.
    Unchanged,
    /// Not everything it names was to be copied, so it was left as it was.
    HeldBack,
    /// The run did not get as far.
    Untouched,
}

/// How a sync ended.
#[derive(Debug)]
pub struct Report {
    /// `repository` or `plain`; none if the source could not be looked at.
    pub mode: Option<&'static str>,
    /// The generation that was copied.
    pub generation: Option<u64>,
    /// What became of the root of a repository.
    pub root: Option<RootState>,
    /// Rounds made.
    pub rounds: u32,
    /// What happened to the objects.
    pub summary: Summary,
    /// Snapshots that could not be copied whole and are not in the target's root.
    pub left_out: Vec<LeftOut>,
    /// How many snapshots the target's root names now.
    pub snapshots: Option<u64>,
    /// What was deleted because nothing names it any more.
    pub pruned: Option<prune::Report>,
    /// How many requests source and target turned out to bear, in the last round.
    pub limits: Option<[LimitSnapshot; 2]>,
    /// Why the run as a whole ended early, if it did.
    pub error: Option<Error>,
}

/// A snapshot that is not in the target's root although it was to be.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Its id.
    pub uuid: String,
    /// Why.
    pub reason: String,
}

/// Copies what `to` lacks of `from`. The report always comes; its `error` and `summary.failed` say whether all is well.
pub async fn run(
    from: &End,
    to: &End,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    cancel: CancellationToken,
) -> Report {
    let mut report = Report {
        mode: None,
        generation: None,
        root: None,
        rounds: 0,
        summary: Summary::default(),
        left_out: Vec::new(),
        snapshots: None,
        pruned: None,
        limits: None,
        error: None,
    };
    let sync = Sync { from, to, options, reporter, cancel };
    if let Err(error) = sync.run(&mut report).await {
        report.error = Some(error);
    }
    report.summary.finish();
    report
}

/// What all rounds of one run share.
pub(super) struct Sync<'a> {
    pub(super) from: &'a End,
    pub(super) to: &'a End,
    pub(super) options: &'a Options,
    pub(super) reporter: Arc<dyn Reporter>,
    pub(super) cancel: CancellationToken,
}

impl Sync<'_> {
    async fn run(&self, report: &mut Report) -> Result<()> {
        match self.unless_cancelled(self.prepare()).await? {
            Prepared::Plain(round) => {
                report.mode = Some("plain");
                self.plain(*round, report).await
            }
            Prepared::Repository(round) => {
                report.mode = Some("repository");
                self.repository(round, report).await
            }
        }
    }

    /// Work that only reads, and so needs no clearing up when a signal comes.
    pub(super) async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, "begin").because("a signal asked to stop")),
            done = work => done,
        }
    }

    fn engine(&self, from: Arc<dyn ObjectStore>, to: Arc<dyn ObjectStore>, cancel: &CancellationToken) -> Arc<Engine> {
        Arc::new(Engine::new(from, to, self.options.transfer.clone(), self.reporter.clone(), cancel))
    }

    pub(super) fn patient(&self, store: &Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(Retry::new(store.clone(), self.options.transfer.retry, self.reporter.clone()))
    }

    /// Says where, for errors that only know what.
    fn place(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Unsupported | ErrorKind::Diverged => {
                error.instead(format!("copy `{}` to `{}`", self.from.location, self.to.location))
            }
            ErrorKind::Corrupt => error.while_doing(format!("copy `{}` to `{}`", self.from.location, self.to.location)),
            _ => error,
        }
    }

    /// For a target whose listing lacks what it acknowledged, again and again.
    fn unreliable(&self) -> Error {
        Error::new(ErrorKind::Corrupt, format!("rely on `{}`", self.to.location))
            .because("it acknowledged objects and does not list them")
            .hint("nothing was published; `plan` names what is missing, and the fault is the store's")
    }
}

/// The waits between looks at a target that does not yet list what was written: some list a little late.
const LOOKS: [Duration; 4] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
