//! Migrate: the whole way from one cluster to another, in one go or in rounds.
//!
//! [`once`] is the short form: sync, register, restore, compare, of a snapshot that is there. Everything else here is the long one, a state
//! machine with a journal:
//!
//! 1. A [`Job`] says what goes from where to where; [`Sides`] are its stores and clusters.
//! 2. A round is a row of steps ([`step`]): a baseline, any number of increments, a cutover with the source's writes blocked, and, if need
//!    be, a rollback of it.
//! 3. What a step is about to do is in the [`journal`] before it does it, and what came of it after. Stopped anywhere and run again, a
//!    round goes on where it was, and comes to the same end ([`machine`]).
//! 4. From the journal follow the status, the [`forecast()`] of the outage and the [`report`].
//!
//! The source cluster is never changed but for snapshots and, in a cutover, write blocks; the stores are `sync`'s business, and what a
//! restore does at the target is `restore`'s.

mod bring;
mod carry;
mod choice;
mod forecast;
mod hook;
mod html;
mod journal;
mod live;
mod machine;
mod once;
mod preflight;
mod prepare;
mod preview;
mod record;
mod report;
mod rollback;
mod standing;
mod state;
mod step;
mod streams;

use std::path::PathBuf;
use std::time::Duration;

pub use self::forecast::{Forecast, Go, Trend, forecast};
pub use self::hook::{Call, Hooks};
pub use self::html::html;
pub use self::journal::look;
pub use self::machine::{Progress, advance};
pub use self::once::{Clusters, Options, Report, advise, run};
pub use self::preview::{Preview, preview};
pub use self::record::{
    Blocked, Brought, Copied, Decided, End as RoundEnd, Failure, Header, Intent, Outcome, Preflight, Taken,
};
pub use self::report::{Document, IndexLine, RoundLine};
pub use self::state::{Record, Round, State};
pub use self::step::{Phase, Step};
use super::compare::Level;
use super::{End, restore, sync};
use crate::elastic::Client;
use crate::elastic::repository::{Policy, Registration};

/// What to migrate and how.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name, which the journal keeps.
    pub name: String,
    /// The repository's name at the source cluster.
    pub repository: String,
    /// How the target cluster sees the copy.
    pub registration: Registration,
    /// What may become of the repository's name if it is in use at the target.
    pub policy: Policy,
    /// How to copy.
    pub sync: sync::Options,
    /// Which snapshots are copied.
    pub copy: Copy,
    /// How snapshots are named: a text with `{job}`, `{phase}`, `{round}`, `{date}` and `{time}` in it.
    pub snapshot: String,
    /// What to restore and how. Its `indices` choose what goes into the snapshots too; repository and snapshot are each round's own.
    pub restore: restore::Options,
    /// How thoroughly to compare. A cutover compares at least shard by shard.
    pub level: Level,
    /// What the target would refuse is left out, in place of ending the migration.
    pub leave_out_incompatible: bool,
    /// A cutover need not have a baseline before it.
    pub without_baseline: bool,
    /// A rollback deletes the indices that the migration made at the target.
    pub delete_created: bool,
    /// How long the source may be blocked, for the forecast.
    pub outage: Option<Duration>,
    /// What is called before and after steps.
    pub hooks: Hooks,
    /// Where the journal is.
    pub journal: PathBuf,
}

/// Which snapshots of the source's repository are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Copy {
    /// All of them: the copy is what the source is.
    #[default]
    All,
    /// Those that the migration took.
    Own,
}

/// The places of a migration.
#[derive(Debug)]
pub struct Sides<'a> {
    /// Where the source cluster's repository lies.
    pub from: &'a End,
    /// Where its copy goes.
    pub to: &'a End,
    /// The cluster the data comes from.
    pub source: &'a Client,
    /// The cluster it is brought up on.
    pub target: &'a Client,
}

impl Job {
    /// The name of a round's snapshot. Snapshots have lower-case names without blanks.
    #[must_use]
    pub(super) fn snapshot_name(&self, phase: Phase, round: u32, at: jiff::Timestamp) -> String {
        let at = at.to_zoned(jiff::tz::TimeZone::UTC);
        let mut name = self
            .snapshot
            .replace("{job}", &self.name)
            .replace("{phase}", phase.word())
            .replace("{round}", &round.to_string())
            .replace("{date}", &at.strftime("%Y%m%d").to_string())
            .replace("{time}", &at.strftime("%H%M%S").to_string());
        if !["{round}", "{time}"].iter().any(|part| self.snapshot.contains(part)) {
            name.push_str(&format!("-{round}"));
        }
        name.to_lowercase().replace([' ', '/'], "-")
    }
}
