//! Percent-encoding as the signatures want it: everything but `A-Z a-z 0-9 - . _ ~`, and the slashes of a path.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a query's names and values encode.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What a path encodes.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// A key as it stands in a URL's path. Dots, double slashes and a slash in front stay: nothing is folded.
pub(super) fn path(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// A name or value as it stands in a URL's query.
pub(super) fn query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unreserved_characters_stay() {
        assert_eq!(path("a b+c%/~-._/é//../\u{1}"), "a%20b%2Bc%25/~-._/%C3%A9//../%01");
        assert_eq!(query("a/b=c&d"), "a%2Fb%3Dc%26d");
    }
}
