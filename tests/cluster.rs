//! Knowing the cluster and getting through to it: who answers, as whom we come, over which node, how often, and what it says meanwhile.
//! All against scripted servers; `elasticsearch-api.md` 2.0 and 2.12 say what real ones do.

#[expect(dead_code, reason = "each test binary uses some of it")]
#[path = "support/elastic.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use snapferry::elastic::index;
use snapferry::elastic::plugins::RepositoryType;
use snapferry::elastic::snapshot::{self, Detail};
use snapferry::elastic::whoami;
use snapferry::elastic::{Auth, Aws, Client, Distribution, KeySource, Keys, Options, Service};
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::secret::Secret;
use support::recorded::{self, answer};
use support::sigv4::Domain;
use support::{Heard, Reply, Script, Server, ok, refusal};

/// The call that most tests make: it may be repeated, and is one request.
const LIST: &str = "GET /_snapshot/r/_all";

fn listing() -> Reply {
    ok(json!({ "snapshots": [] }))
}

fn cluster() -> Script {
    Script::version("8.12.2").on(LIST, [listing()])
}

async fn list(client: &Client) -> Result<()> {
    snapshot::list(client, "r", Detail::Full).await.map(drop)
}

async fn refused(server: &Server, auth: Auth) -> Error {
    Client::connect(Options { auth, ..server.options() }).await.expect_err("the script refuses us")
}

fn text(error: &Error) -> String {
    format!("{error}\nhint: {}", error.advice().unwrap_or_default())
}

mod nodes {
    use super::*;

    /// Nobody listens there.
    const DOWN: &str = "http://127.0.0.1:1";

