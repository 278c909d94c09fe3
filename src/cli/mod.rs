//! What the user types and reads: arguments in, options out to `ops`, results to `output`.
//!
//! One file per command. Only this room knows clap, and only [`output`] writes.

mod args;
mod asking;
mod check;
mod cluster;
mod cluster_show;
mod compare;
mod ends;
mod exit;
mod inspect;
mod ls;
mod migrate;
mod output;
mod plan;
mod prune;
mod registering;
mod repo;
mod restore;
mod restoring;
mod snapshot;
mod sync;
mod undo;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::exit::Outcome;
use self::output::{Format, LogFormat, Output};
use crate::config::{Config, StorePlace};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::{End, Reopen};
use crate::store::{self, Access, Meter};

/// Moves Elasticsearch and OpenSearch snapshot repositories between clouds, brings the data up on the other side, and proves
/// that what arrived is what left.
///
/// A place is a URL (`s3://bucket/prefix`, `file:///absolute/path`) or the name of a store in the configuration, with an
/// optional path behind it. A cluster is a URL or the name of an `[elastic.<name>]` section.
///
/// Configuration: `--config FILE`, else `SNAPFERRY_CONFIG`, else `snapferry.toml` here, else
/// `~/.config/snapferry/snapferry.toml`; every key also from the environment, as `SNAPFERRY_STORE_<NAME>_<KEY>`,
/// `SNAPFERRY_ELASTIC_<NAME>_<KEY>` and `SNAPFERRY_TRANSFER_<KEY>`. Secrets are never flags and never part of a URL.
#[derive(Debug, Parser)]
#[command(name = "snapferry", version, after_help = exit::TABLE, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write exactly one JSON document to stdout, at the end
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Log what is done, on stderr; twice for every detail
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How lines on stderr are written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    Sync(sync::SyncArgs),
    Plan(plan::Args),
    Ls(ls::Args),
    Prune(prune::Args),
    Check(check::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Cluster(cluster_show::Args),
    Repo(repo::Args),
    Snapshot(snapshot::Args),
    Restore(restore::Args),
    Compare(Box<compare::Args>),
    Migrate(Box<migrate::Args>),
}

/// What every command has at hand.
struct Session {
    config: Config,
    output: Arc<Output>,
    cancel: CancellationToken,
}

/// Reads the arguments, does what they say, and returns the exit code.
pub async fn run(arguments: impl Iterator<Item = OsString>, cancel: CancellationToken) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return misread(&error, arguments.iter().any(|argument| argument == "--json")),
    };
    start_log(&cli.global);
    let format = if cli.global.json { Format::Json } else { Format::Text };
    let output = Output::new(format, cli.global.log_format, cli.global.quiet);
    let name = cli.command.name();
    // A variable that is no text cannot be one of ours.
    let variables =
        std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    let ended = match Config::load(cli.global.config.as_deref(), variables) {
        Ok(config) => {
            if let Some(warning) = config.exposed() {
                output.note(&format!("warning: {warning}"));
            }
            let session = Session { config, output: output.clone(), cancel };
            Box::pin(cli.command.run(&session)).await
        }
        Err(error) => Err(error),
    };
    output.end_progress();
    match ended {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            output.error(&error);
            let outcome = Outcome::of(&error);
            if output.is_json() {
                drop(output.document(&Failed::new(name, outcome, &error)));
            }
            outcome.into()
        }
    }
}

/// Help and version, or arguments that cannot be read.
fn misread(error: &clap::Error, json: bool) -> ExitCode {
    let outcome = if error.use_stderr() { Outcome::Usage } else { Outcome::Done };
    // clap's own texts go where clap sends them; a closed pipe is no failure.
    drop(error.print());
    if json && outcome == Outcome::Usage {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let error = Error::new(ErrorKind::Invalid, "read the arguments").because(first);
        let output = Output::new(Format::Json, LogFormat::Text, true);
        drop(output.document(&Failed::new("snapferry", outcome, &error)));
    }
    outcome.into()
}

impl Command {
    fn name(&self) -> &'static str {
        match self {
            Self::Sync(_) => "sync",
            Self::Plan(_) => "plan",
            Self::Ls(_) => "ls",
            Self::Prune(_) => "prune",
            Self::Check(_) => "check",
            Self::Inspect(_) => "inspect",
            Self::Verify(_) => "verify",
            Self::Cluster(_) => "cluster",
            Self::Repo(_) => "repo",
            Self::Snapshot(_) => "snapshot",
            Self::Restore(_) => "restore",
            Self::Compare(_) => "compare",
            Self::Migrate(_) => "migrate",
        }
    }

    async fn run(&self, session: &Session) -> Result<Outcome> {
        match self {
            Self::Sync(args) => args.run(session).await,
            Self::Plan(args) => args.run(session).await,
            Self::Ls(args) => args.run(session).await,
            Self::Prune(args) => args.run(session).await,
            Self::Check(args) => args.run(session).await,
            Self::Inspect(args) => Box::pin(args.run(session)).await,
            Self::Verify(args) => Box::pin(args.run(session)).await,
            Self::Cluster(args) => args.run(session).await,
            Self::Repo(args) => args.run(session).await,
            Self::Snapshot(args) => args.run(session).await,
            Self::Restore(args) => Box::pin(args.run(session)).await,
            Self::Compare(args) => Box::pin(args.run(session)).await,
            Self::Migrate(args) => Box::pin(args.run(session)).await,
        }
    }
}

/// The document of a command that failed as a whole.
#[derive(Debug, serde::Serialize)]
struct Failed<'a> {
    command: &'a str,
    outcome: &'static str,
    error: ErrorDocument,
}

/// An error in JSON.
#[derive(Debug, serde::Serialize)]
struct ErrorDocument {
    kind: &'static str,
    message: String,
    hint: Option<String>,
}

impl<'a> Failed<'a> {
    fn new(command: &'a str, outcome: Outcome, error: &Error) -> Self {
        Self { command, outcome: outcome.word(), error: ErrorDocument::new(error) }
    }
}

impl ErrorDocument {
    fn new(error: &Error) -> Self {
        Self { kind: error.kind().word(), message: error.to_string(), hint: error.advice().map(ToOwned::to_owned) }
    }
}

/// Logs of our own rooms only: a library's debug log may hold a signature.
fn start_log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::OFF,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let targets = Targets::new().with_target("snapferry", level);
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // Already set when several commands run in one process, as in tests.
    drop(match global.log_format {
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json()).try_init(),
    });
}

/// Opens one end of a copy.
async fn open(session: &Session, place: &StorePlace, access: Access) -> Result<End> {
    let meter = Arc::new(Meter::telling(place.location.to_string(), session.output.clone()));
    let store = store::open(&place.location, &place.options, access, meter.clone()).await?;
    let (options, shared) = (Arc::new(place.options.clone()), meter.clone());
    let reopen = Reopen::new(move |location| {
        let (options, meter) = (options.clone(), shared.clone());
        Box::pin(async move { store::open(&location, &options, access, meter).await })
    });
    let end = End::new(place.location.clone(), place.options.endpoint.clone(), store, meter);
    Ok(End { reopen: Some(reopen), ..end })
}
