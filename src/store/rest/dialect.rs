//! The words in which S3 and OSS say the same things.

use http::HeaderName;

use crate::store::{Algorithm, Checksum};

/// One of the two protocols, which differ in the names of their headers and little else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    /// Amazon S3's, spoken by many.
    S3,
    /// Alibaba Cloud OSS's own.
    Oss,
}

/// The names of headers that both have.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) metadata: &'static str,
    pub(super) copy_source: HeaderName,
    pub(super) copy_range: HeaderName,
    pub(super) copy_if_match: HeaderName,
    pub(super) metadata_directive: HeaderName,
    pub(super) storage_class: HeaderName,
    pub(super) encryption: HeaderName,
    pub(super) encryption_key: HeaderName,
    pub(super) tagging: HeaderName,
    pub(super) payer: HeaderName,
}

const fn name(text: &'static str) -> HeaderName {
    HeaderName::from_static(text)
}

static S3: Words = Words {
    metadata: "x-amz-meta-",
    copy_source: name("x-amz-copy-source"),
    copy_range: name("x-amz-copy-source-range"),
    copy_if_match: name("x-amz-copy-source-if-match"),
    metadata_directive: name("x-amz-metadata-directive"),
    storage_class: name("x-amz-storage-class"),
    encryption: name("x-amz-server-side-encryption"),
    encryption_key: name("x-amz-server-side-encryption-aws-kms-key-id"),
    tagging: name("x-amz-tagging"),
    payer: name("x-amz-request-payer"),
};

static OSS: Words = Words {
    metadata: "x-oss-meta-",
    copy_source: name("x-oss-copy-source"),
    copy_range: name("x-oss-copy-source-range"),
    copy_if_match: name("x-oss-copy-source-if-match"),
    metadata_directive: name("x-oss-metadata-directive"),
    storage_class: name("x-oss-storage-class"),
    encryption: name("x-oss-server-side-encryption"),
    encryption_key: name("x-oss-server-side-encryption-key-id"),
    tagging: name("x-oss-tagging"),
    payer: name("x-oss-request-payer"),
};

/// S3's headers for checksums. A value in base64 is over all bytes; one with `-<n>` behind it is over checksums of parts.
pub(super) const CHECKSUMS: [(Algorithm, HeaderName); 3] = [
    (Algorithm::Crc64Nvme, name("x-amz-checksum-crc64nvme")),
    (Algorithm::Crc32, name("x-amz-checksum-crc32")),
    (Algorithm::Crc32c, name("x-amz-checksum-crc32c")),
];

/// OSS's header for its checksum: the value as a decimal number.
pub(super) const CRC64: HeaderName = name("x-oss-hash-crc64ecma");

impl Dialect {
    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::S3 => &S3,
            Self::Oss => &OSS,
        }
    }

    /// For messages.
    pub(super) fn named(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::Oss => "OSS",
        }
    }
}

/// A checksum as S3 writes it: base64 of the value, highest byte first. A checksum of checksums is none.
pub(super) fn decode(algorithm: Algorithm, text: &str) -> Option<Checksum> {
    use base64::Engine as _;
    Checksum::from_bytes(algorithm, &base64::engine::general_purpose::STANDARD.decode(text).ok()?)
}

/// A checksum in S3's writing.
pub(super) fn encode(sum: Checksum) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(sum.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_read_as_they_are_written() {
        let sum = Checksum::of(Algorithm::Crc32, b"123456789");
        assert_eq!(encode(sum), "y/Q5Jg==");
        assert_eq!(decode(Algorithm::Crc32, "y/Q5Jg=="), Some(sum));
        assert_eq!(decode(Algorithm::Crc32, "y/Q5Jg==-3"), None);
        assert_eq!(decode(Algorithm::Crc64Nvme, "y/Q5Jg=="), None);
    }
}
