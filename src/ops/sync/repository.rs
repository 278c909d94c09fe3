//! A repository: what its snapshots need goes over, then its root.
//!
//! 1. If the target's root is as it shall be, that was all: five requests.
//! 2. Else the target's lease is taken; what a run before may have left is looked for.
//! 3. If blobs are to be replaced whose names came back, first a root without the snapshots that need them is published (`retire`).
//! 4. Data, metadata, the fence, the root. If the source lost a snapshot meanwhile, or has a damaged one, again from its root on, without
//!    that snapshot; what was copied stays copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::prepare::{Learnt, RepositoryRound};
use super::{LOOKS, LeftOut, Report, RootState, Sync};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::ops::lease::Lease;
use crate::ops::prune;
use crate::repo::{self, Damage, Exclusion, Name};
use crate::store::{Key, ListOptions};
use crate::transfer::{CopyPlan, Data, Engine, Failure, Fence, Held, Only, Pin, Raised, Run, Spool, Stop};

/// How a round ended that did not fail.
enum Ended {
    Done,
    /// The source's newest generation is another one, without a snapshot that was to be published.
    Moved {
        from: u64,
        to: u64,
    },
    /// Something cannot be copied whole: the next round leaves it out.
    Learnt,
    /// The target does not list what it acknowledged.
    Lost,
}

/// What the rounds of one run come to.
#[derive(Default)]
struct Rounds {
    learnt: Learnt,
    excluded: BTreeMap<Name, Exclusion>,
    damage: Vec<Failure>,
    lost: bool,
}

