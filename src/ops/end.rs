//! The two ends of a copy, and that they must be two.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt as _;
use futures::future::BoxFuture;

use crate::error::{Error, ErrorKind, Result};
use crate::repo::{Base, PathType, RootIndex, ShardPaths};
use crate::store::{ListOptions, Location, Meter, ObjectStore, Scheme};

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
    /// Opens the same store at another location, in the same way.
    pub reopen: Option<Reopen>,
}

/// Opens a store at another location, in the way in which another one was opened.
#[derive(Clone)]
pub struct Reopen(Arc<dyn Fn(Location) -> Reopened + Send + Sync>);

/// A store that is being opened.
type Reopened = BoxFuture<'static, Result<Arc<dyn ObjectStore>>>;

impl Reopen {
    /// Opens stores by `open`.
    pub fn new(open: impl Fn(Location) -> Reopened + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }
}

impl fmt::Debug for Reopen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reopen")
    }
}

impl End {
    /// One end of a copy.
    #[must_use]
    pub fn new(location: Location, endpoint: Option<String>, store: Arc<dyn ObjectStore>, meter: Arc<Meter>) -> Self {
        Self { location, endpoint, store, meter, reopen: None }
    }

    /// Where the repository here lies that has this root: at the location, or, if shards lie beside its base path, from the bucket on.
    pub async fn base(&self, root: &RootIndex) -> Result<Base> {
        if !root.indices.values().any(|index| matches!(index.path_type(), Ok(PathType::HashedPrefix))) {
            return Ok(Base::at_root(self.store.clone()));
        }
        match self.location.scheme() {
            Scheme::File => {
                let base = self.listed_base(root).await?;
                self.base_below(&base).await
            }
            _ => self.base_from_bucket().await,
        }
    }

    /// Where a repository that is copied here lies if its shards lie beside its base path. A directory is taken for the whole store, as
    /// a repository of type `fs` takes its `location`.
    pub async fn base_from_bucket(&self) -> Result<Base> {
        match self.location.scheme() {
            Scheme::File => Ok(Base::at_root(self.store.clone())),
            _ => self.base_below(&self.location.full_key("")).await,
        }
    }

    /// The store from above `base` on, which is the end of its location.
    async fn base_below(&self, base: &str) -> Result<Base> {
        let (Some(Reopen(reopen)), false) = (&self.reopen, base.is_empty()) else {
            return Ok(Base::at_root(self.store.clone()));
        };
        let location = match self.location.scheme() {
            Scheme::File => {
                let directory = self.location.directory().display().to_string();
                let above = directory.strip_suffix(base.trim_end_matches('/')).ok_or_else(|| {
                    Error::new(ErrorKind::Invalid, format!("read the repository at `{}`", self.location))
                        .because(format!(
                            "its shards lie beside its base path, which is `{base}`, and the location does not end so"
                        ))
                        .hint("name the directory by that path: `file:///<location of the repository>/<base_path>`")
                })?;
                Location::parse(&format!("file://{above}"))?
            }
            scheme => Location::parse(&format!("{}://{}", scheme.word(), self.location.bucket()))?,
        };
        Ok(Base { store: reopen(location).await?, path: base.to_owned() })
    }

    /// The base path as the repository's own list of paths has it; empty if it has no such list.
    async fn listed_base(&self, root: &RootIndex) -> Result<String> {
        let mut pages = self.store.list(ListOptions { prefix: "snapshot_shard_paths/".to_owned(), after: None });
        while let Some(page) = pages.try_next().await? {
            for meta in page {
                let bytes = Base::at_root(self.store.clone()).read_key(&meta.key, 16 * 1024 * 1024).await?;
                // One of them is enough; what is wrong with another is for `verify` to tell.
                let Ok(paths) = ShardPaths::parse(meta.key.as_str(), &bytes) else { continue };
                let known = root.indices.values().any(|index| {
                    index.id.as_str() == paths.index_id && matches!(index.path_type(), Ok(PathType::HashedPrefix))
                });
                let tail = format!("indices/{}/0/", paths.index_id);
                if let Some((_, base)) =
                    paths.paths.first().and_then(|path| path.strip_suffix(&tail)?.split_once('/')).filter(|_| known)
                {
                    return Ok(base.to_owned());
                }
            }
        }
        Ok(String::new())
    }
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
