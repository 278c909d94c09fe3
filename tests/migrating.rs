//! Migrations in rounds, against two small clusters that behave: stopped anywhere they come to the same end, and what must not happen does
//! not.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use snapferry::elastic::Client;
use snapferry::elastic::conflict::Conflict;
use snapferry::elastic::repository::{Kind, Policy, Registration};
use snapferry::error::{Error, ErrorKind};
use snapferry::event::Silent;
use snapferry::ops::compare::Level;
use snapferry::ops::migrate::{
    Call, Clusters, Copy, Document, Hooks, Job, Options, Phase, Progress, RoundEnd, Sides, State, Step, advance,
    advise, html, look, preview,
};
use snapferry::ops::restore::Consent;
use snapferry::ops::{End, restore};
use snapferry::store::MemoryStore;
use support::copy::{end, quick};
use support::fake::{Cluster, Stop, World};
use support::fixture::scratch;
use support::forge::{Action, Family, Forge, Kind as ForgedKind, Outcome};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Two clusters, their stores, and a job between them.
struct Story {
    source: Cluster,
    target: Cluster,
    stores: [MemoryStore; 2],
    from: End,
    to: End,
    job: Job,
    scratch: TempDir,
}

impl Story {
    /// A source with three documents in `movies`, and an empty target.
    async fn begin() -> Self {
        let stores = [MemoryStore::default(), MemoryStore::default()];
        let contents = support::fake::Contents::default();
        let source = Cluster::start("source", stores[0].clone(), contents.clone(), true).await;
        let target = Cluster::start("target", stores[1].clone(), contents, false).await;
        source.with(|world| {
            world.write("movies", 3);
            world
                .repositories
                .insert("films".into(), serde_json::json!({ "type": "fs", "settings": { "location": "/a" } }));
        });
        let scratch = scratch();
        let job = job(scratch.path().join("state/movies.journal"));
        let (from, to) = (end("source", Arc::new(stores[0].clone())), end("target", Arc::new(stores[1].clone())));
        Self { source, target, stores, from, to, job, scratch }
    }

    async fn clients(&self) -> (Client, Client) {
        (self.source.client().await, self.target.client().await)
    }

    /// Goes as far as it goes.
    async fn go(&self, phase: Phase) -> Result<Progress, Error> {
        let (source, target) = self.clients().await;
        let sides = Sides { from: &self.from, to: &self.to, source: &source, target: &target };
        advance(&self.job, &sides, phase, false, Arc::new(Silent), CancellationToken::new()).await
    }

    /// Goes to the end of a round.
    async fn done(&self, phase: Phase) -> State {
        let progress = self.go(phase).await.unwrap_or_else(|error| panic!("{phase}: {error}"));
        if let Some(error) = progress.error {
            let seen = self.target.with(|world| world.seen.join("\n"));
            let journal = std::fs::read_to_string(&self.job.journal).unwrap_or_default();
            panic!("{phase}: {error}\n{journal}\n{seen}");
        }
        progress.state
    }

    /// Is stopped at this request to one of the clusters. Returns whether it came so far.
    async fn stopped(&self, phase: Phase, at_target: bool, stop: Stop) -> bool {
        let cluster = if at_target { &self.target } else { &self.source };
        let clients = self.clients().await;
        let sides = Sides { from: &self.from, to: &self.to, source: &clients.0, target: &clients.1 };
        let so_far = cluster.with(|world| world.seen.len());
        let stop = match stop {
            Stop::Before(at) => Stop::Before(so_far + at),
            Stop::After(at) => Stop::After(so_far + at),
            Stop::Late(at, later) => Stop::Late(so_far + at, later),
        };
        cluster.with(|world| world.stop = Some(stop));
        let work = advance(&self.job, &sides, phase, false, Arc::new(Silent), CancellationToken::new());
        let came_so_far = tokio::select! {
            () = cluster.stopped.notified() => true,
            ended = work => {
                let ended = ended.unwrap_or_else(|error| panic!("{phase}: {error}"));
                assert!(ended.error.is_none(), "{phase}: {}", ended.error.expect("it is there"));
                false
            }
        };
        cluster.with(|world| world.stop = None);
        came_so_far
    }

    fn documents(&self) -> [u64; 2] {
        [&self.source, &self.target].map(|cluster| cluster.with(|world| world.indices["movies"].documents))
    }

    fn write(&self, documents: u64) {
        self.source.with(|world| world.write("movies", documents));
    }

    /// The same snapshot is never restored twice.
    fn nothing_is_restored_twice(&self) {
        let mut restores = self.target.with(|world| world.restores.clone());
        let all = restores.len();
        restores.sort();
        restores.dedup();
        assert_eq!(restores.len(), all, "{restores:?}");
    }

    fn blocked(&self) -> [bool; 2] {
        [&self.source, &self.target]
            .map(|cluster| cluster.with(|world| world.indices.values().any(|index| index.blocked)))
    }
}

fn job(journal: PathBuf) -> Job {
    Job {
        name: "movies".into(),
        repository: "films".into(),
        registration: Registration {
            name: "films".into(),
            kind: Kind::Fs { location: "/b".into() },
            settings: [].into(),
        },
        policy: Policy::default(),
        sync: quick(),
        copy: Copy::All,
        snapshot: "s-{phase}-{round}".into(),
        restore: restore::Options {
            indices: vec!["movies".into()],
            patience: impatient(),
            ..restore::Options::default()
        },
        level: Level::Shards,
        leave_out_incompatible: false,
        without_baseline: false,
        delete_created: false,
        outage: None,
        hooks: Hooks::default(),
        journal,
    }
}

