//! Who wrote the repository, and what follows for the format.

use super::blob::Body;

/// What OpenSearch adds to its version's number.
const OPENSEARCH: i64 = 0x0800_0000;

/// A kind of repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Elasticsearch 5.6: `__<counter>`, whose names are given again.
    Counter,
    /// Elasticsearch 6.8: `__<uuid>`, numbered generations.
    Uuid,
    /// Elasticsearch 7.8: the root names the shards' generations.
    F2,
    /// Elasticsearch 7.10: snapshots share the metadata of indices.
    F3,
    /// Elasticsearch 8.12: the repository has an id.
    F4,
    /// OpenSearch 2.19: as F3, without `min_version`.
    OpenSearch,
    /// OpenSearch 3.6: shards beside the base path.
    OpenSearchPrefix,
    /// The same with shards below the base path, under a hash.
    OpenSearchInfix,
}

impl Family {
    pub(crate) const ALL: [Self; 8] = [
        Self::Counter,
        Self::Uuid,
        Self::F2,
        Self::F3,
        Self::F4,
        Self::OpenSearch,
        Self::OpenSearchPrefix,
        Self::OpenSearchInfix,
    ];

    /// Elasticsearch before 7.6: shards' lists of files are numbered, and the root goes first when a snapshot is deleted.
    pub(crate) fn is_old(self) -> bool {
        matches!(self, Self::Counter | Self::Uuid)
    }

    pub(crate) fn is_opensearch(self) -> bool {
        self.path_type().is_some()
    }

    /// What the root says of where the shards lie.
    pub(crate) fn path_type(self) -> Option<u64> {
        match self {
            Self::OpenSearch => Some(0),
            Self::OpenSearchPrefix => Some(1),
            Self::OpenSearchInfix => Some(2),
            _ => None,
        }
    }

    pub(crate) fn shares_metadata(self) -> bool {
        !self.is_old() && self != Self::F2
    }

    pub(crate) fn min_version(self) -> Option<&'static str> {
        match self {
            Self::F2 => Some("7.6.0"),
            Self::F3 => Some("7.9.0"),
            Self::F4 => Some("7.12.0"),
            _ => None,
        }
    }

    /// As the root writes it of a snapshot; not before 7.6.
    pub(crate) fn version(self) -> Option<&'static str> {
        match self {
            Self::Counter | Self::Uuid => None,
            Self::F2 => Some("7.8.1"),
            Self::F3 => Some("7.10.2"),
            // Elasticsearch from 8.11 on writes this one, whatever it is.
            Self::F4 => Some("8.11.0"),
            Self::OpenSearch => Some("2.19.6"),
            Self::OpenSearchPrefix | Self::OpenSearchInfix => Some("3.6.0"),
        }
    }

    pub(crate) fn version_id(self) -> i64 {
        match self {
            Self::Counter => 5_061_699,
            Self::Uuid => 6_082_399,
            Self::F2 => 7_080_199,
            Self::F3 => 7_100_299,
            Self::F4 => 8_500_010,
            Self::OpenSearch => OPENSEARCH + 2_190_699,
            Self::OpenSearchPrefix | Self::OpenSearchInfix => OPENSEARCH + 3_060_099,
        }
    }

    pub(crate) fn lucene(self) -> &'static str {
        match self {
            Self::Counter => "6.6.1",
            Self::Uuid => "7.7.3",
            Self::F2 => "8.5.1",
            Self::F3 => "8.7.0",
            Self::F4 => "9.9.2",
            Self::OpenSearch => "9.12.3",
            Self::OpenSearchPrefix | Self::OpenSearchInfix => "10.4.0",
        }
    }

    /// How blobs at the root and of indices are written.
    pub(crate) fn body(self) -> Body {
        if self == Self::Counter || self.is_opensearch() { Body::Plain } else { Body::Deflated }
    }

    /// How blobs of shards are written: 6.8 leaves them as they are whatever it is told.
    pub(crate) fn shard_body(self) -> Body {
        if self.is_old() { Body::Plain } else { self.body() }
    }
}
