//! What a bucket of the benchmark holds, in one short text: `objects=100000,size=4KiB`.
//!
//! The keys follow from the number of objects; what the objects hold is the business of `content`.

use std::str::FromStr;

use super::{Failure, Result};

/// More would need a ninth digit, and the keys would no longer be in the order of their numbers.
const MOST_OBJECTS: u64 = 100_000_000;

/// A number of objects of one size, with the keys `data/00000000`, `data/00000001` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) objects: u64,
    pub(crate) size: u64,
}

impl Spec {
    /// The key of the object with this number.
    pub(crate) fn key(number: u64) -> String {
        format!("data/{number:08}")
    }

    /// The number of the object with this key.
    pub(crate) fn number(self, key: &str) -> Option<u64> {
        let digits = key.strip_prefix("data/").filter(|digits| digits.len() == 8)?;
        digits.parse().ok().filter(|&number| number < self.objects && Self::key(number) == key)
    }

    /// The number of the first object whose key is greater than `key`, or the number of objects when none is.
    pub(crate) fn first_after(self, key: &str) -> u64 {
        let (mut low, mut high) = (0, self.objects);
        while low < high {
            let middle = low.midpoint(high);
            if Self::key(middle).as_str() > key { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// The length of all objects together.
    pub(crate) fn bytes(self) -> u64 {
        self.objects * self.size
    }
}

impl FromStr for Spec {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        let (mut objects, mut size) = (None, None);
        for pair in text.split(',') {
            match pair.split_once('=') {
                Some(("objects", value)) => objects = Some(value.parse()?),
                Some(("size", value)) => size = Some(parse_size(value)?),
                _ => return Err(format!("`{pair}` is neither `objects=<number>` nor `size=<bytes>`").into()),
            }
        }
        let (Some(objects), Some(size)) = (objects, size) else {
            return Err(format!("`{text}` lacks `objects=` or `size=`").into());
        };
        if objects > MOST_OBJECTS {
            return Err(format!("{objects} objects are more than {MOST_OBJECTS}").into());
        }
        Ok(Self { objects, size })
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "objects={},size={}", self.objects, self.size)
    }
}

/// Reads `4096`, `4KiB`, `16MiB` or `4GiB`.
pub(crate) fn parse_size(text: &str) -> Result<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (digits, shift) =
        units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift))).unwrap_or((text, 0));
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is not a size such as `4096` or `16MiB`"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is too large").into())
}
