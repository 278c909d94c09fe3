//! A shard's list of files for the snapshots that are kept.
//!
//! What is in the list and in no snapshot that is kept would be taken for there by a cluster that writes to the copy later, so a list
//! never names more than the copy has. Built from what the source's list says and from the shard's `snap-<uuid>.dat`, entry by entry as
//! they were written.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_smile::value::Value;
use sha2::{Digest as _, Sha256};

use super::member;
use crate::error::{Error, ErrorKind, Result};
use crate::repo::codec::Codec;

/// The files of a shard in the snapshots that are kept, as they are gathered.
#[derive(Debug, Default)]
pub struct ShardFiles {
    files: BTreeMap<String, Value>,
    snapshots: BTreeMap<String, Value>,
}

impl ShardFiles {
    /// Takes what a shard's `index-<generation>` lists of the snapshots with these names, and gives the names that it has not.
    ///
    /// [`ErrorKind::Corrupt`] for a blob that is none or that names a file it does not list; `name` is for messages.
    pub fn listed(&mut self, name: &str, blob: &[u8], snapshots: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let Value::Object(mut list) = Codec::Snapshots.decode::<Value>(name, blob)? else {
            return Err(corrupt(name, "it is no list of files".to_owned()));
        };
        let files = entries(name, list.shift_remove("files"))?;
        let mut wanted = BTreeSet::new();
        let mut missing = snapshots.clone();
        if let Some(Value::Object(listed)) = list.shift_remove("snapshots") {
            for (snapshot, entry) in listed.into_iter().filter(|(snapshot, _)| snapshots.contains(snapshot)) {
                wanted.extend(names(&entry).map(str::to_owned));
                missing.remove(&snapshot);
                self.snapshots.insert(snapshot, entry);
            }
        }
        for file in files {
            let blob = blob_name(name, &file)?;
            if wanted.remove(&blob) {
                self.add(name, blob, file)?;
            }
        }
        match wanted.first() {
            None => Ok(missing),
            Some(blob) => Err(corrupt(
                name,
                format!("a snapshot has the file `{}`, which it does not list", blob.escape_default()),
            )),
        }
    }

    /// Takes the files of the snapshot called `snapshot` from the shard's `snap-<uuid>.dat`. Errors as with [`listed`](Self::listed).
    pub fn snapshot(&mut self, name: &str, blob: &[u8], snapshot: &str) -> Result<()> {
        let Value::Object(mut list) = Codec::Snapshot.decode::<Value>(name, blob)? else {
            return Err(corrupt(name, "it is no list of files".to_owned()));
        };
        let mut names = Vec::new();
        for file in entries(name, list.shift_remove("files"))? {
            let blob = blob_name(name, &file)?;
            names.push(Value::String(blob.clone()));
            self.add(name, blob, file)?;
        }
        let entry = object([("files", Value::Array(names))]);
        self.snapshots.insert(snapshot.to_owned(), entry);
        Ok(())
    }

    /// The content of a shard's `index-<generation>`: files by the names of their blobs, snapshots by their names. The same files
    /// give the same bytes.
    pub fn write(self) -> Result<Bytes> {
        let files = Value::Array(self.files.into_values().collect());
        let snapshots = Value::Object(self.snapshots.into_iter().collect());
        Codec::Snapshots.encode(&object([("files", files), ("snapshots", snapshots)]))
    }

    fn add(&mut self, name: &str, blob: String, file: Value) -> Result<()> {
        match self.files.get(&blob) {
            Some(known) if ["length", "checksum"].iter().any(|field| member(known, field) != member(&file, field)) => {
                Err(corrupt(
                    name,
                    format!("another snapshot has the file `{}` with another content", blob.escape_default()),
                ))
            }
            Some(_) => Ok(()),
            None => {
                self.files.insert(blob, file);
                Ok(())
            }
        }
    }
}

