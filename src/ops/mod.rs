//! The use cases, one file each. They print nothing and know no flags: options in, events on the way, a result out.
//!
//! - [`sync`]: copy what the target lacks; [`plan`]: what that would be
//! - [`keys`]: the keys of a list in place of a listing
//! - [`snapshot`], [`repository`], [`restore`], [`compare`]: the steps at a cluster
//! - [`policy`]: the access policies that these need
//! - [`prune`]: what a copy no longer needs goes
//! - [`inspect`]: what a repository holds, and what would restore
//! - [`advice`]: what of a snapshot a cluster would restore
//! - [`check`]: what a place can do and what it gets wrong
//! - [`verify`]: whether a place holds what it should, and putting that right
//! - [`migrate`]: sync, register, restore, compare

pub mod advice;
pub mod check;
pub mod compare;
mod end;
pub mod inspect;
pub mod keys;
mod lease;
pub mod migrate;
pub mod plan;
pub mod policy;
pub mod prune;
pub mod repository;
pub mod restore;
pub mod snapshot;
pub mod sync;
pub mod verify;

pub use self::end::{End, Reopen, must_be_apart};
