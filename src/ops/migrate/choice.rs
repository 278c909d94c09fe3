//! Which indices a job means at the source: chosen when a round begins, and looked at again before a cutover is called done.
//!
//! 1. Names and patterns are resolved against everything that the source has, closed indices too: one that was closed since the last
//!    round must not drop out of the next one in silence.
//! 2. What an earlier round brought is held against what the source has now: what was deleted there stays at the target, and is named.
//! 3. A block reaches what is there when it is set. What was made afterwards under the same patterns takes writes, and is found here.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::Machine;
use super::record::Preflight;
use super::state::{Round, State};
use super::{Job, Sides, streams};
use crate::elastic::identity::Inventory;
use crate::elastic::index::{self, Existing};
use crate::elastic::selection::{self, Selection};
use crate::error::{Error, ErrorKind, Result};

/// What a job means.
pub(super) struct Chosen {
    /// Open indices, and data streams.
    pub(super) selection: Selection,
    /// The backing indices of those data streams.
    pub(super) backing: Vec<String>,
    /// Those that are meant and closed.
    pub(super) closed: Vec<String>,
    /// What is to be said of data streams that stay behind.
    pub(super) streams: Option<String>,
}

/// The indices to migrate, out of what the source has now.
///
/// Fails with [`ErrorKind::NotFound`] when an entry names or matches nothing, with [`ErrorKind::Unsupported`] for data streams, and with [`ErrorKind::Precondition`] when all are closed.
pub(super) async fn choose(job: &Job, sides: &Sides<'_>) -> Result<Chosen> {
    let now = index::existing(sides.source).await?;
    streams::refuse_backing(job, &now)?;
    let doing = || format!("choose the indices of `{}`", sides.source.place());
    let mut chosen =
        resolve(&job.restore.indices, &now, &Preflight::default()).map_err(|error| error.while_doing(doing()))?;
    chosen.streams = streams::refuse(job, &now, &chosen.selection)?;
    if chosen.selection.indices.is_empty() && chosen.selection.data_streams.is_empty() {
        return Err(closed(doing(), &chosen.closed));
    }
    Ok(chosen)
}

/// `known` is taken as if it were still there, so that what is gone does not hide what is new.
fn resolve(patterns: &[String], now: &Existing, known: &Preflight) -> Result<Chosen> {
    let behind: BTreeSet<&String> = now.data_streams.values().flatten().collect();
    let names: BTreeSet<&String> =
        now.indices.keys().filter(|name| !behind.contains(name)).chain(&known.indices).collect();
    let streams: BTreeSet<&String> = now.data_streams.keys().chain(&known.data_streams).collect();
    let list = |names: BTreeSet<&String>| names.into_iter().cloned().collect::<Vec<_>>();
    let mut selection = selection::select(patterns, &list(names), &list(streams))?;
    let backing = selection.data_streams.iter().filter_map(|stream| now.data_streams.get(stream));
    let backing: Vec<String> = backing.flatten().cloned().collect();
    let is_closed = |name: &&String| now.indices.get(*name).is_some_and(|index| !index.is_open);
    let closed = selection.indices.iter().chain(&backing).filter(is_closed).cloned().collect();
    selection.indices.retain(|name| !is_closed(&name));
    selection.left_out.retain(|name| !is_closed(&name));
    Ok(Chosen { selection, backing, closed, streams: None })
}

/// Why closed indices stand in the way.
pub(super) fn closed(doing: String, names: &[String]) -> Error {
    let without: Vec<String> = names.iter().map(|name| format!("-{name}")).collect();
    let (are, they) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
    Error::new(ErrorKind::Precondition, doing)
        .because(format!(
            "`{}` {are} closed at the source: open {they}, or leave {they} out with `--indices`",
            names.join("`, `")
        ))
        .hint(format!("`POST /{}/_open` at the source; or `--indices '*,{}'`", names.join(","), without.join(",")))
}

