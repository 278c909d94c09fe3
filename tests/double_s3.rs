//! The double as S3, checked over the wire by a small client and by the product's own.

#[path = "support/double/mod.rs"]
mod double;

use std::sync::Arc;

use double::Double;
use double::caller::ask;
use double::rules::{Rules, Stance};
use futures::TryStreamExt as _;
use snapferry::error::ErrorKind;
use snapferry::secret::Secret;
use snapferry::store::conformance::{Expectation, check};
use snapferry::store::{Access, Addressing, GetOptions, Key, ListOptions, Location, Meter, ObjectStore, Options, open};

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn what_s3_is_told_of_a_body_is_checked() {
    let double = Double::start(Rules::s3()).await;
    double.bucket("bucket");
    let trailer = |sum: &str| format!("3\r\n123\r\n6\r\n456789\r\n0\r\nx-amz-checksum-crc32:{sum}\r\n\r\n");
    let chunked = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-decoded-content-length", "9"),
    ];
    let told = ask(&double, "PUT chunked", &chunked, trailer("y/Q5Jg==")).await;
    assert_eq!((told.status, told.header("x-amz-checksum-crc32")), (200, "y/Q5Jg=="), "{}", told.text());
    let stored = &double.objects("bucket")["chunked"];
    assert_eq!(stored.bytes().as_deref(), Some(&b"123456789"[..]));
    assert!(stored.headers.is_empty(), "{:?}", stored.headers);
    assert_eq!(ask(&double, "PUT other", &chunked, trailer("y/Q5Jw==")).await.refusal(), refusal(400, "BadDigest"));
    for (headers, code) in [
        (("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="), "BadDigest"),
        (("content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="), "BadDigest"),
        (
            ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            "XAmzContentSHA256Mismatch",
        ),
    ] {
        assert_eq!(ask(&double, "PUT other", &[headers], "123456789").await.refusal(), refusal(400, code));
    }
    double.change(|rules| rules.trailers = Stance::Refused);
    assert_eq!(
        ask(&double, "PUT other", &chunked, trailer("y/Q5Jg==")).await.refusal(),
        refusal(400, "InvalidArgument")
    );
    assert_eq!(double.objects("bucket").len(), 1);
}

#[tokio::test]
async fn a_server_without_the_second_version_answers_with_the_first() {
    let double = Double::start(Rules { page: (2, 2), ..Rules::qingstor() }).await;
    double.bucket("bucket");
    for key in ["a", "b", "c"] {
        assert_eq!(ask(&double, &format!("PUT {key}"), &[], "").await.status, 201);
    }
    let told = ask(&double, "GET ?list-type=2&start-after=a", &[], "").await;
    assert_eq!((told.element("IsTruncated").as_deref(), told.element("Key").as_deref()), (Some("true"), Some("a")));
    assert_eq!((told.element("NextContinuationToken"), told.element("KeyCount")), (None, None));
    let told = ask(&double, "GET ?marker=b", &[], "").await;
    assert_eq!((told.element("IsTruncated").as_deref(), told.element("Key").as_deref()), (Some("false"), Some("c")));
    double.change(|rules| rules.list_v2 = Stance::Refused);
    assert_eq!(ask(&double, "GET ?list-type=2", &[], "").await.refusal(), refusal(501, "NotImplemented"));
}

async fn product(double: &Double) -> Arc<dyn ObjectStore> {
    let options = Options {
        endpoint: Some(double.endpoint()),
        region: Some("us-east-1".into()),
        addressing: Addressing::Path,
        access_key_id: Some(Secret::new(double::rules::ACCESS_KEY)),
        secret_access_key: Some(Secret::new(double::rules::SECRET_KEY)),
        ..Options::default()
    };
    let location = Location::parse("s3://bucket/some/prefix").expect("valid");
    open(&location, &options, Access::Write, Arc::new(Meter::default())).await.expect("opens")
}

/// The product's own client against the double: neither shares code with the other.
#[tokio::test]
async fn the_product_keeps_its_contract_with_s3() {
    for rules in [
        Rules::s3(),
        Rules { checksums: Stance::Ignored, trailers: Stance::Refused, delete_needs_md5: true, ..Rules::s3() },
    ] {
        let double = Double::start(rules).await;
        double.bucket("bucket");
        let store = product(&double).await;
        for verdict in check(store, "suite/", &Expectation::default()).await {
            if let Err(error) = verdict.result {
                panic!("{}. {}: {error}", verdict.promise, verdict.tried);
            }
        }
        assert_eq!(double.uploads_open(), 0);
    }
}

type Change = fn(&mut Rules);

#[tokio::test]
async fn the_product_meets_the_refusals_of_s3() {
    let double = Double::start(Rules::s3()).await;
    double.bucket("bucket");
    double.insert("bucket", "some/prefix/key", "content", &[]);
    let store = product(&double).await;
    let key = Key::new("key").expect("not empty");
    assert_eq!(store.head(&key).await.expect("it is there").meta.size, 7);
    for (change, kind) in [
        ((|rules| rules.requester_pays = true) as Change, ErrorKind::Denied),
        // A region and a clock are put right; more than a day is not.
        (|rules| rules.clock = 100_000, ErrorKind::Denied),
        (|rules| rules.token = Some("token".to_owned()), ErrorKind::Denied),
        (|rules| rules.access_key = "another".to_owned(), ErrorKind::Denied),
        (|rules| rules.secret_key = "another".to_owned(), ErrorKind::Denied),
    ] {
        let mut rules = Rules::s3();
        change(&mut rules);
        double.change(|now| *now = rules);
        let pages: Result<Vec<_>, _> = store.list(ListOptions::default()).try_collect().await;
        let error = pages.expect_err("it is refused");
        assert_eq!(error.kind(), kind, "{error}");
    }
    double.change(|rules| *rules = Rules::s3());
    double.alter("bucket", "some/prefix/key", |stored| {
        stored.headers.insert("x-amz-storage-class".to_owned(), "GLACIER".to_owned());
    });
    assert!(store.get(&key, GetOptions::default()).await.is_err());
}
