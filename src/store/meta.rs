//! What listing and `head` tell about an object.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::key::Key;

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectMeta {
    /// Its name in the location.
    pub key: Key,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written, by the store's clock. Stores keep whole seconds at least.
    pub modified: Timestamp,
    /// The store's mark for this content, if it gives one.
    pub etag: Option<ETag>,
}

/// A store's opaque mark for one content of one object. Equal marks mean equal content; nothing else may be read from it:
/// it is an MD5 only sometimes, and stores differ in how they quote it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ETag(String);

impl ETag {
    /// Takes the mark without its quotes. An empty mark is none.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let bare = text.trim().trim_matches('"');
        (!bare.is_empty()).then(|| Self(bare.to_owned()))
    }

    /// The mark without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mark as HTTP headers carry it.
    #[must_use]
    pub fn quoted(&self) -> String {
        if self.0.starts_with("W/") { self.0.clone() } else { format!("\"{}\"", self.0) }
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.quoted())
    }
}

/// Which cyclic redundancy check a checksum is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// CRC-32 of zlib and gzip, which is also Lucene's.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME, Amazon S3's own default and ours.
    Crc64Nvme,
}

impl Algorithm {
    /// The name as S3 writes it in lower case.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
            Self::Crc64Nvme => "crc64nvme",
        }
    }

    fn crc(self) -> crc_fast::CrcAlgorithm {
        match self {
            Self::Crc32 => crc_fast::CrcAlgorithm::Crc32IsoHdlc,
            Self::Crc32c => crc_fast::CrcAlgorithm::Crc32Iscsi,
            Self::Crc64Nvme => crc_fast::CrcAlgorithm::Crc64Nvme,
        }
    }
}

/// A checksum over all bytes of an object or part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// Which one.
    pub algorithm: Algorithm,
    /// Its value.
    pub value: u64,
}

impl Checksum {
    /// The checksum of `bytes`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self { algorithm, value: crc_fast::checksum(algorithm.crc(), bytes) }
    }

    /// The checksum of what this one covers followed by `length` bytes that `next` covers.
    #[must_use]
    pub fn followed_by(self, next: Self, length: u64) -> Self {
        let value = crc_fast::checksum_combine(self.algorithm.crc(), self.value, next.value, length);
        Self { algorithm: self.algorithm, value }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.algorithm == Algorithm::Crc64Nvme { 16 } else { 8 };
        write!(f, "{}:{:0width$x}", self.algorithm.word(), self.value)
    }
}

/// Computes a checksum over bytes as they pass.
#[derive(Debug, Clone)]
pub struct Digest {
    algorithm: Algorithm,
    inner: crc_fast::Digest,
}

impl Digest {
    /// A digest that has seen nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, inner: crc_fast::Digest::new(algorithm.crc()) }
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    /// The checksum of all bytes seen.
    #[must_use]
    pub fn finish(&self) -> Checksum {
        Checksum { algorithm: self.algorithm, value: self.inner.finalize() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algorithms_are_the_published_ones() {
        // The check values of the CRC catalogue for "123456789".
        for (algorithm, value) in [
            (Algorithm::Crc32, 0xCBF4_3926),
            (Algorithm::Crc32c, 0xE306_9283),
            (Algorithm::Crc64Nvme, 0xAE8B_1486_0A79_9888),
        ] {
            assert_eq!(Checksum::of(algorithm, b"123456789").value, value, "{}", algorithm.word());
        }
    }

    #[test]
    fn checksums_of_parts_combine_to_the_whole() {
        let whole = Checksum::of(Algorithm::Crc64Nvme, b"hello world");
        let parts =
            Checksum::of(Algorithm::Crc64Nvme, b"hello ").followed_by(Checksum::of(Algorithm::Crc64Nvme, b"world"), 5);
        assert_eq!(whole, parts);
    }

    #[test]
    fn etags_compare_without_their_quotes() {
        assert_eq!(ETag::new("\"abc\""), ETag::new("abc"));
        assert_eq!(ETag::new("\"\""), None);
    }
}
