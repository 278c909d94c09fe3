//! `snapferry snapshot delete`.

use std::io::{self, BufRead as _, IsTerminal as _};

use serde::Serialize;

use super::super::Session;
use super::super::cluster::{connect, patience};
use super::super::exit::{self, Outcome};
use super::super::output::Count;
use super::{begun, state};
use crate::elastic::deletion::Running;
use crate::elastic::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::snapshot;

/// Delete snapshots, with the data that no other one needs
///
/// Only by their names, only on the cluster that writes the repository, and only after the name was typed on a terminal or with
/// `--yes`. A copy is thinned with `sync --prune` and `prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    /// The cluster: a URL or the name of an `[elastic.<name>]` section
    cluster: String,
    /// The repository, registered writable
    repository: String,
    /// The snapshots, by their full names
    #[arg(required = true)]
    snapshots: Vec<String>,
    /// Delete without asking
    #[arg(long)]
    yes: bool,
    /// Delete a snapshot although it is being taken, which cancels it
    #[arg(long)]
    cancel: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    repository: &'a str,
    deleted: &'a [Snapshot],
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let client = connect(session, &self.cluster).await?;
        let running = if self.cancel { Running::Cancelled } else { Running::Refused };
        let found = snapshot::before_deletion(&client, &self.repository, &self.snapshots, running).await?;
        if !self.yes {
            self.confirm(session, &found)?;
        }
        let deleting = snapshot::delete(&client, &self.repository, &found, patience(), session.output.as_ref());
        tokio::select! {
            biased;
            () = session.cancel.cancelled() => return Err(Error::new(ErrorKind::Cancelled, self.doing())
                .because("a signal came; what the cluster has begun goes on")
                .hint("see what is left with `snapshot list`")),
            deleted = deleting => deleted?,
        }
        session.output.end_progress();
        session.output.line(&format!(
            "deleted {} from `{}`",
            Count(found.len() as u64, "snapshot"),
            self.repository
        ))?;
        if session.output.is_json() {
            session.output.document(&Document {
                command: "snapshot delete",
                outcome: Outcome::Done.word(),
                repository: &self.repository,
                deleted: &found,
            })?;
        }
        Ok(Outcome::Done)
    }

    fn doing(&self) -> String {
        format!("delete `{}` from `{}`", self.snapshots.join("`, `"), self.repository)
    }

    /// The name of the snapshot has to be typed; that of the repository where there are several.
    fn confirm(&self, session: &Session, found: &[Snapshot]) -> Result<()> {
        let expected = match found {
            [only] => &only.name,
            _ => &self.repository,
        };
        let refused = |cause: &'static str| {
            Err(Error::new(ErrorKind::Invalid, self.doing())
                .because(cause)
                .hint("confirm on a terminal, or give `--yes`"))
        };
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return refused("nobody confirmed it, and there is no terminal to ask at");
        }
        for snapshot in found {
            session.output.note(&format!("  {}  {}  {}", snapshot.name, state(snapshot), begun(snapshot)));
        }
        session.output.note(&format!("to delete {}, type `{expected}`:", Count(found.len() as u64, "snapshot")));
        let mut answer = String::new();
        // Nothing else runs while the question stands.
        let read = io::stdin().lock().read_line(&mut answer);
        match read {
            Ok(_) if answer.trim() == expected => Ok(()),
            _ => refused("what was typed is not that name"),
        }
    }
}
