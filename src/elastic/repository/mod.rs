//! Snapshot repositories of a cluster: registering one read-only and proving that it shows what it should.
//!
//! - [`Registration`] says what is to be registered, [`Target`] for which cluster, [`render()`] writes the document
//! - [`register()`] sends it and believes only what the repository then shows
//! - [`list`], [`find`], [`verify`] and [`remove`] work with what is registered
//!
//! It does not copy anything and does not know what a location holds; `store` and `repo` do.

mod keystore;
mod kind;
mod location;
mod meaning;
mod oss;
mod pattern;
mod register;
mod render;
mod s3;
mod settings;
mod target;
mod verification;

use super::client::{Client, Told};
use super::failure::Failure;
use super::name;
use super::request::Request;
use crate::error::{Error, ErrorKind, Result};

pub use self::keystore::reload;
pub use self::kind::{Keys, Kind, Oss, OssForm, OssNetwork, Registration, S3};
pub use self::register::{
    Before, Expectation, Expected, Order, Policy, Registered, Replace, Writable, admit, before, register,
};
pub use self::render::{Rendered, render};
pub use self::settings::Repository;
pub use self::target::{Target, Vendor};
pub use self::verification::{NodeVerdict, Verified, verify};

/// Lists what is registered: everything, or what the patterns mean (names, `*`, `_all`, `-pattern`; see `pattern`).
///
/// Fails with [`ErrorKind::NotFound`] for a name that is not registered.
pub async fn list(client: &Client, patterns: &[String]) -> Result<Vec<Repository>> {
    let answer = client.call(Request::get("list the repositories", &["_snapshot"])).await?;
    let entries = answer.as_object().into_iter().flatten();
    let mut all: Vec<Repository> =
        entries.map(|(name, repository)| settings::describe(name.clone(), repository)).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    pattern::choose(all, patterns, client.place())
}

/// The repository of this name, if it is registered.
pub async fn find(client: &Client, name: &str) -> Result<Option<Repository>> {
    name::check("repository", name)?;
    match client.try_call(Request::get(format!("look up the repository `{name}`"), &["_snapshot", name])).await {
        Ok(answer) => Ok(answer.get(name).map(|repository| settings::describe(name.to_owned(), repository))),
        Err(refusal) if refusal.error.kind() == ErrorKind::NotFound => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Makes the cluster forget a repository; the data stays.
///
/// Fails with [`ErrorKind::NotFound`] when it is not registered, with [`ErrorKind::Precondition`] while it is in use.
pub async fn remove(client: &Client, name: &str) -> Result<()> {
    name::check("repository", name)?;
    let doing = format!("remove the repository `{name}`");
    // A repeat of a request that was done would say that there is nothing to remove.
    match client.call_once(Request::delete(doing.clone(), &["_snapshot", name])).await {
        Ok(Told::Answer(_)) => Ok(()),
        Ok(Told::Lost(error)) => match find(client, name).await? {
            None => Ok(()),
            Some(_) => Err(error),
        },
        Err(refusal) if refusal.failure.as_ref().is_some_and(Failure::is_in_use) => {
            Err(Error::new(ErrorKind::Precondition, format!("{doing} on `{}`", client.place()))
                .because(refusal.error.cause().unwrap_or_default())
                .hint("wait until the snapshot or restore that uses it has ended"))
        }
        Err(refusal) => Err(refusal.into()),
    }
}
