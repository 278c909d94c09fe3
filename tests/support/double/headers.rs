//! Headers of requests: which are known at all, and which an object keeps.

use std::collections::BTreeMap;

use super::answer::Refusal;
use super::call::Call;
use super::rules::{Dialect, Rules, Stance};

/// Headers of any service that an object keeps.
const KEPT: [&str; 6] =
    ["content-type", "content-encoding", "content-disposition", "content-language", "cache-control", "expires"];

/// Own headers that an object keeps, without the prefix; besides `meta-`.
const KEPT_OWN: [&str; 6] = [
    "storage-class",
    "server-side-encryption",
    "server-side-encryption-key-id",
    "server-side-encryption-aws-kms-key-id",
    "tagging",
    "website-redirect-location",
];

/// Own headers of both services that are read, without the prefix.
const KNOWN: [&str; 11] = [
    "date",
    "content-sha256",
    "security-token",
    "request-payer",
    "copy-source",
    "copy-source-range",
    "copy-source-if-match",
    "metadata-directive",
    "tagging-directive",
    "object-acl",
    "acl",
];
const KNOWN_OSS: [&str; 3] = ["forbid-overwrite", "range-behavior", "traffic-limit"];
const KNOWN_S3: [&str; 10] = [
    "checksum-mode",
    "checksum-type",
    "checksum-algorithm",
    "sdk-checksum-algorithm",
    "trailer",
    "decoded-content-length",
    "user-agent",
    "expected-bucket-owner",
    "mp-object-size",
    "optional-object-attributes",
];

/// Refuses what the service does not know, or does not want.
pub(crate) fn check(call: &Call, rules: &Rules) -> Result<(), Refusal> {
    let other = if rules.dialect == Dialect::Oss { "x-amz-" } else { "x-oss-" };
    for (name, value) in &call.headers {
        let name = name.as_str();
        if name.starts_with(other) {
            return Err(Refusal::argument(format!("`{name}` belongs to another service")));
        }
        if name == "content-encoding" && value.as_bytes().starts_with(b"aws-chunked") && rules.dialect == Dialect::Oss {
            return Err(Refusal::argument(
                "aws-chunked encoding is not supported with the specified x-oss-content-sha256",
            ));
        }
        let Some(own) = name.strip_prefix(rules.dialect.prefix()) else { continue };
        let known = own.starts_with("meta-")
            || KNOWN.contains(&own)
            || KEPT_OWN.contains(&own)
            || match rules.dialect {
                Dialect::Oss => KNOWN_OSS.contains(&own),
                Dialect::S3 => KNOWN_S3.contains(&own) || own.starts_with("checksum-crc"),
            };
        if !known {
            return Err(Refusal::new(501, "NotImplemented", format!("the header `{name}` is not known here")));
        }
    }
    let class = call.own("storage-class").unwrap_or_else(|| classes(rules.dialect)[0]);
    if !classes(rules.dialect).contains(&class) {
        return Err(Refusal::new(400, "InvalidStorageClass", "The storage class you specified is not valid"));
    }
    let method = call.own("server-side-encryption").unwrap_or("AES256");
    if !["AES256", "KMS", "SM4", "aws:kms"].contains(&method) {
        return Err(Refusal::new(400, "InvalidEncryptionAlgorithmError", "The encryption method is not supported"));
    }
    if rules.dialect == Dialect::S3 && rules.requester_pays && call.own("request-payer") != Some("requester") {
        return Err(Refusal::new(403, "AccessDenied", "Access Denied: the requester pays for this bucket"));
    }
    Ok(())
}

fn classes(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Oss => &["Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive"],
        Dialect::S3 => &[
            "STANDARD",
            "STANDARD_IA",
            "ONEZONE_IA",
            "INTELLIGENT_TIERING",
            "REDUCED_REDUNDANCY",
            "GLACIER_IR",
            "GLACIER",
            "DEEP_ARCHIVE",
        ],
    }
}

/// What the object of a write keeps.
pub(crate) fn kept(call: &Call) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for name in call.headers.keys().map(http::HeaderName::as_str) {
        let own = name.strip_prefix(call.dialect.prefix());
        if KEPT.contains(&name) || own.is_some_and(|own| own.starts_with("meta-") || KEPT_OWN.contains(&own)) {
            let value = call.header(name).unwrap_or_default().to_owned();
            kept.insert(name.to_owned(), value);
        }
    }
    // The encoding of the transfer is not the object's.
    let encoding =
        kept.get("content-encoding").and_then(|value| value.strip_prefix("aws-chunked")).map(ToOwned::to_owned);
    if let Some(rest) = encoding {
        match rest.trim_start_matches([',', ' ']) {
            "" => drop(kept.remove("content-encoding")),
            rest => drop(kept.insert("content-encoding".to_owned(), rest.to_owned())),
        }
    }
    kept
}

/// Whether a write must not replace: what the service has for it, as far as it is honoured.
pub(crate) fn creates_only(call: &Call, rules: &Rules) -> Result<bool, Refusal> {
    if rules.dialect == Dialect::Oss {
        if call.header("if-none-match").is_some() || call.header("if-match").is_some() {
            return Err(Refusal::new(
                501,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented.",
            ));
        }
        return Ok(call.own("forbid-overwrite") == Some("true"));
    }
    match (call.header("if-none-match"), rules.conditional_writes) {
        (None, _) | (_, Stance::Ignored) => Ok(false),
        (Some("*"), Stance::Honoured) => Ok(true),
        _ => Err(Refusal::new(
            501,
            "NotImplemented",
            "A header you provided implies functionality that is not implemented.",
        )),
    }
}

/// The refusal of a write that would replace.
pub(crate) fn exists(dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::Oss => Refusal::new(
            409,
            "FileAlreadyExists",
            "The object you specified already exists and can not be overwritten.",
        ),
        Dialect::S3 => {
            Refusal::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        }
    }
}
