//! A server of S3 and of OSS that stores nothing: what it serves follows from the keys, what it receives is checked and thrown away.
//!
//! It speaks HTTP/1.1 without TLS, believes every signature, knows one bucket called `bench`, and does as little as it can, so
//! that a measurement beside it is a measurement of the client. `GET /_stats` tells what it counted, as JSON.
//! It checks every checksum that comes with a body, in front or behind, and states it in its answer; to a client of OSS it states OSS's own.
//! Objects that it was started with have no checksum of S3's, as those of most servers do not. It does not copy on its side: such requests
//! are refused as not implemented.

mod bucket;
mod chunked;
mod dialect;
mod listing;
mod operation;
mod reply;
mod stats;
mod uploads;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crc_fast::Digest;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::bucket::{Bucket, Origin, Stored};
use self::chunked::Chunks;
use self::dialect::Dialect;
use self::operation::{ListQuery, Operation};
use self::reply::{Refusal, Reply, document, empty};
use self::stats::Stats;
use self::uploads::{Received, Uploads};
use super::Result;
use super::content::{Content, ECMA, new_digest};
use super::spec::Spec;

/// What an operation comes to.
type Answer = std::result::Result<Response<Reply>, Refusal>;

/// The name of the only bucket.
pub(crate) const BUCKET: &str = "bench";

/// When a synthesised object was written, as headers write it; `listing` says the same in its own form.
const SYNTHESISED_AT: HeaderValue = HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT");

/// When everything was written that was put.
const PUT_AT: HeaderValue = HeaderValue::from_static("Fri, 02 Jan 2026 00:00:00 GMT");

/// Where rclone keeps the time of the source: without it, rclone would take every object of a prepared target for changed.
const RCLONE_TIME: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-amz-meta-mtime"), HeaderValue::from_static("1767225600"));

/// OSS's checksums of longer synthesised objects are computed once and kept.
const LONGEST_SUMMED_TWICE: u64 = 64 * 1024;

/// How a server is started.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// What the bucket starts with, e.g. `objects=100000,size=4KiB`; nothing if not given.
    #[arg(long)]
    holds: Option<Spec>,
    /// What the bucket should hold in the end; `/_stats` then counts the objects that are wrong.
    #[arg(long)]
    expects: Option<Spec>,
    /// The port on the loopback interface; 0 takes a free one. The port is printed on a line of its own.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Ends when standard input is closed, so that no server outlives the one who started it.
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Runs a server until it is killed, or until standard input closes.
pub(crate) fn run(options: &Options) -> Result<()> {
    // One thread: two servers and a client share a few cores, and one that never hands work over costs least.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        writeln!(std::io::stdout(), "{}", listener.local_addr()?.port())?;
        let server = Arc::new(Server::new(options));
        tokio::select! {
            result = serve(&listener, &server) => result,
            () = closed_stdin(), if options.until_stdin_closes => Ok(()),
        }
    })
}

/// Ends once standard input is at its end; a thread of its own reads it, since a runtime cannot wait for every kind of input.
async fn closed_stdin() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _end = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(sender);
    });
    let _closed: std::result::Result<(), _> = receiver.await;
}

