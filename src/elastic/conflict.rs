//! What stands in the way of a restore, and what the policy makes of it.
//!
//! Pure: from the selection, the rename rule and the names in use follow the pieces to restore, what to close first and what
//! is skipped. Nothing is sent from here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::index::Existing;
use super::name;
use super::rename::Rename;
use super::selection::{Selection, backing, quoted};
use crate::error::{Error, ErrorKind, Result};

/// What to do about names that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conflict {
    /// Restore nothing and say so.
    #[default]
    Fail,
    /// Close the index that is there and restore over it. Not atomic: when the restore fails, its data is lost.
    Close,
    /// Leave what is there and restore the rest.
    Skip,
    /// Restore beside it, under a name with a prefix.
    Rename,
    /// Restore beside it, look whether all of it is there, and let the name point to it: an alias takes the place of the index.
    Swap,
    /// Delete it and restore. There is no way back.
    Delete,
}

/// One index on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Piece {
    /// Its name in the snapshot.
    pub index: String,
    /// Its name in the cluster.
    pub target: String,
}

/// What a restore comes down to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The indices that will be there afterwards.
    pub pieces: Vec<Piece>,
    /// The names to send: indices and data streams of the snapshot.
    pub names: Vec<String>,
    /// Open indices that are closed first.
    pub close: Vec<String>,
    /// What is left as it is, by its name in the cluster.
    pub skipped: Vec<String>,
}

/// What already has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Open,
    Closed,
    Alias,
    DataStream,
}

impl Taken {
    fn of(name: &str, existing: &Existing) -> Option<Self> {
        match existing.indices.get(name) {
            Some(index) if index.is_open => Some(Self::Open),
            Some(_) => Some(Self::Closed),
            None if existing.aliases.contains_key(name) => Some(Self::Alias),
            None if existing.data_streams.contains_key(name) => Some(Self::DataStream),
            None => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Open => "an open index",
            Self::Closed => "a closed index",
            Self::Alias => "an alias",
            Self::DataStream => "a data stream",
        }
    }
}

/// Plans the restore of `selection` out of a snapshot that holds `indices`.
///
/// Fails with [`ErrorKind::AlreadyExists`] when the policy does not cover what is there, and with [`ErrorKind::Invalid`] when
/// the rename rule makes names that cannot be or that meet each other.
pub fn plan(
    selection: &Selection,
    indices: &[String],
    rename: Option<&Rename>,
    existing: &Existing,
    conflict: Conflict,
) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut refused = Vec::new();
    for index in &selection.indices {
        let target = rename.map_or_else(|| index.clone(), |rule| rule.apply(index));
        let taken = Taken::of(&target, existing);
        match (taken, conflict) {
            (None, _) | (Some(Taken::Closed), Conflict::Close) => {}
            (Some(Taken::Open), Conflict::Close) if !is_backing(&target, existing) => plan.close.push(target.clone()),
            (Some(_), Conflict::Skip) => {
                plan.skipped.push(target);
                continue;
            }
            (Some(taken), _) => refused.push((target.clone(), taken)),
        }
        plan.names.push(index.clone());
        plan.pieces.push(Piece { index: index.clone(), target });
    }
    for stream in &selection.data_streams {
        let target = rename.map_or_else(|| stream.clone(), |rule| rule.apply(stream));
        let pieces: Vec<Piece> = backing(stream, indices)
            .into_iter()
            .map(|index| Piece {
                index: index.to_owned(),
                target: rename.map_or_else(|| index.to_owned(), |rule| rule.apply_to_backing(index)),
            })
            .collect();
        if pieces.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, format!("restore the data stream `{stream}`"))
                .because("its backing indices cannot be told from the snapshot's list")
                .hint("name the indices one by one"));
        }
        let mut names = std::iter::once(&target).chain(pieces.iter().map(|piece| &piece.target));
        match names.find_map(|name| Taken::of(name, existing)) {
            Some(_) if conflict == Conflict::Skip => {
                plan.skipped.push(target);
                continue;
            }
            Some(taken) => refused.push((target, taken)),
            None => {}
        }
        plan.names.push(stream.clone());
        plan.pieces.extend(pieces);
    }
    check_refused(&refused, conflict)?;
    check_names(&plan, rename)?;
    Ok(plan)
}

fn is_backing(name: &str, existing: &Existing) -> bool {
    existing.data_streams.values().flatten().any(|index| index == name)
}

