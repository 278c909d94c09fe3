//! A plain place: everything that is listed, compared with what the target lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt as _;

use super::{LOOKS, Report, Sync};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::ops::End;
use crate::ops::keys::Missing;
use crate::store::{ListOptions, Pages};
use crate::transfer::{CopyPlan, Data, Engine, Fence, NoPin, Raised, Run, Stop};

/// One round over two listings.
pub(in crate::ops) struct PlainRound {
    pub(in crate::ops) plan: CopyPlan,
    /// How many objects the source listed.
    found: Arc<AtomicU64>,
    /// Listed keys that the source does not have.
    missing: Missing,
}

/// How a round ended that did not fail.
enum Ended {
    Done,
    /// The target does not list what it acknowledged.
    Lost,
}

impl Sync<'_> {
    pub(super) async fn plain(&self, first: PlainRound, report: &mut Report) -> Result<()> {
        let (mut next, mut lost) = (Some(first), false);
        loop {
            report.rounds += 1;
            report.summary.begin_round();
            let mut round = next.take().unwrap_or_else(|| self.plain_round());
            let engine = self.engine(self.from.store.clone(), self.to.store.clone(), &self.cancel);
            let copied = self.copy_plain(engine.clone(), &mut round, report).await;
            report.limits = Some(engine.limits());
            match copied {
                Ok(Ended::Done) | Err(Stop::Failures) => return Ok(()),
                Err(Stop::Error(error)) => return Err(error),
                // Somebody else writes and removes there too: what this run copied it has not had to copy again.
                Ok(Ended::Lost) if lost && report.summary.repeated == 0 => return Ok(()),
                Ok(Ended::Lost) if lost || report.rounds > self.options.replans => return Err(self.unreliable()),
                Ok(Ended::Lost) => {
                    lost = true;
                    let text = "the target's listing is not what this run left there: looking again at all of it";
                    self.reporter.report(&Event::Warning(text));
                }
            }
        }
    }

    pub(super) fn plain_round(&self) -> PlainRound {
        let (from, to) = (self.patient(&self.from.store), self.patient(&self.to.store));
        let (found, missing) = (Arc::<AtomicU64>::default(), Missing::default());
        let (wanted, there) = match &self.options.keys {
            Some(keys) => (keys.listing(from, Some(missing.clone())), keys.listing(to, None)),
            None => (from.list(ListOptions::default()), to.list(ListOptions::default())),
        };
        let plan = CopyPlan::of_listings(counted(wanted, found.clone()), there, self.options.rules.clone());
        PlainRound { plan, found, missing }
    }

    async fn copy_plain(
        &self,
        engine: Arc<Engine>,
        round: &mut PlainRound,
        report: &mut Report,
    ) -> Result<Ended, Stop> {
        let data = Run::<Data>::begin(engine).copy(&mut round.plan, &mut report.summary).await;
        for (key, error) in round.missing.take() {
            self.reporter.report(&Event::Failed { key: key.as_str(), error: &error });
            report.summary.fail(&key, 0, &error)?;
        }
        let data = data?;
        if report.summary.failed.objects > 0 {
            return Err(Stop::Failures);
        }
        round.must_have_found(self.from)?;
        let meta = data.copy(&mut round.plan, &mut report.summary).await?;
        // A list of keys says nothing of the rest of the target.
        let audited = report.summary.copied_in_round() > 0 && self.options.keys.is_none();
        if audited && !self.is_carried_out(round).await? {
            return Ok(Ended::Lost);
        }
        let Raised::Fence(fence) = Fence::raise(&NoPin).await? else { return Ok(Ended::Done) };
        let committed = meta.commit(fence, &mut report.summary).await?;
        if let Some(most) = self.options.rules.delete_extra {
            committed.sweep(round.plan.take_extras(), most, &mut report.summary).await?;
        }
        Ok(Ended::Done)
    }

    async fn is_carried_out(&self, round: &PlainRound) -> Result<bool> {
        let to = self.patient(&self.to.store);
        for wait in LOOKS {
            tokio::time::sleep(wait).await;
            if round.plan.is_carried_out(to.list(ListOptions::default())).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl PlainRound {
    /// A source without a single object is a mistyped one: an empty copy would be no help to anybody.
    pub(in crate::ops) fn must_have_found(&self, from: &End) -> Result<()> {
        if self.found.load(Ordering::Relaxed) > 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("copy `{}`", from.location))
            .because("there is no object below it")
            .hint("check the bucket and the prefix, letter by letter"))
    }
}

fn counted(pages: Pages, found: Arc<AtomicU64>) -> Pages {
    pages
        .inspect(move |page| {
            if let Ok(page) = page {
                found.fetch_add(page.len() as u64, Ordering::Relaxed);
            }
        })
        .boxed()
}
