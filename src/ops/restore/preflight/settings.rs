//! Settings of the indices that cannot work on the target, or do there what nobody wants. Each finding proposes what to leave behind.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ground, Subject};
use crate::elastic::Distribution;
use crate::elastic::aftercare::Lifecycle;
use crate::elastic::health::Node;
use crate::elastic::inventory::Thing;
use crate::elastic::selection::matches;
use crate::error::ErrorKind;
use crate::ops::restore::finding::Finding;

const INCLUDE: &str = "index.routing.allocation.include.";
const REQUIRE: &str = "index.routing.allocation.require.";
const TIERS: &str = "_tier_preference";

/// What the words of an analysis come from, where it is not the server itself: `elasticsearch-analysis-ik` is a third party's.
const ANALYSIS: [(&str, &[&str]); 10] = [
    ("icu_", &["analysis-icu"]),
    ("ik_", &["analysis-ik", "elasticsearch-analysis-ik"]),
    ("kuromoji", &["analysis-kuromoji"]),
    ("nori", &["analysis-nori"]),
    ("smartcn", &["analysis-smartcn"]),
    ("phonetic", &["analysis-phonetic"]),
    ("polish", &["analysis-stempel"]),
    ("ukrainian", &["analysis-ukrainian"]),
    ("pinyin", &["analysis-pinyin", "elasticsearch-analysis-pinyin"]),
    ("aliws", &["analysis-aliws"]),
];

/// Ways to read files that every server knows.
const STORES: [&str; 6] = ["", "fs", "niofs", "mmapfs", "hybridfs", "simplefs"];

/// Findings that many indices share are told once.
#[derive(Default)]
struct Shared(BTreeMap<(String, Option<String>, Option<String>), Vec<String>>);

impl Shared {
    fn add(&mut self, index: &str, what: String, action: Option<String>, setting: Option<String>) {
        self.0.entry((what, action, setting)).or_default().push(index.to_owned());
    }

    fn into_findings(self, findings: &mut Vec<Finding>) {
        const SHOWN: usize = 5;
        for ((what, action, setting), indices) in self.0 {
            let mut subject = indices.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            if indices.len() > SHOWN {
                subject.push_str(&format!(" and {} more", indices.len() - SHOWN));
            }
            let mut finding = Finding::warning(subject, what);
            finding.action = action;
            finding.ignore_settings.extend(setting);
            findings.push(finding);
        }
    }
}

pub(super) fn check(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    let Some(offline) = subject.offline else { return };
    let mut shared = Shared::default();
    for piece in subject.plan.pieces() {
        let Some(facts) = offline.indices.get(&piece.index) else { continue };
        let settings: BTreeMap<&str, &str> =
            facts.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let is_left = |name: &str| subject.options.ignore_settings.iter().any(|pattern| matches(pattern, name));
        let mut look = Look { subject, ground, index: &piece.index, settings, shared: &mut shared };
        look.allocation(&is_left);
        look.lifecycle();
        look.pipelines();
        look.store();
        look.analysis(findings);
        look.marks(&is_left);
    }
    shared.into_findings(findings);
}

/// One index under the eye.
struct Look<'a> {
    subject: &'a Subject<'a>,
    ground: &'a Ground,
    index: &'a str,
    settings: BTreeMap<&'a str, &'a str>,
    shared: &'a mut Shared,
}

