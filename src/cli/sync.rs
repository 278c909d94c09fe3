//! `snapferry sync`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::args::{Copying, RepositoryFlags};
use super::ends::{Ends, Requests, prepare};
use super::exit::{self, Outcome};
use super::output::{Bytes, Count, Output, elapsed};
use super::{ErrorDocument, Session, plan};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::End;
use crate::ops::sync::{LeftOut, Report, RootState, run};
use crate::store::wrap::LimitSnapshot;
use crate::transfer::{Failure, Integrity, Spool, Totals};

/// Copy what the target lacks
///
/// A location whose root holds `index-<N>` is a snapshot repository: its data is copied first, then its metadata, and its root
/// last, only if the source still has every snapshot that it names. Anything else is copied as plain objects. Killed at any moment and run
/// again, a sync ends in the same place. Nothing is deleted unless `--prune` or
/// `--delete-extra` asks for it.
///
/// For example `snapferry sync s3://backup/es file:///mnt/copy`, or `snapferry sync aws/es minio/es --json`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct SyncArgs {
    #[command(flatten)]
    ends: Ends,
    #[command(flatten)]
    copying: Copying,
    /// Only show what would be done, like `plan`
    #[arg(long)]
    dry_run: bool,
    /// Write what could not be copied to this file, one JSON object a line; `--keys-from` reads it
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,
    #[command(flatten)]
    repository: RepositoryFlags,
}

impl SyncArgs {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        if self.dry_run {
            return plan::show(session, &self.ends, &self.copying, &self.repository).await;
        }
        let (from, to, options) = prepare(session, &self.ends, &self.copying, Some(&self.repository)).await?;
        let failures = self.failures.as_deref().map(FailuresFile::new).transpose()?;
        let begun = Instant::now();
        let mut report = run(&from, &to, &options, session.output.clone(), session.cancel.clone()).await;
        session.output.end_progress();
        let document = SyncDocument::new(&from, &to, &mut report, begun.elapsed(), failures)?;
        finish(&session.output, &document, report.error.as_ref())
    }
}

/// Tells how a sync ended.
pub(super) fn finish(output: &Output, document: &SyncDocument, error: Option<&Error>) -> Result<Outcome> {
    if output.is_json() {
        output.document(document)?;
    } else {
        for line in document.lines() {
            output.line(&line)?;
        }
    }
    if let Some(error) = error {
        output.error(error);
    }
    Ok(document.ended)
}

/// The failures that a document names one by one; all are in the file.
const LISTED: usize = 1000;

/// What a sync did, as `--json` shows it. Fields are added, never renamed.
#[derive(Debug, Serialize)]
pub(super) struct SyncDocument {
    command: &'static str,
    outcome: &'static str,
    mode: Option<&'static str>,
    generation: Option<u64>,
    root: Option<RootState>,
    rounds: u32,
    from: String,
    to: String,
    copied: Totals,
    skipped: Totals,
    skipped_reasons: BTreeMap<&'static str, Totals>,
    failed: FailedDocument,
    extra: Totals,
    deleted: Totals,
    snapshots: Option<u64>,
    left_out: Vec<LeftOut>,
    integrity: Integrity,
    requests: Requests,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    elapsed_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
    #[serde(skip)]
    pub(super) ended: Outcome,
    #[serde(skip)]
    elapsed: Duration,
}

/// How many requests each side turned out to bear.
#[derive(Debug, Serialize)]
struct Limits {
    from: LimitSnapshot,
    to: LimitSnapshot,
}

#[derive(Debug, Serialize)]
struct FailedDocument {
    #[serde(flatten)]
    totals: Totals,
    list: Vec<Failure>,
}

impl SyncDocument {
    pub(super) fn new(
        from: &End,
        to: &End,
        report: &mut Report,
        took: Duration,
        failures: Option<FailuresFile>,
    ) -> Result<Self> {
        let ended = match &report.error {
            Some(error) => Outcome::of(error),
            None if report.summary.failed.objects > 0 => Outcome::Failures,
            None => Outcome::Done,
        };
        let list = keep(std::mem::take(&mut report.summary.failures), failures)?;
        let summary = &report.summary;
        Ok(Self {
            command: "sync",
            outcome: ended.word(),
            mode: report.mode,
            generation: report.generation,
            root: report.root,
            rounds: report.rounds,
            from: from.location.to_string(),
            to: to.location.to_string(),
            copied: summary.copied,
            skipped: summary.skipped,
            skipped_reasons: summary.reasons.clone(),
            failed: FailedDocument { totals: summary.failed, list },
            extra: summary.extra,
            deleted: summary.deleted,
            snapshots: report.snapshots,
            left_out: report.left_out.clone(),
            integrity: summary.integrity.clone(),
            requests: Requests::of(from, to),
            limits: report.limits.map(|[from, to]| Limits { from, to }),
            elapsed_seconds: took.as_secs_f64(),
            error: report.error.as_ref().map(ErrorDocument::new),
            ended,
            elapsed: took,
        })
    }

