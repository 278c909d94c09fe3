//! What an engine restores of another one's repository, each pair tried: what [`snapferry::repo::ClusterVersion`] allows restores with
//! equal documents shard by shard, what it forbids the real engine refuses too, and `migrate` refuses before it copies.
//!
//! `cargo test --features engine-tests --test matrix` tries a few pairs, `-- --ignored` all of them (`just matrix`). Each source writes
//! one repository and ends; then each target starts once and is given every one of them. `SNAPFERRY_MATRIX_FILE` names a file for the
//! results as JSON; `SNAPFERRY_MATRIX_SOURCES` and `SNAPFERRY_MATRIX_TARGETS` choose engines, separated by blanks.
#![cfg(feature = "engine-tests")]
#![expect(clippy::print_stderr, reason = "the table is what this is for")]

#[path = "support/engines.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod engines;
#[path = "support/restores.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use engines::{Elastic, Snapferry};
use support::{Content, content, when_free};

/// Every engine that can be started here.
const ENGINES: [&str; 12] = [
    "elasticsearch-5.5.3",
    "elasticsearch-5.6.16",
    "elasticsearch-6.2.4",
    "elasticsearch-6.8.23",
    "elasticsearch-7.10.2",
    "elasticsearch-7.17.28",
    "elasticsearch-8.12.2",
    "elasticsearch-9.0.0",
    "opensearch-1.3.20",
    "opensearch-2.19.6",
    "opensearch-3.6.0",
    "opensearch-3.8.0",
];

/// What every source holds.
const INDICES: [&str; 3] = ["catalogue", "logs-1", "orders"];
const SNAPSHOT: &str = "second";

/// A repository that an engine wrote, copied to where the targets see it.
struct Source {
    name: String,
    copy: PathBuf,
    holds: BTreeMap<String, Content>,
}

fn major(node: &Elastic) -> u32 {
    node.version().split('.').next().and_then(|major| major.parse().ok()).expect("a version begins with a number")
}

/// Lines for `_bulk`: 5 knows several types in an index, 6 one, and later versions none.
struct Lines {
    text: String,
    typed: bool,
}

impl Lines {
    fn act(&mut self, action: &str, index: &str, kind: &str, id: u32, source: Option<&Value>) {
        let mut head = json!({"_index": index, "_id": id.to_string()});
        if self.typed {
            head["_type"] = json!(kind);
        }
        writeln!(self.text, "{}", json!({action: head})).expect("a string grows");
        if let Some(source) = source {
            writeln!(self.text, "{source}").expect("a string grows");
        }
    }
}

/// The indices as a first snapshot sees them, and changes to them.
fn write(node: &Elastic) {
    let elastic5 = major(node) == 5;
    let mut lines = Lines { text: String::new(), typed: elastic5 || node.version().starts_with("6.") };
    for (index, shards) in INDICES.into_iter().zip([2, 1, 3]) {
        let alias = format!("{index}-alias");
        let body = json!({
            "settings": {"number_of_shards": shards, "number_of_replicas": 0},
            "aliases": {alias: {}},
        });
        node.get("PUT", &format!("/{index}"), Some(&body));
    }
    for id in 0..120 {
        lines.act(
            "index",
            "orders",
            "doc",
            id,
            Some(&json!({"number": id, "customer": format!("customer {}", id % 7)})),
        );
    }
    for id in 0..40 {
        lines.act(
            "index",
            "logs-1",
            "doc",
            id,
            Some(&json!({"message": format!("line {id}"), "when": 1_600_000_000 + id})),
        );
        // Two documents of one id are two where an index has several types.
        let kind = if elastic5 && id % 2 == 0 { "film" } else { "book" };
        lines.act("index", "catalogue", kind, id, Some(&json!({"title": format!("{kind} {id}")})));
    }
    node.bulk(&lines.text);
}

fn change(node: &Elastic) {
    let mut lines = Lines { text: String::new(), typed: major(node) == 5 || node.version().starts_with("6.") };
    for id in (0..120).step_by(7) {
        lines.act("delete", "orders", "doc", id, None);
        lines.act("index", "orders", "doc", id + 1, Some(&json!({"number": id + 1, "changed": true})));
    }
    lines.act("index", "logs-1", "doc", 1000, Some(&json!({"message": "the last line"})));
    node.bulk(&lines.text);
}

