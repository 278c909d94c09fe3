//! One request out, one answer back: headers, the bounded body, and what a failure tells about the request's fate.
//!
//! 1. Choose a node that is known to belong to the cluster (`nodes`), and sign if the cluster wants it (`sign`).
//! 2. Send. A connection that never came up has delivered nothing; one that broke afterwards may have delivered everything.
//! 3. Read the body, at most [`LARGEST`] of it.
//! 4. A success is JSON or nothing; a page for people is never parsed, whatever its status.
//! 5. A refusal is decoded by `failure`.
//!
//! It repeats nothing that may have arrived; `client` does. A stale signature is refused before anything is done, so that one it does repeat.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::Value;

use super::about::{is_silent_build, uuid};
use super::auth::Auth;
use super::failure::{Failure, is_html};
use super::nodes::{Membership, Nodes};
use super::request::Request;
use super::service::aws_region;
use super::sign::{Aws, Keys, Signer, http_date};
use super::warning::Warnings;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Reporter;
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

    /// Whether another node is the better one to ask next: this one cannot be reached, or lacks what makes it part of a cluster.
    fn suspects_the_node(&self) -> bool {
        match &self.failure {
            Some(failure) => matches!(failure.status.as_u16(), 502..=504),
            None => matches!(self.error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout),
        }
    }
}

/// The way to one cluster.
#[derive(Debug)]
pub(super) struct Connection {
    nodes: Nodes,
    auth: Auth,
    header: Option<HeaderValue>,
    signer: Option<Signer>,
    wire: wire::Client,
    warnings: Warnings,
}

impl Connection {
    pub(super) fn new(url: &str, auth: Auth, wire: wire::Client, reporter: Arc<dyn Reporter>) -> Result<Self> {
        let header = auth.header()?;
        let signer = match &auth {
            Auth::Aws(aws) => {
                Some(Signer::new(Aws { region: aws.region.clone().or_else(|| aws_region(url)), ..aws.clone() }))
            }
            _ => None,
        };
        Ok(Self { nodes: Nodes::read(url)?, auth, header, signer, wire, warnings: Warnings::new(reporter) })
    }

    /// The cluster's address, the first if there are several, for messages.
    pub(super) fn place(&self) -> &str {
        &self.nodes.get(0).base
    }

    /// Sends once, to the first node that can be reached. Only a request that certainly did not arrive goes to a second one.
    pub(super) async fn send(&self, request: &Request) -> Result<Value, Refusal> {
        let mut last = None;
        for number in self.nodes.order() {
            let refusal = match self.send_to(number, request).await {
                Ok(answer) => {
                    self.nodes.prefer(number);
                    return Ok(answer);
                }
                Err(refusal) => refusal,
            };
            if refusal.suspects_the_node() {
                self.nodes.set_aside(number);
            }
            if refusal.fate != Fate::NotDone || refusal.failure.is_some() {
                return Err(refusal);
            }
            tracing::debug!(error = %refusal.error, node = self.nodes.get(number).base, "the node is set aside");
            last.get_or_insert(refusal);
        }
        let none = || Refusal::verdict(Error::new(ErrorKind::Internal, "choose a node"));
        Err(last.unwrap_or_else(none))
    }

    /// Sends to this node, once it is known to belong to the cluster.
    async fn send_to(&self, number: usize, request: &Request) -> Result<Value, Refusal> {
        let base = &self.nodes.get(number).base;
        if !self.nodes.is_known(number) {
            // Whatever this meets, the request itself has not been sent.
            let unsent = |refusal: Refusal| Refusal {
                fate: if refusal.fate == Fate::Unknown { Fate::NotDone } else { refusal.fate },
                ..refusal
            };
            let membership = self.membership(base).await.map_err(unsent)?;
            self.nodes.acquaint(number, &membership).map_err(Refusal::verdict)?;
        }
        self.exchange(base, request).await
    }

    /// Which cluster the node belongs to.
    async fn membership(&self, base: &str) -> Result<Membership, Refusal> {
        let doing = "ask which cluster the node belongs to";
        let answer = match self.exchange(base, &Request::get(doing, &[])).await {
            // Builds that do not answer at `/` tell it with the state.
            Err(refusal) if is_silent_build(&refusal) => {
                let state = Request::get(doing, &["_cluster", "state", "version"]);
                self.exchange(base, &state.query("filter_path", "cluster_name,cluster_uuid")).await?
            }
            answered => answered?,
        };
        let name = answer["cluster_name"].as_str().unwrap_or_default().to_owned();
        Ok(Membership { name, uuid: uuid(&answer) })
    }

