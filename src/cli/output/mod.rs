//! The only writer to stdout and stderr. Data goes to stdout, everything else to stderr; with `--json` stdout gets exactly one
//! document, at the end.

mod human;
mod progress;

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;

pub(super) use self::human::{Bytes, Count, elapsed};
use self::progress::Progress;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// How to talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Text for people.
    Text,
    /// One JSON document.
    Json,
}

/// How lines on stderr are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum LogFormat {
    /// As people read them.
    #[default]
    Text,
    /// One JSON object a line, shaped like those of the log.
    Json,
}

/// Where everything the user reads goes through.
#[derive(Debug)]
pub(super) struct Output {
    format: Format,
    log: LogFormat,
    quiet: bool,
    bar: Option<ProgressBar>,
    progress: Mutex<Progress>,
}

/// Failures shown one by one; beyond, they are only counted.
const FAILURES_SHOWN: u64 = 20;

impl Output {
    pub(super) fn new(format: Format, log: LogFormat, quiet: bool) -> Arc<Self> {
        let terminal = io::stderr().is_terminal() && !quiet && log == LogFormat::Text;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(
                indicatif::ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is valid"),
            );
            bar
        });
        Arc::new(Self { format, log, quiet, bar, progress: Mutex::new(Progress::new(terminal)) })
    }

    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Nothing but errors is to be said on stderr.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A line of data for people; nothing with `--json`.
    pub(super) fn line(&self, text: &str) -> Result<()> {
        if self.is_json() { Ok(()) } else { self.stdout(|out| writeln!(out, "{text}")) }
    }

    /// The document.
    pub(super) fn document(&self, document: &impl Serialize) -> Result<()> {
        self.stdout(|out| {
            serde_json::to_writer_pretty(&mut *out, document)?;
            writeln!(out)
        })
    }

    fn stdout(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let work = || {
            let mut out = io::BufWriter::new(io::stdout().lock());
            write(&mut out).and_then(|()| out.flush())
        };
        let written = match &self.bar {
            Some(bar) => bar.suspend(work),
            None => work(),
        };
        match written {
            // Whoever reads us has seen enough: that is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|error| Error::new(ErrorKind::Invalid, "write to stdout").from_source(error)),
        }
    }

    /// A line about how things go, unless `--quiet`.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr("INFO", text);
        }
    }

    /// An error in three lines, whatever the flags.
    pub(super) fn error(&self, error: &Error) {
        let mut text = format!("error: cannot {}", error.doing());
        match error.cause() {
            Some(cause) => text.push_str(&format!("\n  cause: {cause}")),
            None => text.push_str(&format!("\n  cause: {}", error.kind().word())),
        }
        if let Some(hint) = error.advice() {
            text.push_str(&format!("\n  hint: {hint}"));
        }
        self.stderr("ERROR", &text);
    }

    fn stderr(&self, level: &str, text: &str) {
        let line = match self.log {
            LogFormat::Text => text.to_owned(),
            LogFormat::Json => serde_json::json!({
                "timestamp": jiff::Timestamp::now().to_string(),
                "level": level,
                "fields": { "message": text },
                "target": "snapferry",
            })
            .to_string(),
        };
        // There is nobody to tell that stderr is closed.
        let work = || drop(writeln!(io::stderr().lock(), "{line}"));
        match &self.bar {
            Some(bar) => bar.suspend(work),
            None => work(),
        }
    }

    /// Takes the progress display away.
    pub(super) fn end_progress(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Reporter for Output {
    fn report(&self, event: &Event<'_>) {
        match event {
            Event::Copied { key, bytes } => tracing::debug!(key, bytes, "copied"),
            Event::Skipped { key, reason } => tracing::trace!(key, reason, "skipped"),
            // As many as there are requests: never worth a lock.
            Event::Request { store, request, status, bytes, time } => {
                tracing::trace!(store, request, status, bytes, ?time, "request");
                return;
            }
            Event::Checked { key, bytes } => tracing::debug!(key, bytes, "checked"),
            Event::Deleted { key } => tracing::debug!(key, "deleted"),
            Event::Phase(phase) => tracing::debug!(phase, "phase"),
            _ => {}
        }
        let told = self.progress.lock().unwrap_or_else(PoisonError::into_inner).take(event);
        if let Some(line) = told.line {
            self.note(&line);
        }
        if let (Some(status), false) = (told.status, self.quiet) {
            match &self.bar {
                Some(bar) => bar.set_message(status),
                None => self.stderr("INFO", &status),
            }
        }
        if let (Event::Phase(_) | Event::Step(_), Some(bar)) = (event, &self.bar) {
            bar.enable_steady_tick(std::time::Duration::from_millis(120));
        }
    }
}
