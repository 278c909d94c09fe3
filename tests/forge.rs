//! The forge of repositories: what it makes is like what clusters make, and whole after every write; and its judge knows both.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use snapferry::repo::{Base, Codec, Reader, RootIndex};
use snapferry::store::{Key, MemoryStore};
use support::copy::{key, memory_of, newest_root};
use support::fixture::{scratch, unpack};
use support::forge::{Action, Family, Forge, Kind, Outcome, Step, complete, complete_at};

fn create(index: &str, shards: usize, kind: Kind) -> Action {
    Action::CreateIndex { index: index.to_owned(), shards, kind }
}

fn write(index: &str) -> Action {
    Action::Write { index: index.to_owned() }
}

fn snapshot(name: &str, outcome: Outcome) -> Action {
    Action::CreateSnapshot { name: name.to_owned(), outcome }
}

fn delete(name: &str) -> Action {
    Action::DeleteSnapshot { name: name.to_owned() }
}

/// Everything that can happen, once.
fn a_long_life() -> Vec<Action> {
    let mut life = vec![
        create("orders", 2, Kind::Plain),
        create(".ds-events-2026.11.01-000001", 1, Kind::DataStream),
        create("mounted", 1, Kind::Hollow),
        write("orders"),
        snapshot("s1", Outcome::Success),
        write("orders"),
        write(".ds-events-2026.11.01-000001"),
        snapshot("s2", Outcome::Partial),
        Action::DeleteDocuments { index: "orders".to_owned() },
        snapshot("s3", Outcome::Failed),
        Action::Merge { index: "orders".to_owned() },
        snapshot("s4", Outcome::Success),
        delete("s4"),
        write("orders"),
        snapshot("s5", Outcome::Success),
        Action::RecreateIndex { index: "orders".to_owned(), shards: 3 },
        write("orders"),
        snapshot("s6", Outcome::Success),
        Action::DeleteIndex { index: "mounted".to_owned() },
    ];
    life.extend([delete("s1"), snapshot("s1", Outcome::Success), delete("s3"), Action::Cleanup]);
    life
}

fn forged(family: Family, seed: u64) -> (Forge, MemoryStore) {
    let (mut forge, store) = (Forge::new(family, seed).chunked(600), MemoryStore::default());
    for action in a_long_life() {
        forge.run(&action, &store);
    }
    (forge, store)
}

/// The fixtures that are repositories from 5.0 on, with the names of the snapshots that their clusters listed.
fn fixtures() -> Vec<(String, Vec<String>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the fixtures are there") {
        let path = entry.expect("readable").path();
        let file = path.file_name().expect("a file").to_str().expect("UTF-8").to_owned();
        let Some((name, _)) = [".truth.json", ".snapshots.json"].iter().find_map(|end| file.split_once(end)) else {
            continue;
        };
        let truth: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).expect("readable")).expect("it is JSON");
        let listed = truth["snapshots"].as_array().expect("it lists snapshots").iter();
        let names = listed.map(|snapshot| snapshot["name"].as_str().or(snapshot["snapshot"].as_str()));
        let mut names: Vec<String> = names.map(|name| name.expect("a name").to_owned()).collect();
        names.sort();
        if name != "es-2.4.6-main" {
            found.push((name.to_owned(), names));
        }
    }
    found
}

#[test]
fn the_judge_accepts_every_real_repository() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 17, "only {} were found", fixtures.len());
    for (name, snapshots) in fixtures {
        let scratch = scratch();
        let store = memory_of(&unpack(&name, scratch.path()), Timestamp::UNIX_EPOCH);
        assert_eq!(complete(&store.contents()), Ok(snapshots), "{name}");
    }
}

/// All keys that the judge must miss when they are gone, or notice when a bit of them is another: those of restorable snapshots.
fn vital(contents: &BTreeMap<Key, Bytes>) -> Vec<Key> {
    let keys = contents.keys().filter(|key| {
        let name = key.as_str().rsplit('/').next().expect("a name");
        name.starts_with("__") || name.ends_with(".dat")
    });
    keys.cloned().collect()
}

