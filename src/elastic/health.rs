//! What a cluster says of its own condition: colour, nodes, disks, licence, privileges, and what it is busy with.
//!
//! It judges nothing; the preflight of a restore does. What a version or distribution does not know is told as nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::client::Client;
use super::index::number;
use super::request::Request;
use crate::error::{ErrorKind, Result};

/// The cluster's condition in a few numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// `green`, `yellow` or `red`.
    pub status: String,
    /// Nodes that hold data.
    pub data_nodes: u64,
    /// Shards that are there, replicas too.
    pub shards: u64,
}

/// Reads the cluster's condition. Fails with [`ErrorKind::Unavailable`] while it has no master.
pub async fn health(client: &Client) -> Result<Health> {
    let answer = client.call(Request::get("read the cluster's health", &["_cluster", "health"])).await?;
    let count = |key: &str| answer[key].as_u64().unwrap_or(0);
    Ok(Health {
        status: answer["status"].as_str().unwrap_or_default().to_owned(),
        data_nodes: count("number_of_data_nodes"),
        shards: count("active_shards") + count("initializing_shards") + count("unassigned_shards"),
    })
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its roles, as words; `data_hot` and the like since 7.10.
    pub roles: BTreeSet<String>,
    /// Its attributes, which allocation filters speak of.
    pub attributes: BTreeMap<String, String>,
    /// Its plugins and modules.
    pub plugins: BTreeSet<String>,
}

impl Node {
    /// Whether shards can lie on it.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.roles.is_empty() || self.roles.iter().any(|role| role == "data" || role.starts_with("data_"))
    }
}

/// Reads the cluster's nodes.
pub async fn nodes(client: &Client) -> Result<Vec<Node>> {
    const FIELDS: &str = "nodes.*.name,nodes.*.roles,nodes.*.attributes,nodes.*.plugins.name,nodes.*.modules.name";
    let request = Request::get("read the cluster's nodes", &["_nodes", "plugins"]).query("filter_path", FIELDS);
    let answer = client.call(request).await?;
    let nodes = answer["nodes"].as_object().into_iter().flatten();
    Ok(nodes.map(|(_, node)| read_node(node)).collect())
}

fn read_node(node: &Value) -> Node {
    let texts = |value: &Value| value.as_str().map(str::to_owned);
    let named = |key: &str| node[key].as_array().into_iter().flatten().filter_map(|entry| texts(&entry["name"]));
    Node {
        name: texts(&node["name"]).unwrap_or_default(),
        roles: node["roles"].as_array().into_iter().flatten().filter_map(texts).collect(),
        attributes: node["attributes"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), texts(value)?)))
            .collect(),
        plugins: named("plugins").chain(named("modules")).collect(),
    }
}

/// The disk of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The node.
    pub node: String,
    /// Its bytes in all.
    pub total: u64,
    /// Its free bytes.
    pub free: u64,
}

/// Reads how full the data nodes are.
pub async fn disks(client: &Client) -> Result<Vec<Disk>> {
    let request = Request::get("read how full the nodes are", &["_cat", "allocation"]).query("format", "json");
    let answer = client.call(request.query("bytes", "b")).await?;
    let disk = |row: &Value| {
        let total = number(&row["disk.total"])?;
        let free = number(&row["disk.avail"])?;
        Some(Disk { node: row["node"].as_str()?.to_owned(), total, free })
    };
    Ok(answer.as_array().into_iter().flatten().filter_map(disk).collect())
}

/// Reads the licence: its type and whether it is `active`. Nothing where there is none.
pub async fn licence(client: &Client) -> Result<Option<(String, String)>> {
    let Some(answer) = known(client.call(Request::get("read the licence", &["_license"])).await)? else {
        return Ok(None);
    };
    let text = |key: &str| answer["license"][key].as_str().map(str::to_owned);
    Ok(text("type").zip(text("status")))
}

/// The privileges that the user lacks for a restore, by the names that the security module has for them. Nothing where it cannot be
/// asked: without security, on OpenSearch, and before 6.
pub async fn lacking(client: &Client, cluster: &[&str], index: &[&str], names: &[String]) -> Result<Vec<String>> {
    let body = json!({ "cluster": cluster, "index": [{ "names": names, "privileges": index }] });
    let path: &[&str] =
        if client.version().major < 7 { &["_xpack", "security", "user"] } else { &["_security", "user"] };
    let request = Request::post("ask for our privileges", path).word("_has_privileges").body(&body);
    let Some(answer) = known(client.call(request).await)? else { return Ok(Vec::new()) };
    let denied = |granted: &Value| -> Vec<String> {
        let granted = granted.as_object().into_iter().flatten();
        granted.filter(|(_, is)| **is == Value::Bool(false)).map(|(name, _)| name.clone()).collect()
    };
    let mut lacking: BTreeSet<String> = denied(&answer["cluster"]).into_iter().collect();
    for (name, granted) in answer["index"].as_object().into_iter().flatten() {
        lacking.extend(denied(granted).into_iter().map(|privilege| format!("{privilege} on {name}")));
    }
    Ok(lacking.into_iter().collect())
}

/// What the cluster is busy with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Busy {
    /// Indices that a running snapshot takes, with the snapshot.
    pub snapshots: BTreeMap<String, String>,
    /// Indices that are being restored, with the snapshot they come from.
    pub restores: BTreeMap<String, String>,
}

/// Reads which indices are being snapshotted or restored.
pub async fn busy(client: &Client) -> Result<Busy> {
    const FIELDS: &str = "restore.snapshots.repository,restore.snapshots.snapshot,restore.snapshots.indices,\
        snapshots.snapshots.repository,snapshots.snapshots.snapshot,snapshots.snapshots.indices";
    let request = Request::get("see what the cluster is busy with", &["_cluster", "state"]).word("customs");
    let answer = client.call(request.query("filter_path", FIELDS)).await?;
    let of = |kind: &str| {
        let mut indices = BTreeMap::new();
        for entry in answer[kind]["snapshots"].as_array().into_iter().flatten() {
            let text = |key: &str| entry[key].as_str().unwrap_or_default();
            for index in entry["indices"].as_array().into_iter().flatten() {
                // Plain names, or objects with a name.
                if let Some(name) = index.as_str().or_else(|| index["name"].as_str()) {
                    indices.insert(name.to_owned(), format!("{}:{}", text("repository"), text("snapshot")));
                }
            }
        }
        indices
    };
    Ok(Busy { snapshots: of("snapshots"), restores: of("restore") })
}

/// An answer, or nothing where the server does not know the question.
pub(super) fn known(answer: Result<Value>) -> Result<Option<Value>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Unsupported) => {
            tracing::debug!(%error, "the cluster does not know this");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
