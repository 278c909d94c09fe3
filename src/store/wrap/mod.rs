//! Stores around stores: each adds one behaviour and passes everything else on.

#[cfg(any(test, feature = "test-util"))]
mod faulty;
mod limit;
mod retry;

#[cfg(any(test, feature = "test-util"))]
pub use faulty::{Fault, Faulty, Operation};
pub use limit::{Limit, LimitOptions, LimitSnapshot};
pub use retry::{Policy, Retry, retry};
