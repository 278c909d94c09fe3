//! Real engines for `tests/engines.rs`, `tests/kills.rs`, `tests/matrix.rs`, `tests/restores.rs` and `tests/security.rs`: starts them by the scripts of `tests/engines/`, talks to them, and stops them.
//!
//! It does not use snapferry's own code to look at a server: what snapferry claims to have done is checked with `curl`.

#[path = "server.rs"]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use server::Server;

pub(crate) const ACCESS_KEY: &str = "testaccesskey";
pub(crate) const SECRET_KEY: &str = "testsecretkey";
const KEY: [(&str, &str); 2] = [("S3_ACCESS_KEY", ACCESS_KEY), ("S3_SECRET_KEY", SECRET_KEY)];

/// `curl` with ARGUMENTS: the status and the body that the server answered.
fn curl(arguments: &[&str]) -> (u16, Vec<u8>) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "120", "--noproxy", "*", "--write-out", "%{http_code}"])
        .args(arguments)
        .output()
        .expect("curl is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {said}");
    let mut body = output.stdout;
    let status = body.split_off(body.len() - 3);
    let status = String::from_utf8_lossy(&status).parse().expect("curl wrote three digits");
    (status, body)
}

/// A cluster of one node.
#[derive(Debug)]
pub(crate) struct Elastic {
    server: Server,
    version: &'static str,
}

impl Elastic {
    /// An Elasticsearch node of this version; with `s3`, that server is its S3 client `default`.
    pub(crate) fn start(name: &str, version: &'static str, s3: Option<&MinIo>) -> Self {
        let mut environment = KEY.to_vec();
        environment.extend(s3.map(|minio| ("ES_S3", minio.url())));
        let server = Server::start(name, "start-elasticsearch.sh", &[version], &[], &environment);
        Self { server, version }
    }

    /// An OpenSearch node of this version.
    pub(crate) fn start_opensearch(name: &str, version: &'static str) -> Self {
        Self { server: Server::start(name, "start-opensearch.sh", &[version], &[], &[]), version }
    }

    /// The engine of that name, as `fetch.sh` has it, with settings for its script in the environment.
    pub(crate) fn start_engine(name: &str, engine: &'static str, environment: &[(&str, &str)]) -> Self {
        let (kind, version) = engine.split_once('-').expect("a name and a version");
        let script = format!("start-{kind}.sh");
        let environment: Vec<_> = KEY.iter().chain(environment).copied().collect();
        let server = Server::start(name, &script, &[version], &[], &environment);
        Self { server, version }
    }

    pub(crate) fn version(&self) -> &'static str {
        self.version
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    /// The folder below which its `fs` repositories lie.
    pub(crate) fn repositories(&self) -> PathBuf {
        self.server.run.join("repo")
    }

    /// One request; the answer may be a refusal.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.send(method, path, body.map(Value::to_string).as_deref())
    }

    fn send(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        let url = format!("{}{path}", self.url());
        // Of a node with security its script wrote down how to ask it.
        let config = self.server.run.join("curl");
        let config = if config.exists() { config } else { PathBuf::from("/dev/null") };
        let config = config.to_str().expect("our folders are text");
        let mut arguments =
            vec!["--config", config, "--request", method, "--header", "content-type: application/json", url.as_str()];
        if let Some(body) = body {
            arguments.extend(["--data-binary", body]);
        }
        let (status, answer) = curl(&arguments);
        (status, serde_json::from_slice(&answer).unwrap_or(Value::Null))
    }

    /// One request that must succeed.
    pub(crate) fn get(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.ask(method, path, body);
        assert!((200..300).contains(&status), "{method} {path} answered {status}: {answer}");
        answer
    }

    pub(crate) fn write(&self, index: &str, id: u32, document: &Value) {
        let kind = if self.version.starts_with("5.") { "movie" } else { "_doc" };
        self.get("PUT", &format!("/{index}/{kind}/{id}?refresh=true"), Some(document));
    }

    /// Many writes in one request, one JSON document a line; they can be searched afterwards.
    pub(crate) fn bulk(&self, lines: &str) {
        let (status, answer) = self.send("POST", "/_bulk?refresh=true", Some(lines));
        assert!(status == 200 && answer["errors"] == false, "_bulk answered {status}: {answer}");
    }

    /// The documents of an index all of whose shards answer.
    pub(crate) fn count(&self, index: &str) -> u64 {
        let answer = self.get("GET", &format!("/{index}/_count"), None);
        assert_eq!(answer["_shards"]["successful"], answer["_shards"]["total"], "{index} is not whole: {answer}");
        answer["count"].as_u64().expect("a count is a number")
    }
}

