//! What `inspect` says of repositories that real clusters wrote: against the clusters' own answers, and against sums made here with
//! other means.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use assert_cmd::Command;
use jiff::Timestamp;
use serde_json::Value;
use serde_smile::value::Value as Smile;
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::event::Silent;
use snapferry::ops::inspect::{Options, Report, Snapshot, run};
use snapferry::store::{MemoryStore, ObjectStore as _};
use support::copy::{end, key, memory_of};
use support::fixture::{scratch, tree, unpack};
use tokio_util::sync::CancellationToken;

/// Every repository here but that of the format before 5.0.
fn fixtures() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = std::fs::read_dir(directory).expect("it is there");
    let names = entries.filter_map(|entry| entry.expect("readable").file_name().into_string().ok());
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".tar.gz").map(ToOwned::to_owned)).collect();
    names.retain(|name| !name.starts_with("es-2."));
    names.sort();
    assert!(names.len() >= 18, "{names:?}");
    names
}

/// What the cluster answered.
fn truth(name: &str) -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files = [format!("{name}.truth.json"), format!("{name}.snapshots.json")];
    let text =
        files.iter().find_map(|file| std::fs::read_to_string(directory.join(file)).ok()).expect("one of them is there");
    let answer: Value = serde_json::from_str(&text).expect("it is JSON");
    answer["snapshots"].as_array().expect("a list").clone()
}

fn everything() -> Options {
    Options { sizes: true, garbage: true, ..Options::default() }
}

async fn inspect(store: &MemoryStore, options: &Options) -> Result<Report> {
    run(&end("place", Arc::new(store.clone())), options, Arc::new(Silent), &CancellationToken::new()).await
}

async fn inspected(store: &MemoryStore, options: &Options) -> Report {
    inspect(store, options).await.unwrap_or_else(|error| panic!("{error}"))
}

fn unpacked(name: &str) -> (tempfile::TempDir, PathBuf) {
    let scratch = scratch();
    let place = unpack(name, scratch.path());
    (scratch, place)
}

fn loaded(name: &str) -> MemoryStore {
    let (_scratch, place) = unpacked(name);
    memory_of(&place, Timestamp::UNIX_EPOCH)
}

/// Decodes a metadata blob by other means than the product's: the header is found by its version, nothing is checked.
fn decoded(blob: &[u8]) -> Smile {
    let body = &blob[9 + usize::from(blob[4])..blob.len() - 16];
    let Some(packed) = body.strip_prefix(b"DFL\0") else { return serde_smile::from_slice(body).expect("SMILE") };
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(packed).read_to_end(&mut plain).expect("deflated");
    serde_smile::from_slice(&plain).expect("SMILE")
}

fn member<'a>(value: &'a Smile, name: &str) -> Option<&'a Smile> {
    let Smile::Object(members) = value else { panic!("no object: {value:?}") };
    members.iter().find(|(member, _)| member.as_str() == name).map(|(_, value)| value)
}

fn number(value: &Smile, name: &str) -> u64 {
    match member(value, name) {
        Some(Smile::Integer(number)) => u64::try_from(*number).expect("not negative"),
        Some(Smile::Long(number)) => u64::try_from(*number).expect("not negative"),
        other => panic!("{name} is {other:?}"),
    }
}

fn text(value: &Smile, name: &str) -> String {
    let Some(Smile::String(text)) = member(value, name) else { panic!("{name} is no text") };
    text.clone()
}

/// Bytes and files of a snapshot, whole and written, with the names that it needs in the shards: from a walk over all files.
struct Sum {
    whole: (u64, u64),
    written: (u64, u64),
    needs: BTreeSet<String>,
}

