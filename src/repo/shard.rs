//! The files of a shard: `snap-<uuid>.dat` (in one snapshot) and `index-<generation>` (in all of them).
//!
//! A file entry names a Lucene file and the blob that holds it, whole or in parts, or holds it itself (`v__…`, "virtual"). Its
//! checksum is the CRC-32 of Lucene's own footer, so that a blob can be proven without any other statement.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use super::codec::{Codec, FOOTER, FOOTER_LENGTH, crc32};
use crate::error::{Error, ErrorKind, Result};

/// The files of a shard in one snapshot.
#[derive(Debug, Clone, Deserialize)]
pub struct ShardSnapshot {
    /// The snapshot's name.
    pub name: String,
    /// How many files this snapshot had to write, and their bytes; what it shares with earlier ones is not counted.
    #[serde(default)]
    pub number_of_files: u64,
    /// See `number_of_files`.
    #[serde(default)]
    pub total_size: u64,
    /// All files of the shard.
    #[serde(default)]
    pub files: Vec<FileEntry>,
}

impl ShardSnapshot {
    /// Reads a shard's `snap-<uuid>.dat`.
    pub fn parse(name: &str, blob: &[u8]) -> Result<Self> {
        let read: Self = Codec::Snapshot.decode(name, blob)?;
        check(name, &read.files)?;
        Ok(read)
    }
}

/// The files of a shard in all snapshots. It is rewritten with every snapshot, and a restore does not need it.
#[derive(Debug, Clone, Deserialize)]
pub struct ShardIndex {
    /// All files.
    #[serde(default)]
    pub files: Vec<FileEntry>,
    /// Which snapshot, by its name, has which of them.
    #[serde(default)]
    pub snapshots: BTreeMap<String, ShardIndexEntry>,
}

/// A snapshot as the index of a shard lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct ShardIndexEntry {
    /// Names of blobs.
    #[serde(default)]
    pub files: Vec<String>,
}

impl ShardIndex {
    /// Reads a shard's `index-<generation>`.
    pub fn parse(name: &str, blob: &[u8]) -> Result<Self> {
        let read: Self = Codec::Snapshots.decode(name, blob)?;
        check(name, &read.files)?;
        Ok(read)
    }
}

fn check(name: &str, files: &[FileEntry]) -> Result<()> {
    match files.iter().find_map(FileEntry::fault) {
        None => Ok(()),
        Some(cause) => Err(Error::new(ErrorKind::Corrupt, format!("read `{name}`")).because(cause)),
    }
}

/// A Lucene file in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FileEntry {
    /// The blob that holds it: `__…`, or `v__…` if there is none.
    pub name: String,
    /// Its name in Lucene's directory.
    pub physical_name: String,
    /// Its length in bytes.
    pub length: u64,
    /// The CRC-32 of its Lucene footer; none if the snapshot was made from files older than such footers.
    #[serde(default, deserialize_with = "checksum")]
    pub checksum: Option<u32>,
    /// The length of its parts but the last; none if it is never cut.
    #[serde(default, deserialize_with = "part_size")]
    part_size: Option<u64>,
    /// The Lucene version that wrote it.
    #[serde(default)]
    pub written_by: Option<String>,
    /// Its content, or the first MiB of it, for the smallest and most telling files (`segments_N`, `.si`).
    #[serde(default, deserialize_with = "binary")]
    pub meta_hash: Option<Bytes>,
}

impl FileEntry {
    /// Whether its content is in the entry and nowhere else.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.name.starts_with("v__")
    }

    /// The objects that hold it, with their lengths; none if it is virtual.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let size = self.part_size.unwrap_or(u64::MAX);
        let count = if self.is_virtual() { 0 } else { self.length.div_ceil(size).max(1) };
        (0..count).map(move |number| {
            let offset = number * size;
            let name = if count == 1 { self.name.clone() } else { format!("{}.part{number}", self.name) };
            Part { name, offset, length: size.min(self.length - offset) }
        })
    }

    /// Whether it is cut into several objects.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        !self.is_virtual() && self.part_size.is_some_and(|size| self.length > size)
    }

    /// The last sixteen bytes that the file must have, and with them the CRC-32 of all but its last eight.
    #[must_use]
    pub fn footer(&self) -> Option<[u8; FOOTER_LENGTH]> {
        let mut footer = [0; FOOTER_LENGTH];
        footer[..8].copy_from_slice(&FOOTER);
        footer[12..].copy_from_slice(&self.checksum?.to_be_bytes());
        Some(footer)
    }

    /// What is wrong with a content that the entry itself holds; none if it is right, or not held.
    #[must_use]
    pub fn virtual_fault(&self) -> Option<String> {
        let content = self.meta_hash.as_ref();
        if !self.is_virtual() {
            return None;
        }
        let Some(content) = content else { return Some("its content should be in its entry and is not".to_owned()) };
        if content.len() as u64 != self.length {
            return Some(format!("its entry says {} bytes and holds {}", self.length, content.len()));
        }
        let footer = self.footer()?;
        let Some(head) = content.strip_suffix(&footer) else {
            return Some("it has not the footer it should have".to_owned());
        };
        let sum = crc32(&[head, &FOOTER].concat());
        (Some(sum) != self.checksum).then(|| "its checksum is wrong".to_owned())
    }

    fn fault(&self) -> Option<String> {
        let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\0']);
        let named = self.name.starts_with("__") || self.name.starts_with("v__");
        if !named || !plain(&self.name) || !plain(&self.physical_name) {
            let name = format!("{} ({})", self.name, self.physical_name).escape_default().to_string();
            return Some(format!("`{name}` is no name of a blob"));
        }
        // A hundred thousand parts of one file would be bigger than any store takes; it stops a bomb of names.
        let parts = self.part_size.map_or(1, |size| self.length.div_ceil(size));
        if i64::try_from(self.length).is_err() || parts > 1_000_000 {
            return Some(format!("`{}` cannot have {} bytes in {parts} parts", self.name, self.length));
        }
        None
    }
}

