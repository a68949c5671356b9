//! The products of a layer with a matrix \[b W\], for custom layers too.

use crate::kernels;
use crate::scalar::{Scalar, real};
use nalgebra::{DMatrixView, DMatrixViewMut};

/// The product \[b W\] \[1; X\] and its two backward products, as fast as in a dense layer.
///
/// W is `units` × `inputs`, and Θ = \[b W\] has the bias in column 0. X has `columns` columns for
/// each example, and M = `columns` · m in a pass over m examples. A layer declares the product in
/// its plan ([`Plan::product`](super::Plan::product)), and hands the scratch of the pass to the
/// methods. With less scratch, the products are slower and may differ by rounding. For `f32` and
/// `f64` they use the vector instructions of the processor; for other scalars they are plain loops.
///
/// Shapes that do not fit are a fault of the layer: every entry of the result is then NaN, which
/// the network reports with the path of the layer.
///
/// Derivation: [(18)](crate::derivation#products).
///
/// # Example
/// Θ = \[1 2 3\], x = (10, 100) and δ = 5: z = 1 + 2 · 10 + 3 · 100, Δ = δ \[1 xᵀ\], and Wᵀ δ =
/// 5 (2, 3).
/// ```
/// use backprop::layer::Affine;
/// use backprop::nalgebra::DMatrix;
///
/// let product = Affine { units: 1, inputs: 2, columns: 1 };
/// let (theta, x) = ([1.0, 2.0, 3.0], DMatrix::from_column_slice(2, 1, &[10.0, 100.0]));
/// let mut scratch = vec![0.0; product.scratch::<f64>(1)];
/// let mut z = DMatrix::zeros(1, 1);
/// product.affine(&theta, &x.as_view(), &mut z.as_view_mut(), &mut scratch);
/// assert_eq!(z[0], 321.0);
///
/// let delta = DMatrix::repeat(1, 1, 5.0);
/// let mut gradient = [0.0; 3];
/// product.outer(&delta.as_view(), &x.as_view(), &mut gradient, &mut scratch);
/// assert_eq!(gradient, [5.0, 50.0, 500.0]);
///
/// let mut below = DMatrix::zeros(2, 1);
/// product.transposed(&theta, &delta.as_view(), &mut below.as_view_mut(), &mut scratch);
/// assert_eq!(below.as_slice(), &[10.0, 15.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affine {
    /// The number of rows of W.
    pub units: usize,
    /// The number of columns of W.
    pub inputs: usize,
    /// The number of columns of X for each example.
    pub columns: usize,
}

impl Affine {
    /// Returns the number of scalars of scratch that the products use for m examples. A pass
    /// provides them.
    #[must_use]
    pub fn scratch<T: Scalar>(&self, m: usize) -> usize {
        kernels::room_for::<T>(self.units, self.inputs, self.columns.saturating_mul(m))
    }

    /// Computes Z = Θ \[1; X\]: Θ is `units` × (1 + `inputs`), column by column; X is `inputs` × M,
    /// and Z is `units` × M.
    pub fn affine<T: Scalar>(
        &self,
        theta: &[T],
        x: &DMatrixView<'_, T>,
        z: &mut DMatrixViewMut<'_, T>,
        scratch: &mut [T],
    ) {
        let fits = self.fits(theta, z.shape(), x.shape());
        or_nan(fits, z, |z| kernels::affine(theta, x, z, scratch));
    }

    /// Adds W X to Z: [`affine`](Self::affine) without the bias, as for a direction of X.
    pub fn add_linear<T: Scalar>(
        &self,
        theta: &[T],
        x: &DMatrixView<'_, T>,
        z: &mut DMatrixViewMut<'_, T>,
        scratch: &mut [T],
    ) {
        let fits = self.fits(theta, z.shape(), x.shape());
        or_nan(fits, z, |z| kernels::add_linear(theta, x, z, scratch));
    }

    /// Computes Δ = δ \[1; X\]ᵀ, the gradient with respect to Θ, column by column. δ is `units` ×
    /// M, and X is `inputs` × M.
    pub fn outer<T: Scalar>(
        &self,
        delta: &DMatrixView<'_, T>,
        x: &DMatrixView<'_, T>,
        gradient: &mut [T],
        scratch: &mut [T],
    ) {
        if self.fits(gradient, delta.shape(), x.shape()) {
            kernels::outer(delta, x, gradient, scratch);
        } else {
            gradient.fill(real(f64::NAN));
        }
    }

    /// Adds δ \[0; X\]ᵀ to Δ: [`outer`](Self::outer) without the bias, as for a direction of X.
    pub fn add_outer<T: Scalar>(
        &self,
        delta: &DMatrixView<'_, T>,
        x: &DMatrixView<'_, T>,
        gradient: &mut [T],
        scratch: &mut [T],
    ) {
        if self.fits(gradient, delta.shape(), x.shape()) {
            kernels::add_outer(delta, x, gradient, scratch);
        } else {
            gradient.fill(real(f64::NAN));
        }
    }

    /// Computes Wᵀ δ, the error for the layer below, `inputs` × M. δ is `units` × M.
    pub fn transposed<T: Scalar>(
        &self,
        theta: &[T],
        delta: &DMatrixView<'_, T>,
        below: &mut DMatrixViewMut<'_, T>,
        scratch: &mut [T],
    ) {
        let fits = self.fits(theta, delta.shape(), below.shape());
        or_nan(fits, below, |below| {
            kernels::transpose_product(theta, delta, below, scratch);
        });
    }

    /// Adds Wᵀ δ to `below`, as for a direction of Θ.
    pub fn add_transposed<T: Scalar>(
        &self,
        theta: &[T],
        delta: &DMatrixView<'_, T>,
        below: &mut DMatrixViewMut<'_, T>,
        scratch: &mut [T],
    ) {
        let fits = self.fits(theta, delta.shape(), below.shape());
        or_nan(fits, below, |below| {
            kernels::add_transpose_product(theta, delta, below, scratch);
        });
    }

    /// Returns whether Θ, a matrix of the units and one of the inputs have matching sizes.
    fn fits<T>(&self, theta: &[T], units: (usize, usize), inputs: (usize, usize)) -> bool {
        let columns = self.inputs.checked_add(1);
        columns.and_then(|columns| columns.checked_mul(self.units)) == Some(theta.len())
            && self.units > 0
            && units.0 == self.units
            && inputs.0 == self.inputs
            && units.1 == inputs.1
    }
}

/// Computes a result if the shapes fit. Otherwise every entry is NaN.
fn or_nan<'a, T: Scalar>(
    fits: bool,
    result: &mut DMatrixViewMut<'a, T>,
    compute: impl FnOnce(&mut DMatrixViewMut<'a, T>),
) {
    if fits {
        compute(result);
    } else {
        result.fill(real(f64::NAN));
    }
}
