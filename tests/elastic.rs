//! The Elasticsearch client against a scripted server: every finding of `elasticsearch-api.md` 0 that concerns it has a test.

#[cfg(test)]
#[expect(dead_code, reason = "each test binary uses some of it")]
#[path = "support/elastic.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use snapferry::elastic::conflict::{Conflict, Piece};
use snapferry::elastic::creation::{Creation, GlobalState};
use snapferry::elastic::repository::{Expectation, Expected, Kind, Policy, Registration, Replace, S3, Writable};
use snapferry::elastic::restore::{Aliases, IGNORED};
use snapferry::elastic::snapshot::{Detail, Shards};
use snapferry::elastic::{Auth, Client, Distribution, count, repository, snapshot};
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::event::{Event, Reporter, Silent};
use snapferry::ops;
use snapferry::ops::restore::Restored;
use snapferry::ops::snapshot::Which;
use snapferry::secret::Secret;
use support::{Heard, Reply, Script, Seen, Server, Shard, impatient, ok, refusal, state};
use tokio_util::sync::CancellationToken;

const RESTORE: &str = "POST /_snapshot/r/s/_restore";
const LOOK: &str = "GET /_cluster/state/metadata,routing_table,customs/movies";
const NAMES: &str = "GET /_cluster/state/metadata";
const RUNNING: &str = "GET /_cluster/state/customs";
const RECOVERY: &str = "GET /movies/_recovery";

/// A cluster that holds the snapshot `r:s` with the index `movies`, and no index of its own.
fn cluster() -> Script {
    let snapshot = json!({ "snapshot": "s", "uuid": "u-s", "state": "SUCCESS", "indices": [".kibana_1", "movies"] });
    Script::version("8.12.2")
        .on("GET /_snapshot/r/s", [ok(json!({ "snapshots": [snapshot] }))])
        .on(NAMES, [ok(json!({}))])
        .on(RUNNING, [ok(json!({}))])
        .on(RESTORE, [ok(json!({ "accepted": true }))])
        .on(RECOVERY, [ok(json!({}))])
}

fn options() -> ops::restore::Options {
    ops::restore::Options {
        repository: "r".into(),
        snapshot: Which::Named("s".into()),
        indices: Vec::new(),
        rename: None,
        conflict: Conflict::Fail,
        aliases: Aliases::Restored,
        ignore_settings: IGNORED.map(str::to_owned).to_vec(),
        settings: BTreeMap::new(),
        patience: impatient(),
        ..ops::restore::Options::default()
    }
}

async fn restore(server: &Server, options: &ops::restore::Options) -> Result<Restored> {
    let client = server.client().await;
    ops::restore::run(&client, options, &Silent, &CancellationToken::new()).await
}

fn text(error: &Error) -> String {
    format!("{error}\nhint: {}", error.advice().unwrap_or_default())
}

const MISSING: Shard = Shard::Failed {
    reason: "ALLOCATION_FAILED",
    details: "failed shard on node [n]: failed recovery\n\tat x\n\
        Caused by: java.nio.file.NoSuchFileException: /repo/indices/q1/0/__abc-1\n\tat y\n",
    tries: 5,
};

mod restoring {
    use super::*;

    #[tokio::test]
    async fn a_restore_ends_when_every_primary_is_started() {
        let looks = [
            ok(state("movies", true, 2, &[Shard::Initializing, Shard::Initializing])),
            ok(state("movies", true, 2, &[Shard::Started, Shard::Initializing])),
            ok(state("movies", false, 2, &[Shard::Started, Shard::Started])),
        ];
        let recovery = json!({ "movies": { "shards": [
            { "primary": true, "type": "SNAPSHOT",
              "index": { "size": { "total_in_bytes": 10, "reused_in_bytes": 4, "recovered_in_bytes": 6 } } },
            { "primary": false, "type": "PEER", "index": { "size": { "total_in_bytes": 99 } } },
        ] } });
        let server = Server::start(cluster().on(LOOK, looks).on(RECOVERY, [ok(recovery)])).await;
        let heard = Heard::default();
        let client = server.client().await;
        let restored = ops::restore::run(&client, &options(), &heard, &CancellationToken::new()).await.unwrap();
        assert_eq!(restored.shards, Shards { total: 2, successful: 2, failed: 0 });
        assert_eq!((restored.bytes, restored.reused_bytes), (10, 4));
        assert_eq!(restored.pieces, [Piece { index: "movies".into(), target: "movies".into() }]);
        assert_eq!(restored.left_out, [".kibana_1"]);
        assert!(heard.has(&["Shards", "restore", "done: 1", "total: 2", "bytes: 10"]));
        assert!(heard.has(&["Warning", ".kibana_1"]));
    }

    #[tokio::test]
    async fn only_names_are_sent_and_the_sources_blocks_stay_behind() {
        let server = Server::start(cluster().on(LOOK, [ok(state("movies", false, 1, &[Shard::Started]))])).await;
        restore(&server, &options()).await.unwrap();
        let Seen { body, query, headers, .. } = server.calls(RESTORE).remove(0);
        assert_eq!(body["indices"], json!(["movies"]));
        assert_eq!(body["include_global_state"], false);
        assert_eq!(body["ignore_index_settings"][0], "index.blocks.*");
        assert_eq!(body["index_settings"], json!(null));
        assert_eq!(query, "wait_for_completion=false");
        assert_eq!(headers["content-type"], "application/json");
    }

