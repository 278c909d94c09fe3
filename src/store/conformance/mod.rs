//! The suite that every backend and every wrapper passes: the contract of [`ObjectStore`], sentence by
//! sentence.
//!
//! A [`Suite`] writes below a prefix of its own; one [`Trial`] after the other gives a [`Verdict`], and [`Suite::clean`] removes what
//! was written, also what a trial left that broke off. Nothing here panics, so that a user can run it on a real bucket.
//! What a known server is unable to do is the business of [`expect`].

mod batch;
mod copying;
mod expect;
mod keys;
mod listing;
mod multipart;
mod object;
mod stated;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

pub use self::expect::{Expectation, check};
pub use self::keys::HOSTILE;
use super::wrap::{Policy, retry};
use super::{
    Attributes, BATCH, Body, Checksum, GetOptions, Head, Key, ListOptions, MultipartUpload, ObjectStore, PutOptions,
    PutResult,
};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Silent;

/// What came of one promise.
#[derive(Debug)]
pub struct Verdict {
    /// The number of the promise in the contract.
    pub promise: u32,
    /// What was tried.
    pub tried: &'static str,
    /// How it ended.
    pub result: Result<Held>,
    /// The keys that the store cannot hold, with what it does instead. The promise is about the others.
    pub unable: Vec<Unable>,
}

/// A promise that was not broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// It was kept.
    Kept,
    /// The store cannot do what it is about, and says so.
    Cannot(&'static str),
}

/// A key that a store cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unable {
    /// The key, or a name for it if it is long.
    pub key: String,
    /// What the store does with it.
    pub why: String,
}

/// What a trial found if nothing broke.
struct Found {
    held: Held,
    unable: Vec<Unable>,
}

const KEPT: Found = Found { held: Held::Kept, unable: Vec::new() };

const fn cannot(why: &'static str) -> Found {
    Found { held: Held::Cannot(why), unable: Vec::new() }
}

/// One promise being tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Keys that have broken other tools.
    Keys,
    /// Listings of more than one page.
    Listing,
    /// Listings that begin in the middle.
    After,
    /// A second put.
    Replaces,
    /// Bodies of another length than announced.
    Lengths,
    /// Ranges.
    Ranges,
    /// Reading under an old mark.
    IfMatch,
    /// Objects that are not there.
    Missing,
    /// Folders, which are none.
    Folders,
    /// An upload in parts, in a good order and a bad one.
    Parts,
    /// An upload without one of its parts.
    LostPart,
    /// An upload that is given up.
    Aborts,
    /// An upload that is given up twice.
    AbortsTwice,
    /// Reading right after writing.
    AtOnce,
    /// Headers and metadata.
    Attributes,
    /// Writing only where nothing is.
    IfAbsent,
    /// Deleting many objects.
    Batch,
    /// Copies within the store.
    Copies,
    /// Copies of parts.
    CopiedParts,
    /// Copies of an object that has changed.
    CopiedChanged,
    /// Checksums of objects.
    Checksums,
    /// Checksums of parts and of what they make up.
    PartChecksums,
}

impl Trial {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 22] = [
        Self::Keys,
        Self::Listing,
        Self::After,
        Self::Replaces,
        Self::Lengths,
        Self::Ranges,
        Self::IfMatch,
        Self::Missing,
        Self::Folders,
        Self::Parts,
        Self::LostPart,
        Self::Aborts,
        Self::AbortsTwice,
        Self::AtOnce,
        Self::Attributes,
        Self::IfAbsent,
        Self::Batch,
        Self::Copies,
        Self::CopiedParts,
        Self::CopiedChanged,
        Self::Checksums,
        Self::PartChecksums,
    ];

    /// The number of the promise, and what is tried.
    #[must_use]
    pub fn sentence(self) -> (u32, &'static str) {
        match self {
            Self::Keys => (1, "keys come back byte for byte"),
            Self::Listing => (2, "a listing of several pages is complete and in order"),
            Self::After => (2, "a listing begins behind the key and with the prefix that it is told"),
            Self::Replaces => (3, "a put replaces the whole object"),
            Self::Lengths => (4, "a body that ends early or goes on leaves no object"),
            Self::Ranges => (5, "a range is exactly the bytes asked for"),
            Self::IfMatch => (6, "a changed object is not read under the old mark"),
            Self::Missing => (7, "what is not there is not found, and deleting it succeeds"),
            Self::Folders => (7, "the folder of an object is no object, and nothing lies below one"),
            Self::Parts => (8, "an upload in parts, in any order and with one sent again, appears whole"),
            Self::LostPart => (8, "an upload with a part lost is not completed"),
            Self::Aborts => (8, "an upload that is aborted leaves no object"),
            Self::AbortsTwice => (8, "an upload that is gone can be aborted again"),
            Self::AtOnce => (9, "what was written, and deleted, shows at once"),
            Self::Attributes => (11, "headers and metadata come back"),
            Self::IfAbsent => (12, "a put for a new object leaves an old one alone"),
            Self::Batch => (13, "a batch deletes its keys and no others"),
            Self::Copies => (14, "a copy by the server has the bytes and attributes of its source"),
            Self::CopiedParts => (14, "parts copied by the server make up the object"),
            Self::CopiedChanged => (14, "an object that has changed is not copied by the server"),
            Self::Checksums => (15, "the checksums stated of an object are right"),
            Self::PartChecksums => (15, "the checksums stated of parts and of their object are right"),
        }
    }
}

