//! Snapshot repositories of a cluster: registering one read-only and proving that it shows what it should.
//!
//! Registering goes like this:
//! 1. See what the name means now. Other data under the same name is refused; a writable registration of the same data goes
//!    stale as soon as somebody else writes (finding 8), so it is replaced by a read-only one, and said.
//! 2. Register, always `readonly: true` and never with credentials: those belong into the cluster's keystore.
//! 3. The cluster's word proves nothing (finding 9), so list and look for every expected snapshot by its UUID.
//! 4. A failed registration stays behind (finding 10): remove it when the name was free before, else say that it is there.
//!
//! It does not copy anything and does not know what a location holds; `store` and `repo` do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::client::{Client, Told};
use super::failure::Failure;
use super::name;
use super::request::Request;
use super::selection::quoted;
use super::snapshot::{self, Detail, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// Where a repository's data is, as the nodes of the cluster see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory that every node sees, below `path.repo`.
    Fs {
        /// The directory.
        location: String,
    },
    /// Plain files behind a URL that `repositories.url.allowed_urls` allows.
    Url {
        /// The address of the repository's root.
        url: String,
    },
    /// A bucket of Amazon S3 or something compatible.
    S3(S3),
}

/// A repository in a bucket. Keys are not part of it: they are in the cluster's keystore under `client`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// The prefix in it; slashes around it do not matter and are not sent.
    pub base_path: String,
    /// Another address than Amazon's, with its scheme.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The bucket goes into the path and not into the host name.
    pub path_style: bool,
    /// The name of the client whose keys are used; `default` if none is given.
    pub client: Option<String>,
}

/// A repository to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its name in the cluster.
    pub name: String,
    /// Where its data is.
    pub kind: Kind,
    /// Further settings, sent as they are; neither credentials nor `readonly` may be among them.
    pub settings: BTreeMap<String, String>,
}

/// What to do when the name already means other data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// Refuse.
    #[default]
    Never,
    /// Let the name mean the new data from now on.
    OtherData,
}

/// A snapshot that must be there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// Its name, for messages.
    pub name: String,
    /// What is looked for.
    pub uuid: String,
}

/// A repository that was registered and looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// The name was in use before, for the same data or with permission for others.
    pub replaced: bool,
    /// What it shows.
    pub snapshots: Vec<Snapshot>,
}

/// A repository as the cluster tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// Its type: `fs`, `s3`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// The cluster does not write to it.
    pub readonly: bool,
    /// Where its data is, in the words of its settings.
    pub settings: BTreeMap<String, String>,
}

/// Settings that hold credentials, in any plugin. They are never sent, and never shown should an old cluster tell them.
const SECRET: [&str; 7] =
    ["access_key", "secret_key", "session_token", "access_key_id", "secret_access_key", "security_token", "sas_token"];

/// Settings that say which data a repository is; all others only say how to get at it.
const IDENTITY: [&str; 7] = ["location", "url", "bucket", "base_path", "endpoint", "container", "path"];

