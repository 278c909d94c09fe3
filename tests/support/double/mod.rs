//! An object storage in this process that is strict: OSS by its own REST interface, and S3 with its dialects.
//!
//! It keeps everything in memory and shares no code with what it checks. What is not known is refused, never ignored: a test that
//! passes has asked only for what the service has. It does not do versions, ACLs, appends, or presigned requests.
//! Signatures are checked in `oss_signature.rs` and `s3_signature.rs`; what varies between servers is in `rules.rs`.
#![expect(dead_code, reason = "each test binary uses some of it")]

pub(crate) mod answer;
pub(crate) mod call;
pub(crate) mod caller;
pub(crate) mod content;
mod dispatch;
mod headers;
mod listing;
mod multipart;
pub(crate) mod oss_signature;
mod overview;
mod read;
mod receive;
mod removal;
pub(crate) mod rules;
mod s3_signature;
mod serve;
pub(crate) mod state;
pub(crate) mod sums;
pub(crate) mod time;
mod write;
mod xml;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use answer::Fault;
use content::Content;
use rules::Rules;
use state::Stored;

/// One request that came in. What authorized it is not kept.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Its place among all requests, from zero on.
    pub(crate) number: usize,
    pub(crate) method: String,
    /// The path and the query as they were sent.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
}

impl Seen {
    /// Whether the query has this parameter.
    pub(crate) fn asks(&self, name: &str) -> bool {
        self.query.split('&').any(|pair| pair.split('=').next() == Some(name))
    }
}

type Hook = Box<dyn FnMut(&Seen) -> Option<Fault> + Send>;

pub(crate) struct Shared {
    rules: Mutex<Rules>,
    state: Mutex<state::State>,
    seen: Mutex<Vec<Seen>>,
    hook: Mutex<Option<Hook>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, state::State> {
        self.state.lock().expect("no test panics with the lock")
    }

    fn rules(&self) -> Rules {
        self.rules.lock().expect("no test panics with the lock").clone()
    }
}

/// The running double; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Double {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Double {
    /// Starts on a free port of 127.0.0.1.
    #[expect(clippy::disallowed_methods, reason = "the server runs beside the test")]
    pub(crate) async fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            rules: Mutex::new(rules),
            state: Mutex::default(),
            seen: Mutex::default(),
            hook: Mutex::new(None),
        });
        let served = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            serve::serve(listener, served).await;
        });
        Self { address, shared, task: task.abort_handle() }
    }

    /// `http://127.0.0.1:PORT`, where buckets are the first part of the path.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `http://oss.localhost:PORT` or `http://s3.localhost:PORT`, below which buckets have hosts of their own.
    pub(crate) fn named_endpoint(&self) -> String {
        format!("http://{}:{}", self.shared.rules().dialect.host(), self.address.port())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The rules as they are now.
    pub(crate) fn rules(&self) -> Rules {
        self.shared.rules()
    }

    /// Changes the rules for all requests from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.shared.rules.lock().expect("no test panics with the lock"));
    }

    /// Makes a bucket, unless it is there.
    pub(crate) fn bucket(&self, name: &str) {
        self.shared.state().buckets.entry(name.to_owned()).or_default();
    }

    /// Puts an object into a bucket that is there, with headers as a client would send them (`content-type`, `x-oss-meta-…`).
    ///
    /// [`Content::synthesized`] makes one of any length.
    pub(crate) fn insert(&self, bucket: &str, key: &str, content: impl Into<Content>, headers: &[(&str, &str)]) {
        let rules = self.shared.rules();
        let content = content.into();
        let received = receive::Received { sums: sums::Sums::of(&content), content };
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let stored = write::simple(received, headers, &rules);
        let mut state = self.shared.state();
        state.bucket(bucket).expect("the test made the bucket").objects.insert(key.to_owned(), stored);
    }

    /// Changes an object that is there, behind every client's back.
    pub(crate) fn alter(&self, bucket: &str, key: &str, change: impl FnOnce(&mut Stored)) {
        let mut state = self.shared.state();
        let bucket = state.bucket(bucket).expect("the test made the bucket");
        change(bucket.objects.get_mut(key).expect("the object is there"));
    }

    /// Removes an object, behind every client's back.
    pub(crate) fn remove(&self, bucket: &str, key: &str) -> Option<Stored> {
        self.shared.state().bucket(bucket).expect("the test made the bucket").objects.remove(key)
    }

    /// All objects of a bucket.
    pub(crate) fn objects(&self, bucket: &str) -> BTreeMap<String, Stored> {
        self.shared.state().bucket(bucket).expect("the test made the bucket").objects.clone()
    }

    /// How many uploads in parts are open in all buckets.
    pub(crate) fn uploads_open(&self) -> usize {
        self.shared.state().buckets.values().map(|bucket| bucket.uploads.len()).sum()
    }

    /// Every request so far, in order.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no test panics with the lock").clone()
    }

    /// Asks this about every request from now on; `None` lets it pass.
    pub(crate) fn on_request(&self, hook: impl FnMut(&Seen) -> Option<Fault> + Send + 'static) {
        *self.shared.hook.lock().expect("no test panics with the lock") = Some(Box::new(hook));
    }
}
