//! The snapshots of a repository, as the cluster lists them.
//!
//! It also asks for a single one. Taking one is `creation`'s business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::exchange::{Refusal, status_of};
use super::failure::{Failure, line};
use super::name;
use super::request::Request;
use crate::error::{Error, ErrorKind, Result};

/// How a snapshot ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// It is being taken.
    InProgress,
    /// Every shard is in it.
    Success,
    /// It could not be finished.
    Failed,
    /// Some shards are missing from it.
    Partial,
    /// This cluster cannot read it.
    Incompatible,
    /// A word that we do not know.
    #[serde(other)]
    Unknown,
}

/// How many shards went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shards {
    /// All of them.
    #[serde(default)]
    pub total: u64,
    /// Those that are complete.
    #[serde(default)]
    pub successful: u64,
    /// Those that are not.
    #[serde(default)]
    pub failed: u64,
}

/// A shard that is not in a snapshot, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardFailure {
    /// Which index.
    #[serde(default)]
    pub index: String,
    /// Which of its shards.
    #[serde(default)]
    pub shard_id: i64,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name, unique in its repository at a time.
    #[serde(rename(deserialize = "snapshot"))]
    pub name: String,
    /// What tells it from every other snapshot of any name.
    #[serde(default)]
    pub uuid: String,
    /// How it ended.
    pub state: State,
    /// The version that took it; sometimes an index version's number.
    #[serde(default)]
    pub version: Option<String>,
    /// The indices in it, hidden ones too.
    #[serde(default)]
    pub indices: Vec<String>,
    /// The data streams in it; their backing indices are among `indices`.
    #[serde(default)]
    pub data_streams: Vec<String>,
    /// Whether settings, templates and the like are in it; unknown in a short listing.
    #[serde(default)]
    pub include_global_state: Option<bool>,
    /// When it began, in milliseconds since 1970; unknown in a short listing.
    #[serde(default)]
    pub start_time_in_millis: Option<u64>,
    /// When it ended; 0 while it is being taken.
    #[serde(default)]
    pub end_time_in_millis: Option<u64>,
    /// How many shards went well; unknown in a short listing.
    #[serde(default)]
    pub shards: Option<Shards>,
    /// The shards that did not.
    #[serde(default)]
    pub failures: Vec<ShardFailure>,
    /// The indices' sizes; only when one snapshot is asked for, and only for those taken by 7.13 and later.
    #[serde(default, skip_serializing)]
    pub index_details: BTreeMap<String, IndexDetails>,
}

impl Snapshot {
    /// The bytes of these indices, if the snapshot tells the size of each.
    #[must_use]
    pub fn bytes_of<'a>(&self, indices: impl IntoIterator<Item = &'a str>) -> Option<u64> {
        indices.into_iter().map(|index| self.index_details.get(index).map(|details| details.size_in_bytes)).sum()
    }
}

/// What a snapshot tells about one of its indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IndexDetails {
    /// Its primary shards.
    #[serde(default)]
    pub shard_count: u32,
    /// Their bytes.
    #[serde(default)]
    pub size_in_bytes: u64,
}

/// How much a listing tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Names, identities, states and indices. Reads one blob where the version can, and works when others are missing.
    Short,
    /// Everything; reads one blob for each snapshot.
    Full,
}

/// Lists a repository's snapshots, oldest first. An empty repository has none; a missing one is an error.
pub async fn list(client: &Client, repository: &str, detail: Detail) -> Result<Vec<Snapshot>> {
    let short = detail == Detail::Short && client.capability().short_listing;
    list_as(client, repository, if short { &[("verbose", "false")] } else { &[] }).await
}

/// As [`list`], with these parameters, all of which the version must know.
pub(super) async fn list_as(
    client: &Client,
    repository: &str,
    query: &[(&'static str, &'static str)],
) -> Result<Vec<Snapshot>> {
    name::check("repository", repository)?;
    let doing = format!("list the snapshots of `{repository}`");
    let mut request = Request::get(doing.clone(), &["_snapshot", repository]).word("_all");
    for (key, value) in query {
        request = request.query(key, *value);
    }
    let answer = client.call(request).await?;
    let mut snapshots = read(answer, repository, || format!("{doing} on `{}`", client.place()))?;
    snapshots.sort_by_key(|snapshot| snapshot.start_time_in_millis);
    Ok(snapshots)
}

