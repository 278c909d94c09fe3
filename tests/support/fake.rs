//! A small Elasticsearch that behaves: indices, blocks, repositories, snapshots and restores, as far as a migration meets them. Everything
//! it does is done at once. It can stop answering at a given request, before or after it did what was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use snapferry::elastic::{Auth, Backoff, Client, Options};
use snapferry::repo;
use snapferry::store::{MemoryStore, ObjectStore};
use snapferry::wire;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use super::forge::{Action, Family, Forge, Kind, Outcome};

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) uuid: String,
    pub(crate) open: bool,
    pub(crate) documents: u64,
    pub(crate) blocked: bool,
    pub(crate) read_only: bool,
    pub(crate) created: &'static str,
    pub(crate) from: Option<(String, String)>,
    pub(crate) primaries: u32,
}

thread_local! {
    /// One for all clients of a test, which has a thread of its own: reading the system's certificates takes longer than a migration.
    static WIRE: wire::Client = wire::Client::new(wire::Options::default()).expect("the system's certificates load");
}

/// What snapshots hold, which both clusters know: the store only holds what the forge wrote.
pub(crate) type Contents = Arc<Mutex<BTreeMap<String, BTreeMap<String, Index>>>>;

/// When to stop answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Before(usize),
    After(usize),
    /// It does what was asked when this many further requests have come: of who asked nobody is there any more.
    Late(usize, usize),
}

/// All that a cluster has.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) indices: BTreeMap<String, Index>,
    pub(crate) repositories: BTreeMap<String, Value>,
    /// Data streams with their backing indices.
    pub(crate) streams: BTreeMap<String, Vec<String>>,
    pub(crate) restores: Vec<String>,
    pub(crate) seen: Vec<String>,
    pub(crate) stop: Option<Stop>,
    late: Option<(usize, String, String, Value)>,
    /// The answer to the next request for this is lost after it was done.
    pub(crate) lose: Option<&'static str>,
    store: MemoryStore,
    forge: Option<Forge>,
    contents: Contents,
    made: u32,
}

/// A running cluster; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) url: String,
    pub(crate) world: Arc<Mutex<World>>,
    /// Fires when it stops answering.
    pub(crate) stopped: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// A cluster whose repositories lie in `store`; a source also writes to it.
    #[expect(clippy::disallowed_methods, reason = "the server runs beside the test")]
    pub(crate) async fn start(name: &'static str, store: MemoryStore, contents: Contents, writes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let world = Arc::new(Mutex::new(World {
            name,
            version: "8.12.2",
            indices: BTreeMap::new(),
            repositories: BTreeMap::new(),
            streams: BTreeMap::new(),
            restores: Vec::new(),
            seen: Vec::new(),
            stop: None,
            late: None,
            lose: None,
            store,
            forge: writes.then(|| Forge::new(Family::F4, 7)),
            contents,
            made: 0,
        }));
        let stopped = Arc::new(Notify::new());
        let (served, notify) = (world.clone(), stopped.clone());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (served, notify) = (served.clone(), notify.clone());
                let service = service_fn(move |request| answer(served.clone(), notify.clone(), request));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, world, stopped, task: task.abort_handle() }
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.world.lock().expect("no test panics with the lock"))
    }

    /// How it is reached.
    pub(crate) fn options(&self) -> Options {
        Options {
            url: self.url.clone(),
            auth: Auth::None,
            wire: WIRE.with(Clone::clone),
            backoff: Backoff { tries: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) },
            reporter: Arc::new(snapferry::event::Silent),
        }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.options()).await.expect("it answers `GET /`")
    }
}

async fn answer(
    world: Arc<Mutex<World>>,
    stopped: Arc<Notify>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (told, is_over) = {
        let mut world = world.lock().expect("no test panics with the lock");
        let number = world.seen.len();
        world.seen.push(format!("{} {}", head.method, head.uri.path()));
        if let Some((_, method, path, body)) = world.late.take_if(|late| number >= late.0) {
            world.act(&method, &path, &body);
        }
        match world.stop {
            Some(Stop::Late(at, later)) if number == at => {
                let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
                world.late = Some((at + later, method, path, body));
                (None, true)
            }
            Some(Stop::Before(at)) if number >= at => (None, true),
            Some(Stop::After(at)) if number > at => (None, true),
            stop => {
                let mut told = world.act(head.method.as_str(), head.uri.path(), &body);
                if world.lose.is_some_and(|what| head.uri.path().ends_with(what)) {
                    world.lose = None;
                    told = (504, Value::Null);
                }
                (Some(told), stop == Some(Stop::After(number)))
            }
        }
    };
    if is_over {
        stopped.notify_one();
        std::future::pending::<()>().await;
    }
    let (status, document) = told.unwrap_or((500, Value::Null));
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::from(document.to_string())).expect("the status is valid"))
}

