//! Prune: what a copy no longer needs goes, once no reader starts from an older root any more.
//!
//! 1. Under the target's lease, its newest root is compared with the older ones that are still there ([`surplus`]).
//! 2. What the newest needs is read. If any of it cannot be, nothing goes.
//! 3. Nothing goes either if that would be more than a share of all objects.
//! 4. Readers that still follow an older root are waited for: the newest must be older than a grace period.
//! 5. The newest root must still be the same one, now and before each further step.
//! 6. The objects go, kind by kind: those by which the others are found last, older roots at the very end. The root before the newest
//!    stays, for whoever listed it and has not read it yet.
//!
//! Killed at any moment and run again, it ends in the same place.

mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::lease::Lease;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::repo::surplus::{self, Surplus, SurplusKind, SurplusObject};
use crate::repo::{Base, Generation, Name};
use crate::store::wrap::Policy;
use crate::store::{BATCH, Key};
use crate::transfer::{Failure, Spool, Totals};

/// What may go, and when.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How old the newest root must be.
    pub grace: Duration,
    /// How many of a hundred objects may go, 0 to 100.
    pub max_share: u8,
    /// When and how often to try again.
    pub retry: Policy,
}

impl Default for Options {
    /// Ten minutes are longer than most requests of a restore take. Half of a copy does not vanish on an ordinary day.
    fn default() -> Self {
        Self { grace: Duration::from_mins(10), max_share: 50, retry: Policy::default() }
    }
}

/// What would go.
#[derive(Debug)]
pub struct Preview {
    /// The newest generation: whatever it needs stays.
    pub generation: u64,
    /// The generation before it, whose root stays.
    pub previous: Option<u64>,
    /// What may go.
    pub surplus: Surplus,
    /// How many objects stay, of those that the newest root names. At least: not all of them are counted if the share is small anyway.
    pub kept: u64,
    /// Whether the share that would go is within the bound.
    pub within_share: bool,
    /// How long readers of older roots are to be waited for.
    pub wait: Duration,
}

/// How a prune ended.
#[derive(Debug, Default)]
pub struct Report {
    /// The newest generation; none if it was not found.
    pub generation: Option<u64>,
    /// The generation before it, whose root stays.
    pub previous: Option<u64>,
    /// The snapshots whose objects were to go, by their ids, with their names.
    pub snapshots: BTreeMap<Name, Name>,
    /// What was to go, by kind.
    pub surplus: BTreeMap<SurplusKind, Totals>,
    /// Of these, what is gone.
    pub deleted: BTreeMap<SurplusKind, Totals>,
    /// How many objects stay, of those that the newest root names. At least; see [`Preview::kept`].
    pub kept: u64,
    /// Whether the share that was to go is within the bound.
    pub within_share: bool,
    /// How long readers were waited for.
    pub waited: Duration,
    /// How many objects could not be deleted.
    pub failed: u64,
    /// The first of them.
    pub failures: Vec<Failure>,
    /// Why it ended early, if it did.
    pub error: Option<Error>,
}

/// Roots are read whole. As `repo` has it for the newest.
const LARGEST_ROOT: u64 = 512 * 1024 * 1024;

/// Batches under way at once: enough for a store that deletes one object at a time.
const BATCHES: usize = 8;

/// The failures that are kept one by one.
const LISTED: usize = 1000;

/// Tells what [`run`] would do. Nothing is changed.
pub async fn preview(
    end: &End,
    options: &Options,
    reporter: &Arc<dyn Reporter>,
    cancel: &CancellationToken,
) -> Result<Preview> {
    let prune = Prune { end, options, reporter, cancel };
    Ok(prune.cancellable(prune.look()).await?.1)
}

/// Deletes at `end` what only older roots name. The report always comes; its `error` and `failed` say whether all is well.
pub async fn run(end: &End, options: &Options, reporter: &Arc<dyn Reporter>, cancel: &CancellationToken) -> Report {
    let mut report = Report::default();
    let cancel = cancel.child_token();
    let prune = Prune { end, options, reporter, cancel: &cancel };
    if let Err(error) = prune.leased(&mut report).await {
        report.error = Some(error);
    }
    report
}

struct Prune<'a> {
    end: &'a End,
    options: &'a Options,
    reporter: &'a Arc<dyn Reporter>,
    cancel: &'a CancellationToken,
}

/// The newest root that everything is measured by.
struct Measure {
    base: Base,
    generation: Generation,
    bytes: Bytes,
}

