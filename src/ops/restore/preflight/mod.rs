//! What speaks against a restore, found before anything is changed, all of it at once (`elasticsearch-api.md` 4.3).
//!
//! 1. What is known of the cluster is read; a question that is refused or not known there makes a finding, never an end.
//! 2. Each file here looks at one side of it: the cluster, its room, the settings that come along, the names.
//!
//! It sends only reading requests. Some findings propose settings to leave behind; the restore leaves them.

mod cluster;
mod names;
mod request;
mod room;
mod settings;
mod system;

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use super::finding::Finding;
use super::offline::Offline;
use super::{Options, Replicas};
use crate::elastic::Client;
use crate::elastic::conflict::Plan;
use crate::elastic::health::{self, Busy, Disk, Health, Node};
use crate::elastic::index::Existing;
use crate::elastic::inventory::{self, Inventory};
use crate::elastic::repository::{self, Repository};
use crate::elastic::selection::Selection;
use crate::elastic::settings::{self as cluster_settings, Settings};
use crate::elastic::snapshot::Snapshot;
use crate::error::Result;

/// What a preflight looks at.
pub(super) struct Subject<'a> {
    pub(super) client: &'a Client,
    pub(super) options: &'a Options,
    pub(super) snapshot: &'a Snapshot,
    pub(super) selection: &'a Selection,
    pub(super) plan: &'a Plan,
    pub(super) existing: &'a Existing,
    pub(super) offline: Option<&'a Offline>,
}

/// What the cluster says of itself; nothing where it did not.
struct Ground {
    health: Option<Health>,
    nodes: Option<Vec<Node>>,
    disks: Option<Vec<Disk>>,
    settings: Option<Settings>,
    inventory: Option<Inventory>,
    busy: Option<Busy>,
    repository: Option<Repository>,
}

impl Ground {
    async fn read(client: &Client, repository: &str, findings: &mut Vec<Finding>) -> Self {
        let mut note = |subject: &str, error| findings.push(Finding::unknown(subject, &error));
        Self {
            health: kept(health::health(client).await, |error| note("the cluster", error)),
            nodes: kept(health::nodes(client).await, |error| note("the nodes", error)),
            disks: kept(health::disks(client).await, |error| note("the disks", error)),
            settings: kept(cluster_settings::read(client).await, |error| note("the cluster's settings", error)),
            inventory: kept(inventory::read(client).await, |error| note("templates and policies", error)),
            busy: kept(health::busy(client).await, |error| note("running snapshots and restores", error)),
            repository: kept(repository::find(client, repository).await, |error| note("the repository", error))
                .flatten(),
        }
    }
}

fn kept<T>(read: Result<T>, mut note: impl FnMut(crate::error::Error)) -> Option<T> {
    read.map_err(&mut note).ok()
}

/// Looks at everything. Warnings and errors alike are in the list; nothing ends it early.
pub(super) async fn look(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let ground = Ground::read(subject.client, &subject.options.repository, findings).await;
    cluster::check(subject, &ground, findings);
    cluster::check_privileges(subject, findings).await;
    cluster::check_licence(subject, findings).await;
    room::check(subject, &ground, findings);
    settings::check(subject, &ground, findings);
    names::check(subject, &ground, findings).await;
    system::check(subject, &ground, findings);
    request::check(subject, findings).await;
}

/// The indices that lack something and are to be restored over others; a finding tells of each.
pub(super) async fn lost(
    subject: &Subject<'_>,
    cancel: &CancellationToken,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, String> {
    request::lost(subject, cancel, findings).await
}

impl Subject<'_> {
    /// The indices that the restore makes anew, not those that it restores over.
    fn new_pieces(&self) -> impl Iterator<Item = &crate::elastic::conflict::Piece> {
        let stays: BTreeSet<&String> =
            self.existing.indices.keys().filter(|name| !self.plan.delete.contains(*name)).collect();
        self.plan.pieces().filter(move |piece| !stays.contains(&piece.target))
    }

    fn bytes(&self, index: &str) -> Option<u64> {
        let offline = self.offline.and_then(|offline| offline.indices.get(index)).map(|facts| facts.bytes);
        offline.or_else(|| self.snapshot.index_details.get(index).map(|details| details.size_in_bytes))
    }

    fn shards(&self, index: &str) -> Option<u32> {
        let offline = self.offline.and_then(|offline| offline.indices.get(index)).map(|facts| facts.shards);
        offline.or_else(|| self.snapshot.index_details.get(index).map(|details| details.shard_count))
    }

    /// How many replicas an index will have; 0 where that is not known.
    fn replicas(&self, index: &str) -> u32 {
        Replicas::of(self.options, self.offline, index).afterwards.unwrap_or(0)
    }
}
