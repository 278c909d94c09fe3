//! Taking a snapshot and following it to its end.
//!
//! 1. Refuse a name that is taken: afterwards, a snapshot of that name can only be ours. Refuse a repository that a cluster does
//!    not let anybody write to, and patterns that mean nothing.
//! 2. Ask for it without waiting. While another one is in the way, wait and ask again; that one certainly was not begun. When the
//!    answer is lost, look whether the snapshot is there; never ask twice.
//! 3. Poll until it has ended, by name and identity. Only `SUCCESS` is success, and `PARTIAL` where that was asked for.
//! 4. Compare what is in it with what was asked for; `included` does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::busy::Queue;
use super::client::{Client, Told};
use super::failure::line;
use super::follow::Patience;
use super::included;
use super::name;
use super::request::Request;
use super::resolve::plain;
use super::selection::matches;
use super::snapshot::{self, Shards, Snapshot, State};
use super::status;
use super::writable::check_writable;
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

/// What to do about indices that are named and not there, or closed where the version minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unavailable {
    /// Take nothing.
    #[default]
    Refused,
    /// Take the rest.
    Ignored,
}

/// What to do about indices that lack a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Incomplete {
    /// Take nothing.
    #[default]
    Refused,
    /// Take what there is; the snapshot is then `PARTIAL`.
    Allowed,
}

/// A snapshot to be taken.
#[derive(Debug, Clone, Default)]
pub struct Creation {
    /// The repository it goes to.
    pub repository: String,
    /// Its name; `datemath` makes one of a template.
    pub snapshot: String,
    /// Names, aliases, data streams, patterns and exclusions; none means everything.
    pub indices: Vec<String>,
    /// Whether the cluster's own state goes with it.
    pub global_state: GlobalState,
    /// What to do about indices that are not there.
    pub unavailable: Unavailable,
    /// What to do about indices that lack a primary.
    pub incomplete: Incomplete,
    /// Whether a snapshot without any index is what is wanted.
    pub may_be_empty: bool,
    /// What is written beside it, at most 1024 bytes as JSON; Elasticsearch 7.3 and later, and `OpenSearch`.
    pub metadata: BTreeMap<String, String>,
    /// The features whose system indices go with it; Elasticsearch 7.12 and later.
    pub feature_states: Vec<String>,
}

/// Metadata of a snapshot, at most (`TransportCreateSnapshotAction`; the reference 2.3).
const METADATA: usize = 1024;

impl Creation {
    /// Whether system indices come with what is asked for.
    pub(super) fn brings_features(&self) -> bool {
        self.global_state == GlobalState::With || self.feature_states.iter().any(|feature| feature != "none")
    }

    /// Whether the patterns name this data stream; the last one that does so decides.
    pub(super) fn means_stream(&self, stream: &str) -> bool {
        self.indices.is_empty()
            || plain(&self.indices)
                .iter()
                .map(|entry| (entry.strip_prefix('-').unwrap_or(entry), !entry.starts_with('-')))
                .rfind(|(pattern, _)| *pattern == "_all" || matches(pattern, stream))
                .is_some_and(|(_, adds)| adds)
    }

    /// Refuses what can be seen to be wrong before anything is sent.
    fn check(&self, client: &Client, doing: &str) -> Result<()> {
        let wrong = |kind, cause: String| Err(Error::new(kind, doing.to_owned()).because(cause));
        name::check("repository", &self.repository)?;
        name::check("snapshot", &self.snapshot)?;
        if self.snapshot != self.snapshot.to_lowercase() {
            return wrong(ErrorKind::Invalid, "a snapshot's name is in lower case".into());
        }
        for pattern in self.indices.iter().filter(|pattern| pattern.trim().is_empty() || pattern.contains(',')) {
            name::check("index", pattern)?;
        }
        let (version, capability) = (client.version(), client.capability());
        if !self.metadata.is_empty() && !capability.snapshot_metadata {
            return wrong(
                ErrorKind::Unsupported,
                format!("{version} keeps no metadata with a snapshot; 7.3 and later do"),
            );
        }
        let length = json!(self.metadata).to_string().len();
        if length > METADATA {
            return wrong(ErrorKind::Invalid, format!("its metadata has {length} bytes; at most {METADATA} are kept"));
        }
        if !self.feature_states.is_empty() && !capability.feature_states {
            return wrong(
                ErrorKind::Unsupported,
                format!("{version} knows no feature states; Elasticsearch 7.12 and later do"),
            );
        }
        Ok(())
    }

