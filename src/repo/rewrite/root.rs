//! The root for a selection of its snapshots and indices.
//!
//! 1. Of every index, the snapshots that are kept stay in its list; an index without any goes.
//! 2. Of every snapshot, the lookups of indices that stay.
//! 3. The identifiers that a lookup still names.
//!
//! The readers of Elasticsearch want `snapshots` before `indices`, fail on a snapshot or an index that is named and not listed, and take
//! an identifier that nothing names for a mistake of the writer.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Keep;
use crate::error::{Error, ErrorKind, Result};

/// Rewrites the content of a root so that it names only what `keep` has; if that is everything, it comes back as it is.
///
/// `source` must be a root that [`RootIndex::parse`](crate::repo::RootIndex::parse) takes; [`ErrorKind::Corrupt`] otherwise.
/// [`ErrorKind::NotFound`] for a snapshot that it does not list. Generations are set only where an index has a list of them (from 7.6).
pub fn root(source: &Bytes, keep: &Keep) -> Result<Bytes> {
    let mut top: Members<'_> = read(source)?;
    let mut rewriting = Rewriting { keep, changed: false, indices: BTreeSet::new(), identifiers: BTreeSet::new() };
    if let Some(at) = top.find("indices") {
        let indices = rewriting.indices(&top.0[at].1)?;
        top.set(at, indices);
    }
    if let Some(at) = top.find("snapshots") {
        let snapshots = rewriting.snapshots(&top.0[at].1)?;
        top.set(at, snapshots);
    }
    if let Some(at) = top.find("index_metadata_identifiers") {
        let identifiers = rewriting.identifiers(&top.0[at].1)?;
        top.set(at, identifiers);
    }
    rewriting.ids(&mut top);
    if !rewriting.changed {
        return Ok(source.clone());
    }
    if let (Some(indices), Some(snapshots)) = (top.find("indices"), top.find("snapshots"))
        && indices < snapshots
    {
        top.0.swap(indices, snapshots);
    }
    Ok(top.text().into())
}

struct Rewriting<'k> {
    keep: &'k Keep,
    changed: bool,
    /// The ids of the indices that stay.
    indices: BTreeSet<String>,
    /// The identifiers that lookups still name.
    identifiers: BTreeSet<String>,
}

