//! The sums over the examples: column 0 of Δ.

use super::compiled::table;
use super::product::{Layout, Product, chain};
use super::tile::Start;
use super::vector::{Fast, Operation, Vector};
use crate::scalar::Scalar;
use nalgebra::DMatrixView;

/// The sum over the columns of a matrix, row by row: column 0 of Δ.
#[derive(Debug)]
pub(super) struct RowSums<T> {
    rows: usize,
    columns: usize,
    from: *const T,
    step: usize,
    to: *mut T,
}

impl<T: Scalar> RowSums<T> {
    pub(super) fn new(matrix: &DMatrixView<'_, T>, to: &mut [T]) -> Self {
        assert_eq!(to.len(), matrix.nrows());
        Self {
            rows: matrix.nrows(),
            columns: matrix.ncols(),
            from: matrix.as_ptr(),
            step: matrix.strides().1,
            to: to.as_mut_ptr(),
        }
    }

    /// Computes the sums of `f32` or `f64`; nothing for any other scalar.
    ///
    /// # Safety
    /// The matrix and the slice are still borrowed.
    pub(super) unsafe fn compute(self) {
        if let Some(table) = table::<T>() {
            // SAFETY: the caller's.
            unsafe { (table.row_sums)(self) };
        }
    }
}

impl<T: Fast> Operation<T> for RowSums<T> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>>(self) {
        // A sum is a product with a column of ones; `b_step` 0 reads the same one each time.
        let one = [T::one()];
        let product = Product {
            rows: self.rows,
            columns: 1,
            depth: self.columns,
            chain: chain::<T>(),
            layout: Layout::Columns,
            a: self.from,
            a_step: self.step,
            b: one.as_ptr(),
            b_step: 0,
            b_column: 0,
            c: self.to,
            c_step: 0,
            transposed: false,
            start: Start::Zero,
            room: std::ptr::null_mut(),
            room_len: 0,
        };
        // SAFETY: the matrix and the result are the caller's, and `one` outlives the call.
        unsafe { product.vector::<V>() };
    }
}
