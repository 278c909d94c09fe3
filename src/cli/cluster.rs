//! The clusters that commands name: how to reach one, and how to wait for what it does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Session;
use crate::config::{Cluster, Login};
use crate::elastic::follow::Patience;
use crate::elastic::{self, Auth, Aws, Client, KeySource, Keys};
use crate::error::Result;
use crate::ops::snapshot::Which;
use crate::store::{AwsIdentity, AwsKeys};
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
pub(super) fn client_options(session: &Session, cluster: Cluster) -> Result<elastic::Options> {
    for file in &cluster.exposed {
        let path = file.display();
        session
            .output
            .note(&format!("warning: `{path}` holds a secret and others on this machine can read it: `chmod 600` it"));
    }
    // A cluster under load takes its time; the snapshot calls are answered within its own `master_timeout` of 30 s.
    let options = wire::Options {
        ca_bundle: cluster.ca_bundle,
        client_certificate: cluster.client_certificate,
        proxy: cluster.proxy,
        answer_timeout: Duration::from_mins(2),
        idle_timeout: Duration::from_secs(30),
        ..wire::Options::default()
    };
    let auth = match cluster.login {
        Login::Plain(auth) => auth,
        Login::Aws(login) => {
            let region = login.region.clone();
            Auth::Aws(Aws { region, source: Arc::new(Identity(AwsIdentity::new(login))) })
        }
    };
    Ok(elastic::Options {
        url: cluster.url,
        auth,
        wire: wire::Client::new(options)?,
        backoff: elastic::Backoff::default(),
        reporter: session.output.clone(),
    })
}

/// Connects to the cluster that the user names.
pub(super) async fn connect(session: &Session, cluster: &str) -> Result<Client> {
    Client::connect(client_options(session, session.config.cluster(cluster)?)?).await
}

/// The stores' chain of credentials in the shape that `elastic` signs with; neither room knows the other.
#[derive(Debug)]
struct Identity(AwsIdentity);

#[async_trait]
impl KeySource for Identity {
    async fn keys(&self) -> Result<Keys> {
        let AwsKeys { access_key_id, secret_access_key, session_token } = self.0.keys().await?;
        Ok(Keys { access_key_id, secret_access_key, session_token })
    }

    async fn renew(&self, refused: &Keys) -> Result<bool> {
        let Keys { access_key_id, secret_access_key, session_token } = refused.clone();
        self.0.renew(&AwsKeys { access_key_id, secret_access_key, session_token }).await
    }

    async fn region(&self) -> Result<Option<String>> {
        self.0.region().await
    }
}
