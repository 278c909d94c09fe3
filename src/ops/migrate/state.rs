//! What a journal comes to: its rounds, what each step was about to do and did, and what is still to be put back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::record::{
    Blocked, Brought, Copied, Decided, End, Entry, Failure, Header, Intent, Outcome, Preflight, Taken,
};
use super::step::{Phase, Step};
use crate::elastic::conflict::Piece;
use crate::ops::compare::Verdict;
use crate::ops::restore::{self, Undo};

/// A migration so far.
#[derive(Debug, Clone, Default, Serialize)]
pub struct State {
    /// Whose it is; none before the first line.
    pub header: Option<Header>,
    /// Its rounds, oldest first.
    pub rounds: Vec<Round>,
    /// What the restore has changed at the target cluster and is still to be put back.
    #[serde(skip)]
    pub undo: Undo,
    /// The snapshot, by its UUID, that was restored last, and what was to come of it.
    #[serde(skip)]
    pub(super) planned: Option<(String, Vec<Piece>)>,
    /// Whether that ended well.
    #[serde(skip)]
    pub(super) is_finished: bool,
    /// The UUIDs of the indices that the target cluster has taken a restore on for, by name.
    #[serde(skip)]
    pub submitted: BTreeMap<String, String>,
}

/// One round.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// Its number, from 1.
    pub number: u32,
    /// What it is for.
    pub phase: Phase,
    /// When it began.
    pub begun: Timestamp,
    /// When it was over.
    pub over: Option<Timestamp>,
    /// How it ended; none while it has not.
    pub end: Option<End>,
    /// What its steps did, in the order in which they began first.
    pub steps: Vec<Record>,
}

/// One step of a round.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Which.
    pub step: Step,
    /// When it began, the last time.
    pub begun: Timestamp,
    /// How often it began.
    pub tries: u32,
    /// What it was about to do.
    pub intent: Option<Intent>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How long all its tries took that ended, in seconds.
    pub seconds: f64,
    /// What came of it; none if it has not ended well.
    pub result: Option<Outcome>,
    /// Why it failed the last time.
    pub error: Option<Failure>,
}

