//! The keys of a list in place of a listing: `--keys-from`.
//!
//! Each key is looked at on both sides, some at a time and in order, so that the plan sees two short listings. A key that the
//! source no longer has is a failure of that key and nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::error::{Error, ErrorKind, Result};
use crate::store::{Key, ObjectMeta, ObjectStore, Pages};

/// Keys looked at in one page.
const PAGE: usize = 256;
/// Keys looked at at once.
const AT_ONCE: usize = 16;

/// A set of keys in order.
#[derive(Debug, Clone)]
pub struct KeyList(Arc<[Key]>);

impl KeyList {
    /// Sorts the keys and drops repetitions.
    #[must_use]
    pub fn new(mut keys: Vec<Key>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self(keys.into())
    }

    /// Whether it has this key.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.0.binary_search(key).is_ok()
    }

    /// The listing of those keys that `store` has; the others go to `missing`, if it is given.
    #[must_use]
    pub fn listing(&self, store: Arc<dyn ObjectStore>, missing: Option<Missing>) -> Pages {
        let pages: Vec<Vec<Key>> = self.0.chunks(PAGE).map(<[Key]>::to_vec).collect();
        stream::iter(pages)
            .then(move |keys| {
                let (store, missing) = (store.clone(), missing.clone());
                async move {
                    let looks = keys.into_iter().map(|key| look(store.clone(), key, missing.clone()));
                    let found: Vec<Option<ObjectMeta>> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
                    Ok(found.into_iter().flatten().collect())
                }
            })
            .boxed()
    }
}

/// Keys that were not there, with the error that said so.
#[derive(Debug, Clone, Default)]
pub struct Missing(Arc<Mutex<Vec<(Key, Error)>>>);

impl Missing {
    /// Takes out what was noted so far.
    #[must_use]
    pub fn take(&self) -> Vec<(Key, Error)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn look(store: Arc<dyn ObjectStore>, key: Key, missing: Option<Missing>) -> Result<Option<ObjectMeta>> {
    match store.head(&key).await {
        Ok(head) => Ok(Some(head.meta)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(missing) = missing {
                missing.0.lock().unwrap_or_else(PoisonError::into_inner).push((key, error));
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
