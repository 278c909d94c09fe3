//! The requests that a restore would send, as a preview shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::orders::{self, Batched};
use super::prepare::Prepared;
use super::{Options, swap};
use crate::elastic::Client;
use crate::elastic::aftercare::Lifecycle;
use crate::elastic::settings::{self, Change};

/// One request that changes something. The field names are stable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planned {
    /// Its method.
    pub method: &'static str,
    /// Its path.
    pub path: String,
    /// Its body, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl Planned {
    fn new(method: &'static str, path: String, body: Option<Value>) -> Self {
        Self { method, path, body }
    }

    /// For people, in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let body = self.body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
        format!("{} {}{body}", self.method, self.path)
    }
}

/// The open indices that are overwritten or deleted.
pub(super) fn touched(prepared: &Prepared) -> Vec<String> {
    let plan = &prepared.plan;
    let open = |name: &&String| prepared.existing.indices.get(*name).is_some_and(|index| index.is_open);
    plan.close.iter().chain(&plan.delete).chain(plan.swaps.keys()).filter(open).cloned().collect()
}

/// All of them in their order. What cannot be foretold, as the cluster does not answer, is left out.
pub(super) async fn of(client: &Client, options: &Options, prepared: &Prepared) -> Vec<Planned> {
    let mut sent = Vec::new();
    let changes = raised(client, options).await;
    let set = |changes: &[Change]| Planned::new("PUT", "/_cluster/settings".to_owned(), Some(settings::body(changes)));
    if !changes.is_empty() {
        sent.push(set(&changes));
    }
    if options.lifecycle == Lifecycle::Stop {
        sent.push(Planned::new("POST", "/_ilm/stop".to_owned(), None));
    }
    let touched = touched(prepared);
    if let Some(repository) = options.safety.as_ref().filter(|_| !touched.is_empty()) {
        let path = format!("/_snapshot/{repository}/before-{}", prepared.snapshot.name.to_lowercase());
        sent.push(Planned::new("PUT", path, Some(json!({ "indices": touched }))));
    }
    for unit in prepared.done.iter().chain(&prepared.running) {
        for batch in orders::batches(prepared, options, vec![unit.clone()]) {
            after(client, options, prepared, &batch, &mut sent).await;
        }
    }
    for batch in prepared.batches(options) {
        let is_ours = |name: &&String| batch.order.targets.contains(*name);
        let ours = |names: &[String]| names.iter().filter(is_ours).cloned().collect::<Vec<_>>().join(",");
        let (delete, close) = (ours(&prepared.plan.delete), ours(&prepared.plan.close));
        if !delete.is_empty() {
            sent.push(Planned::new("DELETE", format!("/{delete}"), None));
        }
        if !close.is_empty() {
            sent.push(Planned::new("POST", format!("/{close}/_close"), None));
        }
        let path = format!("/_snapshot/{}/{}/_restore", options.repository, prepared.snapshot.name);
        sent.push(Planned::new("POST", path, Some(batch.order.body(client))));
        after(client, options, prepared, &batch, &mut sent).await;
    }
    if !changes.is_empty() {
        sent.push(set(&changes.iter().map(Change::reversed).collect::<Vec<_>>()));
    }
    sent
}

async fn raised(client: &Client, options: &Options) -> Vec<Change> {
    let mut changes = options.left.raised.clone();
    if let Ok(now) = settings::read(client).await {
        let known: Vec<String> = changes.iter().map(|change| change.name.clone()).collect();
        changes.extend(options.raise.changes(&now).into_iter().filter(|change| !known.contains(&change.name)));
    }
    changes
}

/// What follows once the primaries of a batch are started.
async fn after(client: &Client, options: &Options, prepared: &Prepared, batch: &Batched, sent: &mut Vec<Planned>) {
    for (name, count) in &batch.replicas {
        let body = json!({ "index.number_of_replicas": count });
        sent.push(Planned::new("PUT", format!("/{name}/_settings"), Some(body)));
    }
    let is_here = |target: &String| batch.pieces.iter().any(|piece| piece.target == *target);
    let swaps: BTreeMap<String, String> =
        prepared.plan.swaps.clone().into_iter().filter(|(_, target)| is_here(target)).collect();
    if swaps.is_empty() {
        return;
    }
    let came = swap::of_snapshot(options, prepared.offline.as_ref(), batch.pieces.iter());
    if let Ok((_, actions)) = swap::planned(client, &swaps, &prepared.existing, &came).await {
        sent.push(Planned::new("POST", "/_aliases".to_owned(), Some(json!({ "actions": actions }))));
    }
}
