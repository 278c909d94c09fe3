//! The floor: the smallest program that copies a bucket with hyper, against which the product's processor time is set.
//!
//! 1. It lists both sides page by page and joins the two listings (`relay::listing`).
//! 2. For each key that the target lacks, or has with another length, it makes one job, or one per part of a large object.
//! 3. Workers, each with one connection to either side, answer a job with one GET whose body is piped into one PUT
//!    (`relay::copy`).
//!
//! It signs nothing, checks nothing but the status, repeats nothing, and limits nothing except the number of workers. What a
//! product does beyond that is what the ratio to this program shows.

mod connection;
mod copy;
mod listing;

use std::io::Write;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use self::copy::{Copier, Job};
use self::listing::{Entry, Listing};
use super::Result;
use super::spec::parse_size;

/// How the floor program is started.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Address of the source, e.g. `127.0.0.1:9000`.
    #[arg(long)]
    from: String,
    /// Address of the target.
    #[arg(long)]
    to: String,
    /// How many jobs run at once, with two connections each. Eight is where both small and large objects cost least here: fewer
    /// wait more often, more fall out of the processor's cache.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// The length of a part of a large object.
    #[arg(long, default_value = "16MiB", value_parser = parse_size)]
    part_size: u64,
    /// Objects longer than this are copied in parts.
    #[arg(long, default_value = "32MiB", value_parser = parse_size)]
    multipart_above: u64,
    /// Computes a CRC-64/NVME of every byte on its way.
    #[arg(long)]
    checksum: bool,
    /// Threads of the runtime; one is the cheapest.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// Copies what the target lacks, and prints how many objects that were.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut builder = match options.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(options.threads).enable_io().build()?;
    let copied = runtime.block_on(relay(options))?;
    writeln!(std::io::stdout(), "copied {copied} objects")?;
    Ok(())
}

async fn relay(options: &Options) -> Result<u64> {
    let (sender, receiver) = mpsc::channel(2 * options.concurrency);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut workers = JoinSet::new();
    for _ in 0..options.concurrency {
        let copier = Copier::open(&options.from, &options.to, options.checksum).await?;
        workers.spawn(copier.work(Arc::clone(&receiver)));
    }
    // The workers hold the only receivers now: when they fail, so does the sender.
    drop(receiver);
    let planned = plan(options, &sender).await;
    drop(sender);
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    planned
}

/// Steps 1 and 2.
async fn plan(options: &Options, jobs: &mpsc::Sender<Job>) -> Result<u64> {
    let mut source = Listing::open(&options.from).await?;
    let mut target = Listing::open(&options.to).await?;
    let mut opener = Copier::open(&options.from, &options.to, options.checksum).await?;
    let mut copied = 0;
    let mut there = target.next().await?;
    while let Some(wanted) = source.next().await? {
        while there.as_ref().is_some_and(|there| there.key < wanted.key) {
            there = target.next().await?;
        }
        if there.as_ref() == Some(&wanted) {
            continue;
        }
        copied += 1;
        send(options, &mut opener, wanted, jobs).await?;
    }
    // The rest of the target is listed as well: a tool that reports extra objects has to.
    while there.is_some() {
        there = target.next().await?;
    }
    Ok(copied)
}

async fn send(options: &Options, opener: &mut Copier, entry: Entry, jobs: &mpsc::Sender<Job>) -> Result<()> {
    let all = if entry.size > options.multipart_above {
        opener.split(entry, options.part_size).await?
    } else {
        vec![Job::Whole { key: entry.key }]
    };
    for job in all {
        jobs.send(job).await.map_err(|_| "every worker has stopped")?;
    }
    Ok(())
}
