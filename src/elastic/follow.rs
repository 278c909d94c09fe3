//! Following a restore to its end, and saying what its end was.
//!
//! Each look reads one cluster state: the running restores, the indices with their number of shards, and the routing table.
//! One state and not several answers, because only within one moment does "the entry is gone and a primary is unassigned"
//! mean something.
//!
//! 1. Expect as many primaries as the metadata says, whatever `_recovery` still lists (finding 6). Colour is not looked at: a
//!    new index is yellow before its first primary starts (finding 5).
//! 2. A primary has failed when its entry says so, when the cluster has given up allocating it (5.5 then keeps the entry
//!    for ever), or when the restore is no longer running and it is unassigned since.
//! 3. It ends when every primary is started, or each is started or failed. Only the former is success (finding 1).
//! 4. Nothing moved for a tenth of the time allowed: say what holds the shards up. Nothing for all of it: stop looking.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::index::{self, Existing, number};
use super::recovery::Bytes;
use super::request::{Request, batches};
use super::restore::{RUNNING, Started, entries};
use super::selection::quoted;
use super::shard::{self, FAILED, Primary, Stage, primaries};
use super::snapshot::Shards;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// How to wait for something that takes as long as it takes.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The time between the first looks.
    pub poll: Duration,
    /// The time between looks later on.
    pub longest_poll: Duration,
    /// How long nothing may move. There is no bound on the whole.
    pub stall: Duration,
}

impl Default for Patience {
    /// Looks every half second at first and every five later; gives up after ten minutes in which nothing moved
    /// (`elasticsearch-api.md` 4.5).
    fn default() -> Self {
        Self { poll: Duration::from_millis(500), longest_poll: Duration::from_secs(5), stall: Duration::from_mins(10) }
    }
}

impl Patience {
    /// The next, longer time between looks.
    pub(super) fn longer(&self, wait: Duration) -> Duration {
        wait.mul_f64(1.25).min(self.longest_poll)
    }
}

/// How a restore ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// The primaries: all successful.
    pub shards: Shards,
    /// The bytes the indices have, as far as the cluster told.
    pub bytes: u64,
    /// How many of them were on the nodes already.
    pub reused_bytes: u64,
}

/// How a restore ended.
#[derive(Debug)]
pub enum Ended {
    /// Well.
    Well(Followed),
    /// With shards that failed for good.
    Badly(Failed),
}

/// Shards that failed for good.
#[derive(Debug)]
pub struct Failed {
    /// What to tell the user.
    pub error: Error,
    /// The shards that failed, as far as they were explained.
    pub shards: Vec<FailedShard>,
}

/// A shard that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedShard {
    /// Its index, by its name in the cluster.
    pub index: String,
    /// Its number.
    pub number: u32,
    /// The repository's data is at fault.
    pub is_damage: bool,
    /// The blob at fault, if it is named.
    pub blob: Option<String>,
}

/// Waits until every primary of the restored indices is started or has failed for good.
///
/// Fails as [`follow`] does, but for shards that failed.
pub async fn end(
    client: &Client,
    started: &Started,
    patience: Patience,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Ended> {
    let doing = format!("restore `{}:{}` on `{}`", started.repository, started.snapshot, client.place());
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, doing.clone())
            .because("a signal came; the restore goes on in the cluster")
            .hint(format!("to stop it, delete the indices being restored: {}", quoted(&started.targets)))),
        outcome = watch(client, started, patience, reporter, &doing) => outcome,
    }
}

