//! A job: a migration with a name, as `[job.<name>]` describes it. What it leaves open, flags may say.

use std::path::PathBuf;
use std::time::Duration;

use super::raw::{Origin, Section};
use super::wrong;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::migrate::{Call, Hooks};

/// A hook as it was written.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) name: String,
    pub(super) call: Call,
    pub(super) origin: Origin,
}

/// A job. Places and clusters are named as in a command.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Where to copy from.
    pub from: Option<String>,
    /// Where to copy to.
    pub to: Option<String>,
    /// The cluster the data comes from.
    pub from_cluster: Option<String>,
    /// The cluster it is brought up on.
    pub to_cluster: Option<String>,
    /// The repository's name at the target.
    pub repository: Option<String>,
    /// The repository's name at the source; that at the target if it is left out.
    pub source_repository: Option<String>,
    /// How snapshots are named.
    pub snapshot: Option<String>,
    /// The indices.
    pub indices: Vec<String>,
    /// What to do about names that are taken.
    pub conflict: Option<String>,
    /// The rule for new names: what is replaced, and by what.
    pub rename: Option<(String, String)>,
    /// Whether aliases stay behind.
    pub without_aliases: bool,
    /// How thoroughly to compare.
    pub level: Option<u8>,
    /// How many replicas the indices get.
    pub replicas: Option<u32>,
    /// Bytes each second that each node of the target may take in while restoring.
    pub throttle: Option<u64>,
    /// How long the source may be blocked.
    pub outage: Option<Duration>,
    /// Which snapshots are copied.
    pub copy: Option<String>,
    /// Whether what the target would refuse is left out.
    pub leave_out_incompatible: bool,
    /// Where the report goes.
    pub report: Option<PathBuf>,
    /// Where the journal is.
    pub journal: Option<PathBuf>,
    /// What is called before and after steps.
    pub hooks: Hooks,
    /// How the target sees the copy: its type, its address, the name of a client, further settings as `key=value`.
    pub registration: Registering,
    /// What the user should be told about how it was read.
    pub notes: Vec<String>,
}

/// How the target sees the copy, where a job says so.
#[derive(Debug, Clone, Default)]
pub struct Registering {
    /// The repository type.
    pub kind: Option<String>,
    /// Of type `url`: where the nodes read it.
    pub url: Option<String>,
    /// Of type `s3`: the client's name.
    pub client: Option<String>,
    /// The store whose keys are sent as settings.
    pub keys_in_settings: Option<String>,
    /// With Amazon's service: the role that it takes on.
    pub role_arn: Option<String>,
    /// Of type `s3`: whether the server encrypts.
    pub server_side_encryption: bool,
    /// With `oss://`: the network.
    pub network: Option<String>,
    /// Further settings.
    pub settings: Vec<(String, String)>,
    /// Whether the name may be taken from other data.
    pub replace: bool,
    /// Whether a writable registration becomes read-only.
    pub force: bool,
}

/// Reads a job.
pub(super) fn read(name: &str, section: &Section, hooks: &[Hook]) -> Result<Job> {
    check(name, section, hooks)?;
    let text = |key: &str| section.text(key).map(str::to_owned);
    let list = |key: &str| -> Vec<String> {
        let words = section.text(key).unwrap_or_default().split(',').map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let mut notes = Vec::new();
    let mut indices = list("indices");
    if section.text("indexes").is_some() {
        notes.push(format!("`indexes` of `[job.{name}]` is read as `indices`, which is what Elasticsearch calls it"));
        indices = list("indexes");
    }
    let seconds = |key: &str| section.number(key).map(Duration::from_secs);
    let mut called = Hooks::within(seconds("hook_timeout"));
    for hook in hooks {
        called.add(&hook.name, hook.call.clone());
    }
    Ok(Job {
        from: text("from"),
        to: text("to"),
        from_cluster: text("from_cluster"),
        to_cluster: text("to_cluster"),
        repository: text("repository"),
        source_repository: text("source_repository"),
        snapshot: text("snapshot"),
        indices,
        conflict: text("conflict"),
        rename: text("rename_pattern").zip(text("rename_replacement")),
        without_aliases: section.switch("without_aliases"),
        level: section.number("level").and_then(|level| level.try_into().ok()),
        replicas: section.number("replicas").and_then(|replicas| replicas.try_into().ok()),
        throttle: section.number("throttle"),
        outage: seconds("outage"),
        copy: text("copy"),
        leave_out_incompatible: section.switch("leave_out_incompatible"),
        report: section.text("report").map(PathBuf::from),
        journal: section.text("journal").map(PathBuf::from),
        hooks: called,
        registration: Registering {
            kind: text("type"),
            url: text("url"),
            client: text("client"),
            keys_in_settings: text("keys_in_settings"),
            role_arn: text("role_arn"),
            server_side_encryption: section.switch("server_side_encryption"),
            network: text("network"),
            settings: list("settings").iter().filter_map(|word| word.split_once('=')).map(owned).collect(),
            replace: section.switch("replace"),
            force: section.switch("force"),
        },
        notes,
    })
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.trim().to_owned(), value.to_owned())
}

/// Finds every mistake that shows without looking at places and clusters.
pub(super) fn check(name: &str, section: &Section, hooks: &[Hook]) -> Result<()> {
    if section.text("indices").is_some() && section.text("indexes").is_some() {
        return Err(wrong(section, "indexes", &format!("`[job.{name}]` has `indices` and `indexes`"))
            .hint("leave `indexes` out"));
    }
    let (pattern, replacement) = (section.text("rename_pattern"), section.text("rename_replacement"));
    if pattern.is_some() != replacement.is_some() {
        return Err(wrong(
            section,
            "rename_pattern",
            &format!("`[job.{name}]` has one of `rename_pattern` and `rename_replacement`"),
        )
        .hint("give both, or neither"));
    }
    if let Some(word) = section.text("settings").and_then(|text| text.split(',').find(|word| !word.contains('='))) {
        return Err(wrong(section, "settings", &format!("`{word}` in `settings` is no `key=value`"))
            .hint("write `settings = [\"key=value\"]`"));
    }
    let mut tried = Hooks::default();
    for hook in hooks {
        if let Some(fault) = hook.call.fault() {
            return Err(Error::new(ErrorKind::Invalid, format!("read the configuration, {}", hook.origin))
                .because(format!("`{}` in `[job.{name}.hooks]` cannot be called: {fault}", hook.name))
                .hint("write `https://host/path`; what needs credentials is called by a command that reads them from a file"));
        }
        if !tried.add(&hook.name, hook.call.clone()) {
            return Err(Error::new(ErrorKind::Invalid, format!("read the configuration, {}", hook.origin))
                .because(format!("`{}` in `[job.{name}.hooks]` names no step", hook.name))
                .hint("write `before_<step>` or `after_<step>`, with one of the steps preflight, block, capture, snapshot, sync, register, list, conflicts, restore, verify, finalise, lift_block, delete_created, put_back"));
        }
    }
    Ok(())
}
