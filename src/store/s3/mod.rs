//! Amazon S3 and the servers that speak its protocol, through `aws-sdk-s3`.
//!
//! The SDK signs, encodes and parses. It does not retry (contract 10), does not compute checksums of its own ("when required"),
//! and sends everything through [`crate::wire`]. How it is set up is in [`open`], what its errors mean in [`failure`].

mod document;
mod failure;
mod open;
mod transport;
mod upload;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{ChecksumMode, EncodingType, Object};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use self::failure::Context;
pub use self::open::path_style;
use super::{
    Algorithm, Body, Capability, Checksum, ETag, GetOptions, GetResult, Key, ListOptions, Location, Meter,
    MultipartUpload, ObjectMeta, ObjectStore, Options, Pages, PutResult, RequestKind, short,
};
use crate::error::{Error, ErrorKind, Result};

/// Objects in a bucket, below a prefix.
#[derive(Debug, Clone)]
pub struct S3Store {
    bucket: Arc<Bucket>,
    meter: Arc<Meter>,
}

/// The client with the place it works on.
#[derive(Debug)]
struct Bucket {
    client: Client,
    location: Location,
    /// For messages: which server this is.
    endpoint: Option<String>,
}

/// Keys in one page: the most that S3 gives.
const PAGE: i32 = 1000;

impl S3Store {
    /// Sets up a client for the location. Credentials are looked for when the first request is signed.
    pub async fn open(location: &Location, options: &Options, meter: Arc<Meter>) -> Result<Self> {
        let client = open::client(location, options).await?;
        let bucket = Bucket { client, location: location.clone(), endpoint: options.endpoint.clone() };
        Ok(Self { bucket: Arc::new(bucket), meter })
    }

    fn name(&self) -> &str {
        self.bucket.location.bucket()
    }

    fn full(&self, key: &Key) -> String {
        self.bucket.location.full_key(key.as_str())
    }

