//! What the tests share: real repositories unpacked, an S3 server in this process, and ways to look at both.
#![expect(dead_code, reason = "each test binary uses some of it")]

pub(crate) mod copy;
pub(crate) mod fake;
pub(crate) mod fixture;
pub(crate) mod forge;
pub(crate) mod s3;
