//! Takes in a request's body and checks all that was said about it: length, MD5, SHA-256, checksums, trailers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};

use super::answer::Refusal;
use super::call::Call;
use super::content::Content;
use super::oss_signature::hex;
use super::rules::{Keep, Rules, Stance};
use super::sums::{ALGORITHMS, Algorithm, NVME, Summing, Sums};

/// A body that holds what was said about it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) content: Content,
    pub(crate) sums: Sums,
}

const TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// Takes in the body of an object or a part.
pub(crate) async fn receive(call: &Call, rules: &Rules, body: Incoming) -> Result<Received, Refusal> {
    let payload = call.header("x-amz-content-sha256").unwrap_or("UNSIGNED-PAYLOAD").to_owned();
    if payload.starts_with("STREAMING-") && (payload != TRAILER || rules.trailers != Stance::Honoured) {
        return Err(Refusal::argument(format!("the payload {payload} is not supported")));
    }
    let said = call.header("content-length").and_then(|text| text.parse::<u64>().ok());
    let chunked = call.header("transfer-encoding") == Some("chunked") && rules.unknown_length == Stance::Honoured;
    if said.is_none() && !chunked {
        return Err(Refusal::new(411, "MissingContentLength", "You must provide the Content-Length HTTP header."));
    }
    if said > Some(rules.body_maximum) {
        return Err(Refusal::new(
            400,
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed object size.",
        ));
    }
    let stated = stated(call, rules)?;
    if payload == TRAILER {
        let whole = collect(body).await?;
        let (content, trailer) = unchunk(&whole).ok_or_else(|| Refusal::new(400, "IncompleteBody", "bad chunks"))?;
        return trailed(call, rules, content, &trailer);
    }
    let mut summing = Summing::new(stated.as_ref().map_or(NVME, |(algorithm, _)| *algorithm), md5_wanted(call, rules));
    let mut sha256 = (payload != "UNSIGNED-PAYLOAD").then(Sha256::new);
    let (mut bytes, mut body) = (Vec::new(), body);
    while let Some(frame) = body.frame().await {
        let broken = |_| Refusal::new(400, "IncompleteBody", "The request body terminated unexpectedly");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        summing.update(&data);
        if let Some(sha256) = &mut sha256 {
            sha256.update(&data);
        }
        if rules.keep == Keep::Bytes {
            bytes.extend_from_slice(&data);
        }
    }
    let sums = summing.finish();
    if said.is_some_and(|said| said != sums.length) {
        return Err(Refusal::new(400, "IncompleteBody", "The body is not as long as Content-Length says"));
    }
    if sha256.is_some_and(|sha256| hex(&sha256.finalize()) != payload) {
        return Err(Refusal::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided x-amz-content-sha256 does not match.",
        ));
    }
    finish(call, rules, bytes, sums, stated.as_ref())
}

fn md5_wanted(call: &Call, rules: &Rules) -> bool {
    rules.keep != Keep::LengthAndCrc || call.header("content-md5").is_some()
}

/// The checksum in the headers, as far as the service reads it.
fn stated(call: &Call, rules: &Rules) -> Result<Option<(Algorithm, String)>, Refusal> {
    let mut found = None;
    for algorithm in ALGORITHMS {
        let Some(value) = call.header(&format!("x-amz-checksum-{}", algorithm.name)) else { continue };
        if found.replace((algorithm, value.to_owned())).is_some() {
            return Err(Refusal::new(400, "InvalidRequest", "Expecting a single x-amz-checksum- header."));
        }
    }
    let refused = found.is_some() && rules.checksums == Stance::Refused;
    if refused {
        return Err(Refusal::new(501, "NotImplemented", "x-amz-checksum- is not implemented"));
    }
    Ok(found.filter(|_| rules.checksums == Stance::Honoured))
}

fn trailed(call: &Call, rules: &Rules, content: Vec<u8>, trailer: &str) -> Result<Received, Refusal> {
    let length = call.header("x-amz-decoded-content-length").and_then(|text| text.parse::<usize>().ok());
    if length != Some(content.len()) {
        return Err(Refusal::new(400, "IncompleteBody", "x-amz-decoded-content-length is not the content's length"));
    }
    let malformed = || Refusal::new(400, "MalformedTrailerError", "The trailer is not what x-amz-trailer announced.");
    let (name, value) = trailer.trim().split_once(':').ok_or_else(malformed)?;
    if call.header("x-amz-trailer") != Some(name) {
        return Err(malformed());
    }
    let algorithm = name.strip_prefix("x-amz-checksum-").and_then(Algorithm::named).ok_or_else(malformed)?;
    let mut summing = Summing::new(algorithm, true);
    summing.update(&content);
    finish(call, rules, content, summing.finish(), Some(&(algorithm, value.trim().to_owned())))
}

fn finish(
    call: &Call,
    rules: &Rules,
    bytes: Vec<u8>,
    sums: Sums,
    stated: Option<&(Algorithm, String)>,
) -> Result<Received, Refusal> {
    check_md5(call, sums.md5)?;
    if let Some((algorithm, value)) = stated
        && algorithm.text(sums.shown.1) != *value
    {
        return Err(Refusal::new(400, "BadDigest", format!("The {} you specified did not match.", algorithm.name)));
    }
    let content = if rules.keep == Keep::Bytes { bytes.into() } else { Content::forgotten(sums.length) };
    Ok(Received { content, sums })
}

fn check_md5(call: &Call, found: Option<[u8; 16]>) -> Result<(), Refusal> {
    let Some(said) = call.header("content-md5") else { return Ok(()) };
    let said = STANDARD.decode(said).ok().filter(|said| said.len() == 16);
    let said = said.ok_or_else(|| Refusal::new(400, "InvalidDigest", "The Content-MD5 you specified is invalid."))?;
    if Some(said.as_slice()) != found.as_ref().map(|found| &found[..]) {
        let code = if call.dialect == super::rules::Dialect::Oss { "InvalidDigest" } else { "BadDigest" };
        return Err(Refusal::new(400, code, "The Content-MD5 you specified did not match what we received."));
    }
    Ok(())
}

/// Takes in a document, whose MD5 is checked when it is said.
pub(crate) async fn document(call: &Call, body: Incoming) -> Result<Bytes, Refusal> {
    let bytes = collect(body).await?;
    let payload = call.header("x-amz-content-sha256").unwrap_or("UNSIGNED-PAYLOAD");
    if payload.starts_with("STREAMING-") {
        return Err(Refusal::argument(format!("the payload {payload} is not supported")));
    }
    if payload != "UNSIGNED-PAYLOAD" && payload != hex(&Sha256::digest(&bytes)) {
        return Err(Refusal::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided x-amz-content-sha256 does not match.",
        ));
    }
    let mut summing = Summing::new(NVME, true);
    summing.update(&bytes);
    check_md5(call, summing.finish().md5)?;
    Ok(bytes)
}

async fn collect(body: Incoming) -> Result<Bytes, Refusal> {
    let collected = body.collect().await;
    let collected = collected.map_err(|_| Refusal::new(400, "IncompleteBody", "The body terminated unexpectedly"))?;
    Ok(collected.to_bytes())
}

/// Takes chunks apart: `length in hexadecimal`, the bytes, an empty chunk, then the trailer.
fn unchunk(mut rest: &[u8]) -> Option<(Vec<u8>, String)> {
    let mut out = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Some((out, String::from_utf8(rest.to_vec()).ok()?));
        }
        out.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length..)?.strip_prefix(b"\r\n")?;
    }
}
