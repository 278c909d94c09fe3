//! Amazon S3, the servers that speak its protocol, and QingStor: endpoint, region, credentials and profile.

mod chain;
mod qingstor;

use super::credentials::{Credentials, Provide, Vault};
use super::rest::sign::S3V4;
use super::rest::{Dialect, Profile, Provider, RestStore, Setup, Site, host_of, is_address};
use super::surroundings::Surroundings;
use super::{Addressing, Location, Meter, Options, Scheme, oss};
use crate::error::{Error, ErrorKind, Result};
use crate::wire;

use std::sync::Arc;

/// The region of servers that have none.
const USUAL_REGION: &str = "us-east-1";

/// Opens a store that speaks S3's protocol. Credentials are looked for when the first request is signed.
pub(in crate::store) async fn open(location: &Location, options: &Options, meter: Arc<Meter>) -> Result<RestStore> {
    let wire = wire::Client::new(options.wire())?;
    let (source, identity, region) = source(location, options, &wire).await?;
    let endpoint = endpoint(location, options, region.as_deref())?;
    let host = host_of(&endpoint);
    let provider = match location.scheme() {
        Scheme::Qingstor => Provider::Qingstor,
        _ => Provider::of_host(&host),
    };
    let profile = Profile::new(provider, &options.dialect);
    let region = region.or_else(|| region_in(profile.provider, &host)).unwrap_or_else(|| USUAL_REGION.to_owned());
    refuse_express(location)?;
    let site = Site::new(&endpoint, location.bucket(), region, path_style_at(location, options.addressing, &host))?;
    let setup = Setup {
        wire,
        location: location.clone(),
        dialect: Dialect::S3,
        profile,
        signer: Box::new(S3V4),
        vault: Vault::new(source),
        headers: options.fixed(),
        site,
        identity,
    };
    Ok(RestStore::new(setup, meter))
}

/// AWS's usual chain, and the region that it names.
pub(in crate::store) async fn usual_chain(
    options: &Options,
    wire: wire::Client,
) -> Result<(Arc<dyn Provide>, Option<String>)> {
    let chain = Box::pin(chain::Chain::load(options, wire)).await?;
    let region = chain.region();
    Ok((Arc::new(chain), region))
}

/// Where the credentials come from, what tells this identity from another, and the region as far as all that names one.
pub(in crate::store) async fn source(
    location: &Location,
    options: &Options,
    wire: &wire::Client,
) -> Result<(Arc<dyn Provide>, String, Option<String>)> {
    let fixed = options.credentials(location)?;
    let surroundings = Surroundings::of_process();
    let mut region = match location.scheme() {
        Scheme::Qingstor => zone(options, &surroundings),
        _ => options.region.clone().or_else(|| options.zone.clone()),
    };
    let (source, identity): (Arc<dyn Provide>, String) = match fixed {
        Some(fixed) => {
            let identity = fixed.access_key_id.expose().to_owned();
            (Arc::new(fixed), identity)
        }
        None if location.scheme() == Scheme::Qingstor => {
            let keys = qingstor::Keys(surroundings);
            let identity = keys.identity();
            (Arc::new(keys), identity)
        }
        None if location.scheme() == Scheme::Oss => oss::source(location, options, wire, surroundings)?,
        None => {
            // Kilobytes of state that everyone who opens a store would otherwise carry.
            let chain = Box::pin(chain::Chain::load(options, wire.clone())).await?;
            region = region.or_else(|| chain.region());
            (Arc::new(chain), options.profile.clone().unwrap_or_default())
        }
    };
    Ok((source, identity, region))
}

/// QingStor's S3-compatible endpoint, as far as the zone is known.
pub(in crate::store) fn qingstor_endpoint(options: &Options) -> Option<String> {
    let made = || zone(options, &Surroundings::of_process()).map(|zone| qingstor::endpoint(&zone));
    options.endpoint.clone().or_else(made)
}

/// QingStor's word for the region goes first.
fn zone(options: &Options, surroundings: &Surroundings) -> Option<String> {
    options.zone.clone().or_else(|| options.region.clone()).or_else(|| qingstor::zone(surroundings))
}

/// Directory buckets speak another dialect: sessions in place of signatures, listings without order.
fn refuse_express(location: &Location) -> Result<()> {
    if !location.bucket().ends_with("--x-s3") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, format!("open `{location}`"))
        .because("it is a directory bucket of S3 Express One Zone, which lists its objects in no order")
        .hint("use a general purpose bucket: Elasticsearch keeps its repositories there too"))
}

