//! The section of a cluster: which keys go together, and what a client is made of.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::raw::{Section, variable_name};
use super::{address, not_both, secret, wrong};
use crate::elastic::{Auth, aws_region};
use crate::error::{Error, Result};
use crate::store::{AwsKeys, AwsLogin, is_region};
use crate::wire::{ClientCertificate, Proxy};

/// A cluster that can be connected to.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its address, without credentials; several nodes have commas between them.
    pub url: String,
    /// Who we are.
    pub login: Login,
    /// What to show a server that asks for a certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// PEM file with the certificates to trust in place of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// The proxy to go through.
    pub proxy: Proxy,
    /// Files of this section that hold a secret and that others on this machine can read.
    pub exposed: Vec<PathBuf>,
}

/// Who we are to a cluster.
#[derive(Debug, Clone)]
pub enum Login {
    /// What goes into each request as it is.
    Plain(Auth),
    /// An identity at AWS, whose keys sign each request, for a domain in this region, if it is known.
    Aws(AwsLogin),
}

/// The ways to log in: the key that shows each, with what it is called.
const WAYS: [(&str, &str); 4] = [
    ("username", "a user"),
    ("api_key", "an `api_key`"),
    ("bearer_token", "a `bearer_token`"),
    ("auth", "`auth = \"aws\"`"),
];

/// The keys that mean something with `auth = "aws"` only.
const OF_AWS: [&str; 8] = [
    "region",
    "profile",
    "access_key_id",
    "access_key_id_file",
    "secret_access_key",
    "secret_access_key_file",
    "session_token",
    "session_token_file",
];

/// The keys that hold a secret and may name a file that does.
const SECRETS: [&str; 6] =
    ["password", "api_key", "bearer_token", "access_key_id", "secret_access_key", "session_token"];

/// The cluster at a URL that has no section.
pub(super) fn unnamed(text: &str) -> Result<Cluster> {
    let url = addresses(text, false, None)?;
    Ok(Cluster {
        url,
        login: Login::Plain(Auth::None),
        client_certificate: None,
        ca_bundle: None,
        proxy: Proxy::Environment,
        exposed: Vec::new(),
    })
}

/// Each of the addresses checked, with commas between them.
fn addresses(text: &str, allow_http: bool, written: Option<(&Section, &str)>) -> Result<String> {
    let each = text.split(',').map(str::trim).filter(|one| !one.is_empty());
    let checked = each.map(|one| address(one, allow_http, written)).collect::<Result<Vec<String>>>()?;
    if checked.is_empty() { address(text, allow_http, written) } else { Ok(checked.join(",")) }
}

fn has(section: &Section, key: &str) -> bool {
    section.0.contains_key(key) || section.0.contains_key(format!("{key}_file").as_str())
}

/// Finds the mistakes of a section that show without reading secrets.
pub(super) fn check(name: &str, section: &Section) -> Result<()> {
    let Some(url) = section.text("url") else {
        return Err(wrong(section, "url", &format!("`[elastic.{name}]` has no `url`")).hint(format!(
            "add `url = \"https://host:9200\"`, or set `SNAPFERRY_ELASTIC_{}_URL`",
            variable_name(name)
        )));
    };
    addresses(url, section.switch("allow_http"), Some((section, "url")))?;
    for key in SECRETS {
        not_both(section, key)?;
    }
    pair(name, section, ("username", "password"))?;
    pair(name, section, ("client_certificate", "client_key"))?;
    one_way(name, section)?;
    check_aws(name, section)
}

/// Two keys that make sense together only.
fn pair(name: &str, section: &Section, (one, other): (&str, &str)) -> Result<()> {
    if has(section, one) == has(section, other) {
        return Ok(());
    }
    let (key, missing) = if has(section, one) { (one, other) } else { (other, one) };
    Err(wrong(section, &written(section, key), &format!("`[elastic.{name}]` has `{key}` and no `{missing}`"))
        .hint(format!("add `{missing}`")))
}

/// The key as it was written, with `_file` or without.
fn written(section: &Section, key: &str) -> String {
    if section.0.contains_key(key) { key.to_owned() } else { format!("{key}_file") }
}

/// A request has one `Authorization`. A client certificate may come to any of them.
fn one_way(name: &str, section: &Section) -> Result<()> {
    let mut ways = WAYS.iter().filter(|(key, _)| has(section, key));
    let (Some((_, one)), Some((key, other))) = (ways.next(), ways.next()) else { return Ok(()) };
    Err(wrong(section, &written(section, key), &format!("`[elastic.{name}]` has {one} and {other}"))
        .hint("leave one of the two out"))
}

