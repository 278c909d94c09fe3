//! Copies of real repositories, restored by the engine that wrote them: every snapshot of a full copy, of an increment and of a
//! selection, and every root that was published while an engine went on writing.
//!
//! `cargo test --features engine-tests --test restores -- --test-threads=1`; `tests/engines/stage.sh` fetches the engines first and
//! runs this where the network ends at loopback. `SNAPFERRY_LIVE_SECONDS` says how long an engine goes on writing (120).
#![cfg(feature = "engine-tests")]
#![expect(clippy::print_stderr, reason = "how much the live tests saw says what they proved")]

#[path = "support/engines.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod engines;
#[path = "support/seed.rs"]
mod seed;
#[path = "support/restores.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use engines::{Elastic, Snapferry};
use seed::Moments;
use support::{Content, Fixture, Listed, Registered, content, engine, number, when_free};

/// A folder where a copy may arise and the engine finds it.
fn target(node: &Elastic) -> PathBuf {
    node.repositories().join(format!("copy-{}", number()))
}

fn sync(fixture: &Fixture<'_>, target: &Path, options: &str) {
    Snapferry::new().done(&format!("sync {} file://{} {options}", fixture.location(), target.display()));
}

/// Every snapshot of a copy is what the cluster that wrote it said.
fn full(node: &Elastic, name: &str) {
    let (fixture, target) = (Fixture::new(node, name), target(node));

    sync(&fixture, &target, "");

    fixture.assert_restores_from(&target, &fixture.snapshots());
}

/// The same repository at two times: after each copy the target holds what the source holds then.
fn increment(node: &Elastic, name: &str, options: &str) {
    let target = target(node);
    for state in ["stateA", "stateB"] {
        let fixture = Fixture::new(node, &format!("{name}-{state}"));

        sync(&fixture, &target, options);

        fixture.assert_restores_from(&target, &fixture.snapshots());
    }
}

/// A copy of the named snapshots has these and no others; they are whole.
fn selected_snapshots(node: &Elastic, name: &str, snapshots: &[&str]) {
    let fixture = Fixture::new(node, name);
    let mut wanted = fixture.snapshots();
    wanted.retain(|snapshot| snapshots.contains(&snapshot.name.as_str()));
    assert_eq!(wanted.len(), snapshots.len(), "{name} has these snapshots");

    let options: Vec<String> = snapshots.iter().map(|snapshot| format!("--snapshots {snapshot}")).collect();
    let target = selected(&fixture, &options.join(" "));

    fixture.assert_restores_from(&target, &wanted);
}

/// A copy of the indices whose names begin so: every snapshot that holds one of them gives it.
fn selected_indices(node: &Elastic, name: &str, prefix: &str) {
    let fixture = Fixture::new(node, name);

    let target = selected(&fixture, &format!("--indices {prefix}*"));

    let copy = Registered::new(node, &target);
    let listed = copy.snapshots();
    let mut given = 0;
    for snapshot in fixture.snapshots() {
        let (chosen, others): (Vec<String>, Vec<String>) =
            snapshot.indices.iter().cloned().partition(|index| index.starts_with(prefix));
        if !chosen.is_empty() {
            assert!(listed.iter().any(|listed| listed.uuid == snapshot.uuid), "{} is not listed", snapshot.name);
            fixture.assert_gives(&copy, &snapshot, &chosen);
            given += others.len();
        }
    }
    assert!(given > 0, "{name}: a selection that leaves nothing out shows nothing");
    copy.remove();
}

