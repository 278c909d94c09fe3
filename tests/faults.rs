//! Trouble on the way: what is damaged never becomes an object, what passes is outlasted, what stays is named.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use snapferry::error::ErrorKind;
use snapferry::ops::sync::{Mode, Options};
use snapferry::store::MemoryStore;
use snapferry::store::wrap::{Fault, Faulty, Operation};
use support::copy::{key, quick, sync};

fn plain() -> Options {
    Options { mode: Mode::Plain, ..quick() }
}

/// Objects of 10,000 bytes under these names.
fn source(names: &[&str]) -> MemoryStore {
    let store = MemoryStore::default();
    for name in names {
        let content: Vec<u8> = (0..10_000u32).map(|at| u8::try_from(at % 251).expect("below 251")).collect();
        store.insert(key(name), content, Timestamp::from_second(1_000).expect("in range"));
    }
    store
}

/// A fault for the first `times` calls of an operation on a key.
fn first(
    times: u32,
    wanted: Operation,
    name: &'static str,
    fault: Fault,
) -> impl Fn(Operation, &str, u64) -> Option<Fault> {
    let left = AtomicU32::new(times);
    move |operation, key, _| {
        let hit = operation == wanted && key == name;
        (hit && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok())
            .then_some(fault)
    }
}

#[tokio::test]
async fn damage_that_passes_is_outlasted_and_never_becomes_an_object() {
    for fault in [
        Fault::Break(0),
        Fault::Break(9_999),
        Fault::Cut(0),
        Fault::Cut(5_000),
        Fault::Flip(0),
        Fault::Flip(9_999),
        Fault::Fail(ErrorKind::Throttled),
        Fault::Fail(ErrorKind::Unavailable),
    ] {
        let (from, target) = (source(&["a", "b"]), MemoryStore::default());
        let faulty = Faulty::new(Arc::new(from.clone()), first(2, Operation::Get, "a", fault));
        let report = sync(Arc::new(faulty), Arc::new(target.clone()), &plain()).await;
        assert_eq!(report.summary.failed.objects, 0, "{fault:?}");
        assert_eq!(target.contents(), from.contents(), "{fault:?}");
    }
}

#[tokio::test]
async fn damage_that_stays_fails_the_object_alone_and_leaves_nothing_of_it() {
    for fault in [Fault::Cut(5_000), Fault::Flip(77), Fault::Pretend(5_000), Fault::Fail(ErrorKind::Denied)] {
        let (from, target) = (source(&["a", "b", "c"]), MemoryStore::default());
        let faulty = Faulty::new(Arc::new(from.clone()), first(u32::MAX, Operation::Get, "b", fault));
        let report = sync(Arc::new(faulty), Arc::new(target.clone()), &plain()).await;
        assert!(report.error.is_none(), "the run goes on");
        assert_eq!((report.summary.copied.objects, report.summary.failed.objects), (2, 1), "{fault:?}");
        let failure = report.summary.failures.into_entries().next().expect("one").expect("readable");
        assert_eq!(failure.key, key("b"));
        assert!(!target.contents().contains_key(&key("b")), "{fault:?}");
    }
}

