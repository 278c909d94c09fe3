//! Flags about copying that several commands share, and the words they take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::parse_rate;
use crate::error::{Error, ErrorKind, Result};
use crate::ops;
use crate::ops::keys::KeyList;
use crate::repo::{Pick, Selection, glob};
use crate::store::Key;
use crate::transfer::{self, Compare, Filter, Rules};

/// What to copy, and how.
#[derive(Debug, Args)]
pub(super) struct Copying {
    /// How to look at the source: as a snapshot repository if its root holds `index-<N>` (auto), as one or not at all, or as plain objects in no order
    #[arg(long, value_enum, default_value_t)]
    pub(super) mode: ModeWord,
    /// When an object that the target has is left alone: equal size and not older, in whole seconds (size-time), equal size, when it remembers to be a copy of exactly this object (exact), never (always), or whenever it exists (missing)
    #[arg(long, value_enum, default_value_t)]
    pub(super) compare: CompareWord,
    /// Copy only keys that match; `*` stays within a segment, `**` crosses `/`. May be given several times
    #[arg(long, value_name = "GLOB")]
    pub(super) include: Vec<String>,
    /// Leave out keys that match, whatever `--include` says. May be given several times
    #[arg(long, value_name = "GLOB")]
    pub(super) exclude: Vec<String>,
    /// Copy only objects modified at or after this time: a date (2026-02-28), a date with time (2026-02-28T10:00:00Z), seconds or milliseconds since 1970. Only in plain mode
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Copy only the keys in this file: one a line, or a file that `--failures` wrote
    #[arg(long, value_name = "FILE")]
    pub(super) keys_from: Option<PathBuf>,
    /// Replace the data of a repository under names that came back with other content at once, without giving readers time. Until the run ends, the target's snapshots that need the old content cannot be restored
    #[arg(long)]
    pub(super) overwrite_changed: bool,
    /// Delete at the target what the source does not have, after everything was copied. Only in plain mode; with filters, only what they let through
    #[arg(long)]
    pub(super) delete_extra: bool,
    /// The most objects that `--delete-extra` may delete; if there are more, it deletes none
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "delete_extra")]
    pub(super) max_delete: u64,
    /// Objects or parts under way at once [default: `transfers` of the configuration, else 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) transfers: Option<u32>,
    /// At most this many bytes each second, such as 200MiB/s [default: `bandwidth` of the configuration, else no bound]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(super) bandwidth: Option<u64>,
    /// At most this many requests to each side each second [default: `requests_per_second` of the configuration, else no bound]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) requests_per_second: Option<u32>,
}

/// What is meant by a copy of a snapshot repository.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
#[command(next_help_heading = "Snapshot repositories")]
pub(super) struct RepositoryFlags {
    /// Copy only these snapshots: names, globs, `latest`, `latest:3`, `since:TIME`; separated by commas, or given several times. The target's root names only these, and what it named before of the source's
    #[arg(long, value_name = "SELECTION")]
    pub(super) snapshots: Vec<String>,
    /// Copy only these indices of the snapshots: names or globs, separated by commas, or given several times
    #[arg(long, value_name = "GLOB")]
    pub(super) indices: Vec<String>,
    /// Follow the source and the selection: name nothing else at the target, and after `--grace` delete what no snapshot there needs any more
    #[arg(long)]
    pub(super) prune: bool,
    /// With `--prune`: the share of the copy's objects that may go; if it is more, nothing is deleted
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = share, requires = "prune")]
    pub(super) max_share: u8,
    /// How long readers are given before data is replaced or deleted that only an older root of the target names: `90s`, `10m`, `2h`
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(super) grace: Duration,
    /// Take nothing of the target for granted: read all metadata, list the target, and copy again what is missing or has another length
    #[arg(long)]
    pub(super) deep: bool,
    /// Copy and publish snapshots although some of their data is damaged or missing at the source
    #[arg(long)]
    pub(super) allow_damaged: bool,
    /// End with exit code 5 if the source changes at all while it is copied; otherwise only deleted snapshots matter
    #[arg(long)]
    pub(super) require_readonly: bool,
}

