//! What a sync begins with: what the source is, and where both sides stand.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use super::plain::PlainRound;
use super::{Mode, Sync};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::End;
use crate::repo::{
    self, Base, Damage, Desired, Look, Name, Reader, Repository, RootIndex, RootPin, Selection, Target, Walk,
};
use crate::store::{Key, ListOptions};

/// A first round, ready to begin.
pub(in crate::ops) enum Prepared {
    Plain(Box<PlainRound>),
    Repository(RepositoryRound),
}

/// One round of a repository.
pub(in crate::ops) struct RepositoryRound {
    pub(in crate::ops) pin: Arc<RootPin>,
    /// Where both sides lie, without retries: transfers have their own.
    pub(super) ends: [Base; 2],
    /// Whether the target has nothing at all of a repository yet.
    pub(super) first: bool,
}

/// What earlier rounds of this run found out.
#[derive(Debug, Clone, Default)]
pub(super) struct Learnt {
    /// Snapshots that cannot be copied whole.
    pub(super) excluded: BTreeSet<Name>,
    /// Data that is damaged at the source.
    pub(super) damaged: BTreeMap<Key, Damage>,
    /// Whether something may be at the target that its root does not tell of.
    pub(super) leftovers: bool,
}

impl Sync<'_> {
    /// Looks at both sides. Sends only reading requests.
    pub(in crate::ops) async fn prepare(&self) -> Result<Prepared> {
        let from = self.patient(&self.from.store);
        let found = match self.options.mode {
            Mode::Plain => {
                self.must_be_below_prefix().await?;
                None
            }
            Mode::Auto | Mode::Repository => repo::detect(&from).await.map_err(|error| self.place(error))?,
        };
        match (found, self.options.mode) {
            (None, Mode::Repository) => {
                Err(Error::new(ErrorKind::NotFound, format!("read a repository at `{}`", self.from.location))
                    .because("its root holds no `index-<N>`")
                    .hint("check the prefix: the repository's `base_path` belongs to it"))
            }
            (None, _) => {
                self.must_be_plain()?;
                Ok(Prepared::Plain(Box::new(self.plain_round())))
            }
            (Some(repository), _) => {
                self.must_suit_a_repository()?;
                let round = self.repository_round(&repository, &Learnt::default()).await;
                round.map(Prepared::Repository).map_err(|error| self.place(error))
            }
        }
    }

    /// A copy of the objects below the prefix would lack the shards that lie beside it.
    async fn must_be_below_prefix(&self) -> Result<()> {
        // Whatever else is wrong with a root is no matter of a plain copy.
        let Ok(Some(repository)) = repo::detect(&self.patient(&self.from.store)).await else { return Ok(()) };
        let base = self.from.base(&repository.index).await?;
        let beside = repository
            .index
            .indices
            .iter()
            .find(|(_, index)| index.path_type().is_ok_and(|kind| kind == repo::PathType::HashedPrefix));
        match beside {
            Some((name, _)) if !base.path.is_empty() => Err(Error::new(ErrorKind::Unsupported, format!("copy `{}` as plain objects", self.from.location))
                .because(format!("it is a repository of OpenSearch that keeps shards outside its base path (`shard_path_type` 1), those of `{}` among them: the copy would lack them", name.escape_default()))
                .hint("leave `--mode plain` out: as a repository it is copied whole")),
            _ => Ok(()),
        }
    }

    fn must_be_plain(&self) -> Result<()> {
        let options = &self.options.repository;
        let flag = match () {
            () if !options.selection.is_all() => "--snapshots` or `--indices",
            () if options.prune.is_some() => "--prune",
            () if options.deep => "--deep",
            () => return Ok(()),
        };
        Err(Error::new(ErrorKind::Invalid, format!("use `{flag}` here"))
            .because(format!("`{}` is no snapshot repository", self.from.location))
            .hint("check the prefix: the repository's `base_path` belongs to it"))
    }

    fn must_suit_a_repository(&self) -> Result<()> {
        if self.options.rules.delete_extra.is_some() {
            return Err(Error::new(ErrorKind::Invalid, "use `--delete-extra` here")
                .because("the source is a snapshot repository, whose target may hold what its own root still needs")
                .hint("`--prune` deletes what no snapshot needs; `--mode plain --delete-extra` mirrors the objects without regard to the format"));
        }
        if self.options.since {
            return Err(Error::new(ErrorKind::Invalid, "use `--since` here")
                .because("the source is a snapshot repository, whose new snapshots need old objects too")
                .hint("`--snapshots since:TIME` selects snapshots; `--mode plain --since …` copies by time alone"));
        }
        Ok(())
    }

    /// Pins a repository beside its target.
    pub(super) async fn repository_round(&self, repository: &Repository, learnt: &Learnt) -> Result<RepositoryRound> {
        let options = &self.options.repository;
        let from = self.from.base(&repository.index).await?;
        let beside = repository
            .index
            .indices
            .values()
            .any(|index| matches!(index.path_type(), Ok(repo::PathType::HashedPrefix)));
        let to = if beside { self.to.base_from_bucket().await? } else { Base::at_root(self.to.store.clone()) };
        let patient = |base: &Base| Base { store: self.patient(&base.store), path: base.path.clone() };
        let (source, target) = (patient(&from), patient(&to));
        let reader = Reader::of_root(source, repository.index.clone())?;
        let shows = repo::look_at(&target).await?;
        let there = Self::there(&target, &shows, repository)?;
        let desired = self.desired(&reader, there.as_ref(), &options.selection, learnt).await?;
        self.must_not_be_emptied(repository, there.as_ref())?;
        let first = shows.root.is_none();
        let look = match (options.deep, learnt.leftovers) {
            (true, _) => Look::Deep,
            (false, true) => Look::Leftovers,
            (false, false) if there.is_none() && self.has_leftovers(&target, beside).await? => Look::Leftovers,
            (false, false) => Look::Trust,
        };
        let walk =
            Walk::new(reader, there, target, desired, look).with_damaged(learnt.damaged.clone(), options.allow_damaged);
        let identity = self.identity(&repository.index);
        let pin = repo::pin(repository, self.patient(&self.from.store), shows, walk, identity)?;
        tracing::debug!(generation = %repository.root.generation, fingerprint = %repository.root.fingerprint(), ?look, "pinned");
        Ok(RepositoryRound { pin: Arc::new(pin.strict(options.require_readonly)), ends: [from, to], first })
    }

    /// A source that lists nothing any more would leave a copy without a snapshot: that must be asked for.
    fn must_not_be_emptied(&self, repository: &Repository, there: Option<&Reader>) -> Result<()> {
        let lost = there.map_or(0, |there| there.root.snapshots.len());
        if lost == 0 || !repository.index.snapshots.is_empty() || self.options.repository.prune.is_some() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Diverged, "copy a repository without a snapshot")
            .because(format!("the source lists none any more, and the target {lost}"))
            .hint("check the source; if all of them were deleted on purpose, `--prune` follows"))
    }

    /// A reader of what the target shows; none if it shows nothing that can be read.
    fn there(target: &Base, shows: &Target, repository: &Repository) -> Result<Option<Reader>> {
        let Some(root) = &shows.root else { return Ok(None) };
        match root.parse() {
            Ok(index) => Reader::of_root(target.clone(), Arc::new(index)).map(Some),
            Err(error) if root.generation > repository.root.generation => {
                Err(Error::new(ErrorKind::Diverged, "copy over the target")
                    .because(format!("its newest root `index-{}` cannot be read, and is newer than the source's: {error}", root.generation))
                    .hint("a cluster that reads the target takes the highest number: find out who wrote it, and sync to an empty prefix"))
            }
            Err(_) => {
                tracing::warn!(generation = %root.generation, "the target's newest root cannot be read; it will be superseded");
                Ok(None)
            }
        }
    }

    /// A first copy finds an empty target, or what a stopped one left.
    async fn has_leftovers(&self, target: &Base, beside: bool) -> Result<bool> {
        if beside {
            return Ok(true);
        }
        let prefix = target.key("indices/").as_str().to_owned();
        let mut pages = target.store.list(ListOptions { prefix, after: None });
        while let Some(page) = pages.try_next().await? {
            if !page.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the target shall name: what is selected, and what it has already of the source's, unless it is to follow the selection.
    async fn desired(
        &self,
        source: &Reader,
        there: Option<&Reader>,
        selection: &Selection,
        learnt: &Learnt,
    ) -> Result<Desired> {
        let root = &source.root;
        let times = if selection.needs_times(root) { times(source).await? } else { HashMap::new() };
        let selected = selection.resolve(root, &times)?;
        let listed: HashSet<&Name> = root.snapshots.iter().map(|snapshot| &snapshot.uuid).collect();
        // One that was deleted meanwhile needs no exclusion any more, and one that the target has whole stays there.
        let listed_there = |uuid: &Name| there.is_some_and(|there| there.root.snapshot(uuid).is_some());
        let damaged = learnt.excluded.iter().filter(|uuid| listed.contains(uuid)).cloned();
        let (held, excluded) = damaged.partition(listed_there);
        let mut desired =
            Desired { selected, indices: selection.indices.clone(), kept: HashMap::new(), excluded, held };
        if !desired.chooses(root) {
            return Err(Error::new(ErrorKind::NotFound, "select snapshots and indices")
                .because("none of the selected snapshots has any of the selected indices")
                .hint("`inspect` lists the indices of each snapshot"));
        }
        let Some(there) = there else { return Ok(desired) };
        let keeps_others = !selection.is_all() && self.options.repository.prune.is_none();
        for index in there.root.indices.values() {
            let keeps = |uuid: &&Name| listed.contains(*uuid) && (keeps_others || desired.held.contains(*uuid));
            let kept = index.snapshots.iter().filter(keeps).cloned().collect();
            desired.kept.insert(index.id.clone(), kept);
        }
        Ok(desired)
    }

    /// The id of a part of the repository at this target: its own, and always the same.
    fn identity(&self, root: &RootIndex) -> String {
        let text = format!("{}\n{}", root.uuid.as_deref().unwrap_or_default(), self.to.location);
        let sum = Sha256::digest(text.as_bytes());
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, sum).chars().take(22).collect()
    }
}

/// When each snapshot began, from its description: roots before 7.14 do not tell. One that cannot be read is as old as can be.
pub(in crate::ops) async fn times(source: &Reader) -> Result<HashMap<Name, i64>> {
    let uuids: Vec<Name> = source.root.snapshots.iter().map(|snapshot| snapshot.uuid.clone()).collect();
    let reads = uuids.into_iter().map(|uuid| async move {
        match source.info(&uuid).await {
            Ok(read) => Ok(Some((uuid, read.says.start_time))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    });
    let times: Vec<_> = stream::iter(reads.collect::<Vec<_>>()).buffered(16).try_collect().await?;
    Ok(times.into_iter().flatten().collect())
}

impl RepositoryRound {
    /// Whether the target has no root yet.
    pub(in crate::ops) fn is_first(&self) -> bool {
        self.first
    }

    /// Where the source is.
    pub(super) fn missing(from: &End) -> Error {
        Error::new(ErrorKind::SourceMoved, format!("copy `{}`", from.location))
            .because("the source has no root any more")
            .hint("the source was deleted or moved while it was copied; the target was left as it was")
    }
}