impl Sync<'_> {
    pub(super) async fn repository(&self, round: RepositoryRound, report: &mut Report) -> Result<()> {
        report.generation = round.pin.generation();
        report.root = Some(RootState::Untouched);
        if !self.options.repository.deep && round.pin.is_there()? {
            report.rounds = 1;
            report.root = Some(RootState::Unchanged);
            let published = round.pin.publications()?;
            for one in published.publications {
                report.summary.skip(one.bytes.len() as u64, "same-content");
            }
            report.generation = published.generation;
            report.snapshots = Some(round.pin.walk().named());
            return self.prune(report).await;
        }
        round.pin.begin().await?;
        let target = round.pin.walk().target().clone();
        let (lease, leftovers) = Lease::take(&target).await?;
        // Whoever held it before may have published since we looked.
        let moved = round.pin.target_moved().await;
        let cancel = self.cancel.child_token();
        let done = {
            let work = async {
                let round =
                    if moved? { self.unless_cancelled(self.pin_again(&Learnt::default())).await? } else { round };
                self.rounds(round, leftovers, &cancel, report).await
            };
            tokio::pin!(work);
            tokio::select! {
                done = &mut work => done,
                lost = lease.beat() => {
                    cancel.cancel();
                    drop(work.await);
                    Err(lost)
                }
            }
        };
        let complete = done.is_ok() && report.summary.failed.objects == 0 && report.root != Some(RootState::HeldBack);
        let untouched = !leftovers && report.summary.copied.objects == 0;
        lease.release(complete || untouched).await;
        done?;
        self.prune(report).await
    }

    async fn rounds(
        &self,
        first: RepositoryRound,
        leftovers: bool,
        cancel: &CancellationToken,
        report: &mut Report,
    ) -> Result<()> {
        let mut rounds = Rounds::default();
        rounds.learnt.leftovers = leftovers;
        let mut next = if leftovers { None } else { Some(first) };
        let mut moves = 0;
        loop {
            report.rounds += 1;
            report.summary.begin_round();
            let round = match next.take() {
                Some(round) => round,
                None => self.unless_cancelled(self.pin_again(&rounds.learnt)).await?,
            };
            report.generation = round.pin.generation();
            let round = self.retire_first(round, &rounds.learnt, cancel).await?;
            match self.round(&round, cancel, &mut rounds, report).await? {
                Ended::Done => return self.conclude(rounds, &round, report),
                Ended::Learnt => {}
                Ended::Moved { from, to } => {
                    self.reporter.report(&Event::Replanned { from, to });
                    moves += 1;
                    if moves > self.options.replans || self.options.repository.require_readonly {
                        return Err(self.kept_moving(report, moves));
                    }
                }
                Ended::Lost if rounds.lost => return Err(self.unreliable()),
                Ended::Lost => {
                    rounds.lost = true;
                    let text = "the target does not list all that it acknowledged: looking again at all of it";
                    self.reporter.report(&Event::Warning(text));
                }
            }
            rounds.learnt.leftovers = true;
        }
    }

    fn kept_moving(&self, report: &Report, rounds: u32) -> Error {
        let (cause, hint) = if self.options.repository.require_readonly {
            ("the source changed while it was copied", "nothing was published, what was copied stays copied: register the source read-only everywhere, and run again; without `--require-readonly` only deleted snapshots matter".to_owned())
        } else {
            (
                "the source lost a snapshot that was being copied, in each round",
                format!(
                    "nothing was published in {rounds} rounds, what was copied stays copied: run again when no snapshot is being deleted, or allow more rounds with `replans`"
                ),
            )
        };
        let doing = format!("publish generation {} at `{}`", report.generation.unwrap_or(0), self.to.location);
        Error::new(ErrorKind::SourceMoved, doing).because(cause).hint(hint)
    }

    async fn pin_again(&self, learnt: &Learnt) -> Result<RepositoryRound> {
        let from = self.patient(&self.from.store);
        let repository = repo::detect(&from).await?.ok_or_else(|| RepositoryRound::missing(self.from))?;
        let round = self.repository_round(&repository, learnt).await.map_err(|error| self.place(error))?;
        round.pin.begin().await?;
        Ok(round)
    }

    /// Publishes a root without the snapshots that the source has no more, if data under their names is to be replaced, and gives readers
    /// time.
    async fn retire_first(
        &self,
        round: RepositoryRound,
        learnt: &Learnt,
        cancel: &CancellationToken,
    ) -> Result<RepositoryRound> {
        let options = &self.options.repository;
        if options.overwrite_changed || !self.unless_cancelled(round.pin.needs_retire()).await? {
            return Ok(round);
        }
        let grace = options.grace;
        let text = format!(
            "names of deleted snapshots' data came back with other content: publishing a root without these snapshots, then waiting {} s for readers (`--grace`)",
            grace.as_secs()
        );
        self.reporter.report(&Event::Warning(&text));
        let engine = self.engine(round.ends[0].store.clone(), round.ends[1].store.clone(), cancel);
        engine.publish(&round.pin.retiring()?).await?;
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(cancelled()),
            () = tokio::time::sleep(grace) => {}
        }
        self.unless_cancelled(self.pin_again(&Learnt { leftovers: true, ..learnt.clone() })).await
    }

    /// The keys of a list, if the run is about no others.
    pub(in crate::ops) fn only(&self) -> Option<Only> {
        let keys = self.options.keys.clone()?;
        Some(Box::new(move |key| keys.has(key)))
    }

    async fn round(
        &self,
        round: &RepositoryRound,
        cancel: &CancellationToken,
        rounds: &mut Rounds,
        report: &mut Report,
    ) -> Result<Ended> {
        let engine = self.engine(round.ends[0].store.clone(), round.ends[1].store.clone(), cancel);
        let wants = round.pin.walk().clone().wants();
        let mut plan = CopyPlan::of_format(wants, self.options.rules.clone(), self.only());
        let copied = self.copy(engine.clone(), round, &mut plan, rounds, report).await;
        report.limits = Some(engine.limits());
        match copied {
            Ok(ended) => Ok(ended),
            Err(Stop::Failures) => self.after_failures(round, rounds, report).await,
            Err(Stop::Error(error)) => Err(error),
        }
    }

    async fn copy(
        &self,
        engine: Arc<Engine>,
        round: &RepositoryRound,
        plan: &mut CopyPlan,
        rounds: &mut Rounds,
        report: &mut Report,
    ) -> Result<Ended, Stop> {
        let data = Run::<Data>::begin(engine).copy(plan, &mut report.summary).await?;
        let excluded = round.pin.walk().found().excluded();
        if !excluded.is_empty() {
            rounds.learnt.excluded.extend(excluded.keys().cloned());
            rounds.excluded.extend(excluded);
            return Ok(Ended::Learnt);
        }
        if !rounds.excluded.is_empty() && round.pin.walk().named() == 0 {
            let text = "nothing was published: no snapshot can be copied whole";
            self.reporter.report(&Event::Warning(text));
            return Ok(Ended::Done);
        }
        let meta = data.copy(plan, &mut report.summary).await?;
        if plan.held_back() > 0 {
            report.root = Some(RootState::HeldBack);
            self.reporter.report(&Event::Warning(
                "the root was not published, because not everything it names was to be copied; sync without filters or key list to publish it",
            ));
            return Ok(Ended::Done);
        }
        let listed = round.first || !round.pin.walk().trusts();
        if listed && !self.lists_all(round, plan).await? {
            return Ok(Ended::Lost);
        }
        let fence = match Fence::raise(round.pin.as_ref()).await? {
            Raised::Fence(fence) => fence,
            Raised::Moved { now } => return Ok(Ended::Moved { from: report.generation.unwrap_or(0), to: now }),
        };
        let committed = meta.commit(fence, &mut report.summary).await?;
        report.generation = committed.generation;
        report.root = Some(if committed.wrote { RootState::Published } else { RootState::Unchanged });
        report.snapshots = Some(round.pin.walk().named());
        Ok(Ended::Done)
    }

    /// Before a root is published: does the target list everything that was wanted there?
    async fn lists_all(&self, round: &RepositoryRound, plan: &CopyPlan) -> Result<bool> {
        let target = round.pin.walk().target();
        for wait in LOOKS {
            tokio::time::sleep(wait).await;
            // Shards may lie beside the base path, and there everywhere.
            let beside = round.pin.walk().leaves_base();
            let prefix = if beside { String::new() } else { target.path.clone() };
            if plan.is_carried_out(target.store.list(ListOptions { prefix, after: None })).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Objects failed. If the source has changed, a new plan does better; if it is the source's data that is damaged or missing, the snapshots
    /// that need it are left out.
    async fn after_failures(&self, round: &RepositoryRound, rounds: &mut Rounds, report: &mut Report) -> Result<Ended> {
        if let Ok(Held::Moved { now }) = round.pin.still_holds().await {
            return Ok(Ended::Moved { from: report.generation.unwrap_or(0), to: now });
        }
        let mut others = Spool::default();
        let mut found = BTreeMap::<Key, (Damage, Failure)>::new();
        for failure in std::mem::take(&mut report.summary.failures).into_entries() {
            let failure = failure?;
            let damage = match failure.kind.as_str() {
                "damaged" => Some(Damage::Content),
                "not-found" => Some(Damage::Missing),
                _ => None,
            };
            match damage.filter(|_| found.len() < MOST_DAMAGED) {
                Some(damage) => drop(found.insert(failure.key.clone(), (damage, failure))),
                None => others.push(failure)?,
            }
        }
        let new = found.keys().any(|key| !rounds.learnt.damaged.contains_key(key));
        if !others.is_empty() || !new {
            for (_, failure) in found.into_values() {
                others.push(failure)?;
            }
            report.summary.failures = others;
            return Ok(Ended::Done);
        }
        for (key, (damage, failure)) in found {
            rounds.learnt.damaged.insert(key, damage);
            rounds.damage.push(failure);
        }
        Ok(Ended::Learnt)
    }

    /// Tells what was left out, and what is damaged.
    fn conclude(&self, rounds: Rounds, last: &RepositoryRound, report: &mut Report) -> Result<()> {
        for (uuid, Exclusion { name, reason, .. }) in rounds.excluded {
            let name = name.to_string();
            if !last.pin.walk().lists(&uuid) {
                let text = format!("the snapshot `{name}` was deleted at the source meanwhile, and is not in the copy");
                self.reporter.report(&Event::Warning(&text));
                continue;
            }
            let stays = if last.pin.walk().holds(&uuid) { "; what the target has of it stays" } else { "" };
            let reason = format!("{reason}{stays}");
            let text = format!("the snapshot `{name}` is left out: {reason}");
            self.reporter.report(&Event::Warning(&text));
            report.left_out.push(LeftOut { name, uuid: uuid.to_string(), reason });
        }
        if report.left_out.is_empty() && !self.options.repository.allow_damaged {
            return Ok(());
        }
        for failure in rounds.damage {
            tracing::debug!(key = %failure.key, "damaged at the source");
            if self.options.repository.allow_damaged {
                continue;
            }
            report.summary.failures.push(failure)?;
        }
        // They count as failed: the run has not done what it was to do.
        report.summary.failed.objects += report.left_out.len() as u64;
        Ok(())
    }

    /// Deletes what nothing names any more, if that was asked for and all is well.
    async fn prune(&self, report: &mut Report) -> Result<()> {
        let options = &self.options.repository;
        let Some(max_share) = options.prune else { return Ok(()) };
        if report.summary.failed.objects > 0
            || !matches!(report.root, Some(RootState::Published | RootState::Unchanged))
        {
            return Ok(());
        }
        let pruning = prune::Options { grace: options.grace, max_share, retry: self.options.transfer.retry };
        // A run that changed nothing leaves nothing to do, in most cases: no lease is taken to find that out.
        if report.root == Some(RootState::Unchanged) {
            let preview = prune::preview(self.to, &pruning, &self.reporter, &self.cancel).await?;
            if preview.surplus.total().objects == 0 {
                return Ok(());
            }
        }
        let mut pruned = prune::run(self.to, &pruning, &self.reporter, &self.cancel).await;
        for totals in pruned.deleted.values() {
            report.summary.deleted.objects += totals.objects;
            report.summary.deleted.bytes += totals.bytes;
        }
        let error = pruned.error.take();
        report.pruned = Some(pruned);
        error.map_or(Ok(()), Err)
    }
}

/// Damaged objects that are told apart; beyond it the source is not worth copying.
const MOST_DAMAGED: usize = 100_000;

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "go on")
        .because("a signal asked to stop")
        .hint("run the same command again to finish")
}
