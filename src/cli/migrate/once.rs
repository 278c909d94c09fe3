//! `snapferry migrate FROM TO` and `snapferry migrate JOB`: in one go, of a snapshot that is there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::job::overlay;
use crate::cli::args::Copying;
use crate::cli::cluster::client_options;
use crate::cli::ends::{Ends, prepare};
use crate::cli::exit::Outcome;
use crate::cli::output::{Bytes, Count, elapsed};
use crate::cli::registering::{Purpose, Registering};
use crate::cli::restore;
use crate::cli::restoring::Restoring;
use crate::cli::sync::{FailuresFile, SyncDocument};
use crate::cli::{ErrorDocument, Session};
use crate::config::Job;
use crate::elastic::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::advice::IndexAdvice;
use crate::ops::compare::Comparison;
use crate::ops::migrate::{Clusters, Options, Report, advise, run};
use crate::ops::restore::Restored;
use crate::ops::{End, plan};
use crate::transfer::Totals;

/// In one go, of a snapshot that is there.
#[derive(Debug, clap::Args)]
pub(super) struct Once {
    /// Where to copy from: `s3://bucket/prefix`, `file:///absolute/path`, or the name of a configured store, with an optional path behind it; or, alone, the name of a `[job.<name>]` section
    #[arg(value_name = "FROM|JOB", required = true)]
    from: Option<String>,
    /// Where to copy to, written the same way
    to: Option<String>,
    /// The cluster to bring the data up on: a URL or the name of an `[elastic.<name>]` section
    #[arg(long, value_name = "CLUSTER")]
    to_cluster: Option<String>,
    /// The cluster the data came from, to compare the documents with
    #[arg(long, value_name = "CLUSTER")]
    from_cluster: Option<String>,
    /// The name to register the copy under; the source's own name is a good one
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// The snapshot to restore, or `latest` for the youngest complete one
    #[arg(long, value_name = "NAME", default_value = "latest")]
    snapshot: String,
    /// Leave out the indices that the target would refuse, in place of ending before anything is copied
    #[arg(long)]
    leave_out_incompatible: bool,
    /// Say what would be copied and what the target would make of it, and change nothing
    #[arg(long = "dry-run")]
    preview: bool,
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

impl Once {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let job = self.job(session)?;
        for note in &job.notes {
            session.output.note(&format!("warning: {note}"));
        }
        let missing = |what: &str, flag: &str| {
            Error::new(ErrorKind::Invalid, "read the arguments")
                .because(format!("{what} is not given"))
                .hint(format!("add `{flag}`, or a `[job.<name>]` section to the configuration that says it"))
        };
        let (from, to) = match &self.to {
            Some(to) => (self.named()?, to.clone()),
            None => (
                job.from.clone().ok_or_else(|| missing("where to copy from", "FROM"))?,
                job.to.clone().ok_or_else(|| missing("where to copy to", "TO"))?,
            ),
        };
        let repository = self.repository.clone().or_else(|| job.repository.clone());
        let repository = repository.ok_or_else(|| missing("the repository's name", "--repository NAME"))?;
        let to_cluster = self.to_cluster.clone().or_else(|| job.to_cluster.clone());
        let to_cluster = to_cluster.ok_or_else(|| missing("the target cluster", "--to-cluster CLUSTER"))?;
        let from_cluster = self.from_cluster.clone().or_else(|| job.from_cluster.clone());
        let place = session.config.place(&to)?;
        let registering = self.registering.or(&job.registration)?;
        let registration = registering.registration(session, &repository, Some(&place), Purpose::Send).await?;
        let options = |name: &str| client_options(session, session.config.cluster(name)?);
        let clusters = Clusters { to: options(&to_cluster)?, from: from_cluster.as_deref().map(options).transpose()? };
        if clusters.from.is_none() {
            session.output.note("note: no source cluster is given: the snapshot that is there is taken, and the documents are not compared");
        }
        let restoring = overlay(self.restoring.options(&repository, &self.snapshot)?, &job)?;
        let (from, to, sync) = prepare(session, &Ends { from, to }, &self.copying, None).await?;
        let options = Options {
            sync,
            registration,
            policy: registering.policy(),
            restore: restoring,
            leave_out_incompatible: self.leave_out_incompatible || job.leave_out_incompatible,
        };
        if self.preview {
            return self.preview(session, (&from, &to), clusters, &options).await;
        }
        let failures = self.failures.as_deref().map(FailuresFile::new).transpose()?;
        let begun = Instant::now();
        let mut report =
            Box::pin(run((&from, &to), clusters, &options, session.output.clone(), session.cancel.clone())).await;
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

impl Once {
    /// What comes first, which only a subcommand may leave out.
    fn named(&self) -> Result<String> {
        self.from.clone().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "migrate").because("nothing is named").hint("see `migrate --help`")
        })
    }

    /// What the job says, if one is named.
    fn job(&self, session: &Session) -> Result<Job> {
        if self.to.is_some() {
            return Ok(Job::default());
        }
        let from = self.named()?;
        session.config.job(&from)?.ok_or_else(|| {
            let known: Vec<&str> = session.config.jobs().collect();
            let known =
                if known.is_empty() { String::new() } else { format!("; configured: `{}`", known.join("`, `")) };
            Error::new(ErrorKind::Invalid, format!("migrate `{from}`"))
                .because("no job has that name, and no place to copy to is given")
                .hint(format!("give both places, `migrate FROM TO`, or configure `[job.{from}]`{known}"))
        })
    }

    async fn preview(
        &self,
        session: &Session,
        ends: (&End, &End),
        clusters: Clusters,
        options: &Options,
    ) -> Result<Outcome> {
        let advice = advise(ends.0, clusters, options, session.output.clone(), &session.cancel).await?;
        let plan = plan::run(ends.0, ends.1, &options.sync, session.output.clone(), session.cancel.clone()).await?;
        session.output.end_progress();
        let copied = plan.copied;
        session.output.line(&format!("would copy {} ({})", Count(copied.objects, "object"), Bytes(copied.bytes)))?;
        for index in &advice {
            let reason = index.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            session.output.line(&format!("  {}  {}{reason}", index.verdict, index.name))?;
        }
        if session.output.is_json() {
            let outcome = Outcome::Done.word();
            session.output.document(&PreviewDocument {
                command: "migrate",
                outcome,
                preview: true,
                copy: copied,
                indices: &advice,
            })?;
        }
        Ok(if advice.iter().any(IndexAdvice::is_refused) { Outcome::Findings } else { Outcome::Done })
    }
}

/// What a migration would do.
#[derive(Serialize)]
struct PreviewDocument<'a> {
    command: &'static str,
    outcome: &'static str,
    preview: bool,
    copy: Totals,
    indices: &'a [IndexAdvice],
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
