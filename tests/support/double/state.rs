//! What a double holds: buckets, objects, uploads that are open.

use std::collections::BTreeMap;

use jiff::Timestamp;
use md5::{Digest as _, Md5};

use super::answer::Refusal;
use super::call::Call;
use super::content::Content;
use super::oss_signature::hex;
use super::rules::Dialect;
use super::sums::{Algorithm, Sums};

/// An object.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) content: Content,
    pub(crate) sums: Sums,
    /// Without quotes.
    pub(crate) etag: String,
    /// What came with it and goes with it: content type, metadata, storage class, encryption, tags; names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) modified: Timestamp,
    /// Of how many parts it was made; nothing for an object of one request.
    pub(crate) parts: Option<usize>,
    /// Whether the service tells its CRC-64.
    pub(crate) tells_crc: bool,
    /// What S3 shows as its checksum: algorithm, value, type.
    pub(crate) checksum: Option<(Algorithm, String, &'static str)>,
}

impl Stored {
    pub(crate) fn length(&self) -> u64 {
        self.sums.length
    }

    /// Its bytes, when they were kept.
    pub(crate) fn bytes(&self) -> Option<bytes::Bytes> {
        self.content.bytes()
    }

    /// Its storage class, as the service names it.
    pub(crate) fn class(&self, dialect: Dialect) -> &str {
        let name = format!("{}storage-class", dialect.prefix());
        let usual = if dialect == Dialect::Oss { "Standard" } else { "STANDARD" };
        self.headers.get(&name).map_or(usual, String::as_str)
    }

    /// Refuses to read what lies in an archive.
    pub(crate) fn readable(&self, dialect: Dialect) -> Result<(), Refusal> {
        let archived = match dialect {
            Dialect::Oss => ["Archive", "ColdArchive", "DeepColdArchive"].contains(&self.class(dialect)),
            Dialect::S3 => ["GLACIER", "DEEP_ARCHIVE"].contains(&self.class(dialect)),
        };
        if archived {
            let message = "The operation is not valid for the object's state";
            return Err(Refusal::new(403, "InvalidObjectState", message));
        }
        Ok(())
    }
}

/// A part that is there.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) content: Content,
    pub(crate) sums: Sums,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
}

/// An upload that is open.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) started: Timestamp,
    pub(crate) parts: BTreeMap<u32, Part>,
    /// S3: the checksum of the parts, and whether the object's is one of checksums.
    pub(crate) algorithm: Algorithm,
    pub(crate) composite: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Bucket {
    pub(crate) objects: BTreeMap<String, Stored>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) buckets: BTreeMap<String, Bucket>,
    counter: u64,
}

impl State {
    /// The bucket of this name.
    pub(crate) fn bucket(&mut self, name: &str) -> Result<&mut Bucket, Refusal> {
        let missing = || Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist.");
        self.buckets.get_mut(name).ok_or_else(missing)
    }

    /// The bucket that a request is about.
    pub(crate) fn bucket_of(&mut self, call: &Call) -> Result<&mut Bucket, Refusal> {
        self.bucket(call.bucket.as_deref().unwrap_or_default())
    }

    /// An upload of the request's key.
    pub(crate) fn upload_of(&mut self, call: &Call) -> Result<&mut Upload, Refusal> {
        let id = call.parameter("uploadId").unwrap_or_default();
        let found = self.bucket_of(call)?.uploads.get_mut(id);
        let found = found.filter(|upload| Some(&upload.key) == call.key.as_ref());
        found.ok_or_else(|| Refusal::new(404, "NoSuchUpload", "The specified upload does not exist."))
    }

    /// Thirty-two digits that were not there before; they tell nothing.
    pub(crate) fn unique(&mut self) -> String {
        self.counter += 1;
        hex(&Md5::digest(format!("unique {}", self.counter)))
    }
}

impl Bucket {
    /// An object.
    pub(crate) fn object(&self, key: &str) -> Result<&Stored, Refusal> {
        self.objects.get(key).ok_or_else(|| Refusal::new(404, "NoSuchKey", "The specified key does not exist."))
    }
}
