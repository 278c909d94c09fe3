//! The floor's worker: one GET piped into one PUT, or into one part of an upload.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use crc_fast::Digest;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Method, Response};
use tokio::sync::mpsc;

use super::connection::{Connection, between, text};
use super::listing::Entry;
use crate::support::Result;
use crate::support::content::new_digest;
use crate::support::server::BUCKET;

/// Something to copy with one GET and one PUT.
pub(super) enum Job {
    Whole { key: String },
    Part { upload: Arc<Upload>, number: usize, offset: u64, length: u64 },
}

/// An upload in parts; who copies its last part completes it.
pub(super) struct Upload {
    key: String,
    name: String,
    etags: Mutex<Etags>,
}

struct Etags {
    of_part: Vec<Option<String>>,
    missing: usize,
}

/// A connection to either side.
pub(super) struct Copier {
    source: Connection<Empty<Bytes>>,
    target: Connection<Piped>,
    has_checksum: bool,
}

impl Copier {
    /// Connects to both sides.
    pub(super) async fn open(from: &str, to: &str, has_checksum: bool) -> Result<Self> {
        Ok(Self { source: Connection::open(from).await?, target: Connection::open(to).await?, has_checksum })
    }

    /// Does jobs until there are no more.
    pub(super) async fn work(mut self, jobs: Arc<tokio::sync::Mutex<mpsc::Receiver<Job>>>) -> Result<()> {
        loop {
            let job = jobs.lock().await.recv().await;
            match job {
                None => return Ok(()),
                Some(Job::Whole { key }) => drop(self.pipe(&key, None, &format!("/{BUCKET}/{key}")).await?),
                Some(Job::Part { upload, number, offset, length }) => {
                    self.copy_part(&upload, number, offset, length).await?;
                }
            }
        }
    }

    /// Opens an upload and names its parts.
    pub(super) async fn split(&mut self, entry: Entry, part_size: u64) -> Result<Vec<Job>> {
        let path = format!("/{BUCKET}/{}?uploads", entry.key);
        let response = self.target.send(Method::POST, &path, None, Piped::Text(None)).await?;
        let answer = text(response).await?;
        let name = between(&answer, "<UploadId>", "</UploadId>").ok_or("an upload has no name")?.to_owned();
        let parts = usize::try_from(entry.size.div_ceil(part_size))?;
        let etags = Mutex::new(Etags { of_part: vec![None; parts], missing: parts });
        let upload = Arc::new(Upload { key: entry.key, name, etags });
        let offsets = (0..entry.size).step_by(usize::try_from(part_size)?);
        let job = |(number, offset): (usize, u64)| {
            let length = part_size.min(entry.size - offset);
            Job::Part { upload: Arc::clone(&upload), number: number + 1, offset, length }
        };
        Ok(offsets.enumerate().map(job).collect())
    }

    async fn copy_part(&mut self, upload: &Upload, number: usize, offset: u64, length: u64) -> Result<()> {
        let range = format!("bytes={offset}-{}", offset + length - 1);
        let path = format!("/{BUCKET}/{}?partNumber={number}&uploadId={}", upload.key, upload.name);
        let response = self.pipe(&upload.key, Some(range), &path).await?;
        let etag = response.headers().get("etag").ok_or("a part has no entity tag")?.to_str()?.to_owned();
        drop(response);
        let Some(parts) = upload.finish(number, etag) else { return Ok(()) };
        let path = format!("/{BUCKET}/{}?uploadId={}", upload.key, upload.name);
        let response = self.target.send(Method::POST, &path, None, Piped::Text(Some(parts.into()))).await?;
        text(response).await.map(drop)
    }

    /// Sends what the source answers to `path` at the target.
    async fn pipe(&mut self, key: &str, range: Option<String>, path: &str) -> Result<Response<()>> {
        let response = self.source.send(Method::GET, &format!("/{BUCKET}/{key}"), range, Empty::new()).await?;
        let digest = self.has_checksum.then(|| Box::new(new_digest()));
        let body = Piped::Body { body: response.into_body(), digest };
        let (head, body) = self.target.send(Method::PUT, path, None, body).await?.into_parts();
        body.collect().await?;
        Ok(Response::from_parts(head, ()))
    }
}

impl Upload {
    /// Notes a finished part; after the last one, the document that completes the upload.
    fn finish(&self, number: usize, etag: String) -> Option<String> {
        let mut etags = self.etags.lock().unwrap_or_else(PoisonError::into_inner);
        etags.of_part[number - 1] = Some(etag);
        etags.missing -= 1;
        if etags.missing > 0 {
            return None;
        }
        let part = |(index, etag): (usize, &String)| {
            format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", index + 1)
        };
        let parts: String = etags.of_part.iter().flatten().enumerate().map(part).collect();
        Some(format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"))
    }
}

/// A request body: a text, or the answer of the source as it arrives.
pub(super) enum Piped {
    Text(Option<Bytes>),
    Body { body: Incoming, digest: Option<Box<Digest>> },
}

impl Body for Piped {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Body { body, digest } => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                if let (Some(digest), Some(data)) = (digest, data) {
                    digest.update(data);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Body { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Body { body, .. } => body.size_hint(),
        }
    }
}
