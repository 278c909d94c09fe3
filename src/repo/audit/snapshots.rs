//! The root's own references, and each snapshot: its description and its cluster state, against the root.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::Ordering;

use super::super::data::SnapshotEntry;
use super::super::name::Name;
use super::super::snapshot::SnapshotInfo;
use super::finding::Finding;
use super::kind::FindingKind;
use super::repair::{Blob, Remedy};
use super::users::Users;
use super::{Audit, Trouble, lock};
use crate::error::Result;

/// Names that a message lists; more are counted.
const NAMED: usize = 5;

impl Audit {
    /// The references inside the root: every lookup of a snapshot leads to an index and to a blob, and every blob is looked up.
    pub(super) fn check_root(&self) {
        let root = &self.reader.root;
        let ids: HashSet<&str> = root.indices.values().map(|index| index.id.as_str()).collect();
        let mut used: HashSet<&str> = HashSet::new();
        for (snapshot, number) in self.placed.snapshots.iter().zip(0..) {
            for (id, identifier) in snapshot.index_metadata_lookup.iter().flatten() {
                used.insert(identifier.as_str());
                let known = root.index_metadata_identifiers.as_ref();
                let cause = if !ids.contains(id.as_str()) {
                    format!("the snapshot looks up the index id `{id}`, which no index of the root has")
                } else if known.is_none_or(|known| !known.contains_key(identifier.as_str())) {
                    format!(
                        "the snapshot looks up the metadata `{identifier}` of the index id `{id}`, and no blob of that name is listed"
                    )
                } else {
                    continue;
                };
                self.note(Finding::new(FindingKind::DanglingLookup, cause).used_by(Users::one(number)));
            }
        }
        let unused = root.index_metadata_identifiers.iter().flatten().filter(|(name, _)| !used.contains(name.as_str()));
        for (identifier, _) in unused {
            let message = format!("no snapshot has the index metadata `{}`", identifier.escape_default());
            self.note(Finding::new(FindingKind::UnusedIdentifier, message));
        }
    }

    /// What the root of the other repository lists, against this one's.
    pub(super) fn compare_roots(&self) {
        let Some(peer) = &self.peer else { return };
        let root = &self.reader.root;
        for theirs in &peer.root.snapshots {
            if root.snapshot(&theirs.uuid).is_none() {
                let message =
                    format!("the source lists the snapshot `{}` ({}), the copy does not", theirs.name, theirs.uuid);
                self.note(Finding::new(FindingKind::MissingSnapshot, message).named(&theirs.name));
            }
        }
        for ours in &root.snapshots {
            if peer.root.snapshot(&ours.uuid).is_none() {
                let message =
                    format!("the copy lists the snapshot `{}` ({}), the source does not", ours.name, ours.uuid);
                self.note(Finding::new(FindingKind::ExtraSnapshot, message).named(&ours.name));
            }
        }
        for (name, theirs) in &peer.root.indices {
            let ours = root.indices.get(name).filter(|ours| ours.id == theirs.id);
            let held: HashSet<&str> = ours.iter().flat_map(|ours| &ours.snapshots).map(Name::as_str).collect();
            let lacking = self.placed.snapshots.iter().zip(0..).filter(|(snapshot, _)| {
                theirs.snapshots.contains(&snapshot.uuid) && !held.contains(snapshot.uuid.as_str())
            });
            let users: Users = lacking.map(|(_, number)| number).collect();
            if !users.is_empty() {
                let shown = name.escape_default();
                let message =
                    format!("the source has the index `{shown}` ({}) in these snapshots, the copy has not", theirs.id);
                self.note(Finding::new(FindingKind::MissingIndex, message).in_index(name).used_by(users));
            }
        }
    }

