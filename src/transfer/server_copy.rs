//! Copies that the server makes within itself: source and target are the same place, and no byte passes here.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::copy::{Receipt, abort, announced};
use super::engine::{Copying, Engine};
use super::phase::Item;
use super::proof::prove;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::store::wrap::retry;
use crate::store::{Head, MultipartUpload, Origin, Part, PutOptions, parts};

/// Lets the server copy an object, in parts if it is larger than one request copies, and looks at what came of it.
pub(super) async fn perform(engine: &Engine, copying: &Copying, item: &Item) -> Result<Receipt> {
    let (source, key) = (&item.source, item.key());
    let from = Origin { location: &copying.location, meta: source };
    let head = if source.size > copying.max {
        in_parts(engine, from, item).await?
    } else {
        let options = PutOptions::default();
        retry(&engine.options.retry, engine.reporter.as_ref(), || engine.to.copy(from, key, &options)).await?;
        None
    };
    let copy = retry(&engine.options.retry, engine.reporter.as_ref(), || engine.to.head(key)).await?;
    let stated: Vec<_> = match &head {
        Some(head) => head.checksums.clone(),
        None => source.etag.as_ref().and_then(crate::store::ETag::md5).into_iter().collect(),
    };
    // A listing does not say which mark is an MD5; the look at the copy does.
    let proven = if copy.meta.size == source.size {
        prove(&source.key, &[], &stated, &copy.checksums)
    } else {
        let cause = format!("it has {} bytes and the server's copy of it {}", source.size, copy.meta.size);
        Err(Error::new(ErrorKind::Corrupt, format!("copy {:?}", source.key)).because(cause))
    };
    if proven.is_err() {
        // What is there now is known to be bad, and the next run would take it for good: it must not stay.
        drop(engine.to.delete(key).await);
    }
    engine.reporter.report(&Event::Moved { bytes: source.size });
    let (from, to) = proven?;
    Ok(Receipt { bytes: source.size, checksum: None, source: from, target: to, sealed: false })
}

async fn in_parts(engine: &Engine, from: Origin<'_>, item: &Item) -> Result<Option<Head>> {
    let (source, key) = (from.meta, item.key());
    // The server moves the bytes: the fewer the parts the better.
    let capability = engine.to.capability();
    let specs = parts(source.size, capability.max_part.min(1 << 30), &capability)?;
    let head = retry(&engine.options.retry, engine.reporter.as_ref(), || engine.from.head(&source.key)).await?;
    announced(item, head.meta.size, &head.meta)?;
    let options = PutOptions { attributes: engine.attributes(head.attributes.clone(), source), if_absent: false };
    let begin = || engine.to.put_multipart(key, source.size, &options);
    let upload = retry(&engine.options.retry, engine.reporter.as_ref(), begin).await?;
    let upload: &dyn MultipartUpload = upload.as_ref();
    let fill = async {
        let tasks = specs.map(|spec| async move {
            retry(&engine.options.retry, engine.reporter.as_ref(), || upload.copy_part(spec, from)).await
        });
        let mut done: Vec<Part> = stream::iter(tasks).buffer_unordered(8).try_collect().await?;
        done.sort_by_key(|part| part.spec.number);
        retry(&engine.options.retry, engine.reporter.as_ref(), || upload.complete(done.clone())).await
    };
    let done = tokio::select! {
        biased;
        () = engine.cancel.cancelled() => Err(Engine::cancelled()),
        done = fill => done,
    };
    if done.is_err() {
        abort(key, upload).await;
    }
    done.map(|_| Some(head))
}
