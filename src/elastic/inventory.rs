//! What a cluster has beside its indices, by name: what a snapshot of indices does not carry.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::client::Client;
use super::health::known;
use super::request::Request;
use super::version::Distribution;
use crate::error::{ErrorKind, Result};

/// One kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// A template of the old kind (`_template`).
    Template,
    /// A composable template (`_index_template`).
    IndexTemplate,
    /// A part of composable templates (`_component_template`).
    ComponentTemplate,
    /// An ingest pipeline.
    Pipeline,
    /// A stored script.
    StoredScript,
    /// A lifecycle policy of indices (ILM).
    LifecyclePolicy,
    /// A lifecycle policy of snapshots (SLM).
    SnapshotPolicy,
    /// A state management policy of OpenSearch (ISM).
    IsmPolicy,
    /// A role.
    Role,
    /// A user.
    User,
}

impl Thing {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::IndexTemplate => "composable template",
            Self::ComponentTemplate => "component template",
            Self::Pipeline => "ingest pipeline",
            Self::StoredScript => "stored script",
            Self::LifecyclePolicy => "lifecycle policy",
            Self::SnapshotPolicy => "snapshot policy",
            Self::IsmPolicy => "state management policy",
            Self::Role => "role",
            Self::User => "user",
        }
    }
}

/// What a cluster has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The names of what it has, by kind. A kind that could not be read is not in it.
    pub things: BTreeMap<Thing, BTreeSet<String>>,
    /// Those of them that products bring along.
    pub managed: BTreeSet<(Thing, String)>,
    /// The composable templates that make data streams, with their patterns.
    pub stream_patterns: Vec<String>,
    /// Lifecycle policies that delete indices.
    pub deleting: BTreeSet<String>,
}

impl Inventory {
    /// Whether it has this.
    #[must_use]
    pub fn has(&self, thing: Thing, name: &str) -> bool {
        self.things.get(&thing).is_some_and(|names| names.contains(name))
    }

    fn is_managed(&self, thing: Thing, name: &str) -> bool {
        self.managed.contains(&(thing, name.to_owned()))
    }

    /// What this one has and `other` lacks, where both tell. What products bring along themselves is left out.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> BTreeMap<Thing, Vec<String>> {
        let mut missing = BTreeMap::new();
        for (thing, names) in &self.things {
            let Some(there) = other.things.get(thing) else { continue };
            let names: Vec<String> = names
                .difference(there)
                .filter(|name| !name.starts_with('.') && !self.is_managed(*thing, name))
                .cloned()
                .collect();
            if !names.is_empty() {
                missing.insert(*thing, names);
            }
        }
        missing
    }
}

/// Reads what a cluster has. Kinds that it does not know or does not show us are left out.
pub async fn read(client: &Client) -> Result<Inventory> {
    const FIELDS: &str = "metadata.templates.*.order,metadata.index_template.index_template.*.index_patterns,\
        metadata.index_template.index_template.*.data_stream,metadata.component_template.component_template.*.version,\
        metadata.component_template.component_template.*.template,metadata.stored_scripts.*.lang,\
        metadata.ingest.pipeline.id,metadata.index_lifecycle.policies.*.policy.phases.delete,\
        metadata.index_lifecycle.policies.*.version,metadata.snapshot_lifecycle.policies.*.policy.name,\
        metadata.index_template.index_template.*._meta.managed,\
        metadata.component_template.component_template.*._meta.managed,metadata.ingest.pipeline.config._meta.managed,\
        metadata.index_lifecycle.policies.*.policy._meta.managed";
    let request = Request::get("read what the cluster has beside its indices", &["_cluster", "state", "metadata"]);
    let state = client.call(request.query("filter_path", FIELDS).query("flat_settings", "true")).await?;
    let mut inventory = of_state(&state["metadata"], client);
    let is_open_search = client.version().distribution == Distribution::OpenSearch;
    if is_open_search && let Some(policies) = shown(client, &["_plugins", "_ism", "policies"]).await? {
        let policies = policies["policies"].as_array().into_iter().flatten();
        let names = policies.filter_map(|policy| policy["_id"].as_str()).map(str::to_owned).collect();
        inventory.things.insert(Thing::IsmPolicy, names);
    }
    let (roles, users): (&[&str], &[&str]) = if is_open_search {
        (&["_plugins", "_security", "api", "roles"], &["_plugins", "_security", "api", "internalusers"])
    } else if client.version().major < 7 {
        (&["_xpack", "security", "role"], &["_xpack", "security", "user"])
    } else {
        (&["_security", "role"], &["_security", "user"])
    };
    for (thing, path) in [(Thing::Role, roles), (Thing::User, users)] {
        if let Some(told) = shown(client, path).await? {
            let own = told.as_object().into_iter().flatten().filter(|(_, about)| !is_built_in(about));
            inventory.things.insert(thing, own.map(|(name, _)| name.clone()).collect());
        }
    }
    Ok(inventory)
}