fn check_aws(name: &str, section: &Section) -> Result<()> {
    if section.text("auth").is_none() {
        let Some(key) = OF_AWS.into_iter().find(|key| section.0.contains_key(*key)) else { return Ok(()) };
        return Err(wrong(
            section,
            key,
            &format!("`{key}` in `[elastic.{name}]` means nothing without `auth = \"aws\"`"),
        )
        .hint("add `auth = \"aws\"` if the cluster is a domain of Amazon's, or leave the key out"));
    }
    if section.text("region").is_some_and(|region| !is_region(region)) {
        return Err(wrong(section, "region", &format!("`region` of `[elastic.{name}]` is no name of a region"))
            .hint("a region is letters, digits and `-`, for example \"eu-west-1\""));
    }
    if has(section, "access_key_id") && section.text("profile").is_some() {
        return Err(wrong(section, "profile", &format!("`[elastic.{name}]` has keys of its own and a `profile`"))
            .hint("leave one of the two out"));
    }
    if has(section, "session_token") && !has(section, "access_key_id") {
        return Err(no_key(name, section, "session_token", "access_key_id"));
    }
    for (key, missing) in [("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")] {
        if has(section, key) && !has(section, missing) {
            return Err(no_key(name, section, key, missing));
        }
    }
    let told = section.text("url").and_then(aws_region);
    if let (Some(region), Some(told)) = (section.text("region"), told)
        && region != told
    {
        return Err(wrong(
            section,
            "region",
            &format!("`region` of `[elastic.{name}]` is `{region}`, and its host is in `{told}`"),
        )
        .hint("leave `region` out: the host names it"));
    }
    Ok(())
}

fn no_key(name: &str, section: &Section, key: &str, missing: &str) -> Error {
    wrong(section, &written(section, key), &format!("`[elastic.{name}]` has `{key}` and no `{missing}`"))
        .hint(format!("add `{missing}` or `{missing}_file`, or leave all of them out to use AWS's usual chain"))
}

/// The cluster that a section describes.
pub(super) fn read(name: &str, section: &Section) -> Result<Cluster> {
    let path = |key: &str| section.text(key).map(PathBuf::from);
    let url = section.text("url").unwrap_or_default();
    let certificate = path("client_certificate").zip(path("client_key"));
    Ok(Cluster {
        url: addresses(url, section.switch("allow_http"), Some((section, "url")))?,
        login: login(name, section)?,
        client_certificate: certificate.map(|(certificate, key)| ClientCertificate { certificate, key }),
        ca_bundle: path("ca_bundle"),
        proxy: super::proxy(section),
        exposed: exposed(section),
    })
}

fn login(name: &str, section: &Section) -> Result<Login> {
    let secret = |key| secret(name, section, key);
    if section.text("auth") == Some("aws") {
        let keys = match (secret("access_key_id")?, secret("secret_access_key")?) {
            (Some(access_key_id), Some(secret_access_key)) => {
                Some(AwsKeys { access_key_id, secret_access_key, session_token: secret("session_token")? })
            }
            _ => None,
        };
        let text = |key: &str| section.text(key).map(str::to_owned);
        let region = text("region").or_else(|| section.text("url").and_then(aws_region));
        return Ok(Login::Aws(AwsLogin { keys, profile: text("profile"), region, proxy: super::proxy(section) }));
    }
    let user = section.text("username").map(str::to_owned).zip(secret("password")?);
    Ok(Login::Plain(match (user, secret("api_key")?, secret("bearer_token")?) {
        (Some((username, password)), ..) => Auth::Basic { username, password },
        (None, Some(key), _) => Auth::ApiKey(key),
        (None, None, Some(token)) => Auth::Bearer(token),
        (None, None, None) => Auth::None,
    }))
}

