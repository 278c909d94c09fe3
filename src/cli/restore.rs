//! `snapferry restore`.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::cluster::connect;
use super::exit::{self, Outcome};
use super::output::{Bytes, Count};
use super::restoring::Restoring;
use super::undo::UndoFile;
use super::{ErrorDocument, Session, open};
use crate::elastic::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::restore::{
    Consent, Entry, Options, Planned, Preview, Recovered, Restored, Undo, Weight, preview, recover, run,
};
use crate::store::Access;

/// Restore a snapshot and follow it until every primary is started
///
/// Everything that speaks against it is collected before anything is changed; `--dry-run` shows that, with the requests it would send.
/// A cluster answers a restore with success when shards failed, and when nothing was restored at all; here both are failures.
///
/// For example `snapferry restore target es-backup latest --location s3://copy/es --dry-run`, then without `--dry-run`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    /// The cluster: a URL or the name of an `[elastic.<name>]` section
    cluster: String,
    /// The repository
    repository: String,
    /// The snapshot, or `latest` for the youngest complete one
    snapshot: String,
    #[command(flatten)]
    restoring: Restoring,
    /// Where the repository itself can be read: it tells versions, sizes and settings of the indices, which no cluster tells
    #[arg(long, value_name = "LOCATION")]
    location: Option<String>,
    /// Another copy of the repository, to bring blobs from that a failed shard misses at `--location`; the shard is then tried again
    #[arg(long, value_name = "LOCATION", requires = "location")]
    repair_from: Option<String>,
    /// The cluster that the snapshot came from: what it has beside its indices and the target lacks is listed
    #[arg(long, value_name = "CLUSTER")]
    from_cluster: Option<String>,
    /// Write down what is changed before it is; run again with the same file, an interrupted restore is taken up and cleared up
    #[arg(long, value_name = "FILE")]
    undo_file: Option<PathBuf>,
    /// Only put back what an interrupted restore left, as `--undo-file` tells it: throttles, closed indices, replicas
    #[arg(long, requires = "undo_file", conflicts_with = "dry_run")]
    put_back: bool,
    /// Only show what would be done and what speaks against it
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Document<'a, T> {
    command: &'static str,
    outcome: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    told: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let mut options = self.restoring.options(&self.repository, &self.snapshot)?;
        let client = connect(session, &self.cluster).await?;
        if let Some(path) = &self.undo_file {
            options.only_same = true;
            if self.dry_run {
                options.left = if path.exists() { UndoFile::look(path)? } else { Undo::default() };
            } else {
                if self.put_back {
                    UndoFile::look(path)?;
                }
                let (file, left) = UndoFile::open(path)?;
                options.left = left;
                options.log = Some(Arc::new(file));
            }
        }
        if self.put_back {
            return self.recover(session, &client, &options).await;
        }
        if let Some(location) = &self.location {
            let access = if self.repair_from.is_some() && !self.dry_run { Access::Write } else { Access::Read };
            options.copy = Some(Arc::new(open(session, &session.config.place(location)?, access).await?));
        }
        if let Some(location) = &self.repair_from {
            options.repair_from = Some(Arc::new(open(session, &session.config.place(location)?, Access::Read).await?));
        }
        if let Some(cluster) = &self.from_cluster {
            options.source = Some(connect(session, cluster).await?);
        }
        if self.dry_run {
            return self.preview(session, &client, &options).await;
        }
        if self.restoring.must_ask() && std::io::stdin().is_terminal() {
            options.delete = self.ask(session, &client, &options).await?;
        }
        let restored = run(&client, &options, session.output.as_ref(), &session.cancel).await?;
        session.output.end_progress();
        for line in lines(&restored) {
            session.output.line(&line)?;
        }
        self.document(session, &restored, None)?;
        Ok(Outcome::Done)
    }

    fn document<T: Serialize>(&self, session: &Session, told: &T, error: Option<&Error>) -> Result<()> {
        if !session.output.is_json() {
            return Ok(());
        }
        let outcome = error.map_or(Outcome::Done, Outcome::of).word();
        let error = error.map(ErrorDocument::new);
        session.output.document(&Document { command: "restore", outcome, dry_run: self.dry_run, told, error })
    }

    async fn preview(&self, session: &Session, client: &Client, options: &Options) -> Result<Outcome> {
        let found = preview(client, options, session.output.as_ref(), &session.cancel).await?;
        session.output.end_progress();
        for line in preview_lines(&found) {
            session.output.line(&line)?;
        }
        let error = found.error();
        self.document(session, &found, error.as_ref())?;
        if let Some(error) = &error {
            session.output.error(error);
        }
        Ok(error.as_ref().map_or(Outcome::Done, Outcome::of))
    }

    async fn recover(&self, session: &Session, client: &Client, options: &Options) -> Result<Outcome> {
        let recovered = recover(client, &options.left).await?;
        let Recovered { opened, replicated, .. } = recovered.clone();
        for entry in [Entry::Lowered, Entry::Opened { indices: opened }, Entry::Replicated { indices: replicated }] {
            options.log.as_ref().map_or(Ok(()), |log| log.record(&entry))?;
        }
        session.output.end_progress();
        for line in recovered_lines(&recovered) {
            session.output.line(&line)?;
        }
        self.document(session, &recovered, None)?;
        Ok(Outcome::Done)
    }

    /// Asks at the terminal before indices are deleted: the number of them is the answer that cannot be given by habit.
    async fn ask(&self, session: &Session, client: &Client, options: &Options) -> Result<Consent> {
        let found = preview(client, options, session.output.as_ref(), &session.cancel).await?;
        session.output.end_progress();
        if found.delete.is_empty() {
            return Ok(Consent::Withheld);
        }
        let count = found.delete.len();
        session.output.note(&format!(
            "to be deleted on `{}`: {}\nthere is no way back. Type `delete {count}` to go on:",
            client.place(),
            found.delete.join(", ")
        ));
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        read.map_err(|error| Error::new(ErrorKind::Invalid, "read the answer").from_source(error))?;
        Ok(if answer.trim() == format!("delete {count}") { Consent::Given } else { Consent::Withheld })
    }
}

