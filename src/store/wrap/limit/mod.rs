//! No more requests at once, and in a second, than an endpoint bears: learnt from its answers, without a knob.
//!
//! [`Limit`] lets every request through a [`Gate`], which decides when; what the number of requests at once follows is told in
//! [`window`], what their rate follows in [`rate`], and which refusals are not obeyed in [`noise`]. It repeats nothing: retries belong to the caller or to
//! [`Retry`](super::Retry), and a request that waits here has not failed.
//!
//! A request holds its place until it is answered, a `get` until its body has ended or was dropped, a listing for one page. Nothing
//! here waits for a second place while it holds one. A caller may: whoever holds an open `get` while it waits for a `put` must
//! not send both through one gate, so source and target have each their own, even at one endpoint.
//!
//! What gives something back, `delete` and the abort of an upload, never waits.

mod gate;
mod noise;
mod rate;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
mod window;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, stream};
use serde::Serialize;

use self::gate::{Answer, Gate, Permit, Time};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::store::{
    Body, Capability, GetOptions, GetResult, Head, Key, ListOptions, MultipartUpload, ObjectStore, Origin, Pages, Part,
    PartSpec, PutOptions, PutResult, Setting,
};

/// What one endpoint is never asked beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitOptions {
    /// Requests under way at once, at least 1.
    pub most: u32,
    /// Requests in a second; none for no bound.
    pub per_second: Option<u32>,
}

/// How a limit stands, and how it stood.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LimitSnapshot {
    /// Requests that may be under way at once now.
    pub limit: u32,
    /// The fewest that it ever was.
    pub lowest: u32,
    /// The most that it ever was.
    pub highest: u32,
    /// Requests under way now.
    pub in_flight: u32,
    /// Answers that asked for fewer requests.
    pub throttled: u64,
    /// The rate that was learnt from them, in requests a second; none if there were too few to learn from.
    pub per_second: Option<f64>,
}

/// A store whose endpoint is asked for no more than it bears. Cloning shares the limit.
#[derive(Clone)]
pub struct Limit {
    inner: Arc<dyn ObjectStore>,
    gate: Arc<Gate>,
    reporter: Arc<dyn Reporter>,
}

impl Limit {
    /// Puts a limit around a store.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, options: LimitOptions, reporter: Arc<dyn Reporter>) -> Self {
        Self { inner, gate: Arc::new(Gate::new(options)), reporter }
    }

    /// Puts the same limit around another store of the same endpoint. Never around the two ends of a copy: see above.
    #[must_use]
    pub fn sharing(&self, inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, gate: self.gate.clone(), reporter: self.reporter.clone() }
    }

    /// How it stands.
    #[must_use]
    pub fn snapshot(&self) -> LimitSnapshot {
        self.gate.snapshot()
    }

    /// One request that is answered at once when it is answered.
    async fn ask<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let permit = self.gate.enter().await;
        let result = work.await;
        self.heard(&permit, &result, Time::IsOfABody);
        result
    }

    /// One small request, whose answer's time tells something.
    async fn ask_briefly<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let permit = self.gate.enter().await;
        let result = work.await;
        self.heard(&permit, &result, Time::Tells);
        result
    }

    /// One request with a body of `length` bytes.
    async fn send<T>(&self, length: u64, work: impl Future<Output = Result<T>>) -> Result<T> {
        let result = self.ask(work).await;
        if result.is_ok() {
            self.gate.add_bytes(length);
        }
        result
    }

    /// One request that waits for nothing.
    async fn ask_freely<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let began = self.gate.pass();
        let result = work.await;
        self.tell(self.gate.heard(began, Answer::of(&result), Time::IsOfABody));
        result
    }

    fn heard<T>(&self, permit: &Permit, result: &Result<T>, time: Time) {
        self.tell(permit.heard(Answer::of(result), time));
    }

    fn tell(&self, slowed: bool) {
        if slowed {
            let text = "a store refuses requests because they are too many or it is overloaded: sending fewer";
            self.reporter.report(&Event::Warning(text));
        }
    }
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit").field("inner", &self.inner).field("at", &self.snapshot()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStore for Limit {
    async fn head(&self, key: &Key) -> Result<Head> {
        self.ask_briefly(self.inner.head(key)).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        let permit = self.gate.enter().await;
        let result = self.inner.get(key, options).await;
        self.heard(&permit, &result, Time::Tells);
        let mut got = result?;
        got.body.stream = Held { stream: got.body.stream, permit: Some(permit) }.boxed();
        Ok(got)
    }

    async fn put(&self, key: &Key, body: Body, options: &PutOptions) -> Result<PutResult> {
        self.send(body.length, self.inner.put(key, body, options)).await
    }

    async fn put_multipart(&self, key: &Key, size: u64, options: &PutOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.ask(self.inner.put_multipart(key, size, options)).await?;
        Ok(Box::new(LimitedUpload { inner, limit: self.clone() }))
    }

    async fn copy(&self, from: Origin<'_>, key: &Key, options: &PutOptions) -> Result<PutResult> {
        self.ask(self.inner.copy(from, key, options)).await
    }

    fn list(&self, options: ListOptions) -> Pages {
        let (limit, pages) = (self.clone(), self.inner.list(options));
        stream::unfold((limit, pages), |(limit, mut pages)| async move {
            let permit = limit.gate.enter().await;
            let Some(page) = pages.next().await else {
                permit.unused();
                return None;
            };
            limit.heard(&permit, &page, Time::Tells);
            drop(permit);
            Some((page, (limit, pages)))
        })
        .boxed()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.ask_freely(self.inner.delete(key)).await
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>> {
        self.ask(self.inner.delete_batch(keys)).await
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn learnt(&self) -> Vec<(&'static str, Setting)> {
        self.inner.learnt()
    }
}

#[derive(Debug)]
struct LimitedUpload {
    inner: Box<dyn MultipartUpload>,
    limit: Limit,
}

#[async_trait]
impl MultipartUpload for LimitedUpload {
    async fn put_part(&self, part: PartSpec, body: Body) -> Result<Part> {
        self.limit.send(part.length, self.inner.put_part(part, body)).await
    }

    async fn copy_part(&self, part: PartSpec, from: Origin<'_>) -> Result<Part> {
        self.limit.ask(self.inner.copy_part(part, from)).await
    }

    async fn complete(&self, parts: Vec<Part>) -> Result<PutResult> {
        self.limit.ask(self.inner.complete(parts)).await
    }

    async fn abort(&self) -> Result<()> {
        self.limit.ask_freely(self.inner.abort()).await
    }
}

/// A body that keeps its request's place until it ends.
struct Held {
    stream: BoxStream<'static, Result<Bytes>>,
    permit: Option<Permit>,
}

impl Stream for Held {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.stream.poll_next_unpin(context));
        match (&next, &self.permit) {
            (Some(Ok(bytes)), Some(permit)) => permit.add_bytes(bytes.len() as u64),
            (Some(failed), Some(permit)) => {
                permit.heard(Answer::of(failed), Time::IsOfABody);
            }
            (None, _) => self.permit = None,
            (_, None) => {}
        }
        Poll::Ready(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}
