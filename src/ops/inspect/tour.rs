//! Which shards are looked at, and with which names in them: all that the root has, or, where garbage is asked for, as a listing of the
//! location comes upon them.
//!
//! 1. The listing comes in the order of the keys, so that the objects of a shard stand together. They are collected until another
//!    shard begins: one shard's names are held here, and those of the shards being looked at.
//! 2. Objects that lie in no shard are judged at once and only counted.
//! 3. Shards that the listing did not show come last: those beside the base path, which are listed each by itself, and missing ones.

use std::collections::{HashSet, VecDeque};

use futures::TryStreamExt as _;

use super::report::Garbage;
use super::survey::Survey;
use crate::error::Result;
use crate::store::{ListOptions, ObjectMeta, Pages};

/// A shard to look at.
#[derive(Debug)]
pub(super) struct Visit {
    /// The place of its index in the survey.
    pub(super) index: u32,
    /// Its number.
    pub(super) shard: u32,
    /// The names and lengths of what lies in it; none if they do not matter.
    pub(super) names: Option<Vec<(Box<str>, u64)>>,
    /// Whether these have to be listed first.
    pub(super) list: bool,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Task {
    /// Look at a shard.
    Shard(Visit),
    /// Count what lies in no shard.
    Loose(Garbage),
}

/// The way through a repository.
pub(super) struct Tour<'a> {
    survey: &'a Survey,
    pages: Option<Pages>,
    listed: bool,
    ready: VecDeque<Visit>,
    /// The shard whose objects are coming, with its container.
    open: Option<(String, Visit)>,
    seen: HashSet<(u32, u32)>,
    loose: Option<Garbage>,
    next: (u32, u32),
}

impl<'a> Tour<'a> {
    /// All shards of a survey, with what lies in them if `garbage` is asked for.
    pub(super) fn new(survey: &'a Survey, garbage: bool) -> Self {
        let base = &survey.reader.base;
        let pages = garbage.then(|| base.store.list(ListOptions { prefix: base.path.clone(), after: None }));
        Self {
            survey,
            pages,
            listed: garbage,
            ready: VecDeque::new(),
            open: None,
            seen: HashSet::new(),
            loose: garbage.then(Garbage::default),
            next: (0, 0),
        }
    }

    /// The next thing to do; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Task>> {
        loop {
            if let Some(visit) = self.ready.pop_front() {
                return Ok(Some(Task::Shard(visit)));
            }
            let Some(pages) = &mut self.pages else {
                let rest = self.rest().map(Task::Shard);
                return Ok(rest.or_else(|| self.loose.take().map(Task::Loose)));
            };
            if let Some(page) = pages.try_next().await? {
                for meta in &page {
                    self.take(meta);
                }
            } else {
                self.pages = None;
                self.close();
            }
        }
    }

    fn take(&mut self, meta: &ObjectMeta) {
        let key = meta.key.as_str();
        if let Some((container, visit)) = &mut self.open {
            match key.strip_prefix(container.as_str()) {
                Some(name) if !name.contains('/') => {
                    visit.names.get_or_insert_default().push((name.into(), meta.size));
                    return;
                }
                // Something below the shard, which is none of its objects; more of these follow.
                Some(_) => return self.loosen(meta),
                None => self.close(),
            }
        }
        let (container, name) = key.rsplit_once('/').map_or(("", key), |(head, name)| (&key[..=head.len()], name));
        let Some((index, shard)) = self.survey.locate(container) else { return self.loosen(meta) };
        self.seen.insert((index, shard));
        let names = Some(vec![(name.into(), meta.size)]);
        self.open = Some((container.to_owned(), Visit { index, shard, names, list: false }));
    }

    fn loosen(&mut self, meta: &ObjectMeta) {
        let name = self.survey.reader.base.name(&meta.key).unwrap_or(meta.key.as_str());
        let found = self.survey.judge_loose(name);
        self.loose.get_or_insert_default().count(found, meta.size);
    }

    fn close(&mut self) {
        self.ready.extend(self.open.take().map(|(_, visit)| visit));
    }

    /// The next shard that no listing showed.
    fn rest(&mut self) -> Option<Visit> {
        loop {
            let (index, shard) = self.next;
            let entry = self.survey.indices.get(index as usize)?;
            if shard >= entry.shards {
                self.next = (index + 1, 0);
                continue;
            }
            self.next.1 += 1;
            if self.seen.contains(&(index, shard)) {
                continue;
            }
            let base = &self.survey.reader.base.path;
            let outside = !entry.containers.of(base, shard).starts_with(base);
            let names = self.listed.then(Vec::new);
            return Some(Visit { index, shard, list: self.listed && outside, names });
        }
    }
}
