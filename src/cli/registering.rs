//! The flags that say how a cluster sees a repository.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use super::Session;
use crate::config::{self, StorePlace};
use crate::elastic::repository::{Keys, Kind, Oss, OssForm, OssNetwork, Policy, Registration, Replace, S3, Writable};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{self, Network, Scheme, path_style, s3_endpoint};

/// How a cluster sees a repository.
#[derive(Debug, Args)]
pub(super) struct Registering {
    /// The repository type [default: `fs` for `file://`, `s3` for `s3://` and `qingstor://`; for `oss://` `oss` where the cluster has it, else `s3`]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    kind: Option<TypeWord>,
    /// With `--type url`: where the nodes read the repository; `repositories.url.allowed_urls` must allow it
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// With type `s3`: the name of the client whose keys are in the cluster's keystore [default: `default`]
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Send the keys of the store, or of another configured one that best may only read, as settings of the repository. Elasticsearch 5 and type `oss` take keys in no other way from outside; later ones only where the nodes' JVM allows it. Whoever may read the cluster's state can read them there
    #[arg(long, value_name = "STORE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    keys_in_settings: Option<String>,
    /// With a domain of Amazon's service: the role that it takes on to reach the bucket
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// With type `s3`: say that the server encrypts the objects
    #[arg(long)]
    server_side_encryption: bool,
    /// With `oss://`: the network over which the nodes reach the bucket [default: `internal` for type `oss` and for Alibaba Cloud's instances, else that of the store]
    #[arg(long, value_enum, value_name = "NETWORK")]
    network: Option<NetworkWord>,
    /// A further setting of the repository, or another value for one that snapferry sets, as the nodes need it: `--setting endpoint=http://minio:9000`. Never a credential
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    setting: Vec<(String, String)>,
    /// Let the repository's name mean this data even if it means other data now
    #[arg(long)]
    replace: bool,
    /// Make the repository read-only without asking if the cluster may write to it now
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TypeWord {
    Fs,
    Url,
    S3,
    Oss,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkWord {
    Public,
    Internal,
}

/// Whether the keys are needed themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be sent.
    Send,
    /// To be shown: nothing secret is even looked for.
    Show,
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write `key=value`".to_owned()),
    }
}

fn invalid(name: &str, cause: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("register `{name}`")).because(cause.to_owned()).hint(hint.to_owned())
}

impl Registering {
    /// The same with what a job says where the flags say nothing.
    pub(super) fn or(&self, job: &config::Registering) -> Result<Self> {
        fn word<T: ValueEnum>(text: Option<&String>, what: &str) -> Result<Option<T>> {
            let read = |text: &String| {
                T::from_str(text, true).map_err(|_| {
                    Error::new(ErrorKind::Invalid, "read the job").because(format!("`{text}` is no {what}"))
                })
            };
            text.map(read).transpose()
        }
        let mut settings = job.settings.clone();
        settings.extend(self.setting.iter().cloned());
        Ok(Self {
            kind: self.kind.or(word(job.kind.as_ref(), "type of repository")?),
            url: self.url.clone().or_else(|| job.url.clone()),
            client: self.client.clone().or_else(|| job.client.clone()),
            keys_in_settings: self.keys_in_settings.clone().or_else(|| job.keys_in_settings.clone()),
            role_arn: self.role_arn.clone().or_else(|| job.role_arn.clone()),
            server_side_encryption: self.server_side_encryption || job.server_side_encryption,
            network: self.network.or(word(job.network.as_ref(), "network")?),
            setting: settings,
            replace: self.replace || job.replace,
            force: self.force || job.force,
        })
    }

    /// The registration of `place` under `name`. Without a place, `--type url --url` says it all.
    pub(super) async fn registration(
        &self,
        session: &Session,
        name: &str,
        place: Option<&StorePlace>,
        purpose: Purpose,
    ) -> Result<Registration> {
        let scheme = place.map(|place| place.location.scheme());
        let word = match (self.kind, scheme) {
            (Some(kind), _) => kind,
            (None, Some(Scheme::File)) => TypeWord::Fs,
            (None, Some(Scheme::S3 | Scheme::Qingstor)) => TypeWord::S3,
            (None, Some(Scheme::Oss)) => TypeWord::Oss,
            (None, None) => TypeWord::Url,
        };
        self.check(name, word, scheme)?;
        let kind = match (word, place, scheme) {
            (TypeWord::Url, ..) => Kind::Url { url: self.url.clone().unwrap_or_default() },
            (TypeWord::Fs, Some(place), Some(Scheme::File)) => {
                Kind::Fs { location: place.location.directory().to_string_lossy().into_owned() }
            }
            (TypeWord::S3 | TypeWord::Oss, Some(place), Some(Scheme::Oss)) => {
                Kind::Oss(self.oss(session, place, purpose).await?)
            }
            (TypeWord::S3, Some(place), Some(Scheme::S3 | Scheme::Qingstor)) => {
                Kind::S3(self.s3(session, place, purpose).await?)
            }
            (_, None, _) => return Err(invalid(name, "no location is given", "name where the repository lies")),
            _ => {
                return Err(invalid(
                    name,
                    "the type does not fit the location",
                    "`fs` goes with `file://`, `s3` with `s3://`, `oss://` and `qingstor://`, `oss` with `oss://`, and `url` with anything that the nodes can read by HTTP",
                ));
            }
        };
        let settings: BTreeMap<String, String> = self.setting.iter().cloned().collect();
        Ok(Registration { name: name.to_owned(), kind, settings })
    }

