//! A snapshot's description for a subset of its indices.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_smile::value::Value;

use super::member;
use crate::error::{Error, ErrorKind, Result};
use crate::repo::codec::Codec;

/// Rewrites a `snap-<uuid>.dat` of the root so that it describes the snapshot with only `indices`, given by name with their numbers of
/// shards; if it has no others, it comes back as it is. `name` is for messages.
///
/// A data stream stays if all its backing indices do, a feature's state likewise. The state of the snapshot stays as it was, as it does
/// in the root: a partial one is called so although the shards that failed may not be among those kept.
pub fn snapshot_info(name: &str, blob: &Bytes, indices: &BTreeMap<String, u32>) -> Result<Bytes> {
    let corrupt = || Error::new(ErrorKind::Corrupt, format!("read `{name}`")).because("it describes no snapshot");
    let mut outer: Value = Codec::Snapshot.decode(name, blob)?;
    let Value::Object(members) = &mut outer else { return Err(corrupt()) };
    let Some(Value::Object(info)) = members.get_mut("snapshot") else { return Err(corrupt()) };
    let gone: BTreeSet<String> = match info.get("indices") {
        Some(Value::Array(listed)) => {
            listed.iter().filter_map(text).filter(|name| !indices.contains_key(*name)).map(str::to_owned).collect()
        }
        _ => BTreeSet::new(),
    };
    if gone.is_empty() {
        return Ok(blob.clone());
    }
    let mut total: i64 = 0;
    let mut failed = BTreeSet::new();
    for (field, value) in info.iter_mut() {
        match (field.as_str(), value) {
            ("indices", Value::Array(list)) => {
                list.retain(|index| text(index).is_some_and(|index| indices.contains_key(index)));
                total = list.iter().filter_map(text).map(|index| i64::from(indices[index])).sum();
            }
            ("data_streams", Value::Array(list)) => {
                list.retain(|stream| text(stream).is_some_and(|stream| is_whole(stream, indices, &gone)));
            }
            ("feature_states", Value::Array(list)) => list.retain(|feature| has_all(feature, indices)),
            ("failures", Value::Array(list)) => {
                list.retain(|failure| {
                    member(failure, "index").and_then(text).is_some_and(|index| indices.contains_key(index))
                });
                failed = list.iter().filter_map(shard).collect();
            }
            ("index_details", Value::Object(details)) => details.retain(|index, _| indices.contains_key(index)),
            _ => {}
        }
    }
    let failed = i64::try_from(failed.len()).unwrap_or(i64::MAX);
    for (field, count) in [("total_shards", total), ("successful_shards", total.saturating_sub(failed).max(0))] {
        if let Some(value) = info.get_mut(field) {
            *value = number(count);
        }
    }
    Codec::Snapshot.encode(&outer)
}

/// Whether the indices that hold the state of a feature are all kept.
fn has_all(feature: &Value, kept: &BTreeMap<String, u32>) -> bool {
    match member(feature, "indices") {
        Some(Value::Array(held)) => held.iter().filter_map(text).all(|index| kept.contains_key(index)),
        _ => true,
    }
}

/// Whether a data stream's backing indices are all kept, as far as their names tell. A stream has at least one: if none is seen, it is
/// not whole.
fn is_whole(stream: &str, kept: &BTreeMap<String, u32>, gone: &BTreeSet<String>) -> bool {
    kept.keys().any(|index| is_backing(stream, index)) && !gone.iter().any(|index| is_backing(stream, index))
}

/// Whether an index is called like one of a data stream: `.ds-<stream>-[<yyyy.MM.dd>-]<000001>`, `.fs-…` for what it could not take.
fn is_backing(stream: &str, index: &str) -> bool {
    let rest = index.strip_prefix(".ds-").or_else(|| index.strip_prefix(".fs-"));
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix(stream)?.strip_prefix('-')) else { return false };
    let (date, number) = rest.rsplit_once('-').map_or((None, rest), |(date, number)| (Some(date), number));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(number) && date.is_none_or(|date| date.len() == 10 && date.split('.').all(digits))
}

