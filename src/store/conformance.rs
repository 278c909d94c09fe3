//! The suite that every backend and every wrapper passes: the contract of [`ObjectStore`](super::ObjectStore), sentence by
//! sentence.
//!
//! It writes below a prefix of its own and removes what it wrote. [`check`] gives a verdict for each promise, so that a user can
//! run it on a real bucket too; nothing here panics.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{Body, GetOptions, Key, ListOptions, ObjectStore, Part, parts};
use crate::error::{Error, ErrorKind, Result};

/// Keys that have broken other tools: the ways a name can be misread, lost or led astray.
pub const HOSTILE: [&str; 22] = [
    "blank in name",
    " leading and trailing ",
    "plus+percent%41%2F",
    "hash#question?amp&equals=",
    "double//slash",
    "/leading/slash",
    "trailing/slash/",
    "dots/./in/../the/../../middle",
    "..",
    ".",
    "-dash",
    "_underscore",
    "__blob.part0",
    "ünïcödé/日本語/🦀",
    "quote'quote\"back\\slash",
    "<xml>&amp;</xml>",
    "colon:semi;comma,star*pipe|tilde~",
    "%sf.tmp/not-ours",
    "%sf.",
    "a-key",
    "a-key/below",
    "case/Case",
];

/// What came of one promise.
#[derive(Debug)]
pub struct Verdict {
    /// The number of the promise in the contract.
    pub promise: u32,
    /// What was tried.
    pub tried: &'static str,
    /// How it ended.
    pub result: Result<()>,
}

/// Which keys the store under test can be expected to hold.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Hostile keys that this server is known to refuse or confuse; each is a documented limit of that server.
    pub unable: BTreeSet<&'static str>,
}

/// Tries every promise below `prefix`.
pub async fn check(store: Arc<dyn ObjectStore>, prefix: &str, expectation: &Expectation) -> Vec<Verdict> {
    let suite = Suite { store, prefix: prefix.to_owned() };
    let mut verdicts = Vec::new();
    let mut tell = |promise, tried, result| verdicts.push(Verdict { promise, tried, result });
    tell(1, "hostile keys come back byte for byte", suite.hostile(expectation).await);
    tell(2, "a listing is complete, ordered, and starts where it is told", suite.listing().await);
    tell(3, "a put replaces the whole object", suite.replaces().await);
    tell(4, "a body that ends early or goes on leaves no object", suite.wrong_length().await);
    tell(5, "a range is exactly the bytes asked for", suite.ranges().await);
    tell(6, "a changed object is not read under the old mark", suite.if_match().await);
    tell(7, "what is not there is not found, and deleting it succeeds", suite.missing().await);
    tell(8, "an upload in parts appears whole or not at all", suite.multipart().await);
    tell(9, "what was written is read and listed at once", suite.at_once().await);
    let left = suite.clean().await;
    tell(9, "what was deleted is gone from the listing", left);
    verdicts
}

struct Suite {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

fn broken(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, "keep the contract").because(what.into())
}

fn must(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(broken(what())) }
}

impl Suite {
    fn key(&self, name: &str) -> Key {
        Key::new(format!("{}{name}", self.prefix)).expect("it is not empty")
    }

    async fn put(&self, name: &str, bytes: &'static [u8]) -> Result<()> {
        self.store.put(&self.key(name), Body::from_bytes(Bytes::from_static(bytes))).await.map(drop)
    }

    async fn read(&self, name: &str) -> Result<Bytes> {
        self.store.get(&self.key(name), GetOptions::default()).await?.body.collect(1 << 30).await
    }

    async fn names(&self, below: &str, after: Option<Key>) -> Result<Vec<String>> {
        let options = ListOptions { prefix: format!("{}{below}", self.prefix), after };
        let pages: Vec<_> = self.store.list(options).try_collect().await?;
        let names = pages.into_iter().flatten().map(|meta| meta.key.as_str()[self.prefix.len()..].to_owned());
        Ok(names.collect())
    }

    async fn hostile(&self, expectation: &Expectation) -> Result<()> {
        let able: Vec<&str> = HOSTILE.into_iter().filter(|name| !expectation.unable.contains(name)).collect();
        for name in &able {
            let content = Bytes::from(name.to_string());
            self.store.put(&self.key(&format!("hostile/{name}")), Body::from_bytes(content)).await?;
        }
        for name in &able {
            let content = self.read(&format!("hostile/{name}")).await?;
            must(content == name.as_bytes(), || format!("`{name}` has the content of another key: {content:?}"))?;
        }
        let mut expected: Vec<String> = able.iter().map(|name| format!("hostile/{name}")).collect();
        expected.sort_unstable();
        let listed = self.names("hostile/", None).await?;
        must(listed == expected, || format!("listed {listed:?} where {expected:?} were written"))
    }

    async fn listing(&self) -> Result<()> {
        let mut expected: Vec<String> = (0..1203).map(|number| format!("list/{}/{number}", number % 7)).collect();
        expected.sort_unstable();
        let puts = expected.iter().map(|name| self.put(name, b"x"));
        stream::iter(puts).buffer_unordered(16).try_collect::<()>().await?;
        let listed = self.names("list/", None).await?;
        must(listed == expected, || {
            format!("{} keys of {} were listed, or in another order", listed.len(), expected.len())
        })?;
        let after = self.key(&expected[600]);
        let rest = self.names("list/", Some(after)).await?;
        must(rest == expected[601..], || format!("{} keys came after the 601st of {}", rest.len(), expected.len()))?;
        let partial = self.names("list/3/1", None).await?;
        must(partial.iter().all(|name| name.starts_with("list/3/1")) && !partial.is_empty(), || {
            "a prefix within a segment does not filter".into()
        })
    }

