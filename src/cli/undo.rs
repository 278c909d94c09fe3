//! The file in which a restore writes down what it changes before it does, one JSON object a line.
//!
//! It is read back when the restore is run again after an interruption, and by `--put-back`.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as Io, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::ops::restore::{Entry, RestoreLog, Undo};

/// The file, open at its end.
#[derive(Debug)]
pub(super) struct UndoFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl UndoFile {
    /// What is in the file, which must be there; it is left as it is.
    pub(super) fn look(path: &Path) -> Result<Undo> {
        std::fs::metadata(path).map_err(|error| failed(path, error))?;
        read(path).map(|(undo, _)| undo)
    }

    /// Opens the file, or makes one that only its owner reads, and reads what is in it.
    pub(super) fn open(path: &Path) -> Result<(Self, Undo)> {
        let (undo, length) = read(path)?;
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        // What was being written when the process ended must not become the beginning of the next line.
        let file = opened.and_then(|file| file.set_len(length).map(|()| file)).map_err(|error| failed(path, error))?;
        Ok((Self { path: path.to_owned(), file: Mutex::new(file) }, undo))
    }
}

impl RestoreLog for UndoFile {
    fn record(&self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(&self.path, error))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(|error| failed(&self.path, error))
    }
}

/// Reads what a restore wrote down, and how many bytes that are. A last line without its end was never acted on.
fn read(path: &Path) -> Result<(Undo, u64)> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == Io::NotFound => String::new(),
        Err(error) => return Err(failed(path, error)),
    };
    let whole = text.rfind('\n').map_or(0, |at| at + 1);
    let mut undo = Undo::default();
    for (number, line) in (1..).zip(text[..whole].lines()) {
        let entry: Entry = serde_json::from_str(line).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("read line {number} of `{}`", path.display()))
                .because(error.to_string())
                .hint("name a file that an earlier restore wrote, or one that is not there yet")
        })?;
        undo.note(&entry);
    }
    Ok((undo, whole as u64))
}

fn failed(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = error.into();
    // What the command line names is not there: that is no outage.
    let is_missing = error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == Io::NotFound);
    let kind = if is_missing { ErrorKind::NotFound } else { ErrorKind::Unavailable };
    Error::new(kind, format!("keep what is changed in `{}`", path.display()))
        .from_source(error)
        .hint("name a file in a folder that is there and can be written; `--put-back` needs the file of the interrupted restore")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_written_before_the_end_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("undo");
        let (file, undo) = UndoFile::open(&path).unwrap();
        assert_eq!(undo, Undo::default());
        file.record(&Entry::Closing { indices: vec!["a".into()] }).unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"entry\":\"clo").unwrap();
        let (file, undo) = UndoFile::open(&path).unwrap();
        assert!(undo.closed.contains("a"));
        file.record(&Entry::Opened { indices: vec!["a".into()] }).unwrap();
        assert!(UndoFile::open(&path).unwrap().1.closed.is_empty());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "no\nno\n").unwrap();
        assert_eq!(UndoFile::open(&path).unwrap_err().kind(), ErrorKind::Invalid);
        let missing = folder.path().join("missing");
        assert_eq!(UndoFile::look(&missing).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(UndoFile::open(&missing.join("undo")).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(!missing.exists());
    }
}
