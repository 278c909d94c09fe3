//! The bandwidth of a run: bytes wait here for their turn.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How far behind the clock the allowance may fall before it is forgotten: the longest burst after a pause.
const BURST: Duration = Duration::from_millis(100);

/// A bound for the bytes of all streams together. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace(Option<Arc<Line>>);

#[derive(Debug)]
struct Line {
    /// Bytes for each second.
    rate: u64,
    /// When everything let through so far has had its time.
    busy_until: Mutex<Instant>,
}

impl Pace {
    /// At most `rate` bytes each second; none for no bound.
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self(rate.map(|rate| Arc::new(Line { rate: rate.max(1), busy_until: Mutex::new(Instant::now()) })))
    }

    /// Waits until `bytes` may go on.
    pub(super) async fn pass(&self, bytes: u64) {
        let Some(line) = &self.0 else { return };
        let turn = line.turn(bytes);
        sleep_until(turn).await;
    }
}

impl Line {
    fn turn(&self, bytes: u64) -> Instant {
        let mut busy_until = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = Instant::now().checked_sub(BURST).map_or(*busy_until, |earliest| (*busy_until).max(earliest));
        *busy_until = begin + Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        *busy_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_streams_share_one_rate() {
        let (pace, begun) = (Pace::new(Some(1_000_000)), Instant::now());
        let streams = (0..4).map(|_| async {
            for _ in 0..50 {
                pace.pass(50_000).await;
            }
        });
        futures::future::join_all(streams).await;
        let took = begun.elapsed().as_secs_f64();
        assert!((9.8..10.2).contains(&took), "10 MB at 1 MB/s took {took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_does_not_save_up_for_a_flood() {
        let pace = Pace::new(Some(1000));
        tokio::time::sleep(Duration::from_hours(1)).await;
        let begun = Instant::now();
        pace.pass(2000).await;
        assert!(begun.elapsed() >= Duration::from_millis(1800), "{:?}", begun.elapsed());
        Pace::default().pass(u64::MAX).await;
    }
}