fn refuse(status: u16, kind: &str, reason: &str) -> (u16, Value) {
    let error = json!({ "type": kind, "reason": reason });
    (status, json!({ "error": { "root_cause": [error], "type": kind, "reason": reason }, "status": status }))
}

fn done() -> (u16, Value) {
    (
        200,
        json!({ "acknowledged": true, "shards_acknowledged": true, "_shards": { "total": 1, "successful": 1, "failed": 0 } }),
    )
}

fn shards(index: &Index, one: impl Fn(u32) -> Value) -> BTreeMap<String, Value> {
    (0..index.primaries).map(|number| (number.to_string(), one(number))).collect()
}

impl World {
    /// Makes an index, or writes to it.
    pub(crate) fn write(&mut self, name: &str, documents: u64) {
        self.made += 1;
        let uuid = format!("{}-{}", self.name, self.made);
        let forge = self.forge.as_mut();
        if let Some(forge) = forge {
            if !self.indices.contains_key(name) {
                let action = Action::CreateIndex { index: name.to_owned(), shards: 1, kind: Kind::Plain };
                forge.run(&action, &self.store);
            }
            forge.run(&Action::Write { index: name.to_owned() }, &self.store);
        }
        let index = self.indices.entry(name.to_owned()).or_insert(Index {
            uuid,
            open: true,
            documents: 0,
            blocked: false,
            read_only: false,
            created: "8500010",
            from: None,
            primaries: 1,
        });
        assert!(!index.blocked, "nobody writes to a blocked index");
        index.documents += documents;
    }

