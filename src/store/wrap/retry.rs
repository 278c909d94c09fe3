//! Trying again: how often, after how long, and for which errors.
//!
//! [`retry`] is the only loop of its kind for stores. [`Retry`] puts it around the calls that can simply be repeated, and takes
//! a listing up again after the last key it gave. A body that is being sent cannot be repeated here, so `put` and the parts
//! of an upload pass through; `transfer::copy` repeats those from their source on.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};

use crate::error::{Error, ErrorKind, Result, Retry as Answer};
use crate::event::{Event, Reporter};
use crate::store::{
    Body, Capability, GetOptions, GetResult, Head, Key, ListOptions, MultipartUpload, ObjectMeta, ObjectStore, Origin,
    Pages, PutOptions, PutResult, Setting,
};

/// How often and how patiently to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Tries in all, at least 1.
    pub attempts: u32,
    /// Tries in all while no connection comes up: fewer, until the place has answered once, so that an endpoint that is mistyped
    /// is named within a few seconds.
    pub unreached: u32,
    /// The longest first wait; it doubles with each further try.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Policy {
    /// Ten tries that outlast about 40 s of trouble: a provider's short storm, a failing-over load balancer.
    fn default() -> Self {
        Self { attempts: 10, unreached: 10, first: Duration::from_millis(200), longest: Duration::from_secs(10) }
    }
}

impl Policy {
    /// Whether a try may follow the `number`th, which failed so.
    fn allows(&self, number: u32, error: &Error) -> bool {
        let most = match error.kind() {
            _ if error.never_sent() => self.attempts.min(self.unreached),
            ErrorKind::Corrupt => self.attempts.min(CORRUPT),
            _ => self.attempts,
        };
        error.retry() == Answer::Backoff && number < most
    }

    /// The wait before try `number` (from 2): what the remote asked for, or half to all of the doubled wait, at random.
    fn wait(&self, number: u32, error: &Error) -> Duration {
        if let Some(asked) = error.wait() {
            return asked;
        }
        let doubled = self.first.saturating_mul(1 << (number.saturating_sub(2)).min(20)).min(self.longest);
        let share = f64::from(random()) / f64::from(u32::MAX);
        doubled.mul_f64(0.5 + share / 2.0)
    }
}

/// A random number, from the randomness the standard library seeds its maps with.
fn random() -> u32 {
    let bits = RandomState::new().build_hasher().finish();
    u32::try_from(bits >> 32).expect("32 bits")
}

/// Does `work` until it succeeds, fails for good, or was tried often enough. The last error is the one returned.
pub async fn retry<T, F>(policy: &Policy, reporter: &dyn Reporter, mut work: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut number = 1;
    loop {
        let error = match work().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if !policy.allows(number, &error) {
            return Err(error);
        }
        number += 1;
        let wait = policy.wait(number, &error);
        reporter.report(&Event::Retried { error: &error, wait });
        tokio::time::sleep(wait).await;
    }
}

/// Tries for an answer that is damaged: a bad moment on the way passes, a server that sends such answers does not.
const CORRUPT: u32 = 4;

/// Tries of the first request while no connection comes up; about a second and a half.
const FIRST_CONTACT: u32 = 4;

/// A store that tries again what can be repeated.
#[derive(Clone)]
pub struct Retry {
    inner: Arc<dyn ObjectStore>,
    policy: Policy,
    reporter: Arc<dyn Reporter>,
    /// Whether the place ever answered. Before that, patience is short: the endpoint is likely mistyped.
    answered: Arc<AtomicBool>,
}

impl Retry {
    /// Puts retries around a store.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, policy: Policy, reporter: Arc<dyn Reporter>) -> Self {
        Self { inner, policy, reporter, answered: Arc::default() }
    }

    fn policy(&self) -> Policy {
        let known = self.answered.load(Ordering::Relaxed);
        if known { self.policy } else { Policy { unreached: FIRST_CONTACT, ..self.policy } }
    }

    fn heard<T>(&self, answer: Result<T>) -> Result<T> {
        if answer.is_ok() {
            self.answered.store(true, Ordering::Relaxed);
        }
        answer
    }

    async fn repeat<T, F: Future<Output = Result<T>>>(&self, work: impl FnMut() -> F) -> Result<T> {
        self.heard(retry(&self.policy(), self.reporter.as_ref(), work).await)
    }
}

