//! Metadata of real repositories, rewritten for selections of what is in them.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use snapferry::repo::{BlobKind, Name, RootIndex, ShardIndex, SnapshotInfo, kind};
use snapferry::repo::{Keep, KeptIndices, ShardFiles, rewrite_root as root, rewrite_snapshot_info as snapshot_info};
use support::fixture::{scratch, tree, unpack};

const FIXTURES: [&str; 14] = [
    "es-5.6.16-main",
    "es-5.6.16-main-stateB",
    "es-5.6.16-parts-stateA",
    "es-6.8.23-main",
    "es-7.10.2-main",
    "es-7.17.28-main",
    "es-8.12-logs-chunked-uncompressed",
    "es-8.12-movies",
    "es-8.12.2-again-stateB",
    "es-9.0.0-main",
    "opensearch-2.5-movies",
    "opensearch-2.19.6-logs",
    "opensearch-3.6.0-logs",
    "opensearch-3.8.0-logs",
];

/// The files of each fixture.
fn each(mut look: impl FnMut(&str, &BTreeMap<String, Vec<u8>>)) {
    for name in FIXTURES {
        let directory = scratch();
        look(name, &tree(&unpack(name, directory.path())));
    }
}

fn newest(files: &BTreeMap<String, Vec<u8>>) -> Bytes {
    let roots = files.iter().filter_map(|(key, bytes)| {
        let key = key.rsplit_once("/index-").map_or(key.strip_prefix("index-"), |(base, number)| {
            (!format!("/{base}").contains("/indices/")).then_some(number)
        });
        Some((key?.parse::<u64>().ok()?, bytes))
    });
    Bytes::copy_from_slice(roots.max_by_key(|(number, _)| *number).expect("there is a root").1)
}

fn all_of(root: &RootIndex) -> Keep {
    let snapshots = root.snapshots.iter().map(|snapshot| (snapshot.uuid.clone(), KeptIndices::All)).collect();
    Keep { snapshots, ..Keep::default() }
}

fn parse(bytes: &[u8]) -> RootIndex {
    RootIndex::parse("index-1", bytes).unwrap_or_else(|error| panic!("{error}"))
}

/// The pairs of snapshot and index, by their ids.
fn pairs(root: &RootIndex) -> BTreeSet<(Name, Name)> {
    let of = |index: &snapferry::repo::IndexEntry| -> Vec<(Name, Name)> {
        index.snapshots.iter().map(|uuid| (uuid.clone(), index.id.clone())).collect()
    };
    root.indices.values().flat_map(of).collect()
}

fn check(name: &str, source: &Bytes, keep: &Keep, expected: &BTreeSet<(Name, Name)>) {
    let bytes = root(source, keep).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (before, after) = (parse(source), parse(&bytes));
    assert_eq!(&pairs(&after), expected, "{name}");
    let uuids: BTreeSet<&Name> = after.snapshots.iter().map(|snapshot| &snapshot.uuid).collect();
    assert_eq!(uuids, keep.snapshots.keys().collect(), "{name}");
    assert_eq!(root(&bytes, keep).expect("it was rewritten before"), bytes, "{name}: once more changes nothing");
    let ids: BTreeSet<&Name> = after.indices.values().map(|index| &index.id).collect();
    let mut used = BTreeSet::new();
    for snapshot in &after.snapshots {
        for (id, identifier) in snapshot.index_metadata_lookup.iter().flatten() {
            assert!(ids.contains(id), "{name}: {id} is looked up and not listed");
            used.insert(identifier.as_str());
        }
        // Every index has the same metadata as before.
        for index in after.indices.values().filter(|index| index.snapshots.contains(&snapshot.uuid)) {
            let old = before.snapshot(&snapshot.uuid).expect("it was listed");
            assert_eq!(after.index_meta(snapshot, index), before.index_meta(old, index), "{name}");
        }
    }
    let left: BTreeSet<&str> = after.index_metadata_identifiers.iter().flatten().map(|(id, _)| id.as_str()).collect();
    assert_eq!(left, used, "{name}");
    assert_eq!(before.index_metadata_identifiers.is_some(), after.index_metadata_identifiers.is_some(), "{name}");
    assert_eq!((&before.uuid, &before.cluster_id), (&after.uuid, &after.cluster_id), "{name}");
}

#[test]
fn a_root_of_which_all_is_kept_is_the_same_bytes() {
    each(|name, files| {
        let source = newest(files);
        let keep = all_of(&parse(&source));
        assert_eq!(root(&source, &keep).unwrap_or_else(|error| panic!("{name}: {error}")), source, "{name}");
    });
}

