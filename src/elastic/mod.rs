//! A thin client for Elasticsearch 5.0 to 9.x and OpenSearch 1 to 3: repositories, snapshots, restores, counts.
//!
//! It says what a cluster really did, not what its status line claims: a restore that answers 200 with failed shards, a
//! registration that proves nothing and a count over half of the shards are failures here. It knows no store, reads no
//! repository format and decides no policy across clusters; `ops` does that.
//!
//! Start at [`Client::connect`]. [`repository`] registers, [`snapshot`] lists and [`creation`] takes snapshots, [`restore`]
//! starts one and [`follow`] sees it to its end, [`selection`], [`rename`] and [`index`] prepare it, [`count`] checks it.

pub mod aftercare;
mod auth;
pub mod block;
mod client;
pub mod conflict;
pub mod count;
pub mod creation;
pub mod document;
mod exchange;
mod failure;
pub mod follow;
pub mod index;
pub mod inventory;
pub mod metadata;
mod name;
pub mod numbers;
pub mod rename;
pub mod repository;
mod request;
pub mod restore;
pub mod selection;
pub mod settings;
mod shard;
pub mod snapshot;
pub mod throttle;
pub mod undo;
mod version;

pub use auth::Auth;
pub use client::{Backoff, Client, Options};
pub use version::{Capability, Distribution, Version};
