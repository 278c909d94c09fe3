//! What copies: the floor, the product, and rclone if it is there.
//!
//! Peers run at their defaults and at the best flags known for them, because a goal must hold against the better of the two.

use std::path::PathBuf;
use std::process::Command;

use super::Result;
use super::server::BUCKET;

/// rclone's flags that cost it least: no second hash, no HEAD, no buffering, no slices.
/// Source: `reference/real-servers-and-peers.md` and B8 of `reference/reliability-and-performance.md`.
const RCLONE_TUNED: &str = "--transfers 32 --checkers 32 --fast-list --size-only --use-server-modtime --s3-no-head \
                            --disable copy --multi-thread-streams 0 --s3-upload-cutoff 5G --buffer-size 0";

/// A program that is measured.
#[derive(Debug, Clone)]
pub(crate) enum Program {
    /// `relay` of this binary.
    Floor { has_checksum: bool },
    /// A build of the product.
    Snapferry { path: PathBuf },
    /// rclone from the search path.
    Rclone { is_tuned: bool },
}

impl Program {
    /// The name in the report.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Floor { has_checksum: false } => "floor".to_owned(),
            Self::Floor { has_checksum: true } => "floor + crc64".to_owned(),
            Self::Snapferry { path } => match path.file_name() {
                Some(name) => name.to_string_lossy().into_owned(),
                None => "snapferry".to_owned(),
            },
            Self::Rclone { is_tuned: false } => "rclone".to_owned(),
            Self::Rclone { is_tuned: true } => "rclone tuned".to_owned(),
        }
    }

    /// Whether it has to send exactly the requests that are needed. Peers send what they like.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self, Self::Rclone { .. })
    }

    /// Whether it can be run here; a peer that is not installed is left out.
    pub(crate) fn is_there(&self) -> bool {
        match self {
            Self::Floor { .. } | Self::Snapferry { .. } => true,
            Self::Rclone { .. } => Command::new("rclone").arg("version").output().is_ok(),
        }
    }

    /// The command that makes the bucket at port `to` equal to the bucket at port `from`.
    pub(crate) fn command(&self, from: u16, to: u16) -> Result<Command> {
        match self {
            Self::Floor { has_checksum } => floor(from, to, *has_checksum),
            Self::Snapferry { path } => Ok(snapferry(Command::new(path), from, to)),
            Self::Rclone { is_tuned } => Ok(rclone(from, to, *is_tuned)),
        }
    }
}

fn floor(from: u16, to: u16, has_checksum: bool) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["relay", "--from", &format!("127.0.0.1:{from}"), "--to", &format!("127.0.0.1:{to}")]);
    if has_checksum {
        command.arg("--checksum");
    }
    Ok(command)
}

/// The product as a user runs it without a file: its stores are in the environment, and neither the caller's stores nor a
/// configuration file of the caller counts. `SNAPFERRY_TRANSFER_*` is let through, to try settings.
fn snapferry(mut command: Command, from: u16, to: u16) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SNAPFERRY_STORE_") {
            command.env_remove(name);
        }
    }
    for (store, port) in [("SRC", from), ("DST", to)] {
        let endpoint = format!("http://127.0.0.1:{port}");
        let url = format!("s3://{BUCKET}");
        let settings = [
            ("URL", url.as_str()),
            ("ENDPOINT", &endpoint),
            ("REGION", "us-east-1"),
            ("ADDRESSING", "path"),
            ("ACCESS_KEY_ID", "bench"),
            ("SECRET_ACCESS_KEY", "bench-secret"),
        ];
        command.envs(settings.map(|(key, value)| (format!("SNAPFERRY_STORE_{store}_{key}"), value)));
    }
    command.args(["sync", "src", "dst", "--mode", "plain", "--json"]);
    let nowhere = std::env::temp_dir();
    command
        .current_dir(&nowhere)
        .env("XDG_CONFIG_HOME", nowhere.join("no-configuration"))
        .env_remove("SNAPFERRY_CONFIG");
    command
}

fn rclone(from: u16, to: u16, is_tuned: bool) -> Command {
    let mut command = Command::new("rclone");
    for (remote, port) in [("SRC", from), ("DST", to)] {
        let endpoint = format!("http://127.0.0.1:{port}");
        let settings = [
            ("TYPE", "s3"),
            ("PROVIDER", "Minio"),
            ("ENDPOINT", &endpoint),
            ("REGION", "us-east-1"),
            ("ACCESS_KEY_ID", "bench"),
            ("SECRET_ACCESS_KEY", "bench-secret"),
        ];
        command.envs(settings.map(|(key, value)| (format!("RCLONE_CONFIG_{remote}_{key}"), value)));
    }
    command.env("RCLONE_CONFIG", "/dev/null").env("RCLONE_S3_NO_CHECK_BUCKET", "true");
    command.args(["sync".to_owned(), format!("src:{BUCKET}"), format!("dst:{BUCKET}")]);
    if is_tuned {
        command.args(RCLONE_TUNED.split_whitespace());
    }
    command
}
