//! Amazon's Signature Version 4 for the service `es`, as domains of Amazon OpenSearch Service want it.
//!
//! Unlike for S3 the path is encoded once more before it is signed, so `,` and `*` in it count; `aws-sigv4` does so from the very
//! text that goes into the request line. Where the keys come from is the caller's: this room knows no profile and no role.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::failure::Failure;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// An access key with its secret, and the token of temporary ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The access key's id.
    pub access_key_id: Secret,
    /// What is signed with.
    pub secret_access_key: Secret,
    /// The token of temporary keys.
    pub session_token: Option<Secret>,
}

/// Where keys come from: the configuration, the environment, a role. Held and renewed by whoever implements it.
#[async_trait]
pub trait KeySource: Debug + Send + Sync {
    /// Keys that are good now.
    async fn keys(&self) -> Result<Keys>;

    /// Fetches again, because the server says that `refused` have expired. Whether there are others now.
    async fn renew(&self, refused: &Keys) -> Result<bool>;

    /// The region that goes with them, where the environment or a profile names one.
    async fn region(&self) -> Result<Option<String>>;
}

/// How to sign for a domain.
#[derive(Debug, Clone)]
pub struct Aws {
    /// The domain's region; asked of `source` if left out.
    pub region: Option<String>,
    /// Where the keys come from.
    pub source: Arc<dyn KeySource>,
}

/// A clock that is off by more is not put right by us: a person should know.
const MOST_SKEW: i64 = 24 * 3600;

/// Signs the requests to one cluster.
#[derive(Debug)]
pub(super) struct Signer {
    aws: Aws,
    region: OnceCell<String>,
    /// How many seconds the server's clock is ahead of ours, as far as it said.
    skew: AtomicI64,
}

impl Signer {
    pub(super) fn new(aws: Aws) -> Self {
        Self { aws, region: OnceCell::new(), skew: AtomicI64::new(0) }
    }

    pub(super) async fn keys(&self) -> Result<Keys> {
        self.aws.source.keys().await
    }

    /// The headers that sign this request.
    pub(super) async fn sign(
        &self,
        keys: &Keys,
        request: &http::request::Builder,
        body: &[u8],
    ) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let region = self.region.get_or_try_init(|| self.find_region()).await?;
        let now = Timestamp::now().saturating_add(jiff::SignedDuration::from_secs(self.skew.load(Ordering::Relaxed)));
        let (method, uri) = match (request.method_ref(), request.uri_ref()) {
            (Some(method), Some(uri)) => (method.as_str(), uri),
            _ => return Err(unsignable().because("it has no method or address")),
        };
        signature(keys, region, now.unwrap_or(Timestamp::MAX), (method, uri, body))
    }

    async fn find_region(&self) -> Result<String> {
        if let Some(region) = &self.aws.region {
            return Ok(region.clone());
        }
        self.aws.source.region().await?.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "sign for the domain")
                .because("no region is known for it, and its host names none")
                .hint("set `region` in `[elastic.<name>]`, `AWS_REGION`, or a profile with a region")
        })
    }

    /// Puts right what the refusal is about, if it is the age of the keys or the clock. Whether it was.
    pub(super) async fn corrected(&self, failure: &Failure, headers: &HeaderMap, keys: &Keys) -> Result<bool> {
        if !matches!(failure.status.as_u16(), 400 | 401 | 403) {
            return Ok(false);
        }
        let said = failure.reason.to_ascii_lowercase();
        if said.contains("signature expired") || said.contains("signature not yet current") {
            return Ok(self.set_clock(headers));
        }
        if said.contains("token") && said.contains("expired") || said.contains("expiredtoken") {
            return self.aws.source.renew(keys).await;
        }
        Ok(false)
    }

    fn set_clock(&self, headers: &HeaderMap) -> bool {
        let theirs = headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(http_date);
        let Some(theirs) = theirs else { return false };
        let skew = theirs.as_second() - Timestamp::now().as_second();
        let before = self.skew.swap(skew, Ordering::Relaxed);
        let off = skew.abs() <= MOST_SKEW && (skew - before).abs() > 60;
        if off {
            tracing::warn!(
                seconds = skew,
                "this machine's clock and the cluster's differ; signing with the cluster's time"
            );
        }
        off
    }
}

