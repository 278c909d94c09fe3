//! Which files are read at level `content`: all, a random share, or one slice of several.
//!
//! A file belongs to a slice by a hash of the index's id, the shard and the name of its blob: the same wherever a copy lies, in every run
//! and on every machine.

/// Which files are read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Portion {
    /// All of them.
    #[default]
    All,
    /// A random share.
    Sample {
        /// Between 0 and 1.
        share: f64,
        /// Another seed gives other files.
        seed: u64,
    },
    /// One of several slices that together are all, each file in one of them.
    Slice {
        /// Which one, from 1.
        number: u32,
        /// How many there are.
        of: u32,
    },
}

impl Portion {
    /// Whether a file belongs to it.
    #[must_use]
    pub fn takes(&self, index_id: &str, shard: u32, name: &str) -> bool {
        match *self {
            Self::All => true,
            Self::Sample { share, seed } => {
                let place = hash(seed, index_id, shard, name) >> 11;
                (place as f64) / ((1u64 << 53) as f64) < share
            }
            Self::Slice { number, of } => {
                hash(0, index_id, shard, name) % u64::from(of.max(1)) + 1 == u64::from(number)
            }
        }
    }
}

/// FNV-1a of 64 bits, stirred once more because its low bits alone follow the last letters.
fn hash(seed: u64, index_id: &str, shard: u32, name: &str) -> u64 {
    let bytes = index_id.bytes().chain([0]).chain(shard.to_be_bytes()).chain(name.bytes());
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ stir(seed);
    stir(bytes.fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// The finalizer of `SplitMix64`.
fn stir(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> impl Iterator<Item = (u32, String)> {
        (0..10_000u32).map(|number| (number % 5, format!("__{number:x}")))
    }

    #[test]
    fn the_slices_together_are_everything_once() {
        for of in [1, 2, 7, 30] {
            let slices: Vec<Portion> = (1..=of).map(|number| Portion::Slice { number, of }).collect();
            for (shard, name) in names() {
                assert_eq!(slices.iter().filter(|slice| slice.takes("id", shard, &name)).count(), 1);
            }
            let first = names().filter(|(shard, name)| slices[0].takes("id", *shard, name)).count() as u64;
            let fair = 10_000 / u64::from(of);
            assert!((fair * 8 / 10..=fair * 12 / 10).contains(&first), "{first} of {of}");
        }
    }

    #[test]
    fn a_sample_is_a_share_and_another_seed_another_sample() {
        let taken = |seed| -> Vec<String> {
            let sample = Portion::Sample { share: 0.05, seed };
            names().filter(|(shard, name)| sample.takes("id", *shard, name)).map(|(_, name)| name).collect()
        };
        assert!((400..600).contains(&taken(1).len()), "{}", taken(1).len());
        assert_eq!(taken(1), taken(1));
        assert_ne!(taken(1), taken(2));
    }
}
