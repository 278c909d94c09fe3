//! `snapferry compare`.

use std::fs;
use std::io::{ErrorKind as IoErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::Session;
use super::cluster::connect;
use super::exit::{self, Outcome};
use super::output::{Count, Output};
use crate::elastic::Client;
use crate::elastic::conflict::Piece;
use crate::elastic::numbers::Settle;
use crate::elastic::rename::Rename;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::compare::{
    Asked, CaptureOptions, Captured, Difference, IndexVerification, Level, LevelVerdict, Verdict, Verification,
    Verifying, capture, choose, verify_as,
};

/// Compare the indices of two clusters, and say what that proves
///
/// Each level does what those below it do: 0 every primary is started; 1 as many documents; 2 the same numbers of documents and
/// the same last write in every shard; 3 a sample of the documents, field by field; 4 mappings, settings and aliases.
///
/// A source that is still written is told as `moving` (exit code 5), never as equal, also when its numbers happen to agree.
/// Something different makes the exit code 4, something that one side does not tell makes it 3.
///
/// With `--capture-only` the numbers of the source are written to a file, for example behind a write block and before the last
/// snapshot; with `--captured` they are compared with later, when the source may be gone (`-`) or written again.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    /// The cluster that holds the source: a URL or the name of an `[elastic.<name>]` section; `-` with `--captured` if it is not at hand
    from: String,
    /// The cluster to hold against it
    #[arg(required_unless_present = "capture_only")]
    to: Option<String>,
    /// The source's indices: names, aliases, patterns and exclusions, separated by commas [default: all open ones whose names do not begin with a dot, or what was captured]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true)]
    indices: Vec<String>,
    /// The slip of many guides
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true, hide = true)]
    indexes: Vec<String>,
    /// A regular expression; each match in an index name is replaced by `--rename-replacement` to find it on the target
    #[arg(long, value_name = "PATTERN", requires = "rename_replacement")]
    rename_pattern: Option<String>,
    /// What replaces a match; `$1` is its first group
    #[arg(long, value_name = "TEXT", requires = "rename_pattern")]
    rename_replacement: Option<String>,
    /// How thoroughly, from 0 to 4
    #[arg(long, value_name = "0..4", default_value = "2", value_parser = level)]
    level: Level,
    /// Documents sampled from each index, at level 3; one that holds no more is compared whole
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    samples: u32,
    /// Flush the source's indices before their numbers are read: they are then those of a snapshot taken now
    #[arg(long)]
    flush: bool,
    /// The pause in seconds after which the source's numbers are read a second time, to see whether they move
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    pause: u64,
    /// A setting that the target was given on purpose, by name or pattern (`index.number_of_replicas`)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    expect_setting: Vec<String>,
    /// Compare with the numbers in this file
    #[arg(long, value_name = "FILE", conflicts_with = "capture_only")]
    captured: Option<PathBuf>,
    /// Write the source's numbers to this file, and compare nothing
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    capture_only: Option<PathBuf>,
}

fn level(text: &str) -> std::result::Result<Level, String> {
    let number: u8 = text.parse().map_err(|_| "write a number from 0 to 4".to_owned())?;
    Level::try_from(number).map_err(|_| "write a number from 0 to 4".to_owned())
}

#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    from: &'a str,
    to: &'a str,
    #[serde(flatten)]
    verification: &'a Verification,
}

#[derive(Serialize)]
struct CaptureDocument<'a> {
    command: &'static str,
    outcome: &'static str,
    file: String,
    captured: &'a Captured,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        if !self.indexes.is_empty() {
            session.output.note("warning: the word is `indices`; `indexes` is taken for it");
        }
        let work = async {
            let source = match self.from.as_str() {
                "-" => None,
                name => Some(connect(session, name).await?),
            };
            match (&self.capture_only, &self.to) {
                (Some(file), _) => self.capture_into(session, source.as_ref(), file).await,
                (None, Some(to)) => self.compare(session, source.as_ref(), &connect(session, to).await?).await,
                (None, None) => Err(missing("no cluster is given to compare with")),
            }
        };
        tokio::select! {
            biased;
            () = session.cancel.cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "compare the indices").because("a signal asked to stop"))
            }
            outcome = work => outcome,
        }
    }

    fn patterns(&self) -> Vec<String> {
        self.indices.iter().chain(&self.indexes).cloned().collect()
    }

    async fn captured(&self, session: &Session, source: Option<&Client>) -> Result<Captured> {
        let source = source.ok_or_else(|| missing("`-` stands for a source whose numbers are in a file"))?;
        let indices = choose(source, &self.patterns()).await?;
        let options = CaptureOptions {
            level: self.level,
            settle: if self.flush { Settle::Flush } else { Settle::Refresh },
            pause: Duration::from_secs(self.pause),
            samples: self.samples,
        };
        capture(source, &indices, &options, session.output.as_ref()).await
    }

    async fn capture_into(&self, session: &Session, source: Option<&Client>, file: &Path) -> Result<Outcome> {
        let captured = self.captured(session, source).await?;
        write(file, &captured)?;
        session.output.end_progress();
        let moving = captured.indices.values().filter(|index| index.is_moving).count();
        let outcome = if moving > 0 { Outcome::Moving } else { Outcome::Done };
        session.output.line(&format!(
            "captured {} at level {} into `{}`",
            indices(captured.indices.len()),
            captured.level,
            file.display()
        ))?;
        for (name, _) in captured.indices.iter().filter(|(_, index)| index.is_moving) {
            session.output.line(&format!("  {name} is being written: nothing can be proved by its numbers"))?;
        }
        if session.output.is_json() {
            session.output.document(&CaptureDocument {
                command: "compare",
                outcome: outcome.word(),
                file: file.display().to_string(),
                captured: &captured,
            })?;
        }
        Ok(outcome)
    }

    async fn compare(&self, session: &Session, source: Option<&Client>, target: &Client) -> Result<Outcome> {
        let captured = match &self.captured {
            Some(file) => read(file)?,
            None => self.captured(session, source).await?,
        };
        let pieces = self.pieces(&captured)?;
        let mut asked = Asked::default();
        asked.changed_settings.extend(self.expect_setting.iter().cloned());
        let verifying = Verifying { captured: &captured, source, target, pieces: &pieces, level: self.level, asked };
        let verification = verify_as(&verifying, session.output.as_ref()).await?;
        session.output.end_progress();
        let outcome = match verification.verdict {
            Verdict::Equal => Outcome::Done,
            Verdict::Unknown => Outcome::Failures,
            Verdict::Moving => Outcome::Moving,
            Verdict::Different => Outcome::Findings,
        };
        if session.output.is_json() {
            session.output.document(&Document {
                command: "compare",
                outcome: outcome.word(),
                from: &captured.cluster,
                to: target.place(),
                verification: &verification,
            })?;
        } else {
            print(&session.output, &verification)?;
        }
        Ok(outcome)
    }

    /// What was captured and is meant, with the names on the target.
    fn pieces(&self, captured: &Captured) -> Result<Vec<Piece>> {
        let rename = match (&self.rename_pattern, &self.rename_replacement) {
            (Some(pattern), Some(replacement)) => Some(Rename::new(pattern, replacement)?),
            _ => None,
        };
        let names: Vec<String> = captured.indices.keys().cloned().collect();
        let meant = match &self.captured {
            Some(_) if !self.patterns().is_empty() => {
                crate::elastic::selection::select(&self.patterns(), &names, &[])?.indices
            }
            _ => names,
        };
        Ok(meant
            .into_iter()
            .map(|index| {
                let target = rename.as_ref().map_or_else(|| index.clone(), |rename| rename.apply_to_backing(&index));
                Piece { index, target }
            })
            .collect())
    }
}

