//! Two places that are no repositories, object by object: by key and length, by what both sides state, or by content.
//!
//! | level | compared |
//! |---|---|
//! | structure | keys and lengths |
//! | presence | also checksums: equal MD5s in the listings, else what both sides state when asked |
//! | content | also every byte, read on both sides |

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{Level, Options, Report};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};
use crate::repo::audit::{Audited, Checked, Finding, FindingKind, LISTED, Portion};
use crate::store::wrap::{Policy, retry};
use crate::store::{Algorithm, Checksum, Digest, GetOptions, Key, ListOptions, ObjectMeta, ObjectStore};

/// Pairs under way at once.
const PAIRS: usize = 32;

/// Whether nothing is in a store.
pub(super) async fn is_empty(store: &Arc<dyn ObjectStore>) -> Result<bool> {
    let mut pages = store.list(ListOptions::default());
    while let Some(page) = pages.try_next().await? {
        if !page.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first object of the first of these prefixes that has one.
pub(super) async fn first_of(store: &Arc<dyn ObjectStore>, prefixes: &[&str]) -> Result<Option<Key>> {
    for prefix in prefixes {
        let mut pages = store.list(ListOptions { prefix: (*prefix).to_owned(), after: None });
        while let Some(page) = pages.try_next().await? {
            if let Some(meta) = page.into_iter().next() {
                return Ok(Some(meta.key));
            }
        }
    }
    Ok(None)
}

/// Two places and how they differ so far.
pub(super) struct Pair<'a> {
    from: Arc<dyn ObjectStore>,
    to: Arc<dyn ObjectStore>,
    options: &'a Options,
    reporter: Arc<dyn Reporter>,
    audited: Mutex<Audited>,
    objects: AtomicU64,
    bytes: AtomicU64,
    unproven: AtomicU64,
}

/// A key on one side or on both.
enum Found {
    Source(ObjectMeta),
    Copy(ObjectMeta),
    Both(ObjectMeta, ObjectMeta),
}

impl<'a> Pair<'a> {
    pub(super) fn new(
        from: Arc<dyn ObjectStore>,
        to: Arc<dyn ObjectStore>,
        options: &'a Options,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        let (objects, bytes, unproven) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { from, to, options, reporter, audited: Mutex::default(), objects, bytes, unproven }
    }

    /// Compares everything.
    pub(super) async fn compare(&self) -> Result<()> {
        self.reporter.report(&Event::Step("compare the objects"));
        let all = |store: &Arc<dyn ObjectStore>| {
            store
                .list(ListOptions::default())
                .map_ok(|page| stream::iter(page).map(Ok::<_, Error>))
                .try_flatten()
                .boxed()
        };
        let joined =
            stream::try_unfold((all(&self.from).peekable(), all(&self.to).peekable()), |(mut from, mut to)| async {
                use std::cmp::Ordering::{Equal, Greater, Less};
                let (mut left, mut right) = (std::pin::Pin::new(&mut from), std::pin::Pin::new(&mut to));
                let order = match (left.as_mut().peek().await, right.as_mut().peek().await) {
                    (None, None) => return Ok(None),
                    (Some(Ok(one)), Some(Ok(other))) => one.key.cmp(&other.key),
                    (Some(Err(_)), _) | (Some(_), None) => Less,
                    (_, Some(Err(_))) | (None, Some(_)) => Greater,
                };
                let found = match order {
                    Less => left.try_next().await?.map(Found::Source),
                    Greater => right.try_next().await?.map(Found::Copy),
                    Equal => match (left.try_next().await?, right.try_next().await?) {
                        (Some(one), Some(other)) => Some(Found::Both(one, other)),
                        _ => None,
                    },
                };
                Ok(found.map(|found| (found, (from, to))))
            });
        joined.try_for_each_concurrent(PAIRS, |found| self.pair(found)).await
    }

    /// What came of it.
    pub(super) fn report(&self) -> Report {
        let mut audited = std::mem::take(&mut *self.audited.lock().unwrap_or_else(PoisonError::into_inner));
        let (objects, bytes) = (self.objects.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        audited.checked = Checked { objects, bytes, ..Checked::default() };
        audited
            .findings
            .sort_by(|one, other| (one.severity, one.kind, &one.key).cmp(&(other.severity, other.kind, &other.key)));
        Report { mode: "plain", audited, unproven: self.unproven.load(Ordering::Relaxed), ..Report::default() }
    }

    fn note(&self, kind: FindingKind, key: &Key, message: impl Into<String>) {
        let mut audited = self.audited.lock().unwrap_or_else(PoisonError::into_inner);
        if audited.findings.len() < LISTED {
            audited.findings.push(Finding::new(kind, message).at(key));
        } else {
            *audited.unlisted.entry(kind).or_default() += 1;
        }
    }

    async fn pair(&self, found: Found) -> Result<()> {
        self.objects.fetch_add(1, Ordering::Relaxed);
        let (from, to) = match found {
            Found::Source(meta) => {
                let message = format!("the source has it with {} bytes", meta.size);
                self.note(FindingKind::MissingObject, &meta.key, message);
                return Ok(());
            }
            Found::Copy(meta) => {
                self.note(FindingKind::ExtraObject, &meta.key, format!("it has {} bytes", meta.size));
                return Ok(());
            }
            Found::Both(from, to) => (from, to),
        };
        if from.size != to.size {
            let message = format!("it has {} bytes and {} at the source", to.size, from.size);
            self.note(FindingKind::MismatchedLength, &from.key, message);
            return Ok(());
        }
        match self.options.level {
            Level::Presence => self.stated(&from, &to).await,
            Level::Content if self.takes(&from.key) => self.content(&from).await,
            Level::Structure | Level::Content => Ok(()),
        }
    }

    fn takes(&self, key: &Key) -> bool {
        self.options.portion == Portion::All || self.options.portion.takes("", 0, key.as_str())
    }

    /// Compares what both sides state. An `ETag` that looks like an MD5 proves equality; that two of them differ proves nothing.
    async fn stated(&self, from: &ObjectMeta, to: &ObjectMeta) -> Result<()> {
        let md5 = |meta: &ObjectMeta| meta.etag.as_ref().and_then(crate::store::ETag::md5);
        if md5(from).is_some() && md5(from) == md5(to) {
            return Ok(());
        }
        let (source, copy) = futures::join!(self.from.head(&from.key), self.to.head(&to.key));
        let (source, copy) = match (source, copy) {
            (Ok(source), Ok(copy)) => (source.checksums, copy.checksums),
            (source, copy) => {
                let failed = source.err().or(copy.err()).filter(|error| error.kind() != ErrorKind::NotFound);
                // What went away since it was listed is no difference.
                return failed.map_or(Ok(()), Err);
            }
        };
        let both: Vec<(Checksum, Checksum)> = source
            .into_iter()
            .filter_map(|sum| Some((sum, *copy.iter().find(|other| other.algorithm == sum.algorithm)?)))
            .collect();
        match both.iter().find(|(one, other)| one != other) {
            Some((one, other)) => {
                self.note(FindingKind::DifferentContent, &from.key, format!("it states {other}, the source {one}"));
            }
            None if both.is_empty() => drop(self.unproven.fetch_add(1, Ordering::Relaxed)),
            None => {}
        }
        Ok(())
    }

    async fn content(&self, meta: &ObjectMeta) -> Result<()> {
        self.reporter.report(&Event::Planned { bytes: meta.size });
        let policy = &self.options.transfer.retry;
        let reporter = self.reporter.as_ref();
        let (one, other) = futures::join!(
            sum(self.from.as_ref(), &meta.key, policy, reporter),
            sum(self.to.as_ref(), &meta.key, policy, reporter)
        );
        self.bytes.fetch_add(meta.size * 2, Ordering::Relaxed);
        match (one, other) {
            (Ok(one), Ok(other)) if one == other => {}
            (Ok(one), Ok(other)) => {
                self.note(FindingKind::DifferentContent, &meta.key, format!("it has {other}, the source {one}"));
            }
            (one, other) => {
                let failed = one.err().or(other.err()).filter(|error| error.kind() != ErrorKind::NotFound);
                if let Some(error) = failed {
                    return Err(error);
                }
            }
        }
        self.reporter.report(&Event::Checked { key: meta.key.as_str(), bytes: meta.size });
        Ok(())
    }
}

/// The checksum of an object's content, read whole.
async fn sum(store: &dyn ObjectStore, key: &Key, policy: &Policy, reporter: &dyn Reporter) -> Result<Checksum> {
    retry(policy, reporter, || async {
        let got = store.get(key, GetOptions::default()).await?;
        let (mut digest, mut body) = (Digest::new(Algorithm::Crc64Nvme), got.body);
        let mut came = 0;
        while let Some(bytes) = body.stream.try_next().await? {
            digest.update(&bytes);
            came += bytes.len() as u64;
        }
        if came != body.length {
            return Err(crate::store::short(body.length, came));
        }
        reporter.report(&Event::Moved { bytes: came });
        Ok(digest.finish())
    })
    .await
}
