//! Every key the configuration has, and what its value must be. The one list: the file, the environment and the messages read it.

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text that is not empty.
    Text,
    /// A text that no message may repeat.
    Secret,
    /// The path of a file.
    Path,
    /// `true` or `false`.
    Switch,
    /// A whole number in this range.
    Number { least: u64, most: u64 },
    /// A number of bytes in this range, with or without a unit.
    Size { least: u64, most: u64 },
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// What is allowed, for messages.
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Text | Self::Secret => "a text in quotes that is not empty".to_owned(),
            Self::Path => "the path of a file, in quotes".to_owned(),
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Number { least, most } => format!("a whole number from {least} to {most}"),
            Self::Size { least, most } => {
                format!("a number of bytes or a text like \"64MiB\", from {} to {}", size(least), size(most))
            }
            Self::Choice(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                words.join(", ")
            }
        }
    }
}

fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} bytes")
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

const fn spec(name: &'static str, kind: Kind) -> Spec {
    Spec { name, kind }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// The keys of `[store.<name>]`.
pub(super) const STORE: &[Spec] = &[
    spec("url", Kind::Text),
    spec("endpoint", Kind::Text),
    spec("region", Kind::Text),
    spec("addressing", Kind::Choice(&["auto", "path", "virtual"])),
    spec("access_key_id", Kind::Secret),
    spec("access_key_id_file", Kind::Path),
    spec("secret_access_key", Kind::Secret),
    spec("secret_access_key_file", Kind::Path),
    spec("session_token", Kind::Secret),
    spec("session_token_file", Kind::Path),
    spec("profile", Kind::Text),
    spec("ca_bundle", Kind::Path),
    spec("allow_http", Kind::Switch),
];

/// The keys of `[elastic.<name>]`.
pub(super) const ELASTIC: &[Spec] = &[
    spec("url", Kind::Text),
    spec("username", Kind::Text),
    spec("password", Kind::Secret),
    spec("password_file", Kind::Path),
    spec("api_key", Kind::Secret),
    spec("api_key_file", Kind::Path),
    spec("ca_bundle", Kind::Path),
    spec("allow_http", Kind::Switch),
];

/// The keys of `[transfer]`.
pub(super) const TRANSFER: &[Spec] = &[
    spec("transfers", Kind::Number { least: 1, most: 1024 }),
    spec("memory", Kind::Size { least: MIB, most: 1024 * GIB }),
    spec("part_size", Kind::Size { least: 5 * MIB, most: 5 * GIB }),
    spec("multipart_threshold", Kind::Size { least: 5 * MIB, most: 5 * GIB }),
    spec("attempts", Kind::Number { least: 1, most: 100 }),
    spec("replans", Kind::Number { least: 0, most: 100 }),
];

/// The kinds of section, with their keys.
pub(super) const SECTIONS: [(&str, &[Spec]); 3] = [("store", STORE), ("elastic", ELASTIC), ("transfer", TRANSFER)];

/// "did you mean …" for a word, out of the words it could be.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(&word.to_ascii_lowercase(), name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
