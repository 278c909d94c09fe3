//! `snapferry restore`.

use serde::Serialize;

use super::Session;
use super::cluster::connect;
use super::exit::{self, Outcome};
use super::output::{Bytes, Count};
use super::restoring::Restoring;
use crate::error::Result;
use crate::ops::restore::{Restored, run};

/// Restore a snapshot and follow it until every primary is started.
///
/// A cluster answers a restore with success when shards failed, and when nothing was restored at all; here both are failures.
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
}

#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    #[serde(flatten)]
    restored: &'a Restored,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let options = self.restoring.options(&self.repository, &self.snapshot)?;
        let client = connect(session, &self.cluster).await?;
        let restored = run(&client, &options, session.output.as_ref(), &session.cancel).await?;
        session.output.end_progress();
        for line in lines(&restored) {
            session.output.line(&line)?;
        }
        if session.output.is_json() {
            let outcome = Outcome::Done.word();
            session.output.document(&Document { command: "restore", outcome, restored: &restored })?;
        }
        Ok(Outcome::Done)
    }
}

/// A restore, told to people.
pub(super) fn lines(restored: &Restored) -> Vec<String> {
    let Restored { repository, snapshot, pieces, shards, bytes, reused_bytes, .. } = restored;
    let mut lines = Vec::new();
    if pieces.is_empty() {
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
    lines
}
