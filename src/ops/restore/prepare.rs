//! Everything that is known before anything is changed: the snapshot, the plan, what runs or is done already, the findings.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::finding::Finding;
use super::offline::{self, Offline};
use super::orders::{self, Batched};
use super::preflight::{self, Subject};
use super::{Options, Partial, swap};
use crate::elastic::Client;
use crate::elastic::aftercare::Lifecycle;
use crate::elastic::conflict::{self, Conflict, Place, Plan, Policy, Unit};
use crate::elastic::follow;
use crate::elastic::index::{self, Existing};
use crate::elastic::restore;
use crate::elastic::selection::{self, Selection};
use crate::elastic::snapshot::{self, Snapshot, State};
use crate::elastic::writes::Mark;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::ops::snapshot::{Which, find};

/// What is known before anything is changed.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) snapshot: Snapshot,
    pub(super) selection: Selection,
    pub(super) existing: Existing,
    /// What is still to be sent.
    pub(super) plan: Plan,
    /// What the cluster is at already.
    pub(super) running: Vec<Unit>,
    /// What an interrupted run has restored.
    pub(super) done: Vec<Unit>,
    pub(super) offline: Option<Offline>,
    pub(super) findings: Vec<Finding>,
    /// How far the writes to what is to be replaced had come.
    pub(super) marks: BTreeMap<String, Mark>,
    /// Settings left behind.
    pub(super) ignore: Vec<String>,
    /// Indices that are to be restored over others and lack something, with what that is. It is brought first.
    pub(super) lost: BTreeMap<String, String>,
}

impl Prepared {
    /// What is to be sent, request by request.
    pub(super) fn batches(&self, options: &Options) -> Vec<Batched> {
        orders::batches(self, options, self.plan.units.clone())
    }
}

