//! Puts what was read together: which snapshots and indices are told, their sums, and what a cluster would restore of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use globset::GlobMatcher;

use super::Options;
use super::judge::Judge;
use super::report::{Failure, FeatureState, File, Garbage, IndexDetail, Report, Shards, Sizes, Snapshot};
use super::survey::{Index, Known, Measured, Seen, Survey};
use crate::error::{Error, ErrorKind, Result};
use crate::repo::{Name, Product, RootIndex, SnapshotEntry, SnapshotInfo, Version, VersionId, glob};

/// Which snapshots and indices are told.
#[derive(Debug)]
pub(super) struct Chosen {
    snapshots: HashSet<Name>,
    indices: Vec<GlobMatcher>,
    /// Whether snapshots are told index by index.
    pub(super) details: bool,
}

impl Chosen {
    /// Those that match. [`ErrorKind::NotFound`] for a pattern that nothing matches.
    pub(super) fn new(options: &Options, root: &RootIndex) -> Result<Self> {
        let indices = globs("index", &options.indices, root.indices.keys().map(String::as_str))?;
        let names = root.snapshots.iter().map(|snapshot| snapshot.name.as_str());
        let snapshots = globs("snapshot", &options.snapshots, names)?;
        let chosen = root.indices.iter().filter(|(name, _)| matches(&indices, name));
        let having: BTreeSet<&Name> = chosen.flat_map(|(_, entry)| &entry.snapshots).collect();
        let has = |snapshot: &&SnapshotEntry| {
            matches(&snapshots, &snapshot.name) && (indices.is_empty() || having.contains(&snapshot.uuid))
        };
        let chosen: HashSet<Name> = root.snapshots.iter().filter(has).map(|snapshot| snapshot.uuid.clone()).collect();
        if chosen.is_empty() && !root.snapshots.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "find what to inspect")
                .because("none of these snapshots has any of these indices")
                .hint("leave one of `--snapshot` and `--index` out to see what is there"));
        }
        let details = !snapshots.is_empty() || !indices.is_empty();
        Ok(Self { snapshots: chosen, indices, details })
    }

    pub(super) fn has_snapshot(&self, uuid: &Name) -> bool {
        self.snapshots.contains(uuid)
    }

    pub(super) fn has_index(&self, name: &str) -> bool {
        matches(&self.indices, name)
    }
}

/// Whether a name is chosen: all are where there is no pattern.
fn matches(globs: &[GlobMatcher], name: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob.is_match(name))
}

/// Names shown where a pattern matches none.
const SHOWN: usize = 5;

/// Patterns over whole names, each of which must match one of `names`.
fn globs<'a>(
    noun: &str,
    patterns: &[String],
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<Vec<GlobMatcher>> {
    let mut globs = Vec::new();
    for pattern in patterns {
        let matcher = glob(&format!("--{noun}"), pattern)?;
        if !names.clone().any(|name| matcher.is_match(name)) {
            let some: Vec<String> =
                names.clone().take(SHOWN).map(|name| format!("`{}`", name.escape_default())).collect();
            let error = Error::new(ErrorKind::NotFound, format!("find the {noun} `{}`", pattern.escape_default()))
                .because(format!("the repository has no such {noun}"));
            let more = match names.count() {
                0 => return Err(error),
                count if count > SHOWN => format!(" and {} more", count - SHOWN),
                _ => String::new(),
            };
            return Err(error.hint(format!("it has {}{more}", some.join(", "))));
        }
        globs.push(matcher);
    }
    Ok(globs)
}

/// What is wrong with a snapshot's metadata: the first thing, and how many more there are.
#[derive(Debug, Default)]
struct Damage {
    first: Option<String>,
    more: u64,
}

impl Damage {
    fn add(&mut self, what: String) {
        match &self.first {
            None => self.first = Some(what),
            Some(_) => self.more += 1,
        }
    }

    fn told(self) -> Option<String> {
        let first = self.first?;
        Some(if self.more == 0 { first } else { format!("{first} (and {} more)", self.more) })
    }
}

/// An index in a snapshot: its sums, and its files by shard.
#[derive(Debug, Default)]
struct Depth {
    sizes: Sizes,
    shard_files: BTreeMap<u32, Vec<File>>,
}

