//! Alibaba Cloud's token service: a RAM role for the OIDC token that a cluster puts into each pod (`AssumeRoleWithOIDC`).

use std::path::PathBuf;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::answer;
use crate::error::{Error, ErrorKind, Result};
use crate::store::credentials::Credentials;
use crate::store::surroundings::{Surroundings, read};
use crate::wire;

/// What a form's values encode.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What sessions are called that nobody named.
const SESSION: &str = "snapferry";

/// How long a session lasts that nobody set, and the shortest there is (Alibaba Cloud, `AssumeRoleWithOIDC`).
const SECONDS: u64 = 3600;
const FEWEST: u64 = 900;

/// A role, and the token that it is given for.
#[derive(Debug, Default)]
pub(super) struct Oidc {
    pub(super) role: String,
    pub(super) provider: String,
    pub(super) token_file: PathBuf,
    pub(super) session: Option<String>,
    /// The token service's region, if it is not the bucket's.
    pub(super) region: Option<String>,
    pub(super) seconds: Option<u64>,
}

impl Oidc {
    /// What a cluster sets for its pods; none unless it is complete.
    pub(super) fn of_environment(surroundings: &Surroundings) -> Option<Self> {
        Some(Self {
            role: surroundings.variable("ALIBABA_CLOUD_ROLE_ARN")?,
            provider: surroundings.variable("ALIBABA_CLOUD_OIDC_PROVIDER_ARN")?,
            token_file: surroundings.variable("ALIBABA_CLOUD_OIDC_TOKEN_FILE")?.into(),
            session: surroundings.variable("ALIBABA_CLOUD_ROLE_SESSION_NAME"),
            ..Self::default()
        })
    }
}

/// The token service, as far as it is configured.
#[derive(Debug)]
pub(super) struct Sts {
    pub(super) wire: wire::Client,
    /// In place of the vendor's.
    pub(super) endpoint: Option<String>,
    /// The bucket's region.
    pub(super) region: Option<String>,
}

impl Sts {
    /// Exchanges the token, as its file has it now, for credentials of the role.
    pub(super) async fn assume(&self, oidc: &Oidc, surroundings: &Surroundings) -> Result<Credentials> {
        let endpoint = self.endpoint(oidc, surroundings);
        let doing = format!("assume the role `{}` at `{endpoint}`", oidc.role);
        let error = |kind| Error::new(kind, doing.clone());
        let Some(token) = read(&oidc.token_file).await.map_err(|error| error.while_doing(doing.clone()))? else {
            return Err(error(ErrorKind::Invalid)
                .because(format!("there is no file `{}` with its OIDC token", oidc.token_file.display())));
        };
        let token = token.expose().trim();
        let time = Timestamp::now().to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let query = form(&[
            ("Action", "AssumeRoleWithOIDC"),
            ("Format", "JSON"),
            ("Timestamp", &time),
            ("Version", "2015-04-01"),
        ]);
        let body = form(&[
            ("DurationSeconds", &oidc.seconds.unwrap_or(SECONDS).max(FEWEST).to_string()),
            ("OIDCProviderArn", &oidc.provider),
            ("OIDCToken", token),
            ("RoleArn", &oidc.role),
            ("RoleSessionName", oidc.session.as_deref().unwrap_or(SESSION)),
        ]);
        let mut request = Request::new(wire::full(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{endpoint}/?{query}").parse().map_err(|source: http::uri::InvalidUri| {
            error(ErrorKind::Invalid).because("that is no address").from_source(source)
        })?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let (status, answer) =
            answer::ask(&self.wire, request).await.map_err(|error| error.while_doing(doing.clone()))?;
        let value: Value = serde_json::from_slice(&answer).unwrap_or_default();
        match value.get("Credentials") {
            Some(credentials) if status == StatusCode::OK => answer::temporary(credentials, &doing),
            _ => Err(error(answer::kind(status)).because(said(&value, token, status))),
        }
    }

    fn endpoint(&self, oidc: &Oidc, surroundings: &Surroundings) -> String {
        if let Some(endpoint) = &self.endpoint {
            let endpoint = endpoint.trim_end_matches('/');
            return if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
        }
        let configured = || surroundings.variable("ALIBABA_CLOUD_STS_REGION").or_else(|| self.region.clone());
        let vpc = if surroundings.says("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED") { "-vpc" } else { "" };
        match oidc.region.clone().or_else(configured) {
            Some(region) => format!("https://sts{vpc}.{region}.aliyuncs.com"),
            None => "https://sts.aliyuncs.com".to_owned(),
        }
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, FORM));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

