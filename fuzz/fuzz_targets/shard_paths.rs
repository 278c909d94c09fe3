//! A file in `snapshot_shard_paths/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use snapferry::repo::{Containers, PathType, ShardPaths};

fuzz_target!(|data: &[u8]| {
    let Ok(paths) = ShardPaths::parse("x", data) else { return };
    for path_type in [PathType::Fixed, PathType::HashedPrefix, PathType::HashedInfix] {
        if let Ok(containers) = Containers::new(path_type, &paths.index_id, Some(&paths)) {
            let _ = containers.of("base/", 0);
        }
    }
});
