//! The checks of a single activation.

use super::line::{CheckedBlock, cotangent, direction, inner, moved};
use super::vector_function::Asked;
use super::{GradientCheck, Report, nan};
use crate::activation::Activation;
use crate::columns::Columns;
use crate::error::Error;
use crate::examples::check_finite;
use crate::scalar::Scalar;
use nalgebra::{DMatrix, DMatrixView};

impl GradientCheck {
    /// Checks the derivative of one activation at z (s × m).
    ///
    /// Compares [`backward`](Activation::backward) with differences of f(z) = Σ r ∘ g(z) for fixed
    /// random r, whose gradient is r ∘ g′(z) if g acts on each unit
    /// separately. The report has one
    /// block, `z`. Buffers are filled with NaN before they are written.
    ///
    /// # Errors
    /// - [`Error::NoExamples`] or [`Error::Shape`] if z is empty.
    /// - [`Error::NonFinite`] if z is not finite, or g overflows.
    /// - [`Error::Hyperparameter`] for an invalid step, tolerance or constant of the activation.
    ///
    /// # Example
    /// ReLU has a kink at 0, where no derivative is correct:
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::GradientCheck;
    /// use backprop::activation::{Relu, Tanh};
    /// use backprop::gradient_check::Verdict;
    ///
    /// let z = DMatrix::from_row_slice(1, 3, &[-1.0, 0.0, 2.0]);
    /// let report = GradientCheck::new().activation(&Tanh, &z)?;
    /// report.assert_passed();
    /// assert_eq!(report.blocks[0].compared, 3);
    ///
    /// let report = GradientCheck::new().activation(&Relu, &z)?;
    /// assert_eq!(report.blocks[0].verdict, Verdict::SuspectedKink);
    /// assert_eq!(report.blocks[0].kinks, 1);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn activation<'a, T: Scalar, A: Activation<T> + ?Sized>(
        &self,
        activation: &A,
        z: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let z = check_arguments(activation, z.columns_view())?;
        let (rows, cols) = z.shape();
        let r = cotangent(rows, cols, self.seed);
        let blocks = [CheckedBlock::new("z", rows, 0, rows * cols)];
        let pass = |z: &[T], gradient: Option<&mut [T]>| {
            let z = DMatrixView::from_slice(z, rows, cols);
            let a = forward(activation, z);
            if let Some(gradient) = gradient {
                let mut delta = r.clone();
                activation.backward(z, a.as_view(), delta.as_view_mut());
                gradient.copy_from_slice(delta.as_slice());
            }
            Ok(inner(r.as_slice(), a.as_slice()))
        };
        let mut report = Report::new(&self.settings::<T>()?);
        report.cost = self.compare_gradient(&mut report, &blocks, z.as_slice(), 0.0, pass)?;
        Ok(report)
    }

    /// Checks the tangent methods of one activation at z (s × m).
    ///
    /// The directions ż and δ̇ are random, and so is δ. The report has three rows:
    ///
    /// | row | computed by | compared with |
    /// |---|---|---|
    /// | `ȧ` | [`forward_tangent`](Activation::forward_tangent) | differences of `forward` |
    /// | `δ̇` | [`backward_tangent`](Activation::backward_tangent) | differences of `backward` |
    /// | `δ` | `backward_tangent`, which computes it too | `backward` |
    ///
    /// If g acts on each unit separately, ȧ = g′(z) ∘ ż and δ̇ becomes g′(z) ∘ δ̇ + g″(z) ∘ ż ∘ δ.
    /// Buffers are filled with NaN before they are written. Check `backward` with
    /// [`activation`](Self::activation) first.
    ///
    /// # Errors
    /// - The errors of [`activation`](Self::activation).
    /// - [`Error::Unsupported`] if the activation has no tangents.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{GradientCheck, activation::Tanh};
    ///
    /// let z = DMatrix::from_row_slice(2, 2, &[0.5, -1.0, 2.0, 0.1]);
    /// let report = GradientCheck::new().activation_tangents(&Tanh, &z)?;
    /// report.assert_passed();
    /// let rows: Vec<&str> = report.blocks.iter().map(|b| b.label.as_str()).collect();
    /// assert_eq!(rows, ["ȧ", "δ̇", "δ"]);
    /// assert_eq!(report.blocks[0].compared, 4);
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn activation_tangents<'a, T: Scalar, A: Activation<T> + ?Sized>(
        &self,
        activation: &A,
        z: impl Columns<'a, T>,
    ) -> Result<Report, Error> {
        let z = check_arguments(activation, z.columns_view())?;
        let (rows, cols) = z.shape();
        let n = rows * cols;
        let matrix = |entries: Vec<T>| DMatrix::from_vec(rows, cols, entries);
        let z_dot = matrix(direction(z.as_slice(), self.seed));
        let delta = cotangent(rows, cols, self.seed.wrapping_add(1));
        let delta_dot = cotangent(rows, cols, self.seed.wrapping_add(2));
        let at = |t: T| Point {
            z: matrix(moved(z.as_slice(), Some(z_dot.as_slice()), t)),
            delta: matrix(moved(delta.as_slice(), Some(delta_dot.as_slice()), t)),
        };
        // a, and δ after `backward`.
        let plain = |t: T| {
            let Point { z, mut delta } = at(t);
            let a = forward(activation, z.as_view());
            activation.backward(z.as_view(), a.as_view(), delta.as_view_mut());
            [a.as_slice(), delta.as_slice()].concat()
        };
        // ȧ and δ̇ from the tangent methods, and the δ computed along with them.
        let tangent = |t: T| {
            let Point { z, mut delta } = at(t);
            let a = forward(activation, z.as_view());
            let (z, a, z_dot) = (z.as_view(), a.as_view(), z_dot.as_view());
            let mut a_dot = DMatrix::repeat(rows, cols, nan());
            activation.forward_tangent(z, a, z_dot, a_dot.as_view_mut())?;
            let mut delta_dot = delta_dot.clone();
            let views = (delta.as_view_mut(), delta_dot.as_view_mut());
            activation.backward_tangent(z, a, z_dot, views.0, views.1)?;
            Ok(([a_dot.as_slice(), delta_dot.as_slice()].concat(), delta))
        };
        let at_0 = plain(T::zero());
        let (tangents, delta) = tangent(T::zero())?;

        let mut report = Report::new(&self.settings::<T>()?);
        let blocks =
            [("ȧ", 0), ("δ̇", n)].map(|(row, start)| CheckedBlock::new(row, rows, start, n));
        self.compare_tangent(
            &mut report,
            &blocks,
            &tangents,
            0.0,
            |asked, t| match asked {
                Asked::Values => Ok(plain(t)),
                Asked::Derivative => Ok(tangent(t)?.0),
            },
        )?;
        let block = CheckedBlock::new("δ", rows, 0, n);
        self.compare_entries(&mut report, &block, delta.as_slice(), &at_0[n..])?;
        Ok(report)
    }
}

