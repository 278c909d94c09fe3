//! Names that go into requests: one concrete thing each, never a pattern.
//!
//! The server decodes a path before it looks for lists and wildcards, so encoding alone does not keep `DELETE _snapshot/*`
//! from meaning everything. Patterns the user may write are the business of `selection`.

use crate::error::{Error, ErrorKind, Result};

/// What the interface takes as syntax, or forbids, in names of any kind (`elasticsearch-api.md` 2.1, 2.3, 4.3).
const FORBIDDEN: [char; 11] = ['\\', '/', '*', '?', '"', '<', '>', '|', ',', '#', ' '];

/// Index names are file names on the nodes; longer ones are refused there.
const INDEX_LENGTH: usize = 255;

/// Refuses a name that is empty, a list, a pattern, or a word of the interface. `noun` says what it names.
pub(super) fn check(noun: &str, name: &str) -> Result<()> {
    let wrong =
        |cause: String| Err(Error::new(ErrorKind::Invalid, format!("use `{name}` as a {noun} name")).because(cause));
    if name.is_empty() {
        return wrong("it is empty".into());
    }
    if let Some(character) = name.chars().find(|character| FORBIDDEN.contains(character) || character.is_control()) {
        return wrong(format!("`{}` is not allowed in it", character.escape_default()));
    }
    if name.starts_with(['_', '-', '+']) && noun != "repository" || name == "_all" || name == "." || name == ".." {
        return wrong("Elasticsearch keeps such names for itself".into());
    }
    Ok(())
}

/// Refuses a name that no new index may have.
pub(super) fn check_new_index(name: &str) -> Result<()> {
    check("index", name)?;
    let wrong = |cause: &'static str| {
        Err(Error::new(ErrorKind::Invalid, format!("use `{name}` as an index name"))
            .because(cause)
            .hint("change the rename rule"))
    };
    if name.len() > INDEX_LENGTH {
        return wrong("it is longer than 255 bytes");
    }
    if name.contains(':') {
        return wrong("`:` is not allowed in it");
    }
    if name != name.to_lowercase() {
        return wrong("it must be lower case");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_or_a_list_is_no_name() {
        for name in ["*", "a,b", "", "a/b", "_all", "a b", "<now>", ".."] {
            assert_eq!(check("repository", name).unwrap_err().kind(), ErrorKind::Invalid, "{name}");
        }
        check("repository", "eric-snapshot-repository").unwrap();
        check("snapshot", "snapshot_movies_1").unwrap();
        check("index", ".ds-logs-2024.01.01-000001").unwrap();
    }

    #[test]
    fn a_new_index_is_lower_case_and_short() {
        check_new_index("movies").unwrap();
        assert!(check_new_index("Movies").unwrap_err().to_string().contains("lower case"));
        assert!(check_new_index(&"x".repeat(256)).is_err());
    }
}
