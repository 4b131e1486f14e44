//! Protobuf's wire format, as little of it as OTLP needs: fields are written in order, lengths before contents.

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

/// A message that is being written. What has its preset value is left out, as proto3 does.
#[derive(Default)]
pub struct Message(Vec<u8>);

impl Message {
    pub fn bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn tag(&mut self, field: u32, wire: u64) {
        self.varint(u64::from(field) << 3 | wire);
    }

    pub fn number(&mut self, field: u32, number: u64) -> &mut Message {
        if number != 0 {
            self.number_always(field, number);
        }
        self
    }

    /// Also a 0: one of several that there may be.
    pub fn number_always(&mut self, field: u32, number: u64) -> &mut Message {
        self.tag(field, VARINT);
        self.varint(number);
        self
    }

    pub fn fixed(&mut self, field: u32, number: u64) -> &mut Message {
        if number != 0 {
            self.tag(field, FIXED_64);
            self.0.extend(number.to_le_bytes());
        }
        self
    }

    /// Also a 0: one of several that there may be.
    pub fn double_always(&mut self, field: u32, number: f64) -> &mut Message {
        self.tag(field, FIXED_64);
        self.0.extend(number.to_le_bytes());
        self
    }

    pub fn text(&mut self, field: u32, text: &str) -> &mut Message {
        self.raw(field, text.as_bytes())
    }

    /// Also an empty one: one of several that there may be.
    pub fn text_always(&mut self, field: u32, text: &str) -> &mut Message {
        self.raw_always(field, text.as_bytes())
    }

    pub fn raw(&mut self, field: u32, bytes: &[u8]) -> &mut Message {
        if !bytes.is_empty() {
            self.raw_always(field, bytes);
        }
        self
    }

    fn raw_always(&mut self, field: u32, bytes: &[u8]) -> &mut Message {
        self.tag(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// Eight bytes each, in one field.
    pub fn packed(&mut self, field: u32, numbers: impl Iterator<Item = u64>) -> &mut Message {
        let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        self.raw(field, &bytes)
    }

    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Message)) -> &mut Message {
        let mut inner = Message::default();
        fill(&mut inner);
        self.raw_always(field, &inner.0)
    }
}

/// A field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The first field with this number; `None` also where the bytes are no message.
pub fn field(mut bytes: &[u8], wanted: u64) -> Option<Field<'_>> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let found = match tag & 7 {
            VARINT => Field::Number(varint(&mut bytes)?),
            FIXED_64 => Field::Bytes(split(&mut bytes, 8)?),
            FIXED_32 => Field::Bytes(split(&mut bytes, 4)?),
            BYTES => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Field::Bytes(split(&mut bytes, length)?)
            }
            _ => return None,
        };
        if tag >> 3 == wanted {
            return Some(found);
        }
    }
    None
}

fn split<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (first, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(first)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..10 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_the_description_of_the_format_has_them() {
        // https://protobuf.dev/programming-guides/encoding/ : {a: 150}, {b: "testing"}, and a message within one.
        let mut message = Message::default();
        message.number(1, 150);
        assert_eq!(message.bytes(), [0x08, 0x96, 0x01]);
        let mut message = Message::default();
        message.text(2, "testing").message(3, |inner| {
            inner.number(1, 150);
        });
        assert_eq!(hex::encode(message.bytes()), "120774657374696e671a03089601");
        let mut message = Message::default();
        message.number(1, 0).text(2, "").fixed(3, 0).raw(4, &[]);
        assert!(message.bytes().is_empty(), "presets are left out");
        let mut message = Message::default();
        message.number_always(1, u64::MAX);
        assert_eq!(field(&message.bytes(), 1), Some(Field::Number(u64::MAX)));
    }

    #[test]
    fn what_is_no_message_is_never_more_than_nothing() {
        for bytes in [&[0x0a, 0xff][..], &[0x80; 11], &[0x0b], &[0x09, 1, 2], &[0x0a]] {
            assert_eq!(field(bytes, 1), None, "{bytes:?}");
        }
    }
}