impl RepositoryFlags {
    fn options(&self, notes: &mut Vec<String>) -> Result<ops::sync::RepositoryOptions> {
        let snapshots = words(&self.snapshots).map(|text| pick(text, notes)).collect::<Result<_>>()?;
        let indices = words(&self.indices).map(|text| glob("--indices", text)).collect::<Result<_>>()?;
        Ok(ops::sync::RepositoryOptions {
            selection: Selection { snapshots, indices },
            prune: self.prune.then_some(self.max_share),
            grace: self.grace,
            deep: self.deep,
            allow_damaged: self.allow_damaged,
            require_readonly: self.require_readonly,
            overwrite_changed: false,
        })
    }
}

/// The words of a flag that takes several, separated by commas but for those between braces.
fn words(texts: &[String]) -> impl Iterator<Item = &str> {
    let split = |text: &'_ str| -> Vec<(usize, usize)> {
        let (mut depth, mut from, mut words) = (0_i32, 0, Vec::new());
        for (at, c) in text.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth <= 0 => {
                    words.push((from, at));
                    from = at + 1;
                }
                _ => {}
            }
        }
        words.push((from, text.len()));
        words
    };
    texts
        .iter()
        .flat_map(move |text| split(text).into_iter().map(move |(from, to)| text[from..to].trim()))
        .filter(|word| !word.is_empty())
}

/// Reads a word of `--snapshots`.
fn pick(text: &str, notes: &mut Vec<String>) -> Result<Pick> {
    if text == "latest" {
        return Ok(Pick::Latest(1));
    }
    if let Some(count) = text.strip_prefix("latest:") {
        let count = count.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("use `--snapshots {text}`"))
                .because("behind `latest:` comes how many, at least 1")
        })?;
        return Ok(Pick::Latest(count));
    }
    match text.strip_prefix("since:") {
        Some(time) => since("--snapshots since:", time, notes).map(Pick::Since),
        None => Pick::name(text),
    }
}

/// Reads a share such as `50%`.
pub(super) fn share(text: &str) -> std::result::Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|number| *number <= 100);
    number.ok_or_else(|| "write a share from `0%` to `100%`".to_owned())
}

/// Reads a duration such as `90s`, `10m`, `2h` or `1h30m`; a bare number counts seconds.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let read = text.parse::<jiff::SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    read.ok_or_else(|| "write a time such as `90s`, `10m` or `2h`".to_owned())
}

