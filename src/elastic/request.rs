//! One request: method, path, query, body, and what it is for.
//!
//! Every path segment is percent-encoded here and nowhere else. It sends nothing; `client` does.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What stays as it is in a path segment: RFC 3986 `unreserved`. The server decodes before
/// it looks for `,` and `*`, so names are checked by `name` besides.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Commas and asterisks are the syntax of `filter_path` and stay readable in logs.
const QUERY: &AsciiSet = &SEGMENT.remove(b',').remove(b'*');

/// A list of names in one path stays below this many bytes: Elasticsearch refuses request lines over 4 KiB
/// (`http.max_initial_line_length`), and the rest of the line needs room too.
const NAMES: usize = 3000;

/// A request to be sent.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Completes "cannot …" when it fails; the client adds the place.
    pub(super) doing: Cow<'static, str>,
    path: String,
    query: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) body: Option<Bytes>,
}

impl Request {
    fn new(method: Method, doing: impl Into<Cow<'static, str>>, segments: &[&str]) -> Self {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        Self { method, doing: doing.into(), path, query: Vec::new(), body: None }
    }

    /// Reads what `segments` name.
    pub(super) fn get(doing: impl Into<Cow<'static, str>>, segments: &[&str]) -> Self {
        Self::new(Method::GET, doing, segments)
    }

    /// Stores something.
    pub(super) fn put(doing: impl Into<Cow<'static, str>>, segments: &[&str]) -> Self {
        Self::new(Method::PUT, doing, segments)
    }

    /// Starts something.
    pub(super) fn post(doing: impl Into<Cow<'static, str>>, segments: &[&str]) -> Self {
        Self::new(Method::POST, doing, segments)
    }

    /// Removes something.
    pub(super) fn delete(doing: impl Into<Cow<'static, str>>, segments: &[&str]) -> Self {
        Self::new(Method::DELETE, doing, segments)
    }

    /// Adds one more segment that is a list of names.
    pub(super) fn names(mut self, names: &[&str]) -> Self {
        for (position, name) in names.iter().enumerate() {
            self.path.push(if position == 0 { '/' } else { ',' });
            self.path.extend(utf8_percent_encode(name, SEGMENT));
        }
        self
    }

    /// Adds one more segment that is a word of the interface.
    pub(super) fn word(mut self, word: &'static str) -> Self {
        self.path.push('/');
        self.path.push_str(word);
        self
    }

    /// Adds a query parameter. Versions from 5.0 refuse those they do not know.
    pub(super) fn query(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// Sends this document.
    pub(super) fn body(mut self, body: &Value) -> Self {
        self.body = Some(Bytes::from(body.to_string()));
        self
    }

    /// Path and query as they go into the request line.
    pub(super) fn target(&self) -> String {
        self.written(QUERY)
    }

    /// The same with every comma and asterisk encoded, for signatures: what signers and servers make of a bare one differs. The
    /// server decodes before it looks for lists, so the meaning is the same.
    pub(super) fn signed_target(&self) -> String {
        self.written(SEGMENT).replace(',', "%2C")
    }

    fn written(&self, query: &'static AsciiSet) -> String {
        let mut target = self.path.clone();
        if target.is_empty() {
            target.push('/');
        }
        for (position, (key, value)) in self.query.iter().enumerate() {
            target.push(if position == 0 { '?' } else { '&' });
            target.push_str(key);
            target.push('=');
            target.extend(utf8_percent_encode(value, query));
        }
        target
    }
}

/// The names in pieces that fit into a request line.
pub(super) fn batches<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut batches: Vec<Vec<&str>> = Vec::new();
    let mut length = 0;
    for name in names {
        let encoded = utf8_percent_encode(name, SEGMENT).map(str::len).sum::<usize>() + 1;
        match batches.last_mut() {
            Some(batch) if length + encoded <= NAMES => {
                length += encoded;
                batch.push(name);
            }
            _ => {
                length = encoded;
                batches.push(vec![name]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_becomes_syntax() {
        let request = Request::get("x", &["_snapshot", "a/b?c#d%e f,*"]).query("filter_path", "a.*,b");
        assert_eq!(request.target(), "/_snapshot/a%2Fb%3Fc%23d%25e%20f%2C%2A?filter_path=a.*,b");
    }

    #[test]
    fn a_list_of_names_keeps_its_commas() {
        let request = Request::get("x", &[]).names(&["ä", "b,c"]).word("_count");
        assert_eq!(request.target(), "/%C3%A4,b%2Cc/_count");
        assert_eq!(Request::get("x", &[]).target(), "/");
    }

    #[test]
    fn what_is_signed_holds_no_bare_comma_or_asterisk() {
        let request = Request::get("x", &[]).names(&["a", "b"]).word("_count").query("filter_path", "a.*,b");
        assert_eq!(request.signed_target(), "/a%2Cb/_count?filter_path=a.%2A%2Cb");
    }

    #[test]
    fn many_names_are_split_so_that_the_line_fits() {
        let names: Vec<String> = (0..100).map(|number| format!("logs-{number:0>95}")).collect();
        let batches = batches(names.iter().map(String::as_str));
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 100);
        assert!(batches.iter().all(|batch| Request::get("x", &[]).names(batch).target().len() < 3100));
        assert_eq!(batches.len(), 4);
    }
}
