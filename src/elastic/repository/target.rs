//! The cluster that a registration is written for: its version, whose service it is, and which repository types its nodes have.
//!
//! The types come from `GET _nodes/plugins`: `s3` is a plugin up to 7.x and in OpenSearch, a module from 8.0 on; `url` is built in
//! up to 5.x and a module since; `fs` is always there. Where the list is not to be had (Amazon's service hides it), nothing is
//! concluded from its absence.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::elastic::client::Client;
use crate::elastic::request::Request;
use crate::elastic::selection::quoted;
use crate::elastic::version::{Distribution, Version};
use crate::error::{Error, ErrorKind, Result};

/// Whose service a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Nobody's, or somebody's whose clusters are like everybody's.
    Own,
    /// Amazon's managed domains.
    Amazon,
    /// Alibaba Cloud's managed instances.
    Alibaba,
}

/// The hosts of the managed services (their documentation, "endpoints").
const HOSTS: [(&str, Vendor); 4] = [
    (".es.amazonaws.com", Vendor::Amazon),
    (".es.amazonaws.com.cn", Vendor::Amazon),
    (".on.aws", Vendor::Amazon),
    (".aliyuncs.com", Vendor::Alibaba),
];

impl Vendor {
    /// Whose service the host in a cluster's address is.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = host.split(['/', ':', '?']).next().unwrap_or_default().to_ascii_lowercase();
        HOSTS.iter().find(|(end, _)| host.ends_with(end)).map_or(Self::Own, |(_, vendor)| *vendor)
    }
}

/// A node that reads and writes repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) name: String,
    /// The names of its modules and plugins.
    extensions: BTreeSet<String>,
}

/// What a registration is written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) version: Version,
    pub(super) vendor: Vendor,
    /// None where that is not known.
    nodes: Option<Vec<Node>>,
}

impl Target {
    /// The cluster that is connected. A cluster that does not tell its plugins is taken as it is.
    pub async fn of(client: &Client) -> Result<Self> {
        let vendor = Vendor::of(client.place());
        Ok(Self { version: client.version().clone(), vendor, nodes: nodes(client).await? })
    }

    /// A cluster that is not asked: `es-7.10`, `es-8.12.2`, `opensearch-2.19`, `os-3`, and `aws-` or `aliyun-` in front for the
    /// services. What is left out of the version means the newest of its line.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Invalid, format!("read the version `{text}`"))
                .because("it is not written as versions are here")
                .hint("write `es-7.10`, `opensearch-2.19`, `aws-opensearch-1.3` or `aliyun-es-7.10`")
        };
        let (vendor, rest) = match text.split_once('-') {
            Some(("aws", rest)) => (Vendor::Amazon, rest),
            Some(("aliyun", rest)) => (Vendor::Alibaba, rest),
            _ => (Vendor::Own, text),
        };
        let (product, number) = rest.split_once('-').ok_or_else(wrong)?;
        let distribution = match product {
            "es" | "elasticsearch" => "elasticsearch",
            "os" | "opensearch" => "opensearch",
            _ => return Err(wrong()),
        };
        let mut parts: Vec<u32> =
            number.split('.').map(|part| part.parse().map_err(|_| wrong())).collect::<Result<_>>()?;
        if parts.len() > 3 {
            return Err(wrong());
        }
        parts.resize(3, 99);
        let spelled = format!("{}.{}.{}", parts[0], parts[1], parts[2]);
        let mut version = Version::parse(&json!({ "number": spelled, "distribution": distribution }))?;
        number.clone_into(&mut version.number);
        Ok(Self { version, vendor, nodes: None })
    }

    /// This one, at an address: its host may tell whose service it is.
    #[must_use]
    pub fn at(mut self, url: &str) -> Self {
        if self.vendor == Vendor::Own {
            self.vendor = Vendor::of(url);
        }
        self
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    pub(super) fn is_elasticsearch(&self) -> bool {
        self.version.distribution == Distribution::Elasticsearch
    }

    /// Elasticsearch before this version.
    pub(super) fn is_before(&self, major: u32, minor: u32) -> bool {
        self.is_elasticsearch() && (self.version.major, self.version.minor) < (major, minor)
    }

    /// `OpenSearch` of at least this version.
    pub(super) fn is_open_search(&self, major: u32, minor: u32) -> bool {
        !self.is_elasticsearch() && (self.version.major, self.version.minor) >= (major, minor)
    }

    /// The nodes that lack a type; none where that is not known.
    fn lacking(&self, kind: &str) -> Option<Vec<&str>> {
        let built_in = kind == "fs" || kind == "url" && self.is_before(6, 0);
        if built_in || self.vendor == Vendor::Amazon {
            return Some(Vec::new());
        }
        let nodes = self.nodes.as_ref()?;
        let has = |node: &&Node| node.extensions.iter().any(|name| name.ends_with(&format!("repository-{kind}")));
        let lacking: Vec<&str> = nodes.iter().filter(|node| !has(node)).map(|node| node.name.as_str()).collect();
        // Alibaba's own builds bring the type in other clothes.
        (kind != "oss" || self.vendor != Vendor::Alibaba || lacking.is_empty()).then_some(lacking)
    }

    /// Whether every node has the type, as far as that is known.
    pub(super) fn has(&self, kind: &str) -> Option<bool> {
        self.lacking(kind).map(|lacking| lacking.is_empty())
    }

    /// Refuses a type that a node lacks: the registration would fail there, or later.
    pub(super) fn require(&self, kind: &'static str, doing: &str) -> Result<()> {
        let lacking = self.lacking(kind).unwrap_or_default();
        if lacking.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, doing.to_owned())
            .because(format!("the repository type `{kind}` is not on every node: {} has none", quoted(&lacking)))
            .hint(match kind {
                "oss" => {
                    "install the plugin `elasticsearch-repository-oss` of exactly this version on each node, or use `--type s3`"
                }
                "s3" => {
                    "install the plugin `repository-s3` on each node and restart it, or serve the data and use `--type url`"
                }
                _ => "use another type",
            }))
    }

    /// The name of a node.
    pub(super) fn node_name(&self, id: &str) -> Option<&str> {
        self.nodes.as_ref()?.iter().find(|node| node.id == id).map(|node| node.name.as_str())
    }
}