/// Reads bytes for each second such as `200MiB/s`.
pub(super) fn rate(text: &str) -> std::result::Result<u64, String> {
    parse_rate(text).ok_or_else(|| "write bytes for each second such as `200MiB/s`, at least `1KiB/s`".to_owned())
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum ModeWord {
    #[default]
    Auto,
    Repository,
    Plain,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum CompareWord {
    #[default]
    SizeTime,
    Size,
    Exact,
    Always,
    Missing,
}

impl Copying {
    /// The options of a sync; notes are what the user should be told about how a flag was read.
    pub(super) fn options(
        &self,
        repository: Option<&RepositoryFlags>,
        mut transfer: transfer::Options,
        replans: u32,
    ) -> Result<(ops::sync::Options, Vec<String>)> {
        let mut notes = Vec::new();
        let since = self.since.as_deref().map(|text| since("--since ", text, &mut notes)).transpose()?;
        if since.is_some() && matches!(self.mode, ModeWord::Repository) {
            return Err(Error::new(ErrorKind::Invalid, "use `--since` with `--mode repository`")
                .because("a new snapshot needs old objects too")
                .hint("leave it out: what the target has is skipped anyway"));
        }
        if self.delete_extra && self.keys_from.is_some() {
            return Err(Error::new(ErrorKind::Invalid, "use `--delete-extra` with `--keys-from`")
                .because("a list of keys does not say what else the source has")
                .hint("leave one of the two out"));
        }
        if let Some(transfers) = self.transfers {
            transfer.transfers = transfers;
        }
        transfer.bandwidth = self.bandwidth.or(transfer.bandwidth);
        transfer.requests_per_second = self.requests_per_second.or(transfer.requests_per_second);
        let rules = Rules {
            compare: match self.compare {
                CompareWord::SizeTime => Compare::SizeTime,
                CompareWord::Size => Compare::Size,
                CompareWord::Exact => Compare::Exact,
                CompareWord::Always => Compare::Always,
                CompareWord::Missing => Compare::Missing,
            },
            filter: Filter::new(&self.include, &self.exclude, since)?,
            delete_extra: self.delete_extra.then_some(self.max_delete),
        };
        let mode = match self.mode {
            ModeWord::Auto => ops::sync::Mode::Auto,
            ModeWord::Repository => ops::sync::Mode::Repository,
            ModeWord::Plain => ops::sync::Mode::Plain,
        };
        let mut repository = repository.map(|flags| flags.options(&mut notes)).transpose()?.unwrap_or_default();
        repository.overwrite_changed = self.overwrite_changed;
        let keys = self.keys_from.as_deref().map(keys_from).transpose()?;
        Ok((ops::sync::Options { mode, rules, since: since.is_some(), keys, transfer, replans, repository }, notes))
    }
}

/// Reads a time as people and tools write it. A bare number is told apart by its size and the reading is said aloud:
/// `OSSImport` counts seconds, Elasticsearch milliseconds, and a mix-up copies nothing or everything.
fn since(flag: &str, text: &str, notes: &mut Vec<String>) -> Result<Timestamp> {
    let invalid = |cause: &str| {
        Error::new(ErrorKind::Invalid, format!("use `{flag}{text}`")).because(cause.to_owned()).hint(
            "write a date (2026-02-28), a date with time (2026-02-28T10:00:00Z), or seconds or milliseconds since 1970",
        )
    };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().map_err(|_| invalid("the number is too large"))?;
        let (time, unit) = match number {
            // 8 digits are a date without its dashes, or a slip: as seconds they all lie before April 1973.
            0..100_000_000 => return Err(invalid("as seconds since 1970 it lies before April 1973")),
            100_000_000..100_000_000_000 => (Timestamp::from_second(number), "seconds"),
            _ => (Timestamp::from_millisecond(number), "milliseconds"),
        };
        let time = time.map_err(|_| invalid("no time lies so far off"))?;
        notes.push(format!("`{flag}{text}` is read as {unit} since 1970: {time}"));
        return Ok(time);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let date: DateTime = text.parse().map_err(|_| invalid("it is neither a date nor a number"))?;
    let time = date.to_zoned(TimeZone::UTC).map_err(|_| invalid("no time lies so far off"))?.timestamp();
    notes.push(format!("`{flag}{text}` is read as {time}"));
    Ok(time)
}

/// Reads a list of keys: JSON objects with a `key`, as `--failures` writes them, or plain keys.
fn keys_from(path: &std::path::Path) -> Result<KeyList> {
    #[derive(serde::Deserialize)]
    struct Line {
        key: Key,
    }
    let doing = || format!("read the keys in `{}`", path.display());
    let text =
        std::fs::read_to_string(path).map_err(|error| Error::new(ErrorKind::Invalid, doing()).from_source(error))?;
    let mut keys = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let key = if line.starts_with('{') {
            serde_json::from_str::<Line>(line).map(|line| line.key).map_err(|error| {
                Error::new(ErrorKind::Invalid, doing())
                    .because(format!("line {}: {error}", number + 1))
                    .hint("a line is a key, or `{\"key\": \"…\"}`")
            })?
        } else {
            Key::new(line)?
        };
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, doing())
            .because("there is none in it")
            .hint("nothing failed, or it is another file"));
    }
    Ok(KeyList::new(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, usize) {
        let mut notes = Vec::new();
        let time = since("--since ", text, &mut notes).unwrap_or_else(|error| panic!("{error}"));
        (time.to_string(), notes.len())
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_told_apart_and_said_aloud() {
        assert_eq!(read("1519786844"), ("2018-02-28T03:00:44Z".to_owned(), 1));
        assert_eq!(read("1519786844591"), ("2018-02-28T03:00:44.591Z".to_owned(), 1));
        assert_eq!(read("2018-02-28"), ("2018-02-28T00:00:00Z".to_owned(), 1));
        assert_eq!(read("2018-02-28T10:20:30"), ("2018-02-28T10:20:30Z".to_owned(), 1));
        assert_eq!(read("2018-02-28T05:00:44+02:00"), ("2018-02-28T03:00:44Z".to_owned(), 0));
    }

    #[test]
    fn a_date_without_dashes_is_not_taken_for_seconds() {
        for text in ["20180228", "yesterday", "", "99999999999999999999", "2018-13-01"] {
            let error = since("--since ", text, &mut Vec::new()).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }
}
