//! Copies of a part of a repository, and what they cost: selected snapshots and indices, increments, damage, tampered targets.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use snapferry::error::ErrorKind;
use snapferry::ops::sync::{Options, Report, RootState};
use snapferry::repo::{Codec, Pick, RootIndex, Selection, SnapshotInfo, glob};
use snapferry::store::{Key, MemoryStore, Meter};
use support::copy::{key, memory_of, newest_root, quick, sync};
use support::fixture::{scratch, unpack};
use support::forge::{complete, complete_at};

/// Every fixture that can be copied.
const FIXTURES: [&str; 10] = [
    "es-5.6.16-main",
    "es-5.6.16-parts-stateA",
    "es-6.8.23-main",
    "es-7.10.2-main",
    "es-7.17.28-main",
    "es-8.12-logs",
    "es-8.12-logs-chunked-uncompressed",
    "es-9.0.0-main",
    "opensearch-2.19.6-logs",
    "opensearch-3.6.0-logs",
];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn fixture(name: &str) -> MemoryStore {
    let scratch = scratch();
    memory_of(&unpack(name, scratch.path()), at(1_000))
}

fn root(contents: &BTreeMap<Key, Bytes>) -> RootIndex {
    let name = format!("index-{}", newest_root(contents).expect("a repository"));
    RootIndex::parse(&name, &contents[&key(&name)]).expect("a root")
}

fn names(contents: &BTreeMap<Key, Bytes>) -> BTreeSet<String> {
    root(contents).snapshots.iter().map(|snapshot| snapshot.name.to_string()).collect()
}

fn selecting(snapshots: &[&str], indices: &[&str]) -> Options {
    let snapshots = snapshots.iter().map(|name| Pick::name(name).expect("a glob")).collect();
    let indices = indices.iter().map(|name| glob("--indices", name).expect("a glob")).collect();
    let mut options = quick();
    options.repository.selection = Selection { snapshots, indices };
    options
}

async fn copy(from: &MemoryStore, to: &MemoryStore, options: &Options) -> Report {
    sync(Arc::new(from.clone()), Arc::new(to.clone()), options).await
}

fn must_be_done(report: &Report, what: &str) {
    assert!(
        report.error.is_none() && report.summary.failed.objects == 0,
        "{what}: {:?} {:?}",
        report.error,
        report.left_out
    );
}

fn judge(store: &MemoryStore, what: &str) -> BTreeSet<String> {
    complete(&store.contents()).unwrap_or_else(|cause| panic!("{what}: {cause}")).into_iter().collect()
}

#[tokio::test]
async fn a_full_copy_is_the_source_s_own_root_and_all_it_needs() {
    for name in FIXTURES {
        let (source, target) = (fixture(name), MemoryStore::default());
        must_be_done(&copy(&source, &target, &quick()).await, name);
        let (from, to) = (source.contents(), target.contents());
        assert_eq!(judge(&target, name), judge(&source, name));
        for (key, content) in &to {
            assert_eq!(from.get(key), Some(content), "{name}: {key}");
        }
        let again = copy(&source, &target, &quick()).await;
        assert_eq!((again.root, again.summary.copied.objects), (Some(RootState::Unchanged), 0), "{name}");
    }
}

#[tokio::test]
async fn every_single_snapshot_can_be_selected_and_extended_to_all() {
    for name in FIXTURES {
        let source = fixture(name);
        let all = names(&source.contents());
        let target = MemoryStore::default();
        let mut selected = BTreeSet::new();
        for snapshot in &all {
            let alone = MemoryStore::default();
            must_be_done(&copy(&source, &alone, &selecting(&[snapshot], &[])).await, snapshot);
            assert_eq!(names(&alone.contents()), BTreeSet::from([snapshot.clone()]), "{name}");
            judge(&alone, &format!("{name} {snapshot}"));

            must_be_done(&copy(&source, &target, &selecting(&[snapshot], &[])).await, snapshot);
            selected.insert(snapshot.clone());
            assert_eq!(names(&target.contents()), selected, "{name}: what was there stays");
            judge(&target, &format!("{name} with {snapshot}"));
            let (counted, again) = counted(&source.contents(), &target.contents(), &selecting(&[snapshot], &[])).await;
            assert_eq!(again.root, Some(RootState::Unchanged), "{name} {snapshot}");
            assert!(counted.values().sum::<u64>() <= 6, "{name} {snapshot}: {counted:?}");
        }
        let report = copy(&source, &target, &quick()).await;
        must_be_done(&report, name);
        assert_eq!(judge(&target, name), judge(&source, name));
        assert_eq!(names(&target.contents()), all);
    }
}