    /// Refuses flags that mean nothing for the type.
    fn check(&self, name: &str, word: TypeWord, scheme: Option<Scheme>) -> Result<()> {
        let in_bucket = matches!(word, TypeWord::S3 | TypeWord::Oss);
        let misplaced = [
            (self.url.is_some() && word != TypeWord::Url, "`--url` belongs to `--type url`"),
            (self.url.is_none() && word == TypeWord::Url, "a repository of type `url` needs `--url`"),
            (self.client.is_some() && !in_bucket, "`--client` belongs to type `s3`"),
            (self.keys_in_settings.is_some() && !in_bucket, "`--keys-in-settings` belongs to types `s3` and `oss`"),
            (self.role_arn.is_some() && scheme != Some(Scheme::S3), "`--role-arn` belongs to a bucket of `s3://`"),
            (self.server_side_encryption && word != TypeWord::S3, "`--server-side-encryption` belongs to type `s3`"),
            (self.network.is_some() && scheme != Some(Scheme::Oss), "`--network` belongs to a bucket of `oss://`"),
        ];
        match misplaced.iter().find(|(wrong, _)| *wrong) {
            Some((_, cause)) if word == TypeWord::Url && self.url.is_none() => {
                Err(invalid(name, cause, "add `--url http://host/path/`"))
            }
            Some((_, cause)) => {
                Err(invalid(name, cause, "leave that flag out, or give the type and location it belongs to"))
            }
            None => Ok(()),
        }
    }

    async fn s3(&self, session: &Session, place: &StorePlace, purpose: Purpose) -> Result<S3> {
        Ok(S3 {
            bucket: place.location.bucket().to_owned(),
            base_path: place.location.prefix().to_owned(),
            endpoint: s3_endpoint(&place.location, &place.options),
            region: store::region(&place.location, &place.options).await?,
            path_style: path_style(&place.location, &place.options),
            client: self.client.clone(),
            keys: self.keys(session, place, purpose).await?,
            role_arn: self.role_arn.clone(),
            server_side_encryption: self.server_side_encryption,
        })
    }

    async fn oss(&self, session: &Session, place: &StorePlace, purpose: Purpose) -> Result<Oss> {
        Ok(Oss {
            bucket: place.location.bucket().to_owned(),
            base_path: place.location.prefix().to_owned(),
            region: store::region(&place.location, &place.options).await?,
            endpoint: place.options.endpoint.clone(),
            network: self.network.map(|word| match word {
                NetworkWord::Public => OssNetwork::Public,
                NetworkWord::Internal => OssNetwork::Internal,
            }),
            reached_by: match place.options.network {
                Network::Internal => OssNetwork::Internal,
                Network::Public | Network::Accelerate => OssNetwork::Public,
            },
            form: self.kind.map(|word| if word == TypeWord::Oss { OssForm::Plugin } else { OssForm::S3 }),
            client: self.client.clone(),
            keys: self.keys(session, place, purpose).await?,
        })
    }

    /// The keys that are to go into the settings, of the place itself or of another store.
    async fn keys(&self, session: &Session, place: &StorePlace, purpose: Purpose) -> Result<Keys> {
        let Some(store) = &self.keys_in_settings else { return Ok(Keys::None) };
        let other = (!store.is_empty()).then(|| session.config.place(store)).transpose()?;
        if purpose == Purpose::Show {
            return Ok(Keys::Placeholder);
        }
        let place = other.as_ref().unwrap_or(place);
        let found = store::keys(&place.location, &place.options).await?;
        Ok(Keys::Given { id: found.access_key_id, secret: found.secret_access_key })
    }

    /// What may become of a name that is in use.
    pub(super) fn policy(&self) -> Policy {
        Policy {
            replace: if self.replace { Replace::OtherData } else { Replace::Never },
            writable: if self.force { Writable::Convert } else { Writable::Refuse },
        }
    }
}