/// The nodes that take part in repositories, with their modules and plugins. None if the cluster does not tell.
async fn nodes(client: &Client) -> Result<Option<Vec<Node>>> {
    let filter = "nodes.*.name,nodes.*.roles,nodes.*.modules.name,nodes.*.plugins.name";
    let request = Request::get("list the plugins", &["_nodes", "plugins"]).query("filter_path", filter);
    match client.try_call(request).await {
        Ok(answer) => Ok(read(&answer)),
        // A user may register without being allowed to look at the nodes; services close the path.
        Err(refusal) if refusal.failure.is_some() => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

fn read(answer: &Value) -> Option<Vec<Node>> {
    let nodes = answer["nodes"].as_object()?;
    let names = |list: &Value| -> Vec<String> {
        let entries = list.as_array().into_iter().flatten();
        entries.filter_map(|entry| entry["name"].as_str().map(str::to_owned)).collect()
    };
    let takes_part = |node: &Value| {
        let mut roles = node["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).peekable();
        roles.peek().is_none()
            || roles.any(|role| matches!(role, "master" | "cluster_manager") || role.starts_with("data"))
    };
    let node = |(id, node): (&String, &Value)| Node {
        id: id.clone(),
        name: node["name"].as_str().unwrap_or(id).to_owned(),
        extensions: names(&node["modules"]).into_iter().chain(names(&node["plugins"])).collect(),
    };
    let found: Vec<Node> = nodes.iter().filter(|(_, node)| takes_part(node)).map(node).collect();
    // A node without a single module is one whose list is hidden: every server brings some.
    (!found.is_empty() && found.iter().all(|node| !node.extensions.is_empty())).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_its_service() {
        let target = Target::parse("aws-opensearch-1.3").unwrap();
        assert_eq!((target.vendor, target.version.distribution), (Vendor::Amazon, Distribution::OpenSearch));
        assert_eq!(Target::parse("es-8").unwrap().version.minor, 99);
        for text in ["7.10", "es", "es-x", "es-1.2.3.4", "solr-9", "es-2.4"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_service_is_known_by_its_host() {
        for (url, vendor) in [
            ("https://search-x.eu-west-1.es.amazonaws.com", Vendor::Amazon),
            ("https://vpc-x.cn-north-1.es.amazonaws.com.cn:443/", Vendor::Amazon),
            ("http://es-cn-a.public.elasticsearch.aliyuncs.com:9200", Vendor::Alibaba),
            ("http://localhost:9200/amazonaws.com", Vendor::Own),
        ] {
            assert_eq!(Vendor::of(url), vendor, "{url}");
        }
    }

    #[test]
    fn only_nodes_that_keep_data_or_lead_need_the_type() {
        let with = |name: &str, roles: Value, plugin: &str| json!({ "name": name, "roles": roles, "modules": [{ "name": "reindex" }], "plugins": [{ "name": plugin }] });
        let answer = json!({ "nodes": {
            "1": with("a", json!(["master", "data_hot"]), "repository-s3"),
            "2": with("b", json!(["data"]), "icu"),
            "3": with("c", json!(["ingest"]), "icu"),
        } });
        let mut target = Target::parse("es-7.10").unwrap();
        assert_eq!(target.has("s3"), None);
        target.nodes = read(&answer);
        assert_eq!((target.has("s3"), target.has("fs")), (Some(false), Some(true)));
        let error = target.require("s3", "register").unwrap_err().to_string();
        assert!(error.contains("`b` has none") && !error.contains("`c`"), "{error}");
    }
}