/// The files with secrets that others can read. One that is not there is told when it is read.
fn exposed(section: &Section) -> Vec<PathBuf> {
    let files = SECRETS.iter().map(|key| format!("{key}_file")).chain(["client_key".to_owned()]);
    let paths = files.filter_map(|key| section.text(&key).map(PathBuf::from));
    paths.filter(|path| std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Cluster> {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("c.toml");
        std::fs::write(&file, text).expect("writable");
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some(&file), variables)?.cluster("a")
    }

    fn secret_file(directory: &Path, name: &str, mode: u32) -> String {
        let path = directory.join(name);
        std::fs::write(&path, "geheim\n").expect("writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
        path.display().to_string()
    }

    #[test]
    fn several_nodes_are_an_array_or_have_commas_between_them() {
        for url in ["[\"https://one:9200\", \"https://two:9200/\"]", "\"https://one:9200,https://two:9200\""] {
            let cluster = load(&format!("[elastic.a]\nurl = {url}\n"), &[]).unwrap();
            assert_eq!(cluster.url, "https://one:9200,https://two:9200");
        }
        let cluster = load("", &[("SNAPFERRY_ELASTIC_A_URL", "https://one, https://two")]).unwrap();
        assert_eq!(cluster.url, "https://one,https://two");
    }

    #[test]
    fn a_domains_region_is_read_from_its_host() {
        let text = "[elastic.a]\nurl = \"https://search-m-x.eu-west-1.es.amazonaws.com\"\nauth = \"aws\"\n";
        let Login::Aws(login) = load(text, &[]).unwrap().login else { panic!("not signed") };
        assert_eq!((login.region.as_deref(), login.keys), (Some("eu-west-1"), None));
        let keys = [("SNAPFERRY_ELASTIC_A_ACCESS_KEY_ID", "AKID"), ("SNAPFERRY_ELASTIC_A_SECRET_ACCESS_KEY", "geheim")];
        let Login::Aws(login) = load(text, &keys).unwrap().login else { panic!("not signed") };
        assert_eq!(login.keys.as_ref().expect("given").access_key_id.expose(), "AKID");
        assert!(!format!("{login:?}").contains("geheim"));
    }

    #[test]
    fn every_secret_comes_from_a_file_or_the_environment_too() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = secret_file(directory.path(), "token", 0o600);
        let text = format!("[elastic.a]\nurl = \"https://es\"\nbearer_token_file = \"{file}\"\n");
        let cluster = load(&text, &[]).unwrap();
        assert!(matches!(&cluster.login, Login::Plain(Auth::Bearer(token)) if token.expose() == "geheim"));
        assert!(cluster.exposed.is_empty());
        let cluster = load("[elastic.a]\nurl = \"https://es\"\n", &[("SNAPFERRY_ELASTIC_A_API_KEY", "i:k")]).unwrap();
        assert!(matches!(&cluster.login, Login::Plain(Auth::ApiKey(key)) if key.expose() == "i:k"));
    }

    #[test]
    fn files_with_secrets_that_others_can_read_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let (token, key) = (secret_file(directory.path(), "token", 0o644), secret_file(directory.path(), "key", 0o640));
        let text = format!(
            "[elastic.a]\nurl = \"https://es\"\nbearer_token_file = \"{token}\"\nclient_certificate = \"/x\"\nclient_key = \"{key}\"\n"
        );
        let exposed = load(&text, &[]).unwrap().exposed;
        assert_eq!(exposed, [PathBuf::from(token), PathBuf::from(key)]);
    }

    #[test]
    fn keys_that_contradict_each_other_are_refused_with_their_line() {
        let long = "\nauth = \"aws\"\nregion = \"eu-west-1\"\n";
        for (keys, line, words) in [
            (
                "username = \"x\"\npassword = \"y\"\nbearer_token = \"z\"\n",
                5,
                ["a user and a `bearer_token`", "leave one"],
            ),
            ("api_key = \"x\"\nbearer_token_file = \"z\"\n", 4, ["an `api_key` and a `bearer_token`", "leave one"]),
            ("auth = \"aws\"\napi_key = \"x\"\n", 3, ["an `api_key` and `auth = \"aws\"`", "leave one"]),
            (
                "bearer_token = \"x\"\nbearer_token_file = \"z\"\n",
                4,
                ["`bearer_token` and `bearer_token_file`", "leave one"],
            ),
            ("client_certificate = \"/c\"\n", 3, ["no `client_key`", "add `client_key`"]),
            ("client_key = \"/c\"\n", 3, ["no `client_certificate`", "add"]),
            ("profile = \"p\"\n", 3, ["`profile`", "means nothing without `auth = \"aws\"`"]),
            ("secret_access_key = \"p\"\n", 3, ["`secret_access_key`", "means nothing without"]),
            ("auth = \"aws\"\naccess_key_id = \"p\"\n", 4, ["no `secret_access_key`", "usual chain"]),
            ("auth = \"aws\"\nsession_token = \"p\"\n", 4, ["no `access_key_id`", "usual chain"]),
            (
                "auth = \"aws\"\naccess_key_id = \"p\"\nsecret_access_key = \"s\"\nprofile = \"q\"\n",
                6,
                ["keys of its own and a `profile`", "leave one"],
            ),
            ("auth = \"aws\"\nregion = \"eu west\"\n", 4, ["no name of a region", "eu-west-1"]),
            ("auth = \"kerberos\"\n", 3, ["`auth`", "\"aws\""]),
            ("password_file = \"p\"\n", 3, ["no `username`", "add `username`"]),
        ] {
            let error = load(&format!("[elastic.a]\nurl = \"https://es\"\n{keys}"), &[]).expect_err(keys);
            let said = format!("{error}\n{}", error.advice().unwrap_or_default());
            assert!(said.contains(&format!("line {line}")), "{keys}: {said}");
            assert!(words.iter().all(|word| said.contains(word)), "{keys}: {said}");
        }
        let domain = "https://search-m-x.us-east-1.es.amazonaws.com";
        let error = load(&format!("[elastic.a]\nurl = \"{domain}\"{long}"), &[]).expect_err("another region");
        assert!(error.to_string().contains("its host is in `us-east-1`"), "{error}");
    }

    #[test]
    fn each_address_is_checked() {
        for url in [
            "[\"https://one\", \"http://two.example.com\"]",
            "\"https://one,ftp://two\"",
            "[\"https://one\", 2]",
            "[]",
            "\",\"",
        ] {
            load(&format!("[elastic.a]\nurl = {url}\n"), &[]).expect_err(url);
        }
    }
}
