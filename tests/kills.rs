//! Migrations on real engines, killed at every step and at any moment: each goes on to the same end, nothing is restored twice, and neither
//! a block nor a throttle is left behind.
//!
//! A story is a baseline, increments, cutovers and rollbacks of three indices that change all the while. Each of its rounds is killed up to
//! four times: when the journal says that a step begins or has ended, before a request arrives, after it was answered, while it is on its
//! way, or at a moment by chance. Then it is run again, and everything is looked at from outside.
//!
//! `cargo test --features engine-tests --test kills` kills some thirty times, `-- --ignored` (`just kills`) more than two hundred times.
//! `SNAPFERRY_KILLS` is another number, `SNAPFERRY_SEED` the moments of a run that is to be had again.
#![cfg(feature = "engine-tests")]
#![expect(clippy::print_stderr, reason = "the table is what this is for")]

#[path = "support/engines.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod engines;
#[path = "support/seed.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod seed;
#[path = "support/restores.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod support;
#[path = "support/traps.rs"]
mod traps;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use engines::{Elastic, Snapferry};
use seed::Moments;
use support::content;
use traps::{Blow, Gate, Reader, Side, Sight, Trap, Victim, When, lines, told};

/// The indices of a story, with their shards.
const INDICES: [(&str, u32); 3] = [("films", 3), ("people", 2), ("votes", 1)];
const THROTTLE: &str = "indices.recovery.max_bytes_per_sec";

/// What a story is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Baseline,
    Increment,
    Cutover,
    Rollback,
    /// With everything deleted that the migration made.
    Undoing,
}

impl Act {
    fn phase(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Increment => "increment",
            Self::Cutover => "cutover",
            Self::Rollback | Self::Undoing => "rollback",
        }
    }

    fn line(self, job: &str) -> String {
        match self {
            Self::Baseline | Self::Increment => format!("migrate {} {job}", self.phase()),
            Self::Cutover => format!("migrate cutover {job}"),
            Self::Rollback => format!("migrate cutover {job} --rollback"),
            Self::Undoing => format!("migrate cutover {job} --rollback --delete-created"),
        }
    }
}

/// The acts of a story, in order.
const STORY: [Act; 8] = [
    Act::Baseline,
    Act::Increment,
    Act::Increment,
    Act::Cutover,
    Act::Rollback,
    Act::Increment,
    Act::Cutover,
    Act::Undoing,
];

/// What a run of an act shows when nothing disturbs it, and how long it takes.
#[derive(Debug, Clone)]
struct Course {
    sights: Vec<Sight>,
    took: Duration,
}

/// Two clusters, each behind a gate.
struct Stage {
    source: Elastic,
    target: Elastic,
    gates: BTreeMap<Side, Gate>,
    moments: Moments,
    courses: BTreeMap<Act, Course>,
    pools: BTreeMap<Act, Vec<Trap>>,
    figures: Figures,
}

#[derive(Debug, Default)]
struct Figures {
    /// By the last line of the journal: how many kills of each kind.
    kills: BTreeMap<(&'static str, String), [u32; 4]>,
    landed: u32,
    interrupts: u32,
    missed: u32,
    resumes: u32,
    /// Runs that were not killed and yet did not end well, with what they said.
    stumbles: Vec<String>,
    rounds: u32,
}

/// The columns of `Figures::kills`.
const KINDS: [&str; 4] = ["line", "request", "late", "chance"];

impl Figures {
    fn count(&mut self, act: Act, last: &str, trap: &Trap, blow: Blow) {
        let kind = match trap {
            Trap::At(Sight::Line(_), _) => 0,
            Trap::At(Sight::Request(..), When::Late(_)) => 2,
            Trap::At(Sight::Request(..), _) => 1,
            Trap::In(_) => 3,
        };
        self.kills.entry((act.phase(), last.to_owned())).or_default()[kind] += 1;
        self.landed += 1;
        self.interrupts += u32::from(blow == Blow::Interrupt);
    }

