//! Which snapshots and indices a copy is to have: what the user selects, what the target has already, and what is left out because it is
//! damaged.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use globset::{Glob, GlobMatcher};
use jiff::Timestamp;

use super::data::{IndexEntry, RootIndex, SnapshotEntry};
use super::name::Name;
use crate::error::{Error, ErrorKind, Result};

/// One word of a selection of snapshots.
#[derive(Debug, Clone)]
pub enum Pick {
    /// Snapshots of that name, or whose name matches if it is a glob with `*`, `?`, `[…]` and `{…}`.
    Name(String, Option<GlobMatcher>),
    /// So many of the newest that can be restored.
    Latest(usize),
    /// Those that began at that time or later.
    Since(Timestamp),
}

impl Pick {
    /// A name or a glob.
    pub fn name(text: &str) -> Result<Self> {
        let odd = text.contains(['[', ']', '{', '}']);
        match glob("--snapshots", text) {
            Ok(glob) => Ok(Self::Name(text.to_owned(), Some(glob))),
            // It may be the very name of a snapshot.
            Err(_) if odd => Ok(Self::Name(text.to_owned(), None)),
            Err(error) => Err(error),
        }
    }
}

/// What the user selects; everything, if nothing.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Which snapshots.
    pub snapshots: Vec<Pick>,
    /// Which of their indices, by name.
    pub indices: Vec<GlobMatcher>,
}

/// A glob over names of indices; `flag` is for messages.
pub fn glob(flag: &str, text: &str) -> Result<GlobMatcher> {
    Glob::new(text).map(|glob| glob.compile_matcher()).map_err(|error| {
        Error::new(ErrorKind::Invalid, format!("use `{flag} {text}`"))
            .because(error.kind().to_string())
            .hint("`*` and `?` stand for any characters, `[a-z]` and `{a,b}` choose")
    })
}

impl Selection {
    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.snapshots.is_empty() && self.indices.is_empty()
    }

    /// Whether it asks for times that only the descriptions of snapshots tell, because the root does not.
    #[must_use]
    pub fn needs_times(&self, root: &RootIndex) -> bool {
        let by_time = self.snapshots.iter().any(|pick| !matches!(pick, Pick::Name(..)));
        by_time && root.snapshots.iter().any(|snapshot| snapshot.start_time_millis.is_none())
    }

    /// The snapshots it selects, by their ids; none if all. `times` are those that the root does not tell.
    ///
    /// [`ErrorKind::NotFound`] if a word selects nothing: a copy of nothing would be no help to anybody.
    pub fn resolve(&self, root: &RootIndex, times: &HashMap<Name, i64>) -> Result<Option<BTreeSet<Name>>> {
        self.must_have_indices(root)?;
        if self.snapshots.is_empty() {
            return Ok(None);
        }
        let began = |snapshot: &SnapshotEntry| {
            snapshot.start_time_millis.or_else(|| times.get(snapshot.uuid.as_str()).copied()).unwrap_or(0)
        };
        let mut selected = BTreeSet::new();
        for pick in &self.snapshots {
            let mut chosen = BTreeSet::new();
            match pick {
                Pick::Name(text, glob) => {
                    let exact = root.snapshots.iter().any(|snapshot| snapshot.name.as_str() == text);
                    let fits = |name: &str| {
                        if exact { name == text } else { glob.as_ref().is_some_and(|glob| glob.is_match(name)) }
                    };
                    let named = root.snapshots.iter().filter(|snapshot| fits(&snapshot.name));
                    let named: Vec<Name> = named.map(|snapshot| snapshot.uuid.clone()).collect();
                    if named.is_empty() {
                        return Err(nothing(root, &format!("no snapshot is called `{}`", text.escape_default())));
                    }
                    chosen.extend(named);
                }
                Pick::Latest(count) => {
                    let mut newest: Vec<_> = root.snapshots.iter().filter(|entry| entry.is_restorable()).collect();
                    newest.sort_by_key(|snapshot| std::cmp::Reverse(began(snapshot)));
                    chosen.extend(newest.into_iter().take(*count).map(|snapshot| snapshot.uuid.clone()));
                }
                Pick::Since(time) => {
                    let since = root.snapshots.iter().filter(|snapshot| began(snapshot) >= time.as_millisecond());
                    chosen.extend(since.map(|snapshot| snapshot.uuid.clone()));
                }
            }
            if chosen.is_empty() {
                return Err(nothing(root, "no snapshot of it is as new as that"));
            }
            selected.append(&mut chosen);
        }
        Ok(Some(selected))
    }

    fn must_have_indices(&self, root: &RootIndex) -> Result<()> {
        for glob in &self.indices {
            if !root.indices.keys().any(|name| glob.is_match(name)) {
                let cause = format!("no index of the repository is called `{}`", glob.glob());
                return Err(Error::new(ErrorKind::NotFound, "select indices")
                    .because(cause)
                    .hint("`inspect` lists the indices of each snapshot"));
            }
        }
        Ok(())
    }
}

