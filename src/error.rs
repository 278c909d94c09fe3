//! The one error type: what was being done, why it failed, and what the reader can do now.
//!
//! It decides whether a failure is worth another try (by kind, never by text). It does not choose exit codes: `cli::exit` does.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure this is. The list is closed; `docs/errors.md` has an entry for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The object, bucket, repository, snapshot or index is not there.
    NotFound,
    /// Something else is there already under that name.
    AlreadyExists,
    /// A condition that the request relied on does not hold, for example that the object is unchanged.
    Precondition,
    /// The credentials are wrong or do not suffice, or the clock is too far off for a signature.
    Denied,
    /// The remote asks for fewer requests.
    Throttled,
    /// The remote cannot be reached, or answers that it cannot serve now.
    Unavailable,
    /// No byte moved, or no answer came, within the time allowed.
    Timeout,
    /// This is not something snapferry, the store or the cluster can do.
    Unsupported,
    /// The request, configuration or argument is wrong.
    Invalid,
    /// What arrived is not what was announced: a length, a checksum, an order, a format.
    Corrupt,
    /// The source's object is not what its own metadata says it is, however often it is read.
    Damaged,
    /// The source changed while it was being copied.
    SourceMoved,
    /// The target holds something that the source does not know.
    Diverged,
    /// A signal ended the run.
    Cancelled,
    /// A mistake of ours.
    Internal,
}

impl ErrorKind {
    /// The word for it in JSON, logs and the failures file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::Precondition => "precondition",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Unsupported => "unsupported",
            Self::Invalid => "invalid",
            Self::Corrupt => "corrupt",
            Self::Damaged => "damaged",
            Self::SourceMoved => "source-moved",
            Self::Diverged => "diverged",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Another try would end the same way.
    Never,
    /// Wait, then try the same again.
    Backoff,
    /// Read the source's root again and make a new plan.
    Replan,
}

/// A failure in three lines: what could not be done, the cause, a hint.
///
/// Texts name the object and the place, literals in backticks, and never hold a secret.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    doing: Cow<'static, str>,
    cause: Option<Cow<'static, str>>,
    hint: Option<Cow<'static, str>>,
    wait: Option<Duration>,
    unreached: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure to do `doing`, which completes the sentence "cannot …".
    pub fn new(kind: ErrorKind, doing: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            doing: doing.into(),
            cause: None,
            hint: None,
            wait: None,
            unreached: false,
            source: None,
        }))
    }

    /// Says why, in the user's words.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cow<'static, str>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Says what the reader can do now.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Keeps the error that this one came from, for the cause line and for debugging.
    #[must_use]
    pub fn from_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The remote said how long to wait before the next try.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.0.wait = Some(wait);
        self
    }

    /// No connection came up: not a byte of the request left this machine.
    #[must_use]
    pub fn unreached(mut self) -> Self {
        self.0.unreached = true;
        self
    }

    /// The same failure seen from one floor up: `doing` replaces the narrower phrase, which becomes part of the cause.
    #[must_use]
    pub fn while_doing(mut self, doing: impl Into<Cow<'static, str>>) -> Self {
        let narrow = std::mem::replace(&mut self.0.doing, doing.into());
        let cause = match self.cause() {
            Some(cause) => format!("cannot {narrow}: {cause}"),
            None => format!("cannot {narrow}"),
        };
        self.0.cause = Some(cause.into());
        self
    }

    /// The same failure with another phrase for what was being done, where the narrower one adds nothing.
    #[must_use]
    pub fn instead(mut self, doing: impl Into<Cow<'static, str>>) -> Self {
        self.0.doing = doing.into();
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What could not be done; completes "cannot …".
    #[must_use]
    pub fn doing(&self) -> &str {
        &self.0.doing
    }

    /// Why, in one line, if more is known than the kind.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match (&self.0.cause, &self.0.source) {
            (Some(cause), _) => Some(cause.to_string()),
            (None, Some(source)) => Some(chain(source.as_ref())),
            (None, None) => None,
        }
    }

    /// What the reader can do now.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// How long the remote asked us to wait.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.0.wait
    }

    /// Whether nothing of the request left this machine.
    #[must_use]
    pub fn never_sent(&self) -> bool {
        self.0.unreached
    }

    /// Whether and how to try again; decided by the kind alone.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self.0.kind {
            // A corrupt body is what a bad link delivers: the next try reads it anew.
            ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Corrupt => Retry::Backoff,
            ErrorKind::SourceMoved => Retry::Replan,
            _ => Retry::Never,
        }
    }

    /// A copy for a second reader of the same failure: the source is kept as text.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let inner = &self.0;
        Self(Box::new(Inner {
            kind: inner.kind,
            doing: inner.doing.clone(),
            cause: self.cause().map(Into::into),
            hint: inner.hint.clone(),
            wait: inner.wait,
            unreached: inner.unreached,
            source: None,
        }))
    }
}

/// The texts of an error and all its sources, one line, without the repetitions that wrappers make.
#[must_use]
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        let part = inner.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = inner.source();
    }
    text.replace(['\n', '\r'], " ")
}

impl fmt::Display for Error {
    /// One line: `cannot <doing>: <cause>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.0.doing)?;
        match self.cause() {
            Some(cause) => write!(f, ": {cause}"),
            None => write!(f, ": {}", self.0.kind.word()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_display_is_one_line_with_its_cause() {
        let error = Error::new(ErrorKind::Denied, "list `s3://b/p`").because("the key is unknown").hint("look at it");
        assert_eq!(error.to_string(), "cannot list `s3://b/p`: the key is unknown");
        assert_eq!(error.advice(), Some("look at it"));
    }

    #[test]
    fn context_from_above_keeps_the_narrow_phrase_as_cause() {
        let error = Error::new(ErrorKind::Timeout, "get `a`").because("no byte came").while_doing("copy `a`");
        assert_eq!(error.to_string(), "cannot copy `a`: cannot get `a`: no byte came");
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }

    #[test]
    fn only_transient_kinds_are_tried_again() {
        assert_eq!(Error::new(ErrorKind::Denied, "x").retry(), Retry::Never);
        assert_eq!(Error::new(ErrorKind::Throttled, "x").retry(), Retry::Backoff);
        assert_eq!(Error::new(ErrorKind::SourceMoved, "x").retry(), Retry::Replan);
    }
}
