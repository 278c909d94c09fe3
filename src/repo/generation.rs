//! The generation of a repository: the number N of a root `index-<N>`.

use std::fmt;

use bytes::Bytes;

use crate::store::Key;

/// The number N of a root `index-<N>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// The generation of that number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Reads a number as Elasticsearch writes it: decimal, no sign, no leading zero, at most that of a Java `long`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
        let number = text.parse::<u64>().ok().filter(|number| plain && i64::try_from(*number).is_ok())?;
        Some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The generation behind it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The key of its root.
    #[must_use]
    pub fn key(self) -> Key {
        Key::new(format!("index-{}", self.0)).expect("it is not empty")
    }

    /// The content of an `index.latest` that points to it: eight bytes, big-endian.
    #[must_use]
    pub fn latest(self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_be_bytes())
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_as_elasticsearch_writes_them_are_generations() {
        assert_eq!(Generation::parse("10"), Some(Generation::new(10)));
        assert_eq!(Generation::parse("0"), Some(Generation::new(0)));
        for text in ["", "01", "+1", "-1", "1a", "9223372036854775808", "99999999999999999999"] {
            assert_eq!(Generation::parse(text), None, "{text}");
        }
    }

    #[test]
    fn latest_is_eight_bytes_big_endian() {
        assert_eq!(Generation::new(258).latest().as_ref(), [0, 0, 0, 0, 0, 0, 1, 2]);
    }
}
