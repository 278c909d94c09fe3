//! Chance that repeats: everything forged follows from one seed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A source of numbers (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(length).collect()
    }

    /// An id as Elasticsearch makes them: 22 characters of URL-safe Base64, which may begin with `-` or `_`.
    pub(crate) fn uuid(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes(16))
    }

    /// The id of an index's metadata from 7.9 on: 20 characters.
    pub(crate) fn blob_id(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes(15))
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }

    /// Mixes several orders into one that keeps each: what several nodes write at once.
    pub(crate) fn weave<T>(&mut self, mut lines: Vec<Vec<T>>) -> Vec<T> {
        for line in &mut lines {
            line.reverse();
        }
        let mut woven = Vec::new();
        loop {
            lines.retain(|line| !line.is_empty());
            if lines.is_empty() {
                return woven;
            }
            let at = self.below(lines.len());
            woven.extend(lines[at].pop());
        }
    }
}
