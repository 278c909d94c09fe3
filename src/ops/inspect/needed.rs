//! What of a shard's objects its snapshots need.

use std::collections::HashSet;

use super::report::Found;
use crate::repo::{BlobKind, Generation, Name, Shard, ShardSnapshot, kind};

/// The names that a shard's snapshots need.
pub(super) struct Needed {
    names: HashSet<String>,
    /// Whether they are all known.
    whole: bool,
    /// Whether the root names the list of the shard's files.
    listed: bool,
}

impl Needed {
    /// Nothing yet but what the root names; `whole` is whether the index's metadata says which snapshots have the shard.
    pub(super) fn new(shard: &Shard, whole: bool) -> Self {
        let names = shard.generation.iter().map(|generation| format!("index-{generation}")).collect();
        Self { names, whole, listed: shard.generation.is_some() }
    }

    /// The shard's own descriptions in these snapshots.
    pub(super) fn add_snapshots<'a>(&mut self, uuids: impl Iterator<Item = &'a Name>) {
        self.names.extend(uuids.map(|uuid| format!("snap-{uuid}.dat")));
    }

    /// The files of the shard in a snapshot; none if they cannot be read.
    pub(super) fn add(&mut self, snapshot: Option<&ShardSnapshot>) {
        match snapshot {
            Some(snapshot) => {
                self.names.extend(snapshot.files.iter().flat_map(|file| file.parts().map(|part| part.name)));
            }
            None => self.whole = false,
        }
    }

    /// Before 7.6 the lists are numbered, and the highest is the current one.
    pub(super) fn keep_newest_list(&mut self, names: &[(Box<str>, u64)]) {
        if !self.listed {
            let number = |name: &str| Generation::parse(name.strip_prefix("index-")?);
            let newest = names.iter().filter_map(|(name, _)| number(name)).max();
            self.names.extend(newest.map(|newest| format!("index-{newest}")));
        }
    }

    /// What an object of the shard is.
    pub(super) fn judge(&self, name: &str) -> Found {
        if self.names.contains(name) {
            return Found::Needed;
        }
        match kind(&format!("indices/-/0/{name}")) {
            BlobKind::Leftover => Found::Garbage("leftovers"),
            BlobKind::Foreign => Found::Garbage("foreign"),
            BlobKind::ShardSnapshot => Found::Garbage("shard_snapshots"),
            kind if self.whole && kind != BlobKind::Shallow => Found::Garbage(in_shard(kind)),
            _ => Found::Undecided,
        }
    }
}

/// The word for what lies in a shard and is not needed.
pub(super) fn in_shard(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::ShardSnapshot => "shard_snapshots",
        BlobKind::ShardIndex => "shard_lists",
        _ => "data",
    }
}