    fn table(&self, title: &str) -> String {
        let mut text = format!(
            "{title}: {} kills ({} of them SIGINT) in {} rounds, {} runs to go on, {} moments that came too late\n",
            self.landed, self.interrupts, self.rounds, self.resumes, self.missed
        );
        let _ = writeln!(
            text,
            "{:<40} {:>5} {:>8} {:>5} {:>7}",
            "the journal ended with", KINDS[0], KINDS[1], KINDS[2], KINDS[3]
        );
        for ((phase, last), kinds) in &self.kills {
            let _ = writeln!(
                text,
                "{:<40} {:>5} {:>8} {:>5} {:>7}",
                format!("{phase}: {last}"),
                kinds[0],
                kinds[1],
                kinds[2],
                kinds[3]
            );
        }
        for stumble in &self.stumbles {
            let _ = writeln!(text, "STUMBLED: {stumble}");
        }
        text
    }
}

/// One job, from its baseline to its end.
struct Story {
    number: u32,
    job: String,
    folder: PathBuf,
    journal: PathBuf,
    snapferry: Snapferry,
    documents: u32,
    settings: [Value; 2],
    rounds: BTreeMap<&'static str, u32>,
}

impl Stage {
    fn start(engines: [&'static str; 2]) -> Self {
        let source = Elastic::start_engine("kills-source", engines[0], &[]);
        // The target reads the copy where the program writes it: below the source's folder.
        let repositories = source.repositories();
        let below = repositories.to_str().expect("our folders are text").to_owned();
        let target = Elastic::start_engine("kills-target", engines[1], &[("ENGINE_REPOSITORIES", &below)]);
        let gates = [(Side::Source, Gate::before(source.url())), (Side::Target, Gate::before(target.url()))];
        Self {
            source,
            target,
            gates: gates.into(),
            moments: Moments::new(),
            courses: BTreeMap::new(),
            pools: BTreeMap::new(),
            figures: Figures::default(),
        }
    }

    fn begin(&self, number: u32) -> Story {
        let job = format!("story{number}");
        let folder = self.source.repositories().join(&job);
        let here = folder.join("source");
        self.source.get(
            "PUT",
            &format!("/_snapshot/{job}"),
            Some(&json!({"type": "fs", "settings": {"location": here}})),
        );
        for (index, shards) in INDICES {
            let name = format!("{job}-{index}");
            let settings = json!({"number_of_shards": shards, "number_of_replicas": 0});
            let alias = format!("{name}-alias");
            self.source.get("PUT", &format!("/{name}"), Some(&json!({"settings": settings, "aliases": {alias: {}}})));
        }
        // Every other story has a throttle of the user's own, which must come back.
        let own = if number.is_multiple_of(2) { json!("45mb") } else { Value::Null };
        self.target.get("PUT", "/_cluster/settings", Some(&json!({"persistent": {THROTTLE: own}})));
        let journal = folder.join("journal");
        let section = format!(
            "[job.{job}]\nfrom = \"file://{from}\"\nto = \"file://{to}\"\nfrom_cluster = \"source\"\nto_cluster = \"target\"\n\
             repository = \"{job}\"\nindices = [\"{job}-*\"]\nsnapshot = \"{job}-{{phase}}-{{round}}-{{date}}-{{time}}\"\n\
             throttle = \"200MiB/s\"\nreplicas = 0\njournal = \"{journal}\"\ntype = \"fs\"\n",
            from = here.display(),
            to = folder.join("target").display(),
            journal = journal.display(),
        );
        let snapferry = Snapferry::new()
            .variable("SNAPFERRY_ELASTIC_SOURCE_URL", &self.gates[&Side::Source].url)
            .variable("SNAPFERRY_ELASTIC_TARGET_URL", &self.gates[&Side::Target].url)
            .configured(&section);
        self.gates.values().for_each(Gate::forget);
        let settings = [&self.source, &self.target].map(|node| node.get("GET", "/_cluster/settings", None));
        Story { number, job, folder, journal, snapferry, documents: 0, settings, rounds: BTreeMap::new() }
    }

    /// One act, with kills on the way. Everything is as it should be afterwards.
    fn act(&mut self, story: &mut Story, act: Act, traps: &[(Trap, Blow)]) {
        if !matches!(act, Act::Rollback | Act::Undoing) {
            story.write(&self.source);
        }
        *story.rounds.entry(act.phase()).or_default() += 1;
        self.figures.rounds += 1;
        let mut told_of = Vec::new();
        for (trap, blow) in traps {
            let (landed, ran) = self.run(story, act, Some((trap, *blow)));
            told_of.push(format!("{trap:?} by {blow:?}: {landed}, {ran}"));
            if !landed {
                self.figures.missed += 1;
            }
            if story.is_over(act) {
                break;
            }
        }
        let mut tries = 0;
        while !story.is_over(act) {
            let (_, ran) = self.run(story, act, None);
            let said = ran.to_string();
            told_of.push(said.clone());
            tries += 1;
            if ran.code != Some(0) {
                self.figures.stumbles.push(format!("{} of {} after {told_of:#?}", act.phase(), story.job));
            }
            assert!(tries < 4, "the {} of {} does not come to its end: {told_of:#?}", act.phase(), story.job);
        }
        if !traps.is_empty() {
            self.figures.resumes += tries;
        }
        let wrong = self.faults(story, act);
        assert!(wrong.is_empty(), "{} of {}: {wrong:#?}\n{told_of:#?}\n{}", act.phase(), story.job, story.told());
    }

    /// One run of the program, killed at a moment or not. Returns whether the blow fell while it ran.
    fn run(&mut self, story: &Story, act: Act, trap: Option<(&Trap, Blow)>) -> (bool, engines::Ran) {
        let mut line = act.line(&story.job);
        if act == Act::Cutover && story.is_open(act) {
            line.push_str(" --resume");
        }
        let mut reader = Reader::from_now(&story.journal);
        let mut command = story.snapferry.command(&line);
        let outputs = [story.folder.join("stdout"), story.folder.join("stderr")];
        let [stdout, stderr] = outputs.each_ref().map(|path| fs::File::create(path).expect("a file in our folder"));
        let child = command.stdout(stdout).stderr(stderr).stdin(Stdio::null()).spawn().expect("snapferry can be run");
        let blow = trap.map_or(Blow::Kill, |(_, blow)| blow);
        let victim = Victim::new(child, blow);
        if let Some((Trap::At(Sight::Request(side, label), when), _)) = trap {
            self.gates[side].arm(label, *when, &victim);
        }
        let started = Instant::now();
        let status = loop {
            if let Some(status) = victim.ended() {
                break status;
            }
            match trap {
                Some((Trap::At(Sight::Line(wanted), _), _))
                    if reader.news().iter().any(|line| told(line) == *wanted) =>
                {
                    victim.strike();
                }
                Some((Trap::In(after), _)) if started.elapsed() >= *after => victim.strike(),
                _ => {}
            }
            assert!(started.elapsed() < Duration::from_mins(2), "`{line}` does not end: {}", story.told());
            thread::sleep(Duration::from_millis(1));
        };
        self.gates.values().for_each(Gate::disarm);
        let landed = victim.was_struck() && (status.signal() == Some(9) || status.code() == Some(130));
        if let (true, Some((trap, blow))) = (landed, trap) {
            let last = lines(&story.journal).last().map_or_else(|| "nothing".to_owned(), told);
            self.figures.count(act, &last, trap, blow);
        }
        let [stdout, stderr] = outputs.map(|path| fs::read_to_string(path).expect("it is text"));
        (landed, engines::Ran { line, code: status.code(), stdout, stderr })
    }

    /// Everything that is not as it should be.
    fn faults(&self, story: &Story, act: Act) -> Vec<String> {
        let mut wrong = Vec::new();
        let undone = act == Act::Undoing;
        // The target's cluster state settles once the last request has passed.
        let requests = [Side::Source, Side::Target].map(|side| self.gates[&side].seen());
        if !undone {
            story.names().iter().for_each(|name| self.same(name, &mut wrong));
        }
        story.once(&requests, &mut wrong);
        for (node, side, blocked) in [(&self.source, "source", act == Act::Cutover), (&self.target, "target", false)] {
            let settings = node.get("GET", "/_cluster/settings", None);
            let before = &story.settings[usize::from(side == "target")];
            if settings != *before {
                wrong.push(format!("the settings of the {side} are {settings} and were {before}"));
            }
            story.indices(node, side, blocked, if undone && side == "target" { &[] } else { &INDICES }, &mut wrong);
        }
        let repositories = self.target.get("GET", "/_snapshot", None);
        let mine = &repositories[&story.job];
        let is_right = if undone { mine.is_null() } else { mine["settings"]["readonly"] == "true" };
        if !is_right || repositories.as_object().is_none_or(|all| all.len() > 1) {
            wrong.push(format!("the target's repositories: {repositories}"));
        }
        story.listed(&self.source, &mut wrong);
        let status = story.snapferry.run(&format!("migrate status {} --json", story.job));
        let document: Value = serde_json::from_str(&status.stdout).unwrap_or_default();
        if status.code != Some(0) || !document["next"].is_null() || document["report"]["job"] != story.job.as_str() {
            wrong.push(format!("its status: {status}"));
        }
        wrong
    }

    fn same(&self, name: &str, wrong: &mut Vec<String>) {
        let [from, to] = [&self.source, &self.target].map(|node| {
            let (status, answer) = node.ask("POST", &format!("/{name}/_refresh"), None);
            if status == 200 { Ok(content(node, name)) } else { Err(format!("{status}: {answer}")) }
        });
        if from.is_err() || from != to {
            wrong.push(format!("{name} is {from:?} at the source and {to:?} at the target"));
        }
    }

    /// The next moments for an act, in the order in which they come. Baselines and increments go the same way, and share theirs.
    fn traps(&mut self, act: Act, most: usize) -> Vec<(Trap, Blow)> {
        let course = self.courses[&act].clone();
        let like = if act == Act::Baseline { Act::Increment } else { act };
        let all = course.sights.len();
        let mut placed: Vec<(usize, Option<Trap>)> = Vec::new();
        for _ in 0..=self.moments.below(if act == Act::Cutover { most + 2 } else { most }) {
            // A fifth of them come by chance.
            if self.moments.below(5) == 0 {
                placed.push((self.moments.below(all), None));
                continue;
            }
            let pool = self.pools.entry(like).or_default();
            if pool.is_empty() {
                *pool = every(&self.courses[&like], &mut self.moments);
            }
            let place = |trap: &Trap| match trap {
                Trap::At(sight, _) => course.sights.iter().position(|other| other == sight),
                Trap::In(_) => None,
            };
            // What only an increment does, a baseline leaves to it.
            let Some(at) = pool.iter().rposition(|trap| place(trap).is_some()) else { continue };
            let trap = pool.remove(at);
            placed.push((place(&trap).expect("it was chosen so"), Some(trap)));
        }
        placed.sort_by_key(|(place, _)| *place);
        let mut so_far = 0;
        let traps = placed.into_iter().map(|(place, trap)| {
            // A run that goes on is shorter by what is done.
            let whole = course.took.mul_f64((place - so_far + 1) as f64 / all as f64);
            so_far = place;
            let blow = if self.moments.below(6) == 0 { Blow::Interrupt } else { Blow::Kill };
            (trap.unwrap_or_else(|| Trap::In(self.moments.within(whole))), blow)
        });
        traps.collect()
    }

    /// An act that nothing disturbs, to learn what can be seen of it.
    fn learn(&mut self, story: &mut Story, act: Act) {
        let (started, so_far) = (Instant::now(), lines(&story.journal).len());
        self.act(story, act, &[]);
        let took = started.elapsed();
        let mut sights: Vec<(u128, Sight)> = Vec::new();
        let fresh = lines(&story.journal).split_off(so_far);
        let since = |at: &Value| {
            at.as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_nanosecond)
        };
        let now = (jiff::Timestamp::now(), Instant::now());
        for line in &fresh {
            let at = since(&line.as_object().and_then(|line| line.values().next()).unwrap_or(&Value::Null)["at"]);
            sights.push((at.unsigned_abs(), Sight::Line(told(line))));
        }
        for (side, gate) in &self.gates {
            for seen in gate.seen().into_iter().filter(|seen| seen.is_change() && seen.at >= started) {
                let at = now.0.as_nanosecond().unsigned_abs() - now.1.duration_since(seen.at).as_nanos();
                sights.push((at, Sight::Request(*side, seen.label)));
            }
        }
        sights.sort();
        let mut known = BTreeSet::new();
        let sights = sights.into_iter().map(|(_, sight)| sight).filter(|sight| known.insert(sight.clone())).collect();
        if self.courses.contains_key(&act) {
            return;
        }
        eprintln!("{act:?} takes {:.1} s and shows {sights:?}", took.as_secs_f64());
        self.courses.insert(act, Course { sights, took });
    }

