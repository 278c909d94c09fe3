//! What a store can really do: a handful of fields, each used by a decision.

use super::key::Location;
use super::meta::Algorithm;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

/// The limits and statements that planning and copying respect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// The largest object, in bytes.
    pub max_object: u64,
    /// The largest object that one `put` takes, in bytes.
    pub max_put: u64,
    /// The smallest part but for the last, in bytes.
    pub min_part: u64,
    /// The largest part, in bytes.
    pub max_part: u64,
    /// The most parts of one object.
    pub max_parts: u32,
    /// The checksum that the store computes over what it holds and states without being asked to, if it does.
    pub states: Option<Algorithm>,
    /// Whether objects carry [`Attributes`](super::Attributes).
    pub attributes: bool,
    /// Server-side copies, if the store makes them.
    pub copy: Option<ServerCopy>,
}

/// How a store copies within itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCopy {
    /// Where the objects are, as the server knows it.
    pub location: Location,
    /// Server, region and identity. Two stores with equal places can copy from each other without the bytes passing here.
    pub place: String,
    /// The largest object that one request copies, in bytes; larger ones are copied in parts.
    pub max: u64,
}

impl Capability {
    /// Amazon S3: parts of 5 MiB to 5 GiB, 10,000 of them, objects to 48.8 TiB, copies to 5 GiB (S3 user guide, "Amazon S3
    /// multipart upload limits", read 2026-11). Servers that speak its protocol keep to the same limits.
    #[must_use]
    pub fn s3() -> Self {
        Self {
            max_object: 10_000 * 5 * GIB,
            max_put: 5 * GIB,
            min_part: 5 * MIB,
            max_part: 5 * GIB,
            max_parts: 10_000,
            states: None,
            attributes: true,
            copy: None,
        }
    }

    /// Alibaba Cloud OSS: parts of 100 KB to 5 GB, 10,000 of them, objects to 48.8 TB, one put to 5 GB (OSS documentation, "Limits
    /// and performance metrics", read 2026-11).
    #[must_use]
    pub fn oss() -> Self {
        Self { min_part: 100 * KIB, states: Some(Algorithm::Crc64Ecma), ..Self::s3() }
    }

    /// QingStor: parts of 4 MiB to 5 GB, 10,000 of them, objects to 50 TB, one put to 5 GB (QingStor API documentation, "Multipart
    /// upload", read 2026-11). The decimal limit is kept, being the smaller reading.
    #[must_use]
    pub fn qingstor() -> Self {
        let (gb, tb) = (1_000_000_000, 1_000_000_000_000);
        Self { min_part: 4 * MIB, max_object: 50 * tb, max_put: 5 * gb, max_part: 5 * gb, ..Self::s3() }
    }

    /// A directory or a map: no limit but that of the machine.
    #[must_use]
    pub fn local() -> Self {
        Self {
            max_object: 1024 * 1024 * TIB,
            max_put: 1024 * 1024 * TIB,
            min_part: 1,
            max_part: TIB,
            max_parts: 1 << 20,
            states: None,
            attributes: false,
            copy: None,
        }
    }
}
