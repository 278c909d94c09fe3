//! How far a snapshot is, by `_status`.
//!
//! Of a running snapshot that is cheap. Of a finished one the cluster reads a blob for each shard, so finished ones are asked of
//! `snapshot` instead.

use serde::Serialize;
use serde_json::Value;

use super::client::Client;
use super::name;
use super::request::Request;
use crate::error::Result;

/// How far a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Status {
    /// Its repository.
    pub repository: String,
    /// Its name.
    pub snapshot: String,
    /// What tells it from every other; empty where the version does not tell it.
    pub uuid: String,
    /// The cluster's word for its state, for example `STARTED`.
    pub state: String,
    /// Shards done and in all.
    pub shards: Part,
    /// Shards that failed.
    pub failed_shards: u64,
    /// Files done and in all, of those that are new.
    pub files: Part,
    /// Bytes done and in all, of those that are new.
    pub bytes: Part,
    /// When it began, in milliseconds since 1970; 0 while that is not known.
    pub start_time_in_millis: u64,
}

/// A part of a whole that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Part {
    /// So much is done.
    pub done: u64,
    /// Of so much, as far as it is known by now.
    pub total: u64,
}

/// What is asked for.
const WANTED: &str =
    "snapshots.snapshot,snapshots.repository,snapshots.uuid,snapshots.state,snapshots.shards_stats,snapshots.stats";

/// The snapshots that are being taken: in one repository, or in any.
pub async fn running(client: &Client, repository: Option<&str>) -> Result<Vec<Status>> {
    let request = match repository {
        Some(repository) => {
            name::check("repository", repository)?;
            Request::get(format!("look for running snapshots of `{repository}`"), &["_snapshot", repository])
        }
        None => Request::get("look for running snapshots", &["_snapshot"]),
    };
    let answer = client.call(request.word("_status").query("filter_path", WANTED)).await?;
    Ok(answer["snapshots"].as_array().into_iter().flatten().map(Status::of).collect())
}

/// One snapshot that is being taken, if the cluster tells of it.
pub async fn of(client: &Client, repository: &str, snapshot: &str) -> Result<Option<Status>> {
    name::check("repository", repository)?;
    name::check("snapshot", snapshot)?;
    let doing = format!("read the status of `{repository}:{snapshot}`");
    let request = Request::get(doing, &["_snapshot", repository, snapshot]).word("_status");
    let answer = client.call(request.query("filter_path", WANTED)).await?;
    Ok(answer["snapshots"].get(0).map(Status::of))
}

impl Status {
    fn of(value: &Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (shards, stats) = (&value["shards_stats"], &value["stats"]);
        // 6.4 turned the flat numbers into groups; a snapshot's own work is the incremental group. What is processed is told
        // only while it differs from what is to be processed.
        let part = |grouped: &str, done: &str, total: &str| {
            let whole = &stats["incremental"][grouped];
            match whole.as_u64() {
                Some(whole) => Part { done: stats["processed"][grouped].as_u64().unwrap_or(whole), total: whole },
                None => Part { done: number(&stats[done]), total: number(&stats[total]) },
            }
        };
        Self {
            repository: text("repository"),
            snapshot: text("snapshot"),
            uuid: text("uuid"),
            state: text("state"),
            shards: Part { done: number(&shards["done"]), total: number(&shards["total"]) },
            failed_shards: number(&shards["failed"]),
            files: part("file_count", "processed_files", "number_of_files"),
            bytes: part("size_in_bytes", "processed_size_in_bytes", "total_size_in_bytes"),
            start_time_in_millis: number(&stats["start_time_in_millis"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_the_numbers_are_read() {
        let shards = json!({ "done": 1, "failed": 0, "total": 2 });
        let new = Status::of(&json!({ "snapshot": "s", "shards_stats": shards, "stats": { "start_time_in_millis": 7,
            "incremental": { "file_count": 4, "size_in_bytes": 10 }, "processed": { "file_count": 1, "size_in_bytes": 4 } } }));
        let old = Status::of(&json!({ "snapshot": "s", "shards_stats": shards, "stats": { "start_time_in_millis": 7,
            "number_of_files": 4, "processed_files": 1, "total_size_in_bytes": 10, "processed_size_in_bytes": 4 } }));
        assert_eq!(new, old);
        assert_eq!((new.bytes, new.shards), (Part { done: 4, total: 10 }, Part { done: 1, total: 2 }));
    }
}
