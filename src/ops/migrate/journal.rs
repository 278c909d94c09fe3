//! The journal on disk: lines that are only ever added, each with its checksum, each on the disk before the work it tells of goes on.
//!
//! 1. A line is eight hexadecimal digits of CRC-32, a blank, and JSON. It is written in one piece and synced.
//! 2. A line that is cut off or whose checksum is wrong, at the very end, was being written when the machine or the process died: it is
//!    dropped, and what it told of has not begun. Anywhere else it is damage, and the journal is refused.
//! 3. One process at a time: a lock of the kernel's on a file beside it, which goes with the process however that ends.
//!
//! `docs/adr/0010-the-journal-of-a-migration.md` says why lines and no document that is replaced.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crc_fast::{CrcAlgorithm, checksum};

use super::record::{Entry, Header, VERSION};
use super::state::State;
use crate::error::{Error, ErrorKind, Result};

/// Who may read and write what a journal names: its owner alone.
const MODE: u32 = 0o600;
/// A journal longer than this is none of ours: a round takes some ten kilobytes.
const LARGEST: u64 = 1 << 30;

/// A journal that is open for writing. Nobody else has it open so.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Held, and let go of when this is dropped.
    _lock: File,
    state: State,
}

impl Journal {
    /// Opens the journal of this job, or begins one.
    ///
    /// [`ErrorKind::Precondition`] when another process has it open, and when it is of another job or between other ends;
    /// [`ErrorKind::Damaged`] when a line in it is not as it was written.
    pub(super) fn open(path: &Path, header: &Header) -> Result<Self> {
        let cannot = |error: std::io::Error| Error::new(ErrorKind::Invalid, opening(path)).from_source(error);
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(cannot)?;
        let lock = lock(path)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .open(path)
            .map_err(cannot)?;
        let (state, whole) = read(path, &mut file)?;
        file.set_len(whole).and_then(|()| file.seek(SeekFrom::End(0))).map_err(cannot)?;
        let mut journal = Self { path: path.to_owned(), file, _lock: lock, state };
        if let Some(found) = &journal.state.header {
            must_agree(path, found, header)?;
        } else {
            journal.write(Entry::Opened(header.clone()))?;
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(cannot)?;
        }
        Ok(journal)
    }

    /// What it says.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Adds a line. When this returns, it is on the disk.
    pub(super) fn write(&mut self, entry: Entry) -> Result<()> {
        let cannot = |cause: String| {
            Error::new(ErrorKind::Invalid, format!("write the journal `{}`", self.path.display()))
                .because(cause)
                .hint("make room or give another place with `--journal`, then run this again: nothing is done that is not written down first")
        };
        let text = serde_json::to_string(&entry).map_err(|error| cannot(error.to_string()))?;
        let line = format!("{:08x} {text}\n", crc(text.as_bytes()));
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|error| cannot(error.to_string()))?;
        self.state.take(entry);
        Ok(())
    }
}

/// Reads a journal without opening it for writing, whoever else has it open. None if there is none.
pub fn look(path: &Path) -> Result<Option<State>> {
    match File::open(path) {
        Ok(mut file) => Ok(Some(read(path, &mut file)?.0).filter(|state| state.header.is_some())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(ErrorKind::Invalid, opening(path)).from_source(error)),
    }
}

fn opening(path: &Path) -> String {
    format!("open the journal `{}`", path.display())
}

fn crc(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc32IsoHdlc, bytes)
}

/// Takes the lock, or says who has it.
fn lock(path: &Path) -> Result<File> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let cannot = |error: std::io::Error| {
        Error::new(ErrorKind::Invalid, format!("lock the journal with `{}`", beside.display())).from_source(error)
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(&beside)
        .map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let text = format!("process {} on {}", std::process::id(), host.trim());
            file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(cannot)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who it is, is a courtesy.
            drop(file.take(200).read_to_string(&mut text));
            let who = if text.is_empty() { "another process".to_owned() } else { text };
            Err(Error::new(ErrorKind::Precondition, opening(path))
                .because(format!("{who} works with it"))
                .hint("wait until that has ended, or end it; `migrate status` may look meanwhile"))
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Reads every line, and gives the length up to which they are whole.
fn read(path: &Path, file: &mut File) -> Result<(State, u64)> {
    let wrong = |kind, cause: String, hint: &'static str| Error::new(kind, opening(path)).because(cause).hint(hint);
    let mut bytes = Vec::new();
    let read = file.take(LARGEST).read_to_end(&mut bytes);
    read.map_err(|error| wrong(ErrorKind::Invalid, error.to_string(), "give another place with `--journal`"))?;
    let mut state = State::default();
    let mut whole = 0;
    let mut rest = bytes.as_slice();
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let end = rest.iter().position(|byte| *byte == b'\n');
        let entry = end.and_then(|end| parse(&rest[..end]));
        let Some((entry, end)) = entry.zip(end) else {
            let is_last = end.is_none_or(|end| end + 1 == rest.len());
            if is_last && (number > 1 || end.is_none()) {
                tracing::warn!(path = %path.display(), number, "the last line of the journal is cut off and is dropped");
                break;
            }
            return Err(wrong(
                ErrorKind::Damaged,
                format!("line {number} is not as it was written"),
                "if this is a journal, bring it back from a backup; `--journal` gives another place to begin anew",
            ));
        };
        if let Entry::Opened(header) = &entry
            && header.version > VERSION
        {
            return Err(wrong(
                ErrorKind::Unsupported,
                format!("it is of version {}, and this program knows {VERSION}", header.version),
                "use the program that wrote it, or a newer one",
            ));
        }
        state.take(entry);
        whole += end as u64 + 1;
        rest = &rest[end + 1..];
    }
    Ok((state, whole))
}

