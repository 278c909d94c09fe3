//! A thin client for Elasticsearch 5.0 to 9.x and OpenSearch 1 to 3: repositories, snapshots, restores, counts.
//!
//! It says what a cluster really did, not what its status line claims: a restore that answers 200 with failed shards, a
//! registration that proves nothing and a count over half of the shards are failures here. It knows no store, reads no
//! repository format and decides no policy across clusters; `ops` does that.
//!
//! Start at [`Client::connect`]: it finds out who answers ([`About`]) and what that version can do ([`Capability`]). [`repository`] registers, [`snapshot`] lists and [`creation`] takes snapshots, [`restore`]
//! starts one and [`follow`] sees it to its end, [`selection`], [`rename`] and [`index`] prepare it, [`count`] checks it.

mod about;
pub mod aftercare;
pub mod alias;
mod auth;
pub mod block;
mod busy;
mod capability;
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
pub mod health;
pub mod identity;
mod included;
pub mod index;
pub mod inventory;
pub mod leader;
pub mod listing;
pub mod metadata;
mod name;
mod nodes;
pub mod numbers;
pub mod plugins;
mod recovery;
pub mod rename;
pub mod repository;
mod request;
pub mod resolve;
pub mod restore;
pub mod selection;
mod service;
pub mod settings;
mod shard;
mod sign;
pub mod snapshot;
pub mod state;
pub mod status;
pub mod throttle;
pub mod undo;
mod version;
mod warning;
pub mod whoami;
pub mod writable;
pub mod writes;

pub use about::About;
pub use auth::Auth;
pub use capability::Capability;
pub use client::{Backoff, Client, Options};
pub use service::{Service, aws_region};
pub use sign::{Aws, KeySource, Keys};
pub use version::{Distribution, Version};
