//! What an index is like: its mappings, settings and aliases, in a form in which two clusters can be compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Mappings, settings and aliases of an index as dotted names with their values as texts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// By the dotted name within the mapping, without types' names where there is one type.
    pub mappings: BTreeMap<String, String>,
    /// By the full name of the setting, without those that every index has of its own.
    pub settings: BTreeMap<String, String>,
    /// By the alias's name and the key of what it says.
    pub aliases: BTreeMap<String, String>,
}
