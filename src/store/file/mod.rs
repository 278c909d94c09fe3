//! A directory as a store: objects are files, written beside their place and renamed into it.
//!
//! Everything happens relative to a handle of the root directory (`cap-std`), so that neither a key nor a link below the root
//! can lead outside it. Names are the business of [`name`], order that of [`walk`].

mod name;
mod walk;
mod write;

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use futures::{StreamExt as _, stream};

use self::walk::{Walk, failed};
use self::write::{Upload, Writer};
use super::{
    Access, Attributes, Body, Capability, GetOptions, GetResult, Head, Key, ListOptions, Meter, MultipartUpload,
    ObjectMeta, ObjectStore, Origin, Pages, PutOptions, PutResult, RequestKind, is_there, no_server, one_by_one,
};
use crate::error::{Error, ErrorKind, Result};

/// Objects below one directory.
#[derive(Debug, Clone)]
pub struct FileStore {
    root: Arc<Root>,
    meter: Arc<Meter>,
}

/// The root directory, opened when it is first needed: a plan must not create its target.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    access: Access,
    dir: OnceLock<Dir>,
    writing: write::Temporary,
}

/// Objects in one page of a listing, as S3 has it.
const PAGE: usize = 1000;
/// Bytes read at once. Larger reads gain nothing measurable and cost memory for each stream.
const READ: usize = 256 * 1024;

impl FileStore {
    /// The directory `path`. It must exist to be read; it is made when first written to.
    #[must_use]
    pub fn new(path: PathBuf, access: Access, meter: Arc<Meter>) -> Self {
        Self {
            root: Arc::new(Root { path, access, dir: OnceLock::new(), writing: write::Temporary::default() }),
            meter,
        }
    }
}

impl Root {
    /// The directory; none if it is not there.
    fn find(&self) -> Result<Option<&Dir>> {
        if let Some(dir) = self.dir.get() {
            return Ok(Some(dir));
        }
        match Dir::open_ambient_dir(&self.path, ambient_authority()) {
            Ok(dir) => Ok(Some(self.dir.get_or_init(|| dir))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("open", &self.path.to_string_lossy(), error)),
        }
    }

    /// The directory, which must be there.
    fn open(&self) -> Result<&Dir> {
        self.find()?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("read `file://{}`", self.path.display()))
                .because("there is no such directory")
        })
    }

    /// The directory, made if it is not there.
    fn make(&self) -> Result<&Dir> {
        if self.find()?.is_none() {
            Dir::create_ambient_dir_all(&self.path, ambient_authority())
                .map_err(|error| failed("make", &self.path.to_string_lossy(), error))?;
        }
        self.open()
    }

    /// The regular file that holds `key`, with its path.
    fn locate(&self, key: &Key, doing: &str) -> Result<(String, cap_std::fs::Metadata)> {
        let missing = || Error::new(ErrorKind::NotFound, format!("{doing} {key:?}")).because("there is no such object");
        let dir = self.open()?;
        let mut path = name::path(key.as_str());
        for _ in 0..2 {
            match dir.symlink_metadata(&path) {
                Ok(found) if found.is_dir() => path = format!("{path}/{}", name::SELF),
                Ok(found) if found.is_file() => return Ok((path, found)),
                Ok(_) => {
                    return Err(Error::new(ErrorKind::Invalid, format!("{doing} {key:?}"))
                        .because("it is a link or no regular file"));
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Err(missing());
                }
                Err(error) => return Err(failed(doing, &path, error)),
            }
        }
        Err(missing())
    }
}

/// Runs file work off the async threads. The pool is bounded by tokio.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::new(ErrorKind::Internal, "finish file work").from_source(error)))
}

#[async_trait]
impl ObjectStore for FileStore {
    async fn head(&self, key: &Key) -> Result<Head> {
        self.meter.count(RequestKind::Head);
        let (root, key) = (self.root.clone(), key.clone());
        blocking(move || {
            let (_, found) = root.locate(&key, "look at")?;
            Ok(Head { meta: walk::meta(key, &found)?, attributes: Attributes::default(), checksums: Vec::new() })
        })
        .await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.meter.count(RequestKind::Get);
        let (root, key) = (self.root.clone(), key.clone());
        blocking(move || read(&root, key, &options)).await
    }

    async fn put(&self, key: &Key, body: Body, options: &PutOptions) -> Result<PutResult> {
        self.meter.count(RequestKind::Put);
        self.look_first(key, options).await?;
        let mut writer = Writer::new(self.root.clone(), key.clone());
        let checksum = writer.take(body, 0).await?;
        writer.publish().await?;
        Ok(PutResult { etag: None, checksums: vec![checksum] })
    }

