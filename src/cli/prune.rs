//! `snapferry prune`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::{duration, share};
use super::exit::{self, Outcome};
use super::output::{Bytes, Count, Output, elapsed};
use super::plan::Lines;
use super::{ErrorDocument, Session, open};
use crate::error::Result;
use crate::event::Reporter;
use crate::ops::End;
use crate::ops::prune::{Options, Preview, Report, preview, run};
use crate::repo::surplus::{SurplusKind, SurplusObject};
use crate::store::Access;
use crate::transfer::{Failure, Totals};

/// Delete what a copy no longer needs
///
/// Compares the newest root of a repository with the older ones beside it, and deletes what only snapshots needed that the newest no
/// longer lists: their data, their metadata, at last the older roots themselves but for one. An object that no root ever named is never
/// touched, and nothing is deleted unless everything that the newest root needs could be read.
///
/// It is for copies that `sync` keeps: a cluster deletes the snapshots of a repository that it writes to itself. Stopped at any moment
/// and run again, it ends in the same place.
///
/// For example `snapferry prune s3://copy/es --dry-run`, then `snapferry prune s3://copy/es`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    /// The copy: `s3://bucket/prefix`, `file:///absolute/path`, or the name of a configured store, with an optional path behind it
    target: String,
    /// How old the newest root must be, so that no restore still follows an older one: `90s`, `10m`, `2h`. What is left of it is waited for
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    grace: Duration,
    /// The share of the copy's objects that may go; if it is more, nothing is deleted
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = share)]
    max_share: u8,
    /// Only show what would be deleted
    #[arg(long)]
    dry_run: bool,
}

/// What a prune did or would do, as `--json` shows it. Fields are added, never renamed.
#[derive(Serialize)]
struct Document {
    command: &'static str,
    outcome: &'static str,
    dry_run: bool,
    location: String,
    generation: Option<u64>,
    previous_generation: Option<u64>,
    snapshots: Vec<SnapshotDocument>,
    surplus: Totals,
    surplus_kinds: BTreeMap<SurplusKind, Totals>,
    deleted: Totals,
    deleted_kinds: BTreeMap<SurplusKind, Totals>,
    /// At least so many.
    kept_objects: u64,
    within_share: bool,
    waited_seconds: f64,
    failed: FailedDocument,
    /// Only with `--dry-run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<Lines<ObjectDocument>>,
    requests: BTreeMap<&'static str, u64>,
    elapsed_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
    #[serde(skip)]
    ended: Outcome,
    #[serde(skip)]
    took: Duration,
}

#[derive(Serialize)]
struct SnapshotDocument {
    name: String,
    uuid: String,
}

#[derive(Serialize)]
struct FailedDocument {
    objects: u64,
    list: Vec<Failure>,
}

#[derive(Serialize, serde::Deserialize)]
struct ObjectDocument {
    kind: SurplusKind,
    #[serde(flatten)]
    object: SurplusObject,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let retry = session.config.transfer().retry;
        let options = Options { grace: self.grace, max_share: self.max_share, retry };
        let access = if self.dry_run { Access::Read } else { Access::Write };
        let end = open(session, &session.config.place(&self.target)?, access).await?;
        let reporter: Arc<dyn Reporter> = session.output.clone();
        let begun = Instant::now();
        let (document, error) = if self.dry_run {
            let found = preview(&end, &options, &reporter, &session.cancel).await?;
            (Document::planned(&end, found, begun.elapsed())?, None)
        } else {
            let mut report = run(&end, &options, &reporter, &session.cancel).await;
            let error = report.error.take();
            (Document::done(&end, report, error.as_ref(), begun.elapsed()), error)
        };
        session.output.end_progress();
        if session.output.is_json() {
            session.output.document(&document)?;
        } else {
            document.print(&session.output)?;
        }
        if let Some(error) = error {
            session.output.error(&error);
        }
        Ok(document.ended)
    }
}

impl Document {
    fn planned(end: &End, mut found: Preview, took: Duration) -> Result<Self> {
        let mut lines = Vec::new();
        for kind in SurplusKind::ALL {
            let objects = found.surplus.take(kind).into_entries();
            lines.push(objects.map(move |object| object.map(|object| ObjectDocument { kind, object })));
        }
        let surplus = found.surplus.totals().clone();
        let report = Report {
            generation: Some(found.generation),
            previous: found.previous,
            snapshots: found.surplus.snapshots,
            surplus,
            kept: found.kept,
            ..Report::default()
        };
        let document = Self::done(end, report, None, took);
        let objects = Some(Lines::from_entries(lines.into_iter().flatten())?);
        Ok(Self { dry_run: true, within_share: found.within_share, objects, ..document })
    }

    fn done(end: &End, report: Report, error: Option<&crate::error::Error>, took: Duration) -> Self {
        let ended = error.map_or(Outcome::Done, Outcome::of);
        let snapshots = report.snapshots.iter();
        Self {
            command: "prune",
            outcome: ended.word(),
            dry_run: false,
            location: end.location.to_string(),
            generation: report.generation,
            previous_generation: report.previous,
            snapshots: snapshots
                .map(|(uuid, name)| SnapshotDocument { name: name.as_str().to_owned(), uuid: uuid.as_str().to_owned() })
                .collect(),
            surplus: sum(&report.surplus),
            surplus_kinds: report.surplus,
            deleted: sum(&report.deleted),
            deleted_kinds: report.deleted,
            kept_objects: report.kept,
            within_share: report.within_share,
            waited_seconds: report.waited.as_secs_f64(),
            failed: FailedDocument { objects: report.failed, list: report.failures },
            objects: None,
            requests: end.meter.totals().into_iter().collect(),
            elapsed_seconds: took.as_secs_f64(),
            error: error.map(ErrorDocument::new),
            ended,
            took,
        }
    }

    fn print(&self, output: &Output) -> Result<()> {
        let Some(generation) = self.generation else { return Ok(()) };
        output.line(&format!("{}: repository at generation {generation}", self.location))?;
        for object in self.objects.iter().map(Lines::read).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            let ObjectDocument { kind, object } = object?;
            let size = Bytes(object.bytes).to_string();
            output.line(&format!("  delete {size:>10}  {:<14}  {}", kind.word(), object.key))?;
        }
        let counted = |totals: &Totals| format!("{} ({})", Count(totals.objects, "object"), Bytes(totals.bytes));
        if self.surplus.objects == 0 {
            return output.line(&format!("nothing to delete, in {}", elapsed(self.took)));
        }
        let snapshots = match self.snapshots.len() {
            0 => String::new(),
            count => format!(" of {}", Count(count as u64, "snapshot")),
        };
        if self.dry_run {
            output.line(&format!("to delete: {}{snapshots}", counted(&self.surplus)))?;
            if !self.within_share {
                output.line(
                    "that is a larger share of the copy than `--max-share` allows: as it is, nothing would be deleted",
                )?;
            }
            return Ok(());
        }
        output.line(&format!("deleted {}{snapshots} in {}", counted(&self.deleted), elapsed(self.took)))?;
        if self.failed.objects > 0 {
            output.line(&format!("failed {}", Count(self.failed.objects, "object")))?;
        }
        Ok(())
    }
}

fn sum(kinds: &BTreeMap<SurplusKind, Totals>) -> Totals {
    kinds.values().fold(Totals::default(), |sum, totals| Totals {
        objects: sum.objects + totals.objects,
        bytes: sum.bytes + totals.bytes,
    })
}
