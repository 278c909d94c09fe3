//! The order of a copy: wherever it stops, the target shows the old repository or the new one, whole.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use jiff::Timestamp;
use snapferry::error::ErrorKind;
use snapferry::ops::sync::{Options, RootState};
use snapferry::store::wrap::{Fault, Faulty, Operation};
use snapferry::store::{Key, MemoryStore};
use snapferry::transfer::{Overwrite, Rules};
use support::copy::{key, memory_of, newest_root, quick, sync};
use support::fixture::{scratch, unpack};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// One repository at two times.
fn states(pair: &str) -> (MemoryStore, MemoryStore) {
    let scratch = scratch();
    let open = |state: &str, second| memory_of(&unpack(&format!("{pair}-state{state}"), scratch.path()), at(second));
    (open("A", 1_000), open("B", 2_000))
}

/// Every object that a reader of the root may need: all of the repository's but the pointers beside the root.
fn needed(contents: &BTreeMap<Key, Bytes>) -> impl Iterator<Item = (&Key, &Bytes)> {
    contents.iter().filter(|(key, _)| !matches!(key.as_str(), "index.latest" | "incompatible-snapshots"))
}

/// The target shows `old` or `new`, and everything that the one it shows needs is there as it was.
fn must_show_one(target: &MemoryStore, old: &MemoryStore, new: &MemoryStore, when: &str) {
    let (target, old, new) = (target.contents(), old.contents(), new.contents());
    let shown = newest_root(&target);
    let promised = match shown {
        None => return,
        Some(root) if Some(root) == newest_root(&new) => &new,
        Some(root) if Some(root) == newest_root(&old) => &old,
        Some(root) => panic!("{when}: the target shows generation {root}, which is neither"),
    };
    for (key, content) in needed(promised) {
        assert_eq!(
            target.get(key),
            Some(content),
            "{when}: generation {shown:?} is shown and {key} is not as it should be"
        );
    }
}

/// Stops a copy of `new` over a copy of `old` after every single write, then lets it run to the end.
async fn stop_anywhere(old: &MemoryStore, new: &MemoryStore, options: &Options) -> u64 {
    let mut stops = 0;
    loop {
        let target = MemoryStore::default();
        if newest_root(&old.contents()).is_some() {
            let first = sync(Arc::new(old.clone()), Arc::new(target.clone()), options).await;
            assert!(first.error.is_none() && first.summary.failed.objects == 0, "{:?}", first.error);
        }
        let stop = stops;
        let broken = Faulty::new(Arc::new(target.clone()), move |operation, _, writes| {
            let is_write =
                matches!(operation, Operation::Put | Operation::PutPart | Operation::Complete | Operation::Delete);
            (is_write && writes >= stop).then_some(Fault::Fail(ErrorKind::Denied))
        });
        let stopped = sync(Arc::new(new.clone()), Arc::new(broken), options).await;
        must_show_one(&target, old, new, &format!("stopped after {stop} writes"));
        let again = sync(Arc::new(new.clone()), Arc::new(target.clone()), options).await;
        assert!(
            again.error.is_none() && again.summary.failed.objects == 0,
            "the next run completes it: {:?}",
            again.error
        );
        for (key, content) in &new.contents() {
            assert_eq!(target.contents().get(key), Some(content), "{key} after the next run");
        }
        if stopped.error.is_none() && stopped.summary.failed.objects == 0 {
            return stops;
        }
        stops += 1;
    }
}

#[tokio::test]
async fn a_first_copy_stopped_after_any_write_shows_nothing_or_everything() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let writes = stop_anywhere(&MemoryStore::default(), &source, &quick()).await;
    assert_eq!(writes, source.contents().len() as u64, "one write for each object");
}

#[tokio::test]
async fn an_increment_stopped_after_any_write_shows_the_old_or_the_new() {
    let (old, new) = states("es-8.12.2-again");
    assert!(stop_anywhere(&old, &new, &quick()).await > 10);
}

#[tokio::test]
async fn large_blobs_in_parts_keep_the_order_too() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let mut options = quick();
    (options.transfer.multipart_threshold, options.transfer.part_size) = (1_000, 700);
    assert!(stop_anywhere(&MemoryStore::default(), &source, &options).await > source.contents().len() as u64);
}

