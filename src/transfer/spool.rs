//! A queue that may grow as long as it likes: the first entries in memory, the others in temporary files.
//!
//! Planning runs ahead of copying, and metadata waits until all data is there; there may be a hundred million entries of either.
//!
//! 1. Entries are pushed to memory while memory has room and nothing waits in a file, else to the back file.
//! 2. They are popped from memory, then from the front file; when that is used up, the back file becomes the front file.
//!
//! The files have no name (they are gone with the process, however that ends) and hold keys, never contents or secrets.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, Write as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// Entries kept in memory: about 5 MB of transfers.
const IN_MEMORY: usize = 20_000;

/// A queue in the order of its pushes.
#[derive(Debug)]
pub struct Spool<T> {
    memory: VecDeque<T>,
    front: Option<BufReader<File>>,
    back: Option<BufWriter<File>>,
    length: u64,
    limit: usize,
    /// What the entries in memory weigh.
    weight: u64,
}

/// Contents kept in memory, in bytes.
const HEAVIEST: u64 = 16 * 1024 * 1024;

impl<T> Default for Spool<T> {
    fn default() -> Self {
        Self { memory: VecDeque::new(), front: None, back: None, length: 0, limit: IN_MEMORY, weight: 0 }
    }
}

impl<T: Serialize + DeserializeOwned> Spool<T> {
    /// Appends an entry. Buffered writing of some hundred bytes: short enough to do on an async thread.
    pub fn push(&mut self, entry: T) -> Result<()> {
        self.push_weighing(entry, 0)
    }

    /// Appends an entry that holds so many bytes of content.
    pub fn push_weighing(&mut self, entry: T, bytes: u64) -> Result<()> {
        self.length += 1;
        // What was taken out of memory is not taken off: a queue that has been heavy goes through its file.
        self.weight += bytes;
        if self.memory.len() < self.limit && self.weight <= HEAVIEST && self.front.is_none() && self.back.is_none() {
            self.memory.push_back(entry);
            return Ok(());
        }
        if self.back.is_none() {
            self.back = Some(BufWriter::new(tempfile::tempfile().map_err(failed)?));
        }
        let back = self.back.as_mut().expect("it was just made");
        serde_json::to_writer(&mut *back, &entry).map_err(|error| failed(error.into()))?;
        back.write_all(b"\n").map_err(failed)
    }

    /// Takes the first entry.
    pub fn pop(&mut self) -> Result<Option<T>> {
        if let Some(entry) = self.memory.pop_front() {
            self.length -= 1;
            return Ok(Some(entry));
        }
        loop {
            if let Some(front) = &mut self.front {
                let mut line = String::new();
                if front.read_line(&mut line).map_err(failed)? > 0 {
                    self.length -= 1;
                    return serde_json::from_str(&line).map(Some).map_err(|error| failed(error.into()));
                }
                self.front = None;
            }
            let Some(back) = self.back.take() else { return Ok(None) };
            let mut file = back.into_inner().map_err(|error| failed(error.into_error()))?;
            file.rewind().map_err(failed)?;
            self.front = Some(BufReader::new(file));
        }
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// All entries, in order.
    pub fn into_entries(mut self) -> impl Iterator<Item = Result<T>> {
        std::iter::from_fn(move || self.pop().transpose())
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "keep the plan in a temporary file")
        .from_source(error)
        .hint("make room in the temporary directory, or name another one in `TMPDIR`")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_come_out_in_the_order_they_went_in(pushes in vec(any::<bool>(), 0..200), limit in 0..6usize) {
            let mut spool = Spool { limit, ..Spool::default() };
            let mut model = VecDeque::new();
            for (number, push) in pushes.into_iter().enumerate() {
                if push {
                    spool.push(number).expect("room");
                    model.push_back(number);
                } else {
                    prop_assert_eq!(spool.pop().expect("readable"), model.pop_front());
                }
                prop_assert_eq!(spool.len(), model.len() as u64);
            }
            let rest: Result<Vec<usize>> = spool.into_entries().collect();
            prop_assert_eq!(rest.expect("readable"), Vec::from(model));
        }
    }
}
