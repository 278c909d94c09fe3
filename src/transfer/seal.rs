//! Contents that carry their own checksum in their last bytes, and so can be proven while they pass, whatever the stores state.
//!
//! A file may be one object or several, and an object may pass in one piece or in many at once; what is known of the pieces is put
//! together ([`Piece::then`]) and held against the seal at the end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::store::{Algorithm, Checksum, Digest, Key};

/// The last bytes that are not part of the checksum.
const UNSUMMED: u64 = 8;

/// What a file must end with, and what must be right of the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The CRC-32 of the file without its last eight bytes.
    pub crc32: u32,
    /// The file's last bytes.
    pub tail: [u8; 16],
    /// The file's length in bytes.
    pub length: u64,
    /// Where in the file the object begins, in bytes.
    pub offset: u64,
    /// What the file is called, if it is cut into several objects: a name that these have in common and no others.
    pub file: Option<String>,
}

impl Seal {
    /// A watch over the bytes of the object from `offset` on.
    pub(super) fn watch(&self, offset: u64) -> Watch {
        Watch {
            at: self.offset + offset,
            summed: self.length.saturating_sub(UNSUMMED),
            tail_from: self.length.saturating_sub(self.tail.len() as u64),
            piece: Piece { crc: None, length: 0, tail: Vec::new() },
            digest: Digest::new(Algorithm::Crc32),
        }
    }

    /// Whether the whole file is what it should be.
    pub(super) fn holds(&self, whole: &Piece) -> bool {
        whole.sum() == Some(self.crc32) && whole.length + UNSUMMED == self.length && whole.tail == self.tail
    }

    /// For an object that is not what its seal says.
    pub(super) fn broken(&self, key: &Key, found: &Piece) -> Error {
        let cause = match found.sum() {
            Some(sum) if found.tail == self.tail => {
                format!("its checksum is {sum:08x} and should be {:08x}", self.crc32)
            }
            _ => "it does not end with the checksum that it should have".to_owned(),
        };
        Error::new(ErrorKind::Corrupt, format!("copy {key:?}")).because(cause)
    }
}

/// For an object that came twice with the same damage: it is the source's.
pub(super) fn damaged(error: &Error, key: &Key) -> Error {
    let cause = error.cause().unwrap_or_default();
    Error::new(ErrorKind::Damaged, format!("copy {key:?}"))
        .because(format!("it is damaged at the source: {cause}"))
        .hint("`verify` on the source tells which snapshots need it; a copy from before the damage can repair it (`verify --repair-from`)")
}

/// Sums the bytes of one stretch of a file as they pass.
#[derive(Debug)]
pub(super) struct Watch {
    at: u64,
    summed: u64,
    tail_from: u64,
    digest: Digest,
    piece: Piece,
}

impl Watch {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len() as u64;
        let within = |position: u64| usize::try_from(position.clamp(self.at, end) - self.at).expect("within the bytes");
        let (summed, tail) = (within(self.summed), within(self.tail_from));
        if summed > 0 {
            self.digest.update(&bytes[..summed]);
            self.piece.length += summed as u64;
        }
        self.piece.tail.extend_from_slice(&bytes[tail..]);
        self.at = end;
    }

    pub(super) fn piece(&self) -> Piece {
        Piece { crc: Some(self.digest.finish()), ..self.piece.clone() }
    }
}

/// What is known of one stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    crc: Option<Checksum>,
    /// How many bytes the sum is over.
    length: u64,
    tail: Vec<u8>,
}

impl Piece {
    /// This stretch and the one behind it.
    pub(super) fn then(mut self, next: &Self) -> Self {
        self.crc = match (self.crc, next.crc) {
            (Some(crc), Some(next_crc)) => crc.followed_by(next_crc, next.length),
            _ => None,
        };
        self.length += next.length;
        self.tail.extend_from_slice(&next.tail);
        self
    }

    pub(super) fn sum(&self) -> Option<u32> {
        u32::try_from(self.crc?.value).ok()
    }
}

/// Files of several objects that are on their way.
#[derive(Debug, Default)]
pub(super) struct Files(Mutex<HashMap<String, Vec<Object>>>);

/// One object of such a file.
#[derive(Debug)]
struct Object {
    offset: u64,
    length: u64,
    piece: Piece,
}

impl Files {
    /// Notes an object that has arrived. Gives what is known of the whole file if it was the last one.
    pub(super) fn arrived(&self, seal: &Seal, file: &str, length: u64, piece: Piece) -> Option<Piece> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = files.entry(file.to_owned()).or_default();
        objects.retain(|object| object.offset != seal.offset);
        objects.push(Object { offset: seal.offset, length, piece });
        if objects.iter().map(|object| object.length).sum::<u64>() < seal.length {
            return None;
        }
        let mut objects = files.remove(file)?;
        objects.sort_by_key(|object| object.offset);
        objects.into_iter().map(|object| object.piece).reduce(|whole, next| whole.then(&next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(length: usize) -> (Vec<u8>, Seal) {
        let mut content: Vec<u8> = (0..length - 16).map(|at| u8::try_from(at % 251).expect("below 251")).collect();
        content.extend_from_slice(b"\xC0\x28\x93\xE8\0\0\0\0");
        let crc32 = u32::try_from(Checksum::of(Algorithm::Crc32, &content).value).expect("32 bits");
        content.extend_from_slice(&u64::from(crc32).to_be_bytes());
        let tail = content[length - 16..].try_into().expect("sixteen bytes");
        (content, Seal { crc32, tail, length: length as u64, offset: 0, file: None })
    }

    #[test]
    fn a_file_holds_in_one_piece_and_in_any_pieces() {
        for length in [16, 17, 40, 1000] {
            let (content, seal) = file(length);
            for size in [1, 3, 7, 9, 16, 1000] {
                let pieces = content.chunks(size).enumerate().map(|(at, chunk)| {
                    let mut watch = seal.watch((at * size) as u64);
                    for bytes in chunk.chunks(5) {
                        watch.take(bytes);
                    }
                    watch.piece()
                });
                let whole = pieces.reduce(|whole, next| whole.then(&next)).expect("it has bytes");
                assert!(seal.holds(&whole), "{length} bytes in pieces of {size}");
            }
        }
    }

    #[test]
    fn any_changed_byte_and_any_other_length_breaks_the_seal() {
        let (content, seal) = file(60);
        let piece = |bytes: &[u8]| {
            let mut watch = seal.watch(0);
            watch.take(bytes);
            watch.piece()
        };
        for at in 0..content.len() {
            let mut other = content.clone();
            other[at] ^= 0x10;
            assert!(!seal.holds(&piece(&other)), "byte {at}");
        }
        assert!(!seal.holds(&piece(&content[..59])));
        let (other, _) = file(60 + 1);
        assert!(!seal.holds(&piece(&other)));
    }

    #[test]
    fn the_objects_of_a_file_may_arrive_in_any_order_and_again() {
        let (content, seal) = file(50);
        let files = Files::default();
        let mut ended = None;
        for at in [2, 0, 0, 1] {
            let from = at * 20;
            let bytes = &content[from..(from + 20).min(50)];
            let part = Seal { offset: from as u64, ..seal.clone() };
            let mut watch = part.watch(0);
            watch.take(bytes);
            assert!(ended.is_none());
            ended = files.arrived(&part, "f", bytes.len() as u64, watch.piece());
        }
        assert!(seal.holds(&ended.expect("all are there")));
    }
}