#[test]
fn the_judge_misses_every_blob_of_a_real_repository_and_every_changed_one() {
    for name in ["es-5.6.16-parts-stateB", "es-9.0.0-main", "opensearch-3.6.0-logs"] {
        let scratch = scratch();
        let whole = memory_of(&unpack(name, scratch.path()), Timestamp::UNIX_EPOCH).contents();
        for key in vital(&whole) {
            let mut less = whole.clone();
            let bytes = less.remove(&key).expect("it was there");
            assert!(complete(&less).is_err(), "{name} without {key}");
            let mut changed = bytes.to_vec();
            changed[bytes.len() / 2] ^= 1;
            less.insert(key.clone(), changed.into());
            assert!(complete(&less).is_err(), "{name} with another {key}");
        }
    }
}

#[test]
fn a_forged_repository_of_every_family_is_whole() {
    for family in Family::ALL {
        let (forge, store) = forged(family, 1);
        assert_eq!(complete(&store.contents()), Ok(forge.restorable()), "{family:?}");
        assert_eq!(forge.restorable(), ["s1", "s2", "s5", "s6"], "{family:?}");
        let latest = &store.contents()[&key("index.latest")];
        let newest = newest_root(&store.contents()).expect("it has a root");
        assert_eq!(latest.as_ref(), newest.to_be_bytes(), "{family:?}");
        let roots = store.contents().keys().filter(|key| key.as_str().starts_with("index-")).count();
        let old = matches!(family, Family::Counter | Family::Uuid);
        assert_eq!(roots, if old { 2 } else { 1 }, "{family:?}");
    }
}

#[test]
fn a_forged_repository_can_lie_at_a_base_path() {
    for family in Family::ALL {
        let (mut forge, store) = (Forge::new(family, 7).at("backup/es/"), MemoryStore::default());
        for action in a_long_life() {
            forge.run(&action, &store);
        }
        let contents = store.contents();
        assert_eq!(complete_at(&contents, "backup/es/"), Ok(forge.restorable()), "{family:?}");
        let beside = contents.keys().any(|key| !key.as_str().starts_with("backup/es/"));
        assert_eq!(beside, family == Family::OpenSearchPrefix, "{family:?}");
    }
}

#[tokio::test]
async fn the_product_reads_what_is_forged() {
    use snapferry::repo::Family as Format;
    for family in Family::ALL {
        let (_, store) = forged(family, 2);
        let contents = store.contents();
        let root = key(&format!("index-{}", newest_root(&contents).expect("it has a root")));
        let root = Arc::new(RootIndex::parse(root.as_str(), &contents[&root]).expect("it is a root"));
        let format = match family {
            Family::Counter | Family::Uuid => Format::F1,
            Family::F2 => Format::F2,
            Family::F4 => Format::F4,
            _ => Format::F3,
        };
        assert_eq!(root.family(), format, "{family:?}");
        let reader = Reader::new(Base::at_root(Arc::new(store)), root.clone()).await.expect("its paths can be read");
        for snapshot in &root.snapshots {
            reader.global(&snapshot.uuid).await.expect("it is there");
            let info = reader.info(&snapshot.uuid).await.expect("it is there").says;
            for (name, index) in root.indices.iter().filter(|(_, index)| index.snapshots.contains(&snapshot.uuid)) {
                let at = reader.index_meta_key(snapshot, index);
                let meta = reader.index_meta(at, name).await.expect("it is there").says;
                for shard in reader.shards(name, index, meta.number_of_shards()).expect("its place is known") {
                    let failed = info.has_failed(name, shard.number);
                    assert_eq!(reader.shard_snapshot(&shard, &snapshot.uuid).await.is_err(), failed, "{family:?}");
                    if let Some(generation) = &shard.generation {
                        let list = reader.shard_index(&shard, generation).await.expect("it is there").says;
                        assert_eq!(list.snapshots.contains_key(snapshot.name.as_str()), !failed, "{family:?}");
                    }
                }
            }
        }
    }
}

