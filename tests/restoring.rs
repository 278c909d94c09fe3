//! Restoring, against a scripted server: the preflight, the policies, what is put back, and what is taken up.
//!
//! The findings of `elasticsearch-api.md` 0 that concern restoring, and the tests that fail without their guards:
//!
//! | finding | test |
//! |---|---|
//! | 1 success behind failed shards | `tests/elastic.rs: failed_shards_behind_a_200_…`, `an_answer_that_reports_failed_shards_…` |
//! | 2 nothing restored | `tests/elastic.rs: an_answer_with_no_index_…`, `a_pattern_that_matches_nothing_…` |
//! | 3 in place is not atomic | `tests/elastic.rs: a_refused_restore_opens_again_…`; here `swap_touches_the_name_only_after_proof` |
//! | 4 repair and restore again | `a_missing_blob_is_brought_and_the_shard_tried_again` |
//! | 5 yellow is not restored | `tests/elastic.rs: a_new_index_without_a_started_primary_…` |
//! | 6 `_recovery` hides failures | `tests/elastic.rs: a_failed_shard_that_recovery_no_longer_lists_…`, `as_many_primaries_…` |
//! | 7 a count over some shards | `tests/elastic.rs: a_count_over_half_of_the_shards_…`; here `swap_touches_the_name_only_after_proof` |
//! | 12 settings of the source come along | `policies_of_the_source_stay_behind`, `a_filter_that_no_node_meets_stays_behind`; `tests/elastic.rs: only_names_are_sent_…`, `a_filter_that_no_node_meets_…` |
//! | 13 followers of what is overwritten | `an_index_that_others_follow_is_never_restored_over` |

#[path = "support/elastic.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod double;
mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use double::{Heard, Reply, Script, Seen, Server, Shard, impatient, ok, refusal, state};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use snapferry::elastic::Client;
use snapferry::elastic::aftercare::Lifecycle;
use snapferry::elastic::conflict::{Conflict, Piece};
use snapferry::elastic::creation::GlobalState;
use snapferry::elastic::restore::Aliases;
use snapferry::elastic::throttle::Raise;
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::event::{Event, Reporter, Silent};
use snapferry::ops::restore::{
    Batch, Check, Consent, Entry, Options, RestoreLog, Restored, Undo, Weight, preview, recover, run,
};
use snapferry::ops::snapshot::Which;
use snapferry::store::MemoryStore;
use support::copy::{end, key, memory_of};
use support::fixture::{scratch, unpack};
use tokio_util::sync::CancellationToken;

const RESTORE: &str = "POST /_snapshot/r/s/_restore";
const LOOK: &str = "GET /_cluster/state/metadata,routing_table,customs/movies";
const NAMES: &str = "GET /_cluster/state/metadata";
const RUNNING: &str = "GET /_cluster/state/customs";
const SETTINGS: &str = "GET /_cluster/settings";
const PUT_SETTINGS: &str = "PUT /_cluster/settings";

/// The id of the snapshot in the repository that the tests have at hand.
const UUID: &str = "8tCO9Wu7TxqVTxedUXbQjA";

fn acknowledged() -> Reply {
    ok(json!({ "acknowledged": true }))
}

fn started(index: &str) -> Reply {
    ok(state(index, false, 1, &[Shard::Started]))
}

/// A healthy cluster of one node that holds the snapshot `r:s` with the index `movies`, and no index of its own.
fn cluster() -> Script {
    with_snapshot(json!({ "snapshot": "s", "uuid": "u-s", "state": "SUCCESS", "indices": ["movies"] }))
}

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the document for it")]
fn with_snapshot(snapshot: Value) -> Script {
    let node = json!({ "name": "n1", "roles": ["data", "master"], "attributes": { "rack": "a" },
        "modules": [{ "name": "analysis-common" }] });
    let disk = json!([{ "node": "n1", "disk.total": "1000000", "disk.avail": "900000" }]);
    Script::version("8.12.2")
        .on("GET /_snapshot/r/s", [ok(json!({ "snapshots": [snapshot] }))])
        .on("GET /_snapshot/r", [ok(json!({ "r": { "type": "fs", "settings": {} } }))])
        .on(NAMES, [ok(json!({}))])
        .on(RUNNING, [ok(json!({}))])
        .on(RESTORE, [ok(json!({ "accepted": true }))])
        .on("GET /movies/_recovery", [ok(json!({}))])
        .on("GET /_cluster/health", [ok(json!({ "status": "green", "number_of_data_nodes": 1 }))])
        .on("GET /_nodes/plugins", [ok(json!({ "nodes": { "1": node } }))])
        .on("GET /_cat/allocation", [ok(disk)])
        .on("GET /_license", [ok(json!({ "license": { "type": "basic", "status": "active" } }))])
        .on("POST /_security/user/_has_privileges", [Reply::Json(400, json!({ "error": "no handler found" }))])
        .on("GET /_security/role", [Reply::Json(400, json!({ "error": "no handler found" }))])
        .on("GET /_security/user", [Reply::Json(400, json!({ "error": "no handler found" }))])
        .on(
            SETTINGS,
            [ok(json!({ "persistent": {}, "transient": {}, "defaults": {
            "indices.recovery.max_bytes_per_sec": "40mb", "cluster.max_shards_per_node": "1000" } }))],
        )
        .on(LOOK, [started("movies")])
}

fn options() -> Options {
    Options { repository: "r".into(), snapshot: Which::Named("s".into()), patience: impatient(), ..Options::default() }
}

async fn restore(server: &Server, options: &Options) -> Result<Restored> {
    run(&server.client().await, options, &Silent, &CancellationToken::new()).await
}

fn text(error: &Error) -> String {
    format!("{error}\nhint: {}", error.advice().unwrap_or_default())
}

/// `movies` as an open index with these settings.
#[expect(clippy::needless_pass_by_value, reason = "every caller makes the document for it")]
fn open_with(settings: Value) -> Reply {
    ok(json!({ "metadata": { "indices": { "movies": {
        "state": "open", "aliases": ["films"], "settings": { "index": settings } } } } }))
}

fn open() -> Reply {
    open_with(json!({ "number_of_shards": "1", "uuid": "old" }))
}

fn closed() -> Reply {
    ok(json!({ "metadata": { "indices": { "movies": { "state": "close" } } } }))
}

/// A repository that a cluster wrote, with the snapshot and index that the scripted cluster tells of.
fn repository() -> MemoryStore {
    let scratch = scratch();
    memory_of(&unpack("es-8.12-movies", scratch.path()), Timestamp::UNIX_EPOCH)
}

/// The cluster that shows this repository's snapshot.
fn with_repository() -> Script {
    let snapshot = json!({ "snapshot": "snapshot_movies_2", "uuid": UUID, "state": "SUCCESS", "indices": ["movies"] });
    with_snapshot(snapshot.clone())
        .on("GET /_snapshot/r/snapshot_movies_2", [ok(json!({ "snapshots": [snapshot] }))])
        .on("POST /_snapshot/r/snapshot_movies_2/_restore", [ok(json!({ "accepted": true }))])
}

fn of_repository(store: &MemoryStore) -> Options {
    Options {
        snapshot: Which::Named("snapshot_movies_2".into()),
        copy: Some(Arc::new(end("copy", Arc::new(store.clone())))),
        ..options()
    }
}

/// Keeps what it is told, with what the server had been asked by then.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<Entry>>);

impl RestoreLog for Log {
    fn record(&self, entry: &Entry) -> Result<()> {
        self.0.lock().expect("no test panics with the lock").push(entry.clone());
        Ok(())
    }
}

impl Log {
    fn undo(&self) -> Undo {
        let mut undo = Undo::default();
        self.0.lock().expect("no test panics with the lock").iter().for_each(|entry| undo.note(entry));
        undo
    }
}

/// A log on a disk that is full from an entry of this kind on.
#[derive(Debug)]
struct FullAt(fn(&Entry) -> bool);

