//! The little XML that is spoken: escaping, and a strict reader for the two documents that clients send.

use std::fmt::Write as _;

/// Text as it stands between tags. Control characters become references, which XML 1.0 forbids and both services send.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            control if control.is_control() && u32::from(control) < 0x80 => {
                write!(out, "&#x{:x};", u32::from(control)).expect("a string grows");
            }
            other => out.push(other),
        }
    }
    out
}

/// An element: its name, its text, its children.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The text of the child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }
}

/// Reads a document; nothing when it is not well-formed.
pub(crate) fn parse(text: &str) -> Option<Element> {
    // Characters that XML cannot hold make a document that real parsers refuse; a bare return becomes a line feed.
    if text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r')) {
        return None;
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut rest = text.trim_start_matches('\u{feff}').trim();
    if let Some(after) = rest.strip_prefix("<?xml") {
        rest = after.split_once("?>")?.1.trim_start();
    }
    let (root, rest) = element(rest)?;
    rest.trim().is_empty().then_some(root)
}

fn element(text: &str) -> Option<(Element, &str)> {
    let (tag, mut rest) = text.strip_prefix('<')?.split_once('>')?;
    let empty = tag.ends_with('/');
    let tag = tag.trim_end_matches('/').trim_end();
    let name = tag.split_whitespace().next().filter(|name| name.chars().all(char::is_alphanumeric))?.to_owned();
    let mut found = Element { name, ..Element::default() };
    if empty {
        return Some((found, rest));
    }
    loop {
        let position = rest.find('<')?;
        found.text.push_str(&unescape(&rest[..position])?);
        rest = &rest[position..];
        if let Some(after) = rest.strip_prefix("</") {
            let (name, after) = after.split_once('>')?;
            return (name.trim() == found.name).then_some((found, after));
        }
        let (child, after) = element(rest)?;
        found.children.push(child);
        rest = after;
    }
}

fn unescape(text: &str) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (name, after) = after.split_once(';')?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let number = number.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        });
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}