fn impatient() -> snapferry::elastic::follow::Patience {
    let moment = std::time::Duration::from_millis(1);
    snapferry::elastic::follow::Patience { poll: moment, longest_poll: moment, stall: moment * 500 }
}

fn ends(state: &State) -> Vec<(Phase, Option<RoundEnd>)> {
    state.rounds.iter().map(|round| (round.phase, round.end)).collect()
}

#[tokio::test]
async fn a_baseline_increments_and_a_cutover_bring_everything() {
    let story = Story::begin().await;
    let state = story.done(Phase::Baseline).await;
    assert_eq!(story.documents(), [3, 3]);
    let snapshot = state.last().and_then(|round| round.snapshot()).expect("it was taken");
    assert_eq!(
        (snapshot.name.as_str(), snapshot.start_time_in_millis, snapshot.end_time_in_millis),
        ("s-baseline-1", Some(1000), Some(2000))
    );

    let requests = story.target.with(|world| world.restores.len());
    let state = story.done(Phase::Increment).await;
    assert_eq!(state.last().and_then(|round| round.end), Some(RoundEnd::Unchanged), "{:?}", ends(&state));
    assert_eq!(story.target.with(|world| world.restores.len()), requests, "nothing has changed");

    story.write(2);
    story.done(Phase::Increment).await;
    assert_eq!((story.documents(), story.blocked()), ([5, 5], [false, false]));

    story.write(1);
    let state = story.done(Phase::Cutover).await;
    assert_eq!(story.documents(), [6, 6]);
    assert_eq!(story.blocked(), [true, false], "the block stays at the source and does not come along");
    assert!(state.undo.is_clean());
    story.nothing_is_restored_twice();
}

#[tokio::test]
async fn stopped_at_any_request_a_baseline_comes_to_the_same_end() {
    Box::pin(stopped_everywhere(Phase::Baseline)).await;
}

#[tokio::test]
async fn stopped_at_any_request_an_increment_comes_to_the_same_end() {
    Box::pin(stopped_everywhere(Phase::Increment)).await;
}

#[tokio::test]
async fn stopped_at_any_request_a_cutover_comes_to_the_same_end() {
    Box::pin(stopped_everywhere(Phase::Cutover)).await;
}

#[tokio::test]
async fn stopped_at_any_request_a_rollback_comes_to_the_same_end() {
    Box::pin(stopped_everywhere(Phase::Rollback)).await;
}

/// Stops a phase at each request, before and after it was done, and each time goes on to the end.
async fn stopped_everywhere(phase: Phase) {
    for at_target in [false, true] {
        let mut at = 0;
        while Box::pin(stopped_once(phase, at_target, Stop::Before(at))).await {
            Box::pin(stopped_once(phase, at_target, Stop::After(at))).await;
            at += 1;
        }
        let least = if phase == Phase::Rollback { 2 } else { 10 };
        assert!(at >= least, "{phase}: only {at} requests");
    }
}

async fn stopped_once(phase: Phase, at_target: bool, stop: Stop) -> bool {
    let story = Story::begin().await;
    let before: &[Phase] = match phase {
        Phase::Baseline => &[],
        Phase::Rollback => &[Phase::Baseline, Phase::Cutover],
        _ => &[Phase::Baseline],
    };
    for phase in before {
        story.done(*phase).await;
    }
    if matches!(phase, Phase::Increment | Phase::Cutover) {
        story.write(2);
    }
    let came_so_far = story.stopped(phase, at_target, stop).await;
    if !came_so_far {
        return false;
    }
    torn(&story.job.journal);
    let state = story.done(phase).await;
    let told = format!("{phase} at {stop:?} of the {}", if at_target { "target" } else { "source" });
    let [source, target] = story.documents();
    assert_eq!(source, target, "{told}");
    assert_eq!(story.blocked(), [phase == Phase::Cutover, false], "{told}");
    assert!(state.undo.is_clean(), "{told}: {:?}", state.undo);
    let last = state.last().expect("there is a round");
    assert_eq!((last.phase, last.end), (phase, Some(RoundEnd::Done)), "{told}");
    assert!(state.open().is_none(), "{told}");
    story.nothing_is_restored_twice();
    true
}

/// The process is gone, and its request for the restore still waits for the master.
#[tokio::test]
async fn a_restore_that_arrives_after_its_process_is_gone_is_taken_up() {
    for phase in [Phase::Baseline, Phase::Increment, Phase::Cutover] {
        let plain = Box::pin(before(phase)).await;
        let so_far = requests(&plain);
        drop(plain.clients().await);
        let to_connect = requests(&plain) - so_far;
        plain.done(phase).await;
        let at = plain
            .target
            .with(|world| world.seen.iter().skip(so_far + 2 * to_connect).position(|seen| seen.ends_with("/_restore")));
        for later in 1..24 {
            let story = Box::pin(before(phase)).await;
            assert!(story.stopped(phase, true, Stop::Late(at.expect("it restores"), later)).await, "{phase}");
            let last = story.target.with(|world| world.seen.last().cloned()).expect("it was stopped");
            assert!(last.ends_with("/_restore"), "{last}");
            let state = story.done(phase).await;
            let [source, target] = story.documents();
            assert_eq!((source, state.undo.is_clean()), (target, true), "{phase}, {later} requests later");
            story.nothing_is_restored_twice();
        }
    }
}

