//! Blobs that a failed shard misses, brought from another copy of the repository (finding 4).
//!
//! The shard is named by the cluster; `verify` finds in it what is missing or damaged, and writes just that.

use std::sync::Arc;

use super::work::Work;
use crate::elastic::follow::Failed;
use crate::error::Result;
use crate::event::{Event, Silent};
use crate::ops::verify::{self, Level, Places};

/// What was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repaired {
    pub(super) objects: u64,
}

/// Brings what the failed shards miss. Nothing if there is nowhere to bring it from, or nothing was amiss there.
pub(super) async fn repair(work: &Work<'_>, failed: &Failed) -> Result<Option<Repaired>> {
    let (Some(copy), Some(from)) = (&work.options.copy, &work.options.repair_from) else { return Ok(None) };
    if !failed.shards.iter().any(|shard| shard.is_damage) {
        return Ok(None);
    }
    work.reporter.report(&Event::Step("repair the repository"));
    let places = Places { place: copy, source: None, repair_from: Some(from) };
    // What is missing is found without reading; only what is there and wrong takes reading all of it.
    for level in [Level::Presence, Level::Content] {
        let options = verify::Options { level, ..verify::Options::default() };
        let report = verify::run(&places, &options, Arc::new(Silent), work.cancel).await?;
        if let Some(error) = report.error {
            return Err(error);
        }
        if report.repaired.objects > 0 {
            return Ok(Some(Repaired { objects: report.repaired.objects }));
        }
    }
    Ok(None)
}
