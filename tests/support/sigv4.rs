//! Signature Version 4 as a domain checks it: written down from Amazon's description, with `hmac` and `sha2` and nothing of snapferry's.
//!
//! The path is taken as it came and encoded once more, the query decoded and encoded anew; only what `SignedHeaders` names counts.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Reply;

/// A domain of Amazon's, with the keys that it takes.
#[derive(Debug, Clone)]
pub(crate) struct Domain {
    pub(crate) region: &'static str,
    pub(crate) access_key_id: &'static str,
    pub(crate) secret_access_key: &'static str,
    /// The token that is good; any other has expired.
    pub(crate) session_token: Option<&'static str>,
    /// How far its clock is ahead, in seconds.
    pub(crate) ahead: i64,
}

impl Domain {
    /// One in Ireland with the usual example keys.
    pub(crate) fn new() -> Self {
        Self {
            region: "eu-west-1",
            access_key_id: "AKIDEXAMPLE",
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            session_token: None,
            ahead: 0,
        }
    }

    /// The gateway's refusal of a request, if it refuses it.
    pub(crate) fn check(&self, head: &Parts, body: &[u8]) -> Option<Reply> {
        let refuse = |message: String| Some(Reply::Json(403, json!({ "message": message })).with("date", &self.date()));
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(authorization) = header("authorization").strip_prefix("AWS4-HMAC-SHA256 ") else {
            return refuse("Missing Authentication Token".to_owned());
        };
        let part = |name: &str| {
            let found = authorization.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default().to_owned()
        };
        let time = header("x-amz-date");
        let day = time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/es/aws4_request", self.region);
        if part("Credential") != format!("{}/{scope}", self.access_key_id) {
            return refuse("The security token included in the request is invalid.".to_owned());
        }
        if self.session_token.is_some_and(|token| header("x-amz-security-token") != token) {
            return refuse("The security token included in the request is expired".to_owned());
        }
        let sent = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).expect("the form of x-amz-date");
        let sent = sent.to_zoned(jiff::tz::TimeZone::UTC).expect("UTC has no gaps").timestamp();
        if (self.now().as_second() - sent.as_second()).abs() > 300 {
            return refuse(format!("Signature expired: {time} is now earlier than {} (5 min.)", self.date()));
        }
        let signed = part("SignedHeaders");
        for needed in ["host", "x-amz-date", "x-amz-content-sha256"] {
            if !signed.split(';').any(|name| name == needed) {
                return refuse(format!("'{needed}' must be a signed header"));
            }
        }
        if header("x-amz-content-sha256") != hex(&Sha256::digest(body)) {
            return refuse("The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned());
        }
        let canonical = Self::canonical(head, &signed, body);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(&canonical)));
        if part("Signature") != hex(&mac(&self.key(day), text.as_bytes())) {
            return refuse(format!(
                "The request signature we calculated does not match the signature you provided. {canonical}"
            ));
        }
        None
    }

    fn canonical(head: &Parts, signed: &str, body: &[u8]) -> String {
        let mut query: Vec<(String, String)> = head
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (encode(&decode(name), ""), encode(&decode(value), "")))
            .collect();
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = String::new();
        for name in signed.split(';') {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            writeln!(headers, "{name}:{}", value.trim()).expect("a String takes everything");
        }
        let path = encode(head.uri.path().as_bytes(), "/");
        format!("{}\n{path}\n{}\n{headers}\n{signed}\n{}", head.method, query.join("&"), hex(&Sha256::digest(body)))
    }

    fn key(&self, day: &str) -> Vec<u8> {
        let first = mac(format!("AWS4{}", self.secret_access_key).as_bytes(), day.as_bytes());
        ["es", "aws4_request"].iter().fold(mac(&first, self.region.as_bytes()), |key, part| mac(&key, part.as_bytes()))
    }

    fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(SignedDuration::from_secs(self.ahead)).expect("in range")
    }

    fn date(&self) -> String {
        self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

fn decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

fn encode(bytes: &[u8], safe: &str) -> String {
    let mut text = String::new();
    for byte in bytes {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || safe.as_bytes().contains(byte);
        if plain { text.push(char::from(*byte)) } else { text.push_str(&format!("%{byte:02X}")) }
    }
    text
}
