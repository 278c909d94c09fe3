//! `snapferry plan`, which is also `snapferry sync --dry-run`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, Write as _};
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::SerializeSeq as _;

use super::Session;
use super::args::{Copying, RepositoryFlags};
use super::ends::{Ends, Requests, prepare};
use super::exit::{self, Outcome};
use super::output::{Bytes, Count, Output};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::End;
use crate::ops::plan::{PlanReport, PlannedCopy, Sized, run};
use crate::ops::sync::LeftOut;
use crate::transfer::{Spool, Totals};

/// Show what a sync would do, without doing it
///
/// Takes the flags of `sync`. Reads the metadata of repositories, lists plain places on both sides; writes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    #[command(flatten)]
    ends: Ends,
    #[command(flatten)]
    copying: Copying,
    #[command(flatten)]
    repository: RepositoryFlags,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        show(session, &self.ends, &self.copying, &self.repository).await
    }
}

/// Plans and shows the plan.
pub(super) async fn show(
    session: &Session,
    ends: &Ends,
    copying: &Copying,
    repository: &RepositoryFlags,
) -> Result<Outcome> {
    let (from, to, options) = prepare(session, ends, copying, Some(repository)).await?;
    let begun = Instant::now();
    let report = run(&from, &to, &options, session.output.clone(), session.cancel.clone()).await?;
    session.output.end_progress();
    let document = PlanDocument::new(&from, &to, report, begun.elapsed())?;
    if session.output.is_json() {
        session.output.document(&document)?;
    } else {
        document.print(&session.output)?;
    }
    Ok(Outcome::Done)
}

/// What a sync would do, as `--json` shows it. Fields are added, never renamed.
#[derive(Serialize)]
struct PlanDocument {
    command: &'static str,
    outcome: &'static str,
    mode: &'static str,
    generation: Option<u64>,
    from: String,
    to: String,
    copy: Lines<PlannedCopy>,
    skip: SkipDocument,
    extra: Lines<Sized>,
    /// Nothing is refused any more.
    refuse: Lines<Sized>,
    retires: bool,
    left_out: Vec<LeftOut>,
    unlisted: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    surplus: Option<Totals>,
    totals: PlanTotals,
    requests: Requests,
    elapsed_seconds: f64,
}

#[derive(Serialize)]
struct SkipDocument {
    #[serde(flatten)]
    totals: Totals,
    reasons: BTreeMap<&'static str, Totals>,
}

#[derive(Serialize)]
struct PlanTotals {
    copy: Totals,
    skip: Totals,
    extra: Totals,
}

impl PlanDocument {
    fn new(from: &End, to: &End, report: PlanReport, took: Duration) -> Result<Self> {
        let summary = report.summary;
        Ok(Self {
            command: "plan",
            outcome: Outcome::Done.word(),
            mode: report.mode,
            generation: report.generation,
            from: from.location.to_string(),
            to: to.location.to_string(),
            copy: Lines::new(report.copy)?,
            skip: SkipDocument { totals: summary.skipped, reasons: summary.reasons },
            extra: Lines::new(report.extra)?,
            refuse: Lines::new(Spool::default())?,
            retires: report.retires,
            left_out: report.left_out,
            unlisted: report.unlisted,
            surplus: report.surplus,
            totals: PlanTotals { copy: report.copied, skip: summary.skipped, extra: summary.extra },
            requests: Requests::of(from, to),
            elapsed_seconds: took.as_secs_f64(),
        })
    }

    fn print(&self, output: &Output) -> Result<()> {
        let what = self
            .generation
            .map_or_else(|| "plain objects".to_owned(), |generation| format!("repository at generation {generation}"));
        output.line(&format!("{} → {}: {what}", self.from, self.to))?;
        for planned in self.copy.read()? {
            let PlannedCopy { key, bytes, phase, reason } = planned?;
            output.line(&format!("  copy   {:>10}  {phase:<8}  {reason:<7}  {key}", Bytes(bytes).to_string()))?;
        }
        for LeftOut { name, reason, .. } in &self.left_out {
            output.line(&format!("  leave out the snapshot `{name}`: {reason}"))?;
        }
        for name in &self.unlisted {
            output.line(&format!("  unlist the snapshot `{name}`: its data stays until `prune`"))?;
        }
        if let Some(surplus) = &self.surplus {
            let (objects, bytes) = (Count(surplus.objects, "object"), Bytes(surplus.bytes));
            output.line(&format!("  delete {objects} ({bytes}) that no snapshot of the target's newest root needs, and what only unlisted ones need"))?;
        }
        if self.retires {
            output.line("  first a root without the snapshots that the source has no more: data under their names is to be replaced")?;
        }
        let counted = |totals: &Totals| format!("{} ({})", Count(totals.objects, "object"), Bytes(totals.bytes));
        if self.totals.copy.objects == 0 {
            output.line(&format!("nothing to copy: {} up to date", counted(&self.totals.skip)))?;
        } else {
            output.line(&format!(
                "to copy: {}; to skip: {}",
                counted(&self.totals.copy),
                counted(&self.totals.skip)
            ))?;
        }
        if self.totals.extra.objects > 0 {
            output.line(&format!("only at the target, left alone: {}", counted(&self.totals.extra)))?;
        }
        Ok(())
    }
}

/// A list as long as it likes, kept as lines of JSON in a temporary file without a name until it is shown.
pub(super) struct Lines<T> {
    file: std::fs::File,
    entry: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> Lines<T> {
    fn new(spool: Spool<T>) -> Result<Self> {
        Self::from_entries(spool.into_entries())
    }

    /// Keeps entries as they come.
    pub(super) fn from_entries(entries: impl Iterator<Item = Result<T>>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Unavailable, "keep the plan in a temporary file").from_source(error)
        };
        let mut file = BufWriter::new(tempfile::tempfile().map_err(failed)?);
        for entry in entries {
            serde_json::to_writer(&mut file, &entry?).map_err(|error| failed(error.into()))?;
            file.write_all(b"\n").map_err(failed)?;
        }
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        Ok(Self { file, entry: PhantomData })
    }

    pub(super) fn read(&self) -> Result<impl Iterator<Item = Result<T>>> {
        let failed =
            |error: std::io::Error| Error::new(ErrorKind::Unavailable, "read the plan back").from_source(error);
        let mut file = self.file.try_clone().map_err(failed)?;
        file.rewind().map_err(failed)?;
        Ok(BufReader::new(file)
            .lines()
            .map(move |line| serde_json::from_str(&line.map_err(failed)?).map_err(|error| failed(error.into()))))
    }
}

impl<T: Serialize + DeserializeOwned> Serialize for Lines<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for entry in self.read().map_err(serde::ser::Error::custom)? {
            list.serialize_element(&entry.map_err(serde::ser::Error::custom)?)?;
        }
        list.end()
    }
}
