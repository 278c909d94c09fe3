//! Where a repository lies: a base path in a store. Most of it is below that path, but OpenSearch may keep shards beside it, so the
//! store may begin higher up, at the bucket.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{ErrorKind, Result, Retry};
use crate::store::{GetOptions, Key, ObjectStore};

/// A base path in a store.
#[derive(Debug, Clone)]
pub struct Base {
    /// The store, from the base path on or from above it.
    pub store: Arc<dyn ObjectStore>,
    /// The base path in it: empty, or with a `/` at its end.
    pub path: String,
}

impl Base {
    /// A repository at the root of a store.
    #[must_use]
    pub fn at_root(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, path: String::new() }
    }

    /// The key of a blob by its name below the base path.
    #[must_use]
    pub fn key(&self, name: &str) -> Key {
        Key::new(format!("{}{name}", self.path)).expect("a blob has a name")
    }

    /// The name below the base path of a key of the store.
    #[must_use]
    pub fn name<'a>(&self, key: &'a Key) -> Option<&'a str> {
        key.as_str().strip_prefix(&self.path)
    }

    /// Reads a blob of at most `limit` bytes whole, by its name below the base path.
    pub async fn read(&self, name: &str, limit: u64) -> Result<Bytes> {
        self.read_key(&self.key(name), limit).await
    }

    /// Reads a blob of at most `limit` bytes whole, by its key in the store.
    pub async fn read_key(&self, key: &Key, limit: u64) -> Result<Bytes> {
        let mut left = BODIES;
        loop {
            let read = self.store.get(key, GetOptions::default()).await?.body.collect(limit).await;
            left -= 1;
            match read {
                Err(error) if left > 0 && error.retry() == Retry::Backoff => {}
                other => return other,
            }
        }
    }

    /// The same; none if it is not there.
    pub async fn read_if_there(&self, name: &str, limit: u64) -> Result<Option<Bytes>> {
        match self.read(name, limit).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How often a body is read that breaks on the way; what is asked for it is repeated by the store's own wrapper.
const BODIES: u32 = 4;

/// The largest metadata blob that is read, in bytes as stored. What they unpack to has a bound of its own.
pub(super) const LARGEST_BLOB: u64 = 256 * 1024 * 1024;
