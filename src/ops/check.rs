//! Check: the conformance suite on a place of the user's own.
//!
//! 1. A scratch location with a random name is made up below the place; nothing outside it is touched.
//! 2. Every promise is tried there, one after the other.
//! 3. Where one is broken and a key of the configuration is known to help, it is tried again with that key ([`REMEDIES`]).
//! 4. What was written is removed, also when a signal came or a promise broke. What may be left is said.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::store::conformance::{Suite, Trial, Verdict};
use crate::store::{
    self, Ability, Access, Capability, ListVersion, Location, Meter, ObjectStore, Overrides, Scheme, Setting,
};

/// What to check.
#[derive(Debug)]
pub struct Options {
    /// The place, below which the scratch location is.
    pub location: Location,
    /// How to reach it.
    pub store: store::Options,
}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// Where it was tried.
    pub scratch: Location,
    /// One for each promise that was tried, in the order of the contract.
    pub findings: Vec<Finding>,
    /// What the store says that it can do.
    pub capability: Capability,
    /// The algorithms of the checksums that it stated, and whether all their values were right.
    pub stated: Vec<(&'static str, bool)>,
    /// What is known of its server now, as keys of the configuration; empty for a directory.
    pub settings: Vec<(&'static str, Setting)>,
    /// The requests that were sent.
    pub meter: Arc<Meter>,
    /// Why it ended before its end.
    pub error: Option<Error>,
    /// Why something may be left in the scratch location.
    pub left: Option<Error>,
}

/// What came of one promise, and what would help.
#[derive(Debug)]
pub struct Finding {
    /// The verdict as the place is configured.
    pub verdict: Verdict,
    /// The key with which the store keeps the promise, or holds more keys.
    pub remedy: Option<(&'static str, Setting)>,
}

/// A key of the configuration that may help a promise.
struct Remedy {
    trial: Trial,
    key: &'static str,
    value: Setting,
    change: fn(&mut Overrides),
}

const REMEDIES: [Remedy; 10] = [
    remedy(Trial::Keys, "encoding_type", Setting::Switch(false), |to| to.encoding_type = Some(false)),
    remedy(Trial::Listing, "list_version", Setting::Word("v1"), |to| to.list_version = Some(ListVersion::V1)),
    remedy(Trial::After, "list_version", Setting::Word("v1"), |to| to.list_version = Some(ListVersion::V1)),
    remedy(Trial::Parts, "checksum_trailer", Setting::Switch(false), |to| to.checksum_trailer = Some(Ability::No)),
    remedy(Trial::IfAbsent, "conditional_writes", Setting::Switch(false), |to| {
        to.conditional_writes = Some(Ability::No);
    }),
    remedy(Trial::Batch, "delete_batch", Setting::Switch(false), |to| to.delete_batch = Some(false)),
    remedy(Trial::Copies, "server_copy", Setting::Switch(false), |to| to.server_copy = Some(false)),
    remedy(Trial::CopiedParts, "server_copy", Setting::Switch(false), |to| to.server_copy = Some(false)),
    remedy(Trial::Checksums, "etag_md5", Setting::Switch(false), |to| to.etag_md5 = Some(Ability::No)),
    remedy(Trial::PartChecksums, "checksum_trailer", Setting::Switch(false), |to| {
        to.checksum_trailer = Some(Ability::No);
    }),
];

const fn remedy(trial: Trial, key: &'static str, value: Setting, change: fn(&mut Overrides)) -> Remedy {
    Remedy { trial, key, value, change }
}

/// The longest that clearing up may take after a signal: whoever sent it waits.
const CLEARING: Duration = Duration::from_secs(30);

/// How long a write that was broken off may take to arrive.
const SETTLING: Duration = Duration::from_millis(500);

/// Checks a place. An error means that nothing could be tried; what broke on the way is in the report.
pub async fn run(options: &Options, reporter: &dyn Reporter, cancel: &CancellationToken) -> Result<Report> {
    let number = RandomState::new().build_hasher().finish();
    let scratch = options.location.join(&format!("snapferry-check-{number:016x}"));
    let directory = (scratch.scheme() == Scheme::File).then(|| options.location.directory());
    let above = directory.iter().flat_map(|directory| directory.ancestors());
    let made: Vec<PathBuf> = above.take_while(|directory| !directory.exists()).map(Path::to_owned).collect();
    let check = Check {
        options,
        reporter,
        meter: Arc::default(),
        suites: Vec::new(),
        findings: Vec::new(),
        settings: Vec::new(),
        scratch: scratch.clone(),
    };
    let report = check.run(cancel).await;
    if directory.is_some() {
        // The store removes its objects; the directories that they lay in are ours to remove.
        remove_empty(&scratch.directory());
        for directory in made {
            drop(std::fs::remove_dir(directory));
        }
    }
    report
}

/// Removes directories that hold no file. What cannot be removed stays.
fn remove_empty(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    drop(std::fs::remove_dir(directory));
}

struct Check<'a> {
    options: &'a Options,
    reporter: &'a dyn Reporter,
    scratch: Location,
    meter: Arc<Meter>,
    /// Everyone who wrote something, and has it to remove.
    suites: Vec<Arc<Suite>>,
    findings: Vec<Finding>,
    settings: Vec<(&'static str, Setting)>,
}

impl Check<'_> {
    async fn run(mut self, cancel: &CancellationToken) -> Result<Report> {
        let store = self.open(|_| {}).await?;
        let suite = self.suite(store.clone(), "");
        let entered = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(cancelled()),
            entered = suite.enter() => entered,
        };
        if let Err(error) = entered {
            let left = self.clear(Some(CLEARING)).await;
            return Err(self.nothing_tried(error, left.as_ref()));
        }
        let error = tokio::select! {
            biased;
            () = cancel.cancelled() => Some(cancelled()),
            ended = self.all(&suite, store.as_ref()) => ended.err(),
        };
        self.reporter.report(&Event::Step("remove what was written"));
        let left = self.clear(error.as_ref().map(|_| CLEARING)).await;
        Ok(Report {
            scratch: self.scratch,
            findings: self.findings,
            capability: store.capability(),
            stated: suite.stated(),
            settings: self.settings,
            meter: self.meter,
            error,
            left,
        })
    }

    async fn open(&self, change: impl FnOnce(&mut Overrides)) -> Result<Arc<dyn ObjectStore>> {
        let mut options = self.options.store.clone();
        change(&mut options.dialect);
        store::open(&self.scratch, &options, Access::Write, self.meter.clone()).await
    }

    fn suite(&mut self, store: Arc<dyn ObjectStore>, prefix: impl Into<String>) -> Arc<Suite> {
        let suite = Arc::new(Suite::new(store, prefix));
        self.suites.push(suite.clone());
        suite
    }

    async fn all(&mut self, suite: &Suite, store: &dyn ObjectStore) -> Result<()> {
        self.reporter.report(&Event::Step("try what the store promises"));
        for trial in Trial::ALL {
            let verdict = suite.attempt(trial).await;
            if let Err(error) = &verdict.result
                && error.never_sent()
            {
                return Err(error.duplicate());
            }
            self.findings.push(Finding { verdict, remedy: None });
        }
        self.settings = store.learnt();
        if !self.settings.is_empty() {
            self.reporter.report(&Event::Step("look for keys that fit the server"));
            // Some servers walk over everything for each listing. What could not be removed is told at the end.
            drop(suite.clean().await);
            self.find_conditions().await?;
            self.find_remedies().await?;
        }
        Ok(())
    }

    /// Whether the server obeys a condition is not learnt on the way: a store that does not know looks first.
    async fn find_conditions(&mut self) -> Result<()> {
        if !self.settings.iter().any(|(key, value)| *key == "conditional_writes" && value.is_open()) {
            return Ok(());
        }
        let store = self.open(|overrides| overrides.conditional_writes = Some(Ability::Yes)).await?;
        let verdict = self.suite(store, "conditions/").attempt(Trial::IfAbsent).await;
        let obeys = Setting::Word(if verdict.result.is_ok() { "true" } else { "false" });
        self.set("conditional_writes", obeys);
        Ok(())
    }

    async fn find_remedies(&mut self) -> Result<()> {
        for (place, trial) in Trial::ALL.into_iter().enumerate() {
            let before = rank(&self.findings[place].verdict);
            for remedy in REMEDIES.iter().filter(|remedy| remedy.trial == trial && before > (false, 0)) {
                if self.settings.iter().any(|(key, value)| *key == remedy.key && *value == remedy.value) {
                    continue;
                }
                let store = self.open(remedy.change).await?;
                let suite = self.suite(store, format!("again-{place}/"));
                if rank(&suite.attempt(trial).await) < before {
                    self.set(remedy.key, remedy.value);
                    self.findings[place].remedy = Some((remedy.key, remedy.value));
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: Setting) {
        for setting in self.settings.iter_mut().filter(|setting| setting.0 == key) {
            setting.1 = value;
        }
    }

    /// Removes what was written; gives why something may be left.
    async fn clear(&self, within: Option<Duration>) -> Option<Error> {
        let clearing = async {
            let left = self.clear_once().await;
            if within.is_none() {
                return left;
            }
            // A write that the signal came upon may have arrived after the listing.
            tokio::time::sleep(SETTLING).await;
            self.clear_once().await
        };
        let left = match within {
            Some(within) => tokio::time::timeout(within, clearing).await.unwrap_or_else(|_| Some(self.too_long())),
            None => clearing.await,
        };
        left.map(|error| {
            error
                .while_doing(format!("remove what was written to `{}`", self.scratch))
                .hint("remove what lies there by hand, and uploads in parts that were not completed")
        })
    }

    async fn clear_once(&self) -> Option<Error> {
        let mut left = None;
        for suite in self.suites.iter().rev() {
            left = left.or(suite.abort_open().await.err());
        }
        // The first has everything below it, whoever wrote it.
        match self.suites.first() {
            Some(first) => left.or(first.clean().await.err()),
            None => left,
        }
    }

    fn too_long(&self) -> Error {
        Error::new(ErrorKind::Timeout, format!("clear `{}`", self.scratch)).because("it took too long")
    }

    fn nothing_tried(&self, error: Error, left: Option<&Error>) -> Error {
        if let Some(left) = left.filter(|left| !left.never_sent() && error.kind() == ErrorKind::Denied) {
            let hint = "check needs to put, get, list and delete objects, and to abort uploads";
            let text = format!("{left}; {}", left.advice().unwrap_or_default());
            self.reporter.report(&Event::Warning(&text));
            return error.hint(hint);
        }
        error
    }
}

/// How bad a verdict is: broken or not, and how many keys the store cannot hold.
fn rank(verdict: &Verdict) -> (bool, usize) {
    (verdict.result.is_err(), verdict.unable.len())
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "finish the check").because("a signal asked to stop")
}
