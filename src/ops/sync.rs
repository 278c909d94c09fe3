//! Sync: pin, list, plan, copy, fence, commit; and again from the start, a bounded number of times, if the source moved.
//!
//! 1. The source is looked at: a repository has an `index-<N>` at its root.
//! 2. A repository is pinned at its newest generation and its target checked; a plain place is not.
//! 3. Both sides are listed and joined; data is copied meanwhile, then metadata.
//! 4. The target is listed once more: what it acknowledged must be there.
//! 5. The fence: the source's newest generation is still the pinned one. Otherwise the next round begins at 1; what was copied
//!    stays copied.
//! 6. The root is published.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::keys::{KeyList, Missing};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::repo;
use crate::store::wrap::{LimitSnapshot, Retry};
use crate::store::{ListOptions, ObjectStore, Pages};
use crate::transfer::{
    self, CopyPlan, Data, Engine, Fence, Flat, Held, Layout, NoPin, Pin, Raised, Rules, Run, Stop, Summary,
};

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
    /// How many requests source and target turned out to bear, in the last round.
    pub limits: Option<[LimitSnapshot; 2]>,
    /// Why the run as a whole ended early, if it did.
    pub error: Option<Error>,
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
        limits: None,
        error: None,
    };
    let sync = Sync { from, to, options, reporter, cancel };
    if let Err(error) = sync.rounds(&mut report).await {
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

/// One round: a pin and the plan made from it.
pub(super) struct Round {
    pub(super) mode: &'static str,
    pub(super) pin: Box<dyn Pin>,
    pub(super) plan: CopyPlan,
    /// How many objects the source listed.
    found: Arc<AtomicU64>,
    /// Listed keys that the source does not have.
    missing: Missing,
}

/// How a round ended that did not fail.
enum Ended {
    Done,
    Moved {
        from: u64,
        to: u64,
    },
    /// The target does not list what it acknowledged.
    Lost,
}

/// The waits between looks at a target that does not yet list what was written: some list a little late.
const LOOKS: [Duration; 4] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

impl Sync<'_> {
    async fn rounds(&self, report: &mut Report) -> Result<()> {
        let mut lost = false;
        for _ in 0..=self.options.replans {
            report.rounds += 1;
            report.summary.begin_round();
            match self.round(report).await? {
                Ended::Done => return Ok(()),
                Ended::Moved { from, to } => self.reporter.report(&Event::Replanned { from, to }),
                // Somebody else writes and removes there too: what this run copied it has not had to copy again.
                Ended::Lost if lost && report.generation.is_none() && report.summary.repeated == 0 => return Ok(()),
                Ended::Lost if lost || report.rounds > self.options.replans => return Err(self.unreliable()),
                Ended::Lost => {
                    lost = true;
                    let text = "the target's listing is not what this run left there: looking again at all of it";
                    self.reporter.report(&Event::Warning(text));
                }
            }
        }
        Err(Error::new(ErrorKind::SourceMoved, format!("publish generation {} at `{}`", report.generation.unwrap_or(0), self.to.location))
            .because(format!("the source moved on in each of {} rounds", report.rounds))
            .hint("nothing was published, what was copied stays copied: run again when no snapshot is being taken or deleted, or allow more rounds with `replans`"))
    }

    fn unreliable(&self) -> Error {
        Error::new(ErrorKind::Corrupt, format!("rely on `{}`", self.to.location))
            .because("it acknowledged objects and does not list them")
            .hint("nothing was published; `plan` names what is missing, and the fault is the store's")
    }

    async fn round(&self, report: &mut Report) -> Result<Ended> {
        let mut round = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(Error::new(ErrorKind::Cancelled, "begin").because("a signal asked to stop")),
            round = self.prepare() => round?,
        };
        report.mode = Some(round.mode);
        report.generation = round.pin.generation();
        report.root = report.generation.map(|_| RootState::Untouched);
        let engine = Engine::new(
            self.from.store.clone(),
            self.to.store.clone(),
            self.options.transfer.clone(),
            self.reporter.clone(),
            &self.cancel,
        );
        let engine = Arc::new(engine);
        let copied = self.copy(engine.clone(), &mut round, report).await;
        report.limits = Some(engine.limits());
        match copied {
            Ok(ended) => Ok(ended),
            // What failed may have failed because the source deleted it meanwhile: then a new plan does better.
            Err(Stop::Failures) => match round.pin.still_holds().await {
                Ok(Held::Moved { now }) => Ok(Ended::Moved { from: round.pin.generation().unwrap_or(0), to: now }),
                _ => Ok(Ended::Done),
            },
            Err(Stop::Error(error)) => Err(error),
        }
    }

    async fn copy(&self, engine: Arc<Engine>, round: &mut Round, report: &mut Report) -> Result<Ended, Stop> {
        let data = Run::<Data>::begin(engine).copy(&mut round.plan, &mut report.summary).await;
        for (key, error) in round.missing.take() {
            self.reporter.report(&Event::Failed { key: key.as_str(), error: &error });
            report.summary.fail(&key, 0, &error)?;
        }
        let data = data?;
        if report.summary.failed.objects > 0 {
            return Err(Stop::Failures);
        }
        round.must_have_found(self.from)?;
        let meta = data.copy(&mut round.plan, &mut report.summary).await?;
        let left_out = round.plan.held_back();
        if round.pin.generation().is_some() && (left_out > 0 || self.options.keys.is_some()) {
            report.root = Some(RootState::HeldBack);
            self.reporter.report(&Event::Warning(
                "the root was not published, because not everything it names was to be copied; sync without filters or key list to publish it",
            ));
            return Ok(Ended::Done);
        }
        // A list of keys says nothing of the rest of the target.
        let audited = report.summary.copied_in_round() > 0 && self.options.keys.is_none();
        if audited && !self.is_carried_out(round).await? {
            return Ok(Ended::Lost);
        }
        let fence = match Fence::raise(round.pin.as_ref()).await? {
            Raised::Fence(fence) => fence,
            Raised::Moved { now } => return Ok(Ended::Moved { from: report.generation.unwrap_or(0), to: now }),
        };
        let committed = meta.commit(&mut round.plan, fence, &mut report.summary).await?;
        if let Some(most) = self.options.rules.delete_extra.filter(|_| round.pin.generation().is_none()) {
            committed.sweep(round.plan.take_extras(), most, &mut report.summary).await?;
        }
        report.root =
            committed.generation.map(|_| if committed.wrote { RootState::Published } else { RootState::Unchanged });
        Ok(Ended::Done)
    }

    /// Before a root is published: does the target list everything that the plan leaves there?
    async fn is_carried_out(&self, round: &Round) -> Result<bool> {
        let to = self.patient(&self.to.store);
        for wait in LOOKS {
            tokio::time::sleep(wait).await;
            if round.plan.is_carried_out(to.list(ListOptions::default())).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) async fn prepare(&self) -> Result<Round> {
        let from = self.patient(&self.from.store);
        let to = self.patient(&self.to.store);
        let repository = match self.options.mode {
            Mode::Plain => None,
            Mode::Auto | Mode::Repository => repo::detect(from.as_ref()).await.map_err(|error| self.place(error))?,
        };
        let (pin, layout): (Box<dyn Pin>, Box<dyn Layout>) = match (repository, self.options.mode) {
            (None, Mode::Repository) => {
                return Err(Error::new(ErrorKind::NotFound, format!("read a repository at `{}`", self.from.location))
                    .because("its root holds no `index-<N>`")
                    .hint("check the prefix: the repository's `base_path` belongs to it"));
            }
            (None, _) => (Box::new(NoPin), Box::new(Flat)),
            (Some(_), _) if self.options.rules.delete_extra.is_some() => {
                return Err(Error::new(ErrorKind::Invalid, "use `--delete-extra` here")
                    .because("the source is a snapshot repository, whose target may hold what its own root still needs")
                    .hint(
                        "leave it out; `--mode plain --delete-extra` mirrors the objects without regard to the format",
                    ));
            }
            (Some(_), _) if self.options.since => {
                return Err(Error::new(ErrorKind::Invalid, "use `--since` here")
                    .because("the source is a snapshot repository, whose new snapshots need old objects too")
                    .hint("leave it out: what the target has is skipped anyway. `--mode plain --since …` copies by time alone"));
            }
            (Some(repository), _) => {
                let pin = repo::pin(&repository, from.clone(), to.clone()).await.map_err(|error| self.place(error))?;
                tracing::debug!(generation = %repository.root.generation, fingerprint = %repository.root.fingerprint(), "pinned");
                let order = pin.order();
                (Box::new(pin), Box::new(order))
            }
        };
        let mode = if pin.generation().is_some() { "repository" } else { "plain" };
        let (found, missing) = (Arc::<AtomicU64>::default(), Missing::default());
        let (wanted, there) = match &self.options.keys {
            Some(keys) => (keys.listing(from, Some(missing.clone())), keys.listing(to, None)),
            None => (from.list(ListOptions::default()), to.list(ListOptions::default())),
        };
        let plan = CopyPlan::new(
            counted(wanted, found.clone()),
            there,
            layout,
            self.options.rules.clone(),
            pin.publications(),
        );
        Ok(Round { mode, pin, plan, found, missing })
    }

    fn patient(&self, store: &Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
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
}

impl Round {
    /// A source without a single object is a mistyped one: an empty copy would be no help to anybody.
    pub(super) fn must_have_found(&self, from: &End) -> Result<()> {
        if self.found.load(Ordering::Relaxed) > 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("copy `{}`", from.location))
            .because("there is no object below it")
            .hint("check the bucket and the prefix, letter by letter"))
    }
}

fn counted(pages: Pages, found: Arc<AtomicU64>) -> Pages {
    pages
        .inspect(move |page| {
            if let Ok(page) = page {
                found.fetch_add(page.len() as u64, Ordering::Relaxed);
            }
        })
        .boxed()
}
