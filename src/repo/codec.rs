//! The envelope of every metadata blob: magic, codec name, body, checksum; and the two wrappings of the body.
//!
//! ```text
//! 3F D7 6C 17 | len | codec name | 00 00 00 01 | body | C0 28 93 E8 | 00 00 00 00 | 00 00 00 00 crc32
//! ```
//! The CRC-32 is over everything before the last eight bytes. The body is SMILE, as it is or behind `DFL\0` (raw deflate) or `ZSTD\0`
//! (a zstd frame). `docs/repository.md`, "The envelope".

use std::io::{BufReader, Read};

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::store::{Algorithm, Checksum};

const MAGIC: [u8; 4] = [0x3F, 0xD7, 0x6C, 0x17];
const VERSION: [u8; 4] = [0, 0, 0, 1];
/// Footer magic and algorithm id, as Lucene writes them in front of every checksum.
pub(super) const FOOTER: [u8; 8] = [0xC0, 0x28, 0x93, 0xE8, 0, 0, 0, 0];
/// Footer magic, algorithm id and checksum.
pub(super) const FOOTER_LENGTH: usize = 16;
const DEFLATE: &[u8] = b"DFL\0";
const ZSTD: &[u8] = b"ZSTD\0";

const MIB: u64 = 1024 * 1024;

/// What kind of metadata a blob holds, by the codec name in its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// A snapshot's description at the root, and a shard's list of files in one snapshot.
    Snapshot,
    /// The cluster state that belongs to a snapshot.
    Metadata,
    /// Mappings and settings of an index.
    IndexMetadata,
    /// A shard's list of files in all snapshots.
    Snapshots,
}

