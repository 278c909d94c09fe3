//! Random histories of a source against copies that are stopped after every single write: whatever happens at either side, every
//! snapshot that the target's newest root lists can be restored.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use proptest::prelude::*;
use snapferry::error::ErrorKind;
use snapferry::ops::sync::Report;
use snapferry::store::wrap::{Fault, Faulty, Operation};
use snapferry::store::{Key, MemoryStore, ObjectStore};
use support::copy::{newest_root, quick, sync};
use support::forge::{Action, Family, Forge, Kind, Outcome, complete};

/// What happens at a source: before the copy begins, and while it runs.
#[derive(Debug, Clone)]
struct History {
    family: Family,
    seed: u64,
    chunk_size: Option<u64>,
    before: Vec<Action>,
    /// What the target has already: a copy made after so many of the actions before.
    copied_after: usize,
    during: Vec<Action>,
    /// The source goes one write further with every so many reads.
    pace: usize,
}

/// A source that goes on while it is read: forge and store, both of which it has to itself.
#[derive(Debug, Clone)]
struct Source {
    forge: Arc<Mutex<Forge>>,
    store: MemoryStore,
    left: Arc<Mutex<Vec<Action>>>,
}

impl Source {
    fn new(forge: Forge, contents: &BTreeMap<Key, Bytes>, during: &[Action]) -> Self {
        let left = during.iter().rev().cloned().collect();
        Self { forge: Arc::new(Mutex::new(forge)), store: filled(contents), left: Arc::new(Mutex::new(left)) }
    }

    /// One more write at the source; false when its history is at its end.
    fn advance(&self) -> bool {
        let mut forge = self.forge.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(step) = forge.step() {
                step.apply(&self.store);
                return true;
            }
            let Some(action) = self.left.lock().unwrap_or_else(PoisonError::into_inner).pop() else { return false };
            forge.begin(&action);
        }
    }

    /// The store as the copy sees it: moving on with every `pace` reads.
    fn moving(&self, pace: usize) -> Arc<dyn ObjectStore> {
        let (source, reads) = (self.clone(), Mutex::new(0));
        Arc::new(Faulty::new(Arc::new(self.store.clone()), move |_, _, _| {
            let mut reads = reads.lock().unwrap_or_else(PoisonError::into_inner);
            *reads += 1;
            if *reads % pace == 0 {
                source.advance();
            }
            None
        }))
    }
}

/// A store of its own with these contents: the clones of one share their memory.
fn filled(contents: &BTreeMap<Key, Bytes>) -> MemoryStore {
    let store = MemoryStore::default();
    for (key, bytes) in contents {
        store.insert(key.clone(), bytes.clone(), jiff::Timestamp::now());
    }
    store
}

/// The ids of the snapshots that the newest root lists.
fn listed(store: &MemoryStore) -> BTreeSet<String> {
    let contents = store.contents();
    let Some(number) = newest_root(&contents) else { return BTreeSet::new() };
    let root = &contents[&support::copy::key(&format!("index-{number}"))];
    let root: serde_json::Value = serde_json::from_slice(root).expect("a root is JSON");
    let snapshots = root["snapshots"].as_array().expect("it lists snapshots").iter();
    snapshots.map(|snapshot| snapshot["uuid"].as_str().expect("an id").to_owned()).collect()
}

