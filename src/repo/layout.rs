//! What a key of a snapshot repository is, by its name alone. Total: every key has a kind; nothing is read.
//!
//! The names are those of Elasticsearch's `BlobStoreRepository` and its package documentation; `docs/repository.md` tells them
//! in order.

use super::generation::Generation;

/// What a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobKind {
    /// `index-<N>` at the root: the list of snapshots, where every reader starts.
    RootIndex(Generation),
    /// `index.latest` at the root: the newest N in eight bytes, for readers that cannot list.
    Latest,
    /// `incompatible-snapshots` at the root.
    Incompatible,
    /// `snap-<uuid>.dat` at the root: the description of a snapshot.
    SnapshotInfo,
    /// `meta-<uuid>.dat` at the root: the cluster state that belongs to a snapshot.
    GlobalMeta,
    /// `indices/<id>/meta-<id>.dat`: mappings and settings of an index.
    IndexMeta,
    /// `indices/<id>/<shard>/snap-<uuid>.dat`: the files of a shard in one snapshot.
    ShardSnapshot,
    /// `indices/<id>/<shard>/index-<generation>`: the files of a shard in all snapshots.
    ShardIndex,
    /// `indices/<id>/<shard>/__<name>`, whole or `.part<i>`: the bytes of a Lucene file, under a name that is never used again.
    Blob,
    /// The same under a counter (`__a`), as Elasticsearch to 6.7.1 names them: after a deletion the name comes back with other
    /// content.
    CounterBlob,
    /// `snapshot_shard_paths/…`: where OpenSearch keeps shards that are not below `indices/`.
    ShardPaths,
    /// What verification or an interrupted write left behind: `tests-*`, `pending-*`, `temp-analysis-*`.
    Leftover,
    /// `shallow-snap-*`: an OpenSearch snapshot whose data lies in another repository.
    Shallow,
    /// Not of the repository format.
    Foreign,
}

/// Reads the kind from a key.
#[must_use]
pub fn kind(key: &str) -> BlobKind {
    let segments: Vec<&str> = key.split('/').collect();
    match segments.as_slice() {
        [name] => at_root(name),
        [first, ..] if is_leftover(first) => BlobKind::Leftover,
        ["indices", _, name] => in_index(name),
        ["indices", _, shard, name] if is_number(shard) => in_shard(name),
        ["snapshot_shard_paths", _] => BlobKind::ShardPaths,
        // OpenSearch's hashed infix: `<hash>/indices/<id>/<shard>/<name>`.
        [_, "indices", _, shard, name] if is_number(shard) => in_shard(name),
        _ => BlobKind::Foreign,
    }
}

fn at_root(name: &str) -> BlobKind {
    match name {
        "index.latest" => return BlobKind::Latest,
        "incompatible-snapshots" => return BlobKind::Incompatible,
        _ if is_leftover(name) => return BlobKind::Leftover,
        _ => {}
    }
    if let Some(generation) = name.strip_prefix("index-").and_then(Generation::parse) {
        return BlobKind::RootIndex(generation);
    }
    if is_dat(name, "snap-") {
        return BlobKind::SnapshotInfo;
    }
    if is_dat(name, "meta-") { BlobKind::GlobalMeta } else { BlobKind::Foreign }
}

fn in_index(name: &str) -> BlobKind {
    if is_dat(name, "meta-") { BlobKind::IndexMeta } else { BlobKind::Foreign }
}

fn in_shard(name: &str) -> BlobKind {
    if let Some(rest) = name.strip_prefix("__") {
        if is_counter(rest) { BlobKind::CounterBlob } else { BlobKind::Blob }
    } else if is_dat(name, "snap-") {
        BlobKind::ShardSnapshot
    } else if name.starts_with("index-") {
        BlobKind::ShardIndex
    } else if name.starts_with("shallow-snap-") {
        BlobKind::Shallow
    } else if is_leftover(name) {
        BlobKind::Leftover
    } else {
        BlobKind::Foreign
    }
}

fn is_leftover(name: &str) -> bool {
    ["tests-", "pending-", "temp-analysis-"].iter().any(|prefix| name.starts_with(prefix))
}

fn is_dat(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.ends_with(".dat"))
}

/// A counter in base 36, as Java prints a positive `long`: at most 13 digits. Unique names have 22 characters.
fn is_counter(rest: &str) -> bool {
    let name = rest.split_once(".part").map_or(rest, |(name, _)| name);
    (1..=13).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

fn is_number(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_format_has_its_kind() {
        for (key, expected) in [
            ("index-12", BlobKind::RootIndex(Generation::new(12))),
            ("index.latest", BlobKind::Latest),
            ("incompatible-snapshots", BlobKind::Incompatible),
            ("snap-abc.dat", BlobKind::SnapshotInfo),
            ("meta-abc.dat", BlobKind::GlobalMeta),
            ("indices/-KQ/meta-x.dat", BlobKind::IndexMeta),
            ("indices/-KQ/0/snap-x.dat", BlobKind::ShardSnapshot),
            ("indices/-KQ/0/index-3", BlobKind::ShardIndex),
            ("indices/-KQ/0/index-AbC_d", BlobKind::ShardIndex),
            ("indices/-KQ/11/__zz", BlobKind::CounterBlob),
            ("indices/-KQ/11/__1.part3", BlobKind::CounterBlob),
            ("indices/-KQ/11/___zjE7kNQTyqq1l0Ff3dYQ", BlobKind::Blob),
            ("indices/-KQ/11/__abcdefghijklmnopqrstuv.part12", BlobKind::Blob),
            ("indices/-KQ/0/shallow-snap-x.dat", BlobKind::Shallow),
            ("indices/-KQ/0/pending-index-1", BlobKind::Leftover),
            ("hAsH/indices/-KQ/0/__1", BlobKind::CounterBlob),
            ("snapshot_shard_paths/snapshot_path_x.y.1.2.1", BlobKind::ShardPaths),
            ("tests-xyz/master.dat", BlobKind::Leftover),
            ("tests-xyz", BlobKind::Leftover),
            ("pending-index-4", BlobKind::Leftover),
            ("temp-analysis-1/blob", BlobKind::Leftover),
        ] {
            assert_eq!(kind(key), expected, "{key}");
        }
    }

    #[test]
    fn what_only_looks_like_the_format_is_foreign() {
        for key in [
            "index-",
            "index-x",
            "index-1x",
            "index--1",
            "index-007",
            "index",
            "a/index-1",
            "indices/x",
            "indices/a/b/__1",
            "README",
        ] {
            assert_eq!(kind(key), BlobKind::Foreign, "{key}");
        }
    }
}
