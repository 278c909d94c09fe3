//! What the objects of the benchmark hold: bytes that follow from key and offset alone, so that neither side stores any.
//!
//! 1. One buffer of random bytes repeats for ever, with a period of `PERIOD`.
//! 2. A key is hashed to a place in it, where its object starts.
//! 3. The period is prime: two parts of one object, whose distance is a multiple of a part's size, never look alike,
//!    so a part in the wrong place is found as surely as a flipped bit.
//!
//! Which keys there are, and how long their objects are, is said by `spec` and by the server's bucket.

use std::sync::LazyLock;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

/// The largest prime below 1 MiB: the buffer stays in the processor's own cache, so synthesis costs next to nothing.
const PERIOD: u64 = 1_048_573;

/// The longest piece handed out at once, as long as the relay's read buffer.
const LONGEST_PIECE: u64 = 512 * 1024;

/// The random bytes, followed by their own beginning, so that a piece never wraps.
static BUFFER: LazyLock<Bytes> = LazyLock::new(|| {
    let period = usize::try_from(PERIOD).expect("a megabyte can be addressed");
    let wrapped = usize::try_from(LONGEST_PIECE).expect("a megabyte can be addressed");
    let mut bytes: Vec<u8> =
        (0..PERIOD.div_ceil(8)).flat_map(|number| mix(number).to_le_bytes()).take(period).collect();
    bytes.extend_from_within(..wrapped);
    // A leaked buffer is sliced without counting references.
    Bytes::from_static(bytes.leak())
});

/// The bytes of one object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content {
    start: u64,
}

impl Content {
    /// What the object with this key holds.
    pub(crate) fn of(key: &str) -> Self {
        Self { start: hash(key) % PERIOD }
    }

    /// The bytes from `offset` on: at least one, at most `length`, as many as come without a copy.
    pub(crate) fn piece(self, offset: u64, length: u64) -> Bytes {
        let from = (self.start + offset) % PERIOD;
        let to = from + length.min(LONGEST_PIECE);
        let index = |place| usize::try_from(place).expect("the buffer is in memory");
        BUFFER.slice(index(from)..index(to))
    }

    /// The CRC-64/NVME of `length` bytes from `offset` on.
    pub(crate) fn checksum(self, offset: u64, length: u64) -> u64 {
        self.sum(new_digest(), offset, length)
    }

    /// The checksum that OSS states of the first `length` bytes.
    pub(crate) fn ecma(self, length: u64) -> u64 {
        self.sum(Digest::new(ECMA), 0, length)
    }

    fn sum(self, mut digest: Digest, offset: u64, length: u64) -> u64 {
        let (mut offset, end) = (offset, offset + length);
        while offset < end {
            let piece = self.piece(offset, end - offset);
            digest.update(&piece);
            offset += piece.len() as u64;
        }
        digest.finalize()
    }
}

/// OSS's checksum, which it calls CRC-64/ECMA and others CRC-64/XZ.
pub(crate) const ECMA: CrcAlgorithm = CrcAlgorithm::Crc64Xz;

/// A fresh CRC-64/NVME: as fast as memory and safe against every short burst, which is all that a benchmark has to find.
pub(crate) fn new_digest() -> Digest {
    Digest::new(CrcAlgorithm::Crc64Nvme)
}

/// FNV-1a, mixed once more because keys differ in their last digits only.
pub(crate) fn hash(key: &str) -> u64 {
    let plain = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    mix(plain)
}

/// One step of `SplitMix64`.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