    fn end(&self, story: &Story) {
        for node in [&self.source, &self.target] {
            for name in story.names() {
                node.ask("DELETE", &format!("/{name}"), None);
            }
            node.ask("DELETE", &format!("/_snapshot/{}", story.job), None);
        }
        let _ = fs::remove_dir_all(&story.folder);
    }
}

/// Every moment that can be named, in an order by chance.
fn every(course: &Course, moments: &mut Moments) -> Vec<Trap> {
    let mut all: Vec<Trap> = Vec::new();
    for sight in &course.sights {
        all.push(Trap::At(sight.clone(), When::Before));
        if matches!(sight, Sight::Request(..)) {
            all.push(Trap::At(sight.clone(), When::After));
            all.push(Trap::At(sight.clone(), When::Late(moments.within(Duration::from_millis(400)))));
        }
    }
    for at in (1..all.len()).rev() {
        all.swap(at, moments.below(at + 1));
    }
    all
}

impl Story {
    fn names(&self) -> Vec<String> {
        INDICES.iter().map(|(index, _)| format!("{}-{index}", self.job)).collect()
    }

    /// The source goes on: documents come, change and go.
    fn write(&mut self, node: &Elastic) {
        let typed = node.version().starts_with("5.") || node.version().starts_with("6.");
        let mut text = String::new();
        let mut act = |action: &str, index: &str, id: u32, source: Option<Value>| {
            let mut head = json!({"_index": format!("{}-{index}", self.job), "_id": id.to_string()});
            if typed {
                head["_type"] = json!("doc");
            }
            writeln!(text, "{}", json!({action: head})).expect("a string grows");
            if let Some(source) = source {
                writeln!(text, "{source}").expect("a string grows");
            }
        };
        for id in self.documents..self.documents + 60 {
            for (index, _) in INDICES {
                let filler = "x".repeat(usize::try_from(id % 97).expect("small") * 4);
                act("index", index, id, Some(json!({"number": id, "text": filler})));
            }
        }
        if self.documents > 0 {
            act("delete", "films", self.documents - 1, None);
            act("index", "people", self.documents - 2, Some(json!({"number": 0, "changed": self.documents})));
        }
        self.documents += 60;
        node.bulk(&text);
    }

