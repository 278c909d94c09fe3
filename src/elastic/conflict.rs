//! What stands in the way of a restore, and what the policy makes of it.
//!
//! Pure: from the selection, the rename rule and the names in use follow the pieces to restore, what to close first and what
//! is skipped. Nothing is sent from here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::index::{Existing, Role};
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
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What is sent, each with the indices that it makes.
    pub units: Vec<Unit>,
    /// Open indices that are closed first.
    pub close: Vec<String>,
    /// Indices that are deleted first.
    pub delete: Vec<String>,
    /// Names that will be aliases of what was restored beside them: the name, with that index.
    pub swaps: BTreeMap<String, String>,
    /// What is left as it is, by its name in the cluster.
    pub skipped: Vec<String>,
}

/// An index or data stream of the snapshot, with what becomes of it.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its name in the snapshot.
    pub name: String,
    /// The indices that it makes.
    pub pieces: Vec<Piece>,
    /// The rule that makes their names.
    pub rename: Option<Rename>,
    /// Whether it goes beside something that has its name.
    pub place: Place,
}

/// Where a unit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To its own name.
    Own,
    /// To another one, as its own is taken.
    Beside,
}

/// What to do about names that are taken, with what that takes.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// What to do.
    pub conflict: Conflict,
    /// What stands before the names that [`Conflict::Rename`] makes.
    pub prefix: &'a str,
    /// What stands behind those that [`Conflict::Swap`] makes.
    pub suffix: &'a str,
    /// Indices of ours that an interrupted run left: they are restored over whatever the policy.
    pub ours: &'a BTreeSet<String>,
}

impl Plan {
    /// The indices that will be there afterwards.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.units.iter().flat_map(|unit| &unit.pieces)
    }
}

impl Unit {
    fn new(name: &str, is_stream: bool, indices: &[String], rename: Option<&Rename>, place: Place) -> Result<Self> {
        let apply = |name: &str| rename.map_or_else(|| name.to_owned(), |rule| rule.apply(name));
        let pieces: Vec<Piece> = if is_stream {
            let apply = |index: &str| rename.map_or_else(|| index.to_owned(), |rule| rule.apply_to_backing(index));
            let backing = backing(name, indices).into_iter();
            backing.map(|index| Piece { index: index.to_owned(), target: apply(index) }).collect()
        } else {
            vec![Piece { index: name.to_owned(), target: apply(name) }]
        };
        if pieces.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, format!("restore the data stream `{name}`"))
                .because("its backing indices cannot be told from the snapshot's list")
                .hint("name the indices one by one"));
        }
        Ok(Self { name: name.to_owned(), pieces, rename: rename.cloned(), place })
    }
}

/// What already has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Open,
    Closed,
    Alias,
    DataStream,
    WriteIndex,
    Backing,
    Follower,
    Mount,
}

impl Taken {
    fn of(name: &str, existing: &Existing) -> Option<Self> {
        let Some(index) = existing.indices.get(name) else {
            return match () {
                () if existing.aliases.contains_key(name) => Some(Self::Alias),
                () if existing.data_streams.contains_key(name) => Some(Self::DataStream),
                () => None,
            };
        };
        Some(match (index.role, existing.stream_of(name)) {
            (Role::Follower, _) => Self::Follower,
            (Role::Mount, _) => Self::Mount,
            (_, Some((_, true))) => Self::WriteIndex,
            (_, Some(_)) if index.is_open => Self::Backing,
            _ if index.is_open => Self::Open,
            _ => Self::Closed,
        })
    }

    fn words(self) -> &'static str {
        match self {
            Self::Open => "an open index",
            Self::Closed => "a closed index",
            Self::Alias => "an alias",
            Self::DataStream => "a data stream",
            Self::WriteIndex => "the index that a data stream is written to",
            Self::Backing => "an index of a data stream",
            Self::Follower => "a follower of another cluster's index",
            Self::Mount => "a mounted snapshot",
        }
    }

    /// Whether the policy may touch it. What is of others is never touched: roll over, unfollow or unmount it first.
    fn yields_to(self, conflict: Conflict) -> bool {
        match conflict {
            Conflict::Fail | Conflict::Skip | Conflict::Rename => false,
            Conflict::Close => matches!(self, Self::Open | Self::Closed | Self::Backing),
            Conflict::Delete => matches!(self, Self::Open | Self::Closed),
            Conflict::Swap => matches!(self, Self::Open | Self::Closed | Self::Alias),
        }
    }
}