    async fn put_multipart(&self, key: &Key, _size: u64, options: &PutOptions) -> Result<Box<dyn MultipartUpload>> {
        self.meter.count(RequestKind::CreateMultipartUpload);
        self.look_first(key, options).await?;
        let writer = Writer::new(self.root.clone(), key.clone());
        Ok(Box::new(Upload::begin(writer, self.meter.clone()).await?))
    }

    async fn copy(&self, _from: Origin<'_>, key: &Key, _options: &PutOptions) -> Result<PutResult> {
        Err(no_server(key))
    }

    fn list(&self, options: ListOptions) -> Pages {
        let (root, meter) = (self.root.clone(), self.meter.clone());
        let state = Some(Listing::Begin(options));
        let pages = stream::unfold(state, move |state| {
            let (root, meter) = (root.clone(), meter.clone());
            async move {
                let state = state?;
                meter.count(RequestKind::List);
                match blocking(move || state.next(&root)).await {
                    Ok((page, next)) => Some((Ok(page), next)),
                    Err(error) => Some((Err(error), None)),
                }
            }
        });
        pages.boxed()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.meter.count(RequestKind::Delete);
        let (root, key) = (self.root.clone(), key.clone());
        blocking(move || {
            let removed = root
                .locate(&key, "delete")
                .and_then(|(path, _)| root.open()?.remove_file(&path).map_err(|error| failed("delete", &path, error)));
            match removed {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                other => other,
            }
        })
        .await
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>> {
        Ok(one_by_one(self, keys).await)
    }

    fn capability(&self) -> Capability {
        Capability::local()
    }
}

impl FileStore {
    /// Refuses a write over what is there, if that was asked for.
    async fn look_first(&self, key: &Key, options: &PutOptions) -> Result<()> {
        if !options.if_absent || self.root.find()?.is_none() {
            return Ok(());
        }
        let (root, wanted) = (self.root.clone(), key.clone());
        match blocking(move || root.locate(&wanted, "look at")).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(is_there(key)),
        }
    }
}

/// A listing before its first page and between pages.
enum Listing {
    Begin(ListOptions),
    Walk(Box<Walk>),
}

impl Listing {
    fn next(self, root: &Root) -> Result<(Vec<ObjectMeta>, Option<Self>)> {
        let mut walk = match self {
            Self::Walk(walk) => walk,
            Self::Begin(options) => {
                let dir = match (root.find()?, root.access) {
                    (Some(dir), _) => dir,
                    // A target that is not there yet is an empty one.
                    (None, Access::Write) => return Ok((Vec::new(), None)),
                    (None, Access::Read) => root.open()?,
                };
                let dir = dir.try_clone().map_err(|error| failed("open", "", error))?;
                Box::new(Walk::new(dir, options)?)
            }
        };
        let page = walk.next_page(PAGE)?;
        let next = (page.len() == PAGE).then_some(Self::Walk(walk));
        Ok((page, next))
    }
}

fn read(root: &Root, key: Key, options: &GetOptions) -> Result<GetResult> {
    let (path, _) = root.locate(&key, "get")?;
    let file = root.open()?.open(&path).map_err(|error| failed("open", &path, error))?;
    // The open file is what is read, whatever is renamed over its name meanwhile.
    let found = file.metadata().map_err(|error| failed("look at", &path, error))?;
    let meta = walk::meta(key, &found)?;
    let mut file = file.into_std();
    if options.if_match.is_some() && options.if_match != meta.etag {
        return Err(Error::new(ErrorKind::Precondition, format!("get {:?}", meta.key)).because("the file has changed"));
    }
    let range = options.range.clone().unwrap_or(0..meta.size);
    if range.end > meta.size || range.start > range.end {
        return Err(Error::new(ErrorKind::Invalid, format!("get bytes {range:?} of {:?}", meta.key))
            .because(format!("it has {} bytes", meta.size)));
    }
    if range.start > 0 {
        file.seek(SeekFrom::Start(range.start)).map_err(|error| failed("read", &path, error))?;
    }
    let length = range.end - range.start;
    Ok(GetResult {
        meta,
        attributes: Attributes::default(),
        checksums: Vec::new(),
        body: Body { length, stream: chunks(file, path, length).boxed() },
    })
}

/// The next `left` bytes of a file, a chunk at a time.
fn chunks(file: std::fs::File, path: String, left: u64) -> impl futures::Stream<Item = Result<Bytes>> + Send {
    stream::try_unfold((file, path, left), |(mut file, path, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        blocking(move || {
            let room = usize::try_from(left).unwrap_or(READ).min(READ);
            let mut buffer = BytesMut::zeroed(room);
            let count = file.read(&mut buffer).map_err(|error| failed("read", &path, error))?;
            if count == 0 {
                return Err(Error::new(ErrorKind::Corrupt, format!("read the file `{path}`"))
                    .because(format!("it ended {left} bytes early: it was cut while being read")));
            }
            buffer.truncate(count);
            Ok(Some((buffer.freeze(), (file, path, left - count as u64))))
        })
        .await
    })
}
