//! Registering a repository read-only and proving that it shows what it should.
//!
//! 1. See what the name means now. Other data under the same name is refused; a writable registration of the same data goes stale
//!    as soon as somebody else writes (finding 8), and is replaced by a read-only one where that was consented to.
//! 2. Register, always `readonly: true`.
//! 3. The cluster's word proves nothing (finding 9), so list: what it shows must be what the copied root names, no snapshot less
//!    and none more, by their UUIDs.
//! 4. A failed registration stays behind (finding 10): remove it when the name was free before, else say that it is there.

use std::collections::BTreeSet;

use serde::Serialize;

use super::render::{Rendered, doing};
use super::settings::{Repository, describe, differences};
use super::{find, location, remove};
use crate::elastic::client::Client;
use crate::elastic::failure::Failure;
use crate::elastic::request::Request;
use crate::elastic::selection::quoted;
use crate::elastic::snapshot::{self, Detail, Snapshot, State};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// What to do when the name already means other data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// Refuse.
    #[default]
    Never,
    /// Let the name mean the new data from now on.
    OtherData,
}

/// What to do when the name means this data, and the cluster may write to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writable {
    /// Refuse: somebody may rely on it.
    #[default]
    Refuse,
    /// Make it read-only.
    Convert,
}

/// What may become of a name that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// For other data.
    pub replace: Replace,
    /// For the same data, writable.
    pub writable: Writable,
}

/// A snapshot that must be there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// Its name.
    pub name: String,
    /// What is looked for. Repositories of before 5.0 have the name here, as a cluster then shows it.
    pub uuid: String,
}

/// What a registered repository must show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expectation {
    /// These at least.
    pub named: Vec<Expected>,
    /// These and no others, in any state: all that the root of the copy lists. None if nobody could look there.
    pub root: Option<Vec<Expected>>,
}

/// A repository that was registered and looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The name was in use before, for the same data or with permission for others.
    pub replaced: bool,
    /// What it shows.
    pub snapshots: Vec<Snapshot>,
}

/// What a name means before it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Free,
    /// This data.
    Same {
        /// The cluster may not write to it.
        readonly: bool,
    },
    /// Other data, for these reasons.
    Other(Vec<String>),
}

/// A registration that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The document.
    pub rendered: &'a Rendered,
    /// What must then be there.
    pub expected: &'a Expectation,
    /// What may become of the name.
    pub policy: Policy,
}

/// Sees what the name means now.
pub async fn before(client: &Client, rendered: &Rendered) -> Result<Before> {
    let there = find(client, &rendered.name).await?;
    Ok(compare(client, there.as_ref(), rendered).await?.0)
}

/// What is there against what is wanted, and what is not certain about it.
async fn compare(client: &Client, there: Option<&Repository>, rendered: &Rendered) -> Result<(Before, Option<String>)> {
    let Some(mut there) = there.cloned() else { return Ok((Before::Free, None)) };
    let wanted = describe(rendered.name.clone(), &rendered.shown());
    let note = location::align(client, &mut there, &wanted).await?;
    let differences = differences(&there, &wanted);
    if differences.is_empty() {
        Ok((Before::Same { readonly: there.readonly }, note))
    } else {
        Ok((Before::Other(differences), None))
    }
}

/// Refuses what the policy does not allow.
///
/// Fails with [`ErrorKind::AlreadyExists`] for other data, with [`ErrorKind::Precondition`] for a writable registration.
pub fn admit(client: &Client, name: &str, before: &Before, policy: Policy) -> Result<()> {
    let at = || format!("{} on `{}`", doing(name), client.place());
    match before {
        Before::Other(differences) if policy.replace == Replace::Never => {
            Err(Error::new(ErrorKind::AlreadyExists, at())
                .because(format!("the name already means other data: {}", differences.join(", ")))
                .hint("choose another name, remove that repository, or ask for it to be replaced with `--replace`"))
        }
        Before::Same { readonly: false } if policy.writable == Writable::Refuse => {
            Err(Error::new(ErrorKind::Precondition, at())
                .because(
                    "the name means this data already, and the cluster may write to it: what another copies there afterwards it \
                     does not see, and what it writes damages the copy",
                )
                .hint("make it read-only with `--force`, or remove it from the cluster first"))
        }
        _ => Ok(()),
    }
}

