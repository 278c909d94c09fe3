//! S3 servers of other makers for `tests/servers.rs`: starts them with a key that nobody else has,
//! looks at them with boto3, and watches snapferry for what it says.

#[path = "server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use snapferry::secret::Secret;
use snapferry::store::{Access, Addressing, Location, Meter, ObjectStore, Options, open};

use server::{SCRIPTS, Server};
use tempfile::TempDir;

/// The bucket that each server has.
pub(crate) const BUCKET: &str = "bucket";

/// A key made for one test.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret: String,
}

impl Credentials {
    pub(crate) fn new() -> Self {
        // `/` and `+`, as Amazon's secrets have them, are what quoting and encoding can lose.
        let secret = format!("{}/{}+{}", letters(13), letters(13), letters(12));
        Self { access_key: format!("AK{}", letters(18)).to_uppercase(), secret }
    }
}

fn letters(number: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let one = |_| {
        let random = RandomState::new().build_hasher().finish();
        char::from(LETTERS[usize::try_from(random % 62).expect("below 62")])
    };
    (0..number).map(one).collect()
}

/// A server with its key.
#[derive(Debug)]
pub(crate) struct S3 {
    server: Server,
    pub(crate) credentials: Credentials,
}

impl S3 {
    /// Starts it by `start-<name>.sh`.
    pub(crate) fn start(name: &str) -> Self {
        let credentials = Credentials::new();
        let key = [("S3_ACCESS_KEY", credentials.access_key.as_str()), ("S3_SECRET_KEY", credentials.secret.as_str())];
        let server = Server::start(name, &format!("start-{name}.sh"), &[], &[BUCKET], &key);
        Self { server, credentials }
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    pub(crate) async fn open(&self, prefix: &str) -> Arc<dyn ObjectStore> {
        let options = Options {
            endpoint: Some(self.url().to_owned()),
            region: Some("us-east-1".into()),
            addressing: Addressing::Path,
            access_key_id: Some(Secret::new(&self.credentials.access_key)),
            secret_access_key: Some(Secret::new(&self.credentials.secret)),
            ..Options::default()
        };
        let location = Location::parse(&format!("s3://{BUCKET}/{prefix}")).expect("valid");
        open(&location, &options, Access::Write, Arc::new(Meter::default())).await.expect("opens")
    }
}

/// What boto3 says of a bucket: another opinion than snapferry's.
impl S3 {
    fn boto3(&self, arguments: &[&str], input: &str) -> String {
        static PYTHON: OnceLock<String> = OnceLock::new();
        let python = PYTHON.get_or_init(|| {
            let found = Command::new(format!("{SCRIPTS}/fetch.sh")).arg("moto").stderr(Stdio::inherit()).output();
            String::from_utf8(found.expect("the script can be run").stdout).expect("a path").trim().to_owned()
        });
        let mut child = Command::new(python)
            .arg(format!("{SCRIPTS}/objects.py"))
            .args([self.url(), BUCKET])
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", &self.credentials.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &self.credentials.secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("boto3's Python is there");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads all of it");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "boto3 could not {arguments:?} on {}", self.url());
        String::from_utf8(output.stdout).expect("it prints text")
    }

    /// Writes these contents below `prefix`.
    pub(crate) fn write(&self, prefix: &str, objects: &BTreeMap<String, Vec<u8>>) {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let line = |(number, (key, content)): (usize, (&String, &Vec<u8>))| {
            let file = scratch.path().join(number.to_string());
            fs::write(&file, content).expect("it can be written");
            format!("{}\n", json!({"key": format!("{prefix}{key}"), "file": file}))
        };
        let lines: String = objects.iter().enumerate().map(line).collect();
        self.boto3(&["put"], &lines);
    }

