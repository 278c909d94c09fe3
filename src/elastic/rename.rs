//! The rename rule of a restore, applied here as Elasticsearch will apply it: to know the final names before anything is sent.
//!
//! Elasticsearch calls Java's `replaceAll`. The pattern is compiled by another engine here, translated first (`java`); what that one
//! refuses (look-around, back references) is refused, and so is what the two read differently. The loop is Java's and not the
//! engine's own: Java also finds the empty match behind a match, so `(.*)` to `r-$1` makes `r-moviesr-`.

mod java;

use regex::{Captures, Regex};

use crate::error::{Error, ErrorKind, Result};

/// What Elasticsearch leaves in front of a data stream's backing index when it renames the stream.
const BACKING: &str = ".ds-";

/// A rename rule.
#[derive(Debug, Clone)]
pub struct Rename {
    /// As given, for Java.
    given: String,
    pattern: Regex,
    is_for_ascii: bool,
    replacement: String,
}

impl Rename {
    /// Reads a rule as `rename_pattern` and `rename_replacement` take it.
    ///
    /// Fails with [`ErrorKind::Invalid`] when the pattern is malformed or needs what only Java's engine has, or when the
    /// replacement names a group that is not there.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self> {
        let refused = |why: String| {
            Error::new(ErrorKind::Invalid, format!("use the rename pattern `{pattern}`"))
                .because(why)
                .hint("use a plain regular expression, for example `(.+)` with the replacement `restored-$1`")
        };
        let java::Translated { pattern: ours, is_for_ascii } = java::translate(pattern).map_err(refused)?;
        let regex = Regex::new(&ours).map_err(|error| {
            // The engine draws a picture over several lines; its last line is the message.
            let text = error.to_string();
            refused(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
        })?;
        let rule =
            Self { given: pattern.to_owned(), pattern: regex, is_for_ascii, replacement: replacement.to_owned() };
        rule.check()?;
        Ok(rule)
    }