/// z and δ at some t.
struct Point<T> {
    z: DMatrix<T>,
    delta: DMatrix<T>,
}

/// Checks z and the constants of the activation, and returns a copy of z.
pub(super) fn check_arguments<T: Scalar, A: Activation<T> + ?Sized>(
    activation: &A,
    z: DMatrixView<'_, T>,
) -> Result<DMatrix<T>, Error> {
    check_not_empty("z", z)?;
    check_finite("z", z)?;
    activation.validate()?;
    Ok(z.clone_owned())
}

/// Returns an error if there is nothing to check.
fn check_not_empty<T: Scalar>(what: &'static str, z: DMatrixView<'_, T>) -> Result<(), Error> {
    let (rows, cols) = z.shape();
    match (rows, cols) {
        (_, 0) => Err(Error::NoExamples),
        (0, _) => Err(Error::Shape {
            what,
            expected: (1, cols),
            found: (rows, cols),
        }),
        _ => Ok(()),
    }
}

/// Returns a = g(z), in a buffer that held NaN.
pub(super) fn forward<T: Scalar, A: Activation<T> + ?Sized>(
    activation: &A,
    z: DMatrixView<'_, T>,
) -> DMatrix<T> {
    let mut a = DMatrix::repeat(z.nrows(), z.ncols(), nan());
    activation.forward(z, a.as_view_mut());
    a
}
