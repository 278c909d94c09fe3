//! `snapferry verify`.

mod text;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;

use super::exit::{self, Outcome};
use super::{ErrorDocument, Session, open};
use crate::error::{Error, Result};
use crate::ops::verify::{Level, Options, Places, Portion, Report, run};
use crate::ops::{End, must_be_apart};
use crate::repo::Generation;
use crate::repo::audit::{Checked, Finding, Severity, SnapshotVerdict};
use crate::store::Access;

/// Prove that a snapshot repository is whole, or that a copy is equal to its source
///
/// With one place: everything that the repository's root leads to is looked for and held against what is there, and for each snapshot
/// it is told whether it would restore. With two: the second is verified, and compared with the first by what both say of themselves;
/// the data of the first is not read. Two places that are no repositories are compared object by object.
///
/// Nothing is written, except with `--repair-from`: then damaged and missing objects, and no others, are fetched from another copy of
/// the same repository, each proven before it counts, and looked at again.
///
/// A finding of severity error makes the exit code 4; warnings do not. A repository that changes meanwhile is no finding.
///
/// For example `snapferry verify backup/es`, `snapferry verify aws/es oss/es --level content`, or every night of a month another
/// thirtieth of all bytes: `snapferry verify backup/es --slice $(date +%d)/31`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    /// What to verify, or, with a second place, what to compare that one with: `s3://bucket/prefix`, `file:///absolute/path`, or the name of a configured store, with an optional path behind it
    location: String,
    /// A copy of it, which is verified then
    copy: Option<String>,
    /// How deep to look: roots and metadata and that they agree (structure), also that every object is there with its length (presence), also every byte (content) [default: presence; content with `--sample` or `--slice`]
    #[arg(long, value_enum, value_name = "LEVEL")]
    level: Option<LevelWord>,
    /// At level content, read only a random share of the files, such as 5%
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "slice")]
    sample: Option<f64>,
    /// The seed of `--sample`, to read the same files again [default: a random one, which is told]
    #[arg(long, value_name = "N", requires = "sample")]
    seed: Option<u64>,
    /// At level content, read only one of several slices, such as 3/30. All slices together are all files, each once
    #[arg(long, value_name = "K/N", value_parser = slice)]
    slice: Option<(u32, u32)>,
    /// Fetch damaged and missing objects from another copy of the same repository
    #[arg(long, value_name = "PLACE")]
    repair_from: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LevelWord {
    Structure,
    Presence,
    Content,
}

fn share(text: &str) -> std::result::Result<f64, String> {
    let percent: Option<f64> = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
    percent
        .filter(|percent| *percent > 0.0 && *percent <= 100.0)
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "write a share such as `5%`, above 0% and up to 100%".to_owned())
}

fn slice(text: &str) -> std::result::Result<(u32, u32), String> {
    let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    numbers
        .filter(|(number, of): &(u32, u32)| (1..=*of).contains(number))
        .ok_or_else(|| "write which slice of how many, such as `3/30`, from `1/30` to `30/30`".to_owned())
}

/// What was found, as `--json` shows it. Fields are added, never renamed.
#[derive(Debug, Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    mode: &'static str,
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    level: &'static str,
    portion: PortionDocument,
    family: Option<&'static str>,
    generation: Option<u64>,
    moved_to: Option<u64>,
    repository_uuid: Option<&'a str>,
    checked: Checked,
    errors: u64,
    warnings: u64,
    findings: &'a [Finding],
    unlisted: BTreeMap<&'static str, u64>,
    snapshots: &'a [SnapshotVerdict],
    unproven: u64,
    repaired: RepairedDocument,
    requests: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    elapsed_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
}

/// Which files were read at level content.
#[derive(Debug, Serialize)]
struct PortionDocument {
    of: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slice: Option<String>,
}

#[derive(Debug, Serialize)]
struct RepairedDocument {
    objects: u64,
    bytes: u64,
    failed: Vec<UnrepairedDocument>,
}

#[derive(Debug, Serialize)]
struct UnrepairedDocument {
    key: String,
    error: ErrorDocument,
}

