//! What a restore was asked to make different: such differences are told, and do not count.

use serde_json::Value;

use super::verification::Difference;
use crate::elastic::restore::{Aliases, IGNORED};
use crate::elastic::selection::matches;

/// What a restore was asked to make different.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Settings left behind, by name or pattern.
    pub ignored_settings: Vec<String>,
    /// Settings given other values, by name or pattern.
    pub changed_settings: Vec<String>,
    /// Whether aliases came along.
    pub aliases: Aliases,
}

impl Default for Asked {
    /// What a restore of ours does unless it is told otherwise.
    fn default() -> Self {
        Self {
            ignored_settings: IGNORED.map(str::to_owned).to_vec(),
            // It is set where a second try only hides why the first one failed.
            changed_settings: vec!["index.allocation.max_retries".into()],
            aliases: Aliases::Restored,
        }
    }
}

impl Asked {
    /// Marks the difference if it was asked for. `what` begins with `settings: `, `mappings: ` or `aliases: `.
    pub(super) fn mark(&self, mut difference: Difference) -> Difference {
        let any = |patterns: &[String], name: &str| patterns.iter().any(|pattern| matches(pattern, name));
        difference.as_asked = match difference.what.split_once(": ") {
            Some(("settings", name)) => {
                difference.to.is_none() && any(&self.ignored_settings, name) || any(&self.changed_settings, name)
            }
            Some(("aliases", _)) => self.aliases == Aliases::Dropped && difference.to.is_none(),
            _ => false,
        };
        difference
    }

    /// The same, with the settings that a restore was given in its body.
    #[must_use]
    pub fn with_settings<'a>(mut self, settings: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Self {
        self.changed_settings.extend(settings.into_iter().map(|(name, _)| match name.strip_prefix("index.") {
            Some(_) => name.clone(),
            None => format!("index.{name}"),
        }));
        self
    }
}
