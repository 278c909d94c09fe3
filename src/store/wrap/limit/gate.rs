//! The gate that every request to an endpoint passes: who may go now, who waits, and what the answers say about it.
//!
//! 1. Requests wait in one line. Only the first of it looks at the gate, so that nobody overtakes and nothing is woken in vain.
//! 2. It goes when no pause is on, a place is free, and both rates allow it.
//! 3. Its answer is told to [`Window`] and [`Rate`]. Refusals of requests that went before the last cut tell nothing new: a burst
//!    of them counts once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::noise::{Noise, Verdict};
use super::rate::{Line, Rate, Recent};
use super::window::Window;
use super::{LimitOptions, LimitSnapshot};
use crate::error::{Error, ErrorKind};

/// Refusals in a second that make a rate; fewer are accidents.
const REFUSALS: u32 = 3;
/// So many unclear failures are trouble; fewer are accidents too.
const SHAKY: f64 = 4.0;
/// After so long, usual refusals are looked at once more from well below: they may have come to depend on the rate.
const EXAM: Duration = Duration::from_secs(20);
/// The longest pause that a hint gives: a mistaken one must not stop a run for hours.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Bytes that are as much work as a request, where throughput is compared.
const WORK: u64 = 256 * 1024;

/// The gate of one endpoint.
#[derive(Debug)]
pub(super) struct Gate {
    /// The front of the line: held by the one request that looks at the gate.
    front: Semaphore,
    /// A place became free. Only the front waits for it.
    freed: Notify,
    state: Mutex<State>,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct State {
    window: Window,
    bound: Option<Line>,
    rate: Option<Rate>,
    recent: Recent,
    in_flight: u32,
    /// Whether the front waits for a place.
    wanted: bool,
    paused: Instant,
    /// How long pauses were in all; they are no part of what `recent` counts.
    pauses: Duration,
    /// Refusals of requests that went before this are known.
    cut: Instant,
    noise: Noise,
    answers: u64,
    throttled: u64,
}

enum Look {
    Go,
    Full,
    Wait(Instant),
}

/// What an answer says about the endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// It served the request, or said why not.
    Good,
    /// It asks for fewer requests, and perhaps for a pause.
    Throttled(Option<Duration>),
    /// It failed or was silent; one such is an accident.
    Shaky,
    /// Nothing.
    Other,
}

/// Whether the time to an answer tells how busy the endpoint is: it does where neither the request had a body nor the time
/// includes that of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    Tells,
    IsOfABody,
}

impl Answer {
    pub(super) fn of<T>(result: &Result<T, Error>) -> Self {
        let Err(error) = result else { return Self::Good };
        match error.kind() {
            ErrorKind::Throttled => Self::Throttled(error.wait()),
            // No connection, or a correction of ours that asks to go on at once: neither is about how much we ask.
            _ if error.never_sent() || error.wait() == Some(Duration::ZERO) => Self::Other,
            ErrorKind::Unavailable | ErrorKind::Timeout => Self::Shaky,
            ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Precondition | ErrorKind::Denied => Self::Good,
            _ => Self::Other,
        }
    }
}

impl Gate {
    pub(super) fn new(options: LimitOptions) -> Self {
        let now = Instant::now();
        Self {
            front: Semaphore::new(1),
            freed: Notify::new(),
            state: Mutex::new(State {
                window: Window::new(options.most, now),
                bound: options.per_second.map(|per_second| Line::new(per_second, now)),
                rate: None,
                recent: Recent::new(now),
                in_flight: 0,
                wanted: false,
                paused: now,
                pauses: Duration::ZERO,
                cut: now,
                noise: Noise::default(),
                answers: 0,
                throttled: 0,
            }),
            bytes: AtomicU64::new(0),
        }
    }

    /// Waits for leave to send one request.
    pub(super) async fn enter(self: &Arc<Self>) -> Permit {
        let _front = self.front.acquire().await.expect("the gate is never closed");
        loop {
            let now = Instant::now();
            let look = self.state().look(now);
            match look {
                Look::Go => return Permit { gate: self.clone(), began: now },
                Look::Full => self.freed.notified().await,
                Look::Wait(until) => sleep_until(until).await,
            }
        }
    }

    /// A request that gives something back goes at once. It counts for the rates and takes no place.
    pub(super) fn pass(&self) -> Instant {
        let now = Instant::now();
        self.state().take(now);
        now
    }

