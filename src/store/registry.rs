//! Which backend serves which scheme: one row each.

use std::path::PathBuf;
use std::sync::Arc;

use super::key::{Location, Scheme};
use super::meter::Meter;
use super::rest::{Fixed, Overrides, host_of};
use super::{FileStore, ObjectStore, oss, s3};
use crate::error::Result;
use crate::secret::Secret;
use crate::wire;

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
    /// Path style for every endpoint of its own, virtual-host style for Amazon's, OSS's and those known to take nothing else.
    #[default]
    Auto,
    /// `https://endpoint/bucket/key`.
    Path,
    /// `https://bucket.endpoint/key`.
    Virtual,
}

/// Over which of its networks a region of OSS is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// The internet.
    #[default]
    Public,
    /// Alibaba Cloud's own, from a machine in the same region; its traffic is free.
    Internal,
    /// The accelerated entry near the client.
    Accelerate,
}

/// Which protocol a bucket of OSS is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Its own.
    #[default]
    Oss,
    /// S3's, at its S3-compatible endpoint.
    S3,
}

/// Which signature OSS is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signature {
    /// The newer one, which every current endpoint takes.
    #[default]
    V4,
    /// The older one, for private clouds that take nothing newer.
    V1,
}

/// How to reach a store. Every field may be left out; a directory uses none.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The server, with its scheme; the provider's own for the region if left out.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: Option<String>,
    /// QingStor's word for the region.
    pub zone: Option<String>,
    /// Over which network a region of OSS is reached.
    pub network: Network,
    /// Which protocol a bucket of OSS is spoken to in.
    pub protocol: Protocol,
    /// Which signature OSS is sent.
    pub signature: Signature,
    /// How the bucket is named in requests.
    pub addressing: Addressing,
    /// The access key; with `secret_access_key` it replaces the provider's usual chain.
    pub access_key_id: Option<Secret>,
    /// The secret that belongs to `access_key_id`.
    pub secret_access_key: Option<Secret>,
    /// The token of temporary credentials.
    pub session_token: Option<Secret>,
    /// The profile of the vendor's shared configuration to take credentials and region from.
    pub profile: Option<String>,
    /// The RAM role of the ECS instance to take credentials for OSS from; empty for whichever it has.
    pub ram_role: Option<String>,
    /// Where the instance's metadata service is, with its scheme.
    pub metadata_endpoint: Option<String>,
    /// Where Alibaba Cloud's token service is, with its scheme.
    pub sts_endpoint: Option<String>,
    /// PEM file with the certificates to trust in place of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// The proxy to go through.
    pub proxy: wire::Proxy,
    /// What is said of the server in place of what is known of its provider.
    pub dialect: Overrides,
    /// Whether we pay for the requests to another account's bucket.
    pub requester_pays: bool,
    /// The storage class of new objects.
    pub storage_class: Option<String>,
    /// The server-side encryption of new objects: `AES256`, `aws:kms` or `KMS`.
    pub encryption: Option<String>,
    /// The key of the key service to encrypt with.
    pub encryption_key: Option<String>,
    /// The tags of new objects, written as a query: `team=search&kind=snapshot`.
    pub tags: Option<String>,
}

impl Options {
    pub(super) fn wire(&self) -> wire::Options {
        wire::Options { ca_bundle: self.ca_bundle.clone(), proxy: self.proxy.clone(), ..wire::Options::default() }
    }

    pub(super) fn fixed(&self) -> Fixed {
        Fixed {
            requester_pays: self.requester_pays,
            storage_class: self.storage_class.clone(),
            encryption: self.encryption.clone(),
            encryption_key: self.encryption_key.clone(),
            tags: self.tags.clone(),
        }
    }
}

/// Opens the store behind a location. No request is sent yet.
pub async fn open(
    location: &Location,
    options: &Options,
    access: Access,
    meter: Arc<Meter>,
) -> Result<Arc<dyn ObjectStore>> {
    Ok(match (location.scheme(), options.protocol) {
        (Scheme::File, _) => Arc::new(FileStore::new(location.directory(), access, meter)),
        (Scheme::S3 | Scheme::Qingstor, _) | (Scheme::Oss, Protocol::S3) => {
            Arc::new(s3::open(location, &oss::through_s3(location, options), meter).await?)
        }
        (Scheme::Oss, Protocol::Oss) => Arc::new(oss::open(location, options, meter)?),
    })
}

/// The endpoint at which others reach the location by S3's protocol; none for Amazon's own and for directories.
#[must_use]
pub fn s3_endpoint(location: &Location, options: &Options) -> Option<String> {
    match location.scheme() {
        Scheme::File => None,
        Scheme::S3 => options.endpoint.clone(),
        Scheme::Oss => oss::through_s3(location, options).endpoint,
        Scheme::Qingstor => s3::qingstor_endpoint(options),
    }
}

/// Whether requests for the location name its bucket in the path.
#[must_use]
pub fn path_style(location: &Location, options: &Options) -> bool {
    let host = options.endpoint.as_deref().map_or_else(|| "s3.amazonaws.com".to_owned(), host_of);
    s3::path_style_at(location, options.addressing, &host)
}
