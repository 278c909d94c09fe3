//! What of a repository a cluster of a given version would restore, and why not the rest. Nothing is asked of any cluster.
//!
//! Three things are looked at, from the outside in: whether the cluster can read the root ([`ClusterVersion::refuses_root`]), whether it takes
//! the snapshot ([`ClusterVersion::refuses_snapshot`]), and for each index in which version it was created ([`ClusterVersion::judge`]):
//!
//! | created in | Elasticsearch 5 | 6 | 7 | 8 | 9 | OpenSearch 1 | 2 | 3 |
//! |---|---|---|---|---|---|---|---|---|
//! | 2 | yes | | | | | | | |
//! | 5 | yes | yes | | archive from 8.3 | archive | | | |
//! | 6 | | yes | yes, 6.8 from 7.2 | archive from 8.3 | archive | yes | | |
//! | 7.0 to 7.10 | | | yes | yes | read-only if marked so | yes | yes | |
//! | 7.11 to 7.17 | | | yes | yes | read-only if marked so | | | |
//! | 8, 9 | | | | yes: 8 | yes | | | |
//! | OpenSearch 1 / 2 / 3 | | | | | | yes / – / – | yes / yes / – | – / yes / yes |
//!
//! From Elastic's and OpenSearch's own tables, and from restores that were tried.

use std::fmt;
use std::str::FromStr;

use super::data::{RootIndex, Version};
use super::index_meta::IndexMeta;
use super::release::{Product, Release, VersionId};
use crate::error::{Error, ErrorKind};

/// The version of a cluster that a repository might be restored to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterVersion {
    product: Product,
    major: u32,
    minor: Option<u32>,
    patch: Option<u32>,
}

/// What would come of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It restores.
    Yes,
    /// It restores, can only be read, and needs no licence.
    ReadOnly,
    /// It restores as an archive index: slow, only to be read, without its aliases (seen on 8.12.2), and with a licence that includes it.
    Archive,
    /// It restores without the shards that the snapshot does not have, if asked for with `partial: true`.
    Partial,
    /// Not known here.
    Unknown,
    /// It is refused.
    No,
    /// Of a snapshot: not the same for all its indices.
    Mixed,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::ReadOnly => "read-only",
            Self::Archive => "archive",
            Self::Partial => "partial",
            Self::Unknown => "unknown",
            Self::No => "no",
            Self::Mixed => "mixed",
        }
    }

    /// What is true of a snapshot whose indices have these verdicts. A snapshot without an index restores.
    #[must_use]
    pub fn of_all(mut verdicts: impl Iterator<Item = Self>) -> Self {
        let Some(first) = verdicts.next() else { return Self::Yes };
        if verdicts.all(|verdict| verdict == first) { first } else { Self::Mixed }
    }
}

/// A verdict, with the reason if it is not a plain yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What would come of it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
}

impl Judgement {
    /// A plain yes.
    pub const YES: Self = Self { verdict: Verdict::Yes, reason: None };

    /// A refusal.
    #[must_use]
    pub fn no(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::No, reason: Some(reason.into()) }
    }

    fn but(verdict: Verdict, reason: String) -> Self {
        Self { verdict, reason: Some(reason) }
    }

    /// The same for an index of which the snapshot lacks `failed` of `shards` shards.
    #[must_use]
    pub fn without(self, failed: usize, shards: u32) -> Self {
        if failed == 0 || self.verdict == Verdict::No {
            return self;
        }
        let lacks = format!("the snapshot lacks {failed} of its {shards} shards: only with `partial: true`");
        let reason = self.reason.map_or(lacks.clone(), |reason| format!("{lacks}; {reason}"));
        Self::but(Verdict::Partial, reason)
    }
}

/// What decides whether an index restores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// The version that created it, as a number.
    pub created: Option<i64>,
    /// The snapshot and the repository that a searchable snapshot takes its data from.
    pub mounted: Option<(String, String)>,
    /// Whether Elasticsearch 8 marked it read-only for the next major version.
    pub read_only: bool,
}

