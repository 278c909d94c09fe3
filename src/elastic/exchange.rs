//! One request out, one answer back: headers, the bounded body, and what a failure tells about the request's fate.
//!
//! 1. Send. A connection that never came up has delivered nothing; one that broke afterwards may have delivered everything.
//! 2. Read the body, at most [`LARGEST`] of it.
//! 3. A success is JSON or nothing; a page for people is never parsed, whatever its status.
//! 4. A refusal is decoded by `failure`.
//!
//! It repeats nothing; `client` does.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT, WARNING};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use serde_json::Value;

use super::auth::Auth;
use super::failure::{Failure, is_html};
use super::request::Request;
use crate::error::{Error, ErrorKind, Result};
use crate::wire;

/// An answer longer than this is refused: a listing of ten thousand snapshots takes a tenth of it.
const LARGEST: usize = 64 * 1024 * 1024;

/// What is known about a request that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It did nothing, and asking again makes sense.
    NotDone,
    /// It may have been done; the answer is lost.
    Unknown,
    /// It was refused for good.
    Refused,
}

/// A request that did not succeed.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: Error,
    /// What the server said, if it said something.
    pub(super) failure: Option<Failure>,
    pub(super) fate: Fate,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl Refusal {
    /// Our own verdict on an answer that said 200.
    pub(super) fn verdict(error: Error) -> Self {
        Self { error, failure: None, fate: Fate::Refused }
    }
}

/// The way to one cluster.
#[derive(Debug)]
pub(super) struct Connection {
    /// Scheme, authority and the proxy's path, without a slash at the end.
    base: String,
    auth: Auth,
    header: Option<HeaderValue>,
    wire: wire::Client,
}

impl Connection {
    pub(super) fn new(url: &str, auth: Auth, wire: wire::Client) -> Result<Self> {
        let header = auth.header()?;
        Ok(Self { base: base(url)?, auth, header, wire })
    }

    /// The cluster's address, for messages.
    pub(super) fn place(&self) -> &str {
        &self.base
    }

    /// Sends once.
    pub(super) async fn send(&self, request: &Request) -> Result<Value, Refusal> {
        let doing = || format!("{} on `{}`", request.doing, self.base);
        let outgoing = self.outgoing(request).map_err(Refusal::verdict)?;
        let answer = self.wire.send(outgoing).await.map_err(|error| broken(error, doing()))?;
        let (head, body) = answer.into_parts();
        note_deprecations(&head.headers);
        let body = read(body, LARGEST).await.map_err(|error| broken(error, doing()))?;
        if head.status.is_success() {
            return self.parse(&body, doing);
        }
        let mut failure = Failure::read(head.status, &body);
        failure.reason = self.auth.redact(failure.reason);
        failure.deepest = failure.deepest.map(|text| self.auth.redact(text));
        let fate = match (failure.is_refused_for_now(), failure.is_transient()) {
            (true, _) => Fate::NotDone,
            (false, true) => Fate::Unknown,
            _ => Fate::Refused,
        };
        let mut error = failure.clone().into_error(doing());
        if let Some(wait) = retry_after(&head.headers) {
            error = error.after(wait);
        }
        Err(Refusal { error, failure: Some(failure), fate })
    }

    fn outgoing(&self, request: &Request) -> Result<http::Request<wire::RequestBody>> {
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(format!("{}{}", self.base, request.target()))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("snapferry/", env!("CARGO_PKG_VERSION")));
        if let Some(header) = &self.header {
            builder = builder.header(AUTHORIZATION, header);
        }
        let built = match &request.body {
            Some(body) => builder.header(CONTENT_TYPE, "application/json").body(wire::full(body.clone())),
            None => builder.body(wire::empty()),
        };
        built.map_err(|error| {
            Error::new(ErrorKind::Internal, format!("{} on `{}`", request.doing, self.base)).from_source(error)
        })
    }

    /// A success that cannot be read leaves the request's fate open.
    fn parse(&self, body: &Bytes, doing: impl Fn() -> String) -> Result<Value, Refusal> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        let odd = |cause: String| Refusal {
            error: Error::new(ErrorKind::Invalid, doing())
                .because(cause)
                .hint("check that the address is the cluster's own and not a proxy's login page"),
            failure: None,
            fate: Fate::Unknown,
        };
        if is_html(body) {
            return Err(odd("the answer is an HTML page, not JSON".into()));
        }
        serde_json::from_slice(body).map_err(|error| odd(self.auth.redact(format!("the answer is not JSON: {error}"))))
    }
}

