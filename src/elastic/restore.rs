//! Starting a restore, once.
//!
//! 1. Send concrete names only: a pattern that matches nothing is answered with 200 and restores nothing (finding 2).
//! 2. Do not wait in the request: proxies give up before large restores end. `follow` waits.
//! 3. When the answer is lost, look for the restore in the cluster state, then in what the indices say they came from. It is
//!    never sent again: a repeat would meet the indices that the first one made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::client::{Client, Told};
use super::index;
use super::name;
use super::rename::Rename;
use super::request::{Request, batches};
use super::selection::quoted;
use super::snapshot::Shards;
use crate::error::{Error, ErrorKind, Result};

/// Whether the aliases in the snapshot come along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aliases {
    /// They do.
    #[default]
    Restored,
    /// They stay behind.
    Dropped,
}

/// Whether shards that the snapshot lacks may come back empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shortfall {
    /// They may not.
    #[default]
    Refused,
    /// They may.
    Empty,
}

/// Settings of the source that must not come back on the target (finding 12): a write block set for the cutover, a filter
/// that names the source's nodes, the mark of a follower.
pub const IGNORED: [&str; 3] =
    ["index.blocks.*", "index.routing.allocation.require.*", "index.xpack.ccr.following_index"];

/// How often a shard is tried. Once where the second try only hides why the first one failed.
const MOST_TRIES: &str = "index.allocation.max_retries";

/// A restore, resolved down to names.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The repository it comes from.
    pub repository: String,
    /// The snapshot in it.
    pub snapshot: String,
    /// Indices and data streams of the snapshot; at least one, all concrete.
    pub names: Vec<String>,
    /// What the indices will be called. None of them may be an open index when the restore starts.
    pub targets: Vec<String>,
    /// The rule that made the targets of the names.
    pub rename: Option<Rename>,
    /// Whether aliases come along.
    pub aliases: Aliases,
    /// Settings left behind; patterns are allowed.
    pub ignore_settings: Vec<String>,
    /// Settings changed on the way.
    pub settings: BTreeMap<String, Value>,
    /// The bytes that will have been restored, if they are known; for progress.
    pub bytes: Option<u64>,
    /// What about shards that the snapshot lacks.
    pub shortfall: Shortfall,
}

/// A restore that the cluster has taken on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The repository it comes from.
    pub repository: String,
    /// The snapshot in it.
    pub snapshot: String,
    /// The indices it makes.
    pub targets: Vec<String>,
    /// What the cluster said about its outcome, if it was over at once. It is no proof.
    pub(super) reported: Option<Shards>,
    /// The bytes in all, if they were known.
    pub(super) bytes: Option<u64>,
}

/// Starts a restore.
///
/// Fails with [`ErrorKind::AlreadyExists`] when an index is in the way, [`ErrorKind::NotFound`] when there was nothing to
/// restore, and [`ErrorKind::Unavailable`] or [`ErrorKind::Timeout`] when the answer was lost and the cluster knows of no such
/// restore.
pub async fn start(client: &Client, order: &Order) -> Result<Started> {
    name::check("repository", &order.repository)?;
    name::check("snapshot", &order.snapshot)?;
    let doing = format!("restore `{}:{}`", order.repository, order.snapshot);
    if order.names.is_empty() || order.targets.is_empty() {
        // An empty list would mean everything.
        return Err(nothing(client, &doing, "no index was chosen"));
    }
    for name in order.names.iter().chain(&order.targets) {
        name::check("index", name)?;
    }
    let request = Request::post(doing.clone(), &["_snapshot", &order.repository, &order.snapshot])
        .word("_restore")
        .query("wait_for_completion", "false")
        .body(&body(client, order));
    let mut started = begun(order);
    match client.call_once(request).await {
        Ok(Told::Answer(answer)) => {
            started.reported = reported(client, order, &answer, &doing)?;
            Ok(started)
        }
        Ok(Told::Lost(error)) => {
            tracing::debug!(%error, "the answer to the restore was lost");
            look_up(client, order, &error, &doing).await.map(|()| started)
        }
        // Up to 6.5 a cluster restores one thing at a time.
        Err(refusal)
            if refusal.failure.as_ref().is_some_and(|told| told.is("concurrent_snapshot_execution_exception")) =>
        {
            Err(occupied(client, refusal.error).await)
        }
        // Refused because it is there: a request of an interrupted run came first.
        Err(refusal) if is_there(client, order).await => {
            tracing::debug!(error = %refusal.error, "the restore had been begun");
            Ok(started)
        }
        Err(refusal) => Err(refusal.into()),
    }
}

async fn is_there(client: &Client, order: &Order) -> bool {
    matches!(is_running(client, order).await, Ok(true)) || matches!(is_done(client, order).await, Ok(true))
}