/// What a refusal says of itself, unless it repeats our token.
fn said(value: &Value, token: &str, status: StatusCode) -> String {
    let code = answer::text(value, "Code").unwrap_or("no code");
    match answer::text(value, "Message").filter(|message| token.is_empty() || !message.contains(token)) {
        Some(message) => {
            format!("it answered {status}, `{code}`: {}", message.chars().take(300).collect::<String>().escape_debug())
        }
        None => format!("it answered {status}, `{code}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::Server;
    use super::*;

    const GIVEN: &str = r#"{"RequestId":"r","Credentials":{"SecurityToken":"t/+=","Expiration":"2099-01-31T12:00:00Z",
        "AccessKeySecret":"hunter2","AccessKeyId":"STS.1"}}"#;

    fn token_file(directory: &tempfile::TempDir, token: &str) -> Oidc {
        let token_file = directory.path().join("token");
        std::fs::write(&token_file, token).expect("written");
        let role = "acs:ram::1:role/backup".to_owned();
        Oidc { role, provider: "acs:ram::1:oidc-provider/ack".to_owned(), token_file, ..Oidc::default() }
    }

    fn service(endpoint: Option<&str>) -> Sts {
        let wire = wire::Client::new(wire::Options::default()).expect("made");
        Sts { wire, endpoint: endpoint.map(str::to_owned), region: None }
    }

    #[tokio::test]
    async fn the_token_of_the_moment_is_exchanged_for_the_role() {
        let server = Server::start(|_| (200, GIVEN.to_owned())).await;
        let directory = tempfile::tempdir().expect("a directory");
        let oidc = token_file(&directory, "ey.first+/=\n");
        let (sts, nowhere) = (service(Some(&server.endpoint)), Surroundings::given(&[], None));
        let found = sts.assume(&oidc, &nowhere).await.expect("given");
        assert_eq!((found.access_key_id.expose(), found.secret_access_key.expose()), ("STS.1", "hunter2"));
        assert_eq!(found.session_token.expect("temporary").expose(), "t/+=");
        assert_eq!(found.expires, Some("2099-01-31T12:00:00Z".parse().expect("a time")));
        let seen = server.taken().remove(0);
        assert!(seen.line.starts_with("POST /?Action=AssumeRoleWithOIDC&Format=JSON&Timestamp="), "{}", seen.line);
        assert!(seen.line.ends_with("&Version=2015-04-01"), "{}", seen.line);
        assert!(seen.headers.contains("content-type: application/x-www-form-urlencoded"), "{}", seen.headers);
        assert_eq!(
            seen.body,
            "DurationSeconds=3600&OIDCProviderArn=acs%3Aram%3A%3A1%3Aoidc-provider%2Fack&OIDCToken=ey.first%2B%2F%3D\
             &RoleArn=acs%3Aram%3A%3A1%3Arole%2Fbackup&RoleSessionName=snapferry"
        );
        token_file(&directory, "ey.second");
        sts.assume(&oidc, &nowhere).await.expect("given");
        assert!(server.taken()[0].body.contains("OIDCToken=ey.second&"));
    }

    #[tokio::test]
    async fn a_refusal_is_told_without_the_token() {
        let directory = tempfile::tempdir().expect("a directory");
        let oidc = token_file(&directory, "ey.hunter2");
        let nowhere = Surroundings::given(&[], None);
        for (status, body, kind) in [
            (400, r#"{"Code":"AuthenticationFail.OIDCToken.Expired","Message":"it has expired"}"#, ErrorKind::Denied),
            (
                400,
                r#"{"Code":"AuthenticationFail.OIDCToken.Expired","Message":"ey.hunter2 is bad"}"#,
                ErrorKind::Denied,
            ),
            (503, "<html>ey.hunter2", ErrorKind::Unavailable),
            (200, "{}", ErrorKind::Denied),
        ] {
            let server = Server::start(move |_| (status, body.to_owned())).await;
            let error = service(Some(&server.endpoint)).assume(&oidc, &nowhere).await.expect_err(body);
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.to_string().contains("OIDCToken.Expired"), status == 400, "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        std::fs::remove_file(&oidc.token_file).expect("removed");
        let error = service(None).assume(&oidc, &nowhere).await.expect_err("no token");
        assert!(error.to_string().contains("token"), "{error}");
    }

    #[test]
    fn the_service_of_the_region_is_used() {
        let endpoint = |sts: &Sts, oidc: &Oidc, variables: &[(&str, &str)]| {
            sts.endpoint(oidc, &Surroundings::given(variables, None))
        };
        let (mut sts, mut oidc) = (service(None), Oidc::default());
        assert_eq!(endpoint(&sts, &oidc, &[]), "https://sts.aliyuncs.com");
        sts.region = Some("cn-hangzhou".to_owned());
        assert_eq!(endpoint(&sts, &oidc, &[]), "https://sts.cn-hangzhou.aliyuncs.com");
        let inside = ("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", "true");
        let elsewhere = [inside, ("ALIBABA_CLOUD_STS_REGION", "cn-beijing")];
        assert_eq!(endpoint(&sts, &oidc, &elsewhere), "https://sts-vpc.cn-beijing.aliyuncs.com");
        oidc.region = Some("cn-shanghai".to_owned());
        assert_eq!(endpoint(&sts, &oidc, &elsewhere), "https://sts-vpc.cn-shanghai.aliyuncs.com");
        sts.endpoint = Some("sts.example.com/".to_owned());
        assert_eq!(endpoint(&sts, &oidc, &elsewhere), "https://sts.example.com");
    }
}
