//! Measures what copying costs: processor time, memory and requests of the product beside the smallest program that does it.
//!
//! `cargo bench --bench copy -- [WORKLOAD…] [--rounds N] [--json FILE]`; README.md beside this file tells how to read the result.
//!
//! 1. For every pair of stores, every workload, and in every round, each program runs once, between two servers started for it: A B A B, so that
//!    what else the machine does hits all programs alike.
//! 2. The servers' counts are checked, and every byte that arrived.
//! 3. Medians over the rounds are printed, with ratios to the floor.
//!
//! The servers and the floor are this binary, started again as `serve` and `relay`.

#![expect(
    clippy::disallowed_methods,
    reason = "the servers and the floor are programs of their own and own their tasks"
)]

mod support;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use self::support::measure::measure;
use self::support::pair::Pair;
use self::support::peer::{Peer, Tool};
use self::support::program::Program;
use self::support::report::{Report, Row};
use self::support::workload::Workload;
use self::support::{Result, relay, server};

/// Measures snapferry beside the smallest program that copies, and checks every request and every byte.
#[derive(Debug, Parser)]
#[command(name = "copy", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    bench: Bench,
}

/// What this binary is when the harness starts it again.
#[derive(Debug, Subcommand)]
enum Part {
    /// Serves a bucket that stores nothing, to clients of S3 and of OSS.
    Serve(server::Options),
    /// Copies a bucket with as little as possible.
    Relay(relay::Options),
}

#[derive(Debug, clap::Args)]
struct Bench {
    /// `one-4GiB`, `bulk-16x256MiB`, `small-100k`, `no-change-100k`, or e.g. `objects=100,size=1MiB[,unchanged]`; all known ones
    /// if none is named.
    workloads: Vec<Workload>,
    /// How often each program runs.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Between which stores: `s3-s3` (if none is named), `s3-oss`, `oss-qingstor`; several with commas.
    #[arg(long, value_delimiter = ',')]
    pairs: Vec<Pair>,
    /// Measures the peers as well that are installed, in the folder `SNAPFERRY_PEERS` or on the search path.
    #[arg(long)]
    peers: bool,
    /// Measures this build of snapferry instead of the one just built; may be repeated, to set two builds side by side.
    #[arg(long)]
    snapferry: Vec<PathBuf>,
    /// Measures the floor alone.
    #[arg(long)]
    floor_only: bool,
    /// Also writes every round to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Given by `cargo bench`, and by nobody else.
    #[arg(long = "bench", hide = true)]
    from_cargo: bool,
}

fn main() -> ExitCode {
    if std::env::args_os().len() == 1 {
        // `cargo test --all-targets` starts benchmarks too, without a word; it has not asked for minutes of measuring.
        return ExitCode::SUCCESS;
    }
    let cli = Cli::parse();
    let result = match cli.part {
        Some(Part::Serve(options)) => server::run(&options).map(|()| true),
        Some(Part::Relay(options)) => relay::run(&options).map(|()| true),
        None => bench(&cli.bench),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            // When standard error is gone, the exit code still tells.
            let _gone = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints and writes; whether everything held.
fn bench(options: &Bench) -> Result<bool> {
    let chosen = &options.workloads;
    let workloads = if chosen.is_empty() { Workload::all()? } else { chosen.clone() };
    let pairs = if options.pairs.is_empty() { &Pair::ALL[..1] } else { &options.pairs };
    let programs = programs(options)?;
    let mut reports = Vec::new();
    for &pair in pairs {
        for workload in &workloads {
            let mut report = measure_all(&programs, pair, workload, options.rounds)?;
            report.absent = absent(options);
            write!(std::io::stdout(), "{}", report.table())?;
            reports.push(report);
        }
    }
    if let Some(path) = &options.json {
        let all: Vec<_> = reports.iter().map(Report::to_json).collect();
        std::fs::write(
            path,
            format!("{:#}\n", json!({ "machine": machine(), "peers": versions(options), "workloads": all })),
        )?;
    }
    // Peers may break our rules; they are shown as wrong, and that is all.
    let ours = programs.iter().filter(|program| program.is_ours()).count();
    let samples = reports.iter().flat_map(|report| report.rows.iter().take(ours)).flat_map(|row| &row.samples);
    Ok(samples.into_iter().all(|sample| sample.violations.is_empty()))
}

/// The programs, the floor first and the peers last.
fn programs(options: &Bench) -> Result<Vec<Program>> {
    let mut programs = vec![Program::Floor { has_checksum: false }, Program::Floor { has_checksum: true }];
    if !options.floor_only {
        let built = vec![PathBuf::from(env!("CARGO_BIN_EXE_snapferry"))];
        for path in if options.snapferry.is_empty() { &built } else { &options.snapferry } {
            // The product runs in another folder, so the path may not be relative.
            let path = path.canonicalize().map_err(|failure| format!("`{}`: {failure}", path.display()))?;
            programs.push(Program::Snapferry { path });
        }
    }
    if options.peers {
        programs.extend(Peer::all().filter(|peer| peer.tool.path().is_some()).map(Program::Peer));
    }
    Ok(programs)
}

/// The peers that were asked for and are not here.
fn absent(options: &Bench) -> Vec<&'static str> {
    let missing = Tool::ALL.into_iter().filter(|tool| options.peers && tool.path().is_none());
    missing.map(Tool::name).collect()
}

fn versions(options: &Bench) -> Vec<String> {
    Tool::ALL.into_iter().filter(|_| options.peers).filter_map(Tool::version).collect()
}

fn measure_all(programs: &[Program], pair: Pair, workload: &Workload, rounds: u32) -> Result<Report> {
    let row = |program: &Program| Row { program: program.name(), speaks: program.speaks(pair), samples: Vec::new() };
    let mut rows: Vec<Row> = programs.iter().map(row).collect();
    for round in 1..=rounds {
        for (program, row) in programs.iter().zip(&mut rows) {
            writeln!(std::io::stderr(), "{pair} {}: round {round} of {rounds}: {}", workload.name, row.program)?;
            row.samples.push(measure(program, pair, workload)?);
        }
    }
    Ok(Report { workload: workload.clone(), pair, absent: Vec::new(), rows })
}

/// Where it was measured, as far as the system tells.
fn machine() -> serde_json::Value {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({ "processor": model, "cores": cores, "kernel": kernel.trim() })
}
