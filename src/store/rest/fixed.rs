//! Headers that requests carry because the configuration says so, and those that new objects carry.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Attributes;

/// Headers that the configuration puts on requests.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Fixed {
    pub(in crate::store) requester_pays: bool,
    pub(in crate::store) storage_class: Option<String>,
    pub(in crate::store) encryption: Option<String>,
    pub(in crate::store) encryption_key: Option<String>,
    pub(in crate::store) tags: Option<String>,
}

impl Fixed {
    /// Adds what every request carries.
    pub(super) fn every(&self, dialect: Dialect, headers: &mut HeaderMap) {
        if self.requester_pays {
            headers.insert(dialect.words().payer.clone(), HeaderValue::from_static("requester"));
        }
    }

    /// What a new object carries: what the configuration says, and its own attributes.
    pub(super) fn new_object(&self, dialect: Dialect, attributes: &Attributes) -> Result<HeaderMap> {
        let words = dialect.words();
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, text: &str| match HeaderValue::from_bytes(text.as_bytes()) {
            Ok(value) => {
                headers.insert(name, value);
                Ok(())
            }
            Err(error) => {
                Err(Error::new(ErrorKind::Unsupported, format!("send the header `{name}`")).from_source(error))
            }
        };
        for (name, value) in [
            (&words.storage_class, &self.storage_class),
            (&words.encryption, &self.encryption),
            (&words.encryption_key, &self.encryption_key),
            (&words.tagging, &self.tags),
        ] {
            if let Some(value) = value {
                set(name.clone(), value)?;
            }
        }
        for (name, value) in &attributes.headers {
            set(HeaderName::from_static(name), value)?;
        }
        for (name, value) in &attributes.metadata {
            let name = format!("{}{name}", words.metadata);
            let name = HeaderName::try_from(&name).map_err(|error| {
                Error::new(ErrorKind::Unsupported, format!("send the metadata `{name}`")).from_source(error)
            })?;
            set(name, value)?;
        }
        Ok(headers)
    }
}
