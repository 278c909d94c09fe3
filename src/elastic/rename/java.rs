//! A pattern of Java's engine, written so that the engine here reads it the same way.
//!
//! 1. `\w`, `\d`, `\s` and their opposites mean ASCII in Java and all of Unicode here: they become classes of ASCII characters.
//! 2. What both engines take and read differently, and what only the one here takes, is refused: a name foretold wrongly is an index
//!    deleted wrongly.
//! 3. What depends on the release of Java (`\b`) or differs only for other characters than ASCII (`(?i)`) is told: see
//!    [`Translated::is_for_ascii`].

use std::iter::Peekable;
use std::str::Chars;

/// A pattern for the engine here.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) pattern: String,
    /// Both engines agree on ASCII names only.
    pub(super) is_for_ascii: bool,
}

/// Translates a pattern. The error says what is refused.
pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let mut scanner = Scanner {
        rest: pattern.chars().peekable(),
        done: Translated { pattern: String::new(), is_for_ascii: false },
        is_quantified: false,
    };
    scanner.run()?;
    Ok(scanner.done)
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    done: Translated,
    /// What was read last is a quantifier.
    is_quantified: bool,
}

impl Scanner<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(character) = self.rest.next() {
            let was_quantified = std::mem::take(&mut self.is_quantified);
            match character {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '*' | '+' | '?' | '{' => {
                    // After a quantifier, `+` makes it possessive in Java and repeats it here.
                    if was_quantified {
                        return Err("a quantifier stands behind another one".to_owned());
                    }
                    self.quantifier(character)?;
                }
                plain => self.done.pattern.push(plain),
            }
        }
        Ok(())
    }

    fn quantifier(&mut self, first: char) -> Result<(), String> {
        self.done.pattern.push(first);
        if first == '{' {
            if !self.rest.peek().is_some_and(char::is_ascii_digit) {
                return Err("a `{` is not followed by a number; write `\\{` for a brace".to_owned());
            }
            for next in self.rest.by_ref() {
                self.done.pattern.push(next);
                if next == '}' {
                    break;
                }
            }
        }
        self.done.pattern.extend(self.rest.next_if_eq(&'?'));
        self.is_quantified = true;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(escaped) = self.rest.next() else { return Err("it ends with a lone `\\`".to_owned()) };
        let class = match escaped {
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            'd' => "[0-9]",
            'D' => "[^0-9]",
            's' => r"[\t\n\x0B\f\r ]",
            'S' => r"[^\t\n\x0B\f\r ]",
            'b' | 'B' if self.rest.peek() != Some(&'{') => {
                self.done.is_for_ascii = true;
                if escaped == 'b' { r"(?-u:\b)" } else { r"\B" }
            }
            // Alike in both engines.
            'A' | 'z' | 'a' | 'f' | 't' | 'n' | 'r' | 'x' | 'u' => {
                self.done.pattern.push('\\');
                self.done.pattern.push(escaped);
                return Ok(());
            }
            'p' | 'P' => return self.category(escaped),
            '<' | '>' => {
                return Err(format!("`\\{escaped}` is the edge of a word to one engine and a character to the other"));
            }
            other if other.is_ascii_punctuation() || other == ' ' => {
                self.done.pattern.push('\\');
                self.done.pattern.push(other);
                return Ok(());
            }
            other => return Err(format!("`\\{other}` is not known, or not to both engines alike")),
        };
        self.done.pattern.push_str(class);
        Ok(())
    }

    /// The general categories are the same everywhere; `\p{Alpha}` and the like are ASCII in Java and Unicode here.
    fn category(&mut self, escaped: char) -> Result<(), String> {
        let name: String = match self.rest.next() {
            Some('{') => self.rest.by_ref().take_while(|next| *next != '}').collect(),
            one => one.into_iter().collect(),
        };
        if !matches!(name.len(), 1 | 2) || !name.chars().all(|letter| letter.is_ascii_alphabetic()) {
            return Err(format!(
                "`\\{escaped}{{{name}}}` is not read alike by both engines; write the characters as a class"
            ));
        }
        self.done.pattern.push_str(&format!("\\{escaped}{{{name}}}"));
        Ok(())
    }

    /// From behind the `[` to its `]`.
    fn class(&mut self) -> Result<(), String> {
        self.done.pattern.push('[');
        self.done.pattern.extend(self.rest.next_if_eq(&'^'));
        let mut is_first = true;
        while let Some(character) = self.rest.next() {
            match character {
                ']' if !is_first => {
                    self.done.pattern.push(']');
                    return Ok(());
                }
                '\\' => match self.rest.peek() {
                    // No edges of words in a class: Java refuses `\b` there, and here it would be one.
                    Some('b' | 'B' | 'A' | 'z') => return Err("an anchor stands in a class".to_owned()),
                    _ => self.escape()?,
                },
                // Java's releases do not agree among themselves on classes in classes, and `[:alpha:]` is one.
                '[' => return Err("a class stands in a class; write `\\[` for a bracket".to_owned()),
                twice @ ('&' | '-' | '~') if self.rest.peek() == Some(&twice) => {
                    return Err(format!("`{twice}{twice}` in a class is not read alike by both engines"));
                }
                plain => self.done.pattern.push(plain),
            }
            is_first = false;
        }
        Err("a class is not closed".to_owned())
    }

    fn group(&mut self) -> Result<(), String> {
        self.done.pattern.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.done.pattern.push('?');
        match self.rest.next() {
            Some(':') => self.done.pattern.push(':'),
            Some('i') => {
                self.done.is_for_ascii = true;
                self.done.pattern.push('i');
                match self.rest.next() {
                    Some(end @ (')' | ':')) => self.done.pattern.push(end),
                    _ => return Err("of the flags only `(?i)` is read alike by both engines".to_owned()),
                }
            }
            Some('<') => {
                let name: String = self.rest.by_ref().take_while(|next| *next != '>').collect();
                let is_java = name.starts_with(|first: char| first.is_ascii_alphabetic())
                    && name.chars().all(|letter| letter.is_ascii_alphanumeric());
                if !is_java {
                    return Err(format!(
                        "`(?<{name}` is look-around or no name of a group; Java takes letters and digits"
                    ));
                }
                self.done.pattern.push_str(&format!("<{name}>"));
            }
            Some(other) => return Err(format!("`(?{other}` is not known, or not to both engines alike")),
            None => return Err("a group is not closed".to_owned()),
        }
        Ok(())
    }
}
