//! Keys with the segments `.` and `..`: an object of their own for most servers, a way to another object for those that keep files.
//!
//! versitygw 1.8 takes `a/../b` for `b` and overwrites it. So a server that is not known to be above this is tried once, with an object
//! of our own, before such a key is written.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use http::Method;

use super::client::{Call, Client};
use super::outgoing::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Key, RequestKind};

impl Client {
    /// Refuses a key that this server would take for another one.
    pub(super) async fn must_name(&self, key: &Key) -> Result<()> {
        let full = self.location.full_key(key.as_str());
        if !full.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Ok(());
        }
        let known = || self.learnt.dot_segments.known(self.profile.dot_segments);
        if known().is_none() {
            let _one = self.learnt.asking.lock().await;
            if known().is_none() {
                self.learnt.dot_segments.learn(!self.resolves_dots().await?);
            }
        }
        if known() == Some(true) {
            return Ok(());
        }
        Err(self
            .error(ErrorKind::Unsupported, "put", Some(key.as_str()))
            .because("this server takes `.` and `..` in a key for a way to another object")
            .hint("leave such keys out with `--exclude`, or copy to a store that keeps them apart"))
    }

    /// Writes an object, looks for it by a detour, and removes it.
    async fn resolves_dots(&self) -> Result<bool> {
        let name = format!("snapferry-detour-{:016x}", RandomState::new().build_hasher().finish());
        let detour = format!("snapferry-detour/../{name}");
        let mut put = Call::new(RequestKind::Put, "try a key in", Method::PUT, Some(&name));
        put.content = Content::Document(name.clone().into());
        self.send(put).await?;
        let found = self.send(Call::new(RequestKind::Head, "try a key in", Method::HEAD, Some(&detour))).await;
        let removed = self.send(Call::new(RequestKind::Delete, "try a key in", Method::DELETE, Some(&name))).await;
        let resolves = match found {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            // It refuses such keys: what it does with the key in question it will say itself.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Invalid | ErrorKind::Denied) => {
                false
            }
            Err(error) => return Err(error),
        };
        removed
            .map(drop)
            .map_err(|error: Error| error.while_doing(format!("remove `{name}` in `{}`", self.location)))?;
        Ok(resolves)
    }
}
