//! The sums of one content, made while it comes in and combined when parts become an object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};

use super::content::Content;

/// A checksum of S3: the end of its header's name, its algorithm, its width in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Algorithm {
    pub(crate) name: &'static str,
    pub(crate) crc: CrcAlgorithm,
    width: usize,
}

/// What Amazon computes when the client asks for nothing.
pub(crate) const NVME: Algorithm = Algorithm { name: "crc64nvme", crc: CrcAlgorithm::Crc64Nvme, width: 8 };

/// The checksums that are known; SHA-1 and SHA-256 are not.
pub(crate) const ALGORITHMS: [Algorithm; 3] = [
    NVME,
    Algorithm { name: "crc32", crc: CrcAlgorithm::Crc32IsoHdlc, width: 4 },
    Algorithm { name: "crc32c", crc: CrcAlgorithm::Crc32Iscsi, width: 4 },
];

impl Algorithm {
    /// The algorithm of this name, whatever its case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ALGORITHMS.into_iter().find(|algorithm| algorithm.name.eq_ignore_ascii_case(name))
    }

    /// The big-endian bytes of a value.
    pub(crate) fn bytes(self, value: u64) -> Vec<u8> {
        value.to_be_bytes()[8 - self.width..].to_vec()
    }

    /// A value as S3 writes it.
    pub(crate) fn text(self, value: u64) -> String {
        STANDARD.encode(self.bytes(value))
    }
}

/// The sums of a content.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sums {
    pub(crate) length: u64,
    /// Of CRC-64/XZ.
    pub(crate) crc64: u64,
    /// Of the checksum that S3 shows.
    pub(crate) shown: (Algorithm, u64),
    /// Nothing when it was not computed.
    pub(crate) md5: Option<[u8; 16]>,
}

impl Sums {
    /// The sums of a content that is at hand; a formula has no MD5.
    pub(crate) fn of(content: &Content) -> Self {
        let md5 = content.bytes().map(|bytes| Md5::digest(&bytes).into());
        let crc = |algorithm| content.crc(algorithm).expect("what is put in by a test is kept");
        Self {
            length: content.length(),
            crc64: crc(CrcAlgorithm::Crc64Xz),
            shown: (NVME, crc(CrcAlgorithm::Crc64Nvme)),
            md5,
        }
    }

    /// The sums of this with `next` behind it, which has the same checksum.
    pub(crate) fn followed_by(self, next: &Self) -> Self {
        let combine = |algorithm, one, other| crc_fast::checksum_combine(algorithm, one, other, next.length);
        let (algorithm, value) = self.shown;
        Self {
            length: self.length + next.length,
            crc64: combine(CrcAlgorithm::Crc64Xz, self.crc64, next.crc64),
            shown: (algorithm, combine(algorithm.crc, value, next.shown.1)),
            md5: None,
        }
    }
}

/// Makes the sums of what passes by.
pub(crate) struct Summing {
    length: u64,
    crc64: crc_fast::Digest,
    algorithm: Algorithm,
    shown: crc_fast::Digest,
    md5: Option<Md5>,
}

impl Summing {
    pub(crate) fn new(algorithm: Algorithm, with_md5: bool) -> Self {
        Self {
            length: 0,
            crc64: crc_fast::Digest::new(CrcAlgorithm::Crc64Xz),
            algorithm,
            shown: crc_fast::Digest::new(algorithm.crc),
            md5: with_md5.then(Md5::new),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.crc64.update(bytes);
        self.shown.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Sums {
        Sums {
            length: self.length,
            crc64: self.crc64.finalize(),
            shown: (self.algorithm, self.shown.finalize()),
            md5: self.md5.map(|md5| md5.finalize().into()),
        }
    }
}