fn of_state(metadata: &Value, client: &Client) -> Inventory {
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let composable = &metadata["index_template"]["index_template"];
    let policies = &metadata["index_lifecycle"]["policies"];
    let pipelines = metadata["ingest"]["pipeline"].as_array().into_iter().flatten();
    let mut things = BTreeMap::from([
        (Thing::Template, keys(&metadata["templates"])),
        (Thing::IndexTemplate, keys(composable)),
        (Thing::ComponentTemplate, keys(&metadata["component_template"]["component_template"])),
        (Thing::StoredScript, keys(&metadata["stored_scripts"])),
        (Thing::Pipeline, pipelines.filter_map(|one| one["id"].as_str()).map(str::to_owned).collect()),
    ]);
    if client.version().distribution == Distribution::Elasticsearch {
        things.insert(Thing::LifecyclePolicy, keys(policies));
        things.insert(Thing::SnapshotPolicy, keys(&metadata["snapshot_lifecycle"]["policies"]));
    }
    let mut managed = BTreeSet::new();
    let component = &metadata["component_template"]["component_template"];
    for (thing, list, about) in [
        (Thing::IndexTemplate, composable, ""),
        (Thing::ComponentTemplate, component, ""),
        (Thing::LifecyclePolicy, policies, "/policy"),
    ] {
        let all = list.as_object().into_iter().flatten();
        let ours = all.filter(|(_, one)| one.pointer(&format!("{about}/_meta/managed")) == Some(&Value::Bool(true)));
        managed.extend(ours.map(|(name, _)| (thing, name.clone())));
    }
    let all = metadata["ingest"]["pipeline"].as_array().into_iter().flatten();
    let ours = all.filter(|one| one["config"]["_meta"]["managed"] == true);
    managed.extend(ours.filter_map(|one| Some((Thing::Pipeline, one["id"].as_str()?.to_owned()))));
    let all = composable.as_object().into_iter().flatten();
    let streams = all.filter(|(_, template)| template["data_stream"].is_object());
    let patterns = streams.flat_map(|(_, template)| template["index_patterns"].as_array().into_iter().flatten());
    let all = policies.as_object().into_iter().flatten();
    let deleting = all.filter(|(_, policy)| policy["policy"]["phases"]["delete"].is_object());
    Inventory {
        stream_patterns: patterns.filter_map(Value::as_str).map(str::to_owned).collect(),
        deleting: deleting.map(|(name, _)| name.clone()).collect(),
        managed,
        things,
    }
}

/// An answer, or nothing where the server does not know the question or does not answer us.
async fn shown(client: &Client, path: &[&str]) -> Result<Option<Value>> {
    match known(client.call(Request::get("read what the cluster has", path)).await) {
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unavailable) => Ok(None),
        other => other,
    }
}

/// What the product made itself.
fn is_built_in(about: &Value) -> bool {
    about["metadata"]["_reserved"] == true || about["reserved"] == true || about["static"] == true
}