#[tokio::test]
async fn a_part_is_a_repository_of_its_own_with_an_id_that_stays() {
    let (source, target) = (fixture("es-8.12-logs"), MemoryStore::default());
    let first = names(&source.contents()).into_iter().next().expect("it has snapshots");
    copy(&source, &target, &selecting(&[&first], &[])).await;
    let id = root(&target.contents()).uuid;
    assert!(id.is_some() && id != root(&source.contents()).uuid, "a part is not the whole");
    must_be_done(&copy(&source, &target, &quick()).await, "extended");
    assert_eq!(root(&target.contents()).uuid, id, "the id of a copy never changes");
    let whole = MemoryStore::default();
    copy(&source, &whole, &quick()).await;
    assert_eq!(root(&whole.contents()).uuid, root(&source.contents()).uuid, "the whole keeps the id");
}

#[tokio::test]
async fn a_pruned_selection_names_nothing_else() {
    let (source, target) = (fixture("es-8.12-logs"), MemoryStore::default());
    let all: Vec<String> = names(&source.contents()).into_iter().collect();
    copy(&source, &target, &quick()).await;
    let mut options = selecting(&[&all[0]], &[]);
    options.repository.prune = Some(100);
    must_be_done(&copy(&source, &target, &options).await, "pruned");
    assert_eq!(names(&target.contents()), BTreeSet::from([all[0].clone()]));
    judge(&target, "pruned");
    let alone = MemoryStore::default();
    copy(&source, &alone, &selecting(&[&all[0]], &[])).await;
    let data = |store: &MemoryStore| {
        store.contents().into_keys().filter(|key| key.as_str().contains("/__")).collect::<Vec<_>>()
    };
    assert_eq!(data(&target), data(&alone), "what only the others needed is gone");
}

#[tokio::test]
async fn selected_indices_are_all_that_a_snapshot_says_it_has() {
    for (name, pattern) in [("es-8.12-logs", "*.01"), ("opensearch-3.6.0-logs", "orders"), ("es-6.8.23-main", "alpha")]
    {
        let (source, target) = (fixture(name), MemoryStore::default());
        let indices: BTreeSet<String> = root(&source.contents()).indices.keys().cloned().collect();
        let matcher = glob("--indices", pattern).expect("a glob");
        let wanted: BTreeSet<String> = indices.iter().filter(|index| matcher.is_match(index)).cloned().collect();
        assert!(!wanted.is_empty() && wanted != indices, "{name} has {indices:?}: `{pattern}` selects no part of it");
        must_be_done(&copy(&source, &target, &selecting(&[], &[pattern])).await, name);
        let contents = target.contents();
        assert_eq!(root(&contents).indices.keys().cloned().collect::<BTreeSet<_>>(), wanted);
        judge(&target, name);
        for snapshot in &root(&contents).snapshots {
            let blob = &contents[&key(&format!("snap-{}.dat", snapshot.uuid))];
            let info = SnapshotInfo::parse("snap", blob).expect("it is whole");
            assert!(info.indices.iter().all(|index| wanted.contains(index)), "{name}: {:?}", info.indices);
        }
        // The rest comes later, and then everything is as at the source.
        must_be_done(&copy(&source, &target, &quick()).await, name);
        assert_eq!(judge(&target, name), judge(&source, name));
        for (key, content) in source.contents().iter().filter(|(key, _)| key.as_str().starts_with("snap-")) {
            assert_eq!(target.contents().get(key), Some(content), "{name}: {key}");
        }
    }
}

