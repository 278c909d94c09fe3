//! The snapshots and indices of a root, numbered: what is gathered about them names them by number.

use std::collections::HashMap;

use super::super::data::{IndexEntry, RootIndex, SnapshotEntry};
use super::super::name::Name;
use super::users::Users;

/// The snapshots and indices of a root.
pub(super) struct Placed {
    /// The snapshots, by their beginning where the root tells it.
    pub(super) snapshots: Vec<SnapshotEntry>,
    /// The indices with their names, and the snapshots that have them.
    pub(super) indices: Vec<(Name, IndexEntry, Users)>,
}

impl Placed {
    pub(super) fn new(root: &RootIndex) -> Self {
        let mut snapshots = root.snapshots.clone();
        snapshots.sort_by_key(|snapshot| snapshot.start_time_millis);
        let numbers: HashMap<&str, u32> =
            snapshots.iter().zip(0..).map(|(snapshot, number)| (snapshot.uuid.as_str(), number)).collect();
        let indices = root.indices.iter().map(|(name, index)| {
            let mut users: Vec<u32> =
                index.snapshots.iter().filter_map(|uuid| numbers.get(uuid.as_str()).copied()).collect();
            users.sort_unstable();
            (Name::from(name.as_str()), index.clone(), users.into_iter().collect())
        });
        let indices = indices.collect();
        Self { snapshots, indices }
    }

    /// The snapshot of a number.
    pub(super) fn snapshot(&self, number: u32) -> &SnapshotEntry {
        &self.snapshots[number as usize]
    }

    /// The names of the indices that a snapshot has, in order.
    pub(super) fn indices_of(&self, number: u32) -> impl Iterator<Item = &Name> {
        self.indices.iter().filter(move |(_, _, users)| users.has(number)).map(|(name, _, _)| name)
    }
}