/// The names of all members of all objects, with those above them; keys that are names themselves become `*`.
fn shape(value: &serde_smile::value::Value, path: &str, into: &mut BTreeSet<String>) {
    use serde_smile::value::Value;
    match value {
        Value::Object(members) => {
            let free = ["snapshots", "index_details", "settings", "properties", "in_sync_allocations", "data_stream"];
            let is_free = free.iter().any(|name| path.ends_with(name)) || path == "index-metadata";
            for (name, value) in members {
                shape(value, &format!("{path}/{}", if is_free { "*" } else { name }), into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| shape(item, &format!("{path}[]"), into)),
        _ => {
            into.insert(path.to_owned());
        }
    }
}

/// The shapes of all metadata blobs of a repository.
fn shapes(contents: &BTreeMap<Key, Bytes>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, bytes) in contents {
        let (directory, name) = key.as_str().rsplit_once('/').unwrap_or(("", key.as_str()));
        let codec = match (directory, name.split('-').next()) {
            (_, Some("snap")) => Codec::Snapshot,
            ("", Some("meta")) => Codec::Metadata,
            (_, Some("meta")) => Codec::IndexMetadata,
            (directory, Some("index")) if !directory.is_empty() => Codec::Snapshots,
            _ => continue,
        };
        let place = match codec {
            Codec::Snapshot if directory.is_empty() => "info",
            Codec::Snapshots => "list",
            _ => codec.word(),
        };
        shape(&codec.decode(key.as_str(), bytes).expect("it is whole"), place, &mut found);
    }
    found
}

#[test]
fn what_is_forged_has_no_member_that_real_blobs_lack() {
    for (family, fixture) in [
        (Family::Counter, "es-5.6.16-main"),
        (Family::Uuid, "es-6.8.23-main"),
        (Family::F3, "es-7.10.2-main"),
        (Family::F4, "es-9.0.0-main"),
        (Family::OpenSearch, "opensearch-2.19.6-logs"),
        (Family::OpenSearchPrefix, "opensearch-3.6.0-logs"),
    ] {
        let scratch = scratch();
        let real = shapes(&memory_of(&unpack(fixture, scratch.path()), Timestamp::UNIX_EPOCH).contents());
        let (_, store) = forged(family, 3);
        // Nothing failed in the real ones, their mappings are others, and they had no data streams.
        let allowed = ["failures[]", "/reason", "/data_stream", "data_streams[]", "/mappings", "_version"];
        let forged = shapes(&store.contents());
        let strange = forged.difference(&real).filter(|path| !allowed.iter().any(|part| path.contains(part)));
        assert_eq!(strange.collect::<Vec<_>>(), Vec::<&String>::new(), "{family:?}");
        // And of a shard's files none may be missing: unknown and missing members are errors there.
        let files =
            |all: &BTreeSet<String>| all.iter().filter(|path| path.contains("files[]")).cloned().collect::<Vec<_>>();
        assert_eq!(files(&forged), files(&real), "{family:?}");
    }
}

#[test]
fn a_counter_gives_names_again_whole_and_in_parts() {
    let mut seen: BTreeMap<String, BTreeSet<Bytes>> = BTreeMap::new();
    let (mut forge, store) = (Forge::new(Family::Counter, 4).chunked(600), MemoryStore::default());
    forge.run(&create("orders", 1, Kind::Plain), &store);
    let write = write("orders");
    forge.run(&write, &store);
    forge.run(&snapshot("base", Outcome::Success), &store);
    for round in 0..20 {
        let merge = Action::Merge { index: "orders".to_owned() };
        forge.run(if round % 2 == 0 { &merge } else { &write }, &store);
        forge.begin(&snapshot("again", Outcome::Success));
        while let Some(step) = forge.step() {
            step.apply(&store);
            if let Step::Put(key, bytes) = step
                && key.contains("/__")
            {
                seen.entry(key).or_default().insert(bytes);
            }
        }
        forge.run(&delete("again"), &store);
    }
    let twice = |sizes: fn(usize, usize) -> bool| {
        seen.values().any(|all| all.iter().any(|one| all.iter().any(|two| one != two && sizes(one.len(), two.len()))))
    };
    assert!(twice(|one, two| one == two), "a name with other content of the same size");
    assert!(twice(|one, two| one != two), "a name with content of another size");
    let whole_and_cut = seen.keys().any(|name| seen.contains_key(&format!("{name}.part0")));
    assert!(whole_and_cut, "a name that was whole and in parts");
}

#[test]
fn the_order_of_writes_is_that_of_elasticsearch() {
    for family in Family::ALL {
        let (mut forge, store) = forged(family, 5);
        forge.run(&write("orders"), &store);
        let order = |forge: &mut Forge, action: &Action| {
            forge.begin(action);
            let steps: Vec<Step> = std::iter::from_fn(|| forge.step()).collect();
            for step in &steps {
                step.apply(&store);
            }
            steps
        };
        let place = |steps: &[Step], wanted: &dyn Fn(&Step) -> bool| {
            let found = steps.iter().enumerate().filter(|(_, step)| wanted(step)).map(|(at, _)| at);
            let found: Vec<usize> = found.collect();
            (*found.first().expect("there is one"), *found.last().expect("there is one"))
        };
        let is_root = |step: &Step| matches!(step, Step::Put(key, _) if key.starts_with("index-"));
        let is_data = |step: &Step| matches!(step, Step::Put(key, _) if key.contains("/__"));
        let is_global = |step: &Step| matches!(step, Step::Put(key, _) if key.starts_with("meta-"));
        let is_delete = |step: &Step| matches!(step, Step::Delete(_));
        let old = matches!(family, Family::Counter | Family::Uuid);
        // A snapshot of no index writes no data, and one in three is of some indices only.
        for round in 0.. {
            let steps = order(&mut forge, &snapshot(&format!("more-{round}"), Outcome::Success));
            if !steps.iter().any(is_data) {
                continue;
            }
            let root = place(&steps, &is_root).0;
            assert!(place(&steps, &is_data).1 < root, "{family:?}: the root comes behind the data");
            if old {
                assert!(place(&steps, &is_global).1 < place(&steps, &is_data).0, "{family:?}: the cluster state first");
            } else {
                assert!(place(&steps, &is_global).0 > place(&steps, &is_data).1, "{family:?}: the cluster state later");
                assert!(place(&steps, &is_delete).0 > root, "{family:?}: nothing goes before the root");
            }
            break;
        }
        let steps = order(&mut forge, &delete("s5"));
        let root = place(&steps, &is_root).0;
        assert!(!old || root == 0, "{family:?}: before 7.6 the root goes first");
        let lists = steps.iter().position(|step| matches!(step, Step::Put(key, _) if key.contains("/index-")));
        assert!(lists.is_none_or(|at| (at < root) != old), "{family:?}: later the shards' lists do");
        assert!(place(&steps, &is_delete).0 > root, "{family:?}");
    }
}

/// What happens next; more often something that changes the repository.
fn action() -> impl Strategy<Value = Action> {
    let index = || prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    let name = || (0..5u8).prop_map(|number| format!("snap-{number}"));
    let kind = prop::sample::select(vec![Kind::Plain, Kind::Plain, Kind::DataStream, Kind::Hollow]);
    let outcome = prop::sample::select(vec![Outcome::Success, Outcome::Success, Outcome::Partial, Outcome::Failed]);
    prop_oneof![
        2 => (index(), 1..4usize, kind).prop_map(|(index, shards, kind)| Action::CreateIndex { index, shards, kind }),
        4 => index().prop_map(|index| Action::Write { index }),
        1 => index().prop_map(|index| Action::DeleteDocuments { index }),
        1 => index().prop_map(|index| Action::Merge { index }),
        1 => index().prop_map(|index| Action::DeleteIndex { index }),
        1 => (index(), 1..4usize).prop_map(|(index, shards)| Action::RecreateIndex { index, shards }),
        6 => (name(), outcome).prop_map(|(name, outcome)| Action::CreateSnapshot { name, outcome }),
        4 => name().prop_map(|name| Action::DeleteSnapshot { name }),
        1 => Just(Action::Cleanup),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The newest root is whole after every single write, whatever was abandoned before.
    #[test]
    fn any_history_is_whole_after_every_write(
        family in prop::sample::select(Family::ALL.to_vec()),
        seed in any::<u64>(),
        chunk in prop::option::of(300..900u64),
        history in prop::collection::vec((action(), prop::option::weighted(0.15, 0..40usize)), 1..14),
    ) {
        let (mut forge, store) = (Forge::new(family, seed), MemoryStore::default());
        if let Some(size) = chunk {
            forge = forge.chunked(size);
        }
        for (action, end) in history {
            forge.begin(&action);
            let mut done = 0;
            while end.is_none_or(|end| done < end)
                && let Some(step) = forge.step()
            {
                step.apply(&store);
                done += 1;
                let judged = complete(&store.contents());
                prop_assert!(judged.is_ok(), "{:?} after {:?}: {:?}", action, step, judged);
            }
            forge.abandon();
            prop_assert_eq!(complete(&store.contents()), Ok(forge.restorable()), "after {:?}", action);
        }
    }
}
