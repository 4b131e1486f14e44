//! Some fields of a stored document, without reading the rest of it.
//!
//! Documents are MessagePack. A question over a whole collection wants three fields of thirty: [`Columns::skim`] walks
//! over the bytes once, borrows the wanted texts and numbers, and steps over everything else. What it finds is what
//! [`Value::from_bytes`] would have found; bytes that are no document are an error and never a panic.

use std::borrow::Cow;

use super::cell::Cell;
use super::field::FieldPath;
use crate::value::{Map, Value};

/// The bytes are no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotADocument;

/// So many columns need no room of their own.
const FEW: usize = 8;

type Skimmed<T> = Result<T, NotADocument>;

/// The fields that are looked at, each a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    paths: Vec<FieldPath>,
    names: Names,
}

/// The names that lead on from one place.
#[derive(Clone, Debug, Default)]
struct Names(Vec<Name>);

#[derive(Clone, Debug)]
struct Name {
    name: String,
    column: Option<usize>,
    below: Names,
}

impl Columns {
    /// The column of `path`, made when there is none.
    pub(super) fn column(&mut self, path: &FieldPath) -> usize {
        if let Some(column) = self.paths.iter().position(|present| present == path) {
            return column;
        }
        let column = self.paths.len();
        self.paths.push(path.clone());
        self.names.add(path.as_str(), column);
        column
    }

    pub(super) fn count(&self) -> usize {
        self.paths.len()
    }

    pub(super) fn path(&self, column: usize) -> &FieldPath {
        &self.paths[column]
    }

    /// The cells of a document's data, `None` where a path leads nowhere.
    pub(super) fn of_map<'a>(&self, data: &'a Map, cells: &mut Vec<Option<Cell<'a>>>) {
        cells.clear();
        cells.extend(self.paths.iter().map(|path| path.find(data).map(Cell::of)));
    }

    /// Shows the same of a document as it is stored to `look`.
    pub(super) fn skim<'a, T>(&self, bytes: &'a [u8], look: impl FnOnce(&[Option<Cell<'a>>]) -> T) -> Skimmed<T> {
        // A question over a collection comes here for each document: no room is asked for where there are few columns.
        let (mut few, mut many) = ([const { None }; FEW], Vec::new());
        let cells = match few.get_mut(..self.paths.len()) {
            Some(few) => few,
            None => {
                many.resize_with(self.paths.len(), || None);
                &mut many[..]
            }
        };
        let mut reader = Reader { rest: bytes };
        match reader.token()? {
            Token::Map(fields) => reader.fields(fields, &self.names, cells)?,
            _ => return Err(NotADocument),
        }
        Ok(look(cells))
    }
}

impl Names {
    #[inline]
    fn find(&self, field: &[u8]) -> Option<&Name> {
        // Most fields are not wanted, and most of those are told by length and one byte.
        let is_it = |known: &&Name| {
            let name = known.name.as_bytes();
            name.len() == field.len() && name.last() == field.last() && name == field
        };
        self.0.iter().find(is_it)
    }

    fn add(&mut self, path: &str, column: usize) {
        let (first, rest) = match path.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let at = match self.0.iter().position(|known| known.name == first) {
            Some(at) => at,
            None => {
                self.0.push(Name {
                    name: first.to_owned(),
                    column: None,
                    below: Names::default(),
                });
                self.0.len() - 1
            }
        };
        match rest {
            Some(rest) => self.0[at].below.add(rest, column),
            None => self.0[at].column = Some(column),
        }
    }
}

