//! The metadata service of an ECS instance, which hands out the credentials of the RAM role attached to it.
//!
//! 1. A token is asked for (the "hardened mode"). A service that knows no tokens is asked without one (the "normal mode"), unless
//!    the environment forbids it.
//! 2. Unless a role was named, the service is asked which one the instance has.
//! 3. The role's credentials are fetched. They last some hours; whoever holds them comes back before they end.
//!
//! Off the cloud nothing answers there, so connecting may take a second only (Alibaba Cloud, "Instance metadata").

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use serde_json::Value;

use super::answer;
use crate::error::{Error, ErrorKind, Result};
use crate::store::credentials::Credentials;
use crate::wire;

/// The service's address on every instance.
pub(super) const USUAL: &str = "http://100.100.100.200";

/// The vendor's own SDKs wait 1 s too (credentials-go 1.4).
const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(5);

/// Six hours, as the vendor's SDKs ask for. One token serves one renewal here.
const LIFETIME: HeaderValue = HeaderValue::from_static("21600");
const LIFETIME_NAME: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token");

const ROLES: &str = "/latest/meta-data/ram/security-credentials/";

/// What may be done without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// The normal mode is used where there is no other.
    Allowed,
    /// `ALIBABA_CLOUD_IMDSV1_DISABLED` says no.
    Forbidden,
}

/// The service, as far as we know it.
#[derive(Debug)]
pub(super) struct Metadata {
    endpoint: String,
    plain: Plain,
}

