//! Comparing indices on two clusters: whether the target holds what the source held.
//!
//! [`capture`] takes the source's numbers at the right moment, [`verify()`] holds a target against them at a [`Level`]. [`run`] is
//! the short form for two clusters at rest: by count, and by shard where both sides tell, because equal sums can hide a
//! document lost here and one too many there.

mod asked;
mod captured;
mod content;
mod level;
mod verification;
mod verify;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::asked::Asked;
pub use self::captured::{CAPTURED_VERSION, CaptureOptions, Captured, CapturedIndex, capture, choose};
pub use self::verification::{
    DIFFERENCES, Difference, IndexVerification, Level, LevelVerdict, Sides, Verdict, Verification,
};
pub use self::verify::{Verifying, verify, verify_as};
use crate::elastic::Client;
use crate::elastic::conflict::Piece;
use crate::elastic::count;
use crate::error::Result;
use crate::event::{Event, Reporter};

/// How one index compares with another. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The index on the source.
    pub index: String,
    /// The index on the target.
    pub target: String,
    /// The source's documents.
    pub from: u64,
    /// The target's documents.
    pub to: u64,
    /// All numbers that both sides tell are equal.
    pub equal: bool,
    /// By shard, where both sides tell and have the same number of them.
    pub shards: Option<Vec<ShardComparison>>,
}

/// How one shard compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ShardComparison {
    /// Its number.
    pub shard: u32,
    /// The source's documents, nested ones by themselves.
    pub from: u64,
    /// The target's documents, likewise.
    pub to: u64,
}

/// Compares each piece: its index on `from` with its target on `to`.
///
/// A difference is a result and no error. A count that is not of all shards is an error.
pub async fn run(from: &Client, to: &Client, pieces: &[Piece], reporter: &dyn Reporter) -> Result<Vec<Comparison>> {
    reporter.report(&Event::Step("compare"));
    let mut comparisons = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let (source, target) =
            (count::documents(from, &piece.index).await?, count::documents(to, &piece.target).await?);
        let by_shard = shards(
            count::documents_by_shard(from, &piece.index).await?,
            count::documents_by_shard(to, &piece.target).await?,
        );
        let shards_equal = by_shard.iter().flatten().all(|shard| shard.from == shard.to);
        comparisons.push(Comparison {
            index: piece.index.clone(),
            target: piece.target.clone(),
            from: source.documents,
            to: target.documents,
            equal: source.documents == target.documents && shards_equal,
            shards: by_shard,
        });
    }
    Ok(comparisons)
}

/// Puts the numbers of both sides beside each other, if both are there for the same shards.
fn shards(from: Option<BTreeMap<u32, u64>>, to: Option<BTreeMap<u32, u64>>) -> Option<Vec<ShardComparison>> {
    let (from, to) = (from?, to?);
    if !from.keys().eq(to.keys()) {
        return None;
    }
    Some(
        from.into_iter().zip(to.into_values()).map(|((shard, from), to)| ShardComparison { shard, from, to }).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_compared_only_when_both_sides_have_the_same() {
        let two = BTreeMap::from([(0, 1), (1, 2)]);
        let one = BTreeMap::from([(0, 3)]);
        assert_eq!(shards(Some(two.clone()), Some(one)), None);
        assert_eq!(shards(Some(two.clone()), None), None);
        assert_eq!(shards(Some(two.clone()), Some(two)).unwrap()[1], ShardComparison { shard: 1, from: 2, to: 2 });
    }
}
