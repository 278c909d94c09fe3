//! The two ends of a copy, as the user names them, opened; and the requests that went to them.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::args::{Copying, RepositoryFlags};
use super::{Session, open};
use crate::error::Result;
use crate::ops::sync::Options;
use crate::ops::{End, must_be_apart};
use crate::store::Access;

/// The two ends of a copy.
#[derive(Debug, Args)]
pub(super) struct Ends {
    /// Where to copy from: `s3://bucket/prefix`, `file:///absolute/path`, or the name of a configured store, with an optional path behind it (`aws/prefix`)
    pub(super) from: String,
    /// Where to copy to, written the same way
    pub(super) to: String,
}

/// Opens both ends and reads the flags. Nothing is sent yet.
pub(super) async fn prepare(
    session: &Session,
    ends: &Ends,
    copying: &Copying,
    repository: Option<&RepositoryFlags>,
) -> Result<(End, End, Options)> {
    let (from, to) = (session.config.place(&ends.from)?, session.config.place(&ends.to)?);
    must_be_apart((&from.location, from.options.endpoint.as_deref()), (&to.location, to.options.endpoint.as_deref()))?;
    let (options, notes) = copying.options(repository, session.config.transfer(), session.config.replans())?;
    for note in notes {
        session.output.note(&format!("note: {note}"));
    }
    Ok((open(session, &from, Access::Read).await?, open(session, &to, Access::Write).await?, options))
}

/// The requests sent to both sides, by kind.
#[derive(Debug, Serialize)]
pub(super) struct Requests {
    from: BTreeMap<&'static str, u64>,
    to: BTreeMap<&'static str, u64>,
    refused: Refused,
}

/// Of these, those that were refused or not answered.
#[derive(Debug, Serialize)]
struct Refused {
    from: u64,
    to: u64,
}

impl Requests {
    pub(super) fn of(from: &End, to: &End) -> Self {
        let totals = |end: &End| end.meter.totals().into_iter().collect();
        let refused = Refused { from: from.meter.refused(), to: to.meter.refused() };
        Self { from: totals(from), to: totals(to), refused }
    }
}
