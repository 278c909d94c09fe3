//! Blobs that a failed shard misses, brought from another copy of the repository (finding 4).
//!
//! The shard is named by the cluster; `verify` finds in it what is missing or damaged, and writes just that. What is lost is looked for
//! before as well, where something is to be overwritten: what is deleted or closed first is gone if the blobs are (finding 3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::work::Work;
use crate::elastic::follow::Failed;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Silent};
use crate::ops::End;
use crate::ops::verify::{self, Level, Places, Report};

/// What was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repaired {
    pub(super) objects: u64,
}

/// Brings what the failed shards miss. Nothing if there is nowhere to bring it from, or nothing was amiss there.
pub(super) async fn repair(work: &Work<'_>, failed: &Failed) -> Result<Option<Repaired>> {
    let (Some(copy), Some(from)) = (&work.options.copy, &work.options.repair_from) else { return Ok(None) };
    if !failed.shards.iter().any(|shard| shard.is_damage) {
        return Ok(None);
    }
    work.reporter.report(&Event::Step("repair the repository"));
    let places = Places { place: copy, source: None, repair_from: Some(from) };
    // What is missing is found without reading; only what is there and wrong takes reading all of it.
    for level in [Level::Presence, Level::Content] {
        let options = verify::Options { level, ..verify::Options::default() };
        let report = verify::run(&places, &options, Arc::new(Silent), work.cancel).await?;
        if let Some(error) = report.error {
            return Err(error);
        }
        if report.repaired.objects > 0 {
            return Ok(Some(Repaired { objects: report.repaired.objects }));
        }
    }
    Ok(None)
}

/// What lists of the repository that are cut off show at most (`SnapshotVerdict`).
const LISTED: usize = 100;

/// Indices of a snapshot that would not come back whole, with what they lack: as far as that is known without reading blobs.
pub(super) async fn lost(
    copy: &End,
    snapshot: &str,
    indices: &BTreeSet<&str>,
    cancel: &CancellationToken,
) -> Result<BTreeMap<String, String>> {
    let places = Places { place: copy, source: None, repair_from: None };
    Ok(among(&look(&places, cancel).await?, snapshot, indices))
}

async fn look(places: &Places<'_>, cancel: &CancellationToken) -> Result<Report> {
    let options = verify::Options { level: Level::Presence, ..verify::Options::default() };
    let mut report = verify::run(places, &options, Arc::new(Silent), cancel).await?;
    report.error.take().map_or(Ok(report), Err)
}

fn among(report: &Report, snapshot: &str, indices: &BTreeSet<&str>) -> BTreeMap<String, String> {
    let findings = &report.audited.findings;
    let Some(verdict) = report.audited.snapshots.iter().find(|verdict| verdict.uuid == snapshot) else {
        return BTreeMap::new();
    };
    let is_cut = verdict.indices_not_restorable.len() >= LISTED;
    let first = |index: &str| {
        let about = findings.iter().filter(|finding| finding.index.as_deref() == Some(index));
        about.filter(|finding| finding.key.is_some()).min_by_key(|finding| finding.severity)
    };
    let mut lost = BTreeMap::new();
    for index in indices {
        let is_named = verdict.indices_not_restorable.iter().any(|name| name == index);
        let found = first(index);
        if is_named || (is_cut && found.is_some()) {
            let what = match found {
                Some(finding) => {
                    format!("{} `{}`: {}", finding.kind, finding.key.as_deref().unwrap_or_default(), finding.message)
                }
                None => "it is damaged".to_owned(),
            };
            lost.insert((*index).to_owned(), what);
        }
    }
    lost
}

/// Brings what the indices lack that are to be restored over others, before any of those is touched.
pub(super) async fn before(work: &mut Work<'_>) -> Result<()> {
    let (Some(copy), Some(from)) = (&work.options.copy, &work.options.repair_from) else { return Ok(()) };
    work.reporter.report(&Event::Step("repair the repository"));
    let places = Places { place: copy, source: None, repair_from: Some(from) };
    let report = look(&places, work.cancel).await?;
    work.restored.repaired_objects += report.repaired.objects;
    let indices: BTreeSet<&str> = work.prepared.lost.keys().map(String::as_str).collect();
    match among(&report, &work.prepared.snapshot.uuid, &indices).pop_first() {
        None => Ok(()),
        Some((index, what)) => {
            Err(Error::new(ErrorKind::Corrupt, format!("repair `{}` from `{}`", copy.location, from.location))
                .because(format!("`{index}`: {what}; nothing was closed or deleted"))
                .hint("name a copy that has it whole"))
        }
    }
}
