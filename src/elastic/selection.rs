//! Which indices of a snapshot are meant: names, `*` patterns and `-` exclusions, resolved here and not by the cluster.
//!
//! The cluster answers 200 to a pattern that matches nothing and reads an empty list as everything, so only concrete names
//! are ever sent. Entries are taken in order, as Elasticsearch does: each adds to what is chosen, or with `-` takes away; a
//! list that begins with an exclusion begins with everything.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// What is chosen where no name is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Everything but the cluster's own indices and data streams.
    #[default]
    AllButSystem,
    /// Everything that can be restored by its name.
    All,
}

/// What a list of patterns chose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Selection {
    /// Indices, without those that come with a chosen data stream.
    pub indices: Vec<String>,
    /// Data streams; their backing indices come with them.
    pub data_streams: Vec<String>,
    /// Names that begin with a dot and were matched by nothing that says so: the cluster's own indices, which a restore must
    /// not overwrite by accident (logins, Kibana).
    pub left_out: Vec<String>,
}

/// Whether `name` matches `pattern`, in which `*` stands for any text and nothing else is special.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut last: Option<&str> = None;
    for piece in pieces {
        // Each piece but the last takes its earliest place; that leaves most to those behind it.
        if let Some(waiting) = last.replace(piece) {
            let Some(at) = rest.find(waiting) else { return false };
            rest = &rest[at + waiting.len()..];
        }
    }
    last.map_or(rest.is_empty(), |end| rest.ends_with(end))
}

/// The backing indices of a data stream among `indices`, by the names Elasticsearch gives them.
pub(super) fn backing<'a>(stream: &str, indices: &'a [String]) -> Vec<&'a str> {
    let belongs = |index: &str| {
        // `.ds-<stream>-<yyyy.MM.dd>-<generation>`; 7.9 and 7.10 had no date, and streams made of old indices keep their names.
        let Some(rest) = index.strip_prefix(".ds-").and_then(|rest| rest.strip_prefix(stream)) else { return false };
        let Some(rest) = rest.strip_prefix('-') else { return false };
        rest.split('-').count() <= 2 && rest.chars().all(|character| matches!(character, '0'..='9' | '.' | '-'))
    };
    indices.iter().map(String::as_str).filter(|index| belongs(index)).collect()
}

/// The indices and data streams that clusters and their tools keep for themselves, with whose they are. Up to 7.x a cluster restores
/// them by name like any other and breaks what uses them; from 8.0 on they come as part of a feature's state, if at all.
const SYSTEM: [(&str, &str); 27] = [
    (".kibana*", "Kibana"),
    (".opensearch_dashboards*", "OpenSearch Dashboards"),
    (".security*", "security"),
    (".opendistro_security", "security"),
    (".opendistro*", "OpenSearch plugins"),
    (".opensearch*", "OpenSearch plugins"),
    (".plugins-*", "OpenSearch plugins"),
    (".ql-datasources", "OpenSearch plugins"),
    (".replication-metadata-store", "OpenSearch replication"),
    (".tasks", "tasks"),
    (".watches", "Watcher"),
    (".triggered_watches", "Watcher"),
    (".watcher-history*", "Watcher"),
    (".monitoring*", "monitoring"),
    (".ml*", "machine learning"),
    (".transform*", "transforms"),
    (".data-frame*", "transforms"),
    (".apm*", "APM"),
    (".fleet*", "Fleet"),
    (".async-search*", "searches"),
    (".reporting*", "reporting"),
    (".geoip_databases", "GeoIP"),
    (".enrich-*", "enrich policies"),
    (".slm-history*", "snapshot policies"),
    ("slm-history-*", "snapshot policies"),
    ("ilm-history-*", "lifecycle policies"),
    ("security-auditlog-*", "security"),
];

/// Whose index or data stream this is, if a cluster or a tool of it keeps it for itself.
#[must_use]
pub fn owner(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix(".ds-").unwrap_or(name);
    SYSTEM.iter().find(|(pattern, _)| matches(pattern, name)).map(|(_, owner)| *owner)
}

/// Chooses by `patterns` as [`choose`] does; none means everything but the cluster's own.
pub fn select(patterns: &[String], indices: &[String], data_streams: &[String]) -> Result<Selection> {
    choose(patterns, Preset::AllButSystem, indices, data_streams)
}

