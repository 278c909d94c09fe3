//! AWS's usual chain of credentials: environment, profile with its assumed roles, web identity, container, instance.
//!
//! `aws-config` walks it; its requests go out through our own HTTP client.

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;

use crate::error::{Error, ErrorKind, Result, chain};
use crate::secret::Secret;
use crate::store::Options;
use crate::store::credentials::{Credentials, Provide};
use crate::wire;

/// The chain, as far as it is configured. Nobody is asked before the first request.
pub(super) struct Chain(SdkConfig);

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chain")
    }
}

impl Chain {
    pub(super) async fn load(options: &Options, client: wire::Client) -> Result<Self> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(Transport(client));
        if let Some(profile) = &options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        Ok(Self(loader.load().await))
    }

    /// The region that the environment or the profile names.
    pub(super) fn region(&self) -> Option<String> {
        self.0.region().map(ToString::to_string)
    }
}

#[async_trait]
impl Provide for Chain {
    async fn provide(&self) -> Result<Credentials> {
        let none = || {
            Error::new(ErrorKind::Denied, "find credentials").hint(
                "set `access_key_id` and `secret_access_key` for the store, or what AWS's own tools read: environment, profile, role",
            )
        };
        let Some(provider) = self.0.credentials_provider() else {
            return Err(none().because("AWS's usual chain is empty"));
        };
        let found = provider
            .provide_credentials()
            .await
            .map_err(|error| none().because(format!("no credentials were found: {}", chain(&error))))?;
        Ok(Credentials {
            access_key_id: Secret::new(found.access_key_id()),
            secret_access_key: Secret::new(found.secret_access_key()),
            session_token: found.session_token().map(Secret::new),
            expires: found.expiry().and_then(|end| Timestamp::try_from(end).ok()),
        })
    }
}

/// Our client in the shape that AWS's crates want.
#[derive(Debug, Clone)]
struct Transport(wire::Client);

impl HttpClient for Transport {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.send(request).await.map_err(|error| match error.kind() {
                ErrorKind::Timeout => ConnectorError::timeout(error.into()),
                ErrorKind::Invalid => ConnectorError::user(error.into()),
                _ => ConnectorError::io(error.into()),
            })?;
            let response = response.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
