//! The cluster's own settings: read whole, changed one by one, each change with what it takes to put it back.
//!
//! Settings come flat. A transient one wins over a persistent one, both over what the nodes' files say and the default. The
//! settings of an index are elsewhere: `index` reads them and `aftercare` changes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::Client;
use super::request::Request;
use crate::error::Result;

/// Where a setting is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Until the whole cluster restarts. Wins over the other.
    Transient,
    /// For good.
    Persistent,
}

/// A setting that is to be changed, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its full name.
    pub name: String,
    /// Where it is changed.
    pub scope: Scope,
    /// What it was there; none if it was not set.
    pub before: Option<Value>,
    /// What it becomes.
    pub after: Option<Value>,
}

impl Change {
    /// The change that takes this one back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { before: self.after.clone(), after: self.before.clone(), ..self.clone() }
    }
}

/// Every setting of a cluster that it tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    transient: BTreeMap<String, Value>,
    persistent: BTreeMap<String, Value>,
    defaults: BTreeMap<String, Value>,
}

/// Reads the cluster's settings with the defaults.
pub async fn read(client: &Client) -> Result<Settings> {
    let request = Request::get("read the cluster's settings", &["_cluster", "settings"]);
    let answer = client.call(request.query("include_defaults", "true").query("flat_settings", "true")).await?;
    Ok(Settings::of(&answer))
}

/// Changes settings, or puts them back. Nothing is sent for none.
pub async fn change(client: &Client, changes: &[Change]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = changes.iter().map(|change| format!("`{}`", change.name)).collect();
    let request = Request::put(format!("set {}", names.join(", ")), &["_cluster", "settings"]);
    client.call(request.body(&body(changes))).await.map(drop)
}

/// What is sent for changes.
#[must_use]
pub fn body(changes: &[Change]) -> Value {
    let mut body = json!({});
    for change in changes {
        let scope = match change.scope {
            Scope::Transient => "transient",
            Scope::Persistent => "persistent",
        };
        body[scope][&change.name] = change.after.clone().unwrap_or_default();
    }
    body
}

impl Settings {
    fn of(answer: &Value) -> Self {
        let part = |name: &str| {
            let settings = answer[name].as_object().into_iter().flatten();
            settings.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        Self { transient: part("transient"), persistent: part("persistent"), defaults: part("defaults") }
    }

    /// What holds for a setting.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        [&self.transient, &self.persistent, &self.defaults].into_iter().find_map(|part| part.get(name))
    }

    /// What is set for it, by transient or persistent settings, if anything is.
    #[must_use]
    pub fn set(&self, name: &str) -> Option<&Value> {
        [&self.transient, &self.persistent].into_iter().find_map(|part| part.get(name))
    }

    /// The same as text, which all versions but not all values are.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }

    /// The names of what is set for good.
    pub fn persistent(&self) -> impl Iterator<Item = &str> {
        self.persistent.keys().map(String::as_str)
    }

    /// The change that makes a setting hold: where it is set already, else for good.
    #[must_use]
    pub fn change(&self, name: &str, after: Value) -> Change {
        let is_transient = self.transient.contains_key(name);
        let (scope, part) =
            if is_transient { (Scope::Transient, &self.transient) } else { (Scope::Persistent, &self.persistent) };
        Change { name: name.to_owned(), scope, before: part.get(name).cloned(), after: Some(after) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transient_setting_wins_and_is_the_one_that_is_changed() {
        let settings = Settings::of(&json!({
            "transient": { "a": "1" }, "persistent": { "a": "2", "b": "3" }, "defaults": { "b": "4", "c": 5 } }));
        assert_eq!([settings.text("a"), settings.text("b"), settings.text("c")].map(Option::unwrap), ["1", "3", "5"]);
        let change = settings.change("a", json!("9"));
        assert_eq!((change.scope, &change.before), (Scope::Transient, &Some(json!("1"))));
        assert_eq!(change.reversed().after, Some(json!("1")));
        let change = settings.change("c", json!(9));
        assert_eq!((change.scope, &change.before), (Scope::Persistent, &None));
    }
}
