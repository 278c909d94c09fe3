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
use snapferry::transfer::Rules;
use support::copy::{key, memory_of, newest_root, quick, sync};
use support::fixture::{scratch, unpack};
use support::forge::complete;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// One repository at two times.
fn states(pair: &str) -> (MemoryStore, MemoryStore) {
    let scratch = scratch();
    let open = |state: &str, second| memory_of(&unpack(&format!("{pair}-state{state}"), scratch.path()), at(second));
    (open("A", 1_000), open("B", 2_000))
}

/// Every object that a reader of the newest root may need: all of the repository's but what lies beside the root, older roots, and the
/// shards' lists, of which a newer one may be there.
fn needed(contents: &BTreeMap<Key, Bytes>) -> impl Iterator<Item = (&Key, &Bytes)> {
    let newest = format!("index-{}", newest_root(contents).unwrap_or_default());
    contents.iter().filter(move |(key, _)| {
        let name = key.as_str();
        name == newest
            || name.starts_with("snap-")
            || name.starts_with("meta-")
            || name.contains('/') && !name.contains("/index-")
    })
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
        for (key, content) in needed(&new.contents()) {
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
    assert_eq!(writes, source.contents().len() as u64 + 1, "one write for each object, and the lease");
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
async fn reused_names_are_replaced_behind_a_root_without_the_snapshots_that_need_them() {
    for pair in ["es-5.6.16-main", "es-5.6.16-parts"] {
        let (old, new) = states(pair);
        let target = MemoryStore::default();
        sync(Arc::new(old.clone()), Arc::new(target.clone()), &quick()).await;
        let report = sync(Arc::new(new.clone()), Arc::new(target.clone()), &quick()).await;
        assert!(report.error.is_none() && report.summary.failed.objects == 0, "{:?}", report.error);
        for (key, content) in needed(&new.contents()) {
            let root = key.as_str().starts_with("index-");
            assert!(root || target.contents().get(key) == Some(content), "{pair}: {key}");
        }
        let shown = newest_root(&target.contents()).expect("published");
        assert_eq!(Some(shown), report.generation);
        assert!(Some(shown) >= newest_root(&new.contents()), "a target's generations never go down");
        let root = |contents: &BTreeMap<Key, Bytes>, number| contents[&key(&format!("index-{number}"))].clone();
        let newest = newest_root(&new.contents()).expect("a repository");
        assert_eq!(root(&target.contents(), shown), root(&new.contents(), newest), "{pair}: the source's own root");
    }
}

#[tokio::test]
async fn whatever_the_target_shows_restores_after_every_single_write_also_when_names_come_back() {
    for pair in ["es-5.6.16-main", "es-5.6.16-parts", "es-8.12.2-again"] {
        let (old, new) = states(pair);
        for stop in 0.. {
            let target = MemoryStore::default();
            sync(Arc::new(old.clone()), Arc::new(target.clone()), &quick()).await;
            let stopped = Arc::new(AtomicBool::new(false));
            let noted = stopped.clone();
            let broken = Faulty::new(Arc::new(target.clone()), move |operation, _, writes| {
                let is_write = matches!(operation, Operation::Put | Operation::Delete);
                let stops = is_write && writes >= stop;
                noted.fetch_or(stops, Ordering::SeqCst);
                stops.then_some(Fault::Fail(ErrorKind::Denied))
            });
            sync(Arc::new(new.clone()), Arc::new(broken), &quick()).await;
            let shown = complete(&target.contents());
            assert!(shown.is_ok(), "{pair}, stopped after {stop} writes: {shown:?}");
            let last = sync(Arc::new(new.clone()), Arc::new(target.clone()), &quick()).await;
            assert!(last.error.is_none() && last.summary.failed.objects == 0, "{pair} {stop}: {:?}", last.error);
            assert_eq!(complete(&target.contents()), complete(&new.contents()), "{pair} {stop}");
            if !stopped.load(Ordering::SeqCst) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn reused_names_are_replaced_at_once_when_that_is_asked_for() {
    for pair in ["es-5.6.16-main", "es-5.6.16-parts"] {
        let (old, new) = states(pair);
        let target = MemoryStore::default();
        sync(Arc::new(old), Arc::new(target.clone()), &quick()).await;
        let mut options = quick();
        options.repository.overwrite_changed = true;
        let report = sync(Arc::new(new.clone()), Arc::new(target.clone()), &options).await;
        assert!(report.error.is_none() && report.summary.failed.objects == 0);
        for (key, content) in needed(&new.contents()) {
            assert_eq!(target.contents().get(key), Some(content), "{key}");
        }
    }
}

/// A source that becomes `later` when the n-th object below `indices/` is read.
fn moving(source: &MemoryStore, later: &MemoryStore, when: u32) -> Faulty {
    let (inner, later) = (source.clone(), later.contents());
    let left = AtomicU32::new(when);
    Faulty::new(Arc::new(source.clone()), move |operation, name, _| {
        let reads = operation == Operation::Get && name.starts_with("indices/");
        if reads && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1) {
            become_later(&inner, &later);
        }
        None
    })
}

fn become_later(store: &MemoryStore, later: &BTreeMap<Key, Bytes>) {
    for key in store.contents().keys().filter(|key| !later.contains_key(key)) {
        store.remove(key);
    }
    for (key, content) in later {
        store.insert(key.clone(), content.clone(), at(3_000));
    }
}

#[tokio::test]
async fn a_source_that_loses_a_snapshot_is_planned_again_and_published_as_it_is_then() {
    for pair in ["es-8.12.2-again", "es-5.6.16-main"] {
        let (mut when, mut moved) = (1, 0);
        loop {
            let (source, later) = states(pair);
            let target = MemoryStore::default();
            let report = sync(Arc::new(moving(&source, &later, when)), Arc::new(target.clone()), &quick()).await;
            assert!(report.error.is_none() && report.summary.failed.objects == 0, "{pair} {when}: {:?}", report.error);
            must_show_one(&target, &source, &later, &format!("{pair}: moved at read {when}"));
            let now = source.contents() == later.contents();
            assert_eq!(
                newest_root(&target.contents()),
                newest_root(&source.contents()),
                "{pair}: moved at read {when}"
            );
            moved += u32::from(report.rounds > 1);
            if !now {
                break;
            }
            when += 7;
        }
        assert!(moved > 1, "{pair}: some copies were planned again");
    }
}

#[tokio::test]
async fn a_snapshot_that_is_made_meanwhile_costs_nothing() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let before = newest_root(&source.contents()).expect("a repository");
    let mut later = source.contents();
    let root = later[&key(&format!("index-{before}"))].clone();
    later.insert(key(&format!("index-{}", before + 1)), root);
    let target = MemoryStore::default();
    let newer = MemoryStore::default();
    become_later(&newer, &later);
    let report = sync(Arc::new(moving(&source, &newer, 1)), Arc::new(target.clone()), &quick()).await;
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!((report.generation, report.rounds), (Some(before), 1));

    let mut options = quick();
    options.repository.require_readonly = true;
    let again = MemoryStore::default();
    become_later(&source, &later);
    let mut last = later.clone();
    last.insert(key(&format!("index-{}", before + 2)), later[&key(&format!("index-{before}"))].clone());
    become_later(&newer, &last);
    let report = sync(Arc::new(moving(&source, &newer, 1)), Arc::new(again.clone()), &options).await;
    assert_eq!(report.error.expect("the source must not move").kind(), ErrorKind::SourceMoved);
    assert_eq!(newest_root(&again.contents()), None);
}

/// The content of a root that lists no snapshot.
const EMPTY_ROOT: &str = r#"{"snapshots":[],"indices":{}}"#;

#[tokio::test]
async fn a_source_that_keeps_losing_what_is_copied_is_never_published() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let whole = source.contents();
    let inner = source.clone();
    // Whoever looks for the newest root at the end of a round finds another one without snapshots; at its beginning the old list again.
    let begun = AtomicBool::new(false);
    let restless = Faulty::new(Arc::new(source.clone()), move |operation, name, _| {
        let next = || newest_root(&inner.contents()).expect("a repository") + 1;
        if operation == Operation::Get && name.contains("/snap-") && !begun.swap(true, Ordering::SeqCst) {
            inner.insert(key(&format!("index-{}", next())), EMPTY_ROOT, at(3_000));
        }
        if operation == Operation::Get && name.starts_with("index-") && begun.swap(false, Ordering::SeqCst) {
            let root = newest_root(&whole).expect("a repository");
            inner.insert(key(&format!("index-{}", next())), whole[&key(&format!("index-{root}"))].clone(), at(3_000));
        }
        None
    });
    let target = MemoryStore::default();
    let options = Options { replans: 2, ..quick() };
    let report = sync(Arc::new(restless), Arc::new(target.clone()), &options).await;
    let error = report.error.expect("it gives up");
    assert_eq!(error.kind(), ErrorKind::SourceMoved, "{error}");
    assert_eq!(newest_root(&target.contents()), None, "no root is at the target");
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
async fn a_target_that_somebody_else_publishes_at_meanwhile_is_left_alone() {
    let (old, new) = states("es-8.12.2-again");
    for other in ["index-4", "index-99"] {
        let target = MemoryStore::default();
        sync(Arc::new(old.clone()), Arc::new(target.clone()), &quick()).await;
        let (inner, root) = (target.clone(), target.contents()[&key("index-3")].clone());
        let moving = Faulty::new(Arc::new(target.clone()), move |operation, name, _| {
            if operation == Operation::Put && name.contains("/__") {
                inner.insert(key(other), root.clone(), at(3_000));
            }
            None
        });
        let report = sync(Arc::new(new.clone()), Arc::new(moving), &quick()).await;
        assert_eq!(report.error.expect("somebody else was there").kind(), ErrorKind::Diverged);
        assert!(!target.contents().contains_key(&key("index-5")), "{other}: nothing is published");
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
    assert_eq!(report.summary.reasons["same-size"].objects, 4, "no data is copied again");
    assert_eq!(target.contents(), source.contents());
}

#[tokio::test]
async fn what_no_snapshot_needs_is_never_copied() {
    let scratch = scratch();
    let source = memory_of(&unpack("es-8.12-movies", scratch.path()), at(1_000));
    let whole = source.contents();
    for leftover in [
        "tests-abc/master.dat",
        "pending-index-9",
        "temp-analysis-1/blob",
        "indices/x/0/__garbage",
        "note.txt",
        "index-0",
    ] {
        source.insert(key(leftover), "x", at(1_000));
    }
    let target = MemoryStore::default();
    let report = sync(Arc::new(source), Arc::new(target.clone()), &quick()).await;
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(target.contents(), whole);
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
