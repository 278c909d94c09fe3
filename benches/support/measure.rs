//! One run of one program on one workload, between two fresh servers, and what must hold of it.
//!
//! Counts and content are checked, because they repeat exactly; times are only reported, because on a shared machine they
//! do not. Memory is checked for the product alone, against the bound that the project has set itself.

use std::time::Duration;

use serde_json::Value;

use super::Result;
use super::pair::{Pair, Store};
use super::process::{self, Server, Usage};
use super::program::Program;
use super::workload::Workload;

/// The most memory that a copy may take, whatever is copied.
const MEMORY_BOUND: u64 = 256 * 1024 * 1024;

/// What the part holds that tries out a server, once in a run: `snapferry`.
const PROBE: u64 = 9;

/// What one run used and did.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) client: Usage,
    pub(crate) wall: Duration,
    /// Processor time of both servers together.
    pub(crate) servers: Duration,
    pub(crate) from: Counts,
    pub(crate) to: Counts,
    /// What does not hold, in words.
    pub(crate) violations: Vec<String>,
}

/// What a server counted.
#[derive(Debug)]
pub(crate) struct Counts(pub(crate) Value);

impl Counts {
    /// A counter by name.
    fn get(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or(0)
    }

    /// Requests of one kind.
    fn of(&self, kind: &str) -> u64 {
        self.0["requests"][kind].as_u64().unwrap_or(0)
    }

    /// The kinds that occurred.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&str, u64)> {
        let kinds = self.0["requests"].as_object().into_iter().flatten();
        kinds.map(|(kind, number)| (kind.as_str(), number.as_u64().unwrap_or(0))).filter(|(_, number)| *number > 0)
    }

    /// All requests together.
    pub(crate) fn total(&self) -> u64 {
        self.requests().map(|(_, number)| number).sum()
    }
}

/// Runs `program` once.
pub(crate) fn measure(program: &Program, pair: Pair, workload: &Workload) -> Result<Sample> {
    let source = Server::start(Some(workload.source), None)?;
    let target = Server::start(workload.held_by_target(), Some(workload.source))?;
    let finished = process::run(program.command(pair, source.port, target.port)?)?;
    let (from, to) = (Counts(source.stats()?), Counts(target.stats()?));
    let servers = source.stop()?.cpu + target.stop()?.cpu;
    let mut violations: Vec<String> = finished.complaint.into_iter().collect();
    violations.extend(check_content(&to));
    if program.is_ours() {
        violations.extend(check_requests(&Allowed::of(program, pair, workload, &to), workload, &from, &to));
    }
    if matches!(program, Program::Snapferry { .. }) && finished.usage.peak_rss > MEMORY_BOUND {
        violations.push(format!("peak memory of {} bytes is above {MEMORY_BOUND}", finished.usage.peak_rss));
    }
    Ok(Sample { client: finished.usage, wall: finished.wall, servers, from, to, violations })
}

/// Every object is there, nothing else is, and no byte differs.
fn check_content(to: &Counts) -> Vec<String> {
    let zeros = ["differing_bytes", "wrong_objects", "open_uploads"];
    zeros.iter().filter(|name| to.get(name) > 0).map(|name| format!("{name} at the target: {}", to.get(name))).collect()
}

/// The requests beyond the needed ones that a program has to make, no more and no fewer.
struct Allowed {
    /// Looks at the source: the product looks at each object that goes in parts, for its attributes and its mark.
    looks: u64,
    /// Uploads of one part that are given back: the product tries once whether an unknown server of S3 checks trailers.
    probes: u64,
    /// Listings of the target at the end: the product looks whether it now lists what it acknowledged.
    audits: u64,
}

impl Allowed {
    fn of(program: &Program, pair: Pair, workload: &Workload, to: &Counts) -> Self {
        let in_parts = to.of("complete_multipart");
        if !matches!(program, Program::Snapferry { .. }) {
            return Self { looks: 0, probes: 0, audits: 0 };
        }
        Self {
            looks: in_parts,
            probes: u64::from(in_parts > 0 && pair.to == Store::S3),
            audits: u64::from(workload.to_move().0 > 0),
        }
    }
}

/// One GET and one PUT for each object or part, one upload for each object in parts, one page for each thousand keys, what is
/// allowed beyond that, and nothing else.
fn check_requests(allowed: &Allowed, workload: &Workload, from: &Counts, to: &Counts) -> Vec<String> {
    let (objects, bytes) = workload.to_move();
    let written = to.of("put") + to.of("complete_multipart");
    let needed = [
        ("gets against puts and parts", from.of("get") + allowed.probes, to.of("put") + to.of("upload_part")),
        ("uploads opened", to.of("create_multipart"), to.of("complete_multipart") + allowed.probes),
        ("uploads given back", to.of("abort_multipart"), allowed.probes),
        ("objects written", written, objects),
        ("looks at the source", from.of("head"), allowed.looks),
        ("bytes read", from.get("sent_bytes"), bytes),
        ("bytes written", to.get("received_bytes"), bytes + PROBE * allowed.probes),
        ("requests to the source that copy nothing", from.total() - from.of("list") - from.of("get"), allowed.looks),
        (
            "requests to the target that copy nothing",
            to.total() - to.of("list") - to.of("upload_part") - written,
            to.of("create_multipart") + allowed.probes,
        ),
        ("requests that the source refused", from.get("refused"), 0),
        ("requests that the target refused", to.get("refused"), 0),
    ];
    let differ = needed.into_iter().filter(|(_, counted, wanted)| counted != wanted);
    let (source_pages, target_pages) = workload.pages();
    let target_pages = target_pages + allowed.audits * source_pages;
    let pages =
        [("pages of the source", from.of("list"), source_pages), ("pages of the target", to.of("list"), target_pages)];
    // A listing may need one page to learn that there is no more.
    let too_many = pages.into_iter().filter(|(_, counted, wanted)| counted.abs_diff(*wanted) > 1);
    differ.chain(too_many).map(|(what, counted, wanted)| format!("{what}: {counted}, not {wanted}")).collect()
}
