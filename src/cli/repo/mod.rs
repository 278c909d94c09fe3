//! `snapferry repo`: the snapshot repositories that a cluster knows.

mod policy;
mod register;
mod show;

use clap::Subcommand;
use serde::Serialize;

use super::cluster::connect;
use super::exit::{self, Outcome};
use super::{Session, asking, open, registering};
use crate::error::Result;
use crate::ops::repository;

/// Register, list, show, verify and remove the snapshot repositories of a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register a repository read-only, and check that it shows the snapshots of the copy, no fewer and no others
    #[command(after_help = exit::TABLE)]
    Register(Box<register::Register>),
    /// List the repositories
    #[command(after_help = exit::TABLE)]
    List {
        /// The cluster: a URL or the name of an `[elastic.<name>]` section
        cluster: String,
        /// Which ones, as Elasticsearch has it: names, `repo*,*backup*`, `_all`, and `-pattern` behind another to leave some out [default: all]
        #[arg(allow_hyphen_values = true)]
        patterns: Vec<String>,
    },
    /// Show a repository: how it is registered, and what is in it
    #[command(after_help = exit::TABLE)]
    Show {
        /// The cluster: a URL or the name of an `[elastic.<name>]` section
        cluster: String,
        /// The repository
        repository: String,
    },
    /// Let every node say whether it reaches a repository
    #[command(after_help = exit::TABLE)]
    Verify {
        /// The cluster: a URL or the name of an `[elastic.<name>]` section
        cluster: String,
        /// The repository
        repository: String,
    },
    /// Make the cluster forget a repository; its data stays
    #[command(after_help = exit::TABLE)]
    Remove {
        /// The cluster: a URL or the name of an `[elastic.<name>]` section
        cluster: String,
        /// The repository
        repository: String,
    },
    /// Print the access policies that suffice for a bucket; nothing is sent anywhere
    #[command(after_help = exit::TABLE)]
    Policy(policy::Policy),
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
            Command::Register(register) => Box::pin(register.run(session)).await,
            Command::List { cluster, patterns } => show::list(session, cluster, patterns).await,
            Command::Show { cluster, repository } => show::show(session, cluster, repository).await,
            Command::Verify { cluster, repository } => show::verify(session, cluster, repository).await,
            Command::Remove { cluster, repository } => remove(session, cluster, repository).await,
            Command::Policy(policy) => policy.run(session),
        }
    }
}

async fn remove(session: &Session, cluster: &str, name: &str) -> Result<Outcome> {
    repository::remove(&connect(session, cluster).await?, name).await?;
    session.output.line(&format!("removed `{name}` from the cluster; its data is where it was"))?;
    if session.output.is_json() {
        session.output.document(&RemoveDocument { command: "repo remove", outcome: Outcome::Done.word(), name })?;
    }
    Ok(Outcome::Done)
}
