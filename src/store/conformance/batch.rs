//! Deleting many objects at once (promise 13).

use super::super::Key;
use super::{Found, KEPT, Suite, must};
use crate::error::{Error, Result};

/// Keys that an XML document or a server that folds paths may get wrong, and that every store can hold.
const NAMES: [&str; 11] = [
    "plain",
    "<xml>&amp;",
    "quote'quote\"",
    "blank in name",
    "ünïcödé/日本語",
    "semi;colon,comma",
    "-dash",
    "q?m#h=e",
    "[brackets]{braces}^`",
    "new\nline and return\r",
    // No XML document can hold it.
    "one\u{1}here",
];

impl Suite {
    pub(super) async fn batch(&self) -> Result<Found> {
        let place = |room: &str| NAMES.iter().map(|name| format!("batch/{room}/{name}")).collect::<Vec<_>>();
        let (gone, kept) = (place("gone"), place("kept"));
        self.fill(&gone).await?;
        self.fill(&kept).await?;
        // Names near the others that were never there, and one given twice.
        let never = ["batch/gone/never", "batch/kept/plai"].map(str::to_owned);
        let keys: Vec<Key> = gone.iter().chain(&never).chain(&gone[..1]).map(|name| self.key(name)).collect();
        if let Some((key, error)) = self.deleted(&keys).await?.into_iter().next() {
            return Err(error.while_doing(format!("delete {key:?} in a batch")));
        }
        let mut listed = self.names("batch/", None).await?;
        let mut wanted = kept;
        listed.sort_unstable();
        wanted.sort_unstable();
        must(listed == wanted, || format!("after the batch {listed:?} is left and not {wanted:?}"))?;
        let none = self.deleted(&[]).await?;
        must(none.is_empty(), || "an empty batch has failures".into())?;
        let again = self.deleted(&keys).await?;
        must(again.is_empty(), || format!("what was gone is said to have failed: {again:?}"))?;
        Ok(KEPT)
    }

    async fn deleted(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>> {
        self.repeat(|| self.store.delete_batch(keys)).await
    }
}