impl Codec {
    /// The name in the envelope.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Metadata => "metadata",
            Self::IndexMetadata => "index-metadata",
            Self::Snapshots => "snapshots",
        }
    }

    /// The longest body that is believed, in bytes, unpacked. Far above what clusters write, and what stops a bomb.
    fn largest(self) -> u64 {
        match self {
            Self::Snapshot => 32 * MIB,
            Self::IndexMetadata | Self::Snapshots => 64 * MIB,
            Self::Metadata => 1024 * MIB,
        }
    }

    /// Reads a blob: its envelope is checked, its body unpacked and decoded. Fields that `T` does not know are skipped.
    ///
    /// [`ErrorKind::Corrupt`] for anything that is not as it should be; `name` is for messages.
    pub fn decode<T: DeserializeOwned>(self, name: &str, blob: &[u8]) -> Result<T> {
        let body = self.open(name, blob)?;
        let mut deserializer = serde_smile::Deserializer::from_reader(self.unpack(body));
        let value = T::deserialize(&mut deserializer).map_err(|error| corrupt(name, crate::error::chain(&error)))?;
        // Elasticsearch from 7.16 refuses anything behind the object, an end marker included.
        let left = deserializer.into_inner().into_inner().bytes().next();
        match left {
            None => Ok(value),
            Some(Ok(_)) => Err(corrupt(name, "something follows its content".to_owned())),
            Some(Err(error)) => Err(corrupt(name, error.to_string())),
        }
    }

    /// Checks a blob without looking at what it says: envelope, checksum, and that the body can be unpacked.
    pub fn check(self, name: &str, blob: &[u8]) -> Result<()> {
        self.decode::<serde::de::IgnoredAny>(name, blob).map(|_| ())
    }

    /// Writes a blob as Elasticsearch does where `compress` is off.
    pub fn encode<T: Serialize>(self, value: &T) -> Result<Bytes> {
        let failed = |error: serde_smile::Error| Error::new(ErrorKind::Internal, "write metadata").from_source(error);
        let mut body = Vec::new();
        let mut serializer =
            serde_smile::Serializer::builder().raw_binary(true).shared_properties(true).build(&mut body);
        value.serialize(&mut serializer).map_err(failed)?;
        Ok(self.wrap(&body))
    }

    /// Puts the envelope around a body.
    fn wrap(self, body: &[u8]) -> Bytes {
        let name = self.word().as_bytes();
        let mut blob = BytesMut::with_capacity(body.len() + name.len() + 25);
        blob.put_slice(&MAGIC);
        blob.put_u8(u8::try_from(name.len()).expect("the names are short"));
        blob.put_slice(name);
        blob.put_slice(&VERSION);
        blob.put_slice(body);
        blob.put_slice(&FOOTER);
        let sum = crc32(&blob);
        blob.put_u64(u64::from(sum));
        blob.freeze()
    }

    /// Checks the envelope and gives the body.
    fn open<'a>(self, name: &str, blob: &'a [u8]) -> Result<&'a [u8]> {
        let corrupt = |cause: String| corrupt(name, cause);
        let Some(rest) = blob.strip_prefix(&MAGIC) else {
            let cause =
                if blob.is_empty() { "it is empty" } else { "it does not begin with the magic of Lucene's codecs" };
            return Err(corrupt(cause.to_owned()));
        };
        let Some((&length, rest)) = rest.split_first() else { return Err(corrupt("it ends in its header".to_owned())) };
        let (found, rest) =
            rest.split_at_checked(usize::from(length)).ok_or_else(|| corrupt("it ends in its header".to_owned()))?;
        if found != self.word().as_bytes() {
            let found = String::from_utf8_lossy(found).escape_default().to_string();
            return Err(corrupt(format!("its codec is `{found}` and should be `{}`", self.word())));
        }
        let rest = rest.strip_prefix(&VERSION).ok_or_else(|| corrupt("its codec has an unknown version".to_owned()))?;
        let (body, footer) = rest
            .len()
            .checked_sub(FOOTER_LENGTH)
            .map(|at| rest.split_at(at))
            .ok_or_else(|| corrupt("it ends before its footer".to_owned()))?;
        let Some(stated) = footer.strip_prefix(&FOOTER) else {
            return Err(corrupt("its footer is not there: it is cut short, or goes on".to_owned()));
        };
        let came = u64::from(crc32(&blob[..blob.len() - 8]));
        if stated != came.to_be_bytes() {
            return Err(corrupt("its checksum is wrong".to_owned()));
        }
        Ok(body)
    }

    /// Text inside of a body, which clusters wrap as they wrap the body: the filter of an alias.
    pub(super) fn text(self, name: &str, wrapped: &[u8]) -> Result<String> {
        let mut text = String::new();
        let read = self.unpack(wrapped).read_to_string(&mut text);
        read.map_err(|error| corrupt(name, error.to_string())).map(|_| text)
    }

    fn unpack(self, body: &[u8]) -> BufReader<Bounded<'_>> {
        let (reader, packed): (Box<dyn Read + '_>, _) = if let Some(packed) = body.strip_prefix(DEFLATE) {
            (Box::new(flate2::read::DeflateDecoder::new(packed)), true)
        } else if let Some(packed) = body.strip_prefix(ZSTD) {
            match ruzstd::decoding::StreamingDecoder::new(packed) {
                Ok(decoder) => (Box::new(decoder), true),
                Err(error) => (Box::new(Broken(error.to_string())), true),
            }
        } else {
            (Box::new(body), false)
        };
        let left = if packed { self.largest() } else { u64::MAX };
        BufReader::with_capacity(16 * 1024, Bounded { reader, left, most: self.largest() })
    }
}

fn corrupt(name: &str, cause: String) -> Error {
    Error::new(ErrorKind::Corrupt, format!("read `{name}`")).because(cause)
}

/// The CRC-32 of zlib, which Lucene uses.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    u32::try_from(Checksum::of(Algorithm::Crc32, bytes).value).expect("it has 32 bits")
}

/// A body that cannot even be begun.
struct Broken(String);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other(std::mem::take(&mut self.0)))
    }
}

