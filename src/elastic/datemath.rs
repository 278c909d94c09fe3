//! Names with dates in them: `<nightly-{now/d}>`, in Elasticsearch's date math, resolved here so that the name is known.
//!
//! `<`, text, `{` expression `}`, text, `>`. The expression is `now` with `+1d`, `-2M` and `/d` behind it, any number of them; then
//! perhaps `{` format `}`, and in it behind `|` an offset such as `+08:00`. Without a format it is `yyyy.MM.dd`, without an
//! offset UTC. `\` takes its meaning from a brace. The form is that of index names in Elasticsearch's documentation
//! ("Date math support in system and index settings").

use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, ToSpan as _};

use super::name;
use crate::error::{Error, ErrorKind, Result};

/// The name of a snapshot when none is given: unique to the second.
pub const DEFAULT: &str = "<snap-{now{yyyy.MM.dd-HH.mm.ss}}>";

/// The name that `template` means at `now`, checked as a snapshot's name. What is in no angle brackets is a name itself.
///
/// Fails with [`ErrorKind::Invalid`] where the template is malformed, or gives a name that no snapshot may have.
pub fn resolve(template: &str, now: Timestamp) -> Result<String> {
    let wrong = |cause: String| {
        Error::new(ErrorKind::Invalid, format!("make a snapshot name of `{template}`"))
            .because(cause)
            .hint("write a name, or a template such as `<nightly-{now/d}>` or `<snap-{now{yyyy.MM.dd-HH.mm|+08:00}}>`")
    };
    let name = match template.strip_prefix('<') {
        Some(rest) => {
            let inner = rest.strip_suffix('>').ok_or_else(|| wrong("it has no `>` at its end".into()))?;
            expand(inner, now).map_err(wrong)?
        }
        None => template.to_owned(),
    };
    name::check("snapshot", &name).map_err(|error| wrong(error.cause().unwrap_or_default()))?;
    if name.contains(['{', '}']) {
        return Err(wrong("a template stands in `<` and `>`".into()));
    }
    if name != name.to_lowercase() {
        return Err(wrong(format!("`{name}` is not in lower case")));
    }
    Ok(name)
}

fn expand(inner: &str, now: Timestamp) -> Result<String, String> {
    let mut name = String::new();
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => name.push(rest.next().ok_or("it ends with a lone `\\`")?),
            '{' => {
                let (expression, behind) = braced(rest.as_str())?;
                name.push_str(&evaluate(expression, now)?);
                rest = behind.chars();
            }
            '}' => return Err("a `}` has no `{` before it".into()),
            plain => name.push(plain),
        }
    }
    Ok(name)
}

/// What is within a pair of braces that has been opened, and what is behind it.
fn braced(text: &str) -> Result<(&str, &str), String> {
    let mut depth = 1_u32;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((&text[..at], &text[at + 1..]));
        }
    }
    Err("a `{` has no `}` behind it".into())
}

fn evaluate(expression: &str, now: Timestamp) -> Result<String, String> {
    let (math, format) = match expression.split_once('{') {
        Some((math, format)) => (math, format.strip_suffix('}').ok_or("the format has no `}` at its end")?),
        None => (expression, "yyyy.MM.dd"),
    };
    let (format, offset) = format.split_once('|').unwrap_or((format, "UTC"));
    let zone = TimeZone::fixed(parse_offset(offset)?);
    let math = math.trim().strip_prefix("now").ok_or_else(|| format!("`{math}` does not begin with `now`"))?;
    render(calculate(math, now.to_zoned(zone).datetime())?, format)
}

fn parse_offset(text: &str) -> Result<Offset, String> {
    let wrong = || format!("`{text}` is no offset from UTC such as `+08:00`");
    if matches!(text, "UTC" | "Z") {
        return Ok(Offset::UTC);
    }
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("+", digits)) => (1, digits.replace(':', "")),
        Some(("-", digits)) => (-1, digits.replace(':', "")),
        _ => return Err(wrong()),
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = |text: &str| text.parse::<i32>().map_err(|_| wrong());
    let (hours, minutes) = (number(&digits[..2])?, number(&digits[2..])?);
    if hours > 18 || minutes > 59 {
        return Err(wrong());
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).map_err(|_| wrong())
}

/// Applies `+1d`, `-2M`, `/d`, one after the other.
fn calculate(math: &str, mut time: DateTime) -> Result<DateTime, String> {
    let mut rest = math.trim();
    while let Some(operation) = rest.chars().next() {
        let tail = &rest[operation.len_utf8()..];
        let digits = tail.len() - tail.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
        let unit = tail[digits..].chars().next().ok_or_else(|| format!("`{rest}` names no unit"))?;
        let far = || format!("`{math}` leads out of the calendar");
        time = match operation {
            '/' if digits == 0 => round(time, unit)?,
            '+' | '-' => {
                let count: i64 = if digits == 0 { 1 } else { tail[..digits].parse().map_err(|_| far())? };
                let span = span(unit, if operation == '-' { -count } else { count })?;
                time.checked_add(span).map_err(|_| far())?
            }
            _ => return Err(format!("`{rest}` is neither `+1d`, `-1d` nor `/d`")),
        };
        rest = tail[digits + unit.len_utf8()..].trim_start();
    }
    Ok(time)
}

fn span(unit: char, count: i64) -> Result<Span, String> {
    let small = |most: i64| if count.abs() > most { Err(format!("{count} is too many")) } else { Ok(count) };
    Ok(match unit {
        'y' => small(9000)?.years(),
        'M' => small(100_000)?.months(),
        'w' => small(400_000)?.weeks(),
        'd' => small(3_000_000)?.days(),
        'h' | 'H' => small(70_000_000)?.hours(),
        'm' => small(4_000_000_000)?.minutes(),
        's' => small(200_000_000_000)?.seconds(),
        other => return Err(format!("`{other}` is no unit: there are y, M, w, d, h, m and s")),
    })
}

