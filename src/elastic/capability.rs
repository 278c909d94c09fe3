//! What a version can do: one struct, made once from `GET /`.
//!
//! The gates are the table of `elasticsearch-api.md` 2.0, with those of 2.1, 2.2 and 2.4 beside it; where a real engine was asked, the
//! test says so. What depends on plugins or on who runs the cluster is told by [`plugins`](super::plugins) and
//! [`service`](super::service).

use serde::Serialize;

use super::version::{Distribution, Version};

/// What this version can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one gate, and none depends on another")]
pub struct Capability {
    /// `verbose=false` lists snapshots from the root blob alone; older versions refuse the parameter. Elasticsearch 5.6, `OpenSearch`.
    pub short_listing: bool,
    /// `index_details` tells the size of each index in a snapshot; others refuse the parameter. Elasticsearch 7.13.
    pub index_details: bool,
    /// An S3 repository takes `region` beside `endpoint`; in 5.x the region silently wins. Elasticsearch 6.0, `OpenSearch`.
    pub region_beside_endpoint: bool,
    /// A shard whose restore failed can be tried again. Before 5.6.6, 6.0.2 and 6.1.1 the files that the first try left make
    /// every other fail, whose message then hides the cause (Elasticsearch 27476).
    pub tries_shards_again: bool,
    /// `path_style_access` is obeyed; 7.0 to 7.3 always use path style.
    pub virtual_host_style: bool,
    /// Remote clusters are `cluster.remote.*`; before `search.remote.*`. Elasticsearch 6.5, `OpenSearch`.
    pub cluster_remote_settings: bool,
    /// Cross-cluster replication is part of it. Elasticsearch 6.7; in `OpenSearch` it is a plugin, from 1.1.
    pub cross_cluster_replication: bool,
    /// Several restores run side by side; before, one at a time in the whole cluster. Elasticsearch 6.6, `OpenSearch`.
    pub parallel_restores: bool,
    /// `POST _snapshot/<r>/_cleanup`. Elasticsearch 7.4, `OpenSearch`.
    pub repository_cleanup: bool,
    /// The cluster remembers a repository's generation and notices that somebody else wrote. Elasticsearch 7.6, `OpenSearch`.
    pub tracked_generation: bool,
    /// Remote clusters in `mode: proxy`. Elasticsearch 7.7, `OpenSearch`.
    pub remote_proxy_mode: bool,
    /// One request deletes several snapshots. Elasticsearch 7.8, `OpenSearch`.
    pub several_deletions: bool,
    /// Composable templates, `_index_template`. Elasticsearch 7.8, `OpenSearch`.
    pub composable_templates: bool,
    /// `PUT <i>/_block/<block>` waits for the writes under way. Elasticsearch 7.9, `OpenSearch`.
    pub index_blocks: bool,
    /// `_resolve/index` tells indices, aliases and data streams apart. Elasticsearch 7.9, `OpenSearch`.
    pub index_resolution: bool,
    /// There are data streams. Elasticsearch 7.9, `OpenSearch`.
    pub data_streams: bool,
    /// `_snapshot/<r>/<s>/_clone`. Elasticsearch 7.10, `OpenSearch`.
    pub snapshot_clone: bool,
    /// A snapshot keeps `metadata` of whoever takes it. Elasticsearch 7.3, `OpenSearch`.
    pub snapshot_metadata: bool,
    /// `feature_states` and `_features`; `OpenSearch` refuses the key. Elasticsearch 7.12.
    pub feature_states: bool,
    /// System indices are restored as part of a feature state only. Elasticsearch 8.0.
    pub protected_system_indices: bool,
    /// `POST _snapshot/<r>/_analyze` tries what a store can do. Elasticsearch 7.12.
    pub repository_analysis: bool,
    /// A repository's `uuid` is shown once its content was read. Elasticsearch 7.12.
    pub repository_uuid: bool,
    /// A listing of snapshots takes `size`, `order`, `sort` and `after`. Elasticsearch 7.14.
    pub snapshot_pages: bool,
    /// It takes `offset` and tells `total` and `remaining`. Elasticsearch 7.15.
    pub snapshot_offsets: bool,
    /// It takes `slm_policy_filter` and `from_sort_value`. Elasticsearch 7.16.
    pub policy_filter: bool,
    /// It takes `index_names` and `include_repository`. Elasticsearch 8.3.
    pub index_names: bool,
    /// It takes `state`; 8.12.2 refuses it. Elasticsearch 9.1.
    pub state_filter: bool,
    /// A repository in use is told with 409 `repository_conflict_exception`, not 500. Elasticsearch 8.0, `OpenSearch` 3.0.
    pub conflict_status: bool,
    /// Indices of 5.x and 6.x open read-only, given the licence. Elasticsearch 8.3.
    pub archive_indices: bool,
    /// Registering the same settings again frees a repository that disabled itself. Elasticsearch 8.5.
    pub reregistration_unblocks: bool,
    /// Remote clusters by API key, port 9443. Elasticsearch 8.14, as a preview 8.10.
    pub api_key_remotes: bool,
    /// `skip_unavailable` of a remote cluster is on unless said otherwise. Elasticsearch 8.15.
    pub skip_unavailable_by_default: bool,
    /// `POST _snapshot/<r>/_verify_integrity`. Elasticsearch 8.16.
    pub integrity_check: bool,
    /// The S3 plugin has Amazon's second SDK, and `readonly` keeps every write out. Elasticsearch 8.19 and 9.1, not 9.0.
    pub watertight_readonly: bool,
    /// `s3` comes with the server; before, and in `OpenSearch`, it is a plugin. Elasticsearch 8.0.
    pub s3_module: bool,
    /// `s3` keys stand in the keystore under a client's name; before 6.0 in the repository's settings. Elasticsearch 6.0, `OpenSearch`.
    pub named_s3_clients: bool,
    /// `POST _nodes/reload_secure_settings` takes new keys without a restart. Elasticsearch 6.4, `OpenSearch`.
    pub reloads_secure_settings: bool,
    /// `type: url` and the rest are modules that every node lists; in 5.x `url` is part of the server.
    pub url_module: bool,
    /// `master_timeout` is called `cluster_manager_timeout`; the old word is deprecated. `OpenSearch` 2.0.
    pub cluster_manager_timeout: bool,
    /// A restore takes `rename_alias_pattern`. `OpenSearch` 2.18.
    pub alias_renaming: bool,
    /// A restore takes `storage_type`. `OpenSearch` 2.7.
    pub storage_type: bool,
    /// API keys. Elasticsearch 6.7.
    pub api_keys: bool,
}

