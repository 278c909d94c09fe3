//! Which operation of S3 a request asks for, read from its method and its address alone.

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::BUCKET;
use super::stats::Kind;

/// What is asked for; bodies and headers are read by those who act on it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Stats,
    List(ListQuery),
    Get { key: String },
    Head { key: String },
    Put { key: String },
    CreateMultipart { key: String },
    UploadPart { key: String, upload: String, number: u32 },
    CompleteMultipart { key: String, upload: String },
    AbortMultipart { upload: String },
    Delete { key: String },
    DeleteBatch,
    HeadBucket,
    NoSuchBucket,
    Unsupported,
}

/// The parameters of `ListObjectsV2`, and of the first version, which has no tokens.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ListQuery {
    pub(crate) prefix: String,
    pub(crate) delimiter: String,
    pub(crate) start_after: String,
    pub(crate) token: Option<String>,
    pub(crate) max_keys: Option<usize>,
    pub(crate) url_encoded: bool,
    pub(crate) version: Version,
}

/// The versions of listings.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    #[default]
    First,
    Second,
}

impl Operation {
    /// Reads the address, path-style.
    pub(crate) fn parse(method: &Method, path: &str, query: &str) -> Self {
        if path == "/_stats" {
            return Self::Stats;
        }
        let path = path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket != BUCKET {
            return Self::NoSuchBucket;
        }
        if key.is_empty() { Self::of_bucket(method, query) } else { Self::of_object(method, decode(key), query) }
    }

    fn of_bucket(method: &Method, query: &str) -> Self {
        match *method {
            Method::GET => ListQuery::parse(query).map_or(Self::Unsupported, Self::List),
            Method::POST if pairs(query).any(|(name, _)| name == "delete") => Self::DeleteBatch,
            Method::HEAD => Self::HeadBucket,
            _ => Self::Unsupported,
        }
    }

    fn of_object(method: &Method, key: String, query: &str) -> Self {
        let value = |name| pairs(query).find(|pair| pair.0 == name).map(|pair| pair.1);
        let number = value("partNumber").and_then(|number| number.parse().ok());
        match (method, value("uploadId"), number) {
            (&Method::GET, None, None) => Self::Get { key },
            (&Method::HEAD, None, None) => Self::Head { key },
            (&Method::PUT, None, None) => Self::Put { key },
            (&Method::PUT, Some(upload), Some(number)) => Self::UploadPart { key, upload, number },
            (&Method::POST, Some(upload), None) => Self::CompleteMultipart { key, upload },
            (&Method::POST, None, None) if value("uploads").is_some() => Self::CreateMultipart { key },
            (&Method::DELETE, None, None) => Self::Delete { key },
            (&Method::DELETE, Some(upload), None) => Self::AbortMultipart { upload },
            _ => Self::Unsupported,
        }
    }

    /// Under which name it is counted; asking for the counters is not counted.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Stats => None,
            Self::List(_) => Some(Kind::List),
            Self::Get { .. } => Some(Kind::Get),
            Self::Head { .. } => Some(Kind::Head),
            Self::Put { .. } => Some(Kind::Put),
            Self::CreateMultipart { .. } => Some(Kind::CreateMultipart),
            Self::UploadPart { .. } => Some(Kind::UploadPart),
            Self::CompleteMultipart { .. } => Some(Kind::CompleteMultipart),
            Self::AbortMultipart { .. } => Some(Kind::AbortMultipart),
            Self::Delete { .. } => Some(Kind::Delete),
            Self::DeleteBatch => Some(Kind::DeleteBatch),
            Self::HeadBucket | Self::NoSuchBucket | Self::Unsupported => Some(Kind::Other),
        }
    }
}

impl ListQuery {
    /// Nothing when a number is not one or a parameter is unknown: a server that ignored it would list the wrong keys.
    fn parse(query: &str) -> Option<Self> {
        let mut list = Self::default();
        for (name, value) in pairs(query) {
            match name {
                "prefix" => list.prefix = value,
                "delimiter" => list.delimiter = value,
                "start-after" | "marker" => list.start_after = value,
                "continuation-token" => list.token = Some(value),
                "max-keys" => list.max_keys = Some(value.parse().ok()?),
                "encoding-type" => list.url_encoded = value == "url",
                "list-type" if value == "2" => list.version = Version::Second,
                "fetch-owner" | "x-id" => {}
                _ => return None,
            }
        }
        Some(list)
    }
}

/// The parameters of a query, decoded.
fn pairs(query: &str) -> impl Iterator<Item = (&str, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name, decode(&value.replace('+', " ")))
    })
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
