//! Request bodies on their way out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

use super::clock::Meter;

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

/// Frames without a byte that a source may send in a row. The connection would read them all without ever letting go of its thread.
const MOST_EMPTY_FRAMES: u32 = 1024;

/// A request body that tells the connection's meter when it is the source which keeps us waiting.
pub(super) struct Sent {
    /// None if there is nothing to send, which spares most requests an allocation.
    inner: Option<RequestBody>,
    meter: Option<Arc<Meter>>,
    empty_frames: u32,
}

impl Sent {
    pub(super) fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let inner = (!body.is_end_stream()).then(|| body.map_err(Into::into).boxed_unsync());
        Self { inner, meter: None, empty_frames: 0 }
    }

    pub(super) fn nothing() -> Self {
        Self { inner: None, meter: None, empty_frames: 0 }
    }

    /// Names the connection that is about to read this body.
    pub(super) fn attach(&mut self, meter: &Arc<Meter>) {
        if self.inner.is_some() {
            self.meter = Some(Arc::clone(meter));
        }
    }

    fn source_waits(&self, waits: bool) {
        if let Some(meter) = &self.meter {
            meter.source_waits(waits);
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        this.source_waits(polled.is_pending());
        let frame = ready!(polled);
        let is_empty = matches!(&frame, Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty));
        this.empty_frames = if is_empty { this.empty_frames + 1 } else { 0 };
        if this.empty_frames > MOST_EMPTY_FRAMES {
            this.inner = None;
            return Poll::Ready(Some(Err("the source of the body sends frames without bytes, without end".into())));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Sent {
    /// A body that is done with keeps nobody waiting.
    fn drop(&mut self) {
        self.source_waits(false);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn endless_frames_without_bytes_end() {
        let frames = futures::stream::repeat_with(|| Ok::<_, BoxError>(Frame::data(Bytes::new())));
        let mut body = Sent::new(StreamBody::new(frames));
        let mut frames = 0;
        let error = loop {
            match body.frame().await {
                Some(Ok(_)) => frames += 1,
                Some(Err(error)) => break error,
                None => panic!("it has no end"),
            }
        };
        assert_eq!(frames, MOST_EMPTY_FRAMES);
        assert!(error.to_string().contains("without end"), "{error}");
    }
}
