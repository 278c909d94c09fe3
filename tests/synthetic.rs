//! The benchmarks' repository that nobody holds is one: ordered, whole, and taken by a target that keeps next to nothing of it.

#[path = "../benches/support/synthetic/mod.rs"]
mod synthetic;

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use snapferry::store::{GetOptions, Key, ListOptions, Meter, ObjectStore};
use support::copy::{key, quick, sync};
use support::forge::{blob, complete};
use synthetic::{Shape, Synthetic, Target, Time};

/// All that a listing gives, which must be in order and tell the lengths as they are.
async fn contents(store: &dyn ObjectStore, prefix: &str) -> BTreeMap<Key, Bytes> {
    let pages = store.list(ListOptions { prefix: prefix.to_owned(), after: None });
    let listed: Vec<_> = pages.try_collect::<Vec<_>>().await.expect("it can be listed").into_iter().flatten().collect();
    assert!(listed.is_sorted_by(|one, two| one.key < two.key), "every key once, in order");
    let mut contents = BTreeMap::new();
    for meta in listed {
        let got = store.get(&meta.key, GetOptions::default()).await.expect("what is listed is there");
        let bytes = got.body.collect(u64::MAX).await.expect("memory");
        assert_eq!(bytes.len() as u64, meta.size, "{}", meta.key);
        contents.insert(meta.key, bytes);
    }
    contents
}

fn synthetic(time: Time) -> Synthetic {
    Synthetic::new(Shape::of(2_000), time, Arc::default())
}

#[tokio::test]
async fn it_is_a_whole_repository_before_and_after_one_more_snapshot() {
    let before = contents(&synthetic(Time::Before), "").await;
    let after = contents(&synthetic(Time::After), "").await;
    assert_eq!(before.len() as u64, Shape::of(2_000).objects(Time::Before));
    assert!((2_000..2_300).contains(&before.len()), "{}", before.len());
    let names = |count: usize| (0..count).map(|number| format!("daily-{number:03}")).collect::<Vec<_>>();
    assert_eq!((complete(&before), complete(&after)), (Ok(names(10)), Ok(names(11))));
    let kept = before.iter().filter(|(key, _)| after.contains_key(key));
    let changed: Vec<&Key> = kept.filter(|(key, bytes)| after[*key] != *bytes).map(|(key, _)| key).collect();
    assert_eq!(changed, [&key("index.latest")], "a snapshot changes nothing that is there");
    let new = after.keys().filter(|key| !before.contains_key(key) && key.as_str().contains("/__")).count();
    assert!((3..20).contains(&new), "a few shards have new data: {new}");
}

#[tokio::test]
async fn a_listing_can_be_taken_up_anywhere_and_keys_that_are_not_there_are_not_there() {
    let store = synthetic(Time::Before);
    let all: Vec<Key> = contents(&store, "").await.into_keys().collect();
    for at in [0, 1, 2, 700, all.len() - 2] {
        let options = ListOptions { prefix: String::new(), after: Some(all[at].clone()) };
        let page = store.list(options).try_next().await.expect("memory").expect("there is more");
        assert_eq!(page[0].key, all[at + 1]);
    }
    assert_eq!(contents(&store, "index").await.len(), 2);
    assert_eq!(contents(&store, "snapshot_shard_paths/").await.len(), 0);
    let late = contents(&synthetic(Time::After), "").await.into_keys().filter(|key| !all.contains(key));
    for key in late.chain([key("indices/x"), key("snap-x"), key("index-7"), key("indices/00000000"), key("in")]) {
        assert!(store.head(&key).await.is_err(), "{key}");
    }
}

#[tokio::test]
async fn a_target_holds_what_was_copied_and_lists_it() {
    let (source, meter) = (synthetic(Time::Before), Arc::<Meter>::default());
    let target = Target::new(source.clone(), meter.clone());
    let report = sync(Arc::new(source.clone()), Arc::new(target.clone()), &quick()).await;
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(complete(&contents(&target, "").await), complete(&contents(&source, "").await));
    let (same, others) = target.holds();
    assert!(same > 2_000 && others < 10, "{same} objects are as at the source and {others} are not");
    assert!(meter.totals().iter().any(|(kind, count)| *kind == "put" && *count >= same));
}
