//! What is installed on which node: modules and plugins, and the repository types that follow.
//!
//! A repository works only if every node has its type, so one node that lacks it is named.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::capability::Capability;
use super::client::Client;
use super::request::Request;
use crate::error::{Error, ErrorKind, Result};

/// A node with what is installed on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NodePlugins {
    /// `node.name`.
    pub name: String,
    /// What came with the server.
    pub modules: BTreeSet<String>,
    /// What was installed besides.
    pub plugins: BTreeSet<String>,
}

impl NodePlugins {
    fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.modules.contains(*name) || self.plugins.contains(*name))
    }
}

/// What is installed on the nodes of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plugins {
    /// In the order of their names.
    pub nodes: Vec<NodePlugins>,
}

/// The types of repository that snapferry registers.
pub const REPOSITORY_TYPES: [&str; 4] = ["s3", "oss", "url", "fs"];

/// Which nodes can use a type of repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepositoryType {
    /// `s3`, `oss`, `url` or `fs`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether every node has it.
    pub usable: bool,
    /// The nodes that lack it.
    pub missing_on: Vec<String>,
}

/// The modules and plugins that bring a type; any of them will do. None: it is part of the server.
fn brought_by(kind: &str, capability: Capability) -> Option<&'static [&'static str]> {
    match kind {
        "s3" => Some(&["repository-s3"]),
        "oss" => Some(&["repository-oss", "elasticsearch-repository-oss", "aliyun-repository-oss"]),
        "url" if capability.url_module => Some(&["repository-url"]),
        _ => None,
    }
}

impl Plugins {
    /// Asks every node.
    pub(super) async fn ask(client: &Client) -> Result<Self> {
        let doing = "list the plugins of the nodes";
        let wanted = "nodes.*.name,nodes.*.modules.name,nodes.*.plugins.name";
        let answer = client.call(Request::get(doing, &["_nodes", "plugins"]).query("filter_path", wanted)).await?;
        Self::read(answer)
            .map_err(|error| Error::new(ErrorKind::Invalid, format!("{doing} on `{}`", client.place())).because(error))
    }

    fn read(answer: Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        #[derive(Deserialize)]
        struct Node {
            #[serde(default)]
            name: String,
            #[serde(default)]
            modules: Vec<Named>,
            #[serde(default)]
            plugins: Vec<Named>,
        }
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            nodes: std::collections::BTreeMap<String, Node>,
        }
        let answer: Answer = serde_json::from_value(answer).map_err(|error| format!("the answer is odd: {error}"))?;
        let names = |list: Vec<Named>| list.into_iter().map(|one| one.name).collect();
        let mut nodes: Vec<NodePlugins> = answer
            .nodes
            .into_iter()
            .map(|(id, node)| NodePlugins {
                name: if node.name.is_empty() { id } else { node.name },
                modules: names(node.modules),
                plugins: names(node.plugins),
            })
            .collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        if nodes.is_empty() {
            return Err("the answer names no node".to_owned());
        }
        Ok(Self { nodes })
    }

    /// Which of the types every node has, by the modules and plugins of `capability`'s version.
    #[must_use]
    pub fn repository_types(&self, capability: Capability) -> Vec<RepositoryType> {
        let of = |kind: &'static str| {
            let lacks = |node: &&NodePlugins| brought_by(kind, capability).is_some_and(|names| !node.has(names));
            let missing_on: Vec<String> = self.nodes.iter().filter(lacks).map(|node| node.name.clone()).collect();
            RepositoryType { kind, usable: missing_on.is_empty(), missing_on }
        };
        REPOSITORY_TYPES.map(of).into()
    }

    /// Whether some node has a plugin or module of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.nodes.iter().any(|node| node.has(&[name]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::version::Version;
    use super::*;

    #[test]
    fn a_node_without_the_plugin_is_named() {
        let answer = json!({ "nodes": {
            "b": { "name": "two", "modules": [{ "name": "repository-url" }], "plugins": [] },
            "a": { "name": "one", "modules": [{ "name": "repository-url" }], "plugins": [{ "name": "repository-s3" }] },
        } });
        let plugins = Plugins::read(answer).unwrap();
        let version = Version::parse(&json!({ "number": "7.10.2" })).unwrap();
        let types = plugins.repository_types(version.capability());
        let told: Vec<(&str, bool, Vec<&str>)> = types
            .iter()
            .map(|one| (one.kind, one.usable, one.missing_on.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            told,
            [
                ("s3", false, vec!["two"]),
                ("oss", false, vec!["one", "two"]),
                ("url", true, vec![]),
                ("fs", true, vec![])
            ]
        );
    }

    /// 5.5.3 lists neither, and both work.
    #[test]
    fn in_five_url_is_part_of_the_server() {
        let plugins =
            Plugins::read(json!({ "nodes": { "a": { "name": "one", "plugins": [{ "name": "repository-oss" }] } } }))
                .unwrap();
        let version = Version::parse(&json!({ "number": "5.5.3" })).unwrap();
        let usable: Vec<&str> = plugins
            .repository_types(version.capability())
            .iter()
            .filter(|one| one.usable)
            .map(|one| one.kind)
            .collect();
        assert_eq!(usable, ["oss", "url", "fs"]);
    }

    #[test]
    fn an_answer_without_nodes_is_no_answer() {
        assert!(Plugins::read(json!({})).is_err());
        assert!(Plugins::read(json!({ "nodes": 1 })).is_err());
    }
}
