//! The flags that say what to restore, and how.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use super::args::rate;
use super::cluster::{patience, which};
use crate::elastic::aftercare::Lifecycle;
use crate::elastic::conflict::Conflict;
use crate::elastic::creation::GlobalState;
use crate::elastic::rename::Rename;
use crate::elastic::restore::{Aliases, IGNORED};
use crate::elastic::selection::Preset;
use crate::elastic::throttle::Raise;
use crate::error::Result;
use crate::ops::restore::{self, Consent, Partial};

/// What to restore, and how.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag, and none depends on another")]
pub(super) struct Restoring {
    /// The indices to restore: names, patterns and exclusions, separated by commas (`logs-*,-logs-old`) [default: what `--preset` says]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true)]
    indices: Vec<String>,
    /// What is restored where `--indices` names nothing: everything but the clusters' own indices and hidden ones, or all
    #[arg(long, value_enum, default_value_t, value_name = "PRESET")]
    preset: PresetWord,
    /// What to do when a name is taken: restore nothing, close the index and restore over it, leave it alone, restore beside it under
    /// `--prefix`, restore beside it and
    /// let the name point there once it is proven (an index that has the name is then deleted), or delete it first
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    conflict: ConflictWord,
    /// What stands before the names that `--conflict rename` makes
    #[arg(long, value_name = "TEXT", default_value = "restored-")]
    prefix: String,
    /// Delete what `--conflict delete` names, and the indices that `--conflict swap` replaces, without asking
    #[arg(long)]
    yes_delete: bool,
    /// Take a snapshot of what is overwritten or deleted into this repository of the cluster, before it is
    #[arg(long, value_name = "REPOSITORY")]
    safety_snapshot: Option<String>,
    /// A regular expression; each match in an index name is replaced by `--rename-replacement`
    #[arg(long, value_name = "PATTERN", requires = "rename_replacement")]
    rename_pattern: Option<String>,
    /// What replaces a match; `$1` is its first group
    #[arg(long, value_name = "TEXT", requires = "rename_pattern")]
    rename_replacement: Option<String>,
    /// Leave the aliases of the snapshot behind
    #[arg(long)]
    without_aliases: bool,
    /// Leave further settings of the indices behind: names and patterns, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    ignore_settings: Vec<String>,
    /// How many replicas the indices have afterwards [default: as many as in the snapshot]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=1000))]
    replicas: Option<u32>,
    /// What becomes of lifecycle policies, which count from the day an index was created: indices come without them, with them, or with
    /// them while the cluster's lifecycle management is stopped
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    lifecycle: LifecycleWord,
    /// Restore a snapshot that lacks shards; what it lacks comes back empty
    #[arg(long)]
    partial: bool,
    /// Restore the cluster's own state too: templates, persistent settings, pipelines, policies, scripts. It goes over what is there
    #[arg(long)]
    global_state: bool,
    /// Restore the state of these features too, separated by commas (`kibana,security`). It goes over what is there
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    feature_states: Vec<String>,
    /// Consent to overwrite what the cluster keeps for itself: its state, its users, its Kibana
    #[arg(long)]
    i_know: bool,
    /// Let each node receive more while the restore runs, such as `200MiB/s`; what it was is put back afterwards
    #[arg(long, value_name = "RATE", value_parser = rate)]
    max_bytes_per_sec: Option<u64>,
    /// Let each node fill more primaries at once while the restore runs; what it was is put back afterwards
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    recoveries: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ConflictWord {
    #[default]
    Fail,
    Close,
    Skip,
    Rename,
    Swap,
    Delete,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum PresetWord {
    #[default]
    AllButSystem,
    All,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LifecycleWord {
    #[default]
    Remove,
    Keep,
    Stop,
}

impl Restoring {
    /// Whether indices would be deleted, and nobody has consented yet.
    pub(super) fn must_ask(&self) -> bool {
        matches!(self.conflict, ConflictWord::Delete | ConflictWord::Swap) && !self.yes_delete
    }

    /// The options of a restore.
    pub(super) fn options(&self, repository: &str, snapshot: &str) -> Result<restore::Options> {
        let rename = match (&self.rename_pattern, &self.rename_replacement) {
            (Some(pattern), Some(replacement)) => Some(Rename::new(pattern, replacement)?),
            _ => None,
        };
        let consent = |given: bool| if given { Consent::Given } else { Consent::Withheld };
        let own = IGNORED.iter().map(ToString::to_string);
        Ok(restore::Options {
            repository: repository.to_owned(),
            snapshot: which(snapshot),
            indices: self.indices.clone(),
            rename,
            conflict: match self.conflict {
                ConflictWord::Fail => Conflict::Fail,
                ConflictWord::Close => Conflict::Close,
                ConflictWord::Skip => Conflict::Skip,
                ConflictWord::Rename => Conflict::Rename,
                ConflictWord::Swap => Conflict::Swap,
                ConflictWord::Delete => Conflict::Delete,
            },
            aliases: if self.without_aliases { Aliases::Dropped } else { Aliases::Restored },
            ignore_settings: own.chain(self.ignore_settings.iter().cloned()).collect(),
            settings: BTreeMap::new(),
            patience: patience(),
            preset: match self.preset {
                PresetWord::AllButSystem => Preset::AllButSystem,
                PresetWord::All => Preset::All,
            },
            partial: if self.partial { Partial::Accepted } else { Partial::Refused },
            prefix: self.prefix.clone(),
            replicas: self.replicas,
            lifecycle: match self.lifecycle {
                LifecycleWord::Remove => Lifecycle::Remove,
                LifecycleWord::Keep => Lifecycle::Keep,
                LifecycleWord::Stop => Lifecycle::Stop,
            },
            global_state: if self.global_state { GlobalState::With } else { GlobalState::Without },
            feature_states: self.feature_states.clone(),
            overwrite_system: consent(self.i_know),
            delete: consent(self.yes_delete),
            safety: self.safety_snapshot.clone(),
            raise: Raise { bytes_per_second: self.max_bytes_per_sec, recoveries: self.recoveries },
            ..restore::Options::default()
        })
    }
}
