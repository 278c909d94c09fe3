//! The answer to a listing of either version: one page of a bucket as XML.
//!
//! 1. Start behind the last key of the page before, or behind `start-after`, or at the prefix.
//! 2. Take keys in byte order while they have the prefix; a key with the delimiter behind the prefix stands for its group,
//!    and the walk jumps behind the group.
//! 3. When the page is full and something is left, name the place where the next page starts.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::BUCKET;
use super::bucket::{Bucket, Origin, Stored};
use super::operation::{ListQuery, Version};

/// The page size of S3, which a client can only lower.
const LONGEST_PAGE: usize = 1_000;

/// When the objects were written that a bucket starts with.
const SYNTHESISED_AT: &str = "2026-01-01T00:00:00.000Z";

/// When everything was written that was put: later, so that a second run finds a younger target.
const PUT_AT: &str = "2026-01-02T00:00:00.000Z";

/// No key of a benchmark holds this, the greatest character, so it ends every group of keys.
const BEHIND_GROUP: char = char::MAX;

/// What S3 leaves as it is in a listing with `encoding-type=url`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// One page, on its way to XML.
struct Page<'query> {
    query: &'query ListQuery,
    rows: String,
    length: usize,
    /// The last key, or the end of the last group.
    last: String,
}

/// The page that `query` asks for.
pub(crate) fn page(bucket: &Bucket, query: &ListQuery) -> String {
    let mut page = Page { query, rows: String::new(), length: 0, last: start(query) };
    let is_truncated = page.fill(bucket);
    page.finish(is_truncated)
}

/// Step 1: everything on the page is greater than this.
fn start(query: &ListQuery) -> String {
    query.token.as_deref().map_or_else(|| query.start_after.clone(), decode_token)
}

impl Page<'_> {
    /// Steps 2 and 3: whether something is left.
    fn fill(&mut self, bucket: &Bucket) -> bool {
        let limit = self.query.max_keys.unwrap_or(LONGEST_PAGE).min(LONGEST_PAGE);
        let mut rest = self.walk(bucket);
        while let Some((key, stored)) = rest.next() {
            if self.length == limit {
                return limit > 0;
            }
            if let Some(group) = self.group(&key) {
                self.push_group(group);
                rest = self.walk(bucket);
            } else {
                self.push_object(key, stored);
            }
        }
        false
    }

    /// What is left of the bucket behind `last`, as far as it has the prefix.
    fn walk<'bucket>(&self, bucket: &'bucket Bucket) -> Box<dyn Iterator<Item = (String, Stored)> + 'bucket> {
        let prefix = self.query.prefix.clone();
        if self.last < prefix {
            // The prefix may be a key itself, so the walk starts before it.
            let at_prefix = bucket.get(&prefix).map(|stored| (prefix.clone(), stored));
            return Box::new(
                at_prefix.into_iter().chain(bucket.after(&prefix).take_while(move |(key, _)| key.starts_with(&prefix))),
            );
        }
        Box::new(bucket.after(&self.last).take_while(move |(key, _)| key.starts_with(&prefix)))
    }

    /// The group that a key belongs to.
    fn group<'key>(&self, key: &'key str) -> Option<&'key str> {
        let delimiter = Some(&self.query.delimiter).filter(|delimiter| !delimiter.is_empty())?;
        let behind = self.query.prefix.len();
        key[behind..].find(delimiter).map(|place| &key[..behind + place + delimiter.len()])
    }

    fn push_group(&mut self, group: &str) {
        let shown = self.show(group);
        push(&mut self.rows, format_args!("<CommonPrefixes><Prefix>{shown}</Prefix></CommonPrefixes>"));
        self.last = format!("{group}{BEHIND_GROUP}");
        self.length += 1;
    }

    fn push_object(&mut self, key: String, stored: Stored) {
        let (shown, etag) = (self.show(&key), stored.etag(&key));
        let (length, modified) = (stored.length, modified(stored));
        push(
            &mut self.rows,
            format_args!(
                "<Contents><Key>{shown}</Key><LastModified>{modified}</LastModified><ETag>&quot;{}&quot;</ETag>\
                 <Size>{length}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                etag.trim_matches('"')
            ),
        );
        self.last = key;
        self.length += 1;
    }

    fn show(&self, text: &str) -> String {
        if self.query.url_encoded { utf8_percent_encode(text, ENCODED).to_string() } else { escape(text) }
    }

    fn finish(self, is_truncated: bool) -> String {
        let mut xml = String::with_capacity(self.rows.len() + 512);
        push(
            &mut xml,
            format_args!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
                 <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{BUCKET}</Name>\
                 <Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>{}</MaxKeys><IsTruncated>{is_truncated}</IsTruncated>",
                self.show(&self.query.prefix),
                self.length,
                self.query.max_keys.unwrap_or(LONGEST_PAGE),
            ),
        );
        if self.query.url_encoded {
            xml.push_str("<EncodingType>url</EncodingType>");
        }
        if is_truncated {
            match self.query.version {
                Version::First => {
                    push(&mut xml, format_args!("<NextMarker>{}</NextMarker>", self.show(&self.last)));
                }
                Version::Second => {
                    let token = encode_token(&self.last);
                    push(&mut xml, format_args!("<NextContinuationToken>{token}</NextContinuationToken>"));
                }
            }
        }
        xml.push_str(&self.rows);
        xml.push_str("</ListBucketResult>");
        xml
    }
}

/// The modification time as listings write it.
fn modified(stored: Stored) -> &'static str {
    if stored.origin == Origin::Synthesised { SYNTHESISED_AT } else { PUT_AT }
}

/// A token is the last key in hexadecimal: opaque to clients, and safe in addresses and in XML.
fn encode_token(key: &str) -> String {
    key.bytes().fold(String::with_capacity(2 * key.len()), |mut token, byte| {
        push(&mut token, format_args!("{byte:02x}"));
        token
    })
}

/// A token that is not ours starts from the beginning, where a client that compares keys notices.
fn decode_token(token: &str) -> String {
    let digits = token.as_bytes().chunks_exact(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    let bytes = digits.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    String::from_utf8(bytes).unwrap_or_default()
}

/// A key as text in XML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
