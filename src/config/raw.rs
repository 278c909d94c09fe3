//! The configuration as written: a TOML file, with the environment over it. Every key is checked by name and type here, and
//! keeps where it was written, so that any later complaint can name file and line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file;
use super::job::Hook;
use super::keys::{ELASTIC, JOB, Kind, STORE, Spec, TRANSFER, nearest};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Ability;

/// A larger file is no configuration.
const LARGEST: u64 = 1024 * 1024;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File { path: Arc<Path>, line: usize },
    Environment { name: String },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "`{}`, line {line}", path.display()),
            Self::Environment { name } => write!(f, "the environment variable `{name}`"),
        }
    }
}

/// A checked value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Switch(bool),
}

/// A value with where it was written.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The keys of one section.
#[derive(Clone, Default)]
pub(super) struct Section(pub(super) BTreeMap<&'static str, Entry>);

impl Section {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key).map(|entry| &entry.value) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        match self.0.get(key).map(|entry| &entry.value) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Whether a switch is on; off if it is not there.
    pub(super) fn switch(&self, key: &str) -> bool {
        self.set(key) == Some(true)
    }

    /// How a switch is set; none if it is not there.
    pub(super) fn set(&self, key: &str) -> Option<bool> {
        match self.0.get(key).map(|entry| &entry.value) {
            Some(Value::Switch(on)) => Some(*on),
            _ => None,
        }
    }

    /// What is said of an ability; none if nothing is.
    pub(super) fn ability(&self, key: &str) -> Option<Ability> {
        match self.0.get(key).map(|entry| &entry.value)? {
            Value::Switch(true) => Some(Ability::Yes),
            Value::Switch(false) => Some(Ability::No),
            _ => Some(Ability::Auto),
        }
    }

    /// Where the section was written, as far as one of its keys says.
    pub(super) fn origin(&self, key: &str) -> Option<&Origin> {
        self.0.get(key).or_else(|| self.0.values().next()).map(|entry| &entry.origin)
    }
}

/// All that was written: named stores, clusters and jobs, and how to transfer.
#[derive(Clone, Default)]
pub(super) struct Raw {
    pub(super) stores: BTreeMap<String, Section>,
    pub(super) elastic: BTreeMap<String, Section>,
    pub(super) jobs: BTreeMap<String, Section>,
    /// The hooks of jobs, by the job's name. They stand in the file alone.
    pub(super) hooks: BTreeMap<String, Vec<Hook>>,
    pub(super) transfer: Section,
    /// The file read, and whether it holds a secret.
    pub(super) file: Option<PathBuf>,
    pub(super) secret_in_file: bool,
}

impl Raw {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let doing = || format!("read the configuration `{}`", path.display());
        let cannot = |error: std::io::Error| Error::new(ErrorKind::Invalid, doing()).from_source(error);
        let found = std::fs::metadata(path).map_err(cannot)?;
        if !found.is_file() {
            return Err(Error::new(ErrorKind::Invalid, doing()).because("it is no regular file"));
        }
        if found.len() > LARGEST {
            return Err(Error::new(ErrorKind::Invalid, doing())
                .because(format!("it has {} bytes; a configuration has at most 1 MiB", found.len())));
        }
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        let mut raw = file::parse(path, text.trim_start_matches('\u{feff}'))?;
        raw.file = Some(path.to_owned());
        Ok(raw)
    }

    /// Lays the environment over what the file says.
    pub(super) fn overlay(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<()> {
        for (name, text) in variables {
            if let Some(rest) = name.strip_prefix("SNAPFERRY_TRANSFER_") {
                let spec = find(TRANSFER, &rest.to_ascii_lowercase())
                    .ok_or_else(|| unknown_variable(&name, rest, TRANSFER))?;
                self.transfer.0.insert(spec.name, from_variable(spec, &name, &text)?);
                continue;
            }
            for (prefix, specs, sections) in [
                ("SNAPFERRY_STORE_", STORE, &mut self.stores),
                ("SNAPFERRY_ELASTIC_", ELASTIC, &mut self.elastic),
                ("SNAPFERRY_JOB_", JOB, &mut self.jobs),
            ] {
                if let Some(rest) = name.strip_prefix(prefix) {
                    let (section, spec) =
                        split_variable(specs, rest).ok_or_else(|| unknown_variable(&name, rest, specs))?;
                    let key = sections.keys().find(|known| variable_name(known) == section).cloned();
                    let entry = from_variable(spec, &name, &text)?;
                    let section = sections.entry(key.unwrap_or_else(|| section.to_ascii_lowercase())).or_default();
                    section.0.insert(spec.name, entry);
                }
            }
        }
        Ok(())
    }
}

/// How a name is written in the name of an environment variable.
pub(super) fn variable_name(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '.'], "_")
}

