//! What is copied: so many objects of a size, to a target that is empty or already equal.

use std::str::FromStr;

use super::spec::Spec;
use super::{Failure, Result};

/// The page size of every listing.
const PAGE: u64 = 1_000;

/// What the target holds before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Empty,
    EqualToSource,
}

/// A workload, by the name under which it is chosen and reported.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) source: Spec,
    pub(crate) target: Target,
}

/// Name, source and target of the workloads that run when none is chosen.
const KNOWN: [(&str, &str, Target); 4] = [
    ("one-4GiB", "objects=1,size=4GiB", Target::Empty),
    ("bulk-16x256MiB", "objects=16,size=256MiB", Target::Empty),
    ("small-100k", "objects=100000,size=4KiB", Target::Empty),
    ("no-change-100k", "objects=100000,size=4KiB", Target::EqualToSource),
];

impl Workload {
    /// The workloads of the project's goals.
    pub(crate) fn all() -> Result<Vec<Self>> {
        KNOWN.iter().map(|(name, _, _)| name.parse()).collect()
    }

    /// What the target holds at the start.
    pub(crate) fn held_by_target(&self) -> Option<Spec> {
        (self.target == Target::EqualToSource).then_some(self.source)
    }

    /// How many objects and bytes have to be moved.
    pub(crate) fn to_move(&self) -> (u64, u64) {
        match self.target {
            Target::Empty => (self.source.objects, self.source.bytes()),
            Target::EqualToSource => (0, 0),
        }
    }

    /// How many pages the listings of both sides have.
    pub(crate) fn pages(&self) -> (u64, u64) {
        let pages = |spec: Option<Spec>| spec.map_or(0, |spec| spec.objects).div_ceil(PAGE).max(1);
        (pages(Some(self.source)), pages(self.held_by_target()))
    }
}

impl FromStr for Workload {
    type Err = Failure;

    /// A known name, or a specification such as `objects=1000,size=1MiB`, with `,unchanged` behind it for an equal target.
    fn from_str(text: &str) -> Result<Self> {
        let known = KNOWN.iter().find(|(name, _, _)| *name == text);
        let (source, target) = match (known, text.strip_suffix(",unchanged")) {
            (Some((_, source, target)), _) => (*source, *target),
            (None, Some(source)) => (source, Target::EqualToSource),
            (None, None) => (text, Target::Empty),
        };
        let names = || KNOWN.map(|(name, _, _)| name).join(", ");
        let source = source.parse().map_err(|failure| format!("{failure}; known workloads: {}", names()))?;
        Ok(Self { name: text.to_owned(), source, target })
    }
}