fn sum(files: &BTreeMap<String, Vec<u8>>, uuid: &str) -> Sum {
    let mut sum = Sum { whole: (0, 0), written: (0, 0), needs: BTreeSet::new() };
    let tail = format!("/snap-{uuid}.dat");
    for (name, blob) in files.iter().filter(|(name, _)| name.ends_with(&tail)) {
        let shard = name.strip_suffix(&tail).expect("it was looked for");
        let says = decoded(blob);
        sum.written.0 += number(&says, "total_size");
        sum.written.1 += number(&says, "number_of_files");
        sum.needs.insert(name.clone());
        let Some(Smile::Array(entries)) = member(&says, "files") else { panic!("no files") };
        for entry in entries {
            let (blob, length) = (text(entry, "name"), number(entry, "length"));
            sum.whole.0 += length;
            sum.whole.1 += 1;
            if blob.starts_with("v__") {
                continue;
            }
            let (whole, part) = (format!("{shard}/{blob}"), format!("{shard}/{blob}.part"));
            let objects: Vec<&String> =
                files.keys().filter(|name| **name == whole || name.starts_with(&part)).collect();
            let there: u64 = objects.iter().map(|name| files[*name].len() as u64).sum();
            assert_eq!(there, length, "{whole} has the bytes that are counted");
            sum.needs.extend(objects.into_iter().cloned());
        }
    }
    sum
}

fn compare(told: &Snapshot, truth: &Value, place: &str) {
    let field = |name: &str| truth.get(name).filter(|value| !value.is_null());
    let name = field("name").or_else(|| field("snapshot")).expect("it has one");
    assert_eq!(
        (told.name.as_str(), told.uuid.as_str()),
        (name.as_str().expect("text"), truth["uuid"].as_str().expect("text"))
    );
    assert_eq!(Some(told.state.as_str()), truth["state"].as_str(), "{place}");
    assert_eq!(told.version.as_deref(), truth["version"].as_str(), "{place}");
    assert_eq!(told.include_global_state, truth["include_global_state"].as_bool(), "{place}");
    for (ours, theirs) in [
        (told.start_time_in_millis, "start_time_in_millis"),
        (told.end_time_in_millis, "end_time_in_millis"),
        (told.duration_in_millis, "duration_in_millis"),
        (told.version_id, "version_id"),
    ] {
        if let Some(theirs) = field(theirs) {
            assert_eq!(ours, theirs.as_i64(), "{place}: {theirs}");
        }
    }
    if let Some(shards) = field("shards") {
        assert_eq!(serde_json::to_value(told.shards).expect("numbers"), *shards, "{place}");
    }
    let mut indices: BTreeSet<String> = match &truth["indices"] {
        Value::Array(names) => names.iter().map(|name| name.as_str().expect("text").to_owned()).collect(),
        other => other.as_object().expect("an object").keys().cloned().collect(),
    };
    let others = truth.get("other_indices").and_then(Value::as_array);
    indices.extend(others.into_iter().flatten().map(|name| name.as_str().expect("text").to_owned()));
    assert_eq!(told.indices.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), indices, "{place}");
}

#[tokio::test]
async fn every_repository_is_told_as_its_cluster_told_it() {
    for name in fixtures() {
        let report = inspected(&loaded(&name), &everything()).await;
        let truth = truth(&name);
        assert_eq!(report.snapshots.len(), truth.len(), "{name}");
        assert!(!report.is_damaged(), "{name}: {:?}", report.snapshots);
        for told in &report.snapshots {
            let its = truth.iter().find(|snapshot| snapshot["uuid"].as_str() == Some(&told.uuid));
            compare(told, its.expect("the cluster has it"), &name);
        }
        let family = match name.as_str() {
            name if name.starts_with("es-5") || name.starts_with("es-6") => "F1",
            name if name.starts_with("es-7.10") || name.starts_with("opensearch") => "F3",
            _ => "F4",
        };
        assert_eq!((report.family, report.repository_uuid.is_some()), (family, family == "F4"), "{name}");
        assert_eq!(report.shards_outside, name.starts_with("opensearch-3.6"), "{name}");
    }
}

