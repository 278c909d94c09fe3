//! Whether a file is what its entry says, by every byte of it.
//!
//! A Lucene file ends with a footer of sixteen bytes, whose last eight are the CRC-32 of everything before them. The entry states the same
//! checksum. So a file is proven if its length is right, its footer is one, and computed, found and stated checksum are one number.
//!
//! 1. The file is cut into pieces: each of its objects, and an object that is large into ranges.
//! 2. Pieces are read several at once; each gives the checksum of what lies before the last eight bytes of the file, that of the rest, and
//!    what it has of the footer.
//! 3. The checksums are combined in the order of the pieces.

use std::ops::Range;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::super::codec::FOOTER;
use super::file::DataFile;
use super::finding::Finding;
use super::kind::FindingKind;
use super::{Audit, Trouble};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::store::wrap::{Policy, retry};
use crate::store::{Algorithm, Checksum, Digest, GetOptions, Key, ObjectStore};

/// Larger objects are read in ranges of this many bytes, several at once.
const PIECE: u64 = 64 * 1024 * 1024;
/// Pieces of one file read at once.
const PIECES: usize = 4;
/// Tries for a body that breaks in the middle; the store repeats everything else by itself.
const TRIES: u32 = 4;
/// The part of a file that its checksum does not cover: the checksum itself.
const UNCOVERED: u64 = 8;
/// Footer magic, algorithm and checksum.
const FOOTER_LENGTH: u64 = 16;

/// What a file turned out to be.
#[derive(Debug)]
pub(super) struct Proof {
    /// The checksum of each object, all its bytes.
    pub(super) objects: Vec<Checksum>,
    /// What is wrong with it.
    pub(super) fault: Option<(FindingKind, String)>,
}

/// A range of an object of a file.
struct Piece {
    key: Key,
    /// Which object of the file.
    object: usize,
    /// What to ask for; all of it if none.
    range: Option<Range<u64>>,
    /// The length of the whole object.
    whole: u64,
    /// Where in the file it begins.
    offset: u64,
    length: u64,
    /// The length of the file.
    file: u64,
}

/// What was read of a piece.
struct Summed {
    object: usize,
    covered: (Checksum, u64),
    rest: (Checksum, u64),
    tail: Vec<u8>,
}

impl Audit {
    /// Reads a file and proves it.
    pub(super) async fn content(&self, file: DataFile) -> Result<()> {
        let (index, _, _) = &self.placed.indices[file.index as usize];
        let first = file.identity.parts().next().map(|part| file.key(&part)).expect("a file has an object");
        let note = |kind, message: String| {
            let finding = Finding::new(kind, message).at(&first).in_index(index).in_shard(file.shard);
            let finding = finding.of_file(&file.identity.physical).used_by(file.users.clone());
            self.note(file.healing(finding));
        };
        self.reporter.report(&Event::Started { key: first.as_str() });
        match self.proven(&file).await {
            Ok(proof) => {
                self.read_bytes(file.identity.length);
                if let Some((kind, message)) = proof.fault {
                    note(kind, message);
                }
            }
            Err(error) => match self.trouble(error)? {
                Trouble::Missing => note(FindingKind::MissingBlob, "it went away while it was verified".to_owned()),
                Trouble::Corrupt(cause) => note(FindingKind::CorruptBlob, cause),
                Trouble::Elsewhere(cause) | Trouble::Unreadable(cause) => note(FindingKind::UnreadableObject, cause),
            },
        }
        self.reporter.report(&Event::Checked { key: first.as_str(), bytes: file.identity.length });
        Ok(())
    }
}

impl Audit {
    /// Proves a file; what seems wrong is read once more, because it may have been damaged on the way.
    async fn proven(&self, file: &DataFile) -> Result<Proof> {
        let read = || prove(self.reader.base.store.as_ref(), file, &self.options.retry, self.reporter.as_ref());
        let proof = read().await?;
        if proof.fault.is_none() { Ok(proof) } else { read().await }
    }
}