#[tokio::test]
async fn the_newest_snapshots_are_found_by_their_time_also_where_only_they_tell_it() {
    for name in ["es-6.8.23-main", "es-9.0.0-main"] {
        let source = fixture(name);
        let contents = source.contents();
        let mut began: Vec<(i64, String)> = root(&contents)
            .snapshots
            .iter()
            .map(|snapshot| {
                let blob = &contents[&key(&format!("snap-{}.dat", snapshot.uuid))];
                let info = SnapshotInfo::parse("snap", blob).expect("it is whole");
                (info.start_time, info.name)
            })
            .collect();
        began.sort();
        let mut options = quick();
        options.repository.selection.snapshots = vec![Pick::Latest(2)];
        let target = MemoryStore::default();
        must_be_done(&copy(&source, &target, &options).await, name);
        let newest: BTreeSet<String> = began.iter().rev().take(2).map(|(_, name)| name.clone()).collect();
        assert_eq!(names(&target.contents()), newest);
        let since = Timestamp::from_millisecond(began[1].0).expect("in range");
        options.repository.selection.snapshots = vec![Pick::Since(since)];
        let target = MemoryStore::default();
        must_be_done(&copy(&source, &target, &options).await, name);
        assert_eq!(names(&target.contents()), began[1..].iter().map(|(_, name)| name.clone()).collect());
    }
}

/// Every index that a snapshot's description names is in the root, and the other way round.
fn must_agree(store: &MemoryStore, what: &str) {
    let contents = store.contents();
    let root = root(&contents);
    for snapshot in &root.snapshots {
        let blob = &contents[&key(&format!("snap-{}.dat", snapshot.uuid))];
        let info = SnapshotInfo::parse("snap", blob).expect("it is whole");
        let described: BTreeSet<String> = info.indices.iter().cloned().collect();
        let has = |(_, index): &(&String, &snapferry::repo::IndexEntry)| index.snapshots.contains(&snapshot.uuid);
        let listed: BTreeSet<String> = root.indices.iter().filter(has).map(|(name, _)| name.clone()).collect();
        assert_eq!(described, listed, "{what}: {}", snapshot.name);
    }
}

#[tokio::test]
async fn a_selection_of_indices_can_grow_and_shrink_in_any_order() {
    for name in ["es-5.6.16-main", "es-8.12.2-again-stateB", "es-9.0.0-main", "opensearch-2.19.6-logs"] {
        let (source, target) = (fixture(name), MemoryStore::default());
        let indices: Vec<String> = root(&source.contents()).indices.keys().cloned().collect();
        let [a, b, c] = [&indices[0], &indices[1], &indices[2]].map(String::as_str);
        for (wanted, prune) in
            [(vec![a], false), (vec![b], false), (vec![c], true), (vec![a, b], true), (vec![b], true)]
        {
            let mut options = selecting(&[], &wanted);
            options.repository.prune = prune.then_some(100);
            must_be_done(&copy(&source, &target, &options).await, name);
            must_agree(&target, &format!("{name} {wanted:?}"));
            judge(&target, name);
            let (counted, again) = counted(&source.contents(), &target.contents(), &selecting(&[], &wanted)).await;
            assert_eq!(again.root, Some(RootState::Unchanged), "{name} {wanted:?}");
            assert!(counted.values().sum::<u64>() <= 6, "{name} {wanted:?}: {counted:?}");
        }
        must_be_done(&copy(&source, &target, &quick()).await, name);
        must_agree(&target, name);
        assert_eq!(judge(&target, name), judge(&source, name));
    }
}