fn snapshot(node: &Elastic, name: &str) {
    let body = json!({"indices": INDICES.join(","), "include_global_state": false});
    let path = format!("/_snapshot/source/{name}?wait_for_completion=true");
    let answer = when_free(node, "PUT", &path, Some(&body));
    assert_eq!(answer["snapshot"]["state"], "SUCCESS", "{answer}");
}

/// Starts an engine, has it write two snapshots, copies its repository with snapferry, and ends it.
fn source(engine: &'static str, copies: &Path) -> Source {
    let node = Elastic::start_engine("source", engine, &[]);
    let folder = node.repositories().join("source");
    let settings = json!({"type": "fs", "settings": {"location": folder}});
    node.get("PUT", "/_snapshot/source", Some(&settings));
    write(&node);
    snapshot(&node, "first");
    change(&node);
    snapshot(&node, SNAPSHOT);
    let holds = INDICES.iter().map(|index| ((*index).to_owned(), content(&node, index))).collect();
    let copy = copies.join(engine);
    Snapferry::new().done(&format!("sync file://{} file://{}", folder.display(), copy.display()));
    Source { name: engine.to_owned(), copy, holds }
}

/// What came of one pair.
struct Tried {
    source: String,
    target: String,
    /// snapferry's, before anything was asked of the engine.
    verdict: String,
    /// What the engine did.
    answer: String,
    /// Whether the two agree.
    agrees: bool,
    /// Whether `migrate` refused the pair, and before a byte was copied; none where it is allowed.
    refused_at_once: Option<bool>,
    seconds: f64,
}

/// snapferry's verdict for each index, and its reason.
fn judged(source: &Source, target: &str) -> BTreeMap<String, (String, String)> {
    let line = format!("inspect file://{} --snapshot {SNAPSHOT} --no-sizes --for {target}", source.copy.display());
    let report = Snapferry::new().json(&line);
    let restorable = &report["snapshots"][0]["restorable"][0];
    let indices = restorable["indices"].as_array().expect("a verdict for each index").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let verdicts: BTreeMap<_, _> = indices
        .map(|index| {
            let reason = if index["reason"].is_null() { text(&restorable["reason"]) } else { text(&index["reason"]) };
            (text(&index["name"]), (text(&index["verdict"]), reason))
        })
        .collect();
    assert_eq!(verdicts.keys().collect::<Vec<_>>(), source.holds.keys().collect::<Vec<_>>(), "{report}");
    verdicts
}

/// A target, and what it is asked with.
struct Target {
    node: Elastic,
    engine: &'static str,
    snapferry: Snapferry,
    /// Whether it has archive indices, and a licence for them.
    archives: bool,
}

impl Target {
    fn start(engine: &'static str, copies: &Path) -> Self {
        let copies = copies.to_str().expect("our folders are text");
        let node = Elastic::start_engine("target", engine, &[("ENGINE_REPOSITORIES", copies)]);
        let (status, _) = node.ask("POST", "/_license/start_trial?acknowledge=true", None);
        let modules = node.ask("GET", "/_nodes/plugins?filter_path=nodes.*.modules.name", None).1.to_string();
        let archives = status == 200 && modules.contains("old-lucene-versions");
        let snapferry = Snapferry::new().cluster("target", &node);
        Self { node, engine, snapferry, archives }
    }

    fn clear(&self) {
        self.node.ask("DELETE", &format!("/{}?ignore_unavailable=true", INDICES.join(",")), None);
        self.node.ask("DELETE", "/_snapshot/pair", None);
    }

    /// One pair.
    fn try_source(&self, source: &Source) -> Tried {
        let started = Instant::now();
        let verdicts = judged(source, self.engine);
        let words: Vec<&str> = verdicts.values().map(|(word, _)| word.as_str()).collect();
        assert!(words.windows(2).all(|pair| pair[0] == pair[1]), "{}: {verdicts:?}", source.name);
        let (verdict, reason) = verdicts["orders"].clone();
        let refused_at_once = (verdict == "no").then(|| self.refused_at_once(source));
        let (answer, agrees) = match verdict.as_str() {
            "yes" | "read-only" => self.restores(source, true),
            // An archive index comes without its aliases.
            "archive" if self.archives => self.restores(source, false),
            // Without the module or a licence it is refused.
            "archive" | "no" => self.refuses(source),
            other => (format!("nobody knows: {other}"), false),
        };
        self.clear();
        let verdict = if reason.is_empty() { verdict } else { format!("{verdict}: {reason}") };
        Tried {
            source: source.name.clone(),
            target: self.engine.to_owned(),
            verdict,
            answer,
            agrees,
            refused_at_once,
            seconds: started.elapsed().as_secs_f64(),
        }
    }

