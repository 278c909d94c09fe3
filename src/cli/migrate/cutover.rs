//! `snapferry migrate cutover`.

use super::round::{self, Start, perform};
use crate::cli::Session;
use crate::cli::exit::Outcome;
use crate::error::Result;
use crate::ops::migrate::Phase;

/// A cutover, or what becomes of one.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, clap::Args)]
pub(super) struct Cutting {
    #[command(flatten)]
    round: round::Rounding,
    /// Only go on with a cutover that stopped
    #[arg(long, conflicts_with = "rollback")]
    resume: bool,
    /// Take a cutover back: lift the block at the source where the cutover set it, and register the repository at the target as it was. What was written to the target since stays there
    #[arg(long)]
    rollback: bool,
    /// With `--rollback`: delete the indices at the target that the migration made, as far as their UUIDs prove it
    #[arg(long, requires = "rollback")]
    delete_created: bool,
    /// Cut over without a baseline: everything travels while the source is blocked
    #[arg(long)]
    without_baseline: bool,
}

impl Cutting {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let mut opened = self.round.flags.open(session).await?;
        opened.job.without_baseline = self.without_baseline;
        opened.job.delete_created = self.delete_created;
        let (phase, start) = match (self.rollback, self.resume) {
            (true, _) => (Phase::Rollback, Start::Any),
            (false, true) => (Phase::Cutover, Start::Resume),
            (false, false) => (Phase::Cutover, Start::Any),
        };
        perform(session, &opened, phase, start, self.round.preview).await
    }
}
