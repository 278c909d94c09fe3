//! What is asked of a store and what it answers: options, results, bodies.

use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::attributes::Attributes;
use super::key::{Key, Location};
use super::meta::{Checksum, ETag, ObjectMeta};
use crate::error::{Error, ErrorKind, Result};

/// Bytes on their way, of a length known beforehand. Never held whole by anyone on the data path.
pub struct Body {
    /// How many bytes the stream gives if nothing fails.
    pub length: u64,
    /// The bytes.
    pub stream: BoxStream<'static, Result<Bytes>>,
}

impl Body {
    /// A body of bytes that are at hand.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, stream: stream::once(async move { Ok(bytes) }).boxed() }
    }

    /// Gathers a small body. More than `limit` bytes is [`ErrorKind::Invalid`]; another length than announced is
    /// [`ErrorKind::Corrupt`].
    pub async fn collect(mut self, limit: u64) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(bytes) = self.stream.next().await {
            all.extend_from_slice(&bytes?);
            if all.len() as u64 > limit {
                return Err(Error::new(ErrorKind::Invalid, "hold an object in memory")
                    .because(format!("it is longer than {limit} bytes")));
            }
        }
        if all.len() as u64 != self.length {
            return Err(short(self.length, all.len() as u64));
        }
        Ok(all.freeze())
    }
}

/// The error for a body that ended at another length than announced.
#[must_use]
pub fn short(announced: u64, came: u64) -> Error {
    Error::new(ErrorKind::Corrupt, "read a body").because(format!("{announced} bytes were announced and {came} came"))
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}

/// How to read an object.
#[derive(Debug, Clone, Default)]
pub struct GetOptions {
    /// Only these bytes; all of them must exist.
    pub range: Option<Range<u64>>,
    /// Only if the object still has this mark; otherwise [`ErrorKind::Precondition`].
    pub if_match: Option<ETag>,
}

/// An object, or a range of it, being read.
#[derive(Debug)]
pub struct GetResult {
    /// The object as it is now; `size` is that of the whole object.
    pub meta: ObjectMeta,
    /// What it carries beside its bytes.
    pub attributes: Attributes,
    /// The store's own checksums over exactly the bytes of `body`; none if it states none.
    pub checksums: Vec<Checksum>,
    /// The bytes.
    pub body: Body,
}

/// All that is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// As a listing shows it.
    pub meta: ObjectMeta,
    /// What it carries beside its bytes.
    pub attributes: Attributes,
    /// The store's own checksums over all its bytes; none if it states none.
    pub checksums: Vec<Checksum>,
}

/// How to write an object.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// What it carries beside its bytes.
    pub attributes: Attributes,
    /// Only if there is no object of that name; otherwise [`ErrorKind::AlreadyExists`]. A store without such writes looks first, which
    /// is the weaker promise.
    pub if_absent: bool,
}

/// An object in another location of the same place, to be copied by the server.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The location that it is in.
    pub location: &'a Location,
    /// The object as it was listed.
    pub meta: &'a ObjectMeta,
}

/// An object that was written.
#[derive(Debug, Clone, Default)]
pub struct PutResult {
    /// The mark of the new content, if the store gives one.
    pub etag: Option<ETag>,
    /// The checksums that the store itself computed over what it stored; none if it states none.
    pub checksums: Vec<Checksum>,
}

/// Which objects to list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Only keys that begin with this text; empty for all.
    pub prefix: String,
    /// Only keys that order after this one.
    pub after: Option<Key>,
}

/// A listing: pages of objects in the order of their keys' bytes.
pub type Pages = BoxStream<'static, Result<Vec<ObjectMeta>>>;
