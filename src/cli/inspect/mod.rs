//! `snapferry inspect`.

mod text;

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::exit::{self, Outcome};
use super::{Failed, Session, open};
use crate::error::{ErrorKind, Result};
use crate::ops::inspect::{Options, Report, run};
use crate::repo::ClusterVersion;
use crate::store::Access;

/// Show what a snapshot repository holds, and what of it a cluster would restore
///
/// Reads the repository itself and asks no cluster: its newest root, the description of each snapshot, and the list of files of every
/// shard. SIZE is that of all files of a snapshot together, as `_status` of a cluster tells it; WRITTEN is what the snapshot had to
/// write when it was made, the rest was there already. Nothing is written, and no data is read: `verify` does that.
///
/// It costs one request for each snapshot, one for each state of an index's metadata, and one for each shard in each snapshot;
/// `--no-sizes` leaves the last ones out.
///
/// `--for VERSION` tells for each snapshot what a cluster of that version would restore, and why not the rest: `yes`, `read-only`,
/// `archive` (a licence is needed), `partial` (without the shards that the snapshot lacks), `unknown`, `no`, or `mixed`.
///
/// `--garbage` lists the location too, one request for 1,000 objects, and tells what no snapshot needs. What a cluster is writing at
/// this moment counts as well.
///
/// A damaged or missing description stops nothing: its snapshot is told as damaged, and the exit code is 4.
///
/// For example `snapferry inspect aws/snapshots --for es-8.12`, `snapferry inspect s3://bucket/es --snapshot 'daily-2026.11.*' --json`,
/// or `snapferry inspect nas --snapshot daily-1 --index orders --files`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE, group = clap::ArgGroup::new("chosen").args(["snapshot", "index"]).multiple(true))]
pub(super) struct Args {
    /// The repository: `s3://bucket/base_path`, `file:///absolute/path`, or the name of a configured store, with an optional path behind it
    location: String,
    /// Only snapshots of this name, index by index; `*` and `?` match as in a shell. May be given several times
    #[arg(long, value_name = "NAME")]
    snapshot: Vec<String>,
    /// Only snapshots with an index of this name, and of these that index; `*` and `?` match as in a shell. May be given several times
    #[arg(long, value_name = "NAME")]
    index: Vec<String>,
    /// Go down to the files: Lucene's name, object, length, parts, checksum
    #[arg(long, requires = "chosen", conflicts_with = "no_sizes")]
    files: bool,
    /// What a cluster of this version would restore: `es-8.12`, `es-8.12.2`, `opensearch-2.19`, `os-3`; what is left out means the newest of its line. May be given several times
    #[arg(long = "for", value_name = "VERSION")]
    targets: Vec<String>,
    /// Look for objects that no snapshot needs, too
    #[arg(long, conflicts_with = "no_sizes")]
    garbage: bool,
    /// Do not look at shards: no sizes, and far fewer requests
    #[arg(long)]
    no_sizes: bool,
}

/// What was found, as `--json` shows it. Fields are added, never renamed.
#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    location: String,
    #[serde(flatten)]
    report: &'a Report,
    #[serde(rename = "for", skip_serializing_if = "Vec::is_empty")]
    targets: Vec<String>,
    requests: BTreeMap<&'static str, u64>,
    elapsed_seconds: f64,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let options = Options {
            snapshots: self.snapshot.clone(),
            indices: self.index.clone(),
            files: self.files,
            sizes: !self.no_sizes,
            garbage: self.garbage,
            targets: self.targets.iter().map(|text| text.parse()).collect::<Result<Vec<ClusterVersion>>>()?,
            retry: session.config.transfer().retry,
        };
        let end = open(session, &session.config.place(&self.location)?, Access::Read).await?;
        let begun = Instant::now();
        let report = match run(&end, &options, session.output.clone(), &session.cancel).await {
            // A repository without a whole root is what was found, and no failure to look.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                session.output.end_progress();
                session.output.error(&error);
                if session.output.is_json() {
                    session.output.document(&Failed::new("inspect", Outcome::Findings, &error))?;
                }
                return Ok(Outcome::Findings);
            }
            other => other?,
        };
        session.output.end_progress();
        let outcome = if report.is_damaged() { Outcome::Findings } else { Outcome::Done };
        let location = end.location.to_string();
        if session.output.is_json() {
            session.output.document(&Document {
                command: "inspect",
                outcome: outcome.word(),
                location,
                report: &report,
                targets: options.targets.iter().map(ClusterVersion::word).collect(),
                requests: end.meter.totals().into_iter().collect(),
                elapsed_seconds: begun.elapsed().as_secs_f64(),
            })?;
        } else {
            text::print(&session.output, &location, &report, &options.targets)?;
        }
        Ok(outcome)
    }
}
