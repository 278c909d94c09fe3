//! Rounds, previews and the status of a migration, told to people.

use std::time::Duration;

use crate::cli::output::{Bytes, Count, elapsed};
use crate::ops::compare::Verdict;
use crate::ops::migrate::{
    Document, Forecast, Go, Job, Phase, Preview, Round, RoundEnd, RoundLine, State, Step, Trend,
};

/// A round that has ended or stopped.
pub(super) fn round(state: &State, document: &Document) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(round) = state.last() else { return lines };
    lines.push(headline(round));
    if let Some(snapshot) = round.snapshot() {
        lines.push(format!("  snapshot `{}` ({})", snapshot.name, snapshot.uuid));
    }
    if let Some(copied) = round.copied() {
        lines.push(format!("  copied {} ({})", Count(copied.objects, "object"), Bytes(copied.bytes)));
    }
    if let Some(brought) = round.brought() {
        lines.push(format!(
            "  restored {} ({}, of which {} were there)",
            indices(brought.pieces.len()),
            Bytes(brought.bytes),
            Bytes(brought.reused_bytes)
        ));
    }
    if round.result(Step::Verify).is_some() {
        lines.extend(compared(document));
    }
    lines.extend(
        document.forecast.as_ref().filter(|_| matches!(round.phase, Phase::Baseline | Phase::Increment)).map(forecast),
    );
    for warning in &document.warnings {
        lines.push(format!("  note: {warning}"));
    }
    if round.phase != Phase::Increment {
        lines.extend(document.ways.iter().map(|way| format!("  next: {way}")));
    }
    lines
}

fn indices(count: usize) -> String {
    if count == 1 { "1 index".to_owned() } else { format!("{count} indices") }
}

fn headline(round: &Round) -> String {
    let seconds: f64 = round.steps.iter().map(|record| record.seconds).sum();
    let end = match round.end {
        Some(end) => word(Some(end)).to_owned(),
        None => format!("stopped at `{}`", round.next().map_or("its end", |step| step.word())),
    };
    format!("{} (round {}) {end} after {}", round.phase, round.number, elapsed(Duration::from_secs_f64(seconds)))
}

fn word(end: Option<RoundEnd>) -> &'static str {
    match end {
        Some(RoundEnd::Done) => "done",
        Some(RoundEnd::Different) => "ended, and the sides differ",
        Some(RoundEnd::Unchanged) => "unchanged",
        Some(RoundEnd::GivenUp) => "given up",
        None => "not finished",
    }
}

fn compared(document: &Document) -> Vec<String> {
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let one = |index: &crate::ops::migrate::IndexLine| {
        let sign = match index.verdict {
            Verdict::Equal => "=",
            Verdict::Different => "≠",
            Verdict::Moving | Verdict::Unknown => "~",
        };
        format!(
            "  compared `{}`: {} {sign} {} documents: {}",
            index.index,
            count(index.from),
            count(index.to),
            index.verdict.word()
        )
    };
    let mut lines: Vec<String> = document.indices.iter().map(one).collect();
    lines.extend(document.proves.iter().map(|proves| format!("  {proves}")));
    lines
}

/// "a cutover now would take about 3 min; allowed 5 min: go".
fn forecast(forecast: &Forecast) -> String {
    let time = |seconds: f64| elapsed(Duration::from_secs_f64(seconds.max(0.0)));
    let mut text = format!("  a cutover now would take about {}", time(forecast.seconds));
    if let Some(allowed) = forecast.allowed {
        text.push_str(&format!("; allowed {}", time(allowed)));
    }
    text.push_str(match forecast.go {
        Go::Go => ": go",
        Go::Wait => ": not yet",
        Go::Unknown => "",
    });
    let basis = match forecast.rounds {
        0 => "measured by the baseline, which brought everything".to_owned(),
        1 => "measured by one increment".to_owned(),
        rounds => format!("measured by {rounds} increments"),
    };
    let trend = match forecast.trend {
        Trend::Shrinking => ", becoming shorter",
        Trend::Growing => ", becoming longer",
        Trend::Steady => ", steady",
        Trend::Unknown => "",
    };
    text.push_str(&format!(" ({basis}{trend})"));
    text
}

