//! A store in memory: the reference model that tests compare the others with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{
    Algorithm, Attributes, Body, Capability, Checksum, ETag, GetOptions, GetResult, Head, Key, ListOptions, Meter,
    MultipartUpload, ObjectMeta, ObjectStore, Origin, Pages, Part, PartSpec, PutOptions, PutResult, RequestKind,
    is_there, no_server, one_by_one, short,
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
    attributes: Attributes,
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
        self.lock().insert(key, Object { bytes: bytes.into(), modified, attributes: Attributes::default() });
    }

    /// Takes an object away.
    pub fn remove(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// All objects, as they are now.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<Key, Bytes> {
        self.lock().iter().map(|(key, object)| (key.clone(), object.bytes.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<PutResult> {
        let object = Object { bytes, modified: Timestamp::now(), attributes: options.attributes.clone() };
        let checksums = vec![Checksum::of(Algorithm::Crc64Nvme, &object.bytes)];
        let etag = object.meta(key).etag;
        let mut objects = self.lock();
        if options.if_absent && objects.contains_key(key) {
            return Err(is_there(key));
        }
        objects.insert(key.clone(), object);
        Ok(PutResult { etag, checksums })
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
    async fn head(&self, key: &Key) -> Result<Head> {
        self.meter.count(RequestKind::Head);
        let object = self.find(key, "look at")?;
        let checksums = vec![Checksum::of(Algorithm::Crc64Nvme, &object.bytes)];
        Ok(Head { meta: object.meta(key), attributes: object.attributes, checksums })
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
        let checksums = vec![Checksum::of(Algorithm::Crc64Nvme, &bytes)];
        Ok(GetResult { meta, attributes: object.attributes, checksums, body: Body::from_bytes(bytes) })
    }

    async fn put(&self, key: &Key, body: Body, options: &PutOptions) -> Result<PutResult> {
        self.meter.count(RequestKind::Put);
        self.keep(key, gather(body).await?, options)
    }

    async fn put_multipart(&self, key: &Key, _size: u64, options: &PutOptions) -> Result<Box<dyn MultipartUpload>> {
        self.meter.count(RequestKind::CreateMultipartUpload);
        let (key, options) = (key.clone(), options.clone());
        Ok(Box::new(Upload { store: self.clone(), key, options, parts: Mutex::default() }))
    }

    async fn copy(&self, _from: Origin<'_>, key: &Key, _options: &PutOptions) -> Result<PutResult> {
        Err(no_server(key))
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

    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>> {
        Ok(one_by_one(self, keys).await)
    }

    fn capability(&self) -> Capability {
        Capability { attributes: true, ..Capability::local() }
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
    options: PutOptions,
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
        let checksums = vec![Checksum::of(Algorithm::Crc64Nvme, &bytes)];
        self.parts().insert(part.number, bytes);
        Ok(Part { spec: part, etag: None, checksums })
    }

    async fn copy_part(&self, _part: PartSpec, _from: Origin<'_>) -> Result<Part> {
        Err(no_server(&self.key))
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
        self.store.keep(&self.key, all.into(), &self.options)
    }

    async fn abort(&self) -> Result<()> {
        self.store.meter.count(RequestKind::AbortMultipartUpload);
        self.parts().clear();
        Ok(())
    }
}