#[tokio::test]
async fn sizes_are_those_of_the_files_that_lie_there_and_garbage_is_all_the_rest() {
    for name in fixtures() {
        let (_scratch, place) = unpacked(&name);
        let files = tree(&place);
        let report = inspected(&memory_of(&place, Timestamp::UNIX_EPOCH), &everything()).await;
        let mut needs = BTreeSet::new();
        for told in &report.snapshots {
            let sum = sum(&files, &told.uuid);
            assert_eq!((told.bytes, told.files), (Some(sum.whole.0), Some(sum.whole.1)), "{name}, {}", told.name);
            let written = (told.incremental_bytes, told.incremental_files);
            assert_eq!(written, (Some(sum.written.0), Some(sum.written.1)), "{name}, {}", told.name);
            needs.extend(sum.needs);
        }
        // What lies in shards and no snapshot needs, but for their lists, of which one each is needed.
        let in_shard = |name: &&String| name.rsplit('/').nth(1).is_some_and(|shard| shard.parse::<u32>().is_ok());
        let lists = |name: &&String| name.rsplit('/').next().is_some_and(|name| name.starts_with("index-"));
        let left: Vec<&String> =
            files.keys().filter(in_shard).filter(|name| !lists(name) && !needs.contains(*name)).collect();
        let garbage = report.garbage.expect("it was asked for");
        let told: u64 =
            ["data", "shard_snapshots"].iter().filter_map(|kind| Some(garbage.kinds.get(kind)?.objects)).sum();
        assert_eq!(told, left.len() as u64, "{name}: {left:?}, {:?}", garbage.kinds);
        assert_eq!(garbage.undecided.objects, 0, "{name}");
        let shards: BTreeSet<&str> =
            files.keys().filter(in_shard).filter_map(|name| Some(name.rsplit_once('/')?.0)).collect();
        let lists = files.keys().filter(in_shard).filter(lists).count();
        let stale = garbage.kinds.get("shard_lists").map_or(0, |totals| totals.objects);
        assert!(stale >= (lists - shards.len().min(lists)) as u64, "{name}: {stale} of {lists}");
        assert!(!garbage.kinds.contains_key("foreign"), "{name}: {:?}", garbage.kinds);
    }
}

#[tokio::test]
async fn opensearch_counts_the_same_files_and_bytes_of_every_index() {
    for name in ["opensearch-2.19.6-logs", "opensearch-3.6.0-logs", "opensearch-3.8.0-logs"] {
        let options = Options { snapshots: vec!["*".to_owned()], sizes: true, ..Options::default() };
        let report = inspected(&loaded(name), &options).await;
        for told in &report.snapshots {
            let truth =
                truth(name).into_iter().find(|its| its["uuid"].as_str() == Some(&told.uuid)).expect("it has it");
            assert_eq!(told.index_details.len(), truth["indices"].as_object().expect("an object").len());
            for index in &told.index_details {
                let its = &truth["indices"][index.name.as_str()];
                assert_eq!(
                    (Some(index.sizes.bytes), Some(index.sizes.files), index.shards.map(u64::from)),
                    (its["bytes"].as_u64(), its["files"].as_u64(), its["shards"].as_u64()),
                    "{name}, {}, {}",
                    told.name,
                    index.name
                );
            }
        }
    }
}

