//! Registering repositories as each version and vendor wants it, and what is done with those that are registered: the library
//! against a scripted cluster, and the program itself where it is about what the user types and reads.

#[cfg(test)]
#[path = "support/elastic.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use snapferry::elastic::repository::{
    Expectation, Expected, Keys, Kind, Oss, OssForm, OssNetwork, Policy, Registration, Replace, S3, Target, Writable,
    render,
};
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::ops::repository::{self, Options};
use snapferry::secret::Secret;
use support::{Heard, Reply, Script, Server, ok, refusal};

fn text(error: &Error) -> String {
    format!("{error}\nhint: {}", error.advice().unwrap_or_default())
}

fn named(kind: Kind) -> Registration {
    Registration { name: "r".into(), kind, settings: BTreeMap::new() }
}

fn keys() -> Keys {
    Keys::Given { id: Secret::new("AKIDgeheim"), secret: Secret::new("schluesselgeheim") }
}

mod rendering {
    use super::*;

    /// The settings for a version, as they may be shown.
    fn settings(version: &str, kind: Kind) -> Result<Value> {
        let rendered = render(&Target::parse(version)?, &named(kind))?;
        let mut shown = rendered.shown();
        assert_eq!(shown["settings"]["readonly"], "true", "{version}");
        shown["settings"].as_object_mut().expect("an object").remove("readonly");
        shown["settings"]["type"] = shown["type"].clone();
        Ok(shown["settings"].take())
    }

    fn minio() -> S3 {
        S3 {
            bucket: "b".into(),
            base_path: "/es/movies/".into(),
            endpoint: Some("http://minio:9000".into()),
            path_style: true,
            ..S3::default()
        }
    }

    #[test]
    fn keys_are_settings_up_to_5_and_in_the_keystore_from_6_on() {
        let place = json!({ "type": "s3", "bucket": "b", "base_path": "es/movies", "endpoint": "http://minio:9000",
            "path_style_access": "true" });
        let with = |more: Value| {
            let mut place = place.clone();
            place.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            place
        };
        let five = settings("es-5.5.3", Kind::S3(S3 { keys: keys(), ..minio() })).unwrap();
        assert_eq!(five, with(json!({ "access_key": "<access_key>", "secret_key": "<secret_key>" })));
        for version in ["es-6.8", "es-7.10", "es-8.12", "opensearch-1.3", "opensearch-2.19"] {
            assert_eq!(
                settings(version, Kind::S3(minio())).unwrap(),
                with(json!({ "client": "default" })),
                "{version}"
            );
        }
        let nine = settings("es-9.0", Kind::S3(minio())).unwrap();
        assert_eq!(nine, with(json!({ "client": "default", "region": "us-east-1" })), "9.x wants a region");
        let three = settings("opensearch-3.8", Kind::S3(minio())).unwrap();
        let default = json!({ "client": "default", "server_side_encryption_type": "bucket_default" });
        assert_eq!(three, with(default), "its own default is answered with 501 by servers without a key service");
        assert_eq!(settings("opensearch-3.0", Kind::S3(minio())).unwrap(), with(json!({ "client": "default" })));
    }

    #[test]
    fn a_domain_of_amazons_has_no_type_oss() {
        for version in ["aws-es-7.10", "aws-es-7.1", "aws-es-5.5", "aws-opensearch-1.3"] {
            for form in [None, Some(OssForm::Plugin), Some(OssForm::S3)] {
                let oss = Oss { bucket: "b".into(), region: Some("cn-hangzhou".into()), form, ..Oss::default() };
                let error = settings(version, Kind::Oss(oss)).unwrap_err();
                assert!(text(&error).contains("reads from S3 only"), "{version}: {error}");
            }
        }
    }

    #[test]
    fn the_commands_for_the_keystore_name_the_client_and_the_tool() {
        let commands = |version: &str| {
            let s3 = S3 { client: Some("copy".into()), ..minio() };
            render(&Target::parse(version).unwrap(), &named(Kind::S3(s3))).unwrap().keystore
        };
        assert_eq!(
            commands("es-7.10"),
            [
                "bin/elasticsearch-keystore add s3.client.copy.access_key",
                "bin/elasticsearch-keystore add s3.client.copy.secret_key"
            ]
        );
        assert_eq!(commands("opensearch-3.8")[0], "bin/opensearch-keystore add s3.client.copy.access_key");
        assert_eq!(commands("es-5.5").len(), 2, "keystores came with 5.5");
        let s3 = S3 { client: Some("copy".into()), ..minio() };
        let error = render(&Target::parse("es-5.4").unwrap(), &named(Kind::S3(s3))).unwrap_err();
        assert!(text(&error).contains("5.5"), "{error}");
    }

    #[test]
    fn keys_in_the_settings_are_for_those_who_allow_it() {
        let s3 = S3 { keys: keys(), ..minio() };
        let rendered = render(&Target::parse("es-7.10").unwrap(), &named(Kind::S3(s3.clone()))).unwrap();
        assert!(rendered.notes.iter().any(|note| note.contains("-Des.allow_insecure_settings=true")), "{rendered:?}");
        assert!(rendered.keystore.is_empty() && rendered.shown()["settings"].get("client").is_none());
        assert!(!format!("{rendered:?} {}", rendered.shown()).contains("geheim"));
        let error = render(&Target::parse("es-9.0").unwrap(), &named(Kind::S3(s3.clone()))).unwrap_err();
        assert!(text(&error).contains("keystore"), "{error}");
        let both = S3 { client: Some("copy".into()), ..s3 };
        assert!(render(&Target::parse("es-7.10").unwrap(), &named(Kind::S3(both))).is_err());
    }

