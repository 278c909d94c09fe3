//! The state machine: which round is on, which step comes next, and what is written down before and after it.
//!
//! 1. A round that did not end goes on at the first step that did not, whatever stopped it. A round of another phase gives it up if it
//!    has not begun to restore, else ends it first: nobody else may touch indices into which a restore is on its way.
//! 2. Before a step: what it needs for finding out later what became of it. After it: what came of it.
//! 3. An open cutover or rollback is never given up by another phase: the source is blocked, and that must be ended knowingly.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::hook::{self, When};
use super::journal::Journal;
use super::record::{End, Entry, Failure, Header, Intent, Outcome, VERSION};
use super::state::{Round, State, ended};
use super::step::{Phase, Step};
use super::{Job, Sides, bring, carry, choice, preflight, prepare, rollback, standing};
use crate::elastic::identity;
use crate::elastic::snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::ops::compare::Level;
use crate::ops::restore;

/// A migration that is under way.
pub(super) struct Machine<'a> {
    pub(super) job: &'a Job,
    pub(super) sides: &'a Sides<'a>,
    pub(super) phase: Phase,
    pub(super) reporter: Arc<dyn Reporter>,
    pub(super) cancel: CancellationToken,
    journal: Arc<Mutex<Journal>>,
}

/// How far a round got.
#[derive(Debug)]
pub struct Progress {
    /// What the journal says now.
    pub state: State,
    /// Why the round stopped before its end, if it did.
    pub error: Option<Error>,
}

/// Begins a round of this phase, or goes on with one that was interrupted, up to its end. With `resume` it only goes on.
///
/// An error here means that nothing was begun; what stops a round is in the [`Progress`].
pub async fn advance(
    job: &Job,
    sides: &Sides<'_>,
    phase: Phase,
    resume: bool,
    reporter: Arc<dyn Reporter>,
    cancel: CancellationToken,
) -> Result<Progress> {
    let header = header(job, sides).await?;
    let journal = Journal::open(&job.journal, &header)?;
    let mut machine = Machine { job, sides, phase, reporter, cancel, journal: Arc::new(Mutex::new(journal)) };
    machine.may_begin(resume)?;
    let error = machine.work().await.err();
    let state = machine.state();
    let error = error.map(|error| machine.explain(error, &state));
    Ok(Progress { state, error })
}

async fn header(job: &Job, sides: &Sides<'_>) -> Result<Header> {
    let place = |end: &crate::ops::End| end.location.to_string();
    Ok(Header {
        version: VERSION,
        job: job.name.clone(),
        from: place(sides.from),
        to: place(sides.to),
        repository: job.registration.name.clone(),
        source: identity::read(sides.source).await?.cluster,
        target: identity::read(sides.target).await?.cluster,
        at: Timestamp::now(),
    })
}