impl Look<'_> {
    fn leave(&mut self, setting: &str, what: String) {
        let action = format!("`{setting}` is left behind");
        self.shared.add(self.index, what, Some(action), Some(setting.to_owned()));
    }

    fn note(&mut self, what: String, action: impl Into<Option<String>>) {
        self.shared.add(self.index, what, action.into(), None);
    }

    fn is_elasticsearch(&self) -> bool {
        self.subject.client.version().distribution == Distribution::Elasticsearch
    }

    /// A filter that no node meets makes the restore fail at once (finding 12).
    fn allocation(&mut self, is_left: &impl Fn(&str) -> bool) {
        let Some(nodes) = &self.ground.nodes else { return };
        let filters: Vec<(String, String)> = self
            .settings
            .iter()
            .filter(|(name, _)| name.starts_with(INCLUDE) || name.starts_with(REQUIRE))
            .filter(|(name, value)| !is_left(name) && !value.is_empty())
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        for (name, value) in filters {
            let attribute = name.strip_prefix(INCLUDE).or_else(|| name.strip_prefix(REQUIRE)).unwrap_or_default();
            let knows_tiers = self.is_elasticsearch()
                && (self.subject.client.version().major, self.subject.client.version().minor) >= (7, 10);
            let is_met = if attribute == TIERS {
                knows_tiers && value.split(',').any(|tier| nodes.iter().any(|node| has_tier(node, tier.trim())))
            } else {
                let mut data = nodes.iter().filter(|node| node.has_data());
                data.any(|node| value.split(',').any(|wanted| fits(node, attribute, wanted.trim())))
            };
            if !is_met {
                self.leave(&name, format!("`{name}` is `{value}`, which no node here meets"));
            }
        }
    }

    fn lifecycle(&mut self) {
        let Some(policy) = self.settings.get("index.lifecycle.name").filter(|name| !name.is_empty()).copied() else {
            return;
        };
        let inventory = self.ground.inventory.as_ref();
        match self.subject.options.lifecycle {
            Lifecycle::Remove => self.note(
                format!("it comes without its lifecycle policy `{policy}`, which counts from the day the index was created"),
                Some("attach a policy afterwards with `index.lifecycle.name`, or restore with `--lifecycle keep`".to_owned()),
            ),
            Lifecycle::Keep if inventory.is_some_and(|inventory| inventory.deleting.contains(policy)) => self.note(
                format!("its lifecycle policy `{policy}` deletes, counting from the day the index was created: it may be gone minutes after the restore"),
                Some("restore with `--lifecycle remove` or `--lifecycle stop`".to_owned()),
            ),
            Lifecycle::Keep | Lifecycle::Stop => {}
        }
        let is_known = inventory.is_none_or(|inventory| inventory.has(Thing::LifecyclePolicy, policy));
        if !is_known && self.subject.options.lifecycle != Lifecycle::Remove {
            self.note(format!("its lifecycle policy `{policy}` is not here"), Some("make the policy first".to_owned()));
        }
    }

    fn pipelines(&mut self) {
        let Some(inventory) = &self.ground.inventory else { return };
        for name in ["index.default_pipeline", "index.final_pipeline"] {
            let Some(pipeline) = self.settings.get(name).filter(|text| !matches!(**text, "" | "_none")) else {
                continue;
            };
            if !inventory.has(Thing::Pipeline, pipeline) {
                let what = format!("its pipeline `{pipeline}` (`{name}`) is not here: every write to it will fail");
                self.note(what, Some("make the pipeline before anything is written".to_owned()));
            }
        }
    }

    fn store(&mut self) {
        let store = self.settings.get("index.store.type").copied().unwrap_or_default();
        if matches!(store, "snapshot" | "remote_snapshot") {
            self.note(
                "it is a mounted snapshot: its data lies in the repository that it was mounted from".to_owned(),
                Some("register that repository under its own name too".to_owned()),
            );
        } else if !STORES.contains(&store) {
            self.leave("index.store.type", format!("`index.store.type` is `{store}`, which this server does not know"));
        }
        let replication = self.settings.get("index.replication.type").copied().unwrap_or_default();
        if !replication.is_empty() && self.is_elasticsearch() {
            self.leave(
                "index.replication.type",
                format!("`index.replication.type` is `{replication}`, which only OpenSearch and Alibaba's apack know"),
            );
        }
        if self.settings.keys().any(|name| name.starts_with("index.apack.")) {
            self.leave("index.apack.*", "it has settings of Alibaba's apack (`index.apack.*`)".to_owned());
        }
        if self.settings.get("index.soft_deletes.enabled") == Some(&"false") {
            self.note("it has no soft deletes: it can never be followed by another cluster".to_owned(), None);
        }
    }

    /// Words of an analysis that a plugin brings: without it the index cannot be opened.
    fn analysis(&mut self, findings: &mut Vec<Finding>) {
        let Some(nodes) = &self.ground.nodes else { return };
        let words =
            self.settings.iter().filter(|(name, _)| name.starts_with("index.analysis.") && name.ends_with(".type"));
        let words: BTreeSet<&str> = words.map(|(_, word)| *word).collect();
        for (begin, plugins) in ANALYSIS {
            let Some(word) = words.iter().find(|word| word.starts_with(begin)) else { continue };
            let mut data = nodes.iter().filter(|node| node.has_data() && !node.plugins.is_empty());
            if data.any(|node| !plugins.iter().any(|plugin| node.plugins.contains(*plugin))) {
                findings.push(
                    Finding::error(
                        ErrorKind::Unsupported,
                        format!("`{}`", self.index),
                        format!("its analysis uses `{word}`, and not every node has the plugin `{}`", plugins[0]),
                    )
                    .doing("install the plugin on every node, or leave the index out"),
                );
            }
        }
    }

    /// What is usually left behind, told where the user wants it kept.
    fn marks(&mut self, is_left: &impl Fn(&str) -> bool) {
        let kept: Vec<String> = self
            .settings
            .iter()
            .filter(|(name, value)| name.starts_with("index.blocks.") && **value == "true" && !is_left(name))
            .map(|(name, _)| (*name).to_owned())
            .collect();
        for name in kept {
            self.note(format!("`{name}` comes along: the target refuses what it blocks"), None);
        }
        let follows = "index.xpack.ccr.following_index";
        if self.settings.get(follows) == Some(&"true") && !is_left(follows) {
            self.leave(follows, "it followed another cluster's index".to_owned());
        }
    }
}

fn has_tier(node: &Node, tier: &str) -> bool {
    node.roles.contains(tier) || node.roles.contains("data") || node.roles.is_empty()
}

/// Whether a node meets a filter. What only its address could tell is taken for met.
fn fits(node: &Node, attribute: &str, wanted: &str) -> bool {
    match attribute {
        "_name" => matches(wanted, &node.name),
        name if name.starts_with('_') => true,
        name => node.attributes.get(name).is_some_and(|value| matches(wanted, value)),
    }
}
