//! The plan: for every key what happens to it and when. The only place that makes a [`Transfer`].
//!
//! 1. The two listings are joined as they come ([`Join`]); planning and copying go on side by side.
//! 2. The layout says which phase a key belongs to, by its name alone.
//! 3. Data is handed out at once. Metadata and older roots wait here until their phase ([`Spool`]).
//! 4. At the end come the publications of the pin: root objects whose content is at hand and is compared byte by byte.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use futures::TryStreamExt as _;

use super::compare::{Compare, Reason};
use super::filter::Filter;
use super::join::{Join, Pair};
use super::phase::{Data, Meta, Method, Phase as _, Publication, Root, Transfer};
use super::spool::Spool;
use crate::error::Result;
use crate::store::{ETag, Key, ObjectMeta, Pages};

/// Where a key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Data that nothing promises about: copied whenever it differs.
    Free,
    /// Data that the visible root of the target may need as it is: never overwritten with other content unless that is asked for.
    Blob(Name),
    /// Metadata: after all data.
    Meta,
    /// An older root, written in this order before the publications; always compared by content.
    Root(u64),
    /// A root object that the pin publishes.
    Pinned,
    /// Never copied, for this reason.
    Skip(&'static str),
}

/// Whether a name can come back with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// It stands for one content for ever.
    Unique,
    /// It may be used again after a deletion, even for content of the same length.
    Reused,
}

/// What a key means for the order. Total, and without looking at anything but the name.
pub trait Layout: Send + Sync {
    /// Where `key` belongs. An error refuses the whole source.
    fn place(&self, key: &Key) -> Result<Place>;
}

/// The layout of a plain bucket: everything is data.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flat;

impl Layout for Flat {
    fn place(&self, _key: &Key) -> Result<Place> {
        Ok(Place::Free)
    }
}

/// How objects that are at both sides are told apart, and which keys the run is about.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// When an object that is there needs another copy.
    pub compare: Compare,
    /// Which keys the run is about.
    pub filter: Filter,
    /// How many objects that only the target has may be deleted; none if they are left alone.
    pub delete_extra: Option<u64>,
    /// Whether a [`Place::Blob`] may be overwritten with other content.
    pub overwrite: Overwrite,
}

/// What to do with a blob that is at the target under the same name with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// Refuse to touch it: the target's root may still need the old content.
    #[default]
    Refuse,
    /// Overwrite it.
    Changed,
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

/// All decisions of one run, in order, as the listings give them.
pub struct CopyPlan {
    join: Join,
    layout: Box<dyn Layout>,
    rules: Rules,
    meta: Spool<Transfer<Meta>>,
    roots: Vec<(u64, Transfer<Root>)>,
    publications: VecDeque<Publication>,
    /// What is only at the target and may go.
    extras: Spool<ObjectMeta>,
    /// Whether the target's root will change.
    publishes: bool,
    held_back: u64,
    /// What the target's listing must come to when everything is copied.
    expected: Tally,
}

/// A sum over keys and lengths that does not depend on their order: two listings with the same sum hold the same objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    objects: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, key: &Key, size: u64) {
        let mut hasher = DefaultHasher::new();
        (key, size).hash(&mut hasher);
        self.objects += 1;
        self.sum = self.sum.wrapping_add(hasher.finish());
    }
}

impl CopyPlan {
    /// A plan to bring `wanted` to a target that has `there`.
    #[must_use]
    pub fn new(
        wanted: Pages,
        there: Pages,
        layout: Box<dyn Layout>,
        rules: Rules,
        publications: &[Publication],
    ) -> Self {
        Self {
            join: Join::new(wanted, there),
            layout,
            rules,
            meta: Spool::default(),
            roots: Vec::new(),
            publications: publications.iter().cloned().collect(),
            extras: Spool::default(),
            publishes: publications.iter().any(|publication| publication.there.as_ref() != Some(&publication.bytes)),
            held_back: 0,
            expected: Tally::default(),
        }
    }

    /// Whether the target now lists what this plan leaves there, by key and length. Roots are left out: they are written later,
    /// one by one, and read back.
    pub async fn is_carried_out(&self, mut there: Pages) -> Result<bool> {
        let mut found = Tally::default();
        while let Some(page) = there.try_next().await? {
            for meta in page {
                if !is_root(self.layout.place(&meta.key)?) {
                    found.add(&meta.key, meta.size);
                }
            }
        }
        Ok(found == self.expected)
    }