/// Chooses by `patterns` among a snapshot's indices and data streams; none means what `preset` says.
///
/// Fails with [`ErrorKind::NotFound`] when an entry names or matches nothing, or when nothing remains.
pub fn choose(patterns: &[String], preset: Preset, indices: &[String], data_streams: &[String]) -> Result<Selection> {
    let words: &[&str] = match preset {
        Preset::AllButSystem => &["*"],
        Preset::All => &["*", ".*"],
    };
    let everything: Vec<String> = words.iter().map(ToString::to_string).collect();
    let is_preset = patterns.is_empty();
    let patterns = if is_preset { &everything } else { patterns };
    let mut chosen: BTreeSet<&str> = BTreeSet::new();
    let mut names: BTreeSet<&str> = indices.iter().chain(data_streams).map(String::as_str).collect();
    if is_preset && preset == Preset::AllButSystem {
        names.retain(|name| owner(name).is_none());
    }
    for (position, entry) in patterns.iter().enumerate() {
        let (pattern, adds) = match entry.strip_prefix('-') {
            Some(rest) => (rest, false),
            None => (if entry == "_all" { "*" } else { entry.as_str() }, true),
        };
        if position == 0 && !adds {
            chosen.extend(names.iter().filter(|name| !is_hidden(name)));
        }
        let found: Vec<&str> = names.iter().copied().filter(|name| meant(pattern, name)).collect();
        if found.is_empty() && adds && !is_preset {
            return Err(nothing(&format!("`{entry}`"), indices));
        }
        for name in found {
            if adds {
                chosen.insert(name);
            } else {
                chosen.remove(name);
            }
        }
    }
    if chosen.is_empty() {
        return Err(nothing(&format!("`{}`", patterns.join(",")), indices));
    }
    let data_streams: Vec<String> =
        data_streams.iter().filter(|name| chosen.contains(name.as_str())).cloned().collect();
    let brought: BTreeSet<&str> = data_streams.iter().flat_map(|stream| backing(stream, indices)).collect();
    Ok(Selection {
        indices: chosen
            .iter()
            .filter(|name| !data_streams.iter().any(|stream| stream == *name) && !brought.contains(*name))
            .map(ToString::to_string)
            .collect(),
        left_out: indices
            .iter()
            .filter(|name| {
                (is_hidden(name) || owner(name).is_some())
                    && !chosen.contains(name.as_str())
                    && !brought.contains(name.as_str())
            })
            .cloned()
            .collect(),
        data_streams,
    })
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// A pattern means a hidden name only when it begins with a dot itself.
fn meant(pattern: &str, name: &str) -> bool {
    matches(pattern, name) && (!is_hidden(name) || is_hidden(pattern))
}

fn nothing(what: &str, indices: &[String]) -> Error {
    Error::new(ErrorKind::NotFound, format!("choose indices by {what}"))
        .because(format!("the snapshot holds none of that; it holds {}", quoted(indices)))
        .hint("look at the snapshot's indices with `snapshot list`; names that begin with a dot must be asked for with one")
}

/// Names for a sentence: `a`, `b`, and how many more.
pub(super) fn quoted(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 10;
    if names.is_empty() {
        return "nothing".into();
    }
    let text = names.iter().take(SHOWN).map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn chosen(patterns: &[&str]) -> Vec<String> {
        let indices = list(&[".kibana_1", "logs-1", "logs-2", "movies"]);
        choose(&list(patterns), Preset::default(), &indices, &[]).unwrap().indices
    }

    #[test]
    fn patterns_add_and_exclusions_take_away_in_order() {
        assert_eq!(chosen(&["logs-*", "-logs-1"]), ["logs-2"]);
        assert_eq!(chosen(&["-logs-*"]), ["movies"]);
        assert_eq!(chosen(&["logs-*", "-logs-1", "logs-1"]), ["logs-1", "logs-2"]);
        assert_eq!(chosen(&["_all"]), ["logs-1", "logs-2", "movies"]);
    }

    #[test]
    fn the_clusters_own_indices_come_only_when_asked_for() {
        assert_eq!(chosen(&[]), ["logs-1", "logs-2", "movies"]);
        assert_eq!(chosen(&[".kibana*"]), [".kibana_1"]);
        let selection = choose(&[], Preset::default(), &list(&[".kibana_1", "movies"]), &[]).unwrap();
        assert_eq!(selection.left_out, [".kibana_1"]);
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_an_error() {
        let indices = list(&["movies"]);
        for patterns in [
            &["nosuch*"][..],
            &["nosuch"],
            &["movies", "-*"],
            &["movies", "nosuch*"],
            &["movies", "nosuch"],
            &["-*"],
            &[".security*"],
        ] {
            let error = choose(&list(patterns), Preset::default(), &indices, &[]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{patterns:?}");
        }
        assert_eq!(choose(&[], Preset::default(), &[], &[]).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_data_stream_brings_its_backing_indices() {
        let indices = list(&[".ds-logs-x-2024.01.01-000001", ".ds-logs-x-y-2024.01.01-000001", "movies"]);
        let selection = choose(&[], Preset::default(), &indices, &list(&["logs-x"])).unwrap();
        assert_eq!(selection.data_streams, ["logs-x"]);
        assert_eq!(selection.indices, ["movies"]);
        assert_eq!(selection.left_out, [".ds-logs-x-y-2024.01.01-000001"]);
        assert_eq!(backing("logs-x", &indices), [".ds-logs-x-2024.01.01-000001"]);
    }

    #[test]
    fn all_but_system_leaves_out_what_tools_keep_under_ordinary_names() {
        let indices = list(&[".ds-ilm-history-5-2024.01.01-000001", ".mine", "movies", "security-auditlog-2024.01.01"]);
        let streams = list(&["ilm-history-5"]);
        let selection = choose(&[], Preset::AllButSystem, &indices, &streams).unwrap();
        assert_eq!((selection.indices, selection.data_streams.len()), (list(&["movies"]), 0));
        assert_eq!(selection.left_out, [indices[0].clone(), indices[1].clone(), indices[3].clone()]);
        let selection = choose(&[], Preset::All, &indices, &streams).unwrap();
        assert_eq!((selection.indices.len(), selection.data_streams), (3, streams));
        assert_eq!(owner(".kibana_task_manager_7"), Some("Kibana"));
    }

    proptest! {
        /// The simple matcher agrees with a regular expression made of the same pattern.
        #[test]
        fn stars_match_as_a_regular_expression_would(pattern in "[ab*]{0,6}", name in "[ab]{0,6}") {
            let expression = format!("^{}$", pattern.replace('*', ".*"));
            let expected = regex::Regex::new(&expression).unwrap().is_match(&name);
            prop_assert_eq!(matches(&pattern, &name), expected);
        }
    }
}
