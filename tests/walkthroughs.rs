//! The guides of `docs/guides/`, walked through: what stands there in `sh` is what runs here, and what stands there as its output is
//! what must come out.
//!
//! A page's `toml` becomes `snapferry.toml`. Its `sh` blocks run one after the other in one shell; one that says `sh fails` has to fail.
//! A `text` block behind one of them has lines of its output, in this order, `…` for anything. Other blocks are only to be read. Where
//! a page names a paid cloud, the environment of the run, which wins over the file, puts a server of our own in its place.
//!
//! `cargo test --features engine-tests --test walkthroughs`; `tests/engines/stage.sh` fetches the engines first.
#![cfg(feature = "engine-tests")]

#[path = "support/engines.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod engines;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;

use engines::{ACCESS_KEY, Elastic, MinIo, SECRET_KEY};

const GUIDES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides");

/// A fenced block of a page.
struct Block {
    /// What stands behind the fence: `sh`, `sh fails`, `toml`, `text`.
    kind: String,
    text: String,
    /// Where it begins.
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some(Block { kind: kind.to_owned(), text: String::new(), line: number + 1 }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// The shell script of a page: each block leaves its output in a file of its own.
fn script(blocks: &[Block]) -> String {
    let mut script = "set -euo pipefail\n".to_owned();
    for Block { kind, text, line } in blocks {
        script += &match kind.as_str() {
            "sh" => format!("echo {line} >at\n{{\n{text}}} >{line}.out 2>&1\n"),
            // A subshell, so that its end is not ours.
            "sh fails" => format!(
                "echo {line} >at\nif (\n{text}) >{line}.out 2>&1; then echo 'this must fail' >>{line}.out; exit 99; fi\n"
            ),
            _ => continue,
        };
    }
    script
}

/// Whether these lines come in this order, blanks and what `…` stands for aside. The first that does not is given.
fn lacks<'a>(output: &str, expected: &'a str) -> Option<&'a str> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = output.lines().map(words);
    expected.lines().filter(|line| !line.trim().is_empty()).find(|line| {
        let pattern = regex::escape(&words(line)).replace('…', ".*");
        let pattern = Regex::new(&format!("^{pattern}$")).expect("it is escaped");
        !lines.any(|found| pattern.is_match(&found))
    })
}

/// Walks through a page, with these variables in its shell.
fn walk(page: &str, variables: &[(&str, &str)]) {
    let text = fs::read_to_string(Path::new(GUIDES).join(page)).expect("the page is there");
    let blocks = blocks(&text);
    let home = tempfile::tempdir().expect("a temporary folder");
    let configuration: String =
        blocks.iter().filter(|block| block.kind == "toml").map(|block| block.text.as_str()).collect();
    fs::write(home.path().join("snapferry.toml"), configuration).expect("it can be written");
    let script = script(&blocks);
    let program = Path::new(env!("CARGO_BIN_EXE_snapferry")).parent().expect("it lies in a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("there is one"));
    let mut command = Command::new("bash");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("SNAPFERRY_") || name.starts_with("AWS_")) {
            command.env_remove(name);
        }
    }
    let status = command
        .args(["-c", &script])
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("PATH", path)
        .env("no_proxy", "127.0.0.1")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .status()
        .expect("bash is installed");
    let output = |line: &str| fs::read_to_string(home.path().join(format!("{line}.out"))).unwrap_or_default();
    if !status.success() {
        let at = fs::read_to_string(home.path().join("at")).unwrap_or_default();
        panic!("{page}: the block at line {} ended with {status}: {}", at.trim(), output(at.trim()));
    }
    for pair in blocks.windows(2).filter(|pair| pair[0].kind.starts_with("sh") && pair[1].kind == "text") {
        let said = output(&pair[0].line.to_string());
        if let Some(line) = lacks(&said, &pair[1].text) {
            panic!("{page}: the block at line {} does not say `{line}` there: {said}", pair[0].line);
        }
    }
}