impl State {
    /// Takes in one more line.
    pub(super) fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Opened(header) => self.header = Some(header),
            Entry::Round { round, phase, at } => {
                self.rounds.push(Round { number: round, phase, begun: at, over: None, end: None, steps: Vec::new() });
            }
            Entry::Begun { round, step, at, intent } => {
                if let Some(round) = self.round_mut(round) {
                    round.begin(step, at, intent);
                }
            }
            Entry::Ended { round, step, at, result } => {
                if let Some(record) = self.round_mut(round).and_then(|round| round.record_mut(step)) {
                    record.stop(at);
                    record.result = Some(*result);
                    record.error = None;
                }
            }
            Entry::Failed { round, step, at, error } => {
                if let Some(record) = self.round_mut(round).and_then(|round| round.record_mut(step)) {
                    record.stop(at);
                    record.error = Some(error);
                }
            }
            Entry::Restoring { told, .. } => {
                match &told {
                    restore::Entry::Submitted { indices } => self.submitted.extend(indices.clone()),
                    restore::Entry::Planned { uuid, pieces, .. } => {
                        self.planned = Some((uuid.clone(), pieces.clone()));
                        self.is_finished = false;
                    }
                    restore::Entry::Finished => self.is_finished = true,
                    _ => {}
                }
                self.undo.note(&told);
            }
            Entry::Over { round, at, end } => {
                if let Some(round) = self.round_mut(round) {
                    (round.over, round.end) = (Some(at), Some(end));
                }
            }
        }
    }

    fn round_mut(&mut self, number: u32) -> Option<&mut Round> {
        self.rounds.iter_mut().rev().find(|round| round.number == number)
    }

    /// The last round.
    #[must_use]
    pub fn last(&self) -> Option<&Round> {
        self.rounds.last()
    }

    /// The round that has not ended.
    #[must_use]
    pub fn open(&self) -> Option<&Round> {
        self.last().filter(|round| round.end.is_none())
    }

    /// The rounds that brought something to the target, oldest first.
    #[must_use]
    pub fn brought(&self) -> impl DoubleEndedIterator<Item = &Round> {
        self.rounds
            .iter()
            .filter(|round| matches!(round.end, Some(End::Done | End::Different)) && round.phase != Phase::Rollback)
    }

    /// The cutover that is in force: begun, and neither given up nor rolled back.
    #[must_use]
    pub fn cutover(&self) -> Option<&Round> {
        let mut later = self.since_rollback().iter().rev();
        later.find(|round| round.phase == Phase::Cutover && round.end != Some(End::GivenUp))
    }

    /// The indices that cutovers in force have blocked or were about to, and whether they were blocked before the first of them.
    #[must_use]
    pub fn blocked(&self) -> Vec<Blocked> {
        let mut blocked: BTreeMap<(&str, &str), &Blocked> = BTreeMap::new();
        for one in self.since_rollback().iter().flat_map(Round::blocked) {
            blocked.entry((&one.name, &one.uuid)).or_insert(one);
        }
        blocked.into_values().cloned().collect()
    }

    /// What came of the restore of this snapshot, if it ended well: nothing is left to be done about it then.
    #[must_use]
    pub fn finished(&self, snapshot: &str) -> Option<&[Piece]> {
        let (uuid, pieces) = self.planned.as_ref()?;
        (self.is_finished && uuid == snapshot).then_some(pieces)
    }

    /// The indices at the target that are ours, with their UUIDs: those that a restore of this migration made or filled.
    #[must_use]
    pub fn ours(&self) -> BTreeMap<&str, &str> {
        let brought = self.rounds.iter().filter_map(Round::brought);
        let uuids = brought.flat_map(|brought| &brought.uuids).chain(&self.submitted);
        uuids.map(|(name, uuid)| (name.as_str(), uuid.as_str())).collect()
    }

    /// Those that were not there before this migration, with their UUIDs.
    #[must_use]
    pub fn created(&self) -> BTreeMap<String, String> {
        let ours = self.ours();
        // One that was there in the first round that restored into it was not made by us.
        let made_by = |name: &str| {
            self.rounds.iter().filter(|round| round.begun(Step::Restore)).find_map(|round| {
                let decided = round.decided()?;
                let is_target = decided.pieces.iter().any(|piece| piece.target == name);
                is_target.then(|| !decided.over.contains_key(name))
            })
        };
        ours.into_iter()
            .filter(|(name, _)| made_by(name) == Some(true))
            .map(|(name, uuid)| (name.to_owned(), uuid.to_owned()))
            .collect()
    }

    /// Every index that a restore was about to make, and of which no UUID was written down: a rollback must not delete it.
    #[must_use]
    pub fn unproven(&self) -> BTreeSet<&str> {
        let ours = self.ours();
        let decided = self.rounds.iter().filter(|round| round.begun(Step::Restore)).filter_map(Round::decided);
        let targets = decided.flat_map(|decided| {
            decided.pieces.iter().map(|piece| piece.target.as_str()).filter(|name| !decided.over.contains_key(*name))
        });
        targets.filter(|name| !ours.contains_key(*name)).collect()
    }

    /// The rounds after the last rollback.
    fn since_rollback(&self) -> &[Round] {
        let rolled_back = |round: &Round| round.phase == Phase::Rollback && round.end == Some(End::Done);
        let after = self.rounds.iter().rposition(rolled_back).map_or(0, |at| at + 1);
        &self.rounds[after..]
    }
}

