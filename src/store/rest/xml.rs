//! Answers that are documents: read whole, within bounds, and believed only if they are complete.
//!
//! A listing that is cut between two entries parses as a shorter one, and a page of HTML as an empty one. Here a document must be
//! whole: its last words close the element that it opened, and that element is the one expected. An error that comes with
//! status 200, as S3 sends when it began to answer too early, is an error.

use std::borrow::Cow;

use bytes::Bytes;
use http::Response;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use crate::error::{Error, ErrorKind, Result};
use crate::wire::{self, ResponseBody};

/// No page of 1,000 keys of 1,024 bytes, each byte escaped, is longer.
const LARGEST: usize = 16 * 1024 * 1024;

/// Elements inside elements: no document of S3 or OSS goes deeper than five.
const DEEPEST: usize = 16;

/// What an error document says.
#[derive(Debug, Default, Clone)]
pub(super) struct ErrorDocument {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) server_time: Option<String>,
}

/// A document that was expected, or the error that came in its place.
#[derive(Debug)]
pub(super) enum Document {
    Whole(Bytes),
    Error(ErrorDocument),
}

/// Reads the document of a success, which must be a whole `root` element.
pub(super) async fn read(response: Response<ResponseBody>, root: &str) -> Result<Document> {
    let bytes = wire::collect(response.into_body(), LARGEST).await?;
    match judge(&bytes, root) {
        Verdict::Whole => Ok(Document::Whole(bytes)),
        Verdict::Error => Ok(Document::Error(error(&bytes))),
        Verdict::Cut => Err(Error::new(ErrorKind::Corrupt, "read the answer")
            .because(format!("it is cut off after {} bytes: nothing closes it", bytes.len()))),
        Verdict::Foreign => {
            let begin: String = String::from_utf8_lossy(&bytes).chars().take(40).collect();
            Err(Error::new(ErrorKind::Invalid, "read the answer")
                .because(format!("it is no `{root}`; it begins `{}`", begin.escape_debug()))
                .hint("check that `endpoint` is the store's endpoint and not a console, a proxy or another service"))
        }
    }
}

/// What a document is.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Whole,
    Error,
    Cut,
    Foreign,
}

fn judge(bytes: &[u8], root: &str) -> Verdict {
    // The quick look first: pages of a thousand keys pass here, and the lossy one takes each character by itself.
    let text = std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
    let text = text.trim().trim_start_matches('\u{feff}');
    let body = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, body)| body.trim_start()),
        None => text,
    };
    if body.is_empty() {
        return Verdict::Cut;
    }
    let Some(opened) = body.strip_prefix('<') else { return Verdict::Foreign };
    let end = opened.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(opened.len());
    let name = &opened[..end];
    let local = name.rsplit(':').next().unwrap_or(name);
    if local == "Error" {
        return Verdict::Error;
    }
    // Servers differ in the end of the name: rclone answers `InitiateMultipartUpload` without `Result`.
    if !local.starts_with(root) {
        return if root.starts_with(local) && !opened.contains('>') { Verdict::Cut } else { Verdict::Foreign };
    }
    let closed = body.strip_suffix('>').map(str::trim_end).is_some_and(|rest| rest.ends_with(&format!("</{name}")));
    let empty = body.ends_with("/>") && !body[..body.len() - 2].contains('>');
    if closed || empty { Verdict::Whole } else { Verdict::Cut }
}

/// The names of the elements that we are in. They are kept when an element ends and written over by the next one, because a page
/// of a listing has six thousand elements.
#[derive(Default)]
struct Path {
    names: Vec<String>,
    depth: usize,
}

