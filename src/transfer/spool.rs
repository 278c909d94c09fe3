//! A list that may grow as long as it likes: the first entries in memory, the others in a temporary file.
//!
//! Metadata is found while data is still being copied and must wait; there may be a hundred million entries of it. The file
//! has no name (it is gone with the process, however that ends) and holds keys, never contents or secrets.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, Write as _};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// Entries kept in memory: about 5 MB of transfers.
const IN_MEMORY: usize = 20_000;

/// A list in the order of its pushes.
#[derive(Debug)]
pub struct Spool<T> {
    memory: Vec<T>,
    file: Option<BufWriter<File>>,
    length: u64,
    limit: usize,
}

impl<T> Default for Spool<T> {
    fn default() -> Self {
        Self { memory: Vec::new(), file: None, length: 0, limit: IN_MEMORY }
    }
}

impl<T: Serialize + DeserializeOwned> Spool<T> {
    /// Appends an entry. Buffered writing of some hundred bytes: short enough to do on an async thread.
    pub fn push(&mut self, entry: T) -> Result<()> {
        self.length += 1;
        if self.memory.len() < self.limit {
            self.memory.push(entry);
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(BufWriter::new(tempfile::tempfile().map_err(failed)?));
        }
        let file = self.file.as_mut().expect("it was just made");
        serde_json::to_writer(&mut *file, &entry).map_err(|error| failed(error.into()))?;
        file.write_all(b"\n").map_err(failed)
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
    pub fn into_entries(self) -> Result<Entries<T>> {
        let file = match self.file {
            None => None,
            Some(file) => {
                let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
                file.rewind().map_err(failed)?;
                Some(BufReader::new(file))
            }
        };
        Ok(Entries { memory: self.memory.into_iter(), file, entry: PhantomData })
    }
}

/// The entries of a [`Spool`], read back.
#[derive(Debug)]
pub struct Entries<T> {
    memory: std::vec::IntoIter<T>,
    file: Option<BufReader<File>>,
    entry: PhantomData<T>,
}

impl<T: DeserializeOwned> Iterator for Entries<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.memory.next() {
            return Some(Ok(entry));
        }
        let mut line = String::new();
        match self.file.as_mut()?.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).map_err(|error| failed(error.into()))),
            Err(error) => Some(Err(failed(error))),
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "keep the plan in a temporary file")
        .from_source(error)
        .hint("make room in the temporary directory, or name another one in `TMPDIR`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_in_order_from_memory_and_file() {
        let mut spool = Spool { limit: 3, ..Spool::default() };
        for number in 0..10u32 {
            spool.push(number).expect("room");
        }
        assert_eq!(spool.len(), 10);
        let back: Result<Vec<u32>> = spool.into_entries().expect("readable").collect();
        assert_eq!(back.expect("readable"), (0..10).collect::<Vec<_>>());
    }
}