impl std::fmt::Debug for Retry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retry").field("inner", &self.inner).field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStore for Retry {
    async fn head(&self, key: &Key) -> Result<Head> {
        self.repeat(|| self.inner.head(key)).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.repeat(|| self.inner.get(key, options.clone())).await
    }

    async fn put(&self, key: &Key, body: Body, options: &PutOptions) -> Result<PutResult> {
        self.inner.put(key, body, options).await
    }

    async fn put_multipart(&self, key: &Key, size: u64, options: &PutOptions) -> Result<Box<dyn MultipartUpload>> {
        self.repeat(|| self.inner.put_multipart(key, size, options)).await
    }

    async fn copy(&self, from: Origin<'_>, key: &Key, options: &PutOptions) -> Result<PutResult> {
        self.repeat(|| self.inner.copy(from, key, options)).await
    }

    fn list(&self, options: ListOptions) -> Pages {
        let begin = Listing { store: self.clone(), pages: self.inner.list(options.clone()), options, failures: 0 };
        stream::unfold(Some(begin), |listing| async move {
            let mut listing = listing?;
            match listing.next().await {
                Some(Ok(page)) => Some((Ok(page), Some(listing))),
                Some(Err(error)) => Some((Err(error), None)),
                None => None,
            }
        })
        .boxed()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.repeat(|| self.inner.delete(key)).await
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>> {
        self.repeat(|| self.inner.delete_batch(keys)).await
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn learnt(&self) -> Vec<(&'static str, Setting)> {
        self.inner.learnt()
    }
}

/// A listing that begins again behind the last key when a page fails.
struct Listing {
    store: Retry,
    pages: Pages,
    options: ListOptions,
    failures: u32,
}

impl Listing {
    async fn next(&mut self) -> Option<Result<Vec<ObjectMeta>>> {
        loop {
            match self.store.heard(self.pages.next().await?) {
                Ok(page) => {
                    self.failures = 0;
                    if let Some(last) = page.last() {
                        self.options.after = Some(last.key.clone());
                    }
                    return Some(Ok(page));
                }
                Err(error) => {
                    self.failures += 1;
                    let policy = self.store.policy();
                    if !policy.allows(self.failures, &error) {
                        return Some(Err(error));
                    }
                    let wait = policy.wait(self.failures + 1, &error);
                    self.store.reporter.report(&Event::Retried { error: &error, wait });
                    tokio::time::sleep(wait).await;
                    self.pages = self.store.inner.list(self.options.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;

    fn quick() -> Policy {
        Policy { attempts: 3, ..Policy::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_passing_trouble_is_outlasted() {
        let mut tries = 0;
        let done = retry(&quick(), &Silent, || {
            tries += 1;
            let tries = tries;
            async move { if tries < 3 { Err(Error::new(ErrorKind::Throttled, "x")) } else { Ok(tries) } }
        })
        .await;
        assert_eq!(done.expect("the third try succeeds"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_is_not_tried_again() {
        let mut tries = 0;
        let failed = retry::<(), _>(&quick(), &Silent, || {
            tries += 1;
            async { Err(Error::new(ErrorKind::Denied, "x")) }
        })
        .await;
        assert_eq!((failed.expect_err("denied").kind(), tries), (ErrorKind::Denied, 1));
    }

    #[test]
    fn waits_double_to_the_longest_and_obey_the_remote() {
        let (policy, error) = (Policy::default(), Error::new(ErrorKind::Throttled, "x"));
        for number in 2..40 {
            let wait = policy.wait(number, &error);
            assert!(wait >= policy.first / 2 && wait <= policy.longest, "{number}: {wait:?}");
        }
        let told = error.after(Duration::from_secs(33));
        assert_eq!(policy.wait(2, &told), Duration::from_secs(33));
    }
}
