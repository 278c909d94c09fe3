//! A snapshot is deleted, and leftovers are removed.
//!
//! Before 7.6 the root goes first, then the blobs, shard by shard. Later every shard gets a new list first, then comes the root, and
//! what nobody needs goes in any order.

use std::collections::BTreeSet;

use super::{Step, World};

impl World {
    /// Deletes a snapshot; nothing if there is none of that name.
    pub(super) fn delete_snapshot(&mut self, name: &str) -> Vec<Step> {
        let Some(at) = self.repository.snapshots.iter().position(|snapshot| snapshot.name == name) else {
            return Vec::new();
        };
        let uuid = self.repository.snapshots.remove(at).uuid;
        if self.repository.family.is_old() { self.delete_old(&uuid) } else { self.delete_new(&uuid) }
    }

    fn delete_old(&mut self, uuid: &str) -> Vec<Step> {
        let held: Vec<String> = self
            .repository
            .indices
            .iter_mut()
            .filter(|(_, index)| index.snapshots.iter().any(|id| id == uuid))
            .map(|(name, index)| {
                index.snapshots.retain(|id| id != uuid);
                name.clone()
            })
            .collect();
        let mut listed = self.repository.clone();
        listed.indices.retain(|_, index| !index.snapshots.is_empty());
        std::mem::swap(&mut listed, &mut self.repository);
        let mut steps = self.publish_old();
        std::mem::swap(&mut listed, &mut self.repository);
        self.repository.generation = listed.generation;
        let there = |key: &String| self.blobs.has(key);
        let own = [format!("snap-{uuid}.dat"), format!("meta-{uuid}.dat")].map(|name| self.repository.key(&name));
        steps.extend(own.into_iter().filter(there).map(Step::Delete));
        for name in held {
            let id = self.repository.indices[&name].id.clone();
            let meta = self.repository.key(&format!("indices/{id}/meta-{uuid}.dat"));
            steps.extend(Some(meta).filter(|key| self.blobs.has(key)).map(Step::Delete));
            for number in 0..self.repository.indices[&name].shards.len() {
                let container = self.repository.container(&id, number);
                let family = self.repository.family;
                let shard = &mut self.repository.indices.get_mut(&name).expect("it is listed").shards[number];
                if shard.has(uuid) {
                    steps.extend(shard.forget_old(uuid, &container, family, &self.blobs));
                }
            }
        }
        // What is left of an index that nobody has any more stays: the lists of its shards.
        self.repository.indices.retain(|_, index| !index.snapshots.is_empty());
        steps
    }

    fn delete_new(&mut self, uuid: &str) -> Vec<Step> {
        let family = self.repository.family;
        let mut lines = Vec::new();
        let mut touched = BTreeSet::new();
        for (name, index) in &mut self.repository.indices {
            if !index.snapshots.iter().any(|id| id == uuid) {
                continue;
            }
            index.snapshots.retain(|id| id != uuid);
            touched.insert(name.clone());
        }
        self.repository.indices.retain(|_, index| !index.snapshots.is_empty());
        let repository = &mut self.repository;
        let used: BTreeSet<&String> =
            repository.snapshots.iter().flat_map(|snapshot| snapshot.lookup.values()).collect();
        repository.identifiers.retain(|identifier, _| used.contains(identifier));
        touched.retain(|name| repository.indices.contains_key(name));
        for name in &touched {
            let id = repository.indices[name].id.clone();
            for number in 0..repository.indices[name].shards.len() {
                let container = repository.container(&id, number);
                let shard = &mut repository.indices.get_mut(name).expect("it was kept").shards[number];
                if shard.has(uuid) {
                    lines.push(vec![shard.forget(uuid, &container, family, &mut self.random)]);
                }
            }
        }
        let mut steps = self.random.weave(lines);
        let (root, mut garbage) = self.publish();
        steps.extend(root);
        garbage.extend(self.stale());
        for name in &touched {
            let index = &self.repository.indices[name];
            for (number, shard) in index.shards.iter().enumerate().filter(|(_, shard)| shard.generation.is_some()) {
                garbage.extend(shard.garbage(&self.repository.container(&index.id, number), &self.blobs));
            }
            garbage.extend(self.stale_metadata(name));
        }
        self.random.shuffle(&mut garbage);
        steps.extend(garbage);
        steps
    }

    /// Writes the root once more, then removes indices and blobs at the root that it does not list.
    pub(super) fn cleanup(&mut self) -> Vec<Step> {
        if self.repository.family.is_old() || self.repository.generation.is_none() || self.stale().is_empty() {
            return Vec::new();
        }
        let (mut steps, mut garbage) = self.publish();
        garbage.extend(self.stale());
        self.random.shuffle(&mut garbage);
        steps.extend(garbage);
        steps
    }

    /// Blobs at the root and directories of indices that the root does not list.
    fn stale(&self) -> Vec<Step> {
        let repository = &self.repository;
        let known: BTreeSet<&str> = repository.snapshots.iter().map(|snapshot| snapshot.uuid.as_str()).collect();
        let ids: BTreeSet<&str> = repository.indices.values().map(|index| index.id.as_str()).collect();
        let is_stale = |key: &String| {
            if let Some((_, rest)) = key.split_once("indices/") {
                return rest.split('/').next().is_some_and(|id| !ids.contains(id));
            }
            let Some(name) = key.strip_prefix(&repository.base) else { return false };
            if let Some(paths) = name.strip_prefix("snapshot_shard_paths/snapshot_path_") {
                return paths.split('.').next().is_some_and(|id| !ids.contains(id));
            }
            let rest = name.strip_prefix("snap-").or_else(|| name.strip_prefix("meta-"));
            rest.and_then(|rest| rest.strip_suffix(".dat")).is_some_and(|uuid| !known.contains(uuid))
        };
        self.blobs.below("").into_iter().filter(is_stale).map(Step::Delete).collect()
    }

    /// Metadata of an index that no snapshot needs.
    fn stale_metadata(&self, name: &str) -> Vec<Step> {
        let repository = &self.repository;
        let index = &repository.indices[name];
        let directory = repository.key(&format!("indices/{}/meta-", index.id));
        let needed: BTreeSet<&String> = if repository.family.shares_metadata() {
            repository.identifiers.values().collect()
        } else {
            index.snapshots.iter().collect()
        };
        let listed = self.blobs.below(&directory).into_iter();
        let extra =
            listed.filter(|rest| !rest.strip_suffix(".dat").is_some_and(|blob| needed.contains(&blob.to_owned())));
        extra.map(|rest| Step::Delete(format!("{directory}{rest}"))).collect()
    }
}
