//! How many shards an index has: what its metadata says, against what the descriptions of its snapshots say.
//!
//! A description counts the shards of all its indices together, and from 7.13 on those of each. Metadata that says too few hides shards
//! from everything else here: nobody looks for a shard that should not be. Of the numbers for each index, only those that the root's
//! generations do not say as well are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::name::Name;
use super::super::snapshot::SnapshotInfo;
use super::finding::Finding;
use super::kind::{Effect, FindingKind};
use super::users::Users;
use super::{Audit, lock};

/// What was said of shards so far.
#[derive(Debug, Default)]
pub(super) struct ShardSums {
    /// What a complete snapshot says it has, all indices together.
    told: HashMap<u32, i64>,
    /// Snapshots that tell the shards of each index.
    detailed: BTreeSet<u32>,
    /// What a snapshot tells of an index, where it is not what the root says; none where it tells nothing.
    apart: HashMap<(u32, Name), Option<u32>>,
    /// What metadata says, all indices together; for an index that was found wrong, what the snapshot tells of it.
    read: HashMap<u32, i64>,
    /// Snapshots of which some metadata could not be read.
    unread: BTreeSet<u32>,
    /// Indices of which the root lists more shards than their metadata says, by their place: how many more, and for which snapshots.
    beyond: BTreeMap<usize, BTreeMap<u32, Users>>,
}

impl Audit {
    /// Notes what a description tells.
    pub(super) fn tell_shards(&self, place: u32, info: &SnapshotInfo, complete: bool) {
        let mut sums = lock(&self.sums);
        if complete && info.state == "SUCCESS" && info.failures.is_empty() {
            sums.told.insert(place, info.total_shards);
        }
        if info.index_details.is_empty() {
            return;
        }
        sums.detailed.insert(place);
        for name in self.placed.indices_of(place) {
            let told = info.index_details.get(name.as_str()).map(|details| details.shard_count);
            let told = told.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
            if told != self.rooted(name) {
                sums.apart.insert((place, name.clone()), told);
            }
        }
    }

    /// How many shards of an index the root lists.
    fn rooted(&self, name: &str) -> Option<u32> {
        let generations = self.reader.root.indices.get(name)?.shard_generations.as_ref()?;
        u32::try_from(generations.len()).ok()
    }

    /// Notes what the metadata of an index says for these snapshots; none if it could not be read.
    pub(super) fn read_shards(&self, number: usize, users: &Users, count: Option<u32>) {
        let (name, ..) = &self.placed.indices[number];
        let mut sums = lock(&self.sums);
        let Some(count) = count else {
            sums.unread.extend(users.iter());
            return;
        };
        let rooted = self.rooted(name);
        let mut wrong: BTreeMap<u32, Users> = BTreeMap::new();
        for user in users.iter() {
            let apart = sums.apart.get(&(user, name.clone())).copied();
            let told = if sums.detailed.contains(&user) { apart.unwrap_or(rooted) } else { None };
            let differs = told.filter(|told| *told != count);
            if let Some(told) = differs {
                wrong.entry(told).or_default().push(user);
            } else if let Some(more) = rooted.and_then(|rooted| rooted.checked_sub(count)).filter(|more| *more > 0) {
                sums.beyond.entry(number).or_default().entry(more).or_default().push(user);
            }
            *sums.read.entry(user).or_default() += i64::from(differs.unwrap_or(count));
        }
        drop(sums);
        for (told, users) in wrong {
            let message = format!(
                "its metadata says that it has {count} shards, and the descriptions of the snapshots say {told}"
            );
            let finding = Finding::new(FindingKind::ShardCountMismatch, message).taking(Effect::Index);
            self.note(finding.in_index(name).used_by(users));
        }
    }

    /// The sums, once all indices were looked at.
    pub(super) fn check_sums(&self) {
        let sums = std::mem::take(&mut *lock(&self.sums));
        for (user, told) in &sums.told {
            let read = sums.read.get(user).copied().unwrap_or(0);
            if read == *told || sums.unread.contains(user) {
                continue;
            }
            let key = self.reader.info_key(&self.placed.snapshot(*user).uuid);
            let message =
                format!("its description says that it has {told} shards, and the metadata of its indices says {read}");
            let finding = Finding::new(FindingKind::ShardCountMismatch, message).at(&key).used_by(Users::one(*user));
            self.note(match sums.suspect(*user, told.saturating_sub(read)) {
                Some(number) => finding.in_index(&self.placed.indices[number].0).taking(Effect::Index),
                None => finding.taking(Effect::Snapshot),
            });
        }
    }
}

impl ShardSums {
    /// The one index that so many shards of a snapshot can be missing from.
    fn suspect(&self, user: u32, lacks: i64) -> Option<usize> {
        let mut having = self.beyond.iter().filter_map(|(number, groups)| {
            let more = groups.iter().find_map(|(more, users)| users.has(user).then_some(*more))?;
            Some((*number, i64::from(more)))
        });
        let (number, more) = having.next()?;
        (having.next().is_none() && (1..=more).contains(&lacks)).then_some(number)
    }
}
