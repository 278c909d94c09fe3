//! Deleting snapshots: by their names, in a repository that this cluster writes, and never twice.
//!
//! 1. Every name is concrete and there; one that is being taken is refused unless it is to be cancelled, which is what its
//!    deletion does.
//! 2. Several go in one request where the version can (7.8), which rewrites the root once; otherwise one by one.
//! 3. When the answer is lost (old versions answer only when all blobs are gone), look until the snapshots are gone, by name and
//!    identity.

use tokio::time::Instant;

use super::busy::Queue;
use super::client::{Client, Told};
use super::follow::Patience;
use super::request::{Request, batches};
use super::selection::quoted;
use super::snapshot::{self, Detail, Snapshot, State};
use super::writable::check_writable;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Reporter;

/// What to do about a snapshot that is being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Running {
    /// Delete nothing.
    #[default]
    Refused,
    /// Cancel it.
    Cancelled,
}

/// Looks at the snapshots that are to be deleted and refuses what must not go. Nothing is deleted yet.
///
/// Fails with [`ErrorKind::NotFound`] when one is not there, [`ErrorKind::Precondition`] when one is being taken or the repository
/// is read-only here, [`ErrorKind::Unsupported`] for automated ones.
pub async fn look(client: &Client, repository: &str, names: &[String], running: Running) -> Result<Vec<Snapshot>> {
    let doing = doing(client, repository, names);
    check_writable(client, repository, &doing).await?;
    let mut found = Vec::new();
    let listed = snapshot::list(client, repository, Detail::Short).await?;
    for name in names {
        super::name::check("snapshot", name)?;
        let Some(snapshot) = listed.iter().find(|snapshot| snapshot.name == *name) else {
            return Err(Error::new(ErrorKind::NotFound, doing)
                .because(format!("the repository holds no snapshot `{name}`"))
                .hint("list what is there with `snapshot list`; patterns are not taken here"));
        };
        if snapshot.state == State::InProgress && running == Running::Refused {
            return Err(Error::new(ErrorKind::Precondition, doing)
                .because(format!("`{name}` is being taken"))
                .hint("wait for its end, or cancel it with `--cancel`"));
        }
        found.push(snapshot.clone());
    }
    Ok(found)
}

/// Deletes the snapshots that [`look`] gave.
pub async fn delete(
    client: &Client,
    repository: &str,
    snapshots: &[Snapshot],
    patience: Patience,
    reporter: &dyn Reporter,
) -> Result<()> {
    let names = snapshots.iter().map(|snapshot| snapshot.name.as_str());
    let batches: Vec<Vec<&str>> =
        if client.capability().several_deletions { batches(names) } else { names.map(|name| vec![name]).collect() };
    for batch in batches {
        let meant: Vec<&Snapshot> =
            snapshots.iter().filter(|snapshot| batch.contains(&snapshot.name.as_str())).collect();
        delete_batch(client, repository, &meant, patience, reporter).await?;
    }
    Ok(())
}

async fn delete_batch(
    client: &Client,
    repository: &str,
    snapshots: &[&Snapshot],
    patience: Patience,
    reporter: &dyn Reporter,
) -> Result<()> {
    let names: Vec<&str> = snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
    let request = Request::delete(format!("delete {} from `{repository}`", quoted(&names)), &["_snapshot", repository]);
    let request = request.names(&names);
    let mut queue = Queue::new(patience, reporter);
    let lost = loop {
        match client.call_once(request.clone()).await {
            Ok(Told::Answer(_)) => return Ok(()),
            Ok(Told::Lost(error)) => break error,
            Err(refusal) => queue.wait(client, refusal).await?,
        }
    };
    let asked = Instant::now();
    let mut wait = patience.poll;
    loop {
        let listed = snapshot::list(client, repository, Detail::Short).await?;
        let is_there = |meant: &&&Snapshot| {
            listed.iter().any(|found| found.name == meant.name && (found.uuid == meant.uuid || meant.uuid.is_empty()))
        };
        let left: Vec<&str> = snapshots.iter().filter(is_there).map(|meant| meant.name.as_str()).collect();
        if left.is_empty() {
            return Ok(());
        }
        if asked.elapsed() >= patience.stall {
            return Err(Error::new(lost.kind(), doing(client, repository, &left))
                .because(format!("the answer was lost, and they are still there: {}", lost.cause().unwrap_or_default()))
                .hint("look again with `snapshot list`: the cluster may still be at it"));
        }
        tokio::time::sleep(wait).await;
        wait = patience.longer(wait);
    }
}

fn doing(client: &Client, repository: &str, names: &[impl AsRef<str>]) -> String {
    format!("delete {} from `{repository}` on `{}`", quoted(names), client.place())
}