    #[test]
    fn five_has_an_endpoint_or_a_region_and_never_both() {
        let s3 = |region: &str, endpoint: Option<&str>| {
            let endpoint = endpoint.map(str::to_owned);
            Kind::S3(S3 { bucket: "b".into(), region: Some(region.into()), endpoint, ..S3::default() })
        };
        let at = |version: &str, kind: Kind| {
            let settings = settings(version, kind).unwrap();
            (settings["endpoint"].as_str().map(str::to_owned), settings["region"].as_str().map(str::to_owned))
        };
        let both = || s3("eu-west-1", Some("http://minio:9000"));
        assert_eq!(at("es-5.6", both()), (Some("http://minio:9000".into()), None), "the region would win");
        assert_eq!(at("es-6.8", both()), (Some("http://minio:9000".into()), Some("eu-west-1".into())));
        // 5.x does not know the regions that came after it.
        assert_eq!(at("es-5.6", s3("eu-north-1", None)), (Some("https://s3.eu-north-1.amazonaws.com".into()), None));
        assert_eq!(at("es-5.6", s3("us-east-1", None)), (Some("https://s3.amazonaws.com".into()), None));
        assert_eq!(at("es-8.12", s3("eu-north-1", None)), (None, Some("eu-north-1".into())));
        let china = Some("https://s3.cn-north-1.amazonaws.com.cn".to_owned());
        assert_eq!(at("es-7.10", s3("cn-north-1", None)), (china, Some("cn-north-1".into())));
    }

    #[test]
    fn a_domain_of_amazons_takes_a_role_and_a_region_or_the_first_endpoint() {
        let bucket = |region: &str| S3 {
            bucket: "b".into(),
            base_path: "p".into(),
            region: Some(region.into()),
            role_arn: Some("arn:aws:iam::1:role/snapshots".into()),
            server_side_encryption: true,
            ..S3::default()
        };
        let common = json!({ "type": "s3", "bucket": "b", "base_path": "p", "role_arn": "arn:aws:iam::1:role/snapshots",
            "server_side_encryption": "true" });
        let mut elsewhere = common.clone();
        elsewhere["region"] = json!("ap-southeast-1");
        assert_eq!(settings("aws-es-5.5", Kind::S3(bucket("ap-southeast-1"))).unwrap(), elsewhere);
        let mut first = common;
        first["endpoint"] = json!("s3.amazonaws.com");
        assert_eq!(settings("aws-opensearch-2.19", Kind::S3(bucket("us-east-1"))).unwrap(), first);
        first.as_object_mut().unwrap().remove("server_side_encryption");
        assert_eq!(settings("aws-opensearch-3.1", Kind::S3(bucket("us-east-1"))).unwrap(), first, "3.1 removed it");

        let refused = |s3: S3| text(&settings("aws-es-7.10", Kind::S3(s3)).unwrap_err());
        let no_role = refused(S3 { role_arn: None, ..bucket("us-east-1") });
        assert!(no_role.contains("--role-arn") && no_role.contains("repo policy"), "{no_role}");
        assert!(refused(S3 { role_arn: Some("snapshots".into()), ..bucket("us-east-1") }).contains("ARN"));
        assert!(refused(S3 { endpoint: Some("http://minio:9000".into()), ..bucket("x") }).contains("S3 only"));
        assert!(refused(S3 { keys: keys(), ..bucket("us-east-1") }).contains("role is enough"));
        assert!(refused(S3 { region: None, ..bucket("x") }).contains("no region"));
    }

    fn hangzhou() -> Oss {
        Oss {
            bucket: "b".into(),
            base_path: "es/movies/".into(),
            region: Some("cn-hangzhou".into()),
            keys: keys(),
            ..Oss::default()
        }
    }

    /// Guide S3, step 14.
    #[test]
    fn oss_is_reached_inside_its_region_with_keys_in_the_settings() {
        let place = json!({ "type": "oss", "endpoint": "http://oss-cn-hangzhou-internal.aliyuncs.com", "bucket": "b",
            "base_path": "es/movies", "access_key_id": "<access_key>", "secret_access_key": "<secret_key>" });
        for version in ["aliyun-es-5.5.3", "es-6.7", "es-7.10"] {
            assert_eq!(settings(version, Kind::Oss(hangzhou())).unwrap(), place, "{version}");
        }
        let eight = settings("aliyun-es-8.5", Kind::Oss(hangzhou())).unwrap();
        let prefixed = json!({ "type": "oss", "oss.client.endpoint": "http://oss-cn-hangzhou-internal.aliyuncs.com",
            "oss.client.bucket": "b", "oss.client.base_path": "es/movies", "oss.client.access_key_id": "<access_key>",
            "oss.client.secret_access_key": "<secret_key>" });
        assert_eq!(eight, prefixed);
        let public = Oss { network: Some(OssNetwork::Public), ..hangzhou() };
        assert_eq!(settings("es-6.7", Kind::Oss(public)).unwrap()["endpoint"], "https://oss-cn-hangzhou.aliyuncs.com");
    }

