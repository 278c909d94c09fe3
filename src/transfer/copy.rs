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
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::engine::Engine;
use super::look::{is_sealed, remembers};
use super::phase::{Item, Method, Phase, Transfer};
use super::pipe::Pipe;
use super::proof::{Proof, prove};
use super::seal::{Piece, damaged};
use super::{Pace, server_copy};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::store::wrap::retry;
use crate::store::{
    Algorithm, Attributes, Body, Checksum, GetOptions, GetResult, Head, Key, MultipartUpload, ObjectMeta, Part,
    PartSpec, PutOptions, parts,
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
    /// Whether the content was held against the checksum that it carries itself.
    pub sealed: bool,
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
    let actual;
    let item = if transfer.item.any_length {
        actual = engine.as_it_is(&transfer.item).await?;
        &actual
    } else {
        &transfer.item
    };
    match transfer.method {
        Method::Copy => {}
        Method::CopyUnlessRemembered => {
            if remembers(engine, &item.source).await? {
                return Ok(Outcome::Same("remembered"));
            }
        }
        Method::CopyUnlessSealed => {
            if is_sealed(engine, item).await? {
                return Ok(Outcome::Same("same-content"));
            }
        }
    }
    engine.reporter.report(&Event::Started { key: item.key().as_str() });
    let receipt = match (&item.content, &engine.server_copy) {
        (Some(content), _) => held(engine, item.key(), content).await?,
        (None, Some(copying)) => server_copy::perform(engine, copying, item).await?,
        (None, None) if engine.is_large(item.source.size) => in_parts_again(engine, item).await?,
        (None, None) => whole(engine, item).await?,
    };
    Ok(Outcome::Copied(receipt))
}

/// Writes a content that is at hand.
async fn held(engine: &Engine, key: &Key, content: &Bytes) -> Result<Receipt> {
    retry(&engine.options.retry, engine.reporter.as_ref(), || async {
        let put = engine.to.put(key, Body::from_bytes(content.clone()), &PutOptions::default()).await?;
        let sums: Vec<_> = engine.algorithms.iter().map(|algorithm| Checksum::of(*algorithm, content)).collect();
        match prove(key, &sums, &[], &put.checksums) {
            Ok((source, target)) => {
                engine.reporter.report(&Event::Moved { bytes: content.len() as u64 });
                Ok(Receipt {
                    bytes: content.len() as u64,
                    checksum: sums.first().copied(),
                    source,
                    target,
                    sealed: false,
                })
            }
            Err(error) => {
                drop(engine.to.delete(key).await);
                Err(error)
            }
        }
    })
    .await
}

