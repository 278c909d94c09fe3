//! Other people's tools, at their defaults and at the best flags known for them: a goal must hold against the better of the two.
//!
//! Each speaks what it can to the servers of the benchmark: juicefs OSS's protocol too, all of them S3's. They are looked for in the
//! folder `SNAPFERRY_PEERS` and then on the search path; `peers.sh` beside `copy.rs` fetches those that were measured.

use std::path::PathBuf;
use std::process::Command;

use super::pair::{Pair, Store};
use super::server::BUCKET;

/// The access key that all are given.
pub(crate) const KEY: &str = "bench";
/// And its secret.
pub(crate) const SECRET: &str = "benchsecret";

/// rclone's flags that cost it least: no second hash, no HEAD, no buffering, no slices. Lengths are all that it checks then.
const RCLONE_TUNED: &str = "--transfers 32 --checkers 32 --fast-list --size-only --use-server-modtime --s3-no-head \
                            --disable copy --multi-thread-streams 0 --s3-upload-cutoff 5G --buffer-size 0";

/// More of everything at once. juicefs checks lengths only, with and without.
const JUICEFS_TUNED: &str = "--threads 32 --list-threads 8";

/// s3sync at the concurrency of the others, as its defaults go.
const S3SYNC_DEFAULT: &str = "--worker-size 32 --max-parallel-uploads 32";

/// Without the signatures, the second reading and the hashes that cost it most. No check of what arrived is left.
const S3SYNC_TUNED: &str = "--worker-size 32 --max-parallel-uploads 32 --disable-payload-signing --disable-tagging \
                            --disable-multipart-verify --disable-etag-verify --disable-content-md5-header \
                            --multipart-threshold 200MiB --multipart-chunksize 32MiB";

/// Whose tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Rclone,
    Juicefs,
    S3sync,
}

/// A tool with its settings.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) tool: Tool,
    pub(crate) is_tuned: bool,
}

impl Peer {
    /// All that are known.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Tool::ALL.into_iter().flat_map(|tool| [false, true].map(|is_tuned| Self { tool, is_tuned }))
    }

    pub(crate) fn name(&self) -> String {
        let name = self.tool.name();
        if self.is_tuned { format!("{name} tuned") } else { name.to_owned() }
    }

    /// The protocols that it speaks to source and target.
    pub(crate) fn speaks(&self, pair: Pair) -> String {
        format!("{}>{}", self.protocol(pair.from), self.protocol(pair.to))
    }

    fn protocol(&self, store: Store) -> &'static str {
        if self.tool == Tool::Juicefs && store == Store::Oss { "oss" } else { "s3" }
    }

    /// The command that makes the bucket at port `to` equal to the bucket at port `from`.
    pub(crate) fn command(&self, pair: Pair, from: u16, to: u16) -> Command {
        let mut command = Command::new(self.tool.path().unwrap_or_else(|| self.tool.name().into()));
        let tuned = match self.tool {
            Tool::Rclone => {
                rclone(&mut command, from, to);
                RCLONE_TUNED
            }
            Tool::Juicefs => {
                self.juicefs(&mut command, pair, from, to);
                JUICEFS_TUNED
            }
            Tool::S3sync => {
                s3sync(&mut command, from, to);
                if !self.is_tuned {
                    command.args(S3SYNC_DEFAULT.split_whitespace());
                }
                S3SYNC_TUNED
            }
        };
        if self.is_tuned {
            command.args(tuned.split_whitespace());
        }
        command
    }

    fn juicefs(&self, command: &mut Command, pair: Pair, from: u16, to: u16) {
        let url = |store: Store, port: u16| match self.protocol(store) {
            // A host that is an address gets the bucket in the path.
            "oss" => format!("oss://{KEY}:{SECRET}@{BUCKET}.127.0.0.1:{port}/"),
            _ => format!("minio://{KEY}:{SECRET}@127.0.0.1:{port}/{BUCKET}/"),
        };
        command.args(["sync", "--no-https", &url(pair.from, from), &url(pair.to, to)]);
    }
}

impl Tool {
    /// All that are known.
    pub(crate) const ALL: [Self; 3] = [Self::Rclone, Self::Juicefs, Self::S3sync];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rclone => "rclone",
            Self::Juicefs => "juicefs",
            Self::S3sync => "s3sync",
        }
    }

    /// Where it is installed, if it is.
    pub(crate) fn path(self) -> Option<PathBuf> {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::var_os("SNAPFERRY_PEERS").map(PathBuf::from).into_iter();
        let mut paths = folders.chain(std::env::split_paths(&search)).map(|folder| folder.join(self.name()));
        // It may not be relative: it need not run in our folder.
        paths.find(|path| path.is_file())?.canonicalize().ok()
    }

    /// What it says of its version, in one line; s3sync built without its usual features says nothing.
    pub(crate) fn version(self) -> Option<String> {
        let output = Command::new(self.path()?).arg("version").output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned);
        said.or_else(|| Some(self.name().to_owned()))
    }
}

fn rclone(command: &mut Command, from: u16, to: u16) {
    for (remote, port) in [("SRC", from), ("DST", to)] {
        let endpoint = format!("http://127.0.0.1:{port}");
        let settings = [
            ("TYPE", "s3"),
            ("PROVIDER", "Minio"),
            ("ENDPOINT", &endpoint),
            ("REGION", "us-east-1"),
            ("ACCESS_KEY_ID", KEY),
            ("SECRET_ACCESS_KEY", SECRET),
        ];
        command.envs(settings.map(|(key, value)| (format!("RCLONE_CONFIG_{remote}_{key}"), value)));
    }
    command.env("RCLONE_CONFIG", "/dev/null").env("RCLONE_S3_NO_CHECK_BUCKET", "true");
    command.args(["sync".to_owned(), format!("src:{BUCKET}"), format!("dst:{BUCKET}")]);
}

fn s3sync(command: &mut Command, from: u16, to: u16) {
    for (side, port) in [("source", from), ("target", to)] {
        let settings = [
            ("access-key", KEY.to_owned()),
            ("secret-access-key", SECRET.to_owned()),
            ("region", "us-east-1".to_owned()),
            ("endpoint-url", format!("http://127.0.0.1:{port}")),
        ];
        command.args(settings.map(|(key, value)| format!("--{side}-{key}={value}")));
        command.arg(format!("--{side}-force-path-style"));
    }
    command.args([format!("s3://{BUCKET}"), format!("s3://{BUCKET}")]);
}
