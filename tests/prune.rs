//! What a copy no longer needs goes, and nothing else: on real repositories at two times, and on selections of them.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use snapferry::error::ErrorKind;
use snapferry::event::{Event, Reporter, Silent};
use snapferry::ops::prune::{Options, Report, preview, run};
use snapferry::repo::surplus::SurplusKind;
use snapferry::repo::{
    BlobKind, Codec, Containers, FileEntry, IndexMeta, Name, RootIndex, ShardSnapshot, SnapshotInfo, kind,
};
use snapferry::repo::{Keep, KeptIndices, rewrite_root as root};
use snapferry::store::wrap::{Fault, Faulty, Operation};
use snapferry::store::{MemoryStore, ObjectStore};
use support::copy::{end, key, newest_root, quick};
use support::fixture::{scratch, tree, unpack};
use tokio_util::sync::CancellationToken;

type Files = BTreeMap<String, Vec<u8>>;

const PAIRS: [&str; 3] = ["es-5.6.16-main", "es-5.6.16-parts", "es-8.12.2-again"];

fn files(name: &str) -> Files {
    let directory = scratch();
    tree(&unpack(name, directory.path()))
}

/// A copy of a pair's first state onto which the second was copied.
fn union(pair: &str) -> (Files, Files) {
    let newer = files(&format!("{pair}-stateB"));
    let mut both = files(&format!("{pair}-stateA"));
    both.extend(newer.clone());
    (both, newer)
}

fn store(files: &Files) -> MemoryStore {
    let store = MemoryStore::default();
    for (name, content) in files {
        store.insert(key(name), content.clone(), Timestamp::UNIX_EPOCH);
    }
    store
}

fn contents(store: &MemoryStore) -> Files {
    let named = store.contents().into_iter().map(|(key, bytes)| (key.as_str().to_owned(), bytes.to_vec()));
    named.filter(|(name, _)| name != "snapferry.lease").collect()
}

fn options() -> Options {
    Options { grace: Duration::ZERO, max_share: 100, retry: quick().transfer.retry }
}

async fn prune(store: Arc<dyn ObjectStore>, options: &Options) -> Report {
    prune_told(store, options, Arc::new(Silent)).await
}

async fn prune_told(store: Arc<dyn ObjectStore>, options: &Options, reporter: Arc<dyn Reporter>) -> Report {
    run(&end("copy", store), options, &reporter, &CancellationToken::new()).await
}

async fn pruned(files: &Files) -> Files {
    let store = store(files);
    let report = prune(Arc::new(store.clone()), &options()).await;
    assert!(report.error.is_none(), "{:?}", report.error);
    contents(&store)
}

fn generations(files: &Files) -> Vec<u64> {
    let mut found: Vec<u64> = files.keys().filter_map(|name| name.strip_prefix("index-")?.parse().ok()).collect();
    found.sort_unstable();
    found
}

fn newest(files: &Files) -> RootIndex {
    let name = format!("index-{}", generations(files).last().expect("there is a root"));
    RootIndex::parse(&name, &files[&name]).unwrap_or_else(|error| panic!("{error}"))
}

