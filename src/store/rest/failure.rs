//! What a refusal means: the kind, the words and the hint, from the error code first and the status after it.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use super::answer;
use super::client::Client;
use super::site::is_region;
use super::xml::ErrorDocument;
use crate::error::{Error, ErrorKind};

/// A refusal: its status, its headers and what its document says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) document: ErrorDocument,
}

impl Said {
    /// The error's code; a request for a head alone has it in a header at OSS and nowhere at S3.
    pub(super) fn code(&self) -> &str {
        if self.document.code.is_empty() {
            self.header("x-oss-ec-code").unwrap_or_default()
        } else {
            &self.document.code
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The server's clock.
    pub(super) fn date(&self) -> Option<Timestamp> {
        let stated = self.document.server_time.as_deref().and_then(|text| text.parse().ok());
        stated.or_else(|| answer::http_date(self.header("date")?))
    }

    /// The host that it sends us to.
    pub(super) fn elsewhere(&self) -> Option<String> {
        let location = self.header("location").and_then(|text| text.parse::<http::Uri>().ok());
        let host = location.and_then(|uri| uri.authority().map(ToString::to_string));
        host.or_else(|| self.document.endpoint.clone()).filter(|host| !host.is_empty())
    }

    /// How long it asks us to wait: S3 in seconds, OSS in milliseconds.
    fn wait(&self) -> Option<Duration> {
        let number = |name| self.header(name).and_then(|text| text.parse::<u64>().ok());
        let seconds = number("retry-after").map(Duration::from_secs);
        let asked = number("x-oss-qos-delay-time").map(Duration::from_millis).or(seconds)?;
        Some(asked.min(Duration::from_mins(1)))
    }
}

/// The error for a refusal.
pub(super) fn error(client: &Client, sentence: &str, said: &Said) -> Error {
    let (code, message) = (said.code(), said.document.message.replace('\n', " "));
    let text = match (code, message.as_str()) {
        ("", _) => format!("the server answered {}", said.status),
        (code, "") => code.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    let (kind, cause, hint) = Meaning { client }.meaning(said, code, &text);
    let mut error = Error::new(kind, sentence.to_owned()).because(cause);
    if let Some(hint) = hint {
        error = error.hint(hint);
    } else if code.is_empty() && (300..500).contains(&said.status) && said.status != 404 && said.status != 412 {
        let hint = format!(
            "the answer names no {} error: check that `endpoint` is the store's and not a console's or a proxy's",
            client.dialect.named()
        );
        error = error.hint(hint);
    }
    match said.wait() {
        Some(wait) => error.after(wait),
        None => error,
    }
}

struct Meaning<'a> {
    client: &'a Client,
}

impl Meaning<'_> {
    fn meaning(&self, answer: &Said, code: &str, said: &str) -> (ErrorKind, String, Option<String>) {
        let bucket = self.client.location.bucket();
        let place = self.client.site().shown();
        let stated = answer.header("x-amz-bucket-region").filter(|region| is_region(region));
        let region = stated.map(str::to_owned).or_else(|| answer.document.region.clone());
        let status = answer.status;
        let with = |kind, cause: String, hint: &str| (kind, cause, Some(hint.to_owned()));
        match code {
            "NoSuchBucket" => with(
                ErrorKind::NotFound,
                format!("there is no bucket `{bucket}` at {place}"),
                "check the bucket's name and the endpoint; snapferry makes no buckets",
            ),
            "NoSuchKey" | "NotFound" | "NoSuchUpload" => (ErrorKind::NotFound, said.to_owned(), None),
            "InvalidAccessKeyId" => with(
                ErrorKind::Denied,
                format!("{place} does not know this access key ({said})"),
                "check `access_key_id`, and that it belongs to this endpoint",
            ),
            "SignatureDoesNotMatch" => with(
                ErrorKind::Denied,
                format!("the secret does not belong to the access key ({said})"),
                "check `secret_access_key` for a missing or extra character",
            ),
            "RequestTimeTooSkewed" | "RequestExpired" => with(
                ErrorKind::Denied,
                format!("this machine's clock and the server's differ by too much ({said})"),
                "set the clock of this machine; 15 minutes are allowed",
            ),
            "ExpiredToken"
            | "SecurityTokenExpired"
            | "InvalidSecurityToken.Expired"
            | "InvalidSecurityToken"
            | "TokenRefreshRequired"
            | "InvalidToken" => with(
                ErrorKind::Denied,
                format!("the session token is no longer good ({said})"),
                "get new temporary credentials and run again",
            ),
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => with(
                ErrorKind::Denied,
                format!("the credentials do not allow it ({said})"),
                "a source needs to list and get; a target also to put and to abort uploads",
            ),
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "InvalidRegion"
            | "SecondLevelDomainForbidden" => {
                let right = region.map_or_else(String::new, |region| format!(" `{region}`"));
                (
                    ErrorKind::Invalid,
                    format!("the bucket is in another region ({said})"),
                    Some(format!("set `region` of the store to the bucket's region{right}")),
                )
            }
            "InvalidObjectState" | "ObjectArchived" => with(
                ErrorKind::Unsupported,
                format!("the object is archived ({said})"),
                "restore it from its archive storage class first",
            ),
            "FileAlreadyExists" => {
                (ErrorKind::AlreadyExists, "an object of that name is there already".to_owned(), None)
            }
            "PreconditionFailed" => (ErrorKind::Precondition, "the object has changed meanwhile".to_owned(), None),
            "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "RequestLimitExceeded"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "QpsLimitExceeded"
            | "DownloadTrafficRateLimitExceeded"
            | "UploadTrafficRateLimitExceeded"
            | "TotalQpsLimitExceeded" => (ErrorKind::Throttled, said.to_owned(), None),
            "BadDigest" | "InvalidDigest" | "InvalidPart" | "IncompleteBody" | "XAmzContentSHA256Mismatch" => {
                (ErrorKind::Corrupt, said.to_owned(), None)
            }
            "RequestTimeout" => (ErrorKind::Timeout, said.to_owned(), None),
            "QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" => {
                with(ErrorKind::Unsupported, format!("the target is full ({said})"), "make room and run again")
            }
            "EntityTooLarge"
            | "KeyTooLongError"
            | "InvalidArgument"
            | "InvalidBucketName"
            | "NotImplemented"
            | "MethodNotAllowed"
            | "XMinioInvalidObjectName" => (ErrorKind::Unsupported, said.to_owned(), None),
            _ => Self::by_status(status, said, region),
        }
    }

    fn by_status(status: u16, said: &str, region: Option<String>) -> (ErrorKind, String, Option<String>) {
        let kind = match status {
            301 | 307 | 308 => {
                let hint = match region {
                    Some(region) => format!("set `region` of the store to `{region}`"),
                    None => "check `endpoint` and `region`".to_owned(),
                };
                return (ErrorKind::Invalid, format!("the server sends us elsewhere ({said})"), Some(hint));
            }
            401 | 403 => {
                let hint = "check the credentials and what they allow".to_owned();
                return (ErrorKind::Denied, said.to_owned(), Some(hint));
            }
            404 => ErrorKind::NotFound,
            408 => ErrorKind::Timeout,
            412 | 409 => ErrorKind::Precondition,
            429 | 503 => ErrorKind::Throttled,
            507 => ErrorKind::Unsupported,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        (kind, said.to_owned(), None)
    }
}

/// The error for an error document that came with status 200: the server had begun to answer too early, and may do better next time.
pub(super) fn within(client: &Client, sentence: &str, document: ErrorDocument) -> Error {
    error(client, sentence, &Said { status: 500, headers: HeaderMap::new(), document })
}