impl Rewriting<'_> {
    /// Step 1.
    fn indices(&mut self, source: &str) -> Result<Option<String>> {
        let (mut indices, mut changed) = (read::<Members<'_>>(source.as_bytes())?, false);
        let mut kept = Members(Vec::with_capacity(indices.0.len()));
        for (name, text) in indices.0.drain(..) {
            match self.index(&text)? {
                Change::Goes => changed = true,
                Change::Stays => kept.0.push((name, text)),
                Change::Becomes(text) => {
                    changed = true;
                    kept.0.push((name, text.into()));
                }
            }
        }
        Ok(self.note(changed, || kept.text()))
    }

    fn index(&mut self, source: &str) -> Result<Change> {
        let mut index: Members<'_> = read(source.as_bytes())?;
        let at = index.find("id").ok_or_else(|| corrupt("an index has no id"))?;
        let id: String = read(index.0[at].1.as_bytes())?;
        let mut changed = false;
        let Some(at) = index.find("snapshots") else { return Ok(Change::Goes) };
        let listed: Vec<&RawValue> = read(index.0[at].1.as_bytes())?;
        let mut kept = Vec::with_capacity(listed.len());
        for snapshot in &listed {
            if self.keep.has(&uuid(snapshot.get())?, &id) {
                kept.push(snapshot.get());
            }
        }
        if kept.is_empty() {
            return Ok(Change::Goes);
        }
        if kept.len() < listed.len() {
            changed = true;
            let kept = list(&kept);
            index.set(at, Some(kept));
        }
        if let (Some(given), Some(at)) = (self.keep.generations.get(id.as_str()), index.find("shard_generations")) {
            let mut generations: Vec<Option<String>> = read(index.0[at].1.as_bytes())?;
            let before = generations.clone();
            for (shard, generation) in given {
                let shard = *shard as usize;
                generations.resize(generations.len().max(shard + 1), None);
                generations[shard] = Some(generation.clone());
            }
            if generations != before {
                changed = true;
                index.set(at, Some(json(&generations)));
            }
        }
        self.indices.insert(id);
        Ok(if changed { Change::Becomes(index.text()) } else { Change::Stays })
    }

    /// Step 2.
    fn snapshots(&mut self, source: &str) -> Result<Option<String>> {
        let listed: Vec<&RawValue> = read(source.as_bytes())?;
        let (mut kept, mut changed, mut found) = (Vec::with_capacity(listed.len()), false, BTreeSet::new());
        for snapshot in &listed {
            let uuid = uuid(snapshot.get())?;
            if !self.keep.snapshots.contains_key(uuid.as_str()) {
                changed = true;
                continue;
            }
            let text = self.snapshot(snapshot.get(), &uuid)?;
            changed |= text.is_some();
            kept.push(text.map_or(Cow::Borrowed(snapshot.get()), Cow::Owned));
            found.insert(uuid);
        }
        if let Some(unknown) = self.keep.snapshots.keys().find(|uuid| !found.contains(uuid.as_str())) {
            return Err(Error::new(ErrorKind::NotFound, "select snapshots of the root")
                .because(format!("it does not list the snapshot {unknown:?}")));
        }
        Ok(self.note(changed, || list(&kept)))
    }

    fn snapshot(&mut self, source: &str, uuid: &str) -> Result<Option<String>> {
        if source.starts_with('"') {
            return Ok(None);
        }
        let mut snapshot: Members<'_> = read(source.as_bytes())?;
        let Some(at) = snapshot.find("index_metadata_lookup") else { return Ok(None) };
        let Some(mut lookup) = read::<Option<Members<'_>>>(snapshot.0[at].1.as_bytes())? else { return Ok(None) };
        let before = lookup.0.len();
        lookup.0.retain(|(index, _)| self.indices.contains(index) && self.keep.has(uuid, index));
        for (_, identifier) in &lookup.0 {
            let identifier: Cow<'_, str> = read(identifier.as_bytes())?;
            if !self.identifiers.contains(identifier.as_ref()) {
                self.identifiers.insert(identifier.into_owned());
            }
        }
        if lookup.0.len() == before {
            return Ok(None);
        }
        let lookup = lookup.text();
        snapshot.set(at, Some(lookup));
        Ok(Some(snapshot.text()))
    }

    /// Step 3.
    fn identifiers(&mut self, source: &str) -> Result<Option<String>> {
        let Some(mut identifiers) = read::<Option<Members<'_>>>(source.as_bytes())? else { return Ok(None) };
        let before = identifiers.0.len();
        identifiers.0.retain(|(identifier, _)| self.identifiers.contains(identifier));
        Ok(self.note(identifiers.0.len() < before, || identifiers.text()))
    }

    /// The ids of the repository and of the cluster that wrote it: Elasticsearch writes both or neither.
    fn ids(&mut self, top: &mut Members<'_>) {
        match (top.find("uuid"), top.find("cluster_id")) {
            (Some(at), Some(_)) => {
                if let Some(uuid) = self.keep.uuid.as_ref().map(json).filter(|uuid| *uuid != top.0[at].1) {
                    self.changed = true;
                    top.set(at, Some(uuid));
                }
            }
            (None, None) => {}
            (Some(alone), None) | (None, Some(alone)) => {
                self.changed = true;
                top.0.remove(alone);
            }
        }
    }

    fn note(&mut self, changed: bool, text: impl FnOnce() -> String) -> Option<String> {
        self.changed |= changed;
        changed.then(text)
    }
}

/// What becomes of an index.
enum Change {
    Goes,
    Stays,
    Becomes(String),
}

/// The members of a JSON object in their order, each value as it is written.
struct Members<'a>(Vec<(String, Cow<'a, str>)>);

impl Members<'_> {
    fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(member, _)| member == name)
    }

    fn set(&mut self, at: usize, text: Option<String>) {
        if let Some(text) = text {
            self.0[at].1 = text.into();
        }
    }

    fn text(&self) -> String {
        let mut out = String::from("{");
        for (name, text) in &self.0 {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&json(name));
            out.push(':');
            out.push_str(text);
        }
        out.push('}');
        out
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, Cow::Borrowed(value.get())));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The id of a snapshot: a bare name before 5.0, else in an object.
fn uuid(source: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Fields {
        name: String,
        uuid: Option<String>,
    }
    if source.starts_with('"') {
        return read(source.as_bytes());
    }
    let Fields { name, uuid } = read(source.as_bytes())?;
    Ok(uuid.unwrap_or(name))
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| corrupt(&error.to_string()))
}

fn corrupt(cause: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "rewrite the root")
        .because(format!("it is not the list of snapshots it should be: {cause}"))
}

