//! Deletion: what only the target has goes, if that was asked for, at the very end and within a bound.
//!
//! It is reached only through [`Committed`], which exists only when both listings were read to their end and every copy has its receipt.

use super::engine::Engine;
use super::run::{Committed, Stop};
use super::spool::Spool;
use super::summary::Summary;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::store::wrap::retry;
use crate::store::{BATCH, Key, ObjectMeta};

impl Committed {
    /// Deletes `extras` at the target. [`ErrorKind::Invalid`], and nothing deleted, if there are more than `most`.
    pub async fn sweep(&self, extras: Spool<ObjectMeta>, most: u64, summary: &mut Summary) -> Result<(), Stop> {
        let engine = &self.engine;
        if extras.len() > most {
            let cause = format!("{} objects are only at the target, and at most {most} may go", extras.len());
            return Err(Error::new(ErrorKind::Invalid, "delete what the source does not have")
                .because(cause)
                .hint("nothing was deleted; look at `plan`, and if it is right raise `--max-delete`")
                .into());
        }
        let mut batch: Vec<ObjectMeta> = Vec::new();
        for extra in extras.into_entries() {
            batch.push(extra?);
            if batch.len() == BATCH {
                delete(engine, &std::mem::take(&mut batch), summary).await?;
            }
        }
        delete(engine, &batch, summary).await?;
        if summary.failed.objects > 0 { Err(Stop::Failures) } else { Ok(()) }
    }
}

async fn delete(engine: &Engine, batch: &[ObjectMeta], summary: &mut Summary) -> Result<()> {
    if engine.cancel.is_cancelled() {
        return Err(Engine::cancelled());
    }
    let keys: Vec<Key> = batch.iter().map(|meta| meta.key.clone()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let failed = retry(&engine.options.retry, engine.reporter.as_ref(), || engine.to.delete_batch(&keys)).await?;
    for meta in batch {
        if let Some((key, error)) = failed.iter().find(|(key, _)| *key == meta.key) {
            engine.reporter.report(&Event::Failed { key: key.as_str(), error });
            summary.fail(key, meta.size, error)?;
        } else {
            engine.reporter.report(&Event::Deleted { key: meta.key.as_str() });
            summary.deleted.add(meta.size);
        }
    }
    Ok(())
}
