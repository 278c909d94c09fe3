//! The section of a store: which keys go together, and the options they become.

use std::path::PathBuf;

use super::raw::Section;
use super::{StorePlace, address, not_both, placed, raw, secret, wrong};
use crate::error::Result;
use crate::store::{
    Addressing, ListVersion, Location, Network, Options, Overrides, PROVIDERS, Protocol, Scheme, Signature, is_region,
};

/// Finds the mistakes of a section that show without reading secrets.
pub(super) fn check(name: &str, section: &Section) -> Result<()> {
    let Some(url) = section.text("url") else {
        return Err(wrong(section, "url", &format!("`[store.{name}]` has no `url`")).hint(format!(
            "add `url = \"s3://bucket/prefix\"`, or set `SNAPFERRY_STORE_{}_URL`",
            raw::variable_name(name)
        )));
    };
    let location = Location::parse(url).map_err(|error| placed(section, "url", &error))?;
    if location.scheme() == Scheme::File
        && let Some(key) = section.0.keys().find(|key| **key != "url")
    {
        return Err(wrong(section, key, &format!("`{key}` in `[store.{name}]` means nothing for a directory"))
            .hint("a `file://` store has only `url`"));
    }
    misplaced(name, section, location.scheme())?;
    for key in ["region", "zone"] {
        if section.text(key).is_some_and(|text| !is_region(text)) {
            return Err(wrong(section, key, &format!("`{key}` of `[store.{name}]` is no name of a region"))
                .hint("a region is letters, digits and `-`, for example \"eu-west-1\""));
        }
    }
    if section.0.contains_key("encryption_key") && !section.0.contains_key("encryption") {
        return Err(wrong(
            section,
            "encryption_key",
            &format!("`[store.{name}]` has an `encryption_key` and no `encryption`"),
        )
        .hint("add `encryption = \"aws:kms\"`, or \"KMS\" for OSS"));
    }
    if let Some(endpoint) = section.text("endpoint") {
        address(endpoint, section.switch("allow_http"), Some((section, "endpoint")))?;
    }
    if let Some(endpoint) = section.text("sts_endpoint") {
        address(endpoint, section.switch("allow_http"), Some((section, "sts_endpoint")))?;
    }
    if let Some(tags) = section.text("tags")
        && !tags.split('&').all(|tag| tag.split_once('=').is_some_and(|(name, _)| !name.is_empty()))
    {
        return Err(wrong(section, "tags", &format!("`tags` of `[store.{name}]` is not written as tags are"))
            .hint("write `tags = \"team=search&kind=snapshot\"`"));
    }
    for key in ["access_key_id", "secret_access_key", "session_token"] {
        not_both(section, key)?;
    }
    let has = |key: &str| section.0.contains_key(key) || section.0.contains_key(format!("{key}_file").as_str());
    let pair = (has("access_key_id"), has("secret_access_key"));
    let lonely = match pair {
        (true, false) => Some(("access_key_id", "secret_access_key")),
        (false, true) => Some(("secret_access_key", "access_key_id")),
        (false, false) if has("session_token") => Some(("session_token", "access_key_id")),
        _ => None,
    };
    if let Some((key, missing)) = lonely {
        return Err(wrong(section, key, &format!("`[store.{name}]` has `{key}` and no `{missing}`"))
            .hint(format!("add `{missing}` or `{missing}_file`, or leave both out to use the vendor's usual chain")));
    }
    if pair.0 && section.text("profile").is_some() {
        return Err(wrong(section, "profile", &format!("`[store.{name}]` has keys of its own and a `profile`"))
            .hint("leave one of the two out"));
    }
    Ok(())
}

/// Keys that mean something for one kind of store only.
const OF_ONE: [(&str, &[Scheme], &str); 8] = [
    ("zone", &[Scheme::Qingstor], "a `qingstor://` store; the others have `region`"),
    ("network", &[Scheme::Oss], "an `oss://` store"),
    ("protocol", &[Scheme::Oss], "an `oss://` store"),
    ("signature", &[Scheme::Oss], "an `oss://` store"),
    ("ram_role", &[Scheme::Oss], "an `oss://` store"),
    ("metadata_endpoint", &[Scheme::Oss], "an `oss://` store"),
    ("sts_endpoint", &[Scheme::Oss], "an `oss://` store"),
    ("profile", &[Scheme::S3, Scheme::Oss], "an `s3://` or `oss://` store"),
];

