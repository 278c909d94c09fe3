//! Files on their way into place: a temporary file, its content on disk, then the rename.
//!
//! 1. The file is made in `%sf.tmp` below the root and locked for as long as its writer lives.
//! 2. Its bytes are written and synced to disk.
//! 3. It is renamed into place and the directory synced: a machine that stops here has the old object or the new one.
//!
//! A process that is killed leaves its temporary file. The next writer finds that nobody holds its lock and removes it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::fs::Dir;
use futures::StreamExt as _;

use super::walk::failed;
use super::{Root, blocking, name};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{
    Algorithm, Body, Checksum, Digest, Key, Meter, MultipartUpload, Origin, Part, PartSpec, PutResult, RequestKind,
    no_server, short,
};

/// Bytes gathered before they are written at once.
const WRITE: usize = 1024 * 1024;

/// The names of temporary files, and the one sweep of those that a killed process left.
#[derive(Debug)]
pub(super) struct Temporary {
    next: AtomicU64,
    swept: Once,
    /// Held while a file is turned into a directory, so that two writers do not both do it.
    turning: Mutex<()>,
}

impl Default for Temporary {
    fn default() -> Self {
        Self { next: AtomicU64::new(0), swept: Once::new(), turning: Mutex::new(()) }
    }
}

impl Root {
    fn create(&self) -> Result<(String, File)> {
        let dir = self.make()?;
        let cannot = |error| failed("make", name::TEMPORARY, error);
        dir.create_dir_all(name::TEMPORARY).map_err(cannot)?;
        self.writing.swept.call_once(|| sweep(dir));
        let number = self.writing.next.fetch_add(1, Ordering::Relaxed);
        let path = format!("{}/{}-{number}", name::TEMPORARY, std::process::id());
        let file = match dir.create(&path) {
            Ok(file) => file.into_std(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Another process removed the empty directory between our two calls.
                dir.create_dir_all(name::TEMPORARY).map_err(cannot)?;
                dir.create(&path).map_err(cannot)?.into_std()
            }
            Err(error) => return Err(cannot(error)),
        };
        file.lock().map_err(|error| failed("lock", &path, error))?;
        Ok((path, file))
    }

    fn place(&self, from: &str, key: &Key) -> Result<()> {
        let dir = self.make()?;
        let mut to = name::path(key.as_str());
        self.make_parents(dir, &to)?;
        if dir.symlink_metadata(&to).is_ok_and(|found| found.is_dir()) {
            to = format!("{to}/{}", name::SELF);
        }
        // The file or a directory above it may be turned or swept under us: the caller's next try sees the new state.
        dir.rename(from, dir, &to).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => {
                Error::new(ErrorKind::Unavailable, format!("put {key:?}")).from_source(error)
            }
            _ => failed("write", &to, error),
        })?;
        let parent = Path::new(&to).parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Opened as a file: the handles that cap-std keeps for directories cannot be synced.
        dir.open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(|error| failed("sync the directory of", &to, error))
    }

    /// Makes the directories above `path`; where an object stands in the way it becomes the own object of a directory.
    fn make_parents(&self, dir: &Dir, path: &str) -> Result<()> {
        let Some((parent, _)) = path.rsplit_once('/') else { return Ok(()) };
        match dir.create_dir_all(parent) {
            Ok(()) => return Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists) => {}
            Err(error) => return Err(failed("make", parent, error)),
        }
        let _guard = self.writing.turning.lock().unwrap_or_else(PoisonError::into_inner);
        for (end, _) in parent.match_indices('/').chain([(parent.len(), "")]) {
            let above = &parent[..end];
            if dir.symlink_metadata(above).is_ok_and(|found| found.is_file()) {
                let number = self.writing.next.fetch_add(1, Ordering::Relaxed);
                let aside = format!("{}/{}-{number}-turned", name::TEMPORARY, std::process::id());
                // While the name is free another writer may make the directory too: the object must go into it all the same.
                dir.rename(above, dir, &aside)
                    .and_then(|()| dir.create_dir_all(above))
                    .and_then(|()| dir.rename(&aside, dir, format!("{above}/{}", name::SELF)))
                    .map_err(|error| failed("make", above, error))?;
            }
        }
        dir.create_dir_all(parent).map_err(|error| failed("make", parent, error))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if self.writing.next.load(Ordering::Relaxed) > 0
            && let Some(dir) = self.dir.get()
        {
            // Fails while somebody else writes there, and that is right.
            drop(dir.remove_dir(name::TEMPORARY));
        }
    }
}

/// Removes temporary files whose writers are gone. Best effort: what is left does no harm.
fn sweep(dir: &Dir) {
    let Ok(temporary) = dir.open_dir(name::TEMPORARY) else { return };
    let Ok(entries) = temporary.entries() else { return };
    for entry in entries.flatten() {
        let Ok(file) = entry.open() else { continue };
        if file.into_std().try_lock().is_ok() {
            drop(entry.remove_file());
        }
    }
}

/// One file being written.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    root: Arc<Root>,
    key: Key,
    open: Arc<Mutex<Option<Arc<Open>>>>,
}