async fn serve(listener: &TcpListener, server: &Arc<Server>) -> Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let server = Arc::clone(server);
        let service = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        connections.spawn(async move {
            // A client that goes away, even in the middle of a body, is none of a server's business.
            let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// What all connections share. The locks are held for the time of a look-up, never over a wait.
struct Server {
    bucket: Mutex<Bucket>,
    uploads: Mutex<Uploads>,
    /// OSS's checksums by key and length.
    sums: Mutex<HashMap<(String, u64), u64>>,
    stats: Arc<Stats>,
    expects: Option<Spec>,
}

impl Server {
    fn new(options: &Options) -> Self {
        let holds = options.holds.unwrap_or(Spec { objects: 0, size: 0 });
        Self {
            bucket: Mutex::new(Bucket::new(holds)),
            uploads: Mutex::default(),
            sums: Mutex::default(),
            stats: Arc::default(),
            expects: options.expects,
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let operation = Operation::parse(request.method(), request.uri().path(), request.uri().query().unwrap_or(""));
        if let Some(kind) = operation.kind() {
            self.stats.count(kind);
        }
        let result = if is_unsupported(request.headers()) {
            Err(Refusal::NotImplemented)
        } else {
            self.perform(operation, request).await
        };
        result.unwrap_or_else(|refusal| {
            self.stats.refuse();
            refusal.respond()
        })
    }

    async fn perform(&self, operation: Operation, request: Request<Incoming>) -> Answer {
        match operation {
            Operation::Stats => Ok(document("application/json", self.report())),
            Operation::List(query) => Ok(self.list(&query)),
            Operation::Get { key } => self.get(&key, request.headers()),
            Operation::Head { key } => self.head(&key, request.headers()),
            Operation::Put { key } => self.put(key, request).await,
            Operation::CreateMultipart { key } => Ok(self.create_multipart(key, request.headers())),
            Operation::UploadPart { key, upload, number } => self.upload_part(&key, &upload, number, request).await,
            Operation::CompleteMultipart { key, upload } => self.complete_multipart(key, &upload, request).await,
            Operation::AbortMultipart { upload } => {
                lock(&self.uploads).abort(&upload).map(|()| empty(StatusCode::NO_CONTENT))
            }
            Operation::Delete { key } => {
                lock(&self.bucket).delete(key);
                Ok(empty(StatusCode::NO_CONTENT))
            }
            Operation::DeleteBatch => self.delete_batch(request.into_body()).await,
            Operation::HeadBucket => Ok(empty(StatusCode::OK)),
            Operation::NoSuchBucket => Err(Refusal::NoSuchBucket),
            Operation::Unsupported => Err(Refusal::NotImplemented),
        }
    }

    fn list(&self, query: &ListQuery) -> Response<Reply> {
        document("application/xml", listing::page(&lock(&self.bucket), query))
    }

    fn get(&self, key: &str, headers: &HeaderMap) -> Answer {
        let stored = self.find(key, headers)?;
        if matches!(stored.origin, Origin::PutWrong(_)) {
            return Err(Refusal::NotKept);
        }
        let range = headers.get(header::RANGE).map(|range| parse_range(range, stored.length));
        let (offset, left) = range.unwrap_or(Ok((0, stored.length)))?;
        let content = Content::of(key);
        let mut response = Response::new(Reply::Content { content, offset, left, stats: Arc::clone(&self.stats) });
        if range.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {offset}-{}/{}", offset + left - 1, stored.length);
            response.headers_mut().insert(header::CONTENT_RANGE, to_header(&text));
        }
        self.describe(response.headers_mut(), key, stored, headers);
        Ok(response)
    }

    fn head(&self, key: &str, headers: &HeaderMap) -> Answer {
        let stored = self.find(key, headers)?;
        let mut response = empty(StatusCode::OK);
        self.describe(response.headers_mut(), key, stored, headers);
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(stored.length));
        Ok(response)
    }

    /// The object, if there is one and the client still means it.
    fn find(&self, key: &str, headers: &HeaderMap) -> std::result::Result<Stored, Refusal> {
        let stored = lock(&self.bucket).get(key).ok_or(Refusal::NoSuchKey)?;
        match headers.get(header::IF_MATCH) {
            Some(wanted) if wanted.as_bytes() != stored.etag(key).as_bytes() => Err(Refusal::PreconditionFailed),
            _ => Ok(stored),
        }
    }

    /// The headers that GET and HEAD share.
    fn describe(&self, answer: &mut HeaderMap, key: &str, stored: Stored, asked: &HeaderMap) {
        let modified = if stored.origin == Origin::Synthesised { SYNTHESISED_AT } else { PUT_AT };
        answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        answer.insert(RCLONE_TIME.0, RCLONE_TIME.1);
        if let Some(headers) = lock(&self.bucket).headers(key) {
            for (name, value) in headers.iter() {
                answer.insert(name.clone(), value.clone());
            }
        }
        answer.insert(header::ETAG, to_header(&stored.etag(key)));
        answer.insert(header::LAST_MODIFIED, modified);
        answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let dialect = Dialect::of(asked);
        if dialect == Dialect::Oss {
            dialect.state_ecma(self.ecma(key, stored.length), answer);
        }
    }

    /// OSS's checksum of a synthesised object.
    fn ecma(&self, key: &str, length: u64) -> u64 {
        let compute = || Content::of(key).ecma(length);
        if length <= LONGEST_SUMMED_TWICE {
            return compute();
        }
        *lock(&self.sums).entry((key.to_owned(), length)).or_insert_with(compute)
    }

    async fn put(&self, key: String, request: Request<Incoming>) -> Answer {
        let dialect = Dialect::of(request.headers());
        let kept = dialect.kept(request.headers());
        let received = self.receive(dialect, request).await?;
        let differing = received.differing(&key, 0);
        self.stats.differ(differing);
        let origin = if differing == 0 { Origin::Put } else { Origin::PutWrong(received.checksum) };
        let stored = Stored { length: received.length, origin };
        let mut response = empty(StatusCode::OK);
        response.headers_mut().insert(header::ETAG, to_header(&stored.etag(&key)));
        dialect.state(&received, response.headers_mut());
        lock(&self.bucket).put(key, stored, kept);
        Ok(response)
    }

    /// Reads a body to its end and keeps nothing but its length and its checksums; what the client states of it must be right.
    async fn receive(&self, dialect: Dialect, request: Request<Incoming>) -> std::result::Result<Received, Refusal> {
        let mut stated = dialect::stated(request.headers())?;
        let mut chunks = Chunks::of(request.headers());
        let announced = request.headers().get("x-amz-decoded-content-length").cloned();
        let mut body = request.into_body();
        let (mut length, mut digest) = (0, new_digest());
        let mut ecma = (dialect == Dialect::Oss).then(|| Digest::new(ECMA));
        let mut take = |data: &[u8]| {
            length += data.len() as u64;
            digest.update(data);
            if let Some(ecma) = &mut ecma {
                ecma.update(data);
            }
        };
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Refusal::IncompleteBody)?.into_data() else { continue };
            match &mut chunks {
                Some(chunks) => chunks.feed(data, &mut take)?,
                None => take(&data),
            }
        }
        if let Some(chunks) = chunks {
            stated = stated.or(dialect::trailed(&chunks.finish()?)?);
            if announced.is_some_and(|announced| announced.as_bytes() != length.to_string().as_bytes()) {
                return Err(Refusal::IncompleteBody);
            }
        }
        let checksum = digest.finalize();
        if stated.is_some_and(|stated| stated != checksum) {
            return Err(Refusal::BadDigest);
        }
        self.stats.receive(length);
        Ok(Received { length, checksum, ecma: ecma.map_or(0, |ecma| ecma.finalize()), stated: stated.is_some() })
    }

    fn create_multipart(&self, key: String, headers: &HeaderMap) -> Response<Reply> {
        let shown = listing::escape(&key);
        let upload = lock(&self.uploads).create(key, Dialect::of(headers).kept(headers));
        document(
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
                 <InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>{BUCKET}</Bucket>\
                 <Key>{shown}</Key><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            ),
        )
    }

    async fn upload_part(&self, key: &str, upload: &str, number: u32, request: Request<Incoming>) -> Answer {
        let dialect = Dialect::of(request.headers());
        let part = self.receive(dialect, request).await?;
        lock(&self.uploads).add(upload, key, number, part)?;
        let mut response = empty(StatusCode::OK);
        response.headers_mut().insert(header::ETAG, to_header(&part.etag()));
        dialect.state(&part, response.headers_mut());
        Ok(response)
    }

    async fn complete_multipart(&self, key: String, upload: &str, request: Request<Incoming>) -> Answer {
        let dialect = Dialect::of(request.headers());
        let parts = uploads::parse_parts(&read_text(request.into_body()).await?)?;
        let completed = lock(&self.uploads).complete(upload, &key, &parts, dialect.smallest_part())?;
        self.stats.differ(completed.differing);
        let (shown, etag) = (listing::escape(&key), completed.stored.etag(&key));
        lock(&self.bucket).put(key, completed.stored, completed.headers);
        let mut response = document(
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
                 <CompleteMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>{BUCKET}</Bucket>\
                 <Key>{shown}</Key><ETag>&quot;{}&quot;</ETag></CompleteMultipartUploadResult>",
                etag.trim_matches('"')
            ),
        );
        dialect.state_ecma(completed.ecma, response.headers_mut());
        Ok(response)
    }

    async fn delete_batch(&self, body: Incoming) -> Answer {
        let mut rows = String::new();
        for key in uploads::parse_keys(&read_text(body).await?) {
            rows.push_str(&format!("<Deleted><Key>{}</Key></Deleted>", listing::escape(&key)));
            lock(&self.bucket).delete(key);
        }
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><DeleteResult>{rows}</DeleteResult>");
        Ok(document("application/xml", text))
    }

    /// What `GET /_stats` answers.
    fn report(&self) -> String {
        let bucket = lock(&self.bucket);
        let (objects, bytes) = bucket.totals();
        let mut report = self.stats.to_map();
        report.insert("stored".to_owned(), json!({ "objects": objects, "bytes": bytes }));
        report.insert("open_uploads".to_owned(), json!(lock(&self.uploads).len()));
        report.insert("wrong_objects".to_owned(), json!(self.expects.map(|expected| bucket.count_wrong(expected))));
        serde_json::Value::from(report).to_string()
    }
}

