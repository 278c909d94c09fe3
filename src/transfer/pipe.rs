//! The pipe: counts and sums a body as it passes, and lets its end through only if it is right.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::pace::Pace;
use super::seal::{Piece, Seal, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::store::{Algorithm, Body, Checksum, Digest, GetResult, Key, short};

/// Counts and sums a body as it passes, and lets its end through only if it is right.
#[derive(Debug, Clone)]
pub(super) struct Pipe(Arc<Mutex<Passed>>);

#[derive(Debug)]
struct Passed {
    digests: Vec<Digest>,
    /// What the source states of the bytes.
    stated: Vec<Checksum>,
    bytes: u64,
    error: Option<Error>,
    watch: Option<Watch>,
    /// What the watch must have seen at the end, if all of the file passes here.
    seal: Option<(Key, Seal)>,
    /// The checksum of a content that is not what its seal says.
    broken: Option<u32>,
}

impl Pipe {
    /// Leads a body through; `algorithms` are summed, and with them what the source states.
    pub(super) fn through(
        got: GetResult,
        algorithms: &[Algorithm],
        reporter: Arc<dyn Reporter>,
        pace: Pace,
    ) -> (Self, Body) {
        let mut all = algorithms.to_vec();
        for stated in &got.checksums {
            // An MD5 would cost more than the copy: it is compared with what the target states of its own accord.
            if stated.algorithm != Algorithm::Md5 && !all.contains(&stated.algorithm) {
                all.push(stated.algorithm);
            }
        }
        let digests = all.into_iter().map(Digest::new).collect();
        let passed =
            Passed { digests, stated: got.checksums, bytes: 0, error: None, watch: None, seal: None, broken: None };
        let pipe = Self(Arc::new(Mutex::new(passed)));
        let length = got.body.length;
        let state = Flow { pipe: pipe.clone(), source: Some(got.body), held: None, reporter, pace };
        (pipe, Body { length, stream: stream::unfold(state, Flow::next).boxed() })
    }

    /// Watches over a stretch of a sealed file, from `offset` of its object on; `whole` if nothing of the file passes elsewhere.
    pub(super) fn watch(&self, key: &Key, seal: &Seal, offset: u64, whole: bool) {
        let mut passed = self.passed();
        passed.watch = Some(seal.watch(offset));
        passed.seal = whole.then(|| (key.clone(), seal.clone()));
    }

    /// What is known of the stretch that passed; none if nobody watched.
    pub(super) fn piece(&self) -> Option<Piece> {
        self.passed().watch.as_ref().map(Watch::piece)
    }

    /// The checksum that was found in place of the sealed one, if the seal is broken.
    pub(super) fn broken(&self) -> Option<u32> {
        self.passed().broken
    }

    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums of everything that passed.
    pub(super) fn sums(&self) -> Vec<Checksum> {
        self.passed().digests.iter().map(Digest::finish).collect()
    }

    /// Why the body ended badly, if it did: the target only sees a connection that breaks.
    pub(super) fn cause(&self) -> Option<Error> {
        self.passed().error.take()
    }

    fn take(&self, bytes: &Bytes, length: u64) -> Result<()> {
        let mut passed = self.passed();
        passed.bytes += bytes.len() as u64;
        for digest in &mut passed.digests {
            digest.update(bytes);
        }
        if let Some(watch) = &mut passed.watch {
            watch.take(bytes);
        }
        if passed.bytes > length { Err(short(length, passed.bytes)) } else { Ok(()) }
    }

    fn end(&self, length: u64) -> Result<()> {
        let mut passed = self.passed();
        if passed.bytes != length {
            return Err(short(length, passed.bytes));
        }
        for came in passed.digests.iter().map(Digest::finish) {
            let contradiction =
                passed.stated.iter().find(|stated| stated.algorithm == came.algorithm && **stated != came);
            if let Some(stated) = contradiction {
                let cause = format!("the source states {stated} and {came} came");
                return Err(Error::new(ErrorKind::Corrupt, "read a body").because(cause));
            }
        }
        let found = passed.watch.as_ref().map(Watch::piece);
        if let (Some((key, seal)), Some(found)) = (&passed.seal, found)
            && !seal.holds(&found)
        {
            let error = seal.broken(key, &found);
            passed.broken = Some(found.sum().unwrap_or_default());
            return Err(error);
        }
        Ok(())
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
    pace: Pace,
}

impl Flow {
    async fn next(mut self) -> Option<(Result<Bytes>, Self)> {
        loop {
            let body = self.source.as_mut()?;
            let length = body.length;
            let checked = match body.stream.next().await {
                Some(Ok(bytes)) => {
                    self.reporter.report(&Event::Moved { bytes: bytes.len() as u64 });
                    self.pace.pass(bytes.len() as u64).await;
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