    #[test]
    fn where_the_plugin_does_not_exist_oss_is_read_through_s3() {
        let oss = || Oss { keys: Keys::None, ..hangzhou() };
        for (version, endpoint) in [
            ("es-8.10", "https://s3.oss-cn-hangzhou.aliyuncs.com"),
            ("es-9.0", "https://s3.oss-cn-hangzhou.aliyuncs.com"),
            ("opensearch-2.19", "https://s3.oss-cn-hangzhou.aliyuncs.com"),
            ("aliyun-es-8.17", "https://s3.oss-cn-hangzhou-internal.aliyuncs.com"),
        ] {
            let settings = settings(version, Kind::Oss(oss())).unwrap();
            assert_eq!((settings["type"].as_str(), settings["endpoint"].as_str()), (Some("s3"), Some(endpoint)));
            assert_eq!(settings.get("path_style_access"), None, "OSS takes the bucket in the host name only");
        }
        let forced = Oss { form: Some(OssForm::S3), network: Some(OssNetwork::Internal), ..oss() };
        let settings_of_7_10 = settings("es-7.10", Kind::Oss(forced.clone())).unwrap();
        assert_eq!(settings_of_7_10["endpoint"], "https://s3.oss-cn-hangzhou-internal.aliyuncs.com");
        for version in ["es-7.0", "es-7.3.2"] {
            let error = settings(version, Kind::Oss(forced.clone())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(text(&error).contains("host name only"), "{error}");
        }
        let plugin = Oss { form: Some(OssForm::Plugin), ..oss() };
        assert_eq!(settings("es-8.10", Kind::Oss(plugin)).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    /// Guide S1, step 1.
    #[test]
    fn qingstor_is_written_as_its_guide_has_it() {
        let s3 = S3 {
            bucket: "my_bucket".into(),
            endpoint: Some("https://s3.pek3a.qingstor.com".into()),
            keys: keys(),
            ..S3::default()
        };
        let guide = json!({ "type": "s3", "endpoint": "s3.pek3a.qingstor.com", "access_key": "<access_key>",
            "secret_key": "<secret_key>", "bucket": "my_bucket" });
        assert_eq!(settings("es-5.6", Kind::S3(s3.clone())).unwrap(), guide);
        let nine = settings("es-9.0", Kind::S3(S3 { keys: Keys::None, ..s3 })).unwrap();
        assert_eq!(nine["endpoint"], "https://s3.pek3a.qingstor.com", "9.x wants the scheme");
        assert_eq!(nine["region"], "pek3a");
    }

    #[test]
    fn what_the_user_sets_goes_before_what_is_concluded() {
        let mut registration = named(Kind::S3(minio()));
        registration.settings.insert("endpoint".into(), "http://inside:9000".into());
        let rendered = render(&Target::parse("es-8.12").unwrap(), &registration).unwrap();
        assert_eq!(rendered.shown()["settings"]["endpoint"], "http://inside:9000");
        registration.settings.insert("readonly".into(), "false".into());
        assert!(render(&Target::parse("es-8.12").unwrap(), &registration).is_err());
    }
}

const LIST: &str = "GET /_snapshot/r/_all";

fn snapshot(name: &str, uuid: &str, state: &str) -> Value {
    json!({ "snapshot": name, "uuid": uuid, "state": state, "indices": ["movies"] })
}

fn missing() -> Reply {
    refusal(404, "repository_missing_exception", "[r] missing")
}

fn plugins(nodes: &[(&str, &[&str])]) -> Reply {
    let node = |(number, (name, extensions)): (usize, &(&str, &[&str]))| {
        let extensions: Vec<Value> = extensions.iter().map(|name| json!({ "name": name })).collect();
        let node = json!({ "name": name, "roles": ["master", "data"], "modules": [{ "name": "reindex" }],
            "plugins": extensions });
        (format!("node-{number}"), node)
    };
    ok(json!({ "nodes": nodes.iter().enumerate().map(node).collect::<serde_json::Map<_, _>>() }))
}

fn script(version: &str, snapshots: &[Value]) -> Script {
    Script::version(version)
        .on("GET /_snapshot/r", [missing()])
        .on("PUT /_snapshot/r", [ok(json!({ "acknowledged": true }))])
        .on("DELETE /_snapshot/r", [ok(json!({ "acknowledged": true }))])
        .on(LIST, [ok(json!({ "snapshots": snapshots }))])
}

fn expecting(root: &[(&str, &str)]) -> Expectation {
    let expected = |(name, uuid): &(&str, &str)| Expected { name: (*name).into(), uuid: (*uuid).into() };
    Expectation { root: Some(root.iter().map(expected).collect()), ..Expectation::default() }
}

fn fs() -> Registration {
    named(Kind::Fs { location: "/a".into() })
}

async fn register(server: &Server, registration: Registration, expected: Expectation) -> Result<Vec<String>> {
    let options = Options { registration, expected, policy: Policy::default() };
    let registered = repository::register(&server.client().await, &options, &Heard::default()).await?;
    Ok(registered.snapshots.into_iter().map(|snapshot| snapshot.name).collect())
}

mod proving {
    use super::*;

    #[tokio::test]
    async fn every_snapshot_of_the_root_and_no_other_must_show_whatever_its_state() {
        let there = [snapshot("a", "1", "SUCCESS"), snapshot("b", "2", "PARTIAL"), snapshot("c", "3", "FAILED")];
        let server = Server::start(script("8.12.2", &there)).await;
        let all = [("a", "1"), ("b", "2"), ("c", "3")];

        assert_eq!(register(&server, fs(), expecting(&all)).await.unwrap(), ["a", "b", "c"]);
        let error = register(&server, fs(), expecting(&[("a", "1"), ("d", "4")])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(text(&error).contains("none is `d`"), "{error}");
        let error = register(&server, fs(), expecting(&all[..2])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Diverged);
        assert!(text(&error).contains("snapshots that the copy does not have: `c`"), "{error}");
        let error = register(&server, fs(), expecting(&[])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Diverged, "an empty root is a root");
    }

    #[tokio::test]
    async fn a_stale_registration_that_shows_too_much_does_not_stay() {
        let there = ok(json!({ "r": { "type": "fs", "settings": { "location": "/a", "readonly": "true" } } }));
        let script = script("8.12.2", &[snapshot("a", "1", "SUCCESS"), snapshot("b", "2", "SUCCESS")])
            .on("GET /_snapshot/r", [missing(), there]);
        let server = Server::start(script).await;
        let error = register(&server, fs(), expecting(&[("a", "1")])).await.unwrap_err();
        assert!(text(&error).contains("removed again"), "{error}");
        assert_eq!(server.calls("DELETE /_snapshot/r").len(), 1);
    }

    #[tokio::test]
    async fn before_5_0_a_snapshot_is_its_name() {
        let old = [snapshot("a", "a", "SUCCESS"), snapshot("b", "_na_", "SUCCESS")];
        let server = Server::start(script("5.6.16", &old)).await;
        assert_eq!(register(&server, fs(), expecting(&[("a", "a"), ("b", "b")])).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_a_cluster_cannot_read_or_is_at_is_no_other_data() {
        let there =
            [snapshot("a", "1", "SUCCESS"), snapshot("old", "old", "INCOMPATIBLE"), snapshot("n", "9", "IN_PROGRESS")];
        let server = Server::start(script("7.10.2", &there)).await;
        register(&server, fs(), expecting(&[("a", "1")])).await.unwrap();
    }

    #[tokio::test]
    async fn a_type_that_a_node_lacks_is_refused_by_name_before_anything_is_sent() {
        let script =
            script("7.10.2", &[]).on("GET /_nodes/plugins", [plugins(&[("n1", &["repository-s3"]), ("n2", &["icu"])])]);
        let server = Server::start(script).await;
        let s3 = Kind::S3(S3 { bucket: "b".into(), ..S3::default() });
        let error = register(&server, named(s3), Expectation::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(text(&error).contains("`n2` has none") && !text(&error).contains("`n1`"), "{error}");
        assert!(server.calls("PUT /_snapshot/r").is_empty());
    }

    #[tokio::test]
    async fn a_bucket_of_oss_takes_the_type_that_every_node_has() {
        for (extension, kind) in [("elasticsearch-repository-oss", "oss"), ("repository-s3", "s3")] {
            let script = script("7.10.2", &[snapshot("a", "1", "SUCCESS")])
                .on("GET /_nodes/plugins", [plugins(&[("n1", &[extension])])]);
            let server = Server::start(script).await;
            let oss = Oss {
                bucket: "b".into(),
                region: Some("cn-hangzhou".into()),
                keys: if kind == "oss" { keys() } else { Keys::None },
                ..Oss::default()
            };
            register(&server, named(Kind::Oss(oss)), expecting(&[("a", "1")])).await.unwrap();
            let body = &server.calls("PUT /_snapshot/r")[0].body;
            assert_eq!(body["type"], kind);
            if kind == "oss" {
                assert_eq!(body["settings"]["secret_access_key"], "schluesselgeheim", "that is where it is needed");
            }
        }
    }

    #[tokio::test]
    async fn oss_without_keys_is_refused_before_anything_is_sent() {
        let script = script("6.7.0", &[]).on("GET /_nodes/plugins", [plugins(&[("n1", &["repository-oss"])])]);
        let server = Server::start(script).await;
        let oss = Oss { bucket: "b".into(), region: Some("cn-hangzhou".into()), ..Oss::default() };
        let error = register(&server, named(Kind::Oss(oss.clone())), Expectation::default()).await.unwrap_err();
        assert!(text(&error).contains("--keys-in-settings"), "{error}");
        assert!(server.calls("PUT /_snapshot/r").is_empty());
        let mut with_role = named(Kind::Oss(oss));
        with_role.settings.insert("ecs_ram_role".into(), "snapshots".into());
        register(&server, with_role, Expectation::default()).await.unwrap();
    }

    /// 6.8, 7.10 and `OpenSearch` look for a read-only directory; 8 and 9 do not (finding 9).
    #[tokio::test]
    async fn a_place_that_the_nodes_do_not_see_is_not_called_an_incomplete_copy() {
        let refused = json!({ "error": { "type": "repository_verification_exception",
            "reason": "[r] path  is not accessible on master node",
            "caused_by": { "type": "no_such_file_exception", "reason": "/a" } }, "status": 500 });
        let server = Server::start(script("7.10.2", &[]).on("PUT /_snapshot/r", [Reply::Json(500, refused)])).await;
        let error = register(&server, fs(), Expectation::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(text(&error).contains("every node of the cluster can reach the place"), "{error}");
    }

    #[tokio::test]
    async fn a_refusal_that_repeats_our_keys_is_told_without_them() {
        let reason = "[r] cannot create blob store: key AKIDgeheim with schluesselgeheim refused";
        let server =
            Server::start(script("5.5.3", &[]).on("PUT /_snapshot/r", [refusal(500, "repository_exception", reason)]))
                .await;
        let s3 = Kind::S3(S3 { bucket: "b".into(), keys: keys(), ..S3::default() });
        let error = register(&server, named(s3), Expectation::default()).await.unwrap_err();
        let shown = format!("{} {error:?}", text(&error));
        assert!(shown.contains("key <access_key> with <secret_key> refused"), "{shown}");
        assert!(!shown.contains("geheim"), "{shown}");
        assert_eq!(server.calls("PUT /_snapshot/r")[0].body["settings"]["access_key"], "AKIDgeheim");
    }

    #[tokio::test]
    async fn a_refusal_about_keys_comes_with_the_commands_for_the_keystore() {
        let reason = "[r] The AWS Access Key Id you provided does not exist (Error Code: InvalidAccessKeyId)";
        let server =
            Server::start(script("8.12.2", &[]).on("PUT /_snapshot/r", [refusal(500, "repository_exception", reason)]))
                .await;
        let s3 = Kind::S3(S3 { bucket: "b".into(), ..S3::default() });
        let error = register(&server, named(s3), Expectation::default()).await.unwrap_err();
        assert!(text(&error).contains("bin/elasticsearch-keystore add s3.client.default.access_key"), "{error}");
    }
}

mod names {
    use super::*;

    fn registered(location: &str, readonly: bool) -> Reply {
        let settings = json!({ "location": location, "readonly": readonly.to_string() });
        ok(json!({ "r": { "type": "fs", "settings": settings } }))
    }

    /// Finding 8.
    #[tokio::test]
    async fn a_writable_registration_is_not_converted_without_consent() {
        let server = Server::start(script("8.12.2", &[]).on("GET /_snapshot/r", [registered("/a", false)])).await;
        let error = register(&server, fs(), Expectation::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition);
        assert!(text(&error).contains("--force"), "{error}");
        assert!(server.calls("PUT /_snapshot/r").is_empty());
        let policy = Policy { writable: Writable::Convert, ..Policy::default() };
        let options = Options { registration: fs(), expected: Expectation::default(), policy };
        repository::register(&server.client().await, &options, &Heard::default()).await.unwrap();
        assert_eq!(server.calls("PUT /_snapshot/r")[0].body["settings"]["readonly"], "true");
    }

    #[tokio::test]
    async fn a_location_below_path_repo_is_the_same_data_as_the_whole_path() {
        let repo = |root: &str| ok(json!({ "nodes": { "1": { "settings": { "path": { "repo": [root] } } } } }));
        let denied = refusal(403, "security_exception", "action is unauthorized");
        for (nodes, location, is_same, warns) in [
            (repo("/repo"), "w", true, false),
            (repo("/other"), "w", false, false),
            (denied.clone(), "w", true, true),
            (denied, "x", false, false),
        ] {
            let script = script("8.12.2", &[])
                .on("GET /_snapshot/r", [registered(location, true)])
                .on("GET /_nodes/settings", [nodes]);
            let server = Server::start(script).await;
            let registration = named(Kind::Fs { location: "/repo/w".into() });
            let options = Options { registration, expected: Expectation::default(), policy: Policy::default() };
            let heard = Heard::default();
            let outcome = repository::register(&server.client().await, &options, &heard).await;
            assert_eq!(outcome.is_ok(), is_same, "{outcome:?}");
            assert_eq!(heard.has(&["path.repo"]), warns);
        }
    }

    #[tokio::test]
    async fn consent_to_read_only_is_none_to_other_data() {
        let server = Server::start(script("8.12.2", &[]).on("GET /_snapshot/r", [registered("/b", false)])).await;
        let client = server.client().await;
        let force = Policy { writable: Writable::Convert, ..Policy::default() };
        let error = repository::admit(&client, &fs(), force).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(text(&error).contains("--replace"), "{error}");
        repository::admit(&client, &fs(), Policy { replace: Replace::OtherData, ..force }).await.unwrap();
        assert!(server.calls("PUT /_snapshot/r").is_empty());
    }

    #[tokio::test]
    async fn repositories_are_listed_by_elasticsearchs_patterns_and_explained() {
        let there = json!({
            "repo-1": { "type": "fs", "settings": { "location": "/a" } },
            "a-backup": { "type": "url", "settings": { "url": "http://h/" } },
            "cs-automated-enc": { "type": "s3", "settings": {} },
            "aliyun_snapshot_from_es-cn-a": { "type": "oss", "settings": { "bucket": "b", "readonly": "true" } },
        });
        let server = Server::start(Script::version("7.10.2").on("GET /_snapshot", [ok(there)])).await;
        let client = server.client().await;
        let names = async |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            let listed = repository::list(&client, &patterns).await?;
            Ok::<_, Error>(listed.into_iter().map(|one| one.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["repo*,*backup*"]).await.unwrap(), ["a-backup", "repo-1"]);
        assert_eq!(names(&["_all", "-a*"]).await.unwrap(), ["cs-automated-enc", "repo-1"]);
        assert_eq!(names(&["nosuch"]).await.unwrap_err().kind(), ErrorKind::NotFound);
        let all = repository::list(&client, &[]).await.unwrap();
        let meaning =
            |name: &str| all.iter().find(|one| one.name == name).map(|one| (one.meaning.clone(), one.usable_as_source));
        let (from, usable) = meaning("aliyun_snapshot_from_es-cn-a").unwrap();
        assert!(from.unwrap().contains("the automatic snapshots of the Alibaba Cloud instance `es-cn-a`") && usable);
        assert!(!meaning("cs-automated-enc").unwrap().1);
        assert_eq!(meaning("repo-1").unwrap(), (None, true));
    }

    #[tokio::test]
    async fn a_repository_is_shown_with_its_states_and_without_its_secrets() {
        let there = json!({ "r": { "type": "s3", "uuid": "u-r",
            "settings": { "bucket": "b", "readonly": "true", "secret_key": "geheim" } } });
        let snapshots = [snapshot("a", "1", "SUCCESS"), snapshot("b", "2", "PARTIAL"), snapshot("c", "3", "SUCCESS")];
        let server = Server::start(script("7.17.28", &snapshots).on("GET /_snapshot/r", [ok(there)])).await;
        let shown = repository::show(&server.client().await, "r").await.unwrap();
        assert_eq!((shown.snapshots, shown.states["SUCCESS"], shown.states["PARTIAL"]), (3, 2, 1));
        assert_eq!((shown.repository.uuid.as_deref(), shown.latest.as_deref()), (Some("u-r"), Some("c")));
        assert_eq!(shown.repository.hidden_settings, ["secret_key"]);
        assert!(!serde_json::to_string(&shown).unwrap().contains("geheim"));
    }
}

mod nodes {
    use super::*;

    const VERIFY: &str = "POST /_snapshot/r/_verify";
    const RELOAD: &str = "POST /_nodes/reload_secure_settings";

    fn with(version: &str, readonly: bool) -> Script {
        let settings = json!({ "bucket": "b", "readonly": readonly.to_string() });
        Script::version(version).on("GET /_snapshot/r", [ok(json!({ "r": { "type": "s3", "settings": settings } }))])
    }

    #[tokio::test]
    async fn a_verification_says_what_it_proves() {
        let answer = ok(json!({ "nodes": { "id1": { "name": "n1" }, "id2": { "name": "n2" } } }));
        for (version, readonly, word) in [
            ("7.10.2", false, "wrote a file"),
            ("5.5.3", true, "nothing"),
            ("6.8.23", true, "listed the place"),
            ("8.12.2", true, "little"),
        ] {
            let server = Server::start(with(version, readonly).on(VERIFY, [answer.clone()])).await;
            let (verified, proves) = repository::verify(&server.client().await, "r").await.unwrap();
            assert!(verified.is_good() && verified.nodes.len() == 2);
            assert!(proves.contains(word), "{proves}");
        }
    }

    #[tokio::test]
    async fn nodes_that_fail_are_told_one_by_one_with_what_helps() {
        let cause = |code: &str| {
            format!("nested: AmazonS3Exception[x (Status Code: 403; Error Code: {code}; Request ID: 1)]; ")
        };
        let codes = [
            ("NoSuchBucket", "create the bucket"),
            ("InvalidAccessKeyId", "access key"),
            ("SignatureDoesNotMatch", "secret key"),
            ("InvalidObjectState", "archive"),
            ("PermanentRedirect", "own region"),
            ("RequestTimeTooSkewed", "clocks"),
            ("0002-00000080", "as type `s3`"),
        ];
        let entry = |(number, (code, _)): (usize, &(&str, &str))| {
            format!(
                "[abcdefghijklmnopqrst0{number}, 'RemoteTransportException[[n{number}][10.0.0.{number}:9300]\
                 [internal:admin/repository/verify]]; nested: RepositoryVerificationException[[r] store location [b] is not \
                 accessible on the node [{{n{number}}}]]; {}']",
                cause(code)
            )
        };
        let entries: Vec<String> = codes.iter().enumerate().map(entry).collect();
        let reason = format!("[r] [{}]", entries.join(", "));
        assert!(reason.len() > 1500, "longer than an error may be");
        let server = Server::start(
            with("6.8.23", false).on(VERIFY, [refusal(500, "repository_verification_exception", &reason)]),
        )
        .await;

        let (verified, _) = repository::verify(&server.client().await, "r").await.unwrap();

        assert!(!verified.is_good());
        assert_eq!(verified.nodes.len(), codes.len());
        for (number, (node, (code, hint))) in verified.nodes.iter().zip(codes).enumerate() {
            assert_eq!(node.name, format!("n{number}"));
            assert!(node.cause.as_ref().unwrap().contains(code), "{node:?}");
            assert!(node.hint.as_ref().is_some_and(|told| told.contains(hint)), "{node:?}");
        }
    }

    /// So from 5.5 to 6.8: the type is a plain `exception`.
    #[tokio::test]
    async fn a_master_that_fails_in_other_words_is_a_finding_too() {
        let refused = json!({ "error": { "type": "exception", "reason": "failed to create blob container",
            "caused_by": { "type": "access_denied_exception", "reason": "/repo/w/tests-x" } }, "status": 500 });
        let server = Server::start(with("6.8.23", false).on(VERIFY, [Reply::Json(500, refused)])).await;
        let (verified, _) = repository::verify(&server.client().await, "r").await.unwrap();
        assert!(!verified.is_good() && verified.nodes[0].cause.as_ref().unwrap().contains("access_denied"));
        let missing = refusal(404, "repository_missing_exception", "[r] missing");
        let server = Server::start(with("6.8.23", false).on(VERIFY, [missing])).await;
        assert!(repository::verify(&server.client().await, "r").await.is_err());
    }

    #[tokio::test]
    async fn a_keystore_that_one_node_could_not_read_is_an_error_that_names_it() {
        let good = json!({ "name": "n1" });
        let bad = json!({ "name": "n2", "reload_exception": { "type": "exception", "reason": "Keystore is missing" } });
        let server = Server::start(
            Script::version("7.10.2")
                .on(RELOAD, [ok(json!({ "nodes": { "1": good, "2": bad } })), ok(json!({ "nodes": { "1": good } }))]),
        )
        .await;
        let client = server.client().await;
        let error = repository::reload(&client, None).await.unwrap_err();
        assert!(
            text(&error).contains("`n2`: `exception`: Keystore is missing") && !text(&error).contains("`n1`"),
            "{error}"
        );
        let password = Secret::new("geheim");
        assert_eq!(repository::reload(&client, Some(&password)).await.unwrap(), 1);
        let seen = server.calls(RELOAD);
        assert_eq!((&seen[0].body, &seen[1].body), (&json!(null), &json!({ "secure_settings_password": "geheim" })));
        let old = Server::start(Script::version("6.3.2")).await;
        assert_eq!(repository::reload(&old.client().await, None).await.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

/// The program itself, with nothing of the caller's settings.
async fn snapferry(home: &Path, arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_snapferry"));
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| ["SNAPFERRY_", "AWS_", "OSS_", "QINGSTOR_"].iter().any(|start| name.starts_with(start)))
        {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(home).env("HOME", home).env("XDG_CONFIG_HOME", home);
    command.env("AWS_EC2_METADATA_DISABLED", "true").stdin(std::process::Stdio::null());
    tokio::task::spawn_blocking(move || command.output().expect("snapferry can be run"))
        .await
        .expect("it does not panic")
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), utf8(&output.stdout), utf8(&output.stderr))
}

const STORES: &str = "
[store.copy]
url = \"s3://b/es\"
endpoint = \"http://127.0.0.1:1\"
region = \"us-east-1\"
access_key_id = \"AKIDgeheim\"
secret_access_key = \"schluesselgeheim\"

[store.reader]
url = \"s3://b/es\"
endpoint = \"http://127.0.0.1:1\"
access_key_id = \"READERgeheim\"
secret_access_key = \"lesegeheim\"

[store.alibaba]
url = \"oss://b/es\"
region = \"cn-hangzhou\"
access_key_id = \"AKIDgeheim\"
secret_access_key = \"schluesselgeheim\"
";

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = home.path().join("snapferry.toml");
    std::fs::write(&file, STORES).expect("writable");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    home
}

mod program {
    use super::*;

    #[tokio::test]
    async fn a_request_is_printed_without_a_cluster_and_without_keys() {
        let home = home();
        let render = ["repo", "register", "-", "r", "copy/movies", "--render", "--for"];
        let (code, stdout, stderr) = told(&snapferry(home.path(), &[&render[..], &["es-7.10"]].concat()).await);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.starts_with("PUT /_snapshot/r\n{\n"), "{stdout}");
        assert!(stdout.contains("\"base_path\": \"es/movies\"") && stdout.contains("add s3.client.default.secret_key"));
        assert!(stdout.contains("POST /_nodes/reload_secure_settings"), "{stdout}");
        for (arguments, key) in [
            (&["copy", "--for", "es-5.5.3", "--keys-in-settings"][..], "access_key"),
            (&["copy", "--for", "es-5.5.3", "--keys-in-settings=reader", "--json"], "access_key"),
            (&["alibaba", "--for", "aliyun-es-5.5.3"], "access_key_id"),
        ] {
            let output =
                snapferry(home.path(), &[&["repo", "register", "-", "r", "--render"][..], arguments].concat()).await;
            let (code, stdout, stderr) = told(&output);
            assert_eq!(code, Some(0), "{stderr}");
            assert!(stdout.contains(&format!("\"{key}\": \"<access_key>\"")), "{stdout}");
            assert!(!format!("{stdout}{stderr}").contains("geheim"), "{stdout}{stderr}");
        }
    }

    #[tokio::test]
    async fn the_version_of_a_request_comes_from_the_cluster_and_nothing_is_changed_there() {
        let home = home();
        let server = Server::start(Script::version("8.12.2")).await;
        let arguments = ["repo", "register", &server.url, "r", "copy", "--render", "--json"];
        let (code, stdout, stderr) = told(&snapferry(home.path(), &arguments).await);
        assert_eq!(code, Some(0), "{stderr}");
        let document: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(document["version"], "Elasticsearch 8.12.2");
        assert_eq!(document["request"], "PUT /_snapshot/r");
        assert_eq!(document["body"]["settings"]["client"], "default");
        assert!(server.seen().iter().all(|seen| seen.call.starts_with("GET ")), "nothing was written");
    }

    #[tokio::test]
    async fn the_keys_of_another_store_are_sent_and_nowhere_shown() {
        let home = home();
        let server = Server::start(script("5.5.3", &[snapshot("a", "1", "SUCCESS")])).await;
        let arguments = ["repo", "register", &server.url, "r", "copy", "--keys-in-settings=reader", "-vv"];
        let (code, stdout, stderr) = told(&snapferry(home.path(), &arguments).await);
        assert_eq!(code, Some(0), "{stderr}");
        let settings = &server.calls("PUT /_snapshot/r")[0].body["settings"];
        assert_eq!((&settings["access_key"], &settings["secret_key"]), (&json!("READERgeheim"), &json!("lesegeheim")));
        assert!(!format!("{stdout}{stderr}").contains("geheim"), "{stdout}{stderr}");
        assert!(stderr.contains("travel") && stderr.contains("unencrypted"), "{stderr}");
    }

    /// Finding 8: nobody is there to be asked.
    #[tokio::test]
    async fn without_a_terminal_a_writable_repository_needs_force() {
        let home = home();
        let there = json!({ "r": { "type": "url", "settings": { "url": "http://h/" } } });
        let writable = json!({ "r": { "type": "fs", "settings": { "location": "/nowhere" } } });
        let script = script("8.12.2", &[snapshot("a", "1", "SUCCESS")]).on("GET /_snapshot/r", [ok(writable)]);
        let server = Server::start(script.clone()).await;
        let arguments = ["repo", "register", &server.url, "r", "file:///nowhere"];
        let (code, _, stderr) = told(&snapferry(home.path(), &arguments).await);
        assert_eq!(code, Some(3), "{stderr}");
        assert!(stderr.contains("--force"), "{stderr}");
        assert!(server.calls("PUT /_snapshot/r").is_empty());
        let (code, _, stderr) = told(&snapferry(home.path(), &[&arguments[..], &["--force"]].concat()).await);
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(server.calls("PUT /_snapshot/r").len(), 1);
        // A `url` repository cannot be written to: there is nothing to ask.
        let server = Server::start(script.on("GET /_snapshot/r", [ok(there)])).await;
        let arguments = ["repo", "register", &server.url, "r", "--type", "url", "--url", "http://h/"];
        assert_eq!(told(&snapferry(home.path(), &arguments).await).0, Some(0));
    }

    #[tokio::test]
    async fn a_failed_verification_is_a_finding() {
        let home = home();
        let there = json!({ "r": { "type": "fs", "settings": { "location": "/a" } } });
        let refused = refusal(500, "repository_verification_exception", "[r] path  is not accessible on master node");
        let script =
            Script::version("8.12.2").on("GET /_snapshot/r", [ok(there)]).on("POST /_snapshot/r/_verify", [refused]);
        let server = Server::start(script).await;
        let (code, stdout, _) = told(&snapferry(home.path(), &["repo", "verify", &server.url, "r"]).await);
        assert_eq!(code, Some(4));
        assert!(stdout.contains("the master: ") && stdout.contains("not accessible"), "{stdout}");
    }

    #[tokio::test]
    async fn policies_are_printed_offline_for_each_service() {
        let home = home();
        let policy = async |arguments: &[&str]| {
            let output = snapferry(home.path(), &[&["repo", "policy"][..], arguments].concat()).await;
            let (code, stdout, stderr) = told(&output);
            assert_eq!(code, Some(0), "{stderr}");
            stdout
        };
        let source: Value = serde_json::from_str(&policy(&["s3://b/es", "--role", "source"]).await).unwrap();
        assert_eq!(
            source,
            json!({ "Version": "2012-10-17", "Statement": [
                { "Sid": "Bucket", "Effect": "Allow", "Resource": "arn:aws:s3:::b",
                  "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"] },
                { "Sid": "Objects", "Effect": "Allow", "Resource": "arn:aws:s3:::b/es/*",
                  "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
                      "s3:ListMultipartUploadParts"] } ] })
        );
        let role = "arn:aws:iam::1:role/snapshots";
        let caller = policy(&["s3://b", "--role", "caller", "--role-arn", role]).await;
        assert!(
            caller.contains("iam:PassRole") && caller.contains(role) && caller.contains("es:ESHttpPut"),
            "{caller}"
        );
        let trust = policy(&["s3://b", "--role", "trust"]).await;
        assert!(trust.contains("\"es.amazonaws.com\"") && trust.contains("opensearchservice.amazonaws.com"), "{trust}");
        let ram: Value = serde_json::from_str(&policy(&["alibaba", "--role", "target"]).await).unwrap();
        assert_eq!(ram["Statement"][1]["Resource"][0], "acs:oss:*:*:b/es/*");
        assert_eq!(ram["Statement"][1]["Action"], json!(["oss:GetObject"]));
        let all = policy(&["qingstor://b/es"]).await;
        assert!(all.contains("# sync-from: ") && all.contains("\"b/es/*\""), "{all}");
        let ram_for_minio = policy(&["s3://b", "--ram", "--json"]).await;
        assert_eq!(serde_json::from_str::<Value>(&ram_for_minio).unwrap()["policies"][0]["role"], "source");
    }
}
