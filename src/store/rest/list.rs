//! Listings: page after page of both versions, each page checked to be one that can follow the last.

use futures::{StreamExt as _, stream};
use http::Method;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use std::sync::Arc;

use super::client::{Call, Client};
use super::dialect::Dialect;
use super::failure;
use super::profile::{Ability, ListVersion};
use super::xml::{self, Document};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{ETag, Key, ListOptions, ObjectMeta, Pages, RequestKind};

/// Keys in one page: the most that S3 and OSS give.
const PAGE: &str = "1000";

/// A listing may skip over what was deleted, a page at a time, but not for ever.
const EMPTY_PAGES: u32 = 100;

/// Which page of a listing comes next.
struct Place {
    options: ListOptions,
    /// Of the second version: where the server left off.
    token: Option<String>,
    /// Of the first version: the name behind which the page begins, as the bucket has it.
    marker: Option<String>,
    /// How many pages without a key came before it.
    empty: u32,
}

/// Lists the objects of the location.
pub(super) fn pages(client: Arc<Client>, options: ListOptions) -> Pages {
    let marker = options.after.as_ref().map(|after| client.location.full_key(after.as_str()));
    let first = Some(Place { options, token: None, marker, empty: 0 });
    stream::unfold(first, move |place| {
        let client = client.clone();
        async move {
            match page(&client, place?).await {
                Ok((objects, next)) => Some((Ok(objects), next)),
                Err(error) => Some((Err(error), None)),
            }
        }
    })
    .boxed()
}

async fn page(client: &Client, mut place: Place) -> Result<(Vec<ObjectMeta>, Option<Place>)> {
    let profile = match client.profile.list_version {
        ListVersion::V1 => Ability::No,
        ListVersion::V2 => Ability::Yes,
        ListVersion::Auto => Ability::Auto,
    };
    let mut second = client.learnt.list_v2.known(profile).unwrap_or(true);
    let fetched = fetch(client, &place, second).await;
    let page = match fetched {
        Err(error)
            if second
                && profile == Ability::Auto
                && error.kind() == ErrorKind::Unsupported
                && place.token.is_none() =>
        {
            fall_back(client, &error.to_string());
            second = false;
            fetch(client, &place, false).await?
        }
        Ok(page) if second && profile == Ability::Auto && page.is_of_the_first(&place) => {
            fall_back(client, "its answers are those of the first");
            second = false;
            // What came is a page of the first version all the same, if it begins where it should.
            if page.begins_behind(&place) { page } else { fetch(client, &place, false).await? }
        }
        other => other?,
    };
    if second && profile == Ability::Auto && page.counted {
        client.learnt.list_v2.learn(true);
    }
    if !page.begins_behind(&place) {
        return Err(corrupt(client, "a page begins before the end of the last one".to_owned()));
    }
    place.empty = if page.names.is_empty() { place.empty + 1 } else { 0 };
    let next = following(client, &page, place, second)?;
    Ok((objects(client, page)?, next))
}

fn fall_back(client: &Client, why: &str) {
    client.learnt.list_v2.learn(false);
    tracing::info!(server = %client.site().shown(), %why, "the server does not know the second version of listings: using the first");
}

fn corrupt(client: &Client, cause: String) -> Error {
    client.error(ErrorKind::Corrupt, "list", None).because(cause)
}

/// The page behind this one, if there is one.
fn following(client: &Client, page: &Page, place: Place, second: bool) -> Result<Option<Place>> {
    match page.truncated {
        Some(true) => {}
        // Taken for the end, it would make everything behind it look as if it were gone.
        Some(false) if page.token.is_none() => return Ok(None),
        said => {
            let said = if said.is_none() {
                "it does not say whether more follows"
            } else {
                "it says that it is the last and how to go on"
            };
            return Err(corrupt(client, format!("a page of the listing cannot be believed: {said}"))
                .hint("the server's listing cannot be relied on; nothing was taken as missing"));
        }
    }
    if place.empty >= EMPTY_PAGES {
        return Err(client.error(ErrorKind::Invalid, "list", None).because(format!(
            "the listing does not advance: {} pages without a key came one after the other",
            place.empty
        )));
    }
    let last = page.names.last().map(|name| name.name.clone());
    let (token, marker) =
        if second { (page.token.clone(), last.or(place.marker)) } else { (None, last.or_else(|| page.marker.clone())) };
    let stuck = if second { token.is_none() || token == place.token } else { marker.is_none() };
    if stuck {
        return Err(corrupt(
            client,
            "the server says that more follows and gives no new continuation token".to_owned(),
        )
        .hint("the server's listing cannot be relied on; nothing was taken as missing"));
    }
    Ok(Some(Place { token, marker, ..place }))
}

/// A page as it came, with the keys decoded.
#[derive(Default)]
struct Page {
    names: Vec<Entry>,
    /// Whether more follows; none if it does not say so in so many words.
    truncated: Option<bool>,
    token: Option<String>,
    marker: Option<String>,
    counted: bool,
}

#[derive(Default)]
struct Entry {
    name: String,
    size: Option<u64>,
    modified: Option<Timestamp>,
    etag: Option<ETag>,
}

impl Page {
    /// Whether a server answered a request of the second version as one of the first.
    fn is_of_the_first(&self, place: &Place) -> bool {
        self.truncated.is_none()
            || (self.truncated == Some(true) && self.token.is_none())
            || (!self.counted && self.token.is_none() && !self.begins_behind(place))
    }

