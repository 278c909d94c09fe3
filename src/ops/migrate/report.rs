//! The report: what a migration came to, as one document for programs. [`super::html()`] shows the same to people.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::forecast::{Forecast, forecast};
use super::record::{Copied, End, Failure, Outcome};
use super::state::{Round, State};
use super::step::{Phase, Step};
use crate::ops::compare::{LevelVerdict, Verdict, Verification};

/// What snapshots do not carry, and so no migration does (`elasticsearch-api.md` 4.8). What of it is missing at the target is told by the
/// restore as far as it can be known.
pub(super) const NOT_CARRIED: [&str; 7] = [
    "users, roles, API keys and other security settings",
    "index and component templates, ingest pipelines, stored scripts",
    "lifecycle policies (ILM, ISM, SLM) and their schedules",
    "settings of the cluster, and registrations of other repositories",
    "Kibana's or Dashboards' own objects, watches, transforms and machine learning jobs",
    "documents written to the source after the snapshot was taken",
    "clients: whatever reads and writes must be pointed to the target by you",
];

/// A report. The field names are stable: fields are added, never renamed.
#[derive(Debug, Serialize)]
pub struct Document {
    /// The job's name.
    pub job: String,
    /// When the report was written.
    pub at: Timestamp,
    /// The verdict in a word: `done`, `different`, `failed`, `unchanged`, `rolled-back`, `nothing`.
    pub verdict: &'static str,
    /// The verdict in a sentence.
    pub sentence: String,
    /// Where the repository was copied from.
    pub from: String,
    /// Where it was copied to.
    pub to: String,
    /// The repository's name.
    pub repository: String,
    /// The source cluster's version.
    pub source: String,
    /// The target cluster's version.
    pub target: String,
    /// The last round.
    pub round: Option<RoundDocument>,
    /// All rounds.
    pub rounds: Vec<RoundLine>,
    /// The indices side by side.
    pub indices: Vec<IndexLine>,
    /// What each level of the comparison proves, for all indices together.
    pub proves: Option<String>,
    /// The indices that the last round was meant to bring and that are closed at the source.
    pub closed: Vec<String>,
    /// The indices that earlier rounds brought, by their names at the target, and that the source has no longer.
    pub only_at_target: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What no snapshot carries.
    pub not_carried: Vec<&'static str>,
    /// The indices whose writes are blocked at the source by this migration.
    pub blocked: Vec<String>,
    /// How to go on, or back.
    pub ways: Vec<String>,
    /// What an outage would be.
    pub forecast: Option<Forecast>,
}

/// The last round in detail.
#[derive(Debug, Serialize)]
pub struct RoundDocument {
    /// Its number.
    pub number: u32,
    /// What it was for.
    pub phase: Phase,
    /// When it began.
    pub begun: Timestamp,
    /// When it was over.
    pub over: Option<Timestamp>,
    /// Its snapshot.
    pub snapshot: Option<SnapshotLine>,
    /// Its copy.
    pub copied: Option<Copied>,
    /// Its steps.
    pub steps: Vec<StepLine>,
}