    /// The rounds of a phase that the journal knows, and how those ended that have.
    fn ends(&self, phase: &str) -> (u32, Vec<String>) {
        let mut numbers = BTreeSet::new();
        let mut ends = Vec::new();
        for line in lines(&self.journal) {
            if line["round"]["phase"] == phase {
                numbers.insert(line["round"]["round"].as_u64());
            }
            if numbers.contains(&line["over"]["round"].as_u64()) && !line["over"].is_null() {
                ends.push(line["over"]["end"].as_str().unwrap_or_default().to_owned());
            }
        }
        (u32::try_from(numbers.len()).expect("few"), ends)
    }

    /// Whether this act has come to its end.
    fn is_over(&self, act: Act) -> bool {
        let (_, ends) = self.ends(act.phase());
        u32::try_from(ends.len()).expect("few") >= self.rounds[act.phase()]
    }

    fn is_open(&self, act: Act) -> bool {
        let (begun, ends) = self.ends(act.phase());
        begun as usize > ends.len()
    }

    /// Nothing was done twice: every snapshot was taken and restored once, and every round has one.
    fn once(&self, [source, target]: &[Vec<traps::Seen>; 2], wrong: &mut Vec<String>) {
        let mut restored: BTreeMap<(String, String), u32> = BTreeMap::new();
        for seen in target.iter().filter(|seen| seen.label.ends_with("_restore") && seen.was_taken()) {
            let body: Value = serde_json::from_str(&seen.body).unwrap_or_default();
            let names = body["indices"].as_str().map(|names| names.split(',').map(str::to_owned).collect());
            let names: Vec<String> = names.unwrap_or_else(|| {
                let names = body["indices"].as_array().into_iter().flatten();
                names.map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
            });
            let snapshot = seen.path.split('/').nth(3).unwrap_or_default().to_owned();
            for name in names {
                *restored.entry((snapshot.clone(), name)).or_default() += 1;
            }
        }
        let mut taken: BTreeMap<String, u32> = BTreeMap::new();
        for seen in source.iter().filter(|seen| seen.label == "PUT _snapshot/*/*" && seen.was_taken()) {
            let snapshot = seen.path.split(['/', '?']).nth(3).unwrap_or_default().to_owned();
            *taken.entry(snapshot).or_default() += 1;
        }
        let rounds = usize::try_from(self.with_snapshot()).expect("few");
        if taken.len() != rounds || taken.values().any(|count| *count != 1) {
            wrong.push(format!("snapshots taken in {rounds} rounds: {taken:?}"));
        }
        if restored.len() != rounds * INDICES.len() || restored.values().any(|count| *count != 1) {
            wrong.push(format!("restored in {rounds} rounds: {restored:?}"));
        }
    }

