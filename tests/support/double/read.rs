//! GET and HEAD of an object: ranges, conditions, and the headers that tell about it.

use std::ops::Range;

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::rules::{Dialect, Rules, Stance};
use super::state::{State, Stored};
use super::time;

const OVERRIDES: [&str; 6] =
    ["content-type", "content-language", "expires", "cache-control", "content-disposition", "content-encoding"];

/// The object, or what a HEAD tells of it.
pub(crate) fn read(state: &mut State, call: &Call, rules: &Rules) -> Outcome {
    let mut known = vec!["objectMeta".to_owned()];
    known.extend(OVERRIDES.iter().map(|name| format!("response-{name}")));
    call.only(&known.iter().map(String::as_str).collect::<Vec<_>>())?;
    let stored = state.bucket_of(call)?.object(call.key.as_deref().unwrap_or_default())?;
    let head = call.method == http::Method::HEAD;
    if !head {
        stored.readable(rules.dialect)?;
    }
    if let Some(answer) = condition(call, stored)? {
        return Ok(answer);
    }
    let mut answer = about(stored, call, rules);
    let length = stored.length();
    let range = match call.header("range") {
        Some(text) if !head || rules.dialect == Dialect::S3 => within(text, length, call)?,
        _ => None,
    };
    answer.status = if range.is_some() { 206 } else { 200 };
    if let Some(range) = &range {
        answer = answer.header("content-range", format!("bytes {}-{}/{length}", range.start, range.end - 1));
    } else if rules.checksums == Stance::Honoured
        && rules.dialect == Dialect::S3
        && call.own("checksum-mode") == Some("ENABLED")
        && let Some((algorithm, value, kind)) = &stored.checksum
    {
        answer = answer.header(&format!("x-amz-checksum-{}", algorithm.name), value.clone());
        answer = answer.header("x-amz-checksum-type", *kind);
    }
    let range = range.unwrap_or(0..length);
    answer = answer.header("content-length", (range.end - range.start).to_string());
    for name in OVERRIDES {
        if let Some(value) = call.parameter(&format!("response-{name}")) {
            answer.headers.retain(|(found, _)| found != name);
            answer = answer.header(name, value);
        }
    }
    if !head {
        answer.body = stored.content.slice(range);
    }
    Ok(answer)
}

/// The headers of an object.
fn about(stored: &Stored, call: &Call, rules: &Rules) -> Answer {
    let mut answer = Answer::status(200)
        .header("etag", format!("\"{}\"", stored.etag))
        .header("last-modified", time::http(stored.modified))
        .header("accept-ranges", "bytes");
    if call.parameter("objectMeta").is_some() {
        return answer;
    }
    let tagging = format!("{}tagging", rules.dialect.prefix());
    for (name, value) in &stored.headers {
        if *name == tagging {
            let count = value.split('&').filter(|tag| !tag.is_empty()).count();
            answer = answer.header(&format!("{tagging}-count"), count.to_string());
        } else {
            answer = answer.header(name, value.clone());
        }
    }
    if !stored.headers.contains_key("content-type") {
        answer = answer.header("content-type", "application/octet-stream");
    }
    if rules.dialect == Dialect::Oss {
        let kind = if stored.parts.is_some() { "Multipart" } else { "Normal" };
        answer = answer.header("x-oss-object-type", kind);
        if !stored.headers.contains_key("x-oss-storage-class") {
            answer = answer.header("x-oss-storage-class", stored.class(rules.dialect));
        }
        if stored.tells_crc {
            // The sum of the whole object, also beside a range of it.
            answer = answer.header("x-oss-hash-crc64ecma", stored.sums.crc64.to_string());
        }
    }
    answer
}

fn condition(call: &Call, stored: &Stored) -> Result<Option<Answer>, Refusal> {
    let holds =
        |list: &str| list.split(',').any(|tag| tag.trim() == "*" || tag.trim().trim_matches('"') == stored.etag);
    let failed = |name: &str| {
        let mut refusal = Refusal::new(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.");
        refusal.more = format!("<Condition>{name}</Condition>");
        refusal
    };
    if call.header("if-match").is_some_and(|list| !holds(list)) {
        return Err(failed("If-Match"));
    }
    let since = call.header("if-unmodified-since").and_then(time::read_http);
    if since.is_some_and(|since| stored.modified.as_second() > since.as_second()) {
        return Err(failed("If-Unmodified-Since"));
    }
    let since = call.header("if-modified-since").and_then(time::read_http);
    let unchanged = call.header("if-none-match").is_some_and(holds)
        || since.is_some_and(|since| stored.modified.as_second() <= since.as_second());
    Ok(unchanged.then(|| Answer::status(304).header("etag", format!("\"{}\"", stored.etag))))
}

/// The range to send; nothing for the whole object.
///
/// OSS takes a range that does not lie within the object for none at all, unless `x-oss-range-behavior: standard` is said.
fn within(text: &str, length: u64, call: &Call) -> Result<Option<Range<u64>>, Refusal> {
    let Some(range) = parse(text) else { return Ok(None) };
    let lenient = call.dialect == Dialect::Oss && call.own("range-behavior") != Some("standard");
    let (start, end) = match range {
        (Some(start), end) => (start, end.map_or(length, |end| end + 1)),
        (None, Some(last)) => (length.saturating_sub(last), length),
        (None, None) => return Ok(None),
    };
    let suffix_too_long = range.0.is_none() && range.1 > Some(length);
    if lenient && (start >= length || end > length || suffix_too_long) {
        return Ok(None);
    }
    if start >= length {
        let mut refusal = Refusal::new(416, "InvalidRange", "The requested range cannot be satisfied.");
        refusal.headers.push(("content-range".to_owned(), format!("bytes */{length}")));
        return Err(refusal);
    }
    Ok(Some(start..end.min(length)))
}

/// `bytes=a-b`, `bytes=a-`, `bytes=-n`; anything else is no range.
fn parse(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits => digits.parse().ok().map(Some),
    };
    let (start, end) = (number(start)?, number(end)?);
    (start.is_none() || end.is_none() || start <= end).then_some((start, end))
}

/// The tags of an object.
pub(crate) fn tags(state: &mut State, call: &Call) -> Outcome {
    call.only(&["tagging"])?;
    let stored = state.bucket_of(call)?.object(call.key.as_deref().unwrap_or_default())?;
    let tags = stored.headers.get(&format!("{}tagging", call.dialect.prefix())).map_or("", String::as_str);
    let mut text = String::new();
    for tag in tags.split('&').filter(|tag| !tag.is_empty()) {
        let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
        let read = |text: &str| super::xml::escape(&super::call::decode(&text.replace('+', " ")).unwrap_or_default());
        text.push_str(&format!("<Tag><Key>{}</Key><Value>{}</Value></Tag>", read(key), read(value)));
    }
    Ok(Answer::xml(format!("<Tagging><TagSet>{text}</TagSet></Tagging>")))
}