    /// Finding 1.
    #[tokio::test]
    async fn failed_shards_behind_a_200_are_an_error_that_names_the_blob() {
        let looks = [ok(state("movies", false, 2, &[Shard::Started, MISSING]))];
        let server = Server::start(cluster().on(LOOK, looks)).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let text = text(&error);
        assert!(text.contains("1 of 2 shards failed: shard 1 of `movies`"), "{text}");
        assert!(text.contains("`indices/q1/0/__abc-1` is missing"), "{text}");
        assert!(text.contains("verify LOCATION --repair-from"), "{text}");
    }

    /// Finding 1, as told at once.
    #[tokio::test]
    async fn an_answer_that_reports_failed_shards_is_never_a_success() {
        let answer = json!({ "snapshot": { "snapshot": "s", "indices": ["movies"],
            "shards": { "total": 2, "failed": 1, "successful": 1 } } });
        let looks = [ok(state("movies", false, 2, &[Shard::Started, Shard::Started]))];
        let server = Server::start(cluster().on(RESTORE, [ok(answer)]).on(LOOK, looks)).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert!(text(&error).contains("1 failed and 1 restored of 2 shards"), "{error}");
    }

    /// Finding 2.
    #[tokio::test]
    async fn an_answer_with_no_index_and_no_shard_is_an_error() {
        for indices in [json!([]), json!(["movies"])] {
            let answer = json!({ "snapshot": { "snapshot": "s", "indices": indices,
                "shards": { "total": 0, "failed": 0, "successful": 0 } } });
            let looks = [ok(state("movies", false, 1, &[Shard::Started]))];
            let server = Server::start(cluster().on(RESTORE, [ok(answer)]).on(LOOK, looks)).await;
            let error = restore(&server, &options()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(text(&error).contains("with no index and no shard"), "{error}");
        }
    }

    /// Finding 2.
    #[tokio::test]
    async fn a_pattern_that_matches_nothing_is_an_error_before_anything_is_sent() {
        let server = Server::start(cluster()).await;
        let mut options = options();
        options.indices = vec!["nosuch*".into()];
        let error = restore(&server, &options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(text(&error).contains("`nosuch*`") && text(&error).contains("`r:s`"), "{error}");
        assert!(server.calls(RESTORE).is_empty());
    }

    /// Finding 5.
    #[tokio::test]
    async fn a_new_index_without_a_started_primary_is_not_restored() {
        let looks = [
            ok(state("movies", true, 1, &[Shard::Initializing])),
            ok(state("movies", true, 1, &[Shard::Initializing])),
            ok(state("movies", false, 1, &[Shard::Started])),
        ];
        let health = json!({ "status": "yellow", "active_primary_shards": 0 });
        let script = cluster().on(LOOK, looks).on("GET /_cluster/health/movies", [ok(health)]);
        let server = Server::start(script).await;
        restore(&server, &options()).await.unwrap();
        assert_eq!(server.calls(LOOK).len(), 3);
    }

    /// Finding 6.
    #[tokio::test]
    async fn a_failed_shard_that_recovery_no_longer_lists_is_missed() {
        let complete = json!({ "movies": { "shards": [{ "id": 0, "primary": true, "type": "SNAPSHOT", "stage": "DONE",
            "index": { "size": { "total_in_bytes": 5, "recovered_in_bytes": 5, "percent": "100.0%" } } }] } });
        let looks = [ok(state("movies", false, 2, &[Shard::Started, MISSING]))];
        let server = Server::start(cluster().on(LOOK, looks).on(RECOVERY, [ok(complete)])).await;
        assert!(restore(&server, &options()).await.is_err());
    }

    /// Finding 6, sharper: the routing table shows fewer primaries than the index has.
    #[tokio::test]
    async fn as_many_primaries_are_awaited_as_the_index_has() {
        let server = Server::start(cluster().on(LOOK, [ok(state("movies", false, 2, &[Shard::Started]))])).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(text(&error).contains("1 of 2 shards"), "{error}");
    }

    #[tokio::test]
    async fn a_shard_given_up_is_a_failure_although_5_5_keeps_calling_it_running() {
        let server = Server::start(cluster().on(LOOK, [ok(state("movies", true, 1, &[MISSING]))])).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(text(&error).contains("__abc-1"), "{error}");
    }

    #[tokio::test]
    async fn a_shard_that_failed_once_is_still_waited_for() {
        let once = Shard::Failed { reason: "ALLOCATION_FAILED", details: "nested: Odd[x]", tries: 1 };
        let looks = [ok(state("movies", true, 1, &[once])), ok(state("movies", false, 1, &[Shard::Started]))];
        let server = Server::start(cluster().on(LOOK, looks)).await;
        restore(&server, &options()).await.unwrap();
    }

    /// Finding 12.
    #[tokio::test]
    async fn a_filter_that_no_node_meets_is_explained() {
        let unassigned = Shard::Failed { reason: "NEW_INDEX_RESTORED", details: "", tries: 0 };
        let explanation = json!({ "node_allocation_decisions": [{ "deciders": [
            { "decider": "filter", "decision": "NO", "explanation": "node does not match index setting [rack]" }] }] });
        let script = cluster()
            .on(LOOK, [ok(state("movies", false, 1, &[unassigned]))])
            .on("POST /_cluster/allocation/explain", [ok(explanation)]);
        let server = Server::start(script).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition);
        assert!(text(&error).contains("does not match index setting [rack]"), "{error}");
    }

    #[tokio::test]
    async fn a_restore_that_stands_still_is_left_with_its_reason() {
        let waiting = Shard::Failed { reason: "NEW_INDEX_RESTORED", details: "restore_source[r/s]", tries: 0 };
        let script = cluster()
            .on(LOOK, [ok(state("movies", true, 1, &[waiting]))])
            .on("POST /_cluster/allocation/explain", [ok(json!({ "allocate_explanation": "waiting for a node" }))]);
        let server = Server::start(script).await;
        let mut options = options();
        options.patience.stall = Duration::from_millis(20);
        let error = restore(&server, &options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(text(&error).contains("waiting for a node") && text(&error).contains("goes on"), "{error}");
    }

    #[tokio::test]
    async fn a_signal_says_whether_the_restore_goes_on() {
        /// The signal comes with the first progress.
        struct Signal(CancellationToken);
        impl Reporter for Signal {
            fn report(&self, event: &Event<'_>) {
                if matches!(event, Event::Shards { .. }) {
                    self.0.cancel();
                }
            }
        }
        let server =
            Server::start(cluster().on(LOOK, [ok(state("movies", true, 1, &[Shard::Initializing])), Reply::Never]))
                .await;
        let client = server.client().await;
        let cancel = CancellationToken::new();
        let error = ops::restore::run(&client, &options(), &Signal(cancel.clone()), &cancel).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(text(&error).contains("goes on in the cluster") && text(&error).contains("`movies`"), "{error}");
        let error = ops::restore::run(&client, &options(), &Silent, &cancel).await.unwrap_err();
        assert!(text(&error).contains("before anything was begun"), "{error}");
        assert_eq!(server.calls(RESTORE).len(), 1);
    }

    #[tokio::test]
    async fn an_index_deleted_meanwhile_is_an_error() {
        let looks = [ok(state("movies", true, 1, &[Shard::Initializing])), ok(json!({}))];
        let server = Server::start(cluster().on(LOOK, looks)).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert!(text(&error).contains("`movies` is not among the cluster's indices"), "{error}");
    }

    #[tokio::test]
    async fn an_incomplete_snapshot_is_refused() {
        let snapshot = json!({ "snapshot": "s", "uuid": "u", "state": "PARTIAL", "indices": ["movies"] });
        let server = Server::start(cluster().on("GET /_snapshot/r/s", [ok(json!({ "snapshots": [snapshot] }))])).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition);
        assert!(server.calls(RESTORE).is_empty());
    }
}

mod conflicts {
    use super::*;