    fn with_snapshot(&self) -> u32 {
        self.rounds.iter().filter(|(phase, _)| **phase != "rollback").map(|(_, count)| count).sum()
    }

    /// The source's repository has one snapshot for each round, and each is one that the journal knows.
    fn listed(&self, node: &Elastic, wrong: &mut Vec<String>) {
        let known: BTreeSet<String> = lines(&self.journal)
            .iter()
            .filter_map(|line| Some(line["ended"]["result"]["snapshot"]["snapshot"]["name"].as_str()?.to_owned()))
            .collect();
        let answer = node.get("GET", &format!("/_snapshot/{}/_all", self.job), None);
        let all = answer["snapshots"].as_array().cloned().unwrap_or_default();
        let found: BTreeSet<String> =
            all.iter().map(|one| one["snapshot"].as_str().unwrap_or_default().to_owned()).collect();
        let is_whole = all.iter().all(|one| one["state"] == "SUCCESS");
        if found != known || found.len() != self.with_snapshot() as usize || !is_whole {
            wrong.push(format!("the source has the snapshots {found:?}, and the journal knows {known:?}"));
        }
    }

    /// A cluster has these indices and no others; all are open, and blocked or not.
    fn indices(&self, node: &Elastic, side: &str, blocked: bool, wanted: &[(&str, u32)], wrong: &mut Vec<String>) {
        let state = node.get("GET", "/_cluster/state/metadata?filter_path=metadata.indices.*.state", None);
        let states = state["metadata"]["indices"].as_object().cloned().unwrap_or_default();
        let found: BTreeMap<&str, &str> = states
            .iter()
            .filter(|(name, _)| !name.starts_with('.'))
            .map(|(name, index)| (name.as_str(), index["state"].as_str().unwrap_or_default()))
            .collect();
        let names: Vec<String> = wanted.iter().map(|(index, _)| format!("{}-{index}", self.job)).collect();
        if found != names.iter().map(|name| (name.as_str(), "open")).collect() {
            wrong.push(format!("the {side} has the indices {found:?}"));
        }
        for name in &names {
            let settings = node.get("GET", &format!("/{name}/_settings?flat_settings=true"), None);
            let settings = settings[name.as_str()]["settings"].as_object().cloned().unwrap_or_default();
            let blocks: Vec<_> =
                settings.iter().filter(|(key, value)| key.contains(".blocks.") && *value != "false").collect();
            let expected = if blocked { vec!["index.blocks.write"] } else { vec![] };
            if blocks.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>() != expected {
                wrong.push(format!("{name} at the {side} has the blocks {blocks:?}"));
            }
            if settings.get("index.number_of_replicas").is_none_or(|replicas| *replicas != "0") {
                wrong.push(format!("{name} at the {side} has other replicas: {settings:?}"));
            }
            let alias = node.ask("GET", &format!("/_alias/{name}-alias"), None).1;
            if alias[name.as_str()].is_null() {
                wrong.push(format!("{name} at the {side} has lost its alias"));
            }
        }
    }

