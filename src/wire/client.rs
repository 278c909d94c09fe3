//! The client: one pool of connections, one TLS configuration, one rule for proxies.
//!
//! A request is sent once, with two exceptions. A connection that rested may have been closed by the server in the very moment
//! in which we took it; then the request goes out again on another one if
//!
//! 1. nothing of it had been written, or
//! 2. it is a `GET` or `HEAD` without a body, which changes nothing however often it arrives.
//!
//! Whatever else is repeated is repeated by the rooms above.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use tokio_rustls::TlsConnector;

use super::answer::ResponseBody;
use super::body::{BoxError, Sent};
use super::connect::Connector;
use super::link::{Broken, Limits, Link};
use super::pool::{self, Held, Pool};
use super::proxy::{Proxies, Proxy};
use super::{failure, tls};
use crate::error::{Error, ErrorKind, Result};

/// How the client behaves. The defaults suit object stores across a wide-area network.
#[derive(Debug, Clone)]
pub struct Options {
    /// PEM file with the certificates to trust in place of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// What to show a server that asks who we are.
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy to go through.
    pub proxy: Proxy,
    /// How long a connection may take to come up: the name, all its addresses, the proxy and TLS together.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept. Amazon S3 closes after about 5 s (aws-c-s3 documents it), so we close first.
    pub idle_timeout: Duration,
    /// How long a body may stand still, or nearly so, either way.
    pub stall_timeout: Duration,
    /// How long an answer may take to begin once the request is sent; [`Patience`] changes it for one request.
    pub answer_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            client_certificate: None,
            proxy: Proxy::Environment,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(4),
            stall_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(30),
        }
    }
}

/// A certificate of ours with its private key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
}

/// How long the answer to this one request may take to begin, where a server works long before it says a word.
///
/// To be put among the extensions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(pub Duration);

/// An HTTP/1.1 client. Cloning shares the pool.
#[derive(Clone)]
pub struct Client {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
    options: Arc<Options>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Client {
    /// A client with a pool of its own. The process's environment is read here and not again.
    ///
    /// Errors: [`ErrorKind::Invalid`] when the `ca_bundle` or the client's certificate or key cannot be read or is none, or when a
    /// proxy's URL is none.
    pub fn new(options: Options) -> Result<Self> {
        Self::with_environment(options, |name| std::env::var(name).ok())
    }

    /// Like [`Client::new`], with another environment than the process's.
    pub fn with_environment(options: Options, lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let connector = Connector {
            tls: TlsConnector::from(Arc::new(tls::config(
                options.ca_bundle.as_deref(),
                options.client_certificate.as_ref(),
            )?)),
            proxies: Proxies::new(&options.proxy, lookup)?,
            timeout: options.connect_timeout,
        };
        let pool = Pool::new(options.idle_timeout);
        Ok(Self { connector: Arc::new(connector), pool: Arc::new(pool), options: Arc::new(options) })
    }

    /// Sends one request and returns when the head of the answer is there, whatever its status.
    ///
    /// Its connection is free for others once the body of the answer is read to its end or dropped.
    ///
    /// Errors: [`ErrorKind::Unavailable`] when the host cannot be reached or the connection breaks, [`ErrorKind::Timeout`] when
    /// it stands still, [`ErrorKind::Invalid`] when the server's certificate is not trusted or the head of its answer too long,
    /// [`ErrorKind::Denied`] when a proxy refuses us.
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response<ResponseBody>>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (mut head, body) = request.into_parts();
        let target = std::mem::take(&mut head.uri);
        let Some(place) = pool::place(&target) else {
            return Err(Error::new(ErrorKind::Invalid, format!("send a request to `{target}`"))
                .because("it is no `http://` or `https://` URL with a host"));
        };
        let patience = head.extensions.get::<Patience>().map_or(self.options.answer_timeout, |patience| patience.0);
        let limits = Limits { stall: self.options.stall_timeout, patience };
        let mut request = Request::from_parts(head, Sent::new(body));
        loop {
            let rested = self.pool.take(&place);
            let may_be_stale = rested.is_some();
            let mut link = match rested {
                Some(link) => link,
                None => Box::new(self.connector.open(&target).await?),
            };
            let spare = if may_be_stale { copy(&request) } else { None };
            request = match (link.exchange(request, &target, limits).await, spare) {
                (Ok(answer), _) => {
                    return accept(answer, &link, place.1.as_str())
                        .map(|answer| answer.map(|body| ResponseBody::new(body, Held::new(link, place, &self.pool))));
                }
                (Err(Broken::Unsent(request, _)), _) if may_be_stale => *request,
                (Err(Broken::Lost(error)), Some(spare)) if !error.is_parse() => spare,
                (Err(Broken::Unsent(_, error)), _) => return Err(failure::lost(place.1.as_str(), error).unreached()),
                (Err(Broken::Lost(error)), _) => return Err(failure::lost(place.1.as_str(), error)),
                (Err(Broken::Stalled(waiting)), _) => {
                    return Err(failure::stalled(place.1.as_str(), waiting, limits.of(waiting)));
                }
            };
        }
    }
}

/// A second copy of a request that may go out twice.
fn copy(request: &Request<Sent>) -> Option<Request<Sent>> {
    if !request.body().is_end_stream() || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let mut copy = Request::new(Sent::nothing());
    copy.method_mut().clone_from(request.method());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

/// Only a proxy asks for a proxy's credentials.
fn accept(answer: Response<Incoming>, link: &Link, host: &str) -> Result<Response<Incoming>> {
    match link.proxy() {
        Some(via) if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err(failure::refused(host, via, answer.status()))
        }
        _ => Ok(answer),
    }
}
