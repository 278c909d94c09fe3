//! What a snapshot says of an index: `indices/<id>/meta-<id>.dat`, its mappings and settings.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

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
    /// What each of them is.
    definitions: BTreeMap<String, Alias>,
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

    /// Its aliases as a request to a cluster wants them: filter, routing and flags, as far as they are set.
    ///
    /// [`ErrorKind::Corrupt`] when a filter cannot be read.
    pub fn alias_definitions(&self) -> Result<Map<String, Value>> {
        self.definitions.iter().map(|(name, alias)| Ok((name.clone(), alias.definition(name)?))).collect()
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
                let (Texts(settings), definitions) = (inner.settings, inner.aliases.0);
                let aliases = definitions.keys().cloned().collect();
                let written = definitions.iter().filter(|(_, alias)| alias.is_write_index());
                let write_aliases = written.map(|(name, _)| name.clone()).collect();
                Ok(Outer(IndexMeta { name, settings, aliases, write_aliases, definitions, state: inner.state }))
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

/// The aliases by their names.
#[derive(Default)]
struct Names(BTreeMap<String, Alias>);

/// What an alias says of itself.
#[derive(Debug, Clone, Default)]
struct Alias {
    /// Routing and flags.
    texts: BTreeMap<String, String>,
    filter: Option<Filter>,
}

/// The filter of an alias.
#[derive(Debug, Clone)]
enum Filter {
    /// JSON, wrapped as bodies are; clusters write it so.
    Wrapped(Vec<u8>),
    Plain(Value),
}

impl Alias {
    fn is_write_index(&self) -> bool {
        self.texts.get("is_write_index").is_some_and(|truth| truth == "true")
    }

    fn definition(&self, name: &str) -> Result<Value> {
        let mut told = json!({});
        for member in ["index_routing", "search_routing"] {
            if let Some(text) = self.texts.get(member) {
                told[member] = json!(text);
            }
        }
        for member in ["is_write_index", "is_hidden"] {
            if let Some(text) = self.texts.get(member) {
                told[member] = json!(text == "true");
            }
        }
        match &self.filter {
            None => {}
            Some(Filter::Plain(filter)) => told["filter"] = filter.clone(),
            Some(Filter::Wrapped(bytes)) => {
                let what = format!("the filter of the alias {name}");
                let text = Codec::IndexMetadata.text(&what, bytes)?;
                told["filter"] = serde_json::from_str(&text).map_err(|error| {
                    Error::new(ErrorKind::Corrupt, format!("read `{what}`")).because(error.to_string())
                })?;
            }
        }
        Ok(told)
    }
}

impl<'de> Deserialize<'de> for Alias {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Alias;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an alias")
            }
            fn visit_unit<E>(self) -> std::result::Result<Alias, E> {
                Ok(Alias::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Alias, A::Error> {
                let mut alias = Alias::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "filter" {
                        alias.filter = map.next_value::<Option<Filter>>()?;
                    } else {
                        map.next_value_seed(Setting { name, texts: &mut alias.texts })?;
                    }
                }
                Ok(alias)
            }
        }
        deserializer.deserialize_any(Members)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Filter;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a filter")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> std::result::Result<Filter, E> {
                Ok(Filter::Wrapped(bytes.to_vec()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Filter, A::Error> {
                Value::deserialize(MapAccessDeserializer::new(map)).map(Filter::Plain)
            }
        }
        deserializer.deserialize_any(Either)
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
                    names.0.insert(name, alias);
                }
                Ok(names)
            }
        }
        deserializer.deserialize_any(Members)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_alias_comes_with_its_filter_routing_and_flags() {
        let mut wrapped = flate2::write::DeflateEncoder::new(b"DFL\0".to_vec(), flate2::Compression::fast());
        wrapped.write_all(br#"{"term":{"a":1}}"#).unwrap();
        let text = |text: &str| serde_smile::value::Value::String(text.into());
        let object = |members: Vec<(&str, serde_smile::value::Value)>| {
            serde_smile::value::Value::Object(
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            )
        };
        let alias = object(vec![
            ("filter", serde_smile::value::Value::Binary(wrapped.finish().unwrap())),
            ("index_routing", text("1")),
            ("search_routing", text("1,2")),
            ("is_write_index", serde_smile::value::Value::Boolean(true)),
        ]);
        let settings = object(vec![("index.number_of_shards", text("1"))]);
        let index = object(vec![("settings", settings), ("aliases", object(vec![("films", alias)]))]);
        let blob = Codec::IndexMetadata.encode(&object(vec![("movies", index)])).unwrap();
        let read = IndexMeta::parse("meta", &blob).unwrap();
        assert_eq!((&read.aliases, &read.write_aliases), (&vec!["films".to_owned()], &vec!["films".to_owned()]));
        assert_eq!(
            Value::Object(read.alias_definitions().unwrap()),
            json!({ "films": { "filter": { "term": { "a": 1 } }, "index_routing": "1", "search_routing": "1,2",
                "is_write_index": true } })
        );
    }
}
