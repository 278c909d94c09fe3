//! Flags about clusters, repositories and restores that several commands share.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Session;
use crate::config::{Cluster, StorePlace};
use crate::elastic::conflict::Conflict;
use crate::elastic::follow::Patience;
use crate::elastic::rename::Rename;
use crate::elastic::repository::{Kind, Registration, Replace, S3};
use crate::elastic::restore::{Aliases, IGNORED};
use crate::elastic::{self, Client};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::restore;
use crate::ops::snapshot::Which;
use crate::store::{Scheme, path_style, s3_endpoint};
use crate::wire;

/// How a cluster sees a repository.
#[derive(Debug, Args)]
pub(super) struct Registering {
    /// The repository type [default: `fs` for `file://`, `s3` for `s3://`]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Option<TypeWord>,
    /// With `--type url`: where the nodes read the repository; `repositories.url.allowed_urls` must allow it
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// With type `s3`: the name of the client whose keys are in the cluster's keystore [default: `default`]
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// A further setting of the repository, or another value for one that snapferry sets, as the nodes need it: `--setting endpoint=http://minio:9000`. Never a credential
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    setting: Vec<(String, String)>,
    /// Let the repository's name mean this data even if it means other data now
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TypeWord {
    Fs,
    Url,
    S3,
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write `key=value`".to_owned()),
    }
}

impl Registering {
    /// The registration of `place` under `name`. Without a place, `--type url --url` says it all.
    pub(super) fn registration(&self, name: &str, place: Option<&StorePlace>) -> Result<Registration> {
        let invalid = |cause: &str, hint: &str| {
            Error::new(ErrorKind::Invalid, format!("register `{name}`")).because(cause.to_owned()).hint(hint.to_owned())
        };
        let scheme = place.map(|place| place.location.scheme());
        let kind = match (self.kind, scheme) {
            (Some(kind), _) => kind,
            (None, Some(Scheme::File)) => TypeWord::Fs,
            (None, Some(Scheme::S3 | Scheme::Oss | Scheme::Qingstor)) => TypeWord::S3,
            (None, None) => TypeWord::Url,
        };
        if self.url.is_some() && kind != TypeWord::Url {
            return Err(invalid("`--url` belongs to `--type url`", "add `--type url`, or leave `--url` out"));
        }
        let kind = match (kind, place) {
            (TypeWord::Url, _) => match &self.url {
                Some(url) => Kind::Url { url: url.clone() },
                None => {
                    return Err(invalid("a repository of type `url` needs `--url`", "add `--url http://host/path/`"));
                }
            },
            (TypeWord::Fs, Some(place)) if scheme == Some(Scheme::File) => {
                Kind::Fs { location: place.location.directory().to_string_lossy().into_owned() }
            }
            (TypeWord::S3, Some(place)) if scheme != Some(Scheme::File) => Kind::S3(S3 {
                bucket: place.location.bucket().to_owned(),
                base_path: place.location.prefix().to_owned(),
                endpoint: s3_endpoint(&place.location, &place.options),
                region: place.options.region.clone(),
                path_style: path_style(&place.location, &place.options),
                client: self.client.clone(),
            }),
            (_, None) => return Err(invalid("no location is given", "name where the repository lies")),
            _ => {
                return Err(invalid(
                    "the type does not fit the location",
                    "`fs` goes with `file://`, `s3` with `s3://`, `oss://` and `qingstor://`, and `url` with anything that the nodes can read by HTTP",
                ));
            }
        };
        let settings: BTreeMap<String, String> = self.setting.iter().cloned().collect();
        Ok(Registration { name: name.to_owned(), kind, settings })
    }

    /// Whether the name may be taken from other data.
    pub(super) fn replace(&self) -> Replace {
        if self.replace { Replace::OtherData } else { Replace::Never }
    }

    /// The word for the type in results.
    pub(super) fn type_word(registration: &Registration) -> &'static str {
        match registration.kind {
            Kind::Fs { .. } => "fs",
            Kind::Url { .. } => "url",
            Kind::S3(_) => "s3",
        }
    }
}

/// What to restore, and how.
#[derive(Debug, Args)]
pub(super) struct Restoring {
    /// The indices to restore: names, patterns and exclusions, separated by commas (`logs-*,-logs-old`) [default: all whose names do not begin with a dot]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true)]
    indices: Vec<String>,
    /// What to do when an index of that name is there: restore nothing, close it and restore over it, or leave it alone
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    conflict: ConflictWord,
    /// A regular expression; each match in an index name is replaced by `--rename-replacement`
    #[arg(long, value_name = "PATTERN", requires = "rename_replacement")]
    rename_pattern: Option<String>,
    /// What replaces a match; `$1` is its first group
    #[arg(long, value_name = "TEXT", requires = "rename_pattern")]
    rename_replacement: Option<String>,
    /// Leave the aliases of the snapshot behind
    #[arg(long)]
    without_aliases: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ConflictWord {
    #[default]
    Fail,
    Close,
    Skip,
}

/// How long a restore or snapshot may stand still before it counts as failed.
const STALL: Duration = Duration::from_mins(10);

/// How to wait for what a cluster does.
pub(super) fn patience() -> Patience {
    Patience { stall: STALL, ..Patience::default() }
}

impl Restoring {
    /// The options of a restore.
    pub(super) fn options(&self, repository: &str, snapshot: &str) -> Result<restore::Options> {
        let rename = match (&self.rename_pattern, &self.rename_replacement) {
            (Some(pattern), Some(replacement)) => Some(Rename::new(pattern, replacement)?),
            _ => None,
        };
        Ok(restore::Options {
            repository: repository.to_owned(),
            snapshot: which(snapshot),
            indices: self.indices.clone(),
            rename,
            conflict: match self.conflict {
                ConflictWord::Fail => Conflict::Fail,
                ConflictWord::Close => Conflict::Close,
                ConflictWord::Skip => Conflict::Skip,
            },
            aliases: if self.without_aliases { Aliases::Dropped } else { Aliases::Restored },
            ignore_settings: IGNORED.iter().map(ToString::to_string).collect(),
            settings: BTreeMap::new(),
            patience: patience(),
        })
    }
}

/// `latest`, or a name.
pub(super) fn which(text: &str) -> Which {
    if text == "latest" { Which::Latest } else { Which::Named(text.to_owned()) }
}

/// What a client for the cluster needs. Nothing is sent.
pub(super) fn client_options(cluster: Cluster) -> Result<elastic::Options> {
    // A cluster under load takes its time; the snapshot calls are answered within its own `master_timeout` of 30 s.
    let options = wire::Options {
        ca_bundle: cluster.ca_bundle,
        proxy: cluster.proxy,
        answer_timeout: Duration::from_mins(2),
        idle_timeout: Duration::from_secs(30),
        ..wire::Options::default()
    };
    Ok(elastic::Options {
        url: cluster.url,
        auth: cluster.auth,
        wire: wire::Client::new(options)?,
        backoff: elastic::Backoff::default(),
    })
}

/// Connects to the cluster that the user names.
pub(super) async fn connect(session: &Session, cluster: &str) -> Result<Client> {
    Client::connect(client_options(session.config.cluster(cluster)?)?).await
}
