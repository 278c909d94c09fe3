//! OSS Signature Version 1 (Alibaba Cloud, "Include a V1 signature in the Authorization header"), by `aliyun-oss-rust-sdk`.
//!
//! Only that crate's signing function is used, never its requests (docs/adr/0006-oss-signatures.md). It signs wrongly what it puts
//! together itself, so it is handed everything put together:
//!
//! 1. It signs every parameter of a query, where OSS signs a list of them, and writes an empty one as `name=`. It gets no
//!    parameters; the ones that count stand behind the key.
//! 2. With two headers of OSS it leaves out the line break behind them. It gets one header, whose value has the others in it.

use aliyun_oss_rust_sdk::auth::AuthAPI as _;
use aliyun_oss_rust_sdk::oss::OSS;
use aliyun_oss_rust_sdk::request::{RequestBuilder, RequestType};
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE};
use http::{HeaderName, Method};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Signer, Unsigned, text, unsignable};
use crate::error::Result;
use crate::store::credentials::Held;

/// Signs with the older algorithm, which knows no region.
#[derive(Debug)]
pub(in crate::store) struct OssV1;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const TOKEN: HeaderName = HeaderName::from_static("x-oss-security-token");

/// The parameters that are part of the resource, with all that begin with `response-` or `x-oss-` (the vendor's Python SDK 2.19.1).
const SIGNED: [&str; 26] = [
    "acl",
    "append",
    "bucketInfo",
    "callback",
    "callback-var",
    "cloudboxes",
    "continuation-token",
    "delete",
    "encryption",
    "lifecycle",
    "location",
    "objectMeta",
    "partNumber",
    "position",
    "regionList",
    "restore",
    "security-token",
    "sequential",
    "stat",
    "symlink",
    "tagging",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
];

impl Signer for OssV1 {
    fn sign(&self, request: &mut Unsigned<'_>, who: &Held, _region: &str, now: Timestamp) -> Result<()> {
        let date = now.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        request.set(DATE, &date)?;
        if let Some(token) = who.token() {
            request.set(TOKEN, token)?;
        }
        let mut build = RequestBuilder::new();
        build.method = match request.method {
            Method::GET => RequestType::Get,
            Method::PUT => RequestType::Put,
            Method::POST => RequestType::Post,
            Method::DELETE => RequestType::Delete,
            Method::HEAD => RequestType::Head,
            _ => return Err(unsignable().because(format!("OSS has no method {}", request.method))),
        };
        build.headers.insert(DATE.to_string(), date);
        let plain = |name| request.headers.get(name).map(text).transpose().map(|value| value.map(str::to_owned));
        build.content_type = plain(CONTENT_TYPE)?;
        build.content_md5 = plain(CONTENT_MD5)?;
        build.oss_headers.extend(header_block(request)?);
        let whole = request.plain_resource.strip_prefix('/').unwrap_or(&request.plain_resource);
        let (bucket, key) = whole.find('/').map_or((whole, ""), |slash| whole.split_at(slash));
        let signer = OSS::new(who.access_key_id(), who.secret(), "", bucket);
        let value = signer.oss_sign(format!("{key}{}", signed_query(request)), &build);
        request.set(AUTHORIZATION, &value)
    }
}

/// All headers of OSS as one: the first one's name, and a value that has the others on lines of their own.
fn header_block(request: &Unsigned<'_>) -> Result<Option<(String, String)>> {
    let mut headers = Vec::new();
    for (name, value) in &request.headers {
        if name.as_str().starts_with("x-oss-") {
            headers.push((name.as_str(), text(value)?.trim()));
        }
    }
    headers.sort_unstable();
    let mut lines = headers.into_iter();
    let Some((first, value)) = lines.next() else { return Ok(None) };
    let block = lines.fold(value.to_owned(), |block, (name, value)| format!("{block}\n{name}:{value}"));
    Ok(Some((first.to_owned(), block)))
}

/// The parameters that are part of the resource, not encoded, with their question mark.
fn signed_query(request: &Unsigned<'_>) -> String {
    let mut signed: Vec<_> = request
        .query
        .iter()
        .filter(|(name, _)| SIGNED.contains(name) || name.starts_with("response-") || name.starts_with("x-oss-"))
        .collect();
    signed.sort_unstable();
    let mut text = String::new();
    for (name, value) in signed {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}