    /// The same for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let what = match (self.mode, self.generation) {
            (Some(_), Some(generation)) => format!("repository at generation {generation}"),
            (Some(mode), None) => format!("{mode} objects"),
            (None, _) => return lines,
        };
        lines.push(format!("{} → {}: {what}", self.from, self.to));
        let counted = |totals: &Totals| format!("{} ({})", Count(totals.objects, "object"), Bytes(totals.bytes));
        if self.copied.objects == 0 && self.failed.totals.objects == 0 && self.ended == Outcome::Done {
            let what = match self.snapshots {
                Some(snapshots) => Count(snapshots, "snapshot").to_string(),
                None => counted(&self.skipped),
            };
            lines.push(format!("nothing to copy: {what} up to date, in {}", elapsed(self.elapsed)));
        } else {
            let rate = self.copied.bytes as f64 / self.elapsed.as_secs_f64().max(0.001);
            lines.push(format!(
                "copied {} in {} ({:.1} MiB/s)",
                counted(&self.copied),
                elapsed(self.elapsed),
                rate / 1_048_576.0
            ));
            lines.push(format!("skipped {}", counted(&self.skipped)));
        }
        if self.failed.totals.objects > 0 {
            lines.push(format!("failed {}", counted(&self.failed.totals)));
        }
        for LeftOut { name, reason, .. } in &self.left_out {
            lines.push(format!("left out the snapshot `{name}`: {reason}"));
        }
        if let Some(proof) = proof(&self.integrity) {
            lines.push(proof);
        }
        if self.deleted.objects > 0 {
            let what = if self.generation.is_some() { "no snapshot needs" } else { "the source does not have" };
            lines.push(format!("deleted {} that {what}", counted(&self.deleted)));
        } else if self.extra.objects > 0 {
            lines.push(format!("left alone {} that only the target has", counted(&self.extra)));
        }
        match self.root {
            Some(RootState::Published) => lines.push(format!("published generation {}", self.generation.unwrap_or(0))),
            Some(RootState::HeldBack | RootState::Untouched) => {
                lines.push("the target's root was left as it was".to_owned());
            }
            Some(RootState::Unchanged) | None => {}
        }
        lines
    }
}

/// "proven by: md5 12 objects, length 3 objects at the source; …".
fn proof(integrity: &Integrity) -> Option<String> {
    let side = |proofs: &BTreeMap<&'static str, u64>| {
        proofs.iter().map(|(proof, objects)| format!("{proof} {objects}")).collect::<Vec<_>>().join(", ")
    };
    let (source, target) = (side(&integrity.source), side(&integrity.target));
    let content = integrity.content.get("lucene").map(|objects| format!("; with Lucene's own checksums {objects}"));
    let content = content.unwrap_or_default();
    (!source.is_empty()).then(|| format!("checked with the source by {source}; with the target by {target}{content}"))
}

/// Writes all failures to the file, and gives the first ones for the document.
fn keep(failures: Spool<Failure>, file: Option<FailuresFile>) -> Result<Vec<Failure>> {
    let mut list = Vec::new();
    let mut file = file;
    for failure in failures.into_entries() {
        let failure = failure?;
        if let Some(file) = &mut file {
            file.push(&failure)?;
        }
        if list.len() < LISTED {
            list.push(failure);
        }
    }
    file.map(FailuresFile::finish).transpose()?;
    Ok(list)
}

/// The file of `--failures`: put in place whole at the end, so that a run that reads it as its list may write it again.
pub(super) struct FailuresFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl FailuresFile {
    pub(super) fn new(path: &Path) -> Result<Self> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(directory).map_err(|error| Self::failed(path, error))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    fn failed(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::new(ErrorKind::Invalid, format!("write the failures to `{}`", path.display())).from_source(error)
    }

    fn push(&mut self, failure: &Failure) -> Result<()> {
        let written = serde_json::to_writer(&mut self.file, failure).map_err(std::io::Error::from);
        written.and_then(|()| self.file.write_all(b"\n")).map_err(|error| Self::failed(&self.path, error))
    }

    fn finish(self) -> Result<()> {
        let file = self.file.into_inner().map_err(|error| Self::failed(&self.path, error.into_error()))?;
        file.persist(&self.path).map_err(|error| Self::failed(&self.path, error.error))?;
        Ok(())
    }
}