/// Reads a file and proves it. An error if it cannot be read.
pub(super) async fn prove(
    store: &dyn ObjectStore,
    file: &DataFile,
    policy: &Policy,
    reporter: &dyn Reporter,
) -> Result<Proof> {
    prove_pieces(store, file, pieces(file, PIECE), policy, reporter).await
}

async fn prove_pieces(
    store: &dyn ObjectStore,
    file: &DataFile,
    pieces: Vec<Piece>,
    policy: &Policy,
    reporter: &dyn Reporter,
) -> Result<Proof> {
    let policy = Policy { attempts: policy.attempts.min(TRIES), ..*policy };
    let empty = Checksum::of(Algorithm::Crc32, b"");
    let mut objects = vec![empty; file.identity.parts().count()];
    let (mut covered, mut tail) = (empty, Vec::new());
    let summed = stream::iter(pieces)
        .map(|piece| async move { retry(&policy, reporter, || sum(store, &piece, reporter)).await });
    let mut summed = summed.buffered(PIECES);
    while let Some(piece) = summed.try_next().await? {
        covered = after(covered, piece.covered);
        let object = &mut objects[piece.object];
        *object = after(after(*object, piece.covered), piece.rest);
        tail.extend_from_slice(&piece.tail);
    }
    Ok(Proof { objects, fault: fault(file, covered, &tail) })
}

fn after(before: Checksum, (next, length): (Checksum, u64)) -> Checksum {
    before.followed_by(next, length).expect("a CRC-32 can be combined")
}

/// What is wrong with a file of that checksum that ends so.
fn fault(file: &DataFile, covered: Checksum, tail: &[u8]) -> Option<(FindingKind, String)> {
    let stated = file.identity.checksum;
    let (magic, found) = tail.split_at_checked(FOOTER.len()).unwrap_or((tail, &[]));
    if magic != FOOTER || found.len() != FOOTER.len() {
        // Files older than Lucene's footers are known by their length alone.
        return stated
            .map(|_| (FindingKind::CorruptBlob, "it does not end with the footer of a Lucene file".to_owned()));
    }
    let found = found.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
    if u128::from(found) != covered.value {
        let message = format!("its content has the checksum {:08x} and its footer says {found:08x}", covered.value);
        return Some((FindingKind::CorruptBlob, message));
    }
    let stated = stated.filter(|stated| u64::from(*stated) != found)?;
    let message =
        format!("it is intact with the checksum {found:08x}, and the snapshot names a file with {stated:08x}");
    Some((FindingKind::OtherContent, message))
}

/// The pieces of a file, in order.
fn pieces(file: &DataFile, size: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (object, part) in file.identity.parts().enumerate() {
        let key = file.key(&part);
        let count = part.length.div_ceil(size).max(1);
        for number in 0..count {
            let begin = number * size;
            let length = size.min(part.length - begin);
            let range = (count > 1).then_some(begin..begin + length);
            let (key, whole, offset) = (key.clone(), part.length, part.offset + begin);
            pieces.push(Piece { key, object, range, whole, offset, length, file: file.identity.length });
        }
    }
    pieces
}

