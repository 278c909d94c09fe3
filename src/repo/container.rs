//! Where the shards of an index lie: below `indices/`, or where OpenSearch puts them by a hash (`shard_path_type`).
//!
//! | type | container of a shard, from the bucket on |
//! |---|---|
//! | 0, fixed | `<base>/indices/<id>/<shard>/` |
//! | 1, hashed prefix | `<hash>/<base>/indices/<id>/<shard>/`: outside the base path |
//! | 2, hashed infix | `<base>/<hash>/indices/<id>/<shard>/` |
//!
//! The hash is FNV-1a of `<shard><id>` and does not depend on the base path, so that a copy to another base path moves `HASH/OLD/…` to
//! `HASH/NEW/…`. It may have a prefix that the cluster was configured with; what the repository itself says of its paths
//! (`snapshot_shard_paths/`) goes before what is computed. Measured on OpenSearch 2.19.6, 3.6.0 and 3.8.0.

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};

/// How the containers of an index are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathType {
    /// Below `indices/`.
    #[default]
    Fixed,
    /// Beside the base path.
    HashedPrefix,
    /// Below the base path.
    HashedInfix,
}

impl PathType {
    /// The type of that number, as the root writes it.
    pub fn new(number: i64) -> Result<Self> {
        match number {
            0 => Ok(Self::Fixed),
            1 => Ok(Self::HashedPrefix),
            2 => Ok(Self::HashedInfix),
            other => Err(Error::new(ErrorKind::Unsupported, "find the shards of this repository")
                .because(format!("its root says `shard_path_type` {other}, which is not known here"))
                .hint("it was written by a newer OpenSearch: use a newer snapferry")),
        }
    }
}

/// Where the shards of one index lie.
#[derive(Debug, Clone)]
pub struct Containers {
    path_type: PathType,
    id: String,
    /// What the cluster was configured to put before every hash.
    prefix: String,
}

impl Containers {
    /// The containers of an index below `indices/`.
    #[must_use]
    pub fn fixed(id: &str) -> Self {
        Self { path_type: PathType::Fixed, id: id.to_owned(), prefix: String::new() }
    }

    /// The containers of an index; `paths` is what its file in `snapshot_shard_paths/` lists, if there is one.
    pub fn new(path_type: PathType, id: &str, paths: Option<&ShardPaths>) -> Result<Self> {
        let mut containers = Self { path_type, id: id.to_owned(), prefix: String::new() };
        let Some(paths) = paths.filter(|_| path_type != PathType::Fixed) else { return Ok(containers) };
        for (shard, path) in (0u32..).zip(&paths.paths) {
            let tail = format!("/indices/{id}/{shard}/");
            let hash = hash(&format!("{shard}{id}"));
            let prefix = path.strip_suffix(&tail).and_then(|head| match path_type {
                PathType::HashedInfix => head.rsplit('/').next().and_then(|name| name.strip_suffix(&hash)),
                _ => head.split('/').next().and_then(|name| name.strip_suffix(&hash)).or_else(|| {
                    // `<hash>/indices/…` where the base path is empty.
                    head.strip_suffix(&hash)
                }),
            });
            let Some(prefix) = prefix else {
                return Err(Error::new(ErrorKind::Unsupported, format!("find the shards of the index `{id}`"))
                    .because(format!(
                        "its shard {shard} lies at `{}`, which follows no known rule",
                        path.escape_default()
                    ))
                    .hint("it was written by another OpenSearch than those known here: use a newer snapferry"));
            };
            prefix.clone_into(&mut containers.prefix);
        }
        Ok(containers)
    }

    /// The container of a shard, from the bucket on, for a repository at `base` (empty, or with a `/` at its end).
    #[must_use]
    pub fn of(&self, base: &str, shard: u32) -> String {
        let Self { id, prefix, .. } = self;
        let hash = || hash(&format!("{shard}{id}"));
        match self.path_type {
            PathType::Fixed => format!("{base}indices/{id}/{shard}/"),
            PathType::HashedPrefix => format!("{prefix}{}/{base}indices/{id}/{shard}/", hash()),
            PathType::HashedInfix => format!("{base}{prefix}{}/indices/{id}/{shard}/", hash()),
        }
    }
}

/// A file in `snapshot_shard_paths/`: where the shards of an index lie. It is plain JSON, and a snapshot does not fail if it cannot be
/// written.
#[derive(Debug, Clone, Deserialize)]
pub struct ShardPaths {
    /// The index's id in the repository.
    #[serde(rename = "indexId")]
    pub index_id: String,
    /// The container of each shard, from the bucket on.
    #[serde(default)]
    pub paths: Vec<String>,
}

impl ShardPaths {
    /// Reads such a file; `name` is its key.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("read `{name}`"))
                .because(format!("it does not list where the shards of an index lie: {error}"))
        })
    }
}

/// FNV-1a of 64 bits, written as one character of URL-safe Base64 (its six highest bits) and the next fourteen bits as digits.
fn hash(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let letter = LETTERS[usize::try_from(value >> 58).expect("six bits")];
    format!("{}{:014b}", char::from(letter), value >> 44 & 0x3fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "29aJWNWpTNuUgdj81Wmj_g";

    fn paths(list: &[&str]) -> ShardPaths {
        ShardPaths { index_id: ID.to_owned(), paths: list.iter().map(|path| (*path).to_owned()).collect() }
    }

    #[test]
    fn the_hash_is_that_of_opensearch() {
        // From a repository that OpenSearch 3.6.0 wrote.
        let containers = Containers::new(PathType::HashedPrefix, ID, None).expect("known");
        assert_eq!(containers.of("", 0), format!("H10011110001100/indices/{ID}/0/"));
        assert_eq!(containers.of("new/base/", 1), format!("v00101111111000/new/base/indices/{ID}/1/"));
        let infix = Containers::new(PathType::HashedInfix, ID, None).expect("known");
        assert_eq!(infix.of("base/", 1), format!("base/v00101111111000/indices/{ID}/1/"));
        assert_eq!(Containers::fixed(ID).of("base/", 7), format!("base/indices/{ID}/7/"));
    }

    #[test]
    fn a_prefix_before_the_hash_is_learnt_from_the_paths() {
        for (base, path) in [("", "H10011110001100/"), ("a/b/", "H10011110001100/a/b/")] {
            let listed = paths(&[&format!("cold-{path}indices/{ID}/0/")]);
            let containers = Containers::new(PathType::HashedPrefix, ID, Some(&listed)).expect("it follows the rule");
            assert_eq!(containers.of(base, 0), listed.paths[0]);
        }
        let listed = paths(&[&format!("a/b/cold-H10011110001100/indices/{ID}/0/")]);
        let containers = Containers::new(PathType::HashedInfix, ID, Some(&listed)).expect("it follows the rule");
        assert_eq!(containers.of("x/", 0), format!("x/cold-H10011110001100/indices/{ID}/0/"));
        for other in ["elsewhere/0/", "", &format!("X10011110001100/indices/{ID}/0/")] {
            let error = Containers::new(PathType::HashedPrefix, ID, Some(&paths(&[other]))).expect_err("no rule");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
}
