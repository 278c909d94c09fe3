//! The double of object storage as OSS: the vendor's own signatures (`tests/vectors/oss.json`), its strictness, its faults, its sums.

#[path = "support/double/mod.rs"]
mod double;
#[path = "support/vector.rs"]
mod vector;

use std::collections::BTreeSet;

use double::Double;
use double::answer::{Answer, Fault};
use double::call::{Call, encode};
use double::caller::{ask, ask_host};
use double::content::{Content, formula};
use double::oss_signature::verify;
use double::rules::{Dialect, Keep, Rules};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use jiff::Timestamp;
use vector::{Vector, vectors};

/// A vector as the double sees it.
trait Checked {
    fn call(&self) -> Call;
    fn rules(&self) -> Rules;
    /// The code of the refusal, if it is refused.
    fn verdict(&self) -> Option<String>;
}

impl Checked for Vector {
    fn call(&self) -> Call {
        let mut uri = format!("/{}", encode(self.key.as_deref().unwrap_or_default(), "/"));
        for (number, (name, value)) in self.query.iter().enumerate() {
            uri.push(if number == 0 { '?' } else { '&' });
            uri.push_str(&encode(name, ""));
            if let Some(value) = value {
                uri.push_str(&format!("={}", encode(value, "")));
            }
        }
        let mut headers = HeaderMap::new();
        let host =
            self.bucket.as_ref().map_or_else(|| "oss.localhost".to_owned(), |bucket| format!("{bucket}.oss.localhost"));
        headers.insert("host", HeaderValue::from_str(&host).expect("a host"));
        headers.insert("authorization", HeaderValue::from_str(&self.authorization).expect("plain text"));
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.insert(name, HeaderValue::from_str(value).expect("plain text"));
        }
        let method = Method::from_bytes(self.method.as_bytes()).expect("a method");
        let uri: Uri = uri.parse().expect("an encoded path");
        Call::read(Dialect::Oss, method, &uri, headers).expect("a well-formed request")
    }

    fn rules(&self) -> Rules {
        Rules {
            region: self.region.clone(),
            access_key: self.access_key_id.clone(),
            secret_key: self.secret_access_key.clone(),
            token: self.session_token.clone(),
            clock: self.time - Timestamp::now().as_second(),
            ..Rules::oss()
        }
    }

    fn verdict(&self) -> Option<String> {
        verify(&self.call(), &self.rules()).err().map(|refusal| refusal.code)
    }
}

/// Another character in the place of the last one.
fn other(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let last = characters.last_mut().expect("not empty");
    *last = if *last == '1' { '2' } else { '1' };
    characters.into_iter().collect()
}

#[test]
fn the_vendors_signatures_are_taken() {
    for vector in vectors() {
        assert_eq!(vector.verdict(), None, "{vector:?}");
    }
}

#[test]
fn a_vector_with_one_other_character_is_refused() {
    for vector in vectors() {
        let mut changed: Vec<Vector> = Vec::new();
        let mut change = |change: &dyn Fn(&mut Vector)| {
            let mut vector = vector.clone();
            change(&mut vector);
            changed.push(vector);
        };
        change(&|vector| vector.secret_access_key = other(&vector.secret_access_key));
        change(&|vector| vector.access_key_id = other(&vector.access_key_id));
        change(&|vector| vector.method = if vector.method == "GET" { "HEAD" } else { "GET" }.to_owned());
        if let Some(digits) = vector.authorization.find("Signature=").map(|start| start + "Signature=".len()) {
            let (before, after) = vector.authorization.split_at(digits);
            change(&|vector| vector.authorization = format!("{before}{}", other(after)));
            change(&|vector| vector.region = other(&vector.region));
        } else {
            let digits = vector.authorization.trim_end_matches('=');
            change(&|vector| vector.authorization = format!("{}=", other(digits)));
        }
        if let Some(key) = &vector.key {
            change(&|vector| vector.key = Some(other(key)));
            change(&|vector| vector.key = Some(format!("/{key}")));
        }
        if let Some(bucket) = vector.bucket.as_ref().filter(|_| !vector.headers.contains_key("host")) {
            change(&|vector| vector.bucket = Some(other(bucket)));
        }
        for (name, value) in &vector.headers {
            let covered = ["x-oss-", "content-", "range", "host"].iter().any(|start| name.starts_with(start));
            if (covered || vector.version == "v1") && !value.is_empty() {
                change(&|vector| drop(vector.headers.insert(name.clone(), other(value))));
            }
        }
        for number in 0..vector.query.len() {
            let (name, value) = &vector.query[number];
            let signed = ["uploads", "uploadId", "partNumber", "delete", "continuation-token", "tagging", "objectMeta"];
            if vector.version == "v4" || signed.contains(&name.as_str()) {
                let value = value.as_ref().map_or_else(|| Some("1".to_owned()), |value| Some(other(value)));
                change(&|vector| vector.query[number].1.clone_from(&value));
            }
        }
        change(&|vector| vector.headers.extend([("x-oss-meta-added".to_owned(), "1".to_owned())]));
        for changed in changed {
            assert!(changed.verdict().is_some(), "not refused:\n{changed:?}\nwhich was made of\n{vector:?}");
        }
    }
}

