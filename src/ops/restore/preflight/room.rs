//! Room: bytes on the disks below the watermark, and shards below what the cluster allows.

use super::{Ground, Subject};
use crate::elastic::Distribution;
use crate::elastic::health::Disk;
use crate::elastic::settings::Settings;
use crate::error::ErrorKind;
use crate::ops::restore::finding::Finding;

const WATERMARK: &str = "cluster.routing.allocation.disk.watermark.low";
const HEADROOM: &str = "cluster.routing.allocation.disk.watermark.low.max_headroom";
const THRESHOLD: &str = "cluster.routing.allocation.disk.threshold_enabled";
const SHARDS: &str = "cluster.max_shards_per_node";

pub(super) fn check(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    disks(subject, ground, findings);
    shards(subject, ground, findings);
}

fn disks(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    let (Some(disks), Some(settings)) = (&ground.disks, &ground.settings) else { return };
    if disks.is_empty() {
        return;
    }
    // Restored over, an index uses again most of what lies there; its size then says little.
    let needed: Option<u64> = subject
        .new_pieces()
        .map(|piece| Some(subject.bytes(&piece.index)?.saturating_mul(1 + u64::from(subject.replicas(&piece.index)))))
        .sum();
    let free: u64 = disks.iter().map(|disk| usable(disk, settings)).sum();
    match needed {
        None => {
            if subject.offline.is_some() {
                findings.push(Finding::warning("the disks", "not checked: the size of an index is not known"));
            }
        }
        Some(needed) if needed > free => findings.push(
            Finding::error(
                ErrorKind::Precondition,
                "the disks",
                format!("the restore needs {needed} bytes with its replicas, and the nodes have {free} below their watermark"),
            )
            .doing("add nodes or disks, restore fewer indices, or set fewer replicas with `--replicas`"),
        ),
        Some(_) => {}
    }
}

/// The free bytes of a disk that shards may be put on.
fn usable(disk: &Disk, settings: &Settings) -> u64 {
    if settings.text(THRESHOLD).as_deref() == Some("false") {
        return disk.free;
    }
    let text = settings.text(WATERMARK).unwrap_or_else(|| "85%".into());
    let share = |used: f64| {
        let kept = disk.total as f64 * (1.0 - used);
        let headroom = settings.text(HEADROOM).and_then(|text| bytes(&text)).unwrap_or(u64::MAX);
        whole(kept).min(headroom)
    };
    let kept = match text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok()) {
        Some(percent) => share(percent / 100.0),
        None => match text.parse::<f64>() {
            Ok(used) if used <= 1.0 => share(used),
            _ => bytes(&text).unwrap_or(0),
        },
    };
    disk.free.saturating_sub(kept)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a disk has fewer bytes than 2^53")]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

/// A size as Elasticsearch writes it: `500gb`, powers of 1024. None for what is none, such as `-1`.
fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u32); 6] = [("pb", 50), ("tb", 40), ("gb", 30), ("mb", 20), ("kb", 10), ("b", 0)];
    let text = text.trim().to_ascii_lowercase();
    let (unit, power) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
    Some(whole(number * 2_f64.powi(i32::try_from(*power).ok()?)))
}

fn shards(subject: &Subject<'_>, ground: &Ground, findings: &mut Vec<Finding>) {
    let (Some(health), Some(settings)) = (&ground.health, &ground.settings) else { return };
    let Some(most) = settings.text(SHARDS).and_then(|text| text.parse::<u64>().ok()) else { return };
    let new: Option<u64> = subject
        .new_pieces()
        .map(|piece| Some(u64::from(subject.shards(&piece.index)?) * (1 + u64::from(subject.replicas(&piece.index)))))
        .sum();
    let Some(new) = new else { return };
    let allowed = most * health.data_nodes;
    if health.shards + new <= allowed {
        return;
    }
    let what =
        format!("it has {} shards and the restore adds {new}; it allows {allowed} (`{SHARDS}` {most})", health.shards);
    let is_enforced =
        subject.client.version().distribution == Distribution::OpenSearch || subject.client.version().major >= 7;
    let finding = if is_enforced {
        Finding::error(ErrorKind::Precondition, "the cluster", what)
    } else {
        Finding::warning("the cluster", what)
    };
    findings.push(finding.doing(format!("raise `{SHARDS}`, or restore fewer indices")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_the_server_writes_them() {
        assert_eq!(
            ["1kb", "1.5GB", "7b", "-1", "x"].map(bytes),
            [Some(1024), Some(1_610_612_736), Some(7), None, None]
        );
    }
}
