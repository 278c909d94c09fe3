//! How far things are: numbers gathered from events, told on a terminal ten times a second and in a log every few seconds.

use std::time::{Duration, Instant};

use super::FAILURES_SHOWN;
use super::human::{Bytes, Count, elapsed, grouped};
use crate::event::Event;

/// Between two lines in a log.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Between two messages on a terminal.
const TERMINAL_EVERY: Duration = Duration::from_millis(100);
/// Between two lines about tries that failed.
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// Over which time the rate is averaged.
const RATE_OVER: f64 = 5.0;

/// What has happened so far.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    doing: String,
    planned: (u64, u64),
    complete: bool,
    done: u64,
    moved: u64,
    skipped: u64,
    failed: u64,
    under_way: u64,
    rate: Rate,
    told: Instant,
    retried: Option<Instant>,
}

/// What an event gives to tell.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// A line that stays.
    pub(super) line: Option<String>,
    /// The state, in place of the last one.
    pub(super) status: Option<String>,
}

impl Progress {
    pub(super) fn new(terminal: bool) -> Self {
        let now = Instant::now();
        Self {
            terminal,
            doing: String::new(),
            planned: (0, 0),
            complete: false,
            done: 0,
            moved: 0,
            skipped: 0,
            failed: 0,
            under_way: 0,
            rate: Rate { at: now, moved: 0, per_second: 0.0 },
            told: now,
            retried: None,
        }
    }

    /// Takes note of an event.
    pub(super) fn take(&mut self, event: &Event<'_>) -> Told {
        let line = self.note(event);
        if let Event::Step(step) = event {
            // It has its line already; a terminal shows it for as long as it takes.
            return Told { line, status: self.terminal.then(|| format!("{step} …")) };
        }
        let every = if self.terminal { TERMINAL_EVERY } else { LOG_EVERY };
        let status = (self.told.elapsed() >= every && !self.doing.is_empty()).then(|| {
            self.told = Instant::now();
            self.status(event)
        });
        Told { line, status }
    }

    fn note(&mut self, event: &Event<'_>) -> Option<String> {
        match event {
            Event::Phase(phase) => self.doing = format!("copying {phase}"),
            Event::Step(step) => {
                (*step).clone_into(&mut self.doing);
                return Some(format!("{step} …"));
            }
            Event::Planned { bytes } => self.planned = (self.planned.0 + 1, self.planned.1 + bytes),
            Event::PlanComplete => self.complete = true,
            Event::Skipped { .. } => self.skipped += 1,
            Event::Started { .. } => self.under_way += 1,
            Event::Moved { bytes } => self.moved += bytes,
            Event::Copied { .. } | Event::Checked { .. } => {
                self.done += 1;
                self.under_way = self.under_way.saturating_sub(1);
            }
            Event::Failed { error, .. } => {
                self.failed += 1;
                self.under_way = self.under_way.saturating_sub(1);
                return self.failure(error);
            }
            Event::Retried { error, wait } => return self.retry(error, *wait),
            Event::Replanned { from, to } => {
                self.planned = (0, 0);
                (self.complete, self.done, self.moved) = (false, 0, 0);
                return Some(format!("the source moved from generation {from} to {to}: planning again"));
            }
            Event::Warning(text) => return Some(format!("warning: {text}")),
            Event::Request { .. } | Event::Published { .. } | Event::Deleted { .. } | Event::Shards { .. } => {}
        }
        None
    }

    fn failure(&self, error: &crate::error::Error) -> Option<String> {
        match self.failed {
            FAILURES_SHOWN => {
                Some("failed: and more; further ones are counted, and kept by `--failures FILE`".to_owned())
            }
            more if more > FAILURES_SHOWN => None,
            _ => {
                let hint = error
                    .advice()
                    .filter(|_| self.failed == 1)
                    .map(|hint| format!("\n  hint: {hint}"))
                    .unwrap_or_default();
                Some(format!("failed: {error}{hint}"))
            }
        }
    }

    fn retry(&mut self, error: &crate::error::Error, wait: Duration) -> Option<String> {
        tracing::debug!(%error, ?wait, "trying again");
        if self.retried.is_some_and(|last| last.elapsed() < RETRY_EVERY) {
            return None;
        }
        self.retried = Some(Instant::now());
        Some(format!("warning: {error}; trying again in {:.1} s", wait.as_secs_f64()))
    }

