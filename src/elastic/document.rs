//! A sample of an index's documents, as fingerprints of their fields: what two clusters can compare without keeping contents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One document of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Its id.
    pub id: String,
    /// Its type, which 8.0 and later do not have.
    #[serde(default)]
    pub kind: Option<String>,
    /// What its shard was chosen by, if not its id.
    #[serde(default)]
    pub routing: Option<String>,
    /// Each field by its dotted name with the fingerprint of its value; nothing when the index keeps no `_source`.
    pub fields: Option<BTreeMap<String, String>>,
}
