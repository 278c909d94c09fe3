//! Each index and each of its shards: the lists of files, read and gathered. `lists` holds them against each other.
//!
//! 1. The metadata of an index, each blob once, tells how many shards each snapshot has of it.
//! 2. Of each shard the list of all snapshots is read, if there is one, then that of each snapshot in turn.
//! 3. What the lists name is gathered: each file once, with the snapshots that use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::super::generation::Generation;
use super::super::reader::Shard;
use super::super::shard::{FileEntry, ShardSnapshot};
use super::file::{DataFile, Identity};
use super::finding::Finding;
use super::kind::FindingKind;
use super::lists::Known;
use super::repair::{Blob, Remedy};
use super::users::Users;
use super::{Audit, SHARDS, Trouble, lock};
use crate::error::Result;
use crate::event::Event;
use crate::store::{Key, ListOptions};

/// Lists of one shard read ahead.
const AHEAD: usize = 8;

/// What the lists of a shard name.
#[derive(Default)]
pub(super) struct Gathered {
    /// By the blob's name; more than one where the lists contradict each other.
    pub(super) files: BTreeMap<String, Vec<DataFile>>,
    /// Files within the lists, and what is wrong with them.
    held: BTreeMap<(String, String), Option<(String, Users)>>,
}

impl Audit {
    /// An index with all its shards.
    pub(super) async fn index(&self, number: usize) -> Result<()> {
        let (name, entry, users) = &self.placed.indices[number];
        self.counts.indices.fetch_add(1, Ordering::Relaxed);
        let counts = self.shard_counts(number).await?;
        let most = counts.values().copied().max().unwrap_or(0);
        self.check_generations(number, most, counts.len() == users.iter().count());
        let index = u32::try_from(number).expect("a root lists fewer indices than that");
        let shards = stream::iter(self.reader.shards(name, entry, most)?).map(Ok);
        shards
            .try_for_each_concurrent(SHARDS, |shard| {
                let members =
                    counts.iter().filter(|(_, count)| shard.number < **count).map(|(user, _)| *user).collect();
                Box::pin(async move { self.shard(index, &shard, members).await })
            })
            .await
    }

    /// How many shards each restorable snapshot has of an index: from the metadata, or, where that cannot be read, from the root.
    async fn shard_counts(&self, number: usize) -> Result<BTreeMap<u32, u32>> {
        let (name, entry, users) = &self.placed.indices[number];
        let mut keys: BTreeMap<Key, Users> = BTreeMap::new();
        for user in users.iter().filter(|user| self.placed.snapshot(*user).is_restorable()) {
            let key = self.reader.index_meta_key(self.placed.snapshot(user), entry);
            keys.entry(key).or_default().push(user);
        }
        let rooted = entry.shard_generations.as_ref().and_then(|list| u32::try_from(list.len()).ok());
        let read = stream::iter(keys).map(|(key, users)| async move {
            let count = match self.reader.index_meta(key.clone(), name).await {
                Ok(read) => {
                    self.read_object(read.bytes.len() as u64);
                    let count = read.says.number_of_shards();
                    self.read_shards(number, &users, Some(count));
                    Some(count)
                }
                Err(error) => {
                    let trouble = self.trouble(error)?;
                    self.read_shards(number, &users, None);
                    let (missing, corrupt) = (FindingKind::MissingIndexMetadata, FindingKind::CorruptIndexMetadata);
                    let below = self.reader.base.name(&key).unwrap_or_default().to_owned();
                    let finding = Self::finding(trouble, &key, missing, corrupt).in_index(name).used_by(users.clone());
                    self.note(finding.healed_by(Remedy::Blob(Blob::Index { name: below, index: name.to_string() })));
                    rooted
                }
            };
            Ok::<_, crate::error::Error>((users, count))
        });
        let read: Vec<(Users, Option<u32>)> = read.buffer_unordered(AHEAD).try_collect().await?;
        let counts = read.into_iter().filter_map(|(users, count)| Some((users, count?)));
        let each = counts.flat_map(|(users, count)| users.iter().map(|user| (user, count)).collect::<Vec<_>>());
        Ok(each.collect())
    }

    /// The generations of the root: one for each shard.
    fn check_generations(&self, number: usize, most: u32, all_known: bool) {
        let (name, entry, users) = &self.placed.indices[number];
        let Some(generations) = &entry.shard_generations else { return };
        let listed = generations.len() as u64;
        let note = |kind, message: String| {
            self.note(Finding::new(kind, message).in_index(name).used_by(users.clone()));
        };
        if listed < u64::from(most) {
            let message = format!("the index has {most} shards and the root has generations of {listed}");
            note(FindingKind::ShardCountMismatch, message);
        } else if listed > u64::from(most) && most > 0 && all_known {
            let message = format!("the index has at most {most} shards and the root has generations of {listed}");
            note(FindingKind::LeftoverShardGenerations, message);
        }
    }