#[tokio::test]
async fn data_of_another_length_at_the_source_leaves_its_snapshots_out_too() {
    let (source, target) = (fixture("es-7.10.2-main"), MemoryStore::default());
    let contents = source.contents();
    let (bad, content) = contents
        .iter()
        .find(|(key, content)| key.as_str().contains("/__") && content.len() > 1000)
        .expect("it has data");
    source.insert(bad.clone(), content.slice(..content.len() - 5), at(1_000));
    let report = copy(&source, &target, &quick()).await;
    assert!(report.error.is_none() && !report.left_out.is_empty(), "{:?}", report.error);
    judge(&target, "the others");
    let mut options = quick();
    options.repository.allow_damaged = true;
    let insisted = MemoryStore::default();
    must_be_done(&copy(&source, &insisted, &options).await, "insisted");
    assert_eq!(insisted.contents()[bad].len(), content.len() - 5, "as it is");
}

#[tokio::test]
async fn what_the_target_has_whole_stays_when_the_source_is_damaged() {
    for name in ["es-5.6.16-main", "es-9.0.0-main"] {
        for which in ["meta-", "snap-", "/meta-", "/snap-"] {
            let (source, target) = (fixture(name), MemoryStore::default());
            must_be_done(&copy(&source, &target, &quick()).await, name);
            let contents = source.contents();
            let fits = |key: &str| if which.starts_with('/') { key.contains(which) } else { key.starts_with(which) };
            let lost = contents.keys().find(|key| fits(key.as_str())).expect("there is one");
            source.remove(lost);
            let mut options = quick();
            options.repository.deep = true;
            let report = copy(&source, &target, &options).await;
            assert!(report.error.is_none() && !report.left_out.is_empty(), "{name} {lost}: {:?}", report.error);
            assert!(report.left_out.iter().all(|one| one.reason.contains("stays")), "{:?}", report.left_out);
            assert_eq!(names(&target.contents()), names(&contents), "{name} {lost}: nothing is lost");
            judge(&target, &format!("{name} {lost}"));
        }
    }
}

