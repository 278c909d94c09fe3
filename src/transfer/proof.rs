//! What shows that a copy is right: the statements of both sides held against what passed between them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::store::{Algorithm, Checksum, Key};

/// The strongest statement of one side that was compared and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proof {
    /// Its length; the side states no checksum.
    #[default]
    Length,
    /// This checksum.
    Checksum(Algorithm),
}

impl Proof {
    /// The word for it in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Checksum(algorithm) => algorithm.word(),
        }
    }

    fn strength(self) -> usize {
        match self {
            Self::Length => 0,
            Self::Checksum(algorithm) => algorithm.width(),
        }
    }

    fn or(self, algorithm: Algorithm) -> Self {
        let other = Self::Checksum(algorithm);
        if other.strength() > self.strength() { other } else { self }
    }
}

/// How many objects were proven by what, on each side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// What the source states of what it sent.
    pub source: BTreeMap<&'static str, u64>,
    /// What the target states of what it keeps.
    pub target: BTreeMap<&'static str, u64>,
    /// What the contents say of themselves: how many were held against their own checksum while they passed.
    pub content: BTreeMap<&'static str, u64>,
}

impl Integrity {
    /// Notes an object that carries its own checksum and was right.
    pub fn add_sealed(&mut self) {
        *self.content.entry("lucene").or_default() += 1;
    }

    /// Notes one object.
    pub fn add(&mut self, source: Proof, target: Proof) {
        *self.source.entry(source.word()).or_default() += 1;
        *self.target.entry(target.word()).or_default() += 1;
    }
}

/// Holds the statements of both sides against the sums of what passed, and against each other. The proof of each side, or
/// [`ErrorKind::Corrupt`] if anything contradicts anything.
pub(super) fn prove(
    key: &Key,
    passed: &[Checksum],
    source: &[Checksum],
    target: &[Checksum],
) -> Result<(Proof, Proof)> {
    let (mut from, mut to) = (Proof::default(), Proof::default());
    for (stated, proof, side) in source
        .iter()
        .map(|sum| (sum, false, "the source states"))
        .chain(target.iter().map(|sum| (sum, true, "the target stored")))
    {
        let proof = if proof { &mut to } else { &mut from };
        if let Some(came) = passed.iter().find(|sum| sum.algorithm == stated.algorithm) {
            agree(key, stated, came, side, "passed")?;
            *proof = proof.or(stated.algorithm);
        }
    }
    for stated in source {
        if let Some(kept) = target.iter().find(|sum| sum.algorithm == stated.algorithm) {
            agree(key, stated, kept, "the source states", "is at the target")?;
            (from, to) = (from.or(stated.algorithm), to.or(stated.algorithm));
        }
    }
    Ok((from, to))
}

fn agree(key: &Key, stated: &Checksum, other: &Checksum, side: &str, what: &str) -> Result<()> {
    if stated == other {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Corrupt, format!("copy {key:?}")).because(format!("{side} {stated} and {other} {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, text: &str) -> Checksum {
        Checksum::of(algorithm, text.as_bytes())
    }

    fn proven(passed: &[Checksum], source: &[Checksum], target: &[Checksum]) -> Result<(Proof, Proof)> {
        prove(&Key::new("k").expect("not empty"), passed, source, target)
    }

    #[test]
    fn the_strongest_statement_that_was_compared_is_the_proof() {
        let (crc, md5) = (sum(Algorithm::Crc64Nvme, "a"), sum(Algorithm::Md5, "a"));
        assert_eq!(proven(&[crc], &[], &[]).expect("nothing contradicts"), (Proof::Length, Proof::Length));
        assert_eq!(
            proven(&[crc], &[md5], &[crc]).expect("nothing contradicts"),
            (Proof::Length, Proof::Checksum(Algorithm::Crc64Nvme)),
            "an MD5 that nobody could compare proves nothing"
        );
        assert_eq!(
            proven(&[crc], &[md5, crc], &[md5]).expect("nothing contradicts"),
            (Proof::Checksum(Algorithm::Md5), Proof::Checksum(Algorithm::Md5))
        );
    }

    #[test]
    fn a_contradiction_anywhere_is_damage() {
        let (good, bad) = (sum(Algorithm::Crc64Nvme, "a"), sum(Algorithm::Crc64Nvme, "b"));
        let (md5, other) = (sum(Algorithm::Md5, "a"), sum(Algorithm::Md5, "b"));
        for (source, target) in [(vec![bad], vec![]), (vec![], vec![bad]), (vec![md5, good], vec![other, good])] {
            assert_eq!(proven(&[good], &source, &target).expect_err("damage").kind(), ErrorKind::Corrupt);
        }
    }
}
