//! What an object carries beside its bytes: the headers it is served with, and the user's own metadata.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::meta::{ETag, ObjectMeta};

/// The standard headers that S3 and OSS keep with an object (S3 API, `PutObject`; OSS, `PutObject`).
pub(in crate::store) const STANDARD: [&str; 6] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"];

/// The metadata name under which the source's modification time is remembered.
const TIME: &str = "snapferry-source-time";
/// The metadata name under which the source's mark is remembered.
const MARK: &str = "snapferry-source-etag";

/// What an object carries beside its bytes. Directories keep none of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Values of the standard headers, by their names in lower case.
    pub headers: BTreeMap<&'static str, String>,
    /// The user's metadata: names in lower case without the provider's prefix.
    pub metadata: BTreeMap<String, String>,
}

impl Attributes {
    /// Remembers which source object this is a copy of.
    #[must_use]
    pub fn remembering(mut self, source: &ObjectMeta) -> Self {
        self.metadata.insert(TIME.to_owned(), source.modified.to_string());
        match &source.etag {
            Some(etag) => self.metadata.insert(MARK.to_owned(), etag.as_str().to_owned()),
            None => self.metadata.remove(MARK),
        };
        self
    }

    /// The source object that a copy remembers, if it does: its modification time and its mark.
    #[must_use]
    pub fn remembered(&self) -> Option<(Timestamp, Option<ETag>)> {
        let time = self.metadata.get(TIME)?.parse().ok()?;
        Some((time, self.metadata.get(MARK).and_then(|mark| ETag::new(mark))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Key;

    #[test]
    fn a_copy_remembers_its_source_exactly() {
        let modified = "2026-11-21T10:11:12.345678Z".parse().expect("valid");
        let key = Key::new("k").expect("not empty");
        let source = ObjectMeta { key, size: 1, modified, etag: ETag::new("\"abc\"") };
        let copy = Attributes::default().remembering(&source);
        assert_eq!(copy.remembered(), Some((modified, ETag::new("abc"))));
        let copy = copy.remembering(&ObjectMeta { etag: None, ..source });
        assert_eq!(copy.remembered(), Some((modified, None)));
        assert_eq!(Attributes::default().remembered(), None);
    }
}
