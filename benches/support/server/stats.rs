//! What a server counts while it serves: requests by kind, bytes both ways, and bytes that are not what they should be.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

/// The kinds of request that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    List,
    Get,
    Head,
    Put,
    CreateMultipart,
    UploadPart,
    CompleteMultipart,
    AbortMultipart,
    Delete,
    DeleteBatch,
    Other,
}

impl Kind {
    /// Every kind, in the order of its declaration.
    pub(crate) const ALL: [Self; 11] = [
        Self::List,
        Self::Get,
        Self::Head,
        Self::Put,
        Self::CreateMultipart,
        Self::UploadPart,
        Self::CompleteMultipart,
        Self::AbortMultipart,
        Self::Delete,
        Self::DeleteBatch,
        Self::Other,
    ];

    /// The name under which it is reported.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::CreateMultipart => "create_multipart",
            Self::UploadPart => "upload_part",
            Self::CompleteMultipart => "complete_multipart",
            Self::AbortMultipart => "abort_multipart",
            Self::Delete => "delete",
            Self::DeleteBatch => "delete_batch",
            Self::Other => "other",
        }
    }
}

/// The counters; every connection adds to them, only `GET /_stats` reads them.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    requests: [AtomicU64; Kind::ALL.len()],
    refused: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    differing: AtomicU64,
}

impl Stats {
    /// Counts a request.
    pub(crate) fn count(&self, kind: Kind) {
        self.requests[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer that says no.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds bytes of an object that went to the client.
    pub(crate) fn send(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds bytes of an object or a part that came from the client.
    pub(crate) fn receive(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds the length of an object or a part whose content is not what its key says.
    pub(crate) fn differ(&self, bytes: u64) {
        self.differing.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The counters by name; the requests are a map from kind to number.
    pub(crate) fn to_map(&self) -> Map<String, Value> {
        let read = |counter: &AtomicU64| Value::from(counter.load(Ordering::Relaxed));
        let requests: Map<_, _> =
            Kind::ALL.iter().map(|&kind| (kind.name().to_owned(), read(&self.requests[kind as usize]))).collect();
        let mut map = Map::new();
        map.insert("requests".to_owned(), requests.into());
        map.insert("refused".to_owned(), read(&self.refused));
        map.insert("sent_bytes".to_owned(), read(&self.sent));
        map.insert("received_bytes".to_owned(), read(&self.received));
        map.insert("differing_bytes".to_owned(), read(&self.differing));
        map
    }
}
