//! Where requests go: the server, how it names buckets, and the region that requests are signed for.

use std::net::IpAddr;

use http::Uri;

use crate::error::{Error, ErrorKind, Result};

/// A server and the bucket there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Site {
    /// `https` or `http`.
    pub(super) scheme: String,
    /// Host and port, without the bucket.
    pub(super) authority: String,
    /// A path in front of every bucket; mostly empty.
    pub(super) base: String,
    /// Whether the bucket stands in the path.
    pub(super) path_style: bool,
    pub(super) bucket: String,
    pub(super) region: String,
}

impl Site {
    /// Reads an endpoint such as `https://minio.example.com:9000`.
    pub(in crate::store) fn new(endpoint: &str, bucket: &str, region: String, path_style: bool) -> Result<Self> {
        let uri: Uri =
            endpoint.parse().map_err(|error: http::uri::InvalidUri| bad(endpoint).because(error.to_string()))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(bad(endpoint).because("it has no scheme or no host").hint("write `https://host[:port]`"));
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            authority: authority.to_string(),
            base: uri.path().trim_end_matches('/').to_owned(),
            path_style,
            bucket: bucket.to_owned(),
            region,
        })
    }

    /// What the `Host` header says.
    pub(super) fn named(&self) -> String {
        if self.path_style { self.authority.clone() } else { format!("{}.{}", self.bucket, self.authority) }
    }

    /// The path of an object, whose key is encoded already, or of the bucket.
    pub(super) fn path(&self, key: Option<&str>) -> String {
        let key = key.unwrap_or_default();
        if self.path_style { format!("{}/{}/{key}", self.base, self.bucket) } else { format!("{}/{key}", self.base) }
    }

    /// For messages: the server as the user knows it.
    pub(super) fn shown(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

fn bad(endpoint: &str) -> Error {
    let shown = endpoint.rsplit('@').next().unwrap_or_default();
    Error::new(ErrorKind::Invalid, format!("use the endpoint `{shown}`"))
}

/// The host of an authority, without port and brackets.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    }
}

/// The host of an endpoint; empty if it has none.
pub(in crate::store) fn host_of(endpoint: &str) -> String {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    host(rest.split('/').next().unwrap_or_default()).to_ascii_lowercase()
}

/// Whether a text can be a region: nothing in it could lead a request elsewhere when it becomes part of a host's name.
pub(crate) fn is_region(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether a host is an address or this machine: no bucket can stand in front of it.
pub(in crate::store) fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok() || host == "localhost"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(endpoint: &str, path_style: bool) -> Site {
        Site::new(endpoint, "bucket", "r".into(), path_style).expect("valid")
    }

    #[test]
    fn the_bucket_stands_in_the_host_or_in_the_path() {
        let virtual_host = site("https://oss-cn-hangzhou.aliyuncs.com", false);
        assert_eq!(virtual_host.named(), "bucket.oss-cn-hangzhou.aliyuncs.com");
        assert_eq!((virtual_host.path(Some("a/b")), virtual_host.path(None)), ("/a/b".into(), "/".into()));
        let path = site("http://[::1]:9000/base/", true);
        assert_eq!((path.named(), host_of("http://[::1]:9000/base")), ("[::1]:9000".to_owned(), "::1".to_owned()));
        assert_eq!((path.path(Some("/a")), path.path(None)), ("/base/bucket//a".into(), "/base/bucket/".into()));
    }

    #[test]
    fn an_endpoint_without_scheme_is_refused_and_one_with_a_secret_not_repeated() {
        assert!(Site::new("minio:9000", "b", String::new(), true).is_err());
        let error = Site::new("https://user:hunter2@ho st", "b", String::new(), true).expect_err("not a host");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(host_of("https://S3.Amazonaws.com:443/x"), "s3.amazonaws.com");
        for bad in ["", "x.evil.test/", "u@evil.test#", "a b", "eu-west-1.", "a/b"] {
            assert!(!is_region(bad), "{bad}");
        }
        assert!(is_region("eu-west-1") && is_region("pek3b"));
        assert!(is_address("127.0.0.1") && is_address("::1") && !is_address("a.b"));
    }
}
