//! The door to a pager: long lists are shown by a program that scrolls.
#![expect(clippy::disallowed_methods, reason = "this is the door to the pager")]

use std::io::Write;
use std::process::{Command, Stdio};

/// What is started when nobody says otherwise: it ends by itself where the text fits, and obeys colours only.
const PRESET: &str = "less";
const LESS_OPTIONS: &str = "FRX";

/// The words by which a person turns paging off.
const NONE: [&str; 2] = ["", "cat"];

/// The pager that `configured` names, preset where nothing does; `None` when it is turned off.
pub fn chosen(configured: Option<&str>) -> Option<Vec<String>> {
    let words: Vec<String> = configured
        .unwrap_or(PRESET)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let program = words.first().map_or("", String::as_str);
    (!NONE.contains(&program)).then_some(words)
}

/// Shows `text` in the pager `words` names, and comes back when the person has seen enough. The error says that it
/// could not be started: nothing has been shown then.
pub fn show(words: &[String], text: &str) -> std::io::Result<()> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(std::io::ErrorKind::NotFound.into());
    };
    // No shell: what stands in the variable is a program and its words, and nothing in it is run besides.
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS_OPTIONS);
    }
    // Ctrl-C belongs to the pager while it runs: without this, the prompt would come back below it.
    super::signals::heed_interrupt()?;
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // Whoever has seen enough closes the pipe.
        input.write_all(text.as_bytes()).unwrap_or_default();
    }
    child.wait().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pager_is_a_program_and_its_words_or_nothing() {
        let words = |text: Option<&str>| chosen(text).map(|words| words.join("|"));
        assert_eq!(words(None).as_deref(), Some("less"));
        assert_eq!(words(Some("less -S  -R")).as_deref(), Some("less|-S|-R"));
        assert_eq!(words(Some("cat")), None);
        assert_eq!(words(Some("  ")), None);
    }

    #[test]
    fn a_pager_that_is_not_there_is_an_error_and_not_a_lost_text() {
        let missing = ["no-such-pager-anywhere".to_owned()];
        assert!(show(&missing, "text").is_err());
    }
}