/// Looks at everything.
pub(super) async fn prepare(
    client: &Client,
    options: &Options,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Prepared> {
    options.left.check_cluster(client)?;
    let mut findings = Vec::new();
    let snapshot = choose(client, options).await?;
    let doing = || format!("restore `{}:{}` on `{}`", options.repository, snapshot.name, client.place());
    let at = |error: Error| error.while_doing(doing());
    let selection =
        selection::choose(&options.indices, options.preset, &snapshot.indices, &snapshot.data_streams).map_err(at)?;
    tell(
        &passed_over(&selection, options),
        "left out, as it is hidden or the cluster's own: such names must be asked for",
        reporter,
    );
    if options.only_same {
        let chosen: Vec<String> = selection.indices.iter().chain(&selection.data_streams).cloned().collect();
        options.left.check_same(&options.repository, &snapshot.name, &chosen)?;
    }
    let none = BTreeSet::new();
    let suffix = snapshot.name.to_lowercase();
    let policy = Policy { conflict: options.conflict, prefix: &options.prefix, suffix: &suffix, ours: &none };
    let candidates = candidates(&selection, &snapshot, options, policy).map_err(at)?;
    arrive(client, options, &snapshot, &candidates).await?;
    let running = running(client, options, &snapshot, &candidates, reporter).await?;
    let existing = index::existing(client).await?;
    let (done, ours) = left(client, options, &snapshot, &candidates, &running, &existing).await?;
    let taken: BTreeSet<&str> = running.iter().chain(&done).map(|unit| unit.name.as_str()).collect();
    let rest = without(&selection, &taken);
    let policy = Policy { ours: &ours, ..policy };
    let planned = conflict::plan(&rest, &snapshot.indices, options.rename.as_ref(), &existing, policy);
    let mut plan = planned.unwrap_or_else(|error| {
        findings.push(Finding::met("the names", &error));
        Plan::default()
    });
    resume_swaps(&mut plan, running.iter().chain(&done), options, &existing);
    tell(&plan.skipped, "skipped, as the target already has it", reporter);
    let pieces = || plan.pieces().chain(running.iter().chain(&done).flat_map(|unit| &unit.pieces));
    let names = pieces().map(|piece| piece.index.as_str()).collect();
    let offline = read_offline(client, options, &snapshot, &names, cancel, &mut findings).await;
    let subject = Subject {
        client,
        options,
        snapshot: &snapshot,
        selection: &selection,
        plan: &plan,
        existing: &existing,
        offline: offline.as_ref(),
    };
    // What runs already was looked at when it was begun; so was what is skipped.
    if running.is_empty() && (!plan.units.is_empty() || !findings.is_empty()) {
        preflight::look(&subject, &mut findings).await;
    }
    // Also for what was taken up: the names are still to be changed.
    findings.extend(swap::check(options, &plan, &existing, offline.as_ref()));
    let marks = swap::marks(client, &plan, &existing).await;
    let lost = preflight::lost(&subject, cancel, &mut findings).await;
    let ignore = ignored(options, &findings);
    Ok(Prepared { snapshot, selection, existing, plan, running, done, offline, findings, marks, ignore, lost })
}

/// Names that were left out of what was asked for: not those that nothing of it is about.
fn passed_over(selection: &Selection, options: &Options) -> Vec<String> {
    let asked = &options.indices;
    let is_about = |name: &str| {
        let mut all = asked.iter().filter(|entry| !entry.starts_with('-'));
        all.clone().next().is_none() || all.any(|entry| entry == "_all" || selection::matches(entry, name))
    };
    selection.left_out.iter().filter(|name| is_about(name)).cloned().collect()
}

/// Finds the snapshot. One that lacks shards is only for who accepts that.
async fn choose(client: &Client, options: &Options) -> Result<Snapshot> {
    if let (Which::Named(name), Partial::Accepted) = (&options.snapshot, options.partial) {
        let snapshot = snapshot::get(client, &options.repository, name).await?;
        if matches!(snapshot.state, State::Success | State::Partial) {
            return Ok(snapshot);
        }
    }
    find(client, &options.repository, &options.snapshot).await.map_err(|error| {
        if error.kind() == ErrorKind::Precondition && error.to_string().contains("Partial") {
            return error.hint("take another snapshot, or restore with `--partial`: what it lacks comes back empty");
        }
        error
    })
}

/// Every unit by its own name and, where the policy knows one, by the name beside it.
fn candidates(selection: &Selection, snapshot: &Snapshot, options: &Options, policy: Policy<'_>) -> Result<Vec<Unit>> {
    let alone = Policy { conflict: Conflict::Fail, ..policy };
    let rename = options.rename.as_ref();
    let mut units = conflict::plan(selection, &snapshot.indices, rename, &Existing::default(), alone)?.units;
    if matches!(options.conflict, Conflict::Rename | Conflict::Swap) {
        let streams = selection.data_streams.iter().map(|name| (name, true));
        for (name, is_stream) in selection.indices.iter().map(|name| (name, false)).chain(streams) {
            units.push(conflict::beside(name, is_stream, &snapshot.indices, rename, policy)?);
        }
    }
    Ok(units)
}

fn targets(units: &[Unit]) -> BTreeSet<&str> {
    units.iter().flat_map(|unit| &unit.pieces).map(|piece| piece.target.as_str()).collect()
}

/// The units that the cluster is restoring already. One that hangs is given up when the policy allows overwriting.
async fn running(
    client: &Client,
    options: &Options,
    snapshot: &Snapshot,
    candidates: &[Unit],
    reporter: &dyn Reporter,
) -> Result<Vec<Unit>> {
    let all = targets(candidates);
    let mut running = Vec::new();
    for names in restore::running_of(client, &options.repository, &snapshot.name).await? {
        // A restore of more than ours is somebody else's.
        if !names.iter().all(|name| all.contains(name.as_str())) {
            continue;
        }
        let is_in = |unit: &&Unit| unit.pieces.iter().all(|piece| names.contains(&piece.target));
        let units: Vec<Unit> = candidates.iter().filter(is_in).cloned().collect();
        let order = orders::follow_order(options, snapshot, &units);
        let hanging = follow::hanging(client, &order.begun(), options.patience).await?;
        if hanging.is_empty() || options.conflict != Conflict::Close {
            running.extend(units);
            continue;
        }
        tell(&hanging, "deleted, as an earlier restore hangs in it for ever", reporter);
        restore::abandon(client, &order, &hanging).await?;
    }
    if !running.is_empty() {
        reporter.report(&Event::Warning("the cluster is at this restore already; it is followed to its end"));
    }
    Ok(running)
}

/// Waits for a restore whose fate an interrupted run did not learn. Its request may still be on its way, or wait for the master: met later
/// it would be in the way of ours, or come after it.
async fn arrive(client: &Client, options: &Options, snapshot: &Snapshot, candidates: &[Unit]) -> Result<()> {
    /// A request that nobody has taken down within so many looks is lost: the network keeps none for seconds.
    const LOOKS: u32 = 4;
    let left = &options.left;
    if (left.repository.as_str(), left.snapshot.as_str()) != (&options.repository, &snapshot.name) {
        return Ok(());
    }
    let all = targets(candidates);
    let unknown = |name: &&String| all.contains(name.as_str()) && !left.created.contains_key(*name);
    let names: Vec<String> = left.submitted.iter().filter(unknown).cloned().collect();
    if names.is_empty() {
        return Ok(());
    }
    let (mut looks, moved) = (0, Instant::now());
    while looks < LOOKS && moved.elapsed() < options.patience.stall {
        let is_there = !restore::running_of(client, &options.repository, &snapshot.name).await?.is_empty()
            || restore::came_from(client, &options.repository, &snapshot.name, &names).await?;
        if is_there {
            return Ok(());
        }
        if !restore::is_pending(client).await {
            looks += 1;
        }
        tokio::time::sleep(options.patience.poll).await;
    }
    Ok(())
}

/// What an interrupted run of ours left: units that are restored, and names of those that it began and that did not get there.
async fn left(
    client: &Client,
    options: &Options,
    snapshot: &Snapshot,
    candidates: &[Unit],
    running: &[Unit],
    existing: &Existing,
) -> Result<(Vec<Unit>, BTreeSet<String>)> {
    let left = &options.left;
    let (mut done, mut ours) = (Vec::new(), BTreeSet::new());
    let under_way = targets(running);
    if (left.repository.as_str(), left.snapshot.as_str()) != (&options.repository, &snapshot.name) {
        for unit in candidates.iter().filter(|unit| !under_way.contains(unit.pieces[0].target.as_str())) {
            if waits_for_its_name(client, options, snapshot, unit, existing).await? {
                done.push(unit.clone());
            }
        }
        return Ok((done, ours));
    }
    for unit in
        candidates.iter().filter(|unit| !unit.pieces.iter().any(|piece| under_way.contains(piece.target.as_str())))
    {
        let names: Vec<String> = unit.pieces.iter().map(|piece| piece.target.clone()).collect();
        let is_same = |name: &String| {
            let there = existing.indices.get(name).filter(|index| index.is_open);
            there.is_some_and(|index| left.created.get(name).is_none_or(|uuid| *uuid == index.uuid))
        };
        let is_known = |name: &String| left.submitted.contains(name) || left.restored.contains(name);
        if !names.iter().all(|name| is_known(name) && is_same(name)) {
            continue;
        }
        let is_ours = names.iter().all(|name| left.restored.contains(name))
            || restore::came_from(client, &options.repository, &snapshot.name, &names).await?;
        if !is_ours {
            continue;
        }
        let order = orders::follow_order(options, snapshot, std::slice::from_ref(unit));
        if follow::is_whole(client, &order.begun()).await? {
            done.push(unit.clone());
        } else {
            ours.extend(names);
        }
    }
    Ok((done, ours))
}

/// Whether a unit was restored beside its name out of this very snapshot, and only the name is still to be changed. Nobody wrote that
/// down; the cluster tells where the index came from.
async fn waits_for_its_name(
    client: &Client,
    options: &Options,
    snapshot: &Snapshot,
    unit: &Unit,
    existing: &Existing,
) -> Result<bool> {
    if options.conflict != Conflict::Swap || unit.place != Place::Beside {
        return Ok(false);
    }
    let names: Vec<String> = unit.pieces.iter().map(|piece| piece.target.clone()).collect();
    let own = options.rename.as_ref().map_or_else(|| unit.name.clone(), |rule| rule.apply(&unit.name));
    let is_open = |name: &String| existing.indices.get(name).is_some_and(|index| index.is_open);
    let is_swapped = existing.aliases.get(&own).is_some_and(|behind| names.iter().any(|name| behind.contains(name)));
    if !names.iter().all(is_open) || is_swapped {
        return Ok(false);
    }
    let order = orders::follow_order(options, snapshot, std::slice::from_ref(unit));
    Ok(restore::came_from(client, &options.repository, &snapshot.name, &names).await?
        && follow::is_whole(client, &order.begun()).await?)
}

fn without(selection: &Selection, taken: &BTreeSet<&str>) -> Selection {
    let rest = |names: &[String]| names.iter().filter(|name| !taken.contains(name.as_str())).cloned().collect();
    Selection {
        indices: rest(&selection.indices),
        data_streams: rest(&selection.data_streams),
        left_out: selection.left_out.clone(),
    }
}

/// What was restored beside its name before the interruption still waits for its name, unless that was the last step.
fn resume_swaps<'a>(plan: &mut Plan, units: impl Iterator<Item = &'a Unit>, options: &Options, existing: &Existing) {
    if options.conflict != Conflict::Swap {
        return;
    }
    for unit in units.filter(|unit| unit.place == Place::Beside) {
        let own = options.rename.as_ref().map_or_else(|| unit.name.clone(), |rule| rule.apply(&unit.name));
        let target = unit.pieces[0].target.clone();
        if existing.aliases.get(&own).is_none_or(|behind| behind.len() != 1 || !behind.contains(&target)) {
            plan.swaps.insert(own, target);
        }
    }
}

