//! How many requests may be under way at once, learnt from the answers.
//!
//! 1. Slow start: from [`START`] on, each good answer admits one request more while requests wait for a place, which doubles the
//!    number in each round trip, until the bound or the first trouble.
//! 2. Trouble takes [`CUT`] of it away; after that it grows by one in a round trip, and doubles again once there was no trouble
//!    for [`CLEAN`].
//! 3. Where answers take [`SLOW`] times as long as they did at best, fewer requests are tried for a moment. If as much gets done
//!    with them, it stays so; if not, the number comes back and is left alone for a while.
//!
//! Only times to the first byte of an answer count, and none below [`NOTICED`]: a body takes as long as it is large, and a fast
//! server is never held back.

use std::time::Duration;

use tokio::time::Instant;

/// Requests at once in the beginning: enough to hide a round trip, too few to hurt anybody.
const START: f64 = 8.0;
/// What trouble leaves of the number; CUBIC's factor (RFC 9438, 4.6).
const CUT: f64 = 0.7;
/// Without trouble for so long, or for twenty round trips, what was learnt may be outdated.
const CLEAN: Duration = Duration::from_secs(2);
/// So many times the shortest answer is slow, and anything below [`EASY`] times is not.
const SLOW: f64 = 3.0;
const EASY: f64 = 2.0;
/// Answers within so many seconds are never slow: disks, garbage collection and our own two cores make such times.
const NOTICED: f64 = 0.1;
/// The shortest answer is that of the last one to two of these.
const MEMORY: Duration = Duration::from_secs(30);
/// The weight of a new answer in the smoothed time.
const WEIGHT: f64 = 0.1;
/// What a trial of fewer requests leaves, and how long it is not repeated if it went badly.
const TRIAL: f64 = 0.8;
const PEACE: Duration = Duration::from_mins(1);

/// The number of requests at once.
#[derive(Debug)]
pub(super) struct Window {
    limit: f64,
    most: f64,
    doubling: bool,
    /// When trouble last took something away.
    cut: Option<Instant>,
    latency: Latency,
    trial: Option<Trial>,
    looked: Look,
    /// No trial before this.
    peace: Option<Instant>,
    lowest: f64,
    highest: f64,
}

/// What had been done when the throughput was last looked at.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    work: u64,
}

/// Fewer requests, on trial.
#[derive(Debug, Clone, Copy)]
struct Trial {
    limit: f64,
    throughput: f64,
}

impl Window {
    pub(super) fn new(most: u32, now: Instant) -> Self {
        let most = f64::from(most.max(1));
        let limit = START.min(most);
        Self {
            limit,
            most,
            doubling: true,
            cut: None,
            latency: Latency::new(now),
            trial: None,
            looked: Look { at: now, work: 0 },
            peace: None,
            lowest: limit,
            highest: limit,
        }
    }

    /// How many requests may be under way now.
    pub(super) fn limit(&self) -> u32 {
        whole(self.limit)
    }

    pub(super) fn lowest(&self) -> u32 {
        whole(self.lowest)
    }

    pub(super) fn highest(&self) -> u32 {
        whole(self.highest)
    }

    /// A good answer came, and others waited for a place.
    pub(super) fn grow(&mut self, now: Instant) {
        if self.limit >= self.most || self.trial.is_some() || !self.latency.is_easy() {
            return;
        }
        let clean = CLEAN.max(Duration::from_secs_f64(self.latency.smooth.min(60.0) * 20.0));
        let fast = self.doubling || self.cut.is_none_or(|cut| now.duration_since(cut) > clean);
        self.set(self.limit + if fast { 1.0 } else { 1.0 / self.limit });
    }

    /// There was trouble.
    pub(super) fn cut(&mut self, now: Instant) {
        self.set(self.limit * CUT);
        self.doubling = false;
        self.cut = Some(now);
        self.trial = None;
    }

    /// An answer's first byte took `time`. `work` counts all that was done so far; `busy` tells whether the places are taken.
    pub(super) fn took(&mut self, now: Instant, time: Duration, work: u64, busy: bool) {
        self.latency.add(now, time.as_secs_f64());
        let since = now.duration_since(self.looked.at);
        if since < Duration::from_secs(1) || since.as_secs_f64() < SLOW * self.latency.smooth {
            return;
        }
        let throughput = work.saturating_sub(self.looked.work) as f64 / since.as_secs_f64();
        self.looked = Look { at: now, work };
        self.judge(now, throughput, busy);
    }

    fn judge(&mut self, now: Instant, throughput: f64, busy: bool) {
        if let Some(trial) = self.trial.take() {
            if throughput < 0.95 * trial.throughput {
                self.set(trial.limit);
                self.peace = Some(now + PEACE);
            }
        } else if busy && self.limit > START && self.latency.is_slow() && self.peace.is_none_or(|until| now >= until) {
            self.trial = Some(Trial { limit: self.limit, throughput });
            self.set((self.limit * TRIAL).max(START));
            self.doubling = false;
        }
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(1.0, self.most);
        self.lowest = self.lowest.min(self.limit);
        self.highest = self.highest.max(self.limit);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 1 and a u32")]
fn whole(limit: f64) -> u32 {
    limit as u32
}

/// How long answers take, in seconds.
#[derive(Debug)]
struct Latency {
    smooth: f64,
    /// The shortest of this stretch of time, and of the one before.
    shortest: [f64; 2],
    turned: Instant,
}

impl Latency {
    fn new(now: Instant) -> Self {
        Self { smooth: 0.0, shortest: [f64::INFINITY; 2], turned: now }
    }

    fn add(&mut self, now: Instant, time: f64) {
        if now.duration_since(self.turned) > MEMORY {
            self.shortest = [f64::INFINITY, self.shortest[0]];
            self.turned = now;
        }
        self.smooth = if self.smooth == 0.0 { time } else { self.smooth + WEIGHT * (time - self.smooth) };
        self.shortest[0] = self.shortest[0].min(time);
    }

    fn is_slow(&self) -> bool {
        self.smooth > NOTICED && self.smooth > SLOW * self.best()
    }

    fn is_easy(&self) -> bool {
        self.smooth <= NOTICED || self.smooth < EASY * self.best()
    }

    fn best(&self) -> f64 {
        self.shortest[0].min(self.shortest[1])
    }
}
