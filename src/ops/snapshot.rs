//! Taking and listing the snapshots of a repository.

use tokio_util::sync::CancellationToken;

use crate::elastic::Client;
use crate::elastic::creation::{self, Creation};
use crate::elastic::follow::Patience;
use crate::elastic::snapshot::{self, Detail, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Reporter};

/// The snapshot to be taken, and how to wait for it.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is taken.
    pub creation: Creation,
    /// How long to wait for something to move.
    pub patience: Patience,
}

/// Which snapshot is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The youngest complete one.
    Latest,
    /// The one of this name.
    Named(String),
}

/// Takes a snapshot and returns when it is complete.
pub async fn create(
    client: &Client,
    options: &Options,
    reporter: &dyn Reporter,
    cancel: &CancellationToken,
) -> Result<Snapshot> {
    reporter.report(&Event::Step("snapshot"));
    creation::create(client, &options.creation, options.patience, reporter, cancel).await
}

/// Lists a repository's snapshots, oldest first, with everything the cluster tells.
pub async fn list(client: &Client, repository: &str) -> Result<Vec<Snapshot>> {
    snapshot::list(client, repository, Detail::Full).await
}

/// Finds one snapshot, and refuses one that is not complete.
pub async fn find(client: &Client, repository: &str, which: &Which) -> Result<Snapshot> {
    let doing = |name: &str| format!("use the snapshot `{repository}:{name}` on `{}`", client.place());
    match which {
        Which::Latest => {
            match snapshot::latest(&list(client, repository).await?) {
                // Asked for by itself it tells more than in a list.
                Some(latest) => snapshot::get(client, repository, &latest.name).await,
                None => Err(Error::new(ErrorKind::NotFound, doing("latest"))
                    .because("the repository holds no complete snapshot")),
            }
        }
        Which::Named(name) => {
            let snapshot = snapshot::get(client, repository, name).await?;
            if snapshot.state == snapshot::State::Success {
                return Ok(snapshot);
            }
            Err(Error::new(ErrorKind::Precondition, doing(name))
                .because(format!("it is not complete: its state is {:?}", snapshot.state))
                .hint("take another snapshot and use that"))
        }
    }
}
