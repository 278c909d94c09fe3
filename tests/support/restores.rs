//! What an engine gives when it restores a copy, and what it ought to give, for `tests/restores.rs`.
//!
//! The truth is what `tests/fixtures/<name>.truth.json` states; where it states no digest, also what the same engine restores from
//! the fixture itself. Only one engine runs at a time: `engine` gives the one that runs, or ends it and starts another.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::engines::{Elastic, unpack};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// A number that nobody else in this process has: names of repositories, folders and restored indices.
pub(crate) fn number() -> u32 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    GIVEN.fetch_add(1, Ordering::Relaxed)
}

/// The engine that runs, as long as this value lives.
pub(crate) struct Engine {
    held: MutexGuard<'static, Option<(&'static str, Elastic)>>,
}

impl Deref for Engine {
    type Target = Elastic;

    fn deref(&self) -> &Elastic {
        &self.held.as_ref().expect("`engine` started it").1
    }
}

/// The engine of this name, as `fetch.sh` has it. Tests that ask for the same one in a row find it running; the order in which
/// libtest runs them, by name and with one thread, makes that one start for each.
pub(crate) fn engine(name: &'static str) -> Engine {
    static RUNNING: Mutex<Option<(&'static str, Elastic)>> = Mutex::new(None);
    let mut held = RUNNING.lock().unwrap_or_else(|poisoned| {
        // Whoever failed may have left a restore behind that does not end.
        RUNNING.clear_poison();
        let mut held = poisoned.into_inner();
        *held = None;
        held
    });
    if held.as_ref().is_none_or(|(running, _)| *running != name) {
        *held = None;
        let (kind, version) = name.split_once('-').expect("a name and a version");
        let node = match kind {
            "opensearch" => Elastic::start_opensearch("restores", version),
            _ => Elastic::start("restores", version, None),
        };
        *held = Some((name, node));
    }
    Engine { held }
}

/// What an index holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Documents, shard by shard.
    pub(crate) documents: Vec<u64>,
    /// Over all ids and sources, as the fixtures' truth has it.
    digest: String,
}

/// What an index holds that has been refreshed.
pub(crate) fn content(node: &Elastic, index: &str) -> Content {
    let settings = node.get("GET", &format!("/{index}/_settings"), None);
    let shards = &settings[index]["settings"]["index"]["number_of_shards"];
    let shards: u64 = shards.as_str().and_then(|shards| shards.parse().ok()).expect("a number of shards");
    let count = |shard| {
        let answer = node.get("GET", &format!("/{index}/_count?preference=_shards:{shard}"), None);
        answer["count"].as_u64().expect("a count is a number")
    };
    let documents: Vec<u64> = (0..shards).map(count).collect();
    assert_eq!(documents.iter().sum::<u64>(), node.count(index), "{index}: the shards and the whole are not the same");

    let answer = node.get("GET", &format!("/{index}/_search?size=5000"), None);
    let hits = answer["hits"]["hits"].as_array().expect("a search has hits");
    assert_eq!(hits.len() as u64, documents.iter().sum::<u64>(), "{index}: a search does not give every document");
    let mut lines: Vec<(&str, String)> =
        hits.iter().map(|hit| (hit["_id"].as_str().expect("an id"), spaced(&hit["_source"]))).collect();
    lines.sort();
    let mut sum = Sha256::new();
    for (id, source) in lines {
        sum.update(format!("{id}{source}\n"));
    }
    let mut digest = String::new();
    for byte in sum.finalize() {
        write!(digest, "{byte:02x}").expect("a string grows");
    }
    Content { documents, digest }
}

/// JSON with sorted keys and a blank after every comma and colon: the truth was made by Python, whose `json.dumps` writes so.
fn spaced(value: &Value) -> String {
    struct Spaced;
    impl serde_json::ser::Formatter for Spaced {
        fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            writer.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            writer.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
            writer.write_all(b": ")
        }
    }
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced)).expect("a value is JSON");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// A snapshot as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) state: String,
    pub(crate) indices: Vec<String>,
}

impl Listed {
    /// From the engine's answer, or from a truth, which says `name` for `snapshot` and more about its indices.
    fn from(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a snapshot has a name, a uuid and a state").to_owned();
        let mut indices: Vec<String> = match &value["indices"] {
            Value::Object(indices) => indices.keys().cloned().collect(),
            indices => indices.as_array().expect("a list").iter().map(text).collect(),
        };
        indices.sort();
        let name = value.get("snapshot").unwrap_or(&value["name"]);
        Self { name: text(name), uuid: text(&value["uuid"]), state: text(&value["state"]), indices }
    }
}

/// A repository that the engine may only read.
pub(crate) struct Registered<'a> {
    node: &'a Elastic,
    name: String,
}

impl<'a> Registered<'a> {
    /// Under a name of its own: engines remember what they saw below a name.
    pub(crate) fn new(node: &'a Elastic, folder: &Path) -> Self {
        let name = format!("restores-{}", number());
        let settings = json!({"location": folder, "readonly": true});
        node.get("PUT", &format!("/_snapshot/{name}"), Some(&json!({"type": "fs", "settings": settings})));
        Self { node, name }
    }

    /// Every snapshot, by name. All of them can be read, or the engine would refuse to list them.
    pub(crate) fn snapshots(&self) -> Vec<Listed> {
        let answer = self.node.get("GET", &format!("/_snapshot/{}/_all", self.name), None);
        let snapshots = answer["snapshots"].as_array().expect("a list of snapshots");
        let mut snapshots: Vec<Listed> = snapshots.iter().map(Listed::from).collect();
        snapshots.sort();
        snapshots
    }

