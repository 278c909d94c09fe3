//! `snapferry snapshot status`.

use std::time::Duration;

use serde::Serialize;

use super::super::Session;
use super::super::cluster::{connect, patience};
use super::super::exit::{self, Outcome};
use super::super::output::{Bytes, Count, Output, elapsed};
use super::{begun, state, took};
use crate::elastic::snapshot::{Snapshot, State};
use crate::error::Result;
use crate::ops::snapshot::{self, Pace, Standing};

/// Show how far snapshots are: all that are being taken, or one
///
/// Of a finished snapshot it tells what the listing says; its status would cost the cluster a read for each shard.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    /// The cluster: a URL or the name of an `[elastic.<name>]` section
    cluster: String,
    /// The repository
    repository: String,
    /// The snapshot [default: all that are being taken]
    snapshot: Option<String>,
    /// Look again and again until the snapshot has ended, with its rate and the time that is left; exit code 3 unless it ends complete
    #[arg(long, requires = "snapshot")]
    follow: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    repository: &'a str,
    running: &'a [Pace],
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<&'a Snapshot>,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let client = connect(session, &self.cluster).await?;
        let (running, ended) = match &self.snapshot {
            None => (snapshot::running(&client, &self.repository).await?, None),
            Some(name) if self.follow => {
                let tell = |pace: &Pace| {
                    session.output.note(&line(pace));
                    Ok(())
                };
                let told = (&tell as &snapshot::Tell<'_>, &session.cancel);
                (Vec::new(), Some(snapshot::follow(&client, &self.repository, name, patience(), told).await?))
            }
            Some(name) => match snapshot::standing(&client, &self.repository, name).await? {
                Standing::Running(pace) => (vec![pace], None),
                Standing::Ended(snapshot) => (Vec::new(), Some(snapshot)),
            },
        };
        let outcome = match &ended {
            Some(ended) if self.follow && ended.state != State::Success => Outcome::Failures,
            _ => Outcome::Done,
        };
        self.print(&session.output, &running, ended.as_ref())?;
        if session.output.is_json() {
            session.output.document(&Document {
                command: "snapshot status",
                outcome: outcome.word(),
                repository: &self.repository,
                running: &running,
                snapshot: ended.as_ref(),
            })?;
        }
        Ok(outcome)
    }

    fn print(&self, output: &Output, running: &[Pace], ended: Option<&Snapshot>) -> Result<()> {
        for pace in running {
            output.line(&line(pace))?;
        }
        if let Some(snapshot) = ended {
            let shards = snapshot.shards.unwrap_or_default();
            let took = took(snapshot).map_or_else(String::new, |took| format!(" in {}", elapsed(took)));
            output.line(&format!(
                "{}  {}  {}  {} of {}{took}",
                snapshot.name,
                state(snapshot),
                begun(snapshot),
                shards.successful,
                Count(shards.total, "shard")
            ))?;
            for failure in &snapshot.failures {
                output.line(&format!("  shard {} of `{}`: {}", failure.shard_id, failure.index, failure.reason))?;
            }
        }
        if running.is_empty() && ended.is_none() {
            output.note(&format!("no snapshot is being taken in `{}`", self.repository));
        }
        Ok(())
    }
}

/// How far a snapshot is, in a line.
fn line(pace: &Pace) -> String {
    let status = &pace.status;
    let mut line = format!(
        "{}  in progress  {} of {}, {} of {} files, {} of {}",
        status.snapshot,
        status.shards.done,
        Count(status.shards.total, "shard"),
        status.files.done,
        status.files.total,
        Bytes(status.bytes.done),
        Bytes(status.bytes.total)
    );
    if status.failed_shards > 0 {
        line.push_str(&format!(", {} failed", Count(status.failed_shards, "shard")));
    }
    if let Some(rate) = pace.bytes_per_second {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is shown, and is never negative"
        )]
        line.push_str(&format!(", {}/s", Bytes(rate as u64)));
    }
    if let Some(left) = pace.remaining_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        line.push_str(&format!(", about {} left", elapsed(left)));
    }
    line
}
