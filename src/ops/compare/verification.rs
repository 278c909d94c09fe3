//! What a verification found: a verdict for each index and level, with a sentence of what it proves.
//!
//! The document is stable: fields are added, never renamed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::elastic::numbers::{ShardNumbers, numbered};
use crate::error::{Error, ErrorKind};

/// How thoroughly two sides are compared. Each level does what those below it do, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Level {
    /// 0: every primary is started.
    Recovered,
    /// 1: as many documents.
    #[default]
    Counts,
    /// 2: the same numbers in every shard.
    Shards,
    /// 3: a sample of the documents, field by field.
    Documents,
    /// 4: mappings, settings and aliases.
    Metadata,
}

impl Level {
    /// All of them, from the weakest.
    pub const ALL: [Self; 5] = [Self::Recovered, Self::Counts, Self::Shards, Self::Documents, Self::Metadata];

    /// The levels up to this one.
    pub fn up_to(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |level| *level <= self)
    }

    /// What is compared.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Counts => "counts",
            Self::Shards => "shards",
            Self::Documents => "documents",
            Self::Metadata => "metadata",
        }
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level as Self
    }
}

impl TryFrom<u8> for Level {
    type Error = Error;

    fn try_from(number: u8) -> Result<Self, Error> {
        Self::ALL.get(usize::from(number)).copied().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("verify at level {number}")).because("the levels are 0 to 4")
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", u8::from(*self), self.word())
    }
}

/// What a comparison says. The order is that in which the worse speaks for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both sides say the same.
    Equal,
    /// One side cannot tell.
    Unknown,
    /// The source is being written, so that its numbers are of no single moment.
    Moving,
    /// The sides say different things.
    Different,
}

impl Verdict {
    /// The word for it, here and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Unknown => "unknown",
            Self::Moving => "moving",
            Self::Different => "different",
        }
    }

    /// What several say together; equal if there is none.
    pub fn of(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Equal)
    }
}

/// Everything that was compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The form of this document: 1.
    pub version: u32,
    /// How thoroughly.
    pub level: Level,
    /// What all indices say together.
    pub verdict: Verdict,
    /// What that proves, in a sentence.
    pub proves: String,
    /// When the source's numbers were taken.
    pub captured_at: jiff::Timestamp,
    /// When the target was looked at.
    pub verified_at: jiff::Timestamp,
    /// One entry for each index.
    pub indices: Vec<IndexVerification>,
}

/// How one index compares with another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexVerification {
    /// The index on the source.
    pub index: String,
    /// The index on the target.
    pub target: String,
    /// What all levels say together.
    pub verdict: Verdict,
    /// By level, from 0 to the one asked for.
    pub levels: Vec<LevelVerdict>,
    /// The documents as searches count them, from level 1.
    pub documents: Sides<Option<u64>>,
    /// By shard, from level 2.
    #[serde(default, deserialize_with = "numbered")]
    pub shards: BTreeMap<u32, Sides<Option<ShardNumbers>>>,
}

/// What one level says of one index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelVerdict {
    /// Which level.
    pub level: Level,
    /// What it says.
    pub verdict: Verdict,
    /// What that proves, in a sentence.
    pub proves: String,
    /// What differs, or why the sides cannot tell; at most [`DIFFERENCES`] of it.
    #[serde(default)]
    pub differences: Vec<Difference>,
    /// How many differences there are in all.
    #[serde(default)]
    pub differences_in_all: u64,
}

/// Differences of one level kept for one index: whoever sees that many has seen enough.
pub const DIFFERENCES: usize = 100;

/// One thing that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What, for example `shard 0: documents` or `mappings: title.type`.
    pub what: String,
    /// What the source says, if it says something.
    pub from: Option<String>,
    /// What the target says, if it says something.
    pub to: Option<String>,
    /// The restore was asked to change this; it does not count.
    #[serde(default)]
    pub as_asked: bool,
}

/// A value on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sides<T> {
    /// On the source.
    pub from: T,
    /// On the target.
    pub to: T,
}
