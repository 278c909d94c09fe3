//! What the process was started with: environment variables and the home directory, as credentials are looked for in them.
//!
//! It is handed in, so that a test needs neither.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where a process finds itself.
#[derive(Clone)]
pub(in crate::store) struct Surroundings {
    variables: Arc<Variables>,
    home: Option<PathBuf>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Surroundings")
    }
}

impl Surroundings {
    /// This process's own.
    pub(in crate::store) fn of_process() -> Self {
        Self { variables: Arc::new(|name| std::env::var(name).ok()), home: std::env::home_dir() }
    }

    /// A variable; none if it is empty.
    pub(in crate::store) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|text| !text.is_empty())
    }

    /// A variable that is not to be shown.
    pub(in crate::store) fn secret(&self, name: &str) -> Option<Secret> {
        self.variable(name).map(Secret::new)
    }

    /// Whether a variable says `true`.
    pub(in crate::store) fn says(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// Two variables that make sense together only.
    pub(in crate::store) fn pair(&self, id: &str, secret: &str) -> Result<Option<(Secret, Secret)>> {
        match (self.secret(id), self.secret(secret)) {
            (Some(id), Some(secret)) => Ok(Some((id, secret))),
            (None, None) => Ok(None),
            (found, _) => {
                let (set, unset) = if found.is_some() { (id, secret) } else { (secret, id) };
                Err(Error::new(ErrorKind::Invalid, "find credentials")
                    .because(format!("`{set}` is set in the environment and `{unset}` is not"))
                    .hint("set both or none"))
            }
        }
    }

    /// A file in the home directory; none if there is no home.
    pub(in crate::store) fn at_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }
}

/// A small file of text; none if there is none. What is in it never gets into an error.
pub(in crate::store) async fn read(path: &Path) -> Result<Option<Secret>> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(Some(Secret::new(text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Error::new(ErrorKind::Invalid, format!("read credentials in `{}`", path.display())).from_source(error))
        }
    }
}

#[cfg(test)]
impl Surroundings {
    /// These variables and this home, and nothing of the process's.
    pub(in crate::store) fn given(variables: &[(&str, &str)], home: Option<&Path>) -> Self {
        let variables: std::collections::BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let variables = move |name: &str| variables.get(name).cloned();
        Self { variables: Arc::new(variables), home: home.map(Path::to_owned) }
    }
}
