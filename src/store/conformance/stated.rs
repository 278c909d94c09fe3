//! Checksums that a store states: each must be that of the content (promise 15).

use super::super::{GetOptions, PutOptions};
use super::{Found, KEPT, Suite, cannot, content};
use crate::error::Result;

/// Nothing, one byte, what is sent in one piece, and what is sent as it comes.
const SIZES: [usize; 4] = [0, 1, 1000, 300 * 1024];

const NONE: &str = "it states no checksum";

impl Suite {
    pub(super) async fn checksums(&self) -> Result<Found> {
        let (mut count, mut first) = (0, Ok(()));
        for size in SIZES {
            let (name, bytes) = (format!("sums/{size}"), content(size));
            let put = self.put(&name, bytes.clone()).await?.checksums;
            let head = self.look(&name).await?.checksums;
            let key = self.key(&name);
            let got = self.repeat(|| self.store.get(&key, GetOptions::default())).await?;
            let (get, read) = (got.checksums, got.body.collect(1 << 20).await?);
            for (what, sums) in [("the put", &put), ("the head", &head), ("the get", &get)] {
                count += sums.len();
                first = first.and(self.compare(what, sums, &bytes));
            }
            super::must(read == bytes, || format!("{size} bytes were written and others were read"))?;
        }
        first?;
        Ok(if count == 0 { cannot(NONE) } else { KEPT })
    }

    pub(super) async fn part_checksums(&self) -> Result<Found> {
        let pieces = self.begin("sums/parts", &PutOptions::default()).await?;
        let (mut done, mut count) = (Vec::new(), 0);
        for spec in pieces.specs.clone() {
            let bytes = pieces.of(spec);
            let part = self.part(&pieces, spec, bytes.clone()).await?;
            count += part.checksums.len();
            self.compare("a part", &part.checksums, &bytes)?;
            done.push(part);
        }
        let completed = self.complete(&pieces, done).await?.checksums;
        let head = self.look("sums/parts").await?.checksums;
        for (what, sums) in [("the completed upload", &completed), ("the head of an object in parts", &head)] {
            count += sums.len();
            self.compare(what, sums, &pieces.content)?;
        }
        Ok(if count == 0 { cannot(NONE) } else { KEPT })
    }
}
