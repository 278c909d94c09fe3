//! Questions to whoever sits at the terminal.

use std::io::{self, BufRead as _, IsTerminal as _};

use super::Session;

/// The answer to a question that can be answered by yes; none where nobody is there to answer.
pub(super) fn ask(session: &Session, question: &str) -> Option<bool> {
    if session.output.is_quiet() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    session.output.note(&format!("{question} [y/N]"));
    let mut answer = String::new();
    // Nothing else runs while the question stands.
    io::stdin().lock().read_line(&mut answer).ok()?;
    Some(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" Yes \n"));
        assert!(!is_yes("\n") && !is_yes("no\n") && !is_yes("yeah\n"));
    }
}
