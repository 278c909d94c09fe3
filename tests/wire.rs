//! The HTTP client over real sockets: how many connections, through which proxy, whom it trusts, and when it gives up.

#[path = "support/wire.rs"]
mod server;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use server::{Authority, SMALL, Server, Talk, proxy};
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::wire::{BoxError, Client, Options, Patience, Proxy, collect, empty, full};
use tokio::time::{Instant, sleep};

/// Time limits for tests: long enough for a busy machine to say what it has to say.
const SHORT: Duration = Duration::from_millis(300);

fn options() -> Options {
    Options { proxy: Proxy::None, stall_timeout: SHORT, answer_timeout: SHORT, ..Options::default() }
}

fn client() -> Client {
    Client::new(options()).expect("good options")
}

/// Sends a request without a body and reads the answer.
async fn ask(client: &Client, method: Method, url: &str) -> Result<Bytes> {
    let request = Request::builder().method(method).uri(url).body(empty()).expect("a request");
    collect(client.send(request).await?.into_body(), 1024 * 1024).await
}

async fn get(client: &Client, url: &str) -> Result<Bytes> {
    ask(client, Method::GET, url).await
}

/// The whole error as the user reads it.
fn text(error: &Error) -> String {
    format!("{error}; {}", error.advice().unwrap_or("-"))
}

mod connections {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn n_tasks_open_at_most_n_connections() {
        for n in [1, 4, 32] {
            let server = Server::start(Talk::answer_all).await;
            let (client, url) = (client(), server.url("/object"));
            stream::iter(0..2000)
                .for_each_concurrent(n, |_| async {
                    assert_eq!(get(&client, &url).await.expect("an answer"), "hello");
                })
                .await;
            assert!(server.accepted() <= n, "{} connections for {n} tasks", server.accepted());
            assert_eq!(server.heads().len(), 2000);
        }
    }

    #[tokio::test]
    async fn answers_without_a_body_and_bodies_left_unread_free_their_connection() {
        let server = Server::start(|mut talk: Talk| async move {
            while let Some(head) = talk.head().await {
                let is_get = head.starts_with("GET");
                talk.say(if is_get { SMALL } else { "HTTP/1.1 204 No Content\r\n\r\n" }).await;
            }
        })
        .await;
        let (client, url) = (client(), server.url("/"));
        for _ in 0..50 {
            ask(&client, Method::HEAD, &url).await.expect("an answer");
            ask(&client, Method::DELETE, &url).await.expect("an answer");
            let request = Request::get(&url).body(empty()).expect("a request");
            drop(client.send(request).await.expect("an answer"));
        }
        assert_eq!(server.accepted(), 1);
    }

    #[tokio::test]
    async fn a_long_body_left_unread_closes_its_connection() {
        let server = Server::start(|mut talk: Talk| async move {
            while talk.head().await.is_some() {
                let body = "x".repeat(4 * 1024 * 1024);
                talk.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
            }
        })
        .await;
        let client = client();
        for _ in 0..2 {
            let request = Request::get(server.url("/")).body(empty()).expect("a request");
            let mut body = client.send(request).await.expect("an answer").into_body();
            body.frame().await.expect("a frame").expect("whole");
        }
        assert_eq!(server.accepted(), 2);
    }

    #[tokio::test]
    async fn a_connection_closed_at_rest_is_replaced_unseen() {
        let server = Server::start(|mut talk: Talk| async move {
            talk.head().await;
            talk.say(SMALL).await;
        })
        .await;
        let (client, url) = (client(), server.url("/"));
        for _ in 0..3 {
            get(&client, &url).await.expect("an answer");
            sleep(Duration::from_millis(20)).await;
            let request = Request::post(&url).body(full("x")).expect("a request");
            assert!(client.send(request).await.is_ok());
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(server.heads().len(), 6);
    }

    #[tokio::test]
    async fn a_connection_closed_under_a_request_is_replaced_for_those_that_change_nothing() {
        // Each connection answers once, takes a second request and hangs up.
        let server = Server::start(|mut talk: Talk| async move {
            talk.head().await;
            talk.say(SMALL).await;
            talk.head().await;
        })
        .await;
        let (client, url) = (client(), server.url("/"));
        get(&client, &url).await.expect("an answer");
        assert_eq!(get(&client, &url).await.expect("sent again"), "hello");
        assert_eq!((server.accepted(), server.heads().len()), (2, 3));
        let error = ask(&client, Method::POST, &url).await.expect_err("perhaps it was done");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.never_sent());
        assert_eq!((server.accepted(), server.heads().len()), (2, 4));
    }

