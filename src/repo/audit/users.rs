//! Which snapshots use something: runs of numbers, because snapshots that follow each other share most of their files.

use serde::{Deserialize, Serialize};

/// Numbers of snapshots, in order, as runs of first and last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Users(Vec<(u32, u32)>);

impl Users {
    /// One snapshot.
    pub(super) fn one(number: u32) -> Self {
        Self(vec![(number, number)])
    }

    /// Adds a snapshot; numbers come in order, and may come again.
    pub(super) fn push(&mut self, number: u32) {
        match self.0.last_mut() {
            Some((_, last)) if number <= *last => {}
            Some((_, last)) if number == *last + 1 => *last = number,
            _ => self.0.push((number, number)),
        }
    }

    /// The numbers, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Whether that snapshot is among them.
    pub(super) fn has(&self, number: u32) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after > 0 && self.0[after - 1].1 >= number
    }

    /// Whether nobody uses it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u32> for Users {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut users = Self::default();
        numbers.into_iter().for_each(|number| users.push(number));
        users
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_order_and_once() {
        let users: Users = [1, 2, 2, 3, 7, 9, 10].into_iter().collect();
        assert_eq!(users.iter().collect::<Vec<_>>(), [1, 2, 3, 7, 9, 10]);
        assert_eq!(users.0, [(1, 3), (7, 7), (9, 10)]);
        assert_eq!((0..12).filter(|number| users.has(*number)).collect::<Vec<_>>(), [1, 2, 3, 7, 9, 10]);
    }
}
