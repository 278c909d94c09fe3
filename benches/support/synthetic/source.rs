//! The repository as a store that can only be read.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::store::{
    Attributes, Body, Capability, GetOptions, GetResult, Head, Key, ListOptions, Meter, MultipartUpload, ObjectMeta,
    ObjectStore, Origin, Pages, PutOptions, PutResult, RequestKind,
};

use super::content::Contents;
use super::shape::{Shape, Time};

/// Keys in one page, as S3 gives them.
pub(super) const PAGE: usize = 1_000;

/// A synthetic repository at one time.
#[derive(Debug, Clone)]
pub(crate) struct Synthetic {
    shape: Shape,
    time: Time,
    contents: Arc<Contents>,
    meter: Arc<Meter>,
}

impl Synthetic {
    /// A repository, which counts its requests in `meter`.
    pub(crate) fn new(shape: Shape, time: Time, meter: Arc<Meter>) -> Self {
        Self { shape, time, contents: Arc::new(Contents::new(shape)), meter }
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// What a slot holds, whether or not it is there at this time.
    pub(super) fn render(&self, slot: u64) -> bytes::Bytes {
        self.contents.render(self.shape.object(slot), self.time == Time::After)
    }

    pub(super) fn meta(&self, slot: u64) -> ObjectMeta {
        let size = self.contents.length(self.shape.object(slot));
        ObjectMeta { key: self.shape.key(slot), size, modified: Timestamp::UNIX_EPOCH, etag: None }
    }

    /// A page of a listing from a slot on, and where the next one begins.
    fn page(&self, mut slot: u64, prefix: &str) -> (Vec<ObjectMeta>, Option<u64>) {
        self.meter.count(RequestKind::List);
        let mut page = Vec::new();
        while page.len() < PAGE && slot < self.shape.slots() {
            if self.shape.is_there(slot, self.time) {
                let meta = self.meta(slot);
                if !meta.key.as_str().starts_with(prefix) {
                    return (page, None);
                }
                page.push(meta);
            }
            slot += 1;
        }
        let next = (page.len() == PAGE).then_some(slot);
        (page, next)
    }

    fn find(&self, key: &Key) -> Result<u64> {
        let slot = self.shape.slot(key).filter(|slot| self.shape.is_there(*slot, self.time));
        slot.ok_or_else(|| absent(key))
    }
}

pub(super) fn absent(key: &Key) -> Error {
    Error::new(ErrorKind::NotFound, format!("read {key:?}")).because("there is no such object")
}

/// An object or a range of it, as an answer.
pub(super) fn answer(meta: ObjectMeta, bytes: bytes::Bytes, options: GetOptions) -> Result<GetResult> {
    let bytes = match options.range {
        None => bytes,
        Some(range) if range.end <= meta.size && range.start < range.end => {
            let place = |at: u64| usize::try_from(at).expect("it is in memory");
            bytes.slice(place(range.start)..place(range.end))
        }
        Some(range) => return Err(Error::new(ErrorKind::Invalid, format!("read bytes {range:?} of {:?}", meta.key))),
    };
    Ok(GetResult { meta, attributes: Attributes::default(), checksums: Vec::new(), body: Body::from_bytes(bytes) })
}

fn read_only() -> Error {
    Error::new(ErrorKind::Denied, "write to the source").because("a copy only reads it")
}

#[async_trait]
impl ObjectStore for Synthetic {
    async fn head(&self, key: &Key) -> Result<Head> {
        self.meter.count(RequestKind::Head);
        let meta = self.meta(self.find(key)?);
        Ok(Head { meta, attributes: Attributes::default(), checksums: Vec::new() })
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.meter.count(RequestKind::Get);
        let slot = self.find(key)?;
        answer(self.meta(slot), self.render(slot), options)
    }

    async fn put(&self, _: &Key, _: Body, _: &PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart(&self, _: &Key, _: u64, _: &PutOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    async fn copy(&self, _: Origin<'_>, _: &Key, _: &PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    fn list(&self, options: ListOptions) -> Pages {
        let from = options.after.as_ref().map_or("", Key::as_str).to_owned();
        let first = self.shape.first(|key| key > from.as_str() && key >= options.prefix.as_str());
        let store = self.clone();
        let pages = stream::unfold(Some(first), move |slot| {
            let page = slot.map(|slot| store.page(slot, &options.prefix));
            async move { page.map(|(page, next)| (Ok(page), next)) }
        });
        pages.boxed()
    }

    async fn delete(&self, _: &Key) -> Result<()> {
        Err(read_only())
    }

    async fn delete_batch(&self, _: &[Key]) -> Result<Vec<(Key, Error)>> {
        Err(read_only())
    }

    fn capability(&self) -> Capability {
        Capability::s3()
    }
}
