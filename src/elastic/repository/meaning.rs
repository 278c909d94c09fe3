//! Names of repositories that the managed services give, and what they mean.

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) text: String,
    /// Whether it can be the source of a copy.
    pub(super) usable: bool,
}

/// What Alibaba Cloud calls its reference to another instance's automatic snapshots, before that instance's id.
const REFERENCE: &str = "aliyun_snapshot_from_";

/// What a name means, if a service gave it.
pub(super) fn meaning(name: &str) -> Option<Meaning> {
    let usable = |text: String| Some(Meaning { text, usable: true });
    match name {
        "aliyun_auto_snapshot" => usable("the automatic snapshots of this Alibaba Cloud instance".into()),
        "cs-automated" | "cs-automated-enc" => Some(Meaning {
            text: "the automated snapshots of this Amazon domain: they restore into it and nowhere else".into(),
            usable: false,
        }),
        _ => {
            let instance = name.strip_prefix(REFERENCE).filter(|instance| !instance.is_empty())?;
            usable(format!("a reference to the automatic snapshots of the Alibaba Cloud instance `{instance}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_names_are_known() {
        assert!(meaning("aliyun_snapshot_from_es-cn-a").is_some_and(|meaning| meaning.text.contains("`es-cn-a`")));
        assert!(meaning("aliyun_auto_snapshot").is_some_and(|meaning| meaning.usable));
        for name in ["cs-automated", "cs-automated-enc"] {
            assert!(meaning(name).is_some_and(|meaning| !meaning.usable), "{name}");
        }
        assert_eq!((meaning("aliyun_snapshot_from_"), meaning("backup")), (None, None));
    }
}
