//! Write blocks: setting one, lifting it, and making what was written before it count.
//!
//! 1. A block is set by `_block/write` where the version has it (7.9, OpenSearch): that waits for writes under way. Before, by the
//!    setting `index.blocks.write`, behind which a write may still end; refreshing and flushing afterwards takes it in.
//! 2. The cluster's word is looked at: every index must show the block, or must not.
//!
//! Which blocks were there before is for the caller to remember: lifting takes away whichever is there.

use serde_json::{Value, json};

use super::client::{Client, Told};
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
/// Fails with [`ErrorKind::Precondition`] when one of them does not show the block afterwards. One that is refused keeps no other from
/// being blocked; which are is in the settings.
pub async fn set(client: &Client, names: &[String]) -> Result<()> {
    let there = identity::read(client).await?;
    // Asked for a second time, 8.12.2 answers that no shard has confirmed it.
    let open = names.iter().filter(|name| there.indices.get(*name).is_none_or(|held| !held.is_write_blocked()));
    let mut refused = Vec::new();
    for batch in batches(open.map(String::as_str)) {
        for (name, error) in each(&batch, async |names| block(client, names).await).await {
            refused.push((name, error));
        }
    }
    together(client, "block writes to", refused).await?;
    check(client, names, true).await
}

/// Lifts the write block from those of these indices that are still there.
///
/// Goes on over those where it fails, and names them at the end; fails with [`ErrorKind::Precondition`] when one of them still shows the
/// block afterwards.
pub async fn lift(client: &Client, names: &[String]) -> Result<()> {
    let there = identity::read(client).await?;
    let is_blocked = |name: &&String| there.indices.get(*name).is_some_and(identity::Held::is_write_blocked);
    let names: Vec<String> = names.iter().filter(is_blocked).cloned().collect();
    let mut refused = Vec::new();
    for batch in batches(names.iter().map(String::as_str)) {
        let lifted = async |names: &[&str]| {
            put(client, format!("lift the write block of {}", quoted(names)), names, &Value::Null).await
        };
        refused.extend(each(&batch, lifted).await);
    }
    together(client, "lift the write block of", refused).await?;
    check(client, &names, false).await
}

/// Does something to all at once, and to each alone where that is refused. Returns where it failed.
async fn each(names: &[&str], work: impl AsyncFn(&[&str]) -> Result<()>) -> Vec<(String, Error)> {
    let Err(error) = work(names).await else { return Vec::new() };
    if let [name] = names {
        return vec![((*name).to_owned(), error)];
    }
    let mut failed = Vec::new();
    for name in names {
        if let Err(error) = work(&[name]).await {
            failed.push(((*name).to_owned(), error));
        }
    }
    failed
}

/// How often a request whose answer was lost is sent.
const TRIES: u32 = 3;

async fn block(client: &Client, names: &[&str]) -> Result<()> {
    let doing = format!("block writes to {}", quoted(names));
    if !has_block_call(client.version()) {
        return put(client, doing, names, &Value::Bool(true)).await;
    }
    let mut left: Vec<&str> = names.to_vec();
    for tried in 1..=TRIES {
        let request = Request::put(doing.clone(), &[]).names(&left).word("_block/write");
        match client.call_once(request).await? {
            // A shard that did not follow may still take writes. After a lost answer it is no news: the block was there already.
            Told::Answer(answer) if answer["shards_acknowledged"] == false && tried == 1 => {
                return Err(Error::new(ErrorKind::Precondition, format!("{doing} on `{}`", client.place()))
                    .because("not every shard has confirmed it")
                    .hint("look at the health of the cluster, then run this again"));
            }
            Told::Answer(_) => return Ok(()),
            Told::Lost(error) if tried == TRIES => return Err(error),
            Told::Lost(_) => {
                let there = identity::read(client).await?;
                left.retain(|name| there.indices.get(*name).is_none_or(|held| !held.is_write_blocked()));
                if left.is_empty() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// One error out of all, which says what of these indices' own blocks is in the way.
async fn together(client: &Client, doing: &str, mut refused: Vec<(String, Error)>) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = refused.iter().map(|(name, _)| name.clone()).collect();
    // What is not known comes first: it may still be done.
    let is_lost = |(_, error): &(String, Error)| matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
    if let Some(at) = refused.iter().position(is_lost) {
        return Err(refused.swap_remove(at).1);
    }
    let there = identity::read(client).await.unwrap_or_default();
    let read_only: Vec<&str> = names
        .iter()
        .filter(|name| there.indices.get(*name).is_some_and(identity::Held::is_read_only))
        .map(String::as_str)
        .collect();
    let (_, first) = refused.swap_remove(0);
    if read_only.is_empty() {
        return Err(first.while_doing(format!("{doing} {}", quoted(&names))));
    }
    Err(Error::new(ErrorKind::Precondition, format!("{doing} {} on `{}`", quoted(&names), client.place()))
        .because(format!("{} is read-only, which refuses any other block to be set or lifted; {first}", quoted(&read_only)))
        .hint(format!(
            "take that away (`PUT /{}/_settings` with `{{\"index.blocks.read_only\": null, \"index.blocks.read_only_allow_delete\": null}}`), then run this again",
            read_only.join(",")
        )))
}

async fn put(client: &Client, doing: String, names: &[&str], value: &Value) -> Result<()> {
    let request = Request::put(doing, &[]).names(names).word("_settings");
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
