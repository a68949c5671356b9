//! The header of an array of NumPy.
//!
//! It is the text of a Python dictionary with three keys, whose values are a string, a boolean and
//! a tuple of whole numbers. This reads nothing else.

use super::tensors::Order;
use crate::number::Number;
use std::io::{self, Read};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The maximum length of the text in bytes, as in NumPy.
const LONGEST: usize = 10_000;

/// Numbers start at a multiple of this in a file.
const ALIGNMENT: usize = 64;

/// What a header says of its array.
#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) shape: Vec<usize>,
    /// The type of the numbers, or its name if it cannot be read.
    pub(crate) kind: Result<Number, String>,
    pub(crate) order: Order,
    /// The length of the header in bytes.
    pub(crate) length: usize,
}

impl Header {
    /// Returns the bytes of a header of an array in C order.
    pub(super) fn bytes(description: &str, shape: &[usize]) -> Vec<u8> {
        let axes: String = shape.iter().map(|size| format!("{size}, ")).collect();
        let axes = match shape {
            [_] => axes.trim_end(), // (3,)
            _ => axes.trim_end_matches(", "),
        };
        let text =
            format!("{{'descr': '{description}', 'fortran_order': False, 'shape': ({axes}), }}");
        let before = MAGIC.len() + 4;
        let end = (before + text.len() + 1).next_multiple_of(ALIGNMENT);
        let length = end - before;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[1, 0]);
        bytes.extend_from_slice(&(length as u16).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes.resize(end - 1, b' ');
        bytes.push(b'\n');
        bytes
    }

    /// Reads a header, and nothing after it.
    pub(crate) fn read(data: &mut dyn Read) -> io::Result<Self> {
        let mut start = [0; 8];
        data.read_exact(&mut start)?;
        if !start.starts_with(MAGIC) {
            return Err(invalid(
                "it does not start with a header of NumPy".to_owned(),
            ));
        }
        let mut length = [0; 4];
        let bytes = match start[6] {
            1 => 2,
            2 | 3 => 4,
            version => return Err(invalid(format!("version {version}, expected at most 3"))),
        };
        data.read_exact(&mut length[..bytes])?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            let what = format!("its header has {length} bytes, expected at most {LONGEST}");
            return Err(invalid(what));
        }
        let mut text = vec![0; length];
        data.read_exact(&mut text)?;
        let length = start.len() + bytes + length;
        let header = Text { rest: &text }.header(length);
        header.ok_or_else(|| invalid("its header is not that of an array of numbers".to_owned()))
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The text of a header that is still to be read.
struct Text<'a> {
    rest: &'a [u8],
}

impl<'a> Text<'a> {
    /// Reads `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`, in any order.
    fn header(mut self, length: usize) -> Option<Header> {
        let (mut description, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.eat(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            let is_new = match key {
                "descr" => description.replace(self.string()?).is_none(),
                "fortran_order" => fortran.replace(self.boolean()?).is_none(),
                "shape" => shape.replace(self.tuple()?).is_none(),
                _ => false,
            };
            let is_last = !self.eat(b',');
            if !is_new || is_last && self.peek()? != b'}' {
                return None;
            }
        }
        if self.peek().is_some() {
            return None;
        }
        let (kind, big_endian) = kind(description?);
        let fortran = fortran?;
        Some(Header {
            shape: shape?,
            kind,
            order: Order {
                fortran,
                big_endian,
            },
            length,
        })
    }

    /// Returns the next byte after blanks.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    /// Takes the next byte after blanks if it is this one.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    /// Takes bytes while they have a property.
    fn take(&mut self, is_part: impl Fn(&u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !is_part(byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Reads a string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        self.expect(quote)?;
        let text = self.take(|&byte| byte != quote && byte != b'\\');
        // Blanks after the text belong to it.
        let rest = self.rest.strip_prefix(&[quote])?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }

    fn boolean(&mut self) -> Option<bool> {
        self.peek()?;
        match self.take(u8::is_ascii_alphabetic) {
            b"True" => Some(true),
            b"False" => Some(false),
            _ => None,
        }
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        self.expect(b'(')?;
        while !self.eat(b')') {
            self.peek()?;
            let digits = self.take(u8::is_ascii_digit);
            numbers.push(std::str::from_utf8(digits).ok()?.parse().ok()?);
            // A single number has a comma.
            if !self.eat(b',') && (self.peek()? != b')' || numbers.len() == 1) {
                return None;
            }
        }
        Some(numbers)
    }
}

/// Reads a type such as `<f8`, and whether the highest byte is the first.
fn kind(description: &str) -> (Result<Number, String>, bool) {
    let (order, name) = description.split_at_checked(1).unwrap_or_default();
    let kind = match (order, name) {
        ("<" | ">", "f8") => Number::F64,
        ("<" | ">", "f4") => Number::F32,
        ("<" | ">", "f2") => Number::F16,
        ("<" | ">", "i2") => Number::I16,
        ("<" | ">", "i4") => Number::I32,
        ("<" | ">", "i8") => Number::I64,
        ("<" | ">", "u2") => Number::U16,
        ("<" | ">", "u4") => Number::U32,
        ("<" | ">", "u8") => Number::U64,
        ("|", "i1") => Number::I8,
        ("|", "u1") => Number::U8,
        ("|", "b1") => Number::Bool,
        _ => return (Err(description.to_owned()), false),
    };
    (Ok(kind), order == ">")
}