/// A report in the making.
pub(super) struct Assembly<'a> {
    survey: &'a Survey,
    chosen: &'a Chosen,
    options: &'a Options,
    sums: Vec<Sizes>,
    damages: Vec<Damage>,
    /// Indices of which a list of files could not be read, by the places of snapshot and index.
    broken: HashSet<(u32, u32)>,
    /// By the places of snapshot and index.
    details: BTreeMap<(u32, u32), Depth>,
    garbage: Garbage,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(survey: &'a Survey, chosen: &'a Chosen, options: &'a Options) -> Self {
        let count = survey.snapshots.len();
        let (sums, damages) = (vec![Sizes::default(); count], (0..count).map(|_| Damage::default()).collect());
        Self {
            survey,
            chosen,
            options,
            sums,
            damages,
            broken: HashSet::new(),
            details: BTreeMap::new(),
            garbage: Garbage::default(),
        }
    }

    /// Takes in what was found in a shard.
    pub(super) fn take(&mut self, seen: Seen) {
        self.garbage.merge(seen.garbage);
        for (snapshot, read) in seen.snapshots {
            let Measured { sizes, files } = match read {
                Ok(read) => read,
                Err(error) => {
                    self.damages[snapshot as usize].add(error.to_string());
                    self.broken.insert((snapshot, seen.index));
                    continue;
                }
            };
            self.sums[snapshot as usize].add(sizes);
            if self.chosen.details {
                let detail = self.details.entry((snapshot, seen.index)).or_default();
                detail.sizes.add(sizes);
                if !files.is_empty() {
                    detail.shard_files.insert(seen.shard, files);
                }
            }
        }
    }

    /// The report.
    pub(super) fn finish(mut self) -> Report {
        let root = &self.survey.reader.root;
        self.compare_with_root();
        let mut members: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.survey.snapshots.len()];
        for (place, index) in (0u32..).zip(&self.survey.indices) {
            for (snapshot, meta) in &index.members {
                if let Err(error) = &index.metas[*meta as usize].about {
                    self.damages[*snapshot as usize].add(error.to_string());
                }
                members[*snapshot as usize].push((place, *meta));
            }
        }
        let mut snapshots = Vec::new();
        let mut judges: Vec<Judge> = self.options.targets.iter().map(|target| Judge::new(*target, root)).collect();
        for (place, members) in members.into_iter().enumerate() {
            if self.survey.snapshots[place].shown {
                let mut snapshot = self.snapshot(place);
                let known = &self.survey.snapshots[place];
                let number = u32::try_from(place).expect("snapshots are counted in 32 bits");
                let broken = |index: u32| self.broken.contains(&(number, index));
                snapshot.restorable = judges
                    .iter_mut()
                    .map(|judge| judge.judge(self.survey, known, &snapshot, &members, &broken))
                    .collect();
                snapshot.index_details = self.index_details(place, &members);
                snapshots.push(snapshot);
            }
        }
        snapshots.sort_by(|one, other| {
            (one.start_time_in_millis, &one.name).cmp(&(other.start_time_in_millis, &other.name))
        });
        Report {
            family: root.family().word(),
            generation: self.survey.generation.number(),
            repository_uuid: root.id().map(ToOwned::to_owned),
            cluster_id: root.cluster_id.clone(),
            min_version: root.min_version.as_ref().map(ToString::to_string),
            shards_outside: self.survey.reader.leaves_base(),
            snapshots,
            garbage: self.options.garbage.then_some(self.garbage),
        }
    }

    /// A description and the root must name the same indices.
    fn compare_with_root(&mut self) {
        let mut listed: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); self.survey.snapshots.len()];
        let places: HashMap<&str, usize> =
            self.survey.snapshots.iter().enumerate().map(|(place, known)| (known.uuid.as_str(), place)).collect();
        for (name, entry) in &self.survey.reader.root.indices {
            for place in entry.snapshots.iter().filter_map(|uuid| places.get(uuid.as_str())) {
                listed[*place].insert(name);
            }
        }
        for (place, known) in self.survey.snapshots.iter().enumerate().filter(|(_, known)| known.info.is_ok()) {
            let told: BTreeSet<&str> = known.indices.iter().map(Name::as_str).collect();
            if let Some(index) = told.difference(&listed[place]).next() {
                self.damages[place].add(format!(
                    "its description lists the index `{}`, and the root has it not there",
                    index.escape_default()
                ));
            }
            if let Some(index) = listed[place].difference(&told).next() {
                self.damages[place].add(format!(
                    "the root has the index `{}` in it, and its description has not",
                    index.escape_default()
                ));
            }
        }
    }

    fn snapshot(&mut self, place: usize) -> Snapshot {
        let (known, entry) = (&self.survey.snapshots[place], &self.survey.reader.root.snapshots[place]);
        let mut snapshot = match &known.info {
            Ok(info) => of_info(info, known),
            Err(error) => {
                let mut snapshot = self.of_root(entry);
                if error.kind() == ErrorKind::Unsupported {
                    snapshot.unsupported = error.cause();
                } else {
                    let first = self.damages[place].first.replace(error.to_string());
                    self.damages[place].more += u64::from(first.is_some());
                }
                snapshot
            }
        };
        snapshot.name = entry.name.to_string();
        snapshot.uuid = entry.uuid.to_string();
        // Clusters do not restore what the root says has failed, whatever its description says.
        if !entry.is_restorable() {
            state_in_root(entry).clone_into(&mut snapshot.state);
        }
        if self.options.sizes || self.options.garbage {
            let sums = self.sums[place];
            (snapshot.bytes, snapshot.files) = (Some(sums.bytes), Some(sums.files));
            (snapshot.incremental_bytes, snapshot.incremental_files) =
                (Some(sums.incremental_bytes), Some(sums.incremental_files));
        }
        snapshot.damaged = std::mem::take(&mut self.damages[place]).told();
        snapshot
    }

    /// What the root alone tells of a snapshot.
    fn of_root(&self, entry: &SnapshotEntry) -> Snapshot {
        let indices = self.survey.reader.root.indices.iter().filter(|(_, index)| index.snapshots.contains(&entry.uuid));
        let mut snapshot = Snapshot {
            state: state_in_root(entry).to_owned(),
            indices: indices.map(|(name, _)| name.as_str().into()).collect(),
            start_time_in_millis: entry.start_time_millis,
            end_time_in_millis: entry.end_time_millis,
            duration_in_millis: entry.end_time_millis.zip(entry.start_time_millis).map(|(end, start)| end - start),
            ..Snapshot::default()
        };
        set_version(&mut snapshot, made_by_root(entry, self.survey.reader.root.id().is_some()));
        snapshot
    }

    fn index_details(&mut self, place: usize, members: &[(u32, u32)]) -> Vec<IndexDetail> {
        if !self.chosen.details {
            return Vec::new();
        }
        let snapshot = u32::try_from(place).expect("snapshots are counted in 32 bits");
        let chosen =
            members.iter().filter(|(index, _)| self.chosen.has_index(&self.survey.indices[*index as usize].name));
        let details = chosen.map(|(index, meta)| {
            let depth = self.details.remove(&(snapshot, *index)).unwrap_or_default();
            detail(&self.survey.indices[*index as usize], *meta, depth)
        });
        details.collect()
    }
}

