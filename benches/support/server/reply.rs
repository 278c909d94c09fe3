//! The answers of a server: synthesised bodies, short texts, and refusals in the words of S3.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{Response, StatusCode};

use super::stats::Stats;
use crate::support::content::Content;

/// The body of an answer.
pub(crate) enum Reply {
    /// A text, until it was sent.
    Text(Option<Bytes>),
    /// A range of an object.
    Content { content: Content, offset: u64, left: u64, stats: Arc<Stats> },
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match &mut *self {
            Self::Text(text) => text.take().filter(|text| !text.is_empty()),
            Self::Content { left: 0, .. } => None,
            Self::Content { content, offset, left, stats } => {
                let piece = content.piece(*offset, *left);
                let length = piece.len() as u64;
                (*offset, *left) = (*offset + length, *left - length);
                stats.send(length);
                Some(piece)
            }
        };
        Poll::Ready(frame.map(|frame| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

impl Reply {
    fn left(&self) -> u64 {
        match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len() as u64),
            Self::Content { left, .. } => *left,
        }
    }
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::Text(None));
    *response.status_mut() = status;
    response
}

/// An answer with a document.
pub(crate) fn document(kind: &'static str, text: String) -> Response<Reply> {
    let mut response = Response::new(Reply::Text(Some(text.into())));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(kind));
    response
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The body is not what the checksum beside it says.
    BadDigest,
    EntityTooSmall,
    IncompleteBody,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    InvalidRange,
    MalformedXml,
    /// The content was wrong when it was put, and so was not kept.
    NotKept,
    NotImplemented,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
}

impl Refusal {
    /// The status and the code that S3 uses.
    fn words(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadDigest => (StatusCode::BAD_REQUEST, "BadDigest"),
            Self::EntityTooSmall => (StatusCode::BAD_REQUEST, "EntityTooSmall"),
            Self::IncompleteBody => (StatusCode::BAD_REQUEST, "IncompleteBody"),
            Self::InvalidArgument => (StatusCode::BAD_REQUEST, "InvalidArgument"),
            Self::InvalidPart => (StatusCode::BAD_REQUEST, "InvalidPart"),
            Self::InvalidPartOrder => (StatusCode::BAD_REQUEST, "InvalidPartOrder"),
            Self::InvalidRange => (StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
            Self::MalformedXml => (StatusCode::BAD_REQUEST, "MalformedXML"),
            Self::NotKept => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Self::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Self::NoSuchBucket => (StatusCode::NOT_FOUND, "NoSuchBucket"),
            Self::NoSuchKey => (StatusCode::NOT_FOUND, "NoSuchKey"),
            Self::NoSuchUpload => (StatusCode::NOT_FOUND, "NoSuchUpload"),
            Self::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "PreconditionFailed"),
        }
    }

    /// The answer that says so.
    pub(crate) fn respond(self) -> Response<Reply> {
        let (status, code) = self.words();
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
        );
        let mut response = document("application/xml", text);
        *response.status_mut() = status;
        response
    }
}
