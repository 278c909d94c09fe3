//! Choosing repositories by name and pattern, as Elasticsearch's own listing does it.
//!
//! Nothing, `_all` and `*` mean all. Entries are separated by commas. `-pattern` takes away, once an entry with `*` has come; before
//! that it is a name. A name that is not there is an error, a pattern that matches nothing is not. It is done here and not by the
//! cluster because exclusions came with 7.16, and a path of many names has a limit.

use std::collections::BTreeSet;

use super::settings::Repository;
use crate::elastic::selection::{matches, quoted};
use crate::error::{Error, ErrorKind, Result};

/// Those that the patterns mean, in the order of their names.
pub(super) fn choose(all: Vec<Repository>, patterns: &[String], place: &str) -> Result<Vec<Repository>> {
    let entries: Vec<&str> =
        patterns.iter().flat_map(|entry| entry.split(',')).map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.is_empty() || entries == ["_all"] || entries == ["*"] {
        return Ok(all);
    }
    let (mut wanted, mut unwanted, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_pattern_seen = false;
    for entry in entries {
        if let Some(rest) = entry.strip_prefix('-').filter(|rest| is_pattern_seen && !rest.is_empty()) {
            unwanted.push(rest);
            continue;
        }
        let entry = if entry == "_all" { "*" } else { entry };
        is_pattern_seen |= entry.contains('*');
        if !entry.contains('*') && !all.iter().any(|there| there.name == entry) {
            missing.push(entry);
        }
        wanted.push(entry);
    }
    if !missing.is_empty() {
        let names: BTreeSet<&str> = all.iter().map(|there| there.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let error = Error::new(ErrorKind::NotFound, format!("list the repositories of `{place}`"))
            .because(format!("{} is not registered", quoted(&missing)));
        return Err(if names.is_empty() { error } else { error.hint(format!("registered: {}", quoted(&names))) });
    }
    let any = |patterns: &[&str], name: &str| patterns.iter().any(|pattern| matches(pattern, name));
    Ok(all.into_iter().filter(|there| any(&wanted, &there.name) && !any(&unwanted, &there.name)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::settings::describe;
    use super::*;

    fn chosen(patterns: &[&str]) -> Result<Vec<String>> {
        let all = ["a-backup", "other", "repo-1", "repo-2"];
        let all = all.map(|name| describe(name.into(), &json!({ "type": "fs" }))).to_vec();
        let patterns: Vec<String> = patterns.iter().map(|&entry| entry.to_owned()).collect();
        Ok(choose(all, &patterns, "c")?.into_iter().map(|there| there.name).collect())
    }

    #[test]
    fn patterns_are_those_of_elasticsearch() {
        assert_eq!(chosen(&[]).unwrap().len(), 4);
        assert_eq!(chosen(&["_all"]).unwrap().len(), 4);
        assert_eq!(chosen(&["repo*,*backup*"]).unwrap(), ["a-backup", "repo-1", "repo-2"]);
        assert_eq!(chosen(&["repo*", "-*2"]).unwrap(), ["repo-1"]);
        assert_eq!(chosen(&["_all,-other"]).unwrap(), ["a-backup", "repo-1", "repo-2"]);
        assert_eq!(chosen(&["other"]).unwrap(), ["other"]);
        assert_eq!(chosen(&["nosuch*"]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error() {
        for patterns in [&["nosuch"][..], &["repo*,nosuch"], &["-other"]] {
            let error = chosen(patterns).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.advice().unwrap().contains("`repo-1`"));
        }
    }
}
