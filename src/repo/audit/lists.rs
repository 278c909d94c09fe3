//! The lists of files of a shard, each against the others: that of a snapshot against that of all snapshots, and against that of the same
//! snapshot in another copy.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::reader::Shard;
use super::super::shard::{FileEntry, ShardIndex, ShardSnapshot};
use super::Audit;
use super::file::Identity;
use super::finding::Finding;
use super::kind::FindingKind;
use super::users::Users;
use crate::store::Key;

/// A shard's list of all snapshots, for looking things up.
pub(super) struct Known {
    key: Key,
    generation: String,
    files: HashMap<String, FileEntry>,
    snapshots: BTreeMap<String, HashSet<String>>,
}

impl Audit {
    /// A snapshot's list against the list of all snapshots.
    pub(super) fn check_against(&self, known: &Known, shard: &Shard, user: u32, list: &ShardSnapshot) {
        let snapshot = self.placed.snapshot(user);
        let note = |kind, file: Option<&FileEntry>, message: String| {
            let finding = Finding::new(kind, message).at(&known.key).in_index(&shard.index).in_shard(shard.number);
            let finding = finding.used_by(Users::one(user)).of_generation(&known.generation);
            self.note(match file {
                Some(file) => finding.of_file(&file.physical_name),
                None => finding,
            });
        };
        let Some(named) = known.snapshots.get(snapshot.name.as_str()) else {
            note(
                FindingKind::SnapshotNotInShardGeneration,
                None,
                format!("it does not list the snapshot `{}`", snapshot.name),
            );
            return;
        };
        for file in &list.files {
            let entry = known.files.get(&file.name);
            if !named.contains(&file.name) || entry.is_none() {
                let message = format!(
                    "the snapshot has the blob `{}`, and it does not list that for it",
                    file.name.escape_default()
                );
                note(FindingKind::BlobInSnapshotNotShardGeneration, Some(file), message);
            } else if entry.is_some_and(|entry| !Identity::of(entry).is_that_of(file)) {
                let message = format!(
                    "it lists the blob `{}` with another length, checksum or file name",
                    file.name.escape_default()
                );
                note(FindingKind::ShardGenerationMismatch, Some(file), message);
            }
        }
        let held: HashSet<&str> = list.files.iter().map(|file| file.name.as_str()).collect();
        for name in named.iter().filter(|name| !held.contains(name.as_str())) {
            let message = format!("it lists the blob `{}` for the snapshot, which has it not", name.escape_default());
            note(FindingKind::BlobInShardGenerationNotSnapshot, known.files.get(name), message);
        }
    }

    /// Snapshots that only the list of all snapshots knows: what a deletion leaves that broke off.
    pub(super) fn check_foreign(&self, known: Option<&Known>, shard: &Shard) {
        let Some(known) = known else { return };
        let ours: HashSet<&str> = self.reader.root.snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
        for name in known.snapshots.keys().filter(|name| !ours.contains(name.as_str())) {
            let message = format!("it lists the snapshot `{}`, which the root does not", name.escape_default());
            let finding = Finding::new(FindingKind::ForeignSnapshotInShardGeneration, message).at(&known.key);
            self.note(finding.in_index(&shard.index).in_shard(shard.number).of_generation(&known.generation));
        }
    }

    /// The same shard of the same snapshot in two repositories.
    pub(super) fn compare_lists(&self, shard: &Shard, user: u32, ours: &ShardSnapshot, theirs: &ShardSnapshot) {
        let held: HashMap<&str, &FileEntry> = ours.files.iter().map(|file| (file.name.as_str(), file)).collect();
        let note = |file: &FileEntry, message: String| {
            let finding = Finding::new(FindingKind::DifferentFiles, message).of_file(&file.physical_name);
            self.note(
                finding
                    .at(&shard.key(&file.name))
                    .in_index(&shard.index)
                    .in_shard(shard.number)
                    .used_by(Users::one(user)),
            );
        };
        for file in &theirs.files {
            match held.get(file.name.as_str()) {
                None => note(file, "the source has the file, the copy has it not".to_owned()),
                Some(ours) if Identity::of(ours).is_that_of(file) => {}
                Some(ours) => {
                    note(
                        file,
                        format!(
                            "it has {} bytes at the copy and {} at the source, or another checksum",
                            ours.length, file.length
                        ),
                    );
                }
            }
        }
        let wanted: HashSet<&str> = theirs.files.iter().map(|file| file.name.as_str()).collect();
        for file in ours.files.iter().filter(|file| !wanted.contains(file.name.as_str())) {
            note(file, "the copy has the file, the source has it not".to_owned());
        }
    }
}

impl Known {
    pub(super) fn new(key: Key, generation: String, index: ShardIndex) -> Self {
        let files = index.files.into_iter().map(|mut file| {
            file.meta_hash = None;
            (file.name.clone(), file)
        });
        let snapshots = index.snapshots.into_iter().map(|(name, entry)| (name, entry.files.into_iter().collect()));
        Self { key, generation, files: files.collect(), snapshots: snapshots.collect() }
    }
}
