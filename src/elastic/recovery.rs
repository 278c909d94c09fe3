//! How many bytes of a restore are on the nodes, as `_recovery` tells it. It is for display: what decides is in `follow`.

use serde_json::Value;

use super::client::Client;
use super::index::number;
use super::request::{Request, batches};
use super::restore::Started;

/// Bytes on the nodes, summed over the primaries that `_recovery` still lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bytes {
    pub(super) done: u64,
    total: u64,
    pub(super) reused: u64,
    /// Shards that tell their size: those not begun yet do not.
    known: u64,
}

impl Bytes {
    /// What the cluster tells now, or what it told before if that was more. It is for display: not knowing is no failure.
    pub(super) async fn most(self, client: &Client, started: &Started) -> Self {
        let mut now = Self::default();
        for batch in batches(started.targets.iter().map(String::as_str)) {
            let request = Request::get("read the restore's progress", &[])
                .names(&batch)
                .word("_recovery")
                .query("filter_path", "*.shards.primary,*.shards.type,*.shards.index.size");
            match client.try_call(request).await {
                Ok(answer) => now.add(&answer),
                Err(refusal) => {
                    tracing::debug!(error = %refusal.error, "no progress");
                    return self;
                }
            }
        }
        if now.done >= self.done { now } else { self }
    }

    /// The bytes in all: as foretold, or by the shards themselves once all of them tell; 0 until then.
    pub(super) fn total(self, started: &Started, shards: u64) -> u64 {
        match started.bytes {
            Some(bytes) => bytes.max(self.done),
            None if self.known >= shards => self.total,
            None => 0,
        }
    }

    fn add(&mut self, recovery: &Value) {
        for index in recovery.as_object().into_iter().flat_map(|indices| indices.values()) {
            let shards = index["shards"].as_array().into_iter().flatten();
            for shard in shards.filter(|shard| shard["primary"] == true && shard["type"] == "SNAPSHOT") {
                let size = |key: &str| number(&shard["index"]["size"][key]).unwrap_or(0);
                let total = size("total_in_bytes");
                self.known += u64::from(total > 0);
                self.total += total;
                self.reused += size("reused_in_bytes");
                self.done += (size("reused_in_bytes") + size("recovered_in_bytes")).min(total);
            }
        }
    }
}