/// The beginning of the unit that the time is in.
fn round(time: DateTime, unit: char) -> Result<DateTime, String> {
    let date = time.date();
    let clock = |hour, minute, second| date.to_datetime(Time::constant(hour, minute, second, 0));
    Ok(match unit {
        'y' => date.first_of_year().to_datetime(Time::midnight()),
        'M' => date.first_of_month().to_datetime(Time::midnight()),
        'w' => {
            let back = i64::from(date.weekday().to_monday_zero_offset());
            date.checked_sub(back.days()).map_err(|error| error.to_string())?.to_datetime(Time::midnight())
        }
        'd' => date.to_datetime(Time::midnight()),
        'h' | 'H' => clock(time.hour(), 0, 0),
        'm' => clock(time.hour(), time.minute(), 0),
        's' => clock(time.hour(), time.minute(), time.second()),
        other => return Err(format!("`{other}` is no unit: there are y, M, w, d, h, m and s")),
    })
}

/// The letters of Java's formats that stand for numbers.
fn render(time: DateTime, format: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = format;
    while let Some(letter) = rest.chars().next() {
        let count = rest.len() - rest.trim_start_matches(letter).len();
        let width = count / letter.len_utf8();
        let two = |number: i64| format!("{number:0width$}");
        match (letter, width) {
            ('y' | 'u', 2) => text.push_str(&format!("{:02}", time.year() % 100)),
            ('y' | 'u', 1 | 4) => text.push_str(&two(i64::from(time.year()))),
            ('M', 1 | 2) => text.push_str(&two(i64::from(time.month()))),
            ('d', 1 | 2) => text.push_str(&two(i64::from(time.day()))),
            ('D', 1..=3) => text.push_str(&two(i64::from(time.day_of_year()))),
            ('H', 1 | 2) => text.push_str(&two(i64::from(time.hour()))),
            ('m', 1 | 2) => text.push_str(&two(i64::from(time.minute()))),
            ('s', 1 | 2) => text.push_str(&two(i64::from(time.second()))),
            ('S', 3) => text.push_str(&two(i64::from(time.millisecond()))),
            ('\'', _) => {
                let (quoted, behind) = rest[1..].split_once('\'').ok_or("a `'` has no other behind it")?;
                text.push_str(quoted);
                rest = behind;
                continue;
            }
            (letter, _) if letter.is_alphabetic() => {
                return Err(format!("`{}` is no part of a format known here", &rest[..count]));
            }
            _ => text.push_str(&rest[..count]),
        }
        rest = &rest[count..];
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(template: &str) -> Result<String> {
        resolve(template, "2024-03-22T21:34:56.789Z".parse().unwrap())
    }

    /// The examples of Elasticsearch's documentation, which all stand at 22 March 2024, noon UTC.
    #[test]
    fn the_examples_of_the_documentation_come_out_as_there() {
        let noon = "2024-03-22T12:00:00Z".parse().unwrap();
        for (template, name) in [
            ("<logstash-{now/d}>", "logstash-2024.03.22"),
            ("<logstash-{now/M}>", "logstash-2024.03.01"),
            ("<logstash-{now/M{yyyy.MM}}>", "logstash-2024.03"),
            ("<logstash-{now/M-1M{yyyy.MM}}>", "logstash-2024.02"),
            ("<logstash-{now/d{yyyy.MM.dd|+12:00}}>", "logstash-2024.03.23"),
            (r"<elastic\{on\}-{now/M}>", ""),
        ] {
            match resolve(template, noon) {
                Ok(found) => assert_eq!(found, name),
                Err(error) => assert!(name.is_empty() && error.to_string().contains("template"), "{error}"),
            }
        }
    }

    #[test]
    fn units_are_added_and_rounded_in_order() {
        assert_eq!(at("<s-{now+1d/d}>").unwrap(), "s-2024.03.23");
        assert_eq!(at("<s-{now/w}-{now/y{yyyy}}>").unwrap(), "s-2024.03.18-2024");
        assert_eq!(at("<s-{now-1h{HH.mm.ss}}>").unwrap(), "s-20.34.56");
        assert_eq!(at("<s-{now{yyyy-MM-dd't'HH|+08:00}}>").unwrap(), "s-2024-03-23t05");
        assert_eq!(at("<s-{now{yy.D}}>").unwrap(), "s-24.82");
        assert_eq!(at(DEFAULT).unwrap(), "snap-2024.03.22-21.34.56");
        assert_eq!(at("nightly").unwrap(), "nightly");
    }

    #[test]
    fn what_is_no_template_or_gives_no_name_is_refused() {
        for wrong in [
            "<a",
            "<a-{now>",
            "<a-}>",
            "<a-{then}>",
            "<a-{now+d2}>",
            "<a-{now/q}>",
            "<a-{now{EEE}}>",
            "<a-{now{yyyy|Europe/Rome}}>",
            "<A-{now/d}>",
            "a-{now/d}",
            "<a b-{now}>",
            "<_a-{now}>",
            "",
            "<>",
            "<a-{now+99999y}>",
            "<a-{now{yyyy|+99:00}}>",
            "<a-{now+",
            "<a-{now{'x}}>",
            "<ä-{now+ä}>",
            "<a-{nowä}>",
        ] {
            let error = at(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
            assert!(error.advice().unwrap().contains("now/d"));
        }
    }
}
