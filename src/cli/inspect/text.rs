//! An inspection as people read it.

use jiff::Timestamp;

use crate::cli::output::{Bytes, Count, Output};
use crate::error::Result;
use crate::ops::inspect::{Garbage, IndexDetail, Report, Restorable, Snapshot};
use crate::repo::ClusterVersion;

/// Columns that running text is wrapped to.
const WIDTH: usize = 110;
/// The longest name that a column is made wide for; longer ones get a line of their own.
const NAME: usize = 36;
/// Names of indices that are told one by one.
const NAMED: usize = 6;

/// A table: a row of titles, then the rows. Columns whose title begins with a blank stand to the right.
struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(titles: &[&'static str]) -> Self {
        Self { titles: titles.to_vec(), rows: Vec::new() }
    }

    /// One text for each row, the titles first. What is too long in the first column stands above its row.
    fn lines(&self) -> Vec<String> {
        let widths: Vec<usize> = (0..self.titles.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].chars().count());
                let cells = cells.filter(|width| column > 0 || *width <= NAME);
                cells.max().unwrap_or(0).max(self.titles[column].trim().len())
            })
            .collect();
        let cell = |column: usize, text: &str| {
            let width = widths[column];
            if self.titles[column].starts_with(' ') { format!("{text:>width$}") } else { format!("{text:<width$}") }
        };
        let line = |cells: Vec<&str>| {
            let cells: Vec<String> = cells.iter().enumerate().map(|(column, text)| cell(column, text)).collect();
            cells.join("  ").trim_end().to_owned()
        };
        let mut lines = vec![line(self.titles.iter().map(|title| title.trim()).collect())];
        for row in &self.rows {
            let mut cells: Vec<&str> = row.iter().map(String::as_str).collect();
            if row[0].chars().count() <= NAME {
                lines.push(line(cells));
            } else {
                cells[0] = "";
                lines.push(format!("{}\n{}", row[0], line(cells)));
            }
        }
        lines
    }
}

pub(super) fn print(output: &Output, location: &str, report: &Report, targets: &[ClusterVersion]) -> Result<()> {
    print_head(output, location, report)?;
    output.line("")?;
    print_snapshots(output, &report.snapshots)?;
    for snapshot in report.snapshots.iter().filter(|snapshot| !snapshot.index_details.is_empty()) {
        output.line(&format!("\nindices of {}", plain(&snapshot.name)))?;
        print_indices(output, &snapshot.index_details)?;
    }
    for (place, target) in targets.iter().enumerate() {
        output.line(&format!("\nrestored to {target}"))?;
        print_restorable(output, &report.snapshots, place)?;
    }
    if let Some(garbage) = &report.garbage {
        print_garbage(output, garbage)?;
    }
    Ok(())
}

fn print_head(output: &Output, location: &str, report: &Report) -> Result<()> {
    let written = match report.family {
        "F1" => "Elasticsearch 5.0 to 7.5",
        "F2" => "Elasticsearch 7.6 to 7.8",
        "F3" => "Elasticsearch 7.9 to 7.11, or OpenSearch",
        _ => "Elasticsearch 7.12 and later",
    };
    output.line(&format!("repository  {location}"))?;
    output.line(&format!("format      {}: that of {written}", report.family))?;
    output.line(&format!("generation  {}", report.generation))?;
    if let Some(uuid) = &report.repository_uuid {
        let cluster = report.cluster_id.as_deref().map(|id| format!(", last written by the cluster {}", plain(id)));
        output.line(&format!("uuid        {}{}", plain(uuid), cluster.unwrap_or_default()))?;
    }
    if report.shards_outside {
        output.line("shards      beside the base path: a copy of the base path alone cannot be restored")?;
    }
    Ok(())
}

fn print_snapshots(output: &Output, snapshots: &[Snapshot]) -> Result<()> {
    if snapshots.is_empty() {
        return output.line("no snapshots");
    }
    let mut table =
        Table::new(&["SNAPSHOT", "STATE", "VERSION", "STARTED", " INDICES", " SHARDS", " SIZE", " WRITTEN"]);
    for snapshot in snapshots {
        table.rows.push(vec![
            plain(&snapshot.name),
            snapshot.state.clone(),
            snapshot.releases.clone().or_else(|| snapshot.version.clone()).unwrap_or_else(|| "?".to_owned()),
            time(snapshot.start_time_in_millis),
            snapshot.indices.len().to_string(),
            format!("{}/{}", snapshot.shards.successful, snapshot.shards.total),
            bytes(snapshot.bytes),
            bytes(snapshot.incremental_bytes),
        ]);
    }
    let mut lines = table.lines().into_iter();
    output.line(&lines.next().unwrap_or_default())?;
    for (snapshot, line) in snapshots.iter().zip(lines) {
        output.line(&line)?;
        for (word, text) in [("damaged", &snapshot.damaged), ("unsupported", &snapshot.unsupported)] {
            if let Some(text) = text {
                wrapped(output, 2, &format!("{word}: {text}"))?;
            }
        }
        for failure in &snapshot.failures {
            let reason = failure.reason.as_deref().unwrap_or("no reason is told");
            let text = format!("failed: {}[{}]: {}", failure.index, failure.shard, short(reason));
            wrapped(output, 2, &text)?;
        }
    }
    Ok(())
}