/// One object of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name in the shard.
    pub name: String,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// Base 36 in lower case, as Java prints a number; `_na_` where there was none.
fn checksum<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<u32>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("_na_") => Ok(None),
        Some(text) => u32::from_str_radix(text, 36)
            .map(Some)
            .map_err(|_| serde::de::Error::custom("a checksum is not a number in base 36")),
    }
}

/// The largest number of Java, as well as nothing, stands for "never cut".
fn part_size<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<u64>, D::Error> {
    let size = Option::<i64>::deserialize(deserializer)?;
    match size {
        None | Some(i64::MAX) => Ok(None),
        Some(size) => match u64::try_from(size) {
            Ok(size) if size > 0 => Ok(Some(size)),
            _ => Err(serde::de::Error::custom("a part has no bytes")),
        },
    }
}

fn binary<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Bytes>, D::Error> {
    struct Visitor;
    impl serde::de::Visitor<'_> for Visitor {
        type Value = Option<Bytes>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("bytes")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> std::result::Result<Self::Value, E> {
            Ok(Some(Bytes::copy_from_slice(bytes)))
        }
        fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Visitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(length: u64, part_size: Option<u64>) -> FileEntry {
        FileEntry {
            name: "__a".to_owned(),
            physical_name: "_0.cfs".to_owned(),
            length,
            checksum: Some(1),
            part_size,
            written_by: None,
            meta_hash: None,
        }
    }

    #[test]
    fn a_file_is_whole_or_cut_into_parts_of_one_size_but_the_last() {
        let names = |length, size| -> Vec<(String, u64, u64)> {
            entry(length, size).parts().map(|part| (part.name, part.offset, part.length)).collect()
        };
        assert_eq!(names(10, None), [("__a".to_owned(), 0, 10)]);
        assert_eq!(names(10, Some(10)), [("__a".to_owned(), 0, 10)]);
        assert_eq!(
            names(10, Some(4)),
            [("__a.part0".to_owned(), 0, 4), ("__a.part1".to_owned(), 4, 4), ("__a.part2".to_owned(), 8, 2)]
        );
        assert_eq!(names(0, Some(4)), [("__a".to_owned(), 0, 0)]);
    }

    #[test]
    fn a_virtual_file_has_no_object_and_its_content_is_proven() {
        let head = b"some content".as_slice();
        let checksum = crc32(&[head, &FOOTER].concat());
        let mut file = FileEntry { name: "v__x".to_owned(), checksum: Some(checksum), ..entry(28, None) };
        file.meta_hash = Some([head, &file.footer().expect("it has a checksum")].concat().into());
        assert_eq!((file.parts().count(), file.virtual_fault()), (0, None));
        let mut changed = file.meta_hash.clone().expect("it was set").to_vec();
        changed[3] ^= 1;
        for content in [None, Some(Bytes::from_static(b"short")), Some(changed.into())] {
            assert!(FileEntry { meta_hash: content, ..file.clone() }.virtual_fault().is_some());
        }
    }

    #[test]
    fn names_that_leave_the_shard_and_impossible_lengths_are_refused() {
        for name in ["__a/../../x", "index-1", "", "__\0"] {
            assert!(FileEntry { name: name.to_owned(), ..entry(1, None) }.fault().is_some(), "{name}");
        }
        assert!(entry(u64::MAX, None).fault().is_some());
        assert!(entry(1 << 40, Some(1)).fault().is_some());
    }
}
