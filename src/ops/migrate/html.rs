//! The report as one HTML file: nothing is fetched, everything is escaped, and it can be read on a telephone, at night, and on paper.

use super::forecast::Go;
use super::report::{Document, IndexLine, RoundDocument};
use crate::ops::compare::Verdict;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#59636e;--line:#d1d9e0;--paper:#fff;--soft:#f6f8fa;--good:#1a7f37;--bad:#cf222e;--odd:#9a6700}\
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9198a1;--line:#3d444d;--paper:#0d1117;--soft:#151b23;--good:#3fb950;--bad:#f85149;--odd:#d29922}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}\
p,ul{margin:.4rem 0}ul{padding-left:1.2rem}.dim{color:var(--dim)}code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}\
.verdict{border:1px solid var(--line);border-left:.4rem solid var(--odd);background:var(--soft);padding:.8rem 1rem;margin:1.2rem 0}\
.verdict strong{display:block;font-size:1.15rem}.good{border-left-color:var(--good)}.bad{border-left-color:var(--bad)}\
td.good,span.good{color:var(--good)}td.bad,span.bad{color:var(--bad)}td.odd,span.odd{color:var(--odd)}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.95rem}th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}\
th{color:var(--dim);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:.4rem 0}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}\
details{margin:.3rem 0}summary{cursor:pointer}@media(max-width:34rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}\
@media print{main{max-width:none;padding:0}.wide{overflow:visible}h2{break-after:avoid}tr{break-inside:avoid}}";

/// Text that is nothing but text.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Escaped, and what stands between backticks set as code.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for (position, part) in text.split('`').enumerate() {
        if position % 2 == 1 {
            out.push_str(&format!("<code>{}</code>", escape(part)));
        } else {
            out.push_str(&escape(part));
        }
    }
    out
}

/// The page.
#[must_use]
pub fn html(document: &Document) -> String {
    let mut page = String::new();
    let job = escape(&document.job);
    page.push_str(&format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Migration of {job}: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(document.verdict)
    ));
    page.push_str(&format!("<h1>Migration of <code>{job}</code></h1>\n"));
    page.push_str(&format!(
        "<p class=\"dim\">{} at {} → {} at {} · written {}</p>\n",
        escape(&document.source),
        escape(&document.from),
        escape(&document.target),
        escape(&document.to),
        escape(&moment(document.at)),
    ));
    page.push_str(&format!(
        "<div class=\"verdict {}\"><strong>{}</strong>{}</div>\n",
        class(document.verdict),
        escape(headline(document.verdict)),
        prose(&document.sentence)
    ));
    counts(&mut page, document);
    list(&mut page, "Warnings", &document.warnings);
    list(&mut page, "What now", &document.ways);
    if let Some(round) = &document.round {
        detail(&mut page, round, document);
    }
    rounds(&mut page, document);
    proofs(&mut page, &document.indices);
    let not_carried: Vec<String> = document.not_carried.iter().map(ToString::to_string).collect();
    list(&mut page, "What snapshots do not carry", &not_carried);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn headline(verdict: &str) -> &'static str {
    match verdict {
        "done" => "Done",
        "different" => "The sides differ",
        "unchanged" => "Nothing had changed",
        "rolled-back" => "Taken back",
        "nothing" => "Nothing has been done yet",
        _ => "Not finished",
    }
}

fn class(verdict: &str) -> &'static str {
    match verdict {
        "done" | "unchanged" | "rolled-back" => "good",
        "different" | "failed" => "bad",
        _ => "odd",
    }
}

fn of_verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "good",
        Verdict::Different => "bad",
        Verdict::Moving | Verdict::Unknown => "odd",
    }
}

fn counts(page: &mut String, document: &Document) {
    if document.indices.is_empty() {
        return;
    }
    page.push_str("<h2>Documents, side by side</h2>\n<div class=\"wide\"><table><thead><tr><th>Index</th><th class=\"n\">Source</th><th class=\"n\">Target</th><th>Verdict</th></tr></thead><tbody>\n");
    let number = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), grouped);
    for one in &document.indices {
        let name = if one.index == one.target {
            format!("<code>{}</code>", escape(&one.index))
        } else {
            format!("<code>{}</code> → <code>{}</code>", escape(&one.index), escape(&one.target))
        };
        let worst = one.levels.iter().rev().find(|level| level.verdict == one.verdict);
        let why = worst.map(|level| level.proves.as_str()).unwrap_or_default();
        page.push_str(&format!(
            "<tr><td>{name}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"{}\">{}: {}</td></tr>\n",
            number(one.from),
            number(one.to),
            of_verdict(one.verdict),
            escape(one.verdict.word()),
            prose(why)
        ));
    }
    page.push_str("</tbody></table></div>\n");
}

fn list(page: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    page.push_str(&format!("<h2>{}</h2>\n<ul>\n", escape(title)));
    for item in items {
        page.push_str(&format!("<li>{}</li>\n", prose(item)));
    }
    page.push_str("</ul>\n");
}

