//! What another program needs to reach a location that we reach: the keys, and the region.

use super::{Location, Options, Scheme, oss, s3};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::store::surroundings::Surroundings;
use crate::wire;

/// Keys that do not end by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The access key.
    pub access_key_id: Secret,
    /// The secret that belongs to it.
    pub secret_access_key: Secret,
}

/// The keys that requests to a location are signed with: the configuration's, else those of the vendor's usual chain.
///
/// Fails with [`ErrorKind::Invalid`] for a directory, which has none, and for keys that end: whoever keeps them would stand there
/// with worthless ones.
pub async fn keys(location: &Location, options: &Options) -> Result<Keys> {
    let doing = || format!("give away the keys of `{location}`");
    if location.scheme() == Scheme::File {
        return Err(Error::new(ErrorKind::Invalid, doing()).because("a directory has none"));
    }
    let wire = wire::Client::new(options.wire())?;
    let found = s3::source(location, options, &wire).await?.0.provide().await?;
    if found.session_token.is_some() || found.expires.is_some() {
        return Err(Error::new(ErrorKind::Invalid, doing())
            .because("they are temporary and would soon be worthless there")
            .hint("configure a store with keys of its own that may only read, and name that"));
    }
    Ok(Keys { access_key_id: found.access_key_id, secret_access_key: found.secret_access_key })
}

/// The region of a location, as far as the configuration, the environment or the profile names one.
pub async fn region(location: &Location, options: &Options) -> Result<Option<String>> {
    match location.scheme() {
        Scheme::File => Ok(None),
        Scheme::Oss => {
            let told = options.region.clone().or_else(|| Surroundings::of_process().variable("OSS_REGION"));
            let told = told.map(|region| region.trim_start_matches("oss-").to_owned());
            let host = options.endpoint.as_deref().map(super::rest::host_of);
            Ok(told.or_else(|| oss::region_of(&host?)))
        }
        _ => {
            let wire = wire::Client::new(options.wire())?;
            Ok(s3::source(location, options, &wire).await?.2)
        }
    }
}
