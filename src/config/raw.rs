//! The configuration as written: a TOML file, with the environment over it. Every key is checked by name and type here, and
//! keeps where it was written, so that any later complaint can name file and line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Kind, SECTIONS, Spec, nearest};
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

/// All that was written: named stores and clusters, and how to transfer.
#[derive(Clone, Default)]
pub(super) struct Raw {
    pub(super) stores: BTreeMap<String, Section>,
    pub(super) elastic: BTreeMap<String, Section>,
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
        let mut raw = Self::parse(path, text.trim_start_matches('\u{feff}'))?;
        raw.file = Some(path.to_owned());
        Ok(raw)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let reader = Reader { path: path.into(), text };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            reader.invalid(at, error.message())
        })?;
        let mut raw = Self::default();
        for (name, value) in table.get_ref() {
            reader.top(&mut raw, name, value)?;
        }
        Ok(raw)
    }

    /// Lays the environment over what the file says.
    pub(super) fn overlay(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<()> {
        for (name, text) in variables {
            if let Some(rest) = name.strip_prefix("SNAPFERRY_TRANSFER_") {
                let spec = find(SECTIONS[2].1, &rest.to_ascii_lowercase())
                    .ok_or_else(|| unknown_variable(&name, rest, SECTIONS[2].1))?;
                self.transfer.0.insert(spec.name, from_variable(spec, &name, &text)?);
                continue;
            }
            for (prefix, specs) in [("SNAPFERRY_STORE_", SECTIONS[0].1), ("SNAPFERRY_ELASTIC_", SECTIONS[1].1)] {
                if let Some(rest) = name.strip_prefix(prefix) {
                    let (section, spec) =
                        split_variable(specs, rest).ok_or_else(|| unknown_variable(&name, rest, specs))?;
                    let sections = if prefix == "SNAPFERRY_STORE_" { &mut self.stores } else { &mut self.elastic };
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

fn find(specs: &'static [Spec], name: &str) -> Option<&'static Spec> {
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
fn known(word: &str, specs: &[Spec]) -> String {
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
fn check(kind: Kind, value: Value) -> Option<Value> {
    match (kind, value) {
        (Kind::Text | Kind::Secret | Kind::Path | Kind::List, Value::Text(text)) if !text.trim().is_empty() => {
            Some(Value::Text(text))
        }
        (Kind::Choice(words), Value::Text(text)) if words.contains(&text.as_str()) => Some(Value::Text(text)),
        (Kind::Switch | Kind::Ability, Value::Switch(on)) => Some(Value::Switch(on)),
        (Kind::Ability, Value::Text(text)) if text == "auto" => Some(Value::Text(text)),
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

/// Reads the tables of one file.
struct Reader<'a> {
    path: Arc<Path>,
    text: &'a str,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    fn invalid(&self, at: usize, cause: &str) -> Error {
        Error::new(ErrorKind::Invalid, format!("read the configuration `{}`", self.path.display()))
            .because(format!("line {}: {cause}", self.line(at)))
    }

    fn top(
        &self,
        raw: &mut Raw,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<()> {
        let at = name.span().start;
        let kind = name.get_ref().as_ref();
        let Some((_, specs)) = SECTIONS.iter().find(|(section, _)| *section == kind) else {
            let hint = match nearest(kind, SECTIONS.iter().map(|(section, _)| *section)) {
                Some(near) => {
                    format!("did you mean `{near}`? there are `[store.<name>]`, `[elastic.<name>]` and `[transfer]`")
                }
                None => "there are `[store.<name>]`, `[elastic.<name>]` and `[transfer]`".to_owned(),
            };
            return Err(self.invalid(at, &format!("unknown section or key `{kind}`")).hint(hint));
        };
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self
                .invalid(at, &format!("`{kind}` is a section, not a value"))
                .hint(format!("write `[{kind}…]` on a line of its own")));
        };
        if kind == "transfer" {
            raw.transfer = self.section("transfer", table, specs, &mut raw.secret_in_file)?;
            return Ok(());
        }
        for (name, value) in table {
            let title = format!("{kind}.{}", name.get_ref());
            let DeValue::Table(keys) = value.get_ref() else {
                return Err(self
                    .invalid(
                        name.span().start,
                        &format!("`{}` stands in `[{kind}]`, which has no keys of its own", name.get_ref()),
                    )
                    .hint(format!("write `[{kind}.<name>]` above the keys")));
            };
            if name.get_ref().is_empty() || name.get_ref().contains('/') || name.get_ref().contains(':') {
                return Err(self.invalid(
                    name.span().start,
                    &format!("`{}` is no name for a section: it has no `/` and no `:`", name.get_ref()),
                ));
            }
            let section = self.section(&title, keys, specs, &mut raw.secret_in_file)?;
            let sections = if kind == "store" { &mut raw.stores } else { &mut raw.elastic };
            sections.insert(name.get_ref().to_string(), section);
        }
        Ok(())
    }

    fn section(&self, title: &str, table: &DeTable<'_>, specs: &'static [Spec], secret: &mut bool) -> Result<Section> {
        let mut section = Section::default();
        for (name, value) in table {
            let at = name.span().start;
            let Some(spec) = find(specs, name.get_ref()) else {
                return Err(self
                    .invalid(at, &format!("unknown key `{}` in `[{title}]`", name.get_ref()))
                    .hint(known(name.get_ref(), specs)));
            };
            let value = match value.get_ref() {
                DeValue::String(text) => Some(Value::Text(text.to_string())),
                DeValue::Integer(number) => {
                    u64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Number)
                }
                DeValue::Boolean(on) => Some(Value::Switch(*on)),
                DeValue::Array(list) if spec.kind == Kind::List => {
                    let texts: Option<Vec<_>> = list.iter().map(|one| one.get_ref().as_str()).collect();
                    texts.map(|texts| Value::Text(texts.join(",")))
                }
                _ => None,
            };
            let Some(value) = value.and_then(|value| check(spec.kind, value)) else {
                return Err(self
                    .invalid(at, &format!("`{}` in `[{title}]` has a value it cannot have", spec.name))
                    .hint(format!("`{}` must be {}", spec.name, spec.kind.allowed())));
            };
            *secret |= spec.kind == Kind::Secret;
            let origin = Origin::File { path: self.path.clone(), line: self.line(at) };
            section.0.insert(spec.name, Entry { value, origin });
        }
        Ok(section)
    }
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
        let split = |rest| split_variable(SECTIONS[0].1, rest).map(|(section, spec)| (section, spec.name));
        assert_eq!(split("AWS_SECRET_ACCESS_KEY_FILE"), Some(("AWS", "secret_access_key_file")));
        assert_eq!(split("MY_AWS_URL"), Some(("MY_AWS", "url")));
        assert_eq!(split("URL"), None);
        assert_eq!(split("AWS_ENDPONT"), None);
    }
}
