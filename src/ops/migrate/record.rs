//! What the journal says, line by line: what a step is about to do, and what came of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::step::{Phase, Step};
use crate::elastic::conflict::Piece;
use crate::elastic::snapshot::{Shards, Snapshot};
use crate::error::Error;
use crate::ops::compare::{Captured, Verification};
use crate::ops::restore;

/// The version of what is written here. A journal of a newer one is refused.
pub(super) const VERSION: u32 = 1;

/// One line. Enums are written with their variant outside: variants that are told by a field inside lose the numbers that are keys of maps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Entry {
    /// The first line: whose journal it is.
    Opened(Header),
    /// A round begins.
    Round { round: u32, phase: Phase, at: Timestamp },
    /// A step begins, and this is all that is needed to find out later what came of it.
    Begun { round: u32, step: Step, at: Timestamp, intent: Option<Intent> },
    /// A step ended well.
    Ended { round: u32, step: Step, at: Timestamp, result: Box<Outcome> },
    /// A step ended badly.
    Failed { round: u32, step: Step, at: Timestamp, error: Failure },
    /// The restore is about to change something at the target cluster, or has.
    Restoring { at: Timestamp, told: restore::Entry },
    /// A round is over.
    Over { round: u32, at: Timestamp, end: End },
}

/// Whose journal it is. All of it must agree with whoever opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the journal.
    pub version: u32,
    /// The job's name.
    pub job: String,
    /// Where the repository is copied from.
    pub from: String,
    /// Where it is copied to.
    pub to: String,
    /// The repository's name at the target.
    pub repository: String,
    /// The UUID of the source cluster.
    pub source: String,
    /// The UUID of the target cluster.
    pub target: String,
    /// When the journal was begun.
    pub at: Timestamp,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Everything was done.
    Done,
    /// Everything was done, and the comparison says that something differs although it should not.
    Different,
    /// There was nothing to do, as nothing had changed.
    Unchanged,
    /// Another round took its place.
    GivenUp,
}

/// What a step is about to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Take a snapshot of this name.
    Snapshot {
        /// The name.
        name: String,
    },
    /// Block writes to these indices.
    Block {
        /// The indices, with what they are.
        indices: Vec<Blocked>,
    },
    /// Register the copy, over this.
    Register {
        /// What the name meant.
        before: Option<Value>,
    },
    /// Send the restore of what the step before decided.
    Restore,
}

/// An index whose writes are blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// Whether they were blocked before; then lifting is not for us.
    pub was_blocked: bool,
}

/// What came of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Of the preflight.
    Preflight(Preflight),
    /// Of blocking.
    Block {
        /// The indices.
        indices: Vec<Blocked>,
    },
    /// Of writing the source's numbers down.
    Capture {
        /// The numbers.
        captured: Box<Captured>,
    },
    /// Of the snapshot.
    Snapshot {
        /// As the source cluster tells it.
        snapshot: Box<Taken>,
    },
    /// Of the copy.
    Sync(Copied),
    /// Of the registration.
    Register {
        /// What the name meant before.
        before: Option<Value>,
        /// What it means now.
        after: Option<Value>,
        /// How many snapshots the target shows.
        snapshots: u64,
    },
    /// Of the list.
    List {
        /// The snapshot as the target tells it.
        uuid: String,
        /// Its shards.
        shards: Option<Shards>,
    },
    /// Of the conflicts.
    Conflicts(Decided),
    /// Of the restore.
    Restore(Brought),
    /// Of the comparison.
    Verify {
        /// What was compared.
        verification: Box<Verification>,
        /// Whether the source's writes were blocked, so that all must be equal.
        at_rest: bool,
    },
    /// Of the end.
    Finalise {
        /// The replicas that were set.
        replicas: Option<u32>,
        /// What the user should know.
        warnings: Vec<String>,
    },
    /// Of lifting the block.
    LiftBlock {
        /// The indices that take writes again.
        lifted: Vec<String>,
        /// Those that were blocked before and stay so, or were made anew.
        left: Vec<String>,
        /// Those that are no longer at the source.
        #[serde(default)]
        gone: Vec<String>,
    },
    /// Of deleting.
    DeleteCreated {
        /// The indices that are gone.
        deleted: Vec<String>,
        /// Those that stay, with the reason.
        kept: BTreeMap<String, String>,
    },
    /// Of putting the registration back.
    PutBack {
        /// What was done, in words.
        told: String,
    },
}

impl Outcome {
    /// The same, with more that the user should know where it keeps that.
    pub(super) fn warned(mut self, more: Vec<String>) -> Self {
        if let Self::Finalise { warnings, .. } = &mut self {
            warnings.extend(more);
        }
        self
    }
}

