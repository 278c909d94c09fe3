//! What every transfer of a run needs: both stores, the options, the budget, who listens, and whether to stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Options;
use super::budget::Budget;
use super::pace::Pace;
use super::seal::Files;
use crate::error::{Error, ErrorKind};
use crate::event::Reporter;
use crate::store::wrap::{Limit, LimitOptions, LimitSnapshot};
use crate::store::{Algorithm, Location, ObjectStore};

/// How the server copies within itself.
#[derive(Debug, Clone)]
pub(super) struct Copying {
    /// The source as the server knows it.
    pub(super) location: Location,
    /// The largest object that one request copies, in bytes.
    pub(super) max: u64,
}

/// What every transfer of a run needs.
pub struct Engine {
    pub(super) from: Arc<dyn ObjectStore>,
    pub(super) to: Arc<dyn ObjectStore>,
    pub(super) options: Options,
    pub(super) budget: Budget,
    pub(super) reporter: Arc<dyn Reporter>,
    /// What is summed of every body: our own checksum, and what either side states by itself.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) pace: Pace,
    /// Sealed files of several objects that are on their way.
    pub(super) files: Files,
    /// The limits around `from` and `to`: two, even at one endpoint, because a put waits while its get is open.
    limits: [Limit; 2],
    pub(super) to_keeps_attributes: bool,
    /// The largest object that goes in one request, in bytes.
    largest_put: u64,
    /// How the server copies, if both sides are the same place.
    pub(super) server_copy: Option<Copying>,
    /// Cancelled with the run, or by the run itself when it ends early.
    pub(super) cancel: CancellationToken,
}

impl Engine {
    /// An engine that copies from one store to another.
    ///
    /// The stores come without retries of their own: a transfer is repeated from its source on. Each gets its own limit.
    #[must_use]
    pub fn new(
        from: Arc<dyn ObjectStore>,
        to: Arc<dyn ObjectStore>,
        options: Options,
        reporter: Arc<dyn Reporter>,
        cancel: &CancellationToken,
    ) -> Self {
        let (source, target) = (from.capability(), to.capability());
        let mut algorithms = vec![Algorithm::Crc64Nvme];
        let md5 = options.md5.then_some(Algorithm::Md5);
        for algorithm in [source.states, target.states, md5].into_iter().flatten() {
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        let server_copy = match (source.copy, target.copy) {
            (Some(source), Some(target)) if options.server_copy && source.place == target.place => {
                Some(Copying { location: source.location, max: target.max })
            }
            _ => None,
        };
        let bound = LimitOptions { most: options.transfers, per_second: options.requests_per_second };
        let limits = [from, to].map(|store| Limit::new(store, bound, reporter.clone()));
        let [from, to] = limits.clone().map(|limit| -> Arc<dyn ObjectStore> { Arc::new(limit) });
        Self {
            budget: Budget::new(&options),
            pace: Pace::new(options.bandwidth),
            files: Files::default(),
            limits,
            from,
            to,
            largest_put: options.multipart_threshold.min(target.max_put),
            options,
            reporter,
            algorithms,
            to_keeps_attributes: target.attributes,
            server_copy,
            cancel: cancel.child_token(),
        }
    }

    /// How the limits of source and target stand.
    #[must_use]
    pub fn limits(&self) -> [LimitSnapshot; 2] {
        self.limits.each_ref().map(Limit::snapshot)
    }

    /// Whether an object of this size goes in parts.
    pub(super) fn is_large(&self, size: u64) -> bool {
        size > self.largest_put
    }

    pub(super) fn cancelled() -> Error {
        Error::new(ErrorKind::Cancelled, "go on")
            .because("a signal asked to stop")
            .hint("run the same command again to finish")
    }
}
