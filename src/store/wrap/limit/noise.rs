//! Refusals that come whatever the rate: those are outlasted and not obeyed.
//!
//! A server that is ill refuses one request in twenty at any rate. Whoever goes slower at each of them soon stands still, and is
//! refused as often. So when going slower was in vain for a while:
//!
//! 1. An exam tells which share is refused at half of what is accepted. None: it was the rate, and nothing is usual.
//! 2. Otherwise there is another exam at half of that. If the share fell by more than half, it was the rate and 2 is repeated; if
//!    not, the share is usual.
//! 3. Only more than the usual share is a sign of asking too much, until another exam says otherwise.

use tokio::time::{Duration, Instant};

/// The weight of a new answer in the share.
const WEIGHT: f64 = 0.01;
/// No larger share is usual: beyond it, asking is of little use.
const MOST: f64 = 0.35;
/// Where half is refused there is nothing to examine.
const OUTAGE: f64 = 0.5;
/// So many standard deviations above the usual share are no chance.
const CERTAIN: f64 = 4.0;
/// An exam takes so many answers, or so long.
const ANSWERS: u32 = 200;
const LONGEST: Duration = Duration::from_secs(10);
/// From fewer answers nothing can be told.
const FEWEST: u32 = 20;

/// The share of refusals among the answers.
#[derive(Debug, Default)]
pub(super) struct Noise {
    now: f64,
    usual: f64,
    exam: Option<Exam>,
}

#[derive(Debug)]
struct Exam {
    began: Instant,
    answers: u32,
    refused: u32,
    /// The share that was refused at a higher rate, if that is known.
    before: Option<f64>,
}

/// What an answer did to an exam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing, or there is none.
    Open,
    /// It has ended.
    Ended,
    /// Another one is needed at half of the rate.
    Again,
}

impl Noise {
    /// An answer came to a request that went at `began`.
    pub(super) fn add(&mut self, refused: bool, began: Instant, now: Instant) -> Verdict {
        let value = if refused { 1.0 } else { 0.0 };
        self.now += WEIGHT * (value - self.now);
        let outage = self.is_outage();
        let Some(exam) = self.exam.as_mut().filter(|exam| began >= exam.began) else { return Verdict::Open };
        exam.answers += 1;
        exam.refused += u32::from(refused);
        if !outage && exam.answers < ANSWERS && now.duration_since(exam.began) < LONGEST {
            return Verdict::Open;
        }
        let (share, before) = (f64::from(exam.refused) / f64::from(exam.answers), exam.before);
        let exam_is_void = exam.answers < FEWEST;
        self.exam = None;
        match before {
            _ if outage || exam_is_void => Verdict::Ended,
            _ if share == 0.0 => self.ended(0.0),
            // One more than there were: the few that were seen may be fewer than usual.
            Some(before) if share > before / 2.0 => self.ended(share + 1.0 / f64::from(ANSWERS)),
            _ => {
                self.begin(Some(share), now);
                Verdict::Again
            }
        }
    }

    fn ended(&mut self, usual: f64) -> Verdict {
        self.usual = usual.min(MOST);
        Verdict::Ended
    }

    /// Begins to count at a lower rate.
    pub(super) fn examine(&mut self, now: Instant) {
        let before = (self.usual > 0.0).then_some(self.usual);
        self.begin(before, now);
    }

    fn begin(&mut self, before: Option<f64>, now: Instant) {
        self.exam = Some(Exam { began: now, answers: 0, refused: 0, before });
    }

    /// The usual share.
    pub(super) fn usual(&self) -> f64 {
        self.usual
    }

    /// Whether about nothing is served.
    pub(super) fn is_outage(&self) -> bool {
        self.now > OUTAGE
    }

    /// Whether this many refusals, or more, are more than usual.
    pub(super) fn is_unusual(&self, enough: f64) -> bool {
        // The variance of a share smoothed with a small weight.
        let spread = (self.usual * (1.0 - self.usual) * WEIGHT / 2.0).sqrt();
        // The first refusals weigh a little less than the weight each.
        self.exam.is_none() && self.now > self.usual + CERTAIN * spread + WEIGHT * 0.9 * enough
    }
}
