//! What Alibaba Cloud's services for credentials answer: a status, and temporary credentials in JSON.
//!
//! No answer is ever repeated in an error as it came: it may hold a secret.

use bytes::Bytes;
use http::{Request, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::store::credentials::Credentials;
use crate::wire::{self, RequestBody};

/// Longer answers are no credentials.
const MOST: usize = 64 * 1024;

/// Sends a request and gathers its answer.
pub(super) async fn ask(wire: &wire::Client, request: Request<RequestBody>) -> Result<(StatusCode, Bytes)> {
    let (head, body) = wire.send(request).await?.into_parts();
    Ok((head.status, wire::collect(body, MOST).await?))
}

/// What a refusal is worth: another try, or none.
pub(super) fn kind(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Throttled,
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Denied,
    }
}

/// A text in an answer; none if it is empty.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Reads temporary credentials, which always have a token and an end.
pub(super) fn temporary(value: &Value, doing: &str) -> Result<Credentials> {
    let wrong = |what: String| Error::new(ErrorKind::Invalid, doing.to_owned()).because(what);
    let find = |name| text(value, name).ok_or_else(|| wrong(format!("the answer has no `{name}`")));
    let expires: Timestamp = find("Expiration")?
        .parse()
        .map_err(|_| wrong("the answer's `Expiration` is no time such as `2026-01-31T12:00:00Z`".to_owned()))?;
    Ok(Credentials {
        access_key_id: Secret::new(find("AccessKeyId")?),
        secret_access_key: Secret::new(find("AccessKeySecret")?),
        session_token: Some(Secret::new(find("SecurityToken")?)),
        expires: Some(expires),
    })
}
