//! Which objects there are: slots, their keys, and which of them are there before and after one more snapshot.

use snapferry::store::Key;

/// Shards of every index.
pub(super) const SHARDS: u64 = 5;
/// Snapshots before the last one.
pub(super) const SNAPSHOTS: u64 = 10;
/// Files that the snapshots before brought to a shard; each snapshot but the first brought one and dropped one.
pub(super) const FILES: u64 = 29;
/// Files of a shard in one snapshot.
pub(super) const WINDOW: u64 = FILES - SNAPSHOTS + 1;
/// Files that the last snapshot brings to a shard that has changed.
pub(super) const MORE: u64 = 3;
/// One shard in so many has changed.
const CHANGED: u64 = 33;
/// The generation of the root before; both have as many digits, so that their order is that of their numbers.
pub(super) const ROOT: u64 = 100;

const SNAPS: u64 = SNAPSHOTS + 1;
const IN_SHARD: u64 = FILES + MORE + 2 + SNAPS;
const IN_INDEX: u64 = SHARDS * IN_SHARD + 1;
const HEAD: u64 = 3;

/// When one looks at the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// With ten snapshots.
    Before,
    /// With one more.
    After,
}

/// What lies in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Object {
    Root(Late),
    Latest,
    Data { index: u64, shard: u64, file: u64 },
    List { index: u64, shard: u64, late: Late },
    ShardSnapshot { index: u64, shard: u64, snapshot: u64 },
    IndexMeta { index: u64 },
    Global { snapshot: u64 },
    Info { snapshot: u64 },
}

/// Whether it belongs to the time after.
pub(super) type Late = bool;

/// How large the repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(super) indices: u64,
}

impl Shape {
    /// A repository of about so many blobs, before the last snapshot.
    pub(crate) fn of(blobs: u64) -> Self {
        let in_index = SHARDS * (FILES + 1 + SNAPSHOTS) + 1;
        Self { indices: blobs.div_ceil(in_index).max(1) }
    }

    /// How many objects there are.
    pub(crate) fn objects(self, time: Time) -> u64 {
        (0..self.slots()).filter(|slot| self.is_there(*slot, time)).count() as u64
    }

    /// How many slots there are.
    pub(super) fn slots(self) -> u64 {
        HEAD + self.indices * IN_INDEX + 2 * SNAPS
    }

    /// Whether the last snapshot found something new in a shard.
    pub(super) fn has_changed(index: u64, shard: u64) -> bool {
        (index * SHARDS + shard).is_multiple_of(CHANGED)
    }

    /// What lies in a slot.
    pub(super) fn object(self, slot: u64) -> Object {
        if slot < HEAD {
            return [Object::Root(false), Object::Root(true), Object::Latest][usize::try_from(slot).expect("small")];
        }
        let slot = slot - HEAD;
        let index = slot / IN_INDEX;
        if index >= self.indices {
            let snapshot = slot - self.indices * IN_INDEX;
            return match snapshot.checked_sub(SNAPS) {
                None => Object::Global { snapshot },
                Some(snapshot) => Object::Info { snapshot },
            };
        }
        let (shard, place) = (slot % IN_INDEX / IN_SHARD, slot % IN_INDEX % IN_SHARD);
        match place {
            _ if shard == SHARDS => Object::IndexMeta { index },
            file if file < FILES + MORE => Object::Data { index, shard, file },
            place if place < FILES + MORE + 2 => Object::List { index, shard, late: place > FILES + MORE },
            place => Object::ShardSnapshot { index, shard, snapshot: place - FILES - MORE - 2 },
        }
    }

    /// Whether a slot is taken at that time.
    pub(super) fn is_there(self, slot: u64, time: Time) -> bool {
        let after = time == Time::After;
        match self.object(slot) {
            Object::Root(late) | Object::List { late, .. } => late == after,
            Object::Latest | Object::IndexMeta { .. } => true,
            Object::Data { index, shard, file } => file < FILES || (after && Self::has_changed(index, shard)),
            Object::ShardSnapshot { snapshot, .. } | Object::Global { snapshot } | Object::Info { snapshot } => {
                snapshot < SNAPSHOTS || after
            }
        }
    }

