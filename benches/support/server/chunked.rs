//! Takes `aws-chunked` bodies apart as they come: what is between the chunks goes, what is in them stays, nothing is copied.
//!
//! `<length in hexadecimal>[;extension] CR LF <bytes> CR LF`, again and again; a chunk of length 0 is the last, behind it comes the trailer.
//! Signatures of chunks are believed, as all signatures are.

use bytes::{Buf, Bytes};
use hyper::header::HeaderMap;

use super::reply::Refusal;

/// No line between chunks is longer than this, nor is a trailer.
const LONGEST_LINE: usize = 4096;

/// Where in the body we are.
#[derive(Debug)]
enum Place {
    /// In the line that says how long the next chunk is.
    Line,
    /// In a chunk with so many bytes left.
    Chunk(u64),
    /// Behind the last chunk.
    Trailer,
}

/// The state of one body.
#[derive(Debug)]
pub(super) struct Chunks {
    place: Place,
    /// What is known of the line or the trailer.
    text: Vec<u8>,
}

impl Chunks {
    /// For a body that is chunked; none for any other.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get("x-amz-content-sha256")?;
        kind.as_bytes().starts_with(b"STREAMING-").then_some(Self { place: Place::Line, text: Vec::new() })
    }

    /// Gives the content of `data` to `take`.
    pub(super) fn feed(&mut self, mut data: Bytes, mut take: impl FnMut(&[u8])) -> Result<(), Refusal> {
        while !data.is_empty() {
            match &mut self.place {
                Place::Chunk(left) => {
                    let length = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    take(&data[..length]);
                    data.advance(length);
                    *left -= length as u64;
                    if *left == 0 {
                        self.place = Place::Line;
                    }
                }
                Place::Line => self.read_line(&mut data)?,
                Place::Trailer => {
                    self.text.extend_from_slice(&data);
                    data.clear();
                }
            }
            if self.text.len() > LONGEST_LINE {
                return Err(Refusal::IncompleteBody);
            }
        }
        Ok(())
    }

    fn read_line(&mut self, data: &mut Bytes) -> Result<(), Refusal> {
        let Some(end) = data.iter().take(LONGEST_LINE).position(|&byte| byte == b'\n') else {
            self.text.extend_from_slice(data);
            data.clear();
            return Ok(());
        };
        self.text.extend_from_slice(&data[..end]);
        data.advance(end + 1);
        let line = std::mem::take(&mut self.text);
        let line = line.trim_ascii();
        // The end of the chunk before leaves an empty line.
        if line.is_empty() {
            return Ok(());
        }
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits).map_err(|_| Refusal::IncompleteBody)?;
        let length = u64::from_str_radix(digits, 16).map_err(|_| Refusal::IncompleteBody)?;
        self.place = if length == 0 { Place::Trailer } else { Place::Chunk(length) };
        Ok(())
    }

    /// The trailer of a body that came to its end.
    pub(super) fn finish(self) -> Result<Vec<u8>, Refusal> {
        match self.place {
            Place::Trailer => Ok(self.text),
            Place::Line | Place::Chunk(_) => Err(Refusal::IncompleteBody),
        }
    }
}
