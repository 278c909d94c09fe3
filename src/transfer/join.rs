//! What is wanted against what the target has: two ordered listings read side by side, holding a page of each.
//!
//! The order is checked on every key. A listing that goes backwards or repeats itself cannot be relied on for what it leaves
//! out either, so it ends the run: it is never read as "object gone".

use std::cmp::Ordering;

use futures::StreamExt as _;

use crate::error::{Error, ErrorKind, Result};
use crate::store::{Key, ObjectMeta, Pages};

/// One key, where it was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Pair {
    /// Only at the source.
    Wanted(ObjectMeta),
    /// At the source and at the target, in this order.
    Both(ObjectMeta, ObjectMeta),
    /// Only at the target.
    Extra(ObjectMeta),
}

/// Two listings being joined.
pub struct Join {
    wanted: Cursor,
    there: Cursor,
}

impl Join {
    /// Joins the listing of what is wanted with that of the target.
    #[must_use]
    pub fn new(wanted: Pages, there: Pages) -> Self {
        Self { wanted: Cursor::new(wanted, "source"), there: Cursor::new(there, "target") }
    }

    /// The next key of either listing; none after the last of both.
    pub async fn next(&mut self) -> Result<Option<Pair>> {
        let (wanted, there) = futures::join!(self.wanted.fill(), self.there.fill());
        wanted?;
        there?;
        let order = match (self.wanted.peek(), self.there.peek()) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(wanted), Some(there)) => wanted.key.cmp(&there.key),
        };
        let wanted = if order.is_le() { self.wanted.take()? } else { None };
        let there = if order.is_ge() { self.there.take()? } else { None };
        Ok(match (wanted, there) {
            (Some(wanted), Some(there)) => Some(Pair::Both(wanted, there)),
            (Some(wanted), None) => Some(Pair::Wanted(wanted)),
            (None, there) => there.map(Pair::Extra),
        })
    }
}

/// A place in one listing.
struct Cursor {
    pages: Pages,
    page: std::vec::IntoIter<ObjectMeta>,
    last: Option<Key>,
    ended: bool,
    side: &'static str,
}

impl Cursor {
    fn new(pages: Pages, side: &'static str) -> Self {
        Self { pages, page: Vec::new().into_iter(), last: None, ended: false, side }
    }

    /// Gets the next page if this one is used up.
    async fn fill(&mut self) -> Result<()> {
        while self.page.as_slice().is_empty() && !self.ended {
            match self.pages.next().await.transpose()? {
                Some(page) => self.page = page.into_iter(),
                None => self.ended = true,
            }
        }
        Ok(())
    }

    fn peek(&self) -> Option<&ObjectMeta> {
        self.page.as_slice().first()
    }

    fn take(&mut self) -> Result<Option<ObjectMeta>> {
        let Some(meta) = self.page.next() else { return Ok(None) };
        if let Some(last) = &self.last {
            let fault = match meta.key.cmp(last) {
                Ordering::Greater => None,
                Ordering::Equal => Some("it gives the same key twice"),
                Ordering::Less => Some("it goes backwards"),
            };
            if let Some(fault) = fault {
                return Err(Error::new(ErrorKind::Corrupt, format!("rely on the listing of the {}", self.side))
                    .because(format!("{fault}: `{}` comes after `{last}`", meta.key))
                    .hint("nothing was taken as missing; look for a broken proxy or gateway before the store"));
            }
        }
        self.last = Some(meta.key.clone());
        Ok(Some(meta))
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use jiff::Timestamp;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn meta(key: &str) -> ObjectMeta {
        ObjectMeta { key: Key::new(key).expect("not empty"), size: 1, modified: Timestamp::UNIX_EPOCH, etag: None }
    }

    fn pages(pages: Vec<Vec<&str>>) -> Pages {
        let pages: Vec<_> = pages.into_iter().map(|page| Ok(page.into_iter().map(meta).collect())).collect();
        stream::iter(pages).boxed()
    }

    fn collect(mut join: Join) -> Result<Vec<Pair>> {
        futures::executor::block_on(async {
            let mut all = Vec::new();
            while let Some(pair) = join.next().await? {
                all.push(pair);
            }
            Ok(all)
        })
    }

    #[test]
    fn keys_meet_across_pages_of_different_lengths() {
        let join = Join::new(pages(vec![vec!["a"], vec![], vec!["b", "d"]]), pages(vec![vec!["b", "c"]]));
        let found = collect(join).expect("ordered");
        let (a, b, c, d) = (meta("a"), meta("b"), meta("c"), meta("d"));
        assert_eq!(found, [Pair::Wanted(a), Pair::Both(b.clone(), b), Pair::Extra(c), Pair::Wanted(d)]);
    }

    #[test]
    fn a_listing_that_goes_backwards_or_repeats_is_an_error() {
        for broken in [vec![vec!["b"], vec!["a"]], vec![vec!["a"], vec!["a"]]] {
            let error = collect(Join::new(pages(vec![]), pages(broken.clone()))).expect_err("out of order");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(collect(Join::new(pages(broken), pages(vec![]))).is_err());
        }
    }

    proptest! {
        #[test]
        fn every_key_comes_once_with_its_side(
            wanted in btree_set("[ab/]{1,4}", 0..20), there in btree_set("[ab/]{1,4}", 0..20), cuts in vec(1..5usize, 8),
        ) {
            let cut = |keys: &std::collections::BTreeSet<String>| -> Pages {
                let metas: Vec<_> = keys.iter().map(|key| meta(key)).collect();
                let pages: Vec<_> = metas.chunks(cuts[0]).map(|page| Ok(page.to_vec())).collect();
                stream::iter(pages).boxed()
            };
            let found = collect(Join::new(cut(&wanted), cut(&there))).expect("ordered");
            let expected: std::collections::BTreeSet<_> = wanted.union(&there).cloned().collect();
            let keys: Vec<String> = found.iter().map(|pair| match pair {
                Pair::Wanted(meta) | Pair::Extra(meta) | Pair::Both(meta, _) => meta.key.as_str().to_owned(),
            }).collect();
            prop_assert_eq!(keys, expected.into_iter().collect::<Vec<_>>());
            for pair in &found {
                let (key, in_wanted, in_there) = match pair {
                    Pair::Wanted(meta) => (meta.key.as_str(), true, false),
                    Pair::Both(meta, _) => (meta.key.as_str(), true, true),
                    Pair::Extra(meta) => (meta.key.as_str(), false, true),
                };
                prop_assert_eq!((wanted.contains(key), there.contains(key)), (in_wanted, in_there));
            }
        }
    }
}