/// What the newest root needs, by a walk of its own: every object must be there, data with its length.
fn closure(files: &Files) -> BTreeSet<String> {
    let root = newest(files);
    let mut needed = BTreeSet::new();
    let mut take = |name: String| -> Vec<u8> {
        let content = files.get(&name).unwrap_or_else(|| panic!("`{name}` is gone")).clone();
        needed.insert(name);
        content
    };
    take(format!("index-{}", generations(files).last().expect("there is a root")));
    for snapshot in &root.snapshots {
        let name = format!("snap-{}.dat", snapshot.uuid);
        let info = SnapshotInfo::parse(&name, &take(name.clone())).unwrap_or_else(|error| panic!("{error}"));
        let name = format!("meta-{}.dat", snapshot.uuid);
        Codec::Metadata.check(&name, &take(name.clone())).unwrap_or_else(|error| panic!("{error}"));
        for (index, entry) in root.indices.iter().filter(|(_, entry)| entry.snapshots.contains(&snapshot.uuid)) {
            let name = format!("indices/{}/meta-{}.dat", entry.id, root.index_meta(snapshot, entry));
            let meta = IndexMeta::parse(&name, &take(name.clone())).unwrap_or_else(|error| panic!("{error}"));
            let containers = Containers::new(entry.path_type().expect("known"), &entry.id, None).expect("known");
            for shard in (0..meta.number_of_shards()).filter(|shard| !info.has_failed(index, *shard)) {
                let container = containers.of("", shard);
                if let Some(generation) = entry.generation(shard) {
                    take(format!("{container}index-{generation}"));
                }
                let name = format!("{container}snap-{}.dat", snapshot.uuid);
                let list = ShardSnapshot::parse(&name, &take(name.clone())).unwrap_or_else(|error| panic!("{error}"));
                for part in list.files.iter().flat_map(FileEntry::parts) {
                    let content = take(format!("{container}{}", part.name));
                    assert_eq!(content.len() as u64, part.length, "{container}{}", part.name);
                }
            }
        }
    }
    needed
}

/// The numbered lists of files that belong to indices which are still there.
fn numbered(files: &Files) -> BTreeSet<String> {
    let root = newest(files);
    let ids: BTreeSet<&str> = root.indices.values().map(|entry| entry.id.as_str()).collect();
    let is_numbered = |name: &&String| {
        let mut segments = name.split('/').rev();
        let number = segments.next().and_then(|last| last.strip_prefix("index-")?.parse::<u64>().ok()).is_some();
        number && segments.nth(1).is_some_and(|id| ids.contains(id))
    };
    files.keys().filter(is_numbered).cloned().collect()
}

/// What must be left after a prune of `before`.
fn expected(before: &Files) -> BTreeSet<String> {
    let mut expected = closure(before);
    expected.extend(numbered(before));
    let previous = generations(before).into_iter().rev().nth(1);
    expected.extend(previous.map(|previous| format!("index-{previous}")));
    let ids: BTreeSet<Name> = newest(before).indices.values().map(|entry| entry.id.clone()).collect();
    let others = before.keys().filter(|name| match kind(name) {
        BlobKind::Latest | BlobKind::Incompatible | BlobKind::Foreign => !name.contains("/indices/"),
        BlobKind::ShardPaths => ids.iter().any(|id| name.contains(id.as_str())),
        _ => false,
    });
    expected.extend(others.cloned());
    expected
}

fn names(files: &Files) -> BTreeSet<String> {
    files.keys().cloned().collect()
}

#[tokio::test]
async fn of_two_states_exactly_the_newer_and_the_root_before_it_are_left() {
    for pair in PAIRS {
        let (both, newer) = union(pair);
        let after = pruned(&both).await;
        assert_eq!(names(&after), expected(&both), "{pair}");
        assert!(names(&after).len() < names(&both).len(), "{pair}: something went");
        for (name, content) in &after {
            assert_eq!(content, newer.get(name).unwrap_or(content), "{pair}: {name}");
        }
        // Everything that the newer state has is still there, but for its own superseded roots.
        let lost: Vec<&String> = newer.keys().filter(|name| !after.contains_key(*name)).collect();
        assert!(lost.iter().all(|name| matches!(kind(name), BlobKind::RootIndex(_))), "{pair}: {lost:?}");
        assert_eq!(pruned(&after).await, after, "{pair}: once more changes nothing");
    }
}

/// A repository with one more root, in which only `keep` is left.
fn selected(files: &Files, keep: &Keep) -> Files {
    let number = generations(files).last().expect("there is a root").to_owned();
    let source = Bytes::from(files[&format!("index-{number}")].clone());
    let mut files = files.clone();
    let bytes = root(&source, keep).unwrap_or_else(|error| panic!("{error}"));
    files.insert(format!("index-{}", number + 1), bytes.to_vec());
    files.insert("index.latest".to_owned(), (number + 1).to_be_bytes().to_vec());
    files
}

