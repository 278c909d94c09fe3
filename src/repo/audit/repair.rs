//! Puts damaged objects right from another copy of the same repository: just those, each proven before it counts.
//!
//! 1. A metadata blob is read whole at the source, and must be the blob of that snapshot, index or shard, whole and of the right codec.
//! 2. A file of one object has its checksum in its entry; of one in several parts the whole is proven at the source first.
//! 3. Objects that are not what they should be are written; the last bytes are held back until the checksum is right, so that what is
//!    damaged at the source too never becomes an object.
//!
//! Roots are never written: they say what the repository is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::super::data::RootIndex;
use super::super::generation::Generation;
use super::super::name::Name;
use super::super::reader::{Reader, Shard};
use super::super::shard::Part;
use super::content::prove;
use super::file::DataFile;
use super::finding::Finding;
use super::kind::FindingKind;
use super::write::{Source, write};
use super::{Again, FILES};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::store::wrap::{Policy, retry};
use crate::store::{Algorithm, Body, Checksum, Digest, GetOptions, Key, PutOptions};

/// What would heal a finding.
#[derive(Debug, Clone)]
pub(super) enum Remedy {
    /// A metadata blob, whole.
    Blob(Blob),
    /// The objects of a file.
    File(Box<DataFile>),
}

/// A metadata blob, by what it is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Blob {
    /// The description of a snapshot, by its id.
    Info(String),
    /// The cluster state of a snapshot, by its id.
    Global(String),
    /// The metadata of an index, by its name below the base path.
    Index { name: String, index: String },
    /// The list of a shard in one snapshot.
    ShardSnapshot { index: String, id: String, shard: u32, uuid: String },
    /// The list of a shard in all snapshots.
    ShardIndex { index: String, id: String, shard: u32, generation: String },
}

/// A repository and another copy of it.
pub struct Repair {
    source: Reader,
    target: Reader,
    policy: Policy,
    reporter: Arc<dyn Reporter>,
}

/// What a repair did.
#[derive(Debug, Default)]
pub struct Healed {
    /// Objects that were written.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What could not be put right, by its key.
    pub failed: BTreeMap<String, Error>,
    /// What is to be looked at again.
    pub again: Again,
}

impl Repair {
    /// Repairs `target` from `source`. [`ErrorKind::Diverged`] if they are not the same repository.
    pub fn new(source: Reader, target: Reader, policy: Policy, reporter: Arc<dyn Reporter>) -> Result<Self> {
        if !target.root.is_related_to(&source.root) && !overlap(&target.root, &source.root) {
            return Err(Error::new(ErrorKind::Diverged, "repair from another copy")
                .because("the two are different repositories: neither their ids nor their snapshots are the same")
                .hint("name a place that holds the same repository"));
        }
        Ok(Self { source, target, policy, reporter })
    }

    /// Puts right what the findings name. What cannot be is told and stays as it is.
    pub async fn heal(&self, findings: &[Finding]) -> Healed {
        let mut healed = Healed::default();
        let (mut blobs, mut files) = (BTreeMap::new(), BTreeMap::new());
        for finding in findings.iter().filter(|finding| finding.kind != FindingKind::UnreadableObject) {
            match &finding.remedy {
                Some(Remedy::Blob(blob)) => drop(blobs.insert(blob.clone(), finding)),
                Some(Remedy::File(file)) => {
                    healed.again.files.insert(self.place_of(file, finding));
                    files.insert((file.container.clone(), file.identity.name.clone()), (file, finding));
                }
                None => {}
            }
        }
        if !blobs.is_empty() || !files.is_empty() {
            self.reporter.report(&Event::Step("repair"));
        }
        for (blob, finding) in blobs {
            let written = self.blob(&blob).await;
            if written.is_ok() {
                self.look_again(&blob, finding, &mut healed.again);
            }
            healed.take(finding, written);
        }
        let writing = stream::iter(files.into_values()).map(|(file, finding)| async move {
            let index = finding.index.clone().unwrap_or_default();
            (finding, self.file(file, &index).await)
        });
        let mut writing = writing.buffer_unordered(FILES);
        while let Some((finding, written)) = writing.next().await {
            healed.take(finding, written);
        }
        drop(writing);
        healed
    }

    fn id_of(&self, finding: &Finding) -> String {
        let index = finding.index.as_ref().and_then(|index| self.target.root.indices.get(index));
        index.map(|index| index.id.to_string()).unwrap_or_default()
    }

    fn place_of(&self, file: &DataFile, finding: &Finding) -> (String, u32, String) {
        (self.id_of(finding), file.shard, file.identity.name.clone())
    }

    /// What could not be looked at before this blob was put right.
    fn look_again(&self, blob: &Blob, finding: &Finding, again: &mut Again) {
        match blob {
            Blob::Index { .. } => drop(again.indices.insert(self.id_of(finding))),
            Blob::ShardSnapshot { id, shard, .. } => drop(again.shards.insert((id.clone(), *shard))),
            Blob::Info(_) | Blob::Global(_) | Blob::ShardIndex { .. } => {}
        }
    }

