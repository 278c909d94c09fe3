//! The repository as a whole: its root, and the blobs that describe snapshots and indices.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Serialize;
use serde_smile::value::Value;
use snapferry::repo::Codec;

use super::blob::{container, envelope, list, map, number, object, set, text};
use super::family::Family;
use super::lucene::{Index, Kind};
use super::shard::RepositoryShard;

/// A snapshot in the repository.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) state: State,
    /// Its indices by name, with their kind.
    pub(crate) indices: BTreeMap<String, Kind>,
    /// Which metadata each index has: the index's id and an identifier.
    pub(crate) lookup: BTreeMap<String, String>,
    /// How many shards it should have, by index.
    pub(crate) shards: BTreeMap<String, usize>,
    /// The shards it has not.
    pub(crate) failed: BTreeSet<(String, usize)>,
    pub(crate) start: i64,
    pub(crate) global: bool,
}

/// How a snapshot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Success = 1,
    Failed = 2,
    Partial = 3,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Partial => "PARTIAL",
        }
    }
}

/// An index in the repository.
#[derive(Debug, Clone)]
pub(crate) struct RepositoryIndex {
    pub(crate) id: String,
    pub(crate) shards: Vec<RepositoryShard>,
    /// The ids of the snapshots that have it.
    pub(crate) snapshots: Vec<String>,
}

/// What the root lists, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) family: Family,
    /// The base path: empty, or with a `/` at its end.
    pub(crate) base: String,
    pub(crate) generation: Option<u64>,
    pub(crate) ids: (String, String),
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) indices: BTreeMap<String, RepositoryIndex>,
    /// The blob of each identifier of an index's metadata.
    pub(crate) identifiers: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Root<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    min_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<&'a str>,
    snapshots: Vec<RootSnapshot<'a>>,
    indices: BTreeMap<&'a str, RootIndex<'a>>,
    /// Before 7.12 it came behind the indices.
    #[serde(rename = "min_version", skip_serializing_if = "Option::is_none")]
    min_version_behind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_metadata_identifiers: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct RootSnapshot<'a> {
    name: &'a str,
    uuid: &'a str,
    state: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_metadata_lookup: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slm_policy: Option<&'static str>,
}

#[derive(Serialize)]
struct RootIndex<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard_path_type: Option<u64>,
    snapshots: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    shard_generations: Option<Vec<Option<&'a str>>>,
}

impl Repository {
    /// The content of the root.
    pub(crate) fn root(&self) -> Bytes {
        let family = self.family;
        let newest = family == Family::F4;
        let (uuid, cluster) = &self.ids;
        let root = Root {
            min_version: family.min_version().filter(|_| newest),
            uuid: newest.then_some(uuid),
            cluster_id: newest.then_some(cluster),
            snapshots: self.snapshots.iter().map(|snapshot| self.root_snapshot(snapshot)).collect(),
            indices: self.indices.iter().map(|(name, index)| (name.as_str(), self.root_index(index))).collect(),
            min_version_behind: family.min_version().filter(|_| !newest),
            index_metadata_identifiers: family.shares_metadata().then_some(&self.identifiers),
        };
        serde_json::to_vec(&root).expect("it is plain").into()
    }

