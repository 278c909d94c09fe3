//! Every file of every fixture: metadata decodes, data is what its metadata says, and what is changed in either is noticed or harmless.

mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use snapferry::error::{ErrorKind, Result};
use snapferry::repo::{
    BlobKind, Codec, FileEntry, IndexMeta, RootIndex, ShardIndex, ShardPaths, ShardSnapshot, SnapshotInfo, kind,
};
use snapferry::store::{Algorithm, Checksum};
use support::fixture::{scratch, tree, unpack};

/// The files of every repository here, by its name.
static FIXTURES: LazyLock<BTreeMap<String, BTreeMap<String, Vec<u8>>>> = LazyLock::new(|| {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = std::fs::read_dir(directory).expect("it is there");
    let names = entries.filter_map(|entry| entry.expect("readable").file_name().into_string().ok());
    let names = names.filter_map(|name| name.strip_suffix(".tar.gz").map(ToOwned::to_owned));
    // The format before 5.0 is refused as a whole.
    let names = names.filter(|name| !name.starts_with("es-2."));
    let scratch = scratch();
    names.map(|name| (name.clone(), tree(&unpack(&name, scratch.path())))).collect()
});

/// What a file of metadata is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parser {
    Root,
    Snapshot,
    Global,
    Index,
    Shard,
    ShardList,
    Paths,
}

impl Parser {
    const ALL: [Self; 7] =
        [Self::Root, Self::Snapshot, Self::Global, Self::Index, Self::Shard, Self::ShardList, Self::Paths];

    fn of(name: &str) -> Option<Self> {
        Some(match kind(name) {
            BlobKind::RootIndex(_) => Self::Root,
            BlobKind::SnapshotInfo => Self::Snapshot,
            BlobKind::GlobalMeta => Self::Global,
            BlobKind::IndexMeta => Self::Index,
            BlobKind::ShardSnapshot => Self::Shard,
            BlobKind::ShardIndex => Self::ShardList,
            BlobKind::ShardPaths => Self::Paths,
            _ => return None,
        })
    }

    fn has_envelope(self) -> bool {
        !matches!(self, Self::Root | Self::Paths)
    }

    /// Reads it, and uses what was read as the product does.
    fn read(self, name: &str, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Root => RootIndex::parse(name, bytes).map(|root| use_root(&root)),
            Self::Snapshot => {
                SnapshotInfo::parse(name, bytes).map(|info| assert!(!info.has_failed("no such index", 0)))
            }
            Self::Global => Codec::Metadata.check(name, bytes),
            Self::Index => IndexMeta::parse(name, bytes).map(|index| assert!(index.number_of_shards() > 0)),
            Self::Shard => ShardSnapshot::parse(name, bytes).map(|shard| use_files(&shard.files)),
            Self::ShardList => ShardIndex::parse(name, bytes).map(|list| use_files(&list.files)),
            Self::Paths => ShardPaths::parse(name, bytes).map(drop),
        }
    }
}

fn use_root(root: &RootIndex) {
    let _ = root.family();
    for snapshot in &root.snapshots {
        for index in root.indices.values() {
            let _ = (root.index_meta(snapshot, index), index.generation(0));
            drop(index.path_type());
        }
    }
}

fn use_files(files: &[FileEntry]) {
    for file in files {
        let sum = file.parts().take(1000).fold(0, |sum: u64, part| sum.saturating_add(part.length));
        assert!(sum <= file.length);
        let _ = file.virtual_fault();
    }
}

/// The metadata of all fixtures.
fn metadata() -> Vec<(&'static str, Parser, &'static [u8])> {
    let files = FIXTURES.values().flatten();
    files.filter_map(|(name, bytes)| Some((name.as_str(), Parser::of(name)?, bytes.as_slice()))).collect()
}