fn nothing(root: &RootIndex, cause: &str) -> Error {
    let some: Vec<String> = root.snapshots.iter().take(8).map(|snapshot| format!("`{}`", snapshot.name)).collect();
    let more = if root.snapshots.len() > some.len() { ", …" } else { "" };
    Error::new(ErrorKind::NotFound, "select snapshots").because(cause.to_owned()).hint(if some.is_empty() {
        "the repository has no snapshots".to_owned()
    } else {
        format!("it has {}{more}; `inspect` lists them all", some.join(", "))
    })
}

/// What the target's newest root shall name: which snapshots of the source, and which of their indices.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The selected snapshots; none for all.
    pub selected: Option<BTreeSet<Name>>,
    /// The selected indices; empty for all.
    pub indices: Vec<GlobMatcher>,
    /// What the target has and keeps, although it is not selected: the snapshots of each index, by the index's id.
    pub kept: HashMap<Name, HashSet<Name>>,
    /// Snapshots that cannot be copied whole.
    pub excluded: BTreeSet<Name>,
    /// Of these, those that the target has: they stay there as they are (`kept`).
    pub held: BTreeSet<Name>,
}

impl Desired {
    /// Whether it is everything that the source has.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.selected.is_none() && self.indices.is_empty() && self.excluded.is_empty() && self.held.is_empty()
    }

    /// Whether the user's words together choose anything at all.
    #[must_use]
    pub fn chooses(&self, root: &RootIndex) -> bool {
        let chosen = |uuid: &Name| self.selected.as_ref().is_none_or(|selected| selected.contains(uuid));
        if self.indices.is_empty() {
            return self.selected.is_none() || root.snapshots.iter().any(|snapshot| chosen(&snapshot.uuid));
        }
        let indices = root.indices.iter().filter(|(name, _)| self.indices.iter().any(|glob| glob.is_match(name)));
        indices.flat_map(|(_, index)| &index.snapshots).any(chosen)
    }

    /// Whether the user asked for a part.
    #[must_use]
    pub fn is_selection(&self) -> bool {
        self.selected.is_some() || !self.indices.is_empty()
    }

    /// Whether the target shall name this index of this snapshot.
    #[must_use]
    pub fn has(&self, name: &str, index: &IndexEntry, uuid: &Name) -> bool {
        let kept = || self.kept.get(&index.id).is_some_and(|kept| kept.contains(uuid));
        if self.held.contains(uuid) {
            return kept();
        }
        if self.excluded.contains(uuid) {
            return false;
        }
        let selected = self.selected.as_ref().is_none_or(|selected| selected.contains(uuid))
            && (self.indices.is_empty() || self.indices.iter().any(|glob| glob.is_match(name)));
        selected || kept()
    }

    /// The snapshots of an index that the target shall name.
    pub fn of<'a>(&'a self, name: &'a str, index: &'a IndexEntry) -> impl Iterator<Item = &'a Name> {
        index.snapshots.iter().filter(move |uuid| self.has(name, index, uuid))
    }

    /// The snapshots that the target shall name.
    #[must_use]
    pub fn uuids(&self, root: &RootIndex) -> BTreeSet<Name> {
        let mut uuids = self.whole(root);
        for (name, index) in &root.indices {
            uuids.extend(self.of(name, index).cloned());
        }
        uuids
    }

    /// The snapshots that are selected as a whole: one without indices is one too.
    fn whole(&self, root: &RootIndex) -> BTreeSet<Name> {
        if !self.indices.is_empty() {
            return BTreeSet::new();
        }
        let selected = |uuid: &Name| self.selected.as_ref().is_none_or(|selected| selected.contains(uuid));
        let uuids = root.snapshots.iter().map(|snapshot| &snapshot.uuid);
        uuids.filter(|uuid| selected(uuid) && !self.excluded.contains(*uuid)).cloned().collect()
    }

    /// The snapshots that the target shall name, each with the ids of those of its indices that it shall name.
    #[must_use]
    pub fn snapshots(&self, root: &RootIndex) -> BTreeMap<Name, BTreeSet<Name>> {
        let mut snapshots: BTreeMap<Name, BTreeSet<Name>> =
            self.whole(root).into_iter().map(|uuid| (uuid, BTreeSet::new())).collect();
        for (name, index) in &root.indices {
            for uuid in self.of(name, index) {
                snapshots.entry(uuid.clone()).or_default().insert(index.id.clone());
            }
        }
        snapshots
    }
}
