//! Objects over HTTP, as S3 and OSS have them: two dialects of one protocol.
//!
//! One client puts requests together, signs, sends and reads them ([`client`]); what the dialects name differently is in [`dialect`], what
//! providers do differently in [`profile`]. How a store is set up is the business of [`s3`](super::s3) and [`oss`](super::oss). It does
//! not retry (contract 10).

mod absent;
mod answer;
mod client;
mod copy;
mod dialect;
mod dots;
mod encode;
mod failure;
mod fixed;
mod list;
mod outgoing;
mod profile;
pub(in crate::store) mod sign;
mod site;
mod small;
mod trailer;
mod upload;
mod xml;

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use futures::StreamExt as _;
use http::{HeaderValue, Method};
use http_body_util::BodyExt as _;

use self::answer::Answer;
use self::client::{Call, Client};
pub(in crate::store) use self::dialect::Dialect;
pub(in crate::store) use self::fixed::Fixed;
use self::outgoing::Content;
use self::profile::Learnt;
pub(in crate::store) use self::profile::Profile;
pub use self::profile::{Ability, ListVersion, Overrides, PROVIDERS, Provider, Setting};
use self::sign::Signer;
pub(crate) use self::site::is_region;
pub(in crate::store) use self::site::{Site, host_of, is_address};
use super::credentials::Vault;
use super::{
    Body, Capability, GetOptions, GetResult, Head, Key, ListOptions, Location, Meter, MultipartUpload, ObjectStore,
    Origin, Pages, PutOptions, PutResult, RequestKind, ServerCopy, one_by_one,
};
use crate::error::{Error, ErrorKind, Result};
use crate::wire;

/// Bodies up to this many bytes are gathered before they are sent, so that their checksum can go in front. The transfer's budget
/// has counted them.
const SMALL: u64 = 256 * 1024;

/// Everything that a store is set up with.
pub(in crate::store) struct Setup {
    pub(in crate::store) wire: wire::Client,
    pub(in crate::store) location: Location,
    pub(in crate::store) dialect: Dialect,
    pub(in crate::store) profile: Profile,
    pub(in crate::store) signer: Box<dyn Signer>,
    pub(in crate::store) vault: Vault,
    pub(in crate::store) headers: Fixed,
    pub(in crate::store) site: Site,
    /// Who we are, as far as it tells two stores apart: an access key, a profile, a role.
    pub(in crate::store) identity: String,
}

/// Objects in a bucket, below a prefix.
#[derive(Debug, Clone)]
pub struct RestStore {
    client: Arc<Client>,
    identity: Arc<str>,
}

impl RestStore {
    /// A store that is ready for its first request.
    pub(in crate::store) fn new(setup: Setup, meter: Arc<Meter>) -> Self {
        let Setup { wire, location, dialect, profile, signer, vault, headers, site, identity } = setup;
        let client = Client {
            wire,
            location,
            dialect,
            profile,
            signer,
            vault,
            headers,
            meter,
            site: RwLock::new(Arc::new(site)),
            learnt: Learnt::default(),
            skew: AtomicI64::new(0),
        };
        Self { client: Arc::new(client), identity: identity.into() }
    }

    fn of(client: Arc<Client>) -> Self {
        Self { client, identity: "".into() }
    }

    async fn looked_at(&self, doing: &'static str, key: &Key) -> Result<Head> {
        let mut call = Call::new(RequestKind::Head, doing, Method::HEAD, Some(key.as_str()));
        self.client.ask_for_checksums(&mut call.headers);
        let response = self.client.send(call).await?;
        let answer = Answer { client: &self.client, doing, key, headers: response.headers() };
        Ok(Head {
            meta: answer.meta(answer.length()?)?,
            attributes: answer.attributes(),
            checksums: answer.checksums(),
        })
    }
}