#[tokio::test]
async fn the_same_holds_for_objects_in_parts() {
    let mut options = plain();
    (options.transfer.multipart_threshold, options.transfer.part_size) = (2_000, 1_500);
    for fault in [Fault::Break(700), Fault::Cut(3), Fault::Flip(100), Fault::Fail(ErrorKind::Timeout)] {
        let (from, target) = (source(&["a"]), MemoryStore::default());
        let faulty = Faulty::new(Arc::new(from.clone()), first(3, Operation::Get, "a", fault));
        let report = sync(Arc::new(faulty), Arc::new(target.clone()), &options).await;
        assert_eq!(report.summary.failed.objects, 0, "{fault:?}");
        assert_eq!(target.contents(), from.contents(), "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_after_success_is_no_failure() {
    let mut in_parts = plain();
    (in_parts.transfer.multipart_threshold, in_parts.transfer.part_size) = (2_000, 1_500);
    for (options, operation) in [(plain(), Operation::Put), (in_parts.clone(), Operation::PutPart)] {
        let (from, target) = (source(&["a"]), MemoryStore::default());
        let faulty = Faulty::new(Arc::new(target.clone()), first(2, operation, "a", Fault::Lost));
        let report = sync(Arc::new(from.clone()), Arc::new(faulty), &options).await;
        assert_eq!(report.summary.failed.objects, 0, "{operation:?}");
        assert_eq!(target.contents(), from.contents(), "{operation:?}");
    }
}

/// How many uploads were begun and how many given back.
fn uploads(target: &Faulty) -> (usize, usize) {
    let calls = target.calls();
    let count = |wanted| calls.iter().filter(|(operation, _)| *operation == wanted).count();
    (count(Operation::Begin), count(Operation::Abort))
}

fn target() -> Arc<Faulty> {
    Arc::new(Faulty::new(Arc::new(MemoryStore::default()), |_, _, _| None))
}

#[tokio::test]
async fn an_upload_that_fails_or_is_cancelled_is_aborted() {
    let mut options = plain();
    (options.transfer.multipart_threshold, options.transfer.part_size) = (2_000, 1_500);
    let target = self::target();
    let faulty = Faulty::new(Arc::new(source(&["a", "b"])), first(u32::MAX, Operation::Get, "a", Fault::Cut(10)));
    let report = sync(Arc::new(faulty), target.clone(), &options).await;
    assert_eq!(report.summary.failed.objects, 1);
    assert_eq!(uploads(&target), (2, 1));

    let cancel = tokio_util::sync::CancellationToken::new();
    let (asked, target) = (cancel.clone(), self::target());
    let faulty = Faulty::new(Arc::new(source(&["a"])), move |operation, _, _| {
        // The signal comes while the first range is being read, which then never ends by itself.
        (operation == Operation::Get).then(|| asked.cancel());
        (operation == Operation::Get).then_some(Fault::Cut(10))
    });
    let ends = (support::copy::end("source", Arc::new(faulty)), support::copy::end("target", target.clone()));
    let report =
        snapferry::ops::sync::run(&ends.0, &ends.1, &options, Arc::new(snapferry::event::Silent), cancel).await;
    assert_eq!(report.error.expect("cancelled").kind(), ErrorKind::Cancelled);
    assert_eq!(uploads(&target), (1, 1));
}

#[tokio::test]
async fn a_source_without_objects_is_an_error_and_not_an_empty_copy() {
    let report = sync(Arc::new(MemoryStore::default()), Arc::new(MemoryStore::default()), &plain()).await;
    assert_eq!(report.error.expect("refused").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_listing_that_fails_on_the_way_is_taken_up_again_behind_the_last_key() {
    let names: Vec<String> = (0..350).map(|number| format!("key-{number:04}")).collect();
    let from = source(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let failed = AtomicU32::new(0);
    let faulty = Faulty::new(Arc::new(from.clone()), move |operation, after, _| {
        let fail = operation == Operation::List && after.is_empty() && failed.fetch_add(1, Ordering::SeqCst) < 2;
        fail.then_some(Fault::Fail(ErrorKind::Unavailable))
    });
    let target = MemoryStore::default();
    let report = sync(Arc::new(faulty), Arc::new(target.clone()), &plain()).await;
    assert!(report.error.is_none());
    assert_eq!(target.contents().len(), 350);
}

#[tokio::test]
async fn a_place_that_refuses_everything_ends_the_run_before_the_millionth_failure() {
    let names: Vec<String> = (0..500).map(|number| format!("key-{number:04}")).collect();
    let from = source(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let closed = Faulty::new(Arc::new(MemoryStore::default()), |operation, _, _| {
        (operation == Operation::Put).then_some(Fault::Fail(ErrorKind::Denied))
    });
    let report = sync(Arc::new(from), Arc::new(closed), &plain()).await;
    assert_eq!(report.error.expect("it ends").kind(), ErrorKind::Denied);
    assert!(report.summary.failed.objects < 200, "{}", report.summary.failed.objects);
}
