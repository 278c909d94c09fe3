//! `snapferry repo register`.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::asking::ask;
use super::open;
use super::registering::{Purpose, Registering};
use crate::cli::Session;
use crate::cli::cluster::connect;
use crate::cli::exit::Outcome;
use crate::cli::output::Count;
use crate::config::{StorePlace, secret_file};
use crate::elastic::Client;
use crate::elastic::repository::{Before, Expectation, Expected, Registered, Registration, Rendered, Target, Writable};
use crate::elastic::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::repository;
use crate::store::Access;

#[derive(Debug, clap::Args)]
pub(super) struct Register {
    /// The cluster: a URL or the name of an `[elastic.<name>]` section; with `--for` it is not asked, and `-` will do
    cluster: String,
    /// The name to register it under; the source's own name is a good one, and the only one under which searchable snapshots mount
    repository: String,
    /// Where it lies. snapferry looks there itself for the snapshots that the cluster must then show
    location: Option<String>,
    #[command(flatten)]
    registering: Registering,
    /// The UUID of a snapshot that must be there. May be given several times
    #[arg(long, value_name = "UUID")]
    expect: Vec<String>,
    /// Print the request, and the commands for the keystore, and send nothing that changes anything
    #[arg(long)]
    render: bool,
    /// With `--render`: write it for a cluster that is not asked: `es-7.10`, `opensearch-2.19`, `aws-opensearch-1.3`, `aliyun-es-7.10`
    #[arg(long = "for", value_name = "VERSION", requires = "render")]
    version: Option<String>,
    /// Before registering, let the nodes read their keystores again; every node must have done so
    #[arg(long, conflicts_with = "render")]
    reload_secure_settings: bool,
    /// The file with the password of the nodes' keystores, if they have one
    #[arg(long, value_name = "FILE", requires = "reload_secure_settings")]
    keystore_password_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct RegisterDocument {
    command: &'static str,
    outcome: &'static str,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    replaced: bool,
    snapshots: Vec<Snapshot>,
}

#[derive(Serialize)]
struct RenderDocument<'a> {
    command: &'static str,
    outcome: &'static str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    version: String,
    request: String,
    body: Value,
    keystore: &'a [String],
    notes: &'a [String],
}

impl Register {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let place = self.location.as_deref().map(|location| session.config.place(location)).transpose()?;
        let purpose = if self.render { Purpose::Show } else { Purpose::Send };
        let registration = self.registering.registration(session, &self.repository, place.as_ref(), purpose).await?;
        if self.render {
            return self.print(session, &registration).await;
        }
        let client = connect(session, &self.cluster).await?;
        let named = self.expect.iter().map(|uuid| Expected { name: uuid.clone(), uuid: uuid.clone() }).collect();
        let root = match &place {
            Some(place) => look(session, place).await?,
            None => None,
        };
        let expected = Expectation { named, root };
        let mut options = repository::Options { registration, expected, policy: self.registering.policy() };
        self.consent(session, &client, &mut options).await?;
        if self.reload_secure_settings {
            let password = self.keystore_password_file.as_deref().map(secret_file).transpose()?;
            let nodes = repository::reload(&client, password.as_ref()).await?;
            session.output.note(&format!("the keystore was read again on {}", Count(nodes as u64, "node")));
        }
        let registered = repository::register(&client, &options, session.output.as_ref()).await?;
        if registered.snapshots.is_empty() {
            return Err(empty(&client, &registered).await);
        }
        tell(session, registered)
    }

    /// Prints what would be sent.
    async fn print(&self, session: &Session, registration: &Registration) -> Result<Outcome> {
        let target = match &self.version {
            None => Target::of(&connect(session, &self.cluster).await?).await?,
            Some(version) => {
                let target = Target::parse(version)?;
                if self.cluster == "-" { target } else { target.at(&session.config.cluster(&self.cluster)?.url) }
            }
        };
        let rendered = repository::render(&target, registration)?;
        for line in lines(&rendered) {
            session.output.line(&line)?;
        }
        for note in &rendered.notes {
            session.output.note(&format!("note: {note}"));
        }
        if session.output.is_json() {
            session.output.document(&RenderDocument {
                command: "repo register",
                outcome: Outcome::Done.word(),
                name: &rendered.name,
                kind: rendered.kind,
                version: target.version().to_string(),
                request: request(&rendered),
                body: rendered.shown(),
                keystore: &rendered.keystore,
                notes: &rendered.notes,
            })?;
        }
        Ok(Outcome::Done)
    }

    /// Asks before a repository that the cluster may write to becomes read-only. Where nobody can be asked, it is refused later.
    async fn consent(&self, session: &Session, client: &Client, options: &mut repository::Options) -> Result<()> {
        if options.policy.writable == Writable::Convert {
            return Ok(());
        }
        if repository::before(client, &options.registration).await? != (Before::Same { readonly: false }) {
            return Ok(());
        }
        let question = format!(
            "`{}` is registered on `{}` for this data, writable. Make it read-only?",
            self.repository,
            client.place()
        );
        match ask(session, &question) {
            Some(true) => options.policy.writable = Writable::Convert,
            Some(false) => {
                return Err(Error::new(ErrorKind::Cancelled, format!("register the repository `{}`", self.repository))
                    .because("you did not want it to become read-only; nothing was changed"));
            }
            None => {}
        }
        Ok(())
    }
}

