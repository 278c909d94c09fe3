//! Inspect: what a snapshot repository holds, read offline, blob by blob.
//!
//! 1. The newest root is found and read. Where it is none, the error says which older one is whole.
//! 2. The descriptions of the snapshots are read, then the metadata of the indices ([`survey`]).
//! 3. The shards are looked at one after the other, several at once ([`tour`]): their files give the sizes, and, beside a listing, the
//!    garbage.
//!
//! A blob that is damaged or missing is told with its snapshot and stops nothing. Only the root must be whole.

mod assemble;
mod judge;
mod needed;
mod report;
mod survey;
mod tour;

use std::pin::pin;
use std::sync::Arc;

use futures::{TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use self::assemble::{Assembly, Chosen};
pub use self::report::{
    Failure, FeatureState, File, Garbage, IndexDetail, IndexVerdict, Report, Restorable, Shards, Sizes, Snapshot,
};
use self::survey::{AT_ONCE, Survey};
use self::tour::Tour;
use super::End;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::repo::{self, Base, BlobKind, ClusterVersion, Generation, Reader, Repository, RootIndex, kind};
use crate::store::wrap::{Policy, Retry};
use crate::store::{GetOptions, ListOptions, ObjectStore};

/// The longest root that is read, in bytes. The largest seen in the field have about 100 MB.
const LARGEST_ROOT: u64 = 512 * 1024 * 1024;

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names and globs of snapshots; empty for all. Those named are told index by index.
    pub snapshots: Vec<String>,
    /// Names and globs of indices; empty for all. Those named are told index by index.
    pub indices: Vec<String>,
    /// Whether indices are told down to their files.
    pub files: bool,
    /// Whether shards are looked at, without which there are no sizes.
    pub sizes: bool,
    /// Whether to look for what no snapshot needs. Lists the location.
    pub garbage: bool,
    /// Versions of clusters to judge a restore for.
    pub targets: Vec<ClusterVersion>,
    /// When and how often to try again.
    pub retry: Policy,
}

/// Inspects the repository at `end`.
///
/// [`ErrorKind::NotFound`] where there is no repository, and for a snapshot or index that it has not; [`ErrorKind::Corrupt`] for a root
/// that is none; [`ErrorKind::Unsupported`] for a format older or newer than those known.
pub async fn run(
    end: &End,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    cancel: &CancellationToken,
) -> Result<Report> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => {
            Err(Error::new(ErrorKind::Cancelled, format!("inspect `{}`", end.location)).because("a signal asked to stop"))
        }
        report = inspect(end, options, reporter) => report,
    }
}

async fn inspect(end: &End, options: &Options, reporter: Arc<dyn Reporter>) -> Result<Report> {
    let patient = |store| -> Arc<dyn ObjectStore> { Arc::new(Retry::new(store, options.retry, reporter.clone())) };
    reporter.report(&Event::Step("read the root"));
    let repository = find(end, &patient(end.store.clone())).await?;
    let chosen = Chosen::new(options, &repository.index)?;
    let inside = |error: Error| error.while_doing(format!("inspect `{}`", end.location));
    let base = end.base(&repository.index).await.map_err(inside)?;
    let base = Base { store: patient(base.store), path: base.path };
    let reader = Reader::new(base, repository.index).await.map_err(inside)?;
    let mut survey = Survey::new(reader, repository.root.generation);
    reporter.report(&Event::Step("read the snapshots"));
    survey.read_snapshots(|uuid| chosen.has_snapshot(uuid), options.garbage).await?;
    if options.sizes || options.garbage || chosen.details || !options.targets.is_empty() {
        reporter.report(&Event::Step("read the indices"));
        survey.read_indices(options.garbage).await?;
    }
    let mut assembly = Assembly::new(&survey, &chosen, options);
    if options.sizes || options.garbage {
        reporter.report(&Event::Step("look at the shards"));
        let tour = stream::try_unfold(Tour::new(&survey, options.garbage), |mut tour| async move {
            Ok::<_, Error>(tour.next().await?.map(|task| (task, tour)))
        });
        let files = |snapshot: u32, index: u32| {
            options.files
                && survey.snapshots[snapshot as usize].shown
                && chosen.has_index(&survey.indices[index as usize].name)
        };
        let mut seen = pin!(tour.map_ok(|task| survey.perform(task, &files)).try_buffer_unordered(AT_ONCE));
        while let Some(seen) = seen.try_next().await? {
            assembly.take(seen);
        }
    }
    Ok(assembly.finish())
}

/// Finds the repository at a location, or says what is there instead.
async fn find(end: &End, store: &Arc<dyn ObjectStore>) -> Result<Repository> {
    let doing = format!("inspect `{}`", end.location);
    let error = match repo::detect(store).await {
        Ok(Some(repository)) => return Ok(repository),
        Ok(None) => return Err(none_there(doing, store.as_ref()).await?),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::Corrupt => {
            let cause = error.cause().unwrap_or_default();
            Err(match older_root(store.as_ref()).await? {
                (newest, Some(whole)) => Error::new(ErrorKind::Corrupt, doing)
                    .because(format!("its newest root `index-{newest}` cannot be read ({cause}); `index-{whole}` below it is whole"))
                    .hint(format!(
                        "every cluster starts from the highest number: if `index-{newest}` is no root of this repository, move it away, and generation {whole} is the newest again"
                    )),
                _ => error.while_doing(doing).hint("put the root back from another copy of this repository"),
            })
        }
        ErrorKind::Unsupported => Err(error.instead(doing)),
        _ => Err(error),
    }
}

/// Roots below a broken one that are tried. Elasticsearch keeps one or two.
const OLDER: usize = 8;

/// The newest root, and the newest below it that can be read.
async fn older_root(store: &dyn ObjectStore) -> Result<(Generation, Option<Generation>)> {
    let mut roots = Vec::new();
    let mut pages = store.list(ListOptions { prefix: "index-".to_owned(), after: None });
    while let Some(page) = pages.try_next().await? {
        roots.extend(page.iter().filter_map(|meta| match kind(meta.key.as_str()) {
            BlobKind::RootIndex(generation) => Some(generation),
            _ => None,
        }));
    }
    roots.sort_unstable();
    let newest = roots.pop().unwrap_or(Generation::new(0));
    for generation in roots.into_iter().rev().take(OLDER) {
        let key = generation.key();
        let read = store.get(&key, GetOptions::default()).await;
        let Ok(got) = read else { continue };
        let bytes = got.body.collect(LARGEST_ROOT).await?;
        if RootIndex::parse(key.as_str(), &bytes).is_ok() {
            return Ok((newest, Some(generation)));
        }
    }
    Ok((newest, None))
}

/// What to say of a location without a root. What looks like a repository otherwise has lost it.
async fn none_there(doing: String, store: &dyn ObjectStore) -> Result<Error> {
    for prefix in ["index.latest", "snap-", "indices/"] {
        let mut pages = store.list(ListOptions { prefix: prefix.to_owned(), after: None });
        while let Some(page) = pages.try_next().await? {
            if let Some(meta) = page.first() {
                return Ok(Error::new(ErrorKind::Corrupt, doing)
                    .because(format!("it holds {:?} and no root `index-<N>`, where every reader starts", meta.key))
                    .hint("a copy of it did not end, or the root was deleted: copy it again, or put the root back"));
            }
        }
    }
    Ok(Error::new(ErrorKind::NotFound, doing)
        .because("there is no root `index-<N>`: it is no snapshot repository")
        .hint("name the base path of the repository, letter by letter; `snapferry ls` shows what is there"))
}
