//! snapferry against real Elasticsearch and real MinIO: guide S3 from end to end, what Elasticsearch says with status 200
//! although it is a failure, and runs killed at any moment.
//!
//! `cargo test --features engine-tests --test engines`; `tests/engines/stage.sh` fetches the engines first and runs this where
//! the network ends at loopback.
#![cfg(feature = "engine-tests")]
#![expect(clippy::print_stderr, reason = "how many kills fell inside a run says what was proved")]

#[path = "support/engines.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod engines;
#[path = "support/restores.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod restores;
#[path = "support/seed.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod seed;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::thread;
use std::time::Instant;

use engines::{Elastic, Files, MinIo, Objects, Place, Snapferry, new_or_other, unpack};
use restores::{Content, content};
use seed::Moments;
use serde_json::{Value, json};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// Two clusters of 8.12.2, each with an object store of its own: the two clouds of the story.
struct Clouds {
    minio_a: MinIo,
    minio_b: MinIo,
    a: Elastic,
    b: Elastic,
}

/// Started once: a pair takes half a minute of two cores.
fn clouds() -> &'static Clouds {
    static CLOUDS: OnceLock<Clouds> = OnceLock::new();
    CLOUDS.get_or_init(|| {
        let (minio_a, minio_b) = (MinIo::start("minio-a", "bucket-a"), MinIo::start("minio-b", "bucket-b"));
        let (a, b) = both(
            || Elastic::start("es-a", "8.12.2", Some(&minio_a)),
            || Elastic::start("es-b", "8.12.2", Some(&minio_b)),
        );
        Clouds { minio_a, minio_b, a, b }
    })
}

fn both<T: Send>(one: impl FnOnce() -> T + Send, other: impl FnOnce() -> T) -> (T, T) {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().expect("its panic was printed"), other)
    })
}