/// A temporary file, removed when its last holder lets go of it.
#[derive(Debug)]
struct Open {
    root: Arc<Root>,
    path: String,
    file: File,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(dir) = self.root.dir.get() {
            drop(dir.remove_file(&self.path));
        }
    }
}

impl Writer {
    pub(super) fn new(root: Arc<Root>, key: Key) -> Self {
        Self { root, key, open: Arc::default() }
    }

    /// The temporary file, made at the first call.
    fn open(&self) -> Result<Arc<Open>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*open {
            return Ok(open.clone());
        }
        let (path, file) = self.root.create()?;
        let made = Arc::new(Open { root: self.root.clone(), path, file });
        *open = Some(made.clone());
        Ok(made)
    }

    /// Writes a body from `offset` on and gives the checksum of what was written.
    pub(super) async fn take(&mut self, mut body: Body, offset: u64) -> Result<Checksum> {
        let mut digest = Digest::new(Algorithm::Crc64Nvme);
        let (mut at, mut waiting, mut gathered) = (offset, Vec::<Bytes>::new(), 0);
        loop {
            let next = body.stream.next().await.transpose()?;
            let ended = next.is_none();
            if let Some(bytes) = next {
                digest.update(&bytes);
                gathered += bytes.len();
                waiting.push(bytes);
            }
            if gathered >= WRITE || ended {
                let (writer, chunks) = (self.clone(), std::mem::take(&mut waiting));
                at = blocking(move || writer.write(at, &chunks)).await?;
                gathered = 0;
            }
            if at - offset > body.length || (ended && at - offset != body.length) {
                return Err(short(body.length, at - offset));
            }
            if ended {
                return Ok(digest.finish());
            }
        }
    }

    fn write(&self, mut at: u64, chunks: &[Bytes]) -> Result<u64> {
        let open = self.open()?;
        for chunk in chunks {
            open.file.write_all_at(chunk, at).map_err(|error| failed("write", self.key.as_str(), error))?;
            at += chunk.len() as u64;
        }
        Ok(at)
    }

    /// Makes the file visible under its name.
    pub(super) async fn publish(self) -> Result<()> {
        blocking(move || {
            let open = self.open()?;
            open.file.sync_all().map_err(|error| failed("sync", self.key.as_str(), error))?;
            self.root.place(&open.path, &self.key)
        })
        .await
    }
}

/// A file written in parts: each part at its place in one temporary file.
#[derive(Debug)]
pub(super) struct Upload {
    writer: Writer,
    meter: Arc<Meter>,
    /// The parts that are written, with their lengths; none once it is over.
    written: Mutex<Option<BTreeMap<u32, u64>>>,
}

impl Upload {
    pub(super) async fn begin(writer: Writer, meter: Arc<Meter>) -> Result<Self> {
        let first = writer.clone();
        blocking(move || first.open()).await?;
        Ok(Self { writer, meter, written: Mutex::new(Some(BTreeMap::new())) })
    }

    fn written(&self) -> MutexGuard<'_, Option<BTreeMap<u32, u64>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self, cause: String) -> Error {
        Error::new(ErrorKind::Invalid, format!("complete the upload of {:?}", self.writer.key)).because(cause)
    }

    /// Whether every part was written; a file with a hole is no object.
    fn must_be_whole(&self, parts: &[Part]) -> Result<()> {
        let written = self.written();
        let Some(written) = &*written else { return Err(self.over("it was completed or aborted before".to_owned())) };
        let lost = parts.iter().find(|part| written.get(&part.spec.number) != Some(&part.spec.length));
        lost.map_or(Ok(()), |part| Err(self.over(format!("part {} was never written", part.spec.number))))
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    async fn put_part(&self, part: PartSpec, body: Body) -> Result<Part> {
        self.meter.count(RequestKind::UploadPart);
        if self.written().is_none() {
            return Err(self.over("it was completed or aborted before".to_owned()));
        }
        let checksum = self.writer.clone().take(body, part.offset).await?;
        self.written().as_mut().map(|written| written.insert(part.number, part.length));
        Ok(Part { spec: part, etag: None, checksums: vec![checksum] })
    }

    async fn copy_part(&self, _part: PartSpec, _from: Origin<'_>) -> Result<Part> {
        Err(no_server(&self.writer.key))
    }

    async fn complete(&self, parts: Vec<Part>) -> Result<PutResult> {
        self.meter.count(RequestKind::CompleteMultipartUpload);
        self.must_be_whole(&parts)?;
        self.writer.clone().publish().await?;
        self.written().take();
        let whole = parts.iter().try_fold(None, |sum: Option<Checksum>, part| {
            let next = *part.checksums.first()?;
            Some(Some(match sum {
                Some(sum) => sum.followed_by(next, part.spec.length)?,
                None => next,
            }))
        });
        Ok(PutResult { etag: None, checksums: whole.flatten().into_iter().collect() })
    }

    async fn abort(&self) -> Result<()> {
        self.meter.count(RequestKind::AbortMultipartUpload);
        self.written().take();
        // Parts still being written hold the file a moment longer; the last of them removes it.
        self.writer.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}
