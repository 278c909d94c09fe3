//! How many requests a second: the bound that the user sets, and the rate that is learnt from refusals.
//!
//! A provider that allows so many requests a second refuses the rest, however few are under way at once. So refusals that come
//! in numbers give a rate, which then moves as CUBIC does (RFC 9438), in shares of itself and not in requests:
//!
//! 1. What was accepted in the last second is the ceiling, and [`CUT`] of it the rate.
//! 2. The rate comes back to the ceiling within the span, first fast, then carefully.
//! 3. Above it it feels its way for [`FEEL`]; a refusal there begins again at 1 with a longer span, because the ceiling proved right.
//! 4. Without a refusal it doubles every [`DOUBLING`]: whatever refused is over.
//!
//! It grows only while it is what requests wait for.

use std::time::Duration;

use tokio::time::Instant;

/// What a refusal leaves of the rate. Higher than for a number of requests, because the ceiling is measured and not guessed.
const CUT: f64 = 0.85;
/// The lowest rate, in requests a second: in a storm each is a question whether it is over.
const FLOOR: f64 = 4.0;
/// The shortest and the longest way back to the ceiling, in seconds, and what a ceiling that proved right makes of it.
const SPAN: (f64, f64) = (1.0, 30.0);
const LONGER: f64 = 2.0;
/// A refusal at this share of the ceiling proves it right: it is measured to a few percent.
const NEAR: f64 = 0.95;
/// Two for each cut in vain. After six, which leave less than half, the ceiling cannot have been measured too high.
const IN_VAIN: u32 = 12;
/// The share of what is accepted at which nothing is refused for the rate.
const EXAM: f64 = 0.5;
/// How long the rate feels its way above the ceiling, in seconds, and how steeply: 16 % in that time.
const FEEL: f64 = 2.0;
const STEEPNESS: f64 = 0.02;
/// In how many seconds it doubles after that.
const DOUBLING: f64 = 0.4;
/// Beyond this many requests a second nobody needs a rate.
const HIGHEST: f64 = 1e6;
/// What may be made up for after a timer that came late; timers come to the millisecond.
const LATE: Duration = Duration::from_millis(10);
/// What may be made up for after a pause where the user sets the bound.
const BURST: Duration = Duration::from_millis(100);

/// A line in which each request has its time.
#[derive(Debug)]
pub(super) struct Line {
    /// When the next request may go.
    next: Instant,
    burst: Duration,
    interval: Duration,
}

impl Line {
    /// The user's bound.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self::every(1.0 / f64::from(per_second.max(1)), BURST, now)
    }

    fn every(seconds: f64, burst: Duration, now: Instant) -> Self {
        Self { next: now, burst, interval: Duration::from_secs_f64(seconds) }
    }

    /// When the next request may go.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// A request goes now.
    pub(super) fn take(&mut self, now: Instant) {
        self.next = now.checked_sub(self.burst).map_or(self.next, |earliest| self.next.max(earliest)) + self.interval;
    }

    /// A request did not go after all.
    pub(super) fn give_back(&mut self) {
        self.next = self.next.checked_sub(self.interval).unwrap_or(self.next);
    }
}

/// The learnt rate.
#[derive(Debug)]
pub(super) struct Rate {
    pub(super) line: Line,
    per_second: f64,
    /// The rate after the last cut, the ceiling it returns to, and the time that takes, in seconds.
    from: f64,
    ceiling: f64,
    span: f64,
    /// For how long it has grown since the cut, in seconds.
    grown: f64,
    /// The last ceiling that was reached. Above it the way down is only that from what a server had saved up for us.
    proven: f64,
    /// Rises with each cut below that, falls half as much with each at a ceiling.
    in_vain: u32,
    /// Whether it stays where it is until an exam has ended.
    examining: bool,
    /// When a request last went, and whether the next one had to wait.
    last: Instant,
    waited: bool,
}

impl Rate {
    /// A rate learnt from `accepted` requests a second.
    pub(super) fn new(accepted: f64, now: Instant) -> Self {
        let mut rate = Self {
            line: Line::every(0.0, LATE, now),
            per_second: HIGHEST,
            from: 0.0,
            ceiling: 0.0,
            span: SPAN.0,
            grown: 0.0,
            proven: HIGHEST,
            in_vain: 0,
            examining: false,
            last: now,
            waited: false,
        };
        rate.begin_from(accepted.max(FLOOR));
        rate
    }

    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Whether it was cut so often in vain that the rate may not be what is refused.
    pub(super) fn is_in_vain(&self) -> bool {
        self.in_vain >= IN_VAIN
    }

    pub(super) fn is_examining(&self) -> bool {
        self.examining
    }

    /// Whether it is back at its ceiling.
    pub(super) fn is_back(&self) -> bool {
        self.grown >= self.span
    }

