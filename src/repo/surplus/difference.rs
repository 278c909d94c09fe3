//! The difference between older roots and the newest: what they list and it does not. Nothing is read here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::error::Result;
use crate::repo::{Containers, IndexEntry, Name, PathType, Reader, RootIndex, Shard};

/// What older roots list and the newest does not.
#[derive(Debug, Default)]
pub struct Difference {
    /// Snapshots, by their ids, with their names.
    pub(super) snapshots: BTreeMap<Name, Name>,
    /// Indices of which a snapshot or a generation is gone, by their ids.
    pub(super) indices: BTreeMap<Name, VanishedIndex>,
}

/// An index of which something is gone.
#[derive(Debug)]
pub(super) struct VanishedIndex {
    /// Its name.
    pub(super) name: Name,
    /// Where its shards lie.
    pub(super) containers: Containers,
    /// Whether they lie elsewhere than below `indices/`.
    pub(super) is_elsewhere: bool,
    /// The most shards that a root lists generations of; 0 if none does.
    pub(super) shards: u32,
    /// The snapshots that no longer have it, by their ids, with the blob of its metadata.
    pub(super) snapshots: BTreeMap<Name, Name>,
    /// Generations of its shards that are superseded.
    pub(super) generations: BTreeMap<u32, BTreeSet<Name>>,
    /// Whether no snapshot has it any more.
    pub(super) is_gone: bool,
}

impl Difference {
    /// Adds what `older` lists and `newest` does not.
    pub fn add(&mut self, newest: &RootIndex, older: &Reader) -> Result<()> {
        let listed: HashSet<&Name> = newest.snapshots.iter().map(|snapshot| &snapshot.uuid).collect();
        for snapshot in older.root.snapshots.iter().filter(|snapshot| !listed.contains(&snapshot.uuid)) {
            self.snapshots.entry(snapshot.uuid.clone()).or_insert_with(|| snapshot.name.clone());
        }
        let entries = by_id(newest);
        for (name, entry) in &older.root.indices {
            let survivors = entries.get(&entry.id).map_or(&[][..], Vec::as_slice);
            self.add_index(name, entry, survivors, older)?;
        }
        Ok(())
    }

    fn add_index(&mut self, name: &str, entry: &IndexEntry, survivors: &[&IndexEntry], older: &Reader) -> Result<()> {
        let having: HashSet<&Name> = survivors.iter().flat_map(|survivor| &survivor.snapshots).collect();
        let gone: Vec<&Name> = entry.snapshots.iter().filter(|uuid| !having.contains(uuid)).collect();
        let count = u32::try_from(entry.shard_generations.as_ref().map_or(0, Vec::len)).unwrap_or(u32::MAX);
        let superseded: Vec<(u32, &Name)> = (0..count)
            .filter_map(|shard| Some((shard, entry.generation(shard)?)))
            .filter(|(shard, generation)| {
                survivors.iter().all(|survivor| survivor.generation(*shard) != Some(generation))
            })
            .collect();
        if gone.is_empty() && superseded.is_empty() {
            return Ok(());
        }
        let uuids: HashSet<&Name> = gone.iter().copied().collect();
        let index = match self.indices.entry(entry.id.clone()) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(VanishedIndex {
                name: Name::from(name),
                containers: older.containers(entry)?,
                is_elsewhere: entry.path_type()? != PathType::Fixed,
                shards: 0,
                snapshots: BTreeMap::new(),
                generations: BTreeMap::new(),
                is_gone: having.is_empty(),
            }),
        };
        index.shards = index.shards.max(count);
        for (shard, generation) in superseded {
            index.generations.entry(shard).or_default().insert(generation.clone());
        }
        for snapshot in older.root.snapshots.iter().filter(|snapshot| uuids.contains(&snapshot.uuid)) {
            let meta = Name::from(older.root.index_meta(snapshot, entry));
            index.snapshots.insert(snapshot.uuid.clone(), meta);
        }
        Ok(())
    }

    /// Whether the roots say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshots.is_empty() && self.indices.is_empty()
    }

    /// Leaves out snapshots of which nothing is there any more.
    pub(super) fn forget(&mut self, snapshots: &HashSet<Name>) {
        self.snapshots.retain(|uuid, _| !snapshots.contains(uuid));
        for index in self.indices.values_mut() {
            index.snapshots.retain(|uuid, _| !snapshots.contains(uuid));
        }
    }
}

impl VanishedIndex {
    /// One of its shards, in a repository at `base`.
    pub(super) fn shard(&self, id: &Name, base: &str, number: u32, generation: Option<Name>) -> Shard {
        Shard {
            index: self.name.clone(),
            id: id.clone(),
            number,
            container: self.containers.of(base, number),
            generation,
        }
    }
}

/// The indices of a root by their ids. One id under two names would be a mistake of the writer; it must not cost data.
pub(super) fn by_id(root: &RootIndex) -> BTreeMap<&Name, Vec<&IndexEntry>> {
    let mut entries: BTreeMap<&Name, Vec<&IndexEntry>> = BTreeMap::new();
    for entry in root.indices.values() {
        entries.entry(&entry.id).or_default().push(entry);
    }
    entries
}