/// Guide S3, told by whoever moves house.
struct Story<'a> {
    snapferry: Snapferry,
    a: &'a Elastic,
    b: &'a Elastic,
    /// The source and the target: as snapferry is told, and as an outsider sees them.
    from: (String, Place<'a>),
    to: (String, Place<'a>),
}

const REPOSITORY: &str = "eric-snapshot-repository";

impl Story<'_> {
    /// Documents up to this number, and a snapshot of them.
    fn write_and_snapshot(&self, documents: std::ops::RangeInclusive<u32>, snapshot: &str) {
        for id in documents {
            self.a.write("movies", id, &json!({"title": format!("Movie {id}"), "year": 1990 + id}));
        }
        self.snapferry.done(&format!("snapshot create a {REPOSITORY} {snapshot} --indices movies"));
        let (_, snapshots) = self.a.ask("GET", &format!("/_snapshot/{REPOSITORY}/{snapshot}"), None);
        assert_eq!(snapshots["snapshots"][0]["state"], "SUCCESS", "{snapshots}");
        assert_eq!(snapshots["snapshots"][0]["indices"], json!(["movies"]), "{snapshots}");
    }

    fn migrate(&self, snapshot: &str, conflict: &str) -> serde_json::Value {
        self.snapferry.json(&format!(
            "migrate {} {} --to-cluster b --repository {REPOSITORY} --from-cluster a --snapshot {snapshot} --indices movies \
             --conflict {conflict}",
            self.from.0, self.to.0
        ))
    }

    fn assert_equal_counts(&self, report: &serde_json::Value, documents: u64) {
        assert_eq!(report["compare"]["indices"][0]["index"], "movies", "{report}");
        assert_eq!(report["compare"]["indices"][0]["equal"], true, "{report}");
        assert_eq!(report["restore"]["shards"]["failed"], 0, "{report}");
        let counts = [&report["compare"]["indices"][0]["from"], &report["compare"]["indices"][0]["to"]];
        assert_eq!(counts, [&json!(documents), &json!(documents)], "{report}");
        assert_eq!((self.a.count("movies"), self.b.count("movies")), (documents, documents));
    }

    /// The first snapshot travels whole: 3 = 3.
    fn baseline(&self) {
        self.write_and_snapshot(1..=3, "snapshot_movies_1");

        let report = self.migrate("snapshot_movies_1", "fail");

        self.assert_equal_counts(&report, 3);
        assert_eq!(report["repository"]["name"], REPOSITORY, "{report}");
        let registered = self.b.get("GET", &format!("/_snapshot/{REPOSITORY}"), None);
        assert_eq!(registered[REPOSITORY]["settings"]["readonly"], "true", "{registered}");
        assert_eq!(contents(&self.to.1.objects()), contents(&self.from.1.objects()));
    }

    /// The second snapshot brings only what it added: 5 = 5. Gives the keys that were written.
    fn increment(&self) -> Vec<String> {
        let (source, target) = (self.from.1.objects(), self.to.1.objects());
        self.write_and_snapshot(4..=5, "snapshot_movies_2");

        let report = self.migrate("snapshot_movies_2", "close");

        self.assert_equal_counts(&report, 5);
        let arisen = new_or_other(&source, &self.from.1.objects(), |object| &object.content);
        let written = new_or_other(&target, &self.to.1.objects(), |object| &object.written);
        assert_eq!(written, arisen, "exactly what is new at the source is written at the target");
        assert_eq!(report["sync"]["copied"]["objects"], written.len(), "{report}");
        assert!(report["sync"]["skipped"]["objects"].as_u64() > Some(0), "{report}");
        written
    }

    /// A blob of the second snapshot is lost at the target: restore fails and names it, sync brings it back.
    fn damage_and_repair(&self, written: &[String]) {
        let blob = written.iter().find(|key| name_of(key).starts_with("__")).expect("two documents make a new blob");
        self.to.1.remove(blob);
        // Elasticsearch does not fetch what it has: over the index it restored before, it would not miss the blob.
        self.b.get("DELETE", "/movies", None);
        let restore = format!("restore b {REPOSITORY} snapshot_movies_2 --indices movies --conflict close");

        let refused = self.snapferry.refused(&restore);
        assert!(refused.stderr.contains(name_of(blob)), "the lost blob {blob} is not named: {refused}");

        let repaired = self.snapferry.json(&format!("sync {} {} --deep", self.from.0, self.to.0));
        assert_eq!(repaired["integrity"]["content"]["lucene"], 1, "one blob, and some metadata: {repaired}");
        // 5.5 never ends a restore that lacks a blob and lets no other begin (503): the same command has to take it up again.
        self.snapferry.done(&restore);
        assert_eq!(self.b.count("movies"), 5);
    }
}

fn name_of(key: &str) -> &str {
    key.rsplit('/').next().expect("a split has a last part")
}

fn contents(objects: &Objects) -> Vec<(&String, &String)> {
    objects.iter().map(|(key, object)| (key, &object.content)).collect()
}

#[test]
fn guide_s3_on_8_12_between_two_object_stores() {
    let clouds = clouds();
    let settings = json!({"bucket": "bucket-a", "base_path": "es/movies"});
    clouds.a.get("PUT", &format!("/_snapshot/{REPOSITORY}"), Some(&json!({"type": "s3", "settings": settings})));
    let bucket = |minio, bucket| Place::Bucket { minio, bucket, prefix: "es/movies".to_owned() };
    let story = Story {
        snapferry: Snapferry::new()
            .store("minio-a", &clouds.minio_a, "s3://bucket-a/es/movies")
            .store("minio-b", &clouds.minio_b, "s3://bucket-b/es/movies")
            .cluster("a", &clouds.a)
            .cluster("b", &clouds.b),
        a: &clouds.a,
        b: &clouds.b,
        from: ("minio-a".to_owned(), bucket(&clouds.minio_a, "bucket-a")),
        to: ("minio-b".to_owned(), bucket(&clouds.minio_b, "bucket-b")),
    };

    story.baseline();
    let written = story.increment();
    story.damage_and_repair(&written);
}

