//! Hooks: a command or a webhook before and after steps.
//!
//! 1. A text that begins with `https://` or `http://` is a webhook: it gets a `POST` with a JSON document, and must answer 2xx.
//! 2. Any other text is a command for `sh -c`; a list is a program with its arguments, run without a shell.
//! 3. A command gets `PATH`, `HOME`, `LANG` and `TZ` of ours and what it is told; of our environment, which may hold secrets, nothing else.
//! 4. What is called before a step and fails ends the round there; after a step it only warns.
//!
//! A round that goes on after an interruption calls the hooks of the step that it begins again: a hook may be called more than once.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use http::Request;
use serde::Serialize;

use super::machine::Machine;
use super::state::Round;
use super::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::wire;

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A text for `sh -c`.
    Shell(String),
    /// A program with its arguments.
    Program(Vec<String>),
    /// An address that gets a `POST`.
    Web(String),
}

/// When it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum When {
    /// Before the step.
    Before,
    /// After it, however it ended.
    After,
}

/// The hooks of a job.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    before: BTreeMap<Step, Call>,
    after: BTreeMap<Step, Call>,
    /// How long one may take.
    limit: Option<Duration>,
}

/// What a hook is told. A command gets the same in its environment.
#[derive(Debug, Serialize)]
struct Told<'a> {
    job: &'a str,
    phase: &'static str,
    round: u32,
    step: &'static str,
    when: When,
    outcome: &'a str,
    snapshot: &'a str,
}

/// A hook takes no longer than this unless another limit is set: long enough to switch an alias, short enough to notice.
const LIMIT: Duration = Duration::from_mins(1);

/// What is passed on of our own environment.
const PASSED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// The end of what a failing hook wrote, in an error.
const SHOWN: usize = 400;

impl Hooks {
    /// None yet, each of which may take so long; a minute if nothing is said.
    #[must_use]
    pub fn within(limit: Option<Duration>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Adds a hook by its name: `before_<step>` or `after_<step>`. Returns whether there is such a step.
    pub fn add(&mut self, name: &str, call: Call) -> bool {
        let found = [("before_", &mut self.before), ("after_", &mut self.after)]
            .into_iter()
            .find_map(|(prefix, calls)| Some((Step::of(&name.strip_prefix(prefix)?.replace('_', "-"))?, calls)));
        match found {
            Some((step, calls)) => {
                calls.insert(step, call);
                true
            }
            None => false,
        }
    }
}

/// Calls what is to be called, if anything is.
pub(super) async fn call(machine: &Machine<'_>, when: When, step: Step, outcome: Option<&'static str>) -> Result<()> {
    let hooks = &machine.job.hooks;
    let calls = if when == When::Before { &hooks.before } else { &hooks.after };
    let Some(call) = calls.get(&step) else { return Ok(()) };
    let state = machine.state();
    let round = state.last();
    let told = Told {
        job: &machine.job.name,
        phase: machine.phase.word(),
        round: round.map_or(0, |round| round.number),
        step: step.word(),
        when,
        outcome: outcome.unwrap_or_default(),
        snapshot: round.and_then(Round::snapshot).map_or("", |snapshot| snapshot.name.as_str()),
    };
    let moment = if when == When::Before { "before" } else { "after" };
    let doing = format!("call the hook {moment} `{step}`");
    let limit = hooks.limit.unwrap_or(LIMIT);
    match tokio::time::timeout(limit, one(call, &told, &doing)).await {
        Ok(ended) => ended,
        Err(_) => Err(Error::new(ErrorKind::Timeout, doing)
            .because(format!("it did not end within {} s", limit.as_secs()))
            .hint("make it quicker, or set `hook_timeout`")),
    }
}

async fn one(call: &Call, told: &Told<'_>, doing: &str) -> Result<()> {
    match call {
        Call::Shell(text) => command("sh", &["-c".to_owned(), text.clone()], told, doing).await,
        Call::Program(words) => match words.split_first() {
            Some((program, arguments)) => command(program, arguments, told, doing).await,
            None => Ok(()),
        },
        Call::Web(url) => web(url, told, doing).await,
    }
}

async fn command(program: &str, arguments: &[String], told: &Told<'_>, doing: &str) -> Result<()> {
    let failed = |cause: String| {
        Error::new(ErrorKind::Precondition, doing.to_owned())
            .because(cause)
            .hint("run it by hand; what is called before a step must succeed for the step to begin")
    };
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for name in PASSED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let when = if told.when == When::Before { "before" } else { "after" };
    command
        .env("SNAPFERRY_JOB", told.job)
        .env("SNAPFERRY_PHASE", told.phase)
        .env("SNAPFERRY_ROUND", told.round.to_string())
        .env("SNAPFERRY_STEP", told.step)
        .env("SNAPFERRY_WHEN", when)
        .env("SNAPFERRY_OUTCOME", told.outcome)
        .env("SNAPFERRY_SNAPSHOT", told.snapshot);
    let output = command.output().await.map_err(|error| failed(format!("`{program}`: {error}")))?;
    tracing::debug!(program, status = %output.status, "hook");
    if output.status.success() {
        return Ok(());
    }
    let text =
        String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr }).into_owned();
    let mut from = text.len().saturating_sub(SHOWN);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let said = text[from..].trim().replace('\n', " ");
    Err(failed(format!(
        "`{program}` ended with {}{}",
        output.status,
        if said.is_empty() { String::new() } else { format!(": {said}") }
    )))
}

async fn web(url: &str, told: &Told<'_>, doing: &str) -> Result<()> {
    let at = |error: Error| error.while_doing(doing.to_owned());
    let client = wire::Client::new(wire::Options::default()).map_err(at)?;
    let body = serde_json::to_vec(told)
        .map_err(|error| Error::new(ErrorKind::Internal, doing.to_owned()).from_source(error))?;
    let request = Request::post(url)
        .header("content-type", "application/json")
        .body(wire::full(body))
        .map_err(|error| Error::new(ErrorKind::Invalid, doing.to_owned()).from_source(error))?;
    let answer = client.send(request).await.map_err(at)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Precondition, doing.to_owned())
        .because(format!("it answered {status}"))
        .hint("look at whoever answers there; what is called before a step must succeed for the step to begin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_named_after_its_step() {
        let mut hooks = Hooks::default();
        let call = || Call::Shell("true".to_owned());
        assert!(hooks.add("before_restore", call()) && hooks.add("after_lift_block", call()));
        assert!(!hooks.add("before_dinner", call()) && !hooks.add("restore", call()));
        assert_eq!((hooks.before.len(), hooks.after.len()), (1, 1));
    }
}
