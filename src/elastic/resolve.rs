//! What names and patterns mean among what a cluster has now: indices, aliases and data streams.
//!
//! Entries are taken in order: each adds, or with `-` takes away; a list that begins with an exclusion begins with everything.
//! A pattern reaches closed indices and names that begin with a dot in some versions and not in others (system indices went
//! their own way from 7.13 on): these are told apart, as what may be meant.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Existing;
use super::selection::matches;

/// What a list of patterns means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Indices that are meant, also those behind aliases and data streams.
    pub indices: BTreeSet<String>,
    /// Indices that a pattern reaches in some versions: closed ones and those whose names begin with a dot.
    pub perhaps: BTreeSet<String>,
    /// Entries that add, and name or match nothing.
    pub nothing: Vec<String>,
}

impl Resolved {
    /// Whether nothing at all is meant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty() && self.perhaps.is_empty()
    }

    /// Whether the index may be meant.
    #[must_use]
    pub fn may_mean(&self, index: &str) -> bool {
        self.indices.contains(index) || self.perhaps.contains(index)
    }
}

/// The list as every version understands it: 6.0 and later read an exclusion at the beginning as a name.
#[must_use]
pub fn plain(patterns: &[String]) -> Vec<String> {
    let everything = patterns.first().is_some_and(|first| first.starts_with('-')).then(|| "*".to_owned());
    everything.into_iter().chain(patterns.iter().cloned()).collect()
}

/// Resolves `patterns`; none means everything.
#[must_use]
pub fn resolve(patterns: &[String], existing: &Existing) -> Resolved {
    let everything = ["*".to_owned()];
    let patterns = if patterns.is_empty() { everything.to_vec() } else { plain(patterns) };
    // Whether it is surely meant, by name.
    let mut chosen: BTreeMap<&str, bool> = BTreeMap::new();
    let mut nothing = Vec::new();
    for entry in &patterns {
        if let Some(pattern) = entry.strip_prefix('-') {
            for (index, _) in reached(pattern, existing) {
                chosen.remove(index);
            }
            continue;
        }
        let found = reached(if entry == "_all" { "*" } else { entry }, existing);
        if found.is_empty() && !(entry == "*" || entry == "_all") {
            nothing.push(entry.clone());
        }
        for (index, surely) in found {
            *chosen.entry(index).or_default() |= surely;
        }
    }
    let (surely, perhaps): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(_, surely)| *surely);
    let names = |list: Vec<(&str, bool)>| list.into_iter().map(|(name, _)| name.to_owned()).collect();
    Resolved { indices: names(surely), perhaps: names(perhaps), nothing }
}

/// The indices that a name or pattern reaches, with whether it does so in every version.
fn reached<'a>(pattern: &str, existing: &'a Existing) -> Vec<(&'a str, bool)> {
    let is_name = !pattern.contains('*');
    let dotted = pattern.starts_with('.');
    let indices = existing.indices.iter().filter(|(name, _)| matches(pattern, name));
    let indices =
        indices.map(|(name, index)| (name.as_str(), is_name || index.is_open && (dotted || !name.starts_with('.'))));
    let aliases = existing.aliases.iter().filter(|(alias, _)| matches(pattern, alias));
    let aliases = aliases.flat_map(|(alias, behind)| {
        behind
            .iter()
            .map(move |name| (name.as_str(), is_name || dotted || !alias.starts_with('.') && !name.starts_with('.')))
    });
    let streams = existing.data_streams.iter().filter(|(stream, _)| matches(pattern, stream));
    let streams = streams.flat_map(|(stream, behind)| {
        behind.iter().map(move |name| (name.as_str(), is_name || dotted || !stream.starts_with('.')))
    });
    indices.chain(aliases).chain(streams).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::elastic::index;

    fn existing() -> Existing {
        index::read(&json!({ "metadata": {
            "indices": {
                "movies": { "state": "open", "aliases": ["films"] },
                "logs-1": { "state": "open" }, "logs-2": { "state": "close" },
                ".kibana_1": { "state": "open", "aliases": [".kibana"] },
                ".ds-web-2024.01.01-000001": { "state": "open" },
            },
            "data_stream": { "data_stream": { "web": { "indices": [{ "index_name": ".ds-web-2024.01.01-000001" }] } } },
        } }))
    }

    fn resolved(patterns: &[&str]) -> Resolved {
        resolve(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>(), &existing())
    }

    fn names(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    #[test]
    fn aliases_and_streams_stand_for_their_indices() {
        assert_eq!(names(&resolved(&["films"]).indices), ["movies"]);
        assert_eq!(names(&resolved(&["we*"]).indices), [".ds-web-2024.01.01-000001"]);
    }

    #[test]
    fn what_versions_see_differently_is_only_perhaps_meant() {
        let all = resolved(&[]);
        assert_eq!(names(&all.indices), [".ds-web-2024.01.01-000001", "logs-1", "movies"]);
        assert_eq!(names(&all.perhaps), [".kibana_1", "logs-2"]);
        assert_eq!(names(&resolved(&["logs-2", ".kib*"]).indices), [".kibana_1", "logs-2"]);
    }

    #[test]
    fn exclusions_take_away_and_what_matches_nothing_is_told() {
        assert_eq!(names(&resolved(&["-logs-*", "-web"]).indices), ["movies"]);
        assert_eq!(plain(&["-a".into()]), ["*", "-a"]);
        let none = resolved(&["nosuch*", "movies", "-movies"]);
        assert!(none.is_empty());
        assert_eq!(none.nothing, ["nosuch*"]);
    }
}