    /// By snapferry alone, to the last document, and with the aliases or without.
    fn restores(&self, source: &Source, aliases: bool) -> (String, bool) {
        let copy = source.copy.display();
        for line in [
            format!("repo register target pair file://{copy}"),
            format!("restore target pair {SNAPSHOT} --indices {}", INDICES.join(",")),
        ] {
            let ran = self.snapferry.run(&line);
            if ran.code != Some(0) {
                return (format!("refused: {}", ran.stderr), false);
            }
        }
        for (index, wanted) in &source.holds {
            // 8.12.2 answers 400 for an archive index, and all shards are there by now anyhow.
            self.node.ask("POST", &format!("/{index}/_refresh"), None);
            let found = content(&self.node, index);
            if found != *wanted {
                return (format!("{index} is another: {found:?}, not {wanted:?}"), false);
            }
            let alias = self.node.ask("GET", &format!("/_alias/{index}-alias"), None).1;
            if alias[index].is_null() == aliases {
                return (format!("the alias of {index}: {alias}"), false);
            }
        }
        ("restored, equal shard by shard".to_owned(), true)
    }

    /// `migrate` says no before it copies.
    fn refused_at_once(&self, source: &Source) -> bool {
        let never = self.node.repositories().join(format!("never-{}", source.name));
        let ran = self.snapferry.run(&format!(
            "migrate file://{} file://{} --to-cluster target --repository never --snapshot {SNAPSHOT} --indices {}",
            source.copy.display(),
            never.display(),
            INDICES.join(",")
        ));
        let at_once = ran.code.is_some_and(|code| code > 1) && !never.exists();
        if !at_once {
            eprintln!("{ran}");
        }
        self.node.ask("DELETE", "/_snapshot/never", None);
        at_once
    }

    /// The engine is made to try.
    fn refuses(&self, source: &Source) -> (String, bool) {
        let settings = json!({"type": "fs", "settings": {"location": source.copy, "readonly": true}});
        let (status, answer) = self.node.ask("PUT", "/_snapshot/pair?verify=false", Some(&settings));
        if status != 200 {
            return (said(&answer), true);
        }
        let body = json!({"indices": INDICES.join(","), "include_global_state": false});
        let path = format!("/_snapshot/pair/{SNAPSHOT}/_restore?wait_for_completion=true");
        let (status, answer) = self.node.ask("POST", &path, Some(&body));
        let shards = &answer["snapshot"]["shards"];
        if status == 200 && shards["failed"] == 0 && shards["total"].as_u64() > Some(0) {
            return (format!("restored all the same: {answer}"), false);
        }
        (if status == 200 { format!("{} shards failed", shards["failed"]) } else { said(&answer) }, true)
    }
}

/// An error in an engine's own words: the deepest one.
fn said(answer: &Value) -> String {
    let mut cause = &answer["error"];
    while cause["caused_by"].is_object() {
        cause = &cause["caused_by"];
    }
    cause["reason"].as_str().unwrap_or("no reason given").to_owned()
}