/// A snapshot by identity.
#[derive(Debug, Serialize)]
pub struct SnapshotLine {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// When it began, in milliseconds since 1970.
    pub start_time_in_millis: Option<u64>,
    /// When it ended, in milliseconds since 1970.
    pub end_time_in_millis: Option<u64>,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct StepLine {
    /// Which.
    pub step: Step,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How often it began.
    pub tries: u32,
    /// Whether it ended well.
    pub done: bool,
    /// Why not.
    pub error: Option<Failure>,
}

/// One round, in a line.
#[derive(Debug, Serialize)]
pub struct RoundLine {
    /// Its number.
    pub number: u32,
    /// What it was for.
    pub phase: Phase,
    /// When it began.
    pub begun: Timestamp,
    /// How it ended.
    pub end: Option<End>,
    /// How long its steps took, in seconds.
    pub seconds: f64,
    /// Bytes copied.
    pub bytes: u64,
    /// Objects copied.
    pub objects: u64,
    /// Bytes that the restore put on the nodes.
    pub restored_bytes: u64,
}

/// One index, both sides.
#[derive(Debug, Serialize)]
pub struct IndexLine {
    /// Its name at the source.
    pub index: String,
    /// Its name at the target.
    pub target: String,
    /// The source's documents.
    pub from: Option<u64>,
    /// The target's documents.
    pub to: Option<u64>,
    /// What the comparison says.
    pub verdict: Verdict,
    /// The same by level.
    pub levels: Vec<LevelVerdict>,
}

impl Document {
    /// The report of a job whose journal says this.
    #[must_use]
    pub fn new(job: &str, outage: Option<Duration>, state: &State, at: Timestamp) -> Self {
        let header = state.header.as_ref();
        let text = |pick: fn(&super::Header) -> &String| header.map(pick).cloned().unwrap_or_default();
        let preflight = state.rounds.iter().rev().find_map(Round::preflight);
        let verification = state.rounds.iter().rev().find_map(verification);
        let (verdict, sentence) = verdict(state);
        let found = state.last().and_then(Round::preflight);
        Self {
            job: job.to_owned(),
            at,
            verdict,
            sentence,
            from: text(|header| &header.from),
            to: text(|header| &header.to),
            repository: text(|header| &header.repository),
            source: preflight.map(|found| found.source.clone()).unwrap_or_default(),
            target: preflight.map(|found| found.target.clone()).unwrap_or_default(),
            round: state.last().map(detail),
            rounds: state.rounds.iter().map(line).collect(),
            indices: verification.map(indices).unwrap_or_default(),
            proves: verification.map(|found| found.proves.clone()),
            closed: found.map(|found| found.closed.clone()).unwrap_or_default(),
            only_at_target: found.map(|found| found.only_at_target.clone()).unwrap_or_default(),
            warnings: warnings(state),
            not_carried: NOT_CARRIED.to_vec(),
            blocked: blocked(state),
            ways: ways(job, state),
            forecast: forecast(state, outage),
        }
    }
}

/// The indices that we block at the source.
fn blocked(state: &State) -> Vec<String> {
    state.blocked().into_iter().filter(|one| !one.was_blocked).map(|one| one.name).collect()
}

fn verification(round: &Round) -> Option<&Verification> {
    match round.result(Step::Verify)? {
        Outcome::Verify { verification, .. } => Some(verification),
        _ => None,
    }
}

fn verdict(state: &State) -> (&'static str, String) {
    let Some(round) = state.last() else { return ("nothing", "nothing has been done yet".to_owned()) };
    let phase = round.phase;
    let proves = verification(round).map(|found| found.proves.clone()).unwrap_or_default();
    match (round.end, round.failure()) {
        (Some(End::Done), _) if phase == Phase::Rollback => ("rolled-back", taken_back(state, round).to_owned()),
        (Some(End::Done), _) => ("done", format!("the {phase} is done: {proves}{}", left_behind(round))),
        (Some(End::Different), Some((_, error))) => ("different", format!("the {phase} ended: {}", error.message)),
        (Some(End::Different), None) => ("different", format!("the {phase} ended, and the sides differ: {proves}")),
        (Some(End::Unchanged), _) => ("unchanged", format!("nothing had changed at the source{}", left_behind(round))),
        (Some(End::GivenUp), _) => ("failed", format!("the {phase} was given up")),
        (None, Some((step, error))) => ("failed", format!("the {phase} stopped at `{step}`: {}", error.message)),
        (None, None) => {
            let step = round.next().map_or("its end", Step::word);
            ("failed", format!("the {phase} was interrupted before `{step}` ended"))
        }
    }
}

/// What a rollback came to.
fn taken_back(state: &State, round: &Round) -> &'static str {
    let lifted = match round.result(Step::LiftBlock) {
        Some(Outcome::LiftBlock { lifted, .. }) => lifted.len(),
        _ => 0,
    };
    let before = state.rounds.iter().rev().skip(1).take_while(|round| round.phase != Phase::Rollback);
    match (lifted, before.filter(|round| round.phase == Phase::Cutover).count()) {
        (0, 0) => "the rollback is done; there was no cutover, and no block to lift",
        (0, _) => "the cutover is taken back; there was no block of it to lift at the source",
        _ => "the cutover is taken back: the source takes writes again",
    }
}

/// What is not part of that sentence.
fn left_behind(round: &Round) -> String {
    let Some(found) = round.preflight() else { return String::new() };
    let mut text = String::new();
    for (names, what) in [
        (&found.closed, "closed at the source and not brought"),
        (&found.only_at_target, "at the target and no longer at the source"),
    ] {
        if !names.is_empty() {
            text.push_str(&format!("; {what}: `{}`", names.join("`, `")));
        }
    }
    text
}

fn detail(round: &Round) -> RoundDocument {
    RoundDocument {
        number: round.number,
        phase: round.phase,
        begun: round.begun,
        over: round.over,
        snapshot: round.snapshot().map(|snapshot| SnapshotLine {
            name: snapshot.name.clone(),
            uuid: snapshot.uuid.clone(),
            start_time_in_millis: snapshot.start_time_in_millis,
            end_time_in_millis: snapshot.end_time_in_millis,
        }),
        copied: round.copied().cloned(),
        steps: round
            .steps
            .iter()
            .map(|record| StepLine {
                step: record.step,
                seconds: record.seconds,
                tries: record.tries,
                done: record.result.is_some(),
                error: record.error.clone(),
            })
            .collect(),
    }
}

