//! File names for keys and back: every key has exactly one path, and no path leaves the root.
//!
//! 1. A key is split at `/`. A segment that a file system holds as it is, is its own name: a repository that Elasticsearch wrote
//!    as `fs` keeps its names, and Elasticsearch reads what we write.
//! 2. Any other segment (empty, `.`, `..`, with a NUL, longer than 255 bytes, or beginning with our mark) becomes the mark
//!    `%sf.` and its percent-encoded text.
//! 3. An encoded name longer than a file name may be is cut into directories, all but the last ending in `%+`.
//! 4. Where one key is the beginning of another (`a` and `a/b`), `a` is a directory and its object lies in it as `%sf.%self`.
//! 5. What is being written lies in `%sf.tmp` below the root; nothing else there is an object.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What an escaped name begins with.
const MARK: &str = "%sf.";
/// The object of a key that is a directory too. No escaped text has a `%s` in it.
pub(super) const SELF: &str = "%sf.%self";
/// The directory at the root for files that are not complete.
pub(super) const TEMPORARY: &str = "%sf.tmp";
/// The end of a directory that holds only the first part of a name.
const CONTINUED: &str = "%+";
/// `NAME_MAX` of Linux file systems, in bytes.
const LONGEST: usize = 255;
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The path for a key, relative to the root.
pub(super) fn path(key: &str) -> String {
    let segments: Vec<String> = key.split('/').map(name).collect();
    segments.join("/")
}

/// The name for one segment; several directories where it is long.
fn name(segment: &str) -> String {
    let plain = !segment.is_empty()
        && segment != "."
        && segment != ".."
        && segment.len() <= LONGEST
        && !segment.contains('\0')
        && !segment.starts_with(MARK);
    if plain {
        return segment.to_owned();
    }
    let encoded = utf8_percent_encode(segment, ENCODED).to_string();
    let room = LONGEST - MARK.len() - CONTINUED.len();
    let mut pieces = Vec::new();
    let mut rest = encoded.as_str();
    while rest.len() > room {
        let (piece, more) = rest.split_at(room);
        pieces.push(format!("{MARK}{piece}{CONTINUED}"));
        rest = more;
    }
    pieces.push(format!("{MARK}{rest}"));
    pieces.join("/")
}

/// What a name found on disk stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The last or only piece of a segment: the encoded text, if it is escaped, else the segment.
    Whole(Piece),
    /// A directory with the names that continue this piece.
    Part(String),
    /// The object of the directory itself.
    Own,
    /// Ours, and no object.
    Temporary,
}

/// A piece of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Plain(String),
    Escaped(String),
}

/// Reads a name found on disk.
pub(super) fn read(name: &str) -> Found {
    if name == SELF {
        return Found::Own;
    }
    if name == TEMPORARY {
        return Found::Temporary;
    }
    match name.strip_prefix(MARK) {
        None => Found::Whole(Piece::Plain(name.to_owned())),
        Some(escaped) => match escaped.strip_suffix(CONTINUED) {
            Some(part) => Found::Part(part.to_owned()),
            None => Found::Whole(Piece::Escaped(escaped.to_owned())),
        },
    }
}

/// The segment that escaped text stands for; none if we would not have written it that way.
pub(super) fn segment(escaped: &str) -> Option<String> {
    let text = percent_decode_str(escaped).decode_utf8().ok()?.into_owned();
    let ours = name(&text).replace(&format!("{CONTINUED}/{MARK}"), "");
    (ours.strip_prefix(MARK) == Some(escaped)).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a path back the way the walk does.
    fn key(path: &str) -> Option<String> {
        let (mut segments, mut begun) = (Vec::new(), String::new());
        for name in path.split('/') {
            match read(name) {
                Found::Part(part) => begun.push_str(&part),
                Found::Whole(Piece::Plain(text)) => segments.push(text),
                Found::Whole(Piece::Escaped(text)) => segments.push(segment(&(std::mem::take(&mut begun) + &text))?),
                Found::Own | Found::Temporary => return None,
            }
        }
        Some(segments.join("/"))
    }

    #[test]
    fn what_elasticsearch_writes_keeps_its_name() {
        for name in ["index-0", "indices/-KQKQ_x/0/__zj.part0", "snap-Ab_1.dat", "a b/%41/ü"] {
            assert_eq!(path(name), name);
        }
    }

    #[test]
    fn what_a_file_system_cannot_hold_is_escaped() {
        assert_eq!(path("a/../b"), "a/%sf.../b");
        assert_eq!(path("/a//"), "%sf./a/%sf./%sf.");
        assert_eq!(path("%sf.tmp/x"), "%sf.%25sf.tmp/x");
    }

    #[test]
    fn no_path_has_a_part_that_leaves_or_is_too_long() {
        for key in ["..", "../../etc/passwd", "a/./b", "/etc/passwd", &"x".repeat(1024), &"ü".repeat(500)] {
            for part in path(key).split('/') {
                assert!(part != "." && part != ".." && !part.is_empty() && part.len() <= LONGEST, "{part}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_key_comes_back(text in "(.|/|\\.|%|\u{0}){1,40}|[a-zü%]{240,700}") {
            prop_assert_eq!(key(&path(&text)), Some(text));
        }
    }
}