impl Metadata {
    pub(super) fn new(endpoint: Option<&str>, plain: Plain) -> Self {
        Self { endpoint: endpoint.unwrap_or(USUAL).trim_end_matches('/').to_owned(), plain }
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The credentials of the role, or of the one that the instance has.
    pub(super) async fn credentials(&self, role: Option<&str>) -> Result<Credentials> {
        let options = wire::Options {
            connect_timeout: CONNECT,
            answer_timeout: ANSWER,
            stall_timeout: ANSWER,
            ..wire::Options::default()
        };
        let wire = wire::Client::new(options)?;
        let headers = self.token(&wire).await?;
        let role = match role {
            Some(role) => role.to_owned(),
            None => self.role(&wire, &headers).await?,
        };
        let doing = format!("get the credentials of the RAM role `{}` from `{}`", role.escape_debug(), self.endpoint);
        let error = |kind| Error::new(kind, doing.clone());
        if role.is_empty() || !role.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one)) {
            return Err(error(ErrorKind::Invalid).because("that is no name of a role"));
        }
        let (status, body) = self.get(&wire, &headers, &format!("{ROLES}{role}")).await?;
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(error(ErrorKind::Denied)
                    .because("no role of that name is attached to the instance")
                    .hint("attach it to the instance, or leave the role's name empty to use whichever is attached"));
            }
            status => return Err(error(answer::kind(status)).because(format!("the service answered {status}"))),
        }
        let value: Value = serde_json::from_slice(&body)
            .map_err(|_| error(ErrorKind::Invalid).because("the service's answer is no JSON"))?;
        match answer::text(&value, "Code") {
            None | Some("Success") => answer::temporary(&value, &doing),
            Some(code) => Err(error(ErrorKind::Denied).because(format!("the service answered `{code}`"))),
        }
    }

    /// The header that shows our token; none in the normal mode.
    async fn token(&self, wire: &wire::Client) -> Result<HeaderMap> {
        let doing = || format!("get a token from `{}`", self.endpoint);
        let lifetime = HeaderMap::from_iter([(LIFETIME_NAME, LIFETIME)]);
        let (status, body) = self.ask(wire, Method::PUT, &lifetime, "/latest/api/token").await?;
        match status {
            StatusCode::OK => {
                let mut token = HeaderValue::from_bytes(body.trim_ascii())
                    .map_err(|_| Error::new(ErrorKind::Invalid, doing()).because("it cannot stand in a header"))?;
                token.set_sensitive(true);
                Ok(HeaderMap::from_iter([(TOKEN, token)]))
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if self.plain == Plain::Allowed => {
                Ok(HeaderMap::new())
            }
            status => Err(Error::new(answer::kind(status), doing()).because(format!("the service answered {status}"))),
        }
    }

    async fn role(&self, wire: &wire::Client, headers: &HeaderMap) -> Result<String> {
        let error = |kind| Error::new(kind, format!("ask `{}` for the instance's RAM role", self.endpoint));
        let (status, body) = self.get(wire, headers, ROLES).await?;
        let name = String::from_utf8_lossy(&body).lines().next().unwrap_or_default().trim().to_owned();
        match status {
            StatusCode::OK if !name.is_empty() => Ok(name),
            StatusCode::OK | StatusCode::NOT_FOUND => {
                Err(error(ErrorKind::NotFound).because("no role is attached to the instance"))
            }
            status => Err(error(answer::kind(status)).because(format!("the service answered {status}"))),
        }
    }

    async fn get(&self, wire: &wire::Client, headers: &HeaderMap, path: &str) -> Result<(StatusCode, bytes::Bytes)> {
        self.ask(wire, Method::GET, headers, path).await
    }

    async fn ask(
        &self,
        wire: &wire::Client,
        method: Method,
        headers: &HeaderMap,
        path: &str,
    ) -> Result<(StatusCode, bytes::Bytes)> {
        let mut request = Request::new(wire::empty());
        *request.method_mut() = method;
        *request.headers_mut() = headers.clone();
        *request.uri_mut() = format!("{}{path}", self.endpoint).parse().map_err(|error: http::uri::InvalidUri| {
            Error::new(ErrorKind::Invalid, format!("use the metadata endpoint `{}`", self.endpoint)).from_source(error)
        })?;
        answer::ask(wire, request).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use jiff::{SignedDuration, Timestamp};

    use super::super::scripted::{Seen, Server};
    use super::*;

    /// The credentials numbered `number`, good for so long.
    fn answered(number: u32, minutes: i64) -> String {
        let end = Timestamp::now().saturating_add(SignedDuration::from_mins(minutes)).expect("in range");
        let end = end.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!(
            r#"{{"AccessKeyId":"STS.{number}","AccessKeySecret":"hunter2","Expiration":"{end}","SecurityToken":"t{number}","Code":"Success"}}"#
        )
    }

    /// An instance with the role `backup`, whose service asks for tokens.
    fn hardened(seen: &Seen) -> (u16, String) {
        match seen.line.as_str() {
            "PUT /latest/api/token" if seen.headers.contains("x-aliyun-ecs-metadata-token-ttl-seconds: 21600") => {
                (200, "the-token".to_owned())
            }
            _ if !seen.headers.contains("x-aliyun-ecs-metadata-token: the-token") => (403, String::new()),
            "GET /latest/meta-data/ram/security-credentials/" => (200, "backup\n".to_owned()),
            "GET /latest/meta-data/ram/security-credentials/backup" => (200, answered(1, 60)),
            _ => (404, "<html>".to_owned()),
        }
    }

    fn service(server: &Server) -> Metadata {
        Metadata::new(Some(&server.endpoint), Plain::Allowed)
    }

    #[tokio::test]
    async fn a_hardened_service_is_shown_its_token() {
        let server = Server::start(hardened).await;
        let found = service(&server).credentials(None).await.expect("found");
        assert_eq!(found.access_key_id.expose(), "STS.1");
        assert_eq!(found.session_token.expect("temporary").expose(), "t1");
        assert!(found.expires.expect("temporary") > Timestamp::now());
        assert_eq!(
            server.lines(),
            [
                "PUT /latest/api/token",
                "GET /latest/meta-data/ram/security-credentials/",
                "GET /latest/meta-data/ram/security-credentials/backup",
            ]
        );
        service(&server).credentials(Some("backup")).await.expect("found");
        assert_eq!(server.lines().len(), 2, "a role that is named is not asked for");
    }

    #[tokio::test]
    async fn a_service_without_tokens_is_asked_without_unless_that_is_forbidden() {
        for status in [404, 405] {
            let server = Server::start(move |seen| match seen.line.as_str() {
                "PUT /latest/api/token" => (status, String::new()),
                _ if seen.headers.contains("metadata-token") => (400, String::new()),
                _ => (200, answered(7, 60)),
            })
            .await;
            let found = service(&server).credentials(Some("backup")).await.expect("found");
            assert_eq!(found.access_key_id.expose(), "STS.7");
            let strict = Metadata::new(Some(&server.endpoint), Plain::Forbidden);
            assert!(strict.credentials(Some("backup")).await.is_err(), "{status}");
        }
        let broken = Server::start(|_| (500, String::new())).await;
        let error = service(&broken).credentials(Some("backup")).await.expect_err("no token");
        assert_eq!((error.kind(), broken.lines().len()), (ErrorKind::Unavailable, 1));
    }

    #[tokio::test]
    async fn a_role_that_is_not_attached_is_named() {
        let server = Server::start(hardened).await;
        let error = service(&server).credentials(Some("other")).await.expect_err("another role");
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.to_string().contains("`other`"), "{error}");
        server.taken();
        let error = service(&server).credentials(Some("../../user-data")).await.expect_err("no role");
        assert_eq!((error.kind(), server.lines().len()), (ErrorKind::Invalid, 1), "only the token was asked for");
    }

    #[tokio::test]
    async fn a_bad_answer_shows_none_of_its_secrets() {
        for answer in [
            r#"{"AccessKeyId":"STS.1","AccessKeySecret":"hunter2","SecurityToken":"hunter2"}"#,
            r#"{"AccessKeyId":"STS.1","AccessKeySecret":"hunter2","SecurityToken":"hunter2","Expiration":"hunter2"}"#,
            r#"{"Code":"Failed","AccessKeySecret":"hunter2"}"#,
            r#"{"AccessKeySecret":"hunter2""#,
        ] {
            let server = Server::start(move |_| (200, answer.to_owned())).await;
            let error = service(&server).credentials(Some("backup")).await.expect_err(answer);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn credentials_that_end_are_renewed_once_for_all_who_ask() {
        use crate::store::credentials::Vault;
        use crate::store::surroundings::Surroundings;
        use crate::store::{Location, Options};

        let count = AtomicU32::new(0);
        let server = Server::start(move |seen| match seen.line.as_str() {
            "PUT /latest/api/token" => (200, "the-token".to_owned()),
            _ => match count.fetch_add(1, Ordering::SeqCst) {
                // The first set ends too soon to be used twice.
                0 => (200, answered(0, 1)),
                number => (200, answered(number, 60)),
            },
        })
        .await;
        let options = Options {
            metadata_endpoint: Some(server.endpoint.clone()),
            ram_role: Some("backup".to_owned()),
            ..Options::default()
        };
        let location = Location::parse("oss://bucket/es").expect("valid");
        let wire = wire::Client::new(wire::Options::default()).expect("made");
        let (source, _) =
            super::super::credentials::source(&location, &options, &wire, Surroundings::given(&[], None)).expect("one");
        let vault = Vault::new(source);
        assert_eq!(vault.open().await.expect("found").access_key_id(), "STS.0");
        let all = futures::future::join_all((0..8).map(|_| vault.open())).await;
        for held in all {
            assert_eq!(held.expect("renewed").access_key_id(), "STS.1");
        }
        assert_eq!(server.lines().len(), 4, "a token and the credentials, twice");
    }
}
