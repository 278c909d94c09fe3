//! The end of an audit: whether the repository moved meanwhile, and which snapshots would restore.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use super::super::base::Base;
use super::super::data::RootIndex;
use super::super::generation::Generation;
use super::finding::{Finding, Lost};
use super::kind::{FindingKind, Severity};
use super::{Audit, Checked, Roots, lock};
use crate::error::Result;

/// Snapshots that a finding names; all are counted.
const NAMED: usize = 5;
/// Indices that a verdict names; all are counted.
const INDICES: usize = 100;

/// What an audit found.
#[derive(Debug, Default)]
pub struct Audited {
    /// The format of the root; none if no root can be read.
    pub family: Option<&'static str>,
    /// The root that was audited.
    pub generation: Option<Generation>,
    /// The repository's own id.
    pub repository_uuid: Option<String>,
    /// The newest root at the end, if it is another.
    pub moved: Option<Generation>,
    /// What was looked at.
    pub checked: Checked,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// Findings that are not in the list, by their kind.
    pub unlisted: BTreeMap<FindingKind, u64>,
    /// Each snapshot, whether it would restore.
    pub snapshots: Vec<SnapshotVerdict>,
}

/// Whether a snapshot would restore, as far as the level tells. Field names are stable.
#[derive(Debug, Clone, Serialize)]
pub struct SnapshotVerdict {
    /// Its name.
    pub name: String,
    /// Its id.
    pub uuid: String,
    /// Everything in it would restore.
    pub restorable: bool,
    /// A root that stands in the way of all restores: once it is removed, the rest of this verdict holds.
    pub hindered_by: Option<String>,
    /// Its cluster state would restore.
    pub global_state_restorable: bool,
    /// How many indices it has.
    pub indices: u64,
    /// How many of them would restore whole.
    pub indices_restorable: u64,
    /// Those that would not, for damage: the first few.
    pub indices_not_restorable: Vec<String>,
    /// Those of which the snapshot never had all shards; a restore with `partial` brings the others. The first few.
    pub indices_partial: Vec<String>,
}

impl SnapshotVerdict {
    /// Whether everything in it would restore if nothing stood in the way.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.global_state_restorable && self.indices_restorable == self.indices
    }
}

impl Audited {
    /// What is to be said of a repository none of whose roots can be read.
    pub async fn without_root(roots: &Roots, base: &Base) -> Result<Self> {
        let mut findings = roots.findings(base).await?;
        findings.sort_by_key(|finding| (finding.severity, finding.kind));
        Ok(Self { findings, ..Self::default() })
    }

    /// How many findings of a severity there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        let listed = self.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
        let unlisted = self.unlisted.iter().filter(|(kind, _)| kind.severity() == severity);
        listed + unlisted.map(|(_, count)| count).sum::<u64>()
    }
}

impl Audit {
    /// Looks at the root again and gives what was found. Findings that the repository has left behind are dropped.
    pub async fn finish(&self) -> Result<Audited> {
        let Some(now) = Roots::read(&self.reader.base).await? else { return Ok(self.audited(None)) };
        self.look_again(&now).await?;
        let then = self.generation();
        let moved = now.newest.filter(|(generation, _)| Some(*generation) != then);
        if let Some((_, root)) = &moved {
            self.forget(root);
        }
        Ok(self.audited(moved))
    }

    /// What was found so far, without another look at the root.
    #[must_use]
    pub fn so_far(&self) -> Audited {
        self.audited(None)
    }

    /// Keeps of the findings about the roots those that still hold: a cluster writes a root and then `index.latest`.
    async fn look_again(&self, now: &Roots) -> Result<()> {
        let about_roots = |kind| matches!(kind, FindingKind::WrongLatest | FindingKind::StaleRoot);
        if !self.found().list.iter().any(|finding| about_roots(finding.kind)) {
            return Ok(());
        }
        let still: HashSet<FindingKind> =
            now.findings(&self.reader.base).await?.into_iter().map(|finding| finding.kind).collect();
        self.found().retain(|finding| !about_roots(finding.kind) || still.contains(&finding.kind));
        Ok(())
    }

