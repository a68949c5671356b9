//! Slices of a generic scalar as slices of the type that it is.

use crate::scalar::Scalar;
use nalgebra::{Const, DMatrixView, DMatrixViewMut, Dyn, ViewStorage};
use std::any::TypeId;

/// Whether `A` is `B`; known when the code is compiled.
#[inline(always)]
pub(super) fn is<A: 'static, B: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<B>()
}

/// The entries of a matrix one after the other, if they lie so in memory.
#[inline]
pub(crate) fn flat<'a, T: Scalar>(matrix: &DMatrixView<'a, T>) -> Option<&'a [T]> {
    if matrix.strides().1 != matrix.nrows() && matrix.ncols() > 1 {
        return None;
    }
    // SAFETY: the columns follow each other without a gap, all of them inside what the view borrows for 'a.
    Some(unsafe { std::slice::from_raw_parts(matrix.as_ptr(), matrix.len()) })
}

/// The entries of a matrix one after the other, if they lie so in memory.
#[inline]
pub(crate) fn flat_mut<'a, T: Scalar>(
    matrix: &'a mut DMatrixViewMut<'_, T>,
) -> Option<&'a mut [T]> {
    if matrix.strides().1 != matrix.nrows() && matrix.ncols() > 1 {
        return None;
    }
    // SAFETY: as in `flat`; the view is borrowed for writing as long as the slice.
    Some(unsafe { std::slice::from_raw_parts_mut(matrix.as_mut_ptr(), matrix.len()) })
}

/// Columns `first..first + count` of a view, borrowed as long as the view's own matrix; nalgebra's `columns` borrows the view.
pub(crate) fn columns<T: Scalar>(
    matrix: DMatrixView<'_, T>,
    first: usize,
    count: usize,
) -> DMatrixView<'_, T> {
    assert!(first <= matrix.ncols() && count <= matrix.ncols() - first);
    let (rows, stride) = (matrix.nrows(), matrix.strides().1);
    let (shape, strides) = ((Dyn(rows), Dyn(count)), (Const::<1>, Dyn(stride)));
    // SAFETY: columns of the view itself, which are read as long as it may be. Not a slice: what lies between the columns is not the view's.
    DMatrixView::from_data(unsafe {
        let first = matrix.as_ptr().wrapping_add(first * stride);
        ViewStorage::from_raw_parts(first, shape, strides)
    })
}