#[test]
fn guide_s0_another_clusters_repository_in_oss() {
    // Both clusters see what stands for OSS, and write there as another user than ours.
    let oss = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(oss.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let repositories = oss.path().to_str().expect("text");
    let (a, b) = both("elasticsearch-6.8.23", &[("ENGINE_REPOSITORIES", repositories)]);
    let (source, copy) = (oss.path().join("hangzhou"), oss.path().join("singapore"));
    let file = |folder: &Path| format!("file://{}", folder.display());
    walk(
        "S0-another-clusters-repository.md",
        &[
            ("ES_CN_A", a.url()),
            ("ES_CN_B", b.url()),
            ("SNAPFERRY_ELASTIC_ES_CN_A_URL", a.url()),
            ("SNAPFERRY_ELASTIC_ES_CN_B_URL", b.url()),
            ("SNAPFERRY_STORE_HANGZHOU_URL", &file(&source)),
            ("SNAPFERRY_STORE_SINGAPORE_URL", &file(&copy)),
            ("AUTO_REPOSITORY", source.to_str().expect("text")),
        ],
    );
}

#[test]
fn guide_s1_elasticsearch_with_qingstor() {
    let minio = MinIo::start_with("minio", &["my-qingstor-bucket", "my-other-bucket"]);
    let (a, b) = both("elasticsearch-8.12.2", &[("ES_S3", minio.url())]);
    walk(
        "S1-qingstor.md",
        &[
            ("ES_A", a.url()),
            ("SNAPFERRY_ELASTIC_A_URL", a.url()),
            ("SNAPFERRY_ELASTIC_B_URL", b.url()),
            ("SNAPFERRY_STORE_BEIJING_ENDPOINT", minio.url()),
            ("SNAPFERRY_STORE_SHANGHAI_ENDPOINT", minio.url()),
            ("QINGSTOR_ACCESS_KEY_ID", ACCESS_KEY),
            ("QINGSTOR_SECRET_ACCESS_KEY", SECRET_KEY),
        ],
    );
}

#[test]
fn guide_s3_from_aws_to_alibaba_cloud() {
    let (a, b) = both("elasticsearch-5.5.3", &[]);
    let (source, copy) = (a.repositories().join("s3"), b.repositories().join("oss"));
    let file = |folder: &Path| format!("file://{}", folder.display());
    walk(
        "S3-from-aws-to-alibaba-cloud.md",
        &[
            ("ES_AWS", a.url()),
            ("ES_ALIYUN", b.url()),
            ("SNAPFERRY_ELASTIC_AWS_URL", a.url()),
            ("SNAPFERRY_ELASTIC_ALIYUN_URL", b.url()),
            ("SNAPFERRY_STORE_S3_URL", &file(&source)),
            ("SNAPFERRY_STORE_OSS_URL", &file(&copy)),
            ("S3_FOLDER", source.to_str().expect("text")),
        ],
    );
}

/// Two clusters of this engine.
fn both(engine: &'static str, environment: &[(&str, &str)]) -> (Elastic, Elastic) {
    std::thread::scope(|scope| {
        let a = scope.spawn(|| Elastic::start_engine("a", engine, environment));
        let b = Elastic::start_engine("b", engine, environment);
        (a.join().expect("its panic was printed"), b)
    })
}

#[test]
fn a_page_is_read_as_it_is_meant() {
    let blocks = blocks("words\n```sh\ntrue\n```\n\n```text\nx … y\n```\n```sh fails\nfalse\n```\n");

    assert_eq!(blocks.iter().map(|block| block.line).collect::<Vec<_>>(), [2, 6, 9]);
    assert!(script(&blocks).contains("{\ntrue\n} >2.out"));
    assert_eq!(lacks("w\nx  12 y\n", &blocks[1].text), None);
    assert_eq!(lacks("x y z\n", &blocks[1].text), Some("x … y"));
}