    /// The answer to a request that went at `began`. True when it makes the first rate.
    pub(super) fn heard(&self, began: Instant, answer: Answer, time: Time) -> bool {
        let (now, bytes) = (Instant::now(), self.bytes.load(Ordering::Relaxed));
        let mut state = self.state();
        let had_rate = state.rate.is_some();
        state.heard(began, now, answer);
        if let (Time::Tells, Answer::Good) = (time, answer) {
            state.timed(began, now, bytes);
        }
        let (slowed, room) = (!had_rate && state.rate.is_some(), state.has_room());
        drop(state);
        if room {
            self.freed.notify_one();
        }
        slowed
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> LimitSnapshot {
        let state = self.state();
        LimitSnapshot {
            limit: state.window.limit(),
            lowest: state.window.lowest(),
            highest: state.window.highest(),
            in_flight: state.in_flight,
            throttled: state.throttled,
            per_second: state.rate.as_ref().map(Rate::per_second),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn look(&mut self, now: Instant) -> Look {
        if self.paused > now {
            return Look::Wait(self.paused);
        }
        if self.in_flight >= self.window.limit() {
            self.wanted = true;
            return Look::Full;
        }
        let bound = self.bound.as_ref().map_or(now, Line::next);
        // What waits for the user's bound does not wait for the learnt rate.
        let learnt = self.rate.as_mut().map_or(now, |rate| if bound > now { now } else { rate.next(now) });
        let until = bound.max(learnt);
        if until > now {
            return Look::Wait(until);
        }
        self.wanted = false;
        self.in_flight += 1;
        self.take(now);
        Look::Go
    }

    fn take(&mut self, now: Instant) {
        if let Some(bound) = &mut self.bound {
            bound.take(now);
        }
        if let Some(rate) = &mut self.rate {
            rate.take(now);
        }
    }

    /// Whether the front waits for a place that is there.
    fn has_room(&self) -> bool {
        self.wanted && self.in_flight < self.window.limit()
    }

    fn heard(&mut self, began: Instant, now: Instant, answer: Answer) {
        match answer {
            Answer::Good => {
                self.answers += 1;
                self.noted(false, began, now);
                let counted = self.counted(now);
                self.recent.good(counted);
                if self.wanted {
                    self.window.grow(now);
                }
            }
            Answer::Throttled(hint) => {
                self.throttled += 1;
                self.refused(began, now, 1.0);
                self.pause(now, hint);
            }
            Answer::Shaky => self.refused(began, now, SHAKY),
            Answer::Other => {}
        }
    }

    fn timed(&mut self, began: Instant, now: Instant, bytes: u64) {
        let work = self.answers + bytes / WORK;
        let busy = self.wanted || self.in_flight >= self.window.limit();
        self.window.took(now, now.duration_since(began), work, busy);
    }

    fn noted(&mut self, refused: bool, began: Instant, now: Instant) {
        let counted = self.counted(now);
        match (self.noise.add(refused, began, now), &mut self.rate) {
            (Verdict::Ended, Some(rate)) => rate.resume(),
            (Verdict::Again, Some(rate)) => {
                rate.examine(self.recent.accepted(counted));
                self.cut = now;
            }
            _ => {}
        }
    }

    /// A request was refused; that is trouble if `enough` of them are.
    fn refused(&mut self, began: Instant, now: Instant, enough: f64) {
        let counted = self.counted(now);
        self.recent.bad(counted);
        self.noted(true, began, now);
        let known = began < self.cut;
        let accepted = self.recent.accepted(counted);
        if self.noise.is_unusual(enough) {
            // What the usual refusals took was no question of the rate.
            self.trouble(known, accepted / (1.0 - self.noise.usual()), now);
        }
        self.examine(accepted, now);
    }

    /// Begins an exam where it may change something.
    fn examine(&mut self, accepted: f64, now: Instant) {
        let Some(rate) = &mut self.rate else { return };
        let doubtful = self.noise.usual() > 0.0 && rate.is_back() && now.duration_since(self.cut) > EXAM;
        if (rate.is_in_vain() || doubtful) && !self.noise.is_outage() && !rate.is_examining() {
            rate.examine(accepted);
            self.noise.examine(now);
            self.cut = now;
        }
    }

    fn trouble(&mut self, known: bool, accepted: f64, now: Instant) {
        let counted = self.counted(now);
        match &mut self.rate {
            Some(rate) if !known => rate.cut(accepted),
            None if self.recent.refused(counted) >= REFUSALS => {
                self.rate = Some(Rate::new(accepted, now));
                self.cut = now;
            }
            _ => {}
        }
        if !known {
            self.window.cut(now);
            self.cut = now;
        }
    }

    fn pause(&mut self, now: Instant, hint: Option<Duration>) {
        let Some(hint) = hint else { return };
        let until = now + hint.min(LONGEST_PAUSE);
        let begin = self.paused.max(now);
        if until > begin {
            self.pauses += until - begin;
            self.paused = until;
        }
    }

    /// The time without pauses.
    fn counted(&self, now: Instant) -> Instant {
        now.checked_sub(self.pauses).unwrap_or(now)
    }
}

/// Leave to have one request under way. Given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Arc<Gate>,
    began: Instant,
}

impl Permit {
    /// The head of the answer came. True when it makes the first rate.
    pub(super) fn heard(&self, answer: Answer, time: Time) -> bool {
        self.gate.heard(self.began, answer, time)
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.gate.add_bytes(bytes);
    }

    /// No request was sent after all.
    pub(super) fn unused(self) {
        let mut state = self.gate.state();
        if let Some(bound) = &mut state.bound {
            bound.give_back();
        }
        if let Some(rate) = &mut state.rate {
            rate.line.give_back();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.in_flight -= 1;
        let room = state.has_room();
        drop(state);
        if room {
            self.gate.freed.notify_one();
        }
    }
}
