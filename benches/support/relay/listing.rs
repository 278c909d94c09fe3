//! One side's keys, a page at a time. It reads what the benchmark's own server writes, and no other XML.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Method;

use super::connection::{Connection, between, text};
use crate::support::Result;
use crate::support::server::BUCKET;

/// One object of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) size: u64,
}

/// A listing on its way.
pub(super) struct Listing {
    connection: Connection<Empty<Bytes>>,
    page: String,
    /// How much of the page was read.
    read: usize,
    /// Whether another page follows, and from where.
    next: Option<String>,
}

impl Listing {
    /// Asks for the first page.
    pub(super) async fn open(address: &str) -> Result<Self> {
        let connection = Connection::open(address).await?;
        let mut listing = Self { connection, page: String::new(), read: 0, next: None };
        listing.fetch(&format!("/{BUCKET}?list-type=2")).await?;
        Ok(listing)
    }

    /// The next object.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.parse() {
                return Ok(Some(entry));
            }
            let Some(token) = self.next.take() else { return Ok(None) };
            self.fetch(&format!("/{BUCKET}?list-type=2&continuation-token={token}")).await?;
        }
    }

    async fn fetch(&mut self, path: &str) -> Result<()> {
        let response = self.connection.send(Method::GET, path, None, Empty::new()).await?;
        self.page = text(response).await?;
        self.read = 0;
        self.next = between(&self.page, "<NextContinuationToken>", "</NextContinuationToken>").map(str::to_owned);
        Ok(())
    }

    fn parse(&mut self) -> Option<Entry> {
        let key = self.text_behind("<Key>")?.to_owned();
        let size = self.text_behind("<Size>")?.parse().ok()?;
        Some(Entry { key, size })
    }

    /// The text of the next element that opens so. Everything before it was read then.
    fn text_behind(&mut self, open: &str) -> Option<&str> {
        let start = self.read + self.page[self.read..].find(open)? + open.len();
        let end = start + self.page[start..].find('<')?;
        self.read = end;
        Some(&self.page[start..end])
    }
}
