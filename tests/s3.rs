//! Answers that no honest S3 server gives and that tools have met: scripted over sockets, so that the SDK's parser is in the way.
#![expect(clippy::disallowed_methods, reason = "the scripted server owns its connections")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::event::Silent;
use snapferry::secret::Secret;
use snapferry::store::wrap::{Policy, Retry};
use snapferry::store::{
    Access, Addressing, Body, Key, ListOptions, Location, Meter, ObjectMeta, ObjectStore, Options, PutOptions, open,
};
use tokio::net::TcpListener;

/// Serves these answers to the first requests, one each, and the last one to all that follow.
async fn scripted(answers: Vec<(u16, String)>) -> (Arc<dyn ObjectStore>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (answers, asked) = (Arc::new(answers), Arc::new(AtomicUsize::new(0)));
    let counter = asked.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (answers, counter) = (answers.clone(), counter.clone());
            let service = service_fn(move |_: Request<Incoming>| {
                let number = counter.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                let (status, text) = answers[number].clone();
                async move {
                    let answer = Response::builder().status(status).header("content-type", "application/xml");
                    Ok::<_, std::convert::Infallible>(answer.body(Full::new(Bytes::from(text))).expect("valid"))
                }
            });
            tokio::spawn(async move {
                drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await);
            });
        }
    });
    let options = Options {
        endpoint: Some(format!("http://{address}")),
        addressing: Addressing::Path,
        access_key_id: Some(Secret::new("key")),
        secret_access_key: Some(Secret::new("canary-secret")),
        ..Options::default()
    };
    let location = Location::parse("s3://bucket").expect("valid");
    (open(&location, &options, Access::Read, Arc::new(Meter::default())).await.expect("opens"), asked)
}

fn page(keys: &[&str], more: Option<&str>) -> String {
    let entry = |key: &&str| {
        format!("<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size></Contents>")
    };
    let entries: String = keys.iter().map(entry).collect();
    let token = more.map(|token| format!("<NextContinuationToken>{token}</NextContinuationToken>")).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><IsTruncated>{}</IsTruncated>{token}{entries}</ListBucketResult>",
        more.is_some()
    )
}

async fn list(store: &dyn ObjectStore) -> Result<Vec<ObjectMeta>> {
    use futures::TryStreamExt as _;
    let pages: Vec<_> = store.list(ListOptions::default()).try_collect().await?;
    Ok(pages.into_iter().flatten().collect())
}

async fn refused(answers: Vec<(u16, String)>) -> Error {
    let (store, _) = scripted(answers).await;
    list(store.as_ref()).await.expect_err("the listing is not to be believed")
}

#[tokio::test]
async fn a_listing_that_is_cut_is_never_taken_for_a_shorter_one() {
    let whole = page(&["a", "b", "c"], None);
    let after_b = whole.find("<Contents><Key>c").expect("it is in there");
    for cut in [after_b, whole.len() - 1, whole.len() - "</ListBucketResult>".len(), 50, 0] {
        let error = refused(vec![(200, whole[..cut].to_owned())]).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "cut after {cut} bytes: {error}");
    }
    assert_eq!(refused(vec![(200, format!("{whole}<More/>"))]).await.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_cut_page_is_asked_for_again() {
    let cut = page(&["a", "b"], None).replace("</ListBucketResult>", "");
    let (store, asked) = scripted(vec![(200, cut), (200, page(&["a", "b"], None))]).await;
    let policy = Policy { first: std::time::Duration::from_millis(1), ..Policy::default() };
    let found = list(&Retry::new(store, policy, Arc::new(Silent))).await.expect("the second answer is whole");
    assert_eq!((found.len(), asked.load(Ordering::SeqCst)), (2, 2));
}

#[tokio::test]
async fn an_error_with_status_200_is_an_error_that_may_pass() {
    let error = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>again, please</Message></Error>";
    let error = refused(vec![(200, error.to_owned())]).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("again, please"), "{error}");
}

#[tokio::test]
async fn a_page_of_html_is_named_as_what_it_is() {
    let error = refused(vec![(200, "<html><body>Please log in</body></html>".to_owned())]).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("<html>") && error.advice().is_some_and(|hint| hint.contains("endpoint")),
        "{error}"
    );
}

