//! `snapferry verify`: nothing is found in what real clusters wrote, and every kind of damage is found, named and put right.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value as Json;
use serde_smile::value::Value;
use snapferry::error::ErrorKind;
use snapferry::event::{Event, Reporter, Silent};
use snapferry::ops::verify::{Level, Options, Places, Portion, Report, run};
use snapferry::repo::audit::{FindingKind, Severity};
use snapferry::repo::{Base, Codec, Reader, RootIndex, audit};
use snapferry::store::wrap::{Fault, Faulty, Operation};
use snapferry::store::{Key, MemoryStore};
use support::copy::{end, key, memory_of, quick};
use support::fixture::{scratch, unpack};
use support::forge::{Action, Family, Forge, Kind, Outcome};
use tokio_util::sync::CancellationToken;

/// Everything but the repository of Elasticsearch 2.
const FIXTURES: [&str; 18] = [
    "es-5.6.16-main",
    "es-5.6.16-main-stateA",
    "es-5.6.16-main-stateB",
    "es-5.6.16-parts-stateA",
    "es-5.6.16-parts-stateB",
    "es-6.8.23-main",
    "es-7.10.2-main",
    "es-7.17.28-main",
    "es-8.12-logs",
    "es-8.12-logs-chunked-uncompressed",
    "es-8.12-movies",
    "es-8.12.2-again-stateA",
    "es-8.12.2-again-stateB",
    "es-9.0.0-main",
    "opensearch-2.19.6-logs",
    "opensearch-2.5-movies",
    "opensearch-3.6.0-logs",
    "opensearch-3.8.0-logs",
];
/// Files in several parts.
const CUT: &str = "es-8.12-logs-chunked-uncompressed";

fn fixture(name: &str) -> MemoryStore {
    let scratch = scratch();
    memory_of(&unpack(name, scratch.path()), Timestamp::UNIX_EPOCH)
}

/// Another store with the same objects.
fn again(store: &MemoryStore) -> MemoryStore {
    let other = MemoryStore::default();
    for (key, bytes) in store.contents() {
        other.insert(key, bytes, Timestamp::UNIX_EPOCH);
    }
    other
}

fn put(store: &MemoryStore, name: &str, bytes: impl Into<Bytes>) {
    store.insert(key(name), bytes, Timestamp::UNIX_EPOCH);
}

fn remove(store: &MemoryStore, name: &str) {
    let kept: Vec<(Key, Bytes)> = store.contents().into_iter().filter(|(key, _)| key.as_str() != name).collect();
    futures::executor::block_on(snapferry::store::ObjectStore::delete(store, &key(name))).expect("it can be deleted");
    assert_eq!(store.contents().len(), kept.len());
}

fn options(level: Level) -> Options {
    Options { level, portion: Portion::All, transfer: quick().transfer }
}

async fn look(store: &MemoryStore, level: Level) -> Report {
    verify(store, None, None, &options(level)).await
}

async fn verify(
    store: &MemoryStore,
    source: Option<&MemoryStore>,
    repair: Option<&MemoryStore>,
    options: &Options,
) -> Report {
    let place = end("place", Arc::new(store.clone()));
    let source = source.map(|store| end("source", Arc::new(store.clone())));
    let repair_from = repair.map(|store| end("other", Arc::new(store.clone())));
    let places = Places { place: &place, source: source.as_ref(), repair_from: repair_from.as_ref() };
    run(&places, options, Arc::new(Silent), &CancellationToken::new()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The kinds of errors that were found.
fn errors(report: &Report) -> Vec<FindingKind> {
    assert!(report.error.is_none(), "{:?}", report.error);
    let findings = report.audited.findings.iter().filter(|finding| finding.severity == Severity::Error);
    findings.map(|finding| finding.kind).collect()
}

fn kinds(report: &Report) -> BTreeSet<FindingKind> {
    report.audited.findings.iter().map(|finding| finding.kind).collect()
}

/// The first key that a test accepts.
fn find(store: &MemoryStore, is: impl Fn(&str) -> bool) -> String {
    store.contents().keys().map(Key::as_str).find(|key| is(key)).expect("there is one").to_owned()
}

fn is_blob(key: &str) -> bool {
    key.contains("/__") && !key.contains(".part")
}

/// Changes one bit in the middle of an object.
fn flip(store: &MemoryStore, name: &str) {
    let mut bytes = store.contents()[&key(name)].to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    put(store, name, bytes);
}

/// Rewrites a metadata blob, so that its envelope is right again.
fn edit(store: &MemoryStore, name: &str, codec: Codec, change: impl FnOnce(&mut Value)) {
    let mut value: Value = codec.decode(name, &store.contents()[&key(name)]).expect("it is whole");
    change(&mut value);
    put(store, name, codec.encode(&value).expect("it can be written"));
}

fn member<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    match value {
        Value::Object(members) => members.get_mut(name).expect("it has that member"),
        other => panic!("{other:?} has no members"),
    }
}

fn items(value: &mut Value) -> &mut Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => panic!("{other:?} is no list"),
    }
}

#[tokio::test]
async fn what_real_clusters_wrote_is_whole_at_every_level() {
    for name in FIXTURES {
        let store = fixture(name);
        for level in [Level::Structure, Level::Presence, Level::Content] {
            let report = look(&store, level).await;
            assert!(
                report.error.is_none() && report.audited.findings.is_empty(),
                "{name}: {:?}",
                report.audited.findings
            );
            assert!(report.audited.moved.is_none());
            assert!(!report.audited.snapshots.is_empty(), "{name}");
            for snapshot in &report.audited.snapshots {
                assert!(snapshot.restorable || !snapshot.indices_partial.is_empty(), "{name}: {snapshot:?}");
            }
        }
    }
}

