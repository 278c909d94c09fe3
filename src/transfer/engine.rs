//! What every transfer of a run needs: both stores, the options, the budget, who listens, and whether to stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Options;
use super::budget::Budget;
use crate::error::{Error, ErrorKind};
use crate::event::Reporter;
use crate::store::ObjectStore;

/// What every transfer of a run needs.
pub struct Engine {
    pub(super) from: Arc<dyn ObjectStore>,
    pub(super) to: Arc<dyn ObjectStore>,
    pub(super) options: Options,
    pub(super) budget: Budget,
    pub(super) reporter: Arc<dyn Reporter>,
    /// Cancelled with the run, or by the run itself when it ends early.
    pub(super) cancel: CancellationToken,
}

impl Engine {
    /// An engine that copies from one store to another.
    ///
    /// The stores come without retries of their own: a transfer is repeated from its source on.
    #[must_use]
    pub fn new(
        from: Arc<dyn ObjectStore>,
        to: Arc<dyn ObjectStore>,
        options: Options,
        reporter: Arc<dyn Reporter>,
        cancel: &CancellationToken,
    ) -> Self {
        let budget = Budget::new(&options);
        Self { from, to, options, budget, reporter, cancel: cancel.child_token() }
    }

    /// Whether an object of this size goes in parts.
    pub(super) fn is_large(&self, size: u64) -> bool {
        size > self.options.multipart_threshold.min(self.to.capability().max_put)
    }

    pub(super) fn cancelled() -> Error {
        Error::new(ErrorKind::Cancelled, "go on")
            .because("a signal asked to stop")
            .hint("run the same command again to finish")
    }
}
