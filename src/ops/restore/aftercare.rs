//! After the restore: names that are to point to what was restored beside them, and what the target still lacks.

use std::collections::{BTreeMap, BTreeSet};

use super::log::Entry;
use super::work::Work;
use super::{Finding, Options, Restored};
use crate::elastic::alias::{self, Swap};
use crate::elastic::conflict::Piece;
use crate::elastic::{Client, count, inventory};
use crate::error::Result;

/// Lets names point to these pieces, if they are to, once they are proven: every shard answers, and what else the user wants holds.
pub(super) async fn swap(work: &Work<'_>, pieces: &[Piece]) -> Result<BTreeMap<String, String>> {
    let is_here = |target: &String| pieces.iter().any(|piece| piece.target == *target);
    let swaps: BTreeMap<String, String> = work
        .prepared
        .plan
        .swaps
        .iter()
        .filter(|(_, target)| is_here(target))
        .map(|(name, target)| (name.clone(), target.clone()))
        .collect();
    if swaps.is_empty() {
        return Ok(swaps);
    }
    for target in swaps.values() {
        count::documents(work.client, target).await?;
    }
    if let Some(check) = &work.options.before_swap {
        check.check(work.client, pieces).await?;
    }
    let existing = &work.prepared.existing;
    let behind = |name: &String| -> BTreeSet<String> {
        if existing.indices.contains_key(name) {
            return [name.clone()].into();
        }
        existing.aliases.get(name).cloned().unwrap_or_default()
    };
    let swapped: Vec<Swap> = swaps
        .iter()
        .map(|(name, index)| Swap { name: name.clone(), index: index.clone(), behind: behind(name) })
        .collect();
    let old: BTreeSet<String> = swapped.iter().flat_map(|swap| swap.behind.iter().cloned()).collect();
    let definitions = alias::of(work.client, &old.into_iter().collect::<Vec<_>>()).await?;
    work.record(&Entry::Swapping { names: swaps.clone() })?;
    alias::change(work.client, &alias::actions(&swapped, &definitions)).await?;
    work.record(&Entry::Swapped { names: swaps.keys().cloned().collect() })?;
    Ok(swaps)
}

/// What the source has beside its indices and the target lacks. Not knowing is no failure: the indices are there.
pub(super) async fn inventory(restored: &mut Restored, target: &Client, options: &Options) {
    let Some(source) = &options.source else { return };
    let compared = async { Result::Ok(inventory::read(source).await?.beyond(&inventory::read(target).await?)) };
    match compared.await {
        Ok(missing) => {
            restored.findings.extend(missing.iter().map(|(thing, names)| {
                Finding::warning(
                    format!("{}: {}", thing.word(), names.join(", ")),
                    "the source has it, no snapshot carries it, and the target lacks it",
                )
            }));
            restored.missing = missing;
        }
        Err(error) => restored.findings.push(Finding::unknown("templates, pipelines, policies and users", &error)),
    }
}