    fn root_snapshot<'a>(&self, snapshot: &'a Snapshot) -> RootSnapshot<'a> {
        let newest = self.family == Family::F4;
        RootSnapshot {
            name: &snapshot.name,
            uuid: &snapshot.uuid,
            state: snapshot.state as u8,
            index_metadata_lookup: self.family.shares_metadata().then_some(&snapshot.lookup),
            version: self.family.version(),
            index_version: newest.then(|| self.family.version_id()),
            start_time_millis: newest.then_some(snapshot.start),
            end_time_millis: newest.then_some(snapshot.start + 200),
            slm_policy: newest.then_some(""),
        }
    }

    fn root_index<'a>(&self, index: &'a RepositoryIndex) -> RootIndex<'a> {
        let generations = index.shards.iter().map(|shard| shard.generation.as_deref());
        RootIndex {
            id: &index.id,
            shard_path_type: self.family.path_type(),
            snapshots: &index.snapshots,
            shard_generations: (!self.family.is_old()).then(|| generations.collect()),
        }
    }

    /// The key of a blob by its name below the base path.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.base)
    }

    pub(crate) fn container(&self, id: &str, shard: usize) -> String {
        container(self.family.path_type().unwrap_or(0), &self.base, id, shard)
    }

    /// The file that says where the shards of an index lie, where they lie elsewhere than below `indices/`.
    pub(crate) fn shard_paths(&self, name: &str, id: &str, shards: usize) -> Option<(String, Bytes)> {
        let path_type = self.family.path_type().filter(|path_type| *path_type != 0)?;
        let content = serde_json::json!({
            "indexId": id,
            "indexName": name,
            "number_of_shards": shards,
            "shard_path_type": path_type,
            "shard_path_hash_algorithm": 1,
            "paths": (0..shards).map(|shard| self.container(id, shard)).collect::<Vec<_>>(),
        });
        let key = format!("{}snapshot_shard_paths/snapshot_path_{id}.{name}.{shards}.{path_type}.1", self.base);
        Some((key, content.to_string().into()))
    }

    /// A snapshot's description.
    pub(crate) fn info(&self, snapshot: &Snapshot) -> Bytes {
        let family = self.family;
        let total: usize = snapshot.shards.values().sum();
        let mut info = object([
            ("name", text(&snapshot.name)),
            ("uuid", text(&snapshot.uuid)),
            ("version_id", number(family.version_id())),
        ]);
        if family.is_opensearch() {
            set(&mut info, "remote_store_index_shallow_copy", Value::Boolean(false));
        }
        set(&mut info, "indices", list(snapshot.indices.keys().rev().map(text)));
        if family.shares_metadata() {
            let streams = snapshot.indices.values().filter(|kind| **kind == Kind::DataStream);
            set(&mut info, "data_streams", list(streams.map(|_| text("events"))));
        }
        set(&mut info, "state", text(snapshot.state.word()));
        if snapshot.state == State::Failed {
            set(&mut info, "reason", text("Indices don't have primary shards"));
        }
        if family != Family::Counter {
            set(&mut info, "include_global_state", Value::Boolean(snapshot.global));
        }
        if family.is_opensearch() || family == Family::F3 {
            set(&mut info, "metadata", Value::Null);
        }
        set(&mut info, "start_time", number(snapshot.start));
        set(&mut info, "end_time", number(snapshot.start + 200));
        set(&mut info, "total_shards", number(total));
        set(&mut info, "successful_shards", number(total - snapshot.failed.len()));
        set(&mut info, "failures", list(snapshot.failed.iter().map(|(index, shard)| failure(index, *shard))));
        if family == Family::F4 {
            let details = snapshot.shards.iter().map(|(index, shards)| {
                let size = object([("shard_count", number(*shards)), ("size_in_bytes", number(4_096 * shards))]);
                (index.clone(), size)
            });
            set(&mut info, "feature_states", list([]));
            set(&mut info, "index_details", map(details));
        }
        envelope(Codec::Snapshot, &object([("snapshot", info)]), family.body())
    }

    /// The cluster state that belongs to a snapshot.
    pub(crate) fn global(&self, snapshot: &Snapshot) -> Bytes {
        let mut state = object([
            ("version", number(if snapshot.global { 233 } else { 0 })),
            ("cluster_uuid", text(if snapshot.global { &self.ids.1 } else { "_na_" })),
            ("templates", object([])),
        ]);
        if self.family.shares_metadata() {
            let streams = snapshot.indices.iter().filter(|(_, kind)| **kind == Kind::DataStream);
            let streams = streams.map(|(index, _)| {
                let backing = object([("index_name", text(index)), ("index_uuid", text("_na_"))]);
                ("events".to_owned(), object([("name", text("events")), ("indices", list([backing]))]))
            });
            set(&mut state, "data_stream", object([("data_stream", map(streams))]));
        }
        envelope(Codec::Metadata, &object([("meta-data", state)]), self.family.body())
    }

    /// An index's metadata.
    pub(crate) fn index_meta(&self, name: &str, index: &Index) -> Bytes {
        let settings = object([
            ("index.creation_date", text(index.created.to_string())),
            ("index.number_of_replicas", text("0")),
            ("index.number_of_shards", text(index.shards.len().to_string())),
            ("index.provided_name", text(name)),
            ("index.uuid", text(&index.uuid)),
            ("index.version.created", text(self.family.version_id().to_string())),
        ]);
        let fields = (0..index.mapping_version).map(|at| (format!("field-{at}"), object([("type", text("long"))])));
        let mapping = object([("_doc", object([("properties", map(fields))]))]);
        let allocations =
            (0..index.shards.len()).map(|shard| (shard.to_string(), list([text("MnhlsZoISZWbgJlnKcl4Gg")])));
        let meta = object([
            ("version", number(5)),
            ("mapping_version", number(index.mapping_version)),
            ("settings_version", number(1)),
            ("aliases_version", number(1)),
            ("routing_num_shards", number(1024)),
            ("state", text("open")),
            ("settings", settings),
            ("mappings", list([mapping])),
            ("aliases", object([])),
            ("primary_terms", list(index.shards.iter().map(|_| number(1)))),
            ("in_sync_allocations", map(allocations)),
        ]);
        envelope(Codec::IndexMetadata, &map([(name.to_owned(), meta)]), self.family.body())
    }
}

fn failure(index: &str, shard: usize) -> Value {
    object([
        ("index", text(index)),
        ("index_uuid", text(index)),
        ("shard_id", number(shard)),
        ("reason", text("IndexShardSnapshotFailedException[Failed to write file]")),
        ("node_id", text("Qc9eVQuzQ8eN1hVG-v6rgQ")),
        ("status", text("INTERNAL_SERVER_ERROR")),
    ])
}
