//! Numbers of consecutive rows of a file, as scalars.

use super::row_file::RowFile;
use crate::error::Error;
use crate::file_scalar::FileScalar;
use crate::number::{Number, Unfit, Value};
use crate::scalar::{real, to_f64};
use std::ops::Range;

/// The length of a buffer in bytes, a multiple of the size of every number.
pub(super) const BUFFER: usize = 1 << 14;

/// Reads numbers one after another, through a buffer where they have to be converted.
pub(super) struct RowReader<'a> {
    file: &'a RowFile,
    buffer: &'a mut [u8; BUFFER],
    /// The bytes of the buffer that are still to be converted, the lowest of a number first.
    rest: Range<usize>,
    /// The bytes of the file after the buffer that belong to these rows.
    after: Range<u64>,
    rounded: bool,
}

impl<'a> RowReader<'a> {
    /// Starts at the first of some rows. No byte after the last is read.
    pub(super) fn new(
        file: &'a RowFile,
        buffer: &'a mut [u8; BUFFER],
        rows: Range<usize>,
        rounded: bool,
    ) -> Self {
        Self {
            file,
            buffer,
            rest: 0..0,
            after: file.offset(rows.start)..file.offset(rows.end),
            rounded,
        }
    }

    /// Reads as many numbers as `to` has entries.
    pub(super) fn fill<T: FileScalar>(&mut self, mut to: &mut [T]) -> Result<(), Error> {
        let layout = self.file.layout();
        let native =
            layout.number == Number::of::<T>() && layout.big_endian == cfg!(target_endian = "big");
        while !to.is_empty() {
            if self.rest.is_empty() {
                let left = self.after.end - self.after.start;
                if native
                    && let Some(bytes) = T::bytes_mut(to)
                    && bytes.len() as u64 >= left.min(BUFFER as u64)
                {
                    self.file.read_at(bytes, self.after.start)?;
                    self.after.start += bytes.len() as u64;
                    return Ok(());
                }
                self.refill()?;
            }
            let count = to.len().min(self.rest.len() / layout.number.size());
            let (now, later) = to.split_at_mut(count);
            self.convert(now)?;
            to = later;
        }
        Ok(())
    }

    /// Reads the next number, without converting it.
    pub(super) fn value(&mut self) -> Result<Value, Error> {
        if self.rest.is_empty() {
            self.refill()?;
        }
        let number = self.file.layout().number;
        let start = self.rest.start;
        self.rest.start += number.size();
        Ok(number.decode(&self.buffer[start..self.rest.start]))
    }

    /// Reads the next bytes into the empty buffer.
    fn refill(&mut self) -> Result<(), Error> {
        let left = self.after.end - self.after.start;
        let count = left.min(BUFFER as u64) as usize;
        let bytes = &mut self.buffer[..count];
        self.file.read_at(bytes, self.after.start)?;
        let layout = self.file.layout();
        if layout.big_endian {
            let numbers = bytes.chunks_exact_mut(layout.number.size());
            numbers.for_each(<[u8]>::reverse);
        }
        self.after.start += count as u64;
        self.rest = 0..count;
        Ok(())
    }

    /// Converts the next numbers of the buffer.
    fn convert<T: FileScalar>(&mut self, to: &mut [T]) -> Result<(), Error> {
        let number = self.file.layout().number;
        let len = to.len() * number.size();
        let bytes = &self.buffer[self.rest.start..][..len];
        if !convert_fast(number, bytes, to, self.rounded) {
            let converted = convert_each(number, bytes, to, self.rounded);
            converted.map_err(|found| self.unfit::<T>(found))?;
        }
        self.rest.start += len;
        Ok(())
    }

    /// Returns the error of one of the next numbers, which T cannot hold.
    fn unfit<T: FileScalar>(&self, found: Misfit) -> Error {
        let Misfit {
            place,
            value,
            unfit,
        } = found;
        let layout = self.file.layout();
        let bytes = self.after.start - self.rest.len() as u64 - self.file.offset(0);
        let number = bytes / layout.number.size() as u64 + place as u64;
        let (row, column) = (
            number / layout.columns as u64,
            number % layout.columns as u64,
        );
        let scalar = T::NAME;
        self.file.error(match unfit {
            Unfit::NonFinite => format!(
                "the number in row {row}, column {column} is {value}, which is too large for \
                 {scalar}"
            ),
            Unfit::Inexact => format!(
                "the number in row {row}, column {column} is {value}, which {scalar} cannot hold \
                 exactly: `FileSource::rounded` accepts the nearest value"
            ),
        })
    }
}

/// Converts numbers of the frequent types. Returns whether it did: if T cannot hold one of them,
/// [`convert_each`] finds it.
fn convert_fast<T: FileScalar>(number: Number, bytes: &[u8], to: &mut [T], rounded: bool) -> bool {
    if number == Number::of::<T>() {
        T::read(bytes, to);
        return true;
    }
    let exact = |_, _| true;
    let fits = |value: f64, found: f64| {
        (found == value) | (rounded & found.is_finite()) | !value.is_finite()
    };
    match number {
        Number::F64 => convert(bytes, to, fits, f64::from_le_bytes),
        Number::I32 => convert(bytes, to, fits, |bytes| i32::from_le_bytes(bytes).into()),
        Number::U32 => convert(bytes, to, fits, |bytes| u32::from_le_bytes(bytes).into()),
        // T is the other float.
        Number::F32 => convert(bytes, to, exact, |bytes| f32::from_le_bytes(bytes).into()),
        Number::I16 => convert(bytes, to, exact, |bytes| i16::from_le_bytes(bytes).into()),
        Number::U16 => convert(bytes, to, exact, |bytes| u16::from_le_bytes(bytes).into()),
        Number::I8 => convert(bytes, to, exact, |[byte]| (byte as i8).into()),
        Number::U8 => convert(bytes, to, exact, |[byte]| byte.into()),
        _ => false,
    }
}

/// Converts numbers of N bytes, which `f64` holds exactly. Returns whether each fits what it
/// became.
fn convert<T: FileScalar, const N: usize>(
    bytes: &[u8],
    to: &mut [T],
    fits: impl Fn(f64, f64) -> bool,
    value: impl Fn([u8; N]) -> f64,
) -> bool {
    let (numbers, _) = bytes.as_chunks();
    let mut all = true;
    for (to, &bytes) in to.iter_mut().zip(numbers) {
        let value = value(bytes);
        *to = real(value);
        all &= fits(value, to_f64(*to));
    }
    all
}

/// A number that a scalar cannot hold, and its place among those that are converted.
struct Misfit {
    place: usize,
    value: Value,
    unfit: Unfit,
}

/// Converts numbers one by one, up to the first that T cannot hold.
fn convert_each<T: FileScalar>(
    number: Number,
    bytes: &[u8],
    to: &mut [T],
    rounded: bool,
) -> Result<(), Misfit> {
    let bytes = bytes.chunks_exact(number.size());
    for (place, (to, bytes)) in to.iter_mut().zip(bytes).enumerate() {
        let value = number.decode(bytes);
        let scalar = match value {
            // Whoever uses the numbers checks that they are finite.
            Value::Real(value) if !value.is_finite() => Ok(real(value)),
            value => value.to(rounded),
        };
        *to = scalar.map_err(|unfit| Misfit {
            place,
            value,
            unfit,
        })?;
    }
    Ok(())
}
