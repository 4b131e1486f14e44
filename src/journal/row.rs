//! How entries lie in a row of the store.
//!
//! | format | what follows its byte |
//! | --- | --- |
//! | 1 | a MessagePack array of entries |
//! | 2 | the length of that array in 4 bytes, and the array as one LZ4 block |
//!
//! Steps of one run are much alike, and names of fields are in each, so that a row of ten steps shrinks to less than a
//! half; too short a row stays as it is. Entries are encoded one by one, as they happen, and wait as bytes: what the
//! script is given next need not be kept for the journal too.

use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use serde::{Deserialize, Serialize};

use super::entry::{Answer, Begun, Entry};
use crate::id::StepNo;
use crate::store::engine::VALUE_BYTES_MAX;
use crate::value::ENCODED_DEPTH_MAX;

/// The latest format: those after it are a newer host's.
pub const FORMAT: u8 = 2;

/// The format of short rows.
pub const PLAIN: u8 = 1;
/// The format of the others.
pub const PRESSED: u8 = 2;

/// A format's byte and a length.
const PRESSED_HEAD_BYTES: usize = 5;

/// Arrays shorter than this are not worth the pressing.
const PRESSED_BYTES_MIN: usize = 128;

/// An array that says how many it holds in the four bytes that follow.
const ARRAY_32: u8 = 0xdd;

/// Entries on their way to a row.
#[derive(Debug)]
pub struct Packed {
    /// A plain row, but for the number of its entries.
    row: Vec<u8>,
    /// Where each entry begins in it, and the step that it tells of when that may be forgotten.
    entries: Vec<(usize, Option<StepNo>)>,
}

impl Default for Packed {
    fn default() -> Packed {
        Packed {
            row: vec![PLAIN, ARRAY_32, 0, 0, 0, 0],
            entries: Vec::new(),
        }
    }
}

/// The end of some entries, to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    count: usize,
}

