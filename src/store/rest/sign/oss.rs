//! OSS Signature Version 4 (Alibaba Cloud, "Include a V4 signature in the Authorization header"; checked against the vendor's SDKs).
//!
//! The body is never hashed: it is always `UNSIGNED-PAYLOAD`. The key of a day is derived once.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderName;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Signer, Unsigned, text};
use crate::error::Result;
use crate::store::credentials::Held;

/// Signs with the newer algorithm, for every bucket and account.
#[derive(Default)]
pub(in crate::store) struct OssV4 {
    /// The last key derived, with the scope and the access key it is for.
    key: Mutex<Option<(String, Zeroizing<Vec<u8>>)>>,
}

impl std::fmt::Debug for OssV4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OssV4")
    }
}

const HASH: HeaderName = HeaderName::from_static("x-oss-content-sha256");
const DATE: HeaderName = HeaderName::from_static("x-oss-date");
const TOKEN: HeaderName = HeaderName::from_static("x-oss-security-token");
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

impl Signer for OssV4 {
    fn sign(&self, request: &mut Unsigned<'_>, who: &Held, region: &str, now: Timestamp) -> Result<()> {
        let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = &time[..8];
        request.set(HASH, UNSIGNED)?;
        request.set(DATE, &time)?;
        if let Some(token) = who.token() {
            request.set(TOKEN, token)?;
        }
        let canonical = canonical(request)?;
        let scope = format!("{day}/{region}/oss/aliyun_v4_request");
        let text = format!("OSS4-HMAC-SHA256\n{time}\n{scope}\n{}", hexadecimal(&Sha256::digest(canonical.as_bytes())));
        let signature = hexadecimal(&hmac(&self.key(who, &scope, day, region), text.as_bytes()));
        let value = format!("OSS4-HMAC-SHA256 Credential={}/{scope},Signature={signature}", who.access_key_id());
        request.set(AUTHORIZATION, &value)
    }
}

impl OssV4 {
    fn key(&self, who: &Held, scope: &str, day: &str, region: &str) -> Zeroizing<Vec<u8>> {
        let mut held = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = format!("{}/{scope}", who.access_key_id());
        match held.as_ref() {
            Some((known, key)) if *known == wanted => key.clone(),
            _ => {
                let secret = Zeroizing::new(format!("aliyun_v4{}", who.secret()));
                let steps = [day, region, "oss", "aliyun_v4_request"];
                let key = steps.iter().fold(Zeroizing::new(secret.as_bytes().to_vec()), |key, step| {
                    Zeroizing::new(hmac(&key, step.as_bytes()))
                });
                *held = Some((wanted, key.clone()));
                key
            }
        }
    }
}

/// The canonical request: method, resource, query, the headers that are always signed, no further header, the payload's hash.
fn canonical(request: &Unsigned<'_>) -> Result<String> {
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for (name, value) in &request.headers {
        let name = name.as_str();
        if name.starts_with("x-oss-") || matches!(name, "content-type" | "content-md5") {
            headers.push((name, text(value)?.trim()));
        }
    }
    headers.sort_unstable();
    let mut all = format!("{}\n{}\n{}\n", request.method, request.resource, request.query_text());
    for (name, value) in headers {
        writeln!(all, "{name}:{value}").expect("a string takes everything");
    }
    all.push_str("\n\n");
    all.push_str(UNSIGNED);
    Ok(all)
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length of key will do");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
