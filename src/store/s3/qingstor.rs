//! QingStor as its own tools are configured: `QINGSTOR_ACCESS_KEY_ID` and its like, and `~/.qingstor/config.yaml`.
//!
//! `QINGSTOR_ENDPOINT` and the file's `host` are not read: they name the server of QingStor's own protocol, not of S3's.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::store::credentials::{Credentials, Provide};
use crate::store::surroundings::{Surroundings, read};

const ID: &str = "QINGSTOR_ACCESS_KEY_ID";
const SECRET: &str = "QINGSTOR_SECRET_ACCESS_KEY";

/// QingStor's S3-compatible endpoint in a zone (QingStor documentation, "AWS S3 compatibility").
pub(super) fn endpoint(zone: &str) -> String {
    format!("https://s3.{zone}.qingstor.com")
}

/// The zone that the environment names; several tools know this variable.
pub(super) fn zone(surroundings: &Surroundings) -> Option<String> {
    surroundings.variable("QINGSTOR_ZONE")
}

/// The keys of the environment or of the vendor's file, read again whenever they are asked for.
#[derive(Debug)]
pub(super) struct Keys(pub(super) Surroundings);

impl Keys {
    /// What tells this identity from another, as far as it is known without reading the file.
    pub(super) fn identity(&self) -> String {
        match self.0.pair(ID, SECRET) {
            Ok(Some((id, _))) => id.expose().to_owned(),
            _ => self.path().map(|path| path.display().to_string()).unwrap_or_default(),
        }
    }

    fn path(&self) -> Option<PathBuf> {
        let set = self.0.variable("QINGSTOR_CONFIG_PATH").map(PathBuf::from);
        set.or_else(|| self.0.at_home(".qingstor/config.yaml"))
    }
}

#[async_trait]
impl Provide for Keys {
    async fn provide(&self) -> Result<Credentials> {
        let keys = |access_key_id, secret_access_key| Credentials {
            access_key_id,
            secret_access_key,
            session_token: None,
            expires: None,
        };
        if let Some((id, secret)) = self.0.pair(ID, SECRET)? {
            return Ok(keys(id, secret));
        }
        let path = self.path();
        let place =
            path.as_ref().map_or_else(|| "~/.qingstor/config.yaml".to_owned(), |path| path.display().to_string());
        if let Some(path) = path
            && let Some(content) = read(&path).await?
        {
            let wrong = |what| Error::new(ErrorKind::Invalid, format!("read credentials in `{place}`")).because(what);
            let id = setting(content.expose(), "access_key_id").map_err(wrong)?;
            let secret = setting(content.expose(), "secret_access_key").map_err(wrong)?;
            match (id, secret) {
                (Some(id), Some(secret)) => return Ok(keys(id, secret)),
                (None, None) => {}
                _ => return Err(wrong("it has only one of `access_key_id` and `secret_access_key`".to_owned())),
            }
        }
        Err(Error::new(ErrorKind::Denied, "find credentials for QingStor")
            .because(format!("none were found; looked for `{ID}`, `{place}`"))
            .hint(format!("set `access_key_id` and `secret_access_key` for the store, or `{ID}` and `{SECRET}`")))
    }
}

/// A text at the top of a YAML file, plain or in quotes. Anything more clever is refused: a key read wrongly is a riddle later.
fn setting(text: &str, name: &str) -> std::result::Result<Option<Secret>, String> {
    let mut found = None;
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let Some(value) = rest.trim_start().strip_prefix(':') else { continue };
        let line = number + 1;
        if found.is_some() {
            return Err(format!("line {line} has `{name}` again"));
        }
        let value = value.trim();
        let value = value.split_once(" #").map_or(value, |(value, _)| value.trim_end());
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let plain = quoted.unwrap_or(value);
        let odd = |one: char| one.is_whitespace() || "\"'\\{}[]&*!|>%@`,#:".contains(one);
        if plain.contains(odd) || (quoted.is_none() && plain.starts_with(['-', '?'])) {
            return Err(format!("line {line}: `{name}` is no plain text in quotes"));
        }
        found = Some(Secret::new(plain));
    }
    Ok(found.filter(|value| !value.expose().is_empty() && value.expose() != "~"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = "# QingStor services configuration\n\naccess_key_id: 'ID1'\nsecret_access_key: \"secret/+=\" # mine\n\nhost: 'qingstor.com'\nport: 443\n";

    fn home(content: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(home.path().join(".qingstor")).expect("made");
        std::fs::write(home.path().join(".qingstor/config.yaml"), content).expect("written");
        home
    }

    async fn provided(variables: &[(&str, &str)], home: Option<&Path>) -> Result<(String, String)> {
        let found = Keys(Surroundings::given(variables, home)).provide().await?;
        Ok((found.access_key_id.expose().to_owned(), found.secret_access_key.expose().to_owned()))
    }

    #[tokio::test]
    async fn the_environment_comes_before_the_file() {
        let home = home(FILE);
        let both = [(ID, "E"), (SECRET, "s")];
        assert_eq!(provided(&both, Some(home.path())).await.expect("found"), ("E".into(), "s".into()));
        assert_eq!(provided(&[], Some(home.path())).await.expect("found"), ("ID1".into(), "secret/+=".into()));
        let elsewhere = home.path().join("other.yaml");
        std::fs::write(&elsewhere, "access_key_id: ID2\nsecret_access_key: s2\n").expect("written");
        let path = elsewhere.display().to_string();
        let found = provided(&[("QINGSTOR_CONFIG_PATH", &path)], Some(home.path())).await.expect("found");
        assert_eq!(found.0, "ID2");
    }

    #[tokio::test]
    async fn a_file_that_was_rewritten_is_read_again() {
        let home = home(FILE);
        let keys = Keys(Surroundings::given(&[], Some(home.path())));
        assert_eq!(keys.provide().await.expect("found").access_key_id.expose(), "ID1");
        std::fs::write(home.path().join(".qingstor/config.yaml"), FILE.replace("ID1", "ID2")).expect("written");
        assert_eq!(keys.provide().await.expect("found").access_key_id.expose(), "ID2");
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let home = tempfile::tempdir().expect("a directory");
        let error = provided(&[], Some(home.path())).await.expect_err("nothing there").to_string();
        assert!(error.contains(ID) && error.contains(".qingstor/config.yaml"), "{error}");
        let half = provided(&[(SECRET, "hunter2")], None).await.expect_err("half").to_string();
        assert!(half.contains(ID) && !half.contains("hunter2"), "{half}");
    }

    #[tokio::test]
    async fn a_file_that_is_not_plain_is_refused_without_its_secrets() {
        for wrong in [
            "access_key_id: a\naccess_key_id: b\nsecret_access_key: hunter2\n",
            "access_key_id: *id\nsecret_access_key: hunter2\n",
            "access_key_id: id\nsecret_access_key: \"hunter2\\n\"\n",
            "access_key_id: id\nsecret_access_key: >\n  hunter2\n",
            "access_key_id: id\n",
        ] {
            let home = home(wrong);
            let error = provided(&[], Some(home.path())).await.expect_err(wrong);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_name_further_in_is_another_one() {
        assert_eq!(setting("other:\n  access_key_id: a\naccess_key_id_old: b\n", "access_key_id"), Ok(None));
        assert_eq!(endpoint("pek3b"), "https://s3.pek3b.qingstor.com");
    }
}
