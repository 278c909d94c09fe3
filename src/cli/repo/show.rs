//! `snapferry repo list`, `show` and `verify`.

use serde::Serialize;

use crate::cli::Session;
use crate::cli::cluster::connect;
use crate::cli::exit::Outcome;
use crate::cli::output::Count;
use crate::elastic::repository::{Repository, Verified};
use crate::error::Result;
use crate::ops::repository::{self, Shown};

#[derive(Serialize)]
struct ListDocument {
    command: &'static str,
    outcome: &'static str,
    repositories: Vec<Repository>,
}

#[derive(Serialize)]
struct ShowDocument {
    command: &'static str,
    outcome: &'static str,
    #[serde(flatten)]
    shown: Shown,
}

#[derive(Serialize)]
struct VerifyDocument {
    command: &'static str,
    outcome: &'static str,
    proves: Option<&'static str>,
    #[serde(flatten)]
    verified: Verified,
}

fn access(repository: &Repository) -> &'static str {
    if repository.readonly { "read-only" } else { "writable" }
}

fn meaning(repository: &Repository) -> Option<String> {
    let meaning = repository.meaning.as_ref()?;
    let unusable = if repository.usable_as_source { "" } else { "; not usable as a source" };
    Some(format!("{meaning}{unusable}"))
}

pub(super) async fn list(session: &Session, cluster: &str, patterns: &[String]) -> Result<Outcome> {
    let repositories = repository::list(&connect(session, cluster).await?, patterns).await?;
    for found in &repositories {
        let settings: Vec<String> = found.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let said = meaning(found).map(|said| format!("  ({said})")).unwrap_or_default();
        let line = format!("{}  {}  {}  {}{said}", found.name, found.kind, access(found), settings.join(" "));
        session.output.line(line.trim_end())?;
    }
    if repositories.is_empty() && patterns.is_empty() {
        session.output.note("the cluster knows no repository");
    } else if repositories.is_empty() {
        session.output.note("no repository matches");
    }
    if session.output.is_json() {
        session.output.document(&ListDocument { command: "repo list", outcome: Outcome::Done.word(), repositories })?;
    }
    Ok(Outcome::Done)
}

pub(super) async fn show(session: &Session, cluster: &str, name: &str) -> Result<Outcome> {
    let shown = repository::show(&connect(session, cluster).await?, name).await?;
    let Shown { repository, snapshots, states, latest } = &shown;
    session.output.line(&format!("{}  {}  {}", repository.name, repository.kind, access(repository)))?;
    if let Some(said) = meaning(repository) {
        session.output.line(&format!("  {said}"))?;
    }
    if let Some(uuid) = &repository.uuid {
        session.output.line(&format!("  uuid: {uuid}"))?;
    }
    for (key, value) in &repository.settings {
        session.output.line(&format!("  {key}: {value}"))?;
    }
    for key in &repository.hidden_settings {
        session.output.line(&format!("  {key}: (hidden: the cluster tells it to everybody who may look)"))?;
    }
    let by_state: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let of_which = if by_state.is_empty() { String::new() } else { format!(": {}", by_state.join(", ")) };
    session.output.line(&format!("  {}{of_which}", Count(*snapshots as u64, "snapshot")))?;
    if let Some(latest) = latest {
        session.output.line(&format!("  latest: {latest}"))?;
    }
    if session.output.is_json() {
        session.output.document(&ShowDocument { command: "repo show", outcome: Outcome::Done.word(), shown })?;
    }
    Ok(Outcome::Done)
}

pub(super) async fn verify(session: &Session, cluster: &str, name: &str) -> Result<Outcome> {
    let (verified, proves) = repository::verify(&connect(session, cluster).await?, name).await?;
    let good = verified.is_good();
    let outcome = if good { Outcome::Done } else { Outcome::Findings };
    for node in &verified.nodes {
        match &node.cause {
            None => session.output.line(&format!("{}: reaches `{name}`", node.name))?,
            Some(cause) => session.output.line(&format!("{}: {cause}", node.name))?,
        }
        if let Some(hint) = &node.hint {
            session.output.line(&format!("  hint: {hint}"))?;
        }
    }
    if verified.nodes.is_empty() {
        session.output.line("no node said anything")?;
    }
    if good {
        session.output.line(&format!("this proves {proves}"))?;
    } else {
        session.output.note("the cluster names only the nodes that failed");
    }
    if session.output.is_json() {
        let proves = good.then_some(proves);
        session.output.document(&VerifyDocument {
            command: "repo verify",
            outcome: outcome.word(),
            proves,
            verified,
        })?;
    }
    Ok(outcome)
}
