//! The cluster's own state out of a snapshot: templates, settings, pipelines, policies, and the state of features.
//!
//! It goes over what the target has, by itself and never beside indices: a state that is refused would take them down with it.
//! Whether it may is for `ops` to ask.

use serde_json::json;

use super::client::{Client, Told};
use super::request::Request;
use super::snapshot::Shards;
use crate::error::{Error, ErrorKind, Result};

/// The cluster's own state, to be restored.
#[derive(Debug, Clone)]
pub struct StateOrder {
    /// The repository it comes from.
    pub repository: String,
    /// The snapshot in it.
    pub snapshot: String,
    /// Templates, persistent settings, pipelines, policies and the like.
    pub is_global: bool,
    /// Features, by name.
    pub features: Vec<String>,
}

/// Restores the cluster's own state, and returns when the cluster has taken it over. It is sent once.
pub async fn restore(client: &Client, order: &StateOrder) -> Result<()> {
    let doing = format!("restore the cluster state of `{}:{}`", order.repository, order.snapshot);
    let mut body = json!({ "indices": "-*", "include_global_state": order.is_global });
    if client.capability().feature_states {
        // Left out, all features would come with a global state.
        let none = vec!["none".to_owned()];
        body["feature_states"] = json!(if order.features.is_empty() { &none } else { &order.features });
    }
    let request = Request::post(doing.clone(), &["_snapshot", &order.repository, &order.snapshot])
        .word("_restore")
        .query("wait_for_completion", "true")
        .body(&body);
    match client.call_once(request).await? {
        Told::Answer(answer) => {
            let shards: Shards = serde_json::from_value(answer["snapshot"]["shards"].clone()).unwrap_or_default();
            if shards.failed == 0 {
                return Ok(());
            }
            Err(Error::new(ErrorKind::Precondition, format!("{doing} on `{}`", client.place()))
                .because(format!("{} of {} shards of the features failed", shards.failed, shards.total)))
        }
        Told::Lost(error) => Err(error
            .while_doing(doing)
            .hint("the cluster may have taken it over: look at its settings and templates before running this again")),
    }
}
