//! Migrate: sync, register, restore, compare. Each step proves something the next one relies on.
//!
//! 1. The clusters are asked who they are and what the repository's name means there, before a byte is copied; what the target would refuse of the snapshot ends the migration here.
//! 2. The repository is copied; anything that failed ends the migration here.
//! 3. The copy is registered read-only at the target cluster, which must then list the snapshots that the copied root names, and no others.
//! 4. A snapshot is restored and followed until every primary is started.
//! 5. The documents are counted on both sides, where the source cluster is given.
//!
//! Every step may be done again: what is copied is skipped, what is registered is registered anew.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::live;
use crate::elastic::repository::{Expectation, Policy, Registered, Registration};
use crate::elastic::selection;
use crate::elastic::{self, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::ops::advice::{self, IndexAdvice};
use crate::ops::compare::{self, Comparison};
use crate::ops::restore::{self, Restored};
use crate::ops::snapshot::Which;
use crate::ops::sync::{self, Mode};
use crate::ops::{End, repository};
use crate::repo::{self, Base, Reader, Repository, SnapshotEntry};

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
    /// Whether what the target would refuse is left out, in place of ending the migration.
    pub leave_out_incompatible: bool,
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
    /// What the target would make of each index chosen, if the snapshot was there to be looked at.
    pub advice: Option<Vec<IndexAdvice>>,
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
    let mut restoring = options.restore.clone();
    if let Some(advice) = judge(from, &target, options, reporter.clone(), &cancel).await? {
        let refused = report.advice.insert(advice).iter().filter(|index| index.is_refused());
        exclude(&mut restoring, &refused.cloned().collect::<Vec<_>>(), options, &target)?;
    }
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
    let restored = restore::run(&target, &restoring, reporter.as_ref(), &cancel).await?;
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

/// What the target would make of the indices chosen of the snapshot at `from`. Nothing is changed.
///
/// [`ErrorKind::NotFound`] if there is no such snapshot.
pub async fn advise(
    from: &End,
    clusters: Clusters,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    cancel: &CancellationToken,
) -> Result<Vec<IndexAdvice>> {
    let target = Client::connect(clusters.to).await?;
    judge(from, &target, options, reporter, cancel).await?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("look at the snapshot at `{}`", from.location))
            .because("there is no such snapshot")
            .hint("name one with `--snapshot`; `inspect` shows what is there")
    })
}

/// What the target would make of the indices chosen; none if there is nothing yet to look at, which `sync` and `restore` tell in their words.
async fn judge(
    from: &End,
    target: &Client,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    cancel: &CancellationToken,
) -> Result<Option<Vec<IndexAdvice>>> {
    let Some(found) = repo::detect(&from.store).await? else { return Ok(None) };
    let name = match &options.restore.snapshot {
        Which::Named(name) => Some(name.clone()),
        Which::Latest => latest(from, &found).await?,
    };
    let Some(name) = name.filter(|name| found.index.snapshots.iter().any(|one| one.name.as_str() == name)) else {
        return Ok(None);
    };
    let advice = advice::run(from, &name, target.version(), reporter, cancel).await?;
    let names: Vec<String> = advice.indices.iter().map(|index| index.name.clone()).collect();
    // Data streams are chosen by names that are no indices; who asks for one is answered by the cluster.
    let Ok(selection) = selection::select(&options.restore.indices, &names, &[]) else { return Ok(None) };
    Ok(Some(advice.indices.into_iter().filter(|index| selection.indices.contains(&index.name)).collect()))
}

/// The latest of the complete snapshots. Older roots tell no times; then the snapshots' own descriptions do.
async fn latest(from: &End, found: &Repository) -> Result<Option<String>> {
    let root = &found.index;
    let knows_all = root.snapshots.iter().all(|snapshot| snapshot.start_time_millis.is_some());
    let times = if knows_all {
        HashMap::new()
    } else {
        sync::times(&Reader::of_root(Base::at_root(from.store.clone()), root.clone())?).await?
    };
    let began = |snapshot: &SnapshotEntry| {
        snapshot.start_time_millis.or_else(|| times.get(snapshot.uuid.as_str()).copied()).unwrap_or(0)
    };
    let complete = root.snapshots.iter().filter(|snapshot| snapshot.is_restorable());
    Ok(complete.max_by_key(|snapshot| began(snapshot)).map(|snapshot| snapshot.name.as_str().to_owned()))
}

/// Takes what is refused out of the selection, or refuses to begin.
fn exclude(
    restoring: &mut restore::Options,
    refused: &[IndexAdvice],
    options: &Options,
    target: &Client,
) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    if options.leave_out_incompatible {
        if restoring.indices.is_empty() {
            restoring.indices.push("*".to_owned());
        }
        restoring.indices.extend(refused.iter().map(|index| format!("-{}", index.name)));
        return Ok(());
    }
    let told = refused.iter().map(|index| (index.name.clone(), index.clone())).collect();
    let names: Vec<String> = refused.iter().map(|index| format!("-{}", index.name)).collect();
    Err(Error::new(ErrorKind::Unsupported, format!("restore {} of the indices on {}", refused.len(), target.version()))
        .because(live::told(&told))
        .hint(format!(
            "nothing was copied; migrate the others with `--indices '*,{}'` or `--leave-out-incompatible`",
            names.join(",")
        )))
}
