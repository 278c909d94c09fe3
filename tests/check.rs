//! `snapferry check` as a user meets it, on a directory and on a server over sockets.

mod support;

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::fixture::scratch;
use support::s3::{ACCESS_KEY, SECRET_KEY, Server};

/// Runs the program off the runtime that serves the bucket.
async fn run(home: &Path, variables: &[(&str, String)], arguments: &[&str]) -> Output {
    let mut command = assert_cmd::Command::cargo_bin("snapferry").expect("it was built");
    command.current_dir(home).env_clear().env("HOME", home).args(arguments);
    for (name, text) in variables {
        command.env(name, text);
    }
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the user reads, without what differs from run to run.
fn shown(output: &Output, home: &Path) -> String {
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    let said = said.replace(&home.display().to_string(), "[scratch]");
    let counted = regex::Regex::new(r"[0-9,]+ requests in [0-9.]+ s").expect("valid").replace_all(&said, "[requests]");
    regex::Regex::new("snapferry-check-[0-9a-f]{16}").expect("valid").replace_all(&counted, "[random]").into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

/// Every file and directory below a directory.
fn everything(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).into_iter().flatten() {
        let path = entry.expect("readable").path();
        found.push(path.display().to_string());
        found.extend(everything(&path));
    }
    found
}

fn configured(server: &Server, secret: &str) -> Vec<(&'static str, String)> {
    vec![
        ("SNAPFERRY_STORE_HERE_URL", "s3://bucket/some/place".to_owned()),
        ("SNAPFERRY_STORE_HERE_ENDPOINT", server.endpoint()),
        ("SNAPFERRY_STORE_HERE_REGION", "us-east-1".to_owned()),
        ("SNAPFERRY_STORE_HERE_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("SNAPFERRY_STORE_HERE_SECRET_ACCESS_KEY", secret.to_owned()),
    ]
}

#[tokio::test]
async fn a_directory_is_checked_and_nothing_is_left_behind() {
    let scratch = scratch();
    let home = scratch.path().canonicalize().expect("it is there");
    std::fs::create_dir(home.join("place")).expect("a new folder");
    std::fs::write(home.join("place/kept"), "kept").expect("writable");
    let before = everything(&home);
    for place in ["place", "place/not/there/yet"] {
        let place = format!("file://{}/{place}", home.display());
        let output = run(&home, &[], &["check", &place]).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(everything(&home), before, "{place}");
        insta::assert_snapshot!("check-directory", shown(&output, &home));
    }
    assert_eq!(std::fs::read_to_string(home.join("place/kept")).expect("it is there"), "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_checked_and_its_findings_are_told() {
    let scratch = scratch();
    let home = scratch.path().canonicalize().expect("it is there");
    let bucket = home.join("server/bucket");
    std::fs::create_dir_all(bucket.join("some/place")).expect("a new folder");
    std::fs::write(bucket.join("some/place/kept"), "kept").expect("writable");
    let server = Server::start(&home.join("server")).await;
    let variables = configured(&server, SECRET_KEY);

    let output = run(&home, &variables, &["check", "here"]).await;
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    insta::assert_snapshot!("check-server", shown(&output, &home));

    let output = run(&home, &variables, &["check", "here", "--json"]).await;
    let document = json(&output);
    assert_eq!((document["command"].as_str(), document["outcome"].as_str()), (Some("check"), Some("findings")));
    assert_eq!(document["location"], "s3://bucket/some/place");
    for field in ["scratch", "capability", "requests", "elapsed_seconds"] {
        assert!(!document[field].is_null(), "{field}");
    }
    let verdicts = document["verdicts"].as_array().expect("a list");
    for field in ["promise", "tried", "outcome", "error", "unable"] {
        assert!(verdicts.iter().all(|verdict| verdict.get(field).is_some()), "{field}");
    }
    let keys = verdicts[0]["unable"].as_array().expect("a list");
    assert!(keys.iter().any(|unable| unable["key"] == "double//slash" && unable["why"].is_string()), "{keys:?}");
    let profile = &document["profile"];
    assert_eq!((profile["provider"].as_str(), profile["min_part"].as_u64()), (Some("other"), Some(5 << 20)));
    assert!(matches!(profile["conditional_writes"].as_str(), Some("true" | "false")), "{profile}");
    assert!(document.get("left").is_none(), "{document}");
    let left: Vec<String> = support::fixture::tree(&bucket).into_keys().collect();
    assert_eq!(left, ["some/place/kept"], "objects are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_tried_is_an_error_and_no_finding() {
    let scratch = scratch();
    std::fs::create_dir(scratch.path().join("bucket")).expect("a new folder");
    let server = Server::start(scratch.path()).await;
    let output = run(scratch.path(), &configured(&server, "canary-wrong-secret"), &["check", "here", "--json"]).await;
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert_eq!(json(&output)["error"]["kind"], "denied");
    let mut variables = configured(&server, SECRET_KEY);
    variables[1].1 = "http://127.0.0.1:1".to_owned();
    let output = run(scratch.path(), &variables, &["check", "here"]).await;
    assert_eq!(output.status.code(), Some(8), "{}", text(&output.stderr));
    variables = configured(&server, SECRET_KEY);
    variables[0].1 = "s3://nowhere/x".to_owned();
    let output = run(scratch.path(), &variables, &["check", "here"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(support::fixture::tree(&scratch.path().join("bucket")).is_empty());
}

#[tokio::test]
async fn a_signal_ends_a_check_and_nothing_is_left_behind() {
    let scratch = scratch();
    let home = scratch.path().canonicalize().expect("it is there");
    let program = assert_cmd::Command::cargo_bin("snapferry").expect("it was built").get_program().to_owned();
    let mut child = std::process::Command::new(program)
        .args(["check", &format!("file://{}", home.display()), "--json"])
        .env_clear()
        .current_dir(&home)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    // In the midst of the many small objects.
    while everything(&home).len() < 100 {
        assert!(child.try_wait().expect("ours").is_none(), "it ended before the signal");
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("it runs");
    assert!(sent.success());
    let output = child.wait_with_output().expect("ours");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stdout));
    assert_eq!(json(&output)["outcome"], "cancelled");
    assert_eq!(everything(&home), Vec::<String>::new());
}
