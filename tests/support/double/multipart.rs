//! Uploads in parts: begin, a part, complete, abort. What lists them is in `overview.rs`.

use super::answer::{Answer, Outcome, Refusal};
use super::call::{Call, encode};
use super::headers::{creates_only, exists, kept};
use super::receive::Received;
use super::rules::{Dialect, PartsEtag, Rules, Stance};
use super::state::{Part, State, Stored, Upload};
use super::sums::{Algorithm, NVME, Sums};
use super::{oss_signature, time, xml};

use md5::{Digest as _, Md5};

/// The number of a part, which is from 1 to 10,000.
pub(crate) fn number(call: &Call) -> Result<u32, Refusal> {
    let number = call.number("partNumber")?.filter(|number| (1..=10_000).contains(number));
    let number = number.and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| Refusal::argument("Part number must be an integer between 1 and 10000, inclusive"))
}

pub(crate) fn begin(state: &mut State, call: &Call, rules: &Rules) -> Outcome {
    call.only(&["uploads", "encoding-type"])?;
    let key = call.key.clone().unwrap_or_default();
    let honoured = rules.checksums == Stance::Honoured;
    let algorithm = match call.header("x-amz-checksum-algorithm").filter(|_| honoured) {
        None => NVME,
        Some(name) => Algorithm::named(name)
            .ok_or_else(|| Refusal::new(501, "NotImplemented", format!("the checksum {name} is not known here")))?,
    };
    let composite = algorithm != NVME && call.header("x-amz-checksum-type") != Some("FULL_OBJECT");
    if creates_only(call, rules)? && state.bucket_of(call)?.objects.contains_key(&key) {
        return Err(exists(rules.dialect));
    }
    let id = state.unique().to_uppercase();
    let started = time::now(rules.clock);
    let upload = Upload { key: key.clone(), headers: kept(call), started, parts: [].into(), algorithm, composite };
    let bucket = call.bucket.as_deref().unwrap_or_default();
    state.bucket_of(call)?.uploads.insert(id.clone(), upload);
    let key = shown(call, &key);
    let mut answer = Answer::xml(format!(
        "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket>{key}<UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
    ));
    if call.header("x-amz-checksum-algorithm").is_some() && honoured {
        answer = answer.header("x-amz-checksum-algorithm", algorithm.name.to_uppercase());
        answer = answer.header("x-amz-checksum-type", if composite { "COMPOSITE" } else { "FULL_OBJECT" });
    }
    Ok(answer)
}

/// The element of a key, encoded when that was asked for.
fn shown(call: &Call, key: &str) -> String {
    match call.parameter("encoding-type") {
        Some("url") => format!("<EncodingType>url</EncodingType><Key>{}</Key>", encode(key, "")),
        _ => format!("<Key>{}</Key>", xml::escape(key)),
    }
}

pub(crate) fn put_part(state: &mut State, call: &Call, rules: &Rules, received: Received) -> Outcome {
    call.only(&["partNumber", "uploadId"])?;
    let number = number(call)?;
    let upload = state.upload_of(call)?;
    let Received { content, mut sums } = received;
    if sums.shown.0 != upload.algorithm {
        // A part without the checksum of its upload: the service makes it, from the bytes that it still has.
        let value = content.crc(upload.algorithm.crc);
        let value = value.ok_or_else(|| Refusal::new(400, "InvalidRequest", "The upload has another checksum."))?;
        sums.shown = (upload.algorithm, value);
    }
    let etag = super::write::etag(&sums, rules.dialect);
    let answer = super::write::acknowledge(Answer::status(200), &sums, &etag, rules);
    upload.parts.insert(number, Part { content, sums, etag, modified: time::now(rules.clock) });
    Ok(answer)
}

/// The parts that a client names to make the object of.
fn named(text: &[u8]) -> Result<Vec<(u32, String)>, Refusal> {
    let malformed = || Refusal::new(400, "MalformedXML", "The XML you provided was not well-formed.");
    let root = std::str::from_utf8(text).ok().and_then(xml::parse).ok_or_else(malformed)?;
    if root.name != "CompleteMultipartUpload" {
        return Err(malformed());
    }
    let mut parts = Vec::new();
    for part in root.children.iter().filter(|child| child.name == "Part") {
        let number = part.child("PartNumber").and_then(|number| number.trim().parse().ok()).ok_or_else(malformed)?;
        let etag = part.child("ETag").ok_or_else(malformed)?.trim().trim_matches('"').to_owned();
        parts.push((number, etag));
    }
    if parts.is_empty() || parts.len() > 10_000 {
        return Err(malformed());
    }
    Ok(parts)
}

