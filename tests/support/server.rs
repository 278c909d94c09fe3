//! A server that a script of `tests/engines/` started, for `tests/engines.rs` and `tests/servers.rs`.
//!
//! It is stopped when its value is dropped. One that lives in a `static`, or whose test was killed, is stopped by the keeper that
//! the scripts start beside it: the keeper waits for this process to be gone.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engines");

/// A server that a script started, with all its files in one folder.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) run: PathBuf,
    pub(crate) url: String,
}

impl Server {
    /// Runs the script with `before`, the server's folder, and `after`.
    pub(crate) fn start(
        name: &str,
        script: &str,
        before: &[&str],
        after: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let run = std::env::temp_dir().join(format!("snapferry-{}-{number}-{name}", std::process::id()));
        let started = Command::new(format!("{SCRIPTS}/{script}"))
            .args(before)
            .arg(&run)
            .args(after)
            .envs(environment.iter().copied())
            .env("SNAPFERRY_ENGINES_OWNER", std::process::id().to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("the script can be run");
        assert!(started.status.success(), "{script} could not start {name}; it says why above");
        let url = String::from_utf8(started.stdout).expect("a script prints text").trim().to_owned();
        Self { run, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A panic here, while a test is already failing, would abort and hide the failure: the keeper tries once more.
        let stopped = Command::new(format!("{SCRIPTS}/stop.sh")).arg(&self.run).status();
        if stopped.is_ok_and(|status| status.success()) {
            let _ = fs::remove_dir_all(&self.run);
        }
    }
}
