//! Plan: what a sync would do. It makes the same plan and carries nothing out; only reading requests are sent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::sync::{Options, Sync};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Reporter;
use crate::store::Key;
use crate::transfer::{Spool, Step, Summary, Totals};

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
    /// What would be refused: other content lies under the name of a data blob.
    pub refuse: Spool<Sized>,
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
    let mut round = sync.prepare().await?;
    let mut report = PlanReport { mode: round.mode, generation: round.pin.generation(), ..PlanReport::default() };
    loop {
        let step = tokio::select! {
            biased;
            () = sync.cancel.cancelled() => return Err(Error::new(ErrorKind::Cancelled, "plan").because("a signal asked to stop")),
            step = round.plan.next() => step?,
        };
        let Some(step) = step else { break };
        note(&mut report, step)?;
    }
    round.must_have_found(from)?;
    Ok(report)
}

fn note(report: &mut PlanReport, step: Step) -> Result<()> {
    let planned = match step {
        Step::Copy(transfer) if transfer.is_refused() => {
            return report.refuse.push(Sized { key: transfer.key().clone(), bytes: transfer.bytes() });
        }
        Step::Copy(transfer) => (transfer.key().clone(), transfer.bytes(), transfer.phase(), transfer.reason()),
        Step::Later { key, bytes, phase, reason } => (key, bytes, phase, reason),
        Step::Skip { bytes, reason, .. } => {
            report.summary.skip(bytes, reason);
            return Ok(());
        }
        Step::Extra(meta) => {
            report.summary.extra.add(meta.size);
            return report.extra.push(Sized { key: meta.key, bytes: meta.size });
        }
    };
    let (key, bytes, phase, reason) = planned;
    report.copied.add(bytes);
    report.copy.push(PlannedCopy { key, bytes, phase: phase.to_owned(), reason: reason.word().to_owned() })
}
