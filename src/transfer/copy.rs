//! One transfer: in a single put, or in parts side by side. Every byte is counted and summed on its way.
//!
//! 1. The source is asked for the object or a range; what it announces must be what the listing said.
//! 2. Its bytes pass through [`Pipe`], which counts and sums them and holds the last chunk back until both are right: a body
//!    that is short, long or damaged never becomes an object.
//! 3. The sum is compared with what the target states about what it stored, where it states anything.
//! 4. Anything that may pass is tried again from 1; an upload in parts only for the part that failed.
//!
//! The whole object is never in memory: a stream holds a few chunks.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::engine::Engine;
use super::phase::{Method, Phase, Transfer};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::store::wrap::retry;
use crate::store::{
    Algorithm, Body, Checksum, Digest, ETag, GetOptions, GetResult, Key, MultipartUpload, ObjectMeta, Part, PartSpec,
    parts, short,
};

/// Proof that one object is at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its length in bytes.
    pub bytes: u64,
    /// The sum of the bytes that came from the source and went to the target.
    pub checksum: Checksum,
}

/// How a transfer ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Copied(Receipt),
    /// Both contents were compared and are equal.
    Same,
}

/// Carries out a transfer.
pub(super) async fn perform<P: Phase>(engine: &Engine, transfer: &Transfer<P>) -> Result<Outcome> {
    let source = &transfer.source;
    match transfer.method {
        Method::Copy => {}
        Method::Refuse => return Err(other_content(&source.key)),
        Method::CopyIfDifferent | Method::RefuseIfDifferent => {
            if same_content(engine, source).await? {
                return Ok(Outcome::Same);
            }
            if transfer.method == Method::RefuseIfDifferent {
                return Err(other_content(&source.key));
            }
        }
    }
    engine.reporter.report(&Event::Started { key: source.key.as_str() });
    let receipt =
        if engine.is_large(source.size) { in_parts(engine, source).await? } else { whole(engine, source).await? };
    Ok(Outcome::Copied(receipt))
}

fn other_content(key: &Key) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("copy {key:?}"))
        .because("the target holds other content under this name, which its visible snapshots may need")
        .hint("Elasticsearch to 6.7.1 reuses the names of deleted blobs; `--overwrite-changed` replaces it, and until the run ends the target's old snapshots may not restore")
}

/// Reads the object at both sides and compares.
async fn same_content(engine: &Engine, source: &ObjectMeta) -> Result<bool> {
    let sum = |store: Arc<dyn crate::store::ObjectStore>| async move {
        retry(&engine.options.retry, engine.reporter.as_ref(), || async {
            let mut body = store.get(&source.key, GetOptions::default()).await?.body;
            let (mut digest, mut count) = (Digest::new(Algorithm::Crc64Nvme), 0);
            while let Some(bytes) = body.stream.next().await {
                let bytes = bytes?;
                digest.update(&bytes);
                count += bytes.len() as u64;
            }
            if count == body.length { Ok((count, digest.finish())) } else { Err(short(body.length, count)) }
        })
        .await
    };
    let (from, to) = futures::try_join!(sum(engine.from.clone()), sum(engine.to.clone()))?;
    Ok(from == to)
}

/// Copies an object in one request to each side.
async fn whole(engine: &Engine, source: &ObjectMeta) -> Result<Receipt> {
    let key = &source.key;
    let checksum = retry(&engine.options.retry, engine.reporter.as_ref(), || async {
        let got = engine.from.get(key, GetOptions::default()).await?;
        announced(source, got.body.length, &got)?;
        let (pipe, body) = Pipe::through(got, engine.reporter.clone());
        let put = engine.to.put(key, body).await;
        let put = put.map_err(|error| pipe.cause().unwrap_or(error))?;
        let sum = pipe.checksum();
        if let Err(error) = agree(key, sum, put.checksum) {
            // What is there now is known to be bad, and the next run would take it for good: it must not stay.
            drop(engine.to.delete(key).await);
            return Err(error);
        }
        Ok(sum)
    })
    .await?;
    Ok(Receipt { bytes: source.size, checksum })
}

