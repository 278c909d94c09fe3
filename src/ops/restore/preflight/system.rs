//! The cluster's own state: what asks for it, and what it goes over.

use super::{Ground, Subject};
use crate::elastic::creation::GlobalState;
use crate::elastic::inventory::Thing;
use crate::elastic::selection::owner;
use crate::error::ErrorKind;
use crate::ops::restore::Consent;
use crate::ops::restore::finding::Finding;

pub(super) fn check(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    indices(subject, findings);
    features(subject, findings);
    global(subject, ground, findings);
}

/// Up to 7.x they are restored by name and break what uses them; from 8.0 on the cluster refuses.
fn indices(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let version = subject.client.version();
    let is_refused = subject.client.capability().protected_system_indices;
    for piece in subject.plan.pieces() {
        let Some(owner) = owner(&piece.target).filter(|_| piece.target.starts_with('.')) else { continue };
        if is_refused && !piece.target.starts_with(".ds-") {
            findings.push(Finding::warning(
                format!("`{}`", piece.index),
                format!("it belongs to {owner}: {version} restores it only as part of a feature (`--feature-states`), if it counts it as its own"),
            ));
        } else if subject.options.overwrite_system == Consent::Withheld
            && matches!(owner, "Kibana" | "security" | "OpenSearch Dashboards")
        {
            findings.push(i_know(
                format!("`{}`", piece.index),
                format!("it belongs to {owner}: restoring it replaces logins or everything that {owner} keeps"),
            ));
        }
    }
}

fn i_know(subject: impl Into<String>, what: impl Into<String>) -> Finding {
    Finding::error(ErrorKind::Precondition, subject, what).doing("if that is what you want, say `--i-know`")
}

fn features(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let asked = &subject.options.feature_states;
    if asked.is_empty() {
        return;
    }
    if !subject.client.capability().feature_states {
        findings.push(
            Finding::error(ErrorKind::Unsupported, "feature states", format!("{} has none", subject.client.version()))
                .doing("leave `--feature-states` out"),
        );
        return;
    }
    let what = format!("the state of {} replaces what the cluster has", asked.join(", "));
    findings.push(if subject.options.overwrite_system == Consent::Given {
        Finding::warning("feature states", what)
    } else {
        i_know("feature states", what)
    });
}

/// What a global state goes over, by name.
fn global(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    if subject.options.global_state == GlobalState::Without {
        return;
    }
    if subject.snapshot.include_global_state == Some(false) {
        findings.push(
            Finding::error(
                ErrorKind::NotFound,
                format!("`{}`", subject.snapshot.name),
                "it was taken without the cluster's state",
            )
            .doing("leave `--global-state` out"),
        );
    }
    let mut over = Vec::new();
    let mut tell = |word: &str, names: Vec<&str>| {
        const SHOWN: usize = 5;
        let own: Vec<&str> = names.into_iter().filter(|name| !name.starts_with('.')).collect();
        if !own.is_empty() {
            let more = own.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            over.push(format!("{word}: {}{more}", own[..own.len().min(SHOWN)].join(", ")));
        }
    };
    if let Some(settings) = &ground.settings {
        tell("persistent settings", settings.persistent().collect());
    }
    for (thing, names) in ground.inventory.iter().flat_map(|inventory| &inventory.things) {
        if !matches!(thing, Thing::Role | Thing::User) {
            tell(thing.word(), names.iter().map(String::as_str).collect());
        }
    }
    let what = if over.is_empty() {
        "it brings templates, persistent settings, pipelines, policies and scripts; nothing of that kind is here"
            .to_owned()
    } else {
        format!("it may replace what is here: {}", over.join("; "))
    };
    findings.push(if subject.options.overwrite_system == Consent::Given {
        Finding::warning("the global state", what)
    } else {
        i_know("the global state", what)
    });
}
