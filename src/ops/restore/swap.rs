//! Letting names point to what was restored beside them.
//!
//! 1. Before anything is changed: which indices go with it, whether the user consents, and how far the writes to them have come.
//! 2. Once the new indices are proven, and right before the change: what had the names must still be what was seen, with nothing
//!    written to it. Otherwise both stay.
//! 3. One request changes all of it: the names, the aliases that pass on, and those of the snapshot.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::log::Entry;
use super::offline::Offline;
use super::work::Work;
use super::{Consent, Finding, Options};
use crate::elastic::alias::{self, Swap};
use crate::elastic::conflict::{Piece, Plan};
use crate::elastic::index::{self, Existing};
use crate::elastic::restore::Aliases;
use crate::elastic::writes::{self, Mark};
use crate::elastic::{Client, count};
use crate::error::{Error, ErrorKind, Result};

/// The indices that are deleted in the step in which an alias takes their name.
pub(super) fn replaced(plan: &Plan, existing: &Existing) -> Vec<String> {
    plan.swaps.keys().filter(|name| existing.indices.contains_key(*name)).cloned().collect()
}

/// What swapping takes, said before: consent where indices go, and a location for the snapshot's aliases.
pub(super) fn check(options: &Options, plan: &Plan, existing: &Existing, offline: Option<&Offline>) -> Vec<Finding> {
    let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut findings = Vec::new();
    let gone = replaced(plan, existing);
    if !gone.is_empty() {
        let what = "the index is removed in the step in which an alias takes its name, after the new one is proven complete; there is no way back";
        findings.push(if options.delete == Consent::Given {
            Finding::warning(list(&gone), what)
        } else {
            Finding::error(ErrorKind::Precondition, list(&gone), what).doing(
                "say so with `--yes-delete`, and take a snapshot of it first with `--safety-snapshot REPOSITORY`",
            )
        });
    }
    if !plan.swaps.is_empty() && options.aliases == Aliases::Restored && offline.is_none() {
        let names: Vec<String> = plan.swaps.keys().cloned().collect();
        findings.push(
            Finding::warning(
                list(&names),
                "the snapshot's aliases do not come along: no cluster tells what they are; those of the index that is replaced pass on",
            )
            .doing("say with `--location` where the repository can be read, or `--without-aliases`"),
        );
    }
    let unread = |offline: &Offline| -> Vec<String> {
        let unread = offline.indices.iter().filter(|(_, facts)| facts.definitions.is_none());
        unread.map(|(name, _)| name.clone()).collect()
    };
    let unread = offline.filter(|_| !plan.swaps.is_empty() && options.aliases == Aliases::Restored).map(unread);
    if let Some(unread) = unread.filter(|unread| !unread.is_empty()) {
        findings.push(
            Finding::error(
                ErrorKind::Corrupt,
                list(&unread),
                "the repository's words about its aliases cannot be read",
            )
            .doing("restore with `--without-aliases` and set them afterwards"),
        );
    }
    findings
}

/// How far the writes to the indices have come that are to be replaced; those that do not tell are left out.
pub(super) async fn marks(client: &Client, plan: &Plan, existing: &Existing) -> BTreeMap<String, Mark> {
    let mut marks = BTreeMap::new();
    for name in replaced(plan, existing) {
        match writes::mark(client, &name).await {
            Ok(mark) => marks.extend(mark.map(|mark| (name, mark))),
            Err(error) => tracing::debug!(%error, "what is written to it meanwhile will not be noticed"),
        }
    }
    marks
}

/// The change of aliases for these names.
pub(super) async fn planned(
    client: &Client,
    swaps: &BTreeMap<String, String>,
    existing: &Existing,
    of_snapshot: &BTreeMap<String, Map<String, Value>>,
) -> Result<(Vec<Swap>, Vec<Value>)> {
    let swapped: Vec<Swap> = swaps
        .iter()
        .map(|(name, index)| Swap { name: name.clone(), index: index.clone(), behind: behind(name, existing) })
        .collect();
    let old: BTreeSet<String> = swapped.iter().flat_map(|swap| swap.behind.iter().cloned()).collect();
    let definitions = alias::of(client, &old.into_iter().collect::<Vec<_>>()).await?;
    let actions = alias::actions(&swapped, &definitions, of_snapshot);
    Ok((swapped, actions))
}

