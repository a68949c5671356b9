//! Passes in which each position of each example has a column.

use super::{Backward, BackwardTangent, Forward, ForwardTangent};
use crate::kernels::{in_rows, in_rows_mut};
use crate::scalar::Scalar;
use nalgebra::DMatrixViewMut;

/// A view that no longer views anything.
fn nothing<'a, T: Scalar>() -> DMatrixViewMut<'a, T> {
    DMatrixViewMut::from_slice(&mut [], 0, 0)
}

/// Gives a matrix another number of rows.
fn reshape<T: Scalar>(matrix: &mut DMatrixViewMut<'_, T>, rows: usize) {
    let whole = std::mem::replace(matrix, nothing());
    *matrix = in_rows_mut(whole, rows);
}

/// Passes in which each position of each example has a column: the last axes of input and output
/// become the rows.
pub(crate) trait ByPosition {
    /// Returns the rows of input and output.
    fn rows(&self) -> (usize, usize);

    /// Reshapes all matrices.
    fn reshape(&mut self, inputs: usize, outputs: usize);

    /// Reshapes all matrices, unless they have these rows.
    #[inline]
    fn by_position(&mut self, inputs: usize, outputs: usize) {
        if self.rows() != (inputs, outputs) {
            self.reshape(inputs, outputs);
        }
    }
}

impl<T: Scalar> ByPosition for Forward<'_, T> {
    #[inline]
    fn rows(&self) -> (usize, usize) {
        (self.input.nrows(), self.output.nrows())
    }

    fn reshape(&mut self, inputs: usize, outputs: usize) {
        self.input = in_rows(self.input, inputs);
        reshape(&mut self.output, outputs);
    }
}

impl<T: Scalar> ByPosition for Backward<'_, T> {
    #[inline]
    fn rows(&self) -> (usize, usize) {
        (self.input.nrows(), self.output.nrows())
    }

    fn reshape(&mut self, inputs: usize, outputs: usize) {
        self.input = in_rows(self.input, inputs);
        self.output = in_rows(self.output, outputs);
        reshape(&mut self.delta, outputs);
        if let Some(below) = &mut self.input_delta {
            reshape(below, inputs);
        }
    }
}

impl<T: Scalar> ByPosition for ForwardTangent<'_, T> {
    #[inline]
    fn rows(&self) -> (usize, usize) {
        (self.input.nrows(), self.output.nrows())
    }

    fn reshape(&mut self, inputs: usize, outputs: usize) {
        self.input = in_rows(self.input, inputs);
        self.output = in_rows(self.output, outputs);
        self.input_tangent = self.input_tangent.map(|x| in_rows(x, inputs));
        reshape(&mut self.output_tangent, outputs);
    }
}

impl<T: Scalar> ByPosition for BackwardTangent<'_, T> {
    #[inline]
    fn rows(&self) -> (usize, usize) {
        self.pass.rows()
    }

    fn reshape(&mut self, inputs: usize, outputs: usize) {
        self.pass.reshape(inputs, outputs);
        self.input_tangent = self.input_tangent.map(|x| in_rows(x, inputs));
        self.output_tangent = in_rows(self.output_tangent, outputs);
        reshape(&mut self.delta_tangent, outputs);
        if let Some(below) = &mut self.input_delta_tangent {
            reshape(below, inputs);
        }
    }
}
