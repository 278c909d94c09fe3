//! The server's clock, and the forms in which times travel.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Now, by a clock that is this many seconds ahead.
pub(crate) fn now(ahead: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + ahead).expect("a test's clock is near ours")
}

/// `Sat, 21 Nov 2026 12:00:00 GMT`
pub(crate) fn http(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `2026-11-21T12:00:00.000Z`
pub(crate) fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// `20261121T120000Z`
pub(crate) fn basic(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Reads what [`http`] writes.
pub(crate) fn read_http(text: &str) -> Option<Timestamp> {
    read(text, "%a, %d %b %Y %H:%M:%S GMT")
}

/// Reads what [`basic`] writes.
pub(crate) fn read_basic(text: &str) -> Option<Timestamp> {
    read(text, "%Y%m%dT%H%M%SZ")
}

fn read(text: &str, format: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(format, text).ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp())
}