impl Traits {
    /// Those of an index.
    #[must_use]
    pub fn of(index: &IndexMeta) -> Self {
        let text = |name: &str| index.setting(name).unwrap_or("an unknown one").to_owned();
        // `snapshot` is Elasticsearch's word, `remote_snapshot` OpenSearch's.
        let mounted = match index.setting("index.store.type") {
            Some("snapshot") => {
                Some((text("index.store.snapshot.snapshot_name"), text("index.store.snapshot.repository_name")))
            }
            Some("remote_snapshot") => {
                Some((text("index.searchable_snapshot.snapshot_id.name"), text("index.searchable_snapshot.repository")))
            }
            _ => None,
        };
        let read_only = index.setting("index.verified_read_only") == Some("true");
        Self { created: index.version_created(), mounted, read_only }
    }
}

impl ClusterVersion {
    /// Whose cluster it is.
    pub(super) fn product(self) -> Product {
        self.product
    }

    /// Why the cluster cannot read the repository at all; none if it can.
    #[must_use]
    pub fn refuses_root(&self, root: &RootIndex) -> Option<String> {
        match self.product {
            Product::OpenSearch if root.uuid.is_some() || root.cluster_id.is_some() => Some(
                "the repository has the format of Elasticsearch 7.12 and later (`uuid` and `cluster_id` in its root), which OpenSearch cannot read".to_owned(),
            ),
            Product::Elasticsearch => {
                let Some(Version::Text(text)) = &root.min_version else { return None };
                let oldest = VersionId::parse(text, Product::Elasticsearch)?;
                (oldest.is_by(self.newest()) == Some(false))
                    .then(|| format!("the repository has a format that can be read from Elasticsearch {oldest} on"))
            }
            Product::OpenSearch => None,
        }
    }

    /// Why the cluster refuses a snapshot of that version and state, whatever is in it; none if it does not.
    #[must_use]
    pub fn refuses_snapshot(&self, made: Option<VersionId>, state: &str) -> Option<Judgement> {
        match state {
            "SUCCESS" | "PARTIAL" => {}
            "IN_PROGRESS" => return Some(Judgement::no("the snapshot is not finished")),
            other => return Some(Judgement::no(format!("the snapshot's state is {other}"))),
        }
        let made = made?;
        if let Some(reason) = self.is_foreign(made) {
            return Some(Judgement::no(format!("the snapshot was made by {reason}")));
        }
        self.is_too_old("the snapshot was made by", made)
    }

    /// What would come of an index that the cluster can read the snapshot of.
    #[must_use]
    pub fn judge(&self, index: &Traits) -> Judgement {
        if let Some((snapshot, repository)) = &index.mounted {
            return Judgement::no(format!(
                "a searchable snapshot: its data is in the snapshot `{snapshot}` of the repository `{repository}`; restore that one"
            ));
        }
        let Some(created) = index.created.and_then(VersionId::new) else {
            return Judgement::but(
                Verdict::Unknown,
                "its metadata does not say in which version it was created".to_owned(),
            );
        };
        if let Some(reason) = self.is_foreign(created) {
            return Judgement::no(format!("created in {reason}"));
        }
        if let Some(refused) = self.is_too_old("created in", created) {
            return refused;
        }
        match self.product {
            Product::Elasticsearch => self.elasticsearch(created, index.read_only),
            Product::OpenSearch => self.opensearch(created),
        }
    }

    fn elasticsearch(&self, created: VersionId, read_only: bool) -> Judgement {
        let before = if self.major == 5 { 2 } else { self.major.saturating_sub(1) };
        let major = created.major();
        if major == self.major || major == before {
            let (six, seven) = (VersionId::parse("6.8.0", Product::Elasticsearch), matches!(self.minor, Some(0 | 1)));
            return match six {
                // 6.8 and 7.2 came out together; 7.0 and 7.1 are older.
                Some(six) if seven && self.major == 7 && major == 6 && created.number() >= six.number() => {
                    Judgement::no(format!(
                        "created in {created}, which is newer than Elasticsearch 7.0 and 7.1; 7.2 takes it"
                    ))
                }
                _ => Judgement::YES,
            };
        }
        let archives = (self.major == 8 && self.minor.is_none_or(|minor| minor >= 3)) || self.major >= 9;
        match major {
            7 if self.major == 9 && read_only => Judgement::but(
                Verdict::ReadOnly,
                format!("created in {created} and marked read-only in Elasticsearch 8"),
            ),
            // Tried on 9.0.0; elastic/elasticsearch#145141 is about 9.3.
            7 if self.major == 9 => Judgement::no(format!(
                "created in {created} and not marked read-only in Elasticsearch 8, which Elasticsearch 9 wants; restore it into 8, mark it, and take another snapshot"
            )),
            5 | 6 if archives => Judgement::but(
                Verdict::Archive,
                format!(
                    "created in {created}: as an archive index, read-only, without its aliases, and with a licence"
                ),
            ),
            _ => Judgement::no(format!(
                "created in {created}: {self} restores indices created in {before} and {}",
                self.major
            )),
        }
    }

