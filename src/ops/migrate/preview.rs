//! What a round would do: everything is looked at that the round looks at, and nothing is changed.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::record::{Decided, Preflight};
use super::step::{Phase, Step};
use super::{Job, Sides, bring, preflight, rollback};
use crate::elastic::selection::Selection;
use crate::error::Result;

/// What a round would do, as far as it can be told without doing it.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// What the round would be for.
    pub phase: Phase,
    /// The steps that would be done.
    pub steps: Vec<Step>,
    /// Whether that would be going on with a round that was interrupted.
    pub goes_on: bool,
    /// What the preflight found.
    pub preflight: Option<Preflight>,
    /// What would be restored, and over what.
    pub decided: Option<Decided>,
    /// The name of the snapshot.
    pub snapshot: Option<String>,
    /// What a rollback would take back.
    pub rollback: Vec<String>,
    /// Where the journal is.
    pub journal: PathBuf,
}

/// Looks at everything that a round looks at, and changes nothing: neither a cluster nor a store nor the journal.
pub async fn preview(job: &Job, sides: &Sides<'_>, phase: Phase) -> Result<Preview> {
    let state = super::look(&job.journal)?.unwrap_or_default();
    let open = state.open().filter(|round| round.phase == phase);
    let mut preview = Preview {
        phase,
        steps: phase
            .steps()
            .iter()
            .copied()
            .filter(|step| open.is_none_or(|round| round.result(*step).is_none()))
            .collect(),
        goes_on: open.is_some(),
        preflight: None,
        decided: None,
        snapshot: None,
        rollback: Vec::new(),
        journal: job.journal.clone(),
    };
    if phase == Phase::Rollback {
        preview.rollback = rollback::foretold(job, sides, &state).await?;
        return Ok(preview);
    }
    if let Some(error) = preflight::order(job, phase, &state) {
        return Err(error);
    }
    let found = preflight::run(job, sides, phase, &state).await?;
    let selection = Selection {
        indices: found.indices.clone(),
        data_streams: found.data_streams.clone(),
        left_out: found.left_out.clone(),
    };
    let all = preflight::primaries(sides, &found).await?;
    preview.decided = Some(bring::decide(job, sides, &state, &selection, &all, "new").await?);
    preview.preflight = Some(found);
    let number = state.last().map_or(0, |round| round.number) + u32::from(open.is_none());
    preview.snapshot = Some(job.snapshot_name(phase, number, Timestamp::now()));
    Ok(preview)
}