/// Copies a part of a repository, and no more blobs than the whole has.
fn selected(fixture: &Fixture<'_>, options: &str) -> PathBuf {
    let folder = fixture.folder.with_file_name("selected");
    sync(fixture, &folder, options);
    assert!(files(&folder) < files(&fixture.folder), "a selection is smaller than the whole");
    folder
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it stays").path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

mod elasticsearch_5_6_16 {
    use super::*;

    const NAME: &str = "elasticsearch-5.6.16";

    #[test]
    fn restores_a_copy() {
        full(&engine(NAME), "es-5.6.16-main");
    }

    #[test]
    fn restores_an_increment_whose_blob_names_came_back() {
        increment(&engine(NAME), "es-5.6.16-main", "--grace 0s");
    }

    #[test]
    fn restores_an_increment_whose_blobs_came_back_in_parts() {
        increment(&engine(NAME), "es-5.6.16-parts", "--grace 0s");
    }

    #[test]
    fn restores_a_copy_of_selected_snapshots() {
        selected_snapshots(&engine(NAME), "es-5.6.16-main", &["s3"]);
    }

    #[test]
    fn restores_a_copy_of_selected_indices() {
        selected_indices(&engine(NAME), "es-5.6.16-main", "alpha");
    }

    #[test]
    fn restores_every_root_published_while_it_wrote() {
        live(&engine(NAME), "--grace 0s");
    }
}

mod elasticsearch_6_8_23 {
    use super::*;

    const NAME: &str = "elasticsearch-6.8.23";

    #[test]
    fn restores_a_copy() {
        full(&engine(NAME), "es-6.8.23-main");
    }

    #[test]
    fn restores_a_copy_of_selected_snapshots() {
        selected_snapshots(&engine(NAME), "es-6.8.23-main", &["s1", "s6"]);
    }

    #[test]
    fn restores_a_copy_of_selected_indices() {
        selected_indices(&engine(NAME), "es-6.8.23-main", "gamma");
    }
}

mod elasticsearch_7_10_2 {
    use super::*;

    const NAME: &str = "elasticsearch-7.10.2";

    #[test]
    fn restores_a_copy() {
        full(&engine(NAME), "es-7.10.2-main");
    }

    #[test]
    fn restores_a_copy_of_selected_snapshots() {
        selected_snapshots(&engine(NAME), "es-7.10.2-main", &["s5"]);
    }

    #[test]
    fn restores_a_copy_of_selected_indices() {
        selected_indices(&engine(NAME), "es-7.10.2-main", "beta");
    }
}

mod elasticsearch_8_12_2 {
    use super::*;

    const NAME: &str = "elasticsearch-8.12.2";

    #[test]
    fn restores_a_copy() {
        let engine = engine(NAME);
        for name in ["es-8.12-movies", "es-8.12-logs", "es-8.12-logs-chunked-uncompressed"] {
            full(&engine, name);
        }
    }

    #[test]
    fn restores_a_copy_of_what_7_17_28_wrote() {
        full(&engine(NAME), "es-7.17.28-main");
    }

    #[test]
    fn restores_an_increment_whose_snapshot_name_came_back() {
        increment(&engine(NAME), "es-8.12.2-again", "");
    }

    #[test]
    fn restores_a_copy_of_selected_snapshots() {
        let engine = engine(NAME);
        selected_snapshots(&engine, "es-8.12-logs", &["daily-4"]);
        selected_snapshots(&engine, "es-8.12-logs-chunked-uncompressed", &["daily-3"]);
        selected_snapshots(&engine, "es-8.12.2-again-stateB", &["s1", "s4"]);
    }

    #[test]
    fn restores_a_copy_of_selected_indices() {
        let engine = engine(NAME);
        selected_indices(&engine, "es-8.12-logs", "logs-2026.11.01");
        selected_indices(&engine, "es-8.12.2-again-stateB", "alpha");
    }

    #[test]
    fn restores_every_root_published_while_it_wrote() {
        live(&engine(NAME), "");
    }
}

mod elasticsearch_9_0_0 {
    use super::*;

    const NAME: &str = "elasticsearch-9.0.0";

    #[test]
    fn restores_a_copy() {
        full(&engine(NAME), "es-9.0.0-main");
    }

    #[test]
    fn restores_a_copy_of_selected_snapshots() {
        selected_snapshots(&engine(NAME), "es-9.0.0-main", &["s1"]);
    }

    #[test]
    fn restores_a_copy_of_selected_indices() {
        selected_indices(&engine(NAME), "es-9.0.0-main", "alpha");
    }
}

mod opensearch_2_19_6 {
    use super::*;

    const NAME: &str = "opensearch-2.19.6";

    #[test]
    fn restores_a_copy() {
        full(&engine(NAME), "opensearch-2.19.6-logs");
    }

    #[test]
    fn restores_a_copy_of_what_2_5_wrote() {
        full(&engine(NAME), "opensearch-2.5-movies");
    }

    #[test]
    fn restores_a_copy_of_selected_snapshots() {
        selected_snapshots(&engine(NAME), "opensearch-2.19.6-logs", &["daily-3", "daily-6"]);
    }

    #[test]
    fn restores_a_copy_of_selected_indices() {
        selected_indices(&engine(NAME), "opensearch-2.19.6-logs", "logs-");
    }
}

mod opensearch_3_6_0 {
    use super::*;

    const NAME: &str = "opensearch-3.6.0";

    #[test]
    fn restores_a_copy() {
        full(&engine(NAME), "opensearch-3.6.0-logs");
    }

    #[test]
    fn restores_a_copy_of_selected_snapshots() {
        selected_snapshots(&engine(NAME), "opensearch-3.6.0-logs", &["daily-4"]);
    }

    #[test]
    fn restores_a_copy_of_selected_indices() {
        selected_indices(&engine(NAME), "opensearch-3.6.0-logs", "orders");
    }
}

mod opensearch_3_8_0 {
    use super::*;

    const NAME: &str = "opensearch-3.8.0";

    #[test]
    fn restores_a_copy() {
        full(&engine(NAME), "opensearch-3.8.0-logs");
    }

    #[test]
    fn restores_a_copy_of_selected_snapshots() {
        selected_snapshots(&engine(NAME), "opensearch-3.8.0-logs", &["daily-1"]);
    }

    #[test]
    fn restores_a_copy_of_selected_indices() {
        selected_indices(&engine(NAME), "opensearch-3.8.0-logs", "logs-");
    }
}

/// What each snapshot that was taken holds, by its uuid.
type Taken = Mutex<BTreeMap<String, BTreeMap<String, Content>>>;

/// An engine that goes on writing: documents come and go, indices too, snapshots are taken and deleted.
struct Writer<'a> {
    node: &'a Elastic,
    repository: String,
    taken: &'a Taken,
    moments: Moments,
    /// What the newest state of the indices holds.
    indices: BTreeMap<String, Content>,
    /// Names of the snapshots there are.
    snapshots: Vec<String>,
}