/// Registers a repository read-only and checks that it shows what is expected.
///
/// Fails with [`ErrorKind::NotFound`] when a snapshot is not there, with [`ErrorKind::Diverged`] when there are others, and as
/// [`admit`] does.
pub async fn register(client: &Client, order: Order<'_>, reporter: &dyn Reporter) -> Result<Registered> {
    let Order { rendered, expected, policy } = order;
    let name = &rendered.name;
    let there = find(client, name).await?;
    let (before, note) = compare(client, there.as_ref(), rendered).await?;
    if let Some(note) = note {
        reporter.report(&Event::Warning(&note));
    }
    admit(client, name, &before, policy)?;
    tell(client, rendered, &before, reporter);
    let put = Request::put(doing(name), &["_snapshot", name]).body(&rendered.body()?);
    let shown = match client.try_call(put).await {
        Ok(_) => show(client, name, expected).await,
        // Up to 7.x a repository in use cannot be registered again; as it is, it will do.
        Err(refusal)
            if refusal.failure.as_ref().is_some_and(Failure::is_in_use)
                && before == Before::Same { readonly: true } =>
        {
            let text = format!("repository `{name}` is in use and stays registered as it is");
            reporter.report(&Event::Warning(&text));
            show(client, name, expected).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    let error = match shown {
        Ok(snapshots) => {
            return Ok(Registered { name: name.clone(), kind: rendered.kind, replaced: there.is_some(), snapshots });
        }
        Err(error) => explain(error, rendered),
    };
    match there {
        Some(_) => Err(left_behind(error, &format!("`{name}` stays registered, with the new settings"))),
        None => Err(clean_up(client, name, error).await),
    }
}

fn tell(client: &Client, rendered: &Rendered, before: &Before, reporter: &dyn Reporter) {
    if let Before::Same { readonly: false } = before {
        let text = format!(
            "repository `{}` was registered writable on `{}`; it becomes read-only",
            rendered.name,
            client.place()
        );
        reporter.report(&Event::Warning(&text));
    }
    for note in &rendered.notes {
        reporter.report(&Event::Warning(note));
    }
    if rendered.has_keys() && client.place().starts_with("http://") {
        let text = format!("the keys travel to `{}` unencrypted", client.place());
        reporter.report(&Event::Warning(&text));
    }
}

/// Lists the freshly registered repository and checks it against what is expected.
async fn show(client: &Client, name: &str, expected: &Expectation) -> Result<Vec<Snapshot>> {
    let snapshots =
        snapshot::list(client, name, Detail::Short).await.map_err(|error| error.while_doing(doing(name)))?;
    let failed = |kind, cause: String, hint: &'static str| {
        Err(Error::new(kind, format!("{} on `{}`", doing(name), client.place())).because(cause).hint(hint))
    };
    let there: BTreeSet<&str> = snapshots.iter().map(identity).collect();
    let wanted = || expected.named.iter().chain(expected.root.iter().flatten());
    let missing: Vec<&str> =
        wanted().filter(|wanted| !there.contains(wanted.uuid.as_str())).map(|wanted| wanted.name.as_str()).collect();
    if !missing.is_empty() {
        let cause = format!(
            "the cluster took it, but shows {} snapshots of which none is {}",
            snapshots.len(),
            quoted(&missing)
        );
        let hint = "check that the cluster's nodes see the place that was synced to, and sync again if they do";
        return failed(ErrorKind::NotFound, cause, hint);
    }
    if let Some(root) = &expected.root {
        let known: BTreeSet<&str> = root.iter().map(|one| one.uuid.as_str()).collect();
        // A cluster also lists what it has noted as unreadable, and what it is at; the root names neither.
        let counts = |one: &&Snapshot| !matches!(one.state, State::Incompatible | State::InProgress);
        let extra = snapshots.iter().filter(counts).filter(|one| !known.contains(identity(one)));
        let extra: Vec<&str> = extra.map(|one| one.name.as_str()).collect();
        if !extra.is_empty() {
            let cause = format!(
                "the cluster shows snapshots that the copy does not have: {}; it sees other data, or an older state of it",
                quoted(&extra)
            );
            let hint = "check the location as the nodes see it; where it is right, remove the repository and register it again";
            return failed(ErrorKind::Diverged, cause, hint);
        }
    }
    Ok(snapshots)
}

/// What tells a snapshot from others: before 5.0 there was nothing but the name.
fn identity(snapshot: &Snapshot) -> &str {
    match snapshot.uuid.as_str() {
        "" | "_na_" => &snapshot.name,
        uuid => uuid,
    }
}

/// Words of clouds for keys that are missing, unknown or wrong.
const ABOUT_KEYS: [&str; 6] =
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "Access Denied", "s3 client name", "credentials"];

/// The cluster's words without our keys; and where they are about keys, the commands that put them in place.
fn explain(error: Error, rendered: &Rendered) -> Error {
    let cause = error.cause().unwrap_or_default();
    let about_keys = ABOUT_KEYS.iter().any(|word| cause.contains(word));
    let error = error.because(rendered.redact(cause));
    if !about_keys || rendered.keystore.is_empty() {
        return error;
    }
    error.hint(format!(
        "on every node: `{}`, then register with `--reload-secure-settings`, or restart them",
        rendered.keystore.join("`, `")
    ))
}

/// Takes back a registration that failed, and says what became of it.
async fn clean_up(client: &Client, name: &str, error: Error) -> Error {
    let fate = match find(client, name).await {
        Ok(None) => return error,
        Ok(Some(_)) => match remove(client, name).await {
            Ok(()) => format!("the cluster had kept `{name}` nevertheless; it was removed again"),
            Err(why) => format!("`{name}` was left registered, because it could not be removed: {why}"),
        },
        Err(_) => format!("`{name}` may have been left registered"),
    };
    left_behind(error, &fate)
}

fn left_behind(error: Error, fate: &str) -> Error {
    let cause = error.cause().unwrap_or_else(|| error.kind().word().to_owned());
    error.because(format!("{cause} ({fate})"))
}
