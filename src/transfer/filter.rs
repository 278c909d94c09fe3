//! Which keys of the source a run is about: globs and a time floor.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use jiff::Timestamp;

use crate::error::{Error, ErrorKind, Result};
use crate::store::{Key, ObjectMeta};

/// Keys that match an include (all, if there is none), match no exclude, and are not older than the floor.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
    since: Option<Timestamp>,
}

impl Filter {
    /// Compiles globs over whole keys: `*` and `?` stay within a segment, `**` crosses `/`, `{a,b}` and `[a-z]` choose.
    pub fn new(include: &[String], exclude: &[String], since: Option<Timestamp>) -> Result<Self> {
        let include = if include.is_empty() { None } else { Some(globs("--include", include)?) };
        Ok(Self { include, exclude: globs("--exclude", exclude)?, since })
    }

    /// Whether it lets everything through.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.include.is_none() && self.exclude.is_empty() && self.since.is_none()
    }

    /// Why an object is left out; none if it is not.
    #[must_use]
    pub fn leaves_out(&self, meta: &ObjectMeta) -> Option<&'static str> {
        if !self.has_name(&meta.key) {
            return Some("filtered");
        }
        self.since.filter(|since| meta.modified < *since).map(|_| "older-than-since")
    }

    /// Whether the globs let a key through.
    #[must_use]
    pub fn has_name(&self, key: &Key) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(key.as_str()))
            && !self.exclude.is_match(key.as_str())
    }
}

fn globs(flag: &str, patterns: &[String]) -> Result<GlobSet> {
    let invalid = |pattern: &str, error: globset::Error| {
        Error::new(ErrorKind::Invalid, format!("use `{flag} {pattern}`")).because(error.kind().to_string())
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
        set.add(glob.map_err(|error| invalid(pattern, error))?);
    }
    set.build().map_err(|error| invalid("", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(include: &[&str], exclude: &[&str], key: &str) -> bool {
        let owned = |globs: &[&str]| globs.iter().map(ToString::to_string).collect::<Vec<_>>();
        let filter = Filter::new(&owned(include), &owned(exclude), None).expect("valid");
        filter.has_name(&Key::new(key).expect("not empty"))
    }

    #[test]
    fn a_star_stays_within_a_segment() {
        assert!(passes(&["*.txt"], &[], "a.txt"));
        assert!(!passes(&["*.txt"], &[], "d/a.txt"));
        assert!(passes(&["**/*.txt"], &[], "d/e/a.txt"));
        assert!(passes(&["d/**"], &["d/e/*"], "d/f"));
        assert!(!passes(&["d/**"], &["d/e/*"], "d/e/f"));
    }

    #[test]
    fn a_broken_glob_is_named() {
        let error = Filter::new(&["a[".to_owned()], &[], None).expect_err("no end of the class");
        assert!(error.to_string().contains("--include a["), "{error}");
    }
}