#[test]
fn guide_s3_on_5_5_between_two_folders_also_by_url() {
    let (a, b) = both(|| Elastic::start("es-a", "5.5.3", None), || Elastic::start("es-b", "5.5.3", None));
    let (from, to) = (a.repositories().join("movies"), b.repositories().join("movies"));
    let repository = json!({"type": "fs", "settings": {"location": from}});
    a.get("PUT", &format!("/_snapshot/{REPOSITORY}"), Some(&repository));
    let url = |folder: &Path| format!("file://{}", folder.display());
    let story = Story {
        snapferry: Snapferry::new().cluster("a", &a).cluster("b", &b),
        a: &a,
        b: &b,
        from: (url(&from), Place::Folder(from)),
        to: (url(&to), Place::Folder(to.clone())),
    };

    story.baseline();
    let written = story.increment();
    story.damage_and_repair(&written);

    story.snapferry.done(&format!("repo register b by-url --type url --url {}", url(&to)));
    let renamed = "--indices movies --rename-pattern (.+) --rename-replacement first_$1";
    story.snapferry.done(&format!("restore b by-url snapshot_movies_1 {renamed}"));
    assert_eq!(b.count("first_movies"), 3);

    let outside = story.snapferry.refused("repo register b outside --type url --url file:///nowhere/near");
    assert!(outside.stderr.contains("repositories.url.allowed_urls"), "Elasticsearch's own words are lost: {outside}");
}

/// The `logs` fixture as a repository that cluster B can read: its location.
fn logs() -> (&'static Elastic, Snapferry, String) {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let b = &clouds().b;
    let folder = FOLDER.get_or_init(|| {
        let into = b.repositories().join("fixture");
        fs::create_dir(&into).expect("the node's folder is there");
        unpack(&Path::new(FIXTURES).join("es-8.12-logs.tar.gz"), &into)
    });
    (b, Snapferry::new().cluster("b", b), format!("file://{}", folder.display()))
}

#[test]
fn registering_a_place_where_nothing_lies_fails_although_elasticsearch_acknowledges() {
    let (b, snapferry, _) = logs();
    let nowhere = b.repositories().join("nothing-here");
    let by_hand = json!({"type": "fs", "settings": {"location": nowhere, "readonly": true}});
    assert_eq!(b.get("PUT", "/_snapshot/by-hand", Some(&by_hand))["acknowledged"], true);
    assert_eq!(b.get("GET", "/_snapshot/by-hand/_all", None)["snapshots"], json!([]));

    let refused = snapferry.refused(&format!("repo register b nowhere file://{}", nowhere.display()));

    assert!(refused.stderr.contains("nowhere"), "{refused}");
}

#[test]
fn a_registration_is_read_only_and_shows_the_expected_snapshots_or_fails() {
    let (b, snapferry, location) = logs();
    let register = format!("repo register b expected {location} --expect");

    snapferry.done(&format!("{register} sCICA1dQT1uTAYxUcgy0PQ"));
    let registered = b.get("GET", "/_snapshot/expected", None);
    assert_eq!(registered["expected"]["settings"]["readonly"], "true", "{registered}");
    assert!(snapferry.done("repo list b").stdout.contains("expected"));

    let refused = snapferry.refused(&format!("{register} AAAAAAAAAAAAAAAAAAAAAA"));
    assert!(refused.stderr.contains("AAAAAAAAAAAAAAAAAAAAAA"), "the missing snapshot is not named: {refused}");

    snapferry.done("repo remove b expected");
    assert_eq!(b.ask("GET", "/_snapshot/expected", None).0, 404);
}

