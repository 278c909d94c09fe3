//! Listings: complete, in order, beginning where they are told (promises 2 and 9).

use bytes::Bytes;
use futures::TryStreamExt as _;

use super::super::{Key, ListOptions};
use super::{Found, KEPT, Suite, must};
use crate::error::Result;

/// More than S3 and OSS give in one page.
const MANY: usize = 1020;

impl Suite {
    pub(super) async fn listing(&self) -> Result<Found> {
        let mut expected: Vec<String> = (0..MANY).map(|number| format!("list/{}/{number}", number % 7)).collect();
        expected.sort_unstable();
        self.fill(&expected).await?;
        let listed = self.names("list/", None).await?;
        must(listed == expected, || {
            format!("{} keys of {} were listed, or in another order", listed.len(), expected.len())
        })?;
        let rest = self.names("list/", Some(&expected[600])).await?;
        must(rest == expected[601..], || format!("{} keys came behind the 601st of {}", rest.len(), expected.len()))?;
        self.as_head_says(&expected[..3]).await?;
        // Some servers walk over everything for each listing: the trials that follow shall not wait for these.
        self.clear(&expected).await?;
        must(self.names("list/", None).await?.is_empty(), || "deleted keys are still listed".into())?;
        Ok(KEPT)
    }

    /// A listing tells of an object what `head` tells. Times may be told in whole seconds by one of the two.
    async fn as_head_says(&self, names: &[String]) -> Result<()> {
        for name in names {
            let options = ListOptions { prefix: self.key(name).into(), after: None };
            let mut pages = self.store.list(options);
            let listed =
                pages.try_next().await?.unwrap_or_default().into_iter().find(|meta| meta.key == self.key(name));
            let head = self.look(name).await?.meta;
            must(listed.as_ref().is_some_and(|meta| meta.size == head.size), || {
                format!("`{name}` has {} bytes and is listed as {listed:?}", head.size)
            })?;
            let apart = listed.map_or(0, |meta| meta.modified.as_second() - head.modified.as_second());
            must(apart.abs() <= 1, || format!("`{name}` is listed with a time {apart} s off the one it has"))?;
        }
        Ok(())
    }

    pub(super) async fn after(&self) -> Result<Found> {
        let names = ["a", "a b", "a!", "a-", "a.b", "a/", "a/b", "a/b/c", "a0", "b", "ab"];
        // A server that cannot tell a key from a folder is found out elsewhere.
        let folders = self.takes("folder/a/").await;
        let names = names.into_iter().filter(|name| folders || !(name.starts_with("a/") || *name == "a"));
        let mut expected: Vec<String> = names.map(|name| format!("after/{name}")).collect();
        self.fill(&expected).await?;
        expected.sort_unstable();
        for prefix in ["after/", "after/a", "after/a/", "after/a/b", "after/b", "after/c"] {
            // Also behind keys that are not there, before the prefix and behind it.
            let between = ["after", "after/a/a", "after/a~", "after/b0", "zzz"].map(str::to_owned);
            for after in expected.iter().chain(&between) {
                let matching = |name: &&String| name.starts_with(prefix) && *name > after;
                let wanted: Vec<String> = expected.iter().filter(matching).cloned().collect();
                let listed = self.names(prefix, Some(after)).await?;
                must(listed == wanted, || {
                    format!("with the prefix `{prefix}` behind `{after}` came {listed:?} and not {wanted:?}")
                })?;
            }
        }
        Ok(KEPT)
    }

    /// Whether the store holds a key that is also the folder of another.
    async fn takes(&self, name: &str) -> bool {
        let (folder, below) = (name.trim_end_matches('/'), format!("{name}b"));
        let there = async {
            for name in [folder, name, &below] {
                self.put(name, "").await?;
            }
            self.names(folder, None).await
        };
        there.await.is_ok_and(|listed| listed == [folder, name, &below])
    }

    pub(super) async fn at_once(&self) -> Result<Found> {
        for round in 0..3 {
            let (name, text) = (format!("fresh/{round}"), Bytes::from(format!("round {round}")));
            for _ in 0..2 {
                self.put(&name, text.clone()).await?;
                must(self.read(&name).await? == text, || "what was written is not read".into())?;
                must(self.names("fresh/", None).await? == [name.clone()], || "what was written is not listed".into())?;
                let key: Key = self.key(&name);
                self.repeat(|| self.store.delete(&key)).await?;
                must(!self.is_there(&name).await?, || "what was deleted is found".into())?;
                must(self.names("fresh/", None).await?.is_empty(), || "what was deleted is listed".into())?;
            }
        }
        Ok(KEPT)
    }
}
