//! The steps between the clusters: copying the repository, registering the copy, and holding the target's view of it against the source's.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::Machine;
use super::record::{Copied, Intent, Outcome, Taken};
use super::state::Round;
use super::step::Step;
use super::{Copy, live};
use crate::elastic::repository::Expectation;
use crate::elastic::snapshot::{self, State};
use crate::elastic::undo;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::ops::sync::{self, Mode};
use crate::ops::{End, advice, repository};
use crate::repo::{self, Pick};

/// The snapshot that the round took.
pub(super) fn taken(round: &Round) -> Result<&Taken> {
    round.snapshot().ok_or_else(|| {
        Error::new(ErrorKind::Internal, "go on with the migration")
            .because("the journal holds no snapshot of this round")
    })
}

/// Copies the repository.
///
/// 1. The root at the source's location must show the snapshot that was just taken: else it is not the repository of that cluster.
/// 2. The snapshot's own metadata must restore at the target: that is known now, and nothing has been copied yet.
/// 3. Everything that the snapshot needs must have arrived.
pub(super) async fn sync(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let snapshot = taken(round)?;
    let sides = machine.sides;
    machine.unless_cancelled(must_show(sides.from, snapshot, machine)).await?;
    must_restore(machine, snapshot).await?;
    let mut options = sync::Options { mode: Mode::Repository, ..machine.job.sync.clone() };
    if machine.job.copy == Copy::Own {
        let state = machine.state();
        let names = state.rounds.iter().filter_map(Round::snapshot).map(|snapshot| snapshot.name.clone());
        options.repository.selection.snapshots =
            names.map(|name| Pick::name(&globset::escape(&name))).collect::<Result<_>>()?;
    }
    let requests = |end: &End| end.meter.totals().iter().map(|(_, count)| count).sum::<u64>();
    let before = [requests(sides.from), requests(sides.to)];
    let report = sync::run(sides.from, sides.to, &options, machine.reporter.clone(), machine.cancel.clone()).await;
    let doing = || format!("copy `{}` to `{}`", sides.from.location, sides.to.location);
    if let Some(error) = report.error {
        return Err(error);
    }
    if report.summary.failed.objects > 0 {
        return Err(Error::new(ErrorKind::Corrupt, doing())
            .because(format!("{} objects could not be copied; they are named above", report.summary.failed.objects))
            .hint("run this again: what is copied is skipped"));
    }
    if let Some(left) = report.left_out.iter().find(|left| left.uuid == snapshot.uuid) {
        return Err(Error::new(ErrorKind::Damaged, doing())
            .because(format!("the snapshot `{}` cannot be copied whole: {}", left.name, left.reason))
            .hint("run this again: another snapshot is taken"));
    }
    Ok(Outcome::Sync(Copied {
        generation: report.generation,
        objects: report.summary.copied.objects,
        bytes: report.summary.copied.bytes,
        skipped: report.summary.skipped.objects,
        requests: [requests(sides.from) - before[0], requests(sides.to) - before[1]],
    }))
}

/// The location is that of the source cluster's repository.
async fn must_show(from: &End, snapshot: &Taken, machine: &Machine<'_>) -> Result<()> {
    let found = repo::detect(&from.store).await?;
    let shows = found.as_ref().is_some_and(|found| found.index.snapshot(&snapshot.uuid).is_some());
    if shows {
        return Ok(());
    }
    let cause = match found {
        None => "there is no repository".to_owned(),
        Some(_) => "the repository there does not list it".to_owned(),
    };
    Err(Error::new(ErrorKind::Precondition, format!("find the snapshot `{}` at `{}`", snapshot.name, from.location))
        .because(format!(
            "{cause}, although `{}` has just written it to its repository `{}`",
            machine.sides.source.place(),
            machine.job.repository
        ))
        .hint("the source location must be where that repository writes to: compare it with what `repo list` shows"))
}

/// Nothing of the snapshot would be refused.
async fn must_restore(machine: &Machine<'_>, snapshot: &Taken) -> Result<()> {
    let version = machine.sides.target.version();
    let reporter = machine.reporter.clone();
    let judged = advice::run(machine.sides.from, &snapshot.name, version, reporter, &machine.cancel).await?;
    let refused: BTreeMap<String, advice::IndexAdvice> =
        judged.refused().map(|index| (index.name.clone(), index.clone())).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let doing = format!("restore the snapshot `{}` on {version}", snapshot.name);
    let error = Error::new(ErrorKind::Unsupported, doing).because(live::told(&refused));
    Err(match judged.exclusions() {
        Some(exclusions) => {
            error.hint(format!("nothing was copied; migrate the others with `--indices '{exclusions}'`"))
        }
        None => error.hint("nothing was copied; use another target"),
    })
}

/// What the repository's name means at the target before it means the copy.
pub(super) async fn intent_to_register(machine: &Machine<'_>, round: &Round) -> Result<Intent> {
    if let Some(Intent::Register { before }) = round.intent(Step::Register) {
        return Ok(Intent::Register { before: before.clone() });
    }
    let before = undo::registration(machine.sides.target, &machine.job.registration.name).await?;
    Ok(Intent::Register { before })
}

/// Registers the copy, read-only.
pub(super) async fn register(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let options = repository::Options {
        registration: machine.job.registration.clone(),
        expected: Expectation { root: Some(repository::root(machine.sides.to).await?), ..Expectation::default() },
        policy: machine.job.policy,
    };
    let target = machine.sides.target;
    let registered = repository::register(target, &options, machine.reporter.as_ref()).await?;
    let before = match round.intent(Step::Register) {
        Some(Intent::Register { before }) => before.clone(),
        _ => None,
    };
    let after = undo::registration(target, &machine.job.registration.name).await?;
    Ok(Outcome::Register { before, after, snapshots: registered.snapshots.len() as u64 })
}

/// Holds the snapshot as the target tells it against the source's word.
pub(super) async fn list(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let source = taken(round)?;
    let name = &machine.job.registration.name;
    let target = snapshot::get(machine.sides.target, name, &source.name).await?;
    let sorted = |indices: &[String]| indices.iter().cloned().collect::<BTreeSet<String>>();
    let mut differing = Vec::new();
    for (what, differs) in [
        ("UUID", source.uuid != target.uuid),
        ("state", target.state != State::Success),
        ("indices", sorted(&source.indices) != sorted(&target.indices)),
        ("number of shards", source.shards.map(|shards| shards.total) != target.shards.map(|shards| shards.total)),
    ] {
        if differs {
            differing.push(what);
        }
    }
    if differing.is_empty() {
        let text = format!("`{name}` shows `{}` as the source has it", source.name);
        tracing::debug!(text);
        return Ok(Outcome::List { uuid: target.uuid, shards: target.shards });
    }
    machine.reporter.report(&Event::Warning("the target sees another snapshot than the source has taken"));
    Err(Error::new(ErrorKind::Diverged, format!("use `{name}:{}` on `{}`", source.name, machine.sides.target.place()))
        .because(format!("its {} differ from what the source tells", differing.join(", ")))
        .hint("see that the repository is registered at the place that was copied to"))
}
