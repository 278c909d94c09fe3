//! A sample of an index's documents, as fingerprints of their fields: what two clusters can compare without keeping contents.
//!
//! 1. The sample is drawn by sequence numbers: from evenly spaced ones on, in every shard. A restored index has those of its
//!    source, so that both sides draw the same documents without a word between them. Versions before 6.0 have none; there
//!    it is the documents that come first in each shard.
//! 2. Documents of one side are looked up on the other by id, in searches: these find them whatever their type and routing.
//! 3. Each field of `_source` becomes a fingerprint of its value. Numbers are read as 64-bit integers or doubles.
//!
//! Fetches are kept small and halved when an answer is too long, because documents may be large.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::client::Client;
use super::name;
use super::numbers::Numbers;
use super::request::Request;
use crate::error::{Error, ErrorKind, Result};

/// One document of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Its id.
    pub id: String,
    /// Its type, which 8.0 and later do not have.
    #[serde(default)]
    pub kind: Option<String>,
    /// What its shard was chosen by, if not its id.
    #[serde(default)]
    pub routing: Option<String>,
    /// Each field by its dotted name with the fingerprint of its value; nothing when the index keeps no `_source`.
    pub fields: Option<BTreeMap<String, String>>,
}

/// Places in a shard from which documents are drawn.
const POINTS: u64 = 5;
/// Ids in one search.
const IDS: usize = 25;
/// Documents of one id, by type and routing, that one search makes room for.
const PER_ID: usize = 4;
/// A document of more fields than this is told by its outermost ones.
const MOST_FIELDS: usize = 300;

/// Draws about `samples` documents of an open index, of each shard according to its share.
pub async fn draw(client: &Client, index: &str, numbers: &Numbers, samples: u32) -> Result<Vec<Fingerprint>> {
    name::check("index", index)?;
    let mut drawn: Vec<Fingerprint> = Vec::new();
    let shards = numbers.shards.iter().flatten().filter(|(_, shard)| shard.documents > 0);
    let all: u64 = shards.clone().map(|(_, shard)| shard.documents).sum();
    for (number, shard) in shards {
        let quota = (u64::from(samples) * shard.documents).div_ceil(all).min(shard.documents);
        let preference = format!("_shards:{number}");
        let found = match shard.max_seq_no.and_then(|last| u64::try_from(last).ok()) {
            Some(last) => by_sequence(client, index, &preference, last + 1, quota).await?,
            None => search(client, index, Some(&preference), &first(quota)).await?,
        };
        drawn.extend(found);
    }
    drawn.sort_by(|one, other| one.key().cmp(&other.key()));
    drawn.dedup_by(|one, other| one.key() == other.key());
    Ok(drawn)
}

/// The documents of a shard from evenly spaced sequence numbers on.
async fn by_sequence(
    client: &Client,
    index: &str,
    preference: &str,
    operations: u64,
    quota: u64,
) -> Result<Vec<Fingerprint>> {
    let points = quota.clamp(1, POINTS);
    let mut found = Vec::new();
    for point in 0..points {
        let from = operations * point / points;
        let body = json!({
            "size": quota.div_ceil(points),
            "query": { "range": { "_seq_no": { "gte": from } } },
            "sort": [{ "_seq_no": "asc" }],
        });
        found.extend(search(client, index, Some(preference), &body).await?);
    }
    Ok(found)
}

fn first(quota: u64) -> Value {
    json!({ "size": quota.min(100), "query": { "match_all": {} }, "sort": ["_doc"] })
}

/// Looks the documents of these ids up.
pub async fn lookup(client: &Client, index: &str, ids: &[&str]) -> Result<Vec<Fingerprint>> {
    name::check("index", index)?;
    let mut found = Vec::new();
    for batch in ids.chunks(IDS) {
        found.extend(lookup_batch(client, index, batch).await?);
    }
    Ok(found)
}

async fn lookup_batch(client: &Client, index: &str, ids: &[&str]) -> Result<Vec<Fingerprint>> {
    let body = json!({ "size": ids.len() * PER_ID, "query": { "ids": { "values": ids } } });
    match search(client, index, None, &body).await {
        Err(error) if is_too_long(&error) && ids.len() > 1 => {
            let (one, other) = ids.split_at(ids.len() / 2);
            let mut found = Box::pin(lookup_batch(client, index, one)).await?;
            found.extend(Box::pin(lookup_batch(client, index, other)).await?);
            Ok(found)
        }
        found => found,
    }
}

fn is_too_long(error: &Error) -> bool {
    error.kind() == ErrorKind::Unsupported
}

/// One search, all of whose shards must answer. Of what makes the answer too long, less is taken.
async fn search(client: &Client, index: &str, preference: Option<&str>, body: &Value) -> Result<Vec<Fingerprint>> {
    let doing = format!("read documents of `{index}`");
    let mut body = body.clone();
    loop {
        let mut request = Request::post(doing.clone(), &[index]).word("_search").body(&body);
        if let Some(preference) = preference {
            request = request.query("preference", preference.to_owned());
        }
        let answer = match client.call(request).await {
            Ok(answer) => answer,
            Err(error) => match body["size"].as_u64() {
                Some(size) if size > 1 && preference.is_some() && is_too_long(&error) => {
                    body["size"] = json!(size / 2);
                    continue;
                }
                _ => return Err(error),
            },
        };
        let shards = &answer["_shards"];
        if shards["successful"] != shards["total"] || answer["timed_out"] == true {
            return Err(Error::new(ErrorKind::Precondition, format!("{doing} on `{}`", client.place()))
                .because(format!("only {} of {} shards answered", shards["successful"], shards["total"])));
        }
        let hits = answer["hits"]["hits"].as_array().into_iter().flatten();
        return Ok(hits.filter_map(Fingerprint::of).collect());
    }
}