impl Prune<'_> {
    /// Nobody may copy there meanwhile: what only an older root names may be what a copy under way has found to be there.
    async fn leased(&self, report: &mut Report) -> Result<()> {
        let base = self.location();
        // A lease is written only where a repository is.
        if self.cancellable(surplus::roots(&base)).await?.is_empty() {
            return Err(self.nothing());
        }
        let (lease, leftovers) = self.cancellable(Lease::take(&base)).await?;
        let done = {
            let work = self.run(report);
            tokio::pin!(work);
            tokio::select! {
                done = &mut work => done,
                lost = lease.beat() => {
                    self.cancel.cancel();
                    drop(work.await);
                    Err(lost)
                }
            }
        };
        // What a copy that failed has left is not ours to call done.
        lease.release(!leftovers).await;
        done
    }

    async fn run(&self, report: &mut Report) -> Result<()> {
        let (measure, mut preview) = self.cancellable(self.look()).await?;
        report.generation = Some(preview.generation);
        report.previous = preview.previous;
        (report.kept, report.within_share) = (preview.kept, preview.within_share);
        report.surplus.clone_from(preview.surplus.totals());
        report.snapshots = std::mem::take(&mut preview.surplus.snapshots);
        if preview.surplus.total().objects == 0 {
            return Ok(());
        }
        self.must_be_within(&preview)?;
        self.wait(preview.wait).await?;
        report.waited = preview.wait;
        for kind in SurplusKind::ALL {
            let objects = preview.surplus.take(kind);
            if objects.is_empty() {
                continue;
            }
            self.cancellable(self.must_be_newest(&measure)).await?;
            self.delete(kind, objects, &measure.base, report).await?;
            if report.failed > 0 {
                // What is deleted next is needed to find these again.
                return Err(self.failed("it could not delete everything")
                    .hint("what is gone is gone, and nothing that the newest root names is touched: run it again for the rest"));
            }
        }
        Ok(())
    }

    fn must_be_within(&self, preview: &Preview) -> Result<()> {
        if preview.within_share {
            return Ok(());
        }
        let gone = preview.surplus.total().objects;
        let all = gone + preview.kept;
        let cause =
            format!("{gone} of {all} objects would go, and at most {} of a hundred may", self.options.max_share);
        let needed = (gone * 100).div_ceil(all);
        Err(Error::new(ErrorKind::Invalid, self.doing()).because(cause).hint(format!(
            "nothing was deleted; look at the list with `--dry-run`, and if it is right allow it with `--max-share {needed}%`"
        )))
    }

    /// Step 4.
    async fn wait(&self, wait: Duration) -> Result<()> {
        if wait.is_zero() {
            return Ok(());
        }
        let text = format!("wait {} s for readers of older roots", wait.as_secs().max(1));
        self.reporter.report(&Event::Step(&text));
        self.cancellable(async {
            tokio::time::sleep(wait).await;
            Ok(())
        })
        .await
    }

    /// Step 5.
    async fn must_be_newest(&self, measure: &Measure) -> Result<()> {
        let newest = surplus::roots(&measure.base).await?.pop();
        if newest.is_none_or(|(generation, _)| generation != measure.generation) {
            return Err(self.moved());
        }
        let name = measure.generation.key();
        match measure.base.read_if_there(name.as_str(), LARGEST_ROOT).await? {
            Some(bytes) if bytes == measure.bytes => Ok(()),
            _ => Err(self.moved()),
        }
    }

    /// Step 6 for one kind.
    async fn delete(
        &self,
        kind: SurplusKind,
        objects: Spool<SurplusObject>,
        base: &Base,
        report: &mut Report,
    ) -> Result<()> {
        self.reporter.report(&Event::Step(&format!("delete {}", what(kind))));
        let mut objects = objects.into_entries();
        let batches = std::iter::from_fn(move || {
            let batch: Result<Vec<SurplusObject>> = objects.by_ref().take(BATCH).collect();
            batch.map(|batch| (!batch.is_empty()).then_some(batch)).transpose()
        });
        let mut deleted = stream::iter(batches)
            .map(async |batch| {
                let batch = batch?;
                if self.cancel.is_cancelled() {
                    return Err(self.cancelled());
                }
                let keys: Vec<Key> = batch.iter().map(|object| object.key.clone()).collect();
                let failed = base.store.delete_batch(&keys).await?;
                Ok((batch, failed))
            })
            .buffer_unordered(BATCHES)
            .boxed_local();
        let mut ended = Ok(());
        // Batches that are under way when one fails are heard of, so that the report tells what is gone.
        while let Some(batch) = deleted.next().await {
            match batch {
                Ok((batch, failed)) => self.note(kind, &batch, &failed, report),
                Err(error) => {
                    ended = Err(error);
                    break;
                }
            }
        }
        ended
    }

    fn note(&self, kind: SurplusKind, batch: &[SurplusObject], failed: &[(Key, Error)], report: &mut Report) {
        let failed: BTreeMap<&Key, &Error> = failed.iter().map(|(key, error)| (key, error)).collect();
        for object in batch {
            let key = object.key.as_str();
            match failed.get(&object.key) {
                None => {
                    self.reporter.report(&Event::Deleted { key });
                    report.deleted.entry(kind).or_default().add(object.bytes);
                }
                Some(error) => {
                    self.reporter.report(&Event::Failed { key, error });
                    report.failed += 1;
                    if report.failures.len() < LISTED {
                        let kind = error.kind().word().to_owned();
                        report.failures.push(Failure { key: object.key.clone(), kind, message: error.to_string() });
                    }
                }
            }
        }
    }

    async fn cancellable<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(self.cancelled()),
            done = work => done,
        }
    }

    fn cancelled(&self) -> Error {
        Error::new(ErrorKind::Cancelled, self.doing()).because("a signal asked to stop")
    }

    fn doing(&self) -> String {
        format!("prune `{}`", self.end.location)
    }

    fn nothing(&self) -> Error {
        Error::new(ErrorKind::NotFound, self.doing())
            .because("there is no snapshot repository: no `index-<N>` lies at its root")
            .hint("check the location, letter by letter")
    }

    fn moved(&self) -> Error {
        Error::new(ErrorKind::SourceMoved, self.doing())
            .because("its newest root changed meanwhile")
            .hint("another run or a cluster wrote to it: run it again when that has ended")
    }

    fn failed(&self, cause: &'static str) -> Error {
        Error::new(ErrorKind::Corrupt, self.doing()).because(cause)
    }
}

/// What is deleted, for people.
fn what(kind: SurplusKind) -> &'static str {
    match kind {
        SurplusKind::Data => "data",
        SurplusKind::Root => "older roots",
        _ => "metadata",
    }
}
