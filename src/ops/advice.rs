//! Advice: what of a snapshot a cluster would restore, said before a byte is copied.
//!
//! The repository's own metadata tells in which version each index was created; [`crate::repo::ClusterVersion`] knows what the target takes. From
//! that come the compatible subset, the list of exclusions that selects it, and the clusters in between for the rest.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::End;
use super::inspect;
use crate::elastic;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Reporter;
use crate::repo::{ClusterVersion, VersionId, stepping_stones};
use crate::store::wrap::Policy;

/// What a cluster would restore of a snapshot. The field names are stable.
#[derive(Debug, Clone, Serialize)]
pub struct Advice {
    /// The version of the cluster: `elasticsearch-8.12.2`.
    #[serde(rename = "for")]
    pub target: String,
    /// The snapshot's name.
    pub snapshot: String,
    /// The snapshot's id.
    pub uuid: String,
    /// `yes`, `read-only`, `archive`, `partial`, `unknown`, `no`; `mixed` if its indices differ.
    pub verdict: &'static str,
    /// Why, if it is the same for the whole snapshot.
    pub reason: Option<String>,
    /// The same for each index.
    pub indices: Vec<IndexAdvice>,
}

/// What would come of one index. The field names are stable.
#[derive(Debug, Clone, Serialize)]
pub struct IndexAdvice {
    /// Its name.
    pub name: String,
    /// The version that created it, if it is known.
    pub created: Option<String>,
    /// As for the snapshot, but never `mixed`.
    pub verdict: &'static str,
    /// Why, if it is not a plain yes.
    pub reason: Option<String>,
    /// The versions to restore and reindex it in on the way, if it is refused and there is a way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_way_of: Vec<String>,
}

impl IndexAdvice {
    /// Whether the cluster refuses it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.verdict == "no"
    }
}

impl Advice {
    /// The indices that the cluster refuses.
    pub fn refused(&self) -> impl Iterator<Item = &IndexAdvice> {
        self.indices.iter().filter(|index| index.is_refused())
    }

    /// The selection that leaves out what the cluster refuses, as `--indices` takes it; none if it refuses nothing, or everything.
    #[must_use]
    pub fn exclusions(&self) -> Option<String> {
        let refused: Vec<String> = self.refused().map(|index| format!("-{}", index.name)).collect();
        let some = !refused.is_empty() && refused.len() < self.indices.len();
        some.then(|| format!("*,{}", refused.join(",")))
    }
}

/// The version of a cluster, as the repository's format counts it.
pub fn cluster_version(version: &elastic::Version) -> Result<ClusterVersion> {
    let word = match version.distribution {
        elastic::Distribution::Elasticsearch => "es",
        elastic::Distribution::OpenSearch => "opensearch",
    };
    format!("{word}-{}.{}.{}", version.major, version.minor, version.patch).parse()
}

/// Reads the snapshot of this name at `end` and judges what `version` would restore of it.
///
/// [`ErrorKind::NotFound`] when there is no repository or no such snapshot.
pub async fn run(
    end: &End,
    snapshot: &str,
    version: &elastic::Version,
    reporter: Arc<dyn Reporter>,
    cancel: &CancellationToken,
) -> Result<Advice> {
    let target = cluster_version(version)?;
    let looking = inspect::Options {
        snapshots: vec![globset::escape(snapshot)],
        targets: vec![target],
        retry: Policy::default(),
        ..inspect::Options::default()
    };
    let report = inspect::run(end, &looking, reporter, cancel).await?;
    let found = report.snapshots.into_iter().find(|found| found.name == snapshot);
    let missing = || Error::new(ErrorKind::NotFound, format!("read the snapshot `{snapshot}` at `{}`", end.location));
    found.and_then(|found| of(found, target)).ok_or_else(missing)
}

/// The advice that an inspection for this target holds; none if it did not judge.
pub(super) fn of(snapshot: inspect::Snapshot, target: ClusterVersion) -> Option<Advice> {
    let made = snapshot.version_id.and_then(VersionId::new);
    let judged = snapshot.restorable.into_iter().next()?;
    let created: HashMap<&str, Option<i64>> =
        snapshot.index_details.iter().map(|detail| (detail.name.as_str(), detail.created_id)).collect();
    let indices = judged.indices.iter().map(|index| {
        let name = index.name.as_str();
        let id = created.get(name).copied().flatten().and_then(VersionId::new);
        let refused = index.verdict == "no";
        let stones = id.zip(made).filter(|_| refused).and_then(|(id, made)| stepping_stones(id, made, target));
        IndexAdvice {
            name: name.to_owned(),
            created: id.map(|id| id.to_string()),
            verdict: index.verdict,
            reason: index.reason.as_deref().map(str::to_owned),
            by_way_of: stones.unwrap_or_default().iter().map(ClusterVersion::word).collect(),
        }
    });
    Some(Advice {
        target: judged.target.clone(),
        snapshot: snapshot.name.clone(),
        uuid: snapshot.uuid.clone(),
        verdict: judged.verdict,
        reason: judged.reason.as_deref().map(str::to_owned),
        indices: indices.collect(),
    })
}
