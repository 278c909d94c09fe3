//! The story in one minute, without a server or an account: a repository that a real Elasticsearch wrote is served by an S3
//! server in this process and copied to another bucket, the way a user would do it.
//!
//! `cargo run --release --example quickstart`

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The repository of the story: Elasticsearch 8.12.2 wrote it, with the snapshots `snapshot_movies_1` and `snapshot_movies_2`.
const STORY: &str = "es-8.12-movies";
/// One repository at two times, for the increment: between them a snapshot was deleted and another taken.
const TIMES: [&str; 2] = ["es-8.12.2-again-stateA", "es-8.12.2-again-stateB"];

#[tokio::main]
async fn main() -> Outcome<ExitCode> {
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().join("buckets");
    for bucket in ["source", "target", "growing", "following"] {
        std::fs::create_dir_all(root.join(bucket))?;
    }
    unpack(STORY, &root.join("source/es"))?;
    unpack(TIMES[0], &root.join("growing/es"))?;
    let port = serve(&root).await?;
    let program = Program::new(scratch.path(), port)?;

    say("A repository that Elasticsearch 8.12.2 wrote lies in the bucket `source`. What would a copy do?");
    program.run(&["plan", "source/es", "target/es"]).await?;
    say("Copy it: data first, then metadata, the root last, only if the source has not moved meanwhile.");
    program.run(&["sync", "source/es", "target/es"]).await?;
    must(tree(&root.join("source/es"))? == tree(&root.join("target/es"))?, "the copy equals the source")?;
    say("Again: everything is there, so nothing is copied.");
    program.run(&["sync", "source/es", "target/es"]).await?;

    say("A second repository, copied once …");
    program.run(&["sync", "growing/es", "following/es"]).await?;
    say("… and then the cluster deletes a snapshot and takes another. Only what is new travels.");
    std::fs::remove_dir_all(root.join("growing/es"))?;
    unpack(TIMES[1], &root.join("growing/es"))?;
    program.run(&["sync", "growing/es", "following/es"]).await?;
    let (source, copy) = (tree(&root.join("growing/es"))?, tree(&root.join("following/es"))?);
    must(source.iter().all(|file| copy.contains(file)), "every file of the source is in the copy")?;
    say("The target still holds what the source deleted: snapferry deletes nothing by default.");
    program.run(&["plan", "growing/es", "following/es"]).await?;
    say("Next: `examples/migrate.sh` does the whole migration between two real clusters.");
    Ok(ExitCode::SUCCESS)
}

/// `snapferry`, with a configuration in which each bucket is a store.
struct Program {
    configuration: PathBuf,
}

impl Program {
    fn new(scratch: &Path, port: u16) -> Outcome<Self> {
        let configuration = scratch.join("snapferry.toml");
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&configuration)?;
        for name in ["source", "target", "growing", "following"] {
            writeln!(file, "[store.{name}]\nurl = \"s3://{name}\"\nendpoint = \"http://127.0.0.1:{port}\"")?;
            writeln!(file, "access_key_id = \"quickstart\"\nsecret_access_key = \"quickstart-secret\"\n")?;
        }
        Ok(Self { configuration })
    }

    /// Runs a command as the program would, in this process.
    async fn run(&self, arguments: &[&str]) -> Outcome {
        show(&format!("\n$ snapferry {}", arguments.join(" ")));
        let configuration = self.configuration.as_os_str().to_owned();
        let words = ["snapferry".into(), "--config".into(), configuration];
        let words = words.into_iter().chain(arguments.iter().map(OsString::from));
        let ended = snapferry::cli::run(words, CancellationToken::new()).await;
        must(ended == ExitCode::SUCCESS, "the command ends well")
    }
}

/// Serves the folders below `root` as buckets, on a free port of this machine.
#[expect(clippy::disallowed_methods, reason = "the example owns its server")]
async fn serve(root: &Path) -> Outcome<u16> {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).map_err(|error| format!("{error:?}"))?);
    service.set_auth(SimpleAuth::from_single("quickstart", "quickstart-secret"));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await);
            });
        }
    });
    Ok(port)
}

/// Unpacks a repository of `tests/fixtures` as the folder `place`.
fn unpack(name: &str, place: &Path) -> Outcome {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.tar.gz"));
    let staging = tempfile::tempdir_in(place.parent().ok_or("the bucket is missing")?)?;
    tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(archive)?)).unpack(staging.path())?;
    let inner = std::fs::read_dir(staging.path())?.next().ok_or("the archive is empty")??.path();
    std::fs::rename(inner, place)?;
    Ok(())
}

/// Every file below a folder with its content, in order.
fn tree(root: &Path) -> Outcome<Vec<(String, Vec<u8>)>> {
    let (mut files, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push((path.strip_prefix(root)?.to_string_lossy().into_owned(), std::fs::read(&path)?));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn must(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(format!("this does not hold: {what}").into()) }
}

fn say(text: &str) {
    show(&format!("\n── {text}"));
}

#[expect(clippy::print_stdout, reason = "an example talks to its reader")]
fn show(text: &str) {
    println!("{text}");
}
