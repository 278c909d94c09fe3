//! Waiting for a snapshot or deletion that is in the way of another.
//!
//! Elasticsearch to 7.8 and OpenSearch do one thing at a time (503 `concurrent_snapshot_execution_exception`), others answer 400 or
//! 409 for some pairs. All of these mean that nothing was begun.

use tokio::time::Instant;

use super::client::Client;
use super::exchange::Refusal;
use super::follow::Patience;
use super::status::{self, Status};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};

/// These types mean that something else is under way in the repository (`elasticsearch-api.md` 2.0).
const BUSY: [&str; 3] =
    ["concurrent_snapshot_execution_exception", "snapshot_in_progress_exception", "repository_conflict_exception"];

/// The wait for one request.
pub(super) struct Queue<'a> {
    patience: Patience,
    reporter: &'a dyn Reporter,
    seen: Option<Vec<Status>>,
    moved: Instant,
    is_told: bool,
}

impl<'a> Queue<'a> {
    pub(super) fn new(patience: Patience, reporter: &'a dyn Reporter) -> Self {
        Self { patience, reporter, seen: None, moved: Instant::now(), is_told: false }
    }

    /// Waits for a moment, if the refusal says that something is in the way and that something moves. Otherwise gives it back.
    pub(super) async fn wait(&mut self, client: &Client, refusal: Refusal) -> Result<()> {
        let is_busy = refusal.failure.as_ref().is_some_and(|failure| BUSY.iter().any(|name| failure.is(name)));
        if !is_busy {
            return Err(refusal.into());
        }
        let running = status::running(client, None).await.unwrap_or_default();
        if self.seen.as_ref() != Some(&running) {
            self.moved = Instant::now();
        }
        if self.moved.elapsed() >= self.patience.stall {
            let seconds = self.patience.stall.as_secs();
            let error = Error::from(refusal);
            let cause = error.cause().unwrap_or_default();
            return Err(error
                .because(format!("{cause}; what is in the way has not moved for {seconds} s"))
                .hint("look at what runs with `snapshot status`"));
        }
        if !self.is_told {
            self.is_told = true;
            self.reporter.report(&Event::Warning(&told(&running)));
        }
        self.seen = Some(running);
        tokio::time::sleep(self.patience.longest_poll).await;
        Ok(())
    }
}

fn told(running: &[Status]) -> String {
    match running.first() {
        Some(first) => {
            format!("waiting for the snapshot `{}:{}`, which is being taken", first.repository, first.snapshot)
        }
        None => "waiting for another snapshot or deletion in this cluster".to_owned(),
    }
}