/// An S3 server.
#[derive(Debug)]
pub(crate) struct MinIo {
    server: Server,
}

impl MinIo {
    pub(crate) fn start(name: &str, bucket: &str) -> Self {
        Self::start_with(name, &[bucket])
    }

    pub(crate) fn start_with(name: &str, buckets: &[&str]) -> Self {
        Self { server: Server::start(name, "start-minio.sh", &[], buckets, &KEY) }
    }

    /// versitygw, which serves plain files, in its place.
    pub(crate) fn start_versitygw(name: &str, bucket: &str) -> Self {
        Self { server: Server::start(name, "start-versitygw.sh", &[], &[bucket], &KEY) }
    }

    /// Where its buckets lie; with versitygw, as plain folders and files.
    pub(crate) fn folder(&self) -> PathBuf {
        self.server.run.join("data")
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    fn request(&self, method: &str, path_and_query: &str) -> Vec<u8> {
        let user = format!("{ACCESS_KEY}:{SECRET_KEY}");
        let url = format!("{}/{path_and_query}", self.url());
        let (status, body) = curl(&["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &user, "--request", method, &url]);
        assert!((200..300).contains(&status), "{method} {url} answered {status}: {}", String::from_utf8_lossy(&body));
        body
    }
}

/// A plain HTTP server over a folder, on a port of its own choice.
#[derive(Debug)]
pub(crate) struct Files {
    child: Child,
    pub(crate) url: String,
}

impl Files {
    pub(crate) fn serve(folder: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory"])
            .arg(folder)
            .arg("0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python is installed");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
        let url = line.split(['(', ')']).nth(1).expect("it says where it listens").to_owned();
        Self { child, url }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an outsider sees of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) size: u64,
    /// Tells two contents apart.
    pub(crate) content: String,
    /// Tells two writes apart, also of the same content.
    pub(crate) written: String,
}

pub(crate) type Objects = BTreeMap<String, Object>;

/// The keys of `after` that `before` lacks, or has otherwise by what `aspect` tells of an object.
pub(crate) fn new_or_other(before: &Objects, after: &Objects, aspect: fn(&Object) -> &str) -> Vec<String> {
    let differs = |(key, object): &(&String, &Object)| before.get(*key).map(aspect) != Some(aspect(object));
    after.iter().filter(differs).map(|(key, _)| key.clone()).collect()
}

/// Where a repository lies, seen without snapferry.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    Bucket { minio: &'a MinIo, bucket: &'a str, prefix: String },
    Folder(PathBuf),
}

impl Place<'_> {
    /// All objects, by their keys below this place.
    pub(crate) fn objects(&self) -> Objects {
        match self {
            Self::Bucket { minio, bucket, prefix } => {
                let escaped = prefix.replace('/', "%2F");
                let page = minio.request("GET", &format!("{bucket}?list-type=2&prefix={escaped}%2F"));
                let page = String::from_utf8(page).expect("a listing is text");
                assert!(page.contains("<IsTruncated>false</IsTruncated>"), "more than one page is not provided for");
                page.split("<Contents>").skip(1).map(|entry| listed(entry, prefix)).collect()
            }
            Self::Folder(folder) => {
                let mut objects = Objects::new();
                walk(folder, folder, &mut objects);
                objects
            }
        }
    }

    pub(crate) fn read(&self, key: &str) -> Vec<u8> {
        match self {
            Self::Bucket { minio, bucket, prefix } => minio.request("GET", &format!("{bucket}/{prefix}/{key}")),
            Self::Folder(folder) => fs::read(folder.join(key)).expect("the file is there"),
        }
    }

    pub(crate) fn remove(&self, key: &str) {
        match self {
            Self::Bucket { minio, bucket, prefix } => {
                minio.request("DELETE", &format!("{bucket}/{prefix}/{key}"));
            }
            Self::Folder(folder) => fs::remove_file(folder.join(key)).expect("the file is there"),
        }
    }
}

fn listed(entry: &str, prefix: &str) -> (String, Object) {
    let field = |name: &str| {
        let (_, rest) = entry.split_once(&format!("<{name}>")).expect("a listed object has this field");
        rest.split_once("</").expect("an element ends").0.to_owned()
    };
    let key = field("Key").strip_prefix(prefix).expect("the listing keeps to its prefix")[1..].to_owned();
    let size = field("Size").parse().expect("a size is a number");
    let (content, written) = (field("ETag"), field("LastModified"));
    (key, Object { size, content, written: format!("{written} {}", field("ETag")) })
}

fn walk(root: &Path, folder: &Path, objects: &mut Objects) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("the folder stays").path();
        if path.is_dir() {
            walk(root, &path, objects);
            continue;
        }
        let meta = path.metadata().expect("the file stays");
        let bytes = fs::read(&path).expect("the file can be read");
        let mut content = DefaultHasher::new();
        bytes.hash(&mut content);
        let key = path.strip_prefix(root).expect("walked from there").to_str().expect("our keys are text").to_owned();
        // A file put in place by renaming is another inode, even within one tick of the clock.
        let written = format!("{}.{} {}", meta.mtime(), meta.mtime_nsec(), meta.ino());
        objects.insert(key, Object { size: meta.len(), content: content.finish().to_string(), written });
    }
}

