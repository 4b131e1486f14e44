//! Between bytes and an editor's lines and columns.
//!
//! Columns count units of UTF-16, or bytes where the client prefers these. Marks along the text keep a conversion short
//! in a line of any length: a file may be one line.

use lsp_types::{Position, Range};

use crate::script::syntax::Span;

/// Bytes between two marks.
const MARK_EVERY: usize = 256;

/// What a column counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Utf16,
    Utf8,
}

/// Where lines begin, and how many units of UTF-16 lie before each mark.
#[derive(Clone, Debug)]
pub struct Positions {
    encoding: Encoding,
    starts: Vec<u32>,
    /// For the byte `n * MARK_EVERY`, or the first of the character it lies in: that byte, and the units before it.
    marks: Vec<(u32, u32)>,
    length: u32,
}

impl Positions {
    pub fn of(text: &str, encoding: Encoding) -> Positions {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at as u32 + 1)).collect();
        let mut marks = Vec::with_capacity(text.len() / MARK_EVERY + 1);
        let (mut at, mut units) = (0, 0);
        for mark in (0..=text.len()).step_by(MARK_EVERY) {
            let mark = border(text, mark);
            units += units_of(&text[at..mark]);
            at = mark;
            marks.push((at as u32, units));
        }
        Positions {
            encoding,
            starts,
            marks,
            length: text.len() as u32,
        }
    }

    /// The byte at `position`. A column beyond its line is the line's end, a line beyond the text the text's.
    pub fn offset(&self, text: &str, position: Position) -> u32 {
        let Some(start) = self.starts.get(position.line as usize) else {
            return self.length;
        };
        let end = self.line_end(text, position.line as usize);
        match self.encoding {
            Encoding::Utf8 => {
                let at = (u64::from(*start) + u64::from(position.character)).min(u64::from(end));
                border(text, at as usize) as u32
            }
            Encoding::Utf16 => {
                let wanted = u64::from(self.units_before(text, *start)) + u64::from(position.character);
                self.at_units(text, wanted).clamp(*start, end)
            }
        }
    }

    pub fn position(&self, text: &str, offset: u32) -> Position {
        let offset = border(text, offset.min(self.length) as usize) as u32;
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        let start = self.starts[line];
        let character = match self.encoding {
            Encoding::Utf8 => offset - start,
            Encoding::Utf16 => self.units_before(text, offset) - self.units_before(text, start),
        };
        Position::new(line as u32, character)
    }

    pub fn range(&self, text: &str, span: Span) -> Range {
        Range::new(
            self.position(text, span.start),
            self.position(text, span.end.max(span.start)),
        )
    }

    /// The bytes of a line without its end.
    pub fn line(&self, text: &str, line: usize) -> Option<Span> {
        let start = *self.starts.get(line)?;
        Some(Span {
            start,
            end: self.line_end(text, line),
        })
    }

    pub fn line_of(&self, offset: u32) -> usize {
        self.starts.partition_point(|start| *start <= offset.min(self.length)) - 1
    }

    fn line_end(&self, text: &str, line: usize) -> u32 {
        let Some(next) = self.starts.get(line + 1) else {
            return self.length;
        };
        let end = next - 1;
        let has_return = end > self.starts[line] && text.as_bytes()[end as usize - 1] == b'\r';
        end - u32::from(has_return)
    }

    fn units_before(&self, text: &str, offset: u32) -> u32 {
        let after = self.marks.partition_point(|(at, _)| *at <= offset);
        let (at, units) = self.marks[after - 1];
        units + units_of(&text[at as usize..offset as usize])
    }

    /// The byte before which `wanted` units lie; within a character, that character's first.
    fn at_units(&self, text: &str, wanted: u64) -> u32 {
        let after = self.marks.partition_point(|(_, units)| u64::from(*units) <= wanted);
        let (at, units) = self.marks[after - 1];
        let mut units = u64::from(units);
        for (within, letter) in text[at as usize..].char_indices() {
            units += letter.len_utf16() as u64;
            if units > wanted {
                return at + within as u32;
            }
        }
        self.length
    }
}

/// The first byte of the character that the byte `at` belongs to.
fn border(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn units_of(text: &str) -> u32 {
    text.chars().map(|letter| letter.len_utf16() as u32).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_count_what_the_client_counts_and_stay_within_their_line() {
        let text = "let 𝄞 = 1;\r\nåb\n";
        let utf16 = Positions::of(text, Encoding::Utf16);
        let utf8 = Positions::of(text, Encoding::Utf8);
        let equals = text.find('=').expect("it is there") as u32;
        assert_eq!(utf16.position(text, equals), Position::new(0, 7));
        assert_eq!(utf8.position(text, equals), Position::new(0, 9));
        assert_eq!(utf16.offset(text, Position::new(0, 7)), equals);
        // Between the halves of a character there is nothing.
        assert_eq!(utf16.offset(text, Position::new(0, 5)), 4);
        // The end of a line is not part of it, whichever kind it is.
        assert_eq!(
            utf16.offset(text, Position::new(0, 99)) as usize,
            text.find('\r').expect("there")
        );
        assert_eq!(utf8.offset(text, Position::new(1, u32::MAX)) as usize, text.len() - 1);
        assert_eq!(utf16.offset(text, Position::new(7, 0)) as usize, text.len());
    }

    proptest! {
        #[test]
        fn every_character_is_found_again_where_it_was(text in "[a𝄞å\r\n]{0,900}") {
            for encoding in [Encoding::Utf16, Encoding::Utf8] {
                let positions = Positions::of(&text, encoding);
                for (at, letter) in text.char_indices() {
                    let position = positions.position(&text, at as u32);
                    let found = positions.offset(&text, position) as usize;
                    // Within the end of a line there is no place for a cursor.
                    let is_inside_end = letter == '\n' && text[..at].ends_with('\r');
                    prop_assert_eq!(found, if is_inside_end { at - 1 } else { at });
                    let line = &text[text[..at].rfind('\n').map_or(0, |end| end + 1)..at];
                    let count = match encoding {
                        Encoding::Utf16 => line.encode_utf16().count(),
                        Encoding::Utf8 => line.len(),
                    };
                    prop_assert_eq!(position.character as usize, count);
                }
            }
        }
    }
}
