//! Aliases: what they are exactly, and letting names point elsewhere in one step.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::client::Client;
use super::request::{Request, batches};
use super::selection::quoted;
use crate::error::Result;

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
/// indices behind it, which stay.
#[must_use]
pub fn actions(swaps: &[Swap], aliases: &BTreeMap<String, Map<String, Value>>) -> Vec<Value> {
    let mut actions = Vec::new();
    for Swap { name, index, behind } in swaps {
        let mut add = |alias: &str, as_before: Option<&Value>| {
            let mut action = as_before.cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
            (action["index"], action["alias"]) = (json!(index), json!(alias));
            actions.push(json!({ "add": action }));
        };
        if behind.contains(name) {
            for (alias, definition) in aliases.get(name).into_iter().flatten() {
                add(alias, Some(definition));
            }
            add(name, None);
            actions.push(json!({ "remove_index": { "index": name } }));
        } else {
            let definition = behind.iter().find_map(|index| aliases.get(index)?.get(name));
            add(name, definition);
            for old in behind.iter().filter(|old| *old != index) {
                actions.push(json!({ "remove": { "index": old, "alias": name } }));
            }
        }
    }
    actions
}

/// Does all of these or none.
pub async fn change(client: &Client, actions: &[Value]) -> Result<()> {
    let request = Request::post("change the aliases", &["_aliases"]).body(&json!({ "actions": actions }));
    client.call(request).await.map(drop)
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
            actions(&[swap], &aliases),
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
            actions(&[swap], &aliases),
            [
                json!({ "add": { "index": "m-s2", "alias": "m", "filter": { "term": { "a": 1 } } } }),
                json!({ "remove": { "index": "m-s1", "alias": "m" } }),
            ]
        );
    }
}