fn state_in_root(entry: &SnapshotEntry) -> &'static str {
    match entry.state {
        Some(0) => "IN_PROGRESS",
        Some(2) => "FAILED",
        Some(3) => "PARTIAL",
        Some(4) => "INCOMPATIBLE",
        _ => "SUCCESS",
    }
}

fn detail(index: &Index, meta: u32, depth: Depth) -> IndexDetail {
    let about = index.metas[meta as usize].about.as_ref().ok();
    let created_id = about.and_then(|about| about.traits.created);
    IndexDetail {
        name: index.name.clone(),
        id: index.id.clone(),
        uuid: about.and_then(|about| about.uuid.clone()),
        shards: about.map(|about| about.shards),
        created: created_id.and_then(VersionId::new).map(|id| id.to_string()),
        created_id,
        state: about.and_then(|about| about.state.clone()),
        store_type: about.and_then(|about| about.store_type.clone()),
        aliases: about.map(|about| about.aliases.clone()).unwrap_or_default(),
        sizes: depth.sizes,
        shard_files: depth.shard_files,
    }
}

fn of_info(info: &SnapshotInfo, known: &Known) -> Snapshot {
    let failures = info.failures.iter().map(|failure| Failure {
        index: failure.index.clone(),
        shard: failure.shard_id,
        reason: failure.reason.clone(),
    });
    let features = info
        .feature_states
        .iter()
        .map(|feature| FeatureState { feature_name: feature.feature_name.clone(), indices: feature.indices.clone() });
    let mut snapshot = Snapshot {
        state: info.state.clone(),
        start_time_in_millis: Some(info.start_time),
        end_time_in_millis: Some(info.end_time),
        duration_in_millis: Some(info.end_time.saturating_sub(info.start_time)),
        include_global_state: info.include_global_state,
        indices: known.indices.clone(),
        data_streams: info.data_streams.clone(),
        feature_states: features.collect(),
        shards: Shards {
            total: info.total_shards,
            failed: info.total_shards.saturating_sub(info.successful_shards),
            successful: info.successful_shards,
        },
        failures: failures.collect(),
        ..Snapshot::default()
    };
    set_version(&mut snapshot, VersionId::new(info.version_id));
    snapshot
}

/// The version as the root has it. Elasticsearch writes `8.11.0` from 8.11 on, and the right one as a number beside it.
fn made_by_root(entry: &SnapshotEntry, elasticsearch: bool) -> Option<VersionId> {
    let number = entry.index_version.and_then(VersionId::new);
    number.or_else(|| match entry.version.as_ref()? {
        Version::Number(number) => VersionId::new(*number),
        Version::Text(text) => {
            // OpenSearch began with 1.0, and no Elasticsearch below 5 wrote the field.
            let old = text.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 5);
            VersionId::parse(text, if old && !elasticsearch { Product::OpenSearch } else { Product::Elasticsearch })
        }
    })
}

fn set_version(snapshot: &mut Snapshot, made: Option<VersionId>) {
    snapshot.version = made.map(VersionId::told);
    snapshot.version_id = made.map(VersionId::number);
    snapshot.releases = made.filter(|made| made.releases().is_some()).map(|made| made.to_string());
}