#[test]
fn every_subset_of_the_snapshots_gives_a_root_that_names_exactly_them() {
    each(|name, files| {
        let source = newest(files);
        let listed = parse(&source);
        let count = listed.snapshots.len().min(8);
        for chosen in 0..1_u32 << count {
            let mut keep = all_of(&listed);
            keep.snapshots.retain(|uuid, _| {
                let at = listed.snapshots.iter().position(|snapshot| snapshot.uuid == *uuid).expect("it is listed");
                at >= count || chosen >> at & 1 == 1
            });
            let expected =
                pairs(&listed).into_iter().filter(|(uuid, _)| keep.snapshots.contains_key(uuid.as_str())).collect();
            check(name, &source, &keep, &expected);
        }
    });
}

#[test]
fn a_subset_of_the_indices_gives_a_root_that_names_exactly_them() {
    each(|name, files| {
        let source = newest(files);
        let listed = parse(&source);
        for index in listed.indices.values() {
            let these = KeptIndices::These(Arc::new(BTreeSet::from([index.id.clone()])));
            let mut keep = all_of(&listed);
            keep.snapshots.values_mut().for_each(|kept| kept.clone_from(&these));
            let expected = pairs(&listed).into_iter().filter(|(_, id)| *id == index.id).collect();
            check(name, &source, &keep, &expected);
        }
    });
}

#[test]
fn a_snapshots_description_tells_of_the_indices_that_are_kept() {
    let mut seen = 0;
    each(|name, files| {
        for (key, blob) in
            files.iter().filter(|(key, _)| kind(last(key)) == BlobKind::SnapshotInfo && !key.contains("indices/"))
        {
            let blob = Bytes::copy_from_slice(blob);
            let before = SnapshotInfo::parse(key, &blob).unwrap_or_else(|error| panic!("{name}: {error}"));
            let all: BTreeMap<String, u32> = before.indices.iter().map(|index| (index.clone(), 2)).collect();
            assert_eq!(snapshot_info(key, &blob, &all).expect("it is whole"), blob, "{name}");
            for index in &before.indices {
                let kept = BTreeMap::from([(index.clone(), 2)]);
                let bytes = snapshot_info(key, &blob, &kept).unwrap_or_else(|error| panic!("{name}: {error}"));
                let after = SnapshotInfo::parse(key, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(after.indices, std::slice::from_ref(index), "{name}");
                assert_eq!(
                    (&after.name, &after.uuid, after.version_id),
                    (&before.name, &before.uuid, before.version_id)
                );
                assert_eq!((&after.state, after.start_time), (&before.state, before.start_time));
                if before.indices.len() > 1 {
                    assert_eq!(after.total_shards, 2, "{name}");
                }
                assert!(after.failures.iter().all(|failure| failure.index == *index), "{name}");
                assert_eq!(snapshot_info(key, &bytes, &kept).expect("it is whole"), bytes, "{name}");
                seen += 1;
            }
        }
    });
    assert!(seen > 50, "{seen}");
}

/// The last segment of a key.
fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

#[test]
fn a_shards_list_of_files_is_rebuilt_from_itself_and_from_its_snapshots() {
    let mut seen = 0;
    each(|name, files| {
        let listed = parse(&newest(files));
        let lists = files.iter().filter(|(key, _)| key.contains("indices/") && last(key).starts_with("index-"));
        for (key, blob) in lists {
            let source = ShardIndex::parse(key, blob).unwrap_or_else(|error| panic!("{name}: {error}"));
            let names: BTreeSet<String> = source.snapshots.keys().cloned().collect();
            let mut whole = ShardFiles::default();
            assert!(whole.listed(key, blob, &names).expect("it is whole").is_empty());
            let whole = whole.write().expect("it can be written");
            let again = ShardIndex::parse(key, &whole).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(sorted(&again), sorted(&source), "{name}: {key}");
            // The same out of the shard's snapshots, where they are all there.
            let (container, _) = key.rsplit_once('/').expect("it lies in a shard");
            let mut built = ShardFiles::default();
            let complete =
                listed.snapshots.iter().filter(|snapshot| names.contains(snapshot.name.as_str())).all(|snapshot| {
                    let key = format!("{container}/snap-{}.dat", snapshot.uuid);
                    files.get(&key).is_some_and(|blob| built.snapshot(&key, blob, &snapshot.name).is_ok())
                });
            let built = ShardIndex::parse(key, &built.write().expect("it can be written")).expect("it is whole");
            if complete && built.snapshots.len() == names.len() {
                assert_eq!(sorted(&built), sorted(&source), "{name}: {key}");
                seen += 1;
            }
        }
    });
    assert!(seen > 20, "{seen}");
}

/// The files of a list with those of its snapshots, in one order.
fn sorted(list: &ShardIndex) -> (Vec<String>, BTreeMap<String, BTreeSet<String>>) {
    let mut files: Vec<String> = list.files.iter().map(|file| format!("{file:?}")).collect();
    files.sort();
    let of = |(name, entry): (&String, &snapferry::repo::ShardIndexEntry)| {
        (name.clone(), entry.files.iter().cloned().collect())
    };
    (files, list.snapshots.iter().map(of).collect())
}
