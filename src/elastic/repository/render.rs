//! The document that registers a repository in a given version of a given vendor's cluster.
//!
//! | cluster | keys | where the bucket is |
//! |---|---|---|
//! | Elasticsearch 5 | in the settings, or from 5.5 on in the keystore under `client` | `endpoint` and never `region`, which would win over it |
//! | Elasticsearch 6 to 8, OpenSearch | in the keystore under `client`; in the settings only where the nodes' JVM allows it | `endpoint`, `path_style_access` |
//! | Elasticsearch 9 | in the keystore under `client` | `endpoint` with its scheme, `region` |
//! | a domain of Amazon's | `role_arn` | `region`, or `s3.amazonaws.com` for `us-east-1` |
//! | type `oss` | in the settings | `endpoint`; from 8.0 on every name begins with `oss.client.` |
//!
//! The rules are those of `elasticsearch-api.md` 2.2. Nothing is sent from here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kind::{Keys, Kind, Registration};
use super::settings::{has_login, is_secret};
use super::target::Target;
use super::{oss, s3};
use crate::elastic::name;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// A registration as it goes to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The repository's name.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    pub(super) settings: BTreeMap<String, String>,
    /// Settings that are sent and shown nowhere: the name, the placeholder, and the secret if it is known.
    secrets: Vec<(String, &'static str, Option<Secret>)>,
    /// The commands that put the keys into the keystore of each node, where that is the place for them.
    pub keystore: Vec<String>,
    /// What the user ought to know about it.
    pub notes: Vec<String>,
}

impl Rendered {
    /// Fails where a key has a place in the document and is not known: it can be shown and not sent.
    pub fn check_keys(&self) -> Result<()> {
        match self.secrets.iter().find(|(_, _, secret)| secret.is_none()) {
            None => Ok(()),
            Some((key, ..)) => Err(Error::new(ErrorKind::Invalid, doing(&self.name))
                .because(format!(
                    "the type `{}` takes `{key}` from the settings, and no keys are to be sent",
                    self.kind
                ))
                .hint(
                    "add `--keys-in-settings` (best with a store of its own whose keys only read), or \
                     `--setting ecs_ram_role=<role>`, or use `--type s3`",
                )),
        }
    }

    /// The document as it is sent.
    pub(super) fn body(&self) -> Result<Value> {
        self.check_keys()?;
        let mut settings = self.settings.clone();
        let known = self.secrets.iter().filter_map(|(key, _, secret)| Some((key.clone(), secret.as_ref()?)));
        settings.extend(known.map(|(key, secret)| (key, secret.expose().to_owned())));
        Ok(json!({ "type": self.kind, "settings": settings }))
    }

    /// The document as it may be shown: placeholders stand where keys go.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut settings = self.settings.clone();
        settings.extend(self.secrets.iter().map(|(key, placeholder, _)| (key.clone(), (*placeholder).to_owned())));
        json!({ "type": self.kind, "settings": settings })
    }

    /// Whether keys are among the settings.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// A text of the cluster without our keys, should it repeat them.
    pub(super) fn redact(&self, text: String) -> String {
        let known = self.secrets.iter().filter_map(|(_, placeholder, secret)| Some((placeholder, secret.as_ref()?)));
        known.fold(text, |text, (placeholder, secret)| match secret.expose() {
            "" => text,
            secret => text.replace(secret, placeholder),
        })
    }

    pub(super) fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        // What the user says in so many words goes before what is concluded.
        self.settings.entry(key.into()).or_insert_with(|| value.into());
    }

    pub(super) fn keys(&mut self, keys: &Keys, names: [&str; 2], prefix: &str) {
        let (id, secret) = match keys {
            Keys::None => return,
            Keys::Placeholder => (None, None),
            Keys::Given { id, secret } => (Some(id.clone()), Some(secret.clone())),
        };
        self.secrets.push((format!("{prefix}{}", names[0]), "<access_key>", id));
        self.secrets.push((format!("{prefix}{}", names[1]), "<secret_key>", secret));
    }
}

/// What is being done, for errors.
pub(super) fn doing(name: &str) -> String {
    format!("register the repository `{name}`")
}

/// Writes a registration for a cluster.
///
/// Fails with [`ErrorKind::Invalid`] for what no cluster of this kind can be told, with [`ErrorKind::Unsupported`] for a type that
/// the version, or a node of it, does not have.
pub fn render(target: &Target, registration: &Registration) -> Result<Rendered> {
    name::check("repository", &registration.name)?;
    check(registration)?;
    let mut rendered = Rendered {
        name: registration.name.clone(),
        kind: "fs",
        settings: registration.settings.clone(),
        secrets: Vec::new(),
        keystore: Vec::new(),
        notes: Vec::new(),
    };
    match &registration.kind {
        Kind::Fs { location } => rendered.set("location", location),
        Kind::Url { url } => {
            rendered.kind = "url";
            rendered.set("url", url);
        }
        Kind::S3(bucket) => s3::render(target, bucket, &mut rendered)?,
        Kind::Oss(bucket) => oss::render(target, bucket, &mut rendered)?,
    }
    rendered.settings.insert("readonly".to_owned(), "true".to_owned());
    target.require(rendered.kind, &doing(&registration.name))?;
    Ok(rendered)
}

/// Refuses what must not be among the settings.
fn check(registration: &Registration) -> Result<()> {
    let wrong = |cause: String, hint: &'static str| {
        Err(Error::new(ErrorKind::Invalid, doing(&registration.name)).because(cause).hint(hint))
    };
    if let Some(key) = registration.settings.keys().find(|key| is_secret(key)) {
        return wrong(
            format!("the setting `{key}` holds a credential"),
            "put it into the keystore of the cluster's nodes under a client name and give that as `client`; where keys must be \
             settings, `--keys-in-settings` takes them from the store's own configuration",
        );
    }
    if registration.settings.get("readonly").is_some_and(|value| value != "true") {
        return wrong(
            "a copy that a cluster writes to goes stale or is damaged".into(),
            "leave `readonly` out: it is always true",
        );
    }
    match &registration.kind {
        Kind::Url { url } if has_login(url) => {
            wrong("the address holds a user or password".into(), "serve the data where no login is needed")
        }
        _ => Ok(()),
    }
}
