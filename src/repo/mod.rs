//! The snapshot repository format of Elasticsearch and OpenSearch, as far as it is needed to copy one safely.
//!
//! [`detect`] says whether a location is a repository, [`pin()`] takes hold of its newest generation beside a target, and
//! [`Order`] tells `transfer` which key may move when. What a key is comes from its name alone ([`kind`]); of the contents only
//! the root is read.

mod base;
mod codec;
mod container;
mod data;
mod generation;
mod index_meta;
mod layout;
mod name;
mod order;
mod pin;
mod reader;
mod shard;
mod snapshot;

use std::sync::Arc;

pub use self::base::Base;
pub use self::codec::Codec;
pub use self::container::{Containers, PathType, ShardPaths};
pub use self::data::{Family, IndexEntry, RootIndex, SnapshotEntry, Version};
pub use self::generation::Generation;
pub use self::index_meta::IndexMeta;
pub use self::layout::{BlobKind, kind};
pub use self::name::Name;
pub use self::order::Order;
pub use self::pin::{PinnedRoot, RootPin};
pub use self::reader::{Read, Reader, Shard};
pub use self::shard::{FileEntry, Part, ShardIndex, ShardIndexEntry, ShardSnapshot};
pub use self::snapshot::{FeatureState, IndexDetails, ShardFailure, SnapshotInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Key, ObjectStore};
use crate::transfer::Publication;

/// A snapshot repository as seen at one root.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The newest root.
    pub root: PinnedRoot,
    /// What it says.
    pub index: RootIndex,
    /// Whether there is an `index.latest` beside it.
    pub latest: bool,
}

/// Looks at the root of a location: a repository has an `index-<N>` there. None if it has not.
///
/// [`ErrorKind::Unsupported`] for the format that Elasticsearch wrote before 5.0, [`ErrorKind::Corrupt`] for a root that is
/// none.
pub async fn detect(store: &dyn ObjectStore) -> Result<Option<Repository>> {
    let (roots, root) = self::pin::newest(store).await?;
    let Some(root) = root else {
        if let Some(meta) = &roots.unnumbered {
            refuse_ancient(store, &meta.key, meta.size).await?;
        }
        return Ok(None);
    };
    let index = root.parse()?;
    Ok(Some(Repository { root, index, latest: roots.latest }))
}

/// A root `index` with a list of snapshots is that of Elasticsearch 2 or older; any other file may be called so.
async fn refuse_ancient(store: &dyn ObjectStore, key: &Key, size: u64) -> Result<()> {
    const PLAUSIBLE: u64 = 16 * 1024 * 1024;
    if size > PLAUSIBLE {
        return Ok(());
    }
    let bytes = self::pin::read(store, key).await?.unwrap_or_default();
    let found: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    if found.is_some_and(|root| root.get("snapshots").is_some_and(serde_json::Value::is_array)) {
        return Err(Error::new(ErrorKind::Unsupported, "copy this repository")
            .because("it has the format of Elasticsearch 2 and older, whose root `index` is overwritten in place")
            .hint("restore it into Elasticsearch 5 and snapshot from there; `--mode plain` copies the files as they are, without any order"));
    }
    Ok(())
}

/// Takes hold of a source for a copy to `target`: its newest root, checked against what the target holds.
///
/// Refused are a source whose data is not below its prefix ([`ErrorKind::Unsupported`]), a target with a higher generation, and
/// a target that is another repository ([`ErrorKind::Diverged`]).
pub async fn pin(
    repository: &Repository,
    source: Arc<dyn ObjectStore>,
    target: Arc<dyn ObjectStore>,
) -> Result<RootPin> {
    repository.index.must_be_below_prefix()?;
    let generation = repository.root.generation;
    let (_, there) = self::pin::newest(target.as_ref()).await?;
    if let Some(there) = &there {
        check_target(repository, there)?;
    }
    let same = there.as_ref().filter(|there| there.generation == generation).map(|there| there.bytes.clone());
    let mut publications = Vec::new();
    // Before the root: a reader of the old root loses nothing by it, and a reader of the new one finds it.
    let key = Key::new("incompatible-snapshots").expect("it is not empty");
    if repository.may_have_incompatible()
        && let Some(bytes) = self::pin::read(source.as_ref(), &key).await?
    {
        let there = self::pin::read(target.as_ref(), &key).await?;
        publications.push(Publication { key, bytes, there });
    }
    publications.push(Publication { key: generation.key(), bytes: repository.root.bytes.clone(), there: same });
    if repository.latest {
        let key = Key::new("index.latest").expect("it is not empty");
        // Elasticsearch writes this one at its best effort, so the source's may lag behind; readers shall see what we publish.
        let bytes = generation.latest();
        let there = self::pin::read(target.as_ref(), &key).await?;
        publications.push(Publication { key, bytes, there });
    }
    Ok(RootPin {
        source,
        target,
        generation,
        size: repository.root.bytes.len() as u64,
        there: there.map(|there| there.generation),
        publications,
    })
}

impl Repository {
    /// Only Elasticsearch 5.5 to 6.x write `incompatible-snapshots`; their roots have no `uuid`. Saves newer ones a request.
    fn may_have_incompatible(&self) -> bool {
        self.index.uuid.is_none()
    }
}

fn check_target(repository: &Repository, there: &PinnedRoot) -> Result<()> {
    let generation = repository.root.generation;
    let diverged = |cause: String| {
        Error::new(ErrorKind::Diverged, format!("copy generation {generation} over the target")).because(cause)
    };
    if there.generation > generation {
        return Err(diverged(format!("the target already holds generation {}", there.generation))
            .hint("the source went back, or a cluster wrote to the target: sync to an empty prefix"));
    }
    let Ok(index) = there.parse() else {
        tracing::warn!(generation = %there.generation, "the target's newest root cannot be read; it will be superseded");
        return Ok(());
    };
    if !repository.index.is_related_to(&index) {
        return Err(diverged("the target is a different repository".to_owned())
            .hint("check both locations, or sync to an empty prefix"));
    }
    if there.generation == generation
        && let Some(snapshot) = repository.index.lacks(&index)
    {
        return Err(diverged(format!(
            "the target's own generation {generation} lists the snapshot `{}`, which the source does not know",
            snapshot.name
        ))
        .hint("a cluster wrote to the target: sync to an empty prefix, and register copies read-only"));
    }
    if there.generation < generation
        && let Some(snapshot) = repository.index.lacks(&index)
    {
        tracing::warn!(snapshot = %snapshot.name, "the target lists a snapshot that the source does not; the root to be published will not");
    }
    Ok(())
}
