//! What would come of restoring a snapshot to one version, index by index.

use std::collections::HashMap;
use std::sync::Arc;

use super::report::{IndexVerdict, Restorable, Snapshot};
use super::survey::{Index, Known, Survey};
use crate::repo::{ClusterVersion, Judgement, Name, RootIndex, Verdict, VersionId};

/// A verdict with its reason, which many indices share.
type Told = (Verdict, Option<Arc<str>>);

/// Judges restores to one version.
pub(super) struct Judge {
    target: ClusterVersion,
    /// Why it can read nothing here.
    refusal: Option<Arc<str>>,
    /// What was judged of an index's metadata, which many snapshots share.
    judged: HashMap<(u32, u32), Told>,
}

impl Judge {
    /// One that has judged nothing yet.
    pub(super) fn new(target: ClusterVersion, root: &RootIndex) -> Self {
        let refusal = target.refuses_root(root).map(Into::into);
        Self { target, refusal, judged: HashMap::new() }
    }

    /// Judges a snapshot; `members` are its indices with the places of their metadata, and `broken` tells those with damaged shards.
    pub(super) fn judge(
        &mut self,
        survey: &Survey,
        known: &Known,
        snapshot: &Snapshot,
        members: &[(u32, u32)],
        broken: &impl Fn(u32) -> bool,
    ) -> Restorable {
        let made = snapshot.version_id.and_then(VersionId::new);
        let whole: Option<Told> = if let Some(reason) = &self.refusal {
            Some((Verdict::No, Some(reason.clone())))
        } else if let Some(reason) = &snapshot.unsupported {
            Some((Verdict::No, Some(reason.as_str().into())))
        } else if known.info.is_err() {
            Some((Verdict::No, Some("its description is damaged or missing".into())))
        } else {
            let refused = self.target.refuses_snapshot(made, &snapshot.state);
            refused.map(|refused| (refused.verdict, refused.reason.map(Into::into)))
        };
        let indices: Vec<(Name, Verdict, Option<Arc<str>>)> = members
            .iter()
            .map(|(place, meta)| {
                let index = &survey.indices[*place as usize];
                let (verdict, reason) = match &whole {
                    Some(whole) => whole.clone(),
                    None if broken(*place) => (Verdict::No, Some("a list of its files is damaged or missing".into())),
                    None => self.index(known, index, (*place, *meta)),
                };
                (index.name.clone(), verdict, reason)
            })
            .collect();
        let (verdict, reason) = whole
            .unwrap_or_else(|| of_indices(indices.iter().map(|(_, verdict, _)| *verdict), snapshot.damaged.as_deref()));
        let indices =
            indices.into_iter().map(|(name, verdict, reason)| IndexVerdict { name, verdict: verdict.word(), reason });
        Restorable { target: self.target.word(), verdict: verdict.word(), reason, indices: indices.collect() }
    }

    fn index(&mut self, known: &Known, index: &Index, place: (u32, u32)) -> Told {
        let Ok(about) = &index.metas[place.1 as usize].about else {
            return (Verdict::No, Some("its metadata is damaged or missing".into()));
        };
        let failures = known.info.as_ref().map(|info| info.failures.as_slice()).unwrap_or_default();
        let failed = failures.iter().filter(|failure| failure.index == index.name.as_str()).count();
        if failed > 0 {
            let judged = self.target.judge(&about.traits).without(failed, about.shards);
            return (judged.verdict, judged.reason.map(Into::into));
        }
        let target = self.target;
        let judged = self.judged.entry(place).or_insert_with(|| {
            let Judgement { verdict, reason } = target.judge(&about.traits);
            (verdict, reason.map(Into::into))
        });
        judged.clone()
    }
}

/// A snapshot by its indices. What is damaged in it and belongs to none of them counts as one that does not restore.
fn of_indices(verdicts: impl Iterator<Item = Verdict> + Clone, damaged: Option<&str>) -> Told {
    match damaged {
        None => (Verdict::of_all(verdicts), None),
        Some(damaged) => (Verdict::of_all(verdicts.chain([Verdict::No])), Some(damaged.into())),
    }
}
