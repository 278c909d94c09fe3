//! Clusters with security: TLS whose authority is a private one, users, API keys with few privileges, and those that do not suffice.
//!
//! `cargo test --features engine-tests --test security`; `tests/engines/stage.sh` fetches the engines first and runs this where the
//! network ends at loopback. Every run is as talkative as it can be, and nothing that it says may hold a secret.
#![cfg(feature = "engine-tests")]

#[path = "support/engines.rs"]
#[expect(dead_code, reason = "each test binary uses some of it")]
mod engines;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use engines::{Elastic, Ran, Snapferry, unpack};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
const PASSWORD: &str = "Jackdaws-love-my-big-sphinx-0f-quartz";

/// A folder with an authority's certificate and, signed by it, that of a node on 127.0.0.1, with its key.
fn certificates() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut authority = CertificateParams::new(vec![]).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "a private authority");
    let key = KeyPair::generate().expect("a key");
    let own = authority.self_signed(&key).expect("a certificate");
    let issuer = Issuer::new(authority, key);
    let mut node = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    node.distinguished_name.push(rcgen::DnType::CommonName, "node");
    let node_key = KeyPair::generate().expect("a key");
    let signed = node.signed_by(&node_key, &issuer).expect("a certificate");
    for (file, text) in [("ca.pem", own.pem()), ("node.pem", signed.pem()), ("node-key.pem", node_key.serialize_pem())]
    {
        fs::write(folder.path().join(file), text).expect("it can be written");
    }
    folder
}

/// A cluster with security and a repository that it can read.
struct Secured {
    node: Elastic,
    tls: TempDir,
    /// Where the repository lies.
    location: String,
    snapshot: &'static str,
}

impl Secured {
    fn start(engine: &'static str, fixture: &str, snapshot: &'static str) -> Self {
        let tls = certificates();
        let folder = tls.path().to_str().expect("our folders are text");
        let node = Elastic::start_engine("secured", engine, &[("ENGINE_TLS", folder), ("ENGINE_PASSWORD", PASSWORD)]);
        let into = node.repositories().join("fixture");
        fs::create_dir(&into).expect("the node's folder is there");
        let repository = unpack(&Path::new(FIXTURES).join(format!("{fixture}.tar.gz")), &into);
        let location = format!("file://{}", repository.display());
        Self { node, tls, location, snapshot }
    }

    /// snapferry, configured by a file but for the secret, which comes from the environment. `who` is more of the section, `secret` the
    /// key in it and its value.
    fn user(&self, who: &str, secret: (&str, &str)) -> User<'_> {
        let ca = self.tls.path().join("ca.pem");
        let section = format!("[elastic.a]\nurl = \"{}\"\nca_bundle = \"{}\"\n{who}", self.node.url(), ca.display());
        let (key, value) = secret;
        let snapferry = Snapferry::new()
            .configured(&section)
            .variable(&format!("SNAPFERRY_ELASTIC_A_{}", key.to_uppercase()), value);
        User { secured: self, snapferry, needles: vec![value.to_owned()] }
    }

    /// By name and password.
    fn named(&self, name: &str, password: &str) -> User<'_> {
        let mut user = self.user(&format!("username = \"{name}\""), ("password", password));
        user.needles.push(STANDARD.encode(format!("{name}:{password}")));
        user
    }

    /// By an API key with these cluster privileges, valid for so long.
    fn key(&self, privileges: &[&str], expiration: &str) -> User<'_> {
        let role = json!({
            "cluster": privileges,
            "index": [{"names": ["*movies*"], "privileges": ["monitor", "view_index_metadata", "read", "manage"]}],
        });
        let body = json!({"name": "snapferry", "expiration": expiration, "role_descriptors": {"snapferry": role}});
        let made = self.node.get("POST", "/_security/api_key", Some(&body));
        let text = |field: &str| made[field].as_str().expect("a new key has it").to_owned();
        let mut user = self.user("", ("api_key", &text("encoded")));
        user.needles.push(text("api_key"));
        user
    }
}

/// snapferry as one user, and the forms in which the user's secret must not be told.
struct User<'a> {
    secured: &'a Secured,
    snapferry: Snapferry,
    needles: Vec<String>,
}

impl User<'_> {
    fn run(&self, line: &str) -> Ran {
        let ran = self.snapferry.run(&format!("{line} -vvv"));
        let stdout_and_stderr = format!("{}{}", ran.stdout, ran.stderr);
        for needle in &self.needles {
            assert!(!stdout_and_stderr.contains(needle.as_str()), "a secret is told: {ran}");
        }
        ran
    }

    fn done(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran
    }

    /// Refused for who we are.
    fn denied(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(7), "{ran}");
        ran.stderr
    }

    /// The whole of what a target cluster is asked: register, list, restore, compare, remove.
    fn whole_story(&self, name: &str) {
        let Secured { node, location, snapshot, .. } = self.secured;
        self.done(&format!("repo register a {name} {location}"));
        assert!(self.done("repo list a").stdout.contains(name));
        assert!(self.done(&format!("snapshot list a {name}")).stdout.contains(snapshot));
        let renamed = format!("--indices movies --rename-pattern (.+) --rename-replacement {name}-$1");
        self.done(&format!("restore a {name} {snapshot} {renamed}"));
        assert!(node.count(&format!("{name}-movies")) > 0);
        self.done(&format!("repo remove a {name}"));
        node.get("DELETE", &format!("/{name}-movies"), None);
    }
}

/// What suffices at the target cluster, as measured; the privileges for the indices are in [`Secured::key`].
const LEAST: [&str; 7] = [
    "monitor",
    "cluster:admin/repository/get",
    "cluster:admin/repository/put",
    "cluster:admin/repository/verify",
    "cluster:admin/repository/delete",
    "cluster:admin/snapshot/get",
    "cluster:admin/snapshot/restore",
];

