//! Writes one object from another store under a checksum that is known beforehand: nothing appears unless it is right.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::lock;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Reporter;
use crate::store::wrap::{Policy, retry};
use crate::store::{
    Algorithm, Body, Checksum, Digest, GetOptions, Key, MultipartUpload, ObjectStore, Part, PartSpec, PutOptions, parts,
};

/// Larger objects are written in parts of this size, in bytes.
const PART: u64 = 64 * 1024 * 1024;

/// What to write.
pub(super) struct Source<'a> {
    /// Where it is.
    pub(super) store: &'a Arc<dyn ObjectStore>,
    /// Its key there.
    pub(super) key: Key,
    /// Its length in bytes.
    pub(super) length: u64,
    /// Its checksum, a CRC-32.
    pub(super) expected: Checksum,
}

impl Source<'_> {
    fn wrong(&self) -> Error {
        Error::new(ErrorKind::Precondition, format!("take {:?} from the source", self.key))
            .because("its content is not what the snapshot names: it is damaged there too")
    }
}

/// Writes an object.
pub(super) async fn write(
    source: &Source<'_>,
    target: &dyn ObjectStore,
    key: &Key,
    policy: &Policy,
    reporter: &dyn Reporter,
) -> Result<()> {
    if source.length <= PART.min(target.capability().max_put) {
        return retry(policy, reporter, || whole(source, target, key)).await;
    }
    let parts = parts(source.length, PART, &target.capability())?.collect();
    in_parts(source, target, key, parts, &Trying { policy, reporter }).await
}

/// How patiently, and who listens.
struct Trying<'a> {
    policy: &'a Policy,
    reporter: &'a dyn Reporter,
}

/// Writes an object in parts; an upload that does not come to its end is given up.
async fn in_parts(
    source: &Source<'_>,
    target: &dyn ObjectStore,
    key: &Key,
    parts: Vec<PartSpec>,
    trying: &Trying<'_>,
) -> Result<()> {
    let upload = target.put_multipart(key, source.length, &PutOptions::default()).await?;
    let completed = match all_parts(source, upload.as_ref(), parts, trying).await {
        Ok(parts) => upload.complete(parts).await.map(drop),
        Err(error) => Err(error),
    };
    if completed.is_err() {
        // The first failure is the one worth telling.
        drop(upload.abort().await);
    }
    completed
}

async fn whole(source: &Source<'_>, target: &dyn ObjectStore, key: &Key) -> Result<()> {
    let got = source.store.get(&source.key, GetOptions::default()).await?;
    if got.meta.size != source.length {
        return Err(source.wrong());
    }
    let stream = held_back(got.body.stream, source.expected, source.wrong());
    target.put(key, Body { length: source.length, stream }, &PutOptions::default()).await.map(drop)
}

/// The same bytes, the last of them only if all together have the checksum.
fn held_back(
    stream: BoxStream<'static, Result<Bytes>>,
    expected: Checksum,
    wrong: Error,
) -> BoxStream<'static, Result<Bytes>> {
    struct State {
        stream: BoxStream<'static, Result<Bytes>>,
        digest: Digest,
        held: Option<Bytes>,
        ended: bool,
    }
    let start = State { stream, digest: Digest::new(Algorithm::Crc32), held: None, ended: false };
    stream::try_unfold((start, wrong), move |(mut state, wrong)| async move {
        while !state.ended {
            match state.stream.try_next().await? {
                Some(bytes) => {
                    state.digest.update(&bytes);
                    if let Some(before) = state.held.replace(bytes) {
                        return Ok(Some((before, (state, wrong))));
                    }
                }
                None if state.digest.finish() == expected => state.ended = true,
                None => return Err(wrong),
            }
        }
        Ok(state.held.take().map(|last| (last, (state, wrong))))
    })
    .boxed()
}

async fn all_parts(
    source: &Source<'_>,
    upload: &dyn MultipartUpload,
    parts: Vec<PartSpec>,
    trying: &Trying<'_>,
) -> Result<Vec<Part>> {
    let mut sum = Checksum::of(Algorithm::Crc32, b"");
    let mut written = Vec::new();
    for spec in parts {
        let (part, summed) = retry(trying.policy, trying.reporter, || one_part(source, upload, spec)).await?;
        sum = sum.followed_by(summed, spec.length).expect("a CRC-32 can be combined");
        written.push(part);
    }
    if sum == source.expected { Ok(written) } else { Err(source.wrong()) }
}

async fn one_part(source: &Source<'_>, upload: &dyn MultipartUpload, spec: PartSpec) -> Result<(Part, Checksum)> {
    let range = Some(spec.offset..spec.offset + spec.length);
    let got = source.store.get(&source.key, GetOptions { range, if_match: None }).await?;
    let digest = Arc::new(Mutex::new(Digest::new(Algorithm::Crc32)));
    let passing = digest.clone();
    let stream = got.body.stream.inspect_ok(move |bytes| lock(&passing).update(bytes)).boxed();
    let part = upload.put_part(spec, Body { length: spec.length, stream }).await?;
    let summed = lock(&digest).finish();
    Ok((part, summed))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::event::Silent;
    use crate::store::MemoryStore;

    const CONTENT: &[u8] = b"some content in four parts";

    fn written(expected: Checksum, in_pieces: bool) -> (Result<()>, Option<Bytes>) {
        let (from, to) = (MemoryStore::default(), MemoryStore::default());
        let key = Key::new("a").expect("not empty");
        from.insert(key.clone(), CONTENT, Timestamp::UNIX_EPOCH);
        let store: Arc<dyn ObjectStore> = Arc::new(from);
        let source = Source { store: &store, key: key.clone(), length: CONTENT.len() as u64, expected };
        let policy = Policy { attempts: 1, ..Policy::default() };
        let ended = futures::executor::block_on(async {
            if in_pieces {
                let specs = (0..4u32).map(|number| PartSpec {
                    number: number + 1,
                    offset: u64::from(number) * 7,
                    length: 7.min(source.length - u64::from(number) * 7),
                });
                let trying = Trying { policy: &policy, reporter: &Silent };
                in_parts(&source, &to, &key, specs.collect(), &trying).await
            } else {
                write(&source, &to, &key, &policy, &Silent).await
            }
        });
        (ended, to.contents().get(&key).cloned())
    }

    #[test]
    fn an_object_appears_only_with_its_checksum() {
        let right = Checksum::of(Algorithm::Crc32, CONTENT);
        for in_pieces in [false, true] {
            let (ended, there) = written(right, in_pieces);
            assert!(ended.is_ok() && there.as_deref() == Some(CONTENT), "{ended:?}");
            let (ended, there) = written(Checksum { value: right.value ^ 1, ..right }, in_pieces);
            assert!(ended.is_err() && there.is_none(), "{there:?}");
        }
    }
}
