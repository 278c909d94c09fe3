//! Progress of the whole restore, made of that of its batches.

use super::orders;
use super::work::Work;
use crate::event::{Event, Reporter};

/// Adds what earlier batches did to what one batch tells.
pub(super) struct Overall<'a> {
    inner: &'a dyn Reporter,
    shards: u64,
    bytes: u64,
    /// Shards and bytes of the whole restore, where they are known.
    all: Option<(u64, u64)>,
}

impl<'a> Overall<'a> {
    pub(super) fn new(work: &Work<'a>) -> Self {
        let pieces = work.all_units().flat_map(|unit| &unit.pieces);
        let mut all = pieces.map(|piece| orders::measure(work.prepared, &piece.index));
        let all = all.try_fold((0, 0), |(shards, bytes), one| one.map(|one| (shards + one.0, bytes + one.1)));
        Self { inner: work.reporter, shards: work.restored.shards.total, bytes: work.restored.bytes, all }
    }
}

impl Reporter for Overall<'_> {
    fn report(&self, event: &Event<'_>) {
        let Event::Shards { doing, done, total, bytes, bytes_total } = *event else {
            return self.inner.report(event);
        };
        let (shards, all) =
            self.all.unwrap_or((self.shards + total, if bytes_total > 0 { self.bytes + bytes_total } else { 0 }));
        self.inner.report(&Event::Shards {
            doing,
            done: self.shards + done,
            total: shards.max(self.shards + total),
            bytes: self.bytes + bytes,
            bytes_total: all.max(if bytes_total > 0 { self.bytes + bytes } else { 0 }),
        });
    }
}
