//! Chance that can be had again: a seed that is printed, and taken from `SNAPFERRY_SEED` where that is set.
#![expect(clippy::print_stderr, reason = "a seed that nobody sees cannot be used again")]

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Sebastiano Vigna's splitmix64: enough to spread moments, and a seed of one number.
#[derive(Debug)]
pub(crate) struct Moments(u64);

impl Moments {
    pub(crate) fn new() -> Self {
        let seed = std::env::var("SNAPFERRY_SEED").map_or_else(
            |_| std::hash::RandomState::new().build_hasher().finish(),
            |seed| seed.parse().expect("SNAPFERRY_SEED is a number"),
        );
        eprintln!("seed: SNAPFERRY_SEED={seed}");
        Self(seed)
    }

    /// A chain of its own: two threads that share one would not come out the same twice.
    pub(crate) fn apart(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a bound is small");
        usize::try_from(self.next() % bound).expect("below a usize")
    }

    pub(crate) fn within(&mut self, whole: Duration) -> Duration {
        whole.mul_f64((self.next() >> 11) as f64 / (1_u64 << 53) as f64)
    }
}