/// A history with everything in it: snapshots of all outcomes, indices made anew with other numbers of shards, deletions.
fn history() -> Vec<Action> {
    let text = ToOwned::to_owned;
    let create = |index: &str, shards| Action::CreateIndex { index: text(index), shards, kind: Kind::Plain };
    let write = |index: &str| Action::Write { index: text(index) };
    let take = |name: &str, outcome| Action::CreateSnapshot { name: text(name), outcome };
    let mut actions = vec![create("a", 2), create("b", 1), take("s0", Outcome::Success)];
    for number in 1..5 {
        actions.extend([write("a"), write("b"), take(&format!("s{number}"), Outcome::Success)]);
    }
    actions.extend([
        Action::RecreateIndex { index: text("a"), shards: 3 },
        write("a"),
        take("p", Outcome::Partial),
        take("f", Outcome::Failed),
        Action::DeleteSnapshot { name: text("s1") },
        Action::Merge { index: text("b") },
        take("s1", Outcome::Success),
        Action::DeleteIndex { index: text("b") },
        take("last", Outcome::Success),
        Action::DeleteSnapshot { name: text("last") },
        Action::Cleanup,
    ]);
    actions
}

#[tokio::test]
async fn a_repository_of_any_family_is_whole_while_its_cluster_writes() {
    for family in Family::ALL {
        let (mut forge, store) = (Forge::new(family, 7).chunked(100), MemoryStore::default());
        for (number, action) in history().into_iter().enumerate() {
            forge.begin(&action);
            while let Some(step) = forge.step() {
                step.apply(&store);
                // The first actions are there to make something of which later ones take away.
                if number < 12 || support::copy::newest_root(&store.contents()).is_none() {
                    continue;
                }
                let report = look(&store, Level::Presence).await;
                // Between a root without a snapshot and its `index.latest`, nothing tells a deletion from an old root.
                let mut found = errors(&report);
                found.retain(|kind| *kind != FindingKind::StaleRoot);
                assert_eq!(found, [], "{family:?} {action:?}: {:?}", report.audited.findings);
            }
            if support::copy::newest_root(&store.contents()).is_some() {
                let report = look(&store, Level::Content).await;
                assert_eq!(errors(&report), [], "{family:?} after {action:?}: {:?}", report.audited.findings);
                for one in &report.audited.snapshots {
                    let broken = one.name == "f" || (one.name == "p" && one.indices > 0);
                    assert_eq!(one.restorable, !broken, "{family:?}: {one:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_selected_copy_is_whole_and_what_it_leaves_out_is_missing_beside_its_source() {
    for family in Family::ALL {
        let (mut forge, source) = (Forge::new(family, 11), MemoryStore::default());
        for action in history() {
            forge.run(&action, &source);
        }
        let copy = MemoryStore::default();
        let mut selected = quick();
        selected.repository.selection.snapshots = vec![snapferry::repo::Pick::name("s[24]").expect("a glob")];
        let synced = support::copy::sync(Arc::new(source.clone()), Arc::new(copy.clone()), &selected).await;
        assert!(synced.error.is_none() && synced.summary.failed.objects == 0, "{family:?}: {:?}", synced.error);
        let report = look(&copy, Level::Content).await;
        assert_eq!(errors(&report), [], "{family:?}: {:?}", report.audited.findings);
        let names: Vec<&str> = report.audited.snapshots.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names.iter().copied().collect::<BTreeSet<_>>(), ["s2", "s4"].into(), "{family:?}");
        let beside = verify(&copy, Some(&source), None, &options(Level::Content)).await;
        let missing: BTreeSet<FindingKind> = errors(&beside).into_iter().collect();
        assert_eq!(missing, [FindingKind::MissingSnapshot].into(), "{family:?}: {:?}", beside.audited.findings);
        // The whole repository heals its part.
        let blob = find(&copy, |key| key.contains("/__"));
        flip(&copy, &blob);
        let repaired = verify(&copy, None, Some(&source), &options(Level::Content)).await;
        assert_eq!((errors(&repaired), repaired.repaired.objects), (Vec::new(), 1), "{family:?}");
    }
}

#[tokio::test]
async fn every_object_of_the_closure_that_goes_missing_is_found() {
    for name in ["es-8.12-movies", "es-5.6.16-parts-stateB", "opensearch-3.6.0-logs"] {
        let whole = fixture(name);
        for missing in whole.contents().keys().map(Key::as_str) {
            let optional = missing.starts_with("index") || missing.starts_with("snapshot_shard_paths/");
            // Before 7.6 a shard's own list of files is optional, and other generations may lie about.
            let list = missing.contains("/index-") && name.starts_with("es-5");
            if optional || list || missing == "incompatible-snapshots" {
                continue;
            }
            let store = again(&whole);
            remove(&store, missing);
            let report = look(&store, Level::Presence).await;
            let found = report.audited.findings.iter().any(|finding| finding.key.as_deref() == Some(missing));
            assert!(found, "{name}: {missing}: {:?}", report.audited.findings);
        }
    }
}

#[tokio::test]
async fn one_bit_is_found_by_content_and_by_nothing_less() {
    for name in ["es-9.0.0-main", "es-5.6.16-main", "opensearch-3.6.0-logs"] {
        let store = fixture(name);
        let blob = find(&store, is_blob);
        flip(&store, &blob);
        assert_eq!(errors(&look(&store, Level::Presence).await), []);
        let report = look(&store, Level::Content).await;
        assert_eq!(errors(&report), [FindingKind::CorruptBlob], "{name}");
        let finding = &report.audited.findings[0];
        assert_eq!(finding.key.as_deref(), Some(blob.as_str()));
        assert!(finding.index.is_some() && finding.shard.is_some() && finding.file.is_some(), "{finding:?}");
        let broken = report.audited.snapshots.iter().filter(|snapshot| !snapshot.restorable).count() as u64;
        assert!(finding.snapshot_count > 0 && broken >= finding.snapshot_count, "{finding:?}");
        let lost: Vec<&String> =
            report.audited.snapshots.iter().flat_map(|snapshot| &snapshot.indices_not_restorable).collect();
        assert!(lost.iter().all(|index| Some(*index) == finding.index.as_ref()) && !lost.is_empty());
    }
}

#[tokio::test]
async fn a_missing_part_and_a_wrong_length_are_found_by_presence() {
    let whole = fixture(CUT);
    let part = find(&whole, |key| key.ends_with(".part1"));
    let store = again(&whole);
    remove(&store, &part);
    assert_eq!(errors(&look(&store, Level::Structure).await), []);
    let report = look(&store, Level::Presence).await;
    assert_eq!(errors(&report), [FindingKind::MissingBlob]);
    assert_eq!(report.audited.findings[0].key.as_deref(), Some(part.as_str()));
    let store = again(&whole);
    put(&store, &part, Bytes::from_static(b"short"));
    assert_eq!(errors(&look(&store, Level::Presence).await), [FindingKind::MismatchedBlobLength]);
}

#[tokio::test]
async fn swapped_blobs_of_equal_length_are_intact_and_not_the_ones_named() {
    let store = fixture("es-9.0.0-main");
    let contents = store.contents();
    let mut by_length: BTreeMap<usize, Vec<&Key>> = BTreeMap::new();
    for (name, bytes) in contents.iter().filter(|(name, _)| is_blob(name.as_str())) {
        by_length.entry(bytes.len()).or_default().push(name);
    }
    let different = |pair: &[&Key]| contents[pair[0]] != contents[pair[1]];
    let pair =
        by_length.values().find_map(|names| names.windows(2).find(|pair| different(pair))).expect("two of a length");
    store.insert(pair[0].clone(), contents[pair[1]].clone(), Timestamp::UNIX_EPOCH);
    store.insert(pair[1].clone(), contents[pair[0]].clone(), Timestamp::UNIX_EPOCH);
    assert_eq!(errors(&look(&store, Level::Presence).await), []);
    assert_eq!(errors(&look(&store, Level::Content).await), [FindingKind::OtherContent; 2]);
}

#[tokio::test]
async fn every_metadata_blob_that_is_cut_short_is_found_by_structure_and_named_rightly() {
    let whole = fixture("es-8.12-logs");
    for name in whole.contents().keys().map(Key::as_str) {
        let last = name.rsplit('/').next().expect("there is one");
        let expected = match (name.split('/').count(), last) {
            (1, last) if last.starts_with("snap-") => FindingKind::CorruptSnapshotInfo,
            (1, last) if last.starts_with("meta-") => FindingKind::CorruptGlobalMetadata,
            (3, last) if last.starts_with("meta-") => FindingKind::CorruptIndexMetadata,
            (4, last) if last.starts_with("snap-") => FindingKind::CorruptShardSnapshot,
            (4, last) if last.starts_with("index-") => FindingKind::CorruptShardGeneration,
            _ => continue,
        };
        let store = again(&whole);
        let bytes = store.contents()[&key(name)].clone();
        put(&store, name, bytes.slice(..bytes.len() - 1));
        let report = look(&store, Level::Structure).await;
        assert_eq!(errors(&report), [expected], "{name}: {:?}", report.audited.findings);
        assert_eq!(report.audited.findings[0].key.as_deref(), Some(name));
        // The right envelope with another codec's name is no better.
        let other = if expected == FindingKind::CorruptGlobalMetadata { Codec::Snapshot } else { Codec::Metadata };
        put(&store, name, other.encode(&Value::Object([].into_iter().collect())).expect("it can be written"));
        let report = look(&store, Level::Structure).await;
        assert_eq!(errors(&report), [expected], "{name}");
        assert!(report.audited.findings[0].message.contains("its codec is"), "{:?}", report.audited.findings[0]);
    }
}

#[tokio::test]
async fn a_changed_virtual_blob_is_found_by_structure() {
    let store = fixture("es-8.12-logs");
    let list = find(&store, |key| key.starts_with("indices/") && key.contains("/0/snap-"));
    edit(&store, &list, Codec::Snapshot, |value| {
        let virtual_blob =
            |file: &mut Value| matches!(member(file, "name"), Value::String(name) if name.starts_with("v__"));
        let held = items(member(value, "files")).iter_mut().find_map(|file| virtual_blob(file).then_some(file));
        match member(held.expect("there is a virtual blob"), "meta_hash") {
            Value::Binary(bytes) => bytes[20] ^= 1,
            other => panic!("{other:?} is no content"),
        }
    });
    let report = look(&store, Level::Structure).await;
    assert_eq!(errors(&report), [FindingKind::CorruptVirtualBlob], "{:?}", report.audited.findings);
    assert_eq!(report.audited.findings[0].key, Some(list));
    assert!(report.audited.snapshots.iter().any(|snapshot| !snapshot.restorable));
}

#[tokio::test]
async fn lists_of_a_shard_that_contradict_each_other_are_told_apart() {
    let whole = fixture("es-8.12-logs");
    let data = |file: &mut Value| matches!(member(file, "name"), Value::String(name) if name.starts_with("__"));
    let list = find(&whole, |name| {
        name.starts_with("indices/") && name.contains("/snap-") && {
            let mut value: Value = Codec::Snapshot.decode(name, &whole.contents()[&key(name)]).expect("it is whole");
            items(member(&mut value, "files")).iter_mut().any(data)
        }
    });
    let store = again(&whole);
    edit(&store, &list, Codec::Snapshot, |value| items(member(value, "files")).retain_mut(|file| !data(file)));
    assert!(errors(&look(&store, Level::Structure).await).contains(&FindingKind::BlobInShardGenerationNotSnapshot));

    let store = again(&whole);
    edit(&store, &list, Codec::Snapshot, |value| {
        let file = items(member(value, "files")).iter_mut().find_map(|file| data(file).then_some(file));
        *member(file.expect("there is one"), "checksum") = Value::String("1".to_owned());
    });
    let found = kinds(&look(&store, Level::Structure).await);
    assert!(found.contains(&FindingKind::ShardGenerationMismatch), "{found:?}");

    let container = list.rsplit_once('/').expect("it has one").0.to_owned();
    let shard_index = find(&whole, |key| key.starts_with(&format!("{container}/index-")));
    let emptied = |what: &str| {
        let store = again(&whole);
        edit(&store, &shard_index, Codec::Snapshots, |value| match member(value, what) {
            Value::Array(items) => items.clear(),
            Value::Object(members) => *members = [].into_iter().collect(),
            other => panic!("{other:?}"),
        });
        store
    };
    let found = kinds(&look(&emptied("files"), Level::Structure).await);
    assert_eq!(found, [FindingKind::BlobInSnapshotNotShardGeneration].into());
    let found = kinds(&look(&emptied("snapshots"), Level::Structure).await);
    assert_eq!(found, [FindingKind::SnapshotNotInShardGeneration].into());
}

#[tokio::test]
async fn the_list_of_another_snapshot_is_found_by_its_name() {
    let whole = fixture("es-8.12-logs");
    let list = find(&whole, |key| key.starts_with("indices/") && key.contains("/0/snap-"));
    let store = again(&whole);
    edit(&store, &list, Codec::Snapshot, |value| *member(value, "name") = Value::String("oth\u{1b}er".to_owned()));
    let report = look(&store, Level::Structure).await;
    assert_eq!(errors(&report), [FindingKind::CorruptShardSnapshot], "{:?}", report.audited.findings);
    let finding = &report.audited.findings[0];
    assert!(finding.key.as_deref() == Some(list.as_str()) && finding.message.contains("`oth\\u{1b}er`"), "{finding:?}");
    assert_eq!(report.audited.snapshots.iter().filter(|one| !one.restorable).count(), 1);
    let repaired = verify(&store, None, Some(&whole), &options(Level::Content)).await;
    assert_eq!((errors(&repaired), repaired.repaired.objects), (Vec::new(), 1));
}

#[tokio::test]
async fn names_with_control_characters_are_told_without_them() {
    let store = fixture("es-8.12-logs");
    edit_root(&store, |root| {
        let indices = root["indices"].as_object_mut().expect("an object");
        let first = indices.keys().next().cloned().expect("an index");
        let moved = indices.remove(&first).expect("it is there");
        indices.insert("evil\u{1b}[2J".to_owned(), moved);
    });
    let report = look(&store, Level::Structure).await;
    assert!(kinds(&report).contains(&FindingKind::CorruptIndexMetadata));
    let with = report.audited.findings.iter().find(|finding| finding.message.contains(char::is_control));
    assert!(with.is_none(), "{with:?}");
}

#[tokio::test]
async fn an_empty_source_is_an_error_and_not_equal_to_anything() {
    for copy in [MemoryStore::default(), memory(&["a"])] {
        let (place, source) = (end("place", Arc::new(copy)), end("source", Arc::new(MemoryStore::default())));
        let places = Places { place: &place, source: Some(&source), repair_from: None };
        let ended = run(&places, &options(Level::Presence), Arc::new(Silent), &CancellationToken::new()).await;
        assert_eq!(ended.expect_err("refused").kind(), ErrorKind::NotFound);
    }
    let missing = verify(&MemoryStore::default(), Some(&memory(&["a"])), None, &options(Level::Presence)).await;
    assert_eq!(errors(&missing), [FindingKind::MissingObject]);
}

#[tokio::test]
async fn a_repository_that_lost_its_root_is_called_damaged() {
    let store = fixture("es-8.12-logs");
    remove(&store, &find(&store, |key| key.starts_with("index-")));
    let place = end("place", Arc::new(store));
    let places = Places { place: &place, source: None, repair_from: None };
    let ended = run(&places, &options(Level::Presence), Arc::new(Silent), &CancellationToken::new()).await;
    assert_eq!(ended.expect_err("refused").kind(), ErrorKind::Corrupt);
}

/// A store with these objects.
fn memory(names: &[&str]) -> MemoryStore {
    let store = MemoryStore::default();
    for name in names {
        put(&store, name, "content");
    }
    store
}

/// Says another number of shards in the metadata of an index.
fn say_shards(store: &MemoryStore, name: &str, count: &str) {
    edit(store, name, Codec::IndexMetadata, |value| {
        let Value::Object(indices) = value else { panic!("{value:?}") };
        let index = indices.values_mut().next().expect("an index");
        *member(member(index, "settings"), "index.number_of_shards") = Value::String(count.to_owned());
    });
}

#[tokio::test]
async fn metadata_that_hides_shards_is_found_by_what_the_snapshots_say() {
    for name in
        ["es-5.6.16-parts-stateB", "es-6.8.23-main", "es-7.10.2-main", "es-8.12.2-again-stateB", "es-9.0.0-main"]
    {
        let whole = fixture(name);
        for meta in
            whole.contents().keys().map(Key::as_str).filter(|key| key.starts_with("indices/") && key.contains("/meta-"))
        {
            let mut said = String::new();
            edit(&again(&whole), meta, Codec::IndexMetadata, |value| {
                let Value::Object(indices) = value else { panic!("{value:?}") };
                let index = indices.values_mut().next().expect("an index");
                said = format!("{:?}", member(member(index, "settings"), "index.number_of_shards"));
            });
            let said: u32 = said.chars().filter(char::is_ascii_digit).collect::<String>().parse().expect("a number");
            if said < 2 {
                continue;
            }
            let store = again(&whole);
            say_shards(&store, meta, &(said - 1).to_string());
            let report = look(&store, Level::Structure).await;
            let findings = &report.audited.findings;
            let finding = findings.iter().find(|finding| finding.kind == FindingKind::ShardCountMismatch);
            let finding = finding.unwrap_or_else(|| panic!("{name}: {meta}: {findings:?}"));
            let lost =
                report.audited.snapshots.iter().find(|one| one.name == finding.snapshots[0]).expect("it is told");
            assert!(!lost.restorable, "{name}: {lost:?}");
            if let Some(index) = &finding.index {
                assert_eq!(lost.indices_not_restorable, std::slice::from_ref(index), "{name}: {findings:?}");
            }
        }
    }
}

/// Rewrites the newest root as JSON.
fn edit_root(store: &MemoryStore, change: impl FnOnce(&mut Json)) {
    let number = support::copy::newest_root(&store.contents()).expect("there is a root");
    let name = format!("index-{number}");
    let mut root: Json = serde_json::from_slice(&store.contents()[&key(&name)]).expect("it is JSON");
    change(&mut root);
    put(store, &name, root.to_string());
}

/// What a test does to a root, given the name of an index.
type Change = fn(&mut Json, &str);

#[tokio::test]
async fn references_of_the_root_that_lead_nowhere_are_found() {
    let whole = fixture("es-8.12-logs");
    let first = |root: &Json| root["indices"].as_object().and_then(|all| all.keys().next().cloned()).expect("an index");
    let cases: [(Change, FindingKind); 6] = [
        (|root, _| drop(root["index_metadata_identifiers"].take()), FindingKind::DanglingLookup),
        (
            |root, index| root["indices"][index]["shard_generations"][0] = "AAAAAAAAAAAAAAAAAAAAAA".into(),
            FindingKind::MissingShardGeneration,
        ),
        (
            |root, index| root["indices"][index]["shard_generations"][0] = Json::Null,
            FindingKind::UndefinedShardGeneration,
        ),
        (
            |root, index| root["indices"][index]["shard_generations"] = Json::Array(Vec::new()),
            FindingKind::ShardCountMismatch,
        ),
        (|root, _| root["snapshots"][0]["name"] = "another".into(), FindingKind::SnapshotNameMismatch),
        (|root, _| root["snapshots"][0]["state"] = 3.into(), FindingKind::SnapshotStateMismatch),
    ];
    for (change, expected) in cases {
        let store = again(&whole);
        edit_root(&store, |root| {
            let index = first(root);
            change(root, &index);
        });
        let report = look(&store, Level::Structure).await;
        assert!(kinds(&report).contains(&expected), "{expected}: {:?}", report.audited.findings);
    }
    let store = again(&whole);
    edit_root(&store, |root| {
        let index = first(root);
        let moved = root["indices"][&index].clone();
        root["indices"].as_object_mut().expect("an object").remove(&index);
        root["indices"]["another"] = moved;
    });
    let found = kinds(&look(&store, Level::Structure).await);
    assert!(found.contains(&FindingKind::SnapshotContentsMismatch), "{found:?}");
    assert!(found.contains(&FindingKind::CorruptIndexMetadata), "the name in it is another: {found:?}");
}

#[tokio::test]
async fn roots_that_hijack_the_repository_are_found() {
    for content in [&b"{}"[..], b"", b"no json", b"{\"tomorrow\":1}"] {
        let store = fixture("es-8.12-logs");
        put(&store, "index-999999", content);
        let report = look(&store, Level::Structure).await;
        assert_eq!(errors(&report), [FindingKind::UnreadableRoot]);
        assert_eq!(report.audited.generation.map(snapferry::repo::Generation::number), Some(4));
        for snapshot in &report.audited.snapshots {
            assert!(!snapshot.restorable && snapshot.is_whole(), "{snapshot:?}");
            assert_eq!(snapshot.hindered_by.as_deref(), Some("index-999999"));
        }
    }
    // What the repository was, under a number above what it is.
    let (old, store) = (fixture("es-5.6.16-main-stateA"), fixture("es-5.6.16-main-stateB"));
    let newest = support::copy::newest_root(&old.contents()).expect("there is a root");
    put(&store, "index-99", old.contents()[&key(&format!("index-{newest}"))].clone());
    let found = kinds(&look(&store, Level::Structure).await);
    assert!(found.contains(&FindingKind::StaleRoot) && found.contains(&FindingKind::WrongLatest), "{found:?}");
    // No root at all that could be read.
    let store = fixture("es-8.12-movies");
    put(&store, "index-1", Bytes::from_static(b"{"));
    assert_eq!(errors(&look(&store, Level::Content).await), [FindingKind::UnreadableRoot]);
}

#[tokio::test]
async fn a_wrong_latest_is_a_warning() {
    for content in [&b"\0\0\0\0\0\0\0\x07"[..], b"4", b""] {
        let store = fixture("es-8.12-logs");
        put(&store, "index.latest", content);
        let report = look(&store, Level::Content).await;
        assert_eq!((errors(&report).len(), kinds(&report)), (0, [FindingKind::WrongLatest].into()));
    }
    let store = fixture("es-8.12-logs");
    remove(&store, "index.latest");
    assert!(look(&store, Level::Content).await.audited.findings.is_empty(), "clusters may be told not to write it");
}

#[tokio::test]
async fn a_broken_list_of_paths_is_a_warning_and_the_shards_are_found_all_the_same() {
    let store = fixture("opensearch-3.6.0-logs");
    let paths = find(&store, |key| key.starts_with("snapshot_shard_paths/"));
    put(&store, &paths, Bytes::from_static(b"{"));
    let report = look(&store, Level::Content).await;
    assert_eq!((errors(&report).len(), kinds(&report)), (0, [FindingKind::CorruptShardPaths].into()));
}

#[tokio::test]
async fn lists_of_all_snapshots_are_optional_before_7_6_and_foreign_names_in_them_a_warning() {
    let store = fixture("es-5.6.16-main");
    for name in store.contents().keys().map(Key::as_str).filter(|name| name.contains("/index-")) {
        remove(&store, name);
    }
    assert!(look(&store, Level::Content).await.audited.findings.is_empty());

    let store = fixture("es-8.12-logs");
    edit_root(&store, |root| {
        let gone = root["snapshots"].as_array_mut().expect("a list").remove(0);
        for index in root["indices"].as_object_mut().expect("an object").values_mut() {
            index["snapshots"].as_array_mut().expect("a list").retain(|uuid| *uuid != gone["uuid"]);
        }
    });
    let report = look(&store, Level::Content).await;
    assert_eq!(errors(&report), [], "{:?}", report.audited.findings);
    assert!(kinds(&report).contains(&FindingKind::ForeignSnapshotInShardGeneration));
}

/// Changes the repository when the audit comes to its shards.
struct Meddler(MemoryStore, Bytes, Vec<String>);

impl Reporter for Meddler {
    fn report(&self, event: &Event<'_>) {
        if let Event::Step("verify the shards") = event {
            put(&self.0, "index-99", self.1.clone());
            put(&self.0, "index.latest", 99u64.to_be_bytes().to_vec());
            self.2.iter().for_each(|name| remove(&self.0, name));
        }
    }
}

#[tokio::test]
async fn what_a_cluster_deletes_meanwhile_is_no_damage() {
    let whole = fixture("es-8.12-logs");
    let mut root: Json = serde_json::from_slice(&whole.contents()[&key("index-4")]).expect("it is JSON");
    let gone = root["snapshots"].as_array_mut().expect("a list").remove(0)["uuid"].as_str().expect("an id").to_owned();
    for index in root["indices"].as_object_mut().expect("an object").values_mut() {
        index["snapshots"].as_array_mut().expect("a list").retain(|uuid| *uuid != gone);
        for generation in index["shard_generations"].as_array_mut().expect("a list") {
            *generation = Json::Null;
        }
    }
    let removed = |name: &str| name.contains(&gone) || name.contains("/index-") || name == "index-4";
    let removed =
        whole.contents().keys().map(Key::as_str).filter(|name| removed(name)).map(ToOwned::to_owned).collect();
    let meddler = Meddler(whole.clone(), root.to_string().into(), removed);
    let place = end("place", Arc::new(whole.clone()));
    let places = Places { place: &place, source: None, repair_from: None };
    let report = run(&places, &options(Level::Presence), Arc::new(meddler), &CancellationToken::new()).await;
    let report = report.expect("it ends");
    assert_eq!(report.audited.moved.map(snapferry::repo::Generation::number), Some(99));
    assert_eq!(errors(&report), [], "{:?}", report.audited.findings);
    assert!(report.audited.snapshots.iter().all(|snapshot| snapshot.uuid != gone && snapshot.restorable));
}

/// Verifies a store that fails by a script.
async fn faulty(store: &MemoryStore, script: impl Fn(&str, u32) -> Option<Fault> + Send + Sync + 'static) -> Report {
    let reads: Mutex<BTreeMap<String, u32>> = Mutex::default();
    let faulty = Faulty::new(Arc::new(store.clone()), move |operation, key, _| {
        let mut reads = reads.lock().expect("nobody panics");
        let count = reads.entry(key.to_owned()).or_default();
        *count += 1;
        if operation == Operation::Get { script(key, *count) } else { None }
    });
    let place = end("place", Arc::new(faulty));
    let places = Places { place: &place, source: None, repair_from: None };
    run(&places, &options(Level::Content), Arc::new(Silent), &CancellationToken::new()).await.expect("it begins")
}

#[tokio::test]
async fn what_is_damaged_on_the_way_is_read_again_before_it_is_called_damaged() {
    let store = fixture("es-8.12-logs");
    let below = |key: &str| key.starts_with("indices/") || key.starts_with("snap-") || key.starts_with("meta-");
    let report = faulty(&store, move |key, count| (below(key) && count == 1).then_some(Fault::Flip(40))).await;
    assert!(report.error.is_none() && report.audited.findings.is_empty(), "{:?}", report.audited.findings);
    let report = faulty(&store, move |key, count| (below(key) && count == 1).then_some(Fault::Break(30))).await;
    assert!(report.error.is_none() && report.audited.findings.is_empty(), "{:?}", report.audited.findings);
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_a_finding_and_a_place_that_cannot_is_an_error() {
    let store = fixture("es-9.0.0-main");
    let blob = find(&store, is_blob);
    let denied = Some(Fault::Fail(ErrorKind::Denied));
    let only = blob.clone();
    let report = faulty(&store, move |key, _| denied.filter(|_| key == only)).await;
    assert_eq!(errors(&report), [FindingKind::UnreadableObject]);
    assert_eq!(report.audited.findings[0].key, Some(blob));
    assert!(report.audited.snapshots.iter().any(|snapshot| !snapshot.restorable));
    let report = faulty(&store, move |key, _| denied.filter(|_| key.contains("/__"))).await;
    assert_eq!(report.error.map(|error| error.kind()), Some(ErrorKind::Denied));
}

#[tokio::test]
async fn all_slices_together_read_every_byte_once() {
    let store = fixture("es-9.0.0-main");
    let whole = look(&store, Level::Content).await.audited.checked;
    let metadata = look(&store, Level::Presence).await.audited.checked;
    let mut read = 0;
    for number in 1..=7 {
        let options = Options { portion: Portion::Slice { number, of: 7 }, ..options(Level::Content) };
        read += verify(&store, None, None, &options).await.audited.checked.bytes - metadata.bytes;
    }
    assert_eq!(read, whole.bytes - metadata.bytes);
    assert_eq!(whole.objects, metadata.objects);
    // A damaged file is found by exactly one of them.
    let blob = find(&store, is_blob);
    flip(&store, &blob);
    let mut found = 0;
    for number in 1..=7 {
        let options = Options { portion: Portion::Slice { number, of: 7 }, ..options(Level::Content) };
        found += errors(&verify(&store, None, None, &options).await).len();
    }
    assert_eq!(found, 1);
}

#[tokio::test]
async fn a_repair_fetches_just_what_is_damaged_and_looks_again() {
    for name in ["es-8.12-logs", CUT, "es-5.6.16-parts-stateB", "opensearch-3.6.0-logs"] {
        let whole = fixture(name);
        let store = again(&whole);
        let blobs: Vec<String> =
            whole.contents().keys().map(Key::to_string).filter(|key| key.contains("/__")).collect();
        flip(&store, &blobs[0]);
        remove(&store, &blobs[blobs.len() - 1]);
        // A list that is not there hides that a file it names is not there either.
        for is in ["/0/snap-", "/meta-"] {
            remove(&store, &find(&whole, |key| key.contains("indices/") && key.contains(is)));
        }
        let damaged = store.contents();
        let report = verify(&store, None, Some(&whole), &options(Level::Content)).await;
        assert_eq!(errors(&report), [], "{name}: {:?}", report.audited.findings);
        assert_eq!(store.contents(), whole.contents());
        let changed = whole.contents().iter().filter(|(key, bytes)| damaged.get(*key) != Some(*bytes)).count();
        assert_eq!(report.repaired.objects, changed as u64, "{name}");
        assert!(report.audited.snapshots.iter().all(|snapshot| snapshot.restorable));
    }
}

#[tokio::test]
async fn what_the_source_has_not_either_stays_a_finding() {
    let whole = fixture("es-8.12-logs");
    let (store, source) = (again(&whole), again(&whole));
    let blob = find(&whole, is_blob);
    remove(&store, &blob);
    flip(&source, &blob);
    let info = find(&whole, |key| key.starts_with("snap-"));
    remove(&store, &info);
    remove(&source, &info);
    let report = verify(&store, None, Some(&source), &options(Level::Content)).await;
    assert_eq!(errors(&report), [FindingKind::MissingSnapshotInfo, FindingKind::MissingBlob]);
    assert_eq!((report.repaired.objects, report.repaired.failed.len()), (0, 2));
    assert!(!store.contents().contains_key(&key(&blob)), "what is damaged never becomes an object");
}

#[tokio::test]
async fn another_repository_repairs_nothing() {
    let (store, other) = (fixture("es-8.12-logs"), fixture("es-9.0.0-main"));
    remove(&store, &find(&store, is_blob));
    let (place, from) = (end("place", Arc::new(store)), end("other", Arc::new(other)));
    let places = Places { place: &place, source: None, repair_from: Some(&from) };
    let ended = run(&places, &options(Level::Presence), Arc::new(Silent), &CancellationToken::new()).await;
    assert_eq!(ended.expect_err("refused").kind(), ErrorKind::Diverged);
}

#[tokio::test]
async fn a_copy_below_another_base_path_is_repaired_where_its_shards_lie() {
    let whole = fixture("opensearch-3.6.0-logs");
    let moved = MemoryStore::default();
    for (name, bytes) in whole.contents() {
        let name = match name.as_str().split_once("/indices/") {
            Some((hash, rest)) if !name.as_str().starts_with("indices/") => format!("{hash}/new/base/indices/{rest}"),
            _ => format!("new/base/{name}"),
        };
        put(&moved, &name, bytes);
    }
    let number = support::copy::newest_root(&whole.contents()).expect("there is a root");
    let bytes = whole.contents()[&key(&format!("index-{number}"))].clone();
    let root = Arc::new(RootIndex::parse("index", &bytes).expect("it is whole"));
    let base = Base { store: Arc::new(moved.clone()), path: "new/base/".to_owned() };
    let reader = || async { Reader::new(base.clone(), root.clone()).await.expect("it can be read") };
    let source = Reader::new(Base::at_root(Arc::new(whole.clone())), root.clone()).await.expect("it can be read");
    let before = moved.contents();
    let blob = find(&moved, is_blob);
    remove(&moved, &blob);
    remove(&moved, &find(&moved, |key| key.contains("/indices/") && key.contains("/meta-")));
    let look = || async {
        let roots = audit::Roots::read(&base).await.expect("readable").expect("a root");
        let options = audit::Options { level: audit::Level::Content, ..audit::Options::default() };
        let audit = audit::Audit::new(reader().await, roots, options, Arc::new(Silent));
        audit.run().await.expect("it ends");
        audit.finish().await.expect("it ends")
    };
    let found = look().await;
    assert_eq!(found.count(Severity::Error), 2, "{:?}", found.findings);
    let repair =
        audit::Repair::new(source, reader().await, quick().transfer.retry, Arc::new(Silent)).expect("the same");
    let healed = repair.heal(&found.findings).await;
    assert_eq!((healed.objects, healed.failed.len()), (2, 0), "{:?}", healed.failed);
    assert_eq!(moved.contents(), before);
    assert_eq!(look().await.count(Severity::Error), 0);
}

#[tokio::test]
async fn two_repositories_are_compared_by_identity_without_reading_the_source_data() {
    let (old, new) = (fixture("es-8.12.2-again-stateA"), fixture("es-8.12.2-again-stateB"));
    let same = verify(&again(&new), Some(&new), None, &options(Level::Content)).await;
    assert_eq!(same.audited.findings.len(), 0, "{:?}", same.audited.findings);
    // The copy is behind: it lacks what is new at the source, and still has what is gone there.
    let behind = verify(&old, Some(&new), None, &options(Level::Presence)).await;
    let found = kinds(&behind);
    assert!(found.contains(&FindingKind::MissingSnapshot) && found.contains(&FindingKind::ExtraSnapshot), "{found:?}");
    // The data of the source is not looked at.
    let source = MemoryStore::default();
    for (name, bytes) in new.contents().into_iter().filter(|(name, _)| !name.as_str().contains("/__")) {
        source.insert(name, bytes, Timestamp::UNIX_EPOCH);
    }
    let report = verify(&new, Some(&source), None, &options(Level::Content)).await;
    assert_eq!(report.audited.findings.len(), 0, "{:?}", report.audited.findings);
    // A list that says something else is told, whoever is right.
    let list = find(&source, |key| key.starts_with("indices/") && key.contains("/0/snap-"));
    edit(&source, &list, Codec::Snapshot, |value| {
        let file = &mut items(member(value, "files"))[0];
        *member(file, "checksum") = Value::String("1".to_owned());
    });
    let report = verify(&new, Some(&source), None, &options(Level::Presence)).await;
    assert_eq!(errors(&report), [FindingKind::DifferentFiles]);
    remove(&source, &list);
    let report = verify(&new, Some(&source), None, &options(Level::Presence)).await;
    assert_eq!(errors(&report), [FindingKind::UnreadableSource]);
}

#[tokio::test]
async fn plain_places_are_compared_by_key_length_checksum_and_content() {
    let (source, copy) = (MemoryStore::default(), MemoryStore::default());
    for (name, content) in [("a", "same"), ("b", "left"), ("c", "longer"), ("d", "only here")] {
        put(&source, name, content);
    }
    for (name, content) in [("a", "same"), ("b", "lefT"), ("c", "long"), ("e", "only there")] {
        put(&copy, name, content);
    }
    for (level, differs) in [(Level::Structure, false), (Level::Presence, true), (Level::Content, true)] {
        let report = verify(&copy, Some(&source), None, &options(level)).await;
        let found: Vec<(FindingKind, &str)> = report
            .audited
            .findings
            .iter()
            .map(|finding| (finding.kind, finding.key.as_deref().unwrap_or_default()))
            .collect();
        let mut expected = vec![(FindingKind::MissingObject, "d"), (FindingKind::MismatchedLength, "c")];
        expected.extend(differs.then_some((FindingKind::DifferentContent, "b")));
        expected.push((FindingKind::ExtraObject, "e"));
        assert_eq!(found, expected, "{level:?}");
        assert_eq!((report.mode, report.audited.checked.objects), ("plain", 5));
    }
}

/// The program in a directory of its own.
fn snapferry(home: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = assert_cmd::Command::cargo_bin("snapferry").expect("it was built");
    let output = command.current_dir(home).env_clear().env("HOME", home).args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it was not killed"), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_program_tells_its_findings_and_its_verdict() {
    let scratch = scratch();
    let home = scratch.path();
    for name in ["es-8.12-logs", "opensearch-3.6.0-logs"] {
        let place = format!("file://{}", unpack(name, home).display());
        let (code, out, err) = snapferry(home, &["verify", &place, "--level", "content"]);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.lines().last().is_some_and(|line| line.starts_with("verdict: nothing is wrong; ")), "{out}");
    }
    let source = format!("file://{}", home.join("es-8.12-logs").display());
    let copy = unpack("es-8.12-logs", &{
        let other = home.join("other");
        std::fs::create_dir(&other).expect("a new directory");
        other
    });
    let copied = format!("file://{}", copy.display());
    let blob = support::fixture::tree(&copy).into_keys().find(|name| is_blob(name)).expect("there is one");
    std::fs::remove_file(copy.join(&blob)).expect("it is there");
    let (code, out, err) = snapferry(home, &["verify", &source, &copied, "--json"]);
    assert_eq!(code, 4, "{out}{err}");
    let document: Json = serde_json::from_str(&out).expect("one document");
    assert_eq!((document["command"].as_str(), document["outcome"].as_str()), (Some("verify"), Some("findings")));
    for field in [
        "location",
        "source",
        "level",
        "family",
        "generation",
        "checked",
        "snapshots",
        "repaired",
        "requests",
        "elapsed_seconds",
    ] {
        assert!(!document[field].is_null(), "{field}");
    }
    let finding = &document["findings"][0];
    assert_eq!((finding["kind"].as_str(), finding["severity"].as_str()), (Some("missing-blob"), Some("error")));
    assert_eq!(finding["key"].as_str(), Some(blob.as_str()));
    let broken = document["snapshots"].as_array().expect("a list").iter().find(|one| one["restorable"] == false);
    assert!(broken.is_some_and(|one| one["indices_not_restorable"][0].is_string()), "{document}");
    let (code, out, _) = snapferry(home, &["verify", &copied]);
    assert!(code == 4 && out.contains("error: missing-blob (1): "), "{out}");
    let (code, out, err) = snapferry(home, &["verify", &copied, "--repair-from", &source]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("repaired 1 object"), "{out}");
    let (code, out, err) = snapferry(home, &["verify", &source, &copied, "--sample", "50%", "--seed", "7"]);
    assert!(code == 0 && out.contains("a sample of 50% (`--seed 7`)"), "{out}{err}");
}

#[test]
fn what_cannot_be_verified_is_said_with_what_to_do() {
    let scratch = scratch();
    let home = scratch.path();
    std::fs::create_dir_all(home.join("plain")).expect("a new directory");
    std::fs::write(home.join("plain/a"), "a").expect("writable");
    let old = unpack("es-2.4.6-main", home);
    let place = |name: &str| format!("file://{}/{name}", home.display());
    for (arguments, says) in [
        (vec![place("plain")], "verify SOURCE LOCATION"),
        (vec![place("nowhere")], "letter by letter"),
        (vec![format!("file://{}", old.display())], "Elasticsearch 2"),
        (
            vec![place("plain"), "--slice".to_owned(), "1/2".to_owned(), "--level".to_owned(), "presence".to_owned()],
            "--level content",
        ),
        (vec![place("plain"), place("plain/a")], "neither inside the other"),
    ] {
        let arguments: Vec<&str> = ["verify"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        let (code, out, err) = snapferry(home, &arguments);
        assert!(code == 2 && err.contains(says), "{arguments:?}: {code} {out}{err}");
    }
}
