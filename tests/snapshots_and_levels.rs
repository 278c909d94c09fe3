//! Snapshots of a cluster and the verification levels, against a scripted server that answers what real ones answered.

#[cfg(test)]
#[path = "support/elastic.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use snapferry::elastic::conflict::Piece;
use snapferry::elastic::creation::{Creation, GlobalState, Incomplete, Unavailable};
use snapferry::elastic::deletion::Running;
use snapferry::elastic::numbers::Settle;
use snapferry::elastic::snapshot::{Snapshot, State};
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::event::Silent;
use snapferry::ops;
use snapferry::ops::compare::{
    Asked, CaptureOptions, Captured, Level, LevelVerdict, Verdict, Verification, Verifying, capture, verify, verify_as,
};
use support::{Heard, Reply, Script, Server, impatient, ok, refusal};
use tokio_util::sync::CancellationToken;

const NAMES: &str = "GET /_cluster/state/metadata";
const PUT: &str = "PUT /_snapshot/r/new";
const GET: &str = "GET /_snapshot/r/new";
const LIST: &str = "GET /_snapshot/r/_all";
const RUNNING: &str = "GET /_snapshot/_status";

fn text(error: &Error) -> String {
    format!("{error}\nhint: {}", error.advice().unwrap_or_default())
}

fn missing() -> Reply {
    refusal(404, "snapshot_missing_exception", "[r:new] is missing")
}

fn repository(readonly: bool) -> Reply {
    ok(json!({ "r": { "type": "fs", "settings": { "location": "/r", "readonly": readonly.to_string() } } }))
}

mod taking {
    use super::*;

    fn creation(indices: &[&str]) -> Creation {
        Creation {
            repository: "r".into(),
            snapshot: "new".into(),
            indices: indices.iter().map(ToString::to_string).collect(),
            ..Creation::default()
        }
    }

    async fn take(server: &Server, creation: Creation, heard: &Heard) -> Result<Snapshot> {
        let options = ops::snapshot::Options { creation, patience: impatient() };
        ops::snapshot::create(&server.client().await, &options, heard, &CancellationToken::new()).await
    }

    fn indices(names: &[&str]) -> Value {
        let entries = names.iter().map(|name| (name.to_string(), json!({ "state": "open", "aliases": [] })));
        json!({ "metadata": { "indices": entries.collect::<serde_json::Map<_, _>>() } })
    }

    fn taken(state: &str, indices: &[&str]) -> Value {
        json!({ "snapshot": "new", "uuid": "u", "state": state, "indices": indices })
    }

    /// A cluster with `movies` and `songs`, in which a snapshot ends like that.
    fn cluster(version: &str, ends: &Value) -> Script {
        Script::version(version)
            .on("GET /_snapshot/r", [repository(false)])
            .on(NAMES, [ok(indices(&["movies", "songs", ".tasks"]))])
            .on(GET, [missing(), ok(json!({ "snapshots": [ends] }))])
            .on(PUT, [ok(json!({ "accepted": true }))])
    }

