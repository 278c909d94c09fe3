//! Which server answers: whose it is, and its number. What follows from it is in [`capability`](super::capability).

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::capability::Capability;
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
                .because("it is serverless, which has no snapshot interface")
                .hint("use a hosted or self-managed cluster; snapshots of a serverless project are taken by its provider alone"));
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

    /// An `OpenSearch` with `compatibility.override_main_response_version` claims to be 7.10.2, perhaps without a word of what it is.
    pub(super) fn may_be_a_mask(&self) -> bool {
        match self.distribution {
            Distribution::OpenSearch => self.major >= 7,
            Distribution::Elasticsearch => (self.major, self.minor, self.patch) == (7, 10, 2),
        }
    }

    /// What this version can do.
    #[must_use]
    pub fn capability(&self) -> Capability {
        Capability::of(self)
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
