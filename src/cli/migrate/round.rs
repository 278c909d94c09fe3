//! `snapferry migrate baseline` and `snapferry migrate increment`; and what every round has in common.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::job::{JobFlags, Opened};
use super::told;
use crate::cli::cluster::connect;
use crate::cli::exit::Outcome;
use crate::cli::{ErrorDocument, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::migrate::{Document, Job, Phase, Preview, Progress, RoundEnd, Sides, State, advance, html, preview};

/// A round.
#[derive(Debug, clap::Args)]
pub(super) struct Rounding {
    #[command(flatten)]
    pub(super) flags: JobFlags,
    /// Say what the round would do, and change nothing
    #[arg(long = "dry-run")]
    pub(super) preview: bool,
}

/// Whether a round may begin, or only go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It may begin.
    Any,
    /// It must have been interrupted.
    Resume,
}

/// What a round did, as `--json` shows it. Fields are added, never renamed.
#[derive(Serialize)]
struct RoundDocument<'a> {
    command: String,
    outcome: &'static str,
    report: &'a Document,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
}

/// What a round would do.
#[derive(Serialize)]
struct PreviewDocument<'a> {
    command: String,
    outcome: &'static str,
    preview: &'a Preview,
}

impl Rounding {
    pub(super) async fn run(&self, session: &Session, phase: Phase, start: Start) -> Result<Outcome> {
        let opened = self.flags.open(session).await?;
        perform(session, &opened, phase, start, self.preview).await
    }
}

/// Does a round, or says what it would do.
pub(super) async fn perform(
    session: &Session,
    opened: &Opened,
    phase: Phase,
    start: Start,
    is_preview: bool,
) -> Result<Outcome> {
    let Opened { job, from, to, from_cluster, to_cluster, report } = opened;
    let source = connect(session, from_cluster).await?;
    let target = connect(session, to_cluster).await?;
    let sides = Sides { from, to, source: &source, target: &target };
    let command = match phase {
        Phase::Rollback => "migrate cutover".to_owned(),
        phase => format!("migrate {phase}"),
    };
    if is_preview {
        let found = preview(job, &sides, phase).await?;
        session.output.end_progress();
        for line in told::preview(job, &found) {
            session.output.line(&line)?;
        }
        if session.output.is_json() {
            let outcome = Outcome::Done.word();
            session.output.document(&PreviewDocument { command, outcome, preview: &found })?;
        }
        return Ok(Outcome::Done);
    }
    let resume = start == Start::Resume;
    let progress = advance(job, &sides, phase, resume, session.output.clone(), session.cancel.clone()).await?;
    session.output.end_progress();
    finish(session, job, command, progress, report.as_deref())
}

fn finish(session: &Session, job: &Job, command: String, progress: Progress, report: Option<&Path>) -> Result<Outcome> {
    let Progress { state, error } = progress;
    let document = Document::new(&job.name, job.outage, &state, Timestamp::now());
    let outcome = outcome(&state, error.as_ref());
    let is_unchanged = state.last().is_some_and(|round| round.end == Some(RoundEnd::Unchanged));
    if session.output.is_json() {
        let error = error.as_ref().map(ErrorDocument::new);
        session.output.document(&RoundDocument { command, outcome: outcome.word(), report: &document, error })?;
    } else if !is_unchanged {
        for line in told::round(&state, &document) {
            session.output.line(&line)?;
        }
    }
    if let Some(error) = &error {
        session.output.error(error);
    }
    if let Some(path) = report.filter(|_| !is_unchanged) {
        write(path, &document)?;
        session.output.note(&format!("the report is in `{}`, and as JSON beside it", path.display()));
    }
    Ok(outcome)
}

fn outcome(state: &State, error: Option<&Error>) -> Outcome {
    match (error, state.last().and_then(|round| round.end)) {
        (Some(error), _) => Outcome::of(error),
        (None, Some(RoundEnd::Different)) => Outcome::Failures,
        (None, _) => Outcome::Done,
    }
}

/// Refuses a name for the report that is none of a page: what has it may be a configuration or a journal.
pub(super) fn must_be_page(path: &Path) -> Result<()> {
    let is_page =
        path.extension().is_some_and(|end| end.eq_ignore_ascii_case("html") || end.eq_ignore_ascii_case("htm"));
    if is_page {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, format!("write the report to `{}`", path.display()))
        .because("its name does not end in `.html`, and a file that is no report would be overwritten")
        .hint("name it `REPORT.html`; as JSON it comes beside it"))
}

/// Writes the report, for people and for programs.
pub(super) fn write(path: &Path, document: &Document) -> Result<()> {
    must_be_page(path)?;
    let beside = path.with_extension("json");
    let json = serde_json::to_vec_pretty(document).map_err(std::io::Error::from);
    for (path, bytes) in [(path, Ok(html(document).into_bytes())), (&beside, json)] {
        bytes.and_then(|bytes| std::fs::write(path, bytes)).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("write the report to `{}`", path.display())).from_source(error)
        })?;
    }
    Ok(())
}