    #[tokio::test]
    async fn a_connection_that_rested_too_long_is_not_used() {
        let server = Server::start(Talk::answer_all).await;
        let options = Options { idle_timeout: Duration::from_millis(50), ..options() };
        let client = Client::new(options).expect("good options");
        get(&client, &server.url("/")).await.expect("an answer");
        sleep(Duration::from_millis(60)).await;
        get(&client, &server.url("/")).await.expect("an answer");
        assert_eq!(server.accepted(), 2);
    }

    #[tokio::test]
    async fn a_server_that_closes_after_each_answer_gets_a_new_connection_for_each() {
        let server = Server::start(|mut talk: Talk| async move {
            talk.head().await;
            talk.say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end").await;
        })
        .await;
        let client = client();
        for _ in 0..3 {
            assert_eq!(get(&client, &server.url("/")).await.expect("an answer"), "until the end");
        }
        assert_eq!(server.accepted(), 3);
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_like_any_other() {
        let server = Server::start(|mut talk: Talk| async move {
            talk.head().await;
            talk.say("HTTP/1.1 307 Temporary Redirect\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n").await;
            talk.fall_silent().await;
        })
        .await;
        let request = Request::get(server.url("/")).body(empty()).expect("a request");
        assert_eq!(client().send(request).await.expect("an answer").status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(server.heads().len(), 1);
    }
}

mod names {
    use super::*;

    #[tokio::test]
    async fn localhost_and_what_is_below_it_is_this_machine() {
        // It listens on one of the two addresses only, so the other one is tried and passed.
        let server = Server::start(Talk::answer_all).await;
        for name in ["localhost", "bucket.localhost"] {
            let url = format!("http://{name}:{}/", server.address.port());
            assert_eq!(get(&client(), &url).await.expect("an answer"), "hello");
        }
        assert!(server.heads()[1].contains(&format!("host: bucket.localhost:{}\r\n", server.address.port())));
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_said_with_its_address() {
        let error = get(&client(), "http://127.0.0.1:1/").await.expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.never_sent());
        let text = text(&error);
        assert!(text.starts_with("cannot reach `127.0.0.1:1`: `127.0.0.1:1`: Connection refused"), "{text}");
    }

    #[tokio::test]
    async fn a_url_without_host_or_scheme_is_refused() {
        for url in ["/path", "ftp://host/", "host"] {
            assert_eq!(get(&client(), url).await.expect_err(url).kind(), ErrorKind::Invalid);
        }
    }
}

mod proxies {
    use super::*;

    fn through(server: &Server, credentials: &str) -> Options {
        Options { proxy: Proxy::Url(format!("http://{credentials}{}", server.address)), ..options() }
    }

    #[tokio::test]
    async fn http_goes_to_the_proxy_with_the_whole_url() {
        let proxy = proxy(([127, 0, 0, 1], 1).into()).await;
        let client = Client::new(through(&proxy, "ann:geheim@")).expect("good options");
        for _ in 0..2 {
            get(&client, "http://es.example:9200/_cluster?x").await.expect("an answer");
        }
        let heads = proxy.heads();
        assert!(heads[0].starts_with("GET http://es.example:9200/_cluster?x HTTP/1.1\r\n"), "{heads:?}");
        assert!(heads[1].contains("host: es.example:9200\r\n"), "{heads:?}");
        assert!(heads[1].contains("proxy-authorization: Basic YW5uOmdlaGVpbQ==\r\n"), "{heads:?}");
        assert_eq!(proxy.accepted(), 1);
    }

    #[tokio::test]
    async fn https_goes_through_a_tunnel_that_carries_the_credentials() {
        let authority = Authority::new();
        let server = authority.serve("store.example", 2099).await;
        let proxy = proxy(server.address).await;
        let options = Options { ca_bundle: Some(authority.bundle()), ..through(&proxy, "ann:geheim@") };
        let client = Client::new(options).expect("good options");
        for _ in 0..3 {
            assert_eq!(get(&client, "https://store.example/o").await.expect("an answer"), "hello");
        }
        let heads = proxy.heads();
        assert_eq!(heads.len(), 1);
        assert!(heads[0].starts_with("CONNECT store.example:443 HTTP/1.1\r\nhost: store.example:443\r\n"), "{heads:?}");
        assert!(heads[0].contains("proxy-authorization: Basic YW5uOmdlaGVpbQ==\r\n"), "{heads:?}");
        assert!(server.heads()[0].starts_with("GET /o HTTP/1.1\r\nhost: store.example\r\n"));
        assert!(!server.heads()[0].contains("proxy-authorization"));
    }

    #[tokio::test]
    async fn a_proxy_may_want_tls_itself() {
        let authority = Authority::new();
        let server = authority.serve("store.example", 2099).await;
        let proxy = authority.proxy(server.address).await;
        let url = format!("https://localhost:{}", proxy.address.port());
        let trusting = Options { ca_bundle: Some(authority.bundle()), proxy: Proxy::Url(url.clone()), ..options() };
        let client = Client::new(trusting).expect("good options");
        assert_eq!(get(&client, "https://store.example/o").await.expect("an answer"), "hello");
        assert_eq!(get(&client, "http://store.example/o").await.expect("an answer"), "hello");
        let doubting = Client::new(Options { proxy: Proxy::Url(url.clone()), ..options() }).expect("good options");
        let error = get(&doubting, "https://store.example/o").await.expect_err("not trusted");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(text(&error).contains(&format!("reach `{url}`: its TLS certificate comes from")), "{error}");
    }

    #[tokio::test]
    async fn the_environment_is_read_once_and_spares_what_it_excepts() {
        let proxy = proxy(([127, 0, 0, 1], 1).into()).await;
        let direct = Server::start(Talk::answer_all).await;
        let address = proxy.address.to_string();
        let lookup = |name: &str| match name {
            "http_proxy" => Some(address.clone()),
            "NO_PROXY" => Some("*.spared.example".to_owned()),
            _ => None,
        };
        let options = Options { proxy: Proxy::Environment, ..options() };
        let client = Client::with_environment(options, lookup).expect("good options");
        get(&client, "http://a.example/").await.expect("through the proxy");
        get(&client, &direct.url("/")).await.expect("not through the proxy");
        assert_eq!((proxy.heads().len(), direct.heads().len()), (1, 1));
    }

    #[tokio::test]
    async fn a_refusal_is_the_proxys_and_hides_the_password() {
        let cases = [
            ("407 Proxy Authentication Required", ErrorKind::Denied, "put user and password into `proxy`"),
            ("403 Forbidden", ErrorKind::Denied, "administrator"),
            ("502 Bad Gateway", ErrorKind::Unavailable, "may connect to this host"),
            ("405 Method Not Allowed", ErrorKind::Invalid, "`CONNECT`"),
        ];
        for (status, kind, hint) in cases {
            let proxy = Server::start(move |mut talk: Talk| async move {
                talk.head().await;
                talk.say(&format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\n\r\nnein")).await;
                talk.fall_silent().await;
            })
            .await;
            let client = Client::new(through(&proxy, "ann:geheim@")).expect("good options");
            let error = get(&client, "https://store.example/").await.expect_err(status);
            assert_eq!(error.kind(), kind);
            assert!(error.never_sent());
            let whole = format!("{} {error:?} {client:?}", text(&error));
            let expected = format!(
                "cannot reach `store.example:443`: the proxy `http://{}` refused with status {status}",
                proxy.address
            );
            assert!(whole.starts_with(&expected) && whole.contains(hint), "{whole}");
            assert!(!whole.contains("geheim") && !whole.contains("YW5u"), "{whole}");
            if kind == ErrorKind::Denied && status.starts_with("407") {
                let error = get(&client, "http://store.example/").await.expect_err(status);
                assert!(text(&error).contains("refused with status 407"), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_proxy_that_is_not_there_is_said_to_be_the_proxy() {
        let options = Options { proxy: Proxy::Url("http://127.0.0.1:1".to_owned()), ..options() };
        let client = Client::new(options).expect("good options");
        for url in ["https://store.example/", "http://store.example/"] {
            let error = get(&client, url).await.expect_err("nobody is there");
            assert!(error.never_sent());
            let text = text(&error);
            assert!(text.contains("the proxy `http://127.0.0.1:1` cannot be reached"), "{text}");
            assert!(text.contains("check `proxy`"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_proxy_that_hangs_up_or_says_nothing_is_said_to_be_the_proxy() {
        let rude = Server::start(|mut talk: Talk| async move {
            talk.head().await;
        })
        .await;
        let silent = Server::start(Talk::fall_silent).await;
        for server in [rude, silent] {
            let client = Client::new(Options { connect_timeout: SHORT, ..through(&server, "") }).expect("good options");
            let error = get(&client, "https://store.example/").await.expect_err("no tunnel");
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("the proxy `http://127.0.0.1:"), "{error}");
        }
    }
}

mod trust {
    use super::*;

    async fn refusal(name: &str, last_year: i32, options: impl Fn(&Authority) -> Options) -> (ErrorKind, String) {
        let authority = Authority::new();
        let server = authority.serve(name, last_year).await;
        let client = Client::new(options(&authority)).expect("good options");
        let url = format!("https://localhost:{}/", server.address.port());
        let error = get(&client, &url).await.expect_err("not trusted");
        assert!(server.heads().is_empty());
        (error.kind(), text(&error).replace(&server.address.port().to_string(), "PORT"))
    }

    fn trusting(authority: &Authority) -> Options {
        Options { ca_bundle: Some(authority.bundle()), ..options() }
    }

    #[tokio::test]
    async fn the_bundle_is_trusted_in_place_of_the_system() {
        let authority = Authority::new();
        let server = authority.serve("localhost", 2099).await;
        let client = Client::new(trusting(&authority)).expect("good options");
        let url = format!("https://localhost:{}/", server.address.port());
        for _ in 0..20 {
            assert_eq!(get(&client, &url).await.expect("trusted"), "hello");
        }
        assert_eq!(server.accepted(), 1);
    }

    #[tokio::test]
    async fn an_unknown_authority_is_refused() {
        let (kind, text) = refusal("localhost", 2099, |_| options()).await;
        assert_eq!(kind, ErrorKind::Invalid);
        assert_eq!(
            text,
            "cannot reach `localhost:PORT`: its TLS certificate comes from an authority that is not trusted; \
             for a private authority set `ca_bundle` to its PEM file"
        );
    }

    #[tokio::test]
    async fn an_expired_certificate_is_refused() {
        let (kind, text) = refusal("localhost", 2020, trusting).await;
        assert_eq!(kind, ErrorKind::Invalid);
        assert_eq!(
            text,
            "cannot reach `localhost:PORT`: its TLS certificate has expired; \
             renew the server's certificate, or set this machine's clock"
        );
    }

    #[tokio::test]
    async fn a_certificate_for_another_host_is_refused() {
        let (kind, text) = refusal("elsewhere.example", 2099, trusting).await;
        assert_eq!(kind, ErrorKind::Invalid);
        assert_eq!(
            text,
            "cannot reach `localhost:PORT`: its TLS certificate was refused: certificate not valid for name \
             \"localhost\"; certificate is only valid for DnsName(\"elsewhere.example\"); use the name that the \
             certificate is for, or check that the address is the right server's"
        );
    }

    #[tokio::test]
    async fn a_port_without_tls_is_told_apart() {
        let server = Server::start(|mut talk: Talk| async move {
            talk.say("HTTP/1.1 400 Bad Request\r\n\r\n").await;
            talk.fall_silent().await;
        })
        .await;
        let error = get(&client(), &format!("https://{}/", server.address)).await.expect_err("no TLS");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(text(&error).contains("it does not speak TLS on this port; write `http://`"), "{}", text(&error));
    }
}

mod clocks {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_a_timeout_unless_the_request_has_patience() {
        let server = Server::start(|mut talk: Talk| async move {
            while talk.head().await.is_some() {
                sleep(SHORT * 2).await;
                talk.say(SMALL).await;
            }
        })
        .await;
        let error = get(&client(), &server.url("/")).await.expect_err("too slow");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let expected =
            format!("cannot get an answer from `{}`: the request is sent and nothing came for 300 ms", server.address);
        assert_eq!(error.to_string(), expected);
        let mut request = Request::get(server.url("/")).body(empty()).expect("a request");
        request.extensions_mut().insert(Patience(SHORT * 10));
        let answer = client().send(request).await.expect("patience helps");
        assert_eq!(collect(answer.into_body(), 5).await.expect("a body"), "hello");
    }

    #[tokio::test]
    async fn interim_answers_are_none() {
        let server = Server::start(|mut talk: Talk| async move {
            talk.head().await;
            for _ in 0..40 {
                talk.say(&"HTTP/1.1 102 Processing\r\n\r\n".repeat(100)).await;
                sleep(SHORT / 10).await;
            }
        })
        .await;
        assert_eq!(get(&client(), &server.url("/")).await.expect_err("no answer").kind(), ErrorKind::Timeout);
    }

    #[tokio::test]
    async fn a_body_that_stops_or_drips_is_a_timeout() {
        for drip in ["", "x"] {
            let server = Server::start(move |mut talk: Talk| async move {
                talk.head().await;
                talk.say("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nbegin").await;
                for _ in 0..100 {
                    sleep(SHORT / 10).await;
                    talk.say(drip).await;
                }
            })
            .await;
            let start = Instant::now();
            let error = get(&client(), &server.url("/")).await.expect_err("it stalls");
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert_eq!(error.to_string(), "cannot read the answer: no byte came, or hardly one, for 300 ms");
            assert!(start.elapsed() < SHORT * 4, "{:?}", start.elapsed());
        }
    }

    #[tokio::test]
    async fn a_body_that_trickles_arrives() {
        let server = Server::start(|mut talk: Talk| async move {
            talk.head().await;
            talk.say("HTTP/1.1 200 OK\r\ncontent-length: 16384\r\n\r\n").await;
            for _ in 0..16 {
                sleep(SHORT / 6).await;
                talk.say(&"x".repeat(1024)).await;
            }
        })
        .await;
        assert_eq!(get(&client(), &server.url("/")).await.expect("slow but sure").len(), 16384);
    }

    #[tokio::test]
    async fn a_server_that_takes_no_more_bytes_is_a_timeout() {
        let server = Server::start(|mut talk: Talk| async move {
            talk.head().await;
            talk.stop_reading().await;
        })
        .await;
        let body = full(vec![0; 64 * 1024 * 1024]);
        let request = Request::put(server.url("/")).body(body).expect("a request");
        let error = client().send(request).await.expect_err("it stalls");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let expected =
            format!("cannot send the request to `{}`: it took no byte, or hardly one, for 300 ms", server.address);
        assert_eq!(error.to_string(), expected);
    }

    #[tokio::test]
    async fn neither_a_source_nor_a_reader_that_pauses_is_a_stall() {
        let server = Server::start(|mut talk: Talk| async move {
            talk.head().await;
            // Three chunks of one byte, and the last one of none.
            talk.skip(3 * 6 + 5).await;
            let body = "y".repeat(8 * 1024 * 1024);
            talk.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
            talk.fall_silent().await;
        })
        .await;
        let frames = stream::iter(0..3).then(|_| async {
            sleep(SHORT * 2).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))
        });
        let request = Request::put(server.url("/")).body(StreamBody::new(Box::pin(frames))).expect("a request");
        let mut body = client().send(request).await.expect("the source may take its time").into_body();
        let mut received = 0;
        for _ in 0..3 {
            received += body.frame().await.expect("a frame").expect("whole").into_data().expect("data").len();
            sleep(SHORT * 2).await;
        }
        received += collect(body, 8 * 1024 * 1024).await.expect("the reader may take its time").len();
        assert_eq!(received, 8 * 1024 * 1024);
    }

    #[tokio::test]
    async fn a_source_that_fails_is_the_failure() {
        let server = Server::start(|mut talk: Talk| async move {
            talk.head().await;
            talk.fall_silent().await;
        })
        .await;
        let frames = stream::iter([
            Ok(Frame::data(Bytes::from_static(b"x"))),
            Err::<_, BoxError>(Error::new(ErrorKind::Corrupt, "read `a`").because("it is damaged").into()),
        ]);
        let request = Request::put(server.url("/")).body(StreamBody::new(frames)).expect("a request");
        let error = client().send(request).await.expect_err("the source failed");
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Corrupt, "cannot read `a`: it is damaged"));
    }
}

mod bounds {
    use super::*;

    async fn answering(answer: String) -> Server {
        Server::start(move |mut talk: Talk| {
            let answer = answer.clone();
            async move {
                talk.head().await;
                talk.say(&answer).await;
            }
        })
        .await
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(70_000));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
        for answer in [long, many] {
            let server = answering(answer).await;
            let error = get(&client(), &server.url("/")).await.expect_err("too long");
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(
                error.to_string().ends_with("its head is longer than 64 KiB or has more than 100 headers"),
                "{error}"
            );
        }
        let server = answering(format!(
            "HTTP/1.1 200 OK\r\n{}x: {}\r\ncontent-length: 0\r\n\r\n",
            "x: y\r\n".repeat(98),
            "x".repeat(60_000)
        ))
        .await;
        get(&client(), &server.url("/")).await.expect("just within");
    }

    #[tokio::test]
    async fn what_is_not_http_is_said_to_be_none() {
        let server = answering("SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned()).await;
        let error = get(&client(), &server.url("/")).await.expect_err("no HTTP");
        assert!(error.to_string().contains("it is not HTTP/1.1"), "{error}");
    }

    #[tokio::test]
    async fn a_document_too_long_is_refused_whether_announced_or_not() {
        let announced = answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{}", "x".repeat(2000))).await;
        let chunked =
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", "4\r\nxxxx\r\n".repeat(500));
        for server in [announced, answering(chunked).await] {
            let request = Request::get(server.url("/")).body(empty()).expect("a request");
            let answer = client().send(request).await.expect("a head");
            let error = collect(answer.into_body(), 1024).await.expect_err("too long");
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains("it is longer than 1 KiB"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_said_to_be_short() {
        let server = answering("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhello".to_owned()).await;
        let error = get(&client(), &server.url("/")).await.expect_err("too short");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.to_string().starts_with("cannot read the answer: the connection broke after 5 of 20 bytes"),
            "{error}"
        );
        let server = answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_owned()).await;
        let error = get(&client(), &server.url("/")).await.expect_err("no end");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn chunks_without_a_byte_end_the_body_and_what_follows_is_nobodys_answer() {
        let zeros = "0\r\n\r\n".repeat(1000);
        let server =
            answering(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n{zeros}")).await;
        let client = client();
        for _ in 0..2 {
            assert_eq!(get(&client, &server.url("/")).await.expect("an answer"), "hello");
        }
        assert_eq!(server.accepted(), 2);
    }
}

mod ourselves {
    use snapferry::wire::ClientCertificate;

    use super::*;

    const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

    fn showing(authority: &Authority, shown: Option<ClientCertificate>) -> Options {
        Options { ca_bundle: Some(authority.bundle()), client_certificate: shown, ..options() }
    }

    async fn known(
        authority: &Authority,
        version: &'static rustls::SupportedProtocolVersion,
        shown: Option<ClientCertificate>,
    ) -> Result<Bytes> {
        let server = authority.serve_known(version).await;
        let client = Client::new(showing(authority, shown)).expect("good options");
        get(&client, &format!("https://localhost:{}/", server.address.port())).await
    }

    fn of(authority: &Authority, name: &str) -> ClientCertificate {
        let (certificate, key) = authority.client(name);
        ClientCertificate { certificate, key }
    }

    #[tokio::test]
    async fn a_certificate_of_ours_is_shown_to_a_server_that_asks() {
        let authority = Authority::new();
        for version in VERSIONS {
            assert_eq!(known(&authority, version, Some(of(&authority, "migrator"))).await.expect("an answer"), "hello");
        }
    }

    #[tokio::test]
    async fn a_server_that_wants_one_says_so() {
        let authority = Authority::new();
        for version in VERSIONS {
            let error = known(&authority, version, None).await.expect_err("it wants one");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
            assert!(text(&error).contains("`client_certificate`"), "{}", text(&error));
        }
    }

    #[tokio::test]
    async fn a_strangers_certificate_is_refused_and_told_so() {
        let (authority, stranger) = (Authority::new(), Authority::new());
        for version in VERSIONS {
            let error =
                known(&authority, version, Some(of(&stranger, "other"))).await.expect_err("not its authority's");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
            assert!(text(&error).contains("`client_certificate`"), "{}", text(&error));
        }
    }

    #[test]
    fn a_key_that_will_not_do_is_told_and_not_shown() {
        let authority = Authority::new();
        let good = of(&authority, "migrator");
        let refused = |key: &str| {
            let path = good.key.with_file_name("bad.key");
            std::fs::write(&path, key).expect("writable");
            let shown = ClientCertificate { key: path, ..good.clone() };
            let error = Client::new(showing(&authority, Some(shown))).expect_err("a bad key");
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!text(&error).contains("geheim"), "{error}");
            text(&error)
        };
        for encrypted in [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\ngeheim\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\ngeheim\n-----END RSA PRIVATE KEY-----\n",
        ] {
            let said = refused(encrypted);
            assert!(said.contains("encrypted with a passphrase") && said.contains("openssl pkey"), "{said}");
        }
        assert!(refused("geheim").contains("no private key"));
        let other = std::fs::read_to_string(authority.client("other").1).expect("readable");
        assert!(refused(&other).contains("does not go with the `client_key`"));
    }
}
