//! Counting documents, all of them or not at all.
//!
//! A count over half of the shards is answered with 200 (finding 7), so the shards are counted first.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::Client;
use super::name;
use super::request::Request;
use super::snapshot::Shards;
use crate::error::{Error, ErrorKind, Result};

/// The documents of an index, as searches see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many there are; nested ones do not count by themselves.
    pub documents: u64,
    /// The shards that were asked; all of them answered.
    pub shards: u64,
}

/// Counts the documents of an index.
///
/// Fails with [`ErrorKind::Precondition`] when not every shard answered.
pub async fn documents(client: &Client, index: &str) -> Result<Count> {
    name::check("index", index)?;
    // Looked at first: refreshing an index that lacks a primary is only answered after a minute (8.12).
    complete(client, index).await?;
    refresh(client, index).await?;
    complete(client, index).await
}

/// The count as it is, of all shards.
pub(super) async fn complete(client: &Client, index: &str) -> Result<Count> {
    let doing = format!("count the documents of `{index}`");
    let answer = client.call(Request::get(doing.clone(), &[index, "_count"])).await?;
    let shards: Shards = serde_json::from_value(answer["_shards"].clone()).unwrap_or_default();
    let Some(documents) = answer["count"].as_u64() else {
        return Err(Error::new(ErrorKind::Invalid, format!("{doing} on `{}`", client.place()))
            .because("the answer holds no count"));
    };
    // Some versions leave a shard that did not answer out of `failed` as well; only `successful` tells.
    if shards.total == 0 || shards.failed > 0 || shards.successful != shards.total {
        return Err(Error::new(ErrorKind::Precondition, format!("{doing} on `{}`", client.place()))
            .because(format!("only {} of {} shards answered", shards.successful, shards.total))
            .hint("the index is incomplete: look at its shards and restore it again"));
    }
    Ok(Count { documents, shards: shards.total })
}

/// Makes what was written visible. A user who may only read gets the count of what is visible.
async fn refresh(client: &Client, index: &str) -> Result<()> {
    match client.call(Request::post(format!("refresh `{index}`"), &[index, "_refresh"])).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Denied => {
            tracing::debug!(%error, "counting without a refresh");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The documents of each primary shard, nested ones by themselves; nothing when the cluster does not tell all of it.
///
/// Equal numbers on a source at rest and on what was restored from it are a much stronger sign than equal sums (finding 16).
pub async fn documents_by_shard(client: &Client, index: &str) -> Result<Option<BTreeMap<u32, u64>>> {
    name::check("index", index)?;
    let request = Request::get(format!("count the documents of each shard of `{index}`"), &[index, "_stats", "docs"])
        .query("level", "shards");
    match client.call(request).await {
        Ok(answer) => Ok(by_shard(&answer, index)),
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unsupported) => {
            tracing::debug!(%error, "no numbers by shard");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn by_shard(answer: &Value, index: &str) -> Option<BTreeMap<u32, u64>> {
    let shards = answer["indices"][index]["shards"].as_object()?;
    let mut counts = BTreeMap::new();
    for (number, copies) in shards {
        let primary = copies.as_array()?.iter().find(|copy| copy["routing"]["primary"] == true)?;
        counts.insert(number.parse().ok()?, primary["docs"]["count"].as_u64()?);
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_primaries_count_and_all_of_them_must_be_told() {
        let copy = |primary: bool, count: u64| json!({ "routing": { "primary": primary }, "docs": { "count": count } });
        let stats =
            json!({ "indices": { "m": { "shards": { "0": [copy(false, 9), copy(true, 2)], "1": [copy(true, 1)] } } } });
        assert_eq!(by_shard(&stats, "m"), Some(BTreeMap::from([(0, 2), (1, 1)])));
        let stats = json!({ "indices": { "m": { "shards": { "0": [copy(false, 9)] } } } });
        assert_eq!(by_shard(&stats, "m"), None);
        assert_eq!(by_shard(&json!({}), "m"), None);
    }
}
