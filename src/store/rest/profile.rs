//! What is known of each provider: which of its answers can be relied on and what it takes.
//!
//! The rows are measured (ten servers, forty questions each) or come from the vendors' documentation. Whatever a row
//! leaves open is tried once, on a request whose outcome can be checked, and remembered for the run ([`Learnt`]).

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;

use crate::store::{Algorithm, Capability};

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the product of that name")]
pub enum Provider {
    Aws,
    Minio,
    Ceph,
    Seaweedfs,
    Garage,
    R2,
    Tencent,
    Huawei,
    Qingstor,
    Oss,
    Other,
}

/// The providers with their words in the configuration, and what their hosts end in.
pub const PROVIDERS: [(&str, Provider, &[&str]); 11] = [
    ("aws", Provider::Aws, &[".amazonaws.com", ".amazonaws.com.cn"]),
    ("minio", Provider::Minio, &[]),
    ("ceph", Provider::Ceph, &[]),
    ("seaweedfs", Provider::Seaweedfs, &[]),
    ("garage", Provider::Garage, &[]),
    ("r2", Provider::R2, &[".r2.cloudflarestorage.com"]),
    ("tencent", Provider::Tencent, &[".myqcloud.com"]),
    ("huawei", Provider::Huawei, &[".myhuaweicloud.com"]),
    ("qingstor", Provider::Qingstor, &[".qingstor.com", ".qsstor.com"]),
    ("oss", Provider::Oss, &[".aliyuncs.com"]),
    ("other", Provider::Other, &[]),
];

impl Provider {
    /// The provider whose host this is.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        PROVIDERS
            .iter()
            .find(|(_, _, suffixes)| suffixes.iter().any(|suffix| host.ends_with(suffix) || host == suffix[1..]))
            .map_or(Self::Other, |(_, provider, _)| *provider)
    }

    /// The word for it in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        PROVIDERS.iter().find(|(_, provider, _)| *provider == self).map_or("other", |(word, _, _)| word)
    }

    /// What the names of its servers end in; empty if they have no common end.
    pub(super) fn suffixes(self) -> &'static [&'static str] {
        PROVIDERS.iter().find(|(_, provider, _)| *provider == self).map_or(&[], |(_, _, suffixes)| suffixes)
    }
}

/// Which form of listing is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListVersion {
    /// The second, and the first where a server turns out not to know it.
    #[default]
    Auto,
    /// `ListObjects`.
    V1,
    /// `ListObjectsV2`.
    V2,
}

/// Whether a server has an ability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ability {
    /// It is tried once, where that is safe.
    #[default]
    Auto,
    /// It has it.
    Yes,
    /// It lacks it.
    No,
}

/// What the configuration says in place of the provider's row. Every field may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Whose server it is, if the endpoint does not tell.
    pub provider: Option<Provider>,
    /// Which form of listing is used.
    pub list_version: Option<ListVersion>,
    /// Whether listings are asked for in url encoding, without which XML cannot hold every key.
    pub encoding_type: Option<bool>,
    /// Whether the `ETag` of an object written in one request is its MD5.
    pub etag_md5: Option<Ability>,
    /// Whether small objects are sent with `x-amz-checksum-crc64nvme`.
    pub checksum_header: Option<Ability>,
    /// Whether parts and larger objects are sent with that checksum behind them (`aws-chunked`).
    pub checksum_trailer: Option<Ability>,
    /// Whether a batch delete carries `Content-MD5`.
    pub delete_md5: Option<bool>,
    /// Whether batches can be deleted in one request at all.
    pub delete_batch: Option<bool>,
    /// Whether `If-None-Match: *` is obeyed by a put.
    pub conditional_writes: Option<Ability>,
    /// Whether a key with the segments `.` and `..` names an object of its own, and not another one.
    pub dot_segments: Option<Ability>,
    /// The smallest part but for the last, in bytes.
    pub min_part: Option<u64>,
    /// Whether objects are copied by the server where source and target are the same place.
    pub server_copy: Option<bool>,
}

/// What a server takes and which of its answers mean something.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one answer of a server")]
pub(in crate::store) struct Profile {
    pub(in crate::store) provider: Provider,
    pub(super) list_version: ListVersion,
    pub(super) encoding_type: bool,
    pub(super) etag_md5: Ability,
    pub(super) checksum_header: Ability,
    pub(super) checksum_trailer: Ability,
    pub(super) delete_md5: bool,
    pub(super) delete_batch: bool,
    pub(super) conditional_writes: Ability,
    pub(super) dot_segments: Ability,
    pub(super) server_copy: bool,
    pub(super) capability: Capability,
}

