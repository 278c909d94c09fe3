//! Which backend serves which scheme: one row each.

use std::path::PathBuf;
use std::sync::Arc;

use super::key::{Location, Scheme};
use super::meter::Meter;
use super::{FileStore, ObjectStore, S3Store};
use crate::error::Result;
use crate::secret::Secret;

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To be read: it must be there, and nothing in it is ever changed.
    Read,
    /// To be written to: a directory that is not there yet is an empty one.
    Write,
}

/// How the bucket is named in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    /// Path style for every endpoint of its own, virtual-host style for Amazon's and those known to take nothing else.
    #[default]
    Auto,
    /// `https://endpoint/bucket/key`.
    Path,
    /// `https://bucket.endpoint/key`.
    Virtual,
}

/// How to reach a store. Every field may be left out; a directory uses none.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The server, with its scheme; Amazon's own for the region if left out.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: Option<String>,
    /// How the bucket is named in requests.
    pub addressing: Addressing,
    /// The access key; with `secret_access_key` it replaces AWS's usual chain.
    pub access_key_id: Option<Secret>,
    /// The secret that belongs to `access_key_id`.
    pub secret_access_key: Option<Secret>,
    /// The token of temporary credentials.
    pub session_token: Option<Secret>,
    /// The profile of AWS's shared configuration to take credentials and region from.
    pub profile: Option<String>,
    /// PEM file with the certificates to trust in place of the system's.
    pub ca_bundle: Option<PathBuf>,
}

/// Opens the store behind a location. No request is sent yet.
pub async fn open(
    location: &Location,
    options: &Options,
    access: Access,
    meter: Arc<Meter>,
) -> Result<Arc<dyn ObjectStore>> {
    Ok(match location.scheme() {
        Scheme::File => Arc::new(FileStore::new(location.directory(), access, meter)),
        Scheme::S3 => Arc::new(S3Store::open(location, options, meter).await?),
    })
}
