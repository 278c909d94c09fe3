//! What a snapshot says of an index: `indices/<id>/meta-<id>.dat`, its mappings and settings.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

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
    /// Those of them that are written to through this index.
    pub write_aliases: Vec<String>,
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
    settings: Texts,
    #[serde(default)]
    aliases: Names,
    #[serde(default)]
    state: Option<String>,
}

impl<'de> Deserialize<'de> for Outer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
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
                let (Texts(settings), Names(aliases, write_aliases)) = (inner.settings, inner.aliases);
                Ok(Outer(IndexMeta { name, settings, aliases, write_aliases, state: inner.state }))
            }
        }
        deserializer.deserialize_map(Member)
    }
}

/// Settings by their full names. They come flat from every version seen; nested ones mean the same, and lists are passed over.
#[derive(Default)]
struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut texts = BTreeMap::new();
        deserializer.deserialize_any(Setting { name: String::new(), texts: &mut texts })?;
        Ok(Self(texts))
    }
}

/// A setting, or several below one name, on their way into the map: nothing else of them is kept.
struct Setting<'a> {
    name: String,
    texts: &'a mut BTreeMap<String, String>,
}

impl Setting<'_> {
    fn keep(self, text: &dyn fmt::Display) {
        self.texts.insert(self.name, text.to_string());
    }
}

impl<'de> DeserializeSeed<'de> for Setting<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Setting<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<(), E> {
        self.keep(&text);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<(), E> {
        self.keep(&number);
        Ok(())
    }

    fn visit_bool<E>(self, truth: bool) -> std::result::Result<(), E> {
        self.keep(&truth);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> std::result::Result<(), E> {
        self.keep(&number);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<(), E> {
        self.keep(&number);
        Ok(())
    }

    /// The filter of an alias comes so.
    fn visit_bytes<E>(self, _: &[u8]) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(member) = map.next_key::<String>()? {
            let name = if self.name.is_empty() { member } else { format!("{}.{member}", self.name) };
            map.next_value_seed(Setting { name, texts: &mut *self.texts })?;
        }
        Ok(())
    }
}

/// The names of aliases, and of those that are written to.
#[derive(Default)]
struct Names(Vec<String>, Vec<String>);

/// What an alias says of itself.
#[derive(Default)]
struct Alias {
    is_write_index: bool,
}

impl<'de> Deserialize<'de> for Alias {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut texts = BTreeMap::new();
        deserializer.deserialize_any(Setting { name: String::new(), texts: &mut texts })?;
        Ok(Self { is_write_index: texts.get("is_write_index").is_some_and(|truth| truth == "true") })
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_unit<E>(self) -> std::result::Result<Names, E> {
                Ok(Names::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Names, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Names::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Names, A::Error> {
                let mut names = Names::default();
                while let Some((name, alias)) = map.next_entry::<String, Alias>()? {
                    if alias.is_write_index {
                        names.1.push(name.clone());
                    }
                    names.0.push(name);
                }
                Ok(names)
            }
        }
        deserializer.deserialize_any(Members)
    }
}
