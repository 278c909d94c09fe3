//! The root index: what `index-<N>` says.
//!
//! The format is JSON with fields that grew over the versions (`docs/repository.md`, "The root"). Fields that are not known inside a
//! snapshot or an index are skipped, as Elasticsearch does; one at the top means a newer format, which is refused, as it does too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::container::PathType;
use super::name::Name;
use crate::error::{Error, ErrorKind, Result};

/// What a root index names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootIndex {
    /// The oldest version that can read it; from 7.6, not in OpenSearch from 2.0.
    #[serde(default)]
    pub min_version: Option<Version>,
    /// The repository's own id (Elasticsearch from 7.12; never OpenSearch).
    #[serde(default)]
    pub uuid: Option<String>,
    /// The id of the cluster that wrote it last (as `uuid`).
    #[serde(default)]
    pub cluster_id: Option<String>,
    /// The snapshots it lists.
    pub snapshots: Vec<SnapshotEntry>,
    /// The indices they hold, by name.
    #[serde(default)]
    pub indices: BTreeMap<String, IndexEntry>,
    /// The blob of each identifier of an index's metadata (from 7.9).
    #[serde(default)]
    pub index_metadata_identifiers: Option<HashMap<Name, Name>>,
}

/// A snapshot as the root lists it.
#[derive(Debug, Clone)]
pub struct SnapshotEntry {
    /// The name the user gave it.
    pub name: Name,
    /// Its id; before 5.0 its name.
    pub uuid: Name,
    /// 0 in progress, 1 success, 2 failed, 3 partial, 4 incompatible; absent before 5.x.
    pub state: Option<u8>,
    /// The version that made it (from 7.6). Elasticsearch from 8.11 on writes `8.11.0` here, whatever it is.
    pub version: Option<Version>,
    /// The version of its indices (Elasticsearch from 8.11).
    pub index_version: Option<i64>,
    /// When it began, in milliseconds since 1970 (from 7.14).
    pub start_time_millis: Option<i64>,
    /// When it ended, in milliseconds since 1970 (from 7.14).
    pub end_time_millis: Option<i64>,
    /// Which metadata each of its indices has, as pairs of the index's id and an identifier; none before 7.9.
    pub index_metadata_lookup: Option<Vec<(Name, Name)>>,
}

impl SnapshotEntry {
    /// Whether it can be restored, wholly or in part. Before 5.x the root did not say.
    #[must_use]
    pub fn is_restorable(&self) -> bool {
        matches!(self.state, None | Some(1 | 3))
    }
}

/// An index as the root lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct IndexEntry {
    /// Its id in the repository, which is its directory below `indices/`.
    pub id: Name,
    /// The ids of the snapshots that have it.
    #[serde(default, deserialize_with = "ids")]
    pub snapshots: Vec<Name>,
    /// The generation of each shard's list of files, by the shard's number (from 7.6); none where it is not known.
    #[serde(default)]
    pub shard_generations: Option<Vec<Option<Name>>>,
    /// Where OpenSearch keeps its shards: 0 below `indices/`, 1 and 2 elsewhere.
    #[serde(default)]
    pub shard_path_type: i64,
}

impl IndexEntry {
    /// Where its shards are.
    pub fn path_type(&self) -> Result<PathType> {
        PathType::new(self.shard_path_type)
    }

    /// The generation of a shard's list of files. A number is none: Elasticsearch takes it for unknown too (its issue 57798).
    #[must_use]
    pub fn generation(&self, shard: u32) -> Option<&Name> {
        let generation = self.shard_generations.as_ref()?.get(shard as usize)?.as_ref()?;
        let number = generation.bytes().all(|byte| byte.is_ascii_digit());
        (!number && !matches!(generation.as_str(), "_new" | "_deleted" | "")).then_some(generation)
    }
}

/// A version, as text or as one of the numbers that Elasticsearch uses from 8.9 on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Version {
    /// `7.12.0`.
    Text(String),
    /// `8500010`.
    Number(i64),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", text.escape_default()),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// How old a format is: by what is in the newest root, not by the cluster, because a cluster keeps to the format of the oldest snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Elasticsearch 5.0 to 7.5: shards' lists of files are numbered and not in the root.
    F1,
    /// 7.6 to 7.8: the root names them.
    F2,
    /// 7.9 to 7.11, and OpenSearch: snapshots share the metadata of indices.
    F3,
    /// 7.12 and later: the repository has an id.
    F4,
}

impl Family {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::F1 => "F1",
            Self::F2 => "F2",
            Self::F3 => "F3",
            Self::F4 => "F4",
        }
    }
}

