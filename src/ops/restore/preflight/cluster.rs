//! The cluster itself: its condition, its nodes' plugins, what it is busy with, our privileges, its version against the indices'.

use std::collections::BTreeSet;

use super::{Ground, Subject};
use crate::elastic::Distribution;
use crate::elastic::health;
use crate::error::ErrorKind;
use crate::ops::restore::finding::Finding;

/// What a repository of a type needs on every node, by any of these names.
const PLUGINS: [(&str, &[&str]); 6] = [
    ("s3", &["repository-s3"]),
    ("url", &["repository-url"]),
    ("oss", &["elasticsearch-repository-oss", "repository-oss"]),
    ("azure", &["repository-azure"]),
    ("gcs", &["repository-gcs"]),
    ("hdfs", &["repository-hdfs"]),
];

/// The measured minimal role (`elasticsearch-api.md` 2.12).
const CLUSTER: [&str; 4] =
    ["monitor", "cluster:admin/repository/get", "cluster:admin/snapshot/get", "cluster:admin/snapshot/restore"];
const INDEX: [&str; 4] = ["monitor", "view_index_metadata", "read", "manage"];

/// Names that are asked about at once; what holds for them holds for the rest.
const ASKED: usize = 100;

pub(super) fn check(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    condition(ground, findings);
    busy(subject, ground, findings);
    plugins(subject, ground, findings);
    versions(subject, findings);
    throttles(subject, ground, findings);
}

fn condition(ground: &Ground, findings: &mut Vec<Finding>) {
    let Some(health) = &ground.health else { return };
    if health.status == "red" {
        findings.push(
            Finding::warning("the cluster", "it is red: the primary of an index, of whichever, is missing")
                .doing("look at `_cat/shards` first; a node that is away has its disk with it"),
        );
    }
}

fn busy(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    let Some(busy) = &ground.busy else { return };
    let touched: BTreeSet<&String> = subject.plan.close.iter().chain(&subject.plan.delete).collect();
    for name in touched.iter().chain(&subject.plan.swaps.keys().collect::<Vec<_>>()) {
        if let Some(snapshot) = busy.snapshots.get(*name) {
            findings.push(
                Finding::error(
                    ErrorKind::Precondition,
                    format!("`{name}`"),
                    format!("the snapshot `{snapshot}` is being taken of it"),
                )
                .doing("wait until that snapshot has ended"),
            );
        }
    }
    let targets = subject.plan.pieces().map(|piece| &piece.target);
    for (name, from) in targets.filter_map(|name| busy.restores.get_key_value(name)) {
        findings.push(
            Finding::error(ErrorKind::Precondition, format!("`{name}`"), format!("it is being restored from `{from}`"))
                .doing("wait until that restore has ended"),
        );
    }
    let is_serial = !subject.client.capability().parallel_restores;
    if is_serial && !busy.restores.is_empty() {
        findings.push(
            Finding::error(
                ErrorKind::Precondition,
                "the cluster",
                "it restores something else, and up to 6.5 it does one at a time",
            )
            .doing("wait until that restore has ended"),
        );
    }
}

fn plugins(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    let (Some(nodes), Some(repository)) = (&ground.nodes, &ground.repository) else { return };
    let Some((_, names)) = PLUGINS.iter().find(|(kind, _)| *kind == repository.kind) else { return };
    // Up to 6.x the type `url` is part of the server.
    if repository.kind == "url"
        && subject.client.version().major < 7
        && subject.client.version().distribution == Distribution::Elasticsearch
    {
        return;
    }
    let lacking: Vec<&str> = nodes
        .iter()
        .filter(|node| node.has_data() || node.roles.contains("master"))
        .filter(|node| !node.plugins.is_empty() && !names.iter().any(|name| node.plugins.contains(*name)))
        .map(|node| node.name.as_str())
        .collect();
    if !lacking.is_empty() {
        findings.push(
            Finding::error(
                ErrorKind::Unsupported,
                format!("the nodes {}", lacking.join(", ")),
                format!("they lack the plugin `{}` that a repository of type `{}` needs", names[0], repository.kind),
            )
            .doing("install it on every node and restart them"),
        );
    }
}

