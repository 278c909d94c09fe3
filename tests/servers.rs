//! Every S3 server that can be had, tried by the contract of `ObjectStore`, and copies from one maker's server to another's.
//!
//! `cargo test --features engine-tests --test servers`; `tests/engines/stage.sh` fetches the servers first and runs this where
//! the network ends at loopback.
#![cfg(feature = "engine-tests")]

#[path = "support/fixture.rs"]
#[expect(dead_code, reason = "this test uses some of it")]
mod fixture;
#[path = "support/servers.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use snapferry::store::conformance::{Expectation, HOSTILE, Trial, check};

use support::{S3, Snapferry, digests};
use tokio::time::timeout;

/// What one server cannot hold. A test fails when a server does less than its row says, and also when it does more.
struct Row {
    /// As `start-<name>.sh` is called.
    name: &'static str,
    /// Hostile keys that it refuses or confuses, and why.
    unable: &'static [(&'static str, &'static str)],
    /// Promises that it breaks, and how.
    wrong: &'static [(Trial, &'static str)],
    /// What it does not delete, if there is something.
    leaves: Option<&'static str>,
    /// What it cannot do and says so.
    cannot: &'static [(Trial, &'static str)],
}

/// The longest that the suite may take: a server that turns in circles is not to hold up the others.
const PATIENCE: Duration = Duration::from_mins(3);

const MINIO: Row = Row {
    name: "minio",
    unable: &[
        ("double//slash", "refused: an empty segment is no name"),
        ("/leading/slash", "refused: an empty segment is no name"),
        ("dots/./in/../the/../../middle", "refused: segments `.` and `..`"),
        ("..", "refused: segments `.` and `..`"),
        (".", "refused: segments `.` and `..`"),
        ("a-key/below", "accepted beside `a-key`, but never listed"),
        ("null\0here", "refused: NUL"),
        ("1,023 bytes in one segment", "refused: a segment is a name of a file"),
        ("1,023 bytes of Chinese", "refused: a segment is a name of a file"),
    ],
    leaves: Some("`folder/a/b` is accepted beside `folder/a`, listed, and not deleted"),
    wrong: &[],
    cannot: &[],
};

const SEAWEEDFS: Row = Row {
    name: "seaweedfs",
    unable: &[
        ("double//slash", "stored as `double/slash`"),
        ("/leading/slash", "stored as `leading/slash`"),
        ("trailing/slash/", "becomes a folder, its content is lost"),
        ("dots/./in/../the/../../middle", "refused: segments `.` and `..`"),
        ("..", "refused: segments `.` and `..`"),
        (".", "refused: segments `.` and `..`"),
        ("quote'quote\"back\\slash", "`\\` is stored as `/`"),
    ],
    leaves: None,
    wrong: &[
        (Trial::Keys, "`start-after` a key that is also a folder begins too early"),
        (
            Trial::After,
            "`start-after` with a folder of the same name begins too early: named, and nothing is taken as missing",
        ),
        (Trial::Folders, "`folder/a/` of `folder/a/b` is found"),
    ],
    cannot: &[],
};

const VERSITYGW: Row = Row {
    name: "versitygw",
    unable: &[
        ("double//slash", "stored as `double/slash`: keys are paths of files"),
        ("/leading/slash", "stored as `leading/slash`"),
        ("trailing/slash/", "refused: a folder has no content"),
        ("dots/./in/../the/../../middle", "stored as `middle`, above where it belongs"),
        ("..", "refused: it is a folder"),
        (".", "refused: it is a folder"),
        ("a-key/below", "refused beside `a-key`: a file is no folder"),
        ("bell\u{7}here", "listed with another character, in spite of the url encoding asked for"),
        ("escape\u{1b}[31m", "listed with another character"),
        ("one\u{1}here", "listed with another character"),
        ("no-character\u{ffff}", "listed with another character"),
        ("null\0here", "error 500"),
        ("1,023 bytes in one segment", "refused: a segment is a name of a file"),
        ("1,023 bytes of Chinese", "refused: a segment is a name of a file"),
    ],
    leaves: Some("a key with a control character, which its own listing does not name"),
    wrong: &[
        (Trial::Folders, "deleting `folder/a/` of `folder/a/b` is an error"),
        (Trial::Aborts, "an upload can be completed after it was aborted"),
        (Trial::Batch, "a key with a control character cannot be deleted by its listing"),
    ],
    cannot: &[],
};

const RCLONE: Row = Row {
    name: "rclone",
    unable: &[
        ("double//slash", "refused: keys are paths of files"),
        ("/leading/slash", "refused: keys are paths of files"),
        ("trailing/slash/", "stored as `trailing/slash`"),
        ("dots/./in/../the/../../middle", "refused: segments `.` and `..`"),
        ("..", "refused: segments `.` and `..`"),
        (".", "refused: segments `.` and `..`"),
        ("a-key/below", "error 500 beside `a-key`: a file is no folder"),
    ],
    leaves: Some("keys of more than a file's name"),
    wrong: &[
        (Trial::Keys, "a key with NUL is accepted and makes every listing unreadable"),
        (Trial::Folders, "deleting a folder is an error 500"),
        (Trial::Copies, "a copy has a metadata `mtime` that nobody gave it"),
        (Trial::CopiedParts, "copying a part gives no answer"),
        (Trial::CopiedChanged, "`copy-source-if-match` is not obeyed"),
    ],
    cannot: &[],
};

