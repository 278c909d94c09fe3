//! What is there beside objects: buckets, open uploads, their parts.

use super::answer::{Answer, Outcome};
use super::call::Call;
use super::listing::Writing;
use super::rules::{Dialect, Rules};
use super::state::State;
use super::{time, xml};

pub(crate) fn buckets(state: &State, call: &Call, rules: &Rules) -> Outcome {
    call.only(&["prefix", "marker", "max-keys", "max-buckets", "bucket-region", "continuation-token"])?;
    let region = if rules.dialect == Dialect::Oss { format!("oss-{}", rules.region) } else { rules.region.clone() };
    let date = time::iso(time::now(rules.clock));
    let mut text =
        String::from("<ListAllMyBucketsResult><Owner><ID>1</ID><DisplayName>1</DisplayName></Owner><Buckets>");
    for name in state.buckets.keys() {
        text.push_str(&format!(
            "<Bucket><CreationDate>{date}</CreationDate><Location>{region}</Location><Name>{name}</Name>\
             <StorageClass>Standard</StorageClass></Bucket>"
        ));
    }
    text.push_str("</Buckets></ListAllMyBucketsResult>");
    Ok(Answer::xml(text))
}

pub(crate) fn location(state: &mut State, call: &Call, rules: &Rules) -> Outcome {
    call.only(&["location"])?;
    state.bucket_of(call)?;
    let region = match rules.dialect {
        Dialect::Oss => format!("oss-{}", rules.region),
        Dialect::S3 if rules.region == "us-east-1" => String::new(),
        Dialect::S3 => rules.region.clone(),
    };
    Ok(Answer::xml(format!("<LocationConstraint>{region}</LocationConstraint>")))
}

/// The uploads that are open, by key and then by id.
pub(crate) fn uploads(state: &mut State, call: &Call, rules: &Rules) -> Outcome {
    call.only(&["uploads", "prefix", "key-marker", "upload-id-marker", "max-uploads", "encoding-type", "delimiter"])?;
    let writing = Writing::asked(call, rules)?;
    let parameter = |name: &str| call.parameter(name).unwrap_or_default();
    let marker = (parameter("key-marker"), parameter("upload-id-marker"));
    let limit = usize::try_from(call.number("max-uploads")?.unwrap_or(1000)).unwrap_or(usize::MAX).min(1000);
    let bucket = state.bucket_of(call)?;
    let mut open: Vec<_> =
        bucket.uploads.iter().map(|(id, upload)| (upload.key.as_str(), id.as_str(), upload)).collect();
    open.sort_by_key(|(key, id, _)| (*key, *id));
    // Without an id the marker's own key is behind us too.
    open.retain(|(key, id, _)| {
        let behind = if marker.1.is_empty() { *key > marker.0 } else { (*key, *id) > marker };
        key.starts_with(parameter("prefix")) && behind
    });
    let truncated = open.len() > limit;
    open.truncate(limit);
    let mut text = format!(
        "<ListMultipartUploadsResult><Bucket>{}</Bucket>{}<KeyMarker>{}</KeyMarker><UploadIdMarker>{}</UploadIdMarker>\
         <Prefix>{}</Prefix><Delimiter></Delimiter><MaxUploads>{limit}</MaxUploads><IsTruncated>{truncated}</IsTruncated>",
        parameter_bucket(call),
        writing.element(),
        writing.name(marker.0),
        xml::escape(marker.1),
        writing.name(parameter("prefix")),
    );
    // OSS always says where the next page would begin.
    let last = open.last();
    if truncated || rules.dialect == Dialect::Oss {
        let (key, id) = last.map_or(("", ""), |(key, id, _)| (*key, *id));
        let key = writing.name(key);
        text.push_str(&format!("<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>"));
    }
    for (key, id, upload) in open {
        let (key, started) = (writing.name(key), time::iso(upload.started));
        text.push_str(&format!(
            "<Upload><Key>{key}</Key><UploadId>{id}</UploadId><StorageClass>Standard</StorageClass>\
             <Initiated>{started}</Initiated></Upload>"
        ));
    }
    text.push_str("</ListMultipartUploadsResult>");
    Ok(Answer::xml(text))
}

fn parameter_bucket(call: &Call) -> &str {
    call.bucket.as_deref().unwrap_or_default()
}

/// The parts of one upload.
pub(crate) fn parts(state: &mut State, call: &Call, rules: &Rules) -> Outcome {
    call.only(&["uploadId", "max-parts", "part-number-marker", "encoding-type"])?;
    let writing = Writing::asked(call, rules)?;
    let marker = call.number("part-number-marker")?.unwrap_or(0);
    let limit = usize::try_from(call.number("max-parts")?.unwrap_or(1000)).unwrap_or(usize::MAX).min(1000);
    let upload = state.upload_of(call)?;
    let mut parts: Vec<_> = upload.parts.iter().filter(|(number, _)| u64::from(**number) > marker).collect();
    let truncated = parts.len() > limit;
    parts.truncate(limit);
    let next = parts.last().map_or(0, |(number, _)| **number);
    let mut text = format!(
        "<ListPartsResult><Bucket>{}</Bucket>{}<Key>{}</Key><UploadId>{}</UploadId>\
         <PartNumberMarker>{marker}</PartNumberMarker><NextPartNumberMarker>{next}</NextPartNumberMarker>\
         <MaxParts>{limit}</MaxParts><IsTruncated>{truncated}</IsTruncated><StorageClass>Standard</StorageClass>",
        parameter_bucket(call),
        writing.element(),
        writing.name(&upload.key),
        call.parameter("uploadId").unwrap_or_default(),
    );
    for (number, part) in parts {
        let crc = match rules.dialect {
            Dialect::Oss => format!("<HashCrc64ecma>{}</HashCrc64ecma>", part.sums.crc64),
            Dialect::S3 => String::new(),
        };
        text.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><LastModified>{}</LastModified><ETag>\"{}\"</ETag>{crc}\
             <Size>{}</Size></Part>",
            time::iso(part.modified),
            part.etag,
            part.sums.length
        ));
    }
    text.push_str("</ListPartsResult>");
    Ok(Answer::xml(text))
}