    /// A shard in all its snapshots.
    async fn shard(&self, index: u32, shard: &Shard, members: Vec<u32>) -> Result<()> {
        self.counts.shards.fetch_add(1, Ordering::Relaxed);
        let known = self.known(shard, &members).await?;
        let mut gathered = Gathered::default();
        let mut lists = stream::iter(members.iter().copied())
            .map(|user| async move { Ok::<_, crate::error::Error>((user, self.list(shard, user).await?)) })
            .buffered(AHEAD);
        while let Some((user, list)) = lists.try_next().await? {
            let Some((ours, theirs)) = list else { continue };
            if let Some(known) = &known {
                self.check_against(known, shard, user, &ours);
            }
            if let Some(theirs) = theirs {
                self.compare_lists(shard, user, &ours, &theirs);
            }
            gathered.take(index, shard, user, ours.files);
        }
        drop(lists);
        self.check_foreign(known.as_ref(), shard);
        self.check_gathered(shard, &gathered);
        self.presence(shard, gathered, members.len()).await?;
        let (done, bytes) = (self.counts.shards.load(Ordering::Relaxed), self.counts.bytes.load(Ordering::Relaxed));
        self.reporter.report(&Event::Shards { doing: "verify", done, total: 0, bytes, bytes_total: 0 });
        Ok(())
    }

    /// The list of a shard in one snapshot, and in the same snapshot of the other repository.
    async fn list(&self, shard: &Shard, user: u32) -> Result<Option<(ShardSnapshot, Option<ShardSnapshot>)>> {
        let uuid = &self.placed.snapshot(user).uuid;
        let ours = match self.reader.shard_snapshot(shard, uuid).await {
            Ok(read) => read,
            Err(error) => {
                let trouble = self.trouble(error)?;
                if matches!(trouble, Trouble::Missing) && self.lacks(user, shard) {
                    return Ok(None);
                }
                let key = shard.snapshot_key(uuid);
                let (missing, corrupt) = (FindingKind::MissingShardSnapshot, FindingKind::CorruptShardSnapshot);
                let finding = Self::finding(trouble, &key, missing, corrupt).in_index(&shard.index);
                self.note(finding.in_shard(shard.number).used_by(Users::one(user)).healed_by(list_of(shard, uuid)));
                return Ok(None);
            }
        };
        self.read_object(ours.bytes.len() as u64);
        if self.is_foreign(user, &ours.says.name) {
            let message = format!("it is the list of the snapshot `{}`", ours.says.name.escape_default());
            let finding = Finding::new(FindingKind::CorruptShardSnapshot, message).at(&ours.key);
            let finding = finding.meaning("a restore brings the documents of another snapshot").in_index(&shard.index);
            self.note(finding.in_shard(shard.number).used_by(Users::one(user)).healed_by(list_of(shard, uuid)));
        }
        Ok(Some((ours.says, self.peer_list(shard, user).await?)))
    }

    /// Whether neither the root nor its description calls a snapshot so.
    fn is_foreign(&self, user: u32, name: &str) -> bool {
        self.placed.snapshot(user).name.as_str() != name
            && lock(&self.renamed).get(&user).is_none_or(|renamed| renamed != name)
    }

    /// The list of the same shard in the same snapshot of the other repository.
    async fn peer_list(&self, shard: &Shard, user: u32) -> Result<Option<ShardSnapshot>> {
        let Some(peer) = &self.peer else { return Ok(None) };
        let uuid = &self.placed.snapshot(user).uuid;
        let entry = peer.root.indices.get(shard.index.as_str());
        let Some(entry) = entry.filter(|entry| entry.id == shard.id && entry.snapshots.contains(uuid)) else {
            return Ok(None);
        };
        let Some(theirs) = peer.shards(&shard.index, entry, shard.number + 1)?.pop() else { return Ok(None) };
        match peer.shard_snapshot(&theirs, uuid).await {
            Ok(read) => Ok(Some(read.says)),
            Err(error) => {
                let cause = self.trouble(error)?.cause();
                let finding = Finding::new(FindingKind::UnreadableSource, cause).at(&theirs.snapshot_key(uuid));
                self.note(finding.in_index(&shard.index).in_shard(shard.number).used_by(Users::one(user)));
                Ok(None)
            }
        }
    }

    /// Whether a snapshot says that it has not this shard, or cannot say.
    fn lacks(&self, user: u32, shard: &Shard) -> bool {
        let complete = self.placed.snapshot(user).state == Some(1);
        lock(&self.failed).contains(&(user, shard.index.to_string(), shard.number))
            || (lock(&self.unknown).contains(&user) && !complete)
            || lock(&self.elsewhere).contains(&user)
    }

