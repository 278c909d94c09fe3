//! Restoring a snapshot, start to end.
//!
//! 1. Look: the snapshot must be complete; choose its indices, foretell their final names, see what is in the way.
//! 2. If the cluster is at this very restore already, because an earlier command was interrupted, go to 5.
//! 3. Close what the policy says. Everything that can be refused has been refused by now: closing is where harm begins.
//! 4. Start the restore. If the cluster refuses it after all, open again what was closed.
//! 5. Follow it until every primary is started.

mod log;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use self::log::{Entry, Recovered, RestoreLog, Undo, recover};
use super::End;
use super::snapshot::{Which, find};
use crate::elastic::Client;
use crate::elastic::aftercare::Lifecycle;
use crate::elastic::conflict::{self, Conflict, Piece, Plan};
use crate::elastic::creation::GlobalState;
use crate::elastic::follow::{self, Patience};
use crate::elastic::index::{self, Existing};
use crate::elastic::rename::Rename;
use crate::elastic::restore::{self, Aliases, IGNORED, Order, Started};
use crate::elastic::selection::{self, Preset};
use crate::elastic::snapshot::{Shards, Snapshot};
use crate::elastic::throttle::Raise;
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
    /// What is chosen where `indices` names nothing.
    pub preset: Preset,
    /// Whether a snapshot that lacks shards may be restored; what it lacks comes back empty.
    pub partial: Partial,
    /// What stands before the names that [`Conflict::Rename`] makes.
    pub prefix: String,
    /// How many replicas the indices have afterwards; none while they are restored, as far as it is known how many they had.
    pub replicas: Option<u32>,
    /// What becomes of lifecycle policies.
    pub lifecycle: Lifecycle,
    /// Whether the cluster's own state comes along, over what the target has.
    pub global_state: GlobalState,
    /// Features whose state comes along, over what the target has.
    pub feature_states: Vec<String>,
    /// Consent to overwrite the cluster's own state, with its users and its Kibana.
    pub overwrite_system: Consent,
    /// Consent to what [`Conflict::Delete`] does.
    pub delete: Consent,
    /// A repository of the target that takes a snapshot of what is overwritten or deleted, before it is.
    pub safety: Option<String>,
    /// What is raised for the time of the restore and put back after it.
    pub raise: Raise,
    /// How much is restored in one request.
    pub batch: Batch,
    /// The repository itself, where it can be read: it tells versions, sizes and settings that no cluster tells.
    pub copy: Option<Arc<End>>,
    /// Another copy of the repository. Blobs that a failed shard misses in `copy` are brought from there, and the shard is tried
    /// again.
    pub repair_from: Option<Arc<End>>,
    /// The cluster that the snapshot came from: what it has and no snapshot carries is looked for on the target.
    pub source: Option<Client>,
    /// What must hold of the pieces under their temporary names before [`Conflict::Swap`] lets the names point to them, beside that
    /// all shards answer.
    pub before_swap: Option<Arc<dyn Check>>,
    /// Who is told what is changed before it is.
    pub log: Option<Arc<dyn RestoreLog>>,
    /// What an earlier run of this restore left.
    pub left: Undo,
}

impl Default for Options {
    /// The youngest snapshot, everything but system indices, nothing overwritten. The repository is still to be named.
    fn default() -> Self {
        Self {
            repository: String::new(),
            snapshot: Which::Latest,
            indices: Vec::new(),
            rename: None,
            conflict: Conflict::Fail,
            aliases: Aliases::Restored,
            ignore_settings: IGNORED.map(str::to_owned).to_vec(),
            settings: BTreeMap::new(),
            patience: Patience::default(),
            preset: Preset::default(),
            partial: Partial::default(),
            prefix: "restored-".into(),
            replicas: None,
            lifecycle: Lifecycle::default(),
            global_state: GlobalState::default(),
            feature_states: Vec::new(),
            overwrite_system: Consent::default(),
            delete: Consent::default(),
            safety: None,
            raise: Raise::default(),
            batch: Batch::default(),
            copy: None,
            repair_from: None,
            source: None,
            before_swap: None,
            log: None,
            left: Undo::default(),
        }
    }
}

/// Whether a snapshot may be restored that lacks shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partial {
    /// It may not.
    #[default]
    Refused,
    /// It may.
    Accepted,
}

/// What the user says to something that cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consent {
    /// Nothing.
    #[default]
    Withheld,
    /// Yes.
    Given,
}

/// How much is restored in one request, so that a failure is contained. An index or data stream that is larger goes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Indices at most.
    pub indices: usize,
    /// Bytes at most, where they are known.
    pub bytes: u64,
}

impl Default for Batch {
    /// A hundred indices, 500 GiB: an hour or so at 40 MB a second on four nodes.
    fn default() -> Self {
        Self { indices: 100, bytes: 500 << 30 }
    }
}

/// What must hold before an alias takes the place of an index.
pub trait Check: std::fmt::Debug + Send + Sync {
    /// Looks at restored indices, by their names in the snapshot and their names for the time being in the cluster.
    fn check<'a>(&'a self, client: &'a Client, pieces: &'a [Piece]) -> BoxFuture<'a, Result<()>>;
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
