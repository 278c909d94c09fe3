//! Levels 3 and 4: a sample of the documents, field by field, and mappings, settings and aliases.
//!
//! Both need requests for each index. What the source did not tell when it was captured is asked of it now, if it is at hand.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::Asked;
use super::captured::CapturedIndex;
use super::level::{counted, difference, still, verdict};
use super::verification::{Difference, Level, LevelVerdict, Verdict};
use crate::elastic::Client;
use crate::elastic::conflict::Piece;
use crate::elastic::document::{self, Fingerprint};
use crate::elastic::metadata::{self, Metadata};
use crate::elastic::numbers::Numbers;
use crate::error::Result;

/// Both clusters and one index on its way between them.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) source: Option<&'a Client>,
    pub(super) target: &'a Client,
    pub(super) piece: &'a Piece,
    pub(super) captured: &'a CapturedIndex,
    /// The target's numbers; nothing when it cannot be read.
    pub(super) numbers: Option<&'a Numbers>,
    /// Why the source is moving, if it is.
    pub(super) moving: Option<&'static str>,
}

/// What the two samples say about each other.
#[derive(Debug, Default)]
struct Found {
    compared: u64,
    bare: u64,
    differences: Vec<Difference>,
}

/// Level 3: a sample of the documents.
///
/// 1. The source's sample is looked up on the target by id and compared field by field.
/// 2. The target draws a sample of its own. Those of it that the source's does not hold are looked up on the source, if it is at
///    hand: a document that only the target has is found that way.
pub(super) async fn documents(way: Way<'_>, samples: u32) -> Result<LevelVerdict> {
    let say = |found, proves: String| verdict(Level::Documents, found, proves, Vec::new());
    let Some(numbers) = way.numbers.filter(|numbers| numbers.is_open && numbers.documents.is_some()) else {
        return Ok(say(Verdict::Different, "the target's documents cannot be read".into()));
    };
    let sample = match (&way.captured.sample, way.source) {
        (Some(sample), _) => sample.clone(),
        (None, Some(source)) if way.captured.numbers.is_open => {
            document::draw(source, &way.piece.index, &way.captured.numbers, samples).await?
        }
        _ => return Ok(say(Verdict::Unknown, "no sample of the source's documents was captured".into())),
    };
    let ids: Vec<&str> = distinct(&sample);
    let there = document::lookup(way.target, &way.piece.target, &ids).await?;
    let mut found = Found::default();
    for document in &sample {
        found.compare(document, Some(document), document.find(&there));
    }
    let drawn = document::draw(way.target, &way.piece.target, numbers, samples).await?;
    let strange: Vec<Fingerprint> = drawn.into_iter().filter(|document| document.find(&sample).is_none()).collect();
    // A sample of everything tells by itself that the source has no other documents.
    let is_whole = way.captured.numbers.documents.is_some_and(|all| all <= sample.len() as u64);
    let known = match way.source.filter(|_| way.captured.numbers.is_open) {
        Some(source) => Some(document::lookup(source, &way.piece.index, &distinct(&strange)).await?),
        None => is_whole.then(Vec::new),
    };
    if let Some(known) = known {
        for document in &strange {
            found.compare(document, document.find(&known), Some(document));
        }
    }
    Ok(found.verdict(way.captured.numbers.documents.unwrap_or(0), way.moving))
}

