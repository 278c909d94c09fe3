//! Taking hold of a repository: which root is the newest, what it holds, and whether it still is the newest later.
//!
//! The newest is the highest N among `index-<N>` at the root, compared as a number; `index.latest` is only a hint.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::base::Base;
use super::data::{Family, RootIndex};
use super::generation::Generation;
use super::layout::{BlobKind, kind};
use super::name::Name;
use super::record::{RECORD, Record};
use super::rewrite::{self, Keep, KeptIndices};
use super::walk::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ListOptions, ObjectMeta, ObjectStore};
use crate::transfer::{Held, Pin, Publication, Published};

/// Root objects are read whole. The largest seen in the field are about 100 MB (a thousand snapshots of ten thousand indices).
pub(super) const LARGEST_ROOT: u64 = 512 * 1024 * 1024;

/// What lies at the root of a location, as far as it says whether and at which generation it is a repository.
#[derive(Debug, Default)]
pub(super) struct Roots {
    pub(super) newest: Option<(Generation, ObjectMeta)>,
    pub(super) latest: bool,
    /// Whether we recorded there what we published.
    pub(super) record: bool,
    /// A root `index` without a number: Elasticsearch before 5.0 wrote it.
    pub(super) unnumbered: Option<ObjectMeta>,
}

impl Roots {
    /// Lists the root of a location.
    pub(super) async fn list(base: &Base) -> Result<Self> {
        let mut roots = Self::default();
        let prefix = base.key("index").as_str().to_owned();
        let mut pages = base.store.list(ListOptions { prefix, after: None });
        while let Some(page) = pages.try_next().await? {
            for meta in page {
                let name = base.name(&meta.key).unwrap_or_default();
                match kind(name) {
                    BlobKind::RootIndex(generation)
                        if roots.newest.as_ref().is_none_or(|(newest, _)| generation > *newest) =>
                    {
                        roots.newest = Some((generation, meta));
                    }
                    BlobKind::RootIndex(_) => {}
                    BlobKind::Latest => roots.latest = true,
                    _ if name == "index" => roots.unnumbered = Some(meta),
                    _ if name == RECORD => roots.record = true,
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

/// A root may be superseded and removed between the listing and the reading (Elasticsearch 8 does so at once).
const LOOKS: u32 = 5;

/// Finds and reads the newest root of a location.
pub(super) async fn newest(base: &Base) -> Result<(Roots, Option<PinnedRoot>)> {
    for _ in 0..LOOKS {
        let roots = Roots::list(base).await?;
        let Some((generation, _)) = &roots.newest else { return Ok((roots, None)) };
        let generation = *generation;
        if let Some(bytes) = base.read_if_there(generation.key().as_str(), LARGEST_ROOT).await? {
            return Ok((roots, Some(PinnedRoot { generation, bytes })));
        }
    }
    Err(Error::new(ErrorKind::SourceMoved, "read the newest root")
        .because(format!("{LOOKS} times it was gone between being listed and being read")))
}

/// This format's pin: the source's newest root, what the target shows, and the walk from one to the other.
pub struct RootPin {
    pub(super) source: Arc<dyn ObjectStore>,
    pub(super) root: PinnedRoot,
    pub(super) target: Target,
    pub(super) walk: Arc<Walk>,
    /// What `incompatible-snapshots` says at the source and at the target; only Elasticsearch 5.5 to 6.x write it.
    pub(super) incompatible: OnceCell<Option<(Bytes, Option<Bytes>)>>,
    /// Whether readers that cannot list are to find the copy too.
    pub(super) latest: bool,
    /// Whether any change of the source counts, and not only that of what is copied.
    pub(super) strict: bool,
    /// The id that the copy has if it is not the whole of the source.
    pub(super) identity: String,
}

/// What a target shows before a copy.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Its newest root.
    pub root: Option<PinnedRoot>,
    /// What its `index.latest` says.
    pub latest: Option<Bytes>,
    /// What we recorded there, as it lies there.
    pub record: Option<Bytes>,
}

impl RootPin {
    /// The same, for which any change of the source counts.
    #[must_use]
    pub fn strict(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// Reads what only a run with work to do needs.
    pub async fn begin(&self) -> Result<()> {
        self.incompatible.get_or_try_init(|| self.read_incompatible()).await?;
        self.walk.begin().await
    }

    /// Only Elasticsearch 5.5 to 6.x write it. Saves newer ones a request.
    async fn read_incompatible(&self) -> Result<Option<(Bytes, Option<Bytes>)>> {
        const NAME: &str = "incompatible-snapshots";
        if self.walk.root().family() != Family::F1 {
            return Ok(None);
        }
        let Some(bytes) = Base::at_root(self.source.clone()).read_if_there(NAME, LARGEST_ROOT).await? else {
            return Ok(None);
        };
        Ok(Some((bytes, self.walk.target.read_if_there(NAME, LARGEST_ROOT).await?)))
    }

    /// Whether the target's newest root is another one by now.
    pub async fn target_moved(&self) -> Result<bool> {
        let now = Roots::list(&self.walk.target).await?.newest.map(|(generation, _)| generation);
        Ok(now != self.target.root.as_ref().map(|root| root.generation))
    }

    /// Everything the copy needs.
    #[must_use]
    pub fn walk(&self) -> &Arc<Walk> {
        &self.walk
    }

    /// Whether nothing is left to do: the target's root, and what readers without listings are told, are as they shall be.
    pub fn is_there(&self) -> Result<bool> {
        if !self.walk.is_settled() {
            return Ok(false);
        }
        let published = self.published()?;
        Ok(published.publications.iter().all(|one| one.there.as_ref() == Some(&one.bytes)))
    }

    /// Whether data under a name that came back would replace what the target's visible root still needs.
    pub async fn needs_retire(&self) -> Result<bool> {
        let vanished = self.vanished();
        if vanished.is_empty() || self.walk.root().family() != Family::F1 {
            return Ok(false);
        }
        self.walk.clone().overwrites(vanished).await
    }

    /// The snapshots that the target's root lists and the source's does not.
    #[must_use]
    pub fn vanished(&self) -> BTreeSet<Name> {
        let source: BTreeSet<&Name> = self.walk.root().snapshots.iter().map(|snapshot| &snapshot.uuid).collect();
        let there = self.walk.there.iter().flat_map(|there| &there.root.snapshots);
        there.map(|snapshot| snapshot.uuid.clone()).filter(|uuid| !source.contains(uuid)).collect()
    }

    /// The snapshots that the target's root lists now and the copy would not, by name.
    #[must_use]
    pub fn unlisted(&self) -> Vec<String> {
        let stay = self.walk.desired.uuids(self.walk.root());
        let there = self.walk.there.iter().flat_map(|there| &there.root.snapshots);
        there.filter(|snapshot| !stay.contains(&snapshot.uuid)).map(|snapshot| snapshot.name.to_string()).collect()
    }

    /// A root without the snapshots that the source has no more: published before blobs whose names came back are replaced.
    pub fn retiring(&self) -> Result<Published> {
        let (Some(there), Some(reader)) = (&self.target.root, &self.walk.there) else {
            return Err(Error::new(ErrorKind::Internal, "retire snapshots").because("the target has none"));
        };
        let gone = self.vanished();
        let stay = reader.root.snapshots.iter().map(|snapshot| &snapshot.uuid).filter(|uuid| !gone.contains(*uuid));
        let keep = Keep { snapshots: stay.map(|uuid| (uuid.clone(), KeptIndices::All)).collect(), ..Keep::default() };
        let bytes = rewrite::root(&there.bytes, &keep)?;
        Ok(self.publish(bytes, there.generation.next(), Vec::new()))
    }

    fn published(&self) -> Result<Published> {
        let bytes = self.bytes()?;
        let generation = match &self.target.root {
            Some(there) if there.bytes == bytes => there.generation,
            // Nobody can have read that one.
            Some(_) if self.walk.there.is_none() => self.root.generation,
            Some(there) => self.root.generation.max(there.generation.next()),
            None => self.root.generation,
        };
        let afterwards = self.walk.found.afterwards().into_iter().map(|(uuid, bytes)| {
            let key = self.walk.target.key(&format!("snap-{uuid}.dat"));
            Publication { key, bytes, there: None, create: false }
        });
        Ok(self.publish(bytes, generation, afterwards.collect()))
    }

    /// The root that the copy shall have.
    fn bytes(&self) -> Result<Bytes> {
        let source = &self.walk.root();
        let there = self.walk.there.as_ref().and_then(|there| there.root.id());
        // A copy keeps the id it once had. A part of a repository is not that repository: it gets an id of its own.
        let uuid = match (source.id(), there) {
            (None, _) => None,
            (Some(id), Some(there)) => (id != there).then(|| there.to_owned()),
            (Some(_), None) => self.walk.desired.is_selection().then(|| self.identity.clone()),
        };
        let generations = self.walk.found.generations();
        if self.walk.desired.is_all() && uuid.is_none() && generations.is_empty() {
            return Ok(self.root.bytes.clone());
        }
        let snapshots = self.walk.desired.snapshots(source);
        let snapshots = snapshots.into_iter().map(|(uuid, indices)| (uuid, KeptIndices::These(Arc::new(indices))));
        rewrite::root(&self.root.bytes, &Keep { snapshots: snapshots.collect(), generations, uuid })
    }

    /// The objects that make a root visible, in the order in which they are to be written.
    fn publish(&self, bytes: Bytes, generation: Generation, afterwards: Vec<Publication>) -> Published {
        let base = &self.walk.target;
        let mut publications = Vec::new();
        // Before the root: a reader of the old root loses nothing by it, and a reader of the new one finds it.
        if let Some(Some((bytes, there))) = self.incompatible.get() {
            let key = base.key("incompatible-snapshots");
            publications.push(Publication { key, bytes: bytes.clone(), there: there.clone(), create: false });
        }
        let faithful = generation == self.root.generation && bytes == self.root.bytes;
        let there = self.target.root.as_ref().filter(|there| there.generation == generation);
        if there.is_none() && (!faithful || self.target.record.is_some()) {
            let source = self.walk.root().uuid.as_deref();
            let mut record = self.target.record.as_deref().and_then(Record::parse).unwrap_or_default();
            // What is visible now stays so if the run is stopped behind the record.
            if let Some(there) = &self.target.root {
                record = record.with(source, there.generation, &there.bytes);
            }
            let record = record.with(source, generation, &bytes);
            publications.push(Publication {
                key: base.key(RECORD),
                bytes: record.bytes(),
                there: self.target.record.clone(),
                create: false,
            });
        }
        publications.push(Publication {
            key: base.key(generation.key().as_str()),
            bytes,
            there: there.map(|there| there.bytes.clone()),
            create: there.is_none(),
        });
        if self.latest {
            // Elasticsearch writes this one at its best effort, so the source's may lag behind; readers shall see what we publish.
            let (key, there) = (base.key("index.latest"), self.target.latest.clone());
            publications.push(Publication { key, bytes: generation.latest(), there, create: false });
        }
        publications.extend(afterwards);
        Published { generation: Some(generation.number()), publications }
    }

    fn moved(&self, what: &str) -> Error {
        Error::new(ErrorKind::Diverged, format!("publish generation {}", self.root.generation))
            .because(what.to_owned())
            .hint("make sure that no cluster has the target registered writable and that no other sync runs, then run again")
    }
}

#[async_trait]
impl Pin for RootPin {
    fn generation(&self) -> Option<u64> {
        Some(self.root.generation.number())
    }

    fn publications(&self) -> Result<Published> {
        self.published()
    }

    async fn still_holds(&self) -> Result<Held> {
        let there = Roots::list(&self.walk.target).await?.newest.map(|(generation, _)| generation);
        let before = self.target.root.as_ref().map(|root| root.generation);
        if there != before {
            return Err(match there {
                Some(there) => {
                    self.moved(&format!("somebody else published generation {there} at the target meanwhile"))
                }
                None => self.moved("the target's root was removed meanwhile"),
            });
        }
        let base = Base::at_root(self.source.clone());
        let (generation, size) = (self.root.generation, self.root.bytes.len() as u64);
        match Roots::list(&base).await?.newest {
            Some((now, meta)) if now == generation && meta.size == size => return Ok(Held::Yes),
            Some((now, _)) if self.strict => return Ok(Held::Moved { now: now.number() }),
            Some(_) => {}
            None => {
                return Err(Error::new(ErrorKind::SourceMoved, format!("publish generation {generation}"))
                    .because("the source has no root any more")
                    .hint("the source was deleted or moved while it was copied; the target was left as it was"));
            }
        }
        // A snapshot that was made meanwhile is for the next run; one that was deleted must not be published.
        let (_, now) = newest(&base).await?;
        let Some(now) = now else { return Ok(Held::Moved { now: generation.number() }) };
        let root = now.parse()?;
        let listed: BTreeSet<&Name> = root.snapshots.iter().map(|snapshot| &snapshot.uuid).collect();
        let held = self.walk.desired.uuids(self.walk.root()).iter().all(|uuid| listed.contains(uuid));
        Ok(if held { Held::Yes } else { Held::Moved { now: now.generation.number() } })
    }
}
