//! The three kinds of store, each against its strict double: the contract, all nine ordered pairs, sizes around every limit, what is
//! checked against what, and what is put right without the user.

#[path = "support/double/mod.rs"]
mod double;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use double::Double;
use double::answer::Fault;
use double::rules::{ACCESS_KEY, Rules, SECRET_KEY, Stance, WrongRegion};
use snapferry::error::ErrorKind;
use snapferry::event::Silent;
use snapferry::ops::End;
use snapferry::ops::sync::{Mode, Options as SyncOptions, Report, run};
use snapferry::secret::Secret;
use snapferry::store::conformance::{Expectation, HOSTILE, check};
use snapferry::store::{Ability, Access, Addressing, Location, Meter, ObjectStore, Options, Overrides, open};
use snapferry::transfer::Compare;
use support::copy::{key, quick};
use support::fixture;
use tokio_util::sync::CancellationToken;

/// One of the three kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    S3,
    Oss,
    Qingstor,
}

const KINDS: [Kind; 3] = [Kind::S3, Kind::Oss, Kind::Qingstor];

impl Kind {
    fn rules(self) -> Rules {
        match self {
            Self::S3 => Rules::s3(),
            Self::Oss => Rules::oss(),
            Self::Qingstor => Rules::qingstor(),
        }
    }

    fn url(self, path: &str) -> String {
        let scheme = match self {
            Self::S3 => "s3",
            Self::Oss => "oss",
            Self::Qingstor => "qingstor",
        };
        format!("{scheme}://bucket/{path}")
    }

    async fn start(self) -> Place {
        let double = Double::start(self.rules()).await;
        double.bucket("bucket");
        Place { kind: self, double }
    }
}

/// A running double of one kind.
struct Place {
    kind: Kind,
    double: Double,
}

impl Place {
    fn options(&self) -> Options {
        Options {
            endpoint: Some(self.double.endpoint()),
            region: Some(self.double.rules().region),
            access_key_id: Some(Secret::new(ACCESS_KEY)),
            secret_access_key: Some(Secret::new(SECRET_KEY)),
            dialect: Overrides { etag_md5: Some(Ability::Yes), ..Overrides::default() },
            ..Options::default()
        }
    }

    async fn end(&self, path: &str) -> End {
        self.end_with(path, &self.options()).await
    }

    async fn end_with(&self, path: &str, options: &Options) -> End {
        let location = Location::parse(&self.kind.url(path)).expect("valid");
        let meter = Arc::new(Meter::default());
        let store = open(&location, options, Access::Write, meter.clone()).await.expect("opens");
        End::new(location, options.endpoint.clone(), store, meter)
    }

    fn put(&self, name: &str, content: impl Into<Vec<u8>>) {
        self.double.insert("bucket", name, content.into(), &[]);
    }

    /// What is below a prefix, by the rest of the name.
    fn below(&self, prefix: &str) -> BTreeMap<String, Bytes> {
        let objects = self.double.objects("bucket");
        let found = objects.iter().filter_map(|(name, stored)| {
            let rest = name.strip_prefix(prefix)?;
            Some((rest.to_owned(), stored.bytes().expect("the double keeps bytes")))
        });
        found.collect()
    }
}

fn plain() -> SyncOptions {
    SyncOptions { mode: Mode::Plain, ..quick() }
}

async fn copy(from: &End, to: &End, options: &SyncOptions) -> Report {
    run(from, to, options, Arc::new(Silent), CancellationToken::new()).await
}

#[track_caller]
fn well(report: &Report) {
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(report.summary.failed.objects, 0, "{:?}", report.summary.failures);
}

async fn keeps_the_contract(store: Arc<dyn ObjectStore>) {
    keeps_the_contract_as("the usual server", store).await;
}

