//! The snapshots of a walk: what lies at the root for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Look, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::repo::name::Name;
use crate::repo::reader::Read;
use crate::repo::rewrite::snapshot_info;
use crate::repo::snapshot::SnapshotInfo;
use crate::transfer::{Item, Want};

/// The level of metadata at the root.
const LEVEL: usize = 2;

impl Walk {
    /// The snapshots whose descriptions are to be read: those that are new to the target, and those of which it shall have more.
    pub(super) fn snapshots_to_read(&self) -> Vec<Name> {
        let mut wanted: BTreeSet<Name> = BTreeSet::new();
        let new =
            |uuid: &Name| !self.desired.held.contains(uuid) && (self.look == Look::Deep || !self.snapshot_there(uuid));
        if self.desired.indices.is_empty() {
            let all = self.root().snapshots.iter().map(|snapshot| &snapshot.uuid);
            let selected = all.filter(|uuid| self.desired.selected.as_ref().is_none_or(|these| these.contains(*uuid)));
            wanted.extend(selected.filter(|uuid| !self.desired.excluded.contains(*uuid) && new(uuid)).cloned());
        }
        for (name, index) in &self.root().indices {
            wanted.extend(self.added(name, index));
        }
        wanted.extend(self.shrinking());
        wanted.into_iter().collect()
    }

    /// The snapshots of which the target has indices that it shall not have any more.
    fn shrinking(&self) -> Vec<Name> {
        if !self.desired.is_selection() {
            return Vec::new();
        }
        let stay = self.desired.uuids(self.root());
        let indices = self.root().indices.iter();
        let dropped = indices.filter_map(|(name, index)| Some((name, index, self.index_there(index)?))).flat_map(
            |(name, index, there)| {
                there
                    .snapshots
                    .iter()
                    .filter(move |uuid| index.snapshots.contains(uuid) && !self.desired.has(name, index, uuid))
            },
        );
        dropped.filter(|uuid| stay.contains(*uuid)).cloned().collect()
    }

    /// Reads what lies at the root for a snapshot.
    pub(super) async fn snapshot(self: Arc<Self>, uuid: Name) -> Result<Vec<Want>> {
        let root = self.root();
        let entry = root.snapshot(&uuid).expect("the root lists it");
        let (info, global) = futures::join!(self.source.info(&uuid), self.source.global(&uuid));
        let (info, global) = match (info, global) {
            (Ok(info), Ok(global)) => (info, global),
            (Err(error), other) => {
                self.note(&uuid, &entry.name, error, other.err().as_ref())?;
                return Ok(Vec::new());
            }
            (_, Err(error)) => {
                self.note(&uuid, &entry.name, error, None)?;
                return Ok(Vec::new());
            }
        };
        if !info.says.failures.is_empty() || entry.state != Some(1) {
            self.found.inner().partial.insert(uuid.clone(), info.says.clone());
        }
        let mut wants = vec![self.meta(&global.key, &global.bytes, LEVEL)?];
        if self.has_all_indices(&uuid, &info) {
            wants.push(self.meta(&info.key, &info.bytes, LEVEL)?);
        } else {
            self.found.inner().descriptions.insert(uuid, info.bytes);
        }
        Ok(wants)
    }

    /// The descriptions of snapshots of which the copy has a part of the indices, once it is known how many shards these have.
    pub(super) async fn rewritten_snapshots(&self) -> Result<Vec<Want>> {
        let (descriptions, shards) = {
            let mut inner = self.found.inner();
            (std::mem::take(&mut inner.descriptions), std::mem::take(&mut inner.shards))
        };
        let mut wants = Vec::new();
        for (uuid, bytes) in descriptions {
            let key = self.source.info_key(&uuid);
            let counts = self.shard_counts(&uuid, shards.get(&uuid)).await?;
            let rewritten = snapshot_info(key.as_str(), &bytes, &counts)?;
            // The visible root may name it with fewer indices: readers of that root must not find more.
            if self.snapshot_there(&uuid) {
                self.found.inner().afterwards.insert(uuid, rewritten);
            } else {
                wants.push(self.meta(&key, &rewritten, LEVEL)?);
            }
        }
        Ok(wants)
    }

    /// How many shards each index has of which the copy shall have this snapshot; what was not read on the way is read now.
    async fn shard_counts(&self, uuid: &Name, known: Option<&BTreeMap<String, u32>>) -> Result<BTreeMap<String, u32>> {
        let root = self.root();
        let snapshot = root.snapshot(uuid).expect("the root lists it");
        let mut counts = BTreeMap::new();
        for (name, index) in &root.indices {
            if !index.snapshots.contains(uuid) || !self.desired.has(name, index, uuid) {
                continue;
            }
            let count = if let Some(count) = known.and_then(|known| known.get(name)) {
                *count
            } else {
                let key = self.source.index_meta_key(snapshot, index);
                self.source.index_meta(key, name).await?.says.number_of_shards()
            };
            counts.insert(name.clone(), count);
        }
        Ok(counts)
    }

    /// Whether the copy has all indices of a snapshot, so that its description stays as it is.
    fn has_all_indices(&self, uuid: &Name, info: &Read<SnapshotInfo>) -> bool {
        info.says.indices.iter().all(|name| {
            self.root()
                .indices
                .get(name)
                .is_none_or(|index| !index.snapshots.contains(uuid) || self.desired.has(name, index, uuid))
        })
    }

    /// Notes that a snapshot cannot be copied whole. What speaks of the repository as a whole, or of the store, ends the walk.
    pub(super) fn note(&self, uuid: &Name, name: &Name, error: Error, other: Option<&Error>) -> Result<()> {
        let foreign = |error: &Error| error.kind() == ErrorKind::Corrupt && error.to_string().contains("magic");
        if foreign(&error) && other.is_some_and(foreign) {
            return Err(Error::new(ErrorKind::Unsupported, format!("read the snapshot `{name}`"))
                .because("neither its description nor its cluster state is in the format of a repository")
                .hint("a repository that OpenSearch encrypts on the client's side cannot be read here; `--mode plain` copies the files as they are"));
        }
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::Corrupt => {
                self.found.exclude(uuid, name, &error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Metadata for the target, from below the source's base path to below the target's.
    pub(super) fn meta(&self, key: &crate::store::Key, bytes: &bytes::Bytes, level: usize) -> Result<Want> {
        let name = self.source.base.name(key).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("copy {key:?}")).because("it is not below the base path")
        })?;
        let item = Item { to: Some(self.target.key(name)), ..Item::held(key.clone(), bytes) };
        Ok(Want::Meta { item, level })
    }
}
