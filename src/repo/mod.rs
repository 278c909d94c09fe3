//! The snapshot repository format of Elasticsearch and OpenSearch, as far as it is needed to copy one safely.
//!
//! [`detect`] says whether a location is a repository, [`Reader`] reads its metadata, [`Walk`] finds every object that a copy needs, and
//! [`pin()`] takes hold of its newest generation beside a target and publishes what was asked for.

pub mod audit;
mod base;
mod codec;
mod compat;
mod container;
mod data;
mod generation;
mod index_meta;
mod layout;
mod name;
mod pin;
mod reader;
mod record;
mod release;
mod rewrite;
mod select;
mod shard;
mod snapshot;
mod stones;
pub mod surplus;
mod walk;

use std::sync::Arc;

pub use self::base::Base;
pub use self::codec::Codec;
pub use self::compat::{ClusterVersion, Judgement, Traits, Verdict};
pub use self::container::{Containers, PathType, ShardPaths};
pub use self::data::{Family, IndexEntry, RootIndex, SnapshotEntry, Version};
pub use self::generation::Generation;
pub use self::index_meta::IndexMeta;
pub use self::layout::{BlobKind, kind};
pub use self::name::Name;
pub use self::pin::{PinnedRoot, RootPin, Target};
pub use self::reader::{Read, Reader, Shard};
pub use self::record::RECORD;
use self::record::Record;
pub use self::release::{Product, Release, VersionId};
pub use self::rewrite::{
    Keep, KeptIndices, ShardFiles, generation_of, root as rewrite_root, snapshot_info as rewrite_snapshot_info,
};
pub use self::select::{Desired, Pick, Selection, glob};
pub use self::shard::{FileEntry, Part, ShardIndex, ShardIndexEntry, ShardSnapshot};
pub use self::snapshot::{FeatureState, IndexDetails, ShardFailure, SnapshotInfo};
pub use self::stones::stepping_stones;
pub use self::walk::{Damage, Exclusion, Found, Look, Walk};
use crate::error::{Error, ErrorKind, Result};
use tokio::sync::OnceCell;

use crate::store::ObjectStore;

/// A snapshot repository as seen at one root.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The newest root.
    pub root: PinnedRoot,
    /// What it says.
    pub index: Arc<RootIndex>,
    /// Whether there is an `index.latest` beside it.
    pub latest: bool,
}

/// Looks at the root of a location: a repository has an `index-<N>` there. None if it has not.
///
/// [`ErrorKind::Unsupported`] for the format that Elasticsearch wrote before 5.0, [`ErrorKind::Corrupt`] for a root that is
/// none.
pub async fn detect(store: &Arc<dyn ObjectStore>) -> Result<Option<Repository>> {
    let base = Base::at_root(store.clone());
    let (roots, root) = self::pin::newest(&base).await?;
    let Some(root) = root else {
        if let Some(meta) = &roots.unnumbered {
            refuse_ancient(&base, meta.size).await?;
        }
        return Ok(None);
    };
    let index = root.parse()?;
    Ok(Some(Repository { root, index: Arc::new(index), latest: roots.latest }))
}

/// A root `index` with a list of snapshots is that of Elasticsearch 2 or older; any other file may be called so.
async fn refuse_ancient(base: &Base, size: u64) -> Result<()> {
    const PLAUSIBLE: u64 = 16 * 1024 * 1024;
    if size > PLAUSIBLE {
        return Ok(());
    }
    let bytes = base.read_if_there("index", PLAUSIBLE).await?.unwrap_or_default();
    let found: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    if found.is_some_and(|root| root.get("snapshots").is_some_and(serde_json::Value::is_array)) {
        return Err(Error::new(ErrorKind::Unsupported, "copy this repository")
            .because("it has the format of Elasticsearch 2 and older, whose root `index` is overwritten in place")
            .hint("restore it into Elasticsearch 5 and snapshot from there; `--mode plain` copies the files as they are, without any order"));
    }
    Ok(())
}

/// What a target shows before a copy: five requests at most, and only reading ones.
pub async fn look_at(base: &Base) -> Result<Target> {
    let (roots, root) = self::pin::newest(base).await?;
    let latest = if roots.latest { base.read_if_there("index.latest", 1024).await? } else { None };
    let record = if roots.record { base.read_if_there(RECORD, 1024 * 1024).await? } else { None };
    Ok(Target { root, latest, record })
}

/// Takes hold of a source for a copy: its newest root, what the target shows, and the walk from one to the other.
///
/// Refused is a target that somebody else wrote to, or that is another repository ([`ErrorKind::Diverged`]). `identity` is the id that
/// a part of the repository gets.
pub fn pin(
    repository: &Repository,
    source: Arc<dyn ObjectStore>,
    target: Target,
    walk: Walk,
    identity: String,
) -> Result<RootPin> {
    let highest = target
        .root
        .as_ref()
        .map_or(repository.root.generation, |there| there.generation.max(repository.root.generation));
    if i64::try_from(highest.number()).is_ok_and(|number| number > i64::MAX - 1_000) {
        return Err(Error::new(ErrorKind::Unsupported, "publish a root behind this one")
            .because(format!("`index-{highest}` is about the highest number that Elasticsearch can read"))
            .hint("nobody counts as far: find out who wrote it, and copy a repository without it"));
    }
    if let (Some(root), Some(there)) = (&target.root, &walk.there) {
        let record = target.record.as_deref().and_then(Record::parse);
        check_target(repository, root, &there.root, record.as_ref())?;
    }
    let latest = repository.latest || target.latest.is_some();
    Ok(RootPin {
        source,
        root: repository.root.clone(),
        target,
        walk: Arc::new(walk),
        incompatible: OnceCell::new(),
        latest,
        strict: false,
        identity,
    })
}

fn check_target(repository: &Repository, there: &PinnedRoot, index: &RootIndex, record: Option<&Record>) -> Result<()> {
    let generation = repository.root.generation;
    let diverged = |cause: String| {
        Error::new(ErrorKind::Diverged, format!("copy generation {generation} over the target")).because(cause)
    };
    let faithful = there.generation == generation && there.bytes == repository.root.bytes;
    if let Some(record) = record {
        if record.source.is_some() && record.source != repository.index.uuid {
            return Err(diverged("the target is a copy of a different repository".to_owned())
                .hint("check both locations, or sync to an empty prefix"));
        }
        if !faithful && !record.knows(there.generation, &there.bytes) {
            return Err(diverged(format!("somebody else published its newest root `index-{}`", there.generation))
                .hint("a cluster wrote to the target: sync to an empty prefix, and register copies read-only"));
        }
        return Ok(());
    }
    if there.generation > generation {
        return Err(diverged(format!("the target already holds generation {}", there.generation))
            .hint("the source went back, or a cluster wrote to the target: sync to an empty prefix"));
    }
    if !repository.index.is_related_to(index) {
        return Err(diverged("the target is a different repository".to_owned())
            .hint("check both locations, or sync to an empty prefix"));
    }
    if there.generation == generation
        && let Some(snapshot) = repository.index.lacks(index)
    {
        return Err(diverged(format!(
            "the target's own generation {generation} lists the snapshot `{}`, which the source does not know",
            snapshot.name
        ))
        .hint("a cluster wrote to the target: sync to an empty prefix, and register copies read-only"));
    }
    Ok(())
}