fn distinct(documents: &[Fingerprint]) -> Vec<&str> {
    documents.iter().map(|document| document.id.as_str()).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Found {
    fn compare(&mut self, named: &Fingerprint, from: Option<&Fingerprint>, to: Option<&Fingerprint>) {
        let what = format!("document `{}`", named.id);
        let (Some(one), Some(two)) = (from, to) else {
            let side = |there: Option<&Fingerprint>| there.map(|_| "there".to_owned());
            self.differences.push(difference(what, side(from), side(to)));
            return;
        };
        let Some(differing) = one.differing(two) else {
            self.bare += 1;
            return;
        };
        self.compared += 1;
        let text = |print: Option<&str>| print.map(|print| format!("#{print}"));
        self.differences.extend(
            differing
                .into_iter()
                .map(|(field, from, to)| difference(format!("{what}: field `{field}`"), text(from), text(to))),
        );
    }

    /// `all` is how many documents the source holds.
    fn verdict(self, all: u64, moving: Option<&'static str>) -> LevelVerdict {
        let Self { compared, bare, differences } = self;
        let documents = |number| counted(number, "document", "documents");
        let (found, proves) = match () {
            () if moving.is_some() => (Verdict::Moving, still(moving)),
            () if !differences.is_empty() => {
                (Verdict::Different, "documents of the sample are not the same on both sides".to_owned())
            }
            () if bare > 0 => (
                Verdict::Unknown,
                format!(
                    "{bare} sampled documents are there, but the index keeps no `_source`: their fields are not told"
                ),
            ),
            () if compared == 0 && all == 0 => (Verdict::Equal, "the source holds no document".to_owned()),
            () if compared == 0 => {
                (Verdict::Unknown, format!("0 of {} compared: no sample could be drawn", documents(all)))
            }
            () if compared >= all => {
                (Verdict::Equal, format!("{}, which are all, the same in every field", documents(compared)))
            }
            () => (
                Verdict::Equal,
                format!(
                    "{compared} of {}, drawn from every shard and the newest among them, the same in every field; the others \
                     were not compared",
                    documents(all)
                ),
            ),
        };
        verdict(Level::Documents, found, proves, differences)
    }
}

/// The metadata of both sides, by the names of their own.
pub(super) struct Sides {
    source: BTreeMap<String, Metadata>,
    target: BTreeMap<String, Metadata>,
}

impl Sides {
    /// Reads the target's, and what was not captured of the source's.
    pub(super) async fn read(source: Option<&Client>, target: &Client, pieces: &[Piece]) -> Result<Self> {
        let targets: Vec<String> = pieces.iter().map(|piece| piece.target.clone()).collect();
        let indices: Vec<String> = pieces.iter().map(|piece| piece.index.clone()).collect();
        Ok(Self {
            source: match source {
                Some(source) => metadata::read(source, &indices).await?,
                None => BTreeMap::new(),
            },
            target: metadata::read(target, &targets).await?,
        })
    }

    /// Level 4: mappings, settings and aliases.
    pub(super) fn verdict(&self, piece: &Piece, captured: &CapturedIndex, asked: &Asked) -> LevelVerdict {
        let say = |found, proves: &str, list| verdict(Level::Metadata, found, proves, list);
        let Some(from) = captured.metadata.as_ref().or_else(|| self.source.get(&piece.index)) else {
            return say(Verdict::Unknown, "mappings and settings of the source were not captured", Vec::new());
        };
        let Some(to) = self.target.get(&piece.target) else {
            return say(Verdict::Different, "the index is not there", Vec::new());
        };
        let mut list = Vec::new();
        for (noun, from, to) in [
            ("mappings", &from.mappings, &to.mappings),
            ("settings", &from.settings, &to.settings),
            ("aliases", &from.aliases, &to.aliases),
        ] {
            let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
            list.extend(
                names
                    .into_iter()
                    .filter(|name| from.get(*name) != to.get(*name))
                    .map(|name| difference(format!("{noun}: {name}"), from.get(name).cloned(), to.get(name).cloned()))
                    .map(|difference| asked.mark(difference)),
            );
        }
        // What counts comes first: only so many are kept.
        list.sort_by_key(|difference| difference.as_asked);
        match (list.is_empty(), list.iter().all(|difference| difference.as_asked)) {
            (true, _) => say(Verdict::Equal, "mappings, settings and aliases are the source's", list),
            (_, true) => say(
                Verdict::Equal,
                "mappings, settings and aliases are the source's, but for what the restore was asked to change",
                list,
            ),
            _ => say(Verdict::Different, "mappings, settings or aliases are not the source's", list),
        }
    }
}
