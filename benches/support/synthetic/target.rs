//! A store for a copy of a synthetic repository. Of an object that is as the source has it, it keeps one bit; anything else whole.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use snapferry::error::{Error, ErrorKind, Result};
use snapferry::store::{
    Attributes, Body, Capability, GetOptions, GetResult, Head, Key, ListOptions, Meter, MultipartUpload, ObjectMeta,
    ObjectStore, Origin, Pages, PutOptions, PutResult, RequestKind,
};

use super::source::{PAGE, Synthetic, absent, answer};

/// The longest object that is taken; roots of the largest repositories have a few MiB.
const LARGEST: u64 = 256 * 1024 * 1024;

/// What a copy left behind.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    model: Synthetic,
    held: Arc<Mutex<Held>>,
    meter: Arc<Meter>,
}

#[derive(Debug, Default)]
struct Held {
    /// One bit for each slot.
    same: Vec<u64>,
    others: BTreeMap<Key, Bytes>,
}

impl Held {
    fn has(&self, slot: u64) -> bool {
        self.same.get(word(slot)).is_some_and(|bits| bits >> (slot % 64) & 1 == 1)
    }

    fn set(&mut self, slot: u64, there: bool) {
        if self.same.len() <= word(slot) {
            self.same.resize(word(slot) + 1, 0);
        }
        let bits = &mut self.same[word(slot)];
        *bits = *bits & !(1 << (slot % 64)) | u64::from(there) << (slot % 64);
    }
}

fn word(slot: u64) -> usize {
    usize::try_from(slot / 64).expect("a repository has fewer slots than memory has bytes")
}

impl Target {
    /// An empty target for copies of `model`, which counts its requests in `meter`.
    pub(crate) fn new(model: Synthetic, meter: Arc<Meter>) -> Self {
        Self { model, held: Arc::default(), meter }
    }

    /// How many objects it holds that are as the source has them, and how many others.
    pub(crate) fn holds(&self) -> (u64, u64) {
        let held = self.lock();
        (held.same.iter().map(|bits| u64::from(bits.count_ones())).sum(), held.others.len() as u64)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Key) -> Result<(ObjectMeta, Bytes)> {
        if let Some(bytes) = self.lock().others.get(key) {
            return Ok((meta(key, bytes), bytes.clone()));
        }
        let slot = self.model.shape().slot(key).filter(|slot| self.lock().has(*slot)).ok_or_else(|| absent(key))?;
        Ok((self.model.meta(slot), self.model.render(slot)))
    }

    fn page(&self, options: &ListOptions) -> Vec<ObjectMeta> {
        let shape = self.model.shape();
        let from = options.after.as_ref().map_or("", Key::as_str);
        let is_wanted = |key: &str| key > from && key >= options.prefix.as_str();
        let held = self.lock();
        let mut page: Vec<ObjectMeta> = held
            .others
            .iter()
            .filter(|(key, _)| is_wanted(key.as_str()) && key.as_str().starts_with(&options.prefix))
            .take(PAGE)
            .map(|(key, bytes)| meta(key, bytes))
            .collect();
        let slots = (shape.first(is_wanted)..shape.slots()).filter(|slot| held.has(*slot)).take(PAGE);
        let metas = slots.map(|slot| self.model.meta(slot));
        page.extend(metas.take_while(|meta| meta.key.as_str().starts_with(&options.prefix)));
        page.sort_by(|one, two| one.key.cmp(&two.key));
        page.truncate(PAGE);
        page
    }
}

fn meta(key: &Key, bytes: &Bytes) -> ObjectMeta {
    ObjectMeta { key: key.clone(), size: bytes.len() as u64, modified: Timestamp::UNIX_EPOCH, etag: None }
}

#[async_trait]
impl ObjectStore for Target {
    async fn head(&self, key: &Key) -> Result<Head> {
        self.meter.count(RequestKind::Head);
        let (meta, _) = self.find(key)?;
        Ok(Head { meta, attributes: Attributes::default(), checksums: Vec::new() })
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.meter.count(RequestKind::Get);
        let (meta, bytes) = self.find(key)?;
        answer(meta, bytes, options)
    }

    async fn put(&self, key: &Key, body: Body, options: &PutOptions) -> Result<PutResult> {
        self.meter.count(RequestKind::Put);
        let bytes = body.collect(LARGEST).await?;
        if options.if_absent && self.find(key).is_ok() {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("put {key:?}")).because("it is there already"));
        }
        // `index.latest` has one name and two contents.
        let slot = self.model.shape().slot(key).filter(|_| key.as_str() != "index.latest");
        let same = slot.filter(|slot| self.model.render(*slot) == bytes);
        let mut held = self.lock();
        if let Some(slot) = slot {
            held.set(slot, same.is_some());
        }
        held.others.remove(key);
        if same.is_none() {
            held.others.insert(key.clone(), bytes);
        }
        Ok(PutResult::default())
    }

    async fn put_multipart(&self, key: &Key, _: u64, _: &PutOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::new(ErrorKind::Unsupported, format!("put {key:?} in parts")).because("no object here is so large"))
    }

    async fn copy(&self, _: Origin<'_>, key: &Key, _: &PutOptions) -> Result<PutResult> {
        Err(Error::new(ErrorKind::Unsupported, format!("copy {key:?}")).because("there is no server to do it"))
    }

    fn list(&self, options: ListOptions) -> Pages {
        let store = self.clone();
        let pages = stream::unfold(Some(options), move |options| {
            let store = store.clone();
            async move {
                let mut options = options?;
                store.meter.count(RequestKind::List);
                let page = store.page(&options);
                options.after = page.last().map(|meta| meta.key.clone());
                let next = (page.len() == PAGE).then_some(options);
                Some((Ok(page), next))
            }
        });
        pages.boxed()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.meter.count(RequestKind::Delete);
        let mut held = self.lock();
        if let Some(slot) = self.model.shape().slot(key) {
            held.set(slot, false);
        }
        held.others.remove(key);
        Ok(())
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>> {
        self.meter.count(RequestKind::DeleteBatch);
        let mut held = self.lock();
        for key in keys {
            if let Some(slot) = self.model.shape().slot(key) {
                held.set(slot, false);
            }
            held.others.remove(key);
        }
        Ok(Vec::new())
    }

    fn capability(&self) -> Capability {
        Capability::local()
    }
}