    fn context(&self, doing: &'static str, key: Option<&Key>) -> Context<'_> {
        Context {
            doing,
            key: key.map(ToString::to_string),
            location: &self.bucket.location,
            endpoint: self.bucket.endpoint.as_deref(),
        }
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.meter.count(RequestKind::Head);
        let context = self.context("look at", Some(key));
        let request = self.bucket.client.head_object().bucket(self.name()).key(self.full(key));
        let answer = request.send().await.map_err(|error| context.failure(&error))?;
        Ok(ObjectMeta {
            key: key.clone(),
            size: length(&context, answer.content_length())?,
            modified: modified(&context, answer.last_modified())?,
            etag: answer.e_tag().and_then(ETag::new),
        })
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.meter.count(RequestKind::Get);
        let context = self.context("get", Some(key));
        let mut request = self.bucket.client.get_object().bucket(self.name()).key(self.full(key));
        request = match &options.range {
            Some(range) => request.range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1))),
            // A checksum of the whole object says nothing about a range; some servers send it all the same.
            None => request.checksum_mode(ChecksumMode::Enabled),
        };
        request = request.set_if_match(options.if_match.as_ref().map(ETag::quoted));
        let answer = request.send().await.map_err(|error| context.failure(&error))?;
        let came = length(&context, answer.content_length())?;
        let size = match &options.range {
            Some(range) => whole_size(&context, answer.content_range(), range.start, range.end, came)?,
            None => came,
        };
        let meta = ObjectMeta {
            key: key.clone(),
            size,
            modified: modified(&context, answer.last_modified())?,
            etag: answer.e_tag().and_then(ETag::new),
        };
        // Some servers (s3s-fs 0.14, Garage 2.5) answer a condition that does not hold as if it had not been asked.
        if let (Some(wanted), Some(came)) = (&options.if_match, &meta.etag)
            && wanted != came
        {
            return Err(context.error(ErrorKind::Precondition).because("the object has changed meanwhile"));
        }
        let checksum = if options.range.is_none() { stated(&answer) } else { None };
        Ok(GetResult { meta, checksum, body: Body { length: came, stream: incoming(answer.body, context.sentence()) } })
    }

    async fn put(&self, key: &Key, body: Body) -> Result<PutResult> {
        self.meter.count(RequestKind::Put);
        let context = self.context("put", Some(key));
        let (length, content) = outgoing(body);
        let request = self.bucket.client.put_object().bucket(self.name()).key(self.full(key));
        let request = request.content_length(length).body(content);
        let answer = request.send().await.map_err(|error| context.failure(&error))?;
        let checksum = answer.checksum_crc64_nvme().and_then(|text| decode(Algorithm::Crc64Nvme, text));
        Ok(PutResult { etag: answer.e_tag().and_then(ETag::new), checksum })
    }

    async fn put_multipart(&self, key: &Key, _size: u64) -> Result<Box<dyn MultipartUpload>> {
        self.meter.count(RequestKind::CreateMultipartUpload);
        Ok(Box::new(upload::Upload::begin(self.clone(), key.clone()).await?))
    }

    fn list(&self, options: ListOptions) -> Pages {
        let store = self.clone();
        let first = Some(Page { token: None, options, empty: 0 });
        stream::unfold(first, move |page| {
            let store = store.clone();
            async move {
                match store.page(page?).await {
                    Ok((objects, next)) => Some((Ok(objects), next)),
                    Err(error) => Some((Err(error), None)),
                }
            }
        })
        .boxed()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.meter.count(RequestKind::Delete);
        let context = self.context("delete", Some(key));
        let request = self.bucket.client.delete_object().bucket(self.name()).key(self.full(key));
        match request.send().await.map_err(|error| context.failure(&error)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    fn capability(&self) -> Capability {
        Capability::s3()
    }
}

/// Which page of a listing comes next.
struct Page {
    token: Option<String>,
    options: ListOptions,
    /// How many pages without a key came before it.
    empty: u32,
}

/// A listing may skip over what was deleted, a page at a time, but not for ever.
const EMPTY_PAGES: u32 = 100;

impl S3Store {
    async fn page(&self, page: Page) -> Result<(Vec<ObjectMeta>, Option<Page>)> {
        self.meter.count(RequestKind::List);
        let context = self.context("list", None);
        let Page { token, options, empty } = page;
        let mut request = self.bucket.client.list_objects_v2().bucket(self.name()).max_keys(PAGE);
        // Keys with characters that XML cannot hold arrive whole only in this encoding.
        request = request.encoding_type(EncodingType::Url);
        let prefix = self.bucket.location.full_key(&options.prefix);
        request = request.set_prefix((!prefix.is_empty()).then_some(prefix));
        request = match &token {
            Some(token) => request.continuation_token(token),
            None => request.set_start_after(options.after.as_ref().map(|after| self.full(after))),
        };
        let answer = request.send().await.map_err(|error| context.failure(&error))?;
        let objects = self.objects(&context, &answer)?;
        let empty = if objects.is_empty() { empty + 1 } else { 0 };
        let next = match (answer.is_truncated(), answer.next_continuation_token()) {
            (Some(true), Some(next)) if Some(next) != token.as_deref() && empty < EMPTY_PAGES => {
                Some(Page { token: Some(next.to_owned()), options, empty })
            }
            (Some(true), Some(_)) if empty >= EMPTY_PAGES => {
                return Err(context.error(ErrorKind::Invalid).because(format!(
                    "the listing does not advance: {empty} pages without a key came one after the other"
                )));
            }
            (Some(true), _) => {
                return Err(context
                    .error(ErrorKind::Corrupt)
                    .because("the server says that more follows and gives no new continuation token")
                    .hint("the server's listing cannot be relied on; nothing was taken as missing"));
            }
            _ => None,
        };
        Ok((objects, next))
    }

    fn objects(&self, context: &Context<'_>, answer: &ListObjectsV2Output) -> Result<Vec<ObjectMeta>> {
        let encoded = answer.encoding_type() == Some(&EncodingType::Url) && answer.contents().iter().all(is_encoded);
        let mut objects = Vec::with_capacity(answer.contents().len());
        for object in answer.contents() {
            let Some(found) = object.key() else {
                return Err(context.error(ErrorKind::Corrupt).because("an entry of the listing has no key"));
            };
            let found = if encoded { decode_key(context, found)? } else { found.to_owned() };
            let prefix = self.bucket.location.full_key("");
            let Some(key) = found.strip_prefix(&prefix) else {
                return Err(context.error(ErrorKind::Corrupt).because(format!(
                    "the listing of `{prefix}` holds `{}`, which does not begin so",
                    found.escape_debug()
                )));
            };
            // A console's marker for the folder itself: it has no name inside the location.
            if key.is_empty() {
                continue;
            }
            objects.push(ObjectMeta {
                key: Key::new(key)?,
                size: length(context, object.size())?,
                modified: modified(context, object.last_modified())?,
                etag: object.e_tag().and_then(ETag::new),
            });
        }
        Ok(objects)
    }
}

/// Whether a key may be in url encoding. Some servers (s3s-fs 0.14) echo the encoding and do not apply it; then a character
/// gives them away that the encoding never leaves as it is.
fn is_encoded(object: &Object) -> bool {
    object.key().is_none_or(|key| {
        key.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'#' | b'?'))
    })
}

