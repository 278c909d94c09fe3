//! What the targets share: blobs with a right checksum, so that a fuzzer gets behind it.

use snapferry::repo::{Codec, FileEntry};
use snapferry::store::{Algorithm, Checksum};

/// The blob itself, and an envelope of that codec around it as a body.
pub fn both(codec: Codec, data: &[u8]) -> [Vec<u8>; 2] {
    let name = codec.word().as_bytes();
    let mut blob = b"\x3F\xD7\x6C\x17".to_vec();
    blob.push(u8::try_from(name.len()).expect("the names are short"));
    blob.extend_from_slice(name);
    blob.extend_from_slice(&[0, 0, 0, 1]);
    blob.extend_from_slice(data);
    blob.extend_from_slice(b"\xC0\x28\x93\xE8\0\0\0\0");
    let sum = Checksum::of(Algorithm::Crc32, &blob).bytes();
    blob.extend_from_slice(&[0; 4]);
    blob.extend_from_slice(&sum);
    [data.to_vec(), blob]
}

/// Uses files as the product does.
pub fn use_files(files: &[FileEntry]) {
    for file in files {
        let sum = file.parts().take(1000).fold(0, |sum: u64, part| sum.saturating_add(part.length));
        assert!(sum <= file.length);
        let _ = file.virtual_fault();
    }
}