    /// The key of a slot.
    pub(super) fn key(self, slot: u64) -> Key {
        let key = match self.object(slot) {
            Object::Root(late) => format!("index-{}", ROOT + u64::from(late)),
            Object::Latest => "index.latest".to_owned(),
            Object::Data { index, shard, file } => {
                format!("{}{}", container(index, shard), data(&tag(index, shard), file))
            }
            Object::List { index, shard, late } => {
                format!("{}index-{}", container(index, shard), list(&tag(index, shard), late))
            }
            Object::ShardSnapshot { index, shard, snapshot } => {
                format!("{}snap-{}.dat", container(index, shard), uuid(snapshot))
            }
            Object::IndexMeta { index } => format!("indices/{}/meta-{}.dat", id(index), meta(index)),
            Object::Global { snapshot } => format!("meta-{}.dat", uuid(snapshot)),
            Object::Info { snapshot } => format!("snap-{}.dat", uuid(snapshot)),
        };
        Key::new(key).expect("it is not empty")
    }

    /// The slot of a key.
    pub(super) fn slot(self, key: &Key) -> Option<u64> {
        let slot = self.guess(key.as_str())?;
        (slot < self.slots() && self.key(slot) == *key).then_some(slot)
    }

    /// The slot that a key can have if it has one.
    fn guess(self, key: &str) -> Option<u64> {
        let tail = HEAD + self.indices * IN_INDEX;
        let Some(rest) = key.strip_prefix("indices/") else {
            let snapshot = || key.get(5..11)?.parse::<u64>().ok();
            return match key.get(..5)? {
                "meta-" => Some(tail + snapshot()?),
                "snap-" => Some(tail + SNAPS + snapshot()?),
                "index" => (0..HEAD).find(|slot| self.key(*slot).as_str() == key),
                _ => None,
            };
        };
        let begin = HEAD + rest.get(..8)?.parse::<u64>().ok()?.checked_mul(IN_INDEX)?;
        let Some((shard, name)) = rest.split_once('/')?.1.split_once('/') else { return Some(begin + IN_INDEX - 1) };
        let begin = begin + shard.parse::<u64>().ok()?.checked_mul(IN_SHARD)?;
        let digits = |range: std::ops::Range<usize>| name.get(range)?.parse::<u64>().ok();
        match name.get(..2)? {
            "__" => Some(begin + digits(18..24)?),
            "in" => Some(begin + FILES + MORE + digits(25..28)?.checked_sub(SNAPSHOTS - 1)?),
            _ => Some(begin + FILES + MORE + 2 + digits(5..11)?),
        }
    }

    /// The first slot whose key `is_beyond` something; the keys are in order.
    pub(super) fn first(self, is_beyond: impl Fn(&str) -> bool) -> u64 {
        let (mut low, mut high) = (0, self.slots());
        while low < high {
            let middle = low.midpoint(high);
            if is_beyond(self.key(middle).as_str()) { high = middle } else { low = middle + 1 }
        }
        low
    }
}

/// Ten digits that tell a shard from every other; all names and ids of a shard hold them.
pub(super) fn tag(index: u64, shard: u64) -> String {
    format!("{index:08}{shard:02}")
}

/// An index's id in the repository.
pub(super) fn id(index: u64) -> String {
    format!("{}-in-indices-", tag(index, 0))
}

/// The id of an index's metadata.
pub(super) fn meta(index: u64) -> String {
    format!("{}-metadata-", &tag(index, 0))
}

/// A snapshot's id.
pub(super) fn uuid(snapshot: u64) -> String {
    format!("{snapshot:06}-synthetic-snap-")
}

/// The name of a data blob.
pub(super) fn data(tag: &str, file: u64) -> String {
    format!("__{tag}-file-{file:06}")
}

/// The generation of a shard's list of files.
pub(super) fn list(tag: &str, late: Late) -> String {
    format!("{tag}-listing-{:03}", SNAPSHOTS - 1 + u64::from(late))
}

fn container(index: u64, shard: u64) -> String {
    format!("indices/{}/{shard}/", id(index))
}
