//! The flags of a job, and what they make with its section in the configuration: flags win.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::round::must_be_page;
use crate::cli::args::duration;
use crate::cli::registering::{Purpose, Registering};
use crate::cli::restoring::Restoring;
use crate::cli::{Session, open};
use crate::config::{self, StorePlace};
use crate::elastic::conflict::Conflict;
use crate::elastic::rename::Rename;
use crate::elastic::restore::Aliases;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::compare::Level;
use crate::ops::migrate::{Copy, Job};
use crate::ops::{End, must_be_apart, restore, sync};
use crate::store::Access;

/// How snapshots are named if nobody says otherwise.
const TEMPLATE: &str = "snapferry-{job}-{round}-{date}-{time}";

/// What to migrate. Each may stand in `[job.<name>]` instead.
#[derive(Debug, Args)]
pub(super) struct JobFlags {
    /// The job: the name of a `[job.<name>]` section, or any name if flags say everything. The journal is kept under it
    pub(super) job: String,
    /// Where the source cluster's repository lies: a URL or the name of a configured store
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    /// Where its copy goes
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    /// The cluster the data comes from
    #[arg(long, value_name = "CLUSTER")]
    from_cluster: Option<String>,
    /// The cluster it is brought up on
    #[arg(long, value_name = "CLUSTER")]
    to_cluster: Option<String>,
    /// The repository's name, at the source and at the target
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// The repository's name at the source, if it is another
    #[arg(long, value_name = "NAME")]
    source_repository: Option<String>,
    /// How snapshots are named: a text with `{job}`, `{phase}`, `{round}`, `{date}` and `{time}` in it [default: snapferry-{job}-{round}-{date}-{time}]
    #[arg(long, value_name = "TEMPLATE")]
    snapshot: Option<String>,
    /// How thoroughly to compare, from 0 to 4; a cutover compares at least at level 2 [default: 2]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=4))]
    level: Option<u8>,
    /// Which snapshots are copied: all of the repository, or the migration's own [default: all]
    #[arg(long, value_enum, value_name = "WHICH")]
    copy: Option<CopyWord>,
    /// Leave out the indices that the target would refuse, in place of ending before anything is copied
    #[arg(long)]
    leave_out_incompatible: bool,
    /// How long the source may be blocked, for the forecast: `90s`, `5m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    outage: Option<Duration>,
    /// Write the report to this file, as HTML, and beside it as JSON
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// The journal, if it shall not be `<job>.journal` in `$XDG_STATE_HOME/snapferry` or `~/.local/state/snapferry`
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(flatten)]
    restoring: Restoring,
    #[command(flatten)]
    registering: Registering,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CopyWord {
    All,
    Own,
}

/// A job with its places, opened.
pub(super) struct Opened {
    pub(super) job: Job,
    pub(super) from: End,
    pub(super) to: End,
    pub(super) from_cluster: String,
    pub(super) to_cluster: String,
    pub(super) report: Option<PathBuf>,
}

impl JobFlags {
    /// The section of the job, empty if there is none.
    pub(super) fn section(&self, session: &Session) -> Result<config::Job> {
        let section = session.config.job(&self.job)?.unwrap_or_default();
        for note in &section.notes {
            session.output.note(&format!("warning: {note}"));
        }
        Ok(section)
    }

