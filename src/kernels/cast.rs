//! Slices of a generic scalar as slices of the type that it is.

use crate::scalar::Scalar;
use nalgebra::{Const, DMatrixView, DMatrixViewMut, Dyn};
use std::any::TypeId;

/// Whether `A` is `B`; known when the code is compiled.
#[inline(always)]
pub(super) fn is<A: 'static, B: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<B>()
}

/// The same slice, if `A` is `B`.
#[inline]
pub(super) fn cast<A: 'static, B: 'static>(x: &[A]) -> Option<&[B]> {
    if !is::<A, B>() {
        return None;
    }
    // SAFETY: A and B are one type, so length, alignment, lifetime and contents are those of `x`.
    Some(unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) })
}

/// The same slice, if `A` is `B`.
#[inline]
pub(super) fn cast_mut<A: 'static, B: 'static>(x: &mut [A]) -> Option<&mut [B]> {
    if !is::<A, B>() {
        return None;
    }
    // SAFETY: A and B are one type, and the borrow of `x` is passed on, so nothing else reaches the entries.
    Some(unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) })
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
    let ((rows, stride), len) = ((matrix.nrows(), matrix.strides().1), matrix.len());
    if count == 0 || len == 0 {
        return DMatrixView::from_slice(&[], rows, 0);
    }
    // SAFETY: from the first entry of column `first` to the last of column `first + count - 1`, all inside what the view borrows.
    let entries = unsafe {
        let start = matrix.as_ptr().add(first * stride);
        std::slice::from_raw_parts(start, (count - 1) * stride + rows)
    };
    let shape = (Dyn(rows), Dyn(count));
    let strides = (Const::<1>, Dyn(stride));
    DMatrixView::from_slice_with_strides_generic(entries, shape.0, shape.1, strides.0, strides.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_cast_to_its_own_type_alone() {
        let mut x = [1.0_f32, 2.0, 3.0];
        assert_eq!(cast::<f32, f32>(&x), Some(&[1.0_f32, 2.0, 3.0][..]));
        assert_eq!(cast::<f32, f64>(&x), None);
        assert_eq!(cast_mut::<f32, u32>(&mut x), None);
        if let Some(x) = cast_mut::<f32, f32>(&mut x) {
            x[1] = 5.0;
        }
        assert_eq!(x[1], 5.0);
        assert_eq!(cast::<f64, f64>(&[]), Some(&[][..]));
    }
}
