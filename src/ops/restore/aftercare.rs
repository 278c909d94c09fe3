//! After the restore: what the target still lacks.

use super::{Finding, Options, Restored};
use crate::elastic::{Client, inventory};
use crate::error::Result;

/// What the source has beside its indices and the target lacks. Not knowing is no failure: the indices are there.
pub(super) async fn inventory(restored: &mut Restored, target: &Client, options: &Options) {
    let Some(source) = &options.source else { return };
    let compared = async { Result::Ok(inventory::read(source).await?.beyond(&inventory::read(target).await?)) };
    match compared.await {
        Ok(missing) => {
            restored.findings.extend(missing.iter().map(|(thing, names)| {
                Finding::warning(
                    format!("{}: {}", thing.word(), names.join(", ")),
                    "the source has it, no snapshot carries it, and the target lacks it",
                )
            }));
            restored.missing = missing;
        }
        Err(error) => restored.findings.push(Finding::unknown("templates, pipelines, policies and users", &error)),
    }
}