impl RestoreLog for FullAt {
    fn record(&self, entry: &Entry) -> Result<()> {
        if self.0(entry) { Err(Error::new(ErrorKind::Unavailable, "keep the log")) } else { Ok(()) }
    }
}

mod before {
    use super::*;

    #[tokio::test]
    async fn everything_that_speaks_against_it_is_told_at_once() {
        let node = json!({ "name": "n1", "roles": ["data"], "modules": [{ "name": "analysis-common" }] });
        let script = cluster()
            .on(NAMES, [open()])
            .on("GET /_nodes/plugins", [ok(json!({ "nodes": { "1": node } }))])
            .on("GET /_snapshot/r", [ok(json!({ "r": { "type": "s3", "settings": {} } }))])
            .on("POST /_security/user/_has_privileges", [ok(json!({ "cluster": { "monitor": false, "x": true } }))]);
        let server = Server::start(script).await;
        let error = restore(&server, &Options { replicas: Some(1), ..options() }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let text = text(&error);
        assert!(text.contains("`movies` is an open index"), "{text}");
        assert!(text.contains("lack the plugin `repository-s3`"), "{text}");
        assert!(
            server.seen().iter().all(|seen| seen.call.starts_with("GET") || seen.call.ends_with("_has_privileges"))
        );
    }

    #[tokio::test]
    async fn missing_privileges_are_named_before_anything_is_changed() {
        let told = json!({ "cluster": { "monitor": true, "cluster:admin/snapshot/restore": false },
            "index": { "movies": { "read": false, "manage": true } } });
        let server = Server::start(cluster().on("POST /_security/user/_has_privileges", [ok(told)])).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(text(&error).contains("lacks cluster:admin/snapshot/restore, read on movies"), "{error}");
        assert!(server.calls(RESTORE).is_empty());
    }

    #[tokio::test]
    async fn a_preview_shows_findings_plan_and_request_and_changes_nothing() {
        let server = Server::start(cluster().on(NAMES, [open()])).await;
        let client = server.client().await;
        let options = Options { conflict: Conflict::Swap, delete: Consent::Given, replicas: Some(2), ..options() };
        let found = preview(&client, &options, &Silent, &CancellationToken::new()).await.unwrap();
        assert_eq!(found.pieces, [Piece { index: "movies".into(), target: "movies-s".into() }]);
        assert_eq!(found.swap["movies"], "movies-s");
        assert_eq!(found.requests.len(), 1);
        let body = &found.requests[0];
        assert_eq!((&body["rename_pattern"], &body["rename_replacement"]), (&json!("(.+)"), &json!("$1-s")));
        assert_eq!(body["include_aliases"], false);
        assert_eq!(body["index_settings"], json!({ "index.number_of_replicas": 0 }));
        assert!(found.error().is_none());
        assert!(
            found
                .findings
                .iter()
                .any(|finding| finding.what.contains("--location") || finding.what.contains("not checked"))
        );
        assert!(found.findings.iter().any(|finding| finding.what.contains("the index is removed in the step")));
        assert!(
            server.seen().iter().all(|seen| seen.call.starts_with("GET") || seen.call.ends_with("_has_privileges"))
        );
    }

    #[tokio::test]
    async fn disks_and_shards_must_have_room() {
        let details = json!({ "movies": { "shard_count": 3, "size_in_bytes": 700_000 } });
        let snapshot = json!({ "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": ["movies"], "index_details": details });
        let server = Server::start(with_snapshot(snapshot)).await;
        restore(&server, &options()).await.unwrap();
        let error = restore(&server, &Options { replicas: Some(1), ..options() }).await.unwrap_err();
        assert!(text(&error).contains("needs 1400000 bytes") && text(&error).contains("have 750000 below"), "{error}");
        let few = json!({ "defaults": { "cluster.max_shards_per_node": "2" } });
        let snapshot = json!({ "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": ["movies"],
            "index_details": { "movies": { "shard_count": 3, "size_in_bytes": 7 } } });
        let server = Server::start(with_snapshot(snapshot).on(SETTINGS, [ok(few)])).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert!(text(&error).contains("the restore adds 3; it allows 2"), "{error}");
    }

    #[tokio::test]
    async fn an_index_with_another_number_of_shards_is_not_closed() {
        let snapshot = json!({ "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": ["movies"],
            "index_details": { "movies": { "shard_count": 3, "size_in_bytes": 7 } } });
        let server = Server::start(with_snapshot(snapshot).on(NAMES, [open()])).await;
        let error = restore(&server, &Options { conflict: Conflict::Close, ..options() }).await.unwrap_err();
        assert!(text(&error).contains("has 1 shards and that of the snapshot 3"), "{error}");
        assert!(server.calls("POST /movies/_close").is_empty());
    }

    #[tokio::test]
    async fn a_snapshot_of_a_newer_cluster_is_refused() {
        let snapshot =
            json!({ "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": ["movies"], "version": "8.13.0" });
        let server = Server::start(with_snapshot(snapshot)).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(text(&error).contains("8.13.0") && text(&error).contains("8.12.2"), "{error}");
    }

    #[tokio::test]
    async fn the_repository_itself_tells_versions_sizes_and_replicas() {
        let store = repository();
        let puts = "PUT /movies/_settings";
        let server = Server::start(with_repository().on(puts, [acknowledged()])).await;
        restore(&server, &of_repository(&store)).await.unwrap();
        let Seen { body, .. } = server.calls("POST /_snapshot/r/snapshot_movies_2/_restore").remove(0);
        assert_eq!(body["index_settings"], json!({ "index.number_of_replicas": 0 }));
        // It had none in the snapshot, so that there is nothing to raise.
        assert!(server.calls(puts).is_empty());
        restore(&server, &Options { replicas: Some(2), ..of_repository(&store) }).await.unwrap();
        assert_eq!(server.calls(puts)[0].body, json!({ "index.number_of_replicas": 2 }));
        let old = with_repository().on("GET /", [ok(json!({ "version": { "number": "7.17.28" } }))]);
        let server = Server::start(old).await;
        let error = restore(&server, &of_repository(&store)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(text(&error).contains("7.17.28 does not restore it"), "{error}");
    }

    #[tokio::test]
    async fn another_snapshot_of_the_same_name_at_the_location_is_refused() {
        let snapshot =
            json!({ "snapshot": "snapshot_movies_2", "uuid": "other", "state": "SUCCESS", "indices": ["movies"] });
        let script =
            with_repository().on("GET /_snapshot/r/snapshot_movies_2", [ok(json!({ "snapshots": [snapshot] }))]);
        let server = Server::start(script).await;
        let error = restore(&server, &of_repository(&repository())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Diverged);
    }

    #[tokio::test]
    async fn hidden_and_system_indices_stay_where_they_are_unless_asked_for() {
        let names = json!([".kibana_1", ".ds-ilm-history-5-2024.01.01-000001", "movies", "ilm-history-2-000001"]);
        let snapshot = json!({ "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": names });
        let server =
            Server::start(with_snapshot(snapshot).on("GET /", [ok(json!({ "version": { "number": "7.10.2" } }))]))
                .await;
        let restored = restore(&server, &options()).await.unwrap();
        assert_eq!(restored.indices, ["movies"]);
        assert_eq!(restored.left_out.len(), 3);
        let options = Options { indices: vec![".kibana*".into()], ..options() };
        let error = restore(&server, &options).await.unwrap_err();
        assert!(text(&error).contains("belongs to Kibana") && text(&error).contains("--i-know"), "{}", text(&error));
    }

    #[tokio::test]
    async fn the_clusters_own_state_needs_consent_and_names_what_it_goes_over() {
        let there = json!({ "metadata": { "templates": { "mine": { "order": 0 } }, "ingest": { "pipeline": [{ "id": "p1" }] } } });
        let script = cluster().on(NAMES, [ok(there)]);
        let server = Server::start(script).await;
        let asked = Options { global_state: GlobalState::With, ..options() };
        let error = restore(&server, &asked).await.unwrap_err();
        assert!(text(&error).contains("template: mine") && text(&error).contains("ingest pipeline: p1"), "{error}");
        assert!(text(&error).contains("--i-know"), "{}", text(&error));
        let server = Server::start(cluster()).await;
        let restored = restore(&server, &Options { overwrite_system: Consent::Given, ..asked }).await.unwrap();
        assert!(restored.global_state);
        let bodies: Vec<Value> = server.calls(RESTORE).into_iter().map(|seen| seen.body).collect();
        assert_eq!(bodies[0]["include_global_state"], false);
        assert_eq!(bodies[1], json!({ "indices": "-*", "include_global_state": true, "feature_states": ["none"] }));
        let server = Server::start(cluster().on("GET /", [ok(json!({ "version": { "number": "7.10.2" } }))])).await;
        let features = Options { feature_states: vec!["kibana".into()], overwrite_system: Consent::Given, ..options() };
        assert_eq!(restore(&server, &features).await.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

mod settings_of_the_source {
    use super::*;

    /// Finding 12.
    #[tokio::test]
    async fn policies_of_the_source_stay_behind() {
        for (lifecycle, stays) in [(Lifecycle::Remove, true), (Lifecycle::Keep, false)] {
            let server = Server::start(cluster()).await;
            restore(&server, &Options { lifecycle, ..options() }).await.unwrap();
            let ignored = server.calls(RESTORE)[0].body["ignore_index_settings"].clone();
            assert_eq!(ignored.as_array().unwrap().contains(&json!("index.lifecycle.*")), stays);
        }
        let server = Server::start(cluster().on("POST /_ilm/stop", [acknowledged()])).await;
        let restored = restore(&server, &Options { lifecycle: Lifecycle::Stop, ..options() }).await.unwrap();
        assert_eq!(server.calls("POST /_ilm/stop").len(), 1);
        assert!(restored.findings.iter().any(|finding| finding.what.contains("POST _ilm/start")));
    }

    /// Finding 12: the tier preference is such a filter, and no node of an OpenSearch cluster meets it.
    #[tokio::test]
    async fn a_filter_that_no_node_meets_stays_behind() {
        let store = repository();
        let node = json!({ "name": "n1", "roles": ["data_warm", "master"] });
        let script = with_repository()
            .on("PUT /movies/_settings", [acknowledged()])
            .on("GET /_nodes/plugins", [ok(json!({ "nodes": { "1": node } }))]);
        let server = Server::start(script).await;
        let restored = restore(&server, &of_repository(&store)).await.unwrap();
        let tier = "index.routing.allocation.include._tier_preference";
        let body = server.calls("POST /_snapshot/r/snapshot_movies_2/_restore")[0].body.clone();
        assert!(body["ignore_index_settings"].as_array().unwrap().contains(&json!(tier)), "{body}");
        assert!(restored.findings.iter().any(|finding| finding.what.contains("which no node here meets")));
        let server = Server::start(with_repository().on("PUT /movies/_settings", [acknowledged()])).await;
        restore(&server, &of_repository(&store)).await.unwrap();
        let body = server.calls("POST /_snapshot/r/snapshot_movies_2/_restore")[0].body.clone();
        assert!(!body["ignore_index_settings"].as_array().unwrap().contains(&json!(tier)), "{body}");
    }
}

mod policies {
    use super::*;

    const BESIDE: &str = "GET /_cluster/state/metadata,routing_table,customs/movies-s";

    fn swapping() -> Script {
        cluster()
            .on(NAMES, [open()])
            .on(BESIDE, [started("movies-s")])
            .on("GET /movies-s/_recovery", [ok(json!({}))])
            .on("POST /movies-s/_refresh", [ok(json!({}))])
            .on(
                "GET /movies-s/_count",
                [ok(json!({ "count": 5, "_shards": { "total": 1, "successful": 1, "failed": 0 } }))],
            )
            .on("GET /movies/_alias", [ok(json!({ "movies": { "aliases": { "films": { "is_write_index": true } } } }))])
            .on("POST /_aliases", [acknowledged()])
    }

    fn swap() -> Options {
        Options { conflict: Conflict::Swap, delete: Consent::Given, ..options() }
    }

    #[tokio::test]
    async fn swap_changes_everything_in_one_request() {
        let server = Server::start(swapping()).await;
        let restored = restore(&server, &swap()).await.unwrap();
        assert_eq!(restored.swapped["movies"], "movies-s");
        assert_eq!(restored.pieces, [Piece { index: "movies".into(), target: "movies-s".into() }]);
        let calls = server.calls("POST /_aliases");
        assert_eq!(calls.len(), 1);
        assert_eq!(
            calls[0].body["actions"],
            json!([
                { "add": { "index": "movies-s", "alias": "films", "is_write_index": true } },
                { "add": { "index": "movies-s", "alias": "movies" } },
                { "remove_index": { "index": "movies" } },
            ])
        );
    }

    #[derive(Debug)]
    struct Refuses;
    impl Check for Refuses {
        fn check<'a>(&'a self, _: &'a Client, pieces: &'a [Piece]) -> BoxFuture<'a, Result<()>> {
            assert_eq!(pieces[0].target, "movies-s");
            Box::pin(async { Err(Error::new(ErrorKind::Precondition, "compare")) })
        }
    }

    /// Findings 3 and 7.
    #[tokio::test]
    async fn swap_touches_the_name_only_after_proof() {
        let half = json!({ "count": 5, "_shards": { "total": 2, "successful": 1, "failed": 0 } });
        let missing = Shard::Failed { reason: "ALLOCATION_FAILED", details: "nested: Odd[x]", tries: 5 };
        for script in [
            swapping().on("GET /movies-s/_count", [ok(half)]),
            swapping().on(BESIDE, [ok(state("movies-s", false, 1, &[missing]))]),
        ] {
            let server = Server::start(script).await;
            restore(&server, &swap()).await.unwrap_err();
            assert!(server.calls("POST /_aliases").is_empty());
        }
        let server = Server::start(swapping()).await;
        restore(&server, &Options { before_swap: Some(Arc::new(Refuses)), ..swap() }).await.unwrap_err();
        assert!(server.calls("POST /_aliases").is_empty());
    }

    #[tokio::test]
    async fn rename_leaves_what_is_there_alone() {
        let look = "GET /_cluster/state/metadata,routing_table,customs/new-movies";
        let script = cluster().on(NAMES, [open()]).on(look, [started("new-movies")]);
        let server = Server::start(script).await;
        let options = Options { conflict: Conflict::Rename, prefix: "new-".into(), ..options() };
        let restored = restore(&server, &options).await.unwrap();
        assert_eq!(restored.indices, ["new-movies"]);
        let body = &server.calls(RESTORE)[0].body;
        assert_eq!((&body["rename_replacement"], &body["include_aliases"]), (&json!("new-$1"), &json!(false)));
        assert!(server.calls("POST /movies/_close").is_empty() && server.calls("DELETE /movies").is_empty());
    }

    #[tokio::test]
    async fn delete_needs_consent_and_takes_a_snapshot_first_if_asked() {
        let done = json!({ "snapshots": [{ "snapshot": "before-s", "uuid": "u", "state": "SUCCESS", "indices": ["movies"] }] });
        let script = cluster()
            .on(NAMES, [open()])
            .on("GET /_snapshot/safe/_all", [ok(json!({ "snapshots": [] }))])
            .on("GET /_snapshot/safe/before-s", [refusal(404, "snapshot_missing_exception", "missing"), ok(done)])
            .on("PUT /_snapshot/safe/before-s", [ok(json!({ "accepted": true }))])
            .on("DELETE /movies", [acknowledged()]);
        let options = Options { conflict: Conflict::Delete, safety: Some("safe".into()), ..options() };
        let server = Server::start(script.clone()).await;
        let error = restore(&server, &options).await.unwrap_err();
        assert!(text(&error).contains("--yes-delete"), "{}", text(&error));
        assert!(server.calls("DELETE /movies").is_empty());
        let server = Server::start(script).await;
        let restored = restore(&server, &Options { delete: Consent::Given, ..options }).await.unwrap();
        assert_eq!(restored.deleted, ["movies"]);
        assert_eq!(restored.safety_snapshot.as_deref(), Some("safe:before-s"));
        let writes = ["PUT", "DELETE", "POST"];
        let order: Vec<String> = server.seen().into_iter().map(|seen| seen.call).collect();
        let order: Vec<&String> = order
            .iter()
            .filter(|call| writes.iter().any(|word| call.starts_with(word)) && !call.ends_with("_has_privileges"))
            .collect();
        assert_eq!(order, ["PUT /_snapshot/safe/before-s", "DELETE /movies", RESTORE]);
    }

    /// Finding 13.
    #[tokio::test]
    async fn an_index_that_others_follow_is_never_restored_over() {
        let leases = |lease: Value| {
            ok(json!({ "indices": { "movies": { "shards": { "0": [{ "retention_leases": { "leases": [
                { "id": "peer_recovery/x", "source": "peer recovery" }, lease] } }] } } } }))
        };
        for lease in
            [json!({ "id": "b/follows/a", "source": "ccr" }), json!({ "id": "replication:b:[m][0]", "source": "x" })]
        {
            for conflict in [Conflict::Close, Conflict::Delete, Conflict::Swap] {
                let script = cluster().on(NAMES, [open()]).on("GET /movies/_stats", [leases(lease.clone())]);
                let server = Server::start(script).await;
                let options = Options { conflict, delete: Consent::Given, ..options() };
                let error = restore(&server, &options).await.unwrap_err();
                assert!(text(&error).contains("breaks its followers for good"), "{error}");
                let call = |seen: &Seen| seen.call.starts_with("GET") || seen.call.ends_with("_has_privileges");
                assert!(server.seen().iter().all(call));
            }
        }
    }

    #[tokio::test]
    async fn followers_and_mounts_are_never_touched() {
        for settings in
            [json!({ "xpack": { "ccr": { "following_index": "true" } } }), json!({ "store": { "type": "snapshot" } })]
        {
            for conflict in [Conflict::Close, Conflict::Delete, Conflict::Swap] {
                let server = Server::start(cluster().on(NAMES, [open_with(settings.clone())])).await;
                let options = Options { conflict, delete: Consent::Given, ..options() };
                assert_eq!(restore(&server, &options).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
            }
        }
    }
}

mod batches {
    use super::*;

    fn two() -> Script {
        let details = json!({ "movies": { "shard_count": 1, "size_in_bytes": 5 }, "large": { "shard_count": 1, "size_in_bytes": 9 } });
        let snapshot = json!({ "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": ["movies", "large"], "index_details": details });
        with_snapshot(snapshot)
            .on("GET /_cluster/state/metadata,routing_table,customs/large", [started("large")])
            .on("GET /large/_recovery", [ok(json!({}))])
    }

    fn one_by_one() -> Options {
        Options { batch: Batch { indices: 1, bytes: u64::MAX }, ..options() }
    }

    #[tokio::test]
    async fn the_largest_goes_first_and_one_after_the_other() {
        let server = Server::start(two()).await;
        let heard = Heard::default();
        let restored = run(&server.client().await, &one_by_one(), &heard, &CancellationToken::new()).await.unwrap();
        assert_eq!(restored.indices, ["large", "movies"]);
        let sent: Vec<Value> = server.calls(RESTORE).into_iter().map(|seen| seen.body["indices"].clone()).collect();
        assert_eq!(sent, [json!(["large"]), json!(["movies"])]);
        assert!(heard.has(&["Shards", "done: 2", "total: 2", "bytes_total: 14"]));
    }

    #[tokio::test]
    async fn a_failure_leaves_the_batches_before_it_and_begins_none_behind() {
        let missing = Shard::Failed { reason: "ALLOCATION_FAILED", details: "nested: Odd[x]", tries: 5 };
        let server = Server::start(two().on(LOOK, [ok(state("movies", false, 1, &[missing]))])).await;
        let error = restore(&server, &one_by_one()).await.unwrap_err();
        assert!(text(&error).contains("batch 2 of 2; restored before it: `large`"), "{error}");
        let failing = two()
            .on("GET /_cluster/state/metadata,routing_table,customs/large", [ok(state("large", false, 1, &[missing]))]);
        let server = Server::start(failing).await;
        restore(&server, &one_by_one()).await.unwrap_err();
        assert_eq!(server.calls(RESTORE).len(), 1);
    }

    #[tokio::test]
    async fn an_answer_without_a_snapshot_is_followed() {
        // So it looks when the master changes meanwhile.
        let server = Server::start(cluster().on(RESTORE, [ok(json!({}))])).await;
        assert_eq!(restore(&server, &options()).await.unwrap().shards.successful, 1);
    }
}

mod putting_back {
    use super::*;

    const RAISE: Raise = Raise { bytes_per_second: Some(500_000_000), recoveries: Some(20) };

    fn raising() -> Options {
        Options { raise: RAISE, ..options() }
    }

    fn sent(server: &Server) -> Vec<Value> {
        server.calls(PUT_SETTINGS).into_iter().map(|seen| seen.body).collect()
    }

    fn up() -> Value {
        json!({ "persistent": { "indices.recovery.max_bytes_per_sec": "500000000b",
            "cluster.routing.allocation.node_initial_primaries_recoveries": "20" } })
    }

    fn down() -> Value {
        json!({ "persistent": { "indices.recovery.max_bytes_per_sec": null,
            "cluster.routing.allocation.node_initial_primaries_recoveries": null } })
    }

    #[tokio::test]
    async fn throttles_are_what_they_were_after_success_failure_and_a_signal() {
        struct Signal(CancellationToken);
        impl Reporter for Signal {
            fn report(&self, event: &Event<'_>) {
                if matches!(event, Event::Shards { .. }) {
                    self.0.cancel();
                }
            }
        }
        let script = || cluster().on(PUT_SETTINGS, [acknowledged()]);
        let server = Server::start(script()).await;
        restore(&server, &raising()).await.unwrap();
        assert_eq!(sent(&server), [up(), down()]);
        let failing = script().on(RESTORE, [refusal(500, "snapshot_restore_exception", "cannot restore")]);
        let server = Server::start(failing).await;
        restore(&server, &raising()).await.unwrap_err();
        assert_eq!(sent(&server), [up(), down()]);
        let long = script().on(LOOK, [ok(state("movies", true, 1, &[Shard::Initializing])), Reply::Never]);
        let server = Server::start(long).await;
        let cancel = CancellationToken::new();
        let error = run(&server.client().await, &raising(), &Signal(cancel.clone()), &cancel).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(sent(&server), [up(), down()]);
    }

    #[tokio::test]
    async fn what_was_set_before_is_put_back_where_it_was() {
        let told = json!({ "transient": { "indices.recovery.max_bytes_per_sec": "20mb" }, "persistent": {
            "cluster.routing.allocation.node_initial_primaries_recoveries": "6" } });
        let server = Server::start(cluster().on(SETTINGS, [ok(told)]).on(PUT_SETTINGS, [acknowledged()])).await;
        restore(&server, &raising()).await.unwrap();
        assert_eq!(
            sent(&server)[1],
            json!({ "transient": { "indices.recovery.max_bytes_per_sec": "20mb" },
                "persistent": { "cluster.routing.allocation.node_initial_primaries_recoveries": "6" } })
        );
    }

    #[tokio::test]
    async fn nothing_is_changed_that_could_not_be_written_down() {
        let server = Server::start(cluster().on(PUT_SETTINGS, [acknowledged()])).await;
        let log = FullAt(|entry| matches!(entry, Entry::Raising { .. }));
        restore(&server, &Options { log: Some(Arc::new(log)), ..raising() }).await.unwrap_err();
        assert!(sent(&server).is_empty() && server.calls(RESTORE).is_empty());
        let server = Server::start(cluster().on(NAMES, [open()])).await;
        let log = FullAt(|entry| matches!(entry, Entry::Closing { .. }));
        let options = Options { log: Some(Arc::new(log)), conflict: Conflict::Close, ..options() };
        restore(&server, &options).await.unwrap_err();
        assert!(server.calls("POST /movies/_close").is_empty() && server.calls(RESTORE).is_empty());
    }

    #[tokio::test]
    async fn after_a_kill_everything_is_put_back_from_the_log() {
        // Killed while the answer to the restore is awaited: the index is closed, the throttle raised.
        let script = cluster()
            .on(NAMES, [open(), closed()])
            .on("POST /movies/_close", [acknowledged()])
            .on(PUT_SETTINGS, [acknowledged()])
            .on(RESTORE, [Reply::Never]);
        let server = Server::start(script).await;
        let log = Arc::new(Log::default());
        let options = Options { log: Some(log.clone()), conflict: Conflict::Close, replicas: Some(2), ..raising() };
        let client = server.client().await;
        let cancel = CancellationToken::new();
        tokio::select! {
            _ = run(&client, &options, &Silent, &cancel) => panic!("it does not end"),
            () = async {
                while server.calls(RESTORE).is_empty() {
                    tokio::task::yield_now().await;
                }
            } => {}
        }
        let undo = log.undo();
        assert_eq!(undo.closed, BTreeSet::from(["movies".to_owned()]));
        assert_eq!(undo.submitted, undo.closed);
        assert_eq!(undo.raised.len(), 2);
        // It never arrived: the index is opened again.
        let script = cluster()
            .on(NAMES, [closed()])
            .on(PUT_SETTINGS, [acknowledged()])
            .on("POST /movies/_open", [acknowledged()]);
        let server = Server::start(script).await;
        let recovered = recover(&server.client().await, &undo).await.unwrap();
        assert_eq!((recovered.opened, recovered.lowered.len()), (vec!["movies".to_owned()], 2));
        assert_eq!(sent(&server), [down()]);
        // It had arrived and is over: only the replicas are owed.
        let script = cluster()
            .on(NAMES, [open()])
            .on(PUT_SETTINGS, [acknowledged()])
            .on("PUT /movies/_settings", [acknowledged()]);
        let server = Server::start(script).await;
        let recovered = recover(&server.client().await, &undo).await.unwrap();
        assert!(recovered.opened.is_empty());
        assert_eq!(server.calls("PUT /movies/_settings")[0].body, json!({ "index.number_of_replicas": 2 }));
        // It runs: it is left alone.
        let running =
            json!({ "restore": { "snapshots": [{ "repository": "r", "snapshot": "s", "indices": ["movies"] }] } });
        let script = cluster().on(NAMES, [open()]).on(RUNNING, [ok(running)]).on(PUT_SETTINGS, [acknowledged()]);
        let server = Server::start(script).await;
        assert_eq!(recover(&server.client().await, &undo).await.unwrap().running, ["movies"]);
    }

    #[tokio::test]
    async fn a_finished_restore_owes_nothing() {
        let log = Arc::new(Log::default());
        let server = Server::start(cluster().on(PUT_SETTINGS, [acknowledged()])).await;
        restore(&server, &Options { log: Some(log.clone()), ..raising() }).await.unwrap();
        assert_eq!(log.undo(), Undo::default());
        assert!(matches!(log.0.lock().unwrap()[0], Entry::Planned { .. }));
    }
}

mod taking_up {
    use super::*;

    fn left(restored: bool) -> Undo {
        let piece = Piece { index: "movies".into(), target: "movies".into() };
        let mut undo = Undo { repository: "r".into(), snapshot: "s".into(), ..Undo::default() };
        undo.note(&Entry::Submitting { pieces: vec![piece.clone()], temporary: false, replicas: [].into() });
        undo.note(&Entry::Submitted { indices: [("movies".to_owned(), "old".to_owned())].into() });
        if restored {
            undo.note(&Entry::Restored { pieces: vec![piece] });
        }
        undo
    }

    fn from(snapshot: &str) -> Reply {
        ok(json!({ "movies": { "shards": [{ "primary": true, "type": "SNAPSHOT",
            "source": { "repository": "r", "snapshot": snapshot } }] } }))
    }

    #[tokio::test]
    async fn what_an_interrupted_run_restored_is_not_restored_twice() {
        for restored in [true, false] {
            let server = Server::start(cluster().on(NAMES, [open()]).on("GET /movies/_recovery", [from("s")])).await;
            let done = restore(&server, &Options { left: left(restored), ..options() }).await.unwrap();
            assert_eq!(done.indices, ["movies"]);
            assert!(server.calls(RESTORE).is_empty());
        }
    }

    #[tokio::test]
    async fn what_is_there_and_not_ours_is_still_in_the_way() {
        for (names, recovery) in [(open_with(json!({ "uuid": "another" })), from("s")), (open(), from("another"))] {
            let server = Server::start(cluster().on(NAMES, [names]).on("GET /movies/_recovery", [recovery])).await;
            let error = restore(&server, &Options { left: left(false), ..options() }).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        }
    }

    #[tokio::test]
    async fn what_an_interrupted_run_left_broken_is_restored_over() {
        let missing = Shard::Failed { reason: "ALLOCATION_FAILED", details: "nested: Odd[x]", tries: 5 };
        let script = cluster()
            .on(NAMES, [open(), open(), open(), closed()])
            .on("GET /movies/_recovery", [from("s")])
            .on("POST /movies/_close", [acknowledged()])
            .on(LOOK, [ok(state("movies", false, 1, &[missing])), started("movies")]);
        let server = Server::start(script).await;
        restore(&server, &Options { left: left(false), ..options() }).await.unwrap();
        assert_eq!((server.calls("POST /movies/_close").len(), server.calls(RESTORE).len()), (1, 1));
    }
}

mod afterwards {
    use super::*;

    /// Finding 4.
    #[tokio::test]
    async fn a_missing_blob_is_brought_and_the_shard_tried_again() {
        let (whole, lacking) = (repository(), MemoryStore::default());
        let lost = "indices/vkTzUzV5TtasBBU1W2cu6A/0/__jZpFM013RJy2Uge8OsyApw";
        for (key, bytes) in whole.contents() {
            if key.as_str() != lost {
                lacking.insert(key, bytes, Timestamp::UNIX_EPOCH);
            }
        }
        let missing = Shard::Failed {
            reason: "ALLOCATION_FAILED",
            details: "x\nCaused by: java.nio.file.NoSuchFileException: /r/indices/vkTzUzV5TtasBBU1W2cu6A/0/__jZpFM013RJy2Uge8OsyApw",
            tries: 5,
        };
        let script = with_repository()
            .on(NAMES, [ok(json!({})), ok(json!({})), closed()])
            .on("POST /movies/_close", [acknowledged()])
            .on("PUT /movies/_settings", [acknowledged()])
            .on(LOOK, [ok(state("movies", false, 1, &[missing])), started("movies")]);
        let server = Server::start(script.clone()).await;
        let mut options = of_repository(&lacking);
        let error = restore(&server, &options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(text(&error).contains("__jZpFM013RJy2Uge8OsyApw"), "{error}");
        let server = Server::start(script).await;
        options.repair_from = Some(Arc::new(end("whole", Arc::new(whole))));
        let restored = restore(&server, &options).await.unwrap();
        assert_eq!(restored.repaired_objects, 1);
        assert!(lacking.contents().contains_key(&key(lost)));
        assert_eq!(server.calls("POST /_snapshot/r/snapshot_movies_2/_restore").len(), 2);
    }

    #[tokio::test]
    async fn what_no_snapshot_carries_and_the_target_lacks_is_listed_by_name() {
        let metadata = |metadata: Value| ok(json!({ "metadata": metadata }));
        let users = |names: Value| ok(names);
        let source = cluster()
            .on(
                NAMES,
                [metadata(json!({
                "templates": { "old": { "order": 1 }, ".monitoring": { "order": 0 } },
                "index_template": { "index_template": {
                    "t1": { "index_patterns": ["a*"] },
                    "metrics": { "index_patterns": ["metrics-*"], "_meta": { "managed": true } } } },
                "component_template": { "component_template": { "c1": { "version": 1 } } },
                "stored_scripts": { "script1": { "lang": "painless" } },
                "ingest": { "pipeline": [{ "id": "p1" }, { "id": "p2" }] },
                "index_lifecycle": { "policies": { "hot-cold": { "version": 1 } } } }))],
            )
            .on(
                "GET /_security/role",
                [users(json!({ "writer": {}, "superuser": { "metadata": { "_reserved": true } } }))],
            )
            .on("GET /_security/user", [users(json!({ "ann": {} }))]);
        let target = cluster()
            .on(NAMES, [ok(json!({})), ok(json!({})), metadata(json!({ "ingest": { "pipeline": [{ "id": "p2" }] } }))])
            .on("GET /_security/role", [users(json!({}))])
            .on("GET /_security/user", [users(json!({ "ann": {} }))]);
        let (source, target) = (Server::start(source).await, Server::start(target).await);
        let options = Options { source: Some(source.client().await), ..options() };
        let restored = restore(&target, &options).await.unwrap();
        let told: Vec<String> =
            restored.missing.iter().map(|(thing, names)| format!("{}: {}", thing.word(), names.join(","))).collect();
        assert_eq!(
            told,
            [
                "template: old",
                "composable template: t1",
                "component template: c1",
                "ingest pipeline: p1",
                "stored script: script1",
                "lifecycle policy: hot-cold",
                "role: writer",
            ]
        );
        assert!(restored.findings.iter().all(|finding| finding.level == Weight::Warning));
    }
}

/// What is to be known before something is closed or deleted, since it is gone afterwards.
mod before_a_loss {
    use super::*;

    const DELETE: &str = "DELETE /movies";
    const SENT: &str = "POST /_snapshot/r/snapshot_movies_2/_restore";
    const LOST: &str = "indices/vkTzUzV5TtasBBU1W2cu6A/0/__jZpFM013RJy2Uge8OsyApw";

    fn taken() -> Script {
        cluster().on(NAMES, [open()]).on(DELETE, [acknowledged()])
    }

    fn deleting() -> Options {
        Options { conflict: Conflict::Delete, delete: Consent::Given, ..options() }
    }

    fn lacking() -> MemoryStore {
        let lacking = MemoryStore::default();
        for (key, bytes) in repository().contents().into_iter().filter(|(key, _)| key.as_str() != LOST) {
            lacking.insert(key, bytes, Timestamp::UNIX_EPOCH);
        }
        lacking
    }

    fn changes(server: &Server) -> Vec<String> {
        let calls = server.seen().into_iter().map(|seen| seen.call);
        calls.filter(|call| !call.starts_with("GET") && !call.ends_with("_has_privileges")).collect()
    }

    #[tokio::test]
    async fn a_setting_that_must_stay_is_refused() {
        let left = ["index.number_of_replicas", "index.uuid", "index.auto_expand_replicas", "index.version.upgraded"];
        for name in left {
            let server = Server::start(taken()).await;
            let error =
                restore(&server, &Options { ignore_settings: vec![name.into()], ..deleting() }).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(text(&error).contains("leave this setting behind"), "{name}: {error}");
            assert_eq!(changes(&server), [""; 0], "{name}");
        }
        for (name, value) in [("index.number_of_shards", json!(2)), ("index.soft_deletes.enabled", json!("false"))] {
            let server = Server::start(taken()).await;
            let options = Options { settings: [(name.to_owned(), value)].into(), ..deleting() };
            assert!(text(&restore(&server, &options).await.unwrap_err()).contains("change this setting"), "{name}");
            assert_eq!(changes(&server), [""; 0], "{name}");
        }
        // Of what a pattern matches, the cluster itself leaves those that must stay.
        let server = Server::start(taken()).await;
        restore(&server, &Options { ignore_settings: vec!["index.number_of*".into()], ..deleting() }).await.unwrap();
    }

    #[tokio::test]
    async fn a_refusal_behind_a_deletion_says_what_is_deleted() {
        let refused = refusal(500, "snapshot_restore_exception", "[r:s] cannot do that");
        let server = Server::start(taken().on(RESTORE, [refused])).await;
        let error = restore(&server, &deleting()).await.unwrap_err();
        let told = text(&error);
        assert!(told.contains("already deleted: `movies`") && told.contains("run this again"), "{told}");
        assert!(told.contains("no snapshot was taken of what it was"), "{told}");
        // What the cluster did not delete is not said to be deleted.
        let server = Server::start(taken().on(DELETE, [refusal(403, "security_exception", "no")])).await;
        let told = text(&restore(&server, &deleting()).await.unwrap_err());
        assert!(!told.contains("already deleted"), "{told}");
    }

    #[tokio::test]
    async fn names_are_foretold_as_java_makes_them() {
        let snapshot = json!({ "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": ["ümlaut"] });
        let there = json!({ "metadata": { "indices": { "xmlaut": {
            "state": "open", "settings": { "index": { "number_of_shards": "1", "uuid": "old" } } } } } });
        let server = Server::start(with_snapshot(snapshot).on(NAMES, [ok(there)])).await;
        let client = server.client().await;
        let by = |pattern: &str| {
            let rename = Some(snapferry::elastic::rename::Rename::new(pattern, "x").unwrap());
            Options { rename, ..deleting() }
        };
        let found = preview(&client, &by("^\\w"), &Silent, &CancellationToken::new()).await.unwrap();
        assert_eq!(found.pieces[0].target, "ümlaut");
        assert!(found.delete.is_empty() && found.error().is_none(), "{:?}", found.findings);
        let found = preview(&client, &by("^\\b."), &Silent, &CancellationToken::new()).await.unwrap();
        assert!(found.error().unwrap().to_string().contains("depends on the Java"), "{:?}", found.findings);
    }

    /// Finding 3.
    #[tokio::test]
    async fn a_blob_that_is_not_there_is_found_first() {
        for conflict in [Conflict::Delete, Conflict::Close] {
            let server = Server::start(with_repository().on(NAMES, [open()])).await;
            let options = Options { conflict, delete: Consent::Given, ..of_repository(&lacking()) };
            let error = restore(&server, &options).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let told = text(&error);
            assert!(told.contains(LOST) && told.contains("snapferry verify"), "{told}");
            assert_eq!(changes(&server), [""; 0]);
        }
    }

    #[tokio::test]
    async fn a_blob_that_another_copy_has_is_brought_first() {
        let script = with_repository().on(NAMES, [open()]).on(DELETE, [acknowledged()]);
        let (store, options) = (lacking(), Options { conflict: Conflict::Delete, delete: Consent::Given, ..options() });
        let from = |store: MemoryStore| Some(Arc::new(end("other", Arc::new(store))));
        let options = |from| Options {
            conflict: options.conflict,
            delete: options.delete,
            repair_from: from,
            ..of_repository(&store)
        };
        // One that lacks it too is no help, and nothing is touched.
        let server = Server::start(script.clone()).await;
        let error = restore(&server, &options(from(lacking()))).await.unwrap_err();
        assert!(text(&error).contains("nothing was closed or deleted"), "{error}");
        assert_eq!(changes(&server), [""; 0]);
        let server = Server::start(script).await;
        let restored = restore(&server, &options(from(repository()))).await.unwrap();
        assert_eq!(restored.repaired_objects, 1);
        assert_eq!(changes(&server)[..2], [DELETE, SENT]);
    }

    #[tokio::test]
    async fn a_safety_snapshot_needs_a_repository_that_takes_it() {
        let readonly = ok(json!({ "safe": { "type": "fs", "settings": { "readonly": "true" } } }));
        for (reply, word) in
            [(refusal(404, "repository_missing_exception", "x"), "knows no such"), (readonly, "read-only")]
        {
            let server = Server::start(taken().on("GET /_snapshot/safe", [reply])).await;
            let error = restore(&server, &Options { safety: Some("safe".into()), ..deleting() }).await.unwrap_err();
            assert!(text(&error).contains(word), "{error}");
            assert_eq!(changes(&server), [""; 0]);
        }
    }

    #[tokio::test]
    async fn numbers_without_sense_are_refused() {
        let none = Options { raise: Raise { recoveries: Some(0), ..Raise::default() }, ..deleting() };
        for options in [none, Options { replicas: Some(1001), ..deleting() }] {
            let server = Server::start(taken()).await;
            assert_eq!(restore(&server, &options).await.unwrap_err().kind(), ErrorKind::Invalid);
            assert_eq!(changes(&server), [""; 0]);
        }
    }

    #[tokio::test]
    async fn an_error_after_the_restore_says_that_it_is_complete() {
        let refused = refusal(400, "illegal_argument_exception", "too many shards");
        let server = Server::start(taken().on("PUT /movies/_settings", [refused])).await;
        let error = restore(&server, &Options { replicas: Some(2), ..deleting() }).await.unwrap_err();
        let told = text(&error);
        assert!(
            told.contains("the restore of `movies` is complete; what remains: `index.number_of_replicas` 2"),
            "{told}"
        );
        assert!(!told.contains("already deleted"), "{told}");
    }

    #[tokio::test]
    async fn damage_is_cured_by_reading_every_byte() {
        let damaged = Shard::Failed {
            reason: "ALLOCATION_FAILED",
            details: "x\nCaused by: org.apache.lucene.index.CorruptIndexException: verification failed : calculated=1 stored=2",
            tries: 5,
        };
        let server = Server::start(cluster().on(LOOK, [ok(state("movies", false, 1, &[damaged]))])).await;
        let error = restore(&server, &options()).await.unwrap_err();
        assert!(text(&error).contains("verify LOCATION --level content --repair-from COPY"), "{}", text(&error));
    }

    #[tokio::test]
    async fn what_nobody_asked_about_is_not_said_to_be_left_out() {
        let snapshot = json!({ "snapshot": "s", "uuid": "u", "state": "SUCCESS", "indices": ["movies", ".hidden"] });
        let server = Server::start(with_snapshot(snapshot)).await;
        for (indices, is_told) in [(vec![], true), (vec!["*".to_owned()], true), (vec!["movies".to_owned()], false)] {
            let heard = Heard::default();
            let options = Options { indices, ..options() };
            preview(&server.client().await, &options, &heard, &CancellationToken::new()).await.unwrap();
            assert_eq!(heard.has(&["left out"]), is_told);
        }
    }
}

/// What `--conflict swap` promises of the index whose name it takes.
mod swapping {
    use super::*;

    const BESIDE: &str = "GET /_cluster/state/metadata,routing_table,customs/movies-s";
    const ALIASES: &str = "POST /_aliases";

    fn script() -> Script {
        beside(cluster(), "movies-s")
    }

    fn beside(script: Script, target: &str) -> Script {
        let count = json!({ "count": 5, "_shards": { "total": 1, "successful": 1, "failed": 0 } });
        script
            .on(NAMES, [open()])
            .on(&format!("GET /_cluster/state/metadata,routing_table,customs/{target}"), [started(target)])
            .on(&format!("GET /{target}/_recovery"), [ok(json!({}))])
            .on(&format!("POST /{target}/_refresh"), [ok(json!({}))])
            .on(&format!("GET /{target}/_count"), [ok(count)])
            .on("GET /movies/_alias", [ok(json!({ "movies": { "aliases": { "films": {} } } }))])
            .on(ALIASES, [acknowledged()])
    }

    fn swap() -> Options {
        Options { conflict: Conflict::Swap, delete: Consent::Given, ..options() }
    }

    fn written(count: u64) -> Reply {
        ok(json!({ "indices": { "movies": { "shards": { "0": [
            { "routing": { "primary": true }, "seq_no": { "max_seq_no": count } }] } } } }))
    }

    /// The cluster after the change.
    fn swapped() -> Reply {
        ok(json!({ "metadata": { "indices": { "movies-s": {
            "state": "open", "aliases": ["movies", "films"], "settings": { "index": { "uuid": "new" } } } } } }))
    }

    #[tokio::test]
    async fn an_index_that_was_not_there_before_is_never_removed() {
        let another = open_with(json!({ "number_of_shards": "1", "uuid": "another" }));
        for now in [another, ok(json!({}))] {
            let server = Server::start(script().on(NAMES, [open(), now])).await;
            let error = restore(&server, &swap()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Precondition);
            assert!(text(&error).contains("both `movies` and `movies-s` stay as they are"), "{error}");
            assert!(text(&error).contains("run the same command again"), "{}", text(&error));
            assert!(server.calls(ALIASES).is_empty());
        }
    }

    #[tokio::test]
    async fn a_document_written_meanwhile_stops_it() {
        // The first answer goes to the look for followers.
        let server = Server::start(script().on("GET /movies/_stats", [written(4), written(4), written(5)])).await;
        let error = restore(&server, &swap()).await.unwrap_err();
        assert!(text(&error).contains("documents were written to it while the restore ran"), "{error}");
        assert!(server.calls(ALIASES).is_empty());
        let server = Server::start(script().on("GET /movies/_stats", [written(4)])).await;
        restore(&server, &swap()).await.unwrap();
    }

    #[tokio::test]
    async fn an_index_is_replaced_only_with_consent_and_told_as_deleted() {
        let server = Server::start(script()).await;
        let without = Options { delete: Consent::Withheld, ..swap() };
        let error = restore(&server, &without).await.unwrap_err();
        assert!(text(&error).contains("--yes-delete"), "{}", text(&error));
        assert!(server.calls(RESTORE).is_empty() && server.calls(ALIASES).is_empty());
        let found = preview(&server.client().await, &without, &Silent, &CancellationToken::new()).await.unwrap();
        assert_eq!(found.delete, ["movies"]);
        assert_eq!(restore(&server, &swap()).await.unwrap().deleted, ["movies"]);
        // An alias only lets go of what is behind it: nothing is deleted.
        let behind = ok(json!({ "metadata": { "indices": { "m-1": { "state": "open", "aliases": ["movies"] } } } }));
        let alias = script().on(NAMES, [behind]).on("GET /m-1/_alias", [ok(json!({}))]);
        let server = Server::start(alias).await;
        assert!(restore(&server, &without).await.unwrap().deleted.is_empty());
    }

    #[tokio::test]
    async fn a_lost_answer_is_looked_up_and_never_sent_again() {
        let server =
            Server::start(script().on(ALIASES, [Reply::Lost]).on(NAMES, [open(), open(), open(), open(), swapped()]))
                .await;
        assert_eq!(restore(&server, &swap()).await.unwrap().swapped["movies"], "movies-s");
        assert_eq!(server.calls(ALIASES).len(), 1);
        let server = Server::start(script().on(ALIASES, [Reply::Lost])).await;
        let error = restore(&server, &swap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(text(&error).contains("run the same command again"), "{}", text(&error));
        assert_eq!(server.calls(ALIASES).len(), 1);
    }

    #[tokio::test]
    async fn the_aliases_of_the_snapshot_come_along_with_a_location_and_are_told_without() {
        let server = Server::start(script()).await;
        let restored = restore(&server, &swap()).await.unwrap();
        assert!(
            restored.findings.iter().any(|finding| finding.what.contains("the snapshot's aliases do not come along"))
        );
        let server = Server::start(script()).await;
        let dropped = Options { aliases: Aliases::Dropped, ..swap() };
        let restored = restore(&server, &dropped).await.unwrap();
        assert!(!restored.findings.iter().any(|finding| finding.what.contains("aliases do not come along")));
    }

    #[tokio::test]
    async fn killed_before_the_swap_it_is_taken_up_from_where_the_index_came_from() {
        let from = |snapshot: &str| {
            ok(json!({ "movies-s": { "shards": [{ "primary": true, "type": "SNAPSHOT",
                "source": { "repository": "r", "snapshot": snapshot } }] } }))
        };
        let both = ok(json!({ "metadata": { "indices": {
            "movies": { "state": "open", "aliases": ["films"], "settings": { "index": { "uuid": "old" } } },
            "movies-s": { "state": "open", "settings": { "index": { "uuid": "new" } } } } } }));
        let script = |snapshot| script().on(NAMES, [both.clone()]).on("GET /movies-s/_recovery", [from(snapshot)]);
        let server = Server::start(script("s")).await;
        let restored = restore(&server, &swap()).await.unwrap();
        assert_eq!((restored.deleted, restored.swapped["movies"].as_str()), (vec!["movies".to_owned()], "movies-s"));
        assert_eq!((server.calls(RESTORE).len(), server.calls(ALIASES).len()), (0, 1));
        // Without consent the name stays where it is, also then.
        let server = Server::start(script("s")).await;
        restore(&server, &Options { delete: Consent::Withheld, ..swap() }).await.unwrap_err();
        assert!(server.calls(ALIASES).is_empty());
        let server = Server::start(script("another")).await;
        assert_eq!(restore(&server, &swap()).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        let missing = Shard::Failed { reason: "ALLOCATION_FAILED", details: "nested: Odd[x]", tries: 5 };
        let server = Server::start(script("s").on(BESIDE, [ok(state("movies-s", false, 1, &[missing]))])).await;
        assert_eq!(restore(&server, &swap()).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
}

/// What an undo file belongs to, and what is told of what stays open.
mod owed {
    use super::*;

    fn of_cluster(uuid: &str) -> Undo {
        Undo {
            repository: "r".into(),
            snapshot: "s".into(),
            cluster_uuid: Some(uuid.into()),
            cluster: "theirs".into(),
            selection: vec!["movies".into()],
            ..Undo::default()
        }
    }

    #[tokio::test]
    async fn another_cluster_is_refused_by_both_names() {
        let root = json!({ "name": "n", "cluster_name": "ours", "cluster_uuid": "u-ours",
            "version": { "number": "8.12.2" }, "tagline": "You Know, for Search" });
        let server = Server::start(cluster().on("GET /", [ok(root)])).await;
        let client = server.client().await;
        let left = of_cluster("u-theirs");
        let put_back = recover(&client, &left).await.unwrap_err();
        let taken_up = restore(&server, &Options { left, ..options() }).await.unwrap_err();
        for error in [put_back, taken_up] {
            assert_eq!(error.kind(), ErrorKind::Precondition);
            assert!(
                text(&error).contains("`theirs` (u-theirs)") && text(&error).contains("`ours` (u-ours)"),
                "{error}"
            );
        }
        assert!(server.seen().iter().all(|seen| seen.call.starts_with("GET")));
        restore(&server, &Options { left: of_cluster("u-ours"), only_same: true, ..options() }).await.unwrap();
    }

    #[tokio::test]
    async fn the_file_of_another_restore_is_refused() {
        let server = Server::start(cluster()).await;
        let other = |change: fn(&mut Undo)| {
            let mut left = of_cluster("u");
            left.cluster_uuid = None;
            change(&mut left);
            Options { left, only_same: true, ..options() }
        };
        for options in [
            other(|left| left.repository = "r2".into()),
            other(|left| left.snapshot = "s2".into()),
            other(|left| left.selection = vec!["movies".into(), "logs".into()]),
        ] {
            let error = restore(&server, &options).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Precondition);
            assert!(text(&error).contains("--put-back"), "{}", text(&error));
        }
        assert!(server.calls(RESTORE).is_empty());
        restore(&server, &other(|_| {})).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_entry_says_what_it_is_of() {
        let server = Server::start(cluster()).await;
        let log = Arc::new(Log::default());
        restore(&server, &Options { log: Some(log.clone()), ..options() }).await.unwrap();
        let first = serde_json::to_value(&log.0.lock().unwrap()[0]).unwrap();
        let uuid = server.client().await.about().uuid.clone();
        assert!(uuid.is_some());
        assert_eq!((&first["cluster_uuid"], &first["selection"]), (&json!(uuid), &json!(["movies"])));
    }

    #[tokio::test]
    async fn a_throttle_that_a_kill_would_leave_raised_is_told() {
        let raise = Raise { bytes_per_second: Some(500_000_000), recoveries: None };
        let heard_of = async |settings: Value, log: Option<Arc<dyn RestoreLog>>| {
            let script = cluster().on(SETTINGS, [ok(settings)]).on(PUT_SETTINGS, [acknowledged()]);
            let server = Server::start(script).await;
            let heard = Heard::default();
            let options = Options { raise, log, ..options() };
            run(&server.client().await, &options, &heard, &CancellationToken::new()).await.unwrap();
            heard
        };
        let set = |value: &str| json!({ "persistent": { "indices.recovery.max_bytes_per_sec": value } });
        let heard = heard_of(set("20mb"), None).await;
        assert!(heard.has(&["Warning", "was 20mb", "kill -9", "--undo-file"]));
        assert!(!heard.has(&["Warning", "was killed would have left it"]));
        let heard = heard_of(set("20mb"), Some(Arc::new(Log::default()))).await;
        assert!(!heard.has(&["kill -9"]));
        for (value, fate) in [("900000000b", "it is put back to that"), ("500000000b", "it stays so")] {
            assert!(heard_of(set(value), None).await.has(&["Warning", value, "was killed would have left it", fate]));
        }
    }

    #[tokio::test]
    async fn a_signal_names_what_is_left_open() {
        struct Signal(CancellationToken);
        impl Reporter for Signal {
            fn report(&self, event: &Event<'_>) {
                if matches!(event, Event::Shards { .. }) {
                    self.0.cancel();
                }
            }
        }
        let long = cluster().on(LOOK, [ok(state("movies", true, 1, &[Shard::Initializing])), Reply::Never]);
        let server = Server::start(long).await;
        let cancel = CancellationToken::new();
        let options = Options { replicas: Some(2), ..options() };
        let error = run(&server.client().await, &options, &Signal(cancel.clone()), &cancel).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        let text = text(&error);
        assert!(text.contains("run the same command again"), "{text}");
        assert!(text.contains("still being restored by the cluster: movies"), "{text}");
        assert!(text.contains("with 0 replicas: movies (to have 2)"), "{text}");
    }

    #[tokio::test]
    async fn a_preview_shows_every_request_that_changes_something() {
        let raise = Raise { bytes_per_second: Some(500_000_000), recoveries: None };
        let script =
            cluster().on(NAMES, [open()]).on("GET /movies/_alias", [ok(json!({ "movies": { "aliases": {} } }))]);
        let server = Server::start(script).await;
        let client = server.client().await;
        let shown = async |conflict| {
            let safety = Some("safe".to_owned());
            let options = Options { conflict, raise, safety, replicas: Some(2), ..options() };
            let found = preview(&client, &options, &Silent, &CancellationToken::new()).await.unwrap();
            found.steps.iter().map(|step| format!("{} {}", step.method, step.path)).collect::<Vec<_>>()
        };
        let (put, safe) = ("PUT /_cluster/settings", "PUT /_snapshot/safe/before-s");
        let swap = [put, safe, RESTORE, "PUT /movies-s/_settings", "POST /_aliases", put];
        assert_eq!(shown(Conflict::Swap).await, swap);
        let after = "PUT /movies/_settings";
        assert_eq!(shown(Conflict::Close).await, [put, safe, "POST /movies/_close", RESTORE, after, put]);
        assert_eq!(shown(Conflict::Delete).await, [put, safe, "DELETE /movies", RESTORE, after, put]);
        assert!(
            server.seen().iter().all(|seen| seen.call.starts_with("GET") || seen.call.ends_with("_has_privileges"))
        );
    }
}
