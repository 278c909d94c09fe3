//! One transfer: in a single put, in parts side by side, or by the server itself. Every byte that passes here is counted and summed.
//!
//! 1. The source is asked for the object or a range; what it announces must be what the listing said.
//! 2. Its bytes pass through the [`Pipe`], which lets the last of them through only if length and checksums are right: a body
//!    that is short, long or damaged never becomes an object.
//! 3. What both sides state is held against what passed ([`prove`]).
//! 4. Anything that may pass is tried again from 1; an upload in parts only for the part that failed.
//!
//! The whole object is never in memory: a stream holds a few chunks.

use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::engine::Engine;
use super::phase::{Method, Phase, Transfer};
use super::pipe::Pipe;
use super::proof::{Proof, prove};
use super::{Pace, server_copy};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::store::wrap::retry;
use crate::store::{
    Algorithm, Attributes, Checksum, Digest, GetOptions, GetResult, Head, Key, MultipartUpload, ObjectMeta, Part,
    PartSpec, PutOptions, parts, short,
};

/// Proof that one object is at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its length in bytes.
    pub bytes: u64,
    /// The sum of the bytes that came from the source and went to the target; none if they did not pass here.
    pub checksum: Option<Checksum>,
    /// What the source's statements prove.
    pub source: Proof,
    /// What the target's statements prove.
    pub target: Proof,
}

/// How a transfer ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Copied(Receipt),
    /// It is there already, for this reason.
    Same(&'static str),
}

/// Carries out a transfer.
pub(super) async fn perform<P: Phase>(engine: &Engine, transfer: &Transfer<P>) -> Result<Outcome> {
    let source = &transfer.source;
    match transfer.method {
        Method::Copy => {}
        Method::Refuse => return Err(other_content(&source.key)),
        Method::CopyUnlessRemembered => {
            if remembers(engine, source).await? {
                return Ok(Outcome::Same("remembered"));
            }
        }
        Method::CopyIfDifferent | Method::RefuseIfDifferent => {
            if same_content(engine, source).await? {
                return Ok(Outcome::Same("same-content"));
            }
            if transfer.method == Method::RefuseIfDifferent {
                return Err(other_content(&source.key));
            }
        }
    }
    engine.reporter.report(&Event::Started { key: source.key.as_str() });
    let receipt = match &engine.server_copy {
        Some(copying) => server_copy::perform(engine, copying, source).await?,
        None if engine.is_large(source.size) => in_parts_again(engine, source).await?,
        None => whole(engine, source).await?,
    };
    Ok(Outcome::Copied(receipt))
}

fn other_content(key: &Key) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("copy {key:?}"))
        .because("the target holds other content under this name, which its visible snapshots may need")
        .hint("Elasticsearch to 6.7.1 reuses the names of deleted blobs; `--overwrite-changed` replaces it, and until the run ends the target's old snapshots may not restore")
}

