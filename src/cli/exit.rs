//! Exit codes: one table, in the README and in every `--help`.

use std::process::ExitCode;

use crate::error::{Error, ErrorKind};

/// How a command ended, as exit code and as the word `outcome` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Outcome {
    /// Everything was done.
    Done = 0,
    /// A mistake of ours.
    Bug = 1,
    /// The command line, the configuration, or what it names is wrong.
    Usage = 2,
    /// The command ended, and something failed on the way.
    Failures = 3,
    /// A check found something wrong.
    Findings = 4,
    /// The source kept moving.
    Moving = 5,
    /// The target holds what the source does not know.
    Diverged = 6,
    /// The credentials are wrong or do not suffice.
    Denied = 7,
    /// A remote cannot be reached or cannot serve.
    Unavailable = 8,
    /// A signal ended the run.
    Cancelled = 130,
}

impl Outcome {
    /// What an error means for the command as a whole.
    pub(super) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Internal => Self::Bug,
            ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Unsupported => Self::Usage,
            ErrorKind::AlreadyExists | ErrorKind::Precondition | ErrorKind::Corrupt | ErrorKind::Damaged => {
                Self::Failures
            }
            ErrorKind::SourceMoved => Self::Moving,
            ErrorKind::Diverged => Self::Diverged,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Timeout => Self::Unavailable,
            ErrorKind::Cancelled => Self::Cancelled,
        }
    }

    /// The word for it in JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Bug => "bug",
            Self::Usage => "usage",
            Self::Failures => "failures",
            Self::Findings => "findings",
            Self::Moving => "moving",
            Self::Diverged => "diverged",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome as u8)
    }
}

/// The table as `--help` shows it.
pub(super) const TABLE: &str = "\
Exit codes:
    0  done
    1  a bug in snapferry
    2  usage or configuration: the command line, the configuration, or what they name
    3  finished with failures: the objects, shards or counts that failed are named
    4  verify or check has findings
    5  the source kept moving
    6  the target has diverged: it holds what the source does not know
    7  denied: credentials are wrong or do not suffice
    8  a remote is unavailable
  130  cancelled by a signal; a second signal ends at once";
