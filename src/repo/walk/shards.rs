//! The shards of a walk: the files that the target lacks, and the lists of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::indices::ShardWalk;
use super::there::{Identity, There};
use super::{Damage, Look, READS, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::repo::base::Base;
use crate::repo::data::{Family, IndexEntry};
use crate::repo::layout::{BlobKind, kind};
use crate::repo::name::Name;
use crate::repo::reader::{Read, Shard};
use crate::repo::rewrite::{ShardFiles, generation_of};
use crate::repo::shard::{FileEntry, ShardSnapshot};
use crate::repo::snapshot::shallow;
use crate::store::{Key, ListOptions, ObjectMeta};
use crate::transfer::{Item, Seal, Want};

/// The level of metadata of shards.
const LEVEL: usize = 0;

/// A shard in a snapshot that is added.
type Added = (Name, Name, Read<ShardSnapshot>);

impl Walk {
    /// Walks through one shard.
    pub(super) async fn shard(self: Arc<Self>, mut walk: ShardWalk) -> Result<Vec<Want>> {
        if self.numbers_lists() {
            self.find_lists(&mut walk).await?;
        }
        let added = self.added_files(&walk).await?;
        let mut there = self.shard_there(&walk).await?;
        let mut wants = self.files(&walk, &added, &mut there)?;
        for (_, _, read) in &added {
            wants.push(self.shard_meta(&walk, &read.key, &read.bytes, &mut there)?);
        }
        wants.extend(self.list(&walk, &added, &mut there).await?);
        let extras = there.listed.take().into_iter().flatten().map(|(_, meta)| Want::Extra(meta));
        wants.extend(extras);
        Ok(wants)
    }

    /// Whether lists of files have numbers that the root does not tell, as to 7.5.
    pub(super) fn numbers_lists(&self) -> bool {
        self.root().family() == Family::F1
    }

    /// Finds the newest list of a shard on both sides, where the root does not name it: the only listings there are without need.
    async fn find_lists(&self, walk: &mut ShardWalk) -> Result<()> {
        let newest = |base: &Base, container: String| {
            let store = base.store.clone();
            async move {
                let prefix = format!("{container}index-");
                let mut pages = store.list(ListOptions { prefix: prefix.clone(), after: None });
                let mut newest: Option<u64> = None;
                while let Some(page) = pages.try_next().await? {
                    let numbers = page.iter().filter_map(|meta| meta.key.as_str().strip_prefix(&prefix)?.parse().ok());
                    newest = newest.max(numbers.max());
                }
                Ok::<_, Error>(newest.map(|number| Name::from(number.to_string().as_str())))
            }
        };
        walk.shard.generation = newest(&self.source.base, walk.shard.container.clone()).await?;
        if self.there.is_some() {
            walk.generation_there = newest(&self.target, walk.container.clone()).await?;
        }
        // A shard without one gets one: Elasticsearch 7 takes a shard without a list for an empty one.
        walk.shard.generation.get_or_insert_with(|| Name::from("0"));
        Ok(())
    }

    /// Whether a blob under a reused name would overwrite one that only snapshots need which the source has no more.
    pub(super) async fn shard_overwrites(self: Arc<Self>, walk: ShardWalk, vanished: &BTreeSet<Name>) -> Result<bool> {
        let (Some(reader), false) = (&self.there, vanished.is_empty()) else { return Ok(false) };
        let added = self.added_files(&walk).await?;
        let counted = |file: &&FileEntry| is_counter(&file.name);
        if !added.iter().any(|(_, _, read)| read.says.files.iter().any(|file| counted(&file))) {
            return Ok(false);
        }
        let shard = Shard { container: walk.container.clone(), ..walk.shard.clone() };
        let mut needed: HashMap<String, Identity> = HashMap::new();
        for uuid in vanished {
            match reader.shard_snapshot(&shard, uuid).await {
                Ok(read) => {
                    for file in read.says.files.iter().filter(counted) {
                        needed.extend(file.parts().map(|part| (part.name, Identity::from(file))));
                    }
                }
                // A snapshot that had not this shard, or has lost it: nothing of it can be broken.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(added.iter().flat_map(|(_, _, read)| &read.says.files).any(|file| {
            file.parts().any(|part| needed.get(&part.name).is_some_and(|old| *old != Identity::from(file)))
        }))
    }

    /// The shard's files in each snapshot that is added. A snapshot without them is left out, unless it says so itself.
    async fn added_files(&self, walk: &ShardWalk) -> Result<Vec<Added>> {
        let reads = walk
            .added
            .iter()
            .map(|(uuid, name)| async move { (uuid, name, self.source.shard_snapshot(&walk.shard, uuid).await) });
        let reads: Vec<_> = stream::iter(reads.collect::<Vec<_>>()).buffered(READS).collect().await;
        let mut added = Vec::new();
        for (uuid, name, read) in reads {
            match read {
                Ok(read) => added.push((uuid.clone(), name.clone(), read)),
                Err(error) if error.kind() == ErrorKind::NotFound && self.may_lack(walk, uuid) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let elsewhere = walk.shard.key(&format!("shallow-snap-{uuid}.dat"));
                    if self.source.base.store.head(&elsewhere).await.is_ok() {
                        return Err(shallow(name));
                    }
                    self.note(uuid, name, error, None)?;
                }
                Err(error) => self.note(uuid, name, error, None)?,
            }
        }
        Ok(added)
    }

    /// Whether a snapshot says that it has not this shard. One that failed has whatever it has.
    fn may_lack(&self, walk: &ShardWalk, uuid: &Name) -> bool {
        let inner = self.found.inner();
        let Some(info) = inner.partial.get(uuid) else { return false };
        let whole = matches!(info.state.as_str(), "SUCCESS" | "PARTIAL");
        !whole || info.has_failed(&walk.shard.index, walk.shard.number)
    }

    /// The files that the target lacks. Those it has are told too, where that costs nothing.
    fn files(&self, walk: &ShardWalk, added: &[Added], there: &mut There) -> Result<Vec<Want>> {
        let mut wants = Vec::new();
        let mut seen: HashMap<&str, Identity> = HashMap::new();
        for (uuid, name, read) in added {
            for file in &read.says.files {
                let identity = Identity::from(file);
                let mut fault = self.fault(walk, file).filter(|_| !self.allow_damaged);
                match seen.insert(&file.name, identity.clone()) {
                    Some(before) if before != identity => {
                        fault = Some("another snapshot has other content under the same name".to_owned());
                    }
                    Some(_) => {}
                    None => self.file(walk, file, &identity, there, &mut wants),
                }
                if let Some(cause) = fault {
                    let file = file.physical_name.escape_default();
                    let doing = format!("copy the file `{file}` of `{}` [{}]", walk.shard.index, walk.shard.number);
                    self.note(uuid, name, Error::new(ErrorKind::Corrupt, doing).because(cause), None)?;
                }
            }
        }
        Ok(wants)
    }

    /// What is known to be wrong with a file.
    fn fault(&self, walk: &ShardWalk, file: &FileEntry) -> Option<String> {
        file.parts()
            .find_map(|part| self.damage(walk, &part.name))
            .map(|damage| match damage {
                Damage::Content => "it is damaged at the source".to_owned(),
                Damage::Missing => "it is missing at the source".to_owned(),
            })
            .or_else(|| file.virtual_fault())
    }

    fn damage(&self, walk: &ShardWalk, part: &str) -> Option<Damage> {
        if self.damaged.is_empty() {
            return None;
        }
        self.damaged.get(&Key::new(format!("{}{part}", walk.container)).expect("a blob has a name")).copied()
    }

    fn file(&self, walk: &ShardWalk, file: &FileEntry, identity: &Identity, there: &mut There, wants: &mut Vec<Want>) {
        let listed: Vec<Option<ObjectMeta>> = match &mut there.listed {
            Some(listed) => file.parts().map(|part| listed.remove(&part.name)).collect(),
            None => Vec::new(),
        };
        let complete = there.listed.is_some()
            && file.parts().zip(&listed).all(|(part, meta)| meta.as_ref().is_some_and(|meta| meta.size == part.length));
        let reused = is_counter(&file.name);
        // What its own metadata says is all that is known of a target, unless nothing of it is taken for granted.
        let known = there.files.get(&file.name) == Some(identity) && (complete || self.look != Look::Deep);
        // A name that comes back may be there with other content of the same length.
        let maybe_there = !known && complete && reused && !identity.cut && file.checksum.is_some();
        let wanted = !known && (!complete || reused);
        let damaged = self.fault(walk, file).is_some();
        if damaged && !self.allow_damaged {
            // Once there, nobody could tell it from what it should be: it has the right name and length.
            return;
        }
        for part in file.parts() {
            let to = Key::new(format!("{}{}", walk.container, part.name)).expect("a blob has a name");
            if !wanted {
                let reason = if known { "published" } else { "same-size" };
                wants.push(Want::There { key: to, bytes: part.length, reason });
            } else if self.damage(walk, &part.name) != Some(Damage::Missing) {
                let seal = seal(file, &to, part.offset).filter(|_| !damaged);
                let any_length = self.damage(walk, &part.name).is_some();
                let item =
                    Item { to: Some(to), seal, any_length, ..Item::named(walk.shard.key(&part.name), part.length) };
                wants.push(Want::Data { item, maybe_there });
            }
        }
    }

    /// Metadata of a shard for the target; looked at by its length alone only when all is walked through again.
    fn shard_meta(&self, walk: &ShardWalk, key: &Key, bytes: &Bytes, there: &mut There) -> Result<Want> {
        let name = key.as_str().strip_prefix(&walk.shard.container).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("copy {key:?}")).because("it is not in its shard")
        })?;
        let listed = there.listed.as_mut().and_then(|listed| listed.remove(name));
        let to = Key::new(format!("{}{name}", walk.container))?;
        let length = bytes.len() as u64;
        if self.look == Look::Deep && listed.is_some_and(|meta| meta.size == length) {
            return Ok(Want::There { key: to, bytes: length, reason: "same-size" });
        }
        Ok(Want::Meta { item: Item { to: Some(to), ..Item::held(key.clone(), bytes) }, level: LEVEL })
    }

    /// The list of the shard's files in all snapshots that the copy names: the source's own if the copy has them all, else one made of
    /// what they have.
    async fn list(&self, walk: &ShardWalk, added: &[Added], there: &mut There) -> Result<Option<Want>> {
        let Some(generation) = &walk.shard.generation else { return Ok(None) };
        let root = self.root().clone();
        let (name, index) = (walk.shard.index.as_str(), &root.indices[walk.shard.index.as_str()]);
        let whole = self.desired.of(name, index).count() == index.snapshots.len();
        // A number says nothing of the content: the same may have been made for other snapshots.
        let numbered = self.numbers_lists();
        let same = !numbered && walk.generation_there.as_ref() == Some(generation);
        if whole && same && self.look != Look::Deep {
            return Ok(None);
        }
        let kept = self.kept(name, index);
        if whole {
            match self.source.shard_index(&walk.shard, generation).await {
                // One that lists more, an unfinished snapshot for example, would lead writers to what is not there.
                Ok(read) if read.says.snapshots.keys().all(|snapshot| kept.contains(snapshot)) => {
                    return self.shard_meta(walk, &read.key, &read.bytes, there).map(Some);
                }
                Ok(_) => {}
                // A snapshot that is being made replaces it before the root does.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {}
                Err(error) => return Err(error),
            }
        }
        let bytes = made_list(added, there, kept, &walk.container)?;
        let made = if whole || numbered { generation.as_str().to_owned() } else { generation_of(&bytes) };
        if !whole && !numbered {
            self.set_generation(&walk.shard.id, walk.shard.number, &made);
            if walk.generation_there.as_deref() == Some(made.as_str()) && self.look != Look::Deep {
                return Ok(None);
            }
        }
        self.shard_meta(walk, &walk.shard.key(&format!("index-{made}")), &bytes, there).map(Some)
    }

    /// The names of the snapshots of an index that the copy names.
    fn kept(&self, name: &str, index: &IndexEntry) -> BTreeSet<String> {
        let kept = self.desired.of(name, index).filter_map(|uuid| self.root().snapshot(uuid));
        kept.map(|snapshot| snapshot.name.as_str().to_owned()).collect()
    }
}

/// A list of the shard's files in the snapshots that are kept.
fn made_list(added: &[Added], there: &There, mut kept: BTreeSet<String>, container: &str) -> Result<Bytes> {
    let mut files = ShardFiles::default();
    for (_, name, read) in added {
        files.snapshot(read.key.as_str(), &read.bytes, name)?;
        kept.remove(name.as_str());
    }
    if let Some(list) = &there.list {
        files.listed(container, list, &kept)?;
    }
    for (name, bytes) in there.snapshots.iter().filter(|(name, _)| kept.contains(*name)) {
        files.snapshot(container, bytes, name)?;
    }
    files.write()
}

/// Whether a name is a counter, which comes back with other content after a deletion.
fn is_counter(name: &str) -> bool {
    kind(&format!("indices/x/0/{name}")) == BlobKind::CounterBlob
}

fn seal(file: &FileEntry, key: &Key, offset: u64) -> Option<Seal> {
    let file_name = file.is_cut().then(|| {
        let name = key.as_str();
        name.rsplit_once(".part").map_or(name, |(name, _)| name).to_owned()
    });
    Some(Seal { crc32: file.checksum?, tail: file.footer()?, length: file.length, offset, file: file_name })
}
