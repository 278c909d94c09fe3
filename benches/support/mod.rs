//! The parts of the copying benchmark: a server that stores nothing, the floor program, and what measures them.
//!
//! `server` and `relay` run in processes of their own, started again from the benchmark's binary, so that the processor time
//! of one is never charged to another. `workload`, `pair`, `program`, `peer`, `process`, `measure` and `report` belong to the harness.

pub(crate) mod content;
pub(crate) mod measure;
pub(crate) mod pair;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod relay;
pub(crate) mod report;
pub(crate) mod server;
pub(crate) mod spec;
pub(crate) mod workload;

/// A failure that ends a process of the benchmark; nothing here tells one kind from another.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A result whose failure is only ever shown.
pub(crate) type Result<T> = std::result::Result<T, Failure>;
