//! The file of a configuration: its tables read key by key, each checked by name and type, with the line it stands in.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::job::Hook;
use super::keys::{Kind, SECTIONS, Spec, nearest};
use super::raw::{Entry, Origin, Raw, Section, Value, check, find, known};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::migrate::Call;

const THERE_ARE: &str = "there are `[store.<name>]`, `[elastic.<name>]`, `[job.<name>]` and `[transfer]`";

/// Reads the text of a file.
pub(super) fn parse(path: &Path, text: &str) -> Result<Raw> {
    let reader = Reader { path: path.into(), text };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        reader.invalid(at, error.message())
    })?;
    let mut raw = Raw::default();
    for (name, value) in table.get_ref() {
        reader.top(&mut raw, name, value)?;
    }
    Ok(raw)
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
                Some(near) => format!("did you mean `{near}`? {THERE_ARE}"),
                None => THERE_ARE.to_owned(),
            };
            return Err(self.invalid(at, &format!("unknown section or key `{kind}`")).hint(hint));
        };
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self
                .invalid(at, &format!("`{kind}` is a section, not a value"))
                .hint(format!("write `[{kind}…]` on a line of its own")));
        };
        if kind == "transfer" {
            raw.transfer = self.section("transfer", table, specs, &mut raw.secret_in_file, None)?;
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
            let job = (kind == "job").then(|| name.get_ref().to_string());
            let mut hooks = Vec::new();
            let section =
                self.section(&title, keys, specs, &mut raw.secret_in_file, job.is_some().then_some(&mut hooks))?;
            raw.hooks.extend(job.map(|job| (job, hooks)));
            let sections = match kind {
                "store" => &mut raw.stores,
                "job" => &mut raw.jobs,
                _ => &mut raw.elastic,
            };
            sections.insert(name.get_ref().to_string(), section);
        }
        Ok(())
    }

    fn section(
        &self,
        title: &str,
        table: &DeTable<'_>,
        specs: &'static [Spec],
        secret: &mut bool,
        mut hooks: Option<&mut Vec<Hook>>,
    ) -> Result<Section> {
        let mut section = Section::default();
        for (name, value) in table {
            let at = name.span().start;
            if let (Some(hooks), "hooks", DeValue::Table(table)) =
                (&mut hooks, name.get_ref().as_ref(), value.get_ref())
            {
                **hooks = self.hooks(title, table)?;
                continue;
            }
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

    /// `[job.<name>.hooks]`: each a text or a list of texts.
    fn hooks(&self, title: &str, table: &DeTable<'_>) -> Result<Vec<Hook>> {
        let mut hooks = Vec::new();
        for (name, value) in table {
            let at = name.span().start;
            let call = match value.get_ref() {
                DeValue::String(text) if text.starts_with("https://") || text.starts_with("http://") => {
                    Some(Call::Web(text.to_string()))
                }
                DeValue::String(text) if !text.trim().is_empty() => Some(Call::Shell(text.to_string())),
                DeValue::Array(list) if !list.is_empty() => {
                    let words: Option<Vec<String>> =
                        list.iter().map(|one| Some(one.get_ref().as_str()?.to_owned())).collect();
                    words.map(Call::Program)
                }
                _ => None,
            };
            let Some(call) = call else {
                return Err(self
                    .invalid(at, &format!("`{}` in `[{title}.hooks]` is no command", name.get_ref()))
                    .hint(
                        "a hook is a text for the shell, a list of texts (a program and its arguments), or an address",
                    ));
            };
            let origin = Origin::File { path: self.path.clone(), line: self.line(at) };
            hooks.push(Hook { name: name.get_ref().to_string(), call, origin });
        }
        Ok(hooks)
    }
}
