//! A finding of the preflight: what speaks against a restore, or should be known before it.

use serde::Serialize;

use crate::error::{Error, ErrorKind};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The restore is not begun.
    Error,
    /// It is shown.
    Warning,
}

/// One finding. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub level: Weight,
    /// What it is about: an index, a node, the cluster.
    pub subject: String,
    /// What is the matter.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Settings that are left behind because of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_settings: Vec<String>,
    /// The kind of error that it is.
    #[serde(skip)]
    pub kind: ErrorKind,
}

impl Finding {
    fn new(level: Weight, kind: ErrorKind, subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { level, subject: subject.into(), what: what.into(), action: None, ignore_settings: Vec::new(), kind }
    }

    /// Something that stops the restore.
    pub(super) fn error(kind: ErrorKind, subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Weight::Error, kind, subject, what)
    }

    /// Something to be known.
    pub(super) fn warning(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Weight::Warning, ErrorKind::Precondition, subject, what)
    }

    /// Something that could not be found out.
    pub(super) fn unknown(subject: impl Into<String>, error: &Error) -> Self {
        Self::warning(subject, format!("not checked: {error}"))
    }

    /// An error that was met on the way.
    pub(super) fn met(subject: impl Into<String>, error: &Error) -> Self {
        let finding = Self::error(error.kind(), subject, error.to_string());
        match error.advice() {
            Some(hint) => finding.doing(hint),
            None => finding,
        }
    }

    /// What to do.
    pub(super) fn doing(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// For people, in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let action = self.action.as_ref().map(|action| format!(" ({action})")).unwrap_or_default();
        format!("{}: {}{action}", self.subject, self.what)
    }
}

/// The error that findings make, if one of them is one: all of them in one, each with its subject.
pub(super) fn verdict(findings: &[Finding], doing: impl Into<String>) -> Option<Error> {
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.level == Weight::Error).collect();
    let first = errors.first()?;
    let cause = match errors.as_slice() {
        [one] => one.what.clone(),
        many => {
            let told: Vec<String> = many
                .iter()
                .enumerate()
                .map(|(at, one)| format!("({}) {}: {}", at + 1, one.subject, one.what))
                .collect();
            format!("{} findings stop it: {}", many.len(), told.join("; "))
        }
    };
    let error = Error::new(first.kind, doing.into()).because(cause);
    Some(match &first.action {
        Some(action) => error.hint(action.clone()),
        None => error,
    })
}
