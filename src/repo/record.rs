//! What we published at a target, where that is not simply what the source's root says: `index.snapferry` beside the roots.
//!
//! A target whose newest root is the source's own needs no record. After a selected copy, or one that had to give a root a higher number,
//! the record tells our roots from those of a cluster that wrote there. Elasticsearch leaves names alone that it does not know
//! (`BlobStoreRepository`, `staleRootBlobs`), and takes only `index-<N>` for a root.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::generation::Generation;

/// The record's name below the base path.
pub const RECORD: &str = "index.snapferry";

/// The roots remembered. A run that was stopped may have recorded one that it did not publish.
const REMEMBERED: usize = 8;

/// What we published at a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The roots, the newest last.
    published: Vec<Published>,
    /// The id that the source repository has, if it has one.
    pub(super) source: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Published {
    generation: u64,
    sha256: String,
}

impl Record {
    /// Reads a record; none for what is not one.
    #[must_use]
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether that root is one of ours.
    #[must_use]
    pub(super) fn knows(&self, generation: Generation, root: &[u8]) -> bool {
        let sum = sum(root);
        self.published.iter().any(|one| one.generation == generation.number() && one.sha256 == sum)
    }

    /// The record with one root more, of the source with that id.
    #[must_use]
    pub(super) fn with(mut self, source: Option<&str>, generation: Generation, root: &[u8]) -> Self {
        self.source = source.map(str::to_owned);
        let one = Published { generation: generation.number(), sha256: sum(root) };
        self.published.retain(|other| *other != one);
        self.published.push(one);
        let surplus = self.published.len().saturating_sub(REMEMBERED);
        self.published.drain(..surplus);
        self
    }

    /// The record as it lies at the target.
    #[must_use]
    pub(super) fn bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("it is plain data").into()
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