#[tokio::test]
async fn of_a_selection_exactly_what_it_needs_is_left() {
    for name in [
        "es-6.8.23-main",
        "es-7.10.2-main",
        "es-7.17.28-main",
        "es-8.12-logs-chunked-uncompressed",
        "es-9.0.0-main",
        "opensearch-2.5-movies",
        "opensearch-2.19.6-logs",
        "opensearch-3.6.0-logs",
        "opensearch-3.8.0-logs",
    ] {
        let all = files(name);
        let listed = newest(&all);
        let one = |uuid: &Name, kept: KeptIndices| Keep {
            snapshots: BTreeMap::from([(uuid.clone(), kept)]),
            ..Keep::default()
        };
        let mut keeps = vec![Keep::default()];
        for snapshot in &listed.snapshots {
            keeps.push(one(&snapshot.uuid, KeptIndices::All));
            for index in listed.indices.values().filter(|index| index.snapshots.contains(&snapshot.uuid)) {
                let these = KeptIndices::These(Arc::new(BTreeSet::from([index.id.clone()])));
                keeps.push(one(&snapshot.uuid, these.clone()));
                // All snapshots, of one index.
                let of = |snapshot: &snapferry::repo::SnapshotEntry| (snapshot.uuid.clone(), these.clone());
                keeps.push(Keep { snapshots: listed.snapshots.iter().map(of).collect(), ..Keep::default() });
            }
        }
        for keep in keeps {
            let before = selected(&all, &keep);
            let after = pruned(&before).await;
            assert_eq!(names(&after), expected(&before), "{name}: {:?}", keep.snapshots);
        }
    }
}

#[tokio::test]
async fn broken_off_after_any_deletion_it_ends_in_the_same_place() {
    for pair in PAIRS {
        let (both, _) = union(pair);
        let straight = pruned(&both).await;
        let whole = store(&both);
        let deletions = prune(Arc::new(whole), &options()).await.deleted.values().map(|totals| totals.objects).sum();
        for after in 0..deletions {
            let left = store(&both);
            let count = AtomicU64::new(0);
            let broken = Faulty::new(Arc::new(left.clone()), move |operation, _, _| {
                let is_over = operation == Operation::Delete && count.fetch_add(1, Ordering::SeqCst) >= after;
                is_over.then_some(Fault::Fail(ErrorKind::Denied))
            });
            let report = prune(Arc::new(broken), &options()).await;
            assert_eq!(report.error.expect("it was broken off").kind(), ErrorKind::Corrupt);
            assert_eq!(report.deleted.values().map(|totals| totals.objects).sum::<u64>(), after);
            closure(&contents(&left));
            let report = prune(Arc::new(left.clone()), &options()).await;
            assert!(report.error.is_none(), "{pair}, {after}: {:?}", report.error);
            assert_eq!(contents(&left), straight, "{pair}, {after}");
        }
    }
}

/// A shard in which something vanished and something survives, with a snapshot that survives.
fn shard_of_survivor(both: &Files) -> (String, String) {
    let (root, needed) = (newest(both), closure(both));
    let uuids: Vec<&str> = root.snapshots.iter().map(|snapshot| snapshot.uuid.as_str()).collect();
    let vanished = |container: &str| {
        both.keys().any(|name| name.starts_with(container) && name.contains("/snap-") && !needed.contains(name))
    };
    let found = needed.iter().filter(|name| name.starts_with("indices/") && name.contains("/snap-")).find_map(|name| {
        let (container, _) = name.rsplit_once("snap-")?;
        let uuid = uuids.iter().find(|uuid| name.contains(**uuid))?;
        vanished(container).then(|| (container.to_owned(), (*uuid).to_owned()))
    });
    found.expect("there is one")
}