    /// What is below `prefix`: each key with its length and SHA-256, as read.
    pub(crate) fn objects(&self, prefix: &str) -> Digests {
        let line = |line: &str| {
            let entry: Value = serde_json::from_str(line).expect("a line is JSON");
            let key = entry["key"].as_str().and_then(|key| key.strip_prefix(prefix)).expect("it is below the prefix");
            (key.to_owned(), format!("{} {}", entry["size"], entry["sha256"]))
        };
        self.boto3(&["list", prefix], "").lines().map(line).collect()
    }
}

/// What tells objects apart: length and SHA-256, by key.
pub(crate) type Digests = BTreeMap<String, String>;

pub(crate) fn digests(objects: &BTreeMap<String, Vec<u8>>) -> Digests {
    let digest = |content: &Vec<u8>| {
        let sum = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        format!("{} \"{sum}\"", content.len())
    };
    objects.iter().map(|(key, content)| (key.clone(), digest(content))).collect()
}

/// The snapferry binary with two stores, `from` and `to`, and everything that it says or leaves watched for secrets.
#[derive(Debug)]
pub(crate) struct Snapferry {
    home: TempDir,
    /// Outside of what is watched: this is where the user keeps a secret.
    secret: PathBuf,
    to: Credentials,
    traces: BTreeSet<Vec<u8>>,
    needles: Vec<String>,
    _keep: TempDir,
}

impl Snapferry {
    pub(crate) fn new(from: &S3, to: &S3, prefix: &str) -> Self {
        let (home, keep) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let secret = keep.path().join("secret");
        fs::write(&secret, &from.credentials.secret).expect("it can be written");
        let store = |name: &str, s3: &S3| {
            format!(
                "[store.{name}]\nurl = \"s3://{BUCKET}/{prefix}\"\nendpoint = \"{}\"\nregion = \"us-east-1\"\n\
                 addressing = \"path\"\naccess_key_id = \"{}\"\n",
                s3.url(),
                s3.credentials.access_key
            )
        };
        let text =
            format!("{}secret_access_key_file = \"{}\"\n{}", store("from", from), secret.display(), store("to", to));
        fs::write(home.path().join("snapferry.toml"), text).expect("it can be written");
        fs::create_dir(home.path().join("tmp")).expect("it can be made");
        let needles = [&from.credentials.secret, &to.credentials.secret].into_iter().flat_map(|s| forms(s)).collect();
        Self { home, secret, to: to.credentials.clone(), traces: BTreeSet::new(), needles, _keep: keep }
    }

    /// Makes the source's secret a wrong one, which is a secret too.
    pub(crate) fn forget(&mut self) {
        let wrong = Credentials::new().secret;
        fs::write(&self.secret, &wrong).expect("it can be written");
        self.needles.extend(forms(&wrong));
    }

    /// A run that must end with this exit code, as talkative as it can be: the document on its stdout.
    pub(crate) fn run(&mut self, line: &str, code: i32) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapferry"));
        command.env_clear().args(line.split_whitespace()).args(["--json", "-vvv"]);
        let environment = [("HOME", self.home.path().to_owned()), ("TMPDIR", self.home.path().join("tmp"))];
        let child = command
            .current_dir(self.home.path())
            .envs(environment)
            .env("SNAPFERRY_STORE_TO_SECRET_ACCESS_KEY", &self.to.secret)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("snapferry can be run");
        let process = format!("/proc/{}", child.id());
        let output = thread::scope(|scope| {
            let ends = scope.spawn(|| child.wait_with_output().expect("it ends"));
            while !ends.is_finished() {
                // It may end at any moment: what is gone cannot be read.
                self.traces.extend(fs::read(format!("{process}/cmdline")));
                self.traces.extend(files(self.home.path()));
                thread::sleep(Duration::from_millis(50));
            }
            ends.join().expect("its panic was printed")
        });
        self.traces.extend(files(self.home.path()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "`snapferry {line}`: {said}");
        let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        self.traces.extend([output.stdout, output.stderr]);
        document
    }

    /// No secret is in anything that was said, written, or shown as a command line.
    pub(crate) fn assert_discreet(&self) {
        assert!(self.traces.iter().any(|trace| trace.starts_with(env!("CARGO_BIN_EXE_snapferry").as_bytes())));
        for trace in &self.traces {
            let text = String::from_utf8_lossy(trace);
            for needle in &self.needles {
                assert!(!text.contains(needle.as_str()), "a secret came out as `{needle}` in: {text}");
            }
        }
    }
}

/// The ways in which a secret can come out: as it is, hexadecimal, percent-encoded, and in base64, at each of the three places that
/// it can have in what is encoded.
fn forms(secret: &str) -> Vec<String> {
    let spell = |letter: &dyn Fn(u8) -> String| secret.bytes().map(letter).collect::<Vec<_>>().concat();
    let hex = spell(&|byte| format!("{byte:02x}"));
    let encoded = |byte: u8, letter: fn(u8) -> String| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { letter(byte) }
    };
    let upper = spell(&|byte| encoded(byte, |byte| format!("%{byte:02X}")));
    let lower = spell(&|byte| encoded(byte, |byte| format!("%{byte:02x}")));
    let mut forms = vec![secret.to_owned(), hex.to_uppercase(), hex, upper, lower];
    for before in 0..3 {
        let mut bytes = vec![b' '; before];
        bytes.extend(secret.bytes());
        bytes.truncate(bytes.len() / 3 * 3);
        // The first letters also hold what stands before.
        let first = [0, 2, 3][before];
        forms.push(STANDARD_NO_PAD.encode(&bytes)[first..].to_owned());
        forms.push(URL_SAFE_NO_PAD.encode(&bytes)[first..].to_owned());
    }
    forms
}

/// The contents of all files below a folder, as far as they stay.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let one = |path: PathBuf| if path.is_dir() { files(&path) } else { fs::read(path).into_iter().collect() };
    entries.flatten().flat_map(|entry| one(entry.path())).collect()
}
