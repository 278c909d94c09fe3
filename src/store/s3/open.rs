//! From options to a client: endpoint, addressing, region, credentials.

use std::net::IpAddr;

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};

use super::transport::Transport;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Addressing, Location, Options};
use crate::wire;

/// The region to sign for where nobody says one and the endpoint is not Amazon's: what MinIO and its kin expect.
const USUAL_REGION: &str = "us-east-1";

pub(super) async fn client(location: &Location, options: &Options) -> Result<Client> {
    let wire = wire::Client::new(wire::Options { ca_bundle: options.ca_bundle.clone(), ..wire::Options::default() })?;
    let transport = Transport(wire);
    let mut builder = credentials(location, options, &transport).await?;
    builder = builder
        .http_client(transport)
        // Retries and clocks are ours: the SDK's cannot repeat a streamed body, and its timeouts would count the upload.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    let config = builder.force_path_style(path_style(location, options)).build();
    Ok(Client::from_conf(config))
}

/// A builder with credentials and region: those of the options, or of AWS's usual chain.
async fn credentials(location: &Location, options: &Options, transport: &Transport) -> Result<Builder> {
    if let (Some(id), Some(secret)) = (&options.access_key_id, &options.secret_access_key) {
        let token = options.session_token.as_ref().map(|token| token.expose().to_owned());
        let fixed = Credentials::new(id.expose(), secret.expose(), token, None, "snapferry");
        let builder = Builder::new().behavior_version(BehaviorVersion::latest()).credentials_provider(fixed);
        let region = match (&options.region, &options.endpoint) {
            (Some(region), _) => region.clone(),
            (None, Some(_)) => USUAL_REGION.to_owned(),
            (None, None) => return Err(no_region(location)),
        };
        return Ok(builder.region(Region::new(region)));
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(transport.clone());
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let found = loader.load().await;
    let builder = Builder::from(&found);
    match (found.region(), &options.endpoint) {
        (Some(_), _) => Ok(builder),
        (None, Some(_)) => Ok(builder.region(Region::new(USUAL_REGION))),
        (None, None) => Err(no_region(location)),
    }
}

fn no_region(location: &Location) -> Error {
    Error::new(ErrorKind::Invalid, format!("open `{location}`"))
        .because("no region is known for it")
        .hint("set `region` in `[store.<name>]`, `AWS_REGION`, or a profile with a region")
}

/// Hosts that take the bucket only in front of the host name.
const VIRTUAL_ONLY: [&str; 3] = [".amazonaws.com", ".aliyuncs.com", ".myqcloud.com"];

/// Whether requests for the location name its bucket in the path.
#[must_use]
pub fn path_style(location: &Location, options: &Options) -> bool {
    let host = options.endpoint.as_deref().and_then(|endpoint| {
        endpoint
            .parse::<http::Uri>()
            .ok()
            .and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()))
    });
    match (options.addressing, host) {
        (Addressing::Path, _) => true,
        (Addressing::Virtual, _) => false,
        // A certificate for `*.s3.amazonaws.com` does not cover a bucket with dots.
        (Addressing::Auto, None) => location.bucket().contains('.'),
        (Addressing::Auto, Some(host)) => {
            host.parse::<IpAddr>().is_ok() || !VIRTUAL_ONLY.iter().any(|suffix| host.ends_with(suffix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addressing_follows_the_endpoint_unless_told() {
        let location = Location::parse("s3://bucket/x").expect("valid");
        let auto = |endpoint: Option<&str>| {
            path_style(&location, &Options { endpoint: endpoint.map(Into::into), ..Options::default() })
        };
        assert!(!auto(None));
        assert!(auto(Some("http://127.0.0.1:9000")));
        assert!(auto(Some("http://[::1]:9000")));
        assert!(auto(Some("https://minio.example.com")));
        assert!(!auto(Some("https://s3.oss-cn-hangzhou.aliyuncs.com")));
        assert!(!auto(Some("https://s3.eu-west-1.amazonaws.com")));
        let told = Options {
            addressing: Addressing::Virtual,
            endpoint: Some("http://127.0.0.1:1".into()),
            ..Options::default()
        };
        assert!(!path_style(&location, &told));
    }
}
