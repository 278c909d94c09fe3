//! The steps at the target: deciding about names that are taken, restoring, and comparing.
//!
//! An index of the target is ours if a round of this migration restored it and it still has the UUID that was written down then. Ours are
//! closed and restored over in every later round. About all others the job's policy decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::journal::Journal;
use super::machine::Machine;
use super::record::{Brought, Decided, Entry, Outcome};
use super::state::{Round, State};
use super::step::{Phase, Step};
use super::{Job, Sides, carry, standing};
use crate::elastic::conflict::{self, Conflict, Piece, Policy};
use crate::elastic::identity::{self, Held};
use crate::elastic::index;
use crate::elastic::selection::{self, Selection};
use crate::elastic::snapshot::Shards;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::ops::compare;
use crate::ops::restore::{self, Consent, RestoreLog};
use crate::ops::snapshot::Which;

/// Decides about every name. `indices` are all that the snapshot holds or will hold, each with its number of primaries.
///
/// Fails as [`conflict::plan`] does where the policy does not cover what is there, and where it takes a consent that nobody gave.
pub(super) async fn decide(
    job: &Job,
    sides: &Sides<'_>,
    state: &State,
    selection: &Selection,
    indices: &BTreeMap<String, u32>,
    snapshot: &str,
) -> Result<Decided> {
    let now = index::existing(sides.target).await?;
    let held = identity::read(sides.target).await?;
    let known = state.ours();
    let is_ours = |name: &str, index: &Held| known.get(name) == Some(&index.uuid.as_str());
    let mut ours: BTreeSet<String> =
        held.indices.iter().filter(|(name, index)| is_ours(name, index)).map(|(name, _)| name.clone()).collect();
    yield_reshaped(job, &now, indices, &mut ours)?;
    let indices: Vec<String> = indices.keys().cloned().collect();
    let policy = Policy {
        conflict: job.restore.conflict,
        prefix: &job.restore.prefix,
        suffix: &snapshot.to_lowercase(),
        ours: &ours,
    };
    let plan = conflict::plan(selection, &indices, job.restore.rename.as_ref(), &now, policy)?;
    let replaced = plan.swaps.keys().filter(|name| now.indices.contains_key(*name));
    consented(job, &plan.delete.iter().chain(replaced).cloned().collect::<Vec<_>>())?;
    let taken = |name: &&str| now.indices.contains_key(*name);
    let targets: BTreeSet<&str> = plan.pieces().map(|piece| piece.target.as_str()).collect();
    let uuid = |name: &str| held.indices.get(name).map(|index| index.uuid.clone()).unwrap_or_default();
    Ok(Decided {
        over: targets.iter().copied().filter(taken).map(|name| (name.to_owned(), uuid(name))).collect(),
        names: plan.units.iter().map(|unit| unit.name.clone()).collect(),
        pieces: plan.pieces().cloned().collect(),
        close: plan.close,
        delete: plan.delete,
        swaps: plan.swaps,
        skipped: plan.skipped,
    })
}

/// Takes those out of `ours` that have another number of primaries than what comes: over them nothing can be restored.
fn yield_reshaped(
    job: &Job,
    now: &index::Existing,
    indices: &BTreeMap<String, u32>,
    ours: &mut BTreeSet<String>,
) -> Result<()> {
    let target = |name: &String| job.restore.rename.as_ref().map_or_else(|| name.clone(), |rule| rule.apply(name));
    let reshaped: Vec<(String, u32, u32)> = indices
        .iter()
        .map(|(name, comes)| (target(name), *comes))
        .filter(|(name, _)| ours.contains(name))
        .filter_map(|(name, comes)| Some((now.indices.get(&name)?.shards, name, comes)))
        .filter(|(there, _, comes)| there != comes && *there > 0 && *comes > 0)
        .map(|(there, name, comes)| (name, there, comes))
        .collect();
    if !reshaped.is_empty() && (job.restore.conflict, job.restore.delete) != (Conflict::Delete, Consent::Given) {
        return Err(standing::reshaped(job, &reshaped));
    }
    ours.retain(|name| !reshaped.iter().any(|(other, ..)| other == name));
    Ok(())
}

/// Whether what is to be deleted may be.
fn consented(job: &Job, delete: &[String]) -> Result<()> {
    if delete.is_empty() || job.restore.delete == Consent::Given {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Precondition, format!("make room at the target for `{}`", job.name))
        .because(format!("the policy deletes `{}` there, and there is no way back", delete.join("`, `")))
        .hint("say so with `--yes-delete`, or choose another `--conflict`"))
}

/// Decides about the names in the snapshot that was taken.
pub(super) async fn conflicts(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let snapshot = carry::taken(round)?;
    let preflight = round.preflight().cloned().unwrap_or_default();
    let wanted: Vec<String> = preflight.indices.iter().chain(&preflight.data_streams).cloned().collect();
    let selection = selection::select(&wanted, &snapshot.indices, &snapshot.data_streams)?;
    let captured = match round.result(Step::Capture) {
        Some(Outcome::Capture { captured }) => Some(captured),
        _ => None,
    };
    let primaries =
        |name: &String| captured.and_then(|found| found.indices.get(name)).map_or(0, |one| one.numbers.primaries);
    let indices = snapshot.indices.iter().map(|name| (name.clone(), primaries(name))).collect();
    let decided = decide(machine.job, machine.sides, &machine.state(), &selection, &indices, &snapshot.name).await?;
    for name in &decided.skipped {
        machine.reporter.report(&Event::Warning(&format!("`{name}` is skipped, as the target already has it")));
    }
    Ok(Outcome::Conflicts(decided))
}