#[test]
fn a_restore_that_matches_nothing_is_a_failure_although_elasticsearch_answers_200() {
    let (_, snapferry, location) = logs();
    snapferry.done(&format!("repo register b nothing-matches {location}"));

    let refused = snapferry.refused("restore b nothing-matches daily-3 --indices nosuch*");

    assert!(refused.stderr.contains("nosuch*"), "{refused}");
}

#[test]
fn an_open_index_stops_a_restore_or_is_skipped_and_is_never_touched() {
    let (b, snapferry, location) = logs();
    snapferry.done(&format!("repo register b conflicts {location}"));
    b.write("logs-2026.11.01", 1, &json!({"mine": true}));
    let restore = "restore b conflicts daily-3 --indices logs-2026.11.01,logs-2026.11.02";

    let refused = snapferry.refused(restore);
    assert!(refused.stderr.contains("logs-2026.11.01"), "the open index is not named: {refused}");
    assert_eq!(b.ask("GET", "/logs-2026.11.02", None).0, 404, "a refused restore restores nothing");

    let skipped = snapferry.json(&format!("{restore} --conflict skip"));
    assert_eq!(skipped["indices"], json!(["logs-2026.11.02"]), "{skipped}");
    assert_eq!(b.count("logs-2026.11.01"), 1);
    assert!(b.count("logs-2026.11.02") > 1);
}

/// An index of three shards, with deletions, in a snapshot of this repository: what it holds.
fn orders(node: &Elastic, snapferry: &Snapferry, cluster: &str, repository: &str) -> Content {
    let settings = json!({"settings": {"number_of_shards": 3, "number_of_replicas": 0}});
    node.get("PUT", "/orders", Some(&settings));
    let mut lines = String::new();
    for id in 0..90 {
        lines += &format!("{}\n{}\n", json!({"index": {"_index": "orders", "_id": id.to_string()}}), json!({"n": id}));
    }
    for id in (0..90).step_by(9) {
        lines += &format!("{}\n", json!({"delete": {"_index": "orders", "_id": id.to_string()}}));
    }
    node.bulk(&lines);
    snapferry.done(&format!("snapshot create {cluster} {repository} first --indices orders"));
    content(node, "orders")
}

/// The repository's `orders`, under another name, hold what they should, shard by shard.
fn assert_restores_orders(
    node: &Elastic,
    snapferry: &Snapferry,
    (cluster, repository): (&str, &str),
    wanted: &Content,
) {
    let renamed = format!("--indices orders --rename-pattern (.+) --rename-replacement {repository}-$1");
    snapferry.done(&format!("restore {cluster} {repository} first {renamed}"));
    assert_eq!(content(node, &format!("{repository}-orders")), *wanted, "by {repository}");
}

#[test]
fn opensearch_3_8_restores_from_minio_by_s3_and_from_a_folder_that_versitygw_serves() {
    let (minio, gateway) = (MinIo::start("minio", "bucket"), MinIo::start_versitygw("versitygw", "bucket"));
    let folders = gateway.folder();
    let settings = [("ES_S3", minio.url()), ("ENGINE_REPOSITORIES", folders.to_str().expect("text"))];
    let node = Elastic::start_engine("opensearch", "opensearch-3.8.0-s3", &settings);
    let snapferry = Snapferry::new()
        .cluster("os", &node)
        .store("minio", &minio, "s3://bucket/from")
        .store("copy", &minio, "s3://bucket/copy")
        .store("gateway", &gateway, "s3://bucket/copy");
    // 3.8 asks for encryption by the server where nobody says otherwise, and this MinIO has no key for it.
    let unencrypted = json!({"bucket": "bucket", "base_path": "from", "server_side_encryption_type": "bucket_default"});
    node.get("PUT", "/_snapshot/from", Some(&json!({"type": "s3", "settings": unencrypted})));
    let wanted = orders(&node, &snapferry, "os", "from");

    snapferry.done("sync minio copy");
    snapferry.done("repo register os by-s3 copy --setting server_side_encryption_type=bucket_default");
    assert_eq!(node.get("GET", "/_snapshot/by-s3", None)["by-s3"]["type"], "s3");
    assert_restores_orders(&node, &snapferry, ("os", "by-s3"), &wanted);

    snapferry.done("sync minio gateway");
    snapferry.done(&format!("repo register os by-folder file://{}", folders.join("bucket/copy").display()));
    assert_eq!(node.get("GET", "/_snapshot/by-folder", None)["by-folder"]["type"], "fs");
    assert_restores_orders(&node, &snapferry, ("os", "by-folder"), &wanted);
}