#[tokio::test]
async fn what_no_snapshot_needs_is_told_by_its_kind() {
    let store = loaded("es-8.12-logs");
    let before = inspected(&store, &everything()).await;
    assert_eq!(before.garbage.as_ref().expect("asked for").totals.objects, 0);
    let shard = store
        .contents()
        .keys()
        .find_map(|key| Some(key.as_str().split_once("/__")?.0.to_owned()))
        .expect("there is one");
    let id = shard.split('/').nth(1).expect("it has one");
    for (name, bytes) in [
        (format!("{shard}/__UnreferencedBlob0000000"), 100),
        (format!("{shard}/__UnreferencedBlob0000000.part0"), 10),
        (format!("{shard}/__UnreferencedBlob0000000.part1"), 1),
        (format!("{shard}/index-SupersededList00000000"), 5),
        (format!("{shard}/snap-DeletedSnapshot000000.dat"), 6),
        (format!("{shard}/other/file"), 2),
        ("indices/DeletedIndex0000000000/0/__blob".to_owned(), 7),
        ("indices/DeletedIndex0000000000/meta-x.dat".to_owned(), 8),
        (format!("indices/{id}/meta-OldMetadata000000000.dat"), 9),
        (format!("indices/{id}/99/__blob"), 11),
        ("index-2".to_owned(), 12),
        ("snap-DeletedSnapshot000000.dat".to_owned(), 13),
        ("meta-DeletedSnapshot000000.dat".to_owned(), 14),
        ("tests-abc/master.dat".to_owned(), 15),
        ("pending-index-9".to_owned(), 16),
        ("README.txt".to_owned(), 17),
        // Ours, and no garbage.
        ("index.snapferry".to_owned(), 18),
        ("snapferry.lease".to_owned(), 19),
    ] {
        store.insert(key(&name), vec![0; bytes], Timestamp::UNIX_EPOCH);
    }
    let after = inspected(&store, &everything()).await;
    let bytes = |report: &Report| report.snapshots.iter().map(|snapshot| snapshot.bytes).collect::<Vec<_>>();
    assert_eq!(bytes(&after), bytes(&before), "no shard is counted twice");
    let garbage = after.garbage.expect("asked for");
    let told: BTreeMap<&str, (u64, u64)> =
        garbage.kinds.iter().map(|(kind, totals)| (*kind, (totals.objects, totals.bytes))).collect();
    let expected = [
        ("data", (5, 129)),
        ("foreign", (2, 19)),
        ("index_metadata", (2, 17)),
        ("leftovers", (2, 31)),
        ("roots", (1, 12)),
        ("shard_lists", (1, 5)),
        ("shard_snapshots", (1, 6)),
        ("snapshot_metadata", (2, 27)),
    ];
    assert_eq!(told, BTreeMap::from(expected));
    assert_eq!(garbage.totals.objects, 16);
}

fn changed(store: &MemoryStore, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = store.contents()[&key(name)].to_vec();
    change(&mut bytes);
    store.insert(key(name), bytes, Timestamp::UNIX_EPOCH);
}

/// The key of the first object that fits.
fn first(store: &MemoryStore, fits: impl Fn(&str) -> bool) -> String {
    store.contents().keys().map(|key| key.as_str().to_owned()).find(|key| fits(key)).expect("there is one")
}

#[tokio::test]
async fn damaged_and_missing_metadata_is_told_with_its_snapshot_and_stops_nothing() {
    let depth = |key: &str| key.split('/').count();
    for family in ["es-5.6.16-main", "es-8.12-logs"] {
        let whole = inspected(&loaded(family), &everything()).await;
        for (what, segments, prefix) in [("a snapshot", 1, "snap-"), ("an index", 3, "meta-"), ("a shard", 4, "snap-")]
        {
            for missing in [false, true] {
                let store = loaded(family);
                let name = first(&store, |key| {
                    depth(key) == segments && key.rsplit('/').next().is_some_and(|name| name.starts_with(prefix))
                });
                if missing {
                    store.delete(&key(&name)).await.expect("it was there");
                } else {
                    changed(&store, &name, |bytes| bytes[30] ^= 1);
                }
                let report = inspected(&store, &everything()).await;
                assert!(report.is_damaged(), "{family}, {what}, {missing}");
                let told: Vec<&Snapshot> =
                    report.snapshots.iter().filter(|snapshot| snapshot.damaged.is_some()).collect();
                assert!(told[0].damaged.as_ref().expect("it is").contains(&name), "{told:?}");
                assert_eq!(report.snapshots.len(), whole.snapshots.len());
                let names = |report: &Report| -> BTreeSet<String> {
                    report
                        .snapshots
                        .iter()
                        .map(|snapshot| format!("{} {}", snapshot.name, snapshot.indices.len()))
                        .collect()
                };
                assert_eq!(names(&report), names(&whole), "{what}: the root still tells its name and its indices");
                let garbage = |report: &Report| report.garbage.as_ref().expect("asked for").totals;
                assert_eq!(garbage(&report), garbage(&whole), "{family}, {what}: what may be needed is no garbage");
            }
        }
    }
}