    fn act(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", [""]) => (200, json!({ "cluster_name": self.name, "version": { "number": self.version } })),
            ("GET", ["_cluster", "state", ..]) => (200, self.state()),
            ("GET", ["_cluster", "health", ..]) => (200, self.health()),
            ("GET", ["_snapshot"]) => (200, json!(self.repositories)),
            (_, ["_snapshot", repository]) => self.repository(method, repository, body),
            (_, ["_snapshot", repository, snapshot]) => self.snapshot(method, repository, snapshot, body),
            ("POST", ["_snapshot", repository, snapshot, "_restore"]) => self.restore(repository, snapshot, body),
            (_, [names, rest @ ..]) if !names.starts_with('_') => self.index(method, names, rest, body),
            ("GET", _) => (200, json!({})),
            _ => done(),
        }
    }

    fn state(&self) -> Value {
        let index = |index: &Index| {
            let blocks = json!({ "write": index.blocked.to_string(), "read_only": index.read_only.to_string() });
            json!({
                "state": if index.open { "open" } else { "close" }, "aliases": [], "mappings": {},
                "settings": { "index": { "uuid": index.uuid, "number_of_shards": index.primaries.to_string(), "number_of_replicas": "0",
                    "version": { "created": index.created }, "blocks": blocks } },
            })
        };
        let copies = |index: &Index| {
            let state = if index.open { "STARTED" } else { "UNASSIGNED" };
            json!({ "shards": shards(index, |_| json!([{ "state": state, "primary": true }])) })
        };
        let all = |one: &dyn Fn(&Index) -> Value| -> BTreeMap<String, Value> {
            self.indices.iter().map(|(name, index)| (name.clone(), one(index))).collect()
        };
        let stream = |indices: &Vec<String>| {
            let indices: Vec<Value> = indices.iter().map(|name| json!({ "index_name": name })).collect();
            json!({ "indices": indices })
        };
        let streams: BTreeMap<&String, Value> = self.streams.iter().map(|(name, held)| (name, stream(held))).collect();
        json!({
            "metadata": { "cluster_uuid": format!("uuid-of-{}", self.name), "indices": all(&index),
                "data_stream": { "data_stream": streams } },
            "routing_table": { "indices": all(&copies) },
            "restore": { "snapshots": [] },
        })
    }

    fn health(&self) -> Value {
        let indices: BTreeMap<&String, Value> = self
            .indices
            .iter()
            .map(|(name, index)| {
                let count = index.primaries;
                (name, json!({ "status": "green", "active_primary_shards": count, "number_of_shards": count }))
            })
            .collect();
        json!({ "status": "green", "active_primary_shards": self.indices.len(), "indices": indices })
    }

    fn repository(&mut self, method: &str, name: &str, body: &Value) -> (u16, Value) {
        match method {
            "PUT" => {
                self.repositories.insert(name.to_owned(), body.clone());
                done()
            }
            "DELETE" if self.repositories.remove(name).is_some() => done(),
            "GET" if self.repositories.contains_key(name) => (200, json!({ name: self.repositories[name] })),
            _ => refuse(404, "repository_missing_exception", &format!("[{name}] missing")),
        }
    }

    /// The snapshots as the newest root in the store lists them.
    fn listed(&self) -> Vec<Value> {
        let store: Arc<dyn ObjectStore> = Arc::new(self.store.clone());
        let found = repo::detect(&store).now_or_never().expect("memory never waits").expect("the root is readable");
        let contents = self.contents.lock().expect("no test panics with the lock");
        let snapshots = found.map(|found| found.index.snapshots.clone()).unwrap_or_default();
        let one = |snapshot: &repo::SnapshotEntry| {
            let name = snapshot.name.as_str();
            let indices: Vec<String> =
                contents.get(name).map(|held| held.keys().cloned().collect()).unwrap_or_default();
            let shards: u32 =
                contents.get(name).into_iter().flat_map(BTreeMap::values).map(|index| index.primaries).sum();
            json!({ "snapshot": name, "uuid": snapshot.uuid.as_str(), "state": "SUCCESS", "indices": indices, "data_streams": [],
                "start_time_in_millis": 1000, "end_time_in_millis": 2000,
                "shards": { "total": shards, "failed": 0, "successful": shards } })
        };
        snapshots.iter().map(one).collect()
    }

    fn snapshot(&mut self, method: &str, repository: &str, name: &str, body: &Value) -> (u16, Value) {
        if !self.repositories.contains_key(repository) {
            return refuse(404, "repository_missing_exception", &format!("[{repository}] missing"));
        }
        let listed = self.listed();
        match method {
            "GET" if name == "_all" => (200, json!({ "snapshots": listed })),
            "GET" => match listed.into_iter().find(|one| one["snapshot"] == name) {
                Some(found) => (200, json!({ "snapshots": [found] })),
                None => refuse(404, "snapshot_missing_exception", &format!("[{repository}:{name}] is missing")),
            },
            "PUT" => {
                let wanted: Vec<&str> = body["indices"].as_str().unwrap_or_default().split(',').collect();
                let held = self.indices.iter().filter(|(index, _)| wanted.contains(&index.as_str()));
                let held = held.map(|(index, held)| (index.clone(), held.clone())).collect();
                self.contents.lock().expect("no test panics with the lock").insert(name.to_owned(), held);
                let forge = self.forge.as_mut().expect("only a source takes snapshots");
                forge.run(&Action::CreateSnapshot { name: name.to_owned(), outcome: Outcome::Success }, &self.store);
                (200, json!({ "accepted": true }))
            }
            _ => refuse(400, "illegal_argument_exception", "not here"),
        }
    }

    fn restore(&mut self, repository: &str, snapshot: &str, body: &Value) -> (u16, Value) {
        let held = self.contents.lock().expect("no test panics with the lock").get(snapshot).cloned();
        let Some(held) = held.filter(|_| self.repositories.contains_key(repository)) else {
            return refuse(404, "snapshot_missing_exception", snapshot);
        };
        let names: Vec<&str> = body["indices"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(name) = names.iter().find(|name| self.indices.get(**name).is_some_and(|index| index.open)) {
            let reason = format!(
                "cannot restore index [{name}] because an open index with same name already exists in the cluster"
            );
            return refuse(500, "snapshot_restore_exception", &reason);
        }
        if let Some(name) = names
            .iter()
            .find(|name| self.indices.get(**name).is_some_and(|there| there.primaries != held[**name].primaries))
        {
            let reason = format!("cannot restore index [{name}] with another number of shards");
            return refuse(500, "snapshot_restore_exception", &reason);
        }
        self.restores.push(snapshot.to_owned());
        let drops_blocks = body["ignore_index_settings"].to_string().contains("index.blocks");
        for name in names {
            self.made += 1;
            let before = self.indices.get(name).map(|index| index.uuid.clone());
            let index = &held[name];
            let uuid = before.unwrap_or_else(|| format!("{}-{}", self.name, self.made));
            let from = Some((repository.to_owned(), snapshot.to_owned()));
            let blocked = index.blocked && !drops_blocks;
            self.indices.insert(name.to_owned(), Index { uuid, open: true, blocked, from, ..index.clone() });
        }
        (200, json!({ "accepted": true }))
    }

    fn index(&mut self, method: &str, names: &str, rest: &[&str], body: &Value) -> (u16, Value) {
        let names: Vec<&str> = names.split(',').collect();
        if let Some(name) = names.iter().find(|name| !self.indices.contains_key(**name)) {
            return refuse(404, "index_not_found_exception", &format!("no such index [{name}]"));
        }
        let is_block = matches!(rest, ["_block", "write"]) || body.get("index.blocks.write").is_some();
        if let Some(name) = names.iter().find(|name| is_block && self.indices[**name].read_only) {
            let reason = format!("index [{name}] blocked by: [FORBIDDEN/5/index read-only (api)];");
            return refuse(403, "cluster_block_exception", &reason);
        }
        match (method, rest) {
            ("PUT", ["_block", "write"]) if names.iter().all(|name| self.indices[*name].blocked) => {
                (200, json!({ "acknowledged": true, "shards_acknowledged": false, "indices": [] }))
            }
            ("DELETE", []) => {
                self.indices.retain(|name, _| !names.contains(&name.as_str()));
                done()
            }
            ("PUT", ["_block", "write"]) => self.change(&names, |index| index.blocked = true),
            ("PUT", ["_settings"]) => {
                let block = body.get("index.blocks.write").map(|value| *value == json!(true));
                self.change(&names, |index| index.blocked = block.unwrap_or(index.blocked))
            }
            ("POST", ["_close"]) => self.change(&names, |index| index.open = false),
            ("POST", ["_open"]) => self.change(&names, |index| index.open = true),
            ("POST", _) => done(),
            ("GET", ["_count"]) => {
                let count = self.indices[names[0]].documents;
                (200, json!({ "count": count, "_shards": { "total": 1, "successful": 1, "failed": 0 } }))
            }
            ("GET", ["_stats", ..]) => (200, self.told(&names, |index| {
                let shard = |number| {
                    let documents = if number == 0 { index.documents } else { 0 };
                    json!([{ "routing": { "primary": true }, "docs": { "count": documents, "deleted": 0 },
                        "seq_no": { "max_seq_no": documents }, "indexing": { "index_total": documents, "delete_total": 0 } }])
                };
                json!({ "uuid": index.uuid, "shards": shards(index, shard) })
            }, Some("indices"))),
            ("GET", ["_recovery"]) => (200, self.told(&names, |index| {
                let Some((repository, snapshot)) = &index.from else { return json!({ "shards": [] }) };
                let shard = |number| json!({ "id": number, "primary": true, "type": "SNAPSHOT", "stage": "DONE",
                    "source": { "repository": repository, "snapshot": snapshot }, "index": { "size": { "total_in_bytes": 10, "recovered_in_bytes": 10 } } });
                json!({ "shards": (0..index.primaries).map(shard).collect::<Vec<_>>() })
            }, None)),
            _ => (200, json!({})),
        }
    }

    fn change(&mut self, names: &[&str], change: impl Fn(&mut Index)) -> (u16, Value) {
        self.indices.iter_mut().filter(|(name, _)| names.contains(&name.as_str())).for_each(|(_, index)| change(index));
        done()
    }

    fn told(&self, names: &[&str], one: impl Fn(&Index) -> Value, below: Option<&str>) -> Value {
        let told: BTreeMap<&str, Value> = names.iter().map(|name| (*name, one(&self.indices[*name]))).collect();
        below.map_or_else(|| json!(told), |key| json!({ key: told }))
    }
}
