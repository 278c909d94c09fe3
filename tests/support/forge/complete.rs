//! The judge: whether every snapshot that a repository's newest root lists can be restored, byte for byte.
//!
//! An independent walk. It reads the root as plain JSON and the blobs as plain SMILE; nothing of the product but the envelope's
//! reader takes part, so that both do not err in the same way.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value as Json;
use serde_smile::value::Value;
use snapferry::repo::Codec;
use snapferry::store::Key;

use super::blob::{base36, container, footer};

type Contents = BTreeMap<Key, Bytes>;
type Result<T, E = String> = std::result::Result<T, E>;

/// The names of the snapshots that can be restored from a repository, sorted; none where no root is. `contents` are those of the
/// bucket, and the repository lies at the base path, which is empty or ends with a `/`.
///
/// An error says what the newest root promises and does not lie there, or not as it should. The newest root is found as
/// Elasticsearch does: the highest number of `index-<N>`.
pub(crate) fn complete_at(contents: &Contents, base: &str) -> Result<Vec<String>> {
    let numbers = contents.keys().filter_map(|key| key.as_str().strip_prefix(base)?.strip_prefix("index-"));
    let Some(newest) = numbers.filter_map(|number| number.parse::<u64>().ok()).max() else { return Ok(Vec::new()) };
    let name = format!("index-{newest}");
    let walk = Walk { contents, base, root: Json::Null };
    let root: Json =
        serde_json::from_slice(walk.get(&format!("{base}{name}"))?).map_err(|error| format!("{name}: {error}"))?;
    Walk { root, ..walk }.snapshots().map_err(|cause| format!("{name}: {cause}"))
}

struct Walk<'a> {
    contents: &'a Contents,
    base: &'a str,
    root: Json,
}

/// An index of the root, as far as the walk needs it.
struct Index<'a> {
    name: &'a str,
    id: &'a str,
    path_type: u64,
    snapshots: BTreeSet<&'a str>,
}