/// The address as we use it; refuses what could leak or mislead.
fn base(url: &str) -> Result<String> {
    let wrong = |shown: &str, cause: &'static str| {
        Error::new(ErrorKind::Invalid, format!("use `{shown}` as a cluster's address"))
            .because(cause)
            .hint("write `https://host:port`, with the user and password or API key beside it")
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong(url, "it has no scheme"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((_, host)) = authority.rsplit_once('@') {
        return Err(wrong(&format!("{scheme}://…@{host}"), "an address holds no user and no password"));
    }
    if !matches!(scheme, "http" | "https") {
        return Err(wrong(url, "its scheme is neither `http` nor `https`"));
    }
    if authority.is_empty() {
        return Err(wrong(url, "it names no host"));
    }
    if rest.contains(['?', '#']) {
        return Err(wrong(&format!("{scheme}://{authority}/…"), "an address has no query and no fragment"));
    }
    let base = url.trim_end_matches('/').to_owned();
    match base.parse::<http::Uri>() {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(base),
        _ => Err(wrong(url, "it is no URL")),
    }
}

/// A failure below HTTP. One that is not worth another try (an untrusted certificate) was also never delivered.
fn broken(error: Error, doing: String) -> Refusal {
    let transient = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
    let fate = match (transient, error.never_sent()) {
        (false, _) => Fate::Refused,
        (true, true) => Fate::NotDone,
        (true, false) => Fate::Unknown,
    };
    Refusal { error: error.while_doing(doing), failure: None, fate }
}

/// The whole body, or an error once it exceeds `largest`.
async fn read<B>(mut body: B, largest: usize) -> Result<Bytes>
where
    B: Body<Data = Bytes, Error = Error> + Unpin,
{
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if bytes.len() + data.len() > largest {
                return Err(Error::new(ErrorKind::Unsupported, "read the answer")
                    .because(format!("it is longer than {} MiB", largest / (1024 * 1024))));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// How long the server wants us to wait, in seconds; the form with a date is not used by these servers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// `Warning: 299` is how deprecations arrive: of interest to whoever debugs us, not to the user.
fn note_deprecations(headers: &HeaderMap) {
    for warning in headers.get_all(WARNING) {
        tracing::debug!(?warning, "the cluster warns");
    }
}

/// What a status line alone says, for answers inside documents.
pub(super) fn status_of(document: &Value) -> StatusCode {
    let number = document["status"].as_u64().and_then(|number| u16::try_from(number).ok());
    number.and_then(|number| StatusCode::from_u16(number).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[test]
    fn a_password_in_the_address_is_refused_and_not_shown() {
        let error = base("https://elastic:geheim@host:9200").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.to_string().contains("geheim"), "{error}");
    }

    #[test]
    fn an_address_is_a_scheme_a_host_and_perhaps_a_path() {
        assert_eq!(base("http://host:9200/").unwrap(), "http://host:9200");
        assert_eq!(base("https://proxy/es/").unwrap(), "https://proxy/es");
        for wrong in ["host:9200", "ftp://host", "http://host?a=b", "http://", "http://a b"] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let body = Full::new(Bytes::from_static(b"0123456789")).map_err(|never| match never {});
        let error = read(body, 9).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
