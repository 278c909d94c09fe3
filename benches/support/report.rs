//! The table on standard output and the JSON file: medians over rounds, and ratios to the floor of the same rounds.

use std::fmt::Write;

use serde_json::{Value, json};

use super::measure::Sample;
use super::pair::Pair;
use super::workload::Workload;

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

/// All rounds of one program on one workload.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) program: String,
    /// Which protocols it speaks to source and target.
    pub(crate) speaks: String,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    /// The median of something over the rounds.
    fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        }
    }

    fn cpu(&self) -> f64 {
        self.median(|sample| sample.client.cpu.as_secs_f64())
    }
}

/// The rows of one workload between one pair; the first one is the floor.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) workload: Workload,
    pub(crate) pair: Pair,
    /// Peers that are not installed.
    pub(crate) absent: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// The table as text, with the requests of the last round under each row.
    pub(crate) fn table(&self) -> String {
        let spec = self.workload.source;
        let mut text =
            format!("\n{} {} ({} objects of {} bytes)\n", self.pair, self.workload.name, spec.objects, spec.size);
        push(
            &mut text,
            format_args!(
                "  {:<16} {:<7} {:>8} {:>9} {:>10} {:>8} {:>8} {:>8} {:>9} {:>7}\n",
                "program",
                "speaks",
                "CPU-s",
                "CPU-s/GiB",
                "us/object",
                "RSS MiB",
                "req/obj",
                "wall s",
                "servers s",
                "x floor"
            ),
        );
        for row in &self.rows {
            self.push_row(&mut text, row);
        }
        for name in &self.absent {
            push(&mut text, format_args!("  {name:<16} absent\n"));
        }
        text
    }

    fn push_row(&self, text: &mut String, row: &Row) {
        let spec = self.workload.source;
        let objects = spec.objects as f64;
        let per_gib = match self.workload.to_move() {
            (_, 0) => "-".to_owned(),
            (_, bytes) => format!("{:.3}", row.cpu() / (bytes as f64 / GIB)),
        };
        push(
            text,
            format_args!(
                "  {:<16} {:<7} {:>8.2} {:>9} {:>10.2} {:>8.1} {:>8.3} {:>8.2} {:>9.2} {:>7.2}\n",
                row.program,
                row.speaks,
                row.cpu(),
                per_gib,
                row.cpu() * 1e6 / objects,
                row.median(|sample| sample.client.peak_rss as f64 / MIB),
                row.median(|sample| (sample.from.total() + sample.to.total()) as f64 / objects),
                row.median(|sample| sample.wall.as_secs_f64()),
                row.median(|sample| sample.servers.as_secs_f64()),
                self.ratio(row),
            ),
        );
        if let Some(last) = row.samples.last() {
            for (side, counts) in [("from", &last.from), ("to", &last.to)] {
                let kinds: Vec<String> = counts.requests().map(|(kind, number)| format!("{kind} {number}")).collect();
                push(text, format_args!("      {side:<4} {}\n", kinds.join(", ")));
            }
        }
        for violation in row.samples.iter().flat_map(|sample| &sample.violations) {
            push(text, format_args!("      WRONG {violation}\n"));
        }
    }

    /// How many times the floor's processor time a program takes.
    fn ratio(&self, row: &Row) -> f64 {
        self.rows.first().map_or(f64::NAN, |floor| row.cpu() / floor.cpu())
    }

    /// Everything that was measured, round by round.
    pub(crate) fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(|row| self.row_to_json(row)).collect();
        json!({
            "workload": self.workload.name,
            "pair": self.pair.to_string(),
            "absent": self.absent,
            "objects": self.workload.source.objects,
            "object_bytes": self.workload.source.size,
            "programs": rows,
        })
    }

    fn row_to_json(&self, row: &Row) -> Value {
        let rounds = row.samples.iter().map(|sample| {
            json!({
                "cpu_seconds": sample.client.cpu.as_secs_f64(),
                "peak_rss_bytes": sample.client.peak_rss,
                "wall_seconds": sample.wall.as_secs_f64(),
                "server_cpu_seconds": sample.servers.as_secs_f64(),
                "from": sample.from.0,
                "to": sample.to.0,
                "violations": sample.violations,
            })
        });
        json!({
            "program": row.program,
            "speaks": row.speaks,
            "median_cpu_seconds": row.cpu(),
            "times_floor": self.ratio(row),
            "rounds": rounds.collect::<Vec<_>>(),
        })
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
