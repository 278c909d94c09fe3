//! Measures what a copy of a repository costs by what has changed: a first copy, a run without a change, and one more snapshot.
//!
//! `cargo bench --bench increments -- [BLOBS…] [--json FILE]`; 1,000, 100,000 and 1,000,000 blobs if none are named. With `--peers`
//! the program and other people's tools instead, through a server: `support/beside`; 1,000 and 100,000 blobs if none are named.
//!
//! 1. Every size runs in a process of its own, this binary started again, so that no size pays for another's memory.
//! 2. There a synthetic repository is copied to a target that keeps one bit for each object: `support/synthetic`.
//! 3. Requests are counted by the stores, processor time and the most memory by the kernel, for each run apart.
//!
//! Reading and checking the synthetic repository costs processor time too; the row `floor` is that alone, for every object once.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use snapferry::event::Silent;
use snapferry::ops::End;
use snapferry::ops::sync::{Options, run};
use snapferry::store::{GetOptions, ListOptions, Location, Meter, ObjectStore, PutOptions};
use tokio_util::sync::CancellationToken;

use self::synthetic::{Shape, Synthetic, Target, Time};

#[path = "support/beside/mod.rs"]
mod beside;
#[path = "../tests/support/forge/blob.rs"]
#[expect(dead_code, reason = "the forge uses the rest")]
mod blob;
#[path = "../tests/support/double/mod.rs"]
mod double;
#[expect(dead_code, clippy::disallowed_methods, reason = "the benchmark of copies uses the rest")]
mod support;
#[path = "support/synthetic/mod.rs"]
mod synthetic;

/// The program's own, for the same memory and time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The sizes of the project's goals.
const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
/// How many of them are tried beside others: the servers keep every object.
const BESIDE: usize = 2;

