//! Small bodies: sent with their checksum in front, and made use of to learn what a server's marks are.

use std::sync::{Arc, PoisonError};

use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Response};

use super::client::{Call, Client};
use super::outgoing::Content;
use super::{Dialect, SMALL, dialect};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Algorithm, Body, Checksum, Digest, ETag};
use crate::wire::ResponseBody;

/// Doubts that are remembered: as many as there can be transfers before anything is learnt.
const DOUBTED: usize = 1024;

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
    ///
    /// An MD5 that fits is none by chance. One that does not fit is damage or no MD5: only if two objects come twice with the same
    /// content and the same mark is it the latter; before, it is [`ErrorKind::Corrupt`], so that whoever asked tries again. One object
    /// alone proves nothing: it fails.
    fn learn_etag(&self, etag: Option<&ETag>, content: impl FnOnce() -> Checksum) -> Result<()> {
        let (None, Some(mark)) = (self.etag_is_md5(), etag.and_then(ETag::md5)) else { return Ok(()) };
        let content = content();
        if mark == content {
            self.learnt.etag_md5.learn(true);
            return Ok(());
        }
        let mut doubted = self.learnt.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (mark.value, content.value);
        if doubted.contains(&pair) && doubted.iter().any(|other| *other != pair) {
            self.learnt.etag_md5.learn(false);
            return Ok(());
        }
        if doubted.len() < DOUBTED && !doubted.contains(&pair) {
            doubted.push(pair);
        }
        let cause = format!("the server states {mark} and {content} is what passed: damage, or a mark that is no MD5");
        Err(Error::new(ErrorKind::Corrupt, "rely on what the server states")
            .because(cause)
            .hint("if this server's ETags are no MD5s, set `etag_md5 = false` for the store"))
    }

    /// Lets a small body teach us what this server's marks are, as it passes; it fails at its end if it comes with doubts. Also whether
    /// it does teach.
    pub(super) fn taught(self: &Arc<Self>, etag: Option<&ETag>, body: Body) -> (Body, bool) {
        let Some(mark) = etag
            .filter(|mark| mark.md5().is_some() && self.etag_is_md5().is_none() && (1..=SMALL).contains(&body.length))
        else {
            return (body, false);
        };
        let (client, mark, length, mut left) = (self.clone(), mark.clone(), body.length, body.length);
        let mut digest = Digest::new(Algorithm::Md5);
        let stream = body.stream.map(move |bytes| {
            let bytes = bytes?;
            digest.update(&bytes);
            left = left.saturating_sub(bytes.len() as u64);
            if left == 0 {
                client.learn_etag(Some(&mark), || digest.finish())?;
            }
            Ok(bytes)
        });
        (Body { length, stream: stream.boxed() }, true)
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
                // Encrypted with a key of the key service, its mark is no MD5.
                let keyed =
                    response.headers().get(&self.dialect.words().encryption).is_some_and(|with| with != "AES256");
                let etag = etag.filter(|_| !keyed);
                self.learn_etag(etag.as_ref(), || Checksum::of(Algorithm::Md5, &bytes))?;
                Ok(response)
            }
            Err(error) => Err(error),
        }
    }
}