    /// A snapshot's description and its cluster state.
    pub(super) async fn snapshot(&self, number: usize) -> Result<()> {
        let place = u32::try_from(number).expect("a root lists fewer snapshots than that");
        let entry = self.placed.snapshot(place);
        let (info, global) = futures::join!(self.reader.info(&entry.uuid), self.reader.global(&entry.uuid));
        self.counts.snapshots.fetch_add(1, Ordering::Relaxed);
        match info {
            Ok(read) => {
                self.read_object(read.bytes.len() as u64);
                self.check_info(place, entry, &read.says);
            }
            Err(error) => {
                let trouble = self.trouble(error)?;
                match trouble {
                    Trouble::Elsewhere(_) => lock(&self.elsewhere).insert(place),
                    _ => lock(&self.unknown).insert(place),
                };
                let key = self.reader.info_key(&entry.uuid);
                let (missing, corrupt) = (FindingKind::MissingSnapshotInfo, FindingKind::CorruptSnapshotInfo);
                let finding = Self::finding(trouble, &key, missing, corrupt);
                let remedy = Remedy::Blob(Blob::Info(entry.uuid.to_string()));
                self.note(finding.used_by(Users::one(place)).healed_by(remedy));
            }
        }
        match global {
            Ok(read) => self.read_object(read.bytes.len() as u64),
            Err(error) => {
                let trouble = self.trouble(error)?;
                // A snapshot that failed as a whole may have none.
                if matches!(trouble, Trouble::Missing) && !entry.is_restorable() {
                    return Ok(());
                }
                let key = self.reader.global_key(&entry.uuid);
                let (missing, corrupt) = (FindingKind::MissingGlobalMetadata, FindingKind::CorruptGlobalMetadata);
                let remedy = Remedy::Blob(Blob::Global(entry.uuid.to_string()));
                let finding = Self::finding(trouble, &key, missing, corrupt);
                self.note(finding.used_by(Users::one(place)).healed_by(remedy));
            }
        }
        Ok(())
    }

    fn check_info(&self, place: u32, entry: &SnapshotEntry, info: &SnapshotInfo) {
        let key = self.reader.info_key(&entry.uuid);
        let note = |kind, message: String| {
            self.note(Finding::new(kind, message).at(&key).used_by(Users::one(place)));
        };
        if info.name != entry.name.as_str() {
            let message =
                format!("the root calls it `{}`, its description `{}`", entry.name, info.name.escape_default());
            note(FindingKind::SnapshotNameMismatch, message);
            lock(&self.renamed).insert(place, info.name.clone());
        }
        let differing = self.differing_indices(place, info);
        self.tell_shards(place, info, differing.is_none() && entry.is_restorable());
        if let Some(message) = differing {
            note(FindingKind::SnapshotContentsMismatch, message);
        }
        if entry.state.is_some_and(|state| word(state) != info.state) {
            let message = format!(
                "its state is {} in the root and {} in its description",
                word(entry.state.unwrap_or(1)),
                info.state.escape_default()
            );
            note(FindingKind::SnapshotStateMismatch, message);
        }
        if let Some(message) = inconsistent(info) {
            note(FindingKind::InconsistentFailures, message);
        }
        let failures = info
            .failures
            .iter()
            .filter_map(|failure| Some((place, failure.index.clone(), u32::try_from(failure.shard_id).ok()?)));
        lock(&self.failed).extend(failures);
    }

    /// The indices that only the root or only the description has.
    fn differing_indices(&self, place: u32, info: &SnapshotInfo) -> Option<String> {
        let listed: BTreeSet<&str> = self.placed.indices_of(place).map(Name::as_str).collect();
        let told: BTreeSet<&str> = info.indices.iter().map(String::as_str).collect();
        let sides =
            [("in the root alone", listed.difference(&told)), ("in its description alone", told.difference(&listed))];
        let texts: Vec<String> = sides
            .into_iter()
            .filter_map(|(side, names)| {
                let names: Vec<&str> = names.copied().collect();
                let more = names.len().saturating_sub(NAMED);
                let shown: Vec<String> =
                    names.iter().take(NAMED).map(|name| format!("`{}`", name.escape_default())).collect();
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                (!names.is_empty()).then(|| format!("{side}: {}{more}", shown.join(", ")))
            })
            .collect();
        (!texts.is_empty()).then(|| format!("indices {}", texts.join("; ")))
    }
}

fn word(state: u8) -> &'static str {
    match state {
        0 => "IN_PROGRESS",
        1 => "SUCCESS",
        2 => "FAILED",
        3 => "PARTIAL",
        _ => "INCOMPATIBLE",
    }
}

/// Whether state, failures and numbers of shards of a description contradict each other.
fn inconsistent(info: &SnapshotInfo) -> Option<String> {
    let failures = i64::try_from(info.failures.len()).unwrap_or(i64::MAX);
    if info.state == "SUCCESS" && failures > 0 {
        return Some(format!("its state is SUCCESS and it lists {failures} failed shards"));
    }
    if info.state == "PARTIAL" && failures == 0 {
        return Some("its state is PARTIAL and it lists no failed shard".to_owned());
    }
    if matches!(info.state.as_str(), "SUCCESS" | "PARTIAL")
        && info.successful_shards.saturating_add(failures) != info.total_shards
    {
        return Some(format!(
            "it has {} shards, {} of them successful and {failures} failed",
            info.total_shards, info.successful_shards
        ));
    }
    let stranger = info.failures.iter().find(|failure| !info.indices.contains(&failure.index))?;
    Some(format!("it lists a failed shard of the index `{}`, which it has not", stranger.index.escape_default()))
}