/// Reads and sums a piece.
async fn sum(store: &dyn ObjectStore, piece: &Piece, reporter: &dyn Reporter) -> Result<Summed> {
    let got = store.get(&piece.key, GetOptions { range: piece.range.clone(), if_match: None }).await?;
    if got.meta.size != piece.whole {
        let cause = format!("it has {} bytes and should have {}", got.meta.size, piece.whole);
        return Err(Error::new(ErrorKind::Precondition, format!("read {:?}", piece.key)).because(cause));
    }
    let (mut covered, mut rest) = (Digest::new(Algorithm::Crc32), Digest::new(Algorithm::Crc32));
    let border = piece.file.saturating_sub(UNCOVERED).clamp(piece.offset, piece.offset + piece.length) - piece.offset;
    let footer = piece.file.saturating_sub(FOOTER_LENGTH).saturating_sub(piece.offset);
    let (mut at, mut tail, mut body) = (0u64, Vec::new(), got.body.stream);
    while let Some(bytes) = body.try_next().await? {
        let length = bytes.len() as u64;
        let cut = |place: u64| usize::try_from(place.saturating_sub(at).min(length)).expect("within the chunk");
        covered.update(&bytes[..cut(border)]);
        rest.update(&bytes[cut(border)..]);
        tail.extend_from_slice(&bytes[cut(footer)..]);
        at += length;
        reporter.report(&Event::Moved { bytes: length });
    }
    if at != piece.length {
        return Err(crate::store::short(piece.length, at));
    }
    let (covered, rest) = ((covered.finish(), border), (rest.finish(), piece.length - border));
    Ok(Summed { object: piece.object, covered, rest, tail })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::super::file::Identity;
    use super::super::users::Users;
    use super::*;
    use crate::event::Silent;
    use crate::store::MemoryStore;

    /// A file of Lucene's in a store, cut into parts of that length.
    fn file(content: &[u8], part: u64, store: &MemoryStore) -> DataFile {
        let head = [content, &FOOTER].concat();
        let checksum = u32::try_from(Checksum::of(Algorithm::Crc32, &head).value).expect("32 bits");
        let bytes = [&head[..], &u64::from(checksum).to_be_bytes()].concat();
        let identity = Identity::cut("__a", bytes.len() as u64, checksum, part);
        let file = DataFile {
            index: 0,
            shard: 0,
            container: "indices/i/0/".to_owned(),
            identity,
            users: Users::one(0),
            contested: false,
        };
        for part in file.identity.parts() {
            let place = |at: u64| usize::try_from(at).expect("short");
            let bytes = bytes[place(part.offset)..place(part.offset + part.length)].to_vec();
            store.insert(file.key(&part), bytes, Timestamp::UNIX_EPOCH);
        }
        file
    }

    fn proof(store: &MemoryStore, file: &DataFile, size: u64) -> Proof {
        let policy = Policy { attempts: 1, ..Policy::default() };
        let proved = prove_pieces(store, file, pieces(file, size), &policy, &Silent);
        futures::executor::block_on(proved).expect("it can be read")
    }

    proptest! {
        #[test]
        fn however_a_file_is_cut_it_is_proven_and_every_changed_byte_noticed(
            content in proptest::collection::vec(any::<u8>(), 0..60),
            part in 1..80u64,
            size in 1..80u64,
            at in any::<proptest::sample::Index>(),
        ) {
            let store = MemoryStore::default();
            let file = file(&content, part, &store);
            let whole = proof(&store, &file, size);
            prop_assert!(whole.fault.is_none(), "{:?}", whole.fault);
            let sums: Vec<Checksum> =
                file.identity.parts().map(|part| Checksum::of(Algorithm::Crc32, &store.contents()[&file.key(&part)])).collect();
            prop_assert_eq!(whole.objects, sums);
            let parts: Vec<_> = file.identity.parts().collect();
            let key = file.key(&parts[at.index(parts.len())]);
            let mut bytes = store.contents()[&key].to_vec();
            let place = at.index(bytes.len());
            bytes[place] ^= 4;
            store.insert(key, bytes, Timestamp::UNIX_EPOCH);
            prop_assert_eq!(proof(&store, &file, size).fault.map(|(kind, _)| kind), Some(FindingKind::CorruptBlob));
        }
    }

    #[test]
    fn another_intact_file_is_not_the_one_named() {
        let store = MemoryStore::default();
        let other = file(b"other", 100, &store);
        let named = DataFile { identity: Identity::cut("__a", other.identity.length, 7, 100), ..other };
        assert_eq!(proof(&store, &named, 100).fault.map(|(kind, _)| kind), Some(FindingKind::OtherContent));
    }
}
