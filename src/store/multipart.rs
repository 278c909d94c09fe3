//! Objects written in parts, and how large the parts must be.

use std::fmt::Debug;

use async_trait::async_trait;

use super::capability::Capability;
use super::meta::{Checksum, ETag};
use super::request::{Body, Origin, PutResult};
use crate::error::{Error, ErrorKind, Result};

/// An object being written in parts. Nothing of it is visible before [`complete`](MultipartUpload::complete).
///
/// Dropping one leaves the parts at the store, where some providers bill them: whoever starts an upload ends it with
/// `complete` or `abort`.
#[async_trait]
pub trait MultipartUpload: Debug + Send + Sync {
    /// Writes one part. May be called for several parts at once, in any order, and again for a part that failed.
    async fn put_part(&self, part: PartSpec, body: Body) -> Result<Part>;

    /// Lets the server copy one part out of another object. Only between stores of equal
    /// [`place`](super::capability::ServerCopy::place).
    async fn copy_part(&self, part: PartSpec, from: Origin<'_>) -> Result<Part>;

    /// Makes the object of all its parts visible at once. `parts` are in order and without a gap.
    async fn complete(&self, parts: Vec<Part>) -> Result<PutResult>;

    /// Forgets all parts. Succeeds when there is nothing left to forget.
    async fn abort(&self) -> Result<()>;
}

/// Which part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSpec {
    /// Its number, from 1.
    pub number: u32,
    /// Where it begins in the object, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// A part that was written.
#[derive(Debug, Clone)]
pub struct Part {
    /// Which one.
    pub spec: PartSpec,
    /// The mark the store gave it.
    pub etag: Option<ETag>,
    /// The checksums that the store itself computed over it; none if it states none.
    pub checksums: Vec<Checksum>,
}

const MIB: u64 = 1024 * 1024;

/// The parts that an object of `size` bytes is written in: of the preferred size while that gives at most half the parts
/// allowed, larger beyond, so that any object the store can hold fits.
///
/// [`ErrorKind::Unsupported`] for an object larger than the store takes.
pub fn parts(size: u64, preferred: u64, capability: &Capability) -> Result<impl Iterator<Item = PartSpec> + use<>> {
    if size > capability.max_object {
        return Err(Error::new(ErrorKind::Unsupported, format!("write an object of {size} bytes"))
            .because(format!("the target takes at most {} bytes in one object", capability.max_object)));
    }
    let half = u64::from(capability.max_parts / 2).max(1);
    let grown = size.div_ceil(half).next_multiple_of(MIB);
    let length = if size.div_ceil(preferred.max(1)) > half { grown } else { preferred }
        .clamp(capability.min_part, capability.max_part)
        .max(size.div_ceil(u64::from(capability.max_parts)))
        .max(1);
    Ok((0..size.div_ceil(length)).map(move |index| PartSpec {
        number: u32::try_from(index + 1).expect("no store takes more than 2^32 parts"),
        offset: index * length,
        length: length.min(size - index * length),
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn s3() -> Capability {
        Capability::s3()
    }

    #[test]
    fn a_size_just_around_a_part_gives_the_parts_one_expects() {
        let lengths = |size| parts(size, 16 * MIB, &s3()).expect("fits").map(|part| part.length).collect::<Vec<_>>();
        assert_eq!(lengths(16 * MIB), [16 * MIB]);
        assert_eq!(lengths(16 * MIB + 1), [16 * MIB, 1]);
        assert_eq!(lengths(32 * MIB - 1), [16 * MIB, 16 * MIB - 1]);
    }

    #[test]
    fn an_object_beyond_the_maximum_is_refused() {
        assert!(parts(s3().max_object + 1, 16 * MIB, &s3()).is_err());
    }

    proptest! {
        #[test]
        fn parts_cover_the_object_once_and_keep_every_limit(size in 1..Capability::s3().max_object, preferred in 1..(1u64 << 34)) {
            let capability = s3();
            let (mut count, mut next) = (0u64, 0u64);
            for part in parts(size, preferred, &capability).expect("fits") {
                count += 1;
                prop_assert_eq!(u64::from(part.number), count);
                prop_assert_eq!(part.offset, next);
                next += part.length;
                prop_assert!(part.length <= capability.max_part);
                prop_assert!(part.length >= capability.min_part || next == size);
            }
            prop_assert_eq!(next, size);
            prop_assert!(count <= u64::from(capability.max_parts));
        }
    }
}
