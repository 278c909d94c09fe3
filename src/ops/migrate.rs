//! Migrate: sync, register, restore, compare. Each step proves something the next one relies on.
//!
//! 1. The clusters are asked who they are and what the repository's name means there, before a byte is copied.
//! 2. The repository is copied; anything that failed ends the migration here.
//! 3. The copy is registered read-only at the target cluster, which must then list the snapshots that the copied root names, and no others.
//! 4. A snapshot is restored and followed until every primary is started.
//! 5. The documents are counted on both sides, where the source cluster is given.
//!
//! Every step may be done again: what is copied is skipped, what is registered is registered anew.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::compare::{self, Comparison};
use super::end::End;
use super::repository;
use super::restore::{self, Restored};
use super::sync::{self, Mode};
use crate::elastic::repository::{Expectation, Policy, Registered, Registration};
use crate::elastic::{self, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// What to migrate and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// How to copy. The source must be a repository.
    pub sync: sync::Options,
    /// How the target cluster sees the copy.
    pub registration: Registration,
    /// What may become of the repository's name if it is in use.
    pub policy: Policy,
    /// What to restore. Its `repository` is that of the registration.
    pub restore: restore::Options,
}

/// The clusters of a migration.
#[derive(Debug)]
pub struct Clusters {
    /// Where the data is brought up.
    pub to: elastic::Options,
    /// Where it came from, to compare with.
    pub from: Option<elastic::Options>,
}

/// How far a migration got.
#[derive(Debug, Default)]
pub struct Report {
    /// The copy.
    pub sync: Option<sync::Report>,
    /// The registration.
    pub repository: Option<Registered>,
    /// The restore.
    pub restore: Option<Restored>,
    /// The comparison.
    pub compare: Option<Vec<Comparison>>,
    /// Why it ended early, if it did. The error of the copy itself is in `sync`.
    pub error: Option<Error>,
}

/// Migrates, as far as it goes. The report always comes.
pub async fn run(
    ends: (&End, &End),
    clusters: Clusters,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    cancel: CancellationToken,
) -> Report {
    let mut report = Report::default();
    if let Err(error) = steps(ends, clusters, options, reporter, cancel, &mut report).await {
        report.error = Some(error);
    }
    report
}

async fn steps(
    (from, to): (&End, &End),
    clusters: Clusters,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    cancel: CancellationToken,
    report: &mut Report,
) -> Result<()> {
    let target = Client::connect(clusters.to).await?;
    let source = match clusters.from {
        Some(options) => Some(Client::connect(options).await?),
        None => None,
    };
    // Hours before it would be refused.
    repository::admit(&target, &options.registration, options.policy).await?;
    reporter.report(&Event::Step("sync"));
    let copying = sync::Options { mode: Mode::Repository, ..options.sync.clone() };
    let synced = report.sync.insert(sync::run(from, to, &copying, reporter.clone(), cancel.clone()).await);
    if synced.error.is_some() || synced.summary.failed.objects > 0 {
        return Ok(());
    }
    let registering = repository::Options {
        registration: options.registration.clone(),
        expected: Expectation { root: Some(repository::root(to).await?), ..Expectation::default() },
        policy: options.policy,
    };
    report.repository = Some(repository::register(&target, &registering, reporter.as_ref()).await?);
    let restored = restore::run(&target, &options.restore, reporter.as_ref(), &cancel).await?;
    let pieces = report.restore.insert(restored).pieces.clone();
    if let Some(source) = source {
        report.compare = Some(tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::new(ErrorKind::Cancelled, "compare the documents")
                .because("a signal asked to stop; everything is restored")),
            compared = compare::run(&source, &target, &pieces, reporter.as_ref()) => compared?,
        });
    }
    Ok(())
}
