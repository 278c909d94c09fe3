//! An object written in parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use super::answer::Answer;
use super::client::{Call, Client};
use super::copy::source_header;
use super::outgoing::Content;
use super::xml::{self, Document};
use super::{RestStore, failure, trailer};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{
    Body, ETag, Key, MultipartUpload, ObjectStore as _, Origin, Part, PartSpec, PutOptions, PutResult, RequestKind,
};

const PART: &str = "upload a part of";

#[derive(Debug)]
pub(super) struct Upload {
    client: Arc<Client>,
    key: Key,
    id: String,
    if_absent: bool,
    /// Whether its completion was asked for before.
    asked: AtomicBool,
}

impl Upload {
    pub(super) async fn begin(client: Arc<Client>, key: Key, options: &PutOptions) -> Result<Self> {
        let doing = "begin the upload of";
        let mut call =
            Call::new(RequestKind::CreateMultipartUpload, doing, Method::POST, Some(key.as_str())).flag("uploads");
        call.headers = client.headers.new_object(client.dialect, &options.attributes)?;
        if options.if_absent {
            client.only_if_absent(&mut call.headers);
        }
        let response = client.send(call).await?;
        let bytes = document(&client, doing, &key, xml::read(response, "InitiateMultipartUpload").await)?;
        let Some(id) = xml::field(&bytes, "UploadId")?.filter(|id| !id.is_empty()) else {
            let error = client.error(ErrorKind::Corrupt, doing, Some(key.as_str()));
            return Err(error.because("the server gave the upload no id"));
        };
        Ok(Self { client, key, id, if_absent: options.if_absent, asked: AtomicBool::new(false) })
    }

    fn call(&self, kind: RequestKind, doing: &'static str, method: Method) -> Call<'_> {
        Call::new(kind, doing, method, Some(self.key.as_str())).query("uploadId", self.id.as_str())
    }

    /// A request that uploads a part.
    pub(super) fn part(&self, number: u32) -> Call<'_> {
        self.call(RequestKind::UploadPart, PART, Method::PUT).query("partNumber", number.to_string())
    }

    fn answer<'a>(&'a self, doing: &'static str, headers: &'a HeaderMap) -> Answer<'a> {
        Answer { client: &self.client, doing, key: &self.key, headers }
    }
}

/// The bytes of a whole document; the error, if it is one.
pub(super) fn document(client: &Client, doing: &str, key: &Key, document: Result<Document>) -> Result<Bytes> {
    let sentence = client.sentence(doing, Some(key.as_str()));
    match document {
        Ok(Document::Whole(bytes)) => Ok(bytes),
        Ok(Document::Error(document)) => Err(failure::within(client, &sentence, document)),
        Err(error) => Err(error.while_doing(sentence)),
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    async fn put_part(&self, part: PartSpec, body: Body) -> Result<Part> {
        let doing = PART;
        let call = self.part(part.number);
        debug_assert_eq!(body.length, part.length);
        let response = if self.client.sends_trailers() {
            trailer::send(&self.client, call, body).await?
        } else {
            self.client.send(Call { content: Content::Stream(body), ..call }).await?
        };
        let headers = self.client.concluded(doing, self.key.as_str(), response).await?;
        let answer = self.answer(doing, &headers);
        let (etag, checksums) = (answer.etag(), answer.checksums());
        Ok(Part { spec: part, etag, checksums })
    }

    async fn copy_part(&self, part: PartSpec, from: Origin<'_>) -> Result<Part> {
        let doing = "copy a part of";
        let mut call =
            self.call(RequestKind::CopyPart, doing, Method::PUT).patient().query("partNumber", part.number.to_string());
        source_header(&self.client, &mut call.headers, from)?;
        let range = format!("bytes={}-{}", part.offset, part.offset + part.length - 1);
        let range = HeaderValue::from_str(&range).expect("a range is plain text");
        call.headers.insert(self.client.dialect.words().copy_range.clone(), range);
        let response = self.client.send(call).await?;
        let bytes = document(&self.client, doing, &self.key, xml::read(response, "CopyPart").await)?;
        Ok(Part {
            spec: part,
            etag: xml::field(&bytes, "ETag")?.and_then(|etag| ETag::new(&etag)),
            checksums: Vec::new(),
        })
    }

    async fn complete(&self, parts: Vec<Part>) -> Result<PutResult> {
        let doing = "complete the upload of";
        let size: u64 = parts.iter().map(|part| part.spec.length).sum();
        let mut text = "<CompleteMultipartUpload>".to_owned();
        for part in &parts {
            let etag = xml::escape(&part.etag.as_ref().map(ETag::quoted).unwrap_or_default());
            text.push_str(&format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", part.spec.number));
        }
        text.push_str("</CompleteMultipartUpload>");
        let mut call = self.call(RequestKind::CompleteMultipartUpload, doing, Method::POST).patient();
        call.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        if self.if_absent {
            self.client.only_if_absent(&mut call.headers);
        }
        call.content = Content::Document(text.into());
        let asked = self.asked.swap(true, Ordering::Relaxed);
        let done = match self.client.send(call).await {
            Ok(response) => {
                let headers = response.headers().clone();
                let read = xml::read(response, "CompleteMultipartUpload").await;
                document(&self.client, doing, &self.key, read).map(|bytes| (headers, bytes))
            }
            Err(error) => Err(error),
        };
        match done {
            Ok((headers, bytes)) => self.completed(doing, &headers, &bytes),
            // An earlier try may have been carried out although its answer was lost: then the upload is gone and the object
            // is there, with our length.
            Err(error) if asked && error.kind() == ErrorKind::NotFound => self.found(size, error).await,
            Err(error) => Err(error),
        }
    }

    async fn abort(&self) -> Result<()> {
        let call = self.call(RequestKind::AbortMultipartUpload, "abort the upload of", Method::DELETE);
        match self.client.send(call).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }
}

impl Upload {
    fn completed(&self, doing: &'static str, headers: &HeaderMap, bytes: &[u8]) -> Result<PutResult> {
        let mut checksums = self.answer(doing, headers).checksums();
        let kind = xml::field(bytes, "ChecksumType")?;
        if kind.is_none_or(|kind| kind.eq_ignore_ascii_case("FULL_OBJECT"))
            && let Some(text) = xml::field(bytes, "ChecksumCRC64NVME")?
        {
            checksums.extend(super::dialect::decode(crate::store::Algorithm::Crc64Nvme, &text));
        }
        Ok(PutResult { etag: xml::field(bytes, "ETag")?.and_then(|etag| ETag::new(&etag)), checksums })
    }

    async fn found(&self, size: u64, error: Error) -> Result<PutResult> {
        match RestStore::of(self.client.clone()).head(&self.key).await {
            Ok(found) if found.meta.size == size => Ok(PutResult { etag: found.meta.etag, checksums: found.checksums }),
            _ => Err(error),
        }
    }
}
