//! A store that fails on purpose, by script: the way tests make trouble. Failure injection is never a branch in the product.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, future, stream};

use crate::error::{Error, ErrorKind, Result};
use crate::store::{
    Body, Capability, GetOptions, GetResult, Head, Key, ListOptions, MultipartUpload, ObjectStore, Origin, Pages, Part,
    PartSpec, PutOptions, PutResult, Setting,
};

/// A call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the call of that name")]
pub enum Operation {
    Head,
    Get,
    Put,
    Copy,
    Begin,
    PutPart,
    Complete,
    Abort,
    List,
    Delete,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this kind before anything is done.
    Fail(ErrorKind),
    /// It is carried out, and then its answer is lost.
    Lost,
    /// A put is acknowledged and not carried out.
    Forget,
    /// A body read breaks with an error after this many bytes.
    Break(u64),
    /// A body read ends early after this many bytes, without an error.
    Cut(u64),
    /// One bit of a body read is flipped, at this offset.
    Flip(u64),
    /// The object pretends to be this long, in itself consistently.
    Pretend(u64),
}

type Script = dyn Fn(Operation, &str, u64) -> Option<Fault> + Send + Sync;

/// A store with a script: asked before every call with the operation, the key and how many writes were made before.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    script: Arc<Script>,
    writes: Arc<AtomicU64>,
    seen: Arc<Mutex<Vec<(Operation, String)>>>,
}

impl Faulty {
    /// Puts a script around a store.
    pub fn new(
        inner: Arc<dyn ObjectStore>,
        script: impl Fn(Operation, &str, u64) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, script: Arc::new(script), writes: Arc::default(), seen: Arc::default() }
    }

    /// Every call made, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<(Operation, String)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ask(&self, operation: Operation, key: &str) -> Result<Option<Fault>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push((operation, key.to_owned()));
        let fault = (self.script)(operation, key, self.writes.load(Ordering::SeqCst));
        if matches!(
            operation,
            Operation::Put | Operation::Copy | Operation::PutPart | Operation::Complete | Operation::Delete
        ) {
            self.writes.fetch_add(1, Ordering::SeqCst);
        }
        match fault {
            Some(Fault::Fail(kind)) => Err(scripted(kind, operation, key)),
            other => Ok(other),
        }
    }
}

fn scripted(kind: ErrorKind, operation: Operation, key: &str) -> Error {
    Error::new(kind, format!("{operation:?} `{key}`")).because("a test said so")
}

fn answer<T>(fault: Option<Fault>, operation: Operation, key: &str, done: T) -> Result<T> {
    if fault == Some(Fault::Lost) { Err(scripted(ErrorKind::Unavailable, operation, key)) } else { Ok(done) }
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faulty").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn head(&self, key: &Key) -> Result<Head> {
        self.ask(Operation::Head, key.as_str())?;
        self.inner.head(key).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        let fault = self.ask(Operation::Get, key.as_str())?;
        let mut got = self.inner.get(key, options).await?;
        match fault {
            Some(Fault::Pretend(length)) => {
                got.meta.size = length;
                got.checksums.clear();
                got.body = damaged(got.body, Fault::Cut(length));
                got.body.length = length;
            }
            Some(fault) => got.body = damaged(got.body, fault),
            None => {}
        }
        Ok(got)
    }

    async fn put(&self, key: &Key, body: Body, options: &PutOptions) -> Result<PutResult> {
        let fault = self.ask(Operation::Put, key.as_str())?;
        if fault == Some(Fault::Forget) {
            let length = body.length;
            body.collect(length).await?;
            return Ok(PutResult::default());
        }
        let done = self.inner.put(key, body, options).await?;
        answer(fault, Operation::Put, key.as_str(), done)
    }

    async fn put_multipart(&self, key: &Key, size: u64, options: &PutOptions) -> Result<Box<dyn MultipartUpload>> {
        self.ask(Operation::Begin, key.as_str())?;
        let inner = self.inner.put_multipart(key, size, options).await?;
        Ok(Box::new(FaultyUpload { inner, store: self.clone(), key: key.clone() }))
    }

    async fn copy(&self, from: Origin<'_>, key: &Key, options: &PutOptions) -> Result<PutResult> {
        let fault = self.ask(Operation::Copy, key.as_str())?;
        let done = self.inner.copy(from, key, options).await?;
        answer(fault, Operation::Copy, key.as_str(), done)
    }

    fn list(&self, options: ListOptions) -> Pages {
        match self.ask(Operation::List, options.after.as_ref().map_or("", Key::as_str)) {
            Err(error) => stream::once(future::ready(Err(error))).boxed(),
            Ok(_) => self.inner.list(options),
        }
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let fault = self.ask(Operation::Delete, key.as_str())?;
        self.inner.delete(key).await?;
        answer(fault, Operation::Delete, key.as_str(), ())
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>> {
        let mut failed = Vec::new();
        for key in keys {
            if let Err(error) = self.delete(key).await {
                failed.push((key.clone(), error));
            }
        }
        Ok(failed)
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn learnt(&self) -> Vec<(&'static str, Setting)> {
        self.inner.learnt()
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    store: Faulty,
    key: Key,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    async fn put_part(&self, part: PartSpec, body: Body) -> Result<Part> {
        let fault = self.store.ask(Operation::PutPart, self.key.as_str())?;
        let done = self.inner.put_part(part, body).await?;
        answer(fault, Operation::PutPart, self.key.as_str(), done)
    }

    async fn copy_part(&self, part: PartSpec, from: Origin<'_>) -> Result<Part> {
        self.inner.copy_part(part, from).await
    }

    async fn complete(&self, parts: Vec<Part>) -> Result<PutResult> {
        let fault = self.store.ask(Operation::Complete, self.key.as_str())?;
        let done = self.inner.complete(parts).await?;
        answer(fault, Operation::Complete, self.key.as_str(), done)
    }

    async fn abort(&self) -> Result<()> {
        self.store.ask(Operation::Abort, self.key.as_str())?;
        self.inner.abort().await
    }
}

fn damaged(body: Body, fault: Fault) -> Body {
    let mut at = 0u64;
    let stream = body.stream.map(move |bytes| {
        let bytes = bytes?;
        let begin = at;
        at += bytes.len() as u64;
        let place = |offset: u64| usize::try_from(offset - begin).expect("inside this chunk");
        Ok(match fault {
            Fault::Break(limit) if limit < at => {
                return Err(Error::new(ErrorKind::Unavailable, "read a body").because("a test said so"));
            }
            Fault::Cut(limit) if limit < begin => Bytes::new(),
            Fault::Cut(limit) if limit < at => bytes.slice(..place(limit)),
            Fault::Flip(offset) if (begin..at).contains(&offset) => {
                let mut changed = bytes.to_vec();
                changed[place(offset)] ^= 1;
                changed.into()
            }
            _ => bytes,
        })
    });
    Body { length: body.length, stream: stream.boxed() }
}