pub(super) fn find(specs: &'static [Spec], name: &str) -> Option<&'static Spec> {
    specs.iter().find(|spec| spec.name == name)
}

/// `AWS_SECRET_ACCESS_KEY_FILE` → `AWS` and the longest key that ends it.
fn split_variable<'a>(specs: &'static [Spec], rest: &'a str) -> Option<(&'a str, &'static Spec)> {
    specs
        .iter()
        .filter_map(|spec| {
            let section = rest.strip_suffix(&spec.name.to_ascii_uppercase())?.strip_suffix('_')?;
            (!section.is_empty()).then_some((section, spec))
        })
        .max_by_key(|(_, spec)| spec.name.len())
}

fn unknown_variable(name: &str, rest: &str, specs: &'static [Spec]) -> Error {
    let error = Error::new(ErrorKind::Invalid, format!("use the environment variable `{name}`"))
        .because("it ends in no key that snapferry knows");
    let last = rest.split_once('_').map_or(rest, |(_, key)| key);
    error.hint(known(last, specs))
}

/// "did you mean …; known keys are …".
pub(super) fn known(word: &str, specs: &[Spec]) -> String {
    let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
    let list = names.join("`, `");
    match nearest(word, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? known keys: `{list}`"),
        None => format!("known keys: `{list}`"),
    }
}

fn from_variable(spec: &'static Spec, name: &str, text: &str) -> Result<Entry> {
    let origin = Origin::Environment { name: name.to_owned() };
    let value = match spec.kind {
        Kind::Number { .. } => text.parse::<u64>().ok().map(Value::Number),
        Kind::Switch => text.parse::<bool>().ok().map(Value::Switch),
        Kind::Ability if text != "auto" => text.parse::<bool>().ok().map(Value::Switch),
        _ => Some(Value::Text(text.to_owned())),
    };
    let checked = value.and_then(|value| check(spec.kind, value));
    checked.map(|value| Entry { value, origin: origin.clone() }).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("use {origin}")).because(format!(
            "`{}` must be {}",
            spec.name,
            spec.kind.allowed().replace(" in quotes", "").replace(", in quotes", "")
        ))
    })
}

/// The value, if it is what the key must have. Sizes become numbers of bytes.
pub(super) fn check(kind: Kind, value: Value) -> Option<Value> {
    match (kind, value) {
        (Kind::Text | Kind::Secret | Kind::Path | Kind::List, Value::Text(text)) if !text.trim().is_empty() => {
            Some(Value::Text(text))
        }
        (Kind::Choice(words), Value::Text(text)) if words.contains(&text.as_str()) => Some(Value::Text(text)),
        (Kind::Switch | Kind::Ability, Value::Switch(on)) => Some(Value::Switch(on)),
        (Kind::Ability, Value::Text(text)) if text == "auto" => Some(Value::Text(text)),
        (Kind::Time, Value::Number(seconds)) => Some(Value::Number(seconds)),
        (Kind::Time, Value::Text(text)) => parse_time(&text).map(Value::Number),
        (Kind::Rate, Value::Number(rate)) => Some(Value::Number(rate)).filter(|_| rate >= 1024),
        (Kind::Rate, Value::Text(text)) => parse_rate(&text).map(Value::Number),
        (Kind::Number { least, most }, Value::Number(number)) if (least..=most).contains(&number) => {
            Some(Value::Number(number))
        }
        (Kind::Size { least, most }, value) => {
            let bytes = match value {
                Value::Number(bytes) => bytes,
                Value::Text(text) => parse_size(&text)?,
                Value::Switch(_) => return None,
            };
            (least..=most).contains(&bytes).then_some(Value::Number(bytes))
        }
        _ => None,
    }
}

/// Reads "200MiB/s" or "200MiB": bytes for each second, at least 1 KiB.
pub(crate) fn parse_rate(text: &str) -> Option<u64> {
    let text = text.trim();
    parse_size(text.strip_suffix("/s").unwrap_or(text)).filter(|rate| *rate >= 1024)
}

/// Reads "90s", "10m" or "1h30m": whole seconds.
fn parse_time(text: &str) -> Option<u64> {
    let time: jiff::SignedDuration = text.trim().parse().ok()?;
    u64::try_from(time.as_secs()).ok()
}

/// Reads "64MiB", "1.5 GiB", "5000": units of 1,024 with an `i`, of 1,000 without.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let scale = 10u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let part = part.parse::<u64>().ok()?.checked_mul(unit)? / scale;
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024_and_of_1000() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("1.5 GiB", 3 << 29), ("5000", 5000), ("5GB", 5_000_000_000), ("1k", 1024)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.2.3", "1 parsec", "99999999999TiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn a_variable_ends_in_the_longest_key_that_fits() {
        let split = |rest| split_variable(STORE, rest).map(|(section, spec)| (section, spec.name));
        assert_eq!(split("AWS_SECRET_ACCESS_KEY_FILE"), Some(("AWS", "secret_access_key_file")));
        assert_eq!(split("MY_AWS_URL"), Some(("MY_AWS", "url")));
        assert_eq!(split("URL"), None);
        assert_eq!(split("AWS_ENDPONT"), None);
    }
}