/// A body that may unpack to so many bytes and no more.
struct Bounded<'a> {
    reader: Box<dyn Read + 'a>,
    left: u64,
    most: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => Err(std::io::Error::other(format!("it unpacks to more than {} bytes", self.most))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_smile::value::Value;

    use super::*;

    fn object(key: &str, value: Value) -> Value {
        Value::Object([(key.to_owned(), value)].into_iter().collect())
    }

    #[test]
    fn what_is_written_is_read() {
        let value =
            object("files", Value::Array(vec![Value::Binary(vec![0, 255, 7]), Value::Long(1 << 40), Value::Null]));
        for codec in [Codec::Snapshot, Codec::Snapshots, Codec::Metadata, Codec::IndexMetadata] {
            let blob = codec.encode(&value).expect("it can be written");
            assert_eq!(codec.decode::<Value>("x", &blob).expect("it is whole"), value);
        }
        let blob = Codec::Snapshot.encode(&value).expect("it can be written");
        assert_eq!(blob[..21], *b"\x3F\xD7\x6C\x17\x08snapshot\0\0\0\x01:)\n\x05");
        assert_eq!(Codec::Metadata.check("x", &blob).expect_err("another codec").kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let blob = Codec::Snapshot.encode(&object("name", Value::String("s1".to_owned()))).expect("it can be written");
        for at in 0..blob.len() {
            assert!(Codec::Snapshot.check("x", &blob[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut other = blob.to_vec();
                other[at] ^= 1 << bit;
                assert!(Codec::Snapshot.check("x", &other).is_err(), "bit {bit} of byte {at}");
            }
        }
        let more = [&blob[..], b"\0"].concat();
        assert!(Codec::Snapshot.check("x", &more).is_err());
    }

    fn deflated(body: &[u8]) -> Bytes {
        let mut encoder = flate2::write::DeflateEncoder::new(DEFLATE.to_vec(), flate2::Compression::fast());
        encoder.write_all(body).expect("memory");
        Codec::Snapshot.wrap(&encoder.finish().expect("memory"))
    }

    #[test]
    fn deflated_and_zstd_bodies_are_unpacked() {
        let body = serde_smile::to_vec(&object("name", Value::String("s1".to_owned()))).expect("it can be written");
        // One raw block in one frame: magic, header with a window of 1 KiB, block header, content.
        let mut frame = b"ZSTD\0\x28\xB5\x2F\xFD\x00\x00".to_vec();
        let block = u32::try_from(body.len()).expect("short") << 3 | 1;
        frame.extend_from_slice(&block.to_le_bytes()[..3]);
        frame.extend_from_slice(&body);
        for blob in [deflated(&body), Codec::Snapshot.wrap(&frame)] {
            let value: Value = Codec::Snapshot.decode("x", &blob).expect("it is whole");
            assert_eq!(value, object("name", Value::String("s1".to_owned())));
        }
        for broken in [&b"DFL\0\xFF\xFF"[..], b"ZSTD\0nonsense", b"ZSTD\0"] {
            assert!(Codec::Snapshot.check("x", &Codec::Snapshot.wrap(broken)).is_err());
        }
    }

    #[test]
    fn a_bomb_is_stopped_and_what_follows_the_object_refused() {
        // An object with one long string in it.
        let mut body = b":)\n\x05\xFA\x80a\xE0".to_vec();
        body.resize(40 * 1024 * 1024, b'x');
        body.extend_from_slice(b"\xFC\xFB");
        let error = Codec::Snapshot.check("x", &deflated(&body)).expect_err("too long");
        assert!(error.to_string().contains("33554432 bytes"), "{error}");
        let mut body = serde_smile::to_vec(&object("a", Value::Null)).expect("it can be written");
        body.push(0xFF);
        assert!(Codec::Snapshot.check("x", &Codec::Snapshot.wrap(&body)).is_err());
    }
}