    async fn replaces(&self) -> Result<()> {
        self.put("replace", b"a longer first content").await?;
        self.put("replace", b"second").await?;
        let content = self.read("replace").await?;
        must(content == b"second".as_slice(), || format!("{content:?} is there"))?;
        self.put("empty", b"").await?;
        must(self.read("empty").await?.is_empty(), || "an empty object is not empty".into())
    }

    async fn wrong_length(&self) -> Result<()> {
        for (name, announced, sent) in [("short", 10, 5), ("long", 5, 10), ("none", 10, 0)] {
            let bytes = Bytes::from(vec![b'x'; sent]);
            let content = if sent == 0 { stream::empty().boxed() } else { stream::once(async { Ok(bytes) }).boxed() };
            let put = self.store.put(&self.key(name), Body { length: announced, stream: content }).await;
            must(put.is_err(), || format!("a body of {sent} bytes announced as {announced} was accepted"))?;
            let found = self.store.head(&self.key(name)).await;
            must(found.is_err_and(|error| error.kind() == ErrorKind::NotFound), || {
                format!("the {name} body became an object")
            })?;
        }
        self.put("kept", b"good").await?;
        let failing = stream::iter([Ok(Bytes::from_static(b"bad")), Err(broken("a source that fails"))]).boxed();
        let put = self.store.put(&self.key("kept"), Body { length: 10, stream: failing }).await;
        must(put.is_err(), || "a body that failed was accepted".into())?;
        must(self.read("kept").await? == b"good".as_slice(), || "a put that failed changed the object".into())
    }

    async fn ranges(&self) -> Result<()> {
        self.put("range", b"0123456789").await?;
        for (range, expected) in [(0..10, "0123456789"), (0..1, "0"), (9..10, "9"), (3..7, "3456")] {
            let options = GetOptions { range: Some(range.clone()), if_match: None };
            let got = self.store.get(&self.key("range"), options).await?;
            must(got.meta.size == 10, || format!("a range says that the object has {} bytes", got.meta.size))?;
            let content = got.body.collect(100).await?;
            must(content == expected.as_bytes(), || format!("{range:?} gave {content:?}"))?;
        }
        let beyond = GetOptions { range: Some(5..20), if_match: None };
        must(self.store.get(&self.key("range"), beyond).await.is_err(), || "a range beyond the end was answered".into())
    }

    async fn if_match(&self) -> Result<()> {
        self.put("mark", b"first").await?;
        let Some(mark) = self.store.head(&self.key("mark")).await?.etag else { return Ok(()) };
        let options = || GetOptions { range: None, if_match: Some(mark.clone()) };
        self.store.get(&self.key("mark"), options()).await?;
        self.put("mark", b"other").await?;
        let got = self.store.get(&self.key("mark"), options()).await;
        must(got.is_err_and(|error| error.kind() == ErrorKind::Precondition), || {
            "the new content came under the old mark".into()
        })
    }

    async fn missing(&self) -> Result<()> {
        let key = self.key("missing/never");
        let not_found = |kind: Option<ErrorKind>| kind == Some(ErrorKind::NotFound);
        let head = self.store.head(&key).await.err().map(|error| error.kind());
        must(not_found(head), || format!("head says {head:?}"))?;
        let get = self.store.get(&key, GetOptions::default()).await.err().map(|error| error.kind());
        must(not_found(get), || format!("get says {get:?}"))?;
        self.store.delete(&key).await
    }

    async fn multipart(&self) -> Result<()> {
        let capability = self.store.capability();
        let length = usize::try_from(capability.min_part.max(8)).unwrap_or(8);
        let content: Bytes =
            (0..length * 2 + 3).map(|at| u8::try_from(at % 251).expect("below 251")).collect::<Vec<_>>().into();
        let (key, size) = (self.key("parts"), content.len() as u64);
        let specs: Vec<_> = parts(size, length as u64, &capability)?.collect();
        let upload = self.store.put_multipart(&key, size).await?;
        let mut done: Vec<Part> = Vec::new();
        for spec in specs.iter().rev() {
            let place = |at: u64| usize::try_from(at).expect("it fits in memory");
            let bytes = content.slice(place(spec.offset)..place(spec.offset + spec.length));
            done.push(upload.put_part(*spec, Body::from_bytes(bytes)).await?);
        }
        let early = self.store.head(&key).await;
        must(early.is_err_and(|error| error.kind() == ErrorKind::NotFound), || {
            "it is visible before it is complete".into()
        })?;
        done.sort_by_key(|part| part.spec.number);
        upload.complete(done).await?;
        must(self.read("parts").await? == content, || "the parts do not make up the object".into())?;
        let upload = self.store.put_multipart(&self.key("aborted"), size).await?;
        upload.put_part(specs[0], Body::from_bytes(content.slice(..length))).await?;
        upload.abort().await?;
        let found = self.store.head(&self.key("aborted")).await;
        must(found.is_err_and(|error| error.kind() == ErrorKind::NotFound), || {
            "an aborted upload became an object".into()
        })
    }

    async fn at_once(&self) -> Result<()> {
        for round in 0..3 {
            let name = format!("fresh/{round}");
            self.put(&name, b"fresh").await?;
            must(self.read(&name).await? == b"fresh".as_slice(), || "it is not readable".into())?;
            must(self.names("fresh/", None).await?.contains(&name), || "it is not listed".into())?;
        }
        Ok(())
    }

    async fn clean(&self) -> Result<()> {
        for name in self.names("", None).await? {
            self.store.delete(&self.key(&name)).await?;
        }
        let left = self.names("", None).await?;
        must(left.is_empty(), || format!("{left:?} are left"))
    }
}