    fn opensearch(&self, created: VersionId) -> Judgement {
        let fits = match (created.product(), created.major()) {
            (Product::Elasticsearch, 6) => self.major == 1,
            (Product::Elasticsearch, 7) => self.major <= 2,
            (Product::Elasticsearch, _) => false,
            (Product::OpenSearch, major) => major == self.major || major + 1 == self.major,
        };
        if fits {
            return Judgement::YES;
        }
        let from = match self.major {
            1 => "Elasticsearch 6 to 7.10 and OpenSearch 1".to_owned(),
            2 => "Elasticsearch 7 to 7.10 and OpenSearch 1 and 2".to_owned(),
            major => format!("OpenSearch {} and {major}", major.saturating_sub(1)),
        };
        Judgement::no(format!("created in {} {created}: {self} restores indices created in {from}", created.product()))
    }

    /// What the two products do not take from each other.
    fn is_foreign(&self, version: VersionId) -> Option<String> {
        match (self.product, version.product()) {
            (Product::Elasticsearch, Product::OpenSearch) => {
                Some(format!("OpenSearch {version}, which Elasticsearch does not take"))
            }
            (Product::OpenSearch, Product::Elasticsearch)
                if version.is_by(Release::new(7, 10, u32::MAX)) != Some(true) =>
            {
                Some(format!("Elasticsearch {version}: OpenSearch takes those up to 7.10"))
            }
            _ => None,
        }
    }

    /// What is newer than the cluster. `what` begins the sentence.
    fn is_too_old(&self, what: &str, version: VersionId) -> Option<Judgement> {
        if version.product() != self.product {
            return None;
        }
        match version.is_by(self.newest()) {
            Some(true) => None,
            Some(false) => Some(Judgement::no(format!("{what} {} {version}, which is newer", version.product()))),
            None => Some(Judgement::but(
                Verdict::Unknown,
                format!("{what} {} of {version}, and which release that is is not known here", version.product()),
            )),
        }
    }

    /// The newest release that it may mean.
    fn newest(&self) -> Release {
        Release::new(self.major, self.minor.unwrap_or(u32::MAX), self.patch.unwrap_or(u32::MAX))
    }

    fn numbers(&self) -> String {
        let more = |number: Option<u32>| number.map_or(String::new(), |number| format!(".{number}"));
        format!("{}{}{}", self.major, more(self.minor), more(self.patch))
    }

    /// The word for it: `elasticsearch-8.12`.
    #[must_use]
    pub fn word(&self) -> String {
        format!("{}-{}", self.product.to_string().to_ascii_lowercase(), self.numbers())
    }
}

impl fmt::Display for ClusterVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.product, self.numbers())
    }
}

impl FromStr for ClusterVersion {
    type Err = Error;

