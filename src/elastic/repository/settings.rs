//! Settings of repositories: which are secret, which say what data it is, and how a cluster tells them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::meaning::meaning;

/// A repository as the cluster tells it. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// Its type: `fs`, `s3`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// What tells its data from any other; known from 7.12 on, once the cluster has read it.
    pub uuid: Option<String>,
    /// The cluster does not write to it.
    pub readonly: bool,
    /// Where its data is, in the words of its settings.
    pub settings: BTreeMap<String, String>,
    /// The settings that hold credentials, without their values. Only old clusters tell them at all.
    pub hidden_settings: Vec<String>,
    /// What the services mean by its name.
    pub meaning: Option<String>,
    /// Whether it can be a source of a copy; the automated ones of Amazon cannot.
    pub usable_as_source: bool,
}

/// Settings that hold credentials, in any plugin. They are never shown should an old cluster tell them.
const SECRET: [&str; 7] =
    ["access_key", "secret_key", "session_token", "access_key_id", "secret_access_key", "security_token", "sas_token"];

/// Settings that say which data a repository is; all others only say how to get at it.
const IDENTITY: [&str; 7] = ["location", "url", "bucket", "base_path", "endpoint", "container", "path"];

/// What OSS's plugin for 8.x puts before the names of its settings.
pub(super) const OSS_PREFIX: &str = "oss.client.";

/// Whether a setting holds a credential.
pub(super) fn is_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    SECRET.contains(&last) || last.contains("password") || last.contains("credential")
}

/// A URL with a user or password in it.
pub(super) fn has_login(url: &str) -> bool {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

/// Reads `{type, settings}` as the cluster tells it and as we send it.
pub(super) fn describe(name: String, repository: &Value) -> Repository {
    let mut settings = BTreeMap::new();
    flatten("", &repository["settings"], &mut settings);
    let readonly = ["readonly", "read_only"].iter().any(|key| settings.get(*key).is_some_and(|value| value == "true"));
    let kind = repository["type"].as_str().unwrap_or_default().to_owned();
    // A `url` repository cannot be written to, whatever its settings say.
    let readonly = readonly || kind == "url";
    let hidden_settings = settings
        .iter()
        .filter(|(key, value)| is_secret(key) || has_login(value))
        .map(|(key, _)| key.clone())
        .collect::<Vec<String>>();
    settings.retain(|key, _| !hidden_settings.contains(key));
    let uuid = repository["uuid"].as_str().filter(|uuid| !uuid.is_empty() && *uuid != "_na_").map(str::to_owned);
    let meaning = meaning(&name);
    let usable_as_source = meaning.as_ref().is_none_or(|meaning| meaning.usable);
    let meaning = meaning.map(|meaning| meaning.text);
    Repository { name, kind, uuid, readonly, settings, hidden_settings, meaning, usable_as_source }
}

/// Settings come nested where their names have dots.
fn flatten(prefix: &str, value: &Value, settings: &mut BTreeMap<String, String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(_) => flatten(&key, value, settings),
            Value::String(text) => {
                settings.insert(key, text.clone());
            }
            other => {
                settings.insert(key, other.to_string());
            }
        }
    }
}

/// In which respects two repositories are not the same data.
pub(super) fn differences(there: &Repository, wanted: &Repository) -> Vec<String> {
    let mut differences = Vec::new();
    let buckets = |repository: &Repository| matches!(repository.kind.as_str(), "s3" | "oss");
    // A bucket of OSS is the same data by either type.
    if there.kind != wanted.kind && !(buckets(there) && buckets(wanted)) {
        differences.push(format!("its type is `{}` and not `{}`", there.kind, wanted.kind));
        return differences;
    }
    for key in IDENTITY {
        match (value(there, key), value(wanted, key)) {
            // The endpoint may also stand in the client's settings, which nobody can read here.
            (None, Some(_)) | (Some(_), None) if key == "endpoint" => {}
            (there, wanted) if there.as_ref().map(|(_, plain)| plain) != wanted.as_ref().map(|(_, plain)| plain) => {
                let shown = |value: Option<(String, String)>| {
                    value.map_or_else(|| "empty".to_owned(), |(written, _)| format!("`{written}`"))
                };
                differences.push(format!("its `{key}` is {} and not {}", shown(there), shown(wanted)));
            }
            _ => {}
        }
    }
    differences
}

/// A setting as it is written, and without what does not change what data it means.
fn value(repository: &Repository, key: &str) -> Option<(String, String)> {
    let settings = &repository.settings;
    let written = settings.get(key).or_else(|| settings.get(&format!("{OSS_PREFIX}{key}")))?;
    let plain = match key {
        "base_path" => written.trim_matches('/').to_owned(),
        "endpoint" => plain_endpoint(written),
        _ => written.trim_end_matches('/').to_owned(),
    };
    (!plain.is_empty()).then(|| (written.clone(), plain))
}

/// An endpoint without its scheme; those of OSS also without their network and protocol.
fn plain_endpoint(endpoint: &str) -> String {
    let endpoint = endpoint.to_ascii_lowercase();
    let host = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, rest)| rest).trim_end_matches('/');
    match host.strip_suffix(".aliyuncs.com") {
        Some(host) => {
            let region = host.strip_prefix("s3.").unwrap_or(host).trim_end_matches("-internal");
            format!("{region}.aliyuncs.com")
        }
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn s3(settings: &Value) -> Repository {
        describe("r".into(), &json!({ "type": "s3", "settings": settings }))
    }

    #[test]
    fn one_endpoint_may_be_written_in_several_ways() {
        let there = s3(&json!({ "bucket": "b", "endpoint": "s3.pek3a.qingstor.com", "base_path": "/x/" }));
        let wanted = s3(&json!({ "bucket": "b", "endpoint": "https://s3.pek3a.qingstor.com/", "base_path": "x" }));
        assert!(differences(&there, &wanted).is_empty());
        let other = s3(&json!({ "bucket": "b", "endpoint": "https://s3.sh1a.qingstor.com", "base_path": "x" }));
        assert_eq!(differences(&there, &other).len(), 1);
    }

    #[test]
    fn a_bucket_of_oss_is_the_same_data_by_either_type() {
        let nested = json!({ "type": "oss", "settings": { "oss": { "client": {
            "bucket": "b", "endpoint": "http://oss-cn-hangzhou-internal.aliyuncs.com", "access_key_id": "geheim" } } } });
        let there = describe("r".into(), &nested);
        let wanted = s3(&json!({ "bucket": "b", "endpoint": "https://s3.oss-cn-hangzhou.aliyuncs.com" }));
        assert!(differences(&there, &wanted).is_empty(), "{:?}", differences(&there, &wanted));
        assert_eq!(there.hidden_settings, ["oss.client.access_key_id"]);
        assert!(!format!("{there:?}").contains("geheim"));
    }
}
