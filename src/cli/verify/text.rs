//! What a verification found, for people: grouped by what it is, with the verdict as the last line.

use std::time::Duration;

use crate::cli::output::{Bytes, Count, Output, elapsed};
use crate::error::Result;
use crate::ops::End;
use crate::ops::verify::{Level, Options, Portion, Report};
use crate::repo::audit::{Finding, Severity, SnapshotVerdict};

/// Findings of one kind that are shown; all are in the document of `--json`.
const SHOWN: usize = 10;
/// Snapshots that are shown one by one.
const SNAPSHOTS: usize = 200;
/// Names in one line.
const NAMES: usize = 5;

/// How the places are called.
pub(super) struct Names<'a> {
    pub(super) place: &'a End,
    pub(super) source: Option<&'a End>,
}

/// Shows everything.
pub(super) fn print(
    output: &Output,
    names: &Names<'_>,
    options: &Options,
    report: &Report,
    took: Duration,
) -> Result<()> {
    for line in lines(names, options, report, took) {
        output.line(&line)?;
    }
    Ok(())
}

fn lines(names: &Names<'_>, options: &Options, report: &Report, took: Duration) -> Vec<String> {
    let mut lines = vec![heading(names, options, report), checked(report, took)];
    if let Some(moved) = report.audited.moved {
        lines.push(format!(
            "moved meanwhile: generation {moved} is the newest now; what vanished with it is not reported"
        ));
    }
    lines.extend(findings(report));
    lines.extend(snapshots(&report.audited.snapshots));
    lines.extend(repaired(report));
    lines.push(String::new());
    lines.push(verdict(report));
    lines
}

fn heading(names: &Names<'_>, options: &Options, report: &Report) -> String {
    let audited = &report.audited;
    let what = match (audited.family, audited.generation) {
        (Some(family), Some(generation)) => format!("repository {family} at generation {generation}"),
        _ if report.mode == "plain" => "plain objects".to_owned(),
        _ => "repository without a root that can be read".to_owned(),
    };
    let portion = match options.portion {
        Portion::All => String::new(),
        Portion::Sample { share, seed } => format!(", a sample of {}% (`--seed {seed}`)", share * 100.0),
        Portion::Slice { number, of } => format!(", slice {number} of {of}"),
    };
    let source = names.source.map(|source| format!(", beside {}", source.location)).unwrap_or_default();
    format!("{}{source}: {what}, level {}{portion}", names.place.location, options.level.word())
}

fn checked(report: &Report, took: Duration) -> String {
    let checked = &report.audited.checked;
    let objects = format!("{}, {} read", Count(checked.objects, "object"), Bytes(checked.bytes));
    if report.mode == "plain" {
        return format!("checked {objects}, in {}", elapsed(took));
    }
    format!(
        "checked {}, {}, {}, {}: {objects}, in {}",
        Count(checked.snapshots, "snapshot"),
        plural(checked.indices, "index", "indices"),
        Count(checked.shards, "shard"),
        Count(checked.files, "file"),
        elapsed(took)
    )
}

fn findings(report: &Report) -> Vec<String> {
    let audited = &report.audited;
    let mut lines = Vec::new();
    for group in audited.findings.chunk_by(|one, other| one.kind == other.kind) {
        let kind = group[0].kind;
        let unlisted = audited.unlisted.get(&kind).copied().unwrap_or(0);
        let count = group.len() as u64 + unlisted;
        let severity = match kind.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        lines.push(String::new());
        lines.push(format!("{severity}: {kind} ({count}): {}", kind.means()));
        for finding in group.iter().take(SHOWN) {
            lines.extend(shown(finding));
        }
        let more = count - group.len().min(SHOWN) as u64;
        if more > 0 {
            lines.push(format!("  and {more} more: `--json` lists them"));
        }
    }
    lines
}

