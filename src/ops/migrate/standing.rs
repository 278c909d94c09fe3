//! Whether the target still has what the last round brought: only then has nothing changed when the source has not.

use super::machine::Machine;
use super::record::{End, Intent, Outcome};
use super::state::{Round, State};
use super::step::Step;
use super::{Job, Sides};
use crate::elastic::{index, undo};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Silent};
use crate::ops::compare::{self, Level, Verdict};

/// What the target lacks of the last round that brought something, if it lacks anything: an index gone, closed, made anew or with other
/// numbers by shard, or the registration. Costs three requests, and two for each batch of indices.
pub(super) async fn lacks(job: &Job, sides: &Sides<'_>, state: &State) -> Result<Option<String>> {
    let Some(round) = state.brought().next_back() else { return Ok(Some("nothing was brought yet".to_owned())) };
    if round.end != Some(End::Done) {
        return Ok(Some("the sides differed at the end of the last round".to_owned()));
    }
    let name = &job.registration.name;
    let meant = match round.result(Step::Register) {
        Some(Outcome::Register { after, .. }) => after.as_ref(),
        _ => None,
    };
    let means = undo::registration(sides.target, name).await?;
    let one = |found: Option<&serde_json::Value>| found.map(|found| (found["type"].clone(), found["settings"].clone()));
    if one(means.as_ref()) != one(meant) {
        let what = if means.is_some() { "means something else" } else { "is gone" };
        return Ok(Some(format!("the registration of `{name}` {what}")));
    }
    let Some(brought) = round.brought() else { return Ok(None) };
    let now = index::existing(sides.target).await?;
    for piece in &brought.pieces {
        let target = &piece.target;
        let (known, found) = (brought.uuids.get(target), now.indices.get(target));
        let what = match found {
            None => "is gone",
            Some(found) if known.is_some_and(|uuid| *uuid != found.uuid) => "is another index than was restored",
            Some(found) if !found.is_open => "is closed",
            Some(_) => continue,
        };
        return Ok(Some(format!("`{target}` {what}")));
    }
    let Some(Outcome::Capture { captured }) = round.result(Step::Capture) else { return Ok(None) };
    let verification = compare::verify(captured, None, sides.target, &brought.pieces, Level::Shards, &Silent).await?;
    let changed = verification.indices.iter().find(|index| index.verdict == Verdict::Different);
    Ok(changed.map(|index| format!("`{}` holds other numbers than it was restored with", index.target)))
}

/// Before a round goes on with a restore that has not arrived: a registration that is gone is made again, and what is in the way is
/// decided about anew, by what the policy is now. Returns the step to begin again.
pub(super) async fn again(machine: &Machine<'_>, round: &Round) -> Result<Option<(Step, Option<Intent>)>> {
    let state = machine.state();
    let is_on_its_way =
        !state.undo.is_clean() || state.finished(round.snapshot().map_or("", |taken| &taken.uuid)).is_some();
    if round.next() != Some(Step::Restore) {
        return Ok(None);
    }
    let name = &machine.job.registration.name;
    if undo::registration(machine.sides.target, name).await?.is_none() {
        let text = format!("the registration of `{name}` is gone at the target; it is made again");
        machine.reporter.report(&Event::Warning(&text));
        return Ok(Some((Step::Register, round.intent(Step::Register).cloned())));
    }
    Ok((!is_on_its_way).then_some((Step::Conflicts, None)))
}

/// The error of indices that are ours and have another number of primaries than what is restored over them.
pub(super) fn reshaped(job: &Job, names: &[(String, u32, u32)]) -> Error {
    let told: Vec<String> = names
        .iter()
        .map(|(name, there, comes)| format!("`{name}` has {there} primaries at the target and {comes} at the source"))
        .collect();
    Error::new(ErrorKind::Precondition, format!("restore over what `{}` brought before", job.name))
        .because(format!("{}: it was made anew at the source, and no index can be restored over one of another shape", told.join("; ")))
        .hint("let it be deleted at the target and restored with `--conflict delete --yes-delete`, also for a round that stopped here; or delete it there yourself and run this again")
}
