//! What blobs are made of: Lucene's header and footer, the envelope of metadata, SMILE, and where a shard's blobs lie.

use std::io::Write as _;

use bytes::{BufMut as _, Bytes};
use serde_smile::value::Value;
use snapferry::repo::Codec;

const MAGIC: [u8; 4] = [0x3F, 0xD7, 0x6C, 0x17];
const FOOTER: [u8; 8] = [0xC0, 0x28, 0x93, 0xE8, 0, 0, 0, 0];

/// An object of SMILE, its members in this order.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// An object whose members are not known beforehand.
pub(crate) fn map(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(members.into_iter().collect())
}

pub(crate) fn text(value: impl Into<String>) -> Value {
    Value::String(value.into())
}

/// A number in as few bytes as it needs, as Jackson writes it.
pub(crate) fn number(value: impl TryInto<i64>) -> Value {
    let value = value.try_into().unwrap_or(i64::MAX);
    i32::try_from(value).map_or(Value::Long(value), Value::Integer)
}

pub(crate) fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(items.into_iter().collect())
}

/// Adds a member to an object.
pub(crate) fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value);
    }
}

/// Whether a body is deflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Plain,
    Deflated,
}

/// A metadata blob.
pub(crate) fn envelope(codec: Codec, value: &Value, body: Body) -> Bytes {
    let plain = codec.encode(value).expect("what is forged can be written");
    if body == Body::Plain {
        return plain;
    }
    let head = MAGIC.len() + 1 + codec.word().len() + 4;
    let mut blob = plain[..head].to_vec();
    blob.extend_from_slice(b"DFL\0");
    let mut encoder = flate2::write::DeflateEncoder::new(blob, flate2::Compression::new(3));
    encoder.write_all(&plain[head..plain.len() - 16]).expect("into memory");
    sealed(encoder.finish().expect("into memory"))
}

/// A Lucene file of exactly `length` bytes: header, the bytes of `body` over and over, footer.
pub(crate) fn lucene(codec: &str, length: usize, body: &[u8]) -> Bytes {
    let mut blob = MAGIC.to_vec();
    blob.put_u8(u8::try_from(codec.len()).expect("the names are short"));
    blob.put_slice(codec.as_bytes());
    blob.put_u32(1);
    let rest = length.checked_sub(blob.len() + 16).expect("a file is longer than its header and footer");
    blob.extend(body.iter().cycle().take(rest));
    sealed(blob)
}

/// Adds the footer: magic, algorithm, and the checksum of everything before its own eight bytes.
fn sealed(mut blob: Vec<u8>) -> Bytes {
    blob.put_slice(&FOOTER);
    let sum = crc32(&blob);
    blob.put_u64(u64::from(sum));
    blob.into()
}

pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

/// The checksum in a Lucene footer, if there is one and it is right.
pub(crate) fn footer(file: &[u8]) -> Option<u32> {
    let (head, sum) = file.split_at_checked(file.len().checked_sub(8)?)?;
    let right = head.ends_with(&FOOTER) && sum == u64::from(crc32(head)).to_be_bytes();
    right.then(|| crc32(head))
}

/// A number as Java prints it in base 36.
pub(crate) fn base36(mut value: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(u32::try_from(value % 36).expect("one digit"), 36).expect("one digit"));
        value /= 36;
        if value == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// Where OpenSearch keeps the blobs of a shard: below `indices/` (0), beside the base path (1), or below it under a hash (2).
pub(crate) fn container(path_type: u64, base: &str, id: &str, shard: usize) -> String {
    match path_type {
        1 => format!("{}/{base}indices/{id}/{shard}/", path_hash(id, shard)),
        2 => format!("{base}{}/indices/{id}/{shard}/", path_hash(id, shard)),
        _ => format!("{base}indices/{id}/{shard}/"),
    }
}

/// FNV-1a of shard and id: its six highest bits as a letter, the next fourteen as digits.
fn path_hash(id: &str, shard: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in format!("{shard}{id}").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let digits = (hash << 6) >> 50;
    format!("{}{digits:014b}", char::from(LETTERS[usize::try_from(hash >> 58).expect("six bits")]))
}
