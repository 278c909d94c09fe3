//! Answers that are read whole: documents, never objects.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::error::{Error, ErrorKind, Result};

/// Frames without a byte that a body may bring in a row.
const MOST_EMPTY_FRAMES: u32 = 1024;

/// The whole body, at most `limit` bytes of it.
///
/// Errors: [`ErrorKind::Invalid`] when it is longer, [`ErrorKind::Unavailable`] when it is shorter than announced or without end,
/// and what reading it fails with.
pub async fn collect<B>(body: B, limit: usize) -> Result<Bytes>
where
    B: Body<Data = Bytes, Error = Error>,
{
    let mut body = pin!(body);
    let announced = body.size_hint().exact();
    if body.size_hint().lower() > limit as u64 {
        return Err(too_long(limit));
    }
    // Most documents come in one frame, which then needs no copy.
    let (mut first, mut more, mut empty_frames) = (Bytes::new(), BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        empty_frames = if data.is_empty() { empty_frames + 1 } else { 0 };
        if empty_frames > MOST_EMPTY_FRAMES {
            return Err(unfinished("it goes on without bringing a byte".to_owned()));
        }
        if first.len() + more.len() + data.len() > limit {
            return Err(too_long(limit));
        }
        if first.is_empty() && more.is_empty() {
            first = data;
            continue;
        }
        if more.is_empty() {
            more.extend_from_slice(&std::mem::take(&mut first));
        }
        more.extend_from_slice(&data);
    }
    let whole = if more.is_empty() { first } else { more.freeze() };
    match announced {
        Some(length) if length != whole.len() as u64 => {
            Err(unfinished(format!("it ended after {} of {length} bytes", whole.len())))
        }
        _ => Ok(whole),
    }
}

fn unfinished(cause: String) -> Error {
    Error::new(ErrorKind::Unavailable, "read the answer").because(cause)
}

fn too_long(limit: usize) -> Error {
    let limit = match limit {
        n if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        1 => "1 byte".to_owned(),
        n => format!("{n} bytes"),
    };
    Error::new(ErrorKind::Invalid, "read the answer")
        .because(format!("it is longer than {limit}, which no such document is"))
        .hint("check that the endpoint is the service itself and not something else that answers in its place")
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn frames(texts: &'static [&'static str]) -> impl Body<Data = Bytes, Error = Error> {
        StreamBody::new(stream::iter(texts.iter().map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes()))))))
    }

    #[tokio::test]
    async fn frames_become_one_document_up_to_the_limit() {
        assert_eq!(collect(frames(&["ab", "", "cd", "e"]), 5).await.expect("it fits"), "abcde");
        assert_eq!(collect(frames(&["", "abcde"]), 5).await.expect("it fits"), "abcde");
        assert_eq!(collect(frames(&[]), 0).await.expect("it fits"), "");
        let error = collect(frames(&["ab", "cd", "e"]), 4).await.expect_err("one too many");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "cannot read the answer: it is longer than 4 bytes, which no such document is");
    }

    #[tokio::test]
    async fn a_document_that_announces_too_much_is_not_read() {
        let body = Full::new(Bytes::from(vec![0; 3 << 20])).map_err(|never| match never {});
        let error = collect(body, 2 << 20).await.expect_err("too long");
        assert!(error.to_string().contains("longer than 2 MiB"), "{error}");
    }

    #[tokio::test]
    async fn a_document_without_end_ends() {
        let empty = StreamBody::new(stream::repeat_with(|| Ok(Frame::data(Bytes::new()))));
        let error = collect(empty, 10).await.expect_err("no end");
        assert!(error.to_string().contains("without bringing a byte"), "{error}");
    }
}
