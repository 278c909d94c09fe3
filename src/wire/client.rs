//! The client: one connection pool, one name resolver, one TLS configuration.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::{BoxError, Progress, ResponseBody, Sent};
use super::tls;
use crate::error::{Error, ErrorKind, Result, chain};

/// How the client behaves. The defaults suit object stores across a wide-area network.
#[derive(Debug, Clone)]
pub struct Options {
    /// PEM file with the certificates to trust in place of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// How long a connection may take to come up, all addresses of the name together.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept. Amazon S3 closes after about 5 s (aws-c-s3 documents it), so we close first.
    pub idle_timeout: Duration,
    /// How long a body may stand still, either way.
    pub stall_timeout: Duration,
    /// How long an answer may take once the request is sent.
    pub answer_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(4),
            stall_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_mins(1),
        }
    }
}

/// Bytes read from a socket at most at once. Measured: 512 KiB costs 5 % less CPU per GiB than hyper's default, more gains nothing.
const READ_BUFFER: usize = 512 * 1024;

/// An HTTP/1.1 client. Cloning shares the pool.
#[derive(Debug, Clone)]
pub struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Sent>,
    options: Options,
}

// `legacy::Client` wants its body type to be `Debug` for our derive.
impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sent")
    }
}

impl Client {
    /// A client with a pool of its own.
    ///
    /// Fails when the `ca_bundle` cannot be read or holds no certificate.
    pub fn new(options: Options) -> Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(options.connect_timeout));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(options.ca_bundle.as_deref())?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(READ_BUFFER)
            // A connection that the server closed while idle is replaced unseen; the request had not been sent.
            .retry_canceled_requests(true)
            .build(https);
        Ok(Self { inner, options })
    }

    /// Sends one request and returns when the head of the answer is there, whatever its status.
    ///
    /// Errors: [`ErrorKind::Unavailable`] when the host cannot be reached or the connection breaks, [`ErrorKind::Timeout`] when
    /// it stands still, [`ErrorKind::Invalid`] when the server's certificate is not trusted.
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response<ResponseBody>>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let host = request.uri().authority().map_or_else(|| "?".to_owned(), ToString::to_string);
        let progress = Progress::new();
        let request = request.map(|body| Sent::new(body.map_err(Into::into).boxed_unsync(), progress.clone()));
        let limit = self.options.answer_timeout;
        tokio::select! {
            answer = self.inner.request(request) => match answer {
                Ok(response) => Ok(response.map(|body| ResponseBody::new(body, self.options.stall_timeout))),
                Err(error) => Err(failure(&host, error)),
            },
            () = progress.stalled(limit) => Err(Error::new(ErrorKind::Timeout, format!("get an answer from `{host}`"))
                .because(format!("nothing was sent and nothing came for {} s", limit.as_secs()))),
        }
    }
}

/// Names what went wrong below HTTP.
fn failure(host: &str, error: legacy::Error) -> Error {
    let doing = format!("reach `{host}`");
    if let Some(tls) = find::<rustls::Error>(&error) {
        return Error::new(ErrorKind::Invalid, doing)
            .because(format!("its TLS certificate or protocol was refused: {tls}"))
            .hint("check the host name; for a private authority set `ca_bundle` to its PEM file")
            .from_source(error);
    }
    // A source that failed while we were sending its bytes on is the real cause.
    if let Some(ours) = find::<Error>(&error) {
        return ours.duplicate();
    }
    if error.is_connect() {
        let text = chain(&error);
        let cause = if text.contains("dns error") || text.contains("failed to lookup") {
            "its name does not resolve".to_owned()
        } else {
            last(&error)
        };
        return Error::new(ErrorKind::Unavailable, doing)
            .because(cause)
            .unreached()
            .hint("check the endpoint's host and port, and that this machine may connect to it")
            .from_source(error);
    }
    Error::new(ErrorKind::Unavailable, doing)
        .because(format!("the connection broke: {}", last(&error)))
        .from_source(error)
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        // An `io::Error` hides what it wraps from `source()`.
        if let Some(inner) = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && let Some(found) = find::<E>(inner)
        {
            return Some(found);
        }
        next = current.source();
    }
    None
}

/// The innermost text of an error, which is where the operating system speaks.
fn last(error: &(dyn StdError + 'static)) -> String {
    let mut current = error;
    while let Some(inner) = current.source() {
        current = inner;
    }
    current.to_string()
}
