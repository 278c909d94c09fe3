//! What is asked for: settings that no cluster lets a restore change, names that cannot be foretold, a repository that takes no
//! snapshot, and blobs that are not there.
//!
//! A cluster refuses these only when the restore is sent. By then what was in the way is closed or deleted.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use super::Subject;
use crate::elastic::{repository, writable};
use crate::error::{Error, ErrorKind};
use crate::ops::restore::finding::Finding;
use crate::ops::restore::repair;

/// No restore changes or removes these (`elasticsearch-api.md` 2.4).
const FIXED: [&str; 5] =
    ["index.number_of_shards", "index.version.created", "index.uuid", "index.creation_date", "index.history.uuid"];
/// These may be changed and not removed.
const KEPT: [&str; 3] = ["index.number_of_replicas", "index.auto_expand_replicas", "index.version.upgraded"];
const SOFT_DELETES: &str = "index.soft_deletes.enabled";

/// Replicas that an index can sensibly have. The cluster itself takes any number, and is never whole again.
const MOST_REPLICAS: u32 = 1000;

pub(super) async fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    settings(subject, findings);
    numbers(subject, findings);
    names(subject, findings);
    safety(subject, findings).await;
}

fn settings(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let options = subject.options;
    // A pattern is safe: the cluster leaves out of what it matches those that must stay.
    let is_kept = |name: &&String| FIXED.iter().chain(&KEPT).any(|kept| *kept == full(name));
    for name in options.ignore_settings.iter().filter(is_kept) {
        findings.push(
            Finding::error(
                ErrorKind::Invalid,
                format!("`{name}`"),
                "a cluster lets no restore leave this setting behind",
            )
            .doing(if full(name).contains("replicas") {
                "take it out of the settings to be left behind; `--replicas` sets their number"
            } else {
                "take it out of the settings to be left behind"
            }),
        );
    }
    let is_off = |value: &serde_json::Value| value == false || value == "false";
    for (name, value) in &options.settings {
        if FIXED.contains(&full(name).as_str()) || (full(name) == SOFT_DELETES && is_off(value)) {
            findings.push(
                Finding::error(
                    ErrorKind::Invalid,
                    format!("`{name}`"),
                    "a cluster lets no restore change this setting",
                )
                .doing("leave it as it is in the snapshot, and reindex afterwards"),
            );
        }
    }
}

/// A setting's name as the cluster completes it.
fn full(name: &str) -> String {
    if name.starts_with("index.") { name.to_owned() } else { format!("index.{name}") }
}

fn numbers(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let options = subject.options;
    if let Some(count) = options.replicas.filter(|count| *count > MOST_REPLICAS) {
        findings.push(
            Finding::error(ErrorKind::Invalid, "the replicas", format!("{count} are more than {MOST_REPLICAS}"))
                .doing("ask for fewer than there are data nodes"),
        );
    }
    if options.raise.recoveries == Some(0) {
        findings.push(
            Finding::error(ErrorKind::Invalid, "the recoveries", "with 0 at once no node would fill anything")
                .doing("ask for 1 or more"),
        );
    }
}

/// What is foretold wrongly is not what is deleted or closed for it.
fn names(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(rule) = &subject.options.rename else { return };
    let uncertain = subject.plan.pieces().filter(|piece| !rule.is_certain_for(&piece.index));
    findings.extend(uncertain.map(|piece| {
        Finding::error(
            ErrorKind::Unsupported,
            format!("`{}`", piece.index),
            format!("what `{}` makes of this name depends on the Java of the cluster", rule.pattern()),
        )
        .doing("use a pattern without `\\b`, `\\B` and `(?i)`, or leave the index out")
    }));
}

/// A repository for the snapshot of what is about to be lost: there, and writable.
async fn safety(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(name) = &subject.options.safety else { return };
    let doing = format!("take a snapshot in `{name}`");
    let about = format!("the repository `{name}` for the safety snapshot");
    if let Err(error) = writable::refuse_automated(name, &doing) {
        findings.push(Finding::met(about, &error));
        return;
    }
    match repository::find(subject.client, name).await {
        Ok(Some(found)) if found.readonly || found.kind == "url" => findings.push(
            Finding::error(ErrorKind::Precondition, about, "it is registered read-only here")
                .doing("name one that this cluster writes to"),
        ),
        Ok(Some(_)) => {}
        Ok(None) => findings.push(
            Finding::error(ErrorKind::NotFound, about, "the cluster knows no such repository")
                .doing("register it, or list what is there with `repo list`"),
        ),
        Err(error) => findings.push(Finding::unknown(about, &error)),
    }
}

/// Looks for the blobs of what is to be restored over something else (finding 3): before that is touched.
pub(super) async fn lost(
    subject: &Subject<'_>,
    cancel: &CancellationToken,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, String> {
    let none = BTreeMap::new();
    let (Some(copy), Some(_)) = (&subject.options.copy, subject.offline) else { return none };
    let over = subject.plan.pieces().filter(|piece| subject.existing.indices.contains_key(&piece.target));
    let over: BTreeSet<&str> = over.map(|piece| piece.index.as_str()).collect();
    if over.is_empty() {
        return none;
    }
    let lost = match repair::lost(copy, &subject.snapshot.uuid, &over, cancel).await {
        Ok(lost) => lost,
        Err(error) => {
            findings.push(met(&error));
            return none;
        }
    };
    for (index, what) in &lost {
        let about = format!("`{index}` at `{}`", copy.location);
        findings.push(match &subject.options.repair_from {
            Some(from) => Finding::warning(about, what.clone())
                .doing(format!("it is brought from `{}` before anything is closed or deleted", from.location)),
            None => Finding::error(ErrorKind::Corrupt, about, what.clone()).doing(format!(
                "bring it back with `snapferry verify {} --repair-from COPY`, or restore with `--repair-from COPY`",
                copy.location
            )),
        });
    }
    lost
}

fn met(error: &Error) -> Finding {
    Finding::met("the blobs of what is restored over others", error)
}
