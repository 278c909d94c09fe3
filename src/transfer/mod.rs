//! Moves objects in order. The flow in one page:
//!
//! ```text
//! listings ─► join ─┐
//!                   ├─► plan ─► Run<Data> ─► Run<Meta> ─► Fence ─► Run<Root> ─► Committed
//! a format: Wanted ─┘     │        copies      copies       ▲         writes the root
//!                         └ skips, extras                   Pin still holds?
//! ```
//!
//! This room knows *that* there is an order, never *whose*: what is wanted and when is told by a [`Wanted`], what a run started from by
//! a [`Pin`]. It knows no format and no Elasticsearch. `run` is the only part that spawns tasks.

mod budget;
mod compare;
mod copy;
mod engine;
mod filter;
mod join;
mod look;
mod pace;
mod phase;
mod pipe;
mod plan;
mod proof;
mod run;
mod seal;
mod server_copy;
mod spool;
mod summary;
mod sweep;

pub use self::compare::{Compare, Reason};
pub use self::copy::Receipt;
pub use self::engine::Engine;
pub use self::filter::Filter;
pub use self::join::{Join, Pair};
use self::pace::Pace;
pub use self::phase::{
    Data, Fence, Held, Item, Meta, NoPin, Phase, Pin, Publication, Published, Raised, Root, Transfer,
};
pub use self::plan::{CopyPlan, LEVELS, Only, Rules, Step, Want, Wanted};
pub use self::proof::{Integrity, Proof};
pub use self::run::{Committed, Run, Stop};
pub use self::seal::Seal;
pub use self::spool::Spool;
pub use self::summary::{Failure, Summary, Totals};
use crate::store::wrap::Policy;

const MIB: u64 = 1024 * 1024;

/// How much at once, in which pieces, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Objects or parts under way at once, 1 to 1,024.
    pub transfers: u32,
    /// Bytes that the streams under way may hold, at least 1 MiB.
    pub memory: u64,
    /// Objects above this size, in bytes, are copied in parts.
    pub multipart_threshold: u64,
    /// The size of a part, in bytes, unless the object needs larger ones. A part is what a broken connection repeats.
    pub part_size: u64,
    /// Bytes of all streams together for each second; none for no bound.
    pub bandwidth: Option<u64>,
    /// Requests to each side for each second; none for no bound.
    pub requests_per_second: Option<u32>,
    /// Whether the server copies where both sides are the same place.
    pub server_copy: bool,
    /// Whether copies remember in their metadata which object they are of.
    pub remember: bool,
    /// Whether the MD5 of every body is computed too, and compared with every statement of one. It costs ten times the copy.
    pub md5: bool,
    /// When and how often to try again.
    pub retry: Policy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            transfers: 32,
            memory: 128 * MIB,
            multipart_threshold: 32 * MIB,
            part_size: 16 * MIB,
            bandwidth: None,
            requests_per_second: None,
            server_copy: true,
            remember: true,
            md5: false,
            retry: Policy::default(),
        }
    }
}
