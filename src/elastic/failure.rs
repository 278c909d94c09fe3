//! What a refusal says: its four shapes read into one, and that one put into our words.
//!
//! 5.x and later answer an object with `root_cause` and `caused_by`, 1.x and some proxies a text, the AWS gateway
//! `Message`, load balancers HTML or nothing. The kind follows from status and type; the text only where Elasticsearch gives
//! several meanings one type. Whether to try again is `client`'s decision from what is told here.

use http::StatusCode;
use serde_json::Value;

use crate::error::{Error, ErrorKind};

/// These types mean "not now", whatever the status (`elasticsearch-api.md` 2.0). All are raised before the action is done.
const TRANSIENT: [&str; 8] = [
    "process_cluster_event_timeout_exception",
    "master_not_discovered_exception",
    "cluster_manager_not_discovered_exception",
    "es_rejected_execution_exception",
    "circuit_breaking_exception",
    "concurrent_snapshot_execution_exception",
    "snapshot_in_progress_exception",
    "repository_conflict_exception",
];

/// Who may not do something is told in full what would allow it: role and privilege names add up.
const LONGEST_DENIAL: usize = 8000;

/// A text in an error is cut here, so that one line stays a line.
const LONGEST: usize = 600;

/// A refusal, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    /// For example `repository_missing_exception`.
    pub(super) name: Option<String>,
    pub(super) reason: String,
    /// The innermost `caused_by`, type and reason, where it says more than the outer one.
    pub(super) deepest: Option<String>,
    /// What most failures do not have.
    pub(super) parts: Box<Parts>,
}

/// The rarer parts of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parts {
    /// What a 401 says would be accepted, from `WWW-Authenticate`: `Basic`, `ApiKey`, `Bearer`.
    pub(super) schemes: Vec<String>,
    /// The reason in all its length, in which a list of nodes may stand; never shown as it is.
    pub(super) whole: String,
    /// The innermost cause of each failure that is told as suppressed: one for each node where several failed.
    pub(super) suppressed: Vec<String>,
}

