//! Uploads in parts: whole or not at all (promise 8).

use std::sync::Arc;

use bytes::Bytes;

use super::super::{Body, MultipartUpload, Part, PartSpec, PutOptions, PutResult, parts};
use super::{Found, KEPT, Suite, content, has, lock, must, sample};
use crate::error::Result;

/// An upload under way, with what its parts shall be.
pub(super) struct Pieces {
    pub(super) upload: Arc<dyn MultipartUpload>,
    pub(super) content: Bytes,
    pub(super) specs: Vec<PartSpec>,
}

impl Pieces {
    pub(super) fn of(&self, spec: PartSpec) -> Bytes {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(self.content.len());
        self.content.slice(place(spec.offset)..place(spec.offset + spec.length))
    }
}

impl Suite {
    /// Begins an upload of one full part and a short one: no more than a bucket of one's own should be asked to take.
    pub(super) async fn begin(&self, name: &str, options: &PutOptions) -> Result<Pieces> {
        let capability = self.store.capability();
        let length = capability.min_part.max(8);
        let content = content(usize::try_from(length + 3).unwrap_or(8));
        let specs = parts(content.len() as u64, length, &capability)?.collect();
        let key = self.key(name);
        let begun = self.repeat(|| self.store.put_multipart(&key, content.len() as u64, options)).await?;
        let upload: Arc<dyn MultipartUpload> = begun.into();
        lock(&self.uploads).push(upload.clone());
        Ok(Pieces { upload, content, specs })
    }

    pub(super) async fn part(&self, pieces: &Pieces, spec: PartSpec, bytes: Bytes) -> Result<Part> {
        self.repeat(|| pieces.upload.put_part(spec, Body::from_bytes(bytes.clone()))).await
    }

    /// Completes an upload. Not repeated: `complete` itself must say how a lost answer ended.
    pub(super) async fn complete(&self, pieces: &Pieces, mut done: Vec<Part>) -> Result<PutResult> {
        done.sort_by_key(|part| part.spec.number);
        let completed = pieces.upload.complete(done).await?;
        self.forget(pieces);
        Ok(completed)
    }

    async fn abort(&self, pieces: &Pieces) -> Result<()> {
        self.repeat(|| pieces.upload.abort()).await?;
        self.forget(pieces);
        Ok(())
    }

    fn forget(&self, pieces: &Pieces) {
        lock(&self.uploads).retain(|open| !Arc::ptr_eq(open, &pieces.upload));
    }

    pub(super) async fn parts(&self) -> Result<Found> {
        let options = PutOptions { attributes: sample(), ..PutOptions::default() };
        let pieces = self.begin("parts/whole", &options).await?;
        let (first, last) = (pieces.specs[0], pieces.specs[1]);
        let last_done = self.part(&pieces, last, pieces.of(last)).await?;
        let garbled = self.part(&pieces, last, Bytes::from_static(b"bad")).await;
        must(garbled.is_ok(), || "a part cannot be sent again".into())?;
        let last_again = self.part(&pieces, last, pieces.of(last)).await?;
        must(last_done.spec == last_again.spec, || "a part sent again is another part".into())?;
        let first_done = self.part(&pieces, first, pieces.of(first)).await?;
        must(!self.is_there("parts/whole").await?, || "it is visible before it is complete".into())?;
        let listed = self.names("parts/", None).await?;
        must(listed.is_empty(), || format!("before it is complete the listing holds {listed:?}"))?;
        self.complete(&pieces, vec![last_again, first_done]).await?;
        must(self.read("parts/whole").await? == pieces.content, || "the parts do not make up the object".into())?;
        let head = self.look("parts/whole").await?;
        must(head.meta.size == pieces.content.len() as u64, || format!("it is said to have {} bytes", head.meta.size))?;
        if self.store.capability().attributes {
            has(&head.attributes, &options.attributes)?;
        }
        Ok(KEPT)
    }

    pub(super) async fn lost_part(&self) -> Result<Found> {
        let pieces = self.begin("lost/part", &PutOptions::default()).await?;
        let last = pieces.specs[1];
        let done = self.part(&pieces, last, pieces.of(last)).await?;
        let never = Part { spec: pieces.specs[0], ..done.clone() };
        let completed = self.complete(&pieces, vec![never, done]).await;
        must(completed.is_err(), || "it was completed with a part that was never sent".into())?;
        must(!self.is_there("lost/part").await?, || "it became an object".into())?;
        // The server may have given it up by itself; whether that can be aborted is tried elsewhere.
        drop(self.abort(&pieces).await);
        self.forget(&pieces);
        Ok(KEPT)
    }

    pub(super) async fn aborts(&self) -> Result<Found> {
        self.put("aborts/kept", "kept").await?;
        let pieces = self.begin("aborts/kept", &PutOptions::default()).await?;
        let last = pieces.specs[1];
        let done = self.part(&pieces, last, pieces.of(last)).await?;
        self.abort(&pieces).await?;
        let completed = self.complete(&pieces, vec![done]).await;
        must(self.read("aborts/kept").await? == "kept", || "it changed the object".into())?;
        must(completed.is_err(), || "it was completed".into())?;
        let listed = self.names("aborts/", None).await?;
        must(listed == ["aborts/kept"], || format!("after it {listed:?} is listed"))?;
        Ok(KEPT)
    }

    pub(super) async fn aborts_twice(&self) -> Result<Found> {
        let pieces = self.begin("aborts/twice", &PutOptions::default()).await?;
        self.abort(&pieces).await?;
        self.abort(&pieces).await?;
        Ok(KEPT)
    }
}
