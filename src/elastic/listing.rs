//! The snapshots of a repository as far as they can be listed, also where metadata of some is missing.
//!
//! 1. Everything is asked for. One missing `snap-<uuid>.dat` makes the cluster answer 404 to that.
//! 2. Then what can be read is asked for, and the names, identities and states of all from the root alone; what only the latter
//!    has is told as unreadable.

use super::client::Client;
use super::selection::matches;
use super::snapshot::{self, Detail, Snapshot};
use crate::error::{Error, ErrorKind, Result};

/// What a repository lists.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The snapshots, oldest first as far as times are known.
    pub snapshots: Vec<Snapshot>,
    /// The names of those whose own metadata cannot be read, although the root names them.
    pub unreadable: Vec<String>,
}

/// Lists the snapshots that `patterns` choose: names and `*` patterns, exclusions with `-`, none for all.
///
/// Fails with [`ErrorKind::NotFound`] when the repository or a named snapshot is not there.
pub async fn list(client: &Client, repository: &str, patterns: &[String]) -> Result<Listing> {
    let mut listing = whole(client, repository).await?;
    if let Some(name) = patterns.iter().find(|pattern| {
        !pattern.contains('*')
            && !pattern.starts_with('-')
            && !listing.snapshots.iter().any(|snapshot| snapshot.name == **pattern)
    }) {
        return Err(Error::new(ErrorKind::NotFound, format!("list `{repository}:{name}` on `{}`", client.place()))
            .because("the repository holds no snapshot of that name")
            .hint("leave the name out to see all"));
    }
    listing.snapshots.retain(|snapshot| is_chosen(patterns, &snapshot.name));
    listing.unreadable.retain(|name| is_chosen(patterns, name));
    Ok(listing)
}

async fn whole(client: &Client, repository: &str) -> Result<Listing> {
    let capability = client.capability();
    let details: &[(&str, &str)] = if capability.index_details { &[("index_details", "true")] } else { &[] };
    let refused = match snapshot::list_as(client, repository, details).await {
        Ok(snapshots) => return Ok(Listing { snapshots, unreadable: Vec::new() }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Invalid) => error,
        Err(error) => return Err(error),
    };
    let query: Vec<(&str, &str)> = details.iter().copied().chain([("ignore_unavailable", "true")]).collect();
    let readable = snapshot::list_as(client, repository, &query).await;
    if !capability.short_listing {
        // 5.5 and earlier have no other list to hold this one against.
        return Ok(Listing { snapshots: readable.map_err(|_| refused)?, unreadable: Vec::new() });
    }
    let Ok(short) = snapshot::list(client, repository, Detail::Short).await else { return Err(refused) };
    let mut snapshots = readable.unwrap_or_default();
    let known = |snapshots: &[Snapshot], name: &str| snapshots.iter().any(|snapshot| snapshot.name == name);
    let lost: Vec<Snapshot> = short.into_iter().filter(|snapshot| !known(&snapshots, &snapshot.name)).collect();
    let unreadable = lost.iter().map(|snapshot| snapshot.name.clone()).collect();
    snapshots.extend(lost);
    Ok(Listing { snapshots, unreadable })
}

/// Entries count in order; a list that begins with an exclusion begins with everything.
fn is_chosen(patterns: &[String], name: &str) -> bool {
    let begins = patterns.first().is_none_or(|first| first.starts_with('-'));
    patterns.iter().fold(begins, |chosen, entry| match entry.strip_prefix('-') {
        Some(pattern) => chosen && !matches(pattern, name),
        None => chosen || entry == "_all" || matches(entry, name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_and_exclusions_take_away() {
        let chosen =
            |patterns: &[&str], name| is_chosen(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>(), name);
        assert!(chosen(&[], "a") && chosen(&["a*", "-b*"], "ab") && chosen(&["-b*"], "a"));
        assert!(!chosen(&["a*", "-ab"], "ab") && !chosen(&["-b*"], "b") && !chosen(&["c"], "a"));
        assert!(chosen(&["-a", "a"], "a"));
    }
}
