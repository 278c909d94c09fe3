//! `snapferry repo`: the snapshot repositories that a cluster knows.

use clap::Subcommand;
use serde::Serialize;

use super::cluster::connect;
use super::exit::{self, Outcome};
use super::output::Count;
use super::registering::Registering;
use super::{Session, open};
use crate::config::StorePlace;
use crate::elastic::Client;
use crate::elastic::repository::{Expected, Registered, Repository};
use crate::elastic::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::{migrate, repository};
use crate::store::Access;

/// Register, list and remove the snapshot repositories of a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register a repository read-only, and check that its snapshots are really there
    #[command(after_help = exit::TABLE)]
    Register(Box<Register>),
    /// List the repositories
    #[command(after_help = exit::TABLE)]
    List {
        /// The cluster: a URL or the name of an `[elastic.<name>]` section
        cluster: String,
    },
    /// Make the cluster forget a repository; its data stays
    #[command(after_help = exit::TABLE)]
    Remove {
        /// The cluster: a URL or the name of an `[elastic.<name>]` section
        cluster: String,
        /// The repository
        repository: String,
    },
}

#[derive(Debug, clap::Args)]
struct Register {
    /// The cluster: a URL or the name of an `[elastic.<name>]` section
    cluster: String,
    /// The name to register it under; the source's own name is a good one
    repository: String,
    /// Where it lies. snapferry looks there itself for the snapshots that the cluster must then show
    location: Option<String>,
    #[command(flatten)]
    registering: Registering,
    /// The UUID of a snapshot that must be there. May be given several times
    #[arg(long, value_name = "UUID")]
    expect: Vec<String>,
}

#[derive(Serialize)]
struct RegisterDocument {
    command: &'static str,
    outcome: &'static str,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    replaced: bool,
    snapshots: Vec<Snapshot>,
}

#[derive(Serialize)]
struct ListDocument {
    command: &'static str,
    outcome: &'static str,
    repositories: Vec<Repository>,
}

#[derive(Serialize)]
struct RemoveDocument<'a> {
    command: &'static str,
    outcome: &'static str,
    name: &'a str,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        match &self.command {
            Command::Register(register) => register.run(session).await,
            Command::List { cluster } => list(session, cluster).await,
            Command::Remove { cluster, repository } => remove(session, cluster, repository).await,
        }
    }
}

impl Register {
    async fn run(&self, session: &Session) -> Result<Outcome> {
        let place = self.location.as_deref().map(|location| session.config.place(location)).transpose()?;
        let registration = self.registering.registration(&self.repository, place.as_ref())?;
        let kind = Registering::type_word(&registration);
        let client = connect(session, &self.cluster).await?;
        let mut expected: Vec<Expected> =
            self.expect.iter().map(|uuid| Expected { name: uuid.clone(), uuid: uuid.clone() }).collect();
        if let Some(place) = &place {
            expected.extend(look(session, place).await?);
        }
        let options = repository::Options { registration, expected, replace: self.registering.replace() };
        let registered = repository::register(&client, &options, session.output.as_ref()).await?;
        if registered.snapshots.is_empty() {
            return Err(empty(&client, &registered).await);
        }
        let shown = Count(registered.snapshots.len() as u64, "snapshot");
        session.output.line(&format!("registered `{}` ({kind}, read-only): {shown}", registered.name))?;
        for snapshot in &registered.snapshots {
            session.output.line(&format!("  {}  {}", snapshot.name, snapshot.uuid))?;
        }
        if session.output.is_json() {
            session.output.document(&RegisterDocument {
                command: "repo register",
                outcome: Outcome::Done.word(),
                name: registered.name,
                kind,
                replaced: registered.replaced,
                snapshots: registered.snapshots,
            })?;
        }
        Ok(Outcome::Done)
    }
}

/// The snapshots that the cluster must show, if the place can be looked at from here. It may well be one that only the nodes
/// reach.
async fn look(session: &Session, place: &StorePlace) -> Result<Vec<Expected>> {
    let seen = match open(session, place, Access::Read).await {
        Ok(end) => migrate::expected(&end).await,
        Err(error) => Err(error),
    };
    match seen {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Unavailable | ErrorKind::Timeout
            ) =>
        {
            session.output.note(&format!("warning: {error}; what the cluster shows cannot be compared"));
            Ok(Vec::new())
        }
        other => other,
    }
}

/// A repository without a snapshot is most likely a place that does not exist. It does not stay registered for that.
async fn empty(client: &Client, registered: &Registered) -> Error {
    let name = &registered.name;
    let fate = match registered.replaced {
        true => "it stays registered, with the new settings",
        false if repository::remove(client, name).await.is_ok() => "it was removed again",
        false => "it stays registered",
    };
    Error::new(ErrorKind::NotFound, format!("rely on the repository `{name}`"))
        .because(format!("the cluster shows no snapshot in it, as it does for a place that does not exist ({fate})"))
        .hint("check its location as the nodes of the cluster see it")
}

async fn list(session: &Session, cluster: &str) -> Result<Outcome> {
    let repositories = repository::list(&connect(session, cluster).await?).await?;
    for found in &repositories {
        let access = if found.readonly { "read-only" } else { "writable" };
        let settings: Vec<String> = found.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        session.output.line(&format!("{}  {}  {access}  {}", found.name, found.kind, settings.join(" ")))?;
    }
    if repositories.is_empty() {
        session.output.note("the cluster knows no repository");
    }
    if session.output.is_json() {
        session.output.document(&ListDocument { command: "repo list", outcome: Outcome::Done.word(), repositories })?;
    }
    Ok(Outcome::Done)
}

async fn remove(session: &Session, cluster: &str, name: &str) -> Result<Outcome> {
    repository::remove(&connect(session, cluster).await?, name).await?;
    session.output.line(&format!("removed `{name}` from the cluster; its data is where it was"))?;
    if session.output.is_json() {
        session.output.document(&RemoveDocument { command: "repo remove", outcome: Outcome::Done.word(), name })?;
    }
    Ok(Outcome::Done)
}
