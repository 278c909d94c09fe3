//! Plan: what a sync would do. It makes the same plan and carries nothing out; only reading requests are sent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::prune;
use super::sync::{LeftOut, Options, Prepared, RepositoryRound, Sync};
use crate::error::Result;
use crate::event::Reporter;
use crate::store::Key;
use crate::transfer::{CopyPlan, Pin as _, Reason, Spool, Step, Summary, Totals};

/// An entry of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedCopy {
    /// Which object.
    pub key: Key,
    /// Its length in bytes.
    pub bytes: u64,
    /// When: `data`, `metadata` or `root`.
    pub phase: String,
    /// Why: `missing`, `size`, `time`, `always` or `content`.
    pub reason: String,
}

/// An object with its length.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sized {
    /// Which object.
    pub key: Key,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What a sync would do.
#[derive(Debug, Default)]
pub struct PlanReport {
    /// `repository` or `plain`.
    pub mode: &'static str,
    /// The generation that would be published.
    pub generation: Option<u64>,
    /// What would be copied, in the order of the phases' planning.
    pub copy: Spool<PlannedCopy>,
    /// Its totals.
    pub copied: Totals,
    /// Whether a root without the snapshots that the source has no more would be published first, because data under their names is to
    /// be replaced.
    pub retires: bool,
    /// Snapshots that cannot be copied whole.
    pub left_out: Vec<LeftOut>,
    /// Snapshots that the target's root lists now and would not list any more, by name.
    pub unlisted: Vec<String>,
    /// What older roots of the target name and its newest does not, and a sync with `--prune` would delete; with what is unlisted now, what
    /// only that needs would go too.
    pub surplus: Option<Totals>,
    /// What only the target has.
    pub extra: Spool<Sized>,
    /// Skips and extras, counted.
    pub summary: Summary,
}

/// Finds out what a sync would do. Sends only reading requests.
pub async fn run(
    from: &End,
    to: &End,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    cancel: CancellationToken,
) -> Result<PlanReport> {
    let sync = Sync { from, to, options, reporter, cancel };
    let mut report = PlanReport::default();
    match sync.unless_cancelled(sync.prepare()).await? {
        Prepared::Plain(mut round) => {
            report.mode = "plain";
            follow(&sync, &mut round.plan, &mut report).await?;
            round.must_have_found(from)?;
        }
        Prepared::Repository(round) => {
            report.mode = "repository";
            sync.unless_cancelled(round.pin.begin()).await?;
            if !options.repository.overwrite_changed {
                report.retires = sync.unless_cancelled(round.pin.needs_retire()).await?;
            }
            let wants = round.pin.walk().clone().wants();
            let mut plan = CopyPlan::of_format(wants, options.rules.clone(), sync.only());
            follow(&sync, &mut plan, &mut report).await?;
            publish(&round, &plan, &mut report)?;
            report.unlisted = round.pin.unlisted();
            report.surplus = surplus(&sync, &round).await?;
        }
    }
    Ok(report)
}

/// Notes every decision, data before what comes later.
async fn follow(sync: &Sync<'_>, plan: &mut CopyPlan, report: &mut PlanReport) -> Result<()> {
    let mut later = Spool::default();
    while let Some(step) = sync.unless_cancelled(plan.next()).await? {
        note(report, &mut later, step)?;
    }
    for planned in later.into_entries() {
        report.copy.push(planned?)?;
    }
    Ok(())
}

/// What would be pruned already.
async fn surplus(sync: &Sync<'_>, round: &RepositoryRound) -> Result<Option<Totals>> {
    let options = &sync.options.repository;
    let Some(max_share) = options.prune.filter(|_| !round.is_first()) else { return Ok(None) };
    let pruning = prune::Options { grace: options.grace, max_share, retry: sync.options.transfer.retry };
    let preview = prune::preview(sync.to, &pruning, &sync.reporter, &sync.cancel).await?;
    Ok(Some(preview.surplus.total()))
}

/// The root objects, which are not planned: what they say is known only now.
fn publish(round: &RepositoryRound, plan: &CopyPlan, report: &mut PlanReport) -> Result<()> {
    for (uuid, exclusion) in round.pin.walk().found().excluded() {
        let (name, uuid) = (exclusion.name.to_string(), uuid.to_string());
        report.left_out.push(LeftOut { name, uuid, reason: exclusion.reason });
    }
    let published = round.pin.publications()?;
    report.generation = published.generation;
    if plan.held_back() > 0 {
        return Ok(());
    }
    for one in published.publications {
        let bytes = one.bytes.len() as u64;
        match one.there {
            Some(there) if there == one.bytes => report.summary.skip(bytes, "same-content"),
            there => {
                report.copied.add(bytes);
                let reason = if there.is_some() { "content" } else { "missing" };
                let (phase, reason) = ("root".to_owned(), reason.to_owned());
                report.copy.push(PlannedCopy { key: one.key, bytes, phase, reason })?;
            }
        }
    }
    Ok(())
}

fn note(report: &mut PlanReport, later: &mut Spool<PlannedCopy>, step: Step) -> Result<()> {
    match step {
        Step::Copy(transfer) => {
            let planned = planned(transfer.key().clone(), transfer.bytes(), transfer.phase(), transfer.reason());
            report.copied.add(planned.bytes);
            report.copy.push(planned)
        }
        Step::Later { key, bytes, phase, reason } => {
            report.copied.add(bytes);
            later.push(planned(key, bytes, phase, reason))
        }
        Step::Skip { bytes, reason, .. } => {
            report.summary.skip(bytes, reason);
            Ok(())
        }
        Step::Extra(meta) => {
            report.summary.extra.add(meta.size);
            report.extra.push(Sized { key: meta.key, bytes: meta.size })
        }
    }
}

fn planned(key: Key, bytes: u64, phase: &str, reason: Reason) -> PlannedCopy {
    PlannedCopy { key, bytes, phase: phase.to_owned(), reason: reason.word().to_owned() }
}
