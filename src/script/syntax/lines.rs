//! Between bytes, lines and columns: of people and Rhai (characters, from 1), and of editors (UTF-16, from 0).

use super::tree::Span;

/// Where the lines of a text begin. Offsets beyond the text, or within a character, are brought back into it.
#[derive(Clone, Debug)]
pub struct Lines {
    starts: Vec<u32>,
    length: u32,
}

impl Lines {
    pub fn of(text: &str) -> Lines {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Lines {
            starts: std::iter::once(0).chain(ends.map(|(at, _)| at as u32 + 1)).collect(),
            length: text.len() as u32,
        }
    }

    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// The line of a byte, from 0.
    pub fn line_of(&self, offset: u32) -> usize {
        self.starts.partition_point(|start| *start <= offset.min(self.length)) - 1
    }

    /// The bytes of a line, its end not included.
    pub fn span(&self, text: &str, line: usize) -> Span {
        let line = line.min(self.count() - 1);
        let start = self.starts[line];
        let end = self.starts.get(line + 1).map_or(self.length, |next| *next - 1);
        let length = text[start as usize..end as usize].trim_end_matches('\r').len() as u32;
        Span {
            start,
            end: start + length,
        }
    }

    /// Line and column as Rhai and people count: from 1, in characters.
    pub fn place(&self, text: &str, offset: u32) -> (u32, u32) {
        let line = self.line_of(offset);
        let before = self.before(text, line, offset);
        (line as u32 + 1, before.chars().count() as u32 + 1)
    }

    /// The byte at a line and column as Rhai counts; the end of the line when it is shorter.
    pub fn offset(&self, text: &str, line: u32, column: u32) -> u32 {
        let span = self.span(text, line.saturating_sub(1) as usize);
        let within = &text[span.start as usize..span.end as usize];
        let at = within.char_indices().nth(column.saturating_sub(1) as usize);
        span.start + at.map_or(within.len(), |(at, _)| at) as u32
    }

    /// Line and column as editors count: from 0, in units of UTF-16.
    pub fn utf16(&self, text: &str, offset: u32) -> (u32, u32) {
        let line = self.line_of(offset);
        let before = self.before(text, line, offset);
        (line as u32, before.encode_utf16().count() as u32)
    }

    /// The byte at a line and column as editors count; the end of the line when it is shorter.
    pub fn offset_utf16(&self, text: &str, line: u32, column: u32) -> u32 {
        if line as usize >= self.count() {
            return self.length;
        }
        let span = self.span(text, line as usize);
        let within = &text[span.start as usize..span.end as usize];
        let mut units = 0;
        for (at, letter) in within.char_indices() {
            units += letter.len_utf16() as u32;
            if units > column {
                return span.start + at as u32;
            }
        }
        span.end
    }

    fn before<'t>(&self, text: &'t str, line: usize, offset: u32) -> &'t str {
        let start = self.starts[line] as usize;
        let mut end = (offset.min(self.length) as usize).max(start);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[start..end]
    }
}