#[test]
fn every_piece_of_metadata_decodes_as_what_its_name_says_and_as_nothing_else() {
    let mut seen = BTreeMap::<String, usize>::new();
    for (name, parser, bytes) in metadata() {
        parser.read(name, bytes).unwrap_or_else(|error| panic!("{error}"));
        *seen.entry(format!("{parser:?}")).or_default() += 1;
        for other in Parser::ALL {
            // A root's `snap-` and a shard's have one codec, and little in common.
            let alike = other == parser || (other == Parser::Shard && parser == Parser::Snapshot);
            assert!(alike || other.read(name, bytes).is_err(), "{name} was read as {other:?}");
        }
    }
    assert_eq!(seen.len(), Parser::ALL.len(), "{seen:?}");
}

/// A file put together from its objects, by the name of its blob.
fn content(files: &BTreeMap<String, Vec<u8>>, shard: &str, entry: &FileEntry) -> Vec<u8> {
    let mut content = Vec::new();
    for part in entry.parts() {
        let name = format!("{shard}/{}", part.name);
        let bytes = files.get(&name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!((bytes.len() as u64, content.len() as u64), (part.length, part.offset), "{name}");
        content.extend_from_slice(bytes);
    }
    content
}

#[test]
fn every_data_blob_has_the_length_and_lucenes_checksum_that_its_metadata_states() {
    let (mut whole, mut cut, mut inside) = (0, 0, 0);
    for (repository, files) in FIXTURES.iter() {
        for (name, bytes) in files.iter().filter(|(name, _)| kind(name) == BlobKind::ShardSnapshot) {
            let shard = name.rsplit_once('/').expect("it lies in a shard").0;
            for entry in ShardSnapshot::parse(name, bytes).expect("it decodes").files {
                let what = format!("{repository}: {shard}/{} ({})", entry.name, entry.physical_name);
                if entry.is_virtual() {
                    assert_eq!(entry.virtual_fault(), None, "{what}");
                    inside += 1;
                    continue;
                }
                let content = content(files, shard, &entry);
                assert_eq!(content.len() as u64, entry.length, "{what}");
                let footer = entry.footer().expect("every engine here states a checksum");
                assert!(content.ends_with(&footer), "{what}");
                let sum = Checksum::of(Algorithm::Crc32, &content[..content.len() - 8]);
                assert_eq!(Some(sum.value), entry.checksum.map(u128::from), "{what}");
                if entry.is_cut() { cut += 1 } else { whole += 1 }
            }
        }
    }
    assert!(whole > 1000 && cut > 50 && inside > 300, "{whole} whole, {cut} cut, {inside} in the metadata");
}

/// What happens to a file.
#[derive(Debug, Clone)]
enum Change {
    /// A bit turns.
    Flip(prop::sample::Index, u8),
    /// A byte becomes another one.
    Set(prop::sample::Index, u8),
    /// It ends early.
    Cut(prop::sample::Index),
    /// A piece is taken out.
    Remove(prop::sample::Index, prop::sample::Index),
    /// A piece of another file comes in, over what is there or between.
    Splice { at: prop::sample::Index, other: prop::sample::Index, from: prop::sample::Index, length: u8, over: bool },
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (index(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => index().prop_map(Change::Cut),
        1 => (index(), index()).prop_map(|(from, to)| Change::Remove(from, to)),
        2 => (index(), index(), index(), any::<u8>(), any::<bool>())
            .prop_map(|(at, other, from, length, over)| Change::Splice { at, other, from, length, over }),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, all: &[(&str, Parser, &[u8])]) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Remove(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                bytes.drain(from.min(to)..from.max(to));
            }
            Self::Splice { at, other, from, length, over } => {
                let other = other.get(all).2;
                let (at, from) = (at.index(bytes.len()), from.index(other.len()));
                let piece = &other[from..(from + usize::from(*length)).min(other.len())];
                let end = if *over { (at + piece.len()).min(bytes.len()) } else { at };
                bytes.splice(at..end, piece.iter().copied());
            }
        }
    }
}