impl RootIndex {
    /// Reads the content of a root index; `name` is for messages.
    ///
    /// [`ErrorKind::Corrupt`] for what is none or contradicts itself, [`ErrorKind::Unsupported`] for a newer format.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let root: Self = Name::shared(|| serde_json::from_slice(bytes)).map_err(|error| {
            let text = error.to_string();
            // serde has no other way to say it.
            if text.starts_with("unknown field") {
                return newer(name, &text);
            }
            corrupt(name, format!("it is not the list of snapshots it should be: {text}"))
                .hint("a file of that name hides the roots of lower numbers: `inspect` tells whether one of them is whole, and then this one is to be removed; if there is no snapshot repository here, copy it with `--mode plain`")
        })?;
        root.must_be_known(name)?;
        root.must_agree(name)?;
        Ok(root)
    }

    /// How old its format is.
    #[must_use]
    pub fn family(&self) -> Family {
        let generations = || self.indices.values().any(|index| index.shard_generations.is_some());
        let lookups = || self.snapshots.iter().any(|snapshot| snapshot.index_metadata_lookup.is_some());
        if self.id().is_some() || self.uuid.is_some() {
            Family::F4
        } else if self.index_metadata_identifiers.is_some() || lookups() {
            Family::F3
        } else if self.min_version.is_some() || generations() {
            Family::F2
        } else {
            Family::F1
        }
    }

    /// The snapshot of that id.
    #[must_use]
    pub fn snapshot(&self, uuid: &str) -> Option<&SnapshotEntry> {
        self.snapshots.iter().find(|snapshot| snapshot.uuid.as_str() == uuid)
    }

    /// The blob with the metadata of an index in a snapshot: `indices/<index id>/meta-<this>.dat`.
    #[must_use]
    pub fn index_meta<'a>(&'a self, snapshot: &'a SnapshotEntry, index: &IndexEntry) -> &'a str {
        let lookup = snapshot.index_metadata_lookup.as_deref().unwrap_or_default();
        let identifier = lookup.binary_search_by(|(id, _)| id.cmp(&index.id)).ok().map(|at| &lookup[at].1);
        let blob = identifier.and_then(|identifier| self.index_metadata_identifiers.as_ref()?.get(identifier.as_str()));
        blob.unwrap_or(&snapshot.uuid)
    }

    fn must_be_known(&self, name: &str) -> Result<()> {
        match &self.min_version {
            Some(Version::Text(text)) if !matches!(text.as_str(), "7.6.0" | "7.9.0" | "7.12.0") => {
                Err(newer(name, &format!("it can be read from `{}` on", text.escape_default())))
            }
            Some(Version::Number(number)) => {
                Err(newer(name, &format!("it can be read from index version {number} on")))
            }
            _ => Ok(()),
        }
    }

    fn must_agree(&self, name: &str) -> Result<()> {
        let mut listed = BTreeSet::new();
        for snapshot in &self.snapshots {
            for (what, text) in [("id", &snapshot.uuid), ("name", &snapshot.name)] {
                if text.is_empty() || text.contains(['/', '\0']) {
                    return Err(corrupt(name, format!("it lists a snapshot whose {what} is {text:?}")));
                }
            }
            if !listed.insert(&snapshot.uuid) {
                return Err(corrupt(name, format!("it lists the snapshot {:?} twice", snapshot.uuid)));
            }
        }
        for (index, entry) in &self.indices {
            if entry.id.is_empty() || entry.id.contains(['/', '\0']) {
                return Err(corrupt(name, format!("the index `{}` has the id {:?}", index.escape_default(), entry.id)));
            }
            if let Some(unknown) = entry.snapshots.iter().find(|uuid| !listed.contains(uuid)) {
                let index = index.escape_default();
                return Err(corrupt(
                    name,
                    format!("the index `{index}` is in a snapshot {unknown:?} that it does not list"),
                ));
            }
            if let Some(bad) =
                entry.shard_generations.iter().flatten().flatten().find(|name| name.contains(['/', '\0']))
            {
                return Err(corrupt(name, format!("a shard has the generation {bad:?}")));
            }
        }
        let blobs = self.index_metadata_identifiers.iter().flatten().map(|(_, blob)| blob);
        if let Some(bad) = blobs.into_iter().find(|blob| blob.is_empty() || blob.contains(['/', '\0'])) {
            return Err(corrupt(name, format!("an index's metadata is called {bad:?}")));
        }
        Ok(())
    }

    /// Whether this and `other` can be two states of one repository: by the repository's id if both have one, else by what
    /// they list.
    #[must_use]
    pub fn is_related_to(&self, other: &Self) -> bool {
        if let (Some(ours), Some(theirs)) = (self.id(), other.id()) {
            return ours == theirs;
        }
        let ids = |root: &Self| -> BTreeSet<Name> {
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

    /// The repository's own id, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        // Elasticsearch writes `_na_` where it knows none.
        self.uuid.as_deref().filter(|id| !id.is_empty() && *id != "_na_")
    }
}

fn newer(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("read the root `{name}`"))
        .because(format!("{what}: it was written in a newer format than those known here"))
        .hint("use a newer snapferry; `--mode plain` copies the files as they are, without any order")
}

fn corrupt(name: &str, cause: String) -> Error {
    Error::new(ErrorKind::Corrupt, format!("read the root `{name}`"))
        .because(cause)
        .hint("it is damaged, or somebody else than a cluster wrote it: `inspect` tells whether an older root is whole")
}