/// Waits until every primary of the restored indices is started.
///
/// Fails with [`ErrorKind::Corrupt`] when shards failed because of the repository's data, [`ErrorKind::Precondition`] when they
/// failed otherwise or an index is gone, [`ErrorKind::Timeout`] when nothing moved, [`ErrorKind::Cancelled`] when `cancel` fired:
/// the restore then goes on in the cluster.
pub async fn follow(
    client: &Client,
    started: &Started,
    patience: Patience,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Followed> {
    match end(client, started, patience, reporter, cancel).await? {
        Ended::Well(followed) => Ok(followed),
        Ended::Badly(failed) => Err(failed.error),
    }
}

async fn watch(
    client: &Client,
    started: &Started,
    patience: Patience,
    reporter: &dyn Reporter,
    doing: &str,
) -> Result<Ended> {
    let mut last = None;
    let mut is_warned = false;
    let mut moved = Instant::now();
    let mut wait = patience.poll;
    let mut bytes = Bytes::default();
    loop {
        let view = View::look(client, started).await?;
        view.check(started, doing)?;
        bytes = bytes.most(client, started).await;
        let progress = Some((view.shards, bytes, view.tries()));
        if progress != last {
            moved = Instant::now();
            is_warned = false;
            last = progress;
            reporter.report(&Event::Shards {
                doing: "restore",
                done: view.shards.successful,
                total: view.shards.total,
                bytes: bytes.done,
                bytes_total: bytes.total(started, view.shards.total),
            });
        }
        if view.is_over() {
            return conclude(client, started, &view, bytes, doing).await;
        }
        if moved.elapsed() >= patience.stall {
            return Err(stalled(client, &view, patience.stall, doing).await);
        }
        if moved.elapsed() >= patience.stall / 10 && !is_warned {
            is_warned = true;
            reporter.report(&Event::Warning(&standing(client, &view, moved.elapsed()).await));
        }
        tokio::time::sleep(wait).await;
        wait = patience.longer(wait);
    }
}

/// Whether every primary of the restored indices is started, and no restore of them runs.
pub async fn is_whole(client: &Client, started: &Started) -> Result<bool> {
    let View { is_running, shards, .. } = View::look(client, started).await?;
    Ok(!is_running && shards.total > 0 && shards.successful == shards.total)
}

/// The indices of a restore that is over and yet goes on: each has a shard that failed for good. 5.5 does that.
pub async fn hanging(client: &Client, started: &Started, patience: Patience) -> Result<Vec<String>> {
    let mut view = View::look(client, started).await?;
    if view.is_running && view.is_over() {
        // Other versions let go of it with the next cluster state, so a second look tells.
        tokio::time::sleep(patience.longest_poll).await;
        view = View::look(client, started).await?;
    }
    if !view.is_running || !view.is_over() {
        return Ok(Vec::new());
    }
    let indices: BTreeSet<&String> = view.failed.iter().map(|position| &view.primaries[*position].index).collect();
    Ok(indices.into_iter().cloned().collect())
}

/// A restore in one moment.
struct View {
    /// The cluster still lists it as running.
    is_running: bool,
    existing: Existing,
    primaries: Vec<Primary>,
    /// Positions in `primaries` of those that have failed for good.
    failed: Vec<usize>,
    shards: Shards,
}

impl View {
    async fn look(client: &Client, started: &Started) -> Result<Self> {
        let mut state: Option<Value> = None;
        let mut existing = Existing::default();
        let mut shards = Vec::new();
        let fields = format!("{RUNNING},{},{}", index::STATE, shard::FIELDS);
        for batch in batches(started.targets.iter().map(String::as_str)) {
            let request = Request::get("look at the restore", &["_cluster", "state"])
                .word("metadata,routing_table,customs")
                .names(&batch)
                .query("filter_path", fields.clone())
                .query("ignore_unavailable", "true");
            let answer = client.call(request).await?;
            existing.indices.extend(index::read(&answer).indices);
            shards.extend(primaries(&answer));
            // The first and oldest of the states decides whether it still runs: gone then is gone in the later ones too.
            state.get_or_insert(answer);
        }
        Ok(Self::judge(started, &state.unwrap_or_default(), existing, shards))
    }

    fn judge(started: &Started, state: &Value, existing: Existing, mut primaries: Vec<Primary>) -> Self {
        let targets: BTreeSet<&str> = started.targets.iter().map(String::as_str).collect();
        let mut is_running = false;
        let mut given_up: BTreeSet<(&str, u64)> = BTreeSet::new();
        for entry in entries(state, &started.repository, &started.snapshot, &targets) {
            is_running = true;
            for shard in entry["shards"].as_array().into_iter().flatten().filter(|shard| shard["state"] == "FAILURE") {
                given_up.extend(shard["index"]["index_name"].as_str().zip(number(&shard["shard"])));
            }
        }
        primaries.retain(|primary| targets.contains(primary.index.as_str()));
        let has_failed = |primary: &Primary| {
            let most_tries = existing.indices.get(&primary.index).map_or(u64::MAX, |index| index.most_tries);
            let since_the_restore =
                matches!(primary.reason.as_str(), FAILED | "NEW_INDEX_RESTORED" | "EXISTING_INDEX_RESTORED");
            primary.stage == Stage::Unassigned
                && (given_up.contains(&(primary.index.as_str(), primary.number.into()))
                    || primary.reason == FAILED && primary.tries >= most_tries
                    || !is_running && since_the_restore)
        };
        let failed: Vec<usize> = (0..primaries.len()).filter(|position| has_failed(&primaries[*position])).collect();
        let total = targets
            .iter()
            .filter_map(|target| existing.indices.get(*target))
            .map(|index| u64::from(index.shards))
            .sum();
        let successful = primaries.iter().filter(|primary| primary.stage == Stage::Started).count() as u64;
        let shards = Shards { total, successful, failed: failed.len() as u64 };
        Self { is_running, existing, primaries, failed, shards }
    }

    /// Refuses a moment that no restore can come from.
    fn check(&self, started: &Started, doing: &str) -> Result<()> {
        let refuse = |names: &[&String], cause: &str, hint: &'static str| {
            Err(Error::new(ErrorKind::Precondition, doing.to_owned())
                .because(format!("{} {cause}", quoted(names)))
                .hint(hint))
        };
        let known = |name: &&String| self.existing.indices.contains_key(*name);
        let gone: Vec<&String> = started.targets.iter().filter(|name| !known(name)).collect();
        if !gone.is_empty() {
            return refuse(
                &gone,
                "is not among the cluster's indices: it was deleted, or the cluster applied the rename rule differently",
                "look at the cluster's indices and restore again",
            );
        }
        let closed: Vec<&String> =
            started.targets.iter().filter(|name| !self.existing.indices[*name].is_open).collect();
        if !closed.is_empty() && !self.is_running {
            return refuse(&closed, "was closed while it was being restored", "restore again");
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.shards.total > 0 && self.shards.successful + self.shards.failed >= self.shards.total
    }

    fn tries(&self) -> u64 {
        self.primaries.iter().map(|primary| primary.tries).sum()
    }
}

async fn conclude(client: &Client, started: &Started, view: &View, bytes: Bytes, doing: &str) -> Result<Ended> {
    if view.shards.failed > 0 {
        return Ok(Ended::Badly(failed(client, view, doing).await));
    }
    if let Some(told) = started.reported
        && (told.failed > 0 || told.successful != told.total)
    {
        return Err(Error::new(ErrorKind::Precondition, doing.to_owned()).because(format!(
            "the cluster reported {} failed and {} restored of {} shards",
            told.failed, told.successful, told.total
        )));
    }
    Ok(Ended::Well(Followed { shards: view.shards, bytes: bytes.done, reused_bytes: bytes.reused }))
}

/// Shards failed: how many, which, why, and what to do about it.
async fn failed(client: &Client, view: &View, doing: &str) -> Failed {
    /// As many are explained; the rest has mostly the same cause.
    const EXPLAINED: usize = 5;
    let Shards { total, failed, .. } = view.shards;
    let mut causes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut is_damage = false;
    let mut shards = Vec::new();
    for position in view.failed.iter().take(EXPLAINED) {
        let primary = &view.primaries[*position];
        let diagnosis = shard::why(client, primary).await;
        is_damage |= diagnosis.is_damage;
        shards.push(FailedShard {
            index: primary.index.clone(),
            number: primary.number,
            is_damage: diagnosis.is_damage,
            blob: diagnosis.blob,
        });
        causes.entry(diagnosis.text).or_default().push(format!("shard {} of `{}`", primary.number, primary.index));
    }
    let told: Vec<String> = causes.iter().map(|(cause, shards)| format!("{}: {cause}", shards.join(", "))).collect();
    let (kind, hint) = if view.is_running && !client.capability().tries_shards_again {
        // 5.5 keeps such a restore open: see `restore::abandon`.
        let kind = if is_damage { ErrorKind::Corrupt } else { ErrorKind::Precondition };
        (
            kind,
            "repair the cause (`verify LOCATION --level content --repair-from COPY`, if a blob is at fault), then restore again with `--conflict close`: it deletes what hangs",
        )
    } else if is_damage {
        let is_missing =
            !causes.is_empty() && causes.keys().all(|cause| cause.contains("is missing from the repository"));
        // A blob that is there is only found wrong by reading it.
        let hint = if is_missing {
            "bring back what is lost with `verify LOCATION --repair-from COPY`, then restore with `--conflict close`: what is on the nodes is used again"
        } else {
            "bring back what is damaged with `verify LOCATION --level content --repair-from COPY`, then restore with `--conflict close`: what is on the nodes is used again"
        };
        (ErrorKind::Corrupt, hint)
    } else {
        (ErrorKind::Precondition, "remove the obstacle, then restore again with `--conflict close`")
    };
    let noun = if total == 1 { "shard" } else { "shards" };
    let error = Error::new(kind, doing.to_owned())
        .because(format!("{failed} of {total} {noun} failed: {}", told.join("; ")))
        .hint(hint);
    Failed { error, shards }
}

async fn stalled(client: &Client, view: &View, limit: Duration, doing: &str) -> Error {
    Error::new(ErrorKind::Timeout, doing.to_owned())
        .because(standing(client, view, limit).await)
        .hint("the restore goes on in the cluster; remove what holds it up, or delete its indices to stop it")
}

/// How far a restore came that does not move, and what the first waiting shard waits for.
async fn standing(client: &Client, view: &View, since: Duration) -> String {
    let Shards { total, successful, .. } = view.shards;
    let mut cause = format!("nothing moved for {} s; {successful} of {total} shards are restored", since.as_secs());
    if let Some(waiting) = view.primaries.iter().find(|primary| primary.stage != Stage::Started) {
        let diagnosis = shard::why(client, waiting).await;
        let told = format!("; shard {} of `{}`: {}", waiting.number, waiting.index, diagnosis.text);
        cause.push_str(&told);
    }
    cause
}
