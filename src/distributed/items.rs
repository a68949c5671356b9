//! What ranks gather, as bytes.

use super::wire::Wire;
use std::ops::Range;

/// Items that are sent: numbers, flags, bytes or indices.
pub(super) trait Items {
    /// Returns the number of bytes of an item.
    fn size(&self) -> usize;

    fn write(&self, range: Range<usize>, to: &mut [u8]);

    fn read(&mut self, range: Range<usize>, from: &[u8]);
}

pub(super) struct Numbers<'n, T> {
    pub(super) wire: Wire<T>,
    pub(super) numbers: &'n mut [T],
}

impl<T> Items for Numbers<'_, T> {
    fn size(&self) -> usize {
        size_of::<T>()
    }

    fn write(&self, range: Range<usize>, to: &mut [u8]) {
        self.wire.write(&self.numbers[range], to);
    }

    fn read(&mut self, range: Range<usize>, from: &[u8]) {
        self.wire.read(from, &mut self.numbers[range]);
    }
}

pub(super) struct Flags<'f>(pub(super) &'f mut [bool]);

impl Items for Flags<'_> {
    fn size(&self) -> usize {
        1
    }

    fn write(&self, range: Range<usize>, to: &mut [u8]) {
        for (to, &flag) in to.iter_mut().zip(&self.0[range]) {
            *to = flag.into();
        }
    }

    fn read(&mut self, range: Range<usize>, from: &[u8]) {
        for (flag, &from) in self.0[range].iter_mut().zip(from) {
            *flag = from != 0;
        }
    }
}

pub(super) struct Bytes<'b>(pub(super) &'b mut [u8]);

impl Items for Bytes<'_> {
    fn size(&self) -> usize {
        1
    }

    fn write(&self, range: Range<usize>, to: &mut [u8]) {
        to.copy_from_slice(&self.0[range]);
    }

    fn read(&mut self, range: Range<usize>, from: &[u8]) {
        self.0[range].copy_from_slice(from);
    }
}

pub(super) struct Indices<'i>(pub(super) &'i mut [usize]);

impl Items for Indices<'_> {
    fn size(&self) -> usize {
        8
    }

    fn write(&self, range: Range<usize>, to: &mut [u8]) {
        let (to, _) = to.as_chunks_mut();
        for (to, &index) in to.iter_mut().zip(&self.0[range]) {
            *to = (index as u64).to_le_bytes();
        }
    }

    fn read(&mut self, range: Range<usize>, from: &[u8]) {
        let (from, _) = from.as_chunks();
        for (index, &from) in self.0[range].iter_mut().zip(from) {
            *index = u64::from_le_bytes(from) as usize;
        }
    }
}
