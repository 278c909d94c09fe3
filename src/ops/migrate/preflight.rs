//! Both sides looked at before anything is changed or copied, and everything that is wrong told at once.
//!
//! 1. The two clusters are two, unless the indices get other names.
//! 2. The source's repository is there, may be written to, and is not one of those that a service keeps for itself.
//! 3. The indices are chosen out of what the source has now ([`choice`]); closed ones end a cutover here.
//! 4. Each is judged by the target's version. What it refuses ends the migration here, or is left out where that was asked for.
//! 5. The repository's name may mean the copy at the target, and the names of the indices are free there, or are ours.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::{self, Chosen};
use super::record::{End, Preflight};
use super::state::State;
use super::step::Phase;
use super::{Job, Sides, bring, live};
use crate::elastic::identity::{self, Held, Inventory};
use crate::elastic::selection::Selection;
use crate::elastic::{index, undo};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::advice::IndexAdvice;
use crate::ops::repository;

/// Looks at everything. `state` is what the journal says so far.
///
/// Fails with all that is wrong: with the kind of the one thing if it is one, else with [`ErrorKind::Precondition`].
pub(super) async fn run(job: &Job, sides: &Sides<'_>, phase: Phase, state: &State) -> Result<Preflight> {
    let mut wrong = Vec::new();
    let here = identity::read(sides.source).await?;
    let there = identity::read(sides.target).await?;
    wrong.extend(one_cluster(job, sides, &here, &there));
    wrong.extend(source_repository(job, sides).await?);
    wrong.extend(repository::admit(sides.target, &job.registration, job.policy).await.err());
    let mut found = Preflight {
        source: sides.source.version().to_string(),
        target: sides.target.version().to_string(),
        ..Preflight::default()
    };
    match choose(job, sides, phase, &mut found).await {
        Ok(selection) => {
            wrong.extend(judged(job, sides, &here, &mut found).err());
            if phase == Phase::Cutover {
                wrong.extend(read_only(job, &here, &found));
            }
            if wrong.is_empty() {
                let selection = Selection { indices: found.indices.clone(), ..selection };
                let all = primaries(sides, &found).await?;
                wrong.extend(bring::decide(job, sides, state, &selection, &all, "new").await.err());
            }
        }
        Err(error) => wrong.push(error),
    }
    together(wrong)?;
    found.digest = identity::digest(sides.source, &found.travelling()).await?;
    tell_blocked(state, &here, &mut found);
    choice::tell_left(state, &here, &there, &mut found);
    Ok(found)
}

/// The indices that travel, each with its number of primaries at the source.
pub(super) async fn primaries(sides: &Sides<'_>, found: &Preflight) -> Result<BTreeMap<String, u32>> {
    let now = index::existing(sides.source).await?;
    let shards = |name: &String| now.indices.get(name).map_or(0, |index| index.shards);
    Ok(found.travelling().into_iter().map(|name| (name.clone(), shards(&name))).collect())
}

/// One error out of all.
fn together(mut wrong: Vec<Error>) -> Result<()> {
    match wrong.len() {
        0 => Ok(()),
        1 => Err(wrong.remove(0)),
        count => {
            let told: Vec<String> =
                wrong.iter().enumerate().map(|(at, error)| format!("({}) {error}", at + 1)).collect();
            let hints: Vec<&str> = wrong.iter().filter_map(Error::advice).collect();
            Err(Error::new(ErrorKind::Precondition, "begin the migration")
                .because(format!("{count} things stand in the way: {}", told.join(" ")))
                .hint(hints.join("; ")))
        }
    }
}

fn one_cluster(job: &Job, sides: &Sides<'_>, here: &Inventory, there: &Inventory) -> Option<Error> {
    let one = !here.cluster.is_empty() && here.cluster == there.cluster && job.restore.rename.is_none();
    one.then(|| {
        Error::new(ErrorKind::Invalid, format!("migrate from `{}` to `{}`", sides.source.place(), sides.target.place()))
            .because("both are the same cluster: its indices would be restored over themselves")
            .hint("name another target cluster, or give the restored indices other names with `--rename-pattern`")
    })
}

async fn source_repository(job: &Job, sides: &Sides<'_>) -> Result<Option<Error>> {
    let name = &job.repository;
    let doing = || format!("take snapshots in the repository `{name}` on `{}`", sides.source.place());
    if name.starts_with("cs-automated") {
        return Ok(Some(
            Error::new(ErrorKind::Unsupported, doing())
                .because(
                    "Amazon keeps it for itself: its snapshots restore only into the domain that they were taken in",
                )
                .hint("register a repository in a bucket of your own, and name that"),
        ));
    }
    let Some(found) = undo::registration(sides.source, name).await? else {
        return Ok(Some(
            Error::new(ErrorKind::NotFound, doing())
                .because("the source cluster has no repository of that name")
                .hint(format!("register it there so that it writes to `{}`", sides.from.location)),
        ));
    };
    let readonly =
        ["readonly", "read_only"].iter().any(|key| found["settings"][*key] == "true") || found["type"] == "url";
    Ok(readonly.then(|| {
        Error::new(ErrorKind::Precondition, doing())
            .because("it is registered read-only at the source")
            .hint("name the repository that the source cluster writes its own snapshots to")
    }))
}

