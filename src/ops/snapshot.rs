//! Taking, watching, listing and deleting the snapshots of a repository.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::elastic::creation::{self, Creation};
use crate::elastic::deletion::{self, Running};
use crate::elastic::follow::Patience;
use crate::elastic::listing::{self, Listing};
use crate::elastic::snapshot::{self, Detail, Snapshot, State};
use crate::elastic::status::{self, Status};
use crate::elastic::{Client, datemath};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// What is said to whoever writes `indexes`: the snapshot interface ignores the word, and takes everything.
pub const INDEXES_SLIP: &str =
    "the word is `indices`; `indexes` is taken for it here, but Elasticsearch ignores it and takes everything";

/// The snapshot to be taken, and how to wait for it.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is taken.
    pub creation: Creation,
    /// How long to wait for something to move.
    pub patience: Patience,
}

/// Which snapshot is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The youngest complete one.
    Latest,
    /// The one of this name.
    Named(String),
}

/// The name that a template means now; a plain name means itself. None gives one that is unique to the second.
pub fn name(template: Option<&str>) -> Result<String> {
    datemath::resolve(template.unwrap_or(datemath::DEFAULT), Timestamp::now())
}

/// Takes a snapshot and returns when it is complete.
pub async fn create(
    client: &Client,
    options: &Options,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Snapshot> {
    reporter.report(&Event::Step("snapshot"));
    creation::create(client, &options.creation, options.patience, reporter, cancel).await
}

/// Lists a repository's snapshots, oldest first, with everything the cluster tells.
pub async fn list(client: &Client, repository: &str) -> Result<Vec<Snapshot>> {
    snapshot::list(client, repository, Detail::Full).await
}

/// Lists those that `patterns` choose, also where metadata of some is missing.
pub async fn listing(
    client: &Client,
    repository: &str,
    patterns: &[String],
    reporter: &dyn Reporter,
) -> Result<Listing> {
    let listing = listing::list(client, repository, patterns).await?;
    for name in &listing.unreadable {
        let text =
            format!("the metadata of `{name}` cannot be read, so that it restores nowhere; the root still names it");
        reporter.report(&Event::Warning(&text));
    }
    Ok(listing)
}

/// How a snapshot is: under way, or ended.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Standing {
    /// It is being taken.
    Running(Pace),
    /// It has ended, or the cluster tells no more.
    Ended(Snapshot),
}

/// How far a running snapshot is, and how fast.
#[derive(Debug, Clone, Serialize)]
pub struct Pace {
    /// How far.
    #[serde(flatten)]
    pub status: Status,
    /// How fast; nothing until two looks tell.
    pub bytes_per_second: Option<f64>,
    /// How long it still takes at that rate.
    pub remaining_seconds: Option<f64>,
}

/// What is told about a look: for every one while following.
pub type Tell<'a> = dyn Fn(&Pace) -> Result<()> + Sync + 'a;

/// The snapshots that are being taken in a repository.
pub async fn running(client: &Client, repository: &str) -> Result<Vec<Pace>> {
    let found = status::running(client, Some(repository)).await?;
    Ok(found.into_iter().map(|status| Pace { status, bytes_per_second: None, remaining_seconds: None }).collect())
}

/// How one snapshot is. Of a finished one the listing is read, because its status costs a read for each shard.
pub async fn standing(client: &Client, repository: &str, name: &str) -> Result<Standing> {
    let snapshot = snapshot::get(client, repository, name).await?;
    if snapshot.state != State::InProgress {
        return Ok(Standing::Ended(snapshot));
    }
    match status::of(client, repository, name).await {
        Ok(Some(status)) => Ok(Standing::Running(Pace { status, bytes_per_second: None, remaining_seconds: None })),
        // It ended in between.
        Ok(None) => Ok(Standing::Ended(snapshot::get(client, repository, name).await?)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Standing::Ended(snapshot::get(client, repository, name).await?))
        }
        Err(error) => Err(error),
    }
}

