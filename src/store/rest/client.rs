//! Sending a request: put together, signed, sent, its status judged.
//!
//! No request is repeated here because it failed; what is repeated, once, is a request that the server refused before it looked at
//! it, for a reason that its answer lets us put right: our clock, the bucket's region, credentials that have run out.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use jiff::{SignedDuration, Timestamp};

use super::dialect::Dialect;
use super::failure::{self, Said};
use super::outgoing::{Content, Outgoing};
use super::profile::{Learnt, Profile, Provider};
use super::sign::{Payload, Signer, Unsigned};
use super::site::{Site, host_of, is_region};
use super::{encode, xml};
use crate::error::{Error, ErrorKind, Result};
use crate::store::credentials::{Held, Vault};
use crate::store::meter::Exchange;
use crate::store::{Location, Meter, RequestKind};
use crate::wire::{self, ResponseBody};

/// What a store says of itself on every request.
const AGENT: &str = concat!("snapferry/", env!("CARGO_PKG_VERSION"));

/// A location at a server, and everything that is needed to speak to it.
#[derive(Debug)]
pub(in crate::store) struct Client {
    pub(in crate::store) wire: wire::Client,
    pub(in crate::store) location: Location,
    pub(in crate::store) dialect: Dialect,
    pub(in crate::store) profile: Profile,
    pub(in crate::store) signer: Box<dyn Signer>,
    pub(in crate::store) vault: Vault,
    pub(in crate::store) headers: super::Fixed,
    pub(in crate::store) meter: Arc<Meter>,
    pub(super) site: RwLock<Arc<Site>>,
    pub(super) learnt: Learnt,
    /// What to add to our clock, in seconds.
    pub(super) skew: AtomicI64,
}

/// An answer to a write that has nothing to say but may say that it failed: with status 200 too.
const SHORT: usize = 64 * 1024;

/// A request to be made.
pub(super) struct Call<'a> {
    pub(super) kind: RequestKind,
    /// "get", "put": completes "cannot … `key` in `s3://…`".
    pub(super) doing: &'static str,
    pub(super) method: Method,
    /// Relative to the location; none for a request about the bucket.
    pub(super) key: Option<&'a str>,
    pub(super) query: Vec<(&'static str, Option<String>)>,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
    /// How long the server may work before it answers, if that is longer than usual.
    pub(super) patience: Option<Duration>,
}

/// How long a server may take to put parts together or to copy an object: it has to touch every byte.
const WORK: Duration = Duration::from_mins(10);

impl<'a> Call<'a> {
    pub(super) fn new(kind: RequestKind, doing: &'static str, method: Method, key: Option<&'a str>) -> Self {
        Self {
            kind,
            doing,
            method,
            key,
            query: Vec::new(),
            headers: HeaderMap::new(),
            content: Content::Empty,
            patience: None,
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, Some(value.into())));
        self
    }

    /// The server has work to do before it answers.
    pub(super) fn patient(mut self) -> Self {
        self.patience = Some(WORK);
        self
    }

    pub(super) fn flag(mut self, name: &'static str) -> Self {
        self.query.push((name, None));
        self
    }
}

/// A clock that is off by more is not put right by us: a person should know.
const MOST_SKEW: i64 = 26 * 3600;

impl Client {
    /// "get `key` in `s3://bucket/prefix`".
    pub(super) fn sentence(&self, doing: &str, key: Option<&str>) -> String {
        match key {
            Some(key) => format!("{doing} `{}` in `{}`", key.escape_debug(), self.location),
            None => format!("{doing} `{}`", self.location),
        }
    }

    pub(super) fn error(&self, kind: ErrorKind, doing: &str, key: Option<&str>) -> Error {
        Error::new(kind, self.sentence(doing, key))
    }