    /// The list of a shard in all snapshots. Before 7.6 the root does not name it, and a copy may be without.
    async fn known(&self, shard: &Shard, members: &[u32]) -> Result<Option<Known>> {
        let rooted =
            self.reader.root.indices.get(shard.index.as_str()).is_some_and(|index| index.shard_generations.is_some());
        let users: Users = members.iter().copied().collect();
        let generation = match &shard.generation {
            Some(generation) => generation.to_string(),
            None if rooted => {
                // A shard that no snapshot has needs no list.
                if members.iter().any(|user| !self.lacks(*user, shard)) {
                    let message = "the root names no list of its files";
                    let finding = Finding::new(FindingKind::UndefinedShardGeneration, message).in_index(&shard.index);
                    self.note(finding.in_shard(shard.number).used_by(users));
                }
                return Ok(None);
            }
            None => match self.highest(shard).await? {
                Some(generation) => generation.to_string(),
                None => return Ok(None),
            },
        };
        match self.reader.shard_index(shard, &generation).await {
            Ok(read) => {
                self.read_object(read.bytes.len() as u64);
                Ok(Some(Known::new(read.key, generation, read.says)))
            }
            Err(error) => {
                let key = shard.key(&format!("index-{generation}"));
                let (missing, corrupt) = (FindingKind::MissingShardGeneration, FindingKind::CorruptShardGeneration);
                let finding = Self::finding(self.trouble(error)?, &key, missing, corrupt).in_index(&shard.index);
                let remedy = Blob::ShardIndex {
                    index: shard.index.to_string(),
                    id: shard.id.to_string(),
                    shard: shard.number,
                    generation: generation.clone(),
                };
                let finding = finding.in_shard(shard.number).used_by(users).of_generation(&generation);
                self.note(finding.healed_by(Remedy::Blob(remedy)));
                Ok(None)
            }
        }
    }

    /// The highest numbered list of a shard, as Elasticsearch before 7.6 looks for it.
    async fn highest(&self, shard: &Shard) -> Result<Option<Generation>> {
        let prefix = format!("{}index-", shard.container);
        let mut pages = self.reader.base.store.list(ListOptions { prefix: prefix.clone(), after: None });
        let mut highest = None;
        while let Some(page) = pages.try_next().await? {
            let numbers = page.iter().filter_map(|meta| Generation::parse(meta.key.as_str().strip_prefix(&prefix)?));
            highest = highest.max(numbers.max());
        }
        Ok(highest)
    }

    /// What the lists of a shard's snapshots say together.
    fn check_gathered(&self, shard: &Shard, gathered: &Gathered) {
        self.counts.files.fetch_add((gathered.held.len() + gathered.files.len()) as u64, Ordering::Relaxed);
        for ((name, physical), fault) in &gathered.held {
            let Some((cause, users)) = fault else { continue };
            let name = name.escape_default();
            let message = format!("`{name}`, which the lists of the snapshots hold themselves: {cause}");
            let mut finding = Finding::new(FindingKind::CorruptVirtualBlob, message).of_file(physical);
            // Each of the snapshots has its own list; the first stands for all.
            if let Some(first) = users.iter().next() {
                finding = finding.at(&shard.snapshot_key(&self.placed.snapshot(first).uuid));
            }
            self.note(finding.in_index(&shard.index).in_shard(shard.number).used_by(users.clone()));
        }
        for variants in gathered.files.values().filter(|variants| variants.len() > 1) {
            let users: BTreeSet<u32> = variants.iter().flat_map(|file| file.users.iter()).collect();
            let said: Vec<String> = variants.iter().map(|file| file.identity.shown()).collect();
            let identity = &variants[0].identity;
            let message = format!("the snapshots do not agree on it: {}", said.join(", "));
            let finding = Finding::new(FindingKind::ConflictingFileEntries, message).of_file(&identity.physical);
            let finding = finding.at(&shard.key(&identity.name)).in_index(&shard.index).in_shard(shard.number);
            self.note(finding.used_by(users.into_iter().collect()));
        }
    }
}

/// The way to put the list of a shard in one snapshot right.
fn list_of(shard: &Shard, uuid: &str) -> Remedy {
    let (index, id) = (shard.index.to_string(), shard.id.to_string());
    Remedy::Blob(Blob::ShardSnapshot { index, id, shard: shard.number, uuid: uuid.to_owned() })
}

impl Trouble {
    /// Why, in words.
    fn cause(self) -> String {
        match self {
            Self::Missing => "it is not there".to_owned(),
            Self::Corrupt(cause) | Self::Elsewhere(cause) | Self::Unreadable(cause) => cause,
        }
    }
}

impl Gathered {
    /// Takes in the files of a snapshot.
    fn take(&mut self, index: u32, shard: &Shard, user: u32, files: Vec<FileEntry>) {
        for entry in files {
            if entry.is_virtual() {
                self.hold(user, &entry);
                continue;
            }
            let identity = Identity::of(&entry);
            let variants = self.files.entry(entry.name).or_default();
            if let Some(known) = variants.iter_mut().find(|known| known.identity == identity) {
                known.users.push(user);
            } else {
                let (container, users) = (shard.container.clone(), Users::one(user));
                variants.push(DataFile { index, shard: shard.number, container, identity, users, contested: false });
                let contested = variants.len() > 1;
                for file in variants {
                    file.contested = contested;
                }
            }
        }
    }

    fn hold(&mut self, user: u32, entry: &FileEntry) {
        let held = self.held.entry((entry.name.clone(), entry.physical_name.clone())).or_default();
        if let Some(cause) = entry.virtual_fault() {
            held.get_or_insert_with(|| (cause, Users::default())).1.push(user);
        }
    }
}
