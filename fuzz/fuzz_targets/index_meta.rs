//! `meta-<id>.dat` of an index.
#![no_main]

use libfuzzer_sys::fuzz_target;
use snapferry::repo::{Codec, IndexMeta, Traits};
use snapferry_fuzz::both;

fuzz_target!(|data: &[u8]| {
    for blob in both(Codec::IndexMetadata, data) {
        if let Ok(index) = IndexMeta::parse("x", &blob) {
            assert!(index.number_of_shards() > 0);
            let _ = Traits::of(&index);
        }
    }
});
