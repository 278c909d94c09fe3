//! Bodies with their checksum behind them (`aws-chunked` with `STREAMING-UNSIGNED-PAYLOAD-TRAILER`): the server compares what arrived
//! before it takes it, although nobody knew the checksum beforehand.
//!
//! Servers differ widely in this. One that takes it and checks states the same checksum in its answer; any other is sent plain bodies.
//! Which it is is tried once, on a part of an upload of its own that is given back.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderValue, Response};

use super::client::{Call, Client};
use super::dialect::{Dialect, decode, encode};
use super::outgoing::Content;
use super::upload::Upload;
use crate::error::{Error, Result};
use crate::store::{Algorithm, Body, Checksum, Digest, Key, MultipartUpload as _, PutOptions, short};
use crate::wire::ResponseBody;

/// Bytes in one chunk. S3 wants at least 8 KiB in all but the last; MinIO takes at most 16 MiB.
const CHUNK: u64 = 1024 * 1024;

const NAME: &str = "x-amz-checksum-crc64nvme";

impl Client {
    /// Whether parts go out with their checksum behind them.
    pub(super) fn sends_trailers(&self) -> bool {
        self.dialect == Dialect::S3 && self.learnt.checksum_trailer.known(self.profile.checksum_trailer) == Some(true)
    }

    /// Finds out, once, whether the server checks such bodies: with a part of an upload that is given back.
    pub(super) async fn learn_trailers(self: &Arc<Self>, key: &Key) {
        let known = || self.learnt.checksum_trailer.known(self.profile.checksum_trailer);
        if self.dialect != Dialect::S3 || known().is_some() {
            return;
        }
        let _one = self.learnt.asking.lock().await;
        if known().is_none() {
            let holds = self.checks_trailers(key).await.unwrap_or(false);
            self.learnt.checksum_trailer.learn(holds);
            tracing::debug!(server = %self.site().shown(), holds, "does the server check checksums behind bodies?");
        }
    }

    async fn checks_trailers(self: &Arc<Self>, key: &Key) -> Result<bool> {
        let upload = Upload::begin(self.clone(), key.clone(), &PutOptions::default()).await?;
        let call = upload.part(1);
        let answer = send(self, call, Body::from_bytes(Bytes::from_static(b"snapferry"))).await;
        let stated = answer.as_ref().ok().and_then(|response| response.headers().get(NAME)).cloned();
        upload.abort().await?;
        let sum = Checksum::of(Algorithm::Crc64Nvme, b"snapferry");
        Ok(stated.and_then(|value| decode(Algorithm::Crc64Nvme, value.to_str().ok()?)) == Some(sum))
    }
}

/// Sends a body with its checksum behind it.
pub(super) async fn send(client: &Client, mut call: Call<'_>, body: Body) -> Result<Response<ResponseBody>> {
    for (name, value) in [
        ("content-encoding", "aws-chunked".to_owned()),
        ("x-amz-trailer", NAME.to_owned()),
        ("x-amz-decoded-content-length", body.length.to_string()),
    ] {
        call.headers.insert(name, HeaderValue::from_str(&value).expect("it is plain text"));
    }
    call.content = Content::Trailed(frame(body));
    client.send(call).await
}

/// The body in chunks with the trailer behind it.
fn frame(body: Body) -> Body {
    let sum = Digest::new(Algorithm::Crc64Nvme);
    let length = encoded_length(body.length);
    let frames = Frames { source: body, rest: Bytes::new(), ready: VecDeque::new(), sent: 0, sum, ended: false };
    let stream = stream::unfold(Some(frames), |frames| async move {
        let mut frames = frames?;
        match frames.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), (!frames.ended).then_some(frames))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Body { length, stream: stream.boxed() }
}

/// How long a body of `length` bytes is in chunks with its trailer.
fn encoded_length(length: u64) -> u64 {
    let chunk = |length: u64| format!("{length:x}").len() as u64 + 2 + length + 2;
    let (full, last) = (length / CHUNK, length % CHUNK);
    let chunks = full * chunk(CHUNK) + if last > 0 { chunk(last) } else { 0 };
    // "0\r\n", the trailer with 12 characters of base64, "\r\n", "\r\n".
    chunks + 3 + NAME.len() as u64 + 1 + 12 + 2 + 2
}

struct Frames {
    source: Body,
    /// Bytes that came and are not sent yet.
    rest: Bytes,
    /// Pieces that go out before anything else.
    ready: VecDeque<Bytes>,
    sent: u64,
    sum: Digest,
    ended: bool,
}

impl Frames {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(ready) = self.ready.pop_front() {
            return Ok(Some(ready));
        }
        while self.rest.is_empty() {
            match self.source.stream.next().await {
                Some(bytes) => self.rest = bytes?,
                None if self.sent == self.source.length => return Ok(Some(self.end())),
                None => return Err(short(self.source.length, self.sent)),
            }
        }
        let in_chunk = self.sent % CHUNK;
        let chunk = CHUNK.min(self.source.length - (self.sent - in_chunk));
        let left = usize::try_from(chunk - in_chunk).unwrap_or(usize::MAX);
        if left == 0 {
            return Err(short(self.source.length, self.sent + self.rest.len() as u64));
        }
        let bytes = self.rest.split_to(left.min(self.rest.len()));
        self.sum.update(&bytes);
        self.sent += bytes.len() as u64;
        if bytes.len() == left {
            self.ready.push_back(Bytes::from_static(b"\r\n"));
        }
        if in_chunk > 0 {
            return Ok(Some(bytes));
        }
        self.ready.push_front(bytes);
        Ok(Some(format!("{chunk:x}\r\n").into()))
    }

    fn end(&mut self) -> Bytes {
        self.ended = true;
        let sum = self.sum.finish();
        format!("0\r\n{NAME}:{}\r\n\r\n", encode(sum)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn framed(bytes: &[u8], cut: usize) -> Vec<u8> {
        let pieces: Vec<_> = bytes.chunks(cut.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let body = frame(Body { length: bytes.len() as u64, stream: stream::iter(pieces).boxed() });
        let announced = body.length;
        let all = body.stream.map(|bytes| bytes.expect("nothing fails")).collect::<Vec<_>>().await.concat();
        assert_eq!(all.len() as u64, announced, "{} bytes in pieces of {cut}", bytes.len());
        all
    }

    #[tokio::test]
    async fn a_body_is_framed_to_the_byte() {
        let sum = encode(Checksum::of(Algorithm::Crc64Nvme, b"hello"));
        for cut in [1, 2, 5] {
            let text = String::from_utf8(framed(b"hello", cut).await).expect("plain text");
            assert_eq!(text, format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc64nvme:{sum}\r\n\r\n"));
        }
        let chunk = usize::try_from(CHUNK).expect("small");
        for (length, chunks) in [(0, 0), (chunk - 1, 1), (chunk, 1), (chunk + 1, 2), (3 * chunk, 3)] {
            let all = framed(&vec![b'x'; length], 300_000).await;
            let text = String::from_utf8(all).expect("plain text");
            assert_eq!(text.matches("\r\n").count(), 2 * chunks + 3, "{length} bytes");
        }
    }

    #[tokio::test]
    async fn a_body_of_another_length_than_announced_breaks() {
        for sent in [4usize, 6] {
            let bytes = Bytes::from(vec![b'x'; sent]);
            let body = frame(Body { length: 5, stream: stream::once(async { Ok(bytes) }).boxed() });
            let all: Vec<_> = body.stream.collect().await;
            assert!(all.last().is_some_and(Result::is_err), "{sent} bytes");
        }
    }
}
