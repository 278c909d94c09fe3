//! Keys that have broken other tools: the ways a name can be misread, lost or led astray.
//!
//! 1. Each key is written, read, listed and deleted by itself, so that one that the store cannot hold is named and the rest goes on.
//! 2. All that the store can hold are then there together, and the listing must have exactly them, in order.

use bytes::Bytes;

use super::{Found, Held, Suite, Unable, must};
use crate::error::{Error, ErrorKind, Result};

/// Keys to try as they are.
pub const HOSTILE: [&str; 34] = [
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
    "u\u{308}nnormal",
    "quote'quote\"back\\slash",
    "<xml>&amp;</xml>",
    "colon:semi;comma,star*pipe|tilde~",
    "%sf.tmp/not-ours",
    "%sf.",
    "a-key",
    "a-key/below",
    "case/Case",
    "[brackets]{braces}^`",
    "tab\there",
    "newline\nhere",
    "return\rhere",
    "bell\u{7}here",
    "escape\u{1b}[31m",
    "one\u{1}here",
    "delete\u{7f}here",
    "next-line\u{85}here",
    "no-character\u{ffff}",
    "null\u{0}here",
];

/// A name that has to be there at the same time for the key to be hard.
fn beside(name: &str) -> Option<&'static str> {
    match name {
        "a-key/below" => Some("a-key"),
        "case/Case" => Some("case/case"),
        _ => None,
    }
}

/// Names of this many bytes, counted from the beginning of the bucket, are the longest that count as safe: S3 and OSS end at 1,024
/// and 1,023 (S3 user guide, "Naming objects"; OSS documentation, "Object naming").
const LONGEST: usize = 1023;

/// Where the keys are that are there together.
const TOGETHER: &str = "keys/together/";

/// A key to try.
struct Hostile {
    label: String,
    name: String,
}

impl Suite {
    fn hostile(&self) -> Vec<Hostile> {
        let above = self.store.capability().copy.map_or(0, |copy| copy.location.full_key("").len());
        let taken = above + self.prefix.len() + TOGETHER.len();
        let room = LONGEST.saturating_sub(taken).max(1);
        let long = [
            ("1,023 bytes in one segment", "x".repeat(room)),
            (
                "1,023 bytes in many segments",
                format!("{}/", "x".repeat(49)).repeat(room / 50 + 1)[..room - 1].to_owned() + "y",
            ),
            // Three bytes each here, nine in a URL.
            ("1,023 bytes of Chinese", "中".repeat(room / 3) + &"x".repeat(room % 3)),
        ];
        let long = long.map(|(label, name)| Hostile { label: label.to_owned(), name });
        HOSTILE.iter().map(|name| Hostile { label: (*name).to_owned(), name: (*name).to_owned() }).chain(long).collect()
    }

    pub(super) async fn keys(&self) -> Result<Found> {
        // A store that takes nothing at all, or nothing just now, is no matter of keys.
        self.put("keys/usual", "usual").await?;
        let (mut able, mut unable) = (Vec::new(), Vec::new());
        for (number, hostile) in self.hostile().into_iter().enumerate() {
            // A place for each: what a store makes of one key is not held against the next.
            match self.alone(&format!("keys/{number}/"), &hostile.name).await {
                Ok(()) => able.push(hostile.name),
                Err(error) if stops(&error) => return Err(error),
                Err(error) => unable.push(Unable { key: hostile.label, why: why(&error) }),
            }
        }
        self.together(&able).await?;
        Ok(Found { held: Held::Kept, unable })
    }

    async fn alone(&self, place: &str, name: &str) -> Result<()> {
        let names: Vec<&str> = [beside(name), Some(name)].into_iter().flatten().collect();
        let tried = self.there_and_back(place, &names).await;
        let mut deleted = Ok(());
        for name in names {
            let key = self.key(&format!("{place}{name}"));
            deleted = deleted.and(self.repeat(|| self.store.delete(&key)).await);
        }
        tried?;
        deleted?;
        let left = self.names(place, None).await?;
        must(left.is_empty(), || format!("after its deletion it is still listed: {}", shown(&left)))
    }

    async fn there_and_back(&self, place: &str, names: &[&str]) -> Result<()> {
        let mut expected: Vec<String> = names.iter().map(|name| format!("{place}{name}")).collect();
        for name in &expected {
            self.put(name, Bytes::from(name.clone())).await?;
        }
        for name in &expected {
            let content = self.read(name).await?;
            must(content == name.as_bytes(), || "it has the content of another key".to_owned())?;
            let size = self.look(name).await?.meta.size;
            must(size == name.len() as u64, || format!("it is said to have {size} bytes and has {}", name.len()))?;
        }
        expected.sort_unstable();
        let listed = self.names(place, None).await?;
        must(listed == expected, || format!("it is listed as {}", shown(&listed)))
    }

    async fn together(&self, able: &[String]) -> Result<()> {
        let mut expected: Vec<String> = able.iter().map(|name| format!("{TOGETHER}{name}")).collect();
        for name in &expected {
            self.put(name, Bytes::from(name.clone())).await?;
        }
        for name in &expected {
            let content = self.read(name).await?;
            must(content == name.as_bytes(), || format!("{name:?} has the content of another key: {content:?}"))?;
        }
        expected.sort_unstable();
        let listed = self.names(TOGETHER, None).await?;
        must(listed == expected, || format!("listed {} where {} were written", shown(&listed), shown(&expected)))?;
        // Each of them is a good place to begin behind.
        for (place, name) in expected.iter().enumerate() {
            let rest = self.names(TOGETHER, Some(name)).await?;
            must(rest == expected[place + 1..], || format!("behind {name:?} comes {}", shown(&rest)))?;
        }
        Ok(())
    }
}

/// Whether a failure has nothing to do with the key.
fn stops(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Denied | ErrorKind::Timeout | ErrorKind::Throttled) || error.never_sent()
}

fn why(error: &Error) -> String {
    error.cause().unwrap_or_else(|| error.kind().word().to_owned())
}

fn shown(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(4).map(|name| format!("{name:.60?}")).collect();
    match names.len() {
        0 => "nothing".to_owned(),
        count @ 1..=4 => format!("{count}: {}", first.join(", ")),
        count => format!("{count}: {}, …", first.join(", ")),
    }
}