fn missing(cause: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, "compare the indices").because(cause)
}

fn indices(count: usize) -> String {
    if count == 1 { "1 index".to_owned() } else { format!("{count} indices") }
}

/// Writes the numbers, readable by their owner alone: names of fields and ids may be nobody else's business.
fn write(file: &Path, captured: &Captured) -> Result<()> {
    let doing = || format!("write `{}`", file.display());
    let text = serde_json::to_string_pretty(captured)
        .map_err(|error| Error::new(ErrorKind::Internal, doing()).from_source(error))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| Error::new(ErrorKind::Invalid, doing()).from_source(error);
    // Whole or not at all: a run that ends in between leaves what was there.
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let mut opened = options.open(&beside).map_err(failed)?;
    let written = opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all());
    let moved = written.and_then(|()| fs::rename(&beside, file));
    moved.map_err(|error| {
        drop(fs::remove_file(&beside));
        failed(error)
    })
}

fn read(file: &Path) -> Result<Captured> {
    let doing = || format!("read `{}`", file.display());
    let text = fs::read_to_string(file).map_err(|error| {
        let kind = if error.kind() == IoErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Invalid };
        Error::new(kind, doing()).from_source(error)
    })?;
    Captured::parse(&text).map_err(|error| error.while_doing(doing()))
}

fn print(output: &Output, verification: &Verification) -> Result<()> {
    for index in &verification.indices {
        let mut named = index.index.clone();
        if index.target != index.index {
            named.push_str(&format!(" → {}", index.target));
        }
        output.line(&format!("{named}: {}", index.verdict.word()))?;
        for line in sides(index) {
            output.line(&format!("  {line}"))?;
        }
        for level in &index.levels {
            output.line(&format!("  level {}: {}: {}", level.level, level.verdict.word(), level.proves))?;
            for line in differences(level) {
                output.line(&format!("    {line}"))?;
            }
        }
    }
    output.line(&format!(
        "{}, level {}: {}: {}",
        indices(verification.indices.len()),
        verification.level,
        verification.verdict.word(),
        verification.proves
    ))
}

/// The numbers of both sides beside each other.
fn sides(index: &IndexVerification) -> Vec<String> {
    let text = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let mut lines = vec![format!("{:<12} {:>20} {:>20}", "", "source", "target")];
    lines.push(format!("{:<12} {:>20} {:>20}", "documents", text(index.documents.from), text(index.documents.to)));
    if index.levels.iter().any(|level| level.level == Level::Shards) {
        let shard = |numbers: Option<crate::elastic::numbers::ShardNumbers>| {
            numbers.map_or_else(
                || "-".to_owned(),
                |numbers| match numbers.max_seq_no {
                    Some(last) => format!("{} (to {last})", numbers.documents),
                    None => numbers.documents.to_string(),
                },
            )
        };
        for (number, both) in &index.shards {
            let name = format!("shard {number}");
            lines.push(format!("{name:<12} {:>20} {:>20}", shard(both.from), shard(both.to)));
        }
    }
    lines
}

/// The first differences of a level; the rest is in the JSON.
fn differences(level: &LevelVerdict) -> Vec<String> {
    const SHOWN: usize = 20;
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let line = |difference: &Difference| {
        let asked = if difference.as_asked { " (as asked)" } else { "" };
        format!("{}: {} → {}{asked}", difference.what, side(&difference.from), side(&difference.to))
    };
    let mut lines: Vec<String> = level.differences.iter().take(SHOWN).map(line).collect();
    let more = level.differences_in_all.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("and {}", Count(more, "more difference")));
    }
    lines
}
