//! What the headers of an answer say: length, range, time, mark, checksums, attributes.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use jiff::Timestamp;

use super::client::Client;
use super::dialect::{CHECKSUMS, CRC64, Dialect, decode};
use crate::error::{ErrorKind, Result};
use crate::store::attributes::STANDARD;
use crate::store::{Algorithm, Attributes, Checksum, ETag, Key, ObjectMeta};

/// The headers of an answer about one object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) client: &'a Client,
    pub(super) doing: &'static str,
    pub(super) key: &'a Key,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> Answer<'a> {
    fn header(&self, name: impl http::header::AsHeaderName) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }

    fn corrupt(&self, cause: String) -> crate::error::Error {
        self.client.error(ErrorKind::Corrupt, self.doing, Some(self.key.as_str())).because(cause)
    }

    /// How many bytes come.
    pub(super) fn length(&self) -> Result<u64> {
        self.header(CONTENT_LENGTH)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.corrupt("the answer states no length".to_owned()))
    }

    pub(super) fn meta(&self, size: u64) -> Result<ObjectMeta> {
        let modified = self
            .header(LAST_MODIFIED)
            .and_then(http_date)
            .ok_or_else(|| self.corrupt("the answer states no modification time".to_owned()))?;
        Ok(ObjectMeta { key: self.key.clone(), size, modified, etag: self.etag() })
    }

    /// The server's clock when it answered.
    pub(super) fn date(&self) -> Option<Timestamp> {
        self.header(http::header::DATE).and_then(http_date)
    }

    pub(super) fn etag(&self) -> Option<ETag> {
        self.header(ETAG).and_then(ETag::new)
    }

    /// The object's whole size, if the answer is exactly the range asked for. Some servers give a range with status 200.
    pub(super) fn whole_size(&self, start: u64, end: u64) -> Result<u64> {
        let came = self.length()?;
        let stated = self.header(CONTENT_RANGE);
        let parsed = stated.and_then(|text| {
            let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
            let (first, last) = range.split_once('-')?;
            Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, size.parse::<u64>().ok()?))
        });
        match parsed {
            Some((first, last, size)) if first == start && last + 1 == end && came == end - start && size >= end => {
                Ok(size)
            }
            _ => Err(self.corrupt(format!(
                "bytes {start} to {} were asked for, and {came} bytes came as `{}`",
                end.saturating_sub(1),
                stated.unwrap_or("the whole object")
            ))),
        }
    }

    /// The checksums that the server states over the whole object.
    pub(super) fn checksums(&self) -> Vec<Checksum> {
        let mut stated = Vec::new();
        match self.client.dialect {
            Dialect::S3 => {
                let whole =
                    self.header("x-amz-checksum-type").is_none_or(|kind| kind.eq_ignore_ascii_case("FULL_OBJECT"));
                let found = CHECKSUMS.into_iter().filter_map(|(algorithm, name)| decode(algorithm, self.header(name)?));
                stated.extend(found.filter(|_| whole));
            }
            Dialect::Oss => {
                let value = self.header(&CRC64).and_then(|text| text.parse::<u64>().ok());
                stated.extend(value.map(|value| Checksum { algorithm: Algorithm::Crc64Ecma, value: value.into() }));
            }
        }
        if self.client.etag_is_md5() == Some(true) && !self.is_keyed() {
            stated.extend(self.etag().and_then(|etag| etag.md5()));
        }
        stated
    }

    /// Whether it is encrypted with a key of the key service or of a customer: then its mark is no MD5 (S3 API reference, `ETag`).
    pub(super) fn is_keyed(&self) -> bool {
        let words = self.client.dialect.words();
        self.header(&words.encryption).is_some_and(|algorithm| algorithm != "AES256")
            || self.header("x-amz-server-side-encryption-customer-algorithm").is_some()
    }

    /// What the object carries beside its bytes.
    pub(super) fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default();
        for name in STANDARD {
            if let Some(value) = self.header(name) {
                attributes.headers.insert(name, value.to_owned());
            }
        }
        let prefix = self.client.dialect.words().metadata;
        for (name, value) in self.headers {
            let Some(name) = name.as_str().strip_prefix(prefix) else { continue };
            match std::str::from_utf8(value.as_bytes()) {
                Ok(value) => drop(attributes.metadata.insert(name.to_owned(), value.to_owned())),
                Err(_) => {
                    tracing::warn!(key = %self.key, name, "a metadata value is no UTF-8 and is left out of the copy");
                }
            }
        }
        attributes
    }
}

/// A time as HTTP writes it: `Sat, 21 Nov 2026 12:34:56 GMT`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_http_writes_it() {
        let time = http_date("Sat, 21 Nov 2026 12:34:56 GMT").expect("valid");
        assert_eq!(time.to_string(), "2026-11-21T12:34:56Z");
        assert_eq!(http_date("yesterday"), None);
    }
}