/// Follows a snapshot to its end, telling each look. Whoever follows does not stop it.
pub async fn follow(
    client: &Client,
    repository: &str,
    name: &str,
    patience: Patience,
    (tell, cancel): (&Tell<'_>, &CancellationToken),
) -> Result<Snapshot> {
    let mut rate = Rate::default();
    let mut wait = patience.poll;
    loop {
        let standing = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::new(ErrorKind::Cancelled, format!("follow `{repository}:{name}`"))
                .because("a signal came; the snapshot goes on in the cluster")),
            standing = standing(client, repository, name) => standing?,
        };
        match standing {
            Standing::Ended(snapshot) => return Ok(snapshot),
            Standing::Running(pace) => tell(&rate.take(pace.status))?,
        }
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(patience.longest_poll);
    }
}

/// Bytes in a second, averaged so that the last looks count most.
#[derive(Debug, Default)]
struct Rate {
    last: Option<(Instant, u64)>,
    per_second: Option<f64>,
}

impl Rate {
    /// How much a new look counts against all before it.
    const NEWEST: f64 = 0.3;

    fn take(&mut self, status: Status) -> Pace {
        let (now, done) = (Instant::now(), status.bytes.done);
        if let Some((then, before)) = self.last
            && now > then
        {
            let fresh = done.saturating_sub(before) as f64 / (now - then).max(Duration::from_millis(1)).as_secs_f64();
            let rate = self.per_second.map_or(fresh, |rate| rate * (1.0 - Self::NEWEST) + fresh * Self::NEWEST);
            self.per_second = Some(rate);
        }
        self.last = Some((now, done));
        let left = status.bytes.total.saturating_sub(done) as f64;
        let remaining_seconds = self.per_second.filter(|rate| *rate > 0.0).map(|rate| left / rate);
        Pace { status, bytes_per_second: self.per_second, remaining_seconds }
    }
}

/// Looks at what is to be deleted and refuses what must not go. Nothing is deleted yet.
pub async fn before_deletion(
    client: &Client,
    repository: &str,
    names: &[String],
    running: Running,
) -> Result<Vec<Snapshot>> {
    deletion::look(client, repository, names, running).await
}

/// Deletes the snapshots that [`before_deletion`] gave.
pub async fn delete(
    client: &Client,
    repository: &str,
    snapshots: &[Snapshot],
    patience: Patience,
    reporter: &dyn Reporter,
) -> Result<()> {
    reporter.report(&Event::Step("delete"));
    deletion::delete(client, repository, snapshots, patience, reporter).await
}

/// Finds one snapshot, and refuses one that is not complete.
pub async fn find(client: &Client, repository: &str, which: &Which) -> Result<Snapshot> {
    let doing = |name: &str| format!("use the snapshot `{repository}:{name}` on `{}`", client.place());
    match which {
        Which::Latest => {
            match snapshot::latest(&list(client, repository).await?) {
                // Asked for by itself it tells more than in a list.
                Some(latest) => snapshot::get(client, repository, &latest.name).await,
                None => Err(Error::new(ErrorKind::NotFound, doing("latest"))
                    .because("the repository holds no complete snapshot")),
            }
        }
        Which::Named(name) => {
            let snapshot = snapshot::get(client, repository, name).await?;
            if snapshot.state == State::Success {
                return Ok(snapshot);
            }
            Err(Error::new(ErrorKind::Precondition, doing(name))
                .because(format!("it is not complete: its state is {:?}", snapshot.state))
                .hint("take another snapshot and use that"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elastic::status::Part;

    #[tokio::test(start_paused = true)]
    async fn the_rate_gives_the_time_that_is_left() {
        let at = |done| Status { bytes: Part { done, total: 1000 }, ..Status::default() };
        let mut rate = Rate::default();
        assert_eq!(rate.take(at(0)).bytes_per_second, None);
        tokio::time::advance(Duration::from_secs(2)).await;
        let pace = rate.take(at(200));
        assert_eq!((pace.bytes_per_second, pace.remaining_seconds), (Some(100.0), Some(8.0)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rate.take(at(200)).bytes_per_second, Some(70.0));
    }
}