fn detail(page: &mut String, round: &RoundDocument, document: &Document) {
    page.push_str(&format!("<h2>Round {}: {}</h2>\n<dl>\n", round.number, round.phase.word()));
    let mut term = |name: &str, text: String| page.push_str(&format!("<dt>{name}</dt><dd>{text}</dd>\n"));
    term("Began", escape(&moment(round.begun)));
    if let Some(over) = round.over {
        term("Ended", escape(&moment(over)));
    }
    term("Repository", format!("<code>{}</code>", escape(&document.repository)));
    if let Some(snapshot) = &round.snapshot {
        term("Snapshot", format!("<code>{}</code> (<code>{}</code>)", escape(&snapshot.name), escape(&snapshot.uuid)));
        if let (Some(start), Some(end)) = (snapshot.start_time_in_millis, snapshot.end_time_in_millis) {
            term("Taken", format!("from {start} to {end} ms since 1970"));
        }
    }
    if let Some(copied) = &round.copied {
        term(
            "Copied",
            format!(
                "{} objects, {} bytes; {} were there; {} and {} requests to source and target",
                grouped(copied.objects),
                grouped(copied.bytes),
                grouped(copied.skipped),
                grouped(copied.requests[0]),
                grouped(copied.requests[1])
            ),
        );
    }
    if let Some(forecast) = &document.forecast {
        let go = match forecast.go {
            Go::Go => "short enough",
            Go::Wait => "longer than allowed",
            Go::Unknown => "no limit is set, or nothing to measure it by",
        };
        term("Outage foretold", format!("{} ({go})", escape(&seconds(forecast.seconds))));
    }
    page.push_str("</dl>\n<div class=\"wide\"><table><thead><tr><th>Step</th><th class=\"n\">Took</th><th class=\"n\">Begun</th><th>Outcome</th></tr></thead><tbody>\n");
    for step in &round.steps {
        let (class, told) = match &step.error {
            Some(error) => ("bad", prose(&error.message)),
            None if step.done => ("good", "done".to_owned()),
            None => ("odd", "interrupted".to_owned()),
        };
        page.push_str(&format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}×</td><td class=\"{class}\">{told}</td></tr>\n",
            step.step.word(),
            escape(&seconds(step.seconds)),
            step.tries
        ));
    }
    page.push_str("</tbody></table></div>\n");
}

fn rounds(page: &mut String, document: &Document) {
    if document.rounds.len() < 2 {
        return;
    }
    page.push_str("<h2>All rounds</h2>\n<div class=\"wide\"><table><thead><tr><th class=\"n\">#</th><th>Phase</th><th>Began</th><th class=\"n\">Took</th><th class=\"n\">Bytes copied</th><th class=\"n\">Bytes restored</th><th>Ended</th></tr></thead><tbody>\n");
    for round in &document.rounds {
        let end = round.end.and_then(|end| serde_json::to_value(end).ok());
        let end = end.as_ref().and_then(|end| end.as_str()).unwrap_or("not finished").to_owned();
        page.push_str(&format!(
            "<tr><td class=\"n\">{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>\n",
            round.number,
            round.phase.word(),
            escape(&moment(round.begun)),
            escape(&seconds(round.seconds)),
            grouped(round.bytes),
            grouped(round.restored_bytes),
            escape(&end)
        ));
    }
    page.push_str("</tbody></table></div>\n");
}

fn proofs(page: &mut String, indices: &[IndexLine]) {
    if indices.is_empty() {
        return;
    }
    page.push_str("<h2>What was compared, and what it proves</h2>\n");
    for one in indices {
        page.push_str(&format!("<details><summary><code>{}</code></summary>\n<ul>\n", escape(&one.index)));
        for level in &one.levels {
            page.push_str(&format!(
                "<li>level {}: <span class=\"{}\">{}</span>: {}",
                escape(&level.level.to_string()),
                of_verdict(level.verdict),
                escape(level.verdict.word()),
                prose(&level.proves)
            ));
            for difference in level.differences.iter().take(20) {
                let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".to_owned());
                page.push_str(&format!(
                    "<br>{}: {} at the source, {} at the target",
                    escape(&difference.what),
                    escape(&side(&difference.from)),
                    escape(&side(&difference.to))
                ));
            }
            page.push_str("</li>\n");
        }
        page.push_str("</ul></details>\n");
    }
}

/// A moment to the second, in UTC.
fn moment(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A time for people.
fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 60.0 => format!("{short:.1} s"),
        long if long < 3600.0 => format!("{:.1} min", long / 60.0),
        long => format!("{:.1} h", long / 3600.0),
    }
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(prose("`<b>` is <i>"), "<code>&lt;b&gt;</code> is &lt;i&gt;");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            (grouped(7), grouped(1234), grouped(1_000_000)),
            ("7".into(), "1\u{202f}234".into(), "1\u{202f}000\u{202f}000".into())
        );
        assert_eq!((seconds(3.12), seconds(90.0), seconds(7200.0)), ("3.1 s".into(), "1.5 min".into(), "2.0 h".into()));
    }
}
