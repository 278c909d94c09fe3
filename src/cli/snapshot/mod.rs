//! `snapferry snapshot`: the snapshots in a repository of a cluster.

mod create;
mod delete;
mod list;
mod status;

use std::time::Duration;

use clap::Subcommand;

use super::Session;
use super::exit::{self, Outcome};
use crate::elastic::snapshot::{Snapshot, State};
use crate::error::Result;

/// Take, watch, list and delete the snapshots in a repository of a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(Box<create::Args>),
    Status(status::Args),
    List(list::Args),
    Delete(delete::Args),
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        match &self.command {
            Command::Create(args) => args.run(session).await,
            Command::Status(args) => args.run(session).await,
            Command::List(args) => args.run(session).await,
            Command::Delete(args) => args.run(session).await,
        }
    }
}

/// The state of a snapshot, for people.
fn state(snapshot: &Snapshot) -> &'static str {
    match snapshot.state {
        State::Success => "complete",
        State::InProgress => "in progress",
        State::Failed => "failed",
        State::Partial => "partial",
        State::Incompatible => "incompatible",
        State::Unknown => "unknown",
    }
}

/// When it began, to the second.
fn begun(snapshot: &Snapshot) -> String {
    let second = snapshot.start_time_in_millis.and_then(|millis| i64::try_from(millis / 1000).ok());
    let time = second.filter(|second| *second > 0).and_then(|second| jiff::Timestamp::from_second(second).ok());
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

/// How long it took; nothing while it is being taken.
fn took(snapshot: &Snapshot) -> Option<Duration> {
    let (start, end) = (snapshot.start_time_in_millis?, snapshot.end_time_in_millis?);
    end.checked_sub(start).filter(|_| start > 0).map(Duration::from_millis)
}

/// The bytes of all its indices, where the snapshot tells the size of each.
fn bytes(snapshot: &Snapshot) -> Option<u64> {
    let is_told = !snapshot.index_details.is_empty() || snapshot.indices.is_empty();
    is_told.then(|| snapshot.bytes_of(snapshot.indices.iter().map(String::as_str))).flatten()
}
