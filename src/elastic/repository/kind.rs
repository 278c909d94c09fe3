//! What is to be registered: where its data is, and which keys go along. How that is written for a cluster is `render`'s business.

use std::collections::BTreeMap;

use crate::secret::Secret;

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
    /// A bucket of Alibaba Cloud OSS.
    Oss(Oss),
}

/// A repository in a bucket of S3.
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
    /// The name of the client whose keys are in the cluster's keystore; `default` if none is given.
    pub client: Option<String>,
    /// The keys, if they go into the settings.
    pub keys: Keys,
    /// The role that a domain of Amazon's service takes on to reach the bucket.
    pub role_arn: Option<String>,
    /// Whether to say that objects are encrypted with AES256 by the server.
    pub server_side_encryption: bool,
}

/// A repository in a bucket of OSS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Oss {
    /// The bucket.
    pub bucket: String,
    /// The prefix in it.
    pub base_path: String,
    /// The region, without `oss-`.
    pub region: Option<String>,
    /// The address that the copy was made to, if it is given; one of Alibaba Cloud's own only tells the region.
    pub endpoint: Option<String>,
    /// The network that the nodes are to take, where that is said.
    pub network: Option<OssNetwork>,
    /// The network that the copy took: the second best guess.
    pub reached_by: OssNetwork,
    /// Which of the two types, where that is said; else `oss` where the cluster has it.
    pub form: Option<OssForm>,
    /// The name of the client, for type `s3`.
    pub client: Option<String>,
    /// The keys, if they go into the settings.
    pub keys: Keys,
}

/// Over which network nodes reach OSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OssNetwork {
    /// The internet.
    #[default]
    Public,
    /// Alibaba Cloud's own, within the region.
    Internal,
}

/// The types that read a bucket of OSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OssForm {
    /// The plugin's type `oss`.
    Plugin,
    /// Type `s3` at OSS's S3-compatible endpoint.
    S3,
}

/// Keys in the settings of a repository. They are sent there and shown nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Keys {
    /// None: the cluster has them.
    #[default]
    None,
    /// Their place is shown and nothing is sent.
    Placeholder,
    /// These.
    Given {
        /// The access key.
        id: Secret,
        /// Its secret.
        secret: Secret,
    },
}
