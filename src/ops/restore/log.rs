//! What a restore changes on a cluster, told before it is changed: enough to put everything back after the process is gone.
//!
//! 1. [`RestoreLog::record`] is called before and after each change. What it says must be safe on disk when it returns; an
//!    error stops the run before the change.
//! 2. Entries fold into an [`Undo`]: what is still to be put back.
//! 3. [`recover`] puts it back. A run that is given the undo of an earlier one ([`super::Options::left`]) puts the same back and
//!    takes for done what that one restored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::elastic::conflict::Piece;
use crate::elastic::settings::{self, Change};
use crate::elastic::{Client, aftercare, index, restore};
use crate::error::{Error, ErrorKind, Result};

/// Keeps what a restore tells of itself. It is called between requests, never from two places at once.
pub trait RestoreLog: Debug + Send + Sync {
    /// Takes an entry down for good.
    fn record(&self, entry: &Entry) -> Result<()>;
}

/// One thing that a restore is about to do, or has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Entry {
    /// The snapshot is found and nothing is in the way. Nothing has been changed yet.
    Planned {
        /// The repository.
        repository: String,
        /// The snapshot's name.
        snapshot: String,
        /// The snapshot's identity.
        uuid: String,
        /// What is to be restored.
        pieces: Vec<Piece>,
        /// The identity of the cluster, if it has one.
        #[serde(default)]
        cluster_uuid: Option<String>,
        /// The cluster's name.
        #[serde(default)]
        cluster: String,
        /// What was chosen, by its name in the snapshot.
        #[serde(default)]
        selection: Vec<String>,
    },
    /// Settings of the cluster are about to be changed for the time of the restore.
    Raising {
        /// The changes, with what was before.
        changes: Vec<Change>,
    },
    /// They are what they were.
    Lowered,
    /// The cluster's lifecycle management is about to be stopped. It stays so until it is started by hand.
    StoppingLifecycle,
    /// A snapshot of what is about to be overwritten or deleted is about to be taken.
    Securing {
        /// The repository.
        repository: String,
        /// The snapshot.
        snapshot: String,
    },
    /// Indices are about to be closed.
    Closing {
        /// Their names.
        indices: Vec<String>,
    },
    /// Indices are about to be deleted. They cannot be put back.
    Deleting {
        /// Their names with their identities.
        indices: BTreeMap<String, String>,
    },
    /// A restore is about to be sent.
    Submitting {
        /// What it makes.
        pieces: Vec<Piece>,
        /// Whether the names are only for the time being.
        temporary: bool,
        /// Replicas to be set once it is done, by name in the cluster.
        replicas: BTreeMap<String, u32>,
    },
    /// The cluster refused it for good: nothing of it was done.
    Refused {
        /// What it would have made.
        pieces: Vec<Piece>,
    },
    /// The cluster has taken it on.
    Submitted {
        /// The indices that it makes, by name with their identities, as far as they are there.
        indices: BTreeMap<String, String>,
    },
    /// Every primary of these is started.
    Restored {
        /// What was made.
        pieces: Vec<Piece>,
    },
    /// What was closed is open again.
    Opened {
        /// Their names.
        indices: Vec<String>,
    },
    /// Replicas are what they should be.
    Replicated {
        /// Of these.
        indices: Vec<String>,
    },
    /// An alias is about to take the place of an index or of another alias, in one step.
    Swapping {
        /// The name, with the index that was restored for it.
        names: BTreeMap<String, String>,
    },
    /// It has.
    Swapped {
        /// The names.
        names: Vec<String>,
    },
    /// Everything is done, and nothing is left to be put back.
    Finished,
}

/// What an interrupted restore left. Fold the entries into it in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Undo {
    /// The repository.
    pub repository: String,
    /// The snapshot's name.
    pub snapshot: String,
    /// The identity of the cluster.
    pub cluster_uuid: Option<String>,
    /// The cluster's name.
    pub cluster: String,
    /// What was chosen, by its name in the snapshot.
    pub selection: Vec<String>,
    /// Settings of the cluster that were changed, with what was before.
    pub raised: Vec<Change>,
    /// Lifecycle management was stopped.
    pub is_lifecycle_stopped: bool,
    /// Indices closed and not known to be open again.
    pub closed: BTreeSet<String>,
    /// Restores sent whose end is not known, by their names in the cluster.
    pub submitted: BTreeSet<String>,
    /// Indices whose restore is known to have ended well, by their names in the cluster.
    pub restored: BTreeSet<String>,
    /// Identities of indices that a restore made, by their names.
    pub created: BTreeMap<String, String>,
    /// Names that are only for the time being.
    pub temporary: BTreeSet<String>,
    /// Replicas still to be set.
    pub replicas: BTreeMap<String, u32>,
    /// Snapshots taken of what was overwritten or deleted: repository and name.
    pub secured: Vec<(String, String)>,
}