#[tokio::test]
async fn nothing_is_published_when_nothing_is_left_or_the_source_was_emptied() {
    let (source, target) = (fixture("es-8.12-movies"), MemoryStore::default());
    let contents = source.contents();
    for key in contents.keys().filter(|key| key.as_str().contains("/snap-")) {
        source.remove(key);
    }
    let report = copy(&source, &target, &quick()).await;
    assert_eq!((report.left_out.len(), newest_root(&target.contents())), (2, None));

    let (source, target) = (fixture("es-8.12-movies"), MemoryStore::default());
    copy(&source, &target, &quick()).await;
    let root = String::from_utf8(contents[&key("index-1")].to_vec()).expect("JSON");
    let uuid = root.split("\"uuid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("it has one");
    let emptied =
        format!(r#"{{"min_version":"7.12.0","uuid":"{uuid}","cluster_id":"c","snapshots":[],"indices":{{}}}}"#);
    source.insert(key("index-2"), emptied, at(2_000));
    let error = copy(&source, &target, &quick()).await.error.expect("refused");
    assert_eq!(error.kind(), ErrorKind::Diverged, "{error}");
    assert_eq!(names(&target.contents()).len(), 2);
}

#[tokio::test]
async fn a_deep_run_over_a_healthy_copy_copies_nothing_again() {
    for name in FIXTURES {
        let (source, target) = (fixture(name), MemoryStore::default());
        copy(&source, &target, &quick()).await;
        let mut options = quick();
        options.repository.deep = true;
        let report = copy(&source, &target, &options).await;
        must_be_done(&report, name);
        let data = target.contents().keys().filter(|key| key.as_str().contains("/__")).count() as u64;
        assert!(report.summary.skipped.objects >= data, "{name}: {:?}", report.summary.reasons);
        assert_eq!(judge(&target, name), judge(&source, name));
    }
}

#[tokio::test]
async fn a_selection_of_nothing_is_refused_by_name() {
    let never = selecting(&["s1"], &["gamma"]);
    let error = copy(&fixture("es-9.0.0-main"), &MemoryStore::default(), &never).await.error.expect("refused");
    assert_eq!(error.kind(), ErrorKind::NotFound, "s1 has no gamma: {error}");
    let source = fixture("es-8.12-movies");
    for (options, word) in [(selecting(&["nosuch"], &[]), "nosuch"), (selecting(&[], &["nosuch-*"]), "nosuch-*")] {
        let target = MemoryStore::default();
        let error = copy(&source, &target, &options).await.error.expect("refused");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(word), "{error}");
        assert!(target.contents().is_empty());
    }
}

/// The requests of one run, both sides together.
async fn requests(
    from: &BTreeMap<Key, Bytes>,
    to: &BTreeMap<Key, Bytes>,
) -> (BTreeMap<&'static str, u64>, MemoryStore) {
    let (requests, _, target) = run_counted(from, to, &quick()).await;
    (requests, target)
}

async fn counted(
    from: &BTreeMap<Key, Bytes>,
    to: &BTreeMap<Key, Bytes>,
    options: &Options,
) -> (BTreeMap<&'static str, u64>, Report) {
    let (requests, report, _) = run_counted(from, to, options).await;
    (requests, report)
}

async fn run_counted(
    from: &BTreeMap<Key, Bytes>,
    to: &BTreeMap<Key, Bytes>,
    options: &Options,
) -> (BTreeMap<&'static str, u64>, Report, MemoryStore) {
    let meter = Arc::new(Meter::default());
    let filled = |contents: &BTreeMap<Key, Bytes>| {
        let store = MemoryStore::new(meter.clone());
        for (key, content) in contents {
            store.insert(key.clone(), content.clone(), at(1_000));
        }
        store
    };
    let (source, target) = (filled(from), filled(to));
    let report = copy(&source, &target, options).await;
    must_be_done(&report, "counted");
    (meter.totals().into_iter().filter(|(_, count)| *count > 0).collect(), report, target)
}

#[tokio::test]
async fn an_unchanged_repository_costs_six_requests_at_most() {
    for name in FIXTURES {
        let (source, target) = (fixture(name), MemoryStore::default());
        copy(&source, &target, &quick()).await;
        let (requests, _) = requests(&source.contents(), &target.contents()).await;
        let sum: u64 = requests.values().sum();
        assert!(sum <= 6, "{name}: {requests:?}");
        assert!(!requests.contains_key("put"), "{name}: {requests:?}");
    }
}

#[tokio::test]
async fn a_new_snapshot_costs_two_requests_for_each_new_object_and_no_listing() {
    let scratch = scratch();
    let state = |state: &str| {
        memory_of(&unpack(&format!("es-8.12.2-again-state{state}"), scratch.path()), at(1_000)).contents()
    };
    let (old, new) = (state("A"), state("B"));
    let target = MemoryStore::default();
    let before = MemoryStore::default();
    for (key, content) in &old {
        before.insert(key.clone(), content.clone(), at(1_000));
    }
    copy(&before, &target, &quick()).await;
    let (requests, after) = requests(&new, &target.contents()).await;
    judge(&after, "the increment");
    let added = after.contents().len() as u64 - target.contents().len() as u64;
    let lists = new.keys().filter(|key| key.as_str().contains("/index-")).count() as u64;
    assert!(requests["list"] <= 6, "the roots are looked for, nothing else: {requests:?}");
    assert!(requests["put"] <= added + 4, "{added} new objects: {requests:?}");
    assert!(requests["get"] <= added + lists + 8, "{added} new objects, {lists} shards: {requests:?}");
}

/// Changes the content of one data blob of a store, and says which.
fn damage(store: &MemoryStore) -> Key {
    let contents = store.contents();
    let (key, content) = contents
        .iter()
        .find(|(key, content)| key.as_str().contains("/__") && content.len() > 100)
        .expect("it has data");
    let mut changed = content.to_vec();
    changed[50] ^= 1;
    store.insert(key.clone(), changed, at(1_000));
    key.clone()
}

#[tokio::test]
async fn a_damaged_blob_is_named_and_its_snapshots_are_left_out() {
    for name in [
        "es-5.6.16-main",
        "es-7.10.2-main",
        "es-8.12-logs",
        "es-8.12-logs-chunked-uncompressed",
        "opensearch-3.6.0-logs",
    ] {
        let (source, target) = (fixture(name), MemoryStore::default());
        let bad = damage(&source);
        let mut report = copy(&source, &target, &quick()).await;
        assert!(report.error.is_none(), "{name}: {:?}", report.error);
        assert!(!report.left_out.is_empty() && report.summary.failed.objects > 0, "{name}");
        let failures = std::mem::take(&mut report.summary.failures).into_entries();
        let named: Vec<String> = failures.map(|failure| failure.expect("readable").key.to_string()).collect();
        let stem = bad.as_str().split(".part").next().expect("a name");
        assert!(named.iter().any(|key| key.starts_with(stem)), "{name}: {named:?} should name {bad}");
        let left_out: BTreeSet<String> = report.left_out.iter().map(|one| one.name.clone()).collect();
        let all = names(&source.contents());
        if newest_root(&target.contents()).is_some() {
            let copied = judge(&target, name);
            assert!(copied.is_disjoint(&left_out), "{name}");
            assert_eq!(names(&target.contents()).union(&left_out).cloned().collect::<BTreeSet<_>>(), all, "{name}");
        }

        assert_ne!(target.contents().get(&bad), source.contents().get(&bad), "{name}: what is damaged does not travel");
        let mut options = quick();
        options.repository.allow_damaged = true;
        let insisted = MemoryStore::default();
        let report = copy(&source, &insisted, &options).await;
        must_be_done(&report, name);
        assert_eq!(names(&insisted.contents()), all, "{name}: everything is published");
        assert_eq!(insisted.contents().get(&bad), source.contents().get(&bad), "{name}: as it is");
    }
}

#[tokio::test]
async fn damaged_and_missing_metadata_leave_their_snapshots_out_and_no_others() {
    for (which, missing) in [("/snap-", false), ("/snap-", true), ("snap-", true), ("meta-", false), ("/meta-", true)] {
        let (source, target) = (fixture("es-8.12-logs"), MemoryStore::default());
        let contents = source.contents();
        let fits = |key: &str| if which.starts_with('/') { key.contains(which) } else { key.starts_with(which) };
        let (key, content) = contents.iter().find(|(key, _)| fits(key.as_str())).expect("there is one");
        if missing {
            source.remove(key);
        } else {
            source.insert(key.clone(), content.slice(..content.len() / 2), at(1_000));
        }
        let report = copy(&source, &target, &quick()).await;
        assert!(report.error.is_none(), "{key}: {:?}", report.error);
        assert!(!report.left_out.is_empty(), "{key}");
        let left_out: BTreeSet<String> = report.left_out.iter().map(|one| one.name.clone()).collect();
        assert!(left_out.len() < names(&contents).len(), "{key}: others are whole");
        assert!(judge(&target, key.as_str()).is_disjoint(&left_out));
    }
}

#[tokio::test]
async fn a_virtual_blob_that_was_changed_leaves_its_snapshots_out() {
    use serde_smile::value::Value;
    let (source, target) = (fixture("es-8.12-movies"), MemoryStore::default());
    let contents = source.contents();
    let (key, content) = contents.iter().find(|(key, _)| key.as_str().contains("/snap-")).expect("there is one");
    let mut value: Value = Codec::Snapshot.decode(key.as_str(), content).expect("it is whole");
    let Value::Object(members) = &mut value else { panic!("an object") };
    let Some(Value::Array(files)) = members.get_mut("files") else { panic!("it has files") };
    let changed = files.iter_mut().any(|file| {
        let Value::Object(file) = file else { panic!("a file") };
        match file.get_mut("meta_hash") {
            Some(Value::Binary(bytes)) => {
                bytes[20] ^= 1;
                true
            }
            _ => false,
        }
    });
    assert!(changed);
    source.insert(key.clone(), Codec::Snapshot.encode(&value).expect("it can be written"), at(1_000));
    let report = copy(&source, &target, &quick()).await;
    assert_eq!(report.left_out.len(), 1, "{:?}", report.error);
    assert!(report.left_out[0].reason.contains("checksum"), "{:?}", report.left_out);
}

#[tokio::test]
async fn a_tampered_target_is_repaired_by_a_deep_run() {
    for name in ["es-5.6.16-main", "es-8.12-logs-chunked-uncompressed", "opensearch-3.6.0-logs"] {
        let (source, target) = (fixture(name), MemoryStore::default());
        copy(&source, &target, &quick()).await;
        let whole = target.contents();
        let tampered: Vec<Key> = whole
            .keys()
            .filter(|key| key.as_str().contains('/') || key.as_str().starts_with("snap-"))
            .step_by(5)
            .cloned()
            .collect();
        for (number, key) in tampered.iter().enumerate() {
            if number % 2 == 0 {
                target.remove(key);
            } else {
                target.insert(key.clone(), "short", at(1_000));
            }
        }
        let trusting = copy(&source, &target, &quick()).await;
        assert_eq!(trusting.summary.copied.objects, 0, "{name}: its root says that all is there");
        let mut options = quick();
        options.repository.deep = true;
        must_be_done(&copy(&source, &target, &options).await, name);
        assert_eq!(target.contents(), whole, "{name}");
    }
}

#[tokio::test]
async fn a_copy_to_another_base_path_moves_the_shards_that_lie_beside_it() {
    use snapferry::ops::{End, Reopen};
    use snapferry::store::{Access, Location, ObjectStore, Options, open};
    let scratch = scratch();
    let folder = unpack("opensearch-3.6.0-logs", scratch.path());
    // As a bucket has it: `HASH/old/indices/…` beside `old/…`.
    let bucket = scratch.path().join("bucket");
    for (name, content) in support::fixture::tree(&folder) {
        let beside = name.split('/').nth(1) == Some("indices") && !name.starts_with("indices/");
        let (hash, rest) = name.split_once('/').unwrap_or_default();
        let to = if beside { format!("{hash}/old/{rest}") } else { format!("old/{name}") };
        let content = if name.starts_with("snapshot_shard_paths/") {
            String::from_utf8(content).expect("JSON").replace("/indices/", "/old/indices/").into_bytes()
        } else {
            content
        };
        let path = bucket.join(to);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("scratch");
        std::fs::write(path, content).expect("scratch");
    }
    let reopen = |access| {
        Reopen::new(move |location: Location| {
            Box::pin(async move { open(&location, &Options::default(), access, Arc::default()).await })
        })
    };
    let end = async |path: &str, access| {
        let location = Location::parse(&format!("file://{}", bucket.join(path).display())).expect("a location");
        let store: Arc<dyn ObjectStore> =
            open(&location, &Options::default(), access, Arc::default()).await.expect("a folder");
        End { reopen: Some(reopen(access)), ..End::new(location, None, store, Arc::default()) }
    };
    let from = end("old", Access::Read).await;
    let target = scratch.path().join("copy");
    let location = Location::parse(&format!("file://{}", target.display())).expect("a location");
    let store = open(&location, &Options::default(), Access::Write, Arc::default()).await.expect("a folder");
    let to = End { reopen: Some(reopen(Access::Write)), ..End::new(location, None, store, Arc::default()) };
    let silent = Arc::new(snapferry::event::Silent);
    let cancel = tokio_util::sync::CancellationToken::new();
    let report = snapferry::ops::sync::run(&from, &to, &quick(), silent.clone(), cancel.clone()).await;
    must_be_done(&report, "to a folder");
    let copied = memory_of(&target, at(1_000)).contents();
    complete_at(&copied, "").expect("every snapshot restores from there");
    let original = memory_of(&folder, at(1_000)).contents();
    assert_eq!(copied, original, "a folder is taken for the whole store");

    let mut options = quick();
    options.mode = snapferry::ops::sync::Mode::Plain;
    let report = snapferry::ops::sync::run(&from, &to, &options, silent, cancel).await;
    let error = report.error.expect("a plain copy would lack the shards");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn two_runs_at_one_target_are_one_and_a_refusal() {
    let (source, target) = (fixture("es-8.12-logs"), MemoryStore::default());
    let options = quick();
    let (one, other) = tokio::join!(copy(&source, &target, &options), copy(&source, &target, &options));
    let refused = [&one, &other].into_iter().filter_map(|report| report.error.as_ref()).collect::<Vec<_>>();
    assert_eq!(refused.len(), 1, "one works");
    assert_eq!(refused[0].kind(), ErrorKind::Precondition);
    assert!(refused[0].to_string().contains("process"), "{}", refused[0]);
    assert_eq!(judge(&target, "both"), judge(&source, "both"));
    assert!(!target.contents().keys().any(|key| key.as_str().contains("lease")));
}

/// A source that serves one request after the other, in the order in which they came, as a lock for credentials did.
#[derive(Debug)]
struct Queue(MemoryStore, tokio::sync::Mutex<()>);

#[async_trait::async_trait]
impl snapferry::store::ObjectStore for Queue {
    async fn head(&self, key: &Key) -> snapferry::error::Result<snapferry::store::Head> {
        self.0.head(key).await
    }

    async fn get(
        &self,
        key: &Key,
        options: snapferry::store::GetOptions,
    ) -> snapferry::error::Result<snapferry::store::GetResult> {
        let _turn = self.1.lock().await;
        tokio::task::yield_now().await;
        self.0.get(key, options).await
    }

    async fn put(
        &self,
        key: &Key,
        body: snapferry::store::Body,
        options: &snapferry::store::PutOptions,
    ) -> snapferry::error::Result<snapferry::store::PutResult> {
        self.0.put(key, body, options).await
    }

    async fn put_multipart(
        &self,
        key: &Key,
        size: u64,
        options: &snapferry::store::PutOptions,
    ) -> snapferry::error::Result<Box<dyn snapferry::store::MultipartUpload>> {
        self.0.put_multipart(key, size, options).await
    }

    async fn copy(
        &self,
        from: snapferry::store::Origin<'_>,
        key: &Key,
        options: &snapferry::store::PutOptions,
    ) -> snapferry::error::Result<snapferry::store::PutResult> {
        self.0.copy(from, key, options).await
    }

    fn list(&self, options: snapferry::store::ListOptions) -> snapferry::store::Pages {
        self.0.list(options)
    }

    async fn delete(&self, key: &Key) -> snapferry::error::Result<()> {
        self.0.delete(key).await
    }

    async fn delete_batch(&self, keys: &[Key]) -> snapferry::error::Result<Vec<(Key, snapferry::error::Error)>> {
        self.0.delete_batch(keys).await
    }

    fn capability(&self) -> snapferry::store::Capability {
        self.0.capability()
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_serves_in_turn_is_never_waited_for_in_vain() {
    use support::forge::{Action, Family, Forge, Kind, Outcome};
    let store = MemoryStore::default();
    let mut forge = Forge::new(Family::F4, 1);
    for number in 0..60 {
        let index = format!("index-{number}");
        forge.run(&Action::CreateIndex { index: index.clone(), shards: 5, kind: Kind::Plain }, &store);
        forge.run(&Action::Write { index }, &store);
    }
    forge.run(&Action::CreateSnapshot { name: "s".to_owned(), outcome: Outcome::Success }, &store);
    let queue = Arc::new(Queue(store.clone(), tokio::sync::Mutex::default()));
    let target = MemoryStore::default();
    let options = quick();
    let copied = sync(queue, Arc::new(target.clone()), &options);
    // The clock is only moved when nobody has anything to do: whoever waits for ever is found at once.
    let report = tokio::time::timeout(std::time::Duration::from_secs(10), copied).await.expect("it ends");
    must_be_done(&report, "in turn");
    assert_eq!(judge(&target, "in turn"), judge(&store, "the source"));
}