async fn read_offline(
    client: &Client,
    options: &Options,
    snapshot: &Snapshot,
    names: &BTreeSet<&str>,
    cancel: &CancellationToken,
    findings: &mut Vec<Finding>,
) -> Option<Offline> {
    let copy = options.copy.as_ref()?;
    match offline::read(copy, snapshot, names, client.version(), cancel).await {
        Ok(offline) => Some(offline),
        Err(error) => {
            findings.push(Finding::met("the repository", &error));
            None
        }
    }
}

/// The settings that are left behind: as the user says, and as the findings propose.
fn ignored(options: &Options, findings: &[Finding]) -> Vec<String> {
    let mut ignore = options.ignore_settings.clone();
    if options.lifecycle == Lifecycle::Remove {
        let words = [
            "index.lifecycle.*",
            "index.plugins.index_state_management.*",
            "index.opendistro.index_state_management.*",
        ];
        ignore.extend(words.map(str::to_owned));
    }
    ignore.extend(findings.iter().flat_map(|finding| finding.ignore_settings.iter().cloned()));
    let mut seen = BTreeSet::new();
    ignore.retain(|setting| seen.insert(setting.clone()));
    ignore
}

fn tell(names: &[String], why: &str, reporter: &dyn Reporter) {
    for name in names {
        reporter.report(&Event::Warning(&format!("`{name}` is {why}")));
    }
}
