//! Verifying a target against the captured numbers of its source, level by level.
//!
//! 1. Where the source is at hand, its numbers are read once more: what moved since the capture is moving, whatever the numbers
//!    of the target are.
//! 2. The target's numbers are read; an index that is not there or lacks a primary says so instead of failing.
//! 3. Every level of every index gets its verdict; the worst speaks for the index, and for all.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::asked::Asked;
use super::captured::{Captured, CapturedIndex};
use super::content::{self, Way};
use super::level;
use super::verification::{IndexVerification, Level, Sides, Verdict, Verification};
use crate::elastic::Client;
use crate::elastic::conflict::Piece;
use crate::elastic::numbers::{self, Numbers};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// What is verified, against what, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Verifying<'a> {
    /// What the source held.
    pub captured: &'a Captured,
    /// The source itself, if it is at hand.
    pub source: Option<&'a Client>,
    /// Where it is to be found again.
    pub target: &'a Client,
    /// Which index is found under which name.
    pub pieces: &'a [Piece],
    /// How thoroughly.
    pub level: Level,
    /// What the restore was asked to make different.
    pub asked: Asked,
}

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
    verify_as(&Verifying { captured, source, target, pieces, level, asked: Asked::default() }, reporter).await
}

/// As [`verify`], for a restore that was asked to make other things different than ours usually are.
pub async fn verify_as(verifying: &Verifying<'_>, reporter: &dyn Reporter) -> Result<Verification> {
    let Verifying { captured, source, target, pieces, level, .. } = *verifying;
    reporter.report(&Event::Step("compare"));
    if let Some(piece) = pieces.iter().find(|piece| !captured.indices.contains_key(&piece.index)) {
        return Err(Error::new(ErrorKind::Invalid, format!("verify `{}`", piece.target))
            .because(format!("nothing was captured of `{}`", piece.index))
            .hint("capture it, or leave it out"));
    }
    let names: Vec<String> = pieces.iter().map(|piece| piece.index.clone()).collect();
    let now = match source {
        Some(source) => numbers::read(source, &names).await?,
        None => BTreeMap::new(),
    };
    let targets: Vec<String> = pieces.iter().map(|piece| piece.target.clone()).collect();
    let looks = level::look(target, &targets).await?;
    let sides = match level {
        Level::Metadata => Some(content::Sides::read(source, target, pieces).await?),
        _ => None,
    };
    let mut indices = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let index = &captured.indices[&piece.index];
        let look = looks.get(&piece.target);
        let numbers = look.and_then(|look| look.numbers.as_ref());
        let moving = motion(index, now.get(&piece.index), source.is_some());
        let way = Way { source, target, piece, captured: index, numbers, moving };
        indices.push(one(verifying, way, look, sides.as_ref()).await?);
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

async fn one(
    verifying: &Verifying<'_>,
    way: Way<'_>,
    look: Option<&level::Look>,
    sides: Option<&content::Sides>,
) -> Result<IndexVerification> {
    let Way { piece, captured, moving, numbers, .. } = way;
    let mut levels = Vec::new();
    for level in verifying.level.up_to() {
        levels.push(match (level, sides) {
            (Level::Recovered, _) => level::recovered(captured, look),
            (Level::Counts, _) => level::counts(captured, moving, look),
            (Level::Shards, _) => level::shards(captured, moving, look),
            (Level::Documents, _) => content::documents(way, verifying.captured.samples).await?,
            (Level::Metadata, Some(sides)) => sides.verdict(piece, captured, &verifying.asked),
            (Level::Metadata, None) => continue,
        });
    }
    Ok(IndexVerification {
        index: piece.index.clone(),
        target: piece.target.clone(),
        verdict: Verdict::of(levels.iter().map(|level| level.verdict)),
        documents: Sides { from: captured.numbers.documents, to: numbers.and_then(|numbers| numbers.documents) },
        shards: level::sides(captured, numbers),
        levels,
    })
}
