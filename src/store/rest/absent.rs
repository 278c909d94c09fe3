//! Writes that are to be made only where nothing is: a condition where the server obeys it, a look beforehand where that is not known.

use http::{HeaderMap, HeaderValue};

use super::RestStore;
use super::client::Client;
use super::dialect::Dialect;
use crate::error::{ErrorKind, Result};
use crate::store::Key;

impl Client {
    /// Makes a write fail if there is an object of that name, where the server is known to obey. Others refuse the whole request for it.
    pub(super) fn only_if_absent(&self, headers: &mut HeaderMap) {
        if self.learnt.conditional_writes.known(self.profile.conditional_writes) != Some(true) {
            return;
        }
        match self.dialect {
            Dialect::S3 => headers.insert(http::header::IF_NONE_MATCH, HeaderValue::from_static("*")),
            Dialect::Oss => headers.insert("x-oss-forbid-overwrite", HeaderValue::from_static("true")),
        };
    }
}

impl RestStore {
    /// Looks before a conditional write, unless the server is known to obey the condition.
    pub(super) async fn must_be_absent(&self, key: &Key) -> Result<()> {
        let client = &self.client;
        if client.learnt.conditional_writes.known(client.profile.conditional_writes) == Some(true) {
            return Ok(());
        }
        match self.looked_at("put", key).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) => {
                let error = client.error(ErrorKind::AlreadyExists, "put", Some(key.as_str()));
                Err(error.because("an object of that name is there already"))
            }
        }
    }
}