/// The aliases that come along, by the index that is restored.
pub(super) fn of_snapshot<'a>(
    options: &Options,
    offline: Option<&Offline>,
    pieces: impl Iterator<Item = &'a Piece>,
) -> BTreeMap<String, Map<String, Value>> {
    let Some(offline) = offline.filter(|_| options.aliases == Aliases::Restored) else { return BTreeMap::new() };
    let told = |piece: &Piece| Some((piece.target.clone(), offline.indices.get(&piece.index)?.definitions.clone()?));
    pieces.filter_map(told).collect()
}

/// The indices behind a name: itself if it is one.
fn behind(name: &str, existing: &Existing) -> BTreeSet<String> {
    if existing.indices.contains_key(name) {
        return [name.to_owned()].into();
    }
    existing.aliases.get(name).cloned().unwrap_or_default()
}

/// Lets names point to these pieces, if they are to, once they are proven: every shard answers, and what else the user wants holds.
/// The names with their indices, and the indices that are gone.
pub(super) async fn swap(work: &Work<'_>, pieces: &[Piece]) -> Result<(BTreeMap<String, String>, Vec<String>)> {
    let is_here = |target: &String| pieces.iter().any(|piece| piece.target == *target);
    let planned_swaps = work.prepared.plan.swaps.iter();
    let swaps: BTreeMap<String, String> = planned_swaps
        .filter(|(_, target)| is_here(target))
        .map(|(name, target)| (name.clone(), target.clone()))
        .collect();
    if swaps.is_empty() {
        return Ok((swaps, Vec::new()));
    }
    for target in swaps.values() {
        count::documents(work.client, target).await?;
    }
    if let Some(check) = &work.options.before_swap {
        check.check(work.client, pieces).await?;
    }
    let existing = &work.prepared.existing;
    let came = of_snapshot(work.options, work.prepared.offline.as_ref(), pieces.iter());
    let (swapped, actions) = planned(work.client, &swaps, existing, &came).await?;
    let gone: Vec<String> = swaps.keys().filter(|name| existing.indices.contains_key(*name)).cloned().collect();
    work.record(&Entry::Swapping { names: swaps.clone() })?;
    unchanged(work, &swaps).await?;
    alias::change(work.client, &swapped, &actions).await?;
    work.record(&Entry::Swapped { names: swaps.keys().cloned().collect() })?;
    Ok((swaps, gone))
}

/// What has these names must be what was seen before the restore, with nothing written to it since.
async fn unchanged(work: &Work<'_>, swaps: &BTreeMap<String, String>) -> Result<()> {
    let before = &work.prepared.existing;
    let now = index::existing(work.client).await?;
    for (name, target) in swaps {
        let stop = |what: &str| {
            Error::new(ErrorKind::Precondition, format!("let `{name}` point to `{target}` on `{}`", work.client.place()))
                .because(format!("{what}; nothing was removed: both `{name}` and `{target}` stay as they are"))
                .hint(format!(
                    "look what happened to `{name}`. To replace it all the same, run the same command again: it takes `{target}` up; or delete `{target}`"
                ))
        };
        let uuid = |existing: &Existing| existing.indices.get(name).map(|index| index.uuid.clone());
        match (uuid(before), uuid(&now)) {
            (None, Some(_)) => return Err(stop("an index of that name was made while the restore ran")),
            (Some(_), None) => return Err(stop("the index is not there any more")),
            (Some(old), Some(new)) if old != new => {
                return Err(stop(&format!(
                    "another index has the name than before the restore (`{new}`, it was `{old}`)"
                )));
            }
            (None, None) if behind(name, before) != behind(name, &now) => {
                return Err(stop("the alias points to other indices than before the restore"));
            }
            _ => {}
        }
        let Some(mark) = work.prepared.marks.get(name) else { continue };
        if writes::mark(work.client, name).await?.as_ref() != Some(mark) {
            return Err(stop("documents were written to it while the restore ran, which would be lost"));
        }
    }
    Ok(())
}
