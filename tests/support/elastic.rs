//! A scripted Elasticsearch: an HTTP server on loopback that answers from a table and remembers what it was asked.
//!
//! `recorded` holds answers that no engine here can give; `sigv4` is a domain of Amazon's that checks signatures.
//!
//! It has no behaviour of its own. What it answers is what real servers were seen to answer (`elasticsearch-api.md`).

#[path = "recorded.rs"]
pub(crate) mod recorded;
#[path = "sigv4.rs"]
pub(crate) mod sigv4;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use snapferry::elastic::follow::Patience;
use snapferry::elastic::{Auth, Backoff, Client, Options};
use snapferry::event::{Event, Reporter};
use snapferry::wire;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A JSON document.
    Json(u16, Value),
    /// Anything else, with its content type.
    Text(u16, &'static str, String),
    /// The connection is closed without an answer.
    Lost,
    /// No answer for as long as anybody waits.
    Never,
    /// One of those with further headers.
    With(Vec<(&'static str, String)>, Box<Reply>),
}

impl Reply {
    /// The same with one more header.
    pub(crate) fn with(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::With(mut headers, reply) => {
                headers.push((name, value.to_owned()));
                Self::With(headers, reply)
            }
            other => Self::With(vec![(name, value.to_owned())], Box::new(other)),
        }
    }
}

/// `200` and a document.
pub(crate) fn ok(document: Value) -> Reply {
    Reply::Json(200, document)
}

/// A refusal as 5.x and later write it.
pub(crate) fn refusal(status: u16, name: &str, reason: &str) -> Reply {
    let error = json!({ "type": name, "reason": reason });
    let document = json!({ "error": { "root_cause": [error], "type": name, "reason": reason }, "status": status });
    Reply::Json(status, document)
}

/// One request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) call: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// What is answered to which call, in order; the last answer of a call is repeated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(BTreeMap<String, Vec<Reply>>);

impl Script {
    /// A cluster of this version.
    pub(crate) fn version(number: &str) -> Self {
        Self::default().on("GET /", [ok(recorded::root(number))])
    }

    /// Answers `METHOD /path` with these, one after the other.
    pub(crate) fn on(mut self, call: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        self.0.insert(call.to_owned(), replies.into_iter().collect());
        self
    }
}

/// What stands before the script: it may refuse a request.
pub(crate) type Guard = dyn Fn(&Parts, &[u8]) -> Option<Reply> + Send + Sync;

struct Shared {
    script: Script,
    guard: Box<Guard>,
    seen: Mutex<Vec<Seen>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// The running server; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts on a free port.
    pub(crate) async fn start(script: Script) -> Self {
        Self::guarded(script, |_, _| None).await
    }

    /// Starts on a free port; `guard` sees every request first and may answer in the script's place.
    #[expect(clippy::disallowed_methods, reason = "the server runs beside the test")]
    pub(crate) async fn guarded(
        script: Script,
        guard: impl Fn(&Parts, &[u8]) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let shared = Arc::new(Shared { script, guard: Box::new(guard), seen: Mutex::default() });
        let served = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                let service = service_fn(move |request| answer(Arc::clone(&served), request));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, shared, task: task.abort_handle() }
    }

    /// Every request so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no test panics with the lock").clone()
    }

    /// The requests of one call.
    pub(crate) fn calls(&self, call: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.call == call).collect()
    }

    /// A client that loses no time.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.options()).await.expect("the script answers `GET /`")
    }

    /// The same, where nobody asks the server what it saw; it goes on until the client is done.
    pub(crate) async fn client_of(self) -> Client {
        let client = self.client().await;
        // Its task lives as long as the test's runtime.
        std::mem::forget(self);
        client
    }

    /// The options of that client.
    pub(crate) fn options(&self) -> Options {
        Options {
            url: self.url.clone(),
            reporter: Arc::new(snapferry::event::Silent),
            auth: Auth::None,
            wire: wire::Client::new(wire::Options::default()).expect("the system's certificates load"),
            backoff: Backoff { tries: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) },
        }
    }
}

