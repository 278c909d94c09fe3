//! Data streams, which rounds do not bring: a restore over a data stream, a write block of the index that it writes to, and taking back
//! what was made of it all go other ways than an index goes, and the second round would be stuck half-way.
//!
//! So a round that chooses one is refused before anything is done, with no indices given too: what it leaves out must be said by who
//! begins it. What is left out is told in every round, its report and its status.

use std::collections::BTreeSet;

use super::Job;
use crate::elastic::index::Existing;
use crate::elastic::selection::{Selection, owner};
use crate::error::{Error, ErrorKind, Result};

/// Refuses backing indices that are asked for by name, which nothing else would find.
pub(super) fn refuse_backing(job: &Job, now: &Existing) -> Result<()> {
    let backing: BTreeSet<&str> = now.data_streams.values().flatten().map(String::as_str).collect();
    let asked = job.restore.indices.iter().map(String::as_str);
    let named: Vec<&str> = asked.filter(|name| backing.contains(name) || name.starts_with(".ds-")).collect();
    if named.is_empty() {
        return Ok(());
    }
    Err(refused(job, "backing indices of data streams", &named)
        .hint(format!("take them out of the indices of `{}`; {ONCE}", job.name)))
}

/// Refuses data streams that were chosen, and returns what is to be said of the others.
pub(super) fn refuse(job: &Job, now: &Existing, selection: &Selection) -> Result<Option<String>> {
    let left = now
        .data_streams
        .keys()
        .map(String::as_str)
        .filter(|name| !selection.data_streams.iter().any(|one| one == name));
    let left: Vec<&str> = left.filter(|name| !name.starts_with('.') && owner(name).is_none()).collect();
    let chosen: Vec<&str> = selection.data_streams.iter().map(String::as_str).collect();
    if chosen.is_empty() {
        let told = || format!("rounds bring no data streams: `{}` stays behind with all its data", left.join("`, `"));
        return Ok((!left.is_empty()).then(told));
    }
    let mut others: Vec<String> = match job.restore.indices.as_slice() {
        [] => vec!["*".to_owned()],
        given => given.iter().filter(|name| !chosen.contains(&name.as_str())).cloned().collect(),
    };
    others.extend(chosen.iter().map(|name| format!("-{name}")));
    Err(refused(job, "data streams", &chosen)
        .hint(format!("leave them out, knowingly, with `--indices '{}'`; {ONCE}", others.join(","))))
}

const ONCE: &str =
    "a data stream comes by `migrate FROM TO`, in one go, of a snapshot that is taken when its writers have stopped";

fn refused(job: &Job, what: &str, names: &[&str]) -> Error {
    Error::new(ErrorKind::Unsupported, format!("migrate `{}` in rounds", job.name)).because(format!(
        "its indices hold {what}, which rounds cannot bring: `{}`; nothing was done",
        names.join("`, `")
    ))
}