fn endpoint(location: &Location, options: &Options, region: Option<&str>) -> Result<String> {
    let no_region = || {
        Error::new(ErrorKind::Invalid, format!("open `{location}`"))
            .because("no region is known for it")
            .hint("set `region` in `[store.<name>]`, `AWS_REGION`, or a profile with a region")
    };
    match (&options.endpoint, location.scheme(), region) {
        (Some(endpoint), _, _) => Ok(endpoint.clone()),
        (None, Scheme::Qingstor, Some(zone)) => Ok(qingstor::endpoint(zone)),
        (None, Scheme::Qingstor, None) => Err(Error::new(ErrorKind::Invalid, format!("open `{location}`"))
            .because("no zone is known for it")
            .hint("set `zone` in `[store.<name>]`, for example \"pek3b\", or `QINGSTOR_ZONE`, or `endpoint` for a newer domain or a private cloud")),
        (None, _, Some(region)) => {
            let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            Ok(format!("https://s3.{region}.{end}"))
        }
        (None, _, None) => Err(no_region()),
    }
}

/// The region that a provider's host names: `s3.<region>.…`.
fn region_in(provider: Provider, host: &str) -> Option<String> {
    let mut labels = host.split('.');
    match (provider, labels.next()?, labels.next()?) {
        (Provider::Aws, "s3", "amazonaws") => Some(USUAL_REGION.to_owned()),
        (Provider::Aws | Provider::Qingstor, "s3", region) => Some(region.to_owned()),
        (Provider::Oss, "s3", region) => {
            Some(region.trim_start_matches("oss-").trim_end_matches("-internal").to_owned())
        }
        (Provider::R2, ..) => Some("auto".to_owned()),
        _ => None,
    }
}

/// Whether requests for the location name its bucket in the path.
#[must_use]
pub(in crate::store) fn path_style_at(location: &Location, addressing: Addressing, host: &str) -> bool {
    match addressing {
        Addressing::Path => true,
        Addressing::Virtual => false,
        Addressing::Auto if is_address(host) => true,
        // A certificate for `*.s3.amazonaws.com` does not cover a bucket with dots.
        Addressing::Auto => match Provider::of_host(host) {
            Provider::Aws => location.bucket().contains('.'),
            Provider::Oss | Provider::Tencent | Provider::Huawei => false,
            _ => true,
        },
    }
}

impl Options {
    /// The credentials that the configuration has; none if it has none.
    pub(in crate::store) fn credentials(&self, location: &Location) -> Result<Option<Credentials>> {
        match (&self.access_key_id, &self.secret_access_key) {
            (Some(id), Some(secret)) => Ok(Some(Credentials {
                access_key_id: id.clone(),
                secret_access_key: secret.clone(),
                session_token: self.session_token.clone(),
                expires: None,
            })),
            (None, None) => Ok(None),
            _ => Err(Error::new(ErrorKind::Invalid, format!("open `{location}`"))
                .because("only one of `access_key_id` and `secret_access_key` is set")
                .hint("set both or none")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(url: &str, host: &str) -> bool {
        path_style_at(&Location::parse(url).expect("valid"), Addressing::Auto, host)
    }

    #[test]
    fn addressing_follows_the_endpoint_unless_told() {
        for host in ["127.0.0.1", "::1", "localhost", "minio.example.com", "s3.pek3b.qingstor.com"] {
            assert!(style("s3://bucket/x", host), "{host}");
        }
        for host in ["s3.oss-cn-hangzhou.aliyuncs.com", "s3.eu-west-1.amazonaws.com", "cos.ap-beijing.myqcloud.com"] {
            assert!(!style("s3://bucket/x", host), "{host}");
        }
        assert!(style("s3://bucket.with.dots", "s3.eu-west-1.amazonaws.com"));
        let location = Location::parse("s3://bucket").expect("valid");
        assert!(!path_style_at(&location, Addressing::Virtual, "127.0.0.1"));
        assert!(path_style_at(&location, Addressing::Path, "s3.eu-west-1.amazonaws.com"));
    }

    #[test]
    fn an_endpoint_is_made_of_the_region() {
        let made = |url: &str, region: Option<&str>| {
            endpoint(&Location::parse(url).expect("valid"), &Options::default(), region)
        };
        assert_eq!(made("s3://b", Some("eu-west-1")).expect("made"), "https://s3.eu-west-1.amazonaws.com");
        assert_eq!(made("s3://b", Some("cn-north-1")).expect("made"), "https://s3.cn-north-1.amazonaws.com.cn");
        assert_eq!(made("qingstor://b", Some("pek3b")).expect("made"), "https://s3.pek3b.qingstor.com");
        for url in ["s3://b", "qingstor://b"] {
            assert!(made(url, None).expect_err("no region").advice().is_some(), "{url}");
        }
        assert_eq!(region_in(Provider::Qingstor, "s3.pek3b.qingstor.com").as_deref(), Some("pek3b"));
        assert_eq!(
            region_in(Provider::Oss, "s3.oss-cn-hangzhou-internal.aliyuncs.com").as_deref(),
            Some("cn-hangzhou")
        );
    }

    #[test]
    fn a_directory_bucket_is_refused_with_a_word() {
        let location = Location::parse("s3://logs--usw2-az1--x-s3/a").expect("valid");
        assert!(refuse_express(&location).expect_err("refused").to_string().contains("S3 Express"));
    }
}
