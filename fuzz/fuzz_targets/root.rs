//! `index-<N>`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use snapferry::repo::RootIndex;

fuzz_target!(|data: &[u8]| {
    let Ok(root) = RootIndex::parse("index-1", data) else { return };
    let _ = root.family();
    for snapshot in root.snapshots.iter().take(100) {
        for index in root.indices.values().take(100) {
            let _ = (root.index_meta(snapshot, index), index.generation(0), index.path_type());
        }
    }
});
