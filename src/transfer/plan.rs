//! The plan: for every key what happens to it and when. The only place that makes a [`Transfer`].
//!
//! 1. A plain place: the two listings are joined as they come ([`Join`]). A format that knows what it needs: it says so itself
//!    ([`Wanted`]). Planning and copying go on side by side.
//! 2. Data is handed out at once. Metadata waits here until its phase ([`Spool`]).
//!
//! Root objects are not planned: their content is known only when everything they name is there ([`Pin`](super::Pin)).

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use async_trait::async_trait;
use futures::TryStreamExt as _;

use super::compare::{Compare, Reason};
use super::filter::Filter;
use super::join::{Join, Pair};
use super::phase::{Data, Item, Meta, Method, Phase as _, Transfer};
use super::spool::Spool;
use crate::error::Result;
use crate::store::{Key, ObjectMeta, Pages};

/// What a format wants at the target, object by object, as it finds out.
#[async_trait]
pub trait Wanted: Send {
    /// The next object; none after the last. A call that is dropped loses nothing.
    async fn next(&mut self) -> Result<Option<Want>>;
}

/// One object of a format.
#[derive(Debug)]
pub enum Want {
    /// Data to be copied.
    Data {
        /// Which object.
        item: Item,
        /// Whether the target holds an object of its name and length that may be it: it is looked at first.
        maybe_there: bool,
    },
    /// Metadata whose content is at hand. What has a lower level is written first.
    Meta {
        /// Which object.
        item: Item,
        /// From 0 to [`LEVELS`], which is not one.
        level: usize,
    },
    /// The target has it.
    There {
        /// Which object.
        key: Key,
        /// Its length in bytes.
        bytes: u64,
        /// How that is known.
        reason: &'static str,
    },
    /// Only the target has it.
    Extra(ObjectMeta),
}

/// How many levels metadata has.
pub const LEVELS: usize = 3;

/// How objects that are at both sides are told apart, and which keys the run is about.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// When an object that is there needs another copy. Formats know that by themselves.
    pub compare: Compare,
    /// Which keys the run is about.
    pub filter: Filter,
    /// How many objects that only the target has may be deleted; none if they are left alone.
    pub delete_extra: Option<u64>,
}

/// One decision of the plan.
#[derive(Debug)]
pub enum Step {
    /// Copy this now.
    Copy(Transfer<Data>),
    /// Copied in a later phase.
    Later {
        /// Which object.
        key: Key,
        /// Its length in bytes.
        bytes: u64,
        /// In which phase.
        phase: &'static str,
        /// Why.
        reason: Reason,
    },
    /// Not copied.
    Skip {
        /// Which object.
        key: Key,
        /// Its length in bytes.
        bytes: u64,
        /// Why not.
        reason: &'static str,
    },
    /// Only at the target; left alone.
    Extra(ObjectMeta),
}

/// All decisions of one run, in order, as they are found.
pub struct CopyPlan {
    wants: Wants,
    rules: Rules,
    meta: [Spool<Transfer<Meta>>; LEVELS],
    /// What is only at the target and may go.
    extras: Spool<ObjectMeta>,
    held_back: u64,
    /// What the target's listing must come to when everything is copied.
    expected: Tally,
    /// The same of a format, which does not know what else is there: marks of keys and lengths. None when there are too many.
    promised: Option<HashSet<u64>>,
    /// The only keys that a run over a format is about.
    only: Option<Only>,
}

/// A choice of keys.
pub type Only = Box<dyn Fn(&Key) -> bool + Send + Sync>;

/// Objects up to which a target that was listed before is listed once more: their marks take 36 MiB.
const MOST_PROMISED: usize = 2_000_000;

/// Where decisions come from.
enum Wants {
    Listings(Join),
    Format(Box<dyn Wanted>),
}

/// A sum over keys and lengths that does not depend on their order: two listings with the same sum hold the same objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    objects: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, key: &Key, size: u64) {
        self.objects += 1;
        self.sum = self.sum.wrapping_add(mark(key, size));
    }
}

fn mark(key: &Key, size: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, size).hash(&mut hasher);
    hasher.finish()
}

impl CopyPlan {
    /// A plan to bring everything that is listed to a target that has `there`.
    #[must_use]
    pub fn of_listings(wanted: Pages, there: Pages, rules: Rules) -> Self {
        Self::new(Wants::Listings(Join::new(wanted, there)), rules)
    }

    /// A plan to bring to the target what a format wants there.
    #[must_use]
    pub fn of_format(wanted: Box<dyn Wanted>, rules: Rules, only: Option<Only>) -> Self {
        Self { promised: Some(HashSet::new()), only, ..Self::new(Wants::Format(wanted), rules) }
    }

    fn new(wants: Wants, rules: Rules) -> Self {
        Self {
            wants,
            rules,
            meta: std::array::from_fn(|_| Spool::default()),
            extras: Spool::default(),
            held_back: 0,
            expected: Tally::default(),
            promised: None,
            only: None,
        }
    }