/// Nothing may have gone, and the error says why.
async fn refused(files: &Files, kind: ErrorKind) {
    let store = store(files);
    let report = prune(Arc::new(store.clone()), &options()).await;
    let error = report.error.expect("refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(&contents(&store), files, "nothing was deleted");
    assert!(error.to_string().starts_with("cannot prune `s3://copy`: "), "{error}");
}

#[tokio::test]
async fn damage_in_what_survives_refuses_and_deletes_nothing() {
    for pair in PAIRS {
        let (mut both, _) = union(pair);
        let (container, uuid) = shard_of_survivor(&both);
        // Without the list of all snapshots the list of each is read.
        both.retain(|name, _| name.strip_prefix(&container).is_none_or(|rest| !rest.starts_with("index-")));
        let store = store(&both);
        let report = prune(Arc::new(store.clone()), &options()).await;
        assert!(report.error.is_none(), "{pair}: {:?}", report.error);
        let list = format!("{container}snap-{uuid}.dat");
        let mut damaged = both.clone();
        damaged.get_mut(&list).expect("it is there")[30] ^= 4;
        refused(&damaged, ErrorKind::Corrupt).await;
        damaged.remove(&list);
        refused(&damaged, ErrorKind::Corrupt).await;
    }
}

#[tokio::test]
async fn a_refused_read_of_what_survives_deletes_nothing() {
    let (both, _) = union("es-8.12.2-again");
    let (container, _) = shard_of_survivor(&both);
    let left = store(&both);
    let denied = Faulty::new(Arc::new(left.clone()), move |operation, name, _| {
        let list = name.strip_prefix(&container).is_some_and(|rest| rest.starts_with("index-"));
        (operation == Operation::Get && list).then_some(Fault::Fail(ErrorKind::Denied))
    });
    let report = prune(Arc::new(denied), &options()).await;
    assert_eq!(report.error.expect("refused").kind(), ErrorKind::Denied);
    assert_eq!(contents(&left), both);
}

#[tokio::test]
async fn a_newest_root_that_is_none_and_a_place_without_one_are_refused() {
    let (mut both, _) = union("es-8.12.2-again");
    both.insert("index-999999".to_owned(), b"{}".to_vec());
    let left = store(&both);
    let error = prune(Arc::new(left.clone()), &options()).await.error.expect("refused");
    assert_eq!((error.kind(), contents(&left)), (ErrorKind::Corrupt, both));
    let error = prune(Arc::new(MemoryStore::default()), &options()).await.error.expect("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Keeps what it is told, and may act on it.
struct Told<F>(Mutex<Vec<String>>, F);

impl<F: Fn(&str) + Send + Sync> Reporter for Told<F> {
    fn report(&self, event: &Event<'_>) {
        if let Event::Warning(text) | Event::Step(text) = event {
            self.0.lock().expect("no panic").push((*text).to_owned());
            (self.1)(text);
        }
    }
}

#[tokio::test]
async fn damage_in_what_vanished_leaves_its_shard_alone() {
    for pair in PAIRS {
        let (mut both, _) = union(pair);
        let (container, _) = shard_of_survivor(&both);
        let needed = closure(&both);
        let gone = both
            .keys()
            .find(|name| name.starts_with(&container) && name.contains("/snap-") && !needed.contains(*name))
            .expect("there is one")
            .clone();
        both.get_mut(&gone).expect("it is there")[30] ^= 4;
        let left = store(&both);
        let told = Arc::new(Told(Mutex::default(), |_: &str| {}));
        let report = prune_told(Arc::new(left.clone()), &options(), told.clone()).await;
        assert!(report.error.is_none(), "{pair}: {:?}", report.error);
        let mut expected = expected(&both);
        expected.extend(both.keys().filter(|name| name.starts_with(&container)).cloned());
        assert_eq!(names(&contents(&left)), expected, "{pair}");
        let told = told.0.lock().expect("no panic");
        assert!(told.iter().any(|text| text.contains(&gone) && text.contains("left alone")), "{told:?}");
    }
}

#[tokio::test]
async fn an_older_root_that_cannot_be_read_or_is_another_repositorys_is_left_alone() {
    let (both, _) = union("es-8.12.2-again");
    let other = files("es-9.0.0-main");
    let root = other.iter().find(|(name, _)| matches!(kind(name), BlobKind::RootIndex(_))).expect("it has one").1;
    for content in [b"{".to_vec(), root.clone()] {
        let mut files = both.clone();
        files.insert("index-0".to_owned(), content.clone());
        let after = pruned(&files).await;
        assert_eq!(after.get("index-0"), Some(&content));
        assert_eq!(after.len(), expected(&both).len() + 1);
    }
}

#[tokio::test]
async fn an_object_that_no_root_named_is_never_touched() {
    let (mut both, _) = union("es-8.12.2-again");
    let (container, _) = shard_of_survivor(&both);
    let strangers = [
        format!("{container}__unknown"),
        format!("{container}snap-unknown.dat"),
        format!("{container}index-unknown"),
        "indices/unknown/0/__1".to_owned(),
        "snap-unknown.dat".to_owned(),
        "notes.txt".to_owned(),
        "index-99x".to_owned(),
    ];
    both.extend(strangers.iter().map(|name| (name.clone(), b"x".to_vec())));
    let after = pruned(&both).await;
    assert!(strangers.iter().all(|name| after.contains_key(name)));
}

#[tokio::test]
async fn a_name_that_a_survivor_uses_with_other_content_stays() {
    for pair in ["es-5.6.16-main", "es-5.6.16-parts"] {
        let (both, newer) = union(pair);
        let older = files(&format!("{pair}-stateA"));
        let reused: Vec<&String> = newer
            .iter()
            .filter(|(name, content)| {
                kind(name) == BlobKind::CounterBlob && older.get(*name).is_some_and(|old| old != *content)
            })
            .map(|(name, _)| name)
            .collect();
        assert!(!reused.is_empty(), "{pair}");
        let after = pruned(&both).await;
        for name in reused {
            assert_eq!(after.get(name), newer.get(name), "{pair}: {name}");
        }
    }
}

#[tokio::test]
async fn more_than_the_share_that_may_go_refuses_and_deletes_nothing() {
    let (both, _) = union("es-8.12.2-again");
    let needed = closure(&both).len() as u64;
    let gone: u64 = prune(Arc::new(store(&both)), &options()).await.surplus.values().map(|totals| totals.objects).sum();
    let least = u8::try_from((gone * 100).div_ceil(gone + needed)).expect("a share");
    for (max_share, refused) in [(0, true), (least - 1, true), (least, false), (100, false)] {
        let left = store(&both);
        let report = prune(Arc::new(left.clone()), &Options { max_share, ..options() }).await;
        assert_eq!(report.error.is_some(), refused, "{max_share}: {:?}", report.error);
        if let Some(error) = report.error {
            assert_eq!((error.kind(), contents(&left)), (ErrorKind::Invalid, both.clone()));
            assert!(error.advice().expect("a hint").contains(&format!("--max-share {least}%")), "{error:?}");
            assert_eq!(report.kept, needed, "all were counted");
        }
    }
}

#[tokio::test]
async fn a_preview_deletes_nothing_and_says_what_would_go() {
    let (both, _) = union("es-5.6.16-parts");
    let left = store(&both);
    let reporter: Arc<dyn Reporter> = Arc::new(Silent);
    let copy = end("copy", Arc::new(left.clone()));
    let mut found = preview(&copy, &options(), &reporter, &CancellationToken::new()).await.expect("it can be read");
    assert_eq!(contents(&left), both);
    let listed: BTreeSet<String> = SurplusKind::ALL
        .into_iter()
        .flat_map(|kind| found.surplus.take(kind).into_entries())
        .map(|object| object.expect("in memory").key.as_str().to_owned())
        .collect();
    let after = names(&pruned(&both).await);
    // Of what went by a name that no longer held anything there is nothing to list.
    assert_eq!(names(&both).difference(&after).cloned().collect::<BTreeSet<_>>(), &listed & &names(&both));
}

#[tokio::test(start_paused = true)]
async fn readers_are_waited_for_and_a_root_that_is_published_meanwhile_stops_it() {
    let (both, _) = union("es-8.12.2-again");
    let published = format!("index-{}", generations(&both).last().expect("there is a root"));
    let fresh = || {
        let left = store(&both);
        left.insert(key(&published), both[&published].clone(), Timestamp::now());
        left
    };
    let grace = Options { grace: Duration::from_mins(10), ..options() };

    let left = fresh();
    let begun = tokio::time::Instant::now();
    let report = prune(Arc::new(left.clone()), &grace).await;
    assert!(report.error.is_none(), "{:?}", report.error);
    assert!(report.waited > Duration::from_secs(590) && begun.elapsed() >= report.waited, "{:?}", report.waited);
    assert_eq!(names(&contents(&left)), expected(&both));

    let left = fresh();
    let (during, bytes) = (left.clone(), both[&published].clone());
    let next = newest_root(&left.contents()).expect("there is a root") + 1;
    let told = Told(Mutex::default(), move |text: &str| {
        if text.starts_with("wait") {
            during.insert(key(&format!("index-{next}")), bytes.clone(), Timestamp::now());
        }
    });
    let report = prune_told(Arc::new(left.clone()), &grace, Arc::new(told)).await;
    assert_eq!(report.error.expect("it moved").kind(), ErrorKind::SourceMoved);
    assert_eq!(contents(&left).len(), both.len() + 1, "nothing was deleted");

    let left = fresh();
    let cancel = CancellationToken::new();
    let cancelled = cancel.clone();
    let told: Arc<dyn Reporter> = Arc::new(Told(Mutex::default(), move |text: &str| {
        if text.starts_with("wait") {
            cancelled.cancel();
        }
    }));
    let report = run(&end("copy", Arc::new(left.clone())), &grace, &told, &cancel).await;
    assert_eq!(report.error.expect("cancelled").kind(), ErrorKind::Cancelled);
    assert_eq!(contents(&left), both);
}

#[tokio::test]
async fn a_second_prune_reads_no_shard() {
    let (both, _) = union("es-8.12.2-again");
    let left = store(&both);
    prune(Arc::new(left.clone()), &options()).await;
    let watched = Faulty::new(Arc::new(left), |_, _, _| None);
    let report = prune(Arc::new(watched.clone()), &options()).await;
    assert!(report.error.is_none() && report.surplus.is_empty(), "{:?}", report.surplus);
    let read = |(operation, name): &(Operation, String)| *operation == Operation::Get && name.contains('/');
    assert_eq!(watched.calls().iter().filter(|call| read(call)).count(), 0);
}

#[test]
fn kinds_go_in_the_order_in_which_they_are_listed() {
    assert!(SurplusKind::ALL.is_sorted());
    let words: BTreeSet<&str> = SurplusKind::ALL.into_iter().map(SurplusKind::word).collect();
    assert_eq!(words.len(), SurplusKind::ALL.len());
    for kind in SurplusKind::ALL {
        assert_eq!(serde_json::to_value(kind).expect("a word"), kind.word());
    }
}

#[tokio::test]
async fn nobody_else_works_there_meanwhile_and_the_mark_of_a_failed_copy_stays() {
    let (both, _) = union("es-8.12.2-again");
    let lease = |working: bool| {
        let now = Timestamp::now().to_string();
        let (since, renewed) = (now.clone(), now);
        serde_json::json!({
            "id": "another", "host": "elsewhere", "machine": "another", "process": 7, "began": "1",
            "since": since, "renewed": renewed, "working": working,
        })
        .to_string()
    };
    let left = store(&both);
    left.insert(key("snapferry.lease"), lease(true), Timestamp::now());
    let error = prune(Arc::new(left.clone()), &options()).await.error.expect("held");
    assert_eq!((error.kind(), contents(&left)), (ErrorKind::Precondition, both.clone()));
    left.insert(key("snapferry.lease"), lease(false), Timestamp::now());
    let report = prune(Arc::new(left.clone()), &options()).await;
    assert!(report.error.is_none(), "{:?}", report.error);
    assert!(
        left.contents().contains_key(&key("snapferry.lease")),
        "the next copy is to look for what the failed one left"
    );
    let left = store(&both);
    prune(Arc::new(left.clone()), &options()).await;
    assert!(!left.contents().contains_key(&key("snapferry.lease")));
}