    pub(super) fn site(&self) -> Arc<Site> {
        self.site.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> Timestamp {
        let skew = SignedDuration::from_secs(self.skew.load(Ordering::Relaxed));
        Timestamp::now().saturating_add(skew).unwrap_or(Timestamp::MAX)
    }

    /// Sends the request and gives the answer if its status says success.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Response<ResponseBody>> {
        let Call { kind, doing, method, key, query, headers, mut content, patience } = call;
        // Each of the three corrections is made at most once.
        for _ in 0..4 {
            let who = self.vault.open().await.map_err(|error| error.while_doing(self.sentence(doing, key)))?;
            let again = match &content {
                Content::Empty => Some(Content::Empty),
                Content::Document(bytes) => Some(Content::Document(bytes.clone())),
                Content::Stream(_) | Content::Trailed(_) => None,
            };
            let mut request = self.request(&method, key, &query, &headers, content, &who)?;
            if let Some(patience) = patience {
                request.extensions_mut().insert(wire::Patience(patience));
            }
            let response =
                self.exchange(kind, request).await.map_err(|error| error.while_doing(self.sentence(doing, key)))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let said = self.said(response, &who).await;
            if !self.corrected(&said, &who).await? {
                return Err(failure::error(self, &self.sentence(doing, key), &said));
            }
            let Some(next) = again else {
                // The body is spent: whoever has it sends the request again.
                return Err(self
                    .error(ErrorKind::Unavailable, doing, key)
                    .because("the server refused it for a reason that was put right: trying again")
                    .after(Duration::ZERO));
            };
            content = next;
        }
        Err(self
            .error(ErrorKind::Denied, doing, key)
            .because("the server keeps refusing the signature, whatever we put right"))
    }

    /// Reads what an answer to a write says beside its headers: nothing, or an error that came with the status of a success.
    pub(super) async fn concluded(
        &self,
        doing: &str,
        key: &str,
        response: Response<ResponseBody>,
    ) -> Result<HeaderMap> {
        let (head, body) = response.into_parts();
        if http_body::Body::is_end_stream(&body) {
            return Ok(head.headers);
        }
        let sentence = || self.sentence(doing, Some(key));
        let text = wire::collect(body, SHORT).await.map_err(|error| error.while_doing(sentence()))?;
        let document = xml::error(&text);
        if document.code.is_empty() {
            return Ok(head.headers);
        }
        let who = self.vault.open().await?;
        let document = xml::ErrorDocument {
            code: presentable(&document.code, &who),
            message: presentable(&document.message, &who),
            ..document
        };
        Err(failure::within(self, &sentence(), document))
    }

    fn request(
        &self,
        method: &Method,
        key: Option<&str>,
        query: &[(&'static str, Option<String>)],
        headers: &HeaderMap,
        content: Content,
        who: &Held,
    ) -> Result<Request<Outgoing>> {
        let site = self.site();
        let full = key.map(|key| self.location.full_key(key)).unwrap_or_default();
        let encoded = encode::path(&full);
        let payload = match &content {
            Content::Empty => Payload::Bytes(&[]),
            Content::Document(bytes) => Payload::Bytes(bytes),
            Content::Stream(_) => Payload::Unsigned,
            Content::Trailed(_) => Payload::Trailer,
        };
        let mut headers = headers.clone();
        self.headers.every(self.dialect, &mut headers);
        let mut unsigned = Unsigned {
            method: method.clone(),
            scheme: &site.scheme,
            host: site.named(),
            path: site.path(key.map(|_| encoded.as_str())),
            resource: format!("/{}/{encoded}", site.bucket),
            plain_resource: format!("/{}/{full}", site.bucket),
            query: query.to_vec(),
            headers,
            payload,
        };
        self.signer.sign(&mut unsigned, who, &site.region, self.now())?;
        let url = unsigned.url();
        let host = HeaderValue::from_str(&unsigned.host).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("use the host `{}`", unsigned.host)).from_source(error)
        })?;
        let mut headers = unsigned.headers;
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let body = Outgoing::new(content);
        if body.length > 0 || matches!(*method, Method::PUT | Method::POST) {
            headers.insert(CONTENT_LENGTH, body.length.into());
        }
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = url.parse().map_err(|error: http::uri::InvalidUri| {
            Error::new(ErrorKind::Unsupported, format!("send a request for `{}`", full.escape_debug()))
                .because("its name makes the address too long or malformed")
                .from_source(error)
        })?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    async fn exchange(&self, kind: RequestKind, request: Request<Outgoing>) -> Result<Response<ResponseBody>> {
        let (sent, begun) = (request.body().length, Instant::now());
        let answer = self.wire.send(request).await;
        let (status, came) = match &answer {
            Ok(response) => {
                (response.status().as_u16(), http_body::Body::size_hint(response.body()).exact().unwrap_or(0))
            }
            Err(_) => (0, 0),
        };
        self.meter.record(&Exchange { kind, status, bytes: sent + came, time: begun.elapsed() });
        answer
    }

