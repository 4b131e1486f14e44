//! How entries lie in a row of the store.
//!
//! A row is one byte, the format's version, and then a MessagePack array of entries. Entries are encoded one by one, as
//! they happen, and wait as bytes: what the script is given next need not be kept for the journal too.

use serde::{Deserialize, Serialize};

use super::entry::{Answer, Begun, Entry};
use crate::value::ENCODED_DEPTH_MAX;

/// The version of the form that is written.
pub const FORMAT: u8 = 1;

/// Entries on their way to a row.
#[derive(Debug, Default)]
pub struct Packed {
    entries: Vec<u8>,
    count: u32,
}

/// The end of some entries, to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    count: u32,
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
        self.encode(entry);
    }

    /// Adds the entry [`Entry::Begun`].
    pub fn push_begun(&mut self, begun: &Begun) {
        self.encode(&Lent::Begun(begun));
    }

    /// Adds the entry [`Entry::Answer`].
    pub fn push_answer(&mut self, answer: &Answer) {
        self.encode(&Lent::Answer(answer));
    }

    fn encode(&mut self, entry: &impl Serialize) {
        let mut serializer = rmp_serde::Serializer::new(&mut self.entries).with_struct_map();
        entry
            .serialize(&mut serializer)
            .expect("entries are plain data, and memory does not fail to be written");
        self.count += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn len(&self) -> usize {
        self.count as usize
    }

    pub fn bytes(&self) -> usize {
        self.entries.len()
    }

    pub fn mark(&self) -> Mark {
        Mark {
            bytes: self.entries.len(),
            count: self.count,
        }
    }

    /// Forgets what was added since `mark`.
    pub fn cut(&mut self, mark: Mark) {
        self.entries.truncate(mark.bytes);
        self.count = mark.count;
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.count = 0;
    }

    /// All entries as one row.
    pub fn row(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(self.entries.len() + 6);
        row.push(FORMAT);
        match u8::try_from(self.count) {
            Ok(count) if count < 16 => row.push(0x90 | count),
            _ => {
                row.push(0xdd);
                row.extend(self.count.to_be_bytes());
            }
        }
        row.extend(&self.entries);
        row
    }
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
        Some((&FORMAT, body)) => {
            let mut bytes = body;
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
        Some((&version, _)) if version > FORMAT => Err(DecodeError::Newer(version)),
        Some((version, _)) => Err(DecodeError::Corrupt(format!("no format has the version {version}"))),
        None => Err(DecodeError::Corrupt("the row is empty".to_owned())),
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
}