/// What earlier rounds brought, by its name at the source, with its name at the target; only what is still ours there.
fn brought(state: &State, there: &Inventory) -> BTreeMap<String, String> {
    let ours = state.ours();
    let is_there = |target: &str| {
        there.indices.get(target).is_some_and(|held| ours.get(target).is_some_and(|uuid| *uuid == held.uuid))
    };
    let pieces = state.rounds.iter().filter_map(Round::brought).flat_map(|brought| &brought.pieces);
    pieces.filter(|piece| is_there(&piece.target)).map(|piece| (piece.index.clone(), piece.target.clone())).collect()
}

/// Names what does not come along although it did, or is meant to.
pub(super) fn tell_left(state: &State, here: &Inventory, there: &Inventory, found: &mut Preflight) {
    for name in &found.closed {
        found.warnings.push(format!(
            "`{name}` IS CLOSED AT THE SOURCE and was not brought: what it holds at the target, if anything, is old; open it, or leave it out with `--indices`"
        ));
    }
    let travelling: BTreeSet<String> = found.travelling().into_iter().collect();
    for (name, target) in brought(state, there) {
        if !here.indices.contains_key(&name) {
            found.warnings.push(only_there(&target));
            found.only_at_target.push(target);
        } else if !travelling.contains(&name) && !found.closed.contains(&name) {
            found.warnings.push(format!(
                "`{target}` at the target was brought by an earlier round, and is not among the indices of this one"
            ));
        }
    }
}

fn only_there(target: &str) -> String {
    format!("`{target}` is at the target and no longer at the source: nothing here deletes it")
}

/// Looks whether a cutover brought everything that its patterns mean now. Returns what is at the target and no longer at the source.
///
/// Fails with [`ErrorKind::SourceMoved`] when there are indices that it neither blocked nor brought.
pub(super) async fn whole(machine: &Machine<'_>, round: &Round) -> Result<Vec<String>> {
    let source = machine.sides.source;
    let known = round.preflight().cloned().unwrap_or_default();
    let now = index::existing(source).await?;
    let chosen = resolve(&machine.job.restore.indices, &now, &known)?;
    let blocked: BTreeMap<&str, &str> =
        round.blocked().iter().map(|one| (one.name.as_str(), one.uuid.as_str())).collect();
    let is_same = |name: &String| match (blocked.get(name.as_str()), now.indices.get(name)) {
        (Some(uuid), Some(index)) => *uuid == index.uuid,
        (known, index) => known.is_some() || index.is_none(),
    };
    let meant: BTreeSet<&String> =
        chosen.selection.indices.iter().chain(&chosen.backing).chain(&chosen.closed).collect();
    let new: Vec<&str> = meant
        .into_iter()
        .filter(|name| !known.refused.contains_key(*name) && !is_same(name))
        .map(String::as_str)
        .collect();
    if !new.is_empty() {
        let job = &machine.job.name;
        return Err(Error::new(ErrorKind::SourceMoved, format!("call the cutover of `{job}` done"))
            .because(format!(
                "`{}` was made on `{}` after the writes were blocked, and was neither blocked nor brought",
                new.join("`, `"),
                source.place()
            ))
            .hint(format!(
                "stop whatever makes indices there; `migrate cutover {job} --resume` blocks and brings what is new in another round, and `--indices` leaves it out"
            )));
    }
    let pieces = round.brought().map(|brought| brought.pieces.clone()).unwrap_or_default();
    Ok(pieces
        .iter()
        .filter(|piece| !now.indices.contains_key(&piece.index))
        .map(|piece| only_there(&piece.target))
        .collect())
}

/// What a round was to snapshot and the source has no longer.
pub(super) async fn gone(machine: &Machine<'_>, round: &Round) -> Result<Vec<String>> {
    let Some(found) = round.preflight() else { return Ok(Vec::new()) };
    let now = index::existing(machine.sides.source).await?;
    Ok(found.travelling().into_iter().filter(|name| !now.indices.contains_key(name)).collect())
}
