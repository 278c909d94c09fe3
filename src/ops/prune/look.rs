//! What may go: the roots are compared, what the newest needs is read, and the share that would go is counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::{LARGEST_ROOT, Measure, Preview, Prune};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::repo::surplus::{self, Difference, SurplusKind, Survey};
use crate::repo::{Base, Generation, IndexEntry, PathType, Reader, RootIndex};
use crate::store::ObjectMeta;
use crate::store::wrap::Retry;

/// A root that was read.
struct Root {
    meta: ObjectMeta,
    bytes: Bytes,
    index: Arc<RootIndex>,
}

impl Prune<'_> {
    /// Steps 1 to 3.
    pub(super) async fn look(&self) -> Result<(Measure, Preview)> {
        self.reporter.report(&Event::Step("compare the roots"));
        let at_location = self.location();
        let mut listed = surplus::roots(&at_location).await?;
        let Some((generation, meta)) = listed.pop() else { return Err(self.nothing()) };
        let Some(newest) = read(&at_location, generation, meta).await? else { return Err(self.moved()) };
        must_be_published(&at_location, generation).await?;
        let (difference, older, beside) = self.difference(&at_location, &newest, &listed).await?;
        let base = beside.unwrap_or(at_location);
        let reader = Reader::new(base.clone(), newest.index.clone()).await.map_err(|error| self.unread(error))?;
        self.reporter.report(&Event::Step("read what the newest root needs"));
        let survey = Survey::new(&reader, self.reporter.as_ref());
        let mut surplus = survey.surplus(difference).await.map_err(|error| self.unread(error))?;
        let previous = listed.pop().map(|(generation, _)| generation);
        for (generation, meta) in older.into_iter().filter(|(generation, _)| Some(*generation) != previous) {
            surplus.push(SurplusKind::Root, base.key(generation.key().as_str()), meta.size)?;
        }
        let gone = surplus.total().objects;
        let enough = self.enough(gone);
        let kept = survey.count(enough).await.map_err(|error| self.unread(error))?;
        let preview = Preview {
            generation: generation.number(),
            previous: previous.map(Generation::number),
            surplus,
            kept,
            within_share: kept >= enough,
            wait: remaining(self.options.grace, newest.meta.modified, Timestamp::now()),
        };
        Ok((Measure { base, generation, bytes: newest.bytes }, preview))
    }

    /// Compares the newest root with the older ones that are of this repository and can be read, one after the other: a root may be
    /// large. The others are left alone. Gives the difference, those roots, and the base if any of them has shards beside its base path.
    async fn difference(
        &self,
        base: &Base,
        newest: &Root,
        listed: &[(Generation, ObjectMeta)],
    ) -> Result<(Difference, Vec<(Generation, ObjectMeta)>, Option<Base>)> {
        let (mut difference, mut older) = (Difference::default(), Vec::new());
        let mut beside = self.beside(&newest.index).await?;
        let mut newer = newest.index.clone();
        for (generation, meta) in listed.iter().rev() {
            let root = match read(base, *generation, meta.clone()).await {
                Ok(Some(root)) => root,
                // A cluster or another run removed it meanwhile.
                Ok(None) => continue,
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                    self.warn(&format!("{error}; what only `index-{generation}` names is left alone"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            // A root that lists nothing any more goes with any other: the share that may go is what keeps it from emptying a copy.
            if !newer.is_related_to(&root.index) && !root.index.is_related_to(&newer) {
                self.warn(&format!(
                    "the root `index-{generation}` is of another repository; what only it names is left alone"
                ));
                continue;
            }
            if beside.is_none() {
                beside = self.beside(&root.index).await?;
            }
            difference.add(&newest.index, &Reader::new(base.clone(), root.index.clone()).await?)?;
            older.push((*generation, root.meta));
            newer = root.index;
        }
        Ok((difference, older, beside))
    }

    /// Where a repository lies that has shards beside its base path: from the bucket on.
    async fn beside(&self, root: &RootIndex) -> Result<Option<Base>> {
        let is_beside = |index: &IndexEntry| matches!(index.path_type(), Ok(PathType::HashedPrefix));
        if !root.indices.values().any(is_beside) {
            return Ok(None);
        }
        Ok(Some(self.base(self.end.base(root).await?)))
    }

    /// The repository as far as it lies at its location.
    pub(super) fn location(&self) -> Base {
        self.base(Base::at_root(self.end.store.clone()))
    }

    /// The same with retries.
    fn base(&self, base: Base) -> Base {
        let store = Retry::new(base.store, self.options.retry, self.reporter.clone());
        Base { store: Arc::new(store), path: base.path }
    }

    /// How many objects must stay for `gone` to be within the share.
    fn enough(&self, gone: u64) -> u64 {
        let share = u64::from(self.options.max_share.min(100));
        match share {
            0 if gone > 0 => u64::MAX,
            0 => 0,
            share => gone.saturating_mul(100 - share).div_ceil(share),
        }
    }

    /// What survives could not be read. What is missing is damage, not a mistake in the command line.
    fn unread(&self, error: Error) -> Error {
        let hint = "nothing was deleted: what the newest root needs must be read whole first; `verify` tells what is wrong with it";
        let error = match error.kind() {
            ErrorKind::NotFound => self.failed("").because(error.to_string()),
            ErrorKind::Cancelled => return error,
            _ => error.while_doing(self.doing()),
        };
        error.hint(hint)
    }

    fn warn(&self, text: &str) {
        self.reporter.report(&Event::Warning(text));
    }
}

/// Reads a root; none if it is not there any more.
async fn read(base: &Base, generation: Generation, meta: ObjectMeta) -> Result<Option<Root>> {
    let name = generation.key();
    let Some(bytes) = base.read_if_there(name.as_str(), LARGEST_ROOT).await? else { return Ok(None) };
    let index = Arc::new(RootIndex::parse(name.as_str(), &bytes)?);
    Ok(Some(Root { meta, bytes, index }))
}

/// How much of the grace period is left. If our clock is behind the store's it is at most the whole period.
fn remaining(grace: Duration, published: Timestamp, now: Timestamp) -> Duration {
    let age = Duration::try_from(now.duration_since(published)).unwrap_or_default();
    grace.saturating_sub(age)
}

/// A stray file with a high number hides the copy's own root, and everything would be measured by it: what readers without a listing are
/// told must agree.
async fn must_be_published(base: &Base, generation: Generation) -> Result<()> {
    let latest = base.read_if_there("index.latest", 1024).await?;
    match latest {
        Some(latest) if latest != generation.latest() => Err(Error::new(ErrorKind::Diverged, "prune by the newest root")
            .because(format!("`index.latest` does not say `index-{generation}`: somebody else may have written that root, or a sync was stopped behind it"))
            .hint("`verify` tells what is wrong; a sync that ends well makes both agree")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_period_counts_from_the_publication_and_is_never_longer_than_itself() {
        let at = |second| Timestamp::from_second(second).expect("near");
        let grace = Duration::from_mins(10);
        assert_eq!(remaining(grace, at(1000), at(1100)), Duration::from_secs(500));
        assert_eq!(remaining(grace, at(1000), at(1600)), Duration::ZERO);
        assert_eq!(remaining(grace, at(1000), at(9999)), Duration::ZERO);
        assert_eq!(remaining(grace, at(1000), at(0)), grace);
    }
}
