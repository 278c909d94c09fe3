//! PUT, copy and DELETE of whole objects.

use std::collections::BTreeMap;

use super::answer::{Answer, Outcome, Refusal};
use super::call::{Call, decode};
use super::headers::{creates_only, exists, kept};
use super::oss_signature::hex;
use super::receive::Received;
use super::rules::{Dialect, Rules, Stance};
use super::state::{Part, State, Stored};
use super::sums::Sums;
use super::time;

/// An object of one request.
pub(crate) fn simple(received: Received, headers: BTreeMap<String, String>, rules: &Rules) -> Stored {
    let etag = etag(&received.sums, rules.dialect);
    let (algorithm, value) = received.sums.shown;
    Stored {
        content: received.content,
        sums: received.sums,
        etag,
        headers,
        modified: time::now(rules.clock),
        parts: None,
        tells_crc: true,
        checksum: Some((algorithm, algorithm.text(value), "FULL_OBJECT")),
    }
}

/// The `ETag` of what came in one request: its MD5, or a sum in its place when that was not computed.
pub(crate) fn etag(sums: &Sums, dialect: Dialect) -> String {
    let digits = sums.md5.map_or_else(|| format!("{:016x}{:016x}", sums.crc64, sums.length), |md5| hex(&md5));
    if dialect == Dialect::Oss { digits.to_uppercase() } else { digits }
}

/// The answer's headers about a content that came in.
pub(crate) fn acknowledge(mut answer: Answer, sums: &Sums, etag: &str, rules: &Rules) -> Answer {
    answer = answer.header("etag", format!("\"{etag}\""));
    match rules.dialect {
        Dialect::Oss => answer.header("x-oss-hash-crc64ecma", sums.crc64.to_string()),
        Dialect::S3 if rules.checksums == Stance::Honoured => {
            let (algorithm, value) = sums.shown;
            let answer = answer.header("x-amz-checksum-type", "FULL_OBJECT");
            answer.header(&format!("x-amz-checksum-{}", algorithm.name), algorithm.text(value))
        }
        Dialect::S3 => answer,
    }
}

pub(crate) fn put(state: &mut State, call: &Call, rules: &Rules, received: Received) -> Outcome {
    let key = call.key.clone().unwrap_or_default();
    let creates = creates_only(call, rules)?;
    let bucket = state.bucket_of(call)?;
    if creates && bucket.objects.contains_key(&key) {
        return Err(exists(rules.dialect));
    }
    let stored = simple(received, kept(call), rules);
    let answer = acknowledge(Answer::status(rules.put_status), &stored.sums, &stored.etag, rules);
    bucket.objects.insert(key, stored);
    Ok(answer)
}

/// The object that a copy names, and its bytes of the wanted range.
fn source(state: &mut State, call: &Call, rules: &Rules) -> Result<Stored, Refusal> {
    let text = call.own("copy-source").unwrap_or_default();
    let malformed = || Refusal::argument("Copy Source must mention the source bucket and key: bucket/key");
    let text = decode(text).ok_or_else(malformed)?;
    let (bucket, key) = text.strip_prefix('/').unwrap_or(&text).split_once('/').ok_or_else(malformed)?;
    let stored = state.bucket(bucket)?.object(key)?.clone();
    stored.readable(rules.dialect)?;
    if call.own("copy-source-if-match").is_some_and(|tag| tag.trim_matches('"') != stored.etag) {
        return Err(Refusal::new(412, "PreconditionFailed", "At least one of the pre-conditions did not hold."));
    }
    Ok(stored)
}