/// A restore, told to people.
pub(super) fn lines(restored: &Restored) -> Vec<String> {
    let Restored { repository, snapshot, pieces, shards, bytes, reused_bytes, .. } = restored;
    let mut lines = Vec::new();
    if pieces.is_empty() && !restored.skipped.is_empty() {
        lines.push(format!("nothing restored from `{repository}:{snapshot}`: all of it was there and left alone"));
        return lines;
    }
    lines.push(format!(
        "restored `{repository}:{snapshot}`: {}, {} of {} ({}, of which {} were there)",
        if pieces.len() == 1 { "1 index".to_owned() } else { format!("{} indices", pieces.len()) },
        shards.successful,
        Count(shards.total, "shard"),
        Bytes(*bytes),
        Bytes(*reused_bytes),
    ));
    for piece in pieces {
        let named = if piece.index == piece.target {
            piece.index.clone()
        } else {
            format!("{} → {}", piece.index, piece.target)
        };
        lines.push(format!("  {named}"));
    }
    lines.extend(restored.swapped.iter().map(|(name, index)| format!("`{name}` is an alias of `{index}` now")));
    if !restored.deleted.is_empty() {
        lines.push(format!("deleted: {}", restored.deleted.join(", ")));
    }
    lines.extend(restored.safety_snapshot.iter().map(|name| format!("what was there is in the snapshot `{name}`")));
    if restored.repaired_objects > 0 {
        lines.push(format!("repaired in the repository: {}", Count(restored.repaired_objects, "object")));
    }
    if restored.global_state {
        lines.push("restored the cluster's own state".to_owned());
    }
    for (thing, names) in &restored.missing {
        lines.push(format!("the target lacks {} of the source: {}", thing.word(), names.join(", ")));
    }
    lines
}

fn preview_lines(found: &Preview) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in &found.findings {
        let level = match finding.level {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        lines.push(format!("{level}: {}", finding.line()));
    }
    lines.push(format!("would restore `{}:{}`:", found.repository, found.snapshot));
    lines.extend(found.pieces.iter().map(|piece| format!("  {} → {}", piece.index, piece.target)));
    for (word, names) in [("close", &found.close), ("delete", &found.delete), ("skip", &found.skip)] {
        if !names.is_empty() {
            lines.push(format!("would {word}: {}", names.join(", ")));
        }
    }
    lines.extend(found.swap.iter().map(|(name, index)| format!("would let `{name}` point to `{index}`")));
    lines.extend(found.steps.iter().map(Planned::line));
    lines
}

fn recovered_lines(recovered: &Recovered) -> Vec<String> {
    let mut lines = Vec::new();
    let rows = [
        ("put back", &recovered.lowered),
        ("opened again", &recovered.opened),
        ("with their replicas again", &recovered.replicated),
        ("still being restored", &recovered.running),
        ("under names for the time being, used by nothing", &recovered.temporary),
    ];
    for (word, names) in rows {
        if !names.is_empty() {
            lines.push(format!("{word}: {}", names.join(", ")));
        }
    }
    if recovered.is_lifecycle_stopped {
        lines.push("the lifecycle management is stopped: start it with `POST _ilm/start`".to_owned());
    }
    if lines.is_empty() {
        lines.push("nothing was left to be put back".to_owned());
    }
    lines
}