fn list(entries: &[impl AsRef<str>]) -> String {
    let mut out = String::from("[");
    for entry in entries {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(entry.as_ref());
    }
    out.push(']');
    out
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("texts and lists of them have a form in JSON")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::KeptIndices;
    use super::*;
    use crate::repo::Name;

    const ROOT: &str = r#"{"min_version":"7.12.0","uuid":"R","cluster_id":"C","snapshots":[{"name":"a","uuid":"1","x":[1, 2],"index_metadata_lookup":{"I":"i1","J":"j1"}},{"name":"b","uuid":"2","index_metadata_lookup":{"I":"i1"}}],"indices":{"i":{"id":"I","snapshots":["1","2"],"shard_generations":["g",null],"shard_path_type":0},"j":{"id":"J","y":{},"snapshots":["1"],"shard_generations":["h"]}},"index_metadata_identifiers":{"i1":"A","j1":"B"}}"#;

    fn keep(snapshots: &[(&str, Option<&[&str]>)]) -> Keep {
        let kept = |ids: &[&str]| KeptIndices::These(Arc::new(ids.iter().map(|id| Name::from(*id)).collect()));
        let snapshots =
            snapshots.iter().map(|(uuid, ids)| (Name::from(*uuid), ids.map_or(KeptIndices::All, kept))).collect();
        Keep { snapshots, ..Keep::default() }
    }

    fn rewritten(source: &str, keep: &Keep) -> String {
        let bytes = root(&Bytes::copy_from_slice(source.as_bytes()), keep).unwrap_or_else(|error| panic!("{error}"));
        String::from_utf8(bytes.to_vec()).expect("it is JSON")
    }

    #[test]
    fn a_root_of_which_all_is_kept_is_the_same_bytes() {
        let spaced = ROOT.replace(":{", " : {");
        for source in [ROOT, &spaced] {
            assert_eq!(rewritten(source, &keep(&[("1", None), ("2", Some(&["I"]))])), source);
        }
    }

    #[test]
    fn what_nothing_names_any_more_goes_and_the_rest_stays_as_written() {
        assert_eq!(
            rewritten(ROOT, &keep(&[("2", None)])),
            r#"{"min_version":"7.12.0","uuid":"R","cluster_id":"C","snapshots":[{"name":"b","uuid":"2","index_metadata_lookup":{"I":"i1"}}],"indices":{"i":{"id":"I","snapshots":["2"],"shard_generations":["g",null],"shard_path_type":0}},"index_metadata_identifiers":{"i1":"A"}}"#
        );
        assert_eq!(
            rewritten(ROOT, &keep(&[("1", Some(&["J"]))])),
            r#"{"min_version":"7.12.0","uuid":"R","cluster_id":"C","snapshots":[{"name":"a","uuid":"1","x":[1, 2],"index_metadata_lookup":{"J":"j1"}}],"indices":{"j":{"id":"J","y":{},"snapshots":["1"],"shard_generations":["h"]}},"index_metadata_identifiers":{"j1":"B"}}"#
        );
        assert_eq!(
            rewritten(ROOT, &keep(&[])),
            r#"{"min_version":"7.12.0","uuid":"R","cluster_id":"C","snapshots":[],"indices":{},"index_metadata_identifiers":{}}"#
        );
    }

    #[test]
    fn generations_and_the_id_are_replaced_where_there_are_some() {
        let mut keep = keep(&[("1", None), ("2", None)]);
        keep.generations = [("I", 2, "n2"), ("J", 0, "n0")]
            .into_iter()
            .map(|(id, shard, new)| (Name::from(id), BTreeMap::from([(shard, new.to_owned())])))
            .collect();
        keep.uuid = Some("N".to_owned());
        let expected = ROOT.replace(r#""R""#, r#""N""#).replace(r#"["g",null]"#, r#"["g",null,"n2"]"#);
        let expected = expected.replace(r#"["h"]"#, r#"["n0"]"#);
        assert_eq!(rewritten(ROOT, &keep), expected);
        assert_eq!(rewritten(&expected, &keep), expected);
        let old = r#"{"snapshots":[{"name":"s","uuid":"1"},"2"],"indices":{"i":{"id":"I","snapshots":[{"name":"s","uuid":"1"},"2"]}}}"#;
        assert_eq!(rewritten(old, &keep), old);
    }

    #[test]
    fn snapshots_come_before_indices_and_an_id_never_alone() {
        let source = r#"{"uuid":"R","indices":{},"snapshots":["1","2"]}"#;
        assert_eq!(rewritten(source, &keep(&[("2", None)])), r#"{"snapshots":["2"],"indices":{}}"#);
    }

    #[test]
    fn a_snapshot_that_is_not_listed_and_what_is_no_root_are_errors() {
        let failed = |source: &str| {
            root(&Bytes::copy_from_slice(source.as_bytes()), &keep(&[("3", None)])).expect_err("nothing to keep").kind()
        };
        assert_eq!(failed(ROOT), ErrorKind::NotFound);
        for broken in ["", "[]", r#"{"snapshots":{}}"#, r#"{"snapshots":[],"indices":{"i":{}}}"#] {
            assert_eq!(failed(broken), ErrorKind::Corrupt, "{broken}");
        }
    }
}