impl<'de> Deserialize<'de> for SnapshotEntry {
    /// Before 5.0 an entry was a bare name, and clusters that were upgraded keep such entries.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            name: Name,
            uuid: Option<Name>,
            state: Option<u8>,
            version: Option<Version>,
            index_version: Option<i64>,
            start_time_millis: Option<i64>,
            end_time_millis: Option<i64>,
            #[serde(default, deserialize_with = "pairs")]
            index_metadata_lookup: Option<Vec<(Name, Name)>>,
        }
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = SnapshotEntry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a snapshot")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<SnapshotEntry, E> {
                let name = Name::from(name);
                Ok(SnapshotEntry {
                    uuid: name.clone(),
                    name,
                    state: None,
                    version: None,
                    index_version: None,
                    start_time_millis: None,
                    end_time_millis: None,
                    index_metadata_lookup: None,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<SnapshotEntry, A::Error> {
                let fields = Fields::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(SnapshotEntry {
                    uuid: fields.uuid.unwrap_or_else(|| fields.name.clone()),
                    name: fields.name,
                    state: fields.state,
                    version: fields.version,
                    index_version: fields.index_version,
                    start_time_millis: fields.start_time_millis,
                    end_time_millis: fields.end_time_millis,
                    index_metadata_lookup: fields.index_metadata_lookup,
                })
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

/// Ids of snapshots; before 5.4.1 they stood in objects with a name.
fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<Name>, D::Error> {
    let entries = Vec::<SnapshotEntry>::deserialize(deserializer)?;
    Ok(entries.into_iter().map(|entry| entry.uuid).collect())
}

/// A map as sorted pairs: with ten million of them the map itself would be the larger part.
fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Vec<(Name, Name)>>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Option<Vec<(Name, Name)>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("identifiers by index")
        }
        fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            pairs.sort_unstable();
            Ok(Some(pairs))
        }
    }
    deserializer.deserialize_any(Pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RootIndex {
        RootIndex::parse("index-1", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn unknown_fields_inside_do_not_matter_and_missing_ones_do() {
        let root = parse(
            r#"{"min_version":"7.12.0","uuid":"U","snapshots":[{"name":"s","uuid":"1","x":[]}],"indices":{"i":{"id":"I","snapshots":["1"],"y":{}}}}"#,
        );
        assert_eq!((root.snapshots[0].name.as_str(), root.indices["i"].id.as_str()), ("s", "I"));
        for broken in ["", "{}", "[]", "{\"snapshots\":7}", "not json"] {
            let error = RootIndex::parse("index-1", broken.as_bytes()).expect_err(broken);
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn what_contradicts_itself_is_damage_and_what_is_newer_is_refused() {
        for (broken, kind) in [
            (r#"{"snapshots":[],"indices":{"i":{"id":"I","snapshots":["1"]}}}"#, ErrorKind::Corrupt),
            (r#"{"snapshots":[{"name":"a","uuid":"1"},{"name":"b","uuid":"1"}]}"#, ErrorKind::Corrupt),
            (r#"{"snapshots":[{"name":"a","uuid":"../x"}]}"#, ErrorKind::Corrupt),
            (r#"{"snapshots":[],"indices":{"i":{"id":"../x","snapshots":[]}}}"#, ErrorKind::Corrupt),
            (r#"{"min_version":"9.9.0","snapshots":[]}"#, ErrorKind::Unsupported),
            (r#"{"min_version":9009000,"snapshots":[]}"#, ErrorKind::Unsupported),
            (r#"{"snapshots":[],"tomorrow":1}"#, ErrorKind::Unsupported),
        ] {
            assert_eq!(RootIndex::parse("index-1", broken.as_bytes()).expect_err(broken).kind(), kind, "{broken}");
        }
    }

    #[test]
    fn the_oldest_entries_are_bare_names_and_objects() {
        let root = parse(
            r#"{"snapshots":["old",{"name":"s","uuid":"1"}],"indices":{"i":{"id":"i","snapshots":[{"name":"s","uuid":"1"},"old"]}}}"#,
        );
        let uuids: Vec<&str> = root.snapshots.iter().map(|snapshot| snapshot.uuid.as_str()).collect();
        assert_eq!((uuids, root.family()), (vec!["old", "1"], Family::F1));
        assert_eq!(root.indices["i"].snapshots.iter().map(Name::as_str).collect::<Vec<_>>(), ["1", "old"]);
    }

    #[test]
    fn the_metadata_of_an_index_is_found_by_its_identifier_else_by_the_snapshot() {
        let root = parse(
            r#"{"snapshots":[{"name":"a","uuid":"1","index_metadata_lookup":{"I":"x-y"}},{"name":"b","uuid":"2"}],
                "indices":{"i":{"id":"I","snapshots":["1","2"],"shard_generations":["G",null,"3"]}},"index_metadata_identifiers":{"x-y":"M"}}"#,
        );
        let index = &root.indices["i"];
        assert_eq!(root.index_meta(&root.snapshots[0], index), "M");
        assert_eq!(root.index_meta(&root.snapshots[1], index), "2");
        let generations: Vec<_> = (0..4).map(|shard| index.generation(shard).map(Name::as_str)).collect();
        assert_eq!((generations, root.family()), (vec![Some("G"), None, None, None], Family::F3));
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