async fn refused(store: &MemoryStore) -> Error {
    inspect(store, &Options::default()).await.expect_err("it is refused")
}

#[tokio::test]
async fn a_higher_number_that_is_no_root_is_told_beside_the_one_that_is() {
    let store = loaded("es-8.12-logs");
    store.insert(key("index-999999"), "{}", Timestamp::UNIX_EPOCH);
    let error = refused(&store).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let told = format!("{error}; {}", error.advice().unwrap_or_default());
    assert!(told.contains("`index-999999`") && told.contains("`index-4`") && told.contains("move it away"), "{told}");
    assert!(told.contains("s3://place"), "{told}");
}

#[tokio::test]
async fn what_is_no_repository_is_told_as_what_it_is() {
    let empty = MemoryStore::default();
    assert_eq!(refused(&empty).await.kind(), ErrorKind::NotFound);
    let other = MemoryStore::default();
    other.insert(key("index.html"), "<html>", Timestamp::UNIX_EPOCH);
    assert_eq!(refused(&other).await.kind(), ErrorKind::NotFound);

    let ancient = refused(&loaded("es-2.4.6-main")).await;
    assert_eq!(ancient.kind(), ErrorKind::Unsupported);
    assert!(ancient.to_string().contains("Elasticsearch 2"), "{ancient}");

    let rootless = loaded("es-8.12-logs");
    rootless.delete(&key("index-4")).await.expect("it was there");
    let error = refused(&rootless).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("no root"), "{error}");

    for (root, kind) in [
        ("not json", ErrorKind::Corrupt),
        (r#"{"snapshots":[],"indices":{"i":{"id":"I","snapshots":["nobody"]}}}"#, ErrorKind::Corrupt),
        (r#"{"min_version":"99.0.0","snapshots":[],"indices":{}}"#, ErrorKind::Unsupported),
        (r#"{"snapshots":[],"indices":{},"something":7}"#, ErrorKind::Unsupported),
    ] {
        let store = loaded("es-8.12-logs");
        store.insert(key("index-4"), root, Timestamp::UNIX_EPOCH);
        let error = refused(&store).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("s3://place") && error.advice().is_some(), "{error}");
    }
}

#[tokio::test]
async fn what_is_asked_for_by_name_is_told_down_to_its_files() {
    let store = loaded("es-8.12-logs-chunked-uncompressed");
    let options = Options {
        snapshots: vec!["daily-3".to_owned()],
        indices: vec!["logs-*-??.01".to_owned(), "*.02".to_owned()],
        files: true,
        sizes: true,
        ..Options::default()
    };
    let error = inspect(&store, &options).await.expect_err("a pattern matches nothing");
    assert!(error.to_string().contains("logs-*-??.01") && error.advice().is_some(), "{error}");
    let options = Options { indices: vec!["*.02".to_owned()], ..options };
    let report = inspected(&store, &options).await;
    assert_eq!((report.snapshots.len(), report.snapshots[0].indices.len()), (1, 3));
    let index = &report.snapshots[0].index_details[0];
    assert_eq!(
        (index.name.as_str(), index.shards, index.created.as_deref()),
        ("logs-2026.11.02", Some(2), Some("8.12.1-8.12.2"))
    );
    let files: Vec<_> = index.shard_files.values().flatten().collect();
    assert_eq!(files.iter().map(|file| file.length).sum::<u64>(), index.sizes.bytes);
    assert!(files.iter().any(|file| file.parts > 1) && files.iter().any(|file| file.is_virtual && file.key.is_none()));
    let contents = store.contents();
    for file in files.iter().filter(|file| !file.is_virtual) {
        let name = file.key.as_deref().expect("it is an object");
        let objects = contents.iter().filter(|(key, _)| {
            key.as_str().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(".part"))
        });
        let (count, bytes) = objects.fold((0, 0), |(count, sum), (_, bytes)| (count + 1, sum + bytes.len() as u64));
        assert_eq!((count, bytes), (file.parts, file.length), "{name}");
    }
}

