//! Capturing the numbers of a source at the right moment: a snapshot stores no document count, so they are read before.
//!
//! 1. What was written is made visible, and durable where that is asked for.
//! 2. The numbers are read, and after a pause once more: what changed in between is being written.
//!
//! The document can be kept in a file and compared with at any later time; `verify` does that.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::verification::Level;
use crate::elastic::Client;
use crate::elastic::document::{self, Fingerprint};
use crate::elastic::index;
use crate::elastic::metadata::{self, Metadata};
use crate::elastic::numbers::{self, Numbers, Settle};
use crate::elastic::resolve::resolve;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// The form of [`Captured`] that this version writes and reads.
pub const CAPTURED_VERSION: u32 = 1;

/// What is captured, and how.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// Up to which level there shall be something to compare.
    pub level: Level,
    /// Whether the numbers shall be those of a snapshot taken now.
    pub settle: Settle,
    /// The pause between the two readings.
    pub pause: Duration,
    /// Documents sampled from each index, for level 3.
    pub samples: u32,
}

impl Default for CaptureOptions {
    /// Level 2 after a refresh, read again after a second, a hundred documents of each index.
    fn default() -> Self {
        Self { level: Level::Shards, settle: Settle::Refresh, pause: Duration::from_secs(1), samples: 100 }
    }
}

/// The numbers of a source, at one moment. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// The form of this document: [`CAPTURED_VERSION`].
    pub version: u32,
    /// The cluster's address.
    pub cluster: String,
    /// The cluster's version, for people.
    pub server: String,
    /// When the second reading ended.
    pub captured_at: Timestamp,
    /// Up to which level there is something to compare.
    pub level: Level,
    /// Documents sampled from each index, for level 3.
    #[serde(default)]
    pub samples: u32,
    /// The indices, by name.
    pub indices: BTreeMap<String, CapturedIndex>,
}

/// What was captured of one index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedIndex {
    /// The numbers of the second reading.
    #[serde(flatten)]
    pub numbers: Numbers,
    /// They were others in the first reading: the index is being written.
    pub is_moving: bool,
    /// The sample of its documents, from level 3.
    #[serde(default)]
    pub sample: Option<Vec<Fingerprint>>,
    /// Its mappings, settings and aliases, from level 4.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

impl Captured {
    /// Reads what [`capture`] once wrote.
    ///
    /// Fails with [`ErrorKind::Unsupported`] when a newer version wrote it.
    pub fn parse(text: &str) -> Result<Self> {
        let doing = "read the captured numbers";
        let captured: Self =
            serde_json::from_str(text).map_err(|error| Error::new(ErrorKind::Invalid, doing).from_source(error))?;
        if captured.version != CAPTURED_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, doing).because(format!(
                "they are of version {}, and this is able to read version {CAPTURED_VERSION}",
                captured.version
            )));
        }
        Ok(captured)
    }
}

/// The indices that `patterns` mean on a cluster: names, aliases, data streams, patterns and exclusions. None means all open ones
/// whose names do not begin with a dot.
///
/// Fails with [`ErrorKind::NotFound`] when an entry names or matches nothing, or when nothing remains.
pub async fn choose(client: &Client, patterns: &[String]) -> Result<Vec<String>> {
    let existing = index::existing(client).await?;
    let resolved = resolve(patterns, &existing);
    let nothing = resolved.nothing.first().map(|entry| format!("it has nothing of `{entry}`"));
    let nothing = nothing.or_else(|| resolved.indices.is_empty().then(|| "it has no index of that kind".to_owned()));
    match nothing {
        None => Ok(resolved.indices.into_iter().collect()),
        Some(cause) => Err(Error::new(ErrorKind::NotFound, format!("choose indices on `{}`", client.place()))
            .because(cause)
            .hint("correct the names; those that begin with a dot, and closed ones, must be named")),
    }
}

/// Captures the numbers of these indices.
///
/// Fails with [`ErrorKind::NotFound`] when one of them is not there, and with [`ErrorKind::Precondition`] when a shard of an open
/// one does not answer.
pub async fn capture(
    client: &Client,
    indices: &[String],
    options: &CaptureOptions,
    reporter: &dyn Reporter,
) -> Result<Captured> {
    reporter.report(&Event::Step("capture"));
    numbers::settle(client, indices, options.settle).await?;
    let before = numbers::read(client, indices).await?;
    tokio::time::sleep(options.pause).await;
    let mut after = numbers::read(client, indices).await?;
    let mut likes = match options.level {
        Level::Metadata => metadata::read(client, indices).await?,
        _ => BTreeMap::new(),
    };
    let mut captured = BTreeMap::new();
    for index in indices {
        let (Some(first), Some(numbers)) = (before.get(index), after.remove(index)) else {
            return Err(Error::new(ErrorKind::NotFound, format!("capture `{index}` on `{}`", client.place()))
                .because("there is no index of that name")
                .hint("name indices, not aliases or data streams"));
        };
        let sample = match options.level {
            Level::Documents | Level::Metadata if numbers.is_open => {
                Some(document::draw(client, index, &numbers, options.samples).await?)
            }
            _ => None,
        };
        let is_moving = first.has_moved(&numbers);
        captured.insert(index.clone(), CapturedIndex { is_moving, sample, metadata: likes.remove(index), numbers });
    }
    Ok(Captured {
        version: CAPTURED_VERSION,
        cluster: client.place().to_owned(),
        server: client.version().to_string(),
        captured_at: Timestamp::now(),
        level: options.level,
        samples: options.samples,
        indices: captured,
    })
}
