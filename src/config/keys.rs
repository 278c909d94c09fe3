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
    /// One text, or several in brackets or with commas between them.
    List,
    /// A time such as "10m", or a number of seconds.
    Time,
    /// `true` or `false`.
    Switch,
    /// A whole number in this range.
    Number { least: u64, most: u64 },
    /// A number of bytes in this range, with or without a unit.
    Size { least: u64, most: u64 },
    /// A number of bytes for each second, from 1 KiB: a size, with or without `/s` behind it.
    Rate,
    /// `true`, `false`, or `"auto"` to try it once.
    Ability,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// What is allowed, for messages.
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Text | Self::Secret => "a text in quotes that is not empty".to_owned(),
            Self::List => "a text in quotes, or several: `[\"…\", \"…\"]`".to_owned(),
            Self::Time => "seconds, or a text like \"10m\" or \"1h30m\"".to_owned(),
            Self::Path => "the path of a file, in quotes".to_owned(),
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Number { least, most } => format!("a whole number from {least} to {most}"),
            Self::Size { least, most } => {
                format!("a number of bytes or a text like \"64MiB\", from {} to {}", size(least), size(most))
            }
            Self::Rate => "bytes for each second, a number or a text like \"200MiB/s\", from 1 KiB".to_owned(),
            Self::Ability => "`true`, `false` or \"auto\"".to_owned(),
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
    spec("zone", Kind::Text),
    spec("network", Kind::Choice(&["public", "internal", "accelerate"])),
    spec("protocol", Kind::Choice(&["oss", "s3"])),
    spec("signature", Kind::Choice(&["v4", "v1"])),
    spec("addressing", Kind::Choice(&["auto", "path", "virtual"])),
    spec("access_key_id", Kind::Secret),
    spec("access_key_id_file", Kind::Path),
    spec("secret_access_key", Kind::Secret),
    spec("secret_access_key_file", Kind::Path),
    spec("session_token", Kind::Secret),
    spec("session_token_file", Kind::Path),
    spec("profile", Kind::Text),
    spec("ram_role", Kind::Text),
    spec("metadata_endpoint", Kind::Text),
    spec("sts_endpoint", Kind::Text),
    spec("ca_bundle", Kind::Path),
    spec("allow_http", Kind::Switch),
    spec("proxy", Kind::Secret),
    spec("requester_pays", Kind::Switch),
    spec("storage_class", Kind::Text),
    spec("encryption", Kind::Choice(&["AES256", "aws:kms", "KMS"])),
    spec("encryption_key", Kind::Text),
    spec("tags", Kind::Text),
    spec("provider", Kind::Choice(&PROVIDER_WORDS)),
    spec("list_version", Kind::Choice(&["auto", "v1", "v2"])),
    spec("encoding_type", Kind::Switch),
    spec("etag_md5", Kind::Ability),
    spec("checksum_header", Kind::Ability),
    spec("checksum_trailer", Kind::Ability),
    spec("delete_md5", Kind::Switch),
    spec("delete_batch", Kind::Switch),
    spec("conditional_writes", Kind::Ability),
    spec("dot_segments", Kind::Ability),
    spec("min_part", Kind::Size { least: 1, most: 5 * GIB }),
    spec("server_copy", Kind::Switch),
];

/// The providers that a store can be told to be.
const PROVIDER_WORDS: [&str; 11] =
    ["aws", "minio", "ceph", "seaweedfs", "garage", "r2", "tencent", "huawei", "qingstor", "oss", "other"];

/// The keys of `[elastic.<name>]`.
pub(super) const ELASTIC: &[Spec] = &[
    spec("url", Kind::List),
    spec("username", Kind::Text),
    spec("password", Kind::Secret),
    spec("password_file", Kind::Path),
    spec("api_key", Kind::Secret),
    spec("api_key_file", Kind::Path),
    spec("bearer_token", Kind::Secret),
    spec("bearer_token_file", Kind::Path),
    spec("auth", Kind::Choice(&["aws"])),
    spec("region", Kind::Text),
    spec("profile", Kind::Text),
    spec("access_key_id", Kind::Secret),
    spec("access_key_id_file", Kind::Path),
    spec("secret_access_key", Kind::Secret),
    spec("secret_access_key_file", Kind::Path),
    spec("session_token", Kind::Secret),
    spec("session_token_file", Kind::Path),
    spec("client_certificate", Kind::Path),
    spec("client_key", Kind::Path),
    spec("ca_bundle", Kind::Path),
    spec("allow_http", Kind::Switch),
    spec("proxy", Kind::Secret),
];

/// The keys of `[transfer]`.
pub(super) const TRANSFER: &[Spec] = &[
    spec("transfers", Kind::Number { least: 1, most: 1024 }),
    spec("memory", Kind::Size { least: MIB, most: 1024 * GIB }),
    spec("part_size", Kind::Size { least: 5 * MIB, most: 5 * GIB }),
    spec("multipart_threshold", Kind::Size { least: 5 * MIB, most: 5 * GIB }),
    spec("bandwidth", Kind::Rate),
    spec("requests_per_second", Kind::Number { least: 1, most: 1_000_000 }),
    spec("server_copy", Kind::Switch),
    spec("remember_source", Kind::Switch),
    spec("md5", Kind::Switch),
    spec("attempts", Kind::Number { least: 1, most: 100 }),
    spec("replans", Kind::Number { least: 0, most: 100 }),
];

/// The keys of `[job.<name>]`, beside its `hooks`.
pub(super) const JOB: &[Spec] = &[
    spec("from", Kind::Text),
    spec("to", Kind::Text),
    spec("from_cluster", Kind::Text),
    spec("to_cluster", Kind::Text),
    spec("repository", Kind::Text),
    spec("source_repository", Kind::Text),
    spec("snapshot", Kind::Text),
    spec("indices", Kind::List),
    // The slip of guide S3, which Elasticsearch ignores when it takes a snapshot. Taken for `indices`, with a warning.
    spec("indexes", Kind::List),
    spec("conflict", Kind::Choice(&["fail", "close", "skip", "swap", "delete"])),
    spec("rename_pattern", Kind::Text),
    spec("rename_replacement", Kind::Text),
    spec("without_aliases", Kind::Switch),
    spec("level", Kind::Number { least: 0, most: 4 }),
    spec("replicas", Kind::Number { least: 0, most: 100 }),
    spec("throttle", Kind::Rate),
    spec("outage", Kind::Time),
    spec("copy", Kind::Choice(&["all", "own"])),
    spec("leave_out_incompatible", Kind::Switch),
    spec("report", Kind::Path),
    spec("journal", Kind::Path),
    spec("hook_timeout", Kind::Time),
    spec("type", Kind::Text),
    spec("url", Kind::Text),
    spec("client", Kind::Text),
    spec("keys_in_settings", Kind::Text),
    spec("role_arn", Kind::Text),
    spec("server_side_encryption", Kind::Switch),
    spec("network", Kind::Choice(&["public", "internal"])),
    spec("settings", Kind::List),
    spec("replace", Kind::Switch),
    spec("force", Kind::Switch),
];

/// The kinds of section, with their keys.
pub(super) const SECTIONS: [(&str, &[Spec]); 4] =
    [("store", STORE), ("elastic", ELASTIC), ("job", JOB), ("transfer", TRANSFER)];

/// "did you mean …" for a word, out of the words it could be.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(&word.to_ascii_lowercase(), name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
