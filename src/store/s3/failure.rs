//! What an S3 error means: the kind, the words and the hint, from the error code first and the status after it.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::error::{Error, ErrorKind, chain};
use crate::store::Location;

/// What was being done, for every error that comes of it.
pub(super) struct Context<'a> {
    pub(super) doing: &'static str,
    pub(super) key: Option<String>,
    pub(super) location: &'a Location,
    pub(super) endpoint: Option<&'a str>,
}

impl Context<'_> {
    /// "get `key` from `s3://bucket/prefix`".
    pub(super) fn sentence(&self) -> String {
        match &self.key {
            Some(key) => format!("{} `{key}` in `{}`", self.doing, self.location),
            None => format!("{} `{}`", self.doing, self.location),
        }
    }

    pub(super) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.sentence())
    }

    /// Reads an error of the SDK.
    pub(super) fn failure<E>(&self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + StdError + Debug + Send + Sync + 'static,
    {
        match error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                self.answered(service.raw(), meta.code(), meta.message())
            }
            // Not parsed: an HTML page of a proxy, XML that is none, or a stream that broke.
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                match ours(error) {
                    Some(inner) => inner.duplicate().while_doing(self.sentence()),
                    None if status < 300 => self
                        .error(ErrorKind::Corrupt)
                        .because(format!("the answer (status {status}) is not what S3 sends: {}", chain(error)))
                        .hint("check that `endpoint` is the S3 endpoint and not a console or a proxy"),
                    None => self.answered(response.raw(), None, None),
                }
            }
            _ => self.unanswered(error),
        }
    }

    fn unanswered<E>(&self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: StdError + Send + Sync + 'static,
    {
        if let Some(inner) = ours(error) {
            return inner.duplicate().while_doing(self.sentence());
        }
        let text = chain(error);
        if text.contains("credential") {
            return self
                .error(ErrorKind::Denied)
                .because(format!("no credentials were found: {text}"))
                .hint("set `access_key_id` and `secret_access_key` for the store, or what AWS's own tools read: environment, profile, role");
        }
        self.error(ErrorKind::Unavailable).because(text)
    }

    fn answered(&self, response: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Error {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).map(ToOwned::to_owned);
        let said = match (code, message) {
            (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {}", message.replace('\n', " ")),
            (Some(code), _) => code.to_owned(),
            (None, _) => format!("the server answered {status}"),
        };
        let (kind, cause, hint) = self.meaning(status, code.unwrap_or_default(), &said, header("x-amz-bucket-region"));
        let mut error = self.error(kind).because(cause);
        if let Some(hint) = hint {
            error = error.hint(hint);
        } else if code.is_none() && (300..500).contains(&status) && status != 404 {
            error = error.hint(
                "the answer names no S3 error: check that `endpoint` is an S3 endpoint and not a console or a proxy",
            );
        }
        match header("retry-after").and_then(|text| text.parse::<u64>().ok()) {
            Some(seconds) => error.after(Duration::from_secs(seconds.min(60))),
            None => error,
        }
    }

    fn meaning(
        &self,
        status: u16,
        code: &str,
        said: &str,
        region: Option<String>,
    ) -> (ErrorKind, String, Option<String>) {
        let bucket = self.location.bucket();
        let place = self.endpoint.unwrap_or("Amazon S3");
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
                "set the clock of this machine; S3 allows 15 minutes",
            ),
            "ExpiredToken" | "TokenRefreshRequired" | "InvalidToken" => with(
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
            | "InvalidRegion" => {
                let right = region.map_or_else(String::new, |region| format!(" `{region}`"));
                (
                    ErrorKind::Invalid,
                    format!("the bucket is in another region ({said})"),
                    Some(format!("set `region` of the store to the bucket's region{right}")),
                )
            }
            "InvalidObjectState" => with(
                ErrorKind::Unsupported,
                format!("the object is archived ({said})"),
                "restore it from its archive storage class first",
            ),
            "PreconditionFailed" => (ErrorKind::Precondition, "the object has changed meanwhile".to_owned(), None),
            "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "RequestLimitExceeded"
            | "SlowDownRead"
            | "SlowDownWrite" => (ErrorKind::Throttled, said.to_owned(), None),
            "BadDigest" | "InvalidDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch" => {
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

/// A failure in the middle of an answer's body.
pub(super) fn body(error: &(dyn StdError + 'static), sentence: &str) -> Error {
    if let Some(inner) = find(error) {
        return inner.duplicate().while_doing(sentence.to_owned());
    }
    let text = chain(error);
    let kind = if text.contains("checksum") { ErrorKind::Corrupt } else { ErrorKind::Unavailable };
    Error::new(kind, sentence.to_owned()).because(text)
}

/// Our own error inside the SDK's.
fn ours<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    find(error)
}

fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<Error>() {
            return Some(found);
        }
        next = current.source();
    }
    None
}