/// What the source says it sends must be what the plan was made for.
fn announced(source: &ObjectMeta, length: u64, got: &GetResult) -> Result<()> {
    if length == source.size {
        return Ok(());
    }
    let changed = got.meta.modified > source.modified || (got.meta.etag.is_some() && got.meta.etag != source.etag);
    let (kind, cause) = if changed && source.etag.is_some() {
        (ErrorKind::Precondition, "it has changed since it was listed")
    } else {
        (ErrorKind::Corrupt, "the source contradicts its own listing")
    };
    Err(Error::new(kind, format!("copy {:?}", source.key))
        .because(format!("it was listed with {} bytes and comes with {length}: {cause}", source.size)))
}

/// The sum of what passed against what the target says it stored.
fn agree(key: &Key, ours: Checksum, stated: Option<Checksum>) -> Result<()> {
    match stated {
        Some(stated) if stated.algorithm == ours.algorithm && stated != ours => {
            Err(Error::new(ErrorKind::Corrupt, format!("copy {key:?}"))
                .because(format!("{ours} was sent and the target stored {stated}")))
        }
        _ => Ok(()),
    }
}

/// Copies a large object: ranges of the source feed parts of the target, several at once.
async fn in_parts(engine: &Engine, source: &ObjectMeta) -> Result<Receipt> {
    let specs = parts(source.size, engine.options.part_size, &engine.to.capability())?;
    // Every range must come from the same content. A listing without marks costs one look at the object.
    let etag = match &source.etag {
        Some(etag) => Some(etag.clone()),
        None => retry(&engine.options.retry, engine.reporter.as_ref(), || engine.from.head(&source.key)).await?.etag,
    };
    let begin = || engine.to.put_multipart(&source.key, source.size);
    let upload = retry(&engine.options.retry, engine.reporter.as_ref(), begin).await?;
    let done = tokio::select! {
        biased;
        () = engine.cancel.cancelled() => Err(Engine::cancelled()),
        done = fill(engine, source, etag, upload.as_ref(), specs) => done,
    };
    if done.is_err() {
        abort(&source.key, upload.as_ref()).await;
    }
    done
}

async fn fill(
    engine: &Engine,
    source: &ObjectMeta,
    etag: Option<ETag>,
    upload: &dyn MultipartUpload,
    specs: impl Iterator<Item = PartSpec>,
) -> Result<Receipt> {
    let etag = etag.as_ref();
    let tasks = specs.map(|spec| part(engine, source, etag, upload, spec));
    let at_once = engine.options.transfers.max(1) as usize;
    let mut done: Vec<(Part, Checksum)> = stream::iter(tasks).buffer_unordered(at_once).try_collect().await?;
    done.sort_by_key(|(part, _)| part.spec.number);
    let whole = done
        .iter()
        .map(|(part, sum)| (*sum, part.spec.length))
        .reduce(|(sum, length), (next, more)| (sum.followed_by(next, more), length + more));
    let (checksum, bytes) = whole.expect("a large object has at least one part");
    let list: Vec<Part> = done.into_iter().map(|(part, _)| part).collect();
    let put = retry(&engine.options.retry, engine.reporter.as_ref(), || upload.complete(list.clone())).await?;
    if let Err(error) = agree(&source.key, checksum, put.checksum) {
        drop(engine.to.delete(&source.key).await);
        return Err(error);
    }
    Ok(Receipt { bytes, checksum })
}

async fn part(
    engine: &Engine,
    source: &ObjectMeta,
    etag: Option<&ETag>,
    upload: &dyn MultipartUpload,
    spec: PartSpec,
) -> Result<(Part, Checksum)> {
    let _permit = engine.budget.permit(spec.length).await;
    let range: Range<u64> = spec.offset..spec.offset + spec.length;
    retry(&engine.options.retry, engine.reporter.as_ref(), || async {
        let options = GetOptions { range: Some(range.clone()), if_match: etag.cloned() };
        let got = engine.from.get(&source.key, options).await?;
        announced(source, got.meta.size, &got)?;
        let (pipe, body) = Pipe::through(got, engine.reporter.clone());
        let part = upload.put_part(spec, body).await.map_err(|error| pipe.cause().unwrap_or(error))?;
        let sum = pipe.checksum();
        agree(&source.key, sum, part.checksum)?;
        Ok((part, sum))
    })
    .await
}