impl Failure {
    /// Reads an answer that is not a success.
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::decode(status, &value),
            Err(_) => Self { status, name: None, reason: shapeless(body), deepest: None, parts: Box::default() },
        }
    }

    /// Reads an error that is part of a document, as a listing's `failures` holds them.
    pub(super) fn decode(status: StatusCode, value: &Value) -> Self {
        let error = value.get("error").unwrap_or(value);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(reason) = text(error) {
            return Self { status, name: None, reason: said(status, &reason), deepest: None, parts: Box::default() };
        }
        if error["type"].is_string() || error["reason"].is_string() {
            let reason = text(&error["reason"]).unwrap_or_default();
            let suppressed = error["suppressed"].as_array().into_iter().flatten();
            let suppressed = suppressed
                .map(|inner| deepest(inner).or_else(|| told(inner)).map(|cause| line(&cause)).unwrap_or_default())
                .collect();
            let deepest = deepest(error).map(|cause| line(&cause)).filter(|cause| !reason.contains(cause.as_str()));
            return Self {
                status,
                name: text(&error["type"]),
                reason: said(status, &reason),
                deepest,
                parts: Box::new(Parts { whole: reason, suppressed, ..Parts::default() }),
            };
        }
        let reason = ["Message", "message", "error_description"].iter().find_map(|key| text(&value[*key]));
        let reason = reason.map_or_else(|| "the answer gives no reason".to_owned(), |reason| said(status, &reason));
        Self { status, name: None, reason, deepest: None, parts: Box::default() }
    }

    /// Whether the refusal has this type, itself or as its root.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    fn has(&self, words: &str) -> bool {
        self.reason.contains(words) || self.deepest.as_ref().is_some_and(|deepest| deepest.contains(words))
    }

    /// The server itself says that it has done nothing and may be asked again.
    pub(super) fn is_refused_for_now(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            || self.name.as_deref().is_some_and(|name| TRANSIENT.contains(&name))
    }

    /// Asking again makes sense for a request that may be repeated.
    pub(super) fn is_transient(&self) -> bool {
        self.is_refused_for_now() || matches!(self.status.as_u16(), 502..=504)
    }

    /// The kind, by status and type.
    pub(super) fn kind(&self) -> ErrorKind {
        if self.is_refused_for_now() {
            return if self.status == StatusCode::TOO_MANY_REQUESTS {
                ErrorKind::Throttled
            } else {
                ErrorKind::Unavailable
            };
        }
        if self.status.is_server_error() && self.lacks_blob() {
            return ErrorKind::Corrupt;
        }
        match self.name.as_deref().unwrap_or_default() {
            "security_exception" => return ErrorKind::Denied,
            "repository_missing_exception" | "snapshot_missing_exception" | "index_not_found_exception" => {
                return ErrorKind::NotFound;
            }
            "snapshot_name_already_in_use_exception" | "resource_already_exists_exception" => {
                return ErrorKind::AlreadyExists;
            }
            "invalid_snapshot_name_exception" | "invalid_index_name_exception" if self.has("already exists") => {
                return ErrorKind::AlreadyExists;
            }
            "snapshot_restore_exception" if self.is_open_index() => return ErrorKind::AlreadyExists,
            "snapshot_restore_exception" if self.has("snapshot does not exist") => return ErrorKind::NotFound,
            "snapshot_restore_exception"
            | "repository_exception"
            | "repository_verification_exception"
            | "snapshot_exception"
            | "illegal_state_exception"
            | "illegal_argument_exception" => return ErrorKind::Invalid,
            "parsing_exception" | "x_content_parse_exception" if self.status.is_server_error() => {
                return ErrorKind::Unsupported;
            }
            _ => {}
        }
        match self.status.as_u16() {
            401 | 403 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::AlreadyExists,
            408 => ErrorKind::Timeout,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        }
    }

    /// The restore met an index of the same name that is open.
    pub(super) fn is_open_index(&self) -> bool {
        self.has("an open index with same name") || self.has("because it's open")
    }

    /// The repository's own metadata names a blob that is not there.
    fn lacks_blob(&self) -> bool {
        let named = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains("no_such_file_exception"));
        // A verification that finds no directory speaks of the place and not of a blob.
        !self.is("repository_verification_exception") && (named(&self.name) || named(&self.deepest))
    }

    /// The repository is used by a restore or snapshot that runs.
    pub(super) fn is_in_use(&self) -> bool {
        self.has("currently used")
    }

    /// Status, type, reason and deepest cause on one line.
    pub(super) fn cause(&self) -> String {
        let between = if self.name.is_some() { ", " } else { ": " };
        format!("HTTP {}{between}{}", self.status.as_u16(), self.cause_alone())
    }

    /// The same without the status, where that is not the server's.
    pub(super) fn cause_alone(&self) -> String {
        let mut text = match &self.name {
            Some(name) => format!("`{name}`: {}", self.reason),
            None => self.reason.clone(),
        };
        if let Some(deepest) = &self.deepest {
            text.push_str("; caused by ");
            text.push_str(deepest);
        }
        if !self.parts.schemes.is_empty() {
            text.push_str(&format!("; it accepts {}", self.parts.schemes.join(", ")));
        }
        text
    }

    /// What is known to help against what a text tells, should a node have said it.
    pub(super) fn advice_for(text: &str) -> Option<&'static str> {
        let failure = Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            name: None,
            reason: text.to_owned(),
            deepest: None,
            parts: Box::default(),
        };
        failure.advice(ErrorKind::Invalid)
    }

    /// The failure as ours: what was being done, the cause, and what to do where we know it.
    pub(super) fn into_error(self, doing: String) -> Error {
        let kind = self.kind();
        let error = Error::new(kind, doing).because(self.cause());
        match self.advice(kind) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// What section 5 of the reference knows as the cure; the text is the only thing that tells these apart.
    fn advice(&self, kind: ErrorKind) -> Option<&'static str> {
        const BY_TEXT: [(&str, &str); 21] = [
            ("being restored", "wait until that restore has ended, or delete the index to stop it"),
            ("iam:PassRole", "let the caller pass the repository's role: it needs `iam:PassRole` on it"),
            (
                "is insecure",
                "put the keys into the Elasticsearch keystore under a client name and register with that `client`",
            ),
            ("repository type [", "install the repository's plugin on every node of the cluster, or use another type"),
            ("path.repo", "add the location to `path.repo` of every node, or use one below it"),
            (
                "allowed_urls",
                "add the address, with its port and `/*`, to `repositories.url.allowed_urls` of every node",
            ),
            ("NoSuchBucket", "create the bucket, or correct `bucket`, `endpoint` and `region`"),
            ("InvalidAccessKeyId", "correct the access key in the cluster's keystore and reload the secure settings"),
            (
                "SignatureDoesNotMatch",
                "correct the secret key in the cluster's keystore and reload the secure settings",
            ),
            (
                "InvalidObjectState",
                "the bucket's storage class is an archive: bring the objects back or use another class",
            ),
            ("PermanentRedirect", "give the endpoint of the bucket's own region"),
            ("RequestTimeTooSkewed", "correct the clocks of the cluster's nodes"),
            ("0002-00000080", "OSS refuses V1 signatures: register its S3-compatible endpoint as type `s3` instead"),
            ("with same name already exists", "restore with `--conflict close` or `skip`, or under another name"),
            ("because it's open", "restore with `--conflict close` or `skip`, or under another name"),
            ("shards from a snapshot of index", "delete the index that is there, or restore under another name"),
            ("shard from snapshot with", "delete the index that is there, or restore under another name"),
            ("maximum normal shards open", "raise `cluster.max_shards_per_node` or restore fewer indices"),
            ("more than one write index", "restore without aliases and set them afterwards"),
            (
                "concurrent modification of the index-",
                "another cluster writes to this repository: register it read-only here",
            ),
            ("The repository has been disabled", "register the repository again, read-only"),
        ];
        const LATER: [(&str, &str); 6] = [
            (
                "corrupt_index_exception",
                "the copy is damaged: bring it back with `verify LOCATION --level content --repair-from COPY`",
            ),
            (
                "0002-00000430",
                "OSS refuses signatures in chunks: register with `--setting disable_chunked_encoding=true`",
            ),
            ("which is higher than the version of this node", "restore into a cluster that is at least as new"),
            ("cannot be upgraded", "restore into an older cluster first and reindex there, or leave this index out"),
            (
                "minimum compatible version",
                "restore into an older cluster first and reindex there, or leave this index out",
            ),
            (
                "Failed to parse object: unknown field",
                "this server cannot read repositories of the version that wrote it",
            ),
        ];
        if let Some((_, hint)) = BY_TEXT.iter().chain(&LATER).find(|(words, _)| self.has(words)) {
            return Some(hint);
        }
        match (self.name.as_deref(), kind) {
            _ if self.lacks_blob() => {
                Some("the copy is incomplete: bring it back with `verify LOCATION --repair-from COPY`")
            }
            (Some("repository_missing_exception"), _) => Some("register it, or list what is there with `repo list`"),
            (Some("snapshot_missing_exception"), _) => Some("list what is there with `snapshot list`"),
            (Some("repository_verification_exception"), _) => {
                Some("check that every node of the cluster can reach the place with its own credentials")
            }
            (_, ErrorKind::Denied) if self.has("is not authorized to perform") || self.has("es:ESHttp") => Some(
                "allow the identity in the domain's access policy, and with fine-grained access control map it to a role",
            ),
            (_, ErrorKind::Denied) if self.has("no permissions for [") => {
                Some("map the user to a role with these permissions, for example `manage_snapshots`")
            }
            (_, ErrorKind::Denied) if self.has("security token") || self.has("request signature") => {
                Some("correct the access key, its token and the region, and this machine's clock")
            }
            (_, ErrorKind::Denied) if self.has("Authentication Token") => {
                Some("the domain wants signed requests: set `auth = \"aws\"` in `[elastic.<name>]`")
            }
            (_, ErrorKind::Denied) if self.status == StatusCode::UNAUTHORIZED => Some(
                "correct the user and password, the API key or the token in `[elastic.<name>]`; expired ones are made anew",
            ),
            (_, ErrorKind::Denied) => Some("give the user the privilege that the cause names"),
            _ => None,
        }
    }
}

