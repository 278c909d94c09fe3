//! A server under a clock that tests turn: it answers by a rule, and remembers when it was asked. Nothing here is random but for numbers
//! that are the same in each run.

use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, PoisonError, atomic::Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::*;
use crate::error::ErrorKind;
use crate::event::Silent;
use crate::store::MemoryStore;

/// Whether a request that arrives so many seconds after the beginning is refused.
type Rule = Box<dyn FnMut(f64) -> Option<Error> + Send>;

/// A server that takes its time and refuses by rule.
pub(super) struct Server {
    inner: MemoryStore,
    latency: Duration,
    /// How many it works on at once; the others wait.
    workers: Semaphore,
    rule: Mutex<Rule>,
    begun: Instant,
    /// When each request arrived, and whether it was served.
    seen: Mutex<Vec<(f64, bool)>>,
    at_once: AtomicU32,
    pub(super) most_at_once: AtomicU32,
    chance: Mutex<Chance>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// Numbers that look random: Knuth's generator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// Between 0 and 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 31)
    }
}

impl Server {
    pub(super) fn new(latency: u64, rule: impl FnMut(f64) -> Option<Error> + Send + 'static) -> Arc<Self> {
        Self::with_workers(latency, 100_000, rule)
    }

    pub(super) fn with_workers(
        latency: u64,
        workers: usize,
        rule: impl FnMut(f64) -> Option<Error> + Send + 'static,
    ) -> Arc<Self> {
        let server = Self {
            inner: MemoryStore::default(),
            latency: Duration::from_millis(latency),
            workers: Semaphore::new(workers),
            rule: Mutex::new(Box::new(rule)),
            begun: Instant::now(),
            seen: Mutex::default(),
            at_once: AtomicU32::new(0),
            most_at_once: AtomicU32::new(0),
            chance: Mutex::new(Chance(7)),
        };
        server.inner.insert(key(), "content", jiff::Timestamp::UNIX_EPOCH);
        Arc::new(server)
    }

    async fn serve(&self) -> Result<()> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let _gone = Gone(&self.at_once);
        // Between 80 and 120 % of the latency.
        let half = self.latency.mul_f64(0.4 + 0.2 * lock(&self.chance).next());
        sleep(half).await;
        let refused = {
            let at = self.begun.elapsed().as_secs_f64();
            let refused = (lock(&self.rule))(at);
            lock(&self.seen).push((at, refused.is_none()));
            refused
        };
        let _worker = self.workers.acquire().await.expect("never closed");
        sleep(half).await;
        refused.map_or(Ok(()), Err)
    }

    /// Requests served and refused that arrived within these seconds.
    pub(super) fn count(&self, seconds: std::ops::Range<f64>) -> (f64, f64) {
        let seen = lock(&self.seen);
        let within = || seen.iter().filter(|(at, _)| seconds.contains(at));
        let served = within().filter(|(_, served)| *served).count();
        (served as f64, (within().count() - served) as f64)
    }

    /// Requests served in each of these seconds.
    pub(super) fn rate(&self, seconds: std::ops::Range<f64>) -> f64 {
        self.count(seconds.clone()).0 / (seconds.end - seconds.start)
    }
}

struct Gone<'a>(&'a AtomicU32);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn key() -> Key {
    Key::new("key").expect("a name")
}

#[async_trait]
impl ObjectStore for Server {
    async fn head(&self, key: &Key) -> Result<Head> {
        self.serve().await?;
        self.inner.head(key).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.serve().await?;
        self.inner.get(key, options).await
    }

    async fn put(&self, key: &Key, body: Body, options: &PutOptions) -> Result<PutResult> {
        self.serve().await?;
        self.inner.put(key, body, options).await
    }

    async fn put_multipart(&self, key: &Key, size: u64, options: &PutOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart(key, size, options).await
    }

    async fn copy(&self, from: Origin<'_>, key: &Key, options: &PutOptions) -> Result<PutResult> {
        self.inner.copy(from, key, options).await
    }

    fn list(&self, options: ListOptions) -> Pages {
        self.inner.list(options)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.serve().await?;
        self.inner.delete(key).await
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>> {
        self.inner.delete_batch(keys).await
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }
}

pub(super) fn always(_: f64) -> Option<Error> {
    None
}

pub(super) fn throttled() -> Error {
    Error::new(ErrorKind::Throttled, "head").because("503 SlowDown")
}

/// A token bucket of `rate` and `burst`; refusals carry the hint.
pub(super) fn bucket(rate: f64, burst: f64, hint: Option<u64>) -> impl FnMut(f64) -> Option<Error> {
    let (mut tokens, mut last) = (burst, 0.0);
    move |at| {
        tokens = (tokens + (at - last) * rate).min(burst);
        last = at;
        if tokens >= 1.0 {
            tokens -= 1.0;
            return None;
        }
        let error = throttled();
        Some(hint.map_or(throttled(), |hint| error.after(Duration::from_millis(hint))))
    }
}

pub(super) fn limit(server: &Arc<Server>, most: u32, per_second: Option<u32>) -> Limit {
    Limit::new(server.clone(), LimitOptions { most, per_second }, Arc::new(Silent))
}

/// So many callers ask as fast as they can until the time, and wait after failures as `Policy` would, without its chance.
pub(super) async fn press(limit: &Limit, callers: u32, until: f64) {
    let end = Instant::now() + Duration::from_secs_f64(until);
    let callers = (0..callers).map(|number| async move {
        let (mut failures, mut chance) = (0u32, Chance(u64::from(number)));
        while Instant::now() < end {
            match limit.head(&key()).await {
                Ok(_) => failures = 0,
                Err(error) => {
                    let doubled = Duration::from_millis(200 << failures.min(10)).min(Duration::from_secs(10));
                    failures += 1;
                    sleep(error.wait().unwrap_or(doubled.mul_f64(0.5 + chance.next() / 2.0))).await;
                }
            }
        }
    });
    join_all(callers).await;
}
