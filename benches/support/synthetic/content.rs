//! What the objects hold. A shard's metadata is a template in which the digits of the shard are filled in and the checksum with them;
//! data is one body for each size, whose checksum is known.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_smile::value::Value;
use snapferry::repo::Codec;

use super::shape::{self, FILES, Late, MORE, Object, ROOT, SHARDS, SNAPSHOTS, Shape, WINDOW, data, id, tag, uuid};
use crate::blob::{Body, base36, crc32, envelope, footer, list, lucene, map, number, object, text};

/// The digits that a template has in place of a shard's.
const BLANK: &str = "9999999999";
const VERSION: i64 = 8_500_010;
const TIME: i64 = 1_795_000_000_000;

/// The mixture of sizes, in hundredths of the files: tiny, small, middle, large, largest.
const SIZES: [(u64, usize); 5] = [(35, 96), (25, 256), (25, 1_024), (12, 4_096), (3, 16_384)];

/// Renders contents, and remembers what they have in common.
#[derive(Debug)]
pub(super) struct Contents {
    shape: Shape,
    bodies: Vec<(Bytes, String)>,
    description: Bytes,
    templates: Mutex<HashMap<Kind, Arc<Template>>>,
    lengths: Mutex<HashMap<Object, u64>>,
}

/// Blobs of one kind differ in the digits of their shard only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    List { late: Late, changed: bool },
    ShardSnapshot { snapshot: u64, changed: bool },
    IndexMeta,
}

#[derive(Debug)]
struct Template {
    bytes: Bytes,
    blanks: Vec<usize>,
}

impl Contents {
    pub(super) fn new(shape: Shape) -> Self {
        let bodies = SIZES.map(|(_, size)| {
            let body = lucene("Synthetic", size, b"0123456789abcdef");
            let sum = footer(&body).expect("it was just written");
            (body, base36(u64::from(sum)))
        });
        let description = lucene("Lucene90SegmentInfo", 331, b"description");
        Self { shape, bodies: bodies.into(), description, templates: Mutex::default(), lengths: Mutex::default() }
    }

    /// The length of an object, in bytes. `after` tells the two contents of `index.latest` apart, which are equally long.
    pub(super) fn length(&self, what: Object) -> u64 {
        match what {
            Object::Data { file, .. } => self.body(file).0.len() as u64,
            Object::List { .. } | Object::ShardSnapshot { .. } | Object::IndexMeta { .. } => {
                self.template(kind(what)).bytes.len() as u64
            }
            Object::Latest => 8,
            Object::Root(_) | Object::Global { .. } | Object::Info { .. } => {
                let known = lock(&self.lengths).get(&what).copied();
                known.unwrap_or_else(|| {
                    let length = self.render(what, false).len() as u64;
                    lock(&self.lengths).insert(what, length);
                    length
                })
            }
        }
    }

    /// What an object holds. Only `index.latest` depends on the time.
    pub(super) fn render(&self, what: Object, after: Late) -> Bytes {
        match what {
            Object::Root(late) => self.root(late),
            Object::Latest => (ROOT + u64::from(after)).to_be_bytes().to_vec().into(),
            Object::Data { file, .. } => self.body(file).0.clone(),
            Object::List { index, shard, .. } | Object::ShardSnapshot { index, shard, .. } => {
                self.template(kind(what)).fill(&tag(index, shard))
            }
            Object::IndexMeta { index } => self.template(Kind::IndexMeta).fill(&tag(index, 0)),
            Object::Global { .. } => {
                let state = object([("version", number(0)), ("cluster_uuid", text("_na_")), ("templates", object([]))]);
                envelope(Codec::Metadata, &object([("meta-data", state)]), Body::Plain)
            }
            Object::Info { snapshot } => self.info(snapshot),
        }
    }

    /// The body of a file and its checksum.
    fn body(&self, file: u64) -> &(Bytes, String) {
        // A step that shares no factor with a hundred goes through all hundredths.
        let mut hundredth = file * 37 % 100;
        let class = SIZES.iter().position(|(share, _)| {
            let here = hundredth < *share;
            hundredth = hundredth.saturating_sub(*share);
            here
        });
        &self.bodies[class.expect("the shares make a hundred")]
    }

