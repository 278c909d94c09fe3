//! Which release a version number means: `7100299` is Elasticsearch 7.10.2.
//!
//! | number | is |
//! |---|---|
//! | below 8,500,000 | Elasticsearch to 8.10: `MMmmrrbb`, `bb` is 99 for a release |
//! | from 8,500,000 on | an index version of Elasticsearch from 8.11 on: counted by itself, several releases may share one ([`INDEX_VERSIONS`]) |
//! | with the bit 0x0800_0000 | OpenSearch: `MMmmrrbb` with that bit |

use std::fmt;

/// Who made something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elasticsearch => "Elasticsearch",
            Self::OpenSearch => "OpenSearch",
        })
    }
}

/// A release of either product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

impl Release {
    /// The release of these numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The bit that OpenSearch sets in all of its version numbers.
const OPENSEARCH: i64 = 0x0800_0000;
/// The first version number of Elasticsearch that does not spell a release.
const DETACHED: i64 = 8_500_000;

/// The index version of each release of Elasticsearch that has one, first and last release of each, as its own table has them
/// (`IndexVersions.csv` of 9.3.1). Look again when 9.4 is out.
const INDEX_VERSIONS: [(i64, Release, Release); 18] = [
    (8_500_003, Release::new(8, 11, 0), Release::new(8, 11, 4)),
    (8_500_008, Release::new(8, 12, 0), Release::new(8, 12, 0)),
    (8_500_010, Release::new(8, 12, 1), Release::new(8, 12, 2)),
    (8_503_000, Release::new(8, 13, 0), Release::new(8, 13, 4)),
    (8_505_000, Release::new(8, 14, 0), Release::new(8, 14, 3)),
    (8_512_000, Release::new(8, 15, 0), Release::new(8, 15, 5)),
    (8_518_000, Release::new(8, 16, 0), Release::new(8, 16, 6)),
    (8_521_000, Release::new(8, 17, 0), Release::new(8, 17, 10)),
    (8_525_000, Release::new(8, 18, 0), Release::new(8, 18, 8)),
    (8_536_000, Release::new(8, 19, 0), Release::new(8, 19, 8)),
    (8_537_000, Release::new(8, 19, 9), Release::new(8, 19, 12)),
    (9_009_000, Release::new(9, 0, 0), Release::new(9, 0, 8)),
    (9_033_000, Release::new(9, 1, 0), Release::new(9, 1, 8)),
    (9_033_001, Release::new(9, 1, 9), Release::new(9, 1, 10)),
    (9_039_001, Release::new(9, 2, 0), Release::new(9, 2, 1)),
    (9_039_002, Release::new(9, 2, 2), Release::new(9, 2, 2)),
    (9_039_003, Release::new(9, 2, 3), Release::new(9, 2, 7)),
    (9_060_000, Release::new(9, 3, 0), Release::new(9, 3, 1)),
];

/// A version number, of the cluster that made a snapshot or created an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionId(i64);

impl VersionId {
    /// The version of that number; none for what is no version.
    #[must_use]
    pub fn new(number: i64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// The version that a text spells: a number, or a release as `7.10.2`.
    #[must_use]
    pub fn parse(text: &str, product: Product) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Self::new(number);
        }
        let mut numbers = text.split('.').map(|part| part.parse::<u32>().ok().filter(|number| *number < 100));
        let (major, minor, patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let number = i64::from(major) * 1_000_000 + i64::from(minor) * 10_000 + i64::from(patch) * 100 + 99;
        Self::new(if product == Product::OpenSearch { number | OPENSEARCH } else { number })
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }

    /// Who wrote it.
    #[must_use]
    pub fn product(self) -> Product {
        if self.0 & OPENSEARCH == 0 { Product::Elasticsearch } else { Product::OpenSearch }
    }

    /// The first number of the release, which every version number has.
    #[must_use]
    pub fn major(self) -> u32 {
        u32::try_from((self.0 & !OPENSEARCH) / 1_000_000).unwrap_or(u32::MAX)
    }

    /// The first and the last release that write this number; none for a number between those of releases, or newer than those known
    /// here.
    #[must_use]
    pub fn releases(self) -> Option<(Release, Release)> {
        if !self.is_detached() {
            let number = u32::try_from(self.0 & !OPENSEARCH).ok()?;
            let release = Release::new(number / 1_000_000, number / 10_000 % 100, number / 100 % 100);
            return Some((release, release));
        }
        INDEX_VERSIONS.iter().find(|(id, ..)| *id == self.0).map(|(_, first, last)| (*first, *last))
    }

