//! What ffmpeg says on its error output, made fit for people.
//!
//! The lines quote names and metadata of foreign files. They are kept short and few, and lose control characters,
//! memory addresses (which differ each time) and the places of our own files.

use std::collections::VecDeque;
use std::io::{self, Read};

/// How many of the last lines are kept.
const LINES_MAX: usize = 20;
/// How much of a line is kept.
const LINE_CHARS_MAX: usize = 300;
/// The longest line that is passed on whole.
const LINE_BYTES_MAX: usize = 4096;

/// The last things ffmpeg said.
pub(super) struct Words {
    lines: VecDeque<String>,
    /// Texts that stand for something else to people, with what they stand for.
    names: Vec<(String, String)>,
    pub disk_full: bool,
    pub output_empty: bool,
}

impl Words {
    /// Nothing said yet; `names` are replaced in every line.
    pub fn new(names: Vec<(String, String)>) -> Words {
        Words {
            lines: VecDeque::new(),
            names,
            disk_full: false,
            output_empty: false,
        }
    }

    pub fn hear(&mut self, line: &str) {
        let line = line.trim();
        // Only at the end of a line: a file can have such a name.
        self.disk_full |= line.ends_with("No space left on device") || line.ends_with("Disk quota exceeded");
        self.output_empty |= line == "[fatal] Empty output";
        let line = self.clean(line);
        if line.is_empty() || self.lines.back() == Some(&line) {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }

    fn clean(&self, line: &str) -> String {
        let named = self
            .names
            .iter()
            .fold(line.to_owned(), |line, (text, name)| line.replace(text, name));
        let mut clean = String::new();
        let mut rest = named.as_str();
        while let Some((before, after)) = rest.split_once(" @ 0x") {
            clean.push_str(before);
            rest = after.trim_start_matches(|letter: char| letter.is_ascii_hexdigit());
        }
        clean.push_str(rest);
        let printable = clean.chars().map(|letter| if is_hidden(letter) { ' ' } else { letter });
        printable.take(LINE_CHARS_MAX).collect::<String>().trim().to_owned()
    }
}

/// Control characters, and those that turn the direction of writing.
fn is_hidden(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A reader that ends overlong lines, and takes an error for the end, so that whoever reads lines holds little.
pub(super) struct ShortLines<R> {
    inner: R,
    line_bytes: usize,
}

impl<R> ShortLines<R> {
    pub fn new(inner: R) -> ShortLines<R> {
        ShortLines { inner, line_bytes: 0 }
    }
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let length = match self.inner.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            result => result.unwrap_or(0),
        };
        for byte in &mut piece[..length] {
            self.line_bytes += 1;
            if self.line_bytes == LINE_BYTES_MAX {
                *byte = b'\n';
            }
            if matches!(byte, b'\n' | b'\r') {
                self.line_bytes = 0;
            }
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_addresses_places_and_control_characters() {
        let mut words = Words::new(vec![("file:/home/a/in.mp4".into(), "in.mp4".into())]);
        words.hear("[mov,mp4 @ 0x56465b3a6280] [error] moov atom not found\n");
        words.hear("file:/home/a/in.mp4: \u{1b}[31mInvalid\u{202e} data");
        words.hear("");
        assert_eq!(
            words.into_lines(),
            ["[mov,mp4] [error] moov atom not found", "in.mp4:  [31mInvalid  data"]
        );
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut words = Words::new(Vec::new());
        for number in 0..100 {
            words.hear(&format!("{number} {}", "x".repeat(1000)));
        }
        let lines = words.into_lines();
        assert_eq!((lines.len(), lines[0].chars().count()), (LINES_MAX, LINE_CHARS_MAX));
        assert!(lines[LINES_MAX - 1].starts_with("99 "));
    }

    #[test]
    fn a_line_without_an_end_is_ended() {
        let mut text = String::new();
        ShortLines::new("a\n".as_bytes().chain(io::repeat(b'x').take(10_000)))
            .read_to_string(&mut text)
            .unwrap();
        assert!(
            text.lines().all(|line| line.len() < LINE_BYTES_MAX),
            "{}",
            text.lines().count()
        );
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn a_file_called_like_an_error_is_not_one() {
        let mut words = Words::new(Vec::new());
        words.hear("[error] file:/a/No space left on device.mp4: Invalid data");
        assert!(!words.disk_full);
        words.hear("[error] av_interleaved_write_frame(): No space left on device");
        assert!(words.disk_full);
    }
}
