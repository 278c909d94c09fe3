//! Copies between stores in memory, for tests that look at every step.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use snapferry::event::Silent;
use snapferry::ops::End;
use snapferry::ops::sync::{Options, Report, run};
use snapferry::store::wrap::Policy;
use snapferry::store::{Key, Location, MemoryStore, ObjectStore};
use tokio_util::sync::CancellationToken;

/// A key, for tests.
pub(crate) fn key(name: &str) -> Key {
    Key::new(name).expect("not empty")
}

/// A store in memory that holds what a directory holds, written at `modified`.
pub(crate) fn memory_of(root: &Path, modified: Timestamp) -> MemoryStore {
    let store = MemoryStore::default();
    for (name, content) in super::fixture::tree(root) {
        store.insert(key(&name), content, modified);
    }
    store
}

/// One end of a copy.
pub(crate) fn end(name: &str, store: Arc<dyn ObjectStore>) -> End {
    let location = Location::parse(&format!("s3://{name}")).expect("valid");
    End::new(location, None, store, Arc::default())
}

/// Options whose waits are short.
pub(crate) fn quick() -> Options {
    let mut options = Options { replans: 3, ..Options::default() };
    options.repository.grace = Duration::ZERO;
    options.transfer.retry =
        Policy { attempts: 4, unreached: 4, first: Duration::from_millis(1), longest: Duration::from_millis(4) };
    options
}

/// Runs a sync between two stores.
pub(crate) async fn sync(from: Arc<dyn ObjectStore>, to: Arc<dyn ObjectStore>, options: &Options) -> Report {
    run(&end("source", from), &end("target", to), options, Arc::new(Silent), CancellationToken::new()).await
}

/// The newest root of a repository, as Elasticsearch finds it: the highest number of `index-<N>`.
pub(crate) fn newest_root(contents: &BTreeMap<Key, Bytes>) -> Option<u64> {
    contents.keys().filter_map(|key| key.as_str().strip_prefix("index-")?.parse().ok()).max()
}
