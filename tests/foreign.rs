//! Other people's clients against the double: what it says is what the vendors' own SDKs expect, what they wrote we copy, and what we
//! wrote they read.
//!
//! `cargo test --features engine-tests --test foreign`; `tests/engines/python.sh` fetches the SDKs, and no SDK is a failure.
#![cfg(feature = "engine-tests")]

#[path = "support/double/mod.rs"]
mod double;
#[path = "support/foreign.rs"]
mod foreign;

use std::fs;
use std::sync::Arc;

use double::Double;
use double::rules::{Rules, Stance};
use foreign::{Addressing, Foreign};
use snapferry::event::Silent;
use snapferry::ops::End;
use snapferry::ops::sync::{self, run};
use snapferry::secret::Secret;
use snapferry::store::{Access, Location, Meter, Options, open};
use tokio_util::sync::CancellationToken;

/// OSS, which also takes what oss2 sends for an empty object: a chunked body without a length.
fn oss() -> Rules {
    Rules { unknown_length: Stance::Honoured, ..Rules::oss() }
}

const OSS: [&str; 4] = ["oss2-v1", "oss2-v4", "ossv2-v1", "ossv2-v4"];

async fn exercised(rules: Rules, client: &str, addressing: Addressing, quirks: &str) -> Double {
    let double = Double::start(rules).await;
    double.bucket("bucket");
    Foreign::of(&double, client).addressing(addressing).quirks(quirks).done(&["exercise", "bucket"]).await;
    assert_eq!(double.uploads_open(), 0);
    double
}

#[tokio::test]
async fn the_sdks_of_oss_find_oss_with_virtual_hosts() {
    for client in OSS {
        exercised(oss(), client, Addressing::Virtual, "").await;
    }
}

#[tokio::test]
async fn the_sdks_of_oss_find_oss_with_paths() {
    for client in OSS {
        exercised(oss(), client, Addressing::Path, "").await;
    }
}

#[tokio::test]
async fn boto3_finds_amazon() {
    for (client, addressing) in [("boto3", Addressing::Path), ("boto3-default", Addressing::Virtual)] {
        exercised(Rules::s3(), client, addressing, "part-5m").await;
    }
}

