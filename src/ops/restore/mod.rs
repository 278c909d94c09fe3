//! Restoring a snapshot, start to end.
//!
//! 1. Look (`prepare`): the snapshot must be complete; choose its indices, foretell their final names, see what is in the way, and
//!    collect everything that speaks against it (`preflight`). Errors end it here, with nothing changed.
//! 2. What the cluster is at already, or an interrupted run has restored, is taken up and not sent again.
//! 3. Raise throttles; they are put back whatever happens from here on (`work`).
//! 4. Batch by batch: close or delete what the policy says, start the restore, follow it until every primary is started. If the
//!    cluster refuses it after all, what was closed is opened again. A blob that a shard misses is brought from another copy, and
//!    the shard is tried again (`repair`).
//! 5. Set the replicas, let names point to what was restored beside them (`swap`), and list what the target still lacks
//!    (`aftercare`).
//!
//! Each change is told to a log before it is made (`log`).

mod aftercare;
mod finding;
mod log;
mod offline;
mod options;
mod orders;
mod overall;
mod preflight;
mod prepare;
mod repair;
mod requests;
mod swap;
mod throttle;
mod work;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use self::finding::{Finding, Weight};
pub use self::log::{Entry, Recovered, RestoreLog, Undo, recover};
pub use self::options::{Batch, Check, Consent, Options, Partial};
use self::orders::Replicas;
pub use self::requests::Planned;
use crate::elastic::Client;
use crate::elastic::conflict::Piece;
use crate::elastic::inventory::Thing;
use crate::elastic::snapshot::Shards;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// A restore that ended well. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Restored {
    /// The repository.
    pub repository: String,
    /// The snapshot's name.
    pub snapshot: String,
    /// The snapshot's identity.
    pub uuid: String,
    /// The indices restored, by their names in the cluster.
    pub indices: Vec<String>,
    /// The same with their names in the snapshot.
    pub pieces: Vec<Piece>,
    /// The primaries; all of them are started.
    pub shards: Shards,
    /// The bytes the indices have, as far as the cluster told.
    pub bytes: u64,
    /// How many of them were on the nodes already.
    pub reused_bytes: u64,
    /// The indices that were closed and restored over.
    pub closed: Vec<String>,
    /// The indices that were deleted: before the restore, or when an alias took their name.
    pub deleted: Vec<String>,
    /// The names that are aliases now, with the index that each points to.
    pub swapped: BTreeMap<String, String>,
    /// The names that were taken and left as they are.
    pub skipped: Vec<String>,
    /// The cluster's own indices in the snapshot, which nobody asked for.
    pub left_out: Vec<String>,
    /// The snapshot that was taken of what was overwritten or deleted: `repository:snapshot`.
    pub safety_snapshot: Option<String>,
    /// Objects of the repository that were brought from another copy of it.
    pub repaired_objects: u64,
    /// Whether the cluster's own state was restored.
    pub global_state: bool,
    /// What the source has beside its indices and the target lacks, by kind.
    pub missing: BTreeMap<Thing, Vec<String>>,
    /// What should be known of it.
    pub findings: Vec<Finding>,
}

/// What a restore would do. The field names are stable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// The repository.
    pub repository: String,
    /// The snapshot's name.
    pub snapshot: String,
    /// The snapshot's identity.
    pub uuid: String,
    /// What would be restored; nothing where the findings do not allow a plan.
    pub pieces: Vec<Piece>,
    /// What would be closed and restored over.
    pub close: Vec<String>,
    /// What would be deleted: before the restore, or when an alias takes its name.
    pub delete: Vec<String>,
    /// What would point to something else.
    pub swap: BTreeMap<String, String>,
    /// What would be left as it is.
    pub skip: Vec<String>,
    /// The cluster's own indices in the snapshot, which nobody asked for.
    pub left_out: Vec<String>,
    /// The bodies of the restores, in their order.
    pub requests: Vec<Value>,
    /// Every request that changes something, in its order.
    pub steps: Vec<Planned>,
    /// What speaks against it, and what should be known.
    pub findings: Vec<Finding>,
}

impl Preview {
    /// The error that the restore would end with before it changes anything.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        finding::verdict(&self.findings, format!("restore `{}:{}`", self.repository, self.snapshot))
    }
}

/// Restores, and returns when every primary of every restored index is started.
pub async fn run(
    client: &Client,
    options: &Options,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Restored> {
    reporter.report(&Event::Step("restore"));
    let prepared =
        unless_cancelled(client, cancel, Box::pin(prepare::prepare(client, options, reporter, cancel))).await?;
    let doing = format!("restore `{}:{}` on `{}`", options.repository, prepared.snapshot.name, client.place());
    for finding in prepared.findings.iter().filter(|finding| finding.level == Weight::Warning) {
        reporter.report(&Event::Warning(&finding.line()));
    }
    if let Some(error) = finding::verdict(&prepared.findings, doing) {
        return Err(error);
    }
    // Large, and inside of larger ones.
    Box::pin(work::Work::new(client, options, reporter, cancel, &prepared).run()).await
}

/// Looks, as [`run`] does, and says what it would do. Nothing is changed.
pub async fn preview(
    client: &Client,
    options: &Options,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Preview> {
    reporter.report(&Event::Step("look at the cluster and the snapshot"));
    let prepared =
        unless_cancelled(client, cancel, Box::pin(prepare::prepare(client, options, reporter, cancel))).await?;
    let orders = prepared.batches(options);
    let steps = requests::of(client, options, &prepared).await;
    Ok(Preview {
        repository: options.repository.clone(),
        steps,
        requests: orders.iter().map(|batch| batch.order.body(client)).collect(),
        pieces: prepared.plan.pieces().cloned().collect(),
        close: prepared.plan.close.clone(),
        delete: prepared
            .plan
            .delete
            .iter()
            .cloned()
            .chain(swap::replaced(&prepared.plan, &prepared.existing))
            .collect(),
        swap: prepared.plan.swaps.clone(),
        skip: prepared.plan.skipped.clone(),
        left_out: prepared.selection.left_out.clone(),
        snapshot: prepared.snapshot.name,
        uuid: prepared.snapshot.uuid,
        findings: prepared.findings,
    })
}

async fn unless_cancelled<T>(
    client: &Client,
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, format!("restore on `{}`", client.place()))
            .because("a signal came before anything was begun")),
        done = work => done,
    }
}
