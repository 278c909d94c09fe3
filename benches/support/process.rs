//! Processes of the benchmark: started, awaited, and charged with the processor time and the memory they used.
//!
//! The numbers are those of wait4(2), that is of the whole life of one child. Its peak memory is never below that of the
//! harness itself at the moment it forked, which is a few MiB.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wait4::{ResUse, Wait4};

use super::Result;
use super::spec::Spec;

/// How much of what a failed program said is repeated.
const LONGEST_COMPLAINT: usize = 2_000;

/// What a process used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// User and system time of all its threads.
    pub(crate) cpu: Duration,
    /// The most memory that was resident at once.
    pub(crate) peak_rss: u64,
}

impl Usage {
    fn of(used: &ResUse) -> Self {
        Self { cpu: used.rusage.utime + used.rusage.stime, peak_rss: used.rusage.maxrss }
    }
}

/// A program that ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) usage: Usage,
    pub(crate) wall: Duration,
    /// What it said, if it ended with anything but success.
    pub(crate) complaint: Option<String>,
}

/// Runs a program to its end. What it prints is thrown away unless it fails.
pub(crate) fn run(mut command: Command) -> Result<Finished> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().ok_or("standard error was piped")?;
    let complaint = std::thread::spawn(move || read_all(stderr));
    let stdout = child.stdout.take().map(read_all).unwrap_or_default();
    let used = child.wait4()?;
    let wall = start.elapsed();
    let stderr = complaint.join().map_err(|_| "the reader of standard error panicked")?;
    let complaint = (!used.status.success()).then(|| format!("{}: {}{}", used.status, tail(&stderr), tail(&stdout)));
    Ok(Finished { usage: Usage::of(&used), wall, complaint })
}

fn read_all(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // A pipe that breaks ends what can be known; what came before it is still shown.
    let _broken = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(LONGEST_COMPLAINT);
    let start = (start..text.len()).find(|&place| text.is_char_boundary(place)).unwrap_or(start);
    text[start..].trim_end()
}

/// A server of the benchmark in a process of its own; it ends with this value, or with the harness.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one whose bucket holds something and is expected to hold something in the end.
    pub(crate) fn start(holds: Option<Spec>, expects: Option<Spec>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--until-stdin-closes"]);
        for (name, spec) in [("--holds", holds), ("--expects", expects)] {
            if let Some(spec) = spec {
                command.args([name, &spec.to_string()]);
            }
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("standard output was piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { child, port: line.trim().parse().map_err(|_| "a server did not say its port")? })
    }

    /// What it counted.
    pub(crate) fn stats(&self) -> Result<Value> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.write_all(b"GET /_stats HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("a server gave no counts")?;
        Ok(serde_json::from_str(body)?)
    }

    /// Ends it.
    pub(crate) fn stop(mut self) -> Result<Usage> {
        self.child.kill()?;
        Ok(Usage::of(&self.child.wait4()?))
    }
}