#[test]
fn elasticsearch_8_12_restores_a_copy_by_s3_by_http_and_from_a_folder() {
    let Clouds { minio_b, b, .. } = clouds();
    let (from, copy) = (b.repositories().join("types-from"), b.repositories().join("types-copy"));
    b.get("PUT", "/_snapshot/types-from", Some(&json!({"type": "fs", "settings": {"location": from}})));
    let snapferry = Snapferry::new().cluster("b", b).store("minio", minio_b, "s3://bucket-b/types");
    let wanted = orders(b, &snapferry, "b", "types-from");
    let from = format!("file://{}", from.display());

    snapferry.done(&format!("sync {from} file://{}", copy.display()));
    snapferry.done(&format!("repo register b by-fs file://{}", copy.display()));
    assert_restores_orders(b, &snapferry, ("b", "by-fs"), &wanted);

    let files = Files::serve(&copy);
    snapferry.done(&format!("repo register b by-http --type url --url {}", files.url));
    let registered: Value = b.get("GET", "/_snapshot/by-http", None);
    assert_eq!(registered["by-http"]["type"], "url", "{registered}");
    assert_restores_orders(b, &snapferry, ("b", "by-http"), &wanted);

    snapferry.done(&format!("sync {from} minio"));
    snapferry.done("repo register b by-s3 minio");
    assert_restores_orders(b, &snapferry, ("b", "by-s3"), &wanted);
}

/// A repository of the fixtures, unpacked.
struct Source {
    name: String,
    location: String,
    place: Place<'static>,
    objects: Objects,
    root: String,
    _unpacked: tempfile::TempDir,
}

/// Every fixture but the two that snapferry refuses or does not take for a repository.
fn sources() -> Vec<Source> {
    let fixtures =
        fs::read_dir(FIXTURES).expect("tests/fixtures is there").map(|entry| entry.expect("it stays").path());
    let name =
        |path: &Path| path.file_name().and_then(|name| name.to_str()?.strip_suffix(".tar.gz")).map(str::to_owned);
    let mut sources: Vec<Source> = fixtures
        .filter_map(|path| Some((name(&path)?, path)))
        .filter(|(name, _)| name != "es-2.4.6-main" && name != "opensearch-3.6.0-logs")
        .map(|(name, path)| {
            let unpacked = tempfile::tempdir().expect("a temporary folder");
            let folder = unpack(&path, unpacked.path());
            let location = format!("file://{}", folder.display());
            let place = Place::Folder(folder);
            let mut objects = place.objects();
            let generation = |key: &String| key.strip_prefix("index-")?.parse::<u64>().ok();
            let newest = objects.keys().filter_map(generation).max().expect("a repository has a root");
            // A copy holds the newest root alone.
            objects.retain(|key, _| generation(key).is_none_or(|number| number == newest));
            Source { name, location, place, objects, root: format!("index-{newest}"), _unpacked: unpacked }
        })
        .collect();
    assert!(sources.len() >= 5, "{FIXTURES} holds only {} repositories", sources.len());
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    sources
}

