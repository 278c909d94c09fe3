//! A file that holds one secret and nothing else, named on the command line.

use std::io::Read as _;
use std::path::Path;

use super::LARGEST_SECRET;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// The secret on the first and only line of a file, without the line break at its end.
///
/// Fails with [`ErrorKind::Invalid`] for a file that cannot be read, is empty or has more lines.
pub fn secret_file(path: &Path) -> Result<Secret> {
    let doing = || format!("read the secret in `{}`", path.display());
    let cannot = |error: std::io::Error| Error::new(ErrorKind::Invalid, doing()).from_source(error);
    let mut text = zeroize::Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(LARGEST_SECRET).read_to_string(&mut text).map_err(cannot)?;
    let bare = text.trim_end_matches(['\n', '\r']);
    if bare.is_empty() || bare.contains(['\n', '\0']) {
        return Err(
            Error::new(ErrorKind::Invalid, doing()).because("it must hold the secret on one line and nothing else")
        );
    }
    Ok(Secret::new(bare))
}
