//! The envelope with each of its wrappings, and `snap-<uuid>.dat` of the root in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use snapferry::repo::{Codec, SnapshotInfo};
use snapferry_fuzz::both;

fuzz_target!(|data: &[u8]| {
    for blob in both(Codec::Snapshot, data) {
        if let Ok(info) = SnapshotInfo::parse("x", &blob) {
            let _ = info.has_failed("x", 0);
        }
    }
    for blob in both(Codec::Metadata, data) {
        let _ = Codec::Metadata.check("x", &blob);
    }
});