/// The versions of the indices where the repository is within reach, else that of the snapshot.
fn versions(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let version = subject.client.version();
    let Some(offline) = subject.offline else {
        if let Some(newer) = subject.snapshot.version.as_deref().filter(|text| is_newer(text, version)) {
            findings.push(
                Finding::error(
                    ErrorKind::Unsupported,
                    format!("`{}`", subject.snapshot.name),
                    format!("it was taken by {newer}, and the cluster is {version}"),
                )
                .doing("restore it into a cluster that is at least as new"),
            );
        }
        findings.push(
            Finding::warning("versions, sizes and settings of the indices", "not checked: no cluster tells them")
                .doing("name the repository with `--location`"),
        );
        return;
    };
    let Some(advice) = &offline.advice else { return };
    let chosen = |name: &str| subject.plan.pieces().any(|piece| piece.index == name);
    for index in advice.indices.iter().filter(|index| chosen(&index.name)) {
        let reason = index.reason.clone().unwrap_or_default();
        let subject = format!("`{}`", index.name);
        match index.verdict {
            "no" => {
                let way = match index.by_way_of.as_slice() {
                    [] => String::new(),
                    stones => format!(", or restore and reindex it in {} on the way", stones.join(", then ")),
                };
                findings.push(
                    Finding::error(ErrorKind::Unsupported, subject, format!("{version} does not restore it: {reason}"))
                        .doing(format!("leave it out: `--indices '*,-{}'`{way}", index.name)),
                );
            }
            "archive" | "read-only" => {
                findings.push(Finding::warning(subject, format!("it will be {}: {reason}", index.verdict)));
            }
            "unknown" | "partial" => findings.push(Finding::warning(subject, format!("{}: {reason}", index.verdict))),
            _ => {}
        }
    }
}

/// Whether a text is a release of the same distribution, and newer. A number of an index version is no release.
fn is_newer(text: &str, version: &crate::elastic::Version) -> bool {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor)), Some(Some(patch))) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    // The fork counts from 1 again, what it took over counts on from 7.
    let is_comparable = version.distribution == Distribution::Elasticsearch || major < 5;
    is_comparable && (major, minor, patch) > (version.major, version.minor, version.patch)
}

fn throttles(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    let Some(repository) = &ground.repository else { return };
    let asked = subject.options.raise.bytes_per_second.is_some();
    if let Some(limit) = repository.settings.get("max_restore_bytes_per_sec").filter(|_| asked) {
        findings.push(
            Finding::warning(
                format!("the repository `{}`", repository.name),
                format!(
                    "it is registered with `max_restore_bytes_per_sec` {limit}, which holds whatever the cluster allows"
                ),
            )
            .doing("register it with a higher one"),
        );
    }
}

pub(super) async fn check_privileges(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let mut cluster = CLUSTER.to_vec();
    if subject.options.raise != crate::elastic::throttle::Raise::default() {
        cluster.push("cluster:admin/settings/update");
    }
    let names: Vec<String> = subject.plan.pieces().take(ASKED).map(|piece| piece.target.clone()).collect();
    if names.is_empty()
        || subject.client.version().distribution == Distribution::OpenSearch
        || subject.client.version().major < 6
    {
        return;
    }
    match health::lacking(subject.client, &cluster, &INDEX, &names).await {
        Ok(lacking) if lacking.is_empty() => {}
        Ok(lacking) => findings.push(
            Finding::error(ErrorKind::Denied, "the user", format!("it lacks {}", lacking.join(", ")))
                .doing("give it a role with these privileges"),
        ),
        Err(error) => findings.push(Finding::unknown("the user's privileges", &error)),
    }
}

pub(super) async fn check_licence(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.client.version().distribution == Distribution::OpenSearch {
        return;
    }
    match health::licence(subject.client).await {
        Ok(Some((kind, status))) if status != "active" => findings.push(
            Finding::warning("the licence", format!("its type is {kind} and its state {status}"))
                .doing("renew it: some calls are refused without"),
        ),
        Ok(_) => {}
        Err(error) => findings.push(Finding::unknown("the licence", &error)),
    }
}