    /// Reads what a refusal says.
    async fn said(&self, response: Response<ResponseBody>, who: &Held) -> Said {
        let (head, body) = response.into_parts();
        let text = wire::collect(body, 64 * 1024).await.unwrap_or_default();
        let mut document = xml::error(&text);
        document.region = document.region.filter(|region| is_region(region));
        for said in [&mut document.code, &mut document.message] {
            *said = presentable(said, who);
        }
        Said { status: head.status.as_u16(), headers: head.headers, document }
    }

    /// Puts right what the refusal is about, if it is one of the three things that can be. Whether it was.
    async fn corrected(&self, said: &Said, who: &Arc<Held>) -> Result<bool> {
        match said.code() {
            "RequestTimeTooSkewed" => Ok(self.set_clock(said)),
            "ExpiredToken" | "TokenRefreshRequired" | "SecurityTokenExpired" | "InvalidSecurityToken.Expired" => {
                self.vault.renew(who).await
            }
            _ if said.status == 301 || said.status == 307 || said.document.region.is_some() || said.status == 400 => {
                Ok(self.move_to(said))
            }
            _ => Ok(false),
        }
    }

    fn set_clock(&self, said: &Said) -> bool {
        let Some(theirs) = said.date() else { return false };
        let skew = theirs.as_second() - Timestamp::now().as_second();
        let before = self.skew.swap(skew, Ordering::Relaxed);
        let off = skew.abs() <= MOST_SKEW && (skew - before).abs() > 60;
        if off {
            tracing::warn!(seconds = skew, server = %self.site().shown(), "this machine's clock and the server's differ; signing with the server's time");
        }
        off
    }

    /// Follows the bucket to its region, and to no other provider.
    fn move_to(&self, said: &Said) -> bool {
        let site = self.site();
        let region = said.header("x-amz-bucket-region").map(str::to_owned).or_else(|| said.document.region.clone());
        // It becomes part of a host's name: what is no region would lead a signed request elsewhere.
        let region = region.filter(|region| is_region(region));
        let mut next = Site::clone(&site);
        if let Some(region) = region {
            if self.profile.provider == Provider::Aws
                && host_of(&site.authority).contains(&format!(".{}.", site.region))
            {
                next.authority = site.authority.replace(&format!(".{}.", site.region), &format!(".{region}."));
            }
            next.region = region;
        } else if let Some(host) = said.elsewhere() {
            if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':')) {
                return false;
            }
            let bare = host.strip_prefix(&format!("{}.", site.bucket)).unwrap_or(&host).to_owned();
            let same = self
                .profile
                .provider
                .suffixes()
                .iter()
                .any(|suffix| host_of(&bare).ends_with(suffix) && host_of(&site.authority).ends_with(suffix));
            if !same {
                return false;
            }
            if let (Dialect::Oss, Some(region)) = (self.dialect, crate::store::oss::region_of(&bare)) {
                next.region = region;
            }
            next.authority = bare;
        }
        if next == *site {
            return false;
        }
        tracing::info!(region = %next.region, server = %next.shown(), bucket = %next.bucket, "the bucket is in another region: going there");
        *self.site.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        true
    }
}

/// What a server said, fit to be shown: some repeat what they were sent, and some send what a terminal would obey.
fn presentable(text: &str, who: &Held) -> String {
    let mut text = text.to_owned();
    for secret in [Some(who.secret()), who.token()].into_iter().flatten().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[secret]");
    }
    if let Some((before, _)) = text.split_once("Signature=") {
        text = format!("{before}Signature=[secret]");
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
