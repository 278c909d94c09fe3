//! The root index: what `index-<N>` says, as far as copying needs it.
//!
//! The format is JSON with fields that grew over the versions (`docs/repository.md`). Unknown fields are ignored here; what is
//! copied is the bytes, never a rewriting of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};

/// What a root index names.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RootIndex {
    /// The repository's own id (Elasticsearch from 7.12; never OpenSearch).
    pub uuid: Option<String>,
    /// The snapshots it lists.
    pub snapshots: Vec<SnapshotEntry>,
    /// The indices they hold, by name.
    #[serde(default)]
    pub indices: BTreeMap<String, IndexEntry>,
}

/// A snapshot as the root lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct SnapshotEntry {
    /// The name the user gave it.
    pub name: String,
    /// Its id.
    pub uuid: String,
    /// 0 in progress, 1 success, 2 failed, 3 partial, 4 incompatible; absent before 5.x.
    pub state: Option<u8>,
    /// When it began, in milliseconds since 1970 (from 7.14).
    pub start_time_millis: Option<i64>,
}

/// An index as the root lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct IndexEntry {
    /// Its id in the repository, which is its directory below `indices/`.
    pub id: String,
    /// Where OpenSearch keeps its shards: 0 below `indices/`, 1 and 2 elsewhere.
    #[serde(default)]
    pub shard_path_type: i64,
}

impl RootIndex {
    /// Reads the content of a root index; `name` is for messages.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("read the root `{name}`"))
                .because(format!("it is not the list of snapshots it should be: {error}"))
                .hint("if this is no snapshot repository, copy it with `--mode plain`")
        })
    }

    /// Refuses what copying a prefix would not copy whole.
    pub fn must_be_below_prefix(&self) -> Result<()> {
        match self.indices.iter().find(|(_, index)| index.shard_path_type != 0) {
            None => Ok(()),
            Some((name, index)) => Err(Error::new(ErrorKind::Unsupported, "copy this repository")
                .because(format!(
                    "its root says `shard_path_type` {} for the index `{name}`: OpenSearch 3.1 to 3.6 keep such data outside the repository's prefix",
                    index.shard_path_type
                ))
                .hint("take the snapshots into a repository registered with `shard_path_type: fixed`, and copy that one")),
        }
    }

    /// Whether this and `other` can be two states of one repository: by the repository's id if both have one, else by what
    /// they list.
    #[must_use]
    pub fn is_related_to(&self, other: &Self) -> bool {
        if let (Some(ours), Some(theirs)) = (self.id(), other.id()) {
            return ours == theirs;
        }
        let ids = |root: &Self| -> BTreeSet<String> {
            let snapshots = root.snapshots.iter().map(|snapshot| snapshot.uuid.clone());
            snapshots.chain(root.indices.values().map(|index| index.id.clone())).collect()
        };
        let (ours, theirs) = (ids(self), ids(other));
        theirs.is_empty() || !ours.is_disjoint(&theirs)
    }

    /// A snapshot of `other` that this root does not list.
    #[must_use]
    pub fn lacks<'a>(&self, other: &'a Self) -> Option<&'a SnapshotEntry> {
        let ours: BTreeSet<&str> = self.snapshots.iter().map(|snapshot| snapshot.uuid.as_str()).collect();
        other.snapshots.iter().find(|snapshot| !ours.contains(snapshot.uuid.as_str()))
    }

    fn id(&self) -> Option<&str> {
        // Elasticsearch writes `_na_` where it knows none.
        self.uuid.as_deref().filter(|id| !id.is_empty() && *id != "_na_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RootIndex {
        RootIndex::parse("index-1", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn unknown_fields_do_not_matter_and_missing_ones_do() {
        let root = parse(
            r#"{"min_version":"7.12.0","uuid":"U","snapshots":[{"name":"s","uuid":"1","x":[]}],"indices":{"i":{"id":"I","snapshots":["1"]}}}"#,
        );
        assert_eq!((root.snapshots[0].name.as_str(), root.indices["i"].id.as_str()), ("s", "I"));
        for broken in ["", "{}", "[]", "{\"snapshots\":7}", "not json"] {
            let error = RootIndex::parse("index-1", broken.as_bytes()).expect_err(broken);
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn data_outside_the_prefix_is_refused() {
        let root = parse(r#"{"snapshots":[],"indices":{"logs":{"id":"I","snapshots":[],"shard_path_type":1}}}"#);
        let error = root.must_be_below_prefix().expect_err("refused");
        assert!(error.to_string().contains("shard_path_type") && error.to_string().contains("logs"));
        let fixed = parse(r#"{"snapshots":[],"indices":{"logs":{"id":"I","snapshots":[],"shard_path_type":0}}}"#);
        assert!(fixed.must_be_below_prefix().is_ok());
    }

    #[test]
    fn a_repository_is_known_by_its_id_or_by_what_it_lists() {
        let with =
            |id: &str, snapshot: &str| parse(&format!(r#"{{{id}"snapshots":[{{"name":"s","uuid":"{snapshot}"}}]}}"#));
        assert!(with(r#""uuid":"A","#, "1").is_related_to(&with(r#""uuid":"A","#, "2")));
        assert!(!with(r#""uuid":"A","#, "1").is_related_to(&with(r#""uuid":"B","#, "1")));
        assert!(with("", "1").is_related_to(&with("", "1")));
        assert!(!with("", "1").is_related_to(&with("", "2")));
        assert!(with("", "1").is_related_to(&parse(r#"{"snapshots":[]}"#)));
    }
}