#[tokio::test]
async fn a_partial_snapshot_is_read_without_the_shards_that_it_lacks() {
    let store = loaded("es-8.12-movies");
    // Made partial here: no fixture has one.
    let (name, uuid) = ("snapshot_movies_1", "0nIClZ-xQgCsZ6TTtWZ2ew");
    let info = serde_json::json!({"snapshot": {
        "name": name, "uuid": uuid, "version_id": 8_500_010, "indices": ["movies"], "state": "PARTIAL", "start_time": 1, "end_time": 3,
        "total_shards": 1, "successful_shards": 0,
        "failures": [{"index": "movies", "shard_id": 0, "reason": "the disk was full"}],
    }});
    let blob = snapferry::repo::Codec::Snapshot.encode(&info).expect("it can be written");
    store.insert(key(&format!("snap-{uuid}.dat")), blob, Timestamp::UNIX_EPOCH);
    let shard = first(&store, |key| key.ends_with(&format!("/0/snap-{uuid}.dat")));
    store.delete(&key(&shard)).await.expect("it was there");
    let targets = vec!["es-8.12".parse().expect("a version")];
    let report = inspected(&store, &Options { targets, ..everything() }).await;
    assert!(!report.is_damaged());
    let told = report.snapshots.iter().find(|snapshot| snapshot.name == name).expect("it is listed");
    assert_eq!((told.shards.failed, told.bytes, told.failures.len()), (1, Some(0), 1));
    assert_eq!(told.restorable[0].verdict, "partial");
    assert!(told.restorable[0].indices[0].reason.as_ref().expect("it has one").contains("1 of its 1 shards"));
}

#[tokio::test]
async fn what_is_damaged_or_failed_is_never_said_to_restore() {
    let targets = vec!["es-8.12".parse().expect("a version")];
    let options = Options { targets, ..everything() };
    let store = loaded("es-8.12-logs");
    let list = first(&store, |name| name.starts_with("indices/") && name.contains("/snap-"));
    changed(&store, &list, |blob| blob.truncate(20));
    let report = inspected(&store, &options).await;
    assert!(report.is_damaged());
    for snapshot in &report.snapshots {
        let told = &snapshot.restorable[0];
        assert_eq!(told.verdict == "yes", snapshot.damaged.is_none(), "{snapshot:?}");
        assert_eq!(told.indices.iter().any(|index| index.verdict == "no"), snapshot.damaged.is_some());
    }
    for (state, word) in [(0, "IN_PROGRESS"), (2, "FAILED"), (4, "INCOMPATIBLE")] {
        let store = loaded("es-8.12-logs");
        changed(&store, "index-4", |root| {
            let mut value: Value = serde_json::from_slice(root).expect("JSON");
            value["snapshots"][0]["state"] = state.into();
            *root = value.to_string().into_bytes();
        });
        let report = inspected(&store, &options).await;
        let failed: Vec<&Snapshot> = report.snapshots.iter().filter(|snapshot| snapshot.state == word).collect();
        assert_eq!((failed.len(), failed[0].restorable[0].verdict), (1, "no"), "{failed:?}");
    }
}

