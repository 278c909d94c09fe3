//! Shards as the cluster's routing table tells them, and what their failures say.
//!
//! The routing table and not `_recovery`: a shard that failed for good disappears from the latter, and those that are left
//! read 100 % (finding 6).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::client::Client;
use super::failure::line;
use super::request::Request;

/// Where a primary shard stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It answers searches.
    Started,
    /// It is being filled.
    Initializing,
    /// No node has it.
    Unassigned,
}

/// One primary shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Primary {
    pub(super) index: String,
    pub(super) number: u32,
    pub(super) stage: Stage,
    /// Why it is unassigned: `ALLOCATION_FAILED`, `NEW_INDEX_RESTORED`, ….
    pub(super) reason: String,
    /// A stack trace or its summary.
    pub(super) details: String,
    /// How often its allocation failed.
    pub(super) tries: u64,
}

/// The reason of a shard that was tried and could not be started.
pub(super) const FAILED: &str = "ALLOCATION_FAILED";

/// What of the routing table is asked for.
pub(super) const FIELDS: &str = "routing_table.indices.*.shards.*.state,routing_table.indices.*.shards.*.primary,\
    routing_table.indices.*.shards.*.unassigned_info";

/// The primaries in a cluster state.
pub(super) fn primaries(state: &Value) -> Vec<Primary> {
    let mut primaries = Vec::new();
    for (index, table) in state["routing_table"]["indices"].as_object().into_iter().flatten() {
        for (number, copies) in table["shards"].as_object().into_iter().flatten() {
            let copies = copies.as_array().into_iter().flatten();
            for copy in copies.filter(|copy| copy["primary"] == true) {
                let info = &copy["unassigned_info"];
                let text = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
                primaries.push(Primary {
                    index: index.clone(),
                    number: number.parse().unwrap_or_default(),
                    stage: match copy["state"].as_str() {
                        Some("STARTED" | "RELOCATING") => Stage::Started,
                        Some("INITIALIZING") => Stage::Initializing,
                        _ => Stage::Unassigned,
                    },
                    reason: text("reason"),
                    details: text("details"),
                    tries: info["failed_attempts"]
                        .as_u64()
                        .or_else(|| info["failed_allocation_attempts"].as_u64())
                        .unwrap_or(0),
                });
            }
        }
    }
    primaries
}

/// What is known about a failed shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// One line.
    pub(super) text: String,
    /// The blob that the repository lacks or holds damaged, below the repository's root as far as it is told.
    pub(super) blob: Option<String>,
    /// The repository's data is at fault, whether or not a blob is named.
    pub(super) is_damage: bool,
}

/// Reads a failure's details: 6.x and later give a stack trace whose last `Caused by:` is the point, 5.x a row of `nested:`.
pub(super) fn diagnose(details: &str) -> Option<Diagnosis> {
    static BLOB: LazyLock<Regex> = LazyLock::new(|| {
        // `indices/<id>/<shard>/__name`, or the name alone; also the metadata blobs of a shard. `v__…` is no blob.
        Regex::new(r"((?:indices/[^/\s\[\]]+/\d+/)?)\b(__[0-9A-Za-z_-]+(?:\.part\d+)?|(?:snap-|index-)[0-9A-Za-z_-]{10,}(?:\.dat)?)")
            .expect("the pattern is constant and tested")
    });
    let caused = details.rsplit("Caused by: ").next().filter(|rest| rest.len() < details.len());
    let deepest = caused.or_else(|| details.rsplit("nested: ").next())?;
    let text = line(deepest).trim_end_matches([';', ' ']).to_owned();
    if text.is_empty() {
        return None;
    }
    let missing = ["NoSuchFileException", "FileNotFoundException", "NoSuchKey", "not found", "404"];
    let damaged = [
        "CorruptIndexException",
        "checksum",
        "EOFException",
        "IndexFormatTooOld",
        "CorruptState",
        "misplaced codec footer",
    ];
    let is_missing = missing.iter().any(|word| text.contains(word));
    let blob = BLOB.captures(&text).map(|found| format!("{}{}", &found[1], &found[2]));
    let is_damage = blob.is_some() || is_missing || damaged.iter().any(|word| text.contains(word));
    let text = match &blob {
        Some(blob) if is_missing => format!("the blob `{blob}` is missing from the repository ({text})"),
        Some(blob) => format!("the blob `{blob}` cannot be used ({text})"),
        None => text,
    };
    Some(Diagnosis { text, blob, is_damage })
}

