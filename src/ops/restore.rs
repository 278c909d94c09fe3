//! Restoring a snapshot, start to end.
//!
//! 1. Look: the snapshot must be complete; choose its indices, foretell their final names, see what is in the way.
//! 2. If the cluster is at this very restore already, because an earlier command was interrupted, go to 5.
//! 3. Close what the policy says. Everything that can be refused has been refused by now: closing is where harm begins.
//! 4. Start the restore. If the cluster refuses it after all, open again what was closed.
//! 5. Follow it until every primary is started.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::snapshot::{Which, find};
use crate::elastic::Client;
use crate::elastic::conflict::{self, Conflict, Piece, Plan};
use crate::elastic::follow::{self, Patience};
use crate::elastic::index::{self, Existing};
use crate::elastic::rename::Rename;
use crate::elastic::restore::{self, Aliases, Order, Started};
use crate::elastic::selection;
use crate::elastic::snapshot::{Shards, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// What to restore, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The repository, by its name in the cluster.
    pub repository: String,
    /// The snapshot in it.
    pub snapshot: Which,
    /// Names, patterns and exclusions; none means everything but the cluster's own indices.
    pub indices: Vec<String>,
    /// What the indices are to be called.
    pub rename: Option<Rename>,
    /// What to do about names that are taken.
    pub conflict: Conflict,
    /// Whether aliases come along.
    pub aliases: Aliases,
    /// Settings left behind; `elastic::restore::IGNORED` is the sensible choice.
    pub ignore_settings: Vec<String>,
    /// Settings changed on the way.
    pub settings: BTreeMap<String, Value>,
    /// How long to wait for something to move.
    pub patience: Patience,
}

/// A restore that ended well. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The repository.
    pub repository: String,
    /// The snapshot's name.
    pub snapshot: String,
    /// The snapshot's identity.
    pub uuid: String,
    /// The indices restored, by their names in the cluster.
    pub indices: Vec<String>,
    /// The same with their names in the snapshot.
    pub pieces: Vec<Piece>,
    /// The primaries; all of them are started.
    pub shards: Shards,
    /// The bytes the indices have, as far as the cluster told.
    pub bytes: u64,
    /// How many of them were on the nodes already.
    pub reused_bytes: u64,
    /// The indices that were closed and restored over.
    pub closed: Vec<String>,
    /// The names that were taken and left as they are.
    pub skipped: Vec<String>,
    /// The cluster's own indices in the snapshot, which nobody asked for.
    pub left_out: Vec<String>,
}

/// Restores, and returns when every primary of every restored index is started.
pub async fn run(
    client: &Client,
    options: &Options,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Restored> {
    reporter.report(&Event::Step("restore"));
    let prepared = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(Error::new(ErrorKind::Cancelled, format!("restore on `{}`", client.place()))
            .because("a signal came before anything was begun")),
        prepared = prepare(client, options, reporter) => prepared?,
    };
    let Prepared { snapshot, plan, left_out, running } = prepared;
    let order = order(options, &snapshot, &plan);
    let started = match running {
        // Only `skip` can leave nothing to do, and then that is what was asked for.
        None if order.targets.is_empty() => None,
        // Not to be interrupted: an index closed and left so would be the worst of both. The requests are few and bounded.
        None => Some(begin(client, &order, &plan.close).await?),
        running => running,
    };
    let mut restored = Restored {
        repository: options.repository.clone(),
        snapshot: snapshot.name,
        uuid: snapshot.uuid,
        indices: plan.pieces.iter().map(|piece| piece.target.clone()).collect(),
        pieces: plan.pieces,
        shards: Shards::default(),
        bytes: 0,
        reused_bytes: 0,
        closed: plan.close,
        skipped: plan.skipped,
        left_out,
    };
    if let Some(started) = started {
        let followed = follow::follow(client, &started, options.patience, reporter, cancel).await?;
        restore::settle(client, &order).await?;
        restored.shards = followed.shards;
        restored.bytes = followed.bytes;
        restored.reused_bytes = followed.reused_bytes;
    }
    Ok(restored)
}

