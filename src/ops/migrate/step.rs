//! The steps of a migration and the phases that they make up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step. Each may be begun again however it ended, and comes to the same end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Both sides are looked at, and what the target would refuse is found, before a byte is copied.
    Preflight,
    /// Writes to the source's indices are blocked.
    Block,
    /// The source's numbers are written down, to compare with.
    Capture,
    /// A snapshot is taken.
    Snapshot,
    /// The repository is copied.
    Sync,
    /// The copy is registered at the target cluster, read-only.
    Register,
    /// The target cluster's view of the snapshot is compared with the source's.
    List,
    /// What stands in the way of the restore is found and decided.
    Conflicts,
    /// The snapshot is restored.
    Restore,
    /// What arrived is compared with what was written down.
    Verify,
    /// What was changed for the restore is put back, and replicas and blocks are looked at.
    Finalise,
    /// Of a rollback: the write block is lifted where it was set.
    LiftBlock,
    /// Of a rollback: indices that the migration made at the target are deleted, if that was asked for.
    DeleteCreated,
    /// Of a rollback: the repository is registered as it was.
    PutBack,
}

impl Step {
    /// The word for it: in logs, hooks and the journal.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Block => "block",
            Self::Capture => "capture",
            Self::Snapshot => "snapshot",
            Self::Sync => "sync",
            Self::Register => "register",
            Self::List => "list",
            Self::Conflicts => "conflicts",
            Self::Restore => "restore",
            Self::Verify => "verify",
            Self::Finalise => "finalise",
            Self::LiftBlock => "lift-block",
            Self::DeleteCreated => "delete-created",
            Self::PutBack => "put-back",
        }
    }

    /// The step of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        ALL.into_iter().find(|step| step.word() == word)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Every step.
const ALL: [Step; 14] = [
    Step::Preflight,
    Step::Block,
    Step::Capture,
    Step::Snapshot,
    Step::Sync,
    Step::Register,
    Step::List,
    Step::Conflicts,
    Step::Restore,
    Step::Verify,
    Step::Finalise,
    Step::LiftBlock,
    Step::DeleteCreated,
    Step::PutBack,
];

/// What a round is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The first round: everything travels.
    Baseline,
    /// A later one: what is new travels, and the indices are restored over.
    Increment,
    /// The last one, with the source's indices blocked.
    Cutover,
    /// Taking a cutover back.
    Rollback,
}

impl Phase {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Increment => "increment",
            Self::Cutover => "cutover",
            Self::Rollback => "rollback",
        }
    }

    /// Its steps, in order.
    #[must_use]
    pub fn steps(self) -> &'static [Step] {
        const OPEN: [Step; 10] = [
            Step::Preflight,
            Step::Capture,
            Step::Snapshot,
            Step::Sync,
            Step::Register,
            Step::List,
            Step::Conflicts,
            Step::Restore,
            Step::Verify,
            Step::Finalise,
        ];
        match self {
            Self::Baseline | Self::Increment => &OPEN,
            Self::Cutover => ALL.split_at(11).0,
            Self::Rollback => ALL.split_at(11).1,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cutover_blocks_before_it_captures_and_a_rollback_only_takes_back() {
        let steps = Phase::Cutover.steps();
        assert_eq!(steps[1..3], [Step::Block, Step::Capture]);
        assert_eq!(steps.last(), Some(&Step::Finalise));
        assert_eq!(Phase::Rollback.steps().first(), Some(&Step::LiftBlock));
        assert!(!Phase::Increment.steps().contains(&Step::Block));
    }

    #[test]
    fn every_step_is_found_by_its_word() {
        assert!(ALL.into_iter().all(|step| Step::of(step.word()) == Some(step)));
    }
}
