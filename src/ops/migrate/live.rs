//! What the target would refuse, told from the source cluster itself: before the first snapshot there is no repository to read it from.

use std::collections::BTreeMap;

use crate::elastic::identity::Inventory;
use crate::elastic::{Distribution, Version};
use crate::error::Result;
use crate::ops::advice::{IndexAdvice, cluster_version};
use crate::repo::{ClusterVersion, Product, Traits, Verdict, VersionId, stepping_stones};

/// What a cluster of version `to` would make of these indices of a cluster of version `from`.
pub(super) fn judge(indices: &[String], held: &Inventory, from: &Version, to: &Version) -> Result<Vec<IndexAdvice>> {
    let target = cluster_version(to)?;
    let product = match from.distribution {
        Distribution::Elasticsearch => Product::Elasticsearch,
        Distribution::OpenSearch => Product::OpenSearch,
    };
    let made = VersionId::parse(&format!("{}.{}.{}", from.major, from.minor, from.patch), product);
    let whole = refuses_all(from, to).or_else(|| target.refuses_snapshot(made, "SUCCESS")?.reason);
    let one = |name: &String| {
        let created = held.indices.get(name).and_then(|index| index.created);
        let (verdict, reason) = match (&whole, held.indices.get(name)) {
            (Some(reason), _) => (Verdict::No, Some(reason.clone())),
            (None, Some(index)) => {
                let traits = Traits { created, mounted: index.mounted.clone(), read_only: index.is_verified_read_only };
                let judged = target.judge(&traits);
                (judged.verdict, judged.reason)
            }
            (None, None) => (Verdict::No, Some("the source cluster has no index of that name".to_owned())),
        };
        advise(name, created.and_then(VersionId::new), made, target, verdict, reason)
    };
    Ok(indices.iter().map(one).collect())
}

fn advise(
    name: &str,
    created: Option<VersionId>,
    made: Option<VersionId>,
    target: ClusterVersion,
    verdict: Verdict,
    reason: Option<String>,
) -> IndexAdvice {
    let refused = verdict == Verdict::No;
    let stones =
        created.zip(made).filter(|_| refused).and_then(|(created, made)| stepping_stones(created, made, target));
    IndexAdvice {
        name: name.to_owned(),
        created: created.map(|id| id.to_string()),
        verdict: verdict.word(),
        reason,
        by_way_of: stones.unwrap_or_default().iter().map(ClusterVersion::word).collect(),
    }
}

/// Repositories that Elasticsearch 7.12 and later wrote cannot be read by any `OpenSearch`, whatever made the indices.
fn refuses_all(from: &Version, to: &Version) -> Option<String> {
    let is_new = from.distribution == Distribution::Elasticsearch && (from.major, from.minor) >= (7, 12);
    (is_new && to.distribution == Distribution::OpenSearch).then(|| {
        format!("Elasticsearch {} writes repositories that OpenSearch cannot read (from 7.12 on)", from.number)
    })
}

/// What was refused, for people: each with its reason and the way there is.
pub(super) fn told(refused: &BTreeMap<String, IndexAdvice>) -> String {
    const SHOWN: usize = 5;
    let one = |(name, advice): (&String, &IndexAdvice)| {
        let reason = advice.reason.as_deref().unwrap_or("no reason is known");
        let way = match advice.by_way_of.as_slice() {
            [] => String::new(),
            stones => format!(" (by way of {})", stones.join(", then ")),
        };
        format!("`{name}`: {reason}{way}")
    };
    let mut text: Vec<String> = refused.iter().take(SHOWN).map(one).collect();
    if refused.len() > SHOWN {
        text.push(format!("and {} more", refused.len() - SHOWN));
    }
    text.join("; ")
}
