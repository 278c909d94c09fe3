//! `snapferry check`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::exit::{self, Outcome};
use super::output::{Bytes, Count, Output, elapsed};
use super::{ErrorDocument, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::check::{Finding, Options, Report, run};
use crate::store::conformance::Held;
use crate::store::{Capability, Setting};

/// Try what a store can do, and what it gets wrong
///
/// Writes to a scratch location of its own below the place (`snapferry-check-<random>/`), touches nothing else, and removes what it
/// wrote, also after a signal. Tries every promise that snapferry relies on: keys that break tools, listings of several pages,
/// conditions, attributes, uploads in parts, batches, copies by the server, checksums. Then it tells which keys of `[store.<name>]`
/// fit the server.
///
/// It needs the rights to put, get, list and delete objects and to abort uploads. It sends about 2,000 requests, most of them puts
/// of one byte, and moves about 20 MiB: parts cannot be smaller than the store's smallest, 5 MiB in most. A key that the store cannot
/// hold is told and is no finding; a promise that is broken is one (exit 4).
///
/// For example `snapferry check minio/scratch`, or `snapferry check s3://bucket --json`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    /// Where to try: `s3://bucket/prefix`, `file:///absolute/path`, or the name of a configured store, with an optional path behind it
    location: String,
}

/// What was found, as `--json` shows it. Fields are added, never renamed.
#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    outcome: &'static str,
    location: String,
    scratch: String,
    verdicts: Vec<VerdictDocument<'a>>,
    capability: CapabilityDocument,
    profile: BTreeMap<&'static str, Setting>,
    requests: BTreeMap<&'static str, u64>,
    elapsed_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<ErrorDocument>,
}

#[derive(Serialize)]
struct VerdictDocument<'a> {
    promise: u32,
    tried: &'static str,
    outcome: &'static str,
    error: Option<ErrorDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'static str>,
    unable: Vec<UnableDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Serialize)]
struct UnableDocument<'a> {
    key: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct CapabilityDocument {
    max_object: u64,
    max_put: u64,
    min_part: u64,
    max_part: u64,
    max_parts: u32,
    attributes: bool,
    checksums: Vec<&'static str>,
    server_copy: bool,
    max_copy: Option<u64>,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let place = session.config.place(&self.location)?;
        let options = Options { location: place.location.clone(), store: place.options };
        let begun = Instant::now();
        let report = run(&options, session.output.as_ref(), &session.cancel).await?;
        session.output.end_progress();
        let ended = ended(&report);
        if session.output.is_json() {
            session.output.document(&document(&place.location.to_string(), ended, &report, begun.elapsed()))?;
        } else {
            self.print(&session.output, &report, begun.elapsed())?;
        }
        for error in [&report.error, &report.left].into_iter().flatten() {
            session.output.error(error);
        }
        Ok(ended)
    }

    fn print(&self, output: &Output, report: &Report, took: Duration) -> Result<()> {
        for finding in &report.findings {
            print_finding(output, finding)?;
        }
        output.line("")?;
        output.line("what it can do")?;
        for (name, value) in table(&report.capability, &report.stated) {
            output.line(&format!("  {name:<24}{value}"))?;
        }
        if !report.settings.is_empty() {
            let name = self.location.split('/').next().filter(|_| !self.location.contains("://"));
            output.line("")?;
            output.line(&format!(
                "the keys that fit it, for the configuration\n\n[store.{}]",
                name.unwrap_or("<name>")
            ))?;
            for (key, value) in report.settings.iter().filter(|(_, value)| !value.is_open()) {
                output.line(&format!("{key} = {value}"))?;
            }
        }
        output.line("")?;
        let requests = Count(report.meter.totals().iter().map(|(_, count)| count).sum(), "request");
        if report.left.is_none() {
            output.line(&format!("{requests} in {}; everything that was written is removed", elapsed(took)))
        } else {
            output.line(&format!("{requests} in {}; something may be left in `{}`", elapsed(took), report.scratch))
        }
    }
}

/// The exit code: a promise that broke for want of a right or of a server says nothing about the store.
fn ended(report: &Report) -> Outcome {
    if let Some(error) = &report.error {
        return Outcome::of(error);
    }
    let broken: Vec<Outcome> =
        report.findings.iter().filter_map(|finding| finding.verdict.result.as_ref().err()).map(Outcome::of).collect();
    let only = |outcome| broken.iter().all(|one| *one == outcome);
    match &report.left {
        _ if !broken.is_empty() && only(Outcome::Denied) => Outcome::Denied,
        _ if !broken.is_empty() && only(Outcome::Unavailable) => Outcome::Unavailable,
        _ if !broken.is_empty() => Outcome::Findings,
        Some(error) => Outcome::of(error),
        None => Outcome::Done,
    }
}

