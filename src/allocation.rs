//! Allocation that returns an error where an infallible one would abort.

use crate::error::Error;
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView};

/// A buffer of bytes that returns an error if it cannot grow.
#[cfg(any(feature = "serde", feature = "npz"))]
#[derive(Default)]
pub(crate) struct Buffer(pub(crate) Vec<u8>);

#[cfg(any(feature = "serde", feature = "npz"))]
impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = self.0.try_reserve(bytes.len());
        room.map_err(|_| std::io::ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns whether `len` scalars fit in one allocation.
pub(crate) fn fits<T>(len: usize) -> bool {
    len.checked_mul(size_of::<T>())
        .is_some_and(|bytes| isize::try_from(bytes).is_ok())
}

/// Allocates rows × cols copies of `value`. Returns an error where an infallible allocation would
/// abort.
pub(crate) fn allocate<T: Clone>(
    what: &'static str,
    (rows, cols): (usize, usize),
    value: T,
) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    resize(&mut vector, what, (rows, cols), value)?;
    Ok(vector)
}

/// Copies a slice. Returns an error where an infallible allocation would abort.
pub(crate) fn copied<T: Copy>(what: &'static str, values: &[T]) -> Result<Vec<T>, Error> {
    let mut copy = reserved(what, values.len())?;
    copy.extend_from_slice(values);
    Ok(copy)
}

/// Returns an empty vector with room for `len` entries.
pub(crate) fn reserved<T>(what: &'static str, len: usize) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    let room = vector.try_reserve_exact(len);
    let (rows, cols) = (len, 1);
    room.map_err(|_| Error::TooLarge { what, rows, cols })?;
    Ok(vector)
}

/// Reserves room for at least one more entry; repeated pushes stay cheap.
pub(crate) fn grow<T>(what: &'static str, vector: &mut Vec<T>) -> Result<(), Error> {
    let (rows, cols) = (vector.len().saturating_add(1), 1);
    let room = vector.try_reserve(1);
    room.map_err(|_| Error::TooLarge { what, rows, cols })
}

/// Collects an iterator into a vector with room for `len` entries.
pub(crate) fn collected<T>(
    what: &'static str,
    len: usize,
    items: impl IntoIterator<Item = Result<T, Error>>,
) -> Result<Vec<T>, Error> {
    let mut vector = reserved(what, len)?;
    for item in items {
        vector.push(item?);
    }
    Ok(vector)
}

/// Copies a view into an owned matrix. Returns an error where an infallible allocation would abort.
pub(crate) fn owned<T: Scalar>(
    what: &'static str,
    matrix: DMatrixView<'_, T>,
) -> Result<DMatrix<T>, Error> {
    let (rows, cols) = matrix.shape();
    let too_large = || Error::TooLarge { what, rows, cols };
    let mut entries = Vec::new();
    let room = entries.try_reserve_exact(matrix.len());
    room.map_err(|_| too_large())?;
    entries.extend(matrix.iter().copied());
    Ok(DMatrix::from_vec(rows, cols, entries))
}

/// Grows or shrinks `vector` to rows × cols, keeping its capacity.
pub(crate) fn resize<T: Clone>(
    vector: &mut Vec<T>,
    what: &'static str,
    (rows, cols): (usize, usize),
    value: T,
) -> Result<(), Error> {
    let too_large = || Error::TooLarge { what, rows, cols };
    let len = rows.checked_mul(cols).ok_or_else(too_large)?;
    let more = len.saturating_sub(vector.len());
    vector.try_reserve_exact(more).map_err(|_| too_large())?;
    vector.resize(len, value);
    Ok(())
}

/// Returns buffer k of a list, with this length.
pub(crate) fn buffer<'l, T: Scalar>(
    list: &'l mut Vec<Vec<T>>,
    what: &'static str,
    k: usize,
    len: usize,
) -> Result<&'l mut [T], Error> {
    if list.len() <= k {
        list.resize_with(k + 1, Vec::new);
    }
    resize(&mut list[k], what, (len, 1), T::zero())?;
    Ok(&mut list[k])
}
