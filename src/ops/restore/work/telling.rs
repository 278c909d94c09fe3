//! What an error says beside its cause: what is done by then, what is lost, and the way back.

use std::collections::BTreeSet;

use super::Work;
use crate::elastic::Client;
use crate::elastic::index;
use crate::error::{Error, ErrorKind};
use crate::ops::restore::Restored;

/// Names that an error shows.
const SHOWN: usize = 5;

impl Work<'_> {
    pub(super) fn stopped(&self) -> Error {
        let Restored { repository, snapshot, .. } = &self.restored;
        Error::new(ErrorKind::Cancelled, format!("restore `{repository}:{snapshot}` on `{}`", self.client.place()))
            .because("a signal came between two batches")
            .hint("run it again: what is restored is left out with `--conflict skip`")
    }

    /// An error with what was done before it, if there was anything.
    pub(super) fn partly(&self, done: usize, count: usize, error: Error) -> Error {
        if done == 0 {
            return error;
        }
        let names = list(self.restored.indices.iter());
        with(error, &format!("batch {} of {count}; restored before it: {names}", done + 1))
    }

    /// An error with what was deleted and is not back, and how to get it back.
    pub(super) fn bereft(&self, error: Error) -> Error {
        let back: BTreeSet<&String> = self.restored.indices.iter().collect();
        let gone: Vec<&String> = self.restored.deleted.iter().filter(|name| !back.contains(name)).collect();
        if gone.is_empty() {
            return error;
        }
        let Restored { repository, snapshot, safety_snapshot, .. } = &self.restored;
        let names = list(gone.into_iter());
        let was = match safety_snapshot {
            Some(taken) => format!("what was open of it is in the snapshot `{taken}`"),
            None => "no snapshot was taken of what it was".to_owned(),
        };
        with(
            error,
            &format!(
                "already deleted: {names}; to have it from `{repository}:{snapshot}`, remove the cause and run this again; {was}"
            ),
        )
    }

    /// An error that came after every primary of these was started.
    pub(super) fn complete(names: &[String], remains: &str, error: Error) -> Error {
        with(error, &format!("the restore of {} is complete; what remains: {remains}", list(names.iter())))
    }
}

/// Those of these indices that are gone. Where the cluster does not say, all of them may be.
pub(super) async fn gone(client: &Client, names: Vec<String>) -> Vec<String> {
    match index::existing(client).await {
        Ok(now) => names.into_iter().filter(|name| !now.indices.contains_key(name)).collect(),
        Err(error) => {
            tracing::debug!(%error, "which of them are deleted is not known");
            names
        }
    }
}

fn with(error: Error, more: &str) -> Error {
    let cause = error.cause().unwrap_or_else(|| error.kind().word().to_owned());
    error.because(format!("{cause} ({more})"))
}

fn list<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let count = names.len();
    let shown: Vec<String> = names.take(SHOWN).map(|name| format!("`{name}`")).collect();
    format!("{}{}", shown.join(", "), if count > SHOWN { ", …" } else { "" })
}