    fn open() -> serde_json::Value {
        state("movies", false, 1, &[Shard::Started])
    }

    fn closed() -> serde_json::Value {
        json!({ "metadata": { "indices": { "movies": { "state": "close" } } } })
    }

    #[tokio::test]
    async fn an_index_in_the_way_is_an_error_by_default() {
        let server = Server::start(cluster().on(NAMES, [ok(open())])).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(text(&error).contains("`movies` is an open index"), "{error}");
        assert!(server.seen().iter().all(|seen| seen.call.starts_with("GET")));
    }

    #[tokio::test]
    async fn close_closes_it_and_restores_over_it() {
        let script = cluster()
            .on(NAMES, [ok(open()), ok(closed())])
            .on("POST /movies/_close", [ok(json!({ "acknowledged": true }))])
            .on(LOOK, [ok(open())]);
        let server = Server::start(script).await;
        let mut options = options();
        options.conflict = Conflict::Close;
        let restored = restore(&server, &options).await.unwrap();
        assert_eq!(restored.closed, ["movies"]);
        let changes = |call: &String| call.starts_with("POST") && !call.ends_with("_has_privileges");
        let posts: Vec<String> = server.seen().into_iter().map(|seen| seen.call).filter(changes).collect();
        assert_eq!(posts, ["POST /movies/_close", RESTORE]);
    }

    #[tokio::test]
    async fn an_index_that_stays_open_is_not_restored_over() {
        let script = cluster()
            .on(NAMES, [ok(open())])
            .on("POST /movies/_close", [ok(json!({ "acknowledged": true }))])
            .on("POST /movies/_open", [ok(json!({ "acknowledged": true }))]);
        let server = Server::start(script).await;
        let mut options = options();
        options.conflict = Conflict::Close;
        assert_eq!(restore(&server, &options).await.unwrap_err().kind(), ErrorKind::Precondition);
        assert!(server.calls(RESTORE).is_empty());
    }

    /// Finding 3: what a refusal leaves behind must not be a closed index.
    #[tokio::test]
    async fn a_refused_restore_opens_again_what_was_closed() {
        let reason =
            "[r:s] cannot restore index [movies] with [3] shards from a snapshot of index [movies] with [2] shards";
        let script = cluster()
            .on(NAMES, [ok(open()), ok(closed())])
            .on("POST /movies/_close", [ok(json!({ "acknowledged": true }))])
            .on("POST /movies/_open", [ok(json!({ "acknowledged": true }))])
            .on(RESTORE, [refusal(500, "snapshot_restore_exception", reason)]);
        let server = Server::start(script).await;
        let mut options = options();
        options.conflict = Conflict::Close;
        let error = restore(&server, &options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(text(&error).contains("open again") && text(&error).contains("another name"), "{}", text(&error));
        assert_eq!((server.calls(RESTORE).len(), server.calls("POST /movies/_open").len()), (1, 1));
    }

    #[tokio::test]
    async fn skip_leaves_it_and_says_so() {
        let server = Server::start(cluster().on(NAMES, [ok(open())])).await;
        let mut options = options();
        options.conflict = Conflict::Skip;
        let restored = restore(&server, &options).await.unwrap();
        assert_eq!(restored.skipped, ["movies"]);
        assert!(restored.indices.is_empty() && server.calls(RESTORE).is_empty());
    }
}

mod lost_answers {
    use super::*;

    fn running() -> serde_json::Value {
        json!({ "restore": { "snapshots": [{ "repository": "r", "snapshot": "s", "indices": ["movies"] }] } })
    }

