//! Numbers as people read them: with a unit, a noun, and thousands apart.

use std::fmt;
use std::time::Duration;

/// A number of bytes: `3.1 GiB`.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Bytes(pub(in crate::cli) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        for unit in ["KiB", "MiB", "GiB", "TiB"] {
            value /= 1024.0;
            if value < 1023.95 || unit == "TiB" {
                return write!(f, "{value:.1} {unit}");
            }
        }
        Ok(())
    }
}

/// A number of things: `1 object`, `1,204 objects`.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Count(pub(in crate::cli) u64, pub(in crate::cli) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", grouped(self.0), self.1)
    }
}

/// `1204` as `1,204`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration: `0.4 s`, `42 s`, `3 min 05 s`, `2 h 07 min`.
pub(in crate::cli) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_nouns() {
        assert_eq!(Bytes(512).to_string(), "512 B");
        assert_eq!(Bytes(3_328_599_654).to_string(), "3.1 GiB");
        assert_eq!(Bytes(1024 * 1024 - 1).to_string(), "1.0 MiB");
        assert_eq!(Count(1, "object").to_string(), "1 object");
        assert_eq!(Count(1_234_567, "object").to_string(), "1,234,567 objects");
        assert_eq!(elapsed(Duration::from_secs(185)), "3 min 05 s");
    }
}
