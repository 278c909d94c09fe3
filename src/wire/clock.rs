//! What a socket moved, and the clock that notices when it no longer moves enough.
//!
//! 1. A [`Meter`] counts the bytes of one connection at its socket, below TLS, and knows who keeps whom waiting.
//! 2. A [`Clock`] runs only while the peer keeps us waiting: back pressure from a reader or a source that pauses is no stall.
//! 3. It runs in windows. A window ends well once [`LEAST`] bytes have moved; it ends the request when the time is up before.
//!
//! What the time limits are is decided in `client`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Bytes that must move within a window. At this rate one chunk of 16 KiB takes eight minutes: nobody waits for that on purpose.
const LEAST: u64 = 1024;

/// A task that is ready is polled sooner than this, even on a machine that is busy.
const LATE: Duration = Duration::from_secs(1);

/// Counts the bytes of one connection. Written by its socket and the body it sends, read by whoever waits for it; all in one task.
#[derive(Debug, Default)]
pub(super) struct Meter {
    read: AtomicU64,
    written: AtomicU64,
    /// The socket took no more bytes when last offered some.
    is_full: AtomicBool,
    /// The source of the request's body had nothing when last asked.
    source_waits: AtomicBool,
}

impl Meter {
    pub(super) fn source_waits(&self, waits: bool) {
        self.source_waits.store(waits, Ordering::Relaxed);
    }

    /// Whom a request waits for whose answer has not begun.
    pub(super) fn waiting(&self) -> Waiting {
        if self.is_full.load(Ordering::Relaxed) {
            Waiting::Upload
        } else if self.source_waits.load(Ordering::Relaxed) {
            Waiting::Source
        } else {
            Waiting::Answer
        }
    }

    /// The bytes moved so far that count for somebody who waits this way. While an answer has not begun only ours count: a server
    /// that sends one interim answer after the other does not get ahead.
    fn moved(&self, waiting: Waiting) -> u64 {
        let written = self.written.load(Ordering::Relaxed);
        match waiting {
            Waiting::Upload | Waiting::Source | Waiting::Answer => written,
            // A server that answers early still takes the rest of the request.
            Waiting::Body => written + self.read.load(Ordering::Relaxed),
        }
    }
}

/// What is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The socket, to take bytes.
    Upload,
    /// Ourselves: the source of the body has nothing to send yet.
    Source,
    /// The server, to begin its answer.
    Answer,
    /// The server, to go on with its answer.
    Body,
}

/// A socket whose bytes are counted.
#[derive(Debug)]
pub(super) struct Metered<S> {
    inner: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    pub(super) fn new(inner: S, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }

    fn written(&self, polled: &Poll<io::Result<usize>>) {
        self.meter.is_full.store(polled.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.meter.written.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let bytes = buffer.filled().len() - before;
        self.meter.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.written(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The clock of one connection; lives as long as it does.
#[derive(Debug)]
pub(super) struct Clock {
    /// Set once and then left alone until it fires: moving a timer for each request would cost more than the request's clock is
    /// worth. A timer that fires too early is set anew, so it may be early but never late.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: Waiting,
    /// Spent waiting in this window, not counting `since`.
    waited: Duration,
    since: Option<Instant>,
    /// When the wait that began at `since` is too long.
    deadline: Instant,
    /// The meter when the window began.
    mark: u64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            timer: None,
            waiting: Waiting::Source,
            waited: Duration::ZERO,
            since: None,
            deadline: Instant::now(),
            mark: 0,
        }
    }

    /// Stops until the next wait: something came.
    pub(super) fn rest(&mut self) {
        self.pass(Instant::now());
        self.since = None;
    }

    /// Adds the wait that ends now. Whoever is asked long after the timer fired was not asked in time: the reader paused, and the
    /// window begins anew.
    fn pass(&mut self, now: Instant) {
        if let Some(since) = self.since {
            let is_late = now > self.deadline + LATE;
            self.waited = if is_late { Duration::ZERO } else { self.waited + (now - since) };
        }
    }

    /// A new request, and so a new window.
    pub(super) fn begin(&mut self) {
        self.since = None;
        self.waiting = Waiting::Source;
    }

    /// Ready once too little has moved for `limit`. To be called whenever the connection has nothing to do.
    pub(super) fn poll_stalled(
        &mut self,
        cx: &mut Context<'_>,
        meter: &Meter,
        (waiting, limit): (Waiting, Duration),
    ) -> Poll<()> {
        let moved = meter.moved(waiting);
        if waiting != self.waiting {
            (self.waiting, self.waited, self.since, self.mark) = (waiting, Duration::ZERO, None, moved);
        }
        if waiting == Waiting::Source {
            return Poll::Pending;
        }
        let now = Instant::now();
        self.pass(now);
        self.since = Some(now);
        if moved - self.mark >= LEAST {
            (self.waited, self.mark) = (Duration::ZERO, moved);
        }
        let Some(left) = limit.checked_sub(self.waited).filter(|left| !left.is_zero()) else {
            return Poll::Ready(());
        };
        let deadline = now + left;
        self.deadline = deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Waits for an answer's body of which `bytes` come every `pause`; the time until it counts as stalled, if it does.
    async fn drip(bytes: u64, pause: Duration, times: u32) -> Option<Duration> {
        let (start, meter, mut clock) = (Instant::now(), Meter::default(), Clock::new());
        for _ in 0..times {
            let stalled = poll_fn(|cx| clock.poll_stalled(cx, &meter, (Waiting::Body, LIMIT)));
            if tokio::time::timeout(pause, stalled).await.is_ok() {
                return Some(start.elapsed());
            }
            meter.read.fetch_add(bytes, Ordering::Relaxed);
            clock.rest();
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_with_the_window() {
        assert_eq!(drip(0, seconds(600), 1).await, Some(LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drip_is_a_stall_and_a_trickle_is_not() {
        assert!(drip(1, seconds(1), 100).await.is_some_and(|time| time <= seconds(32)));
        assert_eq!(drip(LEAST / 25, seconds(1), 1000).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_pauses_does_not_wind_the_clock() {
        let (meter, mut clock) = (Meter::default(), Clock::new());
        for _ in 0..50 {
            let stalled = poll_fn(|cx| clock.poll_stalled(cx, &meter, (Waiting::Body, LIMIT)));
            assert!(tokio::time::timeout(Duration::from_millis(10), stalled).await.is_err());
            meter.read.fetch_add(1, Ordering::Relaxed);
            clock.rest();
            tokio::time::sleep(seconds(60)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_asks_once_and_pauses_does_not_wind_the_clock() {
        let (meter, mut clock) = (Meter::default(), Clock::new());
        for _ in 0..50 {
            let once = poll_fn(|cx| Poll::Ready(clock.poll_stalled(cx, &meter, (Waiting::Body, LIMIT))));
            assert!(once.await.is_pending());
            tokio::time::sleep(seconds(60)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_pauses_does_not_wind_the_clock() {
        let (meter, mut clock) = (Meter::default(), Clock::new());
        meter.source_waits(true);
        let stalled = poll_fn(|cx| clock.poll_stalled(cx, &meter, (meter.waiting(), LIMIT)));
        assert!(tokio::time::timeout(seconds(600), stalled).await.is_err());
        meter.source_waits(false);
        let start = Instant::now();
        poll_fn(|cx| clock.poll_stalled(cx, &meter, (meter.waiting(), LIMIT))).await;
        assert_eq!(start.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_an_answer_begins_when_the_last_byte_is_sent() {
        let (meter, mut clock, start) = (Meter::default(), Clock::new(), Instant::now());
        meter.is_full.store(true, Ordering::Relaxed);
        let stalled = poll_fn(|cx| clock.poll_stalled(cx, &meter, (meter.waiting(), LIMIT)));
        assert!(tokio::time::timeout(seconds(20), stalled).await.is_err());
        meter.is_full.store(false, Ordering::Relaxed);
        poll_fn(|cx| clock.poll_stalled(cx, &meter, (meter.waiting(), LIMIT))).await;
        assert_eq!(start.elapsed(), seconds(50));
    }
}
