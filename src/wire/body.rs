//! Bodies on their way in and out, each with a clock that runs only while the peer keeps us waiting.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::error::{Error, ErrorKind};

/// The error type of request bodies.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body of any make.
pub type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// A request without a body.
#[must_use]
pub fn empty() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A request with a body that is at hand, for small documents.
pub fn full(bytes: impl Into<Bytes>) -> RequestBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// When the last frame of a request body was handed to the connection; shared by the body and the task that awaits the answer.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<(Instant, AtomicU64)>);

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new((Instant::now(), AtomicU64::new(0))))
    }

    fn touch(&self) {
        let (start, moved) = &*self.0;
        moved.store(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Ends once nothing was sent for `limit`.
    pub(super) async fn stalled(&self, limit: Duration) {
        let (start, moved) = &*self.0;
        loop {
            let last = *start + Duration::from_millis(moved.load(Ordering::Relaxed));
            if last.elapsed() >= limit {
                return;
            }
            tokio::time::sleep_until(last + limit).await;
        }
    }
}

/// A request body that notes its progress.
pub(super) struct Sent {
    inner: RequestBody,
    progress: Progress,
}

impl Sent {
    pub(super) fn new(inner: RequestBody, progress: Progress) -> Self {
        Self { inner, progress }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.progress.touch();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response body that fails when the peer sends nothing for the time allowed.
///
/// The clock starts when a frame is asked for and not there, and stops when it comes: a reader that pauses is no stall.
#[derive(Debug)]
pub struct ResponseBody {
    inner: Incoming,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(super) fn new(inner: Incoming, limit: Duration) -> Self {
        Self { inner, limit, waiting: None }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.waiting = None;
                Poll::Ready(frame.map(|frame| frame.map_err(broken)))
            }
            Poll::Pending => {
                let limit = this.limit;
                let sleep = this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Some(Err(Error::new(ErrorKind::Timeout, "read the answer")
                    .because(format!("no byte came for {} s", limit.as_secs())))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn broken(error: hyper::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "read the answer")
        .because("the connection broke in the middle of the body")
        .from_source(error)
}
