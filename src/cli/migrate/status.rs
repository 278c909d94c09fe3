//! `snapferry migrate status`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::job::journal;
use super::{round, told};
use crate::cli::Session;
use crate::cli::exit::Outcome;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::migrate::{Document, Round, State, Step, look};

/// Where a migration is.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The job
    job: String,
    /// The journal [default: as for a round]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Write the report to this file, as HTML, and beside it as JSON
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

#[derive(Serialize)]
struct StatusDocument<'a> {
    command: &'static str,
    outcome: &'static str,
    journal: String,
    next: Option<Step>,
    report: &'a Document,
}

impl Args {
    pub(super) fn run(&self, session: &Session) -> Result<Outcome> {
        self.report.as_deref().map_or(Ok(()), round::must_be_page)?;
        let section = session.config.job(&self.job)?.unwrap_or_default();
        let path = journal(&self.job, self.journal.as_deref().or(section.journal.as_deref()))?;
        let state: State = look(&path)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("show the migration `{}`", self.job))
                .because(format!("there is no journal at `{}`", path.display()))
                .hint(format!("`migrate baseline {}` begins one", self.job))
        })?;
        let document = Document::new(&self.job, section.outage, &state, Timestamp::now());
        let next = state.open().and_then(Round::next);
        for line in told::status(&state, &document) {
            session.output.line(&line)?;
        }
        if session.output.is_json() {
            let (outcome, journal) = (Outcome::Done.word(), path.display().to_string());
            session.output.document(&StatusDocument {
                command: "migrate status",
                outcome,
                journal,
                next,
                report: &document,
            })?;
        }
        if let Some(path) = &self.report {
            round::write(path, &document)?;
        }
        Ok(Outcome::Done)
    }
}