/// 1. the list's order; 2. each part's `ETag`; 3. each size but the last; 4. the object, and the upload is gone.
pub(crate) fn complete(state: &mut State, call: &Call, rules: &Rules, text: &[u8]) -> Outcome {
    call.only(&["uploadId", "encoding-type"])?;
    let creates = creates_only(call, rules)?;
    let named = named(text)?;
    let upload = state.upload_of(call)?.clone();
    if !named.is_sorted_by(|one, next| one.0 < next.0) {
        return Err(Refusal::new(400, "InvalidPartOrder", "The list of parts was not in ascending order."));
    }
    let mut parts = Vec::new();
    for (number, etag) in &named {
        let part = upload.parts.get(number).filter(|part| part.etag.eq_ignore_ascii_case(etag));
        let missing = || {
            let message = "One or more of the specified parts could not be found or the specified entity tag \
                           might not have matched the part's entity tag.";
            let mut refusal = Refusal::new(400, "InvalidPart", message);
            refusal.more = format!("<PartNumber>{number}</PartNumber><ETag>{etag}</ETag>");
            refusal
        };
        parts.push(part.ok_or_else(missing)?);
    }
    if parts[..parts.len() - 1].iter().any(|part| part.sums.length < rules.part_minimum) {
        let message = "Your proposed upload smaller than the minimum allowed size.";
        return Err(Refusal::new(400, "EntityTooSmall", message));
    }
    if creates && state.bucket_of(call)?.objects.contains_key(&upload.key) {
        return Err(exists(rules.dialect));
    }
    let stored = joined(&upload, &parts, state.unique(), rules);
    if let Some(value) = call.header(&format!("x-amz-checksum-{}", upload.algorithm.name))
        && rules.checksums == Stance::Honoured
        && stored.checksum.as_ref().is_some_and(|(_, found, _)| found != value)
    {
        return Err(Refusal::new(400, "BadDigest", "The checksum you specified did not match the object's."));
    }
    let mut answer = completed(call, &stored, rules);
    if rules.dialect == Dialect::Oss {
        answer = super::write::acknowledge(answer, &stored.sums, &stored.etag, rules);
    }
    let bucket = state.bucket_of(call)?;
    bucket.uploads.remove(call.parameter("uploadId").unwrap_or_default());
    bucket.objects.insert(upload.key, stored);
    Ok(answer)
}

fn joined(upload: &Upload, parts: &[&Part], unique: String, rules: &Rules) -> Stored {
    let mut content = super::content::Content::default();
    let mut sums: Option<Sums> = None;
    let mut md5s = Md5::new();
    let mut checksums = Vec::new();
    let algorithm = upload.algorithm;
    for part in parts {
        content.append(part.content.clone());
        sums = Some(sums.map_or(part.sums, |sums| sums.followed_by(&part.sums)));
        md5s.update(part.sums.md5.unwrap_or_default());
        checksums.extend(algorithm.bytes(part.sums.shown.1));
    }
    let sums = sums.expect("an upload is completed of at least one part");
    let digits = match rules.parts_etag {
        PartsEtag::OfMd5s => oss_signature::hex(&md5s.finalize()),
        PartsEtag::Opaque => unique,
    };
    let digits = if rules.dialect == Dialect::Oss { digits.to_uppercase() } else { digits };
    let checksum = if upload.composite {
        let value = algorithm.text(crc_fast::checksum(algorithm.crc, &checksums));
        (algorithm, format!("{value}-{}", parts.len()), "COMPOSITE")
    } else {
        (algorithm, algorithm.text(sums.shown.1), "FULL_OBJECT")
    };
    Stored {
        content,
        sums,
        etag: format!("{digits}-{}", parts.len()),
        headers: upload.headers.clone(),
        modified: time::now(rules.clock),
        parts: Some(parts.len()),
        tells_crc: true,
        checksum: Some(checksum),
    }
}

fn completed(call: &Call, stored: &Stored, rules: &Rules) -> Answer {
    let bucket = call.bucket.as_deref().unwrap_or_default();
    let key = call.key.as_deref().unwrap_or_default();
    let host = call.header("host").unwrap_or_default();
    let checksum = match &stored.checksum {
        Some((algorithm, value, kind)) if rules.dialect == Dialect::S3 && rules.checksums == Stance::Honoured => {
            let name = algorithm.name.to_uppercase();
            format!("<Checksum{name}>{value}</Checksum{name}><ChecksumType>{kind}</ChecksumType>")
        }
        _ => String::new(),
    };
    Answer::xml(format!(
        "<CompleteMultipartUploadResult><Location>http://{host}/{}</Location><Bucket>{bucket}</Bucket>{}\
         <ETag>\"{}\"</ETag>{checksum}</CompleteMultipartUploadResult>",
        encode(key, "/"),
        shown(call, key),
        stored.etag
    ))
}

pub(crate) fn abort(state: &mut State, call: &Call) -> Outcome {
    call.only(&["uploadId"])?;
    state.upload_of(call)?;
    state.bucket_of(call)?.uploads.remove(call.parameter("uploadId").unwrap_or_default());
    Ok(Answer::status(204))
}