#[tokio::test]
async fn boto3_finds_qingstor() {
    for client in ["boto3", "boto3-default"] {
        exercised(Rules::qingstor(), client, Addressing::Path, "list-v1 overwrites part-4m").await;
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    for (client, rules) in OSS.into_iter().map(|client| (client, oss())).chain([("boto3", Rules::s3())]) {
        let double = Double::start(rules).await;
        double.bucket("bucket");
        let foreign = Foreign::of(&double, client).secret("another secret");
        foreign.done(&["refused", "bucket", "403", "SignatureDoesNotMatch"]).await;
        assert!(double.objects("bucket").is_empty());
    }
}

#[tokio::test]
async fn a_token_has_to_come_where_one_is_wanted() {
    for client in ["oss2-v1", "oss2-v4", "ossv2-v4"] {
        let double = Double::start(Rules { token: Some("token+/=".to_owned()), ..oss() }).await;
        double.bucket("bucket");
        let foreign = Foreign::of(&double, client);
        foreign.done(&["refused", "bucket", "403", "InvalidAccessKeyId"]).await;
        let foreign = Foreign::of(&double, client).token("token+/=");
        foreign.done(&["exercise", "bucket"]).await;
        let foreign = Foreign::of(&double, client).token("token+/!");
        foreign.done(&["refused", "bucket", "403", "InvalidSecurityToken"]).await;
    }
}

#[tokio::test]
async fn a_new_bucket_refuses_the_old_signature() {
    let double = Double::start(Rules { v1_signature: Stance::Refused, ..oss() }).await;
    double.bucket("bucket");
    for client in ["oss2-v1", "ossv2-v1"] {
        Foreign::of(&double, client).done(&["refused", "bucket", "400", "InvalidArgument"]).await;
    }
    Foreign::of(&double, "ossv2-v4").done(&["exercise", "bucket"]).await;
}

#[tokio::test]
async fn a_tree_goes_in_by_one_client_and_comes_back_by_the_others() {
    let tree = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir_all(tree.path().join("indices/ü +%")).expect("a folder in it");
    for (name, length) in [("index-1", 100), ("indices/ü +%/__1", 9 << 20), ("empty", 0)] {
        let content: Vec<u8> = (0..length).map(double::content::formula).collect();
        fs::write(tree.path().join(name), content).expect("a file in it");
    }
    let tree = tree.path().to_str().expect("our paths are text");
    for (rules, writer, readers) in [
        (oss(), "oss2-v4", &OSS[..]),
        (oss(), "ossv2-v1", &OSS[..]),
        (Rules::s3(), "boto3-default", &["boto3", "boto3-default"]),
    ] {
        let double = Double::start(rules).await;
        double.bucket("bucket");
        Foreign::of(&double, writer).prefix("a/b/").done(&["put", "bucket", tree]).await;
        assert_eq!(double.objects("bucket").len(), 3);
        for reader in readers {
            Foreign::of(&double, reader).prefix("a/b/").done(&["compare", "bucket", tree]).await;
        }
        double.remove("bucket", "a/b/empty");
        Foreign::of(&double, readers[0]).prefix("a/b/").failed(&["compare", "bucket", tree]).await;
    }
}

/// Opens a prefix of the double's bucket as a user would.
async fn end(double: &Double, url: &str) -> End {
    let rules = double.rules();
    let options = Options {
        endpoint: Some(double.endpoint()),
        region: Some(rules.region),
        access_key_id: Some(Secret::new(rules.access_key)),
        secret_access_key: Some(Secret::new(rules.secret_key)),
        ..Options::default()
    };
    let location = Location::parse(url).expect("valid");
    let meter = Arc::new(Meter::default());
    let store = open(&location, &options, Access::Write, meter.clone()).await.expect("opens");
    End::new(location, options.endpoint, store, meter)
}

#[tokio::test]
async fn what_the_vendors_clients_wrote_is_copied_and_what_we_wrote_they_read() {
    let tree = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir_all(tree.path().join("indices/ü +%")).expect("a folder in it");
    for (name, length) in [("one", 1), ("indices/ü +%/__1", 41 << 20), ("empty", 0)] {
        let content: Vec<u8> = (0..length).map(double::content::formula).collect();
        fs::write(tree.path().join(name), content).expect("a file in it");
    }
    let tree = tree.path().to_str().expect("our paths are text");
    let qingstor = || Rules { unknown_length: Stance::Honoured, ..Rules::qingstor() };
    for (writer, from, scheme, to, other, readers) in [
        ("oss2-v4", oss(), "oss", Rules::s3(), "s3", &["boto3"][..]),
        ("ossv2-v4", oss(), "oss", qingstor(), "qingstor", &["boto3"][..]),
        ("boto3", Rules::s3(), "s3", oss(), "oss", &OSS[..]),
        ("boto3", qingstor(), "qingstor", oss(), "oss", &["oss2-v1", "ossv2-v4"][..]),
    ] {
        let (source, target) = (Double::start(from).await, Double::start(to).await);
        source.bucket("bucket");
        target.bucket("bucket");
        Foreign::of(&source, writer).prefix("from/").done(&["put", "bucket", tree]).await;
        let (from, to) = (
            end(&source, &format!("{scheme}://bucket/from")).await,
            end(&target, &format!("{other}://bucket/to")).await,
        );
        let report = run(&from, &to, &sync::Options::default(), Arc::new(Silent), CancellationToken::new()).await;
        assert!(report.error.is_none(), "{writer}: {:?}", report.error);
        assert_eq!(
            (report.summary.copied.objects, report.summary.failed.objects),
            (3, 0),
            "{:?}",
            report.summary.failures
        );
        for reader in readers {
            Foreign::of(&target, reader).prefix("to/").done(&["compare", "bucket", tree]).await;
        }
    }
}
