//! `snapferry cluster`: what is known of a cluster before anything is done to it.

use clap::Subcommand;
use serde::Serialize;

use super::Session;
use super::cluster::connect;
use super::exit::{self, Outcome};
use crate::elastic::plugins::RepositoryType;
use crate::elastic::whoami::{self, Identity};
use crate::elastic::{About, Capability, Client, Service};
use crate::error::{ErrorKind, Result};

/// Look at a cluster: who it is, what it can do, and as whom it sees us.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show name, version, nodes, repository types and abilities; nothing is changed
    #[command(after_help = exit::TABLE)]
    Show {
        /// The cluster: a URL or the name of an `[elastic.<name>]` section
        cluster: String,
    },
}

#[derive(Serialize)]
struct ShowDocument<'a> {
    command: &'static str,
    outcome: &'static str,
    url: &'a str,
    #[serde(flatten)]
    about: &'a About,
    service: Service,
    /// None where we may not ask for them.
    nodes: Option<Vec<&'a str>>,
    repository_types: Option<Vec<RepositoryType>>,
    capability: Capability,
    identity: Option<Identity>,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let Command::Show { cluster } = &self.command;
        let client = connect(session, cluster).await?;
        let identity = whoami::ask(&client).await?;
        let plugins = allowed(session, client.plugins().await)?;
        let types = plugins.map(|plugins| plugins.repository_types(client.capability()));
        let document = ShowDocument {
            command: "cluster show",
            outcome: Outcome::Done.word(),
            url: client.place(),
            about: client.about(),
            service: client.service().await,
            nodes: plugins.map(|plugins| plugins.nodes.iter().map(|node| node.name.as_str()).collect()),
            repository_types: types,
            capability: client.capability(),
            identity,
        };
        for line in lines(&client, &document) {
            session.output.line(&line)?;
        }
        if session.output.is_json() {
            session.output.document(&document)?;
        }
        Ok(Outcome::Done)
    }
}

/// What we may not ask for is left out and said so.
fn allowed<T>(session: &Session, asked: Result<T>) -> Result<Option<T>> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind() == ErrorKind::Denied => {
            session.output.note(&format!("warning: {error}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn lines(client: &Client, document: &ShowDocument<'_>) -> Vec<String> {
    let about = document.about;
    let uuid = about.uuid.as_ref().map(|uuid| format!(" ({uuid})")).unwrap_or_default();
    let mut lines = vec![format!("cluster `{}`{uuid}: {}, at `{}`", about.name, about.version, client.place())];
    match document.service {
        Service::Amazon => lines.push("  service     a domain of Amazon OpenSearch Service".to_owned()),
        Service::Alibaba => lines.push("  service     an instance of Alibaba Cloud Elasticsearch".to_owned()),
        Service::Own => {}
    }
    if let Some(oldest) = &about.minimum_index_compatibility_version {
        lines.push(format!("  indices     opens those created in {oldest} or later"));
    }
    if let Some(nodes) = &document.nodes {
        lines.push(format!("  nodes       {}", nodes.join(", ")));
    }
    for found in document.repository_types.iter().flatten() {
        let where_to = if found.usable {
            "on every node".to_owned()
        } else if document.nodes.as_ref().is_some_and(|nodes| nodes.len() == found.missing_on.len()) {
            "on no node".to_owned()
        } else {
            format!("missing on `{}`", found.missing_on.join("`, `"))
        };
        lines.push(format!("  type {:<6} {where_to}", found.kind));
    }
    if let Some(identity) = &document.identity {
        lines.push(format!("  logged in   {}", shown(identity)));
    }
    let abilities = abilities(document.capability);
    lines.push(format!(
        "  can         {}",
        if abilities.is_empty() { "the basics".to_owned() } else { abilities.join(", ") }
    ));
    lines
}

fn shown(identity: &Identity) -> String {
    let mut text = format!("as `{}`", identity.username);
    match (identity.by.as_str(), identity.of.as_str()) {
        ("", _) => {}
        ("realm", realm) => text.push_str(&format!(", by the realm `{realm}`")),
        (by, of) => text.push_str(&format!(", by {} `{of}`", by.replace('_', " "))),
    }
    if !identity.roles.is_empty() {
        text.push_str(&format!(", roles {}", identity.roles.join(", ")));
    }
    text
}

/// What decides how data gets there; the JSON has everything.
fn abilities(capability: Capability) -> Vec<&'static str> {
    let all = [
        (capability.parallel_restores, "parallel restores"),
        (capability.several_deletions, "several deletions at once"),
        (capability.data_streams, "data streams"),
        (capability.index_blocks, "index blocks"),
        (capability.snapshot_clone, "snapshot clones"),
        (capability.feature_states, "feature states"),
        (capability.repository_analysis, "repository analysis"),
        (capability.archive_indices, "archive indices"),
    ];
    all.into_iter().filter(|(on, _)| *on).map(|(_, words)| words).collect()
}
