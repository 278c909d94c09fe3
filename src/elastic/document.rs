//! A sample of an index's documents, as fingerprints of their fields: what two clusters can compare without keeping contents.
//!
//! 1. Of an index that has no more documents than are asked for, every one is read. Of a larger one, the sample is drawn by
//!    sequence numbers: from slices over all of them in every shard, and the newest. A restored index has those of its source, so
//!    that both sides draw the same documents without a word between them. Versions before 6.0 have none; there it is the
//!    documents that lie first and last in each shard.
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

/// Slices of a shard's sequence numbers from which documents are drawn.
const SLICES: u64 = 10;
/// Documents in one page of all of them.
const PAGE: u64 = 500;
/// The most documents that a server gives in one search, unless an index says otherwise.
const WINDOW: u64 = 10_000;
/// Ids in one search.
const IDS: usize = 25;
/// Documents of one id, by type and routing, that one search makes room for.
const PER_ID: usize = 4;
/// A document of more fields than this is told by its outermost ones.
const MOST_FIELDS: usize = 300;

/// Draws about `samples` documents of an open index, of each shard according to its share; all of them if it has no more.
pub async fn draw(client: &Client, index: &str, numbers: &Numbers, samples: u32) -> Result<Vec<Fingerprint>> {
    name::check("index", index)?;
    let mut drawn: Vec<Fingerprint> = Vec::new();
    let shards = numbers.shards.iter().flatten().filter(|(_, shard)| shard.documents > 0);
    let all: u64 = shards.clone().map(|(_, shard)| shard.documents).sum();
    let is_whole = numbers.documents.is_some_and(|documents| documents <= u64::from(samples));
    for (number, shard) in shards {
        let quota = (u64::from(samples) * shard.documents).div_ceil(all).min(shard.documents);
        let operations = shard.max_seq_no.and_then(|last| u64::try_from(last).ok()).map(|last| last + 1);
        let mut sample = Sample { client, index, preference: format!("_shards:{number}"), found: Vec::new() };
        match operations {
            Some(_) if is_whole => sample.all("_seq_no", shard.documents).await?,
            Some(operations) => sample.by_sequence(operations, quota).await?,
            None => sample.by_place(is_whole, quota, shard.documents).await?,
        }
        drawn.append(&mut sample.found);
    }
    drawn.sort_by(|one, other| one.key().cmp(&other.key()));
    drawn.dedup_by(|one, other| one.key() == other.key());
    Ok(drawn)
}

/// What is drawn from one shard, each document once.
struct Sample<'a> {
    client: &'a Client,
    index: &'a str,
    preference: String,
    found: Vec<Fingerprint>,
}

impl Sample<'_> {
    /// Every document, page by page; `most` is a number that they cannot exceed.
    async fn all(&mut self, by: &'static str, most: u64) -> Result<()> {
        let mut body = json!({ "query": { "match_all": {} }, "sort": [{ by: "asc" }] });
        while self.count() < most {
            body["size"] = json!((most - self.count()).min(PAGE));
            let page = search(self.client, self.index, Some(&self.preference), &body).await?;
            match (self.add(page.documents), page.last) {
                (0, _) | (_, None) => break,
                (_, Some(last)) => body["search_after"] = last,
            }
        }
        Ok(())
    }

    /// The first documents of evenly wide slices of the sequence numbers, and the newest ones. What a slice does not have, later
    /// ones give.
    async fn by_sequence(&mut self, operations: u64, quota: u64) -> Result<()> {
        let slices = quota.clamp(1, SLICES);
        for slice in 0..slices - 1 {
            let share = (quota * (slice + 1) / slices).saturating_sub(self.count());
            let range = json!({ "gte": operations * slice / slices, "lt": operations * (slice + 1) / slices });
            self.take(&json!({ "range": { "_seq_no": range } }), &json!([{ "_seq_no": "asc" }]), share).await?;
        }
        let rest = quota.saturating_sub(self.count());
        self.take(&json!({ "match_all": {} }), &json!([{ "_seq_no": "desc" }]), rest).await
    }

    /// The documents as they lie in the shard, where nothing else orders them: all, or the first ones and the last ones.
    async fn by_place(&mut self, is_whole: bool, quota: u64, most: u64) -> Result<()> {
        if self.client.version().major < 7 {
            // Copies of a shard do not hold their documents in the same order.
            self.preference.push_str("|_primary");
        }
        if is_whole {
            return self.all("_doc", most).await;
        }
        self.take(&json!({ "match_all": {} }), &json!(["_doc"]), quota / 2).await?;
        let rest = quota.saturating_sub(self.count());
        self.take(&json!({ "match_all": {} }), &json!([{ "_doc": "desc" }]), rest).await
    }

    async fn take(&mut self, query: &Value, sort: &Value, number: u64) -> Result<()> {
        if number > 0 {
            let body = json!({ "size": number.min(WINDOW), "query": query, "sort": sort });
            let page = search(self.client, self.index, Some(&self.preference), &body).await?;
            self.add(page.documents);
        }
        Ok(())
    }

    fn count(&self) -> u64 {
        self.found.len() as u64
    }

    /// Adds what is new, and tells how many that were.
    fn add(&mut self, documents: Vec<Fingerprint>) -> usize {
        let before = self.found.len();
        for document in documents {
            if self.found.iter().all(|known| known.key() != document.key()) {
                self.found.push(document);
            }
        }
        self.found.len() - before
    }
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
        found => Ok(found?.documents),
    }
}

fn is_too_long(error: &Error) -> bool {
    error.kind() == ErrorKind::Unsupported
}

/// What one search gave.
struct Page {
    documents: Vec<Fingerprint>,
    /// What the last of them was sorted by.
    last: Option<Value>,
}

/// One search, all of whose shards must answer. Of what makes the answer too long, less is taken.
async fn search(client: &Client, index: &str, preference: Option<&str>, body: &Value) -> Result<Page> {
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
        let last = hits.clone().next_back().and_then(|hit| hit.get("sort")).cloned();
        return Ok(Page { documents: hits.filter_map(Fingerprint::of).collect(), last });
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