/// Whether the target's object says of itself that it is a copy of exactly this source object. Where it says nothing, equal MD5 marks do.
async fn remembers(engine: &Engine, source: &ObjectMeta) -> Result<bool> {
    let looked = retry(&engine.options.retry, engine.reporter.as_ref(), || engine.to.head(&source.key)).await;
    let there = match looked {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let marks = |etag: Option<&crate::store::ETag>| etag.and_then(crate::store::ETag::md5);
    Ok(there.meta.size == source.size
        && match there.attributes.remembered() {
            Some((time, etag)) => time == source.modified && etag == source.etag,
            None => marks(source.etag.as_ref()).is_some_and(|mark| there.checksums.contains(&mark)),
        })
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
    retry(&engine.options.retry, engine.reporter.as_ref(), || async {
        let mut got = engine.from.get(key, GetOptions::default()).await?;
        announced(source, got.body.length, &got.meta)?;
        let options =
            PutOptions { attributes: engine.attributes(std::mem::take(&mut got.attributes), source), if_absent: false };
        let stated = got.checksums.clone();
        let (pipe, body) = engine.pipe(got);
        let put = engine.to.put(key, body, &options).await;
        let put = put.map_err(|error| pipe.cause().unwrap_or(error))?;
        let sums = pipe.sums();
        match prove(key, &sums, &stated, &put.checksums) {
            Ok((from, to)) => {
                Ok(Receipt { bytes: source.size, checksum: sums.first().copied(), source: from, target: to })
            }
            Err(error) => {
                // What is there now is known to be bad, and the next run would take it for good: it must not stay.
                drop(engine.to.delete(key).await);
                Err(error)
            }
        }
    })
    .await
}

/// What the source says it sends must be what the plan was made for.
pub(super) fn announced(source: &ObjectMeta, length: u64, now: &ObjectMeta) -> Result<()> {
    if length == source.size {
        return Ok(());
    }
    let changed = now.modified > source.modified || (now.etag.is_some() && now.etag != source.etag);
    let (kind, cause) = if changed && source.etag.is_some() {
        (ErrorKind::Precondition, "it has changed since it was listed")
    } else {
        (ErrorKind::Corrupt, "the source contradicts its own listing")
    };
    Err(Error::new(kind, format!("copy {:?}", source.key))
        .because(format!("it was listed with {} bytes and comes with {length}: {cause}", source.size)))
}

/// Copies a large object, and once more from its beginning if the whole turns out damaged although each part was right.
async fn in_parts_again(engine: &Engine, source: &ObjectMeta) -> Result<Receipt> {
    match in_parts(engine, source).await? {
        Ok(receipt) => Ok(receipt),
        Err(Damaged(error)) => {
            engine.reporter.report(&Event::Retried { error: &error, wait: std::time::Duration::ZERO });
            in_parts(engine, source).await?.map_err(|Damaged(error)| error)
        }
    }
}

/// Every part was right and the whole is not: nobody can say which part it was.
struct Damaged(Error);

/// What came of an object in parts, if it came to an end at all.
type Whole = std::result::Result<Receipt, Damaged>;

/// Copies a large object: ranges of the source feed parts of the target, several at once.
async fn in_parts(engine: &Engine, source: &ObjectMeta) -> Result<Whole> {
    let specs = parts(source.size, engine.options.part_size, &engine.to.capability())?;
    // Every range must come from the same content, and the look also tells its attributes and the checksum of the whole.
    let head = retry(&engine.options.retry, engine.reporter.as_ref(), || engine.from.head(&source.key)).await?;
    announced(source, head.meta.size, &head.meta)?;
    if source.etag.is_some() && head.meta.etag != source.etag {
        return Err(Error::new(ErrorKind::Precondition, format!("copy {:?}", source.key))
            .because("it has changed since it was listed"));
    }
    let options = PutOptions { attributes: engine.attributes(head.attributes.clone(), source), if_absent: false };
    let begin = || engine.to.put_multipart(&source.key, source.size, &options);
    let upload = retry(&engine.options.retry, engine.reporter.as_ref(), begin).await?;
    let job = Job { engine, source, head: &head, upload: upload.as_ref() };
    let done = tokio::select! {
        biased;
        () = engine.cancel.cancelled() => Err(Engine::cancelled()),
        done = job.fill(specs) => done,
    };
    if !matches!(done, Ok(Ok(_))) {
        abort(&source.key, upload.as_ref()).await;
    }
    done
}

/// An object on its way in parts.
struct Job<'a> {
    engine: &'a Engine,
    source: &'a ObjectMeta,
    head: &'a Head,
    upload: &'a dyn MultipartUpload,
}

