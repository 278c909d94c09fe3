//! Findings, gathered while an audit runs, and what they take away from each snapshot.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::kind::{Effect, FindingKind, Severity};
use super::repair::Remedy;
use super::users::Users;
use crate::store::Key;

/// One thing that was found. Field names are stable.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// What it is.
    pub kind: FindingKind,
    /// The snapshots that it concerns: the first few.
    pub snapshots: Vec<String>,
    /// How many they are.
    pub snapshot_count: u64,
    /// The index.
    pub index: Option<String>,
    /// The shard of the index.
    pub shard: Option<u32>,
    /// The file by Lucene's name for it.
    pub file: Option<String>,
    /// The object.
    pub key: Option<String>,
    /// What exactly is wrong.
    pub message: String,
    /// What that means for a restore.
    pub means: &'static str,
    #[serde(skip)]
    pub(super) effect: Effect,
    #[serde(skip)]
    pub(super) users: Users,
    #[serde(skip)]
    pub(super) generation: Option<String>,
    #[serde(skip)]
    pub(super) remedy: Option<Remedy>,
}

impl Finding {
    /// A finding of that kind.
    #[must_use]
    pub fn new(kind: FindingKind, message: impl Into<String>) -> Self {
        Self {
            severity: kind.severity(),
            kind,
            snapshots: Vec::new(),
            snapshot_count: 0,
            index: None,
            shard: None,
            file: None,
            key: None,
            message: message.into(),
            means: kind.means(),
            effect: kind.effect(),
            users: Users::default(),
            generation: None,
            remedy: None,
        }
    }

    /// Names the object.
    #[must_use]
    pub fn at(mut self, key: &Key) -> Self {
        self.key = Some(key.as_str().to_owned());
        self
    }

    /// Names one snapshot that is not among those of the audit.
    pub(super) fn named(mut self, snapshot: &str) -> Self {
        self.snapshots = vec![snapshot.to_owned()];
        self.snapshot_count = 1;
        self
    }

    pub(super) fn used_by(mut self, users: Users) -> Self {
        self.users = users;
        self
    }

    /// Says what it means where that is not what its kind says.
    pub(super) fn meaning(mut self, means: &'static str) -> Self {
        self.means = means;
        self
    }

    /// Takes away what its kind does not always take.
    pub(super) fn taking(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    pub(super) fn in_index(mut self, index: &str) -> Self {
        self.index = Some(index.to_owned());
        self
    }

    pub(super) fn in_shard(mut self, shard: u32) -> Self {
        self.shard = Some(shard);
        self
    }

    pub(super) fn of_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    pub(super) fn of_generation(mut self, generation: &str) -> Self {
        self.generation = Some(generation.to_owned());
        self
    }

    pub(super) fn healed_by(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }
}

/// Findings kept one by one; beyond, they are counted. What they take away is noted all the same.
pub const LISTED: usize = 10_000;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
    pub(super) unlisted: BTreeMap<FindingKind, u64>,
    pub(super) lost: Lost,
}

/// What the findings take away.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) snapshots: BTreeSet<u32>,
    pub(super) global: BTreeSet<u32>,
    /// Snapshots by index.
    pub(super) indices: BTreeMap<String, BTreeSet<u32>>,
}

impl Findings {
    /// Takes a finding in.
    pub(super) fn add(&mut self, finding: Finding) {
        self.lost.note(&finding);
        if self.list.len() < LISTED {
            self.list.push(finding);
        } else {
            *self.unlisted.entry(finding.kind).or_default() += 1;
        }
    }

    /// Keeps only findings that `keep` wants; what was taken away is counted anew from those.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Finding) -> bool) {
        self.list.retain_mut(|finding| keep(finding));
        if self.unlisted.is_empty() {
            let mut lost = Lost::default();
            self.list.iter().for_each(|finding| lost.note(finding));
            self.lost = lost;
        }
    }
}

impl Lost {
    fn note(&mut self, finding: &Finding) {
        let users = finding.users.iter();
        match finding.effect {
            Effect::Nothing if finding.kind == FindingKind::UnreadableObject => self.unknown(finding),
            Effect::Nothing => {}
            Effect::Snapshot => self.snapshots.extend(users),
            Effect::Global => self.global.extend(users),
            Effect::Index => self.index(finding),
        }
    }

    /// What cannot be read cannot be restored from here and now.
    fn unknown(&mut self, finding: &Finding) {
        if finding.index.is_some() { self.index(finding) } else { self.snapshots.extend(finding.users.iter()) }
    }

    fn index(&mut self, finding: &Finding) {
        let index = finding.index.clone().unwrap_or_default();
        self.indices.entry(index).or_default().extend(finding.users.iter());
    }
}