    /// As the interface of the cluster that wrote it tells it. Elasticsearch 8.11 and 8.12 tell the number itself (measured on 8.12.2),
    /// later ones a release (9.0.0).
    #[must_use]
    pub fn told(self) -> String {
        match self.releases() {
            Some((first, _)) if !self.is_detached() || first >= Release::new(8, 13, 0) => first.to_string(),
            _ => self.0.to_string(),
        }
    }

    /// Whether that release, or an older one of its product, wrote it; none if that is not known here. A number between two releases
    /// belongs to the later one.
    #[must_use]
    pub fn is_by(self, newest: Release) -> Option<bool> {
        if let Some((first, _)) = self.releases() {
            return Some(first <= newest);
        }
        let own = |id: i64| VersionId(id).major() == self.major();
        let line = || INDEX_VERSIONS.iter().filter(|(id, ..)| own(*id));
        if let Some((_, first, _)) = line().find(|(id, ..)| *id > self.0) {
            return Some(*first <= newest);
        }
        let known = line().next_back().map_or((self.major(), 0), |(_, _, last)| (last.major, last.minor));
        match newest.major.cmp(&self.major()) {
            std::cmp::Ordering::Greater => Some(true),
            _ if (newest.major, newest.minor) >= known && newest.major == self.major() => None,
            _ => Some(false),
        }
    }

    fn is_detached(self) -> bool {
        self.product() == Product::Elasticsearch && self.0 >= DETACHED
    }
}

impl fmt::Display for VersionId {
    /// As people know it: `7.10.2`, `8.12.1-8.12.2`, `index version 8500500`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.releases() {
            Some((first, last)) if first == last => write!(f, "{first}"),
            Some((first, last)) => write!(f, "{first}-{last}"),
            None => write!(f, "index version {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: i64) -> VersionId {
        VersionId::new(number).expect("a version")
    }

    #[test]
    fn every_kind_of_number_means_its_release() {
        for (number, told, shown) in [
            (5_061_699, "5.6.16", "5.6.16"),
            (7_100_299, "7.10.2", "7.10.2"),
            (7_172_899, "7.17.28", "7.17.28"),
            (8_100_499, "8.10.4", "8.10.4"),
            // Measured on 8.12.2 and 9.0.0.
            (8_500_010, "8500010", "8.12.1-8.12.2"),
            (9_009_000, "9.0.0", "9.0.0-9.0.8"),
            (8_521_000, "8.17.0", "8.17.0-8.17.10"),
            (8_500_500, "8500500", "index version 8500500"),
            // Measured on OpenSearch 2.5.0.
            (136_267_827, "2.5.0", "2.5.0"),
        ] {
            assert_eq!((id(number).told().as_str(), id(number).to_string().as_str()), (told, shown));
        }
        assert_eq!(VersionId::parse("2.5.0", Product::OpenSearch), VersionId::new(136_267_827));
        assert_eq!(VersionId::parse("7.10.2", Product::Elasticsearch), VersionId::new(7_100_299));
        assert_eq!((VersionId::new(0), VersionId::parse("7.x", Product::Elasticsearch)), (None, None));
    }

    #[test]
    fn newer_is_told_from_older_and_from_unknown() {
        let by = |number, major, minor, patch| id(number).is_by(Release::new(major, minor, patch));
        assert_eq!(by(8_500_010, 8, 12, 2), Some(true));
        assert_eq!(by(8_500_010, 8, 12, 0), Some(false));
        assert_eq!(by(8_537_000, 9, 0, 0), Some(true));
        assert_eq!(by(9_009_000, 8, 19, u32::MAX), Some(false));
        // Between 8.13 and 8.14: not released before 8.14.
        assert_eq!((by(8_504_000, 8, 13, 4), by(8_504_000, 8, 14, 0)), (Some(false), Some(true)));
        assert_eq!((by(9_070_000, 9, 2, 0), by(9_070_000, 9, 4, 0)), (Some(false), None));
        assert_eq!((by(10_001_000, 9, 3, 0), by(10_001_000, 10, 0, 0)), (Some(false), None));
    }
}
