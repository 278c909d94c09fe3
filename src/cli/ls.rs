//! `snapferry ls`.

use futures::TryStreamExt as _;
use serde::Serialize;

use super::exit::{self, Outcome};
use super::output::{Bytes, Count};
use super::{Session, open};
use crate::error::{Error, ErrorKind, Result};
use crate::store::wrap::Retry;
use crate::store::{Access, ListOptions, ObjectMeta, ObjectStore as _};
use crate::transfer::Totals;

/// List the objects of a place: length, modification time, key, in the order of the keys.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::TABLE)]
pub(super) struct Args {
    /// What to list: `s3://bucket/prefix`, `file:///absolute/path`, or the name of a configured store, with an optional path behind it
    location: String,
}

#[derive(Serialize)]
struct Document {
    command: &'static str,
    outcome: &'static str,
    location: String,
    objects: Vec<Object>,
    totals: Totals,
}

#[derive(Serialize)]
struct Object {
    key: String,
    bytes: u64,
    modified: String,
}

impl Args {
    pub(super) async fn run(&self, session: &Session) -> Result<Outcome> {
        let end = open(session, &session.config.place(&self.location)?, Access::Read).await?;
        let store = Retry::new(end.store, session.config.transfer().retry, session.output.clone());
        let mut pages = store.list(ListOptions::default());
        let (mut totals, mut objects) = (Totals::default(), Vec::new());
        loop {
            let page = tokio::select! {
                biased;
                () = session.cancel.cancelled() => return Err(Error::new(ErrorKind::Cancelled, "list").because("a signal asked to stop")),
                page = pages.try_next() => page?,
            };
            let Some(page) = page else { break };
            for meta in page {
                totals.add(meta.size);
                if session.output.is_json() {
                    objects.push(object(&meta));
                } else {
                    session.output.line(&line(&meta))?;
                }
            }
        }
        if totals.objects == 0 {
            return Err(Error::new(ErrorKind::NotFound, format!("list `{}`", end.location))
                .because("there is no object below it")
                .hint("check the bucket and the prefix, letter by letter"));
        }
        session.output.note(&format!("{}, {}", Count(totals.objects, "object"), Bytes(totals.bytes)));
        if session.output.is_json() {
            let location = end.location.to_string();
            session.output.document(&Document {
                command: "ls",
                outcome: Outcome::Done.word(),
                location,
                objects,
                totals,
            })?;
        }
        Ok(Outcome::Done)
    }
}

fn object(meta: &ObjectMeta) -> Object {
    Object { key: meta.key.as_str().to_owned(), bytes: meta.size, modified: meta.modified.to_string() }
}

fn line(meta: &ObjectMeta) -> String {
    let second = jiff::Timestamp::from_second(meta.modified.as_second()).unwrap_or(meta.modified);
    format!("{:>15}  {second}  {}", meta.size, meta.key)
}
