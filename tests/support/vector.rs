//! Golden signatures of OSS (`tests/vectors/oss.json`), made by the vendor's own SDKs with `tests/engines/vectors.py`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A request that an SDK signed (`tests/engines/vectors.py`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Vector {
    /// `v1` or `v4`.
    pub(crate) version: String,
    pub(crate) method: String,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    /// In the order of the request; nothing for a parameter without a value.
    pub(crate) query: Vec<(String, Option<String>)>,
    /// All that were there when it was signed; names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
    /// Seconds since 1970.
    pub(crate) time: i64,
    pub(crate) authorization: String,
}

/// All of them.
pub(crate) fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/oss.json")).expect("vectors are JSON");
    assert!(vectors.len() > 150, "some vectors are gone");
    vectors
}
