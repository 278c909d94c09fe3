//! A directory tree listed in the order of keys.
//!
//! 1. One directory is read at a time and its entries sorted by the key text they stand for, a directory as `name/`. As `/` is
//!    part of the text compared, this is the byte order of whole keys.
//! 2. Directories that only continue a long name are read at once into the directory they belong to.
//! 3. Memory holds the entries of the directories on the path to the current one, never the tree.

use std::io;

use cap_std::fs::{Dir, DirEntry, MetadataExt as _};
use jiff::Timestamp;

use super::name::{self, Found, Piece};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ETag, Key, ListOptions, ObjectMeta};

/// A walk in progress.
pub(super) struct Walk {
    options: ListOptions,
    /// Entries still to visit, the next one last, one level for each open directory.
    levels: Vec<Vec<Entry>>,
    root: Dir,
}

/// A file or directory to visit.
struct Entry {
    /// The key of a file; the beginning of all keys below a directory, with its slash.
    text: String,
    /// Where it lies, relative to the root.
    path: String,
    directory: bool,
}

impl Walk {
    pub(super) fn new(root: Dir, options: ListOptions) -> Result<Self> {
        let mut walk = Self { options, levels: Vec::new(), root };
        walk.open("", "")?;
        Ok(walk)
    }

    /// Up to `most` more objects; fewer at the end, none after it.
    pub(super) fn next_page(&mut self, most: usize) -> Result<Vec<ObjectMeta>> {
        let mut page = Vec::new();
        while page.len() < most {
            let Some(level) = self.levels.last_mut() else { break };
            match level.pop() {
                None => drop(self.levels.pop()),
                Some(entry) if entry.directory => self.open(&entry.path, &entry.text)?,
                Some(entry) => page.extend(self.look(&entry)?),
            }
        }
        Ok(page)
    }

    fn look(&self, entry: &Entry) -> Result<Option<ObjectMeta>> {
        match self.root.symlink_metadata(&entry.path) {
            Ok(found) => meta(Key::new(&entry.text)?, &found).map(Some),
            // Removed since its directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look at", &entry.path, error)),
        }
    }

    /// Reads a directory and puts what can match on top of the levels.
    fn open(&mut self, path: &str, text: &str) -> Result<()> {
        let mut entries = Vec::new();
        self.gather(path, text, "", &mut entries)?;
        let options = &self.options;
        entries.retain(|entry| can_match(entry, options));
        entries.sort_unstable_by(|a, b| b.text.cmp(&a.text));
        self.levels.push(entries);
        Ok(())
    }

    fn gather(&self, path: &str, text: &str, begun: &str, entries: &mut Vec<Entry>) -> Result<()> {
        let here = if path.is_empty() { "." } else { path };
        let found = match self.root.read_dir(here) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("list", path, error)),
        };
        for entry in found {
            let entry = entry.map_err(|error| failed("list", path, error))?;
            self.take(&entry, path, text, begun, entries)?;
        }
        Ok(())
    }

    fn take(&self, entry: &DirEntry, path: &str, text: &str, begun: &str, entries: &mut Vec<Entry>) -> Result<()> {
        let file = entry.file_name();
        let Some(file) = file.to_str() else {
            return Err(Error::new(ErrorKind::Invalid, format!("list `{path}`"))
                .because(format!("the file name `{}` is not UTF-8, so it is no key", file.to_string_lossy())));
        };
        let below = if path.is_empty() { file.to_owned() } else { format!("{path}/{file}") };
        let kind = entry.file_type().map_err(|error| failed("look at", &below, error))?;
        if !kind.is_dir() && !kind.is_file() {
            tracing::warn!(path = %below, "left out: it is a link or no regular file");
            return Ok(());
        }
        let segment = match name::read(file) {
            Found::Temporary if text.is_empty() => return Ok(()),
            Found::Part(part) => return self.gather(&below, text, &format!("{begun}{part}"), entries),
            // Found while looking at the directory itself.
            Found::Own => return Ok(()),
            Found::Whole(Piece::Plain(plain)) => plain,
            Found::Whole(Piece::Escaped(escaped)) => name::segment(&format!("{begun}{escaped}")).ok_or_else(|| {
                Error::new(ErrorKind::Invalid, format!("list `{below}`"))
                    .because("it begins like an escaped name and is none that snapferry writes")
                    .hint("rename the file")
            })?,
            Found::Temporary => file.to_owned(),
        };
        if kind.is_dir() {
            let own = format!("{below}/{}", name::SELF);
            if self.root.symlink_metadata(&own).is_ok_and(|found| found.is_file()) {
                entries.push(Entry { text: format!("{text}{segment}"), path: own, directory: false });
            }
            entries.push(Entry { text: format!("{text}{segment}/"), path: below, directory: true });
        } else {
            entries.push(Entry { text: format!("{text}{segment}"), path: below, directory: false });
        }
        Ok(())
    }
}

/// Whether an entry is an object to list or may hold one.
fn can_match(entry: &Entry, options: &ListOptions) -> bool {
    let prefix = options.prefix.as_str();
    let after = options.after.as_ref().map_or("", Key::as_str);
    if entry.directory {
        (entry.text.starts_with(prefix) || prefix.starts_with(&entry.text))
            && (entry.text.as_str() > after || after.starts_with(&entry.text))
    } else {
        entry.text.starts_with(prefix) && entry.text.as_str() > after
    }
}

/// What is told of a file.
pub(super) fn meta(key: Key, found: &cap_std::fs::Metadata) -> Result<ObjectMeta> {
    let modified = found
        .modified()
        .ok()
        .and_then(|time| Timestamp::try_from(time.into_std()).ok())
        .ok_or_else(|| Error::new(ErrorKind::Invalid, format!("read the modification time of {key:?}")))?;
    // The mark a file has: another content means another inode (we rename into place) or another time.
    let mark = format!("{:x}-{:x}-{:x}", found.ino(), modified.as_nanosecond(), found.len());
    Ok(ObjectMeta { size: found.len(), modified, etag: ETag::new(&mark), key })
}

/// An input or output error, with the words for the kinds a user can do something about.
pub(super) fn failed(doing: &str, path: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::Unsupported
        }
        io::ErrorKind::InvalidFilename | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    let shown = if path.is_empty() { "." } else { path };
    Error::new(kind, format!("{doing} the file `{shown}`")).from_source(error)
}