    #[tokio::test]
    async fn everything_that_was_asked_for_is_sent() {
        let server = Server::start(cluster("8.12.2", &taken("SUCCESS", &["songs", ".tasks"]))).await;
        let asked = Creation {
            global_state: GlobalState::With,
            unavailable: Unavailable::Ignored,
            incomplete: Incomplete::Allowed,
            metadata: BTreeMap::from([("by".to_owned(), "us".to_owned())]),
            feature_states: vec!["tasks".into()],
            ..creation(&["-movies"])
        };
        take(&server, asked, &Heard::default()).await.unwrap();
        let body = server.calls(PUT).remove(0).body;
        let expected = json!({ "indices": "*,-movies", "include_global_state": true, "ignore_unavailable": true,
            "partial": true, "metadata": { "by": "us" }, "feature_states": ["tasks"] });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn what_the_version_does_not_know_is_refused_and_not_sent() {
        let metadata =
            Creation { metadata: BTreeMap::from([("a".to_owned(), "b".to_owned())]), ..creation(&["movies"]) };
        let features = Creation { feature_states: vec!["kibana".into()], ..creation(&["movies"]) };
        let long = Creation { metadata: BTreeMap::from([("a".to_owned(), "b".repeat(1024))]), ..creation(&["movies"]) };
        for (version, asked, word) in
            [("7.2.1", &metadata, "7.3"), ("7.11.2", &features, "7.12"), ("8.12.2", &long, "1024")]
        {
            let server = Server::start(cluster(version, &taken("SUCCESS", &["movies"]))).await;
            let error = take(&server, asked.clone(), &Heard::default()).await.unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert!(server.calls(PUT).is_empty());
        }
    }

    #[tokio::test]
    async fn automated_and_read_only_repositories_take_no_snapshot() {
        let server = Server::start(cluster("7.9.3", &taken("SUCCESS", &["movies"]))).await;
        for name in ["cs-automated", "cs-automated-enc"] {
            let asked = Creation { repository: name.into(), ..creation(&[]) };
            let error = take(&server, asked, &Heard::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(text(&error).contains("bucket of your own"), "{error}");
        }
        let script = cluster("7.9.3", &taken("SUCCESS", &["movies"])).on("GET /_snapshot/r", [repository(true)]);
        let server = Server::start(script).await;
        let error = take(&server, creation(&[]), &Heard::default()).await.unwrap_err();
        assert!(text(&error).contains("read-only"), "{error}");
        assert!(server.calls(PUT).is_empty());
    }

    #[tokio::test]
    async fn an_empty_snapshot_is_taken_only_when_asked_for() {
        for patterns in [&["nosuch*"][..], &["*", "-*"], &["nosuch"]] {
            let server = Server::start(cluster("8.12.2", &taken("SUCCESS", &[]))).await;
            let error = take(&server, creation(patterns), &Heard::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{patterns:?}");
            assert!(server.calls(PUT).is_empty());
        }
        let server = Server::start(cluster("8.12.2", &taken("SUCCESS", &[]))).await;
        let asked = Creation { may_be_empty: true, ..creation(&["nosuch*"]) };
        take(&server, asked, &Heard::default()).await.unwrap();
    }

    #[tokio::test]
    async fn an_index_that_is_missing_is_left_out_only_when_asked_for() {
        let server = Server::start(cluster("8.12.2", &taken("SUCCESS", &["movies"]))).await;
        let heard = Heard::default();
        let asked = Creation { unavailable: Unavailable::Ignored, ..creation(&["movies", "nosuch"]) };
        take(&server, asked, &heard).await.unwrap();
        assert!(heard.has(&["Warning", "nothing of `nosuch`"]));
    }

    /// Finding 11, the other way round.
    #[tokio::test]
    async fn a_snapshot_of_less_than_was_asked_for_is_an_error_unless_it_was_deleted_meanwhile() {
        let script = cluster("8.12.2", &taken("SUCCESS", &["movies"]));
        let server = Server::start(script.clone()).await;
        let error = take(&server, creation(&["movies", "songs"]), &Heard::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition);
        assert!(text(&error).contains("lacks `songs`"), "{error}");
        let server =
            Server::start(script.on(NAMES, [ok(indices(&["movies", "songs"])), ok(indices(&["movies"]))])).await;
        let heard = Heard::default();
        take(&server, creation(&["movies", "songs"]), &heard).await.unwrap();
        assert!(heard.has(&["Warning", "`songs`", "deleted while"]));
    }

    /// Finding 11: the snapshot API ignores what it does not know.
    #[tokio::test]
    async fn a_snapshot_of_everything_in_place_of_one_index_is_an_error() {
        let server = Server::start(cluster("5.5.3", &taken("SUCCESS", &["movies", "songs", ".tasks"]))).await;
        let error = take(&server, creation(&["movies"]), &Heard::default()).await.unwrap_err();
        assert!(text(&error).contains("also holds `songs`, `.tasks`, which were not asked for"), "{error}");
    }

    #[tokio::test]
    async fn what_is_made_meanwhile_and_meant_is_welcome() {
        let server = Server::start(cluster("8.12.2", &taken("SUCCESS", &["movies", "movies-2"]))).await;
        take(&server, creation(&["movies*"]), &Heard::default()).await.unwrap();
    }

    #[tokio::test]
    async fn a_partial_snapshot_is_taken_when_asked_for_and_said() {
        let mut ends = taken("PARTIAL", &["movies"]);
        ends["shards"] = json!({ "total": 2, "failed": 1, "successful": 1 });
        let server = Server::start(cluster("8.12.2", &ends)).await;
        let heard = Heard::default();
        let asked = Creation { incomplete: Incomplete::Allowed, ..creation(&["movies"]) };
        assert_eq!(take(&server, asked, &heard).await.unwrap().state, State::Partial);
        assert!(heard.has(&["Warning", "1 of 2 shards failed"]));
    }

    /// 503 in 5.x to 7.8 and `OpenSearch`, 400 while a deletion is in the way.
    #[tokio::test]
    async fn another_snapshot_is_waited_for() {
        let busy = refusal(503, "concurrent_snapshot_execution_exception", "[r:new] a snapshot is already running");
        let deleting = refusal(400, "snapshot_in_progress_exception", "a deletion is running");
        let replies = [busy.clone(), busy.clone(), busy, deleting.clone(), deleting, ok(json!({ "accepted": true }))];
        let status = json!({ "snapshots": [{ "snapshot": "other", "repository": "r", "shards_stats": { "done": 1, "total": 2 } }] });
        let script = cluster("6.8.23", &taken("SUCCESS", &["movies"])).on(PUT, replies).on(RUNNING, [ok(status)]);
        let server = Server::start(script).await;
        let heard = Heard::default();
        take(&server, creation(&["movies"]), &heard).await.unwrap();
        assert_eq!(server.calls(PUT).len(), 6);
        assert!(heard.has(&["Warning", "waiting for the snapshot `r:other`"]));
    }

    #[tokio::test]
    async fn what_stands_in_the_way_and_does_not_move_ends_the_wait() {
        let busy = refusal(503, "concurrent_snapshot_execution_exception", "[r:new] a snapshot is already running");
        let script = cluster("6.8.23", &taken("SUCCESS", &["movies"])).on(PUT, [busy]).on(RUNNING, [ok(json!({}))]);
        let server = Server::start(script).await;
        let error = take(&server, creation(&["movies"]), &Heard::default()).await.unwrap_err();
        assert!(text(&error).contains("has not moved") && text(&error).contains("snapshot status"), "{error}");
    }

    #[tokio::test]
    async fn another_snapshot_under_our_name_is_not_taken_for_ours() {
        let running =
            json!({ "snapshots": [{ "snapshot": "new", "uuid": "ours", "state": "IN_PROGRESS", "indices": [] }] });
        let script = cluster("8.12.2", &taken("SUCCESS", &["movies"]));
        let theirs = json!({ "snapshots": [taken("SUCCESS", &["movies"])] });
        let server = Server::start(script.on(GET, [missing(), ok(running), ok(theirs)])).await;
        let error = take(&server, creation(&["movies"]), &Heard::default()).await.unwrap_err();
        assert!(text(&error).contains("another one has its name"), "{error}");
    }
}

mod listing {
    use super::*;

    fn snapshot(name: &str) -> Value {
        json!({ "snapshot": name, "uuid": format!("u-{name}"), "state": "SUCCESS", "indices": ["movies"],
            "start_time_in_millis": 1000, "end_time_in_millis": 3000, "shards": { "total": 1, "successful": 1, "failed": 0 } })
    }

    /// 8.12 answers so when `snap-<uuid>.dat` of one is missing.
    #[tokio::test]
    async fn a_snapshot_without_metadata_does_not_end_the_list() {
        let lost = refusal(404, "snapshot_missing_exception", "[r:b/u-b] is missing");
        let replies = [
            lost,
            ok(json!({ "snapshots": [snapshot("a")] })),
            ok(json!({ "snapshots": [{ "snapshot": "a", "uuid": "u-a", "state": "SUCCESS" },
                { "snapshot": "b", "uuid": "u-b", "state": "SUCCESS" }] })),
        ];
        let server = Server::start(Script::version("8.12.2").on(LIST, replies)).await;
        let heard = Heard::default();
        let listing = ops::snapshot::listing(&server.client().await, "r", &[], &heard).await.unwrap();
        assert_eq!(listing.unreadable, ["b"]);
        assert_eq!(listing.snapshots.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(heard.has(&["Warning", "`b`", "restores nowhere"]));
        let queries: Vec<String> = server.calls(LIST).into_iter().map(|seen| seen.query).collect();
        assert_eq!(queries, ["index_details=true", "index_details=true&ignore_unavailable=true", "verbose=false"]);
    }

    #[tokio::test]
    async fn patterns_choose_and_a_name_must_be_there() {
        let all = json!({ "snapshots": [snapshot("a-1"), snapshot("a-2"), snapshot("b")] });
        let server = Server::start(Script::version("5.5.3").on(LIST, [ok(all)])).await;
        let client = server.client().await;
        let listed = async |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            ops::snapshot::listing(&client, "r", &patterns, &Silent).await
        };
        let names = |listing: snapferry::elastic::listing::Listing| {
            listing.snapshots.into_iter().map(|found| found.name).collect::<Vec<_>>()
        };
        assert_eq!(names(listed(&["a*", "-a-2"]).await.unwrap()), ["a-1"]);
        assert_eq!(names(listed(&["-a*"]).await.unwrap()), ["b"]);
        assert_eq!(listed(&["c"]).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(server.calls(LIST).iter().all(|seen| seen.query.is_empty()), "5.5 knows none of the parameters");
    }

    #[tokio::test]
    async fn the_status_of_a_finished_snapshot_is_not_asked_for() {
        let found = json!({ "snapshots": [snapshot("new")] });
        let server = Server::start(Script::version("8.12.2").on(GET, [ok(found)])).await;
        let standing = ops::snapshot::standing(&server.client().await, "r", "new").await.unwrap();
        assert!(matches!(standing, ops::snapshot::Standing::Ended(_)));
        assert!(server.seen().iter().all(|seen| !seen.call.contains("_status")));
    }

    #[tokio::test]
    async fn a_running_snapshot_is_followed_to_its_end() {
        let running = json!({ "snapshots": [{ "snapshot": "new", "uuid": "u", "state": "IN_PROGRESS" }] });
        let status = |done: u64| {
            ok(
                json!({ "snapshots": [{ "snapshot": "new", "repository": "r", "shards_stats": { "done": done, "total": 2 },
                "stats": { "incremental": { "file_count": 4, "size_in_bytes": 100 },
                    "processed": { "file_count": done, "size_in_bytes": 10 * done } } }] }),
            )
        };
        let script = Script::version("8.12.2")
            .on(GET, [ok(running.clone()), ok(running), ok(json!({ "snapshots": [snapshot("new")] }))])
            .on("GET /_snapshot/r/new/_status", [status(1), status(2)]);
        let server = Server::start(script).await;
        let looks = std::sync::Mutex::new(Vec::new());
        let tell = |pace: &ops::snapshot::Pace| {
            looks.lock().unwrap().push((pace.status.bytes.done, pace.remaining_seconds.is_some()));
            Ok(())
        };
        let told = (&tell as &ops::snapshot::Tell<'_>, &CancellationToken::new());
        let ended = ops::snapshot::follow(&server.client().await, "r", "new", impatient(), told).await.unwrap();
        assert_eq!(ended.state, State::Success);
        assert_eq!(*looks.lock().unwrap(), [(10, false), (20, true)]);
    }
}

mod deleting {
    use super::*;

    fn listed(names: &[&str]) -> Reply {
        let entries =
            names.iter().map(|name| json!({ "snapshot": name, "uuid": format!("u-{name}"), "state": "SUCCESS" }));
        ok(json!({ "snapshots": entries.collect::<Vec<_>>() }))
    }

    fn script(version: &str, lists: impl IntoIterator<Item = Reply>) -> Script {
        Script::version(version).on("GET /_snapshot/r", [repository(false)]).on(LIST, lists)
    }

    async fn delete(server: &Server, names: &[&str], running: Running) -> Result<()> {
        let client = server.client().await;
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let found = ops::snapshot::before_deletion(&client, "r", &names, running).await?;
        ops::snapshot::delete(&client, "r", &found, impatient(), &Silent).await
    }

    fn deletions(server: &Server) -> Vec<String> {
        server.seen().into_iter().map(|seen| seen.call).filter(|call| call.starts_with("DELETE")).collect()
    }

    #[tokio::test]
    async fn several_go_at_once_where_the_version_can() {
        let done = || [ok(json!({ "acknowledged": true }))];
        let script = |version| {
            script(version, [listed(&["a", "b"])])
                .on("DELETE /_snapshot/r/a,b", done())
                .on("DELETE /_snapshot/r/a", done())
                .on("DELETE /_snapshot/r/b", done())
        };
        for (version, count) in [("7.8.0", 1), ("7.7.1", 2), ("5.6.16", 2)] {
            let server = Server::start(script(version)).await;
            delete(&server, &["a", "b"], Running::Refused).await.unwrap();
            assert_eq!(deletions(&server).len(), count, "{version}");
        }
    }

    #[tokio::test]
    async fn what_must_not_go_is_refused_before_anything_is_sent() {
        let running = ok(json!({ "snapshots": [{ "snapshot": "a", "uuid": "u", "state": "IN_PROGRESS" }] }));
        let readonly = script("8.12.2", [listed(&["a"])]).on("GET /_snapshot/r", [repository(true)]);
        for (script, name, word) in [
            (readonly, "a", "read-only"),
            (script("8.12.2", [running]), "a", "being taken"),
            (script("8.12.2", [listed(&["a"])]), "nosuch", "no snapshot `nosuch`"),
            (script("8.12.2", [listed(&["a"])]), "*", "not allowed"),
            (script("8.12.2", [listed(&["a"])]), "_all", "for itself"),
        ] {
            let server = Server::start(script).await;
            let error = delete(&server, &[name], Running::Refused).await.unwrap_err();
            assert!(text(&error).contains(word), "{error}");
            assert!(deletions(&server).is_empty());
        }
    }

    #[tokio::test]
    async fn a_running_one_is_cancelled_when_that_is_asked_for() {
        let running = ok(json!({ "snapshots": [{ "snapshot": "a", "uuid": "u", "state": "IN_PROGRESS" }] }));
        let script = script("8.12.2", [running]).on("DELETE /_snapshot/r/a", [ok(json!({ "acknowledged": true }))]);
        let server = Server::start(script).await;
        delete(&server, &["a"], Running::Cancelled).await.unwrap();
        assert_eq!(deletions(&server).len(), 1);
    }

    #[tokio::test]
    async fn a_lost_answer_is_looked_up_and_the_deletion_not_repeated() {
        let script =
            script("8.12.2", [listed(&["a"]), listed(&["a"]), listed(&[])]).on("DELETE /_snapshot/r/a", [Reply::Lost]);
        let server = Server::start(script).await;
        delete(&server, &["a"], Running::Refused).await.unwrap();
        assert_eq!(deletions(&server).len(), 1);
    }

    #[tokio::test]
    async fn another_snapshot_of_the_same_name_is_not_the_one_that_was_meant() {
        let other = ok(json!({ "snapshots": [{ "snapshot": "a", "uuid": "u-new", "state": "SUCCESS" }] }));
        let script = script("8.12.2", [listed(&["a"]), other]).on("DELETE /_snapshot/r/a", [Reply::Lost]);
        delete(&Server::start(script).await, &["a"], Running::Refused).await.unwrap();
    }
}

/// One index of one shard, as a cluster tells it.
#[derive(Debug, Clone)]
struct Told {
    documents: u64,
    deleted: u64,
    last: Option<i64>,
    written: u64,
    answering: u64,
    active: u64,
    title: &'static str,
    source: bool,
    mappings: Value,
    settings: Value,
    aliases: Value,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            documents: 2,
            deleted: 0,
            last: Some(1),
            written: 2,
            answering: 1,
            active: 1,
            title: "Heat",
            source: true,
            mappings: json!({ "properties": { "title": { "type": "text" } } }),
            settings: json!({ "index": { "number_of_shards": "1", "uuid": "u" } }),
            aliases: json!({}),
        }
    }
}

impl Told {
    fn stats(&self) -> Reply {
        let mut shard = json!({ "routing": { "primary": true }, "docs": { "count": self.documents, "deleted": self.deleted },
            "indexing": { "index_total": self.written, "delete_total": 0 } });
        if let Some(last) = self.last {
            shard["seq_no"] = json!({ "max_seq_no": last });
        }
        ok(json!({ "indices": { "m": { "shards": { "0": [shard] } } } }))
    }

    fn count(&self) -> Reply {
        let shards = json!({ "total": 1, "successful": self.answering, "skipped": 0, "failed": 0 });
        ok(json!({ "count": self.documents, "_shards": shards }))
    }

    /// A search that gives two documents, the first of which has this title.
    fn hits(&self) -> Reply {
        let hit = |id: &str, title: &str| {
            let mut hit = json!({ "_id": id });
            if self.source {
                hit["_source"] = json!({ "title": title, "cast": { "lead": "De Niro" } });
            }
            hit
        };
        let hits = if self.documents == 0 { json!([]) } else { json!([hit("1", self.title), hit("2", "Ronin")]) };
        ok(json!({ "_shards": { "total": 1, "successful": 1, "failed": 0 }, "hits": { "hits": hits } }))
    }

    /// A cluster that tells this; with `later`, that from the third look on.
    fn script(&self, version: &str, later: Option<&Self>) -> Script {
        let state = json!({ "metadata": { "indices": { "m": { "state": "open", "settings": { "index": {
            "uuid": "u", "number_of_shards": "1" } } } } } });
        let health = json!({ "indices": { "m": {
            "status": "yellow", "active_primary_shards": self.active } } });
        let like = json!({ "m": { "mappings": self.mappings, "settings": self.settings, "aliases": self.aliases } });
        let then = later.unwrap_or(self);
        Script::version(version)
            .on(NAMES, [ok(state)])
            .on("POST /m/_refresh", [ok(json!({}))])
            .on("POST /m/_flush", [ok(json!({}))])
            .on("GET /m/_stats/docs,indexing", [self.stats(), self.stats(), then.stats()])
            .on("GET /m/_count", [self.count(), self.count(), then.count()])
            .on("GET /_cluster/health/m", [ok(health)])
            .on("POST /m/_search", [self.hits()])
            .on("GET /m", [ok(like)])
    }

    async fn server(&self) -> Server {
        Server::start(self.script("8.12.2", None)).await
    }
}

fn pieces() -> Vec<Piece> {
    vec![Piece { index: "m".into(), target: "m".into() }]
}

fn options(level: Level) -> CaptureOptions {
    CaptureOptions { level, pause: Duration::ZERO, ..CaptureOptions::default() }
}

async fn captured(server: &Server, level: Level) -> Captured {
    capture(&server.client().await, &["m".into()], &options(level), &Silent).await.expect("the script tells all of it")
}

/// The source's numbers against the target's, without the source.
async fn compared(from: &Told, to: &Told, level: Level) -> Verification {
    let captured = captured(&from.server().await, level).await;
    let target = to.server().await;
    verify(&captured, None, &target.client().await, &pieces(), level, &Silent)
        .await
        .expect("the script tells all of it")
}

fn verdicts(verification: &Verification) -> Vec<Verdict> {
    verification.indices[0].levels.iter().map(|level| level.verdict).collect()
}

fn differences(verification: &Verification, level: usize) -> Vec<String> {
    let differences = &verification.indices[0].levels[level].differences;
    differences.iter().map(|difference| difference.what.clone()).collect()
}

mod levels {
    use super::*;
    use Verdict::{Different, Equal, Moving, Unknown};

    #[tokio::test]
    async fn a_restored_index_is_equal_at_every_level() {
        let verification = compared(&Told::default(), &Told::default(), Level::Metadata).await;
        assert_eq!(verdicts(&verification), [Equal; 5], "{verification:?}");
        assert_eq!(verification.verdict, Equal);
        let index = &verification.indices[0];
        assert!(index.levels.iter().all(|level| !level.proves.is_empty() && level.differences.is_empty()));
        assert_eq!((index.documents.from, index.documents.to), (Some(2), Some(2)));
        assert_eq!(index.shards[&0].to.unwrap().max_seq_no, Some(1));
    }

    /// Finding 5.
    #[tokio::test]
    async fn yellow_without_a_primary_is_not_recovered() {
        let to = Told { active: 0, ..Told::default() };
        let verification = compared(&Told::default(), &to, Level::Recovered).await;
        assert_eq!(verdicts(&verification), [Different]);
    }

    /// Finding 7.
    #[tokio::test]
    async fn a_count_over_half_of_the_shards_is_never_equal() {
        let half = Told { answering: 0, ..Told::default() };
        let verification = compared(&Told::default(), &half, Level::Counts).await;
        assert_eq!(verdicts(&verification), [Equal, Different]);
        assert!(verification.indices[0].levels[1].proves.contains("only 0 of 1 shards answered"));
        let server = half.server().await;
        let error = capture(&server.client().await, &["m".into()], &options(Level::Counts), &Silent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition);
    }

    #[tokio::test]
    async fn equal_counts_with_another_last_write_differ_at_level_2() {
        let verification = compared(&Told::default(), &Told { last: Some(7), ..Told::default() }, Level::Shards).await;
        assert_eq!(verdicts(&verification), [Equal, Equal, Different]);
        assert_eq!(differences(&verification, 2), ["shard 0: max_seq_no"]);
    }

    #[tokio::test]
    async fn merged_segments_are_no_difference_where_the_last_write_is_known() {
        let merged = Told { deleted: 3, ..Told::default() };
        let verification = compared(&Told::default(), &merged, Level::Shards).await;
        assert_eq!(verdicts(&verification), [Equal, Equal, Equal]);
        assert_eq!(differences(&verification, 2), ["shard 0: deleted documents"]);
        let (old, other) = (Told { last: None, ..Told::default() }, Told { last: None, ..merged });
        assert_eq!(verdicts(&compared(&old, &other, Level::Shards).await), [Equal, Equal, Unknown]);
    }

    #[tokio::test]
    async fn before_sequence_numbers_equal_is_told_to_be_weaker() {
        let old = Told { last: None, ..Told::default() };
        let verification = compared(&old, &old, Level::Shards).await;
        assert_eq!(verification.verdict, Equal);
        assert!(verification.indices[0].levels[2].proves.contains("an update may go unseen"));
    }

    #[tokio::test]
    async fn one_changed_field_of_a_document_is_found() {
        let to = Told { title: "Hat", ..Told::default() };
        let verification = compared(&Told::default(), &to, Level::Documents).await;
        assert_eq!(verdicts(&verification), [Equal, Equal, Equal, Different]);
        assert_eq!(differences(&verification, 3), ["document `1`: field `title`"]);
    }

    #[tokio::test]
    async fn a_document_that_only_one_side_has_is_found() {
        let none = Told { documents: 0, last: Some(-1), ..Told::default() };
        for (from, to) in [(&Told::default(), &none), (&none, &Told::default())] {
            let verification = compared(from, to, Level::Documents).await;
            assert_eq!(verdicts(&verification)[3], Different);
            assert_eq!(differences(&verification, 3), ["document `1`", "document `2`"]);
        }
    }

    #[tokio::test]
    async fn documents_without_a_source_cannot_be_told() {
        let bare = Told { source: false, ..Told::default() };
        let verification = compared(&bare, &bare, Level::Documents).await;
        assert_eq!(verdicts(&verification)[3], Unknown);
        assert!(verification.indices[0].levels[3].proves.contains("`_source`"));
    }

    #[tokio::test]
    async fn documents_are_drawn_by_sequence_numbers_of_each_shard() {
        let server = Told::default().server().await;
        captured(&server, Level::Documents).await;
        let searches = server.calls("POST /m/_search");
        assert_eq!(searches[0].body["sort"], json!([{ "_seq_no": "asc" }]));
        assert_eq!(searches[0].query, "preference=_shards%3A0");
        let old = Server::start(Told { last: None, ..Told::default() }.script("5.6.16", None)).await;
        captured(&old, Level::Documents).await;
        let searches = old.calls("POST /m/_search");
        assert_eq!(searches[0].body["sort"], json!([{ "_doc": "asc" }]));
        assert_eq!(searches[0].query, "preference=_shards%3A0%7C_primary");
    }

    /// Searches these documents (sequence number, title) as a server does: range, order, size and the place to go on after.
    fn found(documents: &[(u64, String)], body: &Value) -> Reply {
        let range = &body["query"]["range"]["_seq_no"];
        let after = body["search_after"][0].as_u64();
        let mut hits: Vec<&(u64, String)> = documents
            .iter()
            .filter(|(number, _)| range["gte"].as_u64().is_none_or(|from| *number >= from))
            .filter(|(number, _)| range["lt"].as_u64().is_none_or(|to| *number < to))
            .filter(|(number, _)| after.is_none_or(|after| *number > after))
            .filter(|(number, _)| match body["query"]["ids"]["values"].as_array() {
                Some(ids) => ids.contains(&json!(format!("d{number}"))),
                None => true,
            })
            .collect();
        if body["sort"][0]["_seq_no"] == "desc" {
            hits.reverse();
        }
        let size = body["size"].as_u64().expect("every search has a size");
        hits.truncate(usize::try_from(size).expect("it is small"));
        let hits = hits.into_iter().map(
            |(number, title)| json!({ "_id": format!("d{number}"), "sort": [number], "_source": { "title": title } }),
        );
        ok(
            json!({ "_shards": { "total": 1, "successful": 1, "failed": 0 }, "hits": { "hits": hits.collect::<Vec<_>>() } }),
        )
    }

    /// A cluster of one index with these documents.
    async fn holding(documents: Vec<(u64, String)>) -> Server {
        let last = documents.last().map(|(number, _)| number.cast_signed());
        let told = Told { documents: documents.len() as u64, last, ..Told::default() };
        Server::guarded(told.script("8.12.2", None), move |request, body| {
            let is_search = request.uri.path() == "/m/_search";
            is_search.then(|| found(&documents, &serde_json::from_slice(body).expect("a search has a body")))
        })
        .await
    }

    /// Level 3 of two such clusters.
    async fn sampled(from: Vec<(u64, String)>, to: Vec<(u64, String)>, samples: u32) -> LevelVerdict {
        let (source, target) = (holding(from).await, holding(to).await);
        let options = CaptureOptions { samples, ..options(Level::Documents) };
        let captured =
            capture(&source.client().await, &["m".into()], &options, &Silent).await.expect("the script tells it");
        let target = target.client().await;
        let mut verification =
            verify(&captured, None, &target, &pieces(), Level::Documents, &Silent).await.expect("the script tells it");
        verification.indices.remove(0).levels.remove(3)
    }

    fn titled(numbers: impl IntoIterator<Item = u64>, title: impl Fn(u64) -> &'static str) -> Vec<(u64, String)> {
        numbers.into_iter().map(|number| (number, title(number).to_owned())).collect()
    }

    #[tokio::test]
    async fn an_index_of_no_more_documents_than_the_sample_is_read_whole() {
        let same = |_| "Heat";
        // The third write replaced the second document: its number is free.
        for changed in [0, 2, 3] {
            let other = titled([0, 2, 3], |number| if number == changed { "Hat" } else { "Heat" });
            let level = sampled(titled([0, 2, 3], same), other, 100).await;
            assert_eq!((level.verdict, level.differences.len()), (Different, 1), "{changed}: {level:?}");
        }
        let level = sampled(titled([0, 2, 3], same), titled([0, 2, 3], same), 3).await;
        assert!(level.proves.starts_with("3 documents, which are all"), "{level:?}");
        // More than one page.
        let level = sampled(titled(0..1200, same), titled(0..1200, same), 2000).await;
        assert!(level.proves.starts_with("1200 documents, which are all"), "{level:?}");
    }

    #[tokio::test]
    async fn a_sample_reaches_to_the_newest_document_and_says_how_many_it_compared() {
        let same = |_| "Heat";
        let last = titled(0..40, |number| if number >= 30 { "Hat" } else { "Heat" });
        assert_eq!(sampled(titled(0..40, same), last, 5).await.verdict, Different);
        let newest = titled(0..40, |number| if number == 39 { "Hat" } else { "Heat" });
        assert_eq!(sampled(titled(0..40, same), newest, 1).await.verdict, Different);
        let level = sampled(titled(0..40, same), titled(0..40, same), 5).await;
        assert!(level.proves.starts_with("5 of 40 documents"), "{level:?}");
        // Where most numbers are of replaced documents, the later slices give what the earlier ones do not have.
        let level = sampled(titled(960..1000, same), titled(960..1000, same), 20).await;
        assert!(level.proves.starts_with("20 of 40 documents"), "{level:?}");
    }

    #[tokio::test]
    async fn a_source_of_which_no_document_could_be_drawn_is_not_equal() {
        let stats = ok(json!({ "indices": {} }));
        let script = Told::default().script("8.12.2", None).on("GET /m/_stats/docs,indexing", [stats]);
        let server = Server::start(script).await;
        let captured = captured(&server, Level::Documents).await;
        let client = server.client().await;
        let verification = verify(&captured, None, &client, &pieces(), Level::Documents, &Silent).await.unwrap();
        assert_eq!(verdicts(&verification)[3], Unknown, "{verification:?}");
    }

    #[tokio::test]
    async fn a_changed_mapping_setting_or_alias_is_named() {
        let to = Told {
            mappings: json!({ "properties": { "title": { "type": "keyword" } } }),
            settings: json!({ "index": { "number_of_shards": "1", "uuid": "other", "refresh_interval": "5s" } }),
            aliases: json!({ "films": {} }),
            ..Told::default()
        };
        let verification = compared(&Told::default(), &to, Level::Metadata).await;
        assert_eq!(verdicts(&verification)[4], Different);
        let named = ["mappings: properties.title.type", "settings: index.refresh_interval", "aliases: films"];
        assert_eq!(differences(&verification, 4), named);
    }

    #[tokio::test]
    async fn what_the_restore_was_asked_to_change_does_not_count() {
        let blocked = json!({ "index": { "number_of_replicas": "1", "blocks": { "write": "true" } } });
        let from = Told { settings: blocked, ..Told::default() };
        let to = Told { settings: json!({ "index": { "number_of_replicas": "0" } }), ..Told::default() };
        let captured = captured(&from.server().await, Level::Metadata).await;
        let target = to.server().await;
        let target = target.client().await;
        let plain = verify(&captured, None, &target, &pieces(), Level::Metadata, &Silent).await.unwrap();
        assert_eq!(verdicts(&plain)[4], Different);
        assert_eq!(differences(&plain, 4), ["settings: index.number_of_replicas", "settings: index.blocks.write"]);
        let asked = Asked::default().with_settings([(&"number_of_replicas".to_owned(), &json!(0))]);
        let pieces = pieces();
        let verifying = Verifying {
            captured: &captured,
            source: None,
            target: &target,
            pieces: &pieces,
            level: Level::Metadata,
            asked,
        };
        let verification = verify_as(&verifying, &Silent).await.unwrap();
        assert_eq!(verdicts(&verification)[4], Equal);
        assert!(verification.indices[0].levels[4].differences.iter().all(|difference| difference.as_asked));
    }

    #[tokio::test]
    async fn a_source_that_is_written_is_moving_even_if_its_numbers_agree() {
        let (before, after) = (Told::default(), Told { last: Some(2), ..Told::default() });
        for (version, before, after) in [
            ("8.12.2", before.clone(), after),
            // Without sequence numbers the writes that were counted tell.
            ("5.6.16", Told { last: None, ..before.clone() }, Told { last: None, written: 3, ..before }),
        ] {
            let source = Server::start(before.script(version, Some(&after))).await;
            let captured = captured(&source, Level::Shards).await;
            assert!(!captured.indices["m"].is_moving);
            let target = Server::start(after.script(version, None)).await;
            let (source, target) = (source.client().await, target.client().await);
            let moved = verify(&captured, Some(&source), &target, &pieces(), Level::Documents, &Silent).await.unwrap();
            assert_eq!(verdicts(&moved), [Equal, Moving, Moving, Moving], "{version}");
            assert_eq!(moved.verdict, Moving);
        }
    }

    #[tokio::test]
    async fn what_changes_between_the_two_readings_is_moving() {
        let (before, after) = (Told::default(), Told { last: Some(2), ..Told::default() });
        let script = before.script("8.12.2", None).on("GET /m/_stats/docs,indexing", [before.stats(), after.stats()]);
        let captured = captured(&Server::start(script).await, Level::Shards).await;
        assert!(captured.indices["m"].is_moving);
        let target = after.server().await;
        let verification =
            verify(&captured, None, &target.client().await, &pieces(), Level::Shards, &Silent).await.unwrap();
        assert_eq!(verification.verdict, Moving);
        assert!(verification.proves.contains("nothing is proved"));
    }

    #[tokio::test]
    async fn an_index_that_is_not_on_the_target_is_different_and_no_error() {
        let captured = captured(&Told::default().server().await, Level::Metadata).await;
        let script = Told::default().script("8.12.2", None).on(NAMES, [ok(json!({}))]).on("GET /m", [ok(json!({}))]);
        let target = Server::start(script).await;
        let verification =
            verify(&captured, None, &target.client().await, &pieces(), Level::Metadata, &Silent).await.unwrap();
        assert_eq!(verdicts(&verification), [Different; 5]);
    }

    #[tokio::test]
    async fn captured_numbers_and_verifications_are_the_same_after_a_file() {
        let captured = captured(&Told::default().server().await, Level::Metadata).await;
        let text = serde_json::to_string(&captured).unwrap();
        assert_eq!(Captured::parse(&text).unwrap(), captured);
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        assert_eq!(Captured::parse(&newer).unwrap_err().kind(), ErrorKind::Unsupported);
        let verification = compared(&Told::default(), &Told::default(), Level::Metadata).await;
        let read: Verification = serde_json::from_value(serde_json::to_value(&verification).unwrap()).unwrap();
        assert_eq!(read, verification);
    }

    #[tokio::test]
    async fn a_flush_is_sent_only_when_asked_for() {
        let server = Told::default().server().await;
        captured(&server, Level::Counts).await;
        assert!(server.calls("POST /m/_flush").is_empty());
        let flushing = CaptureOptions { settle: Settle::Flush, ..options(Level::Counts) };
        capture(&server.client().await, &["m".into()], &flushing, &Silent).await.unwrap();
        assert_eq!(server.calls("POST /m/_flush").len(), 1);
    }
}

/// The program itself. It blocks, so the servers it talks to need a thread of their own.
mod program {
    use std::process::Output;

    use super::*;

    fn run(home: &Path, arguments: &[&str]) -> Output {
        let mut command = assert_cmd::Command::cargo_bin("snapferry").expect("it was built");
        command.current_dir(home).env_clear().env("HOME", home).args(arguments);
        tokio::task::block_in_place(|| command.output().expect("it runs"))
    }

    fn code(output: &Output) -> Option<i32> {
        output.status.code()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_exit_code_tells_equal_different_moving_and_unknown_apart() {
        let home = tempfile::tempdir().unwrap();
        let told = Told::default();
        let (source, same) = (told.server().await, told.server().await);
        let other = Told { documents: 3, ..Told::default() }.server().await;
        let moving = Server::start(told.script("8.12.2", Some(&Told { last: Some(9), ..Told::default() }))).await;
        let bare = Told { source: false, ..Told::default() };
        let (bare_source, bare_target) = (bare.server().await, bare.server().await);
        for (from, to, level, expected) in [
            (&source, &same, "2", 0),
            (&source, &other, "1", 4),
            (&moving, &same, "2", 5),
            (&bare_source, &bare_target, "3", 3),
        ] {
            let output = run(
                home.path(),
                &["compare", &from.url, &to.url, "--indices", "m", "--pause", "0", "--level", level, "--json"],
            );
            assert_eq!(code(&output), Some(expected), "{}", String::from_utf8_lossy(&output.stderr));
            let document: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((&document["command"], &document["version"]), (&json!("compare"), &json!(1)));
            assert!(document["indices"][0]["levels"].as_array().unwrap().len() > 1);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn captured_numbers_are_compared_with_when_the_source_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let (source, target) = (Told::default().server().await, Told::default().server().await);
        let first = run(
            home.path(),
            &["compare", &source.url, "--capture-only", "numbers.json", "--level", "4", "--pause", "0"],
        );
        assert_eq!(code(&first), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &home.path().join("numbers.json").metadata().unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        drop(source);
        let second = run(home.path(), &["compare", "-", &target.url, "--captured", "numbers.json", "--level", "4"]);
        let said = String::from_utf8_lossy(&second.stdout).into_owned();
        assert_eq!(code(&second), Some(0), "{said}{}", String::from_utf8_lossy(&second.stderr));
        assert!(said.contains("level 4 (metadata): equal") && said.contains("shard 0"), "{said}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_deleted_without_a_confirmation() {
        let home = tempfile::tempdir().unwrap();
        let listed = json!({ "snapshots": [{ "snapshot": "a", "uuid": "u", "state": "SUCCESS" }] });
        let script = Script::version("8.12.2")
            .on("GET /_snapshot/r", [repository(false)])
            .on(LIST, [ok(listed)])
            .on("DELETE /_snapshot/r/a", [ok(json!({ "acknowledged": true }))]);
        let server = Server::start(script).await;
        let refused = run(home.path(), &["snapshot", "delete", &server.url, "r", "a"]);
        assert_eq!(code(&refused), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--yes"));
        assert!(server.calls("DELETE /_snapshot/r/a").is_empty());
        assert_eq!(code(&run(home.path(), &["snapshot", "delete", &server.url, "r", "a", "--yes"])), Some(0));
        assert_eq!(server.calls("DELETE /_snapshot/r/a").len(), 1);
    }

    /// Finding 11.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_slip_indexes_is_understood_and_told() {
        let home = tempfile::tempdir().unwrap();
        let names =
            json!({ "metadata": { "indices": { "movies": { "state": "open" }, "songs": { "state": "open" } } } });
        let done =
            json!({ "snapshots": [{ "snapshot": "new", "uuid": "u", "state": "SUCCESS", "indices": ["movies"] }] });
        let script = Script::version("5.5.3")
            .on("GET /_snapshot/r", [repository(false)])
            .on(NAMES, [ok(names)])
            .on(GET, [missing(), ok(done)])
            .on(PUT, [ok(json!({ "accepted": true }))]);
        let server = Server::start(script).await;
        let output = run(home.path(), &["snapshot", "create", &server.url, "r", "new", "--indexes", "movies"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), Some(0), "{said}");
        assert!(said.contains("the word is `indices`"), "{said}");
        assert_eq!(server.calls(PUT)[0].body["indices"], "movies");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_name_with_a_date_is_resolved_here_and_told() {
        let home = tempfile::tempdir().unwrap();
        let server = Server::start(Script::version("8.12.2")).await;
        let output = run(home.path(), &["snapshot", "create", &server.url, "r", "<nightly-{now/d{yyyy}}>"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("is called `nightly-20"), "{said}");
        assert!(server.seen().iter().any(|seen| seen.call.starts_with("GET /_snapshot/r/nightly-20")));
    }
}