#[test]
fn a_signature_ages() {
    let vector = &vectors()[0];
    for (ahead, code) in [(890, None), (910, Some("RequestTimeTooSkewed")), (-910, Some("RequestTimeTooSkewed"))] {
        let mut rules = vector.rules();
        rules.clock += ahead;
        let verdict = verify(&vector.call(), &rules).err().map(|refusal| refusal.code);
        assert_eq!(verdict.as_deref(), code);
    }
}

#[test]
fn the_sum_of_a_formula_is_that_of_its_bytes() {
    let algorithm = crc_fast::CrcAlgorithm::Crc64Xz;
    let whole = Content::synthesized(5_000_000);
    for range in [0..0, 0..1, 7..1_048_573, 1_048_572..1_048_574, 12_345..4_999_999, 0..5_000_000] {
        let bytes: Vec<u8> = range.clone().map(formula).collect();
        let sum = whole.slice(range).crc(algorithm);
        assert_eq!(sum, Some(crc_fast::checksum(algorithm, &bytes)));
    }
    assert!(Content::synthesized(1 << 40).crc(algorithm).is_some());
    assert_eq!(crc_fast::checksum(algorithm, b"123456789"), 11_051_210_869_376_104_954);
}

async fn oss() -> Double {
    let double = Double::start(Rules::oss()).await;
    double.bucket("bucket");
    double
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn what_oss_does_not_know_is_refused() {
    let double = oss().await;
    double.insert("bucket", "key", "content", &[]);
    for (call, headers, code) in [
        ("GET key", &[("x-amz-date", "20261121T120000Z")][..], (400, "InvalidArgument")),
        ("GET key", &[("x-oss-unheard-of", "1")], (501, "NotImplemented")),
        ("GET key?versionId=1", &[], (400, "InvalidArgument")),
        ("GET ?list-type=2&max-keys=1001", &[], (400, "InvalidArgument")),
        ("GET ?list-type=3", &[], (400, "InvalidArgument")),
        ("GET ?list-type=2&continuation-token=unknown", &[], (400, "InvalidArgument")),
        ("GET ?start-after=a", &[], (400, "InvalidArgument")),
        ("GET missing", &[], (404, "NoSuchKey")),
        ("PUT key", &[("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==")], (400, "InvalidDigest")),
        ("PUT key", &[("content-encoding", "aws-chunked")], (400, "InvalidArgument")),
        ("PUT key", &[("x-oss-storage-class", "GLACIER")], (400, "InvalidStorageClass")),
        ("PUT key", &[("x-oss-forbid-overwrite", "true")], (409, "FileAlreadyExists")),
        ("PUT key?partNumber=10001&uploadId=1", &[], (400, "InvalidArgument")),
        ("PUT key?partNumber=1&uploadId=1", &[], (404, "NoSuchUpload")),
        ("POST ?delete", &[], (400, "MissingArgument")),
        ("POST key?append&position=0", &[], (405, "MethodNotAllowed")),
    ] {
        let told = ask(&double, call, headers, "other").await;
        assert_eq!(told.refusal(), refusal(code.0, code.1), "{call} {headers:?}: {}", told.text());
        assert!(told.header("x-oss-request-id").len() > 8 && told.element("HostId").is_some());
    }
    assert_eq!(double.objects("bucket")["key"].bytes().as_deref(), Some(&b"content"[..]));
    let told = ask_host(&double, "oss.localhost", "GET /bucket/key", &[], "").await.expect("an answer");
    assert_eq!(told.refusal(), refusal(403, "SecondLevelDomainForbidden"));
    let told = ask_host(&double, "nobody.oss.localhost", "GET /key", &[], "").await.expect("an answer");
    assert_eq!(told.refusal(), refusal(404, "NoSuchBucket"));
    let told = ask_host(&double, "bucket.oss-cn-hangzhou.aliyuncs.com", "GET /key", &[], "").await.expect("an answer");
    assert_eq!((told.status, told.text().as_str()), (200, "content"));
}

#[tokio::test]
async fn a_refusal_for_the_clock_carries_the_clock() {
    let double = oss().await;
    let old = Timestamp::now().as_second();
    // The caller signs by the clock of the rules, so no skew at all is too much.
    double.change(|rules| (rules.skew, rules.clock) = (-1, 3600));
    let told = ask(&double, "GET key", &[], "").await;
    assert_eq!(told.refusal(), refusal(403, "RequestTimeTooSkewed"));
    let date = double::time::read_http(told.header("date")).expect("a date").as_second();
    assert!((3595..3660).contains(&(date - old)), "{date}");
}

#[tokio::test]
async fn keys_are_bytes_and_pages_are_a_hundred() {
    let double = oss().await;
    let keys = ["//", "/", "../..", "a//b", "a/../b", "\u{1}\r\n\u{7f}", "%41", "+", "\u{feff}e\u{301}"];
    for key in keys {
        let told = ask(&double, &format!("PUT {}", encode(key, "/")), &[], key).await;
        assert_eq!(told.status, 200, "{key:?}: {}", told.text());
    }
    let stored: BTreeSet<String> = double.objects("bucket").into_keys().collect();
    assert_eq!(stored, keys.iter().map(|key| (*key).to_owned()).collect());
    let told = ask(&double, "GET ?list-type=2&encoding-type=url", &[], "").await;
    for key in keys {
        assert!(told.text().contains(&format!("<Key>{}</Key>", encode(key, ""))), "{key:?}: {}", told.text());
    }
    for number in 0..150 {
        double.insert("bucket", &format!("many/{number}"), "", &[]);
    }
    let told = ask(&double, "GET ?list-type=2&prefix=many/", &[], "").await;
    assert_eq!((told.text().matches("<Contents>").count(), told.element("KeyCount").as_deref()), (100, Some("100")));
}

#[tokio::test]
async fn faults_happen_before_and_after_the_deed() {
    let double = oss().await;
    double.on_request(|seen| {
        Some(match seen.path.rsplit('/').next()? {
            "answer" => Fault::Answer(Answer::error(503, "SlowDown", "later").header("x-oss-qos-delay-time", "100")),
            "drop" => Fault::Drop,
            "done" => Fault::PerformAndDrop,
            "cut" => Fault::PerformAndCut(3),
            _ => return None,
        })
    });
    double.insert("bucket", "cut", "content", &[]);
    let told = ask(&double, "PUT answer", &[], "1").await;
    assert_eq!((told.refusal(), told.header("x-oss-qos-delay-time")), (refusal(503, "SlowDown"), "100"));
    for call in ["PUT /bucket/drop", "PUT /bucket/done", "GET /bucket/cut"] {
        assert!(ask_host(&double, "127.0.0.1", call, &[], "1").await.is_none(), "{call}");
    }
    assert_eq!(double.objects("bucket").into_keys().collect::<Vec<_>>(), ["cut", "done"]);
    assert!(double.requests().iter().all(|seen| seen.headers["authorization"] == "redacted"));
}

#[tokio::test]
async fn a_tebibyte_needs_no_memory() {
    let double = oss().await;
    let size = 1_u64 << 40;
    double.insert("bucket", "big", Content::synthesized(size), &[]);
    let told = ask(&double, "HEAD big", &[], "").await;
    assert_eq!(told.header("content-length"), size.to_string());
    let range = format!("bytes={}-{}", size - 5, size - 1);
    let tail = ask(&double, "GET big", &[("range", &range)], "").await;
    assert_eq!((tail.status, tail.header("x-oss-hash-crc64ecma")), (206, told.header("x-oss-hash-crc64ecma")));
    assert_eq!(tail.body, (size - 5..size).map(formula).collect::<Vec<_>>());
    assert_eq!(ask(&double, "PUT copy", &[("x-oss-copy-source", "/bucket/big")], "").await.status, 400);
    let upload = ask(&double, "POST copy?uploads", &[], "").await.element("UploadId").expect("an id");
    let part = 1_u64 << 32;
    let mut list = String::new();
    for number in 0..4 {
        let range = format!("bytes={}-{}", number * part, (number + 1) * part - 1);
        let headers = [("x-oss-copy-source", "/bucket/big"), ("x-oss-copy-source-range", range.as_str())];
        let call = format!("PUT copy?partNumber={}&uploadId={upload}", number + 1);
        let etag = ask(&double, &call, &headers, "").await.element("ETag").expect("a part");
        list.push_str(&format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", number + 1));
    }
    let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let done = ask(&double, &format!("POST copy?uploadId={upload}"), &[], list).await;
    let sum = Content::synthesized(4 * part).crc(crc_fast::CrcAlgorithm::Crc64Xz).expect("a formula");
    assert_eq!((done.status, done.header("x-oss-hash-crc64ecma")), (200, sum.to_string().as_str()));
}

#[tokio::test]
async fn a_sink_keeps_the_sums_of_what_it_forgets() {
    let double = oss().await;
    let content: Vec<u8> = (0..300_000).map(formula).collect();
    let kept = ask(&double, "PUT kept", &[], content.clone()).await;
    double.change(|rules| rules.keep = Keep::Sums);
    let forgotten = ask(&double, "PUT forgotten", &[], content).await;
    for name in ["etag", "x-oss-hash-crc64ecma"] {
        assert_eq!(kept.header(name), forgotten.header(name));
    }
    let stored = &double.objects("bucket")["forgotten"];
    assert_eq!((stored.bytes(), stored.length()), (None, 300_000));
}