fn shown(finding: &Finding) -> Vec<String> {
    let mut lines = vec![match &finding.key {
        Some(key) => format!("  {}: {}", printable(key), finding.message),
        None => format!("  {}", finding.message),
    }];
    let mut place = Vec::new();
    place.extend(finding.file.as_ref().map(|file| format!("file `{}`", printable(file))));
    place.extend(finding.shard.map(|shard| format!("shard {shard}")));
    place.extend(finding.index.as_ref().map(|index| format!("index `{}`", printable(index))));
    if finding.snapshot_count > 0 {
        let names: Vec<String> = finding.snapshots.iter().map(|name| format!("`{}`", printable(name))).collect();
        let more = finding.snapshot_count.saturating_sub(names.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let noun = if finding.snapshot_count == 1 { "snapshot" } else { "snapshots" };
        place.push(format!("{noun} {}{more}", names.join(", ")));
    }
    if !place.is_empty() {
        lines.push(format!("    {}", place.join(", ")));
    }
    lines
}

fn snapshots(verdicts: &[SnapshotVerdict]) -> Vec<String> {
    if verdicts.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), "snapshots".to_owned()];
    // The whole ones are of interest only while they are few.
    let broken = verdicts.iter().filter(|verdict| !verdict.restorable).count();
    let all = verdicts.len() <= SNAPSHOTS;
    for verdict in verdicts.iter().filter(|verdict| all || !verdict.restorable).take(SNAPSHOTS) {
        lines.push(format!("  {}: {}", printable(&verdict.name), state(verdict)));
    }
    if !all {
        lines.push(format!(
            "  in all {}, {broken} of them not restorable whole",
            Count(verdicts.len() as u64, "snapshot")
        ));
    }
    lines
}

fn state(verdict: &SnapshotVerdict) -> String {
    if verdict.restorable {
        return format!("restorable, {}", plural(verdict.indices, "index", "indices"));
    }
    if let Some(key) = verdict.hindered_by.as_ref().filter(|_| verdict.is_whole()) {
        return format!("restorable as soon as `{}` is removed", printable(key));
    }
    let indices = plural(verdict.indices, "index", "indices");
    let mut parts = vec![format!("{} of {indices} restorable", verdict.indices_restorable)];
    for (what, list) in [("not", &verdict.indices_not_restorable), ("in part", &verdict.indices_partial)] {
        let names: Vec<String> = list.iter().take(NAMES).map(|name| format!("`{}`", printable(name))).collect();
        if !names.is_empty() {
            let more = if list.len() > names.len() { " and more" } else { "" };
            parts.push(format!("{what}: {}{more}", names.join(", ")));
        }
    }
    if !verdict.global_state_restorable {
        parts.push("not the cluster state".to_owned());
    }
    parts.join("; ")
}

fn repaired(report: &Report) -> Vec<String> {
    let repaired = &report.repaired;
    let mut lines = Vec::new();
    if repaired.objects > 0 {
        lines.push(String::new());
        lines.push(format!("repaired {} ({})", Count(repaired.objects, "object"), Bytes(repaired.bytes)));
    }
    for (key, error) in repaired.failed.iter().take(SHOWN) {
        lines.push(format!("not repaired: {}: {error}", printable(key)));
    }
    if repaired.failed.len() > SHOWN {
        lines.push(format!("and {} more: `--json` lists them", repaired.failed.len() - SHOWN));
    }
    lines
}

fn verdict(report: &Report) -> String {
    let audited = &report.audited;
    let (errors, warnings) = (audited.count(Severity::Error), audited.count(Severity::Warning));
    let found = match (errors, warnings) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, _) => format!("nothing is wrong, {}", Count(warnings, "warning")),
        (_, 0) => Count(errors, "error").to_string(),
        _ => format!("{}, {}", Count(errors, "error"), Count(warnings, "warning")),
    };
    let unproven = match report.unproven {
        0 => String::new(),
        count => format!(
            "; of {} no checksum could be compared: `--level {}` reads them",
            Count(count, "object"),
            Level::Content.word()
        ),
    };
    let total = audited.snapshots.len();
    let whole = audited.snapshots.iter().filter(|verdict| verdict.restorable).count();
    let snapshots = if total > 0 {
        format!("; {whole} of {} restorable whole", Count(total as u64, "snapshot"))
    } else {
        String::new()
    };
    let broken_off = if report.error.is_some() { ", and it did not come to its end" } else { "" };
    format!("verdict: {found}{snapshots}{unproven}{broken_off}")
}

fn plural(count: u64, one: &'static str, many: &str) -> String {
    if count == 1 { Count(1, one).to_string() } else { Count(count, one).to_string().replace(&format!("{one}s"), many) }
}

/// Names come from the repository; what would move the cursor is shown as it is written.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
