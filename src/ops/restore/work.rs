//! The part of a restore that changes things, batch by batch, each change told to the log before it is made.

mod telling;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::log::{Entry, Undo};
use super::orders::{self, Batched};
use super::overall::Overall;
use super::prepare::Prepared;
use super::repair::{self, Repaired};
use super::{Finding, Options, Restored};
use super::{aftercare, requests, swap, throttle};
use crate::elastic::aftercare::{self as settle, Lifecycle};
use crate::elastic::conflict::{Piece, Place, Unit};
use crate::elastic::creation::{self, Creation, GlobalState};
use crate::elastic::follow::{self, Ended, Followed};
use crate::elastic::restore::{self, Order, Started};
use crate::elastic::state::{self, StateOrder};
use crate::elastic::{Client, index, snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// How often a batch is tried whose blobs were repaired: a second blob of the same shard shows only when the first is there.
const TRIES: u32 = 4;

/// A restore under way.
pub(super) struct Work<'a> {
    pub(super) client: &'a Client,
    pub(super) options: &'a Options,
    pub(super) reporter: &'a dyn Reporter,
    pub(super) cancel: &'a CancellationToken,
    pub(super) prepared: &'a Prepared,
    pub(super) restored: Restored,
    /// Identities of what was there before.
    before: BTreeMap<String, String>,
    /// What is to be put back or done still.
    open: Mutex<Undo>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        client: &'a Client,
        options: &'a Options,
        reporter: &'a dyn Reporter,
        cancel: &'a CancellationToken,
        prepared: &'a Prepared,
    ) -> Self {
        let indices = prepared.existing.indices.iter();
        let before = indices.map(|(name, index)| (name.clone(), index.uuid.clone())).collect();
        let restored = Restored {
            repository: options.repository.clone(),
            snapshot: prepared.snapshot.name.clone(),
            uuid: prepared.snapshot.uuid.clone(),
            skipped: prepared.plan.skipped.clone(),
            left_out: prepared.selection.left_out.clone(),
            findings: prepared.findings.clone(),
            ..Restored::default()
        };
        Self { client, options, reporter, cancel, prepared, restored, before, open: Mutex::new(options.left.clone()) }
    }

    pub(super) fn record(&self, entry: &Entry) -> Result<()> {
        self.options.log.as_ref().map_or(Ok(()), |log| log.record(entry))?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).note(entry);
        Ok(())
    }

    /// Does all of it. What was raised is put back however it ends.
    pub(super) async fn run(mut self) -> Result<Restored> {
        let pieces = self.all_units().flat_map(|unit| unit.pieces.clone()).collect();
        let selection = &self.prepared.selection;
        self.record(&Entry::Planned {
            repository: self.options.repository.clone(),
            snapshot: self.prepared.snapshot.name.clone(),
            uuid: self.prepared.snapshot.uuid.clone(),
            pieces,
            cluster_uuid: self.client.about().uuid.clone(),
            cluster: self.client.about().name.clone(),
            selection: selection.indices.iter().chain(&selection.data_streams).cloned().collect(),
        })?;
        let raised = throttle::raise(&self).await;
        let done = match &raised {
            Ok(_) => self.batches().await.map_err(|error| self.bereft(error)),
            Err(_) => Ok(()),
        };
        let changes = raised.as_ref().map_or_else(|_| self.options.left.raised.clone(), Clone::clone);
        let lowered = throttle::lower(&self, &changes).await;
        raised?;
        done.map_err(|error| self.interrupted(error))?;
        lowered?;
        aftercare::inventory(&mut self.restored, self.client, self.options).await;
        self.record(&Entry::Finished)?;
        Ok(self.restored)
    }

    /// Says after a signal what is open.
    fn interrupted(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Cancelled {
            return error;
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).open();
        let mut hint = "run the same command again: it takes up what runs and does the rest".to_owned();
        if self.options.log.is_none() {
            hint.push_str(" while the cluster is at it (later only with `--undo-file`, which this run had not)");
        }
        if !open.is_empty() {
            hint.push_str(&format!("; left open: {}", open.join("; ")));
        }
        if let Some(advice) = error.advice() {
            hint.push_str(&format!("; {advice}"));
        }
        error.hint(hint)
    }

    pub(super) fn all_units(&self) -> impl Iterator<Item = &Unit> {
        self.prepared.running.iter().chain(&self.prepared.done).chain(&self.prepared.plan.units)
    }

    async fn batches(&mut self) -> Result<()> {
        let prepared = self.prepared;
        if self.options.lifecycle == Lifecycle::Stop {
            self.record(&Entry::StoppingLifecycle)?;
            if settle::stop_lifecycle(self.client).await? {
                let text =
                    "the cluster's lifecycle management is stopped and stays so: start it with `POST _ilm/start`";
                self.restored.findings.push(Finding::warning("the lifecycle management", text));
                self.reporter.report(&Event::Warning(text));
            }
        }
        if !prepared.lost.is_empty() {
            repair::before(self).await?;
        }
        self.secure().await?;
        let mut groups: Vec<(Batched, Stage)> = Vec::new();
        let mut taken_up: Vec<&Unit> = prepared.done.iter().collect();
        taken_up.extend(&prepared.running);
        for unit in taken_up {
            groups.extend(
                orders::batches(prepared, self.options, vec![unit.clone()])
                    .into_iter()
                    .map(|batch| (batch, Stage::Begun)),
            );
        }
        groups.extend(prepared.batches(self.options).into_iter().map(|batch| (batch, Stage::New)));
        let count = groups.len();
        for (number, (batch, stage)) in groups.into_iter().enumerate() {
            if self.cancel.is_cancelled() {
                return Err(self.partly(number, count, self.stopped()));
            }
            if let Err(error) = self.batch(&batch, stage).await {
                return Err(self.partly(number, count, error));
            }
        }
        let state = self.state().await;
        state.map_err(|error| Self::complete(&self.restored.indices, "the cluster's own state", error))
    }

    /// Takes a snapshot of what is about to be lost.
    async fn secure(&mut self) -> Result<()> {
        let Some(repository) = self.options.safety.clone() else { return Ok(()) };
        let indices = requests::touched(self.prepared);
        if indices.is_empty() {
            return Ok(());
        }
        let taken = snapshot::list(self.client, &repository, snapshot::Detail::Short).await?;
        let base = format!("before-{}", self.prepared.snapshot.name.to_lowercase());
        let names = (1..).map(|number| if number == 1 { base.clone() } else { format!("{base}-{number}") });
        // One more name than there are snapshots: one of them is free.
        let mut names = names.take(taken.len() + 1);
        let name = names.find(|name| !taken.iter().any(|snapshot| snapshot.name == *name));
        let name = name.expect("there are more names than snapshots");
        self.record(&Entry::Securing { repository: repository.clone(), snapshot: name.clone() })?;
        let creation =
            Creation { repository: repository.clone(), snapshot: name.clone(), indices, ..Creation::default() };
        creation::create(self.client, &creation, self.options.patience, self.reporter, self.cancel).await?;
        self.restored.safety_snapshot = Some(format!("{repository}:{name}"));
        Ok(())
    }

    /// One batch: begun, followed, repaired and tried again, settled.
    async fn batch(&mut self, batch: &Batched, stage: Stage) -> Result<()> {
        let Batched { order, pieces, place, replicas } = batch;
        let started = match stage {
            Stage::Begun => order.begun(),
            Stage::New => self.begin(batch).await?,
        };
        let followed = self.follow(order, started).await?;
        let settled = restore::settle(self.client, order).await;
        settled.map_err(|error| Self::complete(&order.targets, "a setting that was there for its time", error))?;
        self.record(&Entry::Restored { pieces: pieces.clone() })?;
        self.count(pieces, &followed);
        for (count, names) in by_count(replicas) {
            let set = settle::set_replicas(self.client, &names, count).await;
            set.map_err(|error| {
                Self::complete(&order.targets, &format!("`index.number_of_replicas` {count}, now 0"), error)
            })?;
            self.record(&Entry::Replicated { indices: names })?;
        }
        if *place == Place::Beside {
            let (swapped, gone) = swap::swap(self, pieces).await?;
            self.restored.swapped.extend(swapped);
            self.restored.deleted.extend(gone);
        }
        Ok(())
    }

    fn count(&mut self, pieces: &[Piece], followed: &Followed) {
        let restored = &mut self.restored;
        restored.indices.extend(pieces.iter().map(|piece| piece.target.clone()));
        restored.pieces.extend(pieces.iter().cloned());
        restored.shards.total += followed.shards.total;
        restored.shards.successful += followed.shards.successful;
        restored.shards.failed += followed.shards.failed;
        restored.bytes += followed.bytes;
        restored.reused_bytes += followed.reused_bytes;
    }

    /// Makes room and starts. Not to be interrupted: an index closed and left so would be the worst of both. The requests are few
    /// and bounded.
    async fn begin(&mut self, batch: &Batched) -> Result<Started> {
        let is_ours = |name: &&String| batch.order.targets.contains(*name);
        let close: Vec<String> = self.prepared.plan.close.iter().filter(is_ours).cloned().collect();
        let delete: Vec<String> = self.prepared.plan.delete.iter().filter(is_ours).cloned().collect();
        if !delete.is_empty() {
            let named = delete.iter().map(|name| (name.clone(), self.before.get(name).cloned().unwrap_or_default()));
            self.record(&Entry::Deleting { indices: named.collect() })?;
            if let Err(error) = index::delete(self.client, &delete).await {
                self.restored.deleted.extend(telling::gone(self.client, delete).await);
                return Err(error);
            }
            self.restored.deleted.extend(delete);
        }
        let started = self.start(batch, &close).await?;
        self.restored.closed.extend(close);
        Ok(started)
    }

    /// Closes what must be closed and starts the restore; a refusal leaves nothing closed.
    async fn start(&self, batch: &Batched, close: &[String]) -> Result<Started> {
        if !close.is_empty() {
            self.record(&Entry::Closing { indices: close.to_vec() })?;
        }
        let outcome = async {
            index::close(self.client, close).await?;
            self.record(&Entry::Submitting {
                pieces: batch.pieces.clone(),
                temporary: batch.place == Place::Beside,
                replicas: batch.replicas.clone(),
            })?;
            restore::start(self.client, &batch.order).await
        };
        let error = match outcome.await {
            Ok(started) => {
                self.tell_created(&batch.order).await;
                return Ok(started);
            }
            Err(error) => error,
        };
        if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) {
            self.record(&Entry::Refused { pieces: batch.pieces.clone() })?;
        }
        if close.is_empty() {
            return Err(error);
        }
        // Opening is harmless even if the restore was begun unseen: its indices are open already.
        let fate = match index::open(self.client, close).await {
            Ok(()) => {
                self.record(&Entry::Opened { indices: close.to_vec() })?;
                "what had been closed for it is open again".to_owned()
            }
            Err(why) => format!("{} stay closed, because opening them failed: {why}", close.join(", ")),
        };
        let cause = error.cause().unwrap_or_else(|| error.kind().word().to_owned());
        Err(error.because(format!("{cause} ({fate})")))
    }

    /// Tells the identities of what is being restored; only for a log, and never a reason to fail.
    async fn tell_created(&self, order: &Order) {
        if self.options.log.is_none() {
            return;
        }
        let told = async {
            let now = index::existing(self.client).await?;
            let named =
                order.targets.iter().filter_map(|name| Some((name.clone(), now.indices.get(name)?.uuid.clone())));
            self.record(&Entry::Submitted { indices: named.collect() })
        };
        if let Err(error) = told.await {
            tracing::debug!(%error, "what the restore makes is not known yet");
        }
    }

    /// Follows a restore to its end. Where a blob is at fault and another copy has it, it is brought and the restore tried again.
    async fn follow(&mut self, order: &Order, mut started: Started) -> Result<Followed> {
        for tried in 1.. {
            let overall = Overall::new(self);
            let ended = follow::end(self.client, &started, self.options.patience, &overall, self.cancel).await?;
            let failed = match ended {
                Ended::Well(followed) => return Ok(followed),
                Ended::Badly(failed) => failed,
            };
            if tried >= TRIES {
                return Err(failed.error);
            }
            let Some(Repaired { objects }) = repair::repair(self, &failed).await? else { return Err(failed.error) };
            self.restored.repaired_objects += objects;
            self.reporter.report(&Event::Warning(&format!(
                "{}: repaired, and restored again over what is on the nodes already",
                failed.error
            )));
            started = self.again(order).await?;
        }
        Err(Error::new(ErrorKind::Internal, "follow a restore to its end"))
    }

    /// Restores once more over what a failed restore left (finding 4): what is on the nodes is used again.
    async fn again(&self, order: &Order) -> Result<Started> {
        self.record(&Entry::Closing { indices: order.targets.clone() })?;
        if self.client.capability().tries_shards_again {
            index::close(self.client, &order.targets).await?;
        } else {
            // 5.5 keeps such a restore open: its indices can only be deleted.
            restore::abandon(self.client, order, &order.targets).await?;
        }
        restore::start(self.client, order).await
    }

    /// The cluster's own state, after the indices: should it be refused, they are there.
    async fn state(&mut self) -> Result<()> {
        let is_global = self.options.global_state == GlobalState::With;
        if !is_global && self.options.feature_states.is_empty() {
            return Ok(());
        }
        let order = StateOrder {
            repository: self.options.repository.clone(),
            snapshot: self.prepared.snapshot.name.clone(),
            is_global,
            features: self.options.feature_states.clone(),
        };
        state::restore(self.client, &order).await?;
        self.restored.global_state = is_global;
        Ok(())
    }
}

/// Whether a restore is still to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Begun,
}

/// Names together that are to have the same number of replicas.
fn by_count(replicas: &BTreeMap<String, u32>) -> BTreeMap<u32, Vec<String>> {
    let mut counts: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (name, count) in replicas {
        counts.entry(*count).or_default().push(name.clone());
    }
    counts
}
