//! Whether snapshots may be taken and deleted in a repository: not in read-only ones, and not in those of a service.

use super::client::Client;
use super::repository;
use crate::error::{Error, ErrorKind, Result};

/// The repositories of Amazon's automated snapshots (`elasticsearch-api.md` 1.4, S3-3).
pub const AUTOMATED: [&str; 2] = ["cs-automated", "cs-automated-enc"];

/// Refuses a repository of automated snapshots as a source: only the domain that took them reads them.
///
/// `doing` completes "cannot …".
pub fn refuse_automated(repository: &str, doing: &str) -> Result<()> {
    if !AUTOMATED.contains(&repository) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, doing.to_owned())
        .because(format!(
            "`{repository}` holds Amazon's automated snapshots, which restore only into the domain that took them and lie in no \
             bucket of yours"
        ))
        .hint("register a repository on a bucket of your own and take a snapshot there"))
}

/// Refuses a repository to which this cluster must not or does not write.
pub(super) async fn check_writable(client: &Client, repository: &str, doing: &str) -> Result<()> {
    refuse_automated(repository, doing)?;
    let found = match repository::find(client, repository).await {
        Ok(found) => found,
        // Whoever may not look may still write: then the cluster itself refuses.
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Invalid) => {
            tracing::debug!(%error, "whether the repository is writable is not known");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    match found {
        Some(found) if found.readonly || found.kind == "url" => {
            Err(Error::new(ErrorKind::Precondition, doing.to_owned())
                .because(format!(
                    "`{repository}` is registered read-only here: its data belongs to another cluster, or is a copy"
                ))
                .hint("do this on the cluster that writes the repository"))
        }
        Some(_) => Ok(()),
        None => Err(Error::new(ErrorKind::NotFound, doing.to_owned())
            .because(format!("the cluster knows no repository `{repository}`"))
            .hint("register it, or list what is there with `repo list`")),
    }
}
