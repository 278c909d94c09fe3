//! Verifying a target against the captured numbers of its source, level by level.
//!
//! 1. Where the source is at hand, its numbers are read once more: what moved since the capture is moving, whatever the numbers
//!    of the target are.
//! 2. The target's numbers are read; an index that is not there or lacks a primary says so instead of failing.
//! 3. Every level of every index gets its verdict; the worst speaks for the index, and for all.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::captured::{Captured, CapturedIndex};
use super::level;
use super::verification::{IndexVerification, Level, LevelVerdict, Sides, Verdict, Verification};
use crate::elastic::Client;
use crate::elastic::conflict::Piece;
use crate::elastic::numbers::{self, Numbers};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// Compares each piece: what was captured of its index, with its target on `target`.
///
/// With the `source` it is also seen whether the source has moved since. A difference is a result and no error; fails with
/// [`ErrorKind::Invalid`] when a piece was not captured.
pub async fn verify(
    captured: &Captured,
    source: Option<&Client>,
    target: &Client,
    pieces: &[Piece],
    level: Level,
    reporter: &dyn Reporter,
) -> Result<Verification> {
    reporter.report(&Event::Step("compare"));
    for piece in pieces {
        if !captured.indices.contains_key(&piece.index) {
            return Err(Error::new(ErrorKind::Invalid, format!("verify `{}`", piece.target))
                .because(format!("nothing was captured of `{}`", piece.index))
                .hint("capture it, or leave it out"));
        }
    }
    let names: Vec<String> = pieces.iter().map(|piece| piece.index.clone()).collect();
    let now = match source {
        Some(source) => numbers::read(source, &names).await?,
        None => BTreeMap::new(),
    };
    let targets: Vec<String> = pieces.iter().map(|piece| piece.target.clone()).collect();
    let looks = level::look(target, &targets).await?;
    let mut indices = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let captured = &captured.indices[&piece.index];
        let moving = motion(captured, now.get(&piece.index), source.is_some());
        indices.push(one(piece, captured, moving, looks.get(&piece.target), level));
    }
    let verdict = Verdict::of(indices.iter().map(|index| index.verdict));
    Ok(Verification {
        version: 1,
        level,
        verdict,
        proves: level::sentence(verdict, level).to_owned(),
        captured_at: captured.captured_at,
        verified_at: Timestamp::now(),
        indices,
    })
}

/// Why the source's numbers are of no single moment, if they are not.
fn motion(captured: &CapturedIndex, now: Option<&Numbers>, is_asked: bool) -> Option<&'static str> {
    match now {
        _ if captured.is_moving => Some("its numbers changed while they were captured"),
        Some(now) if captured.numbers.has_moved(now) => Some("its numbers have changed since they were captured"),
        None if is_asked => Some("it is gone since its numbers were captured"),
        _ => None,
    }
}

fn one(
    piece: &Piece,
    captured: &CapturedIndex,
    moving: Option<&'static str>,
    look: Option<&level::Look>,
    upto: Level,
) -> IndexVerification {
    let levels: Vec<LevelVerdict> = upto
        .up_to()
        .map(|level| match level {
            Level::Recovered => level::recovered(captured, look),
            Level::Counts => level::counts(captured, moving, look),
            _ => level::shards(captured, moving, look),
        })
        .collect();
    let numbers = look.and_then(|look| look.numbers.as_ref());
    IndexVerification {
        index: piece.index.clone(),
        target: piece.target.clone(),
        verdict: Verdict::of(levels.iter().map(|level| level.verdict)),
        documents: Sides { from: captured.numbers.documents, to: numbers.and_then(|numbers| numbers.documents) },
        shards: level::sides(captured, numbers),
        levels,
    }
}
