//! Whether an object that is at both sides needs another copy: same, different, or cannot tell from the listing.

use serde::{Deserialize, Serialize};

use crate::store::ObjectMeta;

/// The rule by which an object that is there already is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compare {
    /// Sizes are equal and the target's modification time, in whole seconds, is not older than the source's.
    #[default]
    SizeTime,
    /// Sizes are equal.
    Size,
    /// Never: everything is copied again.
    Always,
    /// Sizes are equal and the target's object remembers to be a copy of exactly this source object: by its modification time and
    /// its mark. Costs a look at every object that is there.
    Exact,
    /// It exists.
    Missing,
}

/// Why an object is to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The target does not have it.
    Missing,
    /// The sizes differ.
    Size,
    /// The source's is newer.
    Time,
    /// The rule is to copy always.
    Always,
    /// The contents differ.
    Content,
}

impl Reason {
    /// The word for it in text and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Size => "size",
            Self::Time => "time",
            Self::Always => "always",
            Self::Content => "content",
        }
    }
}

impl Compare {
    /// Why `source` must be copied over `target`; none if it need not.
    #[must_use]
    pub fn differs(self, source: &ObjectMeta, target: &ObjectMeta) -> Option<Reason> {
        match self {
            Self::Always => Some(Reason::Always),
            Self::Size | Self::SizeTime | Self::Exact if source.size != target.size => Some(Reason::Size),
            // Stores keep times to the second or finer; a finer comparison would copy again what was copied within a second.
            Self::SizeTime if target.modified.as_second() < source.modified.as_second() => Some(Reason::Time),
            // Not decided by a listing: the transfer looks.
            Self::Exact => Some(Reason::Content),
            Self::Size | Self::SizeTime | Self::Missing => None,
        }
    }

    /// The word for leaving an object alone by this rule.
    #[must_use]
    pub fn skipped(self) -> &'static str {
        match self {
            Self::SizeTime => "same-size-not-older",
            Self::Size => "same-size",
            Self::Exact => "remembered",
            Self::Missing | Self::Always => "exists",
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::Key;

    fn meta(size: u64, millis: i64) -> ObjectMeta {
        let modified = Timestamp::from_millisecond(millis).expect("in range");
        ObjectMeta { key: Key::new("k").expect("not empty"), size, modified, etag: None }
    }

    #[test]
    fn the_default_rule_is_size_and_whole_seconds() {
        let rule = Compare::default();
        assert_eq!(rule.differs(&meta(1, 5_900), &meta(1, 5_100)), None);
        assert_eq!(rule.differs(&meta(1, 6_000), &meta(1, 5_999)), Some(Reason::Time));
        assert_eq!(rule.differs(&meta(1, 0), &meta(1, 9_000)), None);
        assert_eq!(rule.differs(&meta(2, 0), &meta(1, 9_000)), Some(Reason::Size));
    }

    #[test]
    fn the_other_rules_do_what_they_say() {
        let (old, new, longer) = (meta(1, 0), meta(1, 9_000), meta(2, 0));
        assert_eq!(Compare::Size.differs(&new, &old), None);
        assert_eq!(Compare::Size.differs(&longer, &old), Some(Reason::Size));
        assert_eq!(Compare::Always.differs(&old, &new), Some(Reason::Always));
        assert_eq!(Compare::Missing.differs(&longer, &old), None);
    }
}
