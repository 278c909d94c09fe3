//! Between which two stores is copied. The servers are the same for all pairs; what differs is what is spoken to them.

use std::str::FromStr;

use super::{Failure, Result};

/// A kind of store, as the product knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    S3,
    Oss,
    Qingstor,
}

impl Store {
    /// The scheme of its locations.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Oss => "oss",
            Self::Qingstor => "qingstor",
        }
    }

    /// A region that it could have. QingStor calls it a zone.
    pub(crate) fn region(self) -> &'static str {
        match self {
            Self::S3 => "us-east-1",
            Self::Oss => "cn-hangzhou",
            Self::Qingstor => "pek3b",
        }
    }
}

/// Source and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) from: Store,
    pub(crate) to: Store,
}

impl Pair {
    /// The pairs that can be chosen, the usual one first.
    pub(crate) const ALL: [Self; 3] = [
        Self { from: Store::S3, to: Store::S3 },
        Self { from: Store::S3, to: Store::Oss },
        Self { from: Store::Oss, to: Store::Qingstor },
    ];
}

impl std::fmt::Display for Pair {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.from.scheme(), self.to.scheme())
    }
}

impl FromStr for Pair {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        let names = || Self::ALL.map(|pair| pair.to_string()).join(", ");
        let found = Self::ALL.into_iter().find(|pair| pair.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is none of {}", names()).into())
    }
}