/// The places, opened.
struct Opened {
    place: End,
    source: Option<End>,
    repair_from: Option<End>,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let options = self.options(session)?;
        let opened = self.open(session).await?;
        let begun = Instant::now();
        let places =
            Places { place: &opened.place, source: opened.source.as_ref(), repair_from: opened.repair_from.as_ref() };
        let report = run(&places, &options, session.output.clone(), &session.cancel).await?;
        session.output.end_progress();
        let ended = match &report.error {
            Some(error) => Outcome::of(error),
            None if report.audited.count(Severity::Error) > 0 => Outcome::Findings,
            None => Outcome::Done,
        };
        if session.output.is_json() {
            session.output.document(&document(&opened, &options, ended, &report, begun.elapsed()))?;
        } else {
            let names = text::Names { place: &opened.place, source: opened.source.as_ref() };
            text::print(&session.output, &names, &options, &report, begun.elapsed())?;
        }
        if let Some(error) = &report.error {
            session.output.error(error);
        }
        Ok(ended)
    }

    fn options(&self, session: &Session) -> Result<Options> {
        let portion = match (self.sample, self.slice) {
            (Some(share), _) => {
                let seed = self.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 32);
                Portion::Sample { share, seed }
            }
            (None, Some((number, of))) => Portion::Slice { number, of },
            (None, None) => Portion::All,
        };
        let part = portion != Portion::All;
        let level = match self.level {
            Some(LevelWord::Structure) => Level::Structure,
            Some(LevelWord::Content) => Level::Content,
            None if part => Level::Content,
            Some(LevelWord::Presence) | None => Level::Presence,
        };
        if part && level != Level::Content {
            return Err(Error::new(
                crate::error::ErrorKind::Invalid,
                format!("read a part of the files at level {}", level.word()),
            )
            .because("only level content reads files")
            .hint("leave `--level` out, or write `--level content`"));
        }
        Ok(Options { level, portion, transfer: session.config.transfer() })
    }

    async fn open(&self, session: &Session) -> Result<Opened> {
        let (place, source) = match &self.copy {
            Some(copy) => (copy, Some(&self.location)),
            None => (&self.location, None),
        };
        let access = if self.repair_from.is_some() { Access::Write } else { Access::Read };
        let verified = session.config.place(place)?;
        let mut others = Vec::new();
        for name in [source, self.repair_from.as_ref()] {
            let Some(name) = name else {
                others.push(None);
                continue;
            };
            let other = session.config.place(name)?;
            must_be_apart(
                (&other.location, other.options.endpoint.as_deref()),
                (&verified.location, verified.options.endpoint.as_deref()),
            )
            .map_err(|error| {
                error
                    .instead(format!("verify `{}` by `{}`", verified.location, other.location))
                    .hint("name two places, neither inside the other")
            })?;
            others.push(Some(open(session, &other, Access::Read).await?));
        }
        let (repair_from, source) = (others.pop().flatten(), others.pop().flatten());
        Ok(Opened { place: open(session, &verified, access).await?, source, repair_from })
    }
}

fn document<'a>(
    opened: &Opened,
    options: &Options,
    ended: Outcome,
    report: &'a Report,
    took: Duration,
) -> Document<'a> {
    let audited = &report.audited;
    let ends = [
        ("location", Some(&opened.place)),
        ("source", opened.source.as_ref()),
        ("repair_from", opened.repair_from.as_ref()),
    ];
    let requests = ends.into_iter().filter_map(|(role, end)| Some((role, end?.meter.totals().into_iter().collect())));
    Document {
        command: "verify",
        outcome: ended.word(),
        mode: report.mode,
        location: opened.place.location.to_string(),
        source: opened.source.as_ref().map(|source| source.location.to_string()),
        level: options.level.word(),
        portion: portion(options.portion),
        family: audited.family,
        generation: audited.generation.map(Generation::number),
        moved_to: audited.moved.map(Generation::number),
        repository_uuid: audited.repository_uuid.as_deref(),
        checked: audited.checked,
        errors: audited.count(Severity::Error),
        warnings: audited.count(Severity::Warning),
        findings: &audited.findings,
        unlisted: audited.unlisted.iter().map(|(kind, count)| (kind.word(), *count)).collect(),
        snapshots: &audited.snapshots,
        unproven: report.unproven,
        repaired: repaired(report),
        requests: requests.collect(),
        elapsed_seconds: took.as_secs_f64(),
        error: report.error.as_ref().map(ErrorDocument::new),
    }
}

fn portion(portion: Portion) -> PortionDocument {
    let all = PortionDocument { of: "all", share: None, seed: None, slice: None };
    match portion {
        Portion::All => all,
        Portion::Sample { share, seed } => {
            PortionDocument { of: "sample", share: Some(share), seed: Some(seed), ..all }
        }
        Portion::Slice { number, of } => PortionDocument { of: "slice", slice: Some(format!("{number}/{of}")), ..all },
    }
}

fn repaired(report: &Report) -> RepairedDocument {
    let failed = report.repaired.failed.iter();
    RepairedDocument {
        objects: report.repaired.objects,
        bytes: report.repaired.bytes,
        failed: failed
            .map(|(key, error)| UnrepairedDocument { key: key.clone(), error: ErrorDocument::new(error) })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_slices_are_read_as_people_write_them() {
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(slice("3/30"), Ok((3, 30)));
        for text in ["5", "0%", "101%", "-1%", "%", "NaN%", ""] {
            assert!(share(text).is_err(), "{text}");
        }
        for text in ["0/30", "31/30", "3", "/", "1/0", "-1/3"] {
            assert!(slice(text).is_err(), "{text}");
        }
    }
}