    fn status(&mut self, event: &Event<'_>) -> String {
        if let Event::Shards { doing, done, total, bytes, bytes_total } = event {
            let of = |total: u64, text: String| if total > 0 { format!(" of {text}") } else { String::new() };
            let rate = self.rate.at(*bytes);
            let left = bytes_total.saturating_sub(*bytes);
            let left = if left > 0 && rate > 1.0 {
                format!(", {} left", elapsed(Duration::from_secs_f64(left as f64 / rate)))
            } else {
                String::new()
            };
            return format!(
                "{doing}: {}{} shards, {}{}, {}/s{left}",
                grouped(*done),
                of(*total, grouped(*total)),
                Bytes(*bytes),
                of(*bytes_total, Bytes(*bytes_total).to_string()),
                Bytes(whole(rate)),
            );
        }
        let rate = self.rate.at(self.moved);
        // What was sent again after a failure is work, but no progress.
        let moved = self.moved.min(self.planned.1);
        let at_least = if self.complete { "" } else { "at least " };
        let mut text = format!(
            "{}: {} of {at_least}{}, {} of {at_least}{}, {}/s",
            self.doing,
            grouped(self.done),
            Count(self.planned.0, "object"),
            Bytes(moved),
            Bytes(self.planned.1),
            Bytes(whole(rate)),
        );
        let left = self.planned.1.saturating_sub(self.moved);
        if self.complete && rate > 1.0 {
            text.push_str(&format!(", {} left", elapsed(Duration::from_secs_f64(left as f64 / rate))));
        }
        text.push_str(&format!(", {} under way", self.under_way));
        for (count, word) in [(self.skipped, "skipped"), (self.failed, "failed")] {
            if count > 0 {
                text.push_str(&format!(", {} {word}", grouped(count)));
            }
        }
        text
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and far below 2^53")]
fn whole(rate: f64) -> u64 {
    rate as u64
}

/// A moving average.
#[derive(Debug)]
struct Rate {
    at: Instant,
    moved: u64,
    per_second: f64,
}

impl Rate {
    fn at(&mut self, moved: u64) -> f64 {
        let seconds = self.at.elapsed().as_secs_f64();
        if seconds < 0.05 {
            return self.per_second;
        }
        let now = moved.saturating_sub(self.moved) as f64 / seconds;
        let weight = if self.moved == 0 { 1.0 } else { 1.0 - (-seconds / RATE_OVER).exp() };
        self.per_second += (now - self.per_second) * weight;
        (self.at, self.moved) = (Instant::now(), moved);
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn the_state_says_what_is_known_so_far() {
        let mut progress = Progress::new(true);
        progress.take(&Event::Phase("data"));
        progress.take(&Event::Planned { bytes: 2048 });
        progress.take(&Event::Started { key: "a" });
        let before = progress.status(&Event::PlanComplete);
        assert!(before.starts_with("copying data: 0 of at least 1 object, 0 B of at least 2.0 KiB"), "{before}");
        progress.take(&Event::PlanComplete);
        progress.take(&Event::Moved { bytes: 2048 });
        progress.take(&Event::Copied { key: "a", bytes: 2048 });
        let after = progress.status(&Event::PlanComplete);
        assert!(after.starts_with("copying data: 1 of 1 object, 2.0 KiB of 2.0 KiB"), "{after}");
        assert!(after.contains("0 under way"), "{after}");
    }

    #[test]
    fn a_restore_shows_its_rate_and_what_is_left() {
        let mut progress = Progress::new(true);
        let event = |bytes| Event::Shards { doing: "restore", done: 1, total: 4, bytes, bytes_total: 4 << 30 };
        progress.rate.at = Instant::now().checked_sub(Duration::from_secs(1)).expect("the clock has run for a second");
        let shown = progress.status(&event(1 << 30));
        assert!(shown.starts_with("restore: 1 of 4 shards, 1.0 GiB of 4.0 GiB, "), "{shown}");
        assert!(shown.contains("/s, ") && shown.ends_with(" left"), "{shown}");
    }

    #[test]
    fn failures_are_shown_one_by_one_up_to_a_limit() {
        let mut progress = Progress::new(false);
        let error = Error::new(ErrorKind::Denied, "copy `a`").because("no");
        let shown =
            (0..50).filter(|_| progress.take(&Event::Failed { key: "a", error: &error }).line.is_some()).count();
        assert_eq!(shown as u64, FAILURES_SHOWN);
    }
}
