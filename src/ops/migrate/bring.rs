//! The steps at the target: deciding about names that are taken, restoring, and comparing.
//!
//! An index of the target is ours if a round of this migration restored it and it still has the UUID that was written down then. Ours are
//! closed and restored over in every later round. About all others the job's policy decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::journal::Journal;
use super::machine::Machine;
use super::record::{Brought, Decided, Entry, Outcome};
use super::state::{Round, State};
use super::step::{Phase, Step};
use super::{Job, Sides, carry};
use crate::elastic::conflict::{self, Conflict};
use crate::elastic::index::{self, Existing};
use crate::elastic::inventory::{self, Origin};
use crate::elastic::selection::{self, Selection};
use crate::elastic::snapshot::Shards;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::ops::compare;
use crate::ops::restore::{self, RestoreLog};
use crate::ops::snapshot::Which;

/// Decides about every name. `indices` are all that the snapshot holds or will hold.
///
/// Fails as [`conflict::plan`] does where the policy does not cover what is there.
pub(super) async fn decide(
    job: &Job,
    sides: &Sides<'_>,
    state: &State,
    selection: &Selection,
    indices: &[String],
) -> Result<Decided> {
    let now = index::existing(sides.target).await?;
    let held = inventory::read(sides.target).await?;
    let ours = state.ours();
    let is_ours = |name: &str| held.indices.get(name).is_some_and(|index| ours.get(name) == Some(&index.uuid.as_str()));
    let mut foreign: Existing = now.clone();
    if job.restore.conflict != Conflict::Swap {
        foreign.indices.retain(|name, _| !is_ours(name));
        // An alias of ours is restored over with its index.
        foreign.aliases.retain(|_, behind| !behind.iter().all(|index| is_ours(index)));
    }
    let rename = job.restore.rename.as_ref();
    let plan = conflict::plan(selection, indices, rename, &foreign, job.restore.conflict)?;
    let taken = |name: &&str| now.indices.contains_key(*name);
    let targets: BTreeSet<&str> = plan.pieces.iter().map(|piece| piece.target.as_str()).collect();
    let uuid = |name: &str| held.indices.get(name).map(|index| index.uuid.clone()).unwrap_or_default();
    let open = |name: &&&str| now.indices.get(**name).is_some_and(|index| index.is_open);
    Ok(Decided {
        over: targets.iter().copied().filter(taken).map(|name| (name.to_owned(), uuid(name))).collect(),
        close: targets.iter().filter(open).map(|name| (*name).to_owned()).collect(),
        names: plan.names,
        pieces: plan.pieces,
        skipped: plan.skipped,
    })
}

/// Decides about the names in the snapshot that was taken.
pub(super) async fn conflicts(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let snapshot = carry::taken(round)?;
    let preflight = round.preflight().cloned().unwrap_or_default();
    let wanted: Vec<String> = preflight.indices.iter().chain(&preflight.data_streams).cloned().collect();
    let selection = selection::select(&wanted, &snapshot.indices, &snapshot.data_streams)?;
    let decided = decide(machine.job, machine.sides, &machine.state(), &selection, &snapshot.indices).await?;
    for name in &decided.skipped {
        machine.reporter.report(&Event::Warning(&format!("`{name}` is skipped, as the target already has it")));
    }
    Ok(Outcome::Conflicts(decided))
}

/// Restores what was decided; a restore that an interrupted run has sent is taken up, not sent again.
pub(super) async fn restore(machine: &Machine<'_>, round: &Round) -> Result<Outcome> {
    let snapshot = carry::taken(round)?;
    let decided = round.decided().cloned().unwrap_or_default();
    if decided.pieces.is_empty() {
        return Ok(Outcome::Restore(Brought::default()));
    }
    let tried_before = round.record(Step::Restore).is_some_and(|record| record.tries > 1);
    if tried_before && let Some(brought) = machine.unless_cancelled(arrived(machine, round, &decided)).await? {
        machine.reporter.report(&Event::Warning("the restore had ended well before; it is not sent again"));
        return Ok(Outcome::Restore(brought));
    }
    let template = &machine.job.restore;
    let conflict = match template.conflict {
        Conflict::Fail | Conflict::Skip if !decided.over.is_empty() => Conflict::Close,
        other => other,
    };
    let options = restore::Options {
        repository: machine.job.registration.name.clone(),
        snapshot: Which::Named(snapshot.name.clone()),
        indices: decided.names.clone(),
        conflict,
        log: Some(Arc::new(Log(machine.book()))),
        left: machine.state().undo,
        ..template.clone()
    };
    let restored = restore::run(machine.sides.target, &options, machine.reporter.as_ref(), &machine.cancel).await?;
    let held = inventory::read(machine.sides.target).await?;
    let targets: Vec<&String> = restored.pieces.iter().map(|piece| &piece.target).collect();
    Ok(Outcome::Restore(Brought {
        uuids: uuids(&targets, &held),
        created: targets.into_iter().filter(|name| !decided.over.contains_key(*name)).cloned().collect(),
        pieces: restored.pieces,
        shards: restored.shards,
        bytes: restored.bytes,
        reused_bytes: restored.reused_bytes,
    }))
}

fn uuids(names: &[&String], held: &inventory::Inventory) -> BTreeMap<String, String> {
    let uuid = |name: &&String| Some(((*name).clone(), held.indices.get(*name)?.uuid.clone()));
    names.iter().filter_map(uuid).collect()
}

/// What the restore brought, if the cluster shows that it has ended well: every target is open, and each of its primaries says that it
/// came from this snapshot.
async fn arrived(machine: &Machine<'_>, round: &Round, decided: &Decided) -> Result<Option<Brought>> {
    /// A request that the process before sent in its last moment may still be on its way.
    const LOOKS: u32 = 3;
    let snapshot = carry::taken(round)?;
    let target = machine.sides.target;
    let names: Vec<&String> = decided.pieces.iter().map(|piece| &piece.target).collect();
    for look in 0..LOOKS {
        let now = index::existing(target).await?;
        let open: Vec<String> = names
            .iter()
            .filter(|name| now.indices.get(**name).is_some_and(|index| index.is_open))
            .map(|name| (*name).clone())
            .collect();
        if open.len() == names.len() {
            let origins = inventory::origins(target, &open).await?;
            let from_it = |name: &&String| match (origins.get(*name), now.indices.get(*name)) {
                (Some(Origin::Snapshot { repository, snapshot: from, primaries }), Some(index)) => {
                    *repository == machine.job.registration.name && *from == snapshot.name && *primaries == index.shards
                }
                _ => false,
            };
            if names.iter().all(from_it) {
                let held = inventory::read(target).await?;
                let total: u64 =
                    names.iter().filter_map(|name| now.indices.get(*name)).map(|index| u64::from(index.shards)).sum();
                return Ok(Some(Brought {
                    pieces: decided.pieces.clone(),
                    shards: Shards { total, successful: total, failed: 0 },
                    bytes: 0,
                    reused_bytes: 0,
                    uuids: uuids(&names, &held),
                    created: names.into_iter().filter(|name| !decided.over.contains_key(*name)).cloned().collect(),
                }));
            }
        }
        if look + 1 < LOOKS {
            tokio::time::sleep(machine.job.restore.patience.poll.min(Duration::from_secs(1))).await;
        }
    }
    Ok(None)
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
    let held = inventory::read(target).await?;
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