/// Why this phase does not come now, if it does not.
pub(super) fn order(job: &Job, phase: Phase, state: &State) -> Option<Error> {
    let wrong = |cause: &str, hint: String| {
        Some(
            Error::new(ErrorKind::Precondition, format!("begin the {phase} of `{}`", job.name))
                .because(cause.to_owned())
                .hint(hint),
        )
    };
    let has_baseline = state.brought().next().is_some();
    match phase {
        Phase::Increment if !has_baseline => {
            wrong("it has no baseline yet", format!("run `migrate baseline {}` first", job.name))
        }
        Phase::Cutover if !has_baseline && !job.without_baseline => wrong(
            "it has no baseline: everything would travel while the source is blocked",
            format!("run `migrate baseline {}` first, or say `--without-baseline`", job.name),
        ),
        Phase::Increment | Phase::Baseline if state.cutover().is_some_and(|round| round.end == Some(End::Done)) => {
            wrong(
                "its cutover is done, and the target may have been written to since",
                format!("`migrate cutover {} --rollback` takes the cutover back", job.name),
            )
        }
        _ => None,
    }
}

/// The indices to migrate, out of what the source has now.
async fn choose(job: &Job, sides: &Sides<'_>, phase: Phase, found: &mut Preflight) -> Result<Selection> {
    let Chosen { selection, backing, closed, streams } = choice::choose(job, sides).await?;
    found.warnings.extend(streams);
    found.indices.clone_from(&selection.indices);
    found.data_streams.clone_from(&selection.data_streams);
    found.left_out.clone_from(&selection.left_out);
    (found.backing, found.closed) = (backing, closed);
    if phase == Phase::Cutover && !found.closed.is_empty() {
        return Err(choice::closed(format!("cut `{}` over", job.name), &found.closed));
    }
    Ok(selection)
}

/// Holds each index against the target's version.
fn judged(job: &Job, sides: &Sides<'_>, here: &Inventory, found: &mut Preflight) -> Result<()> {
    let advice = live::judge(&found.travelling(), here, sides.source.version(), sides.target.version())?;
    for one in advice.iter().filter(|one| matches!(one.verdict, "read-only" | "archive" | "partial")) {
        let reason = one.reason.as_deref().unwrap_or_default();
        found.warnings.push(format!("`{}` restores as {}: {reason}", one.name, one.verdict));
    }
    let refused: BTreeMap<String, IndexAdvice> =
        advice.iter().filter(|one| one.is_refused()).map(|one| (one.name.clone(), one.clone())).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let whole = refused.len() == advice.len();
    let is_backing = refused.keys().any(|name| found.backing.contains(name));
    if job.leave_out_incompatible && !whole && !is_backing {
        found.indices.retain(|name| !refused.contains_key(name));
        found.refused =
            refused.iter().map(|(name, one)| (name.clone(), one.reason.clone().unwrap_or_default())).collect();
        found.warnings.push(format!("left out, as the target would refuse them: {}", live::told(&refused)));
        return Ok(());
    }
    let doing = format!("restore {} of {} indices on {}", refused.len(), advice.len(), sides.target.version());
    let error = Error::new(ErrorKind::Unsupported, doing).because(live::told(&refused));
    let names: Vec<String> = refused.keys().map(|name| format!("-{name}")).collect();
    Err(error.hint(if whole {
        "nothing can be restored there: use another target, or go by way of the versions that are named".to_owned()
    } else {
        format!(
            "migrate the others with `--indices '*,{}'` or `--leave-out-incompatible`, and these by way of the versions that are named",
            names.join(",")
        )
    }))
}

/// No write block can be set on an index that is read-only, nor lifted from one that became so since.
fn read_only(job: &Job, here: &Inventory, found: &Preflight) -> Option<Error> {
    let is_in_the_way = |name: &String| here.indices.get(name).is_some_and(Held::is_read_only);
    let names: Vec<String> = found.travelling().into_iter().filter(is_in_the_way).collect();
    (!names.is_empty()).then(|| {
        Error::new(ErrorKind::Precondition, format!("cut `{}` over", job.name))
            .because(format!(
                "`{}` has the block read_only or read_only_allow_delete at the source, which refuses the write block",
                names.join("`, `")
            ))
            .hint(format!(
                "take it away (`PUT /{}/_settings` with `{{\"index.blocks.read_only\": null, \"index.blocks.read_only_allow_delete\": null}}`; a full disk sets the latter), or leave these out with `--indices`",
                names.join(",")
            ))
    })
}

/// An index that the source keeps read-only is writable at the target: its blocks stay behind, as ours must.
fn tell_blocked(state: &State, here: &Inventory, found: &mut Preflight) {
    let ours: BTreeSet<String> =
        state.blocked().into_iter().filter(|one| !one.was_blocked).map(|one| one.name).collect();
    for name in found.travelling() {
        let blocks = here.indices.get(&name).map(|held| held.blocks.as_slice()).unwrap_or_default();
        let theirs: Vec<&str> =
            blocks.iter().map(String::as_str).filter(|block| *block != "write" || !ours.contains(&name)).collect();
        if !theirs.is_empty() {
            found
                .warnings
                .push(format!("`{name}` has the block {} at the source, which does not come along", theirs.join(", ")));
        }
    }
}