/// What went wrong in a run; nothing if it carried everything out.
fn fault(mut report: Report) -> Option<String> {
    let failures = std::mem::take(&mut report.summary.failures).into_entries();
    let failed = failures.map(|failure| format!("{:?}", failure.expect("readable")));
    let all: Vec<String> = report.error.map(|error| format!("{error:?}")).into_iter().chain(failed).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// A target that takes so many writes and no more, and whether it refused one.
fn stopping(target: &MemoryStore, after: u64) -> (Arc<dyn ObjectStore>, Arc<AtomicBool>) {
    let refused = Arc::new(AtomicBool::new(false));
    let noted = refused.clone();
    let store = Faulty::new(Arc::new(target.clone()), move |operation, _, writes| {
        let is_write =
            matches!(operation, Operation::Put | Operation::PutPart | Operation::Complete | Operation::Delete);
        let refuse = is_write && writes >= after;
        noted.fetch_or(refuse, Ordering::SeqCst);
        refuse.then_some(Fault::Fail(ErrorKind::Denied))
    });
    (Arc::new(store), refused)
}

/// Lives through a history with a copy that stops after every write, and judges the target each time.
async fn live(history: &History) -> Result<(), TestCaseError> {
    let mut forge = Forge::new(history.family, history.seed);
    if let Some(size) = history.chunk_size {
        forge = forge.chunked(size);
    }
    let (store, target) = (MemoryStore::default(), MemoryStore::default());
    for (number, action) in history.before.iter().enumerate() {
        if number == history.copied_after && newest_root(&store.contents()).is_some() {
            let first = sync(Arc::new(filled(&store.contents())), Arc::new(target.clone()), &quick()).await;
            prop_assert_eq!(fault(first), None, "the first copy");
        }
        forge.run(action, &store);
    }
    if newest_root(&store.contents()).is_none() {
        return Ok(());
    }
    let (at_source, at_target) = (store.contents(), target.contents());
    for stop in 0.. {
        let source = Source::new(forge.clone(), &at_source, &history.during);
        let target = filled(&at_target);
        let (stopping, refused) = stopping(&target, stop);
        sync(source.moving(history.pace), stopping, &quick()).await;
        let judged = complete(&target.contents());
        prop_assert!(judged.is_ok(), "stopped after {} writes: {:?}", stop, judged);
        while source.advance() {}
        let last = sync(Arc::new(source.store.clone()), Arc::new(target.clone()), &quick()).await;
        prop_assert_eq!(fault(last), None, "the run after a stop after {} writes", stop);
        prop_assert_eq!(complete(&target.contents()), complete(&source.store.contents()), "after {} writes", stop);
        prop_assert_eq!(listed(&target), listed(&source.store), "after {} writes", stop);
        if !refused.load(Ordering::SeqCst) {
            break;
        }
    }
    Ok(())
}

fn index() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b"]).prop_map(str::to_owned)
}

/// Few names, so that they are used again.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["daily-0", "daily-1", "daily-2"]).prop_map(str::to_owned)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![Outcome::Success, Outcome::Success, Outcome::Success, Outcome::Partial])
}

/// What happens at a source: mostly snapshots made and deleted.
fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => index().prop_map(|index| Action::Write { index }),
        1 => index().prop_map(|index| Action::Merge { index }),
        1 => (index(), 1..3usize).prop_map(|(index, shards)| Action::RecreateIndex { index, shards }),
        1 => index().prop_map(|index| Action::DeleteIndex { index }),
        4 => (name(), outcome()).prop_map(|(name, outcome)| Action::CreateSnapshot { name, outcome }),
        3 => name().prop_map(|name| Action::DeleteSnapshot { name }),
        1 => Just(Action::Cleanup),
    ]
}

/// One action, or the three that make counters give a name again: a snapshot goes, the index changes, another one comes.
fn actions() -> impl Strategy<Value = Vec<Action>> {
    let change = prop_oneof![
        index().prop_map(|index| Action::Merge { index }),
        (index(), 1..3usize).prop_map(|(index, shards)| Action::RecreateIndex { index, shards }),
    ];
    prop_oneof![
        3 => action().prop_map(|action| vec![action]),
        1 => (name(), change, name(), outcome()).prop_map(|(old, change, name, outcome)| {
            vec![Action::DeleteSnapshot { name: old }, change, Action::CreateSnapshot { name, outcome }]
        }),
    ]
}

fn history() -> impl Strategy<Value = History> {
    // The family that gives names again is the hardest, and comes more often.
    let mut families = Family::ALL.to_vec();
    families.extend([Family::Counter; 4]);
    let place = (prop::sample::select(families), any::<u64>(), prop::option::of(300..700u64));
    let actions =
        (prop::collection::vec(actions(), 1..6), 0..6usize, prop::collection::vec(actions(), 0..4), 1..5usize);
    (place, actions).prop_map(|((family, seed, chunk_size), (more, copied_after, during, pace))| {
        let create = |index: &str, shards| Action::CreateIndex { index: index.to_owned(), shards, kind: Kind::Plain };
        let write = |index: &str| Action::Write { index: index.to_owned() };
        let mut before = vec![create("a", 2), create("b", 1), write("a"), write("b")];
        // The first one stays for ever: of two repositories without an id and without a snapshot in common nobody can say that they
        // are one, and the product refuses to.
        for name in ["kept", "daily-0"] {
            before.push(Action::CreateSnapshot { name: name.to_owned(), outcome: Outcome::Success });
        }
        let copied_after = before.len() + copied_after;
        before.extend(more.into_iter().flatten());
        let during = during.into_iter().flatten().collect();
        History { family, seed, chunk_size, before, copied_after, during, pace }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]

    fn whatever_happens_the_target_can_be_restored(history in history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(live(&history))?;
    }
}