    fn template(&self, kind: Kind) -> Arc<Template> {
        let known = lock(&self.templates).get(&kind).cloned();
        known.unwrap_or_else(|| {
            let template = Arc::new(Template::new(self.blank(kind)));
            lock(&self.templates).insert(kind, template.clone());
            template
        })
    }

    fn blank(&self, kind: Kind) -> Bytes {
        match kind {
            Kind::ShardSnapshot { snapshot, changed } => {
                let files: Vec<Value> = files(snapshot, changed).map(|file| self.entry(file)).collect();
                let new = if snapshot == 0 { WINDOW } else { 1 };
                let value = object([
                    ("name", text(name(snapshot))),
                    ("index_version", number(0)),
                    ("start_time", number(TIME)),
                    ("time", number(11)),
                    ("number_of_files", number(new)),
                    ("total_size", number(new * 1_000)),
                    ("files", list(files.into_iter().chain([self.virtual_entry(snapshot)]))),
                ]);
                envelope(Codec::Snapshot, &value, Body::Plain)
            }
            Kind::List { late, changed } => {
                let last = SNAPSHOTS - 1 + u64::from(late);
                let all = 0..FILES + if late && changed { MORE } else { 0 };
                let entries = all.map(|file| self.entry(file)).chain((0..=last).map(|at| self.virtual_entry(at)));
                let snapshots = (0..=last).map(|at| {
                    let names = files(at, changed).map(|file| text(data(BLANK, file)));
                    let names = list(names.chain([text(virtual_name(at))]));
                    (name(at), object([("files", names), ("shard_state_id", text(format!("{BLANK}-na-{at:02}")))]))
                });
                let value = object([("files", list(entries)), ("snapshots", map(snapshots))]);
                envelope(Codec::Snapshots, &value, Body::Plain)
            }
            Kind::IndexMeta => index_meta(),
        }
    }

    fn entry(&self, file: u64) -> Value {
        let (body, sum) = self.body(file);
        object([
            ("name", text(data(BLANK, file))),
            ("physical_name", text(format!("_{file:02}.cfs"))),
            ("length", number(body.len())),
            ("checksum", text(sum)),
            ("part_size", Value::Long(i64::MAX)),
            ("written_by", text("9.9.2")),
            ("writer_uuid", Value::Binary(vec![7; 16])),
        ])
    }

    fn virtual_entry(&self, snapshot: u64) -> Value {
        let sum = footer(&self.description).expect("it is whole");
        object([
            ("name", text(virtual_name(snapshot))),
            ("physical_name", text(format!("segments_{snapshot:02}"))),
            ("length", number(self.description.len())),
            ("checksum", text(base36(u64::from(sum)))),
            ("part_size", Value::Long(i64::MAX)),
            ("written_by", text("9.9.2")),
            ("meta_hash", Value::Binary(self.description.to_vec())),
            ("writer_uuid", Value::Binary(vec![7; 16])),
        ])
    }

    fn info(&self, snapshot: u64) -> Bytes {
        let shards = self.shape.indices * SHARDS;
        let info = object([
            ("name", text(name(snapshot))),
            ("uuid", text(uuid(snapshot))),
            ("version_id", number(VERSION)),
            ("indices", list((0..self.shape.indices).map(|index| text(index_name(&tag(index, 0)))))),
            ("data_streams", list([])),
            ("state", text("SUCCESS")),
            ("include_global_state", Value::Boolean(false)),
            ("start_time", number(TIME)),
            ("end_time", number(TIME)),
            ("total_shards", number(shards)),
            ("successful_shards", number(shards)),
            ("failures", list([])),
            ("feature_states", list([])),
            ("index_details", object([])),
        ]);
        envelope(Codec::Snapshot, &object([("snapshot", info)]), Body::Plain)
    }