impl Source {
    /// The promise: whoever sees this root at the target sees all that it needs. (`index.latest` only repeats the root's number.)
    fn assert_whole_where_its_root_shows(&self, target: &Objects, moment: &str) {
        if !target.contains_key(&self.root) {
            return;
        }
        for (key, object) in self.objects.iter().filter(|(key, _)| *key != "index.latest") {
            let size = target.get(key).map(|object| object.size);
            assert_eq!(
                size,
                Some(object.size),
                "{}: {} shows, {key} is missing or short after {moment}",
                self.name,
                self.root
            );
        }
    }
}

/// Twenty-five kills, each target killed up to twice and then completed.
/// `target` gives the n-th target: as snapferry is told, and as an outsider sees it.
fn kill_and_complete<'a>(snapferry: &Snapferry, target: impl Fn(usize) -> (String, Place<'a>)) {
    let (sources, mut moments) = (sources(), Moments::new());
    let first = moments.below(1000);
    let (mut kills, mut landed, mut targets) = (0, 0, 0);
    while kills < 25 {
        let source = &sources[(first + targets) % sources.len()];
        // Measured each time: what else runs on this machine changes.
        let started = Instant::now();
        snapferry.done(&format!("sync {} {}", source.location, target(2 * targets).0));
        let mut whole = started.elapsed();

        let (location, place) = target(2 * targets + 1);
        let sync = format!("sync {} {location}", source.location);
        for _ in 0..2.min(25 - kills) {
            let after = moments.within(whole);
            kills += 1;
            let mut command = snapferry.command(&sync);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut running = command.spawn().expect("snapferry can be run");
            thread::sleep(after);
            running.kill().expect("a child can be killed");
            let killed = running.wait().expect("a child can be waited for").signal() == Some(9);
            landed += usize::from(killed);
            source.assert_whole_where_its_root_shows(&place.objects(), &format!("{after:?} of {whole:?}"));
            if !killed {
                break;
            }
            // What is left to do takes about what is left of the time.
            whole = whole.saturating_sub(after).max(whole / 4);
        }

        snapferry.done(&sync);
        assert_complete(snapferry, source, &location, &place);
        targets += 1;
    }
    eprintln!("{landed} of {kills} kills fell inside a run, on {targets} targets");
    assert!(landed * 2 >= kills, "only {landed} of {kills} kills fell inside a run: this proved too little");
}

/// The target holds the source byte for byte, and snapferry shows nothing else there.
fn assert_complete(snapferry: &Snapferry, source: &Source, location: &str, place: &Place<'_>) {
    let objects = place.objects();
    for key in source.objects.keys() {
        assert!(objects.contains_key(key), "{}: {key} is missing after the run that completes", source.name);
        assert!(
            place.read(key) == source.place.read(key),
            "{}: {key} is another after the run that completes",
            source.name
        );
    }
    // Killed behind its root, a run leaves its lease, and the next one finds nothing to do: whoever has work takes it over.
    let ours = |key: &str| source.objects.contains_key(key) || key == "snapferry.lease";
    let extra: Vec<_> = objects.keys().filter(|key| !ours(key)).collect();
    let shown = snapferry.done(&format!("ls {location}")).stdout;
    for key in extra {
        assert!(!shown.contains(name_of(key)), "{}: {key} was left behind by a killed run and shows", source.name);
    }
}

#[test]
fn a_sync_to_a_folder_killed_at_any_moment_never_shows_a_root_without_its_keys() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    kill_and_complete(&Snapferry::new(), |number| {
        let target = folder.path().join(number.to_string());
        (format!("file://{}", target.display()), Place::Folder(target))
    });
}

#[test]
fn a_sync_to_minio_killed_at_any_moment_never_shows_a_root_without_its_keys() {
    let minio = &MinIo::start("minio", "killed");
    let snapferry = Snapferry::new().store("minio", minio, "s3://killed");
    kill_and_complete(&snapferry, |number| {
        let prefix = format!("target/{number}");
        (format!("minio/{prefix}"), Place::Bucket { minio, bucket: "killed", prefix })
    });
}