/// Names what the cluster is busy restoring.
async fn occupied(client: &Client, error: Error) -> Error {
    let Ok(state) = running(client).await else { return error };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = state["restore"]["snapshots"].as_array().into_iter().flatten();
    let told: Vec<String> = entries
        .map(|entry| {
            let indices: Vec<&str> =
                entry["indices"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            format!("`{}:{}` into {}", text(&entry["repository"]), text(&entry["snapshot"]), quoted(&indices))
        })
        .collect();
    if told.is_empty() {
        return error;
    }
    let cause = error.cause().unwrap_or_default();
    error
        .because(format!("{cause}: {}", told.join(", ")))
        .hint("wait until that restore has ended; if it has failed, delete its indices to end it")
}

fn begun(order: &Order) -> Started {
    Started {
        repository: order.repository.clone(),
        snapshot: order.snapshot.clone(),
        targets: order.targets.clone(),
        reported: None,
        bytes: order.bytes,
    }
}

impl Order {
    /// The document that is sent.
    #[must_use]
    pub fn body(&self, client: &Client) -> Value {
        body(client, self)
    }

    /// The restore as it is followed, whoever began it.
    #[must_use]
    pub fn begun(&self) -> Started {
        begun(self)
    }
}

/// The restores out of this snapshot that run, each by the names of its indices in the cluster.
pub async fn running_of(client: &Client, repository: &str, snapshot: &str) -> Result<Vec<BTreeSet<String>>> {
    let state = running(client).await?;
    let entries = state["restore"]["snapshots"].as_array().into_iter().flatten();
    let ours = entries.filter(|entry| entry["repository"] == repository && entry["snapshot"] == snapshot);
    let names = |entry: &Value| -> BTreeSet<String> {
        let indices = entry["indices"].as_array().into_iter().flatten();
        indices.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Ok(ours.map(names).filter(|names| !names.is_empty()).collect())
}

/// Whether a node has the request for a restore and has not answered it. Who may not see tasks is told that there is none.
pub async fn is_pending(client: &Client) -> bool {
    let request = Request::get("look for requests to restore", &["_tasks"])
        .query("actions", "cluster:admin/snapshot/restore*")
        .query("filter_path", "nodes.*.tasks.*.action");
    client.call(request).await.is_ok_and(|answer| answer["nodes"].as_object().is_some_and(|nodes| !nodes.is_empty()))
}

/// Deletes indices in which a restore hangs, and waits until the cluster has let go of it.
///
/// 5.5 keeps a restore open when a shard of it has failed for good. Its index can then neither be closed nor be restored
/// over; deleting it is the only way out. See [`super::follow::hanging`].
pub async fn abandon(client: &Client, order: &Order, hanging: &[String]) -> Result<()> {
    for batch in batches(hanging.iter().map(String::as_str)) {
        client.call(Request::delete(format!("delete {}", quoted(&batch)), &[]).names(&batch)).await?;
    }
    let backoff = client.backoff();
    for tried in 0..backoff.tries {
        if !is_running(client, order).await? {
            return Ok(());
        }
        tokio::time::sleep(backoff.wait(tried)).await;
    }
    Err(Error::new(ErrorKind::Precondition, format!("end the restore of {} on `{}`", quoted(hanging), client.place()))
        .because("the cluster keeps it open although its indices are deleted")
        .hint("wait for the restore to disappear from the cluster, then run this again"))
}

/// Takes back the setting that `start` adds where a shard cannot be tried again.
pub async fn settle(client: &Client, order: &Order) -> Result<()> {
    if client.capability().tries_shards_again || order.settings.contains_key(MOST_TRIES) {
        return Ok(());
    }
    for batch in batches(order.targets.iter().map(String::as_str)) {
        let request = Request::put(format!("reset `{MOST_TRIES}` of {}", quoted(&batch)), &[]).names(&batch);
        client.call(request.word("_settings").body(&json!({ MOST_TRIES: null }))).await?;
    }
    Ok(())
}

fn body(client: &Client, order: &Order) -> Value {
    let mut body = json!({
        "indices": order.names,
        "ignore_unavailable": false,
        "include_global_state": false,
        "include_aliases": order.aliases == Aliases::Restored,
        "partial": order.shortfall == Shortfall::Empty,
    });
    if let Some(rename) = &order.rename {
        body["rename_pattern"] = rename.pattern().into();
        body["rename_replacement"] = rename.replacement().into();
    }
    if !order.ignore_settings.is_empty() {
        body["ignore_index_settings"] = json!(order.ignore_settings);
    }
    let mut settings = order.settings.clone();
    if !client.capability().tries_shards_again {
        settings.entry(MOST_TRIES.to_owned()).or_insert(json!(1));
    }
    if !settings.is_empty() {
        body["index_settings"] = json!(settings);
    }
    body
}

/// What an answer says about the outcome: nothing when the restore goes on, numbers when it is over already.
fn reported(client: &Client, order: &Order, answer: &Value, doing: &str) -> Result<Option<Shards>> {
    let told = &answer["snapshot"];
    if !told.is_object() {
        return Ok(None);
    }
    let shards: Shards = serde_json::from_value(told["shards"].clone()).unwrap_or_default();
    if shards.total == 0 {
        return Err(nothing(client, doing, "the cluster answered that it did, with no index and no shard"));
    }
    let there: BTreeSet<&str> = told["indices"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let missing: Vec<&String> = order.targets.iter().filter(|target| !there.contains(target.as_str())).collect();
    if !missing.is_empty() {
        return Err(nothing(
            client,
            doing,
            &format!("the cluster restored other indices; {} are missing", quoted(&missing)),
        ));
    }
    Ok(Some(shards))
}

fn nothing(client: &Client, doing: &str, cause: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{doing} on `{}`", client.place()))
        .because(format!("nothing was restored: {cause}"))
        .hint("look at the snapshot's indices with `snapshot list`")
}

/// Finds out whether a restore whose answer was lost has begun.
async fn look_up(client: &Client, order: &Order, lost: &Error, doing: &str) -> Result<()> {
    let backoff = client.backoff();
    for tried in 0..backoff.tries {
        if is_running(client, order).await? || is_done(client, order).await? {
            return Ok(());
        }
        tokio::time::sleep(backoff.wait(tried)).await;
    }
    let cause = lost.cause().unwrap_or_default();
    Err(Error::new(lost.kind(), format!("{doing} on `{}`", client.place()))
        .because(format!("the answer was lost, and the cluster shows no such restore: {cause}"))
        .hint("run it again; it was not sent a second time"))
}

/// What of a running restore is asked for.
pub(super) const RUNNING: &str = "restore.snapshots.snapshot,restore.snapshots.repository,restore.snapshots.indices,\
    restore.snapshots.shards.index.index_name,restore.snapshots.shards.shard,restore.snapshots.shards.state";

/// The entries of the cluster state that are about this restore. They vanish when it ends, well or badly.
pub(super) fn entries<'a>(
    state: &'a Value,
    repository: &str,
    snapshot: &str,
    targets: &BTreeSet<&str>,
) -> impl Iterator<Item = &'a Value> {
    state["restore"]["snapshots"].as_array().into_iter().flatten().filter(move |entry| {
        let mut indices = entry["indices"].as_array().into_iter().flatten().filter_map(Value::as_str);
        entry["repository"] == repository
            && entry["snapshot"] == snapshot
            && indices.any(|index| targets.contains(index))
    })
}

async fn running(client: &Client) -> Result<Value> {
    let request = Request::get("look for running restores", &["_cluster", "state", "customs"]);
    client.call(request.query("filter_path", RUNNING)).await
}

/// The names in the cluster of all indices that are being restored.
pub async fn targets(client: &Client) -> Result<BTreeSet<String>> {
    let state = running(client).await?;
    let entries = state["restore"]["snapshots"].as_array().into_iter().flatten();
    let indices = entries.flat_map(|entry| entry["indices"].as_array().into_iter().flatten());
    Ok(indices.filter_map(Value::as_str).map(str::to_owned).collect())
}

async fn is_running(client: &Client, order: &Order) -> Result<bool> {
    let state = running(client).await?;
    let targets: BTreeSet<&str> = order.targets.iter().map(String::as_str).collect();
    let running = entries(&state, &order.repository, &order.snapshot, &targets);
    let mut indices =
        running.flat_map(|entry| entry["indices"].as_array().into_iter().flatten()).filter_map(Value::as_str);
    let found: BTreeSet<&str> = indices.by_ref().collect();
    Ok(found == targets)
}

/// Whether these indices are open and say that they came from this snapshot.
pub async fn came_from(client: &Client, repository: &str, snapshot: &str, targets: &[String]) -> Result<bool> {
    let order = Order {
        repository: repository.to_owned(),
        snapshot: snapshot.to_owned(),
        targets: targets.to_vec(),
        ..Order::default()
    };
    is_done(client, &order).await
}

/// None of the targets was open before, so if all of them are and say that they came from our snapshot, it is done.
async fn is_done(client: &Client, order: &Order) -> Result<bool> {
    let now = index::existing(client).await?;
    let is_open = |target: &String| now.indices.get(target).is_some_and(|index| index.is_open);
    if !order.targets.iter().all(is_open) {
        return Ok(false);
    }
    for batch in batches(order.targets.iter().map(String::as_str)) {
        let request = Request::get("read where the indices came from", &[]).names(&batch).word("_recovery");
        let recovery = client.call(request).await?;
        let from_us = |name: &&str| {
            let shards = recovery[*name]["shards"].as_array();
            shards.into_iter().flatten().any(|shard| {
                let source = &shard["source"];
                source["repository"] == order.repository.as_str() && source["snapshot"] == order.snapshot.as_str()
            })
        };
        if batch.iter().any(from_us) {
            return Ok(true);
        }
    }
    Ok(false)
}