    #[tokio::test]
    async fn a_restore_found_running_is_followed_and_not_sent_again() {
        for lost in [
            Reply::Lost,
            Reply::Text(504, "text/html", "<html>".into()),
            Reply::Text(200, "text/html", "<html>".into()),
        ] {
            let script = cluster()
                .on(RESTORE, [lost])
                .on(RUNNING, [ok(json!({})), ok(json!({})), ok(running())])
                .on(LOOK, [ok(state("movies", false, 1, &[Shard::Started]))]);
            let server = Server::start(script).await;
            restore(&server, &options()).await.unwrap();
            assert_eq!(server.calls(RESTORE).len(), 1);
        }
    }

    #[tokio::test]
    async fn a_restore_that_runs_already_is_followed() {
        let script =
            cluster().on(RUNNING, [ok(running())]).on(LOOK, [ok(state("movies", false, 1, &[Shard::Started]))]);
        let server = Server::start(script).await;
        restore(&server, &options()).await.unwrap();
        assert!(server.calls(RESTORE).is_empty());
    }

    /// 5.5 keeps a restore open whose shard has failed for good, and refuses to close its index.
    #[tokio::test]
    async fn a_restore_that_hangs_is_deleted_when_overwriting_is_allowed_and_only_then() {
        let hangs = || ok(state("movies", true, 1, &[MISSING]));
        let looks = [hangs(), hangs(), ok(state("movies", false, 1, &[Shard::Started]))];
        let script = cluster()
            .on("GET /", [ok(json!({ "version": { "number": "5.5.3" } }))])
            .on(RUNNING, [ok(running()), ok(json!({}))])
            .on("DELETE /movies", [ok(json!({ "acknowledged": true }))])
            .on("PUT /movies/_settings", [ok(json!({ "acknowledged": true }))])
            .on(LOOK, looks);
        let server = Server::start(script.clone()).await;
        let mut options = options();
        options.conflict = Conflict::Close;
        restore(&server, &options).await.unwrap();
        assert_eq!((server.calls("DELETE /movies").len(), server.calls(RESTORE).len()), (1, 1));
        // A second try would only hide why the first one failed; afterwards the setting is taken back.
        assert_eq!(server.calls(RESTORE)[0].body["index_settings"], json!({ "index.allocation.max_retries": 1 }));
        assert_eq!(server.calls("PUT /movies/_settings")[0].body, json!({ "index.allocation.max_retries": null }));
        let server = Server::start(script.on(LOOK, [hangs()])).await;
        options.conflict = Conflict::Fail;
        let error = restore(&server, &options).await.unwrap_err();
        assert!(text(&error).contains("__abc-1") && text(&error).contains("--conflict close"), "{error}");
        assert!(server.calls("DELETE /movies").is_empty());
    }

    #[tokio::test]
    async fn a_cluster_that_restores_something_else_names_it() {
        let other = json!({ "restore": { "snapshots": [{ "repository": "x", "snapshot": "y", "indices": ["z"] }] } });
        let busy = refusal(503, "concurrent_snapshot_execution_exception", "Restore process is already running");
        let server = Server::start(cluster().on(RUNNING, [ok(other)]).on(RESTORE, [busy])).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(text(&error).contains("`x:y` into `z`"), "{error}");
    }

    #[tokio::test]
    async fn a_restore_of_other_indices_is_not_taken_for_ours() {
        let other = json!({ "restore": { "snapshots": [
            { "repository": "r", "snapshot": "s", "indices": ["movies", "salaries"] }] } });
        let script = cluster().on(RUNNING, [ok(other)]).on(LOOK, [ok(state("movies", false, 1, &[Shard::Started]))]);
        let server = Server::start(script).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert!(text(&error).contains("it is being restored from `r:s`"), "{error}");
        assert!(server.calls(RESTORE).is_empty());
    }

    #[tokio::test]
    async fn a_restore_that_is_over_already_is_recognised_by_where_the_index_came_from() {
        let recovery = json!({ "movies": { "shards": [
            { "type": "SNAPSHOT", "primary": true, "source": { "repository": "r", "snapshot": "s" } }] } });
        let script = cluster()
            .on(RESTORE, [Reply::Lost])
            .on(RUNNING, [ok(json!({}))])
            .on(NAMES, [ok(json!({})), ok(state("movies", false, 1, &[Shard::Started]))])
            .on(RECOVERY, [ok(recovery)])
            .on(LOOK, [ok(state("movies", false, 1, &[Shard::Started]))]);
        let server = Server::start(script).await;
        restore(&server, &options()).await.unwrap();
        assert_eq!(server.calls(RESTORE).len(), 1);
    }

    #[tokio::test]
    async fn a_restore_that_nobody_knows_of_is_an_error_and_not_sent_again() {
        let script = cluster().on(RESTORE, [Reply::Lost]).on(RUNNING, [ok(json!({ "restore": {} }))]);
        let server = Server::start(script).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(text(&error).contains("the answer was lost"), "{error}");
        assert_eq!(server.calls(RESTORE).len(), 1);
    }

    #[tokio::test]
    async fn a_restore_that_the_cluster_did_not_take_is_sent_again() {
        let busy = refusal(
            503,
            "concurrent_snapshot_execution_exception",
            "Restore process is already running in this cluster",
        );
        let script = cluster()
            .on(RESTORE, [busy, ok(json!({ "accepted": true }))])
            .on(LOOK, [ok(state("movies", false, 1, &[Shard::Started]))]);
        let server = Server::start(script).await;
        restore(&server, &options()).await.unwrap();
        assert_eq!(server.calls(RESTORE).len(), 2);
    }

