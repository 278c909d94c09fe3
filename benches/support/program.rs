//! What copies: the floor, the product, and other people's tools.

use std::path::PathBuf;
use std::process::Command;

use super::Result;
use super::pair::{Pair, Store};
use super::peer::{KEY, Peer, SECRET};
use super::server::BUCKET;

/// A program that is measured.
#[derive(Debug, Clone)]
pub(crate) enum Program {
    /// `relay` of this binary.
    Floor { has_checksum: bool },
    /// A build of the product.
    Snapferry { path: PathBuf },
    /// Another tool that is installed.
    Peer(Peer),
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
            Self::Peer(peer) => peer.name(),
        }
    }

    /// The protocols that it speaks to source and target.
    pub(crate) fn speaks(&self, pair: Pair) -> String {
        let protocol = |store: Store| if store == Store::Oss { "oss" } else { "s3" };
        match self {
            Self::Floor { .. } => "http".to_owned(),
            Self::Snapferry { .. } => format!("{}>{}", protocol(pair.from), protocol(pair.to)),
            Self::Peer(peer) => peer.speaks(pair),
        }
    }

    /// Whether it has to send exactly the requests that are needed. Peers send what they like.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self, Self::Peer(_))
    }

    /// The command that makes the bucket at port `to` equal to the bucket at port `from`.
    pub(crate) fn command(&self, pair: Pair, from: u16, to: u16) -> Result<Command> {
        match self {
            Self::Floor { has_checksum } => floor(from, to, *has_checksum),
            Self::Snapferry { path } => {
                let mut command = snapferry(Command::new(path), pair, from, to);
                command.args(["--mode", "plain"]);
                Ok(command)
            }
            Self::Peer(peer) => Ok(peer.command(pair, from, to)),
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
pub(crate) fn snapferry(mut command: Command, pair: Pair, from: u16, to: u16) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SNAPFERRY_STORE_") {
            command.env_remove(name);
        }
    }
    for (name, store, port) in [("SRC", pair.from, from), ("DST", pair.to, to)] {
        let endpoint = format!("http://127.0.0.1:{port}");
        let url = format!("{}://{BUCKET}", store.scheme());
        let settings = [
            ("URL", url.as_str()),
            ("ENDPOINT", &endpoint),
            (if store == Store::Qingstor { "ZONE" } else { "REGION" }, store.region()),
            ("ADDRESSING", "path"),
            ("ACCESS_KEY_ID", KEY),
            ("SECRET_ACCESS_KEY", SECRET),
        ];
        command.envs(settings.map(|(key, value)| (format!("SNAPFERRY_STORE_{name}_{key}"), value)));
    }
    command.args(["sync", "src", "dst", "--json"]);
    let nowhere = std::env::temp_dir();
    command
        .current_dir(&nowhere)
        .env("XDG_CONFIG_HOME", nowhere.join("no-configuration"))
        .env_remove("SNAPFERRY_CONFIG");
    command
}