    /// Whether it begins behind the last key of the page before, or behind the key that the listing was to start after.
    fn begins_behind(&self, place: &Place) -> bool {
        match (self.names.first(), &place.marker) {
            (Some(first), Some(marker)) => first.name > *marker,
            _ => true,
        }
    }
}

async fn fetch(client: &Client, place: &Place, second: bool) -> Result<Page> {
    let mut call = Call::new(RequestKind::List, "list", Method::GET, None).query("max-keys", PAGE);
    // Keys with characters that XML cannot hold arrive whole only in this encoding.
    if client.profile.encoding_type {
        call = call.query("encoding-type", "url");
    }
    let prefix = client.location.full_key(&place.options.prefix);
    if !prefix.is_empty() {
        call = call.query("prefix", prefix);
    }
    if second {
        call = call.query("list-type", "2");
        call = match (&place.token, &place.marker) {
            (Some(token), _) => call.query("continuation-token", token),
            (None, Some(after)) => call.query("start-after", after),
            (None, None) => call,
        };
    } else if let Some(marker) = &place.marker {
        call = call.query("marker", marker);
    }
    let response = client.send(call).await?;
    let document = xml::read(response, "ListBucketResult").await;
    match document.map_err(|error| error.while_doing(client.sentence("list", None)))? {
        Document::Whole(bytes) => parse(client, &bytes),
        Document::Error(document) => Err(failure::within(client, &client.sentence("list", None), document)),
    }
}

fn parse(client: &Client, bytes: &[u8]) -> Result<Page> {
    let (mut page, mut entry, mut encoded) = (Page::default(), Entry::default(), false);
    let mut unnamed = false;
    xml::walk(bytes, |path, text| {
        let names: [&str; 3] = std::array::from_fn(|at| path.get(at).map_or("", String::as_str));
        match (path.len(), names[1], names[2]) {
            (3, "Contents", "Key") => text.clone_into(&mut entry.name),
            (3, "Contents", "Size") => entry.size = text.trim().parse().ok(),
            (3, "Contents", "LastModified") => entry.modified = text.trim().parse().ok(),
            (3, "Contents", "ETag") => entry.etag = ETag::new(text),
            (2, "Contents", _) => {
                unnamed |= entry.name.is_empty();
                page.names.push(std::mem::take(&mut entry));
            }
            (2, "IsTruncated", _) => page.truncated = text.trim().parse().ok(),
            (2, "NextContinuationToken", _) => page.token = Some(text.to_owned()).filter(|token| !token.is_empty()),
            (2, "NextMarker", _) => page.marker = Some(text.to_owned()).filter(|marker| !marker.is_empty()),
            (2, "KeyCount", _) => page.counted = true,
            (2, "EncodingType", _) => encoded = text.trim() == "url",
            _ => {}
        }
        Ok(())
    })
    .map_err(|error| error.while_doing(client.sentence("list", None)))?;
    if unnamed {
        return Err(corrupt(client, "an entry of the listing has no key".to_owned()));
    }
    if encoded && page.names.iter().all(|entry| is_encoded(&entry.name)) {
        // Most keys come as they are.
        for entry in page.names.iter_mut().filter(|entry| entry.name.contains(['%', '+'])) {
            entry.name = decode(client, &entry.name)?;
        }
        page.marker = page.marker.map(|marker| decode(client, &marker)).transpose()?;
        // OSS encodes the token too (its SDK for Python decodes it); S3 does not.
        if client.dialect == Dialect::Oss {
            page.token = page.token.map(|token| decode(client, &token)).transpose()?;
        }
    }
    if let Some(pair) = page.names.windows(2).find(|pair| pair[0].name >= pair[1].name) {
        let (first, second) = (pair[0].name.escape_debug(), pair[1].name.escape_debug());
        return Err(corrupt(client, format!("`{second}` comes after `{first}`, out of order"))
            .hint("the server's listing cannot be relied on; nothing was taken as missing"));
    }
    Ok(page)
}

/// Whether a key may be in url encoding. Some servers (s3s-fs 0.14) echo the encoding and do not apply it; then a character
/// gives them away that the encoding never leaves as it is.
fn is_encoded(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'#' | b'?'))
}

fn decode(client: &Client, key: &str) -> Result<String> {
    // S3's encoding is that of forms, where a blank comes as `+`; OSS's is that of paths.
    let spaced = if client.dialect == Dialect::S3 { key.replace('+', " ") } else { key.to_owned() };
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(error) => Err(corrupt(client, format!("the key `{key}` does not decode: {error}"))),
    }
}

fn objects(client: &Client, page: Page) -> Result<Vec<ObjectMeta>> {
    let prefix = client.location.full_key("");
    let mut objects = Vec::with_capacity(page.names.len());
    for Entry { name, size, modified, etag } in page.names {
        let Some(key) = name.strip_prefix(&prefix) else {
            let cause = format!("the listing of `{prefix}` holds `{}`, which does not begin so", name.escape_debug());
            return Err(corrupt(client, cause));
        };
        // A console's marker for the folder itself: it has no name inside the location.
        if key.is_empty() {
            continue;
        }
        let (Some(size), Some(modified)) = (size, modified) else {
            return Err(corrupt(
                client,
                format!("the entry `{}` states no length or no modification time", name.escape_debug()),
            ));
        };
        objects.push(ObjectMeta { key: Key::new(key)?, size, modified, etag });
    }
    Ok(objects)
}
