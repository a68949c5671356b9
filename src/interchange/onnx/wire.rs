//! The wire format of protocol buffers: fields of a message, and bytes to write.
//!
//! It is shorter than a crate that does this, borrows every tensor from the file, and allocates
//! only where an error can be returned.

use super::malformed;
use crate::error::Error;
use crate::interchange::InterchangeError;

/// The content of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) content: Content<'a>,
}

/// Iterates over the fields of a message. After an error, it ends.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// Takes the first bytes.
    fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for i in 0..10 {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                // Only one bit of the tenth byte is left.
                return (i < 9 || byte < 2).then_some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<Field<'a>> {
        let key = self.varint()?;
        let content = match key & 7 {
            0 => Content::Varint(self.varint()?),
            1 => Content::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let len = self.varint()?;
                Content::Bytes(self.take(len)?)
            }
            5 => Content::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        let number = key >> 3;
        (1..1 << 29)
            .contains(&number)
            .then_some(Field { number, content })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, InterchangeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(|| malformed("a field is cut off or has no known type")))
    }
}

impl<'a> Field<'a> {
    fn wrong(self, expected: &str) -> InterchangeError {
        malformed(format!(
            "field {} of a message is not {expected}",
            self.number
        ))
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], InterchangeError> {
        match self.content {
            Content::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong("a sequence of bytes")),
        }
    }

    pub(super) fn fields(self) -> Result<Fields<'a>, InterchangeError> {
        self.bytes().map(Fields)
    }

    pub(super) fn text(self) -> Result<&'a str, InterchangeError> {
        str::from_utf8(self.bytes()?).map_err(|_| self.wrong("text in UTF-8"))
    }

    pub(super) fn int(self) -> Result<i64, InterchangeError> {
        match self.content {
            Content::Varint(value) => Ok(value as i64),
            _ => Err(self.wrong("an integer")),
        }
    }

    pub(super) fn float(self) -> Result<f32, InterchangeError> {
        match self.content {
            Content::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(self.wrong("a float")),
        }
    }

    /// Appends an integer, or a packed list of them.
    pub(super) fn push_ints(self, to: &mut Vec<i64>) -> Result<(), InterchangeError> {
        let Content::Bytes(bytes) = self.content else {
            return push(to, self.int()?);
        };
        let mut rest = Fields(bytes);
        while !rest.0.is_empty() {
            let value = rest
                .varint()
                .ok_or_else(|| self.wrong("a list of integers"))?;
            push(to, value as i64)?;
        }
        Ok(())
    }
}

impl Field<'_> {
    /// Appends a float, or a packed list of them.
    pub(super) fn push_floats(self, to: &mut Vec<f32>) -> Result<(), InterchangeError> {
        let Content::Bytes(bytes) = self.content else {
            return push(to, self.float()?);
        };
        let (floats, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(self.wrong("a list of floats"));
        }
        for &bytes in floats {
            push(to, f32::from_le_bytes(bytes))?;
        }
        Ok(())
    }
}

/// Appends an entry, or returns an error where an infallible push would abort.
pub(super) fn push<T>(to: &mut Vec<T>, entry: T) -> Result<(), InterchangeError> {
    if to.len() == to.capacity() {
        let more = to.len().max(1);
        let (what, rows, cols) = ("the graph of a file", to.len().saturating_add(more), 1);
        to.try_reserve_exact(more)
            .map_err(|_| Error::TooLarge { what, rows, cols })?;
    }
    to.push(entry);
    Ok(())
}

/// A message that is written field by field.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn int(&mut self, number: u64, value: i64) {
        self.varint(number << 3);
        self.varint(value as u64);
    }

    pub(super) fn float(&mut self, number: u64, value: f32) {
        self.varint(number << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, number: u64, bytes: &[u8]) -> Result<(), InterchangeError> {
        let (what, rows, cols) = ("the bytes of a file", bytes.len(), 1);
        let room = self.0.try_reserve(bytes.len().saturating_add(20));
        room.map_err(|_| Error::TooLarge { what, rows, cols })?;
        self.varint(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn text(&mut self, number: u64, text: &str) -> Result<(), InterchangeError> {
        self.bytes(number, text.as_bytes())
    }

    pub(super) fn message(&mut self, number: u64, inner: &Self) -> Result<(), InterchangeError> {
        self.bytes(number, &inner.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
