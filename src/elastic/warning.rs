//! Deprecations: what a cluster says in `Warning: 299` headers, told to the user once for each text.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use http::header::WARNING;
use percent_encoding::percent_decode_str;

use super::failure::line;
use crate::event::{Event, Reporter};

/// More different texts than this come from something that makes them up; they are not kept.
const MOST: usize = 100;

/// Tells each text once.
pub(super) struct Warnings {
    reporter: Arc<dyn Reporter>,
    told: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warnings").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Warnings {
    pub(super) fn new(reporter: Arc<dyn Reporter>) -> Self {
        Self { reporter, told: Mutex::default() }
    }

    /// Takes note of what an answer from `place` warns of. `clean` takes our secrets out.
    pub(super) fn hear(&self, headers: &HeaderMap, place: &str, clean: impl Fn(String) -> String) {
        for value in headers.get_all(WARNING) {
            let Some(text) = std::str::from_utf8(value.as_bytes()).ok().and_then(text_of) else { continue };
            let text = clean(line(&text));
            if self.is_new(&text) {
                self.reporter.report(&Event::Warning(&format!("`{place}` says: {text}")));
            }
        }
    }

    fn is_new(&self, text: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST && told.insert(text.to_owned())
    }
}

/// The text of `299 Elasticsearch-8.12.2-… "text" "date"` (RFC 7234 5.5); none of another code. Elasticsearch writes `"` and `\` with a
/// `\` before them and what is not ASCII as `%XX`.
fn text_of(header: &str) -> Option<String> {
    let quoted = header.trim().strip_prefix("299 ")?.split_once('"')?.1;
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => text.push(characters.next()?),
            other => text.push(other),
        }
    }
    let decoded = percent_decode_str(&text).decode_utf8().map(std::borrow::Cow::into_owned);
    Some(decoded.unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_its_text_alone() {
        let header = r#"299 Elasticsearch-7.17.28-139cb5a961d8de68b8e02c45cc47f5289a3623af "say \"x\", not %C3%A4" "Sat, 21 Nov 2026 00:00:00 GMT""#;
        assert_eq!(text_of(header).as_deref(), Some("say \"x\", not ä"));
        assert_eq!(
            text_of("299 OpenSearch-2.19.6-x \"[master_timeout] is deprecated\"").as_deref(),
            Some("[master_timeout] is deprecated")
        );
        for other in ["", "214 x \"transformed\"", "299 x", "299 x \"open"] {
            assert_eq!(text_of(other), None, "{other}");
        }
    }
}
