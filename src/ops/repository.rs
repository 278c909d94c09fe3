//! Registering, listing, verifying and removing repositories of a cluster.

use std::collections::BTreeMap;

use serde::Serialize;

use super::end::End;
use crate::elastic::Client;
use crate::elastic::repository::{
    self, Before, Expectation, Expected, Order, Policy, Registered, Registration, Rendered, Repository, Target,
    Verified,
};
use crate::elastic::snapshot::{self, Detail, State};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::repo;
use crate::secret::Secret;

/// What to register and what it must show.
#[derive(Debug, Clone)]
pub struct Options {
    /// The repository.
    pub registration: Registration,
    /// The snapshots that must be in it.
    pub expected: Expectation,
    /// What may become of a name that is in use.
    pub policy: Policy,
}

/// Registers a repository read-only and proves that it shows what it should.
///
/// Without expected snapshots an empty repository is told as a warning: a location that does not exist looks the same.
pub async fn register(client: &Client, options: &Options, reporter: &dyn Reporter) -> Result<Registered> {
    reporter.report(&Event::Step("register"));
    let rendered = repository::render(&Target::of(client).await?, &options.registration)?;
    let order = Order { rendered: &rendered, expected: &options.expected, policy: options.policy };
    let registered = repository::register(client, order, reporter).await?;
    if registered.snapshots.is_empty() {
        let text =
            format!("repository `{}` shows no snapshot; a place that does not exist looks the same", registered.name);
        reporter.report(&Event::Warning(&text));
    }
    Ok(registered)
}

/// What the name means now. Fails where the registration cannot be written for this cluster, or lacks keys.
pub async fn before(client: &Client, registration: &Registration) -> Result<Before> {
    let rendered = repository::render(&Target::of(client).await?, registration)?;
    rendered.check_keys()?;
    repository::before(client, &rendered).await
}

/// Fails where a registration would be refused because of what is there, or because this cluster cannot have it.
pub async fn admit(client: &Client, registration: &Registration, policy: Policy) -> Result<()> {
    repository::admit(client, &registration.name, &before(client, registration).await?, policy)
}

/// What a cluster must show of a copy: all that its root lists, whole, partial and failed snapshots alike.
pub async fn root(copy: &End) -> Result<Vec<Expected>> {
    let found = repo::detect(&copy.store).await?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("read the copied repository at `{}`", copy.location))
            .because("its root holds no `index-<N>`")
    })?;
    let snapshots = found.index.snapshots.iter();
    Ok(snapshots
        .map(|snapshot| Expected { name: snapshot.name.as_str().to_owned(), uuid: snapshot.uuid.as_str().to_owned() })
        .collect())
}

/// Lists the repositories of a cluster: all, or what the patterns mean.
pub async fn list(client: &Client, patterns: &[String]) -> Result<Vec<Repository>> {
    repository::list(client, patterns).await
}

/// A repository and what it shows. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// As it is registered.
    #[serde(flatten)]
    pub repository: Repository,
    /// How many snapshots it has.
    pub snapshots: usize,
    /// How many of each state.
    pub states: BTreeMap<&'static str, usize>,
    /// The youngest of them.
    pub latest: Option<String>,
}

/// Looks at one repository and reads what is in it.
pub async fn show(client: &Client, name: &str) -> Result<Shown> {
    let Some(repository) = repository::find(client, name).await? else {
        return Err(Error::new(ErrorKind::NotFound, format!("show the repository `{name}` of `{}`", client.place()))
            .because("it is not registered")
            .hint("list what is there with `repo list`"));
    };
    let snapshots = snapshot::list(client, name, Detail::Short).await?;
    let mut states = BTreeMap::new();
    for snapshot in &snapshots {
        *states.entry(word(snapshot.state)).or_insert(0) += 1;
    }
    let latest = snapshots.last().map(|snapshot| snapshot.name.clone());
    // Its id is known once it has been read.
    let repository = match repository.uuid {
        None => repository::find(client, name).await?.unwrap_or(repository),
        Some(_) => repository,
    };
    Ok(Shown { repository, snapshots: snapshots.len(), states, latest })
}

fn word(state: State) -> &'static str {
    match state {
        State::InProgress => "IN_PROGRESS",
        State::Success => "SUCCESS",
        State::Failed => "FAILED",
        State::Partial => "PARTIAL",
        State::Incompatible => "INCOMPATIBLE",
        State::Unknown => "UNKNOWN",
    }
}

/// Writes a registration for a cluster, or for the one that would be there.
pub fn render(target: &Target, registration: &Registration) -> Result<Rendered> {
    repository::render(target, registration)
}

/// Makes every node read its keystore again; gives how many did.
pub async fn reload(client: &Client, password: Option<&Secret>) -> Result<usize> {
    repository::reload(client, password).await
}

/// Lets every node of the cluster look at a repository. What that proves comes with it.
pub async fn verify(client: &Client, name: &str) -> Result<(Verified, &'static str)> {
    let target = Target::of(client).await?;
    let verified = repository::verify(client, &target, name).await?;
    let proves = verified.proves(&target);
    Ok((verified, proves))
}

/// Makes the cluster forget a repository; its data stays.
pub async fn remove(client: &Client, name: &str) -> Result<()> {
    repository::remove(client, name).await
}