/// Where a migration is.
pub(super) fn status(state: &State, document: &Document) -> Vec<String> {
    let mut lines = vec![
        format!("`{}`: {} → {}, repository `{}`", document.job, document.from, document.to, document.repository),
        format!("  {}", document.sentence),
    ];
    if !document.blocked.is_empty() {
        lines.push(format!("  writes are blocked at the source: `{}`", document.blocked.join("`, `")));
    }
    for round in &document.rounds {
        lines.push(row(round));
    }
    lines.extend(document.warnings.iter().map(|warning| format!("  note: {warning}")));
    lines.extend(left(state));
    if let Some((step, error)) = state.open().and_then(Round::failure) {
        lines.push(format!("  stopped at `{step}`: {}", error.message));
        lines.extend(error.hint.iter().map(|hint| format!("  hint: {hint}")));
    }
    if state.open().is_none() {
        lines.extend(compared(document));
    }
    lines.extend(document.forecast.as_ref().filter(|_| document.blocked.is_empty()).map(forecast));
    lines.extend(document.warnings.iter().map(|warning| format!("  note: {warning}")));
    lines.extend(document.ways.iter().map(|way| format!("  next: {way}")));
    lines
}

/// The snapshots that the rounds took: nobody deletes them but you.
fn left(state: &State) -> Option<String> {
    let names: Vec<&str> = state.rounds.iter().filter_map(Round::snapshot).map(|taken| taken.name.as_str()).collect();
    let first = names.first()?;
    let many = if names.len() == 1 { "1 snapshot".to_owned() } else { format!("{} snapshots", names.len()) };
    Some(format!(
        "  {many} of this migration in the source's repository, which stay there: {} (`snapshot delete CLUSTER REPOSITORY {first}` deletes one)",
        names.join(", ")
    ))
}

fn row(round: &RoundLine) -> String {
    format!(
        "  {:>4}  {:<9}  {}  {}  copied {}, restored {}  {}",
        round.number,
        round.phase.word(),
        round.begun.strftime("%Y-%m-%d %H:%M:%SZ"),
        elapsed(Duration::from_secs_f64(round.seconds)),
        Bytes(round.bytes),
        Bytes(round.restored_bytes),
        word(round.end)
    )
}

/// What a round would do.
pub(super) fn preview(job: &Job, preview: &Preview) -> Vec<String> {
    let steps: Vec<&str> = preview.steps.iter().map(|step| step.word()).collect();
    let begins = if preview.goes_on { "would go on with" } else { "would do" };
    let mut lines = vec![format!("{} of `{}` {begins}: {}", preview.phase, job.name, steps.join(", "))];
    if let Some(found) = &preview.preflight {
        lines.push(format!("  {} → {}", found.source, found.target));
        lines.extend(found.warnings.iter().map(|warning| format!("  note: {warning}")));
    }
    lines.extend(preview.snapshot.iter().map(|name| format!("  snapshot `{}:{name}` or so", job.repository)));
    if let Some(decided) = &preview.decided {
        for piece in &decided.pieces {
            let named = if piece.index == piece.target { String::new() } else { format!(" as `{}`", piece.target) };
            let how = if decided.delete.contains(&piece.target) {
                "what is there is deleted, then restored"
            } else if decided.swaps.values().any(|beside| *beside == piece.target) {
                "restored beside what is there, which it then replaces"
            } else if decided.over.contains_key(&piece.target) {
                "closed and restored over"
            } else {
                "restored"
            };
            lines.push(format!("  `{}`{named}: {how}", piece.index));
        }
        lines.extend(decided.skipped.iter().map(|name| format!("  `{name}`: left as it is")));
    }
    lines.extend(preview.rollback.iter().map(|what| format!("  {what}")));
    lines.push(format!("  journal `{}`", preview.journal.display()));
    lines
}