#[tokio::test]
async fn a_reused_blob_name_is_refused_by_name_and_the_old_repository_stays_whole() {
    for pair in ["es-5.6.16-main", "es-5.6.16-parts"] {
        let (old, new) = states(pair);
        let target = MemoryStore::default();
        sync(Arc::new(old.clone()), Arc::new(target.clone()), &quick()).await;
        let mut report = sync(Arc::new(new.clone()), Arc::new(target.clone()), &quick()).await;
        must_show_one(&target, &old, &new, pair);
        assert_eq!(newest_root(&target.contents()), newest_root(&old.contents()), "nothing was published");
        assert_eq!(report.root, Some(RootState::Untouched));
        let changed: Vec<String> = new
            .contents()
            .iter()
            .filter(|(key, content)| {
                key.as_str().contains("/__") && old.contents().get(key).is_some_and(|before| before != *content)
            })
            .map(|(key, _)| key.to_string())
            .collect();
        let failures = std::mem::take(&mut report.summary.failures).into_entries();
        let mut named: Vec<String> = failures.map(|failure| failure.expect("readable").key.to_string()).collect();
        named.sort();
        assert_eq!(named, changed, "every blob with other content is named, also at the same size");
    }
}

#[tokio::test]
async fn a_reused_blob_name_is_overwritten_when_that_is_asked_for() {
    for pair in ["es-5.6.16-main", "es-5.6.16-parts"] {
        let (old, new) = states(pair);
        let target = MemoryStore::default();
        sync(Arc::new(old), Arc::new(target.clone()), &quick()).await;
        let options = Options { rules: Rules { overwrite: Overwrite::Changed, ..Rules::default() }, ..quick() };
        let report = sync(Arc::new(new.clone()), Arc::new(target.clone()), &options).await;
        assert!(report.error.is_none() && report.summary.failed.objects == 0);
        for (key, content) in &new.contents() {
            assert_eq!(target.contents().get(key), Some(content), "{key}");
        }
    }
}

/// A source that takes another snapshot whenever its root is listed for the n-th time.
fn moving(source: &MemoryStore, times: u32) -> Faulty {
    let (inner, left) = (source.clone(), Arc::new(AtomicU32::new(times)));
    let begun = AtomicBool::new(false);
    Faulty::new(Arc::new(source.clone()), move |operation, name, _| {
        // Not before the pin is taken: the first object read after the root's own.
        let reads_data = operation == Operation::Get && name.starts_with("indices/");
        let first = reads_data && !begun.swap(true, Ordering::SeqCst);
        let again = operation == Operation::Get && name.starts_with("index-") && begun.swap(false, Ordering::SeqCst);
        if (first || again) && left.load(Ordering::SeqCst) > 0 {
            left.fetch_sub(1, Ordering::SeqCst);
            let root = newest_root(&inner.contents()).expect("it is a repository");
            let content = inner.contents()[&key(&format!("index-{root}"))].clone();
            inner.insert(key(&format!("index-{}", root + 1)), content, at(3_000));
            inner.insert(key("indices/new/0/__AbCdEfGhIjKlMnOpQrStUv"), "new data", at(3_000));
        }
        None
    })
}

#[tokio::test]
async fn a_source_that_moves_once_is_planned_again_and_published_as_it_is_then() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let before = newest_root(&source.contents()).expect("a repository");
    let target = MemoryStore::default();
    let report = sync(Arc::new(moving(&source, 1)), Arc::new(target.clone()), &quick()).await;
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!((report.generation, report.rounds), (Some(before + 1), 2));
    assert!(target.contents().contains_key(&key("indices/new/0/__AbCdEfGhIjKlMnOpQrStUv")));
    must_show_one(&target, &MemoryStore::default(), &source, "at the end");
}

#[tokio::test]
async fn a_source_that_keeps_moving_is_never_published() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let counter = AtomicU32::new(0);
    let inner = source.clone();
    let restless = Faulty::new(Arc::new(source.clone()), move |operation, name, _| {
        if operation == Operation::Get && name.starts_with("index-") {
            let next = newest_root(&inner.contents()).expect("a repository") + 1;
            let content = inner.contents()[&key(&format!("index-{}", next - 1))].clone();
            inner.insert(key(&format!("index-{next}")), content, at(3_000));
            counter.fetch_add(1, Ordering::SeqCst);
        }
        None
    });
    let target = MemoryStore::default();
    let report = sync(Arc::new(restless), Arc::new(target.clone()), &quick()).await;
    assert_eq!(report.error.expect("it gives up").kind(), ErrorKind::SourceMoved);
    assert_eq!(newest_root(&target.contents()), None, "no root is at the target");
    assert_eq!(report.rounds, 4, "the first round and three more");
}

