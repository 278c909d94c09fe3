//! Checks the signatures of OSS, V1 and V4 in the header, by code that shares nothing with what it checks.
//!
//! V4: 1. the form of `Authorization`; 2. who, for which day and region; 3. the clock; 4. the signature over the request.
//! V1 has no region, and signs only the parameters that are sub-resources.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::answer::Refusal;
use super::call::{Call, encode};
use super::rules::{Rules, Stance};
use super::time;

/// Parameters that V1 signs, besides all whose names begin with `x-oss-`.
const SUB_RESOURCES: &[&str] = &[
    "acl",
    "append",
    "bucketInfo",
    "callback",
    "callback-var",
    "cloudboxes",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "group",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "qos",
    "qosInfo",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "resourceGroup",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "endTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
];

/// Refuses a request that is not signed as these rules want it.
pub(crate) fn verify(call: &Call, rules: &Rules) -> Result<(), Refusal> {
    let Some(authorization) = call.header("authorization") else {
        return Err(Refusal::new(403, "AccessDenied", "Anonymous access is forbidden for this operation."));
    };
    if let Some(rest) = authorization.strip_prefix("OSS4-HMAC-SHA256 ") {
        v4(call, rules, rest)
    } else if let Some(rest) = authorization.strip_prefix("OSS ") {
        v1(call, rules, rest)
    } else {
        Err(Refusal::argument("Authorization is of no known form"))
    }
}

fn identity(call: &Call, rules: &Rules, access_key: &str) -> Result<(), Refusal> {
    if access_key != rules.access_key {
        let message = "The OSS Access Key Id you provided does not exist in our records.";
        return Err(Refusal::new(403, "InvalidAccessKeyId", message));
    }
    match (&rules.token, call.header("x-oss-security-token")) {
        (None, None) => Ok(()),
        (Some(wanted), Some(found)) if wanted == found => Ok(()),
        (Some(_), None) => Err(Refusal::new(403, "InvalidAccessKeyId", "The temporary key comes without its token.")),
        _ => Err(Refusal::new(403, "InvalidSecurityToken", "The security token you provided is invalid.")),
    }
}

fn clock(time: Timestamp, rules: &Rules) -> Result<(), Refusal> {
    if (time.as_second() - time::now(rules.clock).as_second()).abs() > rules.skew {
        let message = "The difference between the request time and the current time is too large.";
        return Err(Refusal::new(403, "RequestTimeTooSkewed", message));
    }
    Ok(())
}

fn differs(wanted: &str, found: &str, signed: &str) -> Result<(), Refusal> {
    if wanted == found {
        return Ok(());
    }
    let message = "The request signature we calculated does not match the signature you provided. \
                   Check your key and signing method.";
    let mut refusal = Refusal::new(403, "SignatureDoesNotMatch", message);
    refusal.more = format!("<StringToSign>{}</StringToSign>", super::xml::escape(signed));
    Err(refusal)
}

/// The headers that a signature covers, sorted, each with its newline; OSS signs the bytes as they are.
fn canonical_headers(call: &Call, signed: impl Fn(&str) -> bool) -> String {
    let mut names: Vec<&str> = call.headers.keys().map(http::HeaderName::as_str).filter(|name| signed(name)).collect();
    names.sort_unstable();
    let mut text = String::new();
    for name in names {
        text.push_str(&format!("{name}:{}\n", call.header(name).unwrap_or_default()));
    }
    text
}

fn v4(call: &Call, rules: &Rules, authorization: &str) -> Result<(), Refusal> {
    let (mut credential, mut signature, mut additional) = (None, None, None);
    for field in authorization.split(',') {
        match field.trim().split_once('=') {
            Some(("Credential", value)) => credential = Some(value),
            Some(("Signature", value)) => signature = Some(value),
            // The form `AdditionalHeaders=` with nothing behind it is refused as malformed.
            Some(("AdditionalHeaders", value)) if !value.is_empty() => additional = Some(value),
            _ => return Err(Refusal::argument("Invalid Authorization header: a field that is unknown or empty")),
        }
    }
    let (Some(credential), Some(signature)) = (credential, signature) else {
        return Err(Refusal::argument("Invalid Authorization header: a field is missing"));
    };
    let scope: Vec<&str> = credential.split('/').collect();
    let [access_key, day, region, product, request] = scope[..] else {
        return Err(Refusal::argument("Invalid credential in Authorization header"));
    };
    if product != "oss" || request != "aliyun_v4_request" {
        return Err(Refusal::argument("Invalid signing product or request version in Authorization header"));
    }
    if region != rules.region {
        return Err(Refusal::argument(format!("Invalid signing region in Authorization header: `{region}`")));
    }
    identity(call, rules, access_key)?;
    let date = call.header("x-oss-date").ok_or_else(|| Refusal::new(403, "AccessDenied", "x-oss-date is missing"))?;
    let time = time::read_basic(date).ok_or_else(|| Refusal::new(403, "AccessDenied", "x-oss-date is no date"))?;
    if !date.starts_with(day) || day.len() != 8 {
        return Err(Refusal::argument("Invalid signing date in Authorization header"));
    }
    if call.header("x-oss-content-sha256") != Some("UNSIGNED-PAYLOAD") {
        return Err(Refusal::argument("x-oss-content-sha256 has to be UNSIGNED-PAYLOAD"));
    }
    clock(time, rules)?;
    let additional: Vec<&str> = additional.map(|names| names.split(';').collect()).unwrap_or_default();
    if !additional.is_sorted() || additional.iter().any(|name| call.header(name).is_none() || implied(name)) {
        return Err(Refusal::argument("Invalid AdditionalHeaders in Authorization header"));
    }
    let (wanted, signed) = sign_v4(call, rules, date, &additional);
    differs(&wanted, signature, &signed)
}

