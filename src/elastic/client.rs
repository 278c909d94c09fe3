//! The client: one cluster, its version, and the only loop that asks again.
//!
//! A request that may be repeated is, while the failure is of a kind that passes. One that may not (starting a restore or a
//! snapshot) is repeated only when the cluster certainly did not do it; otherwise the caller learns that the answer is lost
//! and looks up what happened.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OnceCell;

use super::about::About;
use super::auth::Auth;
use super::capability::Capability;
use super::exchange::{Connection, Fate, Refusal};
use super::plugins::{Plugins, RepositoryType};
use super::request::Request;
use super::service::{Service, host_of};
use super::version::Version;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Reporter;
use crate::wire;

/// How often and how patiently a request is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Tries in all.
    pub tries: u32,
    /// The wait before the second try, doubled for each further one.
    pub first: Duration,
    /// No wait is longer, unless the cluster asks for it with `Retry-After`, and then at most six times as long.
    pub longest: Duration,
}

/// How many times the longest wait a cluster may ask for: a minute by default, more than any gateway's window.
const PATIENCE: u32 = 6;

impl Default for Backoff {
    /// Six tries over about fifteen seconds: longer than a master election takes (a few seconds), shorter than patience.
    fn default() -> Self {
        Self { tries: 6, first: Duration::from_millis(500), longest: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// The wait after the try of this number, from 0: half of it fixed, half by chance, so that many clients spread out.
    pub(super) fn wait(&self, tried: u32) -> Duration {
        let full = self.first.saturating_mul(2_u32.saturating_pow(tried)).min(self.longest);
        // The standard library's keyed hasher is seeded at random; nothing here needs better chance than that.
        let chance = RandomState::new().hash_one(tried) % 1000;
        full / 2 + full.mul_f64(0.5 * (chance as f64) / 1000.0)
    }
}

/// What a client needs to know.
#[derive(Clone)]
pub struct Options {
    /// The cluster's address: `https://host:port`, with a path if a proxy wants one; never with a user or password. Several nodes of
    /// one cluster have commas between them: one that cannot be reached is passed over.
    pub url: String,
    /// Who we are.
    pub auth: Auth,
    /// What sends the requests; it holds the trusted certificates and the timeouts.
    pub wire: wire::Client,
    /// When to try again.
    pub backoff: Backoff,
    /// Who is told what the cluster warns of.
    pub reporter: Arc<dyn Reporter>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("url", &self.url).field("auth", &self.auth).finish_non_exhaustive()
    }
}

/// The outcome of a request that must not be repeated.
#[derive(Debug)]
pub(super) enum Told {
    /// The cluster's answer.
    Answer(Value),
    /// It may have been done or not; the error says how the answer was lost.
    Lost(Error),
}

/// A connection to one cluster whose version is known. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Arc<Connection>,
    backoff: Backoff,
    about: Arc<About>,
    plugins: Arc<OnceCell<Plugins>>,
}

impl Client {
    /// Asks the cluster who it is.
    ///
    /// Fails when it cannot be reached, does not accept us, is something else, or is a version without a snapshot interface.
    pub async fn connect(options: Options) -> Result<Self> {
        let connection = Arc::new(Connection::new(&options.url, options.auth, options.wire, options.reporter)?);
        // Number 0 until the answer is here; no request before that depends on it.
        let about = Arc::new(About::unknown());
        let mut client = Self { connection, backoff: options.backoff, about, plugins: Arc::default() };
        client.about = Arc::new(About::ask(&client).await?);
        tracing::debug!(version = %client.version(), place = client.place(), "connected");
        Ok(client)
    }

    /// How the cluster introduced itself.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The server's version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.about.version
    }

    /// What the server can do.
    #[must_use]
    pub fn capability(&self) -> Capability {
        self.version().capability()
    }

    /// The cluster's address, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        self.connection.place()
    }

    /// What is installed on each node; asked once. It takes the privilege `monitor`.
    pub async fn plugins(&self) -> Result<&Plugins> {
        self.plugins.get_or_try_init(|| Plugins::ask(self)).await
    }

    /// Which types of repository every node of the cluster can use.
    pub async fn repository_types(&self) -> Result<Vec<RepositoryType>> {
        Ok(self.plugins().await?.repository_types(self.capability()))
    }

    /// Who runs the cluster, as far as its host, its plugins or its repositories show. What may not be asked shows nothing.
    pub async fn service(&self) -> Service {
        if let Some(service) = Service::of_host(&host_of(self.place())) {
            return service;
        }
        if let Some(service) = self.plugins().await.ok().and_then(Service::of_plugins) {
            return service;
        }
        let request = Request::get("list the repositories", &["_snapshot"]).query("filter_path", "*.type");
        let repositories = self.call(request).await.unwrap_or_default();
        let mut names = repositories.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        names.find_map(Service::of_repository).unwrap_or(Service::Own)
    }

    /// Sends a request that may be repeated, until it succeeds or there is no sense in it.
    pub(super) async fn call(&self, request: Request) -> Result<Value> {
        self.try_call(request).await.map_err(Error::from)
    }

    /// As [`Client::call`], and keeps what the server said.
    pub(super) async fn try_call(&self, request: Request) -> Result<Value, Refusal> {
        self.repeat(&request, |fate| fate != Fate::Refused).await
    }

    /// Sends a request that must not be done twice.
    pub(super) async fn call_once(&self, request: Request) -> Result<Told, Refusal> {
        match self.repeat(&request, |fate| fate == Fate::NotDone).await {
            Ok(answer) => Ok(Told::Answer(answer)),
            Err(refusal) if refusal.fate == Fate::Unknown => Ok(Told::Lost(refusal.error)),
            Err(refusal) => Err(refusal),
        }
    }

    async fn repeat(&self, request: &Request, again: impl Fn(Fate) -> bool) -> Result<Value, Refusal> {
        let mut tried = 0;
        let mut has_timed_out = false;
        loop {
            let refusal = match self.connection.send(request).await {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            // An answer that cannot be read will not be more readable the next time.
            let hopeless = refusal.failure.is_none() && refusal.error.kind() == ErrorKind::Invalid;
            tried += 1;
            // A peer that let us wait in vain once gets one more chance and not all of them.
            let in_vain = refusal.failure.is_none() && refusal.error.kind() == ErrorKind::Timeout;
            let enough = tried >= self.backoff.tries || in_vain && has_timed_out;
            has_timed_out |= in_vain;
            if !again(refusal.fate) || hopeless || enough {
                return Err(refusal);
            }
            let asked = refusal.error.wait().unwrap_or_default().min(self.backoff.longest * PATIENCE);
            let wait = self.backoff.wait(tried - 1).max(asked);
            tracing::debug!(error = %refusal.error, ?wait, tried, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    pub(super) fn backoff(&self) -> Backoff {
        self.backoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_within_its_bounds() {
        let backoff = Backoff { tries: 9, first: Duration::from_millis(100), longest: Duration::from_secs(1) };
        for tried in 0..40 {
            let full = Duration::from_millis(100 * 2_u64.pow(tried.min(4))).min(backoff.longest);
            let wait = backoff.wait(tried);
            assert!(wait >= full / 2 && wait <= full, "{tried}: {wait:?}");
        }
    }
}
