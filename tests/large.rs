//! Objects of real size, made up by the double as they are read and kept as sums: 5 GiB and a byte on either side, and 1 TiB.
//!
//! They take minutes and a release build: `cargo test --release --test large -- --ignored --test-threads=1`; `just full` runs them.

#[path = "support/double/mod.rs"]
mod double;

use std::process::{Command, Stdio};

use double::Double;
use double::content::Content;
use double::rules::{ACCESS_KEY, Keep, Rules, SECRET_KEY};
use wait4::Wait4 as _;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Copies one object of `size` bytes from S3 to OSS by the program itself; gives its largest memory in bytes.
async fn copied(size: u64, threshold: u64) -> u64 {
    let (source, target) = (Double::start(Rules::s3()).await, Double::start(Rules::oss()).await);
    for double in [&source, &target] {
        double.bucket("bucket");
    }
    source.insert("bucket", "from/large", Content::synthesized(size), &[]);
    target.change(|rules| rules.keep = Keep::LengthAndCrc);
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapferry"));
    command.args(["sync", "a", "b", "--mode", "plain", "--json"]).current_dir(scratch.path());
    command.env_clear().env("HOME", scratch.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    for (store, url, double) in [("A", "s3://bucket/from", &source), ("B", "oss://bucket/to", &target)] {
        let set = |key: &str, value: &str| (format!("SNAPFERRY_STORE_{store}_{key}"), value.to_owned());
        command.envs([
            set("URL", url),
            set("ENDPOINT", &double.endpoint()),
            set("REGION", &double.rules().region),
            set("ACCESS_KEY_ID", ACCESS_KEY),
            set("SECRET_ACCESS_KEY", SECRET_KEY),
            // A formula has no MD5 beforehand.
            set("ETAG_MD5", "false"),
        ]);
    }
    command.env("SNAPFERRY_TRANSFER_MULTIPART_THRESHOLD", threshold.to_string());
    let mut child = command.spawn().expect("the program starts");
    let used = tokio::task::spawn_blocking(move || child.wait4()).await.expect("it is waited for").expect("it ends");
    assert!(used.status.success(), "{size} bytes: {:?}", used.status);
    let (sent, kept) = (&source.objects("bucket")["from/large"], &target.objects("bucket")["to/large"]);
    assert_eq!((kept.length(), kept.sums.crc64), (size, sent.sums.crc64), "{size} bytes");
    assert_eq!(target.uploads_open(), 0);
    used.rusage.maxrss
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "15 GiB: by `just full`"]
async fn five_gibibytes_and_a_byte_on_either_side() {
    for size in [5 * GIB - 1, 5 * GIB, 5 * GIB + 1] {
        let memory = copied(size, 5 * GIB).await;
        assert!(memory < 256 * MIB, "{size} bytes took {} MiB", memory / MIB);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "1 TiB, about half an hour: by `just full`"]
async fn a_tebibyte_within_the_memory_budget() {
    let memory = copied(1024 * GIB, 32 * MIB).await;
    assert!(memory < 256 * MIB, "it took {} MiB", memory / MIB);
}