/// The generation under which a list of files is written: 22 characters of URL-safe Base64, as Elasticsearch's own, made from the content,
/// so that what is there under that name needs no second writing.
#[must_use]
pub fn generation_of(blob: &[u8]) -> String {
    let mut sum = Sha256::digest(blob);
    loop {
        let mut text = URL_SAFE_NO_PAD.encode(sum);
        text.truncate(22);
        // A plain number would be taken for a generation of the older kind.
        if text.bytes().any(|byte| !byte.is_ascii_digit()) {
            return text;
        }
        sum = Sha256::digest(sum);
    }
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn entries(name: &str, files: Option<Value>) -> Result<Vec<Value>> {
    match files {
        Some(Value::Array(files)) => Ok(files),
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(_) => Err(corrupt(name, "its files are no list".to_owned())),
    }
}

fn names(entry: &Value) -> impl Iterator<Item = &str> {
    let files = match member(entry, "files") {
        Some(Value::Array(files)) => files.as_slice(),
        _ => &[],
    };
    files.iter().filter_map(|file| match file {
        Value::String(name) => Some(name.as_str()),
        _ => None,
    })
}

fn blob_name(name: &str, file: &Value) -> Result<String> {
    match member(file, "name") {
        Some(Value::String(blob)) => Ok(blob.clone()),
        _ => Err(corrupt(name, "a file in it has no name".to_owned())),
    }
}

fn corrupt(name: &str, cause: String) -> Error {
    Error::new(ErrorKind::Corrupt, format!("read `{name}`")).because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::ShardIndex;

    fn file(name: &str, length: i32) -> Value {
        object([
            ("name", Value::String(name.to_owned())),
            ("physical_name", Value::String(format!("{name}.cfs"))),
            ("length", Value::Integer(length)),
            ("tomorrow", Value::Binary(vec![1, 2])),
        ])
    }

    fn snapshot(files: Vec<Value>) -> Bytes {
        let name = Value::String("s".to_owned());
        Codec::Snapshot.encode(&object([("name", name), ("files", Value::Array(files))])).expect("it can be written")
    }

    fn of(snapshots: &[(&str, &Bytes)]) -> Result<Bytes> {
        let mut files = ShardFiles::default();
        for (name, blob) in snapshots {
            files.snapshot("x", blob, name)?;
        }
        files.write()
    }

    fn named(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_list_is_the_same_however_it_was_put_together() {
        let (a, b) = (snapshot(vec![file("__2", 5), file("__1", 4)]), snapshot(vec![file("__2", 5), file("v__3", 6)]));
        let both = of(&[("a", &a), ("b", &b)]).expect("they agree");
        assert_eq!(of(&[("b", &b), ("a", &a)]).expect("they agree"), both);
        let read = ShardIndex::parse("x", &both).expect("it is whole");
        assert_eq!(read.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["__1", "__2", "v__3"]);
        assert_eq!(read.snapshots["a"].files, ["__2", "__1"]);
        let mut again = ShardFiles::default();
        let missing = again.listed("x", &both, &named(&["a", "c"])).expect("it is whole");
        assert_eq!(missing, named(&["c"]));
        assert_eq!(again.write().expect("it can be written"), of(&[("a", &a)]).expect("it can be written"));
    }

    #[test]
    fn one_name_for_two_contents_and_a_file_that_is_not_listed_are_damage() {
        let (a, b) = (snapshot(vec![file("__1", 4)]), snapshot(vec![file("__1", 5)]));
        assert_eq!(of(&[("a", &a), ("b", &b)]).expect_err("two contents").kind(), ErrorKind::Corrupt);
        let entry = object([("files", Value::Array(vec![Value::String("__9".to_owned())]))]);
        let list = object([("files", Value::Array(vec![file("__1", 4)])), ("snapshots", object([("a", entry)]))]);
        let blob = Codec::Snapshots.encode(&list).expect("it can be written");
        let error = ShardFiles::default().listed("x", &blob, &named(&["a"])).expect_err("not listed");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_generation_is_made_from_the_content() {
        assert_eq!(generation_of(b"abc"), "ungWv48Bz-pBQUDeXa4iI7");
        assert_ne!(generation_of(b"abd"), generation_of(b"abc"));
    }
}
