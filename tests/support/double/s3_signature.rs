//! Checks Signature Version 4 of S3 in the header, by code that shares nothing with what it checks.
//!
//! What is signed of the body is checked where the body is read (`upload.rs`).

use sha2::{Digest, Sha256};

use super::answer::Refusal;
use super::call::{Call, encode};
use super::oss_signature::{hex, hmac_sha256};
use super::rules::{Rules, WrongRegion};
use super::time;

/// Refuses a request that is not signed as these rules want it.
pub(crate) fn verify(call: &Call, rules: &Rules) -> Result<(), Refusal> {
    let denied = |message: &str| Refusal::new(403, "AccessDenied", message);
    let malformed = |message: &str| Refusal::new(400, "AuthorizationHeaderMalformed", message);
    let authorization = call.header("authorization").ok_or_else(|| denied("Access Denied"))?;
    let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Err(Refusal::argument("Authorization is of no known form"));
    };
    let field = |name: &str| {
        let found = fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        found.ok_or_else(|| malformed("a field of Authorization is missing"))
    };
    let (credential, names, signature) = (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
    let scope: Vec<&str> = credential.split('/').collect();
    let [access_key, day, region, "s3", "aws4_request"] = scope[..] else {
        return Err(malformed("the credential is malformed"));
    };
    if access_key != rules.access_key {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        return Err(Refusal::new(403, "InvalidAccessKeyId", message));
    }
    if region != rules.region {
        return Err(wrong_region(rules, region));
    }
    match (&rules.token, call.header("x-amz-security-token")) {
        (None, None) => {}
        (Some(wanted), Some(found)) if wanted == found => {}
        (Some(_), None) => return Err(Refusal::new(403, "InvalidAccessKeyId", "the temporary key has no token")),
        _ => return Err(Refusal::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")),
    }
    let date = call.header("x-amz-date").ok_or_else(|| denied("x-amz-date is missing"))?;
    let moment = time::read_basic(date).filter(|_| date.starts_with(day) && day.len() == 8);
    let moment = moment.ok_or_else(|| denied("x-amz-date is no date, or not the credential's"))?;
    if (moment.as_second() - time::now(rules.clock).as_second()).abs() > rules.skew {
        let message = "The difference between the request time and the current time is too large.";
        return Err(Refusal::new(403, "RequestTimeTooSkewed", message));
    }
    let names: Vec<&str> = names.split(';').collect();
    let must = |name: &str| name == "host" || name.starts_with("x-amz-");
    let unsigned = call.headers.keys().find(|name| must(name.as_str()) && !names.contains(&name.as_str()));
    if let Some(name) = unsigned {
        return Err(denied(&format!("There were headers present in the request which were not signed: {name}")));
    }
    if !names.is_sorted() || !names.contains(&"host") {
        return Err(malformed("SignedHeaders is not sorted, or lacks the host"));
    }
    let payload = call.header("x-amz-content-sha256");
    let payload = payload.ok_or_else(|| Refusal::new(400, "InvalidRequest", "Missing x-amz-content-sha256"))?;
    let (wanted, canonical) = sign(call, rules, date, &names, payload);
    if wanted == signature {
        return Ok(());
    }
    let message = "The request signature we calculated does not match the signature you provided.";
    let mut refusal = Refusal::new(403, "SignatureDoesNotMatch", message);
    refusal.more = format!("<CanonicalRequest>{}</CanonicalRequest>", super::xml::escape(&canonical));
    Err(refusal)
}

/// The signature of a request, and the canonical request.
pub(crate) fn sign(call: &Call, rules: &Rules, date: &str, names: &[&str], payload: &str) -> (String, String) {
    let canonical = canonical_request(call, names, payload);
    let hash = hex(&Sha256::digest(canonical.as_bytes()));
    let (day, region) = (&date[..8], rules.region.as_str());
    let signed = format!("AWS4-HMAC-SHA256\n{date}\n{day}/{region}/s3/aws4_request\n{hash}");
    let mut key = format!("AWS4{}", rules.secret_key).into_bytes();
    for step in [day, region, "s3", "aws4_request", &signed] {
        key = hmac_sha256(&key, step.as_bytes());
    }
    (hex(&key), canonical)
}

fn wrong_region(rules: &Rules, region: &str) -> Refusal {
    let wanted = &rules.region;
    let mut refusal = match rules.wrong_region {
        WrongRegion::Redirected => {
            let message = "The bucket you are attempting to access must be addressed using the specified endpoint.";
            Refusal::new(301, "PermanentRedirect", message)
        }
        WrongRegion::Malformed => {
            let message =
                format!("The authorization header is malformed; the region '{region}' is wrong; expecting '{wanted}'");
            Refusal::new(400, "AuthorizationHeaderMalformed", message)
        }
    };
    refusal.headers.push(("x-amz-bucket-region".to_owned(), wanted.clone()));
    refusal.more = format!("<Region>{wanted}</Region>");
    refusal
}

fn canonical_request(call: &Call, names: &[&str], payload: &str) -> String {
    let key = call.key.as_deref().unwrap_or_default();
    // What was encoded and what was not cannot be told from the decoded key: S3 encodes all but slashes, once.
    let path = match (&call.bucket, call.virtual_host) {
        (Some(bucket), false) if call.path.len() > bucket.len() + 1 => format!("/{bucket}/{key}"),
        (Some(bucket), false) => format!("/{bucket}"),
        _ => format!("/{key}"),
    };
    let mut query: Vec<(String, String)> = Vec::new();
    for (name, value) in &call.query {
        query.push((encode(name, ""), encode(value.as_deref().unwrap_or_default(), "")));
    }
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers: Vec<String> = names.iter().map(|name| format!("{name}:{}\n", squeezed(call, name))).collect();
    let headers = headers.concat();
    let (query, names) = (query.join("&"), names.join(";"));
    format!("{}\n{}\n{query}\n{headers}\n{names}\n{payload}", call.method, encode(&path, "/"))
}

/// A header's values, blanks in a row made one.
fn squeezed(call: &Call, name: &str) -> String {
    let values = call.headers.get_all(name).iter();
    let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let values = values.map(|value| value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
    values.collect::<Vec<_>>().join(",")
}