    /// The root, written as it comes: its values would be many times as large.
    fn root(&self, late: Late) -> Bytes {
        let snapshots = SNAPSHOTS + u64::from(late);
        let indices = 0..self.shape.indices;
        let mut json = r#"{"min_version":"7.12.0","uuid":"synthetic-repository-0","cluster_id":"synthetic-cluster-0000","snapshots":["#.to_owned();
        push(&mut json, 0..snapshots, |json, snapshot| {
            write!(
                json,
                r#"{{"name":"{}","uuid":"{}","state":1,"index_metadata_lookup":{{"#,
                name(snapshot),
                uuid(snapshot)
            )?;
            push(json, indices.clone(), |json, index| write!(json, r#""{}":"{}""#, id(index), identifier(index)));
            write!(
                json,
                r#"}},"version":"8.11.0","index_version":{VERSION},"start_time_millis":{TIME},"end_time_millis":{TIME},"slm_policy":""}}"#
            )
        });
        json.push_str("],\"indices\":{");
        let uuids: Vec<String> = (0..snapshots).map(uuid).collect();
        let uuids = uuids.join("\",\"");
        push(&mut json, indices.clone(), |json, index| {
            write!(
                json,
                r#""{}":{{"id":"{}","snapshots":["{uuids}"],"shard_generations":["#,
                index_name(&tag(index, 0)),
                id(index)
            )?;
            push(json, 0..SHARDS, |json, shard| write!(json, r#""{}""#, shape::list(&tag(index, shard), late)));
            json.write_str("]}")
        });
        json.push_str("},\"index_metadata_identifiers\":{");
        push(&mut json, indices, |json, index| write!(json, r#""{}":"{}""#, identifier(index), shape::meta(index)));
        json.push_str("}}");
        json.into()
    }
}

impl Template {
    fn new(bytes: Bytes) -> Self {
        let places = bytes.windows(BLANK.len()).enumerate();
        let blanks = places.filter(|(_, window)| *window == BLANK.as_bytes()).map(|(at, _)| at).collect();
        Self { bytes, blanks }
    }

    fn fill(&self, tag: &str) -> Bytes {
        let mut bytes = self.bytes.to_vec();
        for at in &self.blanks {
            bytes[*at..*at + BLANK.len()].copy_from_slice(tag.as_bytes());
        }
        let end = bytes.len() - 4;
        let sum = crc32(&bytes[..end - 4]);
        bytes[end..].copy_from_slice(&sum.to_be_bytes());
        bytes.into()
    }
}

/// Writes items with commas between them.
fn push(json: &mut String, items: std::ops::Range<u64>, mut item: impl FnMut(&mut String, u64) -> std::fmt::Result) {
    for at in items.clone() {
        if at > items.start {
            json.push(',');
        }
        item(json, at).expect("a string takes everything");
    }
}

fn index_meta() -> Bytes {
    let settings = object([
        ("index.creation_date", text(TIME.to_string())),
        ("index.number_of_replicas", text("0")),
        ("index.number_of_shards", text(SHARDS.to_string())),
        ("index.uuid", text(format!("{BLANK}-index-uuid-"))),
        ("index.version.created", text(VERSION.to_string())),
    ]);
    let fields = (0..20).map(|at| (format!("field-{at:02}"), object([("type", text("long"))])));
    let meta = object([
        ("version", number(6)),
        ("state", text("open")),
        ("settings", settings),
        ("mappings", list([object([("_doc", object([("properties", map(fields))]))])])),
        ("aliases", object([])),
    ]);
    envelope(Codec::IndexMetadata, &map([(index_name(BLANK), meta)]), Body::Plain)
}

fn kind(what: Object) -> Kind {
    match what {
        Object::List { index, shard, late } => Kind::List { late, changed: Shape::has_changed(index, shard) },
        Object::ShardSnapshot { index, shard, snapshot } => {
            Kind::ShardSnapshot { snapshot, changed: snapshot == SNAPSHOTS && Shape::has_changed(index, shard) }
        }
        _ => Kind::IndexMeta,
    }
}

/// The files of a shard in a snapshot; the last snapshot has what the one before had, and more if the shard has changed.
fn files(snapshot: u64, changed: bool) -> std::ops::Range<u64> {
    let first = snapshot.min(SNAPSHOTS - 1);
    let more = if snapshot == SNAPSHOTS && changed { MORE } else { 0 };
    first..first + WINDOW + more
}

fn virtual_name(snapshot: u64) -> String {
    format!("v__{BLANK}-commit-{snapshot:04}")
}

fn name(snapshot: u64) -> String {
    format!("daily-{snapshot:03}")
}

fn index_name(tag: &str) -> String {
    format!("logs-{tag}")
}

fn identifier(index: u64) -> String {
    format!("{}-index-uuid--_na_-1-2-1", tag(index, 0))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
