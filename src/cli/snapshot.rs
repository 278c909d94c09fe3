//! `snapferry snapshot`: the snapshots in a repository of a cluster.

use clap::Subcommand;
use serde::Serialize;

use super::Session;
use super::cluster::{connect, patience};
use super::exit::{self, Outcome};
use crate::elastic::creation::{Creation, GlobalState};
use crate::elastic::snapshot::{Snapshot, State};
use crate::error::Result;
use crate::ops::snapshot;

/// Take and list the snapshots in a repository of a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take a snapshot and follow it to its end
    #[command(after_help = exit::TABLE)]
    Create(Create),
    /// List the snapshots, oldest first
    #[command(after_help = exit::TABLE)]
    List {
        /// The cluster: a URL or the name of an `[elastic.<name>]` section
        cluster: String,
        /// The repository
        repository: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The cluster: a URL or the name of an `[elastic.<name>]` section
    cluster: String,
    /// The repository, registered writable
    repository: String,
    /// The name of the new snapshot
    snapshot: String,
    /// The indices to take: names, patterns and exclusions, separated by commas [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true)]
    indices: Vec<String>,
    /// Take the cluster's own settings and templates too
    #[arg(long)]
    with_global_state: bool,
}

#[derive(Serialize)]
struct CreateDocument<'a> {
    command: &'static str,
    outcome: &'static str,
    snapshot: &'a Snapshot,
}

#[derive(Serialize)]
struct ListDocument<'a> {
    command: &'static str,
    outcome: &'static str,
    repository: &'a str,
    snapshots: &'a [Snapshot],
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        match &self.command {
            Command::Create(create) => create.run(session).await,
            Command::List { cluster, repository } => list(session, cluster, repository).await,
        }
    }
}

impl Create {
    async fn run(&self, session: &Session) -> Result<Outcome> {
        let client = connect(session, &self.cluster).await?;
        let creation = Creation {
            repository: self.repository.clone(),
            snapshot: self.snapshot.clone(),
            indices: self.indices.clone(),
            global_state: if self.with_global_state { GlobalState::With } else { GlobalState::Without },
        };
        let options = snapshot::Options { creation, patience: patience() };
        let taken = snapshot::create(&client, &options, session.output.as_ref(), &session.cancel).await?;
        session.output.line(&row(&taken))?;
        if session.output.is_json() {
            let outcome = Outcome::Done.word();
            session.output.document(&CreateDocument { command: "snapshot create", outcome, snapshot: &taken })?;
        }
        Ok(Outcome::Done)
    }
}

async fn list(session: &Session, cluster: &str, repository: &str) -> Result<Outcome> {
    let snapshots = snapshot::list(&connect(session, cluster).await?, repository).await?;
    for found in &snapshots {
        session.output.line(&row(found))?;
    }
    if snapshots.is_empty() {
        session.output.note("the repository shows no snapshot; a place that does not exist looks the same");
    }
    if session.output.is_json() {
        let outcome = Outcome::Done.word();
        session.output.document(&ListDocument {
            command: "snapshot list",
            outcome,
            repository,
            snapshots: &snapshots,
        })?;
    }
    Ok(Outcome::Done)
}

fn row(snapshot: &Snapshot) -> String {
    let state = match snapshot.state {
        State::Success => "complete",
        State::InProgress => "in progress",
        State::Failed => "failed",
        State::Partial => "partial",
        State::Incompatible => "incompatible",
        State::Unknown => "unknown",
    };
    let begun = snapshot.start_time_in_millis.and_then(|millis| i64::try_from(millis).ok());
    let begun = begun.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    let begun = begun.map_or_else(|| "-".to_owned(), |time| time.to_string());
    format!("{}  {state}  {begun}  {}  {}", snapshot.name, snapshot.uuid, snapshot.indices.join(","))
}
