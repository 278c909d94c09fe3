//! Taking hold of a repository: which root is the newest, what it holds, and whether it still is the newest later.
//!
//! The newest is the highest N among `index-<N>` at the root, compared as a number; `index.latest` is only a hint.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::data::RootIndex;
use super::generation::Generation;
use super::layout::{BlobKind, kind};
use super::order::Order;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{GetOptions, Key, ListOptions, ObjectMeta, ObjectStore};
use crate::transfer::{Held, Pin, Publication};

/// Root objects are read whole. The largest seen in the field are about 100 MB (a thousand snapshots of ten thousand indices).
const LARGEST_ROOT: u64 = 512 * 1024 * 1024;

/// What lies at the root of a location, as far as it says whether and at which generation it is a repository.
#[derive(Debug, Default)]
pub(super) struct Roots {
    pub(super) newest: Option<(Generation, ObjectMeta)>,
    pub(super) latest: bool,
    /// A root `index` without a number: Elasticsearch before 5.0 wrote it.
    pub(super) unnumbered: Option<ObjectMeta>,
}

impl Roots {
    /// Lists the root of a location.
    pub(super) async fn list(store: &dyn ObjectStore) -> Result<Self> {
        let mut roots = Self::default();
        let mut pages = store.list(ListOptions { prefix: "index".to_owned(), after: None });
        while let Some(page) = pages.try_next().await? {
            for meta in page {
                match kind(meta.key.as_str()) {
                    BlobKind::RootIndex(generation)
                        if roots.newest.as_ref().is_none_or(|(newest, _)| generation > *newest) =>
                    {
                        roots.newest = Some((generation, meta));
                    }
                    BlobKind::RootIndex(_) => {}
                    BlobKind::Latest => roots.latest = true,
                    _ if meta.key.as_str() == "index" => roots.unnumbered = Some(meta),
                    _ => {}
                }
            }
        }
        Ok(roots)
    }
}

/// The newest root of a location, read.
#[derive(Debug, Clone)]
pub struct PinnedRoot {
    /// Its generation.
    pub generation: Generation,
    /// Its content.
    pub bytes: Bytes,
}

impl PinnedRoot {
    /// A short print of the content, for people to compare: the first twelve digits of its SHA-256.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.bytes).iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    /// What it says.
    pub fn parse(&self) -> Result<RootIndex> {
        RootIndex::parse(self.generation.key().as_str(), &self.bytes)
    }
}

/// Reads a small object whole; none if it is not there.
pub(super) async fn read(store: &dyn ObjectStore, key: &Key) -> Result<Option<Bytes>> {
    match store.get(key, GetOptions::default()).await {
        Ok(got) => got.body.collect(LARGEST_ROOT).await.map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A root may be superseded and removed between the listing and the reading (Elasticsearch 8 does so at once).
const LOOKS: u32 = 5;

/// Finds and reads the newest root of a location.
pub(super) async fn newest(store: &dyn ObjectStore) -> Result<(Roots, Option<PinnedRoot>)> {
    for _ in 0..LOOKS {
        let roots = Roots::list(store).await?;
        let Some((generation, _)) = &roots.newest else { return Ok((roots, None)) };
        let generation = *generation;
        if let Some(bytes) = read(store, &generation.key()).await? {
            return Ok((roots, Some(PinnedRoot { generation, bytes })));
        }
    }
    Err(Error::new(ErrorKind::SourceMoved, "read the newest root")
        .because(format!("{LOOKS} times it was gone between being listed and being read")))
}

/// This format's pin: the source's newest root, and what the target's newest root was at that time.
pub struct RootPin {
    pub(super) source: Arc<dyn ObjectStore>,
    pub(super) target: Arc<dyn ObjectStore>,
    pub(super) generation: Generation,
    pub(super) size: u64,
    pub(super) there: Option<Generation>,
    pub(super) publications: Vec<Publication>,
}

impl RootPin {
    /// The order in which a copy of what is pinned happens.
    #[must_use]
    pub fn order(&self) -> Order {
        let incompatible =
            self.publications.iter().any(|publication| kind(publication.key.as_str()) == BlobKind::Incompatible);
        Order::new(self.generation, incompatible)
    }
}

#[async_trait]
impl Pin for RootPin {
    fn generation(&self) -> Option<u64> {
        Some(self.generation.number())
    }

    fn publications(&self) -> &[Publication] {
        &self.publications
    }

    async fn still_holds(&self) -> Result<Held> {
        let there = Roots::list(self.target.as_ref()).await?.newest.map(|(generation, _)| generation);
        // A killed run of ours may have published in between what we pinned too.
        if there != self.there && there != Some(self.generation) {
            return Err(Error::new(ErrorKind::Diverged, format!("publish generation {}", self.generation))
                .because(match there {
                    Some(there) => format!("somebody else published generation {there} at the target meanwhile"),
                    None => "the target's root was removed meanwhile".to_owned(),
                })
                .hint("make sure that no cluster has the target registered writable and that no other sync runs, then run again"));
        }
        match Roots::list(self.source.as_ref()).await?.newest {
            Some((generation, meta)) if generation == self.generation && meta.size == self.size => Ok(Held::Yes),
            Some((generation, _)) => Ok(Held::Moved { now: generation.number() }),
            None => Err(Error::new(ErrorKind::SourceMoved, format!("publish generation {}", self.generation))
                .because("the source has no root any more")
                .hint("the source was deleted or moved while it was copied; the target was left as it was")),
        }
    }
}
