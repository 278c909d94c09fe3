//! The clusters that commands name: how to reach one, and how to wait for what it does.

use std::time::Duration;

use super::Session;
use crate::config::Cluster;
use crate::elastic::follow::Patience;
use crate::elastic::{self, Client};
use crate::error::Result;
use crate::ops::snapshot::Which;
use crate::wire;

/// How long a restore or snapshot may stand still before it counts as failed.
const STALL: Duration = Duration::from_mins(10);

/// How to wait for what a cluster does.
pub(super) fn patience() -> Patience {
    Patience { stall: STALL, ..Patience::default() }
}

/// `latest`, or a name.
pub(super) fn which(text: &str) -> Which {
    if text == "latest" { Which::Latest } else { Which::Named(text.to_owned()) }
}

/// What a client for the cluster needs. Nothing is sent.
pub(super) fn client_options(cluster: Cluster) -> Result<elastic::Options> {
    // A cluster under load takes its time; the snapshot calls are answered within its own `master_timeout` of 30 s.
    let options = wire::Options {
        ca_bundle: cluster.ca_bundle,
        proxy: cluster.proxy,
        answer_timeout: Duration::from_mins(2),
        idle_timeout: Duration::from_secs(30),
        ..wire::Options::default()
    };
    Ok(elastic::Options {
        url: cluster.url,
        auth: cluster.auth,
        wire: wire::Client::new(options)?,
        backoff: elastic::Backoff::default(),
    })
}

/// Connects to the cluster that the user names.
pub(super) async fn connect(session: &Session, cluster: &str) -> Result<Client> {
    Client::connect(client_options(session.config.cluster(cluster)?)?).await
}
