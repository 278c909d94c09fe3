//! Taking a snapshot and following it to its end.
//!
//! 1. Refuse a name that is taken: afterwards, a snapshot of that name can only be ours.
//! 2. Ask for it without waiting. When the answer is lost, look whether the snapshot is there; never ask twice.
//! 3. Poll until it has ended. Only `SUCCESS` is success.
//! 4. Compare what is in it with what was asked for: the interface ignores keys it does not know (finding 11), and whoever
//!    writes `indexes` gets everything.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Told};
use super::failure::line;
use super::follow::Patience;
use super::index;
use super::name;
use super::request::Request;
use super::selection::{backing, matches, quoted};
use super::snapshot::{self, Shards, Snapshot, State};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// Whether cluster settings, templates and the like go into a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GlobalState {
    /// They do not: they seldom fit another cluster.
    #[default]
    Without,
    /// They do.
    With,
}

/// A snapshot to be taken.
#[derive(Debug, Clone)]
pub struct Creation {
    /// The repository it goes to.
    pub repository: String,
    /// Its name.
    pub snapshot: String,
    /// Names, aliases, data streams and patterns; none means everything.
    pub indices: Vec<String>,
    /// Whether the cluster's own state goes with it.
    pub global_state: GlobalState,
}

/// Takes a snapshot and returns it once it is complete.
///
/// Fails with [`ErrorKind::AlreadyExists`] when the name is taken, [`ErrorKind::Precondition`] when it ended otherwise than
/// asked, [`ErrorKind::Cancelled`] when `cancel` fired: the snapshot then goes on in the cluster.
pub async fn create(
    client: &Client,
    creation: &Creation,
    patience: Patience,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Snapshot> {
    let doing = format!("take the snapshot `{}:{}` on `{}`", creation.repository, creation.snapshot, client.place());
    let stopped = || {
        Error::new(ErrorKind::Cancelled, doing.clone())
            .because("a signal came; if the snapshot was begun, it goes on in the cluster")
            .hint("see how it ends with `snapshot list`")
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(stopped()),
        outcome = take(client, creation, patience, reporter, &doing) => outcome,
    }
}

async fn take(
    client: &Client,
    creation: &Creation,
    patience: Patience,
    reporter: &dyn Reporter,
    doing: &str,
) -> Result<Snapshot> {
    if lookup(client, creation).await?.is_some() {
        return Err(Error::new(ErrorKind::AlreadyExists, doing.to_owned())
            .because("a snapshot of that name is there")
            .hint("choose another name"));
    }
    start(client, creation, doing).await?;
    let snapshot = ended(client, creation, patience, reporter, doing).await?;
    if snapshot.state != State::Success {
        return Err(incomplete(&snapshot, doing));
    }
    check_content(client, creation, &snapshot, doing).await?;
    Ok(snapshot)
}

async fn lookup(client: &Client, creation: &Creation) -> Result<Option<Snapshot>> {
    match snapshot::get(client, &creation.repository, &creation.snapshot).await {
        Ok(snapshot) => Ok(Some(snapshot)),
        // A missing repository is told by the request that follows, in its own words.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn start(client: &Client, creation: &Creation, doing: &str) -> Result<()> {
    for pattern in &creation.indices {
        if pattern.trim().is_empty() || pattern.contains(',') {
            name::check("index", pattern)?;
        }
    }
    let mut body = json!({
        "include_global_state": creation.global_state == GlobalState::With,
        "ignore_unavailable": false,
        "partial": false,
    });
    if !creation.indices.is_empty() {
        body["indices"] = Value::from(creation.indices.join(","));
    }
    let request = Request::put(
        format!("take the snapshot `{}:{}`", creation.repository, creation.snapshot),
        &["_snapshot", &creation.repository, &creation.snapshot],
    )
    .query("wait_for_completion", "false")
    .body(&body);
    let lost = match client.call_once(request).await? {
        Told::Answer(_) => return Ok(()),
        Told::Lost(error) => error,
    };
    let backoff = client.backoff();
    for tried in 0..backoff.tries {
        if lookup(client, creation).await?.is_some() {
            return Ok(());
        }
        tokio::time::sleep(backoff.wait(tried)).await;
    }
    let kind = lost.kind();
    Err(Error::new(kind, doing.to_owned())
        .because(format!(
            "the answer was lost, and the cluster shows no such snapshot: {}",
            lost.cause().unwrap_or_default()
        ))
        .hint("look again with `snapshot list`, then take it again"))
}

/// Polls until the snapshot is no longer in progress.
async fn ended(
    client: &Client,
    creation: &Creation,
    patience: Patience,
    reporter: &dyn Reporter,
    doing: &str,
) -> Result<Snapshot> {
    /// Between leaving the cluster state and appearing in the repository, a snapshot may be in neither for a moment.
    const UNSEEN: u32 = 5;
    let mut unseen = 0;
    let mut last = (0, 0, 0, 0);
    let mut moved = Instant::now();
    let mut wait = patience.poll;
    loop {
        match lookup(client, creation).await? {
            Some(snapshot) if snapshot.state != State::InProgress => {
                let (_, _, bytes, bytes_total) = progress(client, creation).await.unwrap_or(last);
                let Shards { total, successful: done, .. } = snapshot.shards.unwrap_or_default();
                reporter.report(&Event::Shards { doing: "snapshot", done, total, bytes, bytes_total });
                return Ok(snapshot);
            }
            Some(_) => unseen = 0,
            None if unseen >= UNSEEN => {
                return Err(Error::new(ErrorKind::Precondition, doing.to_owned())
                    .because("the snapshot was begun and is gone: it failed as a whole, or somebody deleted it")
                    .hint("look into the log of the cluster's master node"));
            }
            None => unseen += 1,
        }
        if let Some(progress) = progress(client, creation).await
            && progress != last
        {
            let (done, total, bytes, bytes_total) = progress;
            reporter.report(&Event::Shards { doing: "snapshot", done, total, bytes, bytes_total });
            last = progress;
            moved = Instant::now();
        }
        if moved.elapsed() >= patience.stall {
            return Err(stalled(doing, patience.stall, last.0, last.1));
        }
        tokio::time::sleep(wait).await;
        wait = patience.longer(wait);
    }
}

/// Shards and bytes, done and in all. It is for display, so a failure to learn it is no failure.
async fn progress(client: &Client, creation: &Creation) -> Option<(u64, u64, u64, u64)> {
    let request = Request::get("read the snapshot's status", &["_snapshot", &creation.repository, &creation.snapshot])
        .word("_status")
        .query("filter_path", "snapshots.shards_stats,snapshots.stats");
    let answer = match client.try_call(request).await {
        Ok(answer) => answer,
        Err(refusal) => {
            tracing::debug!(error = %refusal.error, "no status");
            return None;
        }
    };
    let answer = &answer["snapshots"][0];
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let shards = &answer["shards_stats"];
    let stats = &answer["stats"];
    // 6.4 turned the flat numbers into groups; a snapshot's own work is the incremental group.
    let (bytes, bytes_total) = if stats["incremental"].is_object() {
        let total = number(&stats["incremental"]["size_in_bytes"]);
        // What is processed is told only while it differs from what is to be processed.
        (stats["processed"]["size_in_bytes"].as_u64().unwrap_or(total), total)
    } else {
        (number(&stats["processed_size_in_bytes"]), number(&stats["total_size_in_bytes"]))
    };
    Some((number(&shards["done"]), number(&shards["total"]), bytes, bytes_total))
}

fn stalled(doing: &str, limit: Duration, done: u64, total: u64) -> Error {
    Error::new(ErrorKind::Timeout, doing.to_owned())
        .because(format!("nothing moved for {} s; {done} of {total} shards are done", limit.as_secs()))
        .hint("the snapshot goes on in the cluster; look at its nodes and at the repository's endpoint")
}

fn incomplete(snapshot: &Snapshot, doing: &str) -> Error {
    let mut cause = match (snapshot.state, snapshot.shards) {
        (State::Partial, Some(shards)) => format!("it is PARTIAL: {} of {} shards failed", shards.failed, shards.total),
        (State::Partial, None) => "it is PARTIAL".to_owned(),
        (State::Failed, _) => "it FAILED".to_owned(),
        (state, _) => format!("it ended as {state:?}"),
    };
    for failure in snapshot.failures.iter().take(3) {
        let told = format!("; shard {} of `{}`: {}", failure.shard_id, failure.index, line(&failure.reason));
        cause.push_str(&told);
    }
    Error::new(ErrorKind::Precondition, doing.to_owned())
        .because(cause)
        .hint("bring the shards that failed back, then take a snapshot under another name")
}

/// Everything in the snapshot was asked for, and everything asked for is in it.
async fn check_content(client: &Client, creation: &Creation, snapshot: &Snapshot, doing: &str) -> Result<()> {
    let wrong = |cause: String| {
        Err(Error::new(ErrorKind::Precondition, doing.to_owned())
            .because(cause)
            .hint("the snapshot is there; delete it if it is of no use"))
    };
    if creation.indices.is_empty() {
        return Ok(());
    }
    let (wanted, unwanted): (Vec<&str>, Vec<&str>) = split(&creation.indices);
    let existing = index::existing(client).await?;
    let mut expected: BTreeSet<&str> = BTreeSet::new();
    for pattern in &wanted {
        let mut found: BTreeSet<&str> =
            snapshot.indices.iter().map(String::as_str).filter(|name| matches(pattern, name)).collect();
        for (alias, indices) in existing.aliases.iter().filter(|(alias, _)| matches(pattern, alias)) {
            tracing::debug!(alias, "an alias stands for its indices");
            found.extend(indices.iter().map(String::as_str));
        }
        for stream in snapshot.data_streams.iter().filter(|stream| matches(pattern, stream)) {
            found.extend(backing(stream, &snapshot.indices));
            found.extend(existing.data_streams.get(stream).into_iter().flatten().map(String::as_str));
        }
        if !snapshot.indices.iter().any(|index| found.contains(index.as_str()))
            && !snapshot.data_streams.iter().any(|stream| matches(pattern, stream))
        {
            return wrong(format!("it holds nothing of `{pattern}`; it holds {}", quoted(&snapshot.indices)));
        }
        expected.extend(found);
    }
    let more: Vec<&String> = snapshot
        .indices
        .iter()
        .filter(|index| !wanted.is_empty() && !expected.contains(index.as_str()))
        .filter(|_| creation.global_state == GlobalState::Without)
        .chain(snapshot.indices.iter().filter(|index| unwanted.iter().any(|pattern| matches(pattern, index))))
        .collect();
    if more.is_empty() {
        return Ok(());
    }
    wrong(format!("it also holds {}, which were not asked for", quoted(&more)))
}

/// What a list adds and what it takes away again.
fn split(patterns: &[String]) -> (Vec<&str>, Vec<&str>) {
    let mut wanted = Vec::new();
    let mut unwanted = Vec::new();
    for pattern in patterns {
        match pattern.strip_prefix('-') {
            Some(rest) => unwanted.push(rest),
            None if pattern == "_all" => wanted.push("*"),
            None => wanted.push(pattern),
        }
    }
    (wanted, unwanted)
}