/// The engines that a variable names, or these.
fn chosen(variable: &str, all: &[&'static str]) -> Vec<&'static str> {
    match std::env::var(variable) {
        Ok(names) => {
            let known = |name: &str| {
                *ENGINES
                    .iter()
                    .find(|engine| **engine == name)
                    .unwrap_or_else(|| panic!("{variable}: no engine `{name}`"))
            };
            names.split_whitespace().map(known).collect()
        }
        Err(_) => all.to_vec(),
    }
}

fn matrix(sources: &[&'static str], targets: &[&'static str]) {
    let copies = tempfile::tempdir().expect("a temporary folder");
    // The engines are another user.
    fs::set_permissions(copies.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let begun = Instant::now();
    let (sources, targets) = (chosen("SNAPFERRY_MATRIX_SOURCES", sources), chosen("SNAPFERRY_MATRIX_TARGETS", targets));
    // Two at a time: memory, and two cores.
    let sources: Vec<Source> = sources
        .chunks(2)
        .flat_map(|pair| {
            thread::scope(|scope| {
                let begun: Vec<_> = pair.iter().map(|engine| scope.spawn(|| source(engine, copies.path()))).collect();
                begun.into_iter().map(|one| one.join().expect("its panic was printed")).collect::<Vec<_>>()
            })
        })
        .collect();
    eprintln!("{} repositories written and copied in {:.0} s", sources.len(), begun.elapsed().as_secs_f64());
    let mut tried = Vec::new();
    for engine in targets {
        let started = Instant::now();
        let target = Target::start(engine, copies.path());
        eprintln!("{engine} started in {:.0} s", started.elapsed().as_secs_f64());
        for source in &sources {
            let one = target.try_source(source);
            let mark = if one.agrees { "agrees" } else { "DIFFERS" };
            eprintln!(
                "{:22} → {:22} {mark:7} {:5.1} s  {}  |  {}",
                one.source, one.target, one.seconds, one.verdict, one.answer
            );
            tried.push(one);
        }
    }
    report(&tried, begun.elapsed());
    let differs = tried.iter().filter(|one| !one.agrees || one.refused_at_once == Some(false)).count();
    assert_eq!(differs, 0, "{differs} of {} pairs differ; they are above", tried.len());
}

fn report(tried: &[Tried], elapsed: Duration) {
    let restored = tried.iter().filter(|one| one.answer.starts_with("restored, equal")).count();
    eprintln!(
        "{} pairs in {:.0} s: {restored} restored, {} refused",
        tried.len(),
        elapsed.as_secs_f64(),
        tried.len() - restored
    );
    let Ok(file) = std::env::var("SNAPFERRY_MATRIX_FILE") else { return };
    let pairs: Vec<Value> = tried
        .iter()
        .map(|one| {
            json!({
                "source": one.source, "target": one.target, "verdict": one.verdict, "answer": one.answer,
                "agrees": one.agrees, "refused_before_copying": one.refused_at_once, "seconds": (one.seconds * 10.0).round() / 10.0,
            })
        })
        .collect();
    let document = json!({"pairs": pairs, "elapsed_seconds": elapsed.as_secs()});
    fs::write(&file, format!("{document:#}\n")).unwrap_or_else(|error| panic!("{file}: {error}"));
}

#[test]
fn a_few_pairs_restore_or_are_refused_as_the_matrix_says() {
    matrix(
        &["elasticsearch-5.6.16", "elasticsearch-7.10.2"],
        &["elasticsearch-6.8.23", "elasticsearch-7.10.2", "opensearch-2.19.6"],
    );
}

/// A cluster that came from 5.x and is 6.8 now holds indices of both; 7.x takes a snapshot of it but for the old ones.
#[test]
fn a_snapshot_of_indices_of_two_versions_restores_without_the_old_ones() {
    let copies = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(copies.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let old = source("elasticsearch-5.6.16", copies.path());
    let middle = Target::start("elasticsearch-6.8.23", copies.path());
    middle.snapferry.done(&format!("repo register target old file://{}", old.copy.display()));
    let renamed = "--rename-pattern (.+) --rename-replacement old-$1 --without-aliases";
    middle.snapferry.done(&format!("restore target old {SNAPSHOT} --indices orders,catalogue {renamed}"));
    write(&middle.node);
    let folder = middle.node.repositories().join("mixed");
    let settings = json!({"type": "fs", "settings": {"location": folder}});
    middle.node.get("PUT", "/_snapshot/mixed", Some(&settings));
    middle.snapferry.done("snapshot create target mixed both --indices *");
    let wanted = content(&middle.node, "orders");
    let copy = copies.path().join("mixed");
    Snapferry::new().done(&format!("sync file://{} file://{}", folder.display(), copy.display()));
    drop(middle);

    let new = Target::start("elasticsearch-7.10.2", copies.path());
    let report =
        Snapferry::new().json(&format!("inspect file://{} --snapshot both --for {}", copy.display(), new.engine));
    let judged = &report["snapshots"][0]["restorable"][0];
    assert_eq!(judged["verdict"], "mixed", "{judged}");
    new.snapferry.done(&format!("repo register target mixed file://{}", copy.display()));

    // One index that is too old stops them all.
    let refused = new.snapferry.refused("restore target mixed both --indices *");
    assert!(refused.stderr.contains("old-"), "the index that stops it is not named: {refused}");
    let restored = new.snapferry.json("restore target mixed both --indices *,-old-*");
    assert_eq!(restored["indices"], json!(INDICES), "{restored}");
    assert_eq!(content(&new.node, "orders"), wanted);
}

#[test]
#[ignore = "twelve engines: about a quarter of an hour"]
fn every_pair_restores_or_is_refused_as_the_matrix_says() {
    matrix(&ENGINES, &ENGINES);
}
