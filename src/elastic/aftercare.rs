//! What a restored index still needs: its replicas, and its lifecycle settled.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::Client;
use super::health::known;
use super::request::{Request, batches};
use super::selection::quoted;
use crate::error::Result;

/// What becomes of the lifecycle policies of restored indices. A policy counts from the day the index was created, so that it may
/// delete an index minutes after it was restored (`elasticsearch-api.md` 4.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// The indices come without their policies, which are told.
    #[default]
    Remove,
    /// They come along and work at once.
    Keep,
    /// They come along, and the cluster's lifecycle management is stopped before; it is left to the user to start it.
    Stop,
}

/// Stops the lifecycle management of the whole cluster, where it has such. Whether it had.
pub async fn stop_lifecycle(client: &Client) -> Result<bool> {
    let stop = Request::post("stop the lifecycle management", &["_ilm", "stop"]);
    Ok(known(client.call(stop).await)?.is_some())
}

/// Sets the number of replicas.
pub async fn set_replicas(client: &Client, names: &[String], count: u32) -> Result<()> {
    set(client, names, &json!({ "index.number_of_replicas": count })).await
}

/// Changes settings of indices.
pub async fn set(client: &Client, names: &[String], settings: &Value) -> Result<()> {
    for batch in batches(names.iter().map(String::as_str)) {
        let request = Request::put(format!("change the settings of {}", quoted(&batch)), &[]).names(&batch);
        client.call(request.word("_settings").body(settings)).await?;
    }
    Ok(())
}