fn line(round: &Round) -> RoundLine {
    let copied = round.copied();
    RoundLine {
        number: round.number,
        phase: round.phase,
        begun: round.begun,
        end: round.end,
        seconds: round.steps.iter().map(|record| record.seconds).sum(),
        bytes: copied.map_or(0, |copied| copied.bytes),
        objects: copied.map_or(0, |copied| copied.objects),
        restored_bytes: round.brought().map_or(0, |brought| brought.bytes.saturating_sub(brought.reused_bytes)),
    }
}

fn indices(verification: &Verification) -> Vec<IndexLine> {
    let one = |index: &crate::ops::compare::IndexVerification| IndexLine {
        index: index.index.clone(),
        target: index.target.clone(),
        from: index.documents.from,
        to: index.documents.to,
        verdict: index.verdict,
        levels: index.levels.clone(),
    };
    verification.indices.iter().map(one).collect()
}

fn warnings(state: &State) -> Vec<String> {
    let Some(round) = state.last() else { return Vec::new() };
    let mut warnings = round.preflight().map(|found| found.warnings.clone()).unwrap_or_default();
    let skipped = round.decided().map(|decided| decided.skipped.clone()).unwrap_or_default();
    warnings.extend(skipped.into_iter().map(|name| format!("`{name}` was there and was left as it is")));
    for (thing, names) in round.brought().into_iter().flat_map(|brought| &brought.missing) {
        warnings.push(format!("the target lacks what the source has, {thing}: `{}`", names.join("`, `")));
    }
    for record in &round.steps {
        match &record.result {
            Some(Outcome::LiftBlock { left, gone, .. }) => {
                warnings.extend(
                    gone.iter().map(|name| format!("`{name}` is gone at the source: there is no block to lift")),
                );
                warnings.extend(left.iter().map(|name| format!("the write block of `{name}` was not ours, and stays")));
            }
            Some(Outcome::DeleteCreated { kept, deleted }) => {
                warnings.extend(deleted.iter().map(|name| format!("`{name}` at the target was deleted")));
                warnings.extend(kept.iter().map(|(name, why)| format!("`{name}` at the target stays: {why}")));
            }
            Some(Outcome::Finalise { warnings: told, .. }) => {
                let new: Vec<String> = told.iter().filter(|text| !warnings.contains(text)).cloned().collect();
                warnings.extend(new);
            }
            Some(Outcome::PutBack { told }) => warnings.push(told.clone()),
            _ => {}
        }
    }
    warnings
}

/// What can be done from here.
fn ways(job: &str, state: &State) -> Vec<String> {
    let mut ways = Vec::new();
    let Some(round) = state.last() else {
        ways.push(format!("`migrate baseline {job}` begins"));
        return ways;
    };
    let blocked = blocked(state);
    match (round.phase, round.end) {
        (Phase::Cutover, Some(End::Done)) => {
            ways.push(
                "point clients to the target; the source stays blocked, so that nothing is written past it".to_owned(),
            );
            ways.push(format!(
                "back: `migrate cutover {job} --rollback` lifts the block; what was written to the target meanwhile is lost to the source"
            ));
            ways.push(format!(
                "when you are sure: lift the block at the source by hand (`PUT /{}/_settings` with `{{\"index.blocks.write\": null}}`) or delete the indices there, unregister the repositories, and take back credentials",
                blocked.join(",")
            ));
        }
        (Phase::Cutover, _) => {
            ways.push(format!("`migrate cutover {job} --resume` goes on"));
            ways.push(if blocked.is_empty() {
                format!("`migrate cutover {job} --rollback` gives it up; nothing is blocked at the source")
            } else {
                format!("`migrate cutover {job} --rollback` lifts the block at the source")
            });
        }
        (Phase::Rollback, Some(_)) => ways.push(format!("`migrate increment {job}` goes on migrating")),
        (Phase::Rollback, None) => ways.push(format!("`migrate cutover {job} --rollback` goes on")),
        (phase, None) => ways.push(format!("`migrate {phase} {job}` goes on where it was")),
        (_, Some(_)) => {
            ways.push(format!("`migrate increment {job}` brings what is new, as often as you like"));
            ways.push(format!("`migrate cutover {job}` blocks writes at the source and brings the rest"));
        }
    }
    ways
}
