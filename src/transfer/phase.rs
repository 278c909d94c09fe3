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
    /// Both contents are read and compared; copied if they differ.
    CopyIfDifferent,
    /// Both contents are read and compared; refused if they differ.
    RefuseIfDifferent,
    /// Refused: other content is there under its name, by its size.
    Refuse,
}

/// One object to move, typed by when it may move. Only the planner makes one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Transfer<P> {
    pub(super) source: ObjectMeta,
    pub(super) reason: Reason,
    pub(super) method: Method,
    #[serde(skip)]
    phase: PhantomData<fn() -> P>,
}

impl<P: Phase> Transfer<P> {
    pub(super) fn new(source: ObjectMeta, reason: Reason, method: Method) -> Self {
        Self { source, reason, method, phase: PhantomData }
    }

    /// The object's name.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.source.key
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.source.size
    }

    /// Why it moves.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether it will be refused, because the target holds other content of another length under its name.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.method == Method::Refuse
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

    /// The root objects, in the order in which they are to be written.
    fn publications(&self) -> &[Publication];

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

    fn publications(&self) -> &[Publication] {
        &[]
    }

    async fn still_holds(&self) -> Result<Held> {
        Ok(Held::Yes)
    }
}

/// Proof that a pin held when everything it names had been copied; holds what to publish. Spent by `commit`.
#[derive(Debug)]
pub struct Fence {
    pub(super) publications: Vec<Publication>,
    pub(super) generation: Option<u64>,
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
            Held::Yes => {
                Raised::Fence(Self { publications: pin.publications().to_vec(), generation: pin.generation() })
            }
            Held::Moved { now } => Raised::Moved { now },
        })
    }
}
