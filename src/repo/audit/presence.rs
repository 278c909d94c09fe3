//! Whether the objects of a shard are there, with their lengths: by one listing of the shard, or by asking for them one by one where
//! that takes fewer requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::super::reader::Shard;
use super::file::DataFile;
use super::finding::Finding;
use super::kind::FindingKind;
use super::shards::Gathered;
use super::{Audit, Level, lock};
use crate::error::{ErrorKind, Result};
use crate::event::Event;
use crate::store::{Key, ListOptions};

/// Objects that one page of a listing shows (S3, OSS and QingStor).
const PAGE: u64 = 1000;
/// Single questions at once.
const ASKED: usize = 8;

impl Audit {
    /// Looks for the objects of a shard. Files that are there are noted for level `content`.
    pub(super) async fn presence(&self, shard: &Shard, gathered: Gathered, snapshots: usize) -> Result<()> {
        if self.options.level == Level::Structure {
            return Ok(());
        }
        let mut wanted: HashMap<String, u64> = HashMap::new();
        for file in gathered.files.values().flatten() {
            wanted.extend(file.identity.parts().map(|part| (part.name, part.length)));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        // Beside its objects a shard has a list for each snapshot and one for all.
        let pages = (wanted.len() as u64 + snapshots as u64 + 1).div_ceil(PAGE);
        let found =
            if wanted.len() as u64 <= pages { self.ask(shard, &wanted).await? } else { self.listed(shard).await? };
        for file in gathered.files.into_values().flatten() {
            if self.is_there(shard, &file, &found) {
                self.note_content(shard, file)?;
            }
        }
        Ok(())
    }

    /// The lengths of all objects of a shard.
    async fn listed(&self, shard: &Shard) -> Result<BTreeMap<String, u64>> {
        let mut pages = self.reader.base.store.list(ListOptions { prefix: shard.container.clone(), after: None });
        let mut found = BTreeMap::new();
        while let Some(page) = pages.try_next().await? {
            let names = page.into_iter().filter_map(|meta| {
                let name = meta.key.as_str().strip_prefix(&shard.container)?;
                name.starts_with("__").then(|| (name.to_owned(), meta.size))
            });
            found.extend(names);
        }
        Ok(found)
    }

    /// The lengths of some objects of a shard.
    async fn ask(&self, shard: &Shard, wanted: &HashMap<String, u64>) -> Result<BTreeMap<String, u64>> {
        let heads = stream::iter(wanted.keys()).map(|name| async move {
            match self.reader.base.store.head(&shard.key(name)).await {
                Ok(head) => Ok(Some((name.clone(), head.meta.size))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        });
        let found: Vec<Option<(String, u64)>> = heads.buffer_unordered(ASKED).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Whether all objects of a file are there with their lengths; those that are not are found.
    fn is_there(&self, shard: &Shard, file: &DataFile, found: &BTreeMap<String, u64>) -> bool {
        let mut whole = true;
        for part in file.identity.parts() {
            let key = file.key(&part);
            self.counts.objects.fetch_add(1, Ordering::Relaxed);
            let (kind, message) = match found.get(&part.name) {
                Some(length) if *length == part.length => continue,
                Some(length) => (
                    FindingKind::MismatchedBlobLength,
                    format!("it has {length} bytes and should have {}", part.length),
                ),
                None => (FindingKind::MissingBlob, format!("it is not there; it should have {} bytes", part.length)),
            };
            whole = false;
            self.note_file(shard, file, &key, kind, message);
        }
        whole
    }

    /// Notes damage of a file.
    fn note_file(&self, shard: &Shard, file: &DataFile, key: &Key, kind: FindingKind, message: String) {
        let finding = Finding::new(kind, message).at(key).in_index(&shard.index).in_shard(shard.number);
        let finding = finding.of_file(&file.identity.physical).used_by(file.users.clone());
        self.note(file.healing(finding));
    }

    /// Keeps a file for level `content`, if its turn has come.
    fn note_content(&self, shard: &Shard, file: DataFile) -> Result<()> {
        if self.options.level != Level::Content || !self.takes(shard, &file) {
            return Ok(());
        }
        self.reporter.report(&Event::Planned { bytes: file.identity.length });
        lock(&self.wanted).push(file)
    }

    fn takes(&self, shard: &Shard, file: &DataFile) -> bool {
        let name = &file.identity.name;
        let portion = self.options.portion.takes(&shard.id, shard.number, name);
        let Some(again) = &self.options.again else { return portion };
        again.files.contains(&(shard.id.to_string(), shard.number, name.clone()))
            || (portion
                && (again.shards.contains(&(shard.id.to_string(), shard.number))
                    || again.indices.contains(shard.id.as_str())))
    }
}
