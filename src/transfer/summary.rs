//! The totals a run ends with: every object was copied, skipped with a reason or failed with a reason.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::{Deserialize, Serialize};

use super::proof::Integrity;
use super::spool::Spool;
use crate::error::{Error, Result};
use crate::store::Key;

/// A count of objects with the sum of their lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// How many objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Totals {
    /// One more object.
    pub fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// An object that could not be copied.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// Which one.
    pub key: Key,
    /// The kind of error, as `ErrorKind::word` has it.
    pub kind: String,
    /// The error in one line.
    pub message: String,
}

/// What happened to the objects of a run.
#[derive(Debug, Default)]
pub struct Summary {
    /// Copied, in all rounds of the run.
    pub copied: Totals,
    /// By what the copies were proven, in all rounds of the run.
    pub integrity: Integrity,
    /// Needed no copy, in the last round.
    pub skipped: Totals,
    /// The same by reason.
    pub reasons: BTreeMap<&'static str, Totals>,
    /// Could not be copied in the last round.
    pub failed: Totals,
    /// Which ones, and why.
    pub failures: Spool<Failure>,
    /// Only at the target.
    pub extra: Totals,
    /// Of these, deleted.
    pub deleted: Totals,
    /// Hashes of the first keys copied, in all rounds: enough to see whether something is copied again and again.
    seen: HashSet<u64>,
    /// How many of these were copied more than once.
    pub repeated: u64,
    copied_before: Totals,
}

/// Keys that are remembered to see whether they come again.
const SEEN: usize = 20_000;

impl Summary {
    /// Starts another round: what was copied stays copied, everything else is found anew.
    pub fn begin_round(&mut self) {
        let integrity = std::mem::take(&mut self.integrity);
        let (seen, repeated) = (std::mem::take(&mut self.seen), self.repeated);
        *self = Self { copied: self.copied, integrity, seen, repeated, copied_before: self.copied, ..Self::default() };
    }

    /// Notes an object that was copied.
    pub fn copy(&mut self, key: &Key, bytes: u64) {
        self.copied.add(bytes);
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        if self.seen.contains(&hash) {
            self.repeated += 1;
        } else if self.seen.len() < SEEN {
            self.seen.insert(hash);
        }
    }

    /// How many objects this round copied.
    #[must_use]
    pub fn copied_in_round(&self) -> u64 {
        self.copied.objects - self.copied_before.objects
    }

    /// Ends the last round: what earlier rounds copied is not told as skipped too.
    pub fn finish(&mut self) {
        self.skipped.objects = self.skipped.objects.saturating_sub(self.copied_before.objects);
        self.skipped.bytes = self.skipped.bytes.saturating_sub(self.copied_before.bytes);
        self.copied_before = Totals::default();
    }

    /// Notes an object that needs no copy.
    pub fn skip(&mut self, bytes: u64, reason: &'static str) {
        self.skipped.add(bytes);
        self.reasons.entry(reason).or_default().add(bytes);
    }

    /// Notes an object that could not be copied.
    pub fn fail(&mut self, key: &Key, bytes: u64, error: &Error) -> Result<()> {
        self.failed.add(bytes);
        let message = error.to_string();
        self.failures.push(Failure { key: key.clone(), kind: error.kind().word().to_owned(), message })
    }
}