/// As [`Entry`], of what is still needed elsewhere.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Lent<'a> {
    Begun(&'a Begun),
    Answer(&'a Answer),
}

impl Packed {
    pub fn push(&mut self, entry: &Entry) {
        let step = match entry {
            Entry::Answer(answer) => Some(answer.asked.step),
            Entry::Attempt(attempt) => Some(attempt.step),
            _ => None,
        };
        self.encode(entry, step);
    }

    /// Adds the entry [`Entry::Begun`].
    pub fn push_begun(&mut self, begun: &Begun) {
        self.encode(&Lent::Begun(begun), None);
    }

    /// Adds the entry [`Entry::Answer`].
    pub fn push_answer(&mut self, answer: &Answer) {
        self.encode(&Lent::Answer(answer), Some(answer.asked.step));
    }

    fn encode(&mut self, entry: &impl Serialize, step: Option<StepNo>) {
        self.entries.push((self.row.len(), step));
        let mut serializer = rmp_serde::Serializer::new(&mut self.row).with_struct_map();
        entry
            .serialize(&mut serializer)
            .expect("entries are plain data, and memory does not fail to be written");
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn bytes(&self) -> usize {
        self.row.len()
    }

    pub fn mark(&self) -> Mark {
        Mark {
            bytes: self.row.len(),
            count: self.entries.len(),
        }
    }

    /// Forgets what was added since `mark`.
    pub fn cut(&mut self, mark: Mark) {
        self.row.truncate(mark.bytes);
        self.entries.truncate(mark.count);
    }

    /// Forgets answers and attempts of the steps after `step`.
    pub fn forget_after(&mut self, step: StepNo) {
        let ends = self.entries.iter().skip(1).map(|(begin, _)| *begin);
        let ends = ends.chain([self.row.len()]);
        let mut left = Packed::default();
        for ((begin, of), end) in self.entries.iter().zip(ends) {
            if of.is_none_or(|of| of <= step) {
                left.entries.push((left.row.len(), *of));
                left.row.extend(&self.row[*begin..end]);
            }
        }
        *self = left;
    }

    /// All entries as one plain row.
    fn plain(mut self) -> Vec<u8> {
        self.count_in();
        self.row
    }

    fn count_in(&mut self) {
        self.row[2..6].copy_from_slice(&(self.entries.len() as u32).to_be_bytes());
    }

    /// All entries as one row.
    pub fn row(&mut self) -> Vec<u8> {
        self.count_in();
        let array = &self.row[1..];
        // A longer one could not be read back: what claims to be is refused before it takes up memory.
        if (PRESSED_BYTES_MIN..=VALUE_BYTES_MAX).contains(&array.len()) {
            let mut pressed = vec![0; PRESSED_HEAD_BYTES + get_maximum_output_size(array.len())];
            pressed[0] = PRESSED;
            pressed[1..PRESSED_HEAD_BYTES].copy_from_slice(&(array.len() as u32).to_be_bytes());
            let bytes = compress_into(array, &mut pressed[PRESSED_HEAD_BYTES..]).expect("there is room for the worst");
            if PRESSED_HEAD_BYTES + bytes < self.row.len() {
                pressed.truncate(PRESSED_HEAD_BYTES + bytes);
                pressed.shrink_to_fit();
                return pressed;
            }
        }
        self.row.clone()
    }
}

/// `entries` as a plain row.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut packed = Packed::default();
    entries.iter().for_each(|entry| packed.push(entry));
    packed.plain()
}

/// The beginning of a run as a plain row.
pub fn encode_begun(begun: &Begun) -> Vec<u8> {
    let mut packed = Packed::default();
    packed.push_begun(begun);
    packed.plain()
}

/// Why a row is not readable.
#[derive(Debug)]
pub enum DecodeError {
    Newer(u8),
    Corrupt(String),
}

/// A row as entries.
pub fn decode(row: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    match row.split_first() {
        Some((&PLAIN, array)) => decode_array(array),
        Some((&PRESSED, body)) => decode_array(&unpress(body)?),
        Some((&version, _)) if version > FORMAT => Err(DecodeError::Newer(version)),
        Some((version, _)) => Err(DecodeError::Corrupt(format!("no format has the version {version}"))),
        None => Err(DecodeError::Corrupt("the row is empty".to_owned())),
    }
}

fn unpress(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let corrupt = |reason: &str| DecodeError::Corrupt(reason.to_owned());
    let (length, block) = body.split_first_chunk::<4>().ok_or_else(|| corrupt("it is cut off"))?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > VALUE_BYTES_MAX {
        return Err(DecodeError::Corrupt(format!(
            "it would hold {length} bytes; at most {VALUE_BYTES_MAX} are written"
        )));
    }
    let mut array = vec![0; length];
    match decompress_into(block, &mut array) {
        Ok(bytes) if bytes == length => Ok(array),
        Ok(_) => Err(corrupt("it holds less than it says")),
        Err(error) => Err(DecodeError::Corrupt(error.to_string())),
    }
}

fn decode_array(array: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    let mut bytes = array;
    let mut deserializer = rmp_serde::Deserializer::new(&mut bytes);
    deserializer.set_max_depth(ENCODED_DEPTH_MAX);
    let entries = Vec::deserialize(&mut deserializer);
    let entries = entries.map_err(|error| DecodeError::Corrupt(error.to_string()))?;
    if bytes.is_empty() {
        Ok(entries)
    } else {
        Err(DecodeError::Corrupt(format!("{} bytes too many", bytes.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn entries_read_back_however_many_they_are() {
        for count in [0, 1, 15, 16, 70_000] {
            let mut packed = Packed::default();
            let answer = |step| Answer {
                at_ms: step,
                value: Value::from("a"),
                ..Answer::default()
            };
            (0..count).for_each(|step| packed.push_answer(&answer(step)));
            let expected: Vec<_> = (0..count).map(|step| Entry::Answer(Box::new(answer(step)))).collect();
            assert_eq!(decode(&packed.row()).unwrap(), expected);
            assert_eq!(packed.len() as u64, count);
        }
    }

    #[test]
    fn what_was_cut_off_is_in_no_row() {
        let mut packed = Packed::default();
        packed.push_answer(&Answer::default());
        let (mark, row) = (packed.mark(), packed.row());
        packed.push_answer(&Answer::default());
        assert_ne!(packed.row(), row);
        packed.cut(mark);
        assert_eq!(packed.row(), row);
    }

    #[test]
    fn steps_that_are_forgotten_are_in_no_row() {
        let answer = |step| Answer {
            asked: crate::journal::Asked {
                step,
                ..Default::default()
            },
            ..Answer::default()
        };
        let mut packed = Packed::default();
        let mut expected = Packed::default();
        for step in [1, 4, 2, 3] {
            packed.push_answer(&answer(step));
        }
        for step in [1, 2] {
            expected.push_answer(&answer(step));
        }
        packed.forget_after(2);
        assert_eq!(packed.row(), expected.row());
        packed.push_answer(&answer(3));
        packed.forget_after(0);
        assert!(packed.is_empty());
    }

    #[test]
    fn rows_of_the_first_format_are_read() {
        let mut packed = Packed::default();
        (0..20).for_each(|_| packed.push_answer(&Answer::default()));
        let pressed = packed.row();
        assert_eq!((pressed[0], packed.row[0]), (PRESSED, PLAIN));
        assert!(pressed.len() * 3 < packed.row.len());
        assert_eq!(decode(&packed.row).unwrap(), decode(&pressed).unwrap());
    }

    #[test]
    fn a_row_that_claims_too_much_or_says_too_little_is_refused() {
        let mut packed = Packed::default();
        (0..20).for_each(|_| packed.push_answer(&Answer::default()));
        let row = packed.row();
        let refused = |row: &[u8]| matches!(decode(row), Err(DecodeError::Corrupt(_)));
        for length in [0, 1, u32::MAX, VALUE_BYTES_MAX as u32] {
            let mut altered = row.clone();
            altered[1..5].copy_from_slice(&length.to_be_bytes());
            assert!(refused(&altered), "{length}");
        }
        for cut in 0..row.len() {
            assert!(refused(&row[..cut]), "{cut}");
        }
        assert!(matches!(decode(&[3]), Err(DecodeError::Newer(3))));
    }
}
