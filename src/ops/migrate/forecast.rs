//! How long the source would be blocked if the cutover came now, from what earlier rounds took.
//!
//! An outage is the last snapshot, the last copy, the last restore and the comparison (`elasticsearch-api.md` 4.10). Increments measure just
//! that, for as much change as there was between two of them. Of each step the longer counts of the last time and of the middle one of
//! the last five: one lucky round promises nothing. A baseline measures everything and not what changed, so that it only bounds.

use std::time::Duration;

use serde::Serialize;

use super::record::End;
use super::state::{Round, State};
use super::step::{Phase, Step};

/// The steps during which the source is blocked.
const BLOCKED: [Step; 9] = [
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

/// So many of the last rounds are looked at.
const LOOKED_AT: usize = 5;

/// Rounds that differ by less than this part of each other are alike.
const ALIKE: f64 = 0.25;

/// How long an outage would be. The field names are stable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Seconds in all.
    pub seconds: f64,
    /// The same for each step that takes a part in it.
    pub steps: Vec<(Step, f64)>,
    /// The bytes that the last round copied.
    pub bytes: u64,
    /// How many increments it rests on; none if it is only the baseline.
    pub rounds: usize,
    /// Whether rounds become shorter.
    pub trend: Trend,
    /// How long an outage may be, in seconds.
    pub allowed: Option<f64>,
    /// What follows.
    pub go: Go,
}

/// Whether rounds become shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trend {
    /// The last was clearly shorter than the one before.
    Shrinking,
    /// About as long.
    Steady,
    /// Clearly longer.
    Growing,
    /// There are not two to compare.
    Unknown,
}

/// What follows for the cutover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Go {
    /// It would be short enough.
    Go,
    /// It would be too long.
    Wait,
    /// Nobody said how long it may be, or no increment was measured.
    Unknown,
}

/// The forecast; none before the first round has ended.
#[must_use]
pub fn forecast(state: &State, allowed: Option<Duration>) -> Option<Forecast> {
    let rounds: Vec<&Round> = state
        .brought()
        .rev()
        .filter(|round| round.phase == Phase::Increment && round.end != Some(End::Unchanged))
        .take(LOOKED_AT)
        .collect();
    let measured = rounds.len();
    let rounds = if rounds.is_empty() { vec![state.brought().next_back()?] } else { rounds };
    let steps: Vec<(Step, f64)> =
        BLOCKED.into_iter().filter_map(|step| Some((step, longest(&rounds, step)?))).collect();
    let seconds = steps.iter().map(|(_, seconds)| seconds).sum();
    let allowed = allowed.map(|allowed| allowed.as_secs_f64());
    Some(Forecast {
        seconds,
        steps,
        bytes: rounds[0].copied().map_or(0, |copied| copied.bytes),
        rounds: measured,
        trend: trend(&rounds),
        allowed,
        go: match allowed {
            // The baseline was of everything: if even that is short enough, an increment is.
            Some(allowed) if seconds <= allowed => Go::Go,
            Some(_) if measured > 0 => Go::Wait,
            _ => Go::Unknown,
        },
    })
}

/// Of the last round and the middle one of all, the longer, in seconds.
fn longest(rounds: &[&Round], step: Step) -> Option<f64> {
    let mut all: Vec<f64> = rounds.iter().filter_map(|round| Some(round.took(step)?.as_secs_f64())).collect();
    let last = *all.first()?;
    all.sort_by(f64::total_cmp);
    Some(last.max(all[all.len() / 2]))
}

fn total(round: &Round) -> f64 {
    BLOCKED.iter().filter_map(|step| round.took(*step)).map(|took| took.as_secs_f64()).sum()
}

fn trend(rounds: &[&Round]) -> Trend {
    let [last, before, ..] = rounds else { return Trend::Unknown };
    let (last, before) = (total(last), total(before));
    match last / before.max(0.001) {
        ratio if ratio < 1.0 - ALIKE => Trend::Shrinking,
        ratio if ratio > 1.0 + ALIKE => Trend::Growing,
        _ => Trend::Steady,
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Copied, Outcome};
    use super::super::state::Record;
    use super::*;

    fn round(number: u32, phase: Phase, seconds: f64) -> Round {
        let at = "2026-01-01T00:00:00Z".parse().expect("valid");
        let record = |step| Record {
            step,
            begun: at,
            tries: 1,
            intent: None,
            ended: Some(at),
            seconds,
            result: Some(Outcome::Sync(Copied { bytes: 7, ..Copied::default() })),
            error: None,
        };
        Round {
            number,
            phase,
            begun: at,
            over: Some(at),
            end: Some(End::Done),
            steps: vec![record(Step::Sync), record(Step::Restore)],
        }
    }

    fn state(rounds: impl IntoIterator<Item = Round>) -> State {
        State { rounds: rounds.into_iter().collect(), ..State::default() }
    }

    #[test]
    fn the_last_round_and_the_middle_one_bound_the_outage() {
        let all = [10.0, 90.0, 20.0, 30.0].into_iter().zip(1..);
        let state = state(all.map(|(seconds, number)| round(number, Phase::Increment, seconds)));
        let found = forecast(&state, Some(Duration::from_mins(1))).unwrap();
        assert!((found.seconds - 60.0).abs() < 1e-9, "{found:?}");
        assert_eq!((found.go, found.trend, found.rounds, found.bytes), (Go::Go, Trend::Growing, 4, 7));
        assert_eq!(forecast(&state, Some(Duration::from_secs(59))).unwrap().go, Go::Wait);
        assert_eq!(forecast(&state, None).unwrap().go, Go::Unknown);
    }

    #[test]
    fn a_baseline_alone_promises_only_what_it_took_itself() {
        let state = state([round(1, Phase::Baseline, 100.0)]);
        assert_eq!(forecast(&state, Some(Duration::from_secs(10))).unwrap().go, Go::Unknown);
        assert_eq!(forecast(&state, Some(Duration::from_secs(1000))).unwrap().go, Go::Go);
        assert_eq!(forecast(&State::default(), None), None);
    }
}