/// The signature of a request, and what was signed, in both its forms.
pub(crate) fn sign_v4(call: &Call, rules: &Rules, date: &str, additional: &[&str]) -> (String, String) {
    let canonical = canonical_request(call, additional);
    let hash = hex(&Sha256::digest(canonical.as_bytes()));
    let (day, request) = (&date[..8], "aliyun_v4_request");
    let signed = format!("OSS4-HMAC-SHA256\n{date}\n{day}/{}/oss/{request}\n{hash}", rules.region);
    let mut key = format!("aliyun_v4{}", rules.secret_key).into_bytes();
    for step in [day, &rules.region, "oss", request, &signed] {
        key = hmac_sha256(&key, step.as_bytes());
    }
    (hex(&key), format!("{signed}\n\n{canonical}"))
}

fn implied(name: &str) -> bool {
    name.starts_with("x-oss-") || name == "content-type" || name == "content-md5"
}

fn canonical_request(call: &Call, additional: &[&str]) -> String {
    let resource = match (&call.bucket, &call.key) {
        (None, _) => "/".to_owned(),
        (Some(bucket), key) => format!("/{bucket}/{}", key.as_deref().unwrap_or_default()),
    };
    let mut query: Vec<(String, String)> = call.query.iter().map(|(name, value)| pair(name, value.as_ref())).collect();
    query.sort();
    let query = query.iter().map(|(name, value)| {
        // A parameter without a value has no equals sign.
        if value.is_empty() { name.clone() } else { format!("{name}={value}") }
    });
    let query = query.collect::<Vec<_>>().join("&");
    let headers = canonical_headers(call, |name| implied(name) || additional.contains(&name));
    let resource = encode(&resource, "/");
    format!("{}\n{resource}\n{query}\n{headers}\n{}\nUNSIGNED-PAYLOAD", call.method, additional.join(";"))
}

fn pair(name: &str, value: Option<&String>) -> (String, String) {
    (encode(name, ""), encode(value.map_or("", String::as_str), ""))
}

fn v1(call: &Call, rules: &Rules, authorization: &str) -> Result<(), Refusal> {
    if rules.v1_signature != Stance::Honoured {
        return Err(Refusal::argument("V1 signature refused: the bucket takes signature version 4 only."));
    }
    let Some((access_key, signature)) = authorization.split_once(':') else {
        return Err(Refusal::argument("Authorization is not `OSS key:signature`"));
    };
    identity(call, rules, access_key)?;
    let date = call.header("x-oss-date").or(call.header("date"));
    let date = date.ok_or_else(|| Refusal::new(403, "AccessDenied", "The Date header is missing."))?;
    let time = time::read_http(date).or_else(|| time::read_basic(date));
    clock(time.ok_or_else(|| Refusal::new(403, "AccessDenied", "The Date header is no date."))?, rules)?;
    let mut resource = match (&call.bucket, &call.key) {
        (None, _) => "/".to_owned(),
        (Some(bucket), key) => format!("/{bucket}/{}", key.as_deref().unwrap_or_default()),
    };
    let signs = |name: &str| SUB_RESOURCES.contains(&name) || name.starts_with("x-oss-");
    let mut query: Vec<_> = call.query.iter().filter(|(name, _)| signs(name)).collect();
    query.sort();
    for (number, (name, value)) in query.into_iter().enumerate() {
        resource.push(if number == 0 { '?' } else { '&' });
        resource.push_str(name);
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            resource.push('=');
            resource.push_str(value);
        }
    }
    let signed = format!(
        "{}\n{}\n{}\n{date}\n{}{resource}",
        call.method,
        call.header("content-md5").unwrap_or_default(),
        call.header("content-type").unwrap_or_default(),
        canonical_headers(call, |name| name.starts_with("x-oss-")),
    );
    let mut mac = Hmac::<Sha1>::new_from_slice(rules.secret_key.as_bytes()).expect("any length is a key");
    mac.update(signed.as_bytes());
    differs(&STANDARD.encode(mac.finalize().into_bytes()), signature, &signed)
}

/// HMAC-SHA-256.
pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