/// A store under test, and the prefix below which it is tried.
#[derive(Debug)]
pub struct Suite {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// The uploads that are neither completed nor aborted: [`clean`](Self::clean) aborts them.
    uploads: Mutex<Vec<Arc<dyn MultipartUpload>>>,
    /// The algorithms stated so far, and whether all their values were right.
    stated: Mutex<BTreeMap<&'static str, bool>>,
}

fn broken(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, "keep the contract").because(what.into())
}

fn must(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(broken(what())) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that differ from place to place, so that a part in the wrong place shows.
fn content(length: usize) -> Bytes {
    (0..length).map(|at| u8::try_from((at + at / 251) % 251).unwrap_or_default()).collect::<Vec<_>>().into()
}

impl Suite {
    /// A suite that writes below `prefix` only, which must be empty.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: impl Into<String>) -> Self {
        Self { store, prefix: prefix.into(), uploads: Mutex::default(), stated: Mutex::default() }
    }

    /// Whether the place can be tried at all: written to, read, listed and cleared, and empty before. The error is the store's own.
    pub async fn enter(&self) -> Result<()> {
        let there = self.names("", None).await?;
        must(there.is_empty(), || format!("`{}` is there already", there[0]))?;
        self.put("first", "first").await?;
        let read = self.read("first").await?;
        must(read == "first", || "what was written first is not what is read".into())?;
        let key = self.key("first");
        self.repeat(|| self.store.delete(&key)).await
    }

    /// Tries one promise.
    pub async fn attempt(&self, trial: Trial) -> Verdict {
        let found = match trial {
            Trial::Keys => self.keys().await,
            Trial::Listing => self.listing().await,
            Trial::After => self.after().await,
            Trial::Replaces => self.replaces().await,
            Trial::Lengths => self.wrong_length().await,
            Trial::Ranges => self.ranges().await,
            Trial::IfMatch => self.if_match().await,
            Trial::Missing => self.missing().await,
            Trial::Folders => self.folders().await,
            Trial::Parts => self.parts().await,
            Trial::LostPart => self.lost_part().await,
            Trial::Aborts => self.aborts().await,
            Trial::AbortsTwice => self.aborts_twice().await,
            Trial::AtOnce => self.at_once().await,
            Trial::Attributes => self.attributes().await,
            Trial::IfAbsent => self.if_absent().await,
            Trial::Batch => self.batch().await,
            Trial::Copies => self.copies().await,
            Trial::CopiedParts => self.copied_parts().await,
            Trial::CopiedChanged => self.copied_changed().await,
            Trial::Checksums => self.checksums().await,
            Trial::PartChecksums => self.part_checksums().await,
        };
        let (promise, tried) = trial.sentence();
        let (result, unable) = match found {
            Ok(Found { held, unable }) => (Ok(held), unable),
            Err(error) => (Err(error), Vec::new()),
        };
        Verdict { promise, tried, result, unable }
    }

    /// The algorithms of the checksums that the store stated so far, and whether all their values were right.
    #[must_use]
    pub fn stated(&self) -> Vec<(&'static str, bool)> {
        lock(&self.stated).iter().map(|(word, right)| (*word, *right)).collect()
    }

    /// Deletes everything below the prefix and aborts what is open.
    pub async fn clean(&self) -> Result<()> {
        let aborted = self.abort_open().await;
        self.clear(&self.names("", None).await?).await?;
        let left = self.names("", None).await?;
        must(left.is_empty(), || {
            format!("{} deleted objects are still listed, the first is `{}`", left.len(), left[0])
        })?;
        aborted
    }

    /// Aborts the uploads that a trial left open.
    pub async fn abort_open(&self) -> Result<()> {
        let uploads = lock(&self.uploads).clone();
        for upload in uploads {
            self.repeat(|| upload.abort()).await?;
            lock(&self.uploads).retain(|open| !Arc::ptr_eq(open, &upload));
        }
        Ok(())
    }

    /// Deletes these names, batch by batch.
    async fn clear(&self, names: &[String]) -> Result<()> {
        for names in names.chunks(BATCH) {
            let keys: Vec<Key> = names.iter().map(|name| self.key(name)).collect();
            if let Some((_, error)) = self.repeat(|| self.store.delete_batch(&keys)).await?.into_iter().next() {
                return Err(error);
            }
        }
        Ok(())
    }

    fn key(&self, name: &str) -> Key {
        Key::new(format!("{}{name}", self.prefix)).expect("no name is empty")
    }

    /// Outlasts what passes: a promise is not broken by a busy moment.
    async fn repeat<T, F: Future<Output = Result<T>>>(&self, work: impl FnMut() -> F) -> Result<T> {
        let policy = Policy { attempts: 3, first: Duration::from_millis(100), ..Policy::default() };
        retry(&policy, &Silent, work).await
    }

    async fn put_with(&self, name: &str, bytes: &Bytes, options: &PutOptions) -> Result<PutResult> {
        let key = self.key(name);
        self.repeat(|| self.store.put(&key, Body::from_bytes(bytes.clone()), options)).await
    }

    async fn put(&self, name: &str, bytes: impl Into<Bytes>) -> Result<PutResult> {
        self.put_with(name, &bytes.into(), &PutOptions::default()).await
    }

    async fn read(&self, name: &str) -> Result<Bytes> {
        let key = self.key(name);
        self.repeat(|| async { self.store.get(&key, GetOptions::default()).await?.body.collect(1 << 30).await }).await
    }

    async fn look(&self, name: &str) -> Result<Head> {
        let key = self.key(name);
        self.repeat(|| self.store.head(&key)).await
    }

    async fn is_there(&self, name: &str) -> Result<bool> {
        match self.look(name).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names listed below `below`, behind `after`.
    async fn names(&self, below: &str, after: Option<&str>) -> Result<Vec<String>> {
        let options =
            ListOptions { prefix: format!("{}{below}", self.prefix), after: after.map(|name| self.key(name)) };
        let listed = || async { self.store.list(options.clone()).try_collect::<Vec<_>>().await };
        let listed = self.repeat(listed).await?.into_iter().flatten();
        listed
            .map(|meta| match meta.key.as_str().strip_prefix(&self.prefix) {
                Some(name) => Ok(name.to_owned()),
                None => Err(broken(format!("the listing of `{}` holds {:?}", options.prefix, meta.key))),
            })
            .collect()
    }

    /// Puts many small objects.
    async fn fill(&self, names: &[String]) -> Result<()> {
        let puts = names.iter().map(|name| self.put(name, Bytes::from_static(b"x")));
        stream::iter(puts).buffer_unordered(16).try_for_each(|_| async { Ok(()) }).await
    }

    fn note(&self, sum: Checksum, right: bool) {
        *lock(&self.stated).entry(sum.algorithm.word()).or_insert(true) &= right;
    }

    /// Compares checksums with the content that they are stated of.
    fn compare(&self, what: &str, sums: &[Checksum], content: &[u8]) -> Result<()> {
        let mut wrong = None;
        for sum in sums {
            let ours = Checksum::of(sum.algorithm, content);
            self.note(*sum, ours == *sum);
            if ours != *sum {
                wrong = Some(format!("{what} of {} bytes states {sum}, and {ours} is right", content.len()));
            }
        }
        wrong.map_or(Ok(()), |wrong| Err(broken(wrong)))
    }
}

/// Attributes that a store has to keep exactly.
fn sample() -> Attributes {
    let headers = [("content-type", "application/x-check; charset=utf-8"), ("cache-control", "max-age=60")];
    Attributes {
        headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
        metadata: [("check-one".to_owned(), "first value".to_owned()), ("check2".to_owned(), "a=b;c,d".to_owned())]
            .into(),
    }
}

/// Whether `found` has everything that `wanted` has, with the same values.
fn has(found: &Attributes, wanted: &Attributes) -> Result<()> {
    for (name, value) in &wanted.headers {
        must(found.headers.get(name) == Some(value), || {
            format!("`{name}: {value}` came back as {:?}", found.headers.get(name))
        })?;
    }
    must(found.metadata == wanted.metadata, || {
        format!("the metadata {:?} came back as {:?}", wanted.metadata, found.metadata)
    })
}