impl Undo {
    /// Folds one more entry in.
    pub fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Planned { repository, snapshot, cluster_uuid, cluster, selection, .. } => {
                if (&self.repository, &self.snapshot) != (repository, snapshot) {
                    // What was restored from another snapshot says nothing of this one.
                    self.restored.clear();
                    self.submitted.clear();
                }
                (self.repository, self.snapshot) = (repository.clone(), snapshot.clone());
                (self.cluster_uuid, self.cluster) = (cluster_uuid.clone(), cluster.clone());
                self.selection.clone_from(selection);
            }
            Entry::Raising { changes } => {
                // What an earlier interrupted run found is what is to be put back, not what it made of it.
                let known = |change: &&Change| !self.raised.iter().any(|old| old.name == change.name);
                let new: Vec<Change> = changes.iter().filter(known).cloned().collect();
                self.raised.extend(new);
            }
            Entry::Lowered => self.raised.clear(),
            Entry::StoppingLifecycle => self.is_lifecycle_stopped = true,
            Entry::Securing { repository, snapshot } => self.secured.push((repository.clone(), snapshot.clone())),
            Entry::Closing { indices } => self.closed.extend(indices.iter().cloned()),
            Entry::Deleting { indices } => indices.keys().for_each(|name| self.forget(name)),
            Entry::Submitting { pieces, temporary, replicas } => {
                let targets = pieces.iter().map(|piece| piece.target.clone());
                if *temporary {
                    self.temporary.extend(targets.clone());
                }
                self.submitted.extend(targets);
                self.replicas.extend(replicas.iter().map(|(name, count)| (name.clone(), *count)));
            }
            Entry::Refused { pieces } => {
                for piece in pieces {
                    self.submitted.remove(&piece.target);
                    self.replicas.remove(&piece.target);
                    self.temporary.remove(&piece.target);
                }
            }
            Entry::Submitted { indices } => {
                self.created.extend(indices.iter().map(|(name, uuid)| (name.clone(), uuid.clone())));
            }
            Entry::Restored { pieces } => {
                for piece in pieces {
                    self.submitted.remove(&piece.target);
                    self.closed.remove(&piece.target);
                    self.restored.insert(piece.target.clone());
                }
            }
            Entry::Opened { indices } => self.closed.retain(|name| !indices.contains(name)),
            Entry::Replicated { indices } => self.replicas.retain(|name, _| !indices.contains(name)),
            Entry::Swapping { .. } => {}
            Entry::Swapped { .. } => self.temporary.clear(),
            Entry::Finished => {
                let secured = std::mem::take(&mut self.secured);
                *self = Self { secured, ..Self::default() };
            }
        }
    }

    fn forget(&mut self, name: &str) {
        self.closed.remove(name);
        self.submitted.remove(name);
        self.restored.remove(name);
        self.created.remove(name);
        self.replicas.remove(name);
    }

    /// Refuses another cluster than the one that this was written for.
    pub(super) fn check_cluster(&self, client: &Client) -> Result<()> {
        let about = client.about();
        let (Some(theirs), Some(ours)) = (&self.cluster_uuid, &about.uuid) else { return Ok(()) };
        if theirs == ours {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Precondition, format!("take up an interrupted restore on `{}`", client.place()))
            .because(format!(
                "it was begun on the cluster `{}` ({theirs}), and this is `{}` ({ours})",
                self.cluster, about.name
            ))
            .hint("name the cluster that it was begun on, or another undo file"))
    }

    /// Refuses another restore than the one that this was written for.
    pub(super) fn check_same(&self, repository: &str, snapshot: &str, selection: &[String]) -> Result<()> {
        let refused = |what: String| {
            Error::new(ErrorKind::Precondition, format!("take up an interrupted restore with `{repository}:{snapshot}`"))
                .because(what)
                .hint("name the restore that was interrupted, put back what it left with `--put-back`, or name another undo file")
        };
        if self.repository.is_empty() {
            return Ok(());
        }
        if (self.repository.as_str(), self.snapshot.as_str()) != (repository, snapshot) {
            return Err(refused(format!("the undo file is of `{}:{}`", self.repository, self.snapshot)));
        }
        if !self.selection.is_empty() && self.selection != selection {
            let (theirs, ours) = (self.selection.join(", "), selection.join(", "));
            return Err(refused(format!("the undo file is of other indices: {theirs}; chosen now: {ours}")));
        }
        Ok(())
    }

    /// What is still open, for people; nothing where nothing is.
    pub(super) fn open(&self) -> Vec<String> {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let closed: BTreeSet<String> = self.closed.difference(&self.submitted).cloned().collect();
        let mut open = Vec::new();
        for (what, names) in [
            ("still being restored by the cluster", &self.submitted),
            ("closed", &closed),
            ("under a name for the time being, used by nothing", &self.temporary),
        ] {
            if !names.is_empty() {
                open.push(format!("{what}: {}", list(names)));
            }
        }
        if !self.replicas.is_empty() {
            let told: Vec<String> =
                self.replicas.iter().map(|(name, count)| format!("{name} (to have {count})")).collect();
            open.push(format!("with 0 replicas: {}", told.join(", ")));
        }
        if self.is_lifecycle_stopped {
            open.push("the lifecycle management is stopped (`POST _ilm/start`)".to_owned());
        }
        open
    }

    /// Whether nothing on the cluster waits to be put back. What is restored stays.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.raised.is_empty() && self.closed.is_empty() && self.replicas.is_empty() && self.submitted.is_empty()
    }
}

