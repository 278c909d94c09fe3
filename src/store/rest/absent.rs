//! Looks beside a write: before it, where nothing may be overwritten and the server is not known to obey that condition, and behind it,
//! where its answer says nothing.

use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};

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

    /// Looks at an object whose put was answered without a mark: nobody has said that it was stored.
    pub(super) async fn must_be_new(
        &self,
        key: &Key,
        length: u64,
        status: StatusCode,
        answered: Option<Timestamp>,
    ) -> Result<()> {
        let unproven = |why: String| {
            let error = self.client.error(ErrorKind::Corrupt, "put", Some(key.as_str()));
            Err(error.because(format!("the server answered {} without an ETag, and {why}", status.as_u16())))
        };
        let found = match self.looked_at("put", key).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return unproven("the object is not there".to_owned()),
            other => other?.meta,
        };
        // Times come in whole seconds, and the answer's may be a moment before the object's.
        let earliest = answered.and_then(|time| time.checked_sub(SignedDuration::from_secs(2)).ok());
        if found.size != length {
            return unproven(format!("the object there has {} bytes of {length}", found.size));
        }
        if earliest.is_none_or(|earliest| found.modified < earliest) {
            return unproven(format!("the object there is of {}", found.modified));
        }
        Ok(())
    }
}
