//! What a finding can be: a closed list, each with its word, how grave it is, and what it means for a restore.

use std::fmt;

use serde::{Serialize, Serializer};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something is damaged or missing.
    Error,
    /// Worth knowing, and no restore suffers from it.
    Warning,
}

/// What a finding takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing that a restore needs.
    Nothing,
    /// The whole snapshot.
    Snapshot,
    /// The cluster state of the snapshot.
    Global,
    /// An index of the snapshot.
    Index,
}

/// One row of the list: the kind with its word, its severity, its effect and its meaning.
macro_rules! kinds {
    ($($name:ident $word:literal $severity:ident $effect:ident $means:literal;)*) => {
        /// What was found. The words are stable: added, never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each is what its word says, and `means` explains it")]
        pub enum FindingKind {
            $($name,)*
        }

        impl FindingKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// How grave it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            pub(super) fn effect(self) -> Effect {
                match self { $(Self::$name => Effect::$effect,)* }
            }

            /// What it means for a restore, in one sentence without a period.
            #[must_use]
            pub fn means(self) -> &'static str {
                match self { $(Self::$name => $means,)* }
            }
        }
    };
}

kinds! {
    UnreadableRoot "unreadable-root" Error Nothing "clusters start from the highest `index-<N>`, so they cannot read this repository while it is there";
    StaleRoot "stale-root" Error Nothing "clusters start from the highest `index-<N>` and do not see the snapshots that only the other root lists";
    WrongLatest "wrong-latest" Warning Nothing "only readers that cannot list, such as repositories of type `url`, start from `index.latest`";
    DanglingLookup "dangling-lookup" Error Nothing "clusters cannot find the metadata of that index and may refuse the whole root";
    UnusedIdentifier "unused-identifier" Warning Nothing "nothing refers to it";
    CorruptShardPaths "corrupt-shard-paths" Warning Nothing "the places of the shards follow from the index's id unless the cluster was configured otherwise";
    MissingSnapshotInfo "missing-snapshot-info" Error Snapshot "the snapshot can neither be shown nor restored";
    CorruptSnapshotInfo "corrupt-snapshot-info" Error Snapshot "the snapshot can neither be shown nor restored";
    ShallowSnapshot "shallow-snapshot" Error Snapshot "its data is in a remote store and not in this repository";
    SnapshotContentsMismatch "snapshot-contents-mismatch" Error Nothing "restoring an index that the root does not list fails, and one that only the root lists is not restored";
    SnapshotNameMismatch "snapshot-name-mismatch" Error Nothing "the snapshot is listed under one name and shown under another";
    SnapshotStateMismatch "snapshot-state-mismatch" Warning Nothing "clusters go by the description when they restore";
    InconsistentFailures "inconsistent-failures" Warning Nothing "the snapshot's own account of its shards does not add up";
    MissingGlobalMetadata "missing-global-metadata" Error Global "restores with the cluster state, data streams or features fail, and in Elasticsearch 5 and 6 every restore";
    CorruptGlobalMetadata "corrupt-global-metadata" Error Global "restores with the cluster state, data streams or features fail, and in Elasticsearch 5 and 6 every restore";
    MissingIndexMetadata "missing-index-metadata" Error Index "the index cannot be restored from these snapshots";
    CorruptIndexMetadata "corrupt-index-metadata" Error Index "the index cannot be restored from these snapshots";
    ShardCountMismatch "shard-count-mismatch" Error Nothing "a restore looks for as many shards as the index's metadata says";
    LeftoverShardGenerations "leftover-shard-generations" Warning Nothing "no restore looks for more shards than the index's metadata says";
    UndefinedShardGeneration "undefined-shard-generation" Warning Nothing "restores do not need it; clusters list the shard to find it";
    MissingShardGeneration "missing-shard-generation" Error Nothing "restores work; further snapshots of this shard may fail";
    CorruptShardGeneration "corrupt-shard-generation" Error Nothing "restores work; further snapshots of this shard may fail";
    MissingShardSnapshot "missing-shard-snapshot" Error Index "the shard cannot be restored: the index comes back red or incomplete";
    CorruptShardSnapshot "corrupt-shard-snapshot" Error Index "the shard cannot be restored: the index comes back red or incomplete";
    SnapshotNotInShardGeneration "snapshot-not-in-shard-generation" Error Nothing "restores work; the next deletion may remove blobs that this snapshot needs";
    BlobInShardGenerationNotSnapshot "blob-in-shard-generation-not-snapshot" Error Nothing "restores of the snapshot leave this file out; its two lists of files contradict each other";
    BlobInSnapshotNotShardGeneration "blob-in-snapshot-not-shard-generation" Error Nothing "restores work; the next deletion may remove a blob that this snapshot needs";
    ShardGenerationMismatch "shard-generation-mismatch" Error Nothing "further snapshots may build on a file that is not what they take it for";
    ForeignSnapshotInShardGeneration "foreign-snapshot-in-shard-generation" Warning Nothing "restores do not look at it, and the next deletion removes it";
    ConflictingFileEntries "conflicting-file-entries" Error Nothing "one blob cannot be both: at most one of the snapshots gets the content it names";
    CorruptVirtualBlob "corrupt-virtual-blob" Error Index "the shard cannot be restored: the index comes back red or incomplete";
    MissingBlob "missing-blob" Error Index "the shard cannot be restored: the index comes back red or incomplete";
    MismatchedBlobLength "mismatched-blob-length" Error Index "the shard cannot be restored: the index comes back red or incomplete";
    CorruptBlob "corrupt-blob" Error Index "the shard cannot be restored, or its index fails when the file is read";
    OtherContent "other-content" Error Index "an intact file, but not the one that the snapshot names: the shard cannot be restored";
    UnreadableObject "unreadable-object" Error Nothing "nothing is known of it";
    MissingSnapshot "missing-snapshot" Error Nothing "it cannot be restored from the copy";
    ExtraSnapshot "extra-snapshot" Warning Nothing "the copy has it and the source does not, or no longer";
    MissingIndex "missing-index" Error Nothing "the index cannot be restored from this snapshot of the copy";
    DifferentFiles "different-files" Error Index "the shard that would be restored from the copy is not that of the source";
    UnreadableSource "unreadable-source" Error Nothing "the two could not be compared here: the damage is at the source";
    MissingObject "missing-object" Error Nothing "the second place lacks it";
    ExtraObject "extra-object" Warning Nothing "only the second place has it";
    MismatchedLength "mismatched-length" Error Nothing "the two are different objects";
    DifferentContent "different-content" Error Nothing "the two are different objects";
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Serialize for FindingKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        let words: BTreeSet<&str> = FindingKind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), FindingKind::ALL.len());
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    }

    #[test]
    fn a_warning_takes_nothing_away() {
        for kind in FindingKind::ALL.iter().filter(|kind| kind.severity() == Severity::Warning) {
            assert_eq!(kind.effect(), Effect::Nothing, "{kind}");
        }
    }
}