/// The innermost `caused_by`, and what hides in `suppressed` when there is none.
fn deepest(error: &Value) -> Option<String> {
    let mut found = error;
    while found["caused_by"].is_object() {
        found = &found["caused_by"];
    }
    if std::ptr::eq(found, error) {
        let suppressed = error["suppressed"].as_array().and_then(|list| list.first());
        return match suppressed {
            Some(inner) => deepest(inner).or_else(|| told(inner)),
            None => error["root_cause"]
                .as_array()
                .and_then(|list| list.first())
                .filter(|root| root["type"] != error["type"])
                .and_then(told),
        };
    }
    told(found)
}

fn told(error: &Value) -> Option<String> {
    match (error["type"].as_str(), error["reason"].as_str()) {
        (Some(name), Some(reason)) => Some(format!("`{name}`: {reason}")),
        (Some(name), None) => Some(format!("`{name}`")),
        (None, reason) => reason.map(str::to_owned),
    }
}

/// What is said of a body that is no JSON. HTML is never read.
fn shapeless(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        "the answer is empty".to_owned()
    } else if is_html(text.as_bytes()) {
        "the answer is an HTML page, so it comes from a proxy or load balancer and not from the cluster".to_owned()
    } else {
        line(text)
    }
}

/// Whether a body is a page for people.
pub(super) fn is_html(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// The first line of a text, of a length that can be read.
pub(super) fn line(text: &str) -> String {
    cut(text, LONGEST)
}

/// The same, but a denial word for word: it names the user, the action, and the privileges that would grant it.
fn said(status: StatusCode, text: &str) -> String {
    let denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    cut(text, if denied { LONGEST_DENIAL } else { LONGEST })
}

fn cut(text: &str, longest: usize) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match first.char_indices().nth(longest) {
        Some((end, _)) => format!("{} …", &first[..end]),
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Failure {
        Failure::read(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn a_metadata_blob_that_is_missing_is_told_from_a_busy_server() {
        let failure =
            read(500, r#"{"error":{"type":"no_such_file_exception","reason":"/r/indices/q/meta-u.dat"},"status":500}"#);
        let error = failure.into_error("restore".into());
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.advice().unwrap().contains("verify LOCATION --repair-from"));
    }

    #[test]
    fn an_object_gives_type_reason_and_the_deepest_cause() {
        let failure = read(
            500,
            r#"{"error":{"root_cause":[{"type":"a","reason":"b"}],"type":"repository_exception","reason":"[r] cannot load",
                "caused_by":{"type":"c","reason":"d","caused_by":{"type":"access_denied_exception","reason":"/r/index-3"}}},"status":500}"#,
        );
        let error = failure.into_error("list".into());
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(
            error.cause().unwrap(),
            "HTTP 500, `repository_exception`: [r] cannot load; caused by `access_denied_exception`: /r/index-3"
        );
    }

    #[test]
    fn a_cause_may_hide_among_the_suppressed() {
        let failure = read(
            500,
            r#"{"error":{"type":"repository_verification_exception","reason":"[r] failed","suppressed":[
                {"type":"x","reason":"y","caused_by":{"type":"amazon_s3_exception","reason":"NoSuchBucket"}}]}}"#,
        );
        let error = failure.into_error("register".into());
        assert!(error.cause().unwrap().ends_with("caused by `amazon_s3_exception`: NoSuchBucket"));
        assert!(error.advice().unwrap().contains("create the bucket"));
    }

    #[test]
    fn a_text_a_gateway_a_page_and_nothing_are_errors_too() {
        let cases = [
            (
                404,
                r#"{"error":"IndexMissingException[[x] missing]","status":404}"#,
                ErrorKind::NotFound,
                "IndexMissing",
            ),
            (
                403,
                r#"{"Message":"User: x is not authorized to perform: es:ESHttpGet"}"#,
                ErrorKind::Denied,
                "es:ESHttpGet",
            ),
            (403, r#"{"message":"The security token is invalid"}"#, ErrorKind::Denied, "token is invalid"),
            (502, "<html><body>secret page</body></html>", ErrorKind::Unavailable, "HTML page"),
            (503, "", ErrorKind::Unavailable, "empty"),
            (503, "no healthy upstream", ErrorKind::Unavailable, "no healthy upstream"),
            (400, "[1]", ErrorKind::Invalid, "no reason"),
        ];
        for (status, body, kind, word) in cases {
            let error = read(status, body).into_error("x".into());
            assert_eq!(error.kind(), kind, "{body}");
            assert!(error.to_string().contains(word), "{error}");
            assert!(!error.to_string().contains("secret page"));
        }
    }

    #[test]
    fn the_kind_follows_from_status_and_type() {
        let typed = |status: u16, name: &str, reason: &str| {
            read(status, &format!(r#"{{"error":{{"type":"{name}","reason":"{reason}"}},"status":{status}}}"#)).kind()
        };
        assert_eq!(typed(500, "snapshot_restore_exception", "cannot modify setting"), ErrorKind::Invalid);
        assert_eq!(
            typed(
                500,
                "snapshot_restore_exception",
                "[r:s] cannot restore index [m] because an open index with same name already exists"
            ),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            typed(500, "snapshot_restore_exception", "[r:s] cannot restore index [m] because it's open"),
            ErrorKind::AlreadyExists
        );
        assert_eq!(typed(500, "repository_verification_exception", "x"), ErrorKind::Invalid);
        assert_eq!(
            typed(400, "invalid_snapshot_name_exception", "snapshot with the same name already exists"),
            ErrorKind::AlreadyExists
        );
        assert_eq!(typed(409, "repository_conflict_exception", "x"), ErrorKind::Unavailable);
        assert_eq!(typed(429, "es_rejected_execution_exception", "x"), ErrorKind::Throttled);
        assert_eq!(typed(401, "security_exception", "x"), ErrorKind::Denied);
        assert_eq!(typed(500, "null_pointer_exception", "x"), ErrorKind::Unavailable);
        assert_eq!(
            typed(500, "parsing_exception", "Failed to parse object: unknown field [uuid] found"),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn only_what_the_server_says_it_did_not_do_is_certain() {
        assert!(read(429, "").is_refused_for_now());
        assert!(read(503, r#"{"error":{"type":"process_cluster_event_timeout_exception"}}"#).is_refused_for_now());
        for status in [502, 503, 504] {
            assert!(read(status, "").is_transient() && !read(status, "").is_refused_for_now());
        }
        assert!(!read(500, "").is_transient());
    }

    #[test]
    fn a_denial_is_told_word_for_word() {
        let reason =
            format!("action [x] is unauthorized, granted by the cluster privileges [{}]", "manage,".repeat(500));
        let body = format!(r#"{{"error":{{"type":"security_exception","reason":"{reason}"}}}}"#);
        assert_eq!(read(403, &body).reason, reason);
        assert!(read(500, &body).reason.len() < reason.len());
    }

    #[test]
    fn a_401_says_what_would_be_accepted() {
        let mut failure =
            read(401, r#"{"error":{"type":"security_exception","reason":"missing authentication credentials"}}"#);
        failure.parts.schemes = vec!["Basic".into(), "ApiKey".into()];
        let error = failure.into_error("x".into());
        assert!(
            error.cause().unwrap().ends_with("missing authentication credentials; it accepts Basic, ApiKey"),
            "{error}"
        );
    }

    #[test]
    fn what_amazon_denies_is_told_with_its_cure() {
        for (body, cure) in [
            (
                r#"{"Message":"User: arn:aws:iam::1:user/m is not authorized to perform: es:ESHttpPut because …"}"#,
                "access policy",
            ),
            (r#"{"message":"The security token included in the request is invalid."}"#, "clock"),
            (r#"{"message":"Missing Authentication Token"}"#, "auth = \"aws\""),
            (
                r#"{"error":{"type":"security_exception","reason":"no permissions for [cluster:admin/repository/put] and User [name=m]"}}"#,
                "manage_snapshots",
            ),
        ] {
            let error = read(403, body).into_error("x".into());
            assert!(error.advice().unwrap().contains(cure), "{body}: {:?}", error.advice());
        }
    }

    #[test]
    fn a_long_reason_is_cut_to_a_line() {
        let failure = read(400, &format!(r#"{{"error":{{"type":"a","reason":"{}\nsecond"}}}}"#, "x".repeat(5000)));
        assert_eq!(failure.reason.chars().count(), LONGEST + 2);
    }
}
