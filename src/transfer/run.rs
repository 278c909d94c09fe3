//! A running plan: the only holder of tasks.
//!
//! One loop takes decisions from the plan, waits for a permit for the first transfer of the queue, spawns it, and settles what has
//! finished. Planning runs ahead of copying as far as it can; what it finds waits in a spool, not in memory. One object that fails does not end the run; a run in which nothing succeeds any more does. When the run is cancelled no
//! new work begins, what is open ends or is aborted, and only then does the loop return.

use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinSet};

use super::budget::Permit;
use super::copy::{Outcome, perform};
use super::engine::Engine;
use super::phase::{Data, Fence, Meta, Phase, Publication, Published, Root, Transfer};
use super::plan::{CopyPlan, Step};
use super::spool::Spool;
use super::summary::Summary;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::store::wrap::retry;
use crate::store::{Body, GetOptions, Key, PutOptions};

/// Why a phase did not lead to the next one.
#[derive(Debug)]
pub enum Stop {
    /// Objects failed; the summary names them.
    Failures,
    /// The run as a whole cannot go on.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// After this many failures in a row that speak of the whole place, and not of an object, the run ends.
const IN_A_ROW: u32 = 24;

/// A run in one of its phases.
pub struct Run<P> {
    engine: Arc<Engine>,
    tasks: JoinSet<Settled>,
    failures_in_a_row: u32,
    phase: PhantomData<P>,
}

/// A transfer that may begin. Its permit is given back when it ends.
struct Ready<P> {
    transfer: Transfer<P>,
    permit: Leave,
}

/// What a transfer holds while it is under way.
#[expect(dead_code, reason = "held, not looked at")]
enum Leave {
    Stream(Permit),
    Upload(OwnedSemaphorePermit),
}

/// A transfer that has ended.
struct Settled {
    key: Key,
    bytes: u64,
    outcome: Result<Outcome>,
}

/// Proof that everything is at the target and its root published.
pub struct Committed {
    pub(super) engine: Arc<Engine>,
    /// The generation that the target's root names; none in a plain copy.
    pub generation: Option<u64>,
    /// Whether a root object had to be written.
    pub wrote: bool,
}

impl Run<Data> {
    /// Begins a run.
    #[must_use]
    pub fn begin(engine: Arc<Engine>) -> Self {
        Self::new(engine)
    }

    /// Plans to the end and copies all data meanwhile.
    pub async fn copy(mut self, plan: &mut CopyPlan, summary: &mut Summary) -> Result<Run<Meta>, Stop> {
        self.engine.reporter.report(&Event::Phase(Data::WORD));
        let planned = self.follow(plan, summary).await;
        self.finish(planned, summary).await?;
        Ok(Run::new(self.engine))
    }

    /// Planning runs ahead of copying: the totals are known early, and no copy waits for a listing.
    async fn follow(&mut self, plan: &mut CopyPlan, summary: &mut Summary) -> Result<()> {
        let mut queue = Spool::default();
        let mut planned = false;
        let mut next = None;
        loop {
            if next.is_none() {
                next = queue.pop()?.map(|transfer| self.waiting(transfer));
            }
            if planned && next.is_none() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.engine.cancel.cancelled() => return Err(Engine::cancelled()),
                Some(done) = self.tasks.join_next() => self.settle(done, summary)?,
                ready = async { next.as_mut().expect("guarded").await }, if next.is_some() => {
                    next = None;
                    self.start(ready);
                }
                step = plan.next(), if !planned => if let Some(step) = step? {
                    self.take(step, &mut queue, summary)?;
                } else {
                    planned = true;
                    self.engine.reporter.report(&Event::PlanComplete);
                },
            }
        }
    }