#[async_trait]
impl ObjectStore for RestStore {
    async fn head(&self, key: &Key) -> Result<Head> {
        self.looked_at("look at", key).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        let doing = "get";
        let client = &self.client;
        let mut call = Call::new(RequestKind::Get, doing, Method::GET, Some(key.as_str()));
        let plain = |text: String| {
            HeaderValue::try_from(text)
                .map_err(|error| client.error(ErrorKind::Invalid, doing, Some(key.as_str())).from_source(error))
        };
        match &options.range {
            Some(range) => {
                let text = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
                call.headers.insert(http::header::RANGE, plain(text)?);
                if client.dialect == Dialect::Oss {
                    // Otherwise a range beyond the end is answered with the whole object.
                    call.headers.insert("x-oss-range-behavior", HeaderValue::from_static("standard"));
                }
            }
            None => client.ask_for_checksums(&mut call.headers),
        }
        if let Some(etag) = &options.if_match {
            call.headers.insert(http::header::IF_MATCH, plain(etag.quoted())?);
        }
        let response = client.send(call).await?;
        let (head, body) = response.into_parts();
        let answer = Answer { client, doing, key, headers: &head.headers };
        let came = answer.length()?;
        let size = match &options.range {
            Some(range) => answer.whole_size(range.start, range.end)?,
            None if head.status == http::StatusCode::PARTIAL_CONTENT => {
                let error = client.error(ErrorKind::Corrupt, doing, Some(key.as_str()));
                return Err(error.because("the whole object was asked for and a part of it came"));
            }
            None => came,
        };
        let meta = answer.meta(size)?;
        // Some servers (s3s-fs 0.14, Garage 2.5) answer a condition that does not hold as if it had not been asked.
        if let (Some(wanted), Some(came)) = (&options.if_match, &meta.etag)
            && wanted != came
        {
            let error = client.error(ErrorKind::Precondition, doing, Some(key.as_str()));
            return Err(error.because("the object has changed meanwhile"));
        }
        // A checksum of the whole object says nothing about a range; some servers send it all the same.
        let mut checksums = if options.range.is_none() { answer.checksums() } else { Vec::new() };
        let sentence = client.sentence(doing, Some(key.as_str()));
        let stream =
            body.into_data_stream().map(move |bytes| bytes.map_err(|error| error.while_doing(sentence.clone())));
        let mut body = Body { length: came, stream: stream.boxed() };
        if options.range.is_none() && !answer.is_keyed() {
            let (taught, teaches) = client.taught(meta.etag.as_ref(), body);
            body = taught;
            // What teaches is an MD5 if it passes at all: the target's may be held against it.
            checksums.extend(meta.etag.as_ref().filter(|_| teaches).and_then(super::ETag::md5));
        }
        Ok(GetResult { meta, attributes: answer.attributes(), checksums, body })
    }

    async fn put(&self, key: &Key, body: Body, options: &PutOptions) -> Result<PutResult> {
        let doing = "put";
        let client = &self.client;
        let length = body.length;
        client.must_name(key).await?;
        let mut call = Call::new(RequestKind::Put, doing, Method::PUT, Some(key.as_str()));
        call.headers = client.headers.new_object(client.dialect, &options.attributes)?;
        if options.if_absent {
            self.must_be_absent(key).await?;
            client.only_if_absent(&mut call.headers);
        }
        let sent = if client.states_small() && body.length <= SMALL {
            client.put_small(call, body).await
        } else {
            client.send(Call { content: Content::Stream(body), ..call }).await
        };
        let response = match sent {
            Err(error) if options.if_absent && error.kind() == ErrorKind::Precondition => {
                let error = client.error(ErrorKind::AlreadyExists, doing, Some(key.as_str()));
                return Err(error.because("an object of that name is there already"));
            }
            other => other?,
        };
        let status = response.status();
        let headers = client.concluded(doing, key.as_str(), response).await?;
        let answer = Answer { client, doing, key, headers: &headers };
        if !matches!(status.as_u16(), 200 | 201) || answer.etag().is_none() {
            self.must_be_new(key, length, status, answer.date()).await?;
        }
        Ok(PutResult { etag: answer.etag(), checksums: answer.checksums() })
    }

    async fn put_multipart(&self, key: &Key, _size: u64, options: &PutOptions) -> Result<Box<dyn MultipartUpload>> {
        self.client.must_name(key).await?;
        if options.if_absent {
            self.must_be_absent(key).await?;
        }
        self.client.learn_trailers(key).await;
        Ok(Box::new(upload::Upload::begin(self.client.clone(), key.clone(), options).await?))
    }

    async fn copy(&self, from: Origin<'_>, key: &Key, options: &PutOptions) -> Result<PutResult> {
        self.client.must_name(key).await?;
        copy::copy(&self.client, from, key, options).await
    }

    fn list(&self, options: ListOptions) -> Pages {
        list::pages(self.client.clone(), options)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let call = Call::new(RequestKind::Delete, "delete", Method::DELETE, Some(key.as_str()));
        match self.client.send(call).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<Vec<(Key, Error)>> {
        let (alone, together): (Vec<Key>, Vec<Key>) = keys.iter().cloned().partition(|key| !xml::holds(key.as_str()));
        let mut failed = match copy::delete_batch(&self.client, &together).await? {
            Some(failed) => failed,
            None => one_by_one(self, &together).await,
        };
        failed.extend(one_by_one(self, &alone).await);
        Ok(failed)
    }

    fn capability(&self) -> Capability {
        let profile = &self.client.profile;
        let mut capability = profile.capability.clone();
        if profile.server_copy {
            let site = self.client.site();
            // OSS copies up to 1 GB in one request (OSS documentation, `CopyObject`), S3 up to 5 GiB.
            let max = if self.client.dialect == Dialect::Oss { 1_000_000_000 } else { capability.max_put };
            let place = format!("{} {} {}", site.shown(), site.region, self.identity);
            capability.copy = Some(ServerCopy { location: self.client.location.clone(), place, max });
        }
        capability
    }

    fn learnt(&self) -> Vec<(&'static str, Setting)> {
        self.client.profile.settings(&self.client.learnt)
    }
}