/// The connection breaks off.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script says so")
    }
}

impl std::error::Error for Broken {}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let call = format!("{} {}", head.method, head.uri.path());
    let refused = (shared.guard)(&head, &body);
    let position = {
        let mut seen = shared.seen.lock().expect("no test panics with the lock");
        let position = seen.iter().filter(|seen| seen.call == call).count();
        seen.push(Seen {
            call: call.clone(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        });
        position
    };
    let replies = shared.script.0.get(&call);
    let scripted = || replies.and_then(|replies| replies.get(position).or(replies.last())).cloned();
    let (headers, reply) = match refused.or_else(scripted) {
        Some(Reply::With(headers, reply)) => (headers, Some(*reply)),
        plain => (Vec::new(), plain),
    };
    let (status, content_type, text) = match reply {
        Some(Reply::Json(status, document)) => (status, "application/json", document.to_string()),
        Some(Reply::Text(status, content_type, text)) => (status, content_type, text),
        Some(Reply::Lost) => return Err(Broken),
        Some(Reply::With(..)) => unreachable!("`with` makes one layer of headers"),
        Some(Reply::Never) => std::future::pending::<(u16, &str, String)>().await,
        None => {
            let text = json!({ "error": { "type": "unscripted", "reason": call }, "status": 418 }).to_string();
            (418, "application/json", text)
        }
    };
    let mut response = Response::builder().status(status).header("content-type", content_type);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let response = response.body(Full::from(text));
    Ok(response.expect("the script's status and content type are valid"))
}

/// A reporter that keeps what it hears, as text.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn report(&self, event: &Event<'_>) {
        self.0.lock().expect("no test panics with the lock").push(format!("{event:?}"));
    }
}

impl Heard {
    /// Whether an event's text holds all of these.
    pub(crate) fn has(&self, words: &[&str]) -> bool {
        self.count(words) > 0
    }

    /// How many events hold all of these.
    pub(crate) fn count(&self, words: &[&str]) -> usize {
        let heard = self.0.lock().expect("no test panics with the lock");
        heard.iter().filter(|event| words.iter().all(|word| event.contains(word))).count()
    }
}

/// Looks again at once and gives up soon.
pub(crate) fn impatient() -> Patience {
    Patience {
        poll: Duration::from_millis(1),
        longest_poll: Duration::from_millis(1),
        stall: Duration::from_millis(300),
    }
}

/// A primary in a routing table: its state, and why it is unassigned with details and tries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shard {
    Started,
    Initializing,
    Failed { reason: &'static str, details: &'static str, tries: u64 },
}

/// The answer to a look at the restore of `r:s` into `index`; `running` says whether the entry is still there.
pub(crate) fn state(index: &str, running: bool, expected: usize, shards: &[Shard]) -> Value {
    let copies = shards.iter().enumerate().map(|(number, shard)| {
        let copy = match shard {
            Shard::Started => json!({ "state": "STARTED", "primary": true }),
            Shard::Initializing => json!({ "state": "INITIALIZING", "primary": true,
                "unassigned_info": { "reason": "NEW_INDEX_RESTORED" } }),
            Shard::Failed { reason, details, tries } => json!({ "state": "UNASSIGNED", "primary": true,
                "unassigned_info": { "reason": reason, "details": details, "failed_attempts": tries } }),
        };
        // A replica that waits must not count.
        (number.to_string(), json!([copy, { "state": "UNASSIGNED", "primary": false }]))
    });
    let copies: serde_json::Map<String, Value> = copies.collect();
    let entry = json!({ "repository": "r", "snapshot": "s", "indices": [index], "state": "STARTED", "shards": [] });
    json!({
        "metadata": { "indices": { index: {
            "state": "open", "aliases": [], "settings": { "index": { "number_of_shards": expected.to_string() } } } } },
        "routing_table": { "indices": { index: { "shards": copies } } },
        "restore": { "snapshots": if running { json!([entry]) } else { json!([]) } },
    })
}