    fn is_below(&self) -> bool {
        self.per_second < NEAR * self.ceiling || self.per_second <= FLOOR
    }

    /// A request of this rate was refused while `accepted` were accepted in a second.
    pub(super) fn cut(&mut self, accepted: f64) {
        let below = self.is_below();
        if !below {
            self.in_vain = self.in_vain.saturating_sub(1);
            self.proven = self.ceiling;
        } else if self.per_second < NEAR * self.proven || self.per_second <= FLOOR {
            self.in_vain = (self.in_vain + 2).min(2 * IN_VAIN);
        }
        let ceiling = self.per_second.min(accepted).max(FLOOR);
        self.span = match self.grown {
            _ if ceiling < 2.0 * FLOOR => SPAN.0,
            grown if !below && grown < self.span + FEEL => (self.span * LONGER).min(SPAN.1),
            _ if !below => SPAN.0,
            // Still on the way down: the span says nothing yet.
            grown if grown < 0.2 * self.span => self.span,
            _ => (self.span / LONGER).max(SPAN.0),
        };
        self.begin_from(ceiling);
    }

    /// Stays at half of what is `accepted` until the exam has ended.
    pub(super) fn examine(&mut self, accepted: f64) {
        self.begin_from(self.per_second.min(accepted).max(FLOOR));
        self.examining = true;
        self.set((self.ceiling * EXAM).max(FLOOR));
    }

    /// The exam has ended: back to the ceiling.
    pub(super) fn resume(&mut self) {
        self.from = self.per_second;
        self.in_vain = 0;
        self.examining = false;
        self.span = SPAN.0;
    }

    fn begin_from(&mut self, ceiling: f64) {
        self.ceiling = ceiling;
        self.from = (ceiling * CUT).max(FLOOR);
        self.grown = 0.0;
        self.set(self.from);
    }

    /// When the next request may go; one that comes earlier waits.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        self.waited |= self.line.next > now;
        self.line.next
    }

    /// A request goes now.
    pub(super) fn take(&mut self, now: Instant) {
        if std::mem::take(&mut self.waited) && !self.examining {
            // A pause does not count, only the wait for this rate.
            let step = now.duration_since(self.last).as_secs_f64().min((2.0 / self.per_second).max(0.1));
            self.grown += step;
            self.set(self.at(self.grown));
        }
        self.last = now;
        self.line.take(now);
    }

    fn at(&self, grown: f64) -> f64 {
        let above = grown - self.span;
        if above < 0.0 {
            let missing = -above / self.span;
            return self.ceiling - (self.ceiling - self.from) * missing.powi(3);
        }
        let felt = self.ceiling * (1.0 + STEEPNESS * above.min(FEEL).powi(3));
        felt * ((above - FEEL).max(0.0) / DOUBLING).min(64.0).exp2()
    }

    fn set(&mut self, per_second: f64) {
        self.per_second = per_second.min(HIGHEST);
        self.line.interval = Duration::from_secs_f64(1.0 / self.per_second);
    }
}

/// The answers of the last second.
#[derive(Debug)]
pub(super) struct Recent {
    begun: Instant,
    slots: [Slot; SLOTS],
    /// The slot now being filled, counted from the beginning.
    at: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    good: u32,
    bad: u32,
}

const SLOTS: usize = 10;
const SLOT: Duration = Duration::from_millis(100);

impl Recent {
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, slots: [Slot::default(); SLOTS], at: 0 }
    }

    pub(super) fn good(&mut self, now: Instant) {
        self.slot(now).good += 1;
    }

    pub(super) fn bad(&mut self, now: Instant) {
        self.slot(now).bad += 1;
    }

    /// Good answers in a second.
    pub(super) fn accepted(&mut self, now: Instant) -> f64 {
        self.slot(now);
        let good: u32 = self.slots.iter().map(|slot| slot.good).sum();
        // The slot being filled is not whole: the time covered is that of the others and of what has passed of this one.
        let old = now.saturating_duration_since(self.begun).as_secs_f64();
        let covered = old.min(SLOT.as_secs_f64() * (SLOTS - 1) as f64 + old % SLOT.as_secs_f64());
        f64::from(good) / covered.max(SLOT.as_secs_f64())
    }

    /// Refusals of the last second.
    pub(super) fn refused(&mut self, now: Instant) -> u32 {
        self.slot(now);
        self.slots.iter().map(|slot| slot.bad).sum()
    }

    fn slot(&mut self, now: Instant) -> &mut Slot {
        let passed = now.saturating_duration_since(self.begun).as_millis() / SLOT.as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX).max(self.at);
        for old in (self.at + 1..=passed).take(SLOTS) {
            self.slots[place(old)] = Slot::default();
        }
        self.at = passed;
        &mut self.slots[place(passed)]
    }
}

fn place(slot: u64) -> usize {
    usize::try_from(slot % SLOTS as u64).expect("below ten")
}
