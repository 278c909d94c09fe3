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

    /// The MD5 that it is, if it has the form of one. Whether it *is* one the store's profile says.
    #[must_use]
    pub fn md5(&self) -> Option<Checksum> {
        let hexadecimal = self.0.len() == 32 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u128::from_str_radix(&self.0, 16).ok().filter(|_| hexadecimal)?;
        Some(Checksum { algorithm: Algorithm::Md5, value })
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

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// CRC-32 of zlib and gzip, which is also Lucene's.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME, Amazon S3's own default and ours.
    Crc64Nvme,
    /// CRC-64/XZ, which OSS calls `crc64ecma`.
    Crc64Ecma,
    /// MD5, which is what most stores make an object's `ETag` of. It costs ten times what a copy costs.
    Md5,
}

impl Algorithm {
    /// The name as S3 and OSS write it in lower case.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
            Self::Crc64Nvme => "crc64nvme",
            Self::Crc64Ecma => "crc64ecma",
            Self::Md5 => "md5",
        }
    }

    /// The length of its value in bytes.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme | Self::Crc64Ecma => 8,
            Self::Md5 => 16,
        }
    }

    /// The cyclic redundancy check that it is; none for MD5.
    fn crc(self) -> Option<crc_fast::CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(crc_fast::CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(crc_fast::CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(crc_fast::CrcAlgorithm::Crc64Nvme),
            Self::Crc64Ecma => Some(crc_fast::CrcAlgorithm::Crc64Xz),
            Self::Md5 => None,
        }
    }
}

/// A checksum over all bytes of an object or part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// Which one.
    pub algorithm: Algorithm,
    /// Its value, as a number with the first byte highest.
    pub value: u128,
}

impl Checksum {
    /// The checksum of `bytes`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut digest = Digest::new(algorithm);
        digest.update(bytes);
        digest.finish()
    }

    /// The checksum of what this one covers followed by `length` bytes that `next` covers; none for an algorithm that cannot be
    /// combined, or for two algorithms.
    #[must_use]
    pub fn followed_by(self, next: Self, length: u64) -> Option<Self> {
        let crc = self.algorithm.crc().filter(|_| self.algorithm == next.algorithm)?;
        let narrow = |value: u128| u64::try_from(value).ok();
        let value = crc_fast::checksum_combine(crc, narrow(self.value)?, narrow(next.value)?, length);
        Some(Self { algorithm: self.algorithm, value: value.into() })
    }

    /// The value as bytes, the highest first.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        self.value.to_be_bytes()[16 - self.algorithm.width()..].to_vec()
    }

    /// A checksum from the bytes of its value; none if there are too many or too few.
    #[must_use]
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let value = bytes.iter().fold(0, |value, byte| (value << 8) | u128::from(*byte));
        (bytes.len() == algorithm.width()).then_some(Self { algorithm, value })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.algorithm.width() * 2;
        write!(f, "{}:{:0width$x}", self.algorithm.word(), self.value)
    }
}

/// Computes a checksum over bytes as they pass.
#[derive(Clone)]
pub struct Digest {
    algorithm: Algorithm,
    inner: Inner,
}

#[derive(Clone)]
enum Inner {
    Crc(Box<crc_fast::Digest>),
    Md5(Box<md5::Md5>),
}

impl Digest {
    /// A digest that has seen nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let inner = match algorithm.crc() {
            Some(crc) => Inner::Crc(Box::new(crc_fast::Digest::new(crc))),
            None => Inner::Md5(Box::default()),
        };
        Self { algorithm, inner }
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.inner {
            Inner::Crc(crc) => crc.update(bytes),
            Inner::Md5(md5) => md5::Digest::update(md5.as_mut(), bytes),
        }
    }

    /// The checksum of all bytes seen.
    #[must_use]
    pub fn finish(&self) -> Checksum {
        let value = match &self.inner {
            Inner::Crc(crc) => u128::from(crc.finalize()),
            Inner::Md5(md5) => u128::from_be_bytes(md5::Digest::finalize(md5.as_ref().clone()).into()),
        };
        Checksum { algorithm: self.algorithm, value }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.algorithm.word())
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
            (Algorithm::Crc64Ecma, 11_051_210_869_376_104_954),
            (Algorithm::Md5, 0x25f9_e794_323b_4538_85f5_181f_1b62_4d0b),
        ] {
            assert_eq!(Checksum::of(algorithm, b"123456789").value, value, "{}", algorithm.word());
        }
    }

    #[test]
    fn checksums_of_parts_combine_to_the_whole() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Crc64Ecma] {
            let sum = |bytes| Checksum::of(algorithm, bytes);
            assert_eq!(sum(b"hello ").followed_by(sum(b"world"), 5), Some(sum(b"hello world")));
        }
        let sum = |bytes| Checksum::of(Algorithm::Md5, bytes);
        assert_eq!(sum(b"hello ").followed_by(sum(b"world"), 5), None);
    }

    #[test]
    fn a_checksum_is_read_back_from_its_bytes_and_from_no_others() {
        let sum = Checksum::of(Algorithm::Crc64Nvme, b"hello");
        assert_eq!(Checksum::from_bytes(Algorithm::Crc64Nvme, &sum.bytes()), Some(sum));
        assert_eq!(Checksum::from_bytes(Algorithm::Crc64Nvme, &sum.bytes()[1..]), None);
        assert_eq!(sum.bytes().len(), 8);
    }

    #[test]
    fn an_etag_is_an_md5_only_if_it_looks_like_one() {
        let read = |text: &str| ETag::new(text).expect("not empty").md5().map(|sum| sum.to_string());
        assert_eq!(
            read("\"25F9E794323B453885F5181F1B624D0B\"").as_deref(),
            Some("md5:25f9e794323b453885f5181f1b624d0b")
        );
        for text in [
            "25f9e794323b453885f5181f1b624d0b-3",
            "W/\"25f9e794323b453885f5181f1b624d0b\"",
            "abc",
            "25f9e794323b453885f5181f1b624d0g",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn etags_compare_without_their_quotes() {
        assert_eq!(ETag::new("\"abc\""), ETag::new("abc"));
        assert_eq!(ETag::new("\"\""), None);
    }
}
