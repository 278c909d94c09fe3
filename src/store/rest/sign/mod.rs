//! Signatures: what is added to a request so that the server knows who sent it. One file for each algorithm.

mod oss;
#[cfg(feature = "oss-v1")]
mod oss_v1;
mod s3;
#[cfg(test)]
mod vectors;

use std::fmt::Debug;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;

pub(in crate::store) use self::oss::OssV4;
#[cfg(feature = "oss-v1")]
pub(in crate::store) use self::oss_v1::OssV1;
pub(in crate::store) use self::s3::S3V4;
use super::encode;
use crate::error::{Error, ErrorKind, Result};
use crate::store::credentials::Held;

/// What the signature says of the body.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Payload<'a> {
    /// These bytes, possibly none.
    Bytes(&'a [u8]),
    /// A stream whose sum is not known beforehand.
    Unsigned,
    /// A stream in chunks with its checksum behind it.
    Trailer,
}

/// A request that is ready but for its signature.
#[derive(Debug)]
pub(in crate::store) struct Unsigned<'a> {
    pub(in crate::store) method: Method,
    pub(in crate::store) scheme: &'a str,
    pub(in crate::store) host: String,
    /// The path as it goes out, encoded.
    pub(in crate::store) path: String,
    /// `/bucket/key`, encoded, whatever the path is.
    pub(in crate::store) resource: String,
    /// `/bucket/key` as it is.
    #[cfg_attr(not(feature = "oss-v1"), expect(dead_code, reason = "only the older signature reads it"))]
    pub(in crate::store) plain_resource: String,
    /// Names and values, not encoded.
    pub(in crate::store) query: Vec<(&'static str, Option<String>)>,
    pub(in crate::store) headers: HeaderMap,
    pub(in crate::store) payload: Payload<'a>,
}

impl Unsigned<'_> {
    /// The query as it goes out: encoded, in the order of the names.
    pub(in crate::store) fn query_text(&self) -> String {
        let encoded =
            |(name, value): &(&str, Option<String>)| (encode::query(name), value.as_deref().map(encode::query));
        let mut pairs: Vec<_> = self.query.iter().map(encoded).collect();
        pairs.sort_unstable();
        let pair = |(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => name,
        };
        pairs.into_iter().map(pair).collect::<Vec<_>>().join("&")
    }

    /// The whole URL.
    pub(in crate::store) fn url(&self) -> String {
        let query = self.query_text();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}://{}{}{mark}{query}", self.scheme, self.host, self.path)
    }

    fn set(&mut self, name: HeaderName, value: &str) -> Result<()> {
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| unsignable().from_source(error))?;
        value.set_sensitive(name == http::header::AUTHORIZATION);
        self.headers.insert(name, value);
        Ok(())
    }
}

fn unsignable() -> Error {
    Error::new(ErrorKind::Invalid, "sign a request")
}

/// Adds a signature.
pub(in crate::store) trait Signer: Debug + Send + Sync {
    /// Signs for these credentials, this region and this time.
    fn sign(&self, request: &mut Unsigned<'_>, who: &Held, region: &str, now: Timestamp) -> Result<()>;
}

/// A header's value as text; headers may carry any bytes, of which we sign what is UTF-8.
fn text(value: &HeaderValue) -> Result<&str> {
    std::str::from_utf8(value.as_bytes()).map_err(|error| unsignable().from_source(error))
}
