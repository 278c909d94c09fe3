//! What each level says of one index: its verdict and the sentence of what that proves.
//!
//! Pure but for [`look`]: numbers in, verdicts out. What equals a source that moves is still called moving, because the next
//! write makes it untrue.

use std::collections::BTreeMap;

use super::captured::CapturedIndex;
use super::verification::{DIFFERENCES, Difference, Level, LevelVerdict, Sides, Verdict};
use crate::elastic::Client;
use crate::elastic::numbers::{self, Health, Numbers, Settle, ShardNumbers};
use crate::error::Result;

/// What was seen of an index on the target.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) numbers: Option<Numbers>,
    health: Option<Health>,
    failure: Option<String>,
}

/// Looks at the indices of the target; what is not there has no entry.
pub(super) async fn look(client: &Client, indices: &[String]) -> Result<BTreeMap<String, Look>> {
    numbers::settle(client, indices, Settle::Refresh).await?;
    let readings = numbers::look(client, indices).await?;
    let open = readings.iter().filter(|(_, reading)| reading.numbers.is_open).map(|(name, _)| name.clone());
    let mut health = numbers::health(client, &open.collect::<Vec<_>>()).await?;
    Ok(readings
        .into_iter()
        .map(|(name, reading)| {
            let health = health.remove(&name);
            let failure = reading.failure.map(|error| error.to_string());
            (name, Look { numbers: Some(reading.numbers), health, failure })
        })
        .collect())
}

/// The sentence for all indices together.
pub(super) fn sentence(verdict: Verdict, level: Level) -> &'static str {
    match (verdict, level) {
        (Verdict::Different, _) => "the target does not hold what the source held",
        (Verdict::Moving, _) => {
            "nothing is proved: the source is being written, so its numbers are of no single moment"
        }
        (Verdict::Unknown, _) => "not everything could be compared: one side does not tell it",
        (Verdict::Equal, Level::Recovered) => "every primary is started; that says nothing of the documents",
        (Verdict::Equal, Level::Counts) => {
            "the target holds as many documents as the source; not that they are the same"
        }
        (Verdict::Equal, Level::Shards) => "every shard of the target holds the numbers of the source's shard",
        (Verdict::Equal, Level::Documents) => {
            "every shard holds the source's numbers, and the documents of the sample are the same in every field"
        }
        (Verdict::Equal, Level::Metadata) => {
            "numbers, sampled documents, mappings, settings and aliases are those of the source"
        }
    }
}

/// A number of things.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A verdict with its sentence.
pub(super) fn verdict(level: Level, verdict: Verdict, proves: impl Into<String>, all: Vec<Difference>) -> LevelVerdict {
    let differences_in_all = all.len() as u64;
    let differences = all.into_iter().take(DIFFERENCES).collect();
    LevelVerdict { level, verdict, proves: proves.into(), differences, differences_in_all }
}

/// Something that is not the same, or that one side does not tell.
pub(super) fn difference(what: impl Into<String>, from: Option<String>, to: Option<String>) -> Difference {
    Difference { what: what.into(), from, to, as_asked: false }
}

/// Level 0: every primary of the index is started.
pub(super) fn recovered(captured: &CapturedIndex, look: Option<&Look>) -> LevelVerdict {
    let expected = captured.numbers.primaries;
    let say = |found: Verdict, proves: String| {
        let to = look.and_then(|look| look.health.as_ref()).map(|health| health.active_primaries.to_string());
        let differences = match found {
            Verdict::Equal => Vec::new(),
            _ => vec![difference("started primaries", Some(expected.to_string()), to)],
        };
        verdict(Level::Recovered, found, proves, differences)
    };
    let Some(Look { numbers: Some(numbers), health, .. }) = look else {
        return say(Verdict::Different, "the index is not there".into());
    };
    if !numbers.is_open {
        return say(Verdict::Different, "the index is closed".into());
    }
    if numbers.primaries != expected {
        return say(
            Verdict::Different,
            format!("it has {}, not {expected}", counted(numbers.primaries.into(), "primary", "primaries")),
        );
    }
    match health {
        None => say(Verdict::Unknown, "the cluster does not tell the health of the index".into()),
        Some(health) if health.status == "red" || health.active_primaries != expected => say(
            Verdict::Different,
            format!(
                "{} of {} started; the index is {}",
                health.active_primaries,
                counted(expected.into(), "primary", "primaries"),
                health.status
            ),
        ),
        Some(health) => say(
            Verdict::Equal,
            format!(
                "{} of {expected} started; the index is {}",
                counted(expected.into(), "primary", "primaries"),
                health.status
            ),
        ),
    }
}

