//! The two ends of a copy, and that they must be two.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::store::{Location, Meter, ObjectStore, Scheme};

/// One end of a copy: a location with its open store.
#[derive(Debug, Clone)]
pub struct End {
    /// The location, as messages and results show it.
    pub location: Location,
    /// The server it is at, if not the scheme's own.
    pub endpoint: Option<String>,
    /// The store, without retries.
    pub store: Arc<dyn ObjectStore>,
    /// The requests sent to it.
    pub meter: Arc<Meter>,
}

/// Refuses places that are one, or one inside the other, each given with its endpoint. Looks at names only, except that
/// directories are compared by where they really are.
pub fn must_be_apart(from: (&Location, Option<&str>), to: (&Location, Option<&str>)) -> Result<()> {
    let place = |location: &Location| {
        let real = (location.scheme() == Scheme::File).then(|| real_directory(&location.directory()));
        let named = real.and_then(|path| Location::parse(&format!("file://{}", path.display())).ok());
        named.unwrap_or_else(|| location.clone())
    };
    let (source, target) = (place(from.0), place(to.0));
    if from.1 != to.1 || !(source.is_inside(&target) || target.is_inside(&source)) {
        return Ok(());
    }
    let relation = if source == target { "they are the same place" } else { "one lies inside the other" };
    Err(Error::new(ErrorKind::Invalid, format!("copy `{}` to `{}`", from.0, to.0))
        .because(relation)
        .hint("name a target outside the source"))
}

/// Where a path really is: links resolved in the part of it that exists.
fn real_directory(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}