    /// Reads `es-8.12.2`, `elasticsearch-7.10`, `opensearch-2.19` or `os-3`. What is left out means the newest of its line.
    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (word, numbers) = text.split_once('-')?;
            let product = match word {
                "es" | "elasticsearch" => Product::Elasticsearch,
                "os" | "opensearch" => Product::OpenSearch,
                _ => return None,
            };
            let numbers: Option<Vec<u32>> = numbers
                .split('.')
                .map(|part| part.parse().ok().filter(|number| *number < 100 && !part.starts_with('+')))
                .collect();
            match (product, numbers?.as_slice()) {
                (_, [] | [0, ..]) | (Product::Elasticsearch, [1..=4, ..]) => None,
                (product, [major, rest @ ..]) if rest.len() < 3 => {
                    let (minor, patch) = (rest.first().copied(), rest.get(1).copied());
                    Some(Self { product, major: *major, minor, patch })
                }
                _ => None,
            }
        };
        read().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("use `{}` as a version", text.escape_default()))
                .because("it does not name a product and a version that restores such repositories")
                .hint("write `es-8.12`, `es-8.12.2`, `opensearch-2.19` or `os-3`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> ClusterVersion {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn version(text: &str) -> VersionId {
        let (product, text) = match text.strip_prefix("os ") {
            Some(text) => (Product::OpenSearch, text),
            None => (Product::Elasticsearch, text),
        };
        VersionId::parse(text, product).expect("a version")
    }

    fn verdict(created: &str, to: &str) -> &'static str {
        let index = Traits { created: Some(version(created).number()), ..Traits::default() };
        let judged = target(to).judge(&index);
        assert_eq!(judged.reason.is_none(), judged.verdict == Verdict::Yes, "{judged:?}");
        judged.verdict.word()
    }

    #[test]
    fn a_target_is_read_in_all_its_writings() {
        for (text, word, shown) in [
            ("es-8.12", "elasticsearch-8.12", "Elasticsearch 8.12"),
            ("elasticsearch-7.10.2", "elasticsearch-7.10.2", "Elasticsearch 7.10.2"),
            ("opensearch-2.19", "opensearch-2.19", "OpenSearch 2.19"),
            ("os-3", "opensearch-3", "OpenSearch 3"),
        ] {
            assert_eq!((target(text).word().as_str(), target(text).to_string().as_str()), (word, shown));
        }
        for text in ["8.12", "es", "es-", "es-x", "es-8.", "es-8.1.2.3", "es-2.4", "os-0", "es-8.100", "lucene-9"] {
            let error = text.parse::<ClusterVersion>().expect_err(text);
            assert!(error.advice().is_some() && error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn an_index_goes_one_major_version_up_and_never_down() {
        // The rows of Elastic's table, and what was tried on real clusters.
        for (created, rows) in [
            ("2.4.6", [("es-5.5.3", "yes"), ("es-6.8", "no"), ("os-1", "no")].as_slice()),
            (
                "5.6.16",
                &[("es-5.6", "yes"), ("es-5.5", "no"), ("es-6.2.4", "yes"), ("es-6.8.23", "yes"), ("es-7", "no")],
            ),
            ("5.6.16", &[("es-8.2", "no"), ("es-8.3", "archive"), ("es-9", "archive"), ("os-1.3", "no")]),
            (
                "6.2.4",
                &[("es-6.8.23", "yes"), ("es-7.0", "yes"), ("es-7.10.2", "yes"), ("es-8", "archive"), ("es-8.0", "no")],
            ),
            (
                "6.8.23",
                &[("es-7.0", "no"), ("es-7.1.1", "no"), ("es-7.2", "yes"), ("es-7.10.2", "yes"), ("es-9.1", "archive")],
            ),
            ("6.8.23", &[("os-1.3", "yes"), ("os-2.19", "no"), ("os-3", "no")]),
            (
                "7.10.2",
                &[("es-6.8", "no"), ("es-7.9", "no"), ("es-7.10", "yes"), ("es-8.12.2", "yes"), ("es-9.0", "no")],
            ),
            ("7.10.2", &[("os-1", "yes"), ("os-2.5", "yes"), ("os-3", "no")]),
            ("7.11.2", &[("os-1", "no"), ("os-2", "no"), ("es-7.17", "yes")]),
            (
                "8500010",
                &[("es-8.12.2", "yes"), ("es-8.12", "yes"), ("es-8.12.0", "no"), ("es-8.11", "no"), ("es-9", "yes")],
            ),
            ("8500010", &[("es-7.17", "no"), ("os-2", "no")]),
            ("9009000", &[("es-8.19", "no"), ("es-9.0.0", "yes")]),
            ("9999000", &[("es-9.3", "unknown"), ("es-9.9", "unknown"), ("es-9.2", "no")]),
            ("os 1.3.14", &[("os-1.3", "yes"), ("os-1.2", "no"), ("os-2.19", "yes"), ("os-3.6", "no"), ("es-8", "no")]),
            (
                "os 2.19.6",
                &[("os-1.3", "no"), ("os-2.5", "no"), ("os-2.19", "yes"), ("os-3.6.0", "yes"), ("os-3.8", "yes")],
            ),
            ("os 3.6.0", &[("os-3.5", "no"), ("os-3.6", "yes"), ("os-3.8.0", "yes"), ("os-2.19", "no")]),
        ] {
            for (to, expected) in rows {
                assert_eq!(verdict(created, to), *expected, "{created} to {to}");
            }
        }
    }

    #[test]
    fn what_was_marked_in_8_is_read_only_in_9_and_what_is_mounted_has_no_data_here() {
        let marked = Traits { created: Some(7_172_899), read_only: true, mounted: None };
        assert_eq!(target("es-9").judge(&marked).verdict, Verdict::ReadOnly);
        assert_eq!(target("es-8.19").judge(&marked), Judgement::YES);
        let mounted = Traits { mounted: Some(("s1".to_owned(), "cold".to_owned())), ..marked };
        let judged = target("es-8.12").judge(&mounted);
        assert_eq!(judged.verdict, Verdict::No);
        assert!(judged.reason.expect("it has one").contains("`s1` of the repository `cold`"));
        assert_eq!(target("es-8").judge(&Traits::default()).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_snapshot_is_refused_for_its_state_and_for_being_newer() {
        let refused = |to: &str, made: &str, state| target(to).refuses_snapshot(Some(version(made)), state);
        assert_eq!(refused("es-7.17", "7.10.2", "SUCCESS"), None);
        assert_eq!(refused("es-7.17", "7.10.2", "PARTIAL"), None);
        for (to, made, state, word) in [
            ("es-7.17", "7.10.2", "FAILED", "FAILED"),
            ("es-7.17", "7.10.2", "IN_PROGRESS", "not finished"),
            ("es-7.10.1", "7.10.2", "SUCCESS", "newer"),
            ("es-8.12", "os 2.5.0", "SUCCESS", "OpenSearch 2.5.0"),
            ("os-2", "7.17.28", "SUCCESS", "up to 7.10"),
            ("os-2.5", "os 2.19.6", "SUCCESS", "newer"),
        ] {
            let reason = refused(to, made, state).expect("it is refused").reason.expect("it has one");
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn opensearch_cannot_read_the_root_of_elasticsearch_from_7_12_on() {
        let root = |fields: &str| {
            RootIndex::parse("index-1", format!(r#"{{{fields}"snapshots":[]}}"#).as_bytes()).expect("a root")
        };
        let newer = root(r#""min_version":"7.12.0","uuid":"U","cluster_id":"C","#);
        let older = root(r#""min_version":"7.9.0","#);
        for (to, newer_is_read, older_is_read) in [
            ("os-1", false, true),
            ("os-3", false, true),
            ("es-7.10", false, true),
            ("es-7.8", false, false),
            ("es-7.12", true, true),
        ] {
            let reads = |root| target(to).refuses_root(root).is_none();
            assert_eq!((reads(&newer), reads(&older)), (newer_is_read, older_is_read), "{to}");
        }
    }

    #[test]
    fn missing_shards_and_several_verdicts_are_told() {
        assert_eq!(Judgement::YES.without(0, 5), Judgement::YES);
        assert_eq!(Judgement::YES.without(2, 5).verdict, Verdict::Partial);
        assert_eq!(Judgement::no("x").without(2, 5), Judgement::no("x"));
        let all = |list: &[Verdict]| Verdict::of_all(list.iter().copied());
        assert_eq!(all(&[]), Verdict::Yes);
        assert_eq!(all(&[Verdict::Archive, Verdict::Archive]), Verdict::Archive);
        assert_eq!(all(&[Verdict::Yes, Verdict::No]), Verdict::Mixed);
    }
}
