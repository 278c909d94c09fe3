//! A Lucene file as an audit remembers it: what proves it and where it lies, without its content.

use serde::{Deserialize, Serialize};

use super::super::shard::{FileEntry, Part};
use super::finding::Finding;
use super::repair::Remedy;
use super::users::Users;
use crate::store::{Algorithm, Checksum, Key};

/// A file that has objects of its own, in one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataFile {
    /// The number of its index in the audit.
    pub(super) index: u32,
    /// The number of its shard.
    pub(super) shard: u32,
    /// The container of its shard.
    pub(super) container: String,
    /// What identifies it.
    pub(super) identity: Identity,
    /// Who uses it.
    pub(super) users: Users,
    /// Whether the lists of the shard say different things of the same blob: whatever is written there, one of them is wrong.
    pub(super) contested: bool,
}

/// What identifies a file in a shard. The objects follow from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The blob's name.
    pub(super) name: String,
    /// Lucene's name for it.
    pub(super) physical: String,
    /// Its length in bytes.
    pub(super) length: u64,
    /// The CRC-32 that its footer states.
    pub(super) checksum: Option<u32>,
    /// The length of its parts but the last, if it is cut.
    part: Option<u64>,
}

impl Identity {
    /// What identifies the file of an entry.
    pub(super) fn of(entry: &FileEntry) -> Self {
        Self {
            name: entry.name.clone(),
            physical: entry.physical_name.clone(),
            length: entry.length,
            checksum: entry.checksum,
            part: if entry.is_cut() { entry.parts().next().map(|part| part.length) } else { None },
        }
    }

    /// A file that is cut at that length.
    #[cfg(test)]
    pub(super) fn cut(name: &str, length: u64, checksum: u32, part: u64) -> Self {
        let part = (length > part).then_some(part);
        Self { name: name.to_owned(), physical: "_0.cfs".to_owned(), length, checksum: Some(checksum), part }
    }

    /// Whether an entry is of the same content under the same names.
    pub(super) fn is_that_of(&self, entry: &FileEntry) -> bool {
        (self.length, self.checksum) == (entry.length, entry.checksum)
            && (self.name.as_str(), self.physical.as_str()) == (entry.name.as_str(), entry.physical_name.as_str())
    }

    /// Its objects, with their names in the shard.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let size = self.part.unwrap_or(u64::MAX);
        (0..self.length.div_ceil(size).max(1)).map(move |number| {
            let offset = number * size;
            let name = if self.part.is_none() { self.name.clone() } else { format!("{}.part{number}", self.name) };
            Part { name, offset, length: size.min(self.length - offset) }
        })
    }

    /// The checksum of all its bytes, the footer included, if it states one.
    pub(super) fn whole(&self) -> Option<Checksum> {
        let checksum = self.checksum?;
        let head = Checksum { algorithm: Algorithm::Crc32, value: checksum.into() };
        let last = u64::from(checksum).to_be_bytes();
        head.followed_by(Checksum::of(Algorithm::Crc32, &last), 8)
    }

    /// How messages name it.
    pub(super) fn shown(&self) -> String {
        let cut = self.parts().count();
        let parts = if cut > 1 { format!(" in {cut} parts") } else { String::new() };
        format!("{} bytes{parts}", self.length)
    }
}

impl DataFile {
    /// A finding about it, with what would heal it.
    pub(super) fn healing(&self, finding: Finding) -> Finding {
        if self.contested { finding } else { finding.healed_by(Remedy::File(Box::new(self.clone()))) }
    }

    /// The key of one of its objects.
    pub(super) fn key(&self, part: &Part) -> Key {
        Key::new(format!("{}{}", self.container, part.name)).expect("a blob has a name")
    }
}