/// It checks no signature.
const MOTO: Row = Row {
    name: "moto",
    unable: &[("newline\nhere", "not found: its routes end at a line break")],
    leaves: None,
    wrong: &[
        (Trial::Batch, "keys with a line break are not found"),
        (Trial::CopiedChanged, "`copy-source-if-match` is not obeyed"),
    ],
    cannot: &[],
};

#[tokio::test]
async fn minio_keeps_the_contract_but_for_its_row() {
    MINIO.is_true().await;
}

#[tokio::test]
async fn seaweedfs_keeps_the_contract_but_for_its_row() {
    SEAWEEDFS.is_true().await;
}

#[tokio::test]
async fn versitygw_keeps_the_contract_but_for_its_row() {
    VERSITYGW.is_true().await;
}

#[tokio::test]
async fn rclone_keeps_the_contract_but_for_its_row() {
    RCLONE.is_true().await;
}

#[tokio::test]
async fn moto_keeps_the_contract_but_for_its_row() {
    MOTO.is_true().await;
}

impl Row {
    fn unable(&self) -> BTreeSet<&'static str> {
        self.unable.iter().map(|(key, _)| *key).collect()
    }

    /// Runs the suite, and compares what came of it with this row, to the worse and to the better.
    async fn is_true(&self) {
        let sentences = |rows: &[(Trial, &str)]| rows.iter().map(|(trial, _)| trial.sentence().1).collect();
        let mut wrong: BTreeSet<&'static str> = sentences(self.wrong);
        wrong.extend(self.leaves.map(|_| "what was deleted is gone"));
        let known = Expectation { unable: self.unable(), wrong, cannot: sentences(self.cannot) };
        let server = S3::start(self.name);
        let store = server.open("some/prefix").await;
        let verdicts = timeout(PATIENCE, check(store, "suite/", &known)).await;
        let verdicts = verdicts.unwrap_or_else(|_| panic!("{}: the suite has no end", self.name));
        let surprises: Vec<String> = verdicts
            .iter()
            .filter_map(|verdict| {
                let error = verdict.result.as_ref().err()?;
                Some(format!("{}. {}: {error}", verdict.promise, verdict.tried))
            })
            .collect();
        assert!(surprises.is_empty(), "{}:\n{}", self.name, surprises.join("\n"));
    }
}

#[test]
fn a_copy_from_minio_to_seaweedfs_is_whole() {
    copies(&MINIO, &SEAWEEDFS);
}

#[test]
fn a_copy_from_seaweedfs_to_versitygw_is_whole() {
    copies(&SEAWEEDFS, &VERSITYGW);
}

#[test]
fn a_copy_from_versitygw_to_minio_is_whole() {
    copies(&VERSITYGW, &MINIO);
}

/// Copies plain objects and a repository from one maker's server to another's, with keys that nobody else has.
fn copies(from: &Row, to: &Row) {
    let (source, target) = (S3::start(from.name), S3::start(to.name));
    let mut snapferry = Snapferry::new(&source, &target, "below");

    let unable: BTreeSet<_> = from.unable().union(&to.unable()).copied().collect();
    let scratch = fixture::scratch();
    let repository = fixture::tree(&fixture::unpack("es-8.12-logs", scratch.path()));
    for (folder, objects, mode) in [("tree", plain(&unable), "plain"), ("repository", repository, "repository")] {
        let prefix = format!("below/{folder}/");
        source.write(&prefix, &objects);
        let expected = digests(&objects);
        assert_eq!(source.objects(&prefix), expected, "{} does not hold what boto3 wrote", from.name);
        let sync = format!("sync from/{folder} to/{folder}");

        let first = snapferry.run(&sync, 0);
        assert_eq!(first["mode"], mode, "{first}");
        assert_eq!(first["copied"]["objects"], objects.len(), "{first}");
        assert_eq!(target.objects(&prefix), expected, "{} holds something else than {}", to.name, from.name);

        let second = snapferry.run(&sync, 0);
        assert_eq!(second["copied"]["objects"], 0, "{second}");
        // Of a repository the root and its pointer are all that is compared.
        let compared = if mode == "repository" { 2 } else { objects.len() };
        assert_eq!(second["skipped"]["objects"], compared, "{second}");
        assert_eq!(source.objects(&prefix), expected, "the source was changed");
    }

    snapferry.forget();
    snapferry.run("sync from/tree to/tree --log-format json", 7);
    snapferry.assert_discreet();
}

/// Hostile names, and the lengths around which copying changes.
fn plain(unable: &BTreeSet<&'static str>) -> BTreeMap<String, Vec<u8>> {
    const MIB: usize = 1 << 20;
    // What XML cannot hold boto3 cannot list.
    let writable = |name: &&str| !name.chars().any(|c| c.is_control() || c == '\u{ffff}');
    let names = HOSTILE.into_iter().filter(|name| !unable.contains(name)).filter(writable);
    let mut objects: BTreeMap<_, _> = names.map(|name| (name.to_owned(), name.as_bytes().to_vec())).collect();
    for length in [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 33 * MIB] {
        // No part of it looks like another.
        let content = (0..length).map(|at| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 0xff).expect("one byte"));
        objects.insert(format!("sizes/{length}"), content.collect());
    }
    objects
}
