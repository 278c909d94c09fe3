//! The steps at the source: blocking writes, writing its numbers down, and taking the snapshot.
//!
//! The name of a snapshot is in the journal before it is asked for. Whoever goes on after an interruption looks it up: a snapshot of that
//! name is ours, whether the answer to it was lost or the process was, and is never taken twice.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::choice;
use super::machine::Machine;
use super::record::{Blocked, Intent, Outcome};
use super::state::{Round, State};
use super::step::{Phase, Step};
use crate::elastic::block;
use crate::elastic::creation::{self, Creation, GlobalState, Incomplete, Unavailable};
use crate::elastic::identity;
use crate::elastic::numbers::Settle;
use crate::elastic::snapshot::{self, Snapshot, State as SnapshotState};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::ops::compare::{self, CaptureOptions};

/// Which indices to block, and which of them somebody else blocks already.
pub(super) async fn intent_to_block(machine: &Machine<'_>, state: &State, round: &Round) -> Result<Intent> {
    // What was blocked before is known only from before we blocked it.
    let mut indices = round.blocked().to_vec();
    let names = round.preflight().map(super::Preflight::travelling).unwrap_or_default();
    let names: Vec<String> =
        names.into_iter().filter(|name| !indices.iter().any(|known| known.name == *name)).collect();
    if names.is_empty() {
        return Ok(Intent::Block { indices });
    }
    let held = identity::read(machine.sides.source).await?;
    let ours = state.blocked();
    indices.extend(names.into_iter().filter_map(|name| {
        let index = held.indices.get(&name)?;
        let is_ours = ours.iter().any(|one| !one.was_blocked && one.name == name && one.uuid == index.uuid);
        Some(Blocked { was_blocked: index.is_write_blocked() && !is_ours, uuid: index.uuid.clone(), name })
    }));
    Ok(Intent::Block { indices })
}

/// Blocks writes, and makes what was written before count. Where that fails, the journal claims only what is blocked.
pub(super) async fn block(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let indices = round.blocked().to_vec();
    let names: Vec<String> = indices.iter().map(|one| one.name.clone()).collect();
    let source = machine.sides.source;
    if let Err(error) = block::set(source, &names).await {
        // Of a request whose answer was lost nothing is known: it may still be done.
        let Ok(held) = identity::read(source).await else { return Err(error) };
        if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) {
            return Err(error);
        }
        let is_blocked = |one: &Blocked| {
            held.indices.get(&one.name).is_some_and(|index| index.uuid == one.uuid && index.is_write_blocked())
        };
        let indices = indices.into_iter().filter(is_blocked).collect();
        machine.intend(round.number, Step::Block, Intent::Block { indices })?;
        return Err(error);
    }
    block::settle(source, &names).await?;
    Ok(Outcome::Block { indices })
}

/// Writes the source's numbers down.
pub(super) async fn capture(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let names = round.preflight().map(super::Preflight::travelling).unwrap_or_default();
    let gone = choice::gone(machine, round).await?;
    if !gone.is_empty() {
        return Err(without(machine, &gone));
    }
    let level = machine.level();
    // Twice the time between two looks at anything else: a second, unless somebody is in a hurry.
    let pause = machine.job.restore.patience.poll * 2;
    let options = CaptureOptions { level, settle: Settle::Flush, pause, ..CaptureOptions::default() };
    let captured = compare::capture(machine.sides.source, &names, &options, machine.reporter.as_ref()).await?;
    let closed = captured.indices.iter().filter(|(_, index)| !index.numbers.is_open).map(|(name, _)| name.clone());
    let closed: Vec<String> = closed.collect();
    if machine.phase == Phase::Cutover && !closed.is_empty() {
        return Err(choice::closed(format!("cut `{}` over", machine.job.name), &closed));
    }
    Ok(Outcome::Capture { captured: Box::new(captured) })
}

/// An index that was there when the round began is no longer.
pub(super) fn without(machine: &Machine<'_>, gone: &[String]) -> Error {
    let (job, phase) = (&machine.job.name, machine.phase);
    let back = match phase {
        Phase::Cutover => format!("; `migrate cutover {job} --rollback` takes the cutover back"),
        _ => String::new(),
    };
    Error::new(ErrorKind::Precondition, format!("go on with the {phase} of `{job}`"))
        .because(format!(
            "`{}` was deleted on `{}` since the round began",
            gone.join("`, `"),
            machine.sides.source.place()
        ))
        .hint(format!("run the same command again: it begins a round of what is there{back}"))
}