fn decode_key(context: &Context<'_>, key: &str) -> Result<String> {
    // The encoding is that of forms: a blank may come as `+`.
    let spaced = key.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(error) => {
            Err(context.error(ErrorKind::Corrupt).because(format!("the key `{key}` does not decode: {error}")))
        }
    }
}

fn length(context: &Context<'_>, stated: Option<i64>) -> Result<u64> {
    stated
        .and_then(|length| u64::try_from(length).ok())
        .ok_or_else(|| context.error(ErrorKind::Corrupt).because("the answer states no length"))
}

fn modified(context: &Context<'_>, stated: Option<&aws_sdk_s3::primitives::DateTime>) -> Result<Timestamp> {
    stated
        .and_then(|time| Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok())
        .ok_or_else(|| context.error(ErrorKind::Corrupt).because("the answer states no modification time"))
}

/// The object's whole size, if the answer is exactly the range asked for.
fn whole_size(context: &Context<'_>, stated: Option<&str>, start: u64, end: u64, came: u64) -> Result<u64> {
    let parsed = stated.and_then(|text| {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, size.parse::<u64>().ok()?))
    });
    match parsed {
        Some((first, last, size)) if first == start && last + 1 == end && came == end - start => Ok(size),
        _ => Err(context.error(ErrorKind::Corrupt).because(format!(
            "bytes {start} to {} were asked for, and {came} bytes came as `{}`",
            end.saturating_sub(1),
            stated.unwrap_or("the whole object")
        ))),
    }
}

/// The checksum over the whole object that the server states with it.
fn stated(answer: &GetObjectOutput) -> Option<Checksum> {
    [
        (Algorithm::Crc64Nvme, answer.checksum_crc64_nvme()),
        (Algorithm::Crc32, answer.checksum_crc32()),
        (Algorithm::Crc32c, answer.checksum_crc32_c()),
    ]
    .into_iter()
    .find_map(|(algorithm, text)| decode(algorithm, text?))
}

/// A checksum as S3 writes it: base64 of the big-endian value. A checksum of checksums (`…-3`) is not one.
fn decode(algorithm: Algorithm, text: &str) -> Option<Checksum> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let expected = if algorithm == Algorithm::Crc64Nvme { 8 } else { 4 };
    (bytes.len() == expected)
        .then(|| Checksum { algorithm, value: bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)) })
}

/// The answer's bytes, as they come.
fn incoming(content: ByteStream, sentence: String) -> BoxStream<'static, Result<Bytes>> {
    content
        .into_inner()
        .into_data_stream()
        .map(move |bytes| bytes.map_err(|error| failure::body(error.as_ref(), &sentence)))
        .boxed()
}

/// A request body that goes out as it comes in, with its exact length.
fn outgoing(body: Body) -> (i64, ByteStream) {
    let length = i64::try_from(body.length).expect("no object is longer than 2^63 bytes");
    let mut left = body.length;
    // The connection would cut what goes on beyond the length announced, and store the rest as if it were whole.
    let counted = body.stream.map(move |bytes| {
        let bytes = bytes?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| short(body.length, body.length + 1))?;
        Ok(Frame::data(bytes))
    });
    let stream = Shared(Mutex::new(counted.boxed()));
    let sized = transport::Sized::new(StreamBody::new(stream), body.length);
    (length, ByteStream::new(SdkBody::from_body_1_x(sized)))
}

/// The SDK wants its bodies `Sync`, which a boxed stream is not. The lock is never contended: only `&mut self` polls.
struct Shared(Mutex<BoxStream<'static, Result<Frame<Bytes>>>>);

impl futures::Stream for Shared {
    type Item = Result<Frame<Bytes>, Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.get_mut().0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).poll_next_unpin(cx)
    }
}
