//! Which indices others follow: restoring over one of them breaks its followers for good (finding 13).

use std::collections::BTreeSet;

use serde_json::Value;

use super::client::Client;
use super::health::known;
use super::request::{Request, batches};
use crate::error::Result;

/// Those of these open indices that a follower holds a lease on.
pub async fn followed(client: &Client, indices: &[String]) -> Result<BTreeSet<String>> {
    const FIELDS: &str =
        "indices.*.shards.*.retention_leases.leases.source,indices.*.shards.*.retention_leases.leases.id";
    let mut found = BTreeSet::new();
    for batch in batches(indices.iter().map(String::as_str)) {
        let request = Request::get("look for followers", &[]).names(&batch).word("_stats");
        let request = request.query("level", "shards").query("filter_path", FIELDS);
        let Some(answer) = known(client.call(request).await)? else { return Ok(found) };
        for (index, told) in answer["indices"].as_object().into_iter().flatten() {
            let copies = told["shards"].as_object().into_iter().flatten().filter_map(|(_, copies)| copies.as_array());
            let mut leases =
                copies.flatten().filter_map(|copy| copy["retention_leases"]["leases"].as_array()).flatten();
            if leases.any(is_a_followers) {
                found.insert(index.clone());
            }
        }
    }
    Ok(found)
}

/// Elasticsearch writes the source `ccr`, OpenSearch an id that begins with `replication:`; the others belong to the index's own replicas.
fn is_a_followers(lease: &Value) -> bool {
    lease["source"] == "ccr" || lease["id"].as_str().is_some_and(|id| id.starts_with("replication:"))
}