async fn keeps_the_contract_as(server: &str, store: Arc<dyn ObjectStore>) {
    let verdicts = check(store, "suite/", &Expectation::default()).await;
    let broken: Vec<String> = verdicts
        .iter()
        .filter_map(|verdict| verdict.result.as_ref().err().map(|error| format!("{}: {error}", verdict.tried)))
        .collect();
    assert!(broken.is_empty(), "{server}:\n{}", broken.join("\n"));
}

#[tokio::test]
async fn every_kind_keeps_the_contract() {
    for kind in KINDS {
        let place = kind.start().await;
        keeps_the_contract(place.end("some/prefix").await.store).await;
        assert_eq!(place.double.uploads_open(), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn the_contract_holds_with_every_quirk_of_a_server() {
    type Quirk = (&'static str, fn(&mut Rules));
    let quirks: [Quirk; 7] = [
        ("no second version of listings", |rules| rules.list_v2 = Stance::Refused),
        ("the second version answered as the first", |rules| rules.list_v2 = Stance::Ignored),
        ("no conditional writes", |rules| rules.conditional_writes = Stance::Ignored),
        ("conditional writes refused", |rules| rules.conditional_writes = Stance::Refused),
        ("no trailers", |rules| rules.trailers = Stance::Refused),
        ("checksums ignored", |rules| (rules.checksums, rules.trailers) = (Stance::Ignored, Stance::Ignored)),
        ("a batch needs its MD5, and a put gives 201", |rules| {
            (rules.delete_needs_md5, rules.put_status) = (true, 201);
        }),
    ];
    for (name, quirk) in quirks {
        let place = Kind::S3.start().await;
        place.double.change(quirk);
        keeps_the_contract_as(name, place.end("some/prefix").await.store).await;
    }
}

#[tokio::test]
async fn the_bucket_may_stand_in_the_host_name() {
    for kind in [Kind::S3, Kind::Oss] {
        let place = kind.start().await;
        let options = Options {
            endpoint: Some(place.double.named_endpoint()),
            addressing: Addressing::Virtual,
            ..place.options()
        };
        keeps_the_contract(place.end_with("some/prefix", &options).await.store).await;
    }
}

/// Keys that break other tools, with two of the longest allowed.
fn hostile() -> Vec<String> {
    let mut keys: Vec<String> = HOSTILE.iter().map(ToString::to_string).collect();
    keys.push(format!("{}é", "x".repeat(1021 - "from/".len())));
    keys
}

#[tokio::test]
async fn all_nine_pairs_copy_hostile_keys_byte_for_byte() {
    for from in KINDS {
        for to in KINDS {
            let (source, target) = (from.start().await, to.start().await);
            for name in hostile() {
                source.put(&format!("from/{name}"), name.as_bytes());
            }
            let (one, other) = (source.end("from").await, target.end("to").await);
            let report = copy(&one, &other, &plain()).await;
            well(&report);
            assert_eq!(source.below("from/"), target.below("to/"), "{from:?} to {to:?}");
            assert_eq!(report.summary.copied.objects, hostile().len() as u64);
            // Every kind states an MD5 of what is written in one request, and both sides' are held against each other.
            assert_eq!(
                report.summary.integrity.target.get("md5"),
                Some(&report.summary.copied.objects),
                "{from:?} to {to:?}"
            );

            let again = copy(&one, &other, &plain()).await;
            well(&again);
            assert_eq!(again.summary.copied.objects, 0, "{from:?} to {to:?}");
            assert!(source.double.requests().iter().all(|seen| matches!(seen.method.as_str(), "GET" | "HEAD")));
        }
    }
}

/// One repository for each pair, of every family that there is.
const REPOSITORIES: [&str; 9] = [
    "es-5.6.16-main",
    "es-6.8.23-main",
    "es-7.10.2-main",
    "es-7.17.28-main",
    "es-8.12-logs",
    "es-8.12-logs-chunked-uncompressed",
    "es-8.12-movies",
    "es-8.12.2-again-stateA",
    "es-5.6.16-parts-stateA",
];

#[tokio::test]
async fn all_nine_pairs_copy_repositories_byte_for_byte() {
    for (number, from) in KINDS.into_iter().enumerate() {
        for (offset, to) in KINDS.into_iter().enumerate() {
            let name = REPOSITORIES[number * KINDS.len() + offset];
            let (source, target) = (from.start().await, to.start().await);
            let scratch = fixture::scratch();
            for (key, content) in fixture::tree(&fixture::unpack(name, scratch.path())) {
                source.put(&format!("es/{key}"), content);
            }
            let report = copy(&source.end("es").await, &target.end("copy").await, &quick()).await;
            well(&report);
            let mut wanted = source.below("es/");
            // No reader starts from an older root, and no copy has one.
            let generation = |key: &str| key.strip_prefix("index-").and_then(|number| number.parse::<u64>().ok());
            let newest = wanted.keys().filter_map(|key| generation(key)).max();
            wanted.retain(|key, _| generation(key).is_none() || generation(key) == newest);
            assert_eq!(wanted, target.below("copy/"), "{name}: {from:?} to {to:?}");
            assert_eq!(report.mode, Some("repository"));
        }
    }
}

/// A source with one object of a formula, in a store that keeps no bytes of what is written.
async fn synthesized(from: Kind, to: Kind, length: u64) -> (Place, Place) {
    let (source, target) = (from.start().await, to.start().await);
    source.double.insert(
        "bucket",
        "from/large",
        double::content::Content::synthesized(length),
        &[("content-type", "x/large")],
    );
    target.double.change(|rules| rules.keep = double::rules::Keep::Sums);
    (source, target)
}

#[tokio::test]
async fn sizes_around_every_limit_arrive_whole() {
    const MIB: u64 = 1 << 20;
    let (threshold, part) = (6 * MIB, 5 * MIB);
    let mut options = plain();
    (options.transfer.multipart_threshold, options.transfer.part_size) = (threshold, part);
    let sizes = [
        0,
        1,
        256 << 10,
        (256 << 10) + 1,
        threshold - 1,
        threshold,
        threshold + 1,
        3 * part - 1,
        3 * part,
        3 * part + 1,
    ];
    for (from, to) in [(Kind::S3, Kind::Oss), (Kind::Oss, Kind::Qingstor), (Kind::Qingstor, Kind::S3)] {
        for size in sizes {
            let (source, target) = synthesized(from, to, size).await;
            // A formula has no MD5 beforehand.
            let opaque = Overrides { etag_md5: Some(Ability::No), ..Overrides::default() };
            let from_options = Options { dialect: opaque, ..source.options() };
            let report = copy(&source.end_with("from", &from_options).await, &target.end("to").await, &options).await;
            well(&report);
            let (sent, kept) =
                (&source.double.objects("bucket")["from/large"], &target.double.objects("bucket")["to/large"]);
            assert_eq!((kept.length(), kept.sums.crc64), (size, sent.sums.crc64), "{from:?} to {to:?}: {size}");
            assert_eq!(kept.headers.get("content-type").map(String::as_str), Some("x/large"));
            assert_eq!(kept.parts.is_some(), size > threshold, "{size}");
            assert_eq!(target.double.uploads_open(), 0);
        }
    }
}

#[tokio::test]
async fn an_object_beyond_the_maximum_is_refused_before_the_first_byte() {
    let (source, target) = synthesized(Kind::S3, Kind::Qingstor, 50_000_000_000_001).await;
    let mut report = copy(&source.end("from").await, &target.end("to").await, &plain()).await;
    assert_eq!(report.summary.failed.objects, 1);
    let failure = std::mem::take(&mut report.summary.failures).into_entries().next().expect("one").expect("readable");
    assert!(failure.message.contains("50000000000000"), "{}", failure.message);
    assert!(source.double.requests().iter().all(|seen| seen.method != "GET" || seen.asks("list-type")));
    assert!(target.double.requests().iter().all(|seen| seen.method == "GET"));
}

#[tokio::test]
async fn a_server_copies_within_itself() {
    for kind in KINDS {
        let place = kind.start().await;
        let header = format!("{}meta-team", place.double.rules().dialect.prefix());
        place.double.insert("bucket", "from/small", b"small".to_vec(), &[(header.as_str(), "search")]);
        place.double.insert(
            "bucket",
            "from/large",
            double::content::Content::synthesized(40 << 20),
            &[(header.as_str(), "search")],
        );
        place.double.change(|rules| rules.copy_maximum = 5 << 30);
        let report = copy(&place.end("from").await, &place.end("to").await, &plain()).await;
        well(&report);
        let objects = place.double.objects("bucket");
        for name in ["small", "large"] {
            let (sent, kept) = (&objects[&format!("from/{name}")], &objects[&format!("to/{name}")]);
            assert_eq!((kept.length(), kept.sums.crc64), (sent.length(), sent.sums.crc64), "{kind:?} {name}");
            assert_eq!(kept.headers.get(&header).map(String::as_str), Some("search"), "{kind:?} {name}");
        }
        let bodies = place
            .double
            .requests()
            .into_iter()
            .filter(|seen| seen.method == "GET" && seen.path.contains("from/"))
            .count();
        assert_eq!(bodies, 0, "{kind:?}: no byte passes here");
        let mut off = plain();
        (off.transfer.server_copy, off.rules.compare) = (false, Compare::Always);
        well(&copy(&place.end("from").await, &place.end("to").await, &off).await);
        let bodies = place
            .double
            .requests()
            .into_iter()
            .filter(|seen| seen.method == "GET" && seen.path.contains("from/"))
            .count();
        assert!(bodies > 0, "{kind:?}: switched off");
    }
}

#[tokio::test]
async fn what_an_object_carries_travels_and_what_the_configuration_says_is_added() {
    for (from, to) in [(Kind::S3, Kind::Oss), (Kind::Oss, Kind::Qingstor), (Kind::Qingstor, Kind::S3)] {
        let (source, target) = (from.start().await, to.start().await);
        let meta = |place: &Place| format!("{}meta-", place.double.rules().dialect.prefix());
        let carried = [("content-type".to_owned(), "text/plain"), (format!("{}team", meta(&source)), "search")];
        let headers: Vec<(&str, &str)> = carried.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        source.double.insert("bucket", "from/a", b"a".to_vec(), &headers);
        let options = Options {
            storage_class: Some(if to == Kind::Oss { "IA" } else { "STANDARD_IA" }.into()),
            tags: Some("team=search&kind=snapshot".into()),
            encryption: Some("AES256".into()),
            ..target.options()
        };
        let (one, other) = (source.end("from").await, target.end_with("to", &options).await);
        let mut exact = plain();
        exact.rules.compare = Compare::Exact;
        well(&copy(&one, &other, &exact).await);
        let kept = &target.double.objects("bucket")["to/a"].headers;
        let prefix = target.double.rules().dialect.prefix();
        let value = |name: &str| kept.get(name).map(String::as_str);
        assert_eq!(value("content-type"), Some("text/plain"));
        assert_eq!(value(&format!("{}team", meta(&target))), Some("search"));
        assert_eq!(value(&format!("{prefix}storage-class")), options.storage_class.as_deref());
        assert_eq!(value(&format!("{prefix}server-side-encryption")), Some("AES256"));
        assert!(value(&format!("{}snapferry-source-time", meta(&target))).is_some());

        let again = copy(&one, &other, &exact).await;
        assert_eq!(
            (again.summary.copied.objects, again.summary.reasons["remembered"].objects),
            (0, 1),
            "{from:?} to {to:?}"
        );
        // Other content of the same length under the same name, and older than the copy: only an exact comparison sees it.
        source.double.alter("bucket", "from/a", |stored| stored.etag = "\"00000000000000000000000000000000\"".into());
        let other_content = copy(&one, &other, &plain()).await;
        assert_eq!(other_content.summary.copied.objects, 0);
        let seen = copy(&one, &other, &exact).await;
        assert_eq!(seen.summary.copied.objects + seen.summary.failed.objects, 1, "{from:?} to {to:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_put_right_once_for_each_server() {
    for kind in KINDS {
        for minutes in [-30, 30] {
            let (source, target) = (kind.start().await, Kind::S3.start().await);
            source.double.change(|rules| rules.clock = minutes * 60);
            for number in 0..20 {
                source.put(&format!("from/{number}"), b"x".to_vec());
            }
            well(&copy(&source.end("from").await, &target.end("to").await, &plain()).await);
            assert_eq!(target.below("to/").len(), 20);
            let requests = source.double.requests().len();
            assert!(requests <= 20 + 4, "{kind:?}: {requests} requests, of which one or two were refused");
        }
    }
}

#[tokio::test]
async fn a_bucket_in_another_region_is_found() {
    for answer in [WrongRegion::Redirected, WrongRegion::Malformed] {
        let (source, target) = (Kind::S3.start().await, Kind::S3.start().await);
        source.double.change(|rules| (rules.region, rules.wrong_region) = ("eu-west-3".into(), answer));
        source.put("from/a", b"a".to_vec());
        let options = Options { region: Some("us-east-1".into()), ..source.options() };
        well(&copy(&source.end_with("from", &options).await, &target.end("to").await, &plain()).await);
        assert_eq!(target.below("to/").len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_requester_pays_where_that_is_asked_for() {
    let place = Kind::S3.start().await;
    place.double.change(|rules| rules.requester_pays = true);
    place.put("a", b"a".to_vec());
    let denied = place.end("").await.store.head(&key("a")).await.expect_err("the owner does not pay");
    assert_eq!(denied.kind(), ErrorKind::Denied);
    let options = Options { requester_pays: true, ..place.options() };
    place.end_with("", &options).await.store.head(&key("a")).await.expect("the requester pays");
}

#[tokio::test]
async fn an_archived_source_object_is_named_and_not_asked_for_again() {
    for (kind, class) in
        [(Kind::S3, ("x-amz-storage-class", "GLACIER")), (Kind::Oss, ("x-oss-storage-class", "Archive"))]
    {
        let (source, target) = (kind.start().await, Kind::S3.start().await);
        source.double.insert("bucket", "from/cold", b"cold".to_vec(), &[class]);
        source.put("from/warm", b"warm".to_vec());
        let mut report = copy(&source.end("from").await, &target.end("to").await, &plain()).await;
        assert_eq!((report.summary.copied.objects, report.summary.failed.objects), (1, 1), "{kind:?}");
        let failure =
            std::mem::take(&mut report.summary.failures).into_entries().next().expect("one").expect("readable");
        assert!(failure.message.contains("archived"), "{}", failure.message);
        let asked =
            source.double.requests().iter().filter(|seen| seen.method == "GET" && seen.path.ends_with("cold")).count();
        assert_eq!(asked, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_only_at_the_target_goes_when_asked_for_and_within_the_bound() {
    for kind in KINDS {
        let (source, target) = (Kind::S3.start().await, kind.start().await);
        source.put("from/keep", b"keep".to_vec());
        let extras: Vec<String> = HOSTILE.iter().map(|name| format!("to/extra/{name}")).collect();
        for name in &extras {
            target.put(name, b"old".to_vec());
        }
        target.put("beside/it", b"not ours".to_vec());
        let (from, to) = (source.end("from").await, target.end("to").await);
        let mut options = plain();
        options.rules.delete_extra = Some(extras.len() as u64 - 1);
        let refused = copy(&from, &to, &options).await;
        assert_eq!(refused.error.expect("too many").kind(), ErrorKind::Invalid);
        assert_eq!(target.below("to/extra/").len(), extras.len(), "nothing was deleted");
        options.rules.delete_extra = Some(extras.len() as u64);
        let report = copy(&from, &to, &options).await;
        well(&report);
        assert_eq!(report.summary.deleted.objects, extras.len() as u64);
        assert_eq!(target.below("").into_keys().collect::<Vec<_>>(), ["beside/it", "to/keep"], "{kind:?}");
    }
}

#[tokio::test]
async fn damage_on_the_way_is_found_by_what_the_servers_state() {
    // The source's listing and its own checksums say one thing, the bytes another: a disk or a memory that is bad.
    for kind in KINDS {
        let (source, target) = (kind.start().await, Kind::Oss.start().await);
        source.put("from/bad", b"what was written".to_vec());
        source.double.alter("bucket", "from/bad", |stored| stored.content = b"what is read now".to_vec().into());
        let report = copy(&source.end("from").await, &target.end("to").await, &plain()).await;
        assert_eq!((report.summary.copied.objects, report.summary.failed.objects), (0, 1), "{kind:?}");
        assert!(target.below("to/").is_empty(), "{kind:?}: what is damaged does not stay");
    }
}

#[tokio::test]
async fn damage_to_the_very_first_objects_of_an_unknown_server_is_found_too() {
    let (source, target) = (Kind::S3.start().await, Kind::S3.start().await);
    for number in 0..40 {
        source.put(&format!("from/{number:02}"), format!("content {number}").into_bytes());
    }
    for number in (0..40).step_by(4) {
        source.double.alter("bucket", &format!("from/{number:02}"), |stored| {
            stored.content = format!("c0ntent {number}").into_bytes().into();
            stored.checksum = None;
        });
    }
    let unknown = |place: &Place| Options { dialect: Overrides::default(), ..place.options() };
    let (from, to) = (source.end_with("from", &unknown(&source)).await, target.end_with("to", &unknown(&target)).await);
    let report = copy(&from, &to, &plain()).await;
    assert_eq!(
        (report.summary.copied.objects, report.summary.failed.objects),
        (30, 10),
        "{:?}",
        report.summary.failures
    );
    assert!(target.below("to/").values().all(|content| content.starts_with(b"content")));
}

#[tokio::test]
async fn marks_that_are_no_md5_are_learnt_and_hinder_nothing() {
    let (source, target) = (Kind::S3.start().await, Kind::S3.start().await);
    for number in 0..40 {
        source.put(&format!("from/{number:02}"), format!("content {number}").into_bytes());
        source.double.alter("bucket", &format!("from/{number:02}"), |stored| {
            stored.etag = format!("\"{number:032x}\"");
            stored.checksum = None;
        });
    }
    let unknown = |place: &Place| Options { dialect: Overrides::default(), ..place.options() };
    let (from, to) = (source.end_with("from", &unknown(&source)).await, target.end_with("to", &unknown(&target)).await);
    let report = copy(&from, &to, &plain()).await;
    well(&report);
    assert_eq!(report.summary.copied.objects, 40);
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_work_was_done_is_no_failure() {
    for kind in KINDS {
        let (source, target) = (Kind::S3.start().await, kind.start().await);
        source.put("from/a", b"a".to_vec());
        source.double.insert("bucket", "from/large", double::content::Content::synthesized(40 << 20), &[]);
        let mut lost = 0;
        target.double.on_request(move |seen| {
            let wanted = seen.method == "PUT" || (seen.method == "POST" && seen.asks("uploadId"));
            let drop = wanted && lost < 3;
            lost += u32::from(drop);
            drop.then_some(Fault::PerformAndDrop)
        });
        well(&copy(&source.end("from").await, &target.end("to").await, &plain()).await);
        assert_eq!(target.below("to/").len(), 2, "{kind:?}");
        assert_eq!(target.double.uploads_open(), 0, "{kind:?}");
    }
}