    #[tokio::test]
    async fn a_snapshot_whose_answer_was_lost_is_looked_up() {
        let missing = refusal(404, "snapshot_missing_exception", "[r:new] is missing");
        let done =
            json!({ "snapshots": [{ "snapshot": "new", "uuid": "u", "state": "SUCCESS", "indices": ["movies"] }] });
        let script = Script::version("8.12.2")
            .on("GET /_snapshot/r/new", [missing.clone(), missing, ok(done)])
            .on(NAMES, [ok(json!({ "metadata": { "indices": { "movies": { "state": "open" } } } }))])
            .on("PUT /_snapshot/r/new", [Reply::Lost]);
        let server = Server::start(script).await;
        creating::create(&server, &[]).await.unwrap();
        assert_eq!(server.calls("PUT /_snapshot/r/new").len(), 1);
    }

    #[tokio::test]
    async fn a_repository_whose_removal_was_lost_is_looked_up() {
        let script = Script::version("8.12.2")
            .on("DELETE /_snapshot/r", [Reply::Lost])
            .on("GET /_snapshot/r", [refusal(404, "repository_missing_exception", "[r] missing")]);
        let server = Server::start(script).await;
        repository::remove(&server.client().await, "r").await.unwrap();
        assert_eq!(server.calls("DELETE /_snapshot/r").len(), 1);
    }
}

mod creating {
    use super::*;

    pub(super) async fn create(server: &Server, indices: &[&str]) -> Result<snapshot::Snapshot> {
        let creation = Creation {
            repository: "r".into(),
            snapshot: "new".into(),
            indices: indices.iter().map(ToString::to_string).collect(),
            global_state: GlobalState::Without,
            ..Creation::default()
        };
        let options = ops::snapshot::Options { creation, patience: impatient() };
        ops::snapshot::create(&server.client().await, &options, &Silent, &CancellationToken::new()).await
    }

    fn script(ends: &serde_json::Value) -> Script {
        let missing = refusal(404, "snapshot_missing_exception", "[r:new] is missing");
        let running =
            json!({ "snapshots": [{ "snapshot": "new", "uuid": "u", "state": "IN_PROGRESS", "indices": [] }] });
        let status = json!({ "snapshots": [{ "shards_stats": { "done": 1, "total": 2 },
            "stats": { "incremental": { "size_in_bytes": 10 }, "processed": { "size_in_bytes": 4 } } }] });
        let names = json!({ "metadata": { "indices": { "movies": { "state": "open", "aliases": ["films"] } } } });
        Script::version("8.12.2")
            .on("GET /_snapshot/r/new", [missing, ok(running), ok(json!({ "snapshots": [ends] }))])
            .on("PUT /_snapshot/r/new", [ok(json!({ "accepted": true }))])
            .on("GET /_snapshot/r/new/_status", [ok(status)])
            .on(NAMES, [ok(names)])
    }

    fn complete(indices: &[&str]) -> serde_json::Value {
        json!({ "snapshot": "new", "uuid": "u", "state": "SUCCESS", "indices": indices })
    }

    #[tokio::test]
    async fn a_snapshot_is_followed_to_its_end() {
        let server = Server::start(script(&complete(&["movies"]))).await;
        let snapshot = create(&server, &["films"]).await.unwrap();
        assert_eq!(snapshot.uuid, "u");
        let Seen { body, query, .. } = server.calls("PUT /_snapshot/r/new").remove(0);
        assert_eq!(body["indices"], "films");
        assert_eq!(body["include_global_state"], false);
        assert_eq!(query, "wait_for_completion=false");
    }

