//! How much may be under way at once: bytes first, because memory is what runs out, then streams, which are requests.
//!
//! A permit is taken before the work is spawned and moves into it. The order is always the same, and nobody who holds one
//! waits for another, so nothing can lock up.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Options;

/// What one stream holds at most while its bytes pass: the read buffers of both connections and the frames between them.
const PER_STREAM: u64 = 1024 * 1024;
/// The unit of the byte budget: a semaphore counts in 32 bits.
const UNIT: u64 = 16 * 1024;

/// The permits of one run.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    bytes: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    units: u32,
}

/// Leave to move one body from source to target. Given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _bytes: OwnedSemaphorePermit,
    _stream: OwnedSemaphorePermit,
}

impl Budget {
    pub(super) fn new(options: &Options) -> Self {
        let units = u32::try_from(options.memory / UNIT).unwrap_or(u32::MAX).clamp(1, 1 << 20);
        let permits = |count: u32| Arc::new(Semaphore::new(count.max(1) as usize));
        Self { bytes: permits(units), streams: permits(options.transfers), uploads: permits(options.transfers), units }
    }

    /// Leave to stream `length` bytes.
    pub(super) async fn permit(&self, length: u64) -> Permit {
        let units = u32::try_from(length.min(PER_STREAM).div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        let bytes = self.bytes.clone().acquire_many_owned(units).await.expect("the budget is never closed");
        let stream = self.streams.clone().acquire_owned().await.expect("the budget is never closed");
        Permit { _bytes: bytes, _stream: stream }
    }

    /// Leave to have one more object open that is written in parts. It holds no bytes; its parts ask for their own.
    pub(super) async fn upload(&self) -> OwnedSemaphorePermit {
        self.uploads.clone().acquire_owned().await.expect("the budget is never closed")
    }
}