    /// What is sent.
    fn body(&self) -> Value {
        let mut body = json!({
            "include_global_state": self.global_state == GlobalState::With,
            "ignore_unavailable": self.unavailable == Unavailable::Ignored || self.may_be_empty,
            "partial": self.incomplete == Incomplete::Allowed,
        });
        if !self.indices.is_empty() {
            body["indices"] = Value::from(plain(&self.indices).join(","));
        }
        if !self.metadata.is_empty() {
            body["metadata"] = json!(self.metadata);
        }
        if !self.feature_states.is_empty() {
            body["feature_states"] = json!(self.feature_states);
        }
        body
    }
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
    creation.check(client, doing)?;
    check_writable(client, &creation.repository, doing).await?;
    if lookup(client, creation).await?.is_some() {
        return Err(Error::new(ErrorKind::AlreadyExists, doing.to_owned())
            .because("a snapshot of that name is there")
            .hint(
                "choose another name, or a template with the time in it such as `<snap-{now{yyyy.MM.dd-HH.mm.ss}}>`",
            ));
    }
    let wanted = included::wanted(client, creation, reporter, doing).await?;
    start(client, creation, patience, reporter, doing).await?;
    let snapshot = ended(client, creation, patience, reporter, doing).await?;
    match snapshot.state {
        State::Success => {}
        State::Partial if creation.incomplete == Incomplete::Allowed => {
            reporter.report(&Event::Warning(&cause(&snapshot)));
        }
        _ => return Err(incomplete(&snapshot, doing)),
    }
    included::check(client, creation, &wanted, &snapshot, reporter, doing).await?;
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

async fn start(
    client: &Client,
    creation: &Creation,
    patience: Patience,
    reporter: &dyn Reporter,
    doing: &str,
) -> Result<()> {
    let request = Request::put(
        format!("take the snapshot `{}:{}`", creation.repository, creation.snapshot),
        &["_snapshot", &creation.repository, &creation.snapshot],
    )
    .query("wait_for_completion", "false")
    .body(&creation.body());
    let mut queue = Queue::new(patience, reporter);
    let lost = loop {
        match client.call_once(request.clone()).await {
            Ok(Told::Answer(_)) => return Ok(()),
            Ok(Told::Lost(error)) => break error,
            Err(refusal) => queue.wait(client, refusal).await?,
        }
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
    let mut uuid = String::new();
    let mut moved = Instant::now();
    let mut wait = patience.poll;
    loop {
        let seen = lookup(client, creation).await?;
        if let Some(snapshot) = &seen {
            if !uuid.is_empty() && snapshot.uuid != uuid {
                return Err(replaced(doing));
            }
            uuid.clone_from(&snapshot.uuid);
        }
        match seen {
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
    match status::of(client, &creation.repository, &creation.snapshot).await {
        Ok(found) => found.map(|found| (found.shards.done, found.shards.total, found.bytes.done, found.bytes.total)),
        Err(error) => {
            tracing::debug!(%error, "no status");
            None
        }
    }
}

fn replaced(doing: &str) -> Error {
    Error::new(ErrorKind::Precondition, doing.to_owned())
        .because("the snapshot that was begun is gone, and another one has its name")
        .hint("let one of both take its snapshots under other names")
}

fn stalled(doing: &str, limit: Duration, done: u64, total: u64) -> Error {
    Error::new(ErrorKind::Timeout, doing.to_owned())
        .because(format!("nothing moved for {} s; {done} of {total} shards are done", limit.as_secs()))
        .hint("the snapshot goes on in the cluster; look at its nodes and at the repository's endpoint")
}

/// What is wrong with a snapshot, with the first shards that failed.
fn cause(snapshot: &Snapshot) -> String {
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
    cause
}

fn incomplete(snapshot: &Snapshot, doing: &str) -> Error {
    Error::new(ErrorKind::Precondition, doing.to_owned())
        .because(cause(snapshot))
        .hint("bring the shards that failed back, then take a snapshot under another name")
}