    /// The pattern as given.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.given
    }

    /// Whether the name that [`Rename::apply`] makes of this one is the one that the cluster will make, whatever Java it runs on.
    ///
    /// `\b` changed its meaning with Java 19 and `(?i)` is about ASCII there, so that neither is foretold for other names. Nor is
    /// anything for characters that Java keeps in two halves or takes for the end of a line.
    #[must_use]
    pub fn is_certain_for(&self, name: &str) -> bool {
        let is_plain = |letter: char| letter <= '\u{FFFF}' && !matches!(letter, '\u{85}' | '\u{2028}' | '\u{2029}');
        name.is_ascii() || (!self.is_for_ascii && name.chars().all(is_plain))
    }

    /// The replacement as given.
    #[must_use]
    pub fn replacement(&self) -> &str {
        &self.replacement
    }

    /// The final name of an index.
    #[must_use]
    pub fn apply(&self, name: &str) -> String {
        let mut renamed = String::new();
        let mut copied = 0;
        let mut from = 0;
        while from <= name.len() {
            let Some(captures) = self.pattern.captures_at(name, from) else { break };
            let Some(whole) = captures.get(0) else { break };
            renamed.push_str(&name[copied..whole.start()]);
            self.expand(Some(&captures), &mut renamed).expect("the replacement was checked when the rule was made");
            copied = whole.end();
            from = match name[whole.end()..].chars().next() {
                _ if !whole.is_empty() => whole.end(),
                Some(next) => whole.end() + next.len_utf8(),
                None => name.len() + 1,
            };
        }
        renamed.push_str(&name[copied..]);
        renamed
    }

    /// The final name of an index that belongs to a data stream: the prefix stays, the rule sees the rest.
    #[must_use]
    pub fn apply_to_backing(&self, name: &str) -> String {
        match name.strip_prefix(BACKING) {
            Some(rest) => format!("{BACKING}{}", self.apply(rest)),
            None => self.apply(name),
        }
    }

    fn check(&self) -> Result<()> {
        self.expand(None, &mut String::new()).map_err(|cause| {
            Error::new(ErrorKind::Invalid, format!("use the rename replacement `{}`", self.replacement))
                .because(cause)
                .hint("write `$1` for the first group of the pattern and `\\$` for a dollar sign")
        })
    }

    /// Java's `Matcher.appendReplacement`; without captures it only checks.
    fn expand(&self, captures: Option<&Captures<'_>>, renamed: &mut String) -> Result<(), String> {
        let groups = self.pattern.captures_len();
        let group = |number: usize| captures.and_then(|found| found.get(number)).map_or("", |found| found.as_str());
        let mut rest = self.replacement.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\\' => renamed.push(rest.next().ok_or("it ends with a lone `\\`")?),
                '$' if rest.peek() == Some(&'{') => {
                    let name: String = rest.by_ref().skip(1).take_while(|next| *next != '}').collect();
                    let known = self.pattern.capture_names().flatten().any(|known| known == name);
                    if !known {
                        return Err(format!("the pattern has no group called `{name}`"));
                    }
                    renamed.push_str(captures.and_then(|found| found.name(&name)).map_or("", |found| found.as_str()));
                }
                '$' => {
                    let digit =
                        |next: Option<&char>| next.and_then(|next| next.to_digit(10)).map(|digit| digit as usize);
                    let mut number = digit(rest.peek()).ok_or("a `$` is not followed by a group's number")?;
                    rest.next();
                    if number >= groups {
                        return Err(format!("the pattern has no group {number}"));
                    }
                    // Further digits belong to the number only as long as such a group exists.
                    while let Some(longer) = digit(rest.peek()).map(|digit| number * 10 + digit) {
                        if longer >= groups {
                            break;
                        }
                        number = longer;
                        rest.next();
                    }
                    renamed.push_str(group(number));
                }
                plain => renamed.push(plain),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(pattern: &str, replacement: &str, name: &str) -> String {
        Rename::new(pattern, replacement).unwrap().apply(name)
    }

    #[test]
    fn every_match_is_replaced_and_groups_are_filled_in() {
        assert_eq!(renamed("(.+)", "r-$1", "movies"), "r-movies");
        assert_eq!(renamed("o", "0", "foo-bo"), "f00-b0");
        assert_eq!(renamed("^", "x-", "movies"), "x-movies");
        assert_eq!(renamed("logs-(\\d+)", "$1-$0", "logs-7"), "7-logs-7");
        assert_eq!(renamed("(?<year>\\d{4})", "y${year}", "a-2024"), "a-y2024");
    }

    #[test]
    fn a_star_matches_once_more_behind_the_end_as_in_java() {
        assert_eq!(renamed("(.*)", "r-$1", "movies"), "r-moviesr-");
        assert_eq!(renamed("x*", "-", "ab"), "-a-b-");
    }

    #[test]
    fn a_number_takes_as_many_digits_as_there_are_groups() {
        assert_eq!(renamed("(m)", "$12", "m"), "m2");
        assert_eq!(renamed("m", "\\$1", "m"), "$1");
    }

    #[test]
    fn what_java_would_refuse_or_only_java_knows_is_refused_first() {
        for (pattern, replacement) in [("(", "x"), ("a", "$1"), ("a", "$"), ("a", "x\\"), ("a", "${b}"), ("(?=a)", "x")]
        {
            let error = Rename::new(pattern, replacement).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{pattern} {replacement}");
            assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn words_digits_and_blanks_are_ascii_as_in_java() {
        // What `"ümlaut".replaceAll(…)` makes of it in Java.
        assert_eq!(renamed("^\\w", "x", "ümlaut"), "ümlaut");
        assert_eq!(renamed("^\\W(\\w+)", "x-$1", "ümlaut"), "x-mlaut");
        assert_eq!(renamed("^[\\w-]+$", "x", "a-ü"), "a-ü");
        assert_eq!(renamed("[^\\w-]", "_", "a-ü"), "a-_");
        assert_eq!(renamed("\\d+", "n", "a-7-٣"), "a-n-٣");
        assert_eq!(renamed("\\D", "", "7٣"), "7");
        assert_eq!(renamed("\\S", "x", "\u{a0}"), "x");
        assert_eq!(renamed("a.b", "x", "aüb"), "x");
        let rule = Rename::new("^\\w", "x").unwrap();
        assert_eq!(rule.pattern(), "^\\w", "Java gets it as it was given");
        assert!(rule.is_certain_for("ümlaut") && !rule.is_certain_for("a\u{1F600}"));
    }

    #[test]
    fn what_depends_on_the_release_of_java_is_uncertain_but_for_ascii() {
        for pattern in ["\\b(m)", "o\\B", "(?i)K"] {
            let rule = Rename::new(pattern, "x").unwrap();
            assert!(rule.is_certain_for("movies") && !rule.is_certain_for("ümlaut"), "{pattern}");
        }
    }

    #[test]
    fn what_both_engines_take_and_read_differently_is_refused() {
        let patterns = [
            "(.*+)-x",
            "a**",
            "(a{2})++",
            "[[:alpha:]]",
            "[a-z&&[^b]]",
            "[a--b]",
            "[a~~b]",
            "\\p{Punct}",
            "\\p{Alpha}",
            "(?U)\\w",
            "(?x)a b",
            "(?P<a>b)",
            "(?<a_b>c)",
            "a{,3}",
            "\\<a",
            "\\v",
            "\\b{start}a",
            "[\\b]",
        ];
        for pattern in patterns {
            assert!(Rename::new(pattern, "x").is_err(), "{pattern}");
        }
        for pattern in ["a+?", "[]a]", "[^-]", "\\p{L}+", "\\pL", "(?:a|b){2,3}", "\\.\\-\\#", "[\\[\\]]", "a{2}?"] {
            assert!(Rename::new(pattern, "x").is_ok(), "{pattern}");
        }
    }

    #[test]
    fn a_backing_index_keeps_its_prefix() {
        let rule = Rename::new("(.+)", "r-$1").unwrap();
        assert_eq!(rule.apply_to_backing(".ds-logs-x-2024.01.01-000001"), ".ds-r-logs-x-2024.01.01-000001");
    }
}