/// Restores what was decided. What an interrupted run has left is in the journal, in the restore's own words: it takes that up, and sends
/// nothing again that arrived.
pub(super) async fn restore(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let snapshot = carry::taken(round)?;
    let decided = round.decided().cloned().unwrap_or_default();
    if decided.pieces.is_empty() {
        return Ok(Outcome::Restore(Brought::default()));
    }
    if let Some(pieces) = machine.state().finished(&snapshot.uuid) {
        machine.reporter.report(&Event::Warning("the restore had ended well before; it is not sent again"));
        return machine.unless_cancelled(arrived(machine, &decided, pieces)).await;
    }
    let template = &machine.job.restore;
    // Where only ours are in the way, the policy for what is others' has nothing to say.
    let only_ours = decided.delete.is_empty() && decided.swaps.is_empty() && !decided.over.is_empty();
    // Where the policy decides about others' as well, the names of ours pass on with our consent: we made these indices.
    let mut delete = template.delete;
    if template.conflict == Conflict::Swap && !decided.over.is_empty() && !decided.swaps.is_empty() {
        let now = index::existing(machine.sides.target).await?;
        if !decided.swaps.keys().any(|name| now.indices.contains_key(name)) {
            delete = Consent::Given;
        }
    }
    let options = restore::Options {
        delete,
        repository: machine.job.registration.name.clone(),
        snapshot: Which::Named(snapshot.name.clone()),
        indices: decided.names.clone(),
        conflict: if only_ours { Conflict::Close } else { template.conflict },
        copy: Some(Arc::new(machine.sides.to.clone())),
        repair_from: Some(Arc::new(machine.sides.from.clone())),
        source: Some(machine.sides.source.clone()),
        log: Some(Arc::new(Log(machine.book()))),
        left: machine.state().undo,
        ..template.clone()
    };
    let restored = restore::run(machine.sides.target, &options, machine.reporter.as_ref(), &machine.cancel).await?;
    let held = identity::read(machine.sides.target).await?;
    let targets: Vec<&String> = restored.pieces.iter().map(|piece| &piece.target).collect();
    Ok(Outcome::Restore(Brought {
        uuids: uuids(&targets, &held),
        created: targets.into_iter().filter(|name| !decided.over.contains_key(*name)).cloned().collect(),
        pieces: restored.pieces,
        shards: restored.shards,
        bytes: restored.bytes,
        reused_bytes: restored.reused_bytes,
        missing: restored.missing.iter().map(|(thing, names)| (thing.word().to_owned(), names.clone())).collect(),
    }))
}

fn uuids(names: &[&String], held: &identity::Inventory) -> BTreeMap<String, String> {
    let uuid = |name: &&String| Some(((*name).clone(), held.indices.get(*name)?.uuid.clone()));
    names.iter().filter_map(uuid).collect()
}

/// What a restore brought that had ended well when the process before was stopped. How many bytes that were is not known any more.
async fn arrived(machine: &Machine<'_>, decided: &Decided, pieces: &[Piece]) -> Result<Outcome> {
    let held = identity::read(machine.sides.target).await?;
    let now = index::existing(machine.sides.target).await?;
    let targets: Vec<&String> = pieces.iter().map(|piece| &piece.target).collect();
    let total = targets.iter().filter_map(|name| now.indices.get(*name)).map(|index| u64::from(index.shards)).sum();
    Ok(Outcome::Restore(Brought {
        uuids: uuids(&targets, &held),
        created: targets.into_iter().filter(|name| !decided.over.contains_key(*name)).cloned().collect(),
        pieces: pieces.to_vec(),
        shards: Shards { total, successful: total, failed: 0 },
        ..Brought::default()
    }))
}

/// Compares what arrived with what was written down.
pub(super) async fn verify(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let Some(Outcome::Capture { captured }) = round.result(Step::Capture) else {
        return Err(Error::new(ErrorKind::Internal, "compare").because("the journal holds no numbers of the source"));
    };
    let pieces = round.brought().map(|brought| brought.pieces.clone()).unwrap_or_default();
    let Sides { source, target, .. } = machine.sides;
    let at_rest = machine.phase == Phase::Cutover;
    let verification =
        compare::verify(captured, Some(source), target, &pieces, machine.level(), machine.reporter.as_ref()).await?;
    Ok(Outcome::Verify { verification: Box::new(verification), at_rest })
}

/// Puts back what is still to be put back, and looks at what came along although it should not.
pub(super) async fn finalise(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let target = machine.sides.target;
    let mut warnings = Vec::new();
    let state = machine.state();
    if !state.undo.is_clean() {
        restore::recover(target, &state.undo).await?;
    }
    let held = identity::read(target).await?;
    let pieces = round.brought().map(|brought| brought.pieces.clone()).unwrap_or_default();
    for piece in &pieces {
        let blocks = held.indices.get(&piece.target).map(|index| index.blocks.join(", ")).unwrap_or_default();
        if !blocks.is_empty() {
            return Err(Error::new(
                ErrorKind::Precondition,
                format!("hand over `{}` on `{}`", piece.target, target.place()),
            )
            .because(format!("it has the block {blocks}, although blocks are left behind when restoring"))
            .hint("find out who set it, take it away, then run this again"));
        }
    }
    warnings.extend(round.preflight().map(|preflight| preflight.warnings.clone()).unwrap_or_default());
    Ok(Outcome::Finalise { replicas: machine.job.restore.replicas, warnings })
}

/// The restore's own words, in the journal.
#[derive(Debug)]
struct Log(Arc<Mutex<Journal>>);

impl RestoreLog for Log {
    fn record(&self, entry: &restore::Entry) -> Result<()> {
        let entry = Entry::Restoring { at: Timestamp::now(), told: entry.clone() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(entry)
    }
}