/// Why a primary is not started: by its own details, else by asking the cluster for its reasons.
pub(super) async fn why(client: &Client, shard: &Primary) -> Diagnosis {
    if shard.stage == Stage::Initializing {
        return Diagnosis { text: "a node is still filling it".into(), blob: None, is_damage: false };
    }
    // For other reasons the details only say where the shard is to come from.
    if let Some(diagnosis) = diagnose(&shard.details).filter(|_| shard.reason == FAILED) {
        return diagnosis;
    }
    let request = Request::post("explain an unassigned shard", &["_cluster", "allocation", "explain"])
        .body(&serde_json::json!({ "index": shard.index, "shard": shard.number, "primary": true }));
    match client.call(request).await {
        Ok(answer) => explained(&answer),
        Err(error) => {
            tracing::debug!(%error, "no explanation");
            Diagnosis { text: format!("it is unassigned ({})", shard.reason), blob: None, is_damage: false }
        }
    }
}

/// What `_cluster/allocation/explain` gives as reasons.
fn explained(answer: &Value) -> Diagnosis {
    let info = &answer["unassigned_info"];
    if let Some(diagnosis) = info["details"].as_str().and_then(diagnose).filter(|_| info["reason"] == FAILED) {
        return diagnosis;
    }
    let mut reasons: Vec<&str> = Vec::new();
    for node in answer["node_allocation_decisions"].as_array().into_iter().flatten() {
        for decider in node["deciders"].as_array().into_iter().flatten() {
            // That the restore has failed is what we are asking about, not the reason.
            if decider["decision"] == "NO" && decider["decider"] != "restore_in_progress" {
                reasons.extend(decider["explanation"].as_str().filter(|text| !reasons.contains(text)));
            }
        }
    }
    reasons.extend(answer["allocate_explanation"].as_str().filter(|_| reasons.is_empty()));
    let text = if reasons.is_empty() { "the cluster gives no reason".to_owned() } else { line(&reasons.join("; ")) };
    Diagnosis { text, blob: None, is_damage: false }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_cause_names_the_missing_blob() {
        let details = "failed shard on node [x]: failed recovery, failure org.elasticsearch.indices.recovery.RecoveryFailedException: [m2][0]\n\
            \tat org.elasticsearch.index.shard.IndexShard.x(IndexShard.java:1)\n\
            Caused by: org.elasticsearch.index.snapshots.IndexShardRestoreFailedException: restore failed\n\
            \t... 8 more\n\
            Caused by: java.nio.file.NoSuchFileException: /repo/indices/aBc-_1/0/__olaD_x-9.part1\n\tat sun.nio.fs.X\n";
        let found = diagnose(details).unwrap();
        assert_eq!(found.blob.as_deref(), Some("indices/aBc-_1/0/__olaD_x-9.part1"));
        assert!(found.text.starts_with("the blob `indices/aBc-_1/0/__olaD_x-9.part1` is missing"), "{}", found.text);
        assert!(!found.text.contains('\n') && found.is_damage);
    }

    #[test]
    fn five_five_nests_its_causes_in_one_line() {
        let details = "failed recovery, failure RecoveryFailedException[[movies][0]: Recovery failed]; nested: \
            IndexShardRecoveryException[failed recovery]; nested: NoSuchFileException[/r/indices/aB/0/__5]; ";
        let found = diagnose(details).unwrap();
        assert_eq!(found.blob.as_deref(), Some("indices/aB/0/__5"));
        assert!(found.text.ends_with("(NoSuchFileException[/r/indices/aB/0/__5])"), "{}", found.text);
    }

    #[test]
    fn an_object_store_names_the_key() {
        let found = diagnose("x\nCaused by: java.nio.file.NoSuchFileException: Blob object [es/indices/q/1/__Zz] not found: The specified key").unwrap();
        assert_eq!(found.blob.as_deref(), Some("indices/q/1/__Zz"));
    }

    #[test]
    fn damage_without_a_name_is_still_damage() {
        let found = diagnose(
            "x\nCaused by: org.apache.lucene.index.CorruptIndexException: verification failed : calculated=1 stored=2",
        )
        .unwrap();
        assert!(found.is_damage && found.blob.is_none());
        assert_eq!(diagnose(""), None);
    }

    #[test]
    fn an_allocation_filter_is_explained_by_its_decider() {
        let found = explained(
            &json!({ "unassigned_info": { "reason": "NEW_INDEX_RESTORED", "details": "restore_source[r/s]" }, "node_allocation_decisions": [
            { "deciders": [
                { "decider": "restore_in_progress", "decision": "NO", "explanation": "shard has failed to be restored" },
                { "decider": "filter", "decision": "NO", "explanation": "node does not match [rack:\"a\"]" },
            ] },
        ] }),
        );
        assert_eq!(found.text, "node does not match [rack:\"a\"]");
    }
}
