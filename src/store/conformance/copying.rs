//! Copies that the server makes (promise 14).

use bytes::Bytes;

use super::super::{Attributes, ETag, ObjectMeta, Origin, PutOptions, ServerCopy};
use super::object::answered;
use super::{Found, KEPT, Suite, cannot, content, has, must, sample};
use crate::error::{ErrorKind, Result};

const NO_SERVER: &str = "there is no server that copies";

impl Suite {
    /// How the server copies; none if it does not, and then it must say so.
    async fn copier(&self, from: &ObjectMeta) -> Result<Option<ServerCopy>> {
        if let Some(copy) = self.store.capability().copy {
            return Ok(Some(copy));
        }
        let location = crate::store::Location::parse("file:///nowhere")?;
        let origin = Origin { location: &location, meta: from };
        let asked = self.store.copy(origin, &self.key("copy/refused"), &PutOptions::default()).await;
        // One that is told not to copy may be able to all the same.
        must(asked.is_err(), || "a copy from nowhere succeeded".into())?;
        Ok(None)
    }

    async fn source(&self, name: &str, bytes: &Bytes) -> Result<ObjectMeta> {
        let options = PutOptions { attributes: sample(), ..PutOptions::default() };
        self.put_with(name, bytes, &options).await?;
        Ok(self.look(name).await?.meta)
    }

    pub(super) async fn copies(&self) -> Result<Found> {
        // A name that has to be encoded in a header, and again in a path.
        let (name, bytes) = ("copy/from here/ü+%41&=?", content(5000));
        let meta = self.source(name, &bytes).await?;
        let Some(copy) = self.copier(&meta).await? else { return Ok(cannot(NO_SERVER)) };
        let origin = Origin { location: &copy.location, meta: &meta };
        let key = self.key("copy/to");
        let plain = PutOptions::default();
        let done = self.repeat(|| self.store.copy(origin, &key, &plain)).await?;
        self.compare("a copy", &done.checksums, &bytes)?;
        must(self.read("copy/to").await? == bytes, || "the copy has other bytes".into())?;
        if self.store.capability().attributes {
            has(&self.look("copy/to").await?.attributes, &sample())?;
        }
        let other = Attributes { metadata: [("check-other".to_owned(), "new".to_owned())].into(), ..sample() };
        let options = PutOptions { attributes: other.clone(), ..PutOptions::default() };
        self.repeat(|| self.store.copy(origin, &key, &options)).await?;
        must(self.read("copy/to").await? == bytes, || "the copy with other attributes has other bytes".into())?;
        if self.store.capability().attributes {
            has(&self.look("copy/to").await?.attributes, &other)?;
        }
        must(self.read(name).await? == bytes, || "the source of the copy has changed".into())?;
        Ok(KEPT)
    }

    pub(super) async fn copied_parts(&self) -> Result<Found> {
        let min_part = usize::try_from(self.store.capability().min_part.max(8)).unwrap_or(8);
        let bytes = content(min_part + 3);
        let meta = match self.look("parts/whole").await {
            // It has these bytes: no need to send them again.
            Ok(head) if head.meta.size == bytes.len() as u64 => head.meta,
            _ => self.source("copy/parts-from", &bytes).await?,
        };
        let Some(copy) = self.copier(&meta).await? else { return Ok(cannot(NO_SERVER)) };
        let origin = Origin { location: &copy.location, meta: &meta };
        let pieces = self.begin("copy/parts-to", &PutOptions::default()).await?;
        let mut done = Vec::new();
        for spec in &pieces.specs {
            done.push(self.repeat(|| pieces.upload.copy_part(*spec, origin)).await?);
        }
        self.complete(&pieces, done).await?;
        must(self.read("copy/parts-to").await? == bytes, || "the copied parts do not make up the object".into())?;
        Ok(KEPT)
    }

    pub(super) async fn copied_changed(&self) -> Result<Found> {
        let meta = self.source("copy/changing", &Bytes::from_static(b"old content")).await?;
        let Some(copy) = self.copier(&meta).await? else { return Ok(cannot(NO_SERVER)) };
        let old = ETag::new("00000000000000000000000000000000");
        let meta = ObjectMeta { etag: old, ..meta };
        let origin = Origin { location: &copy.location, meta: &meta };
        let copied = self.store.copy(origin, &self.key("copy/changed"), &PutOptions::default()).await;
        let copied = answered(copied);
        must(copied.is(ErrorKind::Precondition), || format!("copying it under another mark gave {copied}"))?;
        must(!self.is_there("copy/changed").await?, || "the copy is there all the same".into())?;
        Ok(KEPT)
    }
}