/// Copies on its side are beyond this server.
fn is_unsupported(headers: &HeaderMap) -> bool {
    headers.contains_key("x-amz-copy-source") || headers.contains_key("x-oss-copy-source")
}

async fn read_text(body: Incoming) -> std::result::Result<String, Refusal> {
    let body = body.collect().await.map_err(|_| Refusal::IncompleteBody)?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Offset and length of `bytes=<first>-<last>`, `bytes=<first>-` or `bytes=-<length>`.
fn parse_range(range: &HeaderValue, length: u64) -> std::result::Result<(u64, u64), Refusal> {
    let parse = || {
        let (first, last) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        let last_byte = length.checked_sub(1)?;
        if first.is_empty() {
            let wanted = last.parse::<u64>().ok().filter(|&wanted| wanted > 0)?.min(length);
            return Some((length - wanted, wanted));
        }
        let first: u64 = first.parse().ok()?;
        let last = if last.is_empty() { last_byte } else { last.parse::<u64>().ok()?.min(last_byte) };
        (first <= last).then(|| (first, last - first + 1))
    };
    parse().ok_or(Refusal::InvalidRange)
}

fn to_header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("entity tags and ranges are digits and punctuation")
}

/// A poisoned lock only means that a connection panicked; the counts are still worth having.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