fn parse(line: &[u8]) -> Option<Entry> {
    let (sum, text) = line.split_at_checked(9)?;
    let sum = std::str::from_utf8(sum).ok()?.strip_suffix(' ')?;
    if u64::from_str_radix(sum, 16).ok()? != crc(text) {
        return None;
    }
    serde_json::from_slice(text)
        .inspect_err(|error| tracing::warn!(%error, "a line of the journal is whole and cannot be read"))
        .ok()
}

/// A journal tells of one job between two ends, and of nothing else.
fn must_agree(path: &Path, found: &Header, header: &Header) -> Result<()> {
    let pairs = [
        ("job", &found.job, &header.job),
        ("source location", &found.from, &header.from),
        ("target location", &found.to, &header.to),
        ("repository", &found.repository, &header.repository),
        ("source cluster", &found.source, &header.source),
        ("target cluster", &found.target, &header.target),
    ];
    let differing: Vec<String> = pairs
        .into_iter()
        .filter(|(_, found, wanted)| found != wanted)
        .map(|(what, found, wanted)| format!("its {what} is `{found}` and not `{wanted}`"))
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Precondition, opening(path))
        .because(format!("it is of another migration: {}", differing.join(", ")))
        .hint("give this migration another name, or another `--journal`"))
}

#[cfg(test)]
mod tests {
    use super::super::step::{Phase, Step};
    use super::*;

    fn header(job: &str) -> Header {
        let at = "2026-01-01T00:00:00Z".parse().expect("valid");
        let text = || "x".to_owned();
        Header {
            version: VERSION,
            job: job.to_owned(),
            from: text(),
            to: text(),
            repository: text(),
            source: text(),
            target: text(),
            at,
        }
    }

    fn written(path: &Path) -> usize {
        let mut journal = Journal::open(path, &header("a")).unwrap();
        let at = header("a").at;
        journal.write(Entry::Round { round: 1, phase: Phase::Baseline, at }).unwrap();
        journal.write(Entry::Begun { round: 1, step: Step::Preflight, at, intent: None }).unwrap();
        std::fs::read(path).unwrap().len()
    }

    #[test]
    fn a_journal_cut_off_anywhere_is_read_up_to_the_last_whole_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("j");
        let length = written(&path);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..length {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let lines = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
            let journal = Journal::open(&path, &header("a")).unwrap_or_else(|error| panic!("{cut}: {error}"));
            assert_eq!(journal.state().rounds.len(), usize::from(lines >= 2), "{cut}");
            assert_eq!(journal.state().open().is_some_and(|round| round.begun(Step::Preflight)), lines >= 3, "{cut}");
        }
    }

    #[test]
    fn damage_before_the_end_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("j");
        written(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[40] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Journal::open(&path, &header("a")).unwrap_err().kind(), ErrorKind::Damaged);
    }

    #[test]
    fn another_migration_and_another_process_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/j");
        written(&path);
        let error = Journal::open(&path, &header("b")).unwrap_err();
        assert!(error.to_string().contains("its job is `a` and not `b`"), "{error}");
        let held = Journal::open(&path, &header("a")).unwrap();
        let error = Journal::open(&path, &header("a")).unwrap_err();
        assert!(error.to_string().contains(&format!("process {} on", std::process::id())), "{error}");
        assert_eq!(look(&path).unwrap().unwrap().rounds.len(), 1, "looking is always allowed");
        drop(held);
        assert!(Journal::open(&path, &header("a")).is_ok());
    }

    #[test]
    fn only_the_owner_may_read_it_and_a_newer_one_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("j");
        written(&path);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let newer = serde_json::to_string(&Entry::Opened(Header { version: VERSION + 1, ..header("a") })).unwrap();
        std::fs::write(&path, format!("{:08x} {newer}\n", crc(newer.as_bytes()))).unwrap();
        assert_eq!(look(&path).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
