//! Copies that the server makes, and batches that it deletes: requests whose answers are documents.

use base64::Engine as _;
use http::{HeaderMap, HeaderValue, Method};
use md5::Digest as _;

use super::client::{Call, Client};
use super::dialect::Dialect;
use super::outgoing::Content;
use super::profile::Ability;
use super::upload::document;
use super::xml::{self, Document};
use super::{encode, failure};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ETag, Key, Origin, PutOptions, PutResult, RequestKind};

/// Lets the server copy an object.
pub(super) async fn copy(client: &Client, from: Origin<'_>, key: &Key, options: &PutOptions) -> Result<PutResult> {
    let doing = "copy to";
    let mut call = Call::new(RequestKind::Copy, doing, Method::PUT, Some(key.as_str())).patient();
    call.headers = client.headers.new_object(client.dialect, &options.attributes)?;
    if options.if_absent {
        client.only_if_absent(&mut call.headers);
    }
    source_header(client, &mut call.headers, from)?;
    let attributes = &options.attributes;
    if !attributes.headers.is_empty() || !attributes.metadata.is_empty() {
        call.headers.insert(client.dialect.words().metadata_directive.clone(), HeaderValue::from_static("REPLACE"));
    }
    let response = client.send(call).await?;
    let bytes = document(client, doing, key, xml::read(response, "CopyObject").await)?;
    let etag = xml::field(&bytes, "ETag")?.and_then(|etag| ETag::new(&etag));
    Ok(PutResult {
        checksums: etag.iter().filter(|_| client.etag_is_md5() == Some(true)).filter_map(ETag::md5).collect(),
        etag,
    })
}

/// Says which object is the source, and that it must still be the one that was listed.
pub(super) fn source_header(client: &Client, headers: &mut HeaderMap, from: Origin<'_>) -> Result<()> {
    let words = client.dialect.words();
    let full = from.location.full_key(from.meta.key.as_str());
    let source = format!("/{}/{}", from.location.bucket(), encode::path(&full));
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|error| Error::new(ErrorKind::Unsupported, format!("copy {:?}", from.meta.key)).from_source(error))
    };
    headers.insert(words.copy_source.clone(), value(&source)?);
    if let Some(etag) = &from.meta.etag {
        headers.insert(words.copy_if_match.clone(), value(&etag.quoted())?);
    }
    Ok(())
}

/// Deletes up to 1,000 objects in one request; one by one where the server turns out not to know such requests.
pub(super) async fn delete_batch(client: &Client, keys: &[Key]) -> Result<Option<Vec<(Key, Error)>>> {
    let profile = if client.profile.delete_batch { Ability::Auto } else { Ability::No };
    if keys.is_empty() || client.learnt.delete_batch.known(profile) == Some(false) {
        return Ok(None);
    }
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Delete><Quiet>true</Quiet>".to_owned();
    for key in keys {
        let name = xml::escape(&client.location.full_key(key.as_str()));
        text.push_str(&format!("<Object><Key>{name}</Key></Object>"));
    }
    text.push_str("</Delete>");
    let mut call = Call::new(RequestKind::DeleteBatch, "delete objects in", Method::POST, None).flag("delete");
    call.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    if client.profile.delete_md5 {
        let sum = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(text.as_bytes()));
        call.headers.insert("content-md5", HeaderValue::from_str(&sum).expect("base64 is plain text"));
    }
    call.content = Content::Document(text.into());
    let response = match client.send(call).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            client.learnt.delete_batch.learn(false);
            return Ok(None);
        }
        other => other?,
    };
    // OSS answers a quiet batch without errors with nothing at all.
    if client.dialect == Dialect::Oss
        && response.headers().get(http::header::CONTENT_LENGTH).is_some_and(|length| length == "0")
    {
        return Ok(Some(Vec::new()));
    }
    let sentence = client.sentence("delete objects in", None);
    match xml::read(response, "DeleteResult").await.map_err(|error| error.while_doing(sentence.clone()))? {
        Document::Whole(bytes) => refused(client, keys, &bytes).map(Some),
        Document::Error(document) => Err(failure::within(client, &sentence, document)),
    }
}

/// The objects that the answer says are still there.
fn refused(client: &Client, keys: &[Key], bytes: &[u8]) -> Result<Vec<(Key, Error)>> {
    let mut failed = Vec::new();
    let (mut name, mut code, mut message) = (String::new(), String::new(), String::new());
    xml::walk(bytes, |path, text| {
        match (path.len(), path[1..].first().map(String::as_str), path.last().map(String::as_str)) {
            (3, Some("Error"), Some("Key")) => text.clone_into(&mut name),
            (3, Some("Error"), Some("Code")) => text.clone_into(&mut code),
            (3, Some("Error"), Some("Message")) => text.clone_into(&mut message),
            (2, Some("Error"), _) => {
                let known = keys.iter().find(|key| client.location.full_key(key.as_str()) == name);
                if let Some(key) = known.filter(|_| code != "NoSuchKey") {
                    let kind = if code == "AccessDenied" { ErrorKind::Denied } else { ErrorKind::Unavailable };
                    let error = client.error(kind, "delete", Some(key.as_str()));
                    failed.push((key.clone(), error.because(format!("{code}: {message}"))));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(failed)
}