/// A failure that ends the benchmark.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures copies of repositories of several sizes.
#[derive(Debug, Parser)]
#[command(name = "increments")]
struct Cli {
    /// How many blobs.
    blobs: Vec<u64>,
    /// Also writes every figure to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Sets the program beside rclone and juicefs, as far as they are in the folder `SNAPFERRY_PEERS` or on the search path.
    #[arg(long)]
    peers: bool,
    /// Given by this binary to itself: serves a repository of so many blobs.
    #[arg(long, hide = true)]
    serve: Option<u64>,
    /// Given by this binary to itself: measures one size and prints JSON.
    #[arg(long, hide = true)]
    alone: bool,
    /// Given by `cargo bench`, and by nobody else.
    #[arg(long = "bench", hide = true)]
    from_cargo: bool,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark speaks to whoever started it")]
fn main() -> ExitCode {
    if std::env::args_os().len() == 1 {
        // `cargo test --all-targets` starts benchmarks too, without a word; it has not asked for minutes of measuring.
        return ExitCode::SUCCESS;
    }
    let cli = Cli::parse();
    let measured = match (cli.alone, cli.serve) {
        (true, _) => alone(&cli).map(|value| println!("{value}")),
        (_, Some(blobs)) => beside::serve::run(blobs),
        _ if cli.peers => beside(&cli),
        _ => all(&cli),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("increments: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Measures every size in a process of its own.
#[expect(clippy::print_stdout, reason = "the table is what a benchmark is run for")]
fn all(cli: &Cli) -> Result<(), Failure> {
    let sizes = if cli.blobs.is_empty() { SIZES.to_vec() } else { cli.blobs.clone() };
    let mut figures = Vec::new();
    println!("{:>9} {:<10} {:>8} {:>8} {:>8}  requests", "blobs", "run", "CPU-s", "RSS MiB", "wall s");
    for size in sizes {
        let mut command = Command::new(std::env::current_exe()?);
        let output =
            command.args(["--alone", &size.to_string()]).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("the run with {size} blobs failed: {}", output.status).into());
        }
        let rows: Value = serde_json::from_slice(&output.stdout)?;
        for row in rows.as_array().into_iter().flatten() {
            println!(
                "{:>9} {:<10} {:>8.3} {:>8.1} {:>8.2}  {}",
                row["blobs"].as_u64().unwrap_or(0),
                row["run"].as_str().unwrap_or_default(),
                row["cpu_seconds"].as_f64().unwrap_or(f64::NAN),
                mib(row),
                row["wall_seconds"].as_f64().unwrap_or(f64::NAN),
                requests(row),
            );
        }
        figures.push(rows);
    }
    write(cli, &figures.into())
}

/// Measures the program and its peers on every size.
#[expect(clippy::print_stdout, reason = "the table is what a benchmark is run for")]
fn beside(cli: &Cli) -> Result<(), Failure> {
    let sizes = if cli.blobs.is_empty() { SIZES[..BESIDE].to_vec() } else { cli.blobs.clone() };
    let mut figures = Vec::new();
    println!(
        "{:>9} {:<14} {:<10} {:>8} {:>6} {:>8} {:>8}  requests",
        "blobs", "program", "run", "CPU-s", "x", "RSS MiB", "wall s"
    );
    for size in sizes {
        let rows = beside::measure(size, |row| {
            println!(
                "{:>9} {:<14} {:<10} {:>8.3} {:>6.1} {:>8.1} {:>8.2}  {}{}",
                row["blobs"].as_u64().unwrap_or(0),
                row["program"].as_str().unwrap_or_default(),
                row["run"].as_str().unwrap_or_default(),
                row["cpu_seconds"].as_f64().unwrap_or(f64::NAN),
                row["cpu_ratio"].as_f64().unwrap_or(f64::NAN),
                mib(row),
                row["wall_seconds"].as_f64().unwrap_or(f64::NAN),
                requests(row),
                remark(row),
            );
        })?;
        figures.push(Value::from(rows));
    }
    write(cli, &figures.into())
}

fn write(cli: &Cli, figures: &Value) -> Result<(), Failure> {
    match &cli.json {
        Some(path) => Ok(std::fs::write(path, serde_json::to_vec_pretty(figures)?)?),
        None => Ok(()),
    }
}

fn mib(row: &Value) -> f64 {
    row["peak_rss_bytes"].as_f64().unwrap_or(f64::NAN) / 1024.0 / 1024.0
}

/// The requests to both sides: how many, and of which kinds.
fn requests(row: &Value) -> String {
    let side = |side: &str| {
        let kinds =
            || row[side].as_object().into_iter().flatten().map(|(kind, count)| (kind, count.as_u64().unwrap_or(0)));
        let named: Vec<String> =
            kinds().filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{count} {kind}")).collect();
        (kinds().map(|(_, count)| count).sum::<u64>(), named.join(", "))
    };
    let ((from, from_kinds), (to, to_kinds)) = (side("from"), side("to"));
    format!("{} = source {from} ({from_kinds}) + target {to} ({to_kinds})", from + to)
}

/// What is wrong with the target, or with the run.
fn remark(row: &Value) -> String {
    let mut remark = String::new();
    for what in ["missing", "extra", "differing"] {
        if row[what].as_u64().unwrap_or(0) > 0 {
            remark.push_str(&format!("; {what}: {}", row[what]));
        }
    }
    for what in ["first_differing", "complaint"] {
        if let Some(text) = row[what].as_str() {
            remark.push_str(&format!("; {what}: {text}"));
        }
    }
    remark
}

/// Measures one size in this process.
fn alone(cli: &Cli) -> Result<Value, Failure> {
    let [blobs] = cli.blobs[..] else { return Err("one size at a time".into()) };
    tokio::runtime::Runtime::new()?.block_on(measure(blobs))
}

async fn measure(blobs: u64) -> Result<Value, Failure> {
    let shape = Shape::of(blobs);
    let (from, to) = (Arc::<Meter>::default(), Arc::<Meter>::default());
    let before = Synthetic::new(shape, Time::Before, from.clone());
    let after = Synthetic::new(shape, Time::After, from.clone());
    let target = Target::new(after.clone(), to.clone());
    let blobs = shape.objects(Time::Before);
    let bench = Bench { blobs, from, to };
    let mut rows = Vec::new();
    let spare = Target::new(before.clone(), Arc::default());
    rows.push(bench.row("floor", read(&before, &spare)).await?);
    drop(spare);
    rows.push(bench.row("first", copy(&before, &target, &bench)).await?);
    rows.push(bench.row("no-change", copy(&before, &target, &bench)).await?);
    rows.push(bench.row("one-more", copy(&after, &target, &bench)).await?);
    let (same, others) = target.holds();
    if same < blobs - 2 {
        return Err(format!("of {blobs} objects the target holds {same} as they are, and {others} others").into());
    }
    Ok(rows.into())
}

/// Reads every object and writes it, one after the other: what the two stores cost by themselves.
async fn read(source: &Synthetic, target: &Target) -> Result<(), Failure> {
    let mut pages = source.list(ListOptions::default());
    while let Some(page) = pages.try_next().await? {
        for meta in page {
            let got = source.get(&meta.key, GetOptions::default()).await?;
            target.put(&meta.key, got.body, &PutOptions::default()).await?;
        }
    }
    Ok(())
}

/// Copies with the product.
async fn copy(source: &Synthetic, target: &Target, bench: &Bench) -> Result<(), Failure> {
    let end = |name: &str, store: Arc<dyn ObjectStore>, meter: &Arc<Meter>| -> Result<End, Failure> {
        Ok(End::new(Location::parse(&format!("s3://{name}"))?, None, store, meter.clone()))
    };
    let from = end("source", Arc::new(source.clone()), &bench.from)?;
    let to = end("target", Arc::new(target.clone()), &bench.to)?;
    let options = Options { replans: 3, ..Options::default() };
    // The future of a whole sync is large.
    let report = Box::pin(run(&from, &to, &options, Arc::new(Silent), CancellationToken::new())).await;
    match report.error {
        Some(error) => Err(error.into()),
        None if report.summary.failed.objects > 0 => Err("some objects were not copied".into()),
        None => Ok(()),
    }
}

/// What all runs of one size share.
struct Bench {
    blobs: u64,
    from: Arc<Meter>,
    to: Arc<Meter>,
}

impl Bench {
    /// Measures one run.
    async fn row(&self, name: &str, run: impl Future<Output = Result<(), Failure>>) -> Result<Value, Failure> {
        forget_peak();
        let (from, to, ticks, slices, wall) =
            (self.from.totals(), self.to.totals(), ticks()?, slices()?, Instant::now());
        run.await?;
        // The ticks are coarse, and the slices lack threads that ended: the larger is nearer.
        let used = self::ticks()?.saturating_sub(ticks).max(self::slices()?.saturating_sub(slices));
        Ok(json!({
            "blobs": self.blobs,
            "run": name,
            "wall_seconds": wall.elapsed().as_secs_f64(),
            "cpu_seconds": used.as_secs_f64(),
            "peak_rss_bytes": peak()?,
            "from": since(&self.from, &from),
            "to": since(&self.to, &to),
        }))
    }
}

/// The requests sent since a meter showed `before`.
fn since(meter: &Meter, before: &[(&'static str, u64)]) -> Value {
    let old = |kind: &str| before.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count);
    meter.totals().iter().map(|(kind, count)| ((*kind).to_owned(), Value::from(count - old(kind)))).collect()
}

/// User and system time of this process: fields 14 and 15 of proc(5)'s stat, in hundredths of a second.
fn ticks() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("the kernel says nothing of this process")?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// The time that all threads of this process ran: the first field of their schedstat, in nanoseconds. Zero where the kernel keeps none.
fn slices() -> Result<Duration, Failure> {
    let mut slices = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        slices += text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(slices))
}

/// The most memory that was resident since [`forget_peak`], in bytes.
fn peak() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("the kernel says no peak")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Lets the kernel forget the peak of this process (proc(5), `clear_refs`). Where it may not, the peak is that of all runs so far.
fn forget_peak() {
    let _refused = std::fs::write("/proc/self/clear_refs", "5");
}
