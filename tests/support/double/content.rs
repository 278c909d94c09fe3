//! Contents of objects: bytes, or a formula of the position, so that objects of a TiB need no memory.
//!
//! The formula's period is a prime: a part that was put in the place of another shows, whatever its size.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use http_body::{Body, Frame, SizeHint};

/// The period of the formula, in bytes.
const PERIOD: u64 = 1_048_573;
/// The size of what is handed to the connection at once.
const CHUNK: u64 = 256 << 10;

/// One period and a chunk more, so that every chunk is a slice of it.
static WHEEL: LazyLock<Bytes> = LazyLock::new(|| (0..PERIOD + CHUNK).map(formula).collect());
static ZEROS: Bytes = Bytes::from_static(&[0; 64 << 10]);

/// The byte at a position of a synthesized object.
pub(crate) fn formula(position: u64) -> u8 {
    let mixed = (position % PERIOD).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8 ^ (mixed >> 29) as u8
}

#[derive(Debug, Clone)]
enum Piece {
    Bytes(Bytes),
    /// The formula from one position to another.
    Formula(Range<u64>),
    /// Something of this length that was not kept.
    Forgotten(u64),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Formula(range) => range.end - range.start,
            Self::Forgotten(length) => *length,
        }
    }

    fn slice(&self, range: Range<u64>) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.slice(index(range.start)..index(range.end))),
            Self::Formula(whole) => Self::Formula(whole.start + range.start..whole.start + range.end),
            Self::Forgotten(_) => Self::Forgotten(range.end - range.start),
        }
    }

    /// Its first bytes, as many as are at hand.
    fn chunk(&self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Formula(range) => {
                let start = range.start % PERIOD;
                WHEEL.slice(index(start)..index(start + CHUNK.min(self.length())))
            }
            Self::Forgotten(length) => ZEROS.slice(..index((*length).min(ZEROS.len() as u64))),
        }
    }
}

fn index(position: u64) -> usize {
    usize::try_from(position).expect("the tests run where an address has 64 bits")
}

/// What an object or the body of an answer holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content(Vec<Piece>);

impl Content {
    /// `length` bytes, each of them [`formula`] of its position.
    pub(crate) fn synthesized(length: u64) -> Self {
        Self(if length == 0 { Vec::new() } else { vec![Piece::Formula(0..length)] })
    }

    /// `length` bytes that were not kept.
    pub(crate) fn forgotten(length: u64) -> Self {
        Self(if length == 0 { Vec::new() } else { vec![Piece::Forgotten(length)] })
    }

    pub(crate) fn length(&self) -> u64 {
        self.0.iter().map(Piece::length).sum()
    }

    pub(crate) fn append(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The bytes of this range, which lies within.
    pub(crate) fn slice(&self, range: Range<u64>) -> Self {
        let (mut found, mut start) = (Vec::new(), 0);
        for piece in &self.0 {
            let end = start + piece.length();
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                found.push(piece.slice(from - start..to - start));
            }
            start = end;
        }
        Self(found)
    }

    /// All of it, for tests that compare; nothing when it was not kept or is a formula.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        let mut all = Vec::new();
        for piece in &self.0 {
            let Piece::Bytes(bytes) = piece else { return None };
            all.extend_from_slice(bytes);
        }
        Some(all.into())
    }

    /// Its CRC, in a time that hardly depends on the length of a formula; nothing when it was not kept.
    pub(crate) fn crc(&self, algorithm: CrcAlgorithm) -> Option<u64> {
        let mut sum = crc_fast::checksum(algorithm, b"");
        for piece in &self.0 {
            let next = match piece {
                Piece::Bytes(bytes) => crc_fast::checksum(algorithm, bytes),
                Piece::Formula(range) => crc_of_formula(algorithm, range),
                Piece::Forgotten(_) => return None,
            };
            sum = crc_fast::checksum_combine(algorithm, sum, next, piece.length());
        }
        Some(sum)
    }

    /// As the body of a message that breaks off after `cut` bytes.
    pub(crate) fn into_body(self, cut: Option<u64>) -> Outgoing {
        Outgoing { left: self.length(), cut, pieces: self.0.into() }
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        Self(if bytes.is_empty() { Vec::new() } else { vec![Piece::Bytes(bytes)] })
    }
}

/// 1. the end of the first period; 2. whole periods, doubled until there are enough; 3. the beginning of the last one.
fn crc_of_formula(algorithm: CrcAlgorithm, range: &Range<u64>) -> u64 {
    let of = |from: u64, to: u64| crc_fast::checksum(algorithm, &WHEEL[index(from)..index(to)]);
    let start = range.start % PERIOD;
    let length = range.end - range.start;
    let first = length.min(PERIOD - start);
    let mut sum = of(start, start + first);
    let (mut whole, last) = ((length - first) / PERIOD, (length - first) % PERIOD);
    let (mut power, mut size) = (of(0, PERIOD), PERIOD);
    while whole > 0 {
        if whole % 2 == 1 {
            sum = crc_fast::checksum_combine(algorithm, sum, power, size);
        }
        power = crc_fast::checksum_combine(algorithm, power, power, size);
        (whole, size) = (whole / 2, size * 2);
    }
    crc_fast::checksum_combine(algorithm, sum, of(0, last), last)
}

/// The connection is given up.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the test wants it so")
    }
}

impl std::error::Error for Broken {}

/// A content on its way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Piece>,
    left: u64,
    cut: Option<u64>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.cut == Some(0) {
            return Poll::Ready(Some(Err(Broken)));
        }
        let Some(piece) = self.pieces.pop_front() else { return Poll::Ready(None) };
        let mut chunk = piece.chunk();
        let taken = chunk.len() as u64;
        if taken < piece.length() {
            self.pieces.push_front(piece.slice(taken..piece.length()));
        }
        if let Some(cut) = &mut self.cut {
            chunk.truncate(index((*cut).min(taken)));
            *cut -= chunk.len() as u64;
        }
        self.left -= taken;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