/// Registers a repository read-only and checks that it shows every expected snapshot.
///
/// Fails with [`ErrorKind::AlreadyExists`] when the name means other data and `replace` does not allow that, and with
/// [`ErrorKind::NotFound`] when an expected snapshot is not there.
pub async fn register(
    client: &Client,
    registration: &Registration,
    expected: &[Expected],
    replace: Replace,
    reporter: &dyn Reporter,
) -> Result<Registered> {
    let Registration { name, .. } = registration;
    name::check("repository", name)?;
    let body = body(client, registration)?;
    let doing = format!("register the repository `{name}`");
    let before = find(client, name).await?;
    if let Some(before) = &before {
        let wanted = describe(name.clone(), &body);
        let differences = differences(before, &wanted);
        if !differences.is_empty() && replace == Replace::Never {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("{doing} on `{}`", client.place()))
                .because(format!("the name already means other data: {}", differences.join(", ")))
                .hint("choose another name, remove that repository, or ask for it to be replaced"));
        }
        if !before.readonly {
            let text =
                format!("repository `{name}` was registered writable on `{}`; it becomes read-only", client.place());
            reporter.report(&Event::Warning(&text));
        }
    }
    if let Kind::S3(S3 { path_style: false, endpoint: Some(_), .. }) = &registration.kind
        && !client.capability().virtual_host_style
    {
        let text = format!("{} always puts the bucket into the path; the endpoint must accept that", client.version());
        reporter.report(&Event::Warning(&text));
    }
    let put = Request::put(doing.clone(), &["_snapshot", name]).body(&body);
    let shown = match client.try_call(put).await {
        Ok(_) => show(client, name, expected, &doing).await,
        // Up to 7.x a repository in use cannot be registered again; as it is, it will do.
        Err(refusal) if refusal.failure.as_ref().is_some_and(Failure::is_in_use) && suits(before.as_ref(), &body) => {
            let text = format!("repository `{name}` is in use and stays registered as it is");
            reporter.report(&Event::Warning(&text));
            show(client, name, expected, &doing).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    match shown {
        Ok(snapshots) => Ok(Registered { name: name.clone(), replaced: before.is_some(), snapshots }),
        Err(error) if before.is_some() => {
            Err(left_behind(error, &format!("`{name}` stays registered, with the new settings")))
        }
        Err(error) => Err(clean_up(client, name, error).await),
    }
}

/// The registration that is there is read-only and means the same data.
fn suits(before: Option<&Repository>, body: &Value) -> bool {
    before.is_some_and(|before| before.readonly && differences(before, &describe(before.name.clone(), body)).is_empty())
}

/// Lists what is registered.
pub async fn list(client: &Client) -> Result<Vec<Repository>> {
    let answer = client.call(Request::get("list the repositories", &["_snapshot"])).await?;
    let entries = answer.as_object().into_iter().flatten();
    Ok(entries.map(|(name, repository)| describe(name.clone(), repository)).collect())
}

/// The repository of this name, if it is registered.
pub async fn find(client: &Client, name: &str) -> Result<Option<Repository>> {
    name::check("repository", name)?;
    match client.try_call(Request::get(format!("look up the repository `{name}`"), &["_snapshot", name])).await {
        Ok(answer) => Ok(answer.get(name).map(|repository| describe(name.to_owned(), repository))),
        Err(refusal) if refusal.error.kind() == ErrorKind::NotFound => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Makes the cluster forget a repository; the data stays.
///
/// Fails with [`ErrorKind::NotFound`] when it is not registered, with [`ErrorKind::Precondition`] while it is in use.
pub async fn remove(client: &Client, name: &str) -> Result<()> {
    name::check("repository", name)?;
    let doing = format!("remove the repository `{name}`");
    // A repeat of a request that was done would say that there is nothing to remove.
    match client.call_once(Request::delete(doing.clone(), &["_snapshot", name])).await {
        Ok(Told::Answer(_)) => Ok(()),
        Ok(Told::Lost(error)) => match find(client, name).await? {
            None => Ok(()),
            Some(_) => Err(error),
        },
        Err(refusal) if refusal.failure.as_ref().is_some_and(Failure::is_in_use) => {
            Err(Error::new(ErrorKind::Precondition, format!("{doing} on `{}`", client.place()))
                .because(refusal.error.cause().unwrap_or_default())
                .hint("wait until the snapshot or restore that uses it has ended"))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// Lists the freshly registered repository and checks it against what is expected.
async fn show(client: &Client, name: &str, expected: &[Expected], doing: &str) -> Result<Vec<Snapshot>> {
    let snapshots =
        snapshot::list(client, name, Detail::Short).await.map_err(|error| error.while_doing(doing.to_owned()))?;
    let there: BTreeSet<&str> = snapshots.iter().map(|snapshot| snapshot.uuid.as_str()).collect();
    let missing: Vec<&str> = expected
        .iter()
        .filter(|wanted| !there.contains(wanted.uuid.as_str()))
        .map(|wanted| wanted.name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(snapshots);
    }
    let cause =
        format!("the cluster took it, but shows {} snapshots of which none is {}", snapshots.len(), quoted(&missing));
    Err(Error::new(ErrorKind::NotFound, format!("{doing} on `{}`", client.place()))
        .because(cause)
        .hint("check that the cluster's nodes see the place that was synced to, and sync again if they do"))
}

/// Takes back a registration that failed, and says what became of it.
async fn clean_up(client: &Client, name: &str, error: Error) -> Error {
    let fate = match find(client, name).await {
        Ok(None) => return error,
        Ok(Some(_)) => match remove(client, name).await {
            Ok(()) => format!("the cluster had kept `{name}` nevertheless; it was removed again"),
            Err(why) => format!("`{name}` was left registered, because it could not be removed: {why}"),
        },
        Err(_) => format!("`{name}` may have been left registered"),
    };
    left_behind(error, &fate)
}

fn left_behind(error: Error, fate: &str) -> Error {
    let cause = error.cause().unwrap_or_else(|| error.kind().word().to_owned());
    error.because(format!("{cause} ({fate})"))
}

/// The document that registers it in this version.
fn body(client: &Client, registration: &Registration) -> Result<Value> {
    let mut settings = registration.settings.clone();
    let wrong = |cause: String, hint: &'static str| {
        Error::new(ErrorKind::Invalid, format!("register the repository `{}`", registration.name))
            .because(cause)
            .hint(hint)
    };
    if let Some(key) = settings.keys().find(|key| is_secret(key)) {
        return Err(wrong(
            format!("the setting `{key}` holds a credential"),
            "put it into the Elasticsearch keystore under a client name and give that as `client`",
        ));
    }
    if settings.get("readonly").is_some_and(|value| value != "true") {
        return Err(wrong(
            "a copy that a cluster writes to goes stale or is damaged".into(),
            "leave `readonly` out: it is always true",
        ));
    }
    let mut set = |key: &str, value: &str| settings.insert(key.to_owned(), value.to_owned());
    let kind = match &registration.kind {
        Kind::Fs { location } => {
            set("location", location);
            "fs"
        }
        Kind::Url { url } if has_login(url) => {
            return Err(wrong(
                "the address holds a user or password".into(),
                "serve the data where no login is needed",
            ));
        }
        Kind::Url { url } => {
            set("url", url);
            "url"
        }
        Kind::S3(s3) => {
            set("bucket", &s3.bucket);
            let base_path = s3.base_path.trim_matches('/');
            if !base_path.is_empty() {
                set("base_path", base_path);
            }
            if let Some(endpoint) = &s3.endpoint {
                set("endpoint", endpoint);
            }
            if let Some(region) = &s3.region
                && (s3.endpoint.is_none() || client.capability().region_beside_endpoint)
            {
                set("region", region);
            }
            if s3.path_style {
                set("path_style_access", "true");
            }
            if let Some(name) = &s3.client {
                set("client", name);
            }
            "s3"
        }
    };
    set("readonly", "true");
    Ok(json!({ "type": kind, "settings": settings }))
}

fn is_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    SECRET.contains(&last) || last.contains("password") || last.contains("credential")
}

/// A URL with a user or password in it.
fn has_login(url: &str) -> bool {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

/// Reads `{type, settings}` as the cluster tells it and as we send it.
fn describe(name: String, repository: &Value) -> Repository {
    let mut settings = BTreeMap::new();
    flatten("", &repository["settings"], &mut settings);
    let readonly = ["readonly", "read_only"].iter().any(|key| settings.get(*key).is_some_and(|value| value == "true"));
    let kind = repository["type"].as_str().unwrap_or_default().to_owned();
    // A `url` repository cannot be written to, whatever its settings say.
    let readonly = readonly || kind == "url";
    settings.retain(|key, value| !is_secret(key) && !has_login(value));
    Repository { name, kind, readonly, settings }
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
fn differences(there: &Repository, wanted: &Repository) -> Vec<String> {
    let mut differences = Vec::new();
    if there.kind != wanted.kind {
        differences.push(format!("its type is `{}` and not `{}`", there.kind, wanted.kind));
        return differences;
    }
    for key in IDENTITY {
        let value = |repository: &Repository| {
            let value = repository.settings.get(key)?.trim_end_matches('/');
            let value = if key == "base_path" { value.trim_start_matches('/') } else { value };
            (!value.is_empty()).then(|| value.to_owned())
        };
        match (value(there), value(wanted)) {
            // The endpoint may also stand in the client's settings, which nobody can read here.
            (None, Some(_)) | (Some(_), None) if key == "endpoint" => {}
            (there, wanted) if there != wanted => {
                let shown =
                    |value: Option<String>| value.map_or_else(|| "empty".to_owned(), |value| format!("`{value}`"));
                differences.push(format!("its `{key}` is {} and not {}", shown(there), shown(wanted)));
            }
            _ => {}
        }
    }
    differences
}
