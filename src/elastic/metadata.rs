//! What an index is like: its mappings, settings and aliases, in a form in which two clusters can be compared.
//!
//! Left out is what every index has of its own (identity, age, versions, where its shards lie and what it was made of), and the
//! type's name where there is one type, because 7.0 and later no longer tell it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::name;
use super::request::{Request, batches};
use super::selection::matches;
use crate::error::Result;

/// Mappings, settings and aliases of an index as dotted names with their values as texts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// By the dotted name within the mapping, without the type's name where there is one type.
    pub mappings: BTreeMap<String, String>,
    /// By the full name of the setting, without those that every index has of its own.
    pub settings: BTreeMap<String, String>,
    /// By the alias's name and the key of what it says.
    pub aliases: BTreeMap<String, String>,
}

/// Settings that differ between an index and its restored copy whatever anybody does.
const OWN: [&str; 12] = [
    "index.uuid",
    "index.creation_date",
    "index.creation_date_string",
    "index.provided_name",
    "index.version.*",
    "index.routing.allocation.*",
    "index.resize.*",
    "index.shrink.*",
    "index.history.uuid",
    "index.verified_before_close",
    "index.store.snapshot.*",
    "index.remote_store.*",
];

/// Reads what these indices are like. What is not there has no entry.
pub async fn read(client: &Client, indices: &[String]) -> Result<BTreeMap<String, Metadata>> {
    for index in indices {
        name::check("index", index)?;
    }
    let mut all = BTreeMap::new();
    for batch in batches(indices.iter().map(String::as_str)) {
        let request = Request::get(format!("read mappings and settings of {} indices", batch.len()), &[]);
        let answer = client.call(request.names(&batch).query("ignore_unavailable", "true")).await?;
        for (name, index) in answer.as_object().into_iter().flatten() {
            all.insert(name.clone(), Metadata::of(index));
        }
    }
    Ok(all)
}

impl Metadata {
    fn of(index: &Value) -> Self {
        let mut settings = BTreeMap::new();
        flatten("", &index["settings"], &mut settings);
        settings.retain(|name, _| !OWN.iter().any(|own| matches(own, name)));
        let mut mappings = BTreeMap::new();
        flatten("", mapping(&index["mappings"]), &mut mappings);
        // 5.x and 6.x: what other types were to begin with. 7.0 and later drop it.
        mappings.retain(|name, _| name != "_default_" && !name.starts_with("_default_."));
        let mut aliases = BTreeMap::new();
        for (name, alias) in index["aliases"].as_object().into_iter().flatten() {
            aliases.insert(name.clone(), "there".to_owned());
            flatten(name, alias, &mut aliases);
        }
        Self { mappings, settings, aliases }
    }
}

/// The mapping itself: 5.x and 6.x put it below the type's name.
fn mapping(mappings: &Value) -> &Value {
    /// What may stand at the top of a mapping besides names that begin with an underscore.
    const TOP: [&str; 7] = [
        "properties",
        "dynamic",
        "date_detection",
        "numeric_detection",
        "dynamic_date_formats",
        "dynamic_templates",
        "runtime",
    ];
    let Some(object) = mappings.as_object() else { return mappings };
    let mut types = object.keys().filter(|name| *name != "_default_");
    match (types.next(), types.next()) {
        // A type may be called like a key; a key's content is never an object of such keys, but for `properties`.
        (Some(only), None) if is_type(only, &object[only], &TOP) => &object[only],
        _ => mappings,
    }
}

fn is_type(name: &str, content: &Value, top: &[&str]) -> bool {
    let Some(content) = content.as_object() else { return false };
    let is_key = top.contains(&name) || name.starts_with('_') && name != "_doc";
    !is_key && content.keys().all(|key| top.contains(&key.as_str()) || key.starts_with('_'))
}

/// Every leaf by its dotted name. Texts, numbers and truths of the same letters are the same: versions write them differently.
fn flatten(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&name, value, leaves);
            }
        }
        Value::String(text) => drop(leaves.insert(path.to_owned(), text.clone())),
        Value::Null => {}
        other => drop(leaves.insert(path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_of_the_old_versions_does_not_count() {
        let mapping = json!({ "dynamic": "strict", "properties": { "title": { "type": "text" } } });
        let old = Metadata::of(&json!({ "mappings": { "movie": mapping, "_default_": { "dynamic": false } } }));
        let new = Metadata::of(&json!({ "mappings": mapping }));
        assert_eq!(old, new);
        assert_eq!(new.mappings["properties.title.type"], "text");
        let bare = json!({ "properties": { "properties": { "properties": { "a": { "type": "long" } } } } });
        assert!(
            Metadata::of(&json!({ "mappings": bare })).mappings.contains_key("properties.properties.properties.a.type")
        );
    }

    #[test]
    fn several_types_keep_their_names() {
        let one = json!({ "properties": { "a": { "type": "text" } } });
        let several = Metadata::of(&json!({ "mappings": { "movie": one, "person": one } }));
        assert_eq!(several.mappings.len(), 2);
        assert!(several.mappings.contains_key("person.properties.a.type"));
    }

    #[test]
    fn what_every_index_has_of_its_own_is_left_out() {
        let told = Metadata::of(&json!({
            "settings": { "index": { "uuid": "u", "number_of_replicas": 1, "version": { "created": "8" },
                "routing": { "allocation": { "include": { "_tier_preference": "data_content" } } } } },
            "aliases": { "films": { "is_write_index": true } },
        }));
        assert_eq!(told.settings, BTreeMap::from([("index.number_of_replicas".to_owned(), "1".to_owned())]));
        assert_eq!(told.aliases["films.is_write_index"], "true");
        assert_eq!(told.aliases["films"], "there");
    }
}