/// A name that the policy does not cover.
struct Refused {
    name: String,
    taken: Taken,
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
    policy: Policy<'_>,
) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut refused = Vec::new();
    let streams = selection.data_streams.iter().map(|name| (name, true));
    for (name, is_stream) in selection.indices.iter().map(|name| (name, false)).chain(streams) {
        let unit = Unit::new(name, is_stream, indices, rename, Place::Own)?;
        let own = rename.map_or_else(|| name.clone(), |rule| rule.apply(name));
        let names = std::iter::once(&own).chain(unit.pieces.iter().map(|piece| &piece.target));
        let Some(taken) = names.clone().find_map(|name| Taken::of(name, existing)) else {
            plan.units.push(unit);
            continue;
        };
        match policy.conflict {
            _ if policy.ours.contains(&own) => {
                plan.close.extend((taken == Taken::Open).then_some(own));
                plan.units.push(unit);
            }
            Conflict::Skip => plan.skipped.push(own),
            Conflict::Rename => plan.units.push(beside(name, is_stream, indices, rename, policy)?),
            conflict if is_stream || !taken.yields_to(conflict) => refused.push(Refused { name: own, taken }),
            Conflict::Swap => {
                let unit = beside(name, false, indices, rename, policy)?;
                plan.swaps.insert(own, unit.pieces[0].target.clone());
                plan.units.push(unit);
            }
            Conflict::Delete => {
                plan.delete.push(own);
                plan.units.push(unit);
            }
            Conflict::Close | Conflict::Fail => {
                plan.close.extend((taken != Taken::Closed).then_some(own));
                plan.units.push(unit);
            }
        }
    }
    for piece in plan.units.iter().filter(|unit| unit.place == Place::Beside).flat_map(|unit| &unit.pieces) {
        if let Some(taken) = Taken::of(&piece.target, existing).filter(|_| !policy.ours.contains(&piece.target)) {
            refused.push(Refused { name: piece.target.clone(), taken });
        }
    }
    check_refused(&refused, policy.conflict)?;
    check_names(&plan, rename, policy.conflict)?;
    Ok(plan)
}

/// A unit under the name that the policy makes of its own.
pub fn beside(
    name: &str,
    is_stream: bool,
    indices: &[String],
    rename: Option<&Rename>,
    policy: Policy<'_>,
) -> Result<Unit> {
    let literal = |text: &str| text.replace('\\', "\\\\").replace('$', "\\$");
    let around = |middle: &str| match policy.conflict {
        Conflict::Swap => format!("{middle}-{}", literal(policy.suffix)),
        _ => format!("{}{middle}", literal(policy.prefix)),
    };
    // The cluster knows one rule for a request: a rule of the user's and ours together only fit a single name.
    let rule = match rename {
        None => Rename::new("(.+)", &around("$1"))?,
        Some(rule) => Rename::new(&format!("^{}$", regex::escape(name)), &around(&literal(&rule.apply(name))))?,
    };
    Unit::new(name, is_stream, indices, Some(&rule), Place::Beside)
}

fn check_refused(refused: &[Refused], conflict: Conflict) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let names: Vec<&String> = refused.iter().map(|refused| &refused.name).collect();
    let told: Vec<String> =
        refused.iter().take(10).map(|refused| format!("`{}` is {}", refused.name, refused.taken.words())).collect();
    let is_untouchable = |refused: &Refused| !matches!(refused.taken, Taken::Open | Taken::Closed);
    let hint = match conflict {
        Conflict::Rename => "remove them, or choose another `--prefix`",
        Conflict::Fail | Conflict::Skip if refused.iter().any(is_untouchable) => {
            "restore with `--conflict rename` to restore beside them, or `skip` to leave them: aliases, data streams, followers and \
             mounts cannot be restored over"
        }
        Conflict::Fail | Conflict::Skip => {
            "restore with `--conflict close` to overwrite, `skip` to leave them, `rename` or `swap` to restore beside them"
        }
        _ if refused.iter().any(is_untouchable) => {
            "aliases, data streams, followers and mounts cannot be restored over: use `--conflict rename`, or roll over, unfollow or remove them first"
        }
        _ => "remove them, or use another prefix",
    };
    Err(Error::new(ErrorKind::AlreadyExists, format!("restore {}", quoted(&names)))
        .because(format!("the target already has them: {}", told.join(", ")))
        .hint(hint))
}