    /// The next decision; none after the last. Errors end the plan.
    pub async fn next(&mut self) -> Result<Option<Step>> {
        loop {
            let Some(pair) = self.join.next().await? else {
                return Ok(self.publications.pop_front().map(publish));
            };
            let step = match pair {
                Pair::Extra(there) => {
                    let place = self.layout.place(&there.key)?;
                    if !is_root(place) {
                        self.expected.add(&there.key, there.size);
                    }
                    if self.rules.delete_extra.is_some()
                        && place == Place::Free
                        && self.rules.filter.leaves_out(&there).is_none()
                    {
                        self.extras.push(there.clone())?;
                    }
                    Some(Step::Extra(there))
                }
                Pair::Wanted(source) => self.decide(source, None)?,
                Pair::Both(source, there) => self.decide(source, Some(&there))?,
            };
            if step.is_some() {
                return Ok(step);
            }
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

    /// The metadata, once `next` has ended.
    pub(super) fn take_meta(&mut self) -> Spool<Transfer<Meta>> {
        std::mem::take(&mut self.meta)
    }

    /// The older roots in the order in which they are written, once `next` has ended.
    pub(super) fn take_roots(&mut self) -> Vec<Transfer<Root>> {
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_key(|(order, _)| *order);
        roots.into_iter().map(|(_, transfer)| transfer).collect()
    }

    fn decide(&mut self, source: ObjectMeta, there: Option<&ObjectMeta>) -> Result<Option<Step>> {
        let place = self.layout.place(&source.key)?;
        let (key, size) = (source.key.clone(), source.size);
        let step = self.place(place, source, there)?;
        // What is copied has the source's length; what is skipped keeps what it has.
        match (&step, there) {
            _ if is_root(place) => {}
            (Some(Step::Skip { .. }), Some(there)) => self.expected.add(&key, there.size),
            (Some(Step::Skip { .. }), None) => {}
            _ => self.expected.add(&key, size),
        }
        Ok(step)
    }

    fn place(&mut self, place: Place, source: ObjectMeta, there: Option<&ObjectMeta>) -> Result<Option<Step>> {
        if let Place::Skip(reason) = place {
            return Ok(Some(skip(source, reason)));
        }
        if let Some(reason) = self.rules.filter.leaves_out(&source) {
            self.held_back += u64::from(place != Place::Free);
            if place == Place::Pinned {
                self.publications.retain(|publication| publication.key != source.key);
            }
            return Ok(Some(skip(source, reason)));
        }
        let (reason, method) = match (place, there) {
            // Its turn comes with the publications.
            (Place::Pinned, _) => return Ok(None),
            (_, None) => (Reason::Missing, Method::Copy),
            (Place::Root(_), Some(there)) if there.size == source.size => (Reason::Content, Method::CopyIfDifferent),
            (Place::Root(_), Some(_)) => (Reason::Size, Method::Copy),
            (_, Some(there)) => match (self.rules.compare.differs(&source, there), place) {
                (None, Place::Blob(Name::Reused)) if self.must_look_inside(&source, there) => {
                    (Reason::Content, self.over_a_blob(&source, there))
                }
                (None, _) => return Ok(Some(skip(source, self.rules.compare.skipped()))),
                (Some(reason), Place::Blob(_)) => (reason, self.over_a_blob(&source, there)),
                (Some(Reason::Content), _) if self.rules.compare == Compare::Exact => {
                    (Reason::Content, Method::CopyUnlessRemembered)
                }
                (Some(reason), _) => (reason, Method::Copy),
            },
        };
        self.file(place, source, reason, method).map(Some)
    }

    /// A name that comes back can do so with the same length, and the clocks of two clouds prove little. When a new root is to be
    /// published, only equal marks of the MD5 kind, or equal contents, show that nothing was exchanged below it.
    fn must_look_inside(&self, source: &ObjectMeta, there: &ObjectMeta) -> bool {
        let md5 = |meta: &ObjectMeta| meta.etag.as_ref().and_then(ETag::md5);
        let same_mark = md5(source).is_some() && md5(source) == md5(there);
        self.rules.compare == Compare::SizeTime && self.publishes && !same_mark
    }

    fn over_a_blob(&self, source: &ObjectMeta, there: &ObjectMeta) -> Method {
        match (self.rules.overwrite, source.size == there.size) {
            (Overwrite::Changed, false) => Method::Copy,
            (Overwrite::Changed, true) => Method::CopyIfDifferent,
            (Overwrite::Refuse, false) => Method::Refuse,
            (Overwrite::Refuse, true) => Method::RefuseIfDifferent,
        }
    }

    fn file(&mut self, place: Place, source: ObjectMeta, reason: Reason, method: Method) -> Result<Step> {
        let later = |phase| Step::Later { key: source.key.clone(), bytes: source.size, phase, reason };
        match place {
            Place::Meta => {
                let step = later(Meta::WORD);
                self.meta.push(Transfer::new(source, reason, method))?;
                Ok(step)
            }
            Place::Root(order) => {
                let step = later(Root::WORD);
                self.roots.push((order, Transfer::new(source, reason, method)));
                Ok(step)
            }
            Place::Free | Place::Blob(_) | Place::Pinned | Place::Skip(_) => {
                Ok(Step::Copy(Transfer::new(source, reason, method)))
            }
        }
    }
}

fn is_root(place: Place) -> bool {
    matches!(place, Place::Root(_) | Place::Pinned)
}

fn skip(source: ObjectMeta, reason: &'static str) -> Step {
    Step::Skip { key: source.key, bytes: source.size, reason }
}

fn publish(publication: Publication) -> Step {
    let bytes = publication.bytes.len() as u64;
    let key = publication.key;
    match publication.there {
        Some(there) if there == publication.bytes => Step::Skip { key, bytes, reason: "same-content" },
        Some(_) => Step::Later { key, bytes, phase: Root::WORD, reason: Reason::Content },
        None => Step::Later { key, bytes, phase: Root::WORD, reason: Reason::Missing },
    }
}
