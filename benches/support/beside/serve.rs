//! The servers: two doubles of S3 (`tests/support/double`) in one process, which takes words on its standard input and answers with JSON.
//!
//! `ports`: where they are. `after`: the source gets its next snapshot. `look`: what was asked of each since the last look, and how far
//! the target is what the source is.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use snapferry::store::{GetOptions, Key, ListOptions, ObjectStore as _};

use super::Result;
use crate::double::Double;
use crate::double::rules::Rules;
use crate::double::state::Stored;
use crate::support::peer::{KEY, SECRET};
use crate::support::server::BUCKET;
use crate::synthetic::{Shape, Synthetic, Time};

/// Serves until standard input ends.
pub(crate) fn run(blobs: u64) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let start = || runtime.block_on(Double::start(rules()));
    let mut servers = Servers { shape: Shape::of(blobs), from: start(), to: start(), seen: [0; 2] };
    servers.to.bucket(BUCKET);
    let at = |time| runtime.block_on(contents(&Synthetic::new(servers.shape, time, Arc::default())));
    let (before, after) = (at(Time::Before)?, at(Time::After)?);
    servers.hold(&before);
    for line in std::io::stdin().lock().lines() {
        let answer = match line?.as_str() {
            "ports" => json!([servers.from.address().port(), servers.to.address().port()]),
            "after" => {
                servers.hold(&after);
                Value::Null
            }
            _ => servers.look(),
        };
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

fn rules() -> Rules {
    Rules { access_key: KEY.to_owned(), secret_key: SECRET.to_owned(), ..Rules::s3() }
}

struct Servers {
    shape: Shape,
    from: Double,
    to: Double,
    /// Requests that were looked at.
    seen: [usize; 2],
}

impl Servers {
    /// Makes the source hold this; what it has already stays as it is.
    fn hold(&self, contents: &[(Key, Bytes)]) {
        self.from.bucket(BUCKET);
        let held = self.from.objects(BUCKET);
        let mut stale: BTreeMap<&str, _> = held.iter().map(|(key, stored)| (key.as_str(), stored)).collect();
        for (key, bytes) in contents {
            let old = stale.remove(key.as_str()).and_then(Stored::bytes);
            if old.as_ref() != Some(bytes) {
                self.from.insert(BUCKET, key.as_str(), bytes.clone(), &[]);
            }
        }
        for key in stale.into_keys() {
            self.from.remove(BUCKET, key);
        }
    }

    fn look(&mut self) -> Value {
        let [from, to] = [&self.from, &self.to].map(|server| server.objects(BUCKET));
        let missing = from.keys().filter(|key| !to.contains_key(*key)).count();
        let extra = to.keys().filter(|key| !from.contains_key(*key)).count();
        let differs = |key: &String, etag: &str| to.get(key).is_some_and(|there| there.etag != etag);
        let differing = from.iter().filter(|(key, stored)| differs(key, &stored.etag)).map(|(key, _)| key);
        let differing: Vec<&String> = differing.collect();
        json!({
            "blobs": from.len(),
            "from": self.counts(0),
            "to": self.counts(1),
            "missing": missing,
            "extra": extra,
            "differing": differing.len(),
            "first_differing": differing.first(),
        })
    }

    /// Requests by kind since the last look.
    fn counts(&mut self, side: usize) -> BTreeMap<&'static str, u64> {
        let seen = [&self.from, &self.to][side].requests();
        let mut counts = BTreeMap::new();
        for one in &seen[self.seen[side]..] {
            let has_key = one.path.trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
            let kind = match (one.method.as_str(), has_key) {
                ("GET", false) => "list",
                ("GET", true) => "get",
                ("HEAD", true) => "head",
                ("PUT", true) => "put",
                ("DELETE", true) => "delete",
                ("POST", false) => "delete_batch",
                _ => "other",
            };
            *counts.entry(kind).or_default() += 1;
        }
        self.seen[side] = seen.len();
        counts
    }
}

/// Every object of a repository.
async fn contents(source: &Synthetic) -> Result<Vec<(Key, Bytes)>> {
    let mut contents = Vec::new();
    let mut pages = source.list(ListOptions::default());
    while let Some(page) = pages.try_next().await? {
        for meta in page {
            let got = source.get(&meta.key, GetOptions::default()).await?;
            contents.push((meta.key, got.body.collect(meta.size).await?));
        }
    }
    Ok(contents)
}
