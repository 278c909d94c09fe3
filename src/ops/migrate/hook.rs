//! Hooks: a command or a webhook before and after steps.
//!
//! 1. A text that begins with `https://` or `http://` is a webhook: it gets a `POST` with a JSON document, and must answer 2xx.
//! 2. Any other text is a command for `sh -c`; a list is a program with its arguments, run without a shell.
//! 3. A command gets `PATH`, `HOME`, `LANG` and `TZ` of ours and what it is told; of our environment, which may hold secrets, nothing else.
//! 4. What is called before a step and fails ends the round there; after a step it only warns.
//! 5. One that takes too long, or whose round is stopped, is ended with all that it began: it has a process group, which is killed.
//! 6. Neither a command's words nor an address beyond scheme and host are shown or written down: they may hold secrets.
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
        // No remote that cannot be reached: the hook failed.
        Err(_) => Err(Error::new(ErrorKind::Precondition, doing)
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
    let child = command.process_group(0).spawn().map_err(|error| failed(format!("it cannot be run: {error}")))?;
    let mut group = Group(child.id());
    let output = child.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
    group.0 = None;
    tracing::debug!(status = %output.status, "hook");
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
        "it ended with {}{}",
        output.status,
        if said.is_empty() { String::new() } else { format!(": {said}") }
    )))
}

/// The processes of a command that has not ended; dropping it ends them.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let Some(leader) = self.0 else { return };
        // The leader is not reaped yet, so that no other group can have its number.
        let kill = std::process::Command::new("sh")
            .args(["-c", "kill -s KILL -- \"-$1\"", "sh", &leader.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        tracing::debug!(leader, ?kill, "the hook's processes are ended");
    }
}

/// Scheme and host of an address: what may be shown of it.
fn host(url: &str) -> String {
    url.parse::<http::Uri>()
        .ok()
        .and_then(|uri| Some(format!("{}://{}", uri.scheme_str()?, uri.host()?)))
        .unwrap_or_else(|| "an address".to_owned())
}

/// Why an address cannot be called, if it cannot.
fn wrong(url: &str) -> Option<&'static str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next().unwrap_or_default();
    match url.parse::<http::Uri>() {
        _ if authority.contains('@') => {
            Some("the address holds a user or a password, which would be shown and written down")
        }
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => None,
        _ => Some("the address is none"),
    }
}

impl Call {
    /// Why it cannot be called, if that shows without calling: an address must be one, and hold no user and no password.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Web(url) => wrong(url),
            Self::Shell(_) | Self::Program(_) => None,
        }
    }
}

async fn web(url: &str, told: &Told<'_>, doing: &str) -> Result<()> {
    if let Some(fault) = wrong(url) {
        return Err(Error::new(ErrorKind::Invalid, doing.to_owned()).because(fault));
    }
    // What the wire says of a failure names the whole address, whose path may be a secret.
    let at =
        |error: Error| Error::new(error.kind(), doing.to_owned()).because(format!("{} cannot be reached", host(url)));
    let client = wire::Client::new(wire::Options::default()).map_err(|error| error.while_doing(doing.to_owned()))?;
    let body = serde_json::to_vec(told)
        .map_err(|error| Error::new(ErrorKind::Internal, doing.to_owned()).from_source(error))?;
    let request = Request::post(url)
        .header("content-type", "application/json")
        .body(wire::full(body))
        .map_err(|_| Error::new(ErrorKind::Invalid, doing.to_owned()).because("the address is none"))?;
    let answer = client.send(request).await.map_err(at)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Precondition, doing.to_owned())
        .because(format!("{} answered {status}", host(url)))
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

    #[test]
    fn an_address_shows_its_host_and_holds_no_user() {
        let fault = |url: &str| Call::Web(url.to_owned()).fault();
        for url in ["https://user:PASS@host/x", "http://token@host", "http://a b@c:1/"] {
            assert!(fault(url).is_some_and(|fault| fault.contains("a user or a password")), "{url}");
        }
        assert!(fault("http://").is_some());
        assert_eq!(fault("https://host:8443/hooks/T0/SECRET?x=a@b"), None);
        assert_eq!(host("https://host:8443/hooks/T0/SECRET"), "https://host");
    }
}