fn misplaced(name: &str, section: &Section, scheme: Scheme) -> Result<()> {
    for (key, schemes, belongs) in OF_ONE {
        if section.0.contains_key(key) && !schemes.contains(&scheme) {
            return Err(wrong(
                section,
                key,
                &format!("`{key}` in `[store.{name}]` means nothing for `{}://`", scheme.word()),
            )
            .hint(format!("it belongs to {belongs}")));
        }
    }
    if section.0.contains_key("zone") && section.0.contains_key("region") {
        return Err(wrong(section, "zone", &format!("`[store.{name}]` has a `zone` and a `region`"))
            .hint("they are two words for one thing: leave one of the two out"));
    }
    Ok(())
}

/// The place that a section describes.
pub(super) fn read(name: &str, section: &Section) -> Result<StorePlace> {
    let url = section.text("url").unwrap_or_default();
    let location = Location::parse(url).map_err(|error| placed(section, "url", &error))?;
    let text = |key: &str| section.text(key).map(ToOwned::to_owned);
    let address = |key: &str| section.text(key).map(|text| text.trim_end_matches('/').to_owned());
    let options = Options {
        endpoint: address("endpoint"),
        region: text("region"),
        zone: text("zone"),
        network: match section.text("network") {
            Some("internal") => Network::Internal,
            Some("accelerate") => Network::Accelerate,
            _ => Network::Public,
        },
        protocol: if section.text("protocol") == Some("s3") { Protocol::S3 } else { Protocol::Oss },
        signature: if section.text("signature") == Some("v1") { Signature::V1 } else { Signature::V4 },
        addressing: match section.text("addressing") {
            Some("path") => Addressing::Path,
            Some("virtual") => Addressing::Virtual,
            _ => Addressing::Auto,
        },
        access_key_id: secret(name, section, "access_key_id")?,
        secret_access_key: secret(name, section, "secret_access_key")?,
        session_token: secret(name, section, "session_token")?,
        profile: text("profile"),
        ram_role: text("ram_role"),
        metadata_endpoint: address("metadata_endpoint"),
        sts_endpoint: address("sts_endpoint"),
        ca_bundle: section.text("ca_bundle").map(PathBuf::from),
        proxy: super::proxy(section),
        dialect: dialect(section),
        requester_pays: section.switch("requester_pays"),
        storage_class: text("storage_class"),
        encryption: text("encryption"),
        encryption_key: text("encryption_key"),
        tags: text("tags"),
    };
    Ok(StorePlace { location, options })
}

/// What is said of the server in place of what is known of its provider.
fn dialect(section: &Section) -> Overrides {
    let named = |word: &str| PROVIDERS.iter().find(|(known, ..)| *known == word).map(|(_, provider, _)| *provider);
    Overrides {
        provider: section.text("provider").and_then(named),
        list_version: section.text("list_version").map(|word| match word {
            "v1" => ListVersion::V1,
            "v2" => ListVersion::V2,
            _ => ListVersion::Auto,
        }),
        encoding_type: section.set("encoding_type"),
        etag_md5: section.ability("etag_md5"),
        checksum_header: section.ability("checksum_header"),
        checksum_trailer: section.ability("checksum_trailer"),
        delete_md5: section.set("delete_md5"),
        delete_batch: section.set("delete_batch"),
        conditional_writes: section.ability("conditional_writes"),
        dot_segments: section.ability("dot_segments"),
        min_part: section.number("min_part"),
        server_copy: section.set("server_copy"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Kind, STORE};
    use crate::store::PROVIDERS;

    #[test]
    fn every_provider_can_be_named() {
        let words: Vec<&str> = PROVIDERS.iter().map(|(word, ..)| *word).collect();
        let spec = STORE.iter().find(|spec| spec.name == "provider").expect("it is a key");
        assert!(matches!(spec.kind, Kind::Choice(known) if known == words.as_slice()));
    }
}