    /// Whether the target now lists what the plan leaves there, by key and length: exactly that after a plan of listings, at least that
    /// after one of a format.
    pub async fn is_carried_out(&self, mut there: Pages) -> Result<bool> {
        if matches!(self.wants, Wants::Format(_)) {
            let Some(mut promised) = self.promised.clone() else { return Ok(true) };
            while let Some(page) = there.try_next().await? {
                for meta in page {
                    promised.remove(&mark(&meta.key, meta.size));
                }
            }
            return Ok(promised.is_empty());
        }
        let mut found = Tally::default();
        while let Some(page) = there.try_next().await? {
            for meta in page {
                found.add(&meta.key, meta.size);
            }
        }
        Ok(found == self.expected)
    }

    /// The next decision; none after the last. Errors end the plan.
    pub async fn next(&mut self) -> Result<Option<Step>> {
        match &mut self.wants {
            Wants::Listings(join) => match join.next().await? {
                None => Ok(None),
                Some(Pair::Extra(there)) => self.extra(there).map(Some),
                Some(Pair::Wanted(source)) => Ok(Some(self.decide(source, None))),
                Some(Pair::Both(source, there)) => Ok(Some(self.decide(source, Some(&there)))),
            },
            Wants::Format(wanted) => match wanted.next().await? {
                None => Ok(None),
                Some(want) => self.take(want).map(Some),
            },
        }
    }

    /// How many keys that the root needs were left out by the filter. If there are any, the root must not be published.
    #[must_use]
    pub fn held_back(&self) -> u64 {
        self.held_back
    }

    /// What only the target has and may be deleted, once `next` has ended.
    pub fn take_extras(&mut self) -> Spool<ObjectMeta> {
        std::mem::take(&mut self.extras)
    }

    /// The metadata by level, once `next` has ended.
    pub(super) fn take_meta(&mut self) -> [Spool<Transfer<Meta>>; LEVELS] {
        std::mem::replace(&mut self.meta, std::array::from_fn(|_| Spool::default()))
    }

    fn take(&mut self, want: Want) -> Result<Step> {
        let (key, bytes) = match &want {
            Want::Data { item, .. } | Want::Meta { item, .. } => (item.key(), item.source.size),
            Want::There { key, bytes, .. } => (key, *bytes),
            Want::Extra(_) => return Ok(untouched(want)),
        };
        let named = self.rules.filter.has_name(key) && self.only.as_ref().is_none_or(|only| only(key));
        let there = matches!(want, Want::There { .. });
        if !named && !there {
            self.held_back += 1;
            return Ok(Step::Skip { key: key.clone(), bytes, reason: "filtered" });
        }
        // What is copied whatever its length is cannot be looked for by it.
        if !matches!(&want, Want::Data { item, .. } if item.any_length) {
            let mark = mark(key, bytes);
            self.promise(mark);
        }
        Ok(match want {
            Want::Data { item, maybe_there: false } => Step::Copy(Transfer::new(item, Reason::Missing, Method::Copy)),
            Want::Data { item, maybe_there: true } => {
                Step::Copy(Transfer::new(item, Reason::Content, Method::CopyUnlessSealed))
            }
            Want::Meta { item, level } => {
                let (key, bytes) = (item.key().clone(), item.source.size);
                self.meta[level].push_weighing(Transfer::new(item, Reason::Missing, Method::Copy), bytes)?;
                Step::Later { key, bytes, phase: Meta::WORD, reason: Reason::Missing }
            }
            other => untouched(other),
        })
    }

    fn promise(&mut self, mark: u64) {
        if let Some(promised) = &mut self.promised {
            promised.insert(mark);
            if promised.len() > MOST_PROMISED {
                self.promised = None;
            }
        }
    }

    fn extra(&mut self, there: ObjectMeta) -> Result<Step> {
        self.expected.add(&there.key, there.size);
        if self.rules.delete_extra.is_some() && self.rules.filter.leaves_out(&there).is_none() {
            self.extras.push(there.clone())?;
        }
        Ok(Step::Extra(there))
    }

    fn decide(&mut self, source: ObjectMeta, there: Option<&ObjectMeta>) -> Step {
        let (key, size) = (source.key.clone(), source.size);
        let step = self.compare(source, there);
        // What is copied has the source's length; what is skipped keeps what it has.
        match (&step, there) {
            (Step::Skip { .. }, Some(there)) => self.expected.add(&key, there.size),
            (Step::Skip { .. }, None) => {}
            _ => self.expected.add(&key, size),
        }
        step
    }

    fn compare(&self, source: ObjectMeta, there: Option<&ObjectMeta>) -> Step {
        if let Some(reason) = self.rules.filter.leaves_out(&source) {
            return skip(source, reason);
        }
        let reason = there.map_or(Some(Reason::Missing), |there| self.rules.compare.differs(&source, there));
        match reason {
            None => skip(source, self.rules.compare.skipped()),
            Some(reason) => {
                let looks = reason == Reason::Content && self.rules.compare == Compare::Exact;
                let method = if looks { Method::CopyUnlessRemembered } else { Method::Copy };
                Step::Copy(Transfer::new(Item::listed(source), reason, method))
            }
        }
    }
}

fn untouched(want: Want) -> Step {
    match want {
        Want::Data { item, .. } | Want::Meta { item, .. } => skip(item.source, "filtered"),
        Want::There { key, bytes, reason } => Step::Skip { key, bytes, reason },
        Want::Extra(meta) => Step::Extra(meta),
    }
}

fn skip(source: ObjectMeta, reason: &'static str) -> Step {
    Step::Skip { key: source.key, bytes: source.size, reason }
}