/// What is known before anything is changed.
struct Prepared {
    snapshot: Snapshot,
    plan: Plan,
    left_out: Vec<String>,
    /// This very restore, if it runs already; the plan is then what it does.
    running: Option<Started>,
}

async fn prepare(client: &Client, options: &Options, reporter: &dyn Reporter) -> Result<Prepared> {
    let snapshot = find(client, &options.repository, &options.snapshot).await?;
    let at = |error: Error| {
        error.while_doing(format!("restore `{}:{}` on `{}`", options.repository, snapshot.name, client.place()))
    };
    let selection = selection::select(&options.indices, &snapshot.indices, &snapshot.data_streams).map_err(at)?;
    let plan = |existing: &Existing, conflict| {
        conflict::plan(&selection, &snapshot.indices, options.rename.as_ref(), existing, conflict).map_err(at)
    };
    tell(&selection.left_out, "left out, as names that begin with a dot must be asked for", reporter);
    let whole = plan(&Existing::default(), Conflict::Fail)?;
    let running = resume(client, options, &order(options, &snapshot, &whole), reporter).await?;
    let plan = match running {
        Some(_) => whole,
        None => plan(&index::existing(client).await?, options.conflict)?,
    };
    tell(&plan.skipped, "skipped, as the target already has it", reporter);
    Ok(Prepared { left_out: selection.left_out.clone(), plan, running, snapshot })
}

/// The restore that runs already, if it is this one. One that hangs is given up when the policy allows overwriting.
async fn resume(client: &Client, options: &Options, order: &Order, reporter: &dyn Reporter) -> Result<Option<Started>> {
    let Some(started) = restore::resume(client, order).await? else { return Ok(None) };
    let hanging = follow::hanging(client, &started, options.patience).await?;
    if hanging.is_empty() || options.conflict != Conflict::Close {
        reporter.report(&Event::Warning("the cluster is at this restore already; it is followed to its end"));
        return Ok(Some(started));
    }
    tell(&hanging, "deleted, as an earlier restore hangs in it for ever", reporter);
    restore::abandon(client, order, &hanging).await?;
    Ok(None)
}

fn order(options: &Options, snapshot: &Snapshot, plan: &Plan) -> Order {
    Order {
        repository: options.repository.clone(),
        snapshot: snapshot.name.clone(),
        names: plan.names.clone(),
        targets: plan.pieces.iter().map(|piece| piece.target.clone()).collect(),
        rename: options.rename.clone(),
        aliases: options.aliases,
        ignore_settings: options.ignore_settings.clone(),
        settings: options.settings.clone(),
        bytes: snapshot.bytes_of(plan.pieces.iter().map(|piece| piece.index.as_str())),
    }
}

/// Closes what must be closed and starts the restore; a refusal leaves nothing closed.
async fn begin(client: &Client, order: &Order, close: &[String]) -> Result<Started> {
    let outcome = async {
        index::close(client, close).await?;
        restore::start(client, order).await
    };
    let error = match outcome.await {
        Ok(started) => return Ok(started),
        Err(error) if close.is_empty() => return Err(error),
        Err(error) => error,
    };
    // Opening is harmless even if the restore was begun unseen: its indices are open already.
    let fate = match index::open(client, close).await {
        Ok(()) => "what had been closed for it is open again".to_owned(),
        Err(why) => format!("{} stay closed, because opening them failed: {why}", close.join(", ")),
    };
    let cause = error.cause().unwrap_or_else(|| error.kind().word().to_owned());
    Err(error.because(format!("{cause} ({fate})")))
}

fn tell(names: &[String], why: &str, reporter: &dyn Reporter) {
    for name in names {
        reporter.report(&Event::Warning(&format!("`{name}` is {why}")));
    }
}
