//! The contract of `ObjectStore`, tried on every backend and wrapper, over sockets where the backend has a server.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use snapferry::event::Silent;
use snapferry::secret::Secret;
use snapferry::store::conformance::{Expectation, check};
use snapferry::store::wrap::{Faulty, Policy, Retry};
use snapferry::store::{Access, Addressing, FileStore, Location, MemoryStore, Meter, ObjectStore, Options, open};

use support::s3::{ACCESS_KEY, SECRET_KEY, Server};

async fn passes(store: Arc<dyn ObjectStore>, unable: &[&'static str]) {
    let expectation = Expectation { unable: unable.iter().copied().collect::<BTreeSet<_>>() };
    let verdicts = check(store, "suite/", &expectation).await;
    let broken: Vec<String> = verdicts
        .iter()
        .filter_map(|verdict| {
            verdict.result.as_ref().err().map(|error| format!("{}. {}: {error}", verdict.promise, verdict.tried))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    passes(Arc::new(MemoryStore::default()), &[]).await;
}

#[tokio::test]
async fn a_directory_keeps_the_contract_and_leaves_nothing_behind() {
    let scratch = support::fixture::scratch();
    let root = scratch.path().join("not/there/yet");
    passes(Arc::new(FileStore::new(root.clone(), Access::Write, Arc::default())), &[]).await;
    assert!(support::fixture::tree(&root).is_empty(), "{:?}", support::fixture::tree(&root).keys());
    assert_eq!(support::fixture::tree(scratch.path()).len(), 0, "nothing was written outside the root");
}

#[tokio::test]
async fn wrappers_keep_the_contract() {
    let memory = Arc::new(MemoryStore::default());
    let retrying: Arc<dyn ObjectStore> = Arc::new(Retry::new(memory, Policy::default(), Arc::new(Silent)));
    passes(Arc::new(Faulty::new(retrying, |_, _, _| None)), &[]).await;
}

/// What `s3s-fs` 0.14 cannot hold: it stores keys as paths, so a key cannot be a folder too, dots and double slashes fold, and it
/// does not apply the url encoding that it says its listings have.
const S3S_FS: [&str; 8] = [
    "double//slash",
    "/leading/slash",
    "trailing/slash/",
    "dots/./in/../the/../../middle",
    "..",
    ".",
    "a-key/below",
    "plus+percent%41%2F",
];

#[tokio::test]
async fn s3_keeps_the_contract_with_s3s_fs() {
    let scratch = support::fixture::scratch();
    std::fs::create_dir(scratch.path().join("bucket")).expect("a new folder");
    let server = Server::start(scratch.path()).await;
    let options = Options {
        endpoint: Some(server.endpoint()),
        region: Some("us-east-1".into()),
        addressing: Addressing::Path,
        access_key_id: Some(Secret::new(ACCESS_KEY)),
        secret_access_key: Some(Secret::new(SECRET_KEY)),
        ..Options::default()
    };
    let location = Location::parse("s3://bucket/some/prefix").expect("valid");
    let store = open(&location, &options, Access::Write, Arc::new(Meter::default())).await.expect("opens");
    passes(store, &S3S_FS).await;
}
