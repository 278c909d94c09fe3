//! Throttles, raised for the time of a restore.

use std::collections::BTreeSet;

use super::log::Entry;
use super::work::Work;
use crate::elastic::settings::{self, Change};
use crate::elastic::throttle::Raise;
use crate::error::Result;
use crate::event::Event;

/// Raises throttles. What an interrupted run raised counts with what was before that one.
pub(super) async fn raise(work: &Work<'_>) -> Result<Vec<Change>> {
    let mut changes = work.options.left.raised.clone();
    if work.options.raise == Raise::default() {
        return Ok(changes);
    }
    let now = settings::read(work.client).await?;
    let new = work.options.raise.changes(&now);
    if !new.is_empty() {
        work.record(&Entry::Raising { changes: new.clone() })?;
        let told: Vec<String> = new.iter().map(shown).collect();
        work.reporter.report(&Event::Warning(&format!("raised until the restore has ended: {}", told.join(", "))));
    }
    let known: BTreeSet<String> = changes.iter().map(|change| change.name.clone()).collect();
    changes.extend(new.iter().filter(|change| !known.contains(&change.name)).cloned());
    match settings::change(work.client, &new).await {
        Ok(()) => Ok(changes),
        Err(error) => {
            // It may have been done all the same.
            drop(lower(work, &changes).await);
            Err(error)
        }
    }
}

/// Puts back what was raised. Not to be interrupted: it is one request.
pub(super) async fn lower(work: &Work<'_>, changes: &[Change]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let back: Vec<Change> = changes.iter().map(Change::reversed).collect();
    match settings::change(work.client, &back).await {
        Ok(()) => work.record(&Entry::Lowered),
        Err(error) => {
            let told: Vec<String> = changes.iter().map(shown).collect();
            let text = format!("throttles are still raised, and should be put back by hand: {}", told.join(", "));
            work.reporter.report(&Event::Warning(&text));
            Err(error.hint(text))
        }
    }
}

fn shown(change: &Change) -> String {
    let before =
        change.before.as_ref().map_or_else(|| "not set".to_owned(), |value| value.to_string().replace('"', ""));
    format!("`{}` (was {before})", change.name)
}
