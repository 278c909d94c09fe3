//! A store in memory: the reference model that tests compare the others with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{
    Algorithm, Body, Capability, Checksum, ETag, GetOptions, GetResult, Key, ListOptions, Meter, MultipartUpload,
    ObjectMeta, ObjectStore, Pages, Part, PartSpec, PutResult, RequestKind, short,
};
use crate::error::{Error, ErrorKind, Result};

/// Objects in a map. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    objects: Arc<Mutex<BTreeMap<Key, Object>>>,
    meter: Arc<Meter>,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    modified: Timestamp,
}

/// Keys in one page; small, so that tests see many pages.
const PAGE: usize = 100;

impl MemoryStore {
    /// An empty store that counts its requests in `meter`.
    #[must_use]
    pub fn new(meter: Arc<Meter>) -> Self {
        Self { objects: Arc::default(), meter }
    }

    /// Puts an object there as it was at `modified`.
    pub fn insert(&self, key: Key, bytes: impl Into<Bytes>, modified: Timestamp) {
        self.lock().insert(key, Object { bytes: bytes.into(), modified });
    }

    /// All objects, as they are now.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<Key, Bytes> {
        self.lock().iter().map(|(key, object)| (key.clone(), object.bytes.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Key, doing: &str) -> Result<Object> {
        self.lock().get(key).cloned().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("{doing} {key:?}")).because("there is no such object")
        })
    }
}

impl Object {
    fn meta(&self, key: &Key) -> ObjectMeta {
        let mark = Checksum::of(Algorithm::Crc64Nvme, &self.bytes).to_string();
        ObjectMeta { key: key.clone(), size: self.bytes.len() as u64, modified: self.modified, etag: ETag::new(&mark) }
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn head(&self, key: &Key) -> Result<ObjectMeta> {
        self.meter.count(RequestKind::Head);
        Ok(self.find(key, "look at")?.meta(key))
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.meter.count(RequestKind::Get);
        let object = self.find(key, "get")?;
        let meta = object.meta(key);
        if options.if_match.is_some_and(|wanted| Some(wanted) != meta.etag) {
            return Err(Error::new(ErrorKind::Precondition, format!("get {key:?}")).because("the object has changed"));
        }
        let bytes = match options.range {
            None => object.bytes,
            Some(range) if range.end <= meta.size && range.start < range.end => {
                let place = |at: u64| usize::try_from(at).expect("an object in memory is no longer than the memory");
                object.bytes.slice(place(range.start)..place(range.end))
            }
            Some(range) => {
                return Err(Error::new(ErrorKind::Invalid, format!("get bytes {range:?} of {key:?}"))
                    .because(format!("it has {} bytes", meta.size)));
            }
        };
        let checksum = Some(Checksum::of(Algorithm::Crc64Nvme, &bytes));
        Ok(GetResult { meta, checksum, body: Body::from_bytes(bytes) })
    }

    async fn put(&self, key: &Key, body: Body) -> Result<PutResult> {
        self.meter.count(RequestKind::Put);
        let object = Object { bytes: gather(body).await?, modified: Timestamp::now() };
        let checksum = Checksum::of(Algorithm::Crc64Nvme, &object.bytes);
        let etag = object.meta(key).etag;
        self.lock().insert(key.clone(), object);
        Ok(PutResult { etag, checksum: Some(checksum) })
    }

    async fn put_multipart(&self, key: &Key, _size: u64) -> Result<Box<dyn MultipartUpload>> {
        self.meter.count(RequestKind::CreateMultipartUpload);
        Ok(Box::new(Upload { store: self.clone(), key: key.clone(), parts: Mutex::default() }))
    }

    fn list(&self, options: ListOptions) -> Pages {
        let store = self.clone();
        let pages = stream::unfold(Some(options), move |options| {
            let store = store.clone();
            async move {
                let mut options = options?;
                store.meter.count(RequestKind::List);
                let page: Vec<ObjectMeta> = store
                    .lock()
                    .iter()
                    .filter(|(key, _)| options.after.as_ref().is_none_or(|after| *key > after))
                    .filter(|(key, _)| key.as_str().starts_with(&options.prefix))
                    .take(PAGE)
                    .map(|(key, object)| object.meta(key))
                    .collect();
                options.after = page.last().map(|meta| meta.key.clone());
                let next = (page.len() == PAGE).then_some(options);
                Some((Ok(page), next))
            }
        });
        pages.boxed()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.meter.count(RequestKind::Delete);
        self.lock().remove(key);
        Ok(())
    }

    fn capability(&self) -> Capability {
        Capability::local()
    }
}

async fn gather(mut body: Body) -> Result<Bytes> {
    let mut all = Vec::new();
    while let Some(bytes) = body.stream.next().await {
        all.extend_from_slice(&bytes?);
    }
    if all.len() as u64 != body.length {
        return Err(short(body.length, all.len() as u64));
    }
    Ok(all.into())
}

#[derive(Debug)]
struct Upload {
    store: MemoryStore,
    key: Key,
    parts: Mutex<BTreeMap<u32, Bytes>>,
}

impl Upload {
    fn parts(&self) -> MutexGuard<'_, BTreeMap<u32, Bytes>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    async fn put_part(&self, part: PartSpec, body: Body) -> Result<Part> {
        self.store.meter.count(RequestKind::UploadPart);
        let bytes = gather(body).await?;
        let checksum = Some(Checksum::of(Algorithm::Crc64Nvme, &bytes));
        self.parts().insert(part.number, bytes);
        Ok(Part { spec: part, etag: None, checksum })
    }

    async fn complete(&self, parts: Vec<Part>) -> Result<PutResult> {
        self.store.meter.count(RequestKind::CompleteMultipartUpload);
        let held = std::mem::take(&mut *self.parts());
        let mut all = Vec::new();
        for part in &parts {
            all.extend_from_slice(held.get(&part.spec.number).ok_or_else(|| {
                Error::new(ErrorKind::Invalid, format!("complete {:?}", self.key))
                    .because(format!("part {} was never written", part.spec.number))
            })?);
        }
        let object = Object { bytes: all.into(), modified: Timestamp::now() };
        let checksum = Checksum::of(Algorithm::Crc64Nvme, &object.bytes);
        let etag = object.meta(&self.key).etag;
        self.store.lock().insert(self.key.clone(), object);
        Ok(PutResult { etag, checksum: Some(checksum) })
    }

    async fn abort(&self) -> Result<()> {
        self.store.meter.count(RequestKind::AbortMultipartUpload);
        self.parts().clear();
        Ok(())
    }
}
