//! Objects in places: the [`ObjectStore`] trait, its contract, and every backend.
//!
//! This room knows nothing of Elasticsearch, of plans or of what a key means. A new backend is one file and one row in
//! [`registry`].

mod attributes;
mod aws;
mod capability;
pub mod conformance;
mod credentials;
mod file;
mod key;
mod keys;
mod memory;
mod meta;
mod meter;
mod multipart;
mod oss;
pub mod registry;
mod request;
mod rest;
mod s3;
mod surroundings;
pub mod wrap;

use std::fmt::Debug;

use async_trait::async_trait;

pub use self::attributes::Attributes;
pub use self::aws::{AwsIdentity, AwsKeys, AwsLogin};
pub use self::capability::{Capability, ServerCopy};
pub use self::file::FileStore;
pub use self::key::{Key, Location, SCHEMES, Scheme};
pub use self::keys::{Keys, keys, region};
pub use self::memory::MemoryStore;
pub use self::meta::{Algorithm, Checksum, Digest, ETag, ObjectMeta};
pub use self::meter::{Exchange, Meter, RequestKind};
pub use self::multipart::{MultipartUpload, Part, PartSpec, parts};
pub use self::registry::{Access, Addressing, Network, Options, Protocol, Signature, open, path_style, s3_endpoint};
pub use self::request::{Body, GetOptions, GetResult, Head, ListOptions, Origin, Pages, PutOptions, PutResult, short};
pub(crate) use self::rest::is_region;
pub use self::rest::{Ability, ListVersion, Overrides, PROVIDERS, Provider, RestStore, Setting};
use crate::error::{Error, ErrorKind, Result};

/// The most keys that one [`delete_batch`](ObjectStore::delete_batch) takes, as S3 and OSS have it.
pub const BATCH: usize = 1000;

/// For stores in which no server could copy.
fn no_server(key: &Key) -> Error {
    Error::new(ErrorKind::Unsupported, format!("copy {key:?} within the store")).because("there is no server to do it")
}

/// For a write that was to be made only where nothing is.
fn is_there(key: &Key) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("put {key:?}")).because("an object of that name is there already")
}

/// A batch for stores that delete one object at a time.
async fn one_by_one(store: &dyn ObjectStore, keys: &[Key]) -> Vec<(Key, Error)> {
    let mut failed = Vec::new();
    for key in keys {
        if let Err(error) = store.delete(key).await {
            failed.push((key.clone(), error));
        }
    }
    failed
}

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
/// 8. A multipart upload is invisible until complete; parts may come in any order, and again, and the last that came counts; with a
///    part that never came it is not completed; after `abort` nothing of it is left.
/// 9. What was written is read and listed at once by the same store.
/// 10. No call repeats a request: retries belong to the caller or to [`wrap::Retry`].
/// 11. Attributes given to a write come back from `head` and `get` where [`Capability::attributes`] says so; elsewhere they are
///     left out without an error.
/// 12. A write with `if_absent` where an object is gives `AlreadyExists` and leaves that object as it is.
/// 13. `delete_batch` removes its keys and no others, names those it could not remove, and takes those that are not there as removed.
/// 14. `copy` and `copy_part` give the bytes of the source, `copy` its attributes too unless it is given others, if the source is the
///     object that was listed: `Precondition` otherwise. Where [`Capability::copy`] is none they are an error.
/// 15. A checksum that is stated, of an object, a range or a part, is that of the content as the store holds it.
#[async_trait]
pub trait ObjectStore: Debug + Send + Sync + 'static {
    /// What is known of one object.
    async fn head(&self, key: &Key) -> Result<Head>;

    /// Reads an object or a range of it.
    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult>;

    /// Writes an object in one request.
    async fn put(&self, key: &Key, body: Body, options: &PutOptions) -> Result<PutResult>;

    /// Begins an object of `size` bytes that is written in parts.
    async fn put_multipart(&self, key: &Key, size: u64, options: &PutOptions) -> Result<Box<dyn MultipartUpload>>;

    /// Lets the server copy an object from another location of the same [`place`](capability::ServerCopy::place), with its attributes
    /// unless `options` has others. [`ErrorKind::Unsupported`] where there is no server.
    async fn copy(&self, from: Origin<'_>, key: &Key, options: &PutOptions) -> Result<PutResult>;

    /// Lists objects in order, a page at a time.
    fn list(&self, options: ListOptions) -> Pages;

    /// Removes an object.
    async fn delete(&self, key: &Key) -> Result<()>;

    /// Removes up to [`BATCH`] objects, in one request where the store can. Gives those that could not be removed.
    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>>;

    /// What the store can do.
    fn capability(&self) -> Capability;

    /// What is known by now of the server, as keys of the configuration; nothing where there is no server. A wrapper passes it on.
    fn learnt(&self) -> Vec<(&'static str, Setting)> {
        Vec::new()
    }
}
