//! A snapshot repository of up to millions of blobs that nobody holds: names, lengths and contents follow from numbers.
//!
//! 1. Every object that the repository ever has, has a slot, and the slots are in the order of the keys' bytes: `shape`.
//! 2. What an object holds is rendered when it is asked for, from a template of its kind: `content`.
//! 3. [`Synthetic`] reads like any store, at one of two times: before and after one more snapshot.
//! 4. [`Target`] takes a copy: of an object that is as the source has it, it keeps one bit.
//!
//! What a blob is made of is said by the forge of the tests: whoever uses this has its `blob` as `crate::blob`.
//!
//! It is a repository of Elasticsearch 8.12 (uuid names, shared metadata of indices, virtual blobs), without compression, so that
//! lengths do not depend on names. Sizes keep section 7's mixture of the format's description, scaled down to bytes that do not matter.

mod content;
mod shape;
mod source;
mod target;

pub(crate) use self::shape::{Shape, Time};
pub(crate) use self::source::Synthetic;
pub(crate) use self::target::Target;