fn elasticsearch() -> &'static Secured {
    static SECURED: OnceLock<Secured> = OnceLock::new();
    SECURED.get_or_init(|| Secured::start("elasticsearch-8.12.2", "es-8.12-movies", "snapshot_movies_2"))
}

fn opensearch() -> &'static Secured {
    static SECURED: OnceLock<Secured> = OnceLock::new();
    SECURED.get_or_init(|| Secured::start("opensearch-2.19.4-security", "opensearch-2.5-movies", "snapshot_movies_2"))
}

/// Without the authority nobody is asked for anything, and no password travels.
fn wants_its_authority(secured: &Secured, name: &str) {
    let section = format!("[elastic.a]\nurl = \"{}\"\nusername = \"{name}\"", secured.node.url());
    let snapferry = Snapferry::new().configured(&section).variable("SNAPFERRY_ELASTIC_A_PASSWORD", PASSWORD);
    let refused = snapferry.refused("repo list a");
    assert!(refused.stderr.contains("certificate"), "{refused}");
    assert!(refused.stderr.contains("ca_bundle"), "what to do is not said: {refused}");

    let other = certificates();
    let section = format!("{section}\nca_bundle = \"{}\"", other.path().join("ca.pem").display());
    let snapferry = Snapferry::new().configured(&section).variable("SNAPFERRY_ELASTIC_A_PASSWORD", PASSWORD);
    let refused = snapferry.refused("repo list a");
    assert!(refused.stderr.contains("certificate"), "{refused}");
}

mod elasticsearch_8_12_2 {
    use super::*;

    #[test]
    fn takes_a_user_over_tls_whose_authority_is_private() {
        elasticsearch().named("elastic", PASSWORD).whole_story("basic");
    }

    #[test]
    fn is_not_spoken_to_without_its_authority() {
        wants_its_authority(elasticsearch(), "elastic");
    }

    #[test]
    fn refuses_a_wrong_password() {
        let said = elasticsearch().named("elastic", "a-wrong-passw0rd").denied("repo list a");
        assert!(said.contains("elastic"), "whose password is wrong is not said: {said}");
    }

    #[test]
    fn takes_a_key_with_the_least_privileges() {
        elasticsearch().key(&LEAST, "1h").whole_story("least");
    }

    #[test]
    fn names_the_privilege_that_is_missing() {
        let secured = elasticsearch();
        secured.named("elastic", PASSWORD).done(&format!("repo register a there {}", secured.location));
        for (missing, line) in [
            ("cluster:admin/repository/put", format!("repo register a missing {}", secured.location)),
            ("cluster:admin/repository/get", "repo list a".to_owned()),
            ("cluster:admin/snapshot/get", "snapshot list a there".to_owned()),
            ("cluster:admin/snapshot/restore", format!("restore a there {} --indices movies", secured.snapshot)),
            ("cluster:admin/repository/delete", "repo remove a there".to_owned()),
        ] {
            let others: Vec<&str> = LEAST.into_iter().filter(|privilege| *privilege != missing).collect();
            let said = secured.key(&others, "1h").denied(&line);
            assert!(said.contains(missing), "{missing} is not named: {said}");
        }
    }

    #[test]
    fn says_that_a_key_has_expired() {
        let user = elasticsearch().key(&LEAST, "1ms");
        let said = user.denied("repo list a");
        assert!(said.contains("API key"), "{said}");
    }
}

mod opensearch_2_19_4 {
    use super::*;

    /// A user of the security plugin.
    fn make_user(name: &str, password: &str) {
        let node = &opensearch().node;
        node.get("PUT", &format!("/_plugins/_security/api/internalusers/{name}"), Some(&json!({"password": password})));
    }

    #[test]
    fn takes_a_user_over_tls_whose_authority_is_private() {
        opensearch().named("admin", PASSWORD).whole_story("basic");
    }

    #[test]
    fn is_not_spoken_to_without_its_authority() {
        wants_its_authority(opensearch(), "admin");
    }

    #[test]
    fn refuses_a_wrong_password() {
        let said = opensearch().named("admin", "a-wrong-passw0rd").denied("repo list a");
        // Its whole answer is one word.
        assert!(said.contains("401") && said.contains("password"), "{said}");
    }

    #[test]
    fn takes_a_user_who_may_manage_snapshots() {
        let password = "Pack-my-b0x-with-five-dozen";
        make_user("mover", password);
        let node = &opensearch().node;
        let role = json!({
            "cluster_permissions": ["cluster_monitor"],
            "index_permissions": [{"index_patterns": ["*movies*"], "allowed_actions": ["indices_all"]}],
        });
        node.get("PUT", "/_plugins/_security/api/roles/mover", Some(&role));
        for role in ["mover", "manage_snapshots"] {
            let users: Value = json!({"users": ["mover"]});
            node.get("PUT", &format!("/_plugins/_security/api/rolesmapping/{role}"), Some(&users));
        }
        opensearch().named("mover", password).whole_story("mover");
    }

    #[test]
    fn names_the_permission_that_is_missing() {
        let password = "How-vexingly-quick-daft-zebras-jump-1";
        make_user("reader", password);
        let node = &opensearch().node;
        let role = json!({"cluster_permissions": ["cluster_monitor", "cluster:admin/repository/get"]});
        node.get("PUT", "/_plugins/_security/api/roles/reader", Some(&role));
        node.get("PUT", "/_plugins/_security/api/rolesmapping/reader", Some(&json!({"users": ["reader"]})));

        let said =
            opensearch().named("reader", password).denied(&format!("repo register a x {}", opensearch().location));

        assert!(said.contains("cluster:admin/repository/put"), "{said}");
    }
}