/// New names must be possible, and no two pieces may get the same.
fn check_names(plan: &Plan, rename: Option<&Rename>, conflict: Conflict) -> Result<()> {
    let beside: BTreeSet<&String> = plan
        .units
        .iter()
        .filter(|unit| unit.place == Place::Beside)
        .flat_map(|unit| unit.pieces.iter().map(|piece| &piece.index))
        .collect();
    let mut from: BTreeMap<&str, &String> = BTreeMap::new();
    let closing: BTreeSet<&String> = plan.close.iter().collect();
    for piece in plan.pieces() {
        if piece.target != piece.index && !closing.contains(&piece.target) {
            name::check_new_index(&piece.target)?;
        }
        if let Some(other) = from.insert(&piece.target, &piece.index) {
            let error = Error::new(ErrorKind::Invalid, format!("restore `{other}` and `{}`", piece.index));
            let is_policys = beside.contains(other) || beside.contains(&piece.index);
            return Err(match (rename.filter(|_| !is_policys), conflict) {
                (Some(rule), _) => error
                    .because(format!("the rename rule `{}` calls both `{}`", rule.pattern(), piece.target))
                    .hint("use a rule that keeps names apart, for example `(.+)` to `restored-$1`"),
                (None, Conflict::Swap) => error
                    .because(format!("beside what is there, both would be called `{}`", piece.target))
                    .hint("restore the two one after the other"),
                (None, _) => error
                    .because(format!("beside what is there, both would be called `{}`", piece.target))
                    .hint("choose another `--prefix`, or restore the two one after the other"),
            });
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
                "follower": { "state": "open", "settings": { "index": { "xpack": { "ccr": { "following_index": "true" } } } } },
                "mount": { "state": "open", "settings": { "index": { "store": { "type": "snapshot" } } } },
                ".ds-logs-2024.01.01-000001": { "state": "open" },
                ".ds-logs-2024.01.01-000002": { "state": "open" },
            },
            "data_stream": { "data_stream": { "logs": { "indices": [
                { "index_name": ".ds-logs-2024.01.01-000001" }, { "index_name": ".ds-logs-2024.01.01-000002" }] } } },
        } }))
    }

    fn policy(conflict: Conflict, ours: &BTreeSet<String>) -> Policy<'_> {
        Policy { conflict, prefix: "new-", suffix: "s1", ours }
    }

    fn planned(names: &[&str], rename: Option<(&str, &str)>, conflict: Conflict) -> Result<Plan> {
        let selection = Selection { indices: names.iter().map(ToString::to_string).collect(), ..Selection::default() };
        let rename = rename.map(|(pattern, replacement)| Rename::new(pattern, replacement).unwrap());
        plan(&selection, &selection.indices, rename.as_ref(), &cluster(), policy(conflict, &BTreeSet::new()))
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.units.iter().map(|unit| unit.name.as_str()).collect()
    }

    fn targets(plan: &Plan) -> Vec<&str> {
        plan.pieces().map(|piece| piece.target.as_str()).collect()
    }

    #[test]
    fn by_default_everything_taken_is_refused() {
        for name in ["open", "closed", "alias", "logs", "follower", "mount"] {
            let error = planned(&["free", name], None, Conflict::Fail).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert!(error.to_string().contains(&format!("`{name}` is a")), "{error}");
        }
        assert_eq!(names(&planned(&["free"], None, Conflict::Fail).unwrap()), ["free"]);
    }

    #[test]
    fn close_closes_what_is_open_and_an_older_index_of_a_stream() {
        let plan = planned(&["closed", "free", "open"], None, Conflict::Close).unwrap();
        assert_eq!(plan.close, ["open"]);
        assert_eq!(names(&plan), ["closed", "free", "open"]);
        let plan = planned(&[".ds-logs-2024.01.01-000001"], None, Conflict::Close).unwrap();
        assert_eq!(plan.close, [".ds-logs-2024.01.01-000001"]);
    }

    #[test]
    fn what_belongs_to_others_is_never_touched() {
        for conflict in [Conflict::Close, Conflict::Delete, Conflict::Swap] {
            for name in ["logs", ".ds-logs-2024.01.01-000002", "follower", "mount"] {
                let error = planned(&[name], None, conflict).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{conflict:?} {name}");
            }
        }
        for conflict in [Conflict::Close, Conflict::Delete] {
            assert_eq!(planned(&["alias"], None, conflict).unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
    }

    #[test]
    fn skip_leaves_what_is_there() {
        let plan = planned(&["alias", "closed", "free", "logs", "open"], None, Conflict::Skip).unwrap();
        assert_eq!(names(&plan), ["free"]);
        assert_eq!(plan.skipped, ["alias", "closed", "logs", "open"]);
        assert!(plan.close.is_empty());
    }

    #[test]
    fn rename_goes_beside_what_is_there_and_only_there() {
        let plan = planned(&["free", "open", "alias"], None, Conflict::Rename).unwrap();
        assert_eq!(targets(&plan), ["free", "new-open", "new-alias"]);
        assert!(plan.close.is_empty() && plan.delete.is_empty() && plan.swaps.is_empty());
        let plan = planned(&["x$n"], Some(("x.n", "open")), Conflict::Rename).unwrap();
        assert_eq!(targets(&plan), ["new-open"]);
    }

    #[test]
    fn a_name_that_the_policy_makes_may_not_be_another_of_the_snapshot() {
        for (names, conflict, word) in
            [(["new-open", "open"], Conflict::Rename, "--prefix"), (["open", "open-s1"], Conflict::Swap, "one after")]
        {
            let error = planned(&names, None, conflict).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.advice().unwrap().contains(word), "{error}");
            assert!(error.to_string().contains("both would be called") && !error.to_string().contains("``"), "{error}");
        }
    }

    #[test]
    fn a_hint_names_only_what_helps() {
        let error = planned(&["alias"], None, Conflict::Fail).unwrap_err();
        assert!(!error.advice().unwrap().contains("close"), "{error}");
        let stream = planned(&["open"], None, Conflict::Fail).unwrap_err();
        assert!(stream.advice().unwrap().contains("--conflict close"), "{stream}");
    }

    #[test]
    fn swap_restores_beside_and_says_what_will_point_there() {
        let plan = planned(&["free", "open", "alias"], None, Conflict::Swap).unwrap();
        assert_eq!(targets(&plan), ["free", "open-s1", "alias-s1"]);
        assert_eq!(plan.swaps["open"], "open-s1");
        assert_eq!(plan.swaps["alias"], "alias-s1");
    }

    #[test]
    fn delete_names_what_it_deletes() {
        let plan = planned(&["free", "open", "closed"], None, Conflict::Delete).unwrap();
        assert_eq!(plan.delete, ["open", "closed"]);
        assert_eq!(targets(&plan), ["free", "open", "closed"]);
    }

    #[test]
    fn a_rule_moves_out_of_the_way_and_may_not_merge() {
        let plan = planned(&["open"], Some(("(.+)", "r-$1")), Conflict::Fail).unwrap();
        assert_eq!(targets(&plan), ["r-open"]);
        let error = planned(&["a1", "a2"], Some(("\\d", "")), Conflict::Fail).unwrap_err();
        assert!(error.to_string().contains("calls both `a`"), "{error}");
        assert_eq!(planned(&["a"], Some(("a", "A")), Conflict::Fail).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_stream_is_sent_by_its_name_and_followed_by_its_indices() {
        let indices = vec![".ds-logs-2024.01.01-000001".to_owned()];
        let selection = Selection { data_streams: vec!["logs".into()], ..Selection::default() };
        let rule = Rename::new("(.+)", "r-$1").unwrap();
        let none = BTreeSet::new();
        let fail = policy(Conflict::Fail, &none);
        let found = plan(&selection, &indices, Some(&rule), &cluster(), fail).unwrap();
        assert_eq!((names(&found), targets(&found)), (vec!["logs"], vec![".ds-r-logs-2024.01.01-000001"]));
        let found = plan(&selection, &indices, None, &cluster(), policy(Conflict::Rename, &none)).unwrap();
        assert_eq!(targets(&found), [".ds-new-logs-2024.01.01-000001"]);
    }

    #[test]
    fn what_an_interrupted_run_left_is_restored_over_again() {
        let selection = Selection { indices: vec!["open".into()], ..Selection::default() };
        let ours = BTreeSet::from(["open".to_owned()]);
        let fail = policy(Conflict::Fail, &ours);
        let found = plan(&selection, &selection.indices, None, &cluster(), fail).unwrap();
        assert_eq!(found.close, ["open"]);
    }
}