#[tokio::test]
async fn a_target_with_a_higher_generation_or_another_repository_is_refused() {
    let scratch = scratch();
    let movies = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let logs = memory_of(&unpack("es-8.12-logs", scratch.path()), at(1_000));
    for (source, target) in [(&movies, &logs), (&logs, &movies)] {
        let target = MemoryStore::clone(target);
        let before = target.contents();
        // The memory of a store is shared by its clones, so work on a copy.
        let copy = MemoryStore::default();
        for (key, content) in &before {
            copy.insert(key.clone(), content.clone(), at(1_000));
        }
        let report = sync(Arc::new(source.clone()), Arc::new(copy.clone()), &quick()).await;
        assert_eq!(report.error.expect("refused").kind(), ErrorKind::Diverged);
        assert_eq!(copy.contents(), before, "and left as it was");
    }
}

#[tokio::test]
async fn root_files_are_compared_by_content_whatever_their_time_and_size() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let target = MemoryStore::default();
    sync(Arc::new(source.clone()), Arc::new(target.clone()), &quick()).await;
    let root = format!("index-{}", newest_root(&source.contents()).expect("a repository"));
    let good = source.contents()[&key(&root)].clone();
    target.insert(key(&root), vec![b' '; good.len()], at(9_000_000_000));
    target.insert(key("index.latest"), vec![0; 8], at(9_000_000_000));
    let report = sync(Arc::new(source.clone()), Arc::new(target.clone()), &quick()).await;
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(report.summary.copied.objects, 2);
    assert_eq!(target.contents(), source.contents());
}

#[tokio::test]
async fn leftovers_of_verification_are_never_copied() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    for leftover in ["tests-abc/master.dat", "tests-abc/data-x.dat", "pending-index-9", "temp-analysis-1/blob"] {
        source.insert(key(leftover), "x", at(1_000));
    }
    let target = MemoryStore::default();
    let report = sync(Arc::new(source), Arc::new(target.clone()), &quick()).await;
    assert_eq!(report.summary.reasons["leftover"].objects, 4);
    assert!(!target.contents().keys().any(|key| key.as_str().contains("abc") || key.as_str().starts_with("pending")));
}

#[tokio::test]
async fn a_root_is_held_back_when_a_filter_leaves_out_what_it_names() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let filter = snapferry::transfer::Filter::new(&[], &["indices/**".to_owned()], None).expect("valid");
    let options = Options { rules: Rules { filter, ..Rules::default() }, ..quick() };
    let target = MemoryStore::default();
    let report = sync(Arc::new(source), Arc::new(target.clone()), &options).await;
    assert_eq!(report.root, Some(RootState::HeldBack));
    assert_eq!(newest_root(&target.contents()), None);
}

/// A target that acknowledges the first `times` puts of data blobs and keeps none of them.
fn forgetful(target: &MemoryStore, times: u32) -> Faulty {
    let left = AtomicU32::new(times);
    Faulty::new(Arc::new(target.clone()), move |operation, name, _| {
        let hit = operation == Operation::Put && name.contains("/__");
        let forget = hit && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        forget.then_some(Fault::Forget)
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_target_acknowledged_and_lost_is_copied_again_before_the_root() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let target = MemoryStore::default();
    let report = sync(Arc::new(source.clone()), Arc::new(forgetful(&target, 2)), &quick()).await;
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(report.rounds, 2);
    assert_eq!(target.contents(), source.contents());
}

#[tokio::test(start_paused = true)]
async fn a_target_that_keeps_losing_is_never_published() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let target = MemoryStore::default();
    for replans in [0, 3] {
        let options = Options { replans, ..quick() };
        let report = sync(Arc::new(source.clone()), Arc::new(forgetful(&target, u32::MAX)), &options).await;
        assert_eq!(report.error.expect("it gives up").kind(), ErrorKind::Corrupt, "with {replans} further rounds");
        assert_eq!(newest_root(&target.contents()), None, "no root is at the target");
    }
}