    /// Writes a metadata blob; gives how many objects and bytes that were.
    async fn blob(&self, blob: &Blob) -> Result<(u64, u64)> {
        let (key, bytes) = match blob {
            Blob::Info(uuid) => (self.target.info_key(uuid), self.source.info(uuid).await?.bytes),
            Blob::Global(uuid) => (self.target.global_key(uuid), self.source.global(uuid).await?.bytes),
            Blob::Index { name, index } => {
                let read = self.source.index_meta(self.source.base.key(name), index).await?;
                (self.target.base.key(name), read.bytes)
            }
            Blob::ShardSnapshot { index, id, shard, uuid } => {
                let (from, to) = self.shards(index, id, *shard)?;
                let read = self.source.shard_snapshot(&from, uuid).await?;
                let named = self.target.root.snapshot(uuid).map(|snapshot| snapshot.name.as_str());
                if named.is_some_and(|name| name != read.says.name) {
                    return Err(unlike(&read.key, "it is of a snapshot of another name"));
                }
                (to.snapshot_key(uuid), read.bytes)
            }
            Blob::ShardIndex { index, id, shard, generation } => {
                if Generation::parse(generation).is_some() {
                    return Err(unlike(
                        &Key::new(format!("index-{generation}"))?,
                        "a number does not say whether it is the same list",
                    ));
                }
                let (from, to) = self.shards(index, id, *shard)?;
                (to.key(&format!("index-{generation}")), self.source.shard_index(&from, generation).await?.bytes)
            }
        };
        self.put(&key, &bytes).await?;
        Ok((1, bytes.len() as u64))
    }

    async fn put(&self, key: &Key, bytes: &Bytes) -> Result<()> {
        retry(&self.policy, self.reporter.as_ref(), || async {
            self.target.base.store.put(key, Body::from_bytes(bytes.clone()), &PutOptions::default()).await.map(drop)
        })
        .await
    }

    /// A shard at the source and at the target. The index must have the same id.
    fn shards(&self, index: &str, id: &str, number: u32) -> Result<(Shard, Shard)> {
        let find = |reader: &Reader, side: &str| -> Result<Shard> {
            let entry = reader.root.indices.get(index).filter(|entry| entry.id == Name::from(id)).ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("find the index `{index}` ({id})"))
                    .because(format!("the root of the {side} does not list it"))
            })?;
            let shard = reader.shards(index, entry, number + 1)?.pop();
            shard.ok_or_else(|| Error::new(ErrorKind::Internal, format!("find shard {number} of `{index}`")))
        };
        Ok((find(&self.source, "source")?, find(&self.target, "target")?))
    }

    /// Writes those objects of a file that are not what they should be.
    async fn file(&self, file: &DataFile, index: &str) -> Result<(u64, u64)> {
        let id = self.target.root.indices.get(index).map(|entry| entry.id.to_string()).unwrap_or_default();
        let (from, _) = self.shards(index, &id, file.shard)?;
        let there = DataFile { container: from.container, ..file.clone() };
        let wanted = self.wanted(&there).await?;
        let mut written = (0, 0);
        for (part, expected) in file.identity.parts().zip(wanted) {
            if self.held(&file.key(&part), &part).await? == Some(expected) {
                continue;
            }
            let source =
                Source { store: &self.source.base.store, key: there.key(&part), length: part.length, expected };
            write(&source, self.target.base.store.as_ref(), &file.key(&part), &self.policy, self.reporter.as_ref())
                .await?;
            written = (written.0 + 1, written.1 + part.length);
        }
        Ok(written)
    }

    /// The checksum of each object of a file: from its entry, or from the source, if the whole is proven there.
    async fn wanted(&self, file: &DataFile) -> Result<Vec<Checksum>> {
        if let (Some(whole), 1) = (file.identity.whole(), file.identity.parts().count()) {
            return Ok(vec![whole]);
        }
        let proof = prove(self.source.base.store.as_ref(), file, &self.policy, self.reporter.as_ref()).await?;
        match proof.fault {
            None => Ok(proof.objects),
            Some((_, cause)) => {
                let key = file.identity.parts().next().map(|part| file.key(&part)).expect("a file has an object");
                Err(unlike(&key, &cause))
            }
        }
    }

    /// The checksum of an object as it is now; none if it is not there or has another length.
    async fn held(&self, key: &Key, part: &Part) -> Result<Option<Checksum>> {
        let read = || async {
            let got = self.target.base.store.get(key, GetOptions::default()).await?;
            if got.meta.size != part.length {
                return Ok(None);
            }
            let (mut digest, mut body) = (Digest::new(Algorithm::Crc32), got.body.stream);
            while let Some(bytes) = body.next().await {
                digest.update(&bytes?);
            }
            Ok(Some(digest.finish()))
        };
        match retry(&self.policy, self.reporter.as_ref(), read).await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => Ok(None),
            other => other,
        }
    }
}

/// Whether two roots name snapshots or indices of one origin: a part of a repository has an id of its own.
fn overlap(one: &RootIndex, other: &RootIndex) -> bool {
    one.snapshots.iter().any(|snapshot| other.snapshot(&snapshot.uuid).is_some())
        || one.indices.iter().any(|(name, index)| other.indices.get(name).is_some_and(|found| found.id == index.id))
}

fn unlike(key: &Key, cause: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("take {key:?} from the source")).because(cause.to_owned())
}

impl Healed {
    fn take(&mut self, finding: &Finding, written: Result<(u64, u64)>) {
        match written {
            Ok((objects, bytes)) => {
                self.objects += objects;
                self.bytes += bytes;
            }
            Err(error) => drop(self.failed.insert(finding.key.clone().unwrap_or_default(), error)),
        }
    }
}