/// The beginning of one value.
enum Token<'a> {
    Scalar(Cell<'a>),
    /// Items follow.
    List,
    /// So many fields follow.
    Map(usize),
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Goes through the fields of a map, and stops after the last that is wanted.
    fn fields(&mut self, count: usize, names: &Names, cells: &mut [Option<Cell<'a>>]) -> Skimmed<()> {
        let mut wanted = names.0.len();
        for _ in 0..count {
            if wanted == 0 {
                return Ok(());
            }
            let field = self.name()?;
            match names.find(field) {
                None => self.skip()?,
                Some(name) => {
                    self.value(name, cells)?;
                    wanted -= 1;
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, name: &Name, cells: &mut [Option<Cell<'a>>]) -> Skimmed<()> {
        let whole = self.rest;
        let cell = match self.token()? {
            Token::Scalar(cell) => cell,
            token => {
                let mut inside = Reader { rest: self.rest };
                self.rest = whole;
                self.skip()?;
                if let Token::Map(fields) = token {
                    inside.fields(fields, &name.below, cells)?;
                }
                if name.column.is_none() {
                    return Ok(());
                }
                let bytes = &whole[..whole.len() - self.rest.len()];
                let value = Value::from_bytes(bytes).map_err(|_| NotADocument)?;
                Cell::Whole(Cow::Owned(value))
            }
        };
        if let Some(column) = name.column {
            cells[column] = Some(cell);
        }
        Ok(())
    }

    /// The bytes of a field's name. Compared only, so nobody asks whether they are UTF-8.
    fn name(&mut self) -> Skimmed<&'a [u8]> {
        let length = match self.byte()? {
            marker @ 0xA0..=0xBF => usize::from(marker & 0x1F),
            0xD9 => self.length::<1>()?,
            0xDA => self.length::<2>()?,
            0xDB => self.length::<4>()?,
            _ => return Err(NotADocument),
        };
        self.take(length)
    }

    /// Steps over one value, however deep.
    fn skip(&mut self) -> Skimmed<()> {
        let mut left: usize = 1;
        while left > 0 {
            left -= 1;
            let more = match self.byte()? {
                0x00..=0x7F | 0xC0 | 0xC2 | 0xC3 | 0xE0..=0xFF => 0,
                marker @ 0x80..=0x8F => 2 * usize::from(marker & 0x0F),
                marker @ 0x90..=0x9F => usize::from(marker & 0x0F),
                marker @ 0xA0..=0xBF => self.over(usize::from(marker & 0x1F))?,
                0xC4 | 0xD9 => self.length::<1>().and_then(|length| self.over(length))?,
                0xC5 | 0xDA => self.length::<2>().and_then(|length| self.over(length))?,
                0xC6 | 0xDB => self.length::<4>().and_then(|length| self.over(length))?,
                0xCC | 0xD0 => self.over(1)?,
                0xCD | 0xD1 => self.over(2)?,
                0xCA | 0xCE | 0xD2 => self.over(4)?,
                0xCB | 0xCF | 0xD3 => self.over(8)?,
                0xDC => self.length::<2>()?,
                0xDD => self.length::<4>()?,
                0xDE => 2 * self.length::<2>()?,
                0xDF => 2 * self.length::<4>()?,
                _ => return Err(NotADocument),
            };
            left = left.checked_add(more).ok_or(NotADocument)?;
        }
        Ok(())
    }

    fn token(&mut self) -> Skimmed<Token<'a>> {
        Ok(Token::Scalar(match self.byte()? {
            marker @ 0x00..=0x7F => Cell::Int(i64::from(marker)),
            marker @ 0xE0..=0xFF => Cell::Int(i64::from(marker as i8)),
            marker @ 0x80..=0x8F => return Ok(Token::Map(usize::from(marker & 0x0F))),
            0xDE => return Ok(Token::Map(self.length::<2>()?)),
            0xDF => return Ok(Token::Map(self.length::<4>()?)),
            0x90..=0x9F => return Ok(Token::List),
            0xDC | 0xDD => return Ok(Token::List),
            marker @ 0xA0..=0xBF => self.text(usize::from(marker & 0x1F))?,
            0xD9 => self.length::<1>().and_then(|length| self.text(length))?,
            0xDA => self.length::<2>().and_then(|length| self.text(length))?,
            0xDB => self.length::<4>().and_then(|length| self.text(length))?,
            0xC4 => self.length::<1>().and_then(|length| self.blob(length))?,
            0xC5 => self.length::<2>().and_then(|length| self.blob(length))?,
            0xC6 => self.length::<4>().and_then(|length| self.blob(length))?,
            0xC0 => Cell::Unit,
            0xC2 => Cell::Bool(false),
            0xC3 => Cell::Bool(true),
            0xCA => Cell::Float(f64::from(f32::from_be_bytes(self.array()?))),
            0xCB => Cell::Float(f64::from_be_bytes(self.array()?)),
            0xCC => Cell::Int(i64::from(u8::from_be_bytes(self.array()?))),
            0xCD => Cell::Int(i64::from(u16::from_be_bytes(self.array()?))),
            0xCE => Cell::Int(i64::from(u32::from_be_bytes(self.array()?))),
            0xCF => Cell::Int(i64::try_from(u64::from_be_bytes(self.array()?)).map_err(|_| NotADocument)?),
            0xD0 => Cell::Int(i64::from(i8::from_be_bytes(self.array()?))),
            0xD1 => Cell::Int(i64::from(i16::from_be_bytes(self.array()?))),
            0xD2 => Cell::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xD3 => Cell::Int(i64::from_be_bytes(self.array()?)),
            _ => return Err(NotADocument),
        }))
    }

    fn text(&mut self, length: usize) -> Skimmed<Cell<'a>> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| NotADocument)?;
        Ok(Cell::Text(text))
    }

    fn blob(&mut self, length: usize) -> Skimmed<Cell<'a>> {
        self.take(length).map(Cell::Blob)
    }

    fn byte(&mut self) -> Skimmed<u8> {
        let (byte, rest) = self.rest.split_first().ok_or(NotADocument)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn array<const N: usize>(&mut self) -> Skimmed<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(NotADocument)?;
        self.rest = rest;
        Ok(*array)
    }

    fn length<const N: usize>(&mut self) -> Skimmed<usize> {
        let bytes: [u8; N] = self.array()?;
        Ok(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn take(&mut self, count: usize) -> Skimmed<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(NotADocument)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Steps over so many bytes; nothing more follows within them.
    fn over(&mut self, count: usize) -> Skimmed<usize> {
        self.take(count).map(|_| 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Unit),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-200i64..70_000).prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            ".{0,40}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Blob),
        ];
        leaf.prop_recursive(3, 60, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
                proptest::collection::btree_map("[abc]", inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    fn columns(paths: &[&str]) -> Columns {
        let mut columns = Columns::default();
        for path in paths {
            columns.column(&FieldPath::parse(path).unwrap());
        }
        columns
    }

    proptest! {
        #[test]
        fn skimming_finds_what_reading_it_all_finds(
            data in proptest::collection::btree_map("[abcd]{1,2}", value(), 0..20),
            count in 1usize..=10,
        ) {
            // More than there is room for without asking for some, and fewer.
            let all = ["b", "a", "a.b", "a.b.c", "c", "d.a", "aa", "bb", "d", "c.a"];
            let columns = columns(&all[..count]);
            let bytes = Value::Map(data.clone()).to_bytes();
            let values = |cells: &[Option<Cell<'_>>]| cells.iter().map(|cell| cell.as_ref().map(Cell::to_value)).collect::<Vec<_>>();
            let mut found = Vec::new();
            columns.of_map(&data, &mut found);
            prop_assert_eq!(columns.skim(&bytes, values).unwrap(), values(&found));
        }

        #[test]
        fn foreign_bytes_are_refused_or_read_and_never_panic(bytes: Vec<u8>, cut in 0usize..200) {
            let columns = columns(&["a", "b.c"]);
            columns.skim(&bytes, |_| ()).ok();
            let whole = Value::from([("a", Value::List(vec![1.into(), "x".into()])), ("b", Value::from([("c", 7.into())]))]).to_bytes();
            columns.skim(&whole[..cut.min(whole.len())], |_| ()).ok();
        }
    }

    #[test]
    fn what_claims_to_hold_more_than_there_is_is_refused_at_once() {
        for bytes in [
            &[0xDF, 0xFF, 0xFF, 0xFF, 0xFF, 0xA1, b'x', 0xDD, 0xFF, 0xFF, 0xFF, 0xFF][..],
            &[0x81, 0xA1, b'a', 0xDB, 0xFF, 0xFF, 0xFF, 0xFF],
            &[0x81, 0xA1, b'a', 0xC1],
            &[0x81, 0xA1, b'a', 0xCF, 0xFF, 0, 0, 0, 0, 0, 0, 0],
            &[0x91, 0xC0],
            &[],
        ] {
            assert_eq!(columns(&["a"]).skim(bytes, |_| ()), Err(NotADocument), "{bytes:?}");
        }
    }
}