fn check_refused(refused: &[(String, Taken)], conflict: Conflict) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let names: Vec<&String> = refused.iter().map(|(name, _)| name).collect();
    let told: Vec<String> =
        refused.iter().take(10).map(|(name, taken)| format!("`{name}` is {}", taken.words())).collect();
    let hint = match conflict {
        Conflict::Close => "aliases and data streams cannot be restored over: rename, or remove them first",
        _ => "restore with `--conflict close` to overwrite or `--conflict skip` to leave them, or under other names",
    };
    Err(Error::new(ErrorKind::AlreadyExists, format!("restore {}", quoted(&names)))
        .because(format!("the target already has them: {}", told.join(", ")))
        .hint(hint))
}

/// New names must be possible, and no two pieces may get the same.
fn check_names(plan: &Plan, rename: Option<&Rename>) -> Result<()> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let closing: BTreeSet<&String> = plan.close.iter().collect();
    for piece in &plan.pieces {
        if piece.target != piece.index && !closing.contains(&piece.target) {
            name::check_new_index(&piece.target)?;
        }
        if let Some(other) = from.insert(&piece.target, &piece.index) {
            let rule = rename.map_or("", Rename::pattern);
            return Err(Error::new(ErrorKind::Invalid, format!("restore `{other}` and `{}`", piece.index))
                .because(format!("the rename rule `{rule}` calls both `{}`", piece.target))
                .hint("use a rule that keeps names apart, for example `(.+)` to `restored-$1`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::index::{self, Existing};
    use super::*;

    fn cluster() -> Existing {
        index::read(&serde_json::json!({ "metadata": {
            "indices": {
                "open": { "state": "open", "aliases": ["alias"] },
                "closed": { "state": "close" },
                ".ds-logs-2024.01.01-000001": { "state": "open" },
            },
            "data_stream": { "data_stream": { "logs": { "indices": [{ "index_name": ".ds-logs-2024.01.01-000001" }] } } },
        } }))
    }

    fn planned(names: &[&str], rename: Option<(&str, &str)>, conflict: Conflict) -> Result<Plan> {
        let selection = Selection { indices: names.iter().map(ToString::to_string).collect(), ..Selection::default() };
        let rename = rename.map(|(pattern, replacement)| Rename::new(pattern, replacement).unwrap());
        plan(&selection, &selection.indices, rename.as_ref(), &cluster(), conflict)
    }

    #[test]
    fn by_default_everything_taken_is_refused() {
        for name in ["open", "closed", "alias", "logs"] {
            let error = planned(&["free", name], None, Conflict::Fail).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert!(error.to_string().contains(&format!("`{name}` is a")), "{error}");
        }
        assert_eq!(planned(&["free"], None, Conflict::Fail).unwrap().names, ["free"]);
    }

    #[test]
    fn close_closes_what_is_open_and_never_touches_aliases_and_streams() {
        let plan = planned(&["closed", "free", "open"], None, Conflict::Close).unwrap();
        assert_eq!(plan.close, ["open"]);
        assert_eq!(plan.names, ["closed", "free", "open"]);
        for name in ["alias", "logs", ".ds-logs-2024.01.01-000001"] {
            assert_eq!(planned(&[name], None, Conflict::Close).unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
    }

    #[test]
    fn skip_leaves_what_is_there() {
        let plan = planned(&["alias", "closed", "free", "logs", "open"], None, Conflict::Skip).unwrap();
        assert_eq!(plan.names, ["free"]);
        assert_eq!(plan.skipped, ["alias", "closed", "logs", "open"]);
        assert!(plan.close.is_empty());
    }

    #[test]
    fn a_rule_moves_out_of_the_way_and_may_not_merge() {
        let plan = planned(&["open"], Some(("(.+)", "r-$1")), Conflict::Fail).unwrap();
        assert_eq!(plan.pieces, [Piece { index: "open".into(), target: "r-open".into() }]);
        let error = planned(&["a1", "a2"], Some(("\\d", "")), Conflict::Fail).unwrap_err();
        assert!(error.to_string().contains("calls both `a`"), "{error}");
        assert_eq!(planned(&["a"], Some(("a", "A")), Conflict::Fail).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_stream_is_sent_by_its_name_and_followed_by_its_indices() {
        let indices = vec![".ds-logs-2024.01.01-000001".to_owned()];
        let selection = Selection { data_streams: vec!["logs".into()], ..Selection::default() };
        let rule = Rename::new("(.+)", "r-$1").unwrap();
        let plan = plan(&selection, &indices, Some(&rule), &cluster(), Conflict::Fail).unwrap();
        assert_eq!(plan.names, ["logs"]);
        assert_eq!(plan.pieces[0].target, ".ds-r-logs-2024.01.01-000001");
    }
}
