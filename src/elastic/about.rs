//! Who answers: the cluster's name and id, and whose server it is, whatever it calls itself.
//!
//! 1. `GET /` tells all of it, save in builds without the module that answers there (8.17's for integration tests say 405): those
//!    are asked by way of the node.
//! 2. An `OpenSearch` with `compatibility.override_main_response_version` says 7.10.2 and leaves `distribution` out (measured on 2.19.6).
//!    The number that it may hide behind is held against what the node's own modules say; a user who may not ask that is
//!    believed to talk to what it claims to be.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::client::Client;
use super::exchange::Refusal;
use super::request::Request;
use super::version::{Distribution, Version};
use crate::error::{Error, Result};

/// A cluster, as it introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// `cluster.name`; empty where the answer has none.
    pub name: String,
    /// Tells it from every other cluster, also from one of the same name. None while it has not formed yet.
    pub uuid: Option<String>,
    /// Whose server it is, and its number.
    pub version: Version,
    /// `default`, `oss`; `OpenSearch` has none.
    pub build_flavor: Option<String>,
    /// The oldest version whose indices it opens, as it says itself.
    pub minimum_index_compatibility_version: Option<String>,
}

const ASKING: &str = "ask for the version";

/// The first release of the fork.
const OLDEST_FORK: &str = "1.0.0";

impl About {
    /// Of a cluster that has not been asked yet.
    pub(super) fn unknown() -> Self {
        Self {
            name: String::new(),
            uuid: None,
            version: Version::unknown(),
            build_flavor: None,
            minimum_index_compatibility_version: None,
        }
    }

    /// Reads the answer to `GET /`.
    fn parse(answer: &Value) -> Result<Self> {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let mut version = answer["version"].clone();
        // With the mask on, OpenSearch 2.19.6 leaves `distribution` out and gives itself away here.
        if version["distribution"].is_null()
            && answer["tagline"].as_str().is_some_and(|line| line.contains("OpenSearch"))
        {
            version["distribution"] = "opensearch".into();
        }
        Ok(Self {
            name: text(&answer["cluster_name"]).unwrap_or_default(),
            uuid: uuid(answer),
            version: Version::parse(&version)?,
            build_flavor: text(&version["build_flavor"]),
            minimum_index_compatibility_version: text(&version["minimum_index_compatibility_version"]),
        })
    }

    /// Asks the cluster behind the client.
    pub(super) async fn ask(client: &Client) -> Result<Self> {
        let at = |error: Error| error.while_doing(format!("connect to `{}`", client.place()));
        let mut about = match client.try_call(Request::get(ASKING, &[])).await {
            Ok(answer) => Self::parse(&answer).map_err(at)?,
            Err(refusal) if is_silent_build(&refusal) => {
                return Self::parse(&as_root(&ask_node(client).await?)).map_err(at);
            }
            Err(refusal) => return Err(refusal.into()),
        };
        if about.version.may_be_a_mask() {
            about.version = unmasked(client, about.version).await.map_err(at)?;
        }
        Ok(about)
    }
}

/// What hides behind the version, if something does.
async fn unmasked(client: &Client, claimed: Version) -> Result<Version> {
    let real = match ask_node(client).await {
        Ok(answer) => real_version(&answer),
        Err(error) => {
            tracing::debug!(%error, "the node does not tell its real version");
            None
        }
    };
    // One that may not be asked and is the fork all the same: the oldest is the one that can the least.
    let least = || (claimed.distribution == Distribution::OpenSearch).then(|| OLDEST_FORK.to_owned());
    match real.or_else(least) {
        Some(number) => Version::parse(&json!({ "number": number, "distribution": "opensearch" })),
        None => Ok(claimed),
    }
}

/// The cluster's id in an answer that carries one.
pub(super) fn uuid(answer: &Value) -> Option<String> {
    // `_na_` until the first master is elected.
    answer["cluster_uuid"].as_str().filter(|uuid| !matches!(*uuid, "" | "_na_")).map(str::to_owned)
}

/// Whether this is how a build answers at `/` that has no answer there.
pub(super) fn is_silent_build(refusal: &Refusal) -> bool {
    refusal.failure.as_ref().is_some_and(|failure| failure.status == StatusCode::METHOD_NOT_ALLOWED)
}

/// What the node that answers says about itself.
async fn ask_node(client: &Client) -> Result<Value> {
    let wanted = "cluster_name,nodes.*.version,nodes.*.build_flavor,nodes.*.plugins.name,\
        nodes.*.plugins.opensearch_version,nodes.*.modules.opensearch_version";
    client.call(Request::get(ASKING, &["_nodes", "_local"]).query("filter_path", wanted)).await
}

fn only_node(answer: &Value) -> Option<&Value> {
    answer["nodes"].as_object()?.values().next()
}

/// That in the shape of `GET /`.
fn as_root(answer: &Value) -> Value {
    let node = only_node(answer).cloned().unwrap_or_default();
    json!({
        "cluster_name": answer["cluster_name"],
        "version": { "number": node["version"], "build_flavor": node["build_flavor"] },
    })
}

/// The number of an `OpenSearch` node: what its modules were built for, or its own where that is none of Elasticsearch's.
fn real_version(answer: &Value) -> Option<String> {
    let node = only_node(answer)?;
    let parts = || ["modules", "plugins"].into_iter().filter_map(|kind| node[kind].as_array()).flatten();
    let built_for = parts().find_map(|part| part["opensearch_version"].as_str());
    let own = node["version"].as_str()?;
    let is_fork = built_for.is_some()
        || own.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 5)
        || parts().any(|part| part["name"].as_str().is_some_and(|name| name.starts_with("opensearch-")));
    // One that hides even there is still the fork.
    let hidden = || if own.starts_with("7.") { OLDEST_FORK } else { own };
    is_fork.then(|| built_for.unwrap_or_else(hidden).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_has_not_formed_has_no_id_yet() {
        let of = |uuid: &str| {
            About::parse(&json!({ "cluster_uuid": uuid, "version": { "number": "8.12.2" } })).unwrap().uuid
        };
        assert_eq!(of("_na_"), None);
        assert_eq!(of("abc").as_deref(), Some("abc"));
    }

    /// What OpenSearch 2.19.6 answers with the mask on.
    #[test]
    fn a_masked_fork_is_known_by_its_tagline() {
        let answer = json!({ "version": { "number": "7.10.2", "build_type": "zip" }, "tagline": "The OpenSearch Project: https://opensearch.org/" });
        assert_eq!(About::parse(&answer).unwrap().version.distribution, Distribution::OpenSearch);
    }

    #[test]
    fn a_fork_is_known_by_what_its_modules_were_built_for() {
        let real = |node: Value| real_version(&json!({ "nodes": { "n": node } }));
        assert_eq!(
            real(json!({ "version": "7.10.2", "modules": [{ "opensearch_version": "1.3.20" }] })).as_deref(),
            Some("1.3.20")
        );
        assert_eq!(real(json!({ "version": "1.2.4" })).as_deref(), Some("1.2.4"));
        assert_eq!(
            real(json!({ "version": "7.10.2", "plugins": [{ "name": "opensearch-sql" }] })).as_deref(),
            Some("1.0.0")
        );
        assert_eq!(real(json!({ "version": "7.10.2", "plugins": [{ "name": "opendistro_sql" }] })), None);
    }
}