    /// The journal, for people.
    fn told(&self) -> String {
        let cut = |line: &Value| line.to_string().chars().take(300).collect::<String>();
        let all: Vec<String> = lines(&self.journal).iter().map(cut).collect();
        format!("its journal:\n{}", all.join("\n"))
    }
}

/// As many kills as `SNAPFERRY_KILLS` says.
fn kill(engines: [&'static str; 2], kills: u32, most: usize) {
    let kills =
        std::env::var("SNAPFERRY_KILLS").map_or(kills, |text| text.parse().expect("SNAPFERRY_KILLS is a number"));
    let started = Instant::now();
    let mut stage = Stage::start(engines);
    let mut story = stage.begin(0);
    for act in STORY {
        stage.learn(&mut story, act);
    }
    stage.end(&story);
    for number in 1.. {
        if stage.figures.landed >= kills {
            break;
        }
        let mut story = stage.begin(number);
        for act in STORY {
            let traps = stage.traps(act, most);
            stage.act(&mut story, act, &traps);
        }
        stage.end(&story);
        eprintln!(
            "story {} ended after {} kills, {:.0} s",
            story.number,
            stage.figures.landed,
            started.elapsed().as_secs_f64()
        );
    }
    let title = format!("{} to {}, {:.0} s", engines[0], engines[1], started.elapsed().as_secs_f64());
    eprintln!("{}", stage.figures.table(&title));
    assert!(stage.figures.stumbles.is_empty(), "runs that nobody killed ended badly; they are above");
    assert!(stage.figures.missed <= stage.figures.landed, "most moments came too late: this proved too little");
}

#[test]
fn a_migration_killed_thirty_times_comes_to_the_same_end() {
    kill(["elasticsearch-6.8.23", "elasticsearch-7.10.2"], 30, 6);
}

#[test]
#[ignore = "a quarter of an hour: `just kills`"]
fn a_migration_killed_two_hundred_times_comes_to_the_same_end() {
    kill(["elasticsearch-7.10.2", "elasticsearch-7.10.2"], 200, 4);
}

#[test]
#[ignore = "minutes: `just kills`"]
fn a_migration_between_young_clusters_killed_comes_to_the_same_end() {
    kill(["elasticsearch-8.12.2", "elasticsearch-8.12.2"], 40, 5);
}

#[test]
#[ignore = "minutes: `just kills`"]
fn a_migration_between_old_clusters_killed_comes_to_the_same_end() {
    kill(["elasticsearch-5.6.16", "elasticsearch-5.6.16"], 40, 5);
}
