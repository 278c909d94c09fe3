//! Bodies on their way in.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::failure;
use super::pool::Held;
use crate::error::{Error, ErrorKind};

/// A response body. Reading it moves the connection; read to its end, it sets the connection free for the next request.
///
/// It fails when the peer sends nothing, or next to nothing, for the time allowed. The clock runs only while a frame is asked for
/// and not there: a reader that pauses is no stall.
pub struct ResponseBody {
    incoming: Option<Incoming>,
    /// None once the connection is free or closed. The lock is never taken: it makes the type `Sync`, as the SDK wants it.
    held: Option<Mutex<Held>>,
    announced: Option<u64>,
    received: u64,
}

impl ResponseBody {
    /// A body that has to be read from a connection.
    pub(super) fn new(incoming: Incoming, held: Held) -> Self {
        let announced = incoming.size_hint().exact();
        let mut body = Self { incoming: Some(incoming), held: Some(Mutex::new(held)), announced, received: 0 };
        if body.is_end_stream() {
            body.release();
        }
        body
    }

    fn held(&mut self) -> Option<&mut Held> {
        self.held.as_mut().map(|held| held.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            held.into_inner().unwrap_or_else(PoisonError::into_inner).release();
        }
    }

    /// Ends the body with an error, and the connection with it.
    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.held = None;
        self.incoming = None;
        Poll::Ready(Some(Err(error)))
    }

    fn broken(&self, source: Option<hyper::Error>) -> Error {
        let whence = match self.announced {
            Some(announced) => format!("the connection broke after {} of {announced} bytes", self.received),
            None => "the connection broke in the middle of the body".to_owned(),
        };
        let Some(source) = source else {
            return Error::new(ErrorKind::Unavailable, "read the answer").because(whence);
        };
        Error::new(ErrorKind::Unavailable, "read the answer")
            .because(format!("{whence}: {}", failure::last(&source)))
            .from_source(source)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.held().map(|held| held.link.bell()) {
            Some(bell) => bell.poll(cx, |cx| self.poll_once(cx)),
            None => self.poll_once(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl ResponseBody {
    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self;
        // What ended the connection, if it ended: more telling than what the body says of it.
        let mut ended: Option<hyper::Result<()>> = None;
        let mut has_driven = false;
        loop {
            let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
            match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                    if let Some(held) = this.held() {
                        held.link.rest();
                    }
                    if this.is_end_stream() {
                        this.release();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Err(error))) => {
                    let error = ended.and_then(Result::err).unwrap_or(error);
                    let broken = this.broken(Some(error));
                    return this.fail(broken);
                }
                Poll::Ready(None) => {
                    this.release();
                    this.incoming = None;
                    return Poll::Ready(None);
                }
                Poll::Pending => {}
            }
            let Some(held) = this.held() else {
                let broken = this.broken(ended.and_then(Result::err));
                return this.fail(broken);
            };
            if has_driven {
                let Poll::Ready(limit) = held.link.poll_stalled(cx) else { return Poll::Pending };
                return this.fail(
                    Error::new(ErrorKind::Timeout, "read the answer")
                        .because(format!("no byte came, or hardly one, for {}", failure::seconds(limit))),
                );
            }
            if let Poll::Ready(end) = held.link.poll_drive(cx) {
                ended = Some(end);
                this.held = None;
            }
            has_driven = true;
        }
    }
}

impl Drop for ResponseBody {
    /// What has come already may be all there is: then the connection is of use to others.
    fn drop(&mut self) {
        self.incoming = None;
        self.release();
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("announced", &self.announced)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
