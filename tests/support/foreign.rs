//! Starts a client that is not ours (`tests/foreign/foreign.py`) against a double.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::double::Double;

/// The python that has the SDKs; fetched once.
fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engines/python.sh");
        let output = Command::new(script).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.expect("the script can be run");
        assert!(output.status.success(), "there is no Python with the SDKs");
        String::from_utf8(output.stdout).expect("a path is text").trim().to_owned()
    })
}

/// How a client names a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addressing {
    Path,
    Virtual,
}

/// One client and what it is told.
#[derive(Debug, Clone)]
pub(crate) struct Foreign<'a> {
    double: &'a Double,
    client: &'a str,
    addressing: Addressing,
    environment: Vec<(&'static str, String)>,
}

impl<'a> Foreign<'a> {
    /// A client by its name in `foreign.py`, with the right key.
    pub(crate) fn of(double: &'a Double, client: &'a str) -> Self {
        let rules = double.rules();
        let environment = vec![
            ("FOREIGN_ACCESS_KEY", rules.access_key),
            ("FOREIGN_SECRET_KEY", rules.secret_key),
            ("FOREIGN_REGION", rules.region),
        ];
        Self { double, client, addressing: Addressing::Path, environment }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub(crate) fn addressing(self, addressing: Addressing) -> Self {
        let name = if addressing == Addressing::Virtual { "virtual" } else { "path" };
        Self { addressing, ..self.with("FOREIGN_ADDRESSING", name) }
    }

    pub(crate) fn quirks(self, quirks: &str) -> Self {
        self.with("FOREIGN_QUIRKS", quirks)
    }

    pub(crate) fn secret(self, secret: &str) -> Self {
        self.with("FOREIGN_SECRET_KEY", secret)
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.with("FOREIGN_TOKEN", token)
    }

    pub(crate) fn prefix(self, prefix: &str) -> Self {
        self.with("FOREIGN_PREFIX", prefix)
    }

    /// Runs `[COMMAND, BUCKET, …]`; it has to succeed.
    pub(crate) async fn done(&self, arguments: &[&str]) {
        if let Err(said) = self.run(arguments).await {
            panic!("{} {arguments:?} failed:\n{said}", self.client);
        }
    }

    /// Runs `[COMMAND, BUCKET, …]`; it has to fail by an assertion of its own.
    pub(crate) async fn failed(&self, arguments: &[&str]) {
        let said = self.run(arguments).await.expect_err("it has to fail");
        assert!(said.contains("AssertionError"), "{} {arguments:?} failed otherwise:\n{said}", self.client);
    }

    async fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let endpoint = match self.addressing {
            Addressing::Path => self.double.endpoint(),
            Addressing::Virtual => self.double.named_endpoint(),
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/foreign.py");
        let (operation, rest) = arguments.split_first().expect("a command");
        let (bucket, rest) = rest.split_first().expect("a bucket");
        let mut command = Command::new(python());
        // Nothing of the caller's settings reaches the SDKs.
        command.env_clear().envs(self.environment.iter().cloned()).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("NO_PROXY", "*");
        command.arg(script).args([self.client, operation, &endpoint, bucket]).args(rest).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.expect("it does not panic").expect("python can be run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }
}
