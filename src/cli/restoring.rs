//! The flags that say what to restore, and how.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use super::cluster::{patience, which};
use crate::elastic::conflict::Conflict;
use crate::elastic::rename::Rename;
use crate::elastic::restore::{Aliases, IGNORED};
use crate::error::Result;
use crate::ops::restore;

/// What to restore, and how.
#[derive(Debug, Args)]
pub(super) struct Restoring {
    /// The indices to restore: names, patterns and exclusions, separated by commas (`logs-*,-logs-old`) [default: all whose names do not begin with a dot]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true)]
    indices: Vec<String>,
    /// What to do when an index of that name is there: restore nothing, close it and restore over it, or leave it alone
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    conflict: ConflictWord,
    /// A regular expression; each match in an index name is replaced by `--rename-replacement`
    #[arg(long, value_name = "PATTERN", requires = "rename_replacement")]
    rename_pattern: Option<String>,
    /// What replaces a match; `$1` is its first group
    #[arg(long, value_name = "TEXT", requires = "rename_pattern")]
    rename_replacement: Option<String>,
    /// Leave the aliases of the snapshot behind
    #[arg(long)]
    without_aliases: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ConflictWord {
    #[default]
    Fail,
    Close,
    Skip,
}

impl Restoring {
    /// The options of a restore.
    pub(super) fn options(&self, repository: &str, snapshot: &str) -> Result<restore::Options> {
        let rename = match (&self.rename_pattern, &self.rename_replacement) {
            (Some(pattern), Some(replacement)) => Some(Rename::new(pattern, replacement)?),
            _ => None,
        };
        Ok(restore::Options {
            repository: repository.to_owned(),
            snapshot: which(snapshot),
            indices: self.indices.clone(),
            rename,
            conflict: match self.conflict {
                ConflictWord::Fail => Conflict::Fail,
                ConflictWord::Close => Conflict::Close,
                ConflictWord::Skip => Conflict::Skip,
            },
            aliases: if self.without_aliases { Aliases::Dropped } else { Aliases::Restored },
            ignore_settings: IGNORED.iter().map(ToString::to_string).collect(),
            settings: BTreeMap::new(),
            patience: patience(),
            ..restore::Options::default()
        })
    }
}