fn print_indices(output: &Output, details: &[IndexDetail]) -> Result<()> {
    let mut table = Table::new(&["INDEX", " SHARDS", "CREATED", " SIZE", " WRITTEN", " FILES", "ID"]);
    let unknown = || "?".to_owned();
    for detail in details {
        table.rows.push(vec![
            plain(&detail.name),
            detail.shards.map_or_else(unknown, |shards| shards.to_string()),
            detail.created.clone().unwrap_or_else(unknown),
            Bytes(detail.sizes.bytes).to_string(),
            Bytes(detail.sizes.incremental_bytes).to_string(),
            detail.sizes.files.to_string(),
            plain(&detail.id),
        ]);
    }
    let mut lines = table.lines().into_iter();
    output.line(&lines.next().unwrap_or_default())?;
    for (detail, line) in details.iter().zip(lines) {
        output.line(&line)?;
        if !detail.aliases.is_empty() {
            wrapped(output, 2, &format!("aliases: {}", detail.aliases.join(", ")))?;
        }
        if let Some(kind) = &detail.store_type {
            wrapped(output, 2, &format!("store type: {kind}"))?;
        }
        print_files(output, detail)?;
    }
    Ok(())
}

fn print_files(output: &Output, detail: &IndexDetail) -> Result<()> {
    for (shard, files) in &detail.shard_files {
        output.line(&format!("  {}[{shard}]", plain(&detail.name)))?;
        let mut table = Table::new(&["FILE", " BYTES", "CHECKSUM", "LUCENE", " PARTS", "OBJECT"]);
        for file in files {
            let object = file.key.as_deref().map(|key| plain(key.rsplit('/').next().unwrap_or(key)));
            table.rows.push(vec![
                plain(&file.physical_name),
                file.length.to_string(),
                file.checksum.clone().unwrap_or_else(|| "-".to_owned()),
                file.written_by.as_deref().map_or_else(|| "-".to_owned(), plain),
                file.parts.to_string(),
                object.unwrap_or_else(|| "in the metadata".to_owned()),
            ]);
        }
        for line in table.lines() {
            output.line(&format!("    {line}"))?;
        }
    }
    Ok(())
}

fn print_restorable(output: &Output, snapshots: &[Snapshot], place: usize) -> Result<()> {
    let mut table = Table::new(&["SNAPSHOT", "RESTORES"]);
    for snapshot in snapshots {
        table.rows.push(vec![plain(&snapshot.name), snapshot.restorable[place].verdict.to_owned()]);
    }
    let mut lines = table.lines().into_iter();
    output.line(&lines.next().unwrap_or_default())?;
    let mut above = Vec::new();
    for (snapshot, line) in snapshots.iter().zip(lines) {
        output.line(&line)?;
        let reasons = reasons(&snapshot.restorable[place]);
        if !reasons.is_empty() && reasons == above {
            output.line("    as above")?;
            continue;
        }
        for text in &reasons {
            wrapped(output, 4, text)?;
        }
        above = reasons;
    }
    Ok(())
}

/// The reasons of a verdict: one for the whole snapshot, or one for each group of indices that share theirs.
fn reasons(restorable: &Restorable) -> Vec<String> {
    if let Some(reason) = &restorable.reason {
        return vec![reason.to_string()];
    }
    let mut groups: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for index in &restorable.indices {
        let (verdict, reason) = (index.verdict, index.reason.as_deref().unwrap_or_default());
        match groups.iter_mut().find(|(word, text, _)| (*word, *text) == (verdict, reason)) {
            Some((_, _, names)) => names.push(&index.name),
            None => groups.push((verdict, reason, vec![&index.name])),
        }
    }
    if let [(_, reason, _)] = groups.as_slice() {
        return if reason.is_empty() { Vec::new() } else { vec![format!("every index: {reason}")] };
    }
    let told = groups.into_iter().map(|(verdict, reason, names)| {
        let named: Vec<String> = names.iter().take(NAMED).map(|name| plain(name)).collect();
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        format!("{}{more}: {verdict}{because}", named.join(", "))
    });
    told.collect()
}

fn print_garbage(output: &Output, garbage: &Garbage) -> Result<()> {
    let told =
        |totals: crate::transfer::Totals| format!("{}, {}", Count(totals.objects, "object"), Bytes(totals.bytes));
    output.line(&format!("\ngarbage     {}", told(garbage.totals)))?;
    for (kind, totals) in &garbage.kinds {
        let words = match *kind {
            "data" => "data that no snapshot has",
            "shard_lists" => "superseded lists of files",
            "shard_snapshots" => "shards of deleted snapshots",
            "index_metadata" => "indices of deleted snapshots",
            "snapshot_metadata" => "deleted snapshots",
            "shard_paths" => "paths of deleted indices",
            "roots" => "older roots",
            "leftovers" => "left by verification or broken writes",
            _ => "not of the format",
        };
        output.line(&format!("  {words:<38}  {}", told(*totals)))?;
    }
    if garbage.undecided.objects > 0 {
        let text = format!("{} more may be needed: they lie where metadata cannot be read", told(garbage.undecided));
        wrapped(output, 2, &text)?;
    }
    Ok(())
}

/// Text in lines of at most [`WIDTH`] columns.
fn wrapped(output: &Output, indent: usize, text: &str) -> Result<()> {
    let mut line = " ".repeat(indent);
    let mut empty = true;
    for word in plain(text).split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            output.line(&line)?;
            line = " ".repeat(indent + 2);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    output.line(&line)
}

/// A text from a repository, without what would move a terminal's cursor.
fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// The first sentence of a cluster's reason, which may be a stack trace.
fn short(reason: &str) -> String {
    const LONGEST: usize = 300;
    let first = reason.lines().next().unwrap_or_default();
    if first.chars().count() <= LONGEST {
        first.to_owned()
    } else {
        format!("{}…", first.chars().take(LONGEST).collect::<String>())
    }
}

fn bytes(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| Bytes(number).to_string())
}

fn time(millis: Option<i64>) -> String {
    let second = millis.and_then(|millis| Timestamp::from_second(millis.div_euclid(1000)).ok());
    second.map_or_else(|| "-".to_owned(), |second| second.to_string())
}
