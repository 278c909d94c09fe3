//! The flags that say how a cluster sees a repository.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use crate::config::{self, StorePlace};
use crate::elastic::repository::{Kind, Registration, Replace, S3};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Scheme, path_style, s3_endpoint};

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
    /// The same with what a job says where the flags say nothing.
    pub(super) fn or(&self, job: &config::Registering) -> Result<Self> {
        let word = |text: &String| {
            TypeWord::from_str(text, true).map_err(|_| {
                Error::new(ErrorKind::Invalid, "read the job").because(format!("`{text}` is no type of repository"))
            })
        };
        let mut settings = job.settings.clone();
        settings.extend(self.setting.iter().cloned());
        Ok(Self {
            kind: self.kind.map_or_else(|| job.kind.as_ref().map(word).transpose(), |kind| Ok(Some(kind)))?,
            url: self.url.clone().or_else(|| job.url.clone()),
            client: self.client.clone().or_else(|| job.client.clone()),
            setting: settings,
            replace: self.replace || job.replace,
        })
    }

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