impl Fingerprint {
    fn of(hit: &Value) -> Option<Self> {
        let text = |key: &str| hit[key].as_str().map(str::to_owned);
        // A child of 5.x is routed by its parent, which it also names.
        let routing = text("_routing").or_else(|| text("_parent"));
        let fields = hit.get("_source").and_then(Value::as_object).map(|_| fields(&hit["_source"]));
        Some(Self { id: text("_id")?, kind: text("_type"), routing, fields })
    }

    fn key(&self) -> (&str, Option<&str>, Option<&str>) {
        (&self.id, self.routing.as_deref(), self.kind.as_deref())
    }

    /// Finds this document among `others`. Types count only where they tell several apart: 7.0 calls all of them `_doc`.
    #[must_use]
    pub fn find<'a>(&self, others: &'a [Self]) -> Option<&'a Self> {
        let mut same = others.iter().filter(|other| other.id == self.id && other.routing == self.routing);
        let first = same.clone().next()?;
        if same.clone().count() == 1 {
            return Some(first);
        }
        same.find(|other| other.kind == self.kind)
    }

    /// The fields in which the two differ, with their fingerprints; nothing when one side keeps no `_source`.
    #[must_use]
    pub fn differing<'a>(&'a self, other: &'a Self) -> Option<Vec<Differing<'a>>> {
        let (one, two) = (self.fields.as_ref()?, other.fields.as_ref()?);
        let names = one.keys().chain(two.keys().filter(|name| !one.contains_key(*name)));
        let pairs =
            names.map(|name| (name.as_str(), one.get(name).map(String::as_str), two.get(name).map(String::as_str)));
        Some(pairs.filter(|(_, from, to)| from != to).collect())
    }
}

/// A field's name and its fingerprints on both sides.
pub type Differing<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// Every field by its dotted name; by its outermost one, where there are very many.
fn fields(source: &Value) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    flatten("", source, &mut fields);
    if fields.len() > MOST_FIELDS {
        fields = source.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), print(value))).collect();
    }
    fields
}

fn flatten(path: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
    match value.as_object() {
        Some(object) if !object.is_empty() || path.is_empty() => {
            for (name, value) in object {
                let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&name, value, fields);
            }
        }
        _ => {
            fields.insert(path.to_owned(), print(value));
        }
    }
}

/// Half of a hundred bits tells two values of one field apart; the order of an object's keys does not count.
fn print(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string().as_bytes());
    let mut text = String::new();
    for byte in digest.iter().take(8) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(id: &str, kind: &str, source: &Value) -> Fingerprint {
        Fingerprint::of(&json!({ "_id": id, "_type": kind, "_source": source })).unwrap()
    }

    #[test]
    fn one_changed_field_is_named_and_the_order_of_keys_does_not_count() {
        let one = hit("1", "movie", &json!({ "title": "Heat", "cast": { "lead": ["Pacino", "De Niro"] } }));
        let same = hit("1", "_doc", &json!({ "cast": { "lead": ["Pacino", "De Niro"] }, "title": "Heat" }));
        let other =
            hit("1", "_doc", &json!({ "title": "Heat", "cast": { "lead": ["De Niro", "Pacino"] }, "year": 1995 }));
        assert_eq!(one.differing(&same).unwrap(), []);
        let differing = one.differing(&other).unwrap();
        assert_eq!(differing.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), ["cast.lead", "year"]);
        assert_eq!(differing[1].1, None);
    }

    #[test]
    fn a_document_without_a_source_is_not_compared() {
        let bare = Fingerprint::of(&json!({ "_id": "1" })).unwrap();
        assert_eq!(bare.fields, None);
        assert_eq!(bare.differing(&hit("1", "_doc", &json!({}))), None);
    }

    #[test]
    fn types_count_only_where_one_id_has_several() {
        let (movie, person) = (hit("1", "movie", &json!({ "a": 1 })), hit("1", "person", &json!({ "a": 2 })));
        let both = [person.clone(), movie.clone()];
        assert_eq!(movie.find(&both), Some(&movie));
        let renamed = [hit("1", "_doc", &json!({ "a": 1 }))];
        assert_eq!(movie.find(&renamed), Some(&renamed[0]));
        assert_eq!(hit("2", "movie", &json!({})).find(&both), None);
    }

    #[test]
    fn a_document_of_very_many_fields_is_told_by_its_outermost_ones() {
        let many: serde_json::Map<String, Value> =
            (0..400).map(|number| (format!("f{number}"), json!(number))).collect();
        assert_eq!(fields(&json!({ "a": many, "b": 1 })).into_keys().collect::<Vec<_>>(), ["a", "b"]);
    }
}