    /// Restores these indices under other names, gives what they hold, and removes them.
    pub(crate) fn restore(&self, snapshot: &str, indices: &[String]) -> BTreeMap<String, Content> {
        let prefix = format!("restored-{}-", number());
        let body = json!({
            "indices": indices.join(","),
            "include_global_state": false,
            "include_aliases": false,
            "rename_pattern": "(.+)",
            "rename_replacement": format!("{prefix}$1"),
        });
        let path = format!("/_snapshot/{}/{snapshot}/_restore?wait_for_completion=true", self.name);
        let answer = when_free(self.node, "POST", &path, Some(&body));
        let shards = &answer["snapshot"]["shards"];
        assert_eq!(shards["failed"], 0, "{snapshot} is not restored whole: {answer}");
        assert_eq!(shards["successful"], shards["total"], "{snapshot} is not restored whole: {answer}");
        let restored = indices.iter().map(|index| {
            let renamed = format!("{prefix}{index}");
            self.node.get("GET", &format!("/_cluster/health/{renamed}?wait_for_status=yellow&timeout=60s"), None);
            self.node.get("POST", &format!("/{renamed}/_refresh"), None);
            let content = content(self.node, &renamed);
            self.node.get("DELETE", &format!("/{renamed}"), None);
            (index.clone(), content)
        });
        restored.collect()
    }

    pub(crate) fn remove(self) {
        self.node.get("DELETE", &format!("/_snapshot/{}", self.name), None);
    }
}

/// A request that an engine refuses while another snapshot, deletion or restore is under way, sent until it is taken.
pub(crate) fn when_free(node: &Elastic, method: &str, path: &str, body: Option<&Value>) -> Value {
    let started = Instant::now();
    loop {
        let (status, answer) = node.ask(method, path, body);
        let busy = status == 503 && answer.to_string().contains("concurrent_snapshot_execution");
        if !busy || started.elapsed() > Duration::from_mins(1) {
            assert!((200..300).contains(&status), "{method} {path} answered {status}: {answer}");
            return answer;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// A repository of the fixtures, unpacked where the engine may read it, and its truth.
pub(crate) struct Fixture<'a> {
    node: &'a Elastic,
    pub(crate) folder: PathBuf,
    truth: Vec<(Listed, Value)>,
}

impl<'a> Fixture<'a> {
    pub(crate) fn new(node: &'a Elastic, name: &str) -> Self {
        let into = node.repositories().join(format!("fixture-{}", number()));
        fs::create_dir(&into).expect("the node's folder is there");
        let folder = unpack(&Path::new(FIXTURES).join(format!("{name}.tar.gz")), &into);
        let stated = ["truth", "snapshots"]
            .iter()
            .find_map(|kind| fs::read(Path::new(FIXTURES).join(format!("{name}.{kind}.json"))).ok())
            .unwrap_or_else(|| panic!("nobody tells what {name} holds"));
        let stated: Value = serde_json::from_slice(&stated).expect("a truth is JSON");
        let snapshots = stated["snapshots"].as_array().expect("a truth lists snapshots");
        let mut truth: Vec<_> = snapshots.iter().map(|value| (Listed::from(value), value["indices"].clone())).collect();
        truth.sort_by(|one, other| one.0.cmp(&other.0));
        Self { node, folder, truth }
    }

    pub(crate) fn location(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    pub(crate) fn snapshots(&self) -> Vec<Listed> {
        self.truth.iter().map(|(listed, _)| listed.clone()).collect()
    }

    /// The copy lists exactly these snapshots, and each gives what it should.
    pub(crate) fn assert_restores_from(&self, copy: &Path, snapshots: &[Listed]) {
        let copy = Registered::new(self.node, copy);
        assert_eq!(copy.snapshots(), snapshots, "the copy lists other snapshots");
        for snapshot in snapshots {
            self.assert_gives(&copy, snapshot, &snapshot.indices);
        }
        copy.remove();
    }

    /// These indices of this snapshot, restored from the copy, are what they should be.
    pub(crate) fn assert_gives(&self, copy: &Registered<'_>, snapshot: &Listed, indices: &[String]) {
        let (_, stated) = self.truth.iter().find(|(listed, _)| listed == snapshot).expect("one of ours");
        let restored = copy.restore(&snapshot.name, indices);
        for (index, content) in &restored {
            assert_not_denied(&stated[index], content, &format!("{index} of {}", snapshot.name));
        }
        if indices.iter().any(|index| stated[index]["content_sha256"].is_null()) {
            let source = Registered::new(self.node, &self.folder);
            assert_eq!(restored, source.restore(&snapshot.name, indices), "{} is not as in the source", snapshot.name);
            source.remove();
        }
    }
}

/// What is stated of an index holds; what is not stated is left open.
fn assert_not_denied(stated: &Value, content: &Content, what: &str) {
    let found = json!({
        "shards": content.documents.len(),
        "documents": content.documents.iter().sum::<u64>(),
        "documents_per_shard": content.documents,
        "content_sha256": content.digest,
    });
    for (aspect, found) in found.as_object().expect("made so") {
        if let Some(stated) = stated.get(aspect) {
            assert_eq!(stated, found, "{what}: other {aspect}");
        }
    }
}