    /// One request to one node, signed if the cluster wants it. What makes a signature stale is put right once.
    async fn exchange(&self, base: &str, request: &Request) -> Result<Value, Refusal> {
        let Some(signer) = &self.signer else {
            return self.attempt(base, request, None).await.map_err(|(refusal, _)| refusal);
        };
        let mut corrected = false;
        loop {
            let keys = signer.keys().await.map_err(Refusal::verdict)?;
            let (refusal, headers) = match self.attempt(base, request, Some((signer, &keys))).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            let Some(failure) = refusal.failure.as_ref().filter(|_| !corrected) else { return Err(refusal) };
            corrected = signer.corrected(failure, &headers, &keys).await.map_err(Refusal::verdict)?;
            if !corrected {
                return Err(refusal);
            }
        }
    }

    async fn attempt(
        &self,
        base: &str,
        request: &Request,
        signed: Option<(&Signer, &Keys)>,
    ) -> Result<Value, (Refusal, HeaderMap)> {
        let doing = || format!("{} on `{base}`", request.doing);
        let early = |refusal: Refusal| (refusal, HeaderMap::new());
        let keys = signed.map(|(_, keys)| keys);
        let clean = |text: String| self.auth.redact(text, keys);
        let outgoing = self.outgoing(base, request, signed).await.map_err(|error| early(Refusal::verdict(error)))?;
        let answer = self.wire.send(outgoing).await.map_err(|error| early(broken(error, doing())))?;
        let (head, body) = answer.into_parts();
        self.warnings.hear(&head.headers, base, clean);
        let body = read(body, LARGEST).await.map_err(|error| early(broken(error, doing())))?;
        if head.status.is_success() {
            return Self::parse(&body, doing).map_err(early);
        }
        let mut failure = Failure::read(head.status, &body);
        failure.reason = clean(failure.reason);
        failure.deepest = failure.deepest.map(clean);
        failure.parts.schemes = schemes(&head.headers);
        failure.parts.whole = clean(std::mem::take(&mut failure.parts.whole));
        for text in &mut failure.parts.suppressed {
            *text = clean(std::mem::take(text));
        }
        let fate = match (failure.is_refused_for_now(), failure.is_transient()) {
            (true, _) => Fate::NotDone,
            (false, true) => Fate::Unknown,
            _ => Fate::Refused,
        };
        let mut error = failure.clone().into_error(doing());
        if let Some(wait) = retry_after(&head.headers) {
            error = error.after(wait);
        }
        Err((Refusal { error, failure: Some(failure), fate }, head.headers))
    }

    async fn outgoing(
        &self,
        base: &str,
        request: &Request,
        signed: Option<(&Signer, &Keys)>,
    ) -> Result<http::Request<wire::RequestBody>> {
        let target = if signed.is_some() { request.signed_target() } else { request.target() };
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(format!("{base}{target}"))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("snapferry/", env!("CARGO_PKG_VERSION")));
        if let Some(header) = &self.header {
            builder = builder.header(AUTHORIZATION, header);
        }
        if let Some((signer, keys)) = signed {
            let body = request.body.as_deref().unwrap_or_default();
            for (name, value) in signer.sign(keys, &builder, body).await? {
                builder = builder.header(name, value);
            }
        }
        let built = match &request.body {
            Some(body) => builder.header(CONTENT_TYPE, "application/json").body(wire::full(body.clone())),
            None => builder.body(wire::empty()),
        };
        built.map_err(|error| {
            Error::new(ErrorKind::Internal, format!("{} on `{base}`", request.doing)).from_source(error)
        })
    }

    /// A success that cannot be read leaves the request's fate open.
    fn parse(body: &Bytes, doing: impl Fn() -> String) -> Result<Value, Refusal> {
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
        serde_json::from_slice(body).map_err(|error| odd(format!("the answer is not JSON: {error}")))
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

/// How long the server wants us to wait: seconds, or, from some gateways, a time.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = http_date(text)?.duration_since(Timestamp::now());
    Some(wait.try_into().unwrap_or_default())
}

/// The first words of `WWW-Authenticate`, each once. What follows them is for browsers.
fn schemes(headers: &HeaderMap) -> Vec<String> {
    let mut schemes = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let scheme = value.to_str().ok().and_then(|text| text.split([' ', ',']).next()).unwrap_or_default();
        let is_word = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_word && !schemes.iter().any(|known| known == scheme) {
            schemes.push(scheme.to_owned());
        }
    }
    schemes
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

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let body = Full::new(Bytes::from_static(b"0123456789")).map_err(|never| match never {});
        let error = read(body, 9).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