/// The name of the snapshot: the one that was chosen before, unless a snapshot of that name came to nothing.
pub(super) async fn intent_to_snapshot(machine: &Machine<'_>, round: &Round) -> Result<Intent> {
    if let Some(Intent::Snapshot { name }) = round.intent(Step::Snapshot) {
        let usable = match find(machine, name).await? {
            None => true,
            Some(found) => matches!(found.state, SnapshotState::Success | SnapshotState::InProgress),
        };
        if usable {
            return Ok(Intent::Snapshot { name: name.clone() });
        }
        let text = format!("the snapshot `{name}` came to nothing; another is taken");
        machine.reporter.report(&Event::Warning(&text));
    }
    let mut name = machine.job.snapshot_name(machine.phase, round.number, Timestamp::now());
    if let Some(Intent::Snapshot { name: last }) = round.intent(Step::Snapshot)
        && *last == name
    {
        name.push_str("-again");
    }
    Ok(Intent::Snapshot { name })
}

/// Takes the snapshot, or takes up the one that was begun.
pub(super) async fn snapshot(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let Some(Intent::Snapshot { name }) = round.intent(Step::Snapshot) else {
        return Err(Error::new(ErrorKind::Internal, "take a snapshot").because("it has no name"));
    };
    let preflight = round.preflight().cloned().unwrap_or_default();
    let asked: Vec<String> = preflight.indices.iter().chain(&preflight.data_streams).cloned().collect();
    let creation = Creation {
        repository: machine.job.repository.clone(),
        snapshot: name.clone(),
        indices: asked,
        global_state: GlobalState::Without,
        unavailable: Unavailable::Refused,
        incomplete: Incomplete::Refused,
        may_be_empty: false,
        metadata: BTreeMap::new(),
        feature_states: Vec::new(),
    };
    let patience = machine.job.restore.patience;
    let found = find(machine, name).await?;
    let reporter = machine.reporter.as_ref();
    let taken = if found.is_none() {
        creation::create(machine.sides.source, &creation, patience, reporter, &machine.cancel).await?
    } else {
        reporter.report(&Event::Warning(&format!("the snapshot `{name}` was begun before; it is taken up")));
        machine.unless_cancelled(follow(machine, name)).await?
    };
    let missing: Vec<String> =
        preflight.travelling().into_iter().filter(|name| !taken.indices.contains(name)).collect();
    if !missing.is_empty() {
        return Err(Error::new(ErrorKind::Precondition, format!("use the snapshot `{name}`"))
            .because(format!("it lacks `{}`, which had been asked for", missing.join("`, `")))
            .hint("run this again: what the source has is looked at anew"));
    }
    Ok(Outcome::Snapshot { snapshot: Box::new(taken.into()) })
}

async fn find(machine: &Machine<'_>, name: &str) -> Result<Option<Snapshot>> {
    match snapshot::get(machine.sides.source, &machine.job.repository, name).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits for a snapshot that somebody of our name began.
async fn follow(machine: &Machine<'_>, name: &str) -> Result<Snapshot> {
    let patience = machine.job.restore.patience;
    let doing =
        format!("follow the snapshot `{}:{name}` on `{}`", machine.job.repository, machine.sides.source.place());
    let mut done = None;
    let mut moved = Instant::now();
    let mut wait = patience.poll;
    loop {
        let found = find(machine, name).await?.ok_or_else(|| {
            Error::new(ErrorKind::Precondition, doing.clone())
                .because("it was begun and is gone: it failed as a whole, or somebody deleted it")
                .hint("run this again: another is taken")
        })?;
        match found.state {
            SnapshotState::Success => return Ok(found),
            SnapshotState::InProgress => {}
            other => {
                return Err(Error::new(ErrorKind::Precondition, doing)
                    .because(format!("it ended as {other:?}"))
                    .hint("bring the shards that failed back, then run this again: another is taken"));
            }
        }
        if done != found.shards {
            (done, moved) = (found.shards, Instant::now());
        }
        // A listing tells little of a snapshot on its way, so its standing still counts only after much longer.
        if moved.elapsed() >= patience.stall.max(Duration::from_hours(1)) {
            return Err(Error::new(ErrorKind::Timeout, doing)
                .because(format!("nothing was seen to move for {} s", moved.elapsed().as_secs()))
                .hint("look at the source's nodes; run this again to go on waiting"));
        }
        tokio::time::sleep(wait).await;
        wait = wait.mul_f64(1.25).min(patience.longest_poll);
    }
}

/// Whether anything has changed at the source since the last round that brought something.
pub(super) fn is_unchanged(state: &State, round: &Round) -> bool {
    if round.phase != Phase::Increment {
        return false;
    }
    let Some(now) = round.preflight() else { return false };
    let Some(before) = state.brought().next_back().and_then(Round::preflight) else { return false };
    now.digest.is_some() && now.digest == before.digest && now.travelling() == before.travelling()
}
