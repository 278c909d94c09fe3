//! Which server answers, and what that version can do.
//!
//! The gates come from `elasticsearch-api.md` 2.0; each field is used by a decision in this room.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Elastic's, and what claims to be it.
    Elasticsearch,
    /// The fork, by `version.distribution`; its numbers start anew at 1.
    OpenSearch,
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elasticsearch => "Elasticsearch",
            Self::OpenSearch => "OpenSearch",
        })
    }
}

/// The server's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// As the server writes it, for example `8.12.2`.
    pub number: String,
    /// Whose server it is.
    pub distribution: Distribution,
    /// The first part of the number.
    pub major: u32,
    /// The second part of the number.
    pub minor: u32,
    /// The third part of the number.
    pub patch: u32,
}

/// What this version can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one gate, and none depends on another")]
pub struct Capability {
    /// `verbose=false` lists snapshots from the root blob alone; older versions refuse the parameter.
    pub short_listing: bool,
    /// `index_details` tells the size of each index in a snapshot; others refuse the parameter.
    pub index_details: bool,
    /// An S3 repository takes `region` beside `endpoint`; in 5.x the region silently wins.
    pub region_beside_endpoint: bool,
    /// A shard whose restore failed can be tried again. Before 5.6.6, 6.0.2 and 6.1.1 the files that the first try left make
    /// every other fail, whose message then hides the cause (Elasticsearch 27476).
    pub tries_shards_again: bool,
    /// `path_style_access` is obeyed; 7.0 to 7.3 always use path style.
    pub virtual_host_style: bool,
}

impl Version {
    /// The version of a server that has not been asked yet.
    pub(super) fn unknown() -> Self {
        Self { number: "0.0".into(), distribution: Distribution::Elasticsearch, major: 0, minor: 0, patch: 0 }
    }

    /// Reads the `version` object of `GET /`, or one that looks like it.
    ///
    /// Fails for servers that have no snapshot API or one too old to speak to.
    pub(super) fn parse(version: &Value) -> Result<Self> {
        let number = version["number"].as_str().unwrap_or_default().to_owned();
        let mut parts = number.split(['.', '-']).map(|part| part.parse::<u32>().ok());
        let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next()) else {
            return Err(Error::new(ErrorKind::Invalid, "recognise the server")
                .because("it answers, but not as Elasticsearch or OpenSearch does")
                .hint("give the address of the cluster's HTTP interface, by default on port 9200"));
        };
        let patch = parts.next().flatten().unwrap_or(0);
        if version["build_flavor"] == "serverless" {
            return Err(Error::new(ErrorKind::Unsupported, "work with this cluster")
                .because("it is serverless, which has no snapshot interface"));
        }
        let distribution = match version["distribution"].as_str() {
            Some("opensearch") => Distribution::OpenSearch,
            _ => Distribution::Elasticsearch,
        };
        if distribution == Distribution::Elasticsearch && major < 5 {
            return Err(Error::new(ErrorKind::Unsupported, "work with this cluster")
                .because(format!("it is Elasticsearch {number}; versions before 5.0 are not spoken to")));
        }
        Ok(Self { number, distribution, major, minor, patch })
    }

    /// An `OpenSearch` 1.x with `compatibility.override_main_response_version` claims to be 7.10.2.
    pub(super) fn hides_its_number(&self) -> bool {
        self.distribution == Distribution::OpenSearch && self.major >= 7
    }

    /// That server under its real number.
    pub(super) fn open_search(number: &str) -> Result<Self> {
        Self::parse(&serde_json::json!({ "number": number, "distribution": "opensearch" }))
    }

    /// What this version can do.
    #[must_use]
    pub fn capability(&self) -> Capability {
        let at_least =
            |major, minor| self.distribution == Distribution::OpenSearch || (self.major, self.minor) >= (major, minor);
        Capability {
            short_listing: at_least(5, 6),
            index_details: self.distribution == Distribution::Elasticsearch && (self.major, self.minor) >= (7, 13),
            region_beside_endpoint: at_least(6, 0),
            tries_shards_again: match (self.major, self.minor) {
                _ if self.distribution == Distribution::OpenSearch => true,
                (5, minor) => (minor, self.patch) >= (6, 6),
                (6, 0) => self.patch >= 2,
                (6, 1) => self.patch >= 1,
                _ => true,
            },
            virtual_host_style: at_least(7, 4) || self.major < 7,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.distribution, self.number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn five_five_lists_only_at_length() {
        let version = Version::parse(&json!({ "number": "5.5.3" })).unwrap();
        assert_eq!(version.to_string(), "Elasticsearch 5.5.3");
        assert!(!version.capability().short_listing);
        assert!(Version::parse(&json!({ "number": "5.6.16" })).unwrap().capability().short_listing);
    }

    #[test]
    fn open_search_one_is_newer_than_elasticsearch_seven() {
        let version = Version::parse(&json!({ "number": "1.3.14", "distribution": "opensearch" })).unwrap();
        assert_eq!(version.distribution, Distribution::OpenSearch);
        assert!(version.capability().short_listing && version.capability().region_beside_endpoint);
    }

    #[test]
    fn a_snapshot_build_keeps_its_number() {
        let version = Version::parse(&json!({ "number": "9.1.0-SNAPSHOT" })).unwrap();
        assert_eq!((version.major, version.minor), (9, 1));
    }

    #[test]
    fn serverless_and_the_very_old_are_refused() {
        for (answer, word) in [
            (json!({ "number": "8.11.0", "build_flavor": "serverless" }), "serverless"),
            (json!({ "number": "2.4.6" }), "2.4.6"),
        ] {
            let error = Version::parse(&answer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn something_else_on_the_port_is_named() {
        assert_eq!(Version::parse(&json!(null)).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
