//! `snapferry migrate`: in one go, or in rounds with a journal.

mod cutover;
mod job;
mod once;
mod round;
mod status;
mod told;

use clap::Subcommand;

use super::Session;
use super::exit::{self, Outcome};
use crate::error::Result;
use crate::ops::migrate::Phase;

/// Bring the indices of one cluster up on another, by way of their snapshots.
///
/// In one go, of a snapshot that is there: `migrate FROM TO …`, or `migrate JOB` with a `[job.<name>]` section. It copies the repository,
/// registers the copy, restores from it and compares. Run it again for the next snapshot, with `--conflict close`: only what is new travels.
///
/// In rounds, while the source goes on working: `migrate baseline JOB` once, `migrate increment JOB` as often as you like (from cron),
/// `migrate cutover JOB` at the end. A round takes its own snapshot, copies, registers, restores, compares, and keeps a journal: stopped
/// anywhere and run again, it goes on where it was. `migrate status JOB` shows where that is. The rounds' snapshots stay in the source's
/// repository until you delete them (`snapshot delete`). Rounds bring no data streams: they refuse them, and the short form brings them.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    once: once::Once,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The first round: take a snapshot, and bring all of it to the target
    ///
    /// The source goes on working. What the target would refuse is told before anything is copied.
    #[command(after_help = exit::TABLE)]
    Baseline(Box<round::Rounding>),
    /// A further round: bring what is new since the last one, over what it restored
    ///
    /// Made for cron: it says nothing if nothing has changed. It measures itself, and foretells how long the source would be blocked if the
    /// cutover came now.
    #[command(after_help = exit::TABLE)]
    Increment(Box<round::Rounding>),
    /// The last round: block writes at the source, bring the rest, and prove that the target holds it
    ///
    /// The source stays blocked afterwards, and readable: point clients to the target, and take the cutover back with `--rollback` if need be.
    #[command(after_help = exit::TABLE)]
    Cutover(Box<cutover::Cutting>),
    /// Show where a migration is, what it did and what comes next. Only the journal is read
    #[command(after_help = exit::TABLE)]
    Status(status::Args),
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        match &self.command {
            Some(Command::Baseline(args)) => Box::pin(args.run(session, Phase::Baseline, round::Start::Any)).await,
            Some(Command::Increment(args)) => Box::pin(args.run(session, Phase::Increment, round::Start::Any)).await,
            Some(Command::Cutover(args)) => Box::pin(args.run(session)).await,
            Some(Command::Status(args)) => args.run(session),
            None => Box::pin(self.once.run(session)).await,
        }
    }
}