pub(crate) fn copy(state: &mut State, call: &Call, rules: &Rules) -> Outcome {
    call.only(&[])?;
    let mut found = source(state, call, rules)?;
    if found.length() > rules.copy_maximum {
        let message = "The specified copy source is larger than the maximum allowable size for a copy source.";
        let code = if rules.dialect == Dialect::Oss { "EntityTooLarge" } else { "InvalidRequest" };
        return Err(Refusal::new(400, code, message));
    }
    let mut headers = kept(call);
    let prefix = rules.dialect.prefix();
    let tags = format!("{prefix}tagging");
    match call.own("metadata-directive") {
        None | Some("COPY") => {
            // Storage class and encryption are the new object's own; the rest comes along.
            headers.retain(|name, _| name.starts_with(prefix) && !name[prefix.len()..].starts_with("meta-"));
            for (name, value) in &found.headers {
                let own = name.strip_prefix(prefix);
                if own.is_none_or(|own| own.starts_with("meta-")) {
                    headers.insert(name.clone(), value.clone());
                }
            }
        }
        Some("REPLACE") => {}
        _ => return Err(Refusal::argument("Unknown metadata directive.")),
    }
    if matches!(call.own("tagging-directive"), None | Some("COPY" | "Copy")) {
        headers.remove(&tags);
        headers.extend(found.headers.remove_entry(&tags));
    }
    let key = call.key.clone().unwrap_or_default();
    let creates = creates_only(call, rules)?;
    let etag = if found.parts.is_some() && rules.dialect == Dialect::Oss {
        state.unique().to_uppercase()
    } else {
        etag(&found.sums, rules.dialect)
    };
    let bucket = state.bucket_of(call)?;
    if creates && bucket.objects.contains_key(&key) {
        return Err(exists(rules.dialect));
    }
    let tells_crc = rules.copies_have_crc && found.tells_crc;
    let stored = Stored { etag, headers, tells_crc, modified: time::now(rules.clock), parts: None, ..found };
    let mut answer = result("CopyObjectResult", &stored.etag, stored.modified, rules);
    if tells_crc && rules.dialect == Dialect::Oss {
        answer = answer.header("x-oss-hash-crc64ecma", stored.sums.crc64.to_string());
    }
    bucket.objects.insert(key, stored);
    Ok(answer)
}

/// OSS says the `ETag` in the headers too, and oss2 reads it only there.
fn result(name: &str, etag: &str, modified: jiff::Timestamp, rules: &Rules) -> Answer {
    let modified = time::iso(modified);
    let text = format!("<{name}><LastModified>{modified}</LastModified><ETag>\"{etag}\"</ETag></{name}>");
    match rules.dialect {
        Dialect::Oss => Answer::xml(text).header("etag", format!("\"{etag}\"")),
        Dialect::S3 => Answer::xml(text),
    }
}

/// A part that is a range of an object.
pub(crate) fn copy_part(state: &mut State, call: &Call, rules: &Rules) -> Outcome {
    call.only(&["partNumber", "uploadId"])?;
    let found = source(state, call, rules)?;
    let algorithm = state.upload_of(call)?.algorithm;
    let mut content = found.content.clone();
    let mut sums = found.sums;
    if let Some(text) = call.own("copy-source-range") {
        let invalid = || Refusal::argument(format!("The copy source range `{text}` is not within the source"));
        let (start, end) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-')).ok_or_else(invalid)?;
        let start: u64 = start.parse().map_err(|_| invalid())?;
        let end: u64 = end.parse().map_err(|_| invalid())?;
        if start > end || end >= found.length() {
            return Err(invalid());
        }
        content = content.slice(start..end + 1);
        if content.crc(algorithm.crc).is_none() && content.length() != found.length() {
            return Err(Refusal::new(501, "NotImplemented", "the source's bytes were not kept"));
        }
        if content.length() != found.length() {
            sums = Sums::of(&content);
        }
    }
    if sums.length > rules.body_maximum {
        return Err(Refusal::new(400, "EntityTooLarge", "The part is larger than a part may be."));
    }
    if let Some(value) = content.crc(algorithm.crc) {
        sums.shown = (algorithm, value);
    }
    let etag = etag(&sums, rules.dialect);
    let modified = time::now(rules.clock);
    let mut answer = result("CopyPartResult", &etag, modified, rules);
    if rules.copies_have_crc && rules.dialect == Dialect::Oss {
        answer = answer.header("x-oss-hash-crc64ecma", sums.crc64.to_string());
    }
    let number = super::multipart::number(call)?;
    state.upload_of(call)?.parts.insert(number, Part { content, sums, etag, modified });
    Ok(answer)
}

pub(crate) fn delete(state: &mut State, call: &Call) -> Outcome {
    call.only(&[])?;
    state.bucket_of(call)?.objects.remove(call.key.as_deref().unwrap_or_default());
    Ok(Answer::status(204))
}
