//! One object: put, get, head, with conditions and attributes (promises 3 to 7, 11 and 12).

use std::fmt;

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::super::{Body, GetOptions, PutOptions};
use super::{Found, KEPT, Suite, broken, cannot, has, must, sample};
use crate::error::{ErrorKind, Result};

/// What an answer was that should have been an error.
pub(super) fn answered<T>(result: Result<T>) -> Answered {
    Answered(result.err().map(|error| error.kind()))
}

/// The kind of an error, or none for a success.
#[derive(PartialEq, Eq)]
pub(super) struct Answered(Option<ErrorKind>);

impl Answered {
    pub(super) fn is(&self, kind: ErrorKind) -> bool {
        self.0 == Some(kind)
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("success", ErrorKind::word))
    }
}

impl Suite {
    pub(super) async fn replaces(&self) -> Result<Found> {
        for text in ["a longer first content", "second", "", "x"] {
            self.put("replace", text).await?;
            let read = self.read("replace").await?;
            must(read == text.as_bytes(), || format!("{read:?} is there where {text:?} was written"))?;
            let size = self.look("replace").await?.meta.size;
            must(size == text.len() as u64, || format!("an object of {} bytes is said to have {size}", text.len()))?;
        }
        Ok(KEPT)
    }

    pub(super) async fn wrong_length(&self) -> Result<Found> {
        // Also of a body that is too long to be gathered before it is sent.
        let large = 300 * 1024;
        for (name, announced, sent) in [
            ("short", 10, 5),
            ("long", 5, 10),
            ("none", 10, 0),
            ("large", large, large - 1),
            ("larger", large, large + 1),
        ] {
            let length = usize::try_from(sent).unwrap_or(usize::MAX);
            let bytes = Bytes::from(vec![b'x'; length]);
            let stream = if sent == 0 { stream::empty().boxed() } else { stream::once(async { Ok(bytes) }).boxed() };
            let put = self.store.put(&self.key(name), Body { length: announced, stream }, &PutOptions::default()).await;
            must(put.is_err(), || format!("a body of {sent} bytes announced as {announced} was accepted"))?;
            must(!self.is_there(name).await?, || format!("a body of {sent} bytes announced as {announced} is there"))?;
        }
        self.put("kept", "good").await?;
        let failing = stream::iter([Ok(Bytes::from_static(b"bad")), Err(broken("a source that fails"))]).boxed();
        let put = self.store.put(&self.key("kept"), Body { length: 10, stream: failing }, &PutOptions::default()).await;
        must(put.is_err(), || "a body that failed was accepted".into())?;
        must(self.read("kept").await? == "good", || "a put that failed changed the object".into())?;
        Ok(KEPT)
    }

    pub(super) async fn ranges(&self) -> Result<Found> {
        self.put("range", "0123456789").await?;
        for (range, expected) in [(0..10, "0123456789"), (0..1, "0"), (9..10, "9"), (3..7, "3456")] {
            let options = GetOptions { range: Some(range.clone()), if_match: None };
            let key = self.key("range");
            let got = self.repeat(|| self.store.get(&key, options.clone())).await?;
            must(got.meta.size == 10, || format!("a range says that the object has {} bytes", got.meta.size))?;
            let sums = got.checksums;
            let content = got.body.collect(100).await?;
            must(content == expected.as_bytes(), || format!("{range:?} gave {content:?}"))?;
            self.compare("a range", &sums, &content)?;
        }
        for range in [5..20, 9..11, 10..11, 100..200] {
            let beyond = GetOptions { range: Some(range.clone()), if_match: None };
            let got = self.store.get(&self.key("range"), beyond).await;
            must(got.is_err(), || format!("bytes {range:?} of 10 were answered"))?;
        }
        Ok(KEPT)
    }

    pub(super) async fn if_match(&self) -> Result<Found> {
        self.put("mark", "first").await?;
        let Some(mark) = self.look("mark").await?.meta.etag else {
            return Ok(cannot("it gives objects no marks"));
        };
        let options = GetOptions { range: None, if_match: Some(mark) };
        let key = self.key("mark");
        self.repeat(|| self.store.get(&key, options.clone())).await?;
        self.put("mark", "other").await?;
        let got = answered(self.store.get(&self.key("mark"), options).await);
        must(got.is(ErrorKind::Precondition), || format!("reading under the old mark gave {got}"))?;
        Ok(KEPT)
    }

    pub(super) async fn missing(&self) -> Result<Found> {
        self.put("missing/there", "x").await?;
        for name in ["missing/never", "missing/ther", "missing/there2"] {
            self.must_be_missing(name).await?;
        }
        must(self.read("missing/there").await? == "x", || "deleting what is not there took what is".into())?;
        Ok(KEPT)
    }

    pub(super) async fn folders(&self) -> Result<Found> {
        self.put("folders/a/b", "x").await?;
        for name in ["folders/a", "folders/a/", "folders/a/b/c", "folders/a/b/"] {
            self.must_be_missing(name).await?;
        }
        must(self.read("folders/a/b").await? == "x", || "deleting a folder took what is in it".into())?;
        Ok(KEPT)
    }

    async fn must_be_missing(&self, name: &str) -> Result<()> {
        let key = self.key(name);
        let head = answered(self.repeat(|| self.store.head(&key)).await);
        must(head.is(ErrorKind::NotFound), || format!("head of `{name}` says {head}"))?;
        let get = answered(self.repeat(|| self.store.get(&key, GetOptions::default())).await);
        must(get.is(ErrorKind::NotFound), || format!("get of `{name}` says {get}"))?;
        self.repeat(|| self.store.delete(&key)).await
    }

    pub(super) async fn attributes(&self) -> Result<Found> {
        let options = PutOptions { attributes: sample(), ..PutOptions::default() };
        let bytes = Bytes::from_static(b"with attributes");
        self.put_with("attributes", &bytes, &options).await?;
        must(self.read("attributes").await? == bytes, || "attributes changed the content".into())?;
        if !self.store.capability().attributes {
            return Ok(cannot("it keeps bytes alone"));
        }
        has(&self.look("attributes").await?.attributes, &options.attributes)?;
        let key = self.key("attributes");
        let got = self.repeat(|| self.store.get(&key, GetOptions::default())).await?;
        has(&got.attributes, &options.attributes)?;
        self.put("attributes", "without").await?;
        let left = self.look("attributes").await?.attributes;
        must(left.metadata.is_empty(), || format!("a new object without attributes has {left:?}"))?;
        Ok(KEPT)
    }

    pub(super) async fn if_absent(&self) -> Result<Found> {
        let options = PutOptions { if_absent: true, ..PutOptions::default() };
        let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
        // Not repeated: a lost answer would read as a promise broken.
        let put = |bytes: &Bytes| {
            let (key, body) = (self.key("absent"), Body::from_bytes(bytes.clone()));
            let options = options.clone();
            async move { self.store.put(&key, body, &options).await }
        };
        put(&first).await?;
        let again = answered(put(&second).await);
        must(self.read("absent").await? == first, || "the second put replaced the first object".into())?;
        must(again.is(ErrorKind::AlreadyExists), || format!("the second put gave {again}"))?;
        let key = self.key("absent");
        self.repeat(|| self.store.delete(&key)).await?;
        put(&second).await?;
        must(self.read("absent").await? == second, || "after its deletion the object cannot be made anew".into())?;
        Ok(KEPT)
    }
}
