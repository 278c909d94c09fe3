//! Multipart uploads that are open at a server: of each part its length and its checksum, never its bytes.
//!
//! What a part should have held is known only when the upload is completed, because only then its place is known.

use std::collections::{BTreeMap, HashMap};

use crc_fast::checksum_combine;
use hyper::header::HeaderMap;

use super::bucket::{Origin, Stored};
use super::reply::Refusal;
use crate::support::content::{Content, ECMA};

/// What came in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) length: u64,
    pub(crate) checksum: u64,
    /// OSS's checksum, if the client speaks OSS.
    pub(crate) ecma: u64,
    /// Whether the client stated the checksum, in front or behind.
    pub(crate) stated: bool,
}

impl Received {
    /// The entity tag of a part, quotes included.
    pub(crate) fn etag(self) -> String {
        format!("\"{:016x}{:016x}\"", self.checksum, self.length)
    }

    /// How many of its bytes are in doubt: none, or all when it is not what the key holds at `offset`.
    pub(crate) fn differing(self, key: &str, offset: u64) -> u64 {
        if Content::of(key).checksum(offset, self.length) == self.checksum { 0 } else { self.length }
    }
}

/// A part as the request to complete an upload names it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    number: u32,
    etag: String,
}

/// An upload that ended: the object it became and the bytes of it that are in doubt.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) stored: Stored,
    pub(crate) differing: u64,
    /// OSS's checksum of the whole.
    pub(crate) ecma: u64,
    /// What it was opened with.
    pub(crate) headers: HeaderMap,
}

#[derive(Debug)]
struct Upload {
    key: String,
    headers: HeaderMap,
    parts: BTreeMap<u32, Received>,
}

/// The open uploads by their names.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    open: HashMap<String, Upload>,
    started: u64,
}

impl Uploads {
    /// Opens an upload and returns its name.
    pub(crate) fn create(&mut self, key: String, headers: HeaderMap) -> String {
        self.started += 1;
        let name = format!("upload-{}", self.started);
        self.open.insert(name.clone(), Upload { key, headers, parts: BTreeMap::new() });
        name
    }

    /// Remembers a part; a part of the same number is replaced.
    pub(crate) fn add(&mut self, name: &str, key: &str, number: u32, part: Received) -> Result<(), Refusal> {
        if !(1..=10_000).contains(&number) {
            return Err(Refusal::InvalidArgument);
        }
        self.find(name, key)?.parts.insert(number, part);
        Ok(())
    }

    /// Ends an upload: checks the list of parts, of which all but the last have at least `smallest` bytes, and their content against
    /// the key.
    pub(crate) fn complete(
        &mut self,
        name: &str,
        key: &str,
        parts: &[Named],
        smallest: u64,
    ) -> Result<Completed, Refusal> {
        let upload = self.find(name, key)?;
        let named = upload.named(parts, smallest)?;
        let (mut length, mut differing) = (0, 0);
        for part in &named {
            differing += part.differing(key, length);
            length += part.length;
        }
        let ecma = named.iter().fold(0, |ecma, part| checksum_combine(ECMA, ecma, part.ecma, part.length));
        let headers = self.open.remove(name).map(|upload| upload.headers).unwrap_or_default();
        let doubt = named.iter().fold(0, |doubt, part| doubt ^ part.checksum);
        let origin = if differing == 0 { Origin::Put } else { Origin::PutWrong(doubt) };
        Ok(Completed { stored: Stored { length, origin }, differing, ecma, headers })
    }

    /// Forgets an upload.
    pub(crate) fn abort(&mut self, name: &str) -> Result<(), Refusal> {
        self.open.remove(name).map(|_| ()).ok_or(Refusal::NoSuchUpload)
    }

    /// How many uploads are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn find(&mut self, name: &str, key: &str) -> Result<&mut Upload, Refusal> {
        self.open.get_mut(name).filter(|upload| upload.key == key).ok_or(Refusal::NoSuchUpload)
    }
}

impl Upload {
    /// The parts that the client names, if they are in order, known, and long enough.
    fn named(&self, parts: &[Named], smallest: u64) -> Result<Vec<Received>, Refusal> {
        if parts.is_empty() {
            return Err(Refusal::MalformedXml);
        }
        if !parts.is_sorted_by(|one, next| one.number < next.number) {
            return Err(Refusal::InvalidPartOrder);
        }
        let find =
            |part: &Named| self.parts.get(&part.number).filter(|known| known.etag().trim_matches('"') == part.etag);
        let named: Vec<Received> =
            parts.iter().map(|part| find(part).copied().ok_or(Refusal::InvalidPart)).collect::<Result<_, _>>()?;
        let is_short = named.iter().rev().skip(1).any(|part| part.length < smallest);
        if is_short { Err(Refusal::EntityTooSmall) } else { Ok(named) }
    }
}

/// Reads the body of `CompleteMultipartUpload`.
pub(crate) fn parse_parts(xml: &str) -> Result<Vec<Named>, Refusal> {
    let text = |part: &str, name: &str| {
        let (_, rest) = part.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim().to_owned())
    };
    let read = |part: &str| {
        let number = text(part, "PartNumber")?.parse().ok()?;
        let etag = text(part, "ETag")?.replace("&quot;", "").replace("&#34;", "").replace('"', "");
        Some(Named { number, etag })
    };
    xml.split("<Part>").skip(1).map(|part| read(part).ok_or(Refusal::MalformedXml)).collect()
}

/// The keys in the body of a batch delete.
pub(crate) fn parse_keys(xml: &str) -> Vec<String> {
    let unescape = |text: &str| {
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
        text.replace("&#34;", "\"").replace("&#39;", "'").replace("&amp;", "&")
    };
    let keys = xml.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    keys.map(|(key, _)| unescape(key)).collect()
}
