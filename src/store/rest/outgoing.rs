//! What a request carries, and its body as it goes out: of exactly the length announced, or broken.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::StreamExt as _;
use http_body::{Frame, SizeHint};

use crate::error::Result;
use crate::store::{Body, short};
use crate::wire;

/// What a request carries.
pub(super) enum Content {
    Empty,
    Document(Bytes),
    Stream(Body),
    /// A stream in chunks with a checksum behind it, as it is encoded.
    Trailed(Body),
}

/// A request's body as it goes out: of exactly the length announced, or broken.
pub(super) struct Outgoing {
    content: Content,
    pub(super) length: u64,
    left: u64,
}

impl Outgoing {
    pub(super) fn new(content: Content) -> Self {
        let length = match &content {
            Content::Empty => 0,
            Content::Document(bytes) => bytes.len() as u64,
            Content::Stream(body) | Content::Trailed(body) => body.length,
        };
        Self { content, length, left: length }
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = wire::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, wire::BoxError>>> {
        let this = &mut *self;
        let next = match &mut this.content {
            Content::Empty => None,
            Content::Document(bytes) => (!bytes.is_empty()).then(|| Ok(std::mem::take(bytes))),
            Content::Stream(body) | Content::Trailed(body) => ready!(body.stream.poll_next_unpin(cx)),
        };
        match next {
            // The connection would cut what goes on beyond the length announced, and store the rest as if it were whole.
            Some(Ok(bytes)) => match this.left.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    this.left = left;
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                None => Poll::Ready(Some(Err(short(this.length, this.length + 1).into()))),
            },
            Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            None if this.left > 0 => Poll::Ready(Some(Err(short(this.length, this.length - this.left).into()))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.length == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
