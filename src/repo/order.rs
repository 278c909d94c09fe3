//! Which phase a kind of blob belongs to: the one match that makes a copy of a repository safe.
//!
//! Elasticsearch starts from the highest `index-<N>` at the root. Whatever that names must be there first, so a root comes after
//! all metadata, and metadata after all data.

use super::generation::Generation;
use super::layout::{BlobKind, kind};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Key;
use crate::transfer::{Layout, Name, Place};

/// The order of a repository that is pinned at a generation.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pinned: Generation,
    incompatible: bool,
}

impl Order {
    /// The order for a copy that publishes `pinned`, and whether that includes `incompatible-snapshots`.
    #[must_use]
    pub(super) fn new(pinned: Generation, incompatible: bool) -> Self {
        Self { pinned, incompatible }
    }
}

impl Layout for Order {
    fn place(&self, key: &Key) -> Result<Place> {
        Ok(match kind(key.as_str()) {
            BlobKind::Blob => Place::Blob(Name::Unique),
            BlobKind::CounterBlob => Place::Blob(Name::Reused),
            BlobKind::Foreign => Place::Free,
            BlobKind::ShardSnapshot
            | BlobKind::ShardIndex
            | BlobKind::IndexMeta
            | BlobKind::SnapshotInfo
            | BlobKind::GlobalMeta
            | BlobKind::ShardPaths => Place::Meta,
            BlobKind::RootIndex(generation) if generation < self.pinned => Place::Root(generation.number()),
            // Written since the pin was taken: the fence will notice, the next round will copy what it names.
            BlobKind::RootIndex(generation) if generation > self.pinned => Place::Skip("newer-root"),
            // Left over from an older cluster: it is still the repository's, and nobody starts from it.
            BlobKind::Incompatible if !self.incompatible => Place::Root(u64::MAX),
            BlobKind::RootIndex(_) | BlobKind::Latest | BlobKind::Incompatible => Place::Pinned,
            BlobKind::Leftover => Place::Skip("leftover"),
            BlobKind::Shallow => {
                return Err(Error::new(ErrorKind::Unsupported, "copy this repository")
                    .because(format!("{key:?} is a shallow snapshot: its data lies in a remote store and not in the repository"))
                    .hint("take a full snapshot (`remote_store_index_shallow_copy: false`) into another repository and copy that one"));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> Place {
        Order::new(Generation::new(10), true).place(&Key::new(key).expect("not empty")).expect("supported")
    }

    #[test]
    fn numbers_compare_as_numbers() {
        assert_eq!(place("index-9"), Place::Root(9));
        assert_eq!(place("index-10"), Place::Pinned);
        assert_eq!(place("index-11"), Place::Skip("newer-root"));
    }

    #[test]
    fn the_index_of_a_shard_is_not_the_root() {
        assert_eq!(place("indices/a/0/index-10"), Place::Meta);
    }

    #[test]
    fn a_shallow_snapshot_refuses_the_source() {
        let key = Key::new("indices/a/0/shallow-snap-x.dat").expect("not empty");
        assert_eq!(
            Order::new(Generation::new(1), true).place(&key).expect_err("refused").kind(),
            ErrorKind::Unsupported
        );
    }
}
