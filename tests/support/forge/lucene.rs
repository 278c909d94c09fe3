//! The cluster's side: indices, their shards, and the Lucene files in them.

use bytes::Bytes;

use super::blob::{base36, footer, lucene};
use super::random::Random;

/// A file in a shard's directory.
#[derive(Debug, Clone)]
pub(crate) struct LuceneFile {
    pub(crate) name: String,
    pub(crate) content: Bytes,
    pub(crate) checksum: u32,
}

impl LuceneFile {
    fn new(name: String, codec: &str, length: usize, random: &mut Random) -> Self {
        let content = lucene(codec, length, &random.bytes(64));
        let checksum = footer(&content).expect("it was just written");
        Self { name, content, checksum }
    }

    /// Whether snapshots keep its content in the entry itself.
    pub(crate) fn is_telling(&self) -> bool {
        self.name.starts_with("segments_") || self.name.ends_with(".si")
    }
}

#[derive(Debug, Clone)]
struct Segment {
    name: String,
    files: Vec<LuceneFile>,
    deletions: u64,
}

/// A shard of a live index.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    segments: Vec<Segment>,
    next: u64,
    commit: u64,
    point: LuceneFile,
}

impl Shard {
    /// A shard without a document, which has nothing but a commit.
    pub(crate) fn empty(random: &mut Random) -> Self {
        Self { segments: Vec::new(), next: 0, commit: 2, point: commit(2, 0, random) }
    }

    /// Adds a compound segment. Entries and description always have the same length, as small ones of one version do.
    pub(crate) fn write(&mut self, random: &mut Random) {
        let length = if random.once_in(3) { 700 } else { 300 + random.below(1_500) };
        let name = self.name();
        let files = vec![
            LuceneFile::new(format!("{name}.cfe"), "Lucene90CompoundEntries", 405, random),
            LuceneFile::new(format!("{name}.cfs"), "Lucene90CompoundData", length, random),
            LuceneFile::new(format!("{name}.si"), "Lucene90SegmentInfo", 382, random),
        ];
        self.segments.push(Segment { name, files, deletions: 0 });
        self.flush(random);
    }

    /// Deletes documents of one segment, which gives it one more small file in place of the last such.
    pub(crate) fn delete_documents(&mut self, random: &mut Random) {
        if self.segments.is_empty() {
            return;
        }
        let at = random.below(self.segments.len());
        let segment = &mut self.segments[at];
        segment.deletions += 1;
        segment.files.retain(|file| !file.name.ends_with(".liv"));
        let name = format!("{}_{}.liv", segment.name, base36(segment.deletions));
        segment.files.push(LuceneFile::new(name, "Lucene90LiveDocs", 67, random));
        self.flush(random);
    }

    /// Merges all segments into one that is not compound.
    pub(crate) fn merge(&mut self, random: &mut Random) {
        const KINDS: [(&str, usize); 10] = [
            (".fdt", 1_900),
            (".fdx", 84),
            (".fnm", 1_713),
            (".si", 574),
            ("_Lucene90_0.doc", 1_000),
            ("_Lucene90_0.tim", 5_400),
            ("_Lucene90_0.tip", 258),
            ("_Lucene90_0.dvd", 1_600),
            ("_Lucene90_0.dvm", 1_359),
            (".nvd", 187),
        ];
        let name = self.name();
        let mut files = Vec::new();
        for (suffix, length) in KINDS {
            let more = if suffix == ".si" { 0 } else { random.below(length / 4) };
            files.push(LuceneFile::new(format!("{name}{suffix}"), "Lucene90Anything", length + more, random));
        }
        self.segments = vec![Segment { name, files, deletions: 0 }];
        self.flush(random);
    }

    /// What a snapshot of it holds.
    pub(crate) fn files(&self) -> impl Iterator<Item = &LuceneFile> {
        self.segments.iter().flat_map(|segment| &segment.files).chain([&self.point])
    }

    pub(crate) fn segments(&self) -> usize {
        self.segments.len()
    }

    fn name(&mut self) -> String {
        self.next += 1;
        format!("_{}", base36(self.next - 1))
    }

    fn flush(&mut self, random: &mut Random) {
        self.commit += 1;
        self.point = commit(self.commit, self.segments.len(), random);
    }
}

fn commit(generation: u64, segments: usize, random: &mut Random) -> LuceneFile {
    LuceneFile::new(format!("segments_{}", base36(generation)), "segments", 165 + 62 * segments, random)
}

/// What kind of index it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// The first backing index of a data stream.
    DataStream,
    /// Its shards have no files at all in a snapshot.
    Hollow,
}

/// A live index.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) uuid: String,
    pub(crate) kind: Kind,
    pub(crate) shards: Vec<Shard>,
    pub(crate) mapping_version: u64,
    pub(crate) created: i64,
}

impl Index {
    pub(crate) fn new(kind: Kind, shards: usize, created: i64, random: &mut Random) -> Self {
        let uuid = random.uuid();
        let shards = (0..shards).map(|_| Shard::empty(random)).collect();
        Self { uuid, kind, shards, mapping_version: 1, created }
    }
}