impl Profile {
    /// The provider's row with what the configuration says over it.
    pub(in crate::store) fn new(provider: Provider, overrides: &Overrides) -> Self {
        let provider = overrides.provider.unwrap_or(provider);
        let row = Self::row(provider);
        let mut capability = row.capability;
        capability.min_part = overrides.min_part.unwrap_or(capability.min_part).min(capability.max_part);
        Self {
            provider,
            list_version: overrides.list_version.unwrap_or(row.list_version),
            encoding_type: overrides.encoding_type.unwrap_or(row.encoding_type),
            etag_md5: overrides.etag_md5.unwrap_or(row.etag_md5),
            checksum_header: overrides.checksum_header.unwrap_or(row.checksum_header),
            checksum_trailer: overrides.checksum_trailer.unwrap_or(row.checksum_trailer),
            delete_md5: overrides.delete_md5.unwrap_or(row.delete_md5),
            delete_batch: overrides.delete_batch.unwrap_or(row.delete_batch),
            conditional_writes: overrides.conditional_writes.unwrap_or(row.conditional_writes),
            dot_segments: overrides.dot_segments.unwrap_or(row.dot_segments),
            server_copy: overrides.server_copy.unwrap_or(row.server_copy),
            capability,
        }
    }

    fn row(provider: Provider) -> Self {
        let usual = Self {
            provider,
            list_version: ListVersion::Auto,
            encoding_type: true,
            // Encrypted objects are told apart by their headers.
            etag_md5: Ability::Yes,
            checksum_header: Ability::Auto,
            checksum_trailer: Ability::No,
            // Half of the servers refuse a batch without it, and none refuses one with it.
            delete_md5: true,
            delete_batch: true,
            conditional_writes: Ability::Auto,
            dot_segments: Ability::Yes,
            server_copy: true,
            capability: Capability::s3(),
        };
        match provider {
            Provider::Aws => Self {
                list_version: ListVersion::V2,
                checksum_header: Ability::Yes,
                // It computes and states CRC-64/NVME by itself.
                checksum_trailer: Ability::No,
                conditional_writes: Ability::Yes,
                capability: Capability { states: Some(Algorithm::Crc64Nvme), ..Capability::s3() },
                ..usual
            },
            Provider::Minio | Provider::Seaweedfs | Provider::Garage => Self {
                list_version: ListVersion::V2,
                checksum_trailer: Ability::Auto,
                dot_segments: Ability::Auto,
                ..usual
            },
            Provider::R2 => Self { list_version: ListVersion::V2, conditional_writes: Ability::Yes, ..usual },
            Provider::Ceph => Self { conditional_writes: Ability::Yes, ..usual },
            Provider::Tencent | Provider::Huawei => {
                Self { checksum_header: Ability::No, conditional_writes: Ability::No, ..usual }
            }
            Provider::Qingstor => Self {
                checksum_header: Ability::No,
                conditional_writes: Ability::No,
                capability: Capability::qingstor(),
                ..usual
            },
            // Through its S3-compatible endpoint, which refuses chunked bodies and unknown checksums.
            Provider::Oss => Self {
                checksum_header: Ability::No,
                conditional_writes: Ability::No,
                capability: Capability { states: None, ..Capability::oss() },
                ..usual
            },
            Provider::Other => {
                Self { etag_md5: Ability::Auto, checksum_trailer: Ability::Auto, dot_segments: Ability::Auto, ..usual }
            }
        }
    }

    /// OSS through its own protocol.
    pub(in crate::store) fn oss(overrides: &Overrides) -> Self {
        let own = Self {
            list_version: ListVersion::V2,
            conditional_writes: Ability::Yes,
            capability: Capability::oss(),
            ..Self::row(Provider::Oss)
        };
        Self {
            list_version: overrides.list_version.unwrap_or(own.list_version),
            etag_md5: overrides.etag_md5.unwrap_or(own.etag_md5),
            server_copy: overrides.server_copy.unwrap_or(own.server_copy),
            delete_batch: overrides.delete_batch.unwrap_or(own.delete_batch),
            ..own
        }
    }
}

/// The value of a key as the configuration writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Setting {
    /// One of a few words.
    Word(&'static str),
    /// `true` or `false`.
    Switch(bool),
    /// A number of bytes.
    Bytes(u64),
}

impl Setting {
    /// Whether it leaves the matter open.
    #[must_use]
    pub fn is_open(self) -> bool {
        self == Self::Word("auto")
    }

    fn of(known: Option<bool>) -> Self {
        known.map_or(Self::Word("auto"), Self::Switch)
    }
}

