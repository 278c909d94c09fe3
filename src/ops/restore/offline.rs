//! What the repository itself tells of the indices to be restored, and no cluster does: versions, sizes, settings.
//!
//! It is read from a copy that is within reach, and only of the snapshot that the cluster shows: another one of the same name is
//! refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::elastic::{self, snapshot::Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Silent;
use crate::ops::advice::{self, Advice};
use crate::ops::{End, inspect};
use crate::repo::{self, Base, Reader};
use crate::store::ObjectStore;
use crate::store::wrap::{Policy, Retry};

/// Reads under way at once.
const AT_ONCE: usize = 16;

/// What the repository tells of an index.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) settings: BTreeMap<String, String>,
    pub(super) aliases: Vec<String>,
    pub(super) write_aliases: Vec<String>,
    /// The aliases with what they are, as a request wants it; none if that cannot be read.
    pub(super) definitions: Option<Map<String, Value>>,
    pub(super) shards: u32,
    pub(super) bytes: u64,
}

impl Facts {
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Its replicas, if their number is its own and not the cluster's to choose.
    pub(super) fn replicas(&self) -> Option<u32> {
        let auto = self.setting("index.auto_expand_replicas").is_some_and(|text| text != "false");
        let own = self.setting("index.number_of_replicas").and_then(|text| text.parse().ok());
        own.filter(|_| !auto)
    }
}

/// What the repository tells of a snapshot.
#[derive(Debug)]
pub(super) struct Offline {
    /// The indices that were asked for.
    pub(super) indices: BTreeMap<String, Facts>,
    /// What the target would restore.
    pub(super) advice: Option<Advice>,
}

/// Reads what the repository at `copy` tells of these indices of a snapshot.
pub(super) async fn read(
    copy: &End,
    snapshot: &Snapshot,
    names: &BTreeSet<&str>,
    version: &elastic::Version,
    cancel: &CancellationToken,
) -> Result<Offline> {
    let doing = || format!("read the snapshot `{}` at `{}`", snapshot.name, copy.location);
    let looking = inspect::Options {
        snapshots: vec![globset::escape(&snapshot.name)],
        sizes: true,
        targets: vec![advice::cluster_version(version)?],
        retry: Policy::default(),
        ..inspect::Options::default()
    };
    let report = inspect::run(copy, &looking, Arc::new(Silent), cancel).await?;
    let found = report.snapshots.into_iter().find(|found| found.uuid == snapshot.uuid).ok_or_else(|| {
        Error::new(ErrorKind::Diverged, doing())
            .because(format!("the cluster shows another one of that name: its id is `{}`", snapshot.uuid))
            .hint("name the location that the cluster's repository reads from")
    })?;
    let bytes: BTreeMap<String, u64> =
        found.index_details.iter().map(|detail| (detail.name.as_str().to_owned(), detail.sizes.bytes)).collect();
    let advice = advice::of(found, advice::cluster_version(version)?);
    let mut indices = facts(copy, &snapshot.uuid, names).await.map_err(|error| error.while_doing(doing()))?;
    for (name, facts) in &mut indices {
        facts.bytes = bytes.get(name).copied().unwrap_or(0);
    }
    Ok(Offline { indices, advice })
}

async fn facts(copy: &End, uuid: &str, names: &BTreeSet<&str>) -> Result<BTreeMap<String, Facts>> {
    let patient = |store| -> Arc<dyn ObjectStore> { Arc::new(Retry::new(store, Policy::default(), Arc::new(Silent))) };
    let root = repo::detect(&patient(copy.store.clone())).await?;
    let root = root.ok_or_else(|| Error::new(ErrorKind::NotFound, "find the repository's root"))?.index;
    let base = copy.base(&root).await?;
    let reader = &Reader::new(Base { store: patient(base.store), path: base.path }, root).await?;
    let Some(snapshot) = reader.root.snapshot(uuid) else { return Ok(BTreeMap::new()) };
    let listed = reader.root.indices.iter().filter(|(name, _)| names.contains(name.as_str()));
    stream::iter(listed)
        .map(|(name, entry)| async move {
            let read = reader.index_meta(reader.index_meta_key(snapshot, entry), name).await?.says;
            let shards = read.number_of_shards();
            let definitions = read.alias_definitions().ok();
            let facts = Facts {
                settings: read.settings,
                aliases: read.aliases,
                write_aliases: read.write_aliases,
                definitions,
                shards,
                bytes: 0,
            };
            Ok::<_, Error>((name.clone(), facts))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}