fn request(rendered: &Rendered) -> String {
    format!("PUT /_snapshot/{}", rendered.name)
}

fn lines(rendered: &Rendered) -> Vec<String> {
    let mut lines = vec![request(rendered)];
    // A map of texts is always JSON.
    let body = serde_json::to_string_pretty(&rendered.shown()).unwrap_or_default();
    lines.extend(body.lines().map(str::to_owned));
    if !rendered.keystore.is_empty() {
        lines.push(String::new());
        lines.push("# before that, on every node, unless its keys are there already:".to_owned());
        lines.extend(rendered.keystore.iter().cloned());
        lines.push("# then restart the nodes, or where the version is 6.4 or later:".to_owned());
        lines.push("POST /_nodes/reload_secure_settings".to_owned());
    }
    lines
}

fn tell(session: &Session, registered: Registered) -> Result<Outcome> {
    let shown = Count(registered.snapshots.len() as u64, "snapshot");
    session.output.line(&format!("registered `{}` ({}, read-only): {shown}", registered.name, registered.kind))?;
    for snapshot in &registered.snapshots {
        session.output.line(&format!("  {}  {}", snapshot.name, snapshot.uuid))?;
    }
    if session.output.is_json() {
        session.output.document(&RegisterDocument {
            command: "repo register",
            outcome: Outcome::Done.word(),
            name: registered.name,
            kind: registered.kind,
            replaced: registered.replaced,
            snapshots: registered.snapshots,
        })?;
    }
    Ok(Outcome::Done)
}

/// The snapshots that the cluster must show, if the place can be looked at from here. It may well be one that only the nodes
/// reach.
async fn look(session: &Session, place: &StorePlace) -> Result<Option<Vec<Expected>>> {
    let seen = match open(session, place, Access::Read).await {
        Ok(end) => repository::root(&end).await,
        Err(error) => Err(error),
    };
    match seen {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Unavailable | ErrorKind::Timeout
            ) =>
        {
            session.output.note(&format!("warning: {error}; what the cluster shows cannot be compared"));
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// A repository without a snapshot is most likely a place that does not exist. It does not stay registered for that.
async fn empty(client: &Client, registered: &Registered) -> Error {
    let name = &registered.name;
    let fate = match registered.replaced {
        true => "it stays registered, with the new settings",
        false if repository::remove(client, name).await.is_ok() => "it was removed again",
        false => "it stays registered",
    };
    Error::new(ErrorKind::NotFound, format!("rely on the repository `{name}`"))
        .because(format!("the cluster shows no snapshot in it, as it does for a place that does not exist ({fate})"))
        .hint("check its location as the nodes of the cluster see it")
}