    /// Finding 11.
    #[tokio::test]
    async fn a_snapshot_of_more_than_was_asked_for_is_an_error() {
        let server = Server::start(script(&complete(&["movies", "salaries"]))).await;
        let error = create(&server, &["movies"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition);
        assert!(text(&error).contains("also holds `salaries`"), "{error}");
    }

    /// Finding 11, the other way round.
    #[tokio::test]
    async fn what_is_not_there_is_refused_before_anything_is_taken() {
        let server = Server::start(script(&complete(&["movies"]))).await;
        let error = create(&server, &["movies", "logs-*"]).await.unwrap_err();
        assert!(text(&error).contains("nothing of `logs-*`"), "{error}");
        assert!(server.calls("PUT /_snapshot/r/new").is_empty());
    }

    #[tokio::test]
    async fn a_partial_snapshot_is_an_error_that_names_the_shard() {
        let ends = json!({ "snapshot": "new", "uuid": "u", "state": "PARTIAL", "indices": ["movies"],
            "shards": { "total": 2, "failed": 1, "successful": 1 },
            "failures": [{ "index": "movies", "shard_id": 1, "reason": "node left\n\tat x" }] });
        let server = Server::start(script(&ends)).await;
        let error = create(&server, &["movies"]).await.unwrap_err();
        assert!(text(&error).contains("1 of 2 shards failed; shard 1 of `movies`: node left"), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_is_taken_is_refused_before_anything_is_sent() {
        let there = json!({ "snapshots": [complete(&["movies"])] });
        let server = Server::start(Script::version("8.12.2").on("GET /_snapshot/r/new", [ok(there)])).await;
        assert_eq!(create(&server, &[]).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(server.calls("PUT /_snapshot/r/new").is_empty());
    }
}

mod registering {
    use super::*;

    fn fs(location: &str) -> Registration {
        Registration { name: "r".into(), kind: Kind::Fs { location: location.into() }, settings: BTreeMap::new() }
    }

    fn missing() -> Reply {
        refusal(404, "repository_missing_exception", "[r] missing")
    }

    fn registered(location: &str, readonly: bool) -> Reply {
        let mut settings = json!({ "location": location });
        if readonly {
            settings["readonly"] = json!("true");
        }
        ok(json!({ "r": { "type": "fs", "settings": settings } }))
    }

    fn script() -> Script {
        let listing =
            json!({ "snapshots": [{ "snapshot": "s", "uuid": "u-s", "state": "SUCCESS", "indices": ["movies"] }] });
        Script::version("8.12.2")
            .on("GET /_snapshot/r", [missing()])
            .on("PUT /_snapshot/r", [ok(json!({ "acknowledged": true }))])
            .on("DELETE /_snapshot/r", [ok(json!({ "acknowledged": true }))])
            .on("GET /_snapshot/r/_all", [ok(listing)])
    }

    async fn register(server: &Server, registration: Registration, replace: Replace) -> Result<(bool, Heard)> {
        let heard = Heard::default();
        let expected = vec![Expected { name: "s".into(), uuid: "u-s".into() }];
        let expected = Expectation { root: Some(expected), ..Expectation::default() };
        let policy = Policy { replace, writable: Writable::Refuse };
        let options = ops::repository::Options { registration, expected, policy };
        let registered = ops::repository::register(&server.client().await, &options, &heard).await?;
        Ok((registered.replaced, heard))
    }

    #[tokio::test]
    async fn a_repository_is_registered_read_only_and_looked_into() {
        let server = Server::start(script()).await;
        let (replaced, _) = register(&server, fs("/a"), Replace::Never).await.unwrap();
        assert!(!replaced);
        let body = &server.calls("PUT /_snapshot/r")[0].body;
        assert_eq!(body, &json!({ "type": "fs", "settings": { "location": "/a", "readonly": "true" } }));
        assert_eq!(server.calls("GET /_snapshot/r/_all")[0].query, "verbose=false");
    }

    /// Finding 8.
    #[tokio::test]
    async fn a_writable_registration_becomes_read_only_with_a_warning() {
        let server = Server::start(script().on("GET /_snapshot/r", [registered("/a", false)])).await;
        let heard = Heard::default();
        let policy = Policy { writable: Writable::Convert, ..Policy::default() };
        let expected = Expectation::default();
        let options = ops::repository::Options { registration: fs("/a/"), expected, policy };
        let registered = ops::repository::register(&server.client().await, &options, &heard).await.unwrap();
        assert!(registered.replaced && heard.has(&["Warning", "writable", "`r`"]));
        assert_eq!(server.calls("PUT /_snapshot/r")[0].body["settings"]["readonly"], "true");
    }

    /// Finding 9.
    #[tokio::test]
    async fn a_registration_that_shows_nothing_is_an_error_and_taken_back() {
        let script = script()
            .on("GET /_snapshot/r", [missing(), registered("/a", true)])
            .on("GET /_snapshot/r/_all", [ok(json!({ "snapshots": [] }))]);
        let server = Server::start(script).await;
        let error = register(&server, fs("/a"), Replace::Never).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(text(&error).contains("none is `s`") && text(&error).contains("removed again"), "{error}");
        assert_eq!(server.calls("DELETE /_snapshot/r").len(), 1);
    }

    /// Finding 9: the name is not enough.
    #[tokio::test]
    async fn another_snapshot_of_the_same_name_does_not_count() {
        let listing = json!({ "snapshots": [{ "snapshot": "s", "uuid": "other", "state": "SUCCESS", "indices": [] }] });
        let server = Server::start(script().on("GET /_snapshot/r/_all", [ok(listing)])).await;
        assert_eq!(register(&server, fs("/a"), Replace::Never).await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    /// Finding 10.
    #[tokio::test]
    async fn a_failed_registration_is_taken_back_when_the_name_was_free() {
        let script = script()
            .on("GET /_snapshot/r", [missing(), registered("/a", true)])
            .on("PUT /_snapshot/r", [refusal(500, "repository_verification_exception", "[r] path  is not accessible")]);
        let server = Server::start(script).await;
        let error = register(&server, fs("/a"), Replace::Never).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(text(&error).contains("not accessible") && text(&error).contains("removed again"), "{error}");
        assert_eq!(server.calls("DELETE /_snapshot/r").len(), 1);
    }

    /// Finding 10.
    #[tokio::test]
    async fn a_failed_registration_under_a_name_in_use_is_said_and_left() {
        let script = script()
            .on("GET /_snapshot/r", [registered("/a", true)])
            .on("PUT /_snapshot/r", [refusal(500, "repository_verification_exception", "[r] x")]);
        let server = Server::start(script).await;
        let error = register(&server, fs("/a"), Replace::Never).await.unwrap_err();
        assert!(text(&error).contains("stays registered"), "{error}");
        assert!(server.calls("DELETE /_snapshot/r").is_empty());
    }

    #[tokio::test]
    async fn a_registration_in_use_that_is_right_already_will_do() {
        let reason =
            "trying to modify or unregister repository that is currently used (snapshot restore is in progress)";
        let script = script()
            .on("GET /_snapshot/r", [registered("/a", true)])
            .on("PUT /_snapshot/r", [refusal(500, "illegal_state_exception", reason)]);
        let server = Server::start(script.clone()).await;
        let (replaced, heard) = register(&server, fs("/a"), Replace::Never).await.unwrap();
        assert!(replaced && heard.has(&["Warning", "in use"]));
        let server = Server::start(script.on("GET /_snapshot/r", [registered("/a", false)])).await;
        assert!(register(&server, fs("/a"), Replace::Never).await.is_err());
    }

    #[tokio::test]
    async fn other_data_under_the_same_name_is_refused_unless_asked_for() {
        let server = Server::start(script().on("GET /_snapshot/r", [registered("/b", true)])).await;
        let error = register(&server, fs("/a"), Replace::Never).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(text(&error).contains("its `location` is `/b` and not `/a`"), "{error}");
        assert!(server.calls("PUT /_snapshot/r").is_empty());
        assert!(register(&server, fs("/a"), Replace::OtherData).await.unwrap().0);
    }

    #[tokio::test]
    async fn a_bucket_is_described_as_its_version_wants_it() {
        let s3 = S3 {
            bucket: "b".into(),
            base_path: "/es/prod/".into(),
            endpoint: Some("http://minio:9000".into()),
            region: Some("us-east-1".into()),
            path_style: true,
            client: Some("copy".into()),
            ..S3::default()
        };
        for (version, region) in [("5.5.3", None), ("8.12.2", Some("us-east-1"))] {
            let root = Script::version(version);
            let listing = json!({ "snapshots": [{ "snapshot": "s", "uuid": "u-s", "state": "SUCCESS" }] });
            let script = root
                .on("GET /_snapshot/r", [missing()])
                .on("PUT /_snapshot/r", [ok(json!({ "acknowledged": true }))])
                .on("GET /_snapshot/r/_all", [ok(listing)]);
            let server = Server::start(script).await;
            let registration = Registration { name: "r".into(), kind: Kind::S3(s3.clone()), settings: BTreeMap::new() };
            register(&server, registration, Replace::Never).await.unwrap();
            let settings = &server.calls("PUT /_snapshot/r")[0].body["settings"];
            assert_eq!(settings["base_path"], "es/prod");
            assert_eq!(settings["endpoint"], "http://minio:9000");
            assert_eq!((&settings["path_style_access"], &settings["client"]), (&json!("true"), &json!("copy")));
            assert_eq!(settings["region"].as_str(), region);
            let query = &server.calls("GET /_snapshot/r/_all")[0].query;
            assert_eq!(query.contains("verbose"), version != "5.5.3", "5.5 refuses parameters it does not know");
        }
    }

    #[tokio::test]
    async fn credentials_are_never_sent_as_settings() {
        let server = Server::start(script()).await;
        let mut registration = fs("/a");
        registration.settings.insert("secret_key".into(), "geheim".into());
        let error = register(&server, registration, Replace::Never).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(text(&error).contains("keystore") && !text(&error).contains("geheim"));
        assert!(server.calls("PUT /_snapshot/r").is_empty());
    }

    #[tokio::test]
    async fn credentials_that_an_old_cluster_tells_are_not_shown() {
        let there =
            json!({ "r": { "type": "s3", "settings": { "bucket": "b", "secret_key": "geheim", "access_key": "a" } } });
        let server = Server::start(script().on("GET /_snapshot", [ok(there)])).await;
        let listed = ops::repository::list(&server.client().await, &[]).await.unwrap();
        assert_eq!(listed[0].settings.keys().collect::<Vec<_>>(), ["bucket"]);
        assert!(!listed[0].readonly);
    }

    #[tokio::test]
    async fn a_repository_in_use_is_not_removed() {
        let reason =
            "trying to modify or unregister repository [r] that is currently used (snapshot restore is in progress)";
        for reply in
            [refusal(500, "illegal_state_exception", reason), refusal(409, "repository_conflict_exception", reason)]
        {
            let server = Server::start(script().on("DELETE /_snapshot/r", [reply])).await;
            let error = ops::repository::remove(&server.client().await, "r").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Precondition);
            assert!(text(&error).contains("currently used") && text(&error).contains("wait"), "{error}");
        }
    }

    #[tokio::test]
    async fn removing_needs_one_name_and_never_a_pattern() {
        let server = Server::start(script()).await;
        let client = server.client().await;
        for name in ["*", "_all", "a,b"] {
            assert_eq!(ops::repository::remove(&client, name).await.unwrap_err().kind(), ErrorKind::Invalid);
        }
        assert_eq!(server.seen().len(), 1);
    }
}

mod counting {
    use super::*;

    fn script(count: serde_json::Value) -> Script {
        Script::version("8.12.2").on("POST /m/_refresh", [ok(json!({}))]).on("GET /m/_count", [ok(count)])
    }

    /// Finding 7: 8.12 counts the failed shard, `OpenSearch` and the old ones do not.
    #[tokio::test]
    async fn a_count_over_half_of_the_shards_is_an_error() {
        for shards in [
            json!({ "total": 2, "successful": 1, "skipped": 0, "failed": 1 }),
            json!({ "total": 2, "successful": 1, "skipped": 0, "failed": 0 }),
        ] {
            let server = Server::start(script(json!({ "count": 1, "_shards": shards }))).await;
            let error = count::documents(&server.client().await, "m").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Precondition);
            assert!(text(&error).contains("only 1 of 2 shards answered"), "{error}");
            assert!(server.calls("POST /m/_refresh").is_empty(), "8.12 answers that after a minute");
        }
    }

    #[tokio::test]
    async fn two_clusters_are_compared_by_count_and_by_shard() {
        let shards = |counts: [u64; 2]| {
            let copy = |count: u64| json!([{ "routing": { "primary": true }, "docs": { "count": count } }]);
            ok(json!({ "indices": { "m": { "shards": { "0": copy(counts[0]), "1": copy(counts[1]) } } } }))
        };
        let count = json!({ "count": 3, "_shards": { "total": 2, "successful": 2, "failed": 0 } });
        let from = Server::start(script(count.clone()).on("GET /m/_stats/docs", [shards([1, 2])])).await;
        let same = Server::start(script(count.clone()).on("GET /m/_stats/docs", [shards([1, 2])])).await;
        let swapped = Server::start(script(count).on("GET /m/_stats/docs", [shards([2, 1])])).await;
        let pieces = [Piece { index: "m".into(), target: "m".into() }];
        let (from, same, swapped) = (from.client().await, same.client().await, swapped.client().await);
        let found = ops::compare::run(&from, &same, &pieces, &Silent).await.unwrap();
        assert!(found[0].equal && found[0].from == 3 && found[0].shards.as_ref().unwrap().len() == 2);
        let found = ops::compare::run(&from, &swapped, &pieces, &Silent).await.unwrap();
        assert!(!found[0].equal && found[0].from == found[0].to);
    }
}

mod connecting {
    use super::*;

    async fn failure(script: Script) -> Error {
        let server = Server::start(script).await;
        Client::connect(server.options()).await.expect_err("the script gives no version we take")
    }

    #[tokio::test]
    async fn the_authorization_header_is_sent() {
        let script = Script::version("8.12.2");
        for (auth, header) in [
            (Auth::Basic { username: "u".into(), password: Secret::new("p") }, "Basic dTpw"),
            (Auth::ApiKey(Secret::new("aWQ6a2V5")), "ApiKey aWQ6a2V5"),
        ] {
            let server = Server::start(script.clone()).await;
            let mut options = server.options();
            options.auth = auth;
            Client::connect(options).await.unwrap();
            assert_eq!(server.seen()[0].headers["authorization"], header);
        }
        let server = Server::start(script).await;
        server.client().await;
        assert!(!server.seen()[0].headers.contains_key("authorization"));
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_clusters_words_without_the_secret() {
        let reason = "action [x] is unauthorized for user [u] with header [Basic dTpnZWhlaW0=] and password geheim, \
            this action is granted by the cluster privileges [monitor,manage]";
        let server = Server::start(Script::default().on("GET /", [refusal(403, "security_exception", reason)])).await;
        let mut options = server.options();
        options.auth = Auth::Basic { username: "u".into(), password: Secret::new("geheim") };
        let error = Client::connect(options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        let shown = format!("{} {error:?}", text(&error));
        assert!(shown.contains("granted by the cluster privileges [monitor,manage]"), "{shown}");
        assert!(!shown.contains("geheim") && !shown.contains("dTpnZWhlaW0="), "{shown}");
    }

    #[tokio::test]
    async fn a_cluster_that_is_busy_is_asked_again_a_few_times() {
        let version = ok(json!({ "version": { "number": "7.17.28" } }));
        let busy = Reply::Text(503, "text/plain", String::new());
        let server = Server::start(Script::default().on("GET /", [busy.clone(), Reply::Lost, version])).await;
        assert_eq!(server.client().await.version().number, "7.17.28");
        assert_eq!(server.seen().len(), 3);
        let server = Server::start(Script::default().on("GET /", [busy])).await;
        assert_eq!(Client::connect(server.options()).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(server.seen().len(), 3);
    }

    #[tokio::test]
    async fn a_final_refusal_is_not_asked_again() {
        let reason = refusal(500, "snapshot_restore_exception", "cannot restore");
        let server = Server::start(cluster().on(RESTORE, [reason])).await;
        assert_eq!(restore(&server, &options()).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(server.calls(RESTORE).len(), 1);
    }

    #[tokio::test]
    async fn nobody_there_is_unavailable() {
        let server = Server::start(Script::default()).await;
        let mut options = server.options();
        drop(server);
        options.url = "http://127.0.0.1:1".into();
        assert_eq!(Client::connect(options).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_login_page_is_no_cluster() {
        let error = failure(Script::default().on("GET /", [Reply::Text(200, "text/html", "<html>".into())])).await;
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(text(&error).contains("HTML"), "{error}");
    }

    #[tokio::test]
    async fn serverless_and_something_else_are_refused() {
        let serverless = json!({ "version": { "number": "8.11.0", "build_flavor": "serverless" } });
        assert_eq!(failure(Script::default().on("GET /", [ok(serverless)])).await.kind(), ErrorKind::Unsupported);
        assert_eq!(
            failure(Script::default().on("GET /", [ok(json!({ "hello": 1 }))])).await.kind(),
            ErrorKind::Invalid
        );
    }

    #[tokio::test]
    async fn a_build_that_does_not_answer_at_the_root_is_asked_elsewhere() {
        let root = refusal(405, "x", "Incorrect HTTP method for uri [/] and method [GET], allowed: []");
        let node = json!({ "nodes": { "n": { "version": "8.17.0", "build_flavor": "default" } } });
        let server = Server::start(Script::default().on("GET /", [root]).on("GET /_nodes/_local", [ok(node)])).await;
        assert_eq!(server.client().await.version().to_string(), "Elasticsearch 8.17.0");
    }

    #[tokio::test]
    async fn an_open_search_that_claims_to_be_7_10_is_seen_through() {
        let root = json!({ "version": { "number": "7.10.2", "distribution": "opensearch" } });
        let node = json!({ "nodes": { "n": { "version": "1.3.20" } } });
        let server =
            Server::start(Script::default().on("GET /", [ok(root)]).on("GET /_nodes/_local", [ok(node)])).await;
        let client = server.client().await;
        assert_eq!(client.version().distribution, Distribution::OpenSearch);
        assert_eq!(client.version().to_string(), "OpenSearch 1.3.20");
    }

    #[tokio::test]
    async fn a_missing_repository_told_with_200_is_not_an_empty_one() {
        let answer = json!({ "snapshots": [], "total": 0, "remaining": 0,
            "failures": { "r": { "type": "repository_missing_exception", "reason": "[r] missing" } } });
        let server = Server::start(Script::version("8.12.2").on("GET /_snapshot/r/_all", [ok(answer)])).await;
        let error = snapshot::list(&server.client().await, "r", Detail::Full).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