/// Level 1: as many documents.
pub(super) fn counts(captured: &CapturedIndex, moving: Option<&str>, look: Option<&Look>) -> LevelVerdict {
    let (from, to) = (captured.numbers.documents, look.and_then(|look| look.numbers.as_ref()?.documents));
    let text = |count: Option<u64>| count.map(|count| count.to_string());
    let differences =
        if from.is_some() && from == to { Vec::new() } else { vec![difference("documents", text(from), text(to))] };
    let (found, proves) = match (from, to) {
        _ if moving.is_some() => (Verdict::Moving, still(moving)),
        (None, _) => (Verdict::Unknown, "the source's index was closed when it was captured".to_owned()),
        (Some(_), None) => {
            let why =
                look.map_or("the index is not there", |look| look.failure.as_deref().unwrap_or("the index is closed"));
            (Verdict::Different, format!("the target's documents cannot be counted: {why}"))
        }
        (Some(from), Some(to)) if from == to => (
            Verdict::Equal,
            format!("every shard answered, and both sides count {from}; not that they are the same documents"),
        ),
        (Some(from), Some(to)) => (Verdict::Different, format!("the source counted {from}, the target counts {to}")),
    };
    verdict(Level::Counts, found, proves, differences)
}

/// The sentence for what moves.
pub(super) fn still(moving: Option<&str>) -> String {
    format!("nothing: the source's index is being written; {}", moving.unwrap_or_default())
}

/// Level 2: the same numbers in every shard.
pub(super) fn shards(captured: &CapturedIndex, moving: Option<&str>, look: Option<&Look>) -> LevelVerdict {
    let say = |found, proves: String, differences| verdict(Level::Shards, found, proves, differences);
    let numbers = look.and_then(|look| look.numbers.as_ref());
    let (Some(from), to) = (&captured.numbers.shards, numbers.and_then(|numbers| numbers.shards.as_ref())) else {
        return say(Verdict::Unknown, "the source told no numbers by shard".into(), Vec::new());
    };
    let Some(to) = to else {
        let found = if numbers.is_none_or(|numbers| !numbers.is_open) { Verdict::Different } else { Verdict::Unknown };
        return say(found, "the target tells no numbers for every shard".into(), Vec::new());
    };
    let mut differences = Vec::new();
    let mut worst = Verdict::Equal;
    for shard in from.keys().chain(to.keys().filter(|shard| !from.contains_key(shard))) {
        let (found, list) = shard_verdict(*shard, from.get(shard), to.get(shard));
        worst = worst.max(found);
        differences.extend(list);
    }
    let is_exact = from.values().chain(to.values()).all(|shard| shard.max_seq_no.is_some());
    let proves = match worst {
        _ if moving.is_some() => still(moving),
        Verdict::Equal if is_exact => {
            format!("as many documents and the same last write in {}", counted(from.len() as u64, "shard", "shards"))
        }
        Verdict::Equal => format!(
            "as many documents, and as many deleted ones, in {}; no sequence numbers are told (before 6.0), so that an update \
             may go unseen",
            counted(from.len() as u64, "shard", "shards")
        ),
        Verdict::Unknown => {
            "documents that are deleted differ and no sequence numbers tell why: segments were merged, or \
             documents were written; level 3 tells more"
                .into()
        }
        _ => "shards of the target hold other numbers than the source's".into(),
    };
    say(if moving.is_some() { Verdict::Moving } else { worst }, proves, differences)
}

fn shard_verdict(shard: u32, from: Option<&ShardNumbers>, to: Option<&ShardNumbers>) -> (Verdict, Vec<Difference>) {
    let (Some(from), Some(to)) = (from, to) else {
        let side = |there: Option<&ShardNumbers>| there.map(|_| "there".to_owned());
        return (Verdict::Different, vec![difference(format!("shard {shard}"), side(from), side(to))]);
    };
    let mut list = Vec::new();
    let mut add = |what: &str, from: Option<String>, to: Option<String>| {
        list.push(difference(format!("shard {shard}: {what}"), from, to));
    };
    let mut found = Verdict::Equal;
    if from.documents != to.documents {
        found = Verdict::Different;
        add("documents", Some(from.documents.to_string()), Some(to.documents.to_string()));
    }
    let knows = from.max_seq_no.is_some() && to.max_seq_no.is_some();
    if knows && from.max_seq_no != to.max_seq_no {
        found = Verdict::Different;
        let text = |number: Option<i64>| number.map(|number| number.to_string());
        add("max_seq_no", text(from.max_seq_no), text(to.max_seq_no));
    }
    if from.deleted != to.deleted {
        // The last write is the same: then only merging made the difference, which changes nothing that can be read.
        found = if knows { found } else { found.max(Verdict::Unknown) };
        add("deleted documents", Some(from.deleted.to_string()), Some(to.deleted.to_string()));
    }
    (found, list)
}

/// The numbers of both sides beside each other.
pub(super) fn sides(captured: &CapturedIndex, to: Option<&Numbers>) -> BTreeMap<u32, Sides<Option<ShardNumbers>>> {
    let mut sides: BTreeMap<u32, Sides<Option<ShardNumbers>>> = BTreeMap::new();
    for (shard, numbers) in captured.numbers.shards.iter().flatten() {
        sides.entry(*shard).or_default().from = Some(*numbers);
    }
    for (shard, numbers) in to.and_then(|to| to.shards.as_ref()).into_iter().flatten() {
        sides.entry(*shard).or_default().to = Some(*numbers);
    }
    sides
}