/// What [`recover`] put back, and what it found. The field names are stable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Settings of the cluster that are what they were.
    pub lowered: Vec<String>,
    /// Indices that were closed and are open again.
    pub opened: Vec<String>,
    /// Indices that are still being restored; they are left alone.
    pub running: Vec<String>,
    /// Indices that have their replicas again.
    pub replicated: Vec<String>,
    /// Indices under names for the time being, which nothing uses yet. They are left for whoever takes the restore up.
    pub temporary: Vec<String>,
    /// The cluster's lifecycle management was stopped, and still is.
    pub is_lifecycle_stopped: bool,
}

/// Puts back what an interrupted restore left: settings at once, closed indices if no restore is on its way into them, replicas
/// where the restore has ended.
///
/// It may be called any number of times. What is restored stays, and so does what runs.
pub async fn recover(client: &Client, undo: &Undo) -> Result<Recovered> {
    undo.check_cluster(client)?;
    let mut recovered = Recovered { is_lifecycle_stopped: undo.is_lifecycle_stopped, ..Recovered::default() };
    let back: Vec<Change> = undo.raised.iter().map(Change::reversed).collect();
    settings::change(client, &back).await?;
    recovered.lowered = back.into_iter().map(|change| change.name).collect();
    let now = index::existing(client).await?;
    let running = restore::targets(client).await?;
    let is_running = |name: &&String| running.contains(name.as_str());
    recovered.running = undo.submitted.iter().chain(&undo.closed).filter(is_running).cloned().collect();
    recovered.running.dedup();
    let is_closed = |name: &&String| now.indices.get(*name).is_some_and(|index| !index.is_open);
    recovered.opened = undo.closed.iter().filter(|name| is_closed(name) && !is_running(name)).cloned().collect();
    index::open(client, &recovered.opened).await?;
    let is_there = |name: &&String| now.indices.get(*name).is_some_and(|index| index.is_open) && !is_running(name);
    for (name, count) in undo.replicas.iter().filter(|(name, _)| is_there(name)) {
        aftercare::set_replicas(client, std::slice::from_ref(name), *count).await?;
        recovered.replicated.push(name.clone());
    }
    recovered.temporary = undo.temporary.iter().filter(is_there).cloned().collect();
    Ok(recovered)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::elastic::settings::Scope;

    fn piece(name: &str) -> Piece {
        Piece { index: name.into(), target: name.into() }
    }

    fn change(before: &str, after: &str) -> Change {
        let (before, after) = (Some(json!(before)), Some(json!(after)));
        Change { name: "x".into(), scope: Scope::Persistent, before, after }
    }

    #[test]
    fn what_was_first_is_put_back_however_often_it_was_raised() {
        let mut undo = Undo::default();
        undo.note(&Entry::Raising { changes: vec![change("40mb", "900mb")] });
        undo.note(&Entry::Raising { changes: vec![change("900mb", "950mb")] });
        assert_eq!(undo.raised, [change("40mb", "900mb")]);
        undo.note(&Entry::Lowered);
        assert!(undo.is_clean());
    }

    #[test]
    fn a_closed_index_is_owed_until_it_is_open_or_restored() {
        let mut undo = Undo::default();
        undo.note(&Entry::Closing { indices: vec!["a".into(), "b".into(), "c".into()] });
        undo.note(&Entry::Submitting {
            pieces: vec![piece("a")],
            temporary: false,
            replicas: [("a".into(), 1)].into(),
        });
        undo.note(&Entry::Restored { pieces: vec![piece("a")] });
        undo.note(&Entry::Opened { indices: vec!["b".into()] });
        assert_eq!(undo.closed, BTreeSet::from(["c".to_owned()]));
        assert_eq!(undo.replicas, BTreeMap::from([("a".to_owned(), 1)]));
        undo.note(&Entry::Finished);
        assert_eq!(undo, Undo::default());
    }

    #[test]
    fn an_undo_survives_its_journal() {
        let entries = [
            Entry::Raising { changes: vec![change("a", "b")] },
            Entry::Submitting { pieces: vec![piece("a")], temporary: true, replicas: BTreeMap::new() },
        ];
        for entry in entries {
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
        }
        let undo: Undo = serde_json::from_value(json!({ "repository": "r", "new_field": 1 })).unwrap();
        assert_eq!(undo.repository, "r");
    }
}
