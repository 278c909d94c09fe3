//! Who we are at a store: credentials, where they come from, and the copy that is held until it expires.

use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use async_trait::async_trait;
use aws_smithy_runtime_api::client::identity::Identity;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::error::Result;
use crate::secret::Secret;

/// An access key with its secret, and the token of temporary ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Credentials {
    pub(in crate::store) access_key_id: Secret,
    pub(in crate::store) secret_access_key: Secret,
    pub(in crate::store) session_token: Option<Secret>,
    /// When they end; none if they do not.
    pub(in crate::store) expires: Option<Timestamp>,
}

/// A source of credentials: the configuration, the environment, a role.
#[async_trait]
pub(in crate::store) trait Provide: Debug + Send + Sync {
    /// Credentials that are good now.
    async fn provide(&self) -> Result<Credentials>;
}

/// The configuration's own credentials.
#[async_trait]
impl Provide for Credentials {
    async fn provide(&self) -> Result<Credentials> {
        Ok(self.clone())
    }
}

/// Credentials in use, in the shape that signers want.
#[derive(Debug)]
pub(in crate::store) struct Held {
    credentials: Credentials,
    identity: Identity,
}

impl Held {
    fn new(credentials: Credentials) -> Self {
        let token = credentials.session_token.as_ref().map(|token| token.expose().to_owned());
        let expires = credentials.expires.map(SystemTime::from);
        let (id, secret) = (credentials.access_key_id.expose(), credentials.secret_access_key.expose());
        let identity = aws_credential_types::Credentials::new(id, secret, token, expires, "snapferry").into();
        Self { credentials, identity }
    }

    pub(in crate::store) fn access_key_id(&self) -> &str {
        self.credentials.access_key_id.expose()
    }

    pub(in crate::store) fn secret(&self) -> &str {
        self.credentials.secret_access_key.expose()
    }

    pub(in crate::store) fn token(&self) -> Option<&str> {
        self.credentials.session_token.as_ref().map(Secret::expose)
    }

    pub(in crate::store) fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// How long before their end credentials are replaced: longer than any single request should take.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

/// The credentials of one store. However many tasks ask, a new set is fetched once.
#[derive(Debug)]
pub(in crate::store) struct Vault {
    source: Arc<dyn Provide>,
    held: RwLock<Option<Arc<Held>>>,
    /// Whoever fetches. Those who only use what is there do not wait for it.
    fetching: Mutex<()>,
}

impl Vault {
    pub(in crate::store) fn new(source: Arc<dyn Provide>) -> Self {
        Self { source, held: RwLock::default(), fetching: Mutex::default() }
    }

    /// Credentials that are good for a while.
    pub(in crate::store) async fn open(&self) -> Result<Arc<Held>> {
        if let Some(current) = self.good() {
            return Ok(current);
        }
        let _fetching = self.fetching.lock().await;
        if let Some(current) = self.good() {
            return Ok(current);
        }
        match (self.source.provide().await, self.current()) {
            (Ok(credentials), _) => Ok(self.hold(credentials)),
            // What we have is still good for some minutes: a source that fails now may answer then.
            (Err(_), Some(current)) if current.credentials.expires.is_none_or(|end| end > Timestamp::now()) => {
                Ok(current)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Fetches again, because the server no longer takes `refused`. Whether there are others now.
    pub(in crate::store) async fn renew(&self, refused: &Arc<Held>) -> Result<bool> {
        let _fetching = self.fetching.lock().await;
        if let Some(current) = self.current()
            && !Arc::ptr_eq(&current, refused)
        {
            return Ok(true);
        }
        let fresh = self.source.provide().await?;
        let other = fresh != refused.credentials;
        self.hold(fresh);
        Ok(other)
    }

    fn current(&self) -> Option<Arc<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is at hand, if it does not end soon.
    fn good(&self) -> Option<Arc<Held>> {
        let near = Timestamp::now().saturating_add(EARLY).unwrap_or(Timestamp::MAX);
        self.current().filter(|current| current.credentials.expires.is_none_or(|end| end > near))
    }

    fn hold(&self, credentials: Credentials) -> Arc<Held> {
        let fresh = Arc::new(Held::new(credentials));
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        fresh
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Counter(AtomicU32, Option<SignedDuration>);

    #[async_trait]
    impl Provide for Counter {
        async fn provide(&self) -> Result<Credentials> {
            let number = self.0.fetch_add(1, Ordering::SeqCst);
            let expires = self.1.map(|after| Timestamp::now().saturating_add(after).expect("in range"));
            Ok(Credentials {
                access_key_id: Secret::new(format!("id-{number}")),
                secret_access_key: Secret::new("s"),
                session_token: None,
                expires,
            })
        }
    }

    #[tokio::test]
    async fn credentials_are_fetched_once_and_again_before_they_end() {
        let lasting = Vault::new(Arc::new(Counter(AtomicU32::new(0), Some(SignedDuration::from_hours(1)))));
        for _ in 0..3 {
            assert_eq!(lasting.open().await.expect("provided").access_key_id(), "id-0");
        }
        let ending = Vault::new(Arc::new(Counter(AtomicU32::new(0), Some(SignedDuration::from_mins(4)))));
        ending.open().await.expect("provided");
        assert_eq!(ending.open().await.expect("provided").access_key_id(), "id-1");
    }

    #[tokio::test]
    async fn refused_credentials_are_replaced_once_for_all_who_were_refused() {
        let vault = Vault::new(Arc::new(Counter(AtomicU32::new(0), None)));
        let first = vault.open().await.expect("provided");
        assert!(vault.renew(&first).await.expect("provided"));
        assert!(vault.renew(&first).await.expect("provided"), "the second task finds what the first one fetched");
        assert_eq!(vault.open().await.expect("provided").access_key_id(), "id-1");
    }
}
