//! `snapferry snapshot list`.

use serde::Serialize;

use super::super::Session;
use super::super::cluster::connect;
use super::super::exit::{self, Outcome};
use super::super::output::{Bytes, elapsed};
use super::{begun, bytes, state, took};
use crate::elastic::snapshot::Snapshot;
use crate::error::Result;
use crate::ops::snapshot;

/// List the snapshots, oldest first
///
/// The list is also had where metadata of a snapshot is missing; that snapshot is then named in a warning.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    /// The cluster: a URL or the name of an `[elastic.<name>]` section
    cluster: String,
    /// The repository
    repository: String,
    /// Which snapshots: names, patterns and exclusions, separated by commas or blanks (`a* -ab*`) [default: all]
    #[arg(value_delimiter = ',', allow_hyphen_values = true)]
    patterns: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    repository: &'a str,
    snapshots: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    snapshot: &'a Snapshot,
    duration_in_millis: Option<u64>,
    size_in_bytes: Option<u64>,
    /// The root names it, and its own metadata cannot be read.
    unreadable: bool,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let client = connect(session, &self.cluster).await?;
        let listing = snapshot::listing(&client, &self.repository, &self.patterns, session.output.as_ref()).await?;
        for found in &listing.snapshots {
            session.output.line(&row(found))?;
        }
        if listing.snapshots.is_empty() {
            let all = "the repository shows no snapshot; a place that does not exist looks the same";
            let none = "no snapshot of the repository is meant by that";
            session.output.note(if self.patterns.is_empty() { all } else { none });
        }
        if session.output.is_json() {
            let entry = |snapshot| Entry {
                snapshot,
                duration_in_millis: took(snapshot).and_then(|took| u64::try_from(took.as_millis()).ok()),
                size_in_bytes: bytes(snapshot),
                unreadable: listing.unreadable.contains(&snapshot.name),
            };
            session.output.document(&Document {
                command: "snapshot list",
                outcome: Outcome::Done.word(),
                repository: &self.repository,
                snapshots: listing.snapshots.iter().map(entry).collect(),
            })?;
        }
        Ok(Outcome::Done)
    }
}

fn row(snapshot: &Snapshot) -> String {
    let mut parts = vec![snapshot.name.clone(), state(snapshot).to_owned(), begun(snapshot), snapshot.uuid.clone()];
    parts.extend(took(snapshot).map(elapsed));
    parts.extend(snapshot.shards.map(|shards| format!("{}/{} shards", shards.successful, shards.total)));
    parts.extend(bytes(snapshot).map(|bytes| Bytes(bytes).to_string()));
    parts.push(snapshot.indices.join(","));
    parts.join("  ")
}
