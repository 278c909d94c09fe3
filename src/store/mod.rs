//! Objects in places: the [`ObjectStore`] trait, its contract, and every backend.
//!
//! This room knows nothing of Elasticsearch, of plans or of what a key means. A new backend is one file and one row in
//! [`registry`].

mod capability;
#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
mod file;
mod key;
mod memory;
mod meta;
mod meter;
mod multipart;
pub mod registry;
mod request;
mod s3;
pub mod wrap;

use std::fmt::Debug;

use async_trait::async_trait;

pub use self::capability::Capability;
pub use self::file::FileStore;
pub use self::key::{Key, Location, SCHEMES, Scheme};
pub use self::memory::MemoryStore;
pub use self::meta::{Algorithm, Checksum, Digest, ETag, ObjectMeta};
pub use self::meter::{Meter, RequestKind};
pub use self::multipart::{MultipartUpload, Part, PartSpec, parts};
pub use self::registry::{Access, Addressing, Options, open};
pub use self::request::{Body, GetOptions, GetResult, ListOptions, Pages, PutResult, short};
pub use self::s3::{S3Store, path_style};
use crate::error::Result;

/// A location that objects can be read from and written to.
///
/// # Contract
/// Every backend and every wrapper keeps these promises; `store::conformance` quotes them by number.
///
/// 1. Keys are relative to the location and travel byte for byte. What the store cannot name is an error, never another name.
/// 2. `list` gives every object once, in the order of the keys' bytes, strictly after `after`, beginning with `prefix`, with the
///    size and modification time that `head` would give. Pages may be of any length, empty ones included.
/// 3. `put` is atomic: a reader sees the old object or the new one, whole. A `put` that fails leaves what was there.
/// 4. A body that ends early, or goes on, is an error, and the object does not appear.
/// 5. `get` gives exactly the range asked for, or the whole object; anything else is an error.
/// 6. `get` with `if_match` gives nothing of an object that has changed: `Precondition`.
/// 7. What is not there is `NotFound`, in `head` and `get`; `delete` of it succeeds.
/// 8. A multipart upload is invisible until complete; parts may come in any order; after `abort` nothing of it is left.
/// 9. What was written is read and listed at once by the same store.
/// 10. No call repeats a request: retries belong to the caller or to [`wrap::Retry`].
#[async_trait]
pub trait ObjectStore: Debug + Send + Sync + 'static {
    /// What is known of one object.
    async fn head(&self, key: &Key) -> Result<ObjectMeta>;

    /// Reads an object or a range of it.
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult>;

    /// Writes an object in one request.
    async fn put(&self, key: &Key, body: Body) -> Result<PutResult>;

    /// Begins an object of `size` bytes that is written in parts.
    async fn put_multipart(&self, key: &Key, size: u64) -> Result<Box<dyn MultipartUpload>>;

    /// Lists objects in order, a page at a time.
    fn list(&self, options: ListOptions) -> Pages;

    /// Removes an object.
    async fn delete(&self, key: &Key) -> Result<()>;

    /// What the store can do.
    fn capability(&self) -> Capability;
}
