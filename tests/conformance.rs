//! The contract of `ObjectStore`, tried on every backend and wrapper, over sockets where the backend has a server.

mod support;

use std::sync::Arc;

use snapferry::event::Silent;
use snapferry::secret::Secret;
use snapferry::store::conformance::{Expectation, Trial, Verdict, check};
use snapferry::store::wrap::{Fault, Faulty, Operation, Policy, Retry};
use snapferry::store::{Access, Addressing, FileStore, Location, MemoryStore, Meter, ObjectStore, Options, open};

use support::s3::{ACCESS_KEY, SECRET_KEY, Server};

/// Tries every promise; whatever differs from what is known of the store fails the test, to the better and to the worse.
async fn passes(store: Arc<dyn ObjectStore>, known: Expectation) {
    let verdicts = check(store, "suite/", &known).await;
    let broken: Vec<String> = verdicts
        .iter()
        .filter_map(|verdict| {
            verdict.result.as_ref().err().map(|error| format!("{}. {}: {error}", verdict.promise, verdict.tried))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The sentences of the promises about copies by a server, for stores without one.
fn no_copies() -> impl Iterator<Item = &'static str> {
    [Trial::Copies, Trial::CopiedParts, Trial::CopiedChanged].into_iter().map(|trial| trial.sentence().1)
}

fn without_server() -> Expectation {
    Expectation { cannot: no_copies().collect(), ..Expectation::default() }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    passes(Arc::new(MemoryStore::default()), without_server()).await;
}

#[tokio::test]
async fn a_directory_keeps_the_contract_and_leaves_nothing_behind() {
    let scratch = support::fixture::scratch();
    let root = scratch.path().join("not/there/yet");
    // Files are bytes alone.
    let cannot = no_copies().chain([Trial::Attributes.sentence().1]).collect();
    let known = Expectation { cannot, ..Expectation::default() };
    passes(Arc::new(FileStore::new(root.clone(), Access::Write, Arc::default())), known).await;
    assert!(support::fixture::tree(&root).is_empty(), "{:?}", support::fixture::tree(&root).keys());
    assert_eq!(support::fixture::tree(scratch.path()).len(), 0, "nothing was written outside the root");
}

#[tokio::test]
async fn wrappers_keep_the_contract() {
    let memory = Arc::new(MemoryStore::default());
    let retrying: Arc<dyn ObjectStore> = Arc::new(Retry::new(memory, Policy::default(), Arc::new(Silent)));
    passes(Arc::new(Faulty::new(retrying, |_, _, _| None)), without_server()).await;
}

/// What `s3s-fs` 0.14 cannot hold: it stores keys as paths, so a key cannot be a folder too, dots and double slashes fold, and it
/// does not apply the url encoding that it says its listings have. Nor can names of files, with what it adds, be this long.
const S3S_FS: [&str; 12] = [
    "double//slash",
    "/leading/slash",
    "trailing/slash/",
    "dots/./in/../the/../../middle",
    "..",
    ".",
    "a-key/below",
    "plus+percent%41%2F",
    "null\u{0}here",
    "1,023 bytes in one segment",
    "1,023 bytes in many segments",
    "1,023 bytes of Chinese",
];

/// What it gets wrong beside: it answers 500 for a folder, and 403 for an upload that is gone.
fn s3s_fs_wrong() -> impl Iterator<Item = &'static str> {
    [Trial::Folders, Trial::AbortsTwice].into_iter().map(|trial| trial.sentence().1)
}

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
    let known = Expectation { unable: S3S_FS.into(), wrong: s3s_fs_wrong().collect(), ..Expectation::default() };
    passes(store, known).await;
}

#[tokio::test]
async fn a_store_that_breaks_a_promise_is_caught_and_so_is_a_wrong_expectation() {
    let broken = |verdicts: Vec<Verdict>| -> Vec<&'static str> {
        verdicts.into_iter().filter(|verdict| verdict.result.is_err()).map(|verdict| verdict.tried).collect()
    };
    let memory: Arc<dyn ObjectStore> = Arc::new(MemoryStore::default());
    let flips =
        |operation, key: &str, _| (operation == Operation::Get && key.contains("parts")).then_some(Fault::Flip(9));
    let verdicts = check(Arc::new(Faulty::new(memory.clone(), flips)), "flips/", &without_server()).await;
    assert_eq!(broken(verdicts), [Trial::Parts.sentence().1]);
    let forgets =
        |operation, key: &str, _| (operation == Operation::Put && key.ends_with("list/3/3")).then_some(Fault::Forget);
    let verdicts = check(Arc::new(Faulty::new(memory.clone(), forgets)), "forgets/", &without_server()).await;
    assert_eq!(broken(verdicts), [Trial::Listing.sentence().1]);
    let pessimist = Expectation {
        unable: ["blank in name"].into(),
        wrong: [Trial::Ranges.sentence().1].into(),
        ..without_server()
    };
    let verdicts = check(memory, "pessimist/", &pessimist).await;
    assert_eq!(broken(verdicts), [Trial::Keys.sentence().1, Trial::Ranges.sentence().1]);
}
