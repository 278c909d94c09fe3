//! An identity at AWS for whoever else signs: the same keys and the same chain as an `s3://` store has.
//!
//! It opens no store. The chain is walked when the first keys are asked for.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::credentials::{Credentials, Held, Provide, Vault};
use super::{Options, s3};
use crate::error::Result;
use crate::secret::Secret;
use crate::wire;

/// Where an identity at AWS comes from.
#[derive(Debug, Clone, Default)]
pub struct AwsLogin {
    /// An access key with its secret and, of temporary ones, the token; AWS's usual chain if left out.
    pub keys: Option<AwsKeys>,
    /// The profile of the shared configuration to take credentials and region from.
    pub profile: Option<String>,
    /// The region of the token service for roles.
    pub region: Option<String>,
    /// The proxy to go through.
    pub proxy: wire::Proxy,
}

/// An access key with its secret, and the token of temporary ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKeys {
    /// The access key's id.
    pub access_key_id: Secret,
    /// What is signed with.
    pub secret_access_key: Secret,
    /// The token of temporary keys.
    pub session_token: Option<Secret>,
}

/// An identity at AWS. Its keys are held until they end, and fetched again then.
#[derive(Debug)]
pub struct AwsIdentity {
    login: AwsLogin,
    found: OnceCell<(Vault, Option<String>)>,
}

impl AwsIdentity {
    /// Nobody is asked yet.
    #[must_use]
    pub fn new(login: AwsLogin) -> Self {
        Self { login, found: OnceCell::new() }
    }

    /// Keys that are good for a while.
    pub async fn keys(&self) -> Result<AwsKeys> {
        let (vault, _) = self.found().await?;
        let held = vault.open().await?;
        Ok(shown(&held))
    }

    /// Fetches again, because a server no longer takes `refused`. Whether there are others now.
    pub async fn renew(&self, refused: &AwsKeys) -> Result<bool> {
        let (vault, _) = self.found().await?;
        let held = vault.open().await?;
        // Somebody else has fetched in the meantime.
        if shown(&held) != *refused {
            return Ok(true);
        }
        vault.renew(&held).await
    }

    /// The region that the environment or the profile names.
    pub async fn region(&self) -> Result<Option<String>> {
        Ok(self.found().await?.1.clone())
    }

    async fn found(&self) -> Result<&(Vault, Option<String>)> {
        self.found.get_or_try_init(|| self.find()).await
    }

    async fn find(&self) -> Result<(Vault, Option<String>)> {
        let login = &self.login;
        if let Some(keys) = login.keys.clone() {
            let fixed = Credentials {
                access_key_id: keys.access_key_id,
                secret_access_key: keys.secret_access_key,
                session_token: keys.session_token,
                expires: None,
            };
            return Ok((Vault::new(Arc::new(fixed) as Arc<dyn Provide>), login.region.clone()));
        }
        let options = Options {
            profile: login.profile.clone(),
            region: login.region.clone(),
            proxy: login.proxy.clone(),
            ..Options::default()
        };
        let (chain, region) = s3::usual_chain(&options, wire::Client::new(options.wire())?).await?;
        Ok((Vault::new(chain), region))
    }
}

fn shown(held: &Held) -> AwsKeys {
    AwsKeys {
        access_key_id: Secret::new(held.access_key_id()),
        secret_access_key: Secret::new(held.secret()),
        session_token: held.token().map(Secret::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn given_keys_are_used_and_there_are_no_others() {
        let keys = AwsKeys {
            access_key_id: Secret::new("AKID"),
            secret_access_key: Secret::new("s"),
            session_token: Some(Secret::new("t")),
        };
        let login = AwsLogin { keys: Some(keys.clone()), region: Some("eu-west-1".into()), ..AwsLogin::default() };
        let identity = AwsIdentity::new(login);
        assert_eq!(identity.keys().await.expect("given"), keys);
        assert!(!identity.renew(&keys).await.expect("given"));
        assert_eq!(identity.region().await.expect("given").as_deref(), Some("eu-west-1"));
    }
}