/// Puts a right checksum below a changed body, so that what reads the body is tried and not only what guards it.
fn seal(bytes: &mut [u8]) {
    if let Some(body) = bytes.len().checked_sub(8) {
        let sum = Checksum::of(Algorithm::Crc32, &bytes[..body]).bytes();
        bytes[body..body + 4].fill(0);
        bytes[body + 4..].copy_from_slice(&sum);
    }
}

/// Tries so many changes, each against the parser of the file that was changed.
fn tried(cases: u32, test: impl Fn(Parser, &str, &[u8], &mut Vec<u8>) -> std::result::Result<(), TestCaseError>) {
    let all = metadata();
    // The larger ones take all the time and have nothing that the smaller ones have not.
    let some: Vec<_> = all.iter().filter(|(_, _, bytes)| bytes.len() < 16 * 1024).copied().collect();
    let config = Config { cases, rng_seed: RngSeed::Random, failure_persistence: None, ..Config::default() };
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(change(), 1..4));
    let ran = TestRunner::new(config).run(&strategy, |(which, changes)| {
        let (name, parser, original) = *which.get(&some);
        let mut bytes = original.to_vec();
        for change in changes {
            change.apply(&mut bytes, &some);
        }
        let begun = std::time::Instant::now();
        test(parser, name, original, &mut bytes)?;
        prop_assert!(begun.elapsed() < Duration::from_secs(5), "{name} took {:?}", begun.elapsed());
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_changed_file_never_panics_and_is_noticed_where_it_has_a_checksum() {
    tried(2500, |parser, name, original, bytes| {
        let read = parser.read(name, bytes);
        if parser.has_envelope() && bytes != original {
            // Nothing but a whole other file could pass, and no splice here is as long as one.
            let error = read.expect_err("a change went unnoticed");
            prop_assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
        Ok(())
    });
}

#[test]
fn a_change_below_a_right_checksum_never_panics() {
    tried(2500, |parser, name, _, bytes| {
        if parser.has_envelope() {
            seal(bytes);
        }
        for parser in Parser::ALL {
            drop(parser.read(name, bytes));
        }
        Ok(())
    });
}

/// An envelope around a body, made here.
fn enveloped(codec: &str, body: &[u8]) -> Vec<u8> {
    let mut blob = b"\x3F\xD7\x6C\x17".to_vec();
    blob.push(u8::try_from(codec.len()).expect("short"));
    blob.extend_from_slice(codec.as_bytes());
    blob.extend_from_slice(&[0, 0, 0, 1]);
    blob.extend_from_slice(body);
    blob.extend_from_slice(b"\xC0\x28\x93\xE8\0\0\0\0\0\0\0\0\0\0\0\0");
    seal(&mut blob);
    blob
}

#[test]
fn a_body_nested_a_million_deep_is_refused_and_takes_no_stack() {
    for open in [b"\xF8".as_slice(), b"\xFA\x80a"] {
        let body = [b":)\n\x05".as_slice(), &open.repeat(1_000_000)].concat();
        for (parser, codec) in [
            (Parser::Global, "metadata"),
            (Parser::Index, "index-metadata"),
            (Parser::Snapshot, "snapshot"),
            (Parser::Shard, "snapshot"),
            (Parser::ShardList, "snapshots"),
        ] {
            // Where the body begins as it should, and is nested where anything may stand.
            let inside = [b":)\n\x05\xFA\x80a".as_slice(), &open.repeat(1_000_000)].concat();
            for body in [&body, &inside] {
                let error = parser.read("x", &enveloped(codec, body)).expect_err("it never ends");
                assert_eq!(error.kind(), ErrorKind::Corrupt);
            }
        }
    }
    let text = format!(r#"{{"snapshots":{}"#, "[".repeat(1_000_000));
    assert!(Parser::Root.read("index-1", text.as_bytes()).is_err());
}