fn print_finding(output: &Output, finding: &Finding) -> Result<()> {
    let verdict = &finding.verdict;
    let (word, more) = match &verdict.result {
        Ok(Held::Kept) => ("ok", String::new()),
        Ok(Held::Cannot(why)) => ("cannot", format!(": {why}")),
        Err(_) => ("FAILED", String::new()),
    };
    output.line(&format!("{:>3}  {word:<6}  {}{more}", verdict.promise, verdict.tried))?;
    if let Err(error) = &verdict.result {
        output.line(&format!("{:13}{}", "", why(error)))?;
    }
    for unable in &verdict.unable {
        output.line(&format!("{:13}cannot hold {:?}: {}", "", unable.key, unable.why))?;
    }
    if let Some((key, value)) = finding.remedy {
        output.line(&format!("{:13}better with `{key} = {value}`", ""))?;
    }
    Ok(())
}

/// What broke, without the sentence that stands above it.
fn why(error: &Error) -> String {
    match (error.kind(), error.cause()) {
        (ErrorKind::Corrupt, Some(cause)) => cause,
        _ => error.to_string(),
    }
}

/// An exbibyte: no store has such a limit, and no machine such a file.
const NO_LIMIT: u64 = 1 << 60;

fn table(capability: &Capability, stated: &[(&'static str, bool)]) -> Vec<(&'static str, String)> {
    let sums: Vec<&str> = stated.iter().map(|(word, _)| *word).collect();
    let copies = capability.copy.as_ref().map_or_else(
        || "no".to_owned(),
        |copy| format!("up to {} in one request, larger ones in parts", Bytes(copy.max)),
    );
    let most = |bytes| if bytes < NO_LIMIT { Bytes(bytes).to_string() } else { "any".to_owned() };
    let parts = Count(capability.max_parts.into(), "part");
    vec![
        ("largest object", most(capability.max_object)),
        ("largest put", most(capability.max_put)),
        ("parts", format!("{} to {}, at most {parts}", Bytes(capability.min_part), Bytes(capability.max_part))),
        ("headers and metadata", if capability.attributes { "kept" } else { "no" }.to_owned()),
        ("checksums it states", if sums.is_empty() { "none".to_owned() } else { sums.join(", ") }),
        ("copies by the server", copies),
    ]
}

fn document<'a>(location: &str, ended: Outcome, report: &'a Report, took: Duration) -> Document<'a> {
    let capability = &report.capability;
    Document {
        command: "check",
        outcome: ended.word(),
        location: location.to_owned(),
        scratch: report.scratch.to_string(),
        verdicts: report.findings.iter().map(verdict_document).collect(),
        capability: CapabilityDocument {
            max_object: capability.max_object,
            max_put: capability.max_put,
            min_part: capability.min_part,
            max_part: capability.max_part,
            max_parts: capability.max_parts,
            attributes: capability.attributes,
            checksums: report.stated.iter().map(|(word, _)| *word).collect(),
            server_copy: capability.copy.is_some(),
            max_copy: capability.copy.as_ref().map(|copy| copy.max),
        },
        profile: report.settings.iter().copied().collect(),
        requests: report.meter.totals().into_iter().collect(),
        elapsed_seconds: took.as_secs_f64(),
        error: report.error.as_ref().map(ErrorDocument::new),
        left: report.left.as_ref().map(ErrorDocument::new),
    }
}

fn verdict_document(finding: &Finding) -> VerdictDocument<'_> {
    let verdict = &finding.verdict;
    let (outcome, because) = match &verdict.result {
        Ok(Held::Kept) => ("ok", None),
        Ok(Held::Cannot(why)) => ("cannot", Some(*why)),
        Err(_) => ("failed", None),
    };
    VerdictDocument {
        promise: verdict.promise,
        tried: verdict.tried,
        outcome,
        error: verdict.result.as_ref().err().map(ErrorDocument::new),
        because,
        unable: verdict.unable.iter().map(|unable| UnableDocument { key: &unable.key, why: &unable.why }).collect(),
        remedy: finding.remedy.map(|(key, value)| format!("{key} = {value}")),
    }
}
