//! The program as a user meets it: help, output, errors and exit codes.

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use support::fixture::{scratch, tree, unpack};

/// `snapferry` in a directory of its own, with nothing of this machine's configuration.
fn snapferry(home: &Path) -> Command {
    let mut command = Command::cargo_bin("snapferry").expect("it was built");
    command.current_dir(home).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    snapferry(home).args(arguments).output().expect("it runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

#[test]
fn a_repository_is_copied_once_and_then_found_up_to_date() {
    let scratch = scratch();
    let (source, target) = (unpack("es-8.12-logs", scratch.path()), scratch.path().join("copy"));
    let first = run(scratch.path(), &["sync", &url(&source), &url(&target)]);
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    assert_eq!(tree(&source), tree(&target));
    assert!(stdout(&first).contains("published generation"), "{}", stdout(&first));
    let second = run(scratch.path(), &["sync", &url(&source), &url(&target)]);
    assert!(stdout(&second).contains("nothing to copy"), "{}", stdout(&second));
    let third = json(&run(scratch.path(), &["sync", &url(&source), &url(&target), "--json"]));
    assert_eq!(third["copied"]["objects"], 0);
    assert_eq!(third["skipped"]["objects"], 2, "the root and its pointer were all there was to compare");
    assert_eq!((third["root"].as_str(), third["snapshots"].as_u64()), (Some("unchanged"), Some(3)));
}

#[test]
fn the_documents_have_the_fields_they_promise() {
    let scratch = scratch();
    let (source, target) = (unpack("es-8.12-movies", scratch.path()), scratch.path().join("copy"));
    let plan = json(&run(scratch.path(), &["plan", &url(&source), &url(&target), "--json"]));
    assert!(!target.exists(), "a plan has no side effects");
    assert_eq!(
        (plan["command"].as_str(), plan["mode"].as_str(), plan["generation"].as_u64()),
        (Some("plan"), Some("repository"), Some(1))
    );
    let copies = plan["copy"].as_array().expect("a list");
    assert_eq!(copies.len(), tree(&source).len());
    assert_eq!(plan["totals"]["copy"]["objects"], copies.len());
    for field in ["key", "bytes", "phase", "reason"] {
        assert!(copies[0].get(field).is_some(), "{field}");
    }
    let phases: Vec<&str> = copies.iter().map(|copy| copy["phase"].as_str().expect("a text")).collect();
    assert_eq!((phases.first(), phases.last()), (Some(&"data"), Some(&"root")));
    assert!(plan["skip"]["reasons"].is_object() && plan["extra"].is_array());
    let dry = json(&run(scratch.path(), &["sync", "--dry-run", &url(&source), &url(&target), "--json"]));
    assert_eq!(dry["copy"], plan["copy"]);

    let sync = json(&run(scratch.path(), &["sync", &url(&source), &url(&target), "--json"]));
    for field in [
        "command",
        "outcome",
        "mode",
        "generation",
        "from",
        "to",
        "copied",
        "skipped",
        "failed",
        "extra",
        "requests",
        "elapsed_seconds",
    ] {
        assert!(sync.get(field).is_some(), "{field}");
    }
    assert_eq!(sync["outcome"], "done");
    assert_eq!(sync["failed"]["list"], Value::Array(Vec::new()));
    let lease = 1;
    assert_eq!(sync["requests"]["to"]["put"], tree(&source).len() + lease);
    let read: Vec<&String> = sync["requests"]["from"].as_object().expect("counts").keys().collect();
    assert_eq!(read, ["get", "list"], "nothing is ever written to the source");
}

#[test]
fn failures_go_to_a_file_that_a_later_run_takes_as_its_list() {
    let scratch = scratch();
    let source = unpack("es-8.12-logs", scratch.path());
    let (target, list) = (scratch.path().join("copy"), scratch.path().join("failures.jsonl"));
    let whole = tree(&source);
    let (bad, content) =
        whole.iter().find(|(name, content)| name.contains("/__") && content.len() > 100).expect("it has data");
    let mut damaged = content.clone();
    damaged[40] ^= 1;
    std::fs::write(source.join(bad), damaged).expect("writable");
    let failed = run(scratch.path(), &["sync", &url(&source), &url(&target), "--failures", "failures.jsonl", "--json"]);
    assert_eq!(code(&failed), 3, "{}", stderr(&failed));
    let document = json(&failed);
    assert_eq!(document["outcome"], "failures");
    assert_eq!(
        (&document["failed"]["list"][0]["kind"], &document["failed"]["list"][0]["key"]),
        (&"damaged".into(), &bad.as_str().into())
    );
    assert!(document["left_out"][0]["reason"].as_str().is_some_and(|reason| reason.contains("damaged")), "{document}");
    let lines = std::fs::read_to_string(&list).expect("it was written");
    assert_eq!(lines.lines().count(), 1);
    assert_eq!(std::fs::metadata(&list).expect("it is there").permissions().mode() & 0o777, 0o600);

    std::fs::write(source.join(bad), content).expect("writable");
    let again = run(
        scratch.path(),
        &[
            "sync",
            &url(&source),
            &url(&target),
            "--keys-from",
            "failures.jsonl",
            "--failures",
            "failures.jsonl",
            "--json",
        ],
    );
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    let document = json(&again);
    assert_eq!(document["copied"]["objects"].as_u64(), Some(1));
    assert_eq!(document["root"], "held-back", "a list is not the whole repository");
    assert_eq!(std::fs::read_to_string(&list).expect("it is there"), "", "nothing failed");
    let last = run(scratch.path(), &["sync", &url(&source), &url(&target)]);
    assert_eq!(code(&last), 0, "{}", stderr(&last));
    for (name, content) in whole.iter().filter(|(name, _)| !name.starts_with("index")) {
        assert_eq!(tree(&target).get(name), Some(content), "{name}");
    }
}

#[test]
fn plain_copies_choose_by_glob_time_and_rule() {
    let scratch = scratch();
    let source = scratch.path().join("source");
    for (name, second) in [("a.txt", 1_500_000_000), ("b.log", 1_600_000_000), ("d/c.txt", 1_700_000_000)] {
        let path = source.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a new folder");
        std::fs::write(&path, name).expect("writable");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
        std::fs::File::options().write(true).open(&path).expect("writable").set_modified(time).expect("settable");
    }
    let copied = |name: &str, flags: &[&str]| {
        let target = scratch.path().join(name);
        let ends = [url(&source), url(&target)];
        let arguments: Vec<&str> = ["sync", &ends[0], &ends[1]].into_iter().chain(flags.iter().copied()).collect();
        let output = run(scratch.path(), &arguments);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        (tree(&target).into_keys().collect::<Vec<_>>(), stderr(&output))
    };
    assert_eq!(copied("all", &[]).0, ["a.txt", "b.log", "d/c.txt"]);
    assert_eq!(copied("include", &["--include", "*.txt"]).0, ["a.txt"]);
    assert_eq!(copied("exclude", &["--exclude", "**/*.txt"]).0, ["b.log"]);
    let (names, said) = copied("since", &["--since", "1600000000"]);
    assert_eq!(names, ["b.log", "d/c.txt"]);
    assert!(said.contains("read as seconds since 1970: 2020-09-13"), "{said}");
    let (names, said) = copied("since-ms", &["--since", "1700000000000"]);
    assert_eq!((names, said.contains("milliseconds")), (vec!["d/c.txt".to_owned()], true));
    assert_eq!(copied("missing", &["--compare", "missing"]).0.len(), 3);
}

#[test]
fn what_is_wrong_is_said_before_any_request_with_exit_2() {
    let scratch = scratch();
    let home = scratch.path();
    let there = url(home);
    for (arguments, word) in [
        (vec!["sync", "nowhere", &there], "no store has that name"),
        (vec!["sync", "/tmp/x", &there], "file:///absolute/path"),
        (vec!["sync", "ftp://x/y", &there], "`ftp` is no scheme"),
        (vec!["sync", "s3://key:hunter2@bucket/x", &there], "no place for a secret"),
        (vec!["sync", "s3://bucket/x?secret=hunter2", &there], "no place for a secret"),
        (vec!["sync", &there, &there], "the same place"),
        (vec!["sync", "s3://b/x", "s3://b/x/y"], "one lies inside the other"),
        (vec!["sync", "s3://b/x/y", "s3://b/x"], "one lies inside the other"),
        (vec!["sync", "file:///nowhere/at/all", "file:///tmp/never-made"], "no such directory"),
        (vec!["sync", &there, "file:///tmp/x", "--since", "20180228"], "April 1973"),
        (vec!["sync", &there, "file:///tmp/x", "--include", "a["], "--include a["),
        (vec!["repo", "list", "http://10.1.2.3:9200"], "plain `http` to another host"),
        (vec!["repo", "list", "https://elastic:hunter2@es:9200"], "no place for a secret"),
        (vec!["frobnicate"], "frobnicate"),
        (vec!["sync", &there], "<TO>"),
    ] {
        let output = run(home, &arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
    }
    assert!(!Path::new("/tmp/never-made").exists());
}

#[test]
fn a_configuration_is_refused_with_file_line_key_and_what_is_allowed() {
    let scratch = scratch();
    let home = scratch.path();
    for (text, line, words) in [
        (
            "[store.a]\nurl = \"s3://b\"\nendpont = \"https://x\"\n",
            3,
            ["unknown key `endpont`", "did you mean `endpoint`?"],
        ),
        ("\n[stores.a]\nurl = \"s3://b\"\n", 2, ["unknown section or key `stores`", "did you mean `store`?"]),
        ("[store.a]\nurl = 7\n", 2, ["`url`", "a text in quotes"]),
        ("[store.a]\nregion = \"eu\"\n", 2, ["`[store.a]` has no `url`", "SNAPFERRY_STORE_A_URL"]),
        ("[store.a]\nurl = \"gs://b\"\n", 2, ["`gs` is no scheme", "s3://bucket/prefix"]),
        (
            "[store.a]\nurl = \"s3://b\"\naddressing = \"vhost\"\n",
            3,
            ["`addressing`", "\"auto\", \"path\", \"virtual\""],
        ),
        (
            "[store.a]\nurl = \"s3://b\"\nendpoint = \"http://minio.example.com\"\n",
            3,
            ["plain `http`", "allow_http = true"],
        ),
        ("[store.a]\nurl = \"s3://b\"\nendpoint = \"minio:9000\"\n", 3, ["has no scheme", "https://host:port"]),
        ("[store.a]\nurl = \"s3://b\"\naccess_key_id = \"x\"\n", 3, ["no `secret_access_key`", "usual chain"]),
        ("[store.a]\nurl = \"file:///x\"\nregion = \"eu\"\n", 3, ["means nothing for a directory", "only `url`"]),
        ("[elastic.a]\nurl = \"https://es\"\nusername = \"x\"\n", 3, ["no `password`", "add `password`"]),
        ("[transfer]\ntransfers = 0\n", 2, ["`transfers`", "from 1 to 1024"]),
        ("[transfer]\nmemory = \"lots\"\n", 2, ["`memory`", "64MiB"]),
        ("[transfer]\nthreads = 4\n", 2, ["unknown key `threads`", "transfers"]),
        ("[store.a]\nurl = \"s3://b\"\nurl = \"s3://c\"\n", 3, ["duplicate", "line 3"]),
        ("url = \"s3://b\"\n", 1, ["unknown section or key `url`", "[store.<name>]"]),
        ("[store]\nurl = \"s3://b\"\n", 2, ["has no keys of its own", "[store.<name>]"]),
    ] {
        std::fs::write(home.join("snapferry.toml"), text).expect("writable");
        let output = run(home, &["ls", "a"]);
        let said = stderr(&output);
        assert_eq!(code(&output), 2, "{text}: {said}");
        assert!(said.contains("`snapferry.toml`") && said.contains(&format!("line {line}")), "{text}: {said}");
        for word in words {
            assert!(said.contains(word), "{text}: {said}");
        }
    }
}

#[test]
fn the_environment_configures_a_run_without_any_file() {
    let scratch = scratch();
    let source = unpack("es-8.12-movies", scratch.path());
    let target = scratch.path().join("copies");
    let output = snapferry(scratch.path())
        .env("SNAPFERRY_STORE_HERE_URL", url(&source))
        .env("SNAPFERRY_STORE_MY_COPIES_URL", url(&target))
        .env("SNAPFERRY_TRANSFER_TRANSFERS", "2")
        .args(["sync", "here", "my-copies/movies", "--json"])
        .output()
        .expect("it runs");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(tree(&source), tree(&target.join("movies")));
    for (name, value, word) in [
        ("SNAPFERRY_STORE_HERE_ENDPONT", "x", "endpoint"),
        ("SNAPFERRY_TRANSFER_TRANSFERS", "many", "from 1 to 1024"),
        ("SNAPFERRY_CONFIG", "nowhere.toml", "nowhere.toml"),
    ] {
        let output = snapferry(scratch.path()).env(name, value).args(["ls", &url(&source)]).output().expect("it runs");
        assert_eq!(code(&output), 2, "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{name}: {}", stderr(&output));
    }
}

#[test]
fn what_cannot_be_copied_safely_yet_is_refused_by_name() {
    let scratch = scratch();
    let (source, target) = (unpack("es-2.4.6-main", scratch.path()), scratch.path().join("copy-2"));
    let output = run(scratch.path(), &["sync", &url(&source), &url(&target)]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("Elasticsearch 2"), "{}", stderr(&output));
    assert!(!target.exists(), "nothing was written");
    let source = unpack("es-8.12-movies", scratch.path());
    std::fs::write(source.join("index-999"), "{}").expect("writable");
    let output = run(scratch.path(), &["sync", &url(&source), &url(&scratch.path().join("copy"))]);
    assert_ne!(code(&output), 0);
    assert!(stderr(&output).contains("index-999"), "{}", stderr(&output));
}

#[test]
fn a_diverged_target_gives_exit_6() {
    let scratch = scratch();
    let (source, target) = (unpack("es-8.12-movies", scratch.path()), scratch.path().join("copy"));
    run(scratch.path(), &["sync", &url(&source), &url(&target)]);
    std::fs::copy(target.join("index-1"), target.join("index-10")).expect("writable");
    let output = run(scratch.path(), &["sync", &url(&source), &url(&target), "--json"]);
    assert_eq!(code(&output), 6, "{}", stderr(&output));
    assert_eq!(json(&output)["outcome"], "diverged");
}

#[test]
fn an_endpoint_that_is_not_there_is_named_within_seconds() {
    let scratch = scratch();
    let output = snapferry(scratch.path())
        .env("SNAPFERRY_STORE_S_URL", "s3://bucket/prefix")
        .env("SNAPFERRY_STORE_S_ENDPOINT", "http://127.0.0.1:1")
        .env("SNAPFERRY_STORE_S_ACCESS_KEY_ID", "canary-id-77")
        .env("SNAPFERRY_STORE_S_SECRET_ACCESS_KEY", "canary-secret-77")
        .args(["sync", "s", "file:///tmp/never-made", "-vv", "--json"])
        .timeout(std::time::Duration::from_secs(30))
        .output()
        .expect("it runs");
    assert_eq!(code(&output), 8, "{}", stderr(&output));
    assert!(stderr(&output).contains("127.0.0.1:1") && stderr(&output).contains("hint:"), "{}", stderr(&output));
    assert_eq!(json(&output)["error"]["kind"], "unavailable");
    assert!(!format!("{}{}", stdout(&output), stderr(&output)).contains("canary-secret"));
}

#[test]
fn what_the_user_reads_is_as_it_was_reviewed() {
    let scratch = scratch();
    let (source, target) = (unpack("es-8.12-movies", scratch.path()), scratch.path().join("copy"));
    let shown = |output: &Output| {
        let text =
            format!("{}{}", stdout(output), stderr(output)).replace(&scratch.path().display().to_string(), "[scratch]");
        // Times and rates differ from run to run.
        let timed = regex::Regex::new(r"in [0-9.]+ s( \([0-9.]+ MiB/s\))?").expect("valid");
        timed.replace_all(&text, "in [time]").into_owned()
    };
    insta::assert_snapshot!("help", shown(&run(scratch.path(), &["--help"])));
    insta::assert_snapshot!("sync-help", shown(&run(scratch.path(), &["sync", "--help"])));
    insta::assert_snapshot!("check-help", shown(&run(scratch.path(), &["check", "--help"])));
    insta::assert_snapshot!("prune-help", shown(&run(scratch.path(), &["prune", "--help"])));
    insta::assert_snapshot!("verify-help", shown(&run(scratch.path(), &["verify", "--help"])));
    insta::assert_snapshot!("migrate-help", shown(&run(scratch.path(), &["migrate", "--help"])));
    insta::assert_snapshot!("plan", shown(&run(scratch.path(), &["plan", &url(&source), &url(&target)])));
    insta::assert_snapshot!("sync-first", shown(&run(scratch.path(), &["sync", &url(&source), &url(&target)])));
    insta::assert_snapshot!("sync-again", shown(&run(scratch.path(), &["sync", &url(&source), &url(&target)])));
    let logs = unpack("es-8.12-logs", scratch.path());
    insta::assert_snapshot!("another-repository", shown(&run(scratch.path(), &["sync", &url(&logs), &url(&target)])));
    insta::assert_snapshot!("unknown-store", shown(&run(scratch.path(), &["sync", "aws", &url(&target)])));
}

#[test]
fn log_lines_are_json_when_asked_for() {
    let scratch = scratch();
    let (source, target) = (unpack("es-8.12-movies", scratch.path()), scratch.path().join("copy"));
    let arguments = [
        "sync",
        &url(&source),
        &url(&target),
        "--log-format",
        "json",
        "-vv",
        "--since",
        "2020-01-01",
        "--mode",
        "plain",
    ];
    let output = run(scratch.path(), &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).lines().count() > 14, "every object is told: {}", stderr(&output));
    for line in stderr(&output).lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["fields"]["message"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[test]
fn every_help_shows_the_exit_codes() {
    let scratch = scratch();
    for command in [
        vec!["--help"],
        vec!["sync", "--help"],
        vec!["plan", "--help"],
        vec!["ls", "--help"],
        vec!["check", "--help"],
        vec!["prune", "--help"],
        vec!["inspect", "--help"],
        vec!["verify", "--help"],
        vec!["repo", "register", "--help"],
        vec!["snapshot", "create", "--help"],
        vec!["restore", "--help"],
        vec!["migrate", "--help"],
        vec!["migrate", "baseline", "--help"],
        vec!["migrate", "increment", "--help"],
        vec!["migrate", "cutover", "--help"],
        vec!["migrate", "status", "--help"],
    ] {
        let output = run(scratch.path(), &command);
        assert_eq!(code(&output), 0);
        assert!(
            stdout(&output).contains("Exit codes:") && stdout(&output).contains("130"),
            "{command:?}: {}",
            stdout(&output)
        );
    }
}

#[test]
fn the_example_configuration_is_complete_and_valid() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).expect("it is there");
    let scratch = scratch();
    // Every key, also those that stand in a comment because they exclude another: a key that does not exist is told which do.
    for section in ["[store.x]", "[elastic.x]", "[job.x]", "[transfer]"] {
        std::fs::write(scratch.path().join("snapferry.toml"), format!("{section}\nqqqqqq = 1\n")).expect("writable");
        let said = stderr(&run(scratch.path(), &["ls", "nas"]));
        let known = said.split_once("known keys: ").expect("they are listed").1;
        let keys: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        assert!(keys.len() > 5, "{said}");
        for key in keys {
            assert!(
                text.contains(&format!("{key} ="))
                    || text.contains(&format!("{key}_file ="))
                    || text.contains(&format!("{} =", key.trim_end_matches("_file"))),
                "{key} is missing"
            );
        }
    }
    std::fs::write(scratch.path().join("snapferry.toml"), text).expect("writable");
    let output = run(scratch.path(), &["ls", "nas"]);
    assert!(stderr(&output).contains("no such directory"), "it was read: {}", stderr(&output));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let scratch = scratch();
    let source = unpack("es-8.12-logs", scratch.path());
    let program = Command::cargo_bin("snapferry").expect("it was built").get_program().to_owned();
    let output = std::process::Command::new("sh")
        .args(["-c", "\"$0\" ls \"$1\" | head -1 >/dev/null; exit ${PIPESTATUS:-0}"])
        .arg(program)
        .arg(url(&source))
        .output()
        .expect("it runs");
    assert!(output.status.success() && !stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn a_copy_is_pruned_after_a_dry_run_and_a_bound_holds_it_back() {
    let scratch = scratch();
    let (old, new) =
        (unpack("es-8.12.2-again-stateA", scratch.path()), unpack("es-8.12.2-again-stateB", scratch.path()));
    let target = scratch.path().join("copy");
    for source in [&old, &new] {
        assert_eq!(code(&run(scratch.path(), &["sync", &url(source), &url(&target)])), 0);
    }
    let before = tree(&target);
    let prune = |more: &[&str]| run(scratch.path(), &[&["prune", &url(&target), "--grace", "0s"], more].concat());
    let dry = json(&prune(&["--dry-run", "--json"]));
    assert_eq!((dry["command"].as_str(), dry["outcome"].as_str()), (Some("prune"), Some("done")));
    let listed = dry["objects"].as_array().expect("a list").len();
    assert_eq!(dry["surplus"]["objects"], listed);
    assert_eq!(
        (&dry["dry_run"], &dry["within_share"], &dry["deleted"]["objects"]),
        (&true.into(), &true.into(), &0.into())
    );
    for field in ["kind", "key", "bytes"] {
        assert!(dry["objects"][0].get(field).is_some(), "{field}");
    }
    let text = stdout(&prune(&["--dry-run"]));
    assert_eq!(text.lines().filter(|line| line.starts_with("  delete ")).count(), listed, "{text}");
    let refused = prune(&["--max-share", "1%"]);
    assert_eq!(code(&refused), 2, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--max-share"), "{}", stderr(&refused));
    assert_eq!(tree(&target), before);

    let done = json(&prune(&["--json"]));
    assert_eq!((&done["deleted"], &done["outcome"]), (&dry["surplus"], &"done".into()));
    assert_eq!(tree(&target).len() + listed, before.len());
    assert_eq!(done["deleted_kinds"]["data"], dry["surplus_kinds"]["data"]);
    assert_eq!(done["snapshots"].as_array().expect("a list").len(), 1);
    for field in [
        "location",
        "generation",
        "previous_generation",
        "kept_objects",
        "waited_seconds",
        "failed",
        "requests",
        "elapsed_seconds",
    ] {
        assert!(done.get(field).is_some(), "{field}");
    }
    let again = prune(&[]);
    assert!(stdout(&again).contains("nothing to delete"), "{}", stdout(&again));
    for wrong in [["--grace", "soon"], ["--max-share", "101%"]] {
        assert_eq!(code(&run(scratch.path(), &[&["prune", &url(&target)], &wrong[..]].concat())), 2);
    }
    assert_eq!(code(&run(scratch.path(), &["prune", &url(&scratch.path().join("nothing"))])), 2);
}
