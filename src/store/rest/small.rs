//! Small bodies: sent with their checksum in front, and made use of to learn what a server's marks are.

use std::sync::Arc;

use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Response};

use super::client::{Call, Client, Content};
use super::{Dialect, SMALL, dialect};
use crate::error::{ErrorKind, Result};
use crate::store::{Algorithm, Body, Checksum, Digest, ETag};
use crate::wire::ResponseBody;

impl Client {
    /// S3 states its checksums only when asked to.
    pub(super) fn ask_for_checksums(&self, headers: &mut HeaderMap) {
        if self.dialect == Dialect::S3 {
            headers.insert("x-amz-checksum-mode", HeaderValue::from_static("ENABLED"));
        }
    }

    /// Whether the mark of an object is its MD5; none while that is not known.
    pub(super) fn etag_is_md5(&self) -> Option<bool> {
        self.learnt.etag_md5.known(self.profile.etag_md5)
    }

    /// Learns from content whose mark is known whether such marks are MD5s.
    fn learn_etag(&self, etag: Option<&ETag>, content: impl FnOnce() -> Checksum) {
        if let (None, Some(mark)) = (self.etag_is_md5(), etag.and_then(ETag::md5)) {
            self.learnt.etag_md5.learn(mark == content());
        }
    }

    /// Lets a small body teach us what this server's marks are, as it passes.
    pub(super) fn taught(self: &Arc<Self>, etag: Option<&ETag>, body: Body) -> Body {
        let Some(mark) =
            etag.filter(|mark| mark.md5().is_some() && self.etag_is_md5().is_none() && body.length <= SMALL)
        else {
            return body;
        };
        let (client, mark, length, mut left) = (self.clone(), mark.clone(), body.length, body.length);
        let mut digest = Digest::new(Algorithm::Md5);
        let stream = body.stream.inspect(move |bytes| {
            if let Ok(bytes) = bytes {
                digest.update(bytes);
                left = left.saturating_sub(bytes.len() as u64);
                if left == 0 {
                    client.learn_etag(Some(&mark), || digest.finish());
                }
            }
        });
        Body { length, stream: stream.boxed() }
    }

    pub(super) fn states_small(&self) -> bool {
        self.dialect == Dialect::S3 && self.learnt.checksum_header.known(self.profile.checksum_header) != Some(false)
    }

    /// Sends a small object with its checksum in front, if the server knows such; it is told once that one does not.
    pub(super) async fn put_small(&self, call: Call<'_>, body: Body) -> Result<Response<ResponseBody>> {
        let bytes = body.collect(SMALL).await?;
        let sum = dialect::encode(Checksum::of(Algorithm::Crc64Nvme, &bytes));
        let plain = || Call {
            kind: call.kind,
            doing: call.doing,
            method: call.method.clone(),
            key: call.key,
            query: call.query.clone(),
            headers: call.headers.clone(),
            patience: None,
            content: Content::Stream(Body::from_bytes(bytes.clone())),
        };
        let mut stated = plain();
        stated.headers.insert("x-amz-checksum-crc64nvme", HeaderValue::from_str(&sum).expect("base64 is plain text"));
        let known = self.learnt.checksum_header.known(self.profile.checksum_header);
        match self.send(stated).await {
            Err(error) if known.is_none() && matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Invalid) => {
                let response = self.send(plain()).await?;
                // Only if it takes the same without: it may have refused it for another reason.
                self.learnt.checksum_header.learn(false);
                Ok(response)
            }
            Ok(response) => {
                self.learnt.checksum_header.learn(true);
                let etag = response.headers().get(http::header::ETAG).and_then(|mark| ETag::new(mark.to_str().ok()?));
                self.learn_etag(etag.as_ref(), || Checksum::of(Algorithm::Md5, &bytes));
                Ok(response)
            }
            Err(error) => Err(error),
        }
    }
}
