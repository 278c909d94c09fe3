//! `snapferry migrate`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::Copying;
use super::cluster::client_options;
use super::ends::{Ends, prepare};
use super::exit::{self, Outcome};
use super::output::{Count, elapsed};
use super::registering::{Purpose, Registering};
use super::restore;
use super::restoring::Restoring;
use super::sync::{FailuresFile, SyncDocument};
use super::{ErrorDocument, Session};
use crate::elastic::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::ops::compare::Comparison;
use crate::ops::migrate::{Clusters, Options, Report, run};
use crate::ops::restore::Restored;

/// Copy a repository, register the copy, restore from it, and compare: sync, register, restore, compare in one.
///
/// Run it again for the next snapshot, with `--conflict close` to restore over the index that is there: only what is new
/// travels.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    #[command(flatten)]
    ends: Ends,
    /// The cluster to bring the data up on: a URL or the name of an `[elastic.<name>]` section
    #[arg(long, value_name = "CLUSTER")]
    to_cluster: String,
    /// The cluster the data came from, to compare the documents with
    #[arg(long, value_name = "CLUSTER")]
    from_cluster: Option<String>,
    /// The name to register the copy under; the source's own name is a good one
    #[arg(long, value_name = "NAME")]
    repository: String,
    /// The snapshot to restore, or `latest` for the youngest complete one
    #[arg(long, value_name = "NAME", default_value = "latest")]
    snapshot: String,
    #[command(flatten)]
    restoring: Restoring,
    #[command(flatten)]
    registering: Registering,
    #[command(flatten)]
    copying: Copying,
    /// Write what could not be copied to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,
}

/// What a migration did, as `--json` shows it. Fields are added, never renamed.
#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    sync: Option<SyncDocument>,
    repository: Option<RepositoryDocument<'a>>,
    restore: Option<&'a Restored>,
    compare: Option<CompareDocument<'a>>,
    elapsed_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
}

#[derive(Serialize)]
struct RepositoryDocument<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    replaced: bool,
    snapshots: &'a [Snapshot],
}

#[derive(Serialize)]
struct CompareDocument<'a> {
    equal: bool,
    indices: &'a [Comparison],
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let place = session.config.place(&self.ends.to)?;
        let registration =
            self.registering.registration(session, &self.repository, Some(&place), Purpose::Send).await?;
        let options = |name: &str| client_options(session, session.config.cluster(name)?);
        let clusters =
            Clusters { to: options(&self.to_cluster)?, from: self.from_cluster.as_deref().map(options).transpose()? };
        let restoring = self.restoring.options(&self.repository, &self.snapshot)?;
        let (from, to, sync) = prepare(session, &self.ends, &self.copying, None).await?;
        let options = Options { sync, registration, policy: self.registering.policy(), restore: restoring };
        let failures = self.failures.as_deref().map(FailuresFile::new).transpose()?;
        let begun = Instant::now();
        let mut report = run((&from, &to), clusters, &options, session.output.clone(), session.cancel.clone()).await;
        session.output.end_progress();
        let took = begun.elapsed();
        let copy_error = report.sync.as_mut().and_then(|sync| sync.error.as_ref().map(Error::duplicate));
        let sync = report.sync.as_mut().map(|sync| SyncDocument::new(&from, &to, sync, took, failures)).transpose()?;
        let error = report.error.take().or(copy_error);
        let outcome = outcome(&report, sync.as_ref(), error.as_ref());
        if session.output.is_json() {
            session.output.document(&document(&report, sync, outcome, took, error.as_ref()))?;
        } else {
            for line in lines(&report, sync.as_ref(), took) {
                session.output.line(&line)?;
            }
        }
        if let Some(error) = &error {
            session.output.error(error);
        }
        Ok(outcome)
    }
}

fn outcome(report: &Report, sync: Option<&SyncDocument>, error: Option<&Error>) -> Outcome {
    let differs = report.compare.as_ref().is_some_and(|compared| compared.iter().any(|one| !one.equal));
    match (error, sync) {
        (Some(error), _) => Outcome::of(error),
        (None, Some(sync)) if sync.ended != Outcome::Done => sync.ended,
        (None, _) if differs => Outcome::Failures,
        (None, _) => Outcome::Done,
    }
}

fn document<'a>(
    report: &'a Report,
    sync: Option<SyncDocument>,
    outcome: Outcome,
    took: Duration,
    error: Option<&Error>,
) -> Document<'a> {
    Document {
        command: "migrate",
        outcome: outcome.word(),
        sync,
        repository: report.repository.as_ref().map(|registered| RepositoryDocument {
            name: &registered.name,
            kind: registered.kind,
            replaced: registered.replaced,
            snapshots: &registered.snapshots,
        }),
        restore: report.restore.as_ref(),
        compare: report
            .compare
            .as_ref()
            .map(|indices| CompareDocument { equal: indices.iter().all(|one| one.equal), indices }),
        elapsed_seconds: took.as_secs_f64(),
        error: error.map(ErrorDocument::new),
    }
}

fn lines(report: &Report, sync: Option<&SyncDocument>, took: Duration) -> Vec<String> {
    let mut lines = sync.map(SyncDocument::lines).unwrap_or_default();
    if let Some(registered) = &report.repository {
        let shown = Count(registered.snapshots.len() as u64, "snapshot");
        lines.push(format!("registered `{}` ({}, read-only): {shown}", registered.name, registered.kind));
    }
    if let Some(restored) = &report.restore {
        lines.extend(restore::lines(restored));
    }
    for one in report.compare.iter().flatten() {
        let by_shard = if one.shards.is_some() { ", shard by shard" } else { "" };
        let sign = if one.from == one.to { "=" } else { "≠" };
        let verdict = if one.equal {
            format!("equal{by_shard}")
        } else {
            "different; was the source written to since the snapshot?".to_owned()
        };
        lines.push(format!("compared `{}`: {} {sign} {} documents: {verdict}", one.index, one.from, one.to));
    }
    if report.restore.is_some() {
        lines.push(format!("migrated in {}", elapsed(took)));
    }
    lines
}
