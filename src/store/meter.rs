//! Counts the requests that a store sends, by kind: what a provider bills and throttles.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::event::{Event, Reporter};

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
    Copy,
    CopyPart,
    DeleteBatch,
}

/// All kinds with their words in JSON, in the order of the enum.
const KINDS: [(RequestKind, &str); 12] = [
    (RequestKind::List, "list"),
    (RequestKind::Head, "head"),
    (RequestKind::Get, "get"),
    (RequestKind::Put, "put"),
    (RequestKind::CreateMultipartUpload, "create-multipart-upload"),
    (RequestKind::UploadPart, "upload-part"),
    (RequestKind::CompleteMultipartUpload, "complete-multipart-upload"),
    (RequestKind::AbortMultipartUpload, "abort-multipart-upload"),
    (RequestKind::Delete, "delete"),
    (RequestKind::Copy, "copy"),
    (RequestKind::CopyPart, "copy-part"),
    (RequestKind::DeleteBatch, "delete-batch"),
];

impl RequestKind {
    /// The word for it in JSON and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        KINDS[self as usize].1
    }
}

/// A request that was answered, or that failed on the way.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// What it asked for.
    pub kind: RequestKind,
    /// The answer's HTTP status; 0 if none came.
    pub status: u16,
    /// Bytes of both bodies, as announced.
    pub bytes: u64,
    /// From the first byte sent to the head of the answer.
    pub time: Duration,
}

/// The requests sent to one side. For a directory: the calls that would have been requests.
#[derive(Default)]
pub struct Meter {
    counts: [AtomicU64; KINDS.len()],
    refused: AtomicU64,
    listener: Option<(String, Arc<dyn Reporter>)>,
}

impl Meter {
    /// A meter that also tells `reporter` of every request, as one of the store `name`.
    #[must_use]
    pub fn telling(name: impl Into<String>, reporter: Arc<dyn Reporter>) -> Self {
        Self { listener: Some((name.into(), reporter)), ..Self::default() }
    }

    /// One more request that is carried out here, by this machine.
    pub fn count(&self, kind: RequestKind) {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// One more request over the network, whatever its outcome.
    pub fn record(&self, exchange: &Exchange) {
        self.count(exchange.kind);
        if exchange.status >= 400 || exchange.status == 0 {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        if let Some((store, reporter)) = &self.listener {
            reporter.report(&Event::Request {
                store,
                request: exchange.kind.word(),
                status: exchange.status,
                bytes: exchange.bytes,
                time: exchange.time,
            });
        }
    }

    /// How many requests were refused or not answered at all.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The kinds that were sent at all, with their counts.
    #[must_use]
    pub fn totals(&self) -> Vec<(&'static str, u64)> {
        KINDS
            .iter()
            .map(|(kind, word)| (*word, self.counts[*kind as usize].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.totals()).finish()
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
