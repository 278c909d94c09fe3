//! What a snapshot says of an index: `indices/<id>/meta-<id>.dat`, its mappings and settings.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_smile::value::Value;

use super::codec::Codec;
use crate::error::{Error, ErrorKind, Result};

/// An index as it was when its snapshot was taken, as far as a copy and a forecast of its restore need it.
#[derive(Debug, Clone)]
pub struct IndexMeta {
    /// Its name.
    pub name: String,
    /// Its settings, with full names: `index.number_of_shards`.
    pub settings: BTreeMap<String, String>,
    /// The names of its aliases.
    pub aliases: Vec<String>,
    /// `open` or `close`.
    pub state: Option<String>,
}

/// More shards than any cluster lets an index have (1,024), with room for what is coming.
const MOST_SHARDS: u32 = 65_536;

impl IndexMeta {
    /// Reads a `meta-<id>.dat` of an index; `name` is its key.
    pub fn parse(name: &str, blob: &[u8]) -> Result<Self> {
        let Outer(index) = Codec::IndexMetadata.decode(name, blob)?;
        index.shards(name)?;
        Ok(index)
    }

    /// A setting by its full name.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// How many shards it has.
    #[must_use]
    pub fn number_of_shards(&self) -> u32 {
        self.shards("").expect("it was checked when it was read")
    }

    /// The version of the cluster that created it, as a number.
    #[must_use]
    pub fn version_created(&self) -> Option<i64> {
        self.setting("index.version.created")?.parse().ok()
    }

    fn shards(&self, name: &str) -> Result<u32> {
        let corrupt = |cause: String| Error::new(ErrorKind::Corrupt, format!("read `{name}`")).because(cause);
        let text = self
            .setting("index.number_of_shards")
            .ok_or_else(|| corrupt("it does not say how many shards the index has".to_owned()))?;
        let count: u32 = text
            .parse()
            .ok()
            .filter(|count| (1..=MOST_SHARDS).contains(count))
            .ok_or_else(|| corrupt(format!("the index cannot have `{}` shards", text.escape_default())))?;
        Ok(count)
    }
}

/// The blob: one member, whose name is that of the index.
struct Outer(IndexMeta);

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    settings: Option<Value>,
    #[serde(default)]
    aliases: Option<Value>,
    #[serde(default)]
    state: Option<String>,
}

impl<'de> Deserialize<'de> for Outer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Member;
        impl<'de> Visitor<'de> for Member {
            type Value = Outer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an index by its name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Outer, A::Error> {
                let Some((name, inner)) = map.next_entry::<String, Inner>()? else {
                    return Err(serde::de::Error::custom("there is no index in it"));
                };
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                let mut settings = BTreeMap::new();
                flatten("", inner.settings.unwrap_or(Value::Null), &mut settings);
                let aliases = match inner.aliases {
                    Some(Value::Object(aliases)) => aliases.into_iter().map(|(name, _)| name).collect(),
                    _ => Vec::new(),
                };
                Ok(Outer(IndexMeta { name, settings, aliases, state: inner.state }))
            }
        }
        deserializer.deserialize_map(Member)
    }
}

/// Settings come flat from every version seen; nested ones mean the same.
fn flatten(name: &str, value: Value, into: &mut BTreeMap<String, String>) {
    let text = match value {
        Value::Object(members) => {
            for (member, value) in members {
                let full = if name.is_empty() { member } else { format!("{name}.{member}") };
                flatten(&full, value, into);
            }
            return;
        }
        Value::String(text) => text,
        Value::Integer(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        _ => return,
    };
    into.insert(name.to_owned(), text);
}
