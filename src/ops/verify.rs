//! Verify: whether a place holds what it should.
//!
//! 1. The roots are looked at. A repository is audited; beside a second one it is also compared with that, by what both say of themselves.
//! 2. With a place to repair from, what is damaged is fetched from there, and looked at again, a bounded number of times.
//! 3. Two places that are no repositories are compared object by object (`plain`); one alone has nothing to be compared with.

mod plain;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::end::End;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::repo::audit::{Again, Audit, Audited, Finding, FindingKind, Repair, Roots};
pub use crate::repo::audit::{Level, Portion};
use crate::repo::{Base, Reader};
use crate::store::ObjectStore;
use crate::store::wrap::{Limit, LimitOptions, Retry};
use crate::transfer;

/// What to verify and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How deep.
    pub level: Level,
    /// Which files are read at level `content`.
    pub portion: Portion,
    /// How much at once, and how patiently.
    pub transfer: transfer::Options,
}

/// The places of a verification.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// What is verified.
    pub place: &'a End,
    /// What it is compared with.
    pub source: Option<&'a End>,
    /// Where damaged objects are fetched from; `place` must then be open for writing.
    pub repair_from: Option<&'a End>,
}

/// How a verification ended.
#[derive(Debug, Default)]
pub struct Report {
    /// `repository` or `plain`.
    pub mode: &'static str,
    /// What was found.
    pub audited: Audited,
    /// What a repair wrote.
    pub repaired: Repaired,
    /// Pairs of plain objects of which no checksum could be compared.
    pub unproven: u64,
    /// Why it ended before its end.
    pub error: Option<Error>,
}

/// What a repair wrote, and what it could not.
#[derive(Debug, Default)]
pub struct Repaired {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why an object could not be put right, by its key.
    pub failed: BTreeMap<String, Error>,
}

/// Repairs that are followed by another look: a list that was put right may name files that are damaged too.
const REPAIRS: u32 = 4;

/// Verifies. An error means that nothing could be looked at; what ended it later is in the report.
pub async fn run(
    places: &Places<'_>,
    options: &Options,
    reporter: Arc<dyn Reporter>,
    cancel: &CancellationToken,
) -> Result<Report> {
    let verify = Verify { options, reporter, cancel };
    let here = verify.roots(places.place).await?;
    let there = match places.source {
        Some(source) => verify.roots(source).await?,
        None => None,
    };
    match (here, places.source, there) {
        (Some(here), None, _) => verify.repository(places, here, None).await,
        (Some(here), Some(_), Some(there)) => verify.repository(places, here, Some(there)).await,
        (None, Some(source), None) if places.repair_from.is_none() => verify.plain(source, places.place).await,
        (None, None, _) | (None, Some(_), None) => Err(verify.no_repository(places.place).await),
        (None, Some(_), Some(_)) => Err(only_one(places.place)),
        (Some(_), Some(source), None) => Err(only_one(source)),
    }
}

struct Verify<'a> {
    options: &'a Options,
    reporter: Arc<dyn Reporter>,
    cancel: &'a CancellationToken,
}