/// A story up to this phase.
async fn before(phase: Phase) -> Story {
    let story = Story::begin().await;
    if phase != Phase::Baseline {
        story.done(Phase::Baseline).await;
        story.write(2);
    }
    story
}

fn requests(story: &Story) -> usize {
    story.target.with(|world| world.seen.len())
}

/// The process died while it wrote a line.
fn torn(journal: &Path) {
    use std::io::Write as _;
    let Ok(mut file) = std::fs::File::options().append(true).open(journal) else { return };
    file.write_all(b"0123abcd {\"ended\":{\"round\"").expect("it can be written");
}

#[tokio::test]
async fn a_location_that_is_not_the_sources_repository_is_found_out() {
    let mut story = Story::begin().await;
    story.from = end("elsewhere", Arc::new(MemoryStore::default()));
    let error = story.go(Phase::Baseline).await.unwrap().error.expect("it cannot end well");
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert!(error.to_string().contains("there is no repository"), "{error}");
    assert!(story.stores[1].contents().is_empty(), "nothing was copied");
}

#[tokio::test]
async fn what_the_target_would_refuse_is_told_before_a_byte_is_copied() {
    let mut story = Story::begin().await;
    story.source.with(|world| {
        world.write("old", 1);
        world.indices.get_mut("old").expect("it was made").created = "2040699";
    });
    story.job.restore.indices = Vec::new();
    let error = story.go(Phase::Baseline).await.unwrap().error.expect("`old` is refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("`old`"), "{error}");
    assert!(error.advice().unwrap_or_default().contains("*,-old"), "{:?}", error.advice());
    assert!(
        story.stores[1].contents().is_empty()
            && story.source.with(|world| !world.seen.iter().any(|call| call.starts_with("PUT")))
    );
    story.job.leave_out_incompatible = true;
    let state = story.done(Phase::Baseline).await;
    assert_eq!(
        state.last().and_then(|round| round.preflight()).map(|found| found.indices.clone()),
        Some(vec!["movies".to_owned()])
    );
}

#[tokio::test]
async fn an_index_of_somebody_else_is_never_restored_over() {
    let story = Story::begin().await;
    story.target.with(|world| world.write("movies", 100));
    let error = story.go(Phase::Baseline).await.unwrap().error.expect("it is in the way");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    // One that was ours, deleted and made anew by somebody else, is somebody else's.
    let story = Story::begin().await;
    story.done(Phase::Baseline).await;
    story.target.with(|world| {
        world.indices.clear();
        world.write("movies", 100);
    });
    story.write(1);
    let error = story.go(Phase::Increment).await.unwrap().error.expect("it is in the way");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert_eq!(story.documents()[1], 100);
}

#[tokio::test]
async fn phases_come_in_their_order_and_an_open_cutover_is_ended_knowingly() {
    let mut story = Story::begin().await;
    for phase in [Phase::Increment, Phase::Cutover, Phase::Rollback] {
        assert_eq!(story.go(phase).await.unwrap_err().kind(), ErrorKind::Precondition, "{phase}");
    }
    assert!(look(&story.job.journal).unwrap().unwrap().rounds.is_empty(), "nothing was begun");
    story.done(Phase::Baseline).await;
    let good = std::mem::replace(&mut story.job.hooks, failing("before_restore"));
    let error = story.go(Phase::Cutover).await.unwrap().error.expect("the hook fails");
    assert!(error.advice().unwrap_or_default().contains("`migrate cutover movies --resume`"), "{:?}", error.advice());
    assert_eq!(story.blocked(), [true, false]);
    let error = story.go(Phase::Increment).await.unwrap_err();
    assert!(error.to_string().contains("its cutover is not finished"), "{error}");
    story.job.hooks = good;
    story.done(Phase::Cutover).await;
    assert!(story.go(Phase::Increment).await.is_err(), "the target may have been written to");
    story.done(Phase::Rollback).await;
    assert_eq!(story.blocked(), [false, false]);
    story.write(1);
    story.done(Phase::Increment).await;
    assert_eq!(story.documents(), [4, 4]);
}

fn failing(name: &str) -> Hooks {
    let mut hooks = Hooks::default();
    assert!(hooks.add(name, Call::Shell("echo no luck >&2; exit 3".into())));
    hooks
}

#[tokio::test]
async fn a_rollback_lifts_only_our_blocks_and_deletes_only_what_is_proven() {
    let mut story = Story::begin().await;
    story.source.with(|world| {
        world.write("theirs", 1);
        world.indices.get_mut("theirs").expect("it was made").blocked = true;
    });
    story.job.restore.indices = Vec::new();
    story.done(Phase::Baseline).await;
    story.done(Phase::Cutover).await;
    story.target.with(|world| {
        world.indices.remove("theirs");
        world.write("theirs", 9);
    });
    story.job.delete_created = true;
    let (source, target) = story.clients().await;
    let sides = Sides { from: &story.from, to: &story.to, source: &source, target: &target };
    let foretold = preview(&story.job, &sides, Phase::Rollback).await.unwrap().rollback.join("\n");
    assert!(foretold.contains("`movies` at the target is deleted"), "{foretold}");
    story.done(Phase::Rollback).await;
    let blocked = |name: &str| story.source.with(|world| world.indices[name].blocked);
    assert!(!blocked("movies") && blocked("theirs"), "a block that was there before stays");
    let left: Vec<String> = story.target.with(|world| world.indices.keys().cloned().collect());
    assert_eq!(left, ["theirs"], "what was made anew is not ours");
    assert!(story.target.with(|world| world.repositories.is_empty()), "the name was free before the migration");
}

#[tokio::test]
async fn the_same_cluster_an_automated_repository_and_a_read_only_one_are_refused_at_once() {
    let mut story = Story::begin().await;
    story.job.repository = "cs-automated".into();
    let error = story.go(Phase::Baseline).await.unwrap().error.expect("Amazon keeps it");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    story.job.repository = "films".into();
    story.source.with(|world| {
        world
            .repositories
            .insert("films".into(), serde_json::json!({ "type": "fs", "settings": { "readonly": "true" } }))
    });
    let error = story.go(Phase::Baseline).await.unwrap().error.expect("nothing can be written there");
    assert!(error.to_string().contains("registered read-only"), "{error}");
    let source = story.source.client().await;
    let sides = Sides { from: &story.from, to: &story.to, source: &source, target: &source };
    let error = preview(&story.job, &sides, Phase::Baseline).await.unwrap_err();
    assert!(
        error.to_string().contains("things stand in the way") && error.to_string().contains("the same cluster"),
        "{error}"
    );
}

#[tokio::test]
async fn a_preview_changes_nothing() {
    let story = Story::begin().await;
    let (source, target) = story.clients().await;
    let sides = Sides { from: &story.from, to: &story.to, source: &source, target: &target };
    let found = preview(&story.job, &sides, Phase::Baseline).await.unwrap();
    assert_eq!(found.steps, Phase::Baseline.steps());
    assert_eq!(found.decided.expect("it was looked at").pieces.len(), 1);
    let changed = |cluster: &Cluster| cluster.with(|world| world.seen.iter().any(|call| !call.starts_with("GET")));
    assert!(!changed(&story.source) && !changed(&story.target) && !story.job.journal.exists());
}

#[tokio::test]
async fn a_hook_is_told_what_happens_and_none_of_our_secrets() {
    let mut story = Story::begin().await;
    let told = story.scratch.path().join("told");
    let mut hooks = Hooks::default();
    hooks.add("after_verify", Call::Shell(format!("env > {}", told.display())));
    hooks.add("after_sync", Call::Program(vec!["false".into()]));
    story.job.hooks = hooks;
    story.done(Phase::Baseline).await;
    let text = std::fs::read_to_string(told).expect("the hook wrote it");
    for line in [
        "SNAPFERRY_JOB=movies",
        "SNAPFERRY_STEP=verify",
        "SNAPFERRY_PHASE=baseline",
        "SNAPFERRY_OUTCOME=done",
        "SNAPFERRY_SNAPSHOT=s-baseline-1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(!text.contains("CARGO"), "our environment stays with us");
}

#[tokio::test]
async fn the_report_shows_both_sides_and_escapes_what_it_shows() {
    let mut story = Story::begin().await;
    story.job.name = "<movies>".into();
    let state = story.done(Phase::Baseline).await;
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let document = Document::new(&story.job.name, Some(std::time::Duration::from_mins(1)), &state, at);
    assert_eq!((document.verdict, document.indices[0].from, document.indices[0].to), ("done", Some(3), Some(3)));
    let page = html(&document);
    assert!(page.contains("&lt;movies&gt;") && !page.contains("<movies>") && !page.contains("http-equiv"));
    assert!(!page.contains("src=") && !page.contains("href="), "nothing is fetched");
    assert!(state.last().is_some_and(|round| round.took(Step::Restore).is_some()));
}

#[tokio::test]
async fn skipping_leaves_what_is_there_and_a_cancelled_round_goes_on_later() {
    let mut story = Story::begin().await;
    story.job.restore.conflict = Conflict::Skip;
    story.target.with(|world| world.write("movies", 100));
    let state = story.done(Phase::Baseline).await;
    assert_eq!(
        state.last().and_then(|round| round.decided()).map(|decided| decided.skipped.clone()),
        Some(vec!["movies".to_owned()])
    );
    assert_eq!(story.documents(), [3, 100]);

    let story = Story::begin().await;
    let (source, target) = story.clients().await;
    let sides = Sides { from: &story.from, to: &story.to, source: &source, target: &target };
    let cancel = CancellationToken::new();
    cancel.cancel();
    let progress = advance(&story.job, &sides, Phase::Baseline, false, Arc::new(Silent), cancel).await.unwrap();
    assert_eq!(progress.error.expect("a signal came").kind(), ErrorKind::Cancelled);
    story.done(Phase::Baseline).await;
    assert_eq!(story.documents(), [3, 3]);
}

/// The program as a user runs it: the one-shot form, a job, and the phases beside each other.
#[test]
fn the_short_form_a_job_and_the_phases_are_told_apart() {
    let scratch = scratch();
    let run = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("snapferry").expect("it was built");
        command.current_dir(scratch.path()).env_clear().env("HOME", scratch.path());
        let output = command.args(arguments).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let text = "[job.movies]\nfrom = \"file:///nowhere/a\"\nto = \"file:///nowhere/b\"\nrepository = \"films\"\nto_cluster = \"http://127.0.0.1:1\"\nindexes = [\"a\", \"b\"]\n\n[job.movies.hooks]\nbefore_restore = [\"true\"]\n";
    std::fs::write(scratch.path().join("snapferry.toml"), text).expect("writable");
    for (arguments, said) in [
        (
            &["migrate", "file:///nowhere/a", "file:///nowhere/b", "--repository", "films"][..],
            "the target cluster is not given",
        ),
        (&["migrate", "nosuch"], "no job has that name"),
        (&["migrate", "movies"], "`indexes` of `[job.movies]` is read as `indices`"),
        (&["migrate", "baseline", "movies"], "`from_cluster` is not given"),
        (&["migrate", "status", "movies"], "there is no journal at"),
        (&["migrate", "cutover", "movies", "--delete-created"], "--rollback"),
        (&["migrate"], "<FROM|JOB>"),
    ] {
        let (code, stderr) = run(arguments);
        assert!(code != Some(0) && stderr.contains(said), "{arguments:?}: {code:?} {stderr}");
    }
    std::fs::write(scratch.path().join("snapferry.toml"), text.replace("before_restore", "before_dinner"))
        .expect("writable");
    let (code, stderr) = run(&["migrate", "status", "movies"]);
    assert!(code == Some(2) && stderr.contains("`before_dinner` in `[job.movies.hooks]` names no step"), "{stderr}");
}

// What a black-box attack found of the rounds.

/// A story with a data stream beside `movies`.
async fn with_stream() -> Story {
    let story = Story::begin().await;
    story.source.with(|world| {
        world.write(".ds-ds-x-000001", 2);
        world.streams.insert("ds-x".into(), vec![".ds-ds-x-000001".into()]);
    });
    story
}

fn writes(cluster: &Cluster) -> usize {
    cluster.with(|world| world.seen.iter().filter(|call| !call.starts_with("GET")).count())
}

#[tokio::test]
async fn a_round_with_a_data_stream_is_refused_before_anything_is_done() {
    let mut story = with_stream().await;
    for indices in [vec![], vec!["*"], vec!["movies", "ds-*"], vec!["movies", ".ds-ds-x-000001"]] {
        story.job.restore.indices = indices.iter().map(ToString::to_string).collect();
        let (source, target) = story.clients().await;
        let sides = Sides { from: &story.from, to: &story.to, source: &source, target: &target };
        let foreseen = preview(&story.job, &sides, Phase::Baseline).await.expect_err("it says so before");
        let error = story.go(Phase::Baseline).await.unwrap().error.expect("rounds bring no data streams");
        for error in [foreseen, error] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{indices:?}: {error}");
            assert!(error.to_string().contains("ds-x"), "{error}");
            assert!(error.advice().unwrap_or_default().contains("migrate FROM TO"), "{:?}", error.advice());
        }
        assert_eq!((writes(&story.source), writes(&story.target)), (0, 0), "{indices:?}");
    }
    story.job.restore.indices = Vec::new();
    let error = story.go(Phase::Baseline).await.unwrap().error.expect("nor by default");
    assert!(error.advice().unwrap_or_default().contains("--indices '*,-ds-x'"), "{:?}", error.advice());
    // Who leaves it out knowingly is told so in every round.
    story.job.restore.indices = vec!["*".into(), "-ds-x".into()];
    for phase in [Phase::Baseline, Phase::Increment, Phase::Cutover] {
        let state = story.done(phase).await;
        let document = Document::new("movies", None, &state, "2026-01-01T00:00:00Z".parse().unwrap());
        assert!(document.warnings.iter().any(|text| text.contains("`ds-x` stays behind")), "{:?}", document.warnings);
    }
}

#[tokio::test]
async fn unchanged_means_that_the_target_still_has_what_was_brought() {
    type Change = fn(&Story);
    let changes: [(&str, Change); 5] = [
        ("is gone", |story| story.target.with(|world| world.indices.clear())),
        ("is closed", |story| story.target.with(|world| world.indices.get_mut("movies").unwrap().open = false)),
        ("written", |story| story.target.with(|world| world.indices.get_mut("movies").unwrap().documents = 2)),
        ("registration gone", |story| story.target.with(|world| world.repositories.clear())),
        ("registration changed", |story| {
            story.target.with(|world| {
                world.repositories.insert(
                    "films".into(),
                    serde_json::json!({ "type": "fs", "settings": { "location": "/b", "readonly": "true", "x": "y" } }),
                );
            });
        }),
    ];
    for (what, change) in changes {
        let story = Story::begin().await;
        story.done(Phase::Baseline).await;
        let state = story.done(Phase::Increment).await;
        assert_eq!(state.last().and_then(|round| round.end), Some(RoundEnd::Unchanged), "{what}");
        change(&story);
        let state = story.done(Phase::Increment).await;
        assert_eq!(state.last().and_then(|round| round.end), Some(RoundEnd::Done), "{what}");
        assert_eq!(story.documents(), [3, 3], "{what}");
        assert!(
            story.target.with(|world| world.indices["movies"].open && world.repositories.contains_key("films")),
            "{what}"
        );
    }
    // Another index of that name is somebody else's.
    let story = Story::begin().await;
    story.done(Phase::Baseline).await;
    story.target.with(|world| {
        world.indices.clear();
        world.write("movies", 3);
    });
    let error = story.go(Phase::Increment).await.unwrap().error.expect("it is not what was brought");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
}

#[tokio::test]
async fn an_increment_after_a_rollback_that_deleted_brings_everything_again() {
    let mut story = Story::begin().await;
    story.done(Phase::Baseline).await;
    story.done(Phase::Cutover).await;
    story.job.delete_created = true;
    story.done(Phase::Rollback).await;
    assert!(story.target.with(|world| world.indices.is_empty()));
    story.done(Phase::Increment).await;
    assert_eq!(story.documents(), [3, 3]);
}

#[tokio::test]
async fn an_index_of_another_shape_is_deleted_only_with_consent() {
    let mut story = Story::begin().await;
    story.done(Phase::Baseline).await;
    let reshape = |story: &Story, primaries: u32| {
        story.write(1);
        story.source.with(|world| world.indices.get_mut("movies").unwrap().primaries = primaries);
    };
    reshape(&story, 3);
    let before = writes(&story.source);
    for conflict in [Conflict::Fail, Conflict::Close, Conflict::Delete] {
        story.job.restore.conflict = conflict;
        let error = story.go(Phase::Increment).await.unwrap().error.expect("it has another shape");
        assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
        assert!(error.to_string().contains("`movies` has 1 primaries at the target and 3 at the source"), "{error}");
        assert!(error.advice().unwrap_or_default().contains("--conflict delete --yes-delete"), "{:?}", error.advice());
    }
    assert_eq!(writes(&story.source), before, "no snapshot was taken");
    story.job.restore.delete = Consent::Given;
    let (source, target) = story.clients().await;
    let sides = Sides { from: &story.from, to: &story.to, source: &source, target: &target };
    let foreseen = preview(&story.job, &sides, Phase::Increment).await.unwrap();
    assert_eq!(foreseen.decided.map(|decided| decided.delete), Some(vec!["movies".to_owned()]));
    let state = story.go(Phase::Increment).await.unwrap();
    assert!(state.error.is_none(), "{:?}", state.error);
    assert_eq!((story.documents(), story.target.with(|world| world.indices["movies"].primaries)), ([4, 4], 3));
}

/// The flags of a rerun count for what is still to be done.
#[tokio::test]
async fn a_round_that_stopped_before_its_restore_decides_anew_and_registers_anew() {
    let mut story = Story::begin().await;
    story.job.hooks = failing("before_restore");
    story.go(Phase::Baseline).await.unwrap().error.expect("the hook fails");
    story.job.hooks = Hooks::default();
    story.target.with(|world| {
        world.repositories.clear();
        world.write("movies", 100);
    });
    let error = story.go(Phase::Baseline).await.unwrap().error.expect("it is in the way");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    story.job.restore.conflict = Conflict::Delete;
    let error = story.go(Phase::Baseline).await.unwrap().error.expect("nobody consented");
    assert!(error.advice().unwrap_or_default().contains("--yes-delete"), "{error}");
    assert_eq!(story.documents(), [3, 100]);
    story.job.restore.delete = Consent::Given;
    story.done(Phase::Baseline).await;
    assert_eq!(story.documents(), [3, 3]);
}

#[tokio::test]
async fn a_hook_that_takes_too_long_is_ended_with_all_that_it_began() {
    let mut story = Story::begin().await;
    let (alive, pid) = (story.scratch.path().join("alive"), story.scratch.path().join("pid"));
    let mut hooks = Hooks::within(Some(std::time::Duration::from_millis(300)));
    let text = format!("(sleep 2; touch {}) & echo $! > {}; wait # PASSWORD", alive.display(), pid.display());
    hooks.add("before_restore", Call::Shell(text));
    story.job.hooks = hooks;
    let error = story.go(Phase::Baseline).await.unwrap().error.expect("it takes too long");
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
    assert!(
        error.to_string().contains("call the hook before `restore`") && !error.to_string().contains("PASSWORD"),
        "{error}"
    );
    assert!(pid.exists(), "it began");
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert!(!alive.exists(), "its child went on");
}

#[tokio::test]
async fn what_an_address_may_hide_is_written_nowhere() {
    let mut story = Story::begin().await;
    for url in ["http://user:PASS@127.0.0.1:1/SECRET", "http://127.0.0.1:1/SECRET?token=SECRET"] {
        let mut hooks = Hooks::default();
        hooks.add("before_restore", Call::Web(url.into()));
        hooks.add("after_sync", Call::Web(url.into()));
        story.job.hooks = hooks;
        let progress = story.go(Phase::Baseline).await.unwrap();
        let error = progress.error.expect("nobody answers there");
        let journal = std::fs::read_to_string(&story.job.journal).expect("there is one");
        let document = Document::new("movies", None, &progress.state, "2026-01-01T00:00:00Z".parse().unwrap());
        let report = format!("{}{}", html(&document), serde_json::to_string(&document).unwrap());
        for text in [format!("{error:?} {error} {:?}", error.advice()), journal, report] {
            assert!(!text.contains("PASS") && !text.contains("SECRET") && !text.contains("user:"), "{text}");
        }
    }
}

#[test]
fn a_job_with_a_user_in_an_address_and_a_report_that_is_no_page_are_refused() {
    let scratch = scratch();
    let file = scratch.path().join("snapferry.toml");
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_snapferry"));
        command.current_dir(scratch.path()).env("XDG_STATE_HOME", scratch.path());
        let output = command.args(["--config", "snapferry.toml"]).args(arguments).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    std::fs::write(&file, "[job.movies]\n\n[job.movies.hooks]\nbefore_restore = \"http://user:PASS@host/\"\n").unwrap();
    let (code, said) = run(&["migrate", "status", "movies"]);
    assert!(code == Some(2) && said.contains("line 4") && said.contains("a user or a password"), "{said}");
    assert!(!said.contains("PASS"), "{said}");
    let text = "[job.movies]\n";
    std::fs::write(&file, text).unwrap();
    let (code, said) = run(&["migrate", "status", "movies", "--report", "snapferry.toml"]);
    assert!(code == Some(2) && said.contains("does not end in `.html`"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

/// Roots before 7.14 tell no times: of two snapshots the descriptions tell which is the later.
#[tokio::test]
async fn the_latest_snapshot_is_judged_where_the_root_tells_no_times() {
    // With it the forge puts indices into the later snapshot.
    const SEED: u64 = 1;
    for family in [Family::Counter, Family::Uuid, Family::F2, Family::F3] {
        let store = MemoryStore::default();
        let mut forge = Forge::new(family, SEED);
        for name in ["movies", "later"] {
            forge.run(&Action::CreateIndex { index: name.into(), shards: 1, kind: ForgedKind::Plain }, &store);
            forge.run(&Action::Write { index: name.into() }, &store);
            let snapshot = if name == "movies" { "z-earlier" } else { "a-later" };
            forge.run(&Action::CreateSnapshot { name: snapshot.into(), outcome: Outcome::Success }, &store);
        }
        let target = Cluster::start("target", MemoryStore::default(), support::fake::Contents::default(), false).await;
        let story = job(PathBuf::new());
        let options = Options {
            sync: quick(),
            registration: story.registration,
            policy: story.policy,
            restore: restore::Options { indices: Vec::new(), ..story.restore },
            leave_out_incompatible: false,
        };
        let clusters = Clusters { to: target.options(), from: None };
        let from = end("source", Arc::new(store));
        let advice = advise(&from, clusters, &options, Arc::new(Silent), &CancellationToken::new()).await;
        let advice = advice.unwrap_or_else(|error| panic!("{family:?}: {error}"));
        let names: Vec<&str> = advice.iter().map(|index| index.name.as_str()).collect();
        assert!(names.contains(&"later"), "{family:?}: {names:?} is of the later snapshot");
        assert_eq!(advice.iter().any(|index| index.verdict == "archive"), family.is_old(), "{family:?}: {advice:?}");
    }
}

// What happens at the source between two rounds, and during a cutover.

impl Story {
    /// All indices of the source, `movies` and `rooms` among them, brought by a baseline.
    async fn of_everything() -> Self {
        let mut story = Self::begin().await;
        story.source.with(|world| world.write("rooms", 1));
        story.job.restore.indices = Vec::new();
        story.done(Phase::Baseline).await;
        story
    }

    fn report(&self, state: &State) -> Document {
        Document::new(&self.job.name, None, state, "2026-01-01T00:00:00Z".parse().expect("it is a time"))
    }

    /// What comes of a phase in whose midst, at this hook, something happens at the source.
    async fn disturbed(&mut self, phase: Phase, hook: &str, what: impl FnOnce(&mut World)) -> (Error, State) {
        let mut hooks = Hooks::default();
        let done = self.scratch.path().join("done");
        let wait = format!("touch {0}.asked; while ! test -e {0}; do sleep 0.01; done", done.display());
        assert!(hooks.add(hook, Call::Shell(wait)), "{hook}");
        let before = std::mem::replace(&mut self.job.hooks, hooks);
        let meanwhile = async {
            while !done.with_extension("asked").exists() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            self.source.with(what);
            std::fs::write(&done, "").expect("writable");
        };
        let (failed, ()) = tokio::join!(self.fails(phase), meanwhile);
        self.job.hooks = before;
        failed
    }

    async fn fails(&self, phase: Phase) -> (Error, State) {
        let progress = self.go(phase).await.unwrap_or_else(|error| panic!("{phase}: {error}"));
        (progress.error.expect("it cannot end well"), progress.state)
    }
}

#[tokio::test]
async fn a_closed_index_ends_a_cutover_and_is_told_by_every_other_round() {
    let mut story = Box::pin(Story::of_everything()).await;
    story.source.with(|world| {
        world.write("rooms", 50);
        world.indices.get_mut("rooms").expect("it is there").open = false;
    });
    let state = story.done(Phase::Increment).await;
    let report = story.report(&state);
    assert_eq!(report.closed, ["rooms"]);
    assert!(report.sentence.contains("closed at the source and not brought: `rooms`"), "{}", report.sentence);
    assert!(report.warnings.iter().any(|text| text.contains("`rooms` IS CLOSED")), "{:?}", report.warnings);

    let (error, state) = story.fails(Phase::Cutover).await;
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
    assert!(error.to_string().contains("`rooms` is closed at the source: open it, or leave it out"), "{error}");
    assert!(state.blocked().is_empty() && story.blocked() == [false, false], "nothing was begun");

    story.job.restore.indices = vec!["*".into(), "-rooms".into()];
    story.write(1);
    let state = story.done(Phase::Cutover).await;
    let told = story.report(&state).warnings.join("\n");
    assert!(told.contains("`rooms` at the target was brought by an earlier round"), "{told}");
}

#[tokio::test]
async fn an_index_made_after_the_block_is_never_done_and_comes_with_the_next_round() {
    let mut story = Box::pin(Story::of_everything()).await;
    let (error, state) =
        Box::pin(story.disturbed(Phase::Cutover, "after_verify", |world| world.write("rooms-2", 7))).await;
    assert_eq!(error.kind(), ErrorKind::SourceMoved, "{error}");
    assert!(error.to_string().contains("`rooms-2`") && !error.to_string().contains("`rooms`"), "{error}");
    assert!(error.advice().unwrap_or_default().contains("--resume"), "{:?}", error.advice());
    let report = story.report(&state);
    assert!(report.verdict == "different" && report.sentence.contains("`rooms-2`"), "{}", report.sentence);

    let clients = story.clients().await;
    let sides = Sides { from: &story.from, to: &story.to, source: &clients.0, target: &clients.1 };
    let resumed = advance(&story.job, &sides, Phase::Cutover, true, Arc::new(Silent), CancellationToken::new()).await;
    let resumed = resumed.unwrap();
    assert!(resumed.error.is_none(), "{:?}", resumed.error);
    assert_eq!(resumed.state.last().and_then(|round| round.end), Some(RoundEnd::Done));
    assert_eq!(story.target.with(|world| world.indices["rooms-2"].documents), 7);
    assert!(story.source.with(|world| world.indices.values().all(|index| index.blocked)));
    story.done(Phase::Rollback).await;
    assert_eq!(story.blocked(), [false, false], "every block of both rounds was ours");
}

#[tokio::test]
async fn an_index_deleted_at_the_source_is_named_as_long_as_it_is_at_the_target() {
    let story = Box::pin(Story::of_everything()).await;
    story.source.with(|world| world.indices.remove("rooms"));
    for phase in [Phase::Increment, Phase::Cutover] {
        let report = story.report(&story.done(phase).await);
        assert_eq!(report.only_at_target, ["rooms"], "{phase}");
        assert!(report.sentence.contains("at the target and no longer at the source: `rooms`"), "{}", report.sentence);
        assert!(report.warnings.iter().any(|text| text.contains("no longer at the source")), "{:?}", report.warnings);
    }
    assert!(story.target.with(|world| world.indices.contains_key("rooms")), "nothing is deleted by default");
}

fn read_only(world: &mut World, is: bool) {
    world.indices.get_mut("rooms").expect("it is there").read_only = is;
}

#[tokio::test]
async fn a_read_only_index_is_found_before_a_cutover_and_never_claimed_as_blocked() {
    let mut story = Box::pin(Story::of_everything()).await;
    story.source.with(|world| read_only(world, true));
    let (error, state) = story.fails(Phase::Cutover).await;
    assert!(error.to_string().contains("`rooms` has the block read_only"), "{error}");
    assert!(state.blocked().is_empty() && story.blocked() == [false, false]);
    let ways = story.report(&state).ways.join("\n");
    assert!(ways.contains("nothing is blocked at the source") && !ways.contains("lifts the block"), "{ways}");

    story.source.with(|world| read_only(world, false));
    let (error, state) =
        Box::pin(story.disturbed(Phase::Cutover, "before_block", |world| read_only(world, true))).await;
    let blocked: Vec<String> = state.blocked().into_iter().map(|one| one.name).collect();
    assert_eq!(blocked, ["movies"], "{error}");
    assert!(error.to_string().contains("block writes to `rooms`"), "{error}");
    let hint = error.advice().unwrap_or_default();
    assert!(hint.contains("index.blocks.read_only") && !hint.contains("privilege"), "{hint}");

    story.source.with(|world| read_only(world, false));
    story.done(Phase::Cutover).await;
    assert!(story.source.with(|world| world.indices.values().all(|index| index.blocked)));
    story.source.with(|world| read_only(world, true));
    let (error, _) = story.fails(Phase::Rollback).await;
    assert!(error.to_string().contains("lift the write block of `rooms`"), "{error}");
    assert!(!story.source.with(|world| world.indices["movies"].blocked), "the others are lifted");
    story.source.with(|world| read_only(world, false));
    story.done(Phase::Rollback).await;
    assert_eq!(story.blocked(), [false, false]);
}

#[tokio::test]
async fn a_block_whose_answer_was_lost_is_looked_up() {
    let story = Box::pin(Story::of_everything()).await;
    story.source.with(|world| world.lose = Some("_block/write"));
    story.done(Phase::Cutover).await;
    assert_eq!(story.blocked(), [true, false]);
}

#[tokio::test]
async fn an_index_deleted_after_the_block_stops_the_cutover_and_leaves_both_ways() {
    let mut story = Box::pin(Story::of_everything()).await;
    let gone = |world: &mut World| drop(world.indices.remove("rooms"));
    let (error, _) = Box::pin(story.disturbed(Phase::Cutover, "after_block", gone)).await;
    assert!(error.to_string().contains("`rooms` was deleted on"), "{error}");
    assert!(error.advice().unwrap_or_default().contains("--rollback"), "{:?}", error.advice());
    let state = story.done(Phase::Cutover).await;
    assert_eq!(story.report(&state).only_at_target, ["rooms"]);
    let report = story.report(&story.done(Phase::Rollback).await);
    assert!(report.sentence.contains("takes writes again"), "{}", report.sentence);
    let told = report.warnings.join("\n");
    assert!(told.contains("`rooms` is gone at the source") && !told.contains("was not ours"), "{told}");
}

#[tokio::test]
async fn a_rollback_of_nothing_says_so() {
    let mut story = Story::begin().await;
    story.job.hooks = failing("before_sync");
    story.fails(Phase::Baseline).await;
    let report = story.report(&story.done(Phase::Rollback).await);
    assert!(report.sentence.contains("there was no cutover"), "{}", report.sentence);
}
