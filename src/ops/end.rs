//! The two ends of a copy, and that they must be two.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::store::{Location, Meter, ObjectStore, Scheme};

/// One end of a copy: a location with its open store.
#[derive(Debug, Clone)]
pub struct End {
    /// The location, as messages and results show it.
    pub location: Location,
    /// The server it is at, if not the scheme's own.
    pub endpoint: Option<String>,
    /// The store, without retries.
    pub store: Arc<dyn ObjectStore>,
    /// The requests sent to it.
    pub meter: Arc<Meter>,
}

/// Refuses places that are one, or one inside the other, each given with its endpoint. Looks at names only, except that
/// directories are compared by where they really are.
pub fn must_be_apart(from: (&Location, Option<&str>), to: (&Location, Option<&str>)) -> Result<()> {
    let place = |location: &Location| {
        let real = (location.scheme() == Scheme::File).then(|| real_directory(&location.directory()));
        let named = real.and_then(|path| Location::parse(&format!("file://{}", path.display())).ok());
        named.unwrap_or_else(|| location.clone())
    };
    let (source, target) = (place(from.0), place(to.0));
    if server(from.1) != server(to.1) || !(source.is_inside(&target) || target.is_inside(&source)) {
        return Ok(());
    }
    let relation = if source == target { "they are the same place" } else { "one lies inside the other" };
    Err(Error::new(ErrorKind::Invalid, format!("copy `{}` to `{}`", from.0, to.0))
        .because(relation)
        .hint("name a target outside the source"))
}

/// An endpoint in one writing: two that differ only in it are one server.
fn server(endpoint: Option<&str>) -> Option<String> {
    let text = endpoint?.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", &text));
    let usual = if scheme == "http" { ":80" } else { ":443" };
    let rest = rest.strip_suffix(usual).unwrap_or(rest);
    let here = ["localhost", "127.0.0.1", "[::1]"];
    let host = here.into_iter().find(|name| rest == *name || rest.starts_with(&format!("{name}:")));
    Some(host.map_or_else(|| rest.to_owned(), |name| format!("localhost{}", &rest[name.len()..])))
}

/// Where a path really is: links resolved in the part of it that exists.
fn real_directory(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_under_two_names_is_one() {
        let apart = |one: Option<&str>, other: Option<&str>| {
            let location = Location::parse("s3://bucket/a").expect("valid");
            must_be_apart((&location, one), (&location, other)).is_ok()
        };
        assert!(!apart(Some("http://localhost:9000"), Some("http://127.0.0.1:9000/")));
        assert!(!apart(Some("https://S3.example.com"), Some("https://s3.example.com:443")));
        assert!(apart(Some("http://localhost:9000"), Some("http://localhost:9001")));
        assert!(apart(None, Some("https://s3.example.com")));
    }
}
