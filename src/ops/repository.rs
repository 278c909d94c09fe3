//! Registering, listing and removing repositories of a cluster.

use crate::elastic::Client;
use crate::elastic::repository::{self, Expected, Registered, Registration, Replace, Repository};
use crate::error::Result;
use crate::event::{Event, Reporter};

/// What to register and what it must show.
#[derive(Debug, Clone)]
pub struct Options {
    /// The repository.
    pub registration: Registration,
    /// The snapshots that must be in it; none if that is not known.
    pub expected: Vec<Expected>,
    /// Whether the name may be taken from other data.
    pub replace: Replace,
}

/// Registers a repository read-only and proves that it shows what it should.
///
/// Without expected snapshots an empty repository is told as a warning: a location that does not exist looks the same.
pub async fn register(client: &Client, options: &Options, reporter: &dyn Reporter) -> Result<Registered> {
    let Options { registration, expected, replace } = options;
    reporter.report(&Event::Step("register"));
    let registered = repository::register(client, registration, expected, *replace, reporter).await?;
    if registered.snapshots.is_empty() {
        let text =
            format!("repository `{}` shows no snapshot; a place that does not exist looks the same", registration.name);
        reporter.report(&Event::Warning(&text));
    }
    Ok(registered)
}

/// Lists the repositories of a cluster.
pub async fn list(client: &Client) -> Result<Vec<Repository>> {
    repository::list(client).await
}

/// Makes the cluster forget a repository; its data stays.
pub async fn remove(client: &Client, name: &str) -> Result<()> {
    repository::remove(client, name).await
}