#[tokio::test]
async fn a_listing_that_does_not_advance_ends() {
    let again = refused(vec![(200, page(&["a"], Some("t"))), (200, page(&["b"], Some("t")))]).await;
    assert_eq!(again.kind(), ErrorKind::Corrupt, "{again}");
    let empty = (0..200).map(|number| (200, page(&[], Some(&format!("t{number}"))))).collect();
    let error = refused(empty).await;
    assert!(error.to_string().contains("does not advance"), "{error}");
}

#[tokio::test]
async fn a_page_that_does_not_say_whether_more_follows_is_not_the_last() {
    let whole = page(&["a", "b"], None);
    let said = "<IsTruncated>false</IsTruncated>";
    for instead in ["", "<IsTruncated/>", "<IsTruncated>TRUE</IsTruncated>", "<IsTruncated>no</IsTruncated>"] {
        let error = refused(vec![(200, whole.replace(said, instead))]).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{instead}: {error}");
    }
    let both = format!("{said}<NextContinuationToken>t</NextContinuationToken>");
    assert_eq!(refused(vec![(200, whole.replace(said, &both))]).await.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn what_a_server_says_is_fit_to_be_shown() {
    let text =
        "<Error><Code>Inv&#27;[31malid</Code><Message>your secret is canary-secret&#7; &#27;]0;pwn</Message></Error>";
    let error = refused(vec![(400, text.to_owned())]).await;
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary-secret") && !shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

#[tokio::test]
async fn an_error_with_status_200_is_an_error_for_a_put_too() {
    let text = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>later</Message></Error>";
    let (store, _) = scripted(vec![(200, text.to_owned())]).await;
    let key = Key::new("k").expect("not empty");
    for length in [3, 300_000] {
        let body = Body::from_bytes(Bytes::from(vec![b'x'; length]));
        let error = store.put(&key, body, &PutOptions::default()).await.expect_err("nothing was stored");
        assert_eq!(error.kind(), ErrorKind::Throttled, "{error}");
    }
}

#[tokio::test]
async fn a_put_without_a_receipt_is_looked_at() {
    // The object there is older than the answer: nothing was stored.
    for (status, text) in [(200, ""), (200, "<html>welcome</html>"), (204, ""), (202, "")] {
        let (store, asked) = scripted(vec![(status, text.to_owned()), (200, String::new())]).await;
        let body = Body::from_bytes(Bytes::from_static(b""));
        let key = Key::new("k").expect("not empty");
        store.put(&key, body, &PutOptions::default()).await.expect_err("no ETag, and no object that is new");
        assert_eq!(asked.load(Ordering::SeqCst), 2, "{status} {text}");
    }
}

#[tokio::test]
async fn a_region_that_would_lead_elsewhere_is_not_followed() {
    for region in ["evil.test/?", "x.evil.test/", "u@evil.test#"] {
        let text = format!("<Error><Code>AuthorizationHeaderMalformed</Code><Region>{region}</Region></Error>");
        let (store, asked) = scripted(vec![(400, text)]).await;
        list(store.as_ref()).await.expect_err("it is refused");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{region}");
    }
}

#[tokio::test]
async fn each_refusal_has_its_own_words_and_kind() {
    for (status, code, kind, word) in [
        (404, "NoSuchBucket", ErrorKind::NotFound, "no bucket `bucket`"),
        (403, "InvalidAccessKeyId", ErrorKind::Denied, "does not know this access key"),
        (403, "SignatureDoesNotMatch", ErrorKind::Denied, "secret does not belong"),
        (403, "RequestTimeTooSkewed", ErrorKind::Denied, "clock"),
        (403, "AccessDenied", ErrorKind::Denied, "do not allow"),
        (400, "ExpiredToken", ErrorKind::Denied, "session token"),
        (400, "AuthorizationHeaderMalformed", ErrorKind::Invalid, "another region"),
        (301, "PermanentRedirect", ErrorKind::Invalid, "another region"),
        (503, "SlowDown", ErrorKind::Throttled, "SlowDown"),
        (500, "InternalError", ErrorKind::Unavailable, "InternalError"),
    ] {
        let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>said</Message></Error>");
        let error = refused(vec![(status, text)]).await;
        assert_eq!(error.kind(), kind, "{code}: {error}");
        assert!(error.to_string().contains(word), "{code}: {error}");
        let hinted = !matches!(kind, ErrorKind::Throttled | ErrorKind::Unavailable);
        assert_eq!(error.advice().is_some(), hinted, "{code}: {error:?}");
        assert!(!format!("{error:?}").contains("canary-secret"), "{error:?}");
    }
}
