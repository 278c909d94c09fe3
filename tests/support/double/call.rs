//! One request as it came: whose bucket, which key, which parameters. Keys are decoded once and never made tidy.

use std::net::IpAddr;

use http::{HeaderMap, Method, Uri};

use super::answer::Refusal;
use super::rules::Dialect;

/// A request without its body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) dialect: Dialect,
    pub(crate) method: Method,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    /// The path as it was sent, without the key's decoding.
    pub(crate) path: String,
    /// The parameters in their order, decoded; nothing is not the empty value.
    pub(crate) query: Vec<(String, Option<String>)>,
    pub(crate) headers: HeaderMap,
    pub(crate) virtual_host: bool,
}

impl Call {
    /// Reads the head of a request.
    pub(crate) fn read(dialect: Dialect, method: Method, uri: &Uri, headers: HeaderMap) -> Result<Self, Refusal> {
        let path = uri.path().to_owned();
        let invalid = |what: &str| Refusal::new(400, "InvalidURI", format!("{what} is not decodable"));
        let mut query = Vec::new();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            // OSS reads a plus as a blank, as forms have it: oss2 sends that. Of S3 one cannot be sure.
            if dialect == Dialect::S3 && pair.contains('+') {
                return Err(Refusal::argument("a plus in the query has to be written %2B"));
            }
            let pair = pair.replace('+', "%20");
            let (name, value) = pair.split_once('=').map_or((pair.as_str(), None), |(name, value)| (name, Some(value)));
            let value = value.map(|value| decode(value).ok_or_else(|| invalid("the query"))).transpose()?;
            query.push((decode(name).ok_or_else(|| invalid("the query"))?, value));
        }
        let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let (bucket, raw, virtual_host) = address(dialect, host, &path)?;
        let key = decode(raw).ok_or_else(|| invalid("the key"))?;
        let key = Some(key).filter(|key| !key.is_empty());
        Ok(Self { dialect, method, bucket, key, path: path.clone(), query, headers, virtual_host })
    }

    /// A parameter's value; the empty one when it has none.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_deref().unwrap_or_default())
    }

    /// A header's value without blanks around it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).map(str::trim)
    }

    /// A header of the service's own, named without its prefix.
    pub(crate) fn own(&self, name: &str) -> Option<&str> {
        self.header(&format!("{}{name}", self.dialect.prefix()))
    }

    /// A number among the parameters.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.parameter(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Refusal::argument(format!("`{name}` is not a number: `{text}`")))
    }

    /// Refuses any parameter that is not among these.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), Refusal> {
        for (number, (name, _)) in self.query.iter().enumerate() {
            // Amazon's SDKs say which operation they mean; the server does not read it.
            let known = names.contains(&name.as_str()) || (self.dialect == Dialect::S3 && name == "x-id");
            if !known {
                return Err(Refusal::argument(format!("the parameter `{name}` is not known here")));
            }
            if self.query[..number].iter().any(|(before, _)| before == name) {
                return Err(Refusal::argument(format!("the parameter `{name}` comes twice")));
            }
        }
        Ok(())
    }
}

/// The bucket, the path behind it, and whether the host said the bucket.
fn address<'a>(dialect: Dialect, host: &str, path: &'a str) -> Result<(Option<String>, &'a str, bool), Refusal> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let below = path.strip_prefix('/').unwrap_or(path);
    let plain = name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if !plain && name != dialect.host() {
        let bucket = name.strip_suffix(dialect.host()).and_then(|name| name.strip_suffix('.'));
        let bucket = bucket.or_else(|| name.split_once('.').map(|(bucket, _)| bucket));
        let bucket = bucket.ok_or_else(|| Refusal::new(400, "InvalidBucketName", "the host names no bucket"))?;
        return Ok((Some(bucket.to_owned()), below, true));
    }
    if below.is_empty() {
        return Ok((None, "", false));
    }
    if dialect == Dialect::Oss && !plain {
        let message = "The bucket you are attempting to access must be addressed using OSS third level domain.";
        return Err(Refusal::new(403, "SecondLevelDomainForbidden", message));
    }
    let (bucket, key) = below.split_once('/').unwrap_or((below, ""));
    Ok((Some(bucket.to_owned()), key, false))
}

/// Decodes once; nothing when a percent sign begins no byte or the bytes are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            out.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(out).ok()
}

/// Encodes all but what RFC 3986 calls unreserved, and but the characters of `kept`.
pub(crate) fn encode(text: &str, kept: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let character = char::from(byte);
        if character.is_ascii_alphanumeric() || "-._~".contains(character) || kept.contains(character) {
            out.push(character);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
