//! What slows a restore down on purpose, raised for its time.
//!
//! Two settings of the cluster: how many bytes a second each node receives (40 MB unless set), and how many primaries it fills
//! at once (4). A limit of the repository itself (`max_restore_bytes_per_sec`) stays as it is registered.

use serde_json::{Value, json};

use super::settings::{Change, Settings};

/// How many bytes a second each node takes in.
pub const BYTES: &str = "indices.recovery.max_bytes_per_sec";
/// How many primaries each node fills at once.
pub const RECOVERIES: &str = "cluster.routing.allocation.node_initial_primaries_recoveries";

/// What is asked for while the restore runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Raise {
    /// Bytes a second for each node.
    pub bytes_per_second: Option<u64>,
    /// Primaries at once on each node.
    pub recoveries: Option<u32>,
}

impl Raise {
    /// The changes that make it so: none where it is so already.
    #[must_use]
    pub fn changes(&self, settings: &Settings) -> Vec<Change> {
        let bytes = self.bytes_per_second.map(|bytes| (BYTES, json!(format!("{bytes}b"))));
        let recoveries = self.recoveries.map(|count| (RECOVERIES, json!(count.to_string())));
        let wanted = bytes.into_iter().chain(recoveries);
        let is_new = |name: &str, value: &Value| settings.get(name) != Some(value);
        wanted.filter(|(name, value)| is_new(name, value)).map(|(name, value)| settings.change(name, value)).collect()
    }
}