/// From which version on something is there; none: never.
struct Since {
    elasticsearch: Option<(u32, u32)>,
    open_search: Option<(u32, u32)>,
}

/// In Elasticsearch from this version on, and in every `OpenSearch`, which began as 7.10.
const fn both(major: u32, minor: u32) -> Since {
    Since { elasticsearch: Some((major, minor)), open_search: Some((1, 0)) }
}

const fn elasticsearch(major: u32, minor: u32) -> Since {
    Since { elasticsearch: Some((major, minor)), open_search: None }
}

const fn open_search(major: u32, minor: u32) -> Since {
    Since { elasticsearch: None, open_search: Some((major, minor)) }
}

impl Capability {
    /// What this version can do.
    #[must_use]
    pub(super) fn of(version: &Version) -> Self {
        let own = (version.major, version.minor);
        let is_fork = version.distribution == Distribution::OpenSearch;
        let has = |since: Since| {
            let first = if is_fork { since.open_search } else { since.elasticsearch };
            first.is_some_and(|first| own >= first)
        };
        Self {
            short_listing: has(both(5, 6)),
            index_details: has(elasticsearch(7, 13)),
            region_beside_endpoint: has(both(6, 0)),
            tries_shards_again: is_fork
                || match own {
                    (5, minor) => (minor, version.patch) >= (6, 6),
                    (6, 0) => version.patch >= 2,
                    (6, 1) => version.patch >= 1,
                    _ => true,
                },
            virtual_host_style: is_fork || !((7, 0)..(7, 4)).contains(&own),
            cluster_remote_settings: has(both(6, 5)),
            cross_cluster_replication: has(elasticsearch(6, 7)),
            parallel_restores: has(both(6, 6)),
            repository_cleanup: has(both(7, 4)),
            tracked_generation: has(both(7, 6)),
            remote_proxy_mode: has(both(7, 7)),
            several_deletions: has(both(7, 8)),
            composable_templates: has(both(7, 8)),
            index_blocks: has(both(7, 9)),
            index_resolution: has(both(7, 9)),
            data_streams: has(both(7, 9)),
            snapshot_clone: has(both(7, 10)),
            snapshot_metadata: has(both(7, 3)),
            feature_states: has(elasticsearch(7, 12)),
            protected_system_indices: has(elasticsearch(8, 0)),
            repository_analysis: has(elasticsearch(7, 12)),
            repository_uuid: has(elasticsearch(7, 12)),
            snapshot_pages: has(elasticsearch(7, 14)),
            snapshot_offsets: has(elasticsearch(7, 15)),
            policy_filter: has(elasticsearch(7, 16)),
            index_names: has(elasticsearch(8, 3)),
            state_filter: has(elasticsearch(9, 1)),
            conflict_status: has(Since { elasticsearch: Some((8, 0)), open_search: Some((3, 0)) }),
            archive_indices: has(elasticsearch(8, 3)),
            reregistration_unblocks: has(elasticsearch(8, 5)),
            api_key_remotes: has(elasticsearch(8, 14)),
            skip_unavailable_by_default: has(elasticsearch(8, 15)),
            integrity_check: has(elasticsearch(8, 16)),
            watertight_readonly: has(elasticsearch(8, 19)) && own != (9, 0),
            s3_module: has(elasticsearch(8, 0)),
            named_s3_clients: has(both(6, 0)),
            reloads_secure_settings: has(both(6, 4)),
            url_module: has(both(6, 0)),
            cluster_manager_timeout: has(open_search(2, 0)),
            alias_renaming: has(open_search(2, 18)),
            storage_type: has(open_search(2, 7)),
            api_keys: has(elasticsearch(6, 7)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    /// The words of what a version can do.
    fn of(number: &str, distribution: Option<&str>) -> BTreeSet<String> {
        let version = Version::parse(&json!({ "number": number, "distribution": distribution })).unwrap();
        let Value::Object(all) = serde_json::to_value(version.capability()).unwrap() else { unreachable!() };
        all.into_iter().filter(|(_, on)| on == true).map(|(name, _)| name).collect()
    }

    /// What each step of the table adds, and nothing else changes on the way.
    #[test]
    fn every_gate_opens_with_its_version_and_stays_open() {
        let steps: &[(&str, &[&str])] = &[
            ("5.6.16", &["short_listing", "tries_shards_again"]),
            ("6.0.2", &["named_s3_clients", "region_beside_endpoint", "url_module"]),
            ("6.4.0", &["reloads_secure_settings"]),
            ("6.5.0", &["cluster_remote_settings"]),
            ("6.6.0", &["parallel_restores"]),
            ("6.7.0", &["api_keys", "cross_cluster_replication"]),
            ("7.4.0", &["repository_cleanup", "snapshot_metadata"]),
            ("7.6.0", &["tracked_generation"]),
            ("7.7.0", &["remote_proxy_mode"]),
            ("7.8.0", &["composable_templates", "several_deletions"]),
            ("7.9.0", &["data_streams", "index_blocks", "index_resolution"]),
            ("7.10.0", &["snapshot_clone"]),
            ("7.12.0", &["feature_states", "repository_analysis", "repository_uuid"]),
            ("7.13.0", &["index_details"]),
            ("7.14.0", &["snapshot_pages"]),
            ("7.15.0", &["snapshot_offsets"]),
            ("7.16.0", &["policy_filter"]),
            ("8.0.0", &["conflict_status", "protected_system_indices", "s3_module"]),
            ("8.3.0", &["archive_indices", "index_names"]),
            ("8.5.0", &["reregistration_unblocks"]),
            ("8.14.0", &["api_key_remotes"]),
            ("8.15.0", &["skip_unavailable_by_default"]),
            ("8.16.0", &["integrity_check"]),
        ];
        let mut before = of("5.5.3", None);
        assert_eq!(before, BTreeSet::from(["virtual_host_style".to_owned()]));
        for (number, added) in steps {
            let now = of(number, None);
            let new: Vec<&str> = now.difference(&before).map(String::as_str).collect();
            assert_eq!(new, *added, "{number}");
            assert_eq!(before.difference(&now).count(), 0, "{number} lost something");
            before = now;
        }
        assert!(of("8.19.0", None).contains("watertight_readonly"));
        assert!(!of("9.0.0", None).contains("watertight_readonly"));
        let newest = of("9.1.0", None);
        assert!(newest.contains("watertight_readonly") && newest.contains("state_filter"));
    }

    #[test]
    fn from_seven_to_seven_three_the_bucket_is_always_in_the_path() {
        for (number, obeyed) in [("6.8.23", true), ("7.0.0", false), ("7.3.2", false), ("7.4.0", true)] {
            assert_eq!(of(number, None).contains("virtual_host_style"), obeyed, "{number}");
        }
    }

    #[test]
    fn the_fork_has_what_seven_ten_had_and_its_own() {
        let elastic = of("7.10.2", None);
        let one = of("1.3.20", Some("opensearch"));
        let lost: Vec<&str> = elastic.difference(&one).map(String::as_str).collect();
        assert_eq!(lost, ["api_keys", "cross_cluster_replication"]);
        assert_eq!(one.difference(&elastic).count(), 0);
        let added =
            |from: &BTreeSet<String>, to: &BTreeSet<String>| -> Vec<String> { to.difference(from).cloned().collect() };
        let two = of("2.5.0", Some("opensearch"));
        assert_eq!(added(&one, &two), ["cluster_manager_timeout"]);
        assert_eq!(added(&two, &of("2.19.6", Some("opensearch"))), ["alias_renaming", "storage_type"]);
        assert!(of("3.0.0", Some("opensearch")).contains("conflict_status"));
    }
}