/// A snapshot, as much of it as is needed later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// The indices in it.
    pub indices: Vec<String>,
    /// The data streams in it.
    pub data_streams: Vec<String>,
    /// Its shards.
    pub shards: Option<Shards>,
    /// When it began, in milliseconds since 1970.
    pub start_time_in_millis: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    pub end_time_in_millis: Option<u64>,
}

impl From<Snapshot> for Taken {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { name, uuid, indices, data_streams, shards, start_time_in_millis, end_time_in_millis, .. } =
            snapshot;
        Self { name, uuid, indices, data_streams, shards, start_time_in_millis, end_time_in_millis }
    }
}

/// What the preflight found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Preflight {
    /// The source's version.
    pub source: String,
    /// The target's version.
    pub target: String,
    /// The indices to migrate, by their names at the source.
    pub indices: Vec<String>,
    /// The data streams to migrate.
    pub data_streams: Vec<String>,
    /// The backing indices of those data streams.
    pub backing: Vec<String>,
    /// The cluster's own indices, which nobody asked for.
    pub left_out: Vec<String>,
    /// The indices left out because the target would refuse them, with the reason.
    pub refused: BTreeMap<String, String>,
    /// The indices that were meant and are closed at the source.
    #[serde(default)]
    pub closed: Vec<String>,
    /// The indices that earlier rounds brought, by their names at the target, and that the source has no longer.
    #[serde(default)]
    pub only_at_target: Vec<String>,
    /// What tells whether anything has changed since; none where the version cannot tell.
    pub digest: Option<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Preflight {
    /// All indices that travel: those named and those behind data streams.
    #[must_use]
    pub fn travelling(&self) -> Vec<String> {
        self.indices.iter().chain(&self.backing).cloned().collect()
    }
}

/// What a copy did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Copied {
    /// The generation that the target shows.
    pub generation: Option<u64>,
    /// Objects copied.
    pub objects: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// Objects that the target had.
    pub skipped: u64,
    /// Requests to the source and to the target.
    pub requests: [u64; 2],
}

/// What was decided about names that are taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Decided {
    /// What is restored.
    pub pieces: Vec<Piece>,
    /// The names to ask the snapshot for.
    pub names: Vec<String>,
    /// The indices that are there and are restored over, with their UUIDs.
    pub over: BTreeMap<String, String>,
    /// Those among them that are open and closed first.
    pub close: Vec<String>,
    /// The indices of others that are deleted first, where the policy says so.
    #[serde(default)]
    pub delete: Vec<String>,
    /// The names that will point to what is restored beside them.
    #[serde(default)]
    pub swaps: BTreeMap<String, String>,
    /// The names that are taken and left as they are.
    pub skipped: Vec<String>,
}

/// What a restore brought.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Brought {
    /// What was restored.
    pub pieces: Vec<Piece>,
    /// The primaries; all are started.
    pub shards: Shards,
    /// The bytes the indices have, as far as the cluster told.
    pub bytes: u64,
    /// How many of them were on the nodes already.
    pub reused_bytes: u64,
    /// The UUID of each index at the target.
    pub uuids: BTreeMap<String, String>,
    /// Those that were not there before: this migration made them.
    pub created: Vec<String>,
    /// What the source has beside its indices and the target lacks, by kind.
    #[serde(default)]
    pub missing: BTreeMap<String, Vec<String>>,
}

/// An error, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The word of its kind.
    pub kind: String,
    /// `cannot …: …`.
    pub message: String,
    /// What the reader can do.
    pub hint: Option<String>,
}

impl Failure {
    /// That of an error.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        Self {
            kind: error.kind().word().to_owned(),
            message: error.to_string(),
            hint: error.advice().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What was written must be read as it was: numbers as keys, and names that a cluster spells otherwise.
    #[test]
    fn every_outcome_survives_its_journal() {
        let snapshot: Snapshot = serde_json::from_value(json!({
            "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": ["m"], "shards": { "total": 1, "failed": 0, "successful": 1 },
        }))
        .unwrap();
        let captured: Captured = serde_json::from_value(json!({
            "version": 1, "cluster": "c", "server": "s", "captured_at": "2026-01-01T00:00:00Z", "level": 2,
            "indices": { "m": { "uuid": "u", "is_open": true, "is_write_blocked": false, "primaries": 1, "documents": 3, "is_moving": false,
                "shards": { "0": { "documents": 3, "deleted": 0, "max_seq_no": 2, "operations": 3 } } } },
        }))
        .unwrap();
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for result in [
            Outcome::Snapshot { snapshot: Box::new(snapshot.into()) },
            Outcome::Capture { captured: Box::new(captured) },
        ] {
            let entry = Entry::Ended { round: 1, step: Step::Snapshot, at, result: Box::new(result) };
            let text = serde_json::to_string(&entry).unwrap();
            let read: Entry = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }
}