    fn take(&self, step: Step, queue: &mut Spool<Transfer<Data>>, summary: &mut Summary) -> Result<()> {
        let reporter = &self.engine.reporter;
        match step {
            Step::Copy(transfer) => {
                reporter.report(&Event::Planned { bytes: transfer.bytes() });
                queue.push(transfer)?;
            }
            Step::Later { bytes, .. } => reporter.report(&Event::Planned { bytes }),
            Step::Skip { key, bytes, reason } => {
                reporter.report(&Event::Skipped { key: key.as_str(), reason });
                summary.skip(bytes, reason);
            }
            Step::Extra(meta) => summary.extra.add(meta.size),
        }
        Ok(())
    }
}

impl Run<Meta> {
    /// Copies all metadata, level by level.
    pub async fn copy(mut self, plan: &mut CopyPlan, summary: &mut Summary) -> Result<Run<Root>, Stop> {
        self.engine.reporter.report(&Event::Phase(Meta::WORD));
        for level in plan.take_meta() {
            let done = self.work_off(level, summary).await;
            self.finish(done, summary).await?;
        }
        Ok(Run::new(self.engine))
    }

    async fn work_off(&mut self, mut queue: Spool<Transfer<Meta>>, summary: &mut Summary) -> Result<()> {
        while let Some(transfer) = queue.pop()? {
            let mut next = self.waiting(transfer);
            let ready = loop {
                tokio::select! {
                    biased;
                    () = self.engine.cancel.cancelled() => return Err(Engine::cancelled()),
                    Some(done) = self.tasks.join_next() => self.settle(done, summary)?,
                    ready = &mut next => break ready,
                }
            };
            self.start(ready);
        }
        Ok(())
    }
}

impl Run<Root> {
    /// Writes the root: what the fence holds, one after the other, each read back.
    pub async fn commit(self, fence: Fence, summary: &mut Summary) -> Result<Committed, Stop> {
        let engine = &self.engine;
        engine.reporter.report(&Event::Phase(Root::WORD));
        let mut wrote = false;
        for publication in &fence.published.publications {
            if publication.there.as_ref() == Some(&publication.bytes) {
                summary.skip(publication.bytes.len() as u64, "same-content");
                continue;
            }
            if engine.cancel.is_cancelled() {
                return Err(Engine::cancelled().into());
            }
            publish(engine, publication).await?;
            wrote = true;
            copied(engine, &publication.key, publication.bytes.len() as u64, summary);
        }
        if let (true, Some(generation)) = (wrote, fence.published.generation) {
            engine.reporter.report(&Event::Published { generation });
        }
        Ok(Committed { engine: self.engine.clone(), generation: fence.published.generation, wrote })
    }
}

impl Engine {
    /// Publishes root objects outside a run: everything they name is there already.
    pub async fn publish(&self, published: &Published) -> Result<()> {
        for publication in &published.publications {
            if publication.there.as_ref() != Some(&publication.bytes) {
                publish(self, publication).await?;
            }
        }
        Ok(())
    }
}

fn copied(engine: &Engine, key: &Key, bytes: u64, summary: &mut Summary) {
    summary.copy(key, bytes);
    engine.reporter.report(&Event::Copied { key: key.as_str(), bytes });
}

/// Writes a root object and reads it back: what readers start from is worth one request more.
async fn publish(engine: &Engine, publication: &Publication) -> Result<()> {
    let Publication { key, bytes, create, .. } = publication;
    let options = PutOptions { if_absent: *create, ..PutOptions::default() };
    retry(&engine.options.retry, engine.reporter.as_ref(), || async {
        match engine.to.put(key, Body::from_bytes(bytes.clone()), &options).await {
            // It may be our own, with its answer lost: the look shows it.
            Err(error) if *create && error.kind() == ErrorKind::AlreadyExists => {}
            other => drop(other?),
        }
        let back: Bytes = engine.to.get(key, GetOptions::default()).await?.body.collect(bytes.len() as u64 + 1).await?;
        if back == *bytes {
            return Ok(());
        }
        if *create {
            return Err(Error::new(ErrorKind::Diverged, format!("publish {key:?}"))
                .because("somebody else published other content under that name meanwhile")
                .hint("make sure that no cluster has the target registered writable and that no other sync runs, then run again"));
        }
        Err(Error::new(ErrorKind::Corrupt, format!("publish {key:?}"))
            .because("the target gives back other content than was written"))
    })
    .await?;
    engine.reporter.report(&Event::Moved { bytes: bytes.len() as u64 });
    Ok(())
}

