//! What a snapshot holds, held against what was asked for.
//!
//! The interface ignores keys that it does not know (finding 11), and whoever writes `indexes` gets everything. So the patterns
//! are resolved here before anything is sent, and afterwards the snapshot must hold what they meant, and nothing else.

use std::collections::BTreeSet;

use super::client::Client;
use super::creation::{Creation, Unavailable};
use super::index::{self, Existing, Index};
use super::resolve::{Resolved, resolve};
use super::selection::quoted;
use super::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// What a snapshot is to hold.
#[derive(Debug)]
pub(super) struct Wanted {
    existing: Existing,
    resolved: Resolved,
}

/// Resolves what is asked for among what the cluster has now.
///
/// Fails with [`ErrorKind::NotFound`] when something asked for is not there, or when it all comes to nothing.
pub(super) async fn wanted(
    client: &Client,
    creation: &Creation,
    reporter: &dyn Reporter,
    doing: &str,
) -> Result<Wanted> {
    let existing = index::existing(client).await?;
    let resolved = resolve(&creation.indices, &existing);
    let nothing = |cause: String, hint: &'static str| {
        Err(Error::new(ErrorKind::NotFound, doing.to_owned()).because(cause).hint(hint))
    };
    let names: Vec<&String> = existing.indices.keys().filter(|name| !name.starts_with('.')).collect();
    if let Some(first) = resolved.nothing.first() {
        let text = format!("there is nothing of `{first}` in the cluster; it holds {}", quoted(&names));
        if creation.unavailable == Unavailable::Refused && !creation.may_be_empty {
            return nothing(text, "correct the name, or leave out what is not there with `--ignore-unavailable`");
        }
        reporter.report(&Event::Warning(&text));
    }
    if resolved.is_empty() && !creation.may_be_empty {
        return nothing(
            "the snapshot would hold no index".into(),
            "name indices that are there, or insist on an empty snapshot with `--allow-empty`",
        );
    }
    Ok(Wanted { existing, resolved })
}

/// Everything in the snapshot was asked for, and everything asked for is in it.
///
/// What has been deleted since is told as a warning, and what was made since counts if the patterns mean it.
pub(super) async fn check(
    client: &Client,
    creation: &Creation,
    wanted: &Wanted,
    snapshot: &Snapshot,
    reporter: &dyn Reporter,
    doing: &str,
) -> Result<()> {
    let wrong = |cause: String| {
        Err(Error::new(ErrorKind::Precondition, doing.to_owned())
            .because(cause)
            .hint("the snapshot is there; `snapshot delete` removes it if it is of no use"))
    };
    let held: BTreeSet<&String> = snapshot.indices.iter().collect();
    let missing: Vec<&String> = wanted.resolved.indices.iter().filter(|index| !held.contains(index)).collect();
    if !missing.is_empty() {
        let now = index::existing(client).await?;
        let (there, gone): (Vec<&String>, Vec<&String>) =
            missing.into_iter().partition(|index| now.indices.contains_key(*index));
        if !there.is_empty() {
            return wrong(format!(
                "it lacks {}, which was asked for; it holds {}",
                quoted(&there),
                quoted(&snapshot.indices)
            ));
        }
        let text = format!("{} was deleted while the snapshot was taken, and is not in it", quoted(&gone));
        reporter.report(&Event::Warning(&text));
    }
    let more = strange(creation, wanted, snapshot);
    if more.is_empty() {
        return Ok(());
    }
    wrong(format!("it also holds {}, which were not asked for", quoted(&more)))
}

/// The indices of the snapshot that were not asked for.
fn strange(creation: &Creation, wanted: &Wanted, snapshot: &Snapshot) -> Vec<String> {
    let mut all = wanted.existing.clone();
    for index in &snapshot.indices {
        let made = Index { is_open: true, shards: 1, ..Index::default() };
        all.indices.entry(index.clone()).or_insert(made);
    }
    let meant = resolve(&creation.indices, &all);
    // The features of 7.12 and later bring system indices along.
    let brings_features = creation.brings_features();
    let brought = |index: &str| brings_features && index.starts_with('.');
    let of_stream = |index: &str| {
        snapshot
            .data_streams
            .iter()
            .any(|stream| index.starts_with(&format!(".ds-{stream}-")) && creation.means_stream(stream))
    };
    let strange = snapshot.indices.iter().filter(|index| !meant.may_mean(index) && !wanted.resolved.may_mean(index));
    strange.filter(|index| !brought(index) && !of_stream(index)).cloned().collect()
}