    fn generation(&self) -> Option<Generation> {
        self.roots.newest.as_ref().map(|(generation, _)| *generation)
    }

    /// Drops what the repository has left behind: findings about snapshots that are gone, and about lists of shards that were replaced.
    fn forget(&self, root: &RootIndex) {
        let kept: HashSet<&str> = root.snapshots.iter().map(|snapshot| snapshot.uuid.as_str()).collect();
        let current = |finding: &Finding, generation: &str| {
            let index = finding.index.as_ref().and_then(|name| root.indices.get(name));
            let listed = index.and_then(|index| index.generation(finding.shard?));
            listed.is_some_and(|listed| listed.as_str() == generation)
        };
        self.found().retain(|finding| {
            if finding.generation.as_deref().is_some_and(|generation| !current(finding, generation)) {
                return false;
            }
            let before = !finding.users.is_empty();
            let left = finding.users.iter().filter(|user| kept.contains(self.placed.snapshot(*user).uuid.as_str()));
            finding.users = left.collect();
            !before || !finding.users.is_empty()
        });
    }

    fn audited(&self, moved: Option<(Generation, RootIndex)>) -> Audited {
        let mut found = self.found();
        for finding in found.list.iter_mut().filter(|finding| !finding.users.is_empty()) {
            let names = finding.users.iter().take(NAMED).map(|user| self.placed.snapshot(user).name.to_string());
            finding.snapshots = names.collect();
            finding.snapshot_count = finding.users.iter().count() as u64;
        }
        let mut findings = found.list.clone();
        findings.sort_by(|one, other| {
            let order =
                |finding: &Finding| (finding.severity, finding.kind, finding.key.clone(), finding.message.clone());
            order(one).cmp(&order(other))
        });
        let gone = |uuid: &str| moved.as_ref().is_some_and(|(_, root)| root.snapshot(uuid).is_none());
        let snapshots = (0u32..).zip(&self.placed.snapshots).filter(|(_, entry)| !gone(&entry.uuid));
        Audited {
            family: Some(self.reader.root.family().word()),
            generation: self.generation(),
            repository_uuid: self.reader.root.id().map(ToOwned::to_owned),
            checked: self.count(),
            findings,
            unlisted: found.unlisted.clone(),
            snapshots: snapshots.map(|(number, _)| self.verdict(number, &found.lost)).collect(),
            moved: moved.map(|(generation, _)| generation),
        }
    }

    fn verdict(&self, number: u32, lost: &Lost) -> SnapshotVerdict {
        let entry = self.placed.snapshot(number);
        let whole = entry.is_restorable() && !lost.snapshots.contains(&number);
        let global = whole && !lost.global.contains(&number);
        let failed: BTreeSet<String> =
            lock(&self.failed).iter().filter(|(user, ..)| *user == number).map(|(_, index, _)| index.clone()).collect();
        let mut verdict = SnapshotVerdict {
            name: entry.name.to_string(),
            uuid: entry.uuid.to_string(),
            restorable: false,
            hindered_by: self.roots.hindering(&self.reader.base),
            global_state_restorable: global,
            indices: 0,
            indices_restorable: 0,
            indices_not_restorable: Vec::new(),
            indices_partial: Vec::new(),
        };
        for name in self.placed.indices_of(number) {
            verdict.indices += 1;
            let damaged = lost.indices.get(name.as_str()).is_some_and(|users| users.contains(&number));
            let list = match (whole && !damaged, failed.contains(name.as_str())) {
                (true, false) => {
                    verdict.indices_restorable += 1;
                    continue;
                }
                (true, true) => &mut verdict.indices_partial,
                (false, _) => &mut verdict.indices_not_restorable,
            };
            if list.len() < INDICES {
                list.push(name.to_string());
            }
        }
        verdict.restorable = verdict.is_whole() && verdict.hindered_by.is_none();
        verdict
    }
}
