//! Alibaba Cloud OSS through its own protocol: endpoint, region, credentials and signature.

mod answer;
mod credentials;
mod files;
mod metadata;
#[cfg(test)]
mod scripted;
mod sts;

use std::sync::Arc;

pub(in crate::store) use self::credentials::source;
use super::credentials::Vault;
use super::registry::{Network, Signature};
use super::rest::sign::{OssV4, Signer};
use super::rest::{Dialect, Profile, RestStore, Setup, Site, host_of, is_address};
use super::surroundings::Surroundings;
use super::{Addressing, Location, Meter, Options, Scheme};
use crate::error::{Error, ErrorKind, Result};
use crate::wire;

/// Opens a bucket of OSS. Credentials are looked for when the first request is signed.
pub(in crate::store) fn open(location: &Location, options: &Options, meter: Arc<Meter>) -> Result<RestStore> {
    let wire = wire::Client::new(options.wire())?;
    let surroundings = Surroundings::of_process();
    let environment = |name| surroundings.variable(name);
    let region = options.region.clone().or_else(|| environment("OSS_REGION")).map(|region| bare(&region).to_owned());
    let endpoint = match (options.endpoint.clone().or_else(|| environment("OSS_ENDPOINT")), &region) {
        (Some(endpoint), _) if endpoint.contains("://") => endpoint,
        (Some(endpoint), _) => format!("https://{endpoint}"),
        (None, Some(region)) => made(region, options.network),
        (None, None) => return Err(unplaced(location)),
    };
    let (credentials, identity) = source(location, options, &wire, surroundings)?;
    let host = host_of(&endpoint);
    let region = match region.or_else(|| region_of(&host)) {
        Some(region) => region,
        None if options.signature == Signature::V1 => String::new(),
        None => return Err(unplaced(location)),
    };
    let path_style = match options.addressing {
        Addressing::Path => true,
        Addressing::Virtual => false,
        Addressing::Auto => is_address(&host),
    };
    let setup = Setup {
        wire,
        location: location.clone(),
        dialect: Dialect::Oss,
        profile: Profile::oss(&options.dialect),
        signer: signer(location, options.signature)?,
        vault: Vault::new(credentials),
        headers: options.fixed(),
        site: Site::new(&endpoint, location.bucket(), region, path_style)?,
        identity,
    };
    Ok(RestStore::new(setup, meter))
}

#[cfg_attr(
    feature = "oss-v1",
    expect(unused_variables, clippy::unnecessary_wraps, reason = "only without the feature it can fail")
)]
fn signer(location: &Location, signature: Signature) -> Result<Box<dyn Signer>> {
    match signature {
        Signature::V4 => Ok(Box::<OssV4>::default()),
        #[cfg(feature = "oss-v1")]
        Signature::V1 => Ok(Box::new(super::rest::sign::OssV1)),
        #[cfg(not(feature = "oss-v1"))]
        Signature::V1 => Err(Error::new(ErrorKind::Unsupported, format!("open `{location}`"))
            .because("this snapferry was built without signature V1")
            .hint("leave `signature` out: V4 is taken by every current endpoint; or build with `--features oss-v1`")),
    }
}

fn unplaced(location: &Location) -> Error {
    Error::new(ErrorKind::Invalid, format!("open `{location}`"))
        .because("no region is known for it")
        .hint("set `region` in `[store.<name>]`, for example \"cn-hangzhou\", or `OSS_REGION`")
}

/// The endpoint of a region (OSS documentation, "Regions and endpoints").
fn made(region: &str, network: Network) -> String {
    match network {
        Network::Public => format!("https://oss-{region}.aliyuncs.com"),
        Network::Internal => format!("https://oss-{region}-internal.aliyuncs.com"),
        Network::Accelerate => "https://oss-accelerate.aliyuncs.com".to_owned(),
    }
}

/// The options for OSS's S3-compatible endpoint (`s3.oss-<region>[-internal].aliyuncs.com`), if that is what the location asks for.
pub(in crate::store) fn through_s3(location: &Location, options: &Options) -> Options {
    let mut options = options.clone();
    if location.scheme() == Scheme::Oss && options.endpoint.is_none() {
        let region = options.region.as_deref().map(bare);
        let internal = if options.network == Network::Internal { "-internal" } else { "" };
        options.endpoint = region.map(|region| format!("https://s3.oss-{region}{internal}.aliyuncs.com"));
    }
    options
}

/// A region as signatures want it, without the `oss-` that some tools write in front.
fn bare(region: &str) -> &str {
    region.strip_prefix("oss-").unwrap_or(region)
}

/// The region that a host of OSS names.
pub(in crate::store) fn region_of(host: &str) -> Option<String> {
    let first = host.strip_suffix(".aliyuncs.com")?.rsplit('.').next()?;
    let region = first.strip_prefix("oss-")?.trim_end_matches("-internal");
    (!region.starts_with("accelerate")).then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_made_of_region_and_network() {
        assert_eq!(made("cn-hangzhou", Network::Public), "https://oss-cn-hangzhou.aliyuncs.com");
        assert_eq!(made("cn-hangzhou", Network::Internal), "https://oss-cn-hangzhou-internal.aliyuncs.com");
        assert_eq!(made("cn-hangzhou", Network::Accelerate), "https://oss-accelerate.aliyuncs.com");
    }

    #[test]
    fn a_host_tells_its_region_if_it_has_one() {
        for (host, region) in [
            ("oss-cn-hangzhou.aliyuncs.com", Some("cn-hangzhou")),
            ("oss-cn-hangzhou-internal.aliyuncs.com", Some("cn-hangzhou")),
            ("bucket.oss-us-west-1.aliyuncs.com", Some("us-west-1")),
            ("oss-accelerate.aliyuncs.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(region_of(host).as_deref(), region, "{host}");
        }
        assert_eq!((bare("oss-cn-beijing"), bare("cn-beijing")), ("cn-beijing", "cn-beijing"));
    }
}