impl Verify<'_> {
    /// A store with retries, that is asked for no more than it bears.
    fn wrapped(&self, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        let transfer = &self.options.transfer;
        let bound = LimitOptions { most: transfer.transfers, per_second: transfer.requests_per_second };
        let limit = Limit::new(store, bound, self.reporter.clone());
        Arc::new(Retry::new(Arc::new(limit), transfer.retry, self.reporter.clone()))
    }

    async fn roots(&self, end: &End) -> Result<Option<Roots>> {
        let base = Base::at_root(self.wrapped(end.store.clone()));
        let read = self.unless_cancelled(Roots::read(&base)).await;
        read.map_err(|error| {
            let error = error.while_doing(format!("verify `{}`", end.location));
            let nowhere = error.kind() == ErrorKind::NotFound && error.advice().is_none();
            if nowhere { error.hint("check the place, letter by letter") } else { error }
        })
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(cancelled()),
            done = work => done,
        }
    }

    /// A reader of the repository at an end, and what it could not understand of where shards lie.
    async fn reader(&self, end: &End, roots: &Roots) -> Result<(Reader, Vec<Finding>)> {
        let Some((_, root)) = &roots.newest else { return Err(unreadable(end)) };
        let base = end.base(root).await?;
        let base = Base { store: self.wrapped(base.store), path: base.path };
        let (reader, broken) = Reader::tolerant(base, Arc::new(root.clone())).await?;
        let findings = broken.into_iter().map(|(key, error)| {
            Finding::new(FindingKind::CorruptShardPaths, error.cause().unwrap_or_default()).at(&key)
        });
        Ok((reader, findings.collect()))
    }

    async fn repository(&self, places: &Places<'_>, here: Roots, there: Option<Roots>) -> Result<Report> {
        let mut report = Report { mode: "repository", ..Report::default() };
        if here.newest.is_none() {
            let base = Base::at_root(self.wrapped(places.place.store.clone()));
            report.audited = Audited::without_root(&here, &base).await?;
            return Ok(report);
        }
        let peer = match (places.source, there) {
            (Some(source), Some(roots)) => Some(self.reader(source, &roots).await?.0),
            _ => None,
        };
        self.audit(places.place, here, peer.as_ref(), None, &mut report).await?;
        if let (Some(from), None) = (places.repair_from, &report.error) {
            self.repair(places.place, from, peer.as_ref(), &mut report).await?;
        }
        Ok(report)
    }

    /// One audit. What was looked at before stays counted.
    async fn audit(
        &self,
        place: &End,
        roots: Roots,
        peer: Option<&Reader>,
        again: Option<Again>,
        report: &mut Report,
    ) -> Result<()> {
        let (reader, broken) = self.reader(place, &roots).await?;
        let first = again.is_none();
        let options = crate::repo::audit::Options {
            level: self.options.level,
            portion: self.options.portion,
            retry: self.options.transfer.retry,
            again,
        };
        let mut audit = Audit::new(reader, roots, options, self.reporter.clone());
        if let Some(peer) = peer {
            audit = audit.beside(peer.clone());
        }
        for finding in broken {
            audit.note(finding);
        }
        let ended = async {
            audit.run().await?;
            audit.finish().await
        };
        let checked = report.audited.checked;
        report.audited = match self.unless_cancelled(ended).await {
            Ok(audited) => audited,
            Err(error) => {
                report.error = Some(error.while_doing(format!("verify `{}` to its end", place.location)));
                audit.so_far()
            }
        };
        if !first {
            report.audited.checked = checked;
        }
        Ok(())
    }

    /// Fetches what is damaged, and looks again.
    async fn repair(&self, place: &End, from: &End, peer: Option<&Reader>, report: &mut Report) -> Result<()> {
        let source = self.must_be_a_repository(from).await?;
        for _ in 0..REPAIRS {
            let here = self.must_be_a_repository(place).await?;
            let retry = self.options.transfer.retry;
            let repair = Repair::new(source.clone(), here, retry, self.reporter.clone())
                .map_err(|error| error.while_doing(format!("repair `{}` from `{}`", place.location, from.location)))?;
            let healing = async { Ok(repair.heal(&report.audited.findings).await) };
            let healed = match self.unless_cancelled(healing).await {
                Ok(healed) => healed,
                Err(error) => {
                    report.error = Some(error);
                    return Ok(());
                }
            };
            report.repaired.objects += healed.objects;
            report.repaired.bytes += healed.bytes;
            report.repaired.failed = healed.failed;
            if healed.objects == 0 {
                return Ok(());
            }
            self.reporter.report(&Event::Step("look again at what was repaired"));
            let Some(roots) = self.roots(place).await? else { return Ok(()) };
            // Damage that was only counted is not known by name: everything is read again.
            let again = report.audited.unlisted.is_empty().then_some(healed.again);
            self.audit(place, roots, peer, again, report).await?;
            if report.error.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn must_be_a_repository(&self, end: &End) -> Result<Reader> {
        match self.roots(end).await? {
            Some(roots) => Ok(self.reader(end, &roots).await?.0),
            None => Err(self.no_repository(end).await),
        }
    }

    async fn plain(&self, source: &End, place: &End) -> Result<Report> {
        let (from, to) = (self.wrapped(source.store.clone()), self.wrapped(place.store.clone()));
        let empty = self.unless_cancelled(plain::is_empty(&from)).await;
        if empty.map_err(|error| error.while_doing(format!("verify `{}`", source.location)))? {
            return Err(nothing_there(format!("compare with `{}`", source.location)));
        }
        let pair = plain::Pair::new(from, to, self.options, self.reporter.clone());
        let error = self.unless_cancelled(pair.compare()).await.err();
        let mut report = pair.report();
        report.error = error.map(|error| {
            error.while_doing(format!("compare `{}` with `{}` to its end", source.location, place.location))
        });
        Ok(report)
    }

    async fn no_repository(&self, end: &End) -> Error {
        let doing = format!("verify `{}`", end.location);
        match plain::is_empty(&self.wrapped(end.store.clone())).await {
            Err(error) => error.while_doing(doing),
            Ok(true) => nothing_there(doing),
            Ok(false) => self.without_root(end, doing).await,
        }
    }

    /// A place with objects and no root. What looks like a repository otherwise has lost it.
    async fn without_root(&self, end: &End, doing: String) -> Error {
        match plain::first_of(&self.wrapped(end.store.clone()), &["index.latest", "snap-"]).await {
            Err(error) => error.while_doing(doing),
            Ok(Some(key)) => Error::new(ErrorKind::Corrupt, doing)
                .because(format!("it holds {key:?} and no root `index-<N>`, where every reader starts"))
                .hint("a copy of it did not end, or the root was deleted: copy it again, or put the root back"),
            Ok(None) => Error::new(ErrorKind::Invalid, doing)
                .because("it is no snapshot repository: no `index-<N>` is at its root, so nothing says what should be there")
                .hint("name what it should be equal to: `snapferry verify SOURCE LOCATION`; or name the repository's own prefix"),
        }
    }
}

fn nothing_there(doing: String) -> Error {
    Error::new(ErrorKind::NotFound, doing)
        .because("there is no object below it")
        .hint("check the bucket and the prefix, letter by letter")
}

fn only_one(end: &End) -> Error {
    Error::new(ErrorKind::Invalid, format!("compare `{}` with a snapshot repository", end.location))
        .because("it is none: no `index-<N>` is at its root")
        .hint("check the prefix, letter by letter; a copy that broke off has no root before it is complete")
}

fn unreadable(end: &End) -> Error {
    Error::new(ErrorKind::Corrupt, format!("read the repository at `{}`", end.location))
        .because("none of its roots can be read")
        .hint(format!("run `snapferry verify {}` for what is wrong with each", end.location))
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "go on").because("a signal asked to stop")
}