impl Round {
    fn begin(&mut self, step: Step, at: Timestamp, intent: Option<Intent>) {
        match self.record_mut(step) {
            Some(record) => {
                record.begun = at;
                record.ended = None;
                record.tries += 1;
                record.error = None;
                record.result = None;
                if intent.is_some() {
                    record.intent = intent;
                }
            }
            None => self.steps.push(Record {
                step,
                begun: at,
                tries: 1,
                intent,
                ended: None,
                seconds: 0.0,
                result: None,
                error: None,
            }),
        }
    }

    fn record_mut(&mut self, step: Step) -> Option<&mut Record> {
        self.steps.iter_mut().find(|record| record.step == step)
    }

    /// What is known of a step; none if it has not begun.
    #[must_use]
    pub fn record(&self, step: Step) -> Option<&Record> {
        self.steps.iter().find(|record| record.step == step)
    }

    /// Whether a step has begun.
    #[must_use]
    pub fn begun(&self, step: Step) -> bool {
        self.record(step).is_some()
    }

    /// What came of a step, if it ended well.
    #[must_use]
    pub fn result(&self, step: Step) -> Option<&Outcome> {
        self.record(step)?.result.as_ref()
    }

    /// What a step was about to do.
    #[must_use]
    pub fn intent(&self, step: Step) -> Option<&Intent> {
        self.record(step)?.intent.as_ref()
    }

    /// The first step that has not ended well.
    #[must_use]
    pub fn next(&self) -> Option<Step> {
        self.phase.steps().iter().copied().find(|step| self.result(*step).is_none())
    }

    /// What the preflight found.
    #[must_use]
    pub fn preflight(&self) -> Option<&Preflight> {
        match self.result(Step::Preflight)? {
            Outcome::Preflight(preflight) => Some(preflight),
            _ => None,
        }
    }

    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Taken> {
        match self.result(Step::Snapshot)? {
            Outcome::Snapshot { snapshot } => Some(snapshot),
            _ => None,
        }
    }

    /// What the copy did.
    #[must_use]
    pub fn copied(&self) -> Option<&Copied> {
        match self.result(Step::Sync)? {
            Outcome::Sync(copied) => Some(copied),
            _ => None,
        }
    }

    /// What was decided about conflicts.
    #[must_use]
    pub fn decided(&self) -> Option<&Decided> {
        match self.result(Step::Conflicts)? {
            Outcome::Conflicts(decided) => Some(decided),
            _ => None,
        }
    }

    /// What the restore brought.
    #[must_use]
    pub fn brought(&self) -> Option<&Brought> {
        match self.result(Step::Restore)? {
            Outcome::Restore(brought) => Some(brought),
            _ => None,
        }
    }

    /// The indices that it blocked or was about to.
    #[must_use]
    pub fn blocked(&self) -> &[Blocked] {
        match (self.result(Step::Block), self.intent(Step::Block)) {
            (Some(Outcome::Block { indices }), _) | (_, Some(Intent::Block { indices })) => indices,
            _ => &[],
        }
    }

    /// How long a step took.
    #[must_use]
    pub fn took(&self, step: Step) -> Option<Duration> {
        let record = self.record(step).filter(|record| record.result.is_some())?;
        Some(Duration::from_secs_f64(record.seconds))
    }

    /// The error that it stopped at, with the step.
    #[must_use]
    pub fn failure(&self) -> Option<(Step, &Failure)> {
        self.steps.iter().rev().find_map(|record| Some((record.step, record.error.as_ref()?)))
    }
}

impl Record {
    fn stop(&mut self, at: Timestamp) {
        self.ended = Some(at);
        self.seconds += at.duration_since(self.begun).as_secs_f64().max(0.0);
    }
}

/// How a round ended whose steps are all done.
pub(super) fn ended(round: &Round) -> End {
    match round.result(Step::Verify) {
        Some(Outcome::Verify { verification, at_rest }) => match verification.verdict {
            Verdict::Different => End::Different,
            Verdict::Moving if *at_rest => End::Different,
            _ => End::Done,
        },
        _ => End::Done,
    }
}