/// Gives the parts back. If that fails too, the user is told what may be left at the store.
async fn abort(key: &Key, upload: &dyn MultipartUpload) {
    let aborted = tokio::time::timeout(std::time::Duration::from_secs(10), upload.abort()).await;
    let failed = match aborted {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer within 10 s".to_owned(),
    };
    tracing::warn!(%key, cause = %failed, "an unfinished upload may be left at the target; a lifecycle rule removes such");
}

/// Counts and sums a body as it passes, and lets its end through only if it is right.
#[derive(Debug, Clone)]
struct Pipe(Arc<Mutex<Passed>>);

#[derive(Debug)]
struct Passed {
    ours: Digest,
    /// The sum that the source states, if it states another than ours.
    stated: Option<(Digest, Checksum)>,
    bytes: u64,
    error: Option<Error>,
}

impl Pipe {
    fn through(got: GetResult, reporter: Arc<dyn Reporter>) -> (Self, Body) {
        let stated = got.checksum.map(|stated| (Digest::new(stated.algorithm), stated));
        let passed = Passed { ours: Digest::new(Algorithm::Crc64Nvme), stated, bytes: 0, error: None };
        let pipe = Self(Arc::new(Mutex::new(passed)));
        let length = got.body.length;
        let state = Flow { pipe: pipe.clone(), source: Some(got.body), held: None, reporter };
        (pipe, Body { length, stream: stream::unfold(state, Flow::next).boxed() })
    }

    fn passed(&self) -> std::sync::MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sum of everything that passed.
    fn checksum(&self) -> Checksum {
        self.passed().ours.finish()
    }

    /// Why the body ended badly, if it did: the target only sees a connection that breaks.
    fn cause(&self) -> Option<Error> {
        self.passed().error.take()
    }

    fn take(&self, bytes: &Bytes, length: u64) -> Result<()> {
        let mut passed = self.passed();
        passed.bytes += bytes.len() as u64;
        passed.ours.update(bytes);
        if let Some((digest, _)) = &mut passed.stated {
            digest.update(bytes);
        }
        if passed.bytes > length { Err(short(length, passed.bytes)) } else { Ok(()) }
    }

    fn end(&self, length: u64) -> Result<()> {
        let passed = self.passed();
        if passed.bytes != length {
            return Err(short(length, passed.bytes));
        }
        match &passed.stated {
            Some((digest, stated)) if digest.finish() != *stated => Err(Error::new(ErrorKind::Corrupt, "read a body")
                .because(format!("the source states {stated} and {} came", digest.finish()))),
            _ => Ok(()),
        }
    }

    fn fail(&self, error: Error) -> Error {
        self.passed().error = Some(error.duplicate());
        error
    }
}

/// The state of a body in the pipe.
struct Flow {
    pipe: Pipe,
    source: Option<Body>,
    /// The chunk that waits until the next one, or the checked end, has come.
    held: Option<Bytes>,
    reporter: Arc<dyn Reporter>,
}

impl Flow {
    async fn next(mut self) -> Option<(Result<Bytes>, Self)> {
        loop {
            let body = self.source.as_mut()?;
            let length = body.length;
            let checked = match body.stream.next().await {
                Some(Ok(bytes)) => {
                    self.reporter.report(&Event::Moved { bytes: bytes.len() as u64 });
                    self.pipe.take(&bytes, length).map(|()| Some(bytes))
                }
                Some(Err(error)) => Err(error),
                None => self.pipe.end(length).map(|()| None),
            };
            match checked {
                Err(error) => {
                    self.source = None;
                    return Some((Err(self.pipe.fail(error)), self));
                }
                Ok(Some(bytes)) => {
                    if let Some(ready) = self.held.replace(bytes) {
                        return Some((Ok(ready), self));
                    }
                }
                Ok(None) => {
                    self.source = None;
                    return self.held.take().map(|last| (Ok(last), self));
                }
            }
        }
    }
}
