//! Repositories that real clusters wrote: `tests/fixtures/<name>.tar.gz`, unpacked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that goes with the test.
pub(crate) fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("snapferry-test-").tempdir().expect("a temporary directory can be made")
}

/// Unpacks a repository into `directory`, as `directory/<name>`, and gives its path.
pub(crate) fn unpack(name: &str, directory: &Path) -> PathBuf {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.tar.gz"));
    let file = std::fs::File::open(&archive).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
    let staging = directory.join(format!(".unpack-{name}"));
    tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(&staging).expect("the archive is whole");
    let inner = std::fs::read_dir(&staging)
        .expect("it was unpacked")
        .next()
        .expect("it has one folder")
        .expect("readable")
        .path();
    let place = directory.join(name);
    std::fs::rename(inner, &place).expect("both are in one directory");
    std::fs::remove_dir_all(&staging).expect("it is empty");
    place
}

/// Every file below a directory, by its path with `/`, with its content.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8").to_owned();
                files.insert(name, std::fs::read(&path).expect("readable"));
            }
        }
    }
    files
}

/// Sets the modification time of every file to now: a source that has just been written.
#[expect(clippy::disallowed_methods, reason = "the files shall be newer than the machine's clock")]
pub(crate) fn touch(root: &Path) {
    for name in tree(root).keys() {
        let file = std::fs::File::options().write(true).open(root.join(name)).expect("writable");
        file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).expect("settable");
    }
}