impl Path {
    fn enter(&mut self, name: &[u8]) {
        if self.depth == self.names.len() {
            self.names.push(String::new());
        }
        let kept = &mut self.names[self.depth];
        kept.clear();
        match std::str::from_utf8(name) {
            Ok(name) => kept.push_str(name),
            Err(_) => kept.push_str(&String::from_utf8_lossy(name)),
        }
        self.depth += 1;
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn names(&self) -> &[String] {
        &self.names[..self.depth]
    }
}

/// Walks over a document and tells each element that holds text: the names of what it is in, and the text. An element that only holds
/// others is told when it ends, with an empty text.
pub(super) fn walk(bytes: &[u8], mut tell: impl FnMut(&[String], &str) -> Result<()>) -> Result<()> {
    let bad = |cause: String| Error::new(ErrorKind::Corrupt, "read the answer").because(cause);
    let mut reader = Reader::from_reader(bytes);
    let (mut path, mut text) = (Path::default(), String::new());
    loop {
        match reader.read_event().map_err(|error| bad(format!("it is no XML: {error}")))? {
            Event::Start(start) => {
                if path.depth >= DEEPEST {
                    return Err(bad(format!("its elements are nested more than {DEEPEST} deep")));
                }
                path.enter(start.local_name().as_ref());
                text.clear();
            }
            Event::Empty(start) => {
                path.enter(start.local_name().as_ref());
                tell(path.names(), "")?;
                path.leave();
                text.clear();
            }
            Event::End(_) => {
                tell(path.names(), &text)?;
                path.leave();
                text.clear();
            }
            Event::Text(part) => text.push_str(&part.decode().map_err(|error| bad(format!("it is no XML: {error}")))?),
            Event::CData(part) => text.push_str(&part.decode().map_err(|error| bad(format!("it is no XML: {error}")))?),
            Event::GeneralRef(name) => {
                let named = name.decode().map_err(|error| bad(format!("it is no XML: {error}")))?;
                match (name.resolve_char_ref(), resolve_predefined_entity(&named)) {
                    (Ok(Some(character)), _) => text.push(character),
                    (_, Some(character)) => text.push_str(character),
                    _ => return Err(bad(format!("`&{};` stands for nothing", named.escape_debug()))),
                }
            }
            Event::Eof if path.depth == 0 => return Ok(()),
            Event::Eof => return Err(bad("it is cut off: an element is not closed".to_owned())),
            Event::DocType(_) => return Err(bad("it defines entities of its own".to_owned())),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

/// The text of the elements directly below the root, by name; of equal names the first.
pub(super) fn field(bytes: &[u8], name: &str) -> Result<Option<String>> {
    let mut found = None;
    walk(bytes, |path, text| {
        if path.len() == 2 && path[1] == name && found.is_none() {
            found = Some(text.to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

/// What an error document says; empty if it is none.
pub(super) fn error(bytes: &[u8]) -> ErrorDocument {
    let mut said = ErrorDocument::default();
    // What can be read of a damaged one is better than nothing.
    drop(walk(bytes, |path, text| {
        let text = || text.chars().take(1000).collect::<String>();
        match path.last().map(String::as_str) {
            Some("Code") if path.len() == 2 => said.code = text(),
            Some("Message") if path.len() == 2 => said.message = text(),
            Some("Region") => said.region = Some(text()),
            Some("Endpoint") => said.endpoint = Some(text()),
            Some("ServerTime") => said.server_time = Some(text()),
            _ => {}
        }
        Ok(())
    }));
    said
}

/// Whether a document can hold a text at all: XML 1.0 has no place for most control characters, not even escaped.
pub(super) fn holds(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && c != '\u{fffe}' && c != '\u{ffff}'))
}

/// A text as it stands inside an element.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A reader turns a bare carriage return into a newline.
            c if c.is_control() => escaped.push_str(&format!("&#{};", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Verdict {
        judge(text.as_bytes(), "ListBucketResult")
    }

    #[test]
    fn what_no_document_can_hold_is_known_beforehand() {
        for text in ["a b", "tab\tline\nreturn\r", "ü日🦀", "\u{85}\u{7f}", "<&>"] {
            assert!(holds(text), "{text:?}");
        }
        for text in ["\0", "a\u{1}", "bell\u{7}", "\u{1b}[31m", "\u{ffff}"] {
            assert!(!holds(text), "{text:?}");
        }
    }

    #[test]
    fn a_document_is_whole_only_if_it_is_closed() {
        let whole = "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><Contents><Key>a</Key></Contents></ListBucketResult>\n";
        assert_eq!(judged(whole), Verdict::Whole);
        for end in 0..whole.trim_end().len() {
            assert_ne!(judged(&whole[..end]), Verdict::Whole, "cut after {end} bytes");
        }
        assert_eq!(judged(&format!("{whole}<more/>")), Verdict::Cut);
        assert_eq!(judged("<s3:ListBucketResult></s3:ListBucketResult>"), Verdict::Whole);
    }

    #[test]
    fn an_error_with_status_200_and_a_page_of_html_are_told_apart() {
        assert_eq!(judged("  <Error><Code>InternalError</Code></Error>"), Verdict::Error);
        assert_eq!(judged("<html><body>Welcome</body></html>"), Verdict::Foreign);
        assert_eq!(judged("{}"), Verdict::Foreign);
        assert_eq!(judged(""), Verdict::Cut);
    }

    #[test]
    fn a_text_comes_back_as_it_was_escaped() {
        let text = "a<b>&amp;\u{1}\r\n\t\"é\u{85}";
        let document = format!("<R><Key>{}</Key></R>", escape(text));
        assert_eq!(field(document.as_bytes(), "Key").expect("whole").as_deref(), Some(text));
    }

    #[test]
    fn what_would_grow_or_nest_without_end_is_refused() {
        let nested = "<a>".repeat(40);
        for text in [
            "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><R><Key>&a;</Key></R>",
            "<R><Key>&unknown;</Key></R>",
            "<R><Key>",
            &nested,
        ] {
            assert_eq!(walk(text.as_bytes(), |_, _| Ok(())).expect_err(text).kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn an_error_document_is_read_as_far_as_it_goes() {
        let said = error(b"<Error><Code>NoSuchKey</Code><Message>gone &amp; lost</Message><Region>eu</Region>");
        assert_eq!(
            (said.code.as_str(), said.message.as_str(), said.region.as_deref()),
            ("NoSuchKey", "gone & lost", Some("eu"))
        );
        assert_eq!(error(b"not xml").code, "");
    }
}
