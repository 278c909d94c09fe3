//! Taking a cutover back: the block lifted where we set it, what we made deleted if that was asked for and can be proven, the repository
//! registered as it was.
//!
//! What was written to the target since stays there: nothing here carries it back.

use std::collections::BTreeMap;

use super::machine::Machine;
use super::record::Outcome;
use super::state::State;
use super::step::Step;
use super::{Job, Sides};
use crate::elastic::{block, identity, repository, undo};
use crate::error::Result;

/// Lifts the blocks that we set.
pub(super) async fn lift(machine: &Machine<'_>, state: &State) -> Result<Outcome> {
    let source = machine.sides.source;
    let there = identity::read(source).await?;
    let (mut lifted, mut left, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for one in state.blocked() {
        // An index made anew under the name was never blocked by us.
        match there.indices.get(&one.name) {
            None => gone.push(one.name),
            Some(held) if held.uuid == one.uuid && !one.was_blocked => lifted.push(one.name),
            Some(_) => left.push(one.name),
        }
    }
    block::lift(source, &lifted).await?;
    Ok(Outcome::LiftBlock { lifted, left, gone })
}

/// What would be deleted, and what not with the reason.
async fn doomed(job: &Job, sides: &Sides<'_>, state: &State) -> Result<(Vec<String>, BTreeMap<String, String>)> {
    let there = identity::read(sides.target).await?;
    let (mut doomed, mut kept) = (Vec::new(), BTreeMap::new());
    for (name, uuid) in state.created() {
        let Some(held) = there.indices.get(&name) else { continue };
        if !job.delete_created {
            kept.insert(name, "its deletion was not asked for (`--delete-created`)".to_owned());
        } else if held.uuid == uuid {
            doomed.push(name);
        } else {
            kept.insert(name, "it was made anew since: it is not what the migration made".to_owned());
        }
    }
    for name in state.unproven() {
        if there.indices.contains_key(name) {
            kept.insert(name.to_owned(), "it cannot be proven that the migration made it".to_owned());
        }
    }
    Ok((doomed, kept))
}

/// Deletes what we made, if that was asked for.
pub(super) async fn delete(machine: &Machine<'_>, state: &State) -> Result<Outcome> {
    let (deleted, kept) = doomed(machine.job, machine.sides, state).await?;
    for name in &deleted {
        undo::delete_index(machine.sides.target, name).await?;
    }
    Ok(Outcome::DeleteCreated { deleted, kept })
}

/// Registers the repository as it was: before the cutover, or before the whole migration if what that made is deleted.
pub(super) async fn put_back(machine: &Machine<'_>, state: &State) -> Result<Outcome> {
    let target = machine.sides.target;
    let name = &machine.job.registration.name;
    let told = |text: String| Ok(Outcome::PutBack { told: text });
    let registrations = state.rounds.iter().filter_map(|round| match round.result(Step::Register) {
        Some(Outcome::Register { before, after, .. }) => Some((round.number, before, after)),
        _ => None,
    });
    let all: Vec<_> = registrations.collect();
    let cutover = state.cutover().map(|round| round.number);
    let chosen =
        if machine.job.delete_created { all.first() } else { all.iter().find(|(number, ..)| Some(*number) == cutover) };
    let (Some((_, before, _)), Some((_, _, after))) = (chosen, all.last()) else {
        return told(format!("the repository `{name}` was not registered by the cutover"));
    };
    let now = undo::registration(target, name).await?;
    if now == **before {
        return told(format!("the repository `{name}` is registered as it was"));
    }
    if now != **after {
        return told(format!("the repository `{name}` was registered anew by somebody else, and is left alone"));
    }
    match before {
        None => {
            repository::remove(target, name).await?;
            told(format!("the repository `{name}` is no longer registered; its data stays"))
        }
        Some(body) => {
            undo::put_registration(target, name, body).await?;
            told(format!(
                "the repository `{name}` is registered as it was; credentials in its settings, which clusters do not tell, are not"
            ))
        }
    }
}

/// What a rollback would do, in sentences.
pub(super) async fn foretold(job: &Job, sides: &Sides<'_>, state: &State) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for one in state.blocked() {
        told.push(if one.was_blocked {
            format!("`{}` was blocked before the cutover, and stays so", one.name)
        } else {
            format!("the write block of `{}` at the source is lifted", one.name)
        });
    }
    let (doomed, kept) = doomed(job, sides, state).await?;
    told.extend(doomed.iter().map(|name| format!("`{name}` at the target is deleted")));
    told.extend(kept.iter().map(|(name, why)| format!("`{name}` at the target stays: {why}")));
    told.push(format!("the repository `{}` is registered at the target as it was", job.registration.name));
    told.push("what was written to the target since the cutover stays there and is lost to the source".to_owned());
    Ok(told)
}
