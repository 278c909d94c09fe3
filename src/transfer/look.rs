//! Looks at what the target has under a name, before anything is copied over it.

use futures::StreamExt as _;

use super::engine::Engine;
use super::phase::Item;
use crate::error::{ErrorKind, Result};
use crate::store::wrap::retry;
use crate::store::{ETag, GetOptions, ObjectMeta, short};

/// Reads the target's object and holds it against its seal.
pub(super) async fn is_sealed(engine: &Engine, item: &Item) -> Result<bool> {
    let Some(seal) = &item.seal else { return Ok(false) };
    retry(&engine.options.retry, engine.reporter.as_ref(), || async {
        let mut body = match engine.to.get(item.key(), GetOptions::default()).await {
            Ok(got) => got.body,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let (mut watch, mut count) = (seal.watch(0), 0);
        while let Some(bytes) = body.stream.next().await {
            let bytes = bytes?;
            watch.take(&bytes);
            count += bytes.len() as u64;
        }
        if count == body.length { Ok(seal.holds(&watch.piece())) } else { Err(short(body.length, count)) }
    })
    .await
}

/// Whether the target's object says of itself that it is a copy of exactly this source object. Where it says nothing, equal MD5 marks do.
pub(super) async fn remembers(engine: &Engine, source: &ObjectMeta) -> Result<bool> {
    let looked = retry(&engine.options.retry, engine.reporter.as_ref(), || engine.to.head(&source.key)).await;
    let there = match looked {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let marks = |etag: Option<&ETag>| etag.and_then(ETag::md5);
    Ok(there.meta.size == source.size
        && match there.attributes.remembered() {
            Some((time, etag)) => time == source.modified && etag == source.etag,
            None => marks(source.etag.as_ref()).is_some_and(|mark| there.checksums.contains(&mark)),
        })
}
