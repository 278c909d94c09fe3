//! The product and other people's tools on one synthetic repository: the same objects behind a strict server of S3.
//!
//! 1. Two servers in a process of their own ([`serve`]) hold the source and an empty target, for each program anew.
//! 2. The program copies, copies again, and copies once more when the source has one more snapshot.
//! 3. The servers count its requests, the kernel its processor time and its memory: those of the program alone.

pub(crate) mod serve;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::Failure;
use crate::support::pair::Pair;
use crate::support::peer::{Peer, Tool};
use crate::support::process;
use crate::support::program::snapferry;

type Result<T> = std::result::Result<T, Failure>;

/// A program that is set beside others.
enum Program {
    Snapferry,
    Peer(Peer),
}

impl Program {
    /// The product, and the peers that know how to follow a change and are installed.
    fn all() -> impl Iterator<Item = Self> {
        let peers = Peer::all().filter(|peer| peer.tool != Tool::S3sync && peer.tool.path().is_some());
        std::iter::once(Self::Snapferry).chain(peers.map(Self::Peer))
    }

    fn name(&self) -> String {
        match self {
            Self::Snapferry => "snapferry".to_owned(),
            Self::Peer(peer) => peer.name(),
        }
    }

    fn command(&self, [from, to]: [u16; 2]) -> Command {
        let pair = Pair::ALL[0];
        match self {
            Self::Snapferry => snapferry(Command::new(env!("CARGO_BIN_EXE_snapferry")), pair, from, to),
            Self::Peer(peer) => peer.command(pair, from, to),
        }
    }
}

/// Measures all programs on a repository of so many blobs. One row for each program and run; `tell` gets each as it comes.
pub(crate) fn measure(blobs: u64, mut tell: impl FnMut(&Value)) -> Result<Vec<Value>> {
    let mut rows: Vec<Value> = Vec::new();
    for program in Program::all() {
        let mut servers = Servers::start(blobs)?;
        for run in ["first", "no-change", "one-more"] {
            if run == "one-more" {
                servers.ask("after")?;
            }
            let finished = process::run(program.command(servers.ports))?;
            let mut row = servers.ask("look")?;
            row["program"] = program.name().into();
            row["run"] = run.into();
            row["cpu_seconds"] = finished.usage.cpu.as_secs_f64().into();
            row["peak_rss_bytes"] = finished.usage.peak_rss.into();
            row["wall_seconds"] = finished.wall.as_secs_f64().into();
            row["complaint"] = json!(finished.complaint);
            // The first rows are the product's.
            let ours = rows.iter().find(|row| row["run"] == run).unwrap_or(&row);
            row["cpu_ratio"] = json!(ratio(&row["cpu_seconds"], &ours["cpu_seconds"]));
            tell(&row);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn ratio(one: &Value, other: &Value) -> Option<f64> {
    Some(one.as_f64()? / other.as_f64()?)
}

/// The process with both servers; it ends with this value, or with the harness.
struct Servers {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    ports: [u16; 2],
}

impl Servers {
    fn start(blobs: u64) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", &blobs.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let asks = child.stdin.take().ok_or("standard input was piped")?;
        let answers = BufReader::new(child.stdout.take().ok_or("standard output was piped")?);
        let mut servers = Self { child, asks, answers, ports: [0; 2] };
        servers.ports = serde_json::from_value(servers.ask("ports")?)?;
        Ok(servers)
    }

    fn ask(&mut self, what: &str) -> Result<Value> {
        writeln!(self.asks, "{what}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
