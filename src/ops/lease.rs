//! One run at a time at a target: a lease beside the roots, with a heartbeat. And the mark of a run that did not end.
//!
//! 1. A run that has work to do writes `snapferry.lease`, only where none is. It renews it while it works, and removes it when all was done.
//! 2. A lease that is there is somebody's who works, or of a run that was stopped. It is taken over when it says that its run ended, when its
//!    process is gone (on this machine), or when it was not renewed for 90 s. Then something may be at the target that no root tells of.
//! 3. Should two take it at once, the root decides: it is published only where nobody else published meanwhile.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::repo::Base;
use crate::store::{Body, Key, PutOptions};

/// Its name below the base path. Elasticsearch leaves names alone that it does not know.
pub(super) const LEASE: &str = "snapferry.lease";

/// How often it is renewed.
const BEAT: Duration = Duration::from_secs(20);
/// After so long without being renewed it is nobody's.
const STALE: SignedDuration = SignedDuration::from_secs(90);
/// A clock that is ahead by more than this says nothing about age.
const AHEAD: SignedDuration = SignedDuration::from_secs(90);

/// The leases of this process.
static HELD: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);

/// A lease as it lies at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    id: String,
    host: String,
    /// Tells apart machines, their boots, and their spaces of process numbers.
    machine: String,
    process: u32,
    /// When the process began, as the kernel counts.
    began: String,
    since: Timestamp,
    renewed: Timestamp,
    /// Whether its run still works. One that failed leaves it, because what it left is not told by any root.
    working: bool,
}

/// A lease that is held. Dropped without [`release`](Self::release) it stays, as that of a run that was stopped.
#[derive(Debug)]
pub(super) struct Lease {
    base: Base,
    key: Key,
    document: Mutex<Document>,
    id: String,
}

impl Lease {
    /// Takes the lease of a target. Says too whether a run before may have left something.
    ///
    /// [`ErrorKind::Precondition`] if somebody else works there; the error says who.
    pub(super) async fn take(base: &Base) -> Result<(Self, bool)> {
        let key = base.key(LEASE);
        let document = Document::new();
        let lease = Self { base: base.clone(), key, id: document.id.clone(), document: Mutex::new(document.clone()) };
        HELD.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.id.clone());
        let only_if_absent = PutOptions { if_absent: true, ..PutOptions::default() };
        match lease.write(&document, &only_if_absent).await {
            Ok(()) => return Ok((lease, false)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        match lease.read().await? {
            // Our own, with its answer lost.
            Some(there) if there.id == document.id => return Ok((lease, false)),
            Some(there) if there.is_held() => return Err(there.busy(&lease.key)),
            _ => {}
        }
        lease.write(&document, &PutOptions::default()).await?;
        match lease.read().await? {
            Some(there) if there.id != document.id => Err(there.busy(&lease.key)),
            _ => Ok((lease, true)),
        }
    }

    /// Renews the lease again and again. Ends only when it is lost.
    pub(super) async fn beat(&self) -> Error {
        loop {
            tokio::time::sleep(BEAT).await;
            // A store that does not answer now is the run's matter.
            if let Ok(Some(there)) = self.read().await
                && there.id != self.id
            {
                return there.busy(&self.key);
            }
            let document = {
                let mut document = self.document.lock().unwrap_or_else(PoisonError::into_inner);
                document.renewed = Timestamp::now();
                document.clone()
            };
            drop(self.write(&document, &PutOptions::default()).await);
        }
    }

    /// Gives the lease back: removes it if the run did all there was to do, else leaves the mark that something may be left.
    pub(super) async fn release(self, done: bool) {
        // Whoever took it over keeps it.
        if !matches!(self.read().await, Ok(Some(there)) if there.id == self.id) {
            return;
        }
        let ended = if done {
            self.base.store.delete(&self.key).await
        } else {
            let document = {
                let mut document = self.document.lock().unwrap_or_else(PoisonError::into_inner);
                document.working = false;
                document.clone()
            };
            self.write(&document, &PutOptions::default()).await
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "the lease stays at the target; the next run takes it over");
        }
    }

    async fn write(&self, document: &Document, options: &PutOptions) -> Result<()> {
        let bytes = Bytes::from(serde_json::to_vec(document).expect("it is plain data"));
        self.base.store.put(&self.key, Body::from_bytes(bytes), options).await.map(|_| ())
    }

