//! Whether two locations of type `fs` are one directory: one may be written relative to `path.repo`, the other in full.
//!
//! A node resolves a relative location against the first entry of its `path.repo`. Where the nodes tell that, it is compared;
//! where they do not, the end of the path decides, and a note says so.

use serde_json::Value;

use super::settings::Repository;
use crate::elastic::client::Client;
use crate::elastic::request::Request;
use crate::error::Result;

const LOCATION: &str = "location";

/// Writes the location of `there` as `wanted` has it, if both are the same directory. Returns what is not certain about that.
pub(super) async fn align(client: &Client, there: &mut Repository, wanted: &Repository) -> Result<Option<String>> {
    let (Some(own), Some(other)) = (there.settings.get(LOCATION), wanted.settings.get(LOCATION)) else {
        return Ok(None);
    };
    if there.kind != "fs" || own.starts_with('/') == other.starts_with('/') {
        return Ok(None);
    }
    let (full, relative) = if own.starts_with('/') { (own, other) } else { (other, own) };
    let root = root(client).await?;
    let (is_same, note) = match &root {
        Some(root) => (plain(full) == plain(&format!("{root}/{relative}")), None),
        None => (
            format!("/{}", plain(full)).ends_with(&format!("/{}", plain(relative))),
            Some(format!(
                "`{full}` is taken for the `{relative}` of the repository `{}`: the cluster does not tell its `path.repo`",
                there.name
            )),
        ),
    };
    if is_same {
        let other = other.clone();
        there.settings.insert(LOCATION.to_owned(), other);
    }
    Ok(note.filter(|_| is_same))
}

/// A path without what does not change which one it is.
fn plain(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

/// The first entry of `path.repo`, if the nodes tell it and agree.
async fn root(client: &Client) -> Result<Option<String>> {
    let request = Request::get("look up `path.repo`", &["_nodes", "settings"]);
    match client.try_call(request.query("filter_path", "nodes.*.settings.path.repo")).await {
        Ok(answer) => Ok(first(&answer)),
        // A user may register without being allowed to look at the nodes; services close the path.
        Err(refusal) if refusal.failure.is_some() => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

fn first(answer: &Value) -> Option<String> {
    let mut roots: Vec<&str> = answer["nodes"]
        .as_object()?
        .values()
        .filter_map(|node| {
            let repo = &node["settings"]["path"]["repo"];
            repo.as_str().and_then(|list| list.split(',').next()).or_else(|| repo[0].as_str()).map(str::trim)
        })
        .collect();
    roots.sort_unstable();
    roots.dedup();
    match roots[..] {
        [root] => Some(root.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_root_is_told_as_text_or_list_and_only_where_nodes_agree() {
        let nodes = |one: Value, two: Value| {
            first(&json!({ "nodes": { "1": { "settings": { "path": { "repo": one } } },
                "2": { "settings": { "path": { "repo": two } } } } }))
        };
        assert_eq!(nodes(json!(["/a", "/b"]), json!("/a, /c")).as_deref(), Some("/a"));
        assert_eq!(nodes(json!(["/a"]), json!(["/b"])), None);
        assert_eq!(first(&json!({})), None);
    }

    #[test]
    fn a_path_is_the_same_with_more_slashes() {
        assert_eq!(plain("/repo//./w/"), "repo/w");
    }
}