    /// Puts flags and configuration together, and opens the places. Nothing is sent to a cluster.
    pub(super) async fn open(&self, session: &Session) -> Result<Opened> {
        let section = self.section(session)?;
        let need = |flag: Option<&String>, key: Option<&String>, name: &str| {
            flag.or(key).cloned().ok_or_else(|| {
                Error::new(ErrorKind::Invalid, format!("migrate `{}`", self.job))
                    .because(format!("`{name}` is not given"))
                    .hint(format!("write it into `[job.{}]`, or add `--{}`", self.job, name.replace('_', "-")))
            })
        };
        let report = self.report.clone().or_else(|| section.report.clone());
        report.as_deref().map_or(Ok(()), must_be_page)?;
        let from = session.config.place(&need(self.from.as_ref(), section.from.as_ref(), "from")?)?;
        let to = session.config.place(&need(self.to.as_ref(), section.to.as_ref(), "to")?)?;
        let from_cluster = need(self.from_cluster.as_ref(), section.from_cluster.as_ref(), "from_cluster").map_err(|error| {
            error.hint("rounds take snapshots, so they need the source cluster; without one, `migrate FROM TO` brings a snapshot that is there")
        })?;
        let to_cluster = need(self.to_cluster.as_ref(), section.to_cluster.as_ref(), "to_cluster")?;
        let repository = need(self.repository.as_ref(), section.repository.as_ref(), "repository")?;
        let endpoint = |place: &StorePlace| place.options.endpoint.clone();
        must_be_apart((&from.location, endpoint(&from).as_deref()), (&to.location, endpoint(&to).as_deref()))?;
        let registering = self.registering.or(&section.registration)?;
        let copy = match self.copy {
            Some(word) => word == CopyWord::Own,
            None => section.copy.as_deref() == Some("own"),
        };
        let job = Job {
            name: self.job.clone(),
            repository: self
                .source_repository
                .clone()
                .or(section.source_repository.clone())
                .unwrap_or_else(|| repository.clone()),
            registration: registering.registration(session, &repository, Some(&to), Purpose::Send).await?,
            policy: registering.policy(),
            sync: sync::Options {
                transfer: session.config.transfer(),
                replans: session.config.replans(),
                ..sync::Options::default()
            },
            copy: if copy { Copy::Own } else { Copy::All },
            snapshot: self.snapshot.clone().or(section.snapshot.clone()).unwrap_or_else(|| TEMPLATE.to_owned()),
            restore: overlay(self.restoring.options(&repository, "latest")?, &section)?,
            level: Level::try_from(self.level.or(section.level).unwrap_or(2))?,
            leave_out_incompatible: self.leave_out_incompatible || section.leave_out_incompatible,
            without_baseline: false,
            delete_created: false,
            outage: self.outage.or(section.outage),
            hooks: section.hooks.clone(),
            journal: self.journal(&section)?,
        };
        if matches!(job.restore.conflict, Conflict::Rename) {
            return Err(Error::new(ErrorKind::Invalid, format!("migrate `{}`", self.job))
                .because("the policy `rename` makes names that later rounds cannot know")
                .hint("give a rule: `--rename-pattern '(.+)' --rename-replacement 'restored-$1'`"));
        }
        Ok(Opened {
            from: open(session, &from, Access::Read).await?,
            to: open(session, &to, Access::Write).await?,
            from_cluster,
            to_cluster,
            report,
            job,
        })
    }

    fn journal(&self, section: &config::Job) -> Result<PathBuf> {
        journal(&self.job, self.journal.as_deref().or(section.journal.as_deref()))
    }
}

/// Where the journal of a job is.
pub(super) fn journal(job: &str, named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    if job.is_empty() || job.starts_with('.') || job.contains(['/', '\\', ':']) {
        return Err(Error::new(ErrorKind::Invalid, format!("migrate `{job}`"))
            .because("a job's name is the name of its journal's file, and this is none")
            .hint("choose another name, or give `--journal`"));
    }
    let directory = |name: &str| std::env::var_os(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    let state = directory("XDG_STATE_HOME").or_else(|| Some(directory("HOME")?.join(".local").join("state")));
    let state = state.ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("find the journal of `{job}`"))
            .because("neither XDG_STATE_HOME nor HOME is set")
            .hint("give `--journal`")
    })?;
    Ok(state.join("snapferry").join(format!("{job}.journal")))
}

/// What a job says about restoring, where flags say nothing.
pub(super) fn overlay(mut options: restore::Options, job: &config::Job) -> Result<restore::Options> {
    if options.indices.is_empty() {
        options.indices.clone_from(&job.indices);
    }
    if options.rename.is_none()
        && let Some((pattern, replacement)) = &job.rename
    {
        options.rename = Some(Rename::new(pattern, replacement)?);
    }
    if options.conflict == Conflict::Fail {
        options.conflict = match job.conflict.as_deref() {
            Some("close") => Conflict::Close,
            Some("skip") => Conflict::Skip,
            Some("swap") => Conflict::Swap,
            Some("delete") => Conflict::Delete,
            _ => Conflict::Fail,
        };
    }
    if job.without_aliases {
        options.aliases = Aliases::Dropped;
    }
    options.replicas = options.replicas.or(job.replicas);
    options.raise.bytes_per_second = options.raise.bytes_per_second.or(job.throttle);
    Ok(options)
}