    /// Stops it, and lets its connections end.
    async fn gone(server: Server) {
        drop(server);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    fn over(urls: &[&str], server: &Server) -> Options {
        Options { url: urls.join(","), ..server.options() }
    }

    fn of(name: &str, uuid: &str) -> Script {
        let mut root = recorded::root("8.12.2");
        root["cluster_name"] = name.into();
        root["cluster_uuid"] = uuid.into();
        Script::default().on("GET /", [ok(root)]).on(LIST, [listing()])
    }

    #[tokio::test]
    async fn a_node_that_is_down_is_passed_over_at_once() {
        let server = Server::start(cluster()).await;
        let begun = Instant::now();
        let client = Client::connect(over(&[DOWN, &server.url], &server)).await.unwrap();
        list(&client).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(server.calls(LIST).len(), 1);
    }

    #[tokio::test]
    async fn when_all_are_down_the_cluster_is_unavailable() {
        let server = Server::start(cluster()).await;
        let error = Client::connect(over(&[DOWN, "http://127.0.0.1:2"], &server)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn one_that_goes_away_later_is_replaced_by_the_next_of_the_same_cluster() {
        let (one, two) = (Server::start(of("prod", "u1")).await, Server::start(of("prod", "u1")).await);
        let client = Client::connect(over(&[&one.url, &two.url], &one)).await.unwrap();
        list(&client).await.unwrap();
        assert!(two.seen().is_empty(), "one node is enough while it answers");
        gone(one).await;
        list(&client).await.unwrap();
        let calls: Vec<String> = two.seen().into_iter().map(|seen| seen.call).collect();
        assert_eq!(calls, ["GET /", LIST], "it is asked which cluster it belongs to, before anything else");
    }

    #[tokio::test]
    async fn a_node_of_another_cluster_is_refused_with_both_names_and_asked_nothing_else() {
        let (one, two) = (Server::start(of("prod", "u1")).await, Server::start(of("test", "u2")).await);
        let client = Client::connect(over(&[&one.url, &two.url], &one)).await.unwrap();
        gone(one).await;
        let error = list(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(text(&error).contains("`test` (u2)") && text(&error).contains("`prod` (u1)"), "{error}");
        assert_eq!(two.seen().len(), 1);
    }

    #[tokio::test]
    async fn a_restore_whose_answer_was_lost_goes_to_no_second_node() {
        let restore = "POST /_snapshot/r/s/_restore";
        let one = Server::start(of("prod", "u1").on(restore, [Reply::Lost])).await;
        let two = Server::start(of("prod", "u1").on(restore, [ok(json!({ "accepted": true }))])).await;
        let client = Client::connect(over(&[&one.url, &two.url], &one)).await.unwrap();
        let error = super::restore(&client).await.unwrap_err();
        assert_eq!(one.calls(restore).len(), 1);
        assert!(
            two.calls(restore).is_empty() && !two.seen().is_empty(),
            "the other node is only asked what happened: {error}"
        );
    }

    #[tokio::test]
    async fn a_restore_that_was_never_sent_goes_to_the_next_node_once() {
        let restore = "POST /_snapshot/r/s/_restore";
        let one = Server::start(of("prod", "u1")).await;
        let two = Server::start(of("prod", "u1").on(restore, [ok(json!({ "accepted": true }))])).await;
        let client = Client::connect(over(&[&one.url, &two.url], &one)).await.unwrap();
        gone(one).await;
        super::restore(&client).await.unwrap();
        assert_eq!(two.calls(restore).len(), 1);
    }

    #[tokio::test]
    async fn a_gateway_that_has_lost_its_node_lets_the_next_one_be_asked() {
        let one = Server::start(of("prod", "u1").on(LIST, [answer("gateway 502")])).await;
        let two = Server::start(of("prod", "u1")).await;
        let client = Client::connect(over(&[&one.url, &two.url], &one)).await.unwrap();
        list(&client).await.unwrap();
        assert_eq!((one.calls(LIST).len(), two.calls(LIST).len()), (1, 1));
    }
}

async fn restore(client: &Client) -> Result<()> {
    use snapferry::elastic::restore::{Aliases, Order, start};
    let order = Order {
        repository: "r".into(),
        snapshot: "s".into(),
        names: vec!["movies".into()],
        targets: vec!["movies".into()],
        rename: None,
        aliases: Aliases::Restored,
        ignore_settings: Vec::new(),
        settings: std::collections::BTreeMap::new(),
        bytes: None,
        ..Order::default()
    };
    start(client, &order).await.map(drop)
}

mod asking_again {
    use super::*;

    /// The table of 2.0: these pass, whatever the status.
    #[tokio::test]
    async fn what_passes_is_asked_again() {
        let typed = [
            (503, "process_cluster_event_timeout_exception"),
            (503, "master_not_discovered_exception"),
            (503, "cluster_manager_not_discovered_exception"),
            (429, "es_rejected_execution_exception"),
            (503, "es_rejected_execution_exception"),
            (429, "circuit_breaking_exception"),
            (503, "circuit_breaking_exception"),
            (503, "concurrent_snapshot_execution_exception"),
            (400, "snapshot_in_progress_exception"),
            (409, "repository_conflict_exception"),
        ];
        let typed = typed.map(|(status, name)| refusal(status, name, "not now"));
        let bare =
            ["gateway 502", "gateway 503", "gateway 504", "empty 503", "no upstream", "amazon throttled"].map(answer);
        for reply in typed.into_iter().chain(bare).chain([Reply::Lost]) {
            let server = Server::start(cluster().on(LIST, [reply.clone(), listing()])).await;
            list(&server.client().await).await.unwrap();
            assert_eq!(server.calls(LIST).len(), 2, "{reply:?}");
        }
    }

    #[tokio::test]
    async fn what_does_not_pass_is_asked_once() {
        let typed = [
            (400, "illegal_argument_exception"),
            (401, "security_exception"),
            (403, "security_exception"),
            (404, "snapshot_missing_exception"),
            (409, "resource_already_exists_exception"),
            (500, "snapshot_restore_exception"),
            (500, "repository_exception"),
        ];
        let typed = typed.map(|(status, name)| refusal(status, name, "no"));
        for reply in
            typed.into_iter().chain(["login page", "forbidden page", "text error", "amazon policy"].map(answer))
        {
            let server = Server::start(cluster().on(LIST, [reply.clone(), listing()])).await;
            list(&server.client().await).await.unwrap_err();
            assert_eq!(server.calls(LIST).len(), 1, "{reply:?}");
        }
    }

    #[tokio::test]
    async fn a_storm_of_429_is_weathered_or_told_as_such() {
        let storm = [answer("rejected"), answer("amazon throttled"), listing()];
        let server = Server::start(cluster().on(LIST, storm)).await;
        list(&server.client().await).await.unwrap();
        let server = Server::start(cluster().on(LIST, [answer("breaker")])).await;
        let error = list(&server.client().await).await.unwrap_err();
        assert_eq!((error.kind(), server.calls(LIST).len()), (ErrorKind::Throttled, 3));
    }

    #[tokio::test]
    async fn the_wait_that_the_cluster_asks_for_is_kept_up_to_a_bound() {
        let server = Server::start(cluster().on(LIST, [answer("amazon throttled"), listing()])).await;
        let mut options = server.options();
        options.backoff.longest = Duration::from_millis(40);
        let client = Client::connect(options).await.unwrap();
        let begun = Instant::now();
        list(&client).await.unwrap();
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(240) && took < Duration::from_secs(1), "{took:?}");
    }

    #[tokio::test]
    async fn a_page_is_never_read_whatever_its_status() {
        for (name, kind) in [
            ("gateway 502", ErrorKind::Unavailable),
            ("login page", ErrorKind::Invalid),
            ("forbidden page", ErrorKind::Denied),
        ] {
            let server = Server::start(cluster().on(LIST, [answer(name)])).await;
            let error = list(&server.client().await).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{name}");
            assert!(text(&error).contains("HTML page") && !text(&error).contains("<h1>"), "{error}");
        }
    }

    /// 2.4: if the master changes during the wait, the body may lack `snapshot`.
    #[tokio::test]
    async fn a_master_that_changes_during_a_restore_leaves_it_unknown_and_not_failed() {
        let server = Server::start(cluster().on("POST /_snapshot/r/s/_restore", [answer("master change")])).await;
        restore(&server.client().await).await.unwrap();
    }
}

mod who {
    use super::*;

    #[tokio::test]
    async fn a_token_is_sent_and_never_shown() {
        let echo = "invalid header [Bearer t0ken-geheim], t0ken-geheim is unknown";
        let denied = Script::default().on("GET /", [refusal(401, "security_exception", echo)]);
        let server = Server::start(denied).await;
        let error = refused(&server, Auth::Bearer(Secret::new("t0ken-geheim"))).await;
        assert_eq!(server.seen()[0].headers["authorization"], "Bearer t0ken-geheim");
        assert!(!format!("{} {error:?}", text(&error)).contains("geheim"), "{error:?}");
    }

    #[tokio::test]
    async fn a_401_names_what_would_be_accepted() {
        let server = Server::start(Script::default().on("GET /", [answer("unauthenticated")])).await;
        let error = refused(&server, Auth::None).await;
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(
            text(&error)
                .contains("missing authentication credentials for REST request [/]; it accepts Basic, Bearer, ApiKey"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_403_is_told_in_the_clusters_words() {
        let server = Server::start(cluster().on(LIST, [answer("denied")])).await;
        let error = list(&server.client().await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        for words in
            ["[cluster:admin/snapshot/restore]", "API key id [id] of user [elastic]", "cluster privileges [manage,all]"]
        {
            assert!(text(&error).contains(words), "{error}");
        }
        let server = Server::start(cluster().on(LIST, [answer("amazon role")])).await;
        assert!(text(&list(&server.client().await).await.unwrap_err()).contains("manage_snapshots"));
        let server = Server::start(cluster().on(LIST, [answer("amazon policy")])).await;
        assert!(text(&list(&server.client().await).await.unwrap_err()).contains("es:ESHttpPut"));
    }

    #[tokio::test]
    async fn the_cluster_tells_as_whom_it_sees_us_if_it_can() {
        let told = json!({ "username": "elastic", "roles": ["superuser"], "authentication_type": "realm",
            "authentication_realm": { "name": "reserved", "type": "reserved" } });
        let server = Server::start(cluster().on("GET /_security/_authenticate", [ok(told)])).await;
        let identity = whoami::ask(&server.client().await).await.unwrap().unwrap();
        assert_eq!((identity.username.as_str(), identity.of.as_str()), ("elastic", "reserved"));
        let none = Reply::Json(
            400,
            json!({ "error": "no handler found for uri [/_security/_authenticate] and method [GET]" }),
        );
        let server = Server::start(cluster().on("GET /_security/_authenticate", [none])).await;
        assert_eq!(whoami::ask(&server.client().await).await.unwrap(), None);
    }
}

mod amazon {
    use super::*;

    /// Keys in turn: each renewal gives the next token.
    #[derive(Debug)]
    struct Source {
        secret: &'static str,
        tokens: &'static [&'static str],
        renewed: AtomicU32,
    }

    #[async_trait]
    impl KeySource for Source {
        async fn keys(&self) -> Result<Keys> {
            let number = self.renewed.load(Ordering::SeqCst) as usize;
            Ok(Keys {
                access_key_id: Secret::new("AKIDEXAMPLE"),
                secret_access_key: Secret::new(self.secret),
                session_token: self.tokens.get(number).or(self.tokens.last()).map(|token| Secret::new(*token)),
            })
        }

        async fn renew(&self, refused: &Keys) -> Result<bool> {
            self.renewed.fetch_add(1, Ordering::SeqCst);
            Ok(self.keys().await? != *refused)
        }

        async fn region(&self) -> Result<Option<String>> {
            Ok(Some("eu-west-1".into()))
        }
    }

    async fn domain(domain: Domain, script: Script) -> Server {
        Server::guarded(script, move |head, body| domain.check(head, body)).await
    }

    fn signing(server: &Server, secret: &'static str, tokens: &'static [&'static str]) -> Options {
        let source = Arc::new(Source { secret, tokens, renewed: AtomicU32::new(0) });
        Options { auth: Auth::Aws(Aws { region: None, source }), ..server.options() }
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    #[tokio::test]
    async fn a_domain_takes_our_signature_whatever_the_path_and_the_body() {
        let put = "PUT /_snapshot/na%C3%AFve%2Brepo";
        let script = Script::version("7.10.2")
            .on("GET /_snapshot/na%C3%AFve%2Brepo", [refusal(404, "repository_missing_exception", "missing")])
            .on("POST /a%2Cb%2Cc/_open", [ok(json!({ "acknowledged": true }))])
            .on(LIST, [listing()])
            .on("GET /_cluster/state/metadata", [ok(json!({}))])
            .on(put, [ok(json!({ "acknowledged": true }))]);
        let server = domain(Domain::new(), script).await;
        let client = Client::connect(signing(&server, SECRET, &[])).await.unwrap();
        list(&client).await.unwrap();
        // A query with `*` and `,`, a path with commas, and a name outside ASCII.
        index::existing(&client).await.unwrap();
        index::open(&client, &["a".into(), "b".into(), "c".into()]).await.unwrap();
        let error = snapferry::elastic::repository::remove(&client, "naïve+repo").await.unwrap_err();
        assert!(!text(&error).contains("signature"), "{error}");
        assert!(
            server.seen().iter().all(|seen| !seen.query.contains([',', '*'])),
            "what is bare is signed in two ways"
        );
    }

    #[tokio::test]
    async fn a_wrong_secret_is_refused_and_neither_it_nor_a_token_is_shown() {
        let server = domain(Domain::new(), cluster()).await;
        let error = Client::connect(signing(&server, "wrong-geheim", &["token-geheim"])).await.unwrap_err();
        assert_eq!((error.kind(), server.seen().len()), (ErrorKind::Denied, 1));
        assert!(text(&error).contains("signature we calculated does not match"), "{error}");
        assert!(text(&error).contains("access key"), "{error}");
        assert!(!format!("{} {error:?}", text(&error)).contains("geheim"), "{error:?}");
    }

    #[tokio::test]
    async fn what_is_not_signed_is_told_so() {
        let server = domain(Domain::new(), cluster()).await;
        assert!(text(&refused(&server, Auth::None).await).contains("auth = \"aws\""));
    }

    #[tokio::test]
    async fn a_token_that_has_expired_is_renewed_once() {
        let fresh = Domain { session_token: Some("fresh"), ..Domain::new() };
        let server = domain(fresh.clone(), cluster()).await;
        let client = Client::connect(signing(&server, SECRET, &["stale", "fresh"])).await.unwrap();
        list(&client).await.unwrap();
        let stale = server.seen().iter().filter(|seen| seen.headers["x-amz-security-token"] == "stale").count();
        assert_eq!(stale, 1);
        let server = domain(fresh, cluster()).await;
        let error = Client::connect(signing(&server, SECRET, &["stale"])).await.unwrap_err();
        assert_eq!((error.kind(), server.seen().len()), (ErrorKind::Denied, 1), "there is no other token");
    }

    #[tokio::test]
    async fn a_clock_that_is_off_is_put_right() {
        let server = domain(Domain { ahead: 3600, ..Domain::new() }, cluster()).await;
        let client = Client::connect(signing(&server, SECRET, &[])).await.unwrap();
        list(&client).await.unwrap();
        assert_eq!(server.seen().len(), 3, "the first request alone went out twice");
    }
}

mod knowing {
    use super::*;

    #[tokio::test]
    async fn deprecations_are_told_once_for_each_text() {
        let old = r#"299 Elasticsearch-7.17.28-139cb5a961d8de68b8e02c45cc47f5289a3623af "[x] is deprecated""#;
        let other = r#"299 Elasticsearch-7.17.28-139cb5a961d8de68b8e02c45cc47f5289a3623af "[y] goes away""#;
        let reply = listing().with("warning", old).with("warning", other);
        let server = Server::start(cluster().on(LIST, [reply])).await;
        let heard = Arc::new(Heard::default());
        let client = Client::connect(Options { reporter: heard.clone(), ..server.options() }).await.unwrap();
        for _ in 0..3 {
            list(&client).await.unwrap();
        }
        assert_eq!(
            (heard.count(&["Warning", "[x] is deprecated"]), heard.count(&["Warning", "[y] goes away"])),
            (1, 1)
        );
    }

    #[tokio::test]
    async fn the_cluster_introduces_itself() {
        let client = Server::start(Script::version("9.0.0")).await.client_of().await;
        let about = client.about();
        assert_eq!((about.name.as_str(), about.uuid.as_deref()), ("c", Some("GgBFN-A7Q8KRwd7krLwDig")));
        assert_eq!(about.minimum_index_compatibility_version.as_deref(), Some("8.0.0-beta1"));
        assert!(client.capability().archive_indices && !client.capability().state_filter);
    }

    /// As OpenSearch 2.19.6 answers with `compatibility.override_main_response_version`: no `distribution`.
    #[tokio::test]
    async fn a_masked_open_search_is_seen_through_by_its_modules() {
        let mut root = recorded::root("7.10.2");
        root["version"].as_object_mut().unwrap().remove("build_flavor");
        let node =
            json!({ "nodes": { "n": { "version": "2.19.6", "modules": [{ "opensearch_version": "2.19.6" }] } } });
        let asked = Script::default().on("GET /", [ok(root.clone())]).on("GET /_nodes/_local", [ok(node)]);
        let server = Server::start(asked).await;
        assert_eq!(server.client().await.version().to_string(), "OpenSearch 2.19.6");
        // Who may not ask is told by the tagline, and gets what the oldest can.
        let denied = refusal(403, "security_exception", "no permissions for [cluster:monitor/nodes/info]");
        root["tagline"] = "The OpenSearch Project: https://opensearch.org/".into();
        let server = Server::start(Script::default().on("GET /", [ok(root)]).on("GET /_nodes/_local", [denied])).await;
        assert_eq!(server.client().await.version().to_string(), "OpenSearch 1.0.0");
    }

    #[tokio::test]
    async fn a_real_7_10_2_stays_one_also_where_its_nodes_may_not_be_asked() {
        let client = Server::start(Script::version("7.10.2")).await.client_of().await;
        assert_eq!(client.version().distribution, Distribution::Elasticsearch);
    }

    #[tokio::test]
    async fn plugins_are_asked_once_and_tell_the_types_and_the_service() {
        let server = Server::start(recorded::alibaba()).await;
        let client = server.client().await;
        assert_eq!(client.service().await, Service::Alibaba);
        let usable = |types: Vec<RepositoryType>| -> Vec<&'static str> {
            types.into_iter().filter(|one| one.usable).map(|one| one.kind).collect()
        };
        assert_eq!(usable(client.repository_types().await.unwrap()), ["oss", "url", "fs"]);
        assert_eq!(client.plugins().await.unwrap().nodes[1].name, "es-cn-2");
        assert_eq!(server.calls("GET /_nodes/plugins").len(), 1);
    }

    #[tokio::test]
    async fn a_domain_is_known_by_its_automated_snapshots() {
        let plugins = json!({ "nodes": { "a": { "name": "a", "modules": [{ "name": "repository-s3" }] } } });
        let script = Script::version("7.10.2")
            .on("GET /_nodes/plugins", [ok(plugins)])
            .on("GET /_snapshot", [ok(json!({ "cs-automated-enc": { "type": "s3" } }))]);
        let client = Server::start(script).await.client_of().await;
        assert_eq!(client.service().await, Service::Amazon);
    }

    #[tokio::test]
    async fn what_may_not_be_asked_makes_no_service() {
        let client = Server::start(Script::version("8.12.2")).await.client_of().await;
        assert_eq!(client.service().await, Service::Own);
        assert!(client.plugins().await.is_err());
    }
}

mod showing {
    use super::*;

    async fn show(server: &Server, arguments: &'static [&'static str]) -> (i32, String, String) {
        let url = server.url.clone();
        let output = tokio::task::spawn_blocking(move || {
            let home = tempfile::tempdir().expect("a directory");
            let mut command = assert_cmd::Command::cargo_bin("snapferry").expect("the binary is built");
            command.env_clear().env("HOME", home.path()).current_dir(home.path());
            command.args(["cluster", "show", &url]).args(arguments).output().expect("it runs")
        });
        let output = output.await.expect("it does not panic");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    fn script() -> Script {
        let old = r#"299 Elasticsearch-8.12.2-x "this is deprecated""#;
        let nodes = json!({ "nodes": {
            "a": { "name": "one", "modules": [{ "name": "repository-s3" }, { "name": "repository-url" }] },
            "b": { "name": "two", "modules": [{ "name": "repository-url" }] },
        } });
        let told = json!({ "username": "elastic", "roles": ["superuser"], "authentication_type": "api_key",
            "api_key": { "id": "i", "name": "migrator" } });
        Script::version("8.12.2")
            .on("GET /_nodes/plugins", [ok(nodes).with("warning", old)])
            .on("GET /_security/_authenticate", [ok(told)])
            .on("GET /_snapshot", [ok(json!({})).with("warning", old)])
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cluster_is_shown_to_people() {
        let server = Server::start(script()).await;
        let (code, out, said) = show(&server, &[]).await;
        assert_eq!(code, 0, "{said}");
        for line in [
            "cluster `c` (GgBFN-A7Q8KRwd7krLwDig): Elasticsearch 8.12.2, at `http://127.0.0.1:",
            "  indices     opens those created in 7.0.0 or later",
            "  nodes       one, two",
            "  type s3     missing on `two`",
            "  type oss    on no node",
            "  type url    on every node",
            "  logged in   as `elastic`, by api key `migrator`, roles superuser",
            "parallel restores",
        ] {
            assert!(out.contains(line), "{line}\n{out}");
        }
        assert_eq!(said.matches("this is deprecated").count(), 1, "{said}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cluster_is_shown_to_programs() {
        let server = Server::start(script()).await;
        let (code, out, said) = show(&server, &["--json"]).await;
        assert_eq!(code, 0, "{said}");
        let document: Value = serde_json::from_str(&out).expect("one document");
        assert_eq!(document["command"], "cluster show");
        assert_eq!(document["uuid"], "GgBFN-A7Q8KRwd7krLwDig");
        assert_eq!(document["version"]["number"], "8.12.2");
        assert_eq!(document["service"], "own");
        assert_eq!(document["nodes"], json!(["one", "two"]));
        assert_eq!(document["repository_types"][0], json!({ "type": "s3", "usable": false, "missing_on": ["two"] }));
        assert_eq!(document["capability"]["s3_module"], true);
        assert_eq!(document["identity"]["of"], "migrator");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_we_may_not_ask_is_left_out_and_said_so() {
        let denied =
            refusal(403, "security_exception", "action [cluster:monitor/nodes/info] is unauthorized for user [u]");
        let server = Server::start(Script::version("8.12.2").on("GET /_nodes/plugins", [denied])).await;
        let (code, out, said) = show(&server, &["--json"]).await;
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("cluster:monitor/nodes/info"), "{said}");
        let document: Value = serde_json::from_str(&out).expect("one document");
        assert_eq!(
            (&document["nodes"], &document["repository_types"], &document["identity"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
    }
}
