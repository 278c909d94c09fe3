//! What to restore, and how.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use super::log::{RestoreLog, Undo};
use crate::elastic::Client;
use crate::elastic::aftercare::Lifecycle;
use crate::elastic::conflict::{Conflict, Piece};
use crate::elastic::creation::GlobalState;
use crate::elastic::follow::Patience;
use crate::elastic::rename::Rename;
use crate::elastic::restore::{Aliases, IGNORED};
use crate::elastic::selection::Preset;
use crate::elastic::throttle::Raise;
use crate::error::Result;
use crate::ops::End;
use crate::ops::snapshot::Which;

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
    /// Consent to what [`Conflict::Delete`] does, and [`Conflict::Swap`] where an index has the name.
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
    /// Whether `left` must be of this very restore, so that another one is refused. The rounds of a migration go on to the next snapshot.
    pub only_same: bool,
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
            only_same: false,
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