impl fmt::Display for Setting {
    /// As TOML has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "\"{word}\""),
            Self::Switch(on) => write!(f, "{on}"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

impl Profile {
    /// What is known by now, as keys of the configuration.
    pub(super) fn settings(&self, learnt: &Learnt) -> Vec<(&'static str, Setting)> {
        let list = match (self.list_version, learnt.list_v2.known(Ability::Auto)) {
            (ListVersion::V1, _) | (ListVersion::Auto, Some(false)) => "v1",
            (ListVersion::V2, _) | (ListVersion::Auto, Some(true)) => "v2",
            (ListVersion::Auto, None) => "auto",
        };
        let ability = |fact: &Fact, profile| Setting::of(fact.known(profile));
        let batch = self.delete_batch && learnt.delete_batch.known(Ability::Yes) == Some(true);
        vec![
            ("provider", Setting::Word(self.provider.word())),
            ("list_version", Setting::Word(list)),
            ("encoding_type", Setting::Switch(self.encoding_type)),
            ("etag_md5", ability(&learnt.etag_md5, self.etag_md5)),
            ("checksum_header", ability(&learnt.checksum_header, self.checksum_header)),
            ("checksum_trailer", ability(&learnt.checksum_trailer, self.checksum_trailer)),
            ("delete_md5", Setting::Switch(self.delete_md5)),
            ("delete_batch", Setting::Switch(batch)),
            ("conditional_writes", ability(&learnt.conditional_writes, self.conditional_writes)),
            ("dot_segments", ability(&learnt.dot_segments, self.dot_segments)),
            ("min_part", Setting::Bytes(self.capability.min_part)),
            ("server_copy", Setting::Switch(self.server_copy)),
        ]
    }
}

/// One thing learnt about a server during the run.
#[derive(Debug, Default)]
pub(super) struct Fact(AtomicU8);

impl Fact {
    /// What the profile says, or what was learnt where it leaves it open; none if nothing is known yet.
    pub(super) fn known(&self, profile: Ability) -> Option<bool> {
        match (profile, self.0.load(Ordering::Relaxed)) {
            (Ability::Yes, 0) | (_, 1) => Some(true),
            (Ability::No, _) | (_, 2) => Some(false),
            (Ability::Auto | Ability::Yes, _) => None,
        }
    }

    pub(super) fn learn(&self, holds: bool) {
        self.0.store(if holds { 1 } else { 2 }, Ordering::Relaxed);
    }
}

/// What the run has learnt about a server.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// Held while something is tried, so that it is tried once.
    pub(super) asking: tokio::sync::Mutex<()>,
    pub(super) list_v2: Fact,
    pub(super) etag_md5: Fact,
    /// Marks that did not fit their content, with what would have.
    pub(super) doubted: Mutex<Vec<(u128, u128)>>,
    pub(super) checksum_header: Fact,
    pub(super) checksum_trailer: Fact,
    pub(super) conditional_writes: Fact,
    pub(super) dot_segments: Fact,
    pub(super) delete_batch: Fact,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_tells_its_provider() {
        for (host, provider) in [
            ("s3.eu-west-1.amazonaws.com", Provider::Aws),
            ("S3.cn-north-1.amazonaws.com.cn", Provider::Aws),
            ("s3.pek3b.qingstor.com", Provider::Qingstor),
            ("s3.gd2.qsstor.com", Provider::Qingstor),
            ("s3.oss-cn-hangzhou.aliyuncs.com", Provider::Oss),
            ("cos.ap-beijing.myqcloud.com", Provider::Tencent),
            ("minio.example.com", Provider::Other),
            ("notamazonaws.com", Provider::Other),
        ] {
            assert_eq!(Provider::of_host(host), provider, "{host}");
        }
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let overrides = Overrides {
            provider: Some(Provider::Qingstor),
            list_version: Some(ListVersion::V2),
            min_part: Some(1),
            ..Overrides::default()
        };
        let profile = Profile::new(Provider::Aws, &overrides);
        assert_eq!((profile.provider, profile.list_version), (Provider::Qingstor, ListVersion::V2));
        assert_eq!(profile.capability.min_part, 1);
        assert_eq!(Profile::new(Provider::Qingstor, &Overrides::default()).capability.min_part, 4 << 20);
    }

    #[test]
    fn what_is_open_is_learnt_once_and_what_is_said_stays() {
        let fact = Fact::default();
        assert_eq!(fact.known(Ability::Auto), None);
        assert_eq!((fact.known(Ability::Yes), fact.known(Ability::No)), (Some(true), Some(false)));
        fact.learn(false);
        assert_eq!((fact.known(Ability::Auto), fact.known(Ability::No)), (Some(false), Some(false)));
    }

    #[test]
    fn what_was_learnt_is_told_in_the_words_of_the_configuration() {
        let (profile, learnt) = (Profile::new(Provider::Other, &Overrides::default()), Learnt::default());
        let told = |learnt: &Learnt| {
            let lines = profile.settings(learnt).into_iter().map(|(key, value)| format!("{key} = {value}"));
            lines.collect::<Vec<_>>()
        };
        assert_eq!(told(&learnt)[..3], ["provider = \"other\"", "list_version = \"auto\"", "encoding_type = true"]);
        assert_eq!(told(&learnt)[3..6].iter().filter(|line| line.ends_with("\"auto\"")).count(), 3);
        learnt.list_v2.learn(false);
        learnt.etag_md5.learn(true);
        learnt.delete_batch.learn(false);
        let now = told(&learnt);
        for line in ["list_version = \"v1\"", "etag_md5 = true", "delete_batch = false", "min_part = 5242880"] {
            assert!(now.iter().any(|told| told == line), "{line}: {now:?}");
        }
    }
}