/// A time as HTTP writes it: `Sat, 21 Nov 2026 12:34:56 GMT`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

fn unsignable() -> Error {
    Error::new(ErrorKind::Invalid, "sign a request")
}

/// Host, date, token and the body's hash are signed; everything else may be changed by a proxy on the way.
fn signature(
    keys: &Keys,
    region: &str,
    now: Timestamp,
    (method, uri, body): (&str, &http::Uri, &[u8]),
) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Double;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Enabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
    let (id, secret) = (keys.access_key_id.expose(), keys.secret_access_key.expose());
    let identity = Credentials::new(id, secret, token, None, "snapferry").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("es")
        .time(SystemTime::from(now))
        .settings(settings)
        .build()
        .map_err(|error| unsignable().from_source(error))?;
    let address = uri.to_string();
    let host = host_header(uri);
    let signable =
        SignableRequest::new(method, address, [("host", host.as_str())].into_iter(), SignableBody::Bytes(body))
            .map_err(|error| unsignable().from_source(error))?;
    let (instructions, _) =
        sign(signable, &params.into()).map_err(|error| unsignable().from_source(error))?.into_parts();
    let mut signed = Vec::new();
    for header in instructions.into_parts().0 {
        let mut value = HeaderValue::from_str(header.value()).map_err(|error| unsignable().from_source(error))?;
        value.set_sensitive(header.sensitive() || header.name() == "authorization");
        signed.push((HeaderName::from_static(header.name()), value));
    }
    Ok(signed)
}

/// The `Host` that `wire` sends: with the port unless it is the scheme's own.
fn host_header(uri: &http::Uri) -> String {
    let host = uri.host().unwrap_or_default();
    match (uri.port_u16(), uri.scheme_str()) {
        (None, _) | (Some(80), Some("http")) | (Some(443), Some("https")) => host.to_owned(),
        (Some(port), _) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(token: Option<&str>, method: &str, uri: &str, body: &[u8]) -> String {
        let keys = Keys {
            access_key_id: Secret::new("AKIDEXAMPLE"),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(Secret::new),
        };
        let now: Timestamp = "2026-11-21T12:34:56Z".parse().unwrap();
        let headers = signature(&keys, "eu-west-1", now, (method, &uri.parse().unwrap(), body)).unwrap();
        let (_, value) = headers.iter().find(|(name, _)| name == "authorization").unwrap();
        assert!(value.is_sensitive());
        value.to_str().unwrap().rsplit_once("Signature=").unwrap().1.to_owned()
    }

    const DOMAIN: &str = "https://search-m-x.eu-west-1.es.amazonaws.com";

    /// Golden values of botocore's `SigV4Auth(credentials, "es", "eu-west-1")`, with `X-Amz-Content-SHA256` among the headers.
    #[test]
    fn the_signature_is_that_of_botocore() {
        let restore = &br#"{"indices":["movies"]}"#[..];
        let cases = [
            (None, "GET", "/", &b""[..], "b50827c4de745a28c4f1c3a9223847d179a7bc8e0866f5dbf83d48a00df87200"),
            (
                None,
                "GET",
                "/a%2Cb%2A/_count?filter_path=a.%2A%2Cb&x=y",
                b"",
                "5ce56559bd168fb46df4850a7bedc713b5845b37f51b0e02ad08a124eae237b6",
            ),
            (
                Some("TOKEN/+="),
                "GET",
                "/_snapshot/a%2Cb%2A%C3%A4/_all?verbose=false",
                b"",
                "f12a809fab1ef79886b4214f7ea658451d8aecfe4bc3d7ada6da83356c9d2e8d",
            ),
            (
                Some("TOKEN/+="),
                "POST",
                "/_snapshot/r/s/_restore?wait_for_completion=false",
                restore,
                "a1a1246ec3cee57e99f2d5b0ec3b7c0f09dd42c2860e2f5673a34f1482e2a1ca",
            ),
        ];
        for (token, method, target, body, golden) in cases {
            assert_eq!(signed(token, method, &format!("{DOMAIN}{target}"), body), golden, "{target}");
        }
    }
}
