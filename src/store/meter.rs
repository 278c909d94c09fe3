//! Counts the requests that a store sends, by kind: what a provider bills and throttles.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a request asks for. The words are those of S3's own operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the operation of that name")]
pub enum RequestKind {
    List,
    Head,
    Get,
    Put,
    CreateMultipartUpload,
    UploadPart,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    Delete,
}

/// All kinds with their words in JSON, in the order of the enum.
const KINDS: [(RequestKind, &str); 9] = [
    (RequestKind::List, "list"),
    (RequestKind::Head, "head"),
    (RequestKind::Get, "get"),
    (RequestKind::Put, "put"),
    (RequestKind::CreateMultipartUpload, "create-multipart-upload"),
    (RequestKind::UploadPart, "upload-part"),
    (RequestKind::CompleteMultipartUpload, "complete-multipart-upload"),
    (RequestKind::AbortMultipartUpload, "abort-multipart-upload"),
    (RequestKind::Delete, "delete"),
];

/// The requests sent to one side. For a directory: the calls that would have been requests.
#[derive(Debug, Default)]
pub struct Meter([AtomicU64; KINDS.len()]);

impl Meter {
    /// One more request, counted when it is sent, whatever its outcome.
    pub fn count(&self, kind: RequestKind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The kinds that were sent at all, with their counts.
    #[must_use]
    pub fn totals(&self) -> Vec<(&'static str, u64)> {
        KINDS
            .iter()
            .map(|(kind, word)| (*word, self.0[*kind as usize].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kinds_that_were_sent_are_told() {
        let meter = Meter::default();
        meter.count(RequestKind::Get);
        meter.count(RequestKind::Get);
        meter.count(RequestKind::Delete);
        assert_eq!(meter.totals(), [("get", 2), ("delete", 1)]);
    }

    #[test]
    fn every_kind_has_its_own_place() {
        for (place, (kind, _)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, place);
        }
    }
}
