//! What is sent: units in batches, each with its rule, its settings and the replicas that its indices will have.

use std::collections::BTreeMap;

use serde_json::json;

use super::offline::Offline;
use super::prepare::Prepared;
use super::{Options, Partial};
use crate::elastic::conflict::{Piece, Place, Unit};
use crate::elastic::rename::Rename;
use crate::elastic::restore::{Aliases, Order, Shortfall};
use crate::elastic::snapshot::Snapshot;

const REPLICAS: &str = "index.number_of_replicas";

/// The replicas of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replicas {
    /// How many it is to have, if that is known and not the cluster's own business.
    pub(super) afterwards: Option<u32>,
    /// Whether it may have none while it is restored.
    pub(super) may_wait: bool,
}

impl Replicas {
    pub(super) fn of(options: &Options, offline: Option<&Offline>, index: &str) -> Self {
        if options.settings.contains_key(REPLICAS) {
            return Self { afterwards: None, may_wait: false };
        }
        let facts = offline.and_then(|offline| offline.indices.get(index));
        let afterwards = options.replicas.or_else(|| facts.and_then(super::offline::Facts::replicas));
        // Where their number is the cluster's to choose, the setting does nothing.
        Self { afterwards, may_wait: afterwards.is_some() || facts.is_some() }
    }
}

/// One request, with what belongs to it.
#[derive(Debug)]
pub(super) struct Batched {
    pub(super) order: Order,
    pub(super) pieces: Vec<Piece>,
    pub(super) place: Place,
    /// Replicas to be set afterwards, by name in the cluster.
    pub(super) replicas: BTreeMap<String, u32>,
}

/// The order by which units are followed that somebody else began.
pub(super) fn follow_order(options: &Options, snapshot: &Snapshot, units: &[Unit]) -> Order {
    let pieces = units.iter().flat_map(|unit| &unit.pieces);
    Order {
        repository: options.repository.clone(),
        snapshot: snapshot.name.clone(),
        names: units.iter().map(|unit| unit.name.clone()).collect(),
        targets: pieces.clone().map(|piece| piece.target.clone()).collect(),
        bytes: snapshot.bytes_of(pieces.map(|piece| piece.index.as_str())),
        settings: options.settings.clone(),
        ..Order::default()
    }
}

/// Puts units together that share a rule, the largest first, as many as the bounds allow.
pub(super) fn batches(prepared: &Prepared, options: &Options, mut units: Vec<Unit>) -> Vec<Batched> {
    let size = |unit: &Unit| -> u64 { unit.pieces.iter().filter_map(|piece| bytes(prepared, &piece.index)).sum() };
    units.sort_by_key(|unit| std::cmp::Reverse(size(unit)));
    let mut batches: Vec<(u64, Vec<Unit>)> = Vec::new();
    for unit in units {
        let bytes = size(&unit);
        let fits = |(held, together): &&mut (u64, Vec<Unit>)| {
            let count: usize = together.iter().map(|unit| unit.pieces.len()).sum();
            together[0].place == unit.place
                && is_same(together[0].rename.as_ref(), unit.rename.as_ref())
                && count + unit.pieces.len() <= options.batch.indices
                && *held + bytes <= options.batch.bytes
        };
        match batches.iter_mut().find(fits) {
            Some((held, together)) => {
                *held += bytes;
                together.push(unit);
            }
            None => batches.push((bytes, vec![unit])),
        }
    }
    batches.into_iter().map(|(_, units)| batched(prepared, options, &units)).collect()
}

fn is_same(one: Option<&Rename>, other: Option<&Rename>) -> bool {
    let key = |rule: Option<&Rename>| rule.map(|rule| (rule.pattern().to_owned(), rule.replacement().to_owned()));
    key(one) == key(other)
}

/// The shards and bytes of an index, if they are known.
pub(super) fn measure(prepared: &Prepared, index: &str) -> Option<(u64, u64)> {
    let offline = prepared.offline.as_ref().and_then(|offline| offline.indices.get(index));
    let offline = offline.map(|facts| (u64::from(facts.shards), facts.bytes));
    let told = prepared.snapshot.index_details.get(index);
    offline.or_else(|| told.map(|details| (u64::from(details.shard_count), details.size_in_bytes)))
}

fn bytes(prepared: &Prepared, index: &str) -> Option<u64> {
    measure(prepared, index).map(|(_, bytes)| bytes)
}

fn batched(prepared: &Prepared, options: &Options, units: &[Unit]) -> Batched {
    let place = units.first().map_or(Place::Own, |unit| unit.place);
    let mut names: Vec<String> = units.iter().map(|unit| unit.name.clone()).collect();
    names.sort_unstable();
    let mut pieces: Vec<Piece> = units.iter().flat_map(|unit| unit.pieces.clone()).collect();
    pieces.sort_unstable();
    let own = |piece: &Piece| Replicas::of(options, prepared.offline.as_ref(), &piece.index);
    let wait = pieces.iter().all(|piece| own(piece).may_wait);
    let mut settings = options.settings.clone();
    if wait {
        settings.insert(REPLICAS.to_owned(), json!(0));
    }
    let replicas = pieces.iter().filter_map(|piece| Some((piece.target.clone(), own(piece).afterwards?)));
    let replicas = replicas.filter(|(_, count)| !wait || *count > 0).collect();
    let order = Order {
        targets: pieces.iter().map(|piece| piece.target.clone()).collect(),
        names,
        rename: units.first().and_then(|unit| unit.rename.clone()),
        aliases: if place == Place::Own { options.aliases } else { Aliases::Dropped },
        ignore_settings: prepared.ignore.clone(),
        settings,
        bytes: pieces.iter().map(|piece| bytes(prepared, &piece.index)).sum(),
        shortfall: match options.partial {
            Partial::Refused => Shortfall::Refused,
            Partial::Accepted => Shortfall::Empty,
        },
        ..follow_order(options, &prepared.snapshot, units)
    };
    Batched { order, pieces, place, replicas }
}