/// One snapshot, everything about it; an error with [`ErrorKind::NotFound`] when it is not there.
pub async fn get(client: &Client, repository: &str, snapshot: &str) -> Result<Snapshot> {
    name::check("repository", repository)?;
    name::check("snapshot", snapshot)?;
    let doing = format!("read the snapshot `{repository}:{snapshot}`");
    let mut request = Request::get(doing.clone(), &["_snapshot", repository, snapshot]);
    if client.capability().index_details {
        request = request.query("index_details", "true");
    }
    let answer = client.call(request).await?;
    let at = || format!("{doing} on `{}`", client.place());
    let found = read(answer, repository, at)?.into_iter().find(|found| found.name == snapshot);
    found.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, at())
            .because("the cluster's answer does not hold it")
            .hint("list what is there with `snapshot list`")
    })
}

/// The youngest snapshot that is complete.
#[must_use]
pub fn latest(snapshots: &[Snapshot]) -> Option<&Snapshot> {
    let complete = snapshots.iter().filter(|snapshot| snapshot.state == State::Success);
    complete.max_by_key(|snapshot| (snapshot.start_time_in_millis, snapshot.end_time_in_millis))
}

/// Takes the snapshots out of an answer of any version: plain, in `responses[]`, or with 200 and `failures`.
fn read(mut answer: Value, repository: &str, doing: impl Fn() -> String) -> Result<Vec<Snapshot>> {
    if let Some(failure) = answer["failures"].get(repository) {
        return Err(within(failure, doing()));
    }
    if let Some(responses) = answer["responses"].as_array_mut() {
        let mut all = Vec::new();
        for response in responses {
            if response["error"].is_object() {
                return Err(within(&response["error"], doing()));
            }
            all.append(response["snapshots"].as_array_mut().unwrap_or(&mut Vec::new()));
        }
        answer = serde_json::json!({ "snapshots": all });
    }
    let list = answer.get_mut("snapshots").map(Value::take).unwrap_or_default();
    if !list.is_array() {
        return Err(Error::new(ErrorKind::Invalid, doing()).because("the answer holds no list of snapshots"));
    }
    serde_json::from_value(list)
        .map_err(|error| Error::new(ErrorKind::Invalid, doing()).because(line(&format!("the answer is odd: {error}"))))
}

/// An error that came inside a document whose status said 200.
fn within(error: &Value, doing: String) -> Error {
    let mut failure = Failure::decode(status_of(error), error);
    // 8.x puts no status beside it; the type says more anyway.
    if failure.is("repository_missing_exception") || failure.is("snapshot_missing_exception") {
        failure.status = http::StatusCode::NOT_FOUND;
    }
    Refusal::verdict(failure.into_error(doing)).error
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(answer: Value) -> Result<Vec<Snapshot>> {
        read(answer, "r", || "list".into())
    }

    #[test]
    fn a_missing_repository_told_with_200_is_an_error() {
        let error = listed(json!({ "snapshots": [], "total": 0, "remaining": 0, "failures": {
            "r": { "type": "repository_missing_exception", "reason": "[r] missing" }
        } }))
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("[r] missing"), "{error}");
    }

    #[test]
    fn answers_wrapped_by_repository_are_unwrapped() {
        let found = listed(json!({ "responses": [{ "repository": "r", "snapshots": [
            { "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": ["movies"] }
        ] }] }))
        .unwrap();
        assert_eq!((found[0].name.as_str(), found[0].uuid.as_str(), found[0].state), ("s", "u", State::Success));
        let error = listed(json!({ "responses": [{ "repository": "r", "error": {
            "type": "repository_missing_exception", "reason": "[r] missing" } }] }))
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_latest_is_the_youngest_complete_one() {
        let snapshot = |name: &str, state, start| Snapshot {
            name: name.into(),
            uuid: String::new(),
            state,
            version: None,
            indices: Vec::new(),
            data_streams: Vec::new(),
            include_global_state: None,
            start_time_in_millis: Some(start),
            end_time_in_millis: None,
            shards: None,
            failures: Vec::new(),
            index_details: BTreeMap::new(),
        };
        let all =
            [snapshot("b", State::Success, 2), snapshot("a", State::Success, 1), snapshot("c", State::Partial, 3)];
        assert_eq!(latest(&all).unwrap().name, "b");
    }

    #[test]
    fn an_unknown_state_is_no_reason_to_fail() {
        let found = listed(json!({ "snapshots": [{ "snapshot": "s", "state": "DREAMING" }] })).unwrap();
        assert_eq!(found[0].state, State::Unknown);
    }
}
