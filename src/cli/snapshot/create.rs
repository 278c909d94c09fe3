//! `snapferry snapshot create`.

use serde::Serialize;

use super::super::Session;
use super::super::cluster::{connect, patience};
use super::super::exit::{self, Outcome};
use super::super::output::{Count, elapsed};
use super::{begun, state, took};
use crate::elastic::creation::{Creation, GlobalState, Incomplete, Unavailable};
use crate::elastic::snapshot::Snapshot;
use crate::error::Result;
use crate::event::{Event, Reporter as _};
use crate::ops::snapshot;

/// Take a snapshot and follow it to its end
///
/// What is meant by `--indices` is looked up before anything is taken, and compared with what the snapshot holds in the end: a
/// snapshot of more or of less than was asked for is a failure. When the answer to the request is lost, the snapshot is looked
/// up by its name; it is never asked for twice.
///
/// For example `snapferry snapshot create source backups '<nightly-{now/d}>' --indices 'logs-*,-logs-old'`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that stands for itself")]
pub(super) struct Args {
    /// The cluster: a URL or the name of an `[elastic.<name>]` section
    cluster: String,
    /// The repository, registered writable
    repository: String,
    /// The name of the new snapshot, or a template in Elasticsearch's date math, such as `<nightly-{now/d}>` or `<snap-{now{yyyy.MM.dd-HH.mm|+08:00}}>` (default: `<snap-{now{yyyy.MM.dd-HH.mm.ss}}>`)
    snapshot: Option<String>,
    /// The indices to take: names, patterns and exclusions, separated by commas (`logs-*,-logs-old`) [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true)]
    indices: Vec<String>,
    /// The slip of many guides
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true, hide = true)]
    indexes: Vec<String>,
    /// Take the rest when an index that is named is not there
    #[arg(long)]
    ignore_unavailable: bool,
    /// Take the snapshot although it holds no index
    #[arg(long)]
    allow_empty: bool,
    /// Take the cluster's own settings and templates too, and with them, from 7.12 on, the system indices of all features
    #[arg(long)]
    with_global_state: bool,
    /// Take what there is of indices that lack a primary; the snapshot is then partial
    #[arg(long)]
    partial: bool,
    /// Write this beside the snapshot, 1024 bytes in all (Elasticsearch 7.3 and later, OpenSearch)
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// The features whose system indices are taken, such as `kibana`, or `none` (Elasticsearch 7.12 and later)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    feature_states: Vec<String>,
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write `key=value`".to_owned()),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    repository: &'a str,
    snapshot: &'a Snapshot,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let creation = self.creation(session)?;
        let client = connect(session, &self.cluster).await?;
        if self.snapshot.as_ref() != Some(&creation.snapshot) {
            session.output.note(&format!("the snapshot is called `{}`", creation.snapshot));
        }
        let options = snapshot::Options { creation, patience: patience() };
        let taken = snapshot::create(&client, &options, session.output.as_ref(), &session.cancel).await?;
        session.output.end_progress();
        session.output.line(&row(&taken))?;
        if session.output.is_json() {
            session.output.document(&Document {
                command: "snapshot create",
                outcome: Outcome::Done.word(),
                repository: &self.repository,
                snapshot: &taken,
            })?;
        }
        Ok(Outcome::Done)
    }

    fn creation(&self, session: &Session) -> Result<Creation> {
        if !self.indexes.is_empty() {
            session.output.report(&Event::Warning(snapshot::INDEXES_SLIP));
        }
        Ok(Creation {
            repository: self.repository.clone(),
            snapshot: snapshot::name(self.snapshot.as_deref())?,
            indices: self.indices.iter().chain(&self.indexes).cloned().collect(),
            global_state: if self.with_global_state { GlobalState::With } else { GlobalState::Without },
            unavailable: if self.ignore_unavailable { Unavailable::Ignored } else { Unavailable::Refused },
            incomplete: if self.partial { Incomplete::Allowed } else { Incomplete::Refused },
            may_be_empty: self.allow_empty,
            metadata: self.metadata.iter().cloned().collect(),
            feature_states: self.feature_states.clone(),
        })
    }
}

/// A snapshot that was taken, in a line.
fn row(snapshot: &Snapshot) -> String {
    let shards = snapshot.shards.map_or_else(String::new, |shards| format!(", {}", Count(shards.total, "shard")));
    let took = took(snapshot).map_or_else(String::new, |took| format!(" in {}", elapsed(took)));
    format!(
        "{}  {}  {}  {}  {}{shards}{took}",
        snapshot.name,
        state(snapshot),
        begun(snapshot),
        snapshot.uuid,
        snapshot.indices.join(",")
    )
}
