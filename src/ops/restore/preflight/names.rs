//! Names: what is there under them, what points to them, and who follows what would be overwritten.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ground, Subject};
use crate::elastic::conflict::{Conflict, Place, Unit};
use crate::elastic::leader;
use crate::elastic::restore::Aliases;
use crate::elastic::selection::matches;
use crate::error::ErrorKind;
use crate::ops::restore::Consent;
use crate::ops::restore::finding::Finding;

pub(super) async fn check(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    leaders(subject, findings).await;
    shard_counts(subject, findings);
    aliases(subject, findings);
    streams(subject, ground, findings);
    losses(subject, findings);
}

/// Restoring over a leader breaks its followers for good (finding 13), and so does deleting it.
async fn leaders(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let is_open = |name: &&String| subject.existing.indices.get(*name).is_some_and(|index| index.is_open);
    let swapped = subject.plan.swaps.keys();
    let touched: Vec<String> =
        subject.plan.close.iter().chain(&subject.plan.delete).chain(swapped).filter(is_open).cloned().collect();
    if touched.is_empty() {
        return;
    }
    match leader::followed(subject.client, &touched).await {
        Ok(followed) => findings.extend(followed.iter().map(|name| {
            Finding::error(
                ErrorKind::Precondition,
                format!("`{name}`"),
                "another cluster follows it, and restoring over it breaks its followers for good",
            )
            .doing("restore under another name with `--conflict rename`, or end the replication on the follower first")
        })),
        Err(error) => findings.push(Finding::unknown("followers of what is overwritten", &error)),
    }
}

/// An index can only be restored over one that has as many shards.
fn shard_counts(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for piece in subject.plan.pieces() {
        let Some(there) =
            subject.existing.indices.get(&piece.target).filter(|_| !subject.plan.delete.contains(&piece.target))
        else {
            continue;
        };
        let Some(shards) = subject.shards(&piece.index).filter(|shards| there.shards > 0 && *shards != there.shards)
        else {
            continue;
        };
        findings.push(
            Finding::error(
                ErrorKind::AlreadyExists,
                format!("`{}`", piece.target),
                format!(
                    "the index there has {} shards and that of the snapshot {shards}: it cannot be restored over",
                    there.shards
                ),
            )
            .doing("restore with `--conflict rename`, `swap` or `delete`"),
        );
    }
}

fn aliases(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(offline) = subject.offline.filter(|_| subject.options.aliases == Aliases::Restored) else { return };
    let plan = subject.plan;
    // What a name lets go of has no alias of it afterwards.
    let targets: BTreeSet<&String> = plan.pieces().map(|piece| &piece.target).chain(plan.swaps.keys()).collect();
    let swapped: BTreeSet<&String> = plan.swaps.values().collect();
    let has_aliases =
        |unit: &&Unit| unit.place == Place::Own || unit.pieces.iter().any(|piece| swapped.contains(&piece.target));
    let mut writers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for piece in plan.units.iter().filter(has_aliases).flat_map(|unit| &unit.pieces) {
        let Some(facts) = offline.indices.get(&piece.index) else { continue };
        for alias in &facts.aliases {
            let is_index = subject.existing.indices.contains_key(alias) || targets.contains(alias);
            if is_index || subject.existing.data_streams.contains_key(alias) {
                findings.push(
                    Finding::error(
                        ErrorKind::AlreadyExists,
                        format!("the alias `{alias}` of `{}`", piece.index),
                        "an index or data stream here has that name",
                    )
                    .doing("restore with `--without-aliases`"),
                );
            }
            let behind = subject.existing.aliases.get(alias);
            if let Some(others) = behind.filter(|behind| behind.iter().any(|index| !targets.contains(index))) {
                let others: Vec<&str> = others.iter().map(String::as_str).take(5).collect();
                findings.push(Finding::warning(
                    format!("the alias `{alias}`"),
                    format!("it points to {} here and will point to `{}` too", others.join(", "), piece.target),
                ));
            }
        }
        for alias in &facts.write_aliases {
            writers.entry(alias).or_default().insert(&piece.target);
        }
    }
    for (alias, indices) in writers.into_iter().filter(|(_, indices)| indices.len() > 1) {
        let indices: Vec<&str> = indices.into_iter().collect();
        findings.push(
            Finding::error(
                ErrorKind::AlreadyExists,
                format!("the alias `{alias}`"),
                format!("it would have more than one write index: {}", indices.join(", ")),
            )
            .doing("restore with `--without-aliases` and set it afterwards"),
        );
    }
}

/// A stream comes back without its template, but neither rolls over nor takes a new name without.
fn streams(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    let Some(inventory) = &ground.inventory else { return };
    for stream in &subject.selection.data_streams {
        if !inventory.stream_patterns.iter().any(|pattern| matches(pattern, stream)) {
            findings.push(
                Finding::warning(
                    format!("the data stream `{stream}`"),
                    "no composable template with `data_stream` matches it here: it comes back, but cannot roll over",
                )
                .doing("make its template first"),
            );
        }
    }
}

/// What the policy does to what is there, said before.
fn losses(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let plan = subject.plan;
    if !plan.delete.is_empty() {
        let what = "it is deleted before the restore begins; there is no way back";
        let finding = if subject.options.delete == Consent::Given {
            Finding::warning(list(&plan.delete), what)
        } else {
            Finding::error(ErrorKind::Precondition, list(&plan.delete), what).doing(
                "say so with `--yes-delete`, and take a snapshot of it first with `--safety-snapshot REPOSITORY`",
            )
        };
        findings.push(finding);
    }
    if !plan.close.is_empty() && subject.options.conflict == Conflict::Close {
        findings.push(Finding::warning(
            list(&plan.close),
            "it is closed and restored over: what was written to it since is lost, and should the restore fail, so is the rest",
        ));
    }
}