impl Walk<'_> {
    fn snapshots(&self) -> Result<Vec<String>> {
        let listed = self.root["snapshots"].as_array().ok_or("it lists no snapshots")?;
        let indices = self.indices()?;
        let known: BTreeSet<&str> = listed.iter().map(|snapshot| word(snapshot, "uuid")).collect();
        if known.len() != listed.len() {
            return Err("it lists a snapshot twice".to_owned());
        }
        if let Some(index) = indices.iter().find(|index| !index.snapshots.is_subset(&known)) {
            return Err(format!("the index {} is in a snapshot that is not listed", index.name));
        }
        if let Some(index) = indices.iter().find(|index| index.snapshots.is_empty()) {
            return Err(format!("the index {} is in no snapshot", index.name));
        }
        let mut names = Vec::new();
        for snapshot in listed.iter().filter(|snapshot| matches!(snapshot["state"].as_u64(), None | Some(1 | 3))) {
            let name = word(snapshot, "name");
            self.snapshot(snapshot, &indices).map_err(|cause| format!("snapshot {name}: {cause}"))?;
            names.push(name.to_owned());
        }
        names.sort();
        Ok(names)
    }

    fn indices(&self) -> Result<Vec<Index<'_>>> {
        let indices = self.root["indices"].as_object().ok_or("it lists no indices")?;
        let entries = indices.iter().map(|(name, index)| {
            let snapshots = index["snapshots"].as_array().ok_or("an index without snapshots")?;
            Ok(Index {
                name,
                id: word(index, "id"),
                path_type: index["shard_path_type"].as_u64().unwrap_or(0),
                snapshots: snapshots.iter().map(|id| id.as_str().unwrap_or_else(|| word(id, "uuid"))).collect(),
            })
        });
        entries.collect()
    }

    fn snapshot(&self, snapshot: &Json, indices: &[Index<'_>]) -> Result<()> {
        let (name, uuid) = (word(snapshot, "name"), word(snapshot, "uuid"));
        let info = self.decode(Codec::Snapshot, &format!("{}snap-{uuid}.dat", self.base))?;
        let info = member(&info, "snapshot")?;
        must_be("its name", string(info, "name")?, name)?;
        must_be("its id", string(info, "uuid")?, uuid)?;
        let state = if snapshot["state"].as_u64() == Some(3) { "PARTIAL" } else { "SUCCESS" };
        must_be("its state", string(info, "state")?, state)?;
        let described: BTreeSet<&str> = array(info, "indices")?.iter().filter_map(as_text).collect();
        let held: Vec<&Index<'_>> = indices.iter().filter(|index| index.snapshots.contains(uuid)).collect();
        if described != held.iter().map(|index| index.name).collect() {
            return Err(format!("it describes the indices {described:?}, and the root lists others"));
        }
        self.decode(Codec::Metadata, &format!("{}meta-{uuid}.dat", self.base))?;
        let failed: Result<BTreeSet<(&str, u64)>> = array(info, "failures")?
            .iter()
            .map(|failure| Ok((string(failure, "index")?, integer(failure, "shard_id")?)))
            .collect();
        let failed = failed?;
        if failed.is_empty() != (state == "SUCCESS") {
            return Err(format!("it is {state} with {} failures", failed.len()));
        }
        let mut shards = 0;
        for index in held {
            let count =
                self.index(snapshot, index, &failed).map_err(|cause| format!("index {}: {cause}", index.name))?;
            shards += count;
        }
        let total = integer(info, "total_shards")?;
        if total == shards { Ok(()) } else { Err(format!("it says {total} shards and has {shards}")) }
    }

    /// Judges an index in a snapshot; gives how many shards it has.
    fn index(&self, snapshot: &Json, index: &Index<'_>, failed: &BTreeSet<(&str, u64)>) -> Result<u64> {
        let uuid = word(snapshot, "uuid");
        let identifier = snapshot["index_metadata_lookup"][index.id].as_str();
        let blob = match identifier {
            Some(identifier) => {
                let blob = self.root["index_metadata_identifiers"][identifier].as_str();
                blob.ok_or_else(|| format!("the identifier {identifier} has no blob"))?
            }
            None => uuid,
        };
        let meta = self.decode(Codec::IndexMetadata, &format!("{}indices/{}/meta-{blob}.dat", self.base, index.id))?;
        let settings = member(member(&meta, index.name)?, "settings")?;
        let count = string(settings, "index.number_of_shards")?;
        let count = count.parse::<u64>().map_err(|_| format!("it has {count} shards"))?;
        for number in (0..count).filter(|number| !failed.contains(&(index.name, *number))) {
            let container = self.container(index, number)?;
            self.shard(&container, snapshot).map_err(|cause| format!("shard {number}: {cause}"))?;
        }
        Ok(count)
    }

    /// Where a shard lies: as the repository's own list has it, else by the rule.
    fn container(&self, index: &Index<'_>, shard: u64) -> Result<String> {
        let shard = usize::try_from(shard).map_err(|error| error.to_string())?;
        let prefix = format!("{}snapshot_shard_paths/snapshot_path_{}.", self.base, index.id);
        let computed = container(index.path_type, self.base, index.id, shard);
        let lists = self.contents.iter().filter(|(key, _)| key.as_str().starts_with(&prefix));
        for (key, bytes) in lists.filter(|_| index.path_type != 0) {
            let list: Json = serde_json::from_slice(bytes).map_err(|error| format!("{key}: {error}"))?;
            // An index that was made anew may have more shards than an older list.
            if let Some(listed) = list["paths"][shard].as_str() {
                must_be("where a shard lies", listed, &computed)?;
            }
        }
        Ok(computed)
    }

    fn shard(&self, container: &str, snapshot: &Json) -> Result<()> {
        let files = self.decode(Codec::Snapshot, &format!("{container}snap-{}.dat", word(snapshot, "uuid")))?;
        must_be("its snapshot", string(&files, "name")?, word(snapshot, "name"))?;
        for entry in array(&files, "files")? {
            let name = string(entry, "physical_name")?;
            self.file(container, entry).map_err(|cause| format!("file {name}: {cause}"))?;
        }
        Ok(())
    }

    fn file(&self, container: &str, entry: &Value) -> Result<()> {
        let (name, length) = (string(entry, "name")?, integer(entry, "length")?);
        let size = member(entry, "part_size").ok().and_then(as_integer).unwrap_or(u64::MAX);
        let mut content = Vec::new();
        if name.starts_with("v__") {
            content.extend_from_slice(binary(entry, "meta_hash")?);
        } else if length <= size {
            content.extend_from_slice(self.get(&format!("{container}{name}"))?);
        } else {
            for part in 0..length.div_ceil(size) {
                let object = self.get(&format!("{container}{name}.part{part}"))?;
                let expected = size.min(length - part * size);
                if object.len() as u64 != expected {
                    return Err(format!("part {part} of {name} has {} bytes and not {expected}", object.len()));
                }
                content.extend_from_slice(object);
            }
        }
        if content.len() as u64 != length {
            return Err(format!("{name} has {} bytes and not {length}", content.len()));
        }
        if member(entry, "meta_hash").is_ok() && !content.starts_with(binary(entry, "meta_hash")?) {
            return Err(format!("{name} is not what its entry holds"));
        }
        let sum = footer(&content).ok_or_else(|| format!("the Lucene footer of {name} is wrong"))?;
        must_be("its checksum", &base36(u64::from(sum)), string(entry, "checksum")?)
    }

    /// A blob by its key from the bucket on.
    fn get(&self, key: &str) -> Result<&Bytes> {
        let found = Key::new(key).ok().and_then(|key| self.contents.get(&key));
        found.ok_or_else(|| format!("{key} is not there"))
    }

    fn decode(&self, codec: Codec, key: &str) -> Result<Value> {
        codec.decode(key, self.get(key)?).map_err(|error| error.to_string())
    }
}

/// A member of the root's JSON that should be text.
fn word<'a>(object: &'a Json, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

fn must_be(what: &str, found: &str, expected: &str) -> Result<()> {
    if found == expected { Ok(()) } else { Err(format!("{what} is `{found}` and should be `{expected}`")) }
}

fn member<'a>(value: &'a Value, name: &str) -> Result<&'a Value> {
    let Value::Object(members) = value else { return Err(format!("`{name}` is asked of what is no object")) };
    members.get(name).ok_or_else(|| format!("`{name}` is not there"))
}

fn string<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    as_text(member(value, name)?).ok_or_else(|| format!("`{name}` is no text"))
}

fn integer(value: &Value, name: &str) -> Result<u64> {
    as_integer(member(value, name)?).ok_or_else(|| format!("`{name}` is no number"))
}

fn array<'a>(value: &'a Value, name: &str) -> Result<&'a [Value]> {
    let Value::Array(items) = member(value, name)? else { return Err(format!("`{name}` is no list")) };
    Ok(items)
}

fn binary<'a>(value: &'a Value, name: &str) -> Result<&'a [u8]> {
    let Value::Binary(bytes) = member(value, name)? else { return Err(format!("`{name}` is not binary")) };
    Ok(bytes)
}

fn as_text(value: &Value) -> Option<&str> {
    if let Value::String(text) = value { Some(text) } else { None }
}

fn as_integer(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::Long(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}
