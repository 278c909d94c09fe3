//! Throttles, raised for the time of a restore.

use std::collections::BTreeSet;

use super::log::Entry;
use super::work::Work;
use crate::elastic::settings::{self, Change, Settings};
use crate::elastic::throttle::{BYTES, RECOVERIES, Raise};
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
    suspect(work, &now, &new);
    if !new.is_empty() {
        work.record(&Entry::Raising { changes: new.clone() })?;
        let told: Vec<String> = new.iter().map(shown).collect();
        let by_hand = if work.options.log.is_none() {
            "; if this process is killed (`kill -9`) they stay raised, and nothing but this line knows what they were: `--undo-file` would"
        } else {
            ""
        };
        let told = told.join(", ");
        work.reporter.report(&Event::Warning(&format!("raised until the restore has ended: {told}{by_hand}")));
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

/// A value that looks as if an earlier restore had raised it and been killed is never taken for the cluster's own without a word.
fn suspect(work: &Work<'_>, now: &Settings, new: &[Change]) {
    let Raise { bytes_per_second, recoveries } = work.options.raise;
    for name in [bytes_per_second.map(|_| BYTES), recoveries.map(|_| RECOVERIES)].into_iter().flatten() {
        let is_known = work.options.left.raised.iter().any(|change| change.name == name);
        let Some(value) = now.set(name).filter(|_| !is_known) else { continue };
        let is_new = new.iter().any(|change| change.name == name);
        // Clusters are told `40mb`; a bare number of bytes is how we write it.
        let is_ours = name == BYTES
            && value.as_str().and_then(|text| text.strip_suffix('b')).is_some_and(|text| text.parse::<u64>().is_ok());
        if is_ours || !is_new {
            let fate = if is_new { "it is put back to that" } else { "it stays so" };
            work.reporter.report(&Event::Warning(&format!(
                "`{name}` is set to {value} already, as an earlier restore that was killed would have left it; {fate} afterwards: look whether it should be"
            )));
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
