//! The clusters in between, for an index that a cluster does not restore: restore it there, reindex it, take a new snapshot.
//!
//! Reindexing makes an index of the version it was done in, so a stone is a version that takes the index and whose own indices the next
//! one takes. Nothing is asked of any cluster; what each takes is [`super::compat`]'s.

use super::compat::{ClusterVersion, Traits, Verdict};
use super::release::VersionId;

/// The last release of each line that a stone can be, with the number that its own indices carry. Elasticsearch 7.10.2 stands beside
/// 7.17, as the last that OpenSearch takes from.
const LINES: [(&str, &str); 7] = [
    ("es-5.6.16", "5.6.16"),
    ("es-6.8.23", "6.8.23"),
    ("es-7.10.2", "7.10.2"),
    ("es-7.17.28", "7.17.28"),
    ("es-8.19", "8536000"),
    ("opensearch-1.3.20", "1.3.20"),
    ("opensearch-2.19.6", "2.19.6"),
];

/// More stones than this are no advice any more.
const MOST: usize = 3;

/// The fewest clusters to go through, in order, so that an index `created` in one version and in a snapshot `made` by one comes to
/// `target`. Empty if it goes there at once; none if there is no way of at most three stones.
#[must_use]
pub fn stepping_stones(created: VersionId, made: VersionId, target: ClusterVersion) -> Option<Vec<ClusterVersion>> {
    let lines: Vec<(ClusterVersion, VersionId)> = LINES.iter().filter_map(|line| read(*line)).collect();
    let mut ways: Vec<(Vec<ClusterVersion>, VersionId, VersionId)> = vec![(Vec::new(), created, made)];
    for _ in 0..=MOST {
        if let Some((way, ..)) = ways.iter().find(|(_, created, made)| takes(target, *created, *made)) {
            return Some(way.clone());
        }
        ways = ways
            .iter()
            .flat_map(|(way, created, made)| {
                let next = lines.iter().filter(move |(stone, id)| takes(*stone, *created, *made) && id != created);
                next.map(move |(stone, id)| ([way.as_slice(), &[*stone]].concat(), *id, *id))
            })
            .collect();
    }
    None
}

fn read((cluster, own): (&str, &str)) -> Option<(ClusterVersion, VersionId)> {
    let cluster: ClusterVersion = cluster.parse().ok()?;
    Some((cluster, VersionId::parse(own, cluster.product())?))
}

fn takes(cluster: ClusterVersion, created: VersionId, made: VersionId) -> bool {
    let index = Traits { created: Some(created.number()), ..Traits::default() };
    cluster.refuses_snapshot(Some(made), "SUCCESS").is_none() && cluster.judge(&index).verdict == Verdict::Yes
}

#[cfg(test)]
mod tests {
    use super::super::release::Product;
    use super::*;

    fn way(product: Product, created: &str, target: &str) -> Option<Vec<String>> {
        let created = VersionId::parse(created, product).unwrap();
        let stones = stepping_stones(created, created, target.parse().unwrap())?;
        Some(stones.iter().map(ClusterVersion::word).collect())
    }

    #[test]
    fn the_way_is_the_shortest_there_is() {
        let (es, os) = (Product::Elasticsearch, Product::OpenSearch);
        assert_eq!(way(es, "6.2.4", "es-7.10").unwrap(), [""; 0]);
        assert_eq!(way(es, "5.5.3", "es-7.17").unwrap(), ["elasticsearch-6.8.23"]);
        assert_eq!(way(es, "6.8.23", "opensearch-2.19").unwrap().len(), 1);
        assert_eq!(way(es, "7.10.2", "opensearch-3.6").unwrap(), ["opensearch-2.19.6"]);
        assert_eq!(way(os, "1.3.20", "opensearch-3.6").unwrap(), ["opensearch-2.19.6"]);
        assert_eq!(way(es, "2.4.6", "es-8.12").unwrap().len(), 3);
    }

    #[test]
    fn there_is_no_way_back() {
        assert_eq!(way(Product::Elasticsearch, "8.12.2", "es-7.17"), None);
        assert_eq!(way(Product::Elasticsearch, "7.17.28", "opensearch-2.19"), None);
        assert_eq!(way(Product::OpenSearch, "2.19.6", "es-8.12"), None);
    }

    #[test]
    fn every_line_can_be_read() {
        assert!(LINES.iter().all(|line| read(*line).is_some()));
    }
}