impl Job<'_> {
    async fn fill(&self, specs: impl Iterator<Item = PartSpec>) -> Result<Whole> {
        let (engine, key) = (self.engine, &self.source.key);
        let at_once = engine.options.transfers.max(1) as usize;
        let tasks = specs.map(|spec| self.part(spec));
        let mut done: Vec<(Part, Vec<Checksum>)> = stream::iter(tasks).buffer_unordered(at_once).try_collect().await?;
        done.sort_by_key(|(part, _)| part.spec.number);
        let sums = combined(&done);
        // Before anyone can see it: what the source states of the whole.
        if let Err(error) = prove(key, &sums, &self.head.checksums, &[]) {
            return Ok(Err(Damaged(error)));
        }
        let list: Vec<Part> = done.into_iter().map(|(part, _)| part).collect();
        // The weakest proof of a part is what the parts prove.
        let put = retry(&engine.options.retry, engine.reporter.as_ref(), || self.upload.complete(list.clone())).await?;
        let receipt =
            |source, target| Receipt { bytes: self.source.size, checksum: sums.first().copied(), source, target };
        Ok(match prove(key, &sums, &self.head.checksums, &put.checksums) {
            Ok((source, Proof::Length)) => {
                let by_parts = list.iter().map(|part| {
                    part.checksums.iter().map(|sum| sum.algorithm).find(|algorithm| *algorithm != Algorithm::Md5)
                });
                let target = by_parts
                    .reduce(|a, b| if a == b { a } else { None })
                    .flatten()
                    .map_or(Proof::Length, Proof::Checksum);
                Ok(receipt(source, target))
            }
            Ok((source, target)) => Ok(receipt(source, target)),
            Err(error) => {
                drop(engine.to.delete(key).await);
                Err(Damaged(error))
            }
        })
    }

    async fn part(&self, spec: PartSpec) -> Result<(Part, Vec<Checksum>)> {
        let engine = self.engine;
        let _permit = engine.budget.permit(spec.length).await;
        let range: Range<u64> = spec.offset..spec.offset + spec.length;
        retry(&engine.options.retry, engine.reporter.as_ref(), || async {
            let options = GetOptions { range: Some(range.clone()), if_match: self.head.meta.etag.clone() };
            let got: GetResult = engine.from.get(&self.source.key, options).await?;
            announced(self.source, got.meta.size, &got.meta)?;
            let (pipe, body) = engine.pipe(got);
            let part = self.upload.put_part(spec, body).await.map_err(|error| pipe.cause().unwrap_or(error))?;
            let sums = pipe.sums();
            prove(&self.source.key, &sums, &[], &part.checksums)?;
            Ok((part, sums))
        })
        .await
    }
}

/// The sums of the whole object, out of those of its parts.
fn combined(parts: &[(Part, Vec<Checksum>)]) -> Vec<Checksum> {
    let whole =
        parts.iter().map(|(part, sums)| (sums.clone(), part.spec.length)).reduce(|(sums, length), (next, more)| {
            let both = sums.iter().filter_map(|sum| {
                let follows = next.iter().find(|next| next.algorithm == sum.algorithm)?;
                sum.followed_by(*follows, more)
            });
            (both.collect(), length + more)
        });
    whole.map(|(sums, _)| sums).unwrap_or_default()
}

/// Gives the parts back. If that fails too, the user is told what may be left at the store.
pub(super) async fn abort(key: &Key, upload: &dyn MultipartUpload) {
    let aborted = tokio::time::timeout(std::time::Duration::from_secs(10), upload.abort()).await;
    let failed = match aborted {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer within 10 s".to_owned(),
    };
    tracing::warn!(%key, cause = %failed, "an unfinished upload may be left at the target; a lifecycle rule removes such");
}

impl Engine {
    fn pipe(&self, got: GetResult) -> (Pipe, crate::store::Body) {
        Pipe::through(got, &self.algorithms, self.reporter.clone(), Pace::clone(&self.pace))
    }

    /// What the copy carries beside its bytes: what the source does, and which object that was.
    pub(super) fn attributes(&self, attributes: Attributes, source: &ObjectMeta) -> Attributes {
        match (self.to_keeps_attributes, self.options.remember) {
            (false, _) => Attributes::default(),
            (true, false) => attributes,
            (true, true) => attributes.remembering(source),
        }
    }
}
