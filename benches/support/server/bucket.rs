//! The bucket of a server: the objects it was started with, which cost no memory, and those that were put since.
//!
//! An object that was put is remembered by its length, by whether its content was right, and by the headers it came with; the
//! content itself is synthesised again when it is asked for. A deleted object is remembered as deleted.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use hyper::header::HeaderMap;

use crate::support::content;
use crate::support::spec::Spec;

/// Above this length an `ETag` ends in a number of parts, as after a multipart upload, so that no client takes it for an MD5.
const SINGLE_PUT_LIMIT: u64 = 16 * 1024 * 1024;

/// What the bucket knows of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) length: u64,
    pub(crate) origin: Origin,
}

/// Where an object came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was there from the start.
    Synthesised,
    /// A client put it, and it held what its key says.
    Put,
    /// A client put it, with another content, of which only the checksum is kept.
    PutWrong(u64),
}

impl Stored {
    /// The entity tag, quotes included. Equal content under equal keys has equal tags, whoever holds it.
    pub(crate) fn etag(self, key: &str) -> String {
        let salt = if let Origin::PutWrong(checksum) = self.origin { checksum } else { 0 };
        let high = content::hash(key) ^ salt;
        let low = content::mix(high ^ self.length);
        match self.length.div_ceil(SINGLE_PUT_LIMIT) {
            0 | 1 => format!("\"{high:016x}{low:016x}\""),
            parts => format!("\"{high:016x}{low:016x}-{parts}\""),
        }
    }
}

/// The objects by key.
#[derive(Debug)]
pub(crate) struct Bucket {
    synthesised: Spec,
    put: BTreeMap<String, Changed>,
}

/// What became of a key since the start: what was put and the headers it came with, or nothing if it was deleted.
type Changed = Option<(Stored, Arc<HeaderMap>)>;

impl Bucket {
    /// A bucket that starts with these objects.
    pub(crate) fn new(synthesised: Spec) -> Self {
        Self { synthesised, put: BTreeMap::new() }
    }

    /// The object with this key.
    pub(crate) fn get(&self, key: &str) -> Option<Stored> {
        let synthesised = || Stored { length: self.synthesised.size, origin: Origin::Synthesised };
        match self.put.get(key) {
            Some(changed) => changed.as_ref().map(|(stored, _)| *stored),
            None => self.synthesised.number(key).map(|_| synthesised()),
        }
    }

    /// The headers that an object was put with.
    pub(crate) fn headers(&self, key: &str) -> Option<Arc<HeaderMap>> {
        self.put.get(key)?.as_ref().map(|(_, headers)| Arc::clone(headers))
    }

    /// Remembers that an object was put.
    pub(crate) fn put(&mut self, key: String, stored: Stored, headers: HeaderMap) {
        self.put.insert(key, Some((stored, Arc::new(headers))));
    }

    /// Remembers that an object was deleted.
    pub(crate) fn delete(&mut self, key: String) {
        self.put.insert(key, None);
    }

    /// The objects whose keys are greater than `key`, in byte order.
    pub(crate) fn after(&self, key: &str) -> After<'_> {
        let bounds = (Bound::Excluded(key), Bound::Unbounded);
        After {
            synthesised: self.synthesised,
            number: self.synthesised.first_after(key),
            put: self.put.range::<str, _>(bounds).peekable(),
        }
    }

    /// How many objects there are, and how long they are together.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let (mut objects, mut bytes) = (self.synthesised.objects, self.synthesised.bytes());
        for (key, changed) in &self.put {
            if self.synthesised.number(key).is_some() {
                (objects, bytes) = (objects - 1, bytes - self.synthesised.size);
            }
            if let Some((stored, _)) = changed {
                (objects, bytes) = (objects + 1, bytes + stored.length);
            }
        }
        (objects, bytes)
    }

    /// How many keys are missing, too many, or of another length or content than `expected` says.
    pub(crate) fn count_wrong(&self, expected: Spec) -> u64 {
        let (present, _) = self.totals();
        let (mut wrong, mut unexpected) = (0, present);
        for number in 0..expected.objects {
            let stored = self.get(&Spec::key(number));
            unexpected -= u64::from(stored.is_some());
            let is_right = |it: Stored| it.length == expected.size && !matches!(it.origin, Origin::PutWrong(_));
            wrong += u64::from(!stored.is_some_and(is_right));
        }
        wrong + unexpected
    }
}

/// Walks through a bucket in the order of its keys.
#[derive(Debug)]
pub(crate) struct After<'bucket> {
    synthesised: Spec,
    number: u64,
    put: Peekable<Range<'bucket, String, Changed>>,
}

impl Iterator for After<'_> {
    type Item = (String, Stored);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let synthesised = (self.number < self.synthesised.objects).then(|| Spec::key(self.number));
            let changed = match (synthesised, self.put.peek()) {
                (Some(key), Some((put, _))) if key >= **put => {
                    // What was put or deleted hides what was there.
                    self.number += u64::from(key == **put);
                    self.put.next()
                }
                (Some(key), _) => {
                    self.number += 1;
                    return Some((key, Stored { length: self.synthesised.size, origin: Origin::Synthesised }));
                }
                (None, _) => self.put.next(),
            };
            let (key, changed) = changed?;
            if let Some((stored, _)) = changed {
                return Some((key.clone(), *stored));
            }
        }
    }
}