/// `snapferry` in a directory of its own, with nothing of this machine's configuration.
fn snapferry(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("snapferry").expect("it was built");
    command.current_dir(home).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
    command.args(arguments).output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What is told, without the place of this test.
fn shown(output: &Output, place: &Path) -> String {
    stdout(output).replace(&place.display().to_string(), "/place")
}

#[test]
fn the_tables_fit_a_terminal() {
    let (home, place) = unpacked("es-7.10.2-main");
    let url = format!("file://{}", place.display());
    let output = snapferry(home.path(), &["inspect", &url, "--for", "es-8.12", "--for", "os-3", "--garbage"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    insta::assert_snapshot!("inspect-tables", shown(&output, &place));
    let deep = snapferry(home.path(), &["inspect", &url, "--snapshot", "s6", "--index", "alpha", "--files"]);
    assert_eq!(deep.status.code(), Some(0), "{deep:?}");
    insta::assert_snapshot!("inspect-files", shown(&deep, &place));
    for line in stdout(&output).lines().chain(stdout(&deep).lines()).filter(|line| !line.contains("file://")) {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn the_help_teaches() {
    let home = scratch();
    insta::assert_snapshot!("inspect-help", stdout(&snapferry(home.path(), &["inspect", "--help"])));
}

#[test]
fn the_document_has_the_fields_it_promises() {
    let (home, place) = unpacked("es-8.12-logs");
    let url = format!("file://{}", place.display());
    let output = snapferry(home.path(), &["inspect", &url, "--json", "--for", "es-7.17", "--for", "es-8.12.2"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!((told["command"].as_str(), told["outcome"].as_str()), (Some("inspect"), Some("done")));
    assert_eq!((told["family"].as_str(), told["generation"].as_u64()), (Some("F4"), Some(4)));
    assert_eq!(told["repository_uuid"].as_str(), Some("JlgCMRH-Sc6tPAKlrpACZA"));
    assert_eq!(told["for"], serde_json::json!(["elasticsearch-7.17", "elasticsearch-8.12.2"]));
    let snapshot = &told["snapshots"][0];
    for field in [
        "name",
        "uuid",
        "state",
        "version",
        "start_time_in_millis",
        "end_time_in_millis",
        "indices",
        "data_streams",
        "bytes",
        "incremental_bytes",
    ] {
        assert!(!snapshot[field].is_null(), "{field}: {snapshot}");
    }
    assert_eq!(snapshot["shards"], serde_json::json!({"total": 6, "failed": 0, "successful": 6}));
    let restorable = |place: usize| {
        (snapshot["restorable"][place]["for"].as_str(), snapshot["restorable"][place]["verdict"].as_str())
    };
    assert_eq!(
        (restorable(0), restorable(1)),
        ((Some("elasticsearch-7.17"), Some("no")), (Some("elasticsearch-8.12.2"), Some("yes")))
    );
    assert_eq!(snapshot["restorable"][0]["indices"][0]["verdict"], "no");
    let quick = snapferry(home.path(), &["inspect", &url, "--json", "--no-sizes"]);
    let quick: Value = serde_json::from_slice(&quick.stdout).expect("one document");
    assert!(quick["snapshots"][0]["bytes"].is_null());
    assert_eq!(quick["requests"]["get"], 4, "the root and three snapshots");
}

#[test]
fn exit_codes_tell_damage_from_nothing_there_and_from_a_wrong_word() {
    let (home, place) = unpacked("es-8.12-logs");
    let url = format!("file://{}", place.display());
    let code = |arguments: &[&str]| snapferry(home.path(), &[&["inspect"], arguments].concat()).status.code();
    assert_eq!(code(&[&url]), Some(0));
    assert_eq!(code(&[&url, "--for", "8.12"]), Some(2));
    assert_eq!(code(&[&url, "--snapshot", "nobody"]), Some(2));
    assert_eq!(code(&[&url, "--files"]), Some(2));
    assert_eq!(code(&[&format!("file://{}", home.path().display())]), Some(2));
    std::fs::write(place.join("snap-sCICA1dQT1uTAYxUcgy0PQ.dat"), "rubbish").expect("writable");
    let damaged = snapferry(home.path(), &["inspect", &url, "--json"]);
    let told: Value = serde_json::from_slice(&damaged.stdout).expect("one document");
    assert_eq!((damaged.status.code(), told["outcome"].as_str()), (Some(4), Some("findings")));
    std::fs::write(place.join("index-999999"), "{}").expect("writable");
    let broken = snapferry(home.path(), &["inspect", &url, "--json"]);
    let told: Value = serde_json::from_slice(&broken.stdout).expect("one document");
    assert_eq!((broken.status.code(), told["error"]["kind"].as_str()), (Some(4), Some("corrupt")));
}
