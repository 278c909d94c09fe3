//! snapferry moves Elasticsearch and OpenSearch snapshot repositories between object stores, brings the data up on the other
//! side, and proves that what arrived is what left.
//!
//! # The flow
//! ```text
//!         pin ──► list ──► plan ──► copy Data ──► copy Meta ──► fence ──► commit ──► register ──► restore ──► compare
//! room   repo    store   transfer   transfer      transfer      transfer  transfer   elastic      elastic     elastic
//!          ▲                                                      │ source moved: re-plan, a bounded number of times
//!          └──────────────────────────────────────────────────────┘ (what was copied stays copied)
//! ```
//!
//! # The rooms
//! Each may import only what stands above it in this list; `ARCHITECTURE.md` has the table and `tests/architecture.rs` holds it.
//!
//! - [`error`], [`event`], [`secret`]: what went wrong, what happened, what nobody may see
//! - [`wire`]: the one HTTP client
//! - [`store`]: objects in places
//! - [`elastic`]: a thin client for clusters
//! - [`transfer`]: moves objects in order, and knows no format
//! - [`repo`]: the snapshot repository format
//! - [`ops`]: the use cases
//! - [`config`]: what the configuration means
//! - [`cli`]: what the user types and reads

pub mod cli;
pub mod config;
pub mod elastic;
pub mod error;
pub mod event;
pub mod ops;
pub mod repo;
pub mod secret;
pub mod store;
pub mod transfer;
pub mod wire;