const INDICES: [&str; 3] = ["live-a", "live-b", "live-c"];

/// So few that a name often comes back, with another snapshot behind it.
const NAMES: [&str; 8] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "holiday"];

impl Writer<'_> {
    fn write_until(mut self, end: &AtomicBool) {
        while !end.load(Ordering::Relaxed) {
            self.change();
            match self.moments.below(10) {
                0..6 if self.snapshots.len() < NAMES.len() => self.take(),
                _ if self.snapshots.len() > 2 => self.delete(),
                _ => self.take(),
            }
            thread::sleep(self.moments.within(Duration::from_millis(400)));
        }
    }

    /// Writes to one index, or makes it anew.
    fn change(&mut self) {
        let index = INDICES[self.moments.below(INDICES.len())];
        if self.indices.contains_key(index) && self.moments.below(8) == 0 {
            self.node.get("DELETE", &format!("/{index}"), None);
            self.indices.remove(index);
        }
        if !self.indices.contains_key(index) {
            let settings = json!({"number_of_shards": 2, "number_of_replicas": 0});
            self.node.get("PUT", &format!("/{index}"), Some(&json!({"settings": settings})));
        }
        let version = self.node.version();
        let typed = if version.starts_with("5.") || version.starts_with("6.") { r#","_type":"doc""# } else { "" };
        let mut lines = String::new();
        for _ in 0..=self.moments.below(60) {
            let (id, deed) = (self.moments.below(300), self.moments.below(5));
            let name = if deed == 0 { "delete" } else { "index" };
            writeln!(lines, r#"{{"{name}":{{"_index":"{index}"{typed},"_id":"{id}"}}}}"#).expect("a string grows");
            if deed != 0 {
                writeln!(
                    lines,
                    "{}",
                    json!({"n": self.moments.below(1000), "message": format!("{:x}", self.moments.next())})
                )
                .expect("a string grows");
            }
        }
        self.node.bulk(&lines);
        self.indices.insert(index.to_owned(), content(self.node, index));
    }

    fn take(&mut self) {
        let free: Vec<&str> =
            NAMES.into_iter().filter(|name| !self.snapshots.iter().any(|taken| taken == name)).collect();
        let name = free[self.moments.below(free.len())];
        let path = format!("/_snapshot/{}/{name}?wait_for_completion=true", self.repository);
        let indices: Vec<&str> = self.indices.keys().map(String::as_str).collect();
        let body = json!({"indices": indices.join(","), "include_global_state": false});
        let answer = when_free(self.node, "PUT", &path, Some(&body));
        assert_eq!(answer["snapshot"]["state"], "SUCCESS", "{answer}");
        let uuid = answer["snapshot"]["uuid"].as_str().expect("a snapshot has a uuid").to_owned();
        self.taken.lock().expect("the other thread fails first").insert(uuid, self.indices.clone());
        self.snapshots.push(name.to_owned());
    }

    fn delete(&mut self) {
        let name = self.snapshots.swap_remove(self.moments.below(self.snapshots.len()));
        when_free(self.node, "DELETE", &format!("/_snapshot/{}/{name}", self.repository), None);
    }
}

/// Copies again and again what an engine writes to, and restores from every root that is published.
fn live(node: &Elastic, options: &str) {
    let seconds = std::env::var("SNAPFERRY_LIVE_SECONDS").map_or(120, |seconds| seconds.parse().expect("a number"));
    let (source, target) = (node.repositories().join(format!("live-{}", number())), target(node));
    let repository = format!("live-{}", number());
    let settings = json!({"type": "fs", "settings": {"location": source}});
    node.get("PUT", &format!("/_snapshot/{repository}"), Some(&settings));
    let (taken, end, mut moments) = (Taken::default(), AtomicBool::new(false), Moments::new());
    let line = format!("sync file://{} file://{} {options}", source.display(), target.display());
    let writer = Writer {
        node,
        repository: repository.clone(),
        taken: &taken,
        moments: moments.apart(),
        indices: BTreeMap::new(),
        snapshots: Vec::new(),
    };
    let mut seen = Seen::default();

    thread::scope(|scope| {
        let writer = scope.spawn(|| writer.write_until(&end));
        // Also when what follows panics: the scope waits for the writer.
        let _ends = Ends(&end);
        let started = Instant::now();
        let mut before = None;
        while started.elapsed() < Duration::from_secs(seconds) && !writer.is_finished() {
            thread::sleep(moments.within(Duration::from_millis(200)));
            if newest_root(&source).is_none() {
                continue;
            }
            // A slow run sees more of what changes meanwhile.
            let pace = ["", "--transfers 1", "--bandwidth 300KiB/s", "--bandwidth 60KiB/s"][moments.below(4)];
            let ran = Snapferry::new().run(&format!("{line} {pace}"));
            seen.runs += 1;
            let root = newest_root(&target);
            match ran.code {
                Some(0) => {}
                Some(5) => seen.moved += 1,
                _ => panic!("{ran}"),
            }
            assert!(ran.code == Some(0) || root == before, "a root was published by a run that failed: {ran}");
            if root == before {
                continue;
            }
            before = root;
            seen.roots += 1;
            let copy = Registered::new(node, &target);
            let snapshots = copy.snapshots();
            for _ in 0..2.min(snapshots.len()) {
                assert_as_taken(&copy, &snapshots[moments.below(snapshots.len())], &taken);
                seen.restores += 1;
            }
            copy.remove();
        }
    });
    eprintln!("{seconds} s: {seen:?}, {} snapshots taken", taken.lock().expect("both threads ended well").len());
    assert!(seen.roots > seconds / 30, "only {} roots in {seconds} s: this proved too little", seen.roots);

    Snapferry::new().done(&line);
    let (original, copy) = (Registered::new(node, &source), Registered::new(node, &target));
    assert_eq!(copy.snapshots(), original.snapshots());
    for snapshot in copy.snapshots() {
        assert_as_taken(&copy, &snapshot, &taken);
    }
    copy.remove();
    original.remove();
    node.get("DELETE", &format!("/_snapshot/{repository}"), None);
    node.get("DELETE", &format!("/{}?ignore_unavailable=true", INDICES.join(",")), None);
}

/// What a live test saw.
#[derive(Debug, Default)]
struct Seen {
    runs: u64,
    roots: u64,
    restores: u64,
    /// Runs that ended because the source kept moving.
    moved: u64,
}

/// Tells a thread to end when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The highest N of `index-<N>`.
fn newest_root(folder: &Path) -> Option<u64> {
    let entries = fs::read_dir(folder).ok()?;
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix("index-")?.parse().ok()).max()
}

/// A snapshot restored from the copy holds what its indices held when it was taken.
fn assert_as_taken(copy: &Registered<'_>, snapshot: &Listed, taken: &Taken) {
    assert_eq!(snapshot.state, "SUCCESS", "{snapshot:?}");
    // The root shows a snapshot a moment before the engine answers whoever took it.
    let started = Instant::now();
    let wanted = loop {
        if let Some(wanted) = taken.lock().expect("the writer fails first").get(&snapshot.uuid) {
            break wanted.clone();
        }
        assert!(started.elapsed() < Duration::from_secs(30), "nobody took {snapshot:?}");
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(copy.restore(&snapshot.name, &snapshot.indices), wanted, "{snapshot:?} is not what was taken");
}
