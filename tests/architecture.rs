//! Rooms look down: who may import whom, read from the source with `syn`. The rule is in ARCHITECTURE.md.
//!
//! What it does not see: paths made by macros, and names that travel through a re-export. Both would show in review.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// What each room may name of the crate. A room may always name itself.
const MAY_IMPORT: [(&str, &[&str]); 11] = [
    ("error", &[]),
    ("event", &["error"]),
    ("secret", &[]),
    ("wire", &["error", "event", "secret"]),
    ("store", &["error", "event", "secret", "wire"]),
    ("elastic", &["error", "event", "secret", "wire"]),
    ("transfer", &["error", "event", "secret", "store"]),
    ("repo", &["error", "event", "secret", "store", "transfer"]),
    ("ops", &["error", "event", "secret", "wire", "store", "transfer", "repo", "elastic"]),
    ("config", &["error", "event", "secret", "wire", "store", "transfer", "repo", "elastic", "ops"]),
    ("cli", &["error", "event", "secret", "wire", "store", "transfer", "repo", "elastic", "ops", "config"]),
];

/// Crates that belong to one room.
const OWNED: [(&str, &[&str]); 12] = [
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("tracing_subscriber", &["cli"]),
    ("toml", &["config"]),
    ("strsim", &["config"]),
    ("hyper", &["wire"]),
    ("hyper_util", &["wire"]),
    ("tokio_rustls", &["wire"]),
    ("rustls", &["wire"]),
    ("aws_sdk_s3", &["store"]),
    ("aws_config", &["store"]),
    ("cap_std", &["store"]),
];

/// A path found in a file: its first segments.
struct Paths {
    found: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.found.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {
        // `pub(in crate::cli)` says who may see, not who is seen.
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test")
        });
        if !is_test {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

impl Paths {
    fn tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(item, before)),
            syn::UseTree::Name(name) => self.leaf(before, &name.ident),
            syn::UseTree::Rename(rename) => self.leaf(before, &rename.ident),
            syn::UseTree::Glob(_) => self.found.push(before.clone()),
        }
    }

    fn leaf(&mut self, before: &[String], ident: &syn::Ident) {
        self.found.push(before.iter().cloned().chain([ident.to_string()]).collect());
    }
}

fn paths(text: &str) -> Vec<Vec<String>> {
    let mut paths = Paths { found: Vec::new() };
    paths.visit_file(&syn::parse_file(text).expect("the source parses"));
    paths.found
}

/// The complaints about one file of `room`, which lies `depth` folders below the crate's root.
fn complaints(room: &str, depth: usize, text: &str) -> BTreeSet<String> {
    let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, rooms)| rooms);
    let rooms: BTreeSet<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    let mut found = BTreeSet::new();
    for path in paths(text) {
        let first = path.first().map(String::as_str).unwrap_or_default();
        let second = path.get(1).map(String::as_str).unwrap_or_default();
        if first == "crate" && second != room && !allowed.contains(&second) {
            let what = if rooms.contains(second) { "the room" } else { "the unknown name" };
            found.insert(format!("imports {what} `crate::{second}`"));
        }
        let ups = path.iter().take_while(|segment| *segment == "super").count();
        if ups > 0 && ups >= depth {
            found.insert(format!("leaves its room by `{}`", path.join("::")));
        }
        if let Some((_, owners)) = OWNED.iter().find(|(name, _)| *name == first)
            && !owners.contains(&room)
        {
            found.insert(format!("uses the crate `{first}`"));
        }
    }
    found
}

fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut open) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                found.insert(path.strip_prefix(&root).expect("below").to_owned(), text);
            }
        }
    }
    found
}

/// The room of a file and how many modules lie between it and the crate's root.
fn place(path: &Path) -> (String, usize) {
    let parts: Vec<String> = path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let depth = if parts.last().is_some_and(|last| last == "mod") { parts.len() - 1 } else { parts.len() };
    (parts[0].clone(), depth)
}

#[test]
fn rooms_look_down() {
    let mut all = Vec::new();
    for (path, text) in sources() {
        let (room, depth) = place(&path);
        if room == "lib" || room == "main" {
            continue;
        }
        all.extend(
            complaints(&room, depth, &text).into_iter().map(|complaint| format!("{}: {complaint}", path.display())),
        );
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn main_names_only_cli() {
    let text = &sources()[Path::new("main.rs")];
    for path in paths(text).iter().filter(|path| path[0] == "snapferry") {
        assert_eq!(path[1], "cli");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} opens with something else than `//! `", path.display());
    }
}

#[test]
fn only_the_output_room_prints() {
    for (path, text) in sources() {
        if path.starts_with("cli/output") {
            continue;
        }
        for word in ["stdout()", "println!", "eprint", "print!("] {
            let allowed = word == "eprint" && text.contains("with_writer(std::io::stderr)");
            assert!(allowed || !text.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn no_file_has_two_nouns() {
    for (path, text) in sources() {
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        assert!(lines <= 400, "{} has {lines} lines before its tests", path.display());
    }
}

#[test]
fn the_rule_catches_what_it_is_for() {
    let caught = |room, depth, text| !complaints(room, depth, text).is_empty();
    assert!(caught("transfer", 2, "use crate::repo::Order;"));
    assert!(caught("transfer", 2, "use crate::{error::Error, repo::Order};"));
    assert!(caught("transfer", 2, "fn f() { crate::repo::detect(); }"));
    assert!(caught("transfer", 2, "fn f(x: crate::ops::End) {}"));
    assert!(caught("transfer", 1, "use super::repo;"));
    assert!(caught("transfer", 2, "use super::super::repo;"));
    assert!(caught("store", 3, "use clap::Parser;"));
    assert!(caught("elastic", 2, "use crate::store::Key;"));
    assert!(!caught("transfer", 2, "use super::plan; use crate::store::Key; pub(in crate::cli) fn f() {}"));
    assert!(!caught("store", 3, "use super::super::Key;"));
    assert!(!caught("transfer", 2, "#[cfg(test)] mod tests { use crate::repo; }"));
}
