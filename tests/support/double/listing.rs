//! The keys of a bucket, page by page, in the two versions that both services have.

use std::collections::BTreeMap;
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::answer::{Answer, Outcome, Refusal};
use super::call::{Call, encode};
use super::rules::{Dialect, Rules, Stance};
use super::state::{Bucket, State};
use super::{time, xml};

/// One page: keys, common prefixes, and behind which of them the next page begins.
struct Page {
    keys: Vec<String>,
    prefixes: Vec<String>,
    next: Option<String>,
}

/// A page of the names in `map` that begin with `prefix` and come behind `after`.
fn page<T>(map: &BTreeMap<String, T>, prefix: &str, delimiter: &str, after: &str, limit: usize) -> Page {
    let mut found = Page { keys: Vec::new(), prefixes: Vec::new(), next: None };
    let mut last = String::new();
    let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
    for key in map.range::<str, _>((from, Bound::Unbounded)).map(|(key, _)| key) {
        let Some(rest) = key.strip_prefix(prefix) else { break };
        let end = rest.find(delimiter).filter(|_| !delimiter.is_empty()).map(|end| end + delimiter.len());
        let group = end.map(|end| format!("{prefix}{}", &rest[..end]));
        if group.as_deref().is_some_and(|group| group == after || found.prefixes.last().is_some_and(|l| l == group)) {
            continue;
        }
        if found.keys.len() + found.prefixes.len() == limit {
            found.next = Some(last);
            break;
        }
        last = group.clone().unwrap_or_else(|| key.clone());
        match group {
            Some(group) => found.prefixes.push(group),
            None => found.keys.push(key.clone()),
        }
    }
    found
}

/// How a page writes names: as text, or encoded so that any name can stand in XML.
pub(crate) enum Writing {
    Text,
    /// OSS: all but the unreserved.
    Percent,
    /// S3: as a form is encoded, with slashes as they are.
    Form,
}

impl Writing {
    /// What the request asks for, as far as it is honoured.
    pub(crate) fn asked(call: &Call, rules: &Rules) -> Result<Self, Refusal> {
        match call.parameter("encoding-type") {
            None => Ok(Self::Text),
            Some("url") if rules.encoding_type == Stance::Ignored => Ok(Self::Text),
            Some("url") if rules.encoding_type == Stance::Honoured => {
                Ok(if rules.dialect == Dialect::Oss { Self::Percent } else { Self::Form })
            }
            _ => Err(Refusal::argument("Invalid Encoding Method specified in Request")),
        }
    }

    pub(crate) fn name(&self, text: &str) -> String {
        match self {
            Self::Text => xml::escape(text),
            Self::Percent => encode(text, ""),
            Self::Form => encode(text, "/ ").replace(' ', "+"),
        }
    }

    pub(crate) fn element(&self) -> &'static str {
        if matches!(self, Self::Text) { "" } else { "<EncodingType>url</EncodingType>" }
    }
}

/// How many entries a page may have.
fn limit(call: &Call, name: &str, rules: &Rules) -> Result<usize, Refusal> {
    let (usual, most) = rules.page;
    match call.number(name)?.map(|number| usize::try_from(number).unwrap_or(usize::MAX)) {
        None => Ok(usual),
        Some(asked) if rules.dialect == Dialect::Oss && !(1..=1000).contains(&asked) => {
            Err(Refusal::argument(format!("Argument {name} must be an integer between 1 and 1000.")))
        }
        Some(asked) => Ok(asked.min(most)),
    }
}

/// A page of keys, in the version that is asked for and known.
pub(crate) fn list(state: &mut State, call: &Call, rules: &Rules) -> Outcome {
    call.only(&[
        "list-type",
        "prefix",
        "delimiter",
        "max-keys",
        "encoding-type",
        "marker",
        "start-after",
        "continuation-token",
        "fetch-owner",
    ])?;
    let writing = Writing::asked(call, rules)?;
    let bucket = state.bucket_of(call)?;
    match (call.parameter("list-type"), rules.list_v2) {
        (None, _) | (_, Stance::Ignored) => first(bucket, call, rules, &writing),
        (Some("2"), Stance::Honoured) => second(bucket, call, rules, &writing),
        (Some("2"), Stance::Refused) => Err(Refusal::new(
            501,
            "NotImplemented",
            "A parameter you provided implies functionality that is not implemented.",
        )),
        _ => Err(Refusal::argument("list-type has to be 2")),
    }
}

