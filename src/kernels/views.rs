//! Matrix views: their entries as slices, ranges of columns, and plain entrywise loops.

use crate::scalar::Scalar;
use nalgebra::{Const, DMatrixView, DMatrixViewMut, Dyn, ViewStorage};

/// Returns all entries of a view as one slice, or `None` if its columns are not contiguous.
#[inline]
pub(crate) fn flat<'a, T: Scalar>(matrix: &DMatrixView<'a, T>) -> Option<&'a [T]> {
    if matrix.strides().1 != matrix.nrows() && matrix.ncols() > 1 {
        return None;
    }
    // SAFETY: the columns are contiguous, so these are the entries that the view borrows for 'a.
    Some(unsafe { std::slice::from_raw_parts(matrix.as_ptr(), matrix.len()) })
}

/// Returns all entries of a view as one slice, or `None` if its columns are not contiguous.
#[inline]
pub(crate) fn flat_mut<'a, T: Scalar>(
    matrix: &'a mut DMatrixViewMut<'_, T>,
) -> Option<&'a mut [T]> {
    if matrix.strides().1 != matrix.nrows() && matrix.ncols() > 1 {
        return None;
    }
    // SAFETY: as in `flat`. The slice borrows the view mutably.
    Some(unsafe { std::slice::from_raw_parts_mut(matrix.as_mut_ptr(), matrix.len()) })
}

/// Returns columns `first..first + count` of a view. The result lives as long as the underlying
/// matrix, whereas nalgebra's `columns` borrows the view.
pub(crate) fn columns<T: Scalar>(
    matrix: DMatrixView<'_, T>,
    first: usize,
    count: usize,
) -> DMatrixView<'_, T> {
    assert!(first <= matrix.ncols() && count <= matrix.ncols() - first);
    let (rows, stride) = (matrix.nrows(), matrix.strides().1);
    let (shape, strides) = ((Dyn(rows), Dyn(count)), (Const::<1>, Dyn(stride)));
    // SAFETY: these columns belong to the view and are borrowed for the same lifetime. They are not
    // taken from a slice, because the gaps between the columns do not belong to the view.
    DMatrixView::from_data(unsafe {
        let first = matrix.as_ptr().wrapping_add(first * stride);
        ViewStorage::from_raw_parts(first, shape, strides)
    })
}

/// Returns some rows of a view. The result lives as long as the underlying matrix, like that of
/// [`columns`].
pub(crate) fn rows<T: Scalar>(
    matrix: DMatrixView<'_, T>,
    range: std::ops::Range<usize>,
) -> DMatrixView<'_, T> {
    assert!(range.start <= range.end && range.end <= matrix.nrows());
    let (shape, stride) = ((Dyn(range.len()), Dyn(matrix.ncols())), matrix.strides().1);
    // SAFETY: these rows belong to the view and are borrowed for the same lifetime.
    DMatrixView::from_data(unsafe {
        let first = matrix.as_ptr().wrapping_add(range.start);
        ViewStorage::from_raw_parts(first, shape, (Const::<1>, Dyn(stride)))
    })
}

/// Returns a view with `rows` rows of the same entries, in the same order.
///
/// # Panics
/// Panics if the columns are not contiguous, or if `rows` does not divide their number.
#[inline]
pub(crate) fn in_rows<T: Scalar>(matrix: DMatrixView<'_, T>, rows: usize) -> DMatrixView<'_, T> {
    if matrix.nrows() == rows {
        return matrix;
    }
    let all = flat(&matrix);
    assert!(
        all.is_some(),
        "the columns of this matrix must be contiguous"
    );
    let all = all.unwrap_or_default();
    DMatrixView::from_slice(all, rows, all.len() / rows)
}

/// [`in_rows`] of a mutable view.
#[inline]
pub(crate) fn in_rows_mut<T: Scalar>(
    mut matrix: DMatrixViewMut<'_, T>,
    rows: usize,
) -> DMatrixViewMut<'_, T> {
    if matrix.nrows() == rows {
        return matrix;
    }
    let (len, start) = (matrix.len(), matrix.as_mut_ptr());
    assert!(
        flat(&matrix.as_view()).is_some(),
        "the columns of this matrix must be contiguous"
    );
    // SAFETY: the columns are contiguous, and the view that borrowed them is consumed.
    let all = unsafe { std::slice::from_raw_parts_mut(start, len) };
    DMatrixViewMut::from_slice(all, rows, len / rows)
}

/// Calls `f` on all entries of both matrices at once, or column by column if the columns are not
/// contiguous.
pub(crate) fn runs<T: Scalar>(
    z: DMatrixView<'_, T>,
    mut a: DMatrixViewMut<'_, T>,
    f: impl Fn(&[T], &mut [T]),
) {
    if let (Some(z), Some(a)) = (flat(&z), flat_mut(&mut a)) {
        return f(z, a);
    }
    for k in 0..z.ncols() {
        f(z.column(k).as_slice(), a.column_mut(k).as_mut_slice());
    }
}

/// a = g(z), entry by entry.
#[inline]
pub(crate) fn map<T: Scalar>(
    z: DMatrixView<'_, T>,
    mut a: DMatrixViewMut<'_, T>,
    g: impl Fn(T) -> T,
) {
    for k in 0..z.ncols() {
        let (z_k, mut a_k) = (z.column(k), a.column_mut(k));
        for (a, &z) in a_k.as_mut_slice().iter_mut().zip(z_k.as_slice()) {
            *a = g(z);
        }
    }
}

/// Copies a matrix to another of the same shape, as one slice where the columns are contiguous.
pub(crate) fn copy<T: Scalar>(from: &DMatrixView<'_, T>, to: &mut DMatrixViewMut<'_, T>) {
    match (flat(from), flat_mut(to)) {
        (Some(from), Some(to)) => to.copy_from_slice(from),
        _ => to.copy_from(from),
    }
}

/// δ ← δ · g′(z, a), entry by entry.
#[inline]
pub(crate) fn scale_by<T: Scalar>(
    z: DMatrixView<'_, T>,
    a: DMatrixView<'_, T>,
    mut delta: DMatrixViewMut<'_, T>,
    derivative: impl Fn(T, T) -> T,
) {
    for k in 0..z.ncols() {
        let (z_k, a_k, mut delta_k) = (z.column(k), a.column(k), delta.column_mut(k));
        let pairs = z_k.as_slice().iter().zip(a_k.as_slice());
        for (d, (&z, &a)) in delta_k.as_mut_slice().iter_mut().zip(pairs) {
            *d *= derivative(z, a);
        }
    }
}