impl Machine<'_> {
    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal, for whoever else writes into it.
    pub(super) fn book(&self) -> Arc<Mutex<Journal>> {
        self.journal.clone()
    }

    /// What the journal says.
    pub(super) fn state(&self) -> State {
        self.lock().state().clone()
    }

    fn write(&self, entry: Entry) -> Result<()> {
        self.lock().write(entry)
    }

    /// What a step that is under way is about to do is something else than was written down.
    pub(super) fn intend(&self, round: u32, step: Step, intent: Intent) -> Result<()> {
        self.write(Entry::Begun { round, step, at: Timestamp::now(), intent: Some(intent) })
    }

    /// How thoroughly to compare.
    pub(super) fn level(&self) -> Level {
        if self.phase == Phase::Cutover { self.job.level.max(Level::Shards) } else { self.job.level }
    }

    /// Work that may be dropped at any moment: what it was about to do is written down.
    pub(super) async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, format!("end the {} of `{}`", self.phase, self.job.name))
                .because("a signal asked to stop")
                .hint("run the same command again: it goes on where it was")),
            done = work => done,
        }
    }

    /// Whether this phase may begin or go on now.
    fn may_begin(&self, resume: bool) -> Result<()> {
        let state = self.state();
        let (name, phase) = (&self.job.name, self.phase);
        let refuse = |cause: &str, hint: String| {
            Err(Error::new(ErrorKind::Precondition, format!("begin the {phase} of `{name}`"))
                .because(cause.to_owned())
                .hint(hint))
        };
        let open = state.open().map(|round| round.phase);
        if let Some(error) = preflight::order(self.job, phase, &state).filter(|_| open != Some(phase)) {
            return Err(error);
        }
        match open {
            Some(Phase::Cutover) if !matches!(phase, Phase::Cutover | Phase::Rollback) => refuse(
                "its cutover is not finished, and the source may be blocked",
                format!(
                    "`migrate cutover {name} --resume` finishes it, `migrate cutover {name} --rollback` takes it back"
                ),
            ),
            Some(Phase::Rollback) if phase != Phase::Rollback => refuse(
                "the rollback of its cutover is not finished",
                format!("`migrate cutover {name} --rollback` finishes it"),
            ),
            None if phase == Phase::Rollback && state.cutover().is_none() => {
                refuse("it has no cutover that could be taken back", format!("see `migrate status {name}`"))
            }
            _ if resume
                && open != Some(phase)
                && !state.cutover().is_some_and(|round| round.end == Some(End::Different)) =>
            {
                refuse("there is nothing to resume", format!("see `migrate status {name}`"))
            }
            None if phase == Phase::Cutover && state.cutover().is_some_and(|round| round.end == Some(End::Done)) => {
                refuse(
                    "it is done already",
                    format!("see `migrate status {name}`; `migrate cutover {name} --rollback` takes it back"),
                )
            }
            _ => Ok(()),
        }
    }

    /// Enters the round and goes through its steps.
    async fn work(&mut self) -> Result<()> {
        let wanted = self.phase;
        let open = self.state().open().map(|round| (round.number, round.phase, round.begun(Step::Restore)));
        match open {
            Some((_, phase, _)) if phase == wanted => {
                if self.begins_anew().await? {
                    self.enter()?;
                } else {
                    self.tell("goes on where it was");
                    self.renew().await?;
                }
            }
            Some((_, phase, true)) if wanted != Phase::Rollback => {
                self.phase = phase;
                self.tell("has begun to restore, and is ended first");
                self.recover().await?;
                self.steps().await?;
                self.phase = wanted;
                self.enter()?;
            }
            Some((round, phase, _)) if wanted != Phase::Rollback || phase != Phase::Cutover => {
                self.write(Entry::Over { round, at: Timestamp::now(), end: End::GivenUp })?;
                self.enter()?;
            }
            _ => self.enter()?,
        }
        self.recover().await?;
        self.steps().await
    }

    fn tell(&self, what: &str) {
        let text = format!("the {} of `{}` {what}", self.phase, self.job.name);
        self.reporter.report(&Event::Warning(&text));
    }

    fn enter(&self) -> Result<()> {
        let round = self.state().last().map_or(0, |round| round.number) + 1;
        self.write(Entry::Round { round, phase: self.phase, at: Timestamp::now() })
    }

    fn round(&self) -> Result<Round> {
        self.state().open().cloned().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "go on with the migration").because("the journal holds no open round")
        })
    }

    /// Puts back what an interrupted restore changed, unless the restore is what comes next: then it goes on with it.
    async fn recover(&self) -> Result<()> {
        let state = self.state();
        let comes = state.open().and_then(Round::next);
        if state.undo.is_clean() || comes == Some(Step::Restore) {
            return Ok(());
        }
        let recovered = self.unless_cancelled(restore::recover(self.sides.target, &state.undo)).await?;
        if !recovered.lowered.is_empty() {
            self.write(Entry::Restoring { at: Timestamp::now(), told: restore::Entry::Lowered })?;
        }
        if !recovered.opened.is_empty() {
            let told = restore::Entry::Opened { indices: recovered.opened };
            self.write(Entry::Restoring { at: Timestamp::now(), told })?;
        }
        Ok(())
    }

    /// A round that stopped because something was deleted at the source makes place for one of what is there.
    async fn begins_anew(&self) -> Result<bool> {
        let round = self.round()?;
        let has_failed = round.failure().is_some_and(|(step, _)| step < Step::Snapshot);
        if !has_failed || round.snapshot().is_some() || choice::gone(self, &round).await?.is_empty() {
            return Ok(false);
        }
        self.tell("begins anew, as something was deleted at the source");
        self.write(Entry::Over { round: round.number, at: Timestamp::now(), end: End::GivenUp })?;
        Ok(true)
    }

    /// A snapshot that is gone or damaged before it was copied is taken anew, under another name if need be.
    async fn renew(&self) -> Result<()> {
        let round = self.round()?;
        if let Some((step, intent)) = self.unless_cancelled(standing::again(self, &round)).await? {
            return self.write(Entry::Begun { round: round.number, step, at: Timestamp::now(), intent });
        }
        let (Some(taken), None) = (round.snapshot(), round.result(Step::Sync)) else { return Ok(()) };
        let is_damaged =
            round.record(Step::Sync).and_then(|sync| sync.error.as_ref()).is_some_and(|error| error.kind == "damaged");
        let is_gone = match snapshot::get(self.sides.source, &self.job.repository, &taken.name).await {
            Ok(found) => found.uuid != taken.uuid,
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        if is_damaged || is_gone {
            let why = if is_gone { "is gone" } else { "is damaged" };
            self.reporter.report(&Event::Warning(&format!("the snapshot `{}` {why}; another is taken", taken.name)));
            let name = format!("{}-{}", taken.name, round.record(Step::Snapshot).map_or(1, |record| record.tries) + 1);
            let intent = Some(Intent::Snapshot { name });
            self.write(Entry::Begun { round: round.number, step: Step::Snapshot, at: Timestamp::now(), intent })?;
        }
        Ok(())
    }

    async fn steps(&self) -> Result<()> {
        loop {
            let round = self.round()?;
            let Some(step) = round.next() else { break };
            if let Err(error) = self.step(step, round.number).await {
                // What is new needs a block and a snapshot of its own: that is another round.
                if step == Step::Finalise && error.kind() == ErrorKind::SourceMoved {
                    self.write(Entry::Over { round: round.number, at: Timestamp::now(), end: End::Different })?;
                }
                return Err(error);
            }
            let state = self.state();
            if let Some(round) = state.open()
                && step == Step::Preflight
                && prepare::is_unchanged(&state, round)
            {
                if let Some(what) = self.unless_cancelled(standing::lacks(self.job, self.sides, &state)).await? {
                    let text =
                        format!("nothing has changed at the source, but {what} at the target; it is brought again");
                    self.reporter.report(&Event::Warning(&text));
                    continue;
                }
                return self.write(Entry::Over { round: round.number, at: Timestamp::now(), end: End::Unchanged });
            }
        }
        let round = self.round()?;
        self.write(Entry::Over { round: round.number, at: Timestamp::now(), end: ended(&round) })
    }

    async fn step(&self, step: Step, round: u32) -> Result<()> {
        // Those of the three others are told by the rooms that do them.
        // And an increment may find that there is nothing to do, of which cron shall send no mail.
        let is_told = matches!(step, Step::Capture | Step::Register | Step::Restore);
        if !is_told && (step, self.phase) != (Step::Preflight, Phase::Increment) {
            self.reporter.report(&Event::Step(step.word()));
        }
        let intent = self.unless_cancelled(self.intent(step)).await?;
        self.write(Entry::Begun { round, step, at: Timestamp::now(), intent })?;
        let done = match self.unless_cancelled(hook::call(self, When::Before, step, None)).await {
            Ok(()) => self.perform(step).await,
            Err(error) => Err(error),
        };
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(error) => {
                self.write(Entry::Failed { round, step, at: Timestamp::now(), error: Failure::of(&error) })?;
                self.after(step, "failed").await;
                return Err(error);
            }
        };
        self.write(Entry::Ended { round, step, at: Timestamp::now(), result: Box::new(outcome) })?;
        self.after(step, "done").await;
        Ok(())
    }

    /// What is called after a step warns when it fails: the step is over.
    async fn after(&self, step: Step, outcome: &'static str) {
        let called = self.unless_cancelled(hook::call(self, When::After, step, Some(outcome))).await;
        if let Err(error) = called {
            self.reporter.report(&Event::Warning(&error.to_string()));
        }
    }

    async fn intent(&self, step: Step) -> Result<Option<Intent>> {
        let (state, round) = (self.state(), self.round()?);
        Ok(match step {
            Step::Block => Some(prepare::intent_to_block(self, &state, &round).await?),
            Step::Snapshot => Some(prepare::intent_to_snapshot(self, &round).await?),
            Step::Register => Some(carry::intent_to_register(self, &round).await?),
            Step::Restore => Some(Intent::Restore),
            _ => None,
        })
    }

    async fn perform(&self, step: Step) -> Result<Outcome> {
        let (state, round) = (self.state(), self.round()?);
        match step {
            // These see the signal themselves, and end in good order.
            Step::Snapshot => prepare::snapshot(self, &round).await,
            Step::Sync => carry::sync(self, &round).await,
            Step::Restore => bring::restore(self, &round).await,
            _ => self.unless_cancelled(self.short(step, &state, &round)).await,
        }
    }

    async fn short(&self, step: Step, state: &State, round: &Round) -> Result<Outcome> {
        match step {
            Step::Preflight => {
                let found = preflight::run(self.job, self.sides, self.phase, state).await?;
                found.warnings.iter().for_each(|text| self.reporter.report(&Event::Warning(text)));
                Ok(Outcome::Preflight(found))
            }
            Step::Block => prepare::block(self, round).await,
            Step::Capture => prepare::capture(self, round).await,
            Step::Register => carry::register(self, round).await,
            Step::List => carry::list(self, round).await,
            Step::Conflicts => bring::conflicts(self, round).await,
            Step::Verify => bring::verify(self, round).await,
            Step::Finalise => {
                let told = if self.phase == Phase::Cutover { choice::whole(self, round).await? } else { Vec::new() };
                bring::finalise(self, round).await.map(|outcome| outcome.warned(told))
            }
            Step::LiftBlock => rollback::lift(self, state).await,
            Step::DeleteCreated => rollback::delete(self, state).await,
            Step::PutBack => rollback::put_back(self, state).await,
            Step::Snapshot | Step::Sync | Step::Restore => {
                Err(Error::new(ErrorKind::Internal, format!("do the step {step}"))
                    .because("it is not one of the short ones"))
            }
        }
    }

    /// An error of a cutover says what it leaves at the source, and the ways on.
    fn explain(&self, error: Error, state: &State) -> Error {
        if self.phase != Phase::Cutover || state.blocked().is_empty() {
            return error;
        }
        let names: Vec<String> = state.blocked().into_iter().map(|one| one.name).collect();
        let name = &self.job.name;
        let ways = format!(
            "writes to `{}` are blocked at the source and stay so: `migrate cutover {name} --resume` goes on, `migrate cutover {name} --rollback` lifts the block",
            names.join("`, `")
        );
        let hint = error.advice().map_or_else(|| ways.clone(), |advice| format!("{advice}; {ways}"));
        error.hint(hint)
    }
}