/// Copies an object in one request to each side.
async fn whole(engine: &Engine, item: &Item) -> Result<Receipt> {
    let (source, key) = (&item.source, item.key());
    // The same damage twice is not that of the way.
    let found_before = AtomicU64::new(u64::MAX);
    retry(&engine.options.retry, engine.reporter.as_ref(), || async {
        let mut got = engine.from.get(&source.key, GetOptions::default()).await?;
        announced(item, got.body.length, &got.meta)?;
        // Of an object that comes from metadata only the answer tells when it was written.
        let origin = if item.is_listed() { source } else { &got.meta };
        let attributes = engine.attributes(std::mem::take(&mut got.attributes), origin);
        let options = PutOptions { attributes, if_absent: false };
        let stated = got.checksums.clone();
        let (pipe, body) = engine.pipe(got);
        if let Some(seal) = &item.seal {
            pipe.watch(&source.key, seal, 0, seal.file.is_none());
        }
        let put = engine.to.put(key, body, &options).await;
        if let Some(found) = pipe.broken()
            && found_before.swap(found.into(), Ordering::Relaxed) == u64::from(found)
        {
            return Err(damaged(&pipe.cause().unwrap_or_else(Engine::cancelled), &source.key));
        }
        let put = put.map_err(|error| pipe.cause().unwrap_or(error))?;
        let sums = pipe.sums();
        match prove(key, &sums, &stated, &put.checksums) {
            Ok((from, to)) => {
                sealed(engine, item, pipe.piece())?;
                let (checksum, sealed) = (sums.first().copied(), item.seal.is_some());
                Ok(Receipt { bytes: source.size, checksum, source: from, target: to, sealed })
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

/// Once all objects of a cut file have arrived, they must be what its seal says. Which one is not, nobody can say.
fn sealed(engine: &Engine, item: &Item, piece: Option<Piece>) -> Result<()> {
    let (Some(seal), Some(piece)) = (&item.seal, piece) else { return Ok(()) };
    let Some(file) = &seal.file else { return Ok(()) };
    match engine.files.arrived(seal, file, item.source.size, piece) {
        Some(whole) if !seal.holds(&whole) => Err(damaged(&seal.broken(&item.source.key, &whole), &item.source.key)),
        _ => Ok(()),
    }
}

/// What the source says it sends must be what the plan was made for.
pub(super) fn announced(item: &Item, length: u64, now: &ObjectMeta) -> Result<()> {
    let source = &item.source;
    if length == source.size {
        return Ok(());
    }
    if !item.is_listed() {
        return Err(Error::new(ErrorKind::Damaged, format!("copy {:?}", source.key))
            .because(format!(
                "it is damaged at the source: it has {length} bytes, and its snapshots say {}",
                source.size
            ))
            .hint("`verify` on the source tells which snapshots need it"));
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
async fn in_parts_again(engine: &Engine, item: &Item) -> Result<Receipt> {
    match in_parts(engine, item).await? {
        Ok(receipt) => Ok(receipt),
        Err(Damaged { error, found }) => {
            engine.reporter.report(&Event::Retried { error: &error, wait: std::time::Duration::ZERO });
            in_parts(engine, item).await?.map_err(|again| {
                let same = found.is_some() && again.found == found;
                if same { damaged(&again.error, &item.source.key) } else { again.error }
            })
        }
    }
}

/// Every part was right and the whole is not: nobody can say which part it was.
struct Damaged {
    error: Error,
    /// The checksum that was found in place of the sealed one.
    found: Option<u32>,
}

impl From<Error> for Damaged {
    fn from(error: Error) -> Self {
        Self { error, found: None }
    }
}

/// What came of an object in parts, if it came to an end at all.
type Whole = std::result::Result<Receipt, Damaged>;

/// Copies a large object: ranges of the source feed parts of the target, several at once.
async fn in_parts(engine: &Engine, item: &Item) -> Result<Whole> {
    let source = &item.source;
    let specs = parts(source.size, engine.options.part_size, &engine.to.capability())?;
    // Every range must come from the same content, and the look also tells its attributes and the checksum of the whole.
    let head = retry(&engine.options.retry, engine.reporter.as_ref(), || engine.from.head(&source.key)).await?;
    announced(item, head.meta.size, &head.meta)?;
    if source.etag.is_some() && head.meta.etag != source.etag {
        return Err(Error::new(ErrorKind::Precondition, format!("copy {:?}", source.key))
            .because("it has changed since it was listed"));
    }
    let origin = if item.is_listed() { source } else { &head.meta };
    let options = PutOptions { attributes: engine.attributes(head.attributes.clone(), origin), if_absent: false };
    let begin = || engine.to.put_multipart(item.key(), source.size, &options);
    let upload = retry(&engine.options.retry, engine.reporter.as_ref(), begin).await?;
    let job = Job { engine, item, head: &head, upload: upload.as_ref() };
    let done = tokio::select! {
        biased;
        () = engine.cancel.cancelled() => Err(Engine::cancelled()),
        done = job.fill(specs) => done,
    };
    if !matches!(done, Ok(Ok(_))) {
        abort(item.key(), upload.as_ref()).await;
    }
    done
}

/// An object on its way in parts.
struct Job<'a> {
    engine: &'a Engine,
    item: &'a Item,
    head: &'a Head,
    upload: &'a dyn MultipartUpload,
}

impl Job<'_> {
    async fn fill(&self, specs: impl Iterator<Item = PartSpec>) -> Result<Whole> {
        let (engine, key) = (self.engine, self.item.key());
        let at_once = engine.options.transfers.max(1) as usize;
        let tasks = specs.map(|spec| self.part(spec));
        let mut done: Vec<Arrived> = stream::iter(tasks).buffer_unordered(at_once).try_collect().await?;
        done.sort_by_key(|arrived| arrived.part.spec.number);
        let sums = combined(&done);
        // Before anyone can see it: what the source states of the whole, and what the content says of itself.
        if let Err(error) = prove(key, &sums, &self.head.checksums, &[]) {
            return Ok(Err(error.into()));
        }
        if let Err(damaged) = self.whole_is_sealed(&done) {
            return Ok(Err(damaged));
        }
        let list: Vec<Part> = done.into_iter().map(|arrived| arrived.part).collect();
        // The weakest proof of a part is what the parts prove.
        let put = retry(&engine.options.retry, engine.reporter.as_ref(), || self.upload.complete(list.clone())).await?;
        let receipt = |source, target| Receipt {
            bytes: self.item.source.size,
            checksum: sums.first().copied(),
            source,
            target,
            sealed: self.item.seal.is_some(),
        };
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
                Err(error.into())
            }
        })
    }

    fn whole_is_sealed(&self, done: &[Arrived]) -> std::result::Result<(), Damaged> {
        let pieces = done.iter().filter_map(|arrived| arrived.piece.clone());
        let (Some(seal), Some(whole)) = (&self.item.seal, pieces.reduce(|whole, next| whole.then(&next))) else {
            return Ok(());
        };
        if seal.file.is_some() {
            return sealed(self.engine, self.item, Some(whole)).map_err(Damaged::from);
        }
        if seal.holds(&whole) {
            return Ok(());
        }
        Err(Damaged { error: seal.broken(&self.item.source.key, &whole), found: whole.sum().or(Some(0)) })
    }

    async fn part(&self, spec: PartSpec) -> Result<Arrived> {
        let (engine, source) = (self.engine, &self.item.source);
        let _permit = engine.budget.permit(spec.length).await;
        let range: Range<u64> = spec.offset..spec.offset + spec.length;
        retry(&engine.options.retry, engine.reporter.as_ref(), || async {
            let options = GetOptions { range: Some(range.clone()), if_match: self.head.meta.etag.clone() };
            let got: GetResult = engine.from.get(&source.key, options).await?;
            announced(self.item, got.meta.size, &got.meta)?;
            let (pipe, body) = engine.pipe(got);
            if let Some(seal) = &self.item.seal {
                pipe.watch(&source.key, seal, spec.offset, false);
            }
            let part = self.upload.put_part(spec, body).await.map_err(|error| pipe.cause().unwrap_or(error))?;
            let sums = pipe.sums();
            prove(&source.key, &sums, &[], &part.checksums)?;
            Ok(Arrived { part, sums, piece: pipe.piece() })
        })
        .await
    }
}

/// A part that has arrived.
struct Arrived {
    part: Part,
    sums: Vec<Checksum>,
    piece: Option<Piece>,
}

/// The sums of the whole object, out of those of its parts.
fn combined(parts: &[Arrived]) -> Vec<Checksum> {
    let whole = parts.iter().map(|arrived| (arrived.sums.clone(), arrived.part.spec.length)).reduce(
        |(sums, length), (next, more)| {
            let both = sums.iter().filter_map(|sum| {
                let follows = next.iter().find(|next| next.algorithm == sum.algorithm)?;
                sum.followed_by(*follows, more)
            });
            (both.collect(), length + more)
        },
    );
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
    /// An item with the length that it really has.
    async fn as_it_is(&self, item: &Item) -> Result<Item> {
        let head = retry(&self.options.retry, self.reporter.as_ref(), || self.from.head(&item.source.key)).await?;
        let mut actual = item.clone();
        actual.source.size = head.meta.size;
        Ok(actual)
    }

    fn pipe(&self, got: GetResult) -> (Pipe, Body) {
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
