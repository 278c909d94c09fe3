//! Write blocks: setting one, lifting it, and making what was written before it count.
//!
//! 1. A block is set by `_block/write` where the version has it (7.9, OpenSearch): that waits for writes under way. Before, by the
//!    setting `index.blocks.write`, behind which a write may still end; refreshing and flushing afterwards takes it in.
//! 2. The cluster's word is looked at: every index must show the block, or must not.
//!
//! Which blocks were there before is for the caller to remember: lifting takes away whichever is there.

use serde_json::{Value, json};

use super::client::Client;
use super::identity;
use super::request::{Request, batches};
use super::selection::quoted;
use super::version::{Distribution, Version};
use crate::error::{Error, ErrorKind, Result};

/// Whether `PUT /<index>/_block/write` is there (`elasticsearch-api.md` 2.0: 7.9, OpenSearch 1.0).
fn has_block_call(version: &Version) -> bool {
    version.distribution == Distribution::OpenSearch || (version.major, version.minor) >= (7, 9)
}

/// Blocks writes to these indices, which is harmless where they are blocked already.
///
/// Fails with [`ErrorKind::Precondition`] when one of them does not show the block afterwards.
pub async fn set(client: &Client, names: &[String]) -> Result<()> {
    let there = identity::read(client).await?;
    // Asked for a second time, 8.12.2 answers that no shard has confirmed it.
    let open = names.iter().filter(|name| there.indices.get(*name).is_none_or(|held| !held.is_write_blocked()));
    for batch in batches(open.map(String::as_str)) {
        let doing = format!("block writes to {}", quoted(&batch));
        if has_block_call(client.version()) {
            let answer = client.call(Request::put(doing.clone(), &[]).names(&batch).word("_block/write")).await?;
            // A shard that did not follow may still take writes.
            if answer["shards_acknowledged"] == false {
                return Err(Error::new(ErrorKind::Precondition, format!("{doing} on `{}`", client.place()))
                    .because("not every shard has confirmed it")
                    .hint("look at the health of the cluster, then run this again"));
            }
        } else {
            put(client, doing, &batch, &Value::Bool(true)).await?;
        }
    }
    check(client, names, true).await
}

/// Lifts the write block from those of these indices that are still there.
///
/// Fails with [`ErrorKind::Precondition`] when one of them still shows it afterwards.
pub async fn lift(client: &Client, names: &[String]) -> Result<()> {
    let there = identity::read(client).await?;
    let names: Vec<String> = names.iter().filter(|name| there.indices.contains_key(*name)).cloned().collect();
    for batch in batches(names.iter().map(String::as_str)) {
        put(client, format!("lift the write block of {}", quoted(&batch)), &batch, &Value::Null).await?;
    }
    check(client, &names, false).await
}

async fn put(client: &Client, doing: String, batch: &[&str], value: &Value) -> Result<()> {
    let request = Request::put(doing, &[]).names(batch).word("_settings");
    client.call(request.body(&json!({ "index.blocks.write": value }))).await.map(drop)
}

async fn check(client: &Client, names: &[String], blocked: bool) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let there = identity::read(client).await?;
    let wrong = |name: &&String| there.indices.get(*name).is_none_or(|held| held.is_write_blocked() != blocked);
    let wrong: Vec<&String> = names.iter().filter(wrong).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let doing = if blocked { "block writes to" } else { "lift the write block of" };
    Err(Error::new(ErrorKind::Precondition, format!("{doing} {} on `{}`", quoted(&wrong), client.place()))
        .because("the cluster answered that it did, but the settings say otherwise")
        .hint("look for somebody else who changes these indices, then run this again"))
}

/// Makes everything written so far visible and durable, so that counts are final and a snapshot holds them.
pub async fn settle(client: &Client, names: &[String]) -> Result<()> {
    for batch in batches(names.iter().map(String::as_str)) {
        for (verb, word) in [("refresh", "_refresh"), ("flush", "_flush")] {
            let doing = format!("{verb} {}", quoted(&batch));
            let answer = client.call(Request::post(doing.clone(), &[]).names(&batch).word(word)).await?;
            let failed = answer["_shards"]["failed"].as_u64().unwrap_or(0);
            if failed > 0 {
                return Err(Error::new(ErrorKind::Precondition, format!("{doing} on `{}`", client.place()))
                    .because(format!("{failed} shards failed"))
                    .hint("look at the health of the cluster, then run this again"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_is_used_where_it_is_there() {
        let version = |number: &str, distribution: &str| {
            Version::parse(&json!({ "number": number, "distribution": distribution })).unwrap()
        };
        assert!(!has_block_call(&version("7.8.1", "")) && !has_block_call(&version("5.6.16", "")));
        assert!(has_block_call(&version("7.10.2", "")) && has_block_call(&version("1.3.20", "opensearch")));
    }
}
