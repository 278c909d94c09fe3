//! What a walk found out besides what is wanted: needed for the root that is published at its end.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::Error;
use crate::repo::Name;
use crate::repo::snapshot::SnapshotInfo;

/// A snapshot that cannot be copied whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// Its name.
    pub name: Name,
    /// Why.
    pub reason: String,
    /// Whether something was not there, which may mean that the snapshot was deleted meanwhile.
    pub missing: bool,
}

/// What a walk found out.
#[derive(Debug, Default)]
pub struct Found(Mutex<Inner>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    /// Snapshots that cannot be copied whole, by their ids.
    pub(super) excluded: BTreeMap<Name, Exclusion>,
    /// New generations of shards' lists of files.
    pub(super) generations: BTreeMap<Name, BTreeMap<u32, String>>,
    /// Descriptions of snapshots that have not all their shards.
    pub(super) partial: HashMap<Name, SnapshotInfo>,
    /// Descriptions to be rewritten for a part of their indices, as they lie at the source.
    pub(super) descriptions: BTreeMap<Name, Bytes>,
    /// How many shards each index has in such a snapshot.
    pub(super) shards: BTreeMap<Name, BTreeMap<String, u32>>,
    /// Descriptions that the visible root already names, to be written after the new root.
    pub(super) afterwards: BTreeMap<Name, Bytes>,
}

impl Found {
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Snapshots that cannot be copied whole, by their ids.
    #[must_use]
    pub fn excluded(&self) -> BTreeMap<Name, Exclusion> {
        self.inner().excluded.clone()
    }

    /// Forgets everything: what was found out before a walk begins does not count for it.
    pub(super) fn forget(&self) {
        *self.inner() = Inner::default();
    }

    pub(super) fn exclude(&self, uuid: &Name, name: &Name, error: &Error) {
        let missing = error.kind() == crate::error::ErrorKind::NotFound;
        let exclusion = Exclusion { name: name.clone(), reason: error.to_string(), missing };
        self.inner().excluded.entry(uuid.clone()).or_insert(exclusion);
    }

    /// New generations of shards' lists of files.
    pub(in crate::repo) fn generations(&self) -> BTreeMap<Name, BTreeMap<u32, String>> {
        self.inner().generations.clone()
    }

    /// Descriptions to be written after the new root.
    pub(in crate::repo) fn afterwards(&self) -> BTreeMap<Name, Bytes> {
        self.inner().afterwards.clone()
    }
}