/// The index and the number of a shard that failed.
fn shard(failure: &Value) -> Option<(String, i64)> {
    let number = match member(failure, "shard_id")? {
        Value::Integer(number) => i64::from(*number),
        Value::Long(number) => *number,
        _ => return None,
    };
    Some((member(failure, "index").and_then(text)?.to_owned(), number))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// As Java writes it: an int where it fits.
fn number(count: i64) -> Value {
    i32::try_from(count).map_or(Value::Long(count), Value::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::SnapshotInfo;

    fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn names(names: &[&str]) -> Value {
        Value::Array(names.iter().map(|name| Value::String((*name).to_owned())).collect())
    }

    const LOGS: &str = ".ds-logs-2024.01.02-000001";
    const OTHER: &str = ".ds-logs-other-000003";

    fn blob() -> Bytes {
        let failure = |index: &str, shard| {
            object([
                ("index", Value::String(index.to_owned())),
                ("shard_id", Value::Integer(shard)),
                ("reason", Value::Null),
            ])
        };
        let feature =
            |name: &str, held| object([("feature_name", Value::String(name.to_owned())), ("indices", names(held))]);
        let details = object([("a", object([])), ("b", object([]))]);
        let info = object([
            ("name", Value::String("s".to_owned())),
            ("state", Value::String("PARTIAL".to_owned())),
            ("tomorrow", Value::Boolean(true)),
            ("indices", names(&["a", "b", LOGS, OTHER])),
            ("data_streams", names(&["logs", "logs-other", "unseen"])),
            ("total_shards", Value::Integer(9)),
            ("successful_shards", Value::Integer(6)),
            ("failures", Value::Array(vec![failure("a", 0), failure("a", 0), failure("b", 1)])),
            ("feature_states", Value::Array(vec![feature("x", &["a"]), feature("y", &["a", "b"])])),
            ("index_details", details),
        ]);
        Codec::Snapshot.encode(&object([("snapshot", info)])).expect("it can be written")
    }

    fn of(kept: &[(&str, u32)]) -> Bytes {
        let kept = kept.iter().map(|(name, shards)| ((*name).to_owned(), *shards)).collect();
        snapshot_info("snap-x.dat", &blob(), &kept).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn everything_that_speaks_of_an_index_goes_with_it() {
        let kept = of(&[("a", 3), (LOGS, 1)]);
        let info = SnapshotInfo::parse("x", &kept).expect("it is whole");
        assert_eq!((info.indices, info.data_streams), (vec!["a".to_owned(), LOGS.to_owned()], vec!["logs".to_owned()]));
        assert_eq!((info.total_shards, info.successful_shards, info.failures.len()), (4, 3, 2));
        assert_eq!(info.feature_states.iter().map(|state| state.feature_name.as_str()).collect::<Vec<_>>(), ["x"]);
        assert_eq!(info.index_details.keys().collect::<Vec<_>>(), ["a"]);
        let value: Value = Codec::Snapshot.decode("x", &kept).expect("it is whole");
        let info = member(&value, "snapshot").expect("it is there");
        assert_eq!(member(info, "tomorrow"), Some(&Value::Boolean(true)));
    }

    #[test]
    fn a_description_of_which_all_is_kept_is_the_same_bytes() {
        assert_eq!(of(&[("a", 3), ("b", 4), (LOGS, 1), (OTHER, 1)]), blob());
        assert_eq!(of(&[]), of(&[("elsewhere", 1)]));
    }

    #[test]
    fn backing_indices_are_told_from_those_of_streams_with_longer_names() {
        for (stream, index, expected) in [
            ("logs", LOGS, true),
            ("logs", ".ds-logs-000001", true),
            ("logs", ".fs-logs-2024.01.02-000001", true),
            ("logs", OTHER, false),
            ("logs-other", OTHER, true),
            ("logs", "logs-000001", false),
            ("logs", ".ds-logs-", false),
        ] {
            assert_eq!(is_backing(stream, index), expected, "{stream} {index}");
        }
    }
}
