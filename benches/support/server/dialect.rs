//! In which of the two dialects a client speaks, and what differs in the answers: names of headers, and the checksum stated.
//!
//! The server needs no setting for it: a request of OSS is signed as one, so the tools that know only S3 can speak to the same
//! server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::reply::Refusal;
use super::to_header;
use super::uploads::Received;

/// S3's header for a CRC-64/NVME.
const NVME: HeaderName = HeaderName::from_static("x-amz-checksum-crc64nvme");

/// OSS's header for its checksum of a whole object or of a part.
const ECMA: HeaderName = HeaderName::from_static("x-oss-hash-crc64ecma");

/// The headers beside metadata that an object keeps.
const KEPT: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CACHE_CONTROL];

/// S3's protocol or Alibaba Cloud OSS's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    S3,
    Oss,
}

impl Dialect {
    /// By the signature.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let is_oss = headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"OSS"));
        if is_oss { Self::Oss } else { Self::S3 }
    }

    /// The smallest part that it takes, the last one apart.
    pub(super) fn smallest_part(self) -> u64 {
        match self {
            Self::S3 => 5 * 1024 * 1024,
            Self::Oss => 100 * 1024,
        }
    }

    /// What an object keeps of the request that made it, beside its bytes.
    pub(super) fn kept(self, headers: &HeaderMap) -> HeaderMap {
        let prefix = if self == Self::Oss { "x-oss-meta-" } else { "x-amz-meta-" };
        let is_kept = |name: &HeaderName| name.as_str().starts_with(prefix) || KEPT.contains(name);
        let kept = headers.iter().filter(|(name, value)| is_kept(name) && value.as_bytes() != b"aws-chunked");
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Adds what this dialect states of a body that arrived: OSS its own checksum, S3 the one that the client sent.
    pub(super) fn state(self, received: &Received, headers: &mut HeaderMap) {
        match (self, received.stated) {
            (Self::Oss, _) => {
                self.state_ecma(received.ecma, headers);
                headers.insert("x-oss-request-id", HeaderValue::from_static("0"));
            }
            (Self::S3, true) => {
                headers.insert(NVME, to_header(&BASE64.encode(received.checksum.to_be_bytes())));
            }
            (Self::S3, false) => {}
        }
    }

    /// Adds OSS's checksum.
    pub(super) fn state_ecma(self, ecma: u64, headers: &mut HeaderMap) {
        if self == Self::Oss {
            headers.insert(ECMA, HeaderValue::from(ecma));
        }
    }
}

/// The CRC-64/NVME that a client states in front of a body.
pub(super) fn stated(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    headers.get(NVME).map(|value| decode(value.as_bytes())).transpose()
}

/// The CRC-64/NVME that stands in the trailer behind a body; none if the trailer has none.
pub(super) fn trailed(trailer: &[u8]) -> Result<Option<u64>, Refusal> {
    let lines = trailer.split(|&byte| byte == b'\n');
    let mut values = lines.filter_map(|line| line.strip_prefix(NVME.as_str().as_bytes())?.strip_prefix(b":"));
    values.next().map(|value| decode(value.trim_ascii())).transpose()
}

fn decode(text: &[u8]) -> Result<u64, Refusal> {
    let bytes = BASE64.decode(text).map_err(|_| Refusal::InvalidArgument)?;
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| Refusal::InvalidArgument)
}
