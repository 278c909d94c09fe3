//! The order of a copy, in types: data, then metadata, then the root, and the root only behind a fence.
//!
//! `Run<Data>` gives `Run<Meta>` only when every transfer has its receipt, `Run<Meta>` gives `Run<Root>`, only that one has
//! `commit`, and `commit` takes a [`Fence`] by value. A fence is raised only from a [`Pin`] that still holds. What these types
//! cannot hold is the world outside: a fence is a check at an instant, and what to check is the format's business.

use std::marker::PhantomData;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::compare::Reason;
use super::seal::Seal;
use crate::error::Result;
use crate::store::{Key, ObjectMeta};

mod sealed {
    pub trait Sealed {}
}

/// One of the three phases. There is no fourth.
pub trait Phase: sealed::Sealed + Send + Sync + 'static {
    /// The word for it in plans, events and JSON.
    const WORD: &'static str;
}

/// What the metadata names: may be there without harm before anything names it.
#[derive(Debug)]
pub enum Data {}
/// What the root names.
#[derive(Debug)]
pub enum Meta {}
/// What a reader starts from.
#[derive(Debug)]
pub enum Root {}

impl sealed::Sealed for Data {}
impl sealed::Sealed for Meta {}
impl sealed::Sealed for Root {}

impl Phase for Data {
    const WORD: &'static str = "data";
}
impl Phase for Meta {
    const WORD: &'static str = "metadata";
}
impl Phase for Root {
    const WORD: &'static str = "root";
}

/// How an object gets to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Method {
    /// It is copied, over whatever is there.
    Copy,
    /// The target's object is looked at; copied unless it remembers to be a copy of exactly this one.
    CopyUnlessRemembered,
    /// The target's content is read; copied unless it is what its seal says.
    CopyUnlessSealed,
}

/// One object to bring to the target, and what is known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Item {
    /// The object at the source. From metadata only its name and length are known.
    pub source: ObjectMeta,
    /// Its name at the target, if it is another one.
    pub to: Option<Key>,
    /// The checksum in its own content.
    pub seal: Option<Seal>,
    /// Whether it is copied whatever its length turns out to be.
    pub any_length: bool,
    /// Its content, if that is at hand.
    #[serde(default, with = "content")]
    pub content: Option<Bytes>,
}

impl Item {
    /// An object of a listing.
    #[must_use]
    pub fn listed(source: ObjectMeta) -> Self {
        Self { source, to: None, seal: None, any_length: false, content: None }
    }

    /// An object of which only name and length are known.
    #[must_use]
    pub fn named(key: Key, size: u64) -> Self {
        Self::listed(ObjectMeta { key, size, modified: jiff::Timestamp::UNIX_EPOCH, etag: None })
    }

    /// An object with its content.
    #[must_use]
    pub fn held(key: Key, content: &Bytes) -> Self {
        Self { content: Some(content.clone()), ..Self::named(key, content.len() as u64) }
    }

    /// Whether a listing told of it, with its time and its mark.
    pub(super) fn is_listed(&self) -> bool {
        self.source.etag.is_some() || self.source.modified != jiff::Timestamp::UNIX_EPOCH
    }

    /// Its name at the target.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.to.as_ref().unwrap_or(&self.source.key)
    }
}

/// Contents that wait in a file are written as text.
mod content {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(content: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        match content {
            Some(content) => serializer.serialize_some(&STANDARD.encode(content)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let bytes = text.map(|text| STANDARD.decode(text)).transpose().map_err(serde::de::Error::custom)?;
        Ok(bytes.map(Bytes::from))
    }
}

/// One object to move, typed by when it may move. Only the planner makes one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Transfer<P> {
    pub(super) item: Item,
    pub(super) reason: Reason,
    pub(super) method: Method,
    #[serde(skip)]
    phase: PhantomData<fn() -> P>,
}

impl<P: Phase> Transfer<P> {
    pub(super) fn new(item: Item, reason: Reason, method: Method) -> Self {
        Self { item, reason, method, phase: PhantomData }
    }

    /// The object's name at the target.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.item.key()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.item.source.size
    }

    /// Why it moves.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// When it moves.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        P::WORD
    }
}

/// A root object to publish, with its content as it was when the source was pinned.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Its name.
    pub key: Key,
    /// Its content.
    pub bytes: Bytes,
    /// What the target had under this name when the source was pinned.
    pub there: Option<Bytes>,
    /// Whether nothing may be there yet: another writer would have published the same name.
    pub create: bool,
}

/// What is to be published, and what it is.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// The generation that the target's root will name; none where there are no generations.
    pub generation: Option<u64>,
    /// The root objects, in the order in which they are to be written.
    pub publications: Vec<Publication>,
}

/// Whether the world is still as it was when a pin was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It is.
    Yes,
    /// The source's newest generation is another one now.
    Moved {
        /// The newest generation.
        now: u64,
    },
}

/// What a run started from.
#[async_trait]
pub trait Pin: Send + Sync {
    /// The generation pinned; none where there are no generations.
    fn generation(&self) -> Option<u64>;

    /// The root objects, in the order in which they are to be written, now that everything they name is there.
    fn publications(&self) -> Result<Published>;

    /// Looks whether source and target are still as they were. A target that moved is an error (`Diverged`).
    async fn still_holds(&self) -> Result<Held>;
}

/// A pin for places without generations: it always holds and publishes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPin;

#[async_trait]
impl Pin for NoPin {
    fn generation(&self) -> Option<u64> {
        None
    }

    fn publications(&self) -> Result<Published> {
        Ok(Published::default())
    }

    async fn still_holds(&self) -> Result<Held> {
        Ok(Held::Yes)
    }
}

/// Proof that a pin held when everything it names had been copied; holds what to publish. Spent by `commit`.
#[derive(Debug)]
pub struct Fence {
    pub(super) published: Published,
}

/// A fence, or the reason why there is none.
#[derive(Debug)]
pub enum Raised {
    /// The pin holds.
    Fence(Fence),
    /// The source moved on to this generation.
    Moved {
        /// The newest generation.
        now: u64,
    },
}

impl Fence {
    /// Raises a fence if `pin` still holds.
    pub async fn raise(pin: &dyn Pin) -> Result<Raised> {
        Ok(match pin.still_holds().await? {
            Held::Yes => Raised::Fence(Self { published: pin.publications()? }),
            Held::Moved { now } => Raised::Moved { now },
        })
    }
}
