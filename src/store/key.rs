//! Names: a [`Key`] inside a location, a [`Location`] that a user names. Parsed once, at the border.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The name of an object, relative to its location. Never empty; otherwise any UTF-8, byte for byte as the store has it.
///
/// Keys order by their bytes, which is the order S3 and OSS list in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Arc<str>);

impl Key {
    /// Takes a name as it is. An empty one names the location itself and is refused.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "use an empty key").because("a key has at least one character"));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Key {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.as_str().to_owned()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Control characters in a key must not reach a terminal.
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// What kind of place a location is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// A directory of this machine: `file:///absolute/path`.
    File,
    /// A bucket of Amazon S3 or of a server that speaks its protocol: `s3://bucket/prefix`.
    S3,
    /// A bucket of Alibaba Cloud OSS: `oss://bucket/prefix`.
    Oss,
    /// A bucket of QingStor: `qingstor://bucket/prefix`.
    Qingstor,
}

impl Scheme {
    /// As written before `://`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::S3 => "s3",
            Self::Oss => "oss",
            Self::Qingstor => "qingstor",
        }
    }
}

/// The schemes a user may write, for messages.
pub const SCHEMES: &str =
    "`s3://bucket/prefix`, `oss://bucket/prefix`, `qingstor://bucket/prefix`, `file:///absolute/path`";

/// A place that objects are in: `scheme://bucket/prefix`. The only way a user names one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Location {
    scheme: Scheme,
    bucket: String,
    prefix: String,
}

impl Location {
    /// Reads a location as a user writes it. Nothing in it is percent-decoded.
    ///
    /// Refused: an unknown scheme, no bucket, a relative path, and anything that looks like a secret in a URL.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |cause: String| {
            // The text itself may hold the secret that it is refused for.
            let shown = text.split(['?', '@']).next().filter(|_| !text.contains('@')).unwrap_or("…");
            Error::new(ErrorKind::Invalid, format!("use the location `{shown}`")).because(cause)
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(
                invalid("it has no scheme".into()).hint(format!("write {SCHEMES}, or the name of a configured store"))
            );
        };
        if secret_in(rest) {
            return Err(invalid("a URL is no place for a secret".into())
                .hint("put keys into `[store.<name>]` as `…_file`, or into the environment"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let scheme = match scheme {
            "file" => {
                if !authority.is_empty() && authority != "localhost" {
                    return Err(invalid("a file location has three slashes and an absolute path".into())
                        .hint(format!("write `file:///{rest}`")));
                }
                Scheme::File
            }
            "s3" => Scheme::S3,
            "oss" => Scheme::Oss,
            "qingstor" => Scheme::Qingstor,
            other => {
                return Err(invalid(format!("`{other}` is no scheme it can have")).hint(format!("write {SCHEMES}")));
            }
        };
        let bucket = if scheme == Scheme::File { "" } else { authority };
        if scheme != Scheme::File && bucket.is_empty() {
            return Err(invalid("it names no bucket".into()).hint(format!("write `{}://bucket/prefix`", scheme.word())));
        }
        if bucket.contains(':') {
            return Err(invalid("a bucket has no port".into())
                .hint("set `endpoint` in `[store.<name>]` and name only the bucket in `url`"));
        }
        let prefix = path.trim_end_matches('/');
        if scheme == Scheme::File && prefix.is_empty() {
            return Err(invalid("it names no directory".into()).hint("write `file:///absolute/path`"));
        }
        Ok(Self { scheme, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The location `path` below this one; an empty path is this one.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        let path = path.trim_matches('/');
        let prefix = match (self.prefix.is_empty(), path.is_empty()) {
            (_, true) => self.prefix.clone(),
            (true, false) => path.to_owned(),
            (false, false) => format!("{}/{path}", self.prefix),
        };
        Self { prefix, ..self.clone() }
    }

    /// What kind of place it is.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The bucket; empty for a directory.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What every key of the location begins with, without the slash that follows it.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name that `key` has in the bucket.
    #[must_use]
    pub fn full_key(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) }
    }

    /// The directory of a `file` location.
    #[must_use]
    pub fn directory(&self) -> std::path::PathBuf {
        std::path::Path::new("/").join(&self.prefix)
    }

    /// Whether this location is the other one or lies inside it, both being in the same store.
    #[must_use]
    pub fn is_inside(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.bucket == other.bucket
            && (other.prefix.is_empty()
                || self.prefix == other.prefix
                || self.prefix.strip_prefix(&other.prefix).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// `user:password@`, or a query with a word that names a credential.
fn secret_in(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let query = rest.split_once('?').map(|(_, query)| query.to_ascii_lowercase()).unwrap_or_default();
    authority.contains('@')
        || ["key=", "key_id=", "secret=", "token=", "signature=", "password=", "credential="]
            .iter()
            .any(|word| query.contains(word))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.word(), self.bucket)?;
        if self.scheme == Scheme::File || !self.prefix.is_empty() { write!(f, "/{}", self.prefix) } else { Ok(()) }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Location {
        Location::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_location_prints_as_it_is_written() {
        for text in ["s3://bucket", "s3://bucket/a/b", "file:///var/data", "s3://bucket/a//b"] {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse("s3://bucket/a/").to_string(), "s3://bucket/a");
        assert_eq!(parse("file:///var/data").directory(), std::path::Path::new("/var/data"));
    }

    #[test]
    fn what_is_no_location_is_refused_with_a_hint() {
        for text in ["bucket/a", "ftp://x/y", "s3://", "s3:///a", "file://relative/path", "file:///", "s3://b:9000/x"] {
            let error = Location::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
            assert!(error.advice().is_some(), "{text}");
        }
    }

    #[test]
    fn a_secret_in_a_url_is_refused_and_not_repeated() {
        for text in ["s3://AKIA:hunter2@bucket/x", "s3://bucket/x?secret=hunter2", "s3://b/x?X-Amz-Signature=hunter2"] {
            let error = Location::parse(text).expect_err(text);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn inside_counts_whole_segments() {
        assert!(parse("s3://b/a/c").is_inside(&parse("s3://b/a")));
        assert!(parse("s3://b/a").is_inside(&parse("s3://b/a")));
        assert!(parse("s3://b/a").is_inside(&parse("s3://b")));
        assert!(!parse("s3://b/ab").is_inside(&parse("s3://b/a")));
        assert!(!parse("s3://b/a").is_inside(&parse("s3://c/a")));
    }

    #[test]
    fn a_control_character_is_shown_escaped() {
        assert_eq!(Key::new("a\u{1b}[31m").expect("not empty").to_string(), "a\\u{1b}[31m");
    }
}
