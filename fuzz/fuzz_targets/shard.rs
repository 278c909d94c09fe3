//! `snap-<uuid>.dat` and `index-<generation>` of a shard.
#![no_main]

use libfuzzer_sys::fuzz_target;
use snapferry::repo::{Codec, ShardIndex, ShardSnapshot};
use snapferry_fuzz::{both, use_files};

fuzz_target!(|data: &[u8]| {
    for blob in both(Codec::Snapshot, data) {
        if let Ok(shard) = ShardSnapshot::parse("x", &blob) {
            use_files(&shard.files);
        }
    }
    for blob in both(Codec::Snapshots, data) {
        if let Ok(list) = ShardIndex::parse("x", &blob) {
            use_files(&list.files);
        }
    }
});