/// The snapferry binary with its own configuration, apart from the user's.
#[derive(Debug)]
pub(crate) struct Snapferry {
    home: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Snapferry {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        fs::write(home.path().join("snapferry.toml"), "").expect("a file in it");
        Self { home, environment: Vec::new() }
    }

    /// A cluster named in the environment.
    pub(crate) fn cluster(mut self, name: &str, elastic: &Elastic) -> Self {
        self.environment.push((format!("SNAPFERRY_ELASTIC_{}_URL", name.to_uppercase()), elastic.url().to_owned()));
        self
    }

    /// A variable in the environment of every run.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// More in the configuration file.
    pub(crate) fn configured(self, section: &str) -> Self {
        let file = self.home.path().join("snapferry.toml");
        let text = fs::read_to_string(&file).expect("written by new");
        fs::write(file, format!("{text}{section}\n")).expect("the file can be written");
        self
    }

    /// A store named in the configuration file.
    pub(crate) fn store(self, name: &str, minio: &MinIo, url: &str) -> Self {
        self.configured(&format!(
            "[store.{name}]\nurl = \"{url}\"\nendpoint = \"{}\"\nregion = \"us-east-1\"\naddressing = \"path\"\n\
             access_key_id = \"{ACCESS_KEY}\"\nsecret_access_key = \"{SECRET_KEY}\"",
            minio.url()
        ))
    }

    /// The command, ready to be run, from what a user would type (split at blanks: nothing of ours holds one).
    /// Nothing of the caller's settings reaches it.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapferry"));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("SNAPFERRY_") || name.starts_with("AWS_")) {
                command.env_remove(name);
            }
        }
        command
            .args(line.split_whitespace())
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        let output = self.command(line).output().expect("snapferry can be run");
        Ran {
            line: line.to_owned(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is text"),
            stderr: String::from_utf8(output.stderr).expect("stderr is text"),
        }
    }

    /// A run that must succeed.
    pub(crate) fn done(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran
    }

    /// A run with `--json` that must succeed: the one document on its stdout.
    pub(crate) fn json(&self, line: &str) -> Value {
        let ran = self.done(&format!("{line} --json"));
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("not one JSON document ({error}): {ran}"))
    }

    /// A run that must end as a failure that snapferry foresaw: not as a success, a bug, or a signal.
    pub(crate) fn refused(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert!(ran.code.is_some_and(|code| code > 1), "{ran}");
        ran
    }
}

/// One finished run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) line: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`snapferry {}` ended with {:?}\nstdout: {}\nstderr: {}",
            self.line, self.code, self.stdout, self.stderr
        )
    }
}

/// Unpacks a fixture and gives the repository's folder.
pub(crate) fn unpack(fixture: &Path, into: &Path) -> PathBuf {
    let file = fs::File::open(fixture).expect("the fixture is there");
    tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(into).expect("the fixture unpacks");
    let mut folders = fs::read_dir(into).expect("unpacked there").map(|entry| entry.expect("the folder stays").path());
    folders.next().expect("a fixture holds one folder")
}