fn first(bucket: &Bucket, call: &Call, rules: &Rules, writing: &Writing) -> Outcome {
    let parameter = |name: &str| call.parameter(name).unwrap_or_default();
    if call.parameter("list-type").is_none() {
        for name in ["start-after", "continuation-token", "fetch-owner"] {
            if call.parameter(name).is_some() {
                return Err(Refusal::argument(format!("`{name}` needs list-type=2")));
            }
        }
    }
    let limit = limit(call, "max-keys", rules)?;
    let (prefix, delimiter, marker) = (parameter("prefix"), parameter("delimiter"), parameter("marker"));
    let page = page(&bucket.objects, prefix, delimiter, marker, limit);
    // Amazon names the next marker only where keys alone would not tell it.
    let tells = rules.dialect == Dialect::Oss || !delimiter.is_empty();
    let next = page.next.as_ref().filter(|_| tells);
    let next = next.map(|next| format!("<NextMarker>{}</NextMarker>", writing.name(next))).unwrap_or_default();
    let head = format!("<Marker>{}</Marker>{next}", writing.name(marker));
    Ok(document(bucket, call, &page, limit, &head, writing, true))
}

fn second(bucket: &Bucket, call: &Call, rules: &Rules, writing: &Writing) -> Outcome {
    let parameter = |name: &str| call.parameter(name).unwrap_or_default();
    if call.parameter("marker").is_some() {
        return Err(Refusal::argument("`marker` does not go with list-type=2"));
    }
    let limit = limit(call, "max-keys", rules)?;
    let invalid = || Refusal::argument("The continuation token provided is incorrect");
    // oss2 begins with an empty one.
    let token = call.parameter("continuation-token").filter(|token| !token.is_empty() || call.dialect == Dialect::S3);
    let after = match token {
        None => parameter("start-after").to_owned(),
        Some(token) => {
            let bytes = STANDARD.decode(token).map_err(|_| invalid())?;
            String::from_utf8(bytes)
                .ok()
                .and_then(|text| text.strip_prefix("after:").map(ToOwned::to_owned))
                .ok_or_else(invalid)?
        }
    };
    let page = page(&bucket.objects, parameter("prefix"), parameter("delimiter"), &after, limit);
    let mut head = format!("<KeyCount>{}</KeyCount>", page.keys.len() + page.prefixes.len());
    let token_text = |text: &str| if rules.dialect == Dialect::Oss { writing.name(text) } else { xml::escape(text) };
    if let Some(token) = token {
        head.push_str(&format!("<ContinuationToken>{}</ContinuationToken>", token_text(token)));
    }
    if let Some(start) = call.parameter("start-after") {
        head.push_str(&format!("<StartAfter>{}</StartAfter>", writing.name(start)));
    }
    if let Some(next) = &page.next {
        let next = STANDARD.encode(format!("after:{next}"));
        head.push_str(&format!("<NextContinuationToken>{}</NextContinuationToken>", token_text(&next)));
    }
    let owner = call.parameter("fetch-owner") == Some("true");
    Ok(document(bucket, call, &page, limit, &head, writing, owner))
}

fn document(
    bucket: &Bucket,
    call: &Call,
    page: &Page,
    limit: usize,
    head: &str,
    writing: &Writing,
    owner: bool,
) -> Answer {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult>");
    text.push_str(&format!("<Name>{}</Name>", call.bucket.as_deref().unwrap_or_default()));
    text.push_str(&format!("<Prefix>{}</Prefix>", writing.name(call.parameter("prefix").unwrap_or_default())));
    text.push_str(&format!("{head}<MaxKeys>{limit}</MaxKeys>"));
    if let Some(delimiter) = call.parameter("delimiter") {
        text.push_str(&format!("<Delimiter>{}</Delimiter>", writing.name(delimiter)));
    }
    text.push_str(&format!("{}<IsTruncated>{}</IsTruncated>", writing.element(), page.next.is_some()));
    for key in &page.keys {
        let stored = &bucket.objects[key];
        let kind = match (call.dialect, stored.parts) {
            (Dialect::S3, _) => "",
            (Dialect::Oss, None) => "<Type>Normal</Type>",
            (Dialect::Oss, Some(_)) => "<Type>Multipart</Type>",
        };
        let owner = if owner { "<Owner><ID>1</ID><DisplayName>1</DisplayName></Owner>" } else { "" };
        text.push_str(&format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>\"{}\"</ETag>{kind}<Size>{}</Size>\
             <StorageClass>{}</StorageClass>{owner}</Contents>",
            writing.name(key),
            time::iso(stored.modified),
            stored.etag,
            stored.length(),
            stored.class(call.dialect),
        ));
    }
    for prefix in &page.prefixes {
        text.push_str(&format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", writing.name(prefix)));
    }
    text.push_str("</ListBucketResult>");
    Answer::xml(text)
}