    /// What lies there; none if nothing, or nothing that can be read.
    async fn read(&self) -> Result<Option<Document>> {
        let bytes = self.base.read_if_there(LEASE, 64 * 1024).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Document {
    fn new() -> Self {
        let process = std::process::id();
        let now = Timestamp::now();
        Self {
            id: format!("{:016x}{:016x}", RandomState::new().hash_one(now), RandomState::new().hash_one(process)),
            host: line("/proc/sys/kernel/hostname").unwrap_or_else(|| "unknown".to_owned()),
            machine: machine(),
            process,
            began: began(process).unwrap_or_default(),
            since: now,
            renewed: now,
            working: true,
        }
    }

    /// Whether somebody works under it.
    fn is_held(&self) -> bool {
        if !self.working {
            return false;
        }
        let here = !self.machine.is_empty() && self.machine == machine();
        if here && self.process == std::process::id() {
            return HELD.lock().unwrap_or_else(PoisonError::into_inner).contains(&self.id);
        }
        if here && began(self.process).as_deref() != Some(self.began.as_str()) {
            return false;
        }
        let age = Timestamp::now().duration_since(self.renewed);
        age < STALE && age > -AHEAD
    }

    fn busy(&self, key: &Key) -> Error {
        let mut cause = String::new();
        let host: String = self.host.chars().filter(|c| !c.is_control()).take(80).collect();
        let _ = write!(
            cause,
            "process {} on `{host}` has worked there since {:.0} and said so at {:.0}",
            self.process, self.since, self.renewed
        );
        Error::new(ErrorKind::Precondition, "work at this target: another run does")
            .because(cause)
            .hint(format!("wait for it; if it is gone, its lease {key:?} is taken over 90 s after that"))
    }
}

/// What tells this machine, its boot and our space of process numbers from others; empty where the kernel does not say.
fn machine() -> String {
    let boot = line("/proc/sys/kernel/random/boot_id");
    let space = std::fs::read_link("/proc/self/ns/pid").ok();
    match (boot, space) {
        (Some(boot), Some(space)) => format!("{boot} {}", space.display()),
        _ => String::new(),
    }
}

/// When a process began, in ticks since the boot; none if there is no such process.
fn began(process: u32) -> Option<String> {
    let stat = line(&format!("/proc/{process}/stat"))?;
    // The name stands in parentheses and may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

fn line(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.lines().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::MemoryStore;

    fn base() -> Base {
        Base::at_root(Arc::new(MemoryStore::default()))
    }

    async fn lay(base: &Base, change: impl FnOnce(&mut Document)) {
        let mut document = Document { id: "another".to_owned(), machine: "elsewhere".to_owned(), ..Document::new() };
        change(&mut document);
        let bytes = serde_json::to_vec(&document).expect("plain data");
        base.store.put(&base.key(LEASE), Body::from_bytes(bytes.into()), &PutOptions::default()).await.expect("memory");
    }

    #[tokio::test]
    async fn one_works_and_the_other_is_told_who() {
        let base = base();
        let (lease, left) = Lease::take(&base).await.expect("free");
        assert!(!left);
        let error = Lease::take(&base).await.expect_err("held");
        assert_eq!(error.kind(), ErrorKind::Precondition);
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        lease.release(true).await;
        assert!(base.read_if_there(LEASE, 1000).await.expect("readable").is_none());
        let (lease, left) = Lease::take(&base).await.expect("free again");
        assert!(!left);
        lease.release(false).await;
        let (_, left) = Lease::take(&base).await.expect("its run ended");
        assert!(left, "a run that failed may have left something");
    }

    #[tokio::test]
    async fn a_lease_is_taken_over_only_from_the_dead() {
        for (held, change) in [
            (true, Box::new(|_: &mut Document| {}) as Box<dyn Fn(&mut Document)>),
            (false, Box::new(|lease| lease.renewed = Timestamp::now() - SignedDuration::from_secs(100))),
            (false, Box::new(|lease| lease.working = false)),
            (false, Box::new(|lease| (lease.machine, lease.process) = (machine(), u32::MAX))),
            (false, Box::new(|lease| (lease.machine, lease.began) = (machine(), "never".to_owned()))),
        ] {
            let base = base();
            lay(&base, change).await;
            assert_eq!(Lease::take(&base).await.is_err(), held);
        }
        let base = base();
        let garbage = Body::from_bytes(Bytes::from_static(b"not a lease"));
        base.store.put(&base.key(LEASE), garbage, &PutOptions::default()).await.expect("memory");
        let (lease, left) = Lease::take(&base).await.expect("nobody's");
        assert!(left);
        drop(lease);
        let (_, left) = Lease::take(&base).await.expect("dropped");
        assert!(left, "a run that was stopped may have left something");
    }
}
