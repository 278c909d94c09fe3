//! A multipart upload to S3.

use async_trait::async_trait;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::{S3Store, decode, outgoing};
use crate::error::{ErrorKind, Result};
use crate::store::{
    Algorithm, Body, ETag, Key, MultipartUpload, ObjectStore as _, Part, PartSpec, PutResult, RequestKind,
};

#[derive(Debug)]
pub(super) struct Upload {
    store: S3Store,
    key: Key,
    id: String,
}

impl Upload {
    pub(super) async fn begin(store: S3Store, key: Key) -> Result<Self> {
        let context = store.context("begin the upload of", Some(&key));
        let request = store.bucket.client.create_multipart_upload().bucket(store.name()).key(store.full(&key));
        let answer = request.send().await.map_err(|error| context.failure(&error))?;
        let Some(id) = answer.upload_id().filter(|id| !id.is_empty()).map(ToOwned::to_owned) else {
            return Err(context.error(ErrorKind::Corrupt).because("the server gave the upload no id"));
        };
        Ok(Self { store, key, id })
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    async fn put_part(&self, part: PartSpec, body: Body) -> Result<Part> {
        let store = &self.store;
        store.meter.count(RequestKind::UploadPart);
        let context = store.context("upload a part of", Some(&self.key));
        let number = i32::try_from(part.number).expect("a part number is at most 10,000");
        let (length, content) = outgoing(body);
        let request = store.bucket.client.upload_part().bucket(store.name()).key(store.full(&self.key));
        let request = request.upload_id(&self.id).part_number(number).content_length(length).body(content);
        let answer = request.send().await.map_err(|error| context.failure(&error))?;
        let checksum = answer.checksum_crc64_nvme().and_then(|text| decode(Algorithm::Crc64Nvme, text));
        Ok(Part { spec: part, etag: answer.e_tag().and_then(ETag::new), checksum })
    }

    async fn complete(&self, parts: Vec<Part>) -> Result<PutResult> {
        let store = &self.store;
        store.meter.count(RequestKind::CompleteMultipartUpload);
        let context = store.context("complete the upload of", Some(&self.key));
        let size: u64 = parts.iter().map(|part| part.spec.length).sum();
        let parts = parts.iter().map(|part| {
            let number = i32::try_from(part.spec.number).expect("a part number is at most 10,000");
            CompletedPart::builder().part_number(number).set_e_tag(part.etag.as_ref().map(ETag::quoted)).build()
        });
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let request = store.bucket.client.complete_multipart_upload().bucket(store.name()).key(store.full(&self.key));
        let answer = request.upload_id(&self.id).multipart_upload(whole).send().await;
        match answer.map_err(|error| context.failure(&error)) {
            Ok(answer) => {
                let checksum = answer.checksum_crc64_nvme().and_then(|text| decode(Algorithm::Crc64Nvme, text));
                Ok(PutResult { etag: answer.e_tag().and_then(ETag::new), checksum })
            }
            // An earlier try may have been carried out although its answer was lost: then the upload is gone and the object
            // is there, with our length.
            Err(error) if error.kind() == ErrorKind::NotFound => match store.head(&self.key).await {
                Ok(found) if found.size == size => Ok(PutResult { etag: found.etag, checksum: None }),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn abort(&self) -> Result<()> {
        let store = &self.store;
        store.meter.count(RequestKind::AbortMultipartUpload);
        let context = store.context("abort the upload of", Some(&self.key));
        let request = store.bucket.client.abort_multipart_upload().bucket(store.name()).key(store.full(&self.key));
        match request.upload_id(&self.id).send().await.map_err(|error| context.failure(&error)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }
}
