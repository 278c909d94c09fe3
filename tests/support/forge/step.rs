//! The writes of an operation, one by one, and what lies in the store after them.

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;
use snapferry::store::{Key, MemoryStore, ObjectStore as _};

/// One write at the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Put(String, Bytes),
    Delete(String),
}

impl Step {
    pub(crate) fn key(&self) -> &str {
        let (Self::Put(key, _) | Self::Delete(key)) = self;
        key
    }

    /// Carries it out.
    pub(crate) fn apply(&self, store: &MemoryStore) {
        let key = Key::new(self.key()).expect("blobs have names");
        match self {
            Self::Put(_, bytes) => store.insert(key, bytes.clone(), Timestamp::now()),
            Self::Delete(_) => {
                let gone = futures::FutureExt::now_or_never(store.delete(&key));
                gone.expect("memory never waits").expect("memory never refuses");
            }
        }
    }
}

/// The keys that lie in the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blobs(BTreeSet<String>);

impl Blobs {
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains(key)
    }

    /// The names below a prefix, without it.
    pub(crate) fn below(&self, prefix: &str) -> Vec<String> {
        let from = self.0.range(prefix.to_owned()..);
        from.map_while(|key| key.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    pub(crate) fn note(&mut self, step: &Step) {
        match step {
            Step::Put(key, _) => self.0.insert(key.clone()),
            Step::Delete(key) => self.0.remove(key),
        };
    }
}
