//! What a store can really do: at most ten fields, each used by a decision.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

/// The limits that planning and copying respect.
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
}

impl Capability {
    /// Amazon S3: parts of 5 MiB to 5 GiB, 10,000 of them, objects to 48.8 TiB (S3 user guide, "Amazon S3 multipart upload
    /// limits", read 2026-11). Servers that speak its protocol keep to the same part limits.
    #[must_use]
    pub fn s3() -> Self {
        Self { max_object: 10_000 * 5 * GIB, max_put: 5 * GIB, min_part: 5 * MIB, max_part: 5 * GIB, max_parts: 10_000 }
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
        }
    }
}
