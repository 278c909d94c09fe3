//! A thin client for Elasticsearch 5.0 to 9.x and OpenSearch 1 to 3: repositories, snapshots, restores, counts.
//!
//! It says what a cluster really did, not what its status line claims: a restore that answers 200 with failed shards, a
//! registration that proves nothing and a count over half of the shards are failures here. It knows no store, reads no
//! repository format and decides no policy across clusters; `ops` does that.
//!
//! Start at [`Client::connect`]. [`repository`] registers, [`snapshot`] lists and [`creation`] takes snapshots, [`restore`]
//! starts one and [`follow`] sees it to its end, [`selection`], [`rename`] and [`index`] prepare it, [`count`] checks it.

mod auth;
mod busy;
mod client;
pub mod conflict;
pub mod count;
pub mod creation;
pub mod datemath;
pub mod deletion;
pub mod document;
mod exchange;
mod failure;
pub mod follow;
mod included;
pub mod index;
pub mod listing;
pub mod metadata;
mod name;
pub mod numbers;
pub mod rename;
pub mod repository;
mod request;
pub mod resolve;
pub mod restore;
pub mod selection;
mod shard;
pub mod snapshot;
pub mod status;
mod version;
pub mod writable;

pub use auth::Auth;
pub use client::{Backoff, Client, Options};
pub use version::{Capability, Distribution, Version};
