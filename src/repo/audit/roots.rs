//! The roots of a repository as an audit sees them: the newest that can be read, and what is wrong with those above it and beside it.

use futures::TryStreamExt as _;

use super::super::base::Base;
use super::super::data::RootIndex;
use super::super::generation::Generation;
use super::super::layout::{BlobKind, kind};
use super::finding::Finding;
use super::kind::FindingKind;
use crate::error::{Error, ErrorKind, Result};
use crate::store::ListOptions;

/// Root objects are read whole; see `pin`.
const LARGEST_ROOT: u64 = 512 * 1024 * 1024;

/// A root may be superseded and removed between the listing and the reading (Elasticsearch 8 does so at once).
const LOOKS: u32 = 5;

/// What lies at the root of a place.
#[derive(Debug)]
pub struct Roots {
    /// The newest root that can be read; none if no root can.
    pub newest: Option<(Generation, RootIndex)>,
    /// Higher ones that cannot, with the reason.
    unreadable: Vec<(Generation, String)>,
    latest: Option<Latest>,
}

/// What `index.latest` says.
#[derive(Debug)]
enum Latest {
    Points(Generation),
    Nonsense(String),
}

impl Roots {
    /// Looks at the root of a place; none if there is no repository.
    ///
    /// [`ErrorKind::Unsupported`] for a format that is older or newer than those known here.
    pub async fn read(base: &Base) -> Result<Option<Self>> {
        for _ in 0..LOOKS {
            let Some(listed) = Listed::new(base).await? else { return Ok(None) };
            if let Some(roots) = listed.read(base).await? {
                return Ok(Some(roots));
            }
        }
        Err(Error::new(ErrorKind::SourceMoved, "read the newest root")
            .because(format!("{LOOKS} times it was gone between being listed and being read")))
    }

    /// What is wrong with the roots. Reads the root that `index.latest` names, if it is another.
    pub(super) async fn findings(&self, base: &Base) -> Result<Vec<Finding>> {
        let mut findings: Vec<Finding> = self
            .unreadable
            .iter()
            .map(|(generation, cause)| {
                let key = base.key(generation.key().as_str());
                Finding::new(FindingKind::UnreadableRoot, format!("it is the highest, and {cause}")).at(&key)
            })
            .collect();
        findings.extend(self.wrong_latest(base));
        findings.extend(self.stale(base).await?);
        Ok(findings)
    }

    /// The key of the root that clusters start from, if it cannot be read.
    pub(super) fn hindering(&self, base: &Base) -> Option<String> {
        let (generation, _) = self.unreadable.first()?;
        Some(base.key(generation.key().as_str()).as_str().to_owned())
    }

    fn wrong_latest(&self, base: &Base) -> Option<Finding> {
        let message = match (self.latest.as_ref()?, self.newest.as_ref()) {
            (Latest::Points(to), Some((newest, _))) if to == newest => return None,
            (Latest::Points(to), Some((newest, _))) => {
                format!("it points to generation {to}, and the newest root is generation {newest}")
            }
            (Latest::Points(to), None) => format!("it points to generation {to}, and no root can be read"),
            (Latest::Nonsense(cause), _) => cause.clone(),
        };
        Some(Finding::new(FindingKind::WrongLatest, message).at(&base.key("index.latest")))
    }

    /// A root above the one that `index.latest` names, which lacks snapshots of that one: a deletion that broke off, or an old root
    /// under a new name.
    async fn stale(&self, base: &Base) -> Result<Option<Finding>> {
        let (Some(Latest::Points(to)), Some((newest, root))) = (&self.latest, &self.newest) else { return Ok(None) };
        if to >= newest {
            return Ok(None);
        }
        let name = to.key();
        let Some(bytes) = base.read_if_there(name.as_str(), LARGEST_ROOT).await? else { return Ok(None) };
        let Ok(other) = RootIndex::parse(name.as_str(), &bytes) else { return Ok(None) };
        let Some(lacks) = root.lacks(&other) else { return Ok(None) };
        let message = format!(
            "it does not list the snapshot `{}`, which generation {to} lists, the one that `index.latest` points to",
            lacks.name
        );
        Ok(Some(Finding::new(FindingKind::StaleRoot, message).at(&base.key(newest.key().as_str()))))
    }
}

/// The generations at the root, highest first.
struct Listed {
    generations: Vec<Generation>,
    latest: bool,
}

impl Listed {
    async fn new(base: &Base) -> Result<Option<Self>> {
        let mut listed = Self { generations: Vec::new(), latest: false };
        let mut unnumbered = false;
        let mut pages = base.store.list(ListOptions { prefix: base.key("index").as_str().to_owned(), after: None });
        while let Some(page) = pages.try_next().await? {
            for meta in page {
                let name = base.name(&meta.key).unwrap_or_default();
                match kind(name) {
                    BlobKind::RootIndex(generation) => listed.generations.push(generation),
                    BlobKind::Latest => listed.latest = true,
                    _ => unnumbered |= name == "index",
                }
            }
        }
        listed.generations.sort_unstable_by(|one, other| other.cmp(one));
        if listed.generations.is_empty() && unnumbered {
            return Err(Error::new(ErrorKind::Unsupported, "verify this place as a repository")
                .because("its root is `index` without a number: the format of Elasticsearch 2 and older, or no repository")
                .hint("restore it into Elasticsearch 5 and snapshot from there, or compare it with a copy: `verify SOURCE COPY`"));
        }
        Ok((!listed.generations.is_empty()).then_some(listed))
    }

    /// Reads from the highest down to the first that is a root; none if it went away meanwhile.
    async fn read(&self, base: &Base) -> Result<Option<Roots>> {
        let latest = if self.latest { latest(base).await? } else { None };
        let mut unreadable = Vec::new();
        for (place, generation) in self.generations.iter().enumerate() {
            let name = generation.key();
            let Some(bytes) = base.read_if_there(name.as_str(), LARGEST_ROOT).await? else { return Ok(None) };
            let last = place + 1 == self.generations.len();
            match RootIndex::parse(name.as_str(), &bytes) {
                Ok(root) => return Ok(Some(Roots { newest: Some((*generation, root)), unreadable, latest })),
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    let named = matches!(&latest, Some(Latest::Points(to)) if to == generation);
                    if named || last {
                        return Err(error);
                    }
                    unreadable.push((*generation, error.cause().unwrap_or_default()));
                }
                Err(error) => unreadable.push((*generation, error.cause().unwrap_or_default())),
            }
        }
        Ok(Some(Roots { newest: None, unreadable, latest }))
    }
}

async fn latest(base: &Base) -> Result<Option<Latest>> {
    let bytes = match base.read_if_there("index.latest", 1024).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::Invalid => {
            return Ok(Some(Latest::Nonsense("it is longer than the eight bytes it should have".to_owned())));
        }
        Err(error) => return Err(error),
    };
    Ok(Some(match <[u8; 8]>::try_from(bytes.as_ref()) {
        Ok(number) => Latest::Points(Generation::new(u64::from_be_bytes(number))),
        Err(_) => Latest::Nonsense(format!("it has {} bytes and should have eight", bytes.len())),
    }))
}