impl<P: Phase> Run<P> {
    fn new(engine: Arc<Engine>) -> Self {
        Self { engine, tasks: JoinSet::new(), failures_in_a_row: 0, phase: PhantomData }
    }

    /// A transfer that waits for its permit.
    fn waiting(&self, transfer: Transfer<P>) -> BoxFuture<'static, Ready<P>> {
        let engine = self.engine.clone();
        Box::pin(async move {
            let large = engine.is_large(transfer.bytes());
            let permit = if large {
                Leave::Upload(engine.budget.upload().await)
            } else {
                Leave::Stream(engine.budget.permit(transfer.bytes()).await)
            };
            Ready { transfer, permit }
        })
    }

    /// Sets a transfer going.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns transfers")]
    fn start(&mut self, ready: Ready<P>) {
        let engine = self.engine.clone();
        self.tasks.spawn(async move {
            let Ready { transfer, permit } = ready;
            let work = async {
                tokio::select! {
                    biased;
                    // An upload in parts notices by itself, because it has something to give back.
                    () = engine.cancel.cancelled(), if matches!(permit, Leave::Stream(_)) => Err(Engine::cancelled()),
                    outcome = perform(&engine, &transfer) => outcome,
                }
            };
            // A bug in the way of one object fails that object and not the run.
            let outcome = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Internal, format!("copy {:?}", transfer.key())).because("snapferry panicked"))
            });
            Settled { key: transfer.key().clone(), bytes: transfer.bytes(), outcome }
        });
    }

    fn settle(&mut self, done: Result<Settled, JoinError>, summary: &mut Summary) -> Result<()> {
        let Settled { key, bytes, outcome } =
            done.map_err(|error| Error::new(ErrorKind::Internal, "finish a transfer").from_source(error))?;
        let error = match outcome {
            Ok(Outcome::Copied(receipt)) => {
                self.failures_in_a_row = 0;
                summary.integrity.add(receipt.source, receipt.target);
                if receipt.sealed {
                    summary.integrity.add_sealed();
                }
                copied(&self.engine, &key, receipt.bytes, summary);
                return Ok(());
            }
            Ok(Outcome::Same(reason)) => {
                self.failures_in_a_row = 0;
                summary.skip(bytes, reason);
                return Ok(());
            }
            Err(error) => error,
        };
        if error.kind() == ErrorKind::Cancelled {
            return Ok(());
        }
        self.engine.reporter.report(&Event::Failed { key: key.as_str(), error: &error });
        summary.fail(&key, bytes, &error)?;
        let of_the_place = matches!(
            error.kind(),
            ErrorKind::Denied | ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Throttled
        );
        self.failures_in_a_row = if of_the_place { self.failures_in_a_row + 1 } else { 0 };
        if self.failures_in_a_row >= IN_A_ROW {
            // What is still under way would only fail too, slowly.
            self.engine.cancel.cancel();
            return Err(error.while_doing("go on: the last objects all failed"));
        }
        Ok(())
    }

    /// Waits for everything that is under way, then says whether the phase is complete.
    async fn finish(&mut self, planned: Result<()>, summary: &mut Summary) -> Result<(), Stop> {
        let mut result = planned;
        while let Some(done) = self.tasks.join_next().await {
            let settled = self.settle(done, summary);
            result = result.and(settled);
        }
        result?;
        if self.engine.cancel.is_cancelled() {
            return Err(Engine::cancelled().into());
        }
        if summary.failed.objects > 0 { Err(Stop::Failures) } else { Ok(()) }
    }
}
