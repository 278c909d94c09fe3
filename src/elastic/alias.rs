//! Aliases: what they are exactly, and letting names point elsewhere in one step.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::client::{Client, Told};
use super::index;
use super::request::{Request, batches};
use super::selection::quoted;
use crate::error::{Error, Result};

/// The aliases of indices with their filters, routing and flags, by index and alias.
pub async fn of(client: &Client, indices: &[String]) -> Result<BTreeMap<String, Map<String, Value>>> {
    let mut found = BTreeMap::new();
    for batch in batches(indices.iter().map(String::as_str)) {
        let request = Request::get(format!("read the aliases of {}", quoted(&batch)), &[]).names(&batch);
        let answer = client.call(request.word("_alias")).await?;
        for (index, told) in answer.as_object().into_iter().flatten() {
            found.insert(index.clone(), told["aliases"].as_object().cloned().unwrap_or_default());
        }
    }
    Ok(found)
}

/// A name that is to point to another index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The name.
    pub name: String,
    /// The index that it will point to.
    pub index: String,
    /// The indices behind the name now: itself if it is an index, else those that the alias points to.
    pub behind: BTreeSet<String>,
}

/// What one request does for these names: an index that has such a name goes and its aliases pass on; an alias lets go of the
/// indices behind it, which stay. `of_snapshot` are the aliases that come along, by the index that was restored: they count where
/// both sides have one, and what was behind the name lets go of them.
#[must_use]
pub fn actions(
    swaps: &[Swap],
    aliases: &BTreeMap<String, Map<String, Value>>,
    of_snapshot: &BTreeMap<String, Map<String, Value>>,
) -> Vec<Value> {
    let mut actions = Vec::new();
    for Swap { name, index, behind } in swaps {
        let mut adds: BTreeMap<&str, Option<&Value>> = BTreeMap::new();
        let mut removes = Vec::new();
        let others = || behind.iter().filter(|old| *old != index);
        if behind.contains(name) {
            adds.extend(aliases.get(name).into_iter().flatten().map(|(alias, told)| (alias.as_str(), Some(told))));
            adds.insert(name, None);
            removes.push(json!({ "remove_index": { "index": name } }));
        } else {
            adds.insert(name, behind.iter().find_map(|index| aliases.get(index)?.get(name)));
            removes.extend(others().map(|old| json!({ "remove": { "index": old, "alias": name } })));
        }
        for (alias, told) in of_snapshot.get(index).into_iter().flatten().filter(|(alias, _)| *alias != name) {
            adds.insert(alias, Some(told));
            let held = |old: &&String| aliases.get(*old).is_some_and(|held| held.contains_key(alias));
            let lets_go = others().filter(|old| *old != name).filter(held);
            removes.extend(lets_go.map(|old| json!({ "remove": { "index": old, "alias": alias } })));
        }
        for (alias, told) in adds {
            let mut action = told.cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
            (action["index"], action["alias"]) = (json!(index), json!(alias));
            actions.push(json!({ "add": action }));
        }
        actions.extend(removes);
    }
    actions
}

/// Does all of these or none, once: it is never sent again, as a repeat would meet what the first one did.
///
/// Where the answer is lost, the cluster is asked whether each name points to its index now. Fails with the loss when it does not.
pub async fn change(client: &Client, swaps: &[Swap], actions: &[Value]) -> Result<()> {
    const DOING: &str = "change the aliases";
    let request = Request::post(DOING, &["_aliases"]).body(&json!({ "actions": actions }));
    let lost = match client.call_once(request).await? {
        Told::Answer(_) => return Ok(()),
        Told::Lost(error) => error,
    };
    tracing::debug!(error = %lost, "the answer to the change of aliases was lost");
    let backoff = client.backoff();
    for tried in 0..backoff.tries {
        let now = index::existing(client).await?;
        let points = |swap: &Swap| {
            now.aliases.get(&swap.name).is_some_and(|behind| behind.len() == 1 && behind.contains(&swap.index))
        };
        if swaps.iter().all(points) {
            return Ok(());
        }
        tokio::time::sleep(backoff.wait(tried)).await;
    }
    let names: Vec<&String> = swaps.iter().map(|swap| &swap.name).collect();
    let cause = lost.cause().unwrap_or_default();
    Err(Error::new(lost.kind(), format!("{DOING} on `{}`", client.place()))
        .because(format!(
            "the answer was lost, and the cluster shows that {} are as they were: {cause}",
            quoted(&names)
        ))
        .hint("run the same command again: what is restored is taken up; the request was not sent a second time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_goes_and_its_aliases_pass_on() {
        let swap = Swap { name: "m".into(), index: "m-s".into(), behind: ["m".to_owned()].into() };
        let told = json!({ "films": { "is_write_index": true } });
        let aliases = BTreeMap::from([("m".to_owned(), told.as_object().unwrap().clone())]);
        assert_eq!(
            actions(&[swap], &aliases, &BTreeMap::new()),
            [
                json!({ "add": { "index": "m-s", "alias": "films", "is_write_index": true } }),
                json!({ "add": { "index": "m-s", "alias": "m" } }),
                json!({ "remove_index": { "index": "m" } }),
            ]
        );
    }

    #[test]
    fn an_alias_lets_go_of_what_was_behind_it() {
        let swap = Swap { name: "m".into(), index: "m-s2".into(), behind: ["m-s1".to_owned()].into() };
        let told = json!({ "m": { "filter": { "term": { "a": 1 } } } });
        let aliases = BTreeMap::from([("m-s1".to_owned(), told.as_object().unwrap().clone())]);
        assert_eq!(
            actions(&[swap], &aliases, &BTreeMap::new()),
            [
                json!({ "add": { "index": "m-s2", "alias": "m", "filter": { "term": { "a": 1 } } } }),
                json!({ "remove": { "index": "m-s1", "alias": "m" } }),
            ]
        );
    }

    #[test]
    fn the_aliases_of_the_snapshot_come_along_and_count() {
        let object = |told: Value| told.as_object().unwrap().clone();
        let came = BTreeMap::from([("m-s".to_owned(), object(json!({ "films": { "routing": "1" }, "new": {} })))]);
        let swap = Swap { name: "m".into(), index: "m-s".into(), behind: ["m".to_owned()].into() };
        let held = BTreeMap::from([("m".to_owned(), object(json!({ "films": {}, "own": {} })))]);
        assert_eq!(
            actions(&[swap], &held, &came),
            [
                json!({ "add": { "index": "m-s", "alias": "films", "routing": "1" } }),
                json!({ "add": { "index": "m-s", "alias": "m" } }),
                json!({ "add": { "index": "m-s", "alias": "new" } }),
                json!({ "add": { "index": "m-s", "alias": "own" } }),
                json!({ "remove_index": { "index": "m" } }),
            ]
        );
        let swap = Swap { name: "m".into(), index: "m-s".into(), behind: ["m-1".to_owned()].into() };
        let held = BTreeMap::from([("m-1".to_owned(), object(json!({ "m": {}, "films": {} })))]);
        let told = actions(&[swap], &held, &came);
        assert_eq!(
            told[3..],
            [
                json!({ "remove": { "index": "m-1", "alias": "m" } }),
                json!({ "remove": { "index": "m-1", "alias": "films" } }),
            ]
        );
    }
}
